/* SPDX-License-Identifier: Apache-2.0 */
/* keyed: a job whose state is as large as one likes: counts of `keys` numbers, each counted once
 * and then at random. Of one key in `told` each count goes out as a row.
 *
 *     weir run keyed.so -p keys=10000000 -p rate=1000000 -p output=FILE
 *     --set checkpoints.dir=DIR --set checkpoints.interval=1s
 */
#include "apps/gen/feed.h"
#include "base/rng.h"
#include "dataplane/state.h"
#include "sched/weir.h"

#define ITEM(F) F(time, at) F(i64, key)
WEIR_SCHEMA(item, ITEM)
#define COUNTED(F) F(i64, key) F(i64, count)
WEIR_SCHEMA(counted, COUNTED)

const struct weir_opt weir_job_params[] = {
    {"keys", WEIR_OPT_INT, WEIR_OPT_ANY, "keys", 1, INT64_C(1) << 40, "1000000", "",
        "numbers that are counted"},
    {"events", WEIR_OPT_INT, WEIR_OPT_ANY, "events", 1, INT64_C(1) << 60, "10000000", "",
        "events in all; the first `keys` of them count each number once"},
    {"rate", WEIR_OPT_INT, WEIR_OPT_ANY, "events a second", 0, 1000000000, "0", "",
        "events a second; 0: as fast as it goes"},
    {"told", WEIR_OPT_INT, WEIR_OPT_ANY, "keys", 1, INT64_C(1) << 40, "1024", "",
        "of one key in so many each count goes out"},
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "discard", "",
        "the table: a file, a directory ending in /, - for stdout, or discard for a checksum"},
    {.name = NULL},
};

/* ---- the source ---- */

struct keys_conf {
    uint64_t key_cnt;
    uint64_t event_cnt;
    int64_t rate;
};

static int
keys_open(struct weir_operator *op)
{
    const struct keys_conf *conf = op->conf;
    gen_feed_init(op->self, op, conf->event_cnt, conf->rate);
    return 0;
}

static int
keys_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct gen_feed *feed = op->self;
    const struct keys_conf *conf = op->conf;
    uint64_t first;
    uint32_t cnt = gen_feed_next(feed, out->row_cap, now_ns, &first);
    struct item *rows = (struct item *)(void *)out->view.rows;
    if (cnt == 0) {
        return gen_feed_status(feed, 0);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t n = first + i;
        rows[i].at = (int64_t)n;
        rows[i].key = (int64_t)(n < conf->key_cnt ? n : weir_rng_mix(n) % conf->key_cnt);
    }
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    weir_view_set_bounds(&out->view, rows[0].at, rows[cnt - 1].at);
    out->view.intended_ns = gen_feed_intended_ns(feed, first);
    gen_feed_advance(feed, cnt);
    op->work_done = first + cnt;
    op->work_all = conf->event_cnt;
    return gen_feed_status(feed, cnt);
}

static int
keys_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    gen_feed_fini(op->self);
    return 0;
}

static int
keys_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    gen_feed_snapshot(op->self, parts);
    return 0;
}

static int
keys_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    return gen_feed_restore(op->self, op, parts, parts_cnt);
}

static bool
keys_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_state_part keys_parts[] = {GEN_FEED_PARTS};

static const struct weir_operator_type keys_type = {
    .name = "keys",
    .self_bytes = sizeof(struct gen_feed),
    .output_cnt = 1,
    .open = keys_open,
    .poll = keys_poll,
    .close = keys_close,
    .snapshot = keys_snapshot,
    .restore = keys_restore,
    .parts = keys_parts,
    .part_cnt = WEIR_ARRAY_CNT(keys_parts),
    .replays = keys_replays,
};

/* ---- the job ---- */

static uint64_t told;

WEIR_FILTER(is_told, counted)
{
    return (uint64_t)in->key % told == 0;
}

int
weir_job_main(struct weir_env *env)
{
    const struct keys_conf keys = {.key_cnt = (uint64_t)weir_param_number(env, "keys"),
        .event_cnt = (uint64_t)weir_param_number(env, "events"),
        .rate = weir_param_number(env, "rate")};
    const struct weir_reduce_conf count = {.aggregate = weir_aggregate_count()};
    told = (uint64_t)weir_param_number(env, "told");
    struct weir_stream *s = weir_source(env, "keys", item_schema(), &keys_type, &keys, sizeof keys);
    s = weir_key_by(s, WEIR_KEY(item, key));
    s = weir_reduce(s, "counts", &count, counted_schema());
    s = weir_filter(s, "told", &is_told_op);
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
