/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/snapshot/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"

/* All as sched/job_checkpoint_task.c and sched/job_checkpoint_run.c have it. */
#define LARGE_BYTES (64 * WEIR_MIB)
#define POLL_BYTES (4 * WEIR_MIB)
#define LOOK_NS (200 * WEIR_US)

#define COMMAND_BYTES 1024
#define PATH_BYTES 4096
#define FIO_FILE "fio.tmp"
#define JSON_BYTES (256 * 1024)

static void
check(int err)
{
    if (err < 0) {
        weir_err_print(stderr, err);
        exit(1);
    }
}

static uint32_t
block_bytes(uint64_t page_bytes)
{
    return page_bytes >= LARGE_BYTES ? WEIR_MIB : 256 * WEIR_KIB;
}

static int64_t
now_ns(const struct files *files)
{
    return weir_io_clock_ns(files->io);
}

/* The store's step to its end. */
static int
settle(struct files *files)
{
    int err;
    while ((err = weir_store_poll(files->store)) == WEIR_RELAY_BUSY) {
        if (weir_io_poll(files->io, now_ns(files)) == 0) {
            weir_io_wait(files->io, LOOK_NS, -1);
        }
    }
    files->is_tidying = false;
    return err;
}

static int64_t
fill(void *arg, void *buf, uint64_t bytes)
{
    struct files *files = (struct files *)arg;
    files->fill_cnt++;
    int64_t got = files->inner.fill(files->inner.arg, buf, bytes);
    if (files->capture != NULL) {
        uint32_t held = weir_ring_unreleased_cnt(&files->capture->cons);
        files->undo_max = held > files->undo_max ? held : files->undo_max;
    }
    return got;
}

void
files_open(struct files *files, const char *dir, const struct weir_arena *arena, const char *job)
{
    const struct weir_io_config io = {.kind = WEIR_IO_AUTO};
    memset(files, 0, sizeof *files);
    files->arena = arena;
    files->page_bytes = weir_arena_used_bytes(arena);
    check(weir_io_open(&io, &files->io));
    check(weir_io_start(files->io));
    const struct weir_store_config store = {
        .io = files->io, .root = dir, .job = job, .start_empty = true};
    check(weir_store_open(&store, &files->store));
    weir_store_start(files->store);
    if (settle(files) < 0) {
        (void)fprintf(stderr, "bench_snapshot: %s\n", weir_store_fault(files->store));
        exit(1);
    }
    bool is_large = files->page_bytes >= LARGE_BYTES;
    const struct weir_snapshot_config config = {.io = files->io,
        .depth = is_large ? 8 : 4,
        .ahead = is_large ? 4 : 0,
        .block_bytes = block_bytes(files->page_bytes),
        .poll_bytes_max = POLL_BYTES,
        .direct = weir_store_is_direct(files->store)};
    check(weir_snapshot_open(&config, &files->writer));
}

void
files_settle(struct files *files)
{
    if (files->is_tidying) {
        (void)settle(files);
    }
}

void
files_close(struct files *files)
{
    files_settle(files);
    weir_snapshot_close(files->writer);
    weir_store_close(files->store);
    weir_io_close(files->io);
}

/* The blocks, as the engine's storage thread polls them, and what the store still tidies. */
static int
write_blocks(struct files *files)
{
    int err;
    for (;;) {
        int64_t now = now_ns(files);
        uint32_t done_cnt = weir_io_poll(files->io, now);
        uint64_t before = files->fill_cnt;
        err = weir_snapshot_poll(files->writer, now);
        if (err != WEIR_RELAY_BUSY) {
            return err;
        }
        if (files->is_tidying) {
            files->is_tidying = weir_store_poll(files->store) == WEIR_RELAY_BUSY;
        }
        if (done_cnt == 0 && files->fill_cnt == before) {
            weir_io_wait(files->io, LOOK_NS, -1);
        }
    }
}

static int
commit(struct files *files, uint64_t number)
{
    const struct weir_manifest manifest = {.kind = WEIR_MANIFEST_KIND_CHECKPOINT,
        .checkpoint = number,
        .started_ns = weir_io_wall_ns(files->io),
        .files = files->chain,
        .file_cnt = files->chain_cnt};
    files_settle(files);
    weir_store_commit(files->store, &manifest);
    int err = settle(files);
    if (err == 0) {
        weir_store_tidy(files->store);
        files->is_tidying = true;
    }
    return err;
}

/* The file and the manifest of what inner gives. */
static bool
store(struct files *files, uint64_t number, bool is_full, struct files_result *ret_result)
{
    const struct weir_snapshot_id id = {.job = weir_store_job(files->store),
        .checkpoint = number,
        .epoch = weir_store_epoch(files->store),
        .attempt = 1};
    int64_t begin_ns = now_ns(files);
    files->source = (struct weir_snapshot_source){.fill = fill, .arg = files};
    files->source.bytes_expected =
        is_full ? weir_task_file_bytes_max(
                      0, files->page_bytes / WEIR_PAGE_BYTES, block_bytes(files->page_bytes))
                : 0;
    weir_snapshot_start(files->writer, &id, weir_store_data_dir(files->store), &files->source);
    int err = write_blocks(files);
    if (err != 0) {
        (void)fprintf(
            stderr, "bench_snapshot: declined: %s\n", weir_snapshot_fault(files->writer)->text);
        ret_result->is_declined = true;
        return false;
    }
    ret_result->write_ns = now_ns(files) - begin_ns;
    files->chain_cnt = is_full ? 0 : files->chain_cnt;
    files->chain[files->chain_cnt++] = *weir_snapshot_ack(files->writer);
    err = commit(files, number);
    if (err != 0) {
        (void)fprintf(stderr, "bench_snapshot: %s\n", weir_store_fault(files->store));
        exit(1);
    }
    ret_result->durable_ns = now_ns(files) - begin_ns;
    ret_result->file_bytes = weir_snapshot_ack(files->writer)->file_bytes;
    ret_result->is_full = is_full;
    return true;
}

/* As the engine decides it. */
static bool
is_full(const struct files *files, const struct weir_capture *capture)
{
    uint32_t cnt = files->chain_cnt;
    if (cnt == 0 || cnt >= FILES_CHAIN_CNT_MAX ||
        files->chain[cnt - 1].id.checkpoint != capture->committed_id) {
        return true;
    }
    uint64_t more = 0;
    for (uint32_t i = 1; i < cnt; i++) {
        more += files->chain[i].payload_bytes;
    }
    return more > files->chain[0].payload_bytes;
}

void
files_capture(struct files *files, struct weir_capture *capture, uint64_t number, bool is_chained,
    struct files_result *ret_result)
{
    bool full = !is_chained || is_full(files, capture);
    uint64_t bytes = capture->byte_cnt;
    uint64_t pages = capture->page_cnt;
    memset(ret_result, 0, sizeof *ret_result);
    check(weir_capture_begin(capture, number, full));
    weir_task_file_init(&files->file, files->parts, 0);
    weir_task_file_pages(&files->file, files->arena, capture);
    files->inner = (struct weir_snapshot_source){.fill = weir_task_file_fill, .arg = &files->file};
    files->capture = capture;
    bool is_stored = store(files, number, full, ret_result);
    files->capture = NULL;
    if (!is_stored) {
        weir_capture_cancel(capture);
        while (weir_capture_tidy(capture) == WEIR_AGAIN) {
        }
        return;
    }
    ret_result->dirty_bytes = capture->byte_cnt - bytes -
                              (capture->page_cnt - pages) * sizeof(struct weir_capture_record);
    (void)weir_capture_commit(capture, number);
}

void
files_pages(struct files *files, struct page_source *source, uint64_t number,
    struct files_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    page_source_begin(source);
    files->inner = (struct weir_snapshot_source){.fill = page_source_fill, .arg = source};
    (void)store(files, number, true, ret_result);
}

/* What fio says of one run with buffers in such memory; 0: nothing. */
static uint64_t
fio_once(const struct files_fio *fio, const char *memory)
{
    static char json[JSON_BYTES];
    char command[COMMAND_BYTES];
    char section[32];
    bool is_large = fio->mib * WEIR_MIB >= LARGE_BYTES;
    (void)snprintf(command, sizeof command,
        "taskset -c %d fio --name=weir --filename=%s/" FIO_FILE " --rw=%s --bs=%s --iodepth=%d "
        "--ioengine=io_uring --fixedbufs --registerfiles --direct=1 --size=%llum --end_fsync=1 "
        "--iomem=%s --output-format=json 2>/dev/null",
        fio->core, fio->dir, fio->how, is_large ? "1m" : "256k", is_large ? 8 : 4,
        (unsigned long long)fio->mib, memory);
    FILE *pipe = popen(command, "r"); /* NOLINT: the command is ours */
    size_t bytes = pipe != NULL ? fread(json, 1, sizeof json - 1, pipe) : 0;
    json[bytes] = '\0';
    if (pipe == NULL || pclose(pipe) != 0) {
        return 0;
    }
    (void)snprintf(section, sizeof section, "\"%s\" : {", fio->how);
    const char *at = strstr(json, section);
    at = at != NULL ? strstr(at, "\"bw_bytes\" : ") : NULL;
    return at != NULL ? strtoull(at + strlen("\"bw_bytes\" : "), NULL, 10) : 0;
}

uint64_t
files_fio(const struct files_fio *fio, bool *ret_is_huge)
{
    uint64_t bytes_per_s = fio_once(fio, "shmhuge");
    *ret_is_huge = bytes_per_s != 0;
    return bytes_per_s != 0 ? bytes_per_s : fio_once(fio, "malloc");
}

void
files_fio_tidy(const char *dir)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/" FIO_FILE, dir);
    (void)unlink(path);
}
