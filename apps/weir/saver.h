/* SPDX-License-Identifier: Apache-2.0 */
/* saver.h: a process that makes a savepoint: this program again, with the command line that this
 * process has, which makes a job of the same shape; it does not run but is saved.
 *
 *     weir run JOB ...   --weir_saver_become-->  the same --restore=latest --savepoint=DIR
 *         (its end)
 *     weir run JOB ...   --weir_saver_start-->   a child: the same --restore=S --savepoint=DIR
 *         (goes on)      <--pipe: what it says
 *
 * The child has a lower priority, keeps off the job's cores where there are others, holds neither
 * its name nor its cores, and dies with the thread that started it. Nothing of the job's memory is
 * copied for it.
 *
 * Thread:  one; the child dies with it.
 */
#ifndef WEIR_APPS_WEIR_SAVER_H
#define WEIR_APPS_WEIR_SAVER_H

#include "base/base.h"

#define WEIR_SAVER_PATH_BYTES 4096
#define WEIR_SAVER_TEXT_BYTES 1024

/* What a run that saves says on stdout: two lines, which weir_saver_serve() reads. */
#define WEIR_SAVER_LINE_BEGIN "savepoint "
#define WEIR_SAVER_LINE_COUNTS \
    ": %" PRIu64 " entries and %" PRIu64 " rows in %" PRIu64 " key groups, %" PRIu64 " bytes"
#define WEIR_SAVER_LINE_PATH "go on from it by --restore="

struct weir_saver;

/* How it ended. */
struct weir_saver_end {
    int err; /* 0, or what the child has failed of */
    char why[WEIR_SAVER_TEXT_BYTES]; /* then: in words */
    char path[WEIR_SAVER_PATH_BYTES]; /* of the savepoint's manifest */
    uint64_t entries;
    uint64_t rows;
    uint64_t key_groups;
    uint64_t bytes;
};

/* weir_saver_become - this process begins anew as one that saves the job's last checkpoint below
 * dir. Returns only with an error. */
WEIR_MUST_USE int weir_saver_become(const char *dir);

/* weir_saver_start - begin to save the checkpoint of manifest below dir. Both are borrowed.
 * Errors:  WEIR_ESYS and the like: no process could be had. */
WEIR_MUST_USE int
weir_saver_start(const char *manifest, const char *dir, struct weir_saver **ret_saver);
/* weir_saver_fd - readable when there is something to serve. */
int weir_saver_fd(const struct weir_saver *saver);
/* weir_saver_serve - take what it says, and pass on to stderr what is no result; never waits.
 * Returns: true when the child has ended; *ret_end is set then. */
bool weir_saver_serve(struct weir_saver *saver, struct weir_saver_end *ret_end);
/* weir_saver_pid - its process; 0 when it has ended. */
int weir_saver_pid(const struct weir_saver *saver);
/* weir_saver_kill - end it at once; serve says so. */
void weir_saver_kill(struct weir_saver *saver);
/* weir_saver_close - after its end, or it is killed; takes NULL. */
void weir_saver_close(struct weir_saver *saver);

#endif
