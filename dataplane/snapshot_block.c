/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/snapshot_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/mutant.h"

static const char block_magic[8] = "WEIRSNP1";
static const char footer_magic[8] = "WEIRFOOT";

#define HEAD_CRC_OFF (WEIR_SNAPSHOT_HEAD_BYTES - sizeof(uint32_t))

uint32_t
weir_snapshot_pair_crc(uint32_t crc, const struct weir_snapshot_head *head)
{
    uint32_t pair[2] = {head->head_crc, head->payload_crc};
    return weir_crc32c(crc, pair, sizeof pair);
}

const struct weir_snapshot_head *
weir_snapshot_block_seal(
    void *block, const struct weir_snapshot_place *place, uint32_t payload_bytes)
{
    uint64_t used = WEIR_SNAPSHOT_HEAD_BYTES + (uint64_t)payload_bytes;
    WEIR_CHECK(used <= place->block_bytes, "payload of %u in a block of %u", payload_bytes,
        place->block_bytes);
    memset((char *)block + used, 0, place->block_bytes - used);
    struct weir_snapshot_head *head = block;
    *head = (struct weir_snapshot_head){
        .version = WEIR_SNAPSHOT_VERSION,
        .kind = place->kind,
        .job = place->id->job,
        .checkpoint = place->id->checkpoint,
        .epoch = place->id->epoch,
        .attempt = place->id->attempt,
        .task = place->id->task,
        .subtask = place->id->subtask,
        .off = place->off,
        .block = place->block,
        .block_bytes = place->block_bytes,
        .payload_bytes = payload_bytes,
        .stride = place->stride,
    };
    memcpy(head->magic, block_magic, sizeof head->magic);
    head->payload_crc = weir_crc32c(
        0, (char *)block + WEIR_SNAPSHOT_HEAD_BYTES, place->block_bytes - WEIR_SNAPSHOT_HEAD_BYTES);
    head->head_crc = weir_crc32c(0, head, HEAD_CRC_OFF);
    return head;
}

static bool
is_id(const struct weir_snapshot_head *head, const struct weir_snapshot_id *id)
{
    return head->job == id->job && head->checkpoint == id->checkpoint && head->epoch == id->epoch &&
           head->attempt == id->attempt && head->task == id->task && head->subtask == id->subtask;
}

const char *
weir_snapshot_block_check(const void *block, const struct weir_snapshot_place *place, int *ret_err)
{
    const struct weir_snapshot_head *head = block;
    *ret_err = WEIR_EDATA;
    if (memcmp(head->magic, block_magic, sizeof head->magic) != 0) {
        return "no block of a snapshot begins here";
    }
    if (weir_crc32c(0, head, HEAD_CRC_OFF) != head->head_crc) {
        return "the checksum of the block's head does not match";
    }
    if (head->version != WEIR_SNAPSHOT_VERSION) {
        *ret_err = WEIR_EFORMAT;
        return "the block is of another version of the format";
    }
    if (!is_id(head, place->id)) {
        return "the block belongs to another job, checkpoint, attempt or task";
    }
    if (head->off != place->off || head->block != place->block || head->kind != place->kind) {
        return "the block belongs to another place of the file";
    }
    if (head->block_bytes != place->block_bytes ||
        (place->stride != 0 && head->stride != place->stride) ||
        head->payload_bytes > head->block_bytes - WEIR_SNAPSHOT_HEAD_BYTES) {
        return "the block's length does not match its place";
    }
    if (WEIR_MUTANT(READ_UNCHECKED)) {
        return NULL;
    }
    uint32_t crc = weir_crc32c(0, (const char *)block + WEIR_SNAPSHOT_HEAD_BYTES,
        place->block_bytes - WEIR_SNAPSHOT_HEAD_BYTES);
    return crc != head->payload_crc ? "the checksum of the block's payload does not match" : NULL;
}

const char *
weir_snapshot_footer_check(
    const void *block, const struct weir_snapshot_ack *file, struct weir_snapshot_footer *ret)
{
    const struct weir_snapshot_head *head = block;
    const struct weir_snapshot_footer_head *foot = (const void *)(head + 1);
    uint64_t footer_off = file->file_bytes - file->footer_bytes;
    if (head->payload_bytes < sizeof *foot ||
        memcmp(foot->magic, footer_magic, sizeof foot->magic) != 0) {
        return "the footer does not begin as one";
    }
    if (head->head_crc != file->footer_crc) {
        return "the footer is not the one that the manifest names";
    }
    if (foot->file_bytes != file->file_bytes || foot->payload_bytes != file->payload_bytes) {
        return "the footer names another length than the manifest";
    }
    if (foot->group_cnt > WEIR_SNAPSHOT_GROUP_CNT_MAX ||
        foot->counter_cnt > WEIR_SNAPSHOT_COUNTER_CNT_MAX ||
        head->payload_bytes != sizeof *foot + foot->group_cnt * sizeof(struct weir_snapshot_group) +
                                   foot->counter_cnt * sizeof(uint64_t)) {
        return "the footer's tables do not fit into it";
    }
    if (head->stride < WEIR_SNAPSHOT_BLOCK_BYTES_MIN ||
        head->stride > WEIR_SNAPSHOT_BLOCK_BYTES_MAX || head->stride % WEIR_SNAPSHOT_ALIGN != 0 ||
        foot->block_cnt != (footer_off + head->stride - 1) / head->stride) {
        return "the footer names another number of blocks than there is room for";
    }
    const struct weir_snapshot_group *groups = (const void *)(foot + 1);
    for (uint32_t i = 0; i < foot->group_cnt; i++) {
        if (groups[i].off > foot->payload_bytes ||
            groups[i].bytes > foot->payload_bytes - groups[i].off) {
            return "a key group of the footer lies outside of the payload";
        }
    }
    *ret = (struct weir_snapshot_footer){
        .block_cnt = foot->block_cnt,
        .payload_bytes = foot->payload_bytes,
        .groups = groups,
        .counters = (const void *)(groups + foot->group_cnt),
        .group_cnt = foot->group_cnt,
        .counter_cnt = foot->counter_cnt,
    };
    return NULL;
}

void
weir_snapshot_name(const struct weir_snapshot_id *id, char ret_name[WEIR_SNAPSHOT_NAME_BYTES])
{
    (void)snprintf(ret_name, WEIR_SNAPSHOT_NAME_BYTES,
        "%" PRIu64 "-%" PRIu64 "-%" PRIu32 "-%" PRIu32 "-%" PRIu64 ".snap", id->checkpoint,
        id->epoch, id->task, id->subtask, id->attempt);
}

/* A decimal as it is printed: digits, no leading zero; moves *at behind it. */
static bool
parse_number(const char **at, uint64_t max, uint64_t *ret)
{
    const char *text = *at;
    uint64_t value = 0;
    if (*text < '0' || *text > '9' || (text[0] == '0' && text[1] >= '0' && text[1] <= '9')) {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *at = text;
    *ret = value;
    return true;
}

bool
weir_snapshot_name_parse(const char *name, struct weir_snapshot_id *ret_id)
{
    uint64_t part[5];
    for (int i = 0; i < 5; i++) {
        uint64_t max = i == 2 || i == 3 ? UINT32_MAX : UINT64_MAX;
        if (!parse_number(&name, max, &part[i]) || (i < 4 && *name++ != '-')) {
            return false;
        }
    }
    if (strcmp(name, ".snap") != 0) {
        return false;
    }
    *ret_id = (struct weir_snapshot_id){.checkpoint = part[0],
        .epoch = part[1],
        .task = (uint32_t)part[2],
        .subtask = (uint32_t)part[3],
        .attempt = part[4]};
    return true;
}
