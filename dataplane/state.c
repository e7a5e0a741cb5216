/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/aggregate.h"

/* ---- states with names ---- */

uint32_t
weir_state_id(const char *uid, const char *name)
{
    uint64_t hash =
        weir_hash_join(weir_hash_bytes(uid, strlen(uid)), weir_hash_bytes(name, strlen(name)));
    uint32_t id = (uint32_t)(hash >> 32);
    return id != 0 ? id : 1;
}

const struct weir_state_desc *
weir_state_desc_at(const struct weir_state_owner *owner, uint32_t idx)
{
    const struct weir_operator_type *type = owner->type;
    if (idx < type->state_cnt) {
        return &type->states[idx];
    }
    return type->conf_state != NULL && owner->conf != NULL
               ? type->conf_state(owner->conf, idx - type->state_cnt)
               : NULL;
}

const struct weir_state_desc *
weir_state_desc_of(const struct weir_state_owner *owner, uint32_t state_id)
{
    const struct weir_state_desc *desc;
    for (uint32_t i = 0; (desc = weir_state_desc_at(owner, i)) != NULL; i++) {
        if (weir_state_id(owner->uid, desc->name) == state_id) {
            return desc;
        }
    }
    return NULL;
}

int
weir_state_check_ids(const struct weir_state_owner *owners, uint32_t owner_cnt)
{
    for (uint32_t i = 0; i < owner_cnt; i++) {
        const struct weir_state_desc *desc;
        for (uint32_t s = 0; (desc = weir_state_desc_at(&owners[i], s)) != NULL; s++) {
            uint32_t id = weir_state_id(owners[i].uid, desc->name);
            for (uint32_t j = 0; j <= i; j++) {
                const struct weir_state_desc *other = weir_state_desc_of(&owners[j], id);
                if (other != NULL && (j < i || other != desc)) {
                    return weir_err_push(WEIR_EPLAN,
                        "state %s of operator %s and state %s of operator %s get one number: give "
                        "one of them another uid",
                        other->name, owners[j].uid, desc->name, owners[i].uid);
                }
            }
        }
    }
    return 0;
}

void
weir_state_put_field(
    struct weir_state_fields *fields, const char *name, uint32_t type, uint32_t off)
{
    fields->field[fields->field_cnt++].field = (struct weir_field){
        .name = name, .type = (uint16_t)type, .off = off, .bytes = sizeof(uint64_t)};
}

void
weir_state_put_aggregate(struct weir_state_fields *fields, const struct weir_aggregate *aggregate)
{
    struct weir_field field[WEIR_FIELD_CNT_MAX];
    uint32_t cnt = weir_aggregate_fields(aggregate, field);
    if (cnt == 0) {
        weir_state_put_field(fields, "accumulator", WEIR_STATE_BYTES, 0);
        fields->field[fields->field_cnt - 1].field.bytes = aggregate->acc_bytes;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        fields->field[fields->field_cnt++].field = field[i];
    }
}

int
weir_state_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    uint32_t val_bytes, struct weir_state_fields *ret_fields)
{
    memset(ret_fields, 0, sizeof *ret_fields);
    if (desc->values != NULL) {
        return desc->values->describe(op, desc, ret_fields);
    }
    if (desc->move != NULL) {
        return weir_err_push(WEIR_ESTATE,
            "state %s of operator %s refers to other pages and does not say what its values are: a "
            "savepoint cannot hold it",
            desc->name, op->uid);
    }
    ret_fields->field_cnt = 1;
    ret_fields->field[0].field = (struct weir_field){
        .name = "value", .type = WEIR_STATE_BYTES, .off = 0, .bytes = val_bytes};
    return 0;
}

char *
weir_state_room_for(struct weir_state_room *room, uint64_t bytes)
{
    if (bytes > room->bytes) {
        uint64_t more = weir_max_u64(bytes, room->bytes + room->bytes / 2);
        char *mem = realloc(room->mem, more);
        if (mem == NULL) {
            return NULL;
        }
        room->mem = mem;
        room->bytes = more;
    }
    return room->mem;
}

/* ---- tables ---- */

struct weir_table *
weir_state_next(const struct weir_arena *arena, uint32_t state_id, uint32_t *idx)
{
    while (*idx < arena->table_fresh) {
        struct weir_table *table = weir_table_at(arena, (*idx)++);
        if (table != NULL && table->spec.state_id == state_id) {
            return table;
        }
    }
    return NULL;
}

int
weir_state_find(const struct weir_operator *op, const char *name,
    const struct weir_table_spec *spec, int64_t ns, struct weir_table **ret_table)
{
    const struct weir_state_owner owner = {op->uid, op->type, op->conf};
    uint32_t id = weir_state_id(op->uid, name);
    uint64_t val_bytes = weir_max_u64(8, weir_align_up(spec->val_bytes, 8));
    struct weir_table *table;
    uint32_t idx = 0;
    WEIR_CHECK(weir_state_desc_of(&owner, id) != NULL, "%s has no state %s", op->type->name, name);
    do {
        table = weir_state_next(op->env->arena, id, &idx);
    } while (table != NULL && table->ns != ns);
    if (table != NULL &&
        (table->spec.key_kind != spec->key_kind || table->spec.val_bytes != val_bytes ||
            table->spec.tail_cnt != spec->tail_cnt)) {
        return weir_err_push(WEIR_ESTATE,
            "state %s of operator %s was saved with keys of kind %u and values of %u bytes; now "
            "they are of kind %u and %u bytes",
            name, op->uid, table->spec.key_kind, table->spec.val_bytes, spec->key_kind,
            (uint32_t)val_bytes);
    }
    *ret_table = table;
    return 0;
}

int
weir_state_take(const struct weir_operator *op, const char *name,
    const struct weir_table_spec *spec, int64_t ns, struct weir_table **ret_table)
{
    struct weir_table_spec named = *spec;
    int err = weir_state_find(op, name, spec, ns, ret_table);
    if (err < 0 || *ret_table != NULL) {
        return err;
    }
    named.state_id = weir_state_id(op->uid, name);
    return weir_table_take(op->env->arena, &named, ns, ret_table);
}

/* ---- items of operator state ---- */

/* Operators that are run by hand have no number of subtasks. */
static uint32_t
subtask_cnt(const struct weir_operator *op)
{
    return op->env->subtask_cnt != 0 ? op->env->subtask_cnt : 1;
}

void
weir_state_list_init(struct weir_state_list *list, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    memset(list, 0, sizeof *list);
    list->parts = parts;
    list->parts_cnt = parts_cnt;
    list->subtask_idx = op->env->subtask_idx;
    list->subtask_cnt = subtask_cnt(op);
}

/* The old subtask whose copy of a broadcast list this one reads: from its own number on, the first
 * that has items. */
static int
choose_copy(struct weir_state_list *list)
{
    list->is_chosen = true;
    list->chosen = list->parts_cnt;
    for (uint32_t i = 0; i < list->parts_cnt; i++) {
        uint32_t old = (list->subtask_idx + i) % list->parts_cnt;
        struct weir_part part;
        uint64_t item_cnt = 0;
        if (!weir_parts_has(&list->parts[old], list->name)) {
            continue;
        }
        int err = weir_parts_find(&list->parts[old], list->name, list->version_max, &part);
        err = err < 0 ? err : weir_part_get_u64(&part, &item_cnt);
        if (err < 0) {
            return err;
        }
        if (item_cnt > 0) {
            list->chosen = old;
            break;
        }
    }
    list->at = list->chosen;
    return 0;
}

/* Whether the next item is this subtask's. With as many as before each has its own. */
static bool
is_own(const struct weir_state_list *list)
{
    if (list->is_broadcast) {
        return list->at == list->chosen;
    }
    if ((list->is_union && !WEIR_MUTANT(UNION_CUT)) || WEIR_MUTANT(LIST_UNCUT)) {
        return true;
    }
    if (list->parts_cnt == list->subtask_cnt) {
        return list->at == list->subtask_idx;
    }
    return list->number % list->subtask_cnt == list->subtask_idx;
}

static int
item_take(struct weir_state_list *list, struct weir_part *ret_item)
{
    uint64_t bytes;
    int err = weir_part_get_u64(&list->part, &bytes);
    if (err < 0) {
        return err;
    }
    if (bytes > list->part.bytes - list->part.at) {
        return weir_err_push(WEIR_EDATA, "an item of part %s of operator %s is cut off", list->name,
            list->parts[list->at].uid);
    }
    *ret_item = list->part;
    ret_item->data = list->part.data + list->part.at;
    ret_item->bytes = (uint32_t)bytes;
    ret_item->at = 0;
    list->part.at += (uint32_t)bytes;
    list->left--;
    return 0;
}

int
weir_state_list_next(struct weir_state_list *list, struct weir_part *ret_item)
{
    if (list->is_broadcast && !list->is_chosen) {
        int err = choose_copy(list);
        if (err < 0) {
            return err;
        }
    }
    while (list->at < list->parts_cnt) {
        int err = 0;
        if (!list->is_open) {
            err =
                weir_parts_find(&list->parts[list->at], list->name, list->version_max, &list->part);
            err = err < 0 ? err : weir_part_get_u64(&list->part, &list->left);
            list->is_open = true;
        }
        if (err == 0 && list->left == 0) {
            err = weir_part_end(&list->part);
            list->at = list->is_broadcast ? list->parts_cnt : list->at + 1;
            list->is_open = false;
        } else if (err == 0) {
            bool own = is_own(list);
            err = item_take(list, ret_item);
            list->number++;
            if (err == 0 && own) {
                return 1;
            }
        }
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int
weir_state_word_least(const struct weir_operator *op, const struct weir_parts_reader *parts,
    uint32_t parts_cnt, const char *name, int64_t *ret_word)
{
    bool is_same = parts_cnt == subtask_cnt(op);
    int64_t least = INT64_MAX;
    if (parts_cnt == 0) {
        return weir_err_push(WEIR_EDATA, "no subtask has left part %s", name);
    }
    for (uint32_t i = 0; i < parts_cnt; i++) {
        struct weir_part part;
        uint64_t word = 0;
        int err = weir_parts_find(&parts[i], name, WEIR_STATE_WORD_VERSION, &part);
        err = err < 0 ? err : weir_part_get_u64(&part, &word);
        err = err < 0 ? err : weir_part_end(&part);
        if (err < 0) {
            return err;
        }
        if (!is_same || i == op->env->subtask_idx) {
            least = weir_min_i64(least, (int64_t)word);
        }
    }
    *ret_word = least;
    return 0;
}
