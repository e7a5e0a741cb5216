/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/gen.h"

#include <math.h>

#include "apps/gen/spec.h"
#include "base/err.h"
#include "base/rng.h"

#define GROUP_STRIDE 953 /* the reference's; prime, so that only its multiples are no group */
#define IN_FLIGHT_AUCTIONS 100
#define AUCTION_LEAD 10
#define ACTIVE_PEOPLE 1000
#define PERSON_LEAD 10
#define HOT_EVERY 100
#define CHANNEL_CNT 10000
#define EVENT_RATE_MAX INT64_C(1000000000)
#define GROUP_MAX INT64_C(1000000)
#define EVENT_CNT_MAX (INT64_C(1) << 53)

void
nexmark_gen_opts_default(struct nexmark_gen_opts *ret_opts)
{
    ret_opts->event_cnt = 1000000;
    ret_opts->seed = 1;
    ret_opts->event_rate = 100000;
    ret_opts->group_events = 1;
    ret_opts->base_time_ms = INT64_C(1704067200000);
    ret_opts->quirk = false;
}

int
nexmark_gen_parse(const char *text, struct nexmark_gen_opts *ret_opts)
{
    struct nexmark_gen_opts opts;
    nexmark_gen_opts_default(&opts);
    int64_t quirk = opts.quirk;
    const struct gen_spec_row rows[] = {
        {"events", 0, EVENT_CNT_MAX, (int64_t *)&opts.event_cnt},
        {"seed", 0, INT64_MAX, (int64_t *)&opts.seed},
        {"event_rate", 1, EVENT_RATE_MAX, (int64_t *)&opts.event_rate},
        {"group", 1, GROUP_MAX, (int64_t *)&opts.group_events},
        {"base", INT64_MIN / 4, INT64_MAX / 4, &opts.base_time_ms},
        {"quirk", 0, 1, &quirk},
    };
    int err = gen_spec_parse(text, rows, WEIR_ARRAY_CNT(rows));
    if (err == 0) {
        opts.quirk = quirk != 0;
        *ret_opts = opts;
    }
    return err;
}

int
nexmark_gen_init(struct nexmark_gen *gen, const struct nexmark_gen_opts *opts)
{
    if (opts->event_rate < 1 || opts->event_rate > (uint64_t)EVENT_RATE_MAX) {
        return weir_err_push(WEIR_ECONFIG,
            "generator: event_rate %llu is not in [1, %llu] a second",
            (unsigned long long)opts->event_rate, (unsigned long long)EVENT_RATE_MAX);
    }
    if (opts->group_events < 1 || opts->group_events > GROUP_MAX ||
        opts->group_events % GROUP_STRIDE == 0) {
        return weir_err_push(WEIR_ECONFIG,
            "generator: group %llu is not in [1, %llu], or a multiple of %d",
            (unsigned long long)opts->group_events, (unsigned long long)GROUP_MAX, GROUP_STRIDE);
    }
    if (opts->event_cnt > EVENT_CNT_MAX || opts->base_time_ms > INT64_MAX / 4 ||
        opts->base_time_ms < INT64_MIN / 4) {
        return weir_err_push(
            WEIR_ECONFIG, "generator: more than 2^53 events, or base out of range");
    }
    gen->opts = *opts;
    gen->key = weir_rng_mix(opts->seed);
    gen->step_ms = 1000 / opts->event_rate;
    gen->step_rem = 1000 % opts->event_rate;
    /* The time in which the next in-flight auctions appear; lengths are uniform with this mean. */
    gen->auction_span_ms =
        2 * (UINT64_C(1000) * (IN_FLIGHT_AUCTIONS * NEXMARK_EPOCH_EVENTS / 3) / opts->event_rate);
    gen->auction_span_ms = weir_max_u64(gen->auction_span_ms, 1);
    gen->bidder_first = opts->quirk ? 2 * NEXMARK_FIRST_ID : NEXMARK_FIRST_ID;
    for (uint32_t i = 0; i <= NEXMARK_GEN_PRICE_STEPS; i++) {
        gen->price[i] = (uint64_t)(100.0 * pow(10.0, 6.0 * i / NEXMARK_GEN_PRICE_STEPS) * 65536.0);
    }
    return 0;
}

uint64_t
nexmark_gen_number(const struct nexmark_gen *gen, uint64_t position)
{
    uint64_t group = gen->opts.group_events;
    uint64_t start = position - position % group;
    /* A cut last group stays in order, so that its numbers are those below event_cnt. */
    if (group == 1 || start + group > gen->opts.event_cnt) {
        return position;
    }
    return start + position * GROUP_STRIDE % group;
}

/* Draw 0..3 of an event: independent words from (key, number, draw). */
static inline uint64_t
gen_word(uint64_t key, uint64_t number, uint64_t draw)
{
    return weir_rng_at(key, number * 4 + draw);
}

/* A value in [0, cnt) from 32 random bits: the high half of a product, no division. */
static inline uint64_t
gen_below(uint64_t random, uint64_t cnt)
{
    return ((random & UINT32_MAX) * cnt) >> 32;
}

static inline int64_t
gen_price(const struct nexmark_gen *gen, uint32_t random)
{
    uint32_t idx = random >> 22;
    uint64_t low = gen->price[idx];
    uint64_t part = ((gen->price[idx + 1] - low) * (random & 0x3fffff)) >> 22;
    return (int64_t)((low + part + 32768) >> 16);
}

static inline uint64_t
gen_person(uint64_t random, uint64_t last)
{
    uint64_t active = weir_min_u64(last + 1, ACTIVE_PEOPLE);
    return last + 1 - active + gen_below(random, active + PERSON_LEAD);
}

/* What all bids of one epoch draw from. */
struct bid_range {
    uint64_t epoch;
    uint64_t hot; /* auction */
    uint64_t least; /* the first of the cold ones, and how many */
    uint64_t cnt;
    uint64_t hot_bidder;
    uint64_t least_bidder;
    uint64_t bidder_cnt;
};

static inline struct bid_range
gen_bid_range(uint64_t epoch)
{
    struct bid_range range;
    uint64_t last = epoch * 3 + 2;
    uint64_t active = weir_min_u64(epoch + 1, ACTIVE_PEOPLE);
    range.epoch = epoch;
    range.hot = last - last % HOT_EVERY;
    range.least = last > IN_FLIGHT_AUCTIONS ? last - IN_FLIGHT_AUCTIONS : 0;
    range.cnt = last - range.least + 1 + AUCTION_LEAD;
    range.hot_bidder = epoch - epoch % HOT_EVERY + 1;
    range.least_bidder = epoch + 1 - active;
    range.bidder_cnt = active + PERSON_LEAD;
    return range;
}

static inline void
gen_bid(const struct nexmark_gen *gen, const struct bid_range *range, uint64_t number,
    struct nexmark_event *e)
{
    uint64_t r1 = gen_word(gen->key, number, 0);
    uint64_t r2 = gen_word(gen->key, number, 1);
    uint64_t cold = range->least + gen_below(r1 >> 32, range->cnt);
    uint64_t cold_bidder = range->least_bidder + gen_below(r2 >> 32, range->bidder_cnt);
    /* The draws of both cases are made, and one is taken: a coin that a predictor cannot learn. */
    uint64_t take_hot = 0 - (r1 & 1);
    uint64_t take_hot_bidder = 0 - (uint64_t)((r1 & 6) != 0);
    e->kind = NEXMARK_BID;
    e->id_or_auction = NEXMARK_FIRST_ID + (int64_t)((range->hot & take_hot) | (cold & ~take_hot));
    e->seller_or_bidder = gen->bidder_first + (int64_t)((range->hot_bidder & take_hot_bidder) |
                                                        (cold_bidder & ~take_hot_bidder));
    e->initial_bid_or_price = gen_price(gen, (uint32_t)r2);
    e->expires_ms = 0;
    e->category = 0;
}

static void
gen_rare(const struct nexmark_gen *gen, uint64_t number, struct nexmark_event *e)
{
    uint64_t epoch = number / NEXMARK_EPOCH_EVENTS;
    uint64_t slot = number % NEXMARK_EPOCH_EVENTS;
    memset(&e->id_or_auction, 0, sizeof *e - offsetof(struct nexmark_event, id_or_auction));
    if (slot == 0) {
        e->kind = NEXMARK_PERSON;
        e->id_or_auction = NEXMARK_FIRST_ID + (int64_t)epoch;
        return;
    }
    uint64_t r1 = gen_word(gen->key, number, 0);
    uint64_t r2 = gen_word(gen->key, number, 1);
    uint64_t hot_seller = epoch - epoch % HOT_EVERY;
    uint64_t seller = (r1 & 3) != 0 ? hot_seller : gen_person(r2 >> 32, epoch);
    e->kind = NEXMARK_AUCTION;
    e->id_or_auction = NEXMARK_FIRST_ID + (int64_t)(epoch * 3 + slot - 1);
    e->seller_or_bidder = NEXMARK_FIRST_ID + (int64_t)seller;
    e->initial_bid_or_price = gen_price(gen, (uint32_t)r2);
    e->expires_ms = e->time_ms + 1 + (int64_t)gen_below(r1 >> 32, gen->auction_span_ms);
    e->category = 10 + (int64_t)gen_below(r1, 5);
}

/* The event of that number; the range is kept from one call to the next, and made anew per
 * epoch. */
static inline void
gen_event(const struct nexmark_gen *gen, struct bid_range *io_range, uint64_t number,
    int64_t time_ms, struct nexmark_event *e)
{
    uint64_t epoch = number / NEXMARK_EPOCH_EVENTS;
    if (WEIR_UNLIKELY(epoch != io_range->epoch)) {
        *io_range = gen_bid_range(epoch);
    }
    e->payload_bytes = 0;
    e->payload_off = 0;
    e->time_ms = time_ms;
    if (WEIR_LIKELY(number - epoch * NEXMARK_EPOCH_EVENTS > 3)) {
        gen_bid(gen, io_range, number, e);
    } else {
        gen_rare(gen, number, e);
    }
}

void
nexmark_gen_fill(
    const struct nexmark_gen *gen, uint64_t first, size_t cnt, struct nexmark_event *ret_events)
{
    uint64_t rate = gen->opts.event_rate;
    int64_t base = gen->opts.base_time_ms;
    struct bid_range range = gen_bid_range(first / NEXMARK_EPOCH_EVENTS);
    if (gen->opts.group_events > 1) {
        for (size_t i = 0; i < cnt; i++) {
            uint64_t number = nexmark_gen_number(gen, first + i);
            uint64_t seconds = number / rate;
            uint64_t ms = seconds * 1000 + (number - seconds * rate) * 1000 / rate;
            gen_event(gen, &range, number, base + (int64_t)ms, &ret_events[i]);
        }
        return;
    }
    /* In order the time needs no division: quotient and remainder advance by their steps. */
    uint64_t seconds = first / rate;
    uint64_t parts = (first - seconds * rate) * 1000;
    uint64_t ms = seconds * 1000 + parts / rate;
    uint64_t rem = parts % rate;
    for (size_t i = 0; i < cnt; i++) {
        gen_event(gen, &range, first + i, base + (int64_t)ms, &ret_events[i]);
        rem += gen->step_rem;
        ms += gen->step_ms + (rem >= rate);
        rem -= rem >= rate ? rate : 0;
    }
}

/* --- payloads --- */

static const char *const first_names[11] = {
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[9] = {
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
static const char *const cities[10] = {"Phoenix", "Los Angeles", "San Francisco", "Boise",
    "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"};
static const char *const states[6] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const hot_channels[4] = {"Google", "Facebook", "Baidu", "Apple"};

/* A source of random words for one payload, and where its next text goes. */
struct text_out {
    uint8_t *payload;
    uint32_t at;
    uint32_t len_idx;
    uint32_t len_at; /* where the text under way began */
    uint64_t random;
};

static inline uint64_t
text_random(struct text_out *out)
{
    out->random += UINT64_C(0x9e3779b97f4a7c15);
    return weir_rng_mix(out->random);
}

/* Eight letters from 'first' on: each byte's bits sum to 0..25 (15 + 7 + 3), all eight at once. */
static inline uint64_t
text_letters(uint64_t random, uint8_t first)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return (random & ones * 15) + ((random >> 4) & ones * 7) + ((random >> 6) & ones * 3) +
           ones * first;
}

static inline void
text_end(struct text_out *out)
{
    uint32_t bytes = out->at - out->len_at;
    memcpy(out->payload + NEXMARK_LENGTHS_OFF + 4 * (size_t)out->len_idx, &bytes, 4);
    out->len_idx++;
    out->len_at = out->at;
}

static inline void
text_put(struct text_out *out, const char *text, uint32_t bytes)
{
    memcpy(out->payload + out->at, text, bytes);
    out->at += bytes;
}

/* Letters in eights; the last store runs over by up to 7 bytes, which the next text covers. */
static inline void
text_put_letters(struct text_out *out, uint32_t bytes, uint8_t first)
{
    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t letters = text_letters(text_random(out), first);
        memcpy(out->payload + out->at + i, &letters, 8);
    }
    out->at += bytes;
}

/* As the reference's padding: runs of lower case and runs out of 'H'..'a', with ` [ \ ] ^ _. */
static inline void
text_extra(struct text_out *out, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t random = text_random(out);
        uint64_t letters = text_letters(random, (random & 1) != 0 ? 'a' : 'H');
        memcpy(out->payload + out->at + i, &letters, 8);
    }
    out->at += bytes;
    text_end(out);
}

/* Words: letters with one blank in every eight. */
static inline void
text_words(struct text_out *out, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t random = text_random(out);
        uint64_t letters = text_letters(random, 'a');
        uint32_t shift = (uint32_t)(random >> 61) * 8;
        letters = (letters & ~(UINT64_C(0xff) << shift)) | ((uint64_t)' ' << shift);
        memcpy(out->payload + out->at + i, &letters, 8);
    }
    out->at += bytes;
    text_end(out);
}

/* A number below 10^10, two digits a step; the copy is of a fixed size, what is too much of it is
 * covered by what follows. */
static inline void
text_put_number(struct text_out *out, uint64_t value)
{
    char digits[32] = "";
    uint32_t at = 10;
    for (uint32_t rest = 5; rest > 0 && (value != 0 || at == 10); rest--) {
        uint32_t pair = (uint32_t)(value % 100);
        value /= 100;
        digits[--at] = (char)('0' + pair % 10);
        digits[--at] = (char)('0' + pair / 10);
    }
    at += digits[at] == '0' && at < 9;
    memcpy(out->payload + out->at, digits + at, 16);
    out->at += 10 - at;
}

static inline void
text_choice(struct text_out *out, const char *text)
{
    text_put(out, text, (uint32_t)strlen(text));
}

static void
payload_person(struct text_out *out)
{
    uint64_t r = text_random(out);
    text_extra(out, 34 + (uint32_t)(r & 31));
    text_choice(out, first_names[gen_below(r >> 8 & 0xffff0000, 11)]);
    text_put(out, " ", 1);
    text_choice(out, last_names[gen_below(r >> 16 & 0xffff0000, 9)]);
    text_end(out);
    text_put_letters(out, 3 + (uint32_t)(r >> 5 & 3), 'a');
    text_put(out, "@", 1);
    text_put_letters(out, 3 + (uint32_t)(r >> 7 & 1), 'a');
    text_put(out, ".com", 4);
    text_end(out);
    uint64_t card = text_random(out);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t four = gen_below(card >> (16 * i) << 16, 10000);
        char group[5] = {(char)('0' + four / 1000), (char)('0' + four / 100 % 10),
            (char)('0' + four / 10 % 10), (char)('0' + four % 10), ' '};
        text_put(out, group, i == 3 ? 4 : 5);
    }
    text_end(out);
    text_choice(out, cities[gen_below(r >> 24 & 0xffff0000, 10)]);
    text_end(out);
    text_choice(out, states[gen_below(r >> 32 & 0xffff0000, 6)]);
    text_end(out);
}

static void
payload_auction(struct text_out *out)
{
    uint64_t r = text_random(out);
    text_extra(out, 3 + (uint32_t)gen_below(r, 115));
    text_words(out, 2 + (uint32_t)gen_below(r >> 8, 18));
    text_words(out, 2 + (uint32_t)gen_below(r >> 16, 98));
}

/* The reference's cache of 10,000 (channel, url) pairs, made anew from the pair's number each time:
 * that costs less than a cold line of a table of 900 KB. Pairs 0..3 are the hot channels. */
static void
payload_bid(const struct nexmark_gen *gen, struct text_out *out)
{
    uint64_t r = text_random(out);
    bool hot = (r & 1) != 0;
    uint32_t pair = hot ? (uint32_t)(r >> 1 & 3) : 4 + (uint32_t)gen_below(r >> 8, CHANNEL_CNT);
    text_extra(out, 4 + (uint32_t)(r >> 3 & 1));
    if (hot) {
        text_choice(out, hot_channels[pair]);
    } else {
        text_put(out, "channel-", 8);
        text_put_number(out, pair - 4);
    }
    text_end(out);
    uint64_t shape = gen_word(gen->key, pair, 3);
    struct text_out url = *out;
    url.random = shape;
    text_put(&url, "https://www.nexmark.com/", 24);
    for (uint32_t i = 0; i < 3; i++) {
        text_put_letters(&url, 3 + (uint32_t)(shape >> i & 1), 'a');
        text_put(&url, "/", 1);
    }
    text_put(&url, "item.htm?query=1", 16);
    if (!hot && gen_below(shape >> 8, 10) != 0) {
        text_put(&url, "&channel_id=", 12);
        text_put_number(&url, shape >> 34);
    }
    text_end(&url);
    *out = url;
}

uint32_t
nexmark_gen_payload(
    const struct nexmark_gen *gen, uint64_t number, const struct nexmark_event *event, uint8_t *to)
{
    uint32_t head = nexmark_head_bytes(event->kind);
    struct text_out out = {to, head, 0, head, gen_word(gen->key, number, 2)};
    memcpy(to, &event->kind, 4);
    if (event->kind == NEXMARK_PERSON) {
        payload_person(&out);
    } else if (event->kind == NEXMARK_AUCTION) {
        payload_auction(&out);
        uint64_t r = gen_word(gen->key, number, 3);
        int64_t reserve = event->initial_bid_or_price + gen_price(gen, (uint32_t)(r >> 32));
        memcpy(to + NEXMARK_RESERVE_OFF, &reserve, 8);
    } else {
        payload_bid(gen, &out);
    }
    uint32_t bytes = (uint32_t)weir_align_up(out.at, 8);
    memset(to + out.at, 0, bytes - out.at);
    return bytes;
}
