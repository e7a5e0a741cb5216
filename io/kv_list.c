/* SPDX-License-Identifier: Apache-2.0 */
/* What files a checkpoint has, and what is in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/err.h"
#include "io/kv_priv.h"

#define HEAD "weir-files 1\n"
#define END "end "
#define LINE_BYTES (WEIR_KV_NAME_BYTES + 40)
#define READ_BYTES (1 << 18)
/* A checkpoint of 10 TB in tables of 16 MiB. */
#define LIST_BYTES_MAX (64 * WEIR_MIB)

void
weir_kv_list_fini(struct kv_list *list)
{
    free(list->file);
    memset(list, 0, sizeof *list);
}

static int
list_add(struct kv_list *list, const struct kv_file *file)
{
    if (list->cnt == list->cap) {
        uint32_t cap = list->cap * 2 + 64;
        struct kv_file *mem = realloc(list->file, cap * sizeof *mem);
        if (mem == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a list of files");
        }
        list->file = mem;
        list->cap = cap;
    }
    list->file[list->cnt++] = *file;
    return 0;
}

static const struct kv_file *
list_find(const struct kv_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->cnt; i++) {
        if (strcmp(list->file[i].name, name) == 0) {
            return &list->file[i];
        }
    }
    return NULL;
}

static int
damaged(const char *dir, const char *name, const char *what)
{
    return weir_err_push(WEIR_ECHECKPOINT, "%s/%s: %s", dir, name, what);
}

static int
open_in(const char *dir, const char *name, int *ret_fd)
{
    char path[PATH_MAX];
    int bytes = snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = bytes > 0 && (size_t)bytes < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return errno == ENOENT ? damaged(dir, name, "it is not there")
                               : weir_err_errno(errno, "open %s/%s", dir, name);
    }
    *ret_fd = fd;
    return 0;
}

/* Length and checksum of an open file. */
static int
sum_file(int fd, struct kv_file *file)
{
    char *buf = malloc(READ_BYTES);
    ssize_t got = buf != NULL ? 1 : 0;
    file->bytes = 0;
    file->crc = 0;
    while (got > 0) {
        got = read(fd, buf, READ_BYTES);
        if (got > 0) {
            file->crc = weir_crc32c(file->crc, buf, (size_t)got);
            file->bytes += (uint64_t)got;
        }
    }
    int err = buf == NULL ? weir_err_push(WEIR_ENOMEM, "reading %s", file->name)
              : got < 0   ? weir_err_errno(errno, "read %s", file->name)
                          : 0;
    free(buf);
    return err;
}

/* ---- its text ---- */

static size_t
print_line(const struct kv_file *file, char line[LINE_BYTES])
{
    return (size_t)snprintf(
        line, LINE_BYTES, "%08" PRIx32 " %" PRIu64 " %s\n", file->crc, file->bytes, file->name);
}

char *
weir_kv_list_text(const struct kv_list *list, size_t *ret_bytes)
{
    char *text = malloc(sizeof HEAD + (list->cnt + (size_t)1) * LINE_BYTES);
    if (text == NULL) {
        return NULL;
    }
    size_t bytes = sizeof HEAD - 1;
    memcpy(text, HEAD, sizeof HEAD);
    for (uint32_t i = 0; i < list->cnt; i++) {
        bytes += print_line(&list->file[i], text + bytes);
    }
    bytes += (size_t)snprintf(
        text + bytes, LINE_BYTES, END "%08" PRIx32 "\n", weir_crc32c(0, text, bytes));
    *ret_bytes = bytes;
    return text;
}

int
weir_kv_list_parse(const char *dir, char *text, size_t bytes, struct kv_list *list)
{
    char *end = strstr(text, "\n" END);
    char want[LINE_BYTES];
    if (strlen(text) != bytes || strncmp(text, HEAD, sizeof HEAD - 1) != 0 || end == NULL) {
        return damaged(dir, WEIR_KV_LIST_NAME, "it is no list of files, or is cut off");
    }
    (void)snprintf(
        want, sizeof want, END "%08" PRIx32 "\n", weir_crc32c(0, text, (size_t)(end + 1 - text)));
    if (strcmp(end + 1, want) != 0) {
        return damaged(dir, WEIR_KV_LIST_NAME, "its checksum is wrong");
    }
    end[1] = '\0';
    int err = 0;
    for (char *at = text + sizeof HEAD - 1; *at != '\0' && err == 0;) {
        struct kv_file file;
        char *line_end = strchr(at, '\n'); /* that of the last line is the one before END */
        *line_end = '\0';
        bool is_line =
            sscanf(at, "%8" SCNx32 " %" SCNu64 " %63s", &file.crc, &file.bytes, file.name) == 3 &&
            strchr(file.name, '/') == NULL;
        size_t bytes_of = is_line ? print_line(&file, want) : 0;
        /* As it is written, and in no other way. */
        if (bytes_of != (size_t)(line_end - at) + 1 || memcmp(at, want, bytes_of - 1) != 0) {
            return damaged(dir, WEIR_KV_LIST_NAME, "a line of it is malformed");
        }
        err = list_add(list, &file);
        at = line_end + 1;
    }
    return err;
}

/* ---- reading ---- */

int
weir_kv_list_read(const char *dir, struct kv_list *ret_list)
{
    struct kv_list list = {NULL, 0, 0};
    struct stat stat;
    char *text = NULL;
    int fd = -1;
    int err = open_in(dir, WEIR_KV_LIST_NAME, &fd);
    memset(ret_list, 0, sizeof *ret_list);
    if (err == 0 && (fstat(fd, &stat) != 0 || stat.st_size > (off_t)LIST_BYTES_MAX)) {
        err = damaged(dir, WEIR_KV_LIST_NAME, "it is too long");
    }
    if (err == 0) {
        text = calloc(1, (size_t)stat.st_size + 1);
        ssize_t got = text != NULL ? read(fd, text, (size_t)stat.st_size) : 0;
        err = text == NULL ? weir_err_push(WEIR_ENOMEM, "a list of files")
              : got < 0    ? weir_err_errno(errno, "read %s/" WEIR_KV_LIST_NAME, dir)
                           : weir_kv_list_parse(dir, text, (size_t)got, &list);
    }
    if (fd >= 0) {
        (void)close(fd); /* only read */
    }
    free(text);
    if (err < 0) {
        weir_kv_list_fini(&list);
        return err;
    }
    *ret_list = list;
    return 0;
}

int
weir_kv_list_check(const char *dir, const struct kv_list *list)
{
    for (uint32_t i = 0; i < list->cnt; i++) {
        struct stat stat;
        int fd = -1;
        int err = open_in(dir, list->file[i].name, &fd);
        if (err < 0) {
            return err;
        }
        bool is_whole = fstat(fd, &stat) == 0 && (uint64_t)stat.st_size == list->file[i].bytes;
        (void)close(fd); /* only looked at */
        if (!is_whole) {
            return damaged(
                dir, list->file[i].name, "it has not the length that it was written with");
        }
    }
    return 0;
}

int
weir_kv_verify(const char *dir, struct weir_kv_files *ret_files)
{
    struct kv_list list;
    struct weir_kv_files files = {0, 0};
    int err = weir_kv_list_read(dir, &list);
    for (uint32_t i = 0; i < list.cnt && err == 0; i++) {
        const struct kv_file *want = &list.file[i];
        struct kv_file is = *want;
        int fd = -1;
        err = open_in(dir, want->name, &fd);
        err = err < 0 ? err : sum_file(fd, &is);
        if (fd >= 0) {
            (void)close(fd); /* only read */
        }
        if (err == 0 && is.bytes != want->bytes) {
            err = weir_err_push(WEIR_ECHECKPOINT,
                "%s/%s: it has %" PRIu64 " bytes, and was written with %" PRIu64, dir, want->name,
                is.bytes, want->bytes);
        } else if (err == 0 && is.crc != want->crc) {
            err = damaged(dir, want->name, "its checksum is wrong");
        }
        files.cnt++;
        files.bytes += is.bytes;
    }
    weir_kv_list_fini(&list);
    if (err == 0) {
        *ret_files = files;
    }
    return err;
}

/* ---- making ---- */

static bool
is_listed(const char *name)
{
    return name[0] != '.' && strncmp(name, "LOG", 3) != 0 && strcmp(name, "LOCK") != 0 &&
           strcmp(name, WEIR_KV_LIST_NAME) != 0;
}

/* dir_at: the directory of that path. */
static int
add_one(const char *dir, DIR *dir_at, const char *name, const struct kv_list *known,
    struct kv_list *list)
{
    struct kv_file file;
    struct stat stat;
    int fd = -1;
    if (strlen(name) >= sizeof file.name) {
        return weir_err_push(WEIR_EIO, "%s/%s: such a name is not expected", dir, name);
    }
    memset(&file, 0, sizeof file);
    memcpy(file.name, name, strlen(name));
    const char *dot = strrchr(name, '.');
    const struct kv_file *before =
        dot != NULL && strcmp(dot, ".sst") == 0 ? list_find(known, name) : NULL;
    if (before != NULL && fstatat(dirfd(dir_at), name, &stat, 0) == 0 &&
        (uint64_t)stat.st_size == before->bytes) {
        return list_add(list, before);
    }
    int err = open_in(dir, name, &fd);
    if (err < 0) {
        return err;
    }
    err = sum_file(fd, &file);
    (void)close(fd); /* only read */
    return err < 0 ? err : list_add(list, &file);
}

static int
write_list(const char *dir, const struct kv_list *list)
{
    char path[PATH_MAX];
    size_t bytes = 0;
    char *text = weir_kv_list_text(list, &bytes);
    if (text == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a list of files");
    }
    int len = snprintf(path, sizeof path, "%s/" WEIR_KV_LIST_NAME, dir);
    int fd = len > 0 && (size_t)len < sizeof path
                 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                 : -1;
    bool ok = fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes && fsync(fd) == 0;
    int err = ok ? 0 : weir_err_errno(errno != 0 ? errno : EIO, "write %s", path);
    if (fd >= 0) {
        (void)close(fd); /* it is synced, or failed already */
    }
    free(text);
    return err < 0 ? err : weir_kv_dir_sync_above(path);
}

int
weir_kv_list_make(const char *dir, struct kv_list *known)
{
    struct kv_list list = {NULL, 0, 0};
    const struct dirent *entry;
    DIR *open_dir = opendir(dir);
    int err = open_dir != NULL ? 0 : weir_err_errno(errno, "open %s", dir);
    while (err == 0 && (entry = readdir(open_dir)) != NULL) {
        err = is_listed(entry->d_name) ? add_one(dir, open_dir, entry->d_name, known, &list) : 0;
    }
    if (open_dir != NULL) {
        (void)closedir(open_dir); /* only read */
    }
    err = err < 0 ? err : write_list(dir, &list);
    if (err < 0) {
        weir_kv_list_fini(&list);
        return err;
    }
    weir_kv_list_fini(known);
    *known = list;
    return 0;
}
