/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of numbers: what a leaf and a branch do at their edges. As a state among others, killed and
 * dealt out anew, they are in test_kinds_model.c. */
#include "dataplane/numbers.h"

#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define MANY 20000
#define PAGE_CNT_LITTLE 24

struct world {
    struct weir_arena arena;
    struct weir_numbers_kind kind;
    struct weir_numbers *map; /* in a block */
    void *mem;
};

static void
world_init(struct world *w, uint32_t word_cnt, uint64_t bytes)
{
    const struct weir_arena_spec spec = {"numbers", 4, {0, 4}, 4};
    uint32_t ref;
    w->mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    memset(w->mem, 0, bytes);
    assert_int_equal(weir_arena_init(&w->arena, &spec, w->mem, bytes), 0);
    assert_int_equal(weir_arena_block_take(&w->arena, 2, weir_arena_class_of(64), &ref), 0);
    w->map = weir_arena_ptr(&w->arena, ref);
    weir_numbers_kind_init(&w->kind, &w->arena, word_cnt);
}

/* The next number from *at on whose hash begins with these bits. */
static uint64_t
number_below(uint64_t *at, uint32_t bits, uint64_t prefix)
{
    for (;; ++*at) {
        if (weir_hash_u64(*at) >> (64 - bits) == prefix) {
            return (*at)++;
        }
    }
}

static uint64_t *
open_number(struct world *w, uint64_t number)
{
    uint64_t *words = NULL;
    assert_int_equal(weir_numbers_open(&w->kind, w->map, number, &words), 0);
    weir_numbers_touch(&w->kind, words);
    return words;
}

static int
count(void *arg, uint64_t number, const uint64_t *words)
{
    (void)number;
    (void)words;
    ++*(uint64_t *)arg;
    return 0;
}

static int
stop(void *arg, uint64_t number, const uint64_t *words)
{
    (void)arg;
    (void)number;
    (void)words;
    return WEIR_EDATA;
}

static uint64_t
number_cnt(const struct world *w)
{
    uint64_t cnt = 0;
    assert_int_equal(weir_numbers_each(&w->kind, w->map, count, &cnt), 0);
    return cnt;
}

/* All that is there is found, and nothing else; then it goes, in another order, and every block
 * with it. */
static void
t_T304_what_was_put_is_found_until_it_goes(void **unused)
{
    (void)unused;
    static const uint32_t word_cnts[] = {1, 2, WEIR_NUMBERS_WORD_CNT_MAX};
    for (uint32_t c = 0; c < WEIR_ARRAY_CNT(word_cnts); c++) {
        struct world w;
        world_init(&w, word_cnts[c], 64 * WEIR_MIB);
        uint32_t page_cnt = w.arena.page_used_cnt;
        assert_true(weir_numbers_is_empty(w.map));
        assert_null(weir_numbers_find(&w.kind, w.map, 0));
        for (uint64_t n = 0; n < MANY; n++) {
            uint64_t *words = open_number(&w, n);
            assert_int_equal(words[word_cnts[c] - 1], 0);
            words[word_cnts[c] - 1] = n + 1;
        }
        for (uint64_t n = 0; n < MANY; n++) {
            weir_numbers_fetch(&w.kind, w.map, n);
            assert_int_equal(open_number(&w, n)[word_cnts[c] - 1], n + 1);
            assert_null(weir_numbers_find(&w.kind, w.map, MANY + n));
        }
        assert_int_equal(number_cnt(&w), MANY);
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t n = i * 7919 % MANY;
            weir_numbers_remove(&w.kind, w.map, n);
            assert_null(weir_numbers_find(&w.kind, w.map, n));
            uint64_t other = (i + 1) * 7919 % MANY;
            assert_int_equal(weir_numbers_find(&w.kind, w.map, other) == NULL, i + 1 == MANY);
        }
        assert_true(weir_numbers_is_empty(w.map));
        assert_int_equal(w.arena.page_used_cnt, page_cnt);
        free(w.mem);
    }
}

/* A map of which little is left has little memory, be it a branch or a leaf. */
static void
t_what_is_left_of_a_map_takes_little_memory(void **unused)
{
    (void)unused;
    enum { LEFT = 3 };
    static const uint32_t word_cnts[] = {1, 4, WEIR_NUMBERS_WORD_CNT_MAX};
    for (uint32_t c = 0; c < WEIR_ARRAY_CNT(word_cnts); c++) {
        struct world w;
        world_init(&w, word_cnts[c], 64 * WEIR_MIB);
        uint32_t page_cnt = w.arena.page_used_cnt;
        for (uint64_t n = 0; n < MANY; n++) {
            open_number(&w, n)[0] = n + 1;
        }
        for (uint64_t left = MANY; left-- > LEFT;) {
            weir_numbers_remove(&w.kind, w.map, left);
            assert_int_equal(*weir_numbers_find(&w.kind, w.map, left - 1), left);
        }
        assert_int_equal(number_cnt(&w), LEFT);
        for (uint64_t n = 0; n < LEFT; n++) {
            assert_int_equal(*weir_numbers_find(&w.kind, w.map, n), n + 1);
        }
        assert_false(w.map->is_branch);
        assert_in_range(w.kind.place_cnt[w.map->size], LEFT, 8 * LEFT);
        assert_in_range(w.arena.page_used_cnt, page_cnt, page_cnt + 1);
        free(w.mem);
    }
}

/* Pages that are left, so that nobody else gets them. Returns how many. */
static uint32_t
take_pages(struct world *w, uint32_t *pages)
{
    uint32_t cnt = 0;
    while (weir_arena_page_take(&w->arena, &pages[cnt]) == 0) {
        struct weir_slab *page = weir_arena_ptr(&w->arena, pages[cnt] * WEIR_ARENA_PAGE_REFS);
        page->kind = WEIR_PAGE_BLOB; /* in use */
        cnt++;
    }
    weir_err_clear();
    return cnt;
}

/* Where there is no page for the smaller leaf, the larger one stays, and so does a branch. */
static void
t_without_pages_what_is_left_of_a_map_stays_as_it_is(void **unused)
{
    (void)unused;
    static const uint64_t fulls[] = {150, 250}; /* one leaf; a branch */
    enum { LEFT = 10 };
    for (uint32_t f = 0; f < WEIR_ARRAY_CNT(fulls); f++) {
        struct world w;
        uint32_t pages[PAGE_CNT_LITTLE];
        world_init(&w, 1, PAGE_CNT_LITTLE * WEIR_PAGE_BYTES);
        for (uint64_t n = 0; n < fulls[f]; n++) {
            open_number(&w, n)[0] = n + 1;
        }
        const struct weir_numbers full = *w.map;
        assert_int_equal(full.is_branch, f);
        uint32_t cnt = take_pages(&w, pages);
        for (uint64_t left = fulls[f]; left-- > 2 * LEFT;) {
            weir_numbers_remove(&w.kind, w.map, left);
        }
        assert_int_equal(weir_err_cnt(), 0);
        assert_int_equal(w.map->ref, full.ref);
        while (cnt > 0) {
            weir_arena_page_give(&w.arena, pages[--cnt]);
        }
        for (uint64_t left = 2 * LEFT; left-- > LEFT;) {
            weir_numbers_remove(&w.kind, w.map, left);
        }
        assert_int_not_equal(w.map->ref, full.ref);
        for (uint64_t n = 0; n < LEFT; n++) {
            assert_int_equal(*weir_numbers_find(&w.kind, w.map, n), n + 1);
        }
        free(w.mem);
    }
}

/* Numbers whose hashes begin alike go down level by level. */
static void
t_T304_hashes_that_begin_alike_are_told_apart(void **unused)
{
    (void)unused;
    struct world w;
    world_init(&w, WEIR_NUMBERS_WORD_CNT_MAX, 4 * WEIR_MIB);
    uint64_t at = 0;
    uint64_t number[64];
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(number); i++) {
        number[i] = number_below(&at, 15, 12345);
        open_number(&w, number[i])[0] = i + 1;
    }
    uint32_t level;
    (void)weir_numbers_leaf(&w.kind, w.map, weir_hash_u64(number[0]), &level);
    assert_true(level >= 4);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(number); i++) {
        assert_int_equal(weir_numbers_find(&w.kind, w.map, number[i])[0], i + 1);
    }
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(number); i++) {
        weir_numbers_remove(&w.kind, w.map, number[i]);
    }
    assert_true(weir_numbers_is_empty(w.map)); /* and so are the branches above */
    free(w.mem);
}

static uint32_t
stay(void *arg, uint32_t ref)
{
    (void)arg;
    return ref;
}

/* What no map holds, but a file with right checksums can. */
static void
t_T304_a_branch_that_leads_to_itself_is_refused(void **unused)
{
    (void)unused;
    struct world w;
    world_init(&w, 1, 4 * WEIR_MIB);
    const struct weir_state_mover mover = {stay, stay, NULL};
    uint64_t at = 0;
    while (!w.map->is_branch) {
        open_number(&w, at++)[0] = 1;
    }
    assert_int_equal(weir_numbers_move(&w.arena, &mover, w.map), 0);
    *(struct weir_numbers *)weir_arena_ptr(&w.arena, w.map->ref) = *w.map;
    assert_int_equal(weir_numbers_move(&w.arena, &mover, w.map), WEIR_EFORMAT);
    weir_err_clear();
    free(w.mem);
}

/* Where pages are used up nothing is lost, and what goes can be used again. */
static void
t_T304_without_pages_a_map_stays_as_it_is(void **unused)
{
    (void)unused;
    struct world w;
    world_init(&w, 1, PAGE_CNT_LITTLE * WEIR_PAGE_BYTES);
    uint32_t page_cnt = w.arena.page_used_cnt;
    uint64_t cnt[2] = {0, 0};
    for (uint32_t round = 0; round < 2; round++) {
        uint64_t *words;
        while (weir_numbers_open(&w.kind, w.map, cnt[round], &words) == 0) {
            *words = ++cnt[round];
        }
        weir_err_clear();
        assert_true(cnt[round] > 200); /* the leaf was split, or could not be */
        assert_int_equal(number_cnt(&w), cnt[round]);
        for (uint64_t n = 0; n < cnt[round]; n++) {
            assert_int_equal(*weir_numbers_find(&w.kind, w.map, n), n + 1);
        }
        assert_int_equal(weir_numbers_each(&w.kind, w.map, stop, NULL), WEIR_EDATA);
        weir_numbers_clear(&w.kind, w.map);
        assert_true(weir_numbers_is_empty(w.map));
        assert_int_equal(w.arena.page_used_cnt, page_cnt);
    }
    assert_int_equal(cnt[0], cnt[1]);
    free(w.mem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T304_what_was_put_is_found_until_it_goes),
        cmocka_unit_test(t_what_is_left_of_a_map_takes_little_memory),
        cmocka_unit_test(t_without_pages_what_is_left_of_a_map_stays_as_it_is),
        cmocka_unit_test(t_T304_hashes_that_begin_alike_are_told_apart),
        cmocka_unit_test(t_T304_without_pages_a_map_stays_as_it_is),
        cmocka_unit_test(t_T304_a_branch_that_leads_to_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
