/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/restart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/blob.h"
#include "dataplane/keyed.h"
#include "dataplane/state.h"
#include "tests/unit/savepoint_stream.h"
#include "tests/unit/test.h"

/* ---- leaving ---- */

static void *
new_bytes(size_t bytes)
{
    void *mem = calloc(1, bytes + 8);
    assert_non_null(mem);
    return mem;
}

void
restart_leave(struct harness *h, struct restart_left *left)
{
    struct weir_operator *op = harness_operator(h);
    struct weir_parts_writer writer;
    const struct weir_arena *arena = &h->arena;
    int rc = WEIR_DONE;
    memset(left, 0, sizeof *left);
    do {
        rc = op->type->barrier != NULL ? op->type->barrier(op, 1, NULL, 0) : WEIR_DONE;
    } while (rc == WEIR_AGAIN || rc == WEIR_WAIT);
    assert_int_equal(rc, WEIR_DONE);
    left->parts = new_bytes(RESTART_PARTS_BYTES);
    weir_parts_writer_init(&writer, left->parts, RESTART_PARTS_BYTES);
    weir_parts_writer_of(&writer, op->uid);
    if (op->type->snapshot != NULL) {
        assert_int_equal(op->type->snapshot(op, 1, &writer), 0);
    }
    assert_int_equal(weir_parts_finish(&writer, &left->parts_bytes), 0);
    do {
        rc = op->type->precommit != NULL ? op->type->precommit(op, 1) : WEIR_DONE;
    } while (rc == WEIR_WAIT);
    assert_int_equal(rc, WEIR_DONE);
    left->page_cnt = arena->page_fresh;
    left->pages = new_bytes((size_t)left->page_cnt * WEIR_PAGE_BYTES);
    memcpy(left->pages, arena->base, (size_t)left->page_cnt * WEIR_PAGE_BYTES);
    left->table_cnt = arena->table_fresh;
    left->tables = new_bytes(left->table_cnt * sizeof *left->tables);
    for (uint32_t i = 0; i < left->table_cnt; i++) {
        const struct weir_table *table = weir_table_at(arena, i);
        if (table != NULL) {
            left->tables[i] = *table;
        }
    }
}

void
restart_left_free(struct restart_left *left)
{
    free(left->parts);
    free(left->pages);
    free(left->tables);
    memset(left, 0, sizeof *left);
}

/* ---- pages ---- */

/* Where the pages of one old arena have come to. */
struct moved {
    struct weir_arena *arena;
    uint32_t by; /* references */
};

static uint32_t
moved_ref(void *arg, uint32_t ref)
{
    const struct moved *moved = arg;
    return ref != 0 ? ref + moved->by : 0;
}

static uint32_t
moved_blob(void *arg, uint32_t ref)
{
    const struct moved *moved = arg;
    uint32_t first = moved_ref(arg, ref);
    for (uint32_t at = first; at != 0;) {
        struct weir_blob *blob = weir_arena_ptr(moved->arena, at);
        blob->next = moved_ref(arg, blob->next);
        at = blob->next;
    }
    return first;
}

static void
bucket_rename(struct weir_bucket *bucket, const uint32_t *new_idx)
{
    bucket->table_idx = new_idx[bucket->table_idx];
}

/* A page of an old arena in its new place; pages that are not wanted are free ones. */
static void
page_put(const struct harness *h, char *page, const uint32_t *new_idx)
{
    struct weir_slab *slab = (struct weir_slab *)(void *)page;
    const struct weir_keygroup_range *groups = &h->arena.spec.groups;
    bool is_wanted =
        slab->key_group >= groups->first && slab->key_group < groups->first + groups->cnt &&
        slab->kind != WEIR_PAGE_INDEX && slab->kind != WEIR_PAGE_NAMES; /* those are made anew */
    if (!is_wanted) {
        memset(page, 0, WEIR_PAGE_BYTES);
        return;
    }
    if (slab->kind == WEIR_PAGE_BUCKET) {
        bucket_rename((struct weir_bucket *)(void *)page, new_idx);
    }
    uint32_t bytes = weir_arena_class_bytes(slab->class_idx);
    for (uint32_t i = 0; slab->kind == WEIR_PAGE_SMALL && i < WEIR_ARENA_BODY_BYTES / bytes; i++) {
        if ((slab->used[i / 64] >> (i & 63) & 1) != 0) {
            bucket_rename(
                (struct weir_bucket *)(void *)(page + WEIR_LINE_BYTES + (size_t)i * bytes),
                new_idx);
        }
    }
}

static uint32_t
table_like(struct weir_arena *arena, const struct restart_left *left, const struct weir_table *old)
{
    const struct weir_table_name *name =
        (const void *)(left->pages + (size_t)old->name * WEIR_ARENA_REF_BYTES);
    struct weir_table *table = NULL;
    uint32_t at = 0;
    do {
        table = weir_state_next(arena, old->spec.state_id, &at);
    } while (table != NULL && table->ns != old->ns);
    if (table == NULL) {
        assert_int_equal(weir_table_take(arena, &old->spec, old->ns, &table), 0);
        weir_table_owner_set(table, name->owner);
    }
    return table->table_idx;
}

static void
pages_put(struct harness *h, const struct restart_left *left, uint32_t shift)
{
    struct weir_arena *arena = &h->arena;
    uint32_t *new_idx = new_bytes(left->table_cnt * sizeof *new_idx);
    char *to = arena->base + (size_t)(shift + 1) * WEIR_PAGE_BYTES;
    assert_true(shift + left->page_cnt <= arena->page_cnt);
    memcpy(to, left->pages + WEIR_PAGE_BYTES, (size_t)(left->page_cnt - 1) * WEIR_PAGE_BYTES);
    arena->page_fresh = shift + left->page_cnt;
    for (uint32_t i = 0; i < left->table_cnt; i++) {
        if (left->tables[i].is_taken) {
            new_idx[i] = table_like(arena, left, &left->tables[i]);
        }
    }
    for (uint32_t page = 1; page < left->page_cnt; page++, to += WEIR_PAGE_BYTES) {
        page_put(h, to, new_idx);
    }
    free(new_idx);
}

/* Write the references of values anew that came in pages [shift + 1, end). */
static void
values_move(struct harness *h, const struct weir_operator *op, uint32_t shift, uint32_t end)
{
    struct moved moved = {&h->arena, shift * WEIR_ARENA_PAGE_REFS};
    const struct weir_state_mover mover = {moved_ref, moved_blob, &moved};
    const struct weir_state_owner owner = {op->uid, op->type, op->conf};
    for (uint32_t i = 0; i < h->arena.table_fresh; i++) {
        const struct weir_table *table = weir_table_at(&h->arena, i);
        struct weir_table_cursor cursor = {0, 0, 0};
        void *val;
        if (table == NULL) {
            continue;
        }
        const struct weir_state_desc *desc = weir_state_desc_of(&owner, table->spec.state_id);
        assert_non_null(desc);
        while (weir_table_scan(table, &cursor, 1, NULL, &val) > 0) {
            size_t page = (size_t)((char *)val - h->arena.base) / WEIR_PAGE_BYTES;
            if (desc->move != NULL && page > shift && page < end) {
                assert_int_equal(desc->move(op, table, &mover, val), 0);
            }
        }
    }
}

/* ---- coming ---- */

/* An operator as it is before open. */
struct coming {
    const struct restart_left *left;
    uint32_t left_cnt;
    bool moves;
};

static void
before_open(struct harness *h, void *arg)
{
    const struct coming *coming = arg;
    struct weir_operator *op = harness_operator(h);
    uint32_t at[RESTART_SUBTASK_CNT_MAX];
    for (uint32_t i = 0; i < coming->left_cnt; i++) {
        at[i] = i > 0 ? h->arena.page_fresh - 1 : coming->moves ? 3 : 0;
        pages_put(h, &coming->left[i], at[i]);
    }
    assert_int_equal(weir_table_rebuild(&h->arena), 0);
    for (uint32_t i = 0; i < coming->left_cnt; i++) {
        values_move(h, op, at[i], at[i] + coming->left[i].page_cnt);
    }
}

int
restart_come(const struct harness_conf *conf, const struct restart_left *left, uint32_t left_cnt,
    bool moves, struct harness **ret)
{
    struct weir_parts_reader readers[RESTART_SUBTASK_CNT_MAX];
    struct coming coming = {left, left_cnt, moves};
    struct harness_conf with = *conf;
    uint32_t own = conf->subtask_idx;
    if (!moves) { /* its own arena, and nothing else */
        coming.left = &left[own];
        coming.left_cnt = 1;
    }
    with.before_open = before_open;
    with.before_open_arg = &coming;
    struct harness *h = NULL;
    int rc = harness_try(&with, &h);
    if (rc < 0) {
        return rc;
    }
    struct weir_operator *op = harness_operator(h);
    for (uint32_t i = 0; i < left_cnt && rc == 0; i++) {
        rc = weir_parts_reader_init(&readers[i], left[i].parts, left[i].parts_bytes);
        weir_parts_reader_of(&readers[i], op->uid);
    }
    if (rc == 0 && op->type->restore != NULL) {
        rc = op->type->restore(op, readers, left_cnt);
    }
    if (rc < 0) {
        harness_free(h);
        return rc;
    }
    *ret = h;
    return 0;
}

/* ---- savepoints ---- */

void
restart_savepoint(struct harness *const *h, uint32_t cnt, struct stream *stream)
{
    struct weir_savepoint_task tasks[RESTART_SUBTASK_CNT_MAX];
    struct weir_operator *ops[RESTART_SUBTASK_CNT_MAX];
    struct restart_left left[RESTART_SUBTASK_CNT_MAX];
    struct weir_parts_reader parts[RESTART_SUBTASK_CNT_MAX];
    const struct weir_savepoint_spec spec = {.job = "restart", .tasks = tasks, .task_cnt = cnt};
    for (uint32_t i = 0; i < cnt; i++) {
        restart_leave(h[i], &left[i]);
        assert_int_equal(weir_parts_reader_init(&parts[i], left[i].parts, left[i].parts_bytes), 0);
        ops[i] = harness_operator(h[i]);
        tasks[i] = (struct weir_savepoint_task){
            .arena = &h[i]->arena, .parts = &parts[i], .ops = &ops[i], .op_cnt = 1, .subtask = i};
    }
    int err = stream_write(&spec, cnt, 1, stream);
    if (err < 0) {
        weir_err_print(stderr, err);
    }
    assert_int_equal(err, 0);
    for (uint32_t i = 0; i < cnt; i++) {
        restart_left_free(&left[i]);
    }
}

struct coming_back {
    const struct stream *stream;
    struct weir_savepoint_reader *reader;
    int err;
};

static void
load_before_open(struct harness *h, void *arg)
{
    struct coming_back *coming = arg;
    struct weir_operator *op = harness_operator(h);
    uint32_t max = h->arena.spec.max_parallelism;
    struct stream_load to = {
        .arena = &h->arena, .ops = {.ops = &op, .parallelism_max = &max, .op_cnt = 1}};
    coming->err = stream_load(coming->stream, &to, max, &coming->reader);
}

int
restart_come_back(
    const struct harness_conf *conf, const struct stream *stream, struct harness **ret)
{
    struct coming_back coming = {stream, NULL, 0};
    struct harness_conf with = *conf;
    struct harness *h = NULL;
    struct weir_parts_reader *readers = NULL;
    uint32_t cnt = 0;
    with.before_open = load_before_open;
    with.before_open_arg = &coming;
    int rc = harness_try(&with, &h);
    rc = coming.err < 0 ? coming.err : rc;
    if (rc == 0) {
        struct weir_operator *op = harness_operator(h);
        rc = weir_savepoint_parts(
            weir_savepoint_reader_catalogue(coming.reader), op->uid, &readers, &cnt);
        if (rc == 0 && op->type->restore != NULL) {
            rc = op->type->restore(op, readers, cnt);
        }
    }
    free(readers);
    weir_savepoint_reader_close(coming.reader);
    if (rc < 0) {
        if (h != NULL) {
            harness_free(h);
        }
        return rc;
    }
    *ret = h;
    return 0;
}

/* ---- text ---- */

struct text {
    char *text;
    size_t bytes;
    size_t cap;
};

static void
text_add(struct text *text, const void *data, size_t bytes)
{
    if (text->bytes + bytes + 1 > text->cap) {
        text->cap = text->cap * 2 + bytes + 4096;
        text->text = realloc(text->text, text->cap);
        assert_non_null(text->text);
    }
    if (bytes > 0) {
        memcpy(text->text + text->bytes, data, bytes);
    }
    text->bytes += bytes;
    text->text[text->bytes] = '\0';
}

static void
text_field(struct text *text, const struct harness *h, uint32_t output, const char *row,
    const struct weir_field *field)
{
    char number[32];
    int64_t value = 0;
    if (field->type == WEIR_TYPE_STR) {
        struct weir_slice slice =
            harness_text(h, output, (const struct weir_str *)(const void *)(row + field->off));
        text_add(text, slice.ptr, slice.bytes);
    } else {
        memcpy(&value, row + field->off, field->bytes);
        int bytes = snprintf(number, sizeof number, "%lld", (long long)value);
        text_add(text, number, (size_t)bytes);
    }
    text_add(text, ",", 1);
}

static void
text_rows(struct text *text, const struct harness *h, uint32_t output)
{
    const struct harness_out *out = &h->out[output];
    for (uint32_t i = 0; i < out->row_cnt; i++) {
        char number[2] = {(char)('0' + output), ':'};
        text_add(text, number, sizeof number);
        if (h->conf.has_kind) {
            const char kind = (char)('0' + out->row_kind[i]);
            text_add(text, &kind, 1);
        }
        for (uint32_t f = 0; f < out->schema->field_cnt; f++) {
            text_field(text, h, output, harness_row(h, output, i), &out->schema->fields[f]);
        }
        text_add(text, "\n", 1);
    }
}

static int
line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a text in order. */
static char *
sorted(char *text)
{
    size_t cnt = 0;
    for (const char *at = text; *at != '\0'; at++) {
        cnt += *at == '\n';
    }
    char **lines = new_bytes((cnt + 1) * sizeof *lines);
    char *copy = strdup(text);
    size_t n = 0;
    for (char *save = NULL, *at = strtok_r(copy, "\n", &save); at != NULL;
         at = strtok_r(NULL, "\n", &save)) {
        lines[n++] = at;
    }
    qsort(lines, n, sizeof *lines, line_order);
    struct text to = {NULL, 0, 0};
    text_add(&to, "", 0);
    for (size_t i = 0; i < n; i++) {
        text_add(&to, lines[i], strlen(lines[i]));
        text_add(&to, "\n", 1);
    }
    free(lines);
    free(copy);
    free(text);
    return to.text;
}

/* ---- playing ---- */

struct cast {
    const struct restart_play *play;
    struct harness *h[RESTART_SUBTASK_CNT_MAX];
    uint32_t cnt;
    int64_t watermark[WEIR_CHAIN_EDGE_CNT_MAX];
    int64_t now_ns;
    /* by output, so that rows stand behind those from before a cut */
    struct text text[WEIR_OPERATOR_OUTPUT_CNT_MAX];
};

static struct harness_conf
conf_of(const struct restart_play *play, uint32_t idx, uint32_t cnt)
{
    struct harness_conf conf = play->conf;
    conf.subtask_idx = idx;
    conf.subtask_cnt = cnt;
    return conf;
}

static uint32_t
max_of(const struct restart_play *play)
{
    return play->conf.max_parallelism != 0 ? play->conf.max_parallelism : 128;
}

/* Which subtask each row is for. */
static void
owners(const struct cast *cast, const struct restart_step *step, uint32_t *ret_owner)
{
    static struct weir_keyed_rows rows;
    const struct restart_play *play = cast->play;
    uint32_t input = play->conf.channel_input[step->channel];
    const struct weir_schema *schema = play->conf.in_schema[input];
    struct weir_view view = harness_view_of(schema, step->rows, step->cnt);
    struct weir_keyed keyed;
    if (play->key[input].field_cnt == 0 || cast->cnt == 1) {
        for (uint32_t i = 0; i < step->cnt; i++) {
            ret_owner[i] = i % cast->cnt;
        }
        return;
    }
    assert_int_equal(weir_keyed_init(&keyed, &play->key[input], schema, NULL), 0);
    for (uint32_t at = 0; at < step->cnt;) {
        uint32_t cnt = weir_min_u32(step->cnt - at, WEIR_KEYED_ROW_CNT_MAX);
        int got = weir_keyed_load(&keyed, &view, at, cnt, &rows);
        assert_true(got > 0);
        for (uint32_t i = 0; i < (uint32_t)got; i++) {
            uint32_t group = weir_hash_key_group(rows.hash[i], max_of(play));
            ret_owner[at + i] = weir_keygroup_owner(group, cast->cnt, max_of(play));
        }
        at += (uint32_t)got;
    }
    weir_keyed_rows_fini(&rows);
    memset(&rows, 0, sizeof rows);
}

static void
do_step(struct cast *cast, const struct restart_step *step)
{
    if (step->cnt == 0 && step->now_ns != 0) {
        for (uint32_t s = 0; s < cast->cnt; s++) {
            harness_time(cast->h[s], step->now_ns);
        }
        cast->now_ns = step->now_ns;
        return;
    }
    if (step->cnt == 0) {
        for (uint32_t s = 0; s < cast->cnt; s++) {
            harness_watermark(cast->h[s], step->channel, step->watermark);
        }
        cast->watermark[step->channel] = step->watermark;
        return;
    }
    uint32_t *owner = new_bytes(step->cnt * sizeof *owner);
    uint16_t *sel = new_bytes(step->cnt * sizeof *sel);
    uint32_t input = cast->play->conf.channel_input[step->channel];
    const struct weir_schema *schema = cast->play->conf.in_schema[input];
    owners(cast, step, owner);
    for (uint32_t s = 0; s < cast->cnt; s++) {
        struct weir_view view = harness_view_of(schema, step->rows, step->cnt);
        uint32_t n = 0;
        for (uint32_t i = 0; i < step->cnt; i++) {
            if (owner[i] == s || cast->play->broadcasts[input]) {
                sel[n++] = (uint16_t)i;
            }
        }
        view.kind = (const char *)step->kinds;
        view.kind_stride = 1;
        view.sel = n < step->cnt ? sel : NULL;
        view.cnt = n;
        if (n > 0) {
            harness_push_view(cast->h[s], step->channel, &view);
        }
    }
    free(owner);
    free(sel);
}

static void
take_rows(struct cast *cast)
{
    for (uint32_t s = 0; s < cast->cnt; s++) {
        for (uint32_t o = 0; o < cast->play->conf.type->output_cnt; o++) {
            text_rows(&cast->text[o], cast->h[s], o);
        }
        harness_clear(cast->h[s]);
    }
}

/* What those who go leave behind. */
struct estate {
    struct restart_left left[RESTART_SUBTASK_CNT_MAX];
    struct stream stream; /* by_savepoint */
    uint32_t cnt;
};

static void
others_come(struct cast *cast, const struct estate *estate, uint32_t cnt)
{
    for (uint32_t s = 0; s < cnt; s++) {
        struct harness_conf conf = conf_of(cast->play, s, cnt);
        bool moves = cnt != estate->cnt || (cnt == 1 && cast->play->always_moves);
        int rc = cast->play->by_savepoint
                     ? restart_come_back(&conf, &estate->stream, &cast->h[s])
                     : restart_come(&conf, estate->left, estate->cnt, moves, &cast->h[s]);
        if (rc < 0) {
            weir_err_print(stderr, rc);
        }
        assert_int_equal(rc, 0);
        cast->cnt = s + 1;
    }
}

/* Who has come back would leave the same parts again. */
static void
check_same(struct harness *h, const struct restart_left *left)
{
    struct restart_left again;
    restart_leave(h, &again);
    assert_int_equal(again.parts_bytes, left->parts_bytes);
    assert_memory_equal(again.parts, left->parts, left->parts_bytes);
    restart_left_free(&again);
}

/* All go, and others come. */
static void
change(struct cast *cast, uint32_t cnt)
{
    struct estate estate = {.cnt = cast->cnt};
    bool is_same = cnt == cast->cnt && !cast->play->by_savepoint;
    take_rows(cast);
    if (cast->play->by_savepoint) {
        restart_savepoint(cast->h, cast->cnt, &estate.stream);
    }
    for (uint32_t s = 0; s < estate.cnt; s++) {
        restart_leave(cast->h[s], &estate.left[s]);
        harness_free(cast->h[s]);
    }
    cast->cnt = 0;
    others_come(cast, &estate, cnt);
    for (uint32_t s = 0; s < cast->cnt && is_same; s++) {
        check_same(cast->h[s], &estate.left[s]);
    }
    for (uint32_t s = 0; s < cast->cnt; s++) {
        cast->h[s]->now_ns = cast->now_ns;
        for (uint32_t c = 0; c < cast->h[s]->conf.channel_cnt; c++) {
            if (cast->watermark[c] != WEIR_TIME_MIN) {
                harness_watermark(cast->h[s], c, cast->watermark[c]);
            }
        }
    }
    for (uint32_t s = 0; s < estate.cnt; s++) {
        restart_left_free(&estate.left[s]);
    }
    stream_free(&estate.stream);
}

static void
check_empty(const struct restart_play *play, const struct harness *h)
{
    const struct weir_arena *arena = &h->arena;
    for (uint32_t page = 1; page < arena->page_fresh; page++) {
        const struct weir_slab *slab = weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
        assert_int_not_equal(slab->kind, WEIR_PAGE_BLOB);
    }
    assert_int_equal(arena->table_cnt, play->ends_tables);
    assert_true(play->ends_tables > 0 || weir_arena_used_bytes(arena) == 0);
}

char *
restart_run(
    const struct restart_play *play, const uint32_t *cut, const uint32_t *cnt, uint32_t cut_cnt)
{
    struct cast *cast = new_bytes(sizeof *cast);
    uint32_t at = 0;
    cast->play = play;
    cast->cnt = cnt[0];
    text_add(&cast->text[0], "", 0);
    for (uint32_t c = 0; c < WEIR_CHAIN_EDGE_CNT_MAX; c++) {
        cast->watermark[c] = WEIR_TIME_MIN;
    }
    for (uint32_t s = 0; s < cast->cnt; s++) {
        struct harness_conf conf = conf_of(play, s, cast->cnt);
        cast->h[s] = harness_new(&conf);
    }
    for (uint32_t i = 0; i < play->step_cnt; i++) {
        for (; at < cut_cnt && cut[at] == i; at++) {
            change(cast, cnt[at + 1]);
        }
        do_step(cast, &play->steps[i]);
    }
    take_rows(cast);
    for (uint32_t s = 0; s < cast->cnt; s++) {
        if (play->ends_empty) {
            check_empty(play, cast->h[s]);
        }
        harness_free(cast->h[s]);
    }
    for (uint32_t o = 1; o < WEIR_OPERATOR_OUTPUT_CNT_MAX; o++) {
        text_add(&cast->text[0], cast->text[o].text, cast->text[o].bytes);
        free(cast->text[o].text);
    }
    char *text = cast->text[0].text;
    free(cast);
    return play->is_sorted ? sorted(text) : text;
}

char *
restart_text(const struct restart_play *play, uint32_t cnt)
{
    return restart_run(play, NULL, &cnt, 0);
}
