/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of changes as the table that they leave, and as a log of themselves. */
#include "dataplane/fold.h"

#include "dataplane/operators/changelog.h"
#include "tests/unit/change_rows.h"

#define SEED_CNT 25

struct set_up {
    struct weir_fold fold;
    struct weir_process_conf process;
    struct weir_operator_type type;
    struct harness_conf harness;
};

static void
make(struct set_up *set_up, bool is_upsert)
{
    memset(set_up, 0, sizeof *set_up);
    assert_int_equal(weir_fold_init(&set_up->fold, item_schema(), is_upsert), 0);
    set_up->process.key = weir_key_of(1, "key", NULL);
    assert_int_equal(weir_key_resolve(&set_up->process.key, item_schema()), 0);
    set_up->process.function = &set_up->fold.function;
    set_up->type = weir_fold_type();
    set_up->harness.type = &set_up->type;
    set_up->harness.conf = &set_up->process;
    set_up->harness.in_schema[0] = item_schema();
    set_up->harness.arena_bytes = 16 * WEIR_MIB;
}

static void
put_line(struct change_table *table, const struct item *row)
{
    char text[64];
    struct item copy = *row;
    size_t used = 0;
    change_fill(&copy, text, &used);
    (void)snprintf(change_table_add(table), CHANGE_LINE_BYTES, "|%lld|%lld|%lld|%.*s",
        (long long)row->key, (long long)row->value, (long long)row->at, (int)used, text);
}

static void
check_end(struct harness *h, struct change_table *want)
{
    struct change_table *is = calloc(1, sizeof *is);
    assert_non_null(is);
    assert_int_equal(h->out[0].row_cnt, 0); /* nothing before the end */
    harness_watermark(h, 0, WEIR_WATERMARK_MAX - 1);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        assert_int_equal(h->out[0].row_kind[i], WEIR_ROW_INSERT);
        change_text(h, i, change_table_add(is));
    }
    change_table_expect(is, want);
    free(is);
}

static void
t_table_that_is_left_comes_at_the_end(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct change_opts opts = {.keys = 1 + s % 5, .values = 4, .has_changes = s % 4 != 0};
        struct change_table *want = calloc(1, sizeof *want);
        struct change_live *live = calloc(2, sizeof *live);
        struct changes *changes = changes_make(seed + s, &opts);
        struct set_up set_up;
        make(&set_up, false);
        set_up.harness.columns = s % 2 == 1;
        set_up.harness.batch_rows = 1 + s % 7;
        set_up.harness.is_slow = s % 3 == 0;
        set_up.harness.seed = seed + s;
        struct harness *h = harness_new(&set_up.harness);
        for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
            changes_push(h, changes, b);
            for (uint32_t i = 0; i < changes->step[b].cnt; i++) {
                change_live_apply(&live[0], &live[1], change_row(changes, b, i),
                    weir_row_kind_retracts(changes->kinds[b][i]));
            }
        }
        for (uint32_t i = 0; i < live[0].cnt; i++) {
            put_line(want, live[0].row[i]);
        }
        check_end(h, want);
        harness_free(h);
        changes_free(changes);
        free(want);
        free(live);
    }
}

/* Of each key the latest row that was no update-before; none behind a delete. */
static void
t_upserts_leave_the_latest_row_of_each_key(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct change_opts opts = {.keys = 7, .values = 9, .has_changes = s % 4 != 0};
        struct change_table *want = calloc(1, sizeof *want);
        struct changes *changes = changes_make(seed + s, &opts);
        const struct item *latest[7] = {NULL};
        struct set_up set_up;
        make(&set_up, true);
        set_up.harness.batch_rows = 1 + s % 7;
        struct harness *h = harness_new(&set_up.harness);
        for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
            changes_push(h, changes, b);
            for (uint32_t i = 0; i < changes->step[b].cnt; i++) {
                const struct item *row = change_row(changes, b, i);
                uint32_t kind = changes->kinds[b][i];
                if (kind != WEIR_ROW_UPDATE_BEFORE) {
                    latest[row->key] = kind == WEIR_ROW_DELETE ? NULL : row;
                }
            }
        }
        for (uint32_t k = 0; k < WEIR_ARRAY_CNT(latest); k++) {
            if (latest[k] != NULL) {
                put_line(want, latest[k]);
            }
        }
        check_end(h, want);
        harness_free(h);
        changes_free(changes);
        free(want);
    }
}

static void
t_row_that_never_came_fails_the_job_at_the_end(void **state)
{
    (void)state;
    const struct item row = {.key = 3, .value = 4};
    const uint8_t kind = WEIR_ROW_DELETE;
    char text[1024];
    struct set_up set_up;
    make(&set_up, false);
    struct harness *h = harness_new(&set_up.harness);
    struct weir_view view = harness_view_of(item_schema(), &row, 1);
    view.kind = (const char *)&kind;
    harness_push_view(h, 0, &view);
    assert_int_equal(harness_try_watermark(h, 0, WEIR_WATERMARK_MAX), WEIR_EDATA);
    weir_err_save(text, sizeof text);
    assert_non_null(strstr(text, "a row of item was taken back more often than it came, by 1"));
    weir_err_clear();
    harness_free(h);
}

/* Nothing is left in state behind the end, or where all is taken back. */
static void
t_table_that_is_out_leaves_no_state(void **state)
{
    (void)state;
    for (uint32_t upsert = 0; upsert < 2; upsert++) {
        const struct item row = {.key = 3, .value = 4};
        struct set_up set_up;
        make(&set_up, upsert == 1);
        struct harness *h = harness_new(&set_up.harness);
        harness_push(h, 0, &row, 1);
        harness_watermark(h, 0, WEIR_WATERMARK_MAX);
        assert_int_equal(h->out[0].row_cnt, 1);
        for (uint32_t page = 1; page < h->arena.page_fresh; page++) {
            const struct weir_slab *slab = weir_arena_ptr(&h->arena, page * WEIR_ARENA_PAGE_REFS);
            assert_int_not_equal(slab->kind, WEIR_PAGE_BLOB);
        }
        harness_free(h);
    }
}

static void
restarts(bool rescales)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < 6; s++) {
        const struct change_opts opts = {.keys = 9, .values = 5, .has_changes = s % 3 != 0};
        struct changes *changes = changes_make(seed + s, &opts);
        struct set_up set_up;
        make(&set_up, s % 2 == 1);
        changes_check_restarts(&set_up.harness, changes, seed + s, rescales);
        changes_free(changes);
    }
}

static void
t_folds_go_on_after_a_restart(void **state)
{
    (void)state;
    restarts(false);
}

static void
t_folds_go_on_with_other_subtasks(void **state)
{
    (void)state;
    restarts(true);
}

/* A checkpoint in the middle of putting the table out has what is not out yet, and no more. */
static void
t_cut_while_the_table_comes_out_loses_and_doubles_nothing(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    static struct item rows[ROWS];
    struct set_up set_up;
    struct restart_left left;
    for (uint32_t i = 0; i < ROWS; i++) {
        /* many of one key, the same one twice, and many keys */
        rows[i] = (struct item){.key = i % 2 == 0 ? 7 : (int64_t)i, .value = (int64_t)(i / 4)};
    }
    make(&set_up, false);
    set_up.harness.batch_rows = 16;
    struct harness *h = harness_new(&set_up.harness);
    harness_push(h, 0, rows, ROWS);
    weir_chain_offer_watermark(h->chain, 0, 0, WEIR_WATERMARK_MAX);
    for (uint32_t i = 0; i < 60; i++) {
        assert_true(weir_chain_run(h->chain, 1, 0) >= 0);
    }
    uint32_t first_cnt = h->out[0].row_cnt;
    assert_in_range(first_cnt, 1, ROWS - 1);
    restart_leave(h, &left);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < first_cnt; i++) {
        const struct item *row = harness_row(h, 0, i);
        sum += (uint64_t)(row->key * 5000 + row->value);
    }
    harness_free(h);
    assert_int_equal(restart_come(&set_up.harness, &left, 1, true, &h), 0);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct item *row = harness_row(h, 0, i);
        sum += (uint64_t)(row->key * 5000 + row->value);
    }
    assert_int_equal(first_cnt + h->out[0].row_cnt, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        sum -= (uint64_t)(rows[i].key * 5000 + rows[i].value);
    }
    assert_int_equal(sum, 0);
    harness_free(h);
    restart_left_free(&left);
}

/* ---- the log ---- */

#define LOGGED(F) ITEM(F) F(str, op)
WEIR_SCHEMA(logged, LOGGED)

static void
t_log_has_the_kind_in_front_of_each_row(void **state)
{
    (void)state;
    static const char *const op[] = {"+I", "-U", "+U", "-D"};
    uint64_t seed = seed_of_run();
    struct weir_field fields[5];
    struct weir_schema schema = *item_schema();
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(fields); i++) {
        fields[i] = weir_changelog_field(item_schema(), i);
    }
    assert_string_equal(fields[0].name, "op");
    assert_string_equal(fields[4].name, "name");
    schema.fields = fields;
    schema.field_cnt = 5;
    schema.row_bytes = sizeof(struct logged);
    for (uint32_t s = 0; s < 8; s++) {
        const struct weir_changelog_conf conf = {.is_upsert = s % 2 == 1};
        const struct change_opts opts = {.keys = 3, .values = 9, .has_changes = s < 6};
        struct harness_conf harness = {.type = &weir_changelog_type,
            .conf = &conf,
            .in_schema = {item_schema()},
            .out_schema = {&schema},
            .columns = s % 4 < 2,
            .is_slow = s % 3 == 0,
            .batch_rows = 1 + s};
        struct changes *changes = changes_make(seed + s, &opts);
        struct harness *h = harness_new(&harness);
        uint32_t at = 0;
        for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
            changes_push(h, changes, b);
            for (uint32_t i = 0; i < changes->step[b].cnt; i++) {
                uint32_t kind = opts.has_changes ? changes->kinds[b][i] : 0;
                if (conf.is_upsert && kind == WEIR_ROW_UPDATE_BEFORE) {
                    continue;
                }
                struct change_table want = {.cnt = 0};
                char line[CHANGE_LINE_BYTES];
                char text[CHANGE_LINE_BYTES + 4];
                put_line(&want, change_row(changes, b, i));
                change_text(h, at++, line);
                (void)snprintf(text, sizeof text, "|%s%s", op[kind], want.line[0]);
                assert_string_equal(line, text);
            }
        }
        assert_int_equal(h->out[0].row_cnt, at);
        harness_free(h);
        changes_free(changes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_table_that_is_left_comes_at_the_end),
        cmocka_unit_test(t_upserts_leave_the_latest_row_of_each_key),
        cmocka_unit_test(t_row_that_never_came_fails_the_job_at_the_end),
        cmocka_unit_test(t_table_that_is_out_leaves_no_state),
        cmocka_unit_test(t_folds_go_on_after_a_restart),
        cmocka_unit_test(t_folds_go_on_with_other_subtasks),
        cmocka_unit_test(t_cut_while_the_table_comes_out_loses_and_doubles_nothing),
        cmocka_unit_test(t_log_has_the_kind_in_front_of_each_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
