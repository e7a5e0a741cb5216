/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h: which cores running jobs hold, known to each other through files of one directory.
 *
 *     open  ->  held  ->  (plan)  ->  take  ...run...  close
 *
 * [format: Running jobs / Cores of a running job]
 *
 *     <dir>/<job>.cores:   pid 4711
 *                          cores 0-3,8
 *
 * Text, a line each; flocked by that process as long as it runs.
 *
 * [end of format]
 *
 * A job has a file, "<job>.cores", flocked while it runs; a file that nobody has locked is left
 * over from a crash and counts for nothing. From open to take the directory itself is locked, so
 * that two jobs that start at once do not plan for the same cores.
 *
 * Thread:  one; cold. It may wait for another job that is between open and take.
 */
#ifndef WEIR_SCHED_LEASE_H
#define WEIR_SCHED_LEASE_H

#include "base/cpuset.h"

#define WEIR_LEASE_JOB_BYTES 128
#define WEIR_LEASE_HELD_CNT_MAX 256
#define WEIR_LEASE_SYSTEM_DIR "/run/weir" /* of jobs that root runs */

struct weir_lease_held {
    char job[WEIR_LEASE_JOB_BYTES];
    int pid;
    struct weir_cpuset cpus;
};

struct weir_lease;

/* weir_lease_dir - the run-time directory: /run/weir for root, XDG_RUNTIME_DIR/weir or
 * /tmp/weir-<uid> for a plain user. Returns buf. */
WEIR_API const char *weir_lease_dir(char *buf, size_t buf_bytes);

/* weir_lease_open - claim the name of a job and lock the directory.
 *
 * Shape:   dir NULL: the run-time directory, made where it is missing. job is a file name: letters,
 *          digits, '.', '_', '-', not starting with a dot.
 * Errors:  WEIR_ERUNNING when a job of this name runs; WEIR_EINVAL for the name; WEIR_EPERM and the
 *          like for a directory that cannot be used, or belongs to another user.
 */
WEIR_API WEIR_MUST_USE int
weir_lease_open(const char *dir, const char *job, struct weir_lease **ret_lease);

/* weir_lease_held - what other running jobs hold, at most WEIR_LEASE_HELD_CNT_MAX of them.
 *
 * Shape:   held has room for that many; looks into the system's directory too where dir was NULL.
 * Returns: how many.
 */
WEIR_API uint32_t weir_lease_held(const struct weir_lease *lease, struct weir_lease_held *held);

/* weir_lease_list - the jobs that run, for who holds no lease; as weir_lease_held.
 *
 * Shape:   dir NULL: the run-time directory and that of the system. It waits for a job that is
 *          between open and take. A directory that is not there has none. */
WEIR_API uint32_t weir_lease_list(const char *dir, struct weir_lease_held *held);

/* weir_lease_take - say which cores this job holds, and unlock the directory. Again: replaces
 * them. */
WEIR_API WEIR_MUST_USE int
weir_lease_take(struct weir_lease *lease, const struct weir_cpuset *cpus);

/* weir_lease_close - give up name and cores; takes NULL. */
WEIR_API void weir_lease_close(struct weir_lease *lease);

#endif
