/* SPDX-License-Identifier: Apache-2.0 */
/* Key groups that move between the tables of an operator's subtasks, step by step in every order:
 * each key is with one of them, with its value, and who must not go on does not. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/handover.h"
#include "tests/unit/key_names.h"
#include "tests/unit/test.h"

#define ARENA_BYTES (UINT64_C(4) << 20)
#define GROUP_CNT 16
#define GROUP_CNT_MAX WEIR_KEYGROUP_CNT_MAX
#define SUBTASK_CNT 3
#define PRODUCER_CNT 2
#define KEY_CNT 6000
#define PARTS_BYTES 4096

struct world {
    struct weir_handover *handover;
    void *mem;
    struct weir_arena arena[SUBTASK_CNT];
    void *pages[SUBTASK_CNT];
    uint32_t group_cnt;
    uint64_t owned[SUBTASK_CNT][WEIR_KEYGROUP_SET_WORD_CNT(GROUP_CNT_MAX)];
    struct weir_table *names[SUBTASK_CNT];
    struct weir_table *pairs[SUBTASK_CNT]; /* of 16-byte keys */
};

static void
pair_of(uint64_t id, uint64_t pair[2], uint64_t *ret_hash)
{
    pair[0] = id;
    pair[1] = ~id;
    const struct weir_table_rows row = {.key = (const char *)pair, .key_stride = 16, .cnt = 1};
    weir_table_hash(WEIR_KEY_16, &row, ret_hash);
}

static void
world_open_of(struct world *w, uint64_t arena_bytes, uint32_t group_cnt)
{
    const struct weir_handover_conf conf = {group_cnt, SUBTASK_CNT, PRODUCER_CNT};
    size_t bytes = weir_align_up(weir_handover_footprint(&conf), WEIR_LINE_PAIR_BYTES);
    memset(w, 0, sizeof *w);
    w->mem = aligned_alloc(WEIR_LINE_PAIR_BYTES, bytes);
    memset(w->mem, 0, bytes);
    w->handover = weir_handover_init(&conf, w->mem);
    w->group_cnt = group_cnt;
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        const struct weir_arena_spec spec = {.name = "test",
            .max_parallelism = group_cnt,
            .groups = {0, group_cnt},
            .table_cnt_max = 16};
        const struct weir_table_spec names = {
            .state_id = 1, .key_kind = WEIR_KEY_STR, .val_bytes = 24, .tail_cnt = 1};
        const struct weir_table_spec pairs = {
            .state_id = 2, .key_kind = WEIR_KEY_16, .val_bytes = 8};
        /* Tables lie in other places in each: they are told by their states. */
        struct weir_table *none;
        w->pages[i] = aligned_alloc(WEIR_PAGE_BYTES, arena_bytes);
        memset(w->pages[i], 0, arena_bytes);
        assert_int_equal(weir_arena_init(&w->arena[i], &spec, w->pages[i], arena_bytes), 0);
        w->arena[i].owned = w->owned[i];
        weir_handover_own(w->handover, i, w->owned[i]);
        w->handover->arena[i] = &w->arena[i];
        assert_int_equal(weir_table_take(&w->arena[i], i == 1 ? &pairs : &names, 0, &none), 0);
        *(i == 1 ? &w->pairs[i] : &w->names[i]) = none;
        assert_int_equal(weir_table_take(&w->arena[i], i == 1 ? &names : &pairs, 0, &none), 0);
        *(i == 1 ? &w->names[i] : &w->pairs[i]) = none;
    }
}

static void
world_open(struct world *w, uint64_t arena_bytes)
{
    world_open_of(w, arena_bytes, GROUP_CNT);
}

static void
world_close(struct world *w)
{
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        free(w->pages[i]);
    }
    free(w->mem);
}

static uint32_t
owner_of(const struct world *w, uint64_t hash)
{
    uint32_t group = weir_hash_key_group(hash, w->group_cnt);
    uint32_t owner = UINT32_MAX;
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        if (weir_arena_owns(&w->arena[i], group)) {
            assert_int_equal(owner, UINT32_MAX);
            owner = i;
        }
    }
    assert_true(owner < SUBTASK_CNT);
    return owner;
}

static void
fill(struct world *w, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id < to; id++) {
        struct name name;
        uint64_t pair[2];
        uint64_t hash;
        void *val;
        bool is_new;
        name_of(id, &name);
        const struct weir_table_rows row = {
            .hash = &name.hash, .key = (const char *)&name.key, .heap = name.text, .cnt = 1};
        struct weir_table *names = w->names[owner_of(w, name.hash)];
        assert_int_equal(weir_table_find_or_make(names, &row, &val, &is_new), 0);
        ((uint64_t *)val)[0] = id;
        ((uint64_t *)val)[2] = id * 3;
        pair_of(id, pair, &hash);
        const struct weir_table_rows other = {.hash = &hash, .key = (const char *)pair, .cnt = 1};
        struct weir_table *pairs = w->pairs[owner_of(w, hash)];
        assert_int_equal(weir_table_find_or_make(pairs, &other, &val, &is_new), 0);
        *(uint64_t *)val = id + 1;
    }
}

/* It is with its owners. */
static void
check_one(const struct world *w, uint64_t id)
{
    struct name name;
    uint64_t pair[2];
    uint64_t hash;
    name_of(id, &name);
    const struct weir_table *names = w->names[owner_of(w, name.hash)];
    const uint64_t *val = weir_table_find(names, name.hash, &name.key, name.text);
    assert_non_null(val);
    assert_int_equal(val[0], id);
    assert_int_equal(val[1], 0);
    assert_int_equal(val[2], id * 3);
    pair_of(id, pair, &hash);
    val = weir_table_find(w->pairs[owner_of(w, hash)], hash, pair, NULL);
    assert_non_null(val);
    assert_int_equal(*val, id + 1);
}

static void
check_cnt(const struct world *w, uint64_t cnt)
{
    uint64_t names = 0;
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        names += w->names[i]->entry_cnt;
        pairs += w->pairs[i]->entry_cnt;
    }
    assert_int_equal(names, cnt);
    assert_int_equal(pairs, cnt);
}

static void
check(const struct world *w, uint64_t cnt)
{
    for (uint64_t id = 0; id < cnt; id++) {
        check_one(w, id);
    }
    check_cnt(w, cnt);
}

static void
set(struct world *w, uint64_t id, uint32_t first, uint32_t last, uint32_t to)
{
    const struct weir_handover_move move = {id, first, last, to};
    weir_handover_set(w->handover, &move);
}

static int
step(struct world *w, uint32_t subtask, uint64_t id)
{
    return weir_handover_step(w->handover, subtask, id);
}

/* All subtasks, in turn, until they are done. */
static void
move_all(struct world *w, uint64_t id)
{
    uint32_t done = 0;
    for (uint32_t turn = 0; done != (1U << SUBTASK_CNT) - 1; turn++) {
        uint32_t i = turn % SUBTASK_CNT;
        assert_true(turn < 4 * SUBTASK_CNT);
        int rc = (done >> i & 1) != 0 ? (int)WEIR_DONE : step(w, i, id);
        assert_true(rc == WEIR_DONE || rc == WEIR_WAIT);
        done |= rc == WEIR_DONE ? 1U << i : 0;
    }
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        assert_true(weir_handover_is_done(w->handover, i, id));
    }
    assert_true(weir_handover_end(w->handover, id));
}

/* Here, there and back: also of several givers at once, of none, and of one that has nothing. */
static void
t_T195_entries_move_with_their_key_groups(void **state)
{
    static const uint32_t moves[][3] = {
        {0, 2, 1}, {3, 12, 2}, {0, 15, 0}, {0, 15, 0}, {5, 5, 1}, {4, 9, 2}, {0, 15, 1}, {6, 6, 0}};
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    fill(&w, 0, KEY_CNT);
    check(&w, KEY_CNT);
    uint64_t id = 0;
    for (uint32_t m = 0; m < WEIR_ARRAY_CNT(moves); m++) {
        set(&w, ++id, moves[m][0], moves[m][1], moves[m][2]);
        move_all(&w, id);
        for (uint32_t g = moves[m][0]; g <= moves[m][1]; g++) {
            assert_int_equal(w.handover->owner[g], moves[m][2]);
        }
        check(&w, KEY_CNT);
    }
    fill(&w, KEY_CNT, KEY_CNT + 500); /* they go on from there */
    check(&w, KEY_CNT + 500);
    world_close(&w);
}

/* What a subtask gives up is free again: moving for ever takes no more pages. */
static void
t_T195_what_is_given_up_is_free(void **state)
{
    struct world w;
    uint64_t least = UINT64_MAX;
    (void)state;
    world_open(&w, ARENA_BYTES);
    fill(&w, 0, KEY_CNT);
    for (uint64_t id = 1; id <= 60; id++) {
        set(&w, id, 0, GROUP_CNT - 1, (uint32_t)(id % SUBTASK_CNT));
        move_all(&w, id);
        uint64_t used = 0;
        for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
            used += weir_arena_used_bytes(&w.arena[i]);
        }
        least = id == SUBTASK_CNT ? used : least;
        if (id > SUBTASK_CNT) {
            assert_true(used <= least + (uint64_t)SUBTASK_CNT * WEIR_PAGE_BYTES);
        }
    }
    check(&w, KEY_CNT);
    world_close(&w);
}

/* A directory that is being doubled when a key group goes: one so large that this takes several
 * steps, for few key groups that have many keys. */
static void
t_T195_a_directory_that_grows_meanwhile(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t ids[1500];
    uint32_t cnt = 0;
    uint64_t move = 0;
    uint32_t growing_cnt = 0;
    (void)state;
    world_open_of(w, 4 * ARENA_BYTES, GROUP_CNT_MAX);
    for (uint64_t id = 0; cnt < WEIR_ARRAY_CNT(ids); id++) {
        uint64_t pair[2];
        uint64_t hash;
        pair_of(id, pair, &hash);
        uint32_t group = weir_hash_key_group(hash, GROUP_CNT_MAX);
        if (group >= 4) {
            continue;
        }
        fill(w, id, id + 1);
        ids[cnt++] = id;
        if (w->pairs[owner_of(w, hash)]->next_dir != 0 && growing_cnt < 12) {
            move++;
            set(w, move, group, group, (uint32_t)(move % SUBTASK_CNT));
            move_all(w, move);
            growing_cnt++;
        }
    }
    assert_int_equal(growing_cnt, 12);
    for (uint32_t to = 0; to < SUBTASK_CNT; to++) { /* each has been one that grew */
        move++;
        set(w, move, 0, 3, to);
        move_all(w, move);
        for (uint32_t i = 0; i < cnt; i++) {
            check_one(w, ids[i]);
        }
        check_cnt(w, cnt);
    }
    world_close(w);
    free(w);
}

static void
t_T195_nobody_goes_on_too_early(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    fill(&w, 0, 1000);
    set(&w, 7, 0, 7, 2); /* of subtasks 0 and 1 */
    assert_int_equal(step(&w, 2, 7), WEIR_WAIT);
    assert_int_equal(step(&w, 0, 7), WEIR_WAIT);
    assert_int_equal(step(&w, 2, 7), WEIR_WAIT);
    assert_false(weir_handover_is_done(w.handover, 0, 7));
    assert_int_equal(step(&w, 1, 7), WEIR_WAIT);
    assert_int_equal(step(&w, 0, 7), WEIR_WAIT);
    assert_int_equal(step(&w, 2, 7), WEIR_DONE);
    assert_int_equal(step(&w, 0, 7), WEIR_DONE);
    assert_int_equal(step(&w, 1, 7), WEIR_DONE);
    check(&w, 1000);
    /* One that has nothing to give does not wait, but is waited for: it has all rows now. */
    set(&w, 8, 0, 0, 0);
    assert_int_equal(step(&w, 1, 8), WEIR_DONE);
    assert_int_equal(step(&w, 2, 8), WEIR_WAIT);
    assert_int_equal(step(&w, 0, 8), WEIR_DONE);
    assert_int_equal(step(&w, 2, 8), WEIR_DONE);
    assert_true(weir_handover_end(w.handover, 8));
    check(&w, 1000);
    /* The barrier of another operator's move. */
    assert_int_equal(step(&w, 0, 9), WEIR_DONE);
    assert_false(weir_handover_is_done(w.handover, 0, 9));
    check(&w, 1000);
    world_close(&w);
}

static void
t_T195_who_has_ended_is_not_waited_for(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    fill(&w, 0, 1000);
    weir_handover_leave(w.handover, 0); /* and keeps what it has */
    set(&w, 1, 0, 7, 2);
    assert_int_equal(step(&w, 2, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 1, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 2, 1), WEIR_DONE);
    assert_int_equal(step(&w, 1, 1), WEIR_DONE);
    assert_false(weir_handover_end(w.handover, 1)); /* not all of them */
    assert_int_equal(w.handover->owner[0], 0);
    assert_int_equal(w.handover->owner[7], 2);
    check(&w, 1000);
    set(&w, 2, 8, 9, 0); /* to one that has ended: they stay */
    assert_int_equal(step(&w, 1, 2), WEIR_DONE);
    assert_int_equal(step(&w, 2, 2), WEIR_DONE);
    assert_false(weir_handover_end(w.handover, 2));
    assert_int_equal(w.handover->owner[8], 1);
    check(&w, 1000);
    /* It ends while others wait for it. */
    set(&w, 3, 10, 12, 1);
    assert_int_equal(step(&w, 2, 3), WEIR_WAIT);
    weir_handover_leave(w.handover, 1);
    assert_int_equal(step(&w, 2, 3), WEIR_DONE);
    check(&w, 1000);
    world_close(&w);
}

static void
t_T195_a_producer_deals_out_anew_behind_its_barrier(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    const uint16_t *first = weir_handover_begin(w.handover, 0);
    const uint16_t *second = weir_handover_begin(w.handover, 1);
    set(&w, 5, 0, 3, 2);
    weir_handover_route(w.handover, 0, 4); /* another operator's */
    assert_false(weir_handover_is_routed(w.handover, 0, 4));
    assert_int_equal(first[0], 0);
    weir_handover_route(w.handover, 0, 5);
    assert_true(weir_handover_is_routed(w.handover, 0, 5));
    assert_false(weir_handover_is_routed(w.handover, 1, 5));
    for (uint32_t g = 0; g < GROUP_CNT; g++) {
        assert_int_equal(second[g], weir_keygroup_owner(g, SUBTASK_CNT, GROUP_CNT));
        assert_int_equal(first[g], g <= 3 ? 2 : second[g]);
    }
    weir_handover_route(w.handover, 1, 5);
    assert_int_equal(second[3], 2);
    world_close(&w);
}

static void
t_T195_state_that_does_not_fit_is_an_error(void **state)
{
    struct world w;
    char why[512];
    (void)state;
    world_open(&w, 640 * WEIR_KIB);
    fill(&w, 0, 4000);
    set(&w, 1, 0, GROUP_CNT - 1, 0);
    assert_int_equal(step(&w, 1, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 2, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 0, 1), WEIR_EBUDGET);
    weir_err_save(why, sizeof why);
    assert_non_null(strstr(why, "comes from test"));
    weir_err_clear();
    assert_int_equal(step(&w, 1, 1), WEIR_WAIT); /* until its job has failed */
    world_close(&w);
}

static void
t_T195_state_without_a_place_to_go_is_an_error(void **state)
{
    const struct weir_table_spec spec = {.state_id = 3, .key_kind = WEIR_KEY_8, .val_bytes = 8};
    struct weir_table *late;
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    fill(&w, 0, 1000);
    assert_int_equal(weir_table_take(&w.arena[1], &spec, 0, &late), 0);
    set(&w, 1, 0, GROUP_CNT - 1, 0);
    assert_int_equal(step(&w, 1, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 2, 1), WEIR_WAIT);
    assert_int_equal(step(&w, 0, 1), WEIR_EBUG);
    weir_err_clear();
    world_close(&w);
}

static void
t_T195_a_snapshot_says_whose_they_are(void **state)
{
    _Alignas(8) char buf[PARTS_BYTES];
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
    uint64_t set_of[1] = {0};
    size_t bytes = 0;
    bool has = false;
    struct world w;
    (void)state;
    world_open(&w, ARENA_BYTES);
    set(&w, 1, 0, 1, 2);
    move_all(&w, 1);
    weir_parts_writer_init(&writer, buf, sizeof buf);
    weir_parts_writer_of(&writer, "");
    weir_handover_put_part(&w.arena[2], &writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&reader, buf, bytes), 0);
    assert_int_equal(weir_handover_get_part(&reader, GROUP_CNT, set_of, &has), 0);
    assert_true(has);
    assert_int_equal(set_of[0], w.owned[2][0]);
    assert_true((set_of[0] & 3) == 3);
    assert_int_equal(weir_handover_get_part(&reader, 65, (uint64_t[2]){0}, &has), WEIR_EDATA);
    weir_err_clear();
    /* Memory whose key groups stay says nothing. */
    w.arena[0].owned = NULL;
    weir_parts_writer_init(&writer, buf, sizeof buf);
    weir_parts_writer_of(&writer, "");
    weir_handover_put_part(&w.arena[0], &writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&reader, buf, bytes), 0);
    assert_int_equal(weir_handover_get_part(&reader, GROUP_CNT, set_of, &has), 0);
    assert_false(has);
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T195_entries_move_with_their_key_groups),
        cmocka_unit_test(t_T195_what_is_given_up_is_free),
        cmocka_unit_test(t_T195_a_directory_that_grows_meanwhile),
        cmocka_unit_test(t_T195_nobody_goes_on_too_early),
        cmocka_unit_test(t_T195_who_has_ended_is_not_waited_for),
        cmocka_unit_test(t_T195_a_producer_deals_out_anew_behind_its_barrier),
        cmocka_unit_test(t_T195_state_that_does_not_fit_is_an_error),
        cmocka_unit_test(t_T195_state_without_a_place_to_go_is_an_error),
        cmocka_unit_test(t_T195_a_snapshot_says_whose_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
