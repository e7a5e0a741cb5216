/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/control.h"
#include "base/err.h"
#include "base/clock.h"
#include "sched/endpoint.h"

/* Longer than anybody waits, and far from what a clock may not hold. */
#define LONG_NS (INT64_C(365) * 24 * 3600 * WEIR_SEC_NS)

/* What the job has refused, as an error of this process. */
static int
refused(const struct weir_args *args, const json_t *doc)
{
    int code = (int)json_integer_value(json_object_get(doc, "code"));
    const char *why = json_string_value(json_object_get(doc, "error"));
    int err = code > 0 && weir_err_row(code) != NULL ? -code : WEIR_EREFUSED;
    return weir_err_push(
        err, "job %.100s says: %.300s", args->arg[0], why != NULL ? why : "nothing");
}

/* The document of an answer that says yes; the caller drops it. */
static int
read_document(const struct weir_args *args, const char *text, json_t **ret_doc)
{
    json_error_t error;
    json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    json_int_t version = json_integer_value(json_object_get(doc, "version"));
    const json_t *ok = json_object_get(doc, "ok");
    int err = 0;
    if (doc == NULL || version == 0 || !json_is_boolean(ok)) {
        err = weir_err_push(WEIR_EFORMAT, "what job %.100s answers is not understood: %.150s",
            args->arg[0], doc == NULL ? error.text : "no version, or no ok");
    } else if (json_is_false(ok)) {
        err = refused(args, doc);
    } else if (version != WEIR_CONTROL_VERSION) {
        err = weir_err_push(WEIR_EREFUSED, "job %.100s speaks version %lld, this program %d",
            args->arg[0], (long long)version, WEIR_CONTROL_VERSION);
    }
    if (err != 0) {
        json_decref(doc);
        return err;
    }
    *ret_doc = doc;
    return 0;
}

static bool
has_flag(const struct weir_args *args, const char *name)
{
    for (size_t i = 0; i < args->value_cnt; i++) {
        if (strcmp(args->value[i].flag->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int
wait_for_end(const struct weir_args *args, const struct weir_endpoint_answer *answer)
{
    struct pollfd end = {.fd = answer->pid_fd, .events = POLLIN};
    if (answer->pid_fd < 0) {
        return weir_err_push(
            WEIR_ESYS, "--wait: the process of job %.100s cannot be seen from here", args->arg[0]);
    }
    while (poll(&end, 1, -1) < 0) {
        if (errno != EINTR) {
            return weir_err_errno(errno, "wait for job %.100s", args->arg[0]);
        }
    }
    return 0;
}

/* One request and its answer; the caller has both the document and the answer to give back. */
static int
ask_once(const struct weir_args *args, json_t *request, int64_t patience_ns,
    struct weir_endpoint_answer *ret_answer, json_t **ret_doc)
{
    char *text = NULL;
    if (request != NULL &&
        json_object_set_new(request, "version", json_integer(WEIR_CONTROL_VERSION)) == 0) {
        text = json_dumps(request, JSON_COMPACT);
    }
    json_decref(request);
    if (text == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a request to job %.100s", args->arg[0]);
    }
    int err = weir_endpoint_ask(NULL, args->arg[0], text, patience_ns, ret_answer);
    free(text);
    if (err == 0) {
        err = read_document(args, ret_answer->text, ret_doc);
        if (err != 0) {
            weir_endpoint_answer_fini(ret_answer);
        }
    }
    return err;
}

static int
ask_for(const struct weir_args *args, json_t *request, int64_t patience_ns,
    void (*print)(const json_t *answer))
{
    struct weir_endpoint_answer answer;
    json_t *doc = NULL;
    int err = ask_once(args, request, patience_ns, &answer, &doc);
    if (err != 0) {
        return err;
    }
    if (has_flag(args, "wait")) {
        err = wait_for_end(args, &answer);
    }
    if (err == 0 && weir_cli_has(args, "json")) {
        (void)json_object_del(doc, "ok");
        weir_cli_print_json(json_incref(doc));
    } else if (err == 0) {
        print(doc);
    }
    json_decref(doc);
    weir_endpoint_answer_fini(&answer);
    return err;
}

int
weir_ask_document(const struct weir_args *args, json_t *request, json_t **ret_doc)
{
    struct weir_endpoint_answer answer;
    int err = ask_once(args, request, WEIR_ENDPOINT_PATIENCE_NS, &answer, ret_doc);
    if (err == 0) {
        (void)json_object_del(*ret_doc, "ok");
        weir_endpoint_answer_fini(&answer);
    }
    return err;
}

int
weir_ask_number(const struct weir_args *args, const struct weir_opt *opt, int64_t *ret_number)
{
    const char *text = weir_cli_value(args, opt->name);
    struct weir_opt_value value;
    char why[WEIR_OPT_WHY_BYTES];
    if (weir_opt_parse(opt, text != NULL ? text : opt->def, &value, why) != 0) {
        return weir_cli_usage(args, "--%s %s", opt->name, why);
    }
    *ret_number = value.number;
    return 0;
}

int
weir_ask(const struct weir_args *args, json_t *request, void (*print)(const json_t *answer))
{
    return ask_for(args, request, WEIR_ENDPOINT_PATIENCE_NS, print);
}

int
weir_ask_long(const struct weir_args *args, json_t *request, void (*print)(const json_t *answer))
{
    static const char status[] = "{\"version\": 1, \"verb\": \"status\"}";
    struct weir_endpoint_answer answer;
    int err = weir_endpoint_ask(NULL, args->arg[0], status, WEIR_ENDPOINT_PATIENCE_NS, &answer);
    if (err != 0) {
        json_decref(request);
        return err;
    }
    weir_endpoint_answer_fini(&answer);
    return ask_for(args, request, LONG_NS, print);
}

/* Whole or not at all: what was cut short, or left out, would save the job elsewhere or nowhere. */
int
weir_ask_set_path(json_t *request, const char *key, const char *path)
{
    char cwd[WEIR_CONTROL_PATH_BYTES] = "";
    char text[WEIR_CONTROL_PATH_BYTES];
    bool is_absolute = path[0] == '/';
    if (!is_absolute && getcwd(cwd, sizeof cwd) == NULL) {
        return weir_err_push(
            WEIR_EUSAGE, "the directory that %.200s is in has too long a name", path);
    }
    int n = snprintf(text, sizeof text, "%s%s%s", cwd, is_absolute ? "" : "/", path);
    if (path[0] == '\0' || n < 0 || (size_t)n >= sizeof text) {
        return weir_err_push(WEIR_EUSAGE, "%.200s%s: the name of a directory has 1 to %d bytes",
            path, strlen(path) > 200 ? "..." : "", WEIR_CONTROL_PATH_BYTES - 1);
    }
    if (json_object_set_new(request, key, json_string(text)) != 0) {
        return weir_err_push(WEIR_EUSAGE, "%s: its name is no UTF-8, as a request has to be", path);
    }
    return 0;
}
