/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/weir/progress.h"
#include "base/base.h"
#include "base/err.h"

/* Tells the watch to end; from another process it means nothing. */
#define END_SIGNAL SIGUSR2

struct weir_watch {
    pthread_t thread;
    struct weir_job *job;
    const struct weir_plan *plan;
    int64_t progress_ns; /* 0: no line */
    struct weir_progress progress;
    uint32_t interrupt_cnt;
};

/* Who takes signals before there is a job to stop: reading a file or building a graph may take
 * long, or for ever. */
static struct {
    pthread_t thread;
    bool runs;
    uint32_t interrupt_cnt; /* writer: the thread, until it is joined */
} early;

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

/* Ends when weir_watch_hand_over says so. USR1 waits for the job that it asks about. */
static void *
early_main(void *arg)
{
    uint32_t *cnt = arg;
    sigset_t set = signals();
    (void)sigdelset(&set, SIGUSR1);
    for (;;) {
        siginfo_t info;
        int got = sigwaitinfo(&set, &info);
        if (got == END_SIGNAL && info.si_pid == getpid()) {
            return NULL;
        }
        if (got != SIGTERM && got != SIGINT) {
            continue;
        }
        if (++*cnt > 1) {
            _exit(WEIR_EXIT_INTERRUPTED); /* nothing has been written yet */
        }
        (void)fprintf(
            stderr, "weir: the job is not there yet and stops when it is; once more to end now\n");
    }
}

/* What is written when a mapped page cannot be had: made before, for a handler formats nothing. */
static char bus_text[512];

/* There is no way back into the read that failed. What the job has written stays unpublished. */
static void
on_bus(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, bus_text, strlen(bus_text));
    _exit(WEIR_EXIT_IO);
}

static void
guard_mappings(void)
{
    const struct weir_err_row *row = weir_err_row(WEIR_ECUT);
    (void)snprintf(bus_text, sizeof bus_text,
        "error WEIR-%d: %s\n  %s\n  fix: %s (weir explain WEIR-%d)\n", row->code, row->text,
        row->cause, row->fix, row->code);
    (void)signal(SIGBUS, on_bus);
}

int
weir_watch_block(void)
{
    sigset_t set = signals();
    guard_mappings();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    /* A reader that goes away is an error of writing (74), not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    int errnum = pthread_create(&early.thread, NULL, early_main, &early.interrupt_cnt);
    early.runs = errnum == 0;
    return errnum != 0 ? weir_err_errno(errnum, "a thread for signals") : 0;
}

uint32_t
weir_watch_hand_over(void)
{
    if (early.runs) {
        (void)pthread_kill(early.thread, END_SIGNAL);
        (void)pthread_join(early.thread, NULL);
        early.runs = false;
    }
    return early.interrupt_cnt;
}

struct weir_watch_totals
weir_watch_totals(const struct weir_job *job, const struct weir_plan *plan)
{
    struct weir_watch_totals totals = {0};
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(job, i, &sum);
        enum weir_plan_kind kind = plan->graph->operators[i].kind;
        totals.rows_in += kind == WEIR_PLAN_SOURCE ? sum.rows_in : 0;
        totals.rows_out += kind == WEIR_PLAN_SINK ? sum.rows_in : 0;
        totals.rows_late += sum.rows_late;
        totals.rows_bad += sum.rows_bad;
    }
    return totals;
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
    (void)fprintf(stderr, "%sweir: %s\n", watch->progress_ns > 0 ? "\n" : "",
        first ? "stopping: what is in flight is finished; once more to cancel" : "canceling");
    weir_job_request(watch->job, first ? WEIR_TASK_REQUEST_STOP : WEIR_TASK_REQUEST_CANCEL);
}

static void *
watch_main(void *arg)
{
    struct weir_watch *watch = arg;
    const struct timespec wait = {
        .tv_sec = watch->progress_ns / WEIR_SEC_NS, .tv_nsec = watch->progress_ns % WEIR_SEC_NS};
    sigset_t set = signals();
    for (;;) {
        siginfo_t info;
        int got =
            watch->progress_ns > 0 ? sigtimedwait(&set, &info, &wait) : sigwaitinfo(&set, &info);
        if (got == END_SIGNAL && info.si_pid == getpid()) {
            return NULL;
        }
        if (got == SIGTERM || got == SIGINT) {
            interrupt(watch);
        } else if (got == SIGUSR1) {
            print_state(watch);
        } else if (got < 0 && errno == EAGAIN) {
            weir_progress_print(&watch->progress);
        }
    }
}

int
weir_watch_start(struct weir_job *job, const struct weir_plan *plan, int64_t progress_ns,
    struct weir_watch **ret_watch)
{
    struct weir_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the watch of the job");
    }
    watch->job = job;
    watch->plan = plan;
    watch->progress_ns = isatty(STDERR_FILENO) == 1 ? progress_ns : 0;
    int err = weir_progress_open(&watch->progress, job, plan);
    if (weir_watch_hand_over() > 0) {
        interrupt(watch);
    }
    if (err == 0) {
        int errnum = pthread_create(&watch->thread, NULL, watch_main, watch);
        err = errnum != 0 ? weir_err_errno(errnum, "a thread beside the job") : 0;
    }
    if (err != 0) {
        weir_progress_close(&watch->progress);
        free(watch);
        return err;
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
    if (watch->progress_ns > 0) {
        weir_progress_wipe();
    }
    weir_progress_close(&watch->progress);
    uint32_t interrupt_cnt = watch->interrupt_cnt;
    free(watch);
    return interrupt_cnt;
}
