/* SPDX-License-Identifier: Apache-2.0 */
/* blocking.h: a source whose code waits: a loop of its own, on a thread of its own.
 *
 *     static int run(struct weir_blocking *blocking, const void *conf)
 *     {
 *         int64_t next = 0;
 *         (void)weir_blocking_start(blocking, &next, sizeof next);
 *         while (my_client_wait(client, weir_blocking_fd(blocking)) == 0) {
 *             struct reading *row = weir_blocking_row(blocking);
 *             ...
 *             if (!weir_blocking_emit(blocking) ||
 *                 !weir_blocking_position(blocking, &next, sizeof next)) {
 *                 break;
 *             }
 *         }
 *         return 0;
 *     }
 *
 * The thread starts with the first poll of the task, so never before all its operators are open and
 * restored. What it emits goes through an SPSC ring; where that is full, it waits. Returning 0 is
 * the end of the data; an error fails the task. When the task ends otherwise (cancel, stop, a
 * failure elsewhere), the thread is told (weir_blocking_fd, weir_blocking_emit says false,
 * cancel()) and waited for; what it returns then counts for nothing, and no last watermark is made
 * up.
 *
 * A checkpoint holds the last position that has come through the ring, and how many rows came
 * behind it. Who starts from it is given the position; as many rows are dropped, so run() emits the
 * same ones again behind a position, or tells one behind every row. With another number of subtasks
 * it cannot be restored.
 *
 * Thread:  run(): its own; weir_blocking_*: within run(), but for own, canceled and fd: any.
 * Source:  Flink's SourceFunction and LegacySourceFunctionThread. There rows are emitted under a
 *          lock, and a checkpoint takes it; here position and rows are in one order, so none is
 *          needed.
 */
#ifndef WEIR_SCHED_BLOCKING_H
#define WEIR_SCHED_BLOCKING_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_BLOCKING_POSITION_BYTES_MAX 256
/* A row with its long texts. */
#define WEIR_BLOCKING_ROW_BYTES_MAX 65536

struct weir_blocking;

struct weir_blocking_function {
    const struct weir_schema *(*out_schema)(void);
    int (*run)(struct weir_blocking *blocking, const void *conf);
    /* Make run() return soon; on the task's core, once, and perhaps while run() is returning. NULL:
     * it sees weir_blocking_fd or what weir_blocking_emit says. */
    void (*cancel)(struct weir_blocking *blocking, const void *conf);
    bool replays; /* it goes on from a position */
};

struct weir_blocking_conf {
    const struct weir_blocking_function *function; /* borrowed */
    const void *function_conf; /* for run; borrowed */
};

extern WEIR_API const struct weir_operator_type weir_blocking_type;

/* weir_blocking_op - the operator; its env says which subtask this is. */
WEIR_API const struct weir_operator *weir_blocking_op(const struct weir_blocking *blocking);
/* weir_blocking_start - the position to go on from, up to cap bytes of it. Returns its bytes; 0:
 * there is none. */
WEIR_API uint32_t weir_blocking_start(
    const struct weir_blocking *blocking, void *ret_position, uint32_t cap);

/* weir_blocking_row - the next row, all zero. weir_blocking_text - copy a text into a string of it.
 * 0; WEIR_EBUDGET: WEIR_BLOCKING_ROW_BYTES_MAX are used up; no context is pushed. */
WEIR_API void *weir_blocking_row(struct weir_blocking *blocking);
WEIR_API WEIR_MUST_USE int weir_blocking_text(
    struct weir_blocking *blocking, struct weir_str *dst, const char *text, size_t bytes);
/* weir_blocking_time - the event time of rows from here on, where the schema has no such field. */
WEIR_API void weir_blocking_time(struct weir_blocking *blocking, int64_t time);
/* weir_blocking_emit - let the row go. weir_blocking_watermark, weir_blocking_idle - behind the
 * rows before; an active source says so before its next row. weir_blocking_position - all before
 * is emitted, and this is where to go on.
 *
 * Returns: true, perhaps after waiting for room; false: canceled, run() is to return.
 */
WEIR_API bool weir_blocking_emit(struct weir_blocking *blocking);
WEIR_API bool weir_blocking_watermark(struct weir_blocking *blocking, int64_t watermark);
WEIR_API bool weir_blocking_idle(struct weir_blocking *blocking, bool is_idle);
WEIR_API bool
weir_blocking_position(struct weir_blocking *blocking, const void *position, uint32_t bytes);

/* weir_blocking_is_canceled - run() is to return. weir_blocking_fd - readable from then on, to be
 * polled beside what run() waits for. */
WEIR_API bool weir_blocking_is_canceled(const struct weir_blocking *blocking);
WEIR_API int weir_blocking_fd(const struct weir_blocking *blocking);
/* weir_blocking_own - a pointer of the function's, as run() has set it; NULL before. */
WEIR_API void *weir_blocking_own(const struct weir_blocking *blocking);
WEIR_API void weir_blocking_set_own(struct weir_blocking *blocking, void *own);

WEIR_C_END

#endif
