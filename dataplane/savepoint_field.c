/* SPDX-License-Identifier: Apache-2.0 */
/* Fields and values of a savepoint: out, in, and from what they were to what they are now. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/savepoint_priv.h"

/* What a field takes in the stream at least: its name's length, type, flags, scale, bytes. */
#define FIELD_BYTES_MIN 10

/* ---- memory ---- */

struct savepoint_block {
    struct savepoint_block *before;
    uint64_t mem[];
};

void *
weir_savepoint_keep(struct savepoint_keep *keep, uint64_t bytes)
{
    struct savepoint_block *block = calloc(1, sizeof *block + bytes);
    if (block == NULL) {
        return NULL;
    }
    block->before = keep->last;
    keep->last = block;
    return block->mem;
}

const char *
weir_savepoint_keep_text(struct savepoint_keep *keep, const char *text, uint64_t bytes)
{
    char *copy = weir_savepoint_keep(keep, bytes + 1);
    if (copy != NULL && bytes > 0) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void
weir_savepoint_keep_fini(struct savepoint_keep *keep)
{
    while (keep->last != NULL) {
        struct savepoint_block *before = keep->last->before;
        free(keep->last);
        keep->last = before;
    }
}

/* ---- names ---- */

void
weir_savepoint_type_text(
    const struct weir_savepoint_field *field, char ret[WEIR_SAVEPOINT_TYPE_BYTES])
{
    const char *null = field->nullable ? "nullable " : "";
    if (field->type == WEIR_STATE_BYTES) {
        (void)snprintf(ret, WEIR_SAVEPOINT_TYPE_BYTES, "%sbytes(%" PRIu32 ")", null, field->bytes);
    } else if (field->type == WEIR_STATE_LIST) {
        (void)snprintf(ret, WEIR_SAVEPOINT_TYPE_BYTES, "%slist", null);
    } else if (field->type == WEIR_TYPE_DEC) {
        (void)snprintf(ret, WEIR_SAVEPOINT_TYPE_BYTES, "%s%s(%u)", null,
            weir_type_name(field->type), field->scale);
    } else {
        (void)snprintf(ret, WEIR_SAVEPOINT_TYPE_BYTES, "%s%s", null, weir_type_name(field->type));
    }
}

const char *
weir_savepoint_key_text(const struct weir_savepoint_state *state)
{
    static const char *const text[WEIR_KEY_KIND_CNT] = {
        [WEIR_KEY_8] = "i64", [WEIR_KEY_16] = "i64, i64", [WEIR_KEY_STR] = "string"};
    return state->has_no_key ? "none" : text[state->key_kind];
}

/* ---- out ---- */

void
weir_savepoint_put(struct savepoint_out *out, const void *data, uint64_t bytes)
{
    if (out->err != 0 || bytes == 0) {
        return;
    }
    char *mem = out->bytes + bytes <= WEIR_SAVEPOINT_RECORD_BYTES_MAX
                    ? weir_state_room_for(&out->room, out->bytes + bytes)
                    : NULL;
    if (mem == NULL) {
        out->err = out->bytes + bytes <= WEIR_SAVEPOINT_RECORD_BYTES_MAX
                       ? weir_err_push(WEIR_ENOMEM, "a record of a savepoint")
                       : weir_err_push(WEIR_EDATA,
                             "a record of a savepoint is longer than %" PRIu64 " bytes",
                             (uint64_t)WEIR_SAVEPOINT_RECORD_BYTES_MAX);
        return;
    }
    memcpy(mem + out->bytes, data, bytes);
    out->bytes += bytes;
}

void
weir_savepoint_put_text(struct savepoint_out *out, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes > UINT16_MAX) {
        out->err = out->err != 0
                       ? out->err
                       : weir_err_push(WEIR_EINVAL, "a name of %zu bytes: %.64s...", bytes, text);
        return;
    }
    weir_savepoint_put_u16(out, (uint16_t)bytes);
    weir_savepoint_put(out, text, bytes);
}

void
weir_savepoint_put_fields(
    struct savepoint_out *out, const struct weir_savepoint_field *fields, uint32_t cnt)
{
    weir_savepoint_put_u16(out, (uint16_t)cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        const struct weir_savepoint_field *field = &fields[i];
        weir_savepoint_put_text(out, field->name);
        weir_savepoint_put_u8(out, (uint8_t)field->type);
        weir_savepoint_put_u8(out, field->nullable ? SAVEPOINT_FLAG_NULLABLE : 0);
        weir_savepoint_put_u16(out, field->scale);
        weir_savepoint_put_u32(out, field->bytes);
        if (field->type == WEIR_STATE_LIST) {
            weir_savepoint_put_fields(
                out, field->items, field->item_cnt); /* lists are not nested */
        }
    }
}

void
weir_savepoint_put_value(
    struct savepoint_out *out, const struct weir_field *field, const void *at, const char *heap)
{
    struct weir_str str;
    if (field->type != WEIR_TYPE_STR) {
        weir_savepoint_put(out, at, field->bytes);
        return;
    }
    memcpy(&str, at, sizeof str);
    if (heap == NULL && str.bytes > WEIR_STR_INLINE_BYTES) {
        out->err = out->err != 0
                       ? out->err
                       : weir_err_push(WEIR_ESTATE,
                             "field %s: a string of %" PRIu32 " bytes in a value of a state: at "
                             "most %d can be kept",
                             field->name, str.bytes, WEIR_STR_INLINE_BYTES);
        return;
    }
    struct weir_slice text = weir_str_slice(&str, heap);
    weir_savepoint_put_u32(out, text.bytes);
    weir_savepoint_put(out, text.ptr, text.bytes);
}

/* ---- in ---- */

const char *
weir_savepoint_get(struct savepoint_in *in, uint64_t bytes)
{
    if (bytes > (uint64_t)(in->end - in->at)) {
        in->is_bad = true;
        in->at = in->end;
        return NULL;
    }
    const char *at = in->at;
    in->at += bytes;
    return at;
}

static uint64_t
get_number(struct savepoint_in *in, uint32_t bytes)
{
    uint64_t value = 0;
    const char *at = weir_savepoint_get(in, bytes);
    if (at != NULL) {
        memcpy(&value, at, bytes);
    }
    return value;
}

uint8_t
weir_savepoint_get_u8(struct savepoint_in *in)
{
    return (uint8_t)get_number(in, sizeof(uint8_t));
}

uint16_t
weir_savepoint_get_u16(struct savepoint_in *in)
{
    return (uint16_t)get_number(in, sizeof(uint16_t));
}

uint32_t
weir_savepoint_get_u32(struct savepoint_in *in)
{
    return (uint32_t)get_number(in, sizeof(uint32_t));
}

uint64_t
weir_savepoint_get_u64(struct savepoint_in *in)
{
    return get_number(in, sizeof(uint64_t));
}

const char *
weir_savepoint_get_text(struct savepoint_in *in, struct savepoint_keep *keep)
{
    uint32_t bytes = weir_savepoint_get_u16(in);
    const char *text = weir_savepoint_get(in, bytes);
    if (text == NULL || memchr(text, '\0', bytes) != NULL) {
        in->is_bad = true;
        return NULL;
    }
    return weir_savepoint_keep_text(keep, text, bytes);
}

static bool
type_is_good(const struct weir_savepoint_field *field, bool is_item)
{
    if (field->type == WEIR_STATE_LIST) {
        return !is_item && !field->nullable && field->bytes == 0;
    }
    if (field->type == WEIR_STATE_BYTES) {
        return !is_item && !field->nullable;
    }
    return field->type < WEIR_TYPE_CNT && field->bytes == 0;
}

static int
get_fields(struct savepoint_in *in, struct savepoint_keep *keep, bool is_item,
    struct weir_savepoint_field **ret_fields, uint32_t *ret_cnt)
{
    uint32_t cnt = weir_savepoint_get_u16(in);
    if (in->is_bad || cnt > SAVEPOINT_FIELD_CNT_MAX ||
        (uint64_t)cnt * FIELD_BYTES_MIN > (uint64_t)(in->end - in->at)) {
        return WEIR_EDATA;
    }
    struct weir_savepoint_field *fields = weir_savepoint_keep(keep, cnt * sizeof *fields);
    if (fields == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        struct weir_savepoint_field *field = &fields[i];
        field->name = weir_savepoint_get_text(in, keep);
        field->type = weir_savepoint_get_u8(in);
        uint8_t flags = weir_savepoint_get_u8(in);
        field->nullable = (flags & SAVEPOINT_FLAG_NULLABLE) != 0;
        field->scale = weir_savepoint_get_u16(in);
        field->bytes = weir_savepoint_get_u32(in);
        if (in->is_bad || flags > SAVEPOINT_FLAG_NULLABLE || !type_is_good(field, is_item)) {
            return WEIR_EDATA;
        }
        if (field->name == NULL) {
            return WEIR_ENOMEM;
        }
        if (field->type == WEIR_STATE_LIST) {
            struct weir_savepoint_field *items = NULL;
            int err = get_fields(in, keep, true, &items, &field->item_cnt);
            if (err < 0) {
                return err;
            }
            field->items = items;
        }
    }
    *ret_fields = fields;
    *ret_cnt = cnt;
    return 0;
}

int
weir_savepoint_get_fields(struct savepoint_in *in, struct savepoint_keep *keep,
    const struct weir_savepoint_field **ret_fields, uint32_t *ret_cnt)
{
    struct weir_savepoint_field *fields = NULL;
    int err = get_fields(in, keep, false, &fields, ret_cnt);
    *ret_fields = fields;
    return err;
}

void
weir_savepoint_get_value(struct savepoint_in *in, const struct weir_savepoint_field *field,
    struct savepoint_value *ret_value)
{
    memset(ret_value, 0, sizeof *ret_value);
    if (field->nullable) {
        uint8_t null = weir_savepoint_get_u8(in);
        in->is_bad |= null > 1;
        ret_value->is_null = null != 0;
        if (null != 0) {
            return;
        }
    }
    switch (field->type) {
    case WEIR_TYPE_BOOL:
        ret_value->word = weir_savepoint_get_u8(in);
        break;
    case WEIR_TYPE_I32:
        ret_value->word = (uint64_t)(int64_t)(int32_t)weir_savepoint_get_u32(in);
        break;
    case WEIR_TYPE_STR:
        ret_value->text.bytes = weir_savepoint_get_u32(in);
        ret_value->text.ptr = weir_savepoint_get(in, ret_value->text.bytes);
        break;
    case WEIR_STATE_BYTES:
        ret_value->text.bytes = field->bytes;
        ret_value->text.ptr = weir_savepoint_get(in, field->bytes);
        break;
    default:
        ret_value->word = weir_savepoint_get_u64(in);
        break;
    }
}

void
weir_savepoint_get_key(struct savepoint_in *in, const struct weir_savepoint_state *state,
    struct savepoint_key *ret_key)
{
    uint32_t cnt = state->key_kind == WEIR_KEY_16 ? 2 : 1;
    memset(ret_key, 0, sizeof *ret_key);
    ret_key->heap = in->at;
    if (state->key_kind != WEIR_KEY_STR) {
        for (uint32_t i = 0; i < cnt; i++) {
            ret_key->word[i] = weir_savepoint_get_u64(in);
        }
    } else {
        struct weir_slice text;
        text.bytes = weir_savepoint_get_u32(in);
        uint64_t hash = text.bytes > WEIR_KEY_TEXT_INLINE_BYTES ? weir_savepoint_get_u64(in) : 0;
        text.ptr = weir_savepoint_get(in, text.bytes);
        cnt = WEIR_KEY_TEXT_WORD_CNT;
        if (text.bytes > WEIR_TABLE_TEXT_BYTES_MAX || text.ptr == NULL) {
            in->is_bad = true;
            return;
        }
        struct weir_key_text key = weir_key_text_of(ret_key->heap, text, hash);
        memcpy(ret_key->word, key.word, sizeof key.word);
    }
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        ret_key->word[cnt + i] = weir_savepoint_get_u64(in);
    }
}

/* ---- what a state is now ---- */

uint32_t
weir_savepoint_word_cnt(const struct weir_state_field *list)
{
    uint32_t cnt = 0;
    while (cnt < WEIR_STATE_WORD_CNT_MAX && list->word[cnt] != NULL) {
        cnt++;
    }
    return cnt;
}

static void
field_of(const struct weir_field *now, struct weir_savepoint_field *field)
{
    field->name = now->name;
    field->type = now->type;
    field->scale = now->type == WEIR_TYPE_DEC ? now->scale : 0;
    field->nullable = now->nullable;
    field->bytes = now->type == WEIR_STATE_BYTES ? now->bytes : 0;
}

static int
items_of(struct savepoint_keep *keep, const struct weir_state_field *list,
    struct weir_savepoint_field *field)
{
    uint32_t word_cnt = weir_savepoint_word_cnt(list);
    uint32_t cnt = word_cnt + list->items->field_cnt;
    struct weir_savepoint_field *items = weir_savepoint_keep(keep, cnt * sizeof *items);
    if (items == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the fields of a state");
    }
    for (uint32_t i = 0; i < cnt; i++) {
        if (i < word_cnt) {
            items[i].name = list->word[i];
            items[i].type = WEIR_TYPE_I64;
        } else {
            field_of(&list->items->fields[i - word_cnt], &items[i]);
        }
    }
    field->items = items;
    field->item_cnt = cnt;
    return 0;
}

int
weir_savepoint_fields_of(struct savepoint_keep *keep, const struct weir_state_fields *now,
    const struct weir_savepoint_field **ret_fields)
{
    struct weir_savepoint_field *fields =
        weir_savepoint_keep(keep, now->field_cnt * sizeof *fields);
    if (fields == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the fields of a state");
    }
    for (uint32_t i = 0; i < now->field_cnt; i++) {
        field_of(&now->field[i].field, &fields[i]);
        int err =
            fields[i].type == WEIR_STATE_LIST ? items_of(keep, &now->field[i], &fields[i]) : 0;
        if (err < 0) {
            return err;
        }
    }
    *ret_fields = fields;
    return 0;
}

uint64_t
weir_savepoint_hash_no_key(uint32_t key_group, uint32_t group_cnt)
{
    uint64_t first = (uint64_t)key_group << 32;
    return (first + group_cnt - 1) / group_cnt << 32;
}

/* ---- evolution ---- */

static bool
widens(uint32_t was, uint32_t now)
{
    return (was == WEIR_TYPE_I32 && (now == WEIR_TYPE_I64 || now == WEIR_TYPE_F64)) ||
           (was == WEIR_TYPE_TS && now == WEIR_TYPE_TIME) ||
           (was == WEIR_TYPE_TIME && now == WEIR_TYPE_TS);
}

static bool
goes_into(const struct weir_savepoint_field *was, const struct weir_savepoint_field *now)
{
    if (was->nullable && !now->nullable) {
        return false;
    }
    return was->type == now->type ? was->scale == now->scale && was->bytes == now->bytes
                                  : widens(was->type, now->type);
}

static int
refuse(const struct savepoint_match *match, const struct weir_savepoint_field *was,
    const struct weir_savepoint_field *now)
{
    char was_text[WEIR_SAVEPOINT_TYPE_BYTES];
    char now_text[WEIR_SAVEPOINT_TYPE_BYTES];
    weir_savepoint_type_text(was, was_text);
    weir_savepoint_type_text(now, now_text);
    return weir_err_push(WEIR_ESTATE,
        "state %s of operator %s: field %s%s%s was saved as %s, now it is %s", match->state,
        match->uid, match->list != NULL ? match->list : "", match->list != NULL ? "." : "",
        was->name, was_text, now_text);
}

int
weir_savepoint_map_fields(const struct savepoint_match *match, struct savepoint_map *ret_map)
{
    uint32_t own_cnt = 0;
    uint32_t taken_cnt = 0;
    for (uint32_t i = 0; i < match->was_cnt; i++) {
        const struct weir_savepoint_field *was = &match->was[i];
        bool is_own = was->name[0] != '@'; /* those belong to the engine */
        own_cnt += is_own;
        ret_map->to[i] = SAVEPOINT_DROPPED;
        for (uint32_t j = 0; j < match->now_cnt; j++) {
            const struct weir_savepoint_field *now = &match->now[j];
            if (strcmp(was->name, now->name) != 0) {
                continue;
            }
            if (!goes_into(was, now)) {
                return refuse(match, was, now);
            }
            ret_map->to[i] = (uint16_t)j;
            taken_cnt += is_own;
        }
    }
    return own_cnt > 0 && taken_cnt == 0 && match->now_cnt > 0
               ? weir_err_push(WEIR_ESTATE,
                     "state %s of operator %s: none of the fields that it was saved with is there "
                     "now, %s the first",
                     match->state, match->uid, match->was[0].name)
               : 0;
}

int
weir_savepoint_set_value(const struct savepoint_value *value, uint32_t was_type,
    const struct weir_field *field, void *row, const char *heap)
{
    char *at = (char *)row + field->off;
    if (field->type == WEIR_TYPE_STR) {
        if (heap == NULL && value->text.bytes > WEIR_STR_INLINE_BYTES) {
            return weir_err_push(WEIR_EDATA,
                "field %s: a string of %" PRIu32 " bytes in a value of a state", field->name,
                value->text.bytes);
        }
        struct weir_str str = heap != NULL ? weir_str_ref(heap, value->text.ptr, value->text.bytes)
                                           : weir_str_inline(value->text.ptr, value->text.bytes);
        memcpy(at, &str, sizeof str);
        return 0;
    }
    if (field->type == WEIR_STATE_BYTES) {
        memcpy(at, value->text.ptr, field->bytes);
        return 0;
    }
    uint64_t word = value->word;
    if (was_type == WEIR_TYPE_I32 && field->type == WEIR_TYPE_F64) {
        double number = (double)(int64_t)word;
        memcpy(&word, &number, sizeof word);
    }
    memcpy(at, &word, field->bytes);
    return 0;
}
