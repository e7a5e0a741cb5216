/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/checkpoint_request.h"

#include <string.h>

#include "base/check.h"

void
weir_checkpoint_queue_init(
    struct weir_checkpoint_queue *queue, struct weir_checkpoint_request *request, uint32_t cnt_max)
{
    WEIR_CHECK(cnt_max > 0, "a queue of nothing");
    *queue = (struct weir_checkpoint_queue){.request = request, .cnt_max = cnt_max};
}

/* Less is earlier. */
static uint32_t
rank_of(const struct weir_checkpoint_request *request)
{
    uint32_t rank = request->stop != WEIR_CHECKPOINT_GO_ON ? 0 : 4;
    rank += request->kind == WEIR_CHECKPOINT_KIND_SAVEPOINT ? 0 : 2;
    return rank + (request->is_periodic ? 1 : 0);
}

static bool
is_before(const struct weir_checkpoint_request *a, const struct weir_checkpoint_request *b)
{
    uint32_t rank_a = rank_of(a);
    uint32_t rank_b = rank_of(b);
    return rank_a != rank_b ? rank_a < rank_b : a->asked_ns < b->asked_ns;
}

bool
weir_checkpoint_queue_put(struct weir_checkpoint_queue *queue,
    const struct weir_checkpoint_request *request, struct weir_checkpoint_request *ret_dropped)
{
    bool is_full = queue->cnt == queue->cnt_max;
    if (is_full) {
        const struct weir_checkpoint_request *last = &queue->request[queue->cnt - 1];
        if (!is_before(request, last)) {
            *ret_dropped = *request;
            return true;
        }
        *ret_dropped = *last;
        queue->cnt--;
    }
    uint32_t at = queue->cnt;
    while (at > 0 && is_before(request, &queue->request[at - 1])) {
        at--;
    }
    memmove(
        &queue->request[at + 1], &queue->request[at], (queue->cnt - at) * sizeof queue->request[0]);
    queue->request[at] = *request;
    queue->cnt++;
    return is_full;
}

bool
weir_checkpoint_queue_take(
    struct weir_checkpoint_queue *queue, struct weir_checkpoint_request *ret_request)
{
    if (queue->cnt == 0) {
        return false;
    }
    *ret_request = queue->request[0];
    queue->cnt--;
    memmove(&queue->request[0], &queue->request[1], queue->cnt * sizeof queue->request[0]);
    return true;
}

bool
weir_checkpoint_queue_has_periodic(const struct weir_checkpoint_queue *queue)
{
    /* The clock's stand last. */
    return queue->cnt > 0 && queue->request[queue->cnt - 1].is_periodic;
}

enum weir_checkpoint_choice
weir_checkpoint_queue_choose(struct weir_checkpoint_queue *queue,
    const struct weir_checkpoint_limits *limits, struct weir_checkpoint_request *ret_request)
{
    if (queue->cnt == 0 || limits->is_held) {
        return WEIR_CHECKPOINT_CHOICE_WAIT;
    }
    const struct weir_checkpoint_request *first = &queue->request[0];
    bool is_forced = limits->is_forced && first->kind == WEIR_CHECKPOINT_KIND_SAVEPOINT;
    if (limits->pending_cnt >= limits->concurrent_max && !is_forced) {
        return WEIR_CHECKPOINT_CHOICE_WAIT;
    }
    bool is_early = limits->has_done && limits->now_ns - limits->done_ns < limits->pause_ns;
    bool is_dropped = first->is_periodic && is_early;
    (void)weir_checkpoint_queue_take(queue, ret_request);
    return is_dropped ? WEIR_CHECKPOINT_CHOICE_DROP : WEIR_CHECKPOINT_CHOICE_START;
}
