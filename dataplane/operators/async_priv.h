/* SPDX-License-Identifier: Apache-2.0 */
/* async_priv.h: what async.c (which rows are on their way, and what comes of them), async_call.c
 * (one of them, as the function sees it) and async_conf.c share. */
#ifndef WEIR_DATAPLANE_OPERATORS_ASYNC_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_ASYNC_PRIV_H

#include "dataplane/mailbox.h"
#include "dataplane/operators/async.h"

#define ASYNC_WHY_BYTES 160
#define ASYNC_NONE UINT32_MAX

struct weir_async {
    /* writer: the task's core, while the function does not have it */
    struct weir_operator *op;
    weir_mail_fn *done_fn;
    uint32_t idx;
    uint32_t entry; /* the row's place in the queue */
    uint32_t next_free;
    uint32_t attempt;
    bool is_given_up; /* nobody waits for it any more */
    char *row; /* the struct, the texts behind it */
    uint32_t row_bytes;
    uint32_t row_cap;
    /* writer: whoever has it */
    void *own;
    char *result; /* rows from the front, texts from the back */
    uint32_t result_cap;
    uint32_t result_row_bytes;
    uint32_t row_cnt;
    uint32_t text_bytes;
    int error;
    char why[ASYNC_WHY_BYTES];
};

/* weir_async_take_row - copy a row and its texts. WEIR_EDATA: they are too long. */
int weir_async_take_row(
    struct weir_async *call, const struct weir_view *in, uint32_t row, uint32_t text_cap);
/* weir_async_reset - no answer, and no error. */
void weir_async_reset(struct weir_async *call);
/* weir_async_put - row idx of the answer into out. False: there is no room. */
bool weir_async_put(const struct weir_async *call, uint32_t idx, struct weir_out *out);

/* One row in a snapshot, before its bytes. */
struct async_saved {
    uint64_t schema; /* fingerprint */
    int64_t time;
    int64_t watermark;
    uint64_t kind;
};

/* weir_async_defaults - what was given, with what stands for zeros. */
struct weir_async_conf weir_async_defaults(const struct weir_async_conf *given);
/* weir_async_row_cap - bytes of a row with its texts, a multiple of 8. */
uint32_t weir_async_row_cap(const struct weir_async_conf *conf, const struct weir_schema *schema);
/* weir_async_letters, weir_async_has_threads - of an operator of that conf. */
uint32_t weir_async_letters(const void *conf);
bool weir_async_has_threads(const void *conf);

#endif
