/* SPDX-License-Identifier: Apache-2.0 */
/* weir_test_priv.h: what a test is made of, for the files of weir_test.h.
 *
 *     feed -> wires (one for each reader of the input: a partition over the subtasks) -> gates
 */
#ifndef WEIR_SCHED_WEIR_TEST_PRIV_H
#define WEIR_SCHED_WEIR_TEST_PRIV_H

#include "base/region.h"
#include "base/rng.h"
#include "dataplane/arena.h"
#include "dataplane/parts.h"
#include "dataplane/partition.h"
#include "dataplane/savepoint.h"
#include "dataplane/task.h"
#include "io/buf.h"
#include "sched/graph_node.h"
#include "sched/weir_test.h"

#define TEST_PARTS_BYTES WEIR_MIB
/* Nodes of the test's own have uids that begin so. */
#define TEST_UID "test."
#define TEST_CAUSE_BYTES 1024

/* ---- outputs ---- */

struct test_event {
    struct weir_test_event told; /* but for row */
    uint32_t row; /* ROW: index into rows */
};

struct test_out {
    const struct weir_schema *schema;
    char *rows; /* schema->row_bytes apart; long strings are offsets into heap */
    uint32_t row_cnt;
    uint32_t row_cap;
    char *heap;
    size_t heap_bytes;
    size_t heap_cap;
    struct test_event *events;
    uint32_t event_cnt;
    uint32_t event_cap;
    struct weir_state_room text; /* of weir_test_text */
    bool slow;
    struct weir_rng rng;
};

/* The conf of a capturing sink is a pointer to its struct test_out. */
extern const struct weir_operator_type weir_test_out_type;
/* Hands rows on as columns. */
extern const struct weir_operator_type weir_test_columns_type;
void weir_test_out_fini(struct test_out *out);

/* ---- inputs ---- */

struct test_input {
    const struct weir_schema *schema;
    uint32_t first_feed;
    uint32_t feed_cnt;
    uint32_t node; /* of the graph */
};

/* The way from one feed to one reader of its input. */
struct test_wire {
    uint32_t feed;
    uint32_t link; /* of the graph */
    struct weir_chain *chain; /* of a partition alone */
    struct weir_partition_conf conf;
    struct weir_channel_out *channels; /* [parallelism] */
    struct weir_buf_pool pool;
    bool has_pool;
};

/* ---- subtasks ---- */

/* What a checkpoint has taken of one. */
struct test_cut {
    bool has_arena;
    bool has_parts;
    bool is_precommitted;
    void *arena_mem;
    struct weir_arena arena; /* as it was at the barrier */
    char *parts; /* [TEST_PARTS_BYTES] */
    size_t parts_bytes;
};

struct test_subtask {
    struct weir_test *test;
    struct weir_task *task;
    struct weir_arena arena;
    void *arena_mem;
    struct weir_task_gate *gates;
    uint32_t gate_cnt;
    char *parts; /* [TEST_PARTS_BYTES], lent to the task */
    struct weir_task_checkpoints checkpoints;
    struct test_cut cut;
};

struct weir_test {
    struct weir_test_conf conf;
    struct weir_env *env;
    struct test_input inputs[WEIR_TEST_FEED_CNT_MAX];
    uint32_t input_cnt;
    uint32_t feed_cnt;
    bool ended[WEIR_TEST_FEED_CNT_MAX];
    struct test_out outs[WEIR_TEST_OUTPUT_CNT_MAX];
    uint32_t out_cnt;
    uint16_t
        node_of[WEIR_GRAPH_NODE_CNT_MAX]; /* chain node of a graph node; UINT16_MAX: an input */
    uint16_t graph_of[WEIR_CHAIN_NODE_CNT_MAX]; /* and back; UINT16_MAX: a node of the test's own */
    uint32_t node_cnt; /* of the chain */
    struct weir_region *region;
    struct weir_region_table regions;
    bool has_regions;
    bool has_state; /* an operator wants state pages */
    struct weir_buf_arena buffers;
    bool has_buffers;
    uint16_t *keygroup_owner;
    struct weir_channel_format *formats; /* [link] */
    struct test_wire *wires;
    uint32_t wire_cnt;
    struct test_subtask *subtasks; /* [conf.parallelism] */
    uint32_t subtask_cnt;
    int64_t now_ns;
    struct weir_rng rng;
    uint64_t last_id; /* of a barrier */
    uint64_t cut_id; /* of the newest checkpoint that has begun, 0: none */
    int declined; /* its error, 0: it was not */
    char declined_text[TEST_CAUSE_BYTES];
    int error; /* of the task that failed first */
    char cause[TEST_CAUSE_BYTES];
    struct weir_task_restore restore;
    struct weir_parts_reader *readers; /* of the restored snapshot */
};

struct weir_test_snapshot {
    uint64_t id;
    uint32_t max_parallelism;
    char *data; /* the stream of a savepoint */
    size_t bytes;
    size_t cap;
    char *text; /* of weir_test_state */
};

/* weir_test_settle - poll until nothing is left to do. 0, or the error of the test. */
WEIR_MUST_USE int weir_test_settle(struct weir_test *test);
/* weir_test_stale - the error that ended the test before, pushed anew; 0: none. */
int weir_test_stale(const struct weir_test *test);
/* weir_test_checkpoints_init - how a subtask takes part in checkpoints.
 * weir_test_cut_fini - free what the newest one has taken of it. */
void weir_test_checkpoints_init(struct test_subtask *subtask);
void weir_test_cut_fini(struct test_subtask *subtask);
/* weir_test_load - conf.from into the arenas, before the tasks are polled. */
WEIR_MUST_USE int weir_test_load(struct weir_test *test);

#endif
