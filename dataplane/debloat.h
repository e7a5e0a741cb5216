/* SPDX-License-Identifier: Apache-2.0 */
/* debloat.h: how large buffers are to be so that what is in flight takes a target time to consume.
 *
 *     size = throughput * target / buffers in use      as a moving average, within [min, max]
 *
 * Under back-pressure rows wait in full buffers: the larger those are, the longer a barrier and the
 * rows behind it wait. The average grows as slowly as it shrinks: one sample counts for at most
 * twice the size so far. Small changes are not announced, but the least and the greatest size are.
 *
 * Pure: no clock, no memory. Source: Flink's BufferDebloater and BufferSizeEMA.
 */
#ifndef WEIR_DATAPLANE_DEBLOAT_H
#define WEIR_DATAPLANE_DEBLOAT_H

#include "base/base.h"

WEIR_C_BEGIN

struct weir_debloat_conf {
    int64_t target_ns; /* that consuming all buffers in use is to take */
    uint32_t size_min; /* bytes */
    uint32_t size_max; /* and at first */
    uint32_t sample_cnt; /* of the average; 1: it is the last sample */
    uint32_t threshold_percent; /* of the size: a smaller change is not announced */
};

struct weir_debloat {
    struct weir_debloat_conf conf;
    double average;
    uint32_t size; /* last announced */
};

/* weir_debloat_init - WEIR_EINVAL: sizes out of order or 0, no sample, a negative target. */
WEIR_API WEIR_MUST_USE int
weir_debloat_init(struct weir_debloat *debloat, const struct weir_debloat_conf *conf);
/* weir_debloat_average - the average with one more sample: `bytes` in buf_cnt buffers.
 * Errors: WEIR_EINVAL: bytes is negative, or there is no buffer. */
WEIR_API WEIR_MUST_USE int weir_debloat_average(
    struct weir_debloat *debloat, int64_t bytes, uint32_t buf_cnt, uint32_t *ret_size);
/* weir_debloat_sample - so many bytes a second were consumed, and so many buffers are in use.
 * Returns: 1: *ret_size is the new size; 0: it stays as it was. */
WEIR_API int weir_debloat_sample(
    struct weir_debloat *debloat, uint64_t bytes_per_s, uint32_t buf_cnt, uint32_t *ret_size);

WEIR_C_END

#endif
