/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "apps/weir/watch.h"
#include "base/err.h"

#define LINE_BYTES 1024

struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void add(struct line *line, const char *fmt, ...) WEIR_PRINTF(2, 3);

static void
add(struct line *line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line->text + line->used, sizeof line->text - line->used, fmt, args);
    va_end(args);
    line->used = weir_min_u64(line->used + (n > 0 ? (size_t)n : 0), sizeof line->text - 1);
}

/* Two digits or so in the unit that suits: a line is read at a glance. */
static void
add_duration(struct line *line, const char *name, double seconds)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}, {1e-3, "ms"}};
    double size = seconds < 0 ? -seconds : seconds;
    size_t i = 0;
    /* Two of a unit before it is used: 90 s says more than 1.5 min. */
    while (i + 1 < WEIR_ARRAY_CNT(units) && size < 2 * units[i].seconds) {
        i++;
    }
    add(line, "  %s %.*f %s", name, size < 10 * units[i].seconds ? 1 : 0,
        seconds / units[i].seconds, units[i].name);
}

/* By the source that is the furthest from its end; nothing where one has none, or has not begun. */
static void
add_left(struct line *line, const struct weir_progress *progress, double elapsed_s)
{
    double left_s = -1;
    for (uint32_t i = 0; i < weir_job_operator_cnt(progress->job); i++) {
        if (!weir_plan_is_way_in(&progress->plan->graph->operators[i])) {
            continue;
        }
        struct weir_job_operator_sum sum;
        weir_job_operator(progress->job, i, &sum);
        if (sum.work_all == 0 || sum.work_done == 0) {
            return;
        }
        uint64_t rest = sum.work_all - weir_min_u64(sum.work_done, sum.work_all);
        double its_s = elapsed_s * (double)rest / (double)sum.work_done;
        left_s = its_s > left_s ? its_s : left_s;
    }
    if (left_s >= 0) {
        add_duration(line, "left", left_s);
    }
}

/* Sinks that no watermark has reached yet (those of malformed lines never see one) are left out. */
static void
add_lag(struct line *line, const struct weir_progress *progress)
{
    int64_t least = WEIR_WATERMARK_MAX;
    for (uint32_t i = 0; i < weir_job_operator_cnt(progress->job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(progress->job, i, &sum);
        bool is_sink = weir_plan_is_way_out(&progress->plan->graph->operators[i]);
        if (is_sink && sum.watermark >= WEIR_TIME_FIRST) {
            least = weir_min_i64(least, sum.watermark);
        }
    }
    if (least != WEIR_WATERMARK_MAX) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        add_duration(
            line, "lag", (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)least / 1e3);
    }
}

/* The parts of a core's time since they were last told; what is not published yet stays. */
static void
add_core(struct line *line, struct weir_progress *progress, uint32_t idx)
{
    struct weir_core_times times;
    int64_t part_ns[WEIR_CORE_PART_CNT];
    int64_t all_ns = 0;
    if (!weir_job_core_times(progress->job, idx, &times)) {
        return;
    }
    for (uint32_t p = 0; p < WEIR_CORE_PART_CNT; p++) {
        part_ns[p] = weir_max_i64(times.ns[p] - progress->times[idx].ns[p], 0);
        all_ns += part_ns[p];
    }
    if (all_ns > 0) {
        struct line text = {.used = 0};
        for (uint32_t p = 0; p < WEIR_CORE_PART_CNT; p++) {
            int percent = (int)((part_ns[p] * 200 + all_ns) / (2 * all_ns));
            if (percent > 0) {
                add(&text, " %s %d %%", weir_core_part_name((enum weir_core_part)p), percent);
            }
        }
        (void)snprintf(
            progress->parts[idx], sizeof progress->parts[idx], "%.*s", (int)text.used, text.text);
        progress->times[idx] = times;
    }
    add(line, "  cpu %u%s", progress->plan->cores[idx].cpu, progress->parts[idx]);
}

int
weir_progress_open(
    struct weir_progress *progress, struct weir_job *job, const struct weir_plan *plan)
{
    memset(progress, 0, sizeof *progress);
    progress->job = job;
    progress->plan = plan;
    weir_clock_init_os(&progress->clock);
    progress->start_ns = weir_clock_ns_cold(&progress->clock);
    progress->at_ns = progress->start_ns;
    progress->times = calloc(plan->core_cnt + 1, sizeof *progress->times);
    progress->parts = calloc(plan->core_cnt + 1, sizeof *progress->parts);
    if (progress->times == NULL || progress->parts == NULL) {
        weir_progress_close(progress);
        return weir_err_push(WEIR_ENOMEM, "the progress of %u cores", plan->core_cnt);
    }
    return 0;
}

void
weir_progress_close(struct weir_progress *progress)
{
    free(progress->times);
    free(progress->parts);
    progress->times = NULL;
    progress->parts = NULL;
}

/* Bytes of a line that the terminal shows without breaking it. */
static size_t
width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? (size_t)size.ws_col - 1 : LINE_BYTES;
}

void
weir_progress_print(struct weir_progress *progress)
{
    struct line line = {.used = 0};
    int64_t now_ns = weir_clock_ns_cold(&progress->clock);
    struct weir_watch_totals totals = weir_watch_totals(progress->job, progress->plan);
    double elapsed_s = (double)(now_ns - progress->start_ns) / (double)WEIR_SEC_NS;
    double since_s = (double)(now_ns - progress->at_ns) / (double)WEIR_SEC_NS;
    double rate = since_s > 0 ? (double)(totals.rows_in - progress->rows_in) / since_s : 0;
    add(&line, "%6.1f s  in %" PRIu64 "  out %" PRIu64 "  %.2f M/s", elapsed_s, totals.rows_in,
        totals.rows_out, rate / 1e6);
    add_left(&line, progress, elapsed_s);
    add_lag(&line, progress);
    for (uint32_t c = 0; c < progress->plan->core_cnt; c++) {
        add_core(&line, progress, c);
    }
    progress->rows_in = totals.rows_in;
    progress->at_ns = now_ns;
    (void)fprintf(stderr, "\r%.*s\033[K", (int)weir_min_u64(width(), line.used), line.text);
}

void
weir_progress_wipe(void)
{
    (void)fprintf(stderr, "\r\033[K");
}
