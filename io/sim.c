/* SPDX-License-Identifier: Apache-2.0 */
#include "io/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/err.h"
#include "io/sim_priv.h"

#define SIM_LATENCY_NS_DEFAULT (100 * WEIR_US)
#define PPM UINT64_C(1000000)

/* One core's view of the world. A flying op keeps its time in priv[0], its draw in priv[1]. */
struct sim {
    struct weir_io io;
    struct weir_sim *world;
    uint32_t life; /* of the world, when it was attached */
};

static struct sim *
sim_of(const struct weir_io *io)
{
    return (struct sim *)(uintptr_t)io;
}

uint64_t
weir_sim_cut(struct weir_sim *world, uint64_t bytes)
{
    if (bytes < 2 || !weir_rng_chance(&world->rng, world->config.short_ppm, PPM)) {
        return bytes;
    }
    return 1 + weir_rng_below(&world->rng, bytes - 1);
}

static bool
is_net(const struct weir_io_op *op)
{
    return op->verb == WEIR_IO_LISTEN || op->verb == WEIR_IO_CONNECT ||
           op->verb == WEIR_IO_ACCEPT || op->verb == WEIR_IO_RECV || op->verb == WEIR_IO_SEND;
}

static void
sim_submit(struct weir_io *io, struct weir_io_op *op)
{
    struct weir_sim *world = sim_of(io)->world;
    uint64_t latency_ns = 1 + weir_rng_below(&world->rng, (uint64_t)world->config.latency_ns_max);
    int64_t now_ns = weir_max_i64(world->now_ns, io->now_ns);
    op->priv[0] = (uint64_t)(now_ns + (int64_t)latency_ns + weir_sim_late_ns(world, op));
    op->priv[1] = weir_rng_u64(&world->rng);
}

/* When op can end: its drawn time, or never while it waits for a peer. */
static int64_t
op_due_ns(struct weir_sim *world, const struct weir_io_op *op)
{
    if (op->canceling) {
        return 0;
    }
    bool waits = is_net(op) && weir_sim_net_would_wait(world, op);
    return waits ? INT64_MAX : (int64_t)op->priv[0];
}

static struct weir_io_op *
first_due(struct weir_io *io, int64_t *ret_due_ns)
{
    struct weir_sim *world = sim_of(io)->world;
    struct weir_io_op *first = NULL;
    int64_t first_ns = INT64_MAX;
    for (struct weir_io_op *op = io->flying.head; op != NULL; op = op->next) {
        int64_t due_ns = op_due_ns(world, op);
        if (due_ns < first_ns ||
            (due_ns == first_ns && first != NULL && op->priv[1] < first->priv[1])) {
            first = op;
            first_ns = due_ns;
        }
    }
    *ret_due_ns = first_ns;
    return first;
}

/* A cancel comes in time or too late, as it is drawn; what waits for a peer is always in time. */
static int64_t
run_canceled(struct weir_sim *world, struct weir_io_op *op)
{
    bool waits = is_net(op) && weir_sim_net_would_wait(world, op);
    if (waits || weir_rng_chance(&world->rng, 1, 2)) {
        return -ECANCELED;
    }
    return weir_sim_do(world, op);
}

/* What is submitted from a done_fn is due later than now, so this ends. */
static void
sim_poll(struct weir_io *io)
{
    struct weir_sim *world = sim_of(io)->world;
    world->now_ns = weir_max_i64(world->now_ns, io->now_ns);
    for (;;) {
        int64_t due_ns;
        struct weir_io_op *op = first_due(io, &due_ns);
        if (op == NULL || due_ns > world->now_ns) {
            return;
        }
        bool is_dead = sim_of(io)->life != world->life;
        int64_t res = is_dead         ? -ECANCELED
                      : op->canceling ? run_canceled(world, op)
                                      : weir_sim_do(world, op);
        weir_io_finish(io, op, res);
    }
}

/* Who waits has nothing else to do: time goes on to what happens next. */
static void
sim_wait(struct weir_io *io, int64_t timeout_ns, int event_fd)
{
    int64_t due_ns;
    struct weir_sim *world = sim_of(io)->world;
    int64_t now_ns = weir_max_i64(world->now_ns, io->now_ns);
    (void)event_fd;
    (void)first_due(io, &due_ns); /* the time is all that is asked */
    int64_t end_ns = timeout_ns < 0 ? INT64_MAX : weir_add_sat(now_ns, timeout_ns);
    int64_t to_ns = weir_min_i64(due_ns, end_ns);
    world->now_ns = to_ns == INT64_MAX ? now_ns : weir_max_i64(now_ns, to_ns);
}

static void
sim_cancel(struct weir_io *io, struct weir_io_op *op)
{
    (void)io;
    (void)op; /* `canceling` is set: the next poll ends it */
}

static void
sim_close(struct weir_io *io)
{
    free(sim_of(io));
}

static int64_t
sim_clock_ns(const struct weir_io *io, bool wall)
{
    const struct weir_sim *world = sim_of(io)->world;
    int64_t now_ns = weir_max_i64(world->now_ns, io->now_ns);
    return wall ? world->config.utc_ns + now_ns : now_ns;
}

static int64_t
sim_due_ns(const struct weir_io *io)
{
    int64_t due_ns;
    (void)first_due(&sim_of(io)->io, &due_ns); /* the time is all that is asked */
    return due_ns;
}

static int
sim_map(struct weir_io *io, const char *path, struct weir_io_map *ret_map)
{
    struct weir_sim *world = sim_of(io)->world;
    char full[SIM_PATH_BYTES];
    int err = weir_sim_path(world, WEIR_IO_CWD, path, full);
    struct sim_file *file = err == 0 ? weir_sim_file_find(world, full) : NULL;
    if (file == NULL || file->is_dir || file->is_denied) {
        int errnum = file == NULL ? ENOENT : file->is_dir ? EISDIR : EACCES;
        return weir_err_errno(errnum, "map %s", path);
    }
    if (file->bytes == 0) {
        return weir_err_push(WEIR_ENOINPUT, "map %s: the file is empty", path);
    }
    *ret_map = (struct weir_io_map){.base = file->base, .bytes = file->bytes};
    return 0;
}

static const struct weir_io_back sim_back = {
    .name = "sim",
    .close = sim_close,
    .submit = sim_submit,
    .poll = sim_poll,
    .wait = sim_wait,
    .cancel = sim_cancel,
    .map = sim_map,
    .clock_ns = sim_clock_ns,
    .due_ns = sim_due_ns,
};

int
weir_sim_attach(struct weir_sim *world, uint32_t depth, struct weir_io **ret_io)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) {
        return weir_err_push(WEIR_ENOMEM, "simulated io");
    }
    weir_io_init(&sim->io, &sim_back, depth);
    sim->world = world;
    sim->life = world->life;
    *ret_io = &sim->io;
    return 0;
}

static int
make_std(struct weir_sim *world)
{
    static const char *const paths[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    for (int i = 0; i < 3; i++) {
        int err = weir_sim_put(world, paths[i], "", 0);
        if (err != 0) {
            return err;
        }
        struct sim_handle *handle = &world->handles[i];
        handle->kind = SIM_FILE;
        handle->flags = i == 0 ? WEIR_IO_O_READ : WEIR_IO_O_WRITE;
        handle->file = weir_sim_file_find(world, paths[i]);
        handle->file->handle_cnt++;
    }
    return 0;
}

int
weir_sim_pool_open(struct weir_sim_pool **ret_pool)
{
    struct weir_sim_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return weir_err_push(WEIR_ENOMEM, "memory of simulated worlds");
    }
    *ret_pool = pool;
    return 0;
}

void
weir_sim_pool_close(struct weir_sim_pool *pool)
{
    for (uint32_t i = 0; pool != NULL && i < pool->cnt; i++) {
        (void)munmap(pool->spare[i], SIM_FILE_BYTES_MAX); /* our own mapping */
    }
    free(pool);
}

int
weir_sim_open(const struct weir_sim_config *config, struct weir_sim **ret_world)
{
    struct weir_sim *world = calloc(1, sizeof *world);
    if (world == NULL) {
        return weir_err_push(WEIR_ENOMEM, "simulated world");
    }
    world->config = *config;
    world->pool = config->pool;
    int pool_err = config->pool == NULL ? weir_sim_pool_open(&world->own) : 0;
    if (pool_err != 0) {
        free(world);
        return pool_err;
    }
    world->pool = config->pool != NULL ? config->pool : world->own;
    if (config->latency_ns_max == 0) {
        world->config.latency_ns_max = SIM_LATENCY_NS_DEFAULT;
    }
    world->now_ns = config->start_ns;
    world->port_next = 40000;
    weir_rng_init(&world->rng, config->seed);
    /* The root: its path is empty. */
    world->files[0].is_used = true;
    world->files[0].is_linked = true;
    world->files[0].is_dir = true;
    world->files[0].is_durable = true;
    weir_sim_set_path(&world->files[0], "");
    world->file_end = 1;
    int err = make_std(world);
    if (err != 0) {
        weir_sim_close(world);
        return err;
    }
    *ret_world = world;
    return 0;
}

void
weir_sim_close(struct weir_sim *world)
{
    if (world == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SIM_HANDLE_CNT_MAX; i++) {
        free(world->handles[i].inbox);
    }
    for (uint32_t i = 0; i < SIM_MEND_CNT_MAX; i++) {
        free(world->mends[i].good);
    }
    for (uint32_t i = 0; i < world->file_end; i++) {
        weir_sim_file_unmap(world, world->files[i].base, world->files[i].bytes);
        weir_sim_file_unmap(world, world->files[i].durable, world->files[i].durable_bytes);
    }
    weir_sim_pool_close(world->own);
    free(world);
}

int
weir_sim_put(struct weir_sim *world, const char *path, const void *data, uint64_t bytes)
{
    char full[SIM_PATH_BYTES];
    struct sim_file *file = NULL;
    int err = bytes > SIM_FILE_BYTES_MAX ? -EFBIG : weir_sim_path(world, WEIR_IO_CWD, path, full);
    for (char *slash = full + 1; err == 0 && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (weir_sim_file_find(world, full) == NULL) {
            err = weir_sim_file_make(world, full, true, &file);
        }
        if (err == 0 && file != NULL && file->is_dir) {
            weir_sim_power_harden(world, file);
        }
        *slash = '/';
    }
    if (err == 0) {
        file = weir_sim_file_find(world, full);
        err = file == NULL ? weir_sim_file_make(world, full, false, &file) : 0;
    }
    if (err != 0) {
        return weir_err_errno(-err, "simulated file %s", path);
    }
    if (bytes < file->bytes) {
        memset(file->base + bytes, 0, file->bytes - bytes);
    }
    memcpy(file->base, data, bytes);
    world->used_bytes += bytes - file->bytes;
    file->bytes = bytes;
    weir_sim_power_harden(world, file);
    return 0;
}

const void *
weir_sim_get(struct weir_sim *world, const char *path, uint64_t *ret_bytes)
{
    char full[SIM_PATH_BYTES];
    struct sim_file *file = NULL;
    if (weir_sim_path(world, WEIR_IO_CWD, path, full) == 0) {
        file = weir_sim_file_find(world, full);
    }
    if (file == NULL || file->is_dir) {
        return NULL;
    }
    *ret_bytes = file->bytes;
    return file->base;
}

void
weir_sim_deny(struct weir_sim *world, const char *path)
{
    char full[SIM_PATH_BYTES];
    struct sim_file *file = NULL;
    if (weir_sim_path(world, WEIR_IO_CWD, path, full) == 0) {
        file = weir_sim_file_find(world, full);
    }
    WEIR_CHECK(file != NULL, "no simulated file %s", path);
    file->is_denied = true;
}

struct sim_handle *
weir_sim_handle_of(struct weir_sim *world, int32_t handle)
{
    bool is_open =
        handle >= 0 && handle < SIM_HANDLE_CNT_MAX && world->handles[handle].kind != SIM_FREE;
    return is_open ? &world->handles[handle] : NULL;
}

int32_t
weir_sim_handle_new(struct weir_sim *world, uint32_t kind)
{
    for (int32_t i = 3; i < SIM_HANDLE_CNT_MAX; i++) {
        if (world->handles[i].kind == SIM_FREE) {
            world->handles[i] = (struct sim_handle){.kind = kind, .peer = -1};
            return i;
        }
    }
    return -EMFILE;
}
