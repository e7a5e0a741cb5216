/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_where.c: "price >= 100.5 and note is not null" as terms of operators/where.h. */
#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "dataplane/value_text.h"
#include "sched/pipeline_priv.h"

/* A cursor in the text, and the node that it stands in. */
struct text {
    const struct pipeline_parse *parse;
    const struct weir_yaml_node *node;
    const char *at;
};

struct word {
    const char *text;
    size_t bytes;
    bool quoted;
};

static int
fail_at(const struct text *text, const char *at, const char *why)
{
    struct weir_yaml_mark mark = text->node->mark;
    mark.column += (uint32_t)(at - text->node->text);
    return weir_yaml_fail(text->parse->file, mark, "%s", why);
}

static bool
word_char(char c)
{
    return isalnum((unsigned char)c) || strchr("_.+-:", c) != NULL;
}

/* The next name, number, operator or quoted text; empty at the end. */
static int
next_word(struct text *text, struct word *ret_word)
{
    text->at += strspn(text->at, " \t\n");
    const char *from = text->at;
    char first = *from;
    ret_word->text = from;
    ret_word->quoted = first == '\'' || first == '"';
    if (ret_word->quoted) {
        const char *end = strchr(from + 1, first);
        if (end == NULL) {
            return fail_at(text, from, "the quote is not closed");
        }
        ret_word->text = from + 1;
        ret_word->bytes = (size_t)(end - from) - 1;
        text->at = end + 1;
        return 0;
    }
    while (*text->at != '\0' &&
           (word_char(*from) ? word_char(*text->at) : strchr("<>=!", *text->at) != NULL)) {
        text->at++;
    }
    ret_word->bytes = (size_t)(text->at - from);
    return ret_word->bytes > 0 || *from == '\0'
               ? 0
               : fail_at(text, from, "this character has no meaning here");
}

static bool
is_word(const struct word *word, const char *wanted)
{
    return !word->quoted && word->bytes == strlen(wanted) &&
           strncmp(word->text, wanted, word->bytes) == 0;
}

static int
parse_field(struct text *text, const struct weir_schema *schema, struct weir_where_term *term)
{
    struct word word;
    char name[64] = "";
    int err = next_word(text, &word);
    if (err != 0) {
        return err;
    }
    if (word.bytes == 0 || word.bytes >= sizeof name || word.quoted) {
        return fail_at(text, word.text, "a field's name is due here");
    }
    memcpy(name, word.text, word.bytes);
    struct weir_yaml_node node = {.kind = WEIR_YAML_SCALAR, .text = name, .mark = text->node->mark};
    node.mark.column += (uint32_t)(word.text - text->node->text);
    return weir_pipeline_field(text->parse, schema, &node, &term->field_idx);
}

static int
parse_test(struct text *text, struct weir_where_term *term)
{
    static const char *const tests[] = {"=", "!=", "<", "<=", ">", ">="};
    struct word word;
    int err = next_word(text, &word);
    if (err != 0) {
        return err;
    }
    if (is_word(&word, "is")) {
        err = next_word(text, &word);
        term->test = WEIR_WHERE_NULL;
        if (err == 0 && is_word(&word, "not")) {
            term->test = WEIR_WHERE_NOT_NULL;
            err = next_word(text, &word);
        }
        return err != 0                 ? err
               : is_word(&word, "null") ? 0
                                        : fail_at(text, word.text, "null is due here");
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(tests); i++) {
        if (is_word(&word, tests[i]) || (i == WEIR_WHERE_EQ && is_word(&word, "=="))) {
            term->test = (enum weir_where_test)i;
            return 0;
        }
    }
    return fail_at(text, word.text, "one of = != < <= > >=, is null, is not null is due here");
}

static int
parse_constant(struct text *text, const struct weir_field *field, struct weir_where_term *term)
{
    struct word word;
    union {
        uint8_t u8;
        int32_t i32;
        int64_t i64;
        double f64;
        char bytes[8];
    } value = {.i64 = 0};
    int err = next_word(text, &word);
    if (err != 0) {
        return err;
    }
    if (word.bytes == 0 && !word.quoted) {
        return fail_at(text, word.text, "a value to compare with is due here");
    }
    if (field->type == WEIR_TYPE_STR) {
        if (term->test != WEIR_WHERE_EQ && term->test != WEIR_WHERE_NE) {
            return fail_at(text, word.text, "texts are compared with = and != only");
        }
        term->text = word.text;
        term->text_bytes = (uint32_t)word.bytes;
        return 0;
    }
    const char *why = weir_value_parse(field, word.text, word.bytes, value.bytes);
    if (why != NULL) {
        return fail_at(text, word.text, why);
    }
    term->real = field->type == WEIR_TYPE_F64 ? value.f64 : 0;
    term->number = field->type == WEIR_TYPE_BOOL  ? value.u8
                   : field->type == WEIR_TYPE_I32 ? value.i32
                                                  : value.i64;
    return 0;
}

int
weir_pipeline_where(const struct pipeline_parse *parse, const struct weir_schema *schema,
    const struct weir_yaml_node *node, struct weir_where_conf *ret_where)
{
    struct text text = {.parse = parse, .node = node, .at = node->text};
    struct word word;
    if (node->kind != WEIR_YAML_SCALAR) {
        return weir_yaml_fail(
            parse->file, node->mark, "where takes a text like: price >= 100 and note is not null");
    }
    for (;;) {
        if (ret_where->term_cnt == WEIR_WHERE_TERM_CNT_MAX) {
            return weir_yaml_fail(
                parse->file, node->mark, "more than %d comparisons", WEIR_WHERE_TERM_CNT_MAX);
        }
        struct weir_where_term *term = &ret_where->term[ret_where->term_cnt++];
        int err = parse_field(&text, schema, term);
        err = err != 0 ? err : parse_test(&text, term);
        if (err == 0 && term->test < WEIR_WHERE_NULL) {
            err = parse_constant(&text, &schema->fields[term->field_idx], term);
        }
        err = err != 0 ? err : next_word(&text, &word);
        if (err != 0) {
            return err;
        }
        if (word.bytes == 0) {
            return 0;
        }
        if (!is_word(&word, "and")) {
            return fail_at(&text, word.text, "`and`, or the end, is due here");
        }
    }
}
