/* SPDX-License-Identifier: Apache-2.0 */
/* memory_dir.h: where a run keeps its checkpoints under checkpoints.storage=memory: a directory of
 * the host's memory, which ends with the run.
 *
 *     /dev/shm/weir-checkpoints-UID-PID      PID: of the run, or of its supervisor
 *
 * All engines of a supervisor have the same one, so a job that is started again goes on from there.
 * What a killed run has left behind goes when the next run of the user makes its own.
 *
 * Thread: the program's.
 */
#ifndef WEIR_APPS_WEIR_MEMORY_DIR_H
#define WEIR_APPS_WEIR_MEMORY_DIR_H

#include <sys/types.h>

#include "base/base.h"

#define WEIR_MEMORY_DIR_BYTES 64

/* weir_memory_dir_make - that of the run with this process; it may be there already.
 *
 * Errors:  WEIR_ESYS and the like: /dev/shm is not there, or not ours to write.
 */
WEIR_MUST_USE int weir_memory_dir_make(pid_t owner, char ret_path[WEIR_MEMORY_DIR_BYTES]);
/* weir_memory_dir_remove - with all that is in it; nothing where there is none. */
void weir_memory_dir_remove(pid_t owner);

#endif
