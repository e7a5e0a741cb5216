/* SPDX-License-Identifier: Apache-2.0 */
/* group.h: aggregates per key over all that came, as a table that changes.
 *
 *     count and greatest price by auction:
 *
 *     (a 10)   ->   insert (a 1 10)
 *     (a 30)   ->   before (a 1 10)   after (a 2 30)
 *     delete (a 30)   ->   before (a 2 30)   after (a 1 10)
 *     delete (a 10)   ->   delete (a 1 10)
 *
 * Each row of the input is followed by what it changes of its key's row: an insert for the first, a
 * pair of updates where a column has another value, a delete when the last one is taken back. Where
 * a row and its retraction come in the other order (they went different ways), the retraction
 * counts against the row until it is there.
 *
 * Outputs: one, a stream of changes, keyed as the input. Its fields are the key's, by the names
 *          that they have in the input, and the columns; hidden event times are those of the rows
 *          that caused the change.
 * State:   per key the sums, and for distinct counts each value: of inserts that it is there, of
 *          changes, and for their least and greatest values, how often (numbers.h; texts: kind.h).
 * Limits:  WEIR_GROUP_COLUMN_CNT_MAX columns; numbers but f64, a distinct count of texts too. Sums
 *          wrap at 64 bits. A retraction of the least or greatest value looks at all others of its
 *          key.
 * Source:  Flink SQL's GroupAggFunction.
 */
#ifndef WEIR_DATAPLANE_GROUP_H
#define WEIR_DATAPLANE_GROUP_H

#include "dataplane/operators/process.h"

WEIR_C_BEGIN

#define WEIR_GROUP_COLUMN_CNT_MAX 30
/* What a column is of, and its condition. */
#define WEIR_GROUP_NUMBER_CNT_MAX (2 * WEIR_GROUP_COLUMN_CNT_MAX)

enum weir_group_kind {
    WEIR_GROUP_COUNT, /* of rows */
    WEIR_GROUP_DISTINCT, /* of different values */
    WEIR_GROUP_SUM,
    WEIR_GROUP_AVG, /* the sum over the count, its fraction cut off */
    WEIR_GROUP_MIN,
    WEIR_GROUP_MAX,
    WEIR_GROUP_KIND_CNT
};

struct weir_group_column {
    enum weir_group_kind kind;
    const char *as; /* a field of the output, of 8 bytes and no f64 */
    const char *of; /* the field of the input that it is about; COUNT: NULL */
    /* COUNT and DISTINCT: only rows with from <= where < to; to INT64_MAX: from on. NULL: all
     * rows. */
    const char *where;
    int64_t from;
    int64_t to;
};

struct weir_group_conf {
    struct weir_group_column column[WEIR_GROUP_COLUMN_CNT_MAX];
    uint32_t column_cnt;
};

/* ---- what the operator runs on ---- */

/* Which rows are counted. Columns that say the same share it. */
struct weir_group_where {
    bool is_all;
    uint32_t number; /* it looks at, of the row */
    struct weir_field field;
    int64_t from;
    int64_t to;
};

/* A column whose fields are found. */
struct weir_group_slot {
    enum weir_group_kind kind;
    uint32_t where; /* its condition */
    uint32_t set; /* its values' set; UINT32_MAX: it keeps none */
    uint32_t slot; /* its count in the set's entries */
    uint32_t number; /* of the row; COUNT, and DISTINCT of texts: none */
    struct weir_field of;
    uint32_t out_off;
};

/* The values of one field, each with a count for every condition under which it is counted. */
struct weir_group_set {
    struct weir_field field;
    bool is_text;
    uint32_t number; /* of the row, if it is no text */
    uint32_t map; /* of the numbers of a key, likewise */
    uint64_t id; /* of texts: leads the keys of their entries */
    uint32_t slot_cnt;
    uint32_t where[WEIR_GROUP_COLUMN_CNT_MAX]; /* of each slot */
    bool is_straight; /* each is the next one of the group */
    uint32_t column_cnt;
    uint32_t column[WEIR_GROUP_COLUMN_CNT_MAX]; /* that are made of it */
};

struct weir_group {
    struct weir_process_function function; /* first */
    bool takes_changes;
    uint64_t shape; /* of the state */
    uint32_t where_cnt;
    uint32_t column_cnt;
    uint32_t set_cnt;
    uint32_t map_cnt; /* sets of numbers */
    struct weir_kind kinds[2];
    uint32_t numbers_idx; /* of their declared state */
    uint32_t texts_idx;
    uint32_t count_cnt;
    struct weir_group_count {
        uint32_t column;
        uint32_t where;
    } count[WEIR_GROUP_COLUMN_CNT_MAX];
    uint32_t sum_cnt;
    uint32_t sum[WEIR_GROUP_COLUMN_CNT_MAX]; /* others that keep no set */
    uint32_t avg_cnt;
    uint32_t avg[WEIR_GROUP_COLUMN_CNT_MAX]; /* columns whose result is not what the state has */
    uint32_t piece_cnt; /* columns that stand side by side, in the output as in the state */
    struct weir_group_piece {
        uint32_t column; /* the first */
        uint32_t to; /* in an output row */
        uint32_t bytes;
    } piece[WEIR_GROUP_COLUMN_CNT_MAX];
    bool has_gaps; /* bytes of an output row are of no field */
    bool has_texts; /* in the key */
    uint32_t number_cnt;
    struct weir_field number[WEIR_GROUP_NUMBER_CNT_MAX]; /* of a row, that are looked at */
    struct weir_group_where where[WEIR_GROUP_COLUMN_CNT_MAX];
    struct weir_group_slot column[WEIR_GROUP_COLUMN_CNT_MAX];
    struct weir_group_set set[WEIR_GROUP_COLUMN_CNT_MAX];
    uint32_t key_cnt;
    struct weir_field key_from[WEIR_KEY_FIELD_CNT_MAX];
    struct weir_field key_to[WEIR_KEY_FIELD_CNT_MAX];
};

/* What an operator reads and writes. */
struct weir_group_schemas {
    struct weir_key key; /* resolved */
    const struct weir_schema *in;
    const struct weir_schema *out;
    bool takes_changes;
};

/* weir_group_init - find the fields. Owner: schemas are kept; names are not. Errors: WEIR_EGRAPH,
 * with the reason. */
WEIR_API WEIR_MUST_USE int weir_group_init(struct weir_group *group,
    const struct weir_group_conf *conf, const struct weir_group_schemas *schemas);

/* weir_group_type - of an operator whose conf is a struct weir_process_conf of group->function. */
static inline struct weir_operator_type
weir_group_type(void)
{
    return weir_process_type_as("group", WEIR_CHANGES_TAKEN_AND_MADE);
}

WEIR_C_END

#endif
