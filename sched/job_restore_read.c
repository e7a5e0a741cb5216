/* SPDX-License-Identifier: Apache-2.0 */
/* How files of a checkpoint are read: one, or a chain, of which the next one is read ahead. */
#include "sched/job_part.h"
#include "sched/job_restore_priv.h"

#define WAIT_NS (100 * WEIR_MS)
#define TELL_NS WEIR_MS

void
weir_job_restore_tell(struct weir_job_restore *restore, bool is_end)
{
    int64_t now_ns = weir_io_clock_ns(restore->io);
    if (restore->conf->how.progress_fn != NULL &&
        (is_end || now_ns - restore->told_ns >= TELL_NS)) {
        restore->told_ns = now_ns;
        restore->progress.elapsed_ns = now_ns - restore->begin_ns;
        restore->progress.is_done = is_end;
        restore->conf->how.progress_fn(restore->conf->how.progress_arg, &restore->progress);
    }
}

/* A canceled job waits for no state; what flies is taken in when the readers are closed. */
static int
read_to_end(struct weir_job_restore *restore)
{
    int err;
    while ((err = weir_snapshot_read_poll(restore->reader)) == WEIR_RELAY_BUSY) {
        /* relaxed: it carries nothing. */
        if (restore->job != NULL && weir_load_rlx(&restore->job->is_canceled) != 0) {
            return weir_err_push(WEIR_ECANCELED, "it was canceled while its state was read");
        }
        if (restore->is_next_read) {
            (void)weir_snapshot_read_poll(restore->next_reader); /* an error is said again */
        }
        if (weir_io_poll(restore->io, weir_io_clock_ns(restore->io)) == 0 &&
            !weir_snapshot_read_is_ready(restore->reader)) {
            weir_io_wait(restore->io, WAIT_NS, -1);
        }
        weir_job_restore_tell(restore, false);
    }
    return err;
}

int
weir_job_restore_read(struct weir_job_restore *restore, const struct weir_snapshot_ask *ask)
{
    weir_snapshot_read(restore->reader, ask);
    return read_to_end(restore);
}

int
weir_job_restore_open(struct weir_job_restore *restore, bool is_chain)
{
    /* Read once: the page cache would only take memory, and time to copy from. */
    const struct weir_snapshot_config blocks = {.io = restore->io,
        .direct = !restore->owns_data_dir && weir_store_is_direct(restore->store)};
    int err = restore->reader == NULL ? weir_snapshot_reader_open(&blocks, &restore->reader) : 0;
    return err == 0 && is_chain && restore->next_reader == NULL
               ? weir_snapshot_reader_open(&blocks, &restore->next_reader)
               : err;
}

void
weir_job_restore_shut(struct weir_job_restore *restore)
{
    weir_snapshot_reader_close(restore->reader);
    weir_snapshot_reader_close(restore->next_reader);
    restore->reader = NULL;
    restore->next_reader = NULL;
    restore->is_next_read = false;
}

int
weir_job_restore_read_chain(struct weir_job_restore *restore, const struct weir_snapshot_ask *ask,
    const struct weir_snapshot_ack *const *files, uint32_t file_cnt)
{
    struct weir_snapshot_ask own = *ask;
    int err = 0;
    own.file = files[0];
    weir_snapshot_read(restore->reader, &own);
    own.is_held = true;
    for (uint32_t i = 0; i < file_cnt && err == 0; i++) {
        restore->is_next_read = i + 1 < file_cnt;
        if (restore->is_next_read) {
            own.file = files[i + 1];
            weir_snapshot_read(restore->next_reader, &own);
        }
        err = read_to_end(restore);
        if (err == 0 && restore->is_next_read) {
            struct weir_snapshot_reader *reader = restore->reader;
            restore->reader = restore->next_reader;
            restore->next_reader = reader;
            weir_snapshot_read_go(restore->reader);
        }
    }
    return err;
}
