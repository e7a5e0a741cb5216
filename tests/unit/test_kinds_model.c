/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on states of all kinds, with times to live under a simulated clock, snapshots
 * taken meanwhile, and restores with as many subtasks or others: every answer is that of plain
 * arrays (kinds_ref.h). All in memory; and with a store on disk, a quarter of the keys in
 * memory. */
#include "tests/unit/kinds_maps.h"
#include "tests/unit/kinds_rig.h"

#define KEY_CNT 40
#define KEY_CNT_HERE 3 /* of each subtask, with a store */
#define NS_CNT 4
#define STEP_CNT 15000
#define STORE_STEP_CNT 2000
#define ROUND_CNT 9
#define TTL_MS 300

struct sum {
    int64_t sum;
    int64_t cnt;
    int64_t least;
};

enum {
    FIRST_VALUE = 0,
    FIRST_LIST = 6,
    FIRST_MAP = 10,
    FIRST_SUM = 14,
    FIRST_NUMBERS = 16,
};
#define MAP_CNT 2
/* Of a map: too many for one leaf. */
#define NUMBER_CNT 400

#define SHOWN(on_read, keeps)           \
    {                                   \
        TTL_MS, on_read, true, keeps, 0 \
    }
static struct weir_kind kinds[] = {
    WEIR_KIND_VALUE("plain", struct sum, WEIR_NO_TTL),
    WEIR_KIND_VALUE("timed", int64_t, WEIR_TTL(TTL_MS)),
    {WEIR_KIND_TYPE_VALUE, 0, 700, false, WEIR_TTL_READ(TTL_MS),
        {{"wide", weir_kind_move_items, &weir_kind_item_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    WEIR_KIND_BYTES("bytes", WEIR_TTL(TTL_MS)),
    WEIR_KIND_VALUE("shown", int64_t, SHOWN(false, false)),
    {WEIR_KIND_TYPE_VALUE, 0, sizeof(int64_t), true, SHOWN(true, true),
        {{"kept", NULL, &weir_kind_inline_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    WEIR_KIND_LIST("list", 0, WEIR_NO_TTL),
    WEIR_KIND_LIST("list timed", 16, WEIR_TTL(TTL_MS)),
    WEIR_KIND_LIST("list read", 0, WEIR_TTL_READ(TTL_MS)),
    WEIR_KIND_LIST("list shown", 0, SHOWN(true, false)),
    WEIR_KIND_MAP("map", 8, 16, WEIR_NO_TTL),
    WEIR_KIND_MAP("map timed", 0, 0, WEIR_TTL(TTL_MS)),
    WEIR_KIND_MAP("map read", 8, 0, WEIR_TTL_READ(TTL_MS)),
    WEIR_KIND_MAP("map shown", 8, 8, SHOWN(false, true)),
    WEIR_KIND_REDUCING("reducing", struct sum, WEIR_TTL(TTL_MS)),
    {WEIR_KIND_TYPE_AGGREGATING, 0, sizeof(struct sum), true, WEIR_NO_TTL,
        {{"aggregating", NULL, &weir_kind_inline_values}, WEIR_KIND_NO_DESC}, NULL, 0},
    WEIR_KIND_NUMBERS("numbers", MAP_CNT, 16),
};

WEIR_REDUCING(total, struct sum)
{
    to->sum += val->sum;
    to->cnt += val->cnt;
    to->least = weir_min_i64(to->least, val->least);
}

WEIR_AGGREGATING(mean, int64_t, struct sum)
{
    to->least = to->cnt == 0 ? *in : weir_min_i64(to->least, *in);
    to->sum += *in;
    to->cnt++;
}

struct world {
    struct rig rig;
    struct ref ref;
    struct ref saved; /* at the last snapshot that is whole */
    int64_t saved_at;
    bool has_saved;
    struct weir_rng rng;
    uint64_t step;
    /* while a step runs */
    uint32_t state;
    uint32_t key;
    uint64_t ns;
    struct rig_task *task;
    struct weir_keyed_state *at;
    char bytes[2 * WEIR_KIND_BYTES_MAX];
};

static struct ref_cell *
cell_of(struct world *w)
{
    return ref_cell(&w->ref, w->state, w->key, w->ns);
}

/* Bytes as declared, or any few; now and then many. */
static struct weir_slice
random_bytes(struct world *w, uint32_t declared, char *to)
{
    uint32_t bytes = declared;
    if (declared == 0) {
        bytes = (uint32_t)weir_rng_below(&w->rng, weir_rng_chance(&w->rng, 1, 20) ? 1900 : 40);
    }
    for (uint32_t i = 0; i < bytes; i++) {
        to[i] = (char)weir_rng_u64(&w->rng);
    }
    return weir_bytes(to, bytes);
}

/* A map's key out of some 20. */
static struct weir_slice
map_key(struct world *w, char *to)
{
    uint64_t number = weir_rng_below(&w->rng, 20);
    uint32_t declared = kinds[w->state].key_bytes;
    memset(to, 0, 16);
    memcpy(to, &number, sizeof number);
    return weir_bytes(to, declared != 0 ? declared : 1 + (uint32_t)number % 9);
}

/* ---- values and sums ---- */

static void
look_at_value(struct world *w)
{
    struct ref_cell *c = cell_of(w);
    uint32_t bytes = 0;
    const void *val = weir_value_get(w->at, &bytes);
    if (c->cnt == 0) {
        assert_null(val);
    } else {
        (void)ref_take(&w->ref, c, 0, weir_bytes(val, bytes));
    }
}

static void
set_value(struct world *w)
{
    struct ref_cell *c = cell_of(w);
    struct weir_slice val = random_bytes(w, kinds[w->state].val_bytes, w->bytes);
    assert_int_equal(weir_value_set(w->at, val), 0);
    ref_clear(c);
    ref_add(c, w->rig.now, weir_bytes(NULL, 0), val);
}

/* What is there to go on from, at the plain side. */
static void *
ref_open(struct world *w, bool *ret_made)
{
    struct ref_cell *c = cell_of(w);
    const struct weir_kind *kind = &kinds[w->state];
    static const char zero[WEIR_KIND_BYTES_MAX];
    if (c->cnt > 0 && ref_expired(kind, &c->item[0], w->rig.now) && !kind->ttl.shows_expired) {
        ref_clear(c);
    }
    *ret_made = c->cnt == 0;
    if (c->cnt == 0) {
        ref_add(c, w->rig.now, weir_bytes(NULL, 0), weir_bytes(zero, kind->val_bytes));
    }
    c->item[0].time = w->rig.now;
    return c->item[0].val;
}

static void
open_value(struct world *w)
{
    void *val;
    bool made;
    bool want;
    if (kinds[w->state].val_bytes == 0) {
        return;
    }
    char *ref = ref_open(w, &want);
    assert_int_equal(weir_value_open(w->at, &val, &made), 0);
    assert_true(made == want);
    assert_memory_equal(val, ref, kinds[w->state].val_bytes);
    uint32_t at = (uint32_t)weir_rng_below(&w->rng, kinds[w->state].val_bytes);
    ((char *)val)[at]++;
    ref[at]++;
}

static void
step_value(struct world *w)
{
    switch (weir_rng_below(&w->rng, 8)) {
    case 0:
        weir_state_clear(w->at);
        ref_clear(cell_of(w));
        break;
    case 1:
    case 2:
        set_value(w);
        break;
    case 3:
        open_value(w);
        break;
    default:
        look_at_value(w);
        break;
    }
}

static void
merge_sums(struct world *w)
{
    uint64_t from[NS_CNT] = {0, 1, 2, 3};
    uint64_t into = w->ns;
    assert_int_equal(weir_state_merge(w->at, from, NS_CNT, total_merge), 0);
    for (uint64_t ns = 0; ns < NS_CNT; ns++) {
        w->ns = ns;
        struct ref_cell *c = cell_of(w);
        struct sum copy;
        if (ns == into || c->cnt == 0) {
            continue;
        }
        memcpy(&copy, c->item[0].val, sizeof copy);
        ref_clear(c);
        w->ns = into;
        bool made;
        struct sum *to = ref_open(w, &made);
        if (made) {
            *to = copy;
        } else {
            total_merge(to, &copy);
        }
    }
    w->ns = into;
}

static void
step_sum(struct world *w)
{
    bool is_mean = kinds[w->state].type == WEIR_KIND_TYPE_AGGREGATING;
    int64_t in = weir_rng_between(&w->rng, -50, 50);
    bool made;
    uint64_t what = weir_rng_below(&w->rng, 8);
    if (what == 0) {
        weir_state_clear(w->at);
        ref_clear(cell_of(w));
    } else if (what == 1 && kinds[w->state].has_ns) {
        merge_sums(w);
    } else if (what < 4) {
        look_at_value(w);
    } else if (is_mean) {
        assert_int_equal(mean_add(w->at, &in), 0);
        mean_join(ref_open(w, &made), &in);
    } else {
        struct sum one = {in, 1, in};
        assert_int_equal(total_add(w->at, &one), 0);
        struct sum *to = ref_open(w, &made);
        if (made) {
            *to = one;
        } else {
            total_join(to, &one);
        }
    }
}

/* ---- lists and maps ---- */

/* All elements or entries, in order. */
static void
walk(struct world *w)
{
    struct ref_cell *c = cell_of(w);
    const struct weir_kind *kind = &kinds[w->state];
    bool is_map = kind->type == WEIR_KIND_TYPE_MAP;
    struct weir_kind_cursor cursor;
    uint32_t live = 0;
    uint32_t at = 0;
    weir_kind_begin(w->at, &cursor);
    for (uint32_t left = c->cnt; left > 0; left--) {
        bool stays;
        bool shown = ref_read(&w->ref, c, at, &stays);
        live += stays;
        if (shown) {
            struct weir_slice key;
            uint32_t bytes;
            const void *val = weir_kind_next(&cursor, &key, &bytes);
            assert_non_null(val);
            assert_int_equal(key.bytes, c->item[at].key_bytes);
            assert_memory_equal(key.ptr, c->item[at].key, key.bytes);
            assert_int_equal(bytes, c->item[at].val_bytes);
            assert_memory_equal(val, c->item[at].val, bytes);
        }
        if (!shown || (is_map && !stays)) {
            ref_drop(c, at);
        } else if (is_map && kind->ttl.on_read) {
            ref_youngest(c, at);
        } else {
            at++;
        }
    }
    assert_null(weir_kind_next(&cursor, NULL, NULL));
    if (live == 0 && kind->ttl.ms > 0) {
        ref_clear(c);
    }
    for (uint32_t i = c->cnt; !is_map && kind->ttl.on_read && i-- > 0;) {
        if (ref_expired(kind, &c->item[i], w->rig.now)) {
            ref_drop(c, i);
        }
    }
}

static void
update_list(struct world *w)
{
    struct ref_cell *c = cell_of(w);
    struct weir_slice val[3];
    uint32_t cnt = (uint32_t)weir_rng_below(&w->rng, 4);
    uint32_t used = 0;
    ref_clear(c);
    for (uint32_t i = 0; i < cnt; i++) {
        val[i] = random_bytes(w, kinds[w->state].val_bytes, w->bytes + used);
        used += val[i].bytes;
        ref_add(c, w->rig.now, weir_bytes(NULL, 0), val[i]);
    }
    assert_int_equal(weir_list_update(w->at, val, cnt), 0);
}

/* An element before, or in the place of, one that a walk stands at. */
static void
place_list(struct world *w)
{
    struct ref_cell *c = cell_of(w);
    struct weir_slice val = random_bytes(w, kinds[w->state].val_bytes, w->bytes);
    if (c->cnt == 0) {
        return;
    }
    uint32_t at = (uint32_t)weir_rng_below(&w->rng, c->cnt);
    uint32_t bytes;
    struct weir_kind_cursor cursor;
    weir_list_begin_back(w->at, &cursor);
    for (uint32_t i = c->cnt; i-- > at;) {
        const void *is = weir_list_back(&cursor, &bytes);
        assert_int_equal(bytes, c->item[i].val_bytes);
        assert_memory_equal(is, c->item[i].val, bytes);
    }
    struct weir_kind_cursor further = cursor;
    assert_int_equal(weir_list_back(&further, &bytes) == NULL, at == 0);
    further = cursor;
    assert_int_equal(weir_kind_next(&further, NULL, NULL) == NULL, at + 1 == c->cnt);
    bool is_new = weir_rng_below(&w->rng, 2) == 0;
    int err = is_new ? weir_list_insert(&cursor, val) : weir_list_replace(&cursor, val);
    assert_int_equal(err, 0);
    ref_add(c, w->rig.now, weir_bytes(NULL, 0), val);
    struct ref_item item = c->item[--c->cnt];
    if (!is_new) {
        ref_drop(c, at);
    }
    memmove(&c->item[at + 1], &c->item[at], (c->cnt - at) * sizeof item);
    c->item[at] = item;
    c->cnt++;
}

static void
step_list(struct world *w)
{
    uint64_t what = weir_rng_below(&w->rng, 10);
    if (what == 0) {
        weir_state_clear(w->at);
        ref_clear(cell_of(w));
    } else if (what == 1) {
        update_list(w);
    } else if (what < 7) {
        struct weir_slice val = random_bytes(w, kinds[w->state].val_bytes, w->bytes);
        assert_int_equal(weir_list_add(w->at, val), 0);
        ref_add(cell_of(w), w->rig.now, weir_bytes(NULL, 0), val);
    } else if (what == 7 && kinds[w->state].ttl.ms == 0) {
        place_list(w);
    } else {
        walk(w);
    }
}

static void
put(struct world *w, struct weir_slice key)
{
    struct ref_cell *c = cell_of(w);
    struct weir_slice val = random_bytes(w, kinds[w->state].val_bytes, w->bytes);
    uint32_t at = ref_find(c, key);
    assert_int_equal(weir_map_put(w->at, key, val), 0);
    if (at != UINT32_MAX) {
        ref_drop(c, at);
    }
    ref_add(c, w->rig.now, key, val);
}

static void
get(struct world *w, struct weir_slice key)
{
    struct ref_cell *c = cell_of(w);
    uint32_t at = ref_find(c, key);
    uint32_t bytes = 0;
    const void *val = weir_map_get(w->at, key, &bytes);
    if (at == UINT32_MAX) {
        assert_null(val);
    } else {
        (void)ref_take(&w->ref, c, at, weir_bytes(val, bytes));
    }
}

static void
step_map(struct world *w)
{
    char name[16];
    struct weir_slice key = map_key(w, name);
    struct ref_cell *c = cell_of(w);
    uint64_t what = weir_rng_below(&w->rng, 20);
    if (what == 0) {
        weir_state_clear(w->at);
        ref_clear(c);
    } else if (what < 3) {
        uint32_t at = ref_find(c, key);
        bool timed = kinds[w->state].ttl.ms > 0; /* what has expired may be gone already */
        bool was = weir_map_remove(w->at, key);
        assert_true(was ? at != UINT32_MAX : at == UINT32_MAX || timed);
        if (at != UINT32_MAX) {
            ref_drop(c, at);
        }
    } else if (what < 5) {
        walk(w);
    } else if (what < 6) {
        assert_true(weir_map_is_empty(w->at) == (c->cnt == 0) || kinds[w->state].ttl.ms > 0);
    } else if (what < 12) {
        put(w, key);
    } else {
        get(w, key);
    }
}

/* ---- numbers ---- */

static void
step_number(struct world *w, struct weir_numbers *maps, bool removes)
{
    struct ref_cell *c = cell_of(w);
    const struct weir_numbers_kind *kind = &w->at->numbers;
    uint64_t name[2] = {weir_rng_below(&w->rng, MAP_CNT), weir_rng_below(&w->rng, NUMBER_CNT)};
    uint64_t val[2] = {weir_rng_below(&w->rng, 2), 1 + w->step};
    uint32_t at = ref_find(c, weir_bytes(name, sizeof name));
    struct weir_numbers *map = &maps[name[0]];
    uint64_t *words;
    const uint64_t *found = weir_numbers_find(kind, map, name[1]);
    assert_int_equal(found == NULL, at == UINT32_MAX);
    if (found != NULL) {
        assert_memory_equal(found, c->item[at].val, sizeof val);
        ref_drop(c, at);
    }
    if (removes) {
        if (found != NULL) {
            weir_numbers_remove(kind, map, name[1]);
        }
        return;
    }
    assert_int_equal(weir_numbers_open(kind, map, name[1], &words), 0);
    assert_int_equal(words[1] == 0, found == NULL);
    weir_numbers_touch(kind, words);
    memcpy(words, val, sizeof val);
    ref_add(c, 0, weir_bytes(name, sizeof name), weir_bytes(val, sizeof val));
}

static void
step_numbers(struct world *w)
{
    uint64_t what = weir_rng_below(&w->rng, 12);
    if (what == 0) {
        weir_state_clear(w->at);
        ref_clear(cell_of(w));
        return;
    }
    for (uint64_t left = weir_rng_below(&w->rng, 100); left > 0; left--) {
        step_number(w, rig_maps(w->task, w->state), what < 5);
    }
    weir_kindset_tidy(w->at->set);
}

struct number_walk {
    struct world *w;
    uint64_t map;
    uint32_t cnt;
};

static int
meet_number(void *arg, uint64_t number, const uint64_t *words)
{
    struct number_walk *walk = arg;
    const struct ref_cell *c = cell_of(walk->w);
    const uint64_t name[2] = {walk->map, number};
    uint32_t at = ref_find(c, weir_bytes(name, sizeof name));
    assert_true(at != UINT32_MAX);
    assert_memory_equal(words, c->item[at].val, c->item[at].val_bytes);
    walk->cnt++;
    return 0;
}

static void
walk_numbers(struct world *w)
{
    struct number_walk walk = {w, 0, 0};
    const struct weir_numbers *maps = rig_maps(w->task, w->state);
    for (; walk.map < MAP_CNT; walk.map++) {
        assert_int_equal(
            weir_numbers_each(&w->at->numbers, &maps[walk.map], meet_number, &walk), 0);
    }
    assert_int_equal(walk.cnt, cell_of(w)->cnt);
}

/* ---- steps ---- */

static void
step(struct world *w)
{
    w->step++;
    w->key = (uint32_t)weir_rng_below(&w->rng, KEY_CNT);
    w->state = (uint32_t)weir_rng_below(&w->rng, WEIR_ARRAY_CNT(kinds));
    w->ns = kinds[w->state].has_ns ? weir_rng_below(&w->rng, NS_CNT) : 0;
    if (weir_rng_chance(&w->rng, 1, 4)) {
        w->rig.now += (int64_t)weir_rng_below(&w->rng, 12);
    }
    w->ref.now = w->rig.now;
    struct rig_key key = rig_key(&w->rig, w->key);
    struct rig_task *task = rig_set_key(&w->rig, &key);
    w->task = task;
    w->at = &task->set->state[w->state];
    if (kinds[w->state].has_ns) {
        weir_state_ns(w->at, w->ns);
    }
    if (w->state >= FIRST_NUMBERS) {
        step_numbers(w);
    } else if (w->state >= FIRST_SUM) {
        step_sum(w);
    } else if (w->state >= FIRST_MAP) {
        step_map(w);
    } else if (w->state >= FIRST_LIST) {
        step_list(w);
    } else {
        step_value(w);
    }
    if (weir_rng_chance(&w->rng, 1, 8)) {
        assert_int_equal(weir_kindset_clean(task->set), 0);
    }
}

static void
snapshot(struct world *w)
{
    struct ref then = ref_clone(&w->ref);
    int64_t at = w->rig.now;
    rig_snapshot_begin(&w->rig);
    for (uint32_t i = 0; i < w->rig.cnt;) {
        i += rig_snapshot_step(&w->rig, w->rig.task[i]);
        step(w);
    }
    ref_free(&w->saved);
    w->saved = then;
    w->saved_at = at;
    w->has_saved = true;
}

static void
restore(struct world *w)
{
    uint32_t cnt = 1 + (uint32_t)weir_rng_below(&w->rng, RIG_SUBTASK_CNT_MAX);
    cnt = weir_rng_chance(&w->rng, 1, 3) ? w->rig.cnt : cnt;
    rig_restore(&w->rig, cnt, weir_rng_chance(&w->rng, 1, 2));
    ref_free(&w->ref);
    w->ref = ref_clone(&w->saved);
    ref_gone(&w->ref, w->saved_at);
    w->has_saved = false; /* the tasks begin files of their own */
}

/* All go, and others come from a savepoint of them. */
static void
savepoint(struct world *w)
{
    rig_savepoint(
        &w->rig, 1 + (uint32_t)weir_rng_below(&w->rng, RIG_SUBTASK_CNT_MAX), w->rig.store);
    ref_gone(&w->ref, w->rig.now);
    w->has_saved = false;
}

/* Every cell, once more. */
static void
check_all(struct world *w)
{
    for (w->key = 0; w->key < KEY_CNT; w->key++) {
        struct rig_key key = rig_key(&w->rig, w->key);
        struct rig_task *task = rig_set_key(&w->rig, &key);
        for (w->state = 0; w->state < WEIR_ARRAY_CNT(kinds); w->state++) {
            for (w->ns = 0; w->ns < (kinds[w->state].has_ns ? NS_CNT : 1); w->ns++) {
                w->task = task;
                w->at = &task->set->state[w->state];
                if (kinds[w->state].has_ns) {
                    weir_state_ns(w->at, w->ns);
                }
                if (w->state >= FIRST_NUMBERS) {
                    walk_numbers(w);
                } else if (w->state >= FIRST_LIST && w->state < FIRST_SUM) {
                    walk(w);
                } else {
                    look_at_value(w);
                }
            }
        }
    }
}

/* Nothing that expires is left after a long time of cleaning up alone; and no block of it. */
static void
check_clean(struct world *w)
{
    w->rig.now += 2 * TTL_MS;
    for (uint32_t i = 0; i < w->rig.cnt; i++) {
        struct weir_kindset *set = w->rig.task[i]->set;
        set->now_ms = w->rig.now;
        for (uint32_t n = 0; n < 200; n++) {
            assert_int_equal(weir_kindset_clean(set), 0);
        }
        for (uint32_t s = 0; s < set->cnt; s++) {
            const struct weir_keyed_state *state = &set->state[s];
            if (state->kind->ttl.clean_cnt > 0) {
                assert_int_equal(state->table->entry_cnt, 0);
                assert_true(state->index == NULL || state->index->entry_cnt == 0);
            }
        }
    }
}

/* Namespaces are kept in memory only. */
static void
set_namespaces(bool on)
{
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(kinds); i++) {
        bool has = strcmp(kinds[i].desc[0].name, "kept") == 0 ||
                   strcmp(kinds[i].desc[0].name, "aggregating") == 0;
        kinds[i].has_ns = on && has;
    }
}

/* Returns how often it was restored. */
static uint32_t
run(uint64_t seed, uint32_t key_kind, const struct weir_spill_conf *store, uint64_t step_cnt)
{
    struct world *w = calloc(1, sizeof *w);
    set_namespaces(store == NULL);
    w->rig = (struct rig){.store = store,
        .kinds = kinds,
        .kind_cnt = WEIR_ARRAY_CNT(kinds),
        .key_kind = key_kind,
        .now = 1000};
    w->ref.kinds = kinds;
    weir_rng_init(&w->rng, seed);
    rig_open(&w->rig, 1 + (uint32_t)weir_rng_below(&w->rng, RIG_SUBTASK_CNT_MAX));
    uint32_t restore_cnt = 0;
    while (w->step < step_cnt) {
        step(w);
        if (weir_rng_chance(&w->rng, 1, 400)) {
            snapshot(w);
        }
        if (w->has_saved && weir_rng_chance(&w->rng, 1, 600)) {
            restore(w);
            restore_cnt++;
        }
        if (weir_rng_chance(&w->rng, 1, store == NULL ? 1500 : 900)) {
            savepoint(w);
        }
    }
    assert_true(store == NULL || w->rig.wait_cnt > 0);
    w->ref.now = w->rig.now;
    check_all(w);
    check_clean(w);
    rig_close(&w->rig);
    ref_free(&w->ref);
    ref_free(&w->saved);
    free(w);
    return restore_cnt;
}

static void
t_T300_T304_every_kind_is_as_plain_arrays(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    uint32_t restore_cnt = 0;
    for (uint32_t i = 0; i < ROUND_CNT; i++) {
        restore_cnt += run(seed + i, i % WEIR_KEY_KIND_CNT, NULL, STEP_CNT);
    }
    assert_true(restore_cnt > ROUND_CNT);
}

/* By the helper's thread, and inline as under the seeded poller. */
static void
t_T300_T304_so_it_is_with_a_store(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    uint32_t restore_cnt = 0;
    for (uint32_t i = 0; i < 2 * WEIR_KEY_KIND_CNT; i++) {
        const struct weir_spill_conf store = {.dir = kv_place,
            .kept_cnt = 1,
            .key_max = KEY_CNT_HERE,
            .is_inline = i < WEIR_KEY_KIND_CNT};
        restore_cnt += run(seed + i, i % WEIR_KEY_KIND_CNT, &store, STORE_STEP_CNT);
    }
    assert_true(restore_cnt > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T300_T304_every_kind_is_as_plain_arrays),
        cmocka_unit_test(t_T300_T304_so_it_is_with_a_store),
    };
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
