/* SPDX-License-Identifier: Apache-2.0 */
/* stress.h: threads for the stress tests, and the wait of a side that found nothing to do. */
#ifndef WEIR_TESTS_STRESS_STRESS_H
#define WEIR_TESTS_STRESS_STRESS_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "tests/unit/test.h"

/* Under a sanitizer a step costs some tens of times more. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STRESS_CNT(n) ((n) / 16)
#else
#define STRESS_CNT(n) (n)
#endif

static inline pthread_t
stress_start(void *(*main_fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, main_fn, arg), 0);
    return thread;
}

static inline void
stress_join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The other side may share our core. */
static inline void
stress_pause(uint32_t *idle_cnt)
{
    if (++*idle_cnt % 64 == 0) {
        (void)sched_yield();
    } else {
        weir_spin_hint();
    }
}

static inline void *
stress_alloc(size_t bytes)
{
    void *mem = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_align_up(bytes, WEIR_LINE_PAIR_BYTES));
    assert_non_null(mem);
    return mem;
}

#endif
