/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kindset_spill.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "dataplane/kindset_priv.h"
#include "dataplane/kindset_spill_priv.h"

/* Pages in use, in 16ths, at which no more keys are let in, at which their number goes down, and
 * below which it is free again. */
#define FULL_16 12
#define TIGHT_16 14
#define FREE_16 8
/* Keys that one exchange sends out beyond those that it asks for: some 100 us of copying. */
#define OUT_CNT 256
#define WALK_CNT 16
/* What the table says of a key: the turn that wanted it last, and whether it has come. */
#define HERE (UINT64_C(1) << 32)
/* Checkpoints beyond those retained: their end may be told a little late. */
#define KEPT_MORE_CNT 2
#define PART "spill"
#define PART_VERSION 1
#define PATH_BYTES WEIR_SPILL_PATH_BYTES

const struct weir_state_values weir_spill_values = {.is_index = true};

/* ---- open and close ---- */

static void
run_path(const struct weir_spill *spill, char path[PATH_BYTES])
{
    int bytes = snprintf(path, PATH_BYTES, "%s" WEIR_SPILL_RUN, spill->root);
    WEIR_CHECK(bytes > 0 && bytes < PATH_BYTES, "%s is too long", spill->root);
}

static void
loaded_path(const struct weir_spill *spill, char path[PATH_BYTES])
{
    int bytes = snprintf(path, PATH_BYTES, "%s" WEIR_SPILL_LOADED, spill->root);
    WEIR_CHECK(bytes > 0 && bytes < PATH_BYTES, "%s is too long", spill->root);
}

/* That of a checkpoint beside the timeline, which is of use to this run alone, ends as a
 * store's. */
static void
checkpoint_path(const struct weir_spill *spill, uint64_t id, char path[PATH_BYTES])
{
    int bytes = snprintf(path, PATH_BYTES, "%s.%llu-%llx%s", spill->root, (unsigned long long)id,
        (unsigned long long)spill->op->env->spill->tag, id == spill->held_id ? WEIR_SPILL_RUN : "");
    WEIR_CHECK(bytes > 0 && bytes < PATH_BYTES, "%s is too long", spill->root);
}

int
weir_spill_root(const struct weir_operator *op, char **ret_root)
{
    const char *dir = op->env->spill->dir;
    size_t bytes = strlen(dir) + 40;
    char *root = bytes <= PATH_BYTES - 48 ? malloc(bytes) : NULL;
    if (root == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the directory %s of a state store", dir);
    }
    snprintf(root, bytes, "%s/%08x.%u", dir, weir_state_id(op->uid, WEIR_SPILL_STATE),
        op->env->subtask_idx);
    *ret_root = root;
    return 0;
}

static int
put_here(struct weir_spill *spill, uint64_t **ret_val, bool *ret_made)
{
    const struct weir_kindset *set = spill->set;
    const struct weir_table_rows row = {
        .hash = &set->hash, .key = (const char *)set->key, .heap = set->heap, .cnt = 1};
    void *val;
    int err = weir_table_find_or_make(spill->here, &row, &val, ret_made);
    if (err == 0) {
        *ret_val = val;
    }
    return err;
}

/* The current key is one as a table has stored it. */
static int
set_stored(struct weir_spill *spill, const struct weir_table *table, const uint64_t *stored)
{
    struct weir_kindset *set = spill->set;
    int got = weir_keyed_load_stored(set->keyed, table, stored, 1, &set->rows);
    if (got > 0) {
        weir_kindset_key(set, &set->rows.rows, 0);
    }
    return got < 0 ? got : 0;
}

/* State that was saved when all of it was in memory: its keys are here. */
static int
mark_all(struct weir_spill *spill, const struct weir_table *table)
{
    struct weir_table_cursor cursor = {0, 0, 0};
    uint64_t stored[WEIR_TABLE_WORD_CNT_MAX];
    void *val;
    int err = 0;
    while (err == 0 && weir_table_scan(table, &cursor, 1, stored, &val) > 0) {
        uint64_t *here;
        bool made;
        err = set_stored(spill, table, stored);
        err = err < 0 ? err : put_here(spill, &here, &made);
        if (err == 0) {
            *here = HERE;
        }
    }
    return err;
}

int
weir_spill_open(struct weir_spill *spill, struct weir_kindset *set, const struct weir_operator *op,
    struct weir_table *plain, const char *plain_name)
{
    const struct weir_table_spec spec = {0, set->keyed->kind, sizeof(uint64_t), 0};
    spill->set = set;
    spill->op = op;
    spill->plain = plain;
    spill->plain_id = weir_state_id(op->uid, plain_name);
    spill->key_max = op->env->spill->key_max != 0 ? op->env->spill->key_max : UINT64_MAX;
    for (uint32_t i = 0; i < set->cnt; i++) {
        if (set->state[i].kind->has_ns) {
            return weir_err_push(WEIR_EGRAPH,
                "state %s of operator %s has namespaces: it can only be kept in memory",
                set->state[i].kind->desc[0].name, op->uid);
        }
    }
    int err = weir_spill_root(op, &spill->root);
    err = err < 0 ? err : weir_state_find(op, WEIR_SPILL_STATE, &spec, 0, &spill->here);
    if (err < 0 || spill->here != NULL) {
        return err;
    }
    err = weir_state_take(op, WEIR_SPILL_STATE, &spec, 0, &spill->here);
    if (err == 0 && plain != NULL) {
        err = mark_all(spill, plain);
    }
    for (uint32_t i = 0; i < set->cnt && err == 0; i++) {
        err = mark_all(spill, set->state[i].table);
    }
    return err;
}

/* Remove a checkpoint, by the next exchange or now. */
static void
drop(struct weir_spill *spill, uint64_t id)
{
    char path[PATH_BYTES];
    checkpoint_path(spill, id, path);
    if (spill->restored_path != NULL && spill->restored_id == id) {
        snprintf(path, sizeof path, "%s", spill->restored_path);
    }
    if (spill->kv != NULL && !spill->is_waiting) {
        weir_kv_drop(spill->kv, path);
    } else if (weir_kv_remove(path) < 0) {
        weir_err_clear(); /* it costs room, and nothing else */
    }
}

/* What is kept beside the timeline now; 0: nothing. What was before, goes. */
static uint64_t
held_now(struct weir_spill *spill)
{
    const struct weir_spill_conf *conf = spill->op->env->spill;
    uint64_t held = conf->held != NULL ? conf->held(conf->held_arg) : 0;
    if (spill->held_id != 0 && spill->held_id != held) {
        drop(spill, spill->held_id);
        spill->held_id = 0;
    }
    return held;
}

void
weir_spill_close(struct weir_spill *spill)
{
    weir_kv_close(spill->kv);
    spill->kv = NULL;
    if (spill->held_id != 0) {
        (void)held_now(spill); /* one that is read still goes with the job */
    }
    free(spill->root);
    free(spill->buf);
    free(spill->restored_path);
    spill->restored_path = NULL;
    spill->root = NULL;
    spill->buf = NULL;
}

/* Begin the store, with checkpoints of others. */
static int
begin(struct weir_spill *spill, const char *const *from, uint32_t from_cnt)
{
    const struct weir_arena_spec *spec = &spill->set->arena->spec;
    const struct weir_spill_conf *env = spill->op->env->spill;
    char path[PATH_BYTES];
    char loaded[PATH_BYTES];
    const char *const loaded_from[] = {loaded};
    run_path(spill, path);
    if (weir_table_name(spill->here)->owner == WEIR_SPILL_OWNER_LOADED) {
        loaded_path(spill, loaded);
        weir_table_owner_set(spill->here, 0); /* a checkpoint of this run knows nothing of it */
        spill->is_loaded = true;
        from = loaded_from;
        from_cnt = 1;
    }
    /* Hashes of the key groups: their upper halves begin at first * 2^32 / max_parallelism. */
    uint64_t first = ((uint64_t)spec->groups.first << 32) + spec->max_parallelism - 1;
    uint64_t end =
        ((uint64_t)(spec->groups.first + spec->groups.cnt) << 32) + spec->max_parallelism - 1;
    uint64_t end_half = end / spec->max_parallelism;
    const struct weir_kv_conf conf = {.dir = path,
        .from = from,
        .from_cnt = from_cnt,
        .first = first / spec->max_parallelism << 32,
        .last = end_half >> 32 != 0 ? UINT64_MAX : (end_half << 32) - 1,
        .is_inline = env->is_inline,
        .seed = spill->op->env->seed,
        .wake = env->wake,
        .wake_arg = env->wake_arg};
    int err = weir_kv_open(&conf, &spill->kv);
    spill->is_waiting = err == 0;
    return err;
}

/* ---- going out ---- */

static struct weir_kv_bytes
kv_key(const struct weir_kindset *set, char **buf, size_t *cap)
{
    struct weir_slice text = {(const char *)set->key, set->keyed->stride};
    struct weir_kv_bytes none = {NULL, 0};
    uint64_t hash = __builtin_bswap64(set->hash);
    if (set->keyed->kind == WEIR_KEY_STR) {
        text = weir_key_text_slice((const struct weir_key_text *)(const void *)set->key, set->heap);
    }
    if (sizeof hash + text.bytes > *cap) {
        *cap = sizeof hash + text.bytes + PATH_BYTES;
        free(*buf);
        *buf = malloc(*cap);
        if (*buf == NULL) {
            *cap = 0;
            return none;
        }
    }
    memcpy(*buf, &hash, sizeof hash);
    memcpy(*buf + sizeof hash, text.ptr, text.bytes);
    return (struct weir_kv_bytes){*buf, sizeof hash + text.bytes};
}

/* The current key, as the store has it, is given to fn; a small one on the stack. */
static int
with_key(struct weir_spill *spill, const struct weir_kv_bytes *val, bool is_get)
{
    size_t cap = 0;
    char *buf = NULL;
    struct weir_kv_bytes key = kv_key(spill->set, &buf, &cap);
    if (key.ptr == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a key of a state store");
    }
    if (is_get) {
        weir_kv_get(spill->kv, key);
    } else if (val != NULL) {
        weir_kv_put(spill->kv, key, *val);
    } else {
        weir_kv_delete(spill->kv, key);
    }
    free(buf);
    return 0;
}

/* The current key goes out. */
static int
key_out(struct weir_spill *spill)
{
    const struct weir_kindset *set = spill->set;
    int err = weir_spill_record_make(spill);
    if (err == 0) {
        const struct weir_kv_bytes record = {spill->buf, spill->buf_bytes};
        err = with_key(spill, spill->buf_bytes > 0 ? &record : NULL, false);
    }
    if (err == 0) {
        weir_spill_record_drop(spill);
        (void)weir_table_delete(spill->here, set->hash, set->key, set->heap);
        spill->out_cnt++;
    }
    return err;
}

/* Up to cnt keys go out that this turn does not want; those that the turn before wanted stay for
 * one round. */
static int
keys_out(struct weir_spill *spill, uint64_t cnt)
{
    uint64_t looked = 0;
    uint64_t look_max = 2 * spill->here->entry_cnt + WALK_CNT;
    int err = 0;
    while (cnt > 0 && looked < look_max && err == 0) {
        uint64_t stored[WALK_CNT * WEIR_TABLE_WORD_CNT_MAX];
        void *val[WALK_CNT];
        uint64_t word[WALK_CNT];
        uint32_t got = weir_table_scan(spill->here, &spill->hand, WALK_CNT, stored, val);
        if (got == 0) {
            memset(&spill->hand, 0, sizeof spill->hand);
            looked += WALK_CNT;
            continue;
        }
        for (uint32_t i = 0; i < got; i++) {
            word[i] = *(const uint64_t *)val[i]; /* places change once the first goes */
        }
        for (uint32_t i = 0; i < got && cnt > 0 && err == 0; i++) {
            uint32_t age = spill->turn - (uint32_t)word[i];
            bool stays = age == 0 || (word[i] & HERE) == 0 || (age == 1 && looked < look_max / 2);
            if (!stays) {
                err = set_stored(spill, spill->here, stored + (size_t)i * spill->here->word_cnt);
                err = err < 0 ? err : key_out(spill);
                cnt--;
            }
        }
        looked += got;
    }
    return err;
}

/* How many keys may be here, by how full the pages are. */
static void
set_key_max(struct weir_spill *spill)
{
    const struct weir_arena *arena = spill->set->arena;
    uint64_t used_16 = (uint64_t)arena->page_used_cnt * 16 / arena->page_cnt;
    uint64_t cnt = spill->here->entry_cnt;
    if (spill->op->env->spill->key_max != 0) {
        return;
    }
    if (used_16 < FREE_16) {
        spill->key_max = UINT64_MAX;
    } else if (used_16 >= TIGHT_16) {
        spill->key_max = weir_min_u64(spill->key_max, cnt) * 15 / 16;
    } else if (used_16 >= FULL_16) {
        spill->key_max = weir_min_u64(spill->key_max, cnt);
    }
}

/* ---- coming ---- */

/* The key of an answer is the current one; its text is borrowed. */
static void
set_answered(struct weir_spill *spill, struct weir_kv_bytes key)
{
    struct weir_kindset *set = spill->set;
    const char *bytes = key.ptr;
    uint64_t hash;
    memcpy(&hash, bytes, sizeof hash);
    set->hash = __builtin_bswap64(hash);
    struct weir_slice text = {bytes + sizeof hash, (uint32_t)(key.bytes - sizeof hash)};
    if (set->keyed->kind == WEIR_KEY_STR) {
        struct weir_key_text words = weir_key_text_of(text.ptr, text, set->hash);
        memcpy(set->key, &words, sizeof words);
        set->heap = text.ptr;
    } else {
        memcpy(set->key, text.ptr, set->keyed->stride);
    }
}

static int
take_answers(struct weir_spill *spill)
{
    int err = 0;
    for (uint32_t i = 0; i < weir_kv_get_cnt(spill->kv) && err == 0; i++) {
        struct weir_kv_bytes record = weir_kv_result(spill->kv, i);
        uint64_t *here;
        bool made;
        set_answered(spill, weir_kv_key(spill->kv, i));
        err = record.ptr != NULL ? weir_spill_record_take(spill, record) : 0;
        err = err < 0 ? err : put_here(spill, &here, &made);
        if (err == 0) {
            *here |= HERE;
            spill->in_cnt++;
        }
    }
    return err;
}

static void
drop_aborted(struct weir_spill *spill, uint64_t id)
{
    drop(spill, id);
    spill->held_id = spill->held_id == id ? 0 : spill->held_id;
}

int
weir_spill_poll(struct weir_spill *spill)
{
    int err = spill->kv == NULL ? begin(spill, NULL, 0) : 0;
    if (err < 0 || !spill->is_waiting) {
        return err;
    }
    err = weir_kv_poll(spill->kv);
    if (err == WEIR_KV_BUSY) {
        return WEIR_WAIT;
    }
    spill->is_waiting = false;
    if (err == 0 && spill->has_checkpoint) {
        spill->has_checkpoint = false;
        spill->checkpoint_error = weir_kv_checkpoint_error(spill->kv);
    }
    err = err < 0 ? err : take_answers(spill);
    if (err == 0 && spill->is_loaded) { /* it has all of it now */
        char path[PATH_BYTES];
        loaded_path(spill, path);
        spill->is_loaded = false;
        weir_kv_drop(spill->kv, path);
    }
    if (err == 0 && spill->is_aborted) { /* behind the answers: wants are forgotten by new ones */
        spill->is_aborted = false;
        drop_aborted(spill, spill->making_id);
    }
    return err;
}

bool
weir_spill_has(const struct weir_spill *spill, const struct weir_table_rows *rows)
{
    for (uint32_t i = 0; i < rows->cnt; i++) {
        const uint64_t *here = weir_table_find(
            spill->here, rows->hash[i], rows->key + (size_t)i * rows->key_stride, rows->heap);
        if (here == NULL || (*here & HERE) == 0) {
            return false;
        }
    }
    return true;
}

int
weir_spill_want(struct weir_spill *spill, const struct weir_table_rows *rows)
{
    WEIR_DCHECK(!spill->is_waiting, "an exchange is under way");
    int err = 0;
    for (uint32_t i = 0; i < rows->cnt && err == 0; i++) {
        uint64_t *here;
        bool made;
        weir_kindset_key(spill->set, rows, i);
        err = put_here(spill, &here, &made);
        if (err == 0) {
            *here = (*here & HERE) | spill->turn;
            err = made ? with_key(spill, NULL, true) : 0;
        }
    }
    return err;
}

int
weir_spill_go(struct weir_spill *spill)
{
    if (spill->is_waiting || !weir_kv_wants(spill->kv)) {
        return 0;
    }
    set_key_max(spill);
    uint64_t cnt = spill->here->entry_cnt;
    int err = cnt > spill->key_max
                  ? keys_out(spill, weir_min_u64(cnt - spill->key_max,
                                        OUT_CNT + (uint64_t)WEIR_BATCH_ROW_CNT_MAX))
                  : 0;
    if (err == 0) {
        weir_kv_go(spill->kv);
        spill->is_waiting = true;
    }
    return err;
}

/* ---- checkpoints ---- */

int
weir_spill_barrier(struct weir_spill *spill, uint64_t id)
{
    char path[PATH_BYTES];
    int step = weir_spill_poll(spill);
    if (step == WEIR_WAIT || step < 0) {
        return step;
    }
    if (held_now(spill) == id) {
        spill->held_id = id;
    }
    checkpoint_path(spill, id, path);
    weir_kv_drop(spill->kv, path); /* of an attempt that is lost */
    weir_kv_checkpoint(spill->kv, path);
    spill->has_checkpoint = true;
    spill->making_id = id;
    spill->checkpoint_error = 0;
    weir_kv_go(spill->kv);
    spill->is_waiting = true;
    return WEIR_DONE;
}

/* Of those before it, as many stay as are retained, and some that may be aborted yet: it is not
 * told here which are complete. */
static void
keep(struct weir_spill *spill, uint64_t id)
{
    uint64_t most = (uint64_t)spill->op->env->spill->kept_cnt + KEPT_MORE_CNT;
    while (spill->kept_cnt >= weir_min_u64(most, WEIR_SPILL_KEPT_CNT_MAX)) {
        if (most <= WEIR_SPILL_KEPT_CNT_MAX) {
            drop(spill, spill->kept[0]); /* else all stay */
        }
        spill->kept_cnt--;
        memmove(spill->kept, spill->kept + 1, spill->kept_cnt * sizeof spill->kept[0]);
    }
    spill->kept[spill->kept_cnt++] = id;
}

int
weir_spill_precommit(struct weir_spill *spill, uint64_t id)
{
    int step = weir_spill_poll(spill);
    if (step < 0 || (step == WEIR_WAIT && spill->has_checkpoint)) {
        return step;
    }
    if (spill->checkpoint_error < 0) {
        return weir_err_push(
            spill->checkpoint_error, "the state store of operator %s", spill->op->uid);
    }
    if (spill->held_id != id) {
        keep(spill, id);
    }
    return WEIR_DONE;
}

void
weir_spill_aborted(struct weir_spill *spill, uint64_t id)
{
    for (uint32_t i = 0; i < spill->kept_cnt; i++) {
        if (spill->kept[i] == id) {
            spill->kept_cnt--;
            memmove(&spill->kept[i], &spill->kept[i + 1],
                (spill->kept_cnt - i) * sizeof spill->kept[0]);
        }
    }
    if (spill->has_checkpoint && spill->making_id == id) {
        spill->is_aborted = true; /* it goes when it is made */
    } else {
        drop_aborted(spill, id);
    }
}

void
weir_spill_snapshot(struct weir_spill *spill, uint64_t id, struct weir_parts_writer *parts)
{
    char path[PATH_BYTES];
    checkpoint_path(spill, id, path);
    weir_parts_begin(parts, PART, PART_VERSION);
    weir_parts_put_u64(parts, id);
    weir_parts_put(parts, path, strlen(path) + 1);
    weir_parts_end(parts);
}

static int
read_part(const struct weir_part *found, uint64_t *ret_id, char path[PATH_BYTES])
{
    struct weir_part part = *found;
    int err = part.version <= PART_VERSION
                  ? weir_part_get_u64(&part, ret_id)
                  : weir_err_push(WEIR_EFORMAT, "part %s is of version %u", PART, part.version);
    uint32_t bytes = err == 0 ? part.bytes - part.at : 0;
    if (err == 0 && (bytes == 0 || bytes > PATH_BYTES)) {
        return weir_err_push(WEIR_EDATA, "part %s has a path of %u bytes", PART, bytes);
    }
    err = err < 0 ? err : weir_part_get(&part, path, bytes);
    if (err == 0 && path[bytes - 1] != '\0') {
        err = weir_err_push(WEIR_EDATA, "part %s has a path without an end", PART);
    }
    return err;
}

int
weir_spill_checkpoint(
    const struct weir_part *part, char ret_path[WEIR_SPILL_PATH_BYTES], bool *ret_is)
{
    uint64_t id;
    bool is = part->name_bytes == sizeof PART - 1 && memcmp(part->name, PART, sizeof PART - 1) == 0;
    int err = is ? read_part(part, &id, ret_path) : 0;
    if (err == 0) {
        *ret_is = is;
    }
    return err;
}

int
weir_spill_restore(
    struct weir_spill *spill, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    const uint32_t own = spill->op->env->subtask_idx;
    const uint32_t subtask_cnt =
        weir_max_u64(spill->op->env->subtask_cnt, 1) == 1 ? 1 : spill->op->env->subtask_cnt;
    char(*paths)[PATH_BYTES] = calloc(parts_cnt + 1, sizeof *paths);
    const char **from = calloc(parts_cnt + 1, sizeof *from);
    uint32_t from_cnt = 0;
    int err = paths == NULL || from == NULL
                  ? weir_err_push(WEIR_ENOMEM, "%u paths of state stores", parts_cnt)
                  : 0;
    for (uint32_t i = 0; i < parts_cnt && err == 0; i++) {
        struct weir_part part;
        uint64_t id;
        if (!weir_parts_has(&parts[i], PART) || (parts_cnt == subtask_cnt && i != own)) {
            continue; /* all of it was in memory; or the key groups are as they were */
        }
        err = weir_parts_find(&parts[i], PART, PART_VERSION, &part);
        err = err < 0 ? err : read_part(&part, &id, paths[from_cnt]);
        from[from_cnt] = paths[from_cnt];
        from_cnt++;
        if (err == 0 && parts_cnt == subtask_cnt) {
            spill->restored_id = id;
            spill->restored_path = strdup(paths[from_cnt - 1]);
            keep(spill, id);
        }
    }
    err = err < 0 ? err : begin(spill, from, from_cnt);
    free(from);
    free(paths);
    return err;
}

int
weir_spill_refuse(
    const struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    for (uint32_t i = 0; i < parts_cnt; i++) {
        if (weir_parts_has(&parts[i], PART)) {
            return weir_err_push(WEIR_ESTATE,
                "operator %s was saved with state.backend rocksdb: part of its state is on disk; a "
                "savepoint of the job (weir savepoint) can be gone on from without",
                op->uid);
        }
    }
    return 0;
}
