/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h: buffers of one size, cut from one region at boot, and the pools that lend them out.
 *
 *   arena   all buffers of a region; free ones in a bitmap that any core may take from (rare)
 *   pool    one output's or input's share of it: required..max buffers, one owner core
 *   lane    SPSC ring of 8-byte handles from a core that frees a buffer to the core that owns it
 *
 *      arena --take (cold)--> pool --take--> channel ... other core --lane--> pool --give--> arena
 *
 * Some of a pool's buffers may be its channels' own (exclusive_cnt each); the others float: who
 * comes first gets them. A channel that has more than its own gives floating ones back first, and
 * a take that floats leaves what other channels have not taken of their own, so that one whose
 * consumer is slow leaves the others theirs.
 *
 * A pool may hold `size` ordinary buffers, size in [required, max] as the arena shares them out,
 * and up to overdraft_cnt_max more, so that one slice of work (a flat map's row, a firing window)
 * can be finished. It is available, and more work begun, only while no overdraft is out and one
 * ordinary buffer can be had. Nothing here blocks: no buffer is *busy*.
 *
 * A buffer is named by its index in the arena. Its owner core counts its references with plain
 * integers; a buffer that others free comes back through a lane.
 *
 * Limits:  2^20 buffers an arena, 4,096 pools an arena, 65,535 channels a pool.
 * Thread:  init, open, close, resize: one control thread, owner cores at rest (before the start, or
 *          stopped), except weir_buf_pool_resize. The rest: the pool's owner core.
 * Source:  Flink's NetworkBufferPool and LocalBufferPool; there a lock, waiting and notifications.
 */
#ifndef WEIR_IO_BUF_H
#define WEIR_IO_BUF_H

#include <string.h>

#include "base/atomic.h"
#include "base/base.h"
#include "base/check.h"
#include "base/region.h"
#include "base/ring.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define WEIR_BUF_POISON(ptr, bytes) __asan_poison_memory_region(ptr, bytes)
#define WEIR_BUF_UNPOISON(ptr, bytes) __asan_unpoison_memory_region(ptr, bytes)
#else
#define WEIR_BUF_POISON(ptr, bytes) ((void)(ptr), (void)(bytes))
#define WEIR_BUF_UNPOISON(ptr, bytes) ((void)(ptr), (void)(bytes))
#endif

#define WEIR_BUF_BYTES_MIN 4096
#define WEIR_BUF_BYTES_DEFAULT 32768
#define WEIR_BUF_CNT_MAX (UINT32_C(1) << 20)
#define WEIR_BUF_POOL_CNT_MAX 4096
#define WEIR_BUF_NONE UINT32_MAX
#define WEIR_BUF_CHANNEL_NONE UINT16_MAX

/* What the owner core knows of a buffer that is out. */
struct weir_buf_note {
    uint32_t ref_cnt;
    uint16_t pool_idx;
    uint16_t channel;
};

struct weir_buf_pool;

struct weir_buf_arena {
    /* writer: none after init */
    uint8_t *base;
    struct weir_buf_note *notes;
    uint32_t buf_cnt;
    uint32_t buf_lg2;
    uint64_t region_pos; /* of base in its region */
    uint16_t region_id;
    /* writer: the control thread */
    bool closed;
    bool warned;
    uint32_t pool_cnt;
    uint32_t required_cnt; /* promised to pools */
    uint32_t asked_cnt; /* what pools would take if they could */
    struct weir_buf_pool *pools[WEIR_BUF_POOL_CNT_MAX];
    uint64_t pad_control[16];
    /* writer: every core that takes or gives, rarely */
    WEIR_ATOMIC(uint32_t) free_cnt;
    uint32_t word_cnt;
    WEIR_ATOMIC(uint64_t) * free_bits; /* bit set: buffer free */
};

struct weir_buf_arena_config {
    struct weir_region *region; /* buffers are carved from it; borrowed until fini */
    struct weir_region_owner owner;
    uint16_t region_id; /* the region's id in the table of regions */
    uint32_t buf_bytes; /* a power of two, at least WEIR_BUF_BYTES_MIN; 0 means the default */
    uint32_t buf_cnt;
};

struct weir_buf_pool_config {
    uint32_t required_cnt;
    uint32_t max_cnt;
    uint32_t channel_cnt;
    uint32_t exclusive_cnt; /* of the required ones, each channel's own: no other gets them */
    uint32_t overdraft_cnt_max;
};

struct weir_buf_pool {
    struct weir_buf_arena *arena;
    struct weir_buf_pool_config config;
    uint16_t idx;
    bool closed;
    /* writer: the control thread */
    WEIR_ATOMIC(uint32_t) size; /* ordinary buffers it may hold now */
    /* writer: the owner core */
    uint32_t held_cnt; /* taken from the arena: out, or in free_idxs */
    uint32_t free_cnt;
    uint32_t own_cnt; /* out, of what is their channels' own */
    uint32_t floating_cnt; /* out, over that */
    uint32_t *free_idxs;
    uint32_t *channel_cnts; /* buffers out per channel */
};

/* weir_buf_arena_init - carve the buffers and mark them free; allocates its bookkeeping.
 *
 * Errors:  WEIR_EINVAL (sizes), WEIR_EBUDGET when the region is too small, WEIR_ENOMEM.
 */
WEIR_API int weir_buf_arena_init(
    struct weir_buf_arena *arena, const struct weir_buf_arena_config *config) WEIR_MUST_USE;
/* weir_buf_arena_close - no pool can be made from now on; buffers may still come back. */
WEIR_API void weir_buf_arena_close(struct weir_buf_arena *arena);
/* weir_buf_arena_fini - free the bookkeeping; every pool was finished. */
WEIR_API void weir_buf_arena_fini(struct weir_buf_arena *arena);

struct weir_buf_usage {
    uint32_t total_cnt;
    uint32_t free_cnt;
    uint32_t required_cnt;
    uint32_t asked_cnt; /* sum of the pools' maxima */
    uint32_t asked_percent; /* of the total */
    uint64_t total_bytes;
    uint64_t free_bytes;
};
WEIR_API void
weir_buf_arena_usage(const struct weir_buf_arena *arena, struct weir_buf_usage *ret_usage);
/* weir_buf_arena_warning - a sentence when pools ask for more than there is, written into buf.
 *
 * Returns: true once per time that the total is passed; again only after it was within it.
 */
WEIR_API bool weir_buf_arena_warning(struct weir_buf_arena *arena, char *buf, size_t buf_bytes);

/* weir_buf_arena_take - cnt neighbouring buffers, the first one's index, or WEIR_BUF_NONE. Any
 * thread.
 *
 * Cost:    a scan of one bit per buffer at worst: cold.
 */
WEIR_API uint32_t weir_buf_arena_take(struct weir_buf_arena *arena, uint32_t cnt);
WEIR_API void weir_buf_arena_give(struct weir_buf_arena *arena, uint32_t idx, uint32_t cnt);

/* weir_buf_pool_init - make a pool and share the arena's spare buffers out anew.
 *
 * Errors:  WEIR_EILLEGAL on a closed arena; WEIR_EINVAL (required over max); WEIR_EBUDGET when the
 *          arena cannot promise required_cnt: the message names required, available, total, the
 *          buffer size and the setting to raise.
 */
WEIR_API int weir_buf_pool_init(struct weir_buf_pool *pool, struct weir_buf_arena *arena,
    const struct weir_buf_pool_config *config) WEIR_MUST_USE;
/* weir_buf_pool_reserve - hold cnt buffers now, so that the first takes cannot be busy.
 *
 * Errors:  WEIR_EINVAL over required_cnt; WEIR_EBUDGET when they are not there; WEIR_ECANCELED
 *          after close.
 */
WEIR_API int weir_buf_pool_reserve(struct weir_buf_pool *pool, uint32_t cnt) WEIR_MUST_USE;
/* weir_buf_pool_resize - another size in [required, max]. Thread: control, while the owner runs.
 *
 * What is over the new size goes back to the arena as it is given.
 */
WEIR_API void weir_buf_pool_resize(struct weir_buf_pool *pool, uint32_t size);
/* weir_buf_pool_close - free buffers go to the arena now, those that are out when they are
 * given. */
WEIR_API void weir_buf_pool_close(struct weir_buf_pool *pool);
/* weir_buf_pool_fini - free the bookkeeping of a closed pool whose buffers are all back. */
WEIR_API void weir_buf_pool_fini(struct weir_buf_pool *pool);

/* weir_buf_pool_is_available - whether who fills this pool's buffers should begin something. */
WEIR_API bool weir_buf_pool_is_available(struct weir_buf_pool *pool);
/* weir_buf_take_cold, weir_buf_give_cold - the ends of take and give that reach the arena. */
WEIR_API uint32_t weir_buf_take_cold(struct weir_buf_pool *pool);
WEIR_API void weir_buf_give_cold(struct weir_buf_pool *pool, uint32_t idx);

/* weir_buf_pool_overdraft_cnt - buffers over the pool's size. */
static inline uint32_t
weir_buf_pool_overdraft_cnt(const struct weir_buf_pool *pool)
{
    /* relaxed: the size is a number on its own; an old one is as good as the next poll's. */
    uint32_t size = weir_load_rlx(&((struct weir_buf_pool *)(uintptr_t)pool)->size);
    return pool->held_cnt > size ? pool->held_cnt - size : 0;
}

/* ---- hot ---- */

static inline uint32_t
weir_buf_bytes(const struct weir_buf_arena *arena)
{
    return UINT32_C(1) << arena->buf_lg2;
}

static inline void *
weir_buf_ptr(const struct weir_buf_arena *arena, uint32_t idx)
{
    WEIR_DCHECK(idx < arena->buf_cnt, "buffer %u of %u", idx, arena->buf_cnt);
    return arena->base + ((uint64_t)idx << arena->buf_lg2);
}

/* weir_buf_locate - region id and byte offset of a buffer, as descriptors carry them. */
static inline void
weir_buf_locate(
    const struct weir_buf_arena *arena, uint32_t idx, uint16_t *ret_region, uint32_t *ret_off)
{
    weir_region_table_locate(arena->region_id,
        arena->region_pos + ((uint64_t)idx << arena->buf_lg2), ret_region, ret_off);
}

static inline void
weir_buf_note_out(struct weir_buf_pool *pool, uint32_t idx, uint16_t channel)
{
    struct weir_buf_note *note = &pool->arena->notes[idx];
    note->ref_cnt = 1;
    note->pool_idx = pool->idx;
    note->channel = channel;
    if (channel != WEIR_BUF_CHANNEL_NONE) {
        WEIR_DCHECK(channel < pool->config.channel_cnt, "channel %u", channel);
        bool floats = ++pool->channel_cnts[channel] > pool->config.exclusive_cnt;
        pool->floating_cnt += floats;
        pool->own_cnt += !floats;
    }
}

/* weir_buf_pool_owed_cnt - what channels have not taken of their own: nobody else's. */
static inline uint32_t
weir_buf_pool_owed_cnt(const struct weir_buf_pool *pool)
{
    return pool->config.channel_cnt * pool->config.exclusive_cnt - pool->own_cnt;
}

/* weir_buf_pool_may_float - whether one more may float. */
static inline bool
weir_buf_pool_may_float(const struct weir_buf_pool *pool)
{
    const struct weir_buf_pool_config *config = &pool->config;
    /* relaxed: see weir_buf_pool_overdraft_cnt. */
    uint32_t size = weir_load_rlx(&((struct weir_buf_pool *)(uintptr_t)pool)->size);
    return pool->floating_cnt + config->channel_cnt * config->exclusive_cnt <
           size + config->overdraft_cnt_max;
}

/* weir_buf_take - a buffer for a channel of the pool, with one reference; WEIR_BUF_NONE: busy.
 *
 * Shape:   channel in [0, channel_cnt), or WEIR_BUF_CHANNEL_NONE.
 * Thread:  owner core. Hot: plain integers; the arena is reached only while the pool grows.
 * Owner:   the caller, until as many weir_buf_give as there are references.
 */
static inline uint32_t
weir_buf_take(struct weir_buf_pool *pool, uint16_t channel)
{
    uint32_t kept_cnt = 0;
    if (channel == WEIR_BUF_CHANNEL_NONE) {
        kept_cnt = weir_buf_pool_owed_cnt(pool);
    } else if (pool->channel_cnts[channel] >= pool->config.exclusive_cnt) {
        if (!weir_buf_pool_may_float(pool)) {
            return WEIR_BUF_NONE;
        }
        kept_cnt = weir_buf_pool_owed_cnt(pool);
    }
    uint32_t idx =
        pool->free_cnt > kept_cnt ? pool->free_idxs[--pool->free_cnt] : weir_buf_take_cold(pool);
    if (idx == WEIR_BUF_NONE) {
        return idx;
    }
    WEIR_BUF_UNPOISON(weir_buf_ptr(pool->arena, idx), weir_buf_bytes(pool->arena));
    weir_buf_note_out(pool, idx, channel);
    return idx;
}

/* weir_buf_share - cnt more references: as many more gives are due. Owner core. */
static inline void
weir_buf_share(struct weir_buf_arena *arena, uint32_t idx, uint32_t cnt)
{
    WEIR_DCHECK(arena->notes[idx].ref_cnt > 0, "buffer %u is free", idx);
    arena->notes[idx].ref_cnt += cnt;
}

/* weir_buf_give - one reference back; the last one frees the buffer.
 *
 * Thread:  owner core of the pool it came from; other cores give through a lane.
 */
static inline void
weir_buf_give(struct weir_buf_arena *arena, uint32_t idx)
{
    struct weir_buf_note *note = &arena->notes[idx];
    WEIR_DCHECK(note->ref_cnt > 0, "buffer %u was given back before", idx);
    if (--note->ref_cnt > 0) {
        return;
    }
    struct weir_buf_pool *pool = arena->pools[note->pool_idx];
    if (note->channel != WEIR_BUF_CHANNEL_NONE) {
        bool floats = pool->channel_cnts[note->channel]-- > pool->config.exclusive_cnt;
        pool->floating_cnt -= floats;
        pool->own_cnt -= !floats;
    }
    /* relaxed: see weir_buf_pool_overdraft_cnt. */
    bool is_over = pool->held_cnt > weir_load_rlx(&pool->size);
    if (pool->closed || (is_over && pool->free_cnt >= weir_buf_pool_owed_cnt(pool))) {
        weir_buf_give_cold(pool, idx);
        return;
    }
    WEIR_BUF_POISON(weir_buf_ptr(arena, idx), weir_buf_bytes(arena));
    pool->free_idxs[pool->free_cnt++] = idx;
}

/* ---- lanes ---- */

/* weir_buf_lane_shape - a lane that is never full: room for all buffers of the owner's pools. */
static inline struct weir_ring_shape
weir_buf_lane_shape(uint32_t buf_cnt)
{
    struct weir_ring_shape shape;
    shape.slot_cnt = (uint32_t)weir_pow2_up(weir_max_u64(buf_cnt, WEIR_RING_SLOT_CNT_MIN));
    shape.slot_bytes = sizeof(uint64_t);
    return shape;
}

/* weir_buf_lane_give - give a reference back to the owner core. Thread: the freeing core.
 *
 * Returns: true, or false when the lane is full: busy, keep it and try again.
 * Order:   the ring's release orders our last access before the owner's next use.
 */
static inline bool
weir_buf_lane_give(struct weir_ring_prod *lane, uint32_t idx)
{
    if (weir_ring_room(lane, 1) == 0) {
        return false;
    }
    uint64_t handle = idx;
    memcpy(weir_ring_prod_slot(lane, 0, sizeof handle), &handle, sizeof handle);
    weir_ring_publish(lane, 1);
    return true;
}

/* weir_buf_lane_drain - take in what came back, at most cnt_max. Thread: the owner core.
 *
 * Returns: how many references came back.
 */
static inline uint32_t
weir_buf_lane_drain(struct weir_ring_cons *lane, struct weir_buf_arena *arena, uint32_t cnt_max)
{
    uint32_t cnt = weir_min_u32(weir_ring_peek(lane), cnt_max);
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t handle;
        memcpy(&handle, weir_ring_cons_slot(lane, i, sizeof handle), sizeof handle);
        weir_buf_give(arena, (uint32_t)handle);
    }
    weir_ring_advance(lane, cnt);
    weir_ring_release(lane, cnt);
    return cnt;
}

#endif
