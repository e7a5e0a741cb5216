/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "base/cpuset.h"
#include "base/err.h"

#define NAME_BYTES 16 /* of a Linux thread */

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
    char short_name[NAME_BYTES];
    pthread_attr_t attr;
    sigset_t all;
    (void)sigfillset(&all);
    /* Blocked, that of a mapped page which is gone would end the process without a word. */
    (void)sigdelset(&all, SIGBUS);
    int errnum = pthread_attr_init(&attr);
    if (errnum != 0) {
        return weir_err_errno(errnum, "a thread of %s", name);
    }
    (void)pthread_attr_setsigmask_np(&attr, &all);
    if (env->housekeeping != NULL) {
        set_cpus(&attr, env->housekeeping);
    }
    errnum = pthread_create(ret_thread, &attr, main_fn, arg);
    (void)pthread_attr_destroy(&attr);
    if (errnum != 0) {
        return weir_err_errno(errnum, "a thread of %s", name);
    }
    (void)snprintf(short_name, sizeof short_name, "%s", name);
    (void)pthread_setname_np(*ret_thread, short_name);
    return 0;
}
