/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h: letters with a call in them, which a task makes on its core between two calls of its
 * operators.
 *
 *     any thread      weir_mailbox_put()  ->  ring (base/mbox.h)  ->  held, in the order they came
 *     the task's poll a batch of what is there is run, then rows are worked on, then the next batch
 *
 * So a letter that posts itself again and rows both get their turn. A letter has a priority: the
 * place of its operator in the chain. An operator that waits for a letter in the midst of a call
 * yields: only letters of its own place or behind run then, since one of an operator before it
 * might want to emit into it. Deferrable ones never run in a yield.
 *
 *     OPEN  put and take  ->  QUIESCED  take only  ->  CLOSED  what is left was given back
 *
 * What has failed elsewhere is no letter: it needs no room, and comes before all of them.
 *
 * What it is not: for records (ring.h), nor for what the coordinator tells a task (task.h). It
 * exists only where an operator of the chain takes letters.
 *
 * Memory: all at new. Thread: weir_mailbox_put and weir_mailbox_fail any; all else the task's core.
 * Source: Flink's TaskMailbox and MailboxProcessor. There is no blocking take, as tasks are polled;
 *         no putFirst: what must come before all letters is a request, or a failure (task.h); and
 *         no section that excludes a close, for whatever runs on the core does.
 */
#ifndef WEIR_DATAPLANE_MAILBOX_H
#define WEIR_DATAPLANE_MAILBOX_H

#include "base/base.h"

WEIR_C_BEGIN

#define WEIR_MAIL_WORD_CNT 3
/* The least priority: every letter has at least this one. */
#define WEIR_MAIL_ANY 0

/* What a letter does.
 *
 * Shape:   is_run: on the task's core, between two calls of operators, or within one that yields.
 *          Else the letter is given back: the task has ended without it, and all operators are
 *          closed; it can only drop what it refers to.
 * Returns: 0, or an error, which fails the task; of a letter given back it is not looked at.
 */
typedef int(weir_mail_fn)(void *arg, const uint64_t *words, bool is_run, int64_t now_ns);

/* Copied in and out. */
struct weir_mail {
    weir_mail_fn *fn;
    void *arg; /* good until fn was called */
    uint64_t words[WEIR_MAIL_WORD_CNT];
    uint32_t priority;
    bool is_deferrable;
};

struct weir_mailbox;

/* weir_mailbox_new - open and empty, for at least letter_cnt letters at a time. WEIR_ENOMEM;
 * WEIR_EPLAN: more than WEIR_MBOX_SLOT_CNT_MAX (mbox.h). */
WEIR_API WEIR_MUST_USE int weir_mailbox_new(uint32_t letter_cnt, struct weir_mailbox **ret_mailbox);
/* weir_mailbox_delete - no thread puts any more. Accepts NULL. */
WEIR_API void weir_mailbox_delete(struct weir_mailbox *mailbox);
/* weir_mailbox_set_wake - what makes the task's core look; before the first put. NULL: it never
 * sleeps. wake_fn: any thread. */
WEIR_API void
weir_mailbox_set_wake(struct weir_mailbox *mailbox, void (*wake_fn)(void *arg), void *arg);

/* weir_mailbox_put - leave a letter, and wake the core.
 *
 * Thread:  any; bounded, no allocation. Letters of one sender are taken in order.
 * Returns: 1; 0 busy: full; WEIR_ECLOSED: the task ends.
 */
WEIR_API WEIR_MUST_USE int
weir_mailbox_put(struct weir_mailbox *mailbox, const struct weir_mail *mail);
/* weir_mailbox_fail - something that belongs to the task has failed elsewhere: as weir_task_fail,
 * and wakes the core. */
WEIR_API void weir_mailbox_fail(struct weir_mailbox *mailbox, int error, const char *why);
/* weir_mailbox_wake - make the core look at what has come by another way, a ring. Any thread. */
WEIR_API void weir_mailbox_wake(const struct weir_mailbox *mailbox);
/* weir_mailbox_set_fail - how the task is told. */
WEIR_API void weir_mailbox_set_fail(struct weir_mailbox *mailbox,
    bool (*fail_fn)(void *arg, int error, const char *why), void *arg);

/* weir_mailbox_batch - what is there now is the batch, behind what is left of the last one. Returns
 * how many letters it has. */
WEIR_API uint32_t weir_mailbox_batch(struct weir_mailbox *mailbox);
/* weir_mailbox_take_from_batch - the next one of the batch. 1; 0: it is done with. */
WEIR_API WEIR_MUST_USE int
weir_mailbox_take_from_batch(struct weir_mailbox *mailbox, struct weir_mail *ret_mail);
/* weir_mailbox_take - the oldest of at least this priority, of the batch or behind it. 1; 0. */
WEIR_API WEIR_MUST_USE int
weir_mailbox_take(struct weir_mailbox *mailbox, uint32_t priority, struct weir_mail *ret_mail);

/* weir_mailbox_run_batch - make a batch, and run it. The number that ran, or the first error: those
 * behind it stay. */
WEIR_API WEIR_MUST_USE int weir_mailbox_run_batch(struct weir_mailbox *mailbox, int64_t now_ns);
/* weir_mailbox_yield - run one letter of at least this priority that is not deferrable. 1; 0: there
 * is none; or its error. From within a call of an operator, at its own place. */
WEIR_API WEIR_MUST_USE int
weir_mailbox_yield(struct weir_mailbox *mailbox, uint32_t priority, int64_t now_ns);

/* weir_mailbox_quiesce - puts are refused from here on. */
WEIR_API void weir_mailbox_quiesce(struct weir_mailbox *mailbox);
/* weir_mailbox_drain - run all that is left, once quiesced: 0, or the first error. */
WEIR_API WEIR_MUST_USE int weir_mailbox_drain(struct weir_mailbox *mailbox, int64_t now_ns);
/* weir_mailbox_close - give back what is left, in order. Returns how many letters that were. May be
 * called again. */
WEIR_API uint32_t weir_mailbox_close(struct weir_mailbox *mailbox);
/* weir_mailbox_is_open - it is neither quiesced nor closed. */
WEIR_API bool weir_mailbox_is_open(const struct weir_mailbox *mailbox);
/* weir_mailbox_is_empty - no letter is there; a later look may find one. */
WEIR_API bool weir_mailbox_is_empty(const struct weir_mailbox *mailbox);
/* weir_mailbox_cnt - letters that are there; a later look may find more. weir_mailbox_taken_cnt -
 * those that have run, or were given back. */
WEIR_API uint64_t weir_mailbox_cnt(const struct weir_mailbox *mailbox);
WEIR_API uint64_t weir_mailbox_taken_cnt(const struct weir_mailbox *mailbox);

WEIR_C_END

#endif
