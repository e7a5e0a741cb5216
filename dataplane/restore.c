/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/restore.h"

#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/mutant.h"
#include "dataplane/blob.h"

/* Of a record with more lines the hardware sees by itself where they go. */
#define FETCH_LINE_CNT_MAX 24

int
weir_restore_init(struct weir_restore *restore, struct weir_arena *arena,
    const struct weir_restore_spec *spec, void *mem)
{
    WEIR_CHECK(spec->is_in_place || !spec->is_continued, "pages that move are all written");
    if (arena->page_fresh != 1 || arena->table_fresh != 0 ||
        (spec->is_in_place && spec->page_cnt_max > arena->page_cnt)) {
        return weir_err_push(WEIR_EINVAL,
            "state memory '%s' has %u pages, %u of them used: %u are to be restored",
            arena->spec.name, arena->page_cnt, arena->page_fresh - 1, spec->page_cnt_max);
    }
    memset(restore, 0, sizeof *restore);
    restore->arena = arena;
    restore->spec = *spec;
    restore->mem = mem;
    restore->page = (uint32_t *)mem;
    if (spec->is_known_fn != NULL) {
        restore->reached = mem;
        restore->page = (uint32_t *)(restore->reached + spec->page_cnt_max);
    }
    restore->table = restore->page + spec->page_cnt_max;
    return 0;
}

int
weir_restore_source(struct weir_restore *restore)
{
    if (restore->source_cnt > 0 && restore->spec.is_in_place) {
        return weir_err_push(WEIR_EILLEGAL, "two sources cannot both be restored in place");
    }
    restore->source_cnt++;
    restore->source_table_cnt = restore->arena->table_fresh;
    /* As far as the source before this has come, for memory may be far larger than state. */
    memset(restore->page, 0, restore->old_end * sizeof *restore->page);
    memset(restore->table, 0, restore->spec.table_cnt_max * sizeof *restore->table);
    if (restore->reached != NULL) {
        memset(restore->reached, 0, restore->old_end * sizeof *restore->reached);
    }
    restore->old_end = 1;
    return 0;
}

static struct weir_slab *
page_at(const struct weir_restore *restore, uint32_t page)
{
    return (struct weir_slab *)weir_arena_ptr(restore->arena, page * WEIR_ARENA_PAGE_REFS);
}

/* An old page where it lies now, NULL: nowhere. For walks over all of them. */
static struct weir_slab *
page_of(const struct weir_restore *restore, uint32_t old)
{
    __builtin_prefetch(page_at(
        restore, restore->page[weir_min_u32(old + WEIR_ARENA_AHEAD_CNT, restore->old_end - 1)]));
    uint32_t page = restore->page[old];
    return page != 0 ? page_at(restore, page) : NULL;
}

/* ---- records ---- */

static int
damaged(const struct weir_restore *restore, const char *what)
{
    return weir_err_push(WEIR_EFORMAT, "state memory '%s': record %llu of a snapshot %s",
        restore->arena->spec.name, (unsigned long long)restore->record_cnt, what);
}

static int
record_check(const struct weir_restore *restore, const char *buf, uint64_t bytes)
{
    struct weir_capture_record head;
    if (bytes < sizeof head) {
        return damaged(restore, "is cut off");
    }
    memcpy(&head, buf, sizeof head);
    uint64_t want =
        sizeof head + (uint64_t)(uint32_t)__builtin_popcountll(head.lines) * WEIR_LINE_BYTES;
    if (head.bytes != want || head.bytes > bytes) {
        return damaged(restore, "has a wrong length");
    }
    uint32_t crc = head.crc;
    head.crc = 0;
    uint32_t got = weir_crc32c(
        weir_crc32c(0, &head, sizeof head), buf + sizeof head, head.bytes - sizeof head);
    if (got != crc && !WEIR_MUTANT(READ_UNCHECKED)) {
        return damaged(restore, "does not have its checksum");
    }
    if (head.page == 0 || head.page >= restore->spec.page_cnt_max ||
        head.kind >= WEIR_PAGE_KIND_CNT) {
        return damaged(restore, "names a page that there cannot be");
    }
    return 0;
}

static bool
is_wanted(const struct weir_restore *restore, const struct weir_capture_record *head)
{
    if (head->kind == WEIR_PAGE_FREE || head->kind == WEIR_PAGE_INDEX) {
        return false;
    }
    const struct weir_keygroup_range *groups = &restore->arena->spec.groups;
    bool is_left = WEIR_MUTANT(KEY_GROUP_OFF_BY_ONE) && !restore->spec.is_in_place &&
                   head->key_group == groups->first + groups->cnt - 1;
    return head->kind == WEIR_PAGE_NAMES ||
           (weir_arena_owns(restore->arena, head->key_group) && !is_left);
}

/* A page for an old one. Nothing is taken in the usual way before all is restored. */
static int
page_place(struct weir_restore *restore, uint32_t old, uint32_t *ret_page)
{
    struct weir_arena *arena = restore->arena;
    if (restore->spec.is_in_place) {
        arena->page_fresh = (uint32_t)weir_max_u64(arena->page_fresh, old + 1);
        *ret_page = old;
        return 0;
    }
    return weir_arena_page_take(arena, ret_page);
}

static void
page_drop(struct weir_restore *restore, uint32_t old)
{
    struct weir_arena *arena = restore->arena;
    uint32_t page = restore->page[old];
    restore->page[old] = 0;
    if (page == 0) {
        return;
    }
    if (restore->spec.is_in_place) {
        page_at(restore, page)->kind = WEIR_PAGE_FREE;
    } else {
        weir_arena_page_give(arena, page);
    }
}

/* Ask for the lines that the record behind this one will write: those of an increment lie anywhere,
 * and so does the header that is looked at. Nothing of it has been checked. */
static void
fetch_lines(const struct weir_restore *restore, const char *buf, uint64_t bytes)
{
    struct weir_capture_record next;
    if (bytes < sizeof next) {
        return;
    }
    memcpy(&next, buf, sizeof next);
    uint32_t page = next.page < restore->spec.page_cnt_max ? restore->page[next.page] : 0;
    uint32_t line_cnt = (uint32_t)__builtin_popcountll(next.lines);
    if (page == 0 || line_cnt > FETCH_LINE_CNT_MAX) {
        return;
    }
    const char *to = (const char *)page_at(restore, page);
    for (uint64_t lines = next.lines | 1; lines != 0; lines &= lines - 1) {
        __builtin_prefetch(to + (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES, 1);
    }
}

int64_t
weir_restore_apply(struct weir_restore *restore, const void *buf, uint64_t bytes)
{
    int err = record_check(restore, (const char *)buf, bytes);
    if (err < 0) {
        return err;
    }
    struct weir_capture_record head;
    memcpy(&head, buf, sizeof head);
    fetch_lines(restore, (const char *)buf + head.bytes, bytes - head.bytes);
    restore->record_cnt++;
    restore->old_end = (uint32_t)weir_max_u64(restore->old_end, head.page + 1);
    if (!is_wanted(restore, &head)) {
        page_drop(restore, head.page);
        return head.bytes;
    }
    uint32_t *page = &restore->page[head.page];
    if (*page == 0) {
        if (head.lines != ~UINT64_C(0)) {
            return damaged(restore, "changes a page that was never there");
        }
        err = page_place(restore, head.page, page);
        if (err < 0) {
            return err;
        }
    }
    char *to = (char *)page_at(restore, *page);
    const char *from = (const char *)buf + sizeof head;
    for (uint64_t lines = head.lines; lines != 0; lines &= lines - 1, from += WEIR_LINE_BYTES) {
        memcpy(to + (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES, from, WEIR_LINE_BYTES);
    }
    const struct weir_slab *slab = (const struct weir_slab *)(const void *)to;
    if (slab->kind != head.kind || slab->key_group != head.key_group) {
        return damaged(restore, "contradicts its page");
    }
    return head.bytes;
}

/* ---- references ---- */

/* The block at reference `now` of old page `old` is in use. */
static void
reach(const struct weir_restore *restore, uint32_t old, uint32_t now)
{
    const struct weir_slab *slab = page_at(restore, restore->page[old]);
    uint32_t off = now % WEIR_ARENA_PAGE_REFS * WEIR_ARENA_REF_BYTES;
    if (slab->kind == WEIR_PAGE_BLOB && slab->class_idx < WEIR_ARENA_BLOB_CLASS_CNT &&
        off >= WEIR_LINE_BYTES) {
        uint32_t block = (off - WEIR_LINE_BYTES) / weir_arena_class_bytes(slab->class_idx);
        restore->reached[old][block / 64] |= UINT64_C(1) << (block & 63);
    }
}

/* Blocks of a page that nothing has led to are given up. */
static void
blobs_sweep(struct weir_restore *restore, uint32_t old)
{
    struct weir_slab *slab = page_at(restore, restore->page[old]);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(slab->used); i++) {
        slab->used[i] &= restore->reached[old][i];
    }
    slab->used_cnt =
        (uint32_t)(__builtin_popcountll(slab->used[0]) + __builtin_popcountll(slab->used[1]));
    if (slab->used_cnt == 0) {
        page_drop(restore, old);
    }
}

uint32_t
weir_restore_ref(struct weir_restore *restore, uint32_t ref)
{
    uint32_t old = ref / WEIR_ARENA_PAGE_REFS;
    if (old >= restore->spec.page_cnt_max || restore->page[old] == 0 || restore->ref_room == 0) {
        return 0;
    }
    restore->ref_room--;
    uint32_t now = restore->page[old] * WEIR_ARENA_PAGE_REFS + ref % WEIR_ARENA_PAGE_REFS;
    if (restore->reached != NULL) {
        reach(restore, old, now);
    }
    return now;
}

uint32_t
weir_restore_blob(struct weir_restore *restore, uint32_t ref)
{
    uint32_t first = weir_restore_ref(restore, ref);
    if (restore->spec.is_in_place) {
        return first;
    }
    for (uint32_t at = first; at != 0;) {
        struct weir_blob *blob = (struct weir_blob *)weir_arena_ptr(restore->arena, at);
        blob->next = weir_restore_ref(restore, blob->next);
        at = blob->next;
    }
    return first;
}

int
weir_restore_check_refs(const struct weir_restore *restore)
{
    return restore->ref_room == 0 ? damaged(restore, "is followed by references in a circle") : 0;
}

struct weir_table *
weir_restore_table(const struct weir_restore *restore, uint32_t old_idx)
{
    uint32_t now = old_idx < restore->spec.table_cnt_max ? restore->table[old_idx] : 0;
    struct weir_table *t = now == 0 ? NULL : weir_table_at(restore->arena, now - 1);
    return t == NULL || weir_table_name(t)->is_going != 0 ? NULL : t;
}

/* ---- tables ---- */

/* The table of an earlier source that this one is a part of. WEIR_ESTATE where there are two. */
static int
name_match(
    struct weir_restore *restore, const struct weir_table_name *name, struct weir_table **ret_table)
{
    *ret_table = NULL;
    for (uint32_t i = 0; i < restore->source_table_cnt; i++) {
        struct weir_table *t = weir_table_at(restore->arena, i);
        if (t == NULL || weir_table_name(t)->is_going != 0 || t->spec.state_id != name->state_id ||
            t->spec.key_kind != name->key_kind || t->spec.val_bytes != name->val_bytes ||
            t->spec.tail_cnt != name->tail_cnt || t->ns != name->ns) {
            continue;
        }
        if (*ret_table != NULL) {
            return weir_err_push(WEIR_ESTATE,
                "state %u has several tables of namespace %lld: which goes with which cannot be "
                "told",
                name->state_id, (long long)name->ns);
        }
        *ret_table = t;
    }
    return 0;
}

static int
name_apply(struct weir_restore *restore, const struct weir_table_name *name)
{
    if (name->table_idx >= restore->spec.table_cnt_max || restore->table[name->table_idx] != 0) {
        return damaged(restore, "names a table twice, or one that there cannot be");
    }
    const struct weir_restore_spec *how = &restore->spec;
    bool is_going = name->is_going != 0 ||
                    (how->is_known_fn != NULL && !how->is_known_fn(how->arg, name->state_id));
    struct weir_table *t = NULL;
    int err = is_going ? 0 : name_match(restore, name, &t);
    if (err == 0 && t == NULL) {
        struct weir_table_spec spec = {
            name->state_id, name->key_kind, name->val_bytes, name->tail_cnt};
        err = weir_table_take(restore->arena, &spec, name->ns, &t);
        if (err == 0) {
            struct weir_table_name *now =
                (struct weir_table_name *)weir_arena_ptr(restore->arena, t->name);
            now->owner = name->owner;
            now->is_going = is_going;
        }
    }
    if (err == 0) {
        restore->table[name->table_idx] = t->table_idx + 1;
    }
    return err;
}

/* The tables that a page of names tells of; the page is given up. */
static int
names_apply(struct weir_restore *restore, uint32_t old)
{
    char copy[WEIR_PAGE_BYTES];
    uint32_t page = restore->page[old];
    memcpy(copy, page_at(restore, page), sizeof copy);
    page_drop(restore, old);
    if (restore->spec.is_in_place) { /* all pages are where they belong: this one can be had */
        weir_arena_touch_line(restore->arena, page_at(restore, page));
        restore->arena->free_page[restore->arena->free_cnt++] = page;
        restore->arena->page_used_cnt++;
    }
    struct weir_slab slab;
    memcpy(&slab, copy, sizeof slab);
    int err = 0;
    for (uint32_t block = 0; block < WEIR_ARENA_BODY_BYTES / WEIR_LINE_BYTES && err == 0; block++) {
        struct weir_table_name name;
        memcpy(&name, copy + (size_t)(block + 1) * WEIR_LINE_BYTES, sizeof name);
        if ((slab.used[block / 64] >> (block & 63) & 1) != 0) {
            err = name_apply(restore, &name);
        }
    }
    return err;
}

/* ---- buckets ---- */

static uint32_t
text_move(void *arg, uint32_t ref)
{
    return weir_restore_blob((struct weir_restore *)arg, ref);
}

static int
value_move(void *arg, const struct weir_table *t, void *val)
{
    struct weir_restore *restore = (struct weir_restore *)arg;
    bool has_refs = restore->spec.value_fn != NULL && weir_table_name(t)->is_going == 0;
    int err = has_refs ? restore->spec.value_fn(restore->spec.arg, restore, t, val) : 0;
    return err != 0 ? err : weir_restore_check_refs(restore); /* the text of the key, too */
}

/* A bucket of the present source belongs to the table's new place now. */
static int
bucket_apply(struct weir_restore *restore, struct weir_bucket *bucket)
{
    uint32_t old = bucket->table_idx;
    uint32_t now = old < restore->spec.table_cnt_max ? restore->table[old] : 0;
    struct weir_table *t = now == 0 ? NULL : weir_table_at(restore->arena, now - 1);
    if (t == NULL) {
        return damaged(restore, "has a bucket of no table");
    }
    const struct weir_table_refs refs = {restore, text_move, value_move};
    return weir_table_adopt(t, bucket, restore->spec.is_in_place ? NULL : &refs);
}

/* The small buckets of a slab. */
static int
slab_apply(struct weir_restore *restore, struct weir_slab *slab)
{
    if (slab->class_idx != WEIR_ARENA_CLASS_SMALL_7 &&
        slab->class_idx != WEIR_ARENA_CLASS_SMALL_21) {
        return damaged(restore, "has a slab of buckets that are none");
    }
    uint32_t block_bytes = weir_arena_class_bytes(slab->class_idx);
    for (uint32_t block = 0; block < WEIR_ARENA_BODY_BYTES / block_bytes; block++) {
        char *at = (char *)slab + WEIR_LINE_BYTES + (size_t)block * block_bytes;
        bool is_used = (slab->used[0] >> block & 1) != 0;
        int err = is_used ? bucket_apply(restore, (struct weir_bucket *)(void *)at) : 0;
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int
weir_restore_source_end(struct weir_restore *restore)
{
    int err = 0;
    /* One for each byte: four times what could be there, each of which is written once. */
    restore->ref_room = (uint64_t)restore->old_end * WEIR_PAGE_BYTES;
    for (uint32_t old = 1; old < restore->old_end && err == 0; old++) {
        const struct weir_slab *slab = page_of(restore, old);
        if (slab != NULL && slab->kind == WEIR_PAGE_NAMES) {
            err = names_apply(restore, old);
        }
    }
    for (uint32_t old = 1; old < restore->old_end && err == 0; old++) {
        struct weir_slab *slab = page_of(restore, old);
        if (slab != NULL && slab->kind == WEIR_PAGE_BUCKET) {
            err = bucket_apply(restore, (struct weir_bucket *)(void *)slab);
        } else if (slab != NULL && slab->kind == WEIR_PAGE_SMALL) {
            err = slab_apply(restore, slab);
        }
    }
    bool sweeps = restore->reached != NULL && !restore->spec.is_in_place;
    for (uint32_t old = 1; old < restore->old_end && err == 0 && sweeps; old++) {
        const struct weir_slab *slab = page_of(restore, old);
        if (slab != NULL && slab->kind == WEIR_PAGE_BLOB) {
            blobs_sweep(restore, old);
        }
    }
    return err;
}

int
weir_restore_finish(struct weir_restore *restore)
{
    struct weir_arena *arena = restore->arena;
    int err = weir_table_rebuild(arena);
    for (uint32_t i = 0; i < arena->table_fresh && err == 0; i++) {
        struct weir_table *t = weir_table_at(arena, i);
        if (t != NULL && weir_table_name(t)->is_going != 0) {
            weir_table_give_rest(t);
        }
    }
    if (err == 0 && !restore->spec.is_continued) {
        weir_arena_masks_fill(arena);
    }
    return err;
}
