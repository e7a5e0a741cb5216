/* SPDX-License-Identifier: Apache-2.0 */
/* source.h: Nexmark events as a stream: generated, or from a mapped log. */
#ifndef WEIR_APPS_NEXMARK_SOURCE_H
#define WEIR_APPS_NEXMARK_SOURCE_H

#include "apps/nexmark/gen.h"
#include "apps/nexmark/log.h"
#include "sched/graph.h"

/* A record of event.h as the engine sees it: the same 64 bytes. */
#define NEXMARK_ROW(F) \
    F(str, payload)    \
    F(time, at)        \
    F(i64, id) F(i64, other) F(i64, price) F(i64, expires) F(i64, category)
WEIR_SCHEMA(nexmark_row, NEXMARK_ROW)
WEIR_STATIC_ASSERT(sizeof(struct nexmark_row) == sizeof(struct nexmark_event), "the same record");

/* What a row says of which and when, for queries that ask no more. */
#define NEXMARK_BRIEF(F) F(i64, id) F(time, at)
WEIR_SCHEMA(nexmark_brief, NEXMARK_BRIEF)

/* The kind of a row: the first word of its payload, which the string carries. */
static inline uint32_t
nexmark_row_kind(const struct nexmark_row *row)
{
    uint32_t kind;
    memcpy(&kind, row->payload.head, sizeof kind);
    return kind;
}

/* What a job needs of the events. */
struct nexmark_want {
    uint32_t kinds; /* which to deliver, as bits */
    uint32_t payload_kinds; /* those whose payloads are read */
    bool brief; /* as nexmark_brief, not as nexmark_row */
};
#define NEXMARK_PERSONS (1u << NEXMARK_PERSON)
#define NEXMARK_AUCTIONS (1u << NEXMARK_AUCTION)
#define NEXMARK_BIDS (1u << NEXMARK_BID)
#define NEXMARK_ALL (NEXMARK_PERSONS | NEXMARK_AUCTIONS | NEXMARK_BIDS)

/* Events of a log that one poll looks through for wanted ones, some 20 us: where few are wanted,
 * one batch's worth would make a small batch. More would not stay in L2 until the operators behind
 * read them again. */
#define NEXMARK_LOG_POLL_EVENTS 8192

struct nexmark_source_conf {
    const char *path; /* of a log; NULL: generate */
    struct nexmark_gen_opts gen;
    struct nexmark_want want;
    int64_t rate; /* events per second of wall clock over all subtasks, 0: unlimited */
};

/* The parameter `events` of a job; `rate` is WEIR_RATE_PARAM. */
#define NEXMARK_EVENTS_PARAM                                                                   \
    {                                                                                          \
        "events", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "gen:1000000,seed=1", "",        \
            "a file (JSON lines, .zst of them, or a mapped log), or gen:N,seed=S,event_rate=R" \
    }

/* nexmark_source - the wanted ones of the events that the parameters `events` and `rate` name.
 *
 * Watermarks are 4 s behind the greatest time of all events so far. */
struct weir_stream *nexmark_source(struct weir_env *env, const struct nexmark_want *want);

extern const struct weir_operator_type nexmark_gen_type;
extern const struct weir_operator_type nexmark_log_type;
extern const struct weir_operator_type nexmark_log_brief_type;

#endif
