/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_conf.h: the keys checkpoints.* and restart.* as the units that they are for take them.
 *
 * Thread:  any; cold.
 */
#ifndef WEIR_SCHED_CHECKPOINT_CONF_H
#define WEIR_SCHED_CHECKPOINT_CONF_H

#include "sched/conf.h"
#include "sched/coordinator.h"
#include "sched/restart.h"

/* weir_checkpoint_conf_coordinator - sets what keys say (times, limits, is_after_finish); the job's
 * own, its tasks and channels are left as they are. Without checkpoints.dir there is no clock. */
void weir_checkpoint_conf_coordinator(
    const struct weir_conf *conf, struct weir_coordinator_conf *ret_conf);

struct weir_checkpoint_barriers {
    bool is_tracked; /* at least once: they hold nothing back */
    bool is_unaligned; /* they overtake rows */
    int64_t timeout_ns; /* is_unaligned: as in dataplane/barrier.h */
};

/* weir_checkpoint_conf_barriers - which barriers the job has.
 *
 * Errors:  WEIR_ECONFIG where unaligned ones are asked for beside at-least-once, or beside several
 *          checkpoints at once: a newer barrier gives the older checkpoint up.
 */
WEIR_API WEIR_MUST_USE int weir_checkpoint_conf_barriers(
    const struct weir_conf *conf, struct weir_checkpoint_barriers *ret_barriers);

/* weir_checkpoint_conf_restart - auto is exponential-delay where checkpoints.dir is set, else none:
 * a supervisor, who was asked to start the job again, reads it otherwise.
 *
 * Errors:  WEIR_ECONFIG where restart.exponential_delay.initial is more than its max.
 */
WEIR_API WEIR_MUST_USE int
weir_checkpoint_conf_restart(const struct weir_conf *conf, struct weir_restart_conf *ret_conf);

#endif
