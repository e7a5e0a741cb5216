/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h: what one complete checkpoint is: the files, positions and transactions it consists
 * of.
 *
 * [format: Checkpoints / Manifest (WEIR_MANIFEST_VERSION)]
 *
 *   0  magic "WEIRMANI"   8 version u32   12 kind u32 (1 checkpoint, 2 savepoint)
 *  16  all bytes u64     24 job u64      32 checkpoint u64   40 epoch u64
 *  48  parent checkpoint u64 (0: none)   56 parent epoch u64
 *  64  hash of the configuration u64     72 started, ns since 1970, i64   80 duration ns u64
 *  88  longest stall ns u64              96 counts u32 x 6: files, operators, state ids, sources,
 *                                             transactions, counters
 * 120  zeros to 128
 * 128  name of the job (text)
 *      files:        name text, file bytes u64, payload bytes u64, checkpoint u64, epoch u64,
 *                    attempt u64, task u32, subtask u32, footer bytes u32, footer CRC u32
 *      operators:    uid text, name text, max parallelism u32, parallelism u32, state ids u32,
 *                    first state id u32 (into the next list)
 *      state ids:    u32 each
 *      sources:      uid text, subtask u32, position (bytes)
 *      transactions: uid text, subtask u32, what the sink needs to commit it (bytes)
 *      counters:     name text, value u64
 *      CRC32C u32 of all bytes before it
 *
 *   text:  length u32, the characters, a zero byte      bytes:  length u32, the bytes
 *
 * Little-endian, nothing is padded. A file's checkpoint and epoch are those under which it was
 * written: for a part that is shared with an older checkpoint, the older ones.
 *
 * [end of format]
 *
 * The decoder takes hostile bytes: it believes no count and no length that what is there cannot
 * hold, and allocates once, in proportion to the input.
 *
 * Thread:  any; pure.
 */
#ifndef WEIR_DATAPLANE_MANIFEST_H
#define WEIR_DATAPLANE_MANIFEST_H

#include "dataplane/snapshot.h"

WEIR_C_BEGIN

#define WEIR_MANIFEST_VERSION 1
#define WEIR_MANIFEST_HEAD_BYTES 128
#define WEIR_MANIFEST_BYTES_MAX (64 * 1024 * 1024)
#define WEIR_MANIFEST_TEXT_BYTES_MAX 4096
#define WEIR_MANIFEST_BLOB_BYTES_MAX (1024 * 1024)
#define WEIR_MANIFEST_KIND_CHECKPOINT 1
#define WEIR_MANIFEST_KIND_SAVEPOINT 2

struct weir_manifest_operator {
    const char *uid;
    const char *name;
    const uint32_t *state_ids;
    uint32_t state_id_cnt;
    uint32_t parallelism_max;
    uint32_t parallelism;
};

/* A source's position, or a sink's transaction. */
struct weir_manifest_part {
    const char *uid;
    const void *bytes_at;
    uint32_t bytes;
    uint32_t subtask;
};

struct weir_manifest_counter {
    const char *name;
    uint64_t value;
};

/* All pointers are the caller's when it is encoded; decoded, they lie in the input or in
 * `memory`. */
struct weir_manifest {
    uint32_t kind;
    uint64_t job;
    uint64_t checkpoint;
    uint64_t epoch;
    uint64_t parent_checkpoint; /* 0: none */
    uint64_t parent_epoch;
    uint64_t config_hash;
    int64_t started_ns;
    uint64_t duration_ns;
    uint64_t stall_ns;
    const char *job_name;
    const struct weir_snapshot_ack *files;
    const struct weir_manifest_operator *operators;
    const struct weir_manifest_part *sources;
    const struct weir_manifest_part *transactions;
    const struct weir_manifest_counter *counters;
    uint32_t file_cnt;
    uint32_t operator_cnt;
    uint32_t source_cnt;
    uint32_t transaction_cnt;
    uint32_t counter_cnt;
    void *memory; /* decode's one allocation; weir_manifest_fini */
};

/* weir_manifest_encode - write it into buf.
 *
 * Returns: its bytes, also where they are more than buf_bytes: then buf holds nothing of use. 0: a
 *          text or a count is over its limit.
 */
WEIR_API uint64_t weir_manifest_encode(
    const struct weir_manifest *manifest, void *buf, uint64_t buf_bytes);
/* weir_manifest_decode - read what encode wrote.
 *
 * Owner:   *ret borrows buf until weir_manifest_fini.
 * Errors:  WEIR_EDATA, WEIR_EFORMAT (another version), WEIR_ENOMEM; *ret_wrong says what, and
 *          *ret_off where.
 */
WEIR_API int weir_manifest_decode(const void *buf, uint64_t bytes, struct weir_manifest *ret,
    const char **ret_wrong, uint64_t *ret_off) WEIR_MUST_USE;
WEIR_API void weir_manifest_fini(struct weir_manifest *manifest);

WEIR_C_END

#endif
