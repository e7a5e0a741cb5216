/* SPDX-License-Identifier: Apache-2.0 */
/* build.h: a drawn job as a graph of the engine. */
#ifndef WEIR_APPS_SIM_BUILD_H
#define WEIR_APPS_SIM_BUILD_H

#include "apps/sim/draw.h"
#include "apps/sim/source.h"
#include "base/err.h"

struct weir_env;

/* Where sink number i writes: SIM_OUT_DIR, its number, and a slash where it keeps parts. */
#define SIM_OUT_DIR "/out"
#define SIM_PATH_BYTES_MAX 64
void sim_sink_path(const struct sim_draw *draw, uint32_t node, char ret_path[SIM_PATH_BYTES_MAX]);

/* sim_build - into a new environment; draw and gate are borrowed. */
WEIR_MUST_USE int sim_build(const struct sim_draw *draw, const struct sim_sizes *sizes,
    struct sim_gate *gate, struct weir_env *env);

#endif
