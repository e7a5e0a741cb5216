/* SPDX-License-Identifier: Apache-2.0 */
/* An owner thread that does a bit of everything to a state arena and a storage thread that captures
 * it, again and again: each image is, byte by byte, the copy that the owner made at the barrier. */
#include <string.h>

#include "dataplane/capture.h"
#include "tests/stress/stress.h"
#include "tests/unit/seed.h"
#include "tests/unit/state_play.h"

#define ARENA_BYTES (UINT64_C(24) << 20)
#define BUF_BYTES (UINT64_C(32) << 10)
#define UNDO_CNT (1U << 13)
#define SNAPSHOT_CNT STRESS_CNT(640)
/* The owner's steps in a snapshot, before it waits for its end. */
#define STEP_CNT 60

static struct weir_arena arena;
static struct weir_capture capture;
static struct play play;
/* The owner's copies, by snapshot. What orders the two threads is the unit under test alone: a copy
 * is written again three snapshots later, when the end of the one after it is known. */
#define COPY_CNT 3
static struct {
    char *pages;
    uint32_t page_end;
} copies[COPY_CNT];
static char *image;
static WEIR_ATOMIC(uint32_t) looked;
/* writer: storage thread; read after it has ended */
static uint32_t whole_cnt;
static uint32_t declined_cnt;
static char trouble[128];

static bool
is_used(const char *pages, uint32_t page)
{
    uint8_t kind = (uint8_t)pages[(size_t)page * WEIR_PAGE_BYTES];
    return kind != WEIR_PAGE_FREE && kind != WEIR_PAGE_INDEX;
}

static void
apply(const char *buf, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes;) {
        struct weir_capture_record head;
        memcpy(&head, buf + at, sizeof head);
        const char *line = buf + at + sizeof head;
        for (uint64_t lines = head.lines; lines != 0; lines &= lines - 1) {
            memcpy(image + (size_t)head.page * WEIR_PAGE_BYTES +
                       (size_t)__builtin_ctzll(lines) * WEIR_LINE_BYTES,
                line, WEIR_LINE_BYTES);
            line += WEIR_LINE_BYTES;
        }
        at += head.bytes;
    }
}

static void
check(uint32_t number)
{
    const char *barrier = copies[number % COPY_CNT].pages;
    for (uint32_t page = 1; page < copies[number % COPY_CNT].page_end; page++) {
        size_t off = (size_t)page * WEIR_PAGE_BYTES;
        if (is_used(barrier, page) != is_used(image, page) ||
            (is_used(barrier, page) && memcmp(barrier + off, image + off, WEIR_PAGE_BYTES) != 0)) {
            (void)snprintf(
                trouble, sizeof trouble, "snapshot %u: page %u is not as it was", number, page);
        }
    }
}

static void
capture_one(uint32_t number, char *buf)
{
    /* In full now and then, else upon what the image holds: what was not whole is in the next. */
    bool is_full = number % 8 == 1;
    if (is_full) {
        memset(image, 0, (size_t)arena.page_cnt * WEIR_PAGE_BYTES);
    }
    uint32_t idle_cnt = 0;
    while (weir_capture_begin(&capture, number, is_full) == WEIR_WAIT) {
        stress_pause(&idle_cnt);
    }
    int64_t got;
    for (uint32_t turn = 0; (got = weir_capture_fill(&capture, buf, BUF_BYTES)) > 0; turn++) {
        apply(buf, got > WEIR_AGAIN ? (uint64_t)got : 0);
        if (number % 16 == 5 && turn == number % 5) {
            weir_capture_cancel(&capture);
        }
    }
    if (got == WEIR_DONE) {
        check(number);
        whole_cnt++;
        (void)weir_capture_commit(&capture, number);
        return;
    }
    declined_cnt++;
    while (weir_capture_tidy(&capture) == WEIR_AGAIN) {
    }
    /* The image holds what part of the records came to; the base is an older one, and what has
     * changed since that is in the next increment. */
}

static void *
storage_main(void *arg)
{
    (void)arg;
    char *buf = stress_alloc(BUF_BYTES);
    for (uint32_t number = 1; number <= SNAPSHOT_CNT; number++) {
        capture_one(number, buf);
        /* relaxed: it keeps the two in step, and orders nothing. */
        weir_store_rlx(&looked, number);
    }
    free(buf);
    return NULL;
}

static void
owner_turn(uint32_t number)
{
    for (uint32_t step = 0; step < 4; step++) {
        play_step(&play);
    }
    copies[number % COPY_CNT].page_end = arena.page_fresh;
    memcpy(copies[number % COPY_CNT].pages, arena.base, (size_t)arena.page_fresh * WEIR_PAGE_BYTES);
    assert_int_equal(weir_arena_snapshot_begin(&arena), WEIR_DONE);
    uint32_t idle_cnt = 0;
    /* Only this far: keys and tables come and go, but blobs must not outgrow the arena. */
    for (uint32_t step = 0; weir_load_rlx(&looked) != number;) { /* relaxed: as above */
        bool is_full = weir_arena_snapshot_poll(&arena) == WEIR_ARENA_SNAPSHOT_FULL;
        if (step < STEP_CNT && (!is_full || number % 3 == 0)) {
            play_step(&play);
            step++;
        } else {
            stress_pause(&idle_cnt);
        }
    }
}

static void
t_images_taken_beside_a_writer_are_those_of_the_barrier(void **state)
{
    (void)state;
    struct weir_arena_spec spec = {"stress", 16, {0, 16}, 64};
    void *mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    memset(mem, 0, ARENA_BYTES);
    assert_int_equal(weir_arena_init(&arena, &spec, mem, ARENA_BYTES), 0);
    uint64_t capture_bytes = weir_capture_footprint(&arena, UNDO_CNT);
    void *capture_mem = stress_alloc(capture_bytes);
    memset(capture_mem, 0, capture_bytes);
    assert_int_equal(weir_capture_init(&capture, &arena, UNDO_CNT, capture_mem), 0);
    for (uint32_t i = 0; i < COPY_CNT; i++) {
        copies[i].pages = calloc(arena.page_cnt, WEIR_PAGE_BYTES);
    }
    image = calloc(arena.page_cnt, WEIR_PAGE_BYTES);
    play_open(&play, &arena, seed_of_run());
    for (uint32_t step = 0; step < 400; step++) {
        play_step(&play);
    }
    pthread_t storage = stress_start(storage_main, NULL);
    for (uint32_t number = 1; number <= SNAPSHOT_CNT; number++) {
        owner_turn(number);
    }
    stress_join(storage);
    print_message("%u whole, %u given up; %llu lines saved, %llu laid over, %llu pages hot\n",
        whole_cnt, declined_cnt, (unsigned long long)capture.undo->saved_cnt,
        (unsigned long long)capture.laid_cnt, (unsigned long long)capture.hot_cnt);
    assert_string_equal(trouble, "");
    assert_true(whole_cnt > SNAPSHOT_CNT / 4 && declined_cnt > 0 && capture.laid_cnt > 0);
    free(mem);
    free(capture_mem);
    for (uint32_t i = 0; i < COPY_CNT; i++) {
        free(copies[i].pages);
    }
    free(image);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_images_taken_beside_a_writer_are_those_of_the_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
