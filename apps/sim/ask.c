/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/ask.h"

#include <stdlib.h>
#include <string.h>

#include "apps/sim/schema.h"
#include "base/rng.h"

/* Few, so that rows often wait for answers. */
#define CAPACITY 24
#define HELD_CNT_MAX 9
#define TIMEOUT_NS (2 * WEIR_MS)
#define ATTEMPT_CNT 3
#define BACKOFF_NS (WEIR_MS / 10)

/* Calls that wait until others come: answered in another order than they were asked. */
struct client {
    struct weir_async *held[HELD_CNT_MAX];
    uint32_t held_cnt;
};

static uint64_t
mixed(const struct cell *row)
{
    return weir_rng_mix((uint64_t)(row->tag * 31 + row->value * 7 + row->key) ^ 0x5eed);
}

/* One row, two, or none. */
static int
emit(struct weir_async *call)
{
    const struct cell *row = weir_async_row(call);
    struct weir_slice text = weir_str_slice(&row->text, weir_async_heap(call));
    int64_t cnt = row->value % 7 == 0 ? 0 : row->value % 5 == 0 ? 2 : 1;
    for (int64_t i = 0; i < cnt; i++) {
        struct cell *made = weir_async_emit(call);
        if (made == NULL) {
            return WEIR_EBUDGET;
        }
        made->key = row->key;
        made->value = (row->value * 11 + 5) % 100003 + i;
        made->tag = row->tag + i;
        made->at = row->at;
        int rc = weir_async_text(call, &made->text, text.ptr, text.bytes);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void
answer(struct weir_async *call)
{
    int rc = emit(call);
    if (rc == 0) {
        weir_async_done(call);
    } else {
        weir_async_fail(call, rc, "an answer does not fit");
    }
}

static void
answer_held(struct client *client, uint32_t idx)
{
    struct weir_async *call = client->held[idx];
    client->held[idx] = client->held[--client->held_cnt];
    answer(call);
}

static int
ask_open(const struct weir_operator *op, const void *conf, void **ret_client)
{
    (void)op;
    (void)conf;
    struct client *client = calloc(1, sizeof *client);
    *ret_client = client;
    return client != NULL ? 0 : WEIR_ENOMEM;
}

static int
ask_start(void *of, struct weir_async *call)
{
    struct client *client = of;
    uint64_t way = mixed(weir_async_row(call));
    bool is_first = weir_async_attempt(call) == 0;
    if (is_first && way % 16 == 0) {
        (void)emit(call); /* of no use: the attempt has failed */
        weir_async_fail(call, WEIR_EIO, "no answer");
        return 0;
    }
    if (is_first && way % 16 == 1) {
        return WEIR_EIO;
    }
    if (client->held_cnt > 0 && way % 3 != 0) {
        answer_held(client, (uint32_t)(way >> 8) % client->held_cnt);
    }
    if (way % 16 < 9 && client->held_cnt < HELD_CNT_MAX) {
        client->held[client->held_cnt++] = call;
    } else {
        answer(call);
    }
    return 0;
}

static void
ask_cancel(void *of, struct weir_async *call)
{
    struct client *client = of;
    for (uint32_t i = 0; i < client->held_cnt; i++) {
        if (client->held[i] == call) {
            client->held[i] = client->held[--client->held_cnt];
            weir_async_done(call);
            return;
        }
    }
}

static int
ask_timeout(void *of, struct weir_async *call)
{
    (void)of;
    return emit(call);
}

static void
ask_close(void *of)
{
    free(of);
}

static const struct weir_async_function function = {
    .in_schema = cell_schema,
    .out_schema = cell_schema,
    .open = ask_open,
    .start = ask_start,
    .cancel = ask_cancel,
    .on_timeout = ask_timeout,
    .close = ask_close,
};

struct weir_stream *
sim_ask(struct weir_stream *in, const char *name, bool is_unordered)
{
    const struct weir_async_conf conf = {
        .function = &function,
        .is_unordered = is_unordered,
        .capacity = CAPACITY,
        .timeout_ns = TIMEOUT_NS,
        .attempt_cnt = ATTEMPT_CNT,
        .backoff_ns = BACKOFF_NS,
        .backoff_factor = 2,
    };
    return weir_async(in, name, &conf);
}
