/* SPDX-License-Identifier: Apache-2.0 */
/* restart_rows.h: random plays of facts for tests of restarts, and the comparison that they end
 * in. */
#ifndef WEIR_TESTS_UNIT_RESTART_ROWS_H
#define WEIR_TESTS_UNIT_RESTART_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/restart.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define FACT(F) F(time, at) F(i64, key) F(i64, value) F(str, name)
WEIR_SCHEMA(fact, FACT)

struct facts_opts {
    uint32_t step_cnt;
    uint32_t channel_cnt;
    uint32_t rows_max; /* of a step */
    int64_t keys;
    int64_t spread_ms; /* how far times lie behind the greatest */
    int64_t lag_ms; /* of watermarks: below spread_ms, some rows are late */
    uint32_t watermark_every; /* steps; 0: only at the end */
    uint32_t name_bytes; /* at most */
    bool is_end_at; /* times are ends of windows of 100 ms */
};

struct facts {
    struct restart_step *steps;
    uint32_t cnt;
};

static WEIR_UNUSED void
facts_free(struct facts *facts)
{
    for (uint32_t i = 0; i < facts->cnt; i++) {
        free((void *)(uintptr_t)facts->steps[i].rows);
    }
    free(facts->steps);
}

static WEIR_UNUSED void
fact_make(struct weir_rng *rng, const struct facts_opts *opts, int64_t now, char *base,
    size_t *used, struct fact *ret_row)
{
    char *name = base + *used;
    uint32_t bytes = (uint32_t)weir_rng_below(rng, opts->name_bytes + 1);
    memset(ret_row, 0, sizeof *ret_row);
    ret_row->at = now - weir_rng_between(rng, 0, opts->spread_ms);
    if (opts->is_end_at) {
        ret_row->at = ret_row->at / 100 * 100 + 100;
    }
    ret_row->key = weir_rng_between(rng, 0, opts->keys - 1);
    ret_row->value = weir_rng_between(rng, -50, 50);
    for (uint32_t i = 0; i < bytes; i++) {
        name[i] = (char)('a' + weir_rng_below(rng, 26));
    }
    ret_row->name = weir_str_ref(base, name, bytes);
    *used += bytes;
}

static WEIR_UNUSED struct facts
facts_make(uint64_t seed, const struct facts_opts *opts)
{
    struct facts facts = {NULL, 0};
    struct weir_rng rng;
    int64_t now = 1000;
    weir_rng_init(&rng, seed);
    facts.steps = calloc(opts->step_cnt + opts->channel_cnt, sizeof *facts.steps);
    assert_non_null(facts.steps);
    for (uint32_t i = 0; i < opts->step_cnt; i++) {
        struct restart_step *step = &facts.steps[facts.cnt++];
        step->channel = (uint32_t)weir_rng_below(&rng, opts->channel_cnt);
        if (opts->watermark_every != 0 && weir_rng_chance(&rng, 1, opts->watermark_every)) {
            step->watermark = now - opts->lag_ms;
            continue;
        }
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 1, opts->rows_max);
        size_t used = cnt * sizeof(struct fact);
        struct fact *rows = calloc(1, used + (size_t)cnt * opts->name_bytes + 1);
        assert_non_null(rows);
        for (uint32_t r = 0; r < cnt; r++) {
            now += weir_rng_between(&rng, 0, 3);
            fact_make(&rng, opts, now, (char *)rows, &used, &rows[r]);
        }
        step->rows = rows;
        step->cnt = cnt;
    }
    for (uint32_t c = 0; c < opts->channel_cnt; c++) {
        facts.steps[facts.cnt++] =
            (struct restart_step){.channel = c, .watermark = WEIR_WATERMARK_MAX};
    }
    return facts;
}

/* Random cuts, in order. */
static WEIR_UNUSED void
cuts_make(struct weir_rng *rng, uint32_t step_cnt, uint32_t *cut, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t at = i;
        uint32_t is = (uint32_t)weir_rng_below(rng, step_cnt + 1);
        for (; at > 0 && cut[at - 1] > is; at--) {
            cut[at] = cut[at - 1];
        }
        cut[at] = is;
    }
}

/* The texts may be long: where they begin to differ. */
static WEIR_UNUSED void
first_difference(const char *is, const char *want)
{
    size_t at = 0;
    size_t line = 0;
    for (; is[at] == want[at] && is[at] != '\0'; at++) {
        line = is[at] == '\n' ? at + 1 : line;
    }
    print_message("byte %zu: is %.200s\nwanted %.200s\n", at, is + line, want + line);
}

/* Cut at random and restart; what comes out is the same. rescales: the number of subtasks changes
 * at each cut. */
static WEIR_UNUSED void
check_restarts(struct restart_play *play, uint64_t seed, uint32_t trial_cnt, bool rescales)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    play->is_sorted |= rescales;
    char *want = restart_text(play, 1);
    assert_true(strlen(want) > 0);
    for (uint32_t t = 0; t < trial_cnt; t++) {
        uint32_t cut[3];
        uint32_t cnt[4] = {1, 1, 1, 1};
        uint32_t cut_cnt = (uint32_t)weir_rng_between(&rng, 1, 3);
        cuts_make(&rng, play->step_cnt - 1, cut, cut_cnt);
        for (uint32_t i = 0; i <= cut_cnt && rescales; i++) {
            cnt[i] = (uint32_t)weir_rng_between(&rng, 1, 3);
        }
        play->always_moves = rescales || weir_rng_chance(&rng, 1, 2);
        play->by_savepoint = play->conf.spill == NULL && t % 2 == 1;
        char *is = restart_run(play, cut, cnt, cut_cnt);
        if (strcmp(is, want) != 0) {
            first_difference(is, want);
            print_message("seed %llu: cuts %u %u %u, subtasks %u %u %u %u\n",
                (unsigned long long)seed, cut[0], cut_cnt > 1 ? cut[1] : 0,
                cut_cnt > 2 ? cut[2] : 0, cnt[0], cnt[1], cnt[2], cnt[3]);
            print_message("by %s\n", play->by_savepoint ? "savepoint" : "checkpoint");
        }
        assert_true(strcmp(is, want) == 0);
        free(is);
    }
    free(want);
}

#endif
