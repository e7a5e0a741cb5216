/* SPDX-License-Identifier: Apache-2.0 */
/* gen.h: Nexmark events from a seed, each from its number alone.
 *
 * Event n depends on (options, n) and on nothing before it: sources split a stream by taking
 * numbers, and two runs see the same bytes. Of 50 events 1 is a person, 3 are auctions, 46 are
 * bids. The distributions are those of the reference suite's second version; its defect of adding
 * the first person's id twice to bidders is reproduced by `quirk=1` (ids of bidders then start at
 * 2000).
 *
 * Not the reference's stream: its random source has no seed. Distributions are compared in the
 * tests.
 */
#ifndef WEIR_APPS_NEXMARK_GEN_H
#define WEIR_APPS_NEXMARK_GEN_H

#include "apps/nexmark/event.h"

#define NEXMARK_EPOCH_EVENTS 50
#define NEXMARK_FIRST_ID 1000
/* No payload of the generator is longer. */
#define NEXMARK_GEN_PAYLOAD_BYTES_MAX 320
#define NEXMARK_GEN_PRICE_STEPS 1024

struct nexmark_gen_opts {
    uint64_t event_cnt;
    uint64_t seed;
    uint64_t event_rate; /* events per second of event time, in [1, 1e9] */
    uint64_t
        group_events; /* positions p of a group of this many hold event p*953 mod it; 1: in order */
    int64_t base_time_ms; /* time of event 0 */
    bool quirk; /* the reference's bidder ids */
};

struct nexmark_gen {
    struct nexmark_gen_opts opts;
    uint64_t key; /* the seed, mixed: near seeds share no words */
    uint64_t step_ms; /* 1000 / event_rate */
    uint64_t step_rem; /* 1000 % event_rate */
    uint64_t auction_span_ms;
    int64_t bidder_first;
    uint64_t price[NEXMARK_GEN_PRICE_STEPS + 1]; /* 100 * 10^(6i/steps), 16 bits after the point */
};

/* nexmark_gen_opts_default - 1,000,000 events, seed 1, 100,000 a second, in order, from 2024 on. */
void nexmark_gen_opts_default(struct nexmark_gen_opts *ret_opts);

/* nexmark_gen_parse - options from `gen:N[,seed=S][,event_rate=R][,group=G][,base=MS][,quirk=0|1]`.
 *
 * Returns: 0, or WEIR_ECONFIG with what was found and what is allowed; options not named keep their
 *          defaults.
 */
WEIR_MUST_USE int nexmark_gen_parse(const char *text, struct nexmark_gen_opts *ret_opts);

/* nexmark_gen_init - build the tables; WEIR_ECONFIG for options out of range. */
WEIR_MUST_USE int nexmark_gen_init(struct nexmark_gen *gen, const struct nexmark_gen_opts *opts);

/* nexmark_gen_number - the number of the event at this position of the stream. */
uint64_t nexmark_gen_number(const struct nexmark_gen *gen, uint64_t position);

/* nexmark_gen_fill - records of positions [first, first + cnt), without payloads.
 *
 * Units:   positions; the end of the stream is the caller's to keep.
 * Thread:  any number at once: the generator is read only.
 */
void nexmark_gen_fill(
    const struct nexmark_gen *gen, uint64_t first, size_t cnt, struct nexmark_event *ret_events);

/* nexmark_gen_payload - the payload of the event of that number.
 *
 * Shape:   kind as nexmark_gen_fill gave it; to has room for NEXMARK_GEN_PAYLOAD_BYTES_MAX.
 * Returns: its bytes, a multiple of 8; the caller sets payload_off and payload_bytes.
 */
uint32_t nexmark_gen_payload(
    const struct nexmark_gen *gen, uint64_t number, const struct nexmark_event *event, uint8_t *to);

#endif
