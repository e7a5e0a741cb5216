/* SPDX-License-Identifier: Apache-2.0 */
/* The source of a mapped log, polled by hand. */
#include "apps/nexmark/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/region.h"
#include "base/rng.h"
#include "dataplane/out.h"
#include "dataplane/parts.h"
#include "io/io.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define EVENT_CNT 40000
#define LATE_EVERY 977 /* events, where some are late */
#define LATE_MS 8000
#define BUF_BYTES (NEXMARK_EVENT_BYTES * WEIR_BATCH_ROW_CNT_MAX)

struct rig {
    char path[64];
    FILE *file;
    struct weir_io *io;
    struct weir_region_table regions;
    struct weir_operator_env env;
    struct nexmark_source_conf conf;
    struct weir_operator op;
    struct weir_out out;
    uint16_t sel[WEIR_BATCH_ROW_CNT_MAX];
    bool has_late; /* some events come after a watermark that passes them */
    bool restarts; /* between polls, now and then, from what it kept */
    uint32_t restart_cnt;
    struct weir_rng rng;
};

static int
file_write(void *to, uint64_t off, const void *bytes, size_t byte_cnt)
{
    struct rig *rig = to;
    bool is_done = fseek(rig->file, (long)off, SEEK_SET) == 0 &&
                   fwrite(bytes, 1, byte_cnt, rig->file) == byte_cnt;
    return is_done ? 0 : WEIR_EIO;
}

/* Event i as it stands in the log. */
static void
log_event(const struct rig *rig, const struct nexmark_gen *gen, uint64_t i, struct nexmark_event *e)
{
    nexmark_gen_fill(gen, i, 1, e);
    if (rig->has_late && i % LATE_EVERY == LATE_EVERY - 1) {
        e->time_ms -= LATE_MS;
    }
}

/* A log of generated events: one in fifty is a person, three are auctions. */
static void
log_write(struct rig *rig)
{
    static uint8_t buffer[NEXMARK_LOG_BUFFER_BYTES_MIN];
    static struct nexmark_log_writer writer;
    static struct nexmark_gen gen;
    struct nexmark_log_writer_opts to = {file_write, rig, EVENT_CNT, buffer, sizeof buffer};
    struct nexmark_gen_opts opts;
    nexmark_gen_opts_default(&opts);
    opts.event_cnt = EVENT_CNT;
    assert_int_equal(nexmark_gen_init(&gen, &opts), 0);
    assert_int_equal(nexmark_log_writer_init(&writer, &to), 0);
    for (uint64_t i = 0; i < EVENT_CNT; i++) {
        uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
        struct nexmark_event e;
        log_event(rig, &gen, i, &e);
        e.payload_bytes = nexmark_gen_payload(&gen, i, &e, payload);
        assert_int_equal(nexmark_log_append(&writer, &e, payload), 0);
    }
    assert_int_equal(nexmark_log_finish(&writer), 0);
}

static struct rig *
rig_open_want(struct nexmark_want want, uint32_t batch_rows, bool has_late)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->has_late = has_late;
    strcpy(rig->path, "/tmp/weir-nexmark-source-XXXXXX");
    int fd = mkstemp(rig->path);
    assert_true(fd >= 0);
    rig->file = fdopen(fd, "w+b");
    assert_non_null(rig->file);
    log_write(rig);
    assert_int_equal(fclose(rig->file), 0);
    struct weir_io_config config = {.kind = WEIR_IO_POSIX};
    assert_int_equal(weir_io_open(&config, &rig->io), 0);
    assert_int_equal(weir_region_table_init(&rig->regions), 0);
    rig->env.subtask_cnt = 1;
    rig->env.io = rig->io;
    rig->env.regions = &rig->regions;
    rig->conf.path = rig->path;
    rig->conf.want = want;
    rig->op.type = want.brief ? &nexmark_log_brief_type : &nexmark_log_type;
    rig->op.conf = &rig->conf;
    rig->op.env = &rig->env;
    rig->op.self = calloc(1, nexmark_log_type.self_bytes);
    assert_non_null(rig->op.self);
    assert_int_equal(nexmark_log_type.open(&rig->op), 0);
    struct weir_out_shape shape = {
        .schema = want.brief ? nexmark_brief_schema() : nexmark_row_schema(),
        .columns = rig->op.type->columns,
        .buf_bytes = BUF_BYTES,
        .batch_rows = batch_rows};
    rig->out.buf_bytes = BUF_BYTES;
    rig->out.base = aligned_alloc(WEIR_PAGE_BYTES, BUF_BYTES);
    assert_non_null(rig->out.base);
    weir_out_init(&rig->out, &shape);
    rig->out.sel_buf = rig->sel;
    return rig;
}

static struct rig *
rig_open(uint32_t kinds, uint32_t batch_rows)
{
    struct nexmark_want want = {kinds, kinds, false};
    return rig_open_want(want, batch_rows, false);
}

static void
rig_close(struct rig *rig)
{
    assert_int_equal(nexmark_log_type.close(&rig->op, true), 0);
    weir_region_table_fini(&rig->regions);
    weir_io_close(rig->io);
    assert_int_equal(unlink(rig->path), 0);
    free(rig->out.base);
    free(rig->op.self);
    free(rig);
}

/* The operator writes down where it is, and another one goes on there. */
static void
op_restart(struct weir_operator *op)
{
    static uint64_t parts[512];
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
    size_t bytes;
    weir_parts_writer_init(&writer, parts, sizeof parts);
    weir_parts_writer_of(&writer, "events");
    assert_int_equal(op->type->snapshot(op, 1, &writer), 0);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(op->type->close(op, false), 0);
    memset(op->self, 0, op->type->self_bytes);
    assert_int_equal(op->type->open(op), 0);
    assert_int_equal(weir_parts_reader_init(&reader, parts, bytes), 0);
    weir_parts_reader_of(&reader, "events");
    assert_int_equal(op->type->restore(op, &reader, 1), 0);
}

static void
maybe_restart(struct rig *rig)
{
    if (rig->restarts && weir_rng_chance(&rig->rng, 1, 12)) {
        op_restart(&rig->op);
        rig->restart_cnt++;
    }
}

/* What the polls of a whole log gave. */
struct tally {
    uint64_t events; /* done with */
    uint64_t wanted;
    uint32_t looked_most; /* events of one poll */
    uint32_t wanted_most;
    uint32_t wanted_least; /* of polls that the bound on looking did not end, nor the log */
};

/* Poll to the end; every delivered row is wanted, and none between two of them is. */
static struct tally
poll_all(struct rig *rig)
{
    struct tally tally = {.wanted_least = UINT32_MAX};
    struct weir_view empty = rig->out.view;
    uint32_t kinds = rig->conf.want.kinds;
    int rc = WEIR_AGAIN;
    while (rc != WEIR_DONE) {
        rig->out.view = empty;
        rig->out.watermark_set = false;
        maybe_restart(rig);
        rc = nexmark_log_type.poll(&rig->op, &rig->out, 0);
        assert_true(rc == WEIR_AGAIN || rc == WEIR_DONE);
        const struct weir_view *view = &rig->out.view;
        const struct nexmark_row *rows = (const struct nexmark_row *)(const void *)view->rows;
        uint32_t selected = 0;
        for (uint32_t i = 0; i < view->row_cnt; i++) {
            if (kinds >> nexmark_row_kind(&rows[i]) & 1) {
                assert_true(selected < view->cnt);
                assert_int_equal(weir_view_row(view, selected), i);
                assert_true(rows[i].at >= view->time_min && rows[i].at <= view->time_max);
                selected++;
            }
        }
        assert_int_equal(selected, view->cnt);
        tally.events += view->row_cnt;
        tally.wanted += view->cnt;
        tally.looked_most = (uint32_t)weir_max_u64(tally.looked_most, view->row_cnt);
        tally.wanted_most = (uint32_t)weir_max_u64(tally.wanted_most, view->cnt);
        bool is_cut = view->row_cnt == NEXMARK_LOG_POLL_EVENTS || rc == WEIR_DONE ||
                      tally.events % NEXMARK_LOG_POLL_EVENTS == 0;
        if (!is_cut) {
            tally.wanted_least = weir_min_u32(tally.wanted_least, view->cnt);
        }
        assert_int_equal(rig->op.rows_in, tally.events - tally.wanted);
    }
    assert_int_equal(tally.events, EVENT_CNT);
    return tally;
}

static void
t_few_wanted_events_fill_batches(void **state)
{
    (void)state;
    struct rig *rig = rig_open(NEXMARK_PERSONS, 64);
    struct tally tally = poll_all(rig);
    assert_int_equal(tally.wanted, EVENT_CNT / 50);
    assert_true(tally.wanted_least >= 32 && tally.wanted_most <= 64);
    rig_close(rig);
}

static void
t_a_poll_is_bounded(void **state)
{
    (void)state;
    struct rig *rig = rig_open(NEXMARK_PERSONS, WEIR_BATCH_ROW_CNT_MAX);
    struct tally tally = poll_all(rig);
    assert_int_equal(tally.wanted, EVENT_CNT / 50);
    assert_int_equal(tally.looked_most, NEXMARK_LOG_POLL_EVENTS);
    rig_close(rig);
}

static void
t_batches_of_any_size_hold_what_is_wanted(void **state)
{
    static const uint32_t rows[] = {1, 2, 3, 100, 1024, WEIR_BATCH_ROW_CNT_MAX};
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        struct rig *rig = rig_open(NEXMARK_PERSONS | NEXMARK_BIDS, rows[i]);
        struct tally tally = poll_all(rig);
        assert_int_equal(tally.wanted, EVENT_CNT / 50 * 47);
        assert_true(tally.wanted_most <= rows[i]);
        rig_close(rig);
    }
}

/* The next event of a kind at or after *at; *max takes in the times of those before it. */
static bool
next_wanted(const struct rig *rig, const struct nexmark_gen *gen, uint64_t *at,
    struct nexmark_event *ret_event, int64_t *max)
{
    while (*at < EVENT_CNT) {
        log_event(rig, gen, (*at)++, ret_event);
        if (rig->conf.want.kinds >> ret_event->kind & 1) {
            return true;
        }
        *max = weir_max_i64(*max, ret_event->time_ms);
    }
    return false;
}

/* Each wanted event once, in order, under a watermark that says whether it is late. */
static uint64_t
check_brief(struct rig *rig)
{
    static struct nexmark_gen gen;
    struct nexmark_gen_opts opts;
    struct weir_view empty = rig->out.view;
    uint64_t at = 0;
    uint64_t late_cnt = 0;
    int64_t max = INT64_MIN / 2;
    struct nexmark_event e;
    nexmark_gen_opts_default(&opts);
    opts.event_cnt = EVENT_CNT;
    assert_int_equal(nexmark_gen_init(&gen, &opts), 0);
    for (int rc = WEIR_AGAIN; rc != WEIR_DONE;) {
        rig->out.view = empty;
        rig->out.watermark_set = false;
        maybe_restart(rig);
        rc = rig->op.type->poll(&rig->op, &rig->out, 0);
        assert_true(rc == WEIR_AGAIN || rc == WEIR_DONE);
        const struct weir_view *view = &rig->out.view;
        assert_true(view->cnt <= rig->out.row_cap && view->sel == NULL);
        for (uint32_t i = 0; i < view->cnt; i++) {
            assert_true(next_wanted(rig, &gen, &at, &e, &max));
            assert_int_equal(WEIR_COLUMN(view, struct nexmark_brief, id)[i], e.id_or_auction);
            assert_int_equal(weir_view_time(view, i), e.time_ms);
            assert_true(e.time_ms >= view->time_min && e.time_ms <= view->time_max);
            bool is_late = e.time_ms <= max - 4000;
            assert_int_equal(e.time_ms <= view->watermark, is_late);
            late_cnt += is_late;
            max = weir_max_i64(max, e.time_ms);
        }
    }
    assert_false(next_wanted(rig, &gen, &at, &e, &max));
    return late_cnt;
}

static void
t_brief_rows_are_the_wanted_events(void **state)
{
    static const uint32_t rows[] = {1, 3, 100, 1024, WEIR_BATCH_ROW_CNT_MAX};
    static const uint32_t kinds[] = {NEXMARK_BIDS, NEXMARK_PERSONS | NEXMARK_BIDS, NEXMARK_ALL};
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        for (size_t k = 0; k < WEIR_ARRAY_CNT(kinds); k++) {
            struct nexmark_want want = {kinds[k], 0, true};
            struct rig *rig = rig_open_want(want, rows[i], false);
            assert_int_equal(check_brief(rig), 0);
            rig_close(rig);
            rig = rig_open_want(want, rows[i], true);
            assert_true(check_brief(rig) >= EVENT_CNT / LATE_EVERY / 2);
            rig_close(rig);
        }
    }
}

/* O1: no gap, no overlap, and what was late is late. */
static void
t_a_log_is_gone_on_with(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t i = 0; i < 4; i++) {
        struct nexmark_want want = {NEXMARK_PERSONS | NEXMARK_BIDS, 0, true};
        struct rig *rig = rig_open_want(want, 300, i % 2 == 1);
        rig->restarts = true;
        weir_rng_init(&rig->rng, seed + i);
        assert_true(check_brief(rig) >= (i % 2 == 1 ? EVENT_CNT / LATE_EVERY / 2 : 0));
        assert_true(rig->restart_cnt > 3);
        rig_close(rig);
        rig = rig_open(NEXMARK_PERSONS | NEXMARK_BIDS, 300);
        rig->restarts = true;
        weir_rng_init(&rig->rng, seed + i);
        (void)poll_all(rig);
        assert_true(rig->restart_cnt > 3);
        rig_close(rig);
    }
}

/* A log that is another one is refused. */
static void
t_another_log_is_refused(void **state)
{
    static uint64_t parts[512];
    (void)state;
    struct rig *rig = rig_open(NEXMARK_ALL, 300);
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
    size_t bytes;
    weir_parts_writer_init(&writer, parts, sizeof parts);
    weir_parts_writer_of(&writer, "events");
    weir_parts_begin(&writer, "events", 1);
    weir_parts_put_u64(&writer, EVENT_CNT + 1);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&reader, parts, bytes), 0);
    weir_parts_reader_of(&reader, "events");
    assert_int_equal(rig->op.type->restore(&rig->op, &reader, 1), WEIR_ESTATE);
    assert_non_null(strstr(weir_err_at(0), "40000 events"));
    weir_err_clear();
    rig_close(rig);
}

/* Generators, some as the number of subtasks changes: each event once. */
enum { GEN_CNT = 400000, SUBTASKS = 4, STAGES = 4 };

struct cast {
    struct weir_operator op[SUBTASKS];
    struct weir_operator_env env[SUBTASKS];
    bool is_done[SUBTASKS];
    uint32_t cnt;
    uint64_t parts[SUBTASKS][2048];
    struct weir_parts_reader reader[SUBTASKS];
    uint8_t *seen; /* [GEN_CNT] */
};

static void
cast_come(struct cast *cast, const struct nexmark_source_conf *conf, uint32_t cnt, uint32_t old_cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        cast->env[i] = (struct weir_operator_env){.subtask_idx = i, .subtask_cnt = cnt};
        cast->op[i] = (struct weir_operator){
            .type = &nexmark_gen_type, .conf = conf, .env = &cast->env[i], .uid = "events"};
        cast->op[i].self = calloc(1, nexmark_gen_type.self_bytes);
        cast->is_done[i] = false;
        assert_int_equal(nexmark_gen_type.open(&cast->op[i]), 0);
        if (old_cnt > 0) {
            assert_int_equal(nexmark_gen_type.restore(&cast->op[i], cast->reader, old_cnt), 0);
        }
    }
    cast->cnt = cnt;
}

static void
cast_leave(struct cast *cast)
{
    for (uint32_t i = 0; i < cast->cnt; i++) {
        struct weir_parts_writer writer;
        size_t bytes;
        weir_parts_writer_init(&writer, cast->parts[i], sizeof cast->parts[i]);
        weir_parts_writer_of(&writer, "events");
        assert_int_equal(nexmark_gen_type.snapshot(&cast->op[i], 1, &writer), 0);
        assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
        assert_int_equal(weir_parts_reader_init(&cast->reader[i], cast->parts[i], bytes), 0);
        weir_parts_reader_of(&cast->reader[i], "events");
        assert_int_equal(nexmark_gen_type.close(&cast->op[i], false), 0);
        free(cast->op[i].self);
    }
}

/* Poll one of them; the positions of its rows are new ones. */
static void
cast_poll(struct cast *cast, struct weir_out *out, const struct weir_view *empty, uint32_t i)
{
    struct weir_operator *op = &cast->op[i];
    if (cast->is_done[i]) {
        return;
    }
    out->view = *empty;
    out->watermark_set = false;
    out->heap_end = BUF_BYTES;
    int rc = nexmark_gen_type.poll(op, out, 0);
    assert_true(rc == WEIR_AGAIN || rc == WEIR_DONE);
    cast->is_done[i] = rc == WEIR_DONE;
    for (uint64_t n = op->work_done - out->view.row_cnt; n < op->work_done; n++) {
        assert_int_equal(cast->seen[n]++, 0);
    }
}

static void
t_events_are_dealt_out_anew(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    struct nexmark_source_conf conf = {.want = {NEXMARK_ALL, 0, false}};
    struct rig *rig = rig_open(NEXMARK_ALL, 1024);
    const struct weir_view empty = rig->out.view;
    nexmark_gen_opts_default(&conf.gen);
    conf.gen.event_cnt = GEN_CNT;
    for (uint32_t s = 0; s < 60; s++) {
        struct cast *cast = calloc(1, sizeof *cast);
        weir_rng_init(&rig->rng, seed + s);
        cast->seen = calloc(1, GEN_CNT);
        for (uint32_t stage = 0; stage < STAGES; stage++) {
            cast_come(cast, &conf, (uint32_t)weir_rng_between(&rig->rng, 1, SUBTASKS), cast->cnt);
            /* One may be much faster than others. */
            uint32_t fast = (uint32_t)weir_rng_below(&rig->rng, cast->cnt);
            for (uint64_t n = weir_rng_below(&rig->rng, 200); n > 0; n--) {
                uint32_t any = (uint32_t)weir_rng_below(&rig->rng, cast->cnt);
                cast_poll(cast, &rig->out, &empty, weir_rng_chance(&rig->rng, 1, 2) ? fast : any);
            }
            cast_leave(cast);
        }
        cast_come(cast, &conf, 1 + s % SUBTASKS, cast->cnt);
        for (uint32_t i = 0; i < cast->cnt; i++) {
            while (!cast->is_done[i]) {
                cast_poll(cast, &rig->out, &empty, i);
            }
        }
        cast_leave(cast);
        for (uint32_t n = 0; n < GEN_CNT; n++) {
            assert_int_equal(cast->seen[n], 1);
        }
        free(cast->seen);
        free(cast);
    }
    rig_close(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_few_wanted_events_fill_batches),
        cmocka_unit_test(t_a_poll_is_bounded),
        cmocka_unit_test(t_batches_of_any_size_hold_what_is_wanted),
        cmocka_unit_test(t_brief_rows_are_the_wanted_events),
        cmocka_unit_test(t_a_log_is_gone_on_with),
        cmocka_unit_test(t_another_log_is_refused),
        cmocka_unit_test(t_events_are_dealt_out_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
