/* SPDX-License-Identifier: Apache-2.0 */
#include "io/aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "io/back.h"
#include "io/socket.h"

/* Asked for: past the user's share of pipe memory the kernel gives 4 KiB, where writing would
 * block. */
#define ASIDE_PIPE_BYTES 65536
/* statx(2)'s direct-I/O fields (Linux 6.1) are younger than this libc's header. */
#define ASIDE_STATX_DIOALIGN 0x2000U

WEIR_STATIC_ASSERT(
    sizeof(struct weir_socket_address) <= 4 * sizeof(uint64_t), "an address fits behind priv[0]");

struct weir_aside {
    pthread_t helper;
    int to_helper[2];
    int to_core[2];
    uint32_t cnt;
};

void
weir_aside_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK); /* cannot fail: it is open */
}

/* To open a named pipe takes as long as nobody is at its other end, and a call that blocks cannot
 * be canceled. So it is opened without blocking: for reading, who asked waits for the writer; for
 * writing it is an error (ENXIO) while nobody reads, as from an io_uring. */
static int64_t
run_open(const struct weir_io_op *op)
{
    bool reads = (op->flags & WEIR_IO_O_WRITE) == 0;
    struct open_how how = {
        .flags = (uint64_t)weir_io_open_flags(op->flags) | O_NONBLOCK,
        .mode = (op->flags & WEIR_IO_O_CREATE) == 0    ? 0
                : (op->flags & WEIR_IO_O_PRIVATE) != 0 ? 0600
                                                       : 0666,
        .resolve = (op->flags & WEIR_IO_O_BENEATH) != 0 ? RESOLVE_BENEATH : 0,
    };
    long fd = how.resolve != 0 ? syscall(SYS_openat2, op->dir, op->path, &how, sizeof how)
                               : openat(op->dir, op->path, (int)how.flags, (mode_t)how.mode);
    struct stat st;
    if (fd >= 0 && !(reads && fstat((int)fd, &st) == 0 && S_ISFIFO(st.st_mode))) {
        weir_aside_block((int)fd);
    }
    return fd < 0 ? -errno : weir_io_opened(op, (int)fd);
}

/* What statx says of direct I/O: its fields stand at bytes 152 and 156 since Linux 6.1. */
static uint32_t
direct_align(const struct statx *stx)
{
    uint32_t align[2];
    WEIR_STATIC_ASSERT(sizeof *stx >= 160, "struct statx holds the fields");
    memcpy(align, (const char *)stx + 152, sizeof align);
    if ((stx->stx_mask & ASIDE_STATX_DIOALIGN) == 0) {
        return 0;
    }
    return (uint32_t)weir_max_u64(align[0], align[1]);
}

static int64_t
run_stat(struct weir_io_op *op)
{
    struct statx stx;
    const char *path = op->path != NULL ? op->path : "";
    unsigned mask = STATX_BASIC_STATS | ASIDE_STATX_DIOALIGN;
    if (statx(op->dir, path, AT_EMPTY_PATH, mask, &stx) != 0) {
        return -errno;
    }
    struct statfs fs;
    int rc;
    if (op->path == NULL) {
        rc = fstatfs(op->dir, &fs);
    } else {
        int fd = openat(op->dir, op->path, O_PATH | O_CLOEXEC);
        rc = fd < 0 ? -1 : fstatfs(fd, &fs);
        int errnum = errno;
        if (fd >= 0) {
            (void)close(fd); /* a path only */
        }
        errno = errnum;
    }
    if (rc != 0) {
        return -errno;
    }
    *(struct weir_io_stat *)op->buf = (struct weir_io_stat){
        .bytes = stx.stx_size,
        .mtime_ns = stx.stx_mtime.tv_sec * WEIR_SEC_NS + stx.stx_mtime.tv_nsec,
        .free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize,
        .type = S_ISREG(stx.stx_mode)    ? WEIR_IO_FILE
                : S_ISDIR(stx.stx_mode)  ? WEIR_IO_DIR
                : S_ISFIFO(stx.stx_mode) ? WEIR_IO_PIPE
                : S_ISSOCK(stx.stx_mode) ? WEIR_IO_SOCKET
                                         : WEIR_IO_OTHER,
        .direct_align = direct_align(&stx),
        .device = (uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor,
        .serial = stx.stx_ino,
        .is_volatile = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC,
    };
    return 0;
}

static enum weir_io_type
entry_type(int dir, const struct dirent64 *entry)
{
    switch (entry->d_type) {
    case DT_REG:
        return WEIR_IO_FILE;
    case DT_DIR:
        return WEIR_IO_DIR;
    case DT_FIFO:
        return WEIR_IO_PIPE;
    case DT_SOCK:
        return WEIR_IO_SOCKET;
    default:
        break;
    }
    /* A link is what it points at; some file systems leave the type out. */
    struct stat st;
    if (fstatat(dir, entry->d_name, &st, 0) != 0) {
        return WEIR_IO_OTHER;
    }
    return S_ISREG(st.st_mode) ? WEIR_IO_FILE : S_ISDIR(st.st_mode) ? WEIR_IO_DIR : WEIR_IO_OTHER;
}

/* The kernel's records are packed in place: each of ours is shorter than the one it came from. */
static int64_t
run_list(const struct weir_io_op *op)
{
    char *buf = op->buf;
    for (;;) {
        ssize_t got = getdents64(op->file, buf, op->bytes);
        if (got <= 0) {
            return got < 0 ? -errno : 0;
        }
        size_t used = 0;
        for (size_t at = 0; at < (size_t)got;) {
            const struct dirent64 *entry = (const void *)(buf + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
                continue;
            }
            char type = (char)entry_type(op->file, entry);
            size_t name_bytes = strlen(entry->d_name) + 1;
            memmove(buf + used + 1, entry->d_name, name_bytes);
            buf[used] = type;
            used += 1 + name_bytes;
        }
        if (used > 0) {
            return (int64_t)used;
        }
    }
}

static int64_t
run(struct weir_io_op *op)
{
    int64_t rc;
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_OPEN:
        return run_open(op);
    case WEIR_IO_CLOSE:
        rc = close(op->file);
        break;
    case WEIR_IO_READ:
        rc = pread(
            op->file, weir_io_rest_buf(op), weir_io_rest_bytes(op), (off_t)weir_io_rest_off(op));
        break;
    case WEIR_IO_WRITE:
        rc = pwrite(
            op->file, weir_io_rest_buf(op), weir_io_rest_bytes(op), (off_t)weir_io_rest_off(op));
        break;
    case WEIR_IO_SYNC:
        rc = (op->flags & WEIR_IO_DATA_ONLY) != 0 ? fdatasync(op->file) : fsync(op->file);
        break;
    case WEIR_IO_ALLOCATE:
        rc = fallocate(op->file, 0, (off_t)op->off, (off_t)op->bytes);
        break;
    case WEIR_IO_TRUNCATE:
        rc = ftruncate(op->file, (off_t)op->bytes);
        if (rc == 0 && lseek(op->file, 0, SEEK_CUR) > (off_t)op->bytes) {
            /* Who writes on in turn (a shell behind us) leaves no hole. */
            (void)lseek(op->file, (off_t)op->bytes, SEEK_SET);
        }
        break;
    case WEIR_IO_STAT:
        return run_stat(op);
    case WEIR_IO_LIST:
        return run_list(op);
    case WEIR_IO_RENAME:
        rc = renameat2(op->dir, op->path, op->dir, op->path2,
            (op->flags & WEIR_IO_NOREPLACE) != 0 ? RENAME_NOREPLACE : 0);
        break;
    case WEIR_IO_UNLINK:
        rc = unlinkat(op->dir, op->path, (op->flags & WEIR_IO_RMDIR) != 0 ? AT_REMOVEDIR : 0);
        break;
    case WEIR_IO_MKDIR:
        rc = mkdirat(op->dir, op->path, 0777);
        break;
    case WEIR_IO_LISTEN:
    case WEIR_IO_CONNECT:
        return weir_socket_resolve(op->path, false, (struct weir_socket_address *)&op->priv[1]);
    default:
        WEIR_CHECK(false, "verb %d does not block", op->verb);
    }
    return rc < 0 ? -errno : rc;
}

/* The result travels in op->result, which the core leaves alone meanwhile; NULL asks to end. */
static void *
helper_main(void *arg)
{
    struct weir_aside *aside = arg;
    for (;;) {
        struct weir_io_op *op;
        ssize_t got = read(aside->to_helper[0], &op, sizeof op);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        WEIR_CHECK(got == (ssize_t)sizeof op, "request pipe: %zd", got);
        if (op == NULL) {
            return NULL;
        }
        op->result = run(op);
        WEIR_CHECK(write(aside->to_core[1], &op, sizeof op) == (ssize_t)sizeof op, "reply pipe");
    }
}

static int
start_helper(struct weir_aside *aside)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail: both sets are ours */
    int rc = pthread_create(&aside->helper, NULL, helper_main, aside);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return weir_err_errno(rc, "start the io helper thread");
    }
    (void)pthread_setname_np(aside->helper, "weir-aside"); /* for the reader of ps */
    return 0;
}

int
weir_aside_open(struct weir_aside **ret_aside)
{
    WEIR_STATIC_ASSERT(
        WEIR_IO_DEPTH_MAX * sizeof(void *) <= ASIDE_PIPE_BYTES, "a pipe holds all that fly");
    struct weir_aside *aside = calloc(1, sizeof *aside);
    if (aside == NULL) {
        return weir_err_push(WEIR_ENOMEM, "io helper");
    }
    int err = 0;
    aside->to_helper[0] = -1;
    aside->to_core[0] = -1;
    if (pipe2(aside->to_helper, O_CLOEXEC) != 0 || pipe2(aside->to_core, O_CLOEXEC) != 0 ||
        fcntl(aside->to_helper[1], F_SETPIPE_SZ, ASIDE_PIPE_BYTES) < 0 ||
        fcntl(aside->to_core[1], F_SETPIPE_SZ, ASIDE_PIPE_BYTES) < 0 ||
        fcntl(aside->to_core[0], F_SETFL, O_NONBLOCK) != 0) {
        err = weir_err_errno(errno, "pipes of the io helper");
        goto out;
    }
    err = start_helper(aside);
out:
    if (err == 0) {
        *ret_aside = aside;
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (aside->to_helper[0] >= 0) {
            (void)close(aside->to_helper[i]);
        }
        if (aside->to_core[0] >= 0) {
            (void)close(aside->to_core[i]);
        }
    }
    free(aside);
    return err;
}

void
weir_aside_close(struct weir_aside *aside)
{
    if (aside == NULL) {
        return;
    }
    struct weir_io_op *end = NULL;
    WEIR_CHECK(aside->cnt == 0, "%u operations are aside", aside->cnt);
    WEIR_CHECK(write(aside->to_helper[1], &end, sizeof end) == (ssize_t)sizeof end, "pipe");
    (void)pthread_join(aside->helper, NULL); /* joinable and joined once */
    for (int i = 0; i < 2; i++) {
        (void)close(aside->to_helper[i]);
        (void)close(aside->to_core[i]);
    }
    free(aside);
}

void
weir_aside_put(struct weir_aside *aside, struct weir_io_op *op)
{
    aside->cnt++;
    ssize_t put = write(aside->to_helper[1], &op, sizeof op);
    WEIR_CHECK(put == (ssize_t)sizeof op, "request pipe: %zd", put);
}

struct weir_io_op *
weir_aside_take(struct weir_aside *aside, int64_t *ret_res)
{
    struct weir_io_op *op;
    if (aside->cnt == 0 || read(aside->to_core[0], &op, sizeof op) != (ssize_t)sizeof op) {
        return NULL;
    }
    aside->cnt--;
    *ret_res = op->result;
    return op;
}

int
weir_aside_fd(const struct weir_aside *aside)
{
    return aside->to_core[0];
}

uint32_t
weir_aside_cnt(const struct weir_aside *aside)
{
    return aside->cnt;
}
