/* SPDX-License-Identifier: Apache-2.0 */
/* control.h: what a running job can be asked on its socket, and how it is told to end.
 *
 *     {"version": 1, "verb": "stop", "drain": true}
 *     {"version": 1, "ok": true, "job": "q5", "pid": 4711, "state": "draining", "savepoint": null}
 *     {"version": 1, "ok": false, "code": 1803, "error": "the job is being canceled"}
 *
 * Verbs, options and answers: docs/control.md. Unknown verbs and options are refused. Requests come
 * by sched/endpoint.h, which bounds them. A job ends in one way: a weaker request than the one
 * before changes nothing, and drain does not follow stop, whose sources have ended by then.
 *
 * Thread: one, the watch's; weir_control_asked after that has ended, too.
 */
#ifndef WEIR_APPS_WEIR_CONTROL_H
#define WEIR_APPS_WEIR_CONTROL_H

#include <jansson.h>

#include "apps/weir/supervise.h"
#include "sched/job.h"
#include "sched/launch.h"
#include "sched/metric.h"

#define WEIR_CONTROL_VERSION 1

struct weir_control_conf {
    struct weir_job *job;
    const struct weir_launch *launch; /* of the job; it holds the job's lease */
    const struct weir_supervised *supervised; /* NULL: nobody starts it again */
    uint16_t metrics_port; /* of 127.0.0.1; 0: metrics are on their socket alone */
};

struct weir_control;

/* weir_control_open - listen for who asks about the job. conf's parts outlive it.
 * Errors: those of weir_endpoint_open. */
WEIR_MUST_USE int
weir_control_open(const struct weir_control_conf *conf, struct weir_control **ret_control);
/* weir_control_close - takes NULL. */
void weir_control_close(struct weir_control *control);

/* weir_control_fd, weir_control_serve, weir_control_wait_ns - as those of the endpoint; it wants to
 * be served once a second, to know the rate. */
int weir_control_fd(const struct weir_control *control);
void weir_control_serve(struct weir_control *control, int64_t now_ns);
int64_t weir_control_wait_ns(const struct weir_control *control, int64_t now_ns);

/* weir_control_metrics - those of the job, as last sampled. */
const struct weir_metrics *weir_control_metrics(const struct weir_control *control);
/* weir_control_scrape_fd - readable when somebody asks for metrics. */
int weir_control_scrape_fd(const struct weir_control *control);
/* weir_control_save_fd - readable when a savepoint goes on; -1: none is written. */
int weir_control_save_fd(const struct weir_control *control);
/* weir_control_job_ended - the job does nothing more; a savepoint of it that is not there yet is
 * given up. weir_control_is_saving - until that has ended it has to be served. */
void weir_control_job_ended(struct weir_control *control);
bool weir_control_is_saving(const struct weir_control *control);

/* weir_control_refuse - an answer that says no: an error of the table, and why. */
json_t *weir_control_refuse(int err, const char *fmt, ...) WEIR_PRINTF(2, 3);
/* weir_control_end - end the job: STOP, DRAIN or CANCEL. */
void weir_control_end(struct weir_control *control, enum weir_task_request request);
/* What a stop may save the job to. */
#define WEIR_CONTROL_PATH_BYTES 1024
/* weir_control_savepoint - where the job is to be saved once it has ended; "": nowhere. */
const char *weir_control_savepoint(const struct weir_control *control);
/* weir_control_asked - the strongest of these so far; NONE. */
enum weir_task_request weir_control_asked(const struct weir_control *control);

/* What the status of a job is made from. */
struct weir_control_view {
    const struct weir_control_conf *conf;
    enum weir_task_request asked;
    double uptime_s;
    int64_t started_utc_ns;
    int64_t now_utc_ns;
    const struct weir_metrics *metrics;
};
/* weir_control_status - the status as JSON (docs/control.md), without version and ok; NULL where
 * memory could not be had. */
json_t *weir_control_status(const struct weir_control_view *view);
/* weir_control_state_name - "running" and the like. */
const char *weir_control_state_name(struct weir_job *job, enum weir_task_request asked);

#endif
