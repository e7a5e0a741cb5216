/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates per key as tables that change, beside the aggregates of the rows that are there. */
#include "dataplane/group.h"

#include "tests/unit/change_rows.h"

#define SEED_CNT 25
#define LOW 3
#define HIGH 7

#define TOTAL(F)        \
    F(i64, key)         \
    F(i64, rows)        \
    F(i64, middle_rows) \
    F(i64, sum)         \
    F(i64, avg)         \
    F(i64, least) F(i64, most) F(i64, names) F(i64, values) F(i64, middle_values) F(i64, times)
WEIR_SCHEMA(total, TOTAL)
#define PAIR(F) F(i64, key) F(i64, value) F(ts, at)
WEIR_SCHEMA(pair, PAIR)
#define MOST(F) F(i64, key) F(i64, value)
WEIR_SCHEMA(most_row, MOST)
#define ONE(F) F(i64, key) F(i64, got)
WEIR_SCHEMA(one_row, ONE)

static const struct weir_group_conf conf = {
    .column = {{WEIR_GROUP_COUNT, "rows", NULL, NULL, 0, 0},
        {WEIR_GROUP_COUNT, "middle_rows", NULL, "value", LOW, HIGH},
        {WEIR_GROUP_SUM, "sum", "value", NULL, 0, 0}, {WEIR_GROUP_AVG, "avg", "value", NULL, 0, 0},
        {WEIR_GROUP_MIN, "least", "value", NULL, 0, 0}, {WEIR_GROUP_MAX, "most", "at", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "names", "name", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "values", "value", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "middle_values", "value", "value", LOW, HIGH},
        {WEIR_GROUP_DISTINCT, "times", "at", "value", LOW, HIGH}},
    .column_cnt = 10};

struct set_up {
    struct weir_group group;
    struct weir_process_conf process;
    struct weir_operator_type type;
    struct harness_conf harness;
};

static int
try_group(struct set_up *set_up, const struct weir_group_conf *group, bool takes_changes,
    const struct weir_schema *out)
{
    memset(set_up, 0, sizeof *set_up);
    struct weir_group_schemas schemas = {.key = weir_key_of(1, "key", NULL),
        .in = item_schema(),
        .out = out,
        .takes_changes = takes_changes};
    assert_int_equal(weir_key_resolve(&schemas.key, item_schema()), 0);
    set_up->process.key = schemas.key;
    set_up->process.function = &set_up->group.function;
    set_up->type = weir_group_type();
    set_up->harness.type = &set_up->type;
    set_up->harness.conf = &set_up->process;
    set_up->harness.in_schema[0] = item_schema();
    set_up->harness.out_schema[0] = out;
    set_up->harness.has_kind = true;
    set_up->harness.arena_bytes = 16 * WEIR_MIB;
    return weir_group_init(&set_up->group, group, &schemas);
}

static void
make(struct set_up *set_up, bool takes_changes)
{
    assert_int_equal(try_group(set_up, &conf, takes_changes, total_schema()), 0);
}

/* The same with columns in another order than the output has them, and conditions in another than
 * they came. */
static void
make_mixed(struct set_up *set_up, bool takes_changes)
{
    struct weir_group_conf mixed = conf;
    mixed.column[7] = conf.column[8];
    mixed.column[8] = conf.column[7];
    assert_int_equal(try_group(set_up, &mixed, takes_changes, total_schema()), 0);
}

/* How many different texts or numbers there are: by comparing each with all before it. */
static bool
is_new(const struct change_live *live, uint32_t i, int64_t key, uint32_t column)
{
    const struct item *row = live->row[i];
    for (uint32_t j = 0; j < i; j++) {
        const struct item *other = live->row[j];
        bool is_middle = other->value >= LOW && other->value < HIGH;
        if (other->key != key || (column >= 2 && !is_middle)) {
            continue;
        }
        bool same = column == 1 || column == 2 ? other->value == row->value
                    : column == 3              ? other->at == row->at
                    : row->value % 3 == 0 || other->value % 3 == 0
                        ? row->value == other->value
                        : row->at == other->at; /* the long names of a key */
        if (same) {
            return false;
        }
    }
    return true;
}

static void
expect(const struct change_live *live, const void *arg, struct change_table *ret_table)
{
    (void)arg;
    for (int64_t key = 0; key < CHANGE_ROW_CNT; key++) {
        struct total t = {.key = key};
        for (uint32_t i = 0; i < live->cnt; i++) {
            const struct item *row = live->row[i];
            if (row->key != key) {
                continue;
            }
            bool is_middle = row->value >= LOW && row->value < HIGH;
            t.least = t.rows == 0 ? row->value : weir_min_i64(t.least, row->value);
            t.most = t.rows == 0 ? row->at : weir_max_i64(t.most, row->at);
            t.rows++;
            t.middle_rows += is_middle;
            t.sum += row->value;
            t.names += is_new(live, i, key, 0);
            t.values += is_new(live, i, key, 1);
            t.middle_values += is_middle && is_new(live, i, key, 2);
            t.times += is_middle && is_new(live, i, key, 3);
        }
        if (t.rows > 0) {
            (void)snprintf(change_table_add(ret_table), CHANGE_LINE_BYTES,
                "|%lld|%lld|%lld|%lld|%lld|%lld|%lld|%lld|%lld|%lld|%lld", (long long)key,
                (long long)t.rows, (long long)t.middle_rows, (long long)t.sum,
                (long long)(t.sum / t.rows), (long long)t.least, (long long)t.most,
                (long long)t.names, (long long)t.values, (long long)t.middle_values,
                (long long)t.times);
        }
    }
}

static void
check(const struct change_opts *opts)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct set_up set_up;
        struct changes *changes = changes_make(seed + s, opts);
        (s % 4 < 2 ? make : make_mixed)(&set_up, opts->has_changes);
        set_up.harness.columns = s % 2 == 1;
        set_up.harness.batch_rows = 2 + s % 7;
        set_up.harness.is_slow = s % 3 == 0;
        set_up.harness.seed = seed + s;
        changes_check(&set_up.harness, changes, expect, NULL);
        changes_free(changes);
    }
}

static void
t_groups_of_inserts_are_those_of_the_rows(void **state)
{
    (void)state;
    check(&(struct change_opts){.keys = 4, .values = 12});
}

static void
t_groups_of_changes_are_those_of_the_rows_that_are_left(void **state)
{
    (void)state;
    check(&(struct change_opts){.keys = 3, .values = 10, .has_changes = true});
}

/* A retraction that overtakes its row counts against it until it comes. Until then what is told may
 * be of rows that a later moment has not; in the end it is right. */
static void
t_retractions_that_come_early_are_made_up_for(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint32_t whole_cnt = 0; /* plays in which every row came in the end */
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct change_opts opts = {
            .keys = 2, .values = 5, .has_changes = true, .has_early = true};
        struct set_up set_up;
        struct change_table *is = calloc(2, sizeof *is);
        struct change_live *live = calloc(2, sizeof *live);
        struct changes *changes = changes_make(seed + s, &opts);
        uint32_t seen = 0;
        make(&set_up, true);
        struct harness *h = harness_new(&set_up.harness);
        for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
            changes_push(h, changes, b);
            for (uint32_t i = 0; i < changes->step[b].cnt; i++) {
                bool goes = weir_row_kind_retracts(changes->kinds[b][i]);
                change_live_apply(&live[0], &live[1], change_row(changes, b, i), goes);
            }
        }
        change_table_apply(is, h, &seen);
        if (live[1].cnt == 0) {
            whole_cnt++;
            expect(&live[0], NULL, is + 1);
            change_table_expect(is, is + 1);
        }
        harness_free(h);
        changes_free(changes);
        free(is);
        free(live);
    }
    assert_true(whole_cnt > SEED_CNT / 4);
}

/* What is told row by row, in full. */
static void
t_first_row_inserts_further_ones_update_and_the_last_deletes(void **state)
{
    (void)state;
    static const struct weir_group_conf two = {
        .column = {{WEIR_GROUP_COUNT, "value", NULL, NULL, 0, 0},
            {WEIR_GROUP_MAX, "at", "value", NULL, 0, 0}},
        .column_cnt = 2};
    const struct item rows[] = {{.key = 1, .value = 10}, {.key = 1, .value = 30},
        {.key = 1, .value = 30}, {.key = 1, .value = 10}};
    const uint8_t kinds[] = {
        WEIR_ROW_INSERT, WEIR_ROW_UPDATE_AFTER, WEIR_ROW_UPDATE_BEFORE, WEIR_ROW_DELETE};
    static const char *const want[] = {
        "0|1|1|10", "1|1|1|10", "2|1|2|30", "1|1|2|30", "2|1|1|10", "3|1|1|10"};
    struct set_up set_up;
    assert_int_equal(try_group(&set_up, &two, true, pair_schema()), 0);
    struct harness *h = harness_new(&set_up.harness);
    struct weir_view view = harness_view_of(item_schema(), rows, 4);
    view.kind = (const char *)kinds;
    view.kind_stride = 1;
    harness_push_view(h, 0, &view);
    assert_int_equal(h->out[0].row_cnt, WEIR_ARRAY_CNT(want));
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(want); i++) {
        char line[CHANGE_LINE_BYTES];
        line[0] = (char)('0' + h->out[0].row_kind[i]);
        change_text(h, i, line + 1);
        assert_string_equal(line, want[i]);
    }
    harness_free(h);
}

/* A row that changes no column is told nothing of. */
static void
t_nothing_is_told_where_no_column_changes(void **state)
{
    (void)state;
    static const struct weir_group_conf most = {
        .column = {{WEIR_GROUP_MAX, "value", "value", NULL, 0, 0}}, .column_cnt = 1};
    const struct item rows[] = {{.key = 1, .value = 5}, {.key = 1, .value = 4},
        {.key = 1, .value = 5}, {.key = 1, .value = 6}};
    struct set_up set_up;
    assert_int_equal(try_group(&set_up, &most, false, most_row_schema()), 0);
    struct harness *h = harness_new(&set_up.harness);
    harness_push(h, 0, rows, 4);
    assert_int_equal(h->out[0].row_cnt, 3);
    harness_free(h);
}

/* The greatest number is in the range that has no end, and in no other. */
static void
t_a_range_up_to_the_greatest_number_has_it(void **state)
{
    (void)state;
    static const struct weir_group_conf ranges = {
        .column = {{WEIR_GROUP_COUNT, "value", NULL, "value", HIGH, INT64_MAX},
            {WEIR_GROUP_DISTINCT, "at", "value", "value", LOW, INT64_MAX - 1}},
        .column_cnt = 2};
    const struct item rows[] = {
        {.key = 1, .value = INT64_MAX}, {.key = 1, .value = HIGH}, {.key = 1, .value = INT64_MIN}};
    struct set_up set_up;
    assert_int_equal(try_group(&set_up, &ranges, false, pair_schema()), 0);
    struct harness *h = harness_new(&set_up.harness);
    harness_push(h, 0, rows, 3);
    struct pair last;
    memcpy(&last, harness_row(h, 0, h->out[0].row_cnt - 1), sizeof last);
    assert_int_equal(last.value, 2);
    assert_int_equal(last.at, 1);
    harness_free(h);
}

/* Many keys of one value, so that states move and others come to lie where they lay: what was seen
 * of the one is not taken for the other's. */
static void
t_values_are_those_of_their_keys_where_states_move(void **state)
{
    (void)state;
    enum { KEY_CNT = 3000 };
    static const struct weir_group_conf values = {
        .column = {{WEIR_GROUP_DISTINCT, "got", "value", NULL, 0, 0}}, .column_cnt = 1};
    struct set_up set_up;
    assert_int_equal(try_group(&set_up, &values, false, one_row_schema()), 0);
    struct harness *h = harness_new(&set_up.harness);
    for (int64_t turn = 0; turn < 2; turn++) {
        for (int64_t key = 0; key < KEY_CNT; key++) {
            const struct item row = {.key = turn == 0 ? key : KEY_CNT - 1 - key, .value = 7};
            harness_push(h, 0, &row, 1);
        }
    }
    assert_int_equal(h->out[0].row_cnt, KEY_CNT); /* the second turn changes nothing */
    for (uint32_t i = 0; i < KEY_CNT; i++) {
        struct one_row row;
        memcpy(&row, harness_row(h, 0, i), sizeof row);
        assert_int_equal(row.got, 1);
    }
    harness_free(h);
}

/* Where state has no room for one more value of many the job ends with that. */
static void
t_values_that_have_no_room_are_an_error(void **state)
{
    (void)state;
    static const struct weir_group_conf values = {
        .column = {{WEIR_GROUP_DISTINCT, "got", "value", NULL, 0, 0}}, .column_cnt = 1};
    for (uint32_t changes = 0; changes < 2; changes++) {
        struct set_up set_up;
        struct item row = {.key = 1};
        int err = 0;
        assert_int_equal(try_group(&set_up, &values, changes == 1, one_row_schema()), 0);
        set_up.harness.arena_bytes = WEIR_MIB;
        struct harness *h = harness_new(&set_up.harness);
        while (err == 0) {
            row.value++;
            err = harness_try_push(h, 0, &row, 1);
        }
        assert_int_equal(err, WEIR_EBUDGET);
        assert_true(row.value > 1000);
        weir_err_clear();
        harness_free(h);
    }
}

static void
restarts(bool rescales)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < 6; s++) {
        const struct change_opts opts = {.keys = 9, .values = 10, .has_changes = s % 2 == 1};
        struct changes *changes = changes_make(seed + s, &opts);
        struct set_up set_up;
        make(&set_up, opts.has_changes);
        changes_check_restarts(&set_up.harness, changes, seed + s, rescales);
        changes_free(changes);
    }
}

static void
t_groups_go_on_after_a_restart(void **state)
{
    (void)state;
    restarts(false);
}

static void
t_groups_go_on_with_other_subtasks(void **state)
{
    (void)state;
    restarts(true);
}

/* ---- what is refused ---- */

static void
refused(const struct weir_group_column *column, const char *why)
{
    struct weir_group_conf one = {.column = {*column}, .column_cnt = 1};
    struct set_up set_up;
    char text[1024];
    weir_err_clear();
    assert_int_equal(try_group(&set_up, &one, false, one_row_schema()), WEIR_EGRAPH);
    weir_err_save(text, sizeof text);
    if (strstr(text, why) == NULL) {
        fail_msg("'%s' is not in: %s", why, text);
    }
    weir_err_clear();
}

static void
t_columns_that_cannot_be_are_refused(void **state)
{
    (void)state;
    refused(&(struct weir_group_column){WEIR_GROUP_SUM, "got", "name", NULL, 0, 0}, "is str");
    refused(&(struct weir_group_column){WEIR_GROUP_SUM, "got", "none", NULL, 0, 0},
        "no field none in item");
    refused(&(struct weir_group_column){WEIR_GROUP_SUM, "nowhere", "value", NULL, 0, 0},
        "no field nowhere");
    refused(&(struct weir_group_column){WEIR_GROUP_SUM, "got", "value", "at", 0, 1},
        "only counts may be of some");
    refused(&(struct weir_group_column){WEIR_GROUP_COUNT, "key", NULL, NULL, 0, 0},
        "the field got of one_row is neither");
}

/* State of a job with other columns is not taken for that of this one. */
static void
t_state_of_other_columns_is_refused(void **state)
{
    (void)state;
    struct weir_group_conf other = conf;
    const struct item row = {.key = 1, .value = 5};
    struct set_up set_up;
    struct restart_left left;
    other.column[1].to = HIGH + 1;
    make(&set_up, false);
    struct harness *h = harness_new(&set_up.harness);
    harness_push(h, 0, &row, 1);
    restart_leave(h, &left);
    harness_free(h);
    assert_int_equal(try_group(&set_up, &other, false, total_schema()), 0);
    assert_int_equal(restart_come(&set_up.harness, &left, 1, false, &h), 0);
    assert_int_equal(harness_try_push(h, 0, &row, 1), WEIR_ESTATE);
    weir_err_clear();
    harness_free(h);
    restart_left_free(&left);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_groups_of_inserts_are_those_of_the_rows),
        cmocka_unit_test(t_groups_of_changes_are_those_of_the_rows_that_are_left),
        cmocka_unit_test(t_retractions_that_come_early_are_made_up_for),
        cmocka_unit_test(t_first_row_inserts_further_ones_update_and_the_last_deletes),
        cmocka_unit_test(t_nothing_is_told_where_no_column_changes),
        cmocka_unit_test(t_a_range_up_to_the_greatest_number_has_it),
        cmocka_unit_test(t_values_are_those_of_their_keys_where_states_move),
        cmocka_unit_test(t_values_that_have_no_room_are_an_error),
        cmocka_unit_test(t_groups_go_on_after_a_restart),
        cmocka_unit_test(t_groups_go_on_with_other_subtasks),
        cmocka_unit_test(t_columns_that_cannot_be_are_refused),
        cmocka_unit_test(t_state_of_other_columns_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
