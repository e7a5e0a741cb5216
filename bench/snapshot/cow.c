/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/snapshot/cow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "dataplane/capture.h"
#include "dataplane/snapshot.h"

#define SLOT_BYTES 8

static void
check(int err)
{
    if (err < 0) {
        weir_err_print(stderr, err);
        exit(1);
    }
}

void
cow_open(struct cow *cow, struct state *state, const struct weir_clock *clock, uint32_t saved_cnt)
{
    struct weir_ring_shape shape = {saved_cnt, SLOT_BYTES};
    void *ring = state_map(weir_ring_footprint(&shape), false);
    cow->clock = clock;
    cow->state = state;
    cow->saved_cnt = saved_cnt;
    check(weir_ring_new(ring, &shape));
    check(weir_ring_prod_join(&cow->prod, ring, SLOT_BYTES));
    check(weir_ring_cons_join(&cow->cons, ring, SLOT_BYTES));
    cow->saved = state_map((uint64_t)saved_cnt * WEIR_PAGE_BYTES, false);
    cow->copied = state_map(state->page_end * sizeof *cow->copied, false);
    cow->taken = state_map(state->page_end * sizeof *cow->taken, false);
}

void
cow_begin(struct cow *cow, uint32_t number)
{
    cow->number = number;
    cow->begin_seq = weir_ring_tail_seq(&cow->prod);
}

static void
save(struct cow *cow, uint32_t page)
{
    cow->copied[page] = cow->number;
    /* Pairs with the storage core's: it has read the page, or all of them. */
    if (weir_load_acq(&cow->taken[page]) == cow->number ||
        weir_load_acq(&cow->done) == cow->number) {
        return;
    }
    int64_t from = 0;
    while (weir_ring_room(&cow->prod, 1) == 0) {
        from = from == 0 ? weir_clock_ns(cow->clock) : from;
        weir_spin_hint();
    }
    cow->wait_ns += from == 0 ? 0 : (uint64_t)(weir_clock_ns(cow->clock) - from);
    uint64_t seq = weir_ring_tail_seq(&cow->prod);
    *(uint64_t *)weir_ring_prod_slot(&cow->prod, 0, SLOT_BYTES) = page;
    memcpy(cow->saved + (seq & (cow->saved_cnt - 1)) * WEIR_PAGE_BYTES,
        cow->state->arena.base + (size_t)page * WEIR_PAGE_BYTES, WEIR_PAGE_BYTES);
    weir_ring_publish(&cow->prod, 1);
    weir_fence_rel();
}

void
cow_update(struct cow *cow)
{
    const struct weir_arena *arena = &cow->state->arena;
    const uint32_t *ref = state_refs(cow->state);
    for (uint32_t i = 0; i < STATE_BATCH; i++) {
        __builtin_prefetch(weir_arena_ptr(arena, ref[i]), 1);
    }
    for (uint32_t i = 0; i < STATE_BATCH; i++) {
        uint64_t *val = (uint64_t *)weir_arena_ptr(arena, ref[i]);
        uint32_t page = ref[i] / WEIR_ARENA_PAGE_REFS;
        if (WEIR_UNLIKELY(cow->copied[page] != cow->number)) {
            save(cow, page);
        }
        ++*val;
    }
}

/* ---- the storage core ---- */

static const char *
saved_at(const struct cow *cow, uint32_t idx, uint32_t *ret_page)
{
    struct weir_ring_cons *cons = (struct weir_ring_cons *)&cow->cons;
    uint64_t seq = weir_ring_look_seq(cons) + idx;
    *ret_page = (uint32_t) * (const uint64_t *)weir_ring_cons_slot(cons, idx, SLOT_BYTES);
    return cow->saved + (seq & (cow->saved_cnt - 1)) * WEIR_PAGE_BYTES;
}

/* relaxed: our own. */
static bool
is_taken(const struct page_source *source, uint32_t page)
{
    return source->cow != NULL && weir_load_rlx(&source->cow->taken[page]) == source->number;
}

static uint64_t
put(char *out, uint32_t page, const char *from)
{
    struct weir_capture_record *head = (struct weir_capture_record *)(void *)out;
    *head = (struct weir_capture_record){.page = page,
        .kind = WEIR_PAGE_BUCKET,
        .lines = ~UINT64_C(0),
        .bytes = WEIR_CAPTURE_RECORD_BYTES_MAX};
    memcpy(out + sizeof *head, from, WEIR_PAGE_BYTES);
    return WEIR_CAPTURE_RECORD_BYTES_MAX;
}

static void
seal(char *out)
{
    struct weir_capture_record *head = (struct weir_capture_record *)(void *)out;
    head->crc = weir_crc32c(0, out, head->bytes);
}

/* The oldest page that the owner has copied; 0 bytes where there is none that is still wanted. */
static uint64_t
put_saved(struct page_source *source, char *out)
{
    struct cow *cow = source->cow;
    uint32_t page;
    while (cow != NULL && weir_ring_peek(&cow->cons) > 0) {
        const char *from = saved_at(cow, 0, &page);
        bool is_wanted = !is_taken(source, page);
        if (is_wanted) {
            (void)put(out, page, from);
            seal(out);
        }
        weir_store_rel(&cow->taken[page], source->number); /* pairs with save() */
        weir_ring_advance(&cow->cons, 1);
        weir_ring_release(&cow->cons, 1);
        if (is_wanted) {
            return WEIR_CAPTURE_RECORD_BYTES_MAX;
        }
    }
    return 0;
}

/* The next page in turn. What was copied of it meanwhile counts, for what we read may be torn. */
static uint64_t
put_next(struct page_source *source, char *out)
{
    struct cow *cow = source->cow;
    uint32_t page = source->page++;
    (void)put(out, page, source->base + (size_t)page * WEIR_PAGE_BYTES);
    if (cow != NULL) {
        weir_fence_acq();
        uint32_t cnt = weir_ring_peek(&cow->cons);
        for (uint32_t i = 0; i < cnt; i++) {
            uint32_t of;
            const char *from = saved_at(cow, i, &of);
            if (of == page) {
                (void)put(out, page, from);
            }
        }
        weir_store_rel(&cow->taken[page], source->number); /* pairs with save() */
    }
    seal(out);
    return WEIR_CAPTURE_RECORD_BYTES_MAX;
}

void
page_source_begin(struct page_source *source)
{
    struct cow *cow = source->cow;
    source->page = 1;
    /* What the owner copied for the snapshot before, until it knew of its end. */
    while (cow != NULL && weir_ring_look_seq(&cow->cons) < cow->begin_seq) {
        uint64_t left = cow->begin_seq - weir_ring_look_seq(&cow->cons);
        uint32_t cnt = (uint32_t)weir_min_u64(weir_ring_peek(&cow->cons), left);
        weir_ring_advance(&cow->cons, cnt);
        if (cnt > 0) {
            weir_ring_release(&cow->cons, cnt);
        }
    }
}

int64_t
page_source_fill(void *arg, void *buf, uint64_t bytes)
{
    struct page_source *source = (struct page_source *)arg;
    uint64_t used = 0;
    if (bytes < WEIR_CAPTURE_RECORD_BYTES_MAX) {
        return WEIR_SNAPSHOT_FULL;
    }
    while (bytes - used >= WEIR_CAPTURE_RECORD_BYTES_MAX) {
        uint64_t got = put_saved(source, (char *)buf + used);
        while (got == 0 && source->page < source->page_end && is_taken(source, source->page)) {
            source->page++;
        }
        if (got == 0 && source->page == source->page_end) {
            break;
        }
        used += got > 0 ? got : put_next(source, (char *)buf + used);
    }
    if (used == 0 && source->cow != NULL) {
        weir_store_rel(&source->cow->done, source->number); /* pairs with save() */
    }
    return (int64_t)used;
}
