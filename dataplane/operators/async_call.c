/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/atomic.h"
#include "base/err.h"
#include "dataplane/operators/async_priv.h"
#include "dataplane/row_out.h"

/* ---- the row ---- */

const void *
weir_async_row(const struct weir_async *call)
{
    return call->row;
}

const char *
weir_async_heap(const struct weir_async *call)
{
    return call->row;
}

uint32_t
weir_async_attempt(const struct weir_async *call)
{
    return call->attempt;
}

void *
weir_async_own(const struct weir_async *call)
{
    return call->own;
}

void
weir_async_set_own(struct weir_async *call, void *own)
{
    call->own = own;
}

int
weir_async_take_row(
    struct weir_async *call, const struct weir_view *in, uint32_t row, uint32_t text_cap)
{
    const struct weir_schema *schema = in->schema;
    uint32_t text_bytes = 0;
    memset(call->row, 0, schema->row_bytes);
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(in, 0, sizeof(uint64_t));
        memcpy(call->row, lane.ptr + (size_t)lane.stride * row, sizeof(uint64_t));
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        memcpy(call->row + field->off, weir_view_at(in, field, row), field->bytes);
        struct weir_str *str = (struct weir_str *)(void *)(call->row + field->off);
        if (field->type != WEIR_TYPE_STR || str->bytes <= WEIR_STR_INLINE_BYTES) {
            continue;
        }
        if (str->bytes > text_cap - text_bytes) {
            return weir_err_push(WEIR_EDATA,
                "field %s: with it the texts of a row are longer than text_bytes, %u", field->name,
                text_cap);
        }
        char *to = call->row + schema->row_bytes + text_bytes;
        memcpy(to, in->heap + str->u.off, str->bytes);
        text_bytes += str->bytes;
        str->u.off = (uint64_t)(to - call->row);
    }
    call->row_bytes = schema->row_bytes + text_bytes;
    return 0;
}

/* ---- the answer ---- */

void
weir_async_reset(struct weir_async *call)
{
    call->own = NULL;
    call->row_cnt = 0;
    call->text_bytes = 0;
    call->error = 0;
    call->why[0] = '\0';
}

static bool
has_room(const struct weir_async *call, uint32_t row_cnt, size_t text_bytes)
{
    return (uint64_t)row_cnt * call->result_row_bytes + call->text_bytes + text_bytes <=
           call->result_cap;
}

void *
weir_async_emit(struct weir_async *call)
{
    if (!has_room(call, call->row_cnt + 1, 0)) {
        return NULL;
    }
    char *row = call->result + (size_t)call->row_cnt * call->result_row_bytes;
    call->row_cnt++;
    return memset(row, 0, call->result_row_bytes);
}

int
weir_async_text(struct weir_async *call, struct weir_str *dst, const char *text, size_t bytes)
{
    if (bytes <= WEIR_STR_INLINE_BYTES) {
        *dst = weir_str_inline(text, (uint32_t)bytes);
        return 0;
    }
    if (bytes > UINT32_MAX || !has_room(call, call->row_cnt, bytes)) {
        return WEIR_EBUDGET;
    }
    call->text_bytes += (uint32_t)bytes;
    char *to = call->result + call->result_cap - call->text_bytes;
    memcpy(to, text, bytes);
    *dst = weir_str_ref(call->result, to, (uint32_t)bytes);
    return 0;
}

uint32_t
weir_async_row_cnt(const struct weir_async *call)
{
    return call->row_cnt;
}

const void *
weir_async_at(const struct weir_async *call, uint32_t idx)
{
    return call->result + (size_t)idx * call->result_row_bytes;
}

bool
weir_async_put(const struct weir_async *call, uint32_t idx, struct weir_out *out)
{
    return weir_row_out(weir_async_at(call, idx), call->result, out);
}

/* ---- its end ---- */

/* The mailbox has room for a letter of every call, so one that is refused met other senders: some
 * of them got theirs in. Behind the end of the task nobody wants it. */
void
weir_async_done(struct weir_async *call)
{
    const struct weir_operator_env *env = call->op->env;
    const struct weir_mail mail = {
        .fn = call->done_fn, .arg = call->op, .words = {call->idx}, .priority = env->position};
    while (weir_mailbox_put(env->mailbox, &mail) == 0) {
        weir_spin_hint();
    }
}

void
weir_async_fail(struct weir_async *call, int error, const char *text)
{
    size_t bytes = weir_min_u64(strlen(text), sizeof call->why - 1);
    call->error = error;
    memcpy(call->why, text, bytes);
    call->why[bytes] = '\0';
    weir_async_done(call);
}
