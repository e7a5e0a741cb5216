/* SPDX-License-Identifier: Apache-2.0 */
/* Rows under way of a checkpoint: read behind the pages of a task's newest file, whole before any
 * task is polled. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/flight.h"
#include "sched/job_restore_priv.h"

/* More than any checkpoint is made to hold is damage that no checksum has caught. */
#define FLIGHT_BYTES_MAX WEIR_GIB

/* Whether the section begins here. */
bool
weir_job_flight_begins(const char *at, uint64_t bytes)
{
    return bytes >= WEIR_FLIGHT_HEAD_BYTES && memcmp(at, WEIR_FLIGHT_MAGIC, 8) == 0;
}

/* The next bytes of the section: the first have its length. */
int
weir_job_flight_take(struct job_old_task *old, const char *at, uint64_t bytes)
{
    if (old->flight == NULL) {
        memcpy(&old->flight_all, at + 16, sizeof old->flight_all);
        if (old->flight_all < WEIR_FLIGHT_HEAD_BYTES || old->flight_all > FLIGHT_BYTES_MAX) {
            return weir_err_push(WEIR_EDATA, "%s: rows under way of %" PRIu64 " bytes",
                old->files[old->file_cnt - 1]->name, old->flight_all);
        }
        old->flight = malloc(weir_align_up(old->flight_all, sizeof(uint64_t)));
        if (old->flight == NULL) {
            return weir_err_push(WEIR_ENOMEM, "rows under way of a checkpoint");
        }
    }
    if (bytes > old->flight_all - old->flight_got) {
        return weir_err_push(
            WEIR_EDATA, "%s: bytes behind its end", old->files[old->file_cnt - 1]->name);
    }
    memcpy(old->flight + old->flight_got, at, bytes);
    old->flight_got += bytes;
    return 0;
}

void
weir_job_flight_drop(struct job_old_task *old)
{
    free(old->flight);
    old->flight = NULL;
    old->flight_got = 0;
}

bool
weir_job_flight_follows(const struct job_old_task *old)
{
    return (old->head.flags & WEIR_TASK_FILE_FLIGHT) != 0;
}

/* All of them were read: what the tasks get. */
int
weir_job_flight_check(struct weir_job_restore *restore)
{
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        const struct job_old_task *old = &restore->old[i];
        if (!weir_job_flight_follows(old)) {
            continue;
        }
        const char *name = old->files[old->file_cnt - 1]->name;
        if (old->flight == NULL) {
            return weir_job_restore_blame_file(
                restore, weir_err_push(WEIR_EDATA, "no rows under way"), name);
        }
        int err = weir_flight_check(old->flight, old->flight_got);
        if (err != 0) {
            return weir_job_restore_blame_file(restore, err, name);
        }
        const struct weir_flight_entry *entry;
        size_t offset = 0;
        while ((entry = weir_flight_next(old->flight, old->flight_got, &offset)) != NULL) {
            restore->flight_rows += entry->row_cnt;
        }
        restore->flights[i] = (struct weir_task_flight_bytes){old->flight, old->flight_got};
    }
    return 0;
}
