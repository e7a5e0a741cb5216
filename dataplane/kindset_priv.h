/* SPDX-License-Identifier: Apache-2.0 */
/* kindset_priv.h: entries, items and times to live, for the files of kindset. */
#ifndef WEIR_DATAPLANE_KINDSET_PRIV_H
#define WEIR_DATAPLANE_KINDSET_PRIV_H

#include <string.h>

#include "base/check.h"
#include "dataplane/kindset.h"

/* Value of a list's or map's entry, and of a value that does not lie inline. */
struct kind_head {
    uint32_t first;
    uint32_t last;
    uint32_t cnt;
    uint32_t zero;
};
WEIR_STATIC_ASSERT(sizeof(struct kind_head) == 16, "part of the format");

struct kind_item {
    uint32_t next;
    uint32_t prev;
    uint32_t same; /* of a map: the next one of the same hash */
    uint32_t key_bytes;
    uint32_t val_bytes;
    uint32_t zero;
    int64_t time; /* of its last writing (or reading), UTC ms */
    char bytes[];
};
WEIR_STATIC_ASSERT(sizeof(struct kind_item) == 32, "part of the format");
WEIR_STATIC_ASSERT(sizeof(struct kind_item) + WEIR_KIND_BYTES_MAX + 8 <= 4032, "one block");

/* What time says of a stored thing. */
enum kind_life {
    KIND_LIVE,
    KIND_EXPIRED, /* shown where the declaration says so */
    KIND_GONE, /* never shown */
};

static inline bool
kind_is_over(const struct weir_ttl *ttl, int64_t time, int64_t now)
{
    return time <= INT64_MAX - ttl->ms && time + ttl->ms <= now;
}

static inline enum kind_life
kind_life_of(const struct weir_keyed_state *s, int64_t time)
{
    const struct weir_ttl *ttl = &s->kind->ttl;
    if (ttl->ms == 0 || !kind_is_over(ttl, time, s->set->now_ms)) {
        return KIND_LIVE;
    }
    bool gone = !ttl->shows_expired || (!ttl->keeps && kind_is_over(ttl, time, s->set->gone_ms));
    return gone ? KIND_GONE : KIND_EXPIRED;
}

/* The current key with the namespace, where the state has them. */
static inline uint64_t *
kind_key(const struct weir_keyed_state *s)
{
    struct weir_kindset *set = s->set;
    if (s->kind->has_ns) {
        set->key[set->word_cnt] = s->ns;
    }
    return set->key;
}

static inline void *
kind_entry(const struct weir_keyed_state *s)
{
    return s->entry != NULL ? s->entry
                            : weir_table_find(s->table, s->set->hash, kind_key(s), s->set->heap);
}

static inline int
kind_entry_make(const struct weir_keyed_state *s, struct weir_table *table, void **ret, bool *made)
{
    const struct weir_table_rows row = {.hash = &s->set->hash,
        .key = (const char *)kind_key(s),
        .heap = s->set->heap,
        .key_stride = 0,
        .cnt = 1};
    if (table == s->table && s->entry != NULL) {
        *ret = s->entry;
        *made = false;
        return 0;
    }
    return weir_table_find_or_make(table, &row, ret, made);
}

static inline void
kind_entry_delete(const struct weir_keyed_state *s)
{
    if (s->entry == NULL) { /* else it goes with its block */
        (void)weir_table_delete(s->table, s->set->hash, kind_key(s), s->set->heap);
    }
}

static inline struct kind_item *
kind_item_at(const struct weir_keyed_state *s, uint32_t ref)
{
    return (struct kind_item *)weir_arena_ptr(s->set->arena, ref);
}

/* An item about to be written, its head of links and time. */
static inline struct kind_item *
kind_item_touch(const struct weir_keyed_state *s, uint32_t ref)
{
    struct kind_item *item = kind_item_at(s, ref);
    weir_arena_touch(s->set->arena, item, sizeof *item);
    return item;
}

static inline char *
kind_item_val(struct kind_item *item)
{
    return item->bytes + weir_align_up(item->key_bytes, 8);
}

/* What the owner's word of a table says: the declaration, but for its time to live. */
uint64_t weir_kind_shape(const struct weir_kind *kind);
/* Bytes that the caller gave are those of the declaration. */
WEIR_MUST_USE int weir_kind_bytes_check(
    const struct weir_keyed_state *s, struct weir_slice bytes, uint32_t wanted, const char *what);
/* A new item at the end of the chain of a head, which is touched; it is of no index. */
WEIR_MUST_USE int weir_kind_item_add(struct weir_keyed_state *s, struct kind_head *head,
    struct weir_slice key, struct weir_slice val, uint32_t *ret_ref);
/* Take an item out of the chain, and free it; of a map, out of the index too. */
void weir_kind_item_drop(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref);
/* Read: an item lives on, where reading does that; of a map, as the youngest. */
void weir_kind_item_read(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref);
/* Free all items of a head. */
void weir_kind_items_drop(struct weir_keyed_state *s, struct kind_head *head);
/* The value of an item, copied where the item is about to go. */
const void *weir_kind_copy(struct weir_keyed_state *s, const void *val, uint32_t bytes);

/* An item as a row of a savepoint, of borrowed bytes; room holds the row: 1, or WEIR_ENOMEM. Its
 * time is the caller's to set. And back: borrowed bytes, as the declaration of desc has them. */
WEIR_MUST_USE int weir_kind_row_make(struct weir_state_room *room, struct weir_slice key,
    struct weir_slice val, struct weir_state_row *ret_row);
WEIR_MUST_USE int weir_kind_row_take(const struct weir_state_desc *desc,
    const struct weir_state_row *saved, struct weir_slice *ret_key, struct weir_slice *ret_val);

/* Maps of numbers. All of a key, gathered in room by map and number; entry i of them as key (map
 * u64, number u64) and words, false behind the last. Whether such a key and value can be of it; and
 * put back, into the maps of an entry. */
WEIR_MUST_USE int weir_kind_numbers_gather(const struct weir_kind *kind, struct weir_arena *arena,
    const void *val, struct weir_state_room *room);
bool weir_kind_numbers_at(const struct weir_kind *kind, const struct weir_state_room *room,
    uint64_t i, struct weir_slice *ret_key, struct weir_slice *ret_val);
WEIR_MUST_USE int
weir_kind_numbers_check(const struct weir_kind *kind, struct weir_slice key, struct weir_slice val);
WEIR_MUST_USE int weir_kind_numbers_put(const struct weir_numbers_kind *numbers,
    struct weir_numbers *maps, struct weir_slice key, struct weir_slice val);

/* The index of a map: where its entry for a key leads; 0: nowhere. */
uint32_t weir_kind_map_find(struct weir_keyed_state *s, struct weir_slice key);
WEIR_MUST_USE int weir_kind_map_index(struct weir_keyed_state *s, uint32_t ref);
void weir_kind_map_unindex(struct weir_keyed_state *s, uint32_t ref);

#endif
