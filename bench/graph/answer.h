/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: a service that answers later: what bench_async asks, by the engine and by hand.
 *
 * Questions come through a ring of one producer. Its thread answers each one after a time of its
 * own: most after `delay_ns`, one in SLOW_EVERY after SLOW_FACTOR times that. Nothing is looked up:
 * an answer is a function of the question.
 */
#ifndef WEIR_BENCH_GRAPH_ANSWER_H
#define WEIR_BENCH_GRAPH_ANSWER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

#define ANSWER_RING 4096 /* a power of two, of more than all questions on their way */
#define ANSWER_SLOW_EVERY 64
#define ANSWER_SLOW_FACTOR 10

struct answer_ask {
    void *question;
    int64_t due_ns;
};

struct answer_queue {
    uint64_t head;
    uint64_t tail;
    struct answer_ask ask[ANSWER_RING];
};

struct answerer {
    /* Called for each question on the service's thread. */
    void (*answer)(void *question);
    int64_t delay_ns;
    const char *cpu;
    pthread_t thread;
    atomic_bool is_over;
    uint64_t asked_cnt; /* writer: who asks */
    _Atomic uint64_t tail;
    struct answer_ask ring[ANSWER_RING];
    /* writer: the service. Those of one delay are due in the order they came. */
    struct answer_queue queue[2];
};

int64_t answer_now_ns(void);
/* answer_start, answer_stop - of an answerer whose answer, delay_ns and cpu are set. */
WEIR_MUST_USE int answer_start(struct answerer *answerer);
void answer_stop(struct answerer *answerer);
/* answer_ask - never waits: not more than ANSWER_RING may be on their way. */
void answer_ask(struct answerer *answerer, void *question);

#endif
