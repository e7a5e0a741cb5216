/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cgroup.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define PATH_BYTES 1024
/* cgroup hierarchies are a handful of levels deep; a loop of links would never end. */
#define LEVEL_CNT_MAX 64

static bool
read_text(const char *path, char *buf, size_t buf_bytes)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    bool read = fgets(buf, (int)buf_bytes, f) != NULL;
    (void)fclose(f);
    if (read) {
        buf[strcspn(buf, "\n")] = '\0';
    }
    return read;
}

/* The path of this process in one hierarchy: "" names version 2, "memory" a version 1 controller.
 * A container's own view of its path may not exist below its mount; the walk upwards copes. */
static bool
own_path(const char *root, const char *controller, char *ret_path, size_t path_bytes)
{
    char file[PATH_BYTES];
    char line[PATH_BYTES];
    (void)snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    FILE *f = fopen(file, "re");
    bool found = false;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) {
            continue;
        }
        *path = '\0';
        char *save = NULL;
        found = controller[0] == '\0' && controllers[1] == '\0';
        for (char *word = strtok_r(controllers + 1, ",", &save); word != NULL && !found;
             word = strtok_r(NULL, ",", &save)) {
            found = strcmp(word, controller) == 0;
        }
        if (found) {
            (void)snprintf(ret_path, path_bytes, "%s", path + 1);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* Call visit with the text of a file in this process's group and in every group above it. */
typedef void(visit_fn)(struct weir_cgroup *cgroup, const char *text, const char *path);

static void
walk_up(struct weir_cgroup *cgroup, const char *mount, const char *own, const char *file,
    visit_fn *visit)
{
    char group[PATH_BYTES];
    (void)snprintf(group, sizeof group, "%s", own);
    for (int level = 0; level < LEVEL_CNT_MAX; level++) {
        char path[2 * PATH_BYTES];
        char text[WEIR_CPUSET_TEXT_BYTES];
        const char *slash = strcmp(group, "/") == 0 ? "" : group;
        (void)snprintf(path, sizeof path, "%.900s%s/%s", mount, slash, file);
        if (read_text(path, text, sizeof text)) {
            visit(cgroup, text, path);
        }
        char *last = strrchr(group, '/');
        if (last == NULL || group[1] == '\0') {
            return;
        }
        last[last == group ? 1 : 0] = '\0';
    }
}

static void
visit_memory(struct weir_cgroup *cgroup, const char *text, const char *path)
{
    char *end = NULL;
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    if (end != text && errno == 0 && bytes < cgroup->memory_bytes) {
        cgroup->memory_bytes = bytes;
        (void)snprintf(
            cgroup->memory_limit, sizeof cgroup->memory_limit, "the cgroup (%.140s)", path);
    }
}

static void
visit_cpus(struct weir_cgroup *cgroup, const char *text, const char *path)
{
    struct weir_cpuset set;
    if (weir_cpuset_parse(text, &set) != 0) {
        weir_err_clear();
        return;
    }
    uint32_t before = weir_cpuset_cnt(&cgroup->cpus);
    if (weir_cpuset_cnt(&set) > 0) {
        weir_cpuset_and(&cgroup->cpus, &set);
    }
    if (weir_cpuset_cnt(&cgroup->cpus) < before) {
        (void)snprintf(cgroup->cpus_limit, sizeof cgroup->cpus_limit, "the cgroup (%.140s)", path);
    }
}

static void
visit_quota(struct weir_cgroup *cgroup, const char *text, const char *path)
{
    (void)path;
    unsigned long long quota = 0;
    unsigned long long period = 0;
    if (sscanf(text, "%llu %llu", &quota, &period) == 2 && period > 0) {
        double cpus = (double)quota / (double)period;
        if (cgroup->cpu_quota == 0 || cpus < cgroup->cpu_quota) {
            cgroup->cpu_quota = cpus;
        }
    }
}

static int
read_affinity(const char *root, struct weir_cgroup *cgroup)
{
    cpu_set_t own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0) {
        return weir_err_push(WEIR_ESYS, "sched_getaffinity: %s", strerror(errno));
    }
    for (uint32_t cpu = 0; cpu < WEIR_CPUSET_CPU_CNT_MAX; cpu++) {
        if (CPU_ISSET(cpu, &own)) {
            weir_cpuset_add(&cgroup->cpus, cpu);
        }
    }
    char path[PATH_BYTES];
    char text[WEIR_CPUSET_TEXT_BYTES];
    struct weir_cpuset online;
    (void)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/online", root);
    const char *limit = "all CPUs of the host";
    if (read_text(path, text, sizeof text)) {
        if (weir_cpuset_parse(text, &online) == 0 && !weir_cpuset_equal(&online, &cgroup->cpus)) {
            limit = "the affinity that the process was started with (taskset, systemd, cgroup)";
        }
        weir_err_clear();
    }
    (void)snprintf(cgroup->cpus_limit, sizeof cgroup->cpus_limit, "%s", limit);
    return 0;
}

int
weir_cgroup_read(const char *root, struct weir_cgroup *ret_cgroup)
{
    struct weir_cgroup cgroup = {
        .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * WEIR_PAGE_BYTES};
    (void)snprintf(cgroup.memory_limit, sizeof cgroup.memory_limit, "the host's memory");
    int err = read_affinity(root, &cgroup);
    if (err != 0) {
        return err;
    }
    char own[PATH_BYTES];
    char mount[PATH_BYTES];
    if (own_path(root, "", own, sizeof own)) {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        walk_up(&cgroup, mount, own, "memory.max", visit_memory);
        walk_up(&cgroup, mount, own, "cpuset.cpus.effective", visit_cpus);
        walk_up(&cgroup, mount, own, "cpu.max", visit_quota);
    }
    if (own_path(root, "memory", own, sizeof own)) {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/memory", root);
        walk_up(&cgroup, mount, own, "memory.limit_in_bytes", visit_memory);
    }
    if (own_path(root, "cpuset", own, sizeof own)) {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpuset", root);
        walk_up(&cgroup, mount, own, "cpuset.effective_cpus", visit_cpus);
    }
    *ret_cgroup = cgroup;
    return 0;
}
