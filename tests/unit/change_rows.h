/* SPDX-License-Identifier: Apache-2.0 */
/* change_rows.h: random streams of changes, and tables of text to compare what operators make of
 * them with what a plain function says of the rows that are there. */
#ifndef WEIR_TESTS_UNIT_CHANGE_ROWS_H
#define WEIR_TESTS_UNIT_CHANGE_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/restart_rows.h"

#define CHANGE_BATCH_CNT 40
#define CHANGE_ROWS_MAX 12
#define CHANGE_ROW_CNT (CHANGE_BATCH_CNT * CHANGE_ROWS_MAX)
#define CHANGE_LINE_BYTES 256

#define ITEM(F) F(i64, key) F(i64, value) F(ts, at) F(str, name)
WEIR_SCHEMA(item, ITEM)

struct change_opts {
    int64_t keys;
    int64_t values; /* from 0 on: few make ties, and rows that are equal */
    bool has_changes;
    bool has_early; /* rows are taken back before they come */
};

/* Batches of rows, and their kinds. Rows lie in front of the texts of their batch. */
struct changes {
    struct restart_step step[CHANGE_BATCH_CNT + 1]; /* the last: the end */
    uint8_t kinds[CHANGE_BATCH_CNT][CHANGE_ROWS_MAX];
};

static inline const struct item *
change_row(const struct changes *changes, uint32_t batch, uint32_t i)
{
    return (const struct item *)changes->step[batch].rows + i;
}

/* Long names are a word that the row tells, so that a row can be made again. */
static inline void
change_fill(struct item *row, char *base, size_t *used)
{
    char text[64];
    int bytes = row->value % 3 == 0 ? snprintf(text, sizeof text, "n%lld", (long long)row->value)
                                    : snprintf(text, sizeof text, "the long name of %lld at %lld",
                                          (long long)row->key, (long long)row->at);
    memcpy(base + *used, text, (size_t)bytes);
    row->name = weir_str_ref(base, base + *used, (uint32_t)bytes);
    *used += (size_t)bytes;
}

static inline struct changes *
changes_make(uint64_t seed, const struct change_opts *opts)
{
    struct changes *changes = calloc(1, sizeof *changes);
    struct weir_rng rng;
    struct item live[CHANGE_ROW_CNT];
    struct item due[CHANGE_ROW_CNT]; /* taken back, and not there yet */
    uint32_t live_cnt = 0;
    uint32_t due_cnt = 0;
    assert_non_null(changes);
    weir_rng_init(&rng, seed);
    for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 1, CHANGE_ROWS_MAX);
        size_t used = cnt * sizeof(struct item);
        struct item *rows = calloc(1, used + cnt * 64);
        assert_non_null(rows);
        for (uint32_t i = 0; i < cnt; i++) {
            bool is_last = b + 1 == CHANGE_BATCH_CNT;
            bool goes = opts->has_changes && weir_rng_chance(&rng, 2, 5);
            struct item row = {.key = weir_rng_between(&rng, 0, opts->keys - 1),
                .value = weir_rng_between(&rng, 0, opts->values - 1),
                .at = weir_rng_between(&rng, 0, 9)};
            bool is_early = goes && opts->has_early && !is_last && weir_rng_chance(&rng, 1, 3);
            if (due_cnt > 0 && (is_last || weir_rng_chance(&rng, 1, 3))) {
                row = due[--due_cnt];
                goes = false;
                is_early = false;
            } else if (is_early) {
                due[due_cnt++] = row;
            } else if (goes && live_cnt > 0) {
                uint32_t at = (uint32_t)weir_rng_below(&rng, live_cnt);
                row = live[at];
                live[at] = live[--live_cnt];
            } else {
                goes = false;
                live[live_cnt++] = row;
            }
            bool half = weir_rng_chance(&rng, 1, 2);
            changes->kinds[b][i] =
                (uint8_t)(goes ? (half ? WEIR_ROW_DELETE : WEIR_ROW_UPDATE_BEFORE)
                          : opts->has_changes && half ? WEIR_ROW_UPDATE_AFTER
                                                      : WEIR_ROW_INSERT);
            rows[i] = row;
            change_fill(&rows[i], (char *)rows, &used);
        }
        changes->step[b].rows = rows;
        changes->step[b].cnt = cnt;
        changes->step[b].kinds = opts->has_changes ? changes->kinds[b] : NULL;
    }
    changes->step[CHANGE_BATCH_CNT].watermark = WEIR_WATERMARK_MAX;
    return changes;
}

static inline void
changes_free(struct changes *changes)
{
    for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
        free((void *)(uintptr_t)changes->step[b].rows);
    }
    free(changes);
}

static inline void
changes_push(struct harness *h, const struct changes *changes, uint32_t batch)
{
    const struct restart_step *step = &changes->step[batch];
    struct weir_view view = harness_view_of(item_schema(), step->rows, step->cnt);
    view.kind = (const char *)step->kinds;
    view.kind_stride = 1;
    harness_push_view(h, 0, &view);
}

/* ---- tables of text ---- */

struct change_table {
    char line[CHANGE_ROW_CNT + 1][CHANGE_LINE_BYTES];
    uint32_t cnt;
};

static inline int
change_line_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline void
change_table_expect(struct change_table *is, struct change_table *want)
{
    qsort(is->line, is->cnt, sizeof is->line[0], change_line_order);
    qsort(want->line, want->cnt, sizeof want->line[0], change_line_order);
    for (uint32_t i = 0; i < is->cnt && i < want->cnt; i++) {
        assert_string_equal(is->line[i], want->line[i]);
    }
    assert_int_equal(is->cnt, want->cnt);
}

static inline char *
change_table_add(struct change_table *table)
{
    assert_true(table->cnt < CHANGE_ROW_CNT);
    return table->line[table->cnt++];
}

/* A row of an output: fields apart by a bar. */
static inline void
change_text(const struct harness *h, uint32_t idx, char *line)
{
    const struct weir_schema *schema = h->out[0].schema;
    const char *row = harness_row(h, 0, idx);
    int at = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        int64_t number;
        if (field->type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, row + field->off, sizeof str);
            struct weir_slice text = harness_text(h, 0, &str);
            at += snprintf(
                line + at, (size_t)(CHANGE_LINE_BYTES - at), "|%.*s", (int)text.bytes, text.ptr);
        } else {
            memcpy(&number, row + field->off, sizeof number);
            at += snprintf(line + at, (size_t)(CHANGE_LINE_BYTES - at), "|%lld", (long long)number);
        }
        assert_true(at < CHANGE_LINE_BYTES);
    }
}

/* Rows [*seen, ..) of the output change the table. Each is of a right kind: what goes is there;
 * an update is a pair, of which the second follows the first. */
static inline void
change_table_apply(struct change_table *table, const struct harness *h, uint32_t *seen)
{
    for (; *seen < h->out[0].row_cnt; ++*seen) {
        char line[CHANGE_LINE_BYTES];
        uint32_t kind = h->out[0].row_kind[*seen];
        change_text(h, *seen, line);
        if (kind == WEIR_ROW_UPDATE_AFTER) {
            assert_true(*seen > 0);
            assert_int_equal(h->out[0].row_kind[*seen - 1], WEIR_ROW_UPDATE_BEFORE);
        } else if (*seen > 0) {
            assert_int_not_equal(h->out[0].row_kind[*seen - 1], WEIR_ROW_UPDATE_BEFORE);
        }
        if (!weir_row_kind_retracts(kind)) {
            memcpy(change_table_add(table), line, sizeof line);
            continue;
        }
        uint32_t at = 0;
        while (at < table->cnt && strcmp(table->line[at], line) != 0) {
            at++;
        }
        if (at == table->cnt) {
            fail_msg("%s goes, and is not there", line);
        }
        memmove(table->line[at], table->line[--table->cnt], sizeof line);
    }
}

/* The rows that are there behind a batch, in the order of their arrival, each as often as it came
 * more often than it was taken back. */
struct change_live {
    const struct item *row[CHANGE_ROW_CNT];
    uint32_t cnt;
};

static inline bool
change_same(const struct item *a, const struct item *b)
{
    return a->key == b->key && a->value == b->value && a->at == b->at;
}

static inline void
change_live_apply(
    struct change_live *live, struct change_live *early, const struct item *row, bool goes)
{
    struct change_live *from = goes ? live : early;
    struct change_live *to = goes ? early : live;
    for (uint32_t i = from->cnt; i-- > 0;) {
        if (change_same(from->row[i], row)) {
            memmove(&from->row[i], &from->row[i + 1], (from->cnt - i - 1) * sizeof row);
            from->cnt--;
            return;
        }
    }
    to->row[to->cnt++] = row;
}

/* Play all batches, and compare the table after each with that of `expect`. */
typedef void(change_expect_fn)(
    const struct change_live *live, const void *arg, struct change_table *ret_table);

static inline void
changes_check(const struct harness_conf *conf, const struct changes *changes,
    change_expect_fn *expect, const void *arg)
{
    struct change_table *is = calloc(2, sizeof *is);
    struct change_table *want = is + 1;
    struct change_live *live = calloc(2, sizeof *live);
    assert_non_null(is);
    assert_non_null(live);
    struct harness *h = harness_new(conf);
    uint32_t seen = 0;
    for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
        changes_push(h, changes, b);
        for (uint32_t i = 0; i < changes->step[b].cnt; i++) {
            bool goes = weir_row_kind_retracts(changes->kinds[b][i]);
            change_live_apply(&live[0], &live[1], change_row(changes, b, i), goes);
        }
        change_table_apply(is, h, &seen);
        want->cnt = 0;
        expect(&live[0], arg, want);
        change_table_expect(is, want);
    }
    assert_int_equal(live[1].cnt, 0);
    harness_free(h);
    free(is);
    free(live);
}

/* ---- restarts ---- */

static inline void
changes_check_restarts(
    const struct harness_conf *conf, const struct changes *changes, uint64_t seed, bool rescales)
{
    struct restart_play play;
    memset(&play, 0, sizeof play);
    play.conf = *conf;
    play.key[0] = weir_key_of(1, "key", NULL);
    assert_int_equal(weir_key_resolve(&play.key[0], item_schema()), 0);
    play.steps = changes->step;
    play.step_cnt = CHANGE_BATCH_CNT + 1;
    play.is_sorted = !conf->has_kind; /* a table's rows are in no order */
    check_restarts(&play, seed, 6, rescales);
}

#endif
