/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

_Static_assert(WEIR_HIST_CELL_CNT * 8 <= 254 * 1024, "the header promises 254 KiB and a little");

void
weir_hist_init(struct weir_hist *hist)
{
    memset(hist, 0, sizeof *hist);
    hist->ns_min = UINT64_MAX;
}

void
weir_hist_merge(struct weir_hist *into, const struct weir_hist *from)
{
    for (uint32_t i = 0; i < WEIR_HIST_CELL_CNT; i++) {
        into->cell[i] += from->cell[i];
    }
    into->cnt += from->cnt;
    into->over_cnt += from->over_cnt;
    into->ns_min = weir_min_u64(into->ns_min, from->ns_min);
    into->ns_max = weir_max_u64(into->ns_max, from->ns_max);
    into->ns_sum += from->ns_sum;
    into->ns_square_sum += from->ns_square_sum;
}

/* The largest value that a cell counts. */
static uint64_t
cell_ns_last(uint32_t idx)
{
    uint32_t bucket = idx / WEIR_HIST_HALF_CNT;
    uint32_t shift = bucket == 0 ? 0 : bucket - 1;
    uint64_t sub = idx - shift * WEIR_HIST_HALF_CNT;
    return ((sub + 1) << shift) - 1;
}

/* What a cell reports: the last cell also holds what is over the range, so its end is the
 * maximum. */
static uint64_t
cell_ns(const struct weir_hist *hist, uint32_t idx)
{
    return idx == WEIR_HIST_CELL_CNT - 1 ? hist->ns_max
                                         : weir_min_u64(cell_ns_last(idx), hist->ns_max);
}

uint64_t
weir_hist_ns_at(const struct weir_hist *hist, double share)
{
    WEIR_CHECK(share >= 0.0 && share <= 1.0, "share %f", share);
    if (hist->cnt == 0) {
        return 0;
    }
    /* share * cnt is rounded; a whole number hit from above by one rounding must not move a
     * rank. */
    double rank = ceil(share * (double)hist->cnt * (1.0 - 0x1.0p-52));
    uint64_t wanted = weir_min_u64(weir_max_u64((uint64_t)rank, 1), hist->cnt);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < WEIR_HIST_CELL_CNT; i++) {
        seen += hist->cell[i];
        if (seen >= wanted) {
            return cell_ns(hist, i);
        }
    }
    WEIR_CHECK(false, "%llu records, %llu in cells", (unsigned long long)hist->cnt,
        (unsigned long long)seen);
    return 0;
}

double
weir_hist_ns_mean(const struct weir_hist *hist)
{
    return hist->cnt == 0 ? 0.0 : hist->ns_sum / (double)hist->cnt;
}

double
weir_hist_ns_deviation(const struct weir_hist *hist)
{
    if (hist->cnt == 0) {
        return 0.0;
    }
    double mean = weir_hist_ns_mean(hist);
    double variance = hist->ns_square_sum / (double)hist->cnt - mean * mean;
    return variance > 0.0 ? sqrt(variance) : 0.0;
}

uint64_t
weir_hist_cnt_above(const struct weir_hist *hist, uint64_t ns)
{
    uint64_t cnt = 0;
    uint32_t first =
        ns >> WEIR_HIST_NS_LG2_MAX != 0 ? WEIR_HIST_CELL_CNT : weir_hist_cell_idx(ns) + 1;
    for (uint32_t i = first; i < WEIR_HIST_CELL_CNT; i++) {
        cnt += hist->cell[i];
    }
    return cnt;
}

/* The lines of HdrHistogram: from 0 %, ticks steps to half of what is left, ticks to half of the
 * rest, and so on. A cell is repeated for each step that it reaches; the last one has one line and
 * the closing 100 %. */
static void
print_lines(const struct weir_hist *hist, FILE *to, uint32_t ticks, double ns_per_unit)
{
    uint64_t seen = 0;
    double percent = 0.0; /* not a share: its steps are then exact, as they are in the original */
    for (uint32_t i = 0; i < WEIR_HIST_CELL_CNT && seen < hist->cnt; i++) {
        seen += hist->cell[i];
        double reached = 100.0 * (double)seen / (double)hist->cnt;
        double value = (double)cell_ns(hist, i) / ns_per_unit;
        bool is_open = hist->cell[i] > 0;
        while (is_open && percent <= reached && percent < 100.0) {
            double left = 100.0 / (100.0 - percent);
            fprintf(to, "%12.3f %2.12f %10llu %14.2f\n", value, percent / 100.0,
                (unsigned long long)seen, 1.0 / (1.0 - percent / 100.0));
            percent += 100.0 / (ticks * exp2(floor(log2(left)) + 1.0));
            is_open = seen < hist->cnt;
        }
    }
    if (hist->cnt > 0) {
        fprintf(to, "%12.3f %2.12f %10llu\n", (double)hist->ns_max / ns_per_unit, 1.0,
            (unsigned long long)hist->cnt);
    }
}

int
weir_hist_print(const struct weir_hist *hist, FILE *to, uint32_t ticks, double ns_per_unit)
{
    WEIR_CHECK(ticks > 0 && ns_per_unit > 0.0, "%u ticks, %f ns a unit", ticks, ns_per_unit);
    fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    print_lines(hist, to, ticks, ns_per_unit);
    fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
        weir_hist_ns_mean(hist) / ns_per_unit, weir_hist_ns_deviation(hist) / ns_per_unit);
    fprintf(to, "#[Max     = %12.3f, Total count    = %12llu]\n",
        (double)hist->ns_max / ns_per_unit, (unsigned long long)hist->cnt);
    fprintf(to, "#[Buckets = %12d, SubBuckets     = %12d]\n", WEIR_HIST_BUCKET_CNT,
        1 << WEIR_HIST_SUB_LG2);
    errno = 0;
    if (fflush(to) != 0 || ferror(to) != 0) {
        return weir_err_errno(errno != 0 ? errno : EIO, "writing the histogram");
    }
    return 0;
}
