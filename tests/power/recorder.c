/* SPDX-License-Identifier: Apache-2.0 */
/* recorder IMAGE LOG PAGE MOUNTPOINT: a file `disk` over FUSE that notes what is done to it.
 *
 * A loop device on top of it is a disk whose every write and flush is known, in order. Reads and
 * writes go to IMAGE. LOG has a head per event, little-endian, and behind a write's its bytes:
 *
 *   0 offset u64    8 bytes u32    12 kind u32 (1 write, 2 flush)
 *
 * PAGE is a struct power_page: how many events are noted, and which write is to fail: it gets EIO,
 * and neither the disk nor the log sees it. The kernel then forgets that its page was dirty: a
 * first fsync says so, a second one would not. One thread, so the order of the log is the order of
 * the answers. In the foreground until it is unmounted. A failure of IMAGE or LOG ends it: what it
 * recorded is no use.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/power/power_page.h"

#define DISK "/disk"

enum event_kind { EVENT_WRITE = 1, EVENT_FLUSH = 2 };

struct event {
    uint64_t off;
    uint32_t bytes;
    uint32_t kind;
};

static struct {
    int image;
    FILE *log;
    struct power_page *page;
    off_t bytes;
} recorder;

static void
give_up(const char *what)
{
    (void)fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void
note(uint32_t kind, uint64_t off, const char *buf, size_t bytes)
{
    struct event event = {.off = off, .bytes = (uint32_t)bytes, .kind = kind};
    if (fwrite(&event, sizeof event, 1, recorder.log) != 1 ||
        (bytes > 0 && fwrite(buf, bytes, 1, recorder.log) != 1)) {
        give_up("log");
    }
    weir_fetch_add_acq_rel(&recorder.page->position, 1); /* P1: pairs with P2 of notes_put */
}

static int
disk_stat(const char *path, struct stat *st, struct fuse_file_info *file)
{
    (void)file;
    memset(st, 0, sizeof *st);
    if (strcmp(path, "/") == 0) {
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
        return 0;
    }
    if (strcmp(path, DISK) != 0) {
        return -ENOENT;
    }
    st->st_mode = S_IFREG | 0600;
    st->st_nlink = 1;
    st->st_size = recorder.bytes;
    return 0;
}

/* Past the page cache: each request of the loop device arrives as it is. */
static int
disk_open(const char *path, struct fuse_file_info *file)
{
    file->direct_io = 1;
    return strcmp(path, DISK) == 0 ? 0 : -ENOENT;
}

static int
disk_read(const char *path, char *buf, size_t bytes, off_t off, struct fuse_file_info *file)
{
    (void)path;
    (void)file;
    ssize_t got = pread(recorder.image, buf, bytes, off);
    return got < 0 ? -errno : (int)got;
}

/* Of the contents of a checkpoint or an output, not of the file system's own. */
static bool
is_ours(const char *buf, size_t bytes)
{
    return bytes >= 4 && (memcmp(buf, "WEIR", 4) == 0 || memcmp(buf, "n\n", 2) == 0);
}

static bool
is_to_fail(const char *buf, size_t bytes)
{
    struct power_page *page = recorder.page;
    uint64_t left = weir_load_acq(&page->fail_in); /* P3: as the job set it; it waits meanwhile */
    if (left == 0 || !is_ours(buf, bytes)) {
        return false;
    }
    weir_store_rel(&page->fail_in, left - 1); /* P4: the job may only put 0 here meanwhile */
    if (left > 1) {
        return false;
    }
    weir_fetch_add_acq_rel(&page->failed_cnt, 1); /* P5: read when the life is over */
    return true;
}

static int
disk_write(const char *path, const char *buf, size_t bytes, off_t off, struct fuse_file_info *file)
{
    (void)path;
    (void)file;
    if (off < 0 || off > recorder.bytes || (off_t)bytes > recorder.bytes - off) {
        return -ENOSPC;
    }
    if (is_to_fail(buf, bytes)) {
        return -EIO;
    }
    if (pwrite(recorder.image, buf, bytes, off) != (ssize_t)bytes) {
        give_up("image");
    }
    note(EVENT_WRITE, (uint64_t)off, buf, bytes);
    return (int)bytes;
}

static int
disk_sync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    (void)data_only;
    (void)file;
    note(EVENT_FLUSH, 0, NULL, 0);
    return 0;
}

static const struct fuse_operations operations = {
    .getattr = disk_stat,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_sync,
};

int
main(int argc, char **argv)
{
    struct stat st;
    if (argc != 5) {
        (void)fprintf(stderr, "usage: recorder IMAGE LOG PAGE MOUNTPOINT\n");
        return 2;
    }
    recorder.image = open(argv[1], O_RDWR | O_CLOEXEC);
    recorder.log = fopen(argv[2], "we");
    recorder.page = power_page_open(argv[3]);
    if (recorder.image < 0 || recorder.log == NULL || recorder.page == NULL ||
        fstat(recorder.image, &st) != 0) {
        give_up("open");
    }
    recorder.bytes = st.st_size;
    char *args[] = {argv[0], "-f", "-s", "-o", "fsname=weir-recorder", argv[4], NULL};
    int status = fuse_main(WEIR_ARRAY_CNT(args) - 1, args, &operations, NULL);
    if (fclose(recorder.log) != 0) {
        give_up("log");
    }
    return status;
}
