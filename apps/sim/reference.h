/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h: what a drawn job has to answer: all rows of a stream at once, one thread, arrays and
 * sorting, none of the engine's code. No time passes in it and nothing can go wrong.
 */
#ifndef WEIR_APPS_SIM_REFERENCE_H
#define WEIR_APPS_SIM_REFERENCE_H

#include "apps/sim/draw.h"

struct sim_rows {
    struct sim_row *row;
    uint64_t cnt;
    uint64_t cap;
};

/* sim_reference - rows of every stream: of those that sinks read, ret_rows[stream] is the answer.
 *
 * Owner:   the caller gives sim_rows_free() each of [SIM_STREAM_CNT_MAX]. Memory that is not there
 *          ends the program.
 */
void sim_reference(const struct sim_draw *draw, struct sim_rows *ret_rows);
/* sim_reference_log - the table that a log of changes of these rows leaves. */
void sim_reference_log(const struct sim_rows *in, struct sim_rows *out);
void sim_rows_free(struct sim_rows *rows);

#endif
