/* SPDX-License-Identifier: Apache-2.0 */
/* job_checkpoint_priv.h: the storage core's state, shared by job_checkpoint*.c.
 *
 * A slot is one task's part of one checkpoint:
 *
 *   FREE -> lent to the core, which fills the parts -> SAID -> WRITING -> DURABLE -> FREE
 *                                                       |         |          |
 *                                                       |     ABORTING -> UNLINKING
 *                                                       '-> TIDYING <--------'-> FREE
 */
#ifndef WEIR_SCHED_JOB_CHECKPOINT_PRIV_H
#define WEIR_SCHED_JOB_CHECKPOINT_PRIV_H

#include <pthread.h>
#include <semaphore.h>

#include "base/doorbell.h"
#include "base/mbox.h"
#include "dataplane/operators/file_sink.h"
#include "dataplane/parts.h"
#include "dataplane/task_file.h"
#include "io/relay.h"
#include "sched/job_checkpoint.h"
#include "sched/job_part.h"
#include "sched/job_restore.h"
#include "sched/store.h"

#define CP_NONE UINT32_MAX
/* Room for the small parts of a task: address space, of which what is used is touched. */
#define CP_PARTS_BYTES (16 * WEIR_MIB)
/* Rows under way to a task, or kept by it, that a checkpoint can hold, unless it is told otherwise:
 * address space likewise. More declines it. */
#define CP_FLIGHT_BYTES (256 * WEIR_MIB)
/* One more than may be under way, for what is left of one that was given up. */
#define CP_SLOT_CNT_MAX 5
/* Checkpoints that are known at a time: pending ones and those that wait for commits. */
#define CP_FLIGHT_CNT_MAX 64
/* Letters that wait for a task whose mailbox is full: no core reads them, so its job is stuck. */
#define CP_OUT_CNT 128
#define CP_WHY_BYTES 384

/* Of storage's own mailbox, beside enum weir_task_report_kind. */
#define CP_LETTER_STOP 100
#define CP_LETTER_SAVEPOINT 101 /* args[0]: its ticket */
#define CP_LETTER_RELEASE 102 /* args[0]: its id */
#define CP_LETTER_ENDED 103 /* args[0]: the task's state */
#define CP_LETTER_MOVE 104 /* args: ticket, vertex, to, first, last */

enum cp_slot_state {
    SLOT_FREE, /* or lent to the core */
    SLOT_SAID,
    SLOT_WRITING,
    SLOT_DURABLE,
    SLOT_ABORTING,
    SLOT_UNLINKING,
    SLOT_TIDYING,
};

struct cp_slot {
    struct weir_relay relay; /* first; UNLINKING */
    /* writer: the core sets it, the storage core clears it */
    WEIR_ATOMIC(uint32_t) is_lent;
    /* writer: the core, until its letter */
    uint64_t id;
    char *parts;
    char *flight; /* NULL: barriers overtake nothing */
    bool has_epoch; /* of the arena */
    uint64_t page_bytes; /* in use when it began */
    int64_t stall_ns;
    /* writer: the storage core */
    enum cp_slot_state state;
    bool is_precommitted;
    bool is_acked;
    int32_t dir; /* UNLINKING */
    struct weir_snapshot *writer;
    struct weir_task_file file;
    struct weir_snapshot_source source;
    struct weir_parts_reader reader;
    struct weir_ledger_entry *entry;
    uint32_t entry_cnt;
};

struct cp_out {
    uint32_t kind; /* enum weir_task_letter */
    struct weir_mark mark;
};

struct cp_stage {
    struct weir_job_checkpoint *checkpoint;
    uint32_t idx;
    struct weir_task_checkpoints conf;
    struct weir_arena *arena; /* NULL: no state pages */
    struct weir_capture capture;
    bool commits;
    uint32_t channel_cnt; /* ends of channels that the task has */
    struct cp_slot *slot; /* slot_cnt of the job */
    /* writer: the core */
    uint32_t open_slot; /* begun, its snapshot is not said yet */
    uint64_t begin_id; /* the newest that was to begin, and when */
    int64_t begin_ns;
    int64_t held_at_ns; /* the last poll that was held; 0: it was not */
    struct weir_ledger_entry *last; /* at the task's end */
    uint32_t last_cnt;
    char why[CP_WHY_BYTES];
    /* writer: both */
    WEIR_ATOMIC(uint32_t) has_why; /* the core sets it, the storage core clears it */
    WEIR_ATOMIC(int64_t) held_ns; /* writer: the core; of the newest snapshot */
    /* writer: the storage core */
    enum weir_coordinator_task_state state;
    bool has_ended;
    bool waits;
    uint64_t wait_seq; /* of its wait among all */
    bool has_begins; /* a source of its begins checkpoints, and has not ended */
    struct weir_snapshot_ack *chain; /* files of the last complete checkpoint, the full one first */
    uint32_t chain_cnt;
    struct cp_out out[CP_OUT_CNT];
    uint32_t out_at;
    uint32_t out_cnt;
};

/* What is known of one checkpoint. */
struct cp_flight {
    uint64_t id; /* 0: free */
    int64_t triggered_ns;
    uint64_t wait_seq; /* waits up to it end with this one */
    bool is_savepoint; /* beside the timeline */
    struct weir_job_checkpoint_record record;
    bool *is_finished; /* [stage] */
    bool *is_untold; /* [stage]: its ack is needed, and it was not told to begin */
    struct weir_mark mark;
    uint64_t number; /* of the sources that have begun it; 0: they have not */
};

/* Whether storage takes checkpoints again: job_checkpoint_probe.c. */
struct cp_probe {
    struct weir_relay relay; /* first: a step gets a pointer to it */
    bool is_held; /* none begins */
    bool wants_hold;
    bool is_running;
    uint32_t fail_cnt; /* in a row */
    int64_t at_ns; /* of the next try */
    int32_t dir;
    int32_t file;
    int err;
    bool is_gone; /* the directory has no name any more: nothing can be put there, ever */
    uint64_t bytes;
    char page[WEIR_PAGE_BYTES];
};

/* Key groups that are to move: job_checkpoint_move.c. */
struct cp_move {
    struct weir_job_move asked; /* ticket 0: there is nothing, or it was answered */
    struct weir_handover *handover;
    bool is_asked; /* the coordinator knows of it */
    uint64_t id; /* of its checkpoint; 0: it has not begun */
    bool is_stored;
    bool is_aborted;
    /* It is under way: its barrier goes on whatever becomes of its checkpoint, and no other may
     * overtake it. */
    bool holds;
    bool has_moved;
};

enum cp_store_job { STORE_IDLE, STORE_COMMITS, STORE_TIDIES };

struct weir_job_checkpoint {
    struct weir_job *job;
    struct weir_job_checkpoint_options options;
    struct weir_io *io;
    struct weir_job_restore_conf restore_conf;
    struct weir_job_restore *restore;
    struct weir_store *store; /* restore's */
    struct weir_coordinator *coordinator;
    struct weir_mbox *mbox;
    struct weir_doorbell *doorbell;
    struct cp_stage *stage;
    uint32_t stage_cnt;
    uint32_t slot_cnt;
    struct weir_ledger_channel *channel;
    struct weir_file_sink_conf **sink; /* [operator of the graph], NULL where it is none */
    struct cp_flight flight[CP_FLIGHT_CNT_MAX];
    /* writer: the storage core */
    int64_t now_ns;
    bool begun;
    bool worked; /* in this poll */
    bool is_suspended;
    bool is_halted; /* the coordinator says nothing more, and the files stay */
    uint32_t ended_cnt;
    bool is_last; /* the coordinator knows that all that is left waits for its last checkpoint */
    enum cp_store_job store_job;
    uint64_t storing_id; /* to be stored, or being it; 0: none */
    bool tidy_wanted;
    uint64_t notified_id; /* the last that tasks were told */
    uint64_t finished_id; /* up to which finished tasks count as having committed */
    uint64_t wait_seq;
    bool is_left; /* the coordinator knows that sources begin the checkpoints */
    uint64_t begun_number; /* the last that a source has begun, of all */
    int64_t retry_ns; /* when a checkpoint that somebody waits for is asked for again */
    struct cp_probe probe;
    bool is_held; /* the coordinator knows that none is to begin */
    bool stop_wanted;
    bool stop_asked;
    uint64_t savepoint_ticket; /* wanted, and not answered yet; 0: none */
    bool savepoint_asked; /* the coordinator knows of it */
    uint64_t kept_id; /* beside the timeline, and read by somebody; 0: none */
    struct cp_move move;
    bool is_ended_badly; /* a task has */
    uint64_t release_id; /* a kept one that nobody reads any more; 0: none */
    int error;
    char error_text[WEIR_COORDINATOR_TEXT_BYTES + WEIR_STORE_TEXT_BYTES];
    /* the thread */
    pthread_t thread;
    bool has_thread;
    sem_t ready;
    int start_err;
    char start_text[1024];
    WEIR_ATOMIC(uint32_t) is_quit; /* nothing was started: end */
    /* what others look at */
    pthread_mutex_t look_mutex;
    struct weir_job_checkpoint_view view;
    struct weir_job_checkpoint_record *records;
};

/* The ticket of a stop. */
#define CP_TICKET_STOP 1
/* And of a move. */
#define CP_TICKET_MOVE 2

/* weir_job_checkpoint_note_running - tell the coordinator of tasks that run by now. */
void weir_job_checkpoint_note_running(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_drain - do what the coordinator says; after each message to it. */
void weir_job_checkpoint_drain(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_hold - tell the coordinator whether one may begin, if that has changed. */
void weir_job_checkpoint_hold(struct weir_job_checkpoint *checkpoint);
struct cp_flight *weir_job_checkpoint_flight(struct weir_job_checkpoint *checkpoint, uint64_t id);

/* ---- job_checkpoint_post.c: letters to tasks ---- */

/* weir_job_checkpoint_post_members - to all whose ack is needed. weir_job_checkpoint_post_trigger -
 * to those that are to begin. weir_job_checkpoint_post_waits - a task waits for its last
 * checkpoint. weir_job_checkpoint_post_out - what has been posted and not been taken. */
void weir_job_checkpoint_post_members(struct weir_job_checkpoint *checkpoint,
    const struct weir_coordinator_out *out, enum weir_task_letter kind);
void weir_job_checkpoint_post_trigger(struct weir_job_checkpoint *checkpoint,
    struct cp_flight *flight, const struct weir_coordinator_out *out);
void weir_job_checkpoint_post_waits(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_post_rest - to those that have not been told to begin a checkpoint, and would
 * be by barriers. */
void
weir_job_checkpoint_post_rest(struct weir_job_checkpoint *checkpoint, struct cp_flight *flight);
/* weir_job_checkpoint_post_begun - to a task whose source has begun the checkpoint of a flight;
 * NULL: one that does not take place. weir_job_checkpoint_post_end - to one whose source has ended,
 * what it has missed. */
void weir_job_checkpoint_post_begun(struct cp_stage *stage, struct cp_flight *flight);
void weir_job_checkpoint_post_end(struct cp_stage *stage);
void weir_job_checkpoint_post_out(struct cp_stage *stage);
/* weir_job_checkpoint_is_awaited - the end of the job waits for a last checkpoint. */
bool weir_job_checkpoint_is_awaited(const struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_fail - the job has to end. */
void weir_job_checkpoint_fail(struct weir_job_checkpoint *checkpoint, int err, const char *text);

/* ---- job_checkpoint_task.c: slots ---- */

int weir_job_checkpoint_slots_new(struct cp_stage *stage);
/* weir_job_checkpoint_slots_open - their writers; io has started. */
int weir_job_checkpoint_slots_open(struct cp_stage *stage);
/* weir_job_checkpoint_slots_rest - on the files that the pages were restored from, if they can. */
void weir_job_checkpoint_slots_rest(struct cp_stage *stage);
/* weir_job_checkpoint_slots_close - what they have of io; by its owner. */
void weir_job_checkpoint_slots_close(struct cp_stage *stage);
void weir_job_checkpoint_slots_delete(struct cp_stage *stage);
/* weir_job_checkpoint_letter - what a task has said. */
void weir_job_checkpoint_letter(
    struct weir_job_checkpoint *checkpoint, const struct weir_letter *letter);
void weir_job_checkpoint_slot_poll(struct cp_stage *stage, struct cp_slot *slot);
/* weir_job_checkpoint_slot_drop - no checkpoint will use it. */
void weir_job_checkpoint_slot_drop(struct cp_stage *stage, struct cp_slot *slot);
void weir_job_checkpoint_slot_free(struct cp_slot *slot);
/* weir_job_checkpoint_slot_of - of a checkpoint, or NULL. */
struct cp_slot *weir_job_checkpoint_slot_of(const struct cp_stage *stage, uint64_t id);

/* ---- job_checkpoint_probe.c ---- */

/* weir_job_checkpoint_probe_failed, weir_job_checkpoint_probe_passed - how a checkpoint ended. */
void weir_job_checkpoint_probe_failed(struct weir_job_checkpoint *checkpoint);
void weir_job_checkpoint_probe_passed(struct weir_job_checkpoint *checkpoint);
void weir_job_checkpoint_probe_poll(struct weir_job_checkpoint *checkpoint);
int64_t weir_job_checkpoint_probe_due_ns(const struct weir_job_checkpoint *checkpoint);
void weir_job_checkpoint_probe_end(struct weir_job_checkpoint *checkpoint);

/* ---- job_checkpoint_check.c ---- */

/* weir_job_checkpoint_check - its stages are made. WEIR_ECONFIG, WEIR_ESTRICT, WEIR_EGRAPH. */
int weir_job_checkpoint_check(struct weir_job_checkpoint *checkpoint);

/* ---- job_checkpoint_begin.c: checkpoints that sources begin ---- */

/* weir_job_checkpoint_begins - a source of the stage does, and has not ended. */
bool weir_job_checkpoint_begins(const struct cp_stage *stage);
/* weir_job_checkpoint_begun - a source of the stage has; 0: it has ended. */
void weir_job_checkpoint_begun(struct cp_stage *stage, uint64_t number);
/* weir_job_checkpoint_begin_look - tell the coordinator whether sources do. */
void weir_job_checkpoint_begin_look(struct weir_job_checkpoint *checkpoint);

/* ---- job_checkpoint_move.c: key groups that move ---- */

/* weir_job_checkpoint_move_take - a request has come. weir_job_checkpoint_move_refuse - the
 * coordinator has ended: one that waits is answered. weir_job_checkpoint_wants_move - the
 * coordinator is to be asked, with what weir_job_checkpoint_move_ask says.
 * weir_job_checkpoint_move_begin - a checkpoint is about to be triggered: if it is a move's, that
 * is set. weir_job_checkpoint_moves - whether key groups move with the barrier of checkpoint `id`.
 * weir_job_checkpoint_move_answered - the coordinator's answer. weir_job_checkpoint_move_poll -
 * whether it is over. weir_job_checkpoint_move_left - the task of a stage has ended; its core.
 * weir_job_checkpoint_move_fn - as in dataplane/task.h; a task's core. */
void
weir_job_checkpoint_move_take(struct weir_job_checkpoint *cp, const struct weir_letter *letter);
void weir_job_checkpoint_move_refuse(struct weir_job_checkpoint *cp);
bool weir_job_checkpoint_wants_move(const struct weir_job_checkpoint *cp);
void weir_job_checkpoint_move_ask(
    struct weir_job_checkpoint *cp, struct weir_checkpoint_request *ret_request);
void weir_job_checkpoint_move_begin(
    struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out);
bool weir_job_checkpoint_moves(const struct weir_job_checkpoint *cp, uint64_t id);
void weir_job_checkpoint_move_answered(
    struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out);
void weir_job_checkpoint_move_poll(struct weir_job_checkpoint *cp);
void weir_job_checkpoint_move_left(const struct cp_stage *stage);
int weir_job_checkpoint_move_fn(void *arg, struct weir_task *task, const struct weir_mark *mark);

/* ---- job_checkpoint_save.c ---- */

/* weir_job_checkpoint_saved - the coordinator's answer about a savepoint. Returns: true: it has to
 * be asked for again, because tasks begin still. */
bool weir_job_checkpoint_saved(
    struct weir_job_checkpoint *checkpoint, const struct weir_coordinator_out *out);
/* weir_job_checkpoint_is_new_output - a savepoint was restored, and of its output nothing is at
 * this sink's place: it says so. */
bool weir_job_checkpoint_is_new_output(
    struct weir_job_checkpoint *checkpoint, const struct weir_file_sink_conf *sink);
/* weir_job_checkpoint_save_refuse - the coordinator has ended: one that waits still is not
 * taken. */
void weir_job_checkpoint_save_refuse(struct weir_job_checkpoint *checkpoint);

/* ---- job_checkpoint_run.c ---- */

/* weir_job_checkpoint_start_store - which checkpoint is the truth, and its state into its place; io
 * has started. */
int weir_job_checkpoint_start_store(struct weir_job_checkpoint *checkpoint);

/* ---- job_checkpoint_store.c ---- */

/* weir_job_checkpoint_store_poll - commit what is to be stored, tidy. */
void weir_job_checkpoint_store_poll(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_completed - files of id are the base of those that follow. */
void
weir_job_checkpoint_completed(struct weir_job_checkpoint *checkpoint, struct cp_flight *flight);

#endif
