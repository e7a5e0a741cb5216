/* SPDX-License-Identifier: Apache-2.0 */
/* departure.h: whether the host keeps to the plan while a job runs, read back from /proc.
 *
 * Pinning (is each core's thread allowed on its CPU alone, and is it there), memory (do a region's
 * pages lie on its node), and time that the hypervisor took. A departure is said once, and counted
 * as often as it is seen.
 *
 * Thread:  one, not a core: it makes system calls. Call it every second or so.
 */
#ifndef WEIR_SCHED_DEPARTURE_H
#define WEIR_SCHED_DEPARTURE_H

#include "base/region.h"
#include "sched/core.h"

#define WEIR_DEPARTURE_CNT_MAX 64
#define WEIR_DEPARTURE_TEXT_BYTES 256

struct weir_departure {
    char text[WEIR_DEPARTURE_TEXT_BYTES];
    uint32_t seen_cnt;
};

struct weir_departures {
    uint32_t cnt;
    struct weir_departure list[WEIR_DEPARTURE_CNT_MAX];
    uint64_t steal_ticks[WEIR_CPUSET_CPU_CNT_MAX]; /* per CPU, as last read */
    bool has_ticks;
};

/* weir_departure_core - look at a running core; one that has left is passed over. */
WEIR_API void weir_departure_core(struct weir_departures *departures, const struct weir_core *core);
/* weir_departure_region - look at a sample of a region's pages. name is for the message. */
WEIR_API void weir_departure_region(
    struct weir_departures *departures, const struct weir_region *region, const char *name);
/* weir_departure_steal - tell cores what the hypervisor took from their CPUs since the last
 * call. */
WEIR_API void weir_departure_steal(
    struct weir_departures *departures, struct weir_core *const *cores, uint32_t core_cnt);

#endif
