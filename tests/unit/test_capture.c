/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of an arena whose owner goes on writing, in one thread, the steps of both sides in an
 * order drawn from a seed. Each image is compared, byte by byte, with a copy of all pages that was
 * made at the barrier. */
#include "base/crc.h"
#include "dataplane/capture.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/seed.h"
#include "tests/unit/state_play.h"

#define ARENA_BYTES (UINT64_C(24) << 20)
#define BUF_BYTES (UINT64_C(64) << 10)

struct world {
    struct weir_arena arena;
    struct weir_capture capture;
    struct play play;
    void *mem;
    void *capture_mem;
    char *barrier; /* all pages as they were */
    char *base; /* the image of the last committed snapshot */
    char *image; /* what its records and the present ones come to */
    char *buf;
    uint32_t page_end;
};

static void
world_open(struct world *w, uint32_t undo_cnt, uint64_t seed)
{
    w->mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    memset(w->mem, 0, ARENA_BYTES);
    struct weir_arena_spec spec = {"test", 16, {4, 8}, 64};
    assert_int_equal(weir_arena_init(&w->arena, &spec, w->mem, ARENA_BYTES), 0);
    w->capture_mem = capture_mem(&w->arena, undo_cnt);
    assert_int_equal(weir_capture_init(&w->capture, &w->arena, undo_cnt, w->capture_mem), 0);
    w->barrier = calloc(w->arena.page_cnt, WEIR_PAGE_BYTES);
    w->base = calloc(w->arena.page_cnt, WEIR_PAGE_BYTES);
    w->image = calloc(w->arena.page_cnt, WEIR_PAGE_BYTES);
    w->buf = aligned_alloc(8, BUF_BYTES);
    play_open(&w->play, &w->arena, seed);
}

static void
world_close(struct world *w)
{
    free(w->mem);
    free(w->capture_mem);
    free(w->barrier);
    free(w->base);
    free(w->image);
    free(w->buf);
}

static void
barrier(struct world *w)
{
    assert_int_equal(weir_arena_snapshot_begin(&w->arena), WEIR_DONE);
    w->page_end = w->arena.page_fresh;
    memcpy(w->barrier, w->arena.base, (size_t)w->page_end * WEIR_PAGE_BYTES);
}

static uint8_t
kind_at(const char *pages, uint32_t page)
{
    return (uint8_t)pages[(size_t)page * WEIR_PAGE_BYTES];
}

static bool
is_used(const char *pages, uint32_t page)
{
    return kind_at(pages, page) != WEIR_PAGE_FREE && kind_at(pages, page) != WEIR_PAGE_INDEX;
}

/* Records into the image; says how many lines they have. */
static uint64_t
apply(struct world *w, const char *buf, uint64_t bytes)
{
    uint64_t line_cnt = 0;
    for (uint64_t at = 0; at < bytes;) {
        struct weir_capture_record head;
        memcpy(&head, buf + at, sizeof head);
        assert_true(head.page > 0 && head.page < w->page_end);
        const char *line = buf + at + sizeof head;
        for (uint64_t lines = head.lines; lines != 0; lines &= lines - 1) {
            memcpy(w->image + (size_t)head.page * WEIR_PAGE_BYTES +
                       (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES,
                line, WEIR_LINE_BYTES);
            line += WEIR_LINE_BYTES;
            line_cnt++;
        }
        assert_ptr_equal(line, buf + at + head.bytes);
        assert_int_equal(head.kind, kind_at(w->image, head.page));
        uint32_t crc = head.crc;
        head.crc = 0;
        uint32_t got = weir_crc32c(0, &head, sizeof head);
        got = weir_crc32c(got, buf + at + sizeof head, head.bytes - sizeof head);
        assert_int_equal(got, crc);
        at += head.bytes;
    }
    return line_cnt;
}

static void
check_image(const struct world *w, uint64_t round)
{
    for (uint32_t page = 1; page < w->page_end; page++) {
        const char *want = w->barrier + (size_t)page * WEIR_PAGE_BYTES;
        const char *got = w->image + (size_t)page * WEIR_PAGE_BYTES;
        if (is_used(w->barrier, page) != is_used(w->image, page) ||
            (is_used(w->barrier, page) && memcmp(want, got, WEIR_PAGE_BYTES) != 0)) {
            fail_msg("round %llu: page %u, of kind %u, is not as it was at the barrier",
                (unsigned long long)round, page, kind_at(w->barrier, page));
        }
    }
}

/* What one snapshot came to. */
enum outcome { WHOLE, DECLINED, CANCELED };

struct plan {
    uint32_t play_pct; /* of the steps are the owner's */
    uint32_t ignore_pct; /* of the owner's steps it takes although it should wait */
    uint32_t stop_ppm; /* a step ends in a cancel or in a decline by the owner */
};

static void
owner_step(struct world *w, const struct plan *plan)
{
    struct weir_rng *rng = &w->play.rng;
    if (weir_rng_chance(rng, plan->stop_ppm, 1000000)) {
        weir_arena_snapshot_decline(&w->arena);
    }
    if (weir_arena_snapshot_poll(&w->arena) == WEIR_ARENA_SNAPSHOT_FULL &&
        !weir_rng_chance(rng, plan->ignore_pct, 100)) {
        return;
    }
    play_step(&w->play);
}

static enum outcome
snapshot(struct world *w, uint64_t id, bool is_full, const struct plan *plan, uint64_t *ret_lines)
{
    struct weir_rng *rng = &w->play.rng;
    barrier(w);
    if (is_full) {
        memset(w->image, 0, (size_t)w->arena.page_cnt * WEIR_PAGE_BYTES);
    } else {
        memcpy(w->image, w->base, (size_t)w->arena.page_cnt * WEIR_PAGE_BYTES);
    }
    for (uint64_t late = plan->play_pct == 0 ? 0 : weir_rng_below(rng, 4); late > 0; late--) {
        owner_step(w, plan);
    }
    assert_int_equal(weir_capture_begin(&w->capture, id, is_full), WEIR_DONE);
    *ret_lines = 0;
    for (;;) {
        if (weir_rng_chance(rng, plan->play_pct, 100)) {
            owner_step(w, plan);
            continue;
        }
        if (weir_rng_chance(rng, plan->stop_ppm, 1000000)) {
            weir_capture_cancel(&w->capture);
        }
        uint64_t bytes = weir_rng_chance(rng, 3, 4)
                             ? WEIR_CAPTURE_RECORD_BYTES_MAX
                             : WEIR_CAPTURE_RECORD_BYTES_MAX + weir_rng_below(rng, 60000);
        int64_t got = weir_capture_fill(&w->capture, w->buf, bytes);
        if (got < 0) {
            assert_true(got == WEIR_EBUDGET || got == WEIR_ECANCELED);
            assert_int_equal(weir_capture_fill(&w->capture, w->buf, bytes), got);
            return got == WEIR_EBUDGET ? DECLINED : CANCELED;
        }
        if (got == WEIR_DONE) {
            return WHOLE;
        }
        *ret_lines += got > WEIR_AGAIN ? apply(w, w->buf, (uint64_t)got) : 0;
    }
}

static void
tidy(struct world *w, const struct plan *plan)
{
    assert_int_equal(weir_arena_snapshot_begin(&w->arena), WEIR_AGAIN);
    while (weir_capture_tidy(&w->capture) == WEIR_AGAIN) {
        owner_step(w, plan);
    }
}

static void
commit(struct world *w, uint64_t id)
{
    assert_true(weir_capture_commit(&w->capture, id));
    char *base = w->base;
    w->base = w->image;
    w->image = base;
}

/* Lines that differ between the base and what was at the barrier: an increment has no fewer. */
static uint64_t
changed_cnt(const struct world *w)
{
    uint64_t cnt = 0;
    for (uint32_t page = 1; page < w->page_end; page++) {
        for (size_t at = 0; at < WEIR_PAGE_BYTES && is_used(w->barrier, page); at += 64) {
            size_t off = (size_t)page * WEIR_PAGE_BYTES + at;
            cnt += memcmp(w->barrier + off, w->base + off, WEIR_LINE_BYTES) != 0;
        }
    }
    return cnt;
}

static void
random_snapshots(uint32_t undo_cnt, const struct plan *plan, uint32_t rounds, uint64_t seed)
{
    struct world w;
    world_open(&w, undo_cnt, seed);
    uint32_t outcomes[3] = {0, 0, 0};
    uint32_t increment_cnt = 0;
    uint64_t line_cnt = 0;
    uint64_t changed = 0;
    bool has_base = false;
    for (uint64_t round = 1; round <= rounds; round++) {
        for (uint64_t n = weir_rng_below(&w.play.rng, 6); n > 0; n--) {
            play_step(&w.play);
        }
        bool is_full = !has_base || weir_rng_chance(&w.play.rng, 1, 6);
        uint64_t lines;
        enum outcome outcome = snapshot(&w, round, is_full, plan, &lines);
        outcomes[outcome]++;
        if (outcome != WHOLE) {
            assert_false(weir_capture_commit(&w.capture, round));
            tidy(&w, plan);
            continue;
        }
        check_image(&w, round);
        if (!is_full) {
            increment_cnt++;
            uint64_t least = changed_cnt(&w);
            assert_true(lines >= least);
            line_cnt += lines;
            changed += least;
        }
        if (weir_rng_chance(&w.play.rng, 2, 3)) {
            commit(&w, round);
            has_base = true;
        }
    }
    print_message("undo %u: %u whole (%u increments, %.2f lines a changed one), %u declined, %u "
                  "canceled; %llu operations, %llu lines saved, %llu laid over, %llu pages hot\n",
        undo_cnt, outcomes[WHOLE], increment_cnt,
        changed == 0 ? 0 : (double)line_cnt / (double)changed, outcomes[DECLINED],
        outcomes[CANCELED], (unsigned long long)w.play.op_cnt,
        (unsigned long long)w.capture.undo->saved_cnt, (unsigned long long)w.capture.laid_cnt,
        (unsigned long long)w.capture.hot_cnt);
    /* A plan that does not do what it is for proves nothing. */
    assert_true(outcomes[WHOLE] > rounds / 10 && increment_cnt > 0 && w.capture.laid_cnt > 0);
    assert_true(plan->stop_ppm == 0 || (outcomes[DECLINED] > 0 && outcomes[CANCELED] > 0));
    assert_true(plan->ignore_pct == 0 || outcomes[DECLINED] > 0);
    world_close(&w);
}

static void
t_T306_images_are_those_of_the_barrier(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    const struct plan calm = {10, 0, 0};
    const struct plan busy = {60, 0, 0};
    random_snapshots(1 << 15, &calm, 150, seed);
    random_snapshots(1 << 15, &busy, 150, seed + 1);
}

static void
t_T306_what_is_given_up_is_in_the_next_image(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    const struct plan stopped = {50, 0, 1500};
    const struct plan tight = {30, 0, 300};
    const struct plan careless = {10, 100, 0};
    random_snapshots(1 << 15, &stopped, 200, seed + 2);
    random_snapshots(2048, &tight, 200, seed + 3);
    random_snapshots(512, &careless, 200, seed + 4);
}

static void
t_without_writes_nothing_is_saved_and_an_increment_is_empty(void **state)
{
    (void)state;
    struct world w;
    const struct plan still = {0, 0, 0};
    world_open(&w, 1024, 1);
    uint64_t lines;
    for (uint32_t i = 0; i < 50; i++) {
        play_step(&w.play);
    }
    barrier(&w);
    assert_int_equal(weir_capture_begin(&w.capture, 7, true), WEIR_DONE);
    assert_int_equal(weir_capture_begin(&w.capture, 8, true), WEIR_EILLEGAL);
    weir_err_clear();
    assert_int_equal(weir_capture_fill(&w.capture, w.buf, 4096), WEIR_EINVAL);
    weir_err_clear();
    assert_false(weir_capture_commit(&w.capture, 7)); /* not at its end */
    while (weir_capture_fill(&w.capture, w.buf, BUF_BYTES) != WEIR_DONE) {
    }
    assert_int_equal(weir_capture_begin(&w.capture, 8, false), WEIR_WAIT);
    assert_false(weir_capture_commit(&w.capture, 8));
    assert_true(weir_capture_commit(&w.capture, 7));
    assert_int_equal(snapshot(&w, 8, false, &still, &lines), WHOLE);
    assert_int_equal(weir_capture_base(&w.capture), 7);
    assert_int_equal(lines, 0);
    assert_int_equal(w.capture.undo->saved_cnt, 0);
    assert_int_equal(weir_arena_snapshot_poll(&w.arena), WEIR_ARENA_SNAPSHOT_NONE);
    world_close(&w);
}

/* One line changed costs one line, and its page's head. */
static void
t_an_increment_has_the_lines_that_changed_alone(void **state)
{
    (void)state;
    struct world w;
    const struct plan still = {0, 0, 0};
    world_open(&w, 1024, 1);
    for (uint32_t i = 0; i < 50; i++) {
        play_step(&w.play);
    }
    uint64_t lines;
    assert_int_equal(snapshot(&w, 1, true, &still, &lines), WHOLE);
    commit(&w, 1);
    weir_table_owner_set(w.play.table[0], 99);
    uint64_t bytes = w.capture.byte_cnt;
    assert_int_equal(snapshot(&w, 2, false, &still, &lines), WHOLE);
    assert_int_equal(lines, 1);
    assert_int_equal(
        w.capture.byte_cnt - bytes, sizeof(struct weir_capture_record) + WEIR_LINE_BYTES);
    check_image(&w, 2);
    /* Not committed: it is in the next one again, with what came since. */
    weir_table_owner_set(w.play.table[1], 98);
    assert_int_equal(snapshot(&w, 3, false, &still, &lines), WHOLE);
    assert_int_equal(lines, 2);
    assert_int_equal(weir_capture_base(&w.capture), 1);
    check_image(&w, 3);
    commit(&w, 3);
    assert_int_equal(snapshot(&w, 4, false, &still, &lines), WHOLE);
    assert_int_equal(lines, 0);
    assert_int_equal(weir_capture_base(&w.capture), 3);
    world_close(&w);
}

/* A page that is being written is captured next, and costs nothing from then on. */
static void
t_hot_pages_are_captured_first(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 1024, 1);
    for (uint32_t i = 0; i < 100; i++) {
        play_step(&w.play);
    }
    barrier(&w);
    assert_int_equal(weir_capture_begin(&w.capture, 1, true), WEIR_DONE);
    weir_table_owner_set(w.play.table[0], 1);
    uint32_t hot = w.play.table[0]->name / WEIR_ARENA_PAGE_REFS;
    int64_t got = weir_capture_fill(&w.capture, w.buf, WEIR_CAPTURE_RECORD_BYTES_MAX);
    assert_int_equal(got, WEIR_CAPTURE_RECORD_BYTES_MAX); /* the first in turn: not yet looked */
    got = weir_capture_fill(&w.capture, w.buf, WEIR_CAPTURE_RECORD_BYTES_MAX);
    assert_int_equal(got, WEIR_CAPTURE_RECORD_BYTES_MAX);
    struct weir_capture_record head;
    memcpy(&head, w.buf, sizeof head);
    assert_int_equal(w.capture.hot_cnt + (hot == 1), 1);
    assert_true(head.page == hot || hot == 1);
    uint64_t saved_cnt = w.capture.undo->saved_cnt;
    for (uint32_t i = 1; i < PLAY_TABLE_CNT; i++) {
        weir_table_owner_set(w.play.table[i], 1);
    }
    assert_int_equal(w.capture.undo->saved_cnt, saved_cnt);
    world_close(&w);
}

#define BUCKET_ROW_CNT 200

/* Who marks buckets as a whole writes them at no more cost, and the image is the barrier's. */
static void
t_T306_buckets_touched_as_a_whole_are_saved_once(void **state)
{
    static const struct weir_table_spec spec = {9, WEIR_KEY_8, 16, 0};
    (void)state;
    struct world w;
    struct weir_table *table;
    uint64_t key[BUCKET_ROW_CNT];
    uint64_t hash[BUCKET_ROW_CNT];
    void *val[BUCKET_ROW_CNT];
    uint32_t cnt = 0;
    world_open(&w, 4096, 1);
    assert_int_equal(weir_table_take(&w.arena, &spec, 0, &table), 0);
    for (uint64_t next = 1; cnt < BUCKET_ROW_CNT; next++) {
        uint32_t group = weir_hash_key_group(weir_hash_u64(next), 16);
        if (group >= 4 && group < 12) {
            key[cnt] = next;
            hash[cnt++] = weir_hash_u64(next);
        }
    }
    struct weir_table_rows rows = {
        .hash = hash, .key = (const char *)key, .key_stride = 8, .cnt = cnt, .ret_val = val};
    weir_table_touch_buckets(table, hash, cnt); /* none yet */
    assert_int_equal(weir_table_resolve(table, &rows, 0), cnt);
    barrier(&w);
    assert_int_equal(weir_capture_begin(&w.capture, 1, true), WEIR_DONE);
    weir_table_touch_buckets(table, hash, cnt);
    uint64_t saved_cnt = w.capture.undo->saved_cnt;
    assert_int_equal(saved_cnt, table->page_bytes / WEIR_LINE_BYTES);
    assert_int_equal(weir_table_resolve(table, &rows, 0), cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        memset(val[i], 7, spec.val_bytes);
    }
    assert_int_equal(w.capture.undo->saved_cnt, saved_cnt);
    int64_t got;
    while ((got = weir_capture_fill(&w.capture, w.buf, BUF_BYTES)) != WEIR_DONE) {
        (void)apply(&w, w.buf, (uint64_t)got);
    }
    check_image(&w, 1);
    world_close(&w);
}

static void
t_the_budget_grows_with_the_pages(void **state)
{
    static const struct {
        uint64_t bytes;
        uint32_t cnt;
    } due[] = {{0, WEIR_UNDO_CNT_MIN}, {WEIR_MIB, 1 << 11}, {32 * WEIR_MIB, 1 << 16},
        {64 * WEIR_MIB, 1 << 16}, {65 * WEIR_MIB, 1 << 17}, {WEIR_GIB, 1 << 20},
        {WEIR_ARENA_BYTES_MAX, WEIR_UNDO_CNT_MAX}};
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(due); i++) {
        assert_int_equal(weir_capture_undo_cnt(due[i].bytes), due[i].cnt);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_without_writes_nothing_is_saved_and_an_increment_is_empty),
        cmocka_unit_test(t_an_increment_has_the_lines_that_changed_alone),
        cmocka_unit_test(t_hot_pages_are_captured_first),
        cmocka_unit_test(t_T306_buckets_touched_as_a_whole_are_saved_once),
        cmocka_unit_test(t_the_budget_grows_with_the_pages),
        cmocka_unit_test(t_T306_images_are_those_of_the_barrier),
        cmocka_unit_test(t_T306_what_is_given_up_is_in_the_next_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
