/* SPDX-License-Identifier: Apache-2.0 */
/* bench_window: what a record costs in windows whose size is 1 to 1,000 times their slide.
 *
 *     bench_window [--rounds N] [--cores A,B]
 *
 *     count-N, max-N     size / slide = N; max has no inverse, so that nothing can be taken off
 *
 * The slide stays, the size grows: each run fires at the same times, and each window holds all the
 * keys, so that all runs emit the same number of rows once the first window is full.
 */
#include <stdio.h>

#include "base/err.h"
#include "bench/graph/contest.h"
#include "bench/graph/items.h"

#define KEY_CNT 100
#define SLIDE_MS 10
#define ITEMS_PER_MS 500
#define ITEM_CNT (UINT64_C(1) << 24) /* 3,355 slides */

#define RESULT(F) F(i64, key) F(i64, result) F(ts, window_end)
WEIR_SCHEMA(result, RESULT)

static struct items items;
static struct contest_options options;

static int
run(const struct contest_entry *entry, struct weir_aggregate aggregate,
    struct trial_result *ret_result)
{
    const struct weir_window_conf window = {
        .span = WEIR_SLIDE((int64_t)entry->number * SLIDE_MS, SLIDE_MS), .aggregate = aggregate};
    struct weir_env *env = NULL;
    int err = weir_env_new(entry->name, &env);
    if (err != 0) {
        return err;
    }
    struct weir_stream *stream = weir_watermarks(items_source(env, &items), "watermark", 0);
    stream = weir_key_by(stream, WEIR_KEY(item, key));
    stream = weir_window(stream, "window", &window, result_schema());
    (void)weir_sink_table(stream, "sum", "discard");
    err = weir_env_check(env);
    const struct trial_conf conf = {.cpus = options.last_core, .state_bytes = 256 * WEIR_MIB};
    err = err != 0 ? err : trial_run(env, &conf, NULL, ret_result);
    weir_env_delete(env);
    return err;
}

static int
run_count(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, weir_aggregate_count(), ret_result);
}

static int
run_max(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, weir_aggregate_max("key"), ret_result);
}

int
main(int argc, char **argv)
{
    static const uint64_t overlaps[] = {1, 5, 10, 100, 1000};
    static struct contest_entry entries[2 * WEIR_ARRAY_CNT(overlaps)];
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(entries); i++) {
        struct contest_entry *entry = &entries[i];
        bool is_max = i >= WEIR_ARRAY_CNT(overlaps);
        entry->number = overlaps[i % WEIR_ARRAY_CNT(overlaps)];
        entry->run = is_max ? run_max : run_count;
        (void)snprintf(entry->name, sizeof entry->name, "%s-%u", is_max ? "max" : "count",
            (unsigned int)entry->number);
    }
    int err = contest_args(argc, argv, &options);
    err = err != 0 ? err : items_make(&items, ITEM_CNT, KEY_CNT, ITEMS_PER_MS);
    err = err != 0 ? err : contest_run(entries, WEIR_ARRAY_CNT(entries), options.round_cnt);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
