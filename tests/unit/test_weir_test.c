/* SPDX-License-Identifier: Apache-2.0 */
/* The harness for operators, by operators whose answers are plain. */
#include "sched/weir_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/parts.h"
#include "sched/keyed.h"
#include "tests/unit/test.h"

#define CLICK(F) F(time, at) F(i64, user) F(str, page)
WEIR_SCHEMA(click, CLICK)
#define TOTAL(F) F(i64, user) F(i64, cnt)
WEIR_SCHEMA(total, TOTAL)
#define WORD(F) F(str, text)
WEIR_SCHEMA(word, WORD)

static struct click
click_of(int64_t at, int64_t user)
{
    return (struct click){.at = at, .user = user, .page = weir_str_inline("p", 1)};
}

static void
expect(int is, int code, const char *part)
{
    char text[1024] = "";
    weir_err_save(text, sizeof text);
    weir_err_clear();
    if (is != code || (part != NULL && strstr(text, part) == NULL)) {
        fail_msg("%d, wanted %d; '%s' is not in '%s'", is, code, part != NULL ? part : "", text);
    }
}

static void
good(int err)
{
    expect(err, 0, NULL);
}

static struct weir_test *
open_test(const struct weir_test_conf *conf)
{
    struct weir_test *test = NULL;
    good(weir_test_open(conf, &test));
    return test;
}

/* ---- operators ---- */

WEIR_MAP(page, click, word)
{
    (void)heap;
    out->text = in->page;
}
WEIR_FILTER(even, click)
{
    return in->user % 2 == 0;
}

/* How often each user has clicked; told 100 ms behind the last click. */
#define VISIT(F) F(i64, cnt) F(i64, due)
WEIR_SCHEMA(visit, VISIT)
WEIR_PROCESS_NAMED_TIMED(visits, click, visit, total)
{
    if (state->cnt > 0) {
        (void)weir_process_timer_delete(p, state->due, 0);
    }
    if (in->user < 0) {
        return weir_err_push(WEIR_EDATA, "user %lld", (long long)in->user);
    }
    state->cnt++;
    state->due = in->at + 100;
    return weir_process_timer_set(p, state->due, 0);
}
WEIR_ON_TIMER(visits, struct visit)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct total *out = total_emit(p->out);
    out->user = weir_process_key(p, 0);
    out->cnt = state->cnt;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

static void
build_visits(struct weir_test *test, void *arg)
{
    const uint32_t *feed_cnt = arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), feed_cnt != NULL ? *feed_cnt : 1);
    s = weir_process(weir_key_by(s, WEIR_KEY(click, user)), "visits", &visits_process, NULL);
    weir_test_output(test, s);
}

static void
build_pages(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    weir_test_output(test, weir_map(s, "page", &page_op));
    weir_test_output(test, weir_filter(s, "even", &even_op));
}

/* ---- rows and events ---- */

static void
t_rows_come_out_as_texts_and_structs(void **state)
{
    (void)state;
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_pages});
    struct click rows[] = {click_of(1, 1), click_of(2, 2)};
    rows[1].page = weir_test_str(rows, "a page with a \"long\" name, and a comma");
    good(weir_test_push(test, 0, rows, 2));
    good(weir_test_watermark(test, 0, 5));
    good(weir_test_idle(test, 0, true));
    good(weir_test_idle(test, 0, false));
    good(weir_test_watermark(test, 0, WEIR_WATERMARK_MAX));
    good(weir_test_end(test, 0));
    assert_string_equal(weir_test_text(test, 0),
        "p\n\"a page with a \"\"long\"\" name, and a comma\"\n"
        "watermark 5\nidle\nactive\nwatermark max\nend\n");
    assert_string_equal(weir_test_text(test, 1),
        "2,2,\"a page with a \"\"long\"\" name, and a comma\"\n"
        "watermark 5\nidle\nactive\nwatermark max\nend\n");
    struct weir_test_event event;
    assert_int_equal(weir_test_event_cnt(test, 1), 6);
    assert_true(weir_test_event(test, 1, 0, &event));
    assert_int_equal(event.kind, WEIR_TEST_ROW);
    assert_int_equal(event.row_kind, WEIR_ROW_INSERT);
    assert_int_equal(event.time, 2);
    const struct click *row = event.row;
    struct weir_slice page = weir_test_slice(test, 1, &row->page);
    assert_memory_equal(page.ptr, "a page with", 11);
    assert_true(weir_test_event(test, 1, 1, &event));
    assert_int_equal(event.time, 5);
    assert_false(weir_test_event(test, 1, 6, &event));
    struct weir_test_counts counts;
    assert_true(weir_test_counts(test, "even", &counts));
    assert_int_equal(counts.rows_in, 2);
    assert_int_equal(counts.rows_out, 1);
    assert_false(weir_test_counts(test, "nobody", &counts));
    weir_test_clear(test);
    assert_string_equal(weir_test_text(test, 0), "");
    expect(weir_test_push(test, 0, rows, 1), WEIR_ECLOSED, "feed 0 has ended");
    expect(weir_test_watermark(test, 1, 1), WEIR_EINVAL, "there is no feed 1");
    weir_test_close(test);
}

static void
t_watermarks_of_feeds_join_and_idle_ones_do_not_count(void **state)
{
    (void)state;
    uint32_t feed_cnt = 2;
    struct weir_test *test =
        open_test(&(struct weir_test_conf){.build = build_visits, .arg = &feed_cnt});
    struct click row = click_of(1000, 7);
    good(weir_test_push(test, 1, &row, 1));
    good(weir_test_watermark(test, 1, 2000));
    assert_string_equal(weir_test_text(test, 0), "");
    good(weir_test_watermark(test, 0, 1099));
    assert_string_equal(weir_test_text(test, 0), "watermark 1099\n");
    good(weir_test_idle(test, 0, true));
    assert_string_equal(weir_test_text(test, 0), "watermark 1099\n7,1\nwatermark 2000\n");
    struct weir_test_counts counts;
    assert_true(weir_test_counts(test, "visits", &counts));
    assert_int_equal(counts.timers_fired, 1);
    weir_test_close(test);
}

static void
t_slow_outputs_columns_and_small_batches_change_nothing(void **state)
{
    (void)state;
    enum { CNT = 3000 };
    char *want = NULL;
    for (uint32_t trial = 0; trial < 8; trial++) {
        const struct weir_test_conf conf = {.build = build_visits,
            .parallelism = trial == 7 ? 3 : 1,
            .slow = trial % 2 == 1,
            .columns = trial / 2 % 2 == 1,
            .batch_rows = trial < 4 ? 0 : 64,
            .seed = trial};
        struct weir_test *test = open_test(&conf);
        struct weir_rng rng;
        weir_rng_init(&rng, 42);
        struct click *rows = calloc(CNT, sizeof *rows);
        assert_non_null(rows);
        for (uint32_t i = 0; i < CNT; i++) {
            rows[i] = click_of(i, weir_rng_between(&rng, 0, 90));
        }
        good(weir_test_push(test, 0, rows, CNT / 2));
        good(weir_test_watermark(test, 0, CNT / 2));
        good(weir_test_push(test, 0, rows + CNT / 2, CNT / 2));
        good(weir_test_watermark(test, 0, WEIR_WATERMARK_MAX));
        const char *text = weir_test_rows(test, 0);
        want = want != NULL ? want : strdup(text);
        assert_true(strlen(want) > 100);
        assert_string_equal(text, want);
        free(rows);
        weir_test_close(test);
    }
    free(want);
}

static void
build_changes(struct weir_test *test, void *arg)
{
    (void)arg;
    weir_test_output(
        test, weir_filter(weir_test_changes(test, click_schema(), 1), "even", &even_op));
}

static void
t_changes_go_in_and_out_with_their_kinds(void **state)
{
    (void)state;
    for (uint32_t columns = 0; columns < 2; columns++) {
        struct weir_test *test =
            open_test(&(struct weir_test_conf){.build = build_changes, .columns = columns == 1});
        const struct click rows[] = {click_of(1, 2), click_of(2, 3), click_of(3, 4)};
        good(weir_test_push(test, 0, rows, 3));
        good(weir_test_push_kind(test, 0, WEIR_ROW_UPDATE_BEFORE, rows, 1));
        good(weir_test_push_kind(test, 0, WEIR_ROW_UPDATE_AFTER, rows + 2, 1));
        good(weir_test_push_kind(test, 0, WEIR_ROW_DELETE, rows, 3));
        assert_string_equal(
            weir_test_text(test, 0), "1,2,p\n3,4,p\n-U 1,2,p\n+U 3,4,p\n-D 1,2,p\n-D 3,4,p\n");
        weir_test_close(test);
    }
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_pages});
    const struct click row = click_of(1, 2);
    expect(weir_test_push_kind(test, 0, WEIR_ROW_DELETE, &row, 1), WEIR_EINVAL, "none of changes");
    weir_test_close(test);
}

/* Says at which times it was called: every 10 ms. */
struct ticks {
    int64_t due_ns;
};
static int
ticks_open(struct weir_operator *op)
{
    struct ticks *self = op->self;
    self->due_ns = weir_operator_due_ns(op, 10);
    return 0;
}
static int64_t
ticks_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)out;
    (void)now_ns;
    return in->cnt - cursor;
}
static int64_t
ticks_due_ns(const struct weir_operator *op)
{
    const struct ticks *self = op->self;
    return self->due_ns;
}
static int
ticks_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct ticks *self = op->self;
    struct total *row = total_emit(out);
    row->user = weir_operator_utc_ms(op, now_ns);
    row->cnt = 1;
    self->due_ns = now_ns + 10 * WEIR_MS;
    return WEIR_DONE;
}
static const struct weir_operator_type ticks_type = {.name = "ticks",
    .self_bytes = sizeof(struct ticks),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = ticks_open,
    .process = ticks_process,
    .due_ns = ticks_due_ns,
    .timer = ticks_timer};

static void
build_ticks(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    const struct weir_operator_conf conf = {
        .name = "ticks", .type = &ticks_type, .out_schema = {total_schema()}};
    weir_test_output(test, weir_operator(&s, 1, &conf));
}

static void
t_what_falls_due_is_done_at_its_time(void **state)
{
    (void)state;
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_ticks});
    good(weir_test_time(test, 9));
    assert_string_equal(weir_test_text(test, 0), "");
    good(weir_test_time(test, 35));
    assert_string_equal(weir_test_text(test, 0), "10,1\n20,1\n30,1\n");
    weir_test_close(test);
}

/* ---- checkpoints ---- */

static void
t_a_barrier_holds_its_feed_back_and_the_state_is_that_of_the_barrier(void **state)
{
    (void)state;
    uint32_t feed_cnt = 2;
    struct weir_test_snapshot *saved = NULL;
    struct weir_test *test =
        open_test(&(struct weir_test_conf){.build = build_visits, .arg = &feed_cnt});
    struct click row = click_of(10, 7);
    good(weir_test_push(test, 0, &row, 1));
    good(weir_test_barrier(test, 0, 3));
    expect(weir_test_snapshot(test, &saved), WEIR_ECHECKPOINT, "has not begun");
    row = click_of(20, 8); /* behind the barrier */
    good(weir_test_push(test, 0, &row, 1));
    row = click_of(30, 9); /* before that of the other feed */
    good(weir_test_push(test, 1, &row, 1));
    struct weir_test_counts counts;
    assert_true(weir_test_counts(test, "visits", &counts));
    assert_int_equal(counts.rows_in, 2);
    good(weir_test_barrier(test, 1, 3));
    assert_true(weir_test_counts(test, "visits", &counts));
    assert_int_equal(counts.rows_in, 3);
    good(weir_test_snapshot(test, &saved));
    assert_int_equal(weir_test_snapshot_id(saved), 3);
    assert_string_equal(weir_test_text(test, 0), "barrier 3\n");
    assert_string_equal(
        weir_test_state(saved, "visits", "state"), "key=9 cnt=1 due=130\nkey=7 cnt=1 due=110\n");
    assert_string_equal(weir_test_state(saved, "visits", "timers"),
        "key=9 namespace=0 time=130\nkey=7 namespace=0 time=110\n");
    assert_non_null(strstr(weir_test_state(saved, "visits", NULL), "timers\n"));
    assert_null(weir_test_state(saved, "visits", "nothing"));
    assert_null(weir_test_state(saved, "nobody", NULL));
    expect(weir_test_barrier(test, 1, 2), WEIR_EINVAL, "ids rise");
    weir_test_snapshot_free(saved);
    weir_test_close(test);
}

static void
t_a_feed_that_is_held_back_keeps_only_so_much(void **state)
{
    (void)state;
    uint32_t feed_cnt = 2;
    struct weir_test *test =
        open_test(&(struct weir_test_conf){.build = build_visits, .arg = &feed_cnt});
    struct click row = click_of(10, 7);
    int err = weir_test_barrier(test, 0, 1);
    for (uint32_t i = 0; i < 200 && err == 0; i++) {
        err = weir_test_push(test, 0, &row, 1);
    }
    expect(err, WEIR_EREFUSED, "feed 0 is full");
    expect(weir_test_push(test, 1, &row, 1), WEIR_EREFUSED, "feed 0 is full");
    weir_test_close(test);
}

enum { USERS = 40, ROWS = 600 };

/* Rows [from, to), each behind the watermark that it allows. */
static void
play(struct weir_test *test, const struct click *rows, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        good(weir_test_watermark(test, 0, rows[i].at - 1));
        good(weir_test_push(test, 0, &rows[i], 1));
    }
}

/* How often each user was told with each count. */
static void
tally(const struct weir_test *test, uint32_t seen[USERS][ROWS])
{
    struct weir_test_event event;
    for (uint32_t i = 0; weir_test_event(test, 0, i, &event); i++) {
        if (event.kind == WEIR_TEST_ROW) {
            const struct total *row = event.row;
            assert_in_range(row->user, 0, USERS - 1);
            assert_in_range(row->cnt, 1, ROWS - 1);
            seen[row->user][row->cnt]++;
        }
    }
}

/* Cut anywhere, with any number of subtasks before and behind: the same rows come out. */
static void
t_what_was_saved_goes_on_with_any_number_of_subtasks(void **state)
{
    (void)state;
    static struct click rows[ROWS];
    static uint32_t want[USERS][ROWS];
    static uint32_t seen[USERS][ROWS];
    struct weir_rng rng;
    weir_rng_init(&rng, 7);
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i] = click_of((int64_t)i * 9, weir_rng_between(&rng, 0, USERS - 1));
    }
    for (uint32_t trial = 0; trial < 12; trial++) {
        uint32_t cut = trial == 0 ? ROWS : (uint32_t)weir_rng_below(&rng, ROWS);
        struct weir_test_snapshot *saved = NULL;
        struct weir_test_conf conf = {
            .build = build_visits, .parallelism = 1 + trial % 3, .seed = trial};
        struct weir_test *test = open_test(&conf);
        memset(seen, 0, sizeof seen);
        play(test, rows, 0, cut);
        good(weir_test_save(test, &saved));
        tally(test, seen);
        weir_test_close(test);
        conf.from = saved;
        conf.parallelism = 1 + trial / 3;
        test = open_test(&conf);
        weir_test_snapshot_free(saved);
        play(test, rows, cut, ROWS);
        good(weir_test_watermark(test, 0, WEIR_WATERMARK_MAX));
        tally(test, seen);
        weir_test_close(test);
        if (trial == 0) {
            memcpy(want, seen, sizeof want);
            assert_true(want[0][1] > 0);
        }
        assert_memory_equal(seen, want, sizeof want);
    }
}

static void
build_other(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    s = weir_process(weir_key_by(s, WEIR_KEY(click, user)), "others", &visits_process, NULL);
    weir_test_output(test, s);
}

static void
t_a_snapshot_is_bytes_and_names_who_is_missing(void **state)
{
    (void)state;
    struct weir_test_snapshot *saved = NULL;
    struct weir_test_snapshot *copy = NULL;
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_visits});
    struct click row = click_of(10, 7);
    good(weir_test_push(test, 0, &row, 1));
    good(weir_test_save(test, &saved));
    weir_test_close(test);
    size_t bytes = 0;
    const void *data = weir_test_snapshot_bytes(saved, &bytes);
    good(weir_test_snapshot_of(data, bytes, &copy));
    char *want = strdup(weir_test_state(saved, "visits", "state"));
    assert_string_equal(want, "key=7 cnt=1 due=110\n");
    assert_string_equal(weir_test_state(copy, "visits", "state"), want);
    test =
        open_test(&(struct weir_test_conf){.build = build_visits, .columns = true, .from = copy});
    good(weir_test_watermark(test, 0, 110));
    assert_string_equal(weir_test_text(test, 0), "7,1\nwatermark 110\n");
    weir_test_close(test);
    test = NULL;
    expect(weir_test_open(&(struct weir_test_conf){.build = build_other, .from = copy}, &test),
        WEIR_ESTATE, "an operator visits");
    struct weir_test_snapshot *bad = NULL;
    expect(weir_test_snapshot_of(data, bytes - 1, &bad), WEIR_EDATA, NULL);
    free(want);
    weir_test_snapshot_free(copy);
    weir_test_snapshot_free(saved);
}

/* An operator that cannot write its state down, and says what it was told. */
static char said[256];
static int
mute_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)op;
    (void)parts;
    return id == 1 ? weir_err_push(WEIR_EDATA, "nothing to write") : 0;
}
static int
mute_committed(struct weir_operator *op, uint64_t id)
{
    (void)op;
    (void)snprintf(said + strlen(said), 32, "committed %u ", (unsigned)id);
    return 0;
}
static int
mute_aborted(struct weir_operator *op, uint64_t id)
{
    (void)op;
    (void)snprintf(said + strlen(said), 32, "aborted %u ", (unsigned)id);
    return 0;
}
static int64_t
mute_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)out;
    (void)snprintf(said + strlen(said), 32, "at %lld ", (long long)(now_ns / WEIR_MS));
    return in->cnt - cursor;
}
static const struct weir_operator_type mute_type = {.name = "mute",
    .input_cnt = 1,
    .process = mute_process,
    .snapshot = mute_snapshot,
    .committed = mute_committed,
    .aborted = mute_aborted};

static void
build_mute(struct weir_test *test, void *arg)
{
    (void)arg;
    (void)weir_sink(weir_test_input(test, click_schema(), 1), "mute", &mute_type, NULL, 0);
}

static void
t_a_checkpoint_is_declined_committed_aborted(void **state)
{
    (void)state;
    struct weir_test_snapshot *saved = NULL;
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_mute, .utc_ms = 5});
    struct click row = click_of(1, 1);
    said[0] = '\0';
    expect(weir_test_save(test, &saved), WEIR_EDATA, "nothing to write");
    good(weir_test_abort(test, 1));
    good(weir_test_push(test, 0, &row, 1));
    good(weir_test_time(test, 77));
    good(weir_test_push(test, 0, &row, 1));
    good(weir_test_save(test, &saved));
    good(weir_test_commit(test, weir_test_snapshot_id(saved)));
    assert_string_equal(said, "aborted 1 at 5 at 77 committed 2 ");
    expect(weir_test_time(test, 76), WEIR_EINVAL, "does not go back");
    weir_test_snapshot_free(saved);
    weir_test_close(test);
}

/* ---- what is refused, and what fails ---- */

static void
t_the_error_of_an_operator_stays(void **state)
{
    (void)state;
    struct weir_test *test = open_test(&(struct weir_test_conf){.build = build_visits});
    struct click row = click_of(1, -5);
    expect(weir_test_push(test, 0, &row, 1), WEIR_EDATA, "user -5");
    expect(weir_test_watermark(test, 0, 1), WEIR_EDATA, "user -5");
    expect(weir_test_run(test, 1), WEIR_EDATA, "user -5");
    struct weir_test_snapshot *saved = NULL;
    expect(weir_test_save(test, &saved), WEIR_EDATA, "user -5");
    weir_test_close(test);
}

static void
build_dealt_out(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    s = weir_filter(s, "even", &even_op);
    weir_test_output(test, weir_partition(s, WEIR_PARTITION_REBALANCE));
}

static void
build_uneven(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    s = weir_parallelism(weir_filter(s, "even", &even_op), 1);
    weir_test_output(test, s);
}

static void
build_nothing(struct weir_test *test, void *arg)
{
    uint32_t feed_cnt = *(const uint32_t *)arg;
    struct weir_stream *s = weir_test_input(test, click_schema(), feed_cnt);
    for (uint32_t i = 0; i <= WEIR_TEST_OUTPUT_CNT_MAX; i++) {
        weir_test_output(test, s);
    }
}

static void
t_graphs_that_are_no_stage_are_refused(void **state)
{
    (void)state;
    struct weir_test *test = NULL;
    struct weir_test_conf conf = {.build = build_dealt_out, .parallelism = 2};
    expect(weir_test_open(&conf, &test), WEIR_EGRAPH, "can only go forward");
    conf.parallelism = 1;
    weir_test_close(open_test(&conf));
    conf = (struct weir_test_conf){.build = build_uneven, .parallelism = 2};
    expect(weir_test_open(&conf, &test), WEIR_EGRAPH, "even has 1 subtasks, the test 2");
    uint32_t feed_cnt = 0;
    conf = (struct weir_test_conf){.build = build_nothing, .arg = &feed_cnt};
    expect(weir_test_open(&conf, &test), WEIR_EGRAPH, "1 to 32 feeds");
    feed_cnt = WEIR_TEST_FEED_CNT_MAX + 1;
    expect(weir_test_open(&conf, &test), WEIR_EGRAPH, "1 to 32 feeds");
    feed_cnt = 1;
    expect(weir_test_open(&conf, &test), WEIR_EGRAPH, "at most 16 outputs");
    conf = (struct weir_test_conf){.build = build_pages, .parallelism = 65};
    expect(weir_test_open(&conf, &test), WEIR_EINVAL, "1 to 64 subtasks");
    conf = (struct weir_test_conf){.build = build_pages, .parallelism = 4, .max_parallelism = 2};
    expect(weir_test_open(&conf, &test), WEIR_EPLAN, "max_parallelism");
    weir_test_close(NULL);
}

/* A source that counts: up to `end`, a row a poll, or for ever. */
struct count {
    int64_t end;
};
static int
count_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct count *conf = op->conf;
    int64_t *next = op->self;
    (void)now_ns;
    if (*next == conf->end) {
        return WEIR_WAIT;
    }
    struct total *row = total_emit(out);
    row->user = (*next)++;
    row->cnt = 0;
    return WEIR_AGAIN;
}
static int
count_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_parts_begin(parts, "next", 1);
    weir_parts_put(parts, op->self, sizeof(int64_t));
    weir_parts_end(parts);
    return 0;
}
static const struct weir_operator_type count_type = {.name = "count",
    .self_bytes = sizeof(int64_t),
    .output_cnt = 1,
    .poll = count_poll,
    .snapshot = count_snapshot};

static void
build_source(struct weir_test *test, void *arg)
{
    weir_test_output(test, weir_source(weir_test_env(test), "count", total_schema(), &count_type,
                               arg, sizeof(struct count)));
}

static void
t_sources_of_ones_own_are_polled_and_saved(void **state)
{
    (void)state;
    struct weir_test_snapshot *saved = NULL;
    struct count conf = {3};
    struct weir_test *test =
        open_test(&(struct weir_test_conf){.build = build_source, .arg = &conf});
    good(weir_test_run(test, 2));
    assert_string_equal(weir_test_text(test, 0), "0,0\n1,0\n2,0\n");
    good(weir_test_save(test, &saved));
    assert_string_equal(weir_test_state(saved, "count", "next"), "0x0300000000000000\n");
    assert_string_equal(weir_test_text(test, 0), "0,0\n1,0\n2,0\nbarrier 1\n");
    weir_test_snapshot_free(saved);
    weir_test_close(test);
    conf.end = -1;
    test = NULL;
    expect(weir_test_open(&(struct weir_test_conf){.build = build_source, .arg = &conf}, &test),
        WEIR_ETIMEOUT, "does not come to rest");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_rows_come_out_as_texts_and_structs),
        cmocka_unit_test(t_watermarks_of_feeds_join_and_idle_ones_do_not_count),
        cmocka_unit_test(t_slow_outputs_columns_and_small_batches_change_nothing),
        cmocka_unit_test(t_changes_go_in_and_out_with_their_kinds),
        cmocka_unit_test(t_what_falls_due_is_done_at_its_time),
        cmocka_unit_test(t_a_barrier_holds_its_feed_back_and_the_state_is_that_of_the_barrier),
        cmocka_unit_test(t_a_feed_that_is_held_back_keeps_only_so_much),
        cmocka_unit_test(t_what_was_saved_goes_on_with_any_number_of_subtasks),
        cmocka_unit_test(t_a_snapshot_is_bytes_and_names_who_is_missing),
        cmocka_unit_test(t_a_checkpoint_is_declined_committed_aborted),
        cmocka_unit_test(t_the_error_of_an_operator_stays),
        cmocka_unit_test(t_graphs_that_are_no_stage_are_refused),
        cmocka_unit_test(t_sources_of_ones_own_are_polled_and_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
