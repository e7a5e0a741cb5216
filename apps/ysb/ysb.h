/* SPDX-License-Identifier: Apache-2.0 */
/* ysb.h: ad events of the Yahoo Streaming Benchmark, in the four record formats that papers used.
 *
 * [format: Input / YSB records]
 *
 *   bytes  time_ms  user     page     ad       ad type      event type            else
 *   32     i64 @0   u64 @16  -        u64 @8   -            u32 @24               -
 *   64     i64 @0   16 @8    16 @24   16 @40   u32 @56      u32 @60               -
 *   78     i64 @66  16 @0    16 @16   16 @32   char[9] @48  char[9] @57, as text  u32 ip @74
 *   128    i64 @0   16 @8    16 @24   16 @40   u64 @56      u64 @64               16 ip @72
 *
 *   event type: 0 view, 1 click, 2 purchase
 *
 * Little-endian, what is not named is zero; the file is the records alone, one behind the other. An
 * ad is known by its id (64 or 128 bits without order); ad number i belongs to campaign i mod
 * campaigns, so a job needs the table from id to campaign: ysb_gen_ad() is its row. Event n depends
 * on n alone.
 *
 * [end of format]
 *
 * Source: T. Grulich et al. (78 bytes, here with the ad in place of the campaign), LightSaber
 *         (128).
 */
#ifndef WEIR_APPS_YSB_YSB_H
#define WEIR_APPS_YSB_YSB_H

#include "base/base.h"

#define YSB_RECORD_BYTES_MAX 128
enum ysb_type { YSB_VIEW, YSB_CLICK, YSB_PURCHASE, YSB_TYPE_CNT };

struct ysb_ad {
    uint64_t lo; /* the first 8 bytes of the id */
    uint64_t hi; /* the others; 0 in records of 32 bytes */
    uint64_t campaign;
};

struct ysb_gen_opts {
    uint64_t event_cnt;
    uint64_t seed;
    uint64_t event_rate; /* events per second of event time, in [1, 1e9] */
    uint64_t record_bytes; /* 32, 64, 78 or 128 */
    uint64_t ad_cnt; /* in [1, 1e9] */
    uint64_t campaign_cnt; /* in [1, ad_cnt] */
    bool is_random; /* event types by chance; else view, click, purchase in turn */
    int64_t base_time_ms;
};

struct ysb_gen {
    struct ysb_gen_opts opts;
    uint64_t key;
    uint64_t ad_key;
};

/* ysb_gen_opts_default - 1,000,000 events of 78 bytes, 100,000 a second, 1,000 ads, 100
 * campaigns. */
void ysb_gen_opts_default(struct ysb_gen_opts *ret_opts);

/* ysb_gen_parse -
 * `gen:N[,seed=][,event_rate=][,record=][,ads=][,campaigns=][,random=0|1][,base=]`. */
WEIR_MUST_USE int ysb_gen_parse(const char *text, struct ysb_gen_opts *ret_opts);

/* ysb_gen_init - WEIR_ECONFIG for options out of range. */
WEIR_MUST_USE int ysb_gen_init(struct ysb_gen *gen, const struct ysb_gen_opts *opts);

/* ysb_gen_ad - ad number idx, below ad_cnt. */
void ysb_gen_ad(const struct ysb_gen *gen, uint64_t idx, struct ysb_ad *ret_ad);

/* ysb_gen_fill - records of events [first, first + cnt) at to, record_bytes each. */
void ysb_gen_fill(const struct ysb_gen *gen, uint64_t first, size_t cnt, uint8_t *to);

#endif
