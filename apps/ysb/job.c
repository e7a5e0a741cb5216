/* SPDX-License-Identifier: Apache-2.0 */
/* The Yahoo Streaming Benchmark: of ad events keep the views, look up the ad's campaign, count per
 * campaign and 10 s of event time.
 *
 *     weir run ysb -p events=gen:1000000,record=78 -p output=FILE
 *     weir run ysb -p events=gen:1000000,record=78 -p records=FILE      the records from a mapped
 *                                                                       file
 *
 * Records are referenced where they lie, in any of the four formats of ysb.h; the table from ad to
 * campaign is that of the specification.
 */
#include <stdlib.h>

#include "apps/gen/feed.h"
#include "apps/ysb/ysb.h"
#include "base/ahead.h"
#include "base/hash.h"
#include "base/region.h"
#include "dataplane/state.h"
#include "io/io.h"
#include "sched/weir.h"

#define SLOT_FREE UINT64_MAX
/* Nearly every ad in its own place: what is not there costs a wrong guess at a jump. Free slots are
 * not looked at, so they cost memory alone. */
#define SLOTS_PER_AD 16
/* A table of 1 GiB: more ads than the benchmark has in any form, and no host is filled by a typing
 * error. */
#define AD_CNT_MAX (UINT64_C(1) << 21)
#define VIEW_TEXT 0x77656976 /* "view", the first four bytes of the 78-byte format's type */

const struct weir_opt weir_job_params[] = {
    {"events", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "gen:1000000,seed=1", "",
        "gen:N,seed=S,event_rate=R,record=32|64|78|128,ads=A,campaigns=C,random=0|1"},
    {"records", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 0, 4096, "", "",
        "a file of the records that the specification describes, mapped instead of generated"},
    WEIR_OUTPUT_PARAM("discard"),
    {"lag", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 365 * 86400 * WEIR_SEC_NS, "1ms", "",
        "how far the watermark stays behind the greatest time so far; 1ms: times never fall, but "
        "may repeat"},
    WEIR_RATE_PARAM,
    {.name = NULL},
};

/* ---- a record in each format, as far as the job reads it ---- */

#define FIELD(name, type, off, bytes)    \
    {                                    \
        name, type, 0, off, bytes, false \
    }

#define AD_SCHEMA(size, time_off, lo_off, hi_off, type_off)                                     \
    static const struct weir_field fields_##size[] = {FIELD("at", WEIR_TYPE_TIME, time_off, 8), \
        FIELD("ad_lo", WEIR_TYPE_I64, lo_off, 8), FIELD("ad_hi", WEIR_TYPE_I64, hi_off, 8),     \
        FIELD("type", WEIR_TYPE_I32, type_off, 4)};                                             \
    static const struct weir_schema schema_##size = {                                           \
        "ad_event_" #size, fields_##size, 4, (size + 7) / 8 * 8, 0, false};
/* The 32-byte format has no second half of the id: the first stands in for it. */
AD_SCHEMA(32, 0, 8, 8, 24)
AD_SCHEMA(64, 0, 40, 48, 60)
AD_SCHEMA(78, 66, 32, 40, 57)
AD_SCHEMA(128, 0, 40, 48, 64)

static const struct weir_schema *
schema_of(uint64_t record_bytes)
{
    switch (record_bytes) {
    case 32:
        return &schema_32;
    case 64:
        return &schema_64;
    case 78:
        return &schema_78;
    default:
        return &schema_128;
    }
}

/* ---- source ---- */

struct source_conf {
    struct ysb_gen_opts gen;
    const char *path; /* of a file of records, NULL: generate */
    int64_t rate;
};

struct source_self {
    struct ysb_gen gen;
    struct gen_feed feed;
    struct weir_io_map map;
    uint16_t region;
};

static int
source_map(struct weir_operator *op, const struct source_conf *conf)
{
    struct source_self *self = op->self;
    int rc = weir_io_map(
        op->env->io, conf->path, WEIR_IO_MAP_SEQUENTIAL | WEIR_IO_MAP_POPULATE, &self->map);
    if (rc != 0) {
        return rc;
    }
    if (self->map.bytes % conf->gen.record_bytes != 0) {
        return weir_err_push(WEIR_EFORMAT, "%s holds no whole number of records of %llu bytes",
            conf->path, (unsigned long long)conf->gen.record_bytes);
    }
    gen_feed_init(&self->feed, op, self->map.bytes / conf->gen.record_bytes, conf->rate);
    return weir_region_table_add(
        op->env->regions, (void *)(uintptr_t)self->map.base, self->map.bytes, &self->region);
}

static int
source_open(struct weir_operator *op)
{
    struct source_self *self = op->self;
    const struct source_conf *conf = op->conf;
    gen_feed_init(&self->feed, op, conf->gen.event_cnt, conf->rate);
    return conf->path != NULL ? source_map(op, conf) : ysb_gen_init(&self->gen, &conf->gen);
}

static int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct source_self *self = op->self;
    const struct source_conf *conf = op->conf;
    struct weir_view *view = &out->view;
    uint64_t first;
    uint32_t bytes = (uint32_t)conf->gen.record_bytes;
    uint32_t cnt = gen_feed_next(&self->feed, out->row_cap, now_ns, &first);
    if (conf->path != NULL) {
        uint32_t off;
        weir_region_table_locate(self->region, first * bytes, &view->region, &off);
        view->rows = (char *)(uintptr_t)self->map.base + first * bytes;
        view->flags = WEIR_BATCH_FOREIGN_ROWS | WEIR_BATCH_FOREIGN_HEAP;
        weir_ahead_set(view->rows + (size_t)cnt * bytes, (size_t)cnt * bytes);
    } else {
        ysb_gen_fill(&self->gen, first, cnt, (uint8_t *)view->rows);
    }
    view->stride = bytes;
    view->time = view->rows + view->schema->fields[0].off;
    view->time_stride = bytes;
    view->row_cnt = cnt;
    view->cnt = cnt;
    view->intended_ns = gen_feed_intended_ns(&self->feed, first);
    gen_feed_advance(&self->feed, cnt);
    op->work_done = first + cnt;
    op->work_all = self->feed.event_cnt;
    return gen_feed_status(&self->feed, cnt);
}

static int
source_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct source_self *self = op->self;
    (void)id;
    gen_feed_snapshot(&self->feed, parts);
    return 0;
}

static int
source_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct source_self *self = op->self;
    return gen_feed_restore(&self->feed, op, parts, parts_cnt);
}

/* What is generated or lies in a file is there again. */
static bool
source_replays(const void *conf)
{
    (void)conf;
    return true;
}

static int
source_close(struct weir_operator *op, bool clean)
{
    struct source_self *self = op->self;
    (void)clean;
    gen_feed_fini(&self->feed);
    if (self->region != 0) {
        weir_region_table_remove(op->env->regions, self->region, self->map.bytes);
    }
    weir_io_unmap(&self->map);
    return 0;
}

static const struct weir_state_part state_parts[] = {GEN_FEED_PARTS};

static const struct weir_operator_type source_type = {
    .name = "ysb_source",
    .self_bytes = sizeof(struct source_self),
    .output_cnt = 1,
    .open = source_open,
    .poll = source_poll,
    .close = source_close,
    .snapshot = source_snapshot,
    .restore = source_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = source_replays,
    .lends_memory = true,
};

/* ---- views, with their campaign ---- */

#define VIEW(F) F(i64, campaign) F(time, at)
WEIR_SCHEMA(view, VIEW)

struct campaign_slot {
    uint64_t lo;
    uint64_t hi;
    uint64_t campaign;
    uint64_t zero; /* two slots a line */
};

struct look_up_conf {
    const struct campaign_slot *slots;
    uint64_t mask;
    int32_t view_type; /* what `type` is in a view */
};

static uint64_t
slot_of(uint64_t lo, uint64_t mask)
{
    return weir_hash_u64(lo) & mask;
}

static uint64_t
load(struct weir_lane lane, uint32_t row)
{
    uint64_t value;
    memcpy(&value, lane.ptr + (size_t)lane.stride * row, sizeof value);
    return value;
}

/* The views among rows [cursor, cursor + cnt) of the selection. One in three is, by chance: told
 * without a jump, which would be guessed wrong nearly as often. */
static uint32_t
find_views(const struct look_up_conf *conf, const struct weir_view *in, uint32_t cursor,
    uint32_t cnt, uint16_t *ret_sel)
{
    struct weir_lane type = weir_view_lane(in, in->schema->fields[3].off, 4);
    size_t stride = in->stride;
    int32_t view_type = conf->view_type;
    uint32_t n = 0;
    for (uint32_t i = cursor; i < cursor + cnt; i++) {
        uint32_t row = weir_view_row(in, i);
        int32_t is;
        memcpy(&is, type.ptr + stride * row, sizeof is);
        ret_sel[n] = (uint16_t)row;
        n += is == view_type;
    }
    return n;
}

/* Rows of out are columns: campaign, at. A view of an ad that nobody knows is dropped.
 *
 * The records of a mapped file that come next are asked for here, as many lines a view as leaves
 * less than one a view to who counts them. (zen4, 78 bytes: 8.1 ns an event asked for in
 * find_views, 6.2 here.) */
static int64_t
look_up_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct look_up_conf *conf = op->conf;
    const struct weir_field *field = in->schema->fields;
    const struct campaign_slot *slots = conf->slots;
    uint64_t mask = conf->mask;
    struct weir_lane at = weir_view_lane(in, field[0].off, 8);
    struct weir_lane lo = weir_view_lane(in, field[1].off, 8);
    struct weir_lane hi = weir_view_lane(in, field[2].off, 8);
    int64_t *to_campaign = WEIR_COLUMN(&out->view, struct view, campaign);
    int64_t *to_at = WEIR_COLUMN(&out->view, struct view, at);
    uint32_t cnt = weir_min_u32(in->cnt - cursor, out->row_cap);
    uint16_t *sel = out->sel_buf; /* free: rows are made, not passed */
    uint32_t view_cnt = find_views(conf, in, cursor, cnt, sel);
    uint32_t n = 0;
    (void)input;
    (void)now_ns;
    uint32_t lines = (uint32_t)(weir_ahead_lines() / (view_cnt + 1));
    const char *ahead = weir_ahead_take((size_t)lines * view_cnt);
    for (uint32_t i = 0; i < view_cnt; i++) {
        uint32_t row = sel[i];
        ahead = weir_ahead_ask(ahead, lines);
        uint64_t ad_lo = load(lo, row);
        uint64_t ad_hi = load(hi, row);
        const struct campaign_slot *slot = &slots[slot_of(ad_lo, mask)];
        while (WEIR_UNLIKELY(((slot->lo ^ ad_lo) | (slot->hi ^ ad_hi)) != 0) &&
               slot->campaign != SLOT_FREE) {
            slot = slot == &slots[mask] ? slots : slot + 1;
        }
        to_campaign[n] = (int64_t)slot->campaign;
        to_at[n] = (int64_t)load(at, row);
        n += slot->campaign != SLOT_FREE;
    }
    out->view.row_cnt = n;
    out->view.cnt = n;
    return cnt;
}

static const struct weir_operator_type look_up_type = {
    .name = "ysb_look_up",
    .input_cnt = 1,
    .output_cnt = 1,
    .columns = true,
    .process = look_up_process,
};

static const struct campaign_slot *
build_slots(struct weir_env *env, const struct ysb_gen *gen, uint64_t *ret_mask)
{
    uint64_t slot_cnt = weir_pow2_up(SLOTS_PER_AD * gen->opts.ad_cnt);
    struct campaign_slot *slots = weir_env_alloc(env, slot_cnt * sizeof *slots);
    for (uint64_t i = 0; i < slot_cnt; i++) {
        slots[i].campaign = SLOT_FREE;
    }
    for (uint64_t i = 0; i < gen->opts.ad_cnt; i++) {
        struct ysb_ad ad;
        ysb_gen_ad(gen, i, &ad);
        uint64_t s = slot_of(ad.lo, slot_cnt - 1);
        while (slots[s].campaign != SLOT_FREE) {
            s = (s + 1) & (slot_cnt - 1);
        }
        slots[s].lo = ad.lo;
        slots[s].hi = gen->opts.record_bytes == 32 ? ad.lo : ad.hi;
        slots[s].campaign = ad.campaign;
    }
    *ret_mask = slot_cnt - 1;
    return slots;
}

/* ---- the job ---- */

#define CAMPAIGN_COUNT(F) F(time, window_time) F(ts, window_start) F(i64, campaign) F(i64, count)
WEIR_SCHEMA(campaign_count, CAMPAIGN_COUNT)
#define ANSWER(F) F(ts, window_start) F(i64, campaign) F(i64, count)
WEIR_SCHEMA(answer, ANSWER)

WEIR_MAP(to_answer, campaign_count, answer)
{
    out->window_start = in->window_start;
    out->campaign = in->campaign;
    out->count = in->count;
}

const char weir_job_examples[] =
    "weir run ysb -p events=gen:1000000,seed=1,record=78 -p output=ysb.csv\n"
    "weir run ysb -p events=gen:100000,seed=1 -p rate=100000 --report -\n";

int
weir_job_main(struct weir_env *env)
{
    struct source_conf source = {.rate = weir_param_number(env, "rate")};
    struct look_up_conf look_up = {0};
    struct ysb_gen gen;
    const char *path = weir_param(env, "records");
    ysb_gen_opts_default(&source.gen);
    int rc = ysb_gen_parse(weir_param(env, "events"), &source.gen);
    rc = rc != 0 ? rc : ysb_gen_init(&gen, &source.gen);
    if (rc == 0 && gen.opts.ad_cnt > AD_CNT_MAX) {
        rc = weir_err_push(WEIR_ECONFIG, "ads: the job looks up at most %llu, not %llu",
            (unsigned long long)AD_CNT_MAX, (unsigned long long)gen.opts.ad_cnt);
    }
    if (rc != 0) {
        weir_env_fail(env, rc, "parameter events");
        return weir_env_check(env);
    }
    source.path = path[0] != '\0' ? path : NULL;
    look_up.slots = build_slots(env, &gen, &look_up.mask);
    look_up.view_type = source.gen.record_bytes == 78 ? VIEW_TEXT : YSB_VIEW;
    const struct weir_operator_conf made = {.name = "look_up",
        .type = &look_up_type,
        .conf = &look_up,
        .conf_bytes = sizeof look_up,
        .out_schema = {view_schema()}};
    const struct weir_window_conf window = {
        .span = WEIR_TUMBLE(10 * WEIR_S), .aggregate = weir_aggregate_count()};
    struct weir_stream *s = weir_source(
        env, "events", schema_of(source.gen.record_bytes), &source_type, &source, sizeof source);
    s = weir_operator(&s, 1, &made);
    s = weir_watermarks(s, "watermark", weir_param_ms(env, "lag"));
    s = weir_key_by(s, WEIR_KEY(view, campaign));
    s = weir_window(s, "count", &window, campaign_count_schema());
    s = weir_map(s, "answer", &to_answer_op);
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
