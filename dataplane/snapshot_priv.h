/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_priv.h: one block of a snapshot file in memory: put on its head, and looked at again.
 *
 * The layout stands in snapshot.h. Thread: any; pure.
 */
#ifndef WEIR_DATAPLANE_SNAPSHOT_PRIV_H
#define WEIR_DATAPLANE_SNAPSHOT_PRIV_H

#include "dataplane/snapshot.h"

WEIR_C_BEGIN

#define WEIR_SNAPSHOT_KIND_DATA 1
#define WEIR_SNAPSHOT_KIND_FOOTER 2
#define WEIR_SNAPSHOT_FOOTER_HEAD_BYTES 48

/* Buffers of so much and more lie in huge pages. */
#define WEIR_SNAPSHOT_HUGE_BYTES (2 * WEIR_MIB)

struct weir_snapshot_head {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint64_t job;
    uint64_t checkpoint;
    uint64_t epoch;
    uint64_t attempt;
    uint32_t task;
    uint32_t subtask;
    uint64_t off;
    uint64_t block;
    uint32_t block_bytes;
    uint32_t payload_bytes;
    uint32_t stride;
    uint32_t payload_crc;
    uint8_t zero[36];
    uint32_t head_crc;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_snapshot_head) == WEIR_SNAPSHOT_HEAD_BYTES, "as pictured");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct weir_snapshot_head, payload_crc) == 84, "as pictured");

struct weir_snapshot_footer_head {
    char magic[8];
    uint64_t file_bytes;
    uint64_t block_cnt;
    uint64_t payload_bytes;
    uint32_t blocks_crc;
    uint32_t group_cnt;
    uint32_t counter_cnt;
    uint32_t zero;
};
WEIR_STATIC_ASSERT(
    sizeof(struct weir_snapshot_footer_head) == WEIR_SNAPSHOT_FOOTER_HEAD_BYTES, "as pictured");

/* Where a block stands, and what it must say of itself. */
struct weir_snapshot_place {
    const struct weir_snapshot_id *id;
    uint64_t off;
    uint64_t block;
    uint32_t kind;
    uint32_t stride;
    uint32_t block_bytes;
};

/* weir_snapshot_block_seal - payload_bytes stand behind the head in block: zero the rest up to
 * place->block_bytes, and write the head. Returns it. */
const struct weir_snapshot_head *weir_snapshot_block_seal(
    void *block, const struct weir_snapshot_place *place, uint32_t payload_bytes);
/* weir_snapshot_block_check - NULL where all of the block is what place says; else what is wrong.
 *
 * Shape:   place->stride 0: any. *ret_err is WEIR_EDATA, or WEIR_EFORMAT for another version.
 */
const char *
weir_snapshot_block_check(const void *block, const struct weir_snapshot_place *place, int *ret_err);
/* weir_snapshot_footer_check - the same of a footer's payload, whose block has passed. */
const char *weir_snapshot_footer_check(
    const void *block, const struct weir_snapshot_ack *file, struct weir_snapshot_footer *ret);
/* weir_snapshot_pair_crc - go on with the CRC over the pairs of CRCs of all data blocks. */
uint32_t weir_snapshot_pair_crc(uint32_t crc, const struct weir_snapshot_head *head);
/* weir_snapshot_config_check - put in the defaults; WEIR_EINVAL for what is out of range. */
int weir_snapshot_config_check(struct weir_snapshot_config *config) WEIR_MUST_USE;

WEIR_C_END

#endif
