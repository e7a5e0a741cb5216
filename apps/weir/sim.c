/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c: `weir sim`: random jobs in a simulated world in which all goes wrong, and their
 * answers. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apps/sim/crew.h"
#include "apps/weir/verbs.h"
#include "base/err.h"
#include "base/mutant.h"

/* How often a pair of features has to be drawn, once there were so many runs. */
#define PAIR_CNT_MIN 5
#define PAIR_RUN_CNT 3000
#define MINUTES_MAX 100000
#define RUN_CNT_MAX 1000000000
/* What is kept of freed memory, a piece; glibc takes no more. */
#define KEPT_BYTES_MAX (32 * 1024 * 1024)
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
    uint64_t savepoint_cnt;
    uint64_t fault_cnt;
    uint64_t fault_cnt_of[SIM_FAULT_KIND_CNT];
    uint64_t trace;
    uint32_t pair[SIM_FEATURE_CNT][SIM_FEATURE_CNT];
};

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
    tally->savepoint_cnt += result->savepoint_cnt;
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
take_outcome(void *arg, const struct sim_outcome *outcome)
{
    struct tally *tally = arg;
    add(tally, &outcome->result);
    tally->twice_cnt += outcome->was_twice;
    if (!outcome->is_well) {
        tally->first_failure = tally->failure_cnt == 0 ? outcome->seed : tally->first_failure;
        tally->failure_cnt++;
        (void)fprintf(stderr, "seed %" PRIu64 ": %s\n  again with: weir sim --replay %" PRIu64 "\n",
            outcome->seed, outcome->result.failure, outcome->seed);
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
        for (uint32_t b = a; b < SIM_FEATURE_CNT; b++) {
            if (!sim_features_meet(a, b)) {
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
                 " checkpoints, %" PRIu64 " savepoints\n",
        seed, seed + tally->run_cnt - 1, tally->row_cnt, tally->out_cnt, tally->poll_cnt,
        tally->start_cnt, tally->restore_cnt, tally->checkpoint_cnt, tally->savepoint_cnt);
    (void)printf("%" PRIu64 " faults:", tally->fault_cnt);
    for (uint32_t i = 0; i < SIM_FAULT_KIND_CNT; i++) {
        (void)printf(
            " %s %" PRIu64, sim_fault_name((enum sim_fault_kind)i), tally->fault_cnt_of[i]);
    }
    (void)printf(
        "\ntrace %016" PRIx64 ", %" PRIu64 " seeds run twice\n", tally->trace, tally->twice_cnt);
}

/* The number of a flag; *ret_number stays where it is not given. 0, or an exit code: it is told. */
static int
number_of(const struct weir_args *args, const char *flag, uint64_t most, uint64_t *ret_number)
{
    const char *text = weir_cli_value(args, flag);
    char *end;
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > most) {
        return weir_cli_usage(
            args, "--%s is '%.40s', and must be a whole number, 0 to %" PRIu64, flag, text, most);
    }
    *ret_number = number;
    return 0;
}

/* CPUs that this process may use. */
static uint32_t
cpu_cnt(void)
{
    cpu_set_t set;
    int cnt = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return cnt < SIM_HAND_CNT_MAX ? (uint32_t)cnt : SIM_HAND_CNT_MAX;
}

static int
read_flags(const struct weir_args *args, struct sim_crew_conf *conf)
{
    uint64_t minutes = 0;
    uint64_t jobs = cpu_cnt();
    uint64_t replay = 0;
    int err = number_of(args, "seed", UINT64_MAX, &conf->seed);
    err = err != 0 ? err : number_of(args, "runs", RUN_CNT_MAX, &conf->run_cnt);
    err = err != 0 ? err : number_of(args, "minutes", MINUTES_MAX, &minutes);
    err = err != 0 ? err : number_of(args, "jobs", SIM_HAND_CNT_MAX, &jobs);
    err = err != 0 ? err : number_of(args, "replay", UINT64_MAX, &replay);
    if (err != 0) {
        return err;
    }
#if defined(WEIR_WITH_MUTANTS)
    const char *mutant = weir_cli_value(args, "mutant");
    if (mutant != NULL && !weir_mutant_choose(mutant)) {
        return weir_cli_usage(args, "base/mutant.h names the mutants");
    }
    conf->ends_early = weir_cli_has(args, "first");
#endif
    conf->hand_cnt = jobs > 0 ? (uint32_t)jobs : 1;
    if (weir_cli_value(args, "replay") != NULL) {
        conf->seed = replay;
        conf->run_cnt = 1;
        conf->trial.is_loud = true;
    } else if (minutes > 0 && weir_cli_value(args, "runs") == NULL) {
        conf->run_cnt = RUN_CNT_MAX;
    }
    conf->hand_cnt = conf->run_cnt < conf->hand_cnt ? 1 : conf->hand_cnt;
    conf->end = minutes > 0 ? time(NULL) + (time_t)minutes * 60 : 0;
    return 0;
}

static int
sim_run(const struct weir_args *args)
{
    static struct tally tally;
    struct sim_crew_conf conf = {.trial.row_cnt = SIM_ROW_CNT_MIN,
        .seed = 1,
        .run_cnt = 100,
        .fn = take_outcome,
        .arg = &tally};
    int usage = read_flags(args, &conf);
    if (usage != 0) {
        return usage;
    }
    /* A world takes what the one before it has given back: to have pages anew takes longer. */
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    int errnum = sim_crew_run(&conf);
    if (errnum != 0) {
        return weir_err_errno(errnum, "no process beside this one");
    }
    print_tally(&tally, conf.seed);
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
    {"jobs", 0, "N", "seeds at a time; as many as there are CPUs where it is not given"},
    {"replay", 0, "SEED", "run one seed twice, and tell what happens in it"},
#if defined(WEIR_WITH_MUTANTS)
    {"mutant", 0, "NAME", "switch a planted bug on: base/mutant.h"},
    {"first", 0, NULL, "end with the first seed that fails"},
#endif
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
             "same way anywhere,\nhowever many are run at a time. The exit code is 1 where an "
             "answer is wrong, an invariant does not hold,\na job does not come to its end, or a "
             "seed has not had 20,000 rows, 10 checkpoints, 5 faults and a restore\nfrom a "
             "completed checkpoint; and, from 3,000 runs on, where a pair of features was drawn "
             "fewer than 5 times.\n",
    .flags = sim_flags,
    .flag_cnt = WEIR_ARRAY_CNT(sim_flags),
    .run = sim_run,
};
