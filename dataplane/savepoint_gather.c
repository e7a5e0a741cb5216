/* SPDX-License-Identifier: Apache-2.0 */
/* What the tasks of a job hold, as the catalogue of a savepoint: operators and states by name, and
 * the parts of all subtasks put together. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/channel.h"
#include "dataplane/savepoint_priv.h"

/* Part "chain" (valve.h): watermark, flags, channels, watermark put out, idle; then two words a
 * channel. */
#define CHAIN_WORD_CNT 5
#define CHAIN_CHANNELS 2
#define CHAIN_IN_WATERMARK 2

/* ---- tables ---- */

static const struct weir_operator *
owner_of(const struct weir_savepoint_task *task, uint32_t state_id,
    const struct weir_state_desc **ret_desc)
{
    for (uint32_t i = 0; i < task->op_cnt; i++) {
        const struct weir_state_owner owner = {
            task->ops[i]->uid, task->ops[i]->type, task->ops[i]->conf};
        *ret_desc = weir_state_desc_of(&owner, state_id);
        if (*ret_desc != NULL) {
            return task->ops[i];
        }
    }
    return NULL;
}

static int
tables_of(struct weir_savepoint_source *source, const struct weir_savepoint_task *task)
{
    const struct weir_arena *arena = task->arena;
    for (uint32_t i = 0; arena != NULL && i < arena->table_fresh; i++) {
        const struct weir_table *table = weir_table_at(arena, i);
        if (table == NULL || weir_table_name(table)->is_going != 0) {
            continue;
        }
        struct savepoint_table *at = &source->tables[source->table_cnt];
        at->table = table;
        at->op = owner_of(task, table->spec.state_id, &at->desc);
        if (at->op == NULL) {
            return weir_err_push(WEIR_ESTATE,
                "state memory '%s' has state %" PRIu32 ", which is no operator's of this stage",
                arena->spec.name, table->spec.state_id);
        }
        bool is_index = at->desc->values != NULL && at->desc->values->is_index;
        if (at->desc->values == &weir_spill_values) {
            source->heres[source->here_cnt++] = (struct savepoint_here){at->op, table};
        }
        source->table_cnt += is_index ? 0 : 1; /* whoever adds the rows makes it again */
    }
    return 0;
}

/* The first key group of its own; what has none is behind all others. */
static uint32_t
first_of(const struct weir_arena *arena)
{
    const struct weir_keygroup_range *groups = &arena->spec.groups;
    uint32_t group = groups->first;
    while (group < groups->first + groups->cnt && !weir_arena_owns(arena, group)) {
        group++;
    }
    return group;
}

static bool
have_one_in_common(const struct weir_arena *a, const struct weir_arena *b)
{
    const struct weir_keygroup_range *groups = &a->spec.groups;
    for (uint32_t group = groups->first; group < groups->first + groups->cnt; group++) {
        if (weir_arena_owns(a, group) && weir_arena_owns(b, group)) {
            return true;
        }
    }
    return false;
}

static int
table_order(const void *left, const void *right)
{
    const struct savepoint_table *a = left;
    const struct savepoint_table *b = right;
    int order = strcmp(a->op->uid, b->op->uid);
    order = order != 0 ? order : strcmp(a->desc->name, b->desc->name);
    if (order != 0) {
        return order;
    }
    if (a->table->ns != b->table->ns) {
        return a->table->ns < b->table->ns ? -1 : 1;
    }
    uint32_t a_first = first_of(a->table->arena);
    uint32_t b_first = first_of(b->table->arena);
    return (a_first > b_first) - (a_first < b_first);
}

static bool
is_same_state(const struct savepoint_table *a, const struct savepoint_table *b)
{
    return strcmp(a->op->uid, b->op->uid) == 0 && strcmp(a->desc->name, b->desc->name) == 0;
}

/* Two tables of one state, of which the second follows. */
static int
check_pair(const struct savepoint_table *a, const struct savepoint_table *b)
{
    const struct weir_arena_spec *left = &a->table->arena->spec;
    const struct weir_arena_spec *right = &b->table->arena->spec;
    if (a->table->spec.key_kind != b->table->spec.key_kind ||
        a->table->spec.tail_cnt != b->table->spec.tail_cnt ||
        a->table->spec.val_bytes != b->table->spec.val_bytes ||
        left->max_parallelism != right->max_parallelism) {
        return weir_err_push(WEIR_ESTATE,
            "state %s of operator %s: its subtasks do not agree on keys, values or key groups",
            a->desc->name, a->op->uid);
    }
    if (a->table->ns == b->table->ns &&
        (have_one_in_common(a->table->arena, b->table->arena) ||
            weir_table_name(a->table)->owner != weir_table_name(b->table)->owner)) {
        return weir_err_push(WEIR_ESTATE,
            "state %s of operator %s: two tables of namespace %" PRId64 " cannot be told apart",
            a->desc->name, a->op->uid, a->table->ns);
    }
    return 0;
}

/* ---- parts ---- */

/* Parts of one run only, or that are made again: not part of the state. */
static bool
is_passing(const struct weir_part *part, const struct weir_operator *op)
{
    const uint32_t gate_bytes = sizeof WEIR_STATE_PART_GATE - 1;
    const uint32_t ledger_bytes = sizeof WEIR_LEDGER_PART_OUT - 1;
    return part->uid_bytes == 0 ||
           (part->name_bytes == ledger_bytes &&
               memcmp(part->name, WEIR_LEDGER_PART_OUT, ledger_bytes) == 0) ||
           (op != NULL && op->type->send != NULL) ||
           (part->name_bytes > gate_bytes &&
               memcmp(part->name, WEIR_STATE_PART_GATE, gate_bytes) == 0);
}

static const struct weir_operator *
part_owner(const struct weir_savepoint_task *task, const struct weir_part *part)
{
    for (uint32_t i = 0; i < task->op_cnt; i++) {
        const char *uid = task->ops[i]->uid;
        if (strlen(uid) == part->uid_bytes && memcmp(uid, part->uid, part->uid_bytes) == 0) {
            return task->ops[i];
        }
    }
    return NULL;
}

static const struct weir_state_part *
part_kind(const struct weir_operator *op, const char *name)
{
    static const struct weir_state_part chain = {
        WEIR_STATE_PART_CHAIN, WEIR_STATE_PART_WATERMARKS, 0};
    static const struct weir_state_part none = {"", WEIR_STATE_PART_SUBTASK, 0};
    for (uint32_t i = 0; i < op->type->part_cnt; i++) {
        if (strcmp(op->type->parts[i].name, name) == 0) {
            return &op->type->parts[i];
        }
    }
    return strcmp(name, WEIR_STATE_PART_CHAIN) == 0 ? &chain : &none;
}

/* The rest of an operator's keys, if that is what the part tells of. */
static int
disk_of(struct weir_savepoint_source *source, const struct weir_operator *op,
    const struct weir_part *part, bool *ret_is)
{
    char path[WEIR_SPILL_PATH_BYTES];
    uint32_t i = 0;
    int err = op != NULL && weir_spill_can(op) ? weir_spill_checkpoint(part, path, ret_is) : 0;
    if (err < 0 || !*ret_is) {
        return err;
    }
    while (i < source->disk_cnt && strcmp(source->disks[i].uid, op->uid) != 0) {
        i++;
    }
    if (i == source->disk_cnt) {
        source->disks[i].uid = op->uid;
        err = weir_spill_disk_open(op->uid, &source->disks[i].disk);
        source->disk_cnt += err == 0;
    }
    return err < 0 ? err : weir_spill_disk_add(source->disks[i].disk, path);
}

/* Tables get what is on disk beside them. */
static void
disks_apply(struct weir_savepoint_source *source)
{
    for (uint32_t t = 0; t < source->table_cnt; t++) {
        struct savepoint_table *at = &source->tables[t];
        for (uint32_t i = 0; i < source->disk_cnt; i++) {
            bool is_its =
                strcmp(source->disks[i].uid, at->op->uid) == 0 && !source->now[at->state].is_timers;
            at->disk = is_its ? source->disks[i].disk : at->disk;
        }
        for (uint32_t i = 0; i < source->here_cnt && at->disk != NULL; i++) {
            const struct savepoint_here *here = &source->heres[i];
            bool is_its = here->op == at->op && here->table->arena == at->table->arena;
            at->here = is_its ? here->table : at->here;
        }
    }
}

static int
parts_of(struct weir_savepoint_source *source, const struct weir_savepoint_task *task)
{
    size_t offset = 0;
    struct weir_part part;
    while (task->parts != NULL && weir_parts_next(task->parts, &offset, &part) > 0) {
        const struct weir_operator *op = part_owner(task, &part);
        bool is_disk = false;
        int err = disk_of(source, op, &part, &is_disk);
        if (err < 0) {
            return err;
        }
        if (is_disk || is_passing(&part, op)) {
            continue;
        }
        if (op == NULL) {
            return weir_err_push(WEIR_ESTATE,
                "part %.*s is of operator %.*s, which the stage has not", (int)part.name_bytes,
                part.name, (int)part.uid_bytes, part.uid);
        }
        struct savepoint_part *at = &source->parts[source->part_cnt++];
        at->uid = op->uid;
        at->name = weir_savepoint_keep_text(&source->keep, part.name, part.name_bytes);
        if (at->name == NULL) {
            return weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
        }
        at->op = op;
        at->part = part;
        at->subtask = task->subtask;
        at->kind = part_kind(op, at->name);
    }
    return 0;
}

static int
part_order(const void *left, const void *right)
{
    const struct savepoint_part *a = left;
    const struct savepoint_part *b = right;
    int order = strcmp(a->uid, b->uid);
    order = order != 0 ? order : strcmp(a->name, b->name);
    return order != 0 ? order : (a->subtask > b->subtask) - (a->subtask < b->subtask);
}

struct item {
    const char *data;
    uint32_t bytes;
};

/* By words as numbers, then by what is left, then the shorter one: an order that keeps times. */
static int
item_order(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    uint32_t least = weir_min_u32(a->bytes, b->bytes);
    uint32_t at = 0;
    for (; at + sizeof(int64_t) <= least; at += (uint32_t)sizeof(int64_t)) {
        int64_t x;
        int64_t y;
        memcpy(&x, a->data + at, sizeof x);
        memcpy(&y, b->data + at, sizeof y);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    int order = least > at ? memcmp(a->data + at, b->data + at, least - at) : 0;
    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int
malformed(const struct savepoint_part *part)
{
    return weir_err_push(WEIR_EDATA, "part %s of operator %s, subtask %" PRIu32 ", is malformed",
        part->name, part->uid, part->subtask);
}

/* Count items, or put them into items[cnt ..]. */
static int
items_of(const struct savepoint_part *part, struct item *items, uint64_t *cnt)
{
    struct weir_part list = part->part;
    uint64_t left = 0;
    list.at = 0;
    int err = weir_part_get_u64(&list, &left);
    while (err == 0 && left > 0) {
        uint64_t bytes = 0;
        err = weir_part_get_u64(&list, &bytes);
        if (err < 0 || bytes > list.bytes - list.at) {
            return malformed(part);
        }
        if (items != NULL) {
            items[*cnt] = (struct item){list.data + list.at, (uint32_t)bytes};
        }
        list.at += (uint32_t)bytes;
        ++*cnt;
        left--;
    }
    err = err < 0 ? err : weir_part_end(&list);
    return err < 0 ? malformed(part) : 0;
}

/* The items of parts [0, part_cnt) in order, for UNION once. Memory: *ret_items is the caller's. */
static int
items_all(const struct savepoint_part *parts, uint32_t part_cnt, struct item **ret_items,
    uint64_t *ret_cnt)
{
    uint64_t cnt = 0;
    int err = 0;
    *ret_items = NULL;
    for (uint32_t i = 0; i < part_cnt && err == 0; i++) {
        err = items_of(&parts[i], NULL, &cnt);
    }
    struct item *items = err == 0 ? malloc((cnt + 1) * sizeof *items) : NULL;
    if (items == NULL) {
        return err != 0 ? err : weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
    }
    cnt = 0;
    for (uint32_t i = 0; i < part_cnt; i++) {
        (void)items_of(&parts[i], items, &cnt); /* it went well before */
    }
    if (cnt > 0 && parts->kind->kind != WEIR_STATE_PART_LIST) {
        qsort(items, cnt, sizeof *items, item_order);
    }
    if (parts->kind->kind == WEIR_STATE_PART_UNION) {
        uint64_t kept = 0;
        for (uint64_t i = 0; i < cnt; i++) {
            if (kept == 0 || item_order(&items[kept - 1], &items[i]) != 0) {
                items[kept++] = items[i];
            }
        }
        cnt = kept;
    }
    *ret_items = items;
    *ret_cnt = cnt;
    return 0;
}

/* Whether two items say different things of one thing. */
static bool
items_clash(const struct item *items, uint64_t cnt, uint32_t id_bytes)
{
    bool clash = false;
    for (uint64_t i = 1; i < cnt && id_bytes > 0; i++) {
        clash |= items[i].bytes >= id_bytes && items[i - 1].bytes >= id_bytes &&
                 memcmp(items[i].data, items[i - 1].data, id_bytes) == 0;
    }
    return clash;
}

static int
put_items(struct weir_savepoint_source *source, const struct item *items, uint64_t cnt,
    struct weir_savepoint_part *to)
{
    uint64_t bytes = sizeof cnt;
    for (uint64_t i = 0; i < cnt; i++) {
        bytes += sizeof(uint64_t) + items[i].bytes;
    }
    char *data = bytes <= UINT32_MAX ? weir_savepoint_keep(&source->keep, bytes) : NULL;
    if (data == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
    }
    to->data = data;
    to->bytes = (uint32_t)bytes;
    memcpy(data, &cnt, sizeof cnt);
    data += sizeof cnt;
    for (uint64_t i = 0; i < cnt; i++) {
        uint64_t item_bytes = items[i].bytes;
        memcpy(data, &item_bytes, sizeof item_bytes);
        memcpy(data + sizeof item_bytes, items[i].data, items[i].bytes);
        data += sizeof item_bytes + items[i].bytes;
    }
    return 0;
}

/* The least watermarks of an operator and of its inputs: words, of which those at 1, 4, 6, 8 ...
 * are flags. */
static int
watermarks_merge(struct weir_savepoint_source *source, const struct savepoint_part *parts,
    uint32_t part_cnt, struct weir_savepoint_part *to)
{
    uint32_t cnt = parts->part.bytes / (uint32_t)sizeof(int64_t);
    uint64_t flags = 0;
    int64_t *least = weir_savepoint_keep(&source->keep, parts->part.bytes);
    if (least == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
    }
    for (uint32_t i = 0; i < part_cnt; i++) {
        int64_t channels;
        if (parts[i].part.bytes != parts->part.bytes || cnt < CHAIN_WORD_CNT ||
            parts->part.bytes % sizeof(int64_t) != 0) {
            return malformed(&parts[i]);
        }
        memcpy(&channels, parts[i].part.data + CHAIN_CHANNELS * sizeof channels, sizeof channels);
        if (channels != (cnt - CHAIN_WORD_CNT) / 2) {
            return malformed(&parts[i]);
        }
        for (uint32_t w = 0; w < cnt; w++) {
            int64_t word;
            memcpy(&word, parts[i].part.data + w * sizeof word, sizeof word);
            least[w] = i == 0 ? word : weir_min_i64(least[w], word);
            flags |= w == 1 ? (uint64_t)word : 0;
        }
    }
    for (uint32_t w = 1; w < cnt; w += w == 1 ? CHAIN_WORD_CNT - 2 : 2) {
        least[w] = w == 1 ? (int64_t)(flags & CHAIN_IN_WATERMARK) : 0;
    }
    to->data = (const char *)least;
    to->bytes = parts->part.bytes;
    return 0;
}

/* The first list that has items, or the first. */
static int
first_copy(const struct savepoint_part *parts, uint32_t part_cnt, struct weir_savepoint_part *to)
{
    for (uint32_t i = 0; i < part_cnt; i++) {
        uint64_t cnt = 0;
        int err = items_of(&parts[i], NULL, &cnt);
        if (err < 0) {
            return err;
        }
        if (cnt > 0) {
            to->data = parts[i].part.data;
            to->bytes = parts[i].part.bytes;
            return 0;
        }
    }
    return 0;
}

/* The parts of one name and operator become one. WEIR_AGAIN: they cannot. */
static int
part_merge(struct weir_savepoint_source *source, const struct savepoint_part *parts,
    uint32_t part_cnt, struct weir_savepoint_part *to)
{
    uint32_t kind = parts->kind->kind;
    if (kind == WEIR_STATE_PART_WATERMARKS) {
        return watermarks_merge(source, parts, part_cnt, to);
    }
    if (kind == WEIR_STATE_PART_BROADCAST) {
        return first_copy(parts, part_cnt, to);
    }
    if (kind == WEIR_STATE_PART_LIST || kind == WEIR_STATE_PART_BAG ||
        kind == WEIR_STATE_PART_UNION) {
        struct item *items = NULL;
        uint64_t cnt = 0;
        int err = items_all(parts, part_cnt, &items, &cnt);
        if (err == 0) {
            err = items_clash(items, cnt, parts->kind->id_bytes)
                      ? (int)WEIR_AGAIN
                      : put_items(source, items, cnt, to);
        }
        free(items);
        return err;
    }
    int64_t *least = weir_savepoint_keep(&source->keep, sizeof *least);
    if (least == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
    }
    *least = kind == WEIR_STATE_PART_HINT ? 0 : INT64_MAX;
    to->data = (const char *)least;
    to->bytes = sizeof *least;
    for (uint32_t i = 0; i < part_cnt; i++) {
        int64_t word;
        if (parts[i].part.bytes != sizeof word) {
            return malformed(&parts[i]);
        }
        memcpy(&word, parts[i].part.data, sizeof word);
        *least = kind == WEIR_STATE_PART_HINT ? 0 : weir_min_i64(*least, word);
    }
    return 0;
}

static uint32_t
name_end(const struct weir_savepoint_source *source, uint32_t from, uint32_t end)
{
    uint32_t to = from + 1;
    while (to < end && strcmp(source->parts[to].name, source->parts[from].name) == 0) {
        to++;
    }
    return to;
}

static struct weir_savepoint_part *
part_new(struct weir_savepoint_source *source, const struct savepoint_part *from, uint32_t kind)
{
    struct weir_savepoint_part *to = &source->part_rows[source->savepoint.part_cnt++];
    *to = (struct weir_savepoint_part){.name = from->name,
        .version = from->part.version,
        .op_idx = source->savepoint.operator_cnt,
        .kind = kind,
        .bytes = from->part.bytes,
        .data = from->part.data};
    return to;
}

/* Parts [from, to) are those of the next operator of the catalogue. */
static int
parts_apply(struct weir_savepoint_source *source, uint32_t from, uint32_t to)
{
    uint32_t cnt_before = source->savepoint.part_cnt;
    int err = 0;
    for (uint32_t at = from; at < to && err == 0;) {
        uint32_t end = name_end(source, at, to);
        const struct savepoint_part *first = &source->parts[at];
        err = first->kind->kind == WEIR_STATE_PART_SUBTASK ? (int)WEIR_AGAIN : 0;
        for (uint32_t i = at + 1; i < end && err == 0; i++) {
            err = source->parts[i].part.version == first->part.version
                      ? 0
                      : weir_err_push(WEIR_EDATA, "part %s of operator %s is of several versions",
                            first->name, first->uid);
        }
        err = err != 0
                  ? err
                  : part_merge(source, first, end - at, part_new(source, first, first->kind->kind));
        at = end;
    }
    if (err != WEIR_AGAIN) {
        return err;
    }
    source->savepoint.part_cnt = cnt_before; /* each subtask's own, all of them */
    for (uint32_t at = from; at < to; at++) {
        part_new(source, &source->parts[at], WEIR_STATE_PART_SUBTASK)->subtask =
            source->parts[at].subtask;
    }
    return 0;
}

/* ---- the catalogue ---- */

static int
state_new(struct weir_savepoint_source *source, const struct savepoint_table *table)
{
    struct weir_savepoint_state *to = &source->state_rows[source->savepoint.state_cnt];
    struct weir_state_fields *now = &source->now[source->savepoint.state_cnt++];
    const struct weir_table_spec *spec = &table->table->spec;
    int err = weir_state_describe(table->op, table->desc, spec->val_bytes, now);
    if (err < 0) {
        return err;
    }
    *to = (struct weir_savepoint_state){.name = table->desc->name,
        .op_idx = source->savepoint.operator_cnt,
        .key_kind = spec->key_kind,
        .has_no_key = now->has_no_key,
        .is_timers = now->is_timers,
        .tail_cnt = spec->tail_cnt,
        .field_cnt = now->field_cnt,
        .tables = &source->table_rows[source->table_row_cnt]};
    for (uint32_t i = 0; i < spec->tail_cnt; i++) {
        to->tail[i] = now->tail[i] != NULL ? now->tail[i] : i == 0 ? "tail" : "tail2";
    }
    return weir_savepoint_fields_of(&source->keep, now, &to->fields);
}

/* Tables [from, to) are those of the next operator. */
static int
tables_apply(struct weir_savepoint_source *source, uint32_t from, uint32_t to)
{
    int err = 0;
    for (uint32_t i = from; i < to && err == 0; i++) {
        struct savepoint_table *at = &source->tables[i];
        const struct savepoint_table *before = i > from ? at - 1 : NULL;
        bool is_new = before == NULL || !is_same_state(before, at);
        err = is_new ? state_new(source, at) : check_pair(before, at);
        at->state = source->savepoint.state_cnt - 1;
        if (err == 0 && (is_new || before->table->ns != at->table->ns)) {
            source->table_rows[source->table_row_cnt++] =
                (struct weir_savepoint_table){at->table->ns, weir_table_name(at->table)->owner};
            source->state_rows[at->state].table_cnt++;
        }
    }
    return err;
}

static uint32_t
groups_of(const struct weir_operator *op, const struct weir_arena *arena)
{
    return arena != NULL     ? arena->spec.max_parallelism
           : op->env != NULL ? op->env->max_parallelism
                             : 0;
}

/* The operators by uid: those that have tables or parts. */
static int
operators_apply(struct weir_savepoint_source *source)
{
    uint32_t table = 0;
    uint32_t part = 0;
    int err = 0;
    while (err == 0 && (table < source->table_cnt || part < source->part_cnt)) {
        const char *left = table < source->table_cnt ? source->tables[table].op->uid : NULL;
        const char *right = part < source->part_cnt ? source->parts[part].uid : NULL;
        const char *uid = left == NULL || (right != NULL && strcmp(right, left) < 0) ? right : left;
        uint32_t tables = table;
        uint32_t parts = part;
        while (table < source->table_cnt && strcmp(source->tables[table].op->uid, uid) == 0) {
            table++;
        }
        while (part < source->part_cnt && strcmp(source->parts[part].uid, uid) == 0) {
            part++;
        }
        struct weir_savepoint_operator *to = &source->operator_rows[source->savepoint.operator_cnt];
        const struct weir_operator *op =
            tables < table ? source->tables[tables].op : source->parts[parts].op;
        *to = (struct weir_savepoint_operator){.uid = uid,
            .type = op->type->name,
            .parallelism_max =
                groups_of(op, tables < table ? source->tables[tables].table->arena : NULL),
            .first_state = source->savepoint.state_cnt,
            .first_part = source->savepoint.part_cnt};
        err = tables_apply(source, tables, table);
        err = err < 0 ? err : parts_apply(source, parts, part);
        to->state_cnt = source->savepoint.state_cnt - to->first_state;
        to->part_cnt = source->savepoint.part_cnt - to->first_part;
        source->savepoint.group_cnt =
            (uint32_t)weir_max_u64(source->savepoint.group_cnt, to->parallelism_max);
        source->savepoint.operator_cnt++;
    }
    return err;
}

static uint32_t
part_cnt_of(const struct weir_savepoint_task *task)
{
    return task->parts != NULL ? task->parts->part_cnt : 0;
}

int
weir_savepoint_gather(struct weir_savepoint_source *source)
{
    const struct weir_savepoint_spec *spec = &source->spec;
    struct savepoint_keep *keep = &source->keep;
    uint64_t table_cnt = 1;
    uint64_t part_cnt = 1;
    for (uint32_t i = 0; i < spec->task_cnt; i++) {
        table_cnt += spec->tasks[i].arena != NULL ? spec->tasks[i].arena->table_fresh : 0;
        part_cnt += part_cnt_of(&spec->tasks[i]);
    }
    uint64_t operator_cnt = table_cnt + part_cnt;
    source->tables = weir_savepoint_keep(keep, table_cnt * sizeof *source->tables);
    source->parts = weir_savepoint_keep(keep, part_cnt * sizeof *source->parts);
    source->heres = weir_savepoint_keep(keep, table_cnt * sizeof *source->heres);
    source->disks = weir_savepoint_keep(keep, part_cnt * sizeof *source->disks);
    source->operator_rows = weir_savepoint_keep(keep, operator_cnt * sizeof *source->operator_rows);
    source->table_rows = weir_savepoint_keep(keep, table_cnt * sizeof *source->table_rows);
    source->part_rows = weir_savepoint_keep(keep, part_cnt * sizeof *source->part_rows);
    if (source->tables == NULL || source->parts == NULL || source->heres == NULL ||
        source->disks == NULL || source->operator_rows == NULL || source->table_rows == NULL ||
        source->part_rows == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the catalogue of a savepoint");
    }
    int err = 0;
    for (uint32_t i = 0; i < spec->task_cnt && err == 0; i++) {
        err = tables_of(source, &spec->tasks[i]);
        err = err < 0 ? err : parts_of(source, &spec->tasks[i]);
    }
    if (err < 0) {
        return err;
    }
    qsort(source->tables, source->table_cnt, sizeof *source->tables, table_order);
    qsort(source->parts, source->part_cnt, sizeof *source->parts, part_order);
    uint64_t state_cnt = 1;
    for (uint32_t i = 1; i < source->table_cnt; i++) {
        state_cnt += !is_same_state(&source->tables[i - 1], &source->tables[i]);
    }
    source->state_rows = weir_savepoint_keep(keep, state_cnt * sizeof *source->state_rows);
    source->now = weir_savepoint_keep(keep, state_cnt * sizeof *source->now);
    if (source->state_rows == NULL || source->now == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the catalogue of a savepoint");
    }
    source->savepoint.job = spec->job;
    source->savepoint.operators = source->operator_rows;
    source->savepoint.states = source->state_rows;
    source->savepoint.parts = source->part_rows;
    err = operators_apply(source);
    if (err == 0) {
        disks_apply(source);
    }
    return err;
}
