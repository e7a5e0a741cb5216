/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpuset.h"
#include "base/err.h"
#include "sched/thread_list.h"

/* What a thread begins with; its own from then on. */
struct start {
    void *(*main_fn)(void *arg);
    void *arg;
    struct weir_thread_list *list; /* NULL: nobody looks after it */
    struct weir_thread_entry entry;
};

static void
leave(void *arg)
{
    struct start *start = arg;
    if (start->list != NULL) {
        weir_thread_list_leave(start->list, &start->entry);
    }
    free(start);
}

static void *
thread_main(void *arg)
{
    struct start *start = arg;
    void *ret;
    if (start->list != NULL) {
        weir_thread_list_join(start->list, &start->entry);
    }
    pthread_cleanup_push(leave, start); /* also of one that calls pthread_exit */
    ret = start->main_fn(start->arg);
    pthread_cleanup_pop(1);
    return ret;
}

static void
set_cpus(pthread_attr_t *attr, const struct weir_cpuset *set)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (uint32_t cpu = weir_cpuset_next(set, 0); cpu != WEIR_CPUSET_NONE;
         cpu = weir_cpuset_next(set, cpu + 1)) {
        CPU_SET((size_t)cpu, &cpus);
    }
    if (CPU_COUNT(&cpus) > 0) {
        (void)pthread_attr_setaffinity_np(attr, sizeof cpus, &cpus);
    }
}

int
weir_thread_start(const struct weir_operator_env *env, const char *name,
    void *(*main_fn)(void *arg), void *arg, pthread_t *ret_thread)
{
    struct start *start = calloc(1, sizeof *start);
    pthread_attr_t attr;
    sigset_t all;
    if (start == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a thread of %s", name);
    }
    char short_name[WEIR_THREAD_NAME_BYTES];
    (void)snprintf(short_name, sizeof short_name, "%s", name);
    *start = (struct start){.main_fn = main_fn,
        .arg = arg,
        .list = env->threads,
        .entry = {.vertex = env->vertex_name, .subtask_idx = env->subtask_idx}};
    memcpy(start->entry.name, short_name, sizeof short_name);
    (void)sigfillset(&all);
    /* Blocked, that of a mapped page which is gone would end the process without a word. */
    (void)sigdelset(&all, SIGBUS);
    int errnum = pthread_attr_init(&attr);
    if (errnum != 0) {
        free(start);
        return weir_err_errno(errnum, "a thread of %s", name);
    }
    (void)pthread_attr_setsigmask_np(&attr, &all);
    if (env->housekeeping != NULL) {
        set_cpus(&attr, env->housekeeping);
    }
    errnum = pthread_create(ret_thread, &attr, thread_main, start);
    (void)pthread_attr_destroy(&attr);
    if (errnum != 0) {
        free(start);
        return weir_err_errno(errnum, "a thread of %s", name);
    }
    (void)pthread_setname_np(*ret_thread, short_name);
    return 0;
}
