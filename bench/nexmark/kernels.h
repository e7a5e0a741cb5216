/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h: each query as one would write it by hand: the measure of what an engine costs.
 *
 * One core, plain C, no batches, no operators; but the whole query: any 64-bit id, event time with
 * the watermark 4 s behind, records out of order and late ones by the rule of the engine, ties, and
 * the same checksum of the same rows (dataplane/row_hash.h). A kernel that would take less than
 * that is no measure. Built with the flags of the engine. Answers are compared with plain Python in
 * the tests.
 *
 * Limits: the tables of a window are of fixed size (KERNEL_PANE_SLOTS_LG2 and its like); a kernel
 *         that
 * runs out of room says so and has no result.
 */
#ifndef WEIR_BENCH_NEXMARK_KERNELS_H
#define WEIR_BENCH_NEXMARK_KERNELS_H

#include "apps/nexmark/log.h"
#include "dataplane/row_hash.h"

#define KERNEL_LAG_MS 4000

struct kernel_result {
    uint64_t events;
    uint64_t rows;
    uint64_t checksum;
};

/* What a kernel reads. */
struct kernel_input {
    struct nexmark_log log; /* of Nexmark kernels */
    const uint8_t *bytes; /* of the others: the whole file */
    uint64_t byte_cnt;
    uint64_t record_bytes; /* of an ad event */
    const struct kernel_ad *ads; /* its table, slot_cnt a power of two */
    uint64_t ad_slot_cnt;
    uint64_t campaign_cnt;
    int64_t window_ms; /* of word count; 0 counts the whole input */
};

/* One slot of the table from ad to campaign; campaign KERNEL_NO_CAMPAIGN where it is free. */
#define KERNEL_NO_CAMPAIGN UINT64_MAX
struct kernel_ad {
    uint64_t lo;
    uint64_t hi;
    uint64_t campaign;
};

static inline uint64_t
kernel_ad_slot(uint64_t lo, uint64_t mask)
{
    return ((lo * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
}

/* 0, or -1 where a table was too small or the log lies about a payload. */
typedef int(kernel_fn)(const struct kernel_input *input, struct kernel_result *ret_result);

struct kernel {
    const char *name;
    kernel_fn *run;
    const char *input; /* log, ysb or words */
};

/* All kernels; the last has no name. `read` only sums all records' words: the floor of the
 * others. */
extern const struct kernel kernels[];

kernel_fn kernel_read, kernel_q0, kernel_q1, kernel_q2, kernel_q3, kernel_q4, kernel_q5, kernel_q6;
kernel_fn kernel_q7, kernel_q8, kernel_q9, kernel_q15, kernel_q16, kernel_q17, kernel_q18,
    kernel_q19;
kernel_fn kernel_q20, kernel_q21, kernel_q22;
kernel_fn kernel_ysb, kernel_words;

/* Records ahead whose payloads are fetched by kernels that read text: found best in 8, 16, 32,
 * 64. */
#define KERNEL_AHEAD 32

/* kernel_fetch - bring the first lines of a record's payload; harmless where the record lies. */
static inline void
kernel_fetch(const struct nexmark_log *log, uint64_t idx, uint32_t bytes)
{
    if (idx < log->record_cnt) {
        const uint8_t *payload = log->payloads + log->records[idx].payload_off;
        for (uint32_t at = 0; at < bytes; at += WEIR_LINE_BYTES) {
            __builtin_prefetch(payload + at);
        }
    }
}

/* kernel_emit - a row whose fields were added up by weir_row_add(). */
static inline void
kernel_emit(struct kernel_result *result, uint64_t sum)
{
    result->rows++;
    result->checksum += weir_row_finish(sum);
}

#endif
