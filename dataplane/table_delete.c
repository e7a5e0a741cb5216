/* SPDX-License-Identifier: Apache-2.0 */
/* Removing entries: what a full group had turned away moves up, so that lookups end at the first
 * group with a free slot. */
#include <string.h>

#include "base/mutant.h"
#include "dataplane/table.h"
#include "dataplane/table_priv.h"

/* The slot of a key or SLOT_NONE; *ret_free is then the slot where it would go, SLOT_NONE in a
 * bucket without room. */
static uint32_t
probe(const struct weir_table *t, const struct weir_bucket *bucket, const struct table_key *key,
    uint32_t *ret_free)
{
    uint32_t group_cnt = t->group_cnt[bucket->size_idx];
    uint32_t group = table_home(key->hash, group_cnt);
    *ret_free = SLOT_NONE;
    for (uint32_t i = 0; i < group_cnt; i++) {
        uint32_t used = table_group_used(t, bucket, group);
        uint32_t lane = table_lane_of(t, table_group_at(t, bucket, group), used, key);
        if (lane < WEIR_TABLE_SLOT_CNT) {
            return (group << t->slot_lg2) + lane;
        }
        if (used != table_lanes(t)) {
            *ret_free = (group << t->slot_lg2) + (uint32_t)__builtin_ctz(~used);
            return SLOT_NONE;
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return SLOT_NONE;
}

/* How far group `to` lies behind `from`, going round. */
static uint32_t
distance(uint32_t from, uint32_t to, uint32_t group_cnt)
{
    return to >= from ? to - from : to + group_cnt - from;
}

static void
slot_move(struct weir_table *t, struct weir_bucket *bucket, uint32_t from, uint32_t to)
{
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    table_slot_words(t, bucket, from, word);
    table_slot_set(t, bucket, to, word, table_val_at(t, bucket, from));
}

static void
slot_clear(struct weir_table *t, struct weir_bucket *bucket, uint32_t slot)
{
    static const uint64_t zero[WEIR_TABLE_VAL_BYTES_MAX / sizeof(uint64_t)];
    table_slot_set(t, bucket, slot, zero, zero);
    bucket->used[slot / 64] &= ~(UINT64_C(1) << (slot & 63));
}

/* An entry that passed through `hole`'s group on its way from its home, in a later group: it must
 * move into the hole, or it would not be found. SLOT_NONE: there is none. */
static uint32_t
displaced(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t hole)
{
    uint32_t group_cnt = t->group_cnt[bucket->size_idx];
    uint32_t hole_group = hole >> t->slot_lg2;
    uint32_t group = hole_group;
    for (uint32_t i = 1; i < group_cnt; i++) {
        group = group + 1 == group_cnt ? 0 : group + 1;
        uint32_t used = table_group_used(t, bucket, group);
        for (uint32_t left = used; left != 0; left &= left - 1) {
            uint32_t slot = (group << t->slot_lg2) + (uint32_t)__builtin_ctz(left);
            uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
            table_slot_words(t, bucket, slot, word);
            uint32_t home = table_home(weir_table_stored_hash(t, word), group_cnt);
            uint32_t from_hole =
                distance(hole_group, group, group_cnt) + WEIR_MUTANT(DELETE_LEAVES_DISPLACED);
            if (distance(home, group, group_cnt) >= from_hole) {
                return slot;
            }
        }
        if (used != table_lanes(t)) {
            break;
        }
    }
    return SLOT_NONE;
}

static bool
delete_key(struct weir_table *t, const struct table_key *key)
{
    struct table_place place = table_place_of(t, key->hash);
    if (place.ref == 0) {
        return false;
    }
    struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t free_slot;
    uint32_t hole = probe(t, bucket, key, &free_slot);
    if (hole == SLOT_NONE) {
        return false;
    }
    if (t->spec.key_kind == WEIR_KEY_STR) {
        uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
        table_slot_words(t, bucket, hole, word);
        weir_blob_give(t->arena, table_word_is_long(word) ? (uint32_t)word[TABLE_REF_WORD] : 0);
    }
    t->moved_cnt += WEIR_TABLE_MOVED_CNT + 1; /* others may fill the hole: too much to note */
    weir_arena_touch_line(t->arena, bucket);
    for (;;) {
        uint32_t group = hole >> t->slot_lg2;
        bool was_full = table_group_used(t, bucket, group) == table_lanes(t);
        if (!WEIR_MUTANT(DELETE_UNTOUCHED)) {
            weir_arena_touch(t->arena, table_group_at(t, bucket, group), t->group_bytes);
        }
        uint32_t from = was_full ? displaced(t, bucket, hole) : SLOT_NONE;
        if (from == SLOT_NONE) {
            break;
        }
        slot_move(t, bucket, from, hole);
        hole = from;
    }
    slot_clear(t, bucket, hole);
    bucket->entry_cnt--;
    t->entry_cnt--;
    return true;
}

bool
weir_table_delete(struct weir_table *t, uint64_t hash, const void *key, const char *heap)
{
    struct table_key k = table_key_of(t, hash, key, heap);
    return delete_key(t, &k);
}

bool
weir_table_delete_stored(struct weir_table *t, const uint64_t *stored)
{
    struct table_key k;
    k.hash = weir_table_stored_hash(t, stored);
    k.text.ptr = NULL; /* the words are compared as they are, the reference among them */
    memcpy(k.word, stored, t->word_cnt * sizeof k.word[0]);
    return delete_key(t, &k);
}
