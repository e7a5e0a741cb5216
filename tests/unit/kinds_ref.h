/* SPDX-License-Identifier: Apache-2.0 */
/* kinds_ref.h: the kinds of keyed state as plain arrays that are searched from end to end, with
 * Flink's rules of time written down once more. What has expired is looked for at every access. */
#ifndef WEIR_TESTS_UNIT_KINDS_REF_H
#define WEIR_TESTS_UNIT_KINDS_REF_H

#include <stdlib.h>
#include <string.h>

#include "dataplane/kind.h"
#include "tests/unit/test.h"

/* An element, a map's entry, or a value (the only one of its cell). */
struct ref_item {
    int64_t time;
    uint32_t key_bytes;
    uint32_t val_bytes;
    char *key;
    char *val;
};

/* All that one key has in one state and namespace. */
struct ref_cell {
    uint32_t state;
    uint32_t key;
    uint64_t ns;
    uint32_t cnt;
    struct ref_item *item;
};

struct ref {
    const struct weir_kind *kinds;
    int64_t now;
    uint32_t cnt;
    struct ref_cell *cell;
};

static inline void
ref_item_free(struct ref_item *item)
{
    free(item->key);
    free(item->val);
}

static inline struct ref_cell *
ref_cell(struct ref *r, uint32_t state, uint32_t key, uint64_t ns)
{
    for (uint32_t i = 0; i < r->cnt; i++) {
        struct ref_cell *c = &r->cell[i];
        if (c->state == state && c->key == key && c->ns == ns) {
            return c;
        }
    }
    r->cell = realloc(r->cell, (r->cnt + 1) * sizeof *r->cell);
    r->cell[r->cnt] = (struct ref_cell){state, key, ns, 0, NULL};
    return &r->cell[r->cnt++];
}

static inline void
ref_drop(struct ref_cell *c, uint32_t at)
{
    ref_item_free(&c->item[at]);
    memmove(&c->item[at], &c->item[at + 1], (c->cnt - at - 1) * sizeof *c->item);
    c->cnt--;
}

static inline void
ref_clear(struct ref_cell *c)
{
    while (c->cnt > 0) {
        ref_drop(c, c->cnt - 1);
    }
}

static inline char *
ref_copy(struct weir_slice bytes)
{
    char *copy = malloc(bytes.bytes + 1);
    if (bytes.bytes > 0) {
        memcpy(copy, bytes.ptr, bytes.bytes);
    }
    return copy;
}

static inline void
ref_add(struct ref_cell *c, int64_t time, struct weir_slice key, struct weir_slice val)
{
    c->item = realloc(c->item, (c->cnt + 1) * sizeof *c->item);
    c->item[c->cnt++] = (struct ref_item){time, key.bytes, val.bytes, ref_copy(key), ref_copy(val)};
}

static inline bool
ref_expired(const struct weir_kind *kind, const struct ref_item *item, int64_t now)
{
    return kind->ttl.ms > 0 && item->time + kind->ttl.ms <= now;
}

/* An access to an item by reading: whether it is shown; *ret_stays: it is kept. */
static inline bool
ref_read(const struct ref *r, const struct ref_cell *c, uint32_t at, bool *ret_stays)
{
    const struct weir_kind *kind = &r->kinds[c->state];
    *ret_stays = !ref_expired(kind, &c->item[at], r->now);
    if (*ret_stays && kind->ttl.on_read) {
        c->item[at].time = r->now;
    }
    return *ret_stays || kind->ttl.shows_expired;
}

static inline uint32_t
ref_find(const struct ref_cell *c, struct weir_slice key)
{
    for (uint32_t i = 0; i < c->cnt; i++) {
        if (c->item[i].key_bytes == key.bytes && memcmp(c->item[i].key, key.ptr, key.bytes) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* The item becomes the last of its map. */
static inline void
ref_youngest(struct ref_cell *c, uint32_t at)
{
    struct ref_item item = c->item[at];
    memmove(&c->item[at], &c->item[at + 1], (c->cnt - at - 1) * sizeof *c->item);
    c->item[c->cnt - 1] = item;
}

/* What an item shows on being met, then what becomes of it. Returns whether it was shown. */
static inline bool
ref_take(struct ref *r, struct ref_cell *c, uint32_t at, struct weir_slice got)
{
    bool stays;
    bool shown = ref_read(r, c, at, &stays);
    assert_true(shown == (got.ptr != NULL));
    if (shown) {
        assert_int_equal(got.bytes, c->item[at].val_bytes);
        assert_memory_equal(got.ptr, c->item[at].val, got.bytes);
    }
    if (!stays) {
        ref_drop(c, at);
    } else if (r->kinds[c->state].type == WEIR_KIND_TYPE_MAP && r->kinds[c->state].ttl.on_read) {
        ref_youngest(c, at);
    }
    return shown;
}

/* All that had expired by `then` and is not to be seen after a restore. */
static inline void
ref_gone(struct ref *r, int64_t then)
{
    for (uint32_t i = 0; i < r->cnt; i++) {
        struct ref_cell *c = &r->cell[i];
        const struct weir_kind *kind = &r->kinds[c->state];
        for (uint32_t n = c->cnt; n-- > 0;) {
            if (!kind->ttl.keeps && ref_expired(kind, &c->item[n], then)) {
                ref_drop(c, n);
            }
        }
    }
}

static inline struct ref
ref_clone(const struct ref *r)
{
    struct ref to = {r->kinds, r->now, 0, NULL};
    for (uint32_t i = 0; i < r->cnt; i++) {
        const struct ref_cell *from = &r->cell[i];
        struct ref_cell *c = ref_cell(&to, from->state, from->key, from->ns);
        for (uint32_t n = 0; n < from->cnt; n++) {
            const struct ref_item *item = &from->item[n];
            ref_add(c, item->time, weir_bytes(item->key, item->key_bytes),
                weir_bytes(item->val, item->val_bytes));
        }
    }
    return to;
}

static inline void
ref_free(struct ref *r)
{
    for (uint32_t i = 0; i < r->cnt; i++) {
        ref_clear(&r->cell[i]);
        free(r->cell[i].item);
    }
    free(r->cell);
    memset(r, 0, sizeof *r);
}

#endif
