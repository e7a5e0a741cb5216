/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups of one key of any kind, and what batches leave to them. */
#include <string.h>

#include "dataplane/table.h"
#include "dataplane/table_priv.h"

/* Words of a directory that a single row copies while it is being doubled: some 30 ns. */
#define DIR_STEP_ROW_WORDS 64

/* Fill a free slot with the key; its value is zero. */
static int
entry_put(
    struct weir_table *t, struct weir_bucket *bucket, uint32_t slot, const struct table_key *key)
{
    uint64_t ref_word = 0;
    if (key->text.ptr != NULL) {
        uint32_t ref;
        uint32_t group = bucket->key_group - t->arena->spec.groups.first;
        if (key->text.bytes > WEIR_TABLE_TEXT_BYTES_MAX) {
            return weir_err_push(WEIR_EDATA, "a key of %u bytes: at most %llu can be grouped by",
                key->text.bytes, (unsigned long long)WEIR_TABLE_TEXT_BYTES_MAX);
        }
        int err = weir_blob_put(t->arena, group, key->text, &ref);
        if (err < 0) {
            return err;
        }
        ref_word = ref;
    }
    uint64_t *words = table_group_at(t, bucket, slot >> t->slot_lg2);
    uint32_t lane = table_lane(t, slot);
    weir_arena_touch_line(t->arena, bucket);
    bucket->used[slot / 64] |= UINT64_C(1) << (slot & 63);
    bucket->has_blobs |= key->text.ptr != NULL;
    bucket->entry_cnt++;
    for (uint32_t w = 0; w < t->word_cnt; w++) {
        uint64_t *word = &words[table_word_idx(t, w, lane)];
        weir_arena_touch_line(t->arena, word);
        *word = key->word[w] | (w == TABLE_REF_WORD ? ref_word : 0);
    }
    t->entry_cnt++;
    return 0;
}

/* A key that is told by its words alone, which are not those of an empty slot: it can be looked for
 * without the bucket's header, a line that is cold where the key's own is. */
static inline bool
is_plain(const struct table_key *key)
{
    return key->word[0] != 0 && key->text.ptr == NULL;
}

/* Where a lookup ends: the entry's value, or the slot where it would go (SLOT_NONE: the bucket is
 * full or there is none). */
struct end {
    void *val;
    struct weir_bucket *bucket;
    uint32_t slot;
};

static inline struct end
look(const struct weir_table *t, const struct table_key *key)
{
    struct end end = {NULL, NULL, SLOT_NONE};
    struct table_place place = table_place_of(t, key->hash);
    if (place.ref == 0) {
        return end;
    }
    bool plain = is_plain(key);
    end.bucket = table_bucket_at(t, place.ref);
    uint32_t group_cnt = t->group_cnt[place.size_idx];
    uint32_t group = table_home(key->hash, group_cnt);
    for (uint32_t i = 0; i < group_cnt; i++) {
        uint64_t *words = table_group_at(t, end.bucket, group);
        uint32_t used = plain ? table_lanes(t) : table_group_used(t, end.bucket, group);
        uint32_t lane = table_lane_of(t, words, used, key);
        if (lane < WEIR_TABLE_SLOT_CNT) {
            end.val = (char *)words + t->val_off + (size_t)lane * t->spec.val_bytes;
            return end;
        }
        if (!plain || (table_match(words, 0) & used) != 0) {
            used = table_group_used(t, end.bucket, group);
            if (used != table_lanes(t)) {
                end.slot = (group << t->slot_lg2) + (uint32_t)__builtin_ctz(~used);
                return end;
            }
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return end;
}

void *
weir_table_look(const struct weir_table *t, const struct table_key *key)
{
    return look(t, key).val;
}

int
weir_table_settle(struct weir_table *t, const struct table_key *key, void **ret_val, bool *ret_made)
{
    for (;;) {
        struct end end = look(t, key);
        if (end.val != NULL) {
            weir_table_touch(t, end.val);
            *ret_val = end.val;
            *ret_made = false;
            return 0;
        }
        if (end.slot != SLOT_NONE && table_has_room(t, end.bucket)) {
            int err = entry_put(t, end.bucket, end.slot, key);
            if (err == 0) {
                *ret_val = table_val_at(t, end.bucket, end.slot);
                weir_table_touch(t, *ret_val);
                *ret_made = true;
            }
            return err;
        }
        int err = weir_table_grow(t, key->hash);
        if (err < 0) {
            return err;
        }
    }
}

void *
weir_table_find(const struct weir_table *t, uint64_t hash, const void *key, const char *heap)
{
    struct table_key k = table_key_of(t, hash, key, heap);
    return look(t, &k).val;
}

int
weir_table_find_or_make(
    struct weir_table *t, const struct weir_table_rows *row, void **ret_val, bool *ret_made)
{
    if (WEIR_UNLIKELY(t->next_dir != 0)) {
        weir_table_dir_step(t, DIR_STEP_ROW_WORDS);
    }
    struct table_key k = table_key_of(t, row->hash[0], row->key, row->heap);
    return weir_table_settle(t, &k, ret_val, ret_made);
}

bool
weir_table_find_hashed(
    const struct weir_table *t, uint64_t hash, uint64_t last, uint64_t *ret_stored)
{
    struct table_place place = table_place_of(t, hash);
    const struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t group_cnt = place.ref == 0 ? 0 : t->group_cnt[bucket->size_idx];
    uint32_t group = table_home(hash, group_cnt);
    for (uint32_t i = 0; i < group_cnt; i++) {
        const uint64_t *words = table_group_at(t, bucket, group);
        uint32_t used = table_group_used(t, bucket, group);
        uint32_t lanes = table_match(words + table_word_idx(t, t->word_cnt - 1, 0), last) & used;
        for (; lanes != 0; lanes &= lanes - 1) {
            uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
            uint32_t slot = (group << t->slot_lg2) + (uint32_t)__builtin_ctz(lanes);
            table_slot_words(t, bucket, slot, word);
            if (weir_table_stored_hash(t, word) == hash) {
                memcpy(ret_stored, word, t->word_cnt * sizeof word[0]);
                return true;
            }
        }
        if (used != table_lanes(t)) {
            break;
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return false;
}
