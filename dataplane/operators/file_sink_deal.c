/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that are done, dealt out to directories by what stands in their rows.
 *
 *     F/.parts/part-JOB-C-E.A-S-N   ->   F/dt=2024-01-01/hm=00%3A03/part-JOB-C-E.A-S-N  ...
 *
 * The parts are those of a sink into F/.parts/, written and committed as any others; whoever closes
 * it cleanly deals out what is its own. A part is read as a whole, its lines are put together by
 * their directory, and one file after the other is made under a hidden name, synced and renamed;
 * only then the part is removed. Names follow from the part's, so doing it again, after a crash at
 * any point or by an older start, makes the same files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "dataplane/decode.h"
#include "dataplane/json.h"
#include "dataplane/operators/file_sink_priv.h"
#include "dataplane/out.h"

/* Rows decoded at a time. */
#define DECODE_ROWS 256
#define DECODE_BYTES (64 * WEIR_KIB)
#define NO_LINE UINT32_MAX
/* Of a directory's path within F/: names and values, escaped. */
#define PLACE_BYTES 256

struct line {
    uint32_t off;
    uint32_t bytes; /* with its end */
    uint32_t next; /* of the same directory; NO_LINE: none */
};

struct place {
    char path[PLACE_BYTES];
    uint32_t first; /* line */
    uint32_t last;
    uint64_t bytes;
};

/* One part on its way. */
struct deal {
    struct sink *sink;
    const struct weir_file_sink_deal *conf;
    void *decoder; /* of CSV */
    struct weir_schema schema; /* of the fields that name directories */
    struct weir_field fields[WEIR_FILE_SINK_DEAL_CNT_MAX];
    char *text; /* as it was read */
    char *work; /* the same, which the decoder may rewrite */
    uint64_t bytes;
    struct line *lines;
    uint32_t line_cnt;
    struct place *places;
    uint32_t place_cnt;
    uint32_t place_cap;
    uint32_t place; /* of the line before: most are of the same */
};

static int
failed_at(struct deal *deal, const char *path)
{
    return weir_err_push(weir_io_op_fail_output(&deal->sink->op), "%s", path);
}

/* ---- reading ---- */

static int
read_part(struct deal *deal, const char *path)
{
    struct sink *sink = deal->sink;
    struct weir_io *io = sink->env->io;
    struct weir_io_stat st;
    weir_io_op_stat(&sink->op, WEIR_IO_CWD, path, &st);
    if (weir_io_perform(io, &sink->op) < 0) {
        return failed_at(deal, path);
    }
    if (st.bytes > UINT32_MAX) {
        return weir_err_push(WEIR_EBUDGET, "%s: a part of %llu bytes is too long to be dealt out",
            path, (unsigned long long)st.bytes);
    }
    deal->bytes = st.bytes;
    deal->text = malloc(st.bytes + 1);
    deal->work = calloc(1, st.bytes + WEIR_JSON_SLACK_BYTES);
    if (deal->text == NULL || deal->work == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s: %llu bytes", path, (unsigned long long)st.bytes);
    }
    weir_io_op_open(&sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ);
    if (weir_io_perform(io, &sink->op) < 0) {
        return failed_at(deal, path);
    }
    int32_t file = (int32_t)sink->op.result;
    uint64_t off = 0;
    int64_t got = 1;
    while (off < st.bytes && got > 0) {
        weir_io_op_read(&sink->op, file, deal->text + off, st.bytes - off, off);
        got = weir_io_perform(io, &sink->op);
        off += got > 0 ? (uint64_t)got : 0;
    }
    int rc = got < 0 ? failed_at(deal, path) : 0;
    weir_io_op_close(&sink->op, file);
    (void)weir_io_perform(io, &sink->op); /* opened for reading */
    if (rc == 0 && off < st.bytes) {
        rc = weir_err_push(
            WEIR_EPARTS, "%s ends before its %llu bytes", path, (unsigned long long)st.bytes);
    }
    memcpy(deal->work, deal->text, off);
    return rc;
}

/* Where each line ends; the last one has its end, too. */
static int
cut_lines(struct deal *deal)
{
    uint32_t cap = 0;
    const char *end = deal->work + deal->bytes;
    for (char *at = deal->work; at < end;) {
        char *feed = memchr(at, '\n', (size_t)(end - at));
        if (feed != NULL && memchr(at, '"', (size_t)(feed - at)) != NULL) {
            feed = weir_decode_csv.quoted_end(deal->decoder, at, end);
        }
        if (feed == NULL) {
            return weir_err_push(WEIR_EPARTS, "a part ends within a row");
        }
        if (deal->line_cnt == cap) {
            cap = cap == 0 ? 1024 : 2 * cap;
            struct line *grown = realloc(deal->lines, cap * sizeof *grown);
            if (grown == NULL) {
                return weir_err_push(WEIR_ENOMEM, "%u lines of a part", cap);
            }
            deal->lines = grown;
        }
        deal->lines[deal->line_cnt++] =
            (struct line){(uint32_t)(at - deal->work), (uint32_t)(feed + 1 - at), NO_LINE};
        at = feed + 1;
    }
    return 0;
}

/* ---- directories ---- */

/* A value as part of a path, as Hive and Flink write it: what might be misread is a percent sign
 * and two hex digits. False: there is no room. */
static bool
put_escaped(char *to, size_t *used, struct weir_slice value)
{
    for (uint32_t i = 0; i < value.bytes; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
                        (c == '.' && value.bytes > 2);
        if (*used + 4 > PLACE_BYTES) {
            return false;
        }
        *used += (size_t)sprintf(to + *used, is_plain ? "%c" : "%%%02X", c);
    }
    return true;
}

static int
place_of(struct deal *deal, const char *row, const char *heap, char to[PLACE_BYTES])
{
    size_t used = 0;
    bool fits = true;
    for (uint32_t i = 0; fits && i < deal->schema.field_cnt; i++) {
        struct weir_str value;
        memcpy(&value, row + deal->fields[i].off, sizeof value);
        struct weir_slice name = {deal->fields[i].name, (uint32_t)strlen(deal->fields[i].name)};
        fits = used + 2 < PLACE_BYTES;
        if (fits && i > 0) {
            to[used++] = '/';
        }
        fits = fits && put_escaped(to, &used, name) && used + 1 < PLACE_BYTES;
        if (fits) {
            to[used++] = '=';
            fits = put_escaped(to, &used, weir_str_slice(&value, heap));
        }
    }
    if (!fits) {
        return weir_err_push(
            WEIR_EBUDGET, "the name of a directory has more than %d bytes", PLACE_BYTES - 1);
    }
    to[used] = '\0';
    return 0;
}

static int
put_line(struct deal *deal, uint32_t line, const char *path)
{
    uint32_t at = deal->place;
    if (at >= deal->place_cnt || strcmp(deal->places[at].path, path) != 0) {
        for (at = 0; at < deal->place_cnt && strcmp(deal->places[at].path, path) != 0; at++) {
        }
    }
    if (at == deal->place_cap) {
        uint32_t cap = at == 0 ? 64 : 2 * at;
        struct place *grown = realloc(deal->places, cap * sizeof *grown);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "%u directories of a part", cap);
        }
        deal->places = grown;
        deal->place_cap = cap;
    }
    struct place *place = &deal->places[at];
    if (at == deal->place_cnt) {
        deal->place_cnt++;
        memcpy(place->path, path, strlen(path) + 1);
        place->first = line;
        place->bytes = 0;
    } else {
        deal->lines[place->last].next = line;
    }
    place->last = line;
    place->bytes += deal->lines[line].bytes;
    deal->place = at;
    return 0;
}

/* Lines [from, from + cnt) are decoded into rows, of which each names its directory. */
static int
place_lines(struct deal *deal, struct weir_out *out, const struct weir_out_shape *shape)
{
    struct weir_decode_line some[DECODE_ROWS];
    uint32_t at = 0;
    while (at < deal->line_cnt) {
        uint32_t most = at == 0 ? 1 : DECODE_ROWS; /* the header makes no row */
        uint32_t cnt = weir_min_u32(deal->line_cnt - at, most);
        for (uint32_t i = 0; i < cnt; i++) {
            const struct line *line = &deal->lines[at + i];
            some[i] = (struct weir_decode_line){.text = deal->work + line->off,
                .bytes = line->bytes - 1,
                .slack = WEIR_JSON_SLACK_BYTES,
                .number = at + i + 1};
        }
        const struct weir_decode_lines lines = {some, cnt, deal->work};
        struct weir_decode_fault fault = {.what = NULL};
        weir_out_init(out, shape);
        out->heap_end = out->buf_bytes;
        out->view.heap = deal->work;
        uint32_t done = weir_decode_csv.decode(deal->decoder, &lines, out, &fault);
        if (fault.what != NULL || done == 0) {
            return weir_err_push(WEIR_EPARTS, "line %u of a part: %s", at + done + 1,
                fault.what != NULL ? fault.what : "no room for its row");
        }
        for (uint32_t i = 0; i < out->view.row_cnt; i++) {
            char path[PLACE_BYTES];
            int rc =
                place_of(deal, out->view.rows + (size_t)out->view.stride * i, out->view.heap, path);
            rc = rc != 0 ? rc : put_line(deal, at + i, path);
            if (rc != 0) {
                return rc;
            }
        }
        at += done;
    }
    return 0;
}

static int
place_all(struct deal *deal)
{
    const struct weir_out_shape shape = {
        .schema = &deal->schema, .buf_bytes = DECODE_BYTES, .batch_rows = DECODE_ROWS};
    struct weir_out out;
    memset(&out, 0, sizeof out);
    out.buf_bytes = weir_out_footprint(&shape);
    out.base = aligned_alloc(WEIR_LINE_BYTES, out.buf_bytes);
    if (out.base == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%u bytes for rows", out.buf_bytes);
    }
    int rc = place_lines(deal, &out, &shape);
    free(out.base);
    return rc;
}

/* ---- writing ---- */

/* Each directory of the path is made, and its name is durable in the one above it. */
static int
make_place(struct deal *deal, const char *path)
{
    struct sink *sink = deal->sink;
    char upto[SINK_PATH_BYTES];
    size_t root = strlen(deal->conf->dir);
    for (const char *at = path + root + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        memcpy(upto, path, (size_t)(at - path));
        upto[at - path] = '\0';
        int rc = weir_file_sink_make_dir(sink, upto);
        rc = rc != 0 ? rc : weir_file_sink_sync_parent(sink, upto);
        if (rc != 0 || *at == '\0') {
            return rc;
        }
    }
}

static int
write_file(struct deal *deal, const char *path, const char *text, uint64_t bytes)
{
    struct sink *sink = deal->sink;
    struct weir_io *io = sink->env->io;
    weir_io_op_open(
        &sink->op, WEIR_IO_CWD, path, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    if (weir_io_perform(io, &sink->op) < 0) {
        return failed_at(deal, path);
    }
    int32_t file = (int32_t)sink->op.result;
    weir_io_op_write(&sink->op, file, text, bytes, 0);
    sink->op.flags = WEIR_IO_WHOLE;
    int rc = weir_io_perform(io, &sink->op) < 0 ? failed_at(deal, path) : 0;
    if (rc == 0) {
        weir_io_op_sync(&sink->op, file, 0);
        rc = weir_io_perform(io, &sink->op) < 0 ? failed_at(deal, path) : 0;
    }
    weir_io_op_close(&sink->op, file);
    bool is_closed = weir_io_perform(io, &sink->op) >= 0;
    return rc != 0 || is_closed ? rc : failed_at(deal, path);
}

/* The lines of a directory, behind the header that all of them have. */
static int
write_place(struct deal *deal, const struct place *place, const char *name)
{
    struct sink *sink = deal->sink;
    char dir[SINK_PATH_BYTES];
    char hidden[SINK_PATH_BYTES];
    char path[SINK_PATH_BYTES];
    uint64_t header = deal->lines[0].bytes;
    int used = snprintf(dir, sizeof dir, "%s/%s", deal->conf->dir, place->path);
    int most = snprintf(path, sizeof path, "%.*s/%s", used, dir, name);
    if (most + 2 > SINK_PATH_BYTES ||
        snprintf(hidden, sizeof hidden, "%s/.%s", dir, name) != most + 1) {
        return weir_err_push(WEIR_ECONFIG, "output %s: a path of %d bytes", deal->conf->dir, most);
    }
    char *text = malloc(header + place->bytes);
    if (text == NULL) {
        return weir_err_push(
            WEIR_ENOMEM, "%s: %llu bytes", path, (unsigned long long)(header + place->bytes));
    }
    memcpy(text, deal->text, header);
    uint64_t bytes = header;
    for (uint32_t i = place->first; i != NO_LINE; i = deal->lines[i].next) {
        memcpy(text + bytes, deal->text + deal->lines[i].off, deal->lines[i].bytes);
        bytes += deal->lines[i].bytes;
    }
    int rc = make_place(deal, dir);
    rc = rc != 0 ? rc : write_file(deal, hidden, text, bytes);
    free(text);
    if (rc == 0) {
        weir_io_op_rename(&sink->op, WEIR_IO_CWD, hidden, path, 0);
        rc = weir_io_perform(sink->env->io, &sink->op) < 0 ? failed_at(deal, path) : 0;
    }
    return rc != 0 ? rc : weir_file_sink_sync_dir(sink, dir);
}

static void
deal_fini(struct deal *deal)
{
    free(deal->text);
    free(deal->work);
    free(deal->lines);
    free(deal->places);
    free(deal->decoder);
}

static int
deal_init(struct deal *deal, struct sink *sink)
{
    static const struct weir_decode_csv_conf csv = {.has_header = true};
    memset(deal, 0, sizeof *deal);
    deal->sink = sink;
    deal->conf = sink->conf->deal;
    for (uint32_t i = 0; i < deal->conf->field_cnt; i++) {
        deal->fields[i] = (struct weir_field){.name = deal->conf->field[i],
            .type = WEIR_TYPE_STR,
            .off = i * (uint32_t)sizeof(struct weir_str),
            .bytes = sizeof(struct weir_str)};
    }
    deal->schema = (struct weir_schema){.name = "directories",
        .fields = deal->fields,
        .field_cnt = deal->conf->field_cnt,
        .row_bytes = deal->conf->field_cnt * (uint32_t)sizeof(struct weir_str),
        .time_idx = -1};
    deal->decoder = calloc(1, weir_decode_csv.self_bytes);
    if (deal->decoder == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a decoder of parts");
    }
    int rc = weir_decode_csv.open(deal->decoder, &csv, &deal->schema);
    weir_decode_csv.begin(deal->decoder);
    return rc;
}

static int
deal_part(struct sink *sink, const char *name)
{
    struct deal deal;
    char path[SINK_PATH_BYTES];
    int used = snprintf(path, sizeof path, "%s%s", sink->conf->path, name);
    WEIR_CHECK(used < SINK_PATH_BYTES, "the path was checked at open");
    int rc = deal_init(&deal, sink);
    rc = rc != 0 ? rc : read_part(&deal, path);
    rc = rc != 0 ? rc : cut_lines(&deal);
    rc = rc != 0 ? rc : place_all(&deal);
    for (uint32_t i = 0; rc == 0 && i < deal.place_cnt; i++) {
        rc = write_place(&deal, &deal.places[i], name);
    }
    deal_fini(&deal);
    if (rc == 0) {
        weir_io_op_unlink(&sink->op, WEIR_IO_CWD, path, 0);
        rc = weir_io_perform(sink->env->io, &sink->op) < 0 && sink->op.errnum != ENOENT
                 ? weir_err_push(weir_io_op_fail_output(&sink->op), "%s", path)
                 : 0;
    }
    return rc != 0 ? weir_err_push(rc, "%s is left as it was", path) : 0;
}

/* ---- all of them ---- */

struct own_part {
    char name[PLACE_BYTES];
    bool is_found;
};

/* Whether a part is for this subtask to deal out: its own, and those of subtasks that there are no
 * more. */
static bool
is_own(const struct sink *sink, const char *name)
{
    struct sink_part_name part;
    unsigned long run;
    unsigned subtask;
    unsigned number;
    int end = 0;
    if (sink->conf->checkpoints.is_on) {
        return weir_file_sink_parse_part(sink, name, &part) &&
               part.subtask % sink->env->subtask_cnt == sink->env->subtask_idx;
    }
    return sscanf(name, "part-%lx-%u-%u%n", &run, &subtask, &number, &end) == 3 &&
           name[end] == '\0' && run == (unsigned long)sink->conf->run_id &&
           subtask == sink->env->subtask_idx;
}

static int
find_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct own_part *own = arg;
    (void)dir;
    if (!own->is_found && is_own(sink, name) && strlen(name) < sizeof own->name) {
        memcpy(own->name, name, strlen(name) + 1);
        own->is_found = true;
    }
    return 0;
}

int
weir_file_sink_deal_open(struct sink *sink)
{
    const struct weir_file_sink_deal *conf = sink->conf->deal;
    if (sink->conf->format != WEIR_FORMAT_CSV) {
        return weir_err_push(WEIR_EGRAPH, "output %s: only CSV is dealt out", conf->dir);
    }
    for (uint32_t i = 0; i < conf->field_cnt; i++) {
        int idx = weir_schema_field(sink->schema, conf->field[i]);
        if (idx < 0 || sink->schema->fields[idx].type != WEIR_TYPE_STR) {
            return weir_err_push(WEIR_EGRAPH,
                "output %s: directories by %s, which is no text of %s", conf->dir, conf->field[i],
                sink->schema->name);
        }
    }
    int rc = weir_file_sink_make_dir(sink, conf->dir);
    return rc != 0 ? rc : weir_file_sink_sync_parent(sink, conf->dir);
}

int
weir_file_sink_deal_out(struct sink *sink)
{
    for (;;) { /* one part less in every turn */
        struct own_part own = {.is_found = false};
        int rc = weir_file_sink_each_entry(sink, sink->conf->path, 0, find_entry, &own);
        rc = rc != 0 || !own.is_found ? rc : deal_part(sink, own.name);
        if (rc != 0) {
            return rc;
        }
        if (!own.is_found) {
            /* The last one to come removes the directory; those of others keep it. */
            weir_io_op_unlink(&sink->op, WEIR_IO_CWD, sink->conf->path, WEIR_IO_RMDIR);
            (void)weir_io_perform(sink->env->io, &sink->op);
            return 0;
        }
    }
}
