/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kindset.h"

#include <stdlib.h>

#include "dataplane/kindset_priv.h"

/* The owner's word of a table: the type in its upper four bits, sizes and content below. */
#define CONTENT_MASK ((UINT64_C(1) << 60) - 1)

/* The part with the time of the snapshot. */
#define TIME_PART "ttl"

static const char *const type_names[WEIR_KIND_TYPE_CNT] = {
    "value", "list", "map", "reducing", "aggregating", "numbers"};

/* ---- opening ---- */

static int
numbers_check(const struct weir_kind *kind)
{
    const uint32_t word = sizeof(uint64_t);
    if (kind->key_bytes == 0 || kind->key_bytes * word > WEIR_TABLE_VAL_BYTES_MAX ||
        kind->val_bytes == 0 || kind->val_bytes % word != 0 ||
        kind->val_bytes > WEIR_NUMBERS_WORD_CNT_MAX * word || kind->ttl.ms != 0 || kind->has_ns) {
        return weir_err_push(WEIR_EGRAPH,
            "state %s: numbers have 1 to %u maps of 1 to %d words, no time to live and no "
            "namespaces",
            kind->desc[0].name, WEIR_TABLE_VAL_BYTES_MAX / word, WEIR_NUMBERS_WORD_CNT_MAX);
    }
    return 0;
}

static int
kind_check(const struct weir_kind *kind)
{
    const char *name = kind->desc[0].name;
    if (kind->type >= WEIR_KIND_TYPE_CNT || name == NULL || name[0] == '\0') {
        return weir_err_push(WEIR_EGRAPH, "a declared state has no name, or no kind");
    }
    bool is_map = kind->type == WEIR_KIND_TYPE_MAP;
    bool is_sum = kind->type == WEIR_KIND_TYPE_REDUCING || kind->type == WEIR_KIND_TYPE_AGGREGATING;
    if ((uint64_t)kind->key_bytes + kind->val_bytes > WEIR_KIND_BYTES_MAX) {
        return weir_err_push(WEIR_EGRAPH, "state %s: %u bytes are more than the %d that fit", name,
            kind->key_bytes + kind->val_bytes, WEIR_KIND_BYTES_MAX);
    }
    if ((is_sum && kind->val_bytes == 0) || is_map != (kind->desc[1].name != NULL) ||
        kind->ttl.ms < 0) {
        return weir_err_push(WEIR_EGRAPH,
            "state %s: a sum needs a size, a map an index, and a time to live is not negative",
            name);
    }
    return kind->type == WEIR_KIND_TYPE_NUMBERS ? numbers_check(kind) : 0;
}

int
weir_kindset_check(const struct weir_kind *kinds, uint32_t cnt)
{
    if (cnt > WEIR_KIND_CNT_MAX) {
        return weir_err_push(
            WEIR_EGRAPH, "%u states are declared: at most %d", cnt, WEIR_KIND_CNT_MAX);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        int err = kind_check(&kinds[i]);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

uint64_t
weir_kind_shape(const struct weir_kind *kind)
{
    uint64_t sizes = (uint64_t)kind->key_bytes << 32 | kind->val_bytes;
    return (uint64_t)(kind->type + 1) << 60 | (sizes ^ (kind->content & CONTENT_MASK));
}

static int
shape_check(
    const struct weir_operator *op, const struct weir_kind *kind, const struct weir_table *table)
{
    uint64_t was = weir_table_name(table)->owner;
    uint64_t type = (was >> 60) - 1;
    if (was == weir_kind_shape(kind)) {
        return 0;
    }
    if (kind->content != 0) {
        return weir_err_push(WEIR_ESTATE,
            "state %s of operator %s was saved of rows of another schema, in another order, or of "
            "another number of them",
            kind->desc[0].name, op->uid);
    }
    return weir_err_push(WEIR_ESTATE,
        "state %s of operator %s was saved as a %s with keys of %u and values of %u bytes (0: any "
        "length); now it is a %s of %u and %u",
        kind->desc[0].name, op->uid, type < WEIR_KIND_TYPE_CNT ? type_names[type] : "thing unknown",
        (uint32_t)(was >> 32) & UINT32_C(0xfffffff), (uint32_t)was, type_names[kind->type],
        kind->key_bytes, kind->val_bytes);
}

static int
state_open(struct weir_keyed_state *s, const struct weir_operator *op, const struct weir_kind *kind)
{
    bool has_ttl = kind->ttl.ms > 0;
    bool is_numbers = kind->type == WEIR_KIND_TYPE_NUMBERS;
    bool is_items = kind->type == WEIR_KIND_TYPE_LIST || kind->type == WEIR_KIND_TYPE_MAP;
    s->kind = kind;
    s->is_inline = !is_items && !is_numbers && kind->val_bytes > 0 &&
                   kind->val_bytes <= WEIR_KIND_INLINE_BYTES_MAX;
    s->val_off = has_ttl ? sizeof(int64_t) : 0;
    struct weir_table_spec spec = {0, s->set->keyed->kind,
        s->is_inline ? s->val_off + kind->val_bytes : (uint32_t)sizeof(struct kind_head),
        kind->has_ns ? 1 : 0};
    if (is_numbers) {
        spec.val_bytes = kind->key_bytes * (uint32_t)sizeof(struct weir_numbers);
        weir_numbers_kind_init(
            &s->numbers, s->set->arena, kind->val_bytes / (uint32_t)sizeof(uint64_t));
    }
    uint32_t id = weir_state_id(op->uid, kind->desc[0].name);
    uint32_t idx = 0;
    struct weir_table *was = weir_state_next(op->env->arena, id, &idx);
    int err = was != NULL ? shape_check(op, kind, was) : 0;
    err = err < 0 ? err : weir_state_take(op, kind->desc[0].name, &spec, 0, &s->table);
    if (err == 0 && was == NULL) {
        weir_table_owner_set(s->table, weir_kind_shape(kind));
    }
    if (err == 0 && kind->type == WEIR_KIND_TYPE_MAP) {
        spec.val_bytes = sizeof(uint64_t);
        spec.tail_cnt++;
        err = weir_state_take(op, kind->desc[1].name, &spec, 0, &s->index);
    }
    return err;
}

int
weir_kindset_open(struct weir_kindset *set, const struct weir_operator *op,
    const struct weir_keyed *keyed, const struct weir_kind *kinds, uint32_t cnt)
{
    int err = weir_kindset_check(kinds, cnt);
    set->arena = op->env->arena;
    set->keyed = keyed;
    set->word_cnt = keyed->stride / (uint32_t)sizeof(uint64_t);
    set->gone_ms = INT64_MIN;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        set->state[i].set = set;
        err = state_open(&set->state[i], op, &kinds[i]);
        set->cnt += err == 0;
    }
    return err;
}

void
weir_kindset_close(struct weir_kindset *set)
{
    weir_keyed_rows_fini(&set->rows);
}

void
weir_kindset_snapshot(const struct weir_kindset *set, struct weir_parts_writer *parts)
{
    weir_state_put_word(parts, TIME_PART, weir_max_i64(set->now_ms, set->gone_ms));
}

int
weir_kindset_restore(struct weir_kindset *set, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    for (uint32_t i = 0; i < parts_cnt; i++) {
        if (!weir_parts_has(&parts[i], TIME_PART)) {
            return 0; /* no state was declared then */
        }
    }
    return parts_cnt == 0 ? 0
                          : weir_state_word_least(op, parts, parts_cnt, TIME_PART, &set->gone_ms);
}

/* ---- any kind ---- */

int
weir_kind_bytes_check(
    const struct weir_keyed_state *s, struct weir_slice bytes, uint32_t wanted, const char *what)
{
    const char *name = s->kind->desc[0].name;
    if (bytes.ptr == NULL || (wanted != 0 && bytes.bytes != wanted)) {
        return weir_err_push(WEIR_EINVAL, "state %s: %s of %u bytes%s, declared with %u (0: any)",
            name, what, bytes.bytes, bytes.ptr == NULL ? " that is not there" : "", wanted);
    }
    if (bytes.bytes > WEIR_KIND_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "state %s: %s of %u bytes: at most %d can be kept", name,
            what, bytes.bytes, WEIR_KIND_BYTES_MAX);
    }
    return 0;
}

void
weir_state_ns(struct weir_keyed_state *s, uint64_t ns)
{
    WEIR_CHECK(s->kind->has_ns, "state %s has no namespaces", s->kind->desc[0].name);
    s->ns = ns;
}

/* Before its entry goes. */
static void
numbers_clear(const struct weir_keyed_state *s, struct weir_numbers *maps)
{
    weir_table_touch(s->table, maps);
    for (uint32_t m = 0; m < s->kind->key_bytes; m++) {
        weir_numbers_clear(&s->numbers, &maps[m]);
    }
}

void
weir_kindset_tidy(struct weir_kindset *set)
{
    static const struct weir_numbers none[WEIR_TABLE_VAL_BYTES_MAX / sizeof(struct weir_numbers)];
    for (uint32_t i = 0; i < set->cnt; i++) {
        const struct weir_keyed_state *s = &set->state[i];
        const void *maps = s->kind->type == WEIR_KIND_TYPE_NUMBERS ? kind_entry(s) : NULL;
        if (maps != NULL && memcmp(maps, none, s->table->spec.val_bytes) == 0) {
            kind_entry_delete(s);
        }
    }
}

void
weir_state_clear(struct weir_keyed_state *s)
{
    void *entry = kind_entry(s);
    if (entry == NULL) {
        return;
    }
    if (s->kind->type == WEIR_KIND_TYPE_NUMBERS) {
        numbers_clear(s, entry);
    } else if (!s->is_inline) {
        weir_kind_items_drop(s, entry);
    }
    kind_entry_delete(s);
}

const void *
weir_kind_copy(struct weir_keyed_state *s, const void *val, uint32_t bytes)
{
    return memcpy(s->set->scratch, val, bytes);
}

/* ---- values ---- */

static void
check_is_value(const struct weir_keyed_state *s)
{
    WEIR_CHECK(s->kind->type != WEIR_KIND_TYPE_LIST && s->kind->type != WEIR_KIND_TYPE_MAP &&
                   s->kind->type != WEIR_KIND_TYPE_NUMBERS,
        "state %s is a %s", s->kind->desc[0].name, type_names[s->kind->type]);
}

/* Where the time of a value stands. */
static int64_t *
time_of(const struct weir_keyed_state *s, void *entry)
{
    static int64_t none;
    if (!s->is_inline) {
        return &kind_item_at(s, ((struct kind_head *)entry)->first)->time;
    }
    return s->val_off > 0 ? (int64_t *)entry : &none;
}

static char *
val_of(const struct weir_keyed_state *s, void *entry, uint32_t *ret_bytes)
{
    if (s->is_inline) {
        *ret_bytes = s->kind->val_bytes;
        return (char *)entry + s->val_off;
    }
    struct kind_item *item = kind_item_at(s, ((struct kind_head *)entry)->first);
    *ret_bytes = item->val_bytes;
    return kind_item_val(item);
}

/* Written or read now. */
static void
stamp(const struct weir_keyed_state *s, void *entry)
{
    if (s->is_inline && s->val_off == 0) {
        return;
    }
    int64_t *time = time_of(s, entry);
    if (*time != s->set->now_ms) {
        weir_arena_touch(s->set->arena, time, sizeof *time);
        *time = s->set->now_ms;
    }
}

const void *
weir_value_get(struct weir_keyed_state *s, uint32_t *ret_bytes)
{
    check_is_value(s);
    void *entry = kind_entry(s);
    if (entry == NULL) {
        return NULL;
    }
    enum kind_life life = kind_life_of(s, *time_of(s, entry));
    uint32_t bytes;
    const void *val = val_of(s, entry, &bytes);
    if (life != KIND_LIVE) {
        val = life == KIND_EXPIRED ? weir_kind_copy(s, val, bytes) : NULL;
        weir_state_clear(s);
    } else if (s->kind->ttl.on_read) {
        stamp(s, entry);
    }
    if (ret_bytes != NULL) {
        *ret_bytes = bytes;
    }
    return val;
}

static int
item_value_set(struct weir_keyed_state *s, struct weir_slice val)
{
    void *entry;
    bool made;
    int err = kind_entry_make(s, s->table, &entry, &made);
    if (err < 0) {
        return err;
    }
    struct kind_head *head = entry;
    struct kind_item *item = made ? NULL : kind_item_at(s, head->first);
    if (item != NULL && item->val_bytes == val.bytes) {
        weir_arena_touch(s->set->arena, item, (uint32_t)sizeof *item + val.bytes);
        memmove(kind_item_val(item), val.ptr, val.bytes);
        item->time = s->set->now_ms;
        return 0;
    }
    uint32_t old = head->first;
    uint32_t ref;
    const struct weir_slice none = {NULL, 0};
    err = weir_kind_item_add(s, head, none, val, &ref);
    if (err < 0) {
        if (made) {
            kind_entry_delete(s);
        }
        return err;
    }
    if (old != 0) {
        weir_kind_item_drop(s, head, old);
    }
    return 0;
}

int
weir_value_set(struct weir_keyed_state *s, struct weir_slice val)
{
    check_is_value(s);
    int err = weir_kind_bytes_check(s, val, s->kind->val_bytes, "a value");
    if (err < 0) {
        return err;
    }
    if (!s->is_inline) {
        return item_value_set(s, val);
    }
    void *entry;
    bool made;
    err = kind_entry_make(s, s->table, &entry, &made);
    if (err == 0) {
        memmove((char *)entry + s->val_off, val.ptr, val.bytes);
        stamp(s, entry);
    }
    return err;
}

int
weir_value_open(struct weir_keyed_state *s, void **ret_val, bool *ret_made)
{
    check_is_value(s);
    WEIR_CHECK(s->kind->val_bytes > 0, "state %s is of any length", s->kind->desc[0].name);
    void *entry = kind_entry(s);
    bool is_there = entry != NULL && kind_life_of(s, *time_of(s, entry)) != KIND_GONE;
    if (!is_there) {
        static const char zero[WEIR_KIND_BYTES_MAX];
        const struct weir_slice none = {zero, s->kind->val_bytes};
        int err = weir_value_set(s, none);
        if (err < 0) {
            return err;
        }
        entry = kind_entry(s);
    }
    uint32_t bytes;
    char *val = val_of(s, entry, &bytes);
    stamp(s, entry);
    weir_arena_touch(s->set->arena, val, bytes);
    *ret_val = val;
    *ret_made = !is_there;
    return 0;
}

/* ---- namespaces ---- */

/* The value of the current namespace is joined to that of `into`. */
static int
merge_value(struct weir_keyed_state *s, uint64_t into, weir_kind_merge_fn *merge)
{
    uint64_t copy[WEIR_KIND_BYTES_MAX / sizeof(uint64_t) + 1];
    const void *val = weir_value_get(s, NULL);
    if (val == NULL) {
        return 0;
    }
    memcpy(copy, val, s->kind->val_bytes);
    weir_state_clear(s);
    s->ns = into;
    void *to = NULL;
    bool made = false;
    int err = weir_value_open(s, &to, &made);
    if (err == 0 && made) {
        memcpy(to, copy, s->kind->val_bytes);
    } else if (err == 0) {
        merge(to, copy);
    }
    return err;
}

/* The items of the current namespace go behind those of `into`. */
static int
merge_list(struct weir_keyed_state *s, uint64_t into)
{
    void *entry = kind_entry(s);
    if (entry == NULL) {
        return 0;
    }
    struct kind_head from = *(struct kind_head *)entry;
    kind_entry_delete(s);
    s->ns = into;
    bool made;
    int err = kind_entry_make(s, s->table, &entry, &made);
    if (err < 0) {
        return err; /* the job fails: its state is that of the last checkpoint */
    }
    struct kind_head *head = entry;
    if (head->last != 0) {
        kind_item_touch(s, head->last)->next = from.first;
        kind_item_touch(s, from.first)->prev = head->last;
    } else {
        head->first = from.first;
    }
    head->last = from.last;
    head->cnt += from.cnt;
    return 0;
}

int
weir_state_merge(
    struct weir_keyed_state *s, const uint64_t *from, uint32_t cnt, weir_kind_merge_fn *merge)
{
    bool is_list = s->kind->type == WEIR_KIND_TYPE_LIST;
    bool is_sum =
        s->kind->type == WEIR_KIND_TYPE_REDUCING || s->kind->type == WEIR_KIND_TYPE_AGGREGATING;
    WEIR_CHECK(s->kind->has_ns && (is_list || (is_sum && merge != NULL)),
        "state %s is a %s: it cannot be merged so", s->kind->desc[0].name,
        type_names[s->kind->type]);
    uint64_t into = s->ns;
    int err = 0;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        if (from[i] != into) {
            s->ns = from[i];
            err = is_list ? merge_list(s, into) : merge_value(s, into, merge);
        }
    }
    s->ns = into;
    return err;
}
