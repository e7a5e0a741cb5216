/* SPDX-License-Identifier: Apache-2.0 */
/* ranking_priv.h: what a ranking of inserts has in common with one of changes. */
#ifndef WEIR_DATAPLANE_RANKING_PRIV_H
#define WEIR_DATAPLANE_RANKING_PRIV_H

#include "dataplane/ranking.h"

/* The first rows before a change, one more than are told where there is one, and what the change
 * does with them. */
struct ranking_first {
    struct weir_row_entry row[WEIR_RANKING_CNT_MAX + 1];
    uint32_t cnt;
    uint32_t at; /* where the row comes, or goes */
};

struct ranking_change {
    struct weir_process *p;
    const struct weir_ranking *rank;
    const struct weir_view *view;
    uint32_t row;
    bool goes;
    uint64_t *told; /* ranks that have been told, where the output was full */
};

/* weir_ranking_tell - the changes of the output that a row makes: WEIR_DONE, or WEIR_AGAIN. */
int weir_ranking_tell(
    const struct ranking_change *change, struct ranking_first *first, struct weir_row_entry *entry);

typedef int(ranking_row_fn)(struct ranking_change *change, void *kept);

/* ranking_rows - the loop over rows of either; row_fn, which it is inlined with, answers WEIR_DONE,
 * WEIR_AGAIN or an error. */
static inline __attribute__((always_inline)) int
ranking_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state, ranking_row_fn *row_fn)
{
    struct ranking_change change = {
        .p = p, .rank = (const struct weir_ranking *)(const void *)p->function, .view = view};
    for (uint32_t i = 0; i < cnt; i++) {
        change.row = weir_view_row(view, from + i);
        p->out->row_time = view->time != NULL ? weir_view_time(view, change.row) : WEIR_TIME_MIN;
        int step = row_fn(&change, state[i]);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
}

/* weir_ranking_take_inserts - the function of a ranking whose rows are inserts all. */
void weir_ranking_take_inserts(struct weir_ranking *rank);

#endif
