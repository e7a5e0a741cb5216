/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/nexmark/kernels.h"

const struct kernel kernels[] = {
    {"read", kernel_read, "log"},
    {"q0", kernel_q0, "log"},
    {"q1", kernel_q1, "log"},
    {"q2", kernel_q2, "log"},
    {"q3", kernel_q3, "log"},
    {"q4", kernel_q4, "log"},
    {"q5", kernel_q5, "log"},
    {"q6", kernel_q6, "log"},
    {"q7", kernel_q7, "log"},
    {"q8", kernel_q8, "log"},
    {"q9", kernel_q9, "log"},
    {"q15", kernel_q15, "log"},
    {"q16", kernel_q16, "log"},
    {"q17", kernel_q17, "log"},
    {"q18", kernel_q18, "log"},
    {"q19", kernel_q19, "log"},
    {"q20", kernel_q20, "log"},
    {"q21", kernel_q21, "log"},
    {"q22", kernel_q22, "log"},
    {"ysb", kernel_ysb, "ysb"},
    {"words", kernel_words, "words"},
    {NULL, NULL, NULL},
};

int
kernel_read(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const uint64_t *words = (const uint64_t *)(const void *)input->log.records;
    uint64_t sums[8] = {0};
    for (uint64_t i = 0; i < input->log.record_cnt; i++) {
        for (uint32_t k = 0; k < 8; k++) {
            sums[k] += words[8 * i + k];
        }
    }
    ret_result->events = input->log.record_cnt;
    ret_result->rows = 0;
    ret_result->checksum =
        sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
    return 0;
}

/* q0 and q1 differ in the factor of the price: a constant in each. */
static inline int
every_bid(const struct kernel_input *input, uint64_t factor, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind != NEXMARK_BID) {
            continue;
        }
        kernel_fetch(log, i + KERNEL_AHEAD, 1);
        const uint8_t *payload = nexmark_log_payload(log, e);
        struct nexmark_text extra;
        if (payload == NULL || !nexmark_event_text(e, payload, NEXMARK_EXTRA, &extra)) {
            return -1;
        }
        uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
        sum = weir_row_add(sum, 1, (uint64_t)e->seller_or_bidder);
        sum = weir_row_add(sum, 2, (uint64_t)e->initial_bid_or_price * factor);
        sum = weir_row_add(sum, 3, (uint64_t)e->time_ms);
        sum = weir_row_add(sum, 4, weir_row_text(extra.ptr, extra.bytes));
        kernel_emit(&result, sum);
    }
    *ret_result = result;
    return 0;
}

int
kernel_q0(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return every_bid(input, 1, ret_result);
}

int
kernel_q1(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return every_bid(input, 908, ret_result);
}

int
kernel_q2(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind == NEXMARK_BID && e->id_or_auction % 123 == 0) {
            uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
            kernel_emit(&result, weir_row_add(sum, 1, (uint64_t)e->initial_bid_or_price));
        }
    }
    *ret_result = result;
    return 0;
}
