/* SPDX-License-Identifier: Apache-2.0 */
/* Keyed state of p subtasks, restored by q: every key is with the owner of its key group, once,
 * with its value, through one change of the parallelism after the other. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/capture.h"
#include "dataplane/restore.h"
#include "dataplane/state.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/key_names.h"
#include "tests/unit/test.h"

#define ARENA_BYTES (UINT64_C(4) << 20)
#define FILE_BYTES (UINT64_C(4) << 20)
#define GROUP_CNT 16
#define KEY_CNT 5000
#define SUBTASK_CNT_MAX 5
#define STATE 9

struct subtask {
    struct weir_arena arena;
    struct weir_capture capture;
    void *mem;
    void *capture_mem;
    char *file;
    uint64_t file_bytes;
};

static uint64_t
value_of(uint64_t id)
{
    return id * 3 + 1;
}

static void
subtask_open(struct subtask *s, uint32_t idx, uint32_t cnt)
{
    const struct weir_arena_spec spec = {.name = "test",
        .max_parallelism = GROUP_CNT,
        .groups = weir_keygroup_range_of(idx, cnt, GROUP_CNT),
        .table_cnt_max = 16};
    memset(s, 0, sizeof *s);
    s->mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    memset(s->mem, 0, ARENA_BYTES);
    assert_int_equal(weir_arena_init(&s->arena, &spec, s->mem, ARENA_BYTES), 0);
    s->capture_mem = capture_mem(&s->arena, 1024);
    assert_int_equal(weir_capture_init(&s->capture, &s->arena, 1024, s->capture_mem), 0);
    s->file = malloc(FILE_BYTES);
}

static void
subtask_close(struct subtask *s)
{
    free(s->mem);
    free(s->capture_mem);
    free(s->file);
}

static void
subtask_leave(struct subtask *s)
{
    int64_t got;
    assert_int_equal(weir_arena_snapshot_begin(&s->arena), WEIR_DONE);
    assert_int_equal(weir_capture_begin(&s->capture, 1, true), WEIR_DONE);
    while ((got = weir_capture_fill(
                &s->capture, s->file + s->file_bytes, FILE_BYTES - s->file_bytes)) != WEIR_DONE) {
        assert_true(got > 0);
        s->file_bytes += got > WEIR_AGAIN ? (uint64_t)got : 0;
    }
}

/* Everything that all old ones have left is offered; what is not owned is passed over. */
static void
subtask_take_up(struct subtask *s, const struct subtask *old, uint32_t old_cnt)
{
    const struct weir_restore_spec spec = {
        .page_cnt_max = old->arena.page_cnt, .table_cnt_max = 16};
    void *mem = calloc(1, weir_restore_footprint(&spec));
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &s->arena, &spec, mem), 0);
    for (uint32_t i = 0; i < old_cnt; i++) {
        assert_int_equal(weir_restore_source(&r), 0);
        for (uint64_t at = 0; at < old[i].file_bytes;) {
            int64_t got = weir_restore_apply(&r, old[i].file + at, old[i].file_bytes - at);
            assert_true(got > 0);
            at += (uint64_t)got;
        }
        assert_int_equal(weir_restore_source_end(&r), 0);
    }
    assert_int_equal(weir_restore_finish(&r), 0);
    free(mem);
}

static struct weir_table *
table_of(const struct subtask *s)
{
    uint32_t at = 0;
    struct weir_table *t = weir_state_next(&s->arena, STATE, &at);
    assert_non_null(t);
    assert_null(weir_state_next(&s->arena, STATE, &at)); /* one, out of however many */
    return t;
}

static void
check_owners(const struct subtask *subtasks, uint32_t cnt)
{
    uint64_t entry_cnt = 0;
    for (uint64_t id = 0; id < KEY_CNT; id++) {
        struct name name;
        name_of(id, &name);
        uint32_t group = weir_hash_key_group(name.hash, GROUP_CNT);
        const struct subtask *owner = &subtasks[weir_keygroup_owner(group, cnt, GROUP_CNT)];
        const uint64_t *val = weir_table_find(table_of(owner), name.hash, &name.key, name.text);
        assert_non_null(val);
        assert_int_equal(*val, value_of(id));
    }
    for (uint32_t i = 0; i < cnt; i++) {
        entry_cnt += table_of(&subtasks[i])->entry_cnt;
    }
    assert_int_equal(entry_cnt, KEY_CNT); /* and nowhere else */
}

static void
fill(struct subtask *subtasks, uint32_t cnt)
{
    const struct weir_table_spec spec = {
        .state_id = STATE, .key_kind = WEIR_KEY_STR, .val_bytes = 8};
    struct weir_table *table[SUBTASK_CNT_MAX];
    for (uint32_t i = 0; i < cnt; i++) {
        subtask_open(&subtasks[i], i, cnt);
        assert_int_equal(weir_table_take(&subtasks[i].arena, &spec, 0, &table[i]), 0);
    }
    for (uint64_t id = 0; id < KEY_CNT; id++) {
        struct name name;
        name_of(id, &name);
        uint32_t group = weir_hash_key_group(name.hash, GROUP_CNT);
        const struct weir_table_rows row = {.hash = &name.hash,
            .key = (const char *)&name.key,
            .heap = name.text,
            .key_stride = sizeof name.key,
            .cnt = 1};
        void *val;
        bool is_made;
        assert_int_equal(weir_table_find_or_make(table[weir_keygroup_owner(group, cnt, GROUP_CNT)],
                             &row, &val, &is_made),
            0);
        *(uint64_t *)val = value_of(id);
    }
}

static void
rescale(const uint32_t *cnts, uint32_t step_cnt)
{
    static struct subtask room[2][SUBTASK_CNT_MAX];
    fill(room[0], cnts[0]);
    check_owners(room[0], cnts[0]);
    for (uint32_t step = 1; step < step_cnt; step++) {
        struct subtask *old = room[(step - 1) % 2];
        struct subtask *now = room[step % 2];
        for (uint32_t i = 0; i < cnts[step - 1]; i++) {
            subtask_leave(&old[i]);
        }
        for (uint32_t i = 0; i < cnts[step]; i++) {
            subtask_open(&now[i], i, cnts[step]);
            subtask_take_up(&now[i], old, cnts[step - 1]);
        }
        for (uint32_t i = 0; i < cnts[step - 1]; i++) {
            subtask_close(&old[i]);
        }
        check_owners(now, cnts[step]);
    }
    for (uint32_t i = 0; i < cnts[step_cnt - 1]; i++) {
        subtask_close(&room[(step_cnt - 1) % 2][i]);
    }
}

static void
t_T300_key_groups_go_to_their_owners(void **state)
{
    (void)state;
    static const uint32_t changes[][2] = {{1, 2}, {2, 1}, {3, 3}, {5, 3}, {3, 5}};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(changes); i++) {
        rescale(changes[i], 2);
    }
}

static void
t_T300_changes_follow_each_other(void **state)
{
    (void)state;
    static const uint32_t chain[] = {1, 2, 5, 3, 4, 1};
    rescale(chain, WEIR_ARRAY_CNT(chain));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T300_key_groups_go_to_their_owners),
        cmocka_unit_test(t_T300_changes_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
