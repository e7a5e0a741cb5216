/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h: both sides of every channel count its rows, and a checkpoint compares them.
 *
 *     rows out of the producer at its barrier
 *       == rows into the consumer at its barrier + rows in flight that the checkpoint holds
 *
 * Counts are exact; the sum is a hash of the rows added up without order, modulo 2^64. With aligned
 * barriers nothing is in flight. A channel that does not add up has lost or doubled rows inside the
 * engine: the checkpoint is aborted and the job fails with the text that this unit writes.
 *
 * Thread:  one; pure. Source: RELIABILITY 6, the edge ledger.
 */
#ifndef WEIR_SCHED_LEDGER_H
#define WEIR_SCHED_LEDGER_H

#include <stddef.h>

#include "base/base.h"

/* Room for the evidence: two names, three counts with their sums. */
#define WEIR_LEDGER_TEXT_BYTES 512

struct weir_ledger_sum {
    uint64_t row_cnt;
    uint64_t sum;
};

/* A channel between two tasks (fused operators have none). */
struct weir_ledger_channel {
    uint32_t from_task;
    uint32_t to_task;
    const char *name; /* "map[0] -> window[1]"; kept by who keeps the channel */
};

enum weir_ledger_side {
    WEIR_LEDGER_OUT, /* the producer's */
    WEIR_LEDGER_IN, /* the consumer's */
};

/* What a task says of one of its channels at its barrier. */
struct weir_ledger_entry {
    uint32_t channel;
    enum weir_ledger_side side;
    struct weir_ledger_sum total;
    struct weir_ledger_sum flight; /* of the consumer: stored as in flight */
};

enum {
    WEIR_LEDGER_HAS_OUT = 1,
    WEIR_LEDGER_HAS_IN = 2,
};

/* Both sides of one channel in one checkpoint. */
struct weir_ledger_line {
    struct weir_ledger_sum out;
    struct weir_ledger_sum in;
    struct weir_ledger_sum flight;
    uint8_t has;
};

/* weir_ledger_enter - put an entry of a task in its line.
 *
 * Returns: false, and nothing is changed, when the channel is not that task's side, or the side has
 *          been said already. What is missing is found by weir_ledger_check().
 */
bool weir_ledger_enter(const struct weir_ledger_channel *channel, uint32_t channel_cnt,
    uint32_t task, const struct weir_ledger_entry *entry, struct weir_ledger_line *line);

/* weir_ledger_check - compare the two sides of all channels.
 *
 * Shape:   channel and line have cnt entries.
 * Returns: how many channels do not add up, or lack a side; then text (text_bytes of room) names
 *          the first, both of its sides and the difference. 0: all is well, and text is not
 *          written.
 */
WEIR_MUST_USE uint32_t weir_ledger_check(const struct weir_ledger_channel *channel,
    const struct weir_ledger_line *line, uint32_t cnt, char *text, size_t text_bytes);

#endif
