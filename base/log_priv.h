/* SPDX-License-Identifier: Apache-2.0 */
/* log_priv.h: a line between the thread that says it and the one that writes it. */
#ifndef WEIR_BASE_LOG_PRIV_H
#define WEIR_BASE_LOG_PRIV_H

#include "base/log.h"

#define LOG_FROM_BYTES 32
#define LOG_JOB_BYTES 64
/* A line written out: each byte of what others give as a six-byte escape at worst, and the rest:
 * names of fields, time, level, code and two counts. */
#define LOG_WRITTEN_BYTES ((WEIR_LOG_TEXT_BYTES + LOG_FROM_BYTES + LOG_JOB_BYTES) * 6 + 256)

struct log_line {
    int64_t utc_ns;
    uint32_t left_out_cnt; /* lines of this place that the limit kept back before this one */
    uint32_t lost_cnt; /* lines that found the lane full before this one */
    uint16_t code;
    uint16_t level;
    uint16_t text_bytes;
    uint16_t pad;
    uint64_t pad_fields[3];
    char text[WEIR_LOG_TEXT_BYTES];
};
_Static_assert(sizeof(struct log_line) == 512, "a slot of a lane");

/* weir_log_priv_write - a line in one of the three formats, with its line feed; returns its bytes.
 *
 * Shape:   buf of LOG_WRITTEN_BYTES; format is not WEIR_LOG_AUTO. Bytes that are not UTF-8 become
 *          U+FFFD.
 */
size_t weir_log_priv_write(const struct log_line *line, enum weir_log_format format,
    const char *from, const char *job, char *buf);

#endif
