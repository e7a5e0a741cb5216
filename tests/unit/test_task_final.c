/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a task under checkpoints, and letters to one that begins, runs or ends (stage.h):
 * SCENARIOS T-167 to T-190. */
#include "tests/unit/stage.h"

/* ---- letters ---- */

static void
t_T167_what_is_declined_and_why(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true};
    struct stage *s = stage_open(&conf);
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED not ready 1\n"));
    s->script[0].fails_in = "snapshot";
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED snapshot 2\n"));
    s->refuses = true;
    post(s, WEIR_TASK_TRIGGER, 3);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED storage 3\n"));
    post(s, WEIR_TASK_TRIGGER, 4);
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED closing 4\nENDED canceled 0\n"));
    assert_null(strstr(s->log, "PRECOMMITTED"));
    stage_close(s);
}

#define LETTER_PAIR_CNT 500
#define ROUND_CNT 5 /* pairs that are posted before the task looks */

/* Behind a line of the log. */
static const char *
behind(const char *log, const char *line, uint64_t id)
{
    char want[64];
    (void)snprintf(want, sizeof want, "%s %llu\n", line, (unsigned long long)id);
    const char *found = strstr(log, want);
    if (found == NULL) {
        fail_msg("%s is not in:\n%s", want, log);
    }
    return found + 1;
}

/* A letter is taken when it comes. What a trigger asks for needs some steps, so a notification,
 * which in a job comes much later, may be told before its barrier: never behind the next one's. */
static void
t_T168_a_thousand_letters_in_their_order(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    for (uint64_t first = 1; first < LETTER_PAIR_CNT; first += ROUND_CNT) {
        for (uint64_t id = first; id < first + ROUND_CNT; id++) {
            post(s, WEIR_TASK_TRIGGER, id);
            post(s, WEIR_TASK_NOTIFY, id);
        }
        settle(s);
        const char *began = s->log;
        const char *told = s->log;
        for (uint64_t id = first; id < first + ROUND_CNT; id++) {
            const char *begins = behind(began, "begin", id);
            assert_true(id == first || told < begins);
            began = behind(begins, "SNAPSHOT", id);
            told = behind(told, "committed a", id);
        }
        assert_null(strstr(s->log, "DECLINED"));
        (void)out(s, 0);
        (void)out(s, 1);
        s->log_bytes = 0;
        s->log[0] = 0;
    }
    stage_close(s);
}

static void
t_T175_completions_that_come_early_twice_or_late(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true};
    struct stage *s = stage_open(&conf);
    post(s, WEIR_TASK_NOTIFY, 2); /* before it runs */
    settle(s);
    assert_log(s, "");
    post(s, WEIR_TASK_NOTIFY, 3);
    post(s, WEIR_TASK_NOTIFY, 3);
    post(s, WEIR_TASK_NOTIFY, 8);
    post(s, WEIR_TASK_NOTIFY, 5);
    settle(s);
    assert_log(s, "committed b 3\ncommitted a 3\ncommitted b 8\ncommitted a 8\nCOMMITTED 8\n");
    stage_close(s);
}

/* It is acknowledged with PRECOMMITTED. Before that, nobody counts on what was written, and a next
 * start removes it; behind it, nothing is taken back. */
static void
t_T177_canceled_before_and_behind_the_acknowledgement(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[1].wait_cnt = UINT32_MAX;
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT 1\n"));
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    settle(s);
    assert_non_null(strstr(s->log, "ENDED canceled 0\n"));
    assert_null(strstr(s->log, "PRECOMMITTED"));
    stage_close(s);
    s = stage_run(true);
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_log(s, WHOLE("1"));
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    settle(s);
    assert_log(s, "ENDED canceled 0\n");
    stage_close(s);
}

/* What an operator without state leaves is what the chain keeps for it, and nothing of its own. */
static void
t_T178_an_operator_without_state_leaves_no_part_of_its_own(void **state)
{
    (void)state;
    struct weir_operator_type plain = one_type;
    plain.snapshot = NULL;
    plain.restore = NULL;
    const struct stage_conf conf = {.has_source = true, .types = {NULL, &plain}};
    struct stage *s = stage_open(&conf);
    struct weir_parts_reader parts;
    struct weir_part part;
    size_t offset = 0;
    uint32_t cnt = 0;
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_int_equal(weir_parts_reader_init(&parts, s->parts, s->parts_bytes), 0);
    while (weir_parts_next(&parts, &offset, &part) == 1) {
        if (part.uid_bytes == 1 && part.uid[0] == 'b') {
            assert_int_equal(part.name_bytes, strlen("chain"));
            assert_memory_equal(part.name, "chain", part.name_bytes);
            cnt++;
        }
    }
    assert_int_equal(cnt, 1);
    stage_close(s);
}

static void
t_T180_letters_to_a_task_that_ends(void **state)
{
    (void)state;
    const struct weir_mark mark = {.id = 9};
    struct stage *s = stage_run(true);
    post(s, WEIR_TASK_NOTIFY, 1);
    post(s, WEIR_TASK_TRIGGER, 2);
    post(s, WEIR_TASK_ABORT, 3);
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_DONE);
    assert_log(s, "DECLINED closing 2\nENDED canceled 0\n"); /* nobody hears of 1 and 3 */
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_NOTIFY, &mark), WEIR_ECLOSED);
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), WEIR_ECLOSED);
    stage_close(s);
}

/* ---- the end ---- */

static void
barriers(struct stage *s, uint64_t id)
{
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, id);
    }
    settle(s);
}

static void
end_all(struct stage *s)
{
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_END, 0);
    }
    settle(s);
}

/* Behind its data, with checkpoints 2 and 4 taken, and 6 begun. */
static struct stage *
waits_for_6(void)
{
    const struct stage_conf conf = {.waits_final = true};
    struct stage *s = stage_open(&conf);
    settle(s);
    barriers(s, 2);
    barriers(s, 4);
    s->log_bytes = 0;
    end_all(s);
    assert_non_null(strstr(s->log, "WAITS 0\n"));
    post(s, WEIR_TASK_TRIGGER, 6);
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT final 6\n"));
    return s;
}

/* The end goes out before the last checkpoint: it is the barrier for who is behind, so each output
 * has two barriers and the end, where Flink sends a third barrier between two events. */
static void
t_T187_the_end_waits_until_its_last_checkpoint_is_complete(void **state)
{
    (void)state;
    struct stage *s = waits_for_6();
    assert_out(s, "B2 B4 E");
    post(s, WEIR_TASK_NOTIFY, 4);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    post(s, WEIR_TASK_NOTIFY, 6);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    assert_non_null(strstr(s->log, "COMMITTED 6\nENDED finished 0\n"));
    assert_out(s, "");
    stage_close(s);
}

/* The savepoint that stops the job wins: what it commits is the last of the job. */
static void
t_T189_a_savepoint_comes_while_it_waits(void **state)
{
    (void)state;
    const struct weir_mark stop = {.id = 7, .kind = WEIR_MARK_STOP};
    struct stage *s = waits_for_6();
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &stop), 1);
    settle(s);
    post(s, WEIR_TASK_NOTIFY, 6);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    post(s, WEIR_TASK_NOTIFY, 7);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    assert_out(s, "B2 B4 E");
    stage_close(s);
    /* It is given up: 6 was the last. */
    s = waits_for_6();
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &stop), 1);
    settle(s);
    post(s, WEIR_TASK_NOTIFY, 6);
    post(s, WEIR_TASK_ABORT, 7);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

static void
t_T190_without_checkpoints_nobody_waits(void **state)
{
    (void)state;
    const struct stage_conf conf = {.is_unchecked = true};
    struct stage *s = stage_open(&conf);
    settle(s);
    end_all(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    assert_log(s, "end_input a 0\nend_input a 1\nENDED finished 0\n");
    assert_out(s, "E");
    stage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T167_what_is_declined_and_why),
        cmocka_unit_test(t_T168_a_thousand_letters_in_their_order),
        cmocka_unit_test(t_T175_completions_that_come_early_twice_or_late),
        cmocka_unit_test(t_T177_canceled_before_and_behind_the_acknowledgement),
        cmocka_unit_test(t_T178_an_operator_without_state_leaves_no_part_of_its_own),
        cmocka_unit_test(t_T180_letters_to_a_task_that_ends),
        cmocka_unit_test(t_T187_the_end_waits_until_its_last_checkpoint_is_complete),
        cmocka_unit_test(t_T189_a_savepoint_comes_while_it_waits),
        cmocka_unit_test(t_T190_without_checkpoints_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
