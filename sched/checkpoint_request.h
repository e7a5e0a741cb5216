/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_request.h: the queue of requests for checkpoints, and which of them may start now.
 *
 * The order is: what stops the job, then savepoints, then what a user asked for, then the clock's;
 * the older first among equals. A full queue drops the last of it.
 *
 * Thread:  one; pure: no clock, no memory of its own.
 * Source:  Flink's CheckpointRequestDecider. Different: a stop goes first.
 */
#ifndef WEIR_SCHED_CHECKPOINT_REQUEST_H
#define WEIR_SCHED_CHECKPOINT_REQUEST_H

#include "sched/checkpoint.h"

/* Requests that wait at most: Flink's limit. */
#define WEIR_CHECKPOINT_QUEUE_CNT_MAX 1000

struct weir_checkpoint_queue {
    struct weir_checkpoint_request
        *request; /* borrowed, cnt_max of them; the next to start first */
    uint32_t cnt;
    uint32_t cnt_max;
};

/* What decides whether the first may start. */
struct weir_checkpoint_limits {
    uint32_t pending_cnt;
    uint32_t concurrent_max;
    bool is_held; /* nothing may start */
    bool is_forced; /* savepoints start beyond concurrent_max, as Flink's aligned ones */
    bool has_done; /* one has completed, at done_ns */
    int64_t done_ns;
    int64_t pause_ns;
    int64_t now_ns;
};

enum weir_checkpoint_choice {
    WEIR_CHECKPOINT_CHOICE_WAIT,
    WEIR_CHECKPOINT_CHOICE_START, /* ret_request was taken from the queue: start it */
    WEIR_CHECKPOINT_CHOICE_DROP, /* it was taken: the pause has not passed; ask at done + pause */
};

/* weir_checkpoint_queue_init - an empty queue in the caller's array; cnt_max > 0. */
void weir_checkpoint_queue_init(
    struct weir_checkpoint_queue *queue, struct weir_checkpoint_request *request, uint32_t cnt_max);

/* weir_checkpoint_queue_put - let a request wait.
 *
 * Returns: true when the queue is over its limit and *ret_dropped left it: the last of it, or the
 *          new one where only a user's requests wait; its reason is TOO_MANY_REQUESTS.
 */
WEIR_MUST_USE bool weir_checkpoint_queue_put(struct weir_checkpoint_queue *queue,
    const struct weir_checkpoint_request *request, struct weir_checkpoint_request *ret_dropped);

/* weir_checkpoint_queue_take - the first of the queue; false: it is empty. */
bool weir_checkpoint_queue_take(
    struct weir_checkpoint_queue *queue, struct weir_checkpoint_request *ret_request);

/* weir_checkpoint_queue_has_periodic - the clock's request waits already. */
bool weir_checkpoint_queue_has_periodic(const struct weir_checkpoint_queue *queue);

/* weir_checkpoint_queue_choose - what to do with the first request; see the choices. */
WEIR_MUST_USE enum weir_checkpoint_choice
weir_checkpoint_queue_choose(struct weir_checkpoint_queue *queue,
    const struct weir_checkpoint_limits *limits, struct weir_checkpoint_request *ret_request);

#endif
