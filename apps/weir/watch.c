/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

#define PROGRESS_NS (WEIR_SEC_NS / 2)
/* Tells the watch to end; no one else sends it. */
#define END_SIGNAL SIGUSR2

struct weir_watch {
    pthread_t thread;
    struct weir_job *job;
    const struct weir_plan *plan;
    bool progress;
    uint32_t interrupt_cnt;
    struct weir_clock clock;
    int64_t start_ns;
};

static sigset_t
signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaddset(&set, END_SIGNAL);
    return set;
}

void
weir_watch_block(void)
{
    sigset_t set = signals();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    /* A reader that goes away is an error of writing (74), not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
}

struct weir_watch_totals
weir_watch_totals(const struct weir_job *job, const struct weir_plan *plan)
{
    struct weir_watch_totals totals = {0};
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(job, i, &sum);
        enum weir_plan_kind kind = plan->graph->operators[i].kind;
        totals.rows_in += kind == WEIR_PLAN_SOURCE ? sum.rows_out : 0;
        totals.rows_out += kind == WEIR_PLAN_SINK ? sum.rows_in : 0;
        totals.rows_late += sum.rows_late;
        totals.rows_bad += sum.rows_bad;
    }
    return totals;
}

static void
print_progress(const struct weir_watch *watch, uint64_t *rows_before, int64_t *at_before_ns)
{
    int64_t now_ns = weir_clock_ns_cold(&watch->clock);
    struct weir_watch_totals totals = weir_watch_totals(watch->job, watch->plan);
    double seconds = (double)(now_ns - *at_before_ns) / (double)WEIR_SEC_NS;
    double rate = seconds > 0 ? (double)(totals.rows_in - *rows_before) / seconds : 0;
    (void)fprintf(stderr, "\r%6.1f s  in %" PRIu64 "  out %" PRIu64 "  %.2f M/s\033[K",
        (double)(now_ns - watch->start_ns) / (double)WEIR_SEC_NS, totals.rows_in, totals.rows_out,
        rate / 1e6);
    *rows_before = totals.rows_in;
    *at_before_ns = now_ns;
}

static void
print_state(const struct weir_watch *watch)
{
    for (uint32_t i = 0; i < weir_job_operator_cnt(watch->job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(watch->job, i, &sum);
        (void)fprintf(stderr,
            "%-20s in %" PRIu64 " out %" PRIu64 " late %" PRIu64 " bad %" PRIu64 "\n", sum.name,
            sum.rows_in, sum.rows_out, sum.rows_late, sum.rows_bad);
    }
    for (uint32_t i = 0; i < weir_job_task_cnt(watch->job); i++) {
        const struct weir_task *task = weir_job_task(watch->job, i);
        (void)fprintf(stderr, "%-20s %s\n", weir_task_name(task),
            weir_task_state_name(weir_task_state(task)));
    }
}

static void
interrupt(struct weir_watch *watch)
{
    watch->interrupt_cnt++;
    bool first = watch->interrupt_cnt == 1;
    (void)fprintf(stderr, "%sweir: %s\n", watch->progress ? "\n" : "",
        first ? "stopping: what is in flight is finished; once more to cancel" : "canceling");
    weir_job_request(watch->job, first ? WEIR_TASK_REQUEST_STOP : WEIR_TASK_REQUEST_CANCEL);
}

static void *
watch_main(void *arg)
{
    struct weir_watch *watch = arg;
    const struct timespec wait = {.tv_nsec = PROGRESS_NS};
    sigset_t set = signals();
    uint64_t rows_before = 0;
    int64_t at_before_ns = watch->start_ns;
    for (;;) {
        int got = watch->progress ? sigtimedwait(&set, NULL, &wait) : sigwaitinfo(&set, NULL);
        if (got == END_SIGNAL) {
            return NULL;
        }
        if (got == SIGTERM || got == SIGINT) {
            interrupt(watch);
        } else if (got == SIGUSR1) {
            print_state(watch);
        } else if (errno == EAGAIN) {
            print_progress(watch, &rows_before, &at_before_ns);
        }
    }
}

int
weir_watch_start(struct weir_job *job, const struct weir_plan *plan, struct weir_watch **ret_watch)
{
    struct weir_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the watch of the job");
    }
    watch->job = job;
    watch->plan = plan;
    watch->progress = isatty(STDERR_FILENO) == 1;
    weir_clock_init_os(&watch->clock);
    watch->start_ns = weir_clock_ns_cold(&watch->clock);
    int errnum = pthread_create(&watch->thread, NULL, watch_main, watch);
    if (errnum != 0) {
        free(watch);
        return weir_err_errno(errnum, "a thread beside the job");
    }
    *ret_watch = watch;
    return 0;
}

uint32_t
weir_watch_stop(struct weir_watch *watch)
{
    if (watch == NULL) {
        return 0;
    }
    (void)pthread_kill(watch->thread, END_SIGNAL);
    (void)pthread_join(watch->thread, NULL);
    if (watch->progress) {
        (void)fprintf(stderr, "\r\033[K");
    }
    uint32_t interrupt_cnt = watch->interrupt_cnt;
    free(watch);
    return interrupt_cnt;
}
