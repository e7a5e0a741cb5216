/* SPDX-License-Identifier: Apache-2.0 */
/* chain.h: the operators of one stage, fused on one core, and the order in which they run.
 *
 * The operators are nodes of a small acyclic graph in topological order. Each node holds at most
 * one unfinished input (a batch and how far it is consumed, or an event). The driver always runs
 * the deepest node that has one, so a batch runs down the graph before the next is taken, nothing
 * is queued inside a stage, and whatever stopped for want of room is resumed exactly where it
 * stopped.
 *
 *     source -> filter -> project -> window -> partition        (deepest unfinished first: <-)
 *
 * Events wait while an input is unfinished; within one output, rows go first, then the watermark,
 * the status and the end. What it is not: a queue (see channel.h) or a thread (see task.h).
 *
 * Thread: one core at a time. Memory: all at init.
 */
#ifndef WEIR_DATAPLANE_CHAIN_H
#define WEIR_DATAPLANE_CHAIN_H

#include "base/cause.h"
#include "dataplane/operator.h"

#define WEIR_CHAIN_NODE_CNT_MAX 64
#define WEIR_CHAIN_EDGE_CNT_MAX 16

/* Where the rows of an output go: input `input` of node `node`, as in-edge `channel` of that
 * node. */
struct weir_chain_edge {
    uint16_t node;
    uint16_t input;
    uint16_t channel;
};

struct weir_chain_output {
    struct weir_chain_edge edges[WEIR_CHAIN_EDGE_CNT_MAX];
    uint32_t edge_cnt;
    const struct weir_schema *schema;
    bool has_time; /* rows need a hidden event time: the schema has none and it is used later */
    bool has_kind;
};

/* One node as the planner wires it. Borrowed until init returns, but for what it points to. */
struct weir_chain_node_conf {
    const char *name;
    const char *uid; /* of its parts in snapshots; NULL: the name */
    const struct weir_operator_type *type;
    const void *conf;
    const struct weir_schema *in_schema[WEIR_OPERATOR_INPUT_CNT_MAX];
    struct weir_chain_output outputs[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    struct weir_operator_env env; /* copied */
    uint32_t marker_source; /* of a source: its number among those of the job */
    uint16_t channel_input[WEIR_CHAIN_EDGE_CNT_MAX]; /* the input that each in-edge belongs to */
    uint32_t channel_cnt; /* in-edges, fused ones and gates */
};

struct weir_chain_conf {
    const struct weir_chain_node_conf *nodes;
    uint32_t node_cnt;
    uint32_t batch_rows; /* rows per output batch at most, in [1, WEIR_BATCH_ROW_CNT_MAX] */
    uint32_t buf_bytes; /* of an output batch */
    uint32_t marker_source_cnt; /* sources of the job, where they send latency markers; else 0 */
    uint64_t seed; /* of where markers go */
};

struct weir_chain;
struct weir_hist;

/* weir_chain_new - all memory of the nodes; nothing is opened. WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_API WEIR_MUST_USE int
weir_chain_new(const struct weir_chain_conf *conf, struct weir_chain **ret_chain);
/* weir_chain_open - open the operators, tail first. On an error those opened stay open: close. */
WEIR_API WEIR_MUST_USE int weir_chain_open(struct weir_chain *chain);
/* weir_chain_open_node - one of them; those behind it are open. */
WEIR_API WEIR_MUST_USE int weir_chain_open_node(struct weir_chain *chain, uint32_t node);
/* weir_chain_end - close the operators, head first, but those whose rows others may still read
 * (lends_memory); all of them, whatever fails, which `cause` takes. */
WEIR_API void weir_chain_end(struct weir_chain *chain, struct weir_cause *cause);
/* weir_chain_close - close every operator whose open was entered, then free all. Accepts NULL.
 * 0, or the first error of an operator, named in the context; the others are closed all the
 * same. */
WEIR_API int weir_chain_close(struct weir_chain *chain);

/* weir_chain_run - do up to `step_cnt` steps of unfinished work.
 *
 * Returns: WEIR_AGAIN after step_cnt steps; WEIR_DONE when no input is unfinished: offer more;
 *          WEIR_WAIT when what is unfinished waits for something outside (weir_chain_blocked);
 *          negative: the error of an operator, named in the context.
 */
WEIR_API WEIR_MUST_USE int
weir_chain_run(struct weir_chain *chain, uint32_t step_cnt, int64_t now_ns);

/* weir_chain_flush - the task has run out of input: operators hand on what waits for company.
 * WEIR_DONE, WEIR_WAIT: not all could, or an error. Only when run() said WEIR_DONE. */
WEIR_API WEIR_MUST_USE int weir_chain_flush(struct weir_chain *chain);

/* weir_chain_poll_source - let one source emit. WEIR_AGAIN: it emitted or has more; WEIR_WAIT:
 * nothing now; WEIR_DONE: it has ended (its end is on the way). Only when run() said WEIR_DONE. */
WEIR_API WEIR_MUST_USE int
weir_chain_poll_source(struct weir_chain *chain, uint32_t node, int64_t now_ns);
/* weir_chain_end_source - end a source from outside: clean sends the MAX watermark before the
 * end. */
WEIR_API void weir_chain_end_source(struct weir_chain *chain, uint32_t node, bool clean);

/* weir_chain_offer_* - hand a batch or an event of in-edge `channel` to `node`; only when run()
 * said WEIR_DONE. The view and its memory stay good until run() says WEIR_DONE again. */
WEIR_API void weir_chain_offer(
    struct weir_chain *chain, uint32_t node, uint32_t channel, const struct weir_view *view);
WEIR_API void weir_chain_offer_watermark(
    struct weir_chain *chain, uint32_t node, uint32_t channel, int64_t watermark);
WEIR_API void
weir_chain_offer_status(struct weir_chain *chain, uint32_t node, uint32_t channel, bool idle);
WEIR_API void weir_chain_offer_end(struct weir_chain *chain, uint32_t node, uint32_t channel);

/* weir_chain_keeps_time - whether an operator may ever want to be called at a time. */
WEIR_API bool weir_chain_keeps_time(const struct weir_chain *chain);
/* weir_chain_due_ns - the earliest time at which an operator that has not finished wants to be
 * called; INT64_MAX: none does. Cheap where no operator keeps time. */
WEIR_API int64_t weir_chain_due_ns(const struct weir_chain *chain);
/* weir_chain_fire - let one operator whose time has come do a slice of what is due, those in turn
 * that are. WEIR_AGAIN: it did; WEIR_WAIT: each that is due waits for something outside; WEIR_DONE:
 * nothing is due. Only when run() said WEIR_DONE. */
WEIR_API WEIR_MUST_USE int weir_chain_fire(struct weir_chain *chain, int64_t now_ns);

/* weir_chain_holds - whether an operator behind a source says that it is not to be polled now. */
WEIR_API bool weir_chain_holds(const struct weir_chain *chain, uint32_t source);

/* ---- latency markers (chain_marker.c): only when run() said WEIR_DONE ---- */

/* weir_chain_marker - a marker begins at a source, or has come to a node by a gate. Each operator
 * behind its source counts how old it is, and hands it to one consumer, drawn at random, behind all
 * rows. mark: id is the source's number, trigger_ns when it was sent.
 *
 * Returns: WEIR_DONE; WEIR_WAIT: an output is full. Then weir_chain_marker_go() is called until it
 *          is WEIR_DONE, before any input; or an error.
 */
WEIR_API WEIR_MUST_USE int weir_chain_marker(
    struct weir_chain *chain, uint32_t node, const struct weir_mark *mark, int64_t now_ns);
WEIR_API WEIR_MUST_USE int weir_chain_marker_go(struct weir_chain *chain, int64_t now_ns);
/* weir_chain_marker_begin - one of its own at source `node`, as weir_chain_marker. */
WEIR_API WEIR_MUST_USE int
weir_chain_marker_begin(struct weir_chain *chain, uint32_t node, int64_t now_ns);
/* weir_chain_marker_latency - of the markers of a source at a node; NULL: none are counted. */
WEIR_API const struct weir_hist *
weir_chain_marker_latency(const struct weir_chain *chain, uint32_t node, uint32_t source);

/* ---- checkpoints: all only when run() said WEIR_DONE or the chain rests, but for the last three
 * ---- */

/* weir_chain_rests - nothing is unfinished but watermarks whose operators may stop there for a
 * checkpoint (operator.h): the chain is as good as between two batches. */
WEIR_API bool weir_chain_rests(const struct weir_chain *chain);
/* weir_chain_run_to_rest - as weir_chain_run(), but stop where the chain rests: WEIR_DONE. */
WEIR_API WEIR_MUST_USE int
weir_chain_run_to_rest(struct weir_chain *chain, uint32_t step_cnt, int64_t now_ns);

/* weir_chain_barrier - the operators' hooks before a barrier, head first. WEIR_AGAIN: rows came of
 * it, or will: run() and call again; WEIR_WAIT: call again later. */
WEIR_API WEIR_MUST_USE int
weir_chain_barrier(struct weir_chain *chain, uint64_t id, int64_t now_ns);
/* weir_chain_send - a barrier or a cancel marker on all edges that leave the stage. Fused edges
 * need
 * none: nothing is in them. WEIR_WAIT: not all took it, call again. Legal before open, too. */
WEIR_API WEIR_MUST_USE int
weir_chain_send(struct weir_chain *chain, uint32_t slot_kind, const struct weir_mark *mark);
/* weir_chain_keep - whether edges keep what has no room, so that run() need not wait for it.
 * weir_chain_kept - whether one keeps something, and a copy of it (operator.h). */
WEIR_API void weir_chain_keep(struct weir_chain *chain, bool keeps);
WEIR_API bool weir_chain_kept(struct weir_chain *chain, struct weir_flight_writer *writer);
/* weir_chain_snapshot - the parts of node `node`: what the chain keeps for it, and its own; the
 * writer is left at its uid. 0 or the error of the operator (the writer has its own). */
WEIR_API WEIR_MUST_USE int weir_chain_snapshot(
    struct weir_chain *chain, uint32_t node, uint64_t id, struct weir_parts_writer *parts);
/* weir_chain_restore - once, after the node's open and before any input.
 *
 * Shape:   parts: of each subtask that the operator had, at its uid. is_same: the job's tasks are
 *          those that there were; else what is told of watermarks is the least of all, and every
 *          stream counts as active until its source says otherwise.
 */
WEIR_API WEIR_MUST_USE int weir_chain_restore(struct weir_chain *chain, uint32_t node,
    const struct weir_parts_reader *parts, uint32_t parts_cnt, bool is_same);
/* weir_chain_restore_ended - instead, and before open, of an operator all of whose subtasks had
 * ended: it is not opened nor called, unless it reopens; rows for it are an error. It leaves no
 * parts either, so that it has ended for whoever is restored from this task, too. The caller ends
 * sources. */
WEIR_API void weir_chain_restore_ended(struct weir_chain *chain, uint32_t node);
/* weir_chain_had_ended - whether it was such a one: nothing else is to be written of it either. */
WEIR_API bool weir_chain_had_ended(const struct weir_chain *chain, uint32_t node);
/* weir_chain_own_parts - of the parts of all old subtasks those that count for this one's
 * watermarks: its own where the job's tasks are those that there were, else all. */
WEIR_API const struct weir_parts_reader *weir_chain_own_parts(const struct weir_chain *chain,
    uint32_t node, const struct weir_parts_reader *parts, uint32_t *parts_cnt, bool is_same);
/* weir_chain_edge_watermark - the last one that in-edge `channel` of a node has delivered. */
WEIR_API int64_t weir_chain_edge_watermark(
    const struct weir_chain *chain, uint32_t node, uint32_t channel);
/* weir_chain_check_uids - WEIR_EPLAN where two operators would write the same parts. */
WEIR_API WEIR_MUST_USE int weir_chain_check_uids(const struct weir_chain *chain);
/* weir_chain_commits - whether an operator commits data when a checkpoint is complete. */
WEIR_API bool weir_chain_commits(const struct weir_chain *chain);
/* weir_chain_precommit - WEIR_DONE: all are; WEIR_WAIT: call again; of one checkpoint at a time.
 * weir_chain_committed, weir_chain_aborted - tell all, tail first; 0 or the first error. */
WEIR_API WEIR_MUST_USE int weir_chain_precommit(struct weir_chain *chain, uint64_t id);
WEIR_API WEIR_MUST_USE int weir_chain_committed(struct weir_chain *chain, uint64_t id);
WEIR_API WEIR_MUST_USE int weir_chain_aborted(struct weir_chain *chain, uint64_t id);
/* weir_chain_committed_id - up to which checkpoint all operators have done what they were told;
 * UINT64_MAX where none takes time for it. */
WEIR_API uint64_t weir_chain_committed_id(struct weir_chain *chain);

/* weir_chain_ended - every node has finished. */
WEIR_API bool weir_chain_ended(const struct weir_chain *chain);
/* weir_chain_latency - how long after their intended times rows came to the sinks of this chain;
 * NULL where it has none. A partition is no sink: what it takes has not arrived. */
WEIR_API const struct weir_hist *weir_chain_latency(const struct weir_chain *chain);
/* weir_chain_settle - a poll has ended: what it brought to the sinks has arrived now. */
WEIR_API void weir_chain_settle(struct weir_chain *chain, int64_t now_ns);
/* weir_chain_blocked - the node that the last run() waits for, or UINT32_MAX. */
WEIR_API uint32_t weir_chain_blocked(const struct weir_chain *chain);
/* weir_chain_at - the operator that was called last; any thread. */
WEIR_API const char *weir_chain_at(const struct weir_chain *chain);
WEIR_API struct weir_operator *weir_chain_operator(struct weir_chain *chain, uint32_t node);
/* weir_chain_set_saved - to all operators: is_saved of operator.h. */
WEIR_API void weir_chain_set_saved(struct weir_chain *chain, bool is_saved);
/* weir_chain_set_mailbox - what the operator finds in its environment; before open. */
WEIR_API void
weir_chain_set_mailbox(struct weir_chain *chain, uint32_t node, struct weir_mailbox *mailbox);
WEIR_API uint32_t weir_chain_node_cnt(const struct weir_chain *chain);
/* weir_chain_tap - look at what a node emits on its main output, or, where it has none, takes in
 * (tap.h): on, by the tap that it has from the first call on, or off. Any one thread, beside the
 * core's. NULL: off, or there is no memory. */
struct weir_tap;
WEIR_API struct weir_tap *weir_chain_tap(struct weir_chain *chain, uint32_t node, bool is_on);
/* weir_chain_output_watermark - the last one that a node has handed on; WEIR_TIME_MIN: none yet. */
WEIR_API int64_t weir_chain_output_watermark(const struct weir_chain *chain, uint32_t node);
/* weir_chain_input - the input of the node that in-edge `channel` of it belongs to. */
WEIR_API uint32_t weir_chain_input(const struct weir_chain *chain, uint32_t node, uint32_t channel);

#endif
