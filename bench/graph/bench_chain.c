/* SPDX-License-Identifier: Apache-2.0 */
/* bench_chain: 1 to 16 maps over 16-byte records, in one function, as a chain, and over rings.
 *
 *     bench_chain [--rounds N] [--cores A,B]
 *
 *     macro-N     one WEIR_MAP that does all N steps: what one would write by hand
 *     pointer-N   N maps in one stage: a call per batch and map
 *     ring-N      a ring behind each map, its two sides on two cores
 *     none-0      from the source to the sink: what is taken off before dividing by N
 *
 * A step can be neither folded into the next one nor left out: the sink sums up what it made.
 */
#include <stdio.h>

#include "base/err.h"
#include "bench/graph/contest.h"
#include "bench/graph/items.h"

#define MAP_CNT_MAX 16
#define ITEM_CNT (UINT64_C(1) << 21)

static inline int64_t
step(int64_t value)
{
    uint64_t x = (uint64_t)value;
    x ^= x >> 17;
    return (int64_t)(x + UINT64_C(0x9e3779b97f4a7c15));
}

#define MACRO_MAP(cnt)                         \
    WEIR_MAP(macro_##cnt, item, item)          \
    {                                          \
        out->at = in->at;                      \
        out->key = in->key;                    \
        for (uint32_t i = 0; i < (cnt); i++) { \
            out->key = step(out->key);         \
        }                                      \
    }
MACRO_MAP(1)
MACRO_MAP(2)
MACRO_MAP(4)
MACRO_MAP(8)
MACRO_MAP(16)

static const struct chain {
    uint32_t map_cnt;
    const struct weir_function *macro;
} chains[] = {
    {1, &macro_1_op}, {2, &macro_2_op}, {4, &macro_4_op}, {8, &macro_8_op}, {16, &macro_16_op}};

static const char *const map_names[MAP_CNT_MAX] = {"map1", "map2", "map3", "map4", "map5", "map6",
    "map7", "map8", "map9", "map10", "map11", "map12", "map13", "map14", "map15", "map16"};

enum form { NONE, MACRO, POINTER, RING, FORM_CNT };

static struct items items;
static struct contest_options options;

static int
run(const struct contest_entry *entry, enum form form, struct trial_result *ret_result)
{
    const struct chain *chain = entry->arg;
    struct weir_env *env = NULL;
    int err = weir_env_new(entry->name, &env);
    if (err != 0) {
        return err;
    }
    struct weir_stream *stream = items_source(env, &items);
    if (form == MACRO) {
        stream = weir_map(stream, "macro", chain->macro);
    }
    for (uint32_t i = 0; form >= POINTER && i < chain->map_cnt; i++) {
        stream = weir_map(stream, map_names[i], &macro_1_op);
    }
    (void)weir_sink_table(stream, "sum", "discard");
    err = weir_env_check(env);
    const struct trial_conf conf = {.cpus = form == RING ? options.cores : options.last_core,
        .cut_after = map_names,
        .cut_after_cnt = form == RING ? chain->map_cnt : 0};
    err = err != 0 ? err : trial_run(env, &conf, NULL, ret_result);
    weir_env_delete(env);
    return err;
}

static int
run_none(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, NONE, ret_result);
}

static int
run_macro(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, MACRO, ret_result);
}

static int
run_pointer(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, POINTER, ret_result);
}

static int
run_ring(const struct contest_entry *entry, struct trial_result *ret_result)
{
    return run(entry, RING, ret_result);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct contest_entry *, struct trial_result *);
    } forms[] = {{"macro", run_macro}, {"pointer", run_pointer}, {"ring", run_ring}};
    static struct contest_entry entries[1 + WEIR_ARRAY_CNT(forms) * WEIR_ARRAY_CNT(chains)] = {
        {.name = "none-0", .run = run_none, .arg = chains}};
    uint32_t cnt = 1;
    for (uint32_t f = 0; f < WEIR_ARRAY_CNT(forms); f++) {
        for (uint32_t c = 0; c < WEIR_ARRAY_CNT(chains); c++, cnt++) {
            entries[cnt].run = forms[f].run;
            entries[cnt].arg = &chains[c];
            (void)snprintf(entries[cnt].name, sizeof entries[cnt].name, "%s-%u", forms[f].name,
                chains[c].map_cnt);
        }
    }
    int err = contest_args(argc, argv, &options);
    err = err != 0 ? err : items_make(&items, ITEM_CNT, UINT64_C(1) << 60, 1000);
    err = err != 0 ? err : contest_run(entries, cnt, options.round_cnt);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
