/* SPDX-License-Identifier: Apache-2.0 */
/* A task takes up what the tasks of before have left, of whatever shape they were: each operator
 * finds its own by its uid. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/task_priv.h"

void
weir_task_gate_name(const struct weir_task_gate *tg, char *name)
{
    (void)snprintf(name, TASK_GATE_NAME_BYTES, "gate.%u", tg->channel);
}

static bool
has_uid(const struct weir_parts_reader *parts, const char *uid)
{
    struct weir_part part;
    size_t offset = 0;
    while (weir_parts_next(parts, &offset, &part) == 1) {
        if (part.uid_bytes == strlen(uid) && memcmp(part.uid, uid, part.uid_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The parts of an operator, of each old subtask of its. Returns how many. */
static uint32_t
parts_of(const struct weir_task_restore *from, const char *uid, struct weir_parts_reader *ret_parts)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < from->parts_cnt; i++) {
        if (has_uid(&from->parts[i], uid)) {
            ret_parts[cnt] = from->parts[i];
            weir_parts_reader_of(&ret_parts[cnt], uid);
            cnt++;
        }
    }
    return cnt;
}

static bool
had_ended(const struct weir_task_restore *from, const char *uid)
{
    for (uint32_t i = 0; i < from->ended_cnt; i++) {
        if (strcmp(from->ended[i], uid) == 0) {
            return true;
        }
    }
    return false;
}

static int
restore_gate(struct weir_task *task, struct weir_task_gate *tg,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    char name[TASK_GATE_NAME_BYTES];
    struct weir_part part;
    bool is_first = true;
    int rc = 0;
    weir_task_gate_name(tg, name);
    for (uint32_t i = 0; i < parts_cnt && rc == 0; i++) {
        if (weir_parts_has(&parts[i], name)) {
            rc = weir_parts_find(&parts[i], name, TASK_GATE_PART_VERSION, &part);
            if (rc == 0 && task->cut.conf.restore->is_same) {
                rc = weir_gate_restore(&tg->gate, &part);
            } else if (rc == 0) {
                rc = weir_gate_restore_least(&tg->gate, &part, is_first);
            }
            is_first = false;
        }
    }
    if (is_first) {
        weir_gate_restore_fused(
            &tg->gate, weir_chain_edge_watermark(task->chain, tg->node, tg->channel));
    }
    return rc;
}

/* What had ended is not opened; its source says no more. */
static int
open_ended(struct weir_task *task, uint32_t node, int64_t now_ns)
{
    weir_chain_restore_ended(task->chain, node);
    for (uint32_t s = 0; s < task->source_cnt; s++) {
        if (task->sources[s] == node) {
            weir_task_end_source(task, s, true, now_ns);
        }
    }
    return weir_chain_open_node(task->chain, node);
}

/* parts: room for those of every old task. */
static int
open_restored(
    struct weir_task *task, uint32_t node, struct weir_parts_reader *parts, int64_t now_ns)
{
    const struct weir_task_restore *from = task->cut.conf.restore;
    const char *uid = weir_chain_operator(task->chain, node)->uid;
    uint32_t cnt = parts_of(from, uid, parts);
    if (cnt == 0 && had_ended(from, uid)) {
        return open_ended(task, node, now_ns);
    }
    int rc = weir_chain_open_node(task->chain, node);
    if (rc != 0 || cnt == 0) {
        return rc;
    }
    rc = weir_chain_restore(task->chain, node, parts, cnt, from->is_same);
    const struct weir_parts_reader *own =
        weir_chain_own_parts(task->chain, node, parts, &cnt, from->is_same);
    for (uint32_t g = 0; g < task->gate_cnt && rc == 0; g++) {
        if (task->gates[g].node == node) {
            rc = restore_gate(task, &task->gates[g], own, cnt);
        }
    }
    return rc != 0 ? weir_err_push(rc, "task %s cannot be restored", task->name) : 0;
}

int
weir_task_open(struct weir_task *task, int64_t now_ns)
{
    const struct weir_task_restore *from = task->cut.is_on ? task->cut.conf.restore : NULL;
    bool is_restored = from != NULL && from->is_on;
    struct weir_parts_reader *parts = NULL;
    int rc = 0;
    if (is_restored) {
        parts = calloc(from->parts_cnt + UINT64_C(1), sizeof *parts);
        rc = parts == NULL ? weir_err_push(WEIR_ENOMEM, "%u parts", from->parts_cnt) : 0;
    }
    for (uint32_t i = weir_chain_node_cnt(task->chain); i-- > 0 && rc == 0;) {
        rc = is_restored ? open_restored(task, i, parts, now_ns)
                         : weir_chain_open_node(task->chain, i);
        if (rc == 0 && weir_task_asked(task) >= WEIR_TASK_REQUEST_CANCEL) {
            rc = WEIR_ECANCELED;
        }
    }
    free(parts);
    return rc == 0 && is_restored ? weir_task_regain_list(task) : rc;
}
