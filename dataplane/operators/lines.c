/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of text to rows, by a decoder.
 *
 *     "a b\nc\n"   ->   ("a b", 1), ("c", 2)          with the text decoder
 *
 * State: the inputs that are left, and the place in the open one (an offset in what was unpacked,
 * so a packed file is unpacked again up to there). Watermarks: none but the last. Bytes come from
 *        lines_priv.h; here
 * they are cut into lines, many at a time, and lent to the decoder, whose rows refer to them. A
 * poll works on one such pack of lines at most, and the next begins when all rows of the last are
 * done with. The last line of an input needs no line feed; a carriage return before one is not of
 * the line.
 */
#include "dataplane/operators/lines.h"

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/json.h"
#include "dataplane/operators/lines_priv.h"
#include "dataplane/state.h"

/* Lines cut at a time: as much work as a poll should do. */
#define PACK_CNT 512
#define EXCERPT_BYTES 160
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct self {
    struct lines_feed feed;
    void *decoder; /* its memory */
    uint64_t line_bytes_max;
    uint64_t line_number; /* lines cut so far in this input */
    size_t looked_at; /* bytes behind `at` that hold no line feed */
    bool is_new; /* the next line is the first of its input */
    bool is_dropping; /* the rest of a line that was too long */
    int64_t start_ns; /* rate: when the first line was due */
    uint64_t paced_cnt; /* rate: lines that were decoded */
    uint32_t pack_cnt;
    uint32_t pack_at; /* the first that is not decoded */
    struct weir_decode_line pack[PACK_CNT];
};

static int
lines_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct weir_lines_conf *conf = op->conf;
    if (op->env->io == NULL) {
        return weir_err_push(WEIR_EBUG, "%s: no io on this core", conf->path);
    }
    self->line_bytes_max =
        conf->line_bytes_max != 0 ? conf->line_bytes_max : WEIR_LINES_BYTES_MAX_DEFAULT;
    self->is_new = true;
    self->decoder = calloc(1, conf->decoder->self_bytes + 1);
    if (self->decoder == NULL) {
        return weir_err_push(WEIR_ENOMEM, "decoder %s", conf->decoder->name);
    }
    if (conf->on_error == WEIR_ON_ERROR_SIDE && op->type->output_cnt < 2) {
        return weir_err_push(WEIR_EGRAPH, "on_error: side needs the type weir_lines_side_type");
    }
    int err = conf->decoder->open != NULL
                  ? conf->decoder->open(self->decoder, conf->decoder_conf, op->out_schema[0])
                  : 0;
    return err == 0 ? weir_lines_feed_open(&self->feed, op) : err;
}

/* ---- refused lines ---- */

/* What stood there, cut to one line of a message: control bytes become dots. */
static void
excerpt(const char *text, size_t bytes, char *to)
{
    size_t shown = weir_min_u64(bytes, EXCERPT_BYTES);
    for (size_t i = 0; i < shown; i++) {
        to[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '.' : text[i];
    }
    memcpy(to + shown, bytes > shown ? "..." : "", bytes > shown ? 4 : 1);
}

static void
describe(const struct self *self, const struct weir_decode_line *line,
    const struct weir_decode_fault *fault, char *to, size_t to_bytes)
{
    char shown[EXCERPT_BYTES + 4];
    excerpt(line->text, line->bytes, shown);
    char column[16] = "";
    if (fault->column > 0) {
        (void)snprintf(column, sizeof column, ":%u", fault->column);
    }
    (void)snprintf(to, to_bytes, "%s:%lu%s: %s: %s", self->feed.path, (unsigned long)line->number,
        column, fault->what, shown);
}

static void
emit_bad(const struct self *self, const struct weir_decode_line *line,
    const struct weir_decode_fault *fault, struct weir_out *out)
{
    const char *path = self->feed.path;
    uint32_t path_bytes = (uint32_t)strlen(path);
    uint32_t what_bytes = (uint32_t)strlen(fault->what);
    uint32_t text_bytes = weir_min_u32(line->bytes, out->buf_bytes / 2);
    struct weir_bad_line *row = weir_bad_line_emit(out);
    weir_str_set_bytes(out, &row->file, path, path_bytes);
    row->line = (int64_t)line->number;
    row->column = fault->column;
    weir_str_set_bytes(out, &row->reason, fault->what, what_bytes);
    weir_str_set_bytes(out, &row->text, line->text, text_bytes);
    row->text_bytes = line->bytes;
}

static bool
has_room_for_bad(const struct self *self, const struct weir_decode_line *line,
    const struct weir_decode_fault *fault, struct weir_out *out)
{
    uint64_t bytes = strlen(self->feed.path) + strlen(fault->what) +
                     weir_min_u32(line->bytes, out->buf_bytes / 2);
    return weir_out_room(out, 1, (uint32_t)bytes);
}

/* Returns 0 when the line is dealt with, WEIR_AGAIN when the side output is full, or the error. */
static int
refuse(struct weir_operator *op, const struct weir_decode_line *line,
    const struct weir_decode_fault *fault, struct weir_out *out)
{
    struct self *self = op->self;
    const struct weir_lines_conf *conf = op->conf;
    char text[WEIR_LINES_SAMPLE_BYTES];
    if (conf->on_error == WEIR_ON_ERROR_SIDE) {
        if (!has_room_for_bad(self, line, fault, &out[1])) {
            if (out[1].view.row_cnt > 0) {
                return WEIR_AGAIN;
            }
            return weir_err_push(WEIR_EBUDGET,
                "%s: a refused line does not fit into a buffer of %u bytes; raise buffers.size",
                self->feed.path, out[1].buf_bytes);
        }
        emit_bad(self, line, fault, &out[1]);
    }
    describe(self, line, fault, text, sizeof text);
    if (conf->on_error == WEIR_ON_ERROR_FAIL) {
        return weir_err_push(WEIR_EDATA, "%s", text);
    }
    op->rows_bad++;
    uint32_t idx = op->env->subtask_idx;
    if (idx < conf->sample_cnt && conf->samples[idx].cnt < WEIR_LINES_SAMPLE_CNT) {
        struct weir_lines_samples *samples = &conf->samples[idx];
        memcpy(samples->text[samples->cnt++], text, sizeof text);
    }
    return 0;
}

/* ---- cutting ---- */

/* The end of the line that begins at `at`, or NULL when it is not in the buffer yet. */
static char *
line_end(struct self *self, const struct weir_decoder_type *decoder, char *at, const char *end)
{
    char *from = at + self->looked_at;
    char *feed = memchr(from, '\n', (size_t)(end - from));
    self->looked_at = feed == NULL ? (size_t)(end - at) : 0;
    if (decoder->quoted_end != NULL) {
        const char *upto = feed != NULL ? feed : end;
        if (memchr(at, '"', (size_t)(upto - at)) != NULL) {
            self->looked_at = 0;
            return decoder->quoted_end(self->decoder, at, end);
        }
    }
    return feed;
}

static void
begin_input(struct self *self, const struct weir_decoder_type *decoder)
{
    if (self->is_new && decoder->begin != NULL) {
        decoder->begin(self->decoder);
    }
    self->is_new = false;
}

static void
add_line(struct self *self, const struct weir_decoder_type *decoder, char *text, size_t bytes)
{
    uint64_t number = ++self->line_number;
    if (decoder->quoted_end != NULL) {
        /* Lines as an editor counts them: those inside this one come on top. */
        const char *end = text + bytes;
        for (const char *at = text; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
            self->line_number++;
        }
    }
    if (self->is_new) {
        begin_input(self, decoder);
        if (bytes >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0) {
            text += 3;
            bytes -= 3;
        }
    }
    if (bytes > 0 && text[bytes - 1] == '\r') {
        bytes--;
    }
    if (bytes == 0 && decoder->skips_blank) {
        return;
    }
    const char *end = self->feed.buf + self->feed.end;
    self->pack[self->pack_cnt++] = (struct weir_decode_line){
        .text = text,
        .bytes = (uint32_t)bytes,
        .slack = (uint32_t)weir_min_u64((size_t)(end - text) - bytes, WEIR_JSON_SLACK_BYTES),
        .number = number,
    };
}

/* The line at the front is longer than is allowed and not all there: refused once, then dropped. */
static int
refuse_long(struct weir_operator *op, struct weir_out *out)
{
    struct self *self = op->self;
    struct lines_feed *feed = &self->feed;
    size_t bytes = feed->end - feed->at;
    if (!self->is_dropping) {
        struct weir_decode_fault fault = {.what = fault.note};
        (void)snprintf(fault.note, sizeof fault.note, "a line of more than %lu bytes",
            (unsigned long)self->line_bytes_max);
        struct weir_decode_line line = {.text = feed->buf + feed->at,
            .bytes = (uint32_t)weir_min_u64(bytes, UINT32_MAX),
            .number = self->line_number + 1};
        int err = refuse(op, &line, &fault, out);
        if (err != 0) {
            return err;
        }
        self->is_dropping = true;
    }
    feed->at = feed->end;
    self->looked_at = 0;
    return 0;
}

/* The end of a line that is being dropped. */
static void
end_dropped(struct self *self, const struct weir_decoder_type *decoder)
{
    begin_input(self, decoder);
    self->is_dropping = false;
    self->line_number++;
}

/* Cuts what is in the buffer into lines, to a full pack. Returns 0, WEIR_AGAIN (side full), or
 * error. */
static int
cut(struct weir_operator *op, struct weir_out *out)
{
    struct self *self = op->self;
    const struct weir_decoder_type *decoder = ((const struct weir_lines_conf *)op->conf)->decoder;
    struct lines_feed *feed = &self->feed;
    const char *end = feed->buf + feed->end;
    self->pack_cnt = 0;
    self->pack_at = 0;
    while (self->pack_cnt < PACK_CNT && feed->at < feed->end) {
        char *at = feed->buf + feed->at;
        char *stop = line_end(self, decoder, at, end);
        size_t bytes = (size_t)((stop != NULL ? stop : end) - at);
        if (stop == NULL && !feed->is_ended && bytes <= self->line_bytes_max) {
            break;
        }
        if (self->pack_cnt > 0 && bytes > self->line_bytes_max) {
            break; /* first those before it */
        }
        if (bytes > self->line_bytes_max || self->is_dropping) {
            feed->end -= (size_t)(end - (at + bytes));
            int err = refuse_long(op, out);
            feed->end = (size_t)(end - feed->buf);
            if (err != 0) {
                return err;
            }
            if (stop != NULL || feed->is_ended) {
                end_dropped(self, decoder);
                feed->at += stop != NULL ? 1 : 0;
            }
            continue;
        }
        add_line(self, decoder, at, bytes);
        feed->at += bytes + (stop != NULL ? 1 : 0);
        self->looked_at = 0;
    }
    return 0;
}

/* ---- rows ---- */

/* How many lines of the pack may go on: line n is intended at start + n / rate, and goes no
 * earlier. Latency counts from the intended time of a batch's first row. */
static uint32_t
due_cnt(
    struct self *self, const struct weir_lines_conf *conf, struct weir_out *rows, int64_t now_ns)
{
    uint32_t cnt = self->pack_cnt - self->pack_at;
    if (conf->rate == 0) {
        return cnt;
    }
    self->start_ns = self->paced_cnt == 0 ? now_ns : self->start_ns;
    uint64_t since_ns = (uint64_t)weir_max_i64(now_ns - self->start_ns, 0);
    uint64_t due = (uint64_t)((weir_u128)since_ns * conf->rate / (uint64_t)WEIR_SEC_NS) + 1;
    if (rows->view.row_cnt == 0) {
        rows->view.intended_ns = self->start_ns + (int64_t)((weir_u128)self->paced_cnt *
                                                            (uint64_t)WEIR_SEC_NS / conf->rate);
    }
    return (uint32_t)weir_min_u64(cnt, due > self->paced_cnt ? due - self->paced_cnt : 0);
}

/* Decodes what is in the pack. Returns 0 when it is used up, WEIR_AGAIN when an output is full,
 * WEIR_WAIT when the next line is not due. */
static int
decode(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    const struct weir_lines_conf *conf = op->conf;
    struct weir_out *rows = &out[0];
    rows->view.heap = self->feed.buf;
    while (self->pack_at < self->pack_cnt) {
        struct weir_decode_fault fault = {.what = NULL};
        struct weir_decode_lines lines = {
            .line = self->pack + self->pack_at,
            .cnt = due_cnt(self, conf, rows, now_ns),
            .heap = self->feed.buf,
        };
        if (lines.cnt == 0) {
            return WEIR_WAIT;
        }
        uint32_t done = conf->decoder->decode(self->decoder, &lines, rows, &fault);
        self->pack_at += done;
        self->paced_cnt += done;
        if (fault.what != NULL) {
            int err = refuse(op, &self->pack[self->pack_at], &fault, out);
            if (err != 0) {
                return err;
            }
            self->pack_at++;
            self->paced_cnt++;
        } else if (done < lines.cnt) {
            if (rows->view.row_cnt == 0) {
                const struct weir_decode_line *line = &self->pack[self->pack_at];
                return weir_err_push(WEIR_EBUDGET,
                    "%s:%lu: a record of %u bytes does not fit into a buffer of %u; raise "
                    "buffers.size",
                    self->feed.path, (unsigned long)line->number, line->bytes, rows->buf_bytes);
            }
            return WEIR_AGAIN;
        }
    }
    return 0;
}

/* The input that was opened is gone on with where it was left. */
static void
take_up(struct self *self, const struct weir_decoder_type *decoder)
{
    struct lines_feed *feed = &self->feed;
    const struct lines_resume *resume = &feed->resume[feed->path_idx];
    feed->is_resumed = false;
    self->line_number = resume->line_number;
    self->is_new = (resume->flags & LINES_RESUME_NEW) != 0;
    self->is_dropping = (resume->flags & LINES_RESUME_DROPPING) != 0;
    if (resume->kept != NULL) {
        memcpy((char *)self->decoder + decoder->kept_off, resume->kept, decoder->kept_bytes);
    }
}

static int
lines_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    struct lines_feed *feed = &self->feed;
    if (self->pack_at < self->pack_cnt) {
        /* Nothing flies for what is not due yet: the clock wakes a source. */
        int err = decode(op, out, now_ns);
        return err < 0 || (err == WEIR_WAIT && out[0].view.row_cnt == 0) ? err : WEIR_AGAIN;
    }
    int fed = weir_lines_feed_step(feed, true, now_ns);
    op->work_done = feed->done_bytes + feed->read_off;
    op->work_all = feed->all_bytes;
    if (fed < 0 || fed == WEIR_DONE) {
        return fed;
    }
    if (feed->is_resumed) {
        take_up(self, ((const struct weir_lines_conf *)op->conf)->decoder);
    }
    if (feed->is_socket || feed->is_stream) { /* a rate says better, below */
        out[0].view.intended_ns = now_ns; /* of a live stream: when it was seen */
    }
    size_t at = feed->at;
    bool may_cut = feed->step == LINES_FEED_READING && !feed->is_first;
    int err = may_cut ? cut(op, out) : 0;
    feed->is_starving = feed->at == at;
    err = err == 0 ? decode(op, out, now_ns) : err;
    if (err < 0) {
        return err;
    }
    if (err == 0 && may_cut && feed->is_ended && feed->at == feed->end) {
        if (self->is_dropping) {
            end_dropped(self, ((const struct weir_lines_conf *)op->conf)->decoder);
        }
        weir_lines_feed_next(feed);
        self->is_new = true;
        self->line_number = feed->is_socket ? self->line_number : 0;
        return WEIR_AGAIN;
    }
    /* Waiting is for something that flies: else nobody would wake us. */
    bool waits = err == 0 && fed == WEIR_WAIT && feed->at == at && feed->op.state == WEIR_IO_FLYING;
    return waits ? WEIR_WAIT : WEIR_AGAIN;
}

static int
lines_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean; /* it only reads */
    weir_lines_feed_close(&self->feed);
    free(self->decoder);
    return 0;
}

/* ---- checkpoints ---- */

/* An item of the part "inputs": this, the path, what the decoder keeps. Inputs that are done with
 * are in no item, so what is found in a directory later is not read. */
struct item {
    uint64_t off;
    uint64_t line_number;
    uint32_t flags;
    uint32_t path_bytes;
    uint32_t kept_bytes;
    uint32_t zero;
};
#define ITEMS_VERSION 1
#define PATH_BYTES_MAX 65536

/* The place behind the last line that was decoded. */
static struct lines_resume
resume_here(const struct self *self)
{
    const struct lines_feed *feed = &self->feed;
    bool is_cut = self->pack_at < self->pack_cnt;
    const struct weir_decode_line *line = &self->pack[self->pack_at];
    const char *at = is_cut ? line->text : feed->buf + feed->at;
    struct lines_resume here = {.off = weir_lines_feed_off(feed, at)};
    here.line_number = is_cut ? line->number - 1 : self->line_number;
    here.flags |= self->is_new && !is_cut ? LINES_RESUME_NEW : 0;
    here.flags |= self->is_dropping && !is_cut ? LINES_RESUME_DROPPING : 0;
    here.flags |= feed->is_packed ? LINES_RESUME_PACKED : 0;
    return here;
}

/* As it was found, where nothing of it was read yet. */
static struct lines_resume
resume_there(const struct lines_feed *feed, uint32_t idx)
{
    const struct lines_resume fresh = {.flags = LINES_RESUME_NEW};
    return feed->resume != NULL ? feed->resume[idx] : fresh;
}

static void
put_item(const char *path, const struct lines_resume *resume, struct weir_parts_writer *parts)
{
    const struct item item = {.off = resume->off,
        .line_number = resume->line_number,
        .flags = resume->flags,
        .path_bytes = (uint32_t)strlen(path),
        .kept_bytes = resume->kept != NULL ? resume->kept_bytes : 0};
    weir_state_item(parts, sizeof item + item.path_bytes + item.kept_bytes);
    weir_parts_put(parts, &item, sizeof item);
    weir_parts_put(parts, path, item.path_bytes);
    weir_parts_put(parts, resume->kept, item.kept_bytes);
}

static int
lines_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    const struct lines_feed *feed = &self->feed;
    const struct weir_decoder_type *decoder = ((const struct weir_lines_conf *)op->conf)->decoder;
    bool is_open = feed->step == LINES_FEED_READING && !feed->is_resumed && feed->skip == 0;
    uint32_t first = feed->path_idx + (feed->step == LINES_FEED_CLOSING);
    (void)id;
    weir_state_list_begin(
        parts, "inputs", ITEMS_VERSION, feed->path_cnt > first ? feed->path_cnt - first : 0);
    for (uint32_t i = first; i < feed->path_cnt; i++) {
        struct lines_resume resume = resume_there(feed, i);
        if (i == first && is_open) {
            resume = resume_here(self);
        }
        /* What was learned goes with the input that comes next. */
        if (i == first && (is_open || resume.kept == NULL) && decoder->kept_bytes > 0) {
            resume.kept = (char *)self->decoder + decoder->kept_off;
            resume.kept_bytes = decoder->kept_bytes;
        }
        put_item(feed->paths[i], &resume, parts);
    }
    weir_state_list_end(parts);
    return 0;
}

/* Memory of the reader's for what follows an item's head, with a zero behind it. */
static int
take_bytes(struct weir_part *part, uint32_t bytes, char **ret_bytes)
{
    char *to = malloc((size_t)bytes + 1);
    if (to == NULL) {
        return weir_err_push(WEIR_ENOMEM, "inputs of a source");
    }
    to[bytes] = '\0';
    *ret_bytes = to;
    return weir_part_get(part, to, bytes);
}

static int
take_item(struct weir_part *part, const struct weir_decoder_type *decoder, char **ret_path,
    struct lines_resume *ret_resume)
{
    struct item item;
    int err = weir_part_get(part, &item, sizeof item);
    if (err == 0 && (item.flags > LINES_RESUME_FLAGS || item.zero != 0 || item.path_bytes == 0 ||
                        item.path_bytes > PATH_BYTES_MAX ||
                        (item.kept_bytes != 0 && item.kept_bytes != decoder->kept_bytes))) {
        err = weir_err_push(WEIR_EDATA,
            "an input of a checkpoint is not one of decoder %s: flags %#x, %u bytes kept",
            decoder->name, item.flags, item.kept_bytes);
    }
    if (err < 0) {
        return err;
    }
    ret_resume->off = item.off;
    ret_resume->line_number = item.line_number;
    ret_resume->flags = item.flags;
    ret_resume->kept_bytes = item.kept_bytes;
    err = take_bytes(part, item.path_bytes, ret_path);
    err = err < 0 || item.kept_bytes == 0 ? err
                                          : take_bytes(part, item.kept_bytes, &ret_resume->kept);
    return err < 0 ? err : weir_part_end(part);
}

static int
lines_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    const struct weir_decoder_type *decoder = ((const struct weir_lines_conf *)op->conf)->decoder;
    char **paths = NULL;
    struct lines_resume *resume = NULL;
    uint32_t cnt = 0;
    struct weir_state_list list;
    struct weir_part part;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = "inputs";
    list.version_max = ITEMS_VERSION;
    while ((got = weir_state_list_next(&list, &part)) > 0) {
        char **more_paths = realloc(paths, (cnt + 1) * sizeof *paths);
        paths = more_paths != NULL ? more_paths : paths;
        struct lines_resume *more = realloc(resume, (cnt + 1) * sizeof *resume);
        resume = more != NULL ? more : resume;
        if (more_paths == NULL || more == NULL) {
            got = weir_err_push(WEIR_ENOMEM, "inputs of a source");
            break;
        }
        paths[cnt] = NULL;
        memset(&resume[cnt], 0, sizeof resume[cnt]);
        int err = take_item(&part, decoder, &paths[cnt], &resume[cnt]);
        if (err < 0) {
            free(paths[cnt]);
            free(resume[cnt].kept);
            got = err;
            break;
        }
        cnt++;
    }
    weir_lines_feed_assign(&self->feed, paths, resume, cnt);
    return got;
}

/* A stream is read once. Whether a path is one of a pipe shows when it is opened: then what was
 * read of it before is lost with a restart, as for these. */
static bool
lines_replays(const void *conf)
{
    const char *path = ((const struct weir_lines_conf *)conf)->path;
    return strcmp(path, "-") != 0 && strncmp(path, "tcp://", 6) != 0;
}

static const struct weir_schema *
lines_side_schema(uint32_t output)
{
    return output == 1 ? weir_bad_line_schema() : NULL;
}

static const struct weir_state_part state_parts[] = {{"inputs", WEIR_STATE_PART_LIST, 0}};

const struct weir_operator_type weir_lines_type = {
    .name = "lines",
    .self_bytes = sizeof(struct self),
    .output_cnt = 1,
    .open = lines_open,
    .poll = lines_poll,
    .close = lines_close,
    .snapshot = lines_snapshot,
    .restore = lines_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = lines_replays,
};

const struct weir_operator_type weir_lines_side_type = {
    .name = "lines",
    .self_bytes = sizeof(struct self),
    .output_cnt = 2,
    .side_schema = lines_side_schema,
    .open = lines_open,
    .poll = lines_poll,
    .close = lines_close,
    .snapshot = lines_snapshot,
    .restore = lines_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .replays = lines_replays,
};
