/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/build.h"

#include <stdio.h>
#include <string.h>

#include "apps/sim/ask.h"
#include "apps/sim/bucket.h"
#include "apps/sim/loop.h"
#include "apps/sim/meet.h"
#include "apps/sim/schema.h"
#include "dataplane/operators/file_sink.h"
#include "dataplane/operators/watermark.h"
#include "sched/weir.h"

#define NAME_BYTES 32

/* ---- what the nodes do ---- */

static inline uint64_t
mixed(const struct cell *in)
{
    return weir_rng_mix((uint64_t)(in->tag * 31 + in->value * 7 + in->key));
}

WEIR_MAP(change, cell, cell)
{
    *out = *in;
    out->value = (in->value * 3 + 1) % 100003;
}

WEIR_MAP(rekey, cell, cell)
{
    *out = *in;
    out->key = (int64_t)((uint64_t)(in->key * 31 + in->value) % 61);
}

WEIR_FILTER(most_of, cell)
{
    return (mixed(in) & 3) != 0;
}

/* One of eight rows, by other bits of it each time that a stream is thinned. */
#define THIN(level)                                     \
    WEIR_FILTER(thin##level, cell)                      \
    {                                                   \
        return (mixed(in) >> (8 + 3 * level) & 7) == 0; \
    }
THIN(0)
THIN(1)
THIN(2)
THIN(3)
THIN(4)
THIN(5)
static const struct weir_function *const thins[] = {
    &thin0_op, &thin1_op, &thin2_op, &thin3_op, &thin4_op, &thin5_op};
WEIR_STATIC_ASSERT(WEIR_ARRAY_CNT(thins) == SIM_THIN_LEVEL_CNT, "one for each level");

struct copies {
    int64_t done;
};

WEIR_FLATMAP(fan, cell, cell, struct copies)
{
    struct weir_slice text = weir_str_slice(&in->text, heap);
    int64_t cnt = (int64_t)((uint64_t)in->value % 3);
    for (; pos->done < cnt; pos->done++) {
        if (!weir_out_room(out, 1, text.bytes)) {
            return WEIR_AGAIN;
        }
        struct cell *row = cell_emit(out);
        *row = *in;
        row->value = in->value + pos->done;
        row->tag = in->tag + pos->done;
        weir_str_set_bytes(out, &row->text, text.ptr, text.bytes);
    }
    return WEIR_DONE;
}

WEIR_FILTER(is_even, cell)
{
    return in->at % 2 == 0;
}

#define SIM_COUNTED(F) F(i64, key) F(i64, score) F(ts, window_end) F(time, at)
WEIR_SCHEMA(counted, SIM_COUNTED)

WEIR_MAP(of_counted, counted, cell)
{
    memset(out, 0, sizeof *out);
    out->key = in->key;
    out->value = in->score;
    out->tag = in->window_end;
    out->at = in->at;
}

struct xored {
    int64_t sum;
    int64_t tags;
};
static inline void
xored_init(struct xored *acc)
{
    *acc = (struct xored){0, 0};
}
static inline void
xored_add(struct xored *acc, const struct cell *in, const char *heap)
{
    (void)heap;
    acc->sum += in->value;
    acc->tags ^= in->tag;
}
static inline void
xored_merge(struct xored *acc, const struct xored *from)
{
    acc->sum += from->sum;
    acc->tags ^= from->tags;
}
static inline void
xored_subtract(struct xored *acc, const struct xored *from)
{
    acc->sum -= from->sum;
    acc->tags ^= from->tags;
}
static inline void
xored_result(const struct xored *acc, struct cell *out)
{
    out->value = acc->sum;
    out->tag = acc->tags;
    out->text = weir_str_inline("", 0);
}
WEIR_AGGREGATE_INVERTIBLE(xored, cell, struct xored, cell)

struct extreme {
    int64_t most;
    int64_t least_tag;
};
static inline void
extreme_init(struct extreme *acc)
{
    *acc = (struct extreme){INT64_MIN, INT64_MAX};
}
static inline void
extreme_add(struct extreme *acc, const struct cell *in, const char *heap)
{
    (void)heap;
    acc->most = weir_max_i64(acc->most, in->value);
    acc->least_tag = weir_min_i64(acc->least_tag, in->tag);
}
static inline void
extreme_merge(struct extreme *acc, const struct extreme *from)
{
    acc->most = weir_max_i64(acc->most, from->most);
    acc->least_tag = weir_min_i64(acc->least_tag, from->least_tag);
}
static inline void
extreme_result(const struct extreme *acc, struct cell *out)
{
    out->value = acc->most;
    out->tag = acc->least_tag;
    out->text = weir_str_inline("", 0);
}
WEIR_AGGREGATE(extreme, cell, struct extreme, cell)

/* What depends on the order: the sum so far, and the last row's tag. */
struct rolled {
    int64_t sum;
    int64_t tag;
    int64_t at;
};
static inline void
rolled_init(struct rolled *acc)
{
    *acc = (struct rolled){0, 0, 0};
}
static inline void
rolled_add(struct rolled *acc, const struct cell *in, const char *heap)
{
    (void)heap;
    acc->sum = (acc->sum * 5 + in->value) % 1000003;
    acc->tag = in->tag;
    acc->at = in->at;
}
static inline void
rolled_merge(struct rolled *acc, const struct rolled *from)
{
    (void)from;
    (void)acc;
}
static inline void
rolled_result(const struct rolled *acc, struct cell *out)
{
    out->value = acc->sum;
    out->tag = acc->tag;
    out->at = acc->at;
    out->text = weir_str_inline("", 0);
}
WEIR_AGGREGATE(rolled, cell, struct rolled, cell)

struct third {
    int64_t cnt;
};

WEIR_PROCESS(third, cell, struct third, cell)
{
    struct weir_slice text = weir_str_slice(&in->text, heap);
    if (!weir_out_room(p->out, 1, text.bytes) || !weir_out_room(p->side, 1, text.bytes)) {
        return WEIR_AGAIN;
    }
    state->cnt++;
    if (state->cnt % 3 == 0) {
        struct cell *row = cell_emit(p->out);
        *row = *in;
        row->value = state->cnt;
        weir_str_set_bytes(p->out, &row->text, text.ptr, text.bytes);
    }
    if (in->value % 5 == 0) {
        struct cell *row = cell_emit(p->side);
        *row = *in;
        weir_str_set_bytes(p->side, &row->text, text.ptr, text.bytes);
    }
    return WEIR_DONE;
}

struct rings {
    int64_t set_cnt;
    int64_t rung; /* the last timer of the key */
};

WEIR_PROCESS_TIMED(ring, cell, struct rings, cell)
{
    int err = sim_check_on_time(p, in);
    if (err != 0) {
        return err;
    }
    state->set_cnt++;
    return weir_process_timer_set(p, sim_bucket_end(in->at), 0);
}
WEIR_ON_TIMER(ring, struct rings)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct cell *row = cell_emit(p->out);
    memset(row, 0, sizeof *row);
    row->key = weir_process_key(p, 0);
    row->value = time % 1000;
    row->at = time;
    int err = sim_check_timer(p, time, &state->rung);
    return err != 0             ? err
           : state->set_cnt > 0 ? WEIR_DONE
                                : weir_err_push(WEIR_EBUG, "invariant T2: a timer of a "
                                                           "key without state");
}

static const struct weir_kind bucket_kinds[] = {
    WEIR_KIND_MAP("sums", sizeof(int64_t), sizeof(int64_t), WEIR_NO_TTL),
};

struct buckets {
    int64_t cnt;
    int64_t rung;
};

WEIR_PROCESS_TIMED_KINDS(bucket, cell, struct buckets, cell, bucket_kinds)
{
    struct weir_keyed_state *sums = weir_process_state(p, 0);
    int64_t end = sim_bucket_end(in->at);
    int late = sim_check_on_time(p, in);
    if (late != 0) {
        return late;
    }
    uint32_t bytes;
    const int64_t *old = (const int64_t *)weir_map_get(sums, WEIR_BYTES(&end), &bytes);
    int64_t sum = in->value + (old != NULL ? *old : 0);
    int err = weir_map_put(sums, WEIR_BYTES(&end), WEIR_BYTES(&sum));
    state->cnt++;
    return err != 0 ? err : weir_process_timer_set(p, end, 0);
}
WEIR_ON_TIMER(bucket, struct buckets)
{
    struct weir_keyed_state *sums = weir_process_state(p, 0);
    uint32_t bytes;
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    const int64_t *sum = (const int64_t *)weir_map_get(sums, WEIR_BYTES(&time), &bytes);
    if (sum == NULL || state->cnt == 0) {
        return weir_err_push(WEIR_EBUG, "invariant T2: a timer without its state");
    }
    struct cell *row = cell_emit(p->out);
    memset(row, 0, sizeof *row);
    row->key = weir_process_key(p, 0);
    row->value = *sum;
    row->at = time;
    (void)weir_map_remove(sums, WEIR_BYTES(&time));
    return sim_check_timer(p, time, &state->rung);
}

/* Rows of a key wait as a sum for a timer in processing time; what is left at the end, for one
 * behind all event times. */
struct clocked {
    int64_t cnt;
    int64_t sum;
    int64_t armed; /* 0: no timer is set */
    int64_t looked; /* behind its time: when the last row came, and so long they came */
    int64_t late_ms;
};
#define CLOCK_END_MS (INT64_MAX / 4)

static inline int
tell_clocked(struct weir_process *p, struct clocked *state)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct cell *row = cell_emit(p->out);
    memset(row, 0, sizeof *row);
    row->key = weir_process_key(p, 0);
    row->value = state->sum;
    row->tag = state->cnt;
    state->sum = 0;
    state->cnt = 0;
    return WEIR_DONE;
}

/* One that waits while rows of its key go on coming is lost. Time in which none came counts little:
 * the task may have been held up, or the job was not there. */
static inline int
check_clock(struct weir_process *p, struct clocked *state)
{
    int64_t now_ms = weir_process_now_ms(p);
    if (state->armed == 0 || now_ms <= state->armed) {
        return 0;
    }
    if (state->looked != 0) {
        state->late_ms += weir_min_i64(now_ms - state->looked, SIM_CLOCK_STEP_MS);
    }
    state->looked = now_ms;
    return state->late_ms <= SIM_CLOCK_LATE_MS
               ? 0
               : weir_err_push(WEIR_EBUG,
                     "invariant T3: a timer in processing time of key %lld is %lld ms late",
                     (long long)weir_process_key(p, 0), (long long)(now_ms - state->armed));
}

WEIR_PROCESS_TIMED_CLOCKED(clocked, cell, struct clocked, cell)
{
    int err = check_clock(p, state);
    if (err == 0 && state->armed == 0) {
        state->armed = weir_process_now_ms(p) + 1 + in->value % 3;
        err = weir_process_clock_set(p, state->armed, 0);
    }
    state->cnt++;
    state->sum += in->value;
    return err != 0 ? err : weir_process_timer_set(p, CLOCK_END_MS, 0);
}
WEIR_ON_CLOCK(clocked, struct clocked)
{
    if (time != state->armed || time > weir_process_now_ms(p)) {
        return weir_err_push(WEIR_EBUG,
            "invariant T3: a timer for %lld ms fires at %lld, and the one of its key is for %lld",
            (long long)time, (long long)weir_process_now_ms(p), (long long)state->armed);
    }
    int step = tell_clocked(p, state);
    if (step == WEIR_DONE) {
        state->armed = 0;
        state->looked = 0;
        state->late_ms = 0;
    }
    return step;
}
WEIR_ON_TIMER(clocked, struct clocked)
{
    return tell_clocked(p, state);
}

/* ---- tables that change ---- */

/* Of sums of some of the rows of a key. */
static const struct weir_group_conf retallied_conf = {
    .column = {{WEIR_GROUP_SUM, "cnt", "tag", NULL, 0, 0},
        {WEIR_GROUP_SUM, "sum", "value", NULL, 0, 0}},
    .column_cnt = 2,
};

#define SIM_GROUPED(F) F(i64, key) F(i64, cnt) F(i64, sum) F(i64, tags) F(i64, odd) F(ts, latest)
WEIR_SCHEMA(grouped, SIM_GROUPED)

WEIR_MAP(of_grouped, grouped, cell)
{
    memset(out, 0, sizeof *out);
    out->key = in->key;
    out->value = in->sum % 100003 * 31 + in->cnt;
    out->tag = in->tags * 4096 + in->odd;
    out->at = in->latest;
}

static const struct weir_group_conf grouped_conf = {
    .column = {{WEIR_GROUP_COUNT, "cnt", NULL, NULL, 0, 0},
        {WEIR_GROUP_SUM, "sum", "value", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "tags", "tag", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "odd", "value", "value", 0, SIM_BEST_KEY_CNT},
        {WEIR_GROUP_MAX, "latest", "at", NULL, 0, 0}},
    .column_cnt = 5,
};

WEIR_MAP(to_few, cell, cell)
{
    *out = *in;
    out->key = (int64_t)((uint64_t)in->key % SIM_BEST_KEY_CNT);
    out->tag = 0;
}

#define SIM_SUMMED(F) F(i64, key) F(i64, cnt) F(i64, sum) F(i64, least) F(i64, values)
WEIR_SCHEMA(summed, SIM_SUMMED)

WEIR_MAP(of_summed, summed, cell)
{
    memset(out, 0, sizeof *out);
    out->key = in->key;
    out->value = in->sum % 100003 * 31 + in->cnt;
    out->tag = in->least * 4096 + in->values;
}

/* Of changes: each is taken back by what the next one of its key brings. */
static const struct weir_group_conf summed_conf = {
    .column = {{WEIR_GROUP_COUNT, "cnt", NULL, NULL, 0, 0},
        {WEIR_GROUP_SUM, "sum", "value", NULL, 0, 0},
        {WEIR_GROUP_MIN, "least", "value", NULL, 0, 0},
        {WEIR_GROUP_DISTINCT, "values", "value", NULL, 0, 0}},
    .column_cnt = 4,
};

/* ---- the graph ---- */

struct builder {
    const struct sim_draw *draw;
    const struct sim_sizes *sizes;
    struct sim_gate *gate;
    struct weir_env *env;
    struct weir_stream *stream[SIM_STREAM_CNT_MAX];
    uint32_t parallelism[SIM_STREAM_CNT_MAX];
};

void
sim_sink_path(const struct sim_draw *draw, uint32_t node, char ret_path[SIM_PATH_BYTES_MAX])
{
    (void)snprintf(ret_path, SIM_PATH_BYTES_MAX, SIM_OUT_DIR "/%u%s", node,
        draw->node[node].is_file ? ".csv" : "/");
}

static struct weir_stream *
build_row_op(const struct sim_node *node, struct weir_stream *s, const char *name)
{
    if (node->partitioner != WEIR_PARTITION_FORWARD) {
        s = weir_partition(s, node->partitioner);
    }
    switch (node->op) {
    case SIM_MAP:
        return weir_map(s, name, &change_op);
    case SIM_REKEY:
        return weir_map(s, name, &rekey_op);
    case SIM_FILTER:
        return weir_filter(s, name, &most_of_op);
    case SIM_THIN:
        return weir_filter(s, name, thins[node->thin_level]);
    case SIM_LOOKUP:
        return sim_lookup(s, name);
    case SIM_ASK:
    case SIM_ASK_ANY:
        return sim_ask(s, name, node->op == SIM_ASK_ANY);
    default:
        return weir_flatmap(s, name, &fan_op);
    }
}

/* "n3-window_sum-top": the uid of what the node becomes, the same in every start. */
static const char *
name_of(struct builder *b, uint32_t node, const char *more)
{
    char *name = weir_env_alloc(b->env, NAME_BYTES);
    (void)snprintf(name, NAME_BYTES, "n%u-%s%s", node, sim_op_name(b->draw->node[node].op), more);
    return name;
}

/* The input of an operation of single rows, behind the loop before it, of *subtask_cnt. */
static struct weir_stream *
build_loop(struct builder *b, uint32_t idx, uint32_t *subtask_cnt)
{
    const struct sim_node *node = &b->draw->node[idx];
    struct weir_stream *in = b->stream[node->in[0]];
    uint32_t head_cnt = *subtask_cnt;
    if (node->loop == SIM_LOOP_NONE) {
        return in;
    }
    *subtask_cnt = node->loop_deals ? b->sizes->parallelism : head_cnt;
    return sim_loop(node, in, name_of(b, idx, "-loop"), head_cnt, *subtask_cnt);
}

/* The keyed stream of an input, and the node's own parallelism behind it. */
static struct weir_stream *
by_key(struct builder *b, const struct sim_node *node, uint32_t input)
{
    return weir_key_by(b->stream[node->in[input]], WEIR_KEY(cell, key));
}

/* The windows of a node that has each key's own. */
static struct weir_stream *
build_general(struct builder *b, uint32_t idx, const struct weir_aggregate *aggregate,
    const struct weir_schema *schema)
{
    const struct sim_node *node = &b->draw->node[idx];
    const struct weir_general_conf conf = {
        .span = node->is_session ? WEIR_SESSIONS(node->size_ms)
                                 : WEIR_SLIDES(node->size_ms, node->slide_ms),
        .aggregate = *aggregate,
        .lateness_ms = node->lateness_ms,
        .evictor = {.kind = node->evict_ms > 0 ? WEIR_EVICTOR_TIME : WEIR_EVICTOR_NONE,
            .keep = node->evict_ms},
    };
    struct weir_stream *in = b->stream[node->in[0]];
    if (node->is_session) {
        in = weir_filter(in, name_of(b, idx, "-even"), &is_even_op);
        in = weir_parallelism(in, b->parallelism[node->in[0]]);
    }
    in = weir_key_by(in, WEIR_KEY(cell, key));
    return weir_window_general(in, name_of(b, idx, ""), &conf, schema);
}

static struct weir_stream *
build_window(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    struct weir_window_conf conf = {.span = WEIR_SLIDE(node->size_ms, node->slide_ms)};
    bool is_own = node->op == SIM_WINDOW_XOR || node->op == SIM_WINDOW_MOST;
    conf.aggregate = node->op == SIM_WINDOW_XOR    ? xored_agg
                     : node->op == SIM_WINDOW_MOST ? extreme_agg
                     : node->op == SIM_WINDOW_SUM  ? weir_aggregate_sum("value")
                                                   : weir_aggregate_count();
    const struct weir_schema *schema = is_own ? cell_schema() : counted_schema();
    struct weir_stream *s =
        node->is_general || node->is_session
            ? build_general(b, idx, &conf.aggregate, schema)
            : weir_window(by_key(b, node, 0), name_of(b, idx, ""), &conf, schema);
    uint32_t parallelism = b->sizes->node_parallelism[idx];
    parallelism = parallelism != 0 ? parallelism : b->sizes->parallelism;
    s = weir_parallelism(s, parallelism);
    if (node->out[1] != SIM_NO_STREAM) {
        b->stream[node->out[1]] = weir_side(s, 1);
        b->parallelism[node->out[1]] = parallelism;
    }
    if (node->op == SIM_TOP) {
        const struct weir_top_conf top = {.by_field = "score", .cnt = node->top_cnt, .ties = true};
        s = weir_top(s, name_of(b, idx, "-top"), &top);
        parallelism = 1;
    }
    if (!is_own) {
        s = weir_parallelism(weir_map(s, name_of(b, idx, "-cell"), &of_counted_op), parallelism);
    }
    b->parallelism[node->out[0]] = parallelism;
    return s;
}

static struct weir_stream *
build_folded(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    struct weir_stream *s = by_key(b, node, 0);
    if (node->op == SIM_BEST) {
        const struct weir_ranking_conf best = {.by = {{"value", true}}, .cnt = node->top_cnt};
        s = weir_rank(s, name_of(b, idx, "-rank"), &best, cell_schema());
        s = weir_map(s, name_of(b, idx, "-few"), &to_few_op);
        s = weir_key_by(s, WEIR_KEY(cell, key));
        s = weir_group(s, name_of(b, idx, "-group"), &summed_conf, summed_schema());
        s = weir_map(s, name_of(b, idx, "-cell"), &of_summed_op);
    } else if (node->op == SIM_CLOCK) {
        s = weir_process(s, name_of(b, idx, "-clock"), &clocked_process, NULL);
        s = weir_key_by(s, WEIR_KEY(cell, key));
        s = weir_group(s, name_of(b, idx, "-group"), &retallied_conf, tallied_schema());
        s = weir_map(s, name_of(b, idx, "-cell"), &of_tallied_op);
    } else {
        s = weir_group(s, name_of(b, idx, "-group"), &grouped_conf, grouped_schema());
        s = weir_map(s, name_of(b, idx, "-cell"), &of_grouped_op);
    }
    s = weir_key_by(s, WEIR_KEY(cell, key));
    return weir_fold(
        s, name_of(b, idx, ""), node->top_cnt % 2 == 0 ? WEIR_FOLD_ROWS : WEIR_FOLD_UPSERT);
}

static struct weir_stream *
build_keyed(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    const char *name = name_of(b, idx, "");
    if (node->op == SIM_REDUCE) {
        const struct weir_reduce_conf conf = {.aggregate = rolled_agg};
        return weir_reduce(by_key(b, node, 0), name, &conf, cell_schema());
    }
    if (node->op >= SIM_GROUP && node->op <= SIM_BEST) {
        return build_folded(b, idx);
    }
    if (node->is_table) {
        const struct sim_table_names names = {{name_of(b, idx, "-left"), name_of(b, idx, "-right")},
            {name_of(b, idx, "-left-cell"), name_of(b, idx, "-right-cell")},
            {name_of(b, idx, "-left-few"), name_of(b, idx, "-right-few")}, name,
            name_of(b, idx, "-fold")};
        return sim_meet_tables(node, b->stream[node->in[0]], b->stream[node->in[1]], &names);
    }
    if (node->op >= SIM_JOIN) {
        return sim_meet(node, b->stream[node->in[0]], b->stream[node->in[1]], name);
    }
    const struct weir_process_function *function = node->op == SIM_PROCESS ? &third_process
                                                   : node->op == SIM_TIMED ? &ring_process
                                                                           : &bucket_process;
    return weir_process(by_key(b, node, 0), name, function, NULL);
}

/* What a table of counts and sums goes through. */
static struct weir_stream *
build_log(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    struct weir_stream *s =
        sim_tally(by_key(b, node, 0), name_of(b, idx, "-group"), name_of(b, idx, "-cell"));
    return weir_changelog(
        s, name_of(b, idx, "-log"), node->is_upsert ? WEIR_CHANGELOG_UPSERT : WEIR_CHANGELOG_ALL);
}

static void
build_sink(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    char *path = weir_env_alloc(b->env, SIM_PATH_BYTES_MAX);
    sim_sink_path(b->draw, idx, path);
    const struct weir_file_sink_conf file = {
        .path = path, .format = WEIR_FORMAT_CSV, .run_id = 1, .write_bytes = 64 * WEIR_KIB};
    const struct weir_operator_conf conf = {
        .name = name_of(b, idx, ""),
        .type = &weir_file_sink_type,
        .conf = &file,
        .conf_bytes = sizeof file,
        .parallelism = node->is_file ? 1 : 0,
    };
    struct weir_stream *s = node->is_log ? build_log(b, idx) : b->stream[node->in[0]];
    (void)weir_operator(&s, 1, &conf);
}

/* Behind a source that waits for others. */
static struct weir_stream *
align(struct builder *b, uint32_t idx, struct weir_stream *s)
{
    const struct sim_source *source = &b->draw->source[b->draw->node[idx].source];
    const struct weir_watermark_conf conf = {
        .lag_ms = source->lag_ms, .group = SIM_GROUP_NAME, .drift_ms = source->drift_ms};
    return source->lag_ms == 0 ? s : weir_watermarks_by(s, name_of(b, idx, "-marks"), &conf);
}

static void
build_node(struct builder *b, uint32_t idx)
{
    const struct sim_node *node = &b->draw->node[idx];
    uint32_t own = b->sizes->node_parallelism[idx];
    struct weir_stream *s = NULL;
    uint32_t parallelism = own != 0 ? own : b->sizes->parallelism;
    if (node->op == SIM_SOURCE) {
        const struct sim_source_conf conf = {&b->draw->source[node->source], b->gate};
        const struct weir_operator_type *type =
            conf.source->begin_ns > 0 ? &sim_begin_type : &sim_source_type;
        s = weir_source(b->env, name_of(b, idx, ""), cell_schema(), type, &conf, sizeof conf);
        parallelism = b->sizes->parallelism;
        s = align(b, idx, s);
    } else if (node->op <= SIM_FLATMAP) {
        uint32_t before = b->parallelism[node->in[0]];
        s = build_loop(b, idx, &before);
        s = build_row_op(node, s, name_of(b, idx, ""));
        /* Nothing overtakes on the way forward, which needs as many subtasks as before. */
        parallelism = node->partitioner == WEIR_PARTITION_FORWARD ? before : parallelism;
    } else if (node->op == SIM_UNION) {
        b->stream[node->out[0]] = weir_union(b->stream[node->in[0]], b->stream[node->in[1]]);
        b->parallelism[node->out[0]] = b->parallelism[node->in[0]];
        return;
    } else if (node->op <= SIM_TOP) {
        b->stream[node->out[0]] = build_window(b, idx);
        return;
    } else if (node->op == SIM_SINK) {
        build_sink(b, idx);
        return;
    } else {
        s = build_keyed(b, idx);
    }
    s = weir_parallelism(s, parallelism);
    b->stream[node->out[0]] = s;
    b->parallelism[node->out[0]] = parallelism;
    if (node->out[1] != SIM_NO_STREAM) {
        b->stream[node->out[1]] = weir_side(s, 1);
        b->parallelism[node->out[1]] = parallelism;
    }
}

int
sim_build(const struct sim_draw *draw, const struct sim_sizes *sizes, struct sim_gate *gate,
    struct weir_env *env)
{
    struct builder b = {.draw = draw, .sizes = sizes, .gate = gate, .env = env};
    weir_env_set_parallelism(env, sizes->parallelism);
    for (uint32_t i = 0; i < draw->node_cnt; i++) {
        build_node(&b, i);
    }
    return weir_env_check(env);
}
