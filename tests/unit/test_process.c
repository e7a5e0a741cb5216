/* SPDX-License-Identifier: Apache-2.0 */
/* Process functions in a real chain: state, timers, and what stops half-way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kindset_spill.h"
#include "dataplane/operators/process.h"
#include "dataplane/state.h"
#include "tests/unit/harness.h"
#include "tests/unit/kv_place.h"
#include "tests/unit/test.h"

#define CLICK(F) F(i64, user) F(str, page) F(time, at)
WEIR_SCHEMA(click, CLICK)
#define VISIT(F) F(i64, user) F(i64, clicks) F(str, page) F(time, at)
WEIR_SCHEMA(visit, VISIT)

#define GAP 100

/* A session: its timer moves on with every click, and its end is a row. */
struct session {
    int64_t last;
    int64_t clicks;
};

WEIR_PROCESS_TIMED(session, click, struct session, visit)
{
    if (state->clicks > 0) {
        if (in->at <= state->last) {
            state->clicks++;
            return WEIR_DONE;
        }
        (void)weir_process_timer_delete(p, state->last + GAP, 0);
    }
    state->clicks++;
    state->last = in->at;
    return weir_process_timer_set(p, in->at + GAP, 0);
}

WEIR_ON_TIMER(session, struct session)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct visit *out = visit_emit(p->out);
    out->user = weir_process_key(p, 0);
    out->clicks = state->clicks;
    out->page = weir_str_inline("end", 3);
    out->at = time;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

/* The first click on each page; every third of the others goes aside. */
struct seen {
    int64_t cnt;
};

WEIR_PROCESS(first, click, struct seen, visit)
{
    struct weir_out *to = state->cnt == 0 ? p->out : state->cnt % 3 == 0 ? p->side : NULL;
    struct weir_slice page = weir_process_key_text(p);
    if (to != NULL && !weir_out_room(to, 1, page.bytes)) {
        return WEIR_AGAIN;
    }
    if (to != NULL) {
        struct visit *out = visit_emit(to);
        out->user = in->user;
        out->clicks = state->cnt;
        weir_str_set_bytes(to, &out->page, page.ptr, page.bytes);
        out->at = p->time;
    }
    state->cnt++;
    return WEIR_DONE;
}

/* Counts to three and forgets; timers of one key come back in order, by namespace too. */
WEIR_PROCESS(to_three, click, struct seen, visit)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    state->cnt++;
    struct visit *out = visit_emit(p->out);
    out->user = in->user;
    out->clicks = state->cnt;
    out->page = weir_str_inline("", 0);
    out->at = p->time;
    if (state->cnt == 3) {
        weir_process_clear(p, state);
    }
    return WEIR_DONE;
}

/* How often a user came within a second of each other, whatever the events' own times are. */
struct nothing {
    int64_t unused;
};
static const struct weir_kind recent_kinds[] = {
    WEIR_KIND_VALUE("recent", struct seen, WEIR_TTL(1000)),
};
WEIR_PROCESS_KINDS(recent, click, struct nothing, visit, recent_kinds)
{
    void *seen;
    bool made;
    (void)state;
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    int err = weir_value_open(weir_process_state(p, 0), &seen, &made);
    if (err < 0) {
        return err;
    }
    struct visit *out = visit_emit(p->out);
    out->user = in->user;
    out->clicks = ++((struct seen *)seen)->cnt;
    out->page = weir_str_inline(made ? "new" : "", made ? 3 : 0);
    out->at = p->time;
    return WEIR_DONE;
}

static struct harness *
open_on_disk(
    const struct weir_process_conf *conf, uint32_t batch_rows, const struct weir_spill_conf *spill)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.spill = spill;
    hc.type = &weir_process_type;
    hc.conf = conf;
    hc.in_schema[0] = click_schema();
    hc.out_schema[0] = visit_schema();
    hc.out_schema[1] = visit_schema();
    hc.batch_rows = batch_rows;
    return harness_new(&hc);
}

static struct harness *
open_process(const struct weir_process_conf *conf, uint32_t batch_rows)
{
    return open_on_disk(conf, batch_rows, NULL);
}

static struct weir_process_conf
conf_of(const struct weir_process_function *function, struct weir_key key)
{
    struct weir_process_conf conf;
    conf.key = key;
    conf.function = function;
    return conf;
}

static void
click_at(struct harness *h, int64_t user, int64_t at)
{
    struct click c;
    memset(&c, 0, sizeof c);
    c.user = user;
    c.page = weir_str_inline("p", 1);
    c.at = at;
    harness_push(h, 0, &c, 1);
}

static void
expect_visit(const struct harness *h, uint32_t idx, int64_t user, int64_t clicks, int64_t at)
{
    const struct visit *row = harness_row(h, 0, idx);
    assert_int_equal(row->user, user);
    assert_int_equal(row->clicks, clicks);
    assert_int_equal(row->at, at);
}

static void
t_a_session_ends_when_its_timer_fires(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&session_process, WEIR_KEY(click, user));
    struct harness *h = open_process(&conf, 0);
    click_at(h, 1, 10);
    click_at(h, 2, 50);
    click_at(h, 1, 90);
    harness_watermark(h, 0, 149);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_watermark(h, 0, 189);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect_visit(h, 0, 2, 1, 150);
    click_at(h, 1, 189);
    harness_watermark(h, 0, 190); /* its timer of 190 has moved on */
    assert_int_equal(h->out[0].row_cnt, 1);
    click_at(h, 3, 1000);
    harness_watermark(h, 0, INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, 3);
    expect_visit(h, 1, 1, 3, 289);
    expect_visit(h, 2, 3, 1, 1100);
    /* Rows come before the watermark that made them, and carry the timer's time. */
    assert_int_equal(h->out[0].event[h->out[0].event_cnt - 1].kind, HARNESS_WATERMARK);
    harness_free(h);
}

/* A click of each user; then all of their timers are due at once. Returns how often the chain ran
 * for them. */
static uint64_t
many_timers(int64_t users, const struct weir_spill_conf *spill)
{
    struct weir_process_conf conf = conf_of(&session_process, WEIR_KEY(click, user));
    struct harness *h = open_on_disk(&conf, spill != NULL ? 0 : 7, spill);
    struct click *clicks = calloc((size_t)users, sizeof *clicks);
    for (int64_t i = 0; i < users; i++) {
        clicks[i].user = i;
        clicks[i].at = (i * 7919) % 5000;
    }
    for (int64_t i = 0; i < users; i += 1000) {
        harness_push(h, 0, clicks + i, 1000);
    }
    uint64_t step_cnt = h->step_cnt;
    harness_watermark(h, 0, 100000);
    step_cnt = h->step_cnt - step_cnt;
    assert_int_equal(h->out[0].row_cnt, users);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < users; i++) {
        const struct visit *row = harness_row(h, 0, i);
        assert_true(i == 0 || row->at >= ((const struct visit *)harness_row(h, 0, i - 1))->at);
        assert_int_equal(row->at, row->user * 7919 % 5000 + GAP);
        sum += (uint64_t)row->user;
    }
    assert_int_equal(sum, (uint64_t)users * ((uint64_t)users - 1) / 2);
    free(clicks);
    harness_free(h);
    return step_cnt;
}

static void
t_many_timers_due_at_once_stop_where_the_output_is_full(void **state)
{
    (void)state;
    (void)many_timers(20000, NULL);
}

/* Their keys come from disk by the dozen, with the first that is missed. */
static void
t_keys_of_many_timers_come_from_disk_together(void **state)
{
    (void)state;
    enum { USERS = 4000 };
    const struct weir_spill_conf spill = {.dir = kv_place, .key_max = 300, .is_inline = true};
    assert_in_range(many_timers(USERS, &spill), 1, USERS / 4);
}

static void
t_state_is_kept_by_text_and_rows_may_go_aside(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&first_process, WEIR_KEY(click, page));
    struct harness *h = open_process(&conf, 3);
    char heap[200];
    memset(heap, 'w', sizeof heap);
    for (uint32_t round = 0; round < 7; round++) {
        for (uint32_t bytes = 1; bytes < sizeof heap; bytes += 9) {
            struct click c;
            memset(&c, 0, sizeof c);
            c.user = bytes;
            c.at = round;
            if (bytes <= WEIR_STR_INLINE_BYTES) {
                c.page = weir_str_inline(heap, bytes);
            } else {
                c.page.bytes = bytes;
                memcpy(c.page.head, heap, sizeof c.page.head);
            }
            struct weir_view view = harness_view_of(click_schema(), &c, 1);
            view.heap = heap;
            harness_push_view(h, 0, &view);
        }
    }
    assert_int_equal(h->out[0].row_cnt, 23);
    assert_int_equal(h->out[1].row_cnt, 2 * 23);
    for (uint32_t i = 0; i < 23; i++) {
        const struct visit *row = harness_row(h, 0, i);
        struct weir_slice text = harness_text(h, 0, &row->page);
        assert_int_equal(row->user, 1 + 9 * i);
        assert_int_equal(text.bytes, 1 + 9 * i);
        assert_memory_equal(text.ptr, heap, text.bytes);
        assert_int_equal(((const struct visit *)harness_row(h, 1, i))->clicks, 3);
    }
    harness_free(h);
}

static void
t_a_cleared_state_is_new_again_within_a_batch(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&to_three_process, WEIR_KEY(click, user));
    struct harness *h = open_process(&conf, 0);
    struct click clicks[200];
    memset(clicks, 0, sizeof clicks);
    for (uint32_t i = 0; i < 200; i++) {
        clicks[i].user = i % 5;
    }
    harness_push(h, 0, clicks, 200);
    for (uint32_t i = 0; i < 200; i++) {
        expect_visit(h, i, i % 5, i / 5 % 3 + 1, 0);
    }
    harness_push(h, 0, clicks, 10); /* 42 of each key: a multiple of three */
    assert_int_equal(weir_arena_used_bytes(&h->arena) > 0, true);
    harness_clear(h);
    harness_push(h, 0, clicks, 5);
    for (uint32_t i = 0; i < 5; i++) {
        expect_visit(h, i, i, 1, 0);
    }
    harness_free(h);
}

static void
t_columns_and_slow_sinks_give_the_same(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&session_process, WEIR_KEY(click, user));
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = &weir_process_type;
    hc.conf = &conf;
    hc.in_schema[0] = click_schema();
    hc.out_schema[0] = visit_schema();
    hc.out_schema[1] = visit_schema();
    hc.batch_rows = 5;
    hc.columns = true;
    hc.is_slow = true;
    hc.seed = 20250101;
    struct harness *h = harness_new(&hc);
    struct click clicks[300];
    memset(clicks, 0, sizeof clicks);
    for (int64_t i = 0; i < 300; i++) {
        clicks[i].user = i % 100;
        clicks[i].at = i;
    }
    harness_push(h, 0, clicks, 300);
    harness_watermark(h, 0, 5000);
    assert_int_equal(h->out[0].row_cnt, 100);
    for (uint32_t i = 0; i < 100; i++) {
        expect_visit(h, i, i, 3, 200 + i + GAP);
    }
    harness_free(h);
}

static void
t_what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&session_process, WEIR_KEY(click, user));
    assert_int_equal(weir_process_check(&conf, click_schema()), 0);
    assert_int_equal(weir_process_check(&conf, visit_schema()), WEIR_EGRAPH);
    conf.key.field_cnt = 0;
    assert_int_equal(weir_process_check(&conf, click_schema()), WEIR_EGRAPH);
    weir_err_clear();
}

/* Time to live goes by the host's clock, as the core tells it. */
static void
t_declared_state_lives_for_its_time(void **state)
{
    (void)state;
    struct weir_process_conf conf = conf_of(&recent_process, WEIR_KEY(click, user));
    struct harness *h = open_process(&conf, 0);
    static const int64_t at_ms[] = {5000, 5999, 6998, 7998, 7998};
    static const int64_t want[] = {1, 2, 3, 1, 2};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(at_ms); i++) {
        h->now_ns = at_ms[i] * WEIR_MS;
        click_at(h, 1, 10);
        expect_visit(h, i, 1, want[i], 10);
    }
    h->now_ns = 60000 * WEIR_MS;
    click_at(h, 2, 10); /* what nobody asks for any more goes by itself */
    expect_visit(h, 5, 2, 1, 10);
    uint32_t idx = 0;
    const struct weir_table *table =
        weir_state_next(&h->arena, weir_state_id(harness_operator(h)->uid, "recent"), &idx);
    assert_int_equal(table->entry_cnt, 1);
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_declared_state_lives_for_its_time),
        cmocka_unit_test(t_a_session_ends_when_its_timer_fires),
        cmocka_unit_test(t_many_timers_due_at_once_stop_where_the_output_is_full),
        cmocka_unit_test(t_keys_of_many_timers_come_from_disk_together),
        cmocka_unit_test(t_state_is_kept_by_text_and_rows_may_go_aside),
        cmocka_unit_test(t_a_cleared_state_is_new_again_within_a_batch),
        cmocka_unit_test(t_columns_and_slow_sinks_give_the_same),
        cmocka_unit_test(t_what_does_not_go_together_is_refused),
    };
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
