/* SPDX-License-Identifier: Apache-2.0 */
/* bench_probe: the bare round trip of two cache lines between the two cores it may run on.
 *
 * The host moves virtual CPUs: the trip takes about 100 ns where they are near and 500 where they
 * are far. Figures that cross cores are bracketed by this.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "base/atomic.h"
#include "base/base.h"

#define TRIPS 200000

struct lines {
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) _Atomic uint64_t ping;
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) _Atomic uint64_t pong;
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) int cores[2];
};

static int
pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *
answer(void *arg)
{
    struct lines *lines = arg;
    (void)pin(lines->cores[1]); /* not pinned it would measure the scheduler, which shows as far */
    for (uint64_t i = 1; i <= TRIPS; i++) {
        /* [P1] pairs with [P2]: nothing but the number travels. */
        while (weir_load_acq(&lines->ping) != i) {
            weir_spin_hint();
        }
        weir_store_rel(&lines->pong, i); /* [P3] pairs with [P4] */
    }
    return NULL;
}

static double
now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The last two CPUs that this process may use: those that bench/run gives to both sides. */
static int
choose_cores(int *ret_cores)
{
    cpu_set_t set;
    int cnt = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return -1;
    }
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && cnt < 2; cpu--) {
        if (CPU_ISSET(cpu, &set)) {
            ret_cores[cnt++] = cpu;
        }
    }
    return cnt == 2 ? 0 : -1;
}

int
main(void)
{
    static struct lines lines;
    pthread_t other;
    if (choose_cores(lines.cores) != 0 || pin(lines.cores[0]) != 0 ||
        pthread_create(&other, NULL, answer, &lines) != 0) {
        (void)fputs("bench_probe: two cores are needed\n", stderr);
        return 1;
    }
    double start = now_ns();
    for (uint64_t i = 1; i <= TRIPS; i++) {
        weir_store_rel(&lines.ping, i); /* [P2] */
        while (weir_load_acq(&lines.pong) != i) { /* [P4] */
            weir_spin_hint();
        }
    }
    double wall = now_ns() - start;
    (void)pthread_join(other, NULL);
    printf("{\"name\":\"ping-pong\",\"ns_per_event\":%.1f,\"events\":%d}\n", wall / TRIPS, TRIPS);
    return 0;
}
