/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/thread_list.h"

#include <signal.h>

#include "base/check.h"

void
weir_thread_list_init(struct weir_thread_list *list)
{
    (void)pthread_mutex_init(&list->mutex, NULL);
    list->first = NULL;
}

void
weir_thread_list_fini(struct weir_thread_list *list)
{
    WEIR_CHECK(list->first == NULL, "thread %s of %s outlives its job", list->first->name,
        list->first->vertex);
    (void)pthread_mutex_destroy(&list->mutex);
}

static void
take_signals(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, weir_stack_signal());
    (void)pthread_sigmask(how, &set, NULL);
}

void
weir_thread_list_join(struct weir_thread_list *list, struct weir_thread_entry *entry)
{
    entry->thread = pthread_self();
    take_signals(SIG_UNBLOCK);
    (void)pthread_mutex_lock(&list->mutex);
    entry->prev = NULL;
    entry->next = list->first;
    if (entry->next != NULL) {
        entry->next->prev = entry;
    }
    list->first = entry;
    (void)pthread_mutex_unlock(&list->mutex);
}

/* While it waits for the lock it still answers; then a signal that is on its way finds it deaf, and
 * ends with it. */
void
weir_thread_list_leave(struct weir_thread_list *list, struct weir_thread_entry *entry)
{
    (void)pthread_mutex_lock(&list->mutex);
    take_signals(SIG_BLOCK);
    *(entry->prev != NULL ? &entry->prev->next : &list->first) = entry->next;
    if (entry->next != NULL) {
        entry->next->prev = entry->prev;
    }
    (void)pthread_mutex_unlock(&list->mutex);
}

void
weir_thread_list_ask(struct weir_thread_list *list)
{
    (void)pthread_mutex_lock(&list->mutex);
    for (struct weir_thread_entry *entry = list->first; entry != NULL; entry = entry->next) {
        entry->is_stuck = entry->was_there;
        entry->was_there = true;
        if (entry->is_stuck) {
            (void)!weir_stack_ask(&entry->stack, entry->thread); /* it is asked once more later */
        }
    }
}

bool
weir_thread_list_answered(const struct weir_thread_list *list)
{
    for (const struct weir_thread_entry *entry = list->first; entry != NULL; entry = entry->next) {
        if (entry->is_stuck && !weir_stack_is_there(&entry->stack)) {
            return false;
        }
    }
    return true;
}

void
weir_thread_list_unlock(struct weir_thread_list *list)
{
    (void)pthread_mutex_unlock(&list->mutex);
}
