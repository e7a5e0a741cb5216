/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "io/sim_priv.h"

/* What a file has in it at most whose memory another one takes. */
#define SPARE_BYTES_MAX (256 * WEIR_KIB)

/* Adds one component; "" and "." add nothing, ".." takes the last one away. Returns false if
 * full. */
static bool
path_add(char *path, const char *name, size_t name_bytes)
{
    size_t used = strlen(path);
    if (name_bytes == 0 || (name_bytes == 1 && name[0] == '.')) {
        return true;
    }
    if (name_bytes == 2 && name[0] == '.' && name[1] == '.') {
        char *slash = strrchr(path, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        return true;
    }
    if (used + 1 + name_bytes >= SIM_PATH_BYTES) {
        return false;
    }
    path[used] = '/';
    memcpy(path + used + 1, name, name_bytes);
    path[used + 1 + name_bytes] = '\0';
    return true;
}

int
weir_sim_path(struct weir_sim *world, int32_t dir, const char *path, char *ret_path)
{
    char full[SIM_PATH_BYTES] = "";
    if (dir != WEIR_IO_CWD && path[0] != '/') {
        struct sim_handle *handle = weir_sim_handle_of(world, dir);
        if (handle == NULL || handle->kind != SIM_FILE) {
            return -EBADF;
        }
        if (!handle->file->is_dir) {
            return -ENOTDIR;
        }
        memcpy(full, handle->file->path, sizeof full);
    }
    while (*path != '\0') {
        size_t bytes = strcspn(path, "/");
        if (!path_add(full, path, bytes)) {
            return -ENAMETOOLONG;
        }
        path += bytes + (path[bytes] == '/' ? 1 : 0);
    }
    memcpy(ret_path, full, sizeof full);
    return 0;
}

static uint32_t
hash_of(const char *path)
{
    uint32_t hash = 0;
    for (; *path != '\0'; path++) {
        hash = hash * 31 + (uint8_t)*path;
    }
    return hash;
}

void
weir_sim_set_path(struct sim_file *file, const char *path)
{
    memmove(file->path, path, strlen(path) + 1);
    file->name_hash = hash_of(file->path);
}

struct sim_file *
weir_sim_file_find(struct weir_sim *world, const char *path)
{
    uint32_t hash = hash_of(path);
    for (uint32_t i = 0; i < world->file_end; i++) {
        struct sim_file *file = &world->files[i];
        if (file->name_hash == hash && file->is_used && file->is_linked &&
            strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

/* The directory that holds path: 0 where it is there, else -errno. */
static int
check_parent(struct weir_sim *world, const char *path)
{
    char parent[SIM_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return -EEXIST; /* the root itself */
    }
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    const struct sim_file *dir = weir_sim_file_find(world, parent);
    return dir == NULL ? -ENOENT : !dir->is_dir ? -ENOTDIR : dir->is_denied ? -EACCES : 0;
}

static char *
map_bytes(struct weir_sim *world)
{
    struct weir_sim_pool *pool = world->pool;
    return pool->cnt > 0 ? pool->spare[--pool->cnt]
                         : mmap(NULL, SIM_FILE_BYTES_MAX, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* The next file takes small ones as they are. */
void
weir_sim_file_unmap(struct weir_sim *world, char *mem, uint64_t used_bytes)
{
    struct weir_sim_pool *pool = world->pool;
    if (mem == NULL) {
        return;
    }
    if (used_bytes <= SPARE_BYTES_MAX && pool->cnt < SIM_SPARE_CNT_MAX) {
        memset(mem, 0, used_bytes);
        pool->spare[pool->cnt++] = mem;
    } else {
        (void)munmap(mem, SIM_FILE_BYTES_MAX); /* our own mapping */
    }
}

int
weir_sim_file_make(
    struct weir_sim *world, const char *path, bool is_dir, struct sim_file **ret_file)
{
    int err = check_parent(world, path);
    if (err != 0) {
        return err;
    }
    struct sim_file *file = world->files;
    while (file < world->files + SIM_FILE_CNT_MAX && file->is_used) {
        file++;
    }
    if (file == world->files + SIM_FILE_CNT_MAX) {
        return -ENOSPC;
    }
    char *base = is_dir ? NULL : map_bytes(world);
    char *durable = is_dir || !world->config.cuts_power ? NULL : map_bytes(world);
    if (base == MAP_FAILED || durable == MAP_FAILED) {
        return -ENOMEM;
    }
    uint32_t idx = (uint32_t)(file - world->files);
    world->file_end = idx < world->file_end ? world->file_end : idx + 1;
    *file = (struct sim_file){.is_used = true,
        .serial = ++world->serial_next,
        .is_linked = true,
        .is_dir = is_dir,
        .base = base,
        .durable = durable,
        .mtime_ns = world->now_ns};
    weir_sim_set_path(file, path);
    *ret_file = file;
    return 0;
}

/* Cut to `bytes`; what is cut reads as zeros when it grows again. */
static void
cut_file(struct weir_sim *world, struct sim_file *file, uint64_t bytes)
{
    memset(file->base + bytes, 0, file->bytes - bytes);
    world->used_bytes -= file->bytes - bytes;
    file->bytes = bytes;
}

void
weir_sim_file_drop(struct weir_sim *world, struct sim_file *file)
{
    if (file->is_linked || file->handle_cnt > 0 || file->is_durable) {
        return;
    }
    weir_sim_file_unmap(world, file->durable, file->durable_bytes);
    weir_sim_file_unmap(world, file->base, file->bytes);
    world->used_bytes -= file->bytes;
    *file = (struct sim_file){0};
}

/* What open says before it opens: 0 or -errno; *file may be NULL where it is to be made. */
static int
check_open(const struct weir_io_op *op, const struct sim_file *file)
{
    uint32_t flags = op->flags;
    if (file == NULL) {
        return (flags & WEIR_IO_O_CREATE) == 0 ? -ENOENT : 0;
    }
    if ((flags & WEIR_IO_O_CREATE) != 0 && (flags & WEIR_IO_O_EXCL) != 0) {
        return -EEXIST;
    }
    if (file->is_denied) {
        return -EACCES;
    }
    if (file->is_dir && (flags & (WEIR_IO_O_WRITE | WEIR_IO_O_REGULAR)) != 0) {
        return -EISDIR;
    }
    if (!file->is_dir && (flags & WEIR_IO_O_DIRECTORY) != 0) {
        return -ENOTDIR;
    }
    return (flags & WEIR_IO_O_LOCK) != 0 && file->lock_handle != 0 ? -EWOULDBLOCK : 0;
}

static bool
leaves_dir(const struct weir_io_op *op)
{
    int depth = 0;
    for (const char *at = op->path; *at != '\0';) {
        size_t bytes = strcspn(at, "/");
        bool is_up = bytes == 2 && at[0] == '.' && at[1] == '.';
        bool is_none = bytes == 0 || (bytes == 1 && at[0] == '.');
        depth += is_up ? -1 : is_none ? 0 : 1;
        if (depth < 0) {
            return true;
        }
        at += bytes + (at[bytes] == '/' ? 1 : 0);
    }
    return op->path[0] == '/';
}

static int64_t
disk_open(struct weir_sim *world, struct weir_io_op *op, const char *path)
{
    if ((op->flags & WEIR_IO_O_BENEATH) != 0 && leaves_dir(op)) {
        return -EXDEV;
    }
    struct sim_file *file = weir_sim_file_find(world, path);
    int err = check_open(op, file);
    if (err == 0 && file == NULL) {
        err = weir_sim_file_make(world, path, false, &file);
    }
    if (err != 0) {
        return err;
    }
    int32_t fd = weir_sim_handle_new(world, SIM_FILE);
    if (fd < 0) {
        return fd;
    }
    if ((op->flags & WEIR_IO_O_TRUNC) != 0) {
        cut_file(world, file, 0);
    }
    if ((op->flags & WEIR_IO_O_LOCK) != 0) {
        file->lock_handle = (uint32_t)fd;
    }
    file->handle_cnt++;
    world->handles[fd].file = file;
    world->handles[fd].flags = op->flags;
    return fd;
}

static int64_t
disk_close(struct weir_sim *world, struct weir_io_op *op)
{
    struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    if (handle == NULL) {
        return -EBADF;
    }
    struct sim_file *file = handle->file;
    if (file->lock_handle == (uint32_t)op->file) {
        file->lock_handle = 0;
    }
    *handle = (struct sim_handle){0};
    file->handle_cnt--;
    weir_sim_file_drop(world, file);
    return 0;
}

static int64_t
disk_read(struct weir_sim *world, struct weir_io_op *op, struct sim_handle *handle)
{
    struct sim_file *file = handle->file;
    if (file->is_dir || (handle->flags & WEIR_IO_O_WRITE) != 0) {
        if (file->is_dir || (handle->flags & WEIR_IO_O_READ) == 0) {
            return file->is_dir ? -EISDIR : -EBADF;
        }
    }
    bool is_stream = op->off == WEIR_IO_STREAM;
    uint64_t off = is_stream ? handle->pos : weir_io_rest_off(op);
    if (off >= file->bytes) {
        return 0;
    }
    uint64_t bytes = weir_sim_cut(world, weir_min_u64(weir_io_rest_bytes(op), file->bytes - off));
    memcpy(weir_io_rest_buf(op), file->base + off, bytes);
    handle->pos += is_stream ? bytes : 0;
    return (int64_t)bytes;
}

/* How far the file may grow to end at `end`: less where the disk or the file is full. */
static uint64_t
grow(struct weir_sim *world, struct sim_file *file, uint64_t end)
{
    if (end <= file->bytes) {
        return end;
    }
    uint64_t more = weir_min_u64(end, SIM_FILE_BYTES_MAX) - file->bytes;
    if (world->config.disk_bytes != 0) {
        more = weir_min_u64(more,
            world->config.disk_bytes - weir_min_u64(world->used_bytes, world->config.disk_bytes));
    }
    world->used_bytes += more;
    file->bytes += more;
    return file->bytes;
}

static int64_t
disk_write(struct weir_sim *world, struct weir_io_op *op, struct sim_handle *handle)
{
    struct sim_file *file = handle->file;
    if (file->is_dir || (handle->flags & WEIR_IO_O_WRITE) == 0) {
        return -EBADF;
    }
    bool is_stream = op->off == WEIR_IO_STREAM;
    uint64_t off = is_stream ? handle->pos : weir_io_rest_off(op);
    if ((handle->flags & WEIR_IO_O_APPEND) != 0) {
        off = file->bytes;
    }
    uint64_t bytes = weir_sim_cut(world, weir_io_rest_bytes(op));
    if (bytes == 0) {
        return 0;
    }
    uint64_t end = grow(world, file, off + bytes);
    if (end <= off) {
        return -ENOSPC;
    }
    bytes = end - off;
    memcpy(file->base + off, weir_io_rest_buf(op), bytes);
    file->mtime_ns = world->now_ns;
    handle->pos = is_stream ? end : handle->pos;
    return (int64_t)bytes;
}

static int64_t
disk_list(struct weir_sim *world, struct weir_io_op *op, struct sim_handle *handle)
{
    if (!handle->file->is_dir) {
        return -ENOTDIR;
    }
    const char *dir = handle->file->path;
    size_t dir_bytes = strlen(dir);
    uint64_t used = 0;
    for (; handle->pos < world->file_end; handle->pos++) {
        const struct sim_file *file = &world->files[handle->pos];
        const char *name = file->path + dir_bytes + 1;
        if (!file->is_used || !file->is_linked || strncmp(file->path, dir, dir_bytes) != 0 ||
            file->path[dir_bytes] != '/' || strchr(name, '/') != NULL) {
            continue;
        }
        size_t name_bytes = strlen(name) + 1;
        if (used + 1 + name_bytes > op->bytes) {
            return used > 0 ? (int64_t)used : -EINVAL;
        }
        char *entry = (char *)op->buf + used;
        entry[0] = file->is_dir ? WEIR_IO_DIR : WEIR_IO_FILE;
        memcpy(entry + 1, name, name_bytes);
        used += 1 + name_bytes;
    }
    return (int64_t)used;
}

static bool
has_children(struct weir_sim *world, const struct sim_file *dir)
{
    size_t bytes = strlen(dir->path);
    for (uint32_t i = 0; i < world->file_end; i++) {
        const struct sim_file *file = &world->files[i];
        if (file->is_used && file->is_linked && strncmp(file->path, dir->path, bytes) == 0 &&
            file->path[bytes] == '/') {
            return true;
        }
    }
    return false;
}

static int64_t
disk_unlink(struct weir_sim *world, struct weir_io_op *op, struct sim_file *file)
{
    bool wants_dir = (op->flags & WEIR_IO_RMDIR) != 0;
    if (file->is_dir != wants_dir) {
        return wants_dir ? -ENOTDIR : -EISDIR;
    }
    if (wants_dir && has_children(world, file)) {
        return -ENOTEMPTY;
    }
    file->is_linked = false;
    weir_sim_file_drop(world, file);
    return 0;
}

/* Returns false where the two together are too long. */
static bool
put_behind(char *path, const char *head, const char *tail)
{
    size_t bytes = strlen(head);
    if (bytes + strlen(tail) >= SIM_PATH_BYTES) {
        return false;
    }
    memcpy(path, head, bytes);
    memcpy(path + bytes, tail, strlen(tail) + 1);
    return true;
}

/* Moves one file, or a directory with all that is below it. */
static int64_t
disk_rename(struct weir_sim *world, struct weir_io_op *op, struct sim_file *file)
{
    char to[SIM_PATH_BYTES];
    int err = weir_sim_path(world, op->dir, op->path2, to);
    err = err == 0 ? check_parent(world, to) : err;
    if (err != 0) {
        return err;
    }
    struct sim_file *old = weir_sim_file_find(world, to);
    if (old == file) {
        return 0;
    }
    if (old != NULL && (op->flags & WEIR_IO_NOREPLACE) != 0) {
        return -EEXIST;
    }
    if (old != NULL && (old->is_dir || file->is_dir)) {
        return !file->is_dir ? -EISDIR : !old->is_dir ? -ENOTDIR : -ENOTEMPTY;
    }
    if (old != NULL) {
        old->is_linked = false;
        weir_sim_file_drop(world, old);
    }
    char from[SIM_PATH_BYTES];
    memcpy(from, file->path, sizeof from);
    size_t from_bytes = strlen(from);
    bool is_dir = file->is_dir;
    for (uint32_t i = 0; i < world->file_end; i++) {
        struct sim_file *moved = &world->files[i];
        bool is_below = strncmp(moved->path, from, from_bytes) == 0 &&
                        (moved->path[from_bytes] == '/' || moved->path[from_bytes] == '\0');
        if (!moved->is_used || !moved->is_linked || !is_below) {
            continue;
        }
        char path[SIM_PATH_BYTES];
        if (!put_behind(path, to, moved->path + from_bytes)) {
            return -ENAMETOOLONG;
        }
        if (is_dir) {
            weir_sim_power_moved_dir(moved, from, to);
        } else {
            weir_sim_power_moved(moved);
        }
        weir_sim_set_path(moved, path);
    }
    return 0;
}

static int64_t
disk_stat(struct weir_sim *world, struct weir_io_op *op, const struct sim_file *file)
{
    uint64_t disk_bytes = world->config.disk_bytes;
    *(struct weir_io_stat *)op->buf = (struct weir_io_stat){
        .bytes = file->bytes,
        .mtime_ns = world->config.utc_ns + file->mtime_ns,
        .free_bytes = disk_bytes == 0 ? SIM_FILE_BYTES_MAX
                                      : disk_bytes - weir_min_u64(disk_bytes, world->used_bytes),
        .type = file->is_dir ? WEIR_IO_DIR : WEIR_IO_FILE,
        .direct_align = 512,
        .serial = file->serial,
    };
    return 0;
}

/* Verbs that act on a path. */
static int64_t
disk_path(struct weir_sim *world, struct weir_io_op *op)
{
    char path[SIM_PATH_BYTES];
    int err = weir_sim_path(world, op->dir, op->path, path);
    if (err != 0) {
        return err;
    }
    if (op->verb == WEIR_IO_OPEN) {
        return disk_open(world, op, path);
    }
    struct sim_file *file = weir_sim_file_find(world, path);
    if (op->verb == WEIR_IO_MKDIR) {
        return file != NULL ? -EEXIST : weir_sim_file_make(world, path, true, &file);
    }
    if (file == NULL) {
        return -ENOENT;
    }
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_STAT:
        return disk_stat(world, op, file);
    case WEIR_IO_UNLINK:
        return disk_unlink(world, op, file);
    default:
        return disk_rename(world, op, file);
    }
}

int64_t
weir_sim_disk(struct weir_sim *world, struct weir_io_op *op)
{
    if (op->verb == WEIR_IO_CLOSE) {
        return disk_close(world, op);
    }
    if (op->path != NULL) {
        return disk_path(world, op);
    }
    struct sim_handle *handle =
        weir_sim_handle_of(world, op->verb == WEIR_IO_STAT ? op->dir : op->file);
    if (handle == NULL || handle->kind != SIM_FILE) {
        return -EBADF;
    }
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_READ:
        return disk_read(world, op, handle);
    case WEIR_IO_WRITE:
        return disk_write(world, op, handle);
    case WEIR_IO_SYNC:
        weir_sim_power_sync(world, handle->file);
        return 0;
    case WEIR_IO_TRUNCATE:
        if (op->bytes < handle->file->bytes) {
            cut_file(world, handle->file, op->bytes);
        }
        return grow(world, handle->file, op->bytes) < op->bytes ? -ENOSPC : 0;
    case WEIR_IO_ALLOCATE:
        return grow(world, handle->file, op->off + op->bytes) < op->off + op->bytes ? -ENOSPC : 0;
    case WEIR_IO_STAT:
        return disk_stat(world, op, handle->file);
    case WEIR_IO_LIST:
        return disk_list(world, op, handle);
    default:
        WEIR_CHECK(false, "verb %d is no storage verb", op->verb);
    }
}
