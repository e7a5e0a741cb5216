/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include <string.h>

#include "base/err.h"

/* "WEIRRNG" and the version of this layout: both processes of a memfd must mean the same one. */
#define RING_MAGIC UINT64_C(0x01474e5252494557)

size_t
weir_ring_footprint(const struct weir_ring_shape *shape)
{
    if (shape->slot_cnt < WEIR_RING_SLOT_CNT_MIN || shape->slot_cnt > WEIR_RING_SLOT_CNT_MAX ||
        !weir_is_pow2(shape->slot_cnt)) {
        return 0;
    }
    if (shape->slot_bytes == 0 || shape->slot_bytes > WEIR_RING_SLOT_BYTES_MAX ||
        shape->slot_bytes % 8 != 0) {
        return 0;
    }
    size_t slots_bytes = (size_t)shape->slot_cnt * shape->slot_bytes;
    return sizeof(struct weir_ring) + weir_align_up(slots_bytes, WEIR_LINE_PAIR_BYTES);
}

int
weir_ring_new(void *mem, const struct weir_ring_shape *shape)
{
    size_t bytes = weir_ring_footprint(shape);
    if (bytes == 0) {
        return weir_err_push(WEIR_EINVAL, "ring of %u slots of %u bytes: not possible",
            shape->slot_cnt, shape->slot_bytes);
    }
    if ((uintptr_t)mem % weir_ring_align() != 0) {
        return weir_err_push(WEIR_EINVAL, "ring: memory at %p is not aligned", mem);
    }
    struct weir_ring *ring = mem;
    /* The slots are touched too: the first lap must not fault pages in on the hot path. */
    memset(mem, 0, bytes);
    ring->shape = *shape;
    /* relaxed: nobody has joined; the magic below is handed over with the memory itself. */
    weir_store_rlx(&ring->tail_seq, 0);
    weir_store_rlx(&ring->urgent_seq, WEIR_RING_SEQ_NONE);
    weir_store_rlx(&ring->head_seq, 0);
    ring->magic = RING_MAGIC;
    return 0;
}

static int
check_join(const void *mem, uint32_t slot_bytes)
{
    const struct weir_ring *ring = mem;
    if ((uintptr_t)mem % weir_ring_align() != 0 || ring->magic != RING_MAGIC ||
        weir_ring_footprint(&ring->shape) == 0) {
        return weir_err_push(WEIR_EINVAL, "no ring at %p", mem);
    }
    if (ring->shape.slot_bytes != slot_bytes) {
        return weir_err_push(WEIR_EINVAL, "ring has slots of %u bytes, not of %u",
            ring->shape.slot_bytes, slot_bytes);
    }
    return 0;
}

int
weir_ring_prod_join(struct weir_ring_prod *ret_prod, void *mem, uint32_t slot_bytes)
{
    int err = check_join(mem, slot_bytes);
    if (err != 0) {
        return err;
    }
    struct weir_ring *ring = mem;
    *ret_prod = (struct weir_ring_prod){
        .slots = (uint8_t *)(ring + 1),
        /* relaxed: only this side writes tail_seq. */
        .tail_seq = weir_load_rlx(&ring->tail_seq),
        /* [A2] pairs with [R2] in weir_ring_release. */
        .head_seq = weir_load_acq(&ring->head_seq),
        .slot_cnt = ring->shape.slot_cnt,
        .event_cnt = weir_ring_event_cnt(ring->shape.slot_cnt),
        .slot_bytes = slot_bytes,
        .ring = ring,
    };
    return 0;
}

int
weir_ring_cons_join(struct weir_ring_cons *ret_cons, void *mem, uint32_t slot_bytes)
{
    int err = check_join(mem, slot_bytes);
    if (err != 0) {
        return err;
    }
    struct weir_ring *ring = mem;
    /* relaxed: only this side writes head_seq. */
    uint64_t head_seq = weir_load_rlx(&ring->head_seq);
    *ret_cons = (struct weir_ring_cons){
        .slots = (uint8_t *)(ring + 1),
        .look_seq = head_seq,
        .head_seq = head_seq,
        .tail_seq = head_seq,
        .slot_cnt = ring->shape.slot_cnt,
        .slot_bytes = slot_bytes,
        .ring = ring,
    };
    return 0;
}

void
weir_ring_delete(void *mem)
{
    struct weir_ring *ring = mem;
    WEIR_CHECK(ring->magic == RING_MAGIC, "delete of what is no ring");
    ring->magic = 0;
}
