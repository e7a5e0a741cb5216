/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/blob.h"

#include <string.h>

static struct weir_blob *
blob_at(const struct weir_arena *arena, uint32_t ref)
{
    return (struct weir_blob *)weir_arena_ptr(arena, ref);
}

int
weir_blob_put(struct weir_arena *arena, uint32_t group, struct weir_slice text, uint32_t *ret_ref)
{
    uint32_t first = 0;
    uint32_t *link = &first;
    uint32_t done = 0;
    do {
        uint32_t bytes = weir_min_u32(text.bytes - done, (uint32_t)WEIR_BLOB_PIECE_BYTES_MAX);
        uint32_t class_idx = weir_arena_class_of(bytes + (uint32_t)sizeof(struct weir_blob));
        uint32_t ref;
        int err = weir_arena_block_take(arena, group, class_idx, &ref);
        if (err < 0) {
            weir_blob_give(arena, first);
            return err;
        }
        struct weir_blob *blob = blob_at(arena, ref);
        blob->bytes = bytes;
        if (bytes > 0) {
            memcpy(blob->data, text.ptr + done, bytes);
        }
        done += bytes;
        *link = ref;
        link = &blob->next;
    } while (done < text.bytes);
    *ret_ref = first;
    return 0;
}

void
weir_blob_give(struct weir_arena *arena, uint32_t ref)
{
    while (ref != 0) {
        uint32_t next = blob_at(arena, ref)->next;
        weir_arena_block_give(arena, ref);
        ref = next;
    }
}

uint64_t
weir_blob_bytes(const struct weir_arena *arena, uint32_t ref)
{
    uint64_t bytes = 0;
    for (; ref != 0; ref = blob_at(arena, ref)->next) {
        bytes += blob_at(arena, ref)->bytes;
    }
    return bytes;
}

void
weir_blob_read(const struct weir_arena *arena, uint32_t ref, char *dst)
{
    for (; ref != 0; ref = blob_at(arena, ref)->next) {
        const struct weir_blob *blob = blob_at(arena, ref);
        memcpy(dst, blob->data, blob->bytes);
        dst += blob->bytes;
    }
}

bool
weir_blob_equal(const struct weir_arena *arena, uint32_t ref, struct weir_slice text)
{
    uint32_t done = 0;
    for (; ref != 0; ref = blob_at(arena, ref)->next) {
        const struct weir_blob *blob = blob_at(arena, ref);
        if (blob->bytes > text.bytes - done ||
            memcmp(blob->data, text.ptr + done, blob->bytes) != 0) {
            return false;
        }
        done += blob->bytes;
    }
    return done == text.bytes;
}
