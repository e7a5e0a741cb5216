/* SPDX-License-Identifier: Apache-2.0 */
/* Letters to the operators of a task that is polled: [ source ] -> [ sink ], both of the test. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/err.h"
#include "base/mbox.h"
#include "dataplane/mailbox.h"
#include "dataplane/task.h"
#include "tests/unit/test.h"

#define NUMBER(F) F(i64, n)
WEIR_SCHEMA(number, NUMBER)

#define LETTER_CNT 32

struct life {
    struct weir_task *task;
    struct weir_mailbox *mailbox;
    char log[256]; /* calls and letters, in order, a character each */
    size_t bytes;
    bool has_rows; /* the source has one more row in every poll */
    bool is_over; /* the source ends */
    bool is_full; /* the sink takes nothing */
    bool posts_in_finish;
    int end_error; /* of the sink's end */
    pthread_t core;
    uint32_t put_cnt;
    uint32_t back_cnt;
};

/* All calls come on the core that polls, one after the other. */
static void
say(struct life *life, char what)
{
    assert_true(pthread_equal(pthread_self(), life->core));
    assert_true(life->bytes + 1 < sizeof life->log);
    life->log[life->bytes++] = what;
}

static struct life *
life_of(const struct weir_operator *op)
{
    return (struct life *)(uintptr_t)op->conf;
}

static int
letter(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    struct life *life = arg;
    (void)now_ns;
    life->back_cnt += !is_run;
    say(life, (char)(words[0] + (is_run ? 0 : 'a' - 'A')));
    return 0;
}

static void
post(struct life *life, char name)
{
    const struct weir_mail mail = {.fn = letter, .arg = life, .words = {(uint64_t)name}};
    assert_int_equal(weir_mailbox_put(life->mailbox, &mail), 1);
}

static int
do_open(struct weir_operator *op)
{
    struct life *life = life_of(op);
    life->mailbox = op->env->mailbox;
    assert_int_equal(op->env->position, op->type->input_cnt);
    say(life, 'o');
    return 0;
}

static int
do_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct life *life = life_of(op);
    (void)now_ns;
    if (life->is_over) {
        return WEIR_DONE;
    }
    if (!life->has_rows || !weir_out_room(out, 1, 0)) {
        return WEIR_WAIT;
    }
    number_emit(out)->n = 1;
    return WEIR_AGAIN;
}

static int64_t
do_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct life *life = life_of(op);
    (void)input;
    (void)out;
    (void)now_ns;
    if (life->is_full) {
        return 0;
    }
    say(life, '.');
    return in->cnt - cursor;
}

static int
do_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct life *life = life_of(op);
    (void)out;
    (void)now_ns;
    say(life, 'f');
    if (life->posts_in_finish) {
        post(life, 'L');
    }
    return WEIR_DONE;
}

static int
do_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    say(life_of(op), 'c');
    return 0;
}

static uint32_t
do_letters(const void *conf)
{
    (void)conf;
    return LETTER_CNT;
}

static const struct weir_operator_type source_type = {.name = "source",
    .output_cnt = 1,
    .open = do_open,
    .poll = do_poll,
    .close = do_close,
    .letters = do_letters};
static const struct weir_operator_type sink_type = {.name = "sink",
    .input_cnt = 1,
    .open = do_open,
    .process = do_process,
    .finish = do_finish,
    .close = do_close,
    .letters = do_letters};

static struct weir_task *
task_new(struct life *life, const struct weir_operator_type *source)
{
    struct weir_chain_node_conf nodes[2];
    struct weir_task *task = NULL;
    memset(nodes, 0, sizeof nodes);
    nodes[0].name = "source";
    nodes[0].type = source;
    nodes[0].conf = life;
    nodes[0].outputs[0].schema = number_schema();
    nodes[0].outputs[0].edge_cnt = 1;
    nodes[0].outputs[0].edges[0].node = 1;
    nodes[1].name = "sink";
    nodes[1].type = &sink_type;
    nodes[1].conf = life;
    nodes[1].in_schema[0] = number_schema();
    nodes[1].channel_cnt = 1;
    const struct weir_task_conf conf = {.name = "task (1/1)",
        .chain = {.nodes = nodes, .node_cnt = 2, .batch_rows = 16, .buf_bytes = 4096}};
    life->core = pthread_self();
    assert_int_equal(weir_task_new(&conf, &task), 0);
    life->task = task;
    return task;
}

/* Open and running, nothing written down yet. */
static struct weir_task *
task_run(struct life *life)
{
    memset(life, 0, sizeof *life);
    struct weir_task *task = task_new(life, &source_type);
    assert_int_equal(weir_task_poll(task, 1, 0), WEIR_POLL_BUSY);
    assert_string_equal(life->log, "oo");
    life->bytes = 0;
    memset(life->log, 0, sizeof life->log);
    return task;
}

/* Polls until the task has ended. */
static void
run_out(struct weir_task *task)
{
    for (int i = 0; weir_task_poll(task, 8, 0) != WEIR_POLL_DONE; i++) {
        assert_true(i < 100);
    }
}

/* Letters that have run, and that wait, as shown to other threads. */
static void
assert_mails(struct weir_task *task, uint64_t ran_cnt, uint64_t wait_cnt)
{
    struct weir_task_counters got;
    const struct weir_counter_set set = weir_task_set(task);
    weir_task_publish(task);
    weir_counter_read(&set, &got.rows_in);
    assert_int_equal(got.mails, ran_cnt);
    assert_int_equal(got.mailbox, wait_cnt);
}

static void
t_A290_letters_that_wait_are_shown(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    post(&life, 'A');
    post(&life, 'B');
    assert_mails(task, 0, 2);
    assert_int_equal(weir_mailbox_batch(life.mailbox), 2); /* taken in, and not run */
    assert_mails(task, 0, 2);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    assert_string_equal(life.log, "AB");
    assert_mails(task, 2, 0);
    weir_task_request(task, WEIR_TASK_REQUEST_CANCEL);
    run_out(task);
    weir_task_delete(task);
}

static int
fail_letter(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    (void)arg;
    (void)words;
    (void)is_run;
    (void)now_ns;
    return weir_err_push(WEIR_EDATA, "letter 17");
}

static void
t_T120_a_failing_letter_fails_the_task_with_that_error(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    const struct weir_mail bad = {.fn = fail_letter, .arg = &life};
    assert_int_equal(weir_mailbox_put(life.mailbox, &bad), 1);
    post(&life, 'A');
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(task), WEIR_EDATA);
    assert_non_null(strstr(weir_task_cause(task), "letter 17"));
    assert_string_equal(life.log, "cca"); /* operators close, then what never ran is given back */
    weir_task_delete(task);
}

static int
post_again(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    struct life *life = arg;
    (void)letter(arg, words, is_run, now_ns);
    const struct weir_mail again = {.fn = post_again, .arg = life, .words = {words[0]}};
    return is_run ? weir_mailbox_put(life->mailbox, &again) - 1 : 0;
}

/* The default action is a poll's work on rows. */
static void
t_T121_rows_and_a_letter_that_posts_itself_take_turns(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    life.has_rows = true;
    const struct weir_mail mail = {.fn = post_again, .arg = &life, .words = {'P'}};
    assert_int_equal(weir_mailbox_put(life.mailbox, &mail), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weir_task_poll(task, 2, 0), WEIR_POLL_BUSY);
    }
    uint32_t letters = 0;
    for (size_t i = 0; i < life.bytes; i++) {
        letters += life.log[i] == 'P';
        assert_true(i == 0 || life.log[i] == '.' || life.log[i - 1] == '.');
    }
    assert_int_equal(letters, 3);
    assert_true(life.bytes >= 6);
    weir_task_request(task, WEIR_TASK_REQUEST_CANCEL);
    run_out(task);
    weir_task_delete(task);
}

/* There is no loop to suspend: a poll returns, and letters that come behind its batch wait for the
 * next one; behind the end none runs. */
static void
t_T123_T124_letters_behind_a_poll_wait_and_behind_the_end_never_run(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    post(&life, 'A');
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    post(&life, 'B');
    assert_string_equal(life.log, "A");
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    assert_string_equal(life.log, "AB");
    post(&life, 'C');
    weir_task_request(task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(task), WEIR_TASK_CANCELED);
    assert_string_equal(life.log, "ABccc");
    const struct weir_mail late = {.fn = letter, .arg = &life, .words = {'D'}};
    assert_int_equal(weir_mailbox_put(life.mailbox, &late), WEIR_ECLOSED);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_mailbox_close(life.mailbox), 0);
    assert_string_equal(life.log, "ABccc");
    weir_task_delete(task);
}

static void
t_T126_idle_is_without_rows_and_letters_and_open(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_IDLE);
    life.has_rows = true;
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    life.has_rows = false;
    (void)weir_task_poll(task, 8, 0); /* what was on its way */
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_IDLE);
    post(&life, 'A');
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_IDLE);
    life.is_over = true;
    run_out(task);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    weir_task_delete(task);
}

/* What a poll says is what its time is booked as: one of the two. */
static void
t_T127_without_room_or_rows_only_letters_run(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    post(&life, 'A');
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_IDLE);
    life.is_full = true;
    life.has_rows = true;
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY); /* one row came */
    for (int i = 0; i < 3; i++) {
        post(&life, 'B');
        assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BACKPRESSURED);
    }
    assert_string_equal(life.log, "ABBB");
    life.is_full = false;
    life.has_rows = false;
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_IDLE);
    assert_string_equal(life.log, "ABBB.");
    weir_task_request(task, WEIR_TASK_REQUEST_CANCEL);
    run_out(task);
    weir_task_delete(task);
}

static void
t_T129_letters_of_finish_run_before_close_and_all_on_the_core(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    (void)state;
    life.posts_in_finish = true;
    life.is_over = true;
    run_out(task);
    assert_int_equal(weir_task_state(task), WEIR_TASK_FINISHED);
    assert_string_equal(life.log, "fLcc");
    weir_task_delete(task);
}

static int
post_ten(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    struct life *life = arg;
    (void)words;
    (void)now_ns;
    for (; is_run && life->put_cnt < 10; life->put_cnt++) {
        post(life, 'X');
    }
    return 0;
}

static void *
ask_to_cancel(void *arg)
{
    weir_task_request(arg, WEIR_TASK_REQUEST_CANCEL);
    return NULL;
}

/* Nothing excludes a close, and nothing has to: what runs on the core is a section. Another thread
 * asks for the end at any time; given back are all ten or none. */
static void
t_T118_letters_of_one_call_are_given_back_together(void **state)
{
    uint32_t ten_cnt = 0;
    (void)state;
    for (uint32_t turn = 0; turn < 200; turn++) {
        struct life life;
        struct weir_task *task = task_run(&life);
        const struct weir_mail mail = {.fn = post_ten, .arg = &life};
        assert_int_equal(weir_mailbox_put(life.mailbox, &mail), 1);
        if (turn == 0) { /* right behind the call: given back in one turn at least */
            assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
            weir_task_request(task, WEIR_TASK_REQUEST_CANCEL);
        }
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, ask_to_cancel, task), 0);
        while (weir_task_poll(task, 8, 0) != WEIR_POLL_DONE) {
        }
        (void)pthread_join(thread, NULL);
        assert_true(life.back_cnt == 0 || life.back_cnt == 10);
        ten_cnt += life.back_cnt == 10;
        weir_task_delete(task);
    }
    assert_true(ten_cnt > 0);
}

static void *
fail_outside(void *arg)
{
    struct life *life = arg;
    weir_mailbox_fail(life->mailbox, WEIR_EFAILED, "a thread of its own has failed");
    return NULL;
}

static void
t_A280_a_failure_elsewhere_fails_the_task_once_before_all_letters(void **state)
{
    struct life life;
    struct weir_task *task = task_run(&life);
    pthread_t threads[2];
    (void)state;
    post(&life, 'A');
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fail_outside, &life), 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(task), WEIR_EFAILED);
    assert_non_null(strstr(weir_task_cause(task), "a thread of its own"));
    assert_string_equal(life.log, "cca");
    weir_mailbox_fail(life.mailbox, WEIR_EDATA, "too late"); /* it has ended: dropped */
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_error(task), WEIR_EFAILED);
    weir_task_delete(task);
}

static void
count_wakes(void *arg)
{
    WEIR_ATOMIC(uint32_t) *cnt = arg;
    (void)weir_fetch_add_rlx(cnt, 1); /* relaxed: read behind the join */
}

static void
t_each_letter_and_failure_wakes_the_core(void **state)
{
    struct life life;
    WEIR_ATOMIC(uint32_t) wake_cnt = 0;
    (void)state;
    memset(&life, 0, sizeof life);
    struct weir_task *task = task_new(&life, &source_type);
    weir_task_set_wake(task, count_wakes, &wake_cnt);
    assert_int_equal(weir_task_poll(task, 1, 0), WEIR_POLL_BUSY);
    post(&life, 'A');
    assert_int_equal(weir_load_rlx(&wake_cnt), 1);
    (void)fail_outside(&life);
    assert_int_equal(weir_load_rlx(&wake_cnt), 2);
    run_out(task);
    weir_task_delete(task);
}

static uint32_t
too_many(const void *conf)
{
    (void)conf;
    return WEIR_MBOX_SLOT_CNT_MAX;
}

static void
t_more_letters_than_a_mailbox_has_are_refused(void **state)
{
    static struct weir_operator_type greedy;
    struct weir_chain_node_conf node;
    struct weir_task *task = NULL;
    (void)state;
    greedy = source_type;
    greedy.letters = too_many;
    memset(&node, 0, sizeof node);
    node.name = "source";
    node.type = &greedy;
    node.outputs[0].schema = number_schema();
    struct weir_chain_node_conf nodes[2] = {node, node};
    const struct weir_task_conf conf = {.name = "task (1/1)",
        .chain = {.nodes = nodes, .node_cnt = 2, .batch_rows = 16, .buf_bytes = 4096}};
    assert_int_equal(weir_task_new(&conf, &task), WEIR_EPLAN);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A290_letters_that_wait_are_shown),
        cmocka_unit_test(t_T120_a_failing_letter_fails_the_task_with_that_error),
        cmocka_unit_test(t_T121_rows_and_a_letter_that_posts_itself_take_turns),
        cmocka_unit_test(t_T123_T124_letters_behind_a_poll_wait_and_behind_the_end_never_run),
        cmocka_unit_test(t_T126_idle_is_without_rows_and_letters_and_open),
        cmocka_unit_test(t_T127_without_room_or_rows_only_letters_run),
        cmocka_unit_test(t_T129_letters_of_finish_run_before_close_and_all_on_the_core),
        cmocka_unit_test(t_T118_letters_of_one_call_are_given_back_together),
        cmocka_unit_test(t_A280_a_failure_elsewhere_fails_the_task_once_before_all_letters),
        cmocka_unit_test(t_each_letter_and_failure_wakes_the_core),
        cmocka_unit_test(t_more_letters_than_a_mailbox_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
