/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the keys of a state: cleaning up bit by bit, and a function for each key. */
#include <stdlib.h>

#include "dataplane/kindset.h"
#include "dataplane/kindset_priv.h"

/* Keys taken from a table at once. */
#define WALK_CNT 16

/* ---- cleaning up ---- */

/* A stored key is the current one, with its namespace. */
static int
stored_key(struct weir_keyed_state *s, const uint64_t *stored)
{
    struct weir_kindset *set = s->set;
    int got = weir_keyed_load_stored(set->keyed, s->table, stored, 1, &set->rows);
    if (got < 0) {
        return got;
    }
    weir_kindset_key(set, &set->rows.rows, 0);
    s->ns = s->kind->has_ns ? stored[set->word_cnt] : 0;
    return 0;
}

static bool
is_stale(const struct weir_keyed_state *s, const void *entry)
{
    int64_t time;
    if (s->is_inline) {
        memcpy(&time, entry, sizeof time);
    } else {
        const struct kind_head *head = entry;
        time = kind_item_at(s, head->first)->time;
    }
    return kind_life_of(s, time) != KIND_LIVE;
}

/* Free what has expired of the current key, at most *left items of it. */
static void
key_clean(struct weir_keyed_state *s, uint32_t *left)
{
    void *entry = kind_entry(s);
    if (entry == NULL || !is_stale(s, entry)) {
        return;
    }
    struct kind_head *head = s->is_inline ? NULL : entry;
    while (head != NULL && head->first != 0 && *left > 0 && is_stale(s, head)) {
        weir_kind_item_drop(s, head, head->first);
        --*left;
    }
    if (head == NULL || head->first == 0) {
        kind_entry_delete(s);
    }
}

static int
state_clean(struct weir_keyed_state *s)
{
    uint32_t left = s->kind->ttl.clean_cnt;
    uint64_t ns = s->ns;
    int err = 0;
    while (left > 0 && err == 0) {
        uint64_t stored[WALK_CNT * WEIR_TABLE_WORD_CNT_MAX];
        void *val[WALK_CNT];
        uint32_t got =
            weir_table_scan(s->table, &s->clean, weir_min_u32(left, WALK_CNT), stored, val);
        if (got == 0) { /* all round: from the start at the next call */
            memset(&s->clean, 0, sizeof s->clean);
            break;
        }
        left -= got;
        uint64_t stale = 0; /* deleting one moves others */
        for (uint32_t i = 0; i < got; i++) {
            stale |= (uint64_t)is_stale(s, val[i]) << i;
        }
        for (; stale != 0 && err == 0; stale &= stale - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(stale);
            uint32_t items = left + 1;
            err = stored_key(s, stored + (size_t)i * s->table->word_cnt);
            if (err == 0) {
                key_clean(s, &items);
                left = weir_min_u32(left, items);
            }
        }
    }
    s->ns = ns;
    return err;
}

int
weir_kindset_clean(struct weir_kindset *set)
{
    int err = 0;
    for (uint32_t i = 0; i < set->cnt && err == 0; i++) {
        struct weir_keyed_state *s = &set->state[i];
        if (s->kind->ttl.ms > 0 && s->kind->ttl.clean_cnt > 0 && s->table->entry_cnt > 0) {
            err = state_clean(s);
        }
    }
    return err;
}

/* ---- every key ---- */

/* A key that is kept: its words, then its text where it is a long one. */
struct kept {
    uint64_t hash;
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    uint64_t ns;
    char *text;
};

static int
keep(struct weir_keyed_state *s, const uint64_t *stored, struct kept *kept)
{
    struct weir_kindset *set = s->set;
    int err = stored_key(s, stored);
    if (err < 0) {
        return err;
    }
    kept->hash = set->hash;
    kept->ns = s->ns;
    kept->text = NULL;
    memcpy(kept->word, set->key, sizeof kept->word);
    if (set->keyed->kind == WEIR_KEY_STR &&
        weir_table_key_bytes(kept->word) > WEIR_KEY_TEXT_INLINE_BYTES) {
        uint32_t bytes = weir_table_key_bytes(kept->word);
        kept->text = malloc(bytes);
        if (kept->text == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a key of %u bytes", bytes);
        }
        memcpy(kept->text, set->heap + kept->word[2], bytes);
        kept->word[2] = 0;
    }
    return 0;
}

int
weir_kindset_each(struct weir_kindset *set, uint32_t idx, weir_kindset_fn *fn, void *arg)
{
    struct weir_keyed_state *s = &set->state[idx];
    uint64_t cnt = s->table->entry_cnt;
    uint64_t ns = s->ns;
    struct kept *kept = calloc(cnt + 1, sizeof *kept);
    struct weir_table_cursor cursor = {0, 0, 0};
    uint64_t at = 0;
    int err = kept == NULL ? weir_err_push(WEIR_ENOMEM, "%llu keys", (unsigned long long)cnt) : 0;
    while (err == 0 && at < cnt) {
        uint64_t stored[WEIR_TABLE_WORD_CNT_MAX];
        void *val;
        if (weir_table_scan(s->table, &cursor, 1, stored, &val) == 0) {
            break;
        }
        err = keep(s, stored, &kept[at]);
        at += err == 0;
    }
    for (uint64_t i = 0; err == 0 && i < at; i++) {
        set->hash = kept[i].hash;
        set->heap = kept[i].text;
        memcpy(set->key, kept[i].word, sizeof set->key);
        s->ns = kept[i].ns;
        err = fn(s, arg);
    }
    for (uint64_t i = 0; i < at; i++) {
        free(kept[i].text);
    }
    free(kept);
    s->ns = ns;
    return err;
}
