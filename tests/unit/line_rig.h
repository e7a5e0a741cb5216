/* SPDX-License-Identifier: Apache-2.0 */
/* line_rig.h: one stage of a source of lines and a sink, driven by hand on any io. */
#ifndef WEIR_TESTS_UNIT_LINE_RIG_H
#define WEIR_TESTS_UNIT_LINE_RIG_H

#include "dataplane/chain.h"
#include "dataplane/format.h"
#include "dataplane/operators/lines.h"
#include "tests/unit/io_place.h"

#define RIG_TEXT_BYTES (1 << 20)

/* Rows as CSV, for a test to compare with. */
struct rig_text {
    char text[RIG_TEXT_BYTES];
    size_t bytes;
};

/* Room for a text; never NULL. */
static WEIR_UNUSED char *
new_text(size_t bytes)
{
    char *text = malloc(bytes);
    if (text == NULL) {
        abort();
    }
    return text;
}

struct rig {
    struct place *place;
    struct weir_chain *chain;
    int rc;
};

static int64_t
keep_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct rig_text *kept = *(struct rig_text *const *)op->conf;
    (void)input;
    (void)out;
    (void)now_ns;
    struct weir_formatted made = weir_format_rows(
        WEIR_FORMAT_CSV, in, cursor, kept->text + kept->bytes, RIG_TEXT_BYTES - 1 - kept->bytes);
    kept->bytes += made.bytes;
    kept->text[kept->bytes] = '\0';
    assert_int_equal(cursor + made.row_cnt, in->cnt);
    return made.row_cnt;
}

/* Its conf is a pointer to a struct rig_text. */
static const struct weir_operator_type rig_keep_type = {
    .name = "keep", .input_cnt = 1, .process = keep_process};

/* A stage of a source (two outputs where it has them) and a sink per output. */
struct rig_conf {
    const struct weir_operator_type *source;
    const void *source_conf;
    const struct weir_schema *schema;
    const struct weir_operator_type *sink;
    const void *sink_conf;
    const void *side_conf; /* a keep sink's */
    uint32_t subtask_idx;
    uint32_t subtask_cnt; /* 0: 1 */
    uint32_t batch_rows; /* 0: 100 */
};

static WEIR_UNUSED void
rig_open(struct rig *rig, struct place *place, const struct rig_conf *conf)
{
    struct weir_chain_node_conf nodes[3];
    memset(nodes, 0, sizeof nodes);
    uint32_t out_cnt = conf->source->output_cnt;
    for (uint32_t i = 0; i < 1 + out_cnt; i++) {
        nodes[i].env.job_name = "test";
        nodes[i].env.vertex_name = i == 0 ? "source" : "sink";
        nodes[i].env.subtask_idx = conf->subtask_idx;
        nodes[i].env.subtask_cnt = conf->subtask_cnt != 0 ? conf->subtask_cnt : 1;
        nodes[i].env.io = place->io;
        nodes[i].name = nodes[i].env.vertex_name;
    }
    nodes[0].type = conf->source;
    nodes[0].conf = conf->source_conf;
    for (uint32_t i = 0; i < out_cnt; i++) {
        const struct weir_schema *schema = i == 0 ? conf->schema : conf->source->side_schema(i);
        nodes[0].outputs[i].schema = schema;
        nodes[0].outputs[i].edges[0] = (struct weir_chain_edge){.node = (uint16_t)(i + 1)};
        nodes[0].outputs[i].edge_cnt = 1;
        nodes[i + 1].type = i == 0 ? conf->sink : &rig_keep_type;
        nodes[i + 1].conf = i == 0 ? conf->sink_conf : conf->side_conf;
        nodes[i + 1].in_schema[0] = schema;
        nodes[i + 1].channel_cnt = 1;
    }
    struct weir_chain_conf chain_conf = {.nodes = nodes,
        .node_cnt = 1 + out_cnt,
        .batch_rows = conf->batch_rows != 0 ? conf->batch_rows : 100,
        .buf_bytes = 32768};
    rig->place = place;
    rig->chain = NULL;
    assert_int_equal(weir_chain_new(&chain_conf, &rig->chain), 0);
    rig->rc = weir_chain_open(rig->chain);
}

/* One turn of the stage. Returns false when it has ended or failed. */
static WEIR_UNUSED bool
rig_turn(struct rig *rig)
{
    struct place *place = rig->place;
    if (rig->rc < 0 || weir_chain_ended(rig->chain)) {
        return false;
    }
    (void)weir_io_poll(place->io, place->now_ns);
    rig->rc = weir_chain_run(rig->chain, 16, place->now_ns);
    if (rig->rc == WEIR_DONE && !weir_chain_ended(rig->chain)) {
        rig->rc = weir_chain_poll_source(rig->chain, 0, place->now_ns);
        if (rig->rc == WEIR_WAIT) {
            int rc = weir_chain_flush(rig->chain);
            rig->rc = rc < 0 ? rc : WEIR_WAIT;
        }
    }
    if (rig->rc == WEIR_WAIT) {
        if (place->kind == WEIR_IO_SIM) {
            int64_t due_ns = weir_io_due_ns(place->io);
            place->now_ns =
                due_ns < INT64_MAX ? weir_max_i64(place->now_ns, due_ns) : place->now_ns + WEIR_MS;
        } else {
            weir_io_wait(place->io, WEIR_MS, -1);
            place->now_ns = weir_io_clock_ns(place->io);
        }
    }
    return rig->rc >= 0;
}

static WEIR_UNUSED void
rig_close(struct rig *rig)
{
    assert_int_equal(weir_chain_close(rig->chain), 0);
    rig->chain = NULL;
}

/* Runs the stage to its end. Returns 0 or its error, whose context stays. */
static WEIR_UNUSED int
rig_run(struct rig *rig)
{
    int turn_cnt = 0;
    while (rig_turn(rig) && turn_cnt < 1000000) {
        turn_cnt++;
    }
    assert_true(turn_cnt < 1000000);
    return rig->rc < 0 ? rig->rc : 0;
}

/* A file of exactly these bytes in the place. */
static WEIR_UNUSED void
put_bytes(struct place *place, const char *name, const void *data, size_t bytes)
{
    int32_t file = open_file(place, name, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    struct weir_io_op op;
    weir_io_op_write(&op, file, data, bytes, 0);
    op.flags = WEIR_IO_WHOLE;
    if (bytes > 0) {
        assert_int_equal(perform(place, &op), bytes);
    }
    close_file(place, file);
}

/* What stands in a file, as text; NULL where there is none. The caller frees it. */
static WEIR_UNUSED char *
get_text(struct place *place, const char *name)
{
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, name), WEIR_IO_O_READ | WEIR_IO_O_REGULAR);
    if (perform(place, &op) < 0) {
        return NULL;
    }
    int32_t file = (int32_t)op.result;
    char *text = new_text(RIG_TEXT_BYTES);
    weir_io_op_read(&op, file, text, RIG_TEXT_BYTES - 1, 0);
    op.flags = WEIR_IO_WHOLE;
    int64_t bytes = perform(place, &op);
    assert_in_range(bytes, 0, RIG_TEXT_BYTES - 2);
    text[bytes] = '\0';
    close_file(place, file);
    return text;
}

#endif
