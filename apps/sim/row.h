/* SPDX-License-Identifier: Apache-2.0 */
/* row.h: the rows of simulated jobs, and where those of a source come from.
 *
 * Row i of a split is a function of the split and i alone, so that a source can begin anywhere, and
 * the reference can have all of them. Its event time is at least i * step_ms, but for rows that are
 * late on purpose.
 */
#ifndef WEIR_APPS_SIM_ROW_H
#define WEIR_APPS_SIM_ROW_H

#include "base/base.h"

#define SIM_SOURCE_CNT_MAX 3
#define SIM_SPLIT_CNT_MAX 6
#define SIM_PARALLELISM_MAX 5
#define SIM_TEXT_BYTES_MAX 40
/* Rows of a poll at most, beside what an output takes. */
#define SIM_SOURCE_SLICE_CNT_MAX 200

/* What a source is, as drawn. All its splits are of one length. */
struct sim_source {
    uint64_t seed;
    uint32_t idx;
    uint32_t split_cnt;
    uint64_t row_cnt; /* of each split */
    uint32_t key_cnt; /* of each split; key % split_cnt is the split */
    bool is_skewed; /* half of the rows have one key */
    int64_t step_ms;
    int64_t jitter_ms;
    int64_t late_ms; /* how late rows are that are late on purpose; 0: none is */
    int64_t gap_ns; /* between two rows of a split, */
    uint64_t burst_cnt; /* of which so many come at once, as soon as the first is due */
    /* Behind it stands an operator that sets watermarks so far behind the greatest time, in a group
     * of those that wait for each other; 0: none does. */
    int64_t lag_ms;
    int64_t drift_ms; /* how far ahead of the others of the group it may be */
    bool is_dealt; /* positions are a list that restarts deal out, not a union list */
    /* It begins the checkpoints itself, one in each such span of time, all subtasks the same ones;
     * 0: it does not. */
    int64_t begin_ns;
    bool ends_early; /* a subtask without splits ends at once, else it says nothing and waits */
};

/* A row in no format of the engine's. */
struct sim_row {
    int64_t key;
    int64_t value;
    int64_t tag;
    int64_t at_ms;
    uint32_t text; /* 0: none; else what sim_text() makes of it */
    bool is_late;
};

/* sim_row_at - row i of a split. */
void
sim_row_at(const struct sim_source *source, uint32_t split, uint64_t i, struct sim_row *ret_row);
/* sim_row_is_late - whether it is late on purpose. */
bool sim_row_is_late(const struct sim_source *source, uint32_t split, uint64_t i);
/* sim_text - the text of a number: lower-case letters; returns its length. */
uint32_t sim_text(uint32_t text, char ret_text[SIM_TEXT_BYTES_MAX]);

#endif
