/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h: a real partition in a real chain, its channels, and a gate at the end of each.
 *
 *     exchange_open(&conf)      chain [partition] -> ring + buffers -> gate, one per consumer
 *     exchange_push(x, &view)   offer a batch; WEIR_WAIT where a channel is full
 *     exchange_take(x, c, n)    consumer c takes up to n descriptors and notes what was in them
 *     x->got[c][i]              rows and events of consumer c, in order
 */
#ifndef WEIR_TESTS_UNIT_EXCHANGE_H
#define WEIR_TESTS_UNIT_EXCHANGE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dataplane/chain.h"
#include "dataplane/gate.h"
#include "dataplane/keygroup.h"
#include "dataplane/partition.h"
#include "tests/unit/buffers.h"

#define ITEM(F) F(i64, key) F(i64, seq) F(str, text) F(time, at)
WEIR_SCHEMA(item, ITEM)

#define EXCHANGE_CHANNEL_CNT_MAX 8
#define EXCHANGE_GOT_CNT_MAX 40000

struct exchange_conf {
    enum weir_partitioner partitioner;
    struct weir_key key;
    weir_partition_fn *custom_fn;
    uint32_t channel_cnt;
    uint32_t max_parallelism; /* 0: 128 */
    uint32_t slot_cnt; /* 0: 64 */
    uint32_t buf_cnt; /* of all channels; 0: plenty */
    struct weir_buf_pool_config pool; /* zeros: all channels share them */
    uint32_t batch_rows; /* 0: 256 */
    uint64_t seed;
};

/* A row, or an event (kind is that of the slot). */
struct exchange_got {
    uint32_t kind;
    int64_t key;
    int64_t seq;
    int64_t watermark;
};

struct exchange {
    struct exchange_conf conf;
    struct buffers mem;
    struct weir_channel_format format;
    struct weir_partition_conf partition;
    uint16_t owner[WEIR_KEYGROUP_CNT_MAX];
    struct weir_channel_out out[EXCHANGE_CHANNEL_CNT_MAX];
    struct weir_channel_in in[EXCHANGE_CHANNEL_CNT_MAX];
    struct weir_gate gate[EXCHANGE_CHANNEL_CNT_MAX];
    char valve[EXCHANGE_CHANNEL_CNT_MAX][256];
    struct weir_chain *chain;
    uint32_t ring_cnt[EXCHANGE_CHANNEL_CNT_MAX]; /* how often each consumer was told */
    struct exchange_got *got[EXCHANGE_CHANNEL_CNT_MAX];
    uint32_t got_cnt[EXCHANGE_CHANNEL_CNT_MAX];
};

static inline void
exchange_ring(void *arg, uint32_t channel)
{
    ((struct exchange *)arg)->ring_cnt[channel]++;
}

static inline void
exchange_open_channel(struct exchange *x, uint32_t c)
{
    void *ring = buffers_ring(&x->mem, x->conf.slot_cnt);
    x->out[c].format = &x->format;
    x->out[c].pool = &x->mem.pool;
    x->out[c].regions = &x->mem.table;
    x->out[c].channel = (uint16_t)c;
    x->out[c].watermark = WEIR_TIME_MIN;
    assert_int_equal(weir_ring_prod_join(&x->out[c].ring, ring, sizeof(struct weir_batch)), 0);
    assert_int_equal(weir_ring_cons_join(&x->in[c].ring, ring, sizeof(struct weir_batch)), 0);
    assert_true(weir_valve_footprint(1) <= sizeof x->valve[c]);
    weir_gate_init(&x->gate[c], &x->in[c], 1, x->valve[c]);
    x->gate[c].format = &x->format;
    x->gate[c].regions = &x->mem.table;
    x->got[c] = calloc(EXCHANGE_GOT_CNT_MAX, sizeof *x->got[c]);
    assert_non_null(x->got[c]);
}

/* The partition's node in a chain. The chain keeps a copy; what it points to is x's. */
static inline struct weir_chain_node_conf
exchange_node(struct exchange *x)
{
    struct weir_chain_node_conf node;
    memset(&node, 0, sizeof node);
    node.name = "partition";
    node.type = &weir_partition_type;
    node.conf = &x->partition;
    node.in_schema[0] = item_schema();
    node.channel_cnt = 1;
    node.env.job_name = "test";
    node.env.vertex_name = "partition";
    node.env.subtask_cnt = 1;
    node.env.max_parallelism = x->conf.max_parallelism;
    node.env.regions = &x->mem.table;
    node.env.seed = x->conf.seed;
    return node;
}

/* exchange_new - all but the chain. */
static inline struct exchange *
exchange_new(const struct exchange_conf *conf)
{
    struct exchange *x = calloc(1, sizeof *x);
    assert_non_null(x);
    assert_true(conf->channel_cnt >= 1 && conf->channel_cnt <= EXCHANGE_CHANNEL_CNT_MAX);
    x->conf = *conf;
    x->conf.max_parallelism = conf->max_parallelism != 0 ? conf->max_parallelism : 128;
    x->conf.slot_cnt = conf->slot_cnt != 0 ? conf->slot_cnt : 64;
    x->conf.buf_cnt = conf->buf_cnt != 0 ? conf->buf_cnt : 256;
    weir_channel_format_init(&x->format, item_schema(), true, false);
    x->format.batch_rows = conf->batch_rows != 0 ? conf->batch_rows : 256;
    if (conf->pool.max_cnt != 0) {
        buffers_open_pool(&x->mem, WEIR_BUF_BYTES_MIN, x->conf.buf_cnt, &conf->pool);
    } else {
        buffers_open(&x->mem, WEIR_BUF_BYTES_MIN, x->conf.buf_cnt, x->conf.channel_cnt);
    }
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        exchange_open_channel(x, c);
    }
    weir_keygroup_owners(conf->channel_cnt, x->conf.max_parallelism, x->owner);
    x->partition.partitioner = conf->partitioner;
    x->partition.key = conf->key;
    x->partition.custom_fn = conf->custom_fn;
    x->partition.keygroup_owner = x->owner;
    x->partition.max_parallelism = x->conf.max_parallelism;
    x->partition.channels = x->out;
    x->partition.channel_cnt = conf->channel_cnt;
    x->partition.ring_fn = exchange_ring;
    x->partition.ring_arg = x;
    if (conf->partitioner == WEIR_PARTITION_KEYED) {
        assert_int_equal(weir_key_resolve(&x->partition.key, item_schema()), 0);
    }
    return x;
}

static inline struct exchange *
exchange_open(const struct exchange_conf *conf)
{
    struct exchange *x = exchange_new(conf);
    const struct weir_chain_node_conf node = exchange_node(x);
    const struct weir_chain_conf chain = {
        .nodes = &node, .node_cnt = 1, .batch_rows = 256, .buf_bytes = WEIR_BUF_BYTES_MIN};
    assert_int_equal(weir_chain_new(&chain, &x->chain), 0);
    assert_int_equal(weir_chain_open(x->chain), 0);
    return x;
}

/* exchange_close - every buffer must be back. */
static inline void
exchange_close(struct exchange *x)
{
    assert_int_equal(weir_chain_close(x->chain), 0);
    for (uint32_t c = 0; c < x->conf.channel_cnt; c++) {
        weir_gate_release(&x->gate[c]);
        weir_channel_close(&x->out[c]);
        free(x->got[c]);
    }
    buffers_close(&x->mem);
    free(x);
}

static inline int
exchange_run(struct exchange *x)
{
    int rc = weir_chain_run(x->chain, 64, 0);
    assert_int_not_equal(rc, WEIR_AGAIN);
    return rc;
}

static inline int
exchange_push(struct exchange *x, const struct weir_view *view)
{
    weir_chain_offer(x->chain, 0, 0, view);
    return exchange_run(x);
}

static inline int
exchange_watermark(struct exchange *x, int64_t watermark)
{
    weir_chain_offer_watermark(x->chain, 0, 0, watermark);
    return exchange_run(x);
}

static inline void
exchange_note(struct exchange *x, uint32_t c, const struct weir_gate_item *item)
{
    for (uint32_t i = 0; item->kind == WEIR_SLOT_BATCH && i < item->view.cnt; i++) {
        const struct item *row =
            (const struct item *)(const void *)(item->view.rows +
                                                (size_t)item->view.stride *
                                                    weir_view_row(&item->view, i));
        struct weir_slice text = weir_str_slice(&row->text, item->view.heap);
        char want[64];
        int bytes = snprintf(want, sizeof want, "text of record %lld", (long long)row->seq);
        assert_int_equal(text.bytes, bytes);
        assert_memory_equal(text.ptr, want, (size_t)bytes);
        assert_true(x->got_cnt[c] < EXCHANGE_GOT_CNT_MAX);
        const struct exchange_got got = {WEIR_SLOT_BATCH, row->key, row->seq, item->view.watermark};
        x->got[c][x->got_cnt[c]++] = got;
    }
    if (item->kind != WEIR_SLOT_BATCH) {
        const struct exchange_got got = {item->kind, 0, 0, item->result.watermark};
        x->got[c][x->got_cnt[c]++] = got;
    }
}

/* exchange_take - consumer c takes up to cnt descriptors. Returns how many there were. */
static inline uint32_t
exchange_take(struct exchange *x, uint32_t c, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct weir_gate_item item;
        weir_gate_release(&x->gate[c]);
        weir_gate_next(&x->gate[c], &item);
        if (item.kind == 0) {
            return i;
        }
        exchange_note(x, c, &item);
    }
    weir_gate_release(&x->gate[c]);
    return cnt;
}

/* exchange_flush_all - publish what is open and let every consumer take all there is. */
static inline void
exchange_flush_all(struct exchange *x)
{
    int rc;
    do {
        rc = exchange_run(x);
        rc = rc == WEIR_DONE ? weir_chain_flush(x->chain) : rc;
        for (uint32_t c = 0; c < x->conf.channel_cnt; c++) {
            (void)exchange_take(x, c, UINT32_MAX);
        }
    } while (rc == WEIR_WAIT);
    assert_int_equal(rc, WEIR_DONE);
}

/* Rows seq .. seq + cnt with keys below key_cnt, each with a text that does not fit inline. */
struct exchange_rows {
    struct item row[WEIR_BATCH_ROW_CNT_MAX];
    char heap[WEIR_BATCH_ROW_CNT_MAX * 32];
    uint16_t sel[WEIR_BATCH_ROW_CNT_MAX];
    struct weir_view view;
};

static inline void
exchange_fill(struct exchange_rows *rows, int64_t seq, uint32_t cnt, int64_t key_cnt)
{
    size_t used = 0;
    memset(&rows->view, 0, sizeof rows->view);
    for (uint32_t i = 0; i < cnt; i++) {
        struct item *row = &rows->row[i];
        char *text = rows->heap + used;
        int bytes = snprintf(text, 32, "text of record %lld", (long long)(seq + i));
        row->seq = seq + i;
        row->key = (int64_t)(weir_rng_at(7, (uint64_t)row->seq) % (uint64_t)key_cnt);
        row->at = row->seq;
        row->text.bytes = (uint32_t)bytes;
        memcpy(row->text.head, text, 4);
        row->text.u.off = used;
        used += (size_t)bytes;
    }
    rows->view.schema = item_schema();
    rows->view.rows = (char *)rows->row;
    rows->view.heap = rows->heap;
    rows->view.stride = sizeof(struct item);
    rows->view.cnt = cnt;
    rows->view.row_cnt = cnt;
    rows->view.time = (char *)&rows->row[0].at;
    rows->view.time_stride = sizeof(struct item);
    rows->view.watermark = WEIR_TIME_MIN;
}

#endif
