/* SPDX-License-Identifier: Apache-2.0 */
/* q5: bids are counted per auction and pane of 2 s; a window of 10 s is five panes. */
#include "bench/nexmark/keyset.h"
#include "bench/nexmark/windows.h"

#define PANE_MS 2000
#define WINDOW_MS 10000
#define PANES (WINDOW_MS / PANE_MS)

struct pane {
    int64_t start;
    uint32_t counts[KEYSET_KEYS_MAX]; /* by the key's number */
    struct keyset auctions;
};

struct found {
    int64_t auction;
    uint64_t num;
};

struct q5 {
    struct windows w;
    struct kernel_result result;
    struct found found[PANES * KEYSET_KEYS_MAX];
    struct pane panes[WINDOWS_PANES_MAX];
};

static inline int
count(struct pane *pane, int64_t auction)
{
    uint32_t key_cnt = pane->auctions.key_cnt;
    uint32_t number = keyset_add(&pane->auctions, auction);
    if (WEIR_UNLIKELY(number >= key_cnt)) {
        if (number == KEYSET_NONE) {
            return -1;
        }
        pane->counts[number] = 0;
    }
    pane->counts[number]++;
    return 0;
}

/* The pane that starts here, emptied first where its place was another's. */
static struct pane *
open_pane(struct q5 *q, int64_t start)
{
    struct pane *pane = &q->panes[windows_slot(&q->w, start)];
    if (pane->start != start) {
        keyset_clear(&pane->auctions);
        pane->start = start;
    }
    return pane;
}

/* The panes of the window that ends here, and the greatest count in any of them. */
static uint32_t
collect(struct q5 *q, int64_t end, struct pane **ret_panes, uint32_t *ret_best)
{
    uint32_t pane_cnt = 0;
    uint32_t best = 0;
    for (int64_t start = end - WINDOW_MS; start < end; start += PANE_MS) {
        struct pane *pane = &q->panes[windows_slot(&q->w, start)];
        if (pane->start != start || pane->auctions.key_cnt == 0) {
            continue;
        }
        for (uint32_t s = 0; s < pane->auctions.key_cnt; s++) {
            best = pane->counts[s] > best ? pane->counts[s] : best;
        }
        ret_panes[pane_cnt++] = pane;
    }
    *ret_best = best;
    return pane_cnt;
}

/* A winner has a fifth of the best pane's best count in one of the panes: the counts are scanned
 * for that, and few keys are looked up. */
static void
fire(struct q5 *q, int64_t end)
{
    struct pane *panes[PANES];
    uint32_t best;
    uint32_t pane_cnt = collect(q, end, panes, &best);
    uint32_t least = (best + PANES - 1) / PANES;
    uint64_t most = 0;
    size_t found_cnt = 0;
    for (uint32_t p = 0; p < pane_cnt; p++) {
        for (uint32_t s = 0; s < panes[p]->auctions.key_cnt; s++) {
            if (WEIR_LIKELY(panes[p]->counts[s] < least)) {
                continue;
            }
            struct found found = {panes[p]->auctions.keys[s], 0};
            bool is_seen = false;
            for (uint32_t o = 0; o < pane_cnt; o++) {
                uint32_t number = keyset_find(&panes[o]->auctions, found.auction);
                uint32_t there = number == KEYSET_NONE ? 0 : panes[o]->counts[number];
                is_seen |= o < p && there >= least;
                found.num += there;
            }
            if (!is_seen) {
                q->found[found_cnt++] = found;
                most = weir_max_u64(most, found.num);
            }
        }
    }
    for (size_t i = 0; i < found_cnt; i++) {
        if (q->found[i].num == most) {
            uint64_t sum = weir_row_add(0, 0, (uint64_t)q->found[i].auction);
            kernel_emit(&q->result, weir_row_add(sum, 1, most));
        }
    }
}

static int
slow(struct q5 *q, const struct nexmark_event *e)
{
    int64_t from;
    int64_t to;
    windows_advance(&q->w, e->time_ms, &from, &to);
    for (int64_t end = from + PANE_MS; end <= to; end += PANE_MS) {
        fire(q, end);
    }
    windows_settle(&q->w);
    int64_t start = windows_floor(e->time_ms, PANE_MS);
    if (e->kind != NEXMARK_BID || start + WINDOW_MS <= from) {
        return 0; /* no bid, or late for all its windows */
    }
    return count(open_pane(q, start), e->id_or_auction);
}

static int
run(struct q5 *q, const struct nexmark_log *log)
{
    struct pane *pane = &q->panes[0];
    int err = 0;
    for (uint64_t i = 0; i < log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (WEIR_LIKELY(e->time_ms >= q->w.low && e->time_ms < q->w.high)) {
            if (e->kind == NEXMARK_BID) {
                err = count(pane, e->id_or_auction);
            }
        } else {
            err = slow(q, e);
            pane = open_pane(q, q->w.newest);
        }
    }
    for (int64_t end = q->w.fired_end + PANE_MS; end <= q->w.newest + WINDOW_MS; end += PANE_MS) {
        fire(q, end);
    }
    return err;
}

int
kernel_q5(const struct kernel_input *input, struct kernel_result *ret_result)
{
    static struct q5 q;
    memset(&q.result, 0, sizeof q.result);
    windows_init(&q.w, PANE_MS, WINDOW_MS);
    for (uint32_t i = 0; i < WINDOWS_PANES_MAX; i++) {
        q.panes[i].start = INT64_MIN;
    }
    int err = run(&q, &input->log);
    q.result.events = input->log.record_cnt;
    *ret_result = q.result;
    return err;
}
