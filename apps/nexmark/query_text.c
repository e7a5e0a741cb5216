/* SPDX-License-Identifier: Apache-2.0 */
/* q10, q14, q21, q22: what is in the texts of bids. */
#include "apps/nexmark/query_row.h"

/* q10: every bid with its day and minute, by which its file is chosen. */
#define BID_PLACED(F) \
    F(i64, auction)   \
    F(i64, bidder) F(i64, price) F(time, dateTime) F(str, extra) F(str, dt) F(str, hm)
WEIR_SCHEMA(bid_placed, BID_PLACED)

WEIR_MAP_OF_TEXT(to_placed, nexmark_row, bid_placed, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
    out->dt = day_of(in->at);
    out->hm = minute_of(in->at);
}

struct weir_stream *
nexmark_q10(struct weir_stream *bids)
{
    return weir_map(bids, "to_placed", &to_placed_op);
}

/* q14: bids of 1,000,000 < price * 0.908 < 50,000,000, with the time of day and the number of `c`
 * in `extra`. Neither bound is a multiple of 0.908, so the bounds of the price are exact. */
#define TIMED_BID(F) \
    F(i64, auction)  \
    F(i64, bidder)   \
    F(dec3, price) F(str, bidTimeType) F(time, dateTime) F(str, extra) F(i64, c_counts)
WEIR_SCHEMA(timed_bid, TIMED_BID)

#define EURO_OVER (INT64_C(1000000) * 1000 / 908)
#define EURO_UP_TO (INT64_C(50000000) * 1000 / 908)
#define HOURS_OF_DAY 24

WEIR_FILTER(is_middle_price, nexmark_row)
{
    return in->price > EURO_OVER && in->price <= EURO_UP_TO;
}

/* How many of the eight bytes are `c`: a byte that is becomes zero, and only of such a one the
 * highest bit is left. */
static inline uint64_t
count_c8(uint64_t text)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t differs = text ^ UINT64_C(0x6363636363636363);
    uint64_t is_c = ~(((differs & low) + low) | differs | low);
    return (is_c >> 7) * UINT64_C(0x0101010101010101) >> 56;
}

static inline int64_t
count_c(struct weir_slice text)
{
    uint64_t cnt = 0;
    uint64_t word = 0;
    uint32_t at = 0;
    for (; at + sizeof word <= text.bytes; at += (uint32_t)sizeof word) {
        memcpy(&word, text.ptr + at, sizeof word);
        cnt += count_c8(word);
    }
    for (; at < text.bytes; at++) {
        cnt += text.ptr[at] == 'c';
    }
    return (int64_t)cnt;
}

static inline struct weir_str
time_of_day(int64_t ms)
{
    int64_t hour = ms / WEIR_HOUR - (ms % WEIR_HOUR < 0);
    hour = (hour % HOURS_OF_DAY + HOURS_OF_DAY) % HOURS_OF_DAY;
    bool is_day = hour >= 8 && hour <= 18;
    bool is_night = hour <= 6 || hour >= 20;
    return is_day     ? weir_str_inline("dayTime", 7)
           : is_night ? weir_str_inline("nightTime", 9)
                      : weir_str_inline("otherTime", 9);
}

WEIR_MAP_OF_TEXT(to_timed, nexmark_row, timed_bid, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price * 908;
    out->bidTimeType = time_of_day(in->at);
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
    out->c_counts = count_c(weir_str_slice(&out->extra, heap));
}

struct weir_stream *
nexmark_q14(struct weir_stream *bids)
{
    bids = weir_filter(bids, "is_middle_price", &is_middle_price_op);
    return weir_map(bids, "to_timed", &to_timed_op);
}

/* q21: the id of a bid's channel: of four its own, of others what its url says. */
#define CHANNEL_BID(F) \
    F(i64, auction) F(i64, bidder) F(i64, price) F(str, channel) F(str, channel_id)
WEIR_SCHEMA(channel_bid, CHANNEL_BID)

static bool
is_name(struct weir_slice text, const char *name)
{
    uint32_t i = 0;
    for (; i < text.bytes && name[i] != '\0'; i++) {
        char c = text.ptr[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        if (c != name[i]) {
            return false;
        }
    }
    return i == text.bytes && name[i] == '\0';
}

/* What follows `channel_id=` at the start of a url or behind an `&`, up to the next `&`. */
static bool
url_channel_id(struct weir_slice url, struct weir_slice *ret_id)
{
    static const char name[] = "channel_id=";
    const uint32_t name_bytes = sizeof name - 1;
    const char *end = url.ptr + url.bytes;
    for (const char *at = url.ptr; at + name_bytes <= end; at++) {
        at = memmem(at, (size_t)(end - at), name, name_bytes);
        if (at == NULL) {
            return false;
        }
        if (at == url.ptr || at[-1] == '&') {
            const char *stop = memchr(at + name_bytes, '&', (size_t)(end - at) - name_bytes);
            ret_id->ptr = at + name_bytes;
            ret_id->bytes = (uint32_t)((stop != NULL ? stop : end) - ret_id->ptr);
            return true;
        }
    }
    return false;
}

static bool
channel_id(const struct nexmark_row *row, const char *heap, struct weir_slice *ret_id)
{
    static const char *const names[] = {"apple", "google", "facebook", "baidu"};
    static const char digits[] = "0123";
    struct weir_slice channel = bid_slice(row, heap, NEXMARK_BID_CHANNEL);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        if (is_name(channel, names[i])) {
            ret_id->ptr = digits + i;
            ret_id->bytes = 1;
            return true;
        }
    }
    return url_channel_id(bid_slice(row, heap, NEXMARK_BID_URL), ret_id);
}

WEIR_FILTER(has_channel_id, nexmark_row)
{
    struct weir_slice id;
    return channel_id(in, heap, &id);
}

WEIR_MAP_OF_TEXT(to_channel, nexmark_row, channel_bid, payload)
{
    struct weir_slice id = {"", 0};
    (void)channel_id(in, heap, &id); /* it has one: others are gone */
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->channel = bid_text(in, heap, NEXMARK_BID_CHANNEL);
    out->channel_id = weir_str_ref(heap, id.ptr, id.bytes);
}

struct weir_stream *
nexmark_q21(struct weir_stream *bids)
{
    bids = weir_filter(bids, "has_channel_id", &has_channel_id_op);
    return weir_map(bids, "to_channel", &to_channel_op);
}

/* q22: the 4th, 5th and 6th part of a bid's url, cut at slashes; empty where it has fewer. */
#define BID_PATH(F) \
    F(i64, auction) \
    F(i64, bidder)  \
    F(i64, price) F(str, channel) F(str, dir1) F(str, dir2) F(str, dir3)
WEIR_SCHEMA(bid_path, BID_PATH)

/* The text up to the next slash, and *at behind it. */
static inline struct weir_slice
next_part(struct weir_slice url, uint32_t *at)
{
    struct weir_slice part = {url.ptr + *at, url.bytes - *at};
    const char *slash = memchr(part.ptr, '/', part.bytes);
    if (slash != NULL) {
        part.bytes = (uint32_t)(slash - part.ptr);
    }
    *at += part.bytes + (slash != NULL);
    return part;
}

WEIR_MAP_OF_TEXT(to_path, nexmark_row, bid_path, payload)
{
    struct weir_slice url = bid_slice(in, heap, NEXMARK_BID_URL);
    uint32_t at = 0;
    for (uint32_t i = 0; i < 3; i++) {
        (void)next_part(url, &at);
    }
    struct weir_slice dir1 = next_part(url, &at);
    struct weir_slice dir2 = next_part(url, &at);
    struct weir_slice dir3 = next_part(url, &at);
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->channel = bid_text(in, heap, NEXMARK_BID_CHANNEL);
    out->dir1 = weir_str_ref(heap, dir1.ptr, dir1.bytes);
    out->dir2 = weir_str_ref(heap, dir2.ptr, dir2.bytes);
    out->dir3 = weir_str_ref(heap, dir3.ptr, dir3.bytes);
}

struct weir_stream *
nexmark_q22(struct weir_stream *bids)
{
    return weir_map(bids, "to_path", &to_path_op);
}
