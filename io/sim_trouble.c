/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong at an operation of the simulated world, each because it was asked for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "io/sim_priv.h"

/* A write that goes astray hits a place so far from its own, or a multiple. */
#define ASTRAY_BYTES 4096

static bool
is_net(const struct weir_io_op *op)
{
    return op->verb == WEIR_IO_LISTEN || op->verb == WEIR_IO_CONNECT ||
           op->verb == WEIR_IO_ACCEPT || op->verb == WEIR_IO_RECV || op->verb == WEIR_IO_SEND;
}

/* The file that op is about; "" where it has none. */
static void
path_of(struct weir_sim *world, const struct weir_io_op *op, char ret_path[SIM_PATH_BYTES])
{
    ret_path[0] = '\0';
    if (op->path != NULL && op->verb != WEIR_IO_CONNECT && op->verb != WEIR_IO_LISTEN) {
        (void)!weir_sim_path(world, op->dir, op->path, ret_path); /* a bad one is nobody's */
        return;
    }
    const struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    if (handle != NULL && handle->kind == SIM_FILE) {
        memcpy(ret_path, handle->file->path, SIM_PATH_BYTES);
    }
}

/* The verb that a kind is about, where it is about one. */
static uint32_t
verb_of(const struct weir_sim_trouble *trouble)
{
    switch (trouble->kind) {
    case WEIR_SIM_SYNC_LOST:
        return WEIR_IO_SYNC;
    case WEIR_SIM_LOST:
    case WEIR_SIM_ASTRAY:
        return WEIR_IO_WRITE;
    case WEIR_SIM_FLIP:
        return WEIR_IO_READ;
    default:
        return trouble->verb;
    }
}

static bool
is_of_dir(struct weir_sim *world, const struct weir_io_op *op)
{
    const struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    return handle != NULL && handle->kind == SIM_FILE && handle->file->is_dir;
}

/* What is due for this operation, which is then past. Returns false: nothing is. */
static bool
take(struct weir_sim *world, const struct weir_io_op *op, bool is_late,
    struct weir_sim_trouble *ret_trouble)
{
    char path[SIM_PATH_BYTES];
    bool has_path = false;
    for (uint32_t i = 0; i < SIM_FAULT_CNT_MAX; i++) {
        struct sim_fault *fault = &world->faults[i];
        if (!fault->is_used || (fault->trouble.kind == WEIR_SIM_LATE) != is_late ||
            verb_of(&fault->trouble) != op->verb) {
            continue;
        }
        if (!has_path) {
            path_of(world, op, path);
            has_path = true;
        }
        if (strncmp(path, fault->under, strlen(fault->under)) != 0 ||
            (fault->trouble.only_dirs && !is_of_dir(world, op))) {
            continue;
        }
        if (fault->trouble.skip_cnt > 0) {
            fault->trouble.skip_cnt--;
            continue;
        }
        fault->is_used = false;
        world->trouble_cnt++;
        *ret_trouble = fault->trouble;
        if (ret_trouble->then != NULL) {
            (void)!weir_sim_trouble(world, ret_trouble->then); /* this place is free at the least */
        }
        return true;
    }
    return false;
}

int64_t
weir_sim_late_ns(struct weir_sim *world, const struct weir_io_op *op)
{
    struct weir_sim_trouble trouble;
    return take(world, op, true, &trouble) ? trouble.late_ns : 0;
}

static int64_t do_write(struct weir_sim *world, struct weir_io_op *op);

static int64_t
do_well(struct weir_sim *world, struct weir_io_op *op)
{
    if (op->verb == WEIR_IO_CLOSE) {
        struct sim_handle *handle = weir_sim_handle_of(world, op->file);
        if (handle != NULL && handle->kind != SIM_FILE) {
            weir_sim_net_close(world, op->file);
            return 0;
        }
    }
    return is_net(op)                  ? weir_sim_net(world, op)
           : op->verb == WEIR_IO_WRITE ? do_write(world, op)
                                       : weir_sim_disk(world, op);
}

/* Remember what should stand there. Room for it was looked for before. */
static void
note_mend(
    struct weir_sim *world, struct sim_file *file, uint64_t off, const char *good, uint64_t bytes)
{
    for (uint32_t i = 0; i < SIM_MEND_CNT_MAX; i++) {
        struct sim_mend *mend = &world->mends[i];
        if (mend->file == NULL) {
            *mend = (struct sim_mend){file, file->serial, off, bytes, malloc(bytes)};
            WEIR_CHECK(mend->good != NULL, "no memory for what a write should have left");
            memcpy(mend->good, good, bytes);
            return;
        }
    }
}

/* Written rightly since: that is what should stand there now. */
static void
renew_mends(struct weir_sim *world, const struct sim_file *file, uint64_t off, uint64_t bytes)
{
    for (uint32_t i = 0; i < SIM_MEND_CNT_MAX; i++) {
        struct sim_mend *mend = &world->mends[i];
        uint64_t from = weir_max_u64(off, mend->off);
        uint64_t to = weir_min_u64(off + bytes, mend->off + mend->bytes);
        if (mend->file == file && mend->serial == file->serial && from < to) {
            memcpy(mend->good + (from - mend->off), file->base + from, to - from);
        }
    }
}

/* A write that goes well. */
static int64_t
do_write(struct weir_sim *world, struct weir_io_op *op)
{
    struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    bool is_placed = handle != NULL && handle->kind == SIM_FILE && op->off != WEIR_IO_STREAM;
    int64_t got = weir_sim_disk(world, op);
    if (got > 0 && is_placed) {
        renew_mends(world, handle->file, weir_io_rest_off(op), (uint64_t)got);
    }
    return got;
}

static bool
has_room_for_mends(const struct weir_sim *world)
{
    uint32_t free_cnt = 0;
    for (uint32_t i = 0; i < SIM_MEND_CNT_MAX; i++) {
        free_cnt += world->mends[i].file == NULL;
    }
    return free_cnt >= 2;
}

/* The file grows as it should; what it holds there is what it held. */
static int64_t
write_wrong(struct weir_sim *world, struct weir_io_op *op, bool goes_astray)
{
    struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    if (handle == NULL || handle->kind != SIM_FILE || op->off == WEIR_IO_STREAM ||
        !has_room_for_mends(world)) {
        return do_well(world, op);
    }
    struct sim_file *file = handle->file;
    uint64_t off = weir_io_rest_off(op);
    uint64_t bytes = weir_io_rest_bytes(op);
    char *old = malloc(bytes + 1);
    WEIR_CHECK(old != NULL, "no memory for what a write has lost");
    memcpy(old, file->base + off, bytes);
    int64_t got = do_well(world, op);
    if (got > 0) {
        bytes = (uint64_t)got;
        note_mend(world, file, off, file->base + off, bytes);
        uint64_t places = file->bytes / ASTRAY_BYTES;
        uint64_t to = places == 0 ? 0 : weir_rng_below(&world->rng, places) * ASTRAY_BYTES;
        if (goes_astray && to != off && to + bytes <= file->bytes) {
            char *data = malloc(bytes);
            WEIR_CHECK(data != NULL, "no memory for what goes astray");
            memcpy(data, file->base + off, bytes);
            memcpy(file->base + off, old, bytes);
            note_mend(world, file, to, file->base + to, bytes);
            memcpy(file->base + to, data, bytes);
            free(data);
        } else {
            memcpy(file->base + off, old, bytes);
        }
    }
    free(old);
    return got;
}

/* One that is not zero, where there is one: blocks are filled up with zeros, of which whoever reads
 * them makes nothing. */
static uint64_t
choose_byte(struct weir_sim *world, const uint8_t *data, uint64_t bytes)
{
    uint64_t used_cnt = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        used_cnt += data[i] != 0;
    }
    uint64_t nth = weir_rng_below(&world->rng, used_cnt > 0 ? used_cnt : bytes);
    uint64_t at = 0;
    while (used_cnt > 0 && (data[at] == 0 || nth > 0)) {
        nth -= data[at] != 0;
        at++;
    }
    return used_cnt > 0 ? at : nth;
}

static int64_t
read_flipped(struct weir_sim *world, struct weir_io_op *op)
{
    int64_t got = do_well(world, op);
    if (got > 0) {
        uint8_t *data = (uint8_t *)weir_io_rest_buf(op);
        uint64_t at = choose_byte(world, data, (uint64_t)got);
        data[at] ^= (uint8_t)(1U << weir_rng_below(&world->rng, 8));
    }
    return got;
}

int64_t
weir_sim_do(struct weir_sim *world, struct weir_io_op *op)
{
    struct weir_sim_trouble trouble;
    if (!take(world, op, false, &trouble)) {
        return do_well(world, op);
    }
    const struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    switch (trouble.kind) {
    case WEIR_SIM_SYNC_LOST:
        if (handle != NULL && handle->kind == SIM_FILE && !handle->file->is_dir) {
            handle->file->is_unsyncable = true;
        }
        return -EIO;
    case WEIR_SIM_LOST:
    case WEIR_SIM_ASTRAY:
        return write_wrong(world, op, trouble.kind == WEIR_SIM_ASTRAY);
    case WEIR_SIM_FLIP:
        return read_flipped(world, op);
    case WEIR_SIM_KILL:
    case WEIR_SIM_POWER:
        if (trouble.is_behind || weir_rng_chance(&world->rng, 1, 2)) {
            (void)do_well(world, op);
        }
        if (trouble.kind == WEIR_SIM_POWER) {
            weir_sim_cut_power(world, weir_rng_u64(&world->rng));
        } else {
            weir_sim_kill(world);
        }
        return -ECANCELED;
    default:
        return -trouble.errnum;
    }
}

bool
weir_sim_trouble(struct weir_sim *world, const struct weir_sim_trouble *trouble)
{
    for (uint32_t i = 0; i < SIM_FAULT_CNT_MAX; i++) {
        struct sim_fault *fault = &world->faults[i];
        const char *under = trouble->under != NULL ? trouble->under : "";
        if (!fault->is_used && strlen(under) < SIM_PATH_BYTES) {
            *fault = (struct sim_fault){.is_used = true, .trouble = *trouble};
            memcpy(fault->under, under, strlen(under) + 1);
            return true;
        }
    }
    return false;
}

void
weir_sim_fault(struct weir_sim *world, enum weir_io_verb verb, uint32_t skip_cnt, int errnum)
{
    const struct weir_sim_trouble trouble = {
        .kind = WEIR_SIM_ERROR, .verb = verb, .skip_cnt = skip_cnt, .errnum = errnum};
    bool has_room = weir_sim_trouble(world, &trouble);
    WEIR_CHECK(has_room, "over %d faults wait", SIM_FAULT_CNT_MAX);
}

uint64_t
weir_sim_trouble_cnt(const struct weir_sim *world)
{
    return world->trouble_cnt;
}

void
weir_sim_trouble_clear(struct weir_sim *world)
{
    for (uint32_t i = 0; i < SIM_FAULT_CNT_MAX; i++) {
        world->faults[i].is_used = false;
    }
}

uint32_t
weir_sim_mend(struct weir_sim *world)
{
    uint32_t cnt = 0;
    for (uint32_t i = SIM_MEND_CNT_MAX; i-- > 0;) {
        struct sim_mend *mend = &world->mends[i];
        struct sim_file *file = mend->file;
        if (file != NULL && file->is_used && file->serial == mend->serial &&
            mend->off < file->bytes) {
            /* It may have been cut shorter since. */
            uint64_t bytes = weir_min_u64(mend->bytes, file->bytes - mend->off);
            memcpy(file->base + mend->off, mend->good, bytes);
            if (file->durable != NULL && mend->off + bytes <= file->durable_bytes) {
                memcpy(file->durable + mend->off, mend->good, bytes);
            }
            cnt++;
        }
        free(mend->good);
        *mend = (struct sim_mend){0};
    }
    return cnt;
}

uint32_t
weir_sim_life(const struct weir_sim *world)
{
    return world->life;
}

const char *
weir_sim_path_at(const struct weir_sim *world, uint32_t idx)
{
    const struct sim_file *file = &world->files[idx];
    return file->is_used && file->is_linked ? file->path : NULL;
}

uint32_t
weir_sim_path_end(const struct weir_sim *world)
{
    return world->file_end;
}

int64_t
weir_sim_now_ns(const struct weir_sim *world)
{
    return world->now_ns;
}
