/* SPDX-License-Identifier: Apache-2.0 */
/* chain_priv.h: what chain.c (rows and events), chain_life.c (memory, open, close) and chain_mark.c
 * (checkpoints) share. */
#ifndef WEIR_DATAPLANE_CHAIN_PRIV_H
#define WEIR_DATAPLANE_CHAIN_PRIV_H

#include "base/atomic.h"
#include "base/rng.h"
#include "dataplane/arrival.h"
#include "dataplane/barrier.h"
#include "dataplane/chain.h"
#include "dataplane/out.h"
#include "dataplane/tap.h"
#include "dataplane/valve.h"

/* What a node has yet to do with its input, in the order in which it is done. */
enum pend {
    PEND_BATCH = 1,
    PEND_WATERMARK = 2,
    PEND_STATUS = 4,
    PEND_END_INPUT = 8,
    PEND_FINISH = 16,
};

/* What a node has yet to hand to its consumers, in the order in which it is handed on. */
enum emit {
    EMIT_ROWS = 1,
    EMIT_WATERMARK = 2,
    EMIT_STATUS = 4,
    EMIT_END = 8,
};

struct weir_chain_node {
    struct weir_operator op;
    uint32_t pend;
    uint32_t emit_output; /* progress of the front item over outputs and their edges */
    uint32_t emit; /* not beside pend: read together as one word they would wait for both stores */
    uint32_t emit_edge;
    /* the unfinished input */
    const struct weir_view *in;
    uint32_t in_input;
    uint32_t cursor;
    int64_t intended_ns; /* of the last batch: what a watermark fires is due to it */
    int64_t pend_watermark;
    bool pend_idle;
    uint32_t end_inputs; /* inputs whose end is to be told, as bits */
    /* what is on its way out */
    int64_t emit_watermark;
    bool emit_idle;
    /* fixed */
    struct weir_valve valve;
    uint16_t channel_input[WEIR_CHAIN_EDGE_CNT_MAX];
    uint32_t open_channel_cnt;
    uint32_t input_open[WEIR_OPERATOR_INPUT_CNT_MAX]; /* channels of each input not ended yet */
    bool opened;
    bool finished;
    bool source_done;
    bool had_ended; /* before the job was restored */
    struct weir_operator_type over; /* what takes the place of its type then */
    struct weir_operator_env env;
    struct weir_chain_output outputs[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    struct weir_out out[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    struct weir_view empty[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* each output's view before a call */
    struct weir_out_shape shape[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    void *grown[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* buffers of outputs that had to grow, or NULL */
    uint32_t out_cnt;
    bool is_exit; /* rows that it takes have left the job */
    uint64_t reach; /* the nodes behind it, as bits */
    uint32_t marker_source; /* of a source */
    const char *name;
    /* writer: who looks; read by the core. NULL: nobody looks */
    WEIR_ATOMIC(struct weir_tap *) tap;
    struct weir_tap *tap_mem; /* made by the first who looked; stays as long as the chain */
    bool precommitted; /* checkpoint precommit_id */
    uint64_t precommit_id;
};

/* Latency markers: one at a time is on its way. */
struct weir_chain_markers {
    struct weir_hist **hist; /* [node_cnt][source_cnt]; NULL: of sources and edges */
    uint32_t source_cnt;
    struct weir_rng rng;
    bool is_on;
    uint32_t at; /* the node that it has come to */
    struct weir_mark mark;
};

/* weir_chain_markers_new - WEIR_ENOMEM. weir_chain_markers_delete - accepts a chain without. */
int weir_chain_markers_new(struct weir_chain *chain, const struct weir_chain_conf *conf);
void weir_chain_markers_delete(struct weir_chain *chain);

struct weir_chain {
    struct weir_chain_node *nodes;
    uint32_t node_cnt;
    uint32_t ended_cnt;
    uint32_t blocked;
    struct weir_hist *latency; /* of rows at sinks; NULL: no sink here */
    struct weir_arrivals arrivals; /* not in it yet */
    /* The node that is being called, for who asks why this does not return; writer: the core. */
    WEIR_ATOMIC(uint32_t) at;
    uint64_t work; /* nodes with something pending or to emit, as bits */
    uint64_t timed; /* nodes that keep time, as bits */
    uint64_t holders; /* nodes that may hold sources, as bits */
    uint32_t fire_next; /* whose turn it is among them */
    struct weir_chain_markers *markers; /* NULL: none are sent */
    uint32_t mark_at; /* progress of a hook of checkpoints over the nodes */
    void *mem[WEIR_CHAIN_NODE_CNT_MAX];
};

/* weir_chain_barrier_at - call the hook `barrier` of one node, and note what it has emitted.
 * WEIR_DONE, WEIR_AGAIN, WEIR_WAIT or an error. */
int weir_chain_barrier_at(struct weir_chain *chain, uint32_t idx, uint64_t id, int64_t now_ns);

#endif
