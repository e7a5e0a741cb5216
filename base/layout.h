/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h: sums of named needs, with offsets, that notice when they overflow.
 *
 * A layout grows by pieces; each call returns the piece's offset. An overflow sticks: the footprint
 * is then 0, which no real layout has, so that one test at the end is enough.
 *
 *     struct weir_layout lay;
 *     weir_layout_init(&lay);
 *     uint64_t head_off = weir_layout_add(&lay, sizeof(struct head), 64);
 *     uint64_t slot_off = weir_layout_add_array(&lay, slot_cnt, sizeof(struct slot), 128);
 *     uint64_t bytes = weir_layout_footprint(&lay);
 *     if (bytes == 0) { return weir_err_push(WEIR_EINVAL, "%u slots", slot_cnt); }
 */
#ifndef WEIR_BASE_LAYOUT_H
#define WEIR_BASE_LAYOUT_H

#include "base/base.h"
#include "base/check.h"

/* One part of an address space is the most that a layout may span: offsets stay far from
 * wrapping. */
#define WEIR_LAYOUT_BYTES_MAX (UINT64_C(1) << 47)

struct weir_layout {
    uint64_t end_off;
    uint64_t align;
    bool is_over;
};

static inline void
weir_layout_init(struct weir_layout *lay)
{
    lay->end_off = 0;
    lay->align = 1;
    lay->is_over = false;
}

/* weir_layout_add_array - room for cnt items of item_bytes each, the first aligned to align.
 *
 * Shape:   align is a power of two; cnt and item_bytes may be 0.
 * Returns: the offset of the first item; 0 once the layout has overflowed.
 */
static inline uint64_t
weir_layout_add_array(struct weir_layout *lay, uint64_t cnt, uint64_t item_bytes, uint64_t align)
{
    WEIR_CHECK(weir_is_pow2(align), "alignment %llu", (unsigned long long)align);
    uint64_t bytes;
    uint64_t end_off;
    /* end_off is under 2^47 here and align at most 2^63: this sum cannot wrap. */
    uint64_t off = weir_align_up(lay->end_off, align);
    bool is_over = __builtin_mul_overflow(cnt, item_bytes, &bytes);
    is_over |= __builtin_add_overflow(off, bytes, &end_off);
    if (is_over || end_off > WEIR_LAYOUT_BYTES_MAX) {
        lay->is_over = true;
    }
    if (lay->is_over) {
        return 0;
    }
    lay->end_off = end_off;
    lay->align = weir_max_u64(lay->align, align);
    return off;
}

/* weir_layout_add - room for one piece of bytes, aligned to align; returns its offset. */
static inline uint64_t
weir_layout_add(struct weir_layout *lay, uint64_t bytes, uint64_t align)
{
    return weir_layout_add_array(lay, 1, bytes, align);
}

/* weir_layout_footprint - bytes of the whole, rounded up to its largest alignment.
 *
 * Returns: 0 when a sum overflowed or nothing was added; such a layout cannot be carved.
 */
static inline uint64_t
weir_layout_footprint(const struct weir_layout *lay)
{
    return lay->is_over ? 0 : weir_align_up(lay->end_off, lay->align);
}

#endif
