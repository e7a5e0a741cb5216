/* SPDX-License-Identifier: Apache-2.0 */
/* process_priv.h: what process.c (rows and timers) and process_state.c (names of what is kept)
 * share. */
#ifndef WEIR_DATAPLANE_OPERATORS_PROCESS_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_PROCESS_PRIV_H

#include "dataplane/operators/process.h"
#include "dataplane/state.h"

#define WEIR_PROCESS_STATE_CNT 4
#define WEIR_PROCESS_PART_CNT 2

extern const struct weir_state_desc weir_process_states[WEIR_PROCESS_STATE_CNT];
extern const struct weir_state_part weir_process_parts[WEIR_PROCESS_PART_CNT];
/* The tables of declared states, by number. */
const struct weir_state_desc *weir_process_conf_state(const void *conf, uint32_t idx);

#endif
