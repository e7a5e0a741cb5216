/* SPDX-License-Identifier: Apache-2.0 */
/* The arena's free buffers are a bitmap, not a list: taking is a compare-and-swap on one word, so
 * there is no ABA, nothing is chained through memory that another core may just be taking, and a
 * run of neighbours is a mask.
 */
#include "io/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define WORD_BITS 64U

/* Bits [from, from + cnt) of a word; cnt in [1, 64]. */
static uint64_t
mask_of(uint32_t from, uint32_t cnt)
{
    return (cnt == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << cnt) - 1) << from;
}

/* Clears `mask` in a word where all of it is set. Returns whether it was. */
static bool
claim(struct weir_buf_arena *arena, uint32_t word, uint64_t mask)
{
    /* relaxed: the compare-and-swap below decides. */
    uint64_t bits = weir_load_rlx(&arena->free_bits[word]);
    while ((bits & mask) == mask) {
        /* [B1] acquire, pairs with the release in put_back [B2]: the last holder's accesses are
         * over. */
        if (weir_cas_acq_rel(&arena->free_bits[word], &bits, bits & ~mask)) {
            return true;
        }
    }
    return false;
}

static void
put_back(struct weir_buf_arena *arena, uint32_t word, uint64_t mask)
{
    /* relaxed: the compare-and-swap below decides. */
    uint64_t bits = weir_load_rlx(&arena->free_bits[word]);
    do {
        WEIR_CHECK((bits & mask) == 0, "a buffer of word %u was free already", word);
        /* [B2] release, pairs with [B1] in claim: our accesses to the buffers are over. */
    } while (!weir_cas_acq_rel(&arena->free_bits[word], &bits, bits | mask));
}

/* Claims [idx, idx + cnt), over several words if need be, or none of it. */
static bool
claim_range(struct weir_buf_arena *arena, uint32_t idx, uint32_t cnt)
{
    uint32_t done = 0;
    while (done < cnt) {
        uint32_t from = (idx + done) % WORD_BITS;
        uint32_t n = weir_min_u32(cnt - done, WORD_BITS - from);
        if (!claim(arena, (idx + done) / WORD_BITS, mask_of(from, n))) {
            break;
        }
        done += n;
    }
    if (done < cnt && done > 0) {
        weir_buf_arena_give(arena, idx, done);
        /* relaxed: a count for reports, which give raised for buffers that were never counted
         *          out. */
        (void)weir_fetch_add_rlx(&arena->free_cnt, (uint32_t)-done);
    }
    return done == cnt;
}

/* The end of the free stretch that starts at idx, at most idx + cnt. */
static uint32_t
free_end(struct weir_buf_arena *arena, uint32_t idx, uint32_t cnt)
{
    uint32_t end = idx;
    while (end < idx + cnt) {
        /* relaxed: a guess that claim_range verifies. */
        uint64_t bits = weir_load_rlx(&arena->free_bits[end / WORD_BITS]) >> (end % WORD_BITS);
        uint32_t room = WORD_BITS - end % WORD_BITS;
        uint32_t n = ~bits == 0 ? WORD_BITS : (uint32_t)__builtin_ctzll(~bits);
        n = weir_min_u32(n, room);
        end += n;
        if (n < room) {
            break;
        }
    }
    return weir_min_u32(end, idx + cnt);
}

uint32_t
weir_buf_arena_take(struct weir_buf_arena *arena, uint32_t cnt)
{
    uint32_t idx = 0;
    while (cnt > 0 && cnt <= arena->buf_cnt && idx <= arena->buf_cnt - cnt) {
        uint32_t end = free_end(arena, idx, cnt);
        if (end - idx < cnt) {
            /* relaxed: a guess: on to the next free one behind the stretch that was too short. */
            uint64_t bits = weir_load_rlx(&arena->free_bits[end / WORD_BITS]) >> (end % WORD_BITS);
            idx = bits == 0 ? (end / WORD_BITS + 1) * WORD_BITS
                            : end + (uint32_t)__builtin_ctzll(bits);
            continue;
        }
        if (claim_range(arena, idx, cnt)) {
            /* relaxed: a count for reports. */
            (void)weir_fetch_add_rlx(&arena->free_cnt, (uint32_t)-cnt);
            WEIR_BUF_UNPOISON(weir_buf_ptr(arena, idx), (uint64_t)cnt << arena->buf_lg2);
            return idx;
        }
        idx++; /* another core was faster */
    }
    return WEIR_BUF_NONE;
}

void
weir_buf_arena_give(struct weir_buf_arena *arena, uint32_t idx, uint32_t cnt)
{
    WEIR_CHECK(idx + cnt <= arena->buf_cnt, "buffers %u + %u of %u", idx, cnt, arena->buf_cnt);
    WEIR_BUF_POISON(weir_buf_ptr(arena, idx), (uint64_t)cnt << arena->buf_lg2);
    for (uint32_t done = 0; done < cnt;) {
        uint32_t from = (idx + done) % WORD_BITS;
        uint32_t n = weir_min_u32(cnt - done, WORD_BITS - from);
        put_back(arena, (idx + done) / WORD_BITS, mask_of(from, n));
        done += n;
    }
    /* relaxed: a count for reports. */
    (void)weir_fetch_add_rlx(&arena->free_cnt, cnt);
}

static int
shortage(const struct weir_buf_arena *arena, uint32_t required, uint32_t available)
{
    return weir_err_push(WEIR_EBUDGET,
        "insufficient number of buffers: required %u, available %u of %u in total, of %u bytes "
        "each; raise buffers.memory",
        required, available, arena->buf_cnt, weir_buf_bytes(arena));
}

static int
check_arena(const struct weir_buf_arena_config *config, uint32_t buf_bytes)
{
    if (buf_bytes < WEIR_BUF_BYTES_MIN || !weir_is_pow2(buf_bytes) ||
        buf_bytes > WEIR_REGION_OVERLAP_BYTES) {
        return weir_err_push(WEIR_EINVAL,
            "buffers of %u bytes: a power of two in [%d, %" PRIu64 "] is needed", buf_bytes,
            WEIR_BUF_BYTES_MIN, WEIR_REGION_OVERLAP_BYTES);
    }
    if (config->buf_cnt == 0 || config->buf_cnt > WEIR_BUF_CNT_MAX) {
        return weir_err_push(
            WEIR_EINVAL, "%u buffers: not in [1, %u]", config->buf_cnt, WEIR_BUF_CNT_MAX);
    }
    return 0;
}

int
weir_buf_arena_init(struct weir_buf_arena *arena, const struct weir_buf_arena_config *config)
{
    uint32_t buf_bytes = config->buf_bytes != 0 ? config->buf_bytes : WEIR_BUF_BYTES_DEFAULT;
    int err = check_arena(config, buf_bytes);
    if (err != 0) {
        return err;
    }
    uint64_t bytes = (uint64_t)buf_bytes * config->buf_cnt;
    void *base = NULL;
    err = weir_region_carve(config->region, bytes, WEIR_BUF_BYTES_MIN, config->owner, &base);
    if (err != 0) {
        return err;
    }
    memset(arena, 0, sizeof *arena);
    arena->base = base;
    arena->buf_cnt = config->buf_cnt;
    arena->buf_lg2 = (uint32_t)__builtin_ctz(buf_bytes);
    arena->region_id = config->region_id;
    arena->region_pos = (uint64_t)(arena->base - (uint8_t *)weir_region_base(config->region));
    arena->word_cnt = (config->buf_cnt + WORD_BITS - 1) / WORD_BITS;
    arena->notes = calloc(config->buf_cnt, sizeof *arena->notes);
    arena->free_bits = calloc(arena->word_cnt, sizeof *arena->free_bits);
    if (arena->notes == NULL || arena->free_bits == NULL) {
        weir_buf_arena_fini(arena);
        return weir_err_push(WEIR_ENOMEM, "bookkeeping of %u buffers", config->buf_cnt);
    }
    weir_buf_arena_give(arena, 0, config->buf_cnt);
    return 0;
}

void
weir_buf_arena_close(struct weir_buf_arena *arena)
{
    arena->closed = true;
}

void
weir_buf_arena_fini(struct weir_buf_arena *arena)
{
    if (arena->base != NULL) {
        WEIR_BUF_UNPOISON(arena->base, (uint64_t)arena->buf_cnt << arena->buf_lg2);
    }
    free(arena->notes);
    free((void *)arena->free_bits);
    arena->notes = NULL;
    arena->free_bits = NULL;
}

void
weir_buf_arena_usage(const struct weir_buf_arena *arena, struct weir_buf_usage *ret_usage)
{
    struct weir_buf_arena *shared = (struct weir_buf_arena *)(uintptr_t)arena;
    /* relaxed: a count for reports. */
    uint32_t free_cnt = weir_load_rlx(&shared->free_cnt);
    *ret_usage = (struct weir_buf_usage){
        .total_cnt = arena->buf_cnt,
        .free_cnt = free_cnt,
        .required_cnt = arena->required_cnt,
        .asked_cnt = arena->asked_cnt,
        .asked_percent = (uint32_t)((uint64_t)arena->asked_cnt * 100 / arena->buf_cnt),
        .total_bytes = (uint64_t)arena->buf_cnt << arena->buf_lg2,
        .free_bytes = (uint64_t)free_cnt << arena->buf_lg2,
    };
}

bool
weir_buf_arena_warning(struct weir_buf_arena *arena, char *buf, size_t buf_bytes)
{
    bool is_over = arena->asked_cnt > arena->buf_cnt;
    bool is_new = is_over && !arena->warned;
    arena->warned = is_over;
    if (is_new) {
        (void)snprintf(buf, buf_bytes,
            "pools may ask for %u buffers of %u bytes and there are %u (%u %%): they will wait for "
            "each other at full load; raise buffers.memory",
            arena->asked_cnt, weir_buf_bytes(arena), arena->buf_cnt,
            (uint32_t)((uint64_t)arena->asked_cnt * 100 / arena->buf_cnt));
    }
    return is_new;
}

/* Shares what is not promised among the pools, in proportion to what each could still use. */
static void
share_out(struct weir_buf_arena *arena)
{
    uint64_t spare = arena->buf_cnt - arena->required_cnt;
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < arena->pool_cnt; i++) {
        const struct weir_buf_pool *pool = arena->pools[i];
        if (pool != NULL && !pool->closed) {
            wanted += pool->config.max_cnt - pool->config.required_cnt;
        }
    }
    uint64_t shares = weir_min_u64(spare, wanted);
    uint64_t seen = 0;
    uint64_t given = 0;
    for (uint32_t i = 0; i < arena->pool_cnt; i++) {
        struct weir_buf_pool *pool = arena->pools[i];
        if (pool == NULL || pool->closed) {
            continue;
        }
        seen += pool->config.max_cnt - pool->config.required_cnt;
        uint64_t upto = wanted > 0 ? shares * seen / wanted : 0;
        weir_buf_pool_resize(pool, pool->config.required_cnt + (uint32_t)(upto - given));
        given = upto;
    }
}

static int
check_pool(const struct weir_buf_arena *arena, const struct weir_buf_pool_config *config)
{
    if (arena->closed) {
        return weir_err_push(WEIR_EILLEGAL, "a buffer pool of a closed arena");
    }
    if (config->required_cnt > config->max_cnt ||
        (uint64_t)config->channel_cnt * config->exclusive_cnt > config->required_cnt ||
        config->channel_cnt >= WEIR_BUF_CHANNEL_NONE || config->max_cnt > WEIR_BUF_CNT_MAX ||
        config->overdraft_cnt_max > WEIR_BUF_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL, "a pool of %u to %u buffers and %u over, for %u channels",
            config->required_cnt, config->max_cnt, config->overdraft_cnt_max, config->channel_cnt);
    }
    if (config->required_cnt > arena->buf_cnt - arena->required_cnt) {
        return shortage(arena, config->required_cnt, arena->buf_cnt - arena->required_cnt);
    }
    return 0;
}

/* A place in the arena's table: one whose pool is finished, or a new one. */
static uint32_t
pool_place(struct weir_buf_arena *arena)
{
    for (uint32_t i = 0; i < arena->pool_cnt; i++) {
        if (arena->pools[i] == NULL) {
            return i;
        }
    }
    return arena->pool_cnt;
}

int
weir_buf_pool_init(struct weir_buf_pool *pool, struct weir_buf_arena *arena,
    const struct weir_buf_pool_config *config)
{
    memset(pool, 0, sizeof *pool);
    pool->closed = true;
    int err = check_pool(arena, config);
    if (err != 0) {
        return err;
    }
    uint32_t place = pool_place(arena);
    if (place == WEIR_BUF_POOL_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL, "over %d buffer pools", WEIR_BUF_POOL_CNT_MAX);
    }
    pool->free_idxs = calloc(config->max_cnt + config->overdraft_cnt_max + 1, sizeof(uint32_t));
    pool->channel_cnts = calloc(config->channel_cnt + 1, sizeof(uint32_t));
    if (pool->free_idxs == NULL || pool->channel_cnts == NULL) {
        free(pool->free_idxs);
        free(pool->channel_cnts);
        return weir_err_push(WEIR_ENOMEM, "bookkeeping of a buffer pool");
    }
    pool->arena = arena;
    pool->config = *config;
    pool->idx = (uint16_t)place;
    pool->closed = false;
    arena->pools[place] = pool;
    arena->pool_cnt = (uint32_t)weir_max_u64(arena->pool_cnt, place + 1);
    arena->required_cnt += config->required_cnt;
    arena->asked_cnt += config->max_cnt;
    share_out(arena);
    return 0;
}

void
weir_buf_pool_resize(struct weir_buf_pool *pool, uint32_t size)
{
    WEIR_CHECK(size >= pool->config.required_cnt && size <= pool->config.max_cnt,
        "size %u of [%u, %u]", size, pool->config.required_cnt, pool->config.max_cnt);
    if (pool->closed) {
        return; /* it will hold none again */
    }
    /* relaxed: a number on its own; the owner obeys it from its next call on. */
    weir_store_rlx(&pool->size, size);
}

/* One more buffer from the arena into the pool's free ones. */
static bool
grow(struct weir_buf_pool *pool)
{
    uint32_t idx = weir_buf_arena_take(pool->arena, 1);
    if (idx == WEIR_BUF_NONE) {
        return false;
    }
    pool->held_cnt++;
    pool->free_idxs[pool->free_cnt++] = idx;
    return true;
}

int
weir_buf_pool_reserve(struct weir_buf_pool *pool, uint32_t cnt)
{
    if (pool->closed) {
        return weir_err_push(WEIR_ECANCELED, "reserve buffers: the pool was closed");
    }
    if (cnt > pool->config.required_cnt) {
        return weir_err_push(WEIR_EINVAL, "reserve %u buffers of a pool of which %u are required",
            cnt, pool->config.required_cnt);
    }
    while (pool->held_cnt < cnt) {
        if (!grow(pool)) {
            return shortage(pool->arena, cnt, pool->held_cnt);
        }
    }
    return 0;
}

uint32_t
weir_buf_take_cold(struct weir_buf_pool *pool)
{
    /* relaxed: see weir_buf_pool_overdraft_cnt. */
    uint32_t limit = weir_load_rlx(&pool->size) + pool->config.overdraft_cnt_max;
    if (pool->closed || pool->held_cnt >= limit || !grow(pool)) {
        return WEIR_BUF_NONE;
    }
    return pool->free_idxs[--pool->free_cnt];
}

void
weir_buf_give_cold(struct weir_buf_pool *pool, uint32_t idx)
{
    pool->held_cnt--;
    weir_buf_arena_give(pool->arena, idx, 1);
}

/* Free buffers over the size go back at once, so that a pool that shrank does not sit on them; not
 * those that channels may still take as their own. */
static void
shrink(struct weir_buf_pool *pool, uint32_t size)
{
    uint32_t kept_cnt = pool->closed ? 0 : weir_buf_pool_owed_cnt(pool);
    while (pool->free_cnt > kept_cnt && pool->held_cnt > size) {
        pool->held_cnt--;
        weir_buf_arena_give(pool->arena, pool->free_idxs[--pool->free_cnt], 1);
    }
}

bool
weir_buf_pool_is_available(struct weir_buf_pool *pool)
{
    /* relaxed: see weir_buf_pool_overdraft_cnt. */
    uint32_t size = weir_load_rlx(&pool->size);
    if (WEIR_UNLIKELY(pool->held_cnt > size)) {
        shrink(pool, size);
    }
    if (pool->closed || pool->held_cnt > size) {
        return false;
    }
    return pool->free_cnt > 0 || (pool->held_cnt < size && grow(pool));
}

void
weir_buf_pool_close(struct weir_buf_pool *pool)
{
    if (pool->closed) {
        return;
    }
    pool->closed = true;
    weir_store_rlx(&pool->size, 0); /* relaxed: the owner is at rest */
    shrink(pool, 0);
    pool->arena->required_cnt -= pool->config.required_cnt;
    pool->arena->asked_cnt -= pool->config.max_cnt;
    share_out(pool->arena);
}

void
weir_buf_pool_fini(struct weir_buf_pool *pool)
{
    if (pool->arena == NULL) {
        return;
    }
    weir_buf_pool_close(pool);
    WEIR_CHECK(pool->held_cnt == 0, "%u buffers of the pool are out", pool->held_cnt);
    free(pool->free_idxs);
    free(pool->channel_cnts);
    pool->free_idxs = NULL;
    pool->channel_cnts = NULL;
    pool->arena->pools[pool->idx] = NULL;
    pool->arena = NULL;
}
