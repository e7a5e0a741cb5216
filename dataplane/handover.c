/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/handover.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"

/* ---- memory ---- */

static size_t
set_bytes(uint32_t max_parallelism)
{
    return WEIR_KEYGROUP_SET_WORD_CNT(max_parallelism) * sizeof(uint64_t);
}

static size_t
take(size_t *at, size_t bytes)
{
    size_t off = *at;
    *at += weir_align_up(bytes, WEIR_LINE_PAIR_BYTES);
    return off;
}

/* Where the parts lie behind the struct; with mem NULL only how much all of it is. */
static size_t
lay_out(const struct weir_handover_conf *conf, char *mem)
{
    size_t at = 0;
    size_t table_bytes = conf->max_parallelism * sizeof(uint16_t);
    size_t self = take(&at, sizeof(struct weir_handover));
    size_t owner = take(&at, table_bytes);
    size_t route = take(&at, conf->producer_cnt_max * sizeof(uint16_t *));
    size_t tables = take(&at, 0);
    for (uint32_t i = 0; i < conf->producer_cnt_max; i++) {
        (void)take(&at, table_bytes);
    }
    size_t arena = take(&at, conf->subtask_cnt * sizeof(struct weir_arena *));
    size_t subtask = take(&at, conf->subtask_cnt * sizeof(struct weir_handover_party));
    size_t producer = take(&at, conf->producer_cnt_max * sizeof(struct weir_handover_party));
    size_t groups = take(&at, set_bytes(conf->max_parallelism));
    if (mem != NULL) {
        struct weir_handover *handover = (struct weir_handover *)(void *)(mem + self);
        handover->owner = (uint16_t *)(void *)(mem + owner);
        handover->route = (uint16_t **)(void *)(mem + route);
        for (uint32_t i = 0; i < conf->producer_cnt_max; i++) {
            handover->route[i] = (uint16_t *)(void *)(mem + tables);
            tables += weir_align_up(table_bytes, WEIR_LINE_PAIR_BYTES);
        }
        handover->arena = (struct weir_arena **)(void *)(mem + arena);
        handover->subtask = (struct weir_handover_party *)(void *)(mem + subtask);
        handover->producer = (struct weir_handover_party *)(void *)(mem + producer);
        handover->groups = (uint64_t *)(void *)(mem + groups);
    }
    return at;
}

size_t
weir_handover_footprint(const struct weir_handover_conf *conf)
{
    return lay_out(conf, NULL);
}

struct weir_handover *
weir_handover_init(const struct weir_handover_conf *conf, void *mem)
{
    struct weir_handover *handover = mem;
    (void)lay_out(conf, mem);
    handover->max_parallelism = conf->max_parallelism;
    handover->subtask_cnt = conf->subtask_cnt;
    handover->producer_cnt_max = conf->producer_cnt_max;
    weir_keygroup_owners(conf->subtask_cnt, conf->max_parallelism, handover->owner);
    return handover;
}

void
weir_handover_own(const struct weir_handover *handover, uint32_t subtask, uint64_t *ret_owned)
{
    for (uint32_t group = 0; group < handover->max_parallelism; group++) {
        weir_keygroup_put(ret_owned, group, handover->owner[group] == subtask);
    }
}

/* ---- whoever asks ---- */

void
weir_handover_set(struct weir_handover *handover, const struct weir_handover_move *move)
{
    WEIR_CHECK(move->first <= move->last && move->last < handover->max_parallelism &&
                   move->to < handover->subtask_cnt,
        "key groups %u to %u to subtask %u", move->first, move->last, move->to);
    memset(handover->groups, 0, set_bytes(handover->max_parallelism));
    for (uint32_t group = move->first; group <= move->last; group++) {
        weir_keygroup_put(handover->groups, group, true);
    }
    handover->to = move->to;
    /* relaxed: the trigger, and then the barrier, carry the rest to whoever finds its own id. */
    weir_store_rlx(&handover->id, move->id);
}

static bool
is_its(const struct weir_handover *handover, uint64_t id)
{
    return weir_load_rlx(&handover->id) == id; /* relaxed: see weir_handover_set */
}

bool
weir_handover_is_done(const struct weir_handover *handover, uint32_t subtask, uint64_t id)
{
    /* [A42] pairs with [R42] in finish: the move is not read any more. */
    return weir_load_acq(&handover->subtask[subtask].done_id) == id;
}

bool
weir_handover_is_routed(const struct weir_handover *handover, uint32_t producer, uint64_t id)
{
    /* [A43] pairs with [R43] in weir_handover_route: the move is not read any more. */
    return weir_load_acq(&handover->producer[producer].done_id) == id;
}

bool
weir_handover_end(struct weir_handover *handover, uint64_t id)
{
    bool is_partial = false;
    bool is_all = weir_handover_is_done(handover, handover->to, id);
    for (uint32_t group = 0; group < handover->max_parallelism && is_all; group++) {
        if (!weir_keygroup_has(handover->groups, group)) {
            continue;
        }
        if (weir_arena_owns(handover->arena[handover->to], group)) {
            handover->owner[group] = (uint16_t)handover->to;
        } else {
            is_partial = true;
        }
    }
    return is_all && !is_partial;
}

/* ---- producers ---- */

static void
apply(const struct weir_handover *handover, uint16_t *owner)
{
    for (uint32_t group = 0; group < handover->max_parallelism; group++) {
        owner[group] =
            weir_keygroup_has(handover->groups, group) ? (uint16_t)handover->to : owner[group];
    }
}

const uint16_t *
weir_handover_begin(struct weir_handover *handover, uint32_t producer)
{
    memcpy(handover->route[producer], handover->owner,
        handover->max_parallelism * sizeof handover->owner[0]);
    return handover->route[producer];
}

void
weir_handover_route(struct weir_handover *handover, uint32_t producer, uint64_t id)
{
    if (!is_its(handover, id)) {
        return;
    }
    if (!WEIR_MUTANT(MOVE_UNROUTED)) {
        apply(handover, handover->route[producer]);
    }
    /* [R43] pairs with [A43] in weir_handover_is_routed. */
    weir_store_rel(&handover->producer[producer].done_id, id);
}

/* ---- state ---- */

/* Texts of keys that are too long to lie in the words of an entry. */
struct text {
    char *mem;
    uint32_t bytes;
};

static int
text_of(struct text *text, const struct weir_table *from, uint64_t *key, uint64_t hash)
{
    if (from->spec.key_kind != WEIR_KEY_STR ||
        weir_table_key_bytes(key) <= WEIR_KEY_TEXT_INLINE_BYTES) {
        return 0;
    }
    uint32_t bytes = weir_table_key_bytes(key);
    if (bytes > text->bytes) {
        char *mem = realloc(text->mem, bytes);
        if (mem == NULL) {
            return weir_err_push(WEIR_ENOMEM, "the text of a key, %u bytes", bytes);
        }
        text->mem = mem;
        text->bytes = bytes;
    }
    weir_table_key_text(from, key, text->mem);
    const struct weir_slice slice = {text->mem, bytes};
    const struct weir_key_text word = weir_key_text_of(text->mem, slice, hash);
    memcpy(key, &word, sizeof word); /* the words of a tail stay behind it */
    return 0;
}

/* One entry of another arena's table. */
static int
entry_take(struct weir_table *to, const struct weir_table *from, struct text *text, uint64_t *key,
    const void *val)
{
    uint64_t hash = weir_table_stored_key_hash(from, key);
    void *mine;
    bool is_new;
    int err = text_of(text, from, key, hash);
    if (err < 0) {
        return err;
    }
    const struct weir_table_rows row = {
        .hash = &hash, .key = (const char *)key, .heap = text->mem, .cnt = 1};
    err = weir_table_find_or_make(to, &row, &mine, &is_new);
    if (err == 0) {
        WEIR_DCHECK(is_new, "a key of a key group that is another's");
        memcpy(mine, val, to->spec.val_bytes);
    }
    return err;
}

static int
group_take(struct weir_table *to, const struct weir_table *from, uint32_t group)
{
    uint64_t key[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX * WEIR_TABLE_WORD_CNT_MAX];
    void *val[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
    struct weir_table_cursor cursor = {.group = group};
    struct text text = {NULL, 0};
    uint32_t cnt;
    int err = 0;
    while (err == 0 && (cnt = weir_table_scan_ordered(from, &cursor, key, val)) > 0) {
        cnt -= WEIR_MUTANT(MOVE_LOSES_ENTRY) ? 1 : 0;
        for (uint32_t i = 0; i < cnt && err == 0; i++) {
            err = entry_take(to, from, &text, &key[(size_t)i * from->word_cnt], val[i]);
        }
    }
    free(text.mem);
    return err;
}

/* The arena's table of the same state. All subtasks of an operator that moves have the same ones:
 * those that it takes when it is opened. */
static struct weir_table *
twin_of(const struct weir_arena *arena, const struct weir_table *table)
{
    for (uint32_t i = 0; i < arena->table_fresh; i++) {
        struct weir_table *t = weir_table_at(arena, i);
        if (t != NULL && t->spec.state_id == table->spec.state_id && t->ns == table->ns) {
            return t;
        }
    }
    return NULL;
}

static bool
is_gone(const struct weir_handover *handover, uint32_t subtask)
{
    /* [A46] pairs with [R46] in weir_handover_leave: it touches its state no more. */
    return weir_load_acq(&handover->subtask[subtask].is_gone) != 0;
}

static bool
gives(const struct weir_handover *handover, uint32_t subtask)
{
    const struct weir_arena *arena = handover->arena[subtask];
    for (uint32_t group = 0; group < handover->max_parallelism; group++) {
        if (weir_keygroup_has(handover->groups, group) && weir_arena_owns(arena, group)) {
            return subtask != handover->to;
        }
    }
    return false;
}

/* All that a giver has of a key group: it stands still. */
static int
take_group(struct weir_handover *handover, const struct weir_arena *giver, uint32_t group)
{
    struct weir_arena *arena = handover->arena[handover->to];
    for (uint32_t i = 0; i < giver->table_fresh; i++) {
        const struct weir_table *from = weir_table_at(giver, i);
        struct weir_table *to = from != NULL ? twin_of(arena, from) : NULL;
        if (from != NULL && to == NULL) {
            return weir_err_push(WEIR_EBUG, "state %u has no table to move to in %s",
                from->spec.state_id, arena->spec.name);
        }
        int err = from != NULL ? group_take(to, from, group) : 0;
        if (err < 0) {
            return weir_err_push(err, "key group %u comes from %s", group, giver->spec.name);
        }
    }
    weir_keygroup_put(arena->owned, group, true);
    return 0;
}

static void
give_up(const struct weir_handover *handover, struct weir_arena *arena)
{
    for (uint32_t group = 0; group < handover->max_parallelism; group++) {
        if (!weir_keygroup_has(handover->groups, group) || !weir_arena_owns(arena, group)) {
            continue;
        }
        for (uint32_t i = 0; i < arena->table_fresh; i++) {
            struct weir_table *t = weir_table_at(arena, i);
            if (t != NULL) {
                weir_table_drop_group(t, group);
            }
        }
        weir_keygroup_put(arena->owned, group, false);
    }
}

static int
take_from(struct weir_handover *handover, uint32_t subtask)
{
    const struct weir_arena *giver = handover->arena[subtask];
    int err = 0;
    for (uint32_t group = 0; group < handover->max_parallelism && err == 0; group++) {
        if (weir_keygroup_has(handover->groups, group) && weir_arena_owns(giver, group)) {
            err = take_group(handover, giver, group);
        }
    }
    return err;
}

static void
finish(struct weir_handover *handover, uint32_t subtask, uint64_t id)
{
    /* [R42] pairs with [A42] in weir_handover_is_done. */
    weir_store_rel(&handover->subtask[subtask].done_id, id);
}

/* The taker waits until all that have not ended stand still, or have nothing to give. */
static int
step_taker(struct weir_handover *handover, uint64_t id)
{
    int err = 0;
    for (uint32_t i = 0; i < handover->subtask_cnt; i++) {
        /* [A44] pairs with [R44] in step_giver: its tables are as they were at its barriers. */
        if (i != handover->to && weir_load_acq(&handover->subtask[i].seen_id) != id &&
            !is_gone(handover, i) && !WEIR_MUTANT(MOVE_UNWAITED)) {
            return WEIR_WAIT;
        }
    }
    for (uint32_t i = 0; i < handover->subtask_cnt && err == 0; i++) {
        err = !is_gone(handover, i) && gives(handover, i) ? take_from(handover, i) : 0;
    }
    if (err < 0) {
        return err;
    }
    /* [R45] pairs with [A45] in step_giver: what it has is not read any more. */
    weir_store_rel(&handover->taken_id, id);
    finish(handover, handover->to, id);
    return WEIR_DONE;
}

static int
step_giver(struct weir_handover *handover, uint32_t subtask, uint64_t id)
{
    /* [R44] pairs with [A44] in step_taker. */
    weir_store_rel(&handover->subtask[subtask].seen_id, id);
    if (gives(handover, subtask)) {
        bool is_alone = is_gone(handover, handover->to);
        /* [A45] pairs with [R45] in step_taker; behind the look at whether it has ended. */
        bool is_taken = weir_load_acq(&handover->taken_id) == id;
        if (!is_taken && !is_alone) {
            return WEIR_WAIT;
        }
        if (is_taken) {
            give_up(handover, handover->arena[subtask]);
        }
    }
    finish(handover, subtask, id);
    return WEIR_DONE;
}

int
weir_handover_step(struct weir_handover *handover, uint32_t subtask, uint64_t id)
{
    if (!is_its(handover, id)) {
        return WEIR_DONE;
    }
    return subtask == handover->to ? step_taker(handover, id) : step_giver(handover, subtask, id);
}

void
weir_handover_leave(struct weir_handover *handover, uint32_t subtask)
{
    /* [R46] pairs with [A46] in is_gone. */
    weir_store_rel(&handover->subtask[subtask].is_gone, 1);
}

/* ---- snapshots ---- */

void
weir_handover_put_part(const struct weir_arena *arena, struct weir_parts_writer *parts)
{
    if (arena->owned != NULL) {
        weir_parts_begin(parts, WEIR_HANDOVER_PART, WEIR_HANDOVER_PART_VERSION);
        weir_parts_put(parts, arena->owned, set_bytes(arena->spec.max_parallelism));
        weir_parts_end(parts);
    }
}

int
weir_handover_get_part(const struct weir_parts_reader *parts, uint32_t max_parallelism,
    uint64_t *ret_set, bool *ret_has)
{
    struct weir_parts_reader of = *parts;
    struct weir_part part;
    weir_parts_reader_of(&of, "");
    *ret_has = weir_parts_has(&of, WEIR_HANDOVER_PART);
    if (!*ret_has) {
        return 0;
    }
    int err = weir_parts_find(&of, WEIR_HANDOVER_PART, WEIR_HANDOVER_PART_VERSION, &part);
    err = err != 0 ? err : weir_part_get(&part, ret_set, set_bytes(max_parallelism));
    return err != 0 ? err : weir_part_end(&part);
}
