/* SPDX-License-Identifier: Apache-2.0 */
/* Last of its folder: the one place of io that knows all implementations. */
#include "io/io.h"

#include "base/err.h"
#include "io/posix.h"
#include "io/sim.h"
#include "io/uring.h"

static int
open_auto(uint32_t depth, struct weir_io **ret_io)
{
    int err = weir_uring_open(depth, ret_io);
    if (err != WEIR_EUNAVAILABLE) {
        return err;
    }
    char why[WEIR_IO_DEGRADED_BYTES];
    weir_err_save(why, sizeof why);
    weir_err_clear();
    err = weir_posix_open(depth, ret_io);
    if (err == 0) {
        weir_io_degrade(
            *ret_io, "%.160s: files and sockets go through poll and a helper thread", why);
    }
    return err;
}

static int
open_kind(const struct weir_io_config *config, uint32_t depth, struct weir_io **ret_io)
{
    switch (config->kind) {
    case WEIR_IO_AUTO:
        return open_auto(depth, ret_io);
    case WEIR_IO_URING:
        return weir_uring_open(depth, ret_io);
    case WEIR_IO_POSIX:
        return weir_posix_open(depth, ret_io);
    case WEIR_IO_SIM:
        if (config->world != NULL) {
            return weir_sim_attach(config->world, depth, ret_io);
        }
        break;
    case WEIR_IO_KIND_CNT:
        break;
    }
    return weir_err_push(WEIR_EINVAL, "io kind %d", (int)config->kind);
}

int
weir_io_open(const struct weir_io_config *config, struct weir_io **ret_io)
{
    uint32_t depth = config->depth != 0 ? config->depth : WEIR_IO_DEPTH_DEFAULT;
    if (depth > WEIR_IO_DEPTH_MAX) {
        return weir_err_push(
            WEIR_EINVAL, "io depth %u is over %d", config->depth, WEIR_IO_DEPTH_MAX);
    }
    int err = open_kind(config, depth, ret_io);
    if (err == 0) {
        (*ret_io)->maps = config->maps;
        (*ret_io)->worker_cpus = config->worker_cpus;
    }
    return err;
}
