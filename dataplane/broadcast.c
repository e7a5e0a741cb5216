/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/broadcast.h"

#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"

#define CAP_FIRST 16

static struct weir_slice
key_of(const struct weir_broadcast_entry *entry)
{
    size_t off = weir_align_up(entry->val_bytes, sizeof(uint64_t));
    return (struct weir_slice){entry->bytes + off, entry->key_bytes};
}

static int
compare(struct weir_slice a, struct weir_slice b)
{
    uint32_t bytes = weir_min_u32(a.bytes, b.bytes);
    int order = bytes > 0 ? memcmp(a.ptr, b.ptr, bytes) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* The place of the first key that is not below this one; *ret_found: it is this one. */
static uint32_t
place_of(const struct weir_broadcast *map, struct weir_slice key, bool *ret_found)
{
    uint32_t lo = 0;
    uint32_t hi = map->cnt;
    *ret_found = false;
    while (lo < hi) { /* at most 32 steps */
        uint32_t mid = (lo + hi) / 2;
        int order = compare(key_of(map->at[mid]), key);
        if (order == 0) {
            *ret_found = true;
            return mid;
        }
        lo = order < 0 ? mid + 1 : lo;
        hi = order < 0 ? hi : mid;
    }
    return lo;
}

void
weir_broadcast_fini(struct weir_broadcast *map)
{
    for (uint32_t i = 0; i < map->cnt; i++) {
        free(map->at[i]);
    }
    free(map->at);
    memset(map, 0, sizeof *map);
}

const void *
weir_broadcast_find(const struct weir_broadcast *map, struct weir_slice key, uint32_t *ret_bytes)
{
    bool found;
    uint32_t at = place_of(map, key, &found);
    if (!found) {
        return NULL;
    }
    *ret_bytes = map->at[at]->val_bytes;
    return map->at[at]->bytes;
}

static uint64_t
bytes_of(const struct weir_broadcast_entry *entry)
{
    return (uint64_t)entry->key_bytes + entry->val_bytes;
}

int
weir_broadcast_put(struct weir_broadcast *map, struct weir_slice key, struct weir_slice val)
{
    bool found;
    uint32_t at = place_of(map, key, &found);
    uint64_t before = found ? bytes_of(map->at[at]) : 0;
    uint64_t bytes = map->bytes - before + key.bytes + val.bytes;
    if (bytes > WEIR_BROADCAST_BYTES_MAX) {
        return weir_err_push(WEIR_EBUDGET, "broadcast state of more than %llu bytes",
            (unsigned long long)WEIR_BROADCAST_BYTES_MAX);
    }
    if (map->cnt == map->cap) {
        uint32_t cap = map->cap == 0 ? CAP_FIRST : 2 * map->cap;
        struct weir_broadcast_entry **grown = realloc(map->at, cap * sizeof *grown);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "%u entries of broadcast state", cap);
        }
        map->at = grown;
        map->cap = cap;
    }
    size_t key_off = weir_align_up(val.bytes, sizeof(uint64_t));
    struct weir_broadcast_entry *entry = malloc(sizeof *entry + key_off + key.bytes);
    if (entry == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%u bytes of broadcast state", key.bytes + val.bytes);
    }
    entry->key_bytes = key.bytes;
    entry->val_bytes = val.bytes;
    if (val.bytes > 0) {
        memcpy(entry->bytes, val.ptr, val.bytes);
    }
    if (key.bytes > 0) {
        memcpy(entry->bytes + key_off, key.ptr, key.bytes);
    }
    if (found) {
        free(map->at[at]);
    } else {
        memmove(&map->at[at + 1], &map->at[at], (map->cnt - at) * sizeof map->at[0]);
        map->cnt++;
    }
    map->at[at] = entry;
    map->bytes = bytes;
    return 0;
}

bool
weir_broadcast_delete(struct weir_broadcast *map, struct weir_slice key)
{
    bool found;
    uint32_t at = place_of(map, key, &found);
    if (!found) {
        return false;
    }
    map->bytes -= bytes_of(map->at[at]);
    free(map->at[at]);
    map->cnt--;
    memmove(&map->at[at], &map->at[at + 1], (map->cnt - at) * sizeof map->at[0]);
    return true;
}

bool
weir_broadcast_at(const struct weir_broadcast *map, uint32_t idx, struct weir_slice *ret_key,
    struct weir_slice *ret_val)
{
    if (idx >= map->cnt) {
        return false;
    }
    *ret_key = key_of(map->at[idx]);
    *ret_val = (struct weir_slice){map->at[idx]->bytes, map->at[idx]->val_bytes};
    return true;
}

/* ---- checkpoints ---- */

void
weir_broadcast_snapshot(const struct weir_broadcast *map, struct weir_parts_writer *parts)
{
    weir_state_list_begin(parts, WEIR_BROADCAST_PART, WEIR_BROADCAST_VERSION, map->cnt);
    for (uint32_t i = 0; i < map->cnt; i++) {
        const struct weir_broadcast_entry *entry = map->at[i];
        struct weir_slice key = key_of(entry);
        weir_state_item(parts, sizeof(uint64_t) + bytes_of(entry));
        weir_parts_put_u64(parts, key.bytes);
        weir_parts_put(parts, key.ptr, key.bytes);
        weir_parts_put(parts, entry->bytes, entry->val_bytes);
    }
    weir_state_list_end(parts);
}

int
weir_broadcast_restore(struct weir_broadcast *map, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct weir_state_list list;
    struct weir_part item;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = WEIR_BROADCAST_PART;
    list.version_max = WEIR_BROADCAST_VERSION;
    list.is_broadcast = true;
    while ((got = weir_state_list_next(&list, &item)) == 1) {
        if (WEIR_MUTANT(BROADCAST_NOT_RESTORED)) {
            continue;
        }
        uint64_t key_bytes;
        int err = weir_part_get_u64(&item, &key_bytes);
        if (err == 0 && key_bytes > item.bytes - item.at) {
            err = weir_err_push(WEIR_EDATA, "an entry of broadcast state is too short for its key");
        }
        if (err == 0) {
            const char *key = item.data + item.at;
            uint32_t val_bytes = item.bytes - item.at - (uint32_t)key_bytes;
            err = weir_broadcast_put(map, (struct weir_slice){key, (uint32_t)key_bytes},
                (struct weir_slice){key + key_bytes, val_bytes});
        }
        if (err < 0) {
            return err;
        }
    }
    return got;
}
