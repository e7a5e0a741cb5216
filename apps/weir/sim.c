/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c: `weir sim`: random jobs in a simulated world in which all goes wrong, and their
 * answers. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/sim/trial.h"
#include "apps/weir/verbs.h"
#include "base/err.h"

/* One of so many seeds is run twice, and must go the same way. */
#define TWICE_ONE_IN 100
/* How often a pair of features has to be drawn, once there were so many runs. */
#define PAIR_CNT_MIN 5
#define PAIR_RUN_CNT 3000
#define MINUTES_MAX 100000
#define RUN_CNT_MAX 1000000000
/* Of the message that a crash leaves. */
#define CRASH_TEXT_BYTES 160

/* What a crash says; written before each trial, since then nothing can be. */
static char crash_text[CRASH_TEXT_BYTES];

struct tally {
    uint64_t run_cnt;
    uint64_t twice_cnt;
    uint64_t failure_cnt;
    uint64_t first_failure;
    uint64_t row_cnt;
    uint64_t out_cnt;
    uint64_t poll_cnt;
    uint64_t start_cnt;
    uint64_t restore_cnt;
    uint64_t checkpoint_cnt;
    uint64_t fault_cnt;
    uint64_t fault_cnt_of[SIM_FAULT_KIND_CNT];
    uint64_t trace;
    uint32_t pair[SIM_FEATURE_CNT][SIM_FEATURE_CNT];
};

static void
on_crash(int signum)
{
    (void)!write(STDERR_FILENO, crash_text, strlen(crash_text));
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void
add(struct tally *tally, const struct sim_result *result)
{
    tally->run_cnt++;
    tally->row_cnt += result->row_cnt;
    tally->out_cnt += result->out_cnt;
    tally->poll_cnt += result->poll_cnt;
    tally->start_cnt += result->start_cnt;
    tally->restore_cnt += result->restore_cnt;
    tally->checkpoint_cnt += result->checkpoint_cnt;
    tally->fault_cnt += result->fault_cnt;
    tally->trace = tally->trace * 31 + result->trace;
    for (uint32_t i = 0; i < SIM_FAULT_KIND_CNT; i++) {
        tally->fault_cnt_of[i] += result->fault_cnt_of[i];
    }
    for (uint32_t a = 0; a < SIM_FEATURE_CNT; a++) {
        for (uint32_t b = 0; b < SIM_FEATURE_CNT && result->has[a]; b++) {
            tally->pair[a][b] += result->has[b];
        }
    }
}

static void
run_seed(struct tally *tally, struct sim_trial_conf *conf, bool twice)
{
    struct sim_result result;
    (void)snprintf(crash_text, sizeof crash_text,
        "weir sim: seed %" PRIu64 " has crashed; again with: weir sim --replay %" PRIu64 "\n",
        conf->seed, conf->seed);
    bool is_well = sim_trial(conf, &result);
    if (is_well && twice) {
        struct sim_result again;
        tally->twice_cnt++;
        is_well = sim_trial(conf, &again);
        if (is_well && again.trace != result.trace) {
            is_well = false;
            (void)snprintf(again.failure, sizeof again.failure,
                "the same seed went two ways: trace %016" PRIx64 ", then %016" PRIx64, result.trace,
                again.trace);
        }
        memcpy(result.failure, again.failure, sizeof result.failure);
    }
    add(tally, &result);
    if (!is_well) {
        tally->first_failure = tally->failure_cnt == 0 ? conf->seed : tally->first_failure;
        tally->failure_cnt++;
        (void)fprintf(stderr, "seed %" PRIu64 ": %s\n  again with: weir sim --replay %" PRIu64 "\n",
            conf->seed, result.failure, conf->seed);
    }
}

/* How often every two features came together, at the least; those that seldom did are told. What
 * excludes each other in one node or start is in one run by different ones. */
static uint32_t
print_pairs(const struct tally *tally)
{
    uint32_t missing = 0;
    uint32_t pairs = 0;
    uint32_t least = UINT32_MAX;
    for (uint32_t a = 0; a < SIM_FEATURE_CNT; a++) {
        if (!sim_feature_is_drawn(a)) {
            continue;
        }
        for (uint32_t b = a; b < SIM_FEATURE_CNT; b++) {
            if (!sim_feature_is_drawn(b)) {
                continue;
            }
            pairs++;
            least = tally->pair[a][b] < least ? tally->pair[a][b] : least;
            if (tally->pair[a][b] < PAIR_CNT_MIN && tally->run_cnt >= PAIR_RUN_CNT) {
                missing++;
                (void)fprintf(stderr, "%s with %s was drawn %" PRIu32 " times, which is too few\n",
                    sim_feature_name(a), sim_feature_name(b), tally->pair[a][b]);
            }
        }
    }
    (void)printf(
        "%" PRIu32 " pairs of features, each drawn %" PRIu32 " times or more\n", pairs, least);
    return missing;
}

static void
print_tally(const struct tally *tally, uint64_t seed)
{
    (void)printf("seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " rows in, %" PRIu64
                 " compared; %" PRIu64 " polls, %" PRIu64 " starts, %" PRIu64 " restores, %" PRIu64
                 " checkpoints\n",
        seed, seed + tally->run_cnt - 1, tally->row_cnt, tally->out_cnt, tally->poll_cnt,
        tally->start_cnt, tally->restore_cnt, tally->checkpoint_cnt);
    (void)printf("%" PRIu64 " faults:", tally->fault_cnt);
    for (uint32_t i = 0; i < SIM_FAULT_KIND_CNT; i++) {
        (void)printf(
            " %s %" PRIu64, sim_fault_name((enum sim_fault_kind)i), tally->fault_cnt_of[i]);
    }
    (void)printf(
        "\ntrace %016" PRIx64 ", %" PRIu64 " seeds run twice\n", tally->trace, tally->twice_cnt);
}

/* The number of a flag; *ret_number stays where it is not given. Returns false for no number. */
static bool
number_of(const struct weir_args *args, const char *flag, uint64_t most, uint64_t *ret_number)
{
    const char *text = weir_cli_value(args, flag);
    char *end;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > most) {
        return false;
    }
    *ret_number = number;
    return true;
}

static int
sim_run(const struct weir_args *args)
{
    static struct tally tally;
    struct sim_trial_conf conf = {.row_cnt = SIM_ROW_CNT_MIN};
    uint64_t seed = 1;
    uint64_t run_cnt = 100;
    uint64_t minutes = 0;
    uint64_t replay = 0;
    uint64_t defect = 0;
    if (!number_of(args, "seed", UINT64_MAX, &seed) ||
        !number_of(args, "runs", RUN_CNT_MAX, &run_cnt) ||
        !number_of(args, "minutes", MINUTES_MAX, &minutes) ||
        !number_of(args, "defect", UINT32_MAX, &defect) ||
        !number_of(args, "replay", UINT64_MAX, &replay)) {
        return weir_cli_usage(args, "seeds, runs and minutes are whole numbers");
    }
    conf.defect = (uint32_t)defect;
    if (weir_cli_value(args, "replay") != NULL) {
        seed = replay;
        run_cnt = 1;
        conf.is_loud = true;
    }
    bool is_timed = minutes > 0 && weir_cli_value(args, "runs") == NULL;
    time_t end = time(NULL) + (time_t)minutes * 60;
    (void)signal(SIGABRT, on_crash);
    (void)signal(SIGSEGV, on_crash);
    (void)signal(SIGBUS, on_crash);
    for (uint64_t i = 0; is_timed || i < run_cnt; i++) {
        if (minutes > 0 && time(NULL) >= end) {
            break;
        }
        conf.seed = seed + i;
        run_seed(&tally, &conf, conf.is_loud || conf.seed % TWICE_ONE_IN == 0);
    }
    print_tally(&tally, seed);
    uint32_t missing = print_pairs(&tally);
    (void)printf("%" PRIu64 " runs, %" PRIu64 " failed\n", tally.run_cnt, tally.failure_cnt);
    if (tally.failure_cnt > 0) {
        (void)printf("the first: weir sim --replay %" PRIu64 "\n", tally.first_failure);
    }
    return tally.failure_cnt > 0 || missing > 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}

static const struct weir_flag sim_flags[] = {
    {"seed", 0, "N", "the first seed; 1 where it is not given"},
    {"runs", 0, "N", "how many seeds; 100 where neither this nor --minutes is given"},
    {"minutes", 0, "N", "begin no further seed after so many minutes"},
    {"replay", 0, "SEED", "run one seed twice, and tell what happens in it"},
    {"defect", 0, "N", "plant a defect, which is to be found: 1: source positions are off by one"},
};

const struct weir_verb weir_verb_sim = {
    .name = "sim",
    .args = "",
    .text = "run random jobs in a simulated world in which processes die, power fails and disks "
            "err, and compare their answers with a plain reference",
    .examples = "weir sim --runs 10         # seeds 1 to 10; 3000 are what a release has to pass\n"
                "weir sim --seed 1000 --runs 5\n"
                "weir sim --replay 17  # one seed, with what happens in it\n",
    .notes = "Each seed draws a job, its sizes, what goes wrong and when; the same seed goes the "
             "same way anywhere.\nThe exit code is 1 where an answer is wrong, an invariant does "
             "not hold, or a job does not come to its end.\n",
    .flags = sim_flags,
    .flag_cnt = WEIR_ARRAY_CNT(sim_flags),
    .run = sim_run,
};
