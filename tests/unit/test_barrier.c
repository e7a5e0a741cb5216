/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.3 and T.4 on the state machine that tasks run (those with records in them are in
 * test_checkpoint.c), then random inputs against a model that keeps every barrier ever seen.
 *
 * A line is what came and what came of it. Came: B1.0 a barrier of checkpoint 1 on channel 0, C1.0
 * a cancel marker, E0 the end of the channel, D0 data, S1 the coordinator starts it, X1 it gives it
 * up. Came of it: T1 triggered, -1c aborted (c canceled, s subsumed, e end of input, x given up);
 * the channels that are blocked now. */
#include "dataplane/barrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define CHANNEL_CNT_MAX 70
#define DATA_BYTES 100

struct rig {
    struct weir_barrier *barrier;
    uint32_t channel_cnt;
    struct weir_barrier_when when;
    bool blocked[CHANNEL_CNT_MAX];
    struct weir_barrier_result result;
    uint32_t triggered_cnt;
    uint32_t aborted_cnt;
    char out[1024];
};

static struct rig
rig_open(enum weir_barrier_mode mode, uint32_t channel_cnt, bool after_end)
{
    const struct weir_barrier_conf conf = {
        .mode = mode, .channel_cnt = channel_cnt, .after_end = after_end};
    struct rig rig;
    memset(&rig, 0, sizeof rig);
    void *mem = malloc(weir_barrier_footprint(&conf));
    assert_non_null(mem);
    rig.barrier = weir_barrier_init(&conf, mem);
    rig.channel_cnt = channel_cnt;
    return rig;
}

static void
rig_close(struct rig *rig)
{
    free(rig->barrier);
}

static const struct weir_barrier_result *
give(struct rig *rig, char what, uint64_t id, uint32_t channel)
{
    const struct weir_mark mark = {.id = id, .trigger_ns = 0};
    switch (what) {
    case 'B':
        assert_false(rig->blocked[channel]); /* nothing is read off it */
        return weir_barrier_come(rig->barrier, channel, &mark, &rig->when);
    case 'C':
        return weir_barrier_cancel(rig->barrier, channel, id);
    case 'E':
        return weir_barrier_end(rig->barrier, channel, &rig->when);
    case 'S':
        return weir_barrier_start(rig->barrier, &mark, &rig->when);
    default:
        return weir_barrier_abort(rig->barrier, id);
    }
}

/* Do as the result says, as a task does, and write it down. */
static void
apply(struct rig *rig, const struct weir_barrier_result *result)
{
    static const char letters[] = "?csex";
    char *at = rig->out;
    if (result->unblock) {
        memset(rig->blocked, 0, sizeof rig->blocked);
    }
    if (result->block != WEIR_BARRIER_CHANNEL_NONE) {
        rig->blocked[result->block] = true;
    }
    *at = 0;
    for (uint32_t i = 0; i < result->abort_cnt; i++) {
        at += sprintf(at, "-%llu%c ", (unsigned long long)result->aborts[i].id,
            letters[result->aborts[i].reason]);
        assert_true(at < rig->out + sizeof rig->out - 32);
    }
    if (result->triggered) {
        at += sprintf(at, "T%llu ", (unsigned long long)result->mark.id);
    }
    for (uint32_t c = 0; c < rig->channel_cnt; c++) {
        assert_int_equal(weir_barrier_is_blocked(rig->barrier, c), rig->blocked[c]);
        if (rig->blocked[c] && at < rig->out + sizeof rig->out - 8) {
            at += sprintf(at, "%u ", c);
        }
    }
    if (at > rig->out) {
        at[-1] = 0;
    }
    rig->aborted_cnt += result->abort_cnt;
    rig->triggered_cnt += result->triggered;
    rig->result = *result;
}

/* One input, and what came of it in full. */
static void
step(struct rig *rig, const char *came, const char *want)
{
    unsigned long long id = 0;
    unsigned channel = 0;
    switch (came[0]) {
    case 'D':
        channel = (unsigned)atoi(came + 1);
        assert_false(rig->blocked[channel]);
        rig->when.bytes += DATA_BYTES;
        return;
    case 'E':
        channel = (unsigned)atoi(came + 1);
        break;
    case 'S':
    case 'X':
        id = strtoull(came + 1, NULL, 10);
        break;
    default:
        assert_int_equal(sscanf(came + 1, "%llu.%u", &id, &channel), 2);
    }
    apply(rig, give(rig, came[0], id, channel));
    if (strcmp(rig->out, want) != 0) {
        fail_msg("%s: \"%s\", not \"%s\"", came, rig->out, want);
    }
}

/* Pairs of input and outcome. */
static void
play(struct rig *rig, const char *const (*lines)[2], size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        step(rig, lines[i][0], lines[i][1]);
    }
}

#define PLAY(rig, ...)                                     \
    do {                                                   \
        static const char *const lines[][2] = __VA_ARGS__; \
        play(rig, lines, WEIR_ARRAY_CNT(lines));           \
    } while (0)

/* ---- aligned ---- */

static void
t_T030_without_barriers_nothing_is_due(void **state)
{
    (void)state;
    struct rig one = rig_open(WEIR_BARRIER_ALIGNED, 1, true);
    PLAY(&one, {{"D0", ""}, {"D0", ""}, {"E0", ""}});
    rig_close(&one);
    struct rig four = rig_open(WEIR_BARRIER_ALIGNED, 4, true);
    PLAY(&four,
        {{"D2", ""}, {"D3", ""}, {"E1", ""}, {"D0", ""}, {"E3", ""}, {"E0", ""}, {"E2", ""}});
    assert_int_equal(weir_barrier_open_cnt(four.barrier), 0);
    rig_close(&four);
}

static void
t_T031_one_channel_never_aligns(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 1, true);
    static const char *const came[] = {"B1.0", "B2.0", "B3.0", "B4.0", "B5.0", "B6.0"};
    static const char *const want[] = {"T1", "T2", "T3", "T4", "T5", "T6"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(came); i++) {
        rig.when.now_ns += 1000;
        step(&rig, "D0", "");
        step(&rig, came[i], want[i]);
        assert_int_equal(rig.result.gauges.align_ns, 0);
        assert_int_equal(rig.result.gauges.align_bytes, 0);
        assert_int_equal(rig.result.gauges.start_delay_ns, rig.when.now_ns);
    }
    rig_close(&rig);
}

static void
t_T033_an_empty_checkpoint_blocks_nothing(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B4.1", "1"}, {"B4.2", "1 2"}, {"B4.0", "T4"}});
    rig_close(&rig);
}

static void
t_T034_jumps_over_checkpoints(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, false);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.1", "0 1"}, {"B1.2", "T1"}, {"B2.1", "1"}, {"B2.0", "0 1"},
                   {"B3.2", "-2s 2"}, {"B3.0", "0 2"}, {"B4.1", "-3s 1"}, {"E0", "-4e"}});
    assert_int_equal(rig.triggered_cnt, 1);
    assert_int_equal(rig.aborted_cnt, 3);
    rig_close(&rig);
}

static void
t_T035_gauges_of_an_alignment(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    rig.when.now_ns = 5 * WEIR_MS;
    PLAY(&rig, {{"D0", ""}, {"D1", ""}, {"D2", ""}, {"B1.1", "1"}, {"D0", ""}, {"D2", ""},
                   {"B1.0", "0 1"}, {"D2", ""}});
    rig.when.now_ns += 10 * WEIR_MS;
    step(&rig, "B1.2", "T1");
    assert_int_equal(rig.result.gauges.align_bytes, 3 * DATA_BYTES);
    assert_int_equal(rig.result.gauges.align_ns, 10 * WEIR_MS);
    assert_int_equal(rig.result.gauges.start_delay_ns, 5 * WEIR_MS);
    rig_close(&rig);
}

/* A clock of the coordinator that is ahead of ours makes no negative delay. */
static void
t_T035_start_delay_is_never_negative(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 1, true);
    const struct weir_mark mark = {.id = 1, .trigger_ns = 100};
    rig.when.now_ns = 50;
    assert_int_equal(weir_barrier_come(rig.barrier, 0, &mark, &rig.when)->gauges.start_delay_ns, 0);
    rig_close(&rig);
}

static void
t_T036_starts_with_closed_channels(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 4, true);
    PLAY(&rig, {{"E2", ""}, {"E1", ""}, {"B2.3", "3"}, {"B2.0", "T2"}, {"B3.0", "0"},
                   {"B3.3", "T3"}, {"E0", ""}, {"B4.3", "T4"}});
    rig_close(&rig);
}

static void
t_T037_the_end_counts_as_a_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.1", "0 1"}, {"B1.2", "T1"}, {"B2.2", "2"}, {"B2.0", "0 2"},
                   {"D1", ""}, {"E1", "T2"}, {"D2", ""}, {"E2", ""}, {"E0", ""}});
    rig_close(&rig);
}

static void
t_T039_cancel_markers_abort(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.1", "0 1"}, {"B1.2", "T1"},
                   /* the marker comes last */
                   {"B2.0", "0"}, {"B2.2", "0 2"}, {"C2.1", "-2c"}, {"B3.1", "1"}, {"B3.2", "1 2"},
                   {"B3.0", "T3"},
                   /* the marker comes first */
                   {"C4.1", "-4c"}, {"B4.2", ""}, {"B4.0", ""}, {"B5.2", "2"}, {"B5.1", "1 2"},
                   {"B5.0", "T5"},
                   /* two markers */
                   {"C6.1", "-6c"}, {"C6.2", ""}, {"B6.0", ""}});
    assert_int_equal(rig.triggered_cnt, 3);
    assert_int_equal(rig.aborted_cnt, 3);
    rig_close(&rig);
}

static void
t_T040_late_barriers_of_a_canceled_one_are_ignored(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B1.1", "1"}, {"C1.0", "-1c"}, {"B2.1", "1"}, {"B1.2", "1"}, {"B2.0", "0 1"},
                   {"B2.2", "T2"}});
    rig_close(&rig);
}

static void
t_T041_a_late_marker_of_a_subsumed_one_is_ignored(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B3.1", "1"}, {"B3.0", "0 1"}, {"B5.2", "-3s 2"}, {"C3.0", "2"}, {"B5.0", "0 2"},
                   {"B5.1", "T5"}});
    rig_close(&rig);
}

/* There checkpoint 1 ends unnoticed; here it is told too (see barrier.h). */
static void
t_T042_a_missing_marker_leaves_nothing_blocked(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 2, true);
    PLAY(&rig, {{"B1.0", "0"}, {"C3.1", "-1s -3c"}, {"C2.0", ""}, {"C3.0", ""}, {"D0", ""},
                   {"D1", ""}, {"B4.0", "0"}, {"B4.1", "T4"}});
    rig_close(&rig);
}

static void
t_T043_the_end_triggers(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.1", "0 1"}, {"E2", "T1"}});
    rig_close(&rig);
}

/* The channels hold an alignment of 0 when 1 overtakes it; T-046 has the rest on a task. */
static void
t_T046_a_newer_barrier_overtakes(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 4, true);
    PLAY(&rig, {{"B0.0", "0"}, {"B1.1", "-0s 1"}, {"B1.2", "1 2"}, {"B1.0", "0 1 2"},
                   {"B0.3", "0 1 2"}, {"B1.3", "T1"}});
    rig_close(&rig);
}

static void
t_the_coordinator_gives_up_what_is_pending(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 2, true);
    PLAY(&rig, {{"B1.0", "0"}, {"X2", "0"}, {"X1", "-1x"}, {"X1", ""}, {"B1.1", ""}, {"B2.1", "1"},
                   {"B2.0", "T2"}, {"X2", ""}});
    rig_close(&rig);
    struct rig tracker = rig_open(WEIR_BARRIER_TRACKED, 2, true);
    PLAY(&tracker, {{"B1.0", ""}, {"B2.0", ""}, {"B3.0", ""}, {"X2", "-2x"}, {"B1.1", "T1"},
                       {"B2.1", ""}, {"B3.1", "T3"}});
    rig_close(&tracker);
}

/* All producers have ended, some of what they sent is still on its way. */
static void
t_started_without_barriers_it_waits_for_the_ends(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_ALIGNED, 3, true);
    PLAY(&rig, {{"E1", ""}, {"S1", ""}, {"D0", ""}, {"E0", ""}, {"S1", ""}, {"E2", "T1"},
                   {"S1", ""}, {"S2", "T2"}, {"S2", ""}});
    rig_close(&rig);
    struct rig aborted = rig_open(WEIR_BARRIER_ALIGNED, 2, true);
    PLAY(&aborted, {{"S1", ""}, {"S2", "-1s"}, {"B2.0", "0"}, {"E1", "T2"}});
    rig_close(&aborted);
}

/* B1: ids increase; what is not newer than the last is ignored, and blocks nothing. */
static void
t_B1_obsolete_ids_are_ignored(void **state)
{
    (void)state;
    for (int mode = WEIR_BARRIER_ALIGNED; mode <= WEIR_BARRIER_TRACKED; mode++) {
        struct rig rig = rig_open((enum weir_barrier_mode)mode, 2, true);
        const char *blocked = mode == WEIR_BARRIER_ALIGNED ? "0" : "";
        step(&rig, "B7.0", blocked);
        step(&rig, "B7.1", "T7");
        PLAY(&rig, {{"B7.0", ""}, {"B6.1", ""}, {"C7.0", ""}, {"C3.1", ""}, {"S7", ""}});
        step(&rig, "B8.0", blocked);
        step(&rig, "B8.1", "T8");
        rig_close(&rig);
    }
}

/* ---- tracked ---- */

static void
t_T048_skipped_barriers(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 1, true);
    PLAY(&rig, {{"B1.0", "T1"}, {"B3.0", "T3"}, {"B4.0", "T4"}, {"B6.0", "T6"}, {"B7.0", "T7"},
                   {"B10.0", "T10"}});
    rig_close(&rig);
}

static void
t_T049_full_sets_never_block(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 3, true);
    PLAY(&rig, {{"B1.1", ""}, {"B1.2", ""}, {"D1", ""}, {"B1.0", "T1"}, {"B2.0", ""}, {"B2.1", ""},
                   {"B2.2", "T2"}, {"B3.2", ""}, {"B3.0", ""}, {"B3.1", "T3"}, {"B4.0", ""},
                   {"B4.2", ""}, {"B4.1", "T4"}});
    rig_close(&rig);
}

static void
t_T051_late_barriers_complete(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 3, true);
    PLAY(&rig, {{"B2.1", ""}, {"B2.0", ""}, {"B2.2", "T2"}, {"B3.1", ""}, {"B3.2", ""},
                   {"B4.2", ""}, {"B4.1", ""}, {"B3.0", "T3"}, {"B4.0", "T4"}, {"B5.1", ""},
                   {"B5.0", ""}, {"B5.2", "T5"},
                   /* 6 stays incomplete */
                   {"B6.1", ""}, {"B6.0", ""}, {"B7.1", ""}, {"B7.2", ""}, {"B8.2", ""},
                   {"B8.1", ""}, {"B9.1", ""}, {"B7.0", "T7"}, {"B6.2", ""}, {"B9.2", ""},
                   {"B10.2", ""}, {"B8.0", "T8"}, {"B9.0", "T9"}, {"B10.0", ""}, {"B10.1", "T10"}});
    assert_int_equal(rig.aborted_cnt, 0);
    rig_close(&rig);
}

static void
t_T052_one_channel_aborts(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 1, true);
    PLAY(&rig, {{"B1.0", "T1"}, {"B2.0", "T2"}, {"C4.0", "-4c"}, {"B5.0", "T5"}, {"C6.0", "-6c"}});
    rig_close(&rig);
}

static void
t_T053_each_abort_is_told_once(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 3, true);
    PLAY(&rig, {{"B1.1", ""}, {"B1.2", ""}, {"B1.0", "T1"}, {"B2.0", ""}, {"B2.2", ""},
                   {"C2.1", "-2c"}, {"B3.1", ""}, {"B3.2", ""}, {"B3.0", "T3"}, {"B4.0", ""},
                   {"C4.1", "-4c"}, {"B4.2", ""}, {"B5.2", ""}, {"B5.1", ""}, {"B5.0", "T5"},
                   {"B6.0", ""}, {"C6.1", "-6c"}, {"C6.2", ""}});
    rig_close(&rig);
}

static void
t_T054_markers_interleave(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 3, true);
    PLAY(&rig,
        {{"B1.0", ""}, {"C1.1", "-1c"}, {"C2.1", "-2c"}, {"C1.2", ""}, {"C2.2", ""}, {"B2.0", ""}});
    assert_int_equal(weir_barrier_pending_cnt(rig.barrier), 0);
    rig_close(&rig);
}

static void
t_T055_a_finished_channel_counts_once(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 2, true);
    PLAY(&rig, {{"B1.1", ""}, {"E1", ""}, {"B1.0", "T1"}, {"B2.0", "T2"}});
    rig_close(&rig);
    struct rig three = rig_open(WEIR_BARRIER_TRACKED, 3, true);
    PLAY(&three,
        {{"B1.1", ""}, {"E1", ""}, {"B1.0", ""}, {"B1.2", "T1"}, {"E0", ""}, {"B2.2", "T2"}});
    rig_close(&three);
}

/* The end of a channel completes several: the newest is triggered, those before it are subsumed. */
static void
t_the_end_completes_the_newest_of_several(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 2, true);
    PLAY(&rig, {{"B1.0", ""}, {"B2.0", ""}, {"E1", "T2"}, {"B3.0", "T3"}});
    rig_close(&rig);
}

static void
t_a_tracker_follows_so_many_and_forgets_the_oldest(void **state)
{
    (void)state;
    struct rig rig = rig_open(WEIR_BARRIER_TRACKED, 2, true);
    for (uint64_t id = 1; id <= WEIR_BARRIER_PENDING_CNT_MAX + 1; id++) {
        apply(&rig, give(&rig, 'B', id, 0));
        assert_string_equal(rig.out, "");
    }
    assert_int_equal(weir_barrier_pending_cnt(rig.barrier), WEIR_BARRIER_PENDING_CNT_MAX);
    PLAY(&rig, {{"B1.1", ""}, {"B2.1", "T2"}});
    apply(&rig, give(&rig, 'C', 60, 1));
    assert_int_equal(rig.result.abort_cnt, WEIR_BARRIER_PENDING_CNT_MAX); /* 3 to 51, and 60 */
    rig_close(&rig);
}

/* ---- random, against a model ---- */

#define MODEL_ID_CNT 120

/* What has come for each checkpoint, ever. */
struct model {
    bool came[MODEL_ID_CNT][CHANNEL_CNT_MAX];
    bool over[MODEL_ID_CNT]; /* triggered, aborted, or passed over */
    bool ended[CHANNEL_CNT_MAX];
    uint64_t at[CHANNEL_CNT_MAX]; /* the next id of each channel */
};

static bool
model_has_all(const struct model *m, const struct rig *rig, uint64_t id)
{
    for (uint32_t c = 0; c < rig->channel_cnt; c++) {
        if (!m->came[id][c] && !m->ended[c]) {
            return false;
        }
    }
    return true;
}

/* A triggered checkpoint has been delivered by all, none newer was over before, none is told
 * twice. */
static void
model_check(struct model *m, const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->result.abort_cnt; i++) {
        uint64_t id = rig->result.aborts[i].id;
        assert_false(m->over[id]);
        m->over[id] = true;
    }
    if (!rig->result.triggered) {
        return;
    }
    uint64_t id = rig->result.mark.id;
    assert_false(m->over[id]);
    assert_true(model_has_all(m, rig, id));
    for (uint64_t i = 0; i <= id; i++) {
        m->over[i] = true;
    }
}

/* Liveness: once all have delivered an id it is over, or a newer one had begun before. */
static void
model_check_all(const struct model *m, const struct rig *rig, uint64_t id)
{
    if (model_has_all(m, rig, id)) {
        bool is_over = m->over[id];
        for (uint64_t i = id + 1; i < MODEL_ID_CNT; i++) {
            is_over |= m->over[i];
            for (uint32_t c = 0; c < rig->channel_cnt; c++) {
                is_over |= m->ended[c] && m->came[i][c];
            }
        }
        assert_true(is_over);
    }
}

static void
random_world(enum weir_barrier_mode mode, uint64_t seed)
{
    struct weir_rng rng;
    struct model m;
    memset(&m, 0, sizeof m);
    weir_rng_init(&rng, seed);
    uint32_t channel_cnt = 1 + (uint32_t)weir_rng_below(&rng, seed % 8 == 0 ? CHANNEL_CNT_MAX : 5);
    struct rig rig = rig_open(mode, channel_cnt, true);
    for (uint32_t i = 0; i < 100 * channel_cnt; i++) {
        uint32_t c = (uint32_t)weir_rng_below(&rng, channel_cnt);
        if (m.ended[c] || rig.blocked[c]) {
            continue;
        }
        char what = weir_rng_chance(&rng, 1, 8) ? 'C' : weir_rng_chance(&rng, 1, 200) ? 'E' : 'B';
        uint64_t id = m.at[c] + (weir_rng_chance(&rng, 1, 10) ? 1 : 0);
        if (id >= MODEL_ID_CNT) {
            what = 'E';
        }
        if (what == 'E') {
            m.ended[c] = true;
        } else {
            m.at[c] = id + 1;
            m.came[id][c] = what == 'B';
        }
        apply(&rig, give(&rig, what, id, c));
        model_check(&m, &rig);
        for (uint64_t j = 0; j < MODEL_ID_CNT; j++) {
            if (what == 'E' ? m.came[j][0] : j == id) {
                model_check_all(&m, &rig, j);
            }
        }
    }
    /* Nothing stays blocked: the others end, then so do those. */
    for (uint32_t i = 0; i < 2 * channel_cnt; i++) {
        uint32_t c = i % channel_cnt;
        if (!m.ended[c] && !rig.blocked[c]) {
            m.ended[c] = true;
            apply(&rig, give(&rig, 'E', 0, c));
            model_check(&m, &rig);
        }
    }
    assert_int_equal(weir_barrier_open_cnt(rig.barrier), 0);
    assert_int_equal(weir_barrier_pending_cnt(rig.barrier), 0);
    rig_close(&rig);
}

static void
t_random_inputs_agree_with_the_model(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint64_t i = 0; i < 500; i++) {
        random_world(WEIR_BARRIER_ALIGNED, seed + i);
        random_world(WEIR_BARRIER_TRACKED, seed + i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T030_without_barriers_nothing_is_due),
        cmocka_unit_test(t_T031_one_channel_never_aligns),
        cmocka_unit_test(t_T033_an_empty_checkpoint_blocks_nothing),
        cmocka_unit_test(t_T034_jumps_over_checkpoints),
        cmocka_unit_test(t_T035_gauges_of_an_alignment),
        cmocka_unit_test(t_T035_start_delay_is_never_negative),
        cmocka_unit_test(t_T036_starts_with_closed_channels),
        cmocka_unit_test(t_T037_the_end_counts_as_a_barrier),
        cmocka_unit_test(t_T039_cancel_markers_abort),
        cmocka_unit_test(t_T040_late_barriers_of_a_canceled_one_are_ignored),
        cmocka_unit_test(t_T041_a_late_marker_of_a_subsumed_one_is_ignored),
        cmocka_unit_test(t_T042_a_missing_marker_leaves_nothing_blocked),
        cmocka_unit_test(t_T043_the_end_triggers),
        cmocka_unit_test(t_T046_a_newer_barrier_overtakes),
        cmocka_unit_test(t_the_coordinator_gives_up_what_is_pending),
        cmocka_unit_test(t_started_without_barriers_it_waits_for_the_ends),
        cmocka_unit_test(t_B1_obsolete_ids_are_ignored),
        cmocka_unit_test(t_T048_skipped_barriers),
        cmocka_unit_test(t_T049_full_sets_never_block),
        cmocka_unit_test(t_T051_late_barriers_complete),
        cmocka_unit_test(t_T052_one_channel_aborts),
        cmocka_unit_test(t_T053_each_abort_is_told_once),
        cmocka_unit_test(t_T054_markers_interleave),
        cmocka_unit_test(t_T055_a_finished_channel_counts_once),
        cmocka_unit_test(t_the_end_completes_the_newest_of_several),
        cmocka_unit_test(t_a_tracker_follows_so_many_and_forgets_the_oldest),
        cmocka_unit_test(t_random_inputs_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
