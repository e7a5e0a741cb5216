/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas restored from snapshots in full and increments: in place, moved, from one arena into two
 * and from two into one. What counts is the digest of all entries (state_play.h). */
#include "dataplane/capture.h"
#include "dataplane/restore.h"
#include "dataplane/row_list.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/seed.h"
#include "tests/unit/state_play.h"

#define ARENA_BYTES (UINT64_C(6) << 20)
#define FILE_BYTES (UINT64_C(64) << 20)
#define GROUP_CNT 16
#define TABLE_CNT_MAX 200

/* An arena with its owner, and the records that it has given. */
struct side {
    struct weir_arena arena;
    struct weir_capture capture;
    struct play play;
    void *mem;
    void *capture_mem;
    char *file;
    uint64_t file_bytes;
    uint64_t digest; /* at the last barrier */
    uint64_t names;
};

static void
side_arena(struct side *s, struct weir_keygroup_range groups, uint64_t bytes)
{
    memset(s, 0, sizeof *s);
    s->mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    memset(s->mem, 0, bytes);
    struct weir_arena_spec spec = {"test", GROUP_CNT, groups, TABLE_CNT_MAX};
    assert_int_equal(weir_arena_init(&s->arena, &spec, s->mem, bytes), 0);
}

static void
side_captured(struct side *s)
{
    s->capture_mem = capture_mem(&s->arena, 1 << 15);
    assert_int_equal(weir_capture_init(&s->capture, &s->arena, 1 << 15, s->capture_mem), 0);
    s->file = malloc(FILE_BYTES);
}

static void
side_open(struct side *s, struct weir_keygroup_range groups, uint64_t seed)
{
    side_arena(s, groups, ARENA_BYTES);
    side_captured(s);
    play_open(&s->play, &s->arena, seed);
}

static void
side_close(struct side *s)
{
    free(s->mem);
    free(s->capture_mem);
    free(s->file);
}

/* Take a snapshot while the owner goes on, behind what the file holds. */
static void
side_capture(struct side *s, uint64_t id)
{
    assert_int_equal(weir_arena_snapshot_begin(&s->arena), WEIR_DONE);
    assert_int_equal(weir_capture_begin(&s->capture, id, id == 1), WEIR_DONE);
    for (;;) {
        uint64_t room = weir_min_u64(FILE_BYTES - s->file_bytes, 20000);
        int64_t got = weir_capture_fill(&s->capture, s->file + s->file_bytes, room);
        assert_true(got >= 0);
        if (got == WEIR_DONE) {
            break;
        }
        s->file_bytes += got > WEIR_AGAIN ? (uint64_t)got : 0;
        if (s->play.arena != NULL) {
            play_step(&s->play);
        }
    }
    assert_true(weir_capture_commit(&s->capture, id));
}

static void
side_snapshot(struct side *s, uint64_t id)
{
    s->digest = play_digest(&s->arena, false);
    s->names = play_digest(&s->arena, true);
    side_capture(s, id);
}

static void
side_run(struct side *s, uint32_t snapshot_cnt)
{
    for (uint32_t i = 0; i < 300; i++) {
        play_step(&s->play);
    }
    for (uint32_t i = 0; i < snapshot_cnt; i++) {
        side_snapshot(s, i + 1);
        for (uint32_t n = 0; n < 20; n++) {
            play_step(&s->play);
        }
    }
}

static int
value_move(void *arg, struct weir_restore *restore, const struct weir_table *table, void *val)
{
    (void)arg;
    if (table->spec.state_id == PLAY_STATE_BLOBS) {
        uint64_t *ref = (uint64_t *)val + 1;
        *ref = weir_restore_blob(restore, (uint32_t)*ref);
    }
    return 0;
}

static void
records_apply(struct weir_restore *restore, const struct side *from)
{
    assert_int_equal(weir_restore_source(restore), 0);
    for (uint64_t at = 0; at < from->file_bytes;) {
        int64_t got = weir_restore_apply(restore, from->file + at, from->file_bytes - at);
        assert_true(got > 0);
        at += (uint64_t)got;
    }
}

static void
feed(struct weir_restore *restore, const struct side *from)
{
    records_apply(restore, from);
    assert_int_equal(weir_restore_source_end(restore), 0);
}

static void
restore_how(struct side *to, const struct side *from, uint32_t from_cnt,
    const struct weir_restore_spec *how)
{
    struct weir_restore_spec spec = *how;
    spec.page_cnt_max = from->arena.page_cnt;
    spec.table_cnt_max = TABLE_CNT_MAX;
    spec.value_fn = spec.is_in_place ? NULL : value_move;
    void *mem = calloc(1, weir_restore_footprint(&spec));
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &to->arena, &spec, mem), 0);
    for (uint32_t i = 0; i < from_cnt; i++) {
        feed(&r, &from[i]);
    }
    assert_int_equal(weir_restore_finish(&r), 0);
    free(mem);
}

static void
restore(struct side *to, const struct side *from, uint32_t from_cnt, bool is_in_place)
{
    const struct weir_restore_spec how = {.is_in_place = is_in_place};
    restore_how(to, from, from_cnt, &how);
}

/* Whoever owned the tables goes on with them. */
static void
take_over(struct side *s)
{
    struct play *play = &s->play;
    memset(play, 0, sizeof *play);
    play->arena = &s->arena;
    play->key_span = 3000;
    weir_rng_init(&play->rng, 5);
    for (uint32_t i = 0; i < s->arena.table_fresh; i++) {
        struct weir_table *t = weir_table_at(&s->arena, i);
        if (t != NULL && t->spec.state_id == PLAY_STATE_TIMERS) {
            play->timers.arena = &s->arena;
            play->timers.table = t;
            assert_int_equal(weir_timers_rebuild(&play->timers), 0);
        } else if (t != NULL) {
            play->table[t->spec.state_id] = t;
            play->ns = t->ns > play->ns ? t->ns : play->ns;
        }
    }
}

/* The arena goes on being used: nothing in it is out of order. */
static void
go_on(struct side *s)
{
    struct play *play = &s->play;
    take_over(s);
    for (uint32_t i = 0; i < 300; i++) {
        play_step(play);
    }
    uint64_t digest = play_digest(&s->arena, true);
    while (weir_arena_used_bytes(&s->arena) > 0 && digest != 0) {
        for (uint32_t i = 0; i < PLAY_TABLE_CNT; i++) {
            struct weir_table *t = play->table[i];
            struct weir_table_cursor cursor = {0, 0, 0};
            void *val[1];
            while (i == PLAY_STATE_BLOBS && weir_table_scan(t, &cursor, 1, NULL, val) > 0) {
                weir_blob_give(&s->arena, (uint32_t)((uint64_t *)val[0])[1]);
            }
            while (weir_table_give(t, 7) == WEIR_AGAIN) {
            }
        }
        for (uint32_t i = 0; i < PLAY_GOING_CNT; i++) {
            while (play->going[i] != NULL && weir_table_give(play->going[i], 7) == WEIR_AGAIN) {
            }
        }
        while (weir_timers_fini(&play->timers) == WEIR_AGAIN) {
        }
        digest = 0;
    }
    assert_int_equal(weir_arena_used_bytes(&s->arena), 0);
}

static void
t_an_arena_is_restored_in_place_and_moved(void **state)
{
    (void)state;
    struct side from;
    uint64_t seed = seed_of_run();
    for (uint64_t round = 0; round < 6; round++) {
        side_open(&from, (struct weir_keygroup_range){3, 9}, seed + round);
        side_run(&from, 1 + (uint32_t)round);
        for (uint32_t is_in_place = 0; is_in_place < 2; is_in_place++) {
            struct side to;
            side_arena(&to, from.arena.spec.groups, ARENA_BYTES);
            restore(&to, &from, 1, is_in_place == 1);
            assert_int_equal(play_digest(&to.arena, true), from.names);
            go_on(&to);
            side_close(&to);
        }
        side_close(&from);
    }
}

/* Life after life rests on the snapshots of those before, and each must be found again; what was
 * only restored is not written again. */
static void
t_snapshots_go_on_from_the_one_that_was_restored(void **state)
{
    (void)state;
    const struct weir_restore_spec how = {.is_in_place = true, .is_continued = true};
    struct side lives[2];
    struct side again;
    uint64_t seed = seed_of_run() + 30;
    side_open(&lives[0], (struct weir_keygroup_range){3, 9}, seed);
    side_run(&lives[0], 2);
    uint64_t id = 2;
    for (uint32_t life = 1; life <= 8; life++) {
        struct side *from = &lives[(life - 1) % 2];
        struct side *to = &lives[life % 2];
        side_arena(to, from->arena.spec.groups, ARENA_BYTES);
        restore_how(to, from, 1, &how);
        assert_int_equal(play_digest(&to->arena, true), from->names);
        side_captured(to);
        weir_capture_rest(&to->capture, id);
        memcpy(to->file, from->file, from->file_bytes);
        to->file_bytes = from->file_bytes;
        if (life % 2 == 1) { /* nothing but the restore itself has written */
            side_snapshot(to, ++id);
            assert_int_equal(weir_capture_base(&to->capture), id - 1);
            uint64_t bytes = to->file_bytes - from->file_bytes;
            assert_true(bytes * 4 < weir_arena_used_bytes(&to->arena));
        }
        side_close(from);
        side_arena(&again, to->arena.spec.groups, ARENA_BYTES);
        restore(&again, to, 1, true);
        assert_int_equal(play_digest(&again.arena, true), play_digest(&to->arena, true));
        side_close(&again);
        take_over(to);
        weir_rng_init(&to->play.rng, seed + life);
        for (uint32_t i = 0; i < 100; i++) {
            play_step(&to->play);
        }
        side_snapshot(to, ++id);
        side_snapshot(to, ++id);
    }
    side_close(&lives[0]);
}

/* The names of few tables that are left of many lie on several pages, and after a restore on one:
 * the others are no longer in use in the snapshot behind it. */
static void
t_names_that_close_up_are_not_named_twice(void **state)
{
    (void)state;
    const struct weir_restore_spec how = {.is_in_place = true, .is_continued = true};
    const struct weir_table_spec table = {.state_id = 1, .key_kind = WEIR_KEY_8, .val_bytes = 8};
    struct weir_table *tables[TABLE_CNT_MAX];
    struct side from;
    struct side to;
    struct side again;
    side_arena(&from, (struct weir_keygroup_range){0, GROUP_CNT}, ARENA_BYTES);
    side_captured(&from);
    for (uint32_t i = 0; i < TABLE_CNT_MAX; i++) {
        assert_int_equal(weir_table_take(&from.arena, &table, i, &tables[i]), 0);
    }
    for (uint32_t i = 0; i < TABLE_CNT_MAX; i++) {
        while (i % 20 != 0 && weir_table_give(tables[i], 1) == WEIR_AGAIN) {
        }
    }
    side_snapshot(&from, 1);
    side_arena(&to, from.arena.spec.groups, ARENA_BYTES);
    restore_how(&to, &from, 1, &how);
    assert_true(weir_arena_used_bytes(&to.arena) < weir_arena_used_bytes(&from.arena));
    side_captured(&to);
    weir_capture_rest(&to.capture, 1);
    memcpy(to.file, from.file, from.file_bytes);
    to.file_bytes = from.file_bytes;
    side_snapshot(&to, 2);
    side_arena(&again, from.arena.spec.groups, ARENA_BYTES);
    restore(&again, &to, 1, true);
    assert_int_equal(again.arena.table_cnt, TABLE_CNT_MAX / 20);
    assert_int_equal(weir_arena_used_bytes(&again.arena), weir_arena_used_bytes(&to.arena));
    side_close(&again);
    side_close(&to);
    side_close(&from);
}

static void
t_key_groups_go_from_one_arena_into_two(void **state)
{
    (void)state;
    struct side from;
    side_open(&from, (struct weir_keygroup_range){0, GROUP_CNT}, seed_of_run() + 10);
    side_run(&from, 4);
    for (uint32_t is_in_place = 0; is_in_place < 2; is_in_place++) {
        struct side a;
        struct side b;
        side_arena(&a, (struct weir_keygroup_range){0, 5}, ARENA_BYTES);
        side_arena(&b, (struct weir_keygroup_range){5, GROUP_CNT - 5}, ARENA_BYTES);
        restore(&a, &from, 1, is_in_place == 1);
        restore(&b, &from, 1, is_in_place == 1);
        uint64_t part = play_digest(&a.arena, false);
        assert_true(part != from.digest && part != 0);
        assert_int_equal(part + play_digest(&b.arena, false), from.digest);
        go_on(&a);
        go_on(&b);
        side_close(&a);
        side_close(&b);
    }
    side_close(&from);
}

/* Namespaces are counted by each play for itself: set the tables that stay to the same ones. */
static void
t_key_groups_come_from_two_arenas_into_one(void **state)
{
    (void)state;
    struct side from[2];
    uint64_t seed = seed_of_run() + 20;
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_keygroup_range groups = {i * 6, i == 0 ? 6 : GROUP_CNT - 6};
        side_open(&from[i], groups, seed + i);
        side_run(&from[i], 3);
    }
    struct side to;
    side_arena(&to, (struct weir_keygroup_range){0, GROUP_CNT}, 2 * ARENA_BYTES);
    restore(&to, from, 2, false);
    assert_int_equal(play_digest(&to.arena, false), from[0].digest + from[1].digest);
    side_close(&to);
    side_close(&from[0]);
    side_close(&from[1]);
}

static void
t_tables_of_one_name_become_one(void **state)
{
    (void)state;
    struct side from[2];
    for (uint32_t i = 0; i < 2; i++) {
        side_open(&from[i], (struct weir_keygroup_range){i * 8, 8}, 1);
        for (uint32_t n = 0; n < 400; n++) {
            play_batch(&from[i].play, n % PLAY_TABLE_CNT);
        }
        play_timer(&from[i].play);
        side_snapshot(&from[i], 1);
    }
    struct side to;
    side_arena(&to, (struct weir_keygroup_range){0, GROUP_CNT}, 2 * ARENA_BYTES);
    restore(&to, from, 2, false);
    assert_int_equal(to.arena.table_cnt, PLAY_TABLE_CNT + 1);
    assert_int_equal(play_digest(&to.arena, false), from[0].digest + from[1].digest);
    go_on(&to);
    side_close(&to);
    side_close(&from[0]);
    side_close(&from[1]);
}

/* ---- lists of rows ---- */

#define NOTE(F) F(i64, id) F(str, text)
WEIR_SCHEMA(note, NOTE)

#define LIST_KEY_CNT 300
#define LIST_STATE 9

static char note_heap[6000];
static char list_scratch[WEIR_ROW_ITEM_BYTES_MAX];

/* Keep a row at the key's list, some of them longer than a chunk takes. */
static void
list_add(struct weir_row_store *store, struct weir_table *t, uint64_t key, int64_t id)
{
    uint64_t hash = weir_hash_u64(key);
    struct weir_table_rows rows = {&hash, (char *)&key, NULL, 8, 1, NULL, NULL, 0, false};
    void *val;
    bool made;
    assert_int_equal(weir_table_find_or_make(t, &rows, &val, &made), 0);
    struct note row;
    memset(&row, 0, sizeof row);
    row.id = id;
    row.text.bytes = (uint32_t)(id % 7 == 0 ? 3000 + id % 2000 : 20 + id % 50);
    memset(note_heap, 'a' + (int)(id % 26), row.text.bytes);
    memcpy(row.text.head, note_heap, sizeof row.text.head);
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = note_schema();
    view.rows = (char *)&row;
    view.heap = note_heap;
    view.stride = sizeof row;
    view.cnt = view.row_cnt = 1;
    struct weir_row_reader reader;
    weir_row_reader_init(&reader, &view);
    struct weir_row_adds adds = {.store = store,
        .hash = &hash,
        .val = &val,
        .cnt = 1,
        .scratch = list_scratch,
        .tag = (uint64_t)id * 5};
    assert_int_equal(weir_row_lists_add(&reader, &adds), 0);
}

/* All rows of all keys, in order. */
static uint64_t
list_digest(const struct weir_arena *arena, const struct weir_table *t)
{
    uint64_t sum = 0;
    for (uint64_t key = 0; key < LIST_KEY_CNT; key++) {
        const struct weir_row_list *list = weir_table_find(t, weir_hash_u64(key), &key, NULL);
        uint32_t ref = list == NULL ? 0 : weir_row_list_first(arena, list);
        uint64_t turn = key;
        while (ref != 0) {
            struct weir_row_item item;
            weir_row_item_at(arena, note_schema(), ref, list_scratch, &item);
            const struct note *row = item.row;
            struct weir_slice text = weir_str_slice(&row->text, item.heap);
            turn = weir_rng_mix(turn ^ (uint64_t)row->id ^ item.tag);
            turn = weir_rng_mix(turn ^ weir_hash_bytes(text.ptr, text.bytes));
            ref = weir_row_list_after(list, ref, &item);
        }
        sum += turn;
    }
    return sum;
}

static uint32_t
list_ref(void *arg, uint32_t ref)
{
    return weir_restore_ref(arg, ref);
}

static uint32_t
list_blob(void *arg, uint32_t ref)
{
    return weir_restore_blob(arg, ref);
}

static int
list_move(void *arg, struct weir_restore *restore, const struct weir_table *table, void *val)
{
    const struct weir_state_mover mover = {list_ref, list_blob, restore};
    (void)arg;
    assert_int_equal(table->spec.state_id, LIST_STATE);
    weir_row_list_move(restore->arena, &mover, val);
    return 0;
}

/* Three snapshots of lists that grow. */
static struct weir_table *
lists_run(struct side *from, struct weir_row_store *store)
{
    struct weir_rng rng;
    struct weir_table *t;
    struct weir_table_spec spec = {LIST_STATE, WEIR_KEY_8, sizeof(struct weir_row_list), 0};
    weir_rng_init(&rng, seed_of_run());
    assert_int_equal(weir_table_take(&from->arena, &spec, 0, &t), 0);
    assert_int_equal(weir_row_store_init(store, &from->arena), 0);
    int64_t id = 0;
    for (uint64_t snapshot = 1; snapshot <= 3; snapshot++) {
        for (uint32_t i = 0; i < 500; i++) {
            list_add(store, t, weir_rng_below(&rng, LIST_KEY_CNT), id++);
        }
        from->digest = list_digest(&from->arena, t);
        assert_int_equal(weir_arena_snapshot_begin(&from->arena), WEIR_DONE);
        assert_int_equal(weir_capture_begin(&from->capture, snapshot, snapshot == 1), WEIR_DONE);
        int64_t got;
        while ((got = weir_capture_fill(&from->capture, from->file + from->file_bytes, 9000)) > 0) {
            from->file_bytes += got > WEIR_AGAIN ? (uint64_t)got : 0;
            list_add(store, t, weir_rng_below(&rng, LIST_KEY_CNT), id++);
        }
        assert_int_equal(got, WEIR_DONE);
        assert_true(weir_capture_commit(&from->capture, snapshot));
    }
    return t;
}

/* The store knows its chunks again from the lists of all keys. */
static void
lists_adopt(struct weir_row_store *store, const struct weir_table *t)
{
    for (uint64_t key = 0; key < LIST_KEY_CNT; key++) {
        const struct weir_row_list *list = weir_table_find(t, weir_hash_u64(key), &key, NULL);
        if (list != NULL) {
            weir_row_store_adopt(store, list);
        }
    }
}

static void
lists_restore(const struct side *from, uint32_t old_idx, bool is_in_place)
{
    struct side to;
    side_arena(&to, from->arena.spec.groups, ARENA_BYTES);
    struct weir_restore_spec how = {.page_cnt_max = from->arena.page_cnt,
        .table_cnt_max = TABLE_CNT_MAX,
        .is_in_place = is_in_place,
        .value_fn = is_in_place ? NULL : list_move};
    void *mem = calloc(1, weir_restore_footprint(&how));
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &to.arena, &how, mem), 0);
    feed(&r, from);
    struct weir_table *t = weir_restore_table(&r, old_idx);
    assert_int_equal(weir_restore_finish(&r), 0);
    struct weir_row_store store;
    assert_int_equal(weir_row_store_init(&store, &to.arena), 0);
    lists_adopt(&store, t);
    assert_int_equal(list_digest(&to.arena, t), from->digest);
    list_add(&store, t, 1, 1);
    while (weir_row_store_give(&store, 5) == WEIR_AGAIN) {
    }
    while (weir_table_give(t, 5) == WEIR_AGAIN) {
    }
    assert_int_equal(weir_arena_used_bytes(&to.arena), 0);
    free(mem);
    side_close(&to);
}

static void
t_lists_of_rows_are_restored_in_place_and_moved(void **state)
{
    (void)state;
    struct side from;
    struct weir_row_store store;
    side_arena(&from, (struct weir_keygroup_range){0, GROUP_CNT}, ARENA_BYTES);
    side_captured(&from);
    struct weir_table *t = lists_run(&from, &store);
    lists_restore(&from, t->table_idx, false);
    lists_restore(&from, t->table_idx, true);
    side_close(&from);
}

static void
circle_is_refused(struct side *from, weir_restore_value_fn *value_fn)
{
    struct side to;
    side_capture(from, 1);
    side_arena(&to, from->arena.spec.groups, ARENA_BYTES);
    struct weir_restore_spec how = {
        .page_cnt_max = from->arena.page_cnt, .table_cnt_max = TABLE_CNT_MAX, .value_fn = value_fn};
    void *mem = calloc(1, weir_restore_footprint(&how));
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &to.arena, &how, mem), 0);
    records_apply(&r, from);
    assert_int_equal(weir_restore_source_end(&r), WEIR_EFORMAT);
    assert_non_null(strstr(weir_err_at(0), "in a circle"));
    weir_err_clear();
    free(mem);
    side_close(&to);
}

/* What no arena holds, but a file with right checksums can: the second row leads to itself. */
static void
t_a_list_that_goes_in_a_circle_is_refused(void **state)
{
    (void)state;
    struct side from;
    struct weir_row_store store;
    struct weir_table *t;
    const struct weir_table_spec spec = {LIST_STATE, WEIR_KEY_8, sizeof(struct weir_row_list), 0};
    const uint64_t key = 7;
    side_arena(&from, (struct weir_keygroup_range){0, GROUP_CNT}, ARENA_BYTES);
    side_captured(&from);
    assert_int_equal(weir_table_take(&from.arena, &spec, 0, &t), 0);
    assert_int_equal(weir_row_store_init(&store, &from.arena), 0);
    for (int64_t id = 1; id <= 3; id++) {
        list_add(&store, t, key, id);
    }
    struct weir_row_item item;
    const struct weir_row_list *list = weir_table_find(t, weir_hash_u64(key), &key, NULL);
    uint32_t ref = weir_row_list_first(&from.arena, list);
    weir_row_item_at(&from.arena, note_schema(), ref, list_scratch, &item);
    ref = weir_row_list_after(list, ref, &item);
    *(uint32_t *)weir_arena_ptr(&from.arena, ref) = ref; /* an item begins with its next */
    circle_is_refused(&from, list_move);
    side_close(&from);
}

/* Likewise the text of a key: its piece leads to itself. */
static void
t_a_key_that_goes_in_a_circle_is_refused(void **state)
{
    (void)state;
    struct side from;
    struct weir_table *t;
    const struct weir_table_spec spec = {LIST_STATE, WEIR_KEY_STR, 8, 0};
    const struct weir_slice text = {.ptr = note_heap, .bytes = 100};
    uint64_t hash = weir_hash_bytes(text.ptr, text.bytes);
    struct weir_key_text key = weir_key_text_of(note_heap, text, hash);
    struct weir_table_rows rows = {
        &hash, (char *)&key, note_heap, sizeof key, 1, NULL, NULL, 0, false};
    struct weir_table_cursor cursor = {0};
    void *val;
    bool made;
    side_arena(&from, (struct weir_keygroup_range){0, GROUP_CNT}, ARENA_BYTES);
    side_captured(&from);
    assert_int_equal(weir_table_take(&from.arena, &spec, 0, &t), 0);
    assert_int_equal(weir_table_find_or_make(t, &rows, &val, &made), 0);
    assert_int_equal(weir_table_scan(t, &cursor, 1, key.word, &val), 1);
    uint32_t ref = (uint32_t)key.word[WEIR_KEY_TEXT_WORD_CNT - 1];
    ((struct weir_blob *)weir_arena_ptr(&from.arena, ref))->next = ref;
    circle_is_refused(&from, NULL);
    side_close(&from);
}

static void
t_damage_is_told(void **state)
{
    (void)state;
    struct side from;
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    side_open(&from, (struct weir_keygroup_range){0, GROUP_CNT}, 3);
    side_run(&from, 1);
    struct weir_restore_spec spec = {
        .page_cnt_max = from.arena.page_cnt, .table_cnt_max = TABLE_CNT_MAX, .is_in_place = true};
    void *mem = calloc(1, weir_restore_footprint(&spec));
    struct weir_capture_record head;
    memcpy(&head, from.file, sizeof head);
    struct side to;
    side_arena(&to, from.arena.spec.groups, ARENA_BYTES);
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &to.arena, &spec, mem), 0);
    assert_int_equal(weir_restore_source(&r), 0);
    for (uint32_t i = 0; i < 2000; i++) {
        uint64_t bit = weir_rng_below(&rng, (uint64_t)head.bytes * 8);
        from.file[bit / 8] = (char)(from.file[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(weir_restore_apply(&r, from.file, head.bytes), WEIR_EFORMAT);
        weir_err_clear();
        from.file[bit / 8] = (char)(from.file[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(weir_restore_apply(&r, from.file, head.bytes - 1), WEIR_EFORMAT);
    assert_int_equal(weir_restore_apply(&r, from.file, 10), WEIR_EFORMAT);
    weir_err_clear();
    assert_int_equal(weir_restore_apply(&r, from.file, head.bytes), head.bytes);
    assert_int_equal(weir_restore_source(&r), WEIR_EILLEGAL);
    assert_int_equal(weir_restore_init(&r, &from.arena, &spec, mem), WEIR_EINVAL);
    weir_err_clear();
    free(mem);
    side_close(&to);
    side_close(&from);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_an_arena_is_restored_in_place_and_moved),
        cmocka_unit_test(t_snapshots_go_on_from_the_one_that_was_restored),
        cmocka_unit_test(t_names_that_close_up_are_not_named_twice),
        cmocka_unit_test(t_key_groups_go_from_one_arena_into_two),
        cmocka_unit_test(t_key_groups_come_from_two_arenas_into_one),
        cmocka_unit_test(t_tables_of_one_name_become_one),
        cmocka_unit_test(t_lists_of_rows_are_restored_in_place_and_moved),
        cmocka_unit_test(t_a_list_that_goes_in_a_circle_is_refused),
        cmocka_unit_test(t_a_key_that_goes_in_a_circle_is_refused),
        cmocka_unit_test(t_damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
