/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot file of any bytes, in a simulated directory; the checksums of all its blocks are
 * mended first, and the manifest is taken to agree with its last block. */
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "dataplane/snapshot.h"
#include "io/sim.h"
#include "tests/fuzz/fuzz.h"

#define BLOCK_BYTES WEIR_SNAPSHOT_ALIGN
/* As snapshot.h pictures the head of a block, and the footer behind it. */
#define JOB_OFF 16
#define TASK_OFF 48
#define PAYLOAD_CRC_OFF 84
#define HEAD_CRC_OFF 124
#define FOOTER_PAYLOAD_BYTES_OFF (WEIR_SNAPSHOT_HEAD_BYTES + 24)

static int
sink(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    (void)off;
    *(uint32_t *)arg =
        weir_crc32c(*(uint32_t *)arg, payload, bytes); /* in another unit: it reads */
    return 0;
}

/* For all runs of the process. */
static struct weir_sim *world;
static struct weir_io *io;
static struct weir_snapshot_reader *reader;

static void
make_reader(void)
{
    struct weir_sim_config world_config = {.seed = 1};
    if (weir_sim_open(&world_config, &world) != 0) {
        abort();
    }
    struct weir_io_config io_config = {.kind = WEIR_IO_SIM, .world = world};
    if (weir_io_open(&io_config, &io) != 0) {
        abort();
    }
    struct weir_snapshot_config config = {.io = io, .depth = 1, .block_bytes = BLOCK_BYTES};
    if (weir_snapshot_reader_open(&config, &reader) != 0) {
        abort();
    }
}

static int
read_file(const struct weir_snapshot_ask *ask, const char *file, uint64_t bytes)
{
    if (weir_sim_put(world, "/fuzz", file, bytes) != 0) {
        abort();
    }
    weir_snapshot_read(reader, ask);
    int status;
    while ((status = weir_snapshot_read_poll(reader)) == WEIR_RELAY_BUSY) {
        int64_t due_ns = weir_io_due_ns(io);
        (void)weir_io_poll(io, due_ns < INT64_MAX ? due_ns : weir_io_clock_ns(io));
    }
    return status;
}

static void
mend_block(char *block, uint64_t bytes)
{
    memcpy(block, "WEIRSNP1", 8);
    uint32_t crc =
        weir_crc32c(0, block + WEIR_SNAPSHOT_HEAD_BYTES, bytes - WEIR_SNAPSHOT_HEAD_BYTES);
    memcpy(block + PAYLOAD_CRC_OFF, &crc, sizeof crc);
    crc = weir_crc32c(0, block, HEAD_CRC_OFF);
    memcpy(block + HEAD_CRC_OFF, &crc, sizeof crc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t file_bytes = bytes / BLOCK_BYTES * BLOCK_BYTES;
    char *file = aligned_alloc(64, file_bytes + BLOCK_BYTES);
    if (file == NULL) {
        abort();
    }
    if (reader == NULL) {
        make_reader();
    }
    if (file_bytes > 0) {
        memcpy(file, data, file_bytes);
    }
    for (uint64_t off = 0; off < file_bytes; off += BLOCK_BYTES) {
        mend_block(file + off, BLOCK_BYTES);
    }
    struct weir_snapshot_ack ack = {
        .name = "/fuzz", .file_bytes = file_bytes, .footer_bytes = BLOCK_BYTES};
    if (file_bytes > 0) {
        const char *last = file + file_bytes - BLOCK_BYTES;
        uint64_t id[4];
        uint32_t task[2];
        memcpy(id, last + JOB_OFF, sizeof id);
        memcpy(task, last + TASK_OFF, sizeof task);
        memcpy(&ack.footer_crc, last + HEAD_CRC_OFF, sizeof ack.footer_crc);
        memcpy(&ack.payload_bytes, last + FOOTER_PAYLOAD_BYTES_OFF, sizeof ack.payload_bytes);
        ack.id = (struct weir_snapshot_id){id[0], id[1], id[2], id[3], task[0], task[1]};
    }
    uint32_t crc = 0;
    struct weir_snapshot_ask ask = {.dir = WEIR_IO_CWD, .file = &ack, .sink = sink, .arg = &crc};
    int err = read_file(&ask, file, file_bytes);
    const struct weir_snapshot_footer *footer = weir_snapshot_read_footer(reader);
    for (uint32_t i = 0; err == 0 && i < footer->group_cnt; i++) {
        crc = weir_crc32c(crc, &footer->groups[i], sizeof footer->groups[i]);
    }
    if (err != 0 && weir_snapshot_read_fault(reader)->text[0] == '\0') {
        abort();
    }
    free(file);
    return 0;
}
