/* SPDX-License-Identifier: Apache-2.0 */
/* The watermark valve: Flink's scenarios by their numbers, then random against a linear model.
 *
 * Each scenario is written out, call by call beside what comes of it, as its row in the list has
 * it: that rows begin alike is no reason to read two places.
 */
#include "dataplane/valve.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/test.h"

#define CHANNEL_CNT_MAX 64

struct rig {
    struct weir_valve valve;
    uint64_t mem[CHANNEL_CNT_MAX * 4];
    char out[128]; /* what came out since the last look: "10 IDLE" */
};

static void
rig_init(struct rig *rig, uint32_t channel_cnt)
{
    memset(rig, 0, sizeof *rig);
    assert_true(weir_valve_footprint(channel_cnt) <= sizeof rig->mem);
    weir_valve_init(&rig->valve, rig->mem, channel_cnt);
}

static void
note(struct rig *rig, struct weir_valve_result result)
{
    size_t used = strlen(rig->out);
    if (result.watermark_set) {
        used += (size_t)snprintf(rig->out + used, sizeof rig->out - used, "%s%lld",
            used > 0 ? " " : "", (long long)result.watermark);
    }
    if (result.status != WEIR_VALVE_SAME) {
        snprintf(rig->out + used, sizeof rig->out - used, "%s%s", used > 0 ? " " : "",
            result.status == WEIR_VALVE_IDLE ? "IDLE" : "ACTIVE");
    }
}

static void
wm(struct rig *rig, uint32_t channel, int64_t watermark, const char *expected)
{
    rig->out[0] = 0;
    note(rig, weir_valve_watermark(&rig->valve, channel, watermark));
    assert_string_equal(rig->out, expected);
}

static void
idle(struct rig *rig, uint32_t channel, const char *expected)
{
    rig->out[0] = 0;
    note(rig, weir_valve_status(&rig->valve, channel, true));
    assert_string_equal(rig->out, expected);
}

static void
active(struct rig *rig, uint32_t channel, const char *expected)
{
    rig->out[0] = 0;
    note(rig, weir_valve_status(&rig->valve, channel, false));
    assert_string_equal(rig->out, expected);
}

static void
t_T001_one_channel_passes_rising_watermarks(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 1);
    wm(&rig, 0, 0, "0");
    wm(&rig, 0, 25, "25");
}

static void
t_T003_one_channel_toggles_status_once(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 1);
    active(&rig, 0, "");
    idle(&rig, 0, "IDLE");
    idle(&rig, 0, "");
    active(&rig, 0, "ACTIVE");
}

static void
t_T004_watermarks_of_an_idle_channel_are_dropped(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 1);
    wm(&rig, 0, 25, "25");
    idle(&rig, 0, "IDLE");
    wm(&rig, 0, 50, "");
    assert_int_equal(rig.valve.channels[0].watermark, 25);
    active(&rig, 0, "ACTIVE");
    wm(&rig, 0, 50, "50");
}

static void
t_T005_all_channels_must_have_a_watermark(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 0, "");
    wm(&rig, 1, 3, "");
    wm(&rig, 2, 7, "0");
}

static void
t_T006_the_minimum_rises(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 0, "");
    wm(&rig, 1, 0, "");
    wm(&rig, 2, 0, "0");
    wm(&rig, 0, 12, "");
    wm(&rig, 1, 15, "");
    wm(&rig, 2, 10, "10");
    wm(&rig, 2, 17, "12");
    wm(&rig, 0, 20, "15");
}

static void
t_T007_nothing_regresses(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 25, "");
    wm(&rig, 1, 10, "");
    wm(&rig, 2, 17, "10");
    wm(&rig, 0, 12, "");
    wm(&rig, 1, 8, "");
    wm(&rig, 2, 15, "");
}

static void
t_T009_the_last_active_channel_decides_the_status(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    idle(&rig, 0, "");
    idle(&rig, 2, "");
    idle(&rig, 1, "IDLE");
    active(&rig, 1, "ACTIVE");
    idle(&rig, 1, "IDLE");
    active(&rig, 0, "ACTIVE");
    active(&rig, 2, "");
}

static void
t_T010_an_idle_channel_no_longer_holds_back(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 2);
    wm(&rig, 0, 7, "");
    wm(&rig, 1, 10, "7");
    idle(&rig, 0, "10");
}

static void
t_T011_partially_idle_channels_advance(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 15, "");
    wm(&rig, 1, 10, "");
    idle(&rig, 2, "10");
    wm(&rig, 1, 18, "15");
    wm(&rig, 0, 20, "18");
}

static void
t_T012_channels_go_idle_one_by_one(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 25, "");
    wm(&rig, 1, 10, "");
    wm(&rig, 2, 17, "10");
    idle(&rig, 1, "17");
    idle(&rig, 2, "25");
}

static void
t_T013_a_resumed_channel_is_aligned_when_it_catches_up(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 10, "");
    wm(&rig, 1, 7, "");
    wm(&rig, 2, 3, "3");
    idle(&rig, 2, "7");
    active(&rig, 2, "");
    wm(&rig, 2, 5, "");
    assert_int_equal(rig.valve.channels[2].watermark, 5);
    assert_int_equal(rig.valve.channels[2].heap_idx, UINT32_MAX);
    wm(&rig, 2, 9, "");
    assert_int_not_equal(rig.valve.channels[2].heap_idx, UINT32_MAX);
    wm(&rig, 1, 12, "9");
}

static void
t_T015_an_unaligned_channel_going_idle_emits_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 2);
    wm(&rig, 0, 7, "");
    wm(&rig, 1, 10, "7");
    idle(&rig, 0, "10");
    active(&rig, 0, "");
    wm(&rig, 0, 9, "");
    idle(&rig, 0, "");
}

static void
t_T016_the_maximum_is_flushed_before_idle(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 3);
    wm(&rig, 0, 10, "");
    wm(&rig, 1, 5, "");
    wm(&rig, 2, 3, "3");
    idle(&rig, 0, "");
    idle(&rig, 1, "");
    idle(&rig, 2, "10 IDLE");
}

/* ---- the model: the same rules, looking at every channel each time ---- */

struct model {
    struct {
        int64_t watermark;
        bool is_idle;
        bool is_aligned;
    } channel[CHANNEL_CNT_MAX];
    uint32_t cnt;
    int64_t output;
    bool is_idle;
};

static struct weir_valve_result
model_raise(struct model *m, int64_t watermark)
{
    struct weir_valve_result result = {false, 0, WEIR_VALVE_SAME};
    if (watermark > m->output) {
        m->output = watermark;
        result.watermark_set = true;
        result.watermark = watermark;
    }
    return result;
}

static struct weir_valve_result
model_raise_to_min(struct model *m)
{
    int64_t min = INT64_MAX;
    bool any = false;
    for (uint32_t i = 0; i < m->cnt; i++) {
        if (m->channel[i].is_aligned) {
            any = true;
            min = weir_min_i64(min, m->channel[i].watermark);
        }
    }
    struct weir_valve_result none = {false, 0, WEIR_VALVE_SAME};
    return any ? model_raise(m, min) : none;
}

static struct weir_valve_result
model_watermark(struct model *m, uint32_t c, int64_t watermark)
{
    struct weir_valve_result none = {false, 0, WEIR_VALVE_SAME};
    if (m->channel[c].is_idle || watermark <= m->channel[c].watermark) {
        return none;
    }
    m->channel[c].watermark = watermark;
    m->channel[c].is_aligned |= watermark >= m->output;
    return model_raise_to_min(m);
}

static struct weir_valve_result
model_status(struct model *m, uint32_t c, bool is_idle)
{
    struct weir_valve_result result = {false, 0, WEIR_VALVE_SAME};
    if (is_idle == m->channel[c].is_idle) {
        return result;
    }
    m->channel[c].is_idle = is_idle;
    if (!is_idle) {
        m->channel[c].is_aligned = m->channel[c].watermark >= m->output;
        result.status = m->is_idle ? WEIR_VALVE_ACTIVE : WEIR_VALVE_SAME;
        m->is_idle = false;
        return result;
    }
    bool held = m->channel[c].watermark == m->output;
    bool any_active = false;
    int64_t max = WEIR_TIME_MIN;
    m->channel[c].is_aligned = false;
    for (uint32_t i = 0; i < m->cnt; i++) {
        any_active |= !m->channel[i].is_idle;
        max = weir_max_i64(max, m->channel[i].watermark);
    }
    if (any_active) {
        return held ? model_raise_to_min(m) : result;
    }
    if (held) {
        result = model_raise(m, max);
    }
    m->is_idle = true;
    result.status = WEIR_VALVE_IDLE;
    return result;
}

static void
model_run(uint32_t cnt, uint64_t seed, uint32_t op_cnt)
{
    static struct rig rig;
    static struct model m;
    struct weir_rng rng;
    int64_t last = WEIR_TIME_MIN;
    memset(&m, 0, sizeof m);
    m.cnt = cnt;
    m.output = WEIR_TIME_MIN;
    for (uint32_t i = 0; i < cnt; i++) {
        m.channel[i].watermark = WEIR_TIME_MIN;
        m.channel[i].is_aligned = true;
    }
    rig_init(&rig, cnt);
    weir_rng_init(&rng, seed);
    for (uint32_t n = 0; n < op_cnt; n++) {
        uint32_t c = (uint32_t)weir_rng_below(&rng, cnt);
        struct weir_valve_result want;
        struct weir_valve_result got;
        bool was_idle = m.is_idle;
        bool is_watermark = weir_rng_chance(&rng, 3, 4);
        if (is_watermark) {
            int64_t watermark = (int64_t)n / 4 + weir_rng_between(&rng, -20, 20);
            want = model_watermark(&m, c, watermark);
            got = weir_valve_watermark(&rig.valve, c, watermark);
            assert_false(was_idle && got.watermark_set);
        } else {
            bool is_idle = weir_rng_chance(&rng, 1, 2);
            want = model_status(&m, c, is_idle);
            got = weir_valve_status(&rig.valve, c, is_idle);
        }
        assert_int_equal(got.watermark_set, want.watermark_set);
        assert_int_equal(got.status, want.status);
        if (got.watermark_set) {
            assert_int_equal(got.watermark, want.watermark);
            assert_true(got.watermark > last);
            last = got.watermark;
        }
    }
}

static void
t_T017_random_operations_agree_with_the_model(void **state)
{
    (void)state;
    const uint32_t cnts[] = {1, 2, 3, 4, 7, 8, 16, 33, 64};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(cnts); i++) {
        print_message("seed %u\n", i);
        model_run(cnts[i], i, 120000);
    }
}

/* ---- snapshots ---- */

/* Move the state of a valve into another: nth < 0, as it was; else as that of the nth subtask. */
static void
carry(const struct rig *from, struct rig *to, int nth)
{
    static _Alignas(8) char buf[8192];
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
    struct weir_part part;
    size_t bytes;
    uint32_t channel_cnt;
    weir_parts_writer_init(&writer, buf, sizeof buf);
    weir_parts_begin(&writer, "valve", 1);
    weir_valve_snapshot(&from->valve, &writer);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&reader, buf, bytes), 0);
    assert_int_equal(weir_parts_find(&reader, "valve", 1, &part), 0);
    int err = nth < 0 ? weir_valve_restore(&to->valve, &part, &channel_cnt)
                      : weir_valve_restore_least(&to->valve, &part, nth == 0, &channel_cnt);
    assert_int_equal(err, 0);
    assert_int_equal(weir_part_end(&part), 0);
    assert_int_equal(channel_cnt, from->valve.channel_cnt);
}

static void
carry_over(const struct rig *from, struct rig *to)
{
    carry(from, to, -1);
}

static struct weir_valve_result
draw(struct rig *rig, struct weir_rng rng)
{
    uint32_t channel = (uint32_t)weir_rng_below(&rng, rig->valve.channel_cnt);
    if (weir_rng_chance(&rng, 1, 4)) {
        return weir_valve_status(&rig->valve, channel, weir_rng_chance(&rng, 1, 2));
    }
    return weir_valve_watermark(&rig->valve, channel, (int64_t)weir_rng_below(&rng, 300));
}

static void
t_B4_a_restored_valve_goes_on_as_the_old_one(void **state)
{
    (void)state;
    static struct rig old;
    static struct rig restored;
    struct weir_rng rng;
    weir_rng_init(&rng, 11);
    for (uint32_t run = 0; run < 500; run++) {
        uint32_t channel_cnt = 1 + (uint32_t)weir_rng_below(&rng, 8);
        uint64_t cut = weir_rng_below(&rng, 60);
        rig_init(&old, channel_cnt);
        for (uint64_t i = 0; i < cut; i++) {
            (void)draw(&old, rng);
            (void)weir_rng_u64(&rng);
        }
        rig_init(&restored, channel_cnt);
        carry_over(&old, &restored);
        for (uint32_t i = 0; i < 60; i++) {
            const struct weir_valve_result want = draw(&old, rng);
            const struct weir_valve_result got = draw(&restored, rng);
            (void)weir_rng_u64(&rng);
            assert_int_equal(got.watermark_set, want.watermark_set);
            assert_int_equal(got.status, want.status);
            if (want.watermark_set) {
                assert_int_equal(got.watermark, want.watermark);
            }
        }
    }
}

/* Another parallelism: T1 holds, nothing below what had come out. */
static void
t_B4_restored_into_other_channels_it_never_goes_back(void **state)
{
    (void)state;
    static struct rig old;
    static struct rig restored;
    rig_init(&old, 2);
    (void)weir_valve_watermark(&old.valve, 0, 50);
    (void)weir_valve_watermark(&old.valve, 1, 70);
    rig_init(&restored, 3);
    carry_over(&old, &restored);
    for (uint32_t c = 0; c < 3; c++) {
        assert_false(weir_valve_watermark(&restored.valve, c, 50).watermark_set);
    }
    (void)weir_valve_watermark(&restored.valve, 0, 51);
    (void)weir_valve_watermark(&restored.valve, 1, 52);
    note(&restored, weir_valve_watermark(&restored.valve, 2, 53));
    assert_string_equal(restored.out, "51");
}

/* A channel that goes idle and comes back before it has said anything holds back as the others do:
 * what it brings is behind what had come out, and not behind what the others say. */
static void
t_B4_restored_into_other_channels_all_hold_back(void **state)
{
    (void)state;
    static struct rig old;
    static struct rig restored;
    rig_init(&old, 1);
    (void)weir_valve_watermark(&old.valve, 0, 50);
    rig_init(&restored, 3);
    carry_over(&old, &restored);
    (void)weir_valve_status(&restored.valve, 1, true);
    (void)weir_valve_status(&restored.valve, 1, false);
    assert_false(weir_valve_watermark(&restored.valve, 0, 90).watermark_set);
    assert_false(weir_valve_watermark(&restored.valve, 2, 91).watermark_set);
    note(&restored, weir_valve_watermark(&restored.valve, 1, 60));
    assert_string_equal(restored.out, "60");
}

/* An in-edge of a union that brought nothing in one subtask may bring rows in the one that there is
 * now: the other edge must not go on without it. */
static void
t_T1_an_edge_that_was_idle_somewhere_holds_back(void **state)
{
    (void)state;
    static struct rig busy;
    static struct rig half;
    static struct rig restored;
    rig_init(&busy, 2);
    wm(&busy, 0, 10, "");
    wm(&busy, 1, 20, "10");
    rig_init(&half, 2);
    idle(&half, 0, "");
    wm(&half, 1, 30, "30");
    for (uint32_t turn = 0; turn < 2; turn++) {
        rig_init(&restored, 2);
        carry(turn == 0 ? &busy : &half, &restored, 0);
        carry(turn == 0 ? &half : &busy, &restored, 1);
        wm(&restored, 1, 40, "");
        wm(&restored, 0, 10, "");
        wm(&restored, 0, 15, "15");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T001_one_channel_passes_rising_watermarks),
        cmocka_unit_test(t_T003_one_channel_toggles_status_once),
        cmocka_unit_test(t_T004_watermarks_of_an_idle_channel_are_dropped),
        cmocka_unit_test(t_T005_all_channels_must_have_a_watermark),
        cmocka_unit_test(t_T006_the_minimum_rises),
        cmocka_unit_test(t_T007_nothing_regresses),
        cmocka_unit_test(t_T009_the_last_active_channel_decides_the_status),
        cmocka_unit_test(t_T010_an_idle_channel_no_longer_holds_back),
        cmocka_unit_test(t_T011_partially_idle_channels_advance),
        cmocka_unit_test(t_T012_channels_go_idle_one_by_one),
        cmocka_unit_test(t_T013_a_resumed_channel_is_aligned_when_it_catches_up),
        cmocka_unit_test(t_T015_an_unaligned_channel_going_idle_emits_nothing),
        cmocka_unit_test(t_T016_the_maximum_is_flushed_before_idle),
        cmocka_unit_test(t_T017_random_operations_agree_with_the_model),
        cmocka_unit_test(t_B4_a_restored_valve_goes_on_as_the_old_one),
        cmocka_unit_test(t_B4_restored_into_other_channels_it_never_goes_back),
        cmocka_unit_test(t_B4_restored_into_other_channels_all_hold_back),
        cmocka_unit_test(t_T1_an_edge_that_was_idle_somewhere_holds_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
