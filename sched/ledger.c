/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/ledger.h"

#include <inttypes.h>
#include <stdio.h>

bool
weir_ledger_enter(const struct weir_ledger_channel *channel, uint32_t channel_cnt, uint32_t task,
    const struct weir_ledger_entry *entry, struct weir_ledger_line *line)
{
    if (entry->channel >= channel_cnt) {
        return false;
    }
    bool is_out = entry->side == WEIR_LEDGER_OUT;
    const struct weir_ledger_channel *edge = &channel[entry->channel];
    struct weir_ledger_line *to = &line[entry->channel];
    uint8_t bit = is_out ? WEIR_LEDGER_HAS_OUT : WEIR_LEDGER_HAS_IN;
    if ((is_out ? edge->from_task : edge->to_task) != task || (to->has & bit) != 0) {
        return false;
    }
    if (is_out) {
        to->out = entry->total;
    } else {
        to->in = entry->total;
        to->flight = entry->flight;
    }
    to->has |= bit;
    return true;
}

static bool
is_wrong(const struct weir_ledger_line *line)
{
    uint8_t both = WEIR_LEDGER_HAS_OUT | WEIR_LEDGER_HAS_IN;
    return (line->has & both) != both ||
           line->out.row_cnt != line->in.row_cnt + line->flight.row_cnt ||
           line->out.sum != line->in.sum + line->flight.sum;
}

/* Cut at the end of buf, never beyond it. */
static size_t
say(char *buf, size_t bytes, size_t used, const char *text)
{
    int more = used < bytes ? snprintf(buf + used, bytes - used, "%s", text) : 0;
    return used + (more > 0 ? (size_t)more : 0);
}

static void
describe(const struct weir_ledger_channel *channel, const struct weir_ledger_line *line, char *text,
    size_t text_bytes)
{
    char part[160];
    (void)snprintf(text, text_bytes, "channel %.200s: ", channel->name);
    size_t used = 0;
    while (text[used] != '\0') {
        used++;
    }
    if ((line->has & WEIR_LEDGER_HAS_OUT) == 0) {
        used = say(text, text_bytes, used, "the producer gave no count");
    } else {
        (void)snprintf(part, sizeof part, "%" PRIu64 " rows out (sum %016" PRIx64 ")",
            line->out.row_cnt, line->out.sum);
        used = say(text, text_bytes, used, part);
    }
    if ((line->has & WEIR_LEDGER_HAS_IN) == 0) {
        (void)say(text, text_bytes, used, ", the consumer gave no count");
        return;
    }
    (void)snprintf(part, sizeof part,
        ", %" PRIu64 " in (sum %016" PRIx64 "), %" PRIu64 " in flight (sum %016" PRIx64 ")",
        line->in.row_cnt, line->in.sum, line->flight.row_cnt, line->flight.sum);
    used = say(text, text_bytes, used, part);
    if ((line->has & WEIR_LEDGER_HAS_OUT) == 0) {
        return;
    }
    uint64_t arrived = line->in.row_cnt + line->flight.row_cnt;
    uint64_t gap = line->out.sum - line->in.sum - line->flight.sum;
    if (arrived == line->out.row_cnt) {
        (void)snprintf(part, sizeof part,
            ": as many, but not the same rows (sums differ by %016" PRIx64 ")", gap);
    } else {
        bool is_lost = arrived < line->out.row_cnt;
        (void)snprintf(part, sizeof part, ": %" PRIu64 " %s (sums differ by %016" PRIx64 ")",
            is_lost ? line->out.row_cnt - arrived : arrived - line->out.row_cnt,
            is_lost ? "lost" : "too many", gap);
    }
    (void)say(text, text_bytes, used, part);
}

uint32_t
weir_ledger_check(const struct weir_ledger_channel *channel, const struct weir_ledger_line *line,
    uint32_t cnt, char *text, size_t text_bytes)
{
    uint32_t wrong_cnt = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        if (is_wrong(&line[i])) {
            if (wrong_cnt == 0) {
                describe(&channel[i], &line[i], text, text_bytes);
            }
            wrong_cnt++;
        }
    }
    return wrong_cnt;
}
