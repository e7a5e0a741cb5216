/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/partition.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "dataplane/barrier.h"
#include "dataplane/handover.h"
#include "dataplane/keep.h"
#include "dataplane/parts.h"

#define CHANNEL_CNT_MAX 4096
/* As Flink's: how often the size of buffers is looked at, of how many such times it is the average,
 * and by how much it has to change. */
#define DEBLOAT_PERIOD_NS (200 * WEIR_MS)
#define DEBLOAT_SAMPLE_CNT 20
#define DEBLOAT_THRESHOLD_PERCENT 25
/* Below this descriptors take more than rows. */
#define DEBLOAT_BYTES_MIN 256

struct self {
    struct weir_rng rng;
    struct weir_rng marker_rng; /* of its own: markers change nothing of where rows go */
    uint32_t next; /* rebalance, rescale: the channel of the next row */
    const uint16_t *owner; /* keyed: the channel of each key group */
    uint32_t event_at; /* progress of an event over the channels */
    uint32_t row_at; /* broadcast: channels that have the current rows */
    bool ended; /* the end was sent to all: nothing follows it */
    bool split; /* targets[] below is of the batch at hand */
    uint32_t split_at; /* progress over the channels of a split batch */
    uint32_t split_cnt; /* rows of the batch that were split */
    int64_t flush_ns; /* a row has waited long enough; INT64_MAX: none waits */
    int64_t debloat_ns; /* the next look at the size of buffers; INT64_MAX: never */
    int64_t looked_ns; /* the last one */
    uint64_t looked_bytes; /* what had been sent then */
    struct weir_debloat debloat;
    uint16_t rows[WEIR_BATCH_ROW_CNT_MAX]; /* physical rows, by channel */
    uint16_t target[WEIR_BATCH_ROW_CNT_MAX]; /* channel by selected row */
    uint64_t hash[WEIR_BATCH_ROW_CNT_MAX];
    uint32_t begin[CHANNEL_CNT_MAX + 1]; /* where each channel's rows begin in rows[] */
    uint32_t done[CHANNEL_CNT_MAX]; /* how many of them were taken */
};

static const char *const partitioner_names[WEIR_PARTITION_CNT] = {
    "forward", "rebalance", "rescale", "shuffle", "broadcast", "global", "keyed", "custom"};

const char *
weir_partitioner_name(enum weir_partitioner partitioner)
{
    return partitioner < WEIR_PARTITION_CNT ? partitioner_names[partitioner] : "unknown";
}

static int
partition_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    if (conf->channel_cnt == 0 || conf->channel_cnt > CHANNEL_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "a partition has 1 to %d channels, not %u",
            CHANNEL_CNT_MAX, conf->channel_cnt);
    }
    weir_rng_init(&self->rng, op->env->seed);
    weir_rng_init(&self->marker_rng, op->env->seed);
    self->next = (uint32_t)weir_rng_below(&self->rng, conf->channel_cnt);
    self->owner = conf->handover != NULL ? weir_handover_begin(conf->handover, conf->producer)
                                         : conf->keygroup_owner;
    self->flush_ns = INT64_MAX;
    self->debloat_ns = INT64_MAX;
    if (conf->debloat_target_ns == 0) {
        return 0;
    }
    self->debloat_ns = INT64_MIN; /* the first rows begin the first period */
    const struct weir_debloat_conf debloat = {.target_ns = conf->debloat_target_ns,
        .size_min = DEBLOAT_BYTES_MIN,
        .size_max = weir_buf_bytes(conf->channels[0].pool->arena),
        .sample_cnt = DEBLOAT_SAMPLE_CNT,
        .threshold_percent = DEBLOAT_THRESHOLD_PERCENT};
    return weir_debloat_init(&self->debloat, &debloat);
}

/* ---- time ---- */

/* What was sent since the last look is what consumers have taken, while they are what it waits
 * for; while they are not, few buffers are in use, and those may be large. */
static void
look_at_size(struct self *self, const struct weir_partition_conf *conf, int64_t now_ns)
{
    uint64_t bytes = 0;
    uint32_t in_use = 0;
    uint32_t size;
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        bytes += conf->channels[c].buf_bytes;
        in_use += weir_channel_in_use(&conf->channels[c]);
    }
    int64_t period_ns = now_ns - self->looked_ns;
    uint64_t bytes_per_s = (uint64_t)((double)(bytes - self->looked_bytes) * (double)WEIR_SEC_NS /
                                      (double)weir_max_i64(period_ns, 1));
    bool is_first = self->debloat_ns == INT64_MIN;
    self->debloat_ns = weir_add_sat(now_ns, DEBLOAT_PERIOD_NS);
    self->looked_ns = now_ns;
    self->looked_bytes = bytes;
    if (is_first || weir_debloat_sample(&self->debloat, bytes_per_s, in_use, &size) == 0) {
        return;
    }
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        (void)!weir_channel_set_limit(&conf->channels[c], size); /* never 0 */
    }
}

static bool
partition_keeps_time(const struct weir_operator *op)
{
    return ((const struct weir_partition_conf *)op->conf)->flush_after_ns > 0;
}

static int64_t
partition_due_ns(const struct weir_operator *op)
{
    return ((const struct self *)op->self)->flush_ns;
}

/* ---- the channel of each row ---- */

static void
choose_keyed(struct self *self, const struct weir_partition_conf *conf, const struct weir_view *in,
    uint32_t from, uint32_t cnt)
{
    weir_key_hash(&conf->key, in, from, cnt, self->hash);
    for (uint32_t i = 0; i < cnt; i++) {
        self->target[i] = self->owner[weir_hash_key_group(self->hash[i], conf->max_parallelism)];
    }
}

static int
choose(struct self *self, const struct weir_partition_conf *conf, const struct weir_view *in,
    uint32_t from, uint32_t cnt)
{
    switch (conf->partitioner) {
    case WEIR_PARTITION_KEYED:
        choose_keyed(self, conf, in, from, cnt);
        return 0;
    case WEIR_PARTITION_REBALANCE:
    case WEIR_PARTITION_RESCALE:
        for (uint32_t i = 0; i < cnt; i++) {
            self->target[i] = (uint16_t)self->next;
            self->next = self->next + 1 == conf->channel_cnt ? 0 : self->next + 1;
        }
        return 0;
    case WEIR_PARTITION_SHUFFLE:
        for (uint32_t i = 0; i < cnt; i++) {
            self->target[i] = (uint16_t)weir_rng_below(&self->rng, conf->channel_cnt);
        }
        return 0;
    default:
        conf->custom_fn(in, from, cnt, conf->channel_cnt, self->target);
        for (uint32_t i = 0; i < cnt; i++) {
            if (self->target[i] >= conf->channel_cnt) {
                return weir_err_push(WEIR_EFAILED, "the custom partitioner chose channel %u of %u",
                    self->target[i], conf->channel_cnt);
            }
        }
        return 0;
    }
}

/* Sort the rows of the batch by channel, in order within each: counts, then places. */
static int
split(struct self *self, const struct weir_partition_conf *conf, const struct weir_view *in,
    uint32_t from)
{
    uint32_t cnt = in->cnt - from;
    int rc = choose(self, conf, in, from, cnt);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t c = 0; c <= conf->channel_cnt; c++) {
        self->begin[c] = 0;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        self->begin[self->target[i] + 1]++;
    }
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        self->begin[c + 1] += self->begin[c];
        self->done[c] = self->begin[c];
    }
    for (uint32_t i = 0; i < cnt; i++) {
        self->rows[self->done[self->target[i]]++] = (uint16_t)weir_view_row(in, from + i);
    }
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        self->done[c] = 0;
    }
    self->split = true;
    self->split_at = 0;
    self->split_cnt = cnt;
    return 0;
}

/* ---- rows into channels ---- */

/* Rows in memory that outlives the batch are named, not copied, where both ends see the same. */
static bool
passes(const struct weir_view *in, const struct weir_channel_out *out)
{
    return (in->flags & WEIR_BATCH_FOREIGN_ROWS) != 0 && in->stride != 0 && in->kind == NULL &&
           !out->format->has_time && in->region != 0;
}

static int64_t
try_rows(struct weir_operator *op, struct weir_channel_out *out, const struct weir_view *in,
    const uint16_t *rows, uint32_t cnt)
{
    if (passes(in, out)) {
        return weir_channel_pass(out, op->env->regions, in, rows, cnt);
    }
    return weir_channel_append(out, in, rows, cnt);
}

static void
tell(const struct weir_operator *op, uint32_t channel)
{
    const struct weir_partition_conf *conf = op->conf;
    struct weir_channel_out *out = &conf->channels[channel];
    if (out->dirty) {
        out->dirty = false;
        conf->ring_fn(conf->ring_arg, channel);
    }
}

/* What had no room before goes first. As weir_keep_send. */
static int
send_kept(const struct weir_operator *op, uint32_t channel)
{
    const struct weir_partition_conf *conf = op->conf;
    int rc = weir_keep_send(&conf->channels[channel]);
    tell(op, channel);
    return rc;
}

/* A channel takes its own buffers back when it wants another. One that gets no rows for a while
 * would keep what its consumer has long released, and the channels share one pool: before this one
 * is called busy, all others are asked. */
static int64_t
send_rows(struct weir_operator *op, uint32_t channel, const struct weir_view *in,
    const uint16_t *rows, uint32_t cnt)
{
    const struct weir_partition_conf *conf = op->conf;
    struct weir_channel_out *out = &conf->channels[channel];
    if (WEIR_UNLIKELY(weir_keep_has(out))) {
        int rc = send_kept(op, channel);
        if (rc != 1) {
            return rc == 0 && op->keeps && weir_keep_rows(out, in, rows, cnt) == 1 ? (int64_t)cnt
                                                                                   : rc;
        }
    }
    int64_t taken = try_rows(op, out, in, rows, cnt);
    if (taken >= 0 && taken < cnt && conf->channel_cnt > 1) {
        for (uint32_t c = 0; c < conf->channel_cnt; c++) {
            weir_channel_reclaim(&conf->channels[c]);
        }
        int64_t more = try_rows(op, out, in, rows + taken, cnt - (uint32_t)taken);
        taken = more < 0 ? more : taken + more;
    }
    tell(op, channel);
    if (taken >= 0 && taken < cnt && op->keeps && out->keep != NULL &&
        weir_keep_rows(out, in, rows + taken, cnt - (uint32_t)taken) == 1) {
        taken = cnt;
    }
    return taken;
}

/* Forward, global and broadcast: the same rows to one channel or to all. */
static int64_t
process_whole(struct weir_operator *op, const struct weir_view *in, uint32_t cursor)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    uint32_t cnt = in->cnt - cursor;
    const uint16_t *rows = in->sel != NULL ? in->sel + cursor : self->rows;
    for (uint32_t i = 0; in->sel == NULL && i < cnt; i++) {
        self->rows[i] = (uint16_t)(cursor + i);
    }
    if (conf->partitioner != WEIR_PARTITION_BROADCAST) {
        return send_rows(op, 0, in, rows, cnt);
    }
    /* Each channel gets all rows of the batch before the batch is called consumed. */
    while (self->row_at < conf->channel_cnt) {
        uint32_t done = self->done[self->row_at];
        int64_t taken = send_rows(op, self->row_at, in, rows + done, cnt - done);
        if (taken < 0) {
            return taken;
        }
        self->done[self->row_at] = done + (uint32_t)taken;
        if (self->done[self->row_at] < cnt) {
            return 0;
        }
        self->done[self->row_at] = 0;
        self->row_at++;
    }
    self->row_at = 0;
    return cnt;
}

static int64_t
process_split(struct weir_operator *op, const struct weir_view *in, uint32_t cursor)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    if (!self->split) {
        int rc = split(self, conf, in, cursor);
        if (rc != 0) {
            return rc;
        }
    }
    for (; self->split_at < conf->channel_cnt; self->split_at++) {
        uint32_t c = self->split_at;
        uint32_t from = self->begin[c] + self->done[c];
        uint32_t cnt = self->begin[c + 1] - from;
        int64_t taken = cnt > 0 ? send_rows(op, c, in, self->rows + from, cnt) : 0;
        if (taken < 0) {
            return taken;
        }
        self->done[c] += (uint32_t)taken;
        if (taken < cnt) {
            return 0;
        }
    }
    self->split = false;
    return self->split_cnt;
}

/* Rows of the batch at hand have gone already. */
static bool
has_begun(const struct self *self, const struct weir_partition_conf *conf, uint32_t cursor)
{
    return self->split || cursor > 0 ||
           (conf->partitioner == WEIR_PARTITION_BROADCAST &&
               (self->row_at > 0 || self->done[0] > 0));
}

/* What finished the last batch beside the pool's own buffers comes back before the next one begins.
 * Where no buffer of its own is free, one that is open still may have room. */
static bool
may_begin(const struct weir_partition_conf *conf)
{
    struct weir_buf_pool *pool = conf->channels[0].pool;
    if (WEIR_LIKELY(weir_buf_pool_is_available(pool))) {
        return true;
    }
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        weir_channel_reclaim(&conf->channels[c]);
    }
    return weir_buf_pool_overdraft_cnt(pool) == 0;
}

static int64_t
partition_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct weir_partition_conf *conf = op->conf;
    struct self *self = op->self;
    (void)input;
    (void)out;
    if (WEIR_UNLIKELY(now_ns >= self->debloat_ns)) {
        look_at_size(self, conf, now_ns);
    }
    if (conf->flush_after_ns > 0 && self->flush_ns == INT64_MAX) {
        self->flush_ns = weir_add_sat(now_ns, conf->flush_after_ns);
    }
    if (!op->keeps && !has_begun(self, conf, cursor) && !may_begin(conf)) {
        return 0;
    }
    bool whole = conf->partitioner == WEIR_PARTITION_FORWARD ||
                 conf->partitioner == WEIR_PARTITION_GLOBAL ||
                 conf->partitioner == WEIR_PARTITION_BROADCAST;
    if (whole || (conf->channel_cnt == 1 && conf->partitioner != WEIR_PARTITION_CUSTOM)) {
        return process_whole(op, in, cursor);
    }
    return process_split(op, in, cursor);
}

/* ---- events and flushing ---- */

/* 1, 0: busy, or an error. The end is never kept: what a barrier would have overtaken is all there,
 * then, and a later barrier would not come. */
static int
put_event(struct weir_operator *op, uint32_t channel, uint32_t kind, int64_t value)
{
    const struct weir_partition_conf *conf = op->conf;
    struct weir_channel_out *out = &conf->channels[channel];
    int rc = weir_keep_has(out) ? send_kept(op, channel) : 1;
    rc = rc == 1 ? weir_channel_event(out, kind, value) : rc;
    if (rc == 0 && op->keeps && out->keep != NULL && kind != WEIR_SLOT_END) {
        rc = weir_keep_event(out, kind, value);
    }
    return rc;
}

static int
send_event(struct weir_operator *op, uint32_t kind, int64_t value)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    for (; self->event_at < conf->channel_cnt; self->event_at++) {
        int rc = put_event(op, self->event_at, kind, value);
        if (rc != 1) {
            return rc == 0 ? (int)WEIR_WAIT : rc;
        }
        tell(op, self->event_at);
    }
    self->event_at = 0;
    return WEIR_DONE;
}

static int
partition_watermark(
    struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    return send_event(op, WEIR_SLOT_WATERMARK, watermark);
}

static int
partition_status(struct weir_operator *op, bool idle)
{
    return send_event(op, idle ? WEIR_SLOT_IDLE : WEIR_SLOT_ACTIVE, 0);
}

static int
partition_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    struct self *self = op->self;
    int rc = send_event(op, WEIR_SLOT_END, 0);
    self->ended = rc == WEIR_DONE;
    return rc;
}

/* Behind all rows. 1, 0: busy, or an error. */
static int
put_mark(struct weir_operator *op, uint32_t channel, uint32_t kind, const struct weir_mark *mark)
{
    const struct weir_partition_conf *conf = op->conf;
    struct weir_channel_out *out = &conf->channels[channel];
    int rc = weir_keep_has(out) ? send_kept(op, channel) : 1;
    rc = rc == 1 ? weir_channel_mark(out, kind, mark) : rc;
    if (rc == 0 && op->keeps && out->keep != NULL && kind == WEIR_SLOT_CANCEL) {
        rc = weir_keep_event(out, kind, (int64_t)mark->id);
    }
    return rc;
}

/* A barrier before what the channel has no room for. As put_mark. */
static int
urge(struct weir_operator *op, uint32_t channel, const struct weir_mark *mark)
{
    const struct weir_partition_conf *conf = op->conf;
    struct weir_channel_out *out = &conf->channels[channel];
    int rc = weir_keep_send(out);
    rc = rc == 1 ? weir_channel_flush(out) : rc;
    if (rc == 0 && weir_keep_open_rows(out) == 1) {
        rc = 1;
    }
    return rc == 1 ? weir_channel_urge(out, mark) : rc;
}

/* A latency marker goes to one channel. */
static int
send_marker(struct weir_operator *op, const struct weir_mark *mark)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    if (self->ended) {
        return WEIR_DONE;
    }
    uint32_t c = (uint32_t)weir_rng_below(&self->marker_rng, conf->channel_cnt);
    int rc = put_mark(op, c, WEIR_SLOT_LATENCY, mark);
    if (rc == 1) {
        tell(op, c);
    }
    return rc == 1 ? WEIR_DONE : rc == 0 ? (int)WEIR_WAIT : rc;
}

/* The end of a channel stands for all barriers that would have followed it. */
static int
partition_send(struct weir_operator *op, uint32_t slot_kind, const struct weir_mark *mark)
{
    struct self *self = op->self;
    const struct weir_partition_conf *conf = op->conf;
    if (slot_kind == WEIR_SLOT_LATENCY) {
        return send_marker(op, mark);
    }
    for (; self->event_at < conf->channel_cnt && !self->ended; self->event_at++) {
        bool overtakes = slot_kind == WEIR_SLOT_BARRIER && mark->is_urgent &&
                         conf->channels[self->event_at].keep != NULL;
        int rc = overtakes ? urge(op, self->event_at, mark)
                           : put_mark(op, self->event_at, slot_kind, mark);
        if (rc != 1) {
            return rc == 0 ? (int)WEIR_WAIT : rc;
        }
        tell(op, self->event_at);
    }
    self->event_at = 0;
    if (slot_kind == WEIR_SLOT_BARRIER && mark->kind == WEIR_MARK_MOVE && conf->handover != NULL) {
        WEIR_DCHECK(!self->split, "rows are dealt out across a barrier");
        weir_handover_route(conf->handover, conf->producer, mark->id);
    }
    return WEIR_DONE;
}

/* The ledger's side of the producer: what went into each channel before the barrier. */
static int
partition_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct weir_partition_conf *conf = op->conf;
    (void)id;
    weir_parts_begin(parts, WEIR_LEDGER_PART_OUT, WEIR_LEDGER_PART_VERSION);
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        const struct weir_channel_out *out = &conf->channels[c];
        const struct weir_ledger_count entry = {
            .channel = out->id, .rows = out->rows, .sum = out->sum};
        weir_parts_put(parts, &entry, sizeof entry);
    }
    weir_parts_end(parts);
    return 0;
}

static int
partition_flush(struct weir_operator *op)
{
    const struct weir_partition_conf *conf = op->conf;
    int rc = WEIR_DONE;
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        struct weir_channel_out *out = &conf->channels[c];
        int sent = weir_keep_has(out) ? send_kept(op, c) : 1;
        if (sent < 0) {
            return sent;
        }
        if (sent == 0 || weir_channel_flush(out) == 0) {
            rc = WEIR_WAIT;
        }
        tell(op, c);
    }
    if (rc == WEIR_DONE) {
        ((struct self *)op->self)->flush_ns = INT64_MAX;
    }
    return rc;
}

static int
partition_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    return partition_flush(op);
}

static bool
partition_kept(struct weir_operator *op, struct weir_flight_writer *writer)
{
    const struct weir_partition_conf *conf = op->conf;
    bool any = false;
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        any |= weir_keep_has(&conf->channels[c]);
        if (writer != NULL) {
            weir_keep_write(&conf->channels[c], writer);
        }
    }
    return any;
}

/* A producer that did not finish tells its consumers, as far as there is room: they are canceled,
 * and the cause stays here. */
static int
partition_close(struct weir_operator *op, bool clean)
{
    const struct weir_partition_conf *conf = op->conf;
    for (uint32_t c = 0; !clean && c < conf->channel_cnt; c++) {
        if (weir_channel_event(&conf->channels[c], WEIR_SLOT_FAILED, 0) == 1) {
            conf->ring_fn(conf->ring_arg, c);
        }
    }
    return 0;
}

const struct weir_operator_type weir_partition_type = {
    .name = "partition",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .open = partition_open,
    .process = partition_process,
    .watermark = partition_watermark,
    .finish = partition_finish,
    .status = partition_status,
    .flush = partition_flush,
    .send = partition_send,
    .snapshot = partition_snapshot,
    .close = partition_close,
    .kept = partition_kept,
    .due_ns = partition_due_ns,
    .timer = partition_timer,
    .keeps_time = partition_keeps_time,
};
