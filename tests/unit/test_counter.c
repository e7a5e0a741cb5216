/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/test.h"

#define TASK_COUNTERS(X)                                                                \
    X(rows_in, "numRecordsIn", COUNTER, "records", "Records that came in")              \
    X(watermark, "currentInputWatermark", GAUGE, "ms", "Least watermark of the inputs") \
    X(usage, "outPoolUsage", REAL, "part of 1", "Buffers in use")
WEIR_COUNTER_TABLE(task_counters, TASK_COUNTERS)

struct owner {
    struct task_counters own;
    WEIR_ATOMIC(uint64_t) shown[3];
    struct weir_counter_set set;
};

static void
owner_init(struct owner *owner, const struct weir_counter_label *labels, uint32_t label_cnt)
{
    memset(owner, 0, sizeof *owner);
    owner->set = (struct weir_counter_set){
        .rows = task_counters_rows,
        .row_cnt = WEIR_ARRAY_CNT(task_counters_rows),
        .labels = labels,
        .label_cnt = label_cnt,
        .own = &owner->own.rows_in,
        .shown = owner->shown,
    };
}

static char *
printed(const struct weir_counter_set *sets, size_t set_cnt, enum weir_counter_text kind)
{
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_non_null(to);
    const struct weir_counter_page page = {to, kind};
    assert_int_equal(weir_counter_print(&page, "weir_task", sets, set_cnt), 0);
    assert_int_equal(weir_counter_print_end(&page), 0);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void
t_readers_see_what_was_published_and_nothing_before(void **state)
{
    (void)state;
    struct owner owner;
    uint64_t values[3] = {7, 7, 7};
    owner_init(&owner, NULL, 0);
    owner.own.rows_in += 5;
    weir_counter_read(&owner.set, values);
    assert_true(values[0] == 0 && values[1] == 0);
    owner.own.watermark = (uint64_t)INT64_C(-3);
    weir_counter_publish(&owner.set);
    owner.own.rows_in += 5;
    weir_counter_read(&owner.set, values);
    assert_true(values[0] == 5 && (int64_t)values[1] == -3);
}

static void
t_the_page_has_a_family_a_row_and_a_sample_a_set(void **state)
{
    (void)state;
    static const struct weir_counter_label one[] = {{"task", "count (1/2)"}, {"job", "a\"b\\c\nd"}};
    static const struct weir_counter_label two[] = {{"task", "count (2/2)"}, {"job", ""}};
    struct owner owners[2];
    owner_init(&owners[0], one, 2);
    owner_init(&owners[1], two, 2);
    owners[0].own.rows_in = UINT64_MAX;
    owners[1].own.watermark = (uint64_t)INT64_MIN;
    owners[1].own.usage = weir_counter_real(0.25);
    weir_counter_publish(&owners[0].set);
    weir_counter_publish(&owners[1].set);
    struct weir_counter_set sets[2] = {owners[0].set, owners[1].set};
    char *text = printed(sets, 2, WEIR_COUNTER_OPENMETRICS);
    assert_string_equal(text,
        "# TYPE weir_task_numRecordsIn counter\n"
        "# HELP weir_task_numRecordsIn Records that came in (records).\n"
        "weir_task_numRecordsIn_total{task=\"count (1/2)\",job=\"a\\\"b\\\\c\\nd\"} "
        "18446744073709551615\n"
        "weir_task_numRecordsIn_total{task=\"count (2/2)\",job=\"\"} 0\n"
        "# TYPE weir_task_currentInputWatermark gauge\n"
        "# HELP weir_task_currentInputWatermark Least watermark of the inputs (ms).\n"
        "weir_task_currentInputWatermark{task=\"count (1/2)\",job=\"a\\\"b\\\\c\\nd\"} 0\n"
        "weir_task_currentInputWatermark{task=\"count (2/2)\",job=\"\"} -9223372036854775808\n"
        "# TYPE weir_task_outPoolUsage gauge\n"
        "# HELP weir_task_outPoolUsage Buffers in use (part of 1).\n"
        "weir_task_outPoolUsage{task=\"count (1/2)\",job=\"a\\\"b\\\\c\\nd\"} 0\n"
        "weir_task_outPoolUsage{task=\"count (2/2)\",job=\"\"} 0.25\n"
        "# EOF\n");
    free(text);
}

static void
t_the_older_text_names_counters_as_their_samples(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner, NULL, 0);
    char *text = printed(&owner.set, 1, WEIR_COUNTER_PROMETHEUS);
    assert_string_equal(text,
        "# TYPE weir_task_numRecordsIn_total counter\n"
        "# HELP weir_task_numRecordsIn_total Records that came in (records).\n"
        "weir_task_numRecordsIn_total 0\n"
        "# TYPE weir_task_currentInputWatermark gauge\n"
        "# HELP weir_task_currentInputWatermark Least watermark of the inputs (ms).\n"
        "weir_task_currentInputWatermark 0\n"
        "# TYPE weir_task_outPoolUsage gauge\n"
        "# HELP weir_task_outPoolUsage Buffers in use (part of 1).\n"
        "weir_task_outPoolUsage 0\n");
    free(text);
    text = printed(NULL, 0, WEIR_COUNTER_OPENMETRICS);
    assert_string_equal(text, "# EOF\n");
    free(text);
}

static void *
add_and_publish(void *arg)
{
    struct owner *owner = arg;
    for (int i = 0; i < 100000; i++) {
        owner->own.rows_in++;
        owner->own.watermark++;
        weir_counter_publish(&owner->set);
    }
    return NULL;
}

/* ThreadSanitizer reads this too: the owner's own fields are never touched by the reader. */
static void
t_a_reader_beside_the_owner_never_sees_a_value_go_back(void **state)
{
    (void)state;
    struct owner owner;
    pthread_t thread;
    uint64_t last[2] = {0, 0};
    owner_init(&owner, NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, add_and_publish, &owner), 0);
    while (last[1] < 100000) {
        uint64_t values[3];
        weir_counter_read(&owner.set, values);
        assert_true(values[0] >= last[0] && values[1] >= last[1]);
        memcpy(last, values, sizeof last);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
t_a_full_disk_is_reported(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner, NULL, 0);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    const struct weir_counter_page page = {full, WEIR_COUNTER_OPENMETRICS};
    assert_int_equal(weir_counter_print(&page, "weir", &owner.set, 1), WEIR_EIO);
    (void)fclose(full);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_readers_see_what_was_published_and_nothing_before),
        cmocka_unit_test(t_the_page_has_a_family_a_row_and_a_sample_a_set),
        cmocka_unit_test(t_the_older_text_names_counters_as_their_samples),
        cmocka_unit_test(t_a_reader_beside_the_owner_never_sees_a_value_go_back),
        cmocka_unit_test(t_a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
