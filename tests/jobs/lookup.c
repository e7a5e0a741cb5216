/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c: a job that asks an HTTP server about each line: GET URL/LINE, and the answer's text
 * beside the line. A thread per subtask drives all requests on their way (libcurl). */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/weir.h"

#define TOLD(F) F(str, line) F(str, answer)
WEIR_SCHEMA(told, TOLD)

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "the lines"},
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "the table"},
    {"url", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "", "", "whom to ask"},
    {"unordered", WEIR_OPT_BOOL, WEIR_OPT_ANY, "", 0, 0, "false", "", "answers as they come"},
    {"capacity", WEIR_OPT_INT, WEIR_OPT_ANY, "", 1, 4096, "20", "", "requests on their way"},
    {"timeout", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, 3600 * WEIR_SEC_NS, "30s", "",
        "for an answer"},
    {"attempts", WEIR_OPT_INT, WEIR_OPT_ANY, "", 1, 100, "1", "", "of each request"},
    {"fallback", WEIR_OPT_BOOL, WEIR_OPT_ANY, "", 0, 0, "false", "",
        "whether a time-out is answered in the server's place"},
    WEIR_RATE_PARAM,
    WEIR_LINES_PARAMS,
    {.name = NULL},
};

#define URL_BYTES 8192
#define ANSWER_BYTES 2048
#define POLL_MS 1000 /* it is woken for all that matters */

enum request_state {
    FREE,
    FRESH, /* to be asked by the thread */
    ASKED,
    CANCELED, /* to be dropped by it */
};

/* What is in it is its state's owner's: the thread's while ASKED or CANCELED. */
struct request {
    enum request_state state;
    struct weir_async *call;
    CURL *curl;
    char url[URL_BYTES];
    char answer[ANSWER_BYTES];
    size_t answer_bytes;
};

struct client {
    const char *url;
    CURLM *multi;
    pthread_t thread;
    pthread_mutex_t lock; /* of the states */
    bool is_over;
    uint32_t request_cnt;
    struct request *requests;
};

struct conf {
    const char *url;
    uint32_t capacity;
};

static bool
emit(struct weir_async *call, const char *answer, size_t bytes)
{
    const struct weir_line *in = weir_async_row(call);
    struct weir_slice line = weir_str_slice(&in->text, weir_async_heap(call));
    struct told *out = weir_async_emit(call);
    return out != NULL && weir_async_text(call, &out->line, line.ptr, line.bytes) == 0 &&
           weir_async_text(call, &out->answer, answer, bytes) == 0;
}

/* ---- the thread ---- */

static size_t
on_bytes(char *bytes, size_t size, size_t cnt, void *arg)
{
    struct request *request = arg;
    if (request->answer_bytes + size * cnt > sizeof request->answer) {
        return 0; /* libcurl ends the transfer with an error */
    }
    memcpy(request->answer + request->answer_bytes, bytes, size * cnt);
    request->answer_bytes += size * cnt;
    return size * cnt;
}

static void
set_state(struct client *client, struct request *request, enum request_state state)
{
    (void)pthread_mutex_lock(&client->lock);
    request->state = state;
    (void)pthread_mutex_unlock(&client->lock);
}

/* The call is the operator's again; the request may be taken by another before that. */
static void
end(struct client *client, struct request *request, CURLcode result)
{
    char why[URL_BYTES + 64];
    long status = 0;
    struct weir_async *call = request->call;
    (void)curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(client->multi, request->curl);
    bool is_good =
        result == CURLE_OK && status == 200 && emit(call, request->answer, request->answer_bytes);
    (void)snprintf(why, sizeof why, "%s: HTTP status %ld, %s", request->url, status,
        curl_easy_strerror(result));
    set_state(client, request, FREE);
    if (is_good) {
        weir_async_done(call);
    } else {
        weir_async_fail(call, WEIR_EUNAVAILABLE, why);
    }
}

/* What the operator has left since the last look. False: it closes. */
static bool
take_orders(struct client *client)
{
    (void)pthread_mutex_lock(&client->lock);
    bool is_over = client->is_over;
    for (uint32_t i = 0; i < client->request_cnt && !is_over; i++) {
        struct request *request = &client->requests[i];
        if (request->state == FRESH) {
            request->state = ASKED;
            (void)curl_multi_add_handle(client->multi, request->curl);
        } else if (request->state == CANCELED) {
            (void)pthread_mutex_unlock(&client->lock);
            end(client, request, CURLE_ABORTED_BY_CALLBACK);
            (void)pthread_mutex_lock(&client->lock);
        }
    }
    (void)pthread_mutex_unlock(&client->lock);
    return !is_over;
}

static void *
drive(void *arg)
{
    struct client *client = arg;
    while (take_orders(client)) {
        int running;
        int left;
        CURLMsg *message;
        (void)curl_multi_perform(client->multi, &running);
        while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
            struct request *request = NULL;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
            end(client, request, message->data.result);
        }
        (void)curl_multi_poll(client->multi, NULL, 0, POLL_MS, NULL);
    }
    return NULL;
}

/* ---- the task's core ---- */

static void
http_close(void *arg)
{
    struct client *client = arg;
    if (client->thread != 0) {
        (void)pthread_mutex_lock(&client->lock);
        client->is_over = true;
        (void)pthread_mutex_unlock(&client->lock);
        (void)curl_multi_wakeup(client->multi);
        (void)pthread_join(client->thread, NULL);
    }
    for (uint32_t i = 0; i < client->request_cnt; i++) {
        (void)curl_multi_remove_handle(client->multi, client->requests[i].curl);
        curl_easy_cleanup(client->requests[i].curl);
    }
    (void)curl_multi_cleanup(client->multi);
    (void)pthread_mutex_destroy(&client->lock);
    free(client->requests);
    free(client);
}

static void
init_curl(struct request *request)
{
    (void)curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(request->curl, CURLOPT_PRIVATE, request);
    (void)curl_easy_setopt(request->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request->curl, CURLOPT_NOPROXY, "*");
}

static int
http_open(const struct weir_operator *op, const void *arg, void **ret_client)
{
    const struct conf *conf = arg;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a client");
    }
    (void)pthread_mutex_init(&client->lock, NULL);
    client->url = conf->url;
    client->multi = curl_multi_init();
    client->requests = calloc(2 * (size_t)conf->capacity, sizeof *client->requests);
    bool is_whole = client->multi != NULL && client->requests != NULL;
    for (uint32_t i = 0; is_whole && i < 2 * conf->capacity; i++) {
        client->requests[i].curl = curl_easy_init();
        is_whole = client->requests[i].curl != NULL;
        client->request_cnt += is_whole;
        if (is_whole) {
            init_curl(&client->requests[i]);
        }
    }
    if (!is_whole || weir_thread_start(op->env, "http", drive, client, &client->thread) != 0) {
        client->thread = 0;
        http_close(client);
        return weir_err_push(WEIR_ENOMEM, "%u requests and their thread", 2 * conf->capacity);
    }
    *ret_client = client;
    return 0;
}

static int
http_start(void *arg, struct weir_async *call)
{
    struct client *client = arg;
    const struct weir_line *in = weir_async_row(call);
    struct weir_slice line = weir_str_slice(&in->text, weir_async_heap(call));
    struct request *request = NULL;
    (void)pthread_mutex_lock(&client->lock);
    for (uint32_t i = 0; i < client->request_cnt && request == NULL; i++) {
        request = client->requests[i].state == FREE ? &client->requests[i] : NULL;
    }
    (void)pthread_mutex_unlock(&client->lock);
    if (request == NULL) {
        return weir_err_push(WEIR_EILLEGAL, "more calls than there may be");
    }
    (void)snprintf(
        request->url, sizeof request->url, "%s/%.*s", client->url, (int)line.bytes, line.ptr);
    (void)curl_easy_setopt(request->curl, CURLOPT_URL, request->url);
    request->call = call;
    request->answer_bytes = 0;
    weir_async_set_own(call, request);
    set_state(client, request, FRESH);
    (void)curl_multi_wakeup(client->multi);
    return 0;
}

/* The request may have been answered meanwhile, and be another call's. */
static void
http_cancel(void *arg, struct weir_async *call)
{
    struct client *client = arg;
    struct request *request = weir_async_own(call);
    (void)pthread_mutex_lock(&client->lock);
    if (request != NULL && request->call == call && request->state == ASKED) {
        request->state = CANCELED;
    }
    (void)pthread_mutex_unlock(&client->lock);
    (void)curl_multi_wakeup(client->multi);
}

static int
answer_instead(void *arg, struct weir_async *call)
{
    (void)arg;
    return emit(call, "(no answer)", strlen("(no answer)"))
               ? 0
               : weir_err_push(WEIR_EBUDGET, "no room");
}

static const struct weir_async_function http = {.in_schema = weir_line_schema,
    .out_schema = told_schema,
    .open = http_open,
    .start = http_start,
    .cancel = http_cancel,
    .close = http_close,
    .has_threads = true};
static const struct weir_async_function http_or_instead = {.in_schema = weir_line_schema,
    .out_schema = told_schema,
    .open = http_open,
    .start = http_start,
    .cancel = http_cancel,
    .on_timeout = answer_instead,
    .close = http_close,
    .has_threads = true};

int
weir_job_main(struct weir_env *env)
{
    const struct weir_lines_conf lines = {.path = weir_param(env, "input"),
        .decoder = &weir_decode_text,
        .rate = (uint64_t)weir_param_number(env, "rate")};
    struct conf *conf = weir_env_alloc(env, sizeof *conf);
    conf->url = weir_param(env, "url");
    conf->capacity = (uint32_t)weir_param_number(env, "capacity");
    bool has_fallback = weir_param_number(env, "fallback") != 0;
    const struct weir_async_conf async = {.function = has_fallback ? &http_or_instead : &http,
        .function_conf = conf,
        .is_unordered = weir_param_number(env, "unordered") != 0,
        .capacity = conf->capacity,
        .timeout_ns = weir_param_number(env, "timeout"),
        .attempt_cnt = (uint32_t)weir_param_number(env, "attempts"),
        .backoff_ns = 5 * WEIR_MS,
        .backoff_factor = 2,
        .backoff_ns_max = 100 * WEIR_MS};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        weir_env_fail(env, WEIR_ENOMEM, "libcurl");
    }
    struct weir_stream *s = weir_source_lines_param(env, "lines", weir_line_schema(), &lines);
    weir_sink_table(weir_async(s, "look up", &async), "out", weir_param(env, "output"));
    return weir_env_check(env);
}
