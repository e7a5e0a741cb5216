/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.h: the memory that tests of channels need: a region that has its id, buffers and a
 * pool. */
#ifndef WEIR_TESTS_UNIT_BUFFERS_H
#define WEIR_TESTS_UNIT_BUFFERS_H

#include "base/ring.h"
#include "dataplane/batch.h"
#include "io/buf.h"
#include "tests/unit/test.h"

struct buffers {
    struct weir_region *region;
    struct weir_region_table table;
    uint16_t region_id;
    struct weir_buf_arena arena;
    struct weir_buf_pool pool;
};

/* buffers_open_pool - buf_cnt buffers of buf_bytes, a pool of them, and room for rings. */
static inline void
buffers_open_pool(struct buffers *b, uint32_t buf_bytes, uint32_t buf_cnt,
    const struct weir_buf_pool_config *pool)
{
    const struct weir_region_options options = {.name = "test",
        .bytes = 8 * WEIR_MIB,
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_SMALL};
    const struct weir_region_owner owner = {1, 1, "test"};
    static struct weir_region_report report;
    assert_int_equal(weir_region_open(&options, &report, &b->region), 0);
    assert_int_equal(weir_region_table_init(&b->table), 0);
    assert_int_equal(weir_region_table_add(&b->table, weir_region_base(b->region),
                         weir_region_bytes(b->region), &b->region_id),
        0);
    const struct weir_buf_arena_config arena = {.region = b->region,
        .owner = owner,
        .region_id = b->region_id,
        .buf_bytes = buf_bytes,
        .buf_cnt = buf_cnt};
    assert_int_equal(weir_buf_arena_init(&b->arena, &arena), 0);
    assert_int_equal(weir_buf_pool_init(&b->pool, &b->arena, pool), 0);
}

/* buffers_open - all of them for channel_cnt channels, which share them. */
static inline void
buffers_open(struct buffers *b, uint32_t buf_bytes, uint32_t buf_cnt, uint32_t channel_cnt)
{
    const struct weir_buf_pool_config pool = {
        .required_cnt = channel_cnt, .max_cnt = buf_cnt, .channel_cnt = channel_cnt};
    buffers_open_pool(b, buf_bytes, buf_cnt, &pool);
}

/* buffers_ring - an empty ring of descriptors. */
static inline void *
buffers_ring(struct buffers *b, uint32_t slot_cnt)
{
    const struct weir_ring_shape shape = {slot_cnt, sizeof(struct weir_batch)};
    const struct weir_region_owner owner = {1, 1, "rings"};
    void *ring;
    assert_int_equal(
        weir_region_carve(b->region, weir_ring_footprint(&shape), weir_ring_align(), owner, &ring),
        0);
    assert_int_equal(weir_ring_new(ring, &shape), 0);
    return ring;
}

/* buffers_close - every buffer must be back. */
static inline void
buffers_close(struct buffers *b)
{
    struct weir_buf_usage usage;
    weir_buf_pool_close(&b->pool);
    weir_buf_pool_fini(&b->pool);
    weir_buf_arena_usage(&b->arena, &usage);
    assert_int_equal(usage.free_cnt, usage.total_cnt);
    weir_buf_arena_close(&b->arena);
    weir_buf_arena_fini(&b->arena);
    weir_region_table_fini(&b->table);
    weir_region_close(b->region);
}

#endif
