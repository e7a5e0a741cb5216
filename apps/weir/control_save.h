/* SPDX-License-Identifier: Apache-2.0 */
/* control_save.h: a savepoint of a job that goes on, from the request to its answer.
 *
 *     NONE --begin--> ASKS ---------------> WRITES ----------------> NONE (answer)
 *                      |  the job takes a      |  a process of its own makes rows of it (saver.h)
 *                      |  checkpoint beside    |
 *                      |  its timeline         |
 *                      '--> NONE (answer) <----'  whatever fails
 *
 * One at a time. What is written counts when its manifest has its name, which is the last thing to
 * happen: nothing half done is ever taken for a savepoint.
 *
 * Thread:  one, the watch's.
 */
#ifndef WEIR_APPS_WEIR_CONTROL_SAVE_H
#define WEIR_APPS_WEIR_CONTROL_SAVE_H

#include <jansson.h>

#include "apps/weir/control.h"
#include "apps/weir/saver.h"

enum weir_saving_state { WEIR_SAVING_NONE, WEIR_SAVING_ASKS, WEIR_SAVING_WRITES };

struct weir_saving {
    const struct weir_control_conf *conf;
    enum weir_saving_state state;
    uint64_t ticket; /* of the newest request to the job */
    bool is_put; /* the job has it */
    bool gives_up; /* the job has ended, or does so at once */
    uint64_t asker; /* who waits for the answer */
    uint64_t id; /* of the checkpoint */
    uint64_t release_id; /* the job is still to be told that nobody reads it; 0: none */
    struct weir_saver *saver;
    char dir[WEIR_CONTROL_PATH_BYTES];
};

/* weir_saving_job_check - NULL, or why no savepoint of the job can be made. */
json_t *weir_saving_job_check(const struct weir_job *job);
/* weir_saving_path_check - NULL, or why `path` is none to save below. */
json_t *weir_saving_path_check(const json_t *path);
/* weir_saving_begin - take a savepoint below path (NULL: checkpoints.savepoint_dir), for who asks.
 * Returns: NULL, or the refusal. */
json_t *weir_saving_begin(struct weir_saving *saving, const json_t *path, uint64_t asker);
/* weir_saving_serve - go on; never waits. Returns: NULL, or the answer that the asker gets: it is
 * over. */
json_t *weir_saving_serve(struct weir_saving *saving);
/* weir_saving_give_up - the job takes no more checkpoints, or was canceled: serve says so. Again:
 * no effect. */
void weir_saving_give_up(struct weir_saving *saving);
/* weir_saving_wait_ns - as weir_endpoint_wait_ns; weir_saving_fd: the same for poll(), or -1. */
int64_t weir_saving_wait_ns(const struct weir_saving *saving);
int weir_saving_fd(const struct weir_saving *saving);
void weir_saving_fini(struct weir_saving *saving);

#endif
