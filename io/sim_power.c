/* SPDX-License-Identifier: Apache-2.0 */
/* What a power cut leaves. Beside what programs see of a file stands what the disk has for sure:
 * the contents of its last sync, and the name of its directory's last sync. In between everything
 * is possible, sector by sector and name by name.
 */
#include <string.h>

#include "base/check.h"
#include "io/sim_priv.h"

#define SECTOR_BYTES 512
#define PERCENT 100

static void
sync_contents(struct sim_file *file)
{
    if (file->durable == NULL || file->is_unsyncable) {
        return;
    }
    if (file->durable_bytes > file->bytes) {
        memset(file->durable + file->bytes, 0, file->durable_bytes - file->bytes);
    }
    memcpy(file->durable, file->base, file->bytes);
    file->durable_bytes = file->bytes;
}

static bool
is_in(const char *path, const struct sim_file *dir)
{
    size_t bytes = strlen(dir->path);
    return strncmp(path, dir->path, bytes) == 0 && path[bytes] == '/' &&
           strchr(path + bytes + 1, '/') == NULL;
}

static void
sync_name(struct weir_sim *world, struct sim_file *file)
{
    file->is_durable = file->is_linked;
    memcpy(file->durable_path, file->path, sizeof file->path);
    file->middle_path[0] = '\0';
    weir_sim_file_drop(world, file);
}

void
weir_sim_power_sync(struct weir_sim *world, struct sim_file *file)
{
    if (!world->config.cuts_power) {
        return;
    }
    if (!file->is_dir) {
        sync_contents(file);
        return;
    }
    for (uint32_t i = 1; i < world->file_end; i++) {
        struct sim_file *child = &world->files[i];
        bool was_in = child->is_durable && is_in(child->durable_path, file);
        bool is_unsure = world->config.moves_alone && child->is_linked;
        if (child->is_used && ((was_in && !is_unsure) || is_in(child->path, file))) {
            sync_name(world, child);
        }
    }
}

void
weir_sim_power_harden(struct weir_sim *world, struct sim_file *file)
{
    if (world->config.cuts_power) {
        sync_contents(file);
        sync_name(world, file);
    }
}

void
weir_sim_power_moved(struct sim_file *file)
{
    memcpy(file->middle_path, file->path, sizeof file->path);
}

static void
move_name(char path[SIM_PATH_BYTES], const char *from, const char *to)
{
    size_t bytes = strlen(from);
    char tail[SIM_PATH_BYTES];
    bool is_below = strncmp(path, from, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
    if (is_below && strlen(to) + strlen(path + bytes) < SIM_PATH_BYTES) {
        memcpy(tail, path + bytes, strlen(path + bytes) + 1);
        memcpy(path, to, strlen(to));
        memcpy(path + strlen(to), tail, strlen(tail) + 1);
    }
}

void
weir_sim_power_moved_dir(struct sim_file *file, const char *from, const char *to)
{
    move_name(file->durable_path, from, to);
    move_name(file->middle_path, from, to);
}

void
weir_sim_kill(struct weir_sim *world)
{
    world->life++;
    for (int32_t i = 3; i < SIM_HANDLE_CNT_MAX; i++) {
        struct sim_handle *handle = &world->handles[i];
        if (handle->kind == SIM_FREE) {
            continue;
        }
        if (handle->kind != SIM_FILE) {
            weir_sim_net_close(world, i);
            continue;
        }
        struct sim_file *file = handle->file;
        *handle = (struct sim_handle){0};
        file->handle_cnt--;
        file->lock_handle = 0;
        weir_sim_file_drop(world, file);
    }
}

/* The name that the disk kept, or NULL where it kept none. */
static const char *
kept_name(const struct sim_file *file, struct weir_rng *rng, uint64_t keep)
{
    bool keeps = weir_rng_chance(rng, keep, PERCENT);
    if (keeps) {
        return file->is_linked ? file->path : NULL;
    }
    if (file->is_durable) {
        return file->durable_path;
    }
    bool is_between = file->middle_path[0] != '\0' && weir_rng_chance(rng, 1, 2);
    return is_between ? file->middle_path : NULL;
}

/* Whether another file, decided before, has this name. */
static bool
is_taken(const struct weir_sim *world, const struct sim_file *file, const char *name)
{
    for (const struct sim_file *other = world->files; other < file; other++) {
        if (other->is_used && other->is_linked && strcmp(other->path, name) == 0) {
            return true;
        }
    }
    return false;
}

static void
settle_name(struct weir_sim *world, struct sim_file *file, const char *name)
{
    file->is_linked = name != NULL && !is_taken(world, file, name);
    file->is_durable = file->is_linked;
    if (file->is_linked && name != file->path) {
        weir_sim_set_path(file, name);
    }
    memcpy(file->durable_path, file->path, sizeof file->path);
    file->middle_path[0] = '\0';
}

static void
settle_contents(struct sim_file *file, struct weir_rng *rng, uint64_t keep)
{
    uint64_t longer = weir_max_u64(file->bytes, file->durable_bytes);
    uint64_t shorter = weir_min_u64(file->bytes, file->durable_bytes);
    for (uint64_t off = 0; off < longer; off += SECTOR_BYTES) {
        uint64_t bytes = weir_min_u64(SECTOR_BYTES, longer - off);
        if (memcmp(file->base + off, file->durable + off, bytes) != 0 &&
            !weir_rng_chance(rng, keep, PERCENT)) {
            memcpy(file->base + off, file->durable + off, bytes);
        }
    }
    uint64_t sectors = (longer - shorter + SECTOR_BYTES - 1) / SECTOR_BYTES;
    bool is_between = sectors > 0 && weir_rng_chance(rng, 1, 4);
    uint64_t bytes = weir_rng_chance(rng, keep, PERCENT) ? file->bytes : file->durable_bytes;
    if (is_between) {
        bytes = weir_min_u64(longer, shorter + weir_rng_below(rng, sectors) * SECTOR_BYTES);
    }
    if (bytes < longer) {
        memset(file->base + bytes, 0, longer - bytes);
    }
    file->bytes = bytes;
    file->is_unsyncable = false;
    sync_contents(file);
}

/* What lies below a directory that is gone is gone; parents stand anywhere in the table. */
static void
drop_orphans(struct weir_sim *world)
{
    for (bool found = true; found;) {
        found = false;
        for (uint32_t i = 1; i < world->file_end; i++) {
            struct sim_file *file = &world->files[i];
            char parent[SIM_PATH_BYTES];
            if (!file->is_used || !file->is_linked) {
                continue;
            }
            memcpy(parent, file->path, sizeof parent);
            *strrchr(parent, '/') = '\0';
            if (weir_sim_file_find(world, parent) == NULL) {
                file->is_linked = false;
                file->is_durable = false;
                found = true;
            }
        }
    }
}

void
weir_sim_cut_power(struct weir_sim *world, uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    weir_sim_kill(world);
    if (!world->config.cuts_power) {
        return;
    }
    /* Nothing, a quarter, half... of what was pending got through: the ends are drawn, too. */
    uint64_t keep_names = weir_rng_below(&rng, 5) * 25;
    uint64_t keep_sectors = weir_rng_below(&rng, 5) * 25;
    for (uint32_t i = 1; i < world->file_end; i++) {
        struct sim_file *file = &world->files[i];
        if (!file->is_used) {
            continue;
        }
        settle_name(world, file, kept_name(file, &rng, keep_names));
        if (!file->is_dir) {
            settle_contents(file, &rng, keep_sectors);
        }
    }
    drop_orphans(world);
    world->used_bytes = 0;
    for (uint32_t i = 1; i < world->file_end; i++) {
        struct sim_file *file = &world->files[i];
        if (file->is_used && !file->is_linked && file->handle_cnt == 0) {
            world->used_bytes += file->bytes;
            weir_sim_file_drop(world, file);
        }
        world->used_bytes += file->is_used ? file->bytes : 0;
    }
}
