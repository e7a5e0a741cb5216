/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/departure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define PATH_BYTES 96
#define LINE_BYTES 4096
/* Fields of /proc/<pid>/stat behind the name: the CPU that it last ran on is number 39 of all. */
#define STAT_PROCESSOR_IDX 36

static void WEIR_PRINTF(2, 3) depart(struct weir_departures *departures, const char *fmt, ...)
{
    char text[WEIR_DEPARTURE_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (uint32_t i = 0; i < departures->cnt; i++) {
        if (strcmp(departures->list[i].text, text) == 0) {
            departures->list[i].seen_cnt++;
            return;
        }
    }
    if (departures->cnt < WEIR_DEPARTURE_CNT_MAX) {
        struct weir_departure *departure = &departures->list[departures->cnt];
        memcpy(departure->text, text, sizeof text);
        departure->seen_cnt = 1;
        departures->cnt++;
    }
}

/* What the kernel allows the thread; false where it has ended meanwhile. */
static bool
read_allowed(pid_t tid, struct weir_cpuset *ret_cpus)
{
    char path[PATH_BYTES];
    char line[LINE_BYTES];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "Cpus_allowed_list:", 18) == 0) {
            found = weir_cpuset_parse(line + 18, ret_cpus) == 0;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static int
read_processor(pid_t tid)
{
    char path[PATH_BYTES];
    char line[LINE_BYTES];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return -1;
    }
    size_t n = fread(line, 1, sizeof line - 1, f);
    (void)fclose(f);
    line[n] = '\0';
    char *at = strrchr(line, ')'); /* names may hold anything but end here */
    for (int i = 0; at != NULL && i <= STAT_PROCESSOR_IDX; i++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? atoi(at + 1) : -1;
}

void
weir_departure_core(struct weir_departures *departures, const struct weir_core *core)
{
    pid_t tid = weir_core_tid(core);
    int cpu = weir_core_cpu(core);
    struct weir_cpuset allowed;
    if (tid == 0 || cpu < 0 || !read_allowed(tid, &allowed)) {
        weir_err_clear();
        return;
    }
    char text[96];
    if (weir_cpuset_cnt(&allowed) != 1 || !weir_cpuset_has(&allowed, (uint32_t)cpu)) {
        depart(departures,
            "the thread of CPU %d may run on CPU %s: somebody has changed its affinity", cpu,
            weir_cpuset_print(&allowed, text, sizeof text));
        return;
    }
    int processor = read_processor(tid);
    if (processor >= 0 && processor != cpu) {
        depart(departures, "the thread of CPU %d was found on CPU %d", cpu, processor);
    }
}

void
weir_departure_region(
    struct weir_departures *departures, const struct weir_region *region, const char *name)
{
    uint32_t sampled = 0;
    int astray = weir_region_astray(region, &sampled);
    if (astray > 0) {
        depart(departures, "memory %s: %d of %u pages looked at are not on node %d", name, astray,
            sampled, weir_region_node(region));
    }
    weir_err_clear(); /* a kernel that does not tell is no departure */
}

void
weir_departure_steal(
    struct weir_departures *departures, struct weir_core *const *cores, uint32_t core_cnt)
{
    char line[LINE_BYTES];
    FILE *f = fopen("/proc/stat", "re");
    if (f == NULL) {
        return;
    }
    int64_t tick_ns = WEIR_SEC_NS / sysconf(_SC_CLK_TCK);
    while (fgets(line, sizeof line, f) != NULL && strncmp(line, "cpu", 3) == 0) {
        unsigned int cpu = 0;
        unsigned long long ticks = 0;
        if (sscanf(line, "cpu%u %*u %*u %*u %*u %*u %*u %*u %llu", &cpu, &ticks) != 2 ||
            cpu >= WEIR_CPUSET_CPU_CNT_MAX) {
            continue;
        }
        uint64_t last = departures->steal_ticks[cpu];
        uint64_t more = ticks > last ? ticks - last : 0; /* a host that moved us may count less */
        departures->steal_ticks[cpu] = ticks;
        for (uint32_t i = 0; i < core_cnt && departures->has_ticks && more > 0; i++) {
            if (weir_core_cpu(cores[i]) == (int)cpu) {
                weir_core_steal(cores[i], (int64_t)more * tick_ns);
                depart(departures, "the hypervisor takes time from CPU %u", cpu);
            }
        }
    }
    departures->has_ticks = true;
    (void)fclose(f);
}
