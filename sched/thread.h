/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h: threads of operators' own, beside the cores: where they belong, and without signals but
 * for the one that interrupts them when their job is canceled and they do not return
 * (task.cancel_interval). */
#ifndef WEIR_SCHED_THREAD_H
#define WEIR_SCHED_THREAD_H

#include <pthread.h>

#include "dataplane/operator.h"

WEIR_C_BEGIN

/* weir_thread_start - a thread on the housekeeping CPUs of the operator's job. One that
 * pthread_create starts from an operator would stay on that operator's core, and nobody would know
 * of it. It has ended when the operator is closed.
 *
 * Shape:   name: up to 15 bytes are shown. main_fn and arg as pthread_create.
 * Errors:  WEIR_ESYS and the like; there is no thread then.
 */
WEIR_API WEIR_MUST_USE int weir_thread_start(const struct weir_operator_env *env, const char *name,
    void *(*main_fn)(void *arg), void *arg, pthread_t *ret_thread);

WEIR_C_END

#endif
