/* SPDX-License-Identifier: Apache-2.0 */
/* keyset.h: 64-bit keys of one window, numbered in the order they came, found through a small
 * index.
 *
 * The numbers lead to dense arrays of the caller: keys that come in one time lie together there,
 * and a window's end scans what it has and no empty slots. Emptying costs the index alone, 64 KiB.
 */
#ifndef WEIR_BENCH_NEXMARK_KEYSET_H
#define WEIR_BENCH_NEXMARK_KEYSET_H

#include <string.h>

#include "base/base.h"

#define KEYSET_SLOTS_LG2 15
#define KEYSET_SLOTS (1u << KEYSET_SLOTS_LG2)
/* 100,000 events a second make 12,000 auctions in 2 s, and 20,000 people in 10 s. */
#define KEYSET_KEYS_MAX (KEYSET_SLOTS / 4 * 3)
#define KEYSET_NONE UINT32_MAX

struct keyset {
    uint32_t key_cnt;
    uint16_t slots[KEYSET_SLOTS]; /* 1 + number; 0 is free */
    int64_t keys[KEYSET_KEYS_MAX];
};

static inline uint32_t
keyset_slot(int64_t key)
{
    return (uint32_t)(((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - KEYSET_SLOTS_LG2));
}

static inline void
keyset_clear(struct keyset *set)
{
    set->key_cnt = 0;
    memset(set->slots, 0, sizeof set->slots);
}

/* keyset_find - the number of a key, or KEYSET_NONE. */
static inline uint32_t
keyset_find(const struct keyset *set, int64_t key)
{
    for (uint32_t slot = keyset_slot(key);; slot = (slot + 1) & (KEYSET_SLOTS - 1)) {
        uint32_t number = set->slots[slot];
        if (number == 0 || set->keys[number - 1] == key) {
            return number - 1;
        }
    }
}

/* keyset_add - the number of a key; that of a new one is the count before; KEYSET_NONE where it is
 * full. */
static inline uint32_t
keyset_add(struct keyset *set, int64_t key)
{
    uint32_t slot = keyset_slot(key);
    uint32_t number;
    while ((number = set->slots[slot]) != 0) {
        if (WEIR_LIKELY(set->keys[number - 1] == key)) {
            return number - 1;
        }
        slot = (slot + 1) & (KEYSET_SLOTS - 1);
    }
    if (set->key_cnt == KEYSET_KEYS_MAX) {
        return KEYSET_NONE;
    }
    set->keys[set->key_cnt] = key;
    set->slots[slot] = (uint16_t)++set->key_cnt;
    return set->key_cnt - 1;
}

#endif
