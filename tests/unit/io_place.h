/* SPDX-License-Identifier: Apache-2.0 */
/* io_place.h: a place to work in for tests of io.h, and its operations one at a time. */
#ifndef WEIR_TESTS_UNIT_IO_PLACE_H
#define WEIR_TESTS_UNIT_IO_PLACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "io/io.h"
#include "io/sim.h"
#include "tests/unit/test.h"

#define SEED_DEFAULT 1
#define ROUND_CNT_MAX 20000

/* A place to work in: a fresh directory of the host, or of a fresh world. */
struct place {
    enum weir_io_kind kind;
    struct weir_sim *world;
    struct weir_io *io;
    int64_t now_ns;
    char dir[64];
};

static WEIR_UNUSED uint64_t
seed(void)
{
    const char *text = getenv("WEIR_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : SEED_DEFAULT;
}

static WEIR_UNUSED void
open_place(struct place *place, enum weir_io_kind kind, uint32_t depth)
{
    memset(place, 0, sizeof *place);
    place->kind = kind;
    if (kind == WEIR_IO_SIM) {
        struct weir_sim_config config = {.seed = seed(), .short_ppm = 200000};
        print_message("seed %llu\n", (unsigned long long)config.seed);
        assert_int_equal(weir_sim_open(&config, &place->world), 0);
        (void)snprintf(place->dir, sizeof place->dir, "/work");
    } else {
        (void)snprintf(place->dir, sizeof place->dir, "/tmp/weir-io-XXXXXX");
        assert_non_null(mkdtemp(place->dir));
    }
    struct weir_io_config config = {.kind = kind, .depth = depth, .world = place->world};
    assert_int_equal(weir_io_open(&config, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
    place->now_ns = weir_io_clock_ns(place->io);
}

static WEIR_UNUSED int
set_up(void **state, enum weir_io_kind kind)
{
    struct place *place = malloc(sizeof *place);
    open_place(place, kind, 0);
    if (kind == WEIR_IO_SIM) {
        assert_int_equal(weir_sim_put(place->world, "/work/.keep", "", 0), 0);
    }
    *state = place;
    return 0;
}

static WEIR_UNUSED int
set_up_uring(void **state)
{
    return set_up(state, WEIR_IO_URING);
}

static WEIR_UNUSED int
set_up_posix(void **state)
{
    return set_up(state, WEIR_IO_POSIX);
}

static WEIR_UNUSED int
set_up_sim(void **state)
{
    return set_up(state, WEIR_IO_SIM);
}

static WEIR_UNUSED void
close_place(struct place *place)
{
    weir_io_close(place->io);
    weir_sim_close(place->world);
    if (place->kind != WEIR_IO_SIM) {
        char command[128];
        (void)snprintf(command, sizeof command, "rm -rf '%s'", place->dir);
        assert_int_equal(system(command), 0);
    }
}

static WEIR_UNUSED int
tear_down(void **state)
{
    close_place(*state);
    free(*state);
    return 0;
}

/* One step of the owner's loop: what is ready, else wait for it or move the simulated clock. */
static WEIR_UNUSED void
step(struct place *place)
{
    if (place->kind == WEIR_IO_SIM) {
        int64_t due_ns = weir_io_due_ns(place->io);
        assert_true(due_ns < INT64_MAX);
        place->now_ns = weir_max_i64(place->now_ns, due_ns);
        (void)weir_io_poll(place->io, place->now_ns);
        return;
    }
    if (weir_io_poll(place->io, weir_io_clock_ns(place->io)) == 0) {
        weir_io_wait(place->io, WEIR_SEC_NS, -1);
    }
}

static WEIR_UNUSED int64_t
finish(struct place *place, struct weir_io_op *op)
{
    for (int i = 0; i < ROUND_CNT_MAX && op->state != WEIR_IO_DONE; i++) {
        step(place);
    }
    assert_int_equal(op->state, WEIR_IO_DONE);
    return op->result;
}

static WEIR_UNUSED int64_t
perform(struct place *place, struct weir_io_op *op)
{
    assert_true(weir_io_submit(place->io, op));
    assert_int_equal(op->state, WEIR_IO_FLYING);
    return finish(place, op);
}

static WEIR_UNUSED const char *
at(struct place *place, const char *name)
{
    static char path[4][256];
    static int next;
    char *to = path[next++ % 4];
    (void)snprintf(to, sizeof path[0], "%s/%s", place->dir, name);
    return to;
}

static WEIR_UNUSED int32_t
open_file(struct place *place, const char *name, uint32_t flags)
{
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, name), flags);
    int64_t file = perform(place, &op);
    assert_true(file >= 0);
    return (int32_t)file;
}

static WEIR_UNUSED void
close_file(struct place *place, int32_t file)
{
    struct weir_io_op op;
    weir_io_op_close(&op, file);
    assert_int_equal(perform(place, &op), 0);
}

static WEIR_UNUSED void
put_file(struct place *place, const char *name, const char *text)
{
    int32_t file = open_file(place, name, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    struct weir_io_op op;
    weir_io_op_write(&op, file, text, strlen(text), 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), strlen(text));
    close_file(place, file);
}

static WEIR_UNUSED void
open_io(struct place *place)
{
    struct weir_io_config config = {.kind = place->kind, .world = place->world};
    assert_int_equal(weir_io_open(&config, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
}

#define ON_HOST(f)                                      \
    {#f " io_uring", f, set_up_uring, tear_down, NULL}, \
    {                                                   \
#f " posix", f, set_up_posix, tear_down, NULL   \
    }
#define ON_SIM(f)                                 \
    {                                             \
#f " sim", f, set_up_sim, tear_down, NULL \
    }
#define ON_ALL(f) ON_HOST(f), ON_SIM(f)

#endif
