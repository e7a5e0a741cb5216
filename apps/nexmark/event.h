/* SPDX-License-Identifier: Apache-2.0 */
/* event.h: one Nexmark event as 64 bytes, and the payload with its texts.
 *
 * The record is what queries read; the payload is touched by those that project text. A record is
 * the same in a mapped log, out of the generator and out of a JSON line. Every 64-bit value of
 * every field is legal: nothing here takes ids to be small, dense or positive.
 *
 * [format: Input / Nexmark record]
 *
 *   offset  0 u32 payload_bytes     0 where there is no payload, else over 12
 *           4 u32 kind              0 person, 1 auction, 2 bid; also the payload's first word
 *           8 u64 payload_off       from the start of the payload section, a multiple of 8
 *          16 i64 time_ms           person, auction, bid: dateTime, since 1970 UTC
 *          24 i64 id_or_auction     person: id; auction: id; bid: auction
 *          32 i64 seller_or_bidder  person: 0; auction: seller; bid: bidder
 *          40 i64 initial_bid_or_price  auction: initialBid; bid: price
 *          48 i64 expires_ms        auction only
 *          56 i64 category          auction only
 *
 * The first 16 bytes are a string of the engine (length, first four bytes, offset from the batch's
 * heap), so a record needs no decoding and its payload travels with it across any edge.
 *
 * A payload is the kind again, a table of u32 lengths, and the texts behind it in the same order,
 * `extra` first: its length and its bytes lie together. It is padded with zeros to a multiple of 8.
 *
 *   person   u32 kind, len[6]: extra name emailAddress creditCard city state     texts at 28
 *   auction  u32 kind, len[3]: extra itemName description, i64 reserve           texts at 24
 *   bid      u32 kind, len[3]: extra channel url                                 texts at 16
 *
 * [end of format]
 */
#ifndef WEIR_APPS_NEXMARK_EVENT_H
#define WEIR_APPS_NEXMARK_EVENT_H

#include <string.h>

#include "base/base.h"

enum nexmark_kind { NEXMARK_PERSON = 0, NEXMARK_AUCTION = 1, NEXMARK_BID = 2, NEXMARK_KIND_CNT };

/* Texts of a payload, by kind; the same number may name one text of each. */
enum nexmark_text_idx {
    NEXMARK_EXTRA = 0,
    NEXMARK_PERSON_NAME = 1,
    NEXMARK_PERSON_EMAIL = 2,
    NEXMARK_PERSON_CARD = 3,
    NEXMARK_PERSON_CITY = 4,
    NEXMARK_PERSON_STATE = 5,
    NEXMARK_AUCTION_ITEM = 1,
    NEXMARK_AUCTION_DESCRIPTION = 2,
    NEXMARK_BID_CHANNEL = 1,
    NEXMARK_BID_URL = 2,
    NEXMARK_TEXT_CNT_MAX = 6,
};

struct nexmark_event {
    uint32_t payload_bytes;
    uint32_t kind;
    uint64_t payload_off;
    int64_t time_ms;
    int64_t id_or_auction;
    int64_t seller_or_bidder;
    int64_t initial_bid_or_price;
    int64_t expires_ms;
    int64_t category;
};
#define NEXMARK_EVENT_BYTES 64
WEIR_STATIC_ASSERT(sizeof(struct nexmark_event) == NEXMARK_EVENT_BYTES, "one line");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, kind) == 4, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, payload_off) == 8, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, time_ms) == 16, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, id_or_auction) == 24, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, seller_or_bidder) == 32, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, initial_bid_or_price) == 40, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, expires_ms) == 48, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_event, category) == 56, "format");

/* A text borrowed from a payload. */
struct nexmark_text {
    const char *ptr;
    uint32_t bytes;
};

/* Where the texts begin, which is also the room of the table of lengths. */
#define NEXMARK_LENGTHS_OFF 4u
#define NEXMARK_PERSON_HEAD_BYTES 28u
#define NEXMARK_AUCTION_HEAD_BYTES 24u
#define NEXMARK_BID_HEAD_BYTES 16u
#define NEXMARK_RESERVE_OFF 16u

static inline uint32_t
nexmark_text_cnt(uint32_t kind)
{
    return kind == NEXMARK_PERSON ? 6 : 3;
}

static inline uint32_t
nexmark_head_bytes(uint32_t kind)
{
    return kind == NEXMARK_BID       ? NEXMARK_BID_HEAD_BYTES
           : kind == NEXMARK_AUCTION ? NEXMARK_AUCTION_HEAD_BYTES
                                     : NEXMARK_PERSON_HEAD_BYTES;
}

/* nexmark_event_text - text idx of the event's payload.
 *
 * Shape:   payload points at the event's own payload, payload_bytes long; idx below the kind's
 *          count.
 * Returns: false where the lengths point beyond the payload: it comes from a file, so it may lie.
 */
static inline bool
nexmark_event_text(const struct nexmark_event *event, const uint8_t *payload, uint32_t idx,
    struct nexmark_text *ret_text)
{
    uint64_t at = nexmark_head_bytes(event->kind);
    uint32_t bytes;
    if (event->payload_bytes < at) {
        return false;
    }
    for (uint32_t i = 0; i < idx; i++) {
        memcpy(&bytes, payload + NEXMARK_LENGTHS_OFF + 4 * (size_t)i, 4);
        at += bytes;
    }
    memcpy(&bytes, payload + NEXMARK_LENGTHS_OFF + 4 * (size_t)idx, 4);
    if (at + bytes > event->payload_bytes) {
        return false;
    }
    ret_text->ptr = (const char *)payload + at;
    ret_text->bytes = bytes;
    return true;
}

/* nexmark_event_reserve - the reserve price of an auction; 0 where its payload is too short. */
static inline int64_t
nexmark_event_reserve(const struct nexmark_event *event, const uint8_t *payload)
{
    int64_t reserve = 0;
    if (event->kind == NEXMARK_AUCTION && event->payload_bytes >= NEXMARK_AUCTION_HEAD_BYTES) {
        memcpy(&reserve, payload + NEXMARK_RESERVE_OFF, 8);
    }
    return reserve;
}

#endif
