/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/control_save.h"
#include "apps/weir/watch.h"
#include "base/err.h"
#include "sched/endpoint.h"

#define WHY_BYTES 256
/* The rate is that since the sample before the last: over one to two of these. */
#define SAMPLE_NS WEIR_SEC_NS

struct sample {
    int64_t at_ns;
    uint64_t rows_in;
};

struct weir_control {
    struct weir_control_conf conf;
    struct weir_endpoint *endpoint;
    struct weir_clock clock;
    struct sample first;
    struct sample before;
    struct sample last;
    int64_t started_utc_ns;
    int64_t now_ns; /* of the call that serves */
    enum weir_task_request asked;
    int asker_pid;
    uint64_t asker; /* of the request that is served */
    bool is_later; /* its answer comes later */
    struct weir_saving saving;
    char savepoint[WEIR_CONTROL_PATH_BYTES]; /* where to, after a stop; "": nowhere */
};

/* ---- answers ---- */

json_t *
weir_control_refuse(int err, const char *fmt, ...)
{
    char why[WHY_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return json_pack("{s:b, s:i, s:s}", "ok", 0, "code", -err, "error", why);
}

static struct sample
sample_now(const struct weir_control *control, int64_t now_ns)
{
    const struct weir_plan *plan = weir_launch_plan_of(control->conf.launch);
    return (struct sample){now_ns, weir_watch_totals(control->conf.job, plan).rows_in};
}

static json_t *
answer_status(struct weir_control *control, const json_t *request)
{
    (void)request;
    struct sample now = sample_now(control, control->now_ns);
    int64_t since_ns = now.at_ns - control->before.at_ns;
    const struct weir_control_view view = {
        .conf = &control->conf,
        .asked = control->asked,
        .uptime_s = (double)(now.at_ns - control->first.at_ns) / (double)WEIR_SEC_NS,
        .started_utc_ns = control->started_utc_ns,
        .rate_per_s = since_ns > 0 ? (double)(now.rows_in - control->before.rows_in) *
                                         (double)WEIR_SEC_NS / (double)since_ns
                                   : 0,
    };
    json_t *doc = weir_control_status(&view);
    if (doc != NULL) {
        (void)json_object_set_new(doc, "ok", json_true());
    }
    return doc;
}

static json_t *
ended(struct weir_control *control, enum weir_task_request request, const char *verb)
{
    if (control->asked < request) {
        (void)fprintf(stderr, "weir: %s, as `weir %s` of process %d asked\n",
            request == WEIR_TASK_REQUEST_CANCEL  ? "canceling"
            : request == WEIR_TASK_REQUEST_DRAIN ? "draining: windows fire, then the job ends"
                                                 : "stopping: what is in flight is finished",
            verb, control->asker_pid);
    }
    weir_control_end(control, request);
    return json_pack("{s:b, s:s, s:i, s:s}", "ok", 1, "job", weir_launch_name(control->conf.launch),
        "pid", (int)getpid(), "state", weir_control_state_name(control->conf.job, control->asked));
}

/* NULL: the job can be saved to `path` when it has ended, and will be; or why not. */
static json_t *
take_savepoint(struct weir_control *control, const json_t *path)
{
    const char *text = json_string_value(path);
    json_t *refusal = weir_saving_path_check(path);
    refusal = refusal != NULL ? refusal : weir_saving_job_check(control->conf.job);
    if (refusal != NULL) {
        return refusal;
    }
    if (control->savepoint[0] != '\0' && strcmp(control->savepoint, text) != 0) {
        return weir_control_refuse(
            WEIR_EREFUSED, "the job will be saved to %.200s already", control->savepoint);
    }
    (void)snprintf(control->savepoint, sizeof control->savepoint, "%s", text);
    return NULL;
}

static json_t *
answer_stop(struct weir_control *control, const json_t *request)
{
    const json_t *drain = json_object_get(request, "drain");
    const json_t *savepoint = json_object_get(request, "savepoint");
    if (drain != NULL && !json_is_boolean(drain)) {
        return weir_control_refuse(WEIR_EUSAGE, "drain is true or false");
    }
    enum weir_task_request wanted =
        json_is_true(drain) ? WEIR_TASK_REQUEST_DRAIN : WEIR_TASK_REQUEST_STOP;
    if (control->asked == WEIR_TASK_REQUEST_CANCEL) {
        return weir_control_refuse(WEIR_EREFUSED, "the job is being canceled");
    }
    if (control->asked != WEIR_TASK_REQUEST_NONE && control->asked != wanted) {
        return weir_control_refuse(WEIR_EREFUSED, "%s",
            wanted == WEIR_TASK_REQUEST_DRAIN
                ? "the job stops already without draining: its sources have ended"
                : "the job drains already: its windows fire");
    }
    json_t *refusal = savepoint != NULL ? take_savepoint(control, savepoint) : NULL;
    if (refusal != NULL) {
        return refusal;
    }
    json_t *doc = ended(control, wanted, json_is_true(drain) ? "stop --drain" : "stop");
    if (doc != NULL) {
        (void)json_object_set_new(doc, "savepoint",
            control->savepoint[0] != '\0' ? json_string(control->savepoint) : json_null());
    }
    return doc;
}

static json_t *
answer_savepoint(struct weir_control *control, const json_t *request)
{
    if (control->asked != WEIR_TASK_REQUEST_NONE) {
        return weir_control_refuse(WEIR_EREFUSED, "the job is being ended: %s",
            weir_control_state_name(control->conf.job, control->asked));
    }
    json_t *refusal =
        weir_saving_begin(&control->saving, json_object_get(request, "savepoint"), control->asker);
    control->is_later = refusal == NULL;
    return refusal;
}

static json_t *
answer_cancel(struct weir_control *control, const json_t *request)
{
    (void)request;
    return ended(control, WEIR_TASK_REQUEST_CANCEL, "cancel");
}

/* ---- requests ---- */

static const struct row {
    const char *verb;
    const char *option[2]; /* beside version and verb; NULL: none */
    json_t *(*answer)(struct weir_control *control, const json_t *request);
} rows[] = {
    {"status", {NULL, NULL}, answer_status},
    {"stop", {"drain", "savepoint"}, answer_stop},
    {"cancel", {NULL, NULL}, answer_cancel},
    {"savepoint", {"savepoint", NULL}, answer_savepoint},
};

static const struct row *
row_of(const char *verb)
{
    for (size_t i = 0; verb != NULL && i < WEIR_ARRAY_CNT(rows); i++) {
        if (strcmp(rows[i].verb, verb) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The first option that is not the row's, NULL: none. */
static const char *
stranger(json_t *request, const struct row *row)
{
    const char *key;
    json_t *value;
    json_object_foreach(request, key, value)
    {
        bool known = strcmp(key, "version") == 0 || strcmp(key, "verb") == 0;
        for (size_t i = 0; i < WEIR_ARRAY_CNT(row->option); i++) {
            known = known || (row->option[i] != NULL && strcmp(key, row->option[i]) == 0);
        }
        if (!known) {
            return key;
        }
    }
    return NULL;
}

static json_t *
serve_document(struct weir_control *control, json_t *request)
{
    const json_t *version = json_object_get(request, "version");
    if (!json_is_integer(version)) {
        return weir_control_refuse(WEIR_EUSAGE, "a request is an object with a version and a verb");
    }
    if (json_integer_value(version) != WEIR_CONTROL_VERSION) {
        return weir_control_refuse(WEIR_EREFUSED,
            "version %lld was asked, the job speaks version %d",
            (long long)json_integer_value(version), WEIR_CONTROL_VERSION);
    }
    const char *verb = json_string_value(json_object_get(request, "verb"));
    const struct row *row = row_of(verb);
    if (row == NULL) {
        return weir_control_refuse(WEIR_EUSAGE,
            "there is no verb %.40s; there is status, stop, cancel, savepoint",
            verb != NULL ? verb : "given");
    }
    const char *option = stranger(request, row);
    if (option != NULL) {
        return weir_control_refuse(WEIR_EUSAGE, "%s takes no option %.40s", verb, option);
    }
    return row->answer(control, request);
}

static json_t *
serve_text(struct weir_control *control, const struct weir_endpoint_request *request)
{
    json_error_t error;
    if (request->err != 0) {
        return weir_control_refuse(request->err, "%s", request->why);
    }
    json_t *doc = json_loadb(request->text, request->bytes, JSON_REJECT_DUPLICATES, &error);
    if (doc == NULL) {
        return weir_control_refuse(WEIR_EUSAGE, "the request is not JSON: %.150s", error.text);
    }
    json_t *answer = serve_document(control, doc);
    json_decref(doc);
    return answer;
}

static char *
text_of(json_t *answer)
{
    char *text = NULL;
    if (answer != NULL &&
        json_object_set_new(answer, "version", json_integer(WEIR_CONTROL_VERSION)) == 0) {
        text = json_dumps(answer, JSON_COMPACT);
    }
    json_decref(answer);
    return text;
}

static char *
make_answer(void *arg, const struct weir_endpoint_request *request, bool *ret_later)
{
    struct weir_control *control = arg;
    control->asker_pid = request->pid;
    control->asker = request->ticket;
    control->is_later = false;
    json_t *answer = serve_text(control, request);
    *ret_later = control->is_later;
    return text_of(answer);
}

/* ---- the job's end, and the loop ---- */

void
weir_control_end(struct weir_control *control, enum weir_task_request request)
{
    control->asked = control->asked < request ? request : control->asked;
    if (control->conf.supervised != NULL) {
        weir_supervised_ends(control->conf.supervised);
    }
    if (request == WEIR_TASK_REQUEST_CANCEL) {
        weir_saving_give_up(&control->saving);
    }
    weir_job_request(control->conf.job, request);
}

void
weir_control_job_ended(struct weir_control *control)
{
    weir_saving_give_up(&control->saving);
}

bool
weir_control_is_saving(const struct weir_control *control)
{
    return control->saving.state != WEIR_SAVING_NONE;
}

int
weir_control_save_fd(const struct weir_control *control)
{
    return weir_saving_fd(&control->saving);
}

const char *
weir_control_savepoint(const struct weir_control *control)
{
    return control->savepoint;
}

enum weir_task_request
weir_control_asked(const struct weir_control *control)
{
    return control->asked;
}

int
weir_control_open(const struct weir_control_conf *conf, struct weir_control **ret_control)
{
    struct weir_control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the control of job %s", weir_launch_name(conf->launch));
    }
    const struct weir_endpoint_conf endpoint = {
        .job = weir_launch_name(conf->launch), .answer_fn = make_answer, .arg = control};
    control->conf = *conf;
    control->saving.conf = &control->conf;
    weir_clock_init_os(&control->clock);
    control->started_utc_ns = weir_clock_utc_ns(&control->clock);
    control->first = sample_now(control, weir_clock_ns_cold(&control->clock));
    control->before = control->first;
    control->last = control->first;
    int err = weir_endpoint_open(&endpoint, &control->endpoint);
    if (err != 0) {
        free(control);
        return err;
    }
    *ret_control = control;
    return 0;
}

void
weir_control_close(struct weir_control *control)
{
    if (control != NULL) {
        weir_saving_fini(&control->saving);
        weir_endpoint_close(control->endpoint);
        free(control);
    }
}

int
weir_control_fd(const struct weir_control *control)
{
    return weir_endpoint_fd(control->endpoint);
}

void
weir_control_serve(struct weir_control *control, int64_t now_ns)
{
    if (now_ns - control->last.at_ns >= SAMPLE_NS) {
        control->before = control->last;
        control->last = sample_now(control, now_ns);
    }
    control->now_ns = now_ns;
    weir_endpoint_serve(control->endpoint, now_ns);
    json_t *answer = weir_saving_serve(&control->saving);
    if (answer != NULL) {
        weir_endpoint_answer(control->endpoint, control->saving.asker, text_of(answer));
    }
}

int64_t
weir_control_wait_ns(const struct weir_control *control, int64_t now_ns)
{
    int64_t wait_ns = weir_endpoint_wait_ns(control->endpoint, now_ns);
    int64_t save_ns = weir_saving_wait_ns(&control->saving);
    wait_ns = wait_ns < 0 || (save_ns >= 0 && save_ns < wait_ns) ? save_ns : wait_ns;
    int64_t sample_ns = weir_max_i64(control->last.at_ns + SAMPLE_NS - now_ns, 0);
    return wait_ns < 0 ? sample_ns : weir_min_i64(wait_ns, sample_ns);
}
