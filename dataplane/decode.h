/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h: how lines of text become rows. A decoder is lent lines and an output, many at a time.
 *
 *     "7,ann\n8,bob\n"  --source-->  {"7,ann"} {"8,bob"}  --csv-->  (7, "ann") (8, "bob")
 *
 * The lines lie in one stretch of memory that is the heap of the batch: strings of the rows refer
 * to it, and nothing is copied. Once all of a line is known to be good, a decoder may rewrite the
 * line's own bytes (take escapes out); a bad line is left as it was, for the message.
 *
 * Three decoders stand here: text (a row per line), csv (RFC 4180) and json (an object per line, by
 * a schema that the user declares). Others are types of their own, such as Nexmark's.
 */
#ifndef WEIR_DATAPLANE_DECODE_H
#define WEIR_DATAPLANE_DECODE_H

#include "dataplane/batch.h"

WEIR_C_BEGIN

/* A row per line: what the text decoder makes. */
#define WEIR_LINE(F) F(str, text) F(i64, number)
WEIR_SCHEMA(weir_line, WEIR_LINE)

struct weir_decode_line {
    char *text; /* in the heap, without the end of the line */
    uint32_t bytes;
    uint32_t slack; /* bytes behind it that may be read, up to WEIR_JSON_SLACK_BYTES */
    uint64_t number; /* of the line in its file, from 1 */
};

struct weir_decode_lines {
    const struct weir_decode_line *line;
    uint32_t cnt;
    char *heap;
};

/* Why a line was refused. */
struct weir_decode_fault {
    const char *what; /* NULL: it was not; a literal, or note */
    uint32_t column; /* byte in the line, from 1; 0: the line as a whole */
    char note[128];
};

struct weir_decoder_type {
    const char *name;
    uint32_t self_bytes; /* zeroed memory for open and the rest */
    /* The part of it that was learned from lines and goes on with the next ones, after a restart,
     * too: no pointers. 0 bytes: there is none. */
    uint32_t kept_off;
    uint32_t kept_bytes;
    bool skips_blank; /* lines without anything are passed over */
    /* open - schema fits the decoder and conf, or an error. */
    int (*open)(void *self, const void *conf, const struct weir_schema *schema);
    /* begin - the next line is the first of a file. May be NULL. */
    void (*begin)(void *self);
    /* quoted_end - the line feed that ends a line in which a double quote stands, NULL where it is
     * not before `end`: the decoder knows which line feeds are of the line. NULL: the first one
     * is. */
    char *(*quoted_end)(const void *self, char *at, const char *end);
    /* decode - append rows (row layout) for lines until all are done or out has no room.
     *
     * out->view.heap is lines->heap; a decoder that copies its texts into out sets it to out->base.
     * Returns: lines consumed. Where ret_fault->what is set, the next one is refused. */
    uint32_t (*decode)(void *self, const struct weir_decode_lines *lines, struct weir_out *out,
        struct weir_decode_fault *ret_fault);
};

struct weir_decode_csv_conf {
    char separator; /* 0 means a comma */
    bool has_header; /* the first line of each file names the columns, in any order */
};

/* Text: the schema's first field is a str; a field `number` of type i64 may follow. conf is
 *       NULL. */
extern WEIR_API const struct weir_decoder_type weir_decode_text;
/* CSV: struct weir_decode_csv_conf, or NULL for a comma and no header. An empty cell without quotes
 * is a null where the field may be null. */
extern WEIR_API const struct weir_decoder_type weir_decode_csv;
/* JSON: members by name in any order, others skipped, the last of one name counts; conf is NULL. */
extern WEIR_API const struct weir_decoder_type weir_decode_json;

WEIR_C_END

#endif
