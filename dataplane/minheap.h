/* SPDX-License-Identifier: Apache-2.0 */
/* minheap.h: what comes next in time: a binary heap of indices, least key first.
 *
 * Owner: the caller's array, with room for as many entries as it pushes. Thread: one core.
 */
#ifndef WEIR_DATAPLANE_MINHEAP_H
#define WEIR_DATAPLANE_MINHEAP_H

#include "base/base.h"

struct weir_minheap_entry {
    int64_t key;
    int64_t tie; /* orders entries of equal keys */
    uint32_t idx;
};

struct weir_minheap {
    struct weir_minheap_entry *entry;
    uint32_t cnt;
};

static inline bool
weir_minheap_before(const struct weir_minheap_entry *a, const struct weir_minheap_entry *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static inline void
weir_minheap_push(struct weir_minheap *heap, const struct weir_minheap_entry *entry)
{
    uint32_t at = heap->cnt++;
    while (at > 0) {
        uint32_t up = (at - 1) / 2;
        if (!weir_minheap_before(entry, &heap->entry[up])) {
            break;
        }
        heap->entry[at] = heap->entry[up];
        at = up;
    }
    heap->entry[at] = *entry;
}

/* weir_minheap_pop - take the least entry out; the heap is not empty. */
static inline struct weir_minheap_entry
weir_minheap_pop(struct weir_minheap *heap)
{
    struct weir_minheap_entry top = heap->entry[0];
    struct weir_minheap_entry last = heap->entry[--heap->cnt];
    uint32_t at = 0;
    for (;;) {
        uint32_t down = 2 * at + 1;
        if (down >= heap->cnt) {
            break;
        }
        if (down + 1 < heap->cnt &&
            weir_minheap_before(&heap->entry[down + 1], &heap->entry[down])) {
            down++;
        }
        if (!weir_minheap_before(&heap->entry[down], &last)) {
            break;
        }
        heap->entry[at] = heap->entry[down];
        at = down;
    }
    heap->entry[at] = last;
    return top;
}

#endif
