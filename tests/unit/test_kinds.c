/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of keyed state, one expectation at a time; all of them together: test_kinds_model.c. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/kinds_rig.h"

#define TTL_MS 100

struct sum {
    int64_t sum;
    int64_t cnt;
};

WEIR_REDUCING(total, struct sum)
{
    to->sum += val->sum;
    to->cnt += val->cnt;
}

WEIR_AGGREGATING(mean, int64_t, struct sum)
{
    to->sum += *in;
    to->cnt++;
}

enum { VALUE, LIST, MAP, REDUCING, AGGREGATING, TIMED, TIMED_LIST, TIMED_MAP, SHOWN };
static const struct weir_kind kinds[] = {
    WEIR_KIND_VALUE("value", int64_t, WEIR_NO_TTL),
    {WEIR_KIND_TYPE_LIST, 0, 8, true, WEIR_NO_TTL,
        {{"list", weir_kind_move_items, &weir_kind_item_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    WEIR_KIND_MAP("map", 8, 8, WEIR_NO_TTL),
    {WEIR_KIND_TYPE_REDUCING, 0, sizeof(struct sum), true, WEIR_NO_TTL,
        {{"reducing", NULL, &weir_kind_inline_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    {WEIR_KIND_TYPE_AGGREGATING, 0, sizeof(struct sum), true, WEIR_NO_TTL,
        {{"aggregating", NULL, &weir_kind_inline_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    WEIR_KIND_VALUE("timed", int64_t, WEIR_TTL(TTL_MS)),
    WEIR_KIND_LIST("timed list", 8, WEIR_TTL(TTL_MS)),
    WEIR_KIND_MAP("timed map", 8, 8, WEIR_TTL_READ(TTL_MS)),
    WEIR_KIND_VALUE("shown", int64_t, {TTL_MS, false, true, false, 0}),
};

struct stand {
    struct rig rig;
    struct rig_key key;
    struct rig_task *task;
};

static void
stand_key(struct stand *s, uint32_t number)
{
    s->key = rig_key(&s->rig, number);
    s->task = rig_set_key(&s->rig, &s->key);
}

static void
stand_open(struct stand *s)
{
    memset(s, 0, sizeof *s);
    s->rig = (struct rig){.kinds = kinds, .kind_cnt = WEIR_ARRAY_CNT(kinds), .now = 1000};
    rig_open(&s->rig, 1);
    stand_key(s, 1);
}

static struct weir_keyed_state *
at(struct stand *s, uint32_t idx)
{
    return &s->task->set->state[idx];
}

static void
wait_ms(struct stand *s, int64_t ms)
{
    s->rig.now += ms;
    s->task->set->now_ms = s->rig.now;
}

static int64_t
word_of(const void *val)
{
    int64_t word;
    assert_non_null(val);
    memcpy(&word, val, sizeof word);
    return word;
}

static uint32_t
cnt_of(struct weir_keyed_state *s)
{
    struct weir_kind_cursor cursor;
    uint32_t cnt = 0;
    weir_kind_begin(s, &cursor);
    while (weir_kind_next(&cursor, NULL, NULL) != NULL) {
        cnt++;
    }
    return cnt;
}

/* What is not there is refused, and changes nothing. */
static void
t_T304_null_is_refused(void **unused)
{
    (void)unused;
    struct stand s;
    const struct weir_slice none = {NULL, 8};
    int64_t word = 7;
    stand_open(&s);
    assert_int_equal(weir_list_add(at(&s, LIST), WEIR_BYTES(&word)), 0);
    assert_int_equal(weir_list_add(at(&s, LIST), none), WEIR_EINVAL);
    const struct weir_slice some[2] = {WEIR_BYTES(&word), none};
    assert_int_equal(weir_list_update(at(&s, LIST), some, 2), WEIR_EINVAL);
    struct weir_kind_cursor cursor;
    weir_kind_begin(at(&s, LIST), &cursor);
    assert_non_null(weir_kind_next(&cursor, NULL, NULL));
    assert_int_equal(weir_list_insert(&cursor, none), WEIR_EINVAL);
    assert_int_equal(weir_list_replace(&cursor, none), WEIR_EINVAL);
    assert_int_equal(cnt_of(at(&s, LIST)), 1);
    assert_int_equal(weir_value_set(at(&s, VALUE), none), WEIR_EINVAL);
    assert_null(weir_value_get(at(&s, VALUE), NULL));
    assert_int_equal(weir_map_put(at(&s, MAP), none, WEIR_BYTES(&word)), WEIR_EINVAL);
    assert_int_equal(weir_map_put(at(&s, MAP), WEIR_BYTES(&word), none), WEIR_EINVAL);
    assert_null(weir_map_get(at(&s, MAP), none, NULL));
    assert_false(weir_map_remove(at(&s, MAP), none));
    assert_true(weir_map_is_empty(at(&s, MAP)));
    assert_int_equal(total_add(at(&s, REDUCING), NULL), WEIR_EINVAL);
    assert_int_equal(mean_add(at(&s, AGGREGATING), NULL), WEIR_EINVAL);
    assert_null(weir_value_get(at(&s, REDUCING), NULL));
    weir_err_clear();
    rig_close(&s.rig);
}

static void
t_bytes_of_another_length_are_refused(void **unused)
{
    (void)unused;
    static char big[WEIR_KIND_BYTES_MAX + 1];
    static const struct weir_kind any[] = {WEIR_KIND_LIST("any", 0, WEIR_NO_TTL),
        WEIR_KIND_MAP("any map", 0, 0, WEIR_NO_TTL), WEIR_KIND_BYTES("bytes", WEIR_NO_TTL)};
    struct stand s;
    int32_t half = 1;
    stand_open(&s);
    assert_int_equal(weir_list_add(at(&s, LIST), WEIR_BYTES(&half)), WEIR_EINVAL);
    assert_int_equal(weir_value_set(at(&s, VALUE), WEIR_BYTES(&half)), WEIR_EINVAL);
    rig_close(&s.rig);
    s.rig = (struct rig){.kinds = any, .kind_cnt = 3};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    assert_int_equal(weir_list_add(at(&s, 0), weir_bytes(big, sizeof big)), WEIR_EDATA);
    assert_int_equal(weir_list_add(at(&s, 0), weir_bytes(big, sizeof big - 1)), 0);
    assert_int_equal(
        weir_map_put(at(&s, 1), weir_bytes(big, 2000), weir_bytes(big, 2000)), WEIR_EDATA);
    assert_true(weir_map_is_empty(at(&s, 1)));
    assert_int_equal(weir_value_set(at(&s, 2), weir_bytes(big, sizeof big)), WEIR_EDATA);
    assert_null(weir_value_get(at(&s, 2), NULL));
    weir_err_clear();
    rig_close(&s.rig);
}

/* A state that nothing was put in, or that was cleared, is NULL and empty. */
static void
t_T304_empty_is_null(void **unused)
{
    (void)unused;
    struct stand s;
    int64_t word = 3;
    stand_open(&s);
    assert_null(weir_value_get(at(&s, VALUE), NULL));
    assert_null(weir_value_get(at(&s, AGGREGATING), NULL));
    assert_int_equal(cnt_of(at(&s, LIST)), 0);
    assert_true(weir_map_is_empty(at(&s, MAP)));
    assert_int_equal(weir_map_put(at(&s, MAP), WEIR_BYTES(&word), WEIR_BYTES(&word)), 0);
    assert_false(weir_map_is_empty(at(&s, MAP)));
    assert_true(weir_map_contains(at(&s, MAP), WEIR_BYTES(&word)));
    assert_true(weir_map_remove(at(&s, MAP), WEIR_BYTES(&word)));
    assert_true(weir_map_is_empty(at(&s, MAP)));
    assert_int_equal(weir_list_add(at(&s, LIST), WEIR_BYTES(&word)), 0);
    assert_int_equal(weir_list_update(at(&s, LIST), NULL, 0), 0);
    assert_int_equal(cnt_of(at(&s, LIST)), 0);
    for (uint32_t i = 0; i < s.task->set->cnt; i++) {
        assert_int_equal(s.task->set->state[i].table->entry_cnt, 0);
    }
    rig_close(&s.rig);
}

/* Namespaces that are merged into another one are gone; the others are left alone. */
static void
t_T304_merged_namespaces_disappear(void **unused)
{
    (void)unused;
    struct stand s;
    const uint64_t from[] = {1, 2, 9, 5};
    const int64_t in = 4;
    const struct sum one = {10, 1};
    stand_open(&s);
    for (uint64_t ns = 0; ns < 4; ns++) {
        for (uint32_t i = LIST; i <= AGGREGATING; i += i == LIST ? 2 : 1) {
            weir_state_ns(at(&s, i), ns);
        }
        assert_int_equal(weir_list_add(at(&s, LIST), WEIR_BYTES(&ns)), 0);
        assert_int_equal(total_add(at(&s, REDUCING), &one), 0);
        assert_int_equal(mean_add(at(&s, AGGREGATING), &in), 0);
    }
    for (uint32_t i = LIST; i <= AGGREGATING; i += i == LIST ? 2 : 1) {
        weir_state_ns(at(&s, i), 5);
        assert_int_equal(weir_state_merge(at(&s, i), from, 4, i == LIST ? NULL : total_merge), 0);
    }
    struct weir_kind_cursor cursor;
    weir_kind_begin(at(&s, LIST), &cursor);
    assert_int_equal(word_of(weir_kind_next(&cursor, NULL, NULL)), 1);
    assert_int_equal(word_of(weir_kind_next(&cursor, NULL, NULL)), 2);
    assert_null(weir_kind_next(&cursor, NULL, NULL));
    assert_int_equal(word_of(weir_value_get(at(&s, REDUCING), NULL)), 20);
    assert_int_equal(word_of(weir_value_get(at(&s, AGGREGATING), NULL)), 8);
    for (uint64_t ns = 0; ns < 4; ns++) {
        bool stays = ns == 0 || ns == 3;
        weir_state_ns(at(&s, LIST), ns);
        weir_state_ns(at(&s, REDUCING), ns);
        assert_int_equal(cnt_of(at(&s, LIST)), stays);
        assert_true((weir_value_get(at(&s, REDUCING), NULL) != NULL) == stays);
    }
    assert_int_equal(at(&s, LIST)->table->entry_cnt, 3);
    rig_close(&s.rig);
}

struct visit {
    struct stand *s;
    uint32_t cnt;
};

/* Takes the key's value away, and writes one of the next key, and of one that there was not. */
static int
visit(struct weir_keyed_state *state, void *arg)
{
    struct visit *v = arg;
    struct stand *s = v->s;
    const void *val = weir_value_get(state, NULL);
    int64_t number = word_of(val) & 0xffff;
    int64_t word = number | 0x10000;
    weir_state_clear(state);
    for (int64_t other = number + 1; other < number + 200; other += 100) {
        stand_key(s, (uint32_t)other);
        assert_int_equal(weir_value_set(state, WEIR_BYTES(&word)), 0);
        word = (other + 100) | 0x10000;
    }
    v->cnt++;
    return 0;
}

/* A function for every key may change what other keys have. */
static void
t_T305_each_key_is_visited_though_others_change(void **unused)
{
    (void)unused;
    for (uint32_t kind = 0; kind < WEIR_KEY_KIND_CNT; kind++) {
        struct stand s;
        memset(&s, 0, sizeof s);
        s.rig = (struct rig){.kinds = kinds, .kind_cnt = 1, .key_kind = kind};
        rig_open(&s.rig, 1);
        struct visit v = {&s, 0};
        for (int64_t number = 1; number <= 100; number++) {
            stand_key(&s, (uint32_t)number);
            assert_int_equal(weir_value_set(at(&s, VALUE), WEIR_BYTES(&number)), 0);
        }
        uint64_t before = at(&s, VALUE)->table->entry_cnt;
        assert_int_equal(before, 100);
        assert_int_equal(weir_kindset_each(s.task->set, VALUE, visit, &v), 0);
        assert_int_equal(v.cnt, 100);
        rig_close(&s.rig);
    }
}

/* A state of another kind or size is refused by name. */
static void
t_T301_another_kind_is_refused_by_name(void **unused)
{
    (void)unused;
    static const struct weir_kind was[] = {WEIR_KIND_LIST("s", 8, WEIR_NO_TTL)};
    static const struct weir_kind now[][1] = {{WEIR_KIND_MAP("s", 8, 8, WEIR_NO_TTL)},
        {WEIR_KIND_LIST("s", 16, WEIR_NO_TTL)}, {WEIR_KIND_VALUE("s", int64_t, WEIR_NO_TTL)},
        {WEIR_KIND_BYTES("s", WEIR_NO_TTL)}, {WEIR_KIND_LIST("s", 8, WEIR_TTL(5))}};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(now); i++) {
        struct stand s;
        int64_t word = 5;
        memset(&s, 0, sizeof s);
        s.rig = (struct rig){.kinds = was, .kind_cnt = 1};
        rig_open(&s.rig, 1);
        stand_key(&s, 1);
        assert_int_equal(weir_list_add(at(&s, 0), WEIR_BYTES(&word)), 0);
        rig_snapshot_begin(&s.rig);
        while (!rig_snapshot_step(&s.rig, s.task)) {
        }
        s.rig.kinds = now[i];
        struct rig_task *t = rig_task_new(&s.rig, 0, 1);
        int err = rig_task_restore(&s.rig, t, &s.task, 1);
        assert_int_equal(err, i < 4 ? WEIR_ESTATE : 0);
        assert_true(i == 4 || strstr(weir_err_at(0), "state s of operator rig") != NULL);
        weir_err_clear();
        rig_task_free(t);
        rig_close(&s.rig);
    }
}

/* ---- times to live ---- */

static void
t_a_value_lives_for_its_time(void **unused)
{
    (void)unused;
    struct stand s;
    int64_t word = 5;
    stand_open(&s);
    assert_int_equal(weir_value_set(at(&s, TIMED), WEIR_BYTES(&word)), 0);
    wait_ms(&s, TTL_MS - 1);
    assert_int_equal(word_of(weir_value_get(at(&s, TIMED), NULL)), 5);
    wait_ms(&s, 1); /* reading has not made it younger */
    assert_null(weir_value_get(at(&s, TIMED), NULL));
    assert_int_equal(at(&s, TIMED)->table->entry_cnt, 0);
    assert_int_equal(weir_value_set(at(&s, SHOWN), WEIR_BYTES(&word)), 0);
    wait_ms(&s, TTL_MS);
    assert_int_equal(word_of(weir_value_get(at(&s, SHOWN), NULL)), 5); /* once: it goes by it */
    assert_null(weir_value_get(at(&s, SHOWN), NULL));
    rig_close(&s.rig);
}

static void
t_entries_of_a_map_live_each_for_itself(void **unused)
{
    (void)unused;
    struct stand s;
    stand_open(&s);
    for (int64_t i = 0; i < 4; i++, wait_ms(&s, TTL_MS / 4)) {
        assert_int_equal(weir_map_put(at(&s, TIMED_MAP), WEIR_BYTES(&i), WEIR_BYTES(&i)), 0);
    }
    int64_t key = 1;
    assert_true(weir_map_contains(at(&s, TIMED_MAP), WEIR_BYTES(&key))); /* reading it is enough */
    wait_ms(&s, TTL_MS / 4);
    key = 0;
    assert_false(weir_map_contains(at(&s, TIMED_MAP), WEIR_BYTES(&key)));
    wait_ms(&s, TTL_MS / 2);
    assert_int_equal(cnt_of(at(&s, TIMED_MAP)), 1);
    rig_close(&s.rig);
}

/* A call looks at so many entries, and takes as many elements of one list, and no more. */
static void
t_cleaning_up_is_bounded(void **unused)
{
    (void)unused;
    struct stand s;
    stand_open(&s);
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t word = i;
        stand_key(&s, i);
        assert_int_equal(weir_value_set(at(&s, TIMED), WEIR_BYTES(&word)), 0);
        stand_key(&s, 1);
        assert_int_equal(weir_list_add(at(&s, TIMED_LIST), WEIR_BYTES(&word)), 0);
    }
    uint64_t used = weir_arena_used_bytes(&s.task->arena);
    assert_int_equal(weir_kindset_clean(s.task->set), 0);
    assert_int_equal(at(&s, TIMED)->table->entry_cnt, 1000); /* nothing has expired */
    wait_ms(&s, TTL_MS);
    uint64_t left = 1000;
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(weir_kindset_clean(s.task->set), 0);
        uint64_t now = at(&s, TIMED)->table->entry_cnt;
        assert_in_range(left - now, 0, WEIR_TTL_CLEAN_CNT);
        left = now;
        if (i < 10) {
            assert_int_equal(at(&s, TIMED_LIST)->table->entry_cnt, 1);
        }
    }
    assert_int_equal(left, 0);
    assert_int_equal(at(&s, TIMED_LIST)->table->entry_cnt, 0);
    assert_true(weir_arena_used_bytes(&s.task->arena) < used);
    rig_close(&s.rig);
}

/* What had expired at the barrier is not there after a restore, though it is shown before. */
static void
t_what_had_expired_is_not_restored(void **unused)
{
    (void)unused;
    struct stand s;
    int64_t word = 5;
    stand_open(&s);
    assert_int_equal(weir_value_set(at(&s, SHOWN), WEIR_BYTES(&word)), 0);
    stand_key(&s, 2);
    wait_ms(&s, 1);
    assert_int_equal(weir_value_set(at(&s, SHOWN), WEIR_BYTES(&word)), 0);
    wait_ms(&s, TTL_MS - 1);
    rig_snapshot_begin(&s.rig);
    while (!rig_snapshot_step(&s.rig, s.task)) {
    }
    wait_ms(&s, 10);
    rig_restore(&s.rig, 1, false);
    stand_key(&s, 1);
    assert_null(weir_value_get(at(&s, SHOWN), NULL));
    stand_key(&s, 2);
    assert_int_equal(word_of(weir_value_get(at(&s, SHOWN), NULL)), 5);
    rig_close(&s.rig);
}

static void
t_declarations_are_checked(void **unused)
{
    (void)unused;
    static const struct weir_kind bad[][1] = {{WEIR_KIND_VALUE("", int64_t, WEIR_NO_TTL)},
        {WEIR_KIND_LIST("long", WEIR_KIND_BYTES_MAX + 1, WEIR_NO_TTL)},
        {WEIR_KIND_VALUE("past", int64_t, WEIR_TTL(-1))},
        {{WEIR_KIND_TYPE_MAP, 0, 0, false, WEIR_NO_TTL,
            {{"no index", NULL, NULL}, WEIR_KIND_NO_DESC}, NULL, 0}},
        {{WEIR_KIND_TYPE_REDUCING, 0, 0, false, WEIR_NO_TTL,
            {{"no size", NULL, NULL}, WEIR_KIND_NO_DESC}, NULL, 0}},
        {{WEIR_KIND_TYPE_CNT, 0, 8, false, WEIR_NO_TTL, {{"kind", NULL, NULL}, WEIR_KIND_NO_DESC},
            NULL, 0}},
        {WEIR_KIND_NUMBERS("no map", 0, 8)}, {WEIR_KIND_NUMBERS("33 maps", 33, 8)},
        {WEIR_KIND_NUMBERS("no word", 1, 0)}, {WEIR_KIND_NUMBERS("no words", 1, 12)},
        {WEIR_KIND_NUMBERS("31 words", 1, 31 * 8)},
        {{WEIR_KIND_TYPE_NUMBERS, 1, 8, false, WEIR_TTL(1),
            {{"timed", NULL, NULL}, WEIR_KIND_NO_DESC}, NULL, 0}},
        {{WEIR_KIND_TYPE_NUMBERS, 1, 8, true, WEIR_NO_TTL,
            {{"spaced", NULL, NULL}, WEIR_KIND_NO_DESC}, NULL, 0}}};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        assert_int_equal(weir_kindset_check(bad[i], 1), WEIR_EGRAPH);
    }
    assert_int_equal(weir_kindset_check(kinds, WEIR_KIND_CNT_MAX + 1), WEIR_EGRAPH);
    assert_int_equal(weir_kindset_check(kinds, WEIR_ARRAY_CNT(kinds)), 0);
    weir_err_clear();
}

static bool
aborts_ahead(struct stand *s, uint32_t idx)
{
    struct weir_table_rows none = {.cnt = 0};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* The message is the check's own; the parent looks at how it ended. */
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        _exit(weir_kindset_ahead(at(s, idx), &none, 0) < 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Keys of rows have no namespace behind them: their entries would be read past the key. */
static void
t_only_plain_lists_are_looked_up_ahead(void **unused)
{
    (void)unused;
    static const struct weir_kind plain[] = {WEIR_KIND_LIST("plain", 8, WEIR_NO_TTL)};
    struct stand s;
    stand_open(&s);
    assert_true(aborts_ahead(&s, LIST)); /* has namespaces */
    assert_true(aborts_ahead(&s, TIMED_LIST));
    assert_true(aborts_ahead(&s, MAP));
    rig_close(&s.rig);
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.kinds = plain, .kind_cnt = 1};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    assert_false(aborts_ahead(&s, 0));
    rig_close(&s.rig);
}

/* An arena without room says so, and what was there is as it was. */
static void
t_without_room_nothing_is_lost(void **unused)
{
    (void)unused;
    static char val[3000];
    struct stand s;
    static const struct weir_kind any[] = {WEIR_KIND_MAP("any", 8, 0, WEIR_NO_TTL)};
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.kinds = any, .kind_cnt = 1};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    int64_t cnt = 0;
    int err = 0;
    while (err == 0) {
        err = weir_map_put(at(&s, 0), WEIR_BYTES(&cnt), weir_bytes(val, sizeof val));
        cnt += err == 0;
    }
    assert_int_equal(err, WEIR_EBUDGET);
    weir_err_clear();
    assert_int_equal(cnt_of(at(&s, 0)), cnt);
    for (int64_t key = 0; key < cnt; key++) {
        assert_true(weir_map_remove(at(&s, 0), WEIR_BYTES(&key)));
    }
    assert_true(weir_map_is_empty(at(&s, 0)));
    assert_int_equal(at(&s, 0)->index->entry_cnt, 0);
    rig_close(&s.rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T304_null_is_refused),
        cmocka_unit_test(t_bytes_of_another_length_are_refused),
        cmocka_unit_test(t_T304_empty_is_null),
        cmocka_unit_test(t_T304_merged_namespaces_disappear),
        cmocka_unit_test(t_T305_each_key_is_visited_though_others_change),
        cmocka_unit_test(t_T301_another_kind_is_refused_by_name),
        cmocka_unit_test(t_a_value_lives_for_its_time),
        cmocka_unit_test(t_entries_of_a_map_live_each_for_itself),
        cmocka_unit_test(t_cleaning_up_is_bounded),
        cmocka_unit_test(t_what_had_expired_is_not_restored),
        cmocka_unit_test(t_declarations_are_checked),
        cmocka_unit_test(t_only_plain_lists_are_looked_up_ahead),
        cmocka_unit_test(t_without_room_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
