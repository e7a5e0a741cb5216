/* SPDX-License-Identifier: Apache-2.0 */
/* operator.h: what an operator is, and what it may ask of the task that runs it.
 *
 * An operator works on batches and can stop anywhere: process() says how many rows it has consumed
 * and stops when its output has no room; watermark(), poll(), end_input() and finish() answer
 * WEIR_AGAIN in that case and are called again. It never blocks, reads no clock (time comes in as
 * now_ns), allocates nothing after open() but from its arena, and calls nothing through a pointer
 * per record.
 *
 * Life:  open, and restore (tail of the stage first: what is behind an operator is ready before
 *        it)  ->  process / watermark / timer ...  ->  end_input per input
 *        ->  finish (head first)  ->  close, always once open was entered, also after a failure.
 * An error fails the task; WEIR_ECANCELED says that the operator has seen it is not wanted any
 * more, and cancels it.
 * Checkpoints, between two batches: barrier (head first), the barrier leaves, snapshot (tail
 * first);
 *        then, beside the batches that follow: precommit, and committed or aborted (tail first).
 *
 * All calls come on the stage's core; none runs beside another of the same stage.
 * Source: Flink's StreamOperator; there a call per record, here a call per batch.
 */
#ifndef WEIR_DATAPLANE_OPERATOR_H
#define WEIR_DATAPLANE_OPERATOR_H

#include "base/err.h"
#include "dataplane/batch.h"

#define WEIR_OPERATOR_INPUT_CNT_MAX 8
#define WEIR_OPERATOR_OUTPUT_CNT_MAX 4

struct weir_alignment;
struct weir_cpuset;
struct weir_io;
struct weir_mailbox;
struct weir_arena;
struct weir_region_table;
struct weir_mark;
struct weir_flight_writer;
struct weir_parts_reader;
struct weir_parts_writer;
struct weir_spill_conf;
struct weir_state_mover;
struct weir_state_part;
struct weir_state_values;
struct weir_table;
struct weir_tally;
struct weir_operator;

/* weir_state_move_fn - write the references in a value, and in all that it leads to, anew
 * (state.h).
 *
 * Shape:   op has its conf and schemas, and need not be open; the table's pages lie where they will
 *          be, and so does all that the value leads to. Once per value.
 */
typedef int(weir_state_move_fn)(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val);

/* One keyed state of an operator. Key kind and value bytes follow from the operator's conf: the
 * table has them. */
struct weir_state_desc {
    const char *name; /* of the operator's own; part of the format */
    weir_state_move_fn *move; /* NULL: values hold no references (keys are the table's business) */
    /* What values are made of (state.h). NULL: bytes of their owner's, which a savepoint takes as
     * they are; a state whose values hold references cannot be in a savepoint then. */
    const struct weir_state_values *values;
};

/* What the task gives to each operator instance before open(). Borrowed until close(). */
struct weir_operator_env {
    const char *job_name;
    const char *vertex_name;
    uint32_t subtask_idx;
    uint32_t subtask_cnt;
    uint32_t max_parallelism;
    struct weir_io *io; /* the core's; NULL where the job does no I/O */
    struct weir_arena *arena; /* state pages of this stage */
    const struct weir_spill_conf *spill; /* where state goes that does not fit; NULL: nowhere */
    struct weir_region_table *regions; /* to register mapped files */
    int64_t utc_off_ns; /* UTC minus now_ns, as it was at the start */
    struct weir_alignment *alignment; /* of the group that conf names; NULL: none */
    uint32_t alignment_member; /* which one this subtask is */
    int64_t watermark_interval_ns; /* in processing time, between two of a source; 0: no matter */
    uint64_t seed; /* of this subtask, for random partitioners and sources */
    /* Nobody further down looks at event times: watermarks only tell how far the job is, and may
     * stay behind what the rows allow. */
    bool time_unused;
    /* To those further down who look, it matters only whether a watermark makes a row late: not
     * which rows it comes between. */
    bool only_lateness;
    bool takes_changes; /* an input is one of changes */
    struct weir_mailbox *mailbox; /* of the task, where the operator takes letters; else NULL */
    uint32_t position; /* in the chain, from its head: the priority of its letters */
    const struct weir_cpuset *housekeeping; /* where threads of its own belong; NULL: anywhere */
    struct weir_thread_list *threads; /* who looks after them; NULL: nobody */
};

/* What an operator does with rows that are no inserts (enum weir_row_kind). A stream in which there
 * may be such rows is one of changes; the graph knows it of every stream. */
enum weir_changes {
    WEIR_CHANGES_REFUSED, /* inputs hold inserts only, else the graph is an error; so do outputs */
    WEIR_CHANGES_PASSED, /* each row by itself, and what comes of it has its kind */
    WEIR_CHANGES_TAKEN, /* its inputs may be changes; its outputs hold inserts only */
    WEIR_CHANGES_MADE, /* its inputs hold inserts only; output 0 is changes */
    WEIR_CHANGES_TAKEN_AND_MADE, /* its inputs may be changes; output 0 is */
};

struct weir_operator_type {
    const char *name;
    uint32_t self_bytes; /* zeroed memory, line-aligned, given as op->self */
    uint16_t input_cnt; /* 0: a source */
    uint16_t output_cnt; /* main output first, then side outputs; 0: a sink */
    /* How outputs are laid out when the operator materialises rows: true: columns. */
    bool columns;
    /* The operator sets watermarks of its own; those it is given end here, but for the MAX one. */
    bool sets_watermarks;

    int (*open)(struct weir_operator *op);
    /* Consume rows [cursor, in->cnt) (in selection order) of input `input`, emit into out[0..].
     * Returns rows consumed; fewer than offered when an output is full, when a watermark was set
     * (it is delivered before the rest), or when something outside must happen first (then out is
     * empty).
     * Negative: an error, which fails the task. in->watermark is what makes a row late. */
    int64_t (*process)(struct weir_operator *op, uint32_t input, const struct weir_view *in,
        uint32_t cursor, struct weir_out *out, int64_t now_ns);
    /* The operator's input watermark has risen to `watermark` (minimum over its active inputs).
     * Emit what it makes due; WEIR_AGAIN: call again with room; WEIR_DONE: it may be forwarded.
     * NULL: nothing is due ever. */
    int (*watermark)(
        struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns);
    /* Sources: emit what there is. WEIR_AGAIN: there is more; WEIR_WAIT: nothing now; WEIR_DONE:
     * the end of the data. An emitted watermark (weir_out_watermark) follows the rows of the
     * call. */
    int (*poll)(struct weir_operator *op, struct weir_out *out, int64_t now_ns);
    /* The operator's input has gone idle, or is active again. WEIR_WAIT: call again. NULL: no
     * care. An operator may say so itself of what it puts out (out[0].status), in any call. */
    int (*status)(struct weir_operator *op, bool idle);
    /* The task has run out of input: hand on what waits for company. WEIR_WAIT: call again. */
    int (*flush)(struct weir_operator *op);
    /* Which inputs it wants to read next, a bit each: what comes on others waits in their channels.
     * Asked before anything is taken in. What feeds such an operator is never fused with it, and
     * its job takes no checkpoints. 0, or none that has not ended: all. NULL: all, always. */
    uint32_t (*selects)(const struct weir_operator *op);
    /* Input `input` has ended. */
    int (*end_input)(struct weir_operator *op, uint32_t input, struct weir_out *out);
    /* All inputs have ended (or the source has): the last chance to emit. WEIR_WAIT: e.g. a write
     * is still under way. */
    int (*finish)(struct weir_operator *op, struct weir_out *out, int64_t now_ns);
    /* Give back all that open() took, whatever goes wrong meanwhile. Clean is true where finish()
     * was
     * done: a file sink publishes only then. An error fails the task, unless it failed before. */
    int (*close)(struct weir_operator *op, bool clean);
    /* A checkpoint begins: the last rows before its barrier, if any wait. WEIR_AGAIN: there are
     * more;
     * WEIR_WAIT: call again. Also called after finish(); then nothing may be emitted. */
    int (*barrier)(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns);
    /* Edges only: pass a barrier or a cancel marker on to every consumer, behind all rows.
     * WEIR_WAIT: call again. It may come before open(). */
    int (*send)(struct weir_operator *op, uint32_t slot_kind, const struct weir_mark *mark);
    /* Write down what is not in state pages, as it is right behind the barrier (parts.h). This is
     * the
     * stall: no I/O. An error declines the checkpoint. */
    int (*snapshot)(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts);
    /* Right after open(), where the operator was in the restored checkpoint: take up what
     * snapshot() wrote, of each of the parts_cnt subtasks that there were (state.h), whose readers
     * are at this operator's uid and are good until it returns. State pages were put back before
     * open(). A missing part is an error. */
    int (*restore)(
        struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);
    /* Make what belongs to the checkpoint ready to be committed, whatever happens afterwards: it is
     * acknowledged when all are WEIR_DONE. WEIR_WAIT: call again, in a later poll; rows go on
     * meanwhile. An error declines the checkpoint. */
    int (*precommit)(struct weir_operator *op, uint64_t id);
    /* The checkpoint, and with it all before it, is complete and durable: commit. Once per id; ids
     * rise, some are left out. A data-committing operator has this. An error fails the task. */
    int (*committed)(struct weir_operator *op, uint64_t id);
    /* The checkpoint will not be complete, whether it began here or not. What was pre-committed
     * belongs to the next one. */
    int (*aborted)(struct weir_operator *op, uint64_t id);
    /* Sources with side outputs: the schema of output 1 and up. */
    const struct weir_schema *(*side_schema)(uint32_t output);
    /* A source whose rows lie in memory of its own (a mapped file): others may still read them when
     * it has ended, so it is closed last, with the whole job. */
    bool lends_memory;
    /* Sources: whether what conf names can be read again from a saved position. NULL: it cannot. */
    bool (*replays)(const void *conf);
    /* The keyed states, by their names (state.h): [state_cnt]. */
    const struct weir_state_desc *states;
    uint32_t state_cnt;
    /* More of them, which conf names: the one at idx, from 0 on, NULL behind the last. NULL:
     * none. */
    const struct weir_state_desc *(*conf_state)(const void *conf, uint32_t idx);
    /* After open(): where the operator before this one may count rows itself (tally.h). NULL: it
     * may not. */
    struct weir_tally *(*tally)(struct weir_operator *op);
    /* Up to which checkpoint all is committed, durably, of what committed() was told. NULL: it is
     * when that returns. Not after close(). */
    uint64_t (*committed_id)(struct weir_operator *op);
    /* How the parts of all subtasks become those of one: [part_cnt]. */
    const struct weir_state_part *parts;
    uint32_t part_cnt;
    uint32_t changes; /* enum weir_changes */
    /* When timer() wants to be called next, in time of now_ns; INT64_MAX: not for now. It may
     * change with every call of the operator. NULL, with timer(): the operator keeps no time. */
    int64_t (*due_ns)(const struct weir_operator *op);
    /* due_ns() has come: do what is due by now, in slices. WEIR_AGAIN: there is more, or out is
     * full; WEIR_WAIT: call again; WEIR_DONE: due_ns() lies ahead again. Between two batches, and
     * never before all operators of the stage are open and restored, between a barrier and its
     * snapshot, behind finish(), or behind the barrier of a savepoint that stops the job: what is
     * pending then is dropped without a word, or lives on in state. */
    int (*timer)(struct weir_operator *op, struct weir_out *out, int64_t now_ns);
    /* How many letters (mailbox.h) may wait for it at a time. They come while it is open; what they
     * do ends before it is closed, or they are given back behind that. NULL: it takes none. */
    uint32_t (*letters)(const void *conf);
    /* Whether due_ns() will ever say a time, where conf and env decide: a stage that keeps no time
     * pays nothing for it. Before open(). NULL: it will, where there is due_ns(). */
    bool (*keeps_time)(const struct weir_operator *op);
    /* It lives once more where all its subtasks had ended before the restored checkpoint, for it
     * has something to tidy; any other is not even opened then, and only its end is passed on. */
    bool reopens;
    /* Whether it waits for threads of its own, in real time: not under the seeded poller, where
     * nothing but what is polled goes on. NULL: it does not. */
    bool (*has_threads)(const void *conf);
    /* Rows wait in it, so it hands watermarks on itself, behind them: those it is given end here,
     * but for the MAX one, which it holds back until no row waits. */
    bool keeps_watermarks;
    /* Rows still come out of it behind the MAX watermark, which ends here: finish() says it. */
    bool keeps_last;
    /* Between two calls of watermark() for one watermark a checkpoint may be taken: all that is
     * left to be done stands in state, and watermark() goes on from that, also behind a restore. */
    bool rests;
    /* Edges only: whether rows or events are kept that the channels had no room for, and a copy of
     * them for the checkpoint that begins; writer NULL: without one. */
    bool (*kept)(struct weir_operator *op, struct weir_flight_writer *writer);
    /* Whether the sources before it in its stage are not to be polled now: it is too far ahead of
     * others (alignment.h). Asked before each poll of theirs. NULL: never. */
    bool (*holds)(const struct weir_operator *op);
    /* Sources that begin checkpoints themselves, where what they read says so. Asked after each
     * poll() that is not the last: one begins behind the rows of that poll, and this is the number
     * that what they read gives it; numbers rise, and all such sources of a job say the same ones.
     * 0: none begins here. Until they have ended no other checkpoint is taken. NULL: it begins
     * none. */
    uint64_t (*begins)(const struct weir_operator *op);
    /* Sources: a request to stop or drain the job does not end it: it ends by itself when others
     * have, unless what it would still say is in a savepoint that stops the job. */
    bool ends_itself;
    /* Sources and sinks: their rows neither come from outside the job nor leave it, and are not
     * counted as if they did. */
    bool is_inner;
    /* All that it keeps lies in tables that it takes in open(), of keys and values that refer to
     * nothing else, and it looks keys up anew in every call: key groups can move from one of its
     * subtasks to another while it runs (handover.h). */
    bool moves;
};

/* One operator of one subtask; the stage owns it. */
struct weir_operator {
    const struct weir_operator_type *type;
    const void *conf; /* the operator's parameters: borrowed from the graph, read-only */
    void *self;
    const struct weir_operator_env *env;
    const char *uid; /* of its state; borrowed */
    const struct weir_schema *in_schema[WEIR_OPERATOR_INPUT_CNT_MAX];
    const struct weir_schema *out_schema[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    int64_t watermark; /* input watermark so far */
    /* Behind the barrier of a savepoint that stops the job: what waits in it is saved, and must not
     * come out here, too. */
    bool is_saved;
    bool is_idle; /* the status that was handed on last */
    bool keeps; /* edges: what has no room is kept, for a barrier does not wait */
    /* Counters, written by the stage's core only. */
    uint64_t rows_in; /* of a source: what it read; it adds itself what it does not hand on */
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
    uint64_t timers_fired;
    /* Sources of a known end: how far they are, in a unit of their own (rows, bytes). 0: not
     * known. */
    uint64_t work_done;
    uint64_t work_all;
};

/* weir_operator_utc_ms - processing time as users count it: ms of UTC. It never goes back while the
 * job runs, for it follows now_ns and not the host's calendar. */
static inline int64_t
weir_operator_utc_ms(const struct weir_operator *op, int64_t now_ns)
{
    int64_t utc_ns = weir_add_sat(now_ns, op->env->utc_off_ns);
    return utc_ns / WEIR_MS - (utc_ns % WEIR_MS < 0);
}

/* weir_operator_due_ns - the first now_ns at which weir_operator_utc_ms() has reached utc_ms;
 * INT64_MAX where it never will. */
static inline int64_t
weir_operator_due_ns(const struct weir_operator *op, int64_t utc_ms)
{
    int64_t utc_ns;
    if (__builtin_mul_overflow(utc_ms, WEIR_MS, &utc_ns)) {
        return utc_ms < 0 ? INT64_MIN : INT64_MAX;
    }
    return weir_sub_sat(utc_ns, op->env->utc_off_ns);
}

#endif
