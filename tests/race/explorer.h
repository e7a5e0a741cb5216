/* SPDX-License-Identifier: Apache-2.0 */
/* explorer.h: runs a few threads of real lock-free code through every interleaving and every value
 * that a load may return under the C11 memory model, and says whether a rule was broken.
 *
 * The threads are fibers that stop before each access of base/atomic.h (see race_atomic.h). A run
 * is a sequence of choices: which thread goes on, and which store a load reads. All choices are
 * tried, depth first, by running again from the start; an interleaving that differs from an
 * explored one only in the order of independent accesses is skipped (sleep sets).
 *
 * Memory: each shared location keeps all its stores in order. A thread has, per location, the
 *         oldest
 * store that it may still read; a release stores that view with the value, an acquire that reads it
 * joins the two. A release fence keeps the view that later relaxed stores carry; an acquire fence
 * joins the views of all that was read before it. A sequentially consistent access moreover may not
 * read what lies before the last one to the same location. Plain data is checked for happens-before
 * with vector clocks: two accesses, one a write, that are not ordered are a broken rule, whatever
 * values they had.
 *
 * What it does not show: a load that sees a store which the program order puts later (load
 * buffering), and two locations whose stores are ordered against the order of the run.
 *
 * Source: sleep sets as P. Godefroid's thesis has them; views as in the operational models of C11
 * (J. Kang and others, 2017), without promises.
 */
#ifndef WEIR_TESTS_RACE_EXPLORER_H
#define WEIR_TESTS_RACE_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RACE_THREAD_CNT_MAX 3
#define RACE_TEXT_BYTES 4096

enum race_op {
    RACE_LOAD,
    RACE_STORE,
    RACE_ADD,
    RACE_EXCHANGE,
    RACE_CAS,
    RACE_WAIT,
    RACE_FENCE,
};

enum race_order {
    RACE_RLX,
    RACE_ACQ,
    RACE_REL,
    RACE_ACQ_REL,
    RACE_SC,
};

struct race_access {
    enum race_op op;
    enum race_order order;
    const char *func;
    void *p;
    size_t bytes;
    uint64_t arg;
    uint64_t *expected;
};

/* One weaker order: every access of this kind in this function, where it is not relaxed already. */
struct race_weaken {
    const char *func;
    enum race_op op;
    enum race_order order;
};

/* reset builds the world afresh; finish looks at it once all threads have ended (may be NULL). */
struct race_case {
    const char *name;
    void (*reset)(void);
    void (*threads[RACE_THREAD_CNT_MAX])(void);
    void (*finish)(void);
};

struct race_result {
    uint64_t run_cnt; /* runs that came to their end */
    uint64_t cut_cnt; /* runs left early: nothing new behind them */
    bool is_broken; /* a rule was broken; text says which and how */
    bool is_incomplete; /* more runs than the limit: nothing is proved */
    char text[RACE_TEXT_BYTES];
};

/* race_explore - all runs of a case, with one order weakened, or none where weaken is NULL. */
void race_explore(
    const struct race_case *cs, const struct race_weaken *weaken, struct race_result *ret_result);

/* For race_atomic.h. Outside of a run (reset, finish) it is a plain access. */
uint64_t race_access(const struct race_access *access);

/* A fence, RACE_ACQ or RACE_REL: no step of its own, since it touches nothing that is shared. */
void race_fence(enum race_order order, const char *func);

/* For the threads of a case. race_wait - go on only once p holds a store newer than the last one
 * that this thread has read: the end of one round of a spin. If none ever comes, that is a broken
 * rule. race_give_up - leave this run: a retry that changed nothing is covered by another run. */
void race_wait(void *p, size_t bytes);
void race_give_up(void) __attribute__((noreturn));
void race_data_read(const void *p);
void race_data_write(const void *p);
/* race_fail - a broken rule, with words. */
void race_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
