/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of keys, and rolling aggregates, as tables that change, beside a sort of the rows
 * that are there. */
#include "dataplane/ranking.h"

#include "dataplane/rolling.h"
#include "tests/unit/change_rows.h"

#define SEED_CNT 12

#define NUMBERED(F) ITEM(F) F(i64, number)
WEIR_SCHEMA(numbered, NUMBERED)

struct set_up {
    struct weir_ranking ranking;
    struct weir_rolling rolling;
    struct weir_process_conf process;
    struct weir_operator_type type;
    struct harness_conf harness;
};

static void
set_up_harness(struct set_up *set_up, const struct weir_process_function *function,
    struct weir_operator_type type, const struct weir_schema *out)
{
    set_up->process.key = weir_key_of(1, "key", NULL);
    assert_int_equal(weir_key_resolve(&set_up->process.key, item_schema()), 0);
    set_up->process.function = function;
    set_up->type = type;
    set_up->harness.type = &set_up->type;
    set_up->harness.conf = &set_up->process;
    set_up->harness.in_schema[0] = item_schema();
    set_up->harness.out_schema[0] = out;
    set_up->harness.has_kind = true;
    set_up->harness.arena_bytes = 16 * WEIR_MIB;
}

static void
make_ranking(struct set_up *set_up, const struct weir_ranking_conf *conf, bool takes_changes)
{
    const struct weir_schema *out = conf->rank_as != NULL ? numbered_schema() : item_schema();
    memset(set_up, 0, sizeof *set_up);
    assert_int_equal(
        weir_ranking_init(&set_up->ranking, conf, item_schema(), out, takes_changes), 0);
    set_up_harness(set_up, &set_up->ranking.function, weir_ranking_type(), out);
}

/* ---- the plain way: rows of a key in order, by insertion ---- */

struct expect {
    const struct weir_ranking_conf *ranking; /* NULL: rolling */
    const struct weir_rolling_conf *rolling;
    bool has_changes;
};

static int64_t
value_of(const struct item *row, const char *field)
{
    return strcmp(field, "value") == 0 ? row->value : row->at;
}

static bool
comes_before(const struct weir_row_by *by, const struct item *a, const struct item *b)
{
    for (uint32_t i = 0; i < WEIR_ROW_ORDER_CNT_MAX && by[i].field != NULL; i++) {
        int64_t x = value_of(a, by[i].field);
        int64_t y = value_of(b, by[i].field);
        if (x != y) {
            return (x < y) != by[i].descending;
        }
    }
    return false;
}

/* Of changes, rows that are the same count as one that came with the first of them. */
static uint32_t
arrival_of(const struct change_live *live, uint32_t i, bool has_changes)
{
    for (uint32_t j = 0; j < i && has_changes; j++) {
        if (change_same(live->row[j], live->row[i])) {
            return j;
        }
    }
    return i;
}

static uint32_t
sort_key(const struct change_live *live, int64_t key, const struct weir_row_by *by,
    const struct expect *wanted, uint32_t *ret_order)
{
    bool latest_first = wanted->ranking != NULL && wanted->ranking->latest_first;
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < live->cnt; i++) {
        if (live->row[i]->key != key) {
            continue;
        }
        uint32_t at = cnt++;
        for (; at > 0; at--) {
            uint32_t other = ret_order[at - 1];
            bool is_equal = !comes_before(by, live->row[other], live->row[i]) &&
                            !comes_before(by, live->row[i], live->row[other]);
            uint32_t mine = arrival_of(live, i, wanted->has_changes);
            uint32_t its = arrival_of(live, other, wanted->has_changes);
            bool first = is_equal ? (latest_first ? mine > its : mine < its)
                                  : comes_before(by, live->row[i], live->row[other]);
            if (!first) {
                break;
            }
            ret_order[at] = other;
        }
        ret_order[at] = i;
    }
    return cnt;
}

static void
put_line(struct change_table *table, const struct item *row, bool is_numbered, int64_t number)
{
    char text[64];
    char *line = change_table_add(table);
    struct item copy = *row;
    size_t used = 0;
    change_fill(&copy, text, &used);
    int at = snprintf(line, CHANGE_LINE_BYTES, "|%lld|%lld|%lld|%.*s", (long long)row->key,
        (long long)row->value, (long long)row->at, (int)used, text);
    if (is_numbered) {
        (void)snprintf(line + at, (size_t)(CHANGE_LINE_BYTES - at), "|%lld", (long long)number);
    }
}

static int64_t
rolled(const struct change_live *live, const struct weir_rolling_conf *conf, const uint32_t *order,
    uint32_t at)
{
    uint32_t from = at > conf->preceding ? at - conf->preceding : 0;
    int64_t sum = 0;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    for (uint32_t i = from; i <= at; i++) {
        int64_t value = live->row[order[i]]->value;
        sum += value;
        least = weir_min_i64(least, value);
        most = weir_max_i64(most, value);
    }
    int64_t cnt = at - from + 1;
    switch (conf->kind) {
    case WEIR_GROUP_COUNT:
        return cnt;
    case WEIR_GROUP_SUM:
        return sum;
    case WEIR_GROUP_MIN:
        return least;
    case WEIR_GROUP_MAX:
        return most;
    default:
        return sum / cnt;
    }
}

static void
expect(const struct change_live *live, const void *arg, struct change_table *ret_table)
{
    const struct expect *wanted = arg;
    uint32_t order[CHANGE_ROW_CNT];
    for (int64_t key = 0; key < 10; key++) {
        if (wanted->ranking != NULL) {
            const struct weir_ranking_conf *conf = wanted->ranking;
            uint32_t cnt = sort_key(live, key, conf->by, wanted, order);
            for (uint32_t i = 0; i < cnt && i < conf->cnt; i++) {
                put_line(ret_table, live->row[order[i]], conf->rank_as != NULL, i + 1);
            }
            continue;
        }
        uint32_t cnt = sort_key(live, key, wanted->rolling->by, wanted, order);
        for (uint32_t i = 0; i < cnt; i++) {
            put_line(ret_table, live->row[order[i]], true, rolled(live, wanted->rolling, order, i));
        }
    }
}

static const struct weir_ranking_conf rankings[] = {
    {.by = {{"value", true}}, .cnt = 1},
    {.by = {{"value", true}}, .cnt = 1, .latest_first = true},
    {.by = {{"at", false}}, .cnt = 3, .latest_first = true},
    {.by = {{"value", true}, {"at", false}}, .cnt = 4},
    {.by = {{"value", true}, {"at", false}}, .cnt = 3, .rank_as = "number"},
    {.by = {{"value", false}}, .cnt = 10, .rank_as = "number"},
    {.by = {{"at", true}}, .cnt = 200, .rank_as = "number"},
};

static void
check_rankings(bool has_changes)
{
    uint64_t seed = seed_of_run();
    for (uint32_t r = 0; r < WEIR_ARRAY_CNT(rankings); r++) {
        for (uint32_t s = 0; s < SEED_CNT; s++) {
            const struct change_opts opts = {
                .keys = 1 + s % 4, .values = 3 + s % 20, .has_changes = has_changes};
            const struct expect wanted = {&rankings[r], NULL, has_changes};
            struct set_up set_up;
            struct changes *changes = changes_make(seed + s, &opts);
            make_ranking(&set_up, &rankings[r], has_changes);
            set_up.harness.columns = s % 2 == 1;
            set_up.harness.batch_rows = 2 + s % 7;
            set_up.harness.is_slow = s % 3 == 0;
            set_up.harness.seed = seed + s;
            changes_check(&set_up.harness, changes, expect, &wanted);
            changes_free(changes);
        }
    }
}

static void
t_first_rows_of_inserts_are_those_of_a_sort(void **state)
{
    (void)state;
    check_rankings(false);
}

static void
t_first_rows_of_changes_are_those_of_a_sort_of_what_is_left(void **state)
{
    (void)state;
    check_rankings(true);
}

/* Of a stream of inserts nothing is kept that cannot be among the first. */
static void
t_rows_behind_the_first_are_not_kept(void **state)
{
    (void)state;
    const struct weir_ranking_conf conf = {.by = {{"value", true}}, .cnt = 3};
    struct set_up set_up;
    struct item rows[200];
    make_ranking(&set_up, &conf, false);
    memset(rows, 0, sizeof rows);
    struct harness *h = harness_new(&set_up.harness);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        rows[i].value = (int64_t)(weir_rng_mix(i) % 1000);
    }
    harness_push(h, 0, rows, 3);
    uint64_t used = weir_arena_used_bytes(&h->arena);
    harness_push(h, 0, rows + 3, WEIR_ARRAY_CNT(rows) - 3);
    assert_int_equal(weir_arena_used_bytes(&h->arena), used);
    harness_free(h);
}

/* ---- rolling aggregates ---- */

static const struct weir_rolling_conf rollings[] = {
    {.by = {{"at", false}}, .preceding = 2, .kind = WEIR_GROUP_AVG, .of = "value", .as = "number"},
    {.by = {{"at", false}, {"value", true}},
        .preceding = 10,
        .kind = WEIR_GROUP_SUM,
        .of = "value",
        .as = "number"},
    {.by = {{"value", true}},
        .preceding = 1,
        .kind = WEIR_GROUP_MIN,
        .of = "value",
        .as = "number"},
    {.by = {{"at", false}}, .preceding = 4, .kind = WEIR_GROUP_MAX, .of = "value", .as = "number"},
    {.by = {{"at", false}}, .preceding = 64, .kind = WEIR_GROUP_COUNT, .as = "number"},
    {.by = {{"at", false}}, .preceding = 0, .kind = WEIR_GROUP_SUM, .of = "value", .as = "number"},
};

static void
make_rolling(struct set_up *set_up, const struct weir_rolling_conf *conf)
{
    memset(set_up, 0, sizeof *set_up);
    assert_int_equal(
        weir_rolling_init(&set_up->rolling, conf, item_schema(), numbered_schema()), 0);
    set_up_harness(set_up, &set_up->rolling.function, weir_rolling_type(), numbered_schema());
}

static void
t_rolling_aggregates_are_those_of_the_rows_that_are_left(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t r = 0; r < WEIR_ARRAY_CNT(rollings); r++) {
        for (uint32_t s = 0; s < SEED_CNT; s++) {
            const struct change_opts opts = {
                .keys = 1 + s % 4, .values = 3 + s % 20, .has_changes = s % 4 != 0};
            const struct expect wanted = {NULL, &rollings[r], true};
            struct set_up set_up;
            struct changes *changes = changes_make(seed + s, &opts);
            make_rolling(&set_up, &rollings[r]);
            set_up.harness.batch_rows = 2 + s % 7;
            set_up.harness.is_slow = s % 3 == 0;
            set_up.harness.seed = seed + s;
            changes_check(&set_up.harness, changes, expect, &wanted);
            changes_free(changes);
        }
    }
}

/* ---- restarts ---- */

static void
restarts(bool rescales)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < 8; s++) {
        const struct change_opts opts = {.keys = 9, .values = 10, .has_changes = s % 2 == 1};
        struct changes *changes = changes_make(seed + s, &opts);
        struct set_up set_up;
        if (s % 3 == 2) {
            make_rolling(&set_up, &rollings[s % WEIR_ARRAY_CNT(rollings)]);
        } else {
            make_ranking(&set_up, &rankings[s % WEIR_ARRAY_CNT(rankings)], opts.has_changes);
        }
        changes_check_restarts(&set_up.harness, changes, seed + s, rescales);
        changes_free(changes);
    }
}

static void
t_first_rows_go_on_after_a_restart(void **state)
{
    (void)state;
    restarts(false);
}

static void
t_first_rows_go_on_with_other_subtasks(void **state)
{
    (void)state;
    restarts(true);
}

/* ---- what is refused ---- */

static void
expect_refused(int err, const char *why)
{
    char text[1024];
    assert_int_equal(err, WEIR_EGRAPH);
    weir_err_save(text, sizeof text);
    if (strstr(text, why) == NULL) {
        fail_msg("'%s' is not in: %s", why, text);
    }
    weir_err_clear();
}

static int
try_ranking(const struct weir_ranking_conf *conf, const struct weir_schema *out)
{
    static struct weir_ranking ranking;
    weir_err_clear();
    return weir_ranking_init(&ranking, conf, item_schema(), out, false);
}

static int
try_rolling(const struct weir_rolling_conf *conf)
{
    static struct weir_rolling rolling;
    weir_err_clear();
    return weir_rolling_init(&rolling, conf, item_schema(), numbered_schema());
}

static void
t_orders_and_fields_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const struct weir_schema *numbered = numbered_schema();
    expect_refused(
        try_ranking(&(struct weir_ranking_conf){.by = {{"name", true}}, .cnt = 1}, item_schema()),
        "cannot be ordered by name");
    expect_refused(try_ranking(&(struct weir_ranking_conf){.cnt = 1}, item_schema()), "no field");
    expect_refused(
        try_ranking(&(struct weir_ranking_conf){.by = {{"at", true}}}, item_schema()), "first 0");
    expect_refused(
        try_ranking(&(struct weir_ranking_conf){.by = {{"at", true}}, .cnt = 257}, item_schema()),
        "1 to 256");
    expect_refused(
        try_ranking(&(struct weir_ranking_conf){.by = {{"at", true}}, .cnt = 1}, numbered),
        "nothing goes into the field number");
    expect_refused(
        try_ranking(&(struct weir_ranking_conf){.by = {{"at", true}}, .cnt = 1, .rank_as = "value"},
            numbered),
        "no field value of its own");
    struct weir_rolling_conf rolling = rollings[0];
    rolling.preceding = 65;
    expect_refused(try_rolling(&rolling), "up to 64 rows");
    rolling = rollings[0];
    rolling.of = "name";
    expect_refused(try_rolling(&rolling), "the field name of item cannot be aggregated");
    rolling = rollings[0];
    rolling.as = "value";
    expect_refused(try_rolling(&rolling), "one field that item has not");
}

static void
t_rows_that_state_cannot_hold_fail_the_job(void **state)
{
    (void)state;
    static char text[WEIR_ROW_PACK_BYTES_MAX];
    struct set_up set_up;
    struct item row = {.name = weir_str_ref(text, text, sizeof text)};
    make_ranking(&set_up, &rankings[0], false);
    struct harness *h = harness_new(&set_up.harness);
    struct weir_view view = harness_view_of(item_schema(), &row, 1);
    view.heap = text;
    weir_chain_offer(h->chain, 0, 0, &view);
    assert_int_equal(harness_run(h), WEIR_EDATA);
    weir_err_clear();
    harness_free(h);
}

static void
expect_state_refused(const struct weir_ranking_conf *other)
{
    const struct item row = {.key = 1, .value = 5};
    struct set_up set_up;
    struct restart_left left;
    make_ranking(&set_up, &rankings[0], false);
    struct harness *h = harness_new(&set_up.harness);
    harness_push(h, 0, &row, 1);
    restart_leave(h, &left);
    harness_free(h);
    make_ranking(&set_up, other, false);
    assert_int_equal(restart_come(&set_up.harness, &left, 1, false, &h), WEIR_ESTATE);
    weir_err_clear();
    restart_left_free(&left);
}

static void
t_state_of_another_order_is_refused(void **state)
{
    (void)state;
    struct weir_ranking_conf other = rankings[0];
    other.by[0].descending = !other.by[0].descending;
    expect_state_refused(&other);
}

/* Of fewer rows the list would never be full; of more, rows are gone that would be wanted. */
static void
t_state_of_another_number_of_rows_is_refused(void **state)
{
    (void)state;
    struct weir_ranking_conf other = rankings[0];
    other.cnt = rankings[0].cnt + 1;
    expect_state_refused(&other);
    other.cnt = rankings[0].cnt > 1 ? rankings[0].cnt - 1 : 3;
    expect_state_refused(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_first_rows_of_inserts_are_those_of_a_sort),
        cmocka_unit_test(t_first_rows_of_changes_are_those_of_a_sort_of_what_is_left),
        cmocka_unit_test(t_rows_behind_the_first_are_not_kept),
        cmocka_unit_test(t_rolling_aggregates_are_those_of_the_rows_that_are_left),
        cmocka_unit_test(t_first_rows_go_on_after_a_restart),
        cmocka_unit_test(t_first_rows_go_on_with_other_subtasks),
        cmocka_unit_test(t_orders_and_fields_that_cannot_be_are_refused),
        cmocka_unit_test(t_rows_that_state_cannot_hold_fail_the_job),
        cmocka_unit_test(t_state_of_another_order_is_refused),
        cmocka_unit_test(t_state_of_another_number_of_rows_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
