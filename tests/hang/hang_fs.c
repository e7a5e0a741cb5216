/* SPDX-License-Identifier: Apache-2.0 */
/* hang_fs BACK MOUNTPOINT: the directory BACK over FUSE, in the foreground until it is unmounted.
 *
 * Storage that hangs is this process under SIGSTOP: whatever is asked of MOUNTPOINT then waits
 * until SIGCONT, and nothing of it fails. The kernel keeps no name and no attribute of it, so that
 * each operation is asked here.
 */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int back;

/* FUSE's paths begin with a slash, and are below BACK. */
static const char *
below(const char *path)
{
    return path[1] == '\0' ? "." : path + 1;
}

static int
said(int rc)
{
    return rc < 0 ? -errno : 0;
}

static int
do_getattr(const char *path, struct stat *st, struct fuse_file_info *file)
{
    return said(file != NULL ? fstat((int)file->fh, st)
                             : fstatat(back, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int
do_mkdir(const char *path, mode_t mode)
{
    return said(mkdirat(back, below(path), mode));
}

static int
do_unlink(const char *path)
{
    return said(unlinkat(back, below(path), 0));
}

static int
do_rmdir(const char *path)
{
    return said(unlinkat(back, below(path), AT_REMOVEDIR));
}

static int
do_rename(const char *from, const char *to, unsigned flags)
{
    return said(renameat2(back, below(from), back, below(to), flags));
}

static int
do_truncate(const char *path, off_t bytes, struct fuse_file_info *file)
{
    if (file != NULL) {
        return said(ftruncate((int)file->fh, bytes));
    }
    int fd = openat(back, below(path), O_WRONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : said(ftruncate(fd, bytes));
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static int
open_as(const char *path, int flags, mode_t mode, struct fuse_file_info *file)
{
    int fd = openat(back, below(path), (flags & ~O_DIRECT) | O_CLOEXEC, mode);
    if (fd < 0) {
        return -errno;
    }
    file->fh = (uint64_t)fd;
    return 0;
}

static int
do_open(const char *path, struct fuse_file_info *file)
{
    return open_as(path, file->flags, 0, file);
}

static int
do_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    return open_as(path, file->flags | O_CREAT, mode, file);
}

static int
do_opendir(const char *path, struct fuse_file_info *file)
{
    return open_as(path, O_RDONLY | O_DIRECTORY, 0, file);
}

static int
do_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    return said(close((int)file->fh));
}

static int
do_read(const char *path, char *buf, size_t bytes, off_t off, struct fuse_file_info *file)
{
    (void)path;
    ssize_t got = pread((int)file->fh, buf, bytes, off);
    return got < 0 ? -errno : (int)got;
}

static int
do_write(const char *path, const char *buf, size_t bytes, off_t off, struct fuse_file_info *file)
{
    (void)path;
    ssize_t put = pwrite((int)file->fh, buf, bytes, off);
    return put < 0 ? -errno : (int)put;
}

static int
do_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    return said(data_only != 0 ? fdatasync((int)file->fh) : fsync((int)file->fh));
}

static int
do_fallocate(const char *path, int mode, off_t off, off_t bytes, struct fuse_file_info *file)
{
    (void)path;
    return said(fallocate((int)file->fh, mode, off, bytes));
}

static int
do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
    struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    (void)path;
    (void)off;
    (void)flags;
    int fd = dup((int)file->fh);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return -errno;
    }
    rewinddir(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat st = {.st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type)};
        if (fill(buf, entry->d_name, &st, 0, (enum fuse_fill_dir_flags)0) != 0) {
            break;
        }
    }
    (void)closedir(dir);
    return 0;
}

static int
do_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return said(fstatvfs(back, st));
}

static void *
do_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    (void)conn;
    config->entry_timeout = 0;
    config->attr_timeout = 0;
    config->negative_timeout = 0;
    return NULL;
}

int
main(int argc, char **argv)
{
    static const struct fuse_operations operations = {
        .init = do_init,
        .getattr = do_getattr,
        .mkdir = do_mkdir,
        .unlink = do_unlink,
        .rmdir = do_rmdir,
        .rename = do_rename,
        .truncate = do_truncate,
        .open = do_open,
        .create = do_create,
        .read = do_read,
        .write = do_write,
        .statfs = do_statfs,
        .release = do_release,
        .fsync = do_fsync,
        .opendir = do_opendir,
        .readdir = do_readdir,
        .releasedir = do_release,
        .fsyncdir = do_fsync,
        .fallocate = do_fallocate,
    };
    if (argc != 3) {
        (void)fprintf(stderr, "usage: hang_fs BACK MOUNTPOINT\n");
        return 64;
    }
    back = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (back < 0) {
        (void)fprintf(stderr, "hang_fs: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    char *line[] = {argv[0], (char *)"-f", (char *)"-s", (char *)"-o", (char *)"fsname=weir-hang",
        argv[2], NULL};
    return fuse_main(6, line, &operations, NULL);
}
