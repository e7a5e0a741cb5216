/* SPDX-License-Identifier: Apache-2.0 */
/* state_play.h: an owner of a state arena that does a bit of everything, from a seed: counts by key
 * of all kinds, values with blobs, deletes, tables that come and go, timers. And a digest of all
 * that the arena means, whichever pages it lies in. */
#ifndef WEIR_TESTS_UNIT_STATE_PLAY_H
#define WEIR_TESTS_UNIT_STATE_PLAY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/blob.h"
#include "dataplane/table.h"
#include "dataplane/timer.h"
#include "tests/unit/test.h"

#define PLAY_TABLE_CNT 5
#define PLAY_GOING_CNT 4
#define PLAY_STATE_TIMERS 20
#define PLAY_STATE_BLOBS 3
#define PLAY_BLOB_BYTES_MAX 9000

struct play {
    struct weir_arena *arena;
    struct weir_rng rng;
    struct weir_table *table[PLAY_TABLE_CNT];
    struct weir_table *going[PLAY_GOING_CNT];
    struct weir_timers timers;
    int64_t ns;
    uint32_t key_span;
    uint32_t group_cnt; /* keys are of these relative key groups, [group_first, + group_cnt) */
    uint64_t op_cnt;
};

/* By state: 8 bytes, two words, texts, with blobs, wide values. */
static const struct weir_table_spec play_specs[PLAY_TABLE_CNT] = {{0, WEIR_KEY_8, 8, 0},
    {1, WEIR_KEY_16, 40, 0}, {2, WEIR_KEY_STR, 8, 0}, {PLAY_STATE_BLOBS, WEIR_KEY_8, 16, 0},
    {4, WEIR_KEY_STR, 256, 1}};

static inline void
play_table_new(struct play *play, uint32_t at)
{
    assert_int_equal(
        weir_table_take(play->arena, &play_specs[at], ++play->ns, &play->table[at]), 0);
    weir_table_owner_set(play->table[at], (uint64_t)play->ns * 3);
}

static inline void
play_open(struct play *play, struct weir_arena *arena, uint64_t seed)
{
    memset(play, 0, sizeof *play);
    play->arena = arena;
    play->key_span = 3000;
    weir_rng_init(&play->rng, seed);
    for (uint32_t i = 0; i < PLAY_TABLE_CNT; i++) {
        play_table_new(play, i);
    }
    assert_int_equal(weir_timers_init(&play->timers, arena, PLAY_STATE_TIMERS, WEIR_KEY_8), 0);
}

/* A key as rows have it, with its tail; its text lies behind. */
struct play_key {
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    uint64_t hash;
    char text[120];
};

/* The key of a number, moved on until its key group is one that the arena owns. */
static inline void
play_key(const struct play *play, uint32_t kind, uint64_t id, struct play_key *key)
{
    const struct weir_arena_spec *spec = &play->arena->spec;
    for (;; id += 1000003) {
        memset(key, 0, sizeof *key);
        key->word[0] = id;
        key->word[1] = kind == WEIR_KEY_16 ? id * 7 : 0;
        if (kind == WEIR_KEY_STR) {
            int n = snprintf(key->text, sizeof key->text, "%llu-%.*s", (unsigned long long)id,
                (int)(id % 5 == 0 ? 60 : id % 9),
                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw"
                "xyzabcdefghijklmnopqrstuvwxyz");
            struct weir_slice text = {key->text, (uint32_t)n};
            struct weir_key_text packed =
                weir_key_text_of(key->text, text, weir_hash_bytes(text.ptr, text.bytes));
            memcpy(key->word, &packed, sizeof packed);
        }
        struct weir_table_rows rows;
        memset(&rows, 0, sizeof rows);
        rows.key = (const char *)key->word;
        rows.heap = key->text;
        rows.key_stride = sizeof *key;
        rows.cnt = 1;
        weir_table_hash(kind, &rows, &key->hash);
        uint32_t group = weir_hash_key_group(key->hash, spec->max_parallelism);
        if (group - spec->groups.first < spec->groups.cnt) {
            return;
        }
    }
}

static inline void
play_blob_new(struct play *play, uint64_t hash, struct weir_table *t, uint64_t *val)
{
    static char text[PLAY_BLOB_BYTES_MAX];
    uint32_t bytes = (uint32_t)weir_rng_below(&play->rng, 8) == 0
                         ? (uint32_t)weir_rng_below(&play->rng, PLAY_BLOB_BYTES_MAX)
                         : (uint32_t)weir_rng_below(&play->rng, 200);
    memset(text, 'a' + (int)weir_rng_below(&play->rng, 26), bytes);
    weir_blob_give(play->arena, (uint32_t)val[1]);
    uint32_t ref = 0;
    struct weir_slice slice = {text, bytes};
    assert_int_equal(weir_blob_put(play->arena, weir_table_group_of(t, hash), slice, &ref), 0);
    val[1] = ref;
}

static inline void
play_batch(struct play *play, uint32_t at)
{
    struct weir_table *t = play->table[at];
    uint64_t hash[64];
    void *val[64];
    struct play_key *key = malloc(64 * sizeof *key);
    char *texts = malloc(64 * sizeof key->text);
    uint32_t cnt = 1 + (uint32_t)weir_rng_below(&play->rng, 64);
    uint64_t span = 1 + weir_rng_below(&play->rng, play->key_span);
    for (uint32_t i = 0; i < cnt; i++) {
        play_key(play, t->spec.key_kind, weir_rng_below(&play->rng, span), &key[i]);
        memcpy(texts + i * sizeof key->text, key[i].text, sizeof key->text);
        if (t->spec.key_kind == WEIR_KEY_STR && key[i].word[0] % (UINT64_C(1) << 32) > 20) {
            key[i].word[2] += i * sizeof key->text;
        }
        if (t->spec.tail_cnt > 0) {
            key[i].word[WEIR_KEY_TEXT_WORD_CNT] = weir_rng_below(&play->rng, 3);
        }
        hash[i] = key[i].hash;
    }
    struct weir_table_rows rows = {
        hash, (const char *)key, texts, sizeof *key, cnt, val, NULL, 0, false};
    for (uint32_t from = 0; from < cnt;) {
        int done = weir_table_resolve(t, &rows, from);
        assert_true(done > 0);
        for (uint32_t i = from; i < from + (uint32_t)done; i++) {
            ++*(uint64_t *)val[i];
            if (t->spec.state_id == PLAY_STATE_BLOBS && weir_rng_chance(&play->rng, 1, 4)) {
                play_blob_new(play, hash[i], t, (uint64_t *)val[i]);
            }
        }
        from += (uint32_t)done;
    }
    free(key);
    free(texts);
}

static inline void
play_delete(struct play *play, uint32_t at)
{
    struct weir_table *t = play->table[at];
    for (uint32_t i = 0; i < 20; i++) {
        struct play_key key;
        play_key(play, t->spec.key_kind, weir_rng_below(&play->rng, play->key_span), &key);
        void *val = weir_table_find(t, key.hash, key.word, key.text);
        if (val != NULL && t->spec.state_id == PLAY_STATE_BLOBS) {
            weir_blob_give(play->arena, (uint32_t)((uint64_t *)val)[1]);
        }
        (void)weir_table_delete(t, key.hash, key.word, key.text);
    }
}

static inline void
play_timer(struct play *play)
{
    for (uint32_t i = 0; i < 30; i++) {
        struct play_key key;
        play_key(play, WEIR_KEY_8, weir_rng_below(&play->rng, play->key_span), &key);
        struct weir_timer_key timer_key = {key.hash, key.word, NULL, 0};
        bool made;
        assert_int_equal(weir_timers_set(&play->timers, &timer_key,
                             (int64_t)weir_rng_below(&play->rng, 1000), &made),
            0);
    }
    struct weir_timer timer;
    for (uint32_t i = 0; i < 25; i++) {
        if (weir_timers_peek(&play->timers, 1000, &timer) == 1) {
            weir_timers_pop(&play->timers, &timer);
        }
    }
}

/* Begin to give a table back, or go on with those that are going. Those with blobs stay. */
static inline void
play_turn_over(struct play *play)
{
    uint32_t slot = (uint32_t)weir_rng_below(&play->rng, PLAY_GOING_CNT);
    if (play->going[slot] != NULL) {
        if (weir_table_give(play->going[slot], 2) == WEIR_DONE) {
            play->going[slot] = NULL;
        }
        return;
    }
    uint32_t at = (uint32_t)weir_rng_below(&play->rng, PLAY_TABLE_CNT);
    if (play_specs[at].state_id == PLAY_STATE_BLOBS || !weir_rng_chance(&play->rng, 1, 8)) {
        return;
    }
    play->going[slot] = play->table[at];
    play_table_new(play, at);
    if (weir_table_give(play->going[slot], 1) == WEIR_DONE) {
        play->going[slot] = NULL;
    }
}

/* One bit of everything. */
static inline void
play_step(struct play *play)
{
    play->op_cnt++;
    uint32_t at = (uint32_t)weir_rng_below(&play->rng, PLAY_TABLE_CNT);
    uint64_t what = weir_rng_below(&play->rng, 16);
    if (what < 10) {
        play_batch(play, at);
    } else if (what < 12) {
        play_delete(play, at);
    } else if (what < 14) {
        play_turn_over(play);
    } else if (what < 15) {
        play_timer(play);
    } else {
        weir_table_owner_set(play->table[at], weir_rng_u64(&play->rng));
    }
}

/* ---- digest ---- */

static inline uint64_t
play_digest_entry(const struct weir_table *t, const uint64_t *stored, const uint64_t *val)
{
    static char text[PLAY_BLOB_BYTES_MAX];
    uint64_t sum = weir_rng_mix(t->spec.state_id + (uint64_t)t->ns * 31);
    bool is_text = t->spec.key_kind == WEIR_KEY_STR;
    for (uint32_t w = 0; w < t->word_cnt; w++) {
        bool is_ref = is_text && w == 2 && weir_table_key_bytes(stored) > 20;
        sum = weir_rng_mix(sum ^ (is_ref ? 0 : stored[w]));
    }
    if (is_text) {
        weir_table_key_text(t, stored, text);
        sum = weir_rng_mix(sum ^ weir_hash_bytes(text, weir_table_key_bytes(stored)));
    }
    uint32_t word_cnt = t->spec.val_bytes / 8;
    if (t->spec.state_id == PLAY_STATE_BLOBS) {
        word_cnt = 1;
        uint32_t bytes = (uint32_t)weir_blob_bytes(t->arena, (uint32_t)val[1]);
        weir_blob_read(t->arena, (uint32_t)val[1], text);
        sum = weir_rng_mix(sum ^ weir_hash_bytes(text, bytes));
    }
    for (uint32_t w = 0; w < word_cnt; w++) {
        sum = weir_rng_mix(sum ^ val[w]);
    }
    return sum;
}

/* All tables that are not going away: entries, and what is known of the tables (with_names). */
static inline uint64_t
play_digest(const struct weir_arena *arena, bool with_names)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < arena->table_fresh; i++) {
        const struct weir_table *t = weir_table_at(arena, i);
        if (t == NULL || weir_table_name(t)->is_going != 0) {
            continue;
        }
        const struct weir_table_name *name = weir_table_name(t);
        sum += with_names
                   ? weir_rng_mix(name->owner ^ weir_rng_mix((uint64_t)t->ns + name->state_id))
                   : 0;
        struct weir_table_cursor cursor = {0, 0, 0};
        uint64_t stored[16 * WEIR_TABLE_WORD_CNT_MAX];
        void *val[16];
        uint64_t cnt = 0;
        for (uint32_t n; (n = weir_table_scan(t, &cursor, 16, stored, val)) > 0; cnt += n) {
            for (uint32_t k = 0; k < n; k++) {
                sum += play_digest_entry(t, stored + (size_t)k * t->word_cnt, val[k]);
            }
        }
        assert_int_equal(cnt, t->entry_cnt);
    }
    return sum;
}

#endif
