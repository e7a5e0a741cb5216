/* SPDX-License-Identifier: Apache-2.0 */
/* blob.h: bytes of any length in the slabs of a state arena, named by a 32-bit reference.
 *
 * For what does not lie inline in a table's entry: long string keys, large values, elements of
 * lists. A blob is one piece, or a chain of pieces where it is longer than a page:
 *
 * [format: State / Blobs (WEIR_CAPTURE_VERSION)]
 *
 *     | next u32 | bytes u32 | data ... |  -> next piece
 *
 * [end of format]
 *
 * The reference 0 is no blob. A blob belongs to the key group it was put for, and is freed by the
 * entry that holds its reference, never by itself.
 *
 * Thread: the stage's core only.
 */
#ifndef WEIR_DATAPLANE_BLOB_H
#define WEIR_DATAPLANE_BLOB_H

#include "dataplane/arena.h"
#include "dataplane/types.h"

WEIR_C_BEGIN

struct weir_blob {
    uint32_t next;
    uint32_t bytes; /* of data in this piece */
    char data[];
};
#define WEIR_BLOB_PIECE_BYTES_MAX (WEIR_ARENA_BODY_BYTES - sizeof(struct weir_blob))

/* weir_blob_put - copy bytes into blocks of a key group (relative to the arena's range).
 *
 * Shape:   bytes may be 0: one empty piece. Errors: WEIR_EBUDGET; nothing is kept then.
 */
WEIR_API WEIR_MUST_USE int
weir_blob_put(struct weir_arena *arena, uint32_t group, struct weir_slice text, uint32_t *ret_ref);
/* weir_blob_give - free all pieces; takes 0. */
WEIR_API void weir_blob_give(struct weir_arena *arena, uint32_t ref);
/* weir_blob_bytes - the length of the whole. */
WEIR_API uint64_t weir_blob_bytes(const struct weir_arena *arena, uint32_t ref);
/* weir_blob_read - copy the whole into dst, which has room for weir_blob_bytes(). */
WEIR_API void weir_blob_read(const struct weir_arena *arena, uint32_t ref, char *dst);
WEIR_API bool weir_blob_equal(const struct weir_arena *arena, uint32_t ref, struct weir_slice text);

WEIR_C_END

#endif
