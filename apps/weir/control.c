/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/control_move.h"
#include "apps/weir/control_save.h"
#include "apps/weir/control_tap.h"
#include "apps/weir/scrape.h"
#include "base/err.h"
#include "sched/endpoint.h"
#include "sched/lease.h"
#include "sched/metric.h"

#define WHY_BYTES 256
#define PATH_BYTES 1024

struct weir_control {
    struct weir_control_conf conf;
    struct weir_endpoint *endpoint;
    struct weir_metrics *metrics;
    struct weir_scrape *scrape;
    struct weir_control_taps taps;
    char scrape_path[PATH_BYTES];
    struct weir_clock clock;
    int64_t begin_ns;
    int64_t started_utc_ns;
    int64_t now_ns; /* of the call that serves */
    enum weir_task_request asked;
    int asker_pid;
    uint64_t asker; /* of the request that is served */
    bool is_later; /* its answer comes later */
    struct weir_saving saving;
    struct weir_moving moving;
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

static json_t *
answer_status(struct weir_control *control, const json_t *request)
{
    (void)request;
    const struct weir_control_view view = {
        .conf = &control->conf,
        .metrics = control->metrics,
        .asked = control->asked,
        .uptime_s = (double)(control->now_ns - control->begin_ns) / (double)WEIR_SEC_NS,
        .started_utc_ns = control->started_utc_ns,
        .now_utc_ns = weir_clock_utc_ns(&control->clock),
    };
    json_t *doc = weir_control_status(&view);
    if (doc != NULL) {
        (void)json_object_set_new(doc, "ok", json_true());
    }
    return doc;
}

static int
print_page(void *arg, const struct weir_counter_page *page)
{
    const struct weir_control *control = arg;
    return weir_metrics_print(control->metrics, page);
}

static json_t *
answer_metrics(struct weir_control *control, const json_t *request)
{
    (void)request;
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL) {
        return NULL;
    }
    const struct weir_counter_page page = {to, WEIR_COUNTER_OPENMETRICS};
    int err = print_page(control, &page);
    json_t *doc = NULL;
    if (fclose(to) == 0 && err == 0) {
        doc = json_pack("{s:b, s:s, s:s}", "ok", 1, "job", weir_launch_name(control->conf.launch),
            "text", text);
    }
    free(text);
    return doc;
}

static json_t *
answer_tap(struct weir_control *control, const json_t *request)
{
    return weir_control_taps_answer(&control->taps, request, control->now_ns);
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
answer_move(struct weir_control *control, const json_t *request)
{
    if (control->asked != WEIR_TASK_REQUEST_NONE) {
        return weir_control_refuse(WEIR_EREFUSED, "the job is being ended: %s",
            weir_control_state_name(control->conf.job, control->asked));
    }
    json_t *refusal = weir_moving_begin(&control->moving, request, control->asker);
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
    const char *option[3]; /* beside version and verb; NULL: none */
    json_t *(*answer)(struct weir_control *control, const json_t *request);
} rows[] = {
    {"status", {NULL, NULL}, answer_status},
    {"metrics", {NULL, NULL}, answer_metrics},
    {"tap", {"vertex", "rate"}, answer_tap},
    {"stop", {"drain", "savepoint"}, answer_stop},
    {"cancel", {NULL, NULL}, answer_cancel},
    {"move", {"vertex", "key_groups", "to"}, answer_move},
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
            "there is no verb %.40s; there is status, metrics, tap, stop, cancel, move, savepoint",
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
        weir_moving_give_up(&control->moving);
    }
    weir_job_request(control->conf.job, request);
}

void
weir_control_job_ended(struct weir_control *control)
{
    weir_saving_give_up(&control->saving);
    weir_moving_give_up(&control->moving);
}

bool
weir_control_is_saving(const struct weir_control *control)
{
    return control->saving.state != WEIR_SAVING_NONE || control->moving.is_on;
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

static int
open_metrics(struct weir_control *control)
{
    const struct weir_control_conf *conf = &control->conf;
    const char *job = weir_launch_name(conf->launch);
    const struct weir_metrics_conf metrics = {.job = conf->job,
        .plan = weir_launch_plan_of(conf->launch),
        .job_name = job,
        .restart_cnt = conf->supervised != NULL ? conf->supervised->restart_cnt : 0};
    char dir[PATH_BYTES / 2];
    (void)snprintf(control->scrape_path, sizeof control->scrape_path, "%s/%.200s.metrics",
        weir_lease_dir(dir, sizeof dir), job);
    const struct weir_scrape_conf scrape = {.path = control->scrape_path,
        .port = conf->metrics_port,
        .page_fn = print_page,
        .arg = control};
    int err =
        weir_metrics_open(&metrics, control->begin_ns, control->started_utc_ns, &control->metrics);
    return err != 0 ? err : weir_scrape_open(&scrape, &control->scrape);
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
    control->moving.conf = &control->conf;
    control->taps.job = conf->job;
    control->taps.plan = weir_launch_plan_of(conf->launch);
    weir_clock_init_os(&control->clock);
    control->started_utc_ns = weir_clock_utc_ns(&control->clock);
    control->begin_ns = weir_clock_ns_cold(&control->clock);
    int err = weir_endpoint_open(&endpoint, &control->endpoint);
    err = err != 0 ? err : open_metrics(control);
    if (err != 0) {
        weir_control_close(control);
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
        weir_scrape_close(control->scrape);
        weir_metrics_close(control->metrics);
        weir_endpoint_close(control->endpoint);
        free(control);
    }
}

const struct weir_metrics *
weir_control_metrics(const struct weir_control *control)
{
    return control->metrics;
}

int
weir_control_scrape_fd(const struct weir_control *control)
{
    return weir_scrape_fd(control->scrape);
}

int
weir_control_fd(const struct weir_control *control)
{
    return weir_endpoint_fd(control->endpoint);
}

void
weir_control_serve(struct weir_control *control, int64_t now_ns)
{
    control->now_ns = now_ns;
    if (now_ns >= weir_metrics_due_ns(control->metrics)) {
        weir_metrics_sample(control->metrics, now_ns, control->asked != WEIR_TASK_REQUEST_NONE);
        weir_control_taps_tidy(&control->taps, now_ns);
    }
    weir_scrape_serve(control->scrape);
    weir_endpoint_serve(control->endpoint, now_ns);
    json_t *answer = weir_saving_serve(&control->saving);
    if (answer != NULL) {
        weir_endpoint_answer(control->endpoint, control->saving.asker, text_of(answer));
    }
    answer = weir_moving_serve(&control->moving);
    if (answer != NULL) {
        weir_endpoint_answer(control->endpoint, control->moving.asker, text_of(answer));
    }
}

/* The sooner of two times to wait; negative: none. */
static int64_t
sooner(int64_t a_ns, int64_t b_ns)
{
    return a_ns < 0 || (b_ns >= 0 && b_ns < a_ns) ? b_ns : a_ns;
}

int64_t
weir_control_wait_ns(const struct weir_control *control, int64_t now_ns)
{
    int64_t wait_ns = weir_max_i64(weir_metrics_due_ns(control->metrics) - now_ns, 0);
    wait_ns = sooner(wait_ns, weir_endpoint_wait_ns(control->endpoint, now_ns));
    wait_ns = sooner(wait_ns, weir_scrape_wait_ns(control->scrape));
    wait_ns = sooner(wait_ns, weir_moving_wait_ns(&control->moving));
    return sooner(wait_ns, weir_saving_wait_ns(&control->saving));
}
