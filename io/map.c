/* SPDX-License-Identifier: Apache-2.0 */
/* map.c: files in memory. Ios that share a list map a file once, whoever of them comes first:
 * pages of 4 KiB cost some 200 ns each to fault in, and a word each to point at. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "io/back.h"

struct weir_io_mapping {
    struct weir_io_maps *maps; /* NULL: it is in no list */
    struct weir_io_mapping *next;
    dev_t dev;
    ino_t ino;
    void *base;
    size_t bytes;
    uint32_t user_cnt;
};

struct weir_io_maps {
    /* of all below, also while a file is mapped: the next who wants it waits */
    pthread_mutex_t lock;
    struct weir_io_mapping *first;
};

int
weir_io_maps_new(struct weir_io_maps **ret_maps)
{
    struct weir_io_maps *maps = calloc(1, sizeof *maps);
    if (maps == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the list of mapped files");
    }
    (void)pthread_mutex_init(&maps->lock, NULL); /* cannot fail without attributes */
    *ret_maps = maps;
    return 0;
}

void
weir_io_maps_delete(struct weir_io_maps *maps)
{
    if (maps != NULL) {
        WEIR_CHECK(maps->first == NULL, "a file is mapped still");
        (void)pthread_mutex_destroy(&maps->lock);
        free(maps);
    }
}

static int
check_file(const char *path, const struct stat *st)
{
    if (S_ISDIR(st->st_mode)) {
        return weir_err_errno(EISDIR, "map %s", path);
    }
    if (!S_ISREG(st->st_mode)) {
        return weir_err_push(WEIR_ENOINPUT, "map %s: not a regular file", path);
    }
    return st->st_size == 0 ? weir_err_push(WEIR_ENOINPUT, "map %s: the file is empty", path) : 0;
}

/* One that has grown since is another: what is behind the old end is not mapped. */
static struct weir_io_mapping *
find(const struct weir_io_maps *maps, const struct stat *st)
{
    struct weir_io_mapping *mapping = maps->first;
    while (mapping != NULL && (mapping->dev != st->st_dev || mapping->ino != st->st_ino ||
                                  mapping->bytes != (size_t)st->st_size)) {
        mapping = mapping->next;
    }
    return mapping;
}

static int
map_new(int fd, const char *path, const struct stat *st, uint32_t flags,
    struct weir_io_mapping **ret_mapping)
{
    struct weir_io_mapping *mapping = calloc(1, sizeof *mapping);
    if (mapping == NULL) {
        return weir_err_push(WEIR_ENOMEM, "map %s", path);
    }
    mapping->dev = st->st_dev;
    mapping->ino = st->st_ino;
    mapping->bytes = (size_t)st->st_size;
    int populate = (flags & WEIR_IO_MAP_POPULATE) != 0 ? MAP_POPULATE : 0;
    mapping->base = mmap(NULL, mapping->bytes, PROT_READ, MAP_SHARED | populate, fd, 0);
    if (mapping->base == MAP_FAILED) {
        free(mapping);
        return weir_err_errno(errno, "map %s", path);
    }
    /* Advice only: a kernel that refuses it maps all the same. */
    if ((flags & WEIR_IO_MAP_SEQUENTIAL) != 0) {
        (void)madvise(mapping->base, mapping->bytes, MADV_SEQUENTIAL);
    }
    if ((flags & WEIR_IO_MAP_HUGE) != 0) {
        (void)madvise(mapping->base, mapping->bytes, MADV_HUGEPAGE);
    }
    *ret_mapping = mapping;
    return 0;
}

static int
map_shared(struct weir_io_maps *maps, int fd, const char *path, const struct stat *st,
    uint32_t flags, struct weir_io_mapping **ret_mapping)
{
    int err = 0;
    (void)pthread_mutex_lock(&maps->lock);
    struct weir_io_mapping *mapping = find(maps, st);
    if (mapping == NULL) {
        err = map_new(fd, path, st, flags, &mapping);
        if (err == 0) {
            mapping->maps = maps;
            mapping->next = maps->first;
            maps->first = mapping;
        }
    }
    if (err == 0) {
        mapping->user_cnt++;
        *ret_mapping = mapping;
    }
    (void)pthread_mutex_unlock(&maps->lock);
    return err;
}

static int
host_map(struct weir_io_maps *maps, const char *path, uint32_t flags, struct weir_io_map *ret_map)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return weir_err_errno(errno, "map %s", path);
    }
    struct stat st;
    struct weir_io_mapping *mapping;
    int err = fstat(fd, &st) != 0 ? weir_err_errno(errno, "map %s", path) : check_file(path, &st);
    if (err == 0) {
        err = maps != NULL ? map_shared(maps, fd, path, &st, flags, &mapping)
                           : map_new(fd, path, &st, flags, &mapping);
    }
    (void)close(fd); /* opened for reading */
    if (err == 0) {
        *ret_map = (struct weir_io_map){
            .base = mapping->base, .bytes = mapping->bytes, .mapping = mapping};
    }
    return err;
}

int
weir_io_map(struct weir_io *io, const char *path, uint32_t flags, struct weir_io_map *ret_map)
{
    if (io->back->map != NULL) {
        return io->back->map(io, path, ret_map);
    }
    return host_map(io->maps, path, flags, ret_map);
}

/* Whether nobody else uses it; it is out of its list then. */
static bool
leave(struct weir_io_mapping *mapping)
{
    struct weir_io_maps *maps = mapping->maps;
    if (maps == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&maps->lock);
    bool is_last = --mapping->user_cnt == 0;
    if (is_last) {
        struct weir_io_mapping **at = &maps->first;
        while (*at != mapping) {
            at = &(*at)->next;
        }
        *at = mapping->next;
    }
    (void)pthread_mutex_unlock(&maps->lock);
    return is_last;
}

void
weir_io_unmap(struct weir_io_map *map)
{
    if (map == NULL) {
        return;
    }
    if (map->mapping != NULL && leave(map->mapping)) {
        (void)munmap(map->mapping->base, map->mapping->bytes); /* our own mapping */
        free(map->mapping);
    }
    *map = (struct weir_io_map){0};
}
