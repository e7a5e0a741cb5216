/* SPDX-License-Identifier: Apache-2.0 */
/* jet: a job for bench/jet.py: q5 in the configuration of Hazelcast Jet's latency benchmark.
 *
 *     weir run jet.so -p slide=10 -p rate=1000000 -p warm=5 -p seconds=20 -p result=FILE
 *
 * Bids of four longs (number, time, number modulo 10,000, 0) come on a fixed schedule, event n at
 * start + n / rate, also where the job is late. They are counted by key in windows of 10 s. A
 * window's result is late by the wall time from its end, by the schedule, until its rows are at
 * the sink: `first` of its rows and `last`. One JSON object with percentiles goes into the file;
 * windows that end in the first `warm` seconds do not count.
 */
#include <stdio.h>
#include <time.h>

#include "apps/gen/feed.h"
#include "base/hist.h"
#include "dataplane/operators/watermark.h"
#include "dataplane/state.h"
#include "sched/weir.h"

#define KEY_CNT 10000
#define WINDOW_MS 10000

#define JET_BID(F) F(i64, number) F(time, at) F(i64, key) F(i64, nothing)
WEIR_SCHEMA(jet_bid, JET_BID)
#define JET_COUNT(F) F(i64, key) F(i64, count) F(ts, window_end)
WEIR_SCHEMA(jet_count, JET_COUNT)

const struct weir_opt weir_job_params[] = {
    {"slide", WEIR_OPT_INT, WEIR_OPT_ANY, "ms", 1, WINDOW_MS, "10", "", "between two windows"},
    {"rate", WEIR_OPT_INT, WEIR_OPT_ANY, "events a second", 1000, 1000000000, "1000000", "",
        "events a second"},
    {"warm", WEIR_OPT_INT, WEIR_OPT_ANY, "s", 0, 3600, "5", "", "that do not count"},
    {"seconds", WEIR_OPT_INT, WEIR_OPT_ANY, "s", 1, 3600, "20", "", "that count"},
    {"result", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "jet.json", "", "file for percentiles"},
    {.name = NULL},
};

/* Both ends look at this clock, for the schedule and for the results. */
static int64_t
clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

/* When event time 0 was; source and sink are in one stage. */
static int64_t start_ns;

/* ---- the source ---- */

struct bids_conf {
    uint64_t event_cnt;
    int64_t rate;
};

static int
bids_open(struct weir_operator *op)
{
    const struct bids_conf *conf = op->conf;
    gen_feed_init(op->self, op, conf->event_cnt, conf->rate);
    return 0;
}

static int
bids_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct gen_feed *feed = op->self;
    const struct bids_conf *conf = op->conf;
    struct jet_bid *rows = (struct jet_bid *)(void *)out->view.rows;
    uint64_t first;
    (void)now_ns;
    uint32_t cnt = gen_feed_next(feed, out->row_cap, clock_ns(), &first);
    if (cnt == 0) {
        return gen_feed_status(feed, 0);
    }
    start_ns = feed->start_ns;
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t n = first + i;
        rows[i] = (struct jet_bid){.number = (int64_t)n,
            .at = (int64_t)(n * 1000 / (uint64_t)conf->rate),
            .key = (int64_t)(n % KEY_CNT)};
    }
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    weir_view_set_bounds(&out->view, rows[0].at, rows[cnt - 1].at);
    gen_feed_advance(feed, cnt);
    return gen_feed_status(feed, cnt);
}

static int
bids_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    gen_feed_fini(op->self);
    return 0;
}

static int
bids_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    gen_feed_snapshot(op->self, parts);
    return 0;
}

static int
bids_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    return gen_feed_restore(op->self, op, parts, parts_cnt);
}

static bool
bids_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_state_part bids_parts[] = {GEN_FEED_PARTS};

static const struct weir_operator_type bids_type = {
    .name = "bids",
    .self_bytes = sizeof(struct gen_feed),
    .output_cnt = 1,
    .open = bids_open,
    .poll = bids_poll,
    .close = bids_close,
    .snapshot = bids_snapshot,
    .restore = bids_restore,
    .parts = bids_parts,
    .part_cnt = WEIR_ARRAY_CNT(bids_parts),
    .replays = bids_replays,
};

/* ---- the sink ---- */

struct late_conf {
    const char *result;
    int64_t warm_ms;
    int64_t end_ms;
};

struct late {
    int64_t window_end; /* of the rows that came last; 0: none yet */
    int64_t last_ns;
    uint64_t row_cnt;
    uint64_t window_cnt;
    struct weir_hist first;
    struct weir_hist last;
};

static int
late_open(struct weir_operator *op)
{
    struct late *self = op->self;
    weir_hist_init(&self->first);
    weir_hist_init(&self->last);
    return 0;
}

static bool
counts(const struct late_conf *conf, int64_t window_end)
{
    return window_end > conf->warm_ms && window_end <= conf->end_ms;
}

static void
end_window(struct late *self, const struct late_conf *conf)
{
    if (counts(conf, self->window_end)) {
        weir_hist_record_since(
            &self->last, start_ns + self->window_end * WEIR_MS, self->last_ns, 1);
        self->window_cnt++;
    }
}

static int64_t
late_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct late *self = op->self;
    const struct late_conf *conf = op->conf;
    struct weir_lane lane = weir_view_lane(in, offsetof(struct jet_count, window_end), 8);
    int64_t here_ns = clock_ns();
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        int64_t end;
        memcpy(&end, lane.ptr + (size_t)lane.stride * weir_view_row(in, i), sizeof end);
        if (end != self->window_end) {
            end_window(self, conf);
            self->window_end = end;
            if (counts(conf, end)) {
                weir_hist_record_since(&self->first, start_ns + end * WEIR_MS, here_ns, 1);
            }
        }
    }
    self->last_ns = clock_ns();
    self->row_cnt += in->cnt - cursor;
    return in->cnt - cursor;
}

static void
print_hist(FILE *file, const char *name, const struct weir_hist *hist)
{
    (void)fprintf(file,
        "\"%s_ns\":{\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"p9999\":%llu,"
        "\"max\":%llu,\"count\":%llu},",
        name, (unsigned long long)weir_hist_ns_at(hist, 0.5),
        (unsigned long long)weir_hist_ns_at(hist, 0.9),
        (unsigned long long)weir_hist_ns_at(hist, 0.99),
        (unsigned long long)weir_hist_ns_at(hist, 0.999),
        (unsigned long long)weir_hist_ns_at(hist, 0.9999), (unsigned long long)hist->ns_max,
        (unsigned long long)hist->cnt);
}

static int
late_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct late *self = op->self;
    const struct late_conf *conf = op->conf;
    (void)out;
    (void)now_ns;
    end_window(self, conf);
    FILE *file = fopen(conf->result, "we");
    if (file == NULL) {
        return weir_err_push(WEIR_EIO, "%s cannot be written", conf->result);
    }
    (void)fputc('{', file);
    print_hist(file, "first", &self->first);
    print_hist(file, "job", &self->last);
    (void)fprintf(file, "\"windows\":%llu,\"rows\":%llu}\n", (unsigned long long)self->window_cnt,
        (unsigned long long)self->row_cnt);
    return fclose(file) == 0 ? WEIR_DONE : weir_err_push(WEIR_EIO, "%s", conf->result);
}

static const struct weir_operator_type late_type = {
    .name = "late",
    .self_bytes = sizeof(struct late),
    .input_cnt = 1,
    .open = late_open,
    .process = late_process,
    .finish = late_finish,
};

/* ---- the job ---- */

int
weir_job_main(struct weir_env *env)
{
    const struct weir_window_conf count = {
        .span = WEIR_SLIDE(WINDOW_MS, weir_param_number(env, "slide")),
        .aggregate = weir_aggregate_count()};
    int64_t warm = weir_param_number(env, "warm");
    int64_t seconds = warm + weir_param_number(env, "seconds");
    const struct bids_conf bids = {.rate = weir_param_number(env, "rate"),
        .event_cnt = (uint64_t)(weir_param_number(env, "rate") * seconds)};
    const struct late_conf late = {.result = weir_param(env, "result"),
        .warm_ms = 1000 * warm,
        .end_ms = 1000 * seconds - weir_param_number(env, "slide")};
    struct weir_stream *s =
        weir_source(env, "bids", jet_bid_schema(), &bids_type, &bids, sizeof bids);
    s = weir_watermarks(s, "time", WEIR_WATERMARK_RISING_LAG_MS);
    s = weir_window(weir_key_by(s, WEIR_KEY(jet_bid, key)), "count", &count, jet_count_schema());
    (void)weir_sink(s, "late", &late_type, &late, sizeof late);
    return weir_env_check(env);
}
