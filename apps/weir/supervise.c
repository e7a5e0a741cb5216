/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/err.h"

#define SIGNAL_EXIT 128 /* as a shell says it */

struct shared {
    WEIR_ATOMIC(uint32_t) ends; /* writer: the engine; reader: the supervisor, once it is dead */
};

struct supervisor {
    const struct weir_supervise_conf *conf;
    struct weir_clock clock;
    struct weir_restart restart;
    struct shared *shared;
    sigset_t waits; /* what it waits for: CHLD, and what goes on to the engine */
    sigset_t before;
    pid_t engine; /* 0: there is none at the moment */
    uint32_t restart_cnt;
    bool ends; /* TERM or INT has come */
};

void
weir_supervised_ends(const struct weir_supervised *self)
{
    struct shared *shared = self->shared;
    /* relaxed: it is read after waitpid() has told the end of this process. */
    weir_store_rlx(&shared->ends, 1);
}

/* ---- the engine's beginning ---- */

/* The engine keeps TERM, INT and USR1 blocked until it can take them: none may kill it by chance.
 */
static void
become_engine(struct supervisor *supervisor, pid_t supervisor_pid, struct weir_supervised *ret_self)
{
    sigset_t chld;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor_pid) {
        _exit(SIGNAL_EXIT + SIGKILL); /* it died before it could be watched */
    }
    (void)sigemptyset(&chld);
    (void)sigaddset(&chld, SIGCHLD);
    if (sigismember(&supervisor->before, SIGCHLD) == 0) {
        (void)sigprocmask(SIG_UNBLOCK, &chld, NULL);
    }
    *ret_self = (struct weir_supervised){
        .supervisor_pid = supervisor_pid,
        .restart_cnt = supervisor->restart_cnt,
        .shared = supervisor->shared,
    };
}

/* Sets supervisor->engine; 0 in the engine itself. Once there are checkpoints, what is started
 * again (restart_cnt > 0) restores the latest: run.c decides it from weir_supervised. */
static int
start(struct supervisor *supervisor)
{
    weir_store_rlx(&supervisor->shared->ends, 0); /* relaxed: no engine is there to race */
    (void)fflush(NULL); /* what is buffered is written once */
    pid_t pid = fork();
    if (pid < 0) {
        return weir_err_errno(errno, "a process for the engine of %s", supervisor->conf->job);
    }
    supervisor->engine = pid;
    return 0;
}

/* ---- the supervisor ---- */

/* Takes one signal, for at most wait_ns (negative: however long); 0: none came. */
static int
take_signal(struct supervisor *supervisor, int64_t wait_ns)
{
    const struct timespec wait = {
        .tv_sec = wait_ns / WEIR_SEC_NS, .tv_nsec = wait_ns % WEIR_SEC_NS};
    int got = wait_ns < 0 ? sigwaitinfo(&supervisor->waits, NULL)
                          : sigtimedwait(&supervisor->waits, NULL, &wait);
    if (got <= 0 || got == SIGCHLD) {
        return got > 0 ? got : 0;
    }
    supervisor->ends |= got == SIGTERM || got == SIGINT;
    if (supervisor->engine > 0) {
        (void)kill(supervisor->engine, got);
    }
    return got;
}

/* Waits for the engine's end; its status as waitpid() has it. */
static int
wait_for_engine(struct supervisor *supervisor)
{
    int status = 0;
    while (waitpid(supervisor->engine, &status, WNOHANG) != supervisor->engine) {
        (void)take_signal(supervisor, -1);
    }
    return status;
}

/* What may pass is a fault; any other error would come again. */
static enum weir_restart_cause
cause_of(int status)
{
    static const int codes[] = {WEIR_EXIT_FAILED, WEIR_EXIT_UNAVAILABLE, WEIR_EXIT_SOFTWARE,
        WEIR_EXIT_IO, WEIR_EXIT_TEMPFAIL};
    if (WIFSIGNALED(status)) {
        return WEIR_RESTART_FAULT;
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(codes); i++) {
        if (WEXITSTATUS(status) == codes[i]) {
            return WEIR_RESTART_FAULT;
        }
    }
    return WEIR_RESTART_PERMANENT;
}

/* One line for each end that was none of the job's own. */
static void
tell(const struct supervisor *supervisor, pid_t pid, int status, const char *what)
{
    char cause[80];
    if (WIFSIGNALED(status)) {
        (void)snprintf(cause, sizeof cause, "was killed by signal %d (%s)", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    } else {
        (void)snprintf(cause, sizeof cause, "ended with exit code %d", WEXITSTATUS(status));
    }
    (void)fprintf(stderr, "weir: supervise: the engine of %s, process %d, %s; %s\n",
        supervisor->conf->job, (int)pid, cause, what);
}

/* Whether the engine is to be started again; waits the time until then. */
static bool
again(struct supervisor *supervisor, pid_t pid, int status)
{
    char what[200];
    int64_t until_ns = 0;
    bool success = WIFEXITED(status) && WEXITSTATUS(status) == WEIR_EXIT_OK;
    /* relaxed: waitpid() has told the end of the one writer. */
    if (success || supervisor->ends || weir_load_rlx(&supervisor->shared->ends) != 0) {
        return false;
    }
    int64_t now_ns = weir_clock_ns_cold(&supervisor->clock);
    if (!weir_restart_failure(&supervisor->restart, cause_of(status), now_ns, &until_ns)) {
        (void)snprintf(what, sizeof what, "not restarted: %s", supervisor->restart.why);
        tell(supervisor, pid, status, what);
        return false;
    }
    (void)snprintf(what, sizeof what, "restarting in %.3f s (restart %u)",
        (double)(until_ns - now_ns) / (double)WEIR_SEC_NS, supervisor->restart_cnt + 1);
    tell(supervisor, pid, status, what);
    while (!supervisor->ends && now_ns < until_ns) {
        (void)take_signal(supervisor, until_ns - now_ns);
        now_ns = weir_clock_ns_cold(&supervisor->clock);
    }
    return !supervisor->ends;
}

/* Blocks what the supervisor waits for, before the first engine is there. */
static int
open_supervisor(struct supervisor *supervisor)
{
    static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    weir_clock_init_os(&supervisor->clock);
    /* Jobs that fail of one cause shall not come again at one time: each has a seed of its own. */
    uint64_t seed = (uint64_t)weir_clock_ns_cold(&supervisor->clock) ^ ((uint64_t)getpid() << 32);
    int err = weir_restart_init(&supervisor->restart, &supervisor->conf->restart, seed);
    if (err != 0) {
        return err;
    }
    supervisor->shared = mmap(NULL, sizeof *supervisor->shared, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (supervisor->shared == MAP_FAILED) {
        return weir_err_errno(errno, "a page beside the engine of %s", supervisor->conf->job);
    }
    (void)sigemptyset(&supervisor->waits);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(taken); i++) {
        (void)sigaddset(&supervisor->waits, taken[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &supervisor->waits, &supervisor->before);
    (void)signal(SIGCHLD, SIG_DFL); /* who was started with it ignored would never hear of an end */
    return 0;
}

int
weir_supervise(const struct weir_supervise_conf *conf, struct weir_supervised *ret_self)
{
    struct supervisor supervisor = {.conf = conf};
    pid_t self = getpid();
    memset(ret_self, 0, sizeof *ret_self);
    int err = open_supervisor(&supervisor);
    if (err != 0) {
        return err;
    }
    for (;; supervisor.restart_cnt++) {
        err = start(&supervisor);
        if (err != 0) {
            break;
        }
        if (supervisor.engine == 0) {
            become_engine(&supervisor, self, ret_self);
            return 0;
        }
        int status = wait_for_engine(&supervisor);
        pid_t pid = supervisor.engine;
        supervisor.engine = 0; /* its number may be another's now: nothing is sent there */
        if (!again(&supervisor, pid, status)) {
            err = WIFSIGNALED(status) ? SIGNAL_EXIT + WTERMSIG(status) : WEXITSTATUS(status);
            break;
        }
    }
    (void)munmap(supervisor.shared, sizeof *supervisor.shared);
    return err;
}
