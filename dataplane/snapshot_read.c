/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: the footer first, which says what else there must be; then blocks, read ahead and
 * handed on in order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/snapshot_priv.h"

struct slot {
    struct weir_io_op op;
    char *buf;
    bool flies;
};

struct weir_snapshot_reader {
    struct weir_relay relay; /* first: a step gets a pointer to it */
    struct weir_snapshot_config config;
    char *staging;
    char *foot; /* the footer's block, beside the slots */
    struct slot slots[WEIR_SNAPSHOT_DEPTH_MAX];
    struct weir_snapshot_ask ask;
    struct weir_io_stat stat;
    int32_t file; /* -1: not open */
    bool reads; /* the phase of blocks */
    uint64_t asked; /* blocks submitted */
    uint64_t told; /* blocks verified and handed on */
    uint64_t told_bytes;
    uint32_t stride;
    uint32_t blocks_crc;
    uint32_t blocks_crc_due;
    struct weir_snapshot_footer footer;
    struct weir_snapshot_fault fault;
};

static struct weir_snapshot_reader *
reader_of(struct weir_relay *relay)
{
    return (struct weir_snapshot_reader *)relay;
}

/* The first cause is kept. */
static void
blame(struct weir_snapshot_reader *reader, int err, uint64_t block, uint64_t off, const char *what)
{
    struct weir_snapshot_fault *fault = &reader->fault;
    if (fault->err != 0) {
        return;
    }
    fault->err = err;
    fault->off = off;
    fault->block = block;
    (void)snprintf(fault->text, sizeof fault->text, "%s, block %" PRIu64 ", byte %" PRIu64 ": %s",
        reader->ask.file->name, block, off, what);
}

static void
blame_op(
    struct weir_snapshot_reader *reader, const struct weir_io_op *op, uint64_t block, uint64_t off)
{
    char reason[64];
    if (reader->fault.err == 0) {
        blame(reader, (int)op->result, block, off, strerror_r(op->errnum, reason, sizeof reason));
        reader->fault.errnum = op->errnum;
    }
}

static void
closed(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    reader->file = -1;
    weir_relay_end(relay, reader->fault.err); /* it was only read: a failed close loses nothing */
}

static void
close_file(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    if (reader->file < 0) {
        closed(relay);
        return;
    }
    weir_io_op_close(&relay->op, reader->file);
    weir_relay_go(relay, closed);
}

static bool
has_failed(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    if (relay->op.result < 0) {
        blame_op(reader, &relay->op, 0, 0);
        weir_relay_jump(relay, close_file);
    }
    return relay->op.result < 0;
}

/* The footer's block is in reader->foot: is it the one, and what is due. */
static void
check_footer(struct weir_snapshot_reader *reader)
{
    const struct weir_snapshot_ack *file = reader->ask.file;
    const struct weir_snapshot_head *head = (const void *)reader->foot;
    const struct weir_snapshot_footer_head *foot = (const void *)(head + 1);
    uint64_t off = file->file_bytes - file->footer_bytes;
    struct weir_snapshot_place place = {
        &file->id, off, head->block, WEIR_SNAPSHOT_KIND_FOOTER, 0, file->footer_bytes};
    int err = WEIR_EDATA;
    const char *wrong = weir_snapshot_block_check(reader->foot, &place, &err);
    if (wrong == NULL) {
        wrong = weir_snapshot_footer_check(reader->foot, file, &reader->footer);
    }
    if (wrong == NULL && head->block != reader->footer.block_cnt) {
        wrong = "the footer's own number is not the count of blocks before it";
    }
    if (wrong != NULL) {
        blame(reader, err, head->block, off, wrong);
        return;
    }
    reader->stride = head->stride;
    reader->blocks_crc_due = foot->blocks_crc;
    if (reader->stride > reader->config.block_bytes && !reader->ask.footer_only &&
        off > reader->config.block_bytes) {
        blame(reader, WEIR_EFORMAT, 0, 0, "its blocks are larger than the reader's");
    }
}

static void
footer_is_read(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    if (has_failed(relay)) {
        return;
    }
    if (relay->op.result < reader->ask.file->footer_bytes) {
        blame(reader, WEIR_EDATA, 0, reader->ask.file->file_bytes, "the file ends early");
    } else {
        check_footer(reader);
    }
    if (reader->fault.err != 0 || reader->ask.footer_only) {
        weir_relay_jump(relay, close_file);
        return;
    }
    reader->reads = true;
    weir_relay_end(relay, 0); /* poll wakes it when the blocks are done */
}

static void
read_footer(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    const struct weir_snapshot_ack *file = reader->ask.file;
    if (has_failed(relay)) {
        return;
    }
    weir_io_op_read(&relay->op, reader->file, reader->foot, file->footer_bytes,
        file->file_bytes - file->footer_bytes);
    relay->op.flags = WEIR_IO_WHOLE;
    weir_relay_go(relay, footer_is_read);
}

/* What the manifest says of the file's length can be true at all, for this reader. */
static const char *
wrong_lengths(const struct weir_snapshot_reader *reader)
{
    const struct weir_snapshot_ack *file = reader->ask.file;
    uint32_t least = WEIR_SNAPSHOT_HEAD_BYTES + WEIR_SNAPSHOT_FOOTER_HEAD_BYTES;
    if (file->footer_bytes < least || file->footer_bytes > file->file_bytes ||
        file->footer_bytes % WEIR_SNAPSHOT_ALIGN != 0 ||
        file->file_bytes % WEIR_SNAPSHOT_ALIGN != 0) {
        return "no file of snapshots has the lengths that the manifest names";
    }
    if (file->footer_bytes > reader->config.block_bytes) {
        return "its footer is larger than the reader's blocks";
    }
    return NULL;
}

static void
file_is_known(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    if (has_failed(relay)) {
        return;
    }
    if (reader->stat.bytes != reader->ask.file->file_bytes) {
        char what[128];
        (void)snprintf(what, sizeof what,
            "the file has %" PRIu64 " bytes, the manifest names %" PRIu64, reader->stat.bytes,
            reader->ask.file->file_bytes);
        blame(reader, WEIR_EDATA, 0, weir_min_u64(reader->stat.bytes, reader->ask.file->file_bytes),
            what);
        weir_relay_jump(relay, close_file);
        return;
    }
    if (!reader->ask.sync) {
        read_footer(relay);
        return;
    }
    weir_io_op_sync(&relay->op, reader->file, 0);
    weir_relay_go(relay, read_footer);
}

static void
opened(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    if (has_failed(relay)) {
        return;
    }
    reader->file = (int32_t)relay->op.result;
    weir_io_op_stat(&relay->op, reader->file, NULL, &reader->stat);
    weir_relay_go(relay, file_is_known);
}

static void
open_file(struct weir_relay *relay)
{
    struct weir_snapshot_reader *reader = reader_of(relay);
    const char *wrong = wrong_lengths(reader);
    if (wrong != NULL) {
        blame(reader, WEIR_EDATA, 0, 0, wrong);
        weir_relay_end(relay, WEIR_EDATA);
        return;
    }
    uint32_t flags = WEIR_IO_O_READ | WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH | WEIR_IO_O_REGULAR;
    flags |= reader->config.direct ? WEIR_IO_O_DIRECT : 0;
    weir_io_op_open(&relay->op, reader->ask.dir, reader->ask.file->name, flags);
    weir_relay_go(relay, opened);
}

static void
begin(struct weir_snapshot_reader *reader, const struct weir_snapshot_ask *ask)
{
    reader->ask = *ask;
    reader->file = -1;
    reader->asked = 0;
    reader->told = 0;
    reader->told_bytes = 0;
    reader->blocks_crc = 0;
    reader->footer = (struct weir_snapshot_footer){0};
    reader->fault = (struct weir_snapshot_fault){0};
}

void
weir_snapshot_read(struct weir_snapshot_reader *reader, const struct weir_snapshot_ask *ask)
{
    WEIR_CHECK(!reader->reads && !weir_relay_runs(&reader->relay), "started while it runs");
    begin(reader, ask);
    weir_relay_start(&reader->relay, reader->config.io, open_file);
}

void
weir_snapshot_read_go(struct weir_snapshot_reader *reader)
{
    reader->ask.is_held = false;
}

static uint32_t
bytes_of_block(const struct weir_snapshot_reader *reader, uint64_t block)
{
    uint64_t end = reader->ask.file->file_bytes - reader->ask.file->footer_bytes;
    return (uint32_t)weir_min_u64(reader->stride, end - block * reader->stride);
}

/* Verify one block and hand its payload on. */
static void
tell(struct weir_snapshot_reader *reader, const char *block)
{
    uint64_t off = reader->told * reader->stride;
    struct weir_snapshot_place place = {&reader->ask.file->id, off, reader->told,
        WEIR_SNAPSHOT_KIND_DATA, reader->stride, bytes_of_block(reader, reader->told)};
    int err = 0;
    const char *wrong = weir_snapshot_block_check(block, &place, &err);
    const struct weir_snapshot_head *head = (const void *)block;
    if (wrong != NULL) {
        blame(reader, err, reader->told, off, wrong);
        return;
    }
    reader->blocks_crc = weir_snapshot_pair_crc(reader->blocks_crc, head);
    if (reader->ask.sink != NULL) {
        err = reader->ask.sink(reader->ask.arg, head + 1, head->payload_bytes, reader->told_bytes);
        if (err != 0) {
            blame(reader, err, reader->told, off, "what it holds is refused");
        }
    }
    reader->told++;
    reader->told_bytes += head->payload_bytes;
    if (reader->told == reader->footer.block_cnt &&
        (reader->blocks_crc != reader->blocks_crc_due ||
            reader->told_bytes != reader->footer.payload_bytes)) {
        blame(reader, WEIR_EDATA, reader->told, off + place.block_bytes,
            "the blocks are not those that the footer counted");
    }
}

static void
ask_for_blocks(struct weir_snapshot_reader *reader)
{
    uint32_t depth = reader->ask.front_only ? 1 : reader->config.depth;
    while (reader->fault.err == 0 && reader->asked < reader->footer.block_cnt &&
           reader->asked < reader->told + depth) {
        struct slot *slot = &reader->slots[reader->asked % reader->config.depth];
        weir_io_op_read(&slot->op, reader->file, slot->buf, bytes_of_block(reader, reader->asked),
            reader->asked * reader->stride);
        slot->op.flags = WEIR_IO_WHOLE;
        if (!weir_io_submit(reader->config.io, &slot->op)) {
            return;
        }
        slot->flies = true;
        reader->asked++;
    }
}

/* Reports whether the phase of blocks is over: all told, or failed and nothing in flight. */
static bool
poll_blocks(struct weir_snapshot_reader *reader)
{
    while (!reader->ask.is_held && reader->told < reader->asked && reader->fault.err == 0) {
        struct slot *slot = &reader->slots[reader->told % reader->config.depth];
        if (slot->op.state == WEIR_IO_FLYING) {
            break;
        }
        slot->flies = false;
        uint64_t off = reader->told * reader->stride;
        if (slot->op.result < 0) {
            blame_op(reader, &slot->op, reader->told, off);
        } else if ((uint64_t)slot->op.result < slot->op.bytes) {
            blame(reader, WEIR_EDATA, reader->told, off, "the file ends early");
        } else {
            tell(reader, slot->buf);
        }
        uint64_t asked = reader->asked;
        ask_for_blocks(reader);
        if (reader->asked > asked) {
            break; /* the device is to have it before another block is worked on */
        }
    }
    if (reader->fault.err == 0) {
        ask_for_blocks(reader);
        return reader->told == reader->footer.block_cnt;
    }
    uint32_t flying_cnt = 0;
    for (uint32_t i = 0; i < reader->config.depth; i++) {
        struct slot *slot = &reader->slots[i];
        slot->flies = slot->flies && slot->op.state == WEIR_IO_FLYING;
        if (slot->flies) {
            weir_io_cancel(reader->config.io, &slot->op);
            flying_cnt++;
        }
    }
    return flying_cnt == 0;
}

int
weir_snapshot_read_poll(struct weir_snapshot_reader *reader)
{
    if (!reader->reads) {
        int status = weir_relay_poll(&reader->relay);
        if (!reader->reads) {
            return status;
        }
    }
    if (!poll_blocks(reader)) {
        return WEIR_RELAY_BUSY;
    }
    reader->reads = false;
    weir_relay_start(&reader->relay, reader->config.io, close_file);
    return weir_relay_poll(&reader->relay);
}

bool
weir_snapshot_read_is_ready(const struct weir_snapshot_reader *reader)
{
    return reader->reads && !reader->ask.is_held && reader->told < reader->asked &&
           reader->fault.err == 0 &&
           reader->slots[reader->told % reader->config.depth].op.state != WEIR_IO_FLYING;
}

const struct weir_snapshot_footer *
weir_snapshot_read_footer(const struct weir_snapshot_reader *reader)
{
    return &reader->footer;
}

const struct weir_snapshot_fault *
weir_snapshot_read_fault(const struct weir_snapshot_reader *reader)
{
    return &reader->fault;
}

int
weir_snapshot_reader_open(
    const struct weir_snapshot_config *config, struct weir_snapshot_reader **ret_reader)
{
    struct weir_snapshot_config checked = *config;
    int err = weir_snapshot_config_check(&checked);
    if (err != 0) {
        return err;
    }
    struct weir_snapshot_reader *reader = calloc(1, sizeof *reader);
    uint64_t bytes = ((uint64_t)checked.depth + 1) * checked.block_bytes;
    /* As the writer's: a block in small pages is more than one request of a disk. */
    uint64_t align =
        bytes >= WEIR_SNAPSHOT_HUGE_BYTES ? WEIR_SNAPSHOT_HUGE_BYTES : WEIR_SNAPSHOT_ALIGN;
    bytes = weir_align_up(bytes, align);
    char *staging = aligned_alloc(align, bytes);
    if (reader == NULL || staging == NULL) {
        free(reader);
        free(staging);
        return weir_err_push(WEIR_ENOMEM, "%" PRIu64 " bytes of buffers to read snapshots", bytes);
    }
    reader->config = checked;
    reader->staging = staging;
    reader->file = -1;
    for (uint32_t i = 0; i < checked.depth; i++) {
        reader->slots[i].buf = staging + (uint64_t)i * checked.block_bytes;
    }
    reader->foot = staging + (uint64_t)checked.depth * checked.block_bytes;
    err = checked.unregistered ? 0 : weir_io_register(checked.io, staging, bytes);
    if (err != 0) {
        weir_snapshot_reader_close(reader);
        return err;
    }
    *ret_reader = reader;
    return 0;
}

static void
close_handle(struct weir_snapshot_reader *reader, int32_t handle)
{
    struct weir_io_op op;
    if (handle >= 0) {
        weir_io_op_close(&op, handle);
        (void)weir_io_perform(reader->config.io, &op); /* given up: an orphan, or only read */
    }
}

void
weir_snapshot_reader_close(struct weir_snapshot_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (uint32_t i = 0; i < reader->config.depth; i++) {
        weir_io_settle(reader->config.io, &reader->slots[i].op);
    }
    close_handle(reader, weir_relay_drop(&reader->relay));
    close_handle(reader, reader->file);
    weir_io_unregister(reader->config.io, reader->staging);
    free(reader->staging);
    free(reader);
}
