/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints over several real tasks, polled in an order drawn from a seed:
 *
 *     source 0 --.--> middle 0 --.
 *                 \/              +--> gate 0 of the sink
 *     source 1 --'--> middle 1 --'
 *     source 2 ------------------------> gate 1 of the sink
 *
 * A coordinator of a few lines triggers, aborts and notifies at random. The model: at the cut of a
 * completed checkpoint, what each task has counted is what the tasks before it had sent, row for
 * row (numbers and their sum), and so the two ends of every channel agree in the ledger. Of an
 * unaligned one, rows under way are what is between the two, on each channel. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/keep.h"
#include "dataplane/partition.h"
#include "dataplane/task.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"
#include "tests/unit/wire.h"

#define TASK_CNT 6 /* 3 sources, 2 middle ones, the sink */
#define SOURCE_CNT 3
#define SINK 5
#define CHANNEL_CNT 7
#define ID_CNT_MAX 200
#define PARTS_BYTES 4096
#define FLIGHT_BYTES 65536
#define STEP_CNT_MAX 200000

struct world;

struct member {
    struct world *world;
    uint32_t idx;
    struct weir_task *task;
    struct weir_partition_conf partition;
    struct weir_task_gate gates[2];
    uint32_t gate_cnt;
    uint64_t total; /* of a source */
    uint64_t row_cnt;
    uint64_t sum;
    bool ended;
    struct weir_keep keep;
    _Alignas(8) char parts[PARTS_BYTES];
    _Alignas(8) char kept[FLIGHT_BYTES];
    _Alignas(8) char flight[FLIGHT_BYTES];
};

/* What a task said of a checkpoint: what it had counted, and the ledger of its channels. */
struct cut {
    bool is_there;
    uint64_t row_cnt;
    uint64_t sum;
    uint64_t in[CHANNEL_CNT];
    uint64_t out[CHANNEL_CNT];
    bool waits_flight; /* rows under way will be told of */
    uint64_t flight[WEIR_FLIGHT_SIDE_CNT][CHANNEL_CNT];
    uint64_t flight_sum[WEIR_FLIGHT_SIDE_CNT];
};

struct checkpoint {
    bool failed;
    bool is_complete;
    uint32_t precommitted; /* tasks, as bits */
    struct cut cut[TASK_CNT];
};

struct world {
    struct weir_rng rng;
    struct wire wire;
    struct member member[TASK_CNT];
    enum weir_barrier_mode mode;
    int64_t now_ns;
    int64_t timeout_ns;
    bool is_forced; /* the sink's gate 1 */
    uint64_t flight_row_cnt; /* of completed checkpoints */
    uint64_t kept_row_cnt;
    uint64_t id; /* last triggered */
    struct checkpoint checkpoint[ID_CNT_MAX];
    uint32_t complete_cnt;
    bool waits; /* the sink, for a last one */
    uint64_t committed; /* last id that the sink was told */
};

/* ---- operators ---- */

static struct member *
member_of(const struct weir_operator *op)
{
    return (struct member *)(uintptr_t)op->conf;
}

static void
count(struct member *m, int64_t n)
{
    m->row_cnt++;
    m->sum += (uint64_t)n;
}

static int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct member *m = member_of(op);
    struct weir_rng *rng = &m->world->rng;
    (void)now_ns;
    if (m->row_cnt == m->total) {
        return WEIR_DONE;
    }
    if (weir_rng_chance(rng, 1, 3)) {
        return WEIR_WAIT;
    }
    uint64_t want = 1 + weir_rng_below(rng, 8);
    while (want-- > 0 && m->row_cnt < m->total && weir_out_room(out, 1, 0)) {
        int64_t n = (int64_t)(m->idx * 100000 + m->row_cnt);
        number_emit(out)->n = n;
        count(m, n);
    }
    if (weir_rng_chance(rng, 1, 4)) {
        weir_out_watermark(out, (int64_t)m->row_cnt);
    }
    return WEIR_AGAIN;
}

static int64_t
count_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct member *m = member_of(op);
    uint32_t cnt = weir_min_u32(in->cnt - cursor, (uint32_t)weir_rng_below(&m->world->rng, 6));
    (void)input;
    (void)now_ns;
    for (uint32_t i = 0; i < cnt; i++) {
        count(m, wire_number(in, cursor + i));
    }
    if (op->type->output_cnt > 0 && cnt > 0) {
        weir_out_pass_range(out, in, cursor, cnt);
    }
    return cnt;
}

static int
count_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct member *m = member_of(op);
    (void)id;
    weir_parts_begin(parts, "count", 1);
    weir_parts_put_u64(parts, m->row_cnt);
    weir_parts_put_u64(parts, m->sum);
    weir_parts_end(parts);
    return 0;
}

static int
sink_precommit(struct weir_operator *op, uint64_t id)
{
    (void)id;
    return weir_rng_chance(&member_of(op)->world->rng, 1, 3) ? WEIR_DONE : WEIR_WAIT;
}

static int
sink_committed(struct weir_operator *op, uint64_t id)
{
    struct world *w = member_of(op)->world;
    assert_true(id > w->committed && w->checkpoint[id].is_complete);
    w->committed = id;
    return 0;
}

static const struct weir_operator_type source_type = {
    .name = "source", .output_cnt = 1, .poll = source_poll, .snapshot = count_snapshot};
static const struct weir_operator_type middle_type = {.name = "middle",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = count_process,
    .snapshot = count_snapshot};
static const struct weir_operator_type sink_type = {.name = "sink",
    .input_cnt = 2,
    .process = count_process,
    .snapshot = count_snapshot,
    .precommit = sink_precommit,
    .committed = sink_committed};

/* ---- the coordinator ---- */

static void
post(struct world *w, uint32_t t, enum weir_task_letter letter, uint64_t id)
{
    const struct weir_mark mark = {.id = id,
        .trigger_ns = w->now_ns,
        .kind = id % 5 == 4 ? WEIR_MARK_SAVEPOINT : WEIR_MARK_PERIODIC};
    int rc = weir_task_post(w->member[t].task, letter, &mark);
    assert_true(rc == 1 || rc == WEIR_ECLOSED); /* never so many that one is full */
}

static void
fail_checkpoint(struct world *w, uint64_t id)
{
    if (!w->checkpoint[id].failed && !w->checkpoint[id].is_complete) {
        w->checkpoint[id].failed = true;
        for (uint32_t t = 0; t < TASK_CNT; t++) {
            post(w, t, WEIR_TASK_ABORT, id);
        }
    }
}

/* Tasks whose producers have all ended, or that have none. */
static bool
is_root(const struct world *w, uint32_t t)
{
    static const uint32_t producers[TASK_CNT] = {0, 0, 0, 3, 3, 0x1c};
    for (uint32_t p = 0; p < TASK_CNT; p++) {
        if ((producers[t] >> p & 1) != 0 && !w->member[p].ended) {
            return false;
        }
    }
    return !w->member[t].ended;
}

static void
trigger(struct world *w)
{
    if (w->id + 1 == ID_CNT_MAX) {
        return;
    }
    w->id++;
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        if (is_root(w, t) && !weir_rng_chance(&w->rng, 1, 60)) { /* or one gets none */
            post(w, t, WEIR_TASK_TRIGGER, w->id);
        }
    }
}

/* What a task had done at the cut: what it said, or all, where it had ended before. */
static void
sums(const struct world *w, const struct checkpoint *ckpt, uint32_t t, uint64_t *row_cnt,
    uint64_t *sum)
{
    const struct cut *cut = &ckpt->cut[t];
    *row_cnt += cut->is_there ? cut->row_cnt : w->member[t].row_cnt;
    *sum += cut->is_there ? cut->sum : w->member[t].sum;
}

/* Rows under way that a task has told of: taken off its channels, or kept before those that it
 * sends to. */
static void
add_side(const struct cut *cut, enum weir_flight_side side, uint64_t *two)
{
    for (uint32_t c = 0; c < CHANNEL_CNT; c++) {
        two[0] += cut->flight[side][c];
    }
    two[1] += cut->flight_sum[side];
}

static void
verify(struct world *w, uint64_t id)
{
    const struct checkpoint *ckpt = &w->checkpoint[id];
    uint64_t sources[2] = {0, 0};
    uint64_t middles[2] = {0, 0};
    uint64_t sink[2] = {0, 0};
    sums(w, ckpt, 0, &sources[0], &sources[1]);
    sums(w, ckpt, 1, &sources[0], &sources[1]);
    sums(w, ckpt, 3, &middles[0], &middles[1]);
    sums(w, ckpt, 4, &middles[0], &middles[1]);
    sums(w, ckpt, SINK, &sink[0], &sink[1]);
    if (w->mode == WEIR_BARRIER_TRACKED) {
        /* each row before the cut, and perhaps some behind it */
        assert_true(middles[0] >= sources[0]);
        return;
    }
    uint64_t between[2] = {middles[0], middles[1]};
    uint64_t behind[2] = {sink[0], sink[1]};
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        add_side(&ckpt->cut[t], WEIR_FLIGHT_TAKEN, t == SINK ? behind : between);
        add_side(&ckpt->cut[t], WEIR_FLIGHT_KEPT, t < 2 ? between : behind);
    }
    assert_int_equal(between[0], sources[0]);
    assert_int_equal(between[1], sources[1]);
    sums(w, ckpt, 2, &middles[0], &middles[1]);
    assert_int_equal(behind[0], middles[0]);
    assert_int_equal(behind[1], middles[1]);
    static const uint32_t from[CHANNEL_CNT] = {0, 0, 1, 1, 3, 4, 2};
    static const uint32_t to[CHANNEL_CNT] = {3, 4, 3, 4, SINK, SINK, SINK};
    for (uint32_t c = 0; c < CHANNEL_CNT; c++) {
        const struct cut *prod = &ckpt->cut[from[c]];
        const struct cut *cons = &ckpt->cut[to[c]];
        uint64_t sent = prod->is_there ? prod->out[c] : w->wire.out[c].rows;
        if (cons->is_there) {
            assert_int_equal(cons->in[c] + cons->flight[WEIR_FLIGHT_TAKEN][c], sent);
        }
        w->flight_row_cnt += cons->flight[WEIR_FLIGHT_TAKEN][c];
        w->kept_row_cnt += prod->flight[WEIR_FLIGHT_KEPT][c];
    }
}

static void
complete_if_all(struct world *w, uint64_t id)
{
    struct checkpoint *ckpt = &w->checkpoint[id];
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        if (((ckpt->precommitted >> t & 1) == 0 || ckpt->cut[t].waits_flight) &&
            !(w->member[t].ended && !ckpt->cut[t].is_there)) {
            return;
        }
    }
    if (ckpt->failed || ckpt->is_complete || w->committed > id) {
        return;
    }
    ckpt->is_complete = true;
    w->complete_cnt++;
    verify(w, id);
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        post(w, t, WEIR_TASK_NOTIFY, id);
    }
    for (uint64_t i = 1; i < id; i++) {
        fail_checkpoint(w, i); /* subsumed */
    }
}

/* ---- what tasks say ---- */

static void
read_ledger(const struct weir_parts_reader *reader, const char *name, uint64_t *ret_rows)
{
    struct weir_part part;
    size_t offset = 0;
    while (weir_parts_next(reader, &offset, &part) == 1) {
        struct weir_ledger_count entry;
        if (part.name_bytes != strlen(name) || memcmp(part.name, name, strlen(name)) != 0) {
            continue;
        }
        for (uint32_t i = 0; i < part.bytes / sizeof entry; i++) {
            assert_int_equal(weir_part_get(&part, &entry, sizeof entry), 0);
            assert_true(entry.channel < CHANNEL_CNT);
            ret_rows[entry.channel] = entry.rows;
        }
    }
}

static void
keep_cut(struct member *m, uint64_t id, size_t bytes)
{
    struct cut *cut = &m->world->checkpoint[id].cut[m->idx];
    struct weir_parts_reader reader;
    uint64_t two[2];
    assert_false(cut->is_there); /* once per task and checkpoint */
    wire_part(m->parts, bytes, "count", two);
    assert_int_equal(weir_parts_reader_init(&reader, m->parts, bytes), 0);
    read_ledger(&reader, WEIR_LEDGER_PART_IN, cut->in);
    read_ledger(&reader, WEIR_LEDGER_PART_OUT, cut->out);
    cut->is_there = true;
    cut->row_cnt = two[0];
    cut->sum = two[1];
}

static int
on_begin(void *arg, struct weir_task *task, const struct weir_mark *mark, void **ret_buf,
    size_t *ret_bytes)
{
    struct member *m = arg;
    (void)task;
    if (weir_rng_chance(&m->world->rng, 1, 100)) {
        return weir_err_push(WEIR_EIO, "checkpoint %llu", (unsigned long long)mark->id);
    }
    *ret_buf = m->parts;
    *ret_bytes = sizeof m->parts;
    return 0;
}

static int
on_flight(void *arg, struct weir_task *task, void **ret_buf, size_t *ret_bytes)
{
    struct member *m = arg;
    (void)task;
    if (weir_rng_chance(&m->world->rng, 1, 100)) {
        return weir_err_push(WEIR_EIO, "no room");
    }
    *ret_buf = m->flight;
    *ret_bytes = weir_rng_chance(&m->world->rng, 1, 50) ? 512 : sizeof m->flight;
    return 0;
}

static void
keep_flight(struct member *m, uint64_t id, size_t bytes)
{
    struct cut *cut = &m->world->checkpoint[id].cut[m->idx];
    const struct weir_flight_entry *entry;
    size_t offset = 0;
    assert_true(cut->waits_flight);
    assert_int_equal(weir_flight_check(m->flight, bytes), 0);
    while ((entry = weir_flight_next(m->flight, bytes, &offset)) != NULL) {
        struct weir_view view;
        if (entry->kind != WEIR_SLOT_BATCH) {
            continue;
        }
        assert_int_equal(weir_flight_view(entry, number_schema(), &view), 0);
        assert_true(entry->channel_id < CHANNEL_CNT && weir_flight_is_of(entry, "count"));
        cut->flight[entry->side][entry->channel_id] += view.cnt;
        for (uint32_t i = 0; i < view.cnt; i++) {
            cut->flight_sum[entry->side] += (uint64_t)wire_number(&view, i);
        }
    }
    cut->waits_flight = false;
}

static void
on_report(void *arg, struct weir_task *task, const struct weir_task_report *report)
{
    struct member *m = arg;
    struct world *w = m->world;
    uint64_t id = report->mark.id;
    (void)task;
    switch (report->kind) {
    case WEIR_TASK_SNAPSHOT:
        keep_cut(m, id, report->parts_bytes);
        w->checkpoint[id].cut[m->idx].waits_flight = report->has_flight;
        assert_true(report->has_flight || !report->is_unaligned);
        assert_true(id % 5 != 4 || !report->has_flight); /* savepoints are aligned */
        break;
    case WEIR_TASK_CAPTURED:
        keep_flight(m, id, report->flight_bytes);
        complete_if_all(w, id);
        break;
    case WEIR_TASK_PRECOMMITTED:
        w->checkpoint[id].precommitted |= 1u << m->idx;
        complete_if_all(w, id);
        break;
    case WEIR_TASK_DECLINED:
        fail_checkpoint(w, id);
        break;
    case WEIR_TASK_COMMITTED:
        assert_int_equal(m->idx, SINK);
        assert_int_equal(id, w->committed);
        break;
    default:
        assert_int_equal(report->kind, WEIR_TASK_WAITS);
        assert_int_equal(m->idx, SINK);
        w->waits = true;
        break;
    }
}

static int
on_state(void *arg, struct weir_task *task, enum weir_task_state state)
{
    struct member *m = arg;
    (void)task;
    if (weir_task_has_ended(state)) {
        assert_int_equal(state, WEIR_TASK_FINISHED);
        m->ended = true;
    }
    return 0;
}

/* ---- the world ---- */

static void
on_sent(void *arg, uint32_t channel)
{
    (void)arg;
    (void)channel;
}

static void
member_open(struct world *w, uint32_t t, const struct weir_operator_type *type, uint32_t first_out,
    uint32_t out_cnt)
{
    struct member *m = &w->member[t];
    struct weir_chain_node_conf nodes[2];
    memset(nodes, 0, sizeof nodes);
    nodes[0].name = "count";
    nodes[0].type = type;
    nodes[0].conf = m;
    nodes[0].in_schema[0] = number_schema();
    nodes[0].in_schema[1] = number_schema();
    nodes[0].channel_cnt = m->gate_cnt;
    nodes[0].channel_input[1] = 1;
    nodes[0].outputs[0].schema = number_schema();
    nodes[0].outputs[0].edge_cnt = out_cnt > 0 ? 1 : 0;
    nodes[0].outputs[0].edges[0].node = 1;
    nodes[1].name = "partition";
    nodes[1].type = &weir_partition_type;
    nodes[1].conf = &m->partition;
    nodes[1].in_schema[0] = number_schema();
    nodes[1].channel_cnt = 1;
    nodes[1].env.regions = &w->wire.mem.table;
    nodes[1].env.seed = weir_rng_u64(&w->rng);
    m->partition.partitioner = WEIR_PARTITION_SHUFFLE;
    m->partition.channels = &w->wire.out[first_out];
    m->partition.channel_cnt = out_cnt;
    m->partition.ring_fn = on_sent;
    weir_keep_init(&m->keep, m->kept, weir_rng_chance(&w->rng, 1, 8) ? 512 : sizeof m->kept);
    for (uint32_t c = first_out; c < first_out + out_cnt; c++) {
        const bool can_keep = w->mode == WEIR_BARRIER_UNALIGNED && !(w->is_forced && t == 2);
        w->wire.out[c].keep = can_keep ? &m->keep : NULL;
        w->wire.out[c].place.uid = "count";
        w->wire.out[c].place.channel_id = c;
        w->wire.out[c].place.side = WEIR_FLIGHT_KEPT;
    }
    const struct weir_task_checkpoints checkpoints = {.arg = m,
        .mode = w->mode,
        .timeout_ns = w->timeout_ns,
        .flight_fn = on_flight,
        .after_end = true,
        .waits_final = true,
        .begin_fn = on_begin,
        .report_fn = on_report};
    const struct weir_task_conf conf = {.name = type->name,
        .chain = {.nodes = nodes,
            .node_cnt = out_cnt > 0 ? 2 : 1,
            .batch_rows = 16,
            .buf_bytes = 4096},
        .gates = m->gates,
        .gate_cnt = m->gate_cnt,
        .checkpoints = &checkpoints,
        .state_fn = on_state,
        .state_arg = m};
    assert_int_equal(weir_task_new(&conf, &m->task), 0);
}

/* Channels by their producer: 0, 1 of source 0, 2, 3 of source 1, 4 and 5 of the middle ones, 6 of
 * source 2. Ends of consumers: 0, 1 and 2, 3 of the middle ones, 4, 5 and 6 of the sink. */
static void
world_open(struct world *w, enum weir_barrier_mode mode, uint64_t seed)
{
    static const uint32_t in_of[CHANNEL_CNT] = {0, 2, 1, 3, 4, 5, 6};
    memset(w, 0, sizeof *w);
    w->mode = mode;
    weir_rng_init(&w->rng, seed);
    static const int64_t timeouts[] = {0, 0, 100, 1000, WEIR_BARRIER_NEVER_NS};
    w->timeout_ns = timeouts[weir_rng_below(&w->rng, WEIR_ARRAY_CNT(timeouts))];
    w->is_forced = weir_rng_chance(&w->rng, 1, 4);
    wire_open(&w->wire, CHANNEL_CNT);
    for (uint32_t c = 0; c < CHANNEL_CNT; c++) {
        wire_join(&w->wire, c, in_of[c], 8u << weir_rng_below(&w->rng, 3));
    }
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        w->member[t].world = w;
        w->member[t].idx = t;
        w->member[t].total = weir_rng_below(&w->rng, 1500);
    }
    for (uint32_t i = 0; i < 2; i++) {
        wire_gate(&w->wire, &w->member[3 + i].gates[0].gate, 2 * i, 2);
        w->member[3 + i].gate_cnt = 1;
        w->member[SINK].gates[i].channel = i;
    }
    wire_gate(&w->wire, &w->member[SINK].gates[0].gate, 4, 2);
    wire_gate(&w->wire, &w->member[SINK].gates[1].gate, 6, 1);
    w->member[SINK].gate_cnt = 2;
    w->member[SINK].gates[1].is_forced = w->is_forced;
    member_open(w, 0, &source_type, 0, 2);
    member_open(w, 1, &source_type, 2, 2);
    member_open(w, 2, &source_type, 6, 1);
    member_open(w, 3, &middle_type, 4, 1);
    member_open(w, 4, &middle_type, 5, 1);
    member_open(w, SINK, &sink_type, 0, 0);
}

static void
world_close(struct world *w)
{
    for (uint32_t t = 0; t < TASK_CNT; t++) {
        weir_task_delete(w->member[t].task);
    }
    wire_close(&w->wire);
}

/* Returns the checkpoints that were completed. */
static uint32_t
run_world(struct world *w, enum weir_barrier_mode mode, uint64_t seed)
{
    world_open(w, mode, seed);
    for (int64_t i = 0; !w->member[SINK].ended; i++) {
        if (i == STEP_CNT_MAX) {
            fail_msg("seed %llu, mode %d: no end", (unsigned long long)seed, (int)mode);
        }
        struct weir_task *task = w->member[weir_rng_below(&w->rng, TASK_CNT)].task;
        w->now_ns = i;
        (void)weir_task_poll(task, 1 + (uint32_t)weir_rng_below(&w->rng, 8), i);
        /* some polls take long */
        weir_task_settle(task, i + (weir_rng_chance(&w->rng, 1, 8) ? 2 * WEIR_TASK_PIECE_NS : 0));
        if (weir_rng_chance(&w->rng, 1, w->waits ? 40 : 120)) {
            trigger(w);
        }
        if (w->id > 0 && weir_rng_chance(&w->rng, 1, 1000)) {
            fail_checkpoint(w, w->id);
        }
        if (w->id + 1 == ID_CNT_MAX) {
            fail_msg("seed %llu: no checkpoint completes", (unsigned long long)seed);
        }
    }
    uint64_t all = 0;
    for (uint32_t t = 0; t < SOURCE_CNT; t++) {
        all += w->member[t].total;
    }
    assert_int_equal(w->member[SINK].row_cnt, all);
    assert_true(w->committed > 0); /* the last one, behind all data */
    uint32_t complete_cnt = w->complete_cnt;
    world_close(w);
    return complete_cnt;
}

static void
runs(enum weir_barrier_mode mode, uint32_t run_cnt)
{
    static struct world world;
    uint64_t seed = seed_of_run();
    uint64_t complete_cnt = 0;
    uint64_t flight_cnt = 0;
    uint64_t kept_cnt = 0;
    for (uint64_t i = 0; i < run_cnt; i++) {
        complete_cnt += run_world(&world, mode, seed + i);
        flight_cnt += world.flight_row_cnt;
        kept_cnt += world.kept_row_cnt;
    }
    printf("%llu checkpoints of %u runs were completed, %llu rows were under way, %llu kept\n",
        (unsigned long long)complete_cnt, run_cnt, (unsigned long long)flight_cnt,
        (unsigned long long)kept_cnt);
    assert_true((flight_cnt > run_cnt) == (mode == WEIR_BARRIER_UNALIGNED));
    assert_true((kept_cnt > run_cnt) == (mode == WEIR_BARRIER_UNALIGNED));
    assert_true(complete_cnt > 3 * run_cnt); /* else little was looked at */
}

static void
t_B2_T292_nothing_is_on_both_sides_of_a_cut(void **state)
{
    (void)state;
    runs(WEIR_BARRIER_ALIGNED, 3000);
}

static void
t_tracked_no_row_before_a_cut_is_missing(void **state)
{
    (void)state;
    runs(WEIR_BARRIER_TRACKED, 1000);
}

static void
t_B3_T069_T261_rows_under_way_are_what_lies_between_the_cuts(void **state)
{
    (void)state;
    runs(WEIR_BARRIER_UNALIGNED, 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_B2_T292_nothing_is_on_both_sides_of_a_cut),
        cmocka_unit_test(t_B3_T069_T261_rows_under_way_are_what_lies_between_the_cuts),
        cmocka_unit_test(t_tracked_no_row_before_a_cut_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
