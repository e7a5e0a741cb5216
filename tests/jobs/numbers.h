/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.h: what sources of numbers keep in a checkpoint: how far each subtask is. Of n subtasks
 * each says every n-th number; a restart has as many. */
#ifndef WEIR_TESTS_JOBS_NUMBERS_H
#define WEIR_TESTS_JOBS_NUMBERS_H

#include "dataplane/operator.h"
#include "dataplane/parts.h"

/* numbers_at - the number that a subtask has at its place `next`. */
static inline int64_t
numbers_at(const struct weir_operator *op, int64_t next)
{
    return next * op->env->subtask_cnt + op->env->subtask_idx;
}

static inline void
numbers_write(struct weir_parts_writer *parts, int64_t next)
{
    weir_parts_begin(parts, "next", 1);
    weir_parts_put_u64(parts, (uint64_t)next);
    weir_parts_end(parts);
}

static inline int
numbers_read(const struct weir_operator *op, const struct weir_parts_reader *parts,
    uint32_t parts_cnt, int64_t *ret_next)
{
    struct weir_part part;
    if (parts_cnt != op->env->subtask_cnt) {
        return weir_err_push(WEIR_EREFUSED, "there were %u subtasks", parts_cnt);
    }
    int rc = weir_parts_find(&parts[op->env->subtask_idx], "next", 1, &part);
    return rc != 0 ? rc : weir_part_get(&part, ret_next, sizeof *ret_next);
}

/* They say the same numbers again. */
static inline bool
numbers_replay(const void *conf)
{
    (void)conf;
    return true;
}

#endif
