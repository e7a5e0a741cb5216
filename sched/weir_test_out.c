/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out of a test, and how rows come in as columns. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/format.h"
#include "dataplane/state.h"
#include "sched/weir_test_priv.h"

/* ---- the capturing sink ---- */

static struct test_out *
out_of(const struct weir_operator *op)
{
    return *(struct test_out *const *)op->conf;
}

/* Memory of a test that there is not cannot be told by a hook of status or finish: it ends. */
static void *
grown(void *mem, size_t cnt, size_t bytes)
{
    void *to = realloc(mem, cnt * bytes);
    WEIR_CHECK(to != NULL, "no memory for what a test has seen: %zu elements", cnt);
    return to;
}

static struct test_event *
event_add(const struct weir_operator *op, enum weir_test_event_kind kind)
{
    struct test_out *out = out_of(op);
    if (out->event_cnt == out->event_cap) {
        out->event_cap = out->event_cap * 2 + 64;
        out->events = (struct test_event *)grown(out->events, out->event_cap, sizeof *out->events);
    }
    struct test_event *event = &out->events[out->event_cnt++];
    memset(event, 0, sizeof *event);
    event->told.kind = kind;
    event->told.subtask = op->env->subtask_idx;
    return event;
}

static void
keep_text(struct test_out *out, struct weir_str *str, const char *heap)
{
    if (str->bytes <= WEIR_STR_INLINE_BYTES) {
        return;
    }
    while (out->heap_bytes + str->bytes > out->heap_cap) {
        out->heap_cap = out->heap_cap * 2 + 4096;
        out->heap = (char *)grown(out->heap, out->heap_cap, 1);
    }
    memcpy(out->heap + out->heap_bytes, heap + str->u.off, str->bytes);
    str->u.off = out->heap_bytes;
    out->heap_bytes += str->bytes;
}

static void
keep_row(const struct weir_operator *op, const struct weir_view *in, uint32_t row)
{
    struct test_out *out = out_of(op);
    const struct weir_schema *schema = out->schema;
    if (out->row_cnt == out->row_cap) {
        out->row_cap = out->row_cap * 2 + 64;
        out->rows = (char *)grown(out->rows, out->row_cap, schema->row_bytes);
    }
    char *to = out->rows + (size_t)schema->row_bytes * out->row_cnt;
    memset(to, 0, schema->row_bytes);
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(in, 0, sizeof(uint64_t));
        memcpy(to, lane.ptr + (size_t)lane.stride * row, sizeof(uint64_t));
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        memcpy(to + field->off, weir_view_at(in, field, row), field->bytes);
        if (field->type == WEIR_TYPE_STR) {
            keep_text(out, (struct weir_str *)(void *)(to + field->off), in->heap);
        }
    }
    struct test_event *event = event_add(op, WEIR_TEST_ROW);
    event->row = out->row_cnt++;
    event->told.time = in->time != NULL ? weir_view_time(in, row) : WEIR_TIME_MIN;
    event->told.row_kind = weir_view_kind(in, row);
}

/* Rows that a slow output takes at once, at most. */
#define SLOW_ROW_CNT 4

static int64_t
out_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *unused, int64_t now_ns)
{
    struct test_out *out = out_of(op);
    uint32_t cnt = in->cnt - cursor;
    (void)input;
    (void)unused;
    (void)now_ns;
    if (out->slow) {
        cnt = weir_min_u32(cnt, (uint32_t)weir_rng_below(&out->rng, SLOW_ROW_CNT));
    }
    for (uint32_t i = 0; i < cnt; i++) {
        keep_row(op, in, weir_view_row(in, cursor + i));
    }
    return cnt;
}

static int
out_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    event_add(op, WEIR_TEST_WATERMARK)->told.time = watermark;
    return WEIR_DONE;
}

static int
out_status(struct weir_operator *op, bool idle)
{
    (void)event_add(op, idle ? WEIR_TEST_IDLE : WEIR_TEST_ACTIVE);
    return WEIR_DONE;
}

static int
out_barrier(struct weir_operator *op, uint64_t id, struct weir_out *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    event_add(op, WEIR_TEST_BARRIER)->told.id = id;
    return WEIR_DONE;
}

static int
out_finish(struct weir_operator *op, struct weir_out *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    (void)event_add(op, WEIR_TEST_END);
    return WEIR_DONE;
}

const struct weir_operator_type weir_test_out_type = {
    .name = "test_output",
    .input_cnt = 1,
    .process = out_process,
    .watermark = out_watermark,
    .status = out_status,
    .barrier = out_barrier,
    .finish = out_finish,
    .changes = WEIR_CHANGES_TAKEN,
};

void
weir_test_out_fini(struct test_out *out)
{
    free(out->rows);
    free(out->heap);
    free(out->events);
    free(out->text.mem);
}

/* ---- rows as columns ---- */

static int64_t
columns_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct weir_schema *schema = op->in_schema[0];
    uint32_t cnt = weir_min_u32(in->cnt - cursor, out->row_cap);
    (void)input;
    (void)now_ns;
    weir_out_copy_times(out, in, cursor, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t from = weir_view_row(in, cursor + i);
        if (schema->has_nulls) {
            struct weir_lane lane = weir_view_lane(in, 0, sizeof(uint64_t));
            memcpy(out->view.rows + sizeof(uint64_t) * i, lane.ptr + (size_t)lane.stride * from,
                sizeof(uint64_t));
        }
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            const struct weir_field *field = &schema->fields[f];
            memcpy(weir_view_at(&out->view, field, i), weir_view_at(in, field, from), field->bytes);
        }
    }
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    weir_out_share_heap(out, in);
    return cnt;
}

const struct weir_operator_type weir_test_columns_type = {
    .name = "test_columns",
    .input_cnt = 1,
    .output_cnt = 1,
    .columns = true,
    .process = columns_process,
    .changes = WEIR_CHANGES_PASSED,
};

/* ---- looking ---- */

uint32_t
weir_test_event_cnt(const struct weir_test *test, uint32_t output)
{
    WEIR_CHECK(output < test->out_cnt, "there is no output %u", output);
    return test->outs[output].event_cnt;
}

bool
weir_test_event(
    const struct weir_test *test, uint32_t output, uint32_t idx, struct weir_test_event *ret_event)
{
    if (idx >= weir_test_event_cnt(test, output)) {
        return false;
    }
    const struct test_out *out = &test->outs[output];
    *ret_event = out->events[idx].told;
    if (ret_event->kind == WEIR_TEST_ROW) {
        ret_event->row = out->rows + (size_t)out->schema->row_bytes * out->events[idx].row;
    }
    return true;
}

struct weir_slice
weir_test_slice(const struct weir_test *test, uint32_t output, const struct weir_str *str)
{
    WEIR_CHECK(output < test->out_cnt, "there is no output %u", output);
    return weir_str_slice(str, test->outs[output].heap);
}

void
weir_test_clear(struct weir_test *test)
{
    for (uint32_t i = 0; i < test->out_cnt; i++) {
        test->outs[i].row_cnt = 0;
        test->outs[i].event_cnt = 0;
        test->outs[i].heap_bytes = 0;
    }
}

/* One row as CSV into room behind `at`. Returns where it ends. */
static size_t
text_row(struct test_out *out, uint32_t row, size_t at)
{
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = out->schema;
    view.rows = out->rows + (size_t)out->schema->row_bytes * row;
    view.heap = out->heap;
    view.stride = out->schema->row_bytes;
    view.row_cnt = 1;
    view.cnt = 1;
    struct weir_formatted made = {0};
    while (made.row_cnt == 0) {
        char *mem = weir_state_room_for(&out->text, at + made.wanted_bytes + 256);
        WEIR_CHECK(mem != NULL, "no memory for the text of an output");
        made =
            weir_format_rows(WEIR_FORMAT_CSV, &view, 0, mem + at, (size_t)(out->text.bytes - at));
    }
    return at + made.bytes;
}

static size_t
text_event(struct test_out *out, const struct test_event *event, size_t at)
{
    static const char *const names[WEIR_TEST_EVENT_CNT] = {
        "", "watermark", "idle", "active", "barrier", "end"};
    static const char *const kinds[] = {"", "-U ", "+U ", "-D "};
    const struct weir_test_event *told = &event->told;
    char line[64] = "";
    switch (told->kind) {
    case WEIR_TEST_ROW:
        (void)snprintf(line, sizeof line, "%s", kinds[told->row_kind & 3]);
        break;
    case WEIR_TEST_WATERMARK:
        (void)snprintf(line, sizeof line, "watermark %" PRId64 "\n", told->time);
        if (told->time == WEIR_WATERMARK_MAX) {
            (void)snprintf(line, sizeof line, "watermark max\n");
        }
        break;
    case WEIR_TEST_BARRIER:
        (void)snprintf(line, sizeof line, "barrier %" PRIu64 "\n", told->id);
        break;
    default:
        (void)snprintf(line, sizeof line, "%s\n", names[told->kind]);
        break;
    }
    char *mem = weir_state_room_for(&out->text, at + sizeof line);
    WEIR_CHECK(mem != NULL, "no memory for the text of an output");
    memcpy(mem + at, line, strlen(line));
    at += strlen(line);
    return told->kind == WEIR_TEST_ROW ? text_row(out, event->row, at) : at;
}

/* The text of what `only_rows` leaves; where each line begins goes to ret_lines, if it is there. */
static const char *
text_of(struct test_out *out, bool only_rows, size_t *ret_lines)
{
    size_t at = 0;
    uint32_t line_cnt = 0;
    for (uint32_t i = 0; i < out->event_cnt; i++) {
        if (!only_rows || out->events[i].told.kind == WEIR_TEST_ROW) {
            if (ret_lines != NULL) {
                ret_lines[line_cnt++] = at;
            }
            at = text_event(out, &out->events[i], at);
        }
    }
    char *mem = weir_state_room_for(&out->text, at + 1);
    WEIR_CHECK(mem != NULL, "no memory for the text of an output");
    mem[at] = '\0';
    return mem;
}

const char *
weir_test_text(struct weir_test *test, uint32_t output)
{
    WEIR_CHECK(output < test->out_cnt, "there is no output %u", output);
    return text_of(&test->outs[output], false, NULL);
}

static int
line_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *
weir_test_rows(struct weir_test *test, uint32_t output)
{
    WEIR_CHECK(output < test->out_cnt, "there is no output %u", output);
    struct test_out *out = &test->outs[output];
    size_t *begin = (size_t *)grown(NULL, out->row_cnt + UINT64_C(1), sizeof *begin);
    const char **lines = (const char **)grown(NULL, out->row_cnt + UINT64_C(1), sizeof *lines);
    const char *text = text_of(out, true, begin);
    size_t bytes = strlen(text) + 1;
    /* The lines in order behind the text, then moved to its place. */
    char *copy = (char *)grown(NULL, bytes, 1);
    memcpy(copy, text, bytes);
    begin[out->row_cnt] = bytes - 1;
    for (uint32_t i = 0; i < out->row_cnt; i++) {
        lines[i] = copy + begin[i];
        if (begin[i + 1] > begin[i]) {
            copy[begin[i + 1] - 1] = '\0'; /* its line feed */
        }
    }
    qsort(lines, out->row_cnt, sizeof *lines, line_order);
    size_t at = 0;
    for (uint32_t i = 0; i < out->row_cnt; i++) {
        size_t line_bytes = strlen(lines[i]);
        memcpy(out->text.mem + at, lines[i], line_bytes);
        at += line_bytes;
        out->text.mem[at++] = '\n';
    }
    out->text.mem[at] = '\0';
    free(copy);
    free(lines);
    free(begin);
    return out->text.mem;
}
