/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of q7 cut and started again. They are the job's own: hence its file as a whole. */
#include "apps/nexmark/q7.c" /* for its operators, which have no door */

#include "tests/unit/restart_rows.h"

#define SEED_CNT 20

/* Bids of few prices, so that several are the best, some at the very end of a window. */
static struct facts
bids_make(uint64_t seed, bool has_watermarks)
{
    enum { STEPS = 50, ROWS = 40 };
    struct facts facts = {calloc(STEPS + 1, sizeof(struct restart_step)), 0};
    struct weir_rng rng;
    int64_t now = 0;
    weir_rng_init(&rng, seed);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct restart_step *step = &facts.steps[facts.cnt++];
        if (has_watermarks && weir_rng_chance(&rng, 1, 4)) {
            step->watermark = now - 4000;
            continue;
        }
        struct nexmark_row *rows = calloc(ROWS, sizeof *rows);
        assert_non_null(rows);
        for (uint32_t r = 0; r < ROWS; r++) {
            now += weir_rng_between(&rng, 0, 80);
            rows[r].at = now - weir_rng_between(&rng, 0, 5000);
            rows[r].at -= weir_rng_chance(&rng, 1, 5) ? rows[r].at % WINDOW_MS : 0;
            rows[r].id = (int64_t)(i * ROWS + r);
            rows[r].other = weir_rng_between(&rng, 0, 99);
            rows[r].price = weir_rng_between(&rng, 0, 12);
        }
        step->rows = rows;
        step->cnt = ROWS;
    }
    facts.steps[facts.cnt++].watermark = WEIR_WATERMARK_MAX;
    return facts;
}

static struct restart_play
play_of(const struct facts *facts)
{
    struct restart_play play;
    memset(&play, 0, sizeof play);
    play.conf.type = &pick_type;
    play.conf.in_schema[0] = nexmark_row_schema();
    play.conf.out_schema[0] = candidate_schema();
    play.conf.arena_bytes = 16 * WEIR_MIB;
    play.ends_empty = true;
    play.ends_tables = 1;
    play.steps = facts->steps;
    play.step_cnt = facts->cnt;
    return play;
}

static void
t_picks_go_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct facts facts = bids_make(seed + s, true);
        struct restart_play play = play_of(&facts);
        check_restarts(&play, seed + s, 8, false);
        facts_free(&facts);
    }
}

/* Each subtask has picks of its own; one that takes over all has those of all. */
static void
t_picks_become_one(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct facts facts = bids_make(seed + s, false);
        struct restart_play play = play_of(&facts);
        play.is_sorted = true;
        char *want = restart_text(&play, 1);
        for (uint32_t p = 2; p <= 4; p++) {
            const uint32_t cut[2] = {20, 30};
            const uint32_t cnt[3] = {p, 1, 1};
            char *is = restart_run(&play, cut, cnt, 2);
            if (strcmp(is, want) != 0) {
                first_difference(is, want);
            }
            assert_true(strcmp(is, want) == 0);
            free(is);
        }
        free(want);
        facts_free(&facts);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_picks_go_on),
        cmocka_unit_test(t_picks_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
