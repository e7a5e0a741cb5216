/* SPDX-License-Identifier: Apache-2.0 */
/* control_tap.h: samples of the records that pass the operators of a running job (dataplane/tap.h).
 *
 *     {"verb": "tap", "vertex": "count", "rate": 10}      again and again, some times a second
 *     {..., "records": [{"subtask": 0, "kind": "+I", "time": 5, "record": {...}}, ...], "long": 0}
 *
 * The first request begins, each one gives what has been taken since the one before, and when none
 * comes for a while the tap is taken off again: an asker that dies costs nothing. So many records a
 * second are granted, over all subtasks in turn. Two who ask for one vertex share what is taken.
 *
 * Thread: the watch's.
 */
#ifndef WEIR_APPS_WEIR_CONTROL_TAP_H
#define WEIR_APPS_WEIR_CONTROL_TAP_H

#include <jansson.h>

#include "sched/job.h"

/* Vertices that are looked at at once. */
#define WEIR_CONTROL_TAP_CNT_MAX 8
#define WEIR_CONTROL_TAP_RATE_MAX 1000

struct weir_control_tap {
    bool is_on;
    uint32_t vertex; /* operator of the plan */
    int64_t asked_ns; /* last */
    double granted; /* what of a record is left over */
    uint32_t next; /* whose turn it is among the subtasks */
};

struct weir_control_taps {
    struct weir_job *job;
    const struct weir_plan *plan;
    struct weir_control_tap tap[WEIR_CONTROL_TAP_CNT_MAX];
};

/* weir_control_vertex - the operator of that name. Returns: NULL, or the refusal, which names those
 * that there are. */
json_t *weir_control_vertex(const struct weir_plan *plan, const char *name, uint32_t *ret_vertex);
/* weir_control_taps_answer - the answer to a request; NULL: no memory. */
json_t *
weir_control_taps_answer(struct weir_control_taps *taps, const json_t *request, int64_t now_ns);
/* weir_control_taps_tidy - take off what nobody asks for any more. */
void weir_control_taps_tidy(struct weir_control_taps *taps, int64_t now_ns);

#endif
