/* SPDX-License-Identifier: Apache-2.0 */
/* source.h: a source that replays, and looks at what it is given back.
 *
 * Splits are dealt to its subtasks by number. It reads the one that is least far, so that its
 * watermark is behind all that it has yet to read, and keeps positions as a union list, of which
 * each subtask takes its own after a restart with another parallelism; or as a list, which is then
 * dealt out anew.
 */
#ifndef WEIR_APPS_SIM_SOURCE_H
#define WEIR_APPS_SIM_SOURCE_H

#include "apps/sim/row.h"
#include "dataplane/operator.h"

/* Where splits stood at a checkpoint, or stand behind a restore: 1 more than the next row; 0: of
 * this one nothing was said. */
struct sim_positions {
    uint64_t checkpoint;
    uint64_t at[SIM_SOURCE_CNT_MAX][SIM_SPLIT_CNT_MAX];
    uint64_t number; /* of the source that has begun it; 0: none has */
};
/* More checkpoints than are ever between one that is saved and its restore. */
#define SIM_POSITIONS_CNT 256

/* How far a subtask is in event time, in this start. */
struct sim_far {
    int64_t lag_ms; /* of its watermarks; 0: nobody waits for it */
    int64_t at_ms; /* the greatest time that it has let go, */
    int64_t before_ms; /* and before the last poll that let any go */
    int64_t floor_ms; /* the greatest that a start before has let go: others may have it so far */
    uint32_t poll_cnt; /* of those; 0: it has none left, too */
};

/* What whoever runs the job tells its sources while it runs. */
struct sim_gate {
    bool is_open; /* else the last rows stay where they are */
    bool is_unpaced; /* rows are due at once */
    uint64_t emitted_cnt; /* rows of all sources in this start, counted again after a restart */
    struct sim_positions saved[SIM_POSITIONS_CNT]; /* by checkpoint, mod their number */
    struct sim_positions restored; /* in this start */
    uint64_t late_id; /* a barrier that came behind that of late_for_id; 0: none did */
    uint64_t late_for_id;
    uint64_t astray_id; /* a checkpoint whose cut is not where its source has begun it; 0: none */
    uint32_t open_cnt; /* sources that are open */
    int64_t polled_ns; /* when one that had not ended was polled last, in this start */
    struct sim_far far[SIM_SOURCE_CNT_MAX][SIM_PARALLELISM_MAX];
    int64_t farthest_ms[SIM_SOURCE_CNT_MAX]; /* that any start has let go */
    uint64_t owned[SIM_SOURCE_CNT_MAX]; /* splits that it gave back to their owners, as bits */
};

struct sim_source_conf {
    const struct sim_source *source;
    struct sim_gate *gate;
};

extern const struct weir_operator_type sim_source_type;
/* One that begins checkpoints. */
extern const struct weir_operator_type sim_begin_type;

#endif
