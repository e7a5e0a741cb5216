/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/draw.h"

#include <string.h>

/* Keys of a split at the most, where they are few, or many: more than fit a page of a key group. */
#define KEY_CNT_MANY 3000
/* Pairs that a join may make, about. */
#define PAIR_CNT_MAX 20000.0
/* Rows that all sinks may get, about. */
#define SINK_ROW_CNT_MAX 60000.0
/* One seed of so many has a source that begins checkpoints; drawn by itself. */
#define BEGIN_ONE_IN 6
#define BEGIN_DRAW 4000
/* One operation of single rows of so many has a loop before it, if it is not of more rows than
 * this; drawn by itself. */
#define LOOP_ONE_IN 5
#define LOOP_ROW_CNT_MAX 30000.0
#define LOOP_DRAW 5000
/* Each is up to two changes. */
#define LOG_ROW_CNT_MAX 8000.0
/* Rows that joins of tables read: each is up to two changes, which meet a few rows. */
#define TABLE_ROW_CNT_MAX 4000.0
/* Every subtask is sent all of them. */
#define RULE_ROW_CNT_MAX 400.0

const char *
sim_op_name(enum sim_op op)
{
    static const char *const names[] = {"source", "map", "rekey", "filter", "thin", "ask",
        "ask_any", "lookup", "flatmap", "union", "window_sum", "window_count", "window_xor",
        "window_most", "top", "reduce", "process", "timed", "bucket", "group", "clock", "best",
        "join", "ttl_join", "interval_join", "window_join", "semi_join", "outer_join", "cogroup",
        "connect", "rules", "sink"};
    WEIR_STATIC_ASSERT(WEIR_ARRAY_CNT(names) == SIM_OP_CNT, "a name for each");
    return names[op];
}

struct pen {
    struct sim_draw *draw;
    struct weir_rng rng;
};

static uint64_t
below(struct pen *pen, uint64_t n)
{
    return weir_rng_below(&pen->rng, n);
}

static bool
chance(struct pen *pen, uint64_t percent)
{
    return weir_rng_chance(&pen->rng, percent, 100);
}

static struct sim_node *
add_node(struct pen *pen, enum sim_op op, uint32_t left, uint32_t right)
{
    struct sim_node *node = &pen->draw->node[pen->draw->node_cnt++];
    *node = (struct sim_node){.op = op, .in = {left, right}, .out = {SIM_NO_STREAM, SIM_NO_STREAM}};
    for (uint32_t i = 0; i < 2; i++) {
        if (node->in[i] != SIM_NO_STREAM) {
            pen->draw->stream[node->in[i]].is_used = true;
        }
    }
    return node;
}

static uint32_t
add_stream(struct pen *pen, struct sim_node *node, uint32_t output, const struct sim_stream *like)
{
    uint32_t idx = pen->draw->stream_cnt++;
    pen->draw->stream[idx] = *like;
    pen->draw->stream[idx].is_used = false;
    node->out[output] = idx;
    return idx;
}

/* Windows that go well into the whole span, and are not too many. */
static void
draw_span(struct pen *pen, struct sim_node *node)
{
    static const int64_t slides[] = {1000, 1024, 2000, 4096, 5000};
    node->slide_ms = slides[below(pen, WEIR_ARRAY_CNT(slides))];
    node->size_ms = node->slide_ms * (int64_t)(chance(pen, 50) ? 1 : 1 + below(pen, 3));
}

static double
window_cnt(const struct sim_node *node)
{
    return (double)SIM_SPAN_MS / (double)node->slide_ms;
}

/* ---- sources ---- */

static void
draw_source(struct pen *pen, uint32_t idx, uint64_t row_cnt)
{
    static const int64_t jitters[] = {0, 10, 100, 700};
    struct sim_source *source = &pen->draw->source[idx];
    source->idx = idx;
    source->seed = weir_rng_u64(&pen->rng);
    source->split_cnt = 1 + (uint32_t)below(pen, SIM_SPLIT_CNT_MAX);
    source->row_cnt = (row_cnt + source->split_cnt - 1) / source->split_cnt;
    source->key_cnt = 1 + (uint32_t)below(pen, chance(pen, 15) ? KEY_CNT_MANY : SIM_KEY_CNT_FEW);
    source->is_skewed = chance(pen, 20);
    source->step_ms = SIM_SPAN_MS / (int64_t)source->row_cnt;
    source->step_ms = source->step_ms < 1 ? 1 : source->step_ms;
    source->jitter_ms = jitters[below(pen, WEIR_ARRAY_CNT(jitters))];
    /* More than the longest windows and the jitter. */
    source->late_ms = chance(pen, 25) ? SIM_SPAN_MS / 3 : 0;
    source->gap_ns = pen->draw->run_ns / (int64_t)source->row_cnt;
    source->ends_early = chance(pen, 50);
    source->is_dealt = chance(pen, 30);
    source->burst_cnt = chance(pen, 40) ? 1 + source->row_cnt / (5 + below(pen, 40)) : 1;
    pen->draw->row_cnt += source->row_cnt * source->split_cnt;
    uint32_t key_cnt = source->key_cnt * source->split_cnt;
    const struct sim_stream stream = {
        .is_ordered = true,
        .is_late = source->late_ms > 0,
        .key_cnt = key_cnt,
        .row_cnt = (double)(source->row_cnt * source->split_cnt),
        .heat = 1.0 / key_cnt + (source->is_skewed ? 0.25 / source->split_cnt : 0),
    };
    struct sim_node *node = add_node(pen, SIM_SOURCE, SIM_NO_STREAM, SIM_NO_STREAM);
    node->source = idx;
    (void)add_stream(pen, node, 0, &stream);
}

/* Sources that wait for each other, but for those of rows that are late for watermarks of their
 * own. A row may come behind all rows of a poll, and as late as times are mixed. */
static void
draw_alignment(struct pen *pen)
{
    struct sim_draw *draw = pen->draw;
    draw->is_aligned = chance(pen, 25);
    int64_t drift_ms = (int64_t)(500 + below(pen, 4000));
    for (uint32_t i = 0; i < draw->source_cnt && draw->is_aligned; i++) {
        struct sim_source *source = &draw->source[i];
        if (source->late_ms == 0) {
            source->drift_ms = drift_ms;
            source->lag_ms =
                source->jitter_ms + (SIM_SOURCE_SLICE_CNT_MAX + 1) * source->step_ms + 1;
        }
    }
}

/* One of them, for two could stand in one task; and none that waits for others, whose subtasks
 * would hardly ever begin the same one. */
static void
draw_begins(struct pen *pen)
{
    struct sim_draw *draw = pen->draw;
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_at(draw->seed, BEGIN_DRAW));
    if (weir_rng_chance(&rng, 1, BEGIN_ONE_IN)) {
        struct sim_source *source = &draw->source[weir_rng_below(&rng, draw->source_cnt)];
        source->begin_ns = source->lag_ms == 0 ? draw->run_ns / weir_rng_between(&rng, 12, 40) : 0;
    }
}

/* ---- nodes ---- */

/* Whether another start may read a split by another subtask. */
static bool
has_moving_rows(const struct sim_draw *draw)
{
    bool is_dealt = false;
    for (uint32_t i = 0; i < draw->source_cnt; i++) {
        is_dealt |= draw->source[i].is_dealt;
    }
    return is_dealt || draw->rescales;
}

/* No watermark comes through one that ends with its last row: what was late is not. Through others
 * one comes, and rows that have gone round may be late. */
static void
draw_loop(struct pen *pen, struct sim_node *node, struct sim_stream *stream)
{
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_at(pen->draw->seed, LOOP_DRAW + pen->draw->node_cnt));
    if (stream->row_cnt > LOOP_ROW_CNT_MAX || !weir_rng_chance(&rng, 1, LOOP_ONE_IN)) {
        return;
    }
    bool waits = stream->is_late || weir_rng_chance(&rng, 1, 3);
    node->loop = waits ? SIM_LOOP_WAIT : SIM_LOOP_LAST;
    node->loop_deals = weir_rng_chance(&rng, 1, 2);
    stream->is_ordered = false;
    stream->is_late = waits;
    stream->is_stale = waits;
}

static uint32_t
draw_row_op(struct pen *pen, enum sim_op op, uint32_t in, bool deals)
{
    struct sim_stream stream = pen->draw->stream[in];
    struct sim_node *node = add_node(pen, op, in, SIM_NO_STREAM);
    if (deals) {
        draw_loop(pen, node, &stream);
    }
    if (deals && !stream.is_late && chance(pen, 40)) {
        static const enum weir_partitioner choices[] = {WEIR_PARTITION_REBALANCE,
            WEIR_PARTITION_RESCALE, WEIR_PARTITION_SHUFFLE, WEIR_PARTITION_GLOBAL};
        node->partitioner = choices[below(pen, WEIR_ARRAY_CNT(choices))];
        stream.is_ordered = false;
    }
    /* Rows on their way stay with the subtask that had asked, or are dealt out anew; those behind
     * them may go elsewhere in the next start. */
    if (op == SIM_ASK_ANY || (op == SIM_ASK && has_moving_rows(pen->draw))) {
        stream.is_ordered = false;
    }
    if (op == SIM_REKEY) {
        stream.is_ordered = false;
        stream.key_cnt = 61;
        stream.heat = 1.0 / 61;
    }
    if (op == SIM_THIN) {
        node->thin_level = stream.thin_level++ % SIM_THIN_LEVEL_CNT;
    }
    stream.row_cnt *= op == SIM_FILTER   ? 0.75
                      : op == SIM_THIN   ? 0.125
                      : op == SIM_LOOKUP ? 2.0
                                         : 1.0;
    return add_stream(pen, node, 0, &stream);
}

/* Drawn beside the seed's other numbers, which go on as they were. */
static void
draw_general(struct pen *pen, struct sim_node *node, bool is_late)
{
    static const int64_t gaps[] = {51, 301, 1501, 4001};
    struct weir_rng rng;
    weir_rng_init(&rng, pen->draw->seed ^ (UINT64_C(0x9e3779b97f4a7c15) * pen->draw->node_cnt));
    node->is_general = weir_rng_chance(&rng, 1, 3);
    node->lateness_ms = weir_rng_chance(&rng, 1, 2) ? weir_rng_between(&rng, 1, 700) : 0;
    if (!is_late && node->op == SIM_WINDOW_XOR && weir_rng_chance(&rng, 1, 2)) {
        node->is_session = true;
        node->size_ms = gaps[weir_rng_below(&rng, WEIR_ARRAY_CNT(gaps))];
    }
    if ((node->is_general || node->is_session) && weir_rng_chance(&rng, 1, 3)) {
        node->evict_ms = weir_rng_between(&rng, 1, node->size_ms);
    }
}

static void
draw_window(struct pen *pen, enum sim_op op, uint32_t in)
{
    struct sim_stream from = pen->draw->stream[in];
    struct sim_node *node = add_node(pen, op, in, SIM_NO_STREAM);
    draw_span(pen, node);
    if (op != SIM_TOP) {
        draw_general(pen, node, from.is_late);
    }
    node->top_cnt = 1 + (uint32_t)below(pen, 5);
    double most = from.row_cnt * (double)node->size_ms / (double)node->slide_ms;
    double each = op == SIM_TOP ? 2.0 * node->top_cnt : from.key_cnt;
    struct sim_stream stream = {
        .is_ordered = op != SIM_TOP,
        .key_cnt = from.key_cnt,
        .row_cnt = window_cnt(node) * each < most ? window_cnt(node) * each : most,
        .heat = op == SIM_TOP ? from.heat : 1.0 / from.key_cnt,
    };
    (void)add_stream(pen, node, 0, &stream);
    if (from.is_late && op != SIM_TOP) {
        stream = from;
        stream.is_stale = true;
        stream.row_cnt /= 64;
        (void)add_stream(pen, node, 1, &stream);
    }
}

static void
draw_ordered(struct pen *pen, enum sim_op op, uint32_t in)
{
    struct sim_stream stream = pen->draw->stream[in];
    struct sim_node *node = add_node(pen, op, in, SIM_NO_STREAM);
    stream.is_stale = stream.is_late;
    struct sim_stream main = stream;
    main.row_cnt /= op == SIM_PROCESS ? 3 : 1;
    (void)add_stream(pen, node, 0, &main);
    if (op == SIM_PROCESS) {
        stream.row_cnt /= 5;
        (void)add_stream(pen, node, 1, &stream);
    }
}

static void
draw_timed(struct pen *pen, enum sim_op op, uint32_t in)
{
    struct sim_stream stream = pen->draw->stream[in];
    struct sim_node *node = add_node(pen, op, in, SIM_NO_STREAM);
    double most = (double)stream.key_cnt * SIM_SPAN_MS / SIM_BUCKET_MS;
    stream.row_cnt = stream.row_cnt < most ? stream.row_cnt : most;
    (void)add_stream(pen, node, 0, &stream);
}

/* Whatever comes of it comes at the end, a row a key. */
static void
draw_folded(struct pen *pen, enum sim_op op, uint32_t in)
{
    uint32_t key_cnt = op == SIM_BEST ? SIM_BEST_KEY_CNT : pen->draw->stream[in].key_cnt;
    const struct sim_stream stream = {.is_late = true,
        .is_stale = true,
        .key_cnt = key_cnt,
        .row_cnt = key_cnt,
        .heat = 1.0 / key_cnt};
    struct sim_node *node = add_node(pen, op, in, SIM_NO_STREAM);
    node->top_cnt = 1 + (uint32_t)below(pen, 5);
    (void)add_stream(pen, node, 0, &stream);
}

/* Keys that come often are among pairs all the more often. */
static double
heat_of_pairs(double heat, uint32_t key_cnt)
{
    double squared = heat * heat * key_cnt;
    double most = squared > heat ? squared : heat;
    return most < 1.0 ? most : 1.0;
}

/* Of all pairs of rows with one key, those that are near each other. */
static double
share_of_span(enum sim_op op, const struct sim_node *span)
{
    double near =
        op == SIM_INTERVAL_JOIN ? (double)(span->size_ms + span->slide_ms) : (double)span->size_ms;
    return near / SIM_SPAN_MS;
}

/* Pairs that are told on the way. */
static double
pairs_of_tables(const struct sim_node *node, const struct sim_stream *l, const struct sim_stream *r)
{
    double heat = l->heat > r->heat ? l->heat : r->heat;
    return node->is_mixed ? 8.0 * l->row_cnt * r->row_cnt * heat : 0.0;
}

/* Drawn beside the seed's other numbers, which go on as they were. */
static void
draw_table_join(struct pen *pen, const struct sim_node *drawn, uint32_t left, uint32_t right)
{
    for (;;) {
        const struct sim_stream *l = &pen->draw->stream[left];
        const struct sim_stream *r = &pen->draw->stream[right];
        bool fits = l->row_cnt + r->row_cnt < TABLE_ROW_CNT_MAX &&
                    pairs_of_tables(drawn, l, r) < 2 * PAIR_CNT_MAX;
        if (fits || pen->draw->node_cnt > SIM_NODE_CNT_MAX - 16) {
            break;
        }
        bool is_left = l->row_cnt > r->row_cnt;
        uint32_t *thinned = is_left ? &left : &right;
        *thinned = draw_row_op(pen, SIM_THIN, *thinned, false);
    }
    const struct sim_stream *l = &pen->draw->stream[left];
    const struct sim_stream *r = &pen->draw->stream[right];
    uint32_t key_cnt = 1 + SIM_TABLE_KEY(l->key_cnt > r->key_cnt ? l->key_cnt : r->key_cnt);
    const struct sim_stream stream = {.is_late = true,
        .is_stale = true,
        .key_cnt = key_cnt,
        .row_cnt = 4.0 * (l->key_cnt + (drawn->is_mixed ? r->row_cnt : r->key_cnt)),
        .heat = 1.0 / key_cnt};
    struct sim_node *node = add_node(pen, SIM_JOIN, left, right);
    node->is_table = true;
    node->is_mixed = drawn->is_mixed;
    node->outer = drawn->outer;
    (void)add_stream(pen, node, 0, &stream);
}

/* Whether a join is one of tables. */
static bool
draw_tables(struct pen *pen, struct sim_node *drawn)
{
    struct weir_rng rng;
    weir_rng_init(&rng, pen->draw->seed ^ (UINT64_C(0xc2b2ae3d27d4eb4f) * pen->draw->node_cnt));
    drawn->is_table = weir_rng_chance(&rng, 1, 2);
    drawn->is_mixed = weir_rng_chance(&rng, 1, 3);
    drawn->outer = (uint32_t)weir_rng_below(&rng, SIM_OUTER_CNT);
    return drawn->is_table;
}

/* One of eight rows as often as the join needs it. */
static void
draw_join(struct pen *pen, enum sim_op op, uint32_t left, uint32_t right)
{
    struct sim_node span = {0};
    draw_span(pen, &span);
    if (op == SIM_JOIN && draw_tables(pen, &span)) {
        draw_table_join(pen, &span, left, right);
        return;
    }
    for (;;) {
        const struct sim_stream *l = &pen->draw->stream[left];
        const struct sim_stream *r = &pen->draw->stream[right];
        double heat = l->heat > r->heat ? l->heat : r->heat;
        double pairs = l->row_cnt * r->row_cnt * heat;
        pairs *= op == SIM_JOIN || op == SIM_TTL_JOIN ? 1.0 : share_of_span(op, &span);
        if (pairs < PAIR_CNT_MAX || pen->draw->node_cnt > SIM_NODE_CNT_MAX - 16) {
            break;
        }
        bool is_left = l->row_cnt > r->row_cnt;
        uint32_t *thinned = is_left ? &left : &right;
        *thinned = draw_row_op(pen, SIM_THIN, *thinned, false);
    }
    const struct sim_stream *l = &pen->draw->stream[left];
    const struct sim_stream *r = &pen->draw->stream[right];
    double heat = l->heat > r->heat ? l->heat : r->heat;
    uint32_t key_cnt = l->key_cnt > r->key_cnt ? l->key_cnt : r->key_cnt;
    struct sim_stream stream = {
        .key_cnt = key_cnt,
        .row_cnt = op == SIM_SEMI_JOIN ? l->row_cnt * 2 : l->row_cnt * r->row_cnt * heat * 3 / 4,
        .heat = op == SIM_SEMI_JOIN ? heat : heat_of_pairs(heat, key_cnt),
    };
    struct sim_node *node = add_node(pen, op, left, right);
    node->size_ms = span.size_ms;
    node->slide_ms = span.slide_ms;
    stream.row_cnt = stream.row_cnt < PAIR_CNT_MAX ? stream.row_cnt : PAIR_CNT_MAX;
    if (op == SIM_OUTER_JOIN) {
        node->outer = 1 + (uint32_t)below(pen, SIM_OUTER_LEFT | SIM_OUTER_RIGHT);
        stream.row_cnt += 3 * (pen->draw->stream[left].row_cnt + pen->draw->stream[right].row_cnt);
    }
    (void)add_stream(pen, node, 0, &stream);
}

/* What makes no pairs of two streams, but a row of all that a key has: at the end of a window or
 * bucket, or of the input. */
static void
draw_beside(struct pen *pen, enum sim_op op, uint32_t left, uint32_t right)
{
    while (op == SIM_RULES && pen->draw->stream[right].row_cnt > RULE_ROW_CNT_MAX) {
        right = draw_row_op(pen, SIM_THIN, right, false);
    }
    const struct sim_stream *l = &pen->draw->stream[left];
    const struct sim_stream *r = &pen->draw->stream[right];
    uint32_t key_cnt = l->key_cnt > r->key_cnt ? l->key_cnt : r->key_cnt;
    struct sim_node *node = add_node(pen, op, left, right);
    draw_span(pen, node);
    double span_cnt = op == SIM_COGROUP ? window_cnt(node) : (double)SIM_SPAN_MS / SIM_BUCKET_MS;
    double most = op == SIM_RULES ? l->key_cnt : span_cnt * key_cnt;
    struct sim_stream stream = {.is_late = op == SIM_RULES,
        .is_stale = op == SIM_RULES,
        .key_cnt = op == SIM_RULES ? l->key_cnt : key_cnt,
        .row_cnt = l->row_cnt + r->row_cnt < most ? l->row_cnt + r->row_cnt : most,
        .heat = 1.0 / key_cnt};
    (void)add_stream(pen, node, 0, &stream);
}

static void
draw_union(struct pen *pen, uint32_t left, uint32_t right)
{
    const struct sim_stream *l = &pen->draw->stream[left];
    const struct sim_stream *r = &pen->draw->stream[right];
    const struct sim_stream stream = {
        .key_cnt = l->key_cnt > r->key_cnt ? l->key_cnt : r->key_cnt,
        .thin_level = l->thin_level > r->thin_level ? l->thin_level : r->thin_level,
        .row_cnt = l->row_cnt + r->row_cnt,
        .heat = l->heat > r->heat ? l->heat : r->heat,
    };
    struct sim_node *node = add_node(pen, SIM_UNION, left, right);
    (void)add_stream(pen, node, 0, &stream);
}

/* A stream for op to read: rather one that nobody reads yet. SIM_NO_STREAM: none will do. */
static uint32_t
choose(struct pen *pen, enum sim_op op, uint32_t but)
{
    bool ordered = op == SIM_REDUCE || op == SIM_PROCESS;
    bool is_window = op >= SIM_WINDOW_SUM && op <= SIM_WINDOW_MOST;
    bool asks = op == SIM_ASK || op == SIM_ASK_ANY; /* late rows may be on time behind a restore */
    bool is_folded = op >= SIM_GROUP && op <= SIM_BEST;
    bool on_time = asks || (op > SIM_FLATMAP && !ordered && !is_window && !is_folded);
    const struct sim_draw *draw = pen->draw;
    uint32_t found = SIM_NO_STREAM;
    uint64_t best = 0;
    for (uint32_t i = 0; i < draw->stream_cnt; i++) {
        const struct sim_stream *stream = &draw->stream[i];
        uint64_t rank = 1 + below(pen, 1000) + (stream->is_used ? 0 : 700);
        bool fits = (!ordered || stream->is_ordered) && (!on_time || !stream->is_late) &&
                    (!is_window || !stream->is_stale) && i != but &&
                    stream->row_cnt < SINK_ROW_CNT_MAX;
        if (fits && rank > best) {
            found = i;
            best = rank;
        }
    }
    return found;
}

static void
draw_node(struct pen *pen)
{
    enum sim_op op = SIM_MAP + (enum sim_op)below(pen, SIM_SINK - SIM_MAP);
    bool ordered = op == SIM_REDUCE || op == SIM_PROCESS;
    bool has_two = op == SIM_UNION || op >= SIM_JOIN;
    bool is_beside = op >= SIM_COGROUP && op <= SIM_RULES;
    uint32_t left = choose(pen, op, SIM_NO_STREAM);
    uint32_t right = has_two && left != SIM_NO_STREAM ? choose(pen, op, left) : left;
    if (left == SIM_NO_STREAM || right == SIM_NO_STREAM) {
        return;
    }
    if (op == SIM_UNION) {
        draw_union(pen, left, right);
    } else if (is_beside) {
        draw_beside(pen, op, left, right);
    } else if (op >= SIM_JOIN) {
        draw_join(pen, op, left, right);
    } else if (op <= SIM_FLATMAP) {
        (void)draw_row_op(pen, op, left, true);
    } else if (op <= SIM_TOP) {
        draw_window(pen, op, left);
    } else if (ordered) {
        draw_ordered(pen, op, left);
    } else if (op >= SIM_GROUP && op <= SIM_BEST) {
        draw_folded(pen, op, left);
    } else {
        draw_timed(pen, op, left);
    }
}

static void
draw_sinks(struct pen *pen)
{
    struct sim_draw *draw = pen->draw;
    for (uint32_t i = 0; i < draw->stream_cnt; i++) {
        uint32_t in = i;
        if (draw->stream[i].is_used) {
            continue;
        }
        bool is_log = chance(pen, 20);
        double most = is_log ? LOG_ROW_CNT_MAX : SINK_ROW_CNT_MAX / 3;
        while (draw->stream[in].row_cnt > most && draw->node_cnt < SIM_NODE_CNT_MAX - 8) {
            in = draw_row_op(pen, SIM_THIN, in, false);
        }
        struct sim_node *node = add_node(pen, SIM_SINK, in, SIM_NO_STREAM);
        node->is_file = chance(pen, 30);
        node->is_log = is_log;
        node->is_upsert = is_log && chance(pen, 50);
        draw->sink_cnt++;
    }
}

void
sim_draw(uint64_t seed, uint64_t row_cnt, struct sim_draw *ret_draw)
{
    struct pen pen = {.draw = ret_draw};
    memset(ret_draw, 0, sizeof *ret_draw);
    weir_rng_init(&pen.rng, seed);
    ret_draw->seed = seed;
    ret_draw->run_ns = (int64_t)(40 + below(&pen, 80)) * WEIR_MS;
    ret_draw->rescales = chance(&pen, 60);
    ret_draw->max_parallelism = SIM_PARALLELISM_MAX + (uint32_t)below(&pen, 124);
    ret_draw->source_cnt = 1 + (uint32_t)below(&pen, SIM_SOURCE_CNT_MAX);
    for (uint32_t i = 0; i < ret_draw->source_cnt; i++) {
        draw_source(&pen, i, row_cnt / ret_draw->source_cnt + 1);
    }
    draw_alignment(&pen);
    draw_begins(&pen);
    for (uint64_t left = 2 + below(&pen, 6); left > 0; left--) {
        draw_node(&pen);
    }
    draw_sinks(&pen);
}

void
sim_draw_sizes(const struct sim_draw *draw, struct weir_rng *rng, struct sim_sizes *ret_sizes)
{
    static const uint32_t batches[] = {64, 128, 1024, 4096};
    static const uint32_t slots[] = {8, 16, 64};
    static const uint32_t buffers[] = {4096, 8192, 32768};
    static const uint32_t exclusives[] = {1, 2, 4};
    static const uint32_t floating[] = {1, 8};
    memset(ret_sizes, 0, sizeof *ret_sizes);
    ret_sizes->parallelism = 1 + (uint32_t)weir_rng_below(rng, SIM_PARALLELISM_MAX);
    ret_sizes->cuts_all = weir_rng_chance(rng, 1, 2) && !draw->is_aligned;
    ret_sizes->batch_rows = batches[weir_rng_below(rng, WEIR_ARRAY_CNT(batches))];
    ret_sizes->ring_slot_cnt = slots[weir_rng_below(rng, WEIR_ARRAY_CNT(slots))];
    ret_sizes->buffer_bytes = buffers[weir_rng_below(rng, WEIR_ARRAY_CNT(buffers))];
    ret_sizes->exclusive_cnt = exclusives[weir_rng_below(rng, WEIR_ARRAY_CNT(exclusives))];
    ret_sizes->floating_cnt = floating[weir_rng_below(rng, WEIR_ARRAY_CNT(floating))];
    for (uint32_t i = 0; i < draw->node_cnt; i++) {
        const struct sim_node *node = &draw->node[i];
        bool may = node->partitioner != WEIR_PARTITION_FORWARD || node->op >= SIM_WINDOW_SUM;
        uint32_t own = 1 + (uint32_t)weir_rng_below(rng, SIM_PARALLELISM_MAX);
        if (may && node->op != SIM_SINK && weir_rng_chance(rng, 1, 4)) {
            ret_sizes->node_parallelism[i] = own;
        }
    }
}
