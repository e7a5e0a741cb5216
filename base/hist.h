/* SPDX-License-Identifier: Apache-2.0 */
/* hist.h: a latency histogram with three significant digits, from 1 ns to 18 minutes.
 *
 * Values below 2,048 ns are counted exactly; above, each doubling is cut into 1,024 equal cells, so
 * that a cell is never wider than 1/1,024 of its value:
 *
 *     0 .. 2047 | 2048 .. 4095 by 2 | 4096 .. 8191 by 4 | ... | 2^39 .. 2^40-1 by 2^29
 *
 * A value of 2^40 ns or more is counted in the last cell and in over_cnt; ns_max keeps it exactly.
 * It is not a sampler and forgets nothing: merge histograms, never average percentiles.
 *
 * Coordinated omission: record now - intended, where intended is the time at which the schedule
 * wanted the event to happen, whether or not the system was ready. weir_hist_record_since() asks
 * for that time; there is no correction afterwards and none is needed.
 *
 * Threads: one writer core. Another thread reads only what the writer handed over or stopped
 *          writing.
 * Source:  Gil Tene's HdrHistogram (3 digits); we differ by a fixed range, so that a histogram is
 *          one piece of caller's memory and an index is computed without a division or a look-up.
 */
#ifndef WEIR_BASE_HIST_H
#define WEIR_BASE_HIST_H

#include <stdio.h>

#include "base/base.h"

WEIR_C_BEGIN

/* The exact part has twice the cells of each later doubling: 3 digits need 2,000 of them. */
#define WEIR_HIST_SUB_LG2 11
#define WEIR_HIST_NS_LG2_MAX 40
#define WEIR_HIST_HALF_CNT (1u << (WEIR_HIST_SUB_LG2 - 1))
#define WEIR_HIST_BUCKET_CNT (WEIR_HIST_NS_LG2_MAX - WEIR_HIST_SUB_LG2 + 1)
#define WEIR_HIST_CELL_CNT ((WEIR_HIST_BUCKET_CNT + 1) * WEIR_HIST_HALF_CNT)

struct weir_hist {
    uint64_t cnt;
    uint64_t over_cnt; /* values of 2^40 ns and more */
    uint64_t ns_min; /* UINT64_MAX while cnt is 0 */
    uint64_t ns_max;
    double ns_sum; /* for mean and deviation: exact to 2^53 ns, then to 16 digits */
    double ns_square_sum; /* as the values are, not as the cells round them */
    uint64_t cell[WEIR_HIST_CELL_CNT];
};

/* weir_hist_init - an empty histogram; 254 KiB of caller's memory. */
WEIR_API void weir_hist_init(struct weir_hist *hist);

/* weir_hist_merge - add what from has counted; from stays as it is. */
WEIR_API void weir_hist_merge(struct weir_hist *into, const struct weir_hist *from);

/* weir_hist_ns_at - the value that the given share of records does not exceed.
 *
 * Shape:   share in [0, 1]: 0.5 is the median, 1 the maximum.
 * Returns: the largest value of the cell in which record ceil(share * cnt) lies, but at most
 *          ns_max; 0 while the histogram is empty. At most 1/1,024 above the exact value, never
 *          below it.
 */
WEIR_API uint64_t weir_hist_ns_at(const struct weir_hist *hist, double share);

/* weir_hist_ns_mean, weir_hist_ns_deviation - of all records; 0 while empty. */
WEIR_API double weir_hist_ns_mean(const struct weir_hist *hist);
WEIR_API double weir_hist_ns_deviation(const struct weir_hist *hist);

/* weir_hist_cnt_above - records whose cell lies wholly above ns. */
WEIR_API uint64_t weir_hist_cnt_above(const struct weir_hist *hist, uint64_t ns);

/* weir_hist_print - the percentile text that HdrHistogram's plotter reads (.hgrm).
 *
 * Shape:   ticks lines per halving of the distance to 100 %, at least 1 (5 is usual); values are
 *          divided by ns_per_unit (1000 prints microseconds).
 * Errors:  WEIR_EIO when the stream fails.
 */
WEIR_API WEIR_MUST_USE int
weir_hist_print(const struct weir_hist *hist, FILE *to, uint32_t ticks, double ns_per_unit);

/* weir_hist_cell_idx - the cell that counts ns; ns < 2^40. */
static inline uint32_t
weir_hist_cell_idx(uint64_t ns)
{
    uint32_t bits = (uint32_t)(64 - __builtin_clzll(ns | (WEIR_HIST_HALF_CNT * 2 - 1)));
    uint32_t shift = bits - WEIR_HIST_SUB_LG2;
    return shift * WEIR_HIST_HALF_CNT + (uint32_t)(ns >> shift);
}

/* weir_hist_record_n - count cnt records of the same latency.
 *
 * Thread:  the writer core. Hot: once per batch or marker; 3 ns, one cell's line.
 */
static inline void
weir_hist_record_n(struct weir_hist *hist, uint64_t ns, uint64_t cnt)
{
    bool is_over = ns >> WEIR_HIST_NS_LG2_MAX != 0;
    uint32_t idx = is_over ? WEIR_HIST_CELL_CNT - 1 : weir_hist_cell_idx(ns);
    if (WEIR_UNLIKELY(cnt == 0)) {
        return;
    }
    hist->cell[idx] += cnt;
    hist->cnt += cnt;
    hist->over_cnt += is_over ? cnt : 0;
    hist->ns_min = ns < hist->ns_min ? ns : hist->ns_min;
    hist->ns_max = ns > hist->ns_max ? ns : hist->ns_max;
    hist->ns_sum += (double)ns * (double)cnt;
    hist->ns_square_sum += (double)ns * (double)ns * (double)cnt;
}

/* weir_hist_record - count one record. */
static inline void
weir_hist_record(struct weir_hist *hist, uint64_t ns)
{
    weir_hist_record_n(hist, ns, 1);
}

/* weir_hist_record_since - count cnt records that were due at intended_ns and are done at now_ns.
 *
 * A record done before it was due (a schedule read from another clock) counts as 0.
 */
static inline void
weir_hist_record_since(struct weir_hist *hist, int64_t intended_ns, int64_t now_ns, uint64_t cnt)
{
    weir_hist_record_n(hist, now_ns > intended_ns ? (uint64_t)(now_ns - intended_ns) : 0, cnt);
}

WEIR_C_END

#endif
