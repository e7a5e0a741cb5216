/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "apps/weir/control.h"
#include "apps/weir/dump.h"
#include "apps/weir/progress.h"
#include "base/base.h"
#include "base/err.h"

/* Tells the watch to end; from another process it means nothing. */
#define END_SIGNAL SIGUSR2

struct weir_watch {
    pthread_t thread;
    struct weir_job *job;
    const struct weir_plan *plan;
    struct weir_control *control;
    struct weir_clock clock;
    int signal_fd;
    int64_t progress_ns; /* 0: no line */
    int64_t progress_at_ns; /* of the next line */
    struct weir_progress progress;
    uint32_t interrupt_cnt;
    bool is_over; /* the job has ended; a savepoint of it may end still */
};

/* Who takes signals before there is a job to stop: reading a file or building a graph may take
 * long, or for ever. */
static struct {
    pthread_t thread;
    bool runs;
    pid_t supervisor_pid; /* 0: none */
    uint32_t interrupt_cnt; /* writer: the thread, until it is joined */
    bool stop_asked; /* writer: as above; by somebody who does not count */
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

/* Whether a TERM or INT is to be counted: a group's signal comes twice to who has a supervisor. */
static bool
counts(uint32_t from_pid)
{
    return early.supervisor_pid == 0 || from_pid == (uint32_t)early.supervisor_pid;
}

/* Ends when weir_watch_hand_over says so. USR1 waits for the job that it asks about. */
static void *
early_main(void *arg)
{
    (void)arg;
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
        bool told = early.stop_asked || early.interrupt_cnt > 0;
        early.stop_asked = true;
        early.interrupt_cnt += counts((uint32_t)info.si_pid);
        if (early.interrupt_cnt > 1) {
            _exit(WEIR_EXIT_INTERRUPTED); /* nothing has been written yet */
        }
        if (told) {
            continue;
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
weir_watch_block(pid_t supervisor_pid)
{
    sigset_t set = signals();
    guard_mappings();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    /* A reader that goes away is an error of writing (74), not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    early.supervisor_pid = supervisor_pid;
    int errnum = pthread_create(&early.thread, NULL, early_main, NULL);
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
        const struct weir_plan_operator *op = &plan->graph->operators[i];
        totals.rows_in += weir_plan_is_way_in(op) ? sum.rows_in : 0;
        totals.rows_out += weir_plan_is_way_out(op) ? sum.rows_in : 0;
        totals.rows_late += sum.rows_late;
        totals.rows_bad += sum.rows_bad;
    }
    return totals;
}

static void
interrupt(struct weir_watch *watch, bool is_counted)
{
    watch->interrupt_cnt += is_counted;
    bool first = watch->interrupt_cnt <= 1;
    enum weir_task_request request = first ? WEIR_TASK_REQUEST_STOP : WEIR_TASK_REQUEST_CANCEL;
    if (weir_control_asked(watch->control) < request) {
        (void)fprintf(stderr, "%sweir: %s\n", watch->progress_ns > 0 ? "\n" : "",
            first ? "stopping: what is in flight is finished; once more to cancel" : "canceling");
    }
    weir_control_end(watch->control, request);
}

/* Takes the signals that wait. */
static void
take_signals(struct weir_watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == END_SIGNAL && info.ssi_pid == (uint32_t)getpid()) {
            watch->is_over = true;
        } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            interrupt(watch, counts(info.ssi_pid));
        } else if (info.ssi_signo == SIGUSR1) {
            weir_dump_print(stderr, watch->job, watch->plan, weir_control_metrics(watch->control));
        }
    }
}

static void *
watch_main(void *arg)
{
    struct weir_watch *watch = arg;
    for (;;) {
        int64_t now_ns = weir_clock_ns_cold(&watch->clock);
        int64_t wait_ns = weir_control_wait_ns(watch->control, now_ns);
        if (watch->progress_ns > 0) {
            wait_ns = weir_min_i64(wait_ns, weir_max_i64(watch->progress_at_ns - now_ns, 0));
        }
        struct pollfd fds[] = {{.fd = watch->signal_fd, .events = POLLIN},
            {.fd = weir_control_fd(watch->control), .events = POLLIN},
            {.fd = weir_control_scrape_fd(watch->control), .events = POLLIN},
            {.fd = weir_control_save_fd(watch->control), .events = POLLIN}};
        (void)poll(fds, WEIR_ARRAY_CNT(fds), (int)((wait_ns + WEIR_MS - 1) / WEIR_MS));
        take_signals(watch);
        if (watch->is_over) {
            weir_control_job_ended(watch->control);
        }
        now_ns = weir_clock_ns_cold(&watch->clock);
        weir_control_serve(watch->control, now_ns);
        if (watch->is_over && !weir_control_is_saving(watch->control)) {
            return NULL;
        }
        if (watch->progress_ns > 0 && now_ns >= watch->progress_at_ns) {
            weir_progress_print(&watch->progress);
            watch->progress_at_ns = now_ns + watch->progress_ns;
        }
    }
}

static int
open_watch(struct weir_watch *watch, const struct weir_watch_conf *conf)
{
    const struct weir_control_conf control = {.job = conf->job,
        .launch = conf->launch,
        .supervised = conf->supervised,
        .metrics_port = conf->metrics_port};
    sigset_t set = signals();
    watch->job = conf->job;
    watch->plan = weir_launch_plan_of(conf->launch);
    watch->progress_ns = isatty(STDERR_FILENO) == 1 ? conf->progress_ns : 0;
    weir_clock_init_os(&watch->clock);
    watch->progress_at_ns = weir_clock_ns_cold(&watch->clock) + watch->progress_ns;
    watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch->signal_fd < 0) {
        return weir_err_errno(errno, "a descriptor for signals");
    }
    int err = weir_progress_open(&watch->progress, conf->job, weir_launch_plan_of(conf->launch));
    if (err == 0) {
        err = weir_control_open(&control, &watch->control);
    }
    bool asked = weir_watch_hand_over() > 0 || early.stop_asked;
    if (err == 0 && asked) {
        interrupt(watch, early.interrupt_cnt > 0);
    }
    return err;
}

static void
close_watch(struct weir_watch *watch)
{
    weir_control_close(watch->control);
    weir_progress_close(&watch->progress);
    if (watch->signal_fd >= 0) {
        (void)close(watch->signal_fd);
    }
    free(watch);
}

int
weir_watch_start(const struct weir_watch_conf *conf, struct weir_watch **ret_watch)
{
    struct weir_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the watch of the job");
    }
    int err = open_watch(watch, conf);
    if (err == 0) {
        int errnum = pthread_create(&watch->thread, NULL, watch_main, watch);
        err = errnum != 0 ? weir_err_errno(errnum, "a thread beside the job") : 0;
    }
    if (err != 0) {
        close_watch(watch);
        return err;
    }
    *ret_watch = watch;
    return 0;
}

struct weir_watch_end
weir_watch_stop(struct weir_watch *watch)
{
    struct weir_watch_end end = {.interrupt_cnt = 0};
    if (watch == NULL) {
        return end;
    }
    (void)pthread_kill(watch->thread, END_SIGNAL);
    (void)pthread_join(watch->thread, NULL);
    if (watch->progress_ns > 0) {
        weir_progress_wipe();
    }
    end.interrupt_cnt = watch->interrupt_cnt;
    end.asked = weir_control_asked(watch->control);
    (void)snprintf(
        end.savepoint, sizeof end.savepoint, "%s", weir_control_savepoint(watch->control));
    close_watch(watch);
    return end;
}
