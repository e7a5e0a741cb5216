/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets whose pages came from a snapshot. */
#include "dataplane/table.h"
#include "dataplane/table_priv.h"

/* Buckets a call of weir_table_give(); nobody waits meanwhile. */
#define GIVE_BUCKET_CNT 1024

static int
entry_adopt(const struct weir_table *t, struct weir_bucket *bucket, uint32_t slot,
    const struct weir_table_refs *refs)
{
    uint64_t *words = table_group_at(t, bucket, slot >> t->slot_lg2);
    uint32_t lane = table_lane(t, slot);
    if (t->spec.key_kind == WEIR_KEY_STR && table_word_is_long(&words[lane])) {
        uint64_t *ref = &words[table_word_idx(t, TABLE_REF_WORD, lane)];
        *ref = refs->text_fn(refs->arg, (uint32_t)*ref);
        if (*ref == 0) {
            return weir_err_push(WEIR_EFORMAT, "state %u: a key refers to a text that is not there",
                t->spec.state_id);
        }
    }
    return refs->value_fn(refs->arg, t, table_val_at(t, bucket, slot));
}

int
weir_table_adopt(
    struct weir_table *t, struct weir_bucket *bucket, const struct weir_table_refs *refs)
{
    if (bucket->size_idx >= WEIR_TABLE_SIZE_CNT || t->group_cnt[bucket->size_idx] == 0) {
        return weir_err_push(
            WEIR_EFORMAT, "state %u: a bucket of size %u", t->spec.state_id, bucket->size_idx);
    }
    if (bucket->table_idx != t->table_idx) {
        weir_arena_touch_line(t->arena, bucket);
        bucket->table_idx = t->table_idx;
    }
    uint32_t slot_cnt = refs != NULL ? table_slots_of(t, bucket) : 0;
    int err = 0;
    for (uint32_t slot = 0; slot < slot_cnt && err == 0; slot++) {
        err = table_slot_used(bucket, slot) ? entry_adopt(t, bucket, slot, refs) : 0;
    }
    return err;
}

void
weir_table_give_rest(struct weir_table *t)
{
    uint32_t group_cnt = t->arena->spec.groups.cnt;
    while (t->give_group < group_cnt && *table_dir_at(t, t->give_group, t->give_fraction) == 0) {
        t->give_fraction += (uint64_t)1 << (32 - t->depth);
        if (t->give_fraction >> 32 != 0) {
            t->give_fraction = 0;
            t->give_group++;
        }
    }
    while (weir_table_give(t, GIVE_BUCKET_CNT) == WEIR_AGAIN) {
    }
}
