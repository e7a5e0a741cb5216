/* SPDX-License-Identifier: Apache-2.0 */
/* declared.c: a job whose function declares states: for each word of a text how often it came, on
 * how many lines, and its last three lines. In another version it lacks the last of these; and
 * there may be a second function of the same words. */
#include <inttypes.h>
#include <stdio.h>

#include "sched/weir.h"

#define WORD(F) F(str, text) F(i64, line)
WEIR_SCHEMA(word, WORD)
#define TOLD(F) F(str, text) F(i64, cnt) F(i64, lines) F(str, last)
WEIR_SCHEMA(told, TOLD)

#define LAST_CNT 3

struct place {
    uint32_t byte;
};
WEIR_FLATMAP(split, weir_line, word, struct place)
{
    struct weir_slice text;
    while (weir_out_room(out, 1, WEIR_STR_BYTES_MAX)) {
        if (!weir_str_token(heap, &in->text, &pos->byte, &text)) {
            return WEIR_DONE;
        }
        struct word *made = word_emit(out);
        weir_str_set_bytes(
            out, &made->text, text.ptr, weir_min_u32(text.bytes, WEIR_STR_BYTES_MAX));
        made->line = in->number;
    }
    return WEIR_AGAIN;
}

struct cnt {
    int64_t words;
    int64_t lines;
};
struct nothing {
    int64_t unused;
};
enum { CNT, LINES, LAST };
static const struct weir_kind declared_kinds[] = {
    WEIR_KIND_AGGREGATING("cnt", struct cnt, WEIR_NO_TTL),
    WEIR_KIND_MAP("lines", sizeof(int64_t), sizeof(int64_t), WEIR_NO_TTL),
    WEIR_KIND_LIST("last", sizeof(int64_t), WEIR_TTL(WEIR_HOUR)),
};
static const struct weir_kind fewer_kinds[] = {
    WEIR_KIND_AGGREGATING("cnt", struct cnt, WEIR_NO_TTL),
    WEIR_KIND_MAP("lines", sizeof(int64_t), sizeof(int64_t), WEIR_NO_TTL),
};

WEIR_AGGREGATING(cnt, bool, struct cnt)
{
    to->words++;
    to->lines += *in;
}

/* The last lines as text; the oldest goes where there is one too many. */
static int
last_lines(struct weir_keyed_state *last, int64_t line, char text[64])
{
    struct weir_kind_cursor cursor;
    int64_t lines[LAST_CNT + 1];
    struct weir_slice slices[LAST_CNT];
    uint32_t cnt = 0;
    const void *val;
    int err = weir_list_add(last, WEIR_BYTES(&line));
    weir_kind_begin(last, &cursor);
    while (err == 0 && (val = weir_kind_next(&cursor, NULL, NULL)) != NULL) {
        memcpy(&lines[cnt++], val, sizeof lines[0]);
    }
    uint32_t from = cnt > LAST_CNT ? cnt - LAST_CNT : 0;
    int bytes = 0;
    for (uint32_t i = from; i < cnt; i++) {
        slices[i - from] = weir_bytes(&lines[i], sizeof lines[i]);
        bytes +=
            snprintf(text + bytes, 64 - (size_t)bytes, "%s%" PRId64, i > from ? "+" : "", lines[i]);
    }
    return err == 0 && from > 0 ? weir_list_update(last, slices, cnt - from) : err;
}

WEIR_PROCESS_KINDS(declared, word, struct nothing, told, declared_kinds)
{
    char text[64] = "";
    (void)state;
    if (!weir_out_room(p->out, 1, WEIR_STR_BYTES_MAX + sizeof text)) {
        return WEIR_AGAIN;
    }
    struct weir_keyed_state *lines = weir_process_state(p, LINES);
    bool is_new = !weir_map_contains(lines, WEIR_BYTES(&in->line));
    int err = weir_map_put(lines, WEIR_BYTES(&in->line), WEIR_BYTES(&in->line));
    err = err < 0 ? err : cnt_add(weir_process_state(p, CNT), &is_new);
    err = err < 0 ? err : last_lines(weir_process_state(p, LAST), in->line, text);
    if (err < 0) {
        return err;
    }
    const struct cnt *cnt = (const struct cnt *)weir_value_get(weir_process_state(p, CNT), NULL);
    struct weir_slice key = weir_process_key_text(p);
    struct told *out = told_emit(p->out);
    out->cnt = cnt->words;
    out->lines = cnt->lines;
    weir_str_set_bytes(p->out, &out->text, key.ptr, key.bytes);
    weir_str_set_bytes(p->out, &out->last, text, (uint32_t)strlen(text));
    return WEIR_DONE;
}

/* The same without the last lines. */
WEIR_PROCESS_KINDS(fewer, word, struct nothing, told, fewer_kinds)
{
    (void)state;
    if (!weir_out_room(p->out, 1, WEIR_STR_BYTES_MAX)) {
        return WEIR_AGAIN;
    }
    struct weir_keyed_state *lines = weir_process_state(p, LINES);
    bool is_new = !weir_map_contains(lines, WEIR_BYTES(&in->line));
    int err = weir_map_put(lines, WEIR_BYTES(&in->line), WEIR_BYTES(&in->line));
    err = err < 0 ? err : cnt_add(weir_process_state(p, CNT), &is_new);
    if (err < 0) {
        return err;
    }
    const struct cnt *cnt = (const struct cnt *)weir_value_get(weir_process_state(p, CNT), NULL);
    struct weir_slice key = weir_process_key_text(p);
    struct told *out = told_emit(p->out);
    out->cnt = cnt->words;
    out->lines = cnt->lines;
    weir_str_set_bytes(p->out, &out->text, key.ptr, key.bytes);
    return WEIR_DONE;
}

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "the text"},
    WEIR_OUTPUT_PARAM("-"),
    {"states", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "all", "all fewer", "of the function"},
    {"more", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "", "",
        "where a second function writes; without: there is none"},
    {.name = NULL},
};

int
weir_job_main(struct weir_env *env)
{
    struct weir_lines_conf lines = {.path = weir_param(env, "input"), .decoder = &weir_decode_text};
    bool has_all = weir_param_number(env, "states") == 0;
    const char *more = weir_param(env, "more");
    struct weir_stream *s = weir_source_lines(env, "lines", weir_line_schema(), &lines);
    s = weir_key_by(weir_flatmap(s, "split", &split_op), WEIR_KEY(word, text));
    weir_sink_table(weir_process(s, "declared", has_all ? &declared_process : &fewer_process, NULL),
        "out", weir_param(env, "output"));
    if (more[0] != '\0') {
        weir_sink_table(weir_process(s, "more", &declared_process, NULL), "more_out", more);
    }
    return weir_env_check(env);
}
