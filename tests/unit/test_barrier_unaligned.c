/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.5 and T.6 on the state machine that tasks run (test_unaligned.c has the rows), then
 * random inputs against a model that knows where every barrier stands.
 *
 * A line is what came and what came of it. Came: B1.0 a barrier of checkpoint 1 on channel 0, A1.0
 * word of one that stands behind rows, U1.0 the same of one that is urgent, P1.0 the rows before it
 * are kept, C1.0 a cancel marker, E0 the end of the channel, D0 data, X1 the coordinator gives it
 * up, +5 time passes, t the timer. Came of it: T1 triggered with all barriers, T1u without, W1 it
 * has all of them now, -1c aborted; the channels that are blocked now. Data of a channel whose
 * barrier is missing is captured. */
#include "dataplane/barrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define CHANNEL_CNT_MAX 123
#define DATA_BYTES 100

struct rig {
    struct weir_barrier *barrier;
    uint32_t channel_cnt;
    struct weir_barrier_when when;
    bool blocked[CHANNEL_CNT_MAX];
    struct weir_barrier_result result;
    uint32_t triggered_cnt;
    uint32_t unblocked_cnt;
    char captured[64]; /* the channels of captured data, in the order in which it came */
    char out[1024];
};

static struct rig
rig_open(uint32_t channel_cnt, int64_t timeout_ns, bool after_end)
{
    const struct weir_barrier_conf conf = {.mode = WEIR_BARRIER_UNALIGNED,
        .channel_cnt = channel_cnt,
        .timeout_ns = timeout_ns,
        .after_end = after_end};
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

/* Do as the result says, as a task does, and write it down. */
static void
apply(struct rig *rig, const struct weir_barrier_result *result)
{
    static const char letters[] = "?csex";
    char *at = rig->out;
    if (result->unblock) {
        for (uint32_t c = 0; c < rig->channel_cnt; c++) {
            rig->unblocked_cnt += rig->blocked[c];
        }
        memset(rig->blocked, 0, sizeof rig->blocked);
    }
    if (result->block != WEIR_BARRIER_CHANNEL_NONE) {
        rig->blocked[result->block] = true;
    }
    *at = 0;
    for (uint32_t i = 0; i < result->abort_cnt; i++) {
        at += sprintf(at, "-%llu%c ", (unsigned long long)result->aborts[i].id,
            letters[result->aborts[i].reason]);
    }
    assert_false(result->triggered && result->is_whole);
    if (result->triggered) {
        at += sprintf(
            at, "T%llu%s ", (unsigned long long)result->mark.id, result->is_unaligned ? "u" : "");
    }
    if (result->is_whole) {
        at += sprintf(at, "W%llu ", (unsigned long long)result->mark.id);
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
    rig->triggered_cnt += result->triggered;
    rig->result = *result;
}

static void
take_data(struct rig *rig, uint32_t channel)
{
    assert_false(rig->blocked[channel]);
    rig->when.bytes += DATA_BYTES;
    if (weir_barrier_is_missing(rig->barrier, channel)) {
        size_t used = strlen(rig->captured);
        assert_true(used + 1 < sizeof rig->captured);
        rig->captured[used] = (char)('0' + channel);
    }
}

static const struct weir_barrier_result *
give(struct rig *rig, char what, const struct weir_mark *mark, uint32_t channel)
{
    struct weir_mark urgent = *mark;
    urgent.is_urgent = true;
    switch (what) {
    case 'B':
        assert_false(rig->blocked[channel]); /* nothing is read off it */
        return weir_barrier_come(rig->barrier, channel, mark, &rig->when);
    case 'A':
        return weir_barrier_announce(rig->barrier, channel, mark, &rig->when);
    case 'U':
        return weir_barrier_announce(rig->barrier, channel, &urgent, &rig->when);
    case 'P':
        return weir_barrier_pass(rig->barrier, channel, mark->id, &rig->when);
    case 'C':
        return weir_barrier_cancel(rig->barrier, channel, mark->id);
    case 'E':
        return weir_barrier_end(rig->barrier, channel, &rig->when);
    case 't':
        return weir_barrier_time(rig->barrier, &rig->when);
    default:
        return weir_barrier_abort(rig->barrier, mark->id);
    }
}

static void
step_of(struct rig *rig, const char *came, const char *want, uint32_t kind)
{
    unsigned long long id = 0;
    unsigned channel = 0;
    switch (came[0]) {
    case 'D':
        take_data(rig, (uint32_t)atoi(came + 1));
        return;
    case '+':
        rig->when.now_ns += atoi(came + 1);
        return;
    case 'E':
        channel = (unsigned)atoi(came + 1);
        break;
    case 't':
        break;
    case 'X':
        id = strtoull(came + 1, NULL, 10);
        break;
    default:
        assert_int_equal(sscanf(came + 1, "%llu.%u", &id, &channel), 2);
    }
    const struct weir_mark mark = {.id = id, .trigger_ns = 0, .kind = kind};
    apply(rig, give(rig, came[0], &mark, channel));
    if (strcmp(rig->out, want) != 0) {
        fail_msg("%s: \"%s\", not \"%s\"", came, rig->out, want);
    }
}

static void
play(struct rig *rig, const char *const (*lines)[2], size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        step_of(rig, lines[i][0], lines[i][1], WEIR_MARK_PERIODIC);
    }
}

#define PLAY(rig, ...)                                     \
    do {                                                   \
        static const char *const lines[][2] = __VA_ARGS__; \
        play(rig, lines, WEIR_ARRAY_CNT(lines));           \
    } while (0)

/* ---- unaligned from the start ---- */

static void
t_T057_triggered_at_the_first_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    PLAY(&rig, {{"D0", ""}, {"D2", ""}, {"D0", ""}, {"B1.1", "T1u"}, {"B1.2", ""}, {"D2", ""},
                   {"D1", ""}, {"D0", ""}, {"B1.0", "W1"}, {"D0", ""}});
    assert_string_equal(rig.captured, "0");
    rig_close(&rig);
}

static void
t_T058_what_lies_before_the_missing_barriers(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    PLAY(&rig, {{"D0", ""}, {"D2", ""}, {"D0", ""}, {"B5.1", "T5u"}, {"D2", ""}, {"D0", ""},
                   {"D2", ""}, {"D1", ""}, {"B5.2", ""}, {"D1", ""}, {"D0", ""}, {"D2", ""},
                   {"D1", ""}, {"B5.0", "W5"}});
    assert_string_equal(rig.captured, "2020");
    rig_close(&rig);
}

static void
t_T059_nothing_of_a_channel_behind_its_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    PLAY(&rig, {{"B1.0", "T1u"}, {"D0", ""}, {"D0", ""}, {"B1.1", ""}, {"D1", ""}, {"B1.2", "W1"}});
    assert_string_equal(rig.captured, "");
    rig_close(&rig);
}

static void
t_T060_gauges_of_what_goes_on_meanwhile(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    rig.when.now_ns = 5;
    PLAY(&rig, {{"D0", ""}, {"D1", ""}, {"D2", ""}, {"B1.0", "T1u"}, {"+10", ""}, {"D0", ""},
                   {"D1", ""}, {"D2", ""}, {"B1.1", ""}, {"+20", ""}, {"D0", ""}, {"D1", ""},
                   {"D2", ""}, {"B1.2", "W1"}});
    assert_int_equal(rig.result.gauges.align_bytes, 600);
    assert_int_equal(rig.result.gauges.align_ns, 30);
    assert_int_equal(rig.result.gauges.start_delay_ns, 5);
    rig_close(&rig);
}

/* There 1 stays as it is; here it is told to be over, as for aligned ones. */
static void
t_T061_cancel_markers_without_barriers(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 0, true);
    PLAY(&rig, {{"B1.0", "T1u"}, {"C2.0", "-1s -2c"}, {"C3.0", "-3c"}, {"C3.1", ""}, {"D1", ""}});
    assert_string_equal(rig.captured, "");
    rig_close(&rig);
}

static void
t_T063_a_marker_before_the_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 0, true);
    PLAY(&rig, {{"C1.0", "-1c"}, {"U1.1", ""}, {"B1.1", ""}, {"D0", ""}});
    assert_int_equal(rig.triggered_cnt, 0);
    assert_string_equal(rig.captured, "");
    rig_close(&rig);
}

static void
t_T064_the_coordinator_gives_it_up(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 0, true);
    PLAY(&rig, {{"U1.0", "T1u"}, {"D1", ""}, {"X1", "-1x"}, {"D1", ""}, {"B1.0", ""}, {"B1.1", ""},
                   {"U2.1", "T2u"}, {"P2.1", ""}, {"P2.0", "W2"}});
    assert_string_equal(rig.captured, "1");
    rig_close(&rig);
}

static void
t_T065_the_end_of_the_missing_channel(void **state)
{
    (void)state;
    struct rig on = rig_open(2, 0, true);
    PLAY(&on, {{"B1.0", "T1u"}, {"D1", ""}, {"E1", "W1"}});
    assert_string_equal(on.captured, "1");
    rig_close(&on);
    struct rig off = rig_open(2, 0, false);
    PLAY(&off, {{"B1.0", "T1u"}, {"D1", ""}, {"E1", "-1e"}, {"B2.0", "T2"}});
    rig_close(&off);
}

static void
t_rows_that_are_kept_stand_for_the_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    PLAY(&rig, {{"P1.0", ""}, {"U1.0", "T1u"}, {"P1.0", ""}, {"P1.0", ""}, {"D0", ""}, {"P2.1", ""},
                   {"P1.1", ""}, {"B1.0", ""}, {"B1.2", "W1"}, {"B1.1", ""}, {"P1.1", ""}});
    assert_string_equal(rig.captured, "");
    rig_close(&rig);
}

static void
t_a_forced_channel_is_waited_for(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 0, true);
    weir_barrier_force(rig.barrier, 2);
    PLAY(&rig,
        {{"U1.0", ""}, {"D0", ""}, {"B1.0", "0"}, {"A1.2", "0"}, {"B1.2", "T1u"}, {"D0", ""},
            {"D1", ""}, {"B1.1", "W1"}, {"U2.0", ""}, {"E2", "T2u"}, {"P2.0", ""}, {"P2.1", "W2"}});
    assert_string_equal(rig.captured, "1");
    rig_close(&rig);
}

/* ---- aligned for so long ---- */

static void
t_T070_the_time_of_an_alignment_is_over(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 10, true);
    PLAY(&rig, {{"A1.0", ""}, {"t", ""}, {"+20", ""}, {"A1.1", "T1u"}, {"D0", ""}, {"D0", ""},
                   {"D1", ""}, {"t", ""}, {"B1.0", ""}, {"B1.1", "W1"}});
    assert_string_equal(rig.captured, "001");
    assert_int_equal(rig.triggered_cnt, 1);
    rig_close(&rig);
}

static void
t_T071_its_time_is_over_before_the_first_barrier(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 10, true);
    PLAY(&rig, {{"t", ""}, {"+10", ""}, {"B1.1", "T1u"}, {"B1.0", "W1"}});
    rig_close(&rig);
}

static void
t_T072_a_barrier_in_time_does_not_trigger_alone(void **state)
{
    (void)state;
    struct rig rig = rig_open(3, 10, true);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.1", "0 1"}, {"B1.2", "T1"}, {"B2.0", "0"}, {"+10", ""},
                   {"A2.1", "T2u"}, {"D1", ""}, {"P2.1", ""}, {"P2.2", "W2"}});
    assert_string_equal(rig.captured, "1");
    rig_close(&rig);
}

static void
t_T073_an_alignment_without_a_limit(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, WEIR_BARRIER_NEVER_NS, true);
    PLAY(&rig, {{"A1.0", ""}, {"B1.0", "0"}});
    for (uint32_t i = 0; i < 1000; i++) {
        rig.when.now_ns += 1000 * WEIR_MS;
        take_data(&rig, 1);
        step_of(&rig, "t", "0", WEIR_MARK_PERIODIC);
        assert_int_equal(weir_barrier_due_ns(rig.barrier), WEIR_BARRIER_NEVER_NS);
    }
    PLAY(&rig, {{"B1.1", "T1"}});
    assert_string_equal(rig.captured, "");
    rig_close(&rig);
}

static void
t_T075_a_timer_that_comes_too_late_does_nothing(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 10, true);
    PLAY(&rig, {{"B1.0", "0"}});
    assert_int_equal(weir_barrier_due_ns(rig.barrier), 10);
    PLAY(&rig, {{"B1.1", "T1"}, {"+20", ""}, {"t", ""}}); /* behind the last barrier */
    assert_int_equal(weir_barrier_due_ns(rig.barrier), WEIR_BARRIER_NEVER_NS);
    rig.when.now_ns = 0;
    PLAY(&rig, {{"A2.0", ""}, {"X2", "-2x"}, {"+20", ""}, {"t", ""}}); /* an abort */
    rig.when.now_ns = 0;
    PLAY(&rig, {{"A3.0", ""}, {"E0", ""}, {"E1", "T3"}, {"+20", ""}, {"t", ""}}); /* the end */
    assert_int_equal(rig.triggered_cnt, 2);
    rig_close(&rig);
}

static void
t_T076_blocked_channels_go_on_once(void **state)
{
    (void)state;
    struct rig rig = rig_open(4, 10, true);
    PLAY(&rig, {{"B1.0", "0"}, {"B1.2", "0 2"}, {"A1.1", "0 2"}, {"+10", ""}, {"t", "T1u"}});
    assert_int_equal(rig.unblocked_cnt, 2);
    PLAY(&rig, {{"t", ""}, {"D0", ""}, {"D2", ""}, {"D1", ""}, {"B1.1", ""}, {"B1.3", "W1"}});
    assert_int_equal(rig.unblocked_cnt, 2);
    assert_string_equal(rig.captured, "1");
    rig_close(&rig);
}

static void
t_T077_a_producer_did_not_wait(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, WEIR_BARRIER_NEVER_NS, true);
    PLAY(&rig,
        {{"A1.0", ""}, {"D0", ""}, {"U1.1", "T1u"}, {"D0", ""}, {"P1.1", ""}, {"B1.0", "W1"}});
    assert_string_equal(rig.captured, "0");
    rig_close(&rig);
}

static void
t_T079b_T079d_savepoints_between_checkpoints(void **state)
{
    (void)state;
    struct rig rig = rig_open(123, 0, true);
    for (uint64_t id = 1; id <= 123; id++) {
        bool is_savepoint = id % 2 == 0;
        const struct weir_mark mark = {
            .id = id, .kind = is_savepoint ? WEIR_MARK_SAVEPOINT : WEIR_MARK_PERIODIC};
        for (uint32_t c = 0; c < 123; c++) {
            apply(&rig, give(&rig, is_savepoint ? 'A' : 'U', &mark, c));
            assert_int_equal(rig.result.triggered, !is_savepoint && c == 0);
        }
        for (uint32_t c = 0; c < 123; c++) {
            apply(&rig, give(&rig, 'B', &mark, c));
            assert_int_equal(rig.result.triggered, is_savepoint && c == 122);
            assert_int_equal(rig.result.is_whole, !is_savepoint && c == 122);
        }
        assert_int_equal(rig.result.mark.id, id);
    }
    assert_int_equal(rig.triggered_cnt, 123);
    rig_close(&rig);
}

/* Nor does word of an urgent one make a savepoint overtake, whoever says it. */
static void
t_T079d_a_savepoint_waits_for_its_rows(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 0, true);
    step_of(&rig, "U1.0", "", WEIR_MARK_SAVEPOINT);
    step_of(&rig, "t", "", WEIR_MARK_SAVEPOINT);
    step_of(&rig, "B1.0", "0", WEIR_MARK_STOP);
    step_of(&rig, "B1.1", "T1", WEIR_MARK_SAVEPOINT);
    rig_close(&rig);
}

static void
t_T079c_word_of_a_newer_one(void **state)
{
    (void)state;
    struct rig rig = rig_open(2, 10, true);
    PLAY(&rig, {{"B1.0", "0"}, {"A2.0", "-1s"}, {"B1.1", ""}, {"A1.1", ""}, {"B2.0", "0"},
                   {"B2.1", "T2"}});
    rig_close(&rig);
    struct rig begun = rig_open(2, 0, true);
    PLAY(&begun, {{"U1.0", "T1u"}, {"U2.0", "-1s T2u"}, {"B1.1", ""}, {"P1.0", ""}, {"P2.0", ""},
                     {"P2.1", "W2"}});
    rig_close(&begun);
}

/* ---- random, against a model ---- */

#define ROW_CNT_MAX 400
#define MODEL_ID_CNT 60

/* A channel: rows (0) and barriers (their ids), in order; the consumer stands at `at`. What lies
 * before each barrier is known from the beginning. */
struct line {
    uint32_t item[ROW_CNT_MAX];
    uint32_t cnt;
    uint32_t at;
    uint32_t said; /* items that were announced */
};

struct world {
    struct weir_rng rng;
    struct rig rig;
    struct line line[5];
    uint32_t line_cnt;
    uint64_t begun; /* triggered unaligned, and not over; 0: none */
    uint32_t captured[5]; /* rows of it */
    uint32_t began_at[5]; /* where each channel stood then */
    uint32_t whole_cnt;
};

static uint32_t
find_barrier(const struct line *line, uint64_t id)
{
    for (uint32_t i = 0; i < line->cnt; i++) {
        if (line->item[i] == id) {
            return i;
        }
    }
    return UINT32_MAX;
}

static uint32_t
count_rows(const struct line *line, uint32_t from, uint32_t to)
{
    uint32_t cnt = 0;
    for (uint32_t i = from; i < to; i++) {
        cnt += line->item[i] == 0;
    }
    return cnt;
}

/* Every channel counts for a checkpoint up to its barrier, by what was taken or what is kept. */
static void
world_check(struct world *w)
{
    const struct weir_barrier_result *result = &w->rig.result;
    for (uint32_t i = 0; i < result->abort_cnt; i++) {
        w->begun = result->aborts[i].id == w->begun ? 0 : w->begun;
    }
    for (uint32_t c = 0; c < w->line_cnt; c++) {
        struct line *line = &w->line[c];
        uint32_t end = find_barrier(line, result->mark.id);
        if (result->triggered && result->is_unaligned) {
            w->begun = result->mark.id;
            w->began_at[c] = line->at;
            w->captured[c] = 0;
            assert_true(end >= line->at || !weir_barrier_is_missing(w->rig.barrier, c));
        } else if (result->triggered) {
            assert_true(line->at == end + 1); /* all stand behind it */
        } else if (result->is_whole) {
            uint32_t from = weir_min_u32(w->began_at[c], end);
            assert_int_equal(w->captured[c], count_rows(line, from, end));
            w->whole_cnt += c == 0;
        }
    }
    w->begun = result->is_whole ? 0 : w->begun;
}

static void
world_give(struct world *w, char what, uint64_t id, uint32_t c)
{
    const struct weir_mark mark = {
        .id = id, .trigger_ns = (int64_t)id * 50, .kind = id % 7 == 0 ? WEIR_MARK_SAVEPOINT : 0};
    apply(&w->rig, give(&w->rig, what, &mark, c));
    world_check(w);
}

static void
world_take(struct world *w, uint32_t c)
{
    struct line *line = &w->line[c];
    uint32_t item = line->item[line->at++];
    if (item == 0) {
        w->captured[c] += weir_barrier_is_missing(w->rig.barrier, c);
        return;
    }
    line->said = line->said > line->at ? line->said : line->at;
    world_give(w, 'B', item, c);
}

static void
world_announce(struct world *w, uint32_t c)
{
    struct line *line = &w->line[c];
    uint32_t i = line->said > line->at ? line->said : line->at;
    while (i < line->cnt && line->item[i] == 0) {
        i++;
    }
    if (i < line->cnt) {
        line->said = i + 1;
        bool is_urgent = line->item[i] % 3 == 0;
        world_give(w, is_urgent ? 'U' : 'A', line->item[i], c);
    }
}

/* What a look ahead does: keep all that lies before the barrier, and say so. */
static void
world_pass(struct world *w, uint32_t c)
{
    struct line *line = &w->line[c];
    uint32_t end = w->begun != 0 ? find_barrier(line, w->begun) : UINT32_MAX;
    if (end < line->said && weir_barrier_is_missing(w->rig.barrier, c)) {
        w->captured[c] += count_rows(line, line->at, end);
        world_give(w, 'P', w->begun, c);
    }
}

static uint32_t
random_world(uint64_t seed, int64_t timeout_ns)
{
    struct world w;
    memset(&w, 0, sizeof w);
    weir_rng_init(&w.rng, seed);
    w.line_cnt = 1 + (uint32_t)weir_rng_below(&w.rng, 5);
    w.rig = rig_open(w.line_cnt, timeout_ns, true);
    bool is_forced = weir_rng_chance(&w.rng, 1, 4);
    if (is_forced) {
        weir_barrier_force(w.rig.barrier, 0);
    }
    for (uint32_t c = 0; c < w.line_cnt; c++) {
        for (uint32_t id = 1; id <= MODEL_ID_CNT; id++) {
            w.line[c].cnt += (uint32_t)weir_rng_below(&w.rng, 5);
            w.line[c].item[w.line[c].cnt++] = id;
        }
    }
    for (uint32_t left = 1; left > 0;) {
        uint32_t c = (uint32_t)weir_rng_below(&w.rng, w.line_cnt);
        switch (weir_rng_below(&w.rng, 6)) {
        case 0:
            world_announce(&w, c);
            break;
        case 1:
            world_pass(&w, c);
            break;
        case 2:
            w.rig.when.now_ns += (int64_t)weir_rng_below(&w.rng, 20);
            world_give(&w, 't', 0, 0);
            break;
        default:
            if (w.line[c].at < w.line[c].cnt && !w.rig.blocked[c]) {
                world_take(&w, c);
            }
            break;
        }
        left = 0;
        for (uint32_t i = 0; i < w.line_cnt; i++) {
            left += w.line[i].cnt - w.line[i].at;
        }
    }
    assert_int_equal(weir_barrier_pending_cnt(w.rig.barrier), 0);
    rig_close(&w.rig);
    return w.whole_cnt;
}

static void
t_random_inputs_agree_with_the_model(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint32_t whole_cnt = 0;
    for (uint64_t i = 0; i < 300; i++) {
        whole_cnt += random_world(seed + i, 0);
        whole_cnt += random_world(seed + i, (int64_t)(i % 100));
        whole_cnt += random_world(seed + i, WEIR_BARRIER_NEVER_NS);
    }
    assert_true(whole_cnt > 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T057_triggered_at_the_first_barrier),
        cmocka_unit_test(t_T058_what_lies_before_the_missing_barriers),
        cmocka_unit_test(t_T059_nothing_of_a_channel_behind_its_barrier),
        cmocka_unit_test(t_T060_gauges_of_what_goes_on_meanwhile),
        cmocka_unit_test(t_T061_cancel_markers_without_barriers),
        cmocka_unit_test(t_T063_a_marker_before_the_barrier),
        cmocka_unit_test(t_T064_the_coordinator_gives_it_up),
        cmocka_unit_test(t_T065_the_end_of_the_missing_channel),
        cmocka_unit_test(t_rows_that_are_kept_stand_for_the_barrier),
        cmocka_unit_test(t_a_forced_channel_is_waited_for),
        cmocka_unit_test(t_T070_the_time_of_an_alignment_is_over),
        cmocka_unit_test(t_T071_its_time_is_over_before_the_first_barrier),
        cmocka_unit_test(t_T072_a_barrier_in_time_does_not_trigger_alone),
        cmocka_unit_test(t_T073_an_alignment_without_a_limit),
        cmocka_unit_test(t_T075_a_timer_that_comes_too_late_does_nothing),
        cmocka_unit_test(t_T076_blocked_channels_go_on_once),
        cmocka_unit_test(t_T077_a_producer_did_not_wait),
        cmocka_unit_test(t_T079b_T079d_savepoints_between_checkpoints),
        cmocka_unit_test(t_T079d_a_savepoint_waits_for_its_rows),
        cmocka_unit_test(t_T079c_word_of_a_newer_one),
        cmocka_unit_test(t_random_inputs_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
