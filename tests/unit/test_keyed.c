/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "dataplane/keyed.h"
#include "dataplane/out.h"
#include "tests/unit/test.h"

#define ROW(F) F(i64, at) F(str, text)
WEIR_SCHEMA(row, ROW)

#define ROW_CNT 300
#define TEXT_BYTES_MAX 60

struct rows {
    struct row row[ROW_CNT];
    char heap[ROW_CNT * TEXT_BYTES_MAX + 8];
    struct weir_slice text[ROW_CNT];
};

/* Texts of all lengths in no order, their last bytes zero or not. */
static void
rows_fill(struct rows *rows, struct weir_rng *rng)
{
    uint32_t used = 0;
    memset(rows, 0, sizeof *rows);
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        uint32_t bytes = (uint32_t)weir_rng_below(rng, i % 2 == 0 ? 24 : TEXT_BYTES_MAX);
        char *text = rows->heap + used;
        for (uint32_t b = 0; b < bytes; b++) {
            text[b] = (char)weir_rng_below(rng, 3);
        }
        used += bytes;
        rows->text[i].ptr = text;
        rows->text[i].bytes = bytes;
        rows->row[i].text = weir_str_ref(rows->heap, text, bytes);
    }
    memset(rows->heap + used, 0x55, 8);
}

static struct weir_keyed_rows keys;

static void
check_key(const struct rows *rows, uint32_t at, uint32_t row)
{
    struct weir_slice want = rows->text[row];
    struct weir_key_text key;
    memcpy(&key, &keys.word[WEIR_KEY_TEXT_WORD_CNT * at], sizeof key);
    assert_true(keys.hash[at] == weir_hash_bytes(want.ptr, want.bytes));
    struct weir_slice got = weir_key_text_slice(&key, keys.rows.heap);
    assert_int_equal(got.bytes, want.bytes);
    assert_memory_equal(got.ptr, want.ptr, want.bytes);
    /* Equal keys have equal words, whoever made them. */
    struct weir_key_text again = weir_key_text_of(rows->heap, want, keys.hash[at]);
    assert_memory_equal(&key, &again, sizeof key);
}

static void
t_texts_of_every_length_become_keys(void **state)
{
    (void)state;
    static struct rows rows;
    struct weir_keyed keyed;
    struct weir_key key = WEIR_KEY(row, text);
    struct weir_rng rng;
    assert_int_equal(weir_keyed_init(&keyed, &key, row_schema(), NULL), 0);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        weir_rng_init(&rng, seed);
        rows_fill(&rows, &rng);
        struct weir_view view;
        memset(&view, 0, sizeof view);
        view.schema = row_schema();
        view.rows = (char *)rows.row;
        view.stride = sizeof rows.row[0];
        view.cnt = view.row_cnt = ROW_CNT;
        view.heap = rows.heap;
        assert_int_equal(weir_keyed_load(&keyed, &view, 44, 256, &keys), 256);
        for (uint32_t i = 0; i < 256; i++) {
            check_key(&rows, i, 44 + i);
        }
        uint16_t sel[ROW_CNT];
        view.cnt = 0;
        for (uint32_t i = 0; i < ROW_CNT; i++) {
            sel[view.cnt] = (uint16_t)i;
            view.cnt += weir_rng_below(&rng, 3) > 0;
        }
        view.sel = sel;
        uint32_t cnt = weir_min_u32(view.cnt - 5, 256);
        assert_int_equal(weir_keyed_load(&keyed, &view, 5, cnt, &keys), cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            check_key(&rows, i, sel[5 + i]);
        }
    }
}

/* Stored keys as rows of an output that has room for few of them at a time. */
static void
check_put(const struct weir_keyed *keyed, const struct weir_table *table, const uint64_t *stored,
    uint32_t cnt)
{
    static char base[1024] WEIR_ALIGNED(64);
    struct weir_out out = {.base = base, .buf_bytes = sizeof base};
    const struct weir_out_shape shape = {
        .schema = row_schema(), .buf_bytes = sizeof base, .batch_rows = 40};
    for (uint32_t done = 0; done < cnt;) {
        const uint64_t *from = stored + (size_t)done * WEIR_KEY_TEXT_WORD_CNT;
        weir_out_init(&out, &shape);
        out.heap_end = sizeof base;
        uint32_t got = weir_keyed_room(keyed, from, cnt - done, &out);
        assert_true(got > 0 && got <= 40);
        const struct weir_field *to[WEIR_KEY_FIELD_CNT_MAX] = {&row_schema()->fields[1]};
        struct weir_lane lane = {weir_out_rows(&out, got), out.view.stride};
        struct weir_keyed_put put = {to, lane, &out, NULL};
        weir_keyed_put_rows(keyed, table, from, got, &put);
        assert_true(out.heap_end >= out.view.row_cnt * out.view.stride);
        for (uint32_t i = 0; i < got; i++, from += WEIR_KEY_TEXT_WORD_CNT) {
            char want[TEXT_BYTES_MAX];
            struct row *row = (struct row *)(void *)(lane.ptr + (size_t)lane.stride * i);
            struct weir_slice text = weir_str_slice(&row->text, out.view.heap);
            assert_int_equal(text.bytes, weir_table_key_bytes(from));
            weir_table_key_text(table, from, want);
            assert_memory_equal(text.ptr, want, text.bytes);
            struct weir_str again = weir_str_ref(out.view.heap, text.ptr, text.bytes);
            assert_memory_equal(&row->text, &again, sizeof again);
        }
        done += got;
    }
}

/* Entries of one table are found in another by what a scan gives of them. */
static void
t_stored_texts_lead_to_the_same_entries(void **state)
{
    (void)state;
    static struct rows rows;
    struct weir_keyed keyed;
    struct weir_key key = WEIR_KEY(row, text);
    struct weir_rng rng;
    struct weir_arena arena;
    const struct weir_arena_spec arena_spec = {"test", 5, {0, 5}, 4};
    const uint64_t bytes = UINT64_C(16) << 20;
    void *mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    assert_non_null(mem);
    memset(mem, 0, bytes);
    assert_int_equal(weir_arena_init(&arena, &arena_spec, mem, bytes), 0);
    assert_int_equal(weir_keyed_init(&keyed, &key, row_schema(), &arena), 0);
    weir_rng_init(&rng, 7);
    rows_fill(&rows, &rng);
    struct weir_table *table = NULL;
    const struct weir_table_spec spec = {1, keyed.kind, 8, 0};
    assert_int_equal(weir_table_take(&arena, &spec, 0, &table), 0);
    const struct weir_view view = {.schema = row_schema(),
        .rows = (char *)rows.row,
        .stride = sizeof rows.row[0],
        .cnt = 256,
        .row_cnt = 256,
        .heap = rows.heap};
    assert_int_equal(weir_keyed_load(&keyed, &view, 0, 256, &keys), 256);
    assert_int_equal(weir_keyed_resolve(&keyed, table, &keys, 0), 256);
    uint64_t stored[WEIR_KEYED_WORD_CNT_MAX * 50];
    void *val[50];
    struct weir_table_cursor cursor = {0, 0, 0};
    uint32_t seen = 0;
    for (uint32_t cnt; (cnt = weir_table_scan(table, &cursor, 50, stored, val)) > 0; seen += cnt) {
        int got = weir_keyed_load_stored(&keyed, table, stored, cnt, &keys);
        assert_int_equal(got, cnt);
        weir_table_find_rows(table, &keys.rows);
        assert_memory_equal(keys.val, val, cnt * sizeof val[0]);
        check_put(&keyed, table, stored, cnt);
    }
    assert_int_equal(seen, table->entry_cnt);
    weir_keyed_rows_fini(&keys);
    free(mem);
}

/* Texts that are neither empty nor long, in batches during which buckets grow and split: each is
 * made once, and is found where it was put. */
static void
t_batches_of_usual_texts_find_their_entries(void **state)
{
    (void)state;
    enum { BATCH = 256, BATCHES = 80, BYTES = 20 };
    static struct row row[BATCH];
    static char text[BATCH * BYTES];
    struct weir_keyed keyed;
    struct weir_key key = WEIR_KEY(row, text);
    struct weir_arena arena;
    const struct weir_arena_spec arena_spec = {"test", 3, {0, 3}, 4};
    const uint64_t bytes = UINT64_C(16) << 20;
    void *mem = calloc(1, bytes + WEIR_PAGE_BYTES);
    assert_non_null(mem);
    void *pages = (void *)weir_align_up((uintptr_t)mem, WEIR_PAGE_BYTES);
    assert_int_equal(weir_arena_init(&arena, &arena_spec, pages, bytes), 0);
    assert_int_equal(weir_keyed_init(&keyed, &key, row_schema(), &arena), 0);
    struct weir_table *table = NULL;
    const struct weir_table_spec spec = {1, keyed.kind, 8, 0};
    assert_int_equal(weir_table_take(&arena, &spec, 0, &table), 0);
    const struct weir_view view = {.schema = row_schema(),
        .rows = (char *)row,
        .stride = sizeof row[0],
        .cnt = BATCH,
        .row_cnt = BATCH,
        .heap = text};
    for (uint32_t b = 0; b < 2 * BATCHES; b++) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t id = b % BATCHES * BATCH + i;
            char *at = text + (size_t)i * BYTES;
            snprintf(at, BYTES, "%019u", id);
            row[i].text = weir_str_ref(text, at + id % 13, BYTES - 1 - id % 13);
        }
        assert_int_equal(weir_keyed_load(&keyed, &view, 0, BATCH, &keys), BATCH);
        assert_true(keys.rows.has_usual);
        assert_int_equal(weir_keyed_resolve(&keyed, table, &keys, 0), BATCH);
        assert_int_equal(keys.rows.made_cnt, b < BATCHES ? BATCH : 0);
        assert_int_equal(table->entry_cnt, (b < BATCHES ? b + 1 : BATCHES) * BATCH);
        for (uint32_t i = 0; i < BATCH; i++) {
            assert_int_equal((*(uint64_t *)keys.val[i])++, b / BATCHES);
            assert_ptr_equal(keys.val[i],
                weir_table_find(table, keys.hash[i], &keys.word[WEIR_KEY_TEXT_WORD_CNT * i], text));
        }
    }
    free(mem);
}

/* More keys than spare places, in any order: each row is counted once, and a call ends where the
 * spare places do. */
static void
t_counts_go_on_when_spare_places_are_full(void **state)
{
    enum { CNT = 4000, KEY_CNT = 700 };
    static struct weir_keyed_cache cache;
    static uint64_t key[CNT];
    static uint16_t sel[CNT];
    static uint64_t spare_mem[WEIR_KEYED_ROW_CNT_MAX];
    struct weir_rng rng;
    (void)state;
    weir_rng_init(&rng, 5);
    for (uint32_t selected = 0; selected < 2; selected++) {
        uint64_t want[KEY_CNT + 1] = {0};
        uint64_t got[KEY_CNT + 1] = {0};
        memset(&cache, 0, sizeof cache);
        for (uint32_t i = 0; i < CNT; i++) {
            key[i] = i < KEY_CNT ? i + 1 : 1 + weir_rng_below(&rng, KEY_CNT);
            sel[i] = (uint16_t)(CNT - 1 - i);
            want[key[i]]++;
        }
        uint32_t at = 0;
        while (at < CNT) {
            struct weir_keyed_lane lane = {(const char *)key, sizeof key[0], NULL};
            struct weir_keyed_spare spare = {(char *)spare_mem, sizeof spare_mem[0], 0};
            if (selected) {
                lane.sel = sel + at;
            } else {
                lane.ptr = (const char *)(key + at);
            }
            uint32_t done = weir_keyed_cache_count(&cache, lane, CNT - at, &spare);
            assert_true(done > 0 && done <= CNT - at && spare.cnt <= WEIR_KEYED_ROW_CNT_MAX);
            assert_true(at + done == CNT || spare.cnt == WEIR_KEYED_ROW_CNT_MAX);
            uint64_t sum = 0;
            for (uint32_t i = 0; i < spare.cnt; i++) {
                got[cache.miss[i]] += spare_mem[i];
                sum += spare_mem[i];
            }
            assert_int_equal(sum, done);
            at += done;
            memset(cache.at, 0, sizeof cache.at); /* the spare places are taken back */
        }
        assert_memory_equal(got, want, sizeof want);
    }
}

static void
t_blocks_are_of_what_outputs_have_room_for(void **state)
{
    (void)state;
    static struct weir_keyed_rows rows;
    assert_int_equal(weir_keyed_block(&rows, 1000), WEIR_KEYED_ROW_CNT_MAX);
    assert_int_equal(weir_keyed_block(&rows, 10), 10);
    weir_keyed_took(&rows, 1000, false);
    assert_int_equal(weir_keyed_block(&rows, 1000), WEIR_KEYED_ROW_CNT_MAX);
    weir_keyed_took(&rows, 100, true);
    assert_int_equal(weir_keyed_block(&rows, 1000), 50);
    weir_keyed_took(&rows, 60, false); /* there were no more */
    assert_int_equal(weir_keyed_block(&rows, 1000), 50);
    weir_keyed_took(&rows, 300, false);
    assert_int_equal(weir_keyed_block(&rows, 1000), 150);
    weir_keyed_took(&rows, 4000, true);
    assert_int_equal(weir_keyed_block(&rows, 1000), WEIR_KEYED_ROW_CNT_MAX);
    weir_keyed_took(&rows, 0, true);
    assert_int_equal(weir_keyed_block(&rows, 1000), WEIR_KEYED_BLOCK_CNT_MIN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_texts_of_every_length_become_keys),
        cmocka_unit_test(t_stored_texts_lead_to_the_same_entries),
        cmocka_unit_test(t_batches_of_usual_texts_find_their_entries),
        cmocka_unit_test(t_counts_go_on_when_spare_places_are_full),
        cmocka_unit_test(t_blocks_are_of_what_outputs_have_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
