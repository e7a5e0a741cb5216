/* SPDX-License-Identifier: Apache-2.0 */
/* thread_list.h: threads of a job's operators that have not ended yet, for who interrupts those
 * that do not return (job_watch.c).
 *
 *     thread    join .... its code .... leave
 *     watcher         lock  ask, read stacks  unlock
 *
 * Who is in the list while it is locked is not gone before it is unlocked: leaving waits.
 *
 * Thread:  join and leave: the one that is meant. The rest: one watcher.
 */
#ifndef WEIR_SCHED_THREAD_LIST_H
#define WEIR_SCHED_THREAD_LIST_H

#include <pthread.h>

#include "base/stack.h"

#define WEIR_THREAD_NAME_BYTES 16 /* of a Linux thread */

struct weir_thread_entry {
    /* writer: who starts it */
    char name[WEIR_THREAD_NAME_BYTES];
    const char *vertex; /* of its operator; borrowed while it runs */
    uint32_t subtask_idx;
    /* writer: the thread */
    pthread_t thread;
    struct weir_thread_entry *prev;
    struct weir_thread_entry *next;
    /* writer: the watcher */
    struct weir_stack stack;
    bool was_there; /* in its look before this one */
    bool is_stuck; /* it was asked, in this look */
};

struct weir_thread_list {
    pthread_mutex_t mutex;
    struct weir_thread_entry *first;
};

void weir_thread_list_init(struct weir_thread_list *list);
/* weir_thread_list_fini - all have left. */
void weir_thread_list_fini(struct weir_thread_list *list);
/* weir_thread_list_join - the calling thread, which takes signals (stack.h) from here on.
 * weir_thread_list_leave - none more reaches it; it may wait for the watcher. */
void weir_thread_list_join(struct weir_thread_list *list, struct weir_thread_entry *entry);
void weir_thread_list_leave(struct weir_thread_list *list, struct weir_thread_entry *entry);

/* weir_thread_list_ask - lock the list, and interrupt those that were in it at the last call, too.
 * weir_thread_list_answered - all of these have said where they are. weir_thread_list_unlock - the
 * look is over. */
void weir_thread_list_ask(struct weir_thread_list *list);
bool weir_thread_list_answered(const struct weir_thread_list *list);
void weir_thread_list_unlock(struct weir_thread_list *list);

#endif
