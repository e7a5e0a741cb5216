/* SPDX-License-Identifier: Apache-2.0 */
/* task_priv.h: what task_life.c (states), task.c (rows) and task_cut.c (checkpoints) share. */
#ifndef WEIR_DATAPLANE_TASK_PRIV_H
#define WEIR_DATAPLANE_TASK_PRIV_H

#include "base/mbox.h"
#include "dataplane/flight.h"
#include "dataplane/mailbox.h"
#include "dataplane/parts.h"
#include "dataplane/task.h"

#define TASK_GATE_NONE UINT32_MAX
#define TASK_SOURCE_NONE UINT32_MAX
/* Beside the enum weir_task_request: weir_task_fail was called. */
#define TASK_REQUEST_FAIL (WEIR_TASK_REQUEST_CANCEL + 1)
/* Beside the enum weir_status of a step: hold_fn or begin_fn says to wait. */
#define TASK_HELD 3

/* Rows of a poll where their work costs nothing to speak of: more than its steps can take. */
#define TASK_PIECE_ROW_CNT_MAX (UINT32_C(1) << 24)

/* How far a task is with what a barrier, a marker or a letter has made due. Between PICK and NONE
 * nothing is taken in. */
enum task_cut_step {
    TASK_CUT_NONE,
    TASK_CUT_PICK, /* the next thing that is due */
    TASK_CUT_HOOKS, /* of `mark`, before its barrier */
    TASK_CUT_SEND, /* `mark`, as a slot of `slot_kind` */
    TASK_CUT_BEGIN, /* its snapshot: begin_fn said to wait */
};

/* Rows under way that are being copied. */
struct weir_task_flight {
    bool is_on;
    uint64_t id; /* of their checkpoint */
    struct weir_flight_writer writer;
    uint64_t row_cnt;
    uint32_t gate_at; /* whose turn it is */
};

struct weir_task_regained {
    const struct weir_task_edge *edge;
    struct weir_flight_entry *entry; /* the task's own: what it was read from goes before */
};

/* Rows under way of the checkpoint that was restored, this task's. */
struct weir_task_regain {
    struct weir_task_regained *items;
    uint32_t cnt;
    uint32_t room;
    uint32_t at; /* those before it were offered */
    struct weir_view view;
    uint16_t *rows; /* of the view that are the task's */
    uint64_t *hash;
};

struct weir_task_cut {
    bool is_on;
    bool looks; /* unaligned barriers may come */
    bool asks_hold; /* hold_fn is to be asked */
    struct weir_task_checkpoints conf;
    struct weir_mbox *mbox;
    struct weir_barrier *barrier;
    void *barrier_mem;
    uint32_t source_channel; /* the sources of the task as a channel */
    enum task_cut_step step;
    const struct weir_barrier_result *due; /* NULL: nothing */
    uint32_t abort_at; /* progress over due->aborts */
    bool declined_early; /* a marker of decline_id is due: it came before the task ran */
    uint64_t decline_id;
    uint32_t slot_kind;
    struct weir_mark mark;
    bool is_unaligned; /* `mark` did not wait for all barriers */
    struct weir_barrier_gauges gauges;
    struct weir_task_flight flight;
    uint64_t refused_id; /* the last that came before the rows of the restored one were done with */
    uint32_t end_gate; /* ended with what is due: its end is told behind the cut */
    bool is_parked; /* a TRIGGER that came while another was worked on */
    struct weir_mark parked;
    uint64_t id_min; /* of a checkpoint that may still begin here */
    uint64_t notified_min; /* ids below were notified, or passed over */
    uint64_t aborted[WEIR_TASK_ABORTED_CNT_MAX];
    uint32_t aborted_cnt; /* ever */
    uint64_t flying[WEIR_TASK_FLYING_CNT_MAX]; /* oldest first */
    uint32_t flying_cnt;
    uint64_t told_id; /* the last that operators were told to commit */
    uint64_t committed_id; /* the last that was reported */
    bool is_stopping; /* behind the barrier of stop_id no source emits, until that is complete */
    uint64_t stop_id;
    bool is_final; /* a checkpoint has begun behind all data */
    uint64_t final_id;
    bool is_final_complete;
    bool said_waits;
    uint32_t begin_source; /* of the task's sources: the one that begins checkpoints, or none */
    uint64_t begin_number; /* the last that it has begun */
    bool is_begun; /* sources stand still until the coordinator has answered */
    uint64_t moved_id; /* the last with which key groups have moved */
    uint64_t given_up_id; /* such a one that was given up before it came: said behind it */
};

/* What is published: `own` parts by the polling core, read by nobody else; `shown` by others. */
struct task_shown {
    struct weir_operator_counters op[WEIR_CHAIN_NODE_CNT_MAX];
    struct weir_task_counters task;
    uint64_t pad[16];
    WEIR_ATOMIC(uint64_t) op_shown[WEIR_CHAIN_NODE_CNT_MAX][WEIR_OPERATOR_COUNTER_CNT];
    WEIR_ATOMIC(uint64_t) task_shown[WEIR_TASK_COUNTER_CNT];
};

struct weir_task {
    const char *name;
    struct weir_chain *chain;
    struct weir_mailbox *mailbox; /* NULL: no operator takes letters */
    struct weir_task_gate *gates;
    uint32_t gate_cnt;
    uint32_t gate_next;
    uint32_t source_next;
    uint32_t held_gate; /* the gate whose batch is in the chain, or UINT32_MAX */
    uint32_t source_cnt;
    uint32_t source_open_cnt;
    uint32_t source_poll_cnt; /* the same, or 0 while a barrier blocks them */
    uint32_t sources[WEIR_CHAIN_NODE_CNT_MAX];
    bool source_ended[WEIR_CHAIN_NODE_CNT_MAX];
    bool begun; /* polled since its operators are open */
    bool flushed; /* nothing was taken in since the last flush */
    bool is_timed; /* an operator keeps time */
    bool marker_waits; /* a latency marker is on its way, and an output is full */
    int64_t marker_interval_ns; /* 0: its sources send none */
    int64_t marker_due_ns;
    uint32_t marker_next; /* the source that sends the next one of this time */
    bool is_selective; /* an operator chooses the inputs that it reads */
    bool is_fired; /* what was taken in last is something that was due */
    bool is_quiet; /* nothing fires behind the barrier of a savepoint that stops the job */
    uint32_t seen; /* of what was asked for: the sources were stopped */
    struct weir_gate_item item;
    /* of the batch that is held, where it is worked on in pieces */
    struct weir_view piece;
    uint32_t piece_at; /* rows of it that were offered */
    uint32_t piece_rows; /* what a poll may take; UINT32_MAX: it is not counted */
    uint32_t poll_rows; /* what this one has taken */
    int64_t poll_ns; /* when it began */
    bool copied; /* in this poll, rows under way */
    struct weir_task_cut cut;
    struct weir_task_regain regain;
    const struct weir_task_edge *edges;
    uint32_t edge_cnt;
    int64_t init_ns; /* that it took to open its operators; 0: they are not open */
    int64_t begin_ns;
    int64_t end_ns;
    struct weir_cause cause;
    weir_task_state_fn *state_fn;
    void *state_arg;
    /* writer: the polling core; read by others */
    WEIR_ATOMIC(uint32_t) state;
    struct task_shown shown;
    /* writer: any thread */
    WEIR_ATOMIC(uint32_t) request; /* enum weir_task_request, or TASK_REQUEST_FAIL */
    WEIR_ATOMIC(uint32_t) fail_cnt; /* who finds 0 writes what follows, before the request */
    int fail_error;
    char fail_why[WEIR_CAUSE_BYTES];
};

/* weir_task_asked - what was asked for last: an enum weir_task_request, or TASK_REQUEST_FAIL. */
uint32_t weir_task_asked(const struct weir_task *task);
/* weir_task_life_stop - `asked` says to cancel or to fail: close, and end so. */
enum weir_task_poll weir_task_life_stop(struct weir_task *task, uint32_t asked);
/* weir_task_life_deploy - the first poll: open, take up what was saved, run. */
enum weir_task_poll weir_task_life_deploy(struct weir_task *task, int64_t now_ns);
/* weir_task_life_fail - an operator or the task itself has failed of error: the first cause is
 * kept, operators are closed at once. Canceled, where the error says so, or it was asked for. */
enum weir_task_poll weir_task_life_fail(struct weir_task *task, int error);
enum weir_task_poll weir_task_life_cancel(struct weir_task *task);
/* weir_task_life_finish - all operators have finished: hand on what is left, close, and end. */
enum weir_task_poll weir_task_life_finish(struct weir_task *task, int64_t now_ns);

/* weir_task_cut_new, weir_task_cut_delete - memory and numbers of channels. WEIR_ENOMEM,
 * WEIR_EPLAN. */
int weir_task_cut_new(struct weir_task *task, const struct weir_task_checkpoints *conf);
void weir_task_cut_delete(struct weir_task *task);
/* weir_task_cut_letters - take letters. 0 or an error. */
int weir_task_cut_letters(struct weir_task *task, int64_t now_ns);
/* weir_task_cut_run - go on with what is due. WEIR_DONE: nothing is; WEIR_AGAIN, WEIR_WAIT (an
 * output is full), or an error: take nothing in. */
int weir_task_cut_run(struct weir_task *task, uint32_t step_cnt, int64_t now_ns);
/* weir_task_cut_precommit - go on with those that wait for it, oldest first. */
void weir_task_cut_precommit(struct weir_task *task);
/* weir_task_cut_committed - report what has been committed since the last time. */
void weir_task_cut_committed(struct weir_task *task);
/* weir_task_cut_event - a barrier, a marker or an end in task->item, of gate g. True: something is
 * due. */
bool weir_task_cut_event(struct weir_task *task, uint32_t g, int64_t now_ns);
/* weir_task_cut_sources_end - the last source has ended. True: something is due. */
bool weir_task_cut_sources_end(struct weir_task *task, int64_t now_ns);
/* weir_task_cut_free_sources - they are polled, unless something of a checkpoint holds them. */
void weir_task_cut_free_sources(struct weir_task *task);
/* weir_task_begin_find - which source begins checkpoints: task_begin.c. WEIR_EPLAN: two do.
 * weir_task_begin_look - it was polled. Positive: it begins one; 0; WEIR_EDATA: its number is not
 * above the one before. weir_task_begin_end - it has ended. */
int weir_task_begin_find(struct weir_task *task);
int weir_task_begin_look(struct weir_task *task);
void weir_task_begin_end(struct weir_task *task);
/* weir_task_open - open the operators, tail first, and let each take up what was saved of it:
 * task_restore.c. WEIR_ECANCELED: it was asked to stop meanwhile. */
int weir_task_open(struct weir_task *task, int64_t now_ns);
/* weir_task_gate_name - of the part that a gate writes. */
#define TASK_GATE_NAME_BYTES 16
#define TASK_GATE_PART_VERSION 1
void weir_task_gate_name(const struct weir_task_gate *tg, char *name);
/* weir_task_end_source - source s of the task has nothing more: clean as in chain.h. */
void weir_task_end_source(struct weir_task *task, uint32_t s, bool clean, int64_t now_ns);
/* weir_task_cut_waits - all data is processed: whether the end waits for a checkpoint. */
bool weir_task_cut_waits(struct weir_task *task);
/* weir_task_cut_end - the task is in a terminal state: no letters any more. */
void weir_task_cut_end(struct weir_task *task);
/* weir_task_mail_new - the mailbox, if an operator of the chain takes letters. Errors: as
 * weir_mailbox_new. The others are for tasks that have one. */
int weir_task_mail_new(struct weir_task *task, const struct weir_chain_conf *conf);
/* weir_task_mail_drain - no new ones from here on, and all that are there: 0, or an error. */
int weir_task_mail_drain(struct weir_task *task, int64_t now_ns);
/* weir_task_has_piece - whether rows of the batch that is held were not offered yet. */
static inline bool
weir_task_has_piece(const struct weir_task *task)
{
    return task->held_gate != UINT32_MAX && task->piece_rows != UINT32_MAX &&
           task->piece_at < task->item.view.cnt;
}
/* weir_task_release - the batch in the chain is done with; not where pieces of it are left. */
void weir_task_release(struct weir_task *task);

/* weir_task_cut_announce - word of a barrier that stands behind rows, of gate g.
 * weir_task_cut_pass - all that lies before the barrier of the one that is copied is, on a channel.
 * weir_task_cut_time - an alignment has taken too long.
 * weir_task_cut_refuse - a checkpoint cannot begin here yet.
 * weir_task_cut_give_up - the one that is copied: declined. */
void weir_task_cut_announce(
    struct weir_task *task, uint32_t g, const struct weir_gate_item *item, int64_t now_ns);
void weir_task_cut_pass(struct weir_task *task, uint32_t channel, int64_t now_ns);
void weir_task_cut_time(struct weir_task *task, int64_t now_ns);
void weir_task_cut_refuse(struct weir_task *task, uint64_t id);
void weir_task_cut_give_up(struct weir_task *task, enum weir_decline why, int error);

/* ---- task_move.c ---- */

/* weir_task_move_delays - a trigger is to wait: one with which key groups move cannot be declined,
 * for others may move them; nor may a later one put an end to it.
 * weir_task_move_goes_on - it was given up, and key groups move all the same; what it holds is done
 * with behind it, when weir_task_move_was_given_up.
 * weir_task_move - behind its barrier: WEIR_DONE, TASK_HELD: once more, or an error.
 * weir_task_move_write - the key groups that the task has. */
bool weir_task_move_delays(const struct weir_task *task, const struct weir_mark *mark);
bool weir_task_move_goes_on(struct weir_task_cut *cut, const struct weir_mark *mark);
bool weir_task_move_was_given_up(const struct weir_task_cut *cut);
WEIR_MUST_USE int weir_task_move(struct weir_task *task);
void weir_task_move_write(const struct weir_task *task, struct weir_parts_writer *parts);

/* ---- task_flight.c: rows under way ---- */

/* weir_task_flight_look - for word of barriers, and for the time; once per poll. */
void weir_task_flight_look(struct weir_task *task, int64_t now_ns);
/* weir_task_flight_begin - the parts are written: a copy of what edges keep, and from here on of
 * what lies before the missing barriers. 0 or the error of flight_fn. */
int weir_task_flight_begin(struct weir_task *task);
/* weir_task_flight_copy - a slice. Returns whether there was something to copy. */
bool weir_task_flight_copy(struct weir_task *task, int64_t now_ns);
/* weir_task_flight_took - task->item came off gate g: it is copied before it is worked on. */
void weir_task_flight_took(struct weir_task *task, uint32_t g);
/* weir_task_flight_whole - nothing is missing any more: CAPTURED. weir_task_flight_drop - nobody
 * wants it. */
void weir_task_flight_whole(struct weir_task *task, const struct weir_barrier_gauges *gauges);
void weir_task_flight_drop(struct weir_task *task);

/* ---- task_regain.c: those of the checkpoint that was restored ---- */

static inline bool
weir_task_regains(const struct weir_task *task)
{
    return task->regain.at < task->regain.cnt;
}
/* weir_task_regain_list - find this task's. weir_task_regain_next - offer the next of them; 0 or an
 * error. */
int weir_task_regain_list(struct weir_task *task);
int weir_task_regain_next(struct weir_task *task);
void weir_task_regain_free(struct weir_task *task);

#endif
