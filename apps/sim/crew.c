/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/crew.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "io/sim.h"

/* Of the message that a crash leaves. */
#define CRASH_TEXT_BYTES 160

/* Of all worlds of this process. */
static struct weir_sim_pool *pool;
/* What a crash says; written before each trial, since then nothing can be. */
static char crash_text[CRASH_TEXT_BYTES];

struct hand {
    pid_t pid; /* 0: there is none */
    int from; /* its outcomes */
};

struct crew {
    const struct sim_crew_conf *conf;
    struct hand hand[SIM_HAND_CNT_MAX];
};

static void
on_crash(int signum)
{
    (void)!write(STDERR_FILENO, crash_text, strlen(crash_text));
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void
open_pool(void)
{
    if (weir_sim_pool_open(&pool) != 0) {
        weir_err_clear(); /* each world has its own then */
        pool = NULL;
    }
}

static void
run_seed(const struct sim_crew_conf *conf, uint64_t seed, struct sim_outcome *ret_outcome)
{
    struct sim_trial_conf trial = conf->trial;
    trial.seed = seed;
    trial.pool = pool;
    (void)snprintf(crash_text, sizeof crash_text,
        "weir sim: seed %" PRIu64 " has crashed; again with: weir sim --replay %" PRIu64 "\n", seed,
        seed);
    memset(ret_outcome, 0, sizeof *ret_outcome);
    ret_outcome->seed = seed;
    ret_outcome->is_well = sim_trial(&trial, &ret_outcome->result);
    ret_outcome->was_twice =
        ret_outcome->is_well && (trial.is_loud || seed % SIM_TWICE_ONE_IN == 0);
    if (ret_outcome->was_twice) {
        struct sim_result again;
        struct sim_result *result = &ret_outcome->result;
        ret_outcome->is_well = sim_trial(&trial, &again);
        if (ret_outcome->is_well && again.trace != result->trace) {
            ret_outcome->is_well = false;
            (void)snprintf(again.failure, sizeof again.failure,
                "the same seed went two ways: trace %016" PRIx64 ", then %016" PRIx64,
                result->trace, again.trace);
        }
        memcpy(result->failure, again.failure, sizeof result->failure);
    }
}

static bool
is_over(const struct sim_crew_conf *conf)
{
    return conf->end != 0 && time(NULL) >= conf->end;
}

/* ---- processes ---- */

/* All of it, or false. */
static bool
send_all(int to, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t put = write(to, at, bytes);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        at += put > 0 ? put : 0;
        bytes -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

static bool
get_all(int from, void *data, size_t bytes)
{
    char *at = data;
    while (bytes > 0) {
        ssize_t got = read(from, at, bytes);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        at += got > 0 ? got : 0;
        bytes -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* The life of a hand: every hand_cnt-th seed from number `first` on. */
_Noreturn static void
work(const struct sim_crew_conf *conf, uint64_t first, int to)
{
    static struct sim_outcome outcome;
    open_pool();
    for (uint64_t i = first; i < conf->run_cnt && !is_over(conf); i += conf->hand_cnt) {
        run_seed(conf, conf->seed + i, &outcome);
        if (!send_all(to, &outcome, sizeof outcome)) {
            break;
        }
    }
    _exit(0);
}

static int
hire(struct crew *crew, uint64_t first)
{
    struct hand *hand = &crew->hand[first % crew->conf->hand_cnt];
    int ends[2];
    if (pipe(ends) != 0) {
        return errno;
    }
    (void)fflush(stdout);
    hand->pid = fork();
    if (hand->pid == 0) {
        for (uint32_t i = 0; i < crew->conf->hand_cnt; i++) {
            if (crew->hand[i].pid > 0) {
                (void)close(crew->hand[i].from);
            }
        }
        (void)close(ends[0]);
        work(crew->conf, first, ends[1]);
    }
    int err = hand->pid < 0 ? errno : 0;
    (void)close(ends[1]);
    hand->from = ends[0];
    if (err != 0) {
        hand->pid = 0;
        (void)close(ends[0]);
    }
    return err;
}

/* Wait for a hand that has closed its pipe. Returns the signal it died of, 0: none. */
static int
let_go(struct hand *hand)
{
    int status = 0;
    if (hand->pid <= 0) {
        return 0;
    }
    (void)close(hand->from);
    while (waitpid(hand->pid, &status, 0) < 0 && errno == EINTR) {
    }
    hand->pid = 0;
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) != 0 ? SIGABRT : 0;
}

static void
tell_crash(const struct sim_crew_conf *conf, uint64_t seed, int signum)
{
    static struct sim_outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.seed = seed;
    (void)snprintf(outcome.result.failure, sizeof outcome.result.failure,
        "the process has ended: %s", strsignal(signum));
    conf->fn(conf->arg, &outcome);
}

static int
run_beside(struct crew *crew)
{
    const struct sim_crew_conf *conf = crew->conf;
    static struct sim_outcome outcome;
    int err = 0;
    for (uint32_t i = 0; i < conf->hand_cnt && i < conf->run_cnt && err == 0; i++) {
        err = hire(crew, i);
    }
    for (uint64_t i = 0; i < conf->run_cnt && err == 0; i++) {
        struct hand *hand = &crew->hand[i % conf->hand_cnt];
        if (get_all(hand->from, &outcome, sizeof outcome)) {
            conf->fn(conf->arg, &outcome);
            continue;
        }
        int signum = let_go(hand);
        if (signum == 0) {
            break; /* its time is over */
        }
        tell_crash(conf, conf->seed + i, signum);
        err = i + conf->hand_cnt < conf->run_cnt ? hire(crew, i + conf->hand_cnt) : 0;
    }
    for (uint32_t i = 0; i < conf->hand_cnt; i++) {
        (void)let_go(&crew->hand[i]);
    }
    return err;
}

int
sim_crew_run(const struct sim_crew_conf *conf)
{
    static struct sim_outcome outcome;
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE};
    struct crew crew = {.conf = conf};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(crashes); i++) {
        (void)signal(crashes[i], on_crash);
    }
    if (conf->hand_cnt > 1) {
        (void)signal(SIGPIPE, SIG_IGN);
        return run_beside(&crew);
    }
    open_pool();
    for (uint64_t i = 0; i < conf->run_cnt && !is_over(conf); i++) {
        run_seed(conf, conf->seed + i, &outcome);
        conf->fn(conf->arg, &outcome);
        if (conf->ends_early && !outcome.is_well) {
            break;
        }
    }
    weir_sim_pool_close(pool);
    pool = NULL;
    return 0;
}
