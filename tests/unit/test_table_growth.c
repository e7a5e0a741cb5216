/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is rehashed whole: however large a table is, a batch of new keys writes the pages they go
 * to and the other halves of those that split, and copies a slice of the directory. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/table.h"
#include "tests/unit/test.h"

#define ARENA_BYTES (UINT64_C(64) << 20)
#define GROUP_CNT 128
#define KEY_CNT 1500000
#define ROW_CNT 100
#define SLICE_WORDS 4096

/* New keys from `first` on, each with itself as its value. */
static void
add(struct weir_table *t, uint64_t first)
{
    uint64_t key[ROW_CNT];
    uint64_t hash[ROW_CNT];
    void *val[ROW_CNT];
    struct weir_table_rows rows = {.hash = hash,
        .key = (const char *)key,
        .key_stride = sizeof key[0],
        .cnt = ROW_CNT,
        .ret_val = val};
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        key[i] = first + i;
    }
    weir_table_hash(WEIR_KEY_8, &rows, hash);
    for (uint32_t from = 0; from < ROW_CNT;) {
        int done = weir_table_resolve(t, &rows, from);
        assert_true(done > 0);
        for (uint32_t i = from; i < from + (uint32_t)done; i++) {
            assert_int_equal(*(uint64_t *)val[i], 0);
            *(uint64_t *)val[i] = key[i];
        }
        from += (uint32_t)done;
    }
}

static uint32_t
written_page_cnt(const struct weir_arena *arena)
{
    uint32_t cnt = 0;
    for (uint32_t page = 0; page < arena->page_fresh; page++) {
        cnt += arena->saved[page] != 0;
    }
    return cnt;
}

static void
t_T306_growing_is_bounded_however_large_the_table_is(void **state)
{
    (void)state;
    struct weir_arena arena;
    struct weir_table *t = NULL;
    const struct weir_table_spec spec = {.state_id = 7, .key_kind = WEIR_KEY_8, .val_bytes = 8};
    const struct weir_arena_spec place = {
        .name = "test", .max_parallelism = GROUP_CNT, .groups = {0, GROUP_CNT}};
    void *mem = aligned_alloc(WEIR_PAGE_BYTES, ARENA_BYTES);
    assert_non_null(mem);
    memset(mem, 0, ARENA_BYTES);
    assert_int_equal(weir_arena_init(&arena, &place, mem, ARENA_BYTES), 0);
    assert_int_equal(weir_table_take(&arena, &spec, 0, &t), 0);
    uint32_t page_max = 0;
    uint32_t word_max = 0;
    for (uint64_t first = 1; first < KEY_CNT; first += ROW_CNT) {
        uint64_t bucket_cnt = t->bucket_cnt;
        uint32_t word_cnt = GROUP_CNT << t->depth;
        uint32_t depth = t->depth;
        uint32_t done = t->next_done;
        weir_arena_masks_clear(&arena);
        add(t, first);
        uint32_t page_cnt = written_page_cnt(&arena);
        assert_true(t->bucket_cnt - bucket_cnt <= ROW_CNT);
        assert_true(page_cnt <= ROW_CNT + (t->bucket_cnt - bucket_cnt));
        page_max = page_cnt > page_max ? page_cnt : page_max;
        if (word_cnt > SLICE_WORDS) {
            uint32_t copied = (t->depth > depth ? word_cnt : 0) + t->next_done - done;
            assert_true(copied <= SLICE_WORDS);
            word_max = copied > word_max ? copied : word_max;
        }
    }
    print_message("depth %u, %u pages: a batch wrote %u of them at most and copied %u words of a "
                  "directory\n",
        t->depth, arena.page_used_cnt, page_max, word_max);
    assert_true(word_max > 0); /* else the table was too small to show it */
    assert_int_equal(t->entry_cnt, KEY_CNT);
    free(mem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T306_growing_is_bounded_however_large_the_table_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
