/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/savepoint_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "dataplane/savepoint_priv.h"
#include "dataplane/value_text.h"

static void
print_quoted(FILE *to, struct weir_slice text)
{
    (void)fputc('"', to);
    for (uint32_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ') {
            (void)fprintf(to, "\\u%04x", c);
        } else if (c == '"' || c == '\\') {
            (void)fprintf(to, "\\%c", c);
        } else {
            (void)fputc(c, to);
        }
    }
    (void)fputc('"', to);
}

static void
print_hex(FILE *to, struct weir_slice bytes)
{
    (void)fputs("0x", to);
    for (uint32_t i = 0; i < bytes.bytes; i++) {
        (void)fprintf(to, "%02x", (unsigned char)bytes.ptr[i]);
    }
}

static void
print_value(FILE *to, const struct weir_savepoint_field *field, const struct savepoint_value *value)
{
    (void)fprintf(to, "%s=", field->name);
    if (value->is_null) {
        (void)fputs("null", to);
    } else if (field->type == WEIR_TYPE_STR) {
        print_quoted(to, value->text);
    } else if (field->type == WEIR_STATE_BYTES) {
        print_hex(to, value->text);
    } else {
        char text[WEIR_VALUE_TEXT_BYTES_MAX];
        const struct weir_field as = {
            .name = field->name, .type = field->type, .scale = field->scale, .bytes = field->bytes};
        /* The word holds the value in its low bytes, sign-extended. */
        uint32_t bytes = weir_value_print(&as, (const char *)&value->word, text);
        (void)fprintf(to, "%.*s", (int)bytes, text);
    }
}

/* The key with the words behind it. */
static void
print_key(FILE *to, const struct weir_savepoint_state *state, struct savepoint_in *in)
{
    struct savepoint_key key;
    uint32_t word_cnt = state->key_kind == WEIR_KEY_16    ? 2
                        : state->key_kind == WEIR_KEY_STR ? WEIR_KEY_TEXT_WORD_CNT
                                                          : 1;
    weir_savepoint_get_key(in, state, &key);
    if (in->is_bad) {
        return;
    }
    (void)fputs("key=", to);
    if (state->has_no_key) {
        (void)fputs("none", to);
    } else if (state->key_kind == WEIR_KEY_STR) {
        struct weir_key_text text;
        memcpy(text.word, key.word, sizeof text.word);
        struct weir_slice slice = weir_key_text_slice(&text, key.heap);
        if (slice.bytes > 0 && slice.ptr[0] == '\0') { /* several fields, packed (keyed.h) */
            print_hex(to, slice);
        } else {
            print_quoted(to, slice);
        }
    } else {
        for (uint32_t i = 0; i < word_cnt; i++) {
            (void)fprintf(to, "%s%" PRId64, i > 0 ? "," : "", (int64_t)key.word[i]);
        }
    }
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        (void)fprintf(to, " %s=%" PRId64, state->tail[i], (int64_t)key.word[word_cnt + i]);
    }
}

static void
print_fields(
    FILE *to, const struct weir_savepoint_field *fields, uint32_t cnt, struct savepoint_in *in)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct savepoint_value value;
        if (fields[i].type == WEIR_STATE_LIST) {
            continue;
        }
        weir_savepoint_get_value(in, &fields[i], &value);
        if (in->is_bad) {
            return;
        }
        (void)fputc(' ', to);
        print_value(to, &fields[i], &value);
    }
}

/* The list of that number, from 1 on; NULL: there is none. */
static const struct weir_savepoint_field *
list_of(const struct weir_savepoint_state *state, uint32_t list)
{
    for (uint32_t i = 0; i < state->field_cnt; i++) {
        if (state->fields[i].type == WEIR_STATE_LIST && --list == 0) {
            return &state->fields[i];
        }
    }
    return NULL;
}

int
weir_savepoint_row_print(FILE *to, const struct weir_savepoint_row *row)
{
    const struct weir_savepoint_state *state = &row->savepoint->states[row->state];
    struct savepoint_in in = {row->body, row->body + row->bytes, false};
    if (row->list == SAVEPOINT_TAG_ENTRY) {
        print_key(to, state, &in);
        print_fields(to, state->fields, state->field_cnt, &in);
    } else {
        const struct weir_savepoint_field *list = list_of(state, row->list);
        if (list == NULL) {
            return weir_err_push(WEIR_EDATA, "state %s has no list %u", state->name, row->list);
        }
        (void)fprintf(to, "  %s:", list->name);
        print_fields(to, list->items, list->item_cnt, &in);
    }
    (void)fputc('\n', to);
    return in.is_bad ? weir_err_push(WEIR_EDATA, "a row of state %s is malformed", state->name) : 0;
}

void
weir_savepoint_part_print(FILE *to, const struct weir_savepoint_part *part)
{
    bool is_word = part->kind == WEIR_STATE_PART_LEAST || part->kind == WEIR_STATE_PART_HINT;
    if (is_word && part->bytes == sizeof(int64_t)) {
        int64_t word;
        memcpy(&word, part->data, sizeof word);
        (void)fprintf(to, "%" PRId64 "\n", word);
        return;
    }
    print_hex(to, (struct weir_slice){part->data, part->bytes});
    (void)fputc('\n', to);
}
