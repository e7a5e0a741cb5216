/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in the order of their hashes. Buckets of a directory stand in the order of the leading
 * bits of the hashes, so it is enough to put the entries of each in order. */
#include <stdlib.h>

#include "dataplane/table.h"
#include "dataplane/table_priv.h"

struct ordered {
    const struct weir_table *table;
    uint64_t hash;
    uint32_t slot;
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
};

/* Pieces of two blobs side by side; the texts are of one length. */
static int
blob_order(const struct weir_arena *arena, uint32_t a_ref, uint32_t b_ref)
{
    const struct weir_blob *a = weir_arena_ptr(arena, a_ref);
    const struct weir_blob *b = weir_arena_ptr(arena, b_ref);
    for (;;) { /* both are cut into pieces in the same way */
        int order = memcmp(a->data, b->data, weir_min_u32(a->bytes, b->bytes));
        if (order != 0 || a->next == 0 || b->next == 0) {
            return order;
        }
        a = weir_arena_ptr(arena, a->next);
        b = weir_arena_ptr(arena, b->next);
    }
}

static int
word_order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of two entries with one hash. */
static int
key_order(const struct ordered *a, const struct ordered *b)
{
    const struct weir_table *t = a->table;
    bool is_long = t->spec.key_kind == WEIR_KEY_STR && table_word_is_long(a->word);
    int order = 0;
    for (uint32_t w = 0; w < t->word_cnt && order == 0; w++) {
        bool is_ref = is_long && w == TABLE_REF_WORD;
        order = is_ref ? blob_order(t->arena, (uint32_t)a->word[w], (uint32_t)b->word[w])
                       : word_order(a->word[w], b->word[w]);
    }
    return order;
}

static int
entry_order(const void *left, const void *right)
{
    const struct ordered *a = left;
    const struct ordered *b = right;
    int order = word_order(a->hash, b->hash);
    return order != 0 ? order : key_order(a, b);
}

WEIR_STATIC_ASSERT(
    WEIR_TABLE_BUCKET_ENTRY_CNT_MAX >= 64 * WEIR_ARRAY_CNT(((struct weir_bucket *)NULL)->used),
    "a bit each");

uint32_t
weir_table_scan_ordered(
    const struct weir_table *t, struct weir_table_cursor *cursor, uint64_t *ret_key, void **ret_val)
{
    struct ordered entry[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
    uint32_t cnt = 0;
    while (cnt == 0 && cursor->fraction >> 32 == 0) {
        uint32_t ref = *table_dir_at(t, cursor->group, cursor->fraction) & ~TABLE_SIZE_MASK;
        if (ref == 0) {
            return 0;
        }
        const struct weir_bucket *bucket = table_bucket_at(t, ref);
        for (uint32_t slot = 0; slot < table_slots_of(t, bucket); slot++) {
            if (table_slot_used(bucket, slot)) {
                struct ordered *e = &entry[cnt++];
                e->table = t;
                e->slot = slot;
                table_slot_words(t, bucket, slot, e->word);
                e->hash = weir_table_stored_hash(t, e->word);
            }
        }
        cursor->fraction = ((uint64_t)bucket->prefix + 1) << (32 - bucket->depth);
        qsort(entry, cnt, sizeof entry[0], entry_order);
        for (uint32_t i = 0; i < cnt; i++) {
            memcpy(ret_key, entry[i].word, t->word_cnt * sizeof *ret_key);
            ret_key += t->word_cnt;
            ret_val[i] = table_val_at(t, bucket, entry[i].slot);
        }
    }
    return cnt;
}
