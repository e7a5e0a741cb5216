/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/sched/weir.h>

#define WORD(F) F(str, text) F(i64, line)
WEIR_SCHEMA(word, WORD) /* struct word, word_emit() ... */
struct place {
    uint32_t byte; /* where a line is left when the batch is full */
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
    return WEIR_AGAIN; /* the same line, the same place, later */
}
WEIR_FILTER(is_long, word)
{
    return in->text.bytes > 12;
}
int
weir_job_main(struct weir_env *env)
{
    struct weir_lines_conf lines = {.path = "-", .decoder = &weir_decode_text};
    struct weir_stream *s = weir_source_lines(env, "lines", weir_line_schema(), &lines);
    s = weir_filter(weir_flatmap(s, "split", &split_op), "is_long", &is_long_op);
    weir_sink_table(s, "out", "-");
    return weir_env_check(env); /* the first error, with its place */
}
