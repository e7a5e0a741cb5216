/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/graph/contest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/topo.h"

static int
run_one(struct contest_entry *entry, double *ret_ns)
{
    struct trial_result *result = &entry->last;
    int err = entry->run(entry, result);
    if (err == 0) {
        *ret_ns = (double)result->wall_ns / (double)weir_max_u64(result->events, 1);
    }
    return err;
}

static void
print_one(const struct contest_entry *entry, uint32_t time_cnt)
{
    printf("{\"name\":\"%s\",\"ns\":[", entry->name);
    for (uint32_t i = 0; i < time_cnt; i++) {
        printf("%s%.4f", i > 0 ? "," : "", entry->ns[i]);
    }
    printf("],\"events\":%llu,\"rows\":%llu,\"checksum\":\"%016llx\"}\n",
        (unsigned long long)entry->last.events, (unsigned long long)entry->last.rows,
        (unsigned long long)entry->last.checksum);
}

int
contest_run(struct contest_entry *entries, uint32_t entry_cnt, uint32_t round_cnt)
{
    double warm_up;
    int err = 0;
    for (uint32_t e = 0; e < entry_cnt && err == 0; e++) {
        err = run_one(&entries[e], &warm_up);
    }
    for (uint32_t r = 0; r < round_cnt && err == 0; r++) {
        for (uint32_t i = 0; i < 2 * entry_cnt && err == 0; i++) {
            bool back = i >= entry_cnt;
            struct contest_entry *entry = &entries[back ? 2 * entry_cnt - 1 - i : i];
            err = run_one(entry, &entry->ns[2 * r + back]);
        }
    }
    for (uint32_t e = 0; e < entry_cnt && err == 0; e++) {
        print_one(&entries[e], 2 * round_cnt);
    }
    return err;
}

int
contest_args(int argc, char **argv, struct contest_options *ret_options)
{
    *ret_options = (struct contest_options){.round_cnt = 5};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0) {
            ret_options->round_cnt = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--cores") == 0) {
            ret_options->cores = argv[i + 1];
        } else {
            return weir_err_push(WEIR_EUSAGE, "%s: [--rounds N] [--cores A,B]", argv[i]);
        }
    }
    if (ret_options->round_cnt == 0 || ret_options->round_cnt > CONTEST_ROUND_CNT_MAX) {
        return weir_err_push(WEIR_EUSAGE, "--rounds: 1 to %d", CONTEST_ROUND_CNT_MAX);
    }
    const char *comma = ret_options->cores != NULL ? strrchr(ret_options->cores, ',') : NULL;
    (void)snprintf(ret_options->last_core, sizeof ret_options->last_core, "%s",
        comma != NULL                ? comma + 1
        : ret_options->cores != NULL ? ret_options->cores
                                     : "0");
    return 0;
}
