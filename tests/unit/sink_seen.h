/* SPDX-License-Identifier: Apache-2.0 */
/* sink_seen.h: what the lives of sink_life.h leave to be seen, and lives that are led by hand. */
#ifndef WEIR_TESTS_UNIT_SINK_SEEN_H
#define WEIR_TESTS_UNIT_SINK_SEEN_H

#include "tests/unit/sink_life.h"

/* ---- what is to be seen ---- */

static WEIR_UNUSED void
count_rows(char *text, uint32_t *seen)
{
    int64_t last[STREAM_CNT] = {-1, -1};
    assert_memory_equal(text, "n\n", 2);
    char *at = text + 2;
    while (*at != '\0') {
        int64_t n = strtoll(at, &at, 10);
        assert_int_equal(*at++, '\n');
        int64_t stream = n / STREAM_STEP;
        assert_in_range(stream, 0, STREAM_CNT - 1);
        assert_in_range(n % STREAM_STEP, 0, ROW_CNT - 1);
        assert_true(n % STREAM_STEP > last[stream]);
        last[stream] = n % STREAM_STEP;
        seen[stream * ROW_CNT + n % STREAM_STEP]++;
    }
}

static WEIR_UNUSED uint32_t
list_names(struct place *place, const char *path, char names[][128], uint32_t max)
{
    struct weir_io_op op;
    char buf[8192];
    uint32_t cnt = 0;
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, path), WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (perform(place, &op) < 0) {
        return 0;
    }
    int32_t dir = (int32_t)op.result;
    for (;;) {
        weir_io_op_list(&op, dir, buf, sizeof buf);
        int64_t bytes = perform(place, &op);
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        if (bytes <= 0) {
            break;
        }
        while ((name = weir_io_list_next(buf, (uint64_t)bytes, &pos, &type)) != NULL) {
            assert_true(cnt < max);
            (void)snprintf(names[cnt++], 128, "%s", name);
        }
    }
    close_file(place, dir);
    return cnt;
}

/* An operation fails in this test: what is not needed any more may stay. */
static WEIR_UNUSED bool may_leave;

/* A directory: what is visible is of complete checkpoints, each row once. A file: there is none, or
 * it is whole. */
static WEIR_UNUSED void
check_output(struct place *place, const struct store *store, const char *path)
{
    uint32_t seen[STREAM_CNT * ROW_CNT] = {0};
    static char names[256][128];
    char name[256];
    bool is_dir = path[strlen(path) - 1] == '/';
    bool is_whole = store->has_ended;
    if (is_dir) {
        uint32_t cnt = list_names(place, path, names, WEIR_ARRAY_CNT(names));
        for (uint32_t i = 0; i < cnt; i++) {
            assert_true(names[i][0] == '.' || strncmp(names[i], "part-test-", 10) == 0);
            if (names[i][0] != '.') {
                (void)snprintf(name, sizeof name, "%.60s%.127s", path, names[i]);
                char *text = get_text(place, name);
                count_rows(text, seen);
                free(text);
            } else {
                assert_true(may_leave || !store->has_ended);
            }
        }
    } else {
        char *text = get_text(place, path);
        assert_true(text != NULL || !store->has_ended);
        is_whole = text != NULL;
        if (text != NULL) {
            count_rows(text, seen);
        }
        free(text);
        if (store->has_ended && !may_leave) {
            (void)snprintf(name, sizeof name, "%s.parts", path);
            uint32_t cnt = list_names(place, name, names, WEIR_ARRAY_CNT(names));
            assert_int_equal(cnt, 0);
        }
    }
    for (uint64_t i = 0; i < STREAM_CNT * ROW_CNT; i++) {
        uint32_t max = i % ROW_CNT < store->pos[i / ROW_CNT] ? 1 : 0;
        if (seen[i] > max || (is_whole && seen[i] != 1)) {
            print_message("row %llu of stream %llu: %u times; checkpoint %llu, epoch %llu\n",
                (unsigned long long)(i % ROW_CNT), (unsigned long long)(i / ROW_CNT), seen[i],
                (unsigned long long)store->id, (unsigned long long)store->epoch);
        }
        assert_true(seen[i] <= max);
        assert_true(!is_whole || seen[i] == 1);
    }
}

static WEIR_UNUSED void
open_world(struct place *place, uint64_t seed_value)
{
    struct weir_sim_config config = {.seed = seed_value, .short_ppm = 100000};
    memset(place, 0, sizeof *place);
    place->kind = WEIR_IO_SIM;
    (void)snprintf(place->dir, sizeof place->dir, "/work");
    assert_int_equal(weir_sim_open(&config, &place->world), 0);
    struct weir_io_config io = {.kind = WEIR_IO_SIM, .world = place->world};
    assert_int_equal(weir_io_open(&io, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
    assert_int_equal(weir_sim_put(place->world, "/work/.keep", "", 0), 0);
}

static WEIR_UNUSED void
close_world(struct place *place)
{
    weir_io_close(place->io);
    weir_sim_close(place->world);
}

/* ---- one start, by hand ---- */

static WEIR_UNUSED void
turns(struct life *life, int cnt)
{
    for (int i = 0; i < cnt; i++) {
        for (uint32_t s = 0; s < life->script.cnt; s++) {
            turn(life, &life->subs[s]);
        }
    }
}

/* Take a checkpoint as far as it comes. 0: pre-committed; 1: it expires, for rows wait before it;
 * or the error that declined it. */
static WEIR_UNUSED int
precommit(struct life *life)
{
    life->flying_id = ++life->store->last_id;
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        life->subs[s].snapshot_id = life->flying_id;
    }
    for (int i = 0; i < 500; i++) {
        bool is_done = true;
        turns(life, 1);
        for (uint32_t s = 0; s < life->script.cnt; s++) {
            if (life->subs[s].declined != 0) {
                return life->subs[s].declined;
            }
            is_done &= life->subs[s].has_precommitted;
        }
        if (is_done) {
            return 0;
        }
    }
    return 1;
}

static WEIR_UNUSED void
settle_io(struct place *place)
{
    for (int i = 0; i < 200 && weir_io_flying_cnt(place->io) > 0; i++) {
        step(place);
    }
}

static WEIR_UNUSED int
say_committed(struct life *life, uint64_t id)
{
    int rc = 0;
    for (uint32_t s = 0; s < life->script.cnt && rc == 0; s++) {
        struct weir_operator *sink = life->subs[s].sink;
        life->notify_id[s] = 0;
        life->subs[s].committed_id = weir_max_u64(life->subs[s].committed_id, id);
        rc = sink->type->committed(sink, id);
    }
    if (rc == 0) {
        settle_io(life->place);
    }
    return rc;
}

static WEIR_UNUSED void
abort_flying(struct life *life)
{
    uint64_t id = life->flying_id;
    end_flight(life);
    for (uint32_t s = 0; s < life->script.cnt; s++) {
        struct weir_operator *sink = life->subs[s].sink;
        assert_int_equal(sink->type->aborted(sink, id), 0);
    }
}

static WEIR_UNUSED void
drop(struct life *life)
{
    life->script.kills_process = false;
    kill_here(life);
}

static WEIR_UNUSED uint32_t
visible_cnt(struct place *place, const char *path)
{
    static char names[256][128];
    uint32_t cnt = list_names(place, path, names, WEIR_ARRAY_CNT(names));
    uint32_t visible = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        visible += names[i][0] != '.';
    }
    return visible;
}

static WEIR_UNUSED int
run_on(struct life *life)
{
    while (life->error == 0 && !has_ended(life)) {
        turns(life, 1);
        coordinate(life);
        assert_true(++life->step < 100000);
    }
    if (life->error == 0) {
        assert_int_equal(close_life(life), 0);
        life->store->has_ended = true;
    }
    return life->error;
}

struct by_hand {
    struct place place;
    struct store store;
    struct life life;
    struct script script;
};

static WEIR_UNUSED struct by_hand *
begin(const char *path, uint64_t disk_bytes)
{
    struct by_hand *t = calloc(1, sizeof *t);
    assert_non_null(t);
    open_world(&t->place, seed());
    if (disk_bytes != 0) {
        weir_io_close(t->place.io);
        weir_sim_close(t->place.world);
        struct weir_sim_config config = {.seed = seed(), .disk_bytes = disk_bytes};
        assert_int_equal(weir_sim_open(&config, &t->place.world), 0);
        struct weir_io_config io = {.kind = WEIR_IO_SIM, .world = t->place.world};
        assert_int_equal(weir_io_open(&io, &t->place.io), 0);
        assert_int_equal(weir_io_start(t->place.io), 0);
        assert_int_equal(weir_sim_put(t->place.world, "/work/.keep", "", 0), 0);
    }
    t->script = (struct script){.path = path, .cnt = 1, .seed = seed(), .kill_step = KILL_NEVER};
    return t;
}

static WEIR_UNUSED void
end(struct by_hand *t)
{
    close_world(&t->place);
    free(t);
    weir_err_clear();
}

#endif
