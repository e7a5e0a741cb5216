/* SPDX-License-Identifier: Apache-2.0 */
/* windows.h: the event-time part of a windowed kernel: which panes are kept, which windows fire
 * when.
 *
 * The watermark is the greatest time so far less KERNEL_LAG_MS. A window ending at E fires once the
 * watermark is at E - 1; so all windows ending at or before `fired_end`, a multiple of the pane,
 * have fired. Records come nearly in order: nearly all fall into [low, high), the newest pane, cut
 * where the next window is due. For these nothing but that range is looked at, and nothing is
 * written.
 */
#ifndef WEIR_BENCH_NEXMARK_WINDOWS_H
#define WEIR_BENCH_NEXMARK_WINDOWS_H

#include "bench/nexmark/kernels.h"

/* Kept at once, a power of two: a window of 10 s in panes of 2 s and a lag of 4 s need 9; in one
 * pane, 4. */
#define WINDOWS_PANES_MAX 16
#define WINDOWS_WHOLE_MAX 4

struct windows {
    int64_t low;
    int64_t high;
    int64_t pane_ms;
    int64_t window_ms;
    int64_t fired_end;
    int64_t newest; /* start of the newest pane */
    int64_t max_ms; /* greatest time that left the fast path */
    uint64_t ring_mask;
    bool is_begun;
};

static inline int64_t
windows_floor(int64_t ms, int64_t size)
{
    int64_t rest = ms % size;
    return ms - (rest < 0 ? rest + size : rest);
}

static inline uint32_t
windows_slot(const struct windows *w, int64_t start)
{
    return (uint32_t)((uint64_t)(start / w->pane_ms) & w->ring_mask);
}

static inline void
windows_init(struct windows *w, int64_t pane_ms, int64_t window_ms)
{
    memset(w, 0, sizeof *w);
    w->pane_ms = pane_ms;
    w->window_ms = window_ms;
    w->ring_mask = (pane_ms == window_ms ? WINDOWS_WHOLE_MAX : WINDOWS_PANES_MAX) - 1;
}

/* A record out of [low, high). Windows with ends in (*ret_from, *ret_to], a pane apart, are to fire
 * now, before the record is added: the caller fires, then calls windows_settle(). */
static inline void
windows_advance(struct windows *w, int64_t time_ms, int64_t *ret_from, int64_t *ret_to)
{
    if (!w->is_begun) {
        w->is_begun = true;
        w->newest = windows_floor(time_ms, w->pane_ms);
        w->max_ms = time_ms;
        w->fired_end = windows_floor(time_ms - KERNEL_LAG_MS + 1, w->pane_ms);
    }
    w->max_ms = weir_max_i64(w->max_ms, time_ms);
    *ret_from = w->fired_end;
    *ret_to = windows_floor(w->max_ms - KERNEL_LAG_MS + 1, w->pane_ms);
    /* Behind the last pane's last window there is nothing to fire. */
    *ret_to = weir_min_i64(*ret_to, w->newest + w->window_ms);
}

static inline void
windows_settle(struct windows *w)
{
    w->fired_end = windows_floor(w->max_ms - KERNEL_LAG_MS + 1, w->pane_ms);
    w->newest = windows_floor(w->max_ms, w->pane_ms);
    w->low = w->newest;
    w->high = weir_min_i64(w->newest + w->pane_ms, w->fired_end + w->pane_ms - 1 + KERNEL_LAG_MS);
}

#endif
