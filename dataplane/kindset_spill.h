/* SPDX-License-Identifier: Apache-2.0 */
/* kindset_spill.h: the second phase of keyed state that is larger than its pages: what does not fit
 * lies in a store on disk (io/kv.h), a record a key, and comes back when a batch wants it.
 *
 *     rows of a batch --> weir_spill_want: all their keys are here?   WEIR_DONE: go on as ever
 *                                           no: asked for, all at once; WEIR_WAIT
 *     pages nearly full --> keys that no row has wanted of late go out, with the same exchange
 *
 * A table in the same pages tells which keys are here; a key that is here has all of its states in
 * the usual tables (kindset.h), and the store's record of it counts for nothing. So a snapshot of
 * the pages and a checkpoint of the store, taken at one barrier, are the state: nothing has to be
 * written out for it. Who works in memory only has no spill, and pays nothing.
 *
 * [format: State / Keys on disk (WEIR_SPILL_VERSION)]
 *
 *     key      hash u64, big-endian | the words of the key, or its text
 *     record   version u32, then of each state that has something:
 *              id u32 | bytes u32 | its bytes: an inline value as in its table, or items
 *     item     time i64 | key_bytes u32 | val_bytes u32 | key | value
 *
 * Items of a list or map follow each other in their order; nothing is aligned.
 *
 * [end of format]
 *
 * Order: a batch waits for its last key; none of its rows goes before.
 *
 * Thread: the stage's core. Errors: those of the store; WEIR_EBUDGET; WEIR_EFORMAT: a record is not
 *         one of these; WEIR_ESTATE: it has a state that the operator does not declare.
 */
#ifndef WEIR_DATAPLANE_KINDSET_SPILL_H
#define WEIR_DATAPLANE_KINDSET_SPILL_H

#include "dataplane/kindset.h"
#include "io/kv.h"

WEIR_C_BEGIN

#define WEIR_SPILL_VERSION 1
#define WEIR_SPILL_STATE "here" /* the state that tells which keys are here */
/* Checkpoints that are remembered until they may go. */
#define WEIR_SPILL_KEPT_CNT_MAX 64

/* The values of that state: which keys are here is no part of a savepoint, what they have is
 * (kindset_spill_rows.h). */
extern WEIR_API const struct weir_state_values weir_spill_values;

/* Names of stores end so, those of their checkpoints do not: what a start finds of them is of no
 * use. */
#define WEIR_SPILL_RUN ".run"
#define WEIR_SPILL_PATH_BYTES 512

/* What the operators of a job are given. */
struct weir_spill_conf {
    const char *dir; /* of the job's stores and their checkpoints */
    /* Checkpoints that stay: those that are retained, and those that may be under way at once. */
    uint32_t kept_cnt;
    uint32_t key_max; /* keys of an operator in memory; 0: as the pages have room */
    uint64_t tag; /* of this start, in the names of its checkpoints: another start has another */
    bool is_inline; /* as struct weir_kv_conf */
    void (*wake)(void *arg);
    void *wake_arg;
    /* The checkpoint beside the timeline that somebody is to read, from before its barrier on; 0:
     * none. It stays until this says another one, and counts for none of kept_cnt. NULL: never. */
    uint64_t (*held)(void *arg);
    void *held_arg;
};

struct weir_spill {
    struct weir_kv *kv; /* NULL: not begun */
    struct weir_kindset *set;
    struct weir_table *plain; /* a state that is no kind: values of its own, NULL: none */
    uint32_t plain_id;
    struct weir_table *here;
    struct weir_table_cursor hand; /* where going out goes on */
    uint64_t key_max; /* that may be here */
    uint32_t turn; /* of the newest fetch */
    bool is_waiting; /* an exchange is under way */
    bool has_checkpoint; /* it has a checkpoint, making_id */
    bool is_aborted; /* that was aborted meanwhile */
    bool is_loaded; /* the store begins with what a savepoint had */
    uint64_t making_id;
    int checkpoint_error;
    char *buf; /* of records */
    uint64_t buf_bytes;
    uint64_t buf_cap;
    const struct weir_operator *op;
    char *root; /* directory of the operator's stores and checkpoints */
    uint64_t kept[WEIR_SPILL_KEPT_CNT_MAX]; /* checkpoints that were not aborted, oldest first */
    uint32_t kept_cnt;
    uint64_t held_id; /* a checkpoint beside them, 0: none */
    uint64_t restored_id; /* the one that the store began with, if it was one */
    char *restored_path;
    uint64_t in_cnt; /* keys that came, and went */
    uint64_t out_cnt;
};

/* weir_spill_open - the table; the store is opened by weir_spill_begin().
 *
 * Shape:   spill is zeroed; set is open; plain may be NULL, else it is the operator's state
 *          plain_name. op->env->spill is not NULL.
 * Errors:  WEIR_EGRAPH: a state has namespaces; WEIR_EBUDGET, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_spill_open(struct weir_spill *spill, struct weir_kindset *set,
    const struct weir_operator *op, struct weir_table *plain, const char *plain_name);
WEIR_API void weir_spill_close(struct weir_spill *spill);

/* weir_spill_want - the keys of loaded rows are to be here. Adds up, until weir_spill_go(). After
 * weir_spill_poll() has said WEIR_DONE. */
WEIR_API WEIR_MUST_USE int
weir_spill_want(struct weir_spill *spill, const struct weir_table_rows *rows);
/* weir_spill_has - whether they are, without asking for any. */
WEIR_API bool weir_spill_has(const struct weir_spill *spill, const struct weir_table_rows *rows);
/* weir_spill_turn - a new fetch begins: keys that it does not want may go out. */
static inline void
weir_spill_turn(struct weir_spill *spill)
{
    spill->turn++;
}
/* weir_spill_go - ask for what is wanted, if there is anything. */
WEIR_API WEIR_MUST_USE int weir_spill_go(struct weir_spill *spill);
/* weir_spill_poll - WEIR_DONE: no exchange is under way, and what came is in its tables; WEIR_WAIT;
 * or an error. The current key is lost. */
WEIR_API WEIR_MUST_USE int weir_spill_poll(struct weir_spill *spill);

/* weir_spill_barrier - the store's part of checkpoint id, as it is now: it is made while rows that
 * find their keys here go on. WEIR_WAIT: call again. */
WEIR_API WEIR_MUST_USE int weir_spill_barrier(struct weir_spill *spill, uint64_t id);
/* weir_spill_precommit - WEIR_DONE: it is durable; once. An error is this checkpoint's alone. */
WEIR_API WEIR_MUST_USE int weir_spill_precommit(struct weir_spill *spill, uint64_t id);
/* weir_spill_aborted - checkpoint id will not be complete: what the store has made for it goes. */
WEIR_API void weir_spill_aborted(struct weir_spill *spill, uint64_t id);
/* weir_spill_snapshot, weir_spill_restore - where the checkpoint is, as a part. A restore begins
 * the store with what those of old subtasks have of its keys; without one call weir_spill_restore()
 * with no parts. */
WEIR_API void
weir_spill_snapshot(struct weir_spill *spill, uint64_t id, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int weir_spill_restore(
    struct weir_spill *spill, const struct weir_parts_reader *parts, uint32_t parts_cnt);
/* weir_spill_checkpoint - where the checkpoint is that a part tells of; false: it tells of none.
 *
 * Errors:  WEIR_EDATA, WEIR_EFORMAT: malformed; *ret_is is set only with 0.
 */
WEIR_API WEIR_MUST_USE int weir_spill_checkpoint(
    const struct weir_part *part, char ret_path[WEIR_SPILL_PATH_BYTES], bool *ret_is);
/* weir_spill_refuse - a checkpoint that was taken with a store cannot be gone on from without one.
 * WEIR_ESTATE. */
WEIR_API WEIR_MUST_USE int weir_spill_refuse(
    const struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);

WEIR_C_END

#endif
