/* SPDX-License-Identifier: Apache-2.0 */
/* async.h: for each row something is asked outside, and its answer is what goes on.
 *
 *     static int ask(void *client, struct weir_async *call)
 *     {
 *         const struct user *user = weir_async_row(call);
 *         return my_lib_get(client, user->id, on_answer, call);        starts, and does not wait
 *     }
 *     static void on_answer(struct weir_async *call, const char *text, size_t bytes)
 *     {
 *         struct answer *row = weir_async_emit(call);                  on any thread
 *         weir_async_text(call, &row->text, text, bytes);
 *         weir_async_done(call);                                       the task's core is woken
 *     }
 *
 * Up to `capacity` rows are on their way; behind them input waits. Answers go on in the order of
 * the rows, or, unordered, as they come; but not past a watermark: what was before it in the input
 * is before it in the output. A row that was on time stays so; one that was late may be on time
 * behind a restore, for watermarks between rows on their way are not kept. That the input is idle
 * is told when no row is on its way any more.
 *
 * An answer that does not come in time fails the job, or is made up by `on_timeout`. One that says
 * that it failed, or that `retry_if` does not like, is asked for again, later each time; the
 * time-out is over all attempts.
 *
 * State: the rows on their way. They are in checkpoints and savepoints, and are asked for again, in
 * order, where one is restored: an answer may be asked for more than once, and goes on once.
 *
 * Thread:  what a call has is its owner's: the function's from start() until weir_async_done() or
 *          weir_async_fail(), which any thread may call; then the operator's.
 * Memory:  all at open: 2 * capacity calls of row, texts and results.
 * Source:  Flink's AsyncWaitOperator. There capacity counts answers in the queue likewise.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_ASYNC_H
#define WEIR_DATAPLANE_OPERATORS_ASYNC_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_ASYNC_CAPACITY 100
#define WEIR_ASYNC_CAPACITY_MAX 4096
#define WEIR_ASYNC_TEXT_BYTES 1024
#define WEIR_ASYNC_RESULT_BYTES 4096
/* Of all rows on their way in a snapshot, whose small parts are written at the barrier. */
#define WEIR_ASYNC_STATE_BYTES_MAX (8 * WEIR_MIB)

/* One row that is asked for. */
struct weir_async;

/* How it is asked. start, cancel and on_timeout come on the task's core and must not block. */
struct weir_async_function {
    const struct weir_schema *(*in_schema)(void);
    const struct weir_schema *(*out_schema)(void);
    /* What the subtask asks through: connections, a thread of its own. NULL: nothing. op is good
     * until close. */
    int (*open)(const struct weir_operator *op, const void *conf, void **ret_client);
    /* Start to ask. 0: weir_async_done or weir_async_fail will be called once, perhaps before this
     * returns; or an error, which counts as that of the answer. */
    int (*start)(void *client, struct weir_async *call);
    /* Nobody waits for the answer any more: it is best called done soon, for it takes up room until
     * then. NULL: nothing can be done about it. */
    void (*cancel)(void *client, struct weir_async *call);
    /* Emit into call what goes on in the place of an answer. An error fails the job. NULL: all
     * fail. */
    int (*on_timeout)(void *client, struct weir_async *call);
    /* Whether what came is worth another attempt. NULL: errors alone are. */
    bool (*retry_if)(const struct weir_async *call);
    /* Behind it no call is used any more: threads have ended. Waits for them if it must. NULL:
     * nothing was opened. */
    void (*close)(void *client);
    /* Answers come by other threads, in real time: the seeded poller refuses the job. */
    bool has_threads;
};

struct weir_async_conf {
    const struct weir_async_function *function; /* borrowed */
    const void *function_conf; /* for open; borrowed */
    bool is_unordered;
    uint32_t capacity; /* 0: WEIR_ASYNC_CAPACITY */
    int64_t timeout_ns; /* from the first attempt; 0: none */
    uint32_t attempt_cnt; /* 0: one */
    int64_t backoff_ns; /* before the second attempt */
    uint32_t backoff_factor; /* from one to the next; 0: 1 */
    int64_t backoff_ns_max; /* 0: none */
    uint32_t text_bytes; /* of the long strings of a row; 0: WEIR_ASYNC_TEXT_BYTES */
    uint32_t result_bytes; /* of the rows of an answer with theirs; 0: WEIR_ASYNC_RESULT_BYTES */
};

/* weir_async_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int
weir_async_check(const struct weir_async_conf *conf, const struct weir_schema *in_schema);

/* weir_async_row, weir_async_heap - the row, as its schema's struct, and its strings' heap. */
WEIR_API const void *weir_async_row(const struct weir_async *call);
WEIR_API const char *weir_async_heap(const struct weir_async *call);
/* weir_async_attempt - 0 at first. */
WEIR_API uint32_t weir_async_attempt(const struct weir_async *call);
/* weir_async_own, weir_async_set_own - a pointer of the function's; NULL before each start. */
WEIR_API void *weir_async_own(const struct weir_async *call);
WEIR_API void weir_async_set_own(struct weir_async *call, void *own);

/* weir_async_emit - one more row of the answer, all zero; NULL: result_bytes are used up. */
WEIR_API void *weir_async_emit(struct weir_async *call);
/* weir_async_text - copy a text into a string of a row of the answer. 0; WEIR_EBUDGET: result_bytes
 * are used up; no context is pushed. */
WEIR_API WEIR_MUST_USE int
weir_async_text(struct weir_async *call, struct weir_str *dst, const char *text, size_t bytes);
/* weir_async_row_cnt, weir_async_at - what was emitted so far. */
WEIR_API uint32_t weir_async_row_cnt(const struct weir_async *call);
WEIR_API const void *weir_async_at(const struct weir_async *call, uint32_t idx);
/* weir_async_done - the answer is whole; no row is one, too. The call is not the caller's any
 * more. */
WEIR_API void weir_async_done(struct weir_async *call);
/* weir_async_fail - there is none. The text is copied. */
WEIR_API void weir_async_fail(struct weir_async *call, int error, const char *text);

/* In order, and unordered: in the place of a stream of changes only the first is right. */
extern WEIR_API const struct weir_operator_type weir_async_type;
extern WEIR_API const struct weir_operator_type weir_async_unordered_type;

WEIR_C_END

#endif
