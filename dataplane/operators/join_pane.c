/* SPDX-License-Identifier: Apache-2.0 */
/* Panes of kept rows: a table and a store of rows for each stretch of time. A pane ends as a whole:
 * that is how joins over time forget. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/join_priv.h"

/* Entries looked at together when a restored pane is gone through. */
#define SCAN_CNT 64
/* Buckets, or chunks of rows, given back in one step. */
#define GIVE_CNT 256

int
weir_join_panes_open(struct weir_operator *op, struct join_panes *panes, uint32_t key_kind)
{
    panes->arena = op->env->arena;
    panes->cap = panes->arena->spec.table_cnt_max;
    panes->spec = (struct weir_table_spec){
        weir_state_id(op->uid, JOIN_STATE), key_kind, sizeof(struct join_entry), 0};
    panes->at = calloc(panes->cap, sizeof panes->at[0]);
    return panes->at != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "%u panes of a join", panes->cap);
}

void
weir_join_panes_close(struct join_panes *panes)
{
    free(panes->at);
    panes->at = NULL;
}

uint32_t
weir_join_pane_at(const struct join_panes *panes, int64_t idx)
{
    uint32_t lo = 0;
    uint32_t hi = panes->cnt;
    while (lo < hi) { /* at most 32 steps */
        uint32_t mid = (lo + hi) / 2;
        if (panes->at[mid].idx < idx) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void
pane_insert(struct join_panes *panes, uint32_t at, const struct join_pane *pane)
{
    WEIR_CHECK(panes->cnt < panes->cap, "%u panes", panes->cnt);
    memmove(&panes->at[at + 1], &panes->at[at], (panes->cnt - at) * sizeof panes->at[0]);
    panes->at[at] = *pane;
    panes->cnt++;
}

int
weir_join_pane_of(struct join_panes *panes, int64_t idx, struct join_pane **ret_pane)
{
    uint32_t at = weir_join_pane_at(panes, idx);
    if (at == panes->cnt || panes->at[at].idx != idx) {
        struct join_pane pane = {.idx = idx};
        int err = weir_table_take(panes->arena, &panes->spec, idx, &pane.table);
        err = err < 0 ? err : weir_row_store_init(&pane.rows, panes->arena);
        if (err < 0) {
            return err;
        }
        pane.table->entry_cnt_hint = panes->entry_cnt;
        if (panes->owner != 0) {
            weir_table_owner_set(pane.table, panes->owner);
        }
        pane_insert(panes, at, &pane);
    }
    *ret_pane = &panes->at[at];
    return 0;
}

int
weir_join_panes_give(struct join_panes *panes)
{
    struct join_pane *first = &panes->at[0];
    panes->is_giving = true;
    if (!panes->is_giving_table) {
        if (weir_row_store_give(&first->rows, GIVE_CNT) == WEIR_DONE) {
            panes->entry_cnt = first->table->entry_cnt;
            panes->is_giving_table = true;
        }
        return WEIR_AGAIN;
    }
    if (weir_table_give(first->table, GIVE_CNT) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    panes->is_giving = false;
    panes->is_giving_table = false;
    panes->cnt--;
    memmove(&panes->at[0], &panes->at[1], panes->cnt * sizeof panes->at[0]);
    return WEIR_DONE;
}

/* The store of a pane's rows knows its chunks again by way of its table. */
static void
pane_adopt_rows(struct join_pane *pane, bool has_right)
{
    struct weir_table_cursor cursor = {0, 0, 0};
    void *val[SCAN_CNT];
    uint32_t cnt;
    while ((cnt = weir_table_scan(pane->table, &cursor, SCAN_CNT, NULL, val)) > 0) {
        for (uint32_t i = 0; i < cnt; i++) {
            const struct join_entry *entry = val[i];
            weir_row_store_adopt(&pane->rows, &entry->side[JOIN_LEFT]);
            if (has_right) {
                weir_row_store_adopt(&pane->rows, &entry->side[JOIN_RIGHT]);
            }
        }
    }
}

int
weir_join_panes_restore(struct weir_operator *op, struct join_panes *panes, bool has_right)
{
    uint32_t at = 0;
    for (;;) {
        const struct weir_table *table = weir_state_next(panes->arena, panes->spec.state_id, &at);
        if (table == NULL) {
            return 0;
        }
        struct join_pane pane = {.idx = table->ns};
        uint64_t owner = weir_table_name(table)->owner;
        if (owner != panes->owner) {
            return weir_err_push(WEIR_ESTATE,
                "the rows of %s were kept in panes of %llu ms, and are looked for in panes of "
                "%llu: "
                "its bounds have changed",
                op->uid, (unsigned long long)owner, (unsigned long long)panes->owner);
        }
        int err = weir_state_find(op, JOIN_STATE, &panes->spec, table->ns, &pane.table);
        err = err < 0 ? err : weir_row_store_init(&pane.rows, panes->arena);
        if (err < 0) {
            return err;
        }
        pane_adopt_rows(&pane, has_right);
        pane_insert(panes, weir_join_pane_at(panes, pane.idx), &pane);
    }
}
