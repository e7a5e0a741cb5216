/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h: what this process may use of the host, and who limits it. Version 1 and 2 alike.
 *
 * Thread:  any; cold.
 */
#ifndef WEIR_BASE_CGROUP_H
#define WEIR_BASE_CGROUP_H

#include "base/cpuset.h"

#define WEIR_CGROUP_TEXT_BYTES 160

struct weir_cgroup {
    struct weir_cpuset cpus; /* affinity and cpuset together */
    char cpus_limit[WEIR_CGROUP_TEXT_BYTES]; /* "all CPUs of the host", or who took some */
    uint64_t memory_bytes; /* the smallest limit on the way up, or the host's */
    char memory_limit[WEIR_CGROUP_TEXT_BYTES]; /* whose limit that is */
    double cpu_quota; /* CPUs' worth of time per period; 0: no quota */
};

/* weir_cgroup_read - read affinity and limits.
 *
 * Shape:   root is where the files lie: "" for the running host, a directory with recorded proc and
 *          sys folders in tests (affinity is the process's own in any case).
 * Errors:  WEIR_ESYS when the affinity cannot be read; files that are missing limit nothing.
 */
WEIR_API WEIR_MUST_USE int weir_cgroup_read(const char *root, struct weir_cgroup *ret_cgroup);

#endif
