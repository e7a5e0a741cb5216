/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of coordination: the queue of requests, the count of failures, the ledger. */
#include <string.h>

#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/ledger.h"
#include "tests/unit/test.h"

static struct weir_checkpoint_request waiting[10];
static struct weir_checkpoint_queue queue;

static struct weir_checkpoint_request
request(enum weir_checkpoint_kind kind, bool is_periodic, int64_t asked_ns)
{
    return (struct weir_checkpoint_request){
        .kind = kind, .is_periodic = is_periodic, .asked_ns = asked_ns};
}

static bool
put(struct weir_checkpoint_request one)
{
    struct weir_checkpoint_request dropped;
    return weir_checkpoint_queue_put(&queue, &one, &dropped);
}

#define CHECKPOINT WEIR_CHECKPOINT_KIND_CHECKPOINT
#define SAVEPOINT WEIR_CHECKPOINT_KIND_SAVEPOINT

/* CheckpointRequestDeciderTest. */
static void
t_T282_the_order_of_requests(void **state)
{
    (void)state;
    weir_checkpoint_queue_init(&queue, waiting, 10);
    struct weir_checkpoint_request stop = request(CHECKPOINT, false, 9);
    stop.stop = WEIR_CHECKPOINT_SUSPEND;
    assert_false(put(request(CHECKPOINT, true, 1)));
    assert_true(weir_checkpoint_queue_has_periodic(&queue));
    assert_false(put(request(CHECKPOINT, false, 3)));
    assert_false(put(request(CHECKPOINT, false, 2)));
    assert_false(put(request(SAVEPOINT, false, 8)));
    assert_false(put(request(SAVEPOINT, false, 7)));
    assert_false(put(stop));
    static const int64_t wanted[] = {9, 7, 8, 2, 3, 1};
    struct weir_checkpoint_request first;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wanted); i++) {
        assert_true(weir_checkpoint_queue_take(&queue, &first));
        assert_int_equal(first.asked_ns, wanted[i]);
    }
    assert_false(weir_checkpoint_queue_take(&queue, &first));
    assert_false(weir_checkpoint_queue_has_periodic(&queue));
}

static void
t_T283_the_last_of_a_full_queue_is_dropped(void **state)
{
    (void)state;
    struct weir_checkpoint_request dropped;
    weir_checkpoint_queue_init(&queue, waiting, 10);
    for (int64_t i = 0; i < 10; i++) {
        assert_false(put(request(CHECKPOINT, true, i)));
    }
    struct weir_checkpoint_request more = request(CHECKPOINT, true, 10);
    assert_true(weir_checkpoint_queue_put(&queue, &more, &dropped));
    assert_int_equal(dropped.asked_ns, 10);
    more = request(SAVEPOINT, false, 11);
    assert_true(weir_checkpoint_queue_put(&queue, &more, &dropped));
    assert_int_equal(dropped.asked_ns, 9);
    assert_int_equal(queue.cnt, 10);
    weir_checkpoint_queue_init(&queue, waiting, 1);
    assert_false(put(request(SAVEPOINT, false, 1)));
    more = request(CHECKPOINT, false, 2);
    assert_true(weir_checkpoint_queue_put(&queue, &more, &dropped));
    assert_int_equal(dropped.asked_ns, 2);
    assert_int_equal(queue.request[0].asked_ns, 1);
}

static void
choose(struct weir_checkpoint_request one, const struct weir_checkpoint_limits *limits,
    enum weir_checkpoint_choice wanted)
{
    struct weir_checkpoint_request chosen;
    weir_checkpoint_queue_init(&queue, waiting, 10);
    assert_int_equal(
        weir_checkpoint_queue_choose(&queue, limits, &chosen), WEIR_CHECKPOINT_CHOICE_WAIT);
    assert_false(put(one));
    assert_int_equal(weir_checkpoint_queue_choose(&queue, limits, &chosen), wanted);
    assert_int_equal(queue.cnt, wanted == WEIR_CHECKPOINT_CHOICE_WAIT ? 1 : 0);
}

static void
t_T285_what_the_limits_let_start(void **state)
{
    (void)state;
    struct weir_checkpoint_limits limits = {.concurrent_max = 1,
        .is_forced = true,
        .has_done = true,
        .done_ns = 100,
        .pause_ns = 50,
        .now_ns = 149};
    choose(request(CHECKPOINT, true, 1), &limits, WEIR_CHECKPOINT_CHOICE_DROP);
    choose(request(CHECKPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_START);
    choose(request(SAVEPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_START);
    limits.now_ns = 150;
    choose(request(CHECKPOINT, true, 1), &limits, WEIR_CHECKPOINT_CHOICE_START);
    limits.now_ns = 149;
    limits.has_done = false;
    choose(request(CHECKPOINT, true, 1), &limits, WEIR_CHECKPOINT_CHOICE_START);
    limits.pending_cnt = 1;
    choose(request(CHECKPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_WAIT);
    choose(request(SAVEPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_START);
    limits.is_forced = false;
    choose(request(SAVEPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_WAIT);
    limits = (struct weir_checkpoint_limits){.concurrent_max = 1, .is_held = true};
    choose(request(SAVEPOINT, false, 1), &limits, WEIR_CHECKPOINT_CHOICE_WAIT);
}

/* CheckpointFailureManagerTest.testIgnoreOneCheckpointRepeatedlyCountMultiTimes. */
static void
t_T287_an_id_counts_once(void **state)
{
    (void)state;
    struct weir_checkpoint_failures failures;
    weir_checkpoint_failures_init(&failures, 1);
    for (int i = 0; i < 3; i++) {
        assert_false(weir_checkpoint_failures_add(&failures, 1, WEIR_CHECKPOINT_DECLINED));
    }
    assert_true(weir_checkpoint_failures_add(&failures, 2, WEIR_CHECKPOINT_DECLINED));
    /* After the job has failed the count starts again. */
    assert_false(weir_checkpoint_failures_add(&failures, 3, WEIR_CHECKPOINT_DECLINED));
    /* Before it has an id every failure is another one. */
    assert_true(weir_checkpoint_failures_add(&failures, 0, WEIR_CHECKPOINT_IO));
}

/* CheckpointFailureManagerTest.testTotalCountValue. */
static void
t_T287_five_reasons_count(void **state)
{
    (void)state;
    uint32_t counted = 0;
    for (uint32_t reason = 0; reason < WEIR_CHECKPOINT_REASON_CNT; reason++) {
        struct weir_checkpoint_failures failures;
        weir_checkpoint_failures_init(&failures, 0);
        bool is_over =
            weir_checkpoint_failures_add(&failures, 1, (enum weir_checkpoint_reason)reason);
        bool is_wanted = reason == WEIR_CHECKPOINT_IO || reason == WEIR_CHECKPOINT_DECLINED ||
                         reason == WEIR_CHECKPOINT_FINALIZE || reason == WEIR_CHECKPOINT_EXPIRED ||
                         reason == WEIR_CHECKPOINT_ASYNC;
        assert_int_equal(is_over, is_wanted);
        assert_true(strlen(weir_checkpoint_reason_text((enum weir_checkpoint_reason)reason)) > 0);
        counted += is_over ? 1 : 0;
    }
    assert_int_equal(counted, 5);
}

static void
t_unlimited_failures_never_fail_the_job(void **state)
{
    (void)state;
    struct weir_checkpoint_failures failures;
    weir_checkpoint_failures_init(&failures, WEIR_CHECKPOINT_TOLERABLE_UNLIMITED);
    for (uint64_t id = 1; id < 1000; id++) {
        assert_false(weir_checkpoint_failures_add(&failures, id, WEIR_CHECKPOINT_IO));
    }
    assert_int_equal(failures.cnt, 999);
}

static const struct weir_ledger_channel channels[] = {
    {0, 1, "map[0] -> window[0]"}, {1, 2, "window[0] -> sink[0]"}};
static struct weir_ledger_line line[2];
static char text[WEIR_LEDGER_TEXT_BYTES];

static void
both(uint32_t channel, struct weir_ledger_sum out, struct weir_ledger_sum in)
{
    line[channel] = (struct weir_ledger_line){.out = out, .in = in};
    line[channel].has = WEIR_LEDGER_HAS_OUT | WEIR_LEDGER_HAS_IN;
}

static uint32_t
check(void)
{
    (void)strcpy(text, "nothing");
    return weir_ledger_check(channels, line, 2, text, sizeof text);
}

static void
t_a_ledger_that_adds_up_says_nothing(void **state)
{
    (void)state;
    both(0, (struct weir_ledger_sum){7, 3}, (struct weir_ledger_sum){5, UINT64_MAX});
    line[0].flight = (struct weir_ledger_sum){2, 4}; /* sums wrap */
    both(1, (struct weir_ledger_sum){0, 0}, (struct weir_ledger_sum){0, 0});
    assert_int_equal(check(), 0);
    assert_string_equal(text, "nothing");
}

static void
t_the_ledger_names_channel_sides_and_difference(void **state)
{
    (void)state;
    both(0, (struct weir_ledger_sum){7, 3}, (struct weir_ledger_sum){7, 3});
    both(1, (struct weir_ledger_sum){7, 0xab}, (struct weir_ledger_sum){8, 0xac});
    assert_int_equal(check(), 1);
    assert_string_equal(text,
        "channel window[0] -> sink[0]: 7 rows out (sum 00000000000000ab), 8 in (sum "
        "00000000000000ac), 0 in flight (sum 0000000000000000): 1 too many (sums differ by "
        "ffffffffffffffff)");
    both(0, (struct weir_ledger_sum){7, 3}, (struct weir_ledger_sum){7, 4});
    assert_int_equal(check(), 2);
    assert_non_null(strstr(text, "channel map[0] -> window[0]: 7 rows out"));
    assert_non_null(
        strstr(text, ": as many, but not the same rows (sums differ by ffffffffffffffff)"));
    both(0, (struct weir_ledger_sum){7, 3}, (struct weir_ledger_sum){5, 3});
    line[0].flight.row_cnt = 1;
    assert_int_equal(check(), 2);
    assert_non_null(strstr(text, ", 1 in flight (sum 0000000000000000): 1 lost"));
}

static void
t_a_side_that_is_missing_is_a_mismatch(void **state)
{
    (void)state;
    both(1, (struct weir_ledger_sum){1, 1}, (struct weir_ledger_sum){1, 1});
    line[0] = (struct weir_ledger_line){0};
    assert_int_equal(check(), 1);
    assert_string_equal(text,
        "channel map[0] -> window[0]: the producer gave no count, the consumer gave no count");
    line[0].has = WEIR_LEDGER_HAS_OUT;
    assert_int_equal(check(), 1);
    line[0].has = WEIR_LEDGER_HAS_IN;
    assert_int_equal(check(), 1);
    char small[8];
    assert_int_equal(weir_ledger_check(channels, line, 2, small, sizeof small), 1);
    assert_string_equal(small, "channel");
}

static void
t_a_task_speaks_for_its_own_sides_once(void **state)
{
    (void)state;
    memset(line, 0, sizeof line);
    struct weir_ledger_entry entry = {.channel = 0, .side = WEIR_LEDGER_OUT, .total = {4, 4}};
    assert_false(weir_ledger_enter(channels, 2, 1, &entry, line));
    assert_true(weir_ledger_enter(channels, 2, 0, &entry, line));
    assert_false(weir_ledger_enter(channels, 2, 0, &entry, line));
    entry.side = WEIR_LEDGER_IN;
    assert_false(weir_ledger_enter(channels, 2, 0, &entry, line));
    assert_true(weir_ledger_enter(channels, 2, 1, &entry, line));
    entry.channel = 2;
    assert_false(weir_ledger_enter(channels, 2, 1, &entry, line));
    assert_int_equal(line[0].out.row_cnt, 4);
    assert_int_equal(line[0].in.row_cnt, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T282_the_order_of_requests),
        cmocka_unit_test(t_T283_the_last_of_a_full_queue_is_dropped),
        cmocka_unit_test(t_T285_what_the_limits_let_start),
        cmocka_unit_test(t_T287_an_id_counts_once),
        cmocka_unit_test(t_T287_five_reasons_count),
        cmocka_unit_test(t_unlimited_failures_never_fail_the_job),
        cmocka_unit_test(t_a_ledger_that_adds_up_says_nothing),
        cmocka_unit_test(t_the_ledger_names_channel_sides_and_difference),
        cmocka_unit_test(t_a_side_that_is_missing_is_a_mismatch),
        cmocka_unit_test(t_a_task_speaks_for_its_own_sides_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
