/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/keyed.h"

#include <stdlib.h>
#include <string.h>

#include "base/ahead.h"
#include "base/hash.h"

/* A packed key is longer than an inline one, so its table stores the hash that it was given. */
#define PACKED_HEAD_BYTES 8
#define PACKED_LENGTH_BYTES 8
WEIR_STATIC_ASSERT(WEIR_HASH_INLINE_BYTES_MAX == WEIR_KEY_TEXT_INLINE_BYTES,
    "the words of a key are those that its hash is of");
WEIR_STATIC_ASSERT(PACKED_HEAD_BYTES + 2 * PACKED_LENGTH_BYTES > WEIR_KEY_TEXT_INLINE_BYTES,
    "two empty strings are a long key");
/* The texts of a block of usual keys; a single longer one has it grow. */
#define TEXT_BYTES_LEAST 65536

int
weir_keyed_init(struct weir_keyed *keyed, const struct weir_key *key,
    const struct weir_schema *schema, const struct weir_arena *arena)
{
    memset(keyed, 0, sizeof *keyed);
    keyed->key = *key;
    int err = weir_key_resolve(&keyed->key, schema);
    if (err < 0) {
        return err;
    }
    const struct weir_key *k = &keyed->key;
    for (uint32_t p = 0; p < k->field_cnt; p++) {
        uint64_t bit = UINT64_C(1) << weir_schema_field(schema, k->field[p]);
        keyed->may_be_null |= k->part[p].nullable ? bit : 0;
    }
    keyed->kind = WEIR_KEY_STR;
    if (!k->has_str && k->field_cnt <= 2) {
        keyed->kind = k->field_cnt == 2 ? WEIR_KEY_16 : WEIR_KEY_8;
    }
    static const uint32_t stride[WEIR_KEY_KIND_CNT] = {8, 16, sizeof(struct weir_key_text)};
    keyed->stride = stride[keyed->kind];
    keyed->is_packed = keyed->kind == WEIR_KEY_STR && k->field_cnt > 1;
    if (arena != NULL) {
        /* The least upper half whose key group is the first one of the range. */
        uint64_t first = (uint64_t)arena->spec.groups.first << 32;
        uint64_t max_parallelism = arena->spec.max_parallelism;
        keyed->hash_all = (first + max_parallelism - 1) / max_parallelism << 32;
    }
    return 0;
}

/* ---- from rows ---- */

/* The hot loops: key and hash in one pass, the selection tested outside. */
static void
load_8(struct weir_lane lane, const uint16_t *sel, uint32_t from, uint32_t cnt,
    struct weir_keyed_rows *rows)
{
    if (sel == NULL) {
        const char *at = lane.ptr + (size_t)lane.stride * from;
        for (uint32_t i = 0; i < cnt; i++, at += lane.stride) {
            uint64_t word;
            memcpy(&word, at, 8);
            rows->word[i] = word;
            rows->hash[i] = weir_hash_u64(word);
        }
        return;
    }
    sel += from;
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t word;
        memcpy(&word, lane.ptr + (size_t)lane.stride * sel[i], 8);
        rows->word[i] = word;
        rows->hash[i] = weir_hash_u64(word);
    }
}

/* The same for keys of two such fields. */
static void
load_16(const struct weir_key *key, const struct weir_view *view, uint32_t from, uint32_t cnt,
    struct weir_keyed_rows *rows)
{
    struct weir_lane first = weir_view_lane(view, key->part[0].off, 8);
    struct weir_lane second = weir_view_lane(view, key->part[1].off, 8);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t row = weir_view_row(view, from + i);
        uint64_t word[2];
        memcpy(&word[0], first.ptr + (size_t)first.stride * row, 8);
        memcpy(&word[1], second.ptr + (size_t)second.stride * row, 8);
        memcpy(&rows->word[2 * i], word, sizeof word);
        rows->hash[i] = weir_hash_join(weir_hash_u64(word[0]), weir_hash_u64(word[1]));
    }
}

/* Other keys of at most 16 bytes: the words as they are, the hashes by the key's own loop. */
static void
load_words(const struct weir_keyed *keyed, const struct weir_view *view, uint32_t from,
    uint32_t cnt, struct weir_keyed_rows *rows)
{
    weir_key_hash(&keyed->key, view, from, cnt, rows->hash);
    for (uint32_t i = 0; i < cnt; i++) {
        weir_key_load(&keyed->key, view, weir_view_row(view, from + i),
            &rows->word[i * (keyed->stride / sizeof(uint64_t))]);
    }
}

/* A text as key i, whose hash is known; it lies in heap if it is long. */
static inline void
set_text_key(struct weir_keyed_rows *rows, uint32_t i, const char *heap, struct weir_slice text)
{
    struct weir_key_text key = weir_key_text_of(heap, text, rows->hash[i]);
    memcpy(&rows->word[WEIR_KEY_TEXT_WORD_CNT * i], &key, sizeof key);
}

/* Keys of strings of at most 20 bytes, without a jump: one by the length would be guessed wrong
 * nearly every second time. Returns how many others there are, the empty one among them; their
 * positions go into ret_other. */
static inline __attribute__((always_inline)) uint32_t
load_usual_strs(struct weir_lane lane, const uint16_t *sel, const char *heap, uint32_t cnt,
    uint64_t *ret_word, uint8_t *ret_other)
{
    uint64_t *word = ret_word;
    uint32_t other_cnt = 0;
    for (uint32_t i = 0; i < cnt; i++, word += WEIR_KEY_TEXT_WORD_CNT) {
        const char *at = lane.ptr + (size_t)lane.stride * (sel != NULL ? sel[i] : i);
        uint64_t first;
        uint64_t off;
        memcpy(&first, at, sizeof first);
        memcpy(&off, at + offsetof(struct weir_str, u), sizeof off);
        uint64_t bytes = (uint32_t)first;
        uint64_t far = (uint64_t)((int64_t)(WEIR_STR_INLINE_BYTES - bytes) >> 63);
        /* Of one inside its row the second word is as it lies. */
        uintptr_t inside = (uintptr_t)at + offsetof(struct weir_str, head);
        const char *text = (const char *)(inside + (((uintptr_t)heap + off - inside) & far));
        uint64_t second;
        uint64_t third;
        memcpy(&second, text + 4, sizeof second);
        memcpy(&third, text + ((bytes - sizeof third) & far), sizeof third);
        third >>= 8 * (WEIR_KEY_TEXT_INLINE_BYTES - bytes) & 63;
        word[2] = third & far;
        word[0] = first;
        __asm__("" ::: "memory"); /* two stores: a vector of both costs more to put together */
        word[1] = second;
        ret_other[other_cnt] = (uint8_t)i;
        other_cnt += bytes - 1 >= WEIR_KEY_TEXT_INLINE_BYTES;
    }
    return other_cnt;
}

/* The hashes of the same, in a loop of its own: together they want more registers than there
 * are. */
static void
hash_usual_strs(const uint64_t *word, uint32_t cnt, uint64_t *ret_hash)
{
    for (uint32_t i = 0; i < cnt; i++, word += WEIR_KEY_TEXT_WORD_CNT) {
        ret_hash[i] = weir_hash_words(word[0], word[1], word[2]);
    }
}

/* Returns whether none is empty or long. */
static bool
load_strs(struct weir_lane lane, const struct weir_view *view, uint32_t from, uint32_t cnt,
    struct weir_keyed_rows *rows)
{
    const char *heap = view->heap;
    const uint16_t *sel = view->sel != NULL ? view->sel + from : NULL;
    uint8_t other[WEIR_KEYED_ROW_CNT_MAX];
    uint32_t other_cnt;
    lane.ptr += sel != NULL ? 0 : (size_t)lane.stride * from;
    if (sel != NULL) {
        other_cnt = load_usual_strs(lane, sel, heap, cnt, rows->word, other);
    } else {
        other_cnt = load_usual_strs(lane, NULL, heap, cnt, rows->word, other);
    }
    hash_usual_strs(rows->word, cnt, rows->hash);
    for (uint32_t o = 0; o < other_cnt; o++) {
        uint32_t i = other[o];
        const char *at = lane.ptr + (size_t)lane.stride * (sel != NULL ? sel[i] : i);
        struct weir_str str;
        memcpy(&str, at, sizeof str);
        struct weir_slice text = weir_str_slice(&str, heap);
        if (text.bytes > 0) { /* what was made of the empty one is right */
            rows->hash[i] = weir_hash_bytes(text.ptr, text.bytes);
            set_text_key(rows, i, heap, text);
        }
    }
    return other_cnt == 0;
}

static uint64_t
packed_bytes(const struct weir_key *key, const struct weir_view *view, uint32_t row)
{
    uint64_t bytes = PACKED_HEAD_BYTES;
    for (uint32_t p = 0; p < key->field_cnt; p++) {
        bytes += PACKED_LENGTH_BYTES;
        if (key->part[p].type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, weir_view_at(view, &key->part[p], row), sizeof str);
            bytes += str.bytes;
        }
    }
    return bytes;
}

static void
pack(const struct weir_key *key, const struct weir_view *view, uint32_t row, char *to)
{
    memset(to, 0, PACKED_HEAD_BYTES);
    to += PACKED_HEAD_BYTES;
    for (uint32_t p = 0; p < key->field_cnt; p++) {
        const char *at = weir_view_at(view, &key->part[p], row);
        if (key->part[p].type != WEIR_TYPE_STR) {
            uint64_t word = weir_key_number(at, key->part[p].bytes);
            memcpy(to, &word, 8);
            to += 8;
            continue;
        }
        struct weir_str str;
        memcpy(&str, at, sizeof str);
        struct weir_slice text = weir_str_slice(&str, view->heap);
        uint64_t bytes = text.bytes;
        memcpy(to, &bytes, PACKED_LENGTH_BYTES);
        memcpy(to + PACKED_LENGTH_BYTES, text.ptr, text.bytes);
        to += PACKED_LENGTH_BYTES + text.bytes;
    }
}

/* Room in rows->text for the key of row i behind the `used` bytes of those before it. 0: none for
 * now; the first one gets it in any case. */
static int
text_room(struct weir_keyed_rows *rows, uint32_t i, uint64_t used, uint64_t bytes)
{
    if (used + bytes <= rows->text_bytes) {
        return 1;
    }
    if (i > 0) {
        return 0;
    }
    uint64_t room = weir_max_u64(bytes, TEXT_BYTES_LEAST);
    weir_keyed_rows_fini(rows);
    rows->text = malloc(room);
    if (rows->text == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%llu bytes for a key", (unsigned long long)room);
    }
    rows->text_bytes = room;
    return 1;
}

void
weir_keyed_rows_fini(struct weir_keyed_rows *rows)
{
    free(rows->text);
    rows->text = NULL;
    rows->text_bytes = 0;
}

static int
load_packed(const struct weir_keyed *keyed, const struct weir_view *view, uint32_t from,
    uint32_t cnt, struct weir_keyed_rows *rows)
{
    uint32_t used = 0;
    uint32_t i = 0;
    weir_key_hash(&keyed->key, view, from, cnt, rows->hash);
    for (; i < cnt; i++) {
        uint32_t row = weir_view_row(view, from + i);
        uint64_t bytes = packed_bytes(&keyed->key, view, row);
        if (bytes > WEIR_TABLE_TEXT_BYTES_MAX) {
            return weir_err_push(WEIR_EDATA, "a key of %llu bytes: at most %llu can be grouped by",
                (unsigned long long)bytes, (unsigned long long)WEIR_TABLE_TEXT_BYTES_MAX);
        }
        int room = text_room(rows, i, used, bytes);
        if (room < 0) {
            return room;
        }
        if (room == 0) {
            break;
        }
        pack(&keyed->key, view, row, rows->text + used);
        struct weir_slice packed = {rows->text + used, (uint32_t)bytes};
        set_text_key(rows, i, rows->text, packed);
        used += (uint32_t)bytes;
    }
    return (int)i;
}

/* A null is no value: its bytes would make it the same key as 0 or an empty text. */
static int
refuse_nulls(
    const struct weir_keyed *keyed, const struct weir_view *view, uint32_t from, uint32_t cnt)
{
    struct weir_lane masks = weir_view_lane(view, 0, sizeof(uint64_t));
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t mask;
        memcpy(&mask, masks.ptr + (size_t)masks.stride * weir_view_row(view, from + i), 8);
        mask &= keyed->may_be_null;
        if (mask != 0) {
            return weir_err_push(WEIR_EDATA,
                "the key field %s of a row of %s is null: leave such rows out before",
                view->schema->fields[__builtin_ctzll(mask)].name, view->schema->name);
        }
    }
    return 0;
}

static void
aim(const struct weir_keyed *keyed, struct weir_keyed_rows *rows, const char *heap, uint32_t cnt)
{
    rows->rows.hash = rows->hash;
    rows->rows.key = (const char *)rows->word;
    rows->rows.heap = heap;
    rows->rows.key_stride = keyed->stride;
    rows->rows.cnt = cnt;
    rows->rows.ret_val = rows->val;
    rows->rows.ret_made = rows->made;
    rows->rows.made_cnt = 0;
    rows->rows.has_usual = false;
}

int
weir_keyed_load(const struct weir_keyed *keyed, const struct weir_view *view, uint32_t from,
    uint32_t cnt, struct weir_keyed_rows *rows)
{
    const struct weir_key *key = &keyed->key;
    const char *heap = view->heap;
    int done = keyed->may_be_null != 0 ? refuse_nulls(keyed, view, from, cnt) : 0;
    if (done < 0) {
        return done;
    }
    done = (int)cnt;
    bool has_usual = false;
    if (key->field_cnt == 0) {
        rows->word[0] = 0;
        rows->hash[0] = keyed->hash_all;
    } else if (keyed->is_packed) {
        done = load_packed(keyed, view, from, cnt, rows);
        if (done < 0) {
            return done;
        }
        heap = rows->text;
    } else if (keyed->kind == WEIR_KEY_8 && key->part[0].bytes == 8) {
        load_8(weir_view_lane(view, key->part[0].off, 8), view->sel, from, cnt, rows);
    } else if (keyed->kind == WEIR_KEY_16 && key->part[0].bytes == 8 && key->part[1].bytes == 8) {
        load_16(key, view, from, cnt, rows);
    } else if (keyed->kind == WEIR_KEY_STR) {
        has_usual = load_strs(
            weir_view_lane(view, key->part[0].off, sizeof(struct weir_str)), view, from, cnt, rows);
    } else {
        load_words(keyed, view, from, cnt, rows);
    }
    aim(keyed, rows, heap, (uint32_t)done);
    rows->rows.has_usual = has_usual;
    return done;
}

/* ---- from another table ---- */

static int
load_texts(const struct weir_table *table, const uint64_t *stored, uint32_t cnt,
    struct weir_keyed_rows *rows)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < cnt; i++, stored += WEIR_KEY_TEXT_WORD_CNT) {
        uint32_t bytes = weir_table_key_bytes(stored);
        rows->hash[i] = weir_table_stored_key_hash(table, stored);
        if (bytes <= WEIR_KEY_TEXT_INLINE_BYTES) {
            memcpy(&rows->word[WEIR_KEY_TEXT_WORD_CNT * i], stored, sizeof(struct weir_key_text));
            continue;
        }
        int room = text_room(rows, i, used, bytes);
        if (room <= 0) {
            return room < 0 ? room : (int)i;
        }
        struct weir_slice text = {rows->text + used, bytes};
        weir_table_key_text(table, stored, rows->text + used);
        set_text_key(rows, i, rows->text, text);
        used += bytes;
    }
    return (int)cnt;
}

int
weir_keyed_load_stored(const struct weir_keyed *keyed, const struct weir_table *table,
    const uint64_t *stored, uint32_t cnt, struct weir_keyed_rows *rows)
{
    int done = (int)cnt;
    if (keyed->key.field_cnt == 0) {
        rows->word[0] = 0;
        rows->hash[0] = keyed->hash_all;
    } else if (keyed->kind == WEIR_KEY_8) {
        for (uint32_t i = 0; i < cnt; i++) {
            rows->word[i] = stored[i];
            rows->hash[i] = weir_hash_u64(stored[i]);
        }
    } else if (keyed->kind == WEIR_KEY_16) {
        for (uint32_t i = 0; i < cnt; i++) {
            rows->word[2 * i] = stored[2 * i];
            rows->word[2 * i + 1] = stored[2 * i + 1];
            rows->hash[i] = weir_table_stored_key_hash(table, &stored[2 * i]);
        }
    } else {
        done = load_texts(table, stored, cnt, rows);
        if (done < 0) {
            return done;
        }
    }
    aim(keyed, rows, rows->text, (uint32_t)done);
    return done;
}

int
weir_keyed_resolve(const struct weir_keyed *keyed, struct weir_table *table,
    struct weir_keyed_rows *rows, uint32_t from)
{
    if (keyed->key.field_cnt > 0) {
        return weir_table_resolve(table, &rows->rows, from);
    }
    bool is_made;
    int err = weir_table_find_or_make(table, &rows->rows, &rows->val[0], &is_made);
    if (err < 0) {
        return err;
    }
    if (is_made) {
        rows->made[rows->rows.made_cnt++] = 0;
    }
    for (uint32_t i = 1; i < rows->rows.cnt; i++) {
        rows->val[i] = rows->val[0];
    }
    return (int)(rows->rows.cnt - from);
}

/* ---- cache ---- */

/* Rows between two looks at whether the cache helps, and calls that it rests for if not: asking in
 * vain costs about a tenth of a lookup. */
#define CACHE_LOOK_ROWS 8192
#define CACHE_REST_CALLS 512

/* The key of a place without a value: one that belongs elsewhere. */
static inline uint64_t
cache_no_key(uint32_t idx)
{
    return idx == 0; /* the place of key 0 is 0, that of key 1 is not */
}

static void
cache_forget(struct weir_keyed_cache *cache, const struct weir_table *table)
{
    memset(cache->at, 0, sizeof cache->at);
    cache->at[0].key = cache_no_key(0);
    cache->table = table;
    cache->moved_cnt = table->moved_cnt;
    cache->epoch = table->arena->epoch;
}

/* Forget the entries of one bucket; a page's worth from its start, which is never too little. */
static void
cache_forget_bucket(struct weir_keyed_cache *cache, uintptr_t bucket)
{
    for (uint32_t i = 0; i < WEIR_KEYED_CACHE_CNT; i++) {
        bool is_in = (uintptr_t)cache->at[i].val - bucket < WEIR_PAGE_BYTES;
        cache->at[i].key = is_in ? cache_no_key(i) : cache->at[i].key;
    }
}

void
weir_keyed_cache_follow(struct weir_keyed_cache *cache)
{
    const struct weir_table *table = cache->table;
    uint32_t cnt = table->moved_cnt - cache->moved_cnt;
    if (cnt > WEIR_TABLE_MOVED_CNT || cache->epoch != table->arena->epoch) {
        cache_forget(cache, table);
        return;
    }
    for (; cnt > 0; cnt--) {
        uint32_t ref = table->moved_ref[(table->moved_cnt - cnt) % WEIR_TABLE_MOVED_CNT];
        cache_forget_bucket(cache, (uintptr_t)weir_arena_ptr(table->arena, ref));
    }
    cache->moved_cnt = table->moved_cnt;
}

bool
weir_keyed_cache_fits(const struct weir_keyed *keyed)
{
    return keyed->kind == WEIR_KEY_8 && keyed->key.field_cnt > 0 && keyed->key.part[0].bytes == 8 &&
           keyed->may_be_null == 0;
}

bool
weir_keyed_cache_serves(
    const struct weir_keyed *keyed, struct weir_keyed_cache *cache, const struct weir_table *table)
{
    if (!weir_keyed_cache_fits(keyed)) {
        return false;
    }
    if (cache->rest_cnt > 0) {
        cache->rest_cnt--;
        return false;
    }
    bool is_again = cache->asked == table;
    cache->asked = table;
    if (!is_again) {
        return false;
    }
    if (cache->table != table) {
        cache_forget(cache, table);
    } else {
        weir_keyed_cache_follow(cache);
    }
    return true;
}

/* ret_val NULL: count the rows. ahead: lines to ask for, one a row, or NULL. Returns how many until
 * a spare place was wanting. */
static inline __attribute__((always_inline)) uint32_t
cache_probe(struct weir_keyed_cache *cache, struct weir_keyed_lane lane, uint32_t cnt,
    struct weir_keyed_spare *spare, void **ret_val, const char *ahead)
{
    spare->cnt = 0;
    uint32_t i;
    for (i = 0; i < cnt; i++) {
        uint64_t key;
        size_t row = lane.sel != NULL ? lane.sel[i] : i;
        memcpy(&key, lane.ptr + lane.stride * row, sizeof key);
        void *val;
        if (WEIR_UNLIKELY(!weir_keyed_cache_at(cache, key, spare, ret_val == NULL, &val))) {
            break;
        }
        if (ret_val != NULL) {
            ret_val[i] = val;
        } else {
            ++*(uint64_t *)val;
        }
        if (ahead != NULL) {
            ahead = weir_ahead_ask(ahead, 1);
        }
    }
    return i;
}

/* Look now and then whether the cache helps. */
void
weir_keyed_cache_note(struct weir_keyed_cache *cache, uint32_t row_cnt, uint32_t miss_cnt)
{
    cache->row_cnt += row_cnt;
    cache->miss_cnt += miss_cnt;
    if (cache->row_cnt >= CACHE_LOOK_ROWS) {
        cache->rest_cnt = cache->miss_cnt > cache->row_cnt / 4 * 3 ? CACHE_REST_CALLS : 0;
        cache->row_cnt = 0;
        cache->miss_cnt = 0;
    }
}

void
weir_keyed_cache_probe(struct weir_keyed_cache *cache, struct weir_keyed_lane lane, uint32_t cnt,
    struct weir_keyed_spare *spare, void **ret_val)
{
    if (lane.sel != NULL) {
        (void)cache_probe(cache, lane, cnt, spare, ret_val, NULL);
    } else {
        (void)cache_probe(cache, lane, cnt, spare, ret_val, NULL);
    }
    weir_keyed_cache_note(cache, cnt, spare->cnt);
}

uint32_t
weir_keyed_cache_count(struct weir_keyed_cache *cache, struct weir_keyed_lane lane, uint32_t cnt,
    struct weir_keyed_spare *spare)
{
    bool is_dense = lane.sel == NULL && lane.stride == sizeof(uint64_t);
    const char *ahead = is_dense ? weir_ahead_take(cnt) : NULL;
    if (lane.sel != NULL) {
        cnt = cache_probe(cache, lane, cnt, spare, NULL, NULL);
    } else if (!is_dense) {
        cnt = cache_probe(cache, lane, cnt, spare, NULL, NULL);
    } else {
        lane.stride = sizeof(uint64_t);
        cnt = ahead != NULL ? cache_probe(cache, lane, cnt, spare, NULL, ahead)
                            : cache_probe(cache, lane, cnt, spare, NULL, NULL);
    }
    weir_keyed_cache_note(cache, cnt, spare->cnt);
    return cnt;
}

void
weir_keyed_cache_load(const struct weir_keyed *keyed, const struct weir_keyed_cache *cache,
    const struct weir_keyed_spare *spare, struct weir_keyed_rows *rows)
{
    for (uint32_t i = 0; i < spare->cnt; i++) {
        rows->word[i] = cache->miss[i];
        rows->hash[i] = weir_hash_u64(cache->miss[i]);
    }
    aim(keyed, rows, rows->text, spare->cnt);
}

void
weir_keyed_cache_settle(struct weir_keyed_cache *cache, const struct weir_keyed_rows *rows)
{
    for (uint32_t i = 0; i < rows->rows.cnt; i++) {
        struct weir_keyed_cached *cached = &cache->at[weir_keyed_cache_idx(rows->word[i])];
        if (cached->key == rows->word[i]) {
            cached->val = rows->val[i];
        }
    }
}

/* ---- back into rows ---- */

int
weir_keyed_match(const struct weir_keyed *keyed, const char *const *as,
    const struct weir_schema *out_schema, const struct weir_field **ret_to)
{
    const struct weir_key *key = &keyed->key;
    for (uint32_t p = 0; p < WEIR_KEY_FIELD_CNT_MAX; p++) {
        ret_to[p] = NULL;
    }
    for (uint32_t p = 0; p < key->field_cnt; p++) {
        int idx = weir_schema_field(out_schema, as[p] != NULL ? as[p] : key->field[p]);
        if (idx < 0) {
            continue;
        }
        const struct weir_field *field = &out_schema->fields[idx];
        const struct weir_field *part = &key->part[p];
        bool is_time = part->type == WEIR_TYPE_TIME && field->type == WEIR_TYPE_TS;
        if (!is_time && (part->type != field->type || part->scale != field->scale)) {
            return weir_err_push(WEIR_EGRAPH, "the key field %s is a %s, but %s of %s is a %s",
                key->field[p], weir_type_name(part->type), field->name, out_schema->name,
                weir_type_name(field->type));
        }
        ret_to[p] = field;
    }
    return 0;
}

uint32_t
weir_keyed_room(
    const struct weir_keyed *keyed, const uint64_t *stored, uint32_t cnt, struct weir_out *out)
{
    const struct weir_view *view = &out->view;
    uint64_t rows_bytes = view->stride != 0 ? (uint64_t)view->row_cnt * view->stride : 0;
    uint64_t floor = view->stride != 0 ? 0 : out->heap_floor;
    uint64_t heap_bytes = 0;
    uint32_t fits = weir_min_u32(cnt, out->row_cap - view->row_cnt);
    uint32_t i = 0;
    if (keyed->kind != WEIR_KEY_STR &&
        rows_bytes + floor + (uint64_t)fits * view->stride <= out->heap_end) {
        i = fits; /* rows of one size, and room for all of them */
    }
    for (; i < fits; i++, stored += keyed->stride / sizeof *stored) {
        uint32_t bytes = keyed->kind == WEIR_KEY_STR ? weir_table_key_bytes(stored) : 0;
        heap_bytes += bytes > WEIR_STR_INLINE_BYTES ? bytes : 0;
        rows_bytes += view->stride;
        if (WEIR_UNLIKELY(rows_bytes + floor + heap_bytes > out->heap_end)) {
            break;
        }
    }
    if (i == 0 && cnt > 0) {
        (void)weir_out_room(out, 1, (uint32_t)heap_bytes);
    }
    return i;
}

static void
put_numbers(const struct weir_field *to, const uint64_t *stored, uint32_t stride, uint32_t cnt,
    struct weir_lane rows)
{
    char *at = rows.ptr + to->off;
    if (WEIR_LIKELY(to->bytes == sizeof *stored)) {
        for (uint32_t i = 0; i < cnt; i++, at += rows.stride, stored += stride) {
            memcpy(at, stored, sizeof *stored);
        }
        return;
    }
    for (uint32_t i = 0; i < cnt; i++, at += rows.stride, stored += stride) {
        memcpy(at, stored, to->bytes);
    }
}

/* A long text into the heap of the output. */
static struct weir_str
put_text(const struct weir_table *table, const uint64_t *stored, const struct weir_keyed_put *put)
{
    struct weir_out *out = put->out;
    uint32_t bytes = weir_table_key_bytes(stored);
    out->heap_end -= bytes;
    char *text = out->base + out->heap_end;
    if (table != NULL) {
        weir_table_key_text(table, stored, text);
    } else {
        struct weir_key_text key;
        memcpy(&key, stored, sizeof key);
        memcpy(text, weir_key_text_slice(&key, put->heap).ptr, bytes);
    }
    return weir_str_ref(out->view.heap, text, bytes);
}

/* Texts of at most WEIR_KEY_TEXT_INLINE_BYTES are copied in pieces that overlap, without a jump:
 * what is short in a row goes nowhere. */
static void
put_texts(const struct weir_table *table, const uint64_t *stored, uint32_t cnt,
    const struct weir_keyed_put *put)
{
    struct weir_out *out = put->out;
    char *at = put->rows.ptr + put->to[0]->off;
    char nowhere[WEIR_KEY_TEXT_INLINE_BYTES];
    for (uint32_t i = 0; i < cnt; i++, at += put->rows.stride, stored += WEIR_KEY_TEXT_WORD_CNT) {
        uint32_t bytes = weir_table_key_bytes(stored);
        if (WEIR_UNLIKELY(bytes > WEIR_KEY_TEXT_INLINE_BYTES)) {
            struct weir_str str = put_text(table, stored, put);
            memcpy(at, &str, sizeof str);
            continue;
        }
        bool is_far = bytes > WEIR_STR_INLINE_BYTES;
        const char *text = (const char *)stored + sizeof bytes;
        uint32_t last = (uint32_t)weir_select(is_far, bytes - 8, 0);
        out->heap_end -= (uint32_t)weir_select(is_far, bytes, 0);
        uintptr_t heap_at = (uintptr_t)out->base + out->heap_end;
        char *to = (char *)weir_select(is_far, heap_at, (uintptr_t)nowhere);
        uint64_t word[2] = {
            stored[0], weir_select(is_far, heap_at - (uintptr_t)out->view.heap, stored[1])};
        memcpy(to, text, 8);
        memcpy(to + 4, text + 4, 8);
        memcpy(to + last, text + last, 8);
        memcpy(at, word, sizeof word);
    }
}

/* The fields of a packed key that lies in the heap of the output: texts stay where they are. */
static void
put_packed(const struct weir_key *key, const struct weir_str *whole,
    const struct weir_keyed_put *put, char *row)
{
    const char *heap = put->out->view.heap;
    uint32_t at = PACKED_HEAD_BYTES;
    for (uint32_t p = 0; p < key->field_cnt; p++) {
        uint64_t word;
        const struct weir_field *to = put->to[p];
        memcpy(&word, heap + whole->u.off + at, sizeof word);
        at += PACKED_LENGTH_BYTES;
        if (key->part[p].type == WEIR_TYPE_STR) {
            struct weir_str text = weir_str_part(whole, heap, at, (uint32_t)word);
            at += (uint32_t)word;
            if (to != NULL) {
                memcpy(row + to->off, &text, sizeof text);
            }
        } else if (to != NULL) {
            memcpy(row + to->off, &word, to->bytes);
        }
    }
}

void
weir_keyed_put_rows(const struct weir_keyed *keyed, const struct weir_table *table,
    const uint64_t *stored, uint32_t cnt, const struct weir_keyed_put *put)
{
    const struct weir_key *key = &keyed->key;
    uint32_t stride = keyed->stride / (uint32_t)sizeof *stored;
    if (keyed->kind != WEIR_KEY_STR) {
        for (uint32_t p = 0; p < key->field_cnt; p++) {
            if (put->to[p] != NULL) {
                put_numbers(put->to[p], stored + p, stride, cnt, put->rows);
            }
        }
    } else if (keyed->is_packed) {
        char *row = put->rows.ptr;
        for (uint32_t i = 0; i < cnt; i++, row += put->rows.stride) {
            struct weir_str whole = put_text(table, stored + (size_t)i * stride, put);
            put_packed(key, &whole, put, row);
        }
    } else if (put->to[0] != NULL) {
        put_texts(table, stored, cnt, put);
    }
}
