/* SPDX-License-Identifier: Apache-2.0 */
/* restart.h: operators of a harness stopped at a cut and started again from what they kept.
 *
 *     play:   rows and watermarks, each to every subtask that it is for
 *     run     of p subtasks, to the end, or to a cut; there their parts are written and their pages
 *             are copied; all is destroyed; q new ones are given pages and parts, and go on
 *
 * Pages of a new arena come from all old ones, by key group, and to other places: tables are put
 * together by state and namespace, and references are written anew by what the operator's states
 * say (state.h; not those of long keys). Where nothing is moved (same number of subtasks) pages
 * stay in their places.
 */
#ifndef WEIR_TESTS_UNIT_RESTART_H
#define WEIR_TESTS_UNIT_RESTART_H

#include "dataplane/key.h"
#include "dataplane/parts.h"
#include "tests/unit/harness.h"

#define RESTART_SUBTASK_CNT_MAX 4
#define RESTART_PARTS_BYTES (1 << 20)

struct restart_step {
    uint32_t channel;
    int64_t watermark; /* where cnt is 0 */
    const void *rows; /* the heap of their strings, too */
    uint32_t cnt;
    int64_t now_ns; /* where cnt is 0, and this is not: time goes on, and nothing else comes */
    const uint8_t *kinds; /* of the rows; NULL: inserts */
};

struct restart_play {
    struct harness_conf conf;
    struct weir_key key[2]; /* by input; no field: rows in turn */
    bool broadcasts[2]; /* by input: rows are for every subtask */
    const struct restart_step *steps;
    uint32_t step_cnt;
    bool is_sorted; /* the order of output rows is not looked at */
    bool always_moves; /* pages, though the number of subtasks is the same */
    bool by_savepoint; /* rows with names in the place of pages */
    /* At the end no blob and no chunk of rows is left in the state pages, and so many tables. */
    bool ends_empty;
    uint32_t ends_tables;
};

/* What an operator has left: parts, and its arena. */
struct restart_left {
    char *parts; /* 8-aligned */
    size_t parts_bytes;
    char *pages;
    uint32_t page_cnt;
    uint32_t table_cnt;
    struct weir_table *tables; /* copies of the records, [table_cnt], is_taken or not */
};

void restart_leave(struct harness *h, struct restart_left *ret_left);
void restart_left_free(struct restart_left *left);
/* restart_come - a harness from what left_cnt subtasks have left: 0, or the error of open or
 * restore. */
int restart_come(const struct harness_conf *conf, const struct restart_left *left,
    uint32_t left_cnt, bool moves, struct harness **ret);

/* restart_savepoint - the state of cnt subtasks as the stream of a savepoint, and others from it:
 * as restart_come. */
struct stream;
void restart_savepoint(struct harness *const *h, uint32_t cnt, struct stream *ret_stream);
int restart_come_back(
    const struct harness_conf *conf, const struct stream *stream, struct harness **ret);

/* restart_text - all outputs as text, a line a row, after a run without a cut, with cnt subtasks.
 * The caller frees it. */
char *restart_text(const struct restart_play *play, uint32_t cnt);
/* restart_run - the same with cuts: in front of step cut[i] the number of subtasks becomes
 * cnt[i + 1]. */
char *restart_run(
    const struct restart_play *play, const uint32_t *cut, const uint32_t *cnt, uint32_t cut_cnt);

#endif
