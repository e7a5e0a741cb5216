/* SPDX-License-Identifier: Apache-2.0 */
/* contest.h: several ways to do one thing, measured in turn in one process.
 *
 * A round runs all of them forward and then backward (A B C C B A), so that drift of the host hits
 * all alike; the first round is a warm-up. One JSON line each on stdout, with every time in the
 * order of the rounds, so that bench/run can pair them:
 *
 *     {"name":"pointer-16","ns":[10.1,10.3],"events":4194304,"rows":4194304,"checksum":"..."}
 */
#ifndef WEIR_BENCH_GRAPH_CONTEST_H
#define WEIR_BENCH_GRAPH_CONTEST_H

#include "bench/graph/trial.h"

#define CONTEST_ROUND_CNT_MAX 50

struct contest_entry {
    char name[32];
    int (*run)(const struct contest_entry *entry, struct trial_result *ret_result);
    const void *arg;
    uint64_t number; /* of whatever it varies */
    double ns[2 * CONTEST_ROUND_CNT_MAX]; /* per event */
    struct trial_result last;
};

/* contest_run - measure and print. Errors: what an entry says. */
WEIR_MUST_USE int
contest_run(struct contest_entry *entries, uint32_t entry_cnt, uint32_t round_cnt);

/* contest_args - the flags that every contest takes: --rounds N, --cores A,B.
 * Errors: WEIR_EUSAGE. */
struct contest_options {
    uint32_t round_cnt; /* 5 */
    const char *cores; /* NULL: all */
    char last_core[16]; /* the last of them: where one-core runs go */
};
WEIR_MUST_USE int contest_args(int argc, char **argv, struct contest_options *ret_options);

#endif
