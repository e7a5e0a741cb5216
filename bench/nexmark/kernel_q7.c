/* SPDX-License-Identifier: Apache-2.0 */
/* q7: the bids at the highest price of a window of 10 s; a bid exactly at its end counts as one
 *     too,
 * but does not raise the price. */
#include "bench/nexmark/windows.h"

#define WINDOW_MS 10000
#define BIDS_MAX 65536 /* of one window's highest price, and at its end */

struct window {
    int64_t start;
    int64_t highest; /* of the bids inside; void while inside_cnt is 0 */
    uint32_t inside_cnt;
    uint32_t edge_cnt;
    const struct nexmark_event *inside[BIDS_MAX];
    const struct nexmark_event *edge[BIDS_MAX];
};

struct q7 {
    struct windows w;
    const struct nexmark_log *log;
    struct kernel_result result;
    struct window windows[WINDOWS_WHOLE_MAX];
};

static struct window *
open_window(struct q7 *q, int64_t start)
{
    struct window *window = &q->windows[windows_slot(&q->w, start)];
    if (window->start != start) {
        window->start = start;
        window->highest = INT64_MIN;
        window->inside_cnt = 0;
        window->edge_cnt = 0;
    }
    return window;
}

static int
emit(struct q7 *q, const struct nexmark_event *e)
{
    const uint8_t *payload = nexmark_log_payload(q->log, e);
    struct nexmark_text extra;
    if (payload == NULL || !nexmark_event_text(e, payload, NEXMARK_EXTRA, &extra)) {
        return -1;
    }
    uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
    sum = weir_row_add(sum, 1, (uint64_t)e->initial_bid_or_price);
    sum = weir_row_add(sum, 2, (uint64_t)e->seller_or_bidder);
    sum = weir_row_add(sum, 3, (uint64_t)e->time_ms);
    kernel_emit(&q->result, weir_row_add(sum, 4, weir_row_text(extra.ptr, extra.bytes)));
    return 0;
}

static int
fire(struct q7 *q, int64_t end)
{
    struct window *window = &q->windows[windows_slot(&q->w, end - WINDOW_MS)];
    int err = 0;
    if (window->start != end - WINDOW_MS || window->inside_cnt == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < window->inside_cnt && err == 0; i++) {
        err = emit(q, window->inside[i]);
    }
    for (uint32_t i = 0; i < window->edge_cnt && err == 0; i++) {
        if (window->edge[i]->initial_bid_or_price == window->highest) {
            err = emit(q, window->edge[i]);
        }
    }
    return err;
}

/* A bid at or above the highest price so far: rare, once the first are through. */
static int
raise_price(struct window *window, const struct nexmark_event *e)
{
    if (window->inside_cnt == 0 || e->initial_bid_or_price > window->highest) {
        window->highest = e->initial_bid_or_price;
        window->inside_cnt = 0;
    }
    if (window->inside_cnt == BIDS_MAX) {
        return -1;
    }
    window->inside[window->inside_cnt++] = e;
    return 0;
}

/* A bid exactly at the end of a window that has not fired. */
static int
add_edge(struct q7 *q, const struct nexmark_event *e, int64_t fired_end)
{
    if (e->time_ms <= fired_end) {
        return 0;
    }
    struct window *window = open_window(q, e->time_ms - WINDOW_MS);
    if (e->initial_bid_or_price < window->highest) {
        return 0;
    }
    if (window->edge_cnt == BIDS_MAX) {
        return -1;
    }
    window->edge[window->edge_cnt++] = e;
    return 0;
}

static int
slow(struct q7 *q, const struct nexmark_event *e)
{
    int64_t from;
    int64_t to;
    int err = 0;
    windows_advance(&q->w, e->time_ms, &from, &to);
    for (int64_t end = from + WINDOW_MS; end <= to && err == 0; end += WINDOW_MS) {
        err = fire(q, end);
    }
    windows_settle(&q->w);
    int64_t start = windows_floor(e->time_ms, WINDOW_MS);
    if (err != 0 || e->kind != NEXMARK_BID) {
        return err;
    }
    if (e->time_ms == start) {
        err = add_edge(q, e, from);
    }
    if (err != 0 || start + WINDOW_MS <= from) {
        return err;
    }
    struct window *window = open_window(q, start);
    return e->initial_bid_or_price >= window->highest ? raise_price(window, e) : 0;
}

static int
run(struct q7 *q)
{
    struct window *window = &q->windows[0];
    int64_t highest = INT64_MAX;
    int err = 0;
    for (uint64_t i = 0; i < q->log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &q->log->records[i];
        /* Strictly above low: a bid exactly at the start belongs to two windows. */
        if (WEIR_LIKELY(e->time_ms > q->w.low && e->time_ms < q->w.high)) {
            if (WEIR_UNLIKELY(e->initial_bid_or_price >= highest) && e->kind == NEXMARK_BID) {
                err = raise_price(window, e);
                highest = window->highest;
            }
        } else {
            err = slow(q, e);
            window = open_window(q, q->w.newest);
            highest = window->highest;
        }
    }
    int64_t end = q->w.fired_end + WINDOW_MS;
    for (; end <= q->w.newest + WINDOW_MS && err == 0; end += WINDOW_MS) {
        err = fire(q, end);
    }
    return err;
}

int
kernel_q7(const struct kernel_input *input, struct kernel_result *ret_result)
{
    static struct q7 q;
    memset(&q.result, 0, sizeof q.result);
    windows_init(&q.w, WINDOW_MS, WINDOW_MS);
    q.log = &input->log;
    for (uint32_t i = 0; i < WINDOWS_WHOLE_MAX; i++) {
        q.windows[i].start = INT64_MIN;
    }
    int err = run(&q);
    q.result.events = input->log.record_cnt;
    *ret_result = q.result;
    return err;
}
