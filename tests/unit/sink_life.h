/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink under checkpoints: runs that are cut off at every step, and what is then to be
 * seen.
 *
 * A life is one start of a job of some subtasks, each a chain of a source that can go back and the
 * sink. The store is what outlives it: the last complete checkpoint. */
#ifndef WEIR_TESTS_UNIT_SINK_LIFE_H
#define WEIR_TESTS_UNIT_SINK_LIFE_H

#include <errno.h>
#include <signal.h>

#include "base/rng.h"
#include "dataplane/operators/file_sink.h"
#include "dataplane/parts.h"
#include "tests/unit/line_rig.h"

#define NUMBER(X) X(i64, n)
WEIR_SCHEMA(number, NUMBER)

enum { STREAM_CNT = 2, ROW_CNT = 60, SUBTASK_CNT_MAX = 3, STREAM_STEP = 100000 };
#define PARTS_BYTES 32768
#define DECLINE_CNT_MAX 10
#define KILL_NEVER UINT64_MAX

/* ---- what outlives a life ---- */

struct store {
    uint64_t epoch;
    uint64_t last_id; /* given out */
    uint64_t id; /* the last complete one; 0: none */
    uint64_t pos[STREAM_CNT];
    uint32_t cnt; /* subtasks that took it */
    bool has_ended; /* cleanly */
    size_t bytes[SUBTASK_CNT_MAX];
    uint64_t parts[SUBTASK_CNT_MAX][PARTS_BYTES / 8];
};

struct script {
    const char *path; /* of the output, in the place */
    uint32_t cnt;
    uint64_t seed;
    uint64_t kill_step;
    bool kills_process;
    bool never_aborts;
    uint64_t roll_bytes;
    const char *job; /* NULL: test */
    bool is_plain; /* without checkpoints */
    bool at_least_once;
    bool allows_rollback;
    bool had_ended; /* as where the checkpoint has nothing of any subtask */
    bool is_new; /* as where a savepoint is restored, and the output is another */
    bool is_added; /* the job that took the checkpoint had no such sink */
};

struct source {
    struct weir_rng rng;
    uint64_t pos[STREAM_CNT];
    uint32_t subtask;
    uint32_t cnt;
};

struct subtask {
    struct weir_chain *chain;
    struct weir_operator *sink;
    struct source source;
    struct weir_file_sink_conf conf;
    uint64_t snapshot_id; /* to be taken; 0: none */
    bool has_snapped;
    bool has_precommitted;
    int declined;
    uint64_t final_id;
    uint64_t committed_id;
    int rc;
    int flushed;
    uint64_t snap_pos[STREAM_CNT];
    size_t snap_bytes;
    uint64_t snap[PARTS_BYTES / 8];
};

struct life {
    struct place *place;
    struct store *store;
    struct script script;
    struct weir_rng rng;
    struct subtask subs[SUBTASK_CNT_MAX];
    char path[128];
    uint64_t step;
    uint64_t flying_id; /* 0: none */
    uint64_t notify_id[SUBTASK_CNT_MAX];
    uint32_t complete_cnt;
    uint32_t decline_cnt;
    int error;
};

/* ---- the source ---- */

static WEIR_UNUSED int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct source *source = (struct source *)(uintptr_t)op->conf;
    (void)now_ns;
    bool is_open = false;
    for (uint32_t i = 0; i < STREAM_CNT; i++) {
        if (i % source->cnt != source->subtask) {
            continue;
        }
        is_open |= source->pos[i] < ROW_CNT;
        uint64_t cnt = weir_rng_below(&source->rng, 4);
        while (cnt-- > 0 && source->pos[i] < ROW_CNT && weir_out_room(out, 1, 0)) {
            number_emit(out)->n = (int64_t)(i * STREAM_STEP + source->pos[i]++);
        }
    }
    if (!is_open) {
        return WEIR_DONE;
    }
    return weir_rng_chance(&source->rng, 1, 4) ? WEIR_WAIT : WEIR_AGAIN;
}

static const struct weir_operator_type source_type = {
    .name = "source", .output_cnt = 1, .poll = source_poll};

/* ---- the sink, which can be dropped also after its end ---- */

static bool is_killing;

static WEIR_UNUSED int
drop_or_close(struct weir_operator *op, bool clean)
{
    return weir_file_sink_type.close(op, clean && !is_killing);
}

static struct weir_operator_type sink_type;

/* ---- a life ---- */

/* Parts of all old subtasks, which each new one gets. */
static WEIR_UNUSED size_t
gather(const struct life *life, uint64_t *to)
{
    struct weir_parts_writer writer;
    size_t bytes = 0;
    weir_parts_writer_init(&writer, to, SUBTASK_CNT_MAX * PARTS_BYTES);
    weir_parts_writer_of(&writer, "sink");
    for (uint32_t i = 0; i < life->store->cnt; i++) {
        struct weir_parts_reader reader;
        struct weir_part part;
        size_t offset = 0;
        assert_int_equal(
            weir_parts_reader_init(&reader, life->store->parts[i], life->store->bytes[i]), 0);
        while (weir_parts_next(&reader, &offset, &part) == 1) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", (int)part.name_bytes, part.name);
            weir_parts_begin(&writer, name, part.version);
            weir_parts_put(&writer, part.data, part.bytes);
            weir_parts_end(&writer);
        }
    }
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    return bytes;
}

static WEIR_UNUSED int
restore(struct life *life, uint32_t s)
{
    static uint64_t buf[SUBTASK_CNT_MAX * PARTS_BYTES / 8];
    struct weir_parts_reader reader;
    size_t bytes = gather(life, buf);
    assert_int_equal(weir_parts_reader_init(&reader, buf, bytes), 0);
    weir_parts_reader_of(&reader, "sink");
    struct weir_operator *sink = life->subs[s].sink;
    return sink->type->restore(sink, &reader, 1);
}

static WEIR_UNUSED int
open_subtask(struct life *life, uint32_t s)
{
    struct subtask *sub = &life->subs[s];
    struct weir_chain_node_conf nodes[2];
    memset(nodes, 0, sizeof nodes);
    memcpy(sub->source.pos, life->store->pos, sizeof sub->source.pos);
    weir_rng_init(&sub->source.rng, life->script.seed * 7 + s);
    sub->source.subtask = s;
    sub->source.cnt = life->script.cnt;
    sub->conf.path = life->path;
    sub->conf.write_bytes = 64;
    sub->conf.row_bytes_max = 1000;
    sub->conf.roll_bytes = life->script.roll_bytes;
    sub->conf.checkpoints.is_on = !life->script.is_plain;
    sub->conf.checkpoints.at_least_once = life->script.at_least_once;
    sub->conf.checkpoints.allows_rollback = life->script.allows_rollback;
    sub->conf.checkpoints.had_ended = life->script.had_ended;
    sub->conf.checkpoints.is_new = life->script.is_new;
    sub->conf.checkpoints.epoch = life->store->epoch;
    sub->conf.checkpoints.restored_id = life->store->id;
    for (uint32_t i = 0; i < 2; i++) {
        nodes[i].name = i == 0 ? "source" : "sink";
        nodes[i].env.job_name = life->script.job != NULL ? life->script.job : "test";
        nodes[i].env.vertex_name = nodes[i].name;
        nodes[i].env.subtask_idx = s;
        nodes[i].env.subtask_cnt = life->script.cnt;
        nodes[i].env.io = life->place->io;
    }
    nodes[0].type = &source_type;
    nodes[0].conf = &sub->source;
    nodes[0].outputs[0].schema = number_schema();
    nodes[0].outputs[0].edges[0] = (struct weir_chain_edge){.node = 1};
    nodes[0].outputs[0].edge_cnt = 1;
    sink_type = weir_file_sink_type;
    sink_type.close = drop_or_close;
    nodes[1].type = &sink_type;
    nodes[1].conf = &sub->conf;
    nodes[1].in_schema[0] = number_schema();
    nodes[1].channel_cnt = 1;
    struct weir_chain_conf conf = {
        .nodes = nodes, .node_cnt = 2, .batch_rows = 16, .buf_bytes = 4096};
    assert_int_equal(weir_chain_new(&conf, &sub->chain), 0);
    sub->sink = weir_chain_operator(sub->chain, 1);
    return weir_chain_open(sub->chain);
}

/* Returns the first failure of a close. */
static WEIR_UNUSED int
close_life(struct life *life)
{
    int first = 0;
    for (uint32_t s = 0; s < SUBTASK_CNT_MAX; s++) {
        int rc = weir_chain_close(life->subs[s].chain);
        first = first != 0 ? first : rc;
    }
    assert_int_equal(weir_io_flying_cnt(life->place->io), 0);
    return first;
}

static WEIR_UNUSED void
kill_here(struct life *life)
{
    if (life->script.kills_process) {
        (void)raise(SIGKILL);
    }
    is_killing = true;
    assert_int_equal(close_life(life), 0);
    is_killing = false;
}

static WEIR_UNUSED bool
counts(struct life *life)
{
    return ++life->step != life->script.kill_step;
}

static WEIR_UNUSED void
take_snapshot(struct subtask *sub)
{
    struct weir_parts_writer writer;
    weir_parts_writer_init(&writer, sub->snap, sizeof sub->snap);
    weir_parts_writer_of(&writer, "sink");
    int rc = sub->sink->type->snapshot(sub->sink, sub->snapshot_id, &writer);
    rc = rc != 0 ? rc : weir_parts_finish(&writer, &sub->snap_bytes);
    assert_int_equal(rc, 0);
    memcpy(sub->snap_pos, sub->source.pos, sizeof sub->snap_pos);
    if (weir_chain_ended(sub->chain) && sub->final_id == 0) {
        sub->final_id = sub->snapshot_id;
    }
    sub->snapshot_id = 0;
    sub->has_snapped = true;
}

static WEIR_UNUSED void
pass_time(struct place *place, bool waits)
{
    if (place->kind == WEIR_IO_SIM) {
        int64_t due_ns = waits ? weir_io_due_ns(place->io) : place->now_ns + 1000;
        place->now_ns =
            due_ns < INT64_MAX ? weir_max_i64(place->now_ns, due_ns) : place->now_ns + WEIR_MS;
    } else {
        weir_io_wait(place->io, waits ? WEIR_MS : 0, -1);
        place->now_ns = weir_io_clock_ns(place->io);
    }
}

static WEIR_UNUSED void
turn(struct life *life, struct subtask *sub)
{
    struct place *place = life->place;
    (void)weir_io_poll(place->io, place->now_ns);
    sub->rc = weir_chain_run(sub->chain, 16, place->now_ns);
    if (sub->rc == WEIR_DONE) {
        if (sub->snapshot_id != 0) {
            take_snapshot(sub);
        } else if (!weir_chain_ended(sub->chain)) {
            sub->rc = weir_chain_poll_source(sub->chain, 0, place->now_ns);
            if (sub->rc == WEIR_WAIT) {
                int rc = weir_chain_flush(sub->chain);
                sub->rc = rc < 0 ? rc : WEIR_WAIT;
            }
        } else {
            /* By the task, or, where it does not flush what has finished, by close. */
            sub->flushed = life->script.seed % 2 == 0 ? sub->sink->type->flush(sub->sink)
                                                      : weir_chain_flush(sub->chain);
            sub->rc = sub->flushed < 0 ? sub->flushed : WEIR_WAIT;
        }
    }
    if (sub->rc >= 0 && sub->has_snapped && !sub->has_precommitted && sub->declined == 0) {
        int rc = sub->sink->type->precommit(sub->sink, life->flying_id);
        sub->has_precommitted = rc == WEIR_DONE;
        sub->declined = rc < 0 ? rc : 0;
    }
    life->error = sub->rc < 0 ? sub->rc : life->error;
    pass_time(place, sub->rc == WEIR_WAIT || weir_rng_chance(&life->rng, 1, 3));
}

/* ---- the coordinator ---- */

static WEIR_UNUSED void
end_flight(struct life *life)
{
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        life->subs[s].snapshot_id = 0;
        life->subs[s].has_snapped = false;
        life->subs[s].has_precommitted = false;
        life->subs[s].declined = 0;
    }
    life->flying_id = 0;
}

static WEIR_UNUSED void
complete(struct life *life)
{
    struct store *store = life->store;
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        struct subtask *sub = &life->subs[s];
        memcpy(store->parts[s], sub->snap, sub->snap_bytes);
        store->bytes[s] = sub->snap_bytes;
        life->notify_id[s] = life->flying_id;
        for (uint32_t i = 0; i < STREAM_CNT; i++) {
            if (i % life->script.cnt == s) {
                store->pos[i] = sub->snap_pos[i];
            }
        }
    }
    store->cnt = life->script.cnt;
    store->id = life->flying_id;
    life->complete_cnt++;
    end_flight(life);
}

static WEIR_UNUSED void
coordinate(struct life *life)
{
    uint32_t precommitted = 0;
    uint32_t snapped = 0;
    bool is_declined = false;
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        precommitted += life->subs[s].has_precommitted;
        snapped += life->subs[s].has_snapped;
        is_declined |= life->subs[s].declined != 0;
        uint64_t id = life->notify_id[s];
        if (id != 0 && weir_rng_chance(&life->rng, 1, 4)) {
            life->notify_id[s] = 0;
            life->subs[s].committed_id = id;
            life->subs[s].flushed = WEIR_WAIT; /* as a task, which flushes before it closes */
            int rc = life->subs[s].sink->type->committed(life->subs[s].sink, id);
            life->error = rc != 0 ? rc : life->error;
        }
    }
    if (life->flying_id == 0) {
        if (weir_rng_chance(&life->rng, 1, 8)) {
            life->flying_id = ++life->store->last_id;
            for (uint32_t s = 0; s < life->script.cnt; s++) {
                life->subs[s].snapshot_id = life->flying_id;
            }
        }
    } else if (is_declined || (!life->script.never_aborts && snapped == life->script.cnt &&
                                  weir_rng_chance(&life->rng, 1, 20))) {
        uint64_t id = life->flying_id;
        life->decline_cnt += is_declined;
        if (life->decline_cnt > DECLINE_CNT_MAX) {
            life->error = WEIR_EFAILED; /* more than a job tolerates */
        }
        end_flight(life);
        for (uint32_t s = 0; s < life->script.cnt; s++) {
            struct weir_operator *sink = life->subs[s].sink;
            /* What belongs to the final one goes to the next. */
            life->subs[s].final_id = life->subs[s].final_id == id ? 0 : life->subs[s].final_id;
            assert_int_equal(sink->type->aborted(sink, id), 0);
        }
    } else if (precommitted == life->script.cnt) {
        complete(life);
    }
}

static WEIR_UNUSED bool
has_ended(const struct life *life)
{
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        const struct subtask *sub = &life->subs[s];
        if (sub->final_id == 0 || sub->committed_id < sub->final_id || sub->flushed != WEIR_DONE ||
            !weir_chain_ended(sub->chain)) {
            return false;
        }
    }
    return true;
}

static WEIR_UNUSED int
start(struct life *life, struct place *place, struct store *store, const struct script *script)
{
    memset(life, 0, sizeof *life);
    life->place = place;
    life->store = store;
    life->script = *script;
    weir_rng_init(&life->rng, script->seed);
    bool is_stream = strcmp(script->path, "-") == 0;
    (void)snprintf(life->path, sizeof life->path, "%s%s%s", is_stream ? "" : place->dir,
        is_stream ? "" : "/", script->path);
    store->epoch++;
    store->has_ended = false;
    int rc = 0;
    for (uint32_t s = 0; s < script->cnt && rc == 0; s++) {
        rc = counts(life) ? open_subtask(life, s) : 1;
        if (rc == 0 && store->id != 0 && !script->had_ended && !script->is_added) {
            rc = counts(life) ? restore(life, s) : 1;
        }
    }
    return rc;
}

/* Until it has ended, or failed, or is killed. 0: ended; 1: killed; an error. */
static WEIR_UNUSED int
live(struct place *place, struct store *store, const struct script *script, uint64_t *ret_steps)
{
    static struct life the_life;
    struct life *life = &the_life;
    int rc = start(life, place, store, script);
    while (rc == 0 && life->error == 0 && !has_ended(life)) {
        for (uint32_t s = 0; s < script->cnt && rc == 0; s++) {
            turn(life, &life->subs[s]);
            rc = counts(life) ? 0 : 1;
        }
        if (rc == 0) {
            coordinate(life);
            rc = counts(life) ? 0 : 1;
        }
        assert_true(life->step < 100000);
    }
    if (ret_steps != NULL) {
        *ret_steps = life->step;
    }
    if (rc == 1) {
        kill_here(life);
        return 1;
    }
    rc = rc != 0 ? rc : life->error;
    is_killing = rc != 0;
    int closed = close_life(life);
    is_killing = false;
    rc = rc != 0 ? rc : closed;
    store->has_ended = rc == 0;
    return rc;
}

#endif
