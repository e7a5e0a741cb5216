/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/blob.h"
#include "dataplane/table.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

struct world {
    struct weir_arena arena;
    void *mem;
    uint64_t bytes;
};

static void
world_open(struct world *w, uint64_t bytes, uint32_t max_parallelism, uint32_t table_cnt)
{
    w->bytes = bytes;
    w->mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    assert_non_null(w->mem);
    memset(w->mem, 0, bytes);
    struct weir_arena_spec spec = {"test", max_parallelism, {0, max_parallelism}, table_cnt};
    assert_int_equal(weir_arena_init(&w->arena, &spec, w->mem, bytes), 0);
}

static void
world_close(struct world *w)
{
    free(w->mem);
}

static struct weir_table *
table_of(struct world *w, uint32_t key_kind, uint32_t val_bytes)
{
    struct weir_table_spec spec = {7, key_kind, val_bytes, 0};
    struct weir_table *t = NULL;
    assert_int_equal(weir_table_take(&w->arena, &spec, 0, &t), 0);
    return t;
}

/* The model: entries in a list, searched from the front; keys as number, words and text. */
struct model_entry {
    uint64_t id;
    uint64_t n;
};
struct model {
    uint32_t cnt;
    uint32_t cap;
    struct model_entry *entry; /* by id: id is small */
};

/* Key number id in each of the kinds, with all sorts of edges: 0, equal halves, long strings. */
struct key {
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
};

#define HEAP_BYTES (1U << 22)
static char *heap;
static uint32_t heap_used;

static struct key
key_of(uint32_t kind, uint64_t id)
{
    struct key k = {{id, 0, 0}};
    if (kind == WEIR_KEY_16) {
        k.word[0] = id & 3; /* many with a first word of zero */
        k.word[1] = id >> 2;
    }
    if (kind != WEIR_KEY_STR) {
        return k;
    }
    /* Lengths 0 to 40, some long ones, one chain of pages. */
    uint32_t bytes = (uint32_t)(id % 41);
    if (id % 97 == 5) {
        bytes = 3000 + (uint32_t)(id % 3000);
    }
    char text[6001];
    memset(text, 'x', sizeof text);
    char digits[16];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)id);
    bytes = id == 0 ? 0 : (bytes < (uint32_t)n ? (uint32_t)n : bytes);
    memcpy(text + bytes - (bytes > 0 ? (uint32_t)n : 0), digits, bytes > 0 ? (size_t)n : 0);
    if (heap_used + bytes > HEAP_BYTES) {
        heap_used = 0;
    }
    memcpy(heap + heap_used, text, bytes);
    struct weir_slice lying = {heap + heap_used, bytes};
    struct weir_key_text text_key = weir_key_text_of(heap, lying, weir_hash_bytes(text, bytes));
    heap_used += bytes;
    memcpy(&k, &text_key, sizeof k);
    return k;
}

/* One whose text is neither empty nor long. */
static uint64_t
usual_id(uint64_t id)
{
    return id % 41 - 1 < 20 && id % 97 != 5 ? id : 1 + id % 20;
}

static uint64_t
hash_of(uint32_t kind, const struct key *k)
{
    uint64_t hash;
    struct weir_table_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.key = (const char *)k;
    rows.key_stride = sizeof *k;
    rows.heap = heap;
    rows.cnt = 1;
    weir_table_hash(kind, &rows, &hash);
    return hash;
}

/* Add 1 to each key of the batch, as an operator does. */
static void
add_batch(struct weir_table *t, const uint64_t *ids, uint32_t cnt, struct model_entry *model)
{
    static struct key keys[1024];
    static uint64_t hashes[1024];
    static void *vals[1024];
    static uint32_t made[1024];
    struct weir_table_rows rows = {
        hashes, (char *)keys, heap, sizeof(struct key), cnt, vals, made, 0, false};
    rows.has_usual = t->spec.key_kind == WEIR_KEY_STR;
    for (uint32_t i = 0; i < cnt; i++) {
        keys[i] = key_of(t->spec.key_kind, ids[i]);
        rows.has_usual &= (uint32_t)keys[i].word[0] - 1 < WEIR_KEY_TEXT_INLINE_BYTES;
    }
    weir_table_hash(t->spec.key_kind, &rows, hashes);
    uint32_t made_want = 0;
    for (uint32_t at = 0; at < cnt;) {
        int done = weir_table_resolve(t, &rows, at);
        assert_true(done > 0);
        for (uint32_t i = at; i < at + (uint32_t)done; i++) {
            uint64_t *val = vals[i];
            struct model_entry *e = &model[ids[i]];
            if (e->n == 0) {
                assert_int_equal(*val, 0);
                assert_true(made_want < rows.made_cnt && made[made_want] == i);
                made_want++;
            }
            assert_int_equal(*val, e->n);
            for (uint32_t w = 0; w < t->spec.val_bytes / 8; w++) {
                assert_int_equal(val[w], e->n == 0 ? 0 : e->n + w);
                val[w] = e->n + 1 + w;
            }
            e->n++;
        }
        assert_int_equal(made_want, rows.made_cnt);
        at += (uint32_t)done;
    }
}

static void
check_all(struct weir_table *t, const struct model_entry *model, uint32_t id_cnt)
{
    uint64_t live = 0;
    for (uint64_t id = 0; id < id_cnt; id++) {
        struct key k = key_of(t->spec.key_kind, id);
        uint64_t *val = weir_table_find(t, hash_of(t->spec.key_kind, &k), &k, heap);
        assert_int_equal(val == NULL, model[id].n == 0);
        if (val != NULL) {
            assert_int_equal(*val, model[id].n);
            live++;
        }
    }
    assert_int_equal(t->entry_cnt, live);
    /* A scan in slices sees each entry once. */
    struct weir_table_cursor cursor = {0, 0, 0};
    struct key keys[13];
    void *vals[13];
    uint64_t seen = 0;
    uint64_t sum = 0;
    uint64_t sum_want = 0;
    for (uint64_t id = 0; id < id_cnt; id++) {
        sum_want += model[id].n;
    }
    for (;;) {
        uint32_t n = weir_table_scan(t, &cursor, WEIR_ARRAY_CNT(keys), keys, vals);
        if (n == 0) {
            break;
        }
        seen += n;
        for (uint32_t i = 0; i < n; i++) {
            sum += *(uint64_t *)vals[i];
        }
    }
    assert_int_equal(seen, live);
    assert_int_equal(sum, sum_want);
}

static void
give_all(struct weir_table *t)
{
    while (weir_table_give(t, 3) == WEIR_AGAIN) {
    }
}

/* The last table of a world: nothing of the arena is left. */
static void
give_last(struct world *w, struct weir_table *t)
{
    give_all(t);
    assert_int_equal(weir_arena_used_bytes(&w->arena), 0);
}

static void
random_against_model(
    uint32_t kind, uint32_t val_bytes, uint32_t max_parallelism, uint64_t expected_cnt)
{
    enum { IDS = 6000 };
    struct world w;
    world_open(&w, UINT64_C(64) << 20, max_parallelism, 4);
    struct weir_table *t = table_of(&w, kind, val_bytes);
    t->entry_cnt_hint = expected_cnt;
    struct model_entry *model = calloc(IDS, sizeof *model);
    heap = malloc(HEAP_BYTES);
    heap_used = 0;
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run() + kind * 1000 + val_bytes);
    for (uint32_t round = 0; round < 60; round++) {
        uint64_t ids[256];
        uint64_t span = 1 + weir_rng_below(&rng, IDS);
        uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, WEIR_ARRAY_CNT(ids));
        for (uint32_t i = 0; i < cnt; i++) {
            ids[i] = weir_rng_below(&rng, span);
            ids[i] = round % 2 == 0 ? ids[i] : usual_id(ids[i]);
        }
        add_batch(t, ids, cnt, model);
        uint32_t deletes = (uint32_t)weir_rng_below(&rng, 200);
        for (uint32_t i = 0; i < deletes; i++) {
            uint64_t id = weir_rng_below(&rng, span);
            struct key k = key_of(kind, id);
            bool was = weir_table_delete(t, hash_of(kind, &k), &k, heap);
            assert_int_equal(was, model[id].n != 0);
            model[id].n = 0;
        }
        if (round % 10 == 9) {
            check_all(t, model, IDS);
            assert_int_equal(weir_table_rebuild(&w.arena), 0);
            check_all(t, model, IDS);
        }
    }
    give_last(&w, t);
    free(model);
    free(heap);
    world_close(&w);
}

static void
t_random_operations_agree_with_a_model(void **state)
{
    (void)state;
    random_against_model(WEIR_KEY_8, 8, 128, 0);
    random_against_model(WEIR_KEY_8, 8, 1, 0);
    random_against_model(WEIR_KEY_8, 24, 3, 0);
    random_against_model(WEIR_KEY_16, 8, 128, 0);
    random_against_model(WEIR_KEY_16, 40, 2, 0);
    random_against_model(WEIR_KEY_STR, 8, 5, 0);
    random_against_model(WEIR_KEY_STR, 256, 128, 0);
    random_against_model(WEIR_KEY_8, 8, 5, 6000);
    random_against_model(WEIR_KEY_16, 8, 5, 3000);
    random_against_model(WEIR_KEY_STR, 8, 5, UINT64_MAX);
    random_against_model(WEIR_KEY_8, 256, 1, 0);
}

static void
t_pages_split_and_directories_are_made_again(void **state)
{
    (void)state;
    enum { IDS = 200000 };
    struct world w;
    world_open(&w, UINT64_C(32) << 20, 4, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    struct model_entry *model = calloc(IDS, sizeof *model);
    uint64_t ids[1024];
    for (uint32_t at = 0; at < IDS;) {
        uint32_t cnt = IDS - at < 1000 ? IDS - at : 1000;
        for (uint32_t i = 0; i < cnt; i++) {
            ids[i] = at + i;
        }
        add_batch(t, ids, cnt, model);
        at += cnt;
    }
    assert_true(t->depth > 5);
    check_all(t, model, IDS);
    uint32_t depth = t->depth;
    uint64_t bucket_cnt = t->bucket_cnt;
    uint64_t used = weir_arena_used_bytes(&w.arena);
    uint64_t page_bytes = t->page_bytes;
    assert_int_equal(weir_table_rebuild(&w.arena), 0);
    assert_int_equal(t->depth, depth);
    assert_int_equal(t->bucket_cnt, bucket_cnt);
    assert_int_equal(weir_arena_used_bytes(&w.arena), used);
    assert_int_equal(t->page_bytes, page_bytes);
    check_all(t, model, IDS);
    give_last(&w, t);
    free(model);
    world_close(&w);
}

static void
t_a_full_arena_is_an_error_and_leaves_the_table_whole(void **state)
{
    (void)state;
    enum { IDS = 100000 };
    struct world w;
    world_open(&w, UINT64_C(512) << 10, 2, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    struct model_entry *model = calloc(IDS, sizeof *model);
    uint64_t id = 0;
    int err = 0;
    for (; id < IDS; id++) {
        struct key k = key_of(WEIR_KEY_8, id);
        uint64_t hash = hash_of(WEIR_KEY_8, &k);
        void *val;
        struct weir_table_rows rows = {&hash, (char *)&k, NULL, 16, 1, &val, NULL, 0, false};
        err = weir_table_resolve(t, &rows, 0);
        if (err < 0) {
            break;
        }
        *(uint64_t *)val = 1;
        model[id].n = 1;
    }
    assert_int_equal(err, WEIR_EBUDGET);
    assert_non_null(strstr(weir_err_at(0), "is full: all"));
    weir_err_clear();
    assert_true(id > 5000);
    check_all(t, model, IDS);
    give_last(&w, t);
    free(model);
    world_close(&w);
}

static void
t_masks_name_exactly_the_lines_that_changed(void **state)
{
    (void)state;
    enum { IDS = 3000 };
    struct world w;
    world_open(&w, UINT64_C(8) << 20, 4, 2);
    static const uint32_t kinds[][2] = {{WEIR_KEY_8, 8}, {WEIR_KEY_8, 136}, {WEIR_KEY_16, 8},
        {WEIR_KEY_STR, 8}, {WEIR_KEY_STR, 16}};
    heap = malloc(HEAP_BYTES);
    char *before = malloc(w.bytes);
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    for (size_t k = 0; k < WEIR_ARRAY_CNT(kinds); k++) {
        heap_used = 0;
        struct weir_table *t = table_of(&w, kinds[k][0], kinds[k][1]);
        struct model_entry *model = calloc(IDS, sizeof *model);
        for (uint32_t round = 0; round < 40; round++) {
            uint64_t ids[100];
            for (uint32_t i = 0; i < WEIR_ARRAY_CNT(ids); i++) {
                ids[i] = weir_rng_below(&rng, IDS);
                ids[i] = round % 2 == 0 ? ids[i] : usual_id(ids[i]);
            }
            weir_arena_masks_clear(&w.arena);
            memcpy(before, w.arena.base, (size_t)w.arena.page_cnt * WEIR_PAGE_BYTES);
            uint32_t fresh = w.arena.page_fresh;
            add_batch(t, ids, WEIR_ARRAY_CNT(ids), model);
            for (uint32_t i = 0; i < 20; i++) {
                struct key key = key_of(t->spec.key_kind, ids[i]);
                (void)weir_table_delete(t, hash_of(t->spec.key_kind, &key), &key, heap);
                model[ids[i]].n = 0;
            }
            for (uint32_t page = 0; page < fresh; page++) {
                uint64_t changed = 0;
                for (uint32_t line = 0; line < 64; line++) {
                    size_t off = (size_t)page * WEIR_PAGE_BYTES + line * WEIR_LINE_BYTES;
                    changed |= (uint64_t)(memcmp(before + off, w.arena.base + off, 64) != 0)
                               << line;
                }
                /* Every changed line is marked. */
                assert_int_equal(changed & ~w.arena.saved[page], 0);
            }
        }
        give_all(t);
        free(model);
    }
    free(before);
    free(heap);
    world_close(&w);
}

static void
t_an_update_marks_the_line_of_its_value_alone(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(2) << 20, 1, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    struct model_entry model[200];
    memset(model, 0, sizeof model);
    uint64_t ids[200];
    for (uint64_t i = 0; i < 200; i++) {
        ids[i] = i;
    }
    add_batch(t, ids, 200, model);
    for (uint64_t i = 0; i < 200; i++) {
        struct key k = key_of(WEIR_KEY_8, i);
        uint64_t hash = hash_of(WEIR_KEY_8, &k);
        weir_arena_masks_clear(&w.arena);
        void *val = weir_table_find(t, hash, &k, NULL);
        size_t off = (size_t)((char *)val - w.arena.base);
        assert_int_equal(w.arena.saved[off / WEIR_PAGE_BYTES], 0);
        struct weir_table_rows rows = {&hash, (char *)&k, NULL, 16, 1, &val, NULL, 0, false};
        assert_int_equal(weir_table_resolve(t, &rows, 0), 1);
        for (uint32_t page = 0; page < w.arena.page_cnt; page++) {
            uint64_t want = page == off / WEIR_PAGE_BYTES ? UINT64_C(1) << (off / 64 % 64) : 0;
            assert_int_equal(w.arena.saved[page], want);
        }
    }
    give_all(t);
    world_close(&w);
}

static void
t_resolved_values_stay_good_until_the_next_call(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(16) << 20, 2, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    uint64_t hash[256];
    uint64_t key[256];
    void *val[256];
    for (uint64_t n = 0; n < 40000; n += 256) {
        for (uint64_t i = 0; i < 256; i++) {
            key[i] = n + i;
            hash[i] = weir_hash_u64(key[i]);
        }
        struct weir_table_rows rows = {hash, (char *)key, NULL, 8, 256, val, NULL, 0, false};
        for (uint32_t at = 0; at < 256;) {
            int done = weir_table_resolve(t, &rows, at);
            assert_true(done > 0);
            for (uint32_t i = at; i < at + (uint32_t)done; i++) {
                assert_ptr_equal(val[i], weir_table_find(t, hash[i], &key[i], NULL));
            }
            at += (uint32_t)done;
        }
        weir_table_find_rows(t, &rows);
        for (uint32_t i = 0; i < 256; i++) {
            assert_ptr_equal(val[i], weir_table_find(t, hash[i], &key[i], NULL));
        }
    }
    /* Buckets grew and split all along, also with rows of the same call in them. */
    assert_true(t->moved_cnt > 100);
    give_all(t);
    world_close(&w);
}

/* Keys of one key group and one home group, key 0 among them, of which the last do not fit
 * there. */
static uint32_t
crowd(const struct weir_table *t, uint64_t *ret_key, uint32_t cnt)
{
    uint32_t got = 0;
    uint32_t max = t->arena->spec.max_parallelism;
    uint64_t home = (weir_hash_u64(0) & UINT32_MAX) * t->group_cnt[0] >> 32;
    for (uint64_t key = 0; got < cnt; key++) {
        uint64_t hash = weir_hash_u64(key);
        bool is_near = weir_hash_key_group(hash, max) == weir_hash_key_group(weir_hash_u64(0), max);
        if (is_near && (hash & UINT32_MAX) * t->group_cnt[0] >> 32 == home) {
            ret_key[got++] = key;
        }
    }
    return got;
}

static void
t_absent_keys_are_told_from_those_beside_their_home(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(16) << 20, 2, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    enum { KEYS = 7 };
    uint64_t key[KEYS];
    uint64_t hash[KEYS];
    void *val[KEYS];
    uint32_t cnt = crowd(t, key, KEYS);
    for (uint32_t i = 0; i < cnt; i++) {
        hash[i] = weir_hash_u64(key[i]);
    }
    /* One more key each time: before, none of those behind it is there. */
    for (uint32_t there = 0; there <= cnt; there++) {
        struct weir_table_rows rows = {hash, (char *)key, NULL, 8, there, val, NULL, 0, false};
        if (there > 0) {
            assert_int_equal(weir_table_resolve(t, &rows, 0), there);
        }
        rows.cnt = cnt;
        weir_table_find_rows(t, &rows);
        for (uint32_t i = 0; i < cnt; i++) {
            assert_int_equal(val[i] != NULL, i < there);
            assert_ptr_equal(val[i], weir_table_find(t, hash[i], &key[i], NULL));
        }
    }
    give_all(t);
    world_close(&w);
}

static void
t_scans_repeat_for_the_same_inserts(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(16) << 20, 8, 2);
    struct weir_table *a = table_of(&w, WEIR_KEY_8, 8);
    struct weir_table *b = table_of(&w, WEIR_KEY_8, 8);
    enum { IDS = 9000 };
    for (uint32_t k = 0; k < 2; k++) {
        struct model_entry *model = calloc(IDS, sizeof *model);
        uint64_t ids[100];
        for (uint32_t at = 0; at < IDS; at += 100) {
            for (uint32_t i = 0; i < 100; i++) {
                ids[i] = at + i;
            }
            add_batch(k == 0 ? a : b, ids, 100, model);
        }
        free(model);
    }
    struct weir_table_cursor at = {0, 0, 0};
    struct weir_table_cursor bt = {0, 0, 0};
    static uint64_t keys[2][IDS];
    static void *vals[IDS];
    assert_int_equal(weir_table_scan(a, &at, IDS, keys[0], vals), IDS);
    uint32_t n = 0;
    while (n < IDS) {
        uint32_t got = weir_table_scan(b, &bt, 77, keys[1] + n, vals);
        assert_true(got > 0);
        n += got;
    }
    assert_int_equal(weir_table_scan(b, &bt, 77, keys[1], vals), 0);
    assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
    /* Key groups come in order, so a group's rows lie together. */
    for (uint32_t i = 1; i < IDS; i++) {
        assert_true(weir_hash_key_group(weir_hash_u64(keys[0][i - 1]), 8) <=
                    weir_hash_key_group(weir_hash_u64(keys[0][i]), 8));
    }
    give_all(a);
    give_all(b);
    world_close(&w);
}

static void
t_many_small_tables_share_pages_and_give_them_back(void **state)
{
    (void)state;
    enum { PANES = 500, KEYS = 100 };
    struct world w;
    world_open(&w, UINT64_C(64) << 20, 128, PANES + 1);
    static struct weir_table *panes[PANES];
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t p = 0; p < PANES; p++) {
            panes[p] = table_of(&w, WEIR_KEY_8, 8);
            for (uint64_t key = 0; key < KEYS; key++) {
                uint64_t hash = weir_hash_u64(key);
                struct weir_table_rows row = {
                    &hash, (char *)&key, NULL, 8, 1, NULL, NULL, 0, false};
                void *val;
                bool made;
                assert_int_equal(weir_table_find_or_make(panes[p], &row, &val, &made), 0);
                assert_true(made);
            }
        }
        /* A bucket of 448 bytes for each of some 70 key groups, not a page. */
        assert_true(weir_arena_used_bytes(&w.arena) / PANES < 40 * 1024);
        struct weir_table *t = NULL;
        struct weir_table_spec spec = {7, WEIR_KEY_8, 8, 0};
        assert_int_equal(weir_table_take(&w.arena, &spec, 0, &t), 0);
        assert_int_equal(weir_table_take(&w.arena, &spec, 0, &t), WEIR_EBUDGET);
        weir_err_clear();
        give_all(t);
        for (uint32_t p = 0; p < PANES; p++) {
            give_all(panes[p]);
        }
        assert_int_equal(weir_arena_used_bytes(&w.arena), 0);
    }
    world_close(&w);
}

static void
t_blobs_keep_any_length(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(4) << 20, 3, 2);
    static const uint32_t lengths[] = {0, 1, 23, 24, 25, 4024, 4025, 100000, 1 << 20};
    char *text = malloc(1 << 20);
    char *back = malloc(1 << 20);
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    for (uint32_t i = 0; i < 1 << 20; i++) {
        text[i] = (char)weir_rng_u64(&rng);
    }
    uint32_t refs[WEIR_ARRAY_CNT(lengths)];
    for (size_t i = 0; i < WEIR_ARRAY_CNT(lengths); i++) {
        struct weir_slice s = {text, lengths[i]};
        assert_int_equal(weir_blob_put(&w.arena, (uint32_t)i % 3, s, &refs[i]), 0);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(lengths); i++) {
        assert_int_equal(weir_blob_bytes(&w.arena, refs[i]), lengths[i]);
        weir_blob_read(&w.arena, refs[i], back);
        assert_memory_equal(back, text, lengths[i]);
        struct weir_slice s = {text, lengths[i]};
        assert_true(weir_blob_equal(&w.arena, refs[i], s));
        s.bytes++;
        assert_false(weir_blob_equal(&w.arena, refs[i], s));
        s.bytes--;
        if (s.bytes > 0) {
            text[s.bytes - 1] ^= 1;
            assert_false(weir_blob_equal(&w.arena, refs[i], s));
            text[s.bytes - 1] ^= 1;
        }
    }
    uint64_t used = weir_arena_used_bytes(&w.arena);
    struct weir_slice huge = {text, 1 << 20};
    uint32_t more[4];
    uint32_t n = 0;
    while (weir_blob_put(&w.arena, 0, huge, &more[n]) == 0) {
        n++;
    }
    weir_err_clear();
    while (n > 0) {
        weir_blob_give(&w.arena, more[--n]);
    }
    assert_int_equal(weir_arena_used_bytes(&w.arena), used);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(lengths); i++) {
        weir_blob_give(&w.arena, refs[i]);
    }
    assert_int_equal(weir_arena_used_bytes(&w.arena), 0);
    free(text);
    free(back);
    world_close(&w);
}

/* The integer whose hash is `hash`: weir_hash_u64 backwards, step by step. */
static uint64_t
key_of_hash(uint64_t hash)
{
    const uint64_t odd = UINT64_C(0x9fb21c651e98df25);
    uint64_t inverse = odd; /* Newton: each turn doubles the right bits */
    for (int i = 0; i < 6; i++) {
        inverse *= 2 - odd * inverse;
    }
    uint64_t h = hash ^ (hash >> 28) ^ (hash >> 56);
    h *= inverse;
    h ^= (h >> 35) + 8;
    h *= inverse;
    /* h ^ rotl(h, 49) ^ rotl(h, 24) has order 64: 63 times forward is once backward. */
    for (int i = 0; i < 63; i++) {
        h ^= ((h << 49) | (h >> 15)) ^ ((h << 24) | (h >> 40));
    }
    h ^= UINT64_C(0xc73ab174c5ecd5a2);
    return (h >> 32) | (h << 32);
}

static void
t_keys_of_one_hash_end_in_an_error_not_in_a_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(16) << 20, 128, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    int err = 0;
    uint64_t n = 0;
    for (; n < 1000 && err == 0; n++) {
        uint64_t hash = (UINT64_C(0x12345678) << 32) | (n << 20);
        uint64_t key = key_of_hash(hash);
        assert_int_equal(weir_hash_u64(key), hash);
        struct weir_table_rows row = {&hash, (char *)&key, NULL, 8, 1, NULL, NULL, 0, false};
        void *val;
        bool made;
        err = weir_table_find_or_make(t, &row, &val, &made);
    }
    assert_int_equal(err, WEIR_EBUDGET);
    /* The directory's words or the bits of the hash, whichever is used up first. */
    assert_true(strstr(weir_err_at(0), "share one hash") != NULL ||
                strstr(weir_err_at(0), "directories") != NULL);
    weir_err_clear();
    assert_true(n > 200);
    give_last(&w, t);
    world_close(&w);
}

/* Long texts of one length under one hash: only their bytes tell them apart. */
static void
t_long_texts_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    enum { CNT = 3, ROWS = 6 };
    static const char texts[] = "text of the 1st kind.text of the 2nd kind.text of the 3rd kind.";
    const uint32_t bytes = (sizeof texts - 1) / CNT;
    assert_true(bytes > WEIR_KEY_TEXT_INLINE_BYTES);
    static const uint32_t which[ROWS] = {0, 1, 0, 2, 1, 0};
    struct world w;
    world_open(&w, UINT64_C(16) << 20, 128, 2);
    struct weir_table *t = table_of(&w, WEIR_KEY_STR, 8);
    struct weir_key_text keys[ROWS];
    uint64_t hash[ROWS];
    void *val[ROWS];
    uint32_t made[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        hash[i] = UINT64_C(0x123456789abcdef0);
        struct weir_slice text = {texts + which[i] * bytes, bytes};
        keys[i] = weir_key_text_of(texts, text, hash[i]);
    }
    for (uint64_t turn = 1; turn <= 3; turn++) {
        struct weir_table_rows rows = {
            hash, (const char *)keys, texts, sizeof keys[0], ROWS, val, made, 0, false};
        assert_int_equal(weir_table_resolve(t, &rows, 0), ROWS);
        assert_int_equal(rows.made_cnt, turn == 1 ? CNT : 0);
        for (uint32_t i = 0; i < ROWS; i++) {
            ++*(uint64_t *)val[i];
            assert_ptr_equal(weir_table_find(t, hash[i], &keys[i], texts), val[i]);
        }
        assert_true(*(uint64_t *)val[0] == 3 * turn);
        assert_true(*(uint64_t *)val[1] == 2 * turn);
        assert_true(*(uint64_t *)val[3] == turn);
    }
    give_all(t);
    world_close(&w);
}

static void
t_pages_for_entries_that_are_expected_are_no_condition(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(64) * WEIR_PAGE_BYTES, 1, 1);
    struct weir_table *t = table_of(&w, WEIR_KEY_8, 8);
    uint32_t left = w.arena.page_cnt - w.arena.page_fresh;
    uint32_t page;
    for (; left > 2; left--) { /* too few for the sixteen that follow from the hint */
        assert_int_equal(weir_arena_page_take(&w.arena, &page), 0);
        ((struct weir_slab *)weir_arena_ptr(&w.arena, page * WEIR_ARENA_PAGE_REFS))->kind =
            WEIR_PAGE_INDEX;
    }
    uint64_t used = weir_arena_used_bytes(&w.arena);
    t->entry_cnt_hint = 1000000;
    for (uint64_t key = 1; key <= 50; key++) {
        uint64_t hash = weir_hash_u64(key);
        struct weir_table_rows row = {&hash, (char *)&key, NULL, 8, 1, NULL, NULL, 0, false};
        void *val;
        bool made;
        assert_int_equal(weir_table_find_or_make(t, &row, &val, &made), 0);
        assert_true(made);
    }
    assert_int_equal(weir_err_cnt(), 0);
    give_all(t); /* the page of its name too */
    assert_int_equal(weir_arena_used_bytes(&w.arena), used - WEIR_PAGE_BYTES);
    world_close(&w);
}

static void
t_misuse_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(1) << 20, 4, 2);
    struct weir_table *t = NULL;
    struct weir_table_spec wide = {1, WEIR_KEY_8, 257, 0};
    assert_int_equal(weir_table_take(&w.arena, &wide, 0, &t), WEIR_EINVAL);
    struct weir_table_spec odd = {1, WEIR_KEY_KIND_CNT, 8, 0};
    assert_int_equal(weir_table_take(&w.arena, &odd, 0, &t), WEIR_EINVAL);
    struct weir_arena small;
    struct weir_arena_spec spec = {"small", 128, {0, 128}, 4};
    assert_int_equal(weir_arena_init(&small, &spec, w.mem, 8192), WEIR_EBUDGET);
    spec.groups.cnt = 129;
    assert_int_equal(weir_arena_init(&small, &spec, w.mem, 1 << 20), WEIR_EINVAL);
    weir_err_clear();
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_pages_split_and_directories_are_made_again),
        cmocka_unit_test(t_an_update_marks_the_line_of_its_value_alone),
        cmocka_unit_test(t_resolved_values_stay_good_until_the_next_call),
        cmocka_unit_test(t_absent_keys_are_told_from_those_beside_their_home),
        cmocka_unit_test(t_scans_repeat_for_the_same_inserts),
        cmocka_unit_test(t_many_small_tables_share_pages_and_give_them_back),
        cmocka_unit_test(t_blobs_keep_any_length),
        cmocka_unit_test(t_a_full_arena_is_an_error_and_leaves_the_table_whole),
        cmocka_unit_test(t_masks_name_exactly_the_lines_that_changed),
        cmocka_unit_test(t_keys_of_one_hash_end_in_an_error_not_in_a_loop),
        cmocka_unit_test(t_long_texts_of_one_hash_are_told_apart),
        cmocka_unit_test(t_pages_for_entries_that_are_expected_are_no_condition),
        cmocka_unit_test(t_misuse_is_refused),
        cmocka_unit_test(t_random_operations_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
