/* SPDX-License-Identifier: Apache-2.0 */
/* harness.h: one operator in a real chain, fed by hand, with sinks that remember what they were
 * given.
 *
 *     struct harness *h = harness_new(&conf);         node 0 is the operator, a sink per output
 *     harness_push(h, 0, rows, cnt);
 *     harness_watermark(h, 0, 1999);
 *     harness_row(h, 0, i)                            rows of output 0, in order
 *     h->out[0].event[j]                              rows, watermarks, statuses and the end, in
 *                                                     order
 *
 * Rows are structs of the input's schema; strings in them refer to `heap` of harness_push_view(),
 * or are short. Errors that nobody expects fail the test.
 */
#ifndef WEIR_TESTS_UNIT_HARNESS_H
#define WEIR_TESTS_UNIT_HARNESS_H

#include "base/rng.h"
#include "dataplane/arena.h"
#include "dataplane/chain.h"

enum harness_event_kind {
    HARNESS_ROW,
    HARNESS_WATERMARK,
    HARNESS_IDLE,
    HARNESS_ACTIVE,
    HARNESS_END,
};

struct harness_event {
    enum harness_event_kind kind;
    int64_t time; /* of a row, where it has one; or the watermark */
    uint32_t row; /* index into rows */
    uint32_t row_kind;
    int64_t watermark; /* of a row: of its channel before it */
};

struct harness_out {
    const struct weir_schema *schema;
    char *rows; /* schema->row_bytes apart; strings refer to `heap` */
    uint32_t row_cnt;
    uint8_t *row_kind; /* [row_cnt] */
    char *heap;
    size_t heap_bytes;
    struct harness_event *event;
    uint32_t event_cnt;
    uint64_t seen_cnt; /* rows, also those not kept */
    /* growth */
    uint32_t row_cap;
    uint32_t event_cap;
    size_t heap_cap;
};

struct harness;

struct harness_conf {
    const struct weir_operator_type *type;
    const void *conf;
    const struct weir_schema *in_schema[WEIR_OPERATOR_INPUT_CNT_MAX];
    const struct weir_schema *out_schema[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    uint32_t channel_cnt; /* 0: one */
    uint16_t channel_input[WEIR_CHAIN_EDGE_CNT_MAX];
    uint32_t batch_rows; /* of output batches; 0: 256 */
    uint32_t buf_bytes; /* 0: 32 KiB */
    size_t arena_bytes; /* 0: 64 MiB */
    uint32_t table_cnt_max; /* 0: the default */
    uint32_t max_parallelism; /* 0: 128 */
    bool no_keep; /* sinks count rows only */
    bool columns; /* pushed rows are laid out as columns */
    bool has_kind; /* outputs carry kinds of rows */
    bool takes_changes; /* what is pushed may be other than inserts */
    bool is_slow; /* sinks take a few rows at a time, or none, by `seed` */
    uint64_t seed;
    uint32_t subtask_idx;
    uint32_t subtask_cnt; /* 0: 1; the arena has the subtask's key groups */
    struct weir_alignment *alignment; /* as in struct weir_operator_env */
    uint32_t alignment_member;
    int64_t watermark_interval_ns; /* as in struct weir_operator_env */
    bool only_lateness; /* the same */
    const struct weir_spill_conf *spill; /* state that goes to disk; NULL: all in memory */
    void (*before_open)(struct harness *h, void *arg); /* the chain is made; NULL: none */
    void *before_open_arg;
};

struct harness {
    struct harness_conf conf;
    struct weir_chain *chain;
    struct harness_out out[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    int64_t watermark[WEIR_CHAIN_EDGE_CNT_MAX]; /* of each channel */
    uint64_t step_cnt;
    struct weir_rng rng;
    struct weir_arena arena;
    void *arena_mem;
    char *before; /* its pages before a run that is watched: see harness_run */
    uint64_t run_cnt;
    uint64_t watched_cnt;
    int64_t now_ns; /* as the chain is told */
    char *columns; /* where pushed rows are turned into columns */
    size_t columns_bytes;
    uint32_t steps_max; /* per run of the chain; 0: many */
    void (*after_step)(struct harness *h); /* called after each run of the chain */
};

/* harness_try - build and open; 0 or the error of open. harness_new fails the test on an error. */
int harness_try(const struct harness_conf *conf, struct harness **ret);
struct harness *harness_new(const struct harness_conf *conf);
void harness_free(struct harness *h);

/* harness_view_of - a view of rows as they lie in memory. */
struct weir_view harness_view_of(const struct weir_schema *schema, const void *rows, uint32_t cnt);
void harness_push(struct harness *h, uint32_t channel, const void *rows, uint32_t cnt);
/* harness_push_view - any view: its watermark is set to the channel's. */
void harness_push_view(struct harness *h, uint32_t channel, const struct weir_view *view);
/* harness_try_push - the same, with the error that comes of it. */
int harness_try_push(struct harness *h, uint32_t channel, const void *rows, uint32_t cnt);
void harness_watermark(struct harness *h, uint32_t channel, int64_t watermark);
int harness_try_watermark(struct harness *h, uint32_t channel, int64_t watermark);
void harness_status(struct harness *h, uint32_t channel, bool idle);
void harness_end(struct harness *h, uint32_t channel);
/* harness_time - time goes on to now_ns, and what is due by then is done. */
void harness_time(struct harness *h, int64_t now_ns);
/* harness_run - run the chain until nothing is pending. Every fourth run or so an epoch begins, as
 * at a checkpoint's barrier, and it is checked that each line of state that changed was touched
 * before (arena.h): a snapshot would miss another. */
int harness_run(struct harness *h);

const void *harness_row(const struct harness *h, uint32_t output, uint32_t idx);
/* harness_text - a string of a captured row. */
struct weir_slice
harness_text(const struct harness *h, uint32_t output, const struct weir_str *str);
struct weir_operator *harness_operator(struct harness *h);
/* harness_clear - forget what the sinks have seen. */
void harness_clear(struct harness *h);

/* harness_alloc_cnt - calls of malloc and its kin so far; 0 always under a sanitizer. */
uint64_t harness_alloc_cnt(void);

#endif
