/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "test.h"

#define BUF_BYTES_DEFAULT 32768
#define BATCH_ROWS_DEFAULT 256
#define ARENA_BYTES_DEFAULT (UINT64_C(64) * WEIR_MIB)
#define STEPS_MAX 1000

/* ---- counting allocations ---- */

static uint64_t alloc_cnt;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Names that glibc keeps for those who replace malloc and want the old one. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t cnt, size_t bytes);
extern void *__libc_realloc(void *mem, size_t bytes);
void *malloc(size_t bytes);
void *calloc(size_t cnt, size_t bytes);
void *realloc(void *mem, size_t bytes);

void *
malloc(size_t bytes)
{
    alloc_cnt++;
    return __libc_malloc(bytes);
}

void *
calloc(size_t cnt, size_t bytes)
{
    alloc_cnt++;
    return __libc_calloc(cnt, bytes);
}

void *
realloc(void *mem, size_t bytes)
{
    alloc_cnt++;
    return __libc_realloc(mem, bytes);
}
#endif

uint64_t
harness_alloc_cnt(void)
{
    return alloc_cnt;
}

/* ---- the sink ---- */

struct sink_conf {
    struct harness *h;
    uint32_t output;
};

static void *
grown(void *mem, size_t cnt, size_t bytes)
{
    void *to = realloc(mem, cnt * bytes);
    assert_non_null(to);
    return to;
}

static struct harness_event *
event_add(struct harness_out *out, enum harness_event_kind kind)
{
    if (out->event_cnt == out->event_cap) {
        out->event_cap = out->event_cap * 2 + 64;
        out->event = grown(out->event, out->event_cap, sizeof *out->event);
    }
    struct harness_event *event = &out->event[out->event_cnt++];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    return event;
}

static void
keep_text(struct harness_out *out, struct weir_str *str, const char *heap)
{
    if (str->bytes <= WEIR_STR_INLINE_BYTES) {
        return;
    }
    while (out->heap_bytes + str->bytes > out->heap_cap) {
        out->heap_cap = out->heap_cap * 2 + 4096;
        out->heap = grown(out->heap, out->heap_cap, 1);
    }
    memcpy(out->heap + out->heap_bytes, heap + str->u.off, str->bytes);
    str->u.off = out->heap_bytes;
    out->heap_bytes += str->bytes;
}

static void
keep_row(struct harness_out *out, const struct weir_view *in, uint32_t row)
{
    const struct weir_schema *schema = out->schema;
    if (out->row_cnt == out->row_cap) {
        out->row_cap = out->row_cap * 2 + 64;
        out->rows = grown(out->rows, out->row_cap, schema->row_bytes);
        out->row_kind = grown(out->row_kind, out->row_cap, 1);
    }
    char *to = out->rows + (size_t)schema->row_bytes * out->row_cnt;
    memset(to, 0, schema->row_bytes);
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(in, 0, 8);
        memcpy(to, lane.ptr + (size_t)lane.stride * row, 8);
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        memcpy(to + field->off, weir_view_at(in, field, row), field->bytes);
        if (field->type == WEIR_TYPE_STR) {
            keep_text(out, (struct weir_str *)(void *)(to + field->off), in->heap);
        }
    }
    struct harness_event *event = event_add(out, HARNESS_ROW);
    event->row = out->row_cnt++;
    event->time = in->time != NULL ? weir_view_time(in, row) : 0;
    event->row_kind = weir_view_kind(in, row);
    out->row_kind[event->row] = (uint8_t)event->row_kind;
    event->watermark = in->watermark;
}

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *unused, int64_t now_ns)
{
    const struct sink_conf *conf = op->conf;
    struct harness *h = conf->h;
    struct harness_out *out = &h->out[conf->output];
    uint32_t cnt = in->cnt - cursor;
    (void)input;
    (void)unused;
    (void)now_ns;
    if (h->conf.is_slow) {
        cnt = weir_min_u32(cnt, (uint32_t)weir_rng_below(&h->rng, 4));
    }
    out->seen_cnt += cnt;
    for (uint32_t i = 0; i < cnt && !h->conf.no_keep; i++) {
        keep_row(out, in, weir_view_row(in, cursor + i));
    }
    return cnt;
}

static int
sink_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *unused, int64_t now_ns)
{
    const struct sink_conf *conf = op->conf;
    (void)unused;
    (void)now_ns;
    if (!conf->h->conf.no_keep) {
        event_add(&conf->h->out[conf->output], HARNESS_WATERMARK)->time = watermark;
    }
    return WEIR_DONE;
}

static int
sink_status(struct weir_operator *op, bool idle)
{
    const struct sink_conf *conf = op->conf;
    event_add(&conf->h->out[conf->output], idle ? HARNESS_IDLE : HARNESS_ACTIVE);
    return WEIR_DONE;
}

static int
sink_finish(struct weir_operator *op, struct weir_out *unused, int64_t now_ns)
{
    const struct sink_conf *conf = op->conf;
    (void)unused;
    (void)now_ns;
    event_add(&conf->h->out[conf->output], HARNESS_END);
    return WEIR_DONE;
}

static const struct weir_operator_type sink_type = {
    .name = "capture",
    .input_cnt = 1,
    .process = sink_process,
    .watermark = sink_watermark,
    .status = sink_status,
    .finish = sink_finish,
};

/* ---- building ---- */

static void
set_defaults(struct harness_conf *conf)
{
    conf->channel_cnt = conf->channel_cnt != 0 ? conf->channel_cnt : 1;
    conf->batch_rows = conf->batch_rows != 0 ? conf->batch_rows : BATCH_ROWS_DEFAULT;
    conf->buf_bytes = conf->buf_bytes != 0 ? conf->buf_bytes : BUF_BYTES_DEFAULT;
    conf->arena_bytes = conf->arena_bytes != 0 ? conf->arena_bytes : ARENA_BYTES_DEFAULT;
    conf->subtask_cnt = conf->subtask_cnt != 0 ? conf->subtask_cnt : 1;
    conf->max_parallelism = conf->max_parallelism != 0 ? conf->max_parallelism : 128;
}

static int
build_arena(struct harness *h)
{
    struct weir_arena_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.name = "harness";
    spec.max_parallelism = h->conf.max_parallelism;
    spec.groups =
        weir_keygroup_range_of(h->conf.subtask_idx, h->conf.subtask_cnt, h->conf.max_parallelism);
    spec.table_cnt_max = h->conf.table_cnt_max;
    /* Zero, and only what is used is ever there. */
    h->arena_mem = mmap(NULL, h->conf.arena_bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(h->arena_mem, MAP_FAILED);
    return weir_arena_init(&h->arena, &spec, h->arena_mem, h->conf.arena_bytes);
}

static int
build_chain(struct harness *h, struct sink_conf *sink_confs)
{
    struct weir_chain_node_conf *nodes = calloc(1 + WEIR_OPERATOR_OUTPUT_CNT_MAX, sizeof *nodes);
    assert_non_null(nodes);
    const struct weir_operator_type *type = h->conf.type;
    nodes[0].name = type->name;
    nodes[0].type = type;
    nodes[0].conf = h->conf.conf;
    memcpy(nodes[0].in_schema, h->conf.in_schema, sizeof nodes[0].in_schema);
    memcpy(nodes[0].channel_input, h->conf.channel_input, sizeof nodes[0].channel_input);
    nodes[0].channel_cnt = type->input_cnt > 0 ? h->conf.channel_cnt : 0;
    nodes[0].env.job_name = "harness";
    nodes[0].env.vertex_name = type->name;
    nodes[0].env.subtask_idx = h->conf.subtask_idx;
    nodes[0].env.subtask_cnt = h->conf.subtask_cnt;
    nodes[0].env.max_parallelism = h->conf.max_parallelism;
    nodes[0].env.arena = &h->arena;
    nodes[0].env.spill = h->conf.spill;
    nodes[0].env.alignment = h->conf.alignment;
    nodes[0].env.alignment_member = h->conf.alignment_member;
    nodes[0].env.watermark_interval_ns = h->conf.watermark_interval_ns;
    nodes[0].env.only_lateness = h->conf.only_lateness;
    nodes[0].env.seed = h->conf.seed;
    nodes[0].env.takes_changes = h->conf.takes_changes;
    for (uint32_t i = 0; i < type->output_cnt; i++) {
        const struct weir_schema *schema = h->conf.out_schema[i];
        schema = schema != NULL ? schema : h->conf.in_schema[0];
        nodes[0].outputs[i].schema = schema;
        nodes[0].outputs[i].has_time = true;
        nodes[0].outputs[i].has_kind = h->conf.has_kind;
        nodes[0].outputs[i].edge_cnt = 1;
        nodes[0].outputs[i].edges[0].node = (uint16_t)(1 + i);
        h->out[i].schema = schema;
        sink_confs[i].h = h;
        sink_confs[i].output = i;
        nodes[1 + i].name = "capture";
        nodes[1 + i].type = &sink_type;
        nodes[1 + i].conf = &sink_confs[i];
        nodes[1 + i].in_schema[0] = schema;
        nodes[1 + i].channel_cnt = 1;
    }
    struct weir_chain_conf conf = {.nodes = nodes,
        .node_cnt = 1U + type->output_cnt,
        .batch_rows = h->conf.batch_rows,
        .buf_bytes = h->conf.buf_bytes};
    int err = weir_chain_new(&conf, &h->chain);
    free(nodes);
    return err;
}

int
harness_try(const struct harness_conf *conf, struct harness **ret)
{
    /* The sinks' confs lie behind the harness. */
    struct harness *h =
        calloc(1, sizeof *h + WEIR_OPERATOR_OUTPUT_CNT_MAX * sizeof(struct sink_conf));
    assert_non_null(h);
    h->conf = *conf;
    set_defaults(&h->conf);
    weir_rng_init(&h->rng, h->conf.seed);
    for (uint32_t i = 0; i < WEIR_CHAIN_EDGE_CNT_MAX; i++) {
        h->watermark[i] = WEIR_TIME_MIN;
    }
    int err = build_arena(h);
    assert_int_equal(err, 0);
    err = build_chain(h, (struct sink_conf *)(h + 1));
    if (err == 0 && h->conf.before_open != NULL) {
        h->conf.before_open(h, h->conf.before_open_arg);
    }
    if (err == 0) {
        err = weir_chain_open(h->chain);
    }
    if (err < 0) {
        harness_free(h);
        return err;
    }
    *ret = h;
    return 0;
}

struct harness *
harness_new(const struct harness_conf *conf)
{
    struct harness *h = NULL;
    int err = harness_try(conf, &h);
    if (err < 0) {
        weir_err_print(stderr, err);
    }
    assert_int_equal(err, 0);
    return h;
}

void
harness_free(struct harness *h)
{
    if (h == NULL) {
        return;
    }
    (void)weir_chain_close(h->chain); /* tests that want its error look themselves */
    for (uint32_t i = 0; i < WEIR_OPERATOR_OUTPUT_CNT_MAX; i++) {
        free(h->out[i].rows);
        free(h->out[i].row_kind);
        free(h->out[i].heap);
        free(h->out[i].event);
    }
    munmap(h->arena_mem, h->conf.arena_bytes);
    if (h->before != NULL) {
        munmap(h->before, h->conf.arena_bytes);
    }
    free(h->columns);
    free(h);
}

/* ---- feeding ---- */

struct weir_view
harness_view_of(const struct weir_schema *schema, const void *rows, uint32_t cnt)
{
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = schema;
    view.rows = (char *)(uintptr_t)rows;
    view.heap = view.rows;
    view.stride = schema->row_bytes;
    view.cnt = cnt;
    view.row_cnt = cnt;
    if (schema->time_idx >= 0) {
        view.time = view.rows + schema->fields[schema->time_idx].off;
        view.time_stride = schema->row_bytes;
    }
    return view;
}

/* The same rows as columns, in memory of the harness. */
static void
turn_into_columns(struct harness *h, struct weir_view *view)
{
    const struct weir_schema *schema = view->schema;
    uint32_t cap = (uint32_t)weir_align_up(view->row_cnt, WEIR_BATCH_CAP_ALIGN);
    size_t bytes = (size_t)cap * schema->row_bytes;
    if (bytes > h->columns_bytes) {
        free(h->columns);
        assert_int_equal(posix_memalign((void **)&h->columns, WEIR_LINE_BYTES, bytes), 0);
        h->columns_bytes = bytes;
    }
    memset(h->columns, 0, bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        for (uint32_t i = 0; i < view->row_cnt; i++) {
            memcpy(h->columns + (size_t)cap * field->off + (size_t)field->bytes * i,
                view->rows + (size_t)view->stride * i + field->off, field->bytes);
        }
    }
    view->rows = h->columns;
    view->cap = cap;
    view->stride = 0;
    view->flags |= WEIR_BATCH_COLUMNS;
    if (schema->time_idx >= 0) {
        view->time = view->rows + (size_t)cap * schema->fields[schema->time_idx].off;
        view->time_stride = 8;
    }
}

/* Larger arenas are not watched: a copy of all would take the time of many runs. */
#define WATCH_PAGE_CNT_MAX 1024
#define WATCH_TURN 4

/* Begin an epoch and keep a copy, in some of the runs. Returns the pages to look at, 0: none. Not
 * by malloc(): tests count those. */
static uint32_t
watch_begin(struct harness *h)
{
    uint32_t page_cnt = h->arena.page_fresh;
    if (weir_rng_mix(h->run_cnt++ + h->conf.seed) % WATCH_TURN != 0 ||
        page_cnt > WATCH_PAGE_CNT_MAX) {
        return 0;
    }
    if (h->before == NULL) {
        h->before = mmap(NULL, h->conf.arena_bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_ptr_not_equal(h->before, MAP_FAILED);
    }
    weir_arena_masks_clear(&h->arena);
    memcpy(h->before, h->arena.base, (size_t)page_cnt * WEIR_PAGE_BYTES);
    h->watched_cnt++;
    return page_cnt;
}

static void
watch_end(const struct harness *h, uint32_t page_cnt)
{
    for (uint32_t page = 1; page < page_cnt; page++) {
        const char *now = h->arena.base + (size_t)page * WEIR_PAGE_BYTES;
        const char *before = h->before + (size_t)page * WEIR_PAGE_BYTES;
        if (before[0] == WEIR_PAGE_INDEX || h->arena.saved[page] == ~UINT64_C(0)) {
            continue; /* an index is in no snapshot */
        }
        uint32_t line_cnt = WEIR_PAGE_BYTES / WEIR_LINE_BYTES;
        for (uint32_t line = 0; line < (now[0] == WEIR_PAGE_FREE ? 1 : line_cnt); line++) {
            size_t off = (size_t)line * WEIR_LINE_BYTES;
            if (((h->arena.saved[page] >> line) & 1) == 0 &&
                memcmp(now + off, before + off, WEIR_LINE_BYTES) != 0) {
                fail_msg("%s wrote line %u of page %u, of kind %d, without touching it",
                    h->conf.type->name, line, page, now[0]);
            }
        }
    }
}

static int
run_chain(struct harness *h)
{
    uint32_t waits = 0;
    for (;;) {
        uint32_t steps = h->steps_max != 0 ? h->steps_max : STEPS_MAX;
        int rc = weir_chain_run(h->chain, steps, h->now_ns);
        h->step_cnt++;
        if (h->after_step != NULL) {
            h->after_step(h);
        }
        if (rc <= WEIR_DONE) {
            return rc;
        }
        waits = rc == WEIR_WAIT ? waits + 1 : 0;
        assert_true(waits < 10000000);
    }
}

int
harness_run(struct harness *h)
{
    uint32_t watched = watch_begin(h);
    int rc = run_chain(h);
    watch_end(h, watched);
    return rc;
}

static void
must_run(struct harness *h)
{
    int rc = harness_run(h);
    if (rc < 0) {
        weir_err_print(stderr, rc);
    }
    assert_int_equal(rc, 0);
}

static int
push(struct harness *h, uint32_t channel, const struct weir_view *given)
{
    struct weir_view view = *given;
    if (h->conf.columns) {
        turn_into_columns(h, &view);
    }
    view.watermark = h->watermark[channel];
    weir_chain_offer(h->chain, 0, channel, &view);
    return harness_run(h);
}

int
harness_try_push(struct harness *h, uint32_t channel, const void *rows, uint32_t cnt)
{
    const struct weir_schema *schema = h->conf.in_schema[h->conf.channel_input[channel]];
    struct weir_view view = harness_view_of(schema, rows, cnt);
    return push(h, channel, &view);
}

void
harness_push_view(struct harness *h, uint32_t channel, const struct weir_view *view)
{
    int rc = push(h, channel, view);
    if (rc < 0) {
        weir_err_print(stderr, rc);
    }
    assert_int_equal(rc, 0);
}

void
harness_push(struct harness *h, uint32_t channel, const void *rows, uint32_t cnt)
{
    const struct weir_schema *schema = h->conf.in_schema[h->conf.channel_input[channel]];
    struct weir_view view = harness_view_of(schema, rows, cnt);
    harness_push_view(h, channel, &view);
}

int
harness_try_watermark(struct harness *h, uint32_t channel, int64_t watermark)
{
    h->watermark[channel] = weir_max_i64(h->watermark[channel], watermark);
    weir_chain_offer_watermark(h->chain, 0, channel, watermark);
    return harness_run(h);
}

void
harness_watermark(struct harness *h, uint32_t channel, int64_t watermark)
{
    int rc = harness_try_watermark(h, channel, watermark);
    if (rc < 0) {
        weir_err_print(stderr, rc);
    }
    assert_int_equal(rc, 0);
}

void
harness_status(struct harness *h, uint32_t channel, bool idle)
{
    weir_chain_offer_status(h->chain, 0, channel, idle);
    must_run(h);
}

void
harness_time(struct harness *h, int64_t now_ns)
{
    h->now_ns = now_ns;
    for (;;) {
        uint32_t watched = watch_begin(h);
        int rc = weir_chain_fire(h->chain, now_ns);
        if (rc == WEIR_AGAIN) {
            assert_int_equal(run_chain(h), 0);
        }
        watch_end(h, watched);
        if (rc == WEIR_DONE) {
            return;
        }
        assert_true(rc >= 0);
    }
}

void
harness_end(struct harness *h, uint32_t channel)
{
    weir_chain_offer_end(h->chain, 0, channel);
    must_run(h);
}

/* ---- looking ---- */

const void *
harness_row(const struct harness *h, uint32_t output, uint32_t idx)
{
    const struct harness_out *out = &h->out[output];
    assert_true(idx < out->row_cnt);
    return out->rows + (size_t)out->schema->row_bytes * idx;
}

struct weir_slice
harness_text(const struct harness *h, uint32_t output, const struct weir_str *str)
{
    return weir_str_slice(str, h->out[output].heap);
}

struct weir_operator *
harness_operator(struct harness *h)
{
    return weir_chain_operator(h->chain, 0);
}

void
harness_clear(struct harness *h)
{
    for (uint32_t i = 0; i < WEIR_OPERATOR_OUTPUT_CNT_MAX; i++) {
        h->out[i].row_cnt = 0;
        h->out[i].event_cnt = 0;
        h->out[i].heap_bytes = 0;
        h->out[i].seen_cnt = 0;
    }
}
