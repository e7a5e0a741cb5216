/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/arena.h"

#include <string.h>

#include "base/check.h"
#include "base/layout.h"
#include "base/mutant.h"
#include "dataplane/types.h"
#include "dataplane/undo.h"

/* Fewer pages than this cannot hold one bucket for each of a handful of key groups. */
#define PAGE_CNT_MIN 8
/* Directory words a page: a directory is on average a little over twice its pages (page fill
 * varies, so some key groups double early); what a doubled directory left behind serves smaller
 * ones. */
#define INDEX_WORDS_PER_PAGE 8

static const uint16_t class_bytes[WEIR_ARENA_CLASS_CNT] = {
#define CLASS_BYTES(bytes) bytes,
    WEIR_ARENA_BLOB_CLASSES(CLASS_BYTES)
#undef CLASS_BYTES
            7 *
        WEIR_LINE_BYTES,
    21 * WEIR_LINE_BYTES, WEIR_LINE_BYTES};
WEIR_STATIC_ASSERT(WEIR_PAGE_BYTES / WEIR_LINE_BYTES == WEIR_UNDO_PAGE_LINES, "a mask is a word");

/* Where the parts lie for a given number of pages; returns the end, 0 when it does not fit a
 * size. */
static uint64_t
place(struct weir_arena *arena, char *mem, uint64_t page_cnt)
{
    uint64_t group_cnt = arena->spec.groups.cnt;
    uint64_t dir_words = weir_pow2_up(group_cnt);
    /* The smallest directories of all tables and as many words for rows kept beside them, but at
     * most an eighth of the pages: room for very many key groups is room for fewer tables. */
    uint64_t table_words = weir_min_u64(2 * arena->spec.table_cnt_max * dir_words,
        page_cnt * (WEIR_PAGE_BYTES / sizeof(uint32_t)) / 8);
    uint64_t word_cnt = page_cnt * INDEX_WORDS_PER_PAGE + table_words + dir_words * 2 + 16;
    struct weir_layout lay;
    weir_layout_init(&lay);
    uint64_t base_off = weir_layout_add_array(&lay, page_cnt, WEIR_PAGE_BYTES, WEIR_PAGE_BYTES);
    uint64_t saved_off = weir_layout_add_array(&lay, page_cnt, 8, WEIR_LINE_BYTES);
    uint64_t idle_off = weir_layout_add_array(&lay, page_cnt, 8, WEIR_LINE_BYTES);
    uint64_t free_off = weir_layout_add_array(&lay, page_cnt, 4, WEIR_LINE_BYTES);
    uint64_t links_off =
        weir_layout_add_array(&lay, page_cnt, sizeof(struct weir_arena_link), WEIR_LINE_BYTES);
    uint64_t slab_off =
        weir_layout_add_array(&lay, group_cnt * WEIR_ARENA_CLASS_CNT, 4, WEIR_LINE_BYTES);
    uint64_t index_off = weir_layout_add_array(&lay, word_cnt, 4, WEIR_LINE_BYTES);
    uint64_t table_off = weir_layout_add_array(
        &lay, arena->spec.table_cnt_max, WEIR_ARENA_TABLE_BYTES, WEIR_LINE_BYTES);
    uint64_t scratch_off = weir_layout_add(&lay, WEIR_PAGE_BYTES, WEIR_LINE_BYTES);
    if (mem != NULL) {
        arena->base = mem + base_off;
        arena->saved = (uint64_t *)(mem + saved_off);
        arena->idle = (uint64_t *)(mem + idle_off);
        arena->free_page = (uint32_t *)(mem + free_off);
        arena->links = (struct weir_arena_link *)(mem + links_off);
        arena->slab_head = (uint32_t *)(mem + slab_off);
        arena->index = (uint32_t *)(mem + index_off);
        arena->table_mem = mem + table_off;
        arena->scratch = mem + scratch_off;
        arena->index_word_cnt = word_cnt;
    }
    return weir_layout_footprint(&lay);
}

int
weir_arena_init(
    struct weir_arena *arena, const struct weir_arena_spec *spec, void *mem, uint64_t bytes)
{
    if ((uintptr_t)mem % WEIR_PAGE_BYTES != 0 || spec->groups.cnt == 0 ||
        spec->max_parallelism > WEIR_KEYGROUP_CNT_MAX ||
        (uint64_t)spec->groups.first + spec->groups.cnt > spec->max_parallelism) {
        return weir_err_push(WEIR_EINVAL, "state memory '%s': %u key groups from %u on, of %u",
            spec->name, spec->groups.cnt, spec->groups.first, spec->max_parallelism);
    }
    memset(arena, 0, sizeof *arena);
    arena->spec = *spec;
    if (spec->table_cnt_max == 0) {
        arena->spec.table_cnt_max = WEIR_ARENA_TABLE_CNT_DEFAULT;
    }
    uint64_t lo = 0;
    uint64_t hi = weir_min_u64(bytes, WEIR_ARENA_BYTES_MAX) / WEIR_PAGE_BYTES;
    while (lo < hi) { /* the most pages that fit: at most 24 steps */
        uint64_t mid = (lo + hi + 1) / 2;
        uint64_t need = place(arena, NULL, mid);
        if (need != 0 && need <= bytes) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    if (lo < PAGE_CNT_MIN) {
        return weir_err_push(WEIR_EBUDGET,
            "state memory '%s': %llu bytes are too few for %u key groups and %u tables", spec->name,
            (unsigned long long)bytes, spec->groups.cnt, arena->spec.table_cnt_max);
    }
    (void)place(arena, (char *)mem, lo);
    arena->page_cnt = (uint32_t)lo;
    arena->page_used_cnt = 1;
    arena->page_fresh = 1;
    arena->index_fresh = 16; /* word 0 is none; sixteen keep what follows aligned to a line */
    return 0;
}

/* Hand over the old bytes of these lines, if the live snapshot wants them. Out of line: callers are
 * small, and mostly no snapshot is live. */
static __attribute__((noinline)) void
undo_lines(struct weir_arena *arena, size_t page, uint64_t lines)
{
    struct weir_undo *undo = arena->undo;
    if (lines == 0 || !weir_undo_is_wanted(undo, page)) {
        return;
    }
    if (weir_undo_is_ended(undo)) {
        arena->undo = NULL;
        return;
    }
    if (WEIR_UNLIKELY(!weir_undo_put(undo, arena->base + page * WEIR_PAGE_BYTES, page, lines))) {
        if (!WEIR_MUTANT(UNDO_FULL_PASSED_OVER)) {
            weir_arena_snapshot_decline(arena);
        }
    }
}

int
weir_arena_page_take(struct weir_arena *arena, uint32_t *ret_page)
{
    uint32_t page;
    if (arena->free_cnt > 0) {
        page = arena->free_page[--arena->free_cnt];
    } else if (arena->page_fresh < arena->page_cnt) {
        page = arena->page_fresh++;
    } else {
        return weir_err_push(WEIR_EBUDGET,
            "state memory '%s' is full: all %u pages (%llu MiB) are in use", arena->spec.name,
            arena->page_cnt - 1, (unsigned long long)(weir_arena_used_bytes(arena) / WEIR_MIB));
    }
    arena->page_used_cnt++;
    if (WEIR_UNLIKELY(arena->undo != NULL)) {
        /* It was free at the barrier, of which its header is all that counts; or, where that was
         * saved since, perhaps in use. */
        bool is_open = (arena->saved[page] & 1) == 0;
        is_open |= WEIR_MUTANT(PAGE_REUSED_UNSAVED);
        undo_lines(arena, page, is_open ? UINT64_C(1) : ~arena->saved[page]);
    }
    arena->saved[page] |= WEIR_MUTANT(PAGE_TAKEN_CLEAN) ? 0 : ~UINT64_C(0);
    *ret_page = page;
    return 0;
}

void
weir_arena_page_give(struct weir_arena *arena, uint32_t page)
{
    struct weir_slab *head = (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
    WEIR_CHECK(page > 0 && page < arena->page_fresh && head->kind != WEIR_PAGE_FREE,
        "page %u given back twice", page);
    weir_arena_touch_line(arena, head);
    head->kind = WEIR_PAGE_FREE;
    arena->free_page[arena->free_cnt++] = page;
    arena->page_used_cnt--;
}

void
weir_arena_save(struct weir_arena *arena, size_t page, uint64_t lines)
{
    if (WEIR_UNLIKELY(arena->undo != NULL)) {
        undo_lines(arena, page, lines & ~arena->saved[page]);
    }
    arena->saved[page] |= lines;
}

void
weir_arena_masks_clear(struct weir_arena *arena)
{
    WEIR_CHECK(arena->undo == NULL, "a snapshot of '%s' is live", arena->spec.name);
    memset(arena->saved, 0, (size_t)arena->page_cnt * sizeof arena->saved[0]);
    arena->epoch++;
}

void
weir_arena_masks_fill(struct weir_arena *arena)
{
    for (uint32_t page = 1; page < arena->page_fresh; page++) {
        arena->saved[page] = ~UINT64_C(0);
    }
}

/* ---- snapshots ---- */

int
weir_arena_snapshot_begin(struct weir_arena *arena)
{
    struct weir_undo *undo = arena->capture;
    WEIR_CHECK(undo != NULL, "state memory '%s' has no capture", arena->spec.name);
    /* [A4] pairs with [R4] in capture.c: the other mask is clean, and the storage core's no
     * more. */
    if (weir_load_acq(&undo->ready) != undo->number) {
        return WEIR_AGAIN;
    }
    uint64_t *mask = arena->saved;
    if (!WEIR_UNDO_MUTANT(OLD_MASK)) {
        arena->saved = arena->idle;
        arena->idle = mask;
    }
    arena->epoch++;
    undo->mask = mask;
    undo->page_end = arena->page_fresh;
    undo->begin_seq = weir_ring_tail_seq(&undo->prod);
    undo->number++;
    /* [R5] pairs with [A5] in weir_capture_begin: the pages are as they are at the barrier, and
     * what is said above. */
    weir_store_rel(&undo->begun, undo->number);
    arena->undo = undo;
    return WEIR_DONE;
}

enum weir_arena_snapshot
weir_arena_snapshot_poll(struct weir_arena *arena)
{
    struct weir_undo *undo = arena->undo;
    if (undo == NULL) {
        return WEIR_ARENA_SNAPSHOT_NONE;
    }
    if (weir_undo_is_ended(undo)) {
        arena->undo = NULL;
        return WEIR_ARENA_SNAPSHOT_NONE;
    }
    return weir_ring_room(&undo->prod, undo->reserve_cnt) < undo->reserve_cnt
               ? WEIR_ARENA_SNAPSHOT_FULL
               : WEIR_ARENA_SNAPSHOT_LIVE;
}

void
weir_arena_snapshot_decline(struct weir_arena *arena)
{
    if (arena->undo != NULL) {
        weir_undo_decline(arena->undo);
        arena->undo = NULL;
    }
}

/* ---- blocks ---- */

uint32_t
weir_arena_class_bytes(uint32_t class_idx)
{
    return class_bytes[class_idx];
}

uint32_t
weir_arena_class_of(uint32_t bytes)
{
    uint32_t c = 0;
    while (c < WEIR_ARENA_BLOB_CLASS_CNT - 1 && class_bytes[c] < bytes) {
        c++;
    }
    return c;
}

static uint32_t *
slab_head(struct weir_arena *arena, uint32_t group, uint32_t class_idx)
{
    return &arena->slab_head[(size_t)group * WEIR_ARENA_CLASS_CNT + class_idx];
}

static void
slab_join(struct weir_arena *arena, uint32_t *head, uint32_t page)
{
    arena->links[page].prev = 0;
    arena->links[page].next = *head;
    if (*head != 0) {
        arena->links[*head].prev = page;
    }
    *head = page;
}

static void
slab_leave(struct weir_arena *arena, uint32_t *head, uint32_t page)
{
    struct weir_arena_link link = arena->links[page];
    if (link.prev != 0) {
        arena->links[link.prev].next = link.next;
    } else {
        *head = link.next;
    }
    if (link.next != 0) {
        arena->links[link.next].prev = link.prev;
    }
}

static uint8_t
kind_of(uint32_t class_idx)
{
    return class_idx < WEIR_ARENA_BLOB_CLASS_CNT ? (uint8_t)WEIR_PAGE_BLOB
           : class_idx == WEIR_ARENA_CLASS_NAME  ? (uint8_t)WEIR_PAGE_NAMES
                                                 : (uint8_t)WEIR_PAGE_SMALL;
}

int
weir_arena_block_take(
    struct weir_arena *arena, uint32_t group, uint32_t class_idx, uint32_t *ret_ref)
{
    uint32_t *head = slab_head(arena, group, class_idx);
    uint32_t block_bytes = class_bytes[class_idx];
    uint32_t page = *head;
    struct weir_slab *slab;
    if (page == 0) {
        int err = weir_arena_page_take(arena, &page);
        if (err < 0) {
            return err;
        }
        slab = (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
        memset(slab, 0, sizeof *slab);
        slab->kind = kind_of(class_idx);
        slab->class_idx = (uint8_t)class_idx;
        slab->key_group = (uint16_t)(arena->spec.groups.first + group);
        slab_join(arena, head, page);
    } else {
        slab = (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
    }
    uint32_t word = slab->used[0] == ~UINT64_C(0);
    uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(~slab->used[word]);
    char *ptr = (char *)slab + WEIR_LINE_BYTES + (size_t)block * block_bytes;
    weir_arena_touch_line(arena, slab);
    weir_arena_touch(arena, ptr, block_bytes);
    slab->used[word] |= UINT64_C(1) << (block & 63);
    slab->used_cnt++;
    if (slab->used_cnt == WEIR_ARENA_BODY_BYTES / block_bytes) {
        slab_leave(arena, head, page);
    }
    memset(ptr, 0, block_bytes);
    *ret_ref = (uint32_t)((size_t)(ptr - arena->base) / WEIR_ARENA_REF_BYTES);
    return 0;
}

void
weir_arena_block_give(struct weir_arena *arena, uint32_t ref)
{
    uint32_t page = ref / WEIR_ARENA_PAGE_REFS;
    struct weir_slab *slab = (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
    uint32_t block_bytes = class_bytes[slab->class_idx];
    uint32_t block =
        ((ref % WEIR_ARENA_PAGE_REFS) * WEIR_ARENA_REF_BYTES - WEIR_LINE_BYTES) / block_bytes;
    uint64_t bit = UINT64_C(1) << (block & 63);
    WEIR_CHECK(slab->kind == kind_of(slab->class_idx) && (slab->used[block / 64] & bit) != 0,
        "block %u given back twice", ref);
    uint32_t *head = slab_head(arena, slab->key_group - arena->spec.groups.first, slab->class_idx);
    weir_arena_touch_line(arena, slab);
    if (slab->used_cnt == WEIR_ARENA_BODY_BYTES / block_bytes) {
        slab_join(arena, head, page);
    }
    slab->used[block / 64] &= ~bit;
    slab->used_cnt--;
    if (slab->used_cnt == 0) {
        slab_leave(arena, head, page);
        weir_arena_page_give(arena, page);
    }
}

int
weir_arena_index_take(struct weir_arena *arena, uint32_t lg2, uint32_t *ret_word)
{
    /* A freed piece of this size or, halved down, of a larger one; else fresh words. */
    uint32_t from = lg2;
    while (from < 31 && arena->index_free[from] == 0) {
        from++;
    }
    uint32_t word;
    if (from < 31) {
        word = arena->index_free[from];
        arena->index_free[from] = arena->index[word];
        while (from > lg2) {
            from--;
            weir_arena_index_give(arena, word + (UINT32_C(1) << from), from);
        }
    } else {
        uint64_t at = weir_align_up(arena->index_fresh, weir_min_u64(UINT64_C(1) << lg2, 16));
        if (at + (UINT64_C(1) << lg2) > arena->index_word_cnt) {
            return weir_err_push(WEIR_EBUDGET,
                "state memory '%s': the directories' %llu words are used up by %u tables",
                arena->spec.name, (unsigned long long)arena->index_word_cnt, arena->table_cnt);
        }
        arena->index_fresh = at + (UINT64_C(1) << lg2);
        word = (uint32_t)at;
    }
    memset(arena->index + word, 0, sizeof(uint32_t) << lg2);
    *ret_word = word;
    return 0;
}

void
weir_arena_index_give(struct weir_arena *arena, uint32_t word, uint32_t lg2)
{
    arena->index[word] = arena->index_free[lg2];
    arena->index_free[lg2] = word;
}

void
weir_arena_rebuild(struct weir_arena *arena)
{
    uint32_t group_cnt = arena->spec.groups.cnt;
    memset(arena->slab_head, 0, (size_t)group_cnt * WEIR_ARENA_CLASS_CNT * sizeof(uint32_t));
    memset(arena->index_free, 0, sizeof arena->index_free);
    arena->index_fresh = 16;
    arena->free_cnt = 0;
    arena->page_used_cnt = 1;
    /* From the end, so that low pages are taken first again. */
    for (uint32_t page = arena->page_fresh; page-- > 1;) {
        uint32_t ahead = page > WEIR_ARENA_AHEAD_CNT ? page - WEIR_ARENA_AHEAD_CNT : 0;
        __builtin_prefetch(weir_arena_ptr(arena, ahead * WEIR_ARENA_PAGE_REFS));
        struct weir_slab *slab =
            (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
        if (slab->kind == WEIR_PAGE_FREE || slab->kind == WEIR_PAGE_INDEX) {
            slab->kind = WEIR_PAGE_FREE;
            arena->free_page[arena->free_cnt++] = page;
            continue;
        }
        arena->page_used_cnt++;
        if (slab->kind != WEIR_PAGE_BUCKET &&
            slab->used_cnt < WEIR_ARENA_BODY_BYTES / class_bytes[slab->class_idx]) {
            uint32_t group = slab->key_group - arena->spec.groups.first;
            slab_join(arena, slab_head(arena, group, slab->class_idx), page);
        }
    }
}
