/* SPDX-License-Identifier: Apache-2.0 */
/* bench_exchange: 16-byte records summed by key on two cores, each of which reads half of them and
 * owns half of the keys; beside the same written by hand.
 *
 *     bench_exchange [--rounds N] [--cores A,B]
 *
 *     engine-N     a source and a keyed sum, parallelism 2, N keys
 *     hand-N       two pinned threads: a flat table each, and a ring of blocks in each direction
 *
 * Both end in the same checksum of rows (key, sum, end of the window).
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/topo.h"
#include "bench/graph/contest.h"
#include "bench/graph/items.h"
#include "dataplane/row_hash.h"

#define ITEM_CNT (UINT64_C(1) << 23)
#define WINDOW_MS INT64_C(86400000)
#define SIDE_CNT 2
#define BLOCK_CNT 64 /* as many as the engine's rings have slots */
#define BLOCK_ROWS 1024 /* as many as its batches have rows */

#define KEY_SUM(F) F(i64, key) F(i64, sum) F(ts, window_end)
WEIR_SCHEMA(key_sum, KEY_SUM)

static struct contest_options options;

/* ---- the engine ---- */

static int
run_engine(const struct contest_entry *entry, struct trial_result *ret_result)
{
    const struct weir_window_conf window = {
        .span = WEIR_TUMBLE(WINDOW_MS), .aggregate = weir_aggregate_sum("key")};
    struct weir_env *env = NULL;
    int err = weir_env_new(entry->name, &env);
    if (err != 0) {
        return err;
    }
    weir_env_set_parallelism(env, SIDE_CNT);
    struct weir_stream *stream = items_source(env, entry->arg);
    stream = weir_key_by(stream, WEIR_KEY(item, key));
    stream = weir_window(stream, "sum", &window, key_sum_schema());
    (void)weir_sink_table(stream, "rows", "discard");
    err = weir_env_check(env);
    const struct trial_conf conf = {.cpus = options.cores, .state_bytes = 256 * WEIR_MIB};
    err = err != 0 ? err : trial_run(env, &conf, NULL, ret_result);
    weir_env_delete(env);
    return err;
}

/* ---- by hand ---- */

struct block {
    uint32_t cnt;
    struct item rows[BLOCK_ROWS];
};

/* From one side to the other: a block is filled in place, then shown by the count. */
struct way {
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) WEIR_ATOMIC(uint64_t) made;
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) WEIR_ATOMIC(uint64_t) used;
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) struct block blocks[BLOCK_CNT];
};

struct slot {
    int64_t key;
    int64_t sum;
    uint64_t cnt; /* 0: free */
};

struct side {
    const struct items *items;
    struct way *out;
    struct way *in;
    struct slot *slots;
    uint64_t mask;
    uint64_t next; /* of our half of the input, as the engine's source deals it */
    uint64_t made;
    uint64_t used;
    uint32_t idx;
    uint32_t cpu;
    pthread_barrier_t *start;
    int64_t begin_ns;
    int64_t end_ns;
    uint64_t rows;
    uint64_t checksum;
};

static struct way ways[SIDE_CNT];

static int64_t
now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

static inline uint32_t
owner_of(uint64_t hash)
{
    return (uint32_t)(hash >> 63);
}

static inline void
add(struct side *side, int64_t key, uint64_t hash)
{
    uint64_t at = hash & side->mask;
    while (side->slots[at].cnt != 0 && side->slots[at].key != key) {
        at = (at + 1) & side->mask;
    }
    side->slots[at].key = key;
    side->slots[at].sum += key;
    side->slots[at].cnt++;
}

static inline void
add_rows(struct side *side, const struct item *rows, uint32_t cnt)
{
    uint64_t hash[BLOCK_ROWS];
    for (uint32_t i = 0; i < cnt; i++) {
        hash[i] = weir_hash_u64((uint64_t)rows[i].key);
        __builtin_prefetch(&side->slots[hash[i] & side->mask], 1);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        add(side, rows[i].key, hash[i]);
    }
}

/* What the other side has sent; false: nothing. */
static bool
take(struct side *side)
{
    if (weir_load_acq(&side->in->made) == side->used) { /* [X1] pairs with [X2] */
        return false;
    }
    const struct block *block = &side->in->blocks[side->used % BLOCK_CNT];
    add_rows(side, block->rows, block->cnt);
    side->used++;
    weir_store_rel(&side->in->used, side->used); /* [X3] pairs with [X4] */
    return true;
}

/* One run of our input, split: ours first come together, so that their slots can be fetched. */
static void
deal(struct side *side)
{
    struct block mine;
    struct block *theirs = &side->out->blocks[side->made % BLOCK_CNT];
    uint64_t left =
        weir_min_u64(ITEMS_BLOCK - side->next % ITEMS_BLOCK, side->items->cnt - side->next);
    uint32_t cnt = (uint32_t)weir_min_u64(left, BLOCK_ROWS);
    const struct item *rows = side->items->rows + side->next;
    mine.cnt = 0;
    theirs->cnt = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        bool away = owner_of(weir_hash_u64((uint64_t)rows[i].key)) != side->idx;
        theirs->rows[theirs->cnt] = rows[i];
        mine.rows[mine.cnt] = rows[i];
        theirs->cnt += away;
        mine.cnt += !away;
    }
    add_rows(side, mine.rows, mine.cnt);
    side->made++;
    weir_store_rel(&side->out->made, side->made); /* [X2] */
    side->next += cnt;
    side->next += side->next % ITEMS_BLOCK == 0 ? ITEMS_BLOCK : 0;
}

static void
emit(struct side *side)
{
    for (uint64_t i = 0; i <= side->mask; i++) {
        const struct slot *slot = &side->slots[i];
        if (slot->cnt != 0) {
            uint64_t sum = weir_row_add(0, 0, (uint64_t)slot->key);
            sum = weir_row_add(sum, 1, (uint64_t)slot->sum);
            side->checksum += weir_row_finish(weir_row_add(sum, 2, (uint64_t)WINDOW_MS));
            side->rows++;
        }
    }
}

static void *
run_side(void *arg)
{
    struct side *side = arg;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(side->cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    (void)pthread_barrier_wait(side->start);
    side->begin_ns = now_ns();
    uint64_t block_cnt = side->items->cnt / BLOCK_ROWS / SIDE_CNT; /* each side sends as many */
    while (side->next < side->items->cnt) {
        /* [X4] pairs with [X3]: a block is filled again once it was read. */
        while (side->made - weir_load_acq(&side->out->used) == BLOCK_CNT) {
            if (!take(side)) {
                weir_spin_hint();
            }
        }
        deal(side);
        (void)take(side);
    }
    while (side->used < block_cnt) {
        if (!take(side)) {
            weir_spin_hint();
        }
    }
    emit(side);
    side->end_ns = now_ns();
    return NULL;
}

static int
open_side(struct side *side, const struct contest_entry *entry, pthread_barrier_t *start)
{
    uint64_t slot_cnt = weir_pow2_up(entry->number * 2 / SIDE_CNT);
    side->items = entry->arg;
    side->out = &ways[side->idx];
    side->in = &ways[1 - side->idx];
    side->mask = slot_cnt - 1;
    side->next = (uint64_t)side->idx * ITEMS_BLOCK;
    side->start = start;
    side->slots = aligned_alloc(
        WEIR_PAGE_BYTES, weir_align_up(slot_cnt * sizeof *side->slots, WEIR_PAGE_BYTES));
    if (side->slots == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the table of a side");
    }
    memset(side->slots, 0, slot_cnt * sizeof *side->slots);
    weir_store_rlx(&side->out->made, 0); /* before any thread runs */
    weir_store_rlx(&side->out->used, 0);
    return 0;
}

static int
run_hand(const struct contest_entry *entry, struct trial_result *ret_result)
{
    struct side sides[SIDE_CNT];
    pthread_t threads[SIDE_CNT];
    pthread_barrier_t start;
    struct weir_cpuset cpus;
    int err = weir_cpuset_parse(options.cores != NULL ? options.cores : "0,1", &cpus);
    memset(sides, 0, sizeof sides);
    (void)pthread_barrier_init(&start, NULL, SIDE_CNT);
    for (uint32_t s = 0; s < SIDE_CNT && err == 0; s++) {
        sides[s].idx = s;
        sides[s].cpu = weir_cpuset_next(&cpus, s == 0 ? 0 : sides[0].cpu + 1);
        err = open_side(&sides[s], entry, &start);
    }
    for (uint32_t s = 0; s < SIDE_CNT && err == 0; s++) {
        if (pthread_create(&threads[s], NULL, run_side, &sides[s]) != 0) {
            abort(); /* the other side would wait for ever */
        }
    }
    memset(ret_result, 0, sizeof *ret_result);
    for (uint32_t s = 0; s < SIDE_CNT; s++) {
        if (err == 0) {
            (void)pthread_join(threads[s], NULL);
        }
        free(sides[s].slots);
        ret_result->rows += sides[s].rows;
        ret_result->checksum += sides[s].checksum;
    }
    ret_result->events = ITEM_CNT;
    ret_result->wall_ns = weir_max_i64(sides[0].end_ns, sides[1].end_ns) -
                          weir_max_i64(sides[0].begin_ns, sides[1].begin_ns);
    return err;
}

int
main(int argc, char **argv)
{
    static const uint64_t key_cnts[] = {10000, 1000000};
    static struct contest_entry entries[2 * WEIR_ARRAY_CNT(key_cnts)];
    static struct items items[WEIR_ARRAY_CNT(key_cnts)];
    int err = contest_args(argc, argv, &options);
    for (uint32_t k = 0; k < WEIR_ARRAY_CNT(key_cnts) && err == 0; k++) {
        struct contest_entry *pair = &entries[2 * k];
        err = items_make(&items[k], ITEM_CNT, key_cnts[k], 1000);
        for (uint32_t i = 0; i < 2; i++) {
            pair[i].number = key_cnts[k];
            pair[i].arg = &items[k];
            pair[i].run = i == 0 ? run_engine : run_hand;
            (void)snprintf(pair[i].name, sizeof pair[i].name, "%s-%u", i == 0 ? "engine" : "hand",
                (unsigned int)key_cnts[k]);
        }
    }
    err = err != 0 ? err : contest_run(entries, WEIR_ARRAY_CNT(entries), options.round_cnt);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
