/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/table.h"

#include <string.h>

#include "base/mutant.h"
#include "dataplane/table_priv.h"

/* A bucket grows or splits at 12/16 of its slots: above, ever more keys lie outside of their home
 * group; below, pages are wasted. Measured with bench_state at 10^4 to 10^7 keys. */
#define FILL_NUM 12
#define FILL_DEN 16
/* A bucket size with fewer groups than this is left out: it would fill unevenly. */
#define GROUP_CNT_MIN 3
#define SIZE_PAGE (WEIR_TABLE_SIZE_CNT - 1)
/* A key group begins with at most 2^4 pages, however many entries are expected: some 2 us. */
#define DEPTH_FIRST_MAX 4
/* How far a scan asks for lines, which lie one behind the other; a page's end is no harm. */
#define SCAN_AHEAD_BYTES 1024
/* Smaller directories are doubled at once: some 2 us. */
#define DIR_STEP_WORDS 4096

static const uint16_t size_lines[WEIR_TABLE_SIZE_CNT] = {7, 21, 64};

static struct weir_table *
record_at(const struct weir_arena *arena, uint32_t idx)
{
    return (struct weir_table *)(arena->table_mem + (size_t)idx * WEIR_ARENA_TABLE_BYTES);
}

struct weir_table *
weir_table_at(const struct weir_arena *arena, uint32_t table_idx)
{
    struct weir_table *t = record_at(arena, table_idx);
    return table_idx < arena->table_fresh && t->is_taken ? t : NULL;
}

/* Words of a directory: its key groups' stretches, rounded up as the index hands pieces out. */
static uint32_t
dir_lg2(const struct weir_table *t, uint32_t depth)
{
    return (uint32_t)__builtin_ctzll(weir_pow2_up(t->arena->spec.groups.cnt)) + depth;
}

static void
shape(struct weir_table *t)
{
    t->spec.val_bytes = (uint32_t)weir_max_u64(8, weir_align_up(t->spec.val_bytes, 8));
    static const uint32_t key_words[WEIR_KEY_KIND_CNT] = {1, 2, WEIR_KEY_TEXT_WORD_CNT};
    t->word_cnt = key_words[t->spec.key_kind] + t->spec.tail_cnt;
    t->slot_lg2 = table_slot_lg2(t->word_cnt, t->spec.val_bytes);
    t->val_off = t->word_cnt * (uint32_t)sizeof(uint64_t) << t->slot_lg2;
    t->group_bytes = t->val_off + (t->spec.val_bytes << t->slot_lg2);
    for (uint32_t s = 0; s < WEIR_TABLE_SIZE_CNT; s++) {
        uint32_t cnt = (uint32_t)(size_lines[s] - 1) * WEIR_LINE_BYTES / t->group_bytes;
        t->group_cnt[s] = (uint16_t)(cnt >= GROUP_CNT_MIN || s == SIZE_PAGE ? cnt : 0);
        t->entry_cnt_max[s] =
            (uint16_t)(((uint32_t)t->group_cnt[s] << t->slot_lg2) * FILL_NUM / FILL_DEN);
    }
}

static struct weir_table_name *
name_at(const struct weir_table *t)
{
    return (struct weir_table_name *)weir_arena_ptr(t->arena, t->name);
}

static int
name_take(struct weir_table *t)
{
    int err = weir_arena_block_take(t->arena, 0, WEIR_ARENA_CLASS_NAME, &t->name);
    if (err == 0) {
        struct weir_table_name *name = name_at(t);
        name->state_id = t->spec.state_id;
        name->key_kind = t->spec.key_kind;
        name->val_bytes = t->spec.val_bytes;
        name->tail_cnt = t->spec.tail_cnt;
        name->ns = t->ns;
        name->table_idx = t->table_idx;
    }
    return err;
}

void
weir_table_owner_set(struct weir_table *t, uint64_t owner)
{
    weir_arena_touch_line(t->arena, name_at(t));
    name_at(t)->owner = owner;
}

int
weir_table_take(struct weir_arena *arena, const struct weir_table_spec *spec, int64_t ns,
    struct weir_table **ret_table)
{
    if (spec->key_kind >= WEIR_KEY_KIND_CNT || spec->val_bytes > WEIR_TABLE_VAL_BYTES_MAX ||
        spec->tail_cnt > 2) {
        return weir_err_push(WEIR_EINVAL, "state %u: key kind %u, values of %u bytes (at most %d)",
            spec->state_id, spec->key_kind, spec->val_bytes, WEIR_TABLE_VAL_BYTES_MAX);
    }
    uint32_t idx;
    if (arena->table_free != 0) {
        idx = arena->table_free - 1;
        arena->table_free = record_at(arena, idx)->table_idx;
    } else if (arena->table_fresh < arena->spec.table_cnt_max) {
        idx = arena->table_fresh++;
    } else {
        return weir_err_push(WEIR_EBUDGET,
            "state memory '%s': all %u tables are in use (one a pane)", arena->spec.name,
            arena->spec.table_cnt_max);
    }
    struct weir_table *t = record_at(arena, idx);
    memset(t, 0, sizeof *t);
    t->arena = arena;
    t->spec = *spec;
    t->ns = ns;
    t->table_idx = idx;
    t->epoch = arena->epoch;
    shape(t);
    int err = weir_arena_index_take(arena, dir_lg2(t, 0), &t->dir);
    if (err == 0 && (err = name_take(t)) < 0) {
        weir_arena_index_give(arena, t->dir, dir_lg2(t, 0));
    }
    if (err < 0) {
        t->table_idx = arena->table_free;
        arena->table_free = idx + 1;
        return err;
    }
    t->is_taken = true;
    arena->table_cnt++;
    *ret_table = t;
    return 0;
}

static void
bucket_give(struct weir_table *t, uint32_t ref)
{
    struct weir_bucket *bucket = table_bucket_at(t, ref);
    t->page_bytes -= (uint64_t)size_lines[bucket->size_idx] * WEIR_LINE_BYTES;
    t->bucket_cnt--;
    if (bucket->size_idx == SIZE_PAGE) {
        weir_arena_page_give(t->arena, ref / WEIR_ARENA_PAGE_REFS);
    } else {
        weir_arena_block_give(t->arena, ref);
    }
}

static void
blobs_give(struct weir_table *t, const struct weir_bucket *bucket)
{
    uint32_t group_cnt = t->group_cnt[bucket->size_idx];
    for (uint32_t g = 0; g < group_cnt; g++) {
        const uint64_t *words = table_group_at(t, bucket, g);
        for (uint32_t used = table_group_used(t, bucket, g); used != 0; used &= used - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(used);
            if (table_word_is_long(&words[lane])) {
                weir_blob_give(t->arena, (uint32_t)words[table_word_idx(t, TABLE_REF_WORD, lane)]);
            }
        }
    }
}

/* The bucket at a fraction of a key group goes. Returns where the next one begins; beyond 32 bits
 * there is none. */
static uint64_t
bucket_drop(struct weir_table *t, uint32_t ref)
{
    const struct weir_bucket *bucket = table_bucket_at(t, ref);
    uint64_t next = ((uint64_t)bucket->prefix + 1) << (32 - bucket->depth);
    if (bucket->has_blobs != 0) {
        blobs_give(t, bucket);
    }
    bucket_give(t, ref);
    return next;
}

void
weir_table_drop_group(struct weir_table *t, uint32_t key_group)
{
    uint32_t group = key_group - t->arena->spec.groups.first;
    uint32_t *index = t->arena->index;
    uint32_t from = group << t->depth;
    uint32_t end = (group + 1) << t->depth;
    for (uint64_t fraction = 0; fraction >> 32 == 0;) {
        uint32_t ref = *table_dir_at(t, group, fraction) & ~TABLE_SIZE_MASK;
        if (ref == 0) {
            break; /* the key group never had a bucket */
        }
        t->entry_cnt -= table_bucket_at(t, ref)->entry_cnt;
        fraction = bucket_drop(t, ref);
    }
    memset(&index[t->dir + from], 0, (end - from) * sizeof *index);
    for (uint32_t i = from; i < end && i < t->next_done; i++) {
        index[t->next_dir + i * 2] = 0;
        index[t->next_dir + i * 2 + 1] = 0;
    }
}

int
weir_table_give(struct weir_table *t, uint32_t bucket_cnt)
{
    struct weir_arena *arena = t->arena;
    WEIR_CHECK(t->is_taken, "table %u given back twice", t->table_idx);
    if (name_at(t)->is_going == 0) {
        weir_arena_touch_line(arena, name_at(t));
        name_at(t)->is_going = 1;
    }
    while (t->give_group < arena->spec.groups.cnt) {
        uint32_t ref = t->give_fraction >> 32 == 0
                           ? *table_dir_at(t, t->give_group, t->give_fraction) & ~TABLE_SIZE_MASK
                           : 0;
        if (ref == 0) { /* the key group is done, or never had a bucket */
            t->give_group++;
            t->give_fraction = 0;
            continue;
        }
        if (bucket_cnt == 0) {
            return WEIR_AGAIN;
        }
        bucket_cnt--;
        t->give_fraction = bucket_drop(t, ref);
    }
    if (t->next_dir != 0) {
        weir_arena_index_give(arena, t->next_dir, dir_lg2(t, t->depth + 1));
    }
    weir_arena_index_give(arena, t->dir, dir_lg2(t, t->depth));
    weir_arena_block_give(arena, t->name);
    t->is_taken = false;
    uint32_t idx = t->table_idx;
    t->table_idx = arena->table_free;
    arena->table_free = idx + 1;
    arena->table_cnt--;
    return WEIR_DONE;
}

/* ---- growing ---- */

static int
bucket_take(struct weir_table *t, uint32_t group, uint32_t size_idx, uint32_t *ret_ref)
{
    uint32_t ref = 0;
    int err;
    if (size_idx == SIZE_PAGE) {
        uint32_t page;
        err = weir_arena_page_take(t->arena, &page);
        ref = page * WEIR_ARENA_PAGE_REFS;
    } else {
        err = weir_arena_block_take(t->arena, group, WEIR_ARENA_CLASS_SMALL_7 + size_idx, &ref);
    }
    if (err < 0) {
        return weir_err_push(err, "state %u, key group %u, %llu keys in the table",
            t->spec.state_id, t->arena->spec.groups.first + group,
            (unsigned long long)t->entry_cnt);
    }
    struct weir_bucket *bucket = table_bucket_at(t, ref);
    if (size_idx == SIZE_PAGE) {
        memset(bucket, 0, WEIR_PAGE_BYTES);
    }
    bucket->kind = WEIR_PAGE_BUCKET;
    bucket->key_group = (uint16_t)(t->arena->spec.groups.first + group);
    bucket->table_idx = t->table_idx;
    bucket->size_idx = (uint8_t)size_idx;
    t->page_bytes += (uint64_t)size_lines[size_idx] * WEIR_LINE_BYTES;
    t->bucket_cnt++;
    *ret_ref = ref;
    return 0;
}

/* The directory points to a bucket over its stretch; so does what is filled of the next one. */
static void
dir_set(struct weir_table *t, const struct weir_bucket *bucket, uint32_t ref)
{
    uint32_t group = bucket->key_group - t->arena->spec.groups.first;
    uint32_t from = (group << t->depth) + (bucket->prefix << (t->depth - bucket->depth));
    uint32_t cnt = UINT32_C(1) << (t->depth - bucket->depth);
    uint32_t word = ref | bucket->size_idx;
    uint32_t *index = t->arena->index;
    for (uint32_t i = from; i < from + cnt; i++) {
        index[t->dir + i] = word;
        if (i < t->next_done) {
            index[t->next_dir + i * 2] = word;
            index[t->next_dir + i * 2 + 1] = word;
        }
    }
}

void
weir_table_dir_step(struct weir_table *t, uint32_t word_cnt)
{
    uint32_t all = t->arena->spec.groups.cnt << t->depth;
    uint32_t end = weir_min_u32(all - t->next_done, word_cnt) + t->next_done;
    uint32_t *index = t->arena->index;
    for (uint32_t i = t->next_done; i < end; i++) {
        index[t->next_dir + i * 2] = index[t->dir + i];
        index[t->next_dir + i * 2 + 1] = index[t->dir + i];
    }
    t->next_done = end;
    if (end == all) {
        weir_arena_index_give(t->arena, t->dir, dir_lg2(t, t->depth));
        t->dir = t->next_dir;
        t->depth++;
        t->next_dir = 0;
        t->next_done = 0;
    }
}

/* Begin to double the directory, or finish what was begun. */
static int
dir_double(struct weir_table *t, bool finish)
{
    if (t->next_dir == 0) {
        int err = weir_arena_index_take(t->arena, dir_lg2(t, t->depth + 1), &t->next_dir);
        if (err < 0) {
            return err;
        }
    }
    weir_table_dir_step(t, finish ? UINT32_MAX : DIR_STEP_WORDS);
    return 0;
}

/* Keys are told apart by the bits of the fraction, which has as many as the key group left over. */
static uint32_t
depth_max(const struct weir_table *t)
{
    uint32_t max = t->arena->spec.max_parallelism;
    return 32U - (max > 1 ? 32U - (uint32_t)__builtin_clz(max - 1) : 0);
}

/* The depth at which a key group's share of the entries to expect leaves its pages some room. */
static uint32_t
depth_for(const struct weir_table *t, uint64_t share)
{
    uint32_t depth = 0;
    uint32_t most = weir_min_u32(DEPTH_FIRST_MAX, depth_max(t));
    while (depth < most && share >> depth > t->entry_cnt_max[SIZE_PAGE] * 7U / 8) {
        depth++;
    }
    return depth;
}

/* The first pages of a key group that many entries are expected of, as if it had been split. */
static int
pages_first(struct weir_table *t, uint32_t group, uint32_t depth)
{
    uint32_t ref[1 << DEPTH_FIRST_MAX];
    uint32_t cnt = 0;
    int err = 0;
    while (t->depth < depth && err == 0) {
        err = dir_double(t, true);
    }
    for (; cnt < UINT32_C(1) << depth && err == 0; cnt++) {
        err = bucket_take(t, group, SIZE_PAGE, &ref[cnt]);
        if (err < 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < cnt; i++) {
        if (err < 0) {
            bucket_give(t, ref[i]);
            continue;
        }
        struct weir_bucket *bucket = table_bucket_at(t, ref[i]);
        bucket->depth = (uint8_t)depth;
        bucket->prefix = i;
        dir_set(t, bucket, ref[i]);
    }
    return err;
}

static int
bucket_first(struct weir_table *t, uint32_t group)
{
    uint64_t share = t->entry_cnt_hint / t->arena->spec.groups.cnt;
    uint32_t depth = depth_for(t, share);
    if (depth > 0) {
        if (pages_first(t, group, depth) == 0) {
            return 0;
        }
        weir_err_clear(); /* less will do: it was an expectation */
    }
    uint32_t size_idx = 0;
    while (t->group_cnt[size_idx] == 0 ||
           (size_idx < SIZE_PAGE && share > t->entry_cnt_max[size_idx])) {
        size_idx++;
    }
    uint32_t ref = 0;
    int err = bucket_take(t, group, size_idx, &ref);
    if (err == 0) {
        dir_set(t, table_bucket_at(t, ref), ref);
    }
    return err;
}

/* Put an entry into the free slot of `to` that its hash leads to; its words and value lie at `from`
 * in lane `lane` of a group. The whole of `to` is new or touched: no line is marked here. word_cnt
 * and val_bytes are constants for the most usual tables. */
static inline __attribute__((always_inline)) void
entry_copy(const struct weir_table *t, const uint64_t *from, uint64_t hash, struct weir_bucket *to,
    uint32_t word_cnt, uint32_t val_bytes)
{
    uint32_t slot_lg2 = table_slot_lg2(word_cnt, val_bytes);
    uint32_t all = (1U << (1U << slot_lg2)) - 1;
    uint32_t group_cnt = t->group_cnt[to->size_idx];
    uint32_t group = table_home(hash, group_cnt);
    while (table_used_of(to, group, slot_lg2) == all) { /* there is a free slot: entries < slots */
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    uint32_t lane = (uint32_t)__builtin_ctz(~table_used_of(to, group, slot_lg2));
    uint64_t *words = table_group_at(t, to, group);
    for (uint32_t w = 0; w < word_cnt; w++) {
        words[(w << slot_lg2) + lane] = from[w];
    }
    memcpy((char *)words + t->val_off + (size_t)lane * val_bytes, from + word_cnt, val_bytes);
    uint32_t slot = (group << slot_lg2) + lane;
    to->used[slot / 64] |= UINT64_C(1) << (slot & 63);
    to->entry_cnt++;
}

uint64_t
weir_table_stored_key_hash(const struct weir_table *t, const uint64_t *word)
{
    switch (t->spec.key_kind) {
    case WEIR_KEY_8:
        return weir_hash_u64(word[0]);
    case WEIR_KEY_16:
        return weir_hash_join(weir_hash_u64(word[0]), weir_hash_u64(word[1]));
    default:
        break;
    }
    if (table_word_is_long(word)) {
        return word[1];
    }
    return weir_hash_words(word[0], word[1], word[2]);
}

uint64_t
weir_table_stored_hash(const struct weir_table *t, const uint64_t *word)
{
    uint64_t hash = weir_table_stored_key_hash(t, word);
    return t->spec.tail_cnt == 0 ? hash
                                 : weir_table_hash_tail(hash, word + t->word_cnt - t->spec.tail_cnt,
                                       t->spec.tail_cnt, t->arena->spec.max_parallelism);
}

/* The entries of a bucket are about to move. */
static void
note_moved(struct weir_table *t, uint32_t ref)
{
    t->moved_ref[t->moved_cnt % WEIR_TABLE_MOVED_CNT] = ref;
    t->moved_cnt++;
}

/* Pour all entries of a bucket into to[bit of the fraction]; a shift of 32 leaves no bit. */
static inline __attribute__((always_inline)) void
pour(const struct weir_table *t, const struct weir_bucket *from, struct weir_bucket *const *to,
    uint32_t shift, uint32_t word_cnt, uint32_t val_bytes)
{
    uint32_t slot_lg2 = table_slot_lg2(word_cnt, val_bytes);
    uint32_t group_cnt = t->group_cnt[from->size_idx];
    to[0]->has_blobs |= from->has_blobs;
    to[1]->has_blobs |= from->has_blobs;
    for (uint32_t g = 0; g < group_cnt; g++) {
        const uint64_t *words = table_group_at(t, from, g);
        const char *vals = (const char *)words + t->val_off;
        for (uint32_t used = table_used_of(from, g, slot_lg2); used != 0; used &= used - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(used);
            uint64_t entry[WEIR_TABLE_WORD_CNT_MAX + WEIR_TABLE_VAL_BYTES_MAX / sizeof(uint64_t)];
            for (uint32_t w = 0; w < word_cnt; w++) {
                entry[w] = words[(w << slot_lg2) + lane];
            }
            memcpy(entry + word_cnt, vals + (size_t)lane * val_bytes, val_bytes);
            uint64_t hash =
                word_cnt == 1 ? weir_hash_u64(entry[0]) : weir_table_stored_hash(t, entry);
            uint64_t fraction = (uint32_t)((hash >> 32) * t->arena->spec.max_parallelism);
            entry_copy(t, entry, hash, to[fraction >> shift & 1], word_cnt, val_bytes);
        }
    }
}

static void
bucket_pour(const struct weir_table *t, const struct weir_bucket *from,
    struct weir_bucket *const *to, uint32_t shift)
{
    if (t->word_cnt == 1 && t->spec.val_bytes == 8) {
        pour(t, from, to, shift, 1, 8);
    } else if (t->word_cnt == 1) {
        pour(t, from, to, shift, 1, t->spec.val_bytes);
    } else if (t->word_cnt == 2) {
        pour(t, from, to, shift, 2, t->spec.val_bytes);
    } else if (t->word_cnt == 3 && t->spec.val_bytes == 8) {
        pour(t, from, to, shift, 3, 8);
    } else {
        pour(t, from, to, shift, t->word_cnt, t->spec.val_bytes);
    }
}

/* One size up: the key group has a single bucket. */
static int
bucket_enlarge(struct weir_table *t, const struct table_place *place)
{
    const struct weir_bucket *old = table_bucket_at(t, place->ref);
    uint32_t size_idx = old->size_idx + 1U;
    uint32_t ref;
    int err = bucket_take(t, place->group, size_idx, &ref);
    if (err < 0) {
        return err;
    }
    struct weir_bucket *bucket = table_bucket_at(t, ref);
    struct weir_bucket *const to[2] = {bucket, bucket};
    bucket_pour(t, old, to, 32);
    note_moved(t, place->ref);
    bucket_give(t, place->ref);
    dir_set(t, bucket, ref);
    return 0;
}

static int
bucket_split(struct weir_table *t, const struct table_place *place)
{
    struct weir_arena *arena = t->arena;
    struct weir_bucket *bucket = table_bucket_at(t, place->ref);
    uint32_t depth = bucket->depth;
    if (depth >= depth_max(t)) {
        return weir_err_push(WEIR_EBUDGET, "state %u, key group %u: %u keys share one hash",
            t->spec.state_id, bucket->key_group, bucket->entry_cnt);
    }
    if (depth == t->depth) {
        bool is_full = bucket->entry_cnt == table_slots_of(t, bucket);
        int err = dir_double(t, is_full);
        if (err < 0 || t->depth == depth) {
            return err; /* it goes on filling meanwhile */
        }
    }
    uint32_t ref;
    int err = bucket_take(t, place->group, SIZE_PAGE, &ref);
    if (err < 0) {
        return err;
    }
    /* Both halves are filled again from a copy: entries that had left a full home group would not
     * be found where its other entries moved away. */
    struct weir_bucket *old = (struct weir_bucket *)arena->scratch;
    struct weir_bucket *upper = table_bucket_at(t, ref);
    if (!WEIR_MUTANT(SPLIT_UNTOLD)) {
        note_moved(t, place->ref);
    }
    memcpy(old, bucket, WEIR_PAGE_BYTES);
    if (!WEIR_MUTANT(SPLIT_UNTOUCHED)) {
        weir_arena_touch(arena, bucket, WEIR_PAGE_BYTES);
    }
    memset((char *)bucket + WEIR_LINE_BYTES, 0, WEIR_PAGE_BYTES - WEIR_LINE_BYTES);
    memset(bucket->used, 0, sizeof bucket->used);
    bucket->entry_cnt = 0;
    bucket->depth = upper->depth = (uint8_t)(depth + 1);
    bucket->prefix = old->prefix * 2;
    upper->prefix = old->prefix * 2 + 1;
    struct weir_bucket *const to[2] = {bucket, upper};
    bucket_pour(t, old, to, 31 - depth);
    dir_set(t, upper, ref);
    return 0;
}

int
weir_table_grow(struct weir_table *t, uint64_t hash)
{
    /* Each turn enlarges or adds one bit; keys that still share a bucket then need another turn. */
    for (;;) {
        struct table_place place = table_place_of(t, hash);
        if (place.ref == 0) {
            return bucket_first(t, place.group);
        }
        const struct weir_bucket *bucket = table_bucket_at(t, place.ref);
        if (table_has_room(t, bucket)) {
            return 0;
        }
        int err =
            bucket->size_idx < SIZE_PAGE ? bucket_enlarge(t, &place) : bucket_split(t, &place);
        if (err < 0) {
            return err;
        }
    }
}

/* ---- rebuild ---- */

static int
rebuild_bucket(struct weir_arena *arena, uint32_t ref)
{
    const struct weir_bucket *bucket = (const struct weir_bucket *)weir_arena_ptr(arena, ref);
    uint32_t group = bucket->key_group - arena->spec.groups.first;
    struct weir_table *t = bucket->table_idx < arena->spec.table_cnt_max
                               ? weir_table_at(arena, bucket->table_idx)
                               : NULL;
    if (t == NULL || group >= arena->spec.groups.cnt || bucket->size_idx >= WEIR_TABLE_SIZE_CNT ||
        bucket->depth > depth_max(t) || (uint64_t)bucket->prefix >> bucket->depth != 0) {
        return weir_err_push(WEIR_EFORMAT,
            "state memory '%s': the bucket at %u names table %u, key "
            "group %u",
            arena->spec.name, ref, bucket->table_idx, bucket->key_group);
    }
    while (t->depth < bucket->depth) {
        int err = dir_double(t, true);
        if (err < 0) {
            return err;
        }
    }
    dir_set(t, bucket, ref);
    t->entry_cnt += bucket->entry_cnt;
    t->bucket_cnt++;
    t->page_bytes += (uint64_t)size_lines[bucket->size_idx] * WEIR_LINE_BYTES;
    return 0;
}

static int
rebuild_page(struct weir_arena *arena, uint32_t page)
{
    uint32_t ref = page * WEIR_ARENA_PAGE_REFS;
    const struct weir_slab *slab = (const struct weir_slab *)weir_arena_ptr(arena, ref);
    if (slab->kind == WEIR_PAGE_BUCKET) {
        return rebuild_bucket(arena, ref);
    }
    if (slab->kind != WEIR_PAGE_SMALL) {
        return 0;
    }
    uint32_t block_bytes = weir_arena_class_bytes(slab->class_idx);
    for (uint32_t block = 0; block < WEIR_ARENA_BODY_BYTES / block_bytes; block++) {
        if ((slab->used[block / 64] >> (block & 63)) & 1) {
            int err = rebuild_bucket(
                arena, ref + (WEIR_LINE_BYTES + block * block_bytes) / WEIR_ARENA_REF_BYTES);
            if (err < 0) {
                return err;
            }
        }
    }
    return 0;
}

int
weir_table_rebuild(struct weir_arena *arena)
{
    weir_arena_rebuild(arena);
    for (uint32_t i = 0; i < arena->table_fresh; i++) {
        struct weir_table *t = weir_table_at(arena, i);
        if (t == NULL) {
            continue;
        }
        t->entry_cnt = 0;
        t->bucket_cnt = 0;
        t->page_bytes = 0;
        t->depth = 0;
        t->next_dir = 0;
        t->next_done = 0;
        t->epoch = UINT64_MAX; /* not known */
        int err = weir_arena_index_take(arena, dir_lg2(t, 0), &t->dir);
        if (err < 0) {
            return err;
        }
    }
    for (uint32_t page = 1; page < arena->page_fresh; page++) {
        uint32_t ahead = weir_min_u32(page + WEIR_ARENA_AHEAD_CNT, arena->page_fresh - 1);
        __builtin_prefetch(weir_arena_ptr(arena, ahead * WEIR_ARENA_PAGE_REFS));
        int err = rebuild_page(arena, page);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* ---- scan ---- */

/* Room for entries: keys, where key is not NULL, and values. */
struct scanned {
    uint64_t *key;
    void **val;
    uint32_t cnt;
};

/* Entries of a bucket from *slot on, as many as there is room for. word_cnt and val_bytes are
 * constants for the most usual tables: without them an entry takes twice the instructions. */
static inline __attribute__((always_inline)) uint32_t
slots_scan(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t *slot,
    const struct scanned *to, uint32_t word_cnt, uint32_t val_bytes)
{
    uint32_t slot_cnt = table_slots_of(t, bucket);
    uint32_t slot_lg2 = table_slot_lg2(word_cnt, val_bytes);
    size_t val_off = sizeof(uint64_t) * word_cnt << slot_lg2;
    size_t group_bytes = val_off + ((size_t)val_bytes << slot_lg2);
    char *groups = (char *)(uintptr_t)bucket + WEIR_LINE_BYTES;
    uint64_t *key = to->key;
    uint32_t cnt = to->cnt;
    uint32_t done = 0;
    uint32_t at = *slot;
    while (done < cnt && at < slot_cnt) {
        uint64_t left = bucket->used[at / 64] & UINT64_MAX << (at & 63);
        uint32_t first = at & ~63U;
        while (left != 0 && done < cnt) {
            at = first + (uint32_t)__builtin_ctzll(left);
            left &= left - 1;
            size_t lane = at & ((1U << slot_lg2) - 1);
            char *group = groups + (size_t)(at >> slot_lg2) * group_bytes;
            const uint64_t *words = (const uint64_t *)(void *)group + lane;
            __builtin_prefetch(group + SCAN_AHEAD_BYTES);
            for (uint32_t w = 0; w < word_cnt && key != NULL; w++) {
                key[(size_t)done * word_cnt + w] = words[(size_t)w << slot_lg2];
            }
            to->val[done++] = group + val_off + lane * val_bytes;
        }
        at = left == 0 ? first + 64 : at + 1;
    }
    *slot = at;
    return done;
}

static __attribute__((noinline)) uint32_t
bucket_scan(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t *slot,
    const struct scanned *to)
{
    bool is_8 = t->word_cnt == 1 && to->key != NULL;
    if (is_8 && t->spec.val_bytes == 8) {
        return slots_scan(t, bucket, slot, to, 1, 8);
    }
    if (is_8 && t->spec.val_bytes == 16) {
        return slots_scan(t, bucket, slot, to, 1, 16);
    }
    return slots_scan(t, bucket, slot, to, t->word_cnt, t->spec.val_bytes);
}

/* Ask for the bucket behind one that is about to be scanned: into L2, since L1 has no places for so
 * many lines on their way. */
static void
fetch_next(const struct weir_table *t, uint32_t group, const struct weir_bucket *bucket)
{
    uint64_t fraction = ((uint64_t)bucket->prefix + 1) << (32 - bucket->depth);
    if (fraction >> 32 != 0) {
        fraction = 0;
        group++;
    }
    if (group == t->arena->spec.groups.cnt) {
        return;
    }
    uint32_t word = *table_dir_at(t, group, fraction);
    const char *next = (const char *)table_bucket_at(t, word & ~TABLE_SIZE_MASK);
    size_t bytes = (size_t)t->group_cnt[word & TABLE_SIZE_MASK] * t->group_bytes;
    for (size_t at = 0; at <= bytes; at += WEIR_LINE_BYTES) {
        __builtin_prefetch(next + at, 0, 2);
    }
}

uint32_t
weir_table_scan(const struct weir_table *t, struct weir_table_cursor *cursor, uint32_t cnt,
    void *ret_key, void **ret_val)
{
    uint64_t *key = (uint64_t *)ret_key;
    uint32_t done = 0;
    while (done < cnt && cursor->group < t->arena->spec.groups.cnt) {
        uint32_t ref = cursor->fraction >> 32 == 0
                           ? *table_dir_at(t, cursor->group, cursor->fraction) & ~TABLE_SIZE_MASK
                           : 0;
        if (ref == 0) {
            cursor->group++;
            cursor->fraction = 0;
            continue;
        }
        const struct weir_bucket *bucket = table_bucket_at(t, ref);
        if (cursor->slot == 0) {
            fetch_next(t, cursor->group, bucket);
        }
        const struct scanned to = {
            key != NULL ? key + (size_t)done * t->word_cnt : NULL, ret_val + done, cnt - done};
        done += bucket_scan(t, bucket, &cursor->slot, &to);
        if (cursor->slot >= table_slots_of(t, bucket)) {
            cursor->slot = 0;
            cursor->fraction = ((uint64_t)bucket->prefix + 1) << (32 - bucket->depth);
        }
    }
    return done;
}

void
weir_table_key_text(const struct weir_table *t, const void *stored, char *dst)
{
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
    memcpy(word, stored, sizeof word);
    if (table_word_is_long(word)) {
        weir_blob_read(t->arena, (uint32_t)word[TABLE_REF_WORD], dst);
    } else {
        memcpy(dst, (const char *)stored + sizeof(uint32_t), weir_table_key_bytes(stored));
    }
}
