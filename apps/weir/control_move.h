/* SPDX-License-Identifier: Apache-2.0 */
/* control_move.h: key groups of a running job that move to another subtask, from the request to its
 * answer. One move at a time.
 *
 * Thread:  one, the watch's.
 */
#ifndef WEIR_APPS_WEIR_CONTROL_MOVE_H
#define WEIR_APPS_WEIR_CONTROL_MOVE_H

#include <jansson.h>

#include "apps/weir/control.h"

struct weir_moving {
    const struct weir_control_conf *conf;
    struct weir_job_move move; /* the newest; its ticket is that of the request to the job */
    bool is_on;
    bool is_put; /* the job has it */
    bool gives_up; /* the job has ended, or does so at once */
    uint64_t asker; /* who waits for the answer */
};

/* weir_moving_begin - begin the move that a request names, for who asks. Returns: NULL, or the
 * refusal. */
json_t *weir_moving_begin(struct weir_moving *moving, const json_t *request, uint64_t asker);
/* weir_moving_serve - go on; never waits. Returns: NULL, or the answer that the asker gets: it is
 * over. */
json_t *weir_moving_serve(struct weir_moving *moving);
/* weir_moving_give_up - the job ends: serve says so. */
void weir_moving_give_up(struct weir_moving *moving);
/* weir_moving_wait_ns - as weir_endpoint_wait_ns. */
int64_t weir_moving_wait_ns(const struct weir_moving *moving);
/* weir_moving_owners - which subtask has which key groups of an operator, as [first, last, subtask]
 * each; NULL: they do not move. */
json_t *weir_moving_owners(const struct weir_job *job, uint32_t vertex);

#endif
