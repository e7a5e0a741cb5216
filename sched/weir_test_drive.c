/* SPDX-License-Identifier: Apache-2.0 */
/* What comes into a test: rows, watermarks, barriers and time, and polling until all is done. */
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "sched/weir_test_priv.h"

/* Steps of a poll are drawn up to this, so that operators are left in the midst of things. */
#define STEP_CNT_MAX 16
/* Polls until a test must have come to rest, and of a feed that nobody takes anything off. */
#define POLL_CNT_MAX 100000
#define STUCK_CNT_MAX 3
#define CHAIN_STEP_CNT 1000

int
weir_test_stale(const struct weir_test *test)
{
    return test->error != 0 ? weir_err_push(test->error, "%s", test->cause) : 0;
}

/* The test is over: every later call says the same. */
static int
fail(struct weir_test *test, int err)
{
    test->error = err;
    weir_err_save(test->cause, sizeof test->cause);
    return err;
}

/* One poll of a subtask. 1: it did something; 0; or its error. */
static int
poll_one(struct weir_test *test, struct test_subtask *subtask)
{
    uint32_t step_cnt = 1 + (uint32_t)weir_rng_below(&test->rng, STEP_CNT_MAX);
    enum weir_task_poll did = weir_task_poll(subtask->task, step_cnt, test->now_ns);
    weir_task_settle(subtask->task, test->now_ns);
    if (weir_task_state(subtask->task) == WEIR_TASK_FAILED) {
        return fail(test,
            weir_err_push(weir_task_error(subtask->task), "%s", weir_task_cause(subtask->task)));
    }
    return did == WEIR_POLL_BUSY || did == WEIR_POLL_BACKPRESSURED; /* by a slow output */
}

static int
poll_all(struct weir_test *test)
{
    int did = 0;
    for (uint32_t i = 0; i < test->subtask_cnt; i++) {
        int rc = poll_one(test, &test->subtasks[i]);
        if (rc < 0) {
            return rc;
        }
        did |= rc;
    }
    return did;
}

int
weir_test_settle(struct weir_test *test)
{
    uint32_t idle_cnt = 0;
    for (uint32_t turn = 0; turn < POLL_CNT_MAX; turn++) {
        int rc = poll_all(test);
        if (rc < 0) {
            return rc;
        }
        idle_cnt = rc > 0 ? 0 : idle_cnt + 1;
        if (idle_cnt == 2) { /* the first one may have flushed something */
            return 0;
        }
    }
    return fail(test, weir_err_push(WEIR_ETIMEOUT,
                          "the test does not come to rest in %d polls: a source that "
                          "never waits, or an operator that always says AGAIN",
                          POLL_CNT_MAX));
}

int
weir_test_run(struct weir_test *test, uint32_t poll_cnt)
{
    int err = weir_test_stale(test);
    for (uint32_t i = 0; i < poll_cnt && err == 0; i++) {
        err = poll_all(test) < 0 ? test->error : 0;
    }
    return err;
}

/* The first time at which a subtask that still runs wants to be polled. */
static int64_t
next_due_ns(const struct weir_test *test)
{
    int64_t due_ns = INT64_MAX;
    for (uint32_t i = 0; i < test->subtask_cnt; i++) {
        if (weir_task_state(test->subtasks[i].task) == WEIR_TASK_RUNNING) {
            due_ns = weir_min_i64(due_ns, weir_task_due_ns(test->subtasks[i].task));
        }
    }
    return due_ns;
}

int
weir_test_time(struct weir_test *test, int64_t utc_ms)
{
    int err = weir_test_stale(test);
    if (err == 0 && utc_ms * WEIR_MS < test->now_ns) {
        err = weir_err_push(
            WEIR_EINVAL, "the clock of a test does not go back to %lld", (long long)utc_ms);
    }
    if (err != 0) {
        return err;
    }
    /* What falls due on the way is done at its time, as by a clock that runs. */
    for (uint32_t turn = 0; turn < POLL_CNT_MAX && err == 0; turn++) {
        int64_t due_ns = next_due_ns(test);
        if (due_ns <= test->now_ns || due_ns >= utc_ms * WEIR_MS) {
            break;
        }
        test->now_ns = due_ns;
        err = weir_test_settle(test);
    }
    test->now_ns = utc_ms * WEIR_MS;
    return err != 0 ? err : weir_test_settle(test);
}

/* ---- feeds ---- */

/* Slots that the subtasks have taken off a wire. */
static uint64_t
taken_cnt(const struct weir_test *test, struct test_wire *wire)
{
    uint64_t cnt = 0;
    for (uint32_t c = 0; c < test->conf.parallelism; c++) {
        cnt += weir_ring_head_seq(&wire->channels[c].ring);
    }
    return cnt;
}

/* What a wire is to do, until it has: what it could not send at once is tried again when the tasks
 * have worked. */
static int
carry(struct weir_test *test, struct test_wire *wire, const struct weir_mark *mark)
{
    uint32_t stuck_cnt = 0;
    for (;;) {
        int rc = mark != NULL ? weir_chain_send(wire->chain, WEIR_SLOT_BARRIER, mark)
                              : weir_chain_run(wire->chain, CHAIN_STEP_CNT, test->now_ns);
        if (rc == WEIR_DONE && mark == NULL) {
            rc = weir_chain_flush(wire->chain);
        }
        if (rc < 0) {
            return fail(test, rc);
        }
        uint64_t before = taken_cnt(test, wire);
        int err = weir_test_settle(test);
        if (err != 0 || rc == WEIR_DONE) {
            return err;
        }
        bool moves = taken_cnt(test, wire) > before || rc == WEIR_AGAIN;
        stuck_cnt = moves ? 0 : stuck_cnt + 1;
        if (stuck_cnt == STUCK_CNT_MAX) {
            return fail(test,
                weir_err_push(WEIR_EREFUSED,
                    "feed %u is full: its barrier holds it back, and the checkpoint has not begun",
                    wire->feed));
        }
    }
}

/* The feed may be used: 0, or why not. */
static int
check_feed(const struct weir_test *test, uint32_t feed)
{
    if (feed >= test->feed_cnt) {
        return weir_err_push(
            WEIR_EINVAL, "there is no feed %u: the test has %u", feed, test->feed_cnt);
    }
    if (test->ended[feed]) {
        return weir_err_push(WEIR_ECLOSED, "feed %u has ended", feed);
    }
    return weir_test_stale(test);
}

static const struct test_input *
input_of(const struct weir_test *test, uint32_t feed)
{
    uint32_t i = 0;
    while (feed >= test->inputs[i].first_feed + test->inputs[i].feed_cnt) {
        i++;
    }
    return &test->inputs[i];
}

int
weir_test_push(struct weir_test *test, uint32_t feed, const void *rows, uint32_t cnt)
{
    return weir_test_push_kind(test, feed, WEIR_ROW_INSERT, rows, cnt);
}

int
weir_test_push_kind(
    struct weir_test *test, uint32_t feed, enum weir_row_kind kind, const void *rows, uint32_t cnt)
{
    int err = check_feed(test, feed);
    if (err != 0 || cnt == 0) {
        return err;
    }
    const struct test_input *input = input_of(test, feed);
    const struct weir_schema *schema = input->schema;
    if (kind != WEIR_ROW_INSERT && !test->env->node[input->node].has_kind[0]) {
        return weir_err_push(WEIR_EINVAL, "feed %u is none of changes", feed);
    }
    char kind_of_all = (char)kind;
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = schema;
    view.heap = (char *)(uintptr_t)rows;
    view.stride = schema->row_bytes;
    view.kind = &kind_of_all; /* at a distance of 0: the same for all rows */
    for (uint32_t at = 0; at < cnt && err == 0; at += view.cnt) {
        view.rows = (char *)(uintptr_t)rows + (size_t)schema->row_bytes * at;
        view.cnt = weir_min_u32(cnt - at, test->conf.batch_rows);
        view.row_cnt = view.cnt;
        if (schema->time_idx >= 0) {
            view.time = view.rows + schema->fields[schema->time_idx].off;
            view.time_stride = schema->row_bytes;
        }
        for (uint32_t w = 0; w < test->wire_cnt && err == 0; w++) {
            if (test->wires[w].feed == feed) {
                weir_chain_offer(test->wires[w].chain, 0, 0, &view);
                err = carry(test, &test->wires[w], NULL);
            }
        }
    }
    return err;
}

int
weir_test_watermark(struct weir_test *test, uint32_t feed, int64_t watermark)
{
    int err = check_feed(test, feed);
    for (uint32_t w = 0; w < test->wire_cnt && err == 0; w++) {
        if (test->wires[w].feed == feed) {
            weir_chain_offer_watermark(test->wires[w].chain, 0, 0, watermark);
            err = carry(test, &test->wires[w], NULL);
        }
    }
    return err;
}

int
weir_test_idle(struct weir_test *test, uint32_t feed, bool idle)
{
    int err = check_feed(test, feed);
    for (uint32_t w = 0; w < test->wire_cnt && err == 0; w++) {
        if (test->wires[w].feed == feed) {
            weir_chain_offer_status(test->wires[w].chain, 0, 0, idle);
            err = carry(test, &test->wires[w], NULL);
        }
    }
    return err;
}

int
weir_test_end(struct weir_test *test, uint32_t feed)
{
    int err = check_feed(test, feed);
    for (uint32_t w = 0; w < test->wire_cnt && err == 0; w++) {
        if (test->wires[w].feed == feed) {
            weir_chain_offer_end(test->wires[w].chain, 0, 0);
            err = carry(test, &test->wires[w], NULL);
        }
    }
    if (err == 0) {
        test->ended[feed] = true;
    }
    return err;
}

/* ---- barriers ---- */

static int
check_id(struct weir_test *test, uint64_t id)
{
    if (id == 0 || id < test->last_id) {
        return weir_err_push(WEIR_EINVAL, "barrier %llu behind %llu: ids rise",
            (unsigned long long)id, (unsigned long long)test->last_id);
    }
    test->last_id = id;
    return 0;
}

static struct weir_mark
mark_of(const struct weir_test *test, uint64_t id)
{
    return (struct weir_mark){.id = id, .trigger_ns = test->now_ns, .kind = WEIR_MARK_PERIODIC};
}

int
weir_test_barrier(struct weir_test *test, uint32_t feed, uint64_t id)
{
    int err = check_feed(test, feed);
    err = err != 0 ? err : check_id(test, id);
    struct weir_mark mark = mark_of(test, id);
    for (uint32_t w = 0; w < test->wire_cnt && err == 0; w++) {
        if (test->wires[w].feed == feed) {
            err = carry(test, &test->wires[w], &mark);
        }
    }
    return err;
}

/* A letter to all subtasks that still run. */
static int
post(struct weir_test *test, enum weir_task_letter letter, uint64_t id)
{
    struct weir_mark mark = mark_of(test, id);
    int err = weir_test_stale(test);
    for (uint32_t i = 0; i < test->subtask_cnt && err == 0; i++) {
        int rc = weir_task_post(test->subtasks[i].task, letter, &mark);
        WEIR_CHECK(rc != 0, "the mailbox of a task that rests is full");
        err = rc < 0 && rc != WEIR_ECLOSED ? rc : 0;
    }
    return err != 0 ? err : weir_test_settle(test);
}

static bool
has_source(const struct weir_test *test)
{
    for (uint32_t n = 0; n < test->env->node_cnt; n++) {
        if (test->node_of[n] != UINT16_MAX && test->env->node[n].type->poll != NULL) {
            return true;
        }
    }
    return false;
}

int
weir_test_save(struct weir_test *test, struct weir_test_snapshot **ret_snapshot)
{
    uint64_t id = test->last_id + 1;
    bool all_ended = true;
    int err = weir_test_stale(test);
    for (uint32_t feed = 0; feed < test->feed_cnt && err == 0; feed++) {
        if (!test->ended[feed]) {
            all_ended = false;
            err = weir_test_barrier(test, feed, id);
        }
    }
    if (err == 0 && (all_ended || has_source(test))) {
        err = check_id(test, id);
        err = err != 0 ? err : post(test, WEIR_TASK_TRIGGER, id);
    }
    return err != 0 ? err : weir_test_snapshot(test, ret_snapshot);
}

int
weir_test_commit(struct weir_test *test, uint64_t id)
{
    return post(test, WEIR_TASK_NOTIFY, id);
}

int
weir_test_abort(struct weir_test *test, uint64_t id)
{
    return post(test, WEIR_TASK_ABORT, id);
}

/* ---- counts ---- */

bool
weir_test_counts(
    const struct weir_test *test, const char *operator_name, struct weir_test_counts *ret_counts)
{
    struct weir_test_counts counts = {.watermark = WEIR_WATERMARK_MAX};
    uint32_t n = 0;
    while (n < test->env->node_cnt && strcmp(test->env->node[n].name, operator_name) != 0) {
        n++;
    }
    if (n == test->env->node_cnt || test->node_of[n] == UINT16_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < test->subtask_cnt; i++) {
        weir_task_publish(test->subtasks[i].task);
        struct weir_task_counts one = weir_task_counts(test->subtasks[i].task, test->node_of[n]);
        counts.rows_in += one.rows_in;
        counts.rows_out += one.rows_out;
        counts.rows_late += one.rows_late;
        counts.rows_bad += one.rows_bad;
        counts.timers_fired += one.timers_fired;
        counts.watermark = weir_min_i64(counts.watermark, one.watermark);
    }
    *ret_counts = counts;
    return true;
}
