/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of changes in whole jobs: the kind of a row travels with it through every operator that
 * passes rows, every edge and partitioner, checkpoints and restarts; and the graph refuses a stream
 * of changes where it would be taken for inserts. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "dataplane/operators/select.h"
#include "dataplane/operators/where.h"
#include "dataplane/row_hash.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph_node.h"
#include "sched/job.h"
#include "sched/job_checkpoint.h"
#include "sched/weir.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define SAID(F) F(i64, n) F(str, text) F(time, at)
WEIR_SCHEMA(said, SAID)
#define PLAIN(F) F(i64, n) F(i64, copy) F(str, text)
WEIR_SCHEMA(plain, PLAIN)

#define HOST "core:4 pu:1"
#define ROW_CNT 3000
#define COPY_CNT 2
#define SLICE_CNT 8 /* rows of a poll of the source */
#define TEXT "a text that does not lie in its row "

/* ---- changes of every kind, by number ---- */

static uint32_t
kind_of(int64_t n)
{
    return (uint32_t)weir_rng_mix((uint64_t)n) % 4;
}

static uint32_t
text_of(int64_t n, char *text)
{
    return (uint32_t)snprintf(text, 64, TEXT "%lld", (long long)n);
}

struct source {
    int64_t next;
};

static int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct source *self = op->self;
    (void)now_ns;
    for (uint32_t i = 0; i < SLICE_CNT && self->next < ROW_CNT && weir_out_room(out, 1, 64); i++) {
        char text[64];
        out->row_kind = kind_of(self->next);
        struct said *said = said_emit(out);
        said->n = self->next++;
        said->at = said->n * 10;
        weir_str_set_bytes(out, &said->text, text, text_of(said->n, text));
    }
    return self->next < ROW_CNT ? WEIR_AGAIN : WEIR_DONE;
}

static int
source_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_parts_begin(parts, "next", 1);
    weir_parts_put_u64(parts, (uint64_t)((struct source *)op->self)->next);
    weir_parts_end(parts);
    return 0;
}

static int
source_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct weir_part part;
    uint64_t next = 0;
    assert_int_equal(parts_cnt, 1);
    int err = weir_parts_find(&parts[0], "next", 1, &part);
    err = err < 0 ? err : weir_part_get_u64(&part, &next);
    ((struct source *)op->self)->next = (int64_t)next;
    return err;
}

static bool
source_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_operator_type source_type = {.name = "changes",
    .output_cnt = 1,
    .self_bytes = sizeof(struct source),
    .poll = source_poll,
    .snapshot = source_snapshot,
    .restore = source_restore,
    .replays = source_replays,
    .changes = WEIR_CHANGES_MADE};
static const struct weir_operator_type inserts_type = {
    .name = "inserts", .output_cnt = 1, .self_bytes = sizeof(struct source), .poll = source_poll};

WEIR_FILTER(not_third, said)
{
    return in->n % 3 != 0;
}

WEIR_MAP(to_plain, said, plain)
{
    out->n = in->n;
    out->copy = 0;
    out->text = in->text;
}

struct copies {
    int64_t cnt;
};
WEIR_FLATMAP(copies, plain, plain, struct copies)
{
    while (pos->cnt < COPY_CNT) {
        struct weir_slice text = weir_str_slice(&in->text, heap);
        if (!weir_out_room(out, 1, text.bytes)) {
            return WEIR_AGAIN;
        }
        struct plain *made = plain_emit(out);
        made->n = in->n;
        made->copy = pos->cnt++;
        weir_str_set_bytes(out, &made->text, text.ptr, text.bytes);
    }
    return WEIR_DONE;
}

/* ---- a sink that knows what is to come ---- */

struct seen {
    uint32_t cnt[ROW_CNT][COPY_CNT];
    uint64_t rows;
};
struct sink_conf {
    struct seen *seen;
    bool inserts; /* the rows are no changes any more */
};

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    const struct sink_conf *conf = op->conf;
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        struct plain row;
        char text[64];
        uint32_t idx = weir_view_row(in, i);
        if (in->stride != 0) {
            memcpy(&row, in->rows + (size_t)in->stride * idx, sizeof row);
        } else {
            plain_load(in->rows, in->cap, idx, &row);
        }
        struct weir_slice slice = weir_str_slice(&row.text, in->heap);
        assert_int_equal(slice.bytes, text_of(row.n, text));
        assert_memory_equal(slice.ptr, text, slice.bytes);
        assert_int_equal(
            weir_view_kind(in, idx), conf->inserts ? (uint32_t)WEIR_ROW_INSERT : kind_of(row.n));
        assert_true(row.n >= 0 && row.n < ROW_CNT && row.copy >= 0 && row.copy < COPY_CNT);
        conf->seen->cnt[row.n][row.copy]++;
        conf->seen->rows++;
    }
    return in->cnt - cursor;
}

static const struct weir_operator_type sink_type = {
    .name = "seen", .input_cnt = 1, .process = sink_process, .changes = WEIR_CHANGES_TAKEN};

/* ---- jobs ---- */

static void
by_number(const struct weir_view *in, uint32_t from, uint32_t cnt, uint32_t channel_cnt,
    uint16_t *ret_channel)
{
    (void)in;
    for (uint32_t i = 0; i < cnt; i++) {
        ret_channel[i] = (uint16_t)((from + i) % channel_cnt);
    }
}

static struct weir_stream *
dealt(struct weir_stream *s, enum weir_partitioner partitioner)
{
    switch (partitioner) {
    case WEIR_PARTITION_KEYED:
        return weir_key_by(s, weir_key_of(1, "n", NULL));
    case WEIR_PARTITION_CUSTOM:
        return weir_partition_custom(s, by_number);
    default:
        return weir_partition(s, partitioner);
    }
}

struct shape {
    enum weir_partitioner partitioner;
    uint32_t parallelism;
    enum weir_plan_cut cut;
    bool discards; /* a discard in the place of the sink that looks at each row */
    bool inserts;
};

/* Every operator that passes rows: each in the layout and by the means that it has. */
static struct weir_env *
build(const struct shape *shape, struct seen *seen)
{
    struct weir_env *env;
    const struct sink_conf sink = {seen, shape->inserts};
    const struct weir_select_conf select = {.from = {0, 1, 2}};
    const struct weir_where_conf where = {
        .term_cnt = 1, .term = {{.field_idx = 0, .test = WEIR_WHERE_GE, .number = 7}}};
    const struct weir_operator_conf selects = {.name = "select",
        .type = &weir_select_type,
        .conf = &select,
        .conf_bytes = sizeof select,
        .out_schema = {plain_schema()}};
    const struct weir_operator_conf wheres = {
        .name = "where", .type = &weir_where_type, .conf = &where, .conf_bytes = sizeof where};
    assert_int_equal(weir_env_new("job", &env), 0);
    weir_env_set_parallelism(env, shape->parallelism);
    struct weir_stream *s =
        weir_parallelism(weir_source(env, "changes", said_schema(),
                             shape->inserts ? &inserts_type : &source_type, NULL, 0),
            1);
    s = weir_map(weir_filter(s, "not_third", &not_third_op), "to_plain", &to_plain_op);
    s = dealt(s, shape->partitioner);
    s = weir_operator(&s, 1, &wheres);
    s = weir_flatmap(s, "copies", &copies_op);
    s = weir_watermarks(s, "times", 10); /* it looks at the times, which rows carry hidden */
    s = weir_operator(&s, 1, &selects);
    s = dealt(s, shape->partitioner == WEIR_PARTITION_BROADCAST ? WEIR_PARTITION_FORWARD
                                                                : shape->partitioner);
    if (shape->discards) {
        weir_sink_table(s, "out", "discard");
    } else {
        weir_sink(s, "out", &sink_type, &sink, sizeof sink);
    }
    assert_int_equal(weir_env_check(env), 0);
    return env;
}

struct start {
    struct weir_job *job;
    struct weir_sim *sim;
    uint64_t kill_at; /* the checkpoint behind which it is killed; 0: never */
};

static bool
look(void *arg, const struct weir_poller_seen *poll)
{
    struct start *start = arg;
    struct weir_job_checkpoint_view view;
    (void)poll;
    if (start->kill_at == 0) {
        return true;
    }
    weir_job_checkpoints(start->job, &view);
    return view.completed_cnt < start->kill_at;
}

/* Returns whether it came to its end. */
static bool
run(struct weir_env *env, struct start *start, const struct shape *shape, uint64_t seed)
{
    struct weir_topo *topo;
    struct weir_plan *plan;
    assert_int_equal(weir_topo_open_synthetic(HOST, &topo), 0);
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 256 * WEIR_MIB};
    const struct weir_plan_options options = {.cut = shape->cut};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &options, &plan), 0);
    const struct weir_job_world world = {.sim = start->sim,
        .start_ns = weir_sim_now_ns(start->sim),
        .seen_fn = look,
        .seen_arg = start};
    struct weir_job_options job_options = {.world = &world,
        .restore = {.from = WEIR_JOB_RESTORE_LATEST},
        .poller = WEIR_JOB_SEEDED,
        .seed = seed,
        .batch_rows = 64,
        .small_pages = true};
    job_options.checkpoints.dir = start->kill_at != 0 || shape->discards ? "/checkpoints" : NULL;
    job_options.checkpoints.retained = 1;
    job_options.checkpoints.throttle_max_ns = WEIR_SEC_NS;
    job_options.checkpoints.coordinator = (struct weir_coordinator_conf){.interval_ns = 5 * WEIR_US,
        .timeout_ns = WEIR_SEC_NS,
        .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
        .concurrent_max = 1,
        .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
        .is_after_finish = true};
    assert_int_equal(weir_job_new(env, plan, &job_options, &start->job), 0);
    int rc = weir_job_run(start->job);
    if (rc != 0 && (rc != WEIR_ECANCELED || start->kill_at == 0)) {
        weir_err_print(stderr, rc);
        fail_msg("seed %llu", (unsigned long long)seed);
    }
    weir_err_clear();
    if (rc != 0) {
        weir_sim_kill(start->sim);
    }
    weir_job_delete(start->job);
    weir_plan_close(plan);
    weir_topo_close(topo);
    return rc == 0;
}

static struct weir_sim *
new_world(uint64_t seed)
{
    const struct weir_sim_config config = {
        .seed = seed, .utc_ns = WEIR_SEC_NS, .latency_ns_max = WEIR_US};
    struct weir_sim *sim;
    assert_int_equal(weir_sim_open(&config, &sim), 0);
    return sim;
}

static bool
passes(int64_t n)
{
    return n % 3 != 0 && n >= 7;
}

static void
check_kinds(const struct shape *shape, uint64_t seed)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct start start = {.sim = new_world(seed)};
    assert_non_null(seen);
    struct weir_env *env = build(shape, seen);
    assert_true(run(env, &start, shape, seed));
    uint32_t each = shape->partitioner == WEIR_PARTITION_BROADCAST ? shape->parallelism : 1;
    for (int64_t n = 0; n < ROW_CNT; n++) {
        for (uint32_t c = 0; c < COPY_CNT; c++) {
            assert_int_equal(seen->cnt[n][c], passes(n) ? each : 0);
        }
    }
    weir_env_delete(env);
    weir_sim_close(start.sim);
    free(seen);
}

static void
t_kinds_travel_over_every_edge_and_partitioner(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t p = 0; p < WEIR_PARTITION_CNT; p++) {
        for (uint32_t parallelism = 1; parallelism <= 3; parallelism += 2) {
            for (uint32_t cut = 0; cut < 2; cut++) {
                const struct shape shape = {.partitioner = (enum weir_partitioner)p,
                    .parallelism = parallelism,
                    .cut = cut != 0 ? WEIR_PLAN_CUT_ALL : WEIR_PLAN_CUT_NONE};
                check_kinds(&shape, seed);
            }
        }
    }
}

/* The same job over inserts carries no kinds anywhere. */
static void
t_streams_of_inserts_carry_no_kinds(void **state)
{
    (void)state;
    const struct shape shape = {.partitioner = WEIR_PARTITION_KEYED,
        .parallelism = 2,
        .cut = WEIR_PLAN_CUT_ALL,
        .inserts = true};
    struct seen seen;
    struct weir_env *env = build(&shape, &seen);
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        assert_false(env->node[i].has_kind[0]);
        assert_false(env->node[i].takes_changes);
    }
    weir_env_delete(env);
}

/* ---- restarts: discard's sums are those of the table that changes leave ---- */

static void
expected_sums(uint64_t *ret_rows, uint64_t *ret_sum)
{
    *ret_rows = 0;
    *ret_sum = 0;
    for (int64_t n = 0; n < ROW_CNT; n++) {
        for (uint32_t c = 0; c < COPY_CNT && passes(n); c++) {
            char text[64];
            uint64_t sum = weir_row_add(0, 0, (uint64_t)n);
            sum = weir_row_add(sum, 1, c);
            uint32_t bytes = text_of(n, text);
            sum = weir_row_finish(weir_row_add(sum, 2, weir_row_text(text, bytes)));
            uint32_t kind = kind_of(n);
            bool goes = kind == WEIR_ROW_UPDATE_BEFORE || kind == WEIR_ROW_DELETE;
            *ret_rows += goes ? UINT64_MAX : 1;
            *ret_sum += goes ? 0 - sum : sum;
        }
    }
}

static void
t_kinds_come_through_kills_and_restarts(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint64_t want_rows;
    uint64_t want_sum;
    uint64_t killed_cnt = 0;
    expected_sums(&want_rows, &want_sum);
    for (uint32_t i = 0; i < 8; i++) {
        const struct shape shape = {
            .partitioner = i % 2 != 0 ? WEIR_PARTITION_KEYED : WEIR_PARTITION_SHUFFLE,
            .parallelism = 1 + i % 3,
            .cut = i % 4 < 2 ? WEIR_PLAN_CUT_ALL : WEIR_PLAN_CUT_NONE,
            .discards = true};
        struct start start = {.sim = new_world(seed + i)};
        for (uint64_t kill_at = 1;; kill_at++) {
            struct weir_env *env = build(&shape, NULL);
            start.kill_at = kill_at <= 2 ? kill_at : 0;
            bool ended = run(env, &start, &shape, seed + i);
            killed_cnt += !ended;
            if (ended) {
                uint64_t rows;
                uint64_t sum;
                weir_env_discarded(env, &rows, &sum);
                assert_int_equal(rows, want_rows);
                assert_int_equal(sum, want_sum);
            }
            weir_env_delete(env);
            if (ended) {
                break;
            }
        }
        weir_sim_close(start.sim);
    }
    assert_true(killed_cnt >= 8);
}

/* ---- what the graph refuses ---- */

static void
t_graph_refuses_changes_where_inserts_are_wanted(void **state)
{
    (void)state;
    const struct weir_operator_type plain_sink = {
        .name = "keeper", .input_cnt = 1, .process = sink_process};
    const struct weir_operator_type maker = {
        .name = "maker", .input_cnt = 1, .process = sink_process, .changes = WEIR_CHANGES_MADE};
    const struct weir_operator_type *const types[] = {&plain_sink, &maker};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(types); i++) {
        struct weir_env *env;
        char text[1024];
        assert_int_equal(weir_env_new("job", &env), 0);
        struct weir_stream *s = weir_source(env, "changes", said_schema(), &source_type, NULL, 0);
        struct weir_stream *inserts =
            weir_source(env, "inserts", said_schema(), &inserts_type, NULL, 0);
        s = weir_union(inserts, weir_filter(s, "not_third", &not_third_op));
        weir_sink(s, "out", types[i], NULL, 0);
        assert_int_equal(weir_env_check(env), WEIR_EGRAPH);
        weir_err_save(text, sizeof text);
        assert_non_null(strstr(text, "operator out"));
        assert_non_null(strstr(text, "not_third also emits updates and deletes"));
        assert_non_null(strstr(text, "discard"));
        weir_err_clear();
        weir_env_delete(env);
    }
}

/* What the calls of changes.h refuse: each names its operator. */
static void
expect_error(struct weir_env *env, const char *const *words)
{
    char text[1024];
    assert_int_equal(weir_env_check(env), WEIR_EGRAPH);
    weir_err_save(text, sizeof text);
    for (; *words != NULL; words++) {
        if (strstr(text, *words) == NULL) {
            fail_msg("'%s' is not in: %s", *words, text);
        }
    }
    weir_err_clear();
    weir_env_delete(env);
}
#define EXPECT_ERROR(env, ...) expect_error(env, (const char *const[]){__VA_ARGS__, NULL})

#define LOGGED(F) F(str, op) F(i64, n)
WEIR_SCHEMA(logged, LOGGED)

static void
t_graph_refuses_changes_without_a_key_and_what_their_operators_refuse(void **state)
{
    (void)state;
    const struct weir_group_conf group = {
        .column = {{WEIR_GROUP_SUM, "n", "text", NULL, 0, 0}}, .column_cnt = 1};
    const struct weir_ranking_conf ranking = {.by = {{"n", true}}};
    const struct weir_rolling_conf rolling = {.by = {{"n", true}}, .as = "none"};
    for (uint32_t i = 0; i < 8; i++) {
        struct weir_env *env;
        assert_int_equal(weir_env_new("job", &env), 0);
        struct weir_stream *s = weir_source(env, "changes", said_schema(), &source_type, NULL, 0);
        assert_true(weir_stream_changes(s));
        s = i % 2 == 1 ? weir_key_by(s, WEIR_KEY(said, n)) : s;
        switch (i / 2) {
        case 0:
            (void)weir_group(s, "made", &group, said_schema());
            break;
        case 1:
            (void)weir_rank(s, "made", &ranking, said_schema());
            break;
        case 2:
            (void)weir_rolling(s, "made", &rolling, said_schema());
            break;
        default:
            s = weir_source(env, "logged", logged_schema(), &inserts_type, NULL, 0);
            s = i % 2 == 0 ? weir_fold(s, "made", WEIR_FOLD_ROWS)
                           : weir_changelog(s, "made", WEIR_CHANGELOG_ALL);
            break;
        }
        static const char *const why[] = {"has no key", "it must be a number", "has no key",
            "the first 0 rows", "has no key", "must have one field", "has no key",
            "has no place for a field op"};
        EXPECT_ERROR(env, "operator made", why[i]);
    }
}

/* Joins of tables: their keys, and what they are. */
WEIR_JOIN(twice, said, said, said)
{
    *row = left != NULL ? *left : *right;
    return true;
}

static void
t_graph_joins_changes_where_that_can_be(void **state)
{
    (void)state;
    const struct weir_join_conf table = {.join = &twice_join, .semi = true, .anti = true};
    const struct weir_join_conf ttl = {.join = &twice_join, .ttl_ms = -1};
    const struct weir_join_conf anti = {
        .join = &twice_join, .anti = true, .span = WEIR_TUMBLE(10), .ttl_ms = 5};
    const struct weir_join_conf plain = {.join = &twice_join, .span = WEIR_TUMBLE(10), .ttl_ms = 5};
    static const char *const why[] = {"has no key", "has no key", "not two of them",
        "do not go together", "live for -1 ms", "weir_table_join", "weir_table_join",
        "the window's start", "an earlier one"};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(why); i++) {
        struct weir_env *env;
        assert_int_equal(weir_env_new("job", &env), 0);
        struct weir_stream *s = weir_source(env, "changes", said_schema(), &source_type, NULL, 0);
        struct weir_stream *inserts =
            weir_source(env, "inserts", said_schema(), &inserts_type, NULL, 0);
        struct weir_stream *l = weir_key_by(s, WEIR_KEY(said, n));
        struct weir_stream *r = weir_key_by(inserts, WEIR_KEY(said, n));
        assert_true(weir_stream_changes(weir_join(l, r, "good", &twice_join)));
        assert_true(weir_stream_changes(weir_ttl_join(r, l, "good ttl", &plain)));
        assert_false(weir_stream_changes(weir_join(r, r, "inserts join", &twice_join)));
        switch (i) {
        case 0:
            (void)weir_join(s, r, "made", &twice_join);
            break;
        case 1:
            (void)weir_join(l, inserts, "made", &twice_join);
            break;
        case 2:
            (void)weir_table_join(r, r, "made", &table);
            break;
        case 3:
            (void)weir_join(l, weir_key_by(s, WEIR_KEY(said, text)), "made", &twice_join);
            break;
        case 4:
            (void)weir_ttl_join(l, r, "made", &ttl);
            break;
        case 5:
            (void)weir_window_join(r, r, "made", &anti);
            break;
        case 6:
            (void)weir_interval_join(r, r, "made", &anti);
            break;
        case 7:
            (void)weir_window_join(l, r, "made", &plain);
            break;
        default:
            weir_env_fail(env, WEIR_EGRAPH, "operator made: an earlier one");
            s = weir_map(s, "none", &not_third_op);
            (void)weir_table_join(s, r, "later", &plain);
            break;
        }
        EXPECT_ERROR(env, "operator made", why[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_kinds_travel_over_every_edge_and_partitioner),
        cmocka_unit_test(t_streams_of_inserts_carry_no_kinds),
        cmocka_unit_test(t_kinds_come_through_kills_and_restarts),
        cmocka_unit_test(t_graph_refuses_changes_where_inserts_are_wanted),
        cmocka_unit_test(t_graph_refuses_changes_without_a_key_and_what_their_operators_refuse),
        cmocka_unit_test(t_graph_joins_changes_where_that_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
