/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h: timers of keyed operators: each is a key, a namespace and a time, and exists once.
 *
 *     rows     a table (table.h) of (key, namespace, time): the truth, in pages of the key's group
 *     index    heaps of (time, hash of the row): what is next; made again from the rows
 *
 * A timer is looked at with peek, its callback runs, and pop then removes it: a callback that must
 * stop half-way finds the same timer again. Timers come out by time, those of one time in an order
 * that does not depend on how they came in. Deleting removes the row; the index entry is noticed as
 * stale when it comes up, and swept out a few at a time when there are more stale entries than live
 * ones.
 *
 * One object serves one time domain: event time in ms, or processing time, whatever the caller
 * counts in. It reads no clock.
 *
 * Limits:  as the arena has pages: about 60 bytes a timer with a key of 8 bytes. Each call is
 *          bounded. Thread: the stage's core only.
 * Source:  Flink's InternalTimerServiceImpl, where the queue is the state and removal searches it.
 */
#ifndef WEIR_DATAPLANE_TIMER_H
#define WEIR_DATAPLANE_TIMER_H

#include "dataplane/table.h"

WEIR_C_BEGIN

/* Index pages and their directory: entries in heap order, four children in one line. */
struct weir_timer_heap {
    uint32_t dir; /* index word of the page numbers */
    uint32_t dir_lg2;
    uint32_t page_cnt;
    uint64_t cnt;
};

struct weir_timers {
    struct weir_arena *arena;
    struct weir_table *table;
    /* [0] holds all; while stale entries are being swept, live ones move to [1] and new ones go
     * there. */
    struct weir_timer_heap heap[2];
    bool is_sweeping;
    uint64_t fired_cnt; /* by weir_timers_pop() */
};

/* The key that a timer is for, as tables take keys (table.h); hash is weir_table_hash() of it. */
struct weir_timer_key {
    uint64_t hash;
    const void *key;
    const char *heap;
    uint64_t ns; /* namespace: a window's start, a number of the operator's own, or 0 */
};

struct weir_timer {
    int64_t time;
    uint64_t ns;
    uint64_t hash; /* of the key */
    uint64_t stored[WEIR_TABLE_WORD_CNT_MAX]; /* begins with the key as weir_table_scan gives it */
};

/* weir_timers_spec - what the table of timers must be; without a state_id. */
WEIR_API struct weir_table_spec weir_timers_spec(uint32_t key_kind);
/* weir_timers_init - no timers yet.
 *
 * Shape:   key_kind as enum weir_key_kind; state_id names the timers in a snapshot.
 * Errors:  WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int weir_timers_init(
    struct weir_timers *timers, struct weir_arena *arena, uint32_t state_id, uint32_t key_kind);
/* weir_timers_adopt - the timers whose rows stand in a table of weir_timers_spec(): restored ones,
 * or none yet. Owner: takes the table. Not bounded. Errors: WEIR_EBUDGET. */
WEIR_API WEIR_MUST_USE int weir_timers_adopt(struct weir_timers *timers, struct weir_table *table);
/* weir_timers_fini - free all; WEIR_AGAIN until done, as weir_table_give(). Takes a zeroed
 * object. */
WEIR_API int weir_timers_fini(struct weir_timers *timers);

/* weir_timers_set - register a timer; *ret_made is false when it was there. Times in the past are
 * as good as any: they come up at the next peek. Errors: WEIR_EBUDGET. */
WEIR_API WEIR_MUST_USE int weir_timers_set(
    struct weir_timers *timers, const struct weir_timer_key *key, int64_t time, bool *ret_made);
/* weir_timers_delete - remove a timer; false when there is none. */
WEIR_API bool
weir_timers_delete(struct weir_timers *timers, const struct weir_timer_key *key, int64_t time);

/* weir_timers_peek - the earliest timer with a time of at most up_to.
 *
 * Returns: 1 found; 0 none is due; WEIR_TIMERS_BUSY after many stale entries: call again.
 */
#define WEIR_TIMERS_BUSY 2
WEIR_API int
weir_timers_peek(struct weir_timers *timers, int64_t up_to, struct weir_timer *ret_timer);
/* weir_timers_ahead - look at the first cnt places of the index: which keys peek will give sooner
 * or later with this up_to.
 *
 * Shape:   ret_key has room for cnt keys, as weir_table_scan gives those of a table without a tail.
 * Returns: how many.
 */
WEIR_API uint32_t weir_timers_ahead(
    const struct weir_timers *timers, int64_t up_to, uint32_t cnt, uint64_t *ret_key);
/* weir_timers_pop - remove a timer that peek or each gave. Its callback may have set or deleted
 * others, and itself. */
WEIR_API void weir_timers_pop(struct weir_timers *timers, const struct weir_timer *timer);

/* weir_timers_each - call fn for every timer, once, in an order that the timers alone decide.
 *
 * Shape:   fn may delete timers, this one and others (who is deleted before its turn gets none),
 *          and set none. Not bounded.
 * Returns: 0, or what fn returned first that was not 0.
 */
typedef int(weir_timers_fn)(void *arg, const struct weir_timer *timer);
WEIR_API int weir_timers_each(struct weir_timers *timers, weir_timers_fn *fn, void *arg);

/* weir_timers_next_time - no timer is earlier; INT64_MAX when there is none. */
WEIR_API int64_t weir_timers_next_time(const struct weir_timers *timers);

static inline uint64_t
weir_timers_cnt(const struct weir_timers *timers)
{
    return timers->table->entry_cnt;
}

/* weir_timers_rebuild - make the index again from the rows, after weir_table_rebuild(). Not
 * bounded.
 * Errors: WEIR_EBUDGET. */
WEIR_API WEIR_MUST_USE int weir_timers_rebuild(struct weir_timers *timers);

WEIR_C_END

#endif
