/* SPDX-License-Identifier: Apache-2.0 */
/* stack.h: where another thread of this process is: its stack, taken by itself in a signal handler.
 *
 *     watcher                                 the thread
 *       weir_stack_ask()   --signal-->          handler: writes down its frames
 *       weir_stack_is_there()  <--answered--    goes on; a blocking call returns EINTR
 *       weir_stack_name()
 *
 * So asking is an interruption, too: a call that waits in the kernel ends early, and whoever looks
 * at its result can see that it is wanted back. A thread that the kernel does not let go never
 * answers.
 *
 * Limits:  WEIR_STACK_FRAME_CNT_MAX frames, the innermost.
 */
#ifndef WEIR_BASE_STACK_H
#define WEIR_BASE_STACK_H

#include <pthread.h>
#include <signal.h>

#include "base/atomic.h"
#include "base/base.h"

#define WEIR_STACK_FRAME_CNT_MAX 48
#define WEIR_STACK_NAME_BYTES 256

/* Zeroed: nobody has asked. It stays until its thread has ended: an answer may be late. */
struct weir_stack {
    /* writer: the watcher */
    WEIR_ATOMIC(uint64_t) ask_cnt;
    /* writer: the thread, in its handler */
    WEIR_ATOMIC(uint64_t) answer_cnt;
    uint32_t frame_cnt; /* innermost first; without the handler's own */
    void *frames[WEIR_STACK_FRAME_CNT_MAX];
};

/* weir_stack_signal - that threads which are to be asked must not block. */
WEIR_API int weir_stack_signal(void);
/* weir_stack_open - take the signal's handler for this process; before any thread is asked. Once
 * more does nothing. WEIR_ESYS. */
WEIR_API WEIR_MUST_USE int weir_stack_open(void);
/* weir_stack_ask - interrupt a thread, and let it write its stack down. Never blocks.
 *
 * Thread:  one at a time for one stack. False: the thread is gone, or its signals pile up.
 */
WEIR_API bool weir_stack_ask(struct weir_stack *stack, pthread_t thread);
/* weir_stack_is_there - every question has been answered: the frames are those of the last one. */
WEIR_API bool weir_stack_is_there(const struct weir_stack *stack);
/* weir_stack_name - frame i for people: function, its offset, object; or what is known of it. */
WEIR_API void weir_stack_name(const struct weir_stack *stack, uint32_t i, char *buf, size_t bytes);

#endif
