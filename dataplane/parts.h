/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h: the small parts of a task's snapshot: named byte strings, per operator, in one buffer.
 *
 * What does not lie in state pages is a part: watermarks and idle flags, source positions, lists,
 * sums of the ledger. Each has the uid of its operator, a name, a version of its own, and bytes
 * that only its owner understands. The buffer is what is stored; it holds no pointers.
 *
 * [format: Checkpoints / Small parts of a task (WEIR_PARTS_VERSION)]
 *
 *      0 magic "WEIRPART"        8 version (u32)   12 part_cnt (u32)   16 bytes in all (u64)
 *     24 CRC32C of the whole buffer, this field taken as 0             28 zero
 *     32 parts, each at a multiple of 8:
 *         0 bytes (u32)   4 version (u32)   8 uid_bytes (u16)  10 name_bytes (u16)  12 zero (u32)
 *        16 uid, then name, zeros up to a multiple of 8, then the bytes, zeros likewise
 *
 * Little-endian.
 *
 * [end of format]
 *
 * It is no container for rows: a part is small, and all of it is in memory.
 *
 * Limits: WEIR_PARTS_CNT_MAX parts of a buffer, WEIR_PARTS_TEXT_BYTES_MAX bytes of a uid or name.
 */
#ifndef WEIR_DATAPLANE_PARTS_H
#define WEIR_DATAPLANE_PARTS_H

#include "base/base.h"

WEIR_C_BEGIN

#define WEIR_PARTS_VERSION 1
#define WEIR_PARTS_HEAD_BYTES 32
/* All operators of a stage, a dozen parts each. */
#define WEIR_PARTS_CNT_MAX 1024
#define WEIR_PARTS_TEXT_BYTES_MAX 255

/* Being filled. The first error stays; all later calls do nothing, and finish() tells it. */
struct weir_parts_writer {
    char *buf;
    size_t cap;
    size_t bytes;
    size_t part_off; /* of the open part, 0: none is open */
    uint32_t part_cnt;
    int error;
    const char *uid;
    size_t uid_off; /* where the parts of this operator begin */
    const char *name; /* of the open part */
};

/* weir_parts_writer_init - start in buf, which is 8-aligned; keeps it until finish(). */
WEIR_API void weir_parts_writer_init(struct weir_parts_writer *writer, void *buf, size_t cap);
/* weir_parts_writer_of - the parts that follow are those of operator `uid`, all of them: once per
 * operator. Borrows the text until the next call of this. */
WEIR_API void weir_parts_writer_of(struct weir_parts_writer *writer, const char *uid);
/* weir_parts_begin, weir_parts_end - a part of that operator; its name is new to it.
 *
 * Errors:  by finish(): WEIR_EINVAL where the name is taken, empty or too long.
 */
WEIR_API void
weir_parts_begin(struct weir_parts_writer *writer, const char *name, uint32_t version);
WEIR_API void weir_parts_end(struct weir_parts_writer *writer);
/* weir_parts_put - append bytes to the open part. */
WEIR_API void weir_parts_put(struct weir_parts_writer *writer, const void *data, size_t bytes);
WEIR_API void weir_parts_put_u64(struct weir_parts_writer *writer, uint64_t value);
/* weir_parts_finish - head and checksum; the buffer is whole.
 *
 * Returns: 0, *ret_bytes are to be stored; or the first error: WEIR_EBUDGET where the buffer was
 *          too small (named: the part that did not fit), WEIR_EINVAL.
 */
WEIR_API WEIR_MUST_USE int weir_parts_finish(struct weir_parts_writer *writer, size_t *ret_bytes);

/* One part, and how far it has been read. Borrows the reader's buffer. */
struct weir_part {
    const char *uid; /* not terminated */
    const char *name; /* not terminated */
    uint32_t uid_bytes;
    uint32_t name_bytes;
    uint32_t version;
    uint32_t bytes;
    const char *data;
    uint32_t at;
};

struct weir_parts_reader {
    const char *buf;
    size_t bytes;
    uint32_t part_cnt;
    const char *uid; /* whose parts weir_parts_find looks for */
};

/* weir_parts_reader_init - check the whole buffer; borrows it as long as the reader is used.
 *
 * Errors:  WEIR_EFORMAT: not such a buffer, or of a later version; WEIR_EDATA: damaged, with the
 *          place in the context. Never reads outside [buf, buf + bytes), whatever is in it.
 */
WEIR_API WEIR_MUST_USE int
weir_parts_reader_init(struct weir_parts_reader *reader, const void *buf, size_t bytes);
/* weir_parts_reader_of - parts are those of operator `uid` from here on; borrowed likewise. */
WEIR_API void weir_parts_reader_of(struct weir_parts_reader *reader, const char *uid);
/* weir_parts_find - a part of that operator, by name.
 *
 * Errors:  WEIR_EDATA: it is not there; WEIR_EFORMAT: it is of a version above version_max.
 */
WEIR_API WEIR_MUST_USE int weir_parts_find(const struct weir_parts_reader *reader, const char *name,
    uint32_t version_max, struct weir_part *ret_part);
/* weir_parts_has - whether it is there. */
WEIR_API bool weir_parts_has(const struct weir_parts_reader *reader, const char *name);
/* weir_parts_next - walk over all parts of all operators; *offset starts at 0.
 * Returns: 1; 0 after the last. */
WEIR_API int
weir_parts_next(const struct weir_parts_reader *reader, size_t *offset, struct weir_part *ret_part);
/* weir_part_get - the next bytes of a part. WEIR_EDATA where it has fewer. */
WEIR_API WEIR_MUST_USE int weir_part_get(struct weir_part *part, void *ret_data, size_t bytes);
WEIR_API WEIR_MUST_USE int weir_part_get_u64(struct weir_part *part, uint64_t *ret_value);
/* weir_part_end - all of it was read; WEIR_EDATA where there is more. */
WEIR_API WEIR_MUST_USE int weir_part_end(const struct weir_part *part);

WEIR_C_END

#endif
