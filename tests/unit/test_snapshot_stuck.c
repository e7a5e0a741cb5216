/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot whose storage no longer answers is given up while the owner goes on writing: no file
 * of it is left behind, and what it would have had is in the next one. */
#include "dataplane/capture.h"
#include "dataplane/restore.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/seed.h"
#include "tests/unit/state_play.h"
#include "tests/unit/store_rig.h"

#define ARENA_BYTES (UINT64_C(6) << 20)
#define FILE_BYTES (UINT64_C(8) << 20)
#define BLOCK_BYTES 16384
#define DEPTH 4
#define STUCK_CNT 40

struct world {
    struct weir_sim *sim;
    struct rig rig;
    struct weir_arena arena;
    struct weir_capture capture;
    struct play play;
    void *mem;
    void *capture_mem;
    int32_t dir;
    char *file; /* the snapshots that were read back, one behind the other */
    uint64_t file_bytes;
    uint64_t file_off; /* where the last one begins */
};

/* ---- the arena as the writer's source, and back ---- */

static int64_t
fill(void *arg, void *buf, uint64_t bytes)
{
    if (bytes < WEIR_CAPTURE_RECORD_BYTES_MAX) {
        return WEIR_SNAPSHOT_FULL;
    }
    int64_t got = weir_capture_fill(arg, buf, bytes);
    return got == WEIR_AGAIN ? WEIR_SNAPSHOT_BUSY : got == WEIR_DONE ? 0 : got;
}

static int
keep(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct world *w = arg;
    assert_true(w->file_off + off == w->file_bytes && w->file_bytes + bytes <= FILE_BYTES);
    memcpy(w->file + w->file_bytes, payload, bytes);
    w->file_bytes += bytes;
    return 0;
}

static struct weir_arena_spec
arena_spec(void)
{
    const struct weir_arena_spec spec = {
        .name = "test", .max_parallelism = 16, .groups = {0, 16}, .table_cnt_max = 64};
    return spec;
}

/* The digest of what was read back, restored into an arena of its own. */
static uint64_t
restored_digest(const struct world *w)
{
    const struct weir_arena_spec arena = arena_spec();
    const struct weir_restore_spec spec = {
        .page_cnt_max = w->arena.page_cnt, .table_cnt_max = 64, .is_in_place = true};
    struct weir_arena to;
    struct weir_restore r;
    void *mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    void *beside = calloc(1, weir_restore_footprint(&spec));
    memset(mem, 0, ARENA_BYTES);
    assert_int_equal(weir_arena_init(&to, &arena, mem, ARENA_BYTES), 0);
    assert_int_equal(weir_restore_init(&r, &to, &spec, beside), 0);
    assert_int_equal(weir_restore_source(&r), 0);
    for (uint64_t at = 0; at < w->file_bytes;) {
        int64_t got = weir_restore_apply(&r, w->file + at, w->file_bytes - at);
        assert_true(got > 0);
        at += (uint64_t)got;
    }
    assert_int_equal(weir_restore_source_end(&r), 0);
    assert_int_equal(weir_restore_finish(&r), 0);
    uint64_t digest = play_digest(&to, true);
    free(mem);
    free(beside);
    return digest;
}

/* ---- the world ---- */

static void
world_open(struct world *w, uint64_t seed)
{
    const struct weir_sim_config sim = {.seed = seed};
    const struct weir_arena_spec arena = arena_spec();
    memset(w, 0, sizeof *w);
    assert_int_equal(weir_sim_open(&sim, &w->sim), 0);
    assert_int_equal(weir_sim_put(w->sim, "/work/.keep", "", 0), 0);
    const struct weir_io_config io = {.kind = WEIR_IO_SIM, .world = w->sim};
    assert_int_equal(weir_io_open(&io, &w->rig.io), 0);
    assert_int_equal(weir_io_start(w->rig.io), 0);
    const struct weir_snapshot_config config = {
        .io = w->rig.io, .depth = DEPTH, .block_bytes = BLOCK_BYTES};
    w->rig.world = w->sim;
    w->rig.poll_cnt_max = RIG_POLL_CNT_MAX;
    assert_int_equal(weir_snapshot_open(&config, &w->rig.writer), 0);
    assert_int_equal(weir_snapshot_reader_open(&config, &w->rig.reader), 0);
    w->mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    memset(w->mem, 0, ARENA_BYTES);
    assert_int_equal(weir_arena_init(&w->arena, &arena, w->mem, ARENA_BYTES), 0);
    w->capture_mem = capture_mem(&w->arena, 1 << 15);
    assert_int_equal(weir_capture_init(&w->capture, &w->arena, 1 << 15, w->capture_mem), 0);
    w->file = aligned_alloc(8, FILE_BYTES);
    play_open(&w->play, &w->arena, seed);
}

static void
world_close(struct world *w)
{
    weir_snapshot_close(w->rig.writer);
    weir_snapshot_reader_close(w->rig.reader);
    weir_io_close(w->rig.io);
    weir_sim_close(w->sim);
    free(w->mem);
    free(w->capture_mem);
    free(w->file);
}

/* An operation on the directory, to its end. */
static int64_t
perform_now(struct world *w, struct weir_io_op *op)
{
    assert_true(weir_io_submit(w->rig.io, op));
    while (op->state != WEIR_IO_DONE) {
        assert_true(rig_turn(&w->rig));
    }
    return op->result;
}

static bool
has_file(struct world *w, const struct weir_snapshot_id *id)
{
    char path[WEIR_SNAPSHOT_NAME_BYTES + 8] = "/work/";
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_snapshot_name(id, path + strlen(path));
    weir_io_op_stat(&op, WEIR_IO_CWD, path, &stat);
    return perform_now(w, &op) == 0;
}

static void
owner_step(struct world *w)
{
    if (weir_arena_snapshot_poll(&w->arena) != WEIR_ARENA_SNAPSHOT_FULL) {
        play_step(&w->play);
    }
}

/* The storage is silent: the simulated clock stands still, so nothing that flies comes back. */
static int
stuck_turn(struct world *w)
{
    (void)weir_io_poll(w->rig.io, w->rig.now_ns);
    return weir_snapshot_poll(w->rig.writer, w->rig.now_ns);
}

static struct weir_snapshot_source
begin(struct world *w, uint64_t id)
{
    const struct weir_snapshot_source source = {.fill = fill, .arg = &w->capture};
    assert_int_equal(weir_arena_snapshot_begin(&w->arena), WEIR_DONE);
    assert_int_equal(weir_capture_begin(&w->capture, id, id == 1), WEIR_DONE);
    return source;
}

/* Let the storage answer `turns` times, then no more; give the snapshot up in the midst of it.
 * Returns false where it was over before. */
static bool
give_up_after(struct world *w, uint32_t turns, const struct weir_snapshot_id *id)
{
    const struct weir_snapshot_source source = begin(w, id->checkpoint);
    weir_snapshot_start(w->rig.writer, id, w->dir, &source);
    int status = weir_snapshot_poll(w->rig.writer, w->rig.now_ns);
    for (uint32_t i = 0; i < turns && status == WEIR_RELAY_BUSY; i++) {
        assert_true(rig_turn(&w->rig));
        status = weir_snapshot_poll(w->rig.writer, w->rig.now_ns);
        owner_step(w);
    }
    if (status != WEIR_RELAY_BUSY) {
        assert_int_equal(status, 0);
        return false;
    }
    uint64_t op_cnt = w->play.op_cnt;
    for (uint32_t i = 0; i < STUCK_CNT; i++) {
        assert_int_equal(stuck_turn(w), WEIR_RELAY_BUSY);
        owner_step(w);
    }
    assert_true(w->play.op_cnt > op_cnt); /* the owner is not held up */
    weir_snapshot_abort(w->rig.writer);
    weir_capture_cancel(&w->capture);
    /* What flies is the storage's until it comes back, given up or not. */
    for (uint32_t i = 0; i < STUCK_CNT; i++) {
        assert_int_equal(stuck_turn(w), WEIR_RELAY_BUSY);
        owner_step(w);
    }
    assert_int_equal(rig_write(&w->rig), WEIR_ECANCELED);
    while (weir_capture_tidy(&w->capture) == WEIR_AGAIN) {
        owner_step(w);
    }
    assert_false(has_file(w, id));
    return true;
}

static void
check_whole(struct world *w, const struct weir_snapshot_id *id)
{
    uint64_t digest = play_digest(&w->arena, true);
    const struct weir_snapshot_source source = begin(w, id->checkpoint);
    weir_snapshot_start(w->rig.writer, id, w->dir, &source);
    int status;
    while ((status = weir_snapshot_poll(w->rig.writer, w->rig.now_ns)) == WEIR_RELAY_BUSY) {
        assert_true(rig_turn(&w->rig));
        owner_step(w);
    }
    assert_int_equal(status, 0);
    assert_true(weir_capture_commit(&w->capture, id->checkpoint));
    struct weir_snapshot_ack ack = *weir_snapshot_ack(w->rig.writer);
    const struct weir_snapshot_ask ask = {
        .dir = w->dir, .file = &ack, .sync = true, .sink = keep, .arg = w};
    w->file_off = w->file_bytes;
    assert_int_equal(rig_read(&w->rig, &ask), 0);
    assert_int_equal(restored_digest(w), digest);
}

static void
t_T303_a_snapshot_is_given_up_while_storage_is_stuck(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint32_t given_up_cnt = 0;
    bool goes_on = true;
    for (uint32_t turns = 0; goes_on; turns += 1 + turns / 8) {
        static struct world w;
        struct weir_io_op op;
        world_open(&w, seed + turns);
        weir_io_op_open(&op, WEIR_IO_CWD, "/work", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
        w.dir = (int32_t)perform_now(&w, &op);
        assert_true(w.dir >= 0);
        for (uint32_t i = 0; i < 200; i++) {
            play_step(&w.play);
        }
        struct weir_snapshot_id id = {.job = 7, .checkpoint = 1, .epoch = 1, .attempt = 1};
        check_whole(&w, &id);
        id.checkpoint = 2;
        goes_on = give_up_after(&w, turns, &id);
        given_up_cnt += goes_on;
        id.checkpoint = 3; /* rests on 1 */
        check_whole(&w, &id);
        assert_int_equal(weir_capture_base(&w.capture), 1);
        world_close(&w);
    }
    print_message("given up at %u moments\n", given_up_cnt);
    assert_true(given_up_cnt > 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T303_a_snapshot_is_given_up_while_storage_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
