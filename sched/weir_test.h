/* SPDX-License-Identifier: Apache-2.0 */
/* weir_test.h: operators tried by hand, as they run in a job: for people who write operators.
 *
 *     static void
 *     build(struct weir_test *test, void *arg)
 *     {
 *         struct weir_stream *s = weir_test_input(test, click_schema(), 1);
 *         s = weir_process(weir_key_by(s, WEIR_KEY(click, user)), "session", &session_process,
 *                          NULL);
 *         weir_test_output(test, s);
 *     }
 *
 *     struct weir_test *test = NULL;
 *     weir_test_open(&(struct weir_test_conf){.build = build}, &test);
 *     weir_test_push(test, 0, clicks, 3);
 *     weir_test_watermark(test, 0, 5000);
 *     weir_test_text(test, 0)             "7,3\nwatermark 5000\n"
 *     weir_test_save(test, &saved);       and weir_test_open() with .from = saved, .parallelism = 3
 *     weir_test_close(test);
 *
 * What is tried is any graph of the calls of graph.h and keyed.h between inputs and outputs of the
 * test. It becomes one real task for each subtask: gates, watermark valves, barriers, the chain,
 * state pages, snapshots are those that `weir run` uses. Rows go to the subtasks by the real
 * partitioners. Nothing runs by itself: each call below does what it says, lets the tasks work
 * until there is nothing more to do, and returns 0 or the error with which a task has failed
 * (base/err.h has its words).
 *
 *     feed 0 --partition-->  gate .--------------------.
 *     feed 1 --partition-->  gate |  your operators    |--> output 0     of subtask 0
 *                                 '--------------------'--> output 1
 *                            gate .--------------------.
 *                            gate |  your operators    |--> output 0     of subtask 1 ...
 *
 * Feeds are numbered in the order of weir_test_input(): an input of two channels, which stand for
 * two subtasks before it, has two. Outputs are numbered likewise, and remember what all subtasks
 * have emitted.
 *
 * What it is not: a way to run several stages. With more than one subtask, rows may not be dealt
 * out anew between the operators. Operators that read or write files have no io here.
 *
 * Limits:  WEIR_TEST_FEED_CNT_MAX feeds, WEIR_TEST_OUTPUT_CNT_MAX outputs.
 * Thread:  one. Memory: until weir_test_close(), but snapshots.
 * Source:  Flink's KeyedOneInputStreamOperatorTestHarness and its kin; there one operator, here
 *          whatever a job would chain.
 */
#ifndef WEIR_SCHED_WEIR_TEST_H
#define WEIR_SCHED_WEIR_TEST_H

#include "sched/graph.h"

WEIR_C_BEGIN

#define WEIR_TEST_FEED_CNT_MAX 32
#define WEIR_TEST_OUTPUT_CNT_MAX 16
#define WEIR_TEST_PARALLELISM_MAX 64

struct weir_test;
struct weir_test_snapshot;

/* Calls weir_test_input(), the graph's calls, weir_test_output(). */
typedef void(weir_test_build_fn)(struct weir_test *test, void *arg);

/* All zero but build is a good conf. */
struct weir_test_conf {
    weir_test_build_fn *build;
    void *arg; /* for build */
    uint32_t parallelism; /* 0: 1 */
    uint32_t max_parallelism; /* key groups; 0: 128, or those of `from` */
    uint32_t batch_rows; /* most rows of a batch; 0: 256 */
    uint64_t state_bytes; /* state pages of a subtask; 0: 16 MiB */
    int64_t utc_ms; /* what the clock says at first */
    bool columns; /* rows come as columns to who reads an input, not as rows */
    /* Outputs take a few rows at a time, and sometimes none, so that operators stop everywhere they
     * can and have to go on. */
    bool slow;
    uint64_t seed; /* of that, and of the slices in which tasks are polled */
    const struct weir_test_snapshot *from; /* begin with this state; borrowed; NULL: with none */
};

/* weir_test_open - build, and run until all operators are open.
 *
 * Errors:  those of weir_env_check(), of open() and restore(); WEIR_EGRAPH: not a graph for this.
 */
WEIR_API WEIR_MUST_USE int
weir_test_open(const struct weir_test_conf *conf, struct weir_test **ret_test);
/* weir_test_close - takes NULL. What an operator's close() says is told by the weir_test_end() that
 * ends it; here it is too late. */
WEIR_API void weir_test_close(struct weir_test *test);

/* ---- within build ---- */

WEIR_API struct weir_env *weir_test_env(struct weir_test *test);
/* weir_test_input - the next input of the test, of so many feeds. */
WEIR_API struct weir_stream *
weir_test_input(struct weir_test *test, const struct weir_schema *schema, uint32_t feed_cnt);
/* weir_test_changes - the same, of a stream of changes: rows may be other than inserts. */
WEIR_API struct weir_stream *
weir_test_changes(struct weir_test *test, const struct weir_schema *schema, uint32_t feed_cnt);
/* weir_test_output - the next output: remembers what comes on a stream. */
WEIR_API void weir_test_output(struct weir_test *test, struct weir_stream *stream);

/* ---- what comes in ---- */

/* weir_test_push - rows of the input's schema, structs one behind the other. A feed whose barrier
 * has come keeps them until the checkpoint begins; WEIR_EREFUSED: more than it can keep. */
WEIR_API WEIR_MUST_USE int
weir_test_push(struct weir_test *test, uint32_t feed, const void *rows, uint32_t cnt);
/* weir_test_push_kind - rows that are no inserts, into an input of changes. */
WEIR_API WEIR_MUST_USE int weir_test_push_kind(
    struct weir_test *test, uint32_t feed, enum weir_row_kind kind, const void *rows, uint32_t cnt);
/* weir_test_str - a text in a row of `rows`, which are pushed; both stay where they are until then.
 */
static inline struct weir_str
weir_test_str(const void *rows, const char *text)
{
    return weir_str_ref((const char *)rows, text, (uint32_t)strlen(text));
}
/* weir_test_watermark - in milliseconds; WEIR_WATERMARK_MAX at the end of time. */
WEIR_API WEIR_MUST_USE int
weir_test_watermark(struct weir_test *test, uint32_t feed, int64_t watermark);
/* weir_test_idle - the feed has nothing to say for a while; false: it is back. */
WEIR_API WEIR_MUST_USE int weir_test_idle(struct weir_test *test, uint32_t feed, bool idle);
/* weir_test_end - the feed has ended. Nothing may follow on it. */
WEIR_API WEIR_MUST_USE int weir_test_end(struct weir_test *test, uint32_t feed);
/* weir_test_time - the clock goes on to this, in UTC milliseconds; what falls due on the way is
 * done at its time. It never goes back. */
WEIR_API WEIR_MUST_USE int weir_test_time(struct weir_test *test, int64_t utc_ms);
/* weir_test_run - some polls of each task: for graphs with sources of their own. */
WEIR_API WEIR_MUST_USE int weir_test_run(struct weir_test *test, uint32_t poll_cnt);

/* ---- checkpoints ---- */

/* weir_test_barrier - the barrier of a checkpoint on one feed: ids rise. Once it has come on all
 * feeds that have not ended, the operators' states are taken. */
WEIR_API WEIR_MUST_USE int weir_test_barrier(struct weir_test *test, uint32_t feed, uint64_t id);
/* weir_test_snapshot - what the newest checkpoint has taken. WEIR_ECHECKPOINT: it has not begun in
 * all subtasks, or was declined, with the reason. The caller frees it. */
WEIR_API WEIR_MUST_USE int
weir_test_snapshot(struct weir_test *test, struct weir_test_snapshot **ret_snapshot);
/* weir_test_save - a new checkpoint: its barrier on all feeds (and to sources), and what it
 * took. */
WEIR_API WEIR_MUST_USE int
weir_test_save(struct weir_test *test, struct weir_test_snapshot **ret_snapshot);
/* weir_test_commit, weir_test_abort - tell the operators that checkpoint `id` is complete, or will
 * not be. */
WEIR_API WEIR_MUST_USE int weir_test_commit(struct weir_test *test, uint64_t id);
WEIR_API WEIR_MUST_USE int weir_test_abort(struct weir_test *test, uint64_t id);

/* A snapshot is a savepoint: rows with names, by key group, which any number of subtasks can take
 * up, and operators whose states have other fields by now. It does not refer to its test. */
WEIR_API void weir_test_snapshot_free(struct weir_test_snapshot *snapshot);
WEIR_API uint64_t weir_test_snapshot_id(const struct weir_test_snapshot *snapshot);
/* weir_test_snapshot_bytes, weir_test_snapshot_of - as bytes, to keep in a file for a test of later
 * versions, and back. Borrowed; copied. Errors: WEIR_ENOMEM. */
WEIR_API const void *
weir_test_snapshot_bytes(const struct weir_test_snapshot *snapshot, size_t *ret_bytes);
WEIR_API WEIR_MUST_USE int
weir_test_snapshot_of(const void *data, size_t bytes, struct weir_test_snapshot **ret_snapshot);
/* weir_test_state - a state of an operator as text, a line an entry, by key group; timers are a
 * state too. state NULL: the names of all that the operator has, a line each. NULL: no such
 * operator or state, or the snapshot is damaged. Owned by the snapshot.
 *
 *     weir_test_state(saved, "session", "state")     "key=7 cnt=3 last=2000\n"
 *     weir_test_state(saved, "session", "timers")    "key=7 namespace=0 time=5000\n"
 */
WEIR_API const char *
weir_test_state(struct weir_test_snapshot *snapshot, const char *operator_name, const char *state);

/* ---- what went out ---- */

enum weir_test_event_kind {
    WEIR_TEST_ROW,
    WEIR_TEST_WATERMARK,
    WEIR_TEST_IDLE,
    WEIR_TEST_ACTIVE,
    WEIR_TEST_BARRIER,
    WEIR_TEST_END,
    WEIR_TEST_EVENT_CNT
};

struct weir_test_event {
    enum weir_test_event_kind kind;
    uint32_t subtask;
    const void *row; /* ROW: a struct of the output's schema; until the next call on the test */
    uint32_t row_kind; /* ROW: enum weir_row_kind */
    int64_t time; /* ROW: its event time, WEIR_TIME_MIN where it has none; WATERMARK */
    uint64_t id; /* BARRIER */
};

/* weir_test_text - all that an output has seen since the last weir_test_clear(), a line each: rows
 * as CSV, "watermark 5", "idle", "active", "barrier 1", "end"; in front of a row that is no insert
 * its kind: -U, +U, -D. Good until the next call on the test. */
WEIR_API const char *weir_test_text(struct weir_test *test, uint32_t output);
/* weir_test_rows - only the rows of it, in the order of their texts: for who has more subtasks. */
WEIR_API const char *weir_test_rows(struct weir_test *test, uint32_t output);
WEIR_API uint32_t weir_test_event_cnt(const struct weir_test *test, uint32_t output);
/* weir_test_event - event idx since the last clear; false: there is none. */
WEIR_API bool weir_test_event(
    const struct weir_test *test, uint32_t output, uint32_t idx, struct weir_test_event *ret_event);
/* weir_test_slice - the text of a string in a row of an output. */
WEIR_API struct weir_slice
weir_test_slice(const struct weir_test *test, uint32_t output, const struct weir_str *str);
/* weir_test_clear - outputs forget what they have seen. */
WEIR_API void weir_test_clear(struct weir_test *test);

/* What an operator has counted, over all subtasks. */
struct weir_test_counts {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
    uint64_t timers_fired; /* of process functions and of windows of each key's own */
    int64_t watermark; /* the least of its inputs */
};
/* weir_test_counts - false: there is no operator of this name. */
WEIR_API bool weir_test_counts(
    const struct weir_test *test, const char *operator_name, struct weir_test_counts *ret_counts);

WEIR_C_END

#endif
