/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of stores and their checkpoints. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "io/kv.h"
#include "io/kv_priv.h"

#define COPY_BYTES_MAX (1 << 20)

/* Stores keep files only, no directories. */
static int
remove_files(DIR *dir)
{
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            unlinkat(dirfd(dir), name, 0) != 0) {
            return weir_err_errno(errno, "remove %s", name);
        }
    }
    return 0;
}

int
weir_kv_remove(const char *dir)
{
    DIR *open_dir = opendir(dir);
    if (open_dir == NULL) {
        return errno == ENOENT ? 0 : weir_err_errno(errno, "open %s", dir);
    }
    int err = remove_files(open_dir);
    (void)closedir(open_dir); /* only read */
    if (err == 0 && rmdir(dir) != 0) {
        err = weir_err_errno(errno, "remove %s", dir);
    }
    return err;
}

int
weir_kv_remove_all(const char *dir, const char *suffix)
{
    DIR *open_dir = opendir(dir);
    if (open_dir == NULL) {
        return errno == ENOENT ? 0 : weir_err_errno(errno, "open %s", dir);
    }
    const struct dirent *entry;
    int err = 0;
    while (err == 0 && (entry = readdir(open_dir)) != NULL) {
        size_t bytes = strlen(entry->d_name);
        size_t end = strlen(suffix);
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (bytes > end && strcmp(entry->d_name + bytes - end, suffix) == 0 && len > 0 &&
            (size_t)len < sizeof path) {
            err = weir_kv_remove(path);
        }
    }
    (void)closedir(open_dir); /* only read */
    return err;
}

/* The directory above the first `bytes` bytes of a path; it holds a name. */
static int
sync_above(const char *path, size_t bytes)
{
    char above[PATH_MAX];
    memcpy(above, path, bytes);
    above[bytes] = '\0';
    char *slash = strrchr(above, '/');
    if (slash != NULL) {
        slash[slash == above] = '\0';
    }
    int fd = open(slash != NULL ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int err = weir_err_errno(errno, "make %s durable", path);
        if (fd >= 0) {
            (void)close(fd); /* it failed already */
        }
        return err;
    }
    (void)close(fd); /* it is synced */
    return 0;
}

static int
path_check(const char *dir)
{
    size_t bytes = strlen(dir);
    return bytes < PATH_MAX ? 0 : weir_err_push(WEIR_EINVAL, "a path of %zu bytes", bytes);
}

int
weir_kv_dir_sync_above(const char *dir)
{
    int err = path_check(dir);
    return err < 0 ? err : sync_above(dir, strlen(dir));
}

int
weir_kv_dir_make_above(const char *dir)
{
    char path[PATH_MAX];
    int err = path_check(dir);
    for (size_t i = 1; err == 0 && dir[i] != '\0'; i++) {
        if (dir[i] != '/') {
            continue;
        }
        memcpy(path, dir, i);
        path[i] = '\0';
        if (mkdir(path, 0777) == 0) {
            err = sync_above(path, i);
        } else if (errno != EEXIST) {
            err = weir_err_errno(errno, "make %s", path);
        }
    }
    return err;
}

static int
copy_file(int from_dir, int to_dir, const char *name)
{
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int err = from < 0 || to < 0 ? weir_err_errno(errno, "copy %s", name) : 0;
    for (ssize_t got = 1; err == 0 && got > 0;) {
        got = sendfile(to, from, NULL, COPY_BYTES_MAX);
        err = got < 0 ? weir_err_errno(errno, "copy %s", name) : 0;
    }
    if (from >= 0) {
        (void)close(from); /* only read */
    }
    if (to >= 0 && close(to) != 0 && err == 0) {
        err = weir_err_errno(errno, "copy %s", name);
    }
    return err;
}

/* Tables never change once they are written; what else there is does. */
static bool
is_table(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".sst") == 0;
}

static int
link_all(DIR *from, int to)
{
    const struct dirent *entry;
    while ((entry = readdir(from)) != NULL) {
        const char *name = entry->d_name;
        int err = 0;
        if (name[0] == '.' || strcmp(name, "LOCK") == 0 || strcmp(name, WEIR_KV_LIST_NAME) == 0) {
            continue;
        }
        if (!is_table(name) || linkat(dirfd(from), name, to, name, 0) != 0) {
            err = copy_file(dirfd(from), to, name); /* also onto another file system */
        }
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int
weir_kv_dir_link(const char *from, const char *dir)
{
    if (mkdir(dir, 0777) != 0) {
        return weir_err_errno(errno, "make %s", dir);
    }
    int to = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *source = opendir(from);
    int err = to < 0 || source == NULL ? weir_err_errno(errno, "open %s", from) : 0;
    if (err == 0) {
        err = link_all(source, to);
    }
    if (source != NULL) {
        (void)closedir(source); /* only read */
    }
    if (to >= 0) {
        (void)close(to); /* only to name files in it */
    }
    return err;
}
