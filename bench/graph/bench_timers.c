/* SPDX-License-Identifier: Apache-2.0 */
/* bench_timers: 10 million timers set and fired, beside a plain binary heap.
 *
 *     bench_timers [--rounds N] [--cores A,B]
 *
 *     weir-N   timers as keyed operators have them (dataplane/timer.h): kept in the pages of their
 *              key's group, one for each key and time, deletable
 *     heap-N   a binary heap of 16-byte entries that does none of it: of those set twice the second
 *              one is dropped as it comes up
 *
 * About N are set at a time, for times that are ahead by as much; one in four was set before. Both
 * sides fire the same timers in the order of time. One of N waiting is set and fired once: an event
 * is a call to set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/region.h"
#include "base/rng.h"
#include "bench/graph/contest.h"
#include "dataplane/timer.h"

#define SET_CNT UINT64_C(10000000)
#define AGAIN_EVERY 4 /* each fourth call is for a timer that was set before */
#define AGAIN_BACK 64
#define STEP 256 /* calls between two looks at what is due */
#define ARENA_BYTES (UINT64_C(2) << 30)
#define STATE_ID 1

struct due {
    int64_t time;
    uint64_t key;
};

/* What is set, and what was fired. */
static struct due *calls;
static char *memory;

struct fired {
    uint64_t cnt;
    uint64_t sum;
    int64_t last;
    bool out_of_order;
};

static inline void
fire(struct fired *fired, int64_t time, uint64_t key)
{
    fired->cnt++;
    fired->sum += weir_rng_mix((uint64_t)time ^ weir_rng_mix(key));
    fired->out_of_order |= time < fired->last;
    fired->last = time;
}

/* Times rise by one a call, and lie up to twice live_cnt ahead: that many wait on average. */
static void
draw(uint64_t live_cnt)
{
    struct weir_rng rng;
    weir_rng_init(&rng, 1);
    for (uint64_t i = 0; i < SET_CNT; i++) {
        calls[i].time = (int64_t)(i + 1 + weir_rng_below(&rng, 2 * live_cnt));
        calls[i].key = weir_rng_below(&rng, live_cnt);
        if (i % AGAIN_EVERY == 0 && i >= AGAIN_BACK && calls[i - AGAIN_BACK].time > (int64_t)i) {
            calls[i] = calls[i - AGAIN_BACK];
        }
    }
}

static int64_t
now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

static int
tell(const struct fired *fired, int64_t wall_ns, struct trial_result *ret_result)
{
    *ret_result = (struct trial_result){
        .wall_ns = wall_ns, .events = SET_CNT, .rows = fired->cnt, .checksum = fired->sum};
    return fired->out_of_order ? weir_err_push(WEIR_EDATA, "timers came out of order") : 0;
}

/* ---- ours ---- */

static void
fire_ours(struct weir_timers *timers, int64_t up_to, struct fired *fired)
{
    struct weir_timer timer;
    int got;
    while ((got = weir_timers_peek(timers, up_to, &timer)) != 0) {
        if (got == 1) {
            fire(fired, timer.time, timer.stored[0]);
            weir_timers_pop(timers, &timer);
        }
    }
}

static int
set_all(struct weir_timers *timers, struct fired *fired)
{
    int err = 0;
    for (uint64_t i = 0; i < SET_CNT && err == 0; i++) {
        bool is_made;
        struct weir_timer_key key = {weir_hash_u64(calls[i].key), &calls[i].key, NULL, 0};
        err = weir_timers_set(timers, &key, calls[i].time, &is_made);
        if (i % STEP == STEP - 1) {
            fire_ours(timers, (int64_t)i, fired);
        }
    }
    fire_ours(timers, INT64_MAX, fired);
    return err;
}

static int
run_weir(const struct contest_entry *entry, struct trial_result *ret_result)
{
    static const struct weir_arena_spec spec = {"timers", 128, {0, 128}, 2};
    struct weir_arena arena;
    struct weir_timers timers;
    struct fired fired = {.last = INT64_MIN};
    draw(entry->number);
    memset(memory, 0, ARENA_BYTES);
    int err = weir_arena_init(&arena, &spec, memory, ARENA_BYTES);
    err = err != 0 ? err : weir_timers_init(&timers, &arena, STATE_ID, WEIR_KEY_8);
    if (err != 0) {
        return err;
    }
    int64_t begin = now_ns();
    err = set_all(&timers, &fired);
    int64_t wall_ns = now_ns() - begin;
    while (weir_timers_fini(&timers) == WEIR_AGAIN) {
    }
    return err != 0 ? err : tell(&fired, wall_ns, ret_result);
}

/* ---- by hand ---- */

struct heap {
    struct due *entries;
    uint64_t cnt;
};

static inline bool
is_before(const struct due *a, const struct due *b)
{
    return a->time != b->time ? a->time < b->time : a->key < b->key;
}

static void
push(struct heap *heap, const struct due *due)
{
    uint64_t at = heap->cnt++;
    for (; at > 0 && is_before(due, &heap->entries[(at - 1) / 2]); at = (at - 1) / 2) {
        heap->entries[at] = heap->entries[(at - 1) / 2];
    }
    heap->entries[at] = *due;
}

static struct due
pop(struct heap *heap)
{
    struct due top = heap->entries[0];
    struct due last = heap->entries[--heap->cnt];
    uint64_t at = 0;
    for (;;) {
        uint64_t down = 2 * at + 1;
        down += down + 1 < heap->cnt && is_before(&heap->entries[down + 1], &heap->entries[down]);
        if (down >= heap->cnt || !is_before(&heap->entries[down], &last)) {
            break;
        }
        heap->entries[at] = heap->entries[down];
        at = down;
    }
    heap->entries[at] = last;
    return top;
}

static void
fire_heap(struct heap *heap, int64_t up_to, struct due *last, struct fired *fired)
{
    while (heap->cnt > 0 && heap->entries[0].time <= up_to) {
        struct due due = pop(heap);
        if (due.time != last->time || due.key != last->key) {
            fire(fired, due.time, due.key);
        }
        *last = due;
    }
}

static int
run_heap(const struct contest_entry *entry, struct trial_result *ret_result)
{
    struct fired fired = {.last = INT64_MIN};
    struct due last = {.time = INT64_MIN};
    struct heap heap = {(struct due *)(void *)memory, 0};
    draw(entry->number);
    memset(memory, 0, SET_CNT * sizeof *heap.entries);
    int64_t begin = now_ns();
    for (uint64_t i = 0; i < SET_CNT; i++) {
        push(&heap, &calls[i]);
        if (i % STEP == STEP - 1) {
            fire_heap(&heap, (int64_t)i, &last, &fired);
        }
    }
    fire_heap(&heap, INT64_MAX, &last, &fired);
    return tell(&fired, now_ns() - begin, ret_result);
}

/* ---- both ---- */

/* Huge pages where there are any, touched. */
static int
make_memory(void)
{
    const struct weir_region_options options = {.name = "timers",
        .bytes = ARENA_BYTES + SET_CNT * sizeof *calls,
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_THP,
        .touch = true};
    struct weir_region_report report = {0};
    struct weir_region *region = NULL; /* the process keeps it until it ends */
    int err = weir_region_open(&options, &report, &region);
    if (err == 0) {
        memory = weir_region_base(region);
        calls = (struct due *)(void *)(memory + ARENA_BYTES);
    }
    return err;
}

int
main(int argc, char **argv)
{
    static const uint64_t live_cnts[] = {150000, SET_CNT};
    static struct contest_entry entries[2 * WEIR_ARRAY_CNT(live_cnts)];
    struct contest_options options;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(entries); i++) {
        struct contest_entry *entry = &entries[i];
        bool is_heap = i >= WEIR_ARRAY_CNT(live_cnts);
        entry->number = live_cnts[i % WEIR_ARRAY_CNT(live_cnts)];
        entry->run = is_heap ? run_heap : run_weir;
        (void)snprintf(entry->name, sizeof entry->name, "%s-%u", is_heap ? "heap" : "weir",
            (unsigned int)entry->number);
    }
    int err = contest_args(argc, argv, &options);
    err = err != 0 ? err : make_memory();
    err = err != 0 ? err : contest_run(entries, WEIR_ARRAY_CNT(entries), options.round_cnt);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
