/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/loop.h"

#include <stdio.h>

#include "apps/sim/schema.h"
#include "sched/weir.h"

/* Longer than rows are ever held up when nothing goes wrong any more. */
#define WAIT_NS (150 * WEIR_MS)
#define NAME_BYTES 48

WEIR_MAP(step, cell, cell)
{
    *out = *in;
    out->value = in->value / SIM_LOOP_DIVISOR;
    out->tag = in->tag ^ (in->value & 255);
}

WEIR_FILTER(is_not_done, cell)
{
    return in->value > SIM_LOOP_DONE || in->value < -SIM_LOOP_DONE;
}

WEIR_FILTER(is_done, cell)
{
    return in->value <= SIM_LOOP_DONE && in->value >= -SIM_LOOP_DONE;
}

/* "n3-map-loop" becomes "n3-map-step" and so on: the graph keeps a copy. */
static struct weir_stream *
part(struct weir_stream *in, const char *name, const char *what, const struct weir_function *fn,
    uint32_t cnt)
{
    char own[NAME_BYTES];
    (void)snprintf(own, sizeof own, "%s-%s", name, what);
    struct weir_stream *out = fn == &step_op ? weir_map(in, own, fn) : weir_filter(in, own, fn);
    return weir_parallelism(out, cnt);
}

struct weir_stream *
sim_loop(const struct sim_node *node, struct weir_stream *in, const char *name, uint32_t head_cnt,
    uint32_t body_cnt)
{
    const struct weir_iterate_conf conf = {.wait_ns = node->loop == SIM_LOOP_WAIT ? WAIT_NS : 0};
    struct weir_stream *loop = weir_parallelism(weir_iterate(in, name, &conf), head_cnt);
    bool is_dealt = node->loop_deals;
    struct weir_stream *body = is_dealt ? weir_key_by(loop, WEIR_KEY(cell, key)) : loop;
    body = part(body, name, "step", &step_op, body_cnt);
    struct weir_stream *back = part(body, name, "again", &is_not_done_op, body_cnt);
    weir_iterate_close(loop, is_dealt ? weir_partition(back, WEIR_PARTITION_REBALANCE) : back);
    return part(body, name, "done", &is_done_op, body_cnt);
}
