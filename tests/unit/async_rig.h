/* SPDX-License-Identifier: Apache-2.0 */
/* async_rig.h: the async operator in a real chain, with a mailbox, and answers by hand: which call
 * is answered when, and how, is the test's. */
#ifndef WEIR_TESTS_UNIT_ASYNC_RIG_H
#define WEIR_TESTS_UNIT_ASYNC_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/mailbox.h"
#include "dataplane/operators/async.h"
#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define ASK(F) F(i64, id) F(time, at) F(str, text)
WEIR_SCHEMA(asked, ASK)
#define ANSWER(F) F(i64, id) F(i64, nth) F(str, text)
WEIR_SCHEMA(answer, ANSWER)

#define CALL_CNT_MAX 4096
#define PARTS_BYTES 65536
#define LONG_TEXT "a text that does not fit into sixteen bytes"

/* The world outside: what was asked, in order. */
struct world {
    struct weir_async *asked[CALL_CNT_MAX]; /* NULL: answered */
    int64_t id[CALL_CNT_MAX];
    uint32_t attempt[CALL_CNT_MAX];
    uint32_t asked_cnt;
    uint32_t open_cnt;
    uint32_t cancel_cnt;
    uint32_t timeout_cnt;
    int start_error; /* of the next start */
    int open_error;
    bool answers_at_once;
    bool answers_canceled; /* cancel() answers the call it is given */
};

static inline void
answer_rows(struct weir_async *call, uint32_t cnt)
{
    const struct asked *row = weir_async_row(call);
    struct weir_slice text = weir_str_slice(&row->text, weir_async_heap(call));
    for (uint32_t i = 0; i < cnt; i++) {
        struct answer *made = weir_async_emit(call);
        assert_non_null(made);
        made->id = row->id;
        made->nth = i;
        assert_int_equal(weir_async_text(call, &made->text, text.ptr, text.bytes), 0);
    }
}

static inline int
world_open(const struct weir_operator *op, const void *conf, void **ret_client)
{
    struct world *world = (struct world *)(uintptr_t)conf;
    assert_non_null(op->env->mailbox);
    if (world->open_error != 0) {
        return weir_err_push(world->open_error, "no connection");
    }
    world->open_cnt++;
    *ret_client = world;
    return 0;
}

static inline int
world_start(void *client, struct weir_async *call)
{
    struct world *world = client;
    const struct asked *row = weir_async_row(call);
    if (world->start_error != 0) {
        int error = world->start_error;
        world->start_error = 0;
        return weir_err_push(error, "cannot ask");
    }
    assert_true(world->asked_cnt < CALL_CNT_MAX);
    assert_null(weir_async_own(call));
    weir_async_set_own(call, world);
    world->id[world->asked_cnt] = row->id;
    world->attempt[world->asked_cnt] = weir_async_attempt(call);
    world->asked[world->asked_cnt++] = call;
    if (world->answers_at_once) {
        world->asked[world->asked_cnt - 1] = NULL;
        answer_rows(call, 1);
        weir_async_done(call);
    }
    return 0;
}

static inline void
world_cancel(void *client, struct weir_async *call)
{
    struct world *world = client;
    world->cancel_cnt++;
    for (uint32_t i = 0; i < world->asked_cnt; i++) {
        if (world->asked[i] == call && world->answers_canceled) {
            world->asked[i] = NULL;
            weir_async_fail(call, WEIR_EFAILED, "canceled");
        }
    }
}

/* Row 1000 stands for an answer that did not come. */
static inline int
world_timeout(void *client, struct weir_async *call)
{
    struct world *world = client;
    world->timeout_cnt++;
    struct answer *made = weir_async_emit(call);
    made->id = ((const struct asked *)weir_async_row(call))->id;
    made->nth = 1000;
    return made->id == 666 ? weir_err_push(WEIR_EDATA, "nor one made up") : 0;
}

/* An answer without rows is no good. */
static inline bool
world_retry(const struct weir_async *call)
{
    return weir_async_row_cnt(call) == 0;
}

static inline void
world_close(void *client)
{
    ((struct world *)client)->open_cnt--;
}

static WEIR_UNUSED const struct weir_async_function plain = {.in_schema = asked_schema,
    .out_schema = answer_schema,
    .open = world_open,
    .start = world_start,
    .close = world_close};
static WEIR_UNUSED const struct weir_async_function whole = {.in_schema = asked_schema,
    .out_schema = answer_schema,
    .open = world_open,
    .start = world_start,
    .cancel = world_cancel,
    .on_timeout = world_timeout,
    .close = world_close};
static WEIR_UNUSED const struct weir_async_function choosy = {.in_schema = asked_schema,
    .out_schema = answer_schema,
    .open = world_open,
    .start = world_start,
    .retry_if = world_retry,
    .close = world_close};

/* ---- the rig ---- */

struct rig {
    struct harness *h;
    struct weir_mailbox *mailbox;
    struct world *world;
    struct weir_async_conf conf;
    int error;
    struct asked rows[64];
    struct weir_view view; /* pushed last: it may not be consumed yet */
    char seen[4096]; /* what has come out */
    char parts[PARTS_BYTES];
    size_t parts_bytes;
};

static inline void
give_mailbox(struct harness *h, void *arg)
{
    struct rig *rig = arg;
    weir_chain_set_mailbox(h->chain, 0, rig->mailbox);
}

static inline int
rig_try(struct rig *rig, const struct weir_async_conf *conf)
{
    memset(rig, 0, sizeof *rig);
    rig->world = calloc(1, sizeof *rig->world);
    assert_non_null(rig->world);
    rig->conf = *conf;
    rig->conf.function_conf = rig->world;
    const struct weir_operator_type *type =
        conf->is_unordered ? &weir_async_unordered_type : &weir_async_type;
    assert_int_equal(weir_mailbox_new(type->letters(conf), &rig->mailbox), 0);
    const struct harness_conf made = {.type = type,
        .conf = &rig->conf,
        .in_schema = {asked_schema()},
        .out_schema = {answer_schema()},
        .batch_rows = 8,
        .before_open = give_mailbox,
        .before_open_arg = rig};
    return harness_try(&made, &rig->h);
}

static inline void
rig_open(struct rig *rig, const struct weir_async_conf *conf)
{
    int rc = rig_try(rig, conf);
    if (rc != 0) {
        weir_err_print(stderr, rc);
    }
    assert_int_equal(rc, 0);
}

static inline void
rig_close(struct rig *rig)
{
    if (rig->h != NULL) {
        harness_free(rig->h);
        assert_int_equal(rig->world->open_cnt, 0);
    }
    (void)weir_mailbox_close(rig->mailbox);
    weir_mailbox_delete(rig->mailbox);
    free(rig->world);
    weir_err_clear();
}

/* As a task polls: letters, what is unfinished, times; until nothing goes on by itself. */
static inline void
run(struct rig *rig)
{
    for (uint32_t idle = 0; idle < 2 && rig->error == 0;) {
        int ran = weir_mailbox_run_batch(rig->mailbox, rig->h->now_ns);
        int rc = ran < 0 ? ran : weir_chain_run(rig->h->chain, 100, rig->h->now_ns);
        if (rc == WEIR_DONE) {
            rc = weir_chain_fire(rig->h->chain, rig->h->now_ns);
        }
        idle = ran > 0 || rc == WEIR_AGAIN ? 0 : idle + 1;
        rig->error = rc < 0 ? rc : 0;
    }
}

static inline const char *
seen(struct rig *rig)
{
    const struct harness_out *out = &rig->h->out[0];
    char *at = rig->seen;
    *at = 0;
    for (uint32_t i = 0; i < out->event_cnt; i++) {
        const struct harness_event *event = &out->event[i];
        const struct answer *row = (const struct answer *)(const void *)out->rows + event->row;
        size_t room = sizeof rig->seen - (size_t)(at - rig->seen);
        assert_true(room > 32);
        if (event->kind == HARNESS_ROW && row->nth == 0) {
            at += snprintf(at, room, " %lld", (long long)row->id);
        } else if (event->kind == HARNESS_ROW) {
            at += snprintf(at, room, " %lld.%lld", (long long)row->id, (long long)row->nth);
        } else if (event->kind == HARNESS_WATERMARK) {
            at += event->time == WEIR_WATERMARK_MAX
                      ? snprintf(at, room, " |max")
                      : snprintf(at, room, " |%lld", (long long)event->time);
        } else {
            at += snprintf(at, room, " %s",
                event->kind == HARNESS_END      ? "end"
                : event->kind == HARNESS_IDLE   ? "idle"
                : event->kind == HARNESS_ACTIVE ? "active"
                                                : "?");
        }
    }
    return rig->seen[0] == ' ' ? rig->seen + 1 : rig->seen;
}

/* Rows [first, first + cnt), by their ids, at time 10 * id; not all may be taken. */
static inline void
push(struct rig *rig, int64_t first, uint32_t cnt)
{
    assert_true(cnt <= 64);
    memset(rig->rows, 0, sizeof rig->rows);
    for (uint32_t i = 0; i < cnt; i++) {
        rig->rows[i].id = first + i;
        rig->rows[i].at = 10 * (first + i);
        rig->rows[i].text = weir_str_ref((const char *)rig->rows, LONG_TEXT, sizeof LONG_TEXT - 1);
    }
    rig->view = harness_view_of(asked_schema(), rig->rows, cnt);
    rig->view.watermark = rig->h->watermark[0];
    weir_chain_offer(rig->h->chain, 0, 0, &rig->view);
    run(rig);
}

static inline void
mark(struct rig *rig, int64_t watermark)
{
    rig->h->watermark[0] = watermark;
    weir_chain_offer_watermark(rig->h->chain, 0, 0, watermark);
    run(rig);
}

/* Answer the call that was asked as number `i` with cnt rows. */
static inline void
answer(struct rig *rig, uint32_t i, uint32_t cnt)
{
    struct weir_async *call = rig->world->asked[i];
    assert_non_null(call);
    rig->world->asked[i] = NULL;
    answer_rows(call, cnt);
    weir_async_done(call);
    run(rig);
}

static inline void
refuse(struct rig *rig, uint32_t i)
{
    struct weir_async *call = rig->world->asked[i];
    assert_non_null(call);
    rig->world->asked[i] = NULL;
    weir_async_fail(call, WEIR_EUNAVAILABLE, "503");
    run(rig);
}

static inline void
wait_until(struct rig *rig, int64_t now_ns)
{
    rig->h->now_ns = now_ns;
    run(rig);
}

/* The text of the error that came, taken. */
static inline const char *
why(struct rig *rig)
{
    weir_err_save(rig->seen, sizeof rig->seen);
    weir_err_clear();
    return rig->seen;
}

#endif
