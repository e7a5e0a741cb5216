/* SPDX-License-Identifier: Apache-2.0 */
/* counter.h: counters and gauges that one core writes and anybody reads, described by one table.
 *
 *     #define TASK_COUNTERS(X)                                                              \
 *         X(rows_in, "numRecordsIn", COUNTER, "records", "Records that came in")            \
 *         X(watermark, "currentInputWatermark", GAUGE, "ms", "Least watermark of the inputs")
 *     WEIR_COUNTER_TABLE(task_counters, TASK_COUNTERS)
 *
 * makes `struct task_counters` with a plain field a row, and `task_counters_rows[]`. The owner adds
 * to the fields like to any variable; in housekeeping it publishes them into a second array, which
 * is all that a reader touches:
 *
 *     owner core:  counters.rows_in += n  ...  weir_counter_publish(&set)  --->  shown[]
 *     any thread:  weir_counter_read(&set, values), or the printers               |
 *                  ^--------------------------------------------------------------'
 *
 * A reader sees values of one row that never go back; values of two rows may be of two publishes.
 * Names are Flink's where Flink has one, so that habits and dashboards carry over.
 */
#ifndef WEIR_BASE_COUNTER_H
#define WEIR_BASE_COUNTER_H

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/base.h"

/* Rows of one table: what a page shows of one object. */
#define WEIR_COUNTER_CNT_MAX 64

enum weir_counter_kind {
    WEIR_COUNTER_COUNTER, /* only grows; uint64_t */
    WEIR_COUNTER_GAUGE, /* goes up and down; the bits of an int64_t */
    WEIR_COUNTER_REAL, /* a gauge; the bits of a double, weir_counter_real() */
    WEIR_COUNTER_KIND_CNT,
};

struct weir_counter_row {
    const char *name;
    enum weir_counter_kind kind;
    const char *unit;
    const char *help; /* one sentence, with no full stop */
};

#define WEIR_COUNTER_FIELD(field, name, kind, unit, help) uint64_t field;
#define WEIR_COUNTER_ROW(field, name, kind, unit, help) {name, WEIR_COUNTER_##kind, unit, help},
#define WEIR_COUNTER_TABLE(table, ROWS)                                             \
    struct table {                                                                  \
        ROWS(WEIR_COUNTER_FIELD)                                                    \
    };                                                                              \
    static const struct weir_counter_row table##_rows[] = {ROWS(WEIR_COUNTER_ROW)}; \
    WEIR_STATIC_ASSERT(sizeof(struct table) / 8 <= WEIR_COUNTER_CNT_MAX, "rows of a table");

/* weir_counter_real - the value of a REAL. */
static inline uint64_t
weir_counter_real(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct weir_counter_label {
    const char *name;
    const char *value;
};

/* One object's counters. It keeps the rows, the labels and both arrays until its last reader
 * ends. */
struct weir_counter_set {
    const struct weir_counter_row *rows;
    uint32_t row_cnt;
    uint32_t label_cnt;
    const struct weir_counter_label *labels;
    /* writer: the owner core, at any time; nobody else reads it */
    const uint64_t *own;
    /* writer: the owner core, in weir_counter_publish; on lines of its own */
    WEIR_ATOMIC(uint64_t) * shown;
};

/* weir_counter_publish - show the present values to readers.
 *
 * Thread:  the owner core, in housekeeping. row_cnt loads and stores; no system call.
 */
WEIR_API void weir_counter_publish(const struct weir_counter_set *set);

/* weir_counter_read - the values last published; row_cnt of them.
 *
 * Thread:  any. It touches no line that the owner writes per batch.
 */
WEIR_API void weir_counter_read(const struct weir_counter_set *set, uint64_t *ret_values);

/* The two texts that a scrape may ask for. They differ in what counters are called in TYPE and
 * HELP, and in the end. */
enum weir_counter_text {
    WEIR_COUNTER_OPENMETRICS, /* 1.0: the family without _total, its samples with it */
    WEIR_COUNTER_PROMETHEUS, /* 0.0.4: _total in both */
    WEIR_COUNTER_TEXT_CNT,
};

/* Where a page is written. */
struct weir_counter_page {
    FILE *to;
    enum weir_counter_text text;
};

/* weir_counter_print - sets of one table, a family a row, a sample a set.
 *
 * Shape:   set_cnt sets that share rows; names become <prefix>_<name>, counters with _total. Labels
 *          are escaped. The caller ends the whole page with weir_counter_print_end().
 * Errors:  WEIR_EIO when the stream fails.
 */
WEIR_API WEIR_MUST_USE int weir_counter_print(const struct weir_counter_page *page,
    const char *prefix, const struct weir_counter_set *sets, size_t set_cnt);
WEIR_API WEIR_MUST_USE int weir_counter_print_end(const struct weir_counter_page *page);

#endif
