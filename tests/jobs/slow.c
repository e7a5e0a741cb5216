/* SPDX-License-Identifier: Apache-2.0 */
/* slow.c: an operator whose code takes a while for each row, behind an exchange: how long each word
 * of a text is, word by word. Rows wait in front of it. */
#include <time.h>

#include "sched/weir.h"

#define WORD(F) F(str, text) F(i64, line)
WEIR_SCHEMA(word, WORD)
#define LONG(F) F(str, text) F(i64, line) F(i64, bytes)
WEIR_SCHEMA(measured, LONG)

#define ROW_NS 300000

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

WEIR_FLATMAP(measure, word, measured, struct place)
{
    static const struct timespec row = {.tv_nsec = ROW_NS};
    const struct weir_slice text = weir_str_slice(&in->text, heap);
    (void)pos;
    if (!weir_out_room(out, 1, text.bytes)) {
        return WEIR_AGAIN;
    }
    (void)nanosleep(&row, NULL); /* the user's slow code */
    struct measured *made = measured_emit(out);
    weir_str_set_bytes(out, &made->text, text.ptr, text.bytes);
    made->line = in->line;
    made->bytes = text.bytes;
    return WEIR_DONE;
}

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "the text"},
    WEIR_OUTPUT_PARAM("-"),
    {.name = NULL},
};

int
weir_job_main(struct weir_env *env)
{
    struct weir_lines_conf lines = {.path = weir_param(env, "input"), .decoder = &weir_decode_text};
    struct weir_stream *s = weir_source_lines(env, "lines", weir_line_schema(), &lines);
    s = weir_key_by(weir_flatmap(s, "split", &split_op), WEIR_KEY(word, text));
    weir_sink_table(weir_flatmap(s, "measure", &measure_op), "out", weir_param(env, "output"));
    return weir_env_check(env);
}
