/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/ysb/ysb.h"

#include <string.h>

#include "apps/gen/spec.h"
#include "base/err.h"
#include "base/rng.h"

#define EVENT_RATE_MAX 1000000000
#define AD_CNT_MAX 1000000000
#define EVENT_CNT_MAX (INT64_C(1) << 53)

void
ysb_gen_opts_default(struct ysb_gen_opts *ret_opts)
{
    memset(ret_opts, 0, sizeof *ret_opts);
    ret_opts->event_cnt = 1000000;
    ret_opts->seed = 1;
    ret_opts->event_rate = 100000;
    ret_opts->record_bytes = 78;
    ret_opts->ad_cnt = 1000;
    ret_opts->campaign_cnt = 100;
    ret_opts->is_random = true;
    ret_opts->base_time_ms = INT64_C(1704067200000);
}

int
ysb_gen_parse(const char *text, struct ysb_gen_opts *ret_opts)
{
    struct ysb_gen_opts opts;
    ysb_gen_opts_default(&opts);
    int64_t random = opts.is_random;
    const struct gen_spec_row rows[] = {
        {"events", 0, EVENT_CNT_MAX, (int64_t *)&opts.event_cnt},
        {"seed", 0, INT64_MAX, (int64_t *)&opts.seed},
        {"event_rate", 1, EVENT_RATE_MAX, (int64_t *)&opts.event_rate},
        {"record", 32, YSB_RECORD_BYTES_MAX, (int64_t *)&opts.record_bytes},
        {"ads", 1, AD_CNT_MAX, (int64_t *)&opts.ad_cnt},
        {"campaigns", 1, AD_CNT_MAX, (int64_t *)&opts.campaign_cnt},
        {"random", 0, 1, &random},
        {"base", INT64_MIN / 4, INT64_MAX / 4, &opts.base_time_ms},
    };
    int err = gen_spec_parse(text, rows, WEIR_ARRAY_CNT(rows));
    if (err == 0) {
        opts.is_random = random != 0;
        *ret_opts = opts;
    }
    return err;
}

int
ysb_gen_init(struct ysb_gen *gen, const struct ysb_gen_opts *opts)
{
    uint64_t bytes = opts->record_bytes;
    if (bytes != 32 && bytes != 64 && bytes != 78 && bytes != 128) {
        return weir_err_push(WEIR_ECONFIG, "generator: record: %llu is not 32, 64, 78 or 128",
            (unsigned long long)bytes);
    }
    if (opts->event_rate < 1 || opts->event_rate > EVENT_RATE_MAX || opts->ad_cnt < 1 ||
        opts->ad_cnt > AD_CNT_MAX || opts->campaign_cnt < 1 || opts->campaign_cnt > opts->ad_cnt) {
        return weir_err_push(WEIR_ECONFIG,
            "generator: event_rate in [1, %d], ads in [1, %d], campaigns in [1, ads] are due",
            EVENT_RATE_MAX, AD_CNT_MAX);
    }
    gen->opts = *opts;
    gen->key = weir_rng_mix(opts->seed);
    gen->ad_key = weir_rng_mix(~opts->seed);
    return 0;
}

void
ysb_gen_ad(const struct ysb_gen *gen, uint64_t idx, struct ysb_ad *ret_ad)
{
    ret_ad->lo = weir_rng_at(gen->ad_key, 2 * idx);
    ret_ad->hi = gen->opts.record_bytes == 32 ? 0 : weir_rng_at(gen->ad_key, 2 * idx + 1);
    ret_ad->campaign = idx % gen->opts.campaign_cnt;
}

/* What every format holds of one event. */
struct event {
    int64_t time_ms;
    uint64_t user[2];
    uint64_t page[2];
    struct ysb_ad ad;
    uint64_t type;
    uint64_t ad_type;
};

static void
write_packed(const struct event *e, uint8_t *to)
{
    static const char types[YSB_TYPE_CNT][9] = {"view", "click", "purchase"};
    static const char ad_types[4][9] = {"banner", "modal", "mail", "mobile"};
    memcpy(to, e->user, 16);
    memcpy(to + 16, e->page, 16);
    memcpy(to + 32, &e->ad, 16);
    memcpy(to + 48, ad_types[e->ad_type], 9);
    memcpy(to + 57, types[e->type], 9);
    memcpy(to + 66, &e->time_ms, 8);
    memcpy(to + 74, e->page, 4);
}

static void
write_record(const struct event *e, uint64_t record_bytes, uint8_t *to)
{
    uint32_t type = (uint32_t)e->type;
    uint32_t ad_type = (uint32_t)e->ad_type;
    if (record_bytes == 78) {
        write_packed(e, to);
        return;
    }
    memset(to, 0, record_bytes);
    memcpy(to, &e->time_ms, 8);
    if (record_bytes == 32) {
        memcpy(to + 8, &e->ad.lo, 8);
        memcpy(to + 16, e->user, 8);
        memcpy(to + 24, &type, 4);
        return;
    }
    memcpy(to + 8, e->user, 16);
    memcpy(to + 24, e->page, 16);
    memcpy(to + 40, &e->ad, 16);
    if (record_bytes == 64) {
        memcpy(to + 56, &ad_type, 4);
        memcpy(to + 60, &type, 4);
    } else {
        memcpy(to + 56, &e->ad_type, 8);
        memcpy(to + 64, &e->type, 8);
        memcpy(to + 72, e->page, 16);
    }
}

void
ysb_gen_fill(const struct ysb_gen *gen, uint64_t first, size_t cnt, uint8_t *to)
{
    uint64_t rate = gen->opts.event_rate;
    for (uint64_t n = first; n < first + cnt; n++) {
        struct event e;
        uint64_t draw = weir_rng_at(gen->key, 4 * n);
        uint64_t seconds = n / rate;
        uint64_t idx = ((draw & UINT32_MAX) * gen->opts.ad_cnt) >> 32;
        e.time_ms =
            gen->opts.base_time_ms + (int64_t)(seconds * 1000 + (n - seconds * rate) * 1000 / rate);
        e.user[0] = weir_rng_at(gen->key, 4 * n + 1);
        e.user[1] = ~e.user[0];
        e.page[0] = weir_rng_at(gen->key, 4 * n + 2);
        e.page[1] = ~e.page[0];
        e.type = gen->opts.is_random ? ((draw >> 32) * YSB_TYPE_CNT) >> 32 : n % YSB_TYPE_CNT;
        e.ad_type = e.page[0] >> 62;
        ysb_gen_ad(gen, idx, &e.ad);
        write_record(&e, gen->opts.record_bytes, to);
        to += gen->opts.record_bytes;
    }
}
