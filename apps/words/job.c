/* SPDX-License-Identifier: Apache-2.0 */
/* Word count over text: in all, or per window of event time.
 *
 *     weir run wordcount -p input=FILE -p output=counts.csv
 *     weir run wordcount -p input=tcp://127.0.0.1:9999 -p window=10s -p slide=2s -p time=field
 *
 * Words are what stands between white space. Line n of the input is at n ms, or at the milliseconds
 * with which it begins (time=field), which are no word then.
 *
 * A window is told once the watermark has passed it; the count in all at the end of the input. A
 * stop by a signal is no end: what is open then is not told.
 */
#include "apps/words/split.h"
#include "dataplane/value_text.h"
#include "sched/weir.h"

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "-", "",
        "a file, a directory, - for standard input, or tcp://host:port"},
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "-", "",
        "the table: a file, a directory ending in /, - for stdout, or discard for a checksum"},
    {"window", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 365 * 86400 * WEIR_SEC_NS, "none",
        "none", "length of a window of event time; none counts the whole input"},
    {"slide", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 365 * 86400 * WEIR_SEC_NS, "none",
        "none", "a window begins so often; none: each where the last one ends"},
    {"time", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "line", "line field",
        "event time of a line: its number in milliseconds, or the number it begins with"},
    {"lag", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, 365 * 86400 * WEIR_SEC_NS, "0ms", "",
        "how far the watermark stays behind the greatest time so far"},
    WEIR_LINES_PARAMS,
    {.name = NULL},
};

const char weir_job_examples[] =
    "weir run wordcount -p input=README.md -p output=counts.csv\n"
    "weir run wordcount -p window=100ms <README.md      # line n is at n ms\n"
    "nc -lk 9999 &  weir run wordcount -p input=tcp://127.0.0.1:9999 -p time=field -p window=10s\n";

/* ---- the time of a line ---- */

struct stamp_conf {
    bool by_field;
};

struct stamp {
    bool by_field;
    int64_t line_cnt; /* of the whole input so far */
    uint64_t number; /* of the last line, in its file */
};

/* One window over all time: it fires with the MAX watermark, at the end of the input, for no time
 * of a line reaches its last millisecond. */
#define ALL_TIME_MS (INT64_C(1) << 62)
#define TIME_MS_MAX (ALL_TIME_MS / 2 - 2)

/* The leading number of a line and where it ends. False: the line begins with none that is a time.
 */
static bool
leading_number(struct weir_slice text, int64_t *ret_number, uint32_t *ret_end)
{
    uint32_t at = 0;
    int64_t number = 0;
    while (at < text.bytes && (text.ptr[at] == ' ' || text.ptr[at] == '\t')) {
        at++;
    }
    bool negative = at < text.bytes && text.ptr[at] == '-';
    at += negative;
    uint32_t begin = at;
    for (; at < text.bytes && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, text.ptr[at] - '0', &number)) {
            return false;
        }
    }
    bool ends =
        at == text.bytes || text.ptr[at] == ' ' || (text.ptr[at] >= '\t' && text.ptr[at] <= '\r');
    if (at == begin || !ends || number < -TIME_MS_MAX) {
        return false;
    }
    *ret_number = negative ? number : -number;
    *ret_end = at;
    return true;
}

static bool
is_blank(struct weir_slice text)
{
    for (uint32_t i = 0; i < text.bytes; i++) {
        if (text.ptr[i] != ' ' && !(text.ptr[i] >= '\t' && text.ptr[i] <= '\r')) {
            return false;
        }
    }
    return true;
}

static int
stamp_open(void *mem, const void *conf, const struct weir_schema *schema)
{
    struct stamp *self = mem;
    (void)schema;
    self->by_field = ((const struct stamp_conf *)conf)->by_field;
    return 0;
}

/* The text of a line behind its time. WEIR_AGAIN: a row. WEIR_DONE: none, the line is blank. */
static int
take_time(struct weir_slice *text, int64_t *ret_time)
{
    uint32_t end = 0;
    if (is_blank(*text)) {
        return WEIR_DONE;
    }
    if (!leading_number(*text, ret_time, &end)) {
        return WEIR_EDATA;
    }
    text->ptr += end;
    text->bytes -= end;
    return WEIR_AGAIN;
}

/* The texts stay where they lie. Lines that were refused as too long count, too: numbers of lines
 * leap over them. */
static uint32_t
stamp_decode(void *mem, const struct weir_decode_lines *lines, struct weir_out *out,
    struct weir_decode_fault *ret_fault)
{
    struct stamp *self = mem;
    uint32_t i = 0;
    for (; i < lines->cnt && weir_out_room(out, 1, 0); i++) {
        const struct weir_decode_line *line = &lines->line[i];
        struct weir_slice text = {line->text, line->bytes};
        uint64_t before = line->number > self->number ? self->number : 0;
        int64_t time = self->line_cnt + (int64_t)(line->number - before);
        self->line_cnt = time;
        self->number = line->number;
        int got = self->by_field ? take_time(&text, &time) : WEIR_AGAIN;
        if (got == WEIR_EDATA) {
            ret_fault->what = "no time in milliseconds";
            ret_fault->column = 1;
            return i;
        }
        if (got == WEIR_AGAIN) {
            struct stamped *row = stamped_emit(out);
            row->at = time;
            row->text = weir_str_ref(lines->heap, text.ptr, text.bytes);
        }
    }
    return i;
}

static const struct weir_decoder_type stamp_decoder = {
    .name = "words",
    .self_bytes = sizeof(struct stamp),
    .kept_off = offsetof(struct stamp, line_cnt),
    .kept_bytes = sizeof(struct stamp) - offsetof(struct stamp, line_cnt),
    .open = stamp_open,
    .decode = stamp_decode,
};

/* ---- tables ---- */

#define TOTAL(F) F(str, word) F(i64, count)
WEIR_SCHEMA(total, TOTAL)
#define WINDOWED(F) F(ts, window_start) F(ts, window_end) F(str, word) F(i64, count)
WEIR_SCHEMA(windowed, WINDOWED)

int
weir_job_main(struct weir_env *env)
{
    int64_t size_ms = weir_param_ms(env, "window");
    int64_t slide_ms = weir_param_ms(env, "slide");
    bool whole = size_ms == WEIR_OPT_WORD;
    static const struct stamp_conf stamps[] = {{false}, {true}};
    const struct weir_lines_conf lines = {
        .path = weir_param(env, "input"),
        .decoder = &stamp_decoder,
        .decoder_conf = &stamps[weir_param_number(env, "time") == 1],
    };
    const struct weir_operator_conf split = {
        .name = "split", .type = &words_split_type, .out_schema = {word_schema()}};
    struct weir_window_conf count = {.aggregate = weir_aggregate_count()};
    count.span = whole ? WEIR_TUMBLE(ALL_TIME_MS)
                       : WEIR_SLIDE(size_ms, slide_ms == WEIR_OPT_WORD ? size_ms : slide_ms);
    if (whole && slide_ms != WEIR_OPT_WORD) {
        weir_env_fail(env, WEIR_ECONFIG, "parameter slide without window");
    }
    count.span.offset_ms = whole ? -ALL_TIME_MS / 2 : 0;
    struct weir_stream *s = weir_source_lines_param(env, "lines", stamped_schema(), &lines);
    s = weir_parallelism(weir_watermarks(s, "watermark", weir_param_ms(env, "lag")), 1);
    s = weir_operator(&s, 1, &split);
    s = weir_window(weir_key_by(s, WEIR_KEY(word, word)), "count", &count,
        whole ? total_schema() : windowed_schema());
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
