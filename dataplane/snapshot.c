/* SPDX-License-Identifier: Apache-2.0 */
/* The writer. Opening, syncing and closing are a relay; between them is the phase of blocks, where
 * many writes fly at once. Nothing here waits: what cannot go on is looked at by the next poll.
 */
#include "dataplane/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "dataplane/snapshot_priv.h"

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_WAITING, SLOT_FLYING };

struct slot {
    struct weir_io_op op;
    char *buf;
    uint64_t off;
    uint32_t bytes;
    uint32_t moved;
    uint32_t short_cnt;
    uint32_t state; /* enum slot_state */
};

struct weir_snapshot {
    struct weir_relay relay; /* first: a step gets a pointer to it */
    struct weir_snapshot_config config;
    char *staging;
    struct slot slots[WEIR_SNAPSHOT_DEPTH_MAX];
    struct weir_snapshot_id id;
    int32_t dir;
    int32_t file; /* -1: not open */
    const struct weir_snapshot_source *source;
    struct slot *filling;
    uint32_t fill_bytes;
    uint32_t slot_cnt;
    uint32_t flying_cnt;
    bool writes; /* the phase of blocks */
    bool made; /* the file is ours: nobody else's is removed */
    bool ended; /* the source has no more */
    bool has_footer;
    bool aborted;
    uint64_t off;
    uint64_t block;
    uint64_t allocated_bytes;
    uint32_t blocks_crc;
    int64_t now_ns;
    int64_t next_ns; /* when the rate lets the next block go */
    struct weir_snapshot_ack ack;
    struct weir_snapshot_fault fault;
};

static struct weir_snapshot *
snapshot_of(struct weir_relay *relay)
{
    return (struct weir_snapshot *)relay;
}

/* The first cause is kept. */
WEIR_PRINTF(4, 5)
static void
blame(struct weir_snapshot *snapshot, int err, uint64_t off, const char *fmt, ...)
{
    struct weir_snapshot_fault *fault = &snapshot->fault;
    if (fault->err != 0) {
        return;
    }
    fault->err = err == WEIR_ENOINPUT ? WEIR_EIO : err; /* what is written is no input */
    fault->off = off;
    fault->block = off / snapshot->config.block_bytes;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(fault->text, sizeof fault->text, fmt, args);
    va_end(args);
}

static void
blame_op(
    struct weir_snapshot *snapshot, const struct weir_io_op *op, const char *what, uint64_t off)
{
    if (snapshot->fault.err != 0) {
        return;
    }
    char reason[64];
    blame(snapshot, (int)op->result, off, "%s %s at byte %" PRIu64 ": %s", what, snapshot->ack.name,
        off, strerror_r(op->errnum, reason, sizeof reason));
    snapshot->fault.errnum = op->errnum;
}

static void
removed(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    snapshot->made = false; /* or left over: recovery collects it */
    weir_relay_end(relay, snapshot->fault.err);
}

static void
remove_own(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    snapshot->file = -1;
    if (!snapshot->made) {
        weir_relay_end(relay, snapshot->fault.err);
        return;
    }
    weir_io_op_unlink(&relay->op, snapshot->dir, snapshot->ack.name, 0);
    weir_relay_go(relay, removed);
}

/* Declined: nothing of it flies any more. */
static void
give_up(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    if (snapshot->file < 0) {
        remove_own(relay);
        return;
    }
    weir_io_op_close(&relay->op, snapshot->file);
    weir_relay_go(relay, remove_own);
}

/* Reports whether the step failed, or was asked to; then the relay is on its way to give up. */
static bool
has_failed(struct weir_relay *relay, const char *what)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    if (relay->op.state == WEIR_IO_DONE && relay->op.result < 0) {
        if (!snapshot->aborted) {
            blame_op(snapshot, &relay->op, what, snapshot->off);
        }
    }
    if (snapshot->aborted) {
        blame(snapshot, WEIR_ECANCELED, snapshot->off, "%s was aborted", snapshot->ack.name);
    }
    if (snapshot->fault.err == 0) {
        return false;
    }
    weir_relay_jump(relay, give_up);
    return true;
}

static void
closed(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    snapshot->file = -1;
    weir_relay_end(relay, 0); /* a failed close loses nothing: contents and name are synced */
}

static void
close_file(struct weir_relay *relay)
{
    weir_io_op_close(&relay->op, snapshot_of(relay)->file);
    weir_relay_go(relay, closed);
}

static void
footer_is_read(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    const struct weir_snapshot_ack *ack = &snapshot->ack;
    WEIR_KILLPOINT(W8_READ_BACK);
    if (has_failed(relay, "read back")) {
        return;
    }
    uint64_t footer_off = ack->file_bytes - ack->footer_bytes;
    struct weir_snapshot_place place = {&snapshot->id, footer_off, snapshot->block,
        WEIR_SNAPSHOT_KIND_FOOTER, snapshot->config.block_bytes, ack->footer_bytes};
    struct weir_snapshot_footer footer;
    int err = WEIR_EDATA;
    const char *wrong = relay->op.result < ack->footer_bytes
                            ? "the file ends early"
                            : weir_snapshot_block_check(snapshot->staging, &place, &err);
    wrong = wrong == NULL ? weir_snapshot_footer_check(snapshot->staging, ack, &footer) : wrong;
    if (wrong != NULL) {
        blame(snapshot, WEIR_EIO, footer_off, "read back %s at byte %" PRIu64 ": %s", ack->name,
            footer_off, wrong);
        snapshot->fault.suspect = true;
        weir_relay_jump(relay, give_up);
        return;
    }
    weir_relay_jump(relay, close_file);
}

static void
dir_is_synced(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    snapshot->fault.suspect = relay->op.result < 0;
    WEIR_KILLPOINT(W7_DURABLE);
    if (has_failed(relay, "sync the directory of")) {
        return;
    }
    if (!snapshot->config.read_back) {
        weir_relay_jump(relay, close_file);
        return;
    }
    const struct weir_snapshot_ack *ack = &snapshot->ack;
    weir_io_op_read(&relay->op, snapshot->file, snapshot->staging, ack->footer_bytes,
        ack->file_bytes - ack->footer_bytes);
    relay->op.flags = WEIR_IO_WHOLE;
    weir_relay_go(relay, footer_is_read);
}

static void file_is_synced(struct weir_relay *relay);

/* A mutant's: after a sync that failed nobody knows what is on the disk. */
static void
sync_again(struct weir_relay *relay)
{
    weir_io_op_sync(&relay->op, snapshot_of(relay)->file, 0);
    weir_relay_go(relay, file_is_synced);
}

static void
file_is_synced(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    if (WEIR_MUTANT(SNAPSHOT_SYNCED_AGAIN) && relay->op.result < 0) {
        weir_relay_jump(relay, sync_again);
        return;
    }
    snapshot->fault.suspect = relay->op.result < 0;
    WEIR_KILLPOINT(W6_SYNCED);
    if (has_failed(relay, "sync")) {
        return;
    }
    if (WEIR_MUTANT(SNAPSHOT_DIR_UNSYNCED)) {
        weir_relay_jump(relay, dir_is_synced);
        return;
    }
    weir_io_op_sync(&relay->op, snapshot->dir, 0);
    weir_relay_go(relay, dir_is_synced);
}

/* All blocks have their place: the one sync, with nothing in flight. */
static void
sync_file(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    WEIR_KILLPOINT(W6_WRITTEN);
    if (has_failed(relay, "cut")) {
        return;
    }
    if (WEIR_MUTANT(SNAPSHOT_UNSYNCED)) {
        weir_relay_jump(relay, file_is_synced);
        return;
    }
    weir_io_op_sync(&relay->op, snapshot->file, 0);
    weir_relay_go(relay, file_is_synced);
}

static void
written(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    if (snapshot->allocated_bytes > snapshot->ack.file_bytes) {
        weir_io_op_truncate(&relay->op, snapshot->file, snapshot->ack.file_bytes);
        weir_relay_go(relay, sync_file);
        return;
    }
    weir_relay_jump(relay, sync_file);
}

/* The relay rests while blocks are written: poll wakes it. */
static void
begin_blocks(struct weir_relay *relay)
{
    snapshot_of(relay)->writes = true;
    weir_relay_end(relay, 0);
}

static void
allocated(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    WEIR_KILLPOINT(W2_ALLOCATED);
    if (relay->op.result < 0 && relay->op.errnum == EOPNOTSUPP && !snapshot->aborted) {
        snapshot->allocated_bytes = 0;
        weir_relay_jump(relay, begin_blocks);
        return;
    }
    if (!has_failed(relay, "allocate")) {
        weir_relay_jump(relay, begin_blocks);
    }
}

static void
opened(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    if (relay->op.result >= 0) {
        snapshot->file = (int32_t)relay->op.result;
        snapshot->made = true;
        WEIR_KILLPOINT(W1_FILE);
    }
    if (has_failed(relay, "create")) {
        return;
    }
    if (snapshot->source->bytes_expected == 0) {
        weir_relay_jump(relay, begin_blocks);
        return;
    }
    snapshot->allocated_bytes =
        weir_align_up(snapshot->source->bytes_expected, WEIR_SNAPSHOT_ALIGN);
    weir_io_op_allocate(&relay->op, snapshot->file, 0, snapshot->allocated_bytes);
    weir_relay_go(relay, allocated);
}

static void
open_file(struct weir_relay *relay)
{
    struct weir_snapshot *snapshot = snapshot_of(relay);
    uint32_t flags = WEIR_IO_O_READ | WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL |
                     WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH | WEIR_IO_O_PRIVATE;
    if (has_failed(relay, "create")) {
        return;
    }
    flags |= snapshot->config.direct ? WEIR_IO_O_DIRECT : 0;
    weir_io_op_open(&relay->op, snapshot->dir, snapshot->ack.name, flags);
    weir_relay_go(relay, opened);
}

void
weir_snapshot_start(struct weir_snapshot *snapshot, const struct weir_snapshot_id *id, int32_t dir,
    const struct weir_snapshot_source *source)
{
    WEIR_CHECK(!weir_relay_runs(&snapshot->relay) && !snapshot->writes, "started while it runs");
    snapshot->id = *id;
    snapshot->dir = dir;
    snapshot->file = -1;
    snapshot->source = source;
    snapshot->filling = NULL;
    snapshot->fill_bytes = 0;
    snapshot->flying_cnt = 0;
    snapshot->made = false;
    snapshot->ended = false;
    snapshot->has_footer = false;
    snapshot->aborted = false;
    snapshot->off = 0;
    snapshot->block = 0;
    snapshot->allocated_bytes = 0;
    snapshot->blocks_crc = 0;
    snapshot->next_ns = INT64_MIN;
    snapshot->ack = (struct weir_snapshot_ack){.id = *id};
    snapshot->fault = (struct weir_snapshot_fault){0};
    weir_snapshot_name(id, snapshot->ack.name);
    weir_relay_start(&snapshot->relay, snapshot->config.io, open_file);
}

/* A block that is complete goes to the file. */
static void
send(struct weir_snapshot *snapshot, struct slot *slot)
{
    slot->state = SLOT_WAITING;
    slot->moved = 0;
    slot->short_cnt = 0;
    snapshot->off += slot->bytes;
    if (snapshot->config.rate_bytes_max != 0) {
        snapshot->next_ns = weir_max_i64(snapshot->next_ns, snapshot->now_ns) +
                            (int64_t)((double)slot->bytes * (double)WEIR_SEC_NS /
                                      (double)snapshot->config.rate_bytes_max);
    }
    uint64_t most = snapshot->config.bytes_max;
    if (most != 0 && snapshot->off > most) {
        blame(snapshot, WEIR_EBUDGET, slot->off,
            "task %" PRIu32 ".%" PRIu32 " has more state than the storage `memory` takes (%" PRIu64
            " bytes of each): use checkpoints.storage=fs",
            snapshot->id.task, snapshot->id.subtask, most);
        snapshot->fault.too_large = true;
    }
}

static void
send_data(struct weir_snapshot *snapshot, bool is_last)
{
    struct slot *slot = snapshot->filling;
    uint32_t stride = snapshot->config.block_bytes;
    slot->off = snapshot->off;
    slot->bytes = !is_last
                      ? stride
                      : (uint32_t)weir_align_up(
                            WEIR_SNAPSHOT_HEAD_BYTES + snapshot->fill_bytes, WEIR_SNAPSHOT_ALIGN);
    struct weir_snapshot_place place = {
        &snapshot->id, slot->off, snapshot->block, WEIR_SNAPSHOT_KIND_DATA, stride, slot->bytes};
    const struct weir_snapshot_head *head =
        weir_snapshot_block_seal(slot->buf, &place, snapshot->fill_bytes);
    snapshot->blocks_crc = weir_snapshot_pair_crc(snapshot->blocks_crc, head);
    snapshot->ack.payload_bytes += snapshot->fill_bytes;
    snapshot->block++;
    snapshot->filling = NULL;
    snapshot->fill_bytes = 0;
    send(snapshot, slot);
}

static void
send_footer(struct weir_snapshot *snapshot, struct slot *slot)
{
    const struct weir_snapshot_source *source = snapshot->source;
    struct weir_snapshot_ack *ack = &snapshot->ack;
    uint64_t groups_bytes = source->group_cnt * sizeof *source->groups;
    uint64_t counters_bytes = source->counter_cnt * sizeof *source->counters;
    uint64_t payload = WEIR_SNAPSHOT_FOOTER_HEAD_BYTES + groups_bytes + counters_bytes;
    uint64_t bytes = weir_align_up(WEIR_SNAPSHOT_HEAD_BYTES + payload, WEIR_SNAPSHOT_ALIGN);
    snapshot->has_footer = true;
    if (source->group_cnt > WEIR_SNAPSHOT_GROUP_CNT_MAX ||
        source->counter_cnt > WEIR_SNAPSHOT_COUNTER_CNT_MAX ||
        bytes > snapshot->config.block_bytes) {
        blame(snapshot, WEIR_EINVAL, snapshot->off,
            "%s: an index of %" PRIu32 " key groups and %" PRIu32
            " counters needs a larger block than %" PRIu32 " bytes",
            ack->name, source->group_cnt, source->counter_cnt, snapshot->config.block_bytes);
        return;
    }
    slot->off = snapshot->off;
    slot->bytes = (uint32_t)bytes;
    ack->footer_bytes = slot->bytes;
    ack->file_bytes = slot->off + slot->bytes;
    struct weir_snapshot_footer_head head = {.file_bytes = ack->file_bytes,
        .block_cnt = snapshot->block,
        .payload_bytes = ack->payload_bytes,
        .blocks_crc = snapshot->blocks_crc,
        .group_cnt = source->group_cnt,
        .counter_cnt = source->counter_cnt};
    memcpy(head.magic, "WEIRFOOT", sizeof head.magic);
    char *to = slot->buf + WEIR_SNAPSHOT_HEAD_BYTES;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    if (groups_bytes > 0) {
        memcpy(to, source->groups, groups_bytes);
    }
    if (counters_bytes > 0) {
        memcpy(to + groups_bytes, source->counters, counters_bytes);
    }
    struct weir_snapshot_place place = {&snapshot->id, slot->off, snapshot->block,
        WEIR_SNAPSHOT_KIND_FOOTER, snapshot->config.block_bytes, slot->bytes};
    ack->footer_crc = weir_snapshot_block_seal(slot->buf, &place, (uint32_t)payload)->head_crc;
    send(snapshot, slot);
    WEIR_KILLPOINT(W5_FOOTER);
}

static struct slot *
free_slot(struct weir_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->slot_cnt; i++) {
        if (snapshot->slots[i].state == SLOT_FREE) {
            return &snapshot->slots[i];
        }
    }
    return NULL;
}

/* One call of fill. Returns the bytes it gave, or -1 where nothing more can be had in this poll. */
static int64_t
fill_once(struct weir_snapshot *snapshot)
{
    if (snapshot->filling == NULL) {
        snapshot->filling = free_slot(snapshot);
        if (snapshot->filling == NULL) {
            return -1;
        }
        snapshot->filling->state = SLOT_FILLING;
    }
    uint64_t room = snapshot->config.block_bytes - WEIR_SNAPSHOT_HEAD_BYTES - snapshot->fill_bytes;
    char *to = snapshot->filling->buf + WEIR_SNAPSHOT_HEAD_BYTES + snapshot->fill_bytes;
    int64_t got = snapshot->source->fill(snapshot->source->arg, to, room);
    if (got > 0) {
        WEIR_CHECK((uint64_t)got <= room, "fill gave %" PRId64 " of %" PRIu64, got, room);
        snapshot->fill_bytes += (uint32_t)got;
        if ((uint64_t)got == room) {
            send_data(snapshot, false);
        }
        return got;
    }
    if (got == WEIR_SNAPSHOT_FULL && snapshot->fill_bytes > 0) {
        send_data(snapshot, false);
        return 0;
    }
    if (got == 0) {
        snapshot->ended = true;
        if (snapshot->fill_bytes > 0) {
            send_data(snapshot, true);
        } else {
            snapshot->filling->state = SLOT_FREE;
            snapshot->filling = NULL;
        }
        return 0;
    }
    if (got != WEIR_SNAPSHOT_BUSY) {
        blame(snapshot, got == WEIR_SNAPSHOT_FULL ? WEIR_EBUG : (int)got, snapshot->off,
            "%s: its source %s", snapshot->ack.name,
            got == WEIR_SNAPSHOT_FULL ? "has a piece that is larger than a block" : "failed");
    }
    return -1;
}

static void
fill_blocks(struct weir_snapshot *snapshot)
{
    uint64_t left = snapshot->config.poll_bytes_max;
    left = left == 0 ? UINT64_MAX : weir_max_u64(left, snapshot->config.block_bytes);
    /* A block that the device could take now does not wait for the next one. */
    bool is_one = snapshot->config.ahead > 0 && snapshot->flying_cnt < snapshot->config.depth;
    uint64_t enough = is_one ? snapshot->block + 1 : UINT64_MAX;
    while (!snapshot->ended && snapshot->fault.err == 0 && left > 0 && snapshot->block < enough &&
           snapshot->now_ns >= snapshot->next_ns) {
        int64_t got = fill_once(snapshot);
        if (got < 0) {
            return;
        }
        left -= weir_min_u64(left, (uint64_t)got);
    }
    if (snapshot->ended && !snapshot->has_footer && snapshot->fault.err == 0) {
        struct slot *slot = free_slot(snapshot);
        if (slot != NULL) {
            send_footer(snapshot, slot);
        }
    }
}

/* What one write said. What it did not take goes again: its rest, or all of it where the rest is
 * not aligned. */
static void
land(struct weir_snapshot *snapshot, struct slot *slot)
{
    int64_t res = slot->op.result;
    slot->state = SLOT_FREE;
    snapshot->flying_cnt--;
    if (res < 0) {
        if (!snapshot->aborted && !(WEIR_MUTANT(SNAPSHOT_FULL_DISK) && slot->op.errnum == ENOSPC)) {
            blame_op(snapshot, &slot->op, "write", slot->off + slot->moved);
        }
        return;
    }
    slot->moved += (uint32_t)res;
    WEIR_KILLPOINT(W4_LANDED);
    if (slot->moved == slot->bytes || WEIR_MUTANT(SNAPSHOT_SHORT_WRITE)) {
        return;
    }
    if (res == 0 || ++slot->short_cnt > WEIR_SNAPSHOT_SHORT_CNT_MAX) {
        blame(snapshot, WEIR_EIO, slot->off + slot->moved,
            "write %s at byte %" PRIu64 ": the device takes no more, and says not why",
            snapshot->ack.name, slot->off + slot->moved);
        snapshot->fault.errnum = EIO;
        return;
    }
    if (snapshot->config.direct && slot->moved % WEIR_SNAPSHOT_ALIGN != 0) {
        slot->moved = 0;
    }
    slot->state = SLOT_WAITING;
}

/* Of the blocks that wait, the first of the file; NULL: none does. */
static struct slot *
next_waiting(struct weir_snapshot *snapshot)
{
    struct slot *next = NULL;
    for (uint32_t i = 0; i < snapshot->slot_cnt; i++) {
        struct slot *slot = &snapshot->slots[i];
        if (slot->state == SLOT_WAITING && (next == NULL || slot->off < next->off)) {
            next = slot;
        }
    }
    return next;
}

/* Reports whether any were. */
static bool
submit_waiting(struct weir_snapshot *snapshot)
{
    uint32_t flying_cnt = snapshot->flying_cnt;
    while (snapshot->flying_cnt < snapshot->config.depth) {
        struct slot *slot = next_waiting(snapshot);
        if (slot == NULL) {
            break;
        }
        weir_io_op_write(&slot->op, snapshot->file, slot->buf + slot->moved,
            slot->bytes - slot->moved, slot->off + slot->moved);
        if (!weir_io_submit(snapshot->config.io, &slot->op)) {
            break;
        }
        slot->state = SLOT_FLYING;
        snapshot->flying_cnt++;
        WEIR_KILLPOINT(W3_SUBMITTED);
    }
    return snapshot->flying_cnt > flying_cnt;
}

/* Reports whether the phase of blocks is over: all written, or failed and nothing in flight. */
static bool
poll_blocks(struct weir_snapshot *snapshot)
{
    uint32_t busy_cnt = 0;
    for (uint32_t i = 0; i < snapshot->slot_cnt; i++) {
        struct slot *slot = &snapshot->slots[i];
        if (slot->state == SLOT_FLYING && slot->op.state == WEIR_IO_DONE) {
            land(snapshot, slot);
        }
    }
    if (snapshot->aborted) {
        blame(snapshot, WEIR_ECANCELED, snapshot->off, "%s was aborted", snapshot->ack.name);
    }
    /* What is ready goes to the device before more is made: io's next poll takes it there. */
    if (snapshot->fault.err == 0 && !submit_waiting(snapshot)) {
        fill_blocks(snapshot);
        if (snapshot->fault.err == 0) {
            (void)submit_waiting(snapshot);
        }
    }
    for (uint32_t i = 0; i < snapshot->slot_cnt; i++) {
        struct slot *slot = &snapshot->slots[i];
        if (snapshot->fault.err != 0 && slot->state == SLOT_FLYING) {
            weir_io_cancel(snapshot->config.io, &slot->op);
        }
        if (snapshot->fault.err != 0 && slot->state != SLOT_FLYING) {
            slot->state = SLOT_FREE;
        }
        busy_cnt += slot->state != SLOT_FREE ? 1 : 0;
    }
    return busy_cnt == 0 && (snapshot->has_footer || snapshot->fault.err != 0);
}

int
weir_snapshot_poll(struct weir_snapshot *snapshot, int64_t now_ns)
{
    snapshot->now_ns = now_ns;
    int status = snapshot->writes ? WEIR_RELAY_BUSY : weir_relay_poll(&snapshot->relay);
    if (!snapshot->writes) {
        return status;
    }
    if (!poll_blocks(snapshot)) {
        return WEIR_RELAY_BUSY;
    }
    snapshot->writes = false;
    snapshot->filling = NULL;
    weir_relay_start(
        &snapshot->relay, snapshot->config.io, snapshot->fault.err != 0 ? give_up : written);
    return weir_relay_poll(&snapshot->relay);
}

void
weir_snapshot_abort(struct weir_snapshot *snapshot)
{
    if (snapshot->writes || weir_relay_runs(&snapshot->relay)) {
        snapshot->aborted = true;
    }
}

int64_t
weir_snapshot_due_ns(const struct weir_snapshot *snapshot)
{
    bool held = snapshot->writes && !snapshot->ended && snapshot->next_ns > snapshot->now_ns;
    return held ? snapshot->next_ns : INT64_MAX;
}

const struct weir_snapshot_ack *
weir_snapshot_ack(const struct weir_snapshot *snapshot)
{
    return &snapshot->ack;
}

const struct weir_snapshot_fault *
weir_snapshot_fault(const struct weir_snapshot *snapshot)
{
    return &snapshot->fault;
}

int
weir_snapshot_config_check(struct weir_snapshot_config *config)
{
    config->depth = config->depth != 0 ? config->depth : WEIR_SNAPSHOT_DEPTH_DEFAULT;
    config->block_bytes =
        config->block_bytes != 0 ? config->block_bytes : WEIR_SNAPSHOT_BLOCK_BYTES_DEFAULT;
    if (config->depth > WEIR_SNAPSHOT_DEPTH_MAX ||
        config->ahead > WEIR_SNAPSHOT_DEPTH_MAX - config->depth ||
        config->block_bytes < WEIR_SNAPSHOT_BLOCK_BYTES_MIN ||
        config->block_bytes > WEIR_SNAPSHOT_BLOCK_BYTES_MAX ||
        (config->block_bytes & (config->block_bytes - 1)) != 0) {
        return weir_err_push(WEIR_EINVAL, "snapshot of %" PRIu32 " blocks of %" PRIu32 " bytes",
            config->depth, config->block_bytes);
    }
    return 0;
}

int
weir_snapshot_open(const struct weir_snapshot_config *config, struct weir_snapshot **ret_snapshot)
{
    struct weir_snapshot_config checked = *config;
    int err = weir_snapshot_config_check(&checked);
    if (err != 0) {
        return err;
    }
    struct weir_snapshot *snapshot = calloc(1, sizeof *snapshot);
    uint32_t slot_cnt = checked.depth + checked.ahead;
    uint64_t bytes = (uint64_t)slot_cnt * checked.block_bytes;
    /* A block in pages of 4 KiB has more pieces than a request of a disk may have. */
    char *staging = aligned_alloc(
        bytes % WEIR_SNAPSHOT_HUGE_BYTES == 0 ? WEIR_SNAPSHOT_HUGE_BYTES : WEIR_SNAPSHOT_ALIGN,
        bytes);
    if (snapshot == NULL || staging == NULL) {
        free(snapshot);
        free(staging);
        return weir_err_push(
            WEIR_ENOMEM, "%" PRIu64 " bytes of staging buffers for snapshots", bytes);
    }
    snapshot->config = checked;
    snapshot->staging = staging;
    snapshot->slot_cnt = slot_cnt;
    snapshot->file = -1;
    for (uint32_t i = 0; i < slot_cnt; i++) {
        uint32_t own = WEIR_MUTANT(SNAPSHOT_BUFFER_SHARED) ? 0 : i;
        snapshot->slots[i].buf = staging + (uint64_t)own * checked.block_bytes;
    }
    err = checked.unregistered ? 0 : weir_io_register(checked.io, staging, bytes);
    if (err != 0) {
        weir_snapshot_close(snapshot);
        return err;
    }
    *ret_snapshot = snapshot;
    return 0;
}

static void
close_handle(struct weir_snapshot *snapshot, int32_t handle)
{
    struct weir_io_op op;
    if (handle >= 0) {
        weir_io_op_close(&op, handle);
        (void)weir_io_perform(snapshot->config.io, &op); /* given up: an orphan, or only read */
    }
}

void
weir_snapshot_close(struct weir_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    for (uint32_t i = 0; i < snapshot->slot_cnt; i++) {
        weir_io_settle(snapshot->config.io, &snapshot->slots[i].op);
    }
    close_handle(snapshot, weir_relay_drop(&snapshot->relay));
    close_handle(snapshot, snapshot->file);
    weir_io_unregister(snapshot->config.io, snapshot->staging);
    free(snapshot->staging);
    free(snapshot);
}
