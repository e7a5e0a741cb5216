/* SPDX-License-Identifier: Apache-2.0 */
/* Two sources of Nexmark rows.
 *
 * The generator fills rows into its output; the log hands on rows of the mapped file, uncopied.
 * Both look at every event once, which for a log is the wait for memory: times, watermarks and the
 * choice of wanted events cost next to nothing there.
 *
 * Both deal blocks of events to their subtasks in turn, so that all advance through event time
 * together. A rate gives event n its intended time, start + n / rate: it is emitted no earlier, and
 * its latency counts from there whenever it is emitted.
 */
#include "apps/nexmark/source.h"

#include <errno.h>
#include <stdio.h>

#include "apps/gen/feed.h"
#include "apps/nexmark/decode.h"
#include "base/check.h"
#include "base/region.h"
#include "dataplane/operators/watermark.h"
#include "dataplane/state.h"
#include "dataplane/tally.h"
#include "io/io.h"
#include "sched/table.h"

#define WATERMARK_LAG_MS (4 * WEIR_S)
static const struct weir_watermark_conf watermark_conf = {.lag_ms = WATERMARK_LAG_MS};
/* Rows of a log looked at before payloads are asked for: no more of these than can be under way. */
#define LOOK_ROWS 128
/* How many records ahead a log is fetched, into the second-level cache: over more pages than the
 * hardware looks ahead. */
#define LOOK_AHEAD 256

/* ---- what both do with fresh events ---- */

/* The first look at a batch: what its records say, taken together. */
struct look {
    int64_t time_min;
    int64_t time_max;
    uint64_t heads; /* lengths of payloads and kinds, or'ed */
    uint64_t offs; /* of payloads, or'ed */
    uint64_t end_max; /* of payloads */
    uint32_t rows; /* looked at */
    uint32_t wanted; /* rows in sel, and in these columns of nexmark_brief */
    int64_t *id; /* NULL: no columns */
    int64_t *at;
};

static const struct look look_none = {.time_min = INT64_MAX, .time_max = INT64_MIN};

static inline __attribute__((always_inline)) void
look_at_rows(const struct nexmark_event *row, uint32_t cnt, uint32_t kinds, bool time_unused,
    bool brief, uint16_t *sel, struct look *look)
{
    struct look seen = *look; /* in registers: a store of an index might alias it */
    /* Where most events are skipped, the payloads of the others need the places of lines. */
    uint32_t ahead = (kinds & NEXMARK_BIDS) != 0 ? LOOK_AHEAD : 0;
    for (uint32_t i = seen.rows, end_row = i + cnt; i < end_row; i++, row++) {
        uint64_t head;
        memcpy(&head, row, sizeof head); /* length and kind */
        if (!time_unused) {
            seen.time_min = row->time_ms < seen.time_min ? row->time_ms : seen.time_min;
            seen.time_max = row->time_ms > seen.time_max ? row->time_ms : seen.time_max;
        }
        seen.heads |= head;
        if (!brief) {
            uint64_t end = row->payload_off + (uint32_t)head;
            seen.end_max = end > seen.end_max ? end : seen.end_max;
            seen.offs |= row->payload_off;
        }
        __builtin_prefetch(row + ahead, 0, WEIR_FETCH_L2);
        sel[seen.wanted] = (uint16_t)i;
        if (brief) {
            seen.id[seen.wanted] = row->id_or_auction;
            seen.at[seen.wanted] = row->time_ms;
        }
        seen.wanted += kinds >> (head >> 32 & 31) & 1;
    }
    *look = seen;
}

/* Look at the next cnt rows of view: note the bounds of times and payloads, and the rows that are
 * wanted. */
static void
look_at(const struct weir_operator *op, const struct weir_view *view, uint32_t cnt, uint16_t *sel,
    struct look *look)
{
    const struct nexmark_source_conf *conf = op->conf;
    uint32_t kinds = conf->want.kinds;
    bool time_unused = op->env->time_unused;
    const struct nexmark_event *rows = (const struct nexmark_event *)(const void *)view->rows;
    rows += look->rows;
    if (look->id != NULL) {
        look_at_rows(rows, cnt, kinds, false, true, sel, look);
    } else if (kinds == NEXMARK_ALL && conf->want.payload_kinds == 0) {
        int64_t min = INT64_MAX;
        int64_t max = INT64_MIN;
        if (!time_unused) {
            weir_view_span(view, look->rows, cnt, &min, &max);
        }
        look->time_min = weir_min_i64(look->time_min, min);
        look->time_max = weir_max_i64(look->time_max, max);
        look->wanted += cnt;
    } else if (time_unused) {
        look_at_rows(rows, cnt, kinds, true, false, sel, look);
    } else {
        look_at_rows(rows, cnt, kinds, false, false, sel, look);
    }
    look->rows += cnt;
}

/* Ask for the payloads of wanted rows [from, to) that will be read: they come while the next rows
 * are looked at. Always inline: gcc drops calls of a function that does nothing but prefetch. */
static inline __attribute__((always_inline)) void
fetch_payloads(
    const struct weir_view *view, uint32_t kinds, const uint16_t *sel, uint32_t from, uint32_t to)
{
    const struct nexmark_event *rows = (const struct nexmark_event *)(const void *)view->rows;
    for (uint32_t i = from; i < to; i++) {
        const struct nexmark_event *row = &rows[sel[i]];
        bool reads = kinds >> (row->kind & 31) & 1;
        const char *at = reads ? view->heap + row->payload_off : (const char *)row;
        __builtin_prefetch(at, 0, WEIR_FETCH_L2);
        __builtin_prefetch(at + WEIR_LINE_BYTES, 0, WEIR_FETCH_L2);
        __builtin_prefetch(at + 2 * WEIR_LINE_BYTES, 0, WEIR_FETCH_L2);
    }
}

/* Narrow a view to the wanted ones of its rows, after a look at them. Returns how many of the rows
 * are done with: fewer than all where a watermark has to go before the next. */
static uint32_t
deliver(struct weir_operator *op, struct weir_watermarker *marker, const struct look *look,
    struct weir_view *view, struct weir_out *out)
{
    uint16_t *sel = out->sel_buf;
    uint32_t all = look->rows;
    uint32_t wanted = look->wanted;
    view->row_cnt = all;
    view->cnt = all;
    if (!op->env->time_unused) {
        weir_view_set_bounds(view, look->time_min, look->time_max);
    }
    view->watermark = marker->told_ms;
    uint32_t rows = weir_watermarker_take(marker, &watermark_conf, view, 0, out);
    if (wanted == all) {
        wanted = rows; /* sel may not be filled */
    } else {
        while (wanted > 0 && sel[wanted - 1] >= rows) {
            wanted--;
        }
        view->sel = sel;
    }
    if (wanted < all) {
        view->flags &= ~(uint32_t)WEIR_BATCH_TIME_EXACT;
    }
    view->row_cnt = rows;
    view->cnt = wanted;
    op->rows_in += rows - wanted;
    return rows;
}

/* ---- what both keep across a restart ---- */

/* Of the self of either: where it is, and its watermark. */
struct progress {
    struct gen_feed feed;
    struct weir_watermarker marker;
};

static int
progress_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct progress *progress = op->self;
    (void)id;
    gen_feed_snapshot(&progress->feed, parts);
    weir_watermarker_snapshot(&progress->marker, parts);
    return 0;
}

static int
progress_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct progress *progress = op->self;
    int err = gen_feed_restore(&progress->feed, op, parts, parts_cnt);
    return err < 0 ? err : weir_watermarker_restore(&progress->marker, op, parts, parts_cnt);
}

/* ---- generated ---- */

struct gen_self {
    struct progress progress; /* first */
    struct nexmark_gen gen;
};

static int
gen_open(struct weir_operator *op)
{
    struct gen_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    gen_feed_init(&self->progress.feed, op, conf->gen.event_cnt, conf->rate);
    weir_watermarker_init(&self->progress.marker, op->env);
    return nexmark_gen_init(&self->gen, &conf->gen);
}

/* Payloads grow down from the end of the buffer. Returns how many rows got theirs. */
static uint32_t
gen_payloads(const struct gen_self *self, uint32_t kinds, struct nexmark_event *rows, uint32_t cnt,
    uint64_t first, struct weir_out *out)
{
    uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    for (uint32_t i = 0; i < cnt; i++) {
        /* Rows past heap_end have been overwritten by the payloads of those before. */
        if ((i + 1) * NEXMARK_EVENT_BYTES + sizeof payload > out->heap_end) {
            return i;
        }
        if ((kinds >> rows[i].kind & 1) == 0) {
            continue;
        }
        uint64_t number = nexmark_gen_number(&self->gen, first + i);
        uint32_t bytes = nexmark_gen_payload(&self->gen, number, &rows[i], payload);
        out->heap_end -= bytes;
        memcpy(out->base + out->heap_end, payload, bytes);
        rows[i].payload_bytes = bytes;
        rows[i].payload_off = out->heap_end;
    }
    return cnt;
}

static int
gen_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct gen_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    uint64_t first;
    uint32_t cnt = gen_feed_next(&self->progress.feed, out->row_cap, now_ns, &first);
    struct nexmark_event *rows = (struct nexmark_event *)(void *)out->view.rows;
    nexmark_gen_fill(&self->gen, first, cnt, rows);
    if (conf->want.payload_kinds != 0) {
        cnt = gen_payloads(self, conf->want.payload_kinds, rows, cnt, first, out);
    }
    if (cnt == 0) {
        return gen_feed_status(&self->progress.feed, 0);
    }
    struct look look = look_none;
    look_at(op, &out->view, cnt, out->sel_buf, &look);
    cnt = deliver(op, &self->progress.marker, &look, &out->view, out);
    out->view.intended_ns = gen_feed_intended_ns(&self->progress.feed, first);
    gen_feed_advance(&self->progress.feed, cnt);
    op->work_done = first + cnt;
    op->work_all = self->progress.feed.event_cnt;
    return gen_feed_status(&self->progress.feed, cnt);
}

static int
gen_close(struct weir_operator *op, bool clean)
{
    struct gen_self *self = op->self;
    (void)clean;
    gen_feed_fini(&self->progress.feed);
    return 0;
}

/* What is generated or lies in a file is there again. */
static bool
always_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_state_part state_parts[] = {GEN_FEED_PARTS, WEIR_WATERMARKER_PARTS};

const struct weir_operator_type nexmark_gen_type = {
    .name = "nexmark_gen",
    .self_bytes = sizeof(struct gen_self),
    .output_cnt = 1,
    .open = gen_open,
    .poll = gen_poll,
    .close = gen_close,
    .snapshot = progress_snapshot,
    .restore = progress_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = always_replays,
};

/* ---- from a mapped log ---- */

struct log_self {
    struct progress progress; /* first */
    struct nexmark_log log;
    struct weir_io_map map;
    uint32_t look_most; /* events of a poll: few while late ones cut batches short */
    uint16_t record_id; /* region ids of the two sections */
    uint16_t payload_id;
    bool registered;
};

static uint32_t
look_step(const struct weir_out *out)
{
    return weir_min_u32((out->row_cap + 1) / 2, LOOK_ROWS);
}

static int
log_open(struct weir_operator *op)
{
    struct log_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    int rc = weir_io_map(
        op->env->io, conf->path, WEIR_IO_MAP_SEQUENTIAL | WEIR_IO_MAP_POPULATE, &self->map);
    if (rc != 0) {
        return rc;
    }
    rc = nexmark_log_open(self->map.base, self->map.bytes, &self->log);
    if (rc != 0) {
        return weir_err_push(rc, "%s", conf->path);
    }
    gen_feed_init(&self->progress.feed, op, self->log.record_cnt, conf->rate);
    self->look_most = NEXMARK_LOG_POLL_EVENTS;
    weir_watermarker_init(&self->progress.marker, op->env);
    if (self->log.record_cnt == 0) {
        return 0;
    }
    rc = weir_region_table_add(op->env->regions, (void *)(uintptr_t)self->log.records,
        self->log.record_cnt * NEXMARK_EVENT_BYTES, &self->record_id);
    if (rc == 0 && self->log.payload_bytes > 0) {
        rc = weir_region_table_add(op->env->regions, (void *)(uintptr_t)self->log.payloads,
            self->log.payload_bytes, &self->payload_id);
    }
    self->registered = rc == 0;
    return rc;
}

/* The file is trusted in nothing: a payload that may be read lies within its section. */
static int
log_check(
    const struct log_self *self, const struct nexmark_source_conf *conf, const struct look *look)
{
    if (look->heads >> 32 > (NEXMARK_PERSON | NEXMARK_AUCTION | NEXMARK_BID)) {
        return weir_err_push(
            WEIR_EFORMAT, "%s: event log: a record is of an unknown kind", conf->path);
    }
    if (look->offs >> 63 != 0 || look->end_max > self->log.payload_bytes) {
        return weir_err_push(
            WEIR_EFORMAT, "%s: event log: a record names a payload outside the file", conf->path);
    }
    return 0;
}

/* Look at up to cnt rows of view, until more wanted ones might be too many for the output. */
static int
log_look(struct weir_operator *op, const struct weir_view *view, uint32_t cnt, struct weir_out *out,
    struct look *look)
{
    const struct log_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    uint32_t step = look_step(out);
    while (look->rows < cnt && look->wanted + step <= out->row_cap) {
        uint32_t from = look->wanted;
        look_at(op, view, weir_min_u32(cnt - look->rows, step), out->sel_buf, look);
        if (look->wanted - from < step / 4) {
            fetch_payloads(view, conf->want.payload_kinds, out->sel_buf, from, look->wanted);
        }
    }
    return log_check(self, conf, look);
}

/* Records from `first` on, as they lie in the file. */
static void
log_view(const struct log_self *self, uint64_t first, struct weir_view *view)
{
    const struct nexmark_event *rows = self->log.records + first;
    uint32_t off;
    weir_region_table_locate(self->record_id, first * NEXMARK_EVENT_BYTES, &view->region, &off);
    view->rows = (char *)(uintptr_t)rows;
    view->time = (const char *)&rows->time_ms;
    view->heap = (char *)(uintptr_t)self->log.payloads;
    view->heap_region = self->payload_id;
    view->flags = WEIR_BATCH_FOREIGN_ROWS | WEIR_BATCH_FOREIGN_HEAP;
}

/* rows of those from `first` on are done with. */
static int
log_advance(struct weir_operator *op, const struct look *look, uint64_t first, uint32_t rows,
    const struct weir_out *out)
{
    struct log_self *self = op->self;
    self->look_most = rows < look->rows
                          ? weir_min_u32(rows + look_step(out), self->look_most)
                          : weir_min_u32(2 * self->look_most, NEXMARK_LOG_POLL_EVENTS);
    gen_feed_advance(&self->progress.feed, rows);
    op->work_done = first + rows;
    op->work_all = self->progress.feed.event_cnt;
    return gen_feed_status(&self->progress.feed, rows);
}

static int
log_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct log_self *self = op->self;
    struct look look = look_none;
    uint64_t first;
    uint32_t cnt = gen_feed_next(&self->progress.feed, self->look_most, now_ns, &first);
    if (cnt == 0) {
        return gen_feed_status(&self->progress.feed, 0);
    }
    log_view(self, first, &out->view);
    out->view.intended_ns = gen_feed_intended_ns(&self->progress.feed, first);
    int err = log_look(op, &out->view, cnt, out, &look);
    if (err < 0) {
        return err;
    }
    cnt = deliver(op, &self->progress.marker, &look, &out->view, out);
    return log_advance(op, &look, first, cnt, out);
}

/* Count rows in the place of the consumer, until one is not of the tally's times. */
static int
log_count(const struct nexmark_event *row, uint32_t cnt, uint32_t kinds, struct weir_tally *tally,
    struct look *look)
{
    uint64_t heads = 0;
    int64_t time_max = INT64_MIN;
    uint32_t unwanted = 0;
    uint32_t i = 0;
    for (; i < cnt && weir_tally_has(tally, row->time_ms); i++, row++) {
        uint64_t head;
        memcpy(&head, row, sizeof head);
        __builtin_prefetch(row + LOOK_AHEAD, 0, WEIR_FETCH_L2);
        heads |= head;
        time_max = row->time_ms > time_max ? row->time_ms : time_max;
        if ((kinds >> (head >> 32 & 31) & 1) == 0) {
            unwanted++;
            continue;
        }
        while (WEIR_UNLIKELY(!weir_tally_add(tally, (uint64_t)row->id_or_auction))) {
            int err = tally->settle(tally->op);
            if (err < 0) {
                return err;
            }
        }
    }
    look->heads |= heads;
    look->time_max = weir_max_i64(look->time_max, time_max);
    look->rows += i;
    look->wanted += i - unwanted;
    return tally->settle(tally->op);
}

/* Let the consumer's tally take the records at hand, if it takes the first one. Returns how many it
 * took. */
static int
log_tally(
    struct weir_operator *op, uint64_t first, uint32_t cnt, struct weir_out *out, struct look *look)
{
    struct log_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    struct weir_tally *tally = out->tally;
    if (tally == NULL || tally->key_off != offsetof(struct nexmark_brief, id) ||
        !tally->begin(tally->op, self->progress.marker.told_ms)) {
        return 0;
    }
    int err = log_count(self->log.records + first, cnt, conf->want.kinds, tally, look);
    err = err < 0 ? err : log_check(self, conf, look);
    if (err < 0 || look->rows == 0) {
        return err;
    }
    weir_watermarker_tell(&self->progress.marker, &watermark_conf, look->time_max, out);
    op->rows_in += look->rows - look->wanted;
    tally->row_cnt = look->wanted;
    tally->intended_ns = gen_feed_intended_ns(&self->progress.feed, first);
    return (int)look->rows;
}

/* The wanted rows into columns, while they are looked at: who reads them asks no line of the log
 * again. Where the consumer counts them, not even that. */
static int
log_poll_brief(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct log_self *self = op->self;
    struct weir_view *view = &out->view;
    struct weir_view records = {.stride = NEXMARK_EVENT_BYTES, .time_stride = NEXMARK_EVENT_BYTES};
    struct look look = look_none;
    uint64_t first;
    uint32_t cnt = gen_feed_next(&self->progress.feed, self->look_most, now_ns, &first);
    if (cnt == 0) {
        return gen_feed_status(&self->progress.feed, 0);
    }
    int counted = log_tally(op, first, cnt, out, &look);
    if (counted != 0) {
        return counted < 0 ? counted : log_advance(op, &look, first, (uint32_t)counted, out);
    }
    look.id = WEIR_COLUMN(view, struct nexmark_brief, id);
    look.at = WEIR_COLUMN(view, struct nexmark_brief, at);
    log_view(self, first, &records);
    int err = log_look(op, &records, cnt, out, &look);
    if (err < 0) {
        return err;
    }
    cnt = deliver(op, &self->progress.marker, &look, &records, out);
    view->row_cnt = records.cnt;
    view->cnt = records.cnt;
    view->watermark = records.watermark;
    view->time_min = records.time_min;
    view->time_max = records.time_max;
    view->flags |= records.flags & (WEIR_BATCH_TIME_BOUNDED | WEIR_BATCH_TIME_EXACT);
    view->intended_ns = gen_feed_intended_ns(&self->progress.feed, first);
    return log_advance(op, &look, first, cnt, out);
}

static int
log_close(struct weir_operator *op, bool clean)
{
    struct log_self *self = op->self;
    (void)clean;
    gen_feed_fini(&self->progress.feed);
    if (self->registered) {
        weir_region_table_remove(
            op->env->regions, self->record_id, self->log.record_cnt * NEXMARK_EVENT_BYTES);
        if (self->log.payload_bytes > 0) {
            weir_region_table_remove(op->env->regions, self->payload_id, self->log.payload_bytes);
        }
    }
    weir_io_unmap(&self->map);
    return 0;
}

const struct weir_operator_type nexmark_log_type = {
    .name = "nexmark_log",
    .self_bytes = sizeof(struct log_self),
    .output_cnt = 1,
    .open = log_open,
    .poll = log_poll,
    .close = log_close,
    .snapshot = progress_snapshot,
    .restore = progress_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = always_replays,
    .lends_memory = true,
};

const struct weir_operator_type nexmark_log_brief_type = {
    .name = "nexmark_log",
    .self_bytes = sizeof(struct log_self),
    .output_cnt = 1,
    .columns = true,
    .open = log_open,
    .poll = log_poll_brief,
    .close = log_close,
    .snapshot = progress_snapshot,
    .restore = progress_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = always_replays,
};

/* ---- by parameters ---- */

WEIR_MAP(to_brief, nexmark_row, nexmark_brief)
{
    out->id = in->id;
    out->at = in->at;
}

static struct weir_stream *
brief_if(struct weir_stream *s, bool brief)
{
    return brief ? weir_map(s, "to_brief", &to_brief_op) : s;
}

/* Whether a file is a mapped log; anything else that can be read is taken for lines. */
static int
is_log(const char *path, bool *ret_log)
{
    char head[sizeof NEXMARK_LOG_MAGIC] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return weir_err_errno(errno, "open %s", path);
    }
    size_t bytes = fread(head, 1, sizeof head - 1, file);
    int rc = ferror(file) != 0 ? weir_err_errno(errno, "read %s", path) : 0;
    *ret_log = nexmark_log_is(head, bytes);
    (void)fclose(file);
    return rc;
}

/* Lines become rows before anybody can look at them: the same in two operators. */
WEIR_FILTER(is_bid, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_BID;
}

WEIR_FILTER(is_person_or_auction, nexmark_row)
{
    return nexmark_row_kind(in) < NEXMARK_BID;
}

WEIR_FILTER(is_auction_or_bid, nexmark_row)
{
    return nexmark_row_kind(in) > NEXMARK_PERSON;
}

static struct weir_stream *
source_from_lines(struct weir_env *env, const struct nexmark_source_conf *conf, const char *path)
{
    const struct nexmark_want *want = &conf->want;
    const struct weir_lines_conf lines = {.path = path,
        .refuse_directory = true,
        .decoder = &nexmark_decoder_type,
        .rate = (uint64_t)conf->rate};
    struct weir_stream *s = weir_source_lines_param(env, "events", nexmark_row_schema(), &lines);
    s = weir_watermarks(s, "watermark", WATERMARK_LAG_MS);
    if (want->kinds == NEXMARK_BIDS) {
        s = weir_filter(s, "is_bid", &is_bid_op);
    } else if (want->kinds == (NEXMARK_PERSONS | NEXMARK_AUCTIONS)) {
        s = weir_filter(s, "is_person_or_auction", &is_person_or_auction_op);
    } else if (want->kinds == (NEXMARK_AUCTIONS | NEXMARK_BIDS)) {
        s = weir_filter(s, "is_auction_or_bid", &is_auction_or_bid_op);
    } else {
        WEIR_CHECK(want->kinds == NEXMARK_ALL, "no filter for kinds %#x", want->kinds);
    }
    return brief_if(s, want->brief);
}

static struct weir_stream *
source_from_file(struct weir_env *env, struct nexmark_source_conf *conf, const char *path)
{
    bool log = false;
    bool stream = strcmp(path, "-") == 0 || strncmp(path, "tcp://", 6) == 0;
    int rc = stream ? 0 : is_log(path, &log);
    if (rc != 0) {
        weir_env_fail(env, rc, "parameter events");
    }
    if (log) {
        bool brief = conf->want.brief;
        conf->path = path;
        return weir_source(env, "events", brief ? nexmark_brief_schema() : nexmark_row_schema(),
            brief ? &nexmark_log_brief_type : &nexmark_log_type, conf, sizeof *conf);
    }
    return source_from_lines(env, conf, path);
}

struct weir_stream *
nexmark_source(struct weir_env *env, const struct nexmark_want *want)
{
    const char *events = weir_param(env, "events");
    struct nexmark_source_conf conf = {.want = *want, .rate = weir_param_number(env, "rate")};
    if (strncmp(events, "gen:", 4) != 0) {
        return source_from_file(env, &conf, events);
    }
    nexmark_gen_opts_default(&conf.gen);
    int rc = nexmark_gen_parse(events, &conf.gen);
    if (rc != 0) {
        weir_env_fail(env, rc, "parameter events");
    }
    struct weir_stream *s =
        weir_source(env, "events", nexmark_row_schema(), &nexmark_gen_type, &conf, sizeof conf);
    return brief_if(s, want->brief);
}
