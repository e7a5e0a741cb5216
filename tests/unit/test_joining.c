/* SPDX-License-Identifier: Apache-2.0 */
/* Joins of changes, beside loops over the rows that are there. */
#include "dataplane/joining.h"

#include "dataplane/kindset_spill.h"
#include "dataplane/row_pack.h"
#include "tests/unit/change_rows.h"
#include "tests/unit/kv_place.h"

#define SEED_CNT 12
#define TEXT_BYTES CHANGE_LINE_BYTES
#define NONE (-1)

#define MET(F) \
    F(i64, key) F(i64, left) F(i64, right) F(i64, at) F(str, left_name) F(str, right_name)
WEIR_SCHEMA(met, MET)
#define TIMED(F) F(i64, key) F(i64, value) F(time, at)
WEIR_SCHEMA(timed, TIMED)

/* Pairs of some values are refused. */
WEIR_JOIN(meet, item, item, met)
{
    row->key = left != NULL ? left->key : right->key;
    row->left = left != NULL ? left->value : NONE;
    row->right = right != NULL ? right->value : NONE;
    row->at = (left != NULL ? left->at : 0) * 10 + (right != NULL ? right->at : 0);
    row->left_name = weir_str_inline("", 0);
    row->right_name = weir_str_inline("", 0);
    if (left != NULL) {
        weir_join_text(out, &row->left_name, &left->name, at->left_heap);
    }
    if (right != NULL) {
        weir_join_text(out, &row->right_name, &right->name, at->right_heap);
    }
    return left == NULL || right == NULL || (left->value + right->value) % 4 != 3;
}

WEIR_JOIN(timed_meet, timed, item, met)
{
    memset(row, 0, sizeof *row);
    row->key = left->key;
    row->left = left->value;
    row->right = right->value;
    row->at = at->time;
    return true;
}

enum mode { INNER, LEFT, RIGHT, FULL, SEMI, ANTI, MODE_CNT };

struct set_up {
    struct weir_joining joining;
    struct weir_connect_process_conf conf;
    struct weir_operator_type type;
    struct harness_conf harness;
};

static void
make(struct set_up *set_up, const struct weir_join_conf *conf)
{
    memset(set_up, 0, sizeof *set_up);
    assert_int_equal(weir_joining_init(&set_up->joining, conf), 0);
    set_up->conf.process.key = weir_key_of(1, "key", NULL);
    set_up->conf.process.function = &set_up->joining.function;
    set_up->conf.second_key = set_up->conf.process.key;
    set_up->conf.second = &set_up->joining.second;
    set_up->type = weir_joining_type();
    set_up->harness.type = &set_up->type;
    set_up->harness.conf = &set_up->conf;
    set_up->harness.in_schema[0] = conf->join->left_schema();
    set_up->harness.in_schema[1] = conf->join->right_schema();
    set_up->harness.out_schema[0] = conf->join->out_schema();
    set_up->harness.channel_cnt = 2;
    set_up->harness.channel_input[1] = 1;
    set_up->harness.has_kind = true;
    set_up->harness.arena_bytes = 16 * WEIR_MIB;
}

static void
make_mode(struct set_up *set_up, enum mode mode)
{
    static const enum weir_join_outer outers[MODE_CNT] = {
        0, WEIR_JOIN_OUTER_LEFT, WEIR_JOIN_OUTER_RIGHT, WEIR_JOIN_OUTER_FULL, 0, 0};
    const struct weir_join_conf conf = {
        .join = &meet_join, .outer = outers[mode], .semi = mode == SEMI, .anti = mode == ANTI};
    make(set_up, &conf);
}

/* Opened as it was made. */
static struct harness *
open_mode(struct set_up *set_up, enum mode mode)
{
    make_mode(set_up, mode);
    return harness_new(&set_up->harness);
}

static struct harness *
open_join(struct set_up *set_up, const struct weir_join_conf *conf)
{
    make(set_up, conf);
    return harness_new(&set_up->harness);
}

/* ---- tables: texts, each as often as it is there ---- */

struct texts {
    char (*text)[TEXT_BYTES];
    uint32_t cnt;
    uint32_t cap;
};

static void
add(struct texts *texts, const char *text)
{
    if (texts->cnt == texts->cap) {
        texts->cap = texts->cap == 0 ? 256 : texts->cap * 2;
        texts->text = realloc(texts->text, texts->cap * sizeof *texts->text);
        assert_non_null(texts->text);
    }
    (void)snprintf(texts->text[texts->cnt++], TEXT_BYTES, "%s", text);
}

static bool
take(struct texts *texts, const char *text)
{
    for (uint32_t i = 0; i < texts->cnt; i++) {
        if (strcmp(texts->text[i], text) == 0) {
            memmove(texts->text[i], texts->text[--texts->cnt], TEXT_BYTES);
            return true;
        }
    }
    return false;
}

static void
expect_same(struct texts *is, struct texts *want)
{
    for (uint32_t i = 0; i < is->cnt; i++) {
        if (!take(want, is->text[i])) {
            fail_msg("%s is there", is->text[i]);
        }
    }
    if (want->cnt > 0) {
        fail_msg("%s is not there", want->text[0]);
    }
}

/* What the output has told since: what goes is there, or is owed until it comes. */
static void
apply(struct harness *h, struct texts *is, struct texts *owed)
{
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        char text[CHANGE_LINE_BYTES];
        bool goes = weir_row_kind_retracts(h->out[0].row_kind[i]);
        change_text(h, i, text);
        if (!take(goes ? is : owed, text)) {
            add(goes ? owed : is, text);
        }
    }
    harness_clear(h);
}

static void
name_of(const struct item *row, char *name)
{
    char base[128];
    size_t used = 0;
    struct item copy = *row;
    change_fill(&copy, base, &used);
    memcpy(name, base, used);
    name[used] = '\0';
}

static void
expect_row(const struct item *left, const struct item *right, struct texts *want)
{
    char name[2][64] = {"", ""};
    char text[CHANGE_LINE_BYTES];
    if (left != NULL) {
        name_of(left, name[0]);
    }
    if (right != NULL) {
        name_of(right, name[1]);
    }
    (void)snprintf(text, sizeof text, "|%lld|%lld|%lld|%lld|%s|%s",
        (long long)(left != NULL ? left : right)->key,
        (long long)(left != NULL ? left->value : NONE),
        (long long)(right != NULL ? right->value : NONE),
        (long long)((left != NULL ? left->at : 0) * 10 + (right != NULL ? right->at : 0)), name[0],
        name[1]);
    add(want, text);
}

static bool
has_key(const struct change_live *live, int64_t key)
{
    for (uint32_t i = 0; i < live->cnt; i++) {
        if (live->row[i]->key == key) {
            return true;
        }
    }
    return false;
}

static void
expect(enum mode mode, const struct change_live *left, const struct change_live *right,
    struct texts *want)
{
    want->cnt = 0;
    for (uint32_t l = 0; l < left->cnt; l++) {
        bool is_met = has_key(right, left->row[l]->key);
        if (is_met ? mode == SEMI : mode == LEFT || mode == FULL || mode == ANTI) {
            expect_row(left->row[l], NULL, want);
        }
        for (uint32_t r = 0; r < right->cnt && mode < SEMI; r++) {
            const struct item *a = left->row[l];
            const struct item *b = right->row[r];
            if (a->key == b->key && (a->value + b->value) % 4 != 3) {
                expect_row(a, b, want);
            }
        }
    }
    for (uint32_t r = 0; r < right->cnt && (mode == RIGHT || mode == FULL); r++) {
        if (!has_key(left, right->row[r]->key)) {
            expect_row(NULL, right->row[r], want);
        }
    }
}

/* ---- plays ---- */

static void
push(struct harness *h, uint32_t channel, const struct changes *changes, uint32_t batch)
{
    const struct restart_step *step = &changes->step[batch];
    struct weir_view view = harness_view_of(item_schema(), step->rows, step->cnt);
    view.kind = (const char *)step->kinds;
    view.kind_stride = 1;
    harness_push_view(h, channel, &view);
}

static void
live_apply(struct change_live *live, const struct changes *changes, uint32_t batch)
{
    for (uint32_t i = 0; i < changes->step[batch].cnt; i++) {
        bool goes = weir_row_kind_retracts(changes->kinds[batch][i]);
        change_live_apply(&live[0], &live[1], change_row(changes, batch, i), goes);
    }
}

struct play {
    struct change_opts opts[2]; /* by side */
    enum mode mode;
    uint64_t seed;
    const struct weir_spill_conf *spill;
};

/* Rows of both sides in turn. Returns whether all that was taken back came in the end. */
static bool
play(const struct play *play)
{
    struct set_up set_up;
    struct texts texts[3] = {{NULL, 0, 0}, {NULL, 0, 0}, {NULL, 0, 0}}; /* is, owed, wanted */
    struct change_live *live = calloc(4, sizeof *live);
    struct changes *changes[2] = {
        changes_make(play->seed, &play->opts[0]), changes_make(play->seed + 7777, &play->opts[1])};
    bool has_early = play->opts[0].has_early || play->opts[1].has_early;
    assert_non_null(live);
    make_mode(&set_up, play->mode);
    set_up.harness.columns = play->seed % 2 == 1;
    set_up.harness.batch_rows = 2 + (uint32_t)(play->seed % 7);
    set_up.harness.is_slow = play->seed % 3 == 0;
    set_up.harness.seed = play->seed;
    set_up.harness.spill = play->spill;
    struct harness *h = harness_new(&set_up.harness);
    for (uint32_t b = 0; b < CHANGE_BATCH_CNT; b++) {
        for (uint32_t side = 0; side < 2; side++) {
            push(h, side, changes[side], b);
            live_apply(&live[(size_t)2 * side], changes[side], b);
        }
        apply(h, &texts[0], &texts[1]);
        if (!has_early) {
            if (texts[1].cnt > 0) {
                fail_msg("%s goes, and is not there", texts[1].text[0]);
            }
            expect(play->mode, &live[0], &live[2], &texts[2]);
            expect_same(&texts[0], &texts[2]);
        }
    }
    bool is_whole = live[1].cnt == 0 && live[3].cnt == 0;
    if (is_whole) {
        assert_int_equal(texts[1].cnt, 0);
        expect(play->mode, &live[0], &live[2], &texts[2]);
        expect_same(&texts[0], &texts[2]);
    }
    harness_free(h);
    for (uint32_t i = 0; i < 3; i++) {
        free(texts[i].text);
    }
    changes_free(changes[0]);
    changes_free(changes[1]);
    free(live);
    return is_whole;
}

static void
t_joins_of_inserts_are_those_of_the_rows(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct change_opts opts = {.keys = s % 2 == 0 ? 60 : 6, .values = 12};
        assert_true(play(&(struct play){{opts, opts}, s % MODE_CNT, seed + s, NULL}));
    }
}

static void
t_joins_of_changes_are_those_of_the_rows_that_are_left(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    const struct change_opts inserts = {.keys = 8, .values = 3};
    const struct change_opts changes = {.keys = 8, .values = 3, .has_changes = true};
    for (uint32_t s = 0; s < 2 * SEED_CNT; s++) {
        assert_true(play(&(struct play){{changes, changes}, s % MODE_CNT, seed + s, NULL}));
        assert_true(play(&(struct play){{inserts, changes}, s % MODE_CNT, seed + s, NULL}));
        assert_true(play(&(struct play){{changes, inserts}, s % MODE_CNT, seed + s, NULL}));
    }
}

/* Most keys are on disk, and come back for each batch. */
static void
t_joins_of_keys_on_disk_are_the_same(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    const struct change_opts opts = {.keys = 40, .values = 3, .has_changes = true};
    kv_place_make();
    for (uint32_t s = 0; s < MODE_CNT; s++) {
        const struct weir_spill_conf spill = {.dir = kv_place, .key_max = 4, .is_inline = true};
        assert_true(play(&(struct play){{opts, opts}, s, seed + s, &spill}));
    }
    kv_place_remove();
}

/* A retraction that overtakes its row counts against it until it comes: in the end all is right. */
static void
t_retractions_that_come_early_are_made_up_for(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint32_t whole_cnt = 0;
    for (uint32_t s = 0; s < 8 * SEED_CNT; s++) {
        const struct change_opts opts = {
            .keys = 2, .values = 5, .has_changes = true, .has_early = true};
        const struct change_opts right = {
            .keys = 2, .values = 5, .has_changes = true, .has_early = s % 3 == 0};
        whole_cnt += play(&(struct play){{opts, right}, s % MODE_CNT, seed + s, NULL});
    }
    assert_true(whole_cnt > SEED_CNT);
}

/* ---- row by row ---- */

static void
push_one(struct harness *h, uint32_t side, const struct item *row, uint8_t kind)
{
    struct weir_view view = harness_view_of(item_schema(), row, 1);
    view.kind = (const char *)&kind;
    view.kind_stride = 1;
    harness_push_view(h, side, &view);
}

/* Left rows of one key whose values, `same` rows each, are multiples of 4; a millisecond goes by
 * with every `per_ms` of them, none where that is 0. */
static void
insert_many(struct harness *h, uint32_t cnt, uint32_t same, uint32_t per_ms)
{
    for (uint32_t i = 0; i < cnt; i++) {
        const struct item row = {.key = 1, .value = 4 * (i / same)};
        push_one(h, 0, &row, WEIR_ROW_INSERT);
        h->now_ns += per_ms > 0 && i % per_ms == 0 ? WEIR_MS : 0;
    }
}

/* Kinds, keys and values of what was told since. */
static void
expect_told(struct harness *h, const char *want)
{
    char text[1024] = "";
    size_t at = 0;
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct met *row = harness_row(h, 0, i);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %lld %lld", i > 0 ? ", " : "",
            kinds[h->out[0].row_kind[i]], (long long)row->left, (long long)row->right);
        assert_true(at < sizeof text);
    }
    assert_string_equal(text, want);
    harness_clear(h);
}

/* Of a key of which nothing is left nothing is kept. */
static void
expect_empty(const struct harness *h)
{
    for (uint32_t i = 0; i < h->arena.table_fresh; i++) {
        const struct weir_table *table = weir_table_at(&h->arena, i);
        assert_true(table == NULL || table->entry_cnt == 0);
    }
}

static void
t_rows_told_alone_are_taken_back_when_a_partner_comes(void **state)
{
    (void)state;
    const struct item row = {.key = 1, .value = 4};
    const struct item first = {.key = 1, .value = 8};
    const struct item second = {.key = 1, .value = 12};
    struct set_up set_up;
    struct harness *h = open_mode(&set_up, FULL);
    push_one(h, 0, &row, WEIR_ROW_INSERT);
    push_one(h, 0, &row, WEIR_ROW_UPDATE_AFTER);
    expect_told(h, "+I 4 -1, +I 4 -1");
    push_one(h, 1, &first, WEIR_ROW_UPDATE_AFTER);
    expect_told(h, "-D 4 -1, -D 4 -1, +I 4 8, +I 4 8");
    push_one(h, 1, &second, WEIR_ROW_INSERT);
    expect_told(h, "+I 4 12, +I 4 12");
    push_one(h, 0, &row, WEIR_ROW_DELETE);
    expect_told(h, "-D 4 8, -D 4 12");
    push_one(h, 1, &first, WEIR_ROW_UPDATE_BEFORE);
    expect_told(h, "-D 4 8");
    push_one(h, 0, &row, WEIR_ROW_UPDATE_BEFORE);
    expect_told(h, "-D 4 12, +I -1 12");
    push_one(h, 1, &second, WEIR_ROW_DELETE);
    expect_told(h, "-D -1 12");
    expect_empty(h);
    harness_free(h);
}

static void
t_pairs_of_inner_joins_have_the_kind_of_what_they_come_of(void **state)
{
    (void)state;
    const struct item row = {.key = 1, .value = 4};
    const struct item other = {.key = 1, .value = 8};
    struct set_up set_up;
    struct harness *h = open_mode(&set_up, INNER);
    push_one(h, 0, &row, WEIR_ROW_INSERT);
    push_one(h, 1, &other, WEIR_ROW_UPDATE_AFTER);
    push_one(h, 0, &row, WEIR_ROW_UPDATE_BEFORE);
    push_one(h, 0, &row, WEIR_ROW_UPDATE_AFTER);
    push_one(h, 1, &other, WEIR_ROW_DELETE);
    expect_told(h, "+U 4 8, -U 4 8, +U 4 8, -D 4 8");
    /* One that is owed takes back what comes, and is made up for by it. */
    push_one(h, 1, &other, WEIR_ROW_UPDATE_BEFORE);
    expect_told(h, "-U 4 8");
    push_one(h, 0, &row, WEIR_ROW_INSERT);
    expect_told(h, "-D 4 8");
    push_one(h, 1, &other, WEIR_ROW_INSERT);
    expect_told(h, "+I 4 8, +I 4 8");
    harness_free(h);
}

static void
t_semi_and_anti_joins_tell_left_rows_with_and_without_partners(void **state)
{
    (void)state;
    const struct item row = {.key = 1, .value = 4};
    for (uint32_t i = 0; i < 2; i++) {
        struct set_up set_up;
        struct harness *h = open_mode(&set_up, i == 0 ? SEMI : ANTI);
        push_one(h, 0, &row, WEIR_ROW_INSERT);
        expect_told(h, i == 0 ? "" : "+I 4 -1");
        push_one(h, 1, &row, WEIR_ROW_INSERT);
        expect_told(h, i == 0 ? "+I 4 -1" : "-D 4 -1");
        push_one(h, 1, &row, WEIR_ROW_INSERT);
        push_one(h, 1, &row, WEIR_ROW_DELETE);
        expect_told(h, "");
        push_one(h, 1, &row, WEIR_ROW_DELETE);
        expect_told(h, i == 0 ? "-D 4 -1" : "+I 4 -1");
        push_one(h, 0, &row, WEIR_ROW_DELETE);
        expect_told(h, i == 0 ? "" : "-D 4 -1");
        harness_free(h);
    }
}

/* A row of many partners, and more than one output holds of them: it goes on where it was. */
static void
t_rows_of_many_partners_are_told_in_pieces(void **state)
{
    (void)state;
    enum { CNT = 700 };
    struct set_up set_up;
    make_mode(&set_up, LEFT);
    set_up.harness.is_slow = true;
    set_up.harness.batch_rows = 50;
    struct harness *h = harness_new(&set_up.harness);
    insert_many(h, CNT, 3, 0);
    assert_int_equal(h->out[0].row_cnt, CNT);
    harness_clear(h);
    for (uint32_t turn = 0; turn < 2; turn++) {
        const struct item partner = {.key = 1, .value = 0};
        uint32_t seen[2][CNT] = {{0}}; /* told alone, and in pairs */
        push_one(h, 1, &partner, turn == 0 ? WEIR_ROW_INSERT : WEIR_ROW_DELETE);
        assert_int_equal(h->out[0].row_cnt, 2 * CNT);
        for (uint32_t i = 0; i < 2 * CNT; i++) {
            const struct met *row = harness_row(h, 0, i);
            bool is_pair = row->right != NONE;
            assert_int_equal(weir_row_kind_retracts(h->out[0].row_kind[i]), is_pair == (turn == 1));
            seen[is_pair][row->left / 4]++;
        }
        for (uint32_t i = 0; i < CNT / 3; i++) {
            assert_int_equal(seen[0][i], 3);
            assert_int_equal(seen[1][i], 3);
        }
        harness_clear(h);
    }
    harness_free(h);
}

/* The time of a pair is what its rows carry; of rows that carry none it is that of the change. */
static void
t_the_time_of_a_pair_is_one_that_it_is_taken_back_with(void **state)
{
    (void)state;
    const struct weir_join_conf conf = {.join = &timed_meet_join};
    const struct timed row = {.key = 1, .value = 4, .at = 77};
    const struct item other = {.key = 1, .value = 8};
    const int64_t hidden = 99;
    struct set_up set_up;
    struct harness *h = open_join(&set_up, &conf);
    harness_push(h, 0, &row, 1);
    struct weir_view view = harness_view_of(item_schema(), &other, 1);
    view.time = (const char *)&hidden;
    view.time_stride = sizeof hidden;
    harness_push_view(h, 1, &view);
    assert_int_equal(h->out[0].row_cnt, 1);
    assert_int_equal(((const struct met *)harness_row(h, 0, 0))->at, 77);
    harness_free(h);
}

/* ---- time to live ---- */

static void
t_rows_are_forgotten_after_their_time_to_live(void **state)
{
    (void)state;
    const struct weir_join_conf conf = {.join = &meet_join, .ttl_ms = 100};
    const struct item row = {.key = 1, .value = 4};
    const struct item other = {.key = 1, .value = 8};
    struct set_up set_up;
    struct harness *h = open_join(&set_up, &conf);
    push_one(h, 0, &row, WEIR_ROW_INSERT);
    harness_time(h, 50 * WEIR_MS);
    push_one(h, 1, &other, WEIR_ROW_INSERT);
    expect_told(h, "+I 4 8");
    harness_time(h, 120 * WEIR_MS); /* the left one has gone, the right one has not */
    push_one(h, 1, &row, WEIR_ROW_INSERT);
    expect_told(h, "");
    push_one(h, 0, &row, WEIR_ROW_DELETE);
    expect_told(h, "-D 4 8, -D 4 4");
    push_one(h, 1, &row, WEIR_ROW_INSERT); /* nothing is owed */
    expect_told(h, "");
    harness_time(h, 300 * WEIR_MS);
    push_one(h, 0, &other, WEIR_ROW_INSERT);
    expect_told(h, "");
    harness_free(h);
}

static void
later(struct harness *h)
{
    h->now_ns += WEIR_MS;
}

/* Time goes on while a row meets many: those that have gone by then are not met, and nothing else
 * is lost, or met twice. */
static void
t_rows_may_go_while_they_are_met(void **state)
{
    (void)state;
    enum { CNT = 600, TTL_MS = 40 };
    const struct weir_join_conf conf = {.join = &meet_join, .ttl_ms = TTL_MS};
    const struct item partner = {.key = 1, .value = 0};
    struct set_up set_up;
    make(&set_up, &conf);
    set_up.harness.buf_bytes = 1024;
    set_up.harness.is_slow = true;
    struct harness *h = harness_new(&set_up.harness);
    insert_many(h, CNT, 1, 20);
    h->after_step = later;
    push_one(h, 1, &partner, WEIR_ROW_INSERT);
    int64_t last = -1;
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct met *row = harness_row(h, 0, i);
        assert_int_equal(row->left % 4, 0);
        assert_in_range(row->left, last + 1, 4 * (CNT - 1));
        last = row->left;
    }
    assert_in_range(h->out[0].row_cnt, 9, CNT - 9); /* some, and not all */
    h->after_step = NULL;
    harness_time(h, h->now_ns + TTL_MS * WEIR_MS);
    insert_many(h, CNT, 1, 0);
    harness_clear(h);
    push_one(h, 1, &partner, WEIR_ROW_INSERT);
    assert_int_equal(h->out[0].row_cnt, CNT);
    harness_free(h);
}

/* ---- restarts ---- */

static void
restarts(bool rescales)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < MODE_CNT; s++) {
        const struct change_opts opts = {.keys = 9, .values = 10, .has_changes = true};
        struct changes *changes[2] = {
            changes_make(seed + s, &opts), changes_make(~seed - s, &opts)};
        struct restart_step steps[2 * CHANGE_BATCH_CNT];
        struct restart_play play;
        struct set_up set_up;
        make_mode(&set_up, s);
        memset(&play, 0, sizeof play);
        play.conf = set_up.harness;
        for (uint32_t i = 0; i < 2 * CHANGE_BATCH_CNT; i++) {
            steps[i] = changes[i % 2]->step[i / 2];
            steps[i].channel = i % 2;
            play.key[i % 2] = weir_key_of(1, "key", NULL);
            assert_int_equal(weir_key_resolve(&play.key[i % 2], item_schema()), 0);
        }
        play.steps = steps;
        play.step_cnt = 2 * CHANGE_BATCH_CNT;
        check_restarts(&play, seed + s, 6, rescales);
        changes_free(changes[0]);
        changes_free(changes[1]);
    }
}

static void
t_joins_go_on_after_a_restart(void **state)
{
    (void)state;
    restarts(false);
}

static void
t_joins_go_on_with_other_subtasks(void **state)
{
    (void)state;
    restarts(true);
}

/* ---- what is refused ---- */

static bool
same_all(const struct weir_join_pair *a, const struct weir_join_pair *b)
{
    return a->left == b->left;
}

static void
t_joins_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const struct weir_join_conf confs[] = {
        {.join = &meet_join, .semi = true, .anti = true},
        {.join = &meet_join, .semi = true, .outer = WEIR_JOIN_OUTER_LEFT},
        {.join = &meet_join, .ttl_ms = 5, .outer = WEIR_JOIN_OUTER_RIGHT},
        {.join = &meet_join, .ttl_ms = -5},
        {.join = &meet_join, .semi = true, .same = same_all},
    };
    static const char *const why[] = {"not two of them", "not two of them", "only pairs may",
        "live for -5 ms", "do not count as one"};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(confs); i++) {
        struct weir_joining joining;
        char text[512];
        assert_int_equal(weir_joining_init(&joining, &confs[i]), WEIR_EGRAPH);
        weir_err_save(text, sizeof text);
        assert_non_null(strstr(text, why[i]));
        weir_err_clear();
    }
}

static void
t_rows_that_are_too_long_are_refused(void **state)
{
    (void)state;
    static struct {
        struct item row;
        char text[WEIR_ROW_PACK_BYTES_MAX];
    } long_one;
    struct set_up set_up;
    make_mode(&set_up, INNER);
    memset(long_one.text, 'x', sizeof long_one.text);
    long_one.row.name = weir_str_ref((const char *)&long_one, long_one.text, sizeof long_one.text);
    struct harness *h = harness_new(&set_up.harness);
    assert_int_equal(harness_try_push(h, 1, &long_one.row, 1), WEIR_EDATA);
    weir_err_clear();
    harness_free(h);
}

/* State of another kind of join is not taken for that of this one, whichever side finds it. */
static void
t_state_of_another_join_is_refused(void **state)
{
    (void)state;
    const struct item row = {.key = 1, .value = 5};
    for (uint32_t side = 0; side < 2; side++) {
        struct set_up set_up;
        struct restart_left left;
        struct harness *h = open_mode(&set_up, LEFT);
        harness_push(h, 0, &row, 1);
        restart_leave(h, &left);
        harness_free(h);
        make_mode(&set_up, INNER);
        assert_int_equal(restart_come(&set_up.harness, &left, 1, false, &h), 0);
        assert_int_equal(harness_try_push(h, side, &row, 1), WEIR_ESTATE);
        weir_err_clear();
        harness_free(h);
        restart_left_free(&left);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_joins_of_inserts_are_those_of_the_rows),
        cmocka_unit_test(t_joins_of_changes_are_those_of_the_rows_that_are_left),
        cmocka_unit_test(t_joins_of_keys_on_disk_are_the_same),
        cmocka_unit_test(t_retractions_that_come_early_are_made_up_for),
        cmocka_unit_test(t_rows_told_alone_are_taken_back_when_a_partner_comes),
        cmocka_unit_test(t_pairs_of_inner_joins_have_the_kind_of_what_they_come_of),
        cmocka_unit_test(t_semi_and_anti_joins_tell_left_rows_with_and_without_partners),
        cmocka_unit_test(t_rows_of_many_partners_are_told_in_pieces),
        cmocka_unit_test(t_the_time_of_a_pair_is_one_that_it_is_taken_back_with),
        cmocka_unit_test(t_rows_are_forgotten_after_their_time_to_live),
        cmocka_unit_test(t_rows_may_go_while_they_are_met),
        cmocka_unit_test(t_joins_go_on_after_a_restart),
        cmocka_unit_test(t_joins_go_on_with_other_subtasks),
        cmocka_unit_test(t_joins_that_cannot_be_are_refused),
        cmocka_unit_test(t_rows_that_are_too_long_are_refused),
        cmocka_unit_test(t_state_of_another_join_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
