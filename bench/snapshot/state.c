/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/snapshot/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"

#define HUGE_BYTES (2 * WEIR_MIB)
#define STREAM_CNT (UINT64_C(1) << 22)
#define ENTRY_BYTES 16
#define PAGE_ENTRY_CNT (WEIR_ARENA_BODY_BYTES / ENTRY_BYTES)
#define ZIPF_THETA 0.99
#define ZIPF_EXACT_CNT 100000

static void *
must(void *ptr)
{
    if (ptr == NULL || ptr == MAP_FAILED) {
        perror("bench_snapshot: memory");
        exit(1);
    }
    return ptr;
}

void *
state_map(uint64_t bytes, bool small_pages)
{
    bytes = weir_align_up(bytes, HUGE_BYTES);
    char *at = must(
        mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    at = (char *)weir_align_up((uintptr_t)at, HUGE_BYTES);
    (void)madvise(at, bytes, small_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    memset(at, 0, bytes);
    return at;
}

/* Ranks with probability 1 / (rank + 1)^0.99, as in bench_state; the tail of the sum as an
 * integral. */
static uint64_t
zipf(struct weir_rng *rng, double n, double zeta)
{
    double eta = (1 - pow(2 / n, 1 - ZIPF_THETA)) / (1 - (1 + pow(0.5, ZIPF_THETA)) / zeta);
    double u = weir_rng_unit(rng);
    if (u * zeta < 1) {
        return 0;
    }
    if (u * zeta < 1 + pow(0.5, ZIPF_THETA)) {
        return 1;
    }
    return (uint64_t)(n * pow(eta * u - eta + 1, 1 / (1 - ZIPF_THETA)));
}

static double
zeta_of(uint64_t n)
{
    double zeta = 0;
    for (uint64_t i = 1; i <= weir_min_u64(n, ZIPF_EXACT_CNT); i++) {
        zeta += pow((double)i, -ZIPF_THETA);
    }
    if (n > ZIPF_EXACT_CNT) {
        zeta += (pow((double)n, 1 - ZIPF_THETA) - pow(ZIPF_EXACT_CNT, 1 - ZIPF_THETA)) /
                (1 - ZIPF_THETA);
    }
    return zeta;
}

static void
draw(struct state *state, bool is_zipf)
{
    struct weir_rng rng;
    weir_rng_init(&rng, 1);
    uint64_t n = (uint64_t)(state->page_end - 1) * PAGE_ENTRY_CNT;
    double zeta = is_zipf ? zeta_of(n) : 0;
    state->stream = must(malloc(STREAM_CNT * sizeof *state->stream));
    for (uint64_t i = 0; i < STREAM_CNT; i++) {
        uint64_t idx = weir_rng_below(&rng, n);
        if (is_zipf) { /* ranks lie anywhere */
            idx = weir_rng_mix(weir_min_u64(zipf(&rng, (double)n, zeta), n - 1)) % n;
        }
        uint64_t page = 1 + idx / PAGE_ENTRY_CNT;
        state->stream[i] =
            (uint32_t)(page * WEIR_ARENA_PAGE_REFS + WEIR_LINE_BYTES / WEIR_ARENA_REF_BYTES +
                       idx % PAGE_ENTRY_CNT);
    }
}

static void
check(int err)
{
    if (err < 0) {
        weir_err_print(stderr, err);
        exit(1);
    }
}

void
state_open(struct state *state, const struct state_conf *conf)
{
    uint64_t bytes = conf->mib * WEIR_MIB + conf->mib * WEIR_MIB / 16 + WEIR_MIB;
    struct weir_arena_spec spec = {"bench_snapshot", 128, {0, 128}, 16};
    void *mem = state_map(bytes, conf->small_pages);
    check(weir_arena_init(&state->arena, &spec, mem, weir_align_up(bytes, WEIR_PAGE_BYTES)));
    uint32_t page_cnt = (uint32_t)(conf->mib * WEIR_MIB / WEIR_PAGE_BYTES);
    for (uint32_t i = 0; i < page_cnt; i++) {
        uint32_t page;
        check(weir_arena_page_take(&state->arena, &page));
        ((struct weir_slab *)weir_arena_ptr(&state->arena, page * WEIR_ARENA_PAGE_REFS))->kind =
            WEIR_PAGE_BUCKET;
    }
    state->page_end = state->arena.page_fresh;
    draw(state, conf->is_zipf);
}

const uint32_t *
state_refs(struct state *state)
{
    const uint32_t *refs = state->stream + state->at;
    state->at = (state->at + STATE_BATCH) % STREAM_CNT;
    state->update_cnt += STATE_BATCH;
    return refs;
}

void
state_update(struct state *state)
{
    const uint32_t *ref = state_refs(state);
    for (uint32_t i = 0; i < STATE_BATCH; i++) {
        __builtin_prefetch(weir_arena_ptr(&state->arena, ref[i]), 1);
    }
    for (uint32_t i = 0; i < STATE_BATCH; i++) {
        uint64_t *val = (uint64_t *)weir_arena_ptr(&state->arena, ref[i]);
        weir_arena_touch_line(&state->arena, val);
        ++*val;
    }
}
