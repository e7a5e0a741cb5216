/* SPDX-License-Identifier: Apache-2.0 */
/* q21, q22: what is in the texts of bids. */
#include <strings.h>

#include "bench/nexmark/kernels.h"

#define DIR_FIRST 3
#define DIR_CNT 3

static inline bool
is_name(const struct nexmark_text *text, const char *name, uint32_t bytes)
{
    return text->bytes == bytes && strncasecmp(text->ptr, name, bytes) == 0;
}

/* What follows `channel_id=` at the start of a url or behind an `&`, up to the next `&`. */
static bool
url_id(const struct nexmark_text *url, struct nexmark_text *ret_id)
{
    static const char name[] = "channel_id=";
    const size_t name_bytes = sizeof name - 1;
    const char *end = url->ptr + url->bytes;
    const char *at = url->ptr;
    while ((at = memmem(at, (size_t)(end - at), name, name_bytes)) != NULL) {
        const char *id = at + name_bytes;
        if (at == url->ptr || at[-1] == '&') {
            const char *stop = memchr(id, '&', (size_t)(end - id));
            *ret_id = (struct nexmark_text){id, (uint32_t)((stop != NULL ? stop : end) - id)};
            return true;
        }
        at = id;
    }
    return false;
}

static bool
channel_id(
    const struct nexmark_text *channel, const struct nexmark_text *url, struct nexmark_text *ret_id)
{
    const char *digit = is_name(channel, "apple", 5)      ? "0"
                        : is_name(channel, "google", 6)   ? "1"
                        : is_name(channel, "facebook", 8) ? "2"
                        : is_name(channel, "baidu", 5)    ? "3"
                                                          : NULL;
    if (digit == NULL) {
        return url_id(url, ret_id);
    }
    *ret_id = (struct nexmark_text){digit, 1};
    return true;
}

/* A bid's channel and url, and the sum of what both queries give of it. */
static inline bool
look(const struct nexmark_log *log, uint64_t idx, struct nexmark_text *ret_channel,
    struct nexmark_text *ret_url, uint64_t *ret_sum)
{
    const struct nexmark_event *e = &log->records[idx];
    kernel_fetch(log, idx + KERNEL_AHEAD, 3 * WEIR_LINE_BYTES);
    const uint8_t *payload = nexmark_log_payload(log, e);
    if (payload == NULL || !nexmark_event_text(e, payload, NEXMARK_BID_CHANNEL, ret_channel) ||
        !nexmark_event_text(e, payload, NEXMARK_BID_URL, ret_url)) {
        return false;
    }
    uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
    sum = weir_row_add(sum, 1, (uint64_t)e->seller_or_bidder);
    sum = weir_row_add(sum, 2, (uint64_t)e->initial_bid_or_price);
    *ret_sum = weir_row_add(sum, 3, weir_row_text(ret_channel->ptr, ret_channel->bytes));
    return true;
}

int
kernel_q21(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        struct nexmark_text channel;
        struct nexmark_text url;
        struct nexmark_text id;
        uint64_t sum;
        if (log->records[i].kind != NEXMARK_BID) {
            continue;
        }
        if (!look(log, i, &channel, &url, &sum)) {
            return -1;
        }
        if (channel_id(&channel, &url, &id)) {
            kernel_emit(&result, weir_row_add(sum, 4, weir_row_text(id.ptr, id.bytes)));
        }
    }
    *ret_result = result;
    return 0;
}

int
kernel_q22(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        struct nexmark_text channel;
        struct nexmark_text url;
        uint64_t sum;
        if (log->records[i].kind != NEXMARK_BID) {
            continue;
        }
        if (!look(log, i, &channel, &url, &sum)) {
            return -1;
        }
        const char *at = url.ptr;
        const char *end = url.ptr + url.bytes;
        for (uint32_t part = 0; part < DIR_FIRST + DIR_CNT; part++) {
            const char *slash = memchr(at, '/', (size_t)(end - at));
            const char *stop = slash != NULL ? slash : end;
            if (part >= DIR_FIRST) {
                uint64_t text = weir_row_text(at, (size_t)(stop - at));
                sum = weir_row_add(sum, 4 + part - DIR_FIRST, text);
            }
            at = slash != NULL ? slash + 1 : end;
        }
        kernel_emit(&result, sum);
    }
    *ret_result = result;
    return 0;
}
