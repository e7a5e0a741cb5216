/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/house.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>

static struct {
    cpu_set_t before;
    bool is_kept;
} house;

void
weir_house_keep(const struct weir_cpuset *cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t cpu = weir_cpuset_next(cpus, 0); cpu != WEIR_CPUSET_NONE;
         cpu = weir_cpuset_next(cpus, cpu + 1)) {
        CPU_SET((size_t)cpu, &set);
    }
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) {
        return;
    }
    house.is_kept = sched_getaffinity(0, sizeof house.before, &house.before) == 0;
    for (const struct dirent *entry; house.is_kept && (entry = readdir(threads)) != NULL;) {
        int tid = atoi(entry->d_name); /* 0: no thread, but "." and ".." */
        if (tid > 0) {
            (void)sched_setaffinity(tid, sizeof set, &set);
        }
    }
    (void)closedir(threads);
}

void
weir_house_leave(void)
{
    if (house.is_kept) {
        (void)sched_setaffinity(0, sizeof house.before, &house.before);
    }
}
