/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/graph/items.h"

#include <sys/mman.h>

#include "base/err.h"
#include "base/region.h"
#include "base/rng.h"

struct self {
    uint64_t next; /* the row to begin with */
    uint16_t region_id;
    bool registered;
};

int
items_make(struct items *items, uint64_t cnt, uint64_t key_cnt, uint64_t per_ms)
{
    const struct weir_region_options options = {.name = "items",
        .bytes = cnt * sizeof(struct item),
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_THP,
        .touch = true};
    struct weir_region_report report = {0};
    struct weir_region *region = NULL;
    struct weir_rng rng;
    int err = weir_region_open(&options, &report, &region);
    if (err != 0) {
        return err;
    }
    weir_rng_init(&rng, 1);
    items->rows = weir_region_base(region);
    items->cnt = cnt;
    for (uint64_t i = 0; i < cnt; i++) {
        items->rows[i].at = (int64_t)(i / per_ms);
        items->rows[i].key = (int64_t)weir_rng_below(&rng, key_cnt);
    }
    return 0;
}

static int
items_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct items *items = op->conf;
    self->next = (uint64_t)op->env->subtask_idx * ITEMS_BLOCK;
    int err = weir_region_table_add(
        op->env->regions, items->rows, items->cnt * sizeof(struct item), &self->region_id);
    self->registered = err == 0;
    return err;
}

static int
items_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    const struct items *items = op->conf;
    struct weir_view *view = &out->view;
    uint32_t off;
    (void)now_ns;
    if (self->next >= items->cnt) {
        return WEIR_DONE;
    }
    uint64_t left = weir_min_u64(ITEMS_BLOCK - self->next % ITEMS_BLOCK, items->cnt - self->next);
    uint32_t cnt = (uint32_t)weir_min_u64(left, out->row_cap);
    struct item *rows = items->rows + self->next;
    weir_region_table_locate(
        self->region_id, self->next * sizeof(struct item), &view->region, &off);
    view->rows = (char *)rows;
    view->time = (const char *)&rows->at;
    view->row_cnt = cnt;
    view->cnt = cnt;
    view->flags = WEIR_BATCH_FOREIGN_ROWS;
    self->next += cnt;
    if (self->next % ITEMS_BLOCK == 0) {
        self->next += (uint64_t)(op->env->subtask_cnt - 1) * ITEMS_BLOCK;
    }
    return WEIR_AGAIN;
}

static int
items_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    const struct items *items = op->conf;
    (void)clean;
    if (self->registered) {
        weir_region_table_remove(
            op->env->regions, self->region_id, items->cnt * sizeof(struct item));
    }
    return 0;
}

static const struct weir_operator_type items_type = {
    .name = "items",
    .self_bytes = sizeof(struct self),
    .output_cnt = 1,
    .open = items_open,
    .poll = items_poll,
    .close = items_close,
    .lends_memory = true,
};

struct weir_stream *
items_source(struct weir_env *env, const struct items *items)
{
    return weir_source(env, "items", item_schema(), &items_type, items, sizeof *items);
}
