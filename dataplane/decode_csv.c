/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4180: cells between separators, in double quotes where they hold one, a quote, or a line's
 * end.
 *
 * A line is first cut into cells and its numbers are read; only when all of it is good are doubled
 * quotes taken out where they stand and strings put into the row. A quote that does not begin a
 * cell is text, as most readers take it.
 */
#include "dataplane/decode.h"

#include <stdio.h>

#include "base/err.h"
#include "dataplane/value_text.h"

/* Columns of a file; those that no field wants are passed over. */
#define COLUMN_CNT_MAX 256

struct self {
    const struct weir_schema *schema;
    struct weir_decode_csv_conf conf;
    bool awaits_header;
    uint32_t column_cnt;
    int16_t field_of[COLUMN_CNT_MAX]; /* -1: nobody wants it */
};

struct cell {
    char *text;
    uint32_t bytes;
    uint32_t column; /* byte in the line, from 1 */
    bool is_quoted;
    bool has_doubled; /* quotes inside that stand twice */
};

static void
by_position(struct self *self)
{
    self->column_cnt = self->schema->field_cnt;
    for (uint32_t i = 0; i < self->column_cnt; i++) {
        self->field_of[i] = (int16_t)i;
    }
}

static int
csv_open(void *mem, const void *conf, const struct weir_schema *schema)
{
    struct self *self = mem;
    self->schema = schema;
    if (conf != NULL) {
        self->conf = *(const struct weir_decode_csv_conf *)conf;
    }
    if (self->conf.separator == '\0') {
        self->conf.separator = ',';
    }
    if (strchr("\"\r\n", self->conf.separator) != NULL) {
        return weir_err_push(WEIR_ECONFIG, "a quote or a line's end cannot separate cells");
    }
    by_position(self);
    return 0;
}

static void
csv_begin(void *mem)
{
    struct self *self = mem;
    self->awaits_header = self->conf.has_header;
}

/* The cell that begins at `at`; returns where it ends, or NULL with the fault. */
static char *
read_cell(const struct self *self, char *at, char *end, struct cell *cell,
    struct weir_decode_fault *fault)
{
    cell->has_doubled = false;
    cell->is_quoted = at < end && *at == '"';
    if (!cell->is_quoted) {
        char *stop = memchr(at, self->conf.separator, (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        cell->text = at;
        cell->bytes = (uint32_t)(stop - at);
        return stop;
    }
    cell->text = ++at;
    for (;;) {
        char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL) {
            fault->what = "a quote is not closed";
            return NULL;
        }
        if (quote + 1 == end || quote[1] == self->conf.separator) {
            cell->bytes = (uint32_t)(quote - cell->text);
            return quote + 1;
        }
        if (quote[1] != '"') {
            fault->what = "text behind a closing quote";
            cell->column += (uint32_t)(quote - cell->text) + 2;
            return NULL;
        }
        cell->has_doubled = true;
        at = quote + 2;
    }
}

/* All cells of a line. Returns how many, or -1 with the fault and its column. */
static int
read_cells(const struct self *self, const struct weir_decode_line *line, struct cell *cells,
    struct weir_decode_fault *fault)
{
    char *at = line->text;
    char *end = at + line->bytes;
    for (int i = 0; i < COLUMN_CNT_MAX; i++) {
        cells[i].column = (uint32_t)(at - line->text) + 1;
        at = read_cell(self, at, end, &cells[i], fault);
        if (at == NULL) {
            fault->column = cells[i].column;
            return -1;
        }
        if (at == end) {
            return i + 1;
        }
        at++; /* the separator; a cell follows it, if only an empty one */
    }
    fault->what = "more than 256 cells";
    return -1;
}

/* Doubled quotes become single ones, in place. */
static void
undouble(struct cell *cell)
{
    if (!cell->has_doubled) {
        return;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < cell->bytes; i++) {
        cell->text[used++] = cell->text[i];
        i += cell->text[i] == '"';
    }
    cell->bytes = used;
    cell->has_doubled = false;
}

/* Which field each column is for; every field that may not be null needs one. */
static bool
read_header(struct self *self, struct cell *cells, int cnt, struct weir_decode_fault *fault)
{
    const struct weir_schema *schema = self->schema;
    uint64_t seen = 0;
    for (int c = 0; c < cnt; c++) {
        undouble(&cells[c]);
        self->field_of[c] = -1;
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            const char *name = schema->fields[f].name;
            if (strlen(name) == cells[c].bytes &&
                memcmp(name, cells[c].text, cells[c].bytes) == 0) {
                self->field_of[c] = (int16_t)f;
                seen |= UINT64_C(1) << f;
            }
        }
    }
    self->column_cnt = (uint32_t)cnt;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if ((seen >> f & 1) == 0 && !schema->fields[f].nullable) {
            (void)snprintf(fault->note, sizeof fault->note, "the header has no column %.64s",
                schema->fields[f].name);
            fault->what = fault->note;
            return false;
        }
    }
    return true;
}

/* Numbers into the row; strings wait. Returns false with the fault. */
static bool
read_values(const struct self *self, const struct cell *cells, char *row, uint64_t *ret_nulls,
    struct weir_decode_fault *fault)
{
    const struct weir_schema *schema = self->schema;
    uint64_t seen = 0;
    uint64_t nulls = 0;
    for (uint32_t c = 0; c < self->column_cnt; c++) {
        if (self->field_of[c] < 0) {
            continue;
        }
        uint32_t idx = (uint32_t)self->field_of[c];
        const struct weir_field *field = &schema->fields[idx];
        const struct cell *cell = &cells[c];
        seen |= UINT64_C(1) << idx;
        if (cell->bytes == 0 && !cell->is_quoted && field->nullable) {
            nulls |= UINT64_C(1) << idx;
        } else if (field->type != WEIR_TYPE_STR) {
            const char *what = weir_value_parse(field, cell->text, cell->bytes, row + field->off);
            if (what != NULL) {
                (void)snprintf(
                    fault->note, sizeof fault->note, "column %.48s: %.64s", field->name, what);
                fault->what = fault->note;
                fault->column = cell->column;
                return false;
            }
        }
    }
    uint64_t all = schema->field_cnt == 64 ? UINT64_MAX : (UINT64_C(1) << schema->field_cnt) - 1;
    *ret_nulls = nulls | (all & ~seen);
    return true;
}

static void
finish_row(const struct self *self, struct cell *cells, char *row, uint64_t nulls, const char *heap)
{
    const struct weir_schema *schema = self->schema;
    for (uint32_t c = 0; c < self->column_cnt; c++) {
        if (self->field_of[c] >= 0 && schema->fields[self->field_of[c]].type == WEIR_TYPE_STR) {
            undouble(&cells[c]);
            struct weir_str str = weir_str_ref(heap, cells[c].text, cells[c].bytes);
            memcpy(row + schema->fields[self->field_of[c]].off, &str, sizeof str);
        }
    }
    for (uint64_t left = nulls; left != 0; left &= left - 1) {
        const struct weir_field *field = &schema->fields[__builtin_ctzll(left)];
        memset(row + field->off, 0, field->bytes);
    }
    if (schema->has_nulls) {
        memcpy(row, &nulls, sizeof nulls);
    }
}

static bool
read_row(const struct self *self, struct cell *cells, int cnt, struct weir_out *out,
    struct weir_decode_fault *fault)
{
    if ((uint32_t)cnt != self->column_cnt) {
        (void)snprintf(
            fault->note, sizeof fault->note, "%d cells, where %u are due", cnt, self->column_cnt);
        fault->what = fault->note;
        return false;
    }
    /* The row is appended once it is good: until then its bytes are nobody's. */
    char *row = out->view.rows + (size_t)out->view.stride * out->view.row_cnt;
    uint64_t nulls;
    if (!read_values(self, cells, row, &nulls, fault)) {
        return false;
    }
    finish_row(self, cells, row, nulls, out->view.heap);
    (void)weir_out_row(out); /* the place that was just filled */
    return true;
}

/* Only a quote that begins a cell opens, and one that no other follows closes. */
static char *
csv_quoted_end(const void *mem, char *at, const char *end)
{
    const struct self *self = mem;
    bool is_cell_start = true;
    while (at < end) {
        if (*at == '\n') {
            return at;
        }
        if (!is_cell_start || *at != '"') {
            is_cell_start = *at == self->conf.separator;
            at++;
            continue;
        }
        do {
            at = memchr(at + 1, '"', (size_t)(end - at - 1));
            if (at == NULL || at + 1 == end) {
                return NULL;
            }
            at++; /* behind the quote: another one makes a pair, which is text */
        } while (*at == '"');
        is_cell_start = false;
    }
    return NULL;
}

static uint32_t
csv_decode(void *mem, const struct weir_decode_lines *lines, struct weir_out *out,
    struct weir_decode_fault *ret_fault)
{
    struct self *self = mem;
    struct cell cells[COLUMN_CNT_MAX];
    uint32_t i = 0;
    for (; i < lines->cnt && weir_out_room(out, 1, 0); i++) {
        int cnt = read_cells(self, &lines->line[i], cells, ret_fault);
        bool is_good = cnt >= 0;
        if (is_good && self->awaits_header) {
            is_good = read_header(self, cells, cnt, ret_fault);
            self->awaits_header = !is_good;
        } else if (is_good) {
            is_good = read_row(self, cells, cnt, out, ret_fault);
        }
        if (!is_good) {
            return i;
        }
    }
    return i;
}

const struct weir_decoder_type weir_decode_csv = {
    .name = "csv",
    .self_bytes = sizeof(struct self),
    .kept_off = offsetof(struct self, awaits_header),
    .kept_bytes = sizeof(struct self) - offsetof(struct self, awaits_header),
    .skips_blank = true,
    .open = csv_open,
    .begin = csv_begin,
    .quoted_end = csv_quoted_end,
    .decode = csv_decode,
};
