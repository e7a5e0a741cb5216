/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/graph/answer.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/atomic.h"
#include "base/err.h"

int64_t
answer_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

void
answer_ask(struct answerer *answerer, void *question)
{
    uint64_t n = answerer->asked_cnt++;
    int64_t delay = answerer->delay_ns * (n % ANSWER_SLOW_EVERY == 0 ? ANSWER_SLOW_FACTOR : 1);
    int64_t due = answerer->delay_ns != 0 ? answer_now_ns() + delay : 0;
    answerer->ring[n % ANSWER_RING] = (struct answer_ask){question, due};
    /* pairs with the load in take(): what was asked is in its place. */
    weir_store_rel(&answerer->tail, n + 1);
}

/* What was asked since, into the queue of its delay. */
static uint64_t
take(struct answerer *answerer, uint64_t from)
{
    uint64_t end = weir_load_acq(&answerer->tail); /* pairs with the store in answer_ask() */
    for (uint64_t n = from; n < end; n++) {
        struct answer_queue *queue = &answerer->queue[n % ANSWER_SLOW_EVERY == 0];
        queue->ask[queue->tail++ % ANSWER_RING] = answerer->ring[n % ANSWER_RING];
    }
    return end;
}

static void
answer_due(struct answerer *answerer, struct answer_queue *queue, int64_t now_ns)
{
    while (queue->head < queue->tail && queue->ask[queue->head % ANSWER_RING].due_ns <= now_ns) {
        answerer->answer(queue->ask[queue->head++ % ANSWER_RING].question);
    }
}

static void *
serve(void *arg)
{
    struct answerer *answerer = arg;
    uint64_t taken = 0;
    /* relaxed: nothing is read that who sets it has written. */
    while (!weir_load_rlx(&answerer->is_over)) {
        uint64_t end = take(answerer, taken);
        int64_t now_ns = answerer->delay_ns != 0 ? answer_now_ns() : 0;
        answer_due(answerer, &answerer->queue[0], now_ns);
        answer_due(answerer, &answerer->queue[1], now_ns);
        if (end == taken) {
            weir_spin_hint();
        }
        taken = end;
    }
    return NULL;
}

int
answer_start(struct answerer *answerer)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(strtoul(answerer->cpu, NULL, 10), &set);
    answerer->asked_cnt = 0;
    weir_store_rlx(&answerer->tail, 0); /* no thread yet */
    weir_store_rlx(&answerer->is_over, false);
    answerer->queue[0].head = answerer->queue[0].tail = 0;
    answerer->queue[1].head = answerer->queue[1].tail = 0;
    if (pthread_create(&answerer->thread, NULL, serve, answerer) != 0) {
        return weir_err_push(WEIR_ESYS, "no thread for the answers");
    }
    (void)pthread_setaffinity_np(answerer->thread, sizeof set, &set);
    return 0;
}

void
answer_stop(struct answerer *answerer)
{
    weir_store_rlx(&answerer->is_over, true); /* the join orders all else */
    (void)pthread_join(answerer->thread, NULL);
}
