/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/capture.h"

#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/layout.h"

/* A share of the ring that is left when the owner should stop: what a slice of its work may
 * save. */
#define RESERVE_DIV 4
/* Entries of which small arenas have an eighth of their lines. */
#define UNDO_CNT_SMALL (UINT64_C(1) << 16)

#if defined(__GNUC__)
#define RACY __attribute__((noinline, no_sanitize("thread")))
#else
#define RACY
#endif

/* ---- the memory beside the arena ---- */

/* Where the parts lie; returns the end, 0 when it does not fit a size. */
static uint64_t
place(struct weir_capture *capture, const struct weir_arena *arena, uint32_t undo_cnt, char *mem)
{
    const struct weir_ring_shape shape = {undo_cnt, WEIR_UNDO_SLOT_BYTES};
    struct weir_layout lay;
    weir_layout_init(&lay);
    uint64_t undo_off = weir_layout_add(&lay, sizeof(struct weir_undo), WEIR_LINE_PAIR_BYTES);
    uint64_t ring_off = weir_layout_add(&lay, weir_ring_footprint(&shape), weir_ring_align());
    uint64_t line_off =
        weir_layout_add_array(&lay, undo_cnt, sizeof(struct weir_undo_line), WEIR_LINE_PAIR_BYTES);
    uint64_t captured_off =
        weir_layout_add_array(&lay, arena->page_cnt, sizeof(uint32_t), WEIR_LINE_PAIR_BYTES);
    uint64_t last_off =
        weir_layout_add_array(&lay, arena->page_cnt, sizeof(uint32_t), WEIR_LINE_PAIR_BYTES);
    uint64_t carry_off =
        weir_layout_add_array(&lay, arena->page_cnt, sizeof(uint64_t), WEIR_LINE_PAIR_BYTES);
    uint64_t end = weir_layout_footprint(&lay);
    if (mem == NULL || end == 0) {
        return end;
    }
    capture->undo = (struct weir_undo *)(void *)(mem + undo_off);
    capture->undo->line = (struct weir_undo_line *)(void *)(mem + line_off);
    capture->undo->captured = (void *)(mem + captured_off);
    capture->last = (uint32_t *)(void *)(mem + last_off);
    capture->carry = (uint64_t *)(void *)(mem + carry_off);
    void *ring = mem + ring_off;
    int err = weir_ring_new(ring, &shape);
    err = err < 0 ? err : weir_ring_prod_join(&capture->undo->prod, ring, WEIR_UNDO_SLOT_BYTES);
    err = err < 0 ? err : weir_ring_cons_join(&capture->cons, ring, WEIR_UNDO_SLOT_BYTES);
    return err < 0 ? 0 : end;
}

uint32_t
weir_capture_undo_cnt(uint64_t page_bytes)
{
    uint64_t lines = page_bytes / WEIR_LINE_BYTES;
    uint64_t cnt = weir_max_u64(weir_min_u64(lines / 8, UNDO_CNT_SMALL), lines / 16);
    cnt = weir_pow2_up(weir_max_u64(cnt, WEIR_UNDO_CNT_MIN));
    return (uint32_t)weir_min_u64(cnt, WEIR_UNDO_CNT_MAX);
}

uint64_t
weir_capture_footprint(const struct weir_arena *arena, uint32_t undo_cnt)
{
    if (undo_cnt < WEIR_UNDO_CNT_MIN || undo_cnt > WEIR_UNDO_CNT_MAX || !weir_is_pow2(undo_cnt)) {
        return 0;
    }
    return place(NULL, arena, undo_cnt, NULL);
}

int
weir_capture_init(
    struct weir_capture *capture, struct weir_arena *arena, uint32_t undo_cnt, void *mem)
{
    memset(capture, 0, sizeof *capture);
    if (weir_capture_footprint(arena, undo_cnt) == 0 ||
        (uintptr_t)mem % WEIR_LINE_PAIR_BYTES != 0 ||
        place(capture, arena, undo_cnt, (char *)mem) == 0) {
        return weir_err_push(WEIR_EINVAL, "state memory '%s': %u lines to undo, memory at %p",
            arena->spec.name, undo_cnt, mem);
    }
    capture->undo->slot_cnt = undo_cnt;
    capture->undo->reserve_cnt = undo_cnt / RESERVE_DIV;
    capture->base = arena->base;
    arena->capture = capture->undo;
    return 0;
}

/* ---- the ring ---- */

static struct weir_undo_slot *
slot_at(const struct weir_capture *capture, uint64_t seq)
{
    return (struct weir_undo_slot *)weir_ring_slot_at(&capture->cons, seq, WEIR_UNDO_SLOT_BYTES);
}

static bool
is_captured(const struct weir_capture *capture, uint32_t page)
{
    /* relaxed: only this core writes it. */
    return weir_load_rlx(&capture->undo->captured[page]) == capture->number;
}

/* The lines of a page that were written since the base. */
static uint64_t
lines_written(const struct weir_capture *capture, uint32_t page)
{
    uint64_t carried = capture->is_carry_stale ? 0 : capture->carry[page];
    return capture->mask[page] | (WEIR_MUTANT(CARRY_LOST) ? 0 : carried);
}

/* Keep what was written of a page until a snapshot that has it is committed; its mask is clean from
 * here on. Once a page and snapshot: what is stale is so no more. */
static void
lines_keep(struct weir_capture *capture, uint32_t page, uint64_t lines)
{
    if (capture->carry[page] != lines) {
        capture->carry[page] = lines;
    }
    if (capture->mask[page] != 0) {
        capture->mask[page] = 0;
    }
}

static void
page_mark(struct weir_capture *capture, uint32_t page, uint64_t written)
{
    lines_keep(capture, page, written);
    /* [R2] pairs with [A2] in weir_undo_is_wanted: our copy of the page is over. */
    weir_store_rel(&capture->undo->captured[page], capture->number);
}

/* See what the owner has saved, and chain it to its pages. What comes for a page that is captured
 * was saved before the owner could know. False where the owner has given the snapshot up. */
static bool
drain(struct weir_capture *capture)
{
    /* [A3] pairs with [R3] in weir_undo_decline. */
    if (weir_load_acq(&capture->undo->declined) == capture->number) {
        return false;
    }
    uint32_t cnt = weir_ring_peek(&capture->cons);
    for (uint32_t i = 0; i < cnt; i++) {
        struct weir_undo_slot *slot =
            (struct weir_undo_slot *)weir_ring_cons_slot(&capture->cons, i, WEIR_UNDO_SLOT_BYTES);
        uint32_t page = slot->line / WEIR_UNDO_PAGE_LINES;
        slot->prev = capture->last[page];
        capture->last[page] = (uint32_t)(weir_ring_look_seq(&capture->cons) + i) + 1;
    }
    weir_ring_advance(&capture->cons, cnt);
    return true;
}

/* The position of an entry of a page from what stands for it, which may be from an older snapshot,
 * or of an entry that is no longer held. WEIR_RING_SEQ_NONE: there is none. */
static uint64_t
entry_of(const struct weir_capture *capture, uint32_t page, uint32_t pos)
{
    uint64_t look_seq = weir_ring_look_seq(&capture->cons);
    uint32_t held_cnt = weir_ring_unreleased_cnt(&capture->cons);
    uint32_t back = (uint32_t)look_seq - (pos - 1); /* a ring is far smaller than 2^32 */
    if (back == 0 || back > held_cnt) {
        return WEIR_RING_SEQ_NONE;
    }
    uint64_t seq = look_seq - back;
    return slot_at(capture, seq)->line / WEIR_UNDO_PAGE_LINES == page ? seq : WEIR_RING_SEQ_NONE;
}

/* Let go of entries whose pages are captured, the oldest first; returns the page of the first that
 * stays, 0: none does. */
static uint32_t
release(struct weir_capture *capture)
{
    uint32_t held_cnt = weir_ring_unreleased_cnt(&capture->cons);
    uint64_t head_seq = weir_ring_look_seq(&capture->cons) - held_cnt;
    uint32_t cnt = 0;
    uint32_t page = 0;
    for (; cnt < held_cnt && page == 0; cnt += page == 0) {
        uint32_t of = slot_at(capture, head_seq + cnt)->line / WEIR_UNDO_PAGE_LINES;
        page = is_captured(capture, of) ? 0 : of;
    }
    if (cnt > 0) {
        weir_ring_release(&capture->cons, cnt);
    }
    return page;
}

/* ---- a page ---- */

/* The one place where memory is read that another core may be writing. What it reads may be torn;
 * undo.h says why that does no harm: each line that was written since the barrier is laid over,
 * from the ring, which is looked at after the fence. Out of line and without ThreadSanitizer's
 * eyes; the calls of memcpy() are expanded, because that one would look for itself. */
static RACY void
copy_lines(const char *page, uint64_t lines, char *to)
{
#if defined(WEIR_ATOMIC_MODEL)
    for (; lines != 0; lines &= lines - 1, to += WEIR_LINE_BYTES) {
        const char *line = page + (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES;
        memcpy(to, line, WEIR_LINE_BYTES);
        if (line < page + 3 * WEIR_LINE_BYTES) { /* what the model writes */
            uint64_t word = weir_load_rlx((uint64_t *)(uintptr_t)line);
            memcpy(to, &word, sizeof word);
        }
    }
#else
    typedef uint64_t lanes __attribute__((vector_size(32), may_alias, aligned(8)));
    for (; lines != 0; lines &= lines - 1, to += WEIR_LINE_BYTES) {
        const lanes *line =
            (const lanes *)(const void *)(page + (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES);
        lanes *out = (lanes *)(void *)to;
        out[0] = line[0];
        out[1] = line[1];
    }
#endif
}

/* Lay the saved lines of a page over those that were copied. */
static void
lay_over(struct weir_capture *capture, uint32_t page, uint64_t lines, char *copy)
{
    uint32_t pos = capture->last[page];
    for (;;) {
        uint64_t seq = entry_of(capture, page, pos);
        if (seq == WEIR_RING_SEQ_NONE) {
            return;
        }
        const struct weir_undo_slot *slot = slot_at(capture, seq);
        uint64_t bit = UINT64_C(1) << slot->line % WEIR_UNDO_PAGE_LINES;
        if ((lines & bit) != 0) {
            const struct weir_undo_line *old =
                &capture->undo->line[seq & (capture->undo->slot_cnt - 1)];
            WEIR_DATA_READ(old);
            size_t at = (size_t)__builtin_popcountll(lines & (bit - 1)) * WEIR_LINE_BYTES;
            memcpy(copy + at, old->byte, WEIR_LINE_BYTES);
            capture->laid_cnt++;
        }
        pos = slot->prev;
    }
}

/* What a captured page is written as, from its header; the lines stand behind the record's head
 * already. Returns the record's bytes, 0 where there is nothing to say. */
static uint64_t
record_close(
    const struct weir_capture *capture, const struct weir_slab *slab, uint64_t lines, char *out)
{
    struct weir_capture_record *head = (struct weir_capture_record *)(void *)out;
    bool is_used = slab->kind != WEIR_PAGE_FREE && slab->kind != WEIR_PAGE_INDEX;
    bool is_index = WEIR_MUTANT(PAGE_TURNED_INDEX) && slab->kind == WEIR_PAGE_INDEX;
    if (!is_used && (capture->is_full || (lines & 1) == 0 || is_index)) {
        return 0; /* it was not in use at the base either */
    }
    head->key_group = slab->key_group;
    head->kind = slab->kind;
    head->lines = is_used ? lines : 1;
    head->bytes =
        (uint32_t)(sizeof *head + (size_t)__builtin_popcountll(head->lines) * WEIR_LINE_BYTES);
    head->crc = weir_crc32c(0, out, head->bytes);
    return head->bytes;
}

/* Capture a page into out. Returns the bytes of its record, 0: none; -1: given up by the owner. */
static int64_t
page_capture(struct weir_capture *capture, uint32_t page, char *out)
{
    uint64_t written = lines_written(capture, page);
    uint64_t lines = capture->is_full ? ~UINT64_C(0) : written;
    if (lines == 0) {
        page_mark(capture, page, 0);
        return 0;
    }
    struct weir_capture_record *head = (struct weir_capture_record *)(void *)out;
    memset(head, 0, sizeof *head);
    head->page = page;
    const char *from = capture->base + (size_t)page * WEIR_PAGE_BYTES;
    char *copy = out + sizeof *head;
    struct weir_slab slab; /* what the page is, also where that has not changed */
    if (WEIR_UNDO_MUTANT(MARK_EARLY)) {
        page_mark(capture, page, written);
    }
    copy_lines(from, lines, copy);
    copy_lines(from, 1, (char *)&slab);
    /* [F2] pairs with [F1] in undo.h: whose writes we have read, their entries are there now. */
    weir_fence_acq();
    if (!drain(capture)) {
        return -1;
    }
    if (!WEIR_UNDO_MUTANT(NO_OVERLAY)) {
        lay_over(capture, page, lines, copy);
        lay_over(capture, page, 1, (char *)&slab);
    }
    page_mark(capture, page, written);
    return (int64_t)record_close(capture, &slab, lines, out);
}

/* ---- a snapshot ---- */

int
weir_capture_begin(struct weir_capture *capture, uint64_t id, bool is_full)
{
    struct weir_undo *undo = capture->undo;
    if (capture->state != WEIR_CAPTURE_IDLE || id == 0) {
        return weir_err_push(WEIR_EILLEGAL, "snapshot %llu: %llu is not at its end",
            (unsigned long long)id, (unsigned long long)capture->id);
    }
    /* [A5] pairs with [R5] in weir_arena_snapshot_begin: pages and masks are those of the
     * barrier. */
    if (weir_load_acq(&undo->begun) == capture->number) {
        return WEIR_WAIT;
    }
    capture->number++;
    capture->mask = undo->mask;
    capture->page_end = undo->page_end;
    capture->sweep = 1;
    capture->tidy = 1;
    capture->why = 0;
    capture->is_full = is_full;
    capture->id = id;
    capture->base_id = capture->committed_id;
    capture->state = WEIR_CAPTURE_LIVE;
    /* What the owner saved for the last snapshot, before it knew of its end. Once seen: all of it
     * was published before `begun`. */
    while (!WEIR_MUTANT(UNDO_STALE) && weir_ring_look_seq(&capture->cons) < undo->begin_seq) {
        uint64_t left = undo->begin_seq - weir_ring_look_seq(&capture->cons);
        uint32_t cnt = (uint32_t)weir_min_u64(weir_ring_peek(&capture->cons), left);
        weir_ring_advance(&capture->cons, cnt);
    }
    uint32_t old_cnt = weir_ring_unreleased_cnt(&capture->cons);
    if (old_cnt > 0) {
        weir_ring_release(&capture->cons, old_cnt);
    }
    (void)drain(capture); /* nothing known may be unseen: a look after a copy must be a fresh one */
    return WEIR_DONE;
}

/* The owner need save no more. */
static void
end(struct weir_capture *capture)
{
    /* relaxed: it says only that saving is in vain; see weir_undo_is_ended. */
    weir_store_rlx(&capture->undo->ended, capture->number);
}

/* Nothing is left of the snapshot. */
static void
ready(struct weir_capture *capture)
{
    uint32_t held_cnt = weir_ring_unreleased_cnt(&capture->cons);
    if (held_cnt > 0) {
        weir_ring_release(&capture->cons, held_cnt);
    }
    capture->state = WEIR_CAPTURE_IDLE;
    capture->is_carry_stale = false;
    /* [R4] pairs with [A4] in weir_arena_snapshot_begin: the mask is clean and no page is read. */
    weir_store_rel(&capture->undo->ready, capture->number);
}

static void
fail(struct weir_capture *capture, int why)
{
    end(capture);
    capture->state = WEIR_CAPTURE_FAILED;
    capture->why = why;
}

/* The page to capture next: one that the owner is writing, else the next in turn; 0: none is
 * left. */
static uint32_t
page_next(struct weir_capture *capture)
{
    uint32_t page = release(capture);
    if (page != 0) {
        capture->hot_cnt++;
        return page;
    }
    while (capture->sweep < capture->page_end && is_captured(capture, capture->sweep)) {
        capture->sweep++;
    }
    return capture->sweep < capture->page_end ? capture->sweep : 0;
}

int64_t
weir_capture_fill(void *arg, void *buf, uint64_t bytes)
{
    struct weir_capture *capture = (struct weir_capture *)arg;
    if (capture->state == WEIR_CAPTURE_FAILED) {
        return capture->why;
    }
    if (capture->state == WEIR_CAPTURE_IDLE) {
        return capture->id != 0 ? capture->why
                                : weir_err_push(WEIR_EILLEGAL, "no snapshot has begun");
    }
    if (bytes < WEIR_CAPTURE_RECORD_BYTES_MAX) {
        return weir_err_push(WEIR_EINVAL, "%llu bytes for a page", (unsigned long long)bytes);
    }
    uint64_t used = 0;
    uint32_t page = 1;
    for (uint32_t look = 0;
         look < WEIR_CAPTURE_LOOK_CNT && bytes - used >= WEIR_CAPTURE_RECORD_BYTES_MAX; look++) {
        page = page_next(capture);
        if (page == 0) {
            end(capture);
            ready(capture);
            break;
        }
        int64_t got = page_capture(capture, page, (char *)buf + used);
        if (got < 0) {
            fail(capture, WEIR_EBUDGET);
            return WEIR_EBUDGET;
        }
        capture->page_cnt += got > 0;
        used += (uint64_t)got;
    }
    capture->byte_cnt += used;
    return used > 0 ? (int64_t)used : page == 0 ? WEIR_DONE : WEIR_AGAIN;
}

void
weir_capture_cancel(struct weir_capture *capture)
{
    if (capture->state == WEIR_CAPTURE_LIVE) {
        fail(capture, WEIR_ECANCELED);
    }
}

int
weir_capture_tidy(struct weir_capture *capture)
{
    if (capture->state != WEIR_CAPTURE_FAILED) {
        return capture->state == WEIR_CAPTURE_IDLE ? WEIR_DONE : WEIR_AGAIN;
    }
    uint32_t end_page = weir_min_u32(capture->page_end, capture->tidy + WEIR_CAPTURE_LOOK_CNT);
    for (; capture->tidy < end_page; capture->tidy++) {
        if (!is_captured(capture, capture->tidy)) {
            lines_keep(capture, capture->tidy,
                WEIR_MUTANT(GIVEN_UP_LOST) ? 0 : lines_written(capture, capture->tidy));
        }
    }
    if (capture->tidy < capture->page_end) {
        return WEIR_AGAIN;
    }
    ready(capture);
    return WEIR_DONE;
}

bool
weir_capture_commit(struct weir_capture *capture, uint64_t id)
{
    if (capture->state != WEIR_CAPTURE_IDLE || id != capture->id || capture->why != 0) {
        return false;
    }
    capture->is_carry_stale = true;
    capture->committed_id = id;
    return true;
}

void
weir_capture_rest(struct weir_capture *capture, uint64_t id)
{
    WEIR_CHECK(capture->number == 0 && capture->committed_id == 0 && id != 0,
        "snapshots rest on %llu already", (unsigned long long)capture->committed_id);
    capture->committed_id = id;
}
