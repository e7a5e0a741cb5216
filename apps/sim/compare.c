/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/sim/build.h"
#include "apps/sim/reference.h"
#include "io/sim.h"

#define LINE_BYTES_MAX 160
static const char header[] = "key,value,tag,at,text\n";
static const char log_header[] = "op,key,value,tag,at,text\n";

/* A row as text, and a number that tells nearly all apart. */
struct line {
    uint64_t hash;
    const char *text; /* up to the end of the line */
    uint32_t bytes;
};

struct lines {
    struct line *line;
    uint64_t cnt;
    uint64_t cap;
};

static void
add_line(struct lines *lines, const char *text, uint32_t bytes)
{
    if (lines->cnt == lines->cap) {
        lines->cap = lines->cap == 0 ? 4096 : lines->cap * 2;
        lines->line = realloc(lines->line, lines->cap * sizeof *lines->line);
        if (lines->line == NULL) {
            (void)fputs("sim: no memory for the answers\n", stderr);
            abort();
        }
    }
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    lines->line[lines->cnt] = (struct line){hash, text, bytes};
    lines->cnt++;
}

static int
order(const void *a, const void *b)
{
    const struct line *l = a;
    const struct line *r = b;
    if (l->hash != r->hash) {
        return l->hash < r->hash ? -1 : 1;
    }
    uint32_t bytes = l->bytes < r->bytes ? l->bytes : r->bytes;
    int sign = memcmp(l->text, r->text, bytes);
    return sign != 0 ? sign : (int)l->bytes - (int)r->bytes;
}

static char *
put_number(char *to, int64_t number)
{
    char digits[24];
    uint32_t cnt = 0;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    if (number < 0) {
        *to++ = '-';
    }
    do {
        digits[cnt++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    while (cnt > 0) {
        *to++ = digits[--cnt];
    }
    *to++ = ',';
    return to;
}

/* What the reference says, as lines; ret_text is what they lie in. */
static struct lines
expected_lines(const struct sim_rows *rows, char **ret_text)
{
    struct lines lines = {NULL, 0, 0};
    char *text = malloc(rows->cnt * LINE_BYTES_MAX + 1);
    char *to = text;
    if (text == NULL) {
        (void)fputs("sim: no memory for the answers\n", stderr);
        abort();
    }
    for (uint64_t i = 0; i < rows->cnt; i++) {
        const struct sim_row *row = &rows->row[i];
        char *from = to;
        to = put_number(to, row->key);
        to = put_number(to, row->value);
        to = put_number(to, row->tag);
        to = put_number(to, row->at_ms);
        to += sim_text(row->text, to);
        add_line(&lines, from, (uint32_t)(to - from));
    }
    *ret_text = text;
    return lines;
}

/* Returns false where the file is no table of ours. */
static bool
read_table(const char *text, uint64_t bytes, const char *head, struct lines *lines)
{
    const char *end = text + bytes;
    size_t head_bytes = strlen(head);
    if (bytes == 0) {
        return true;
    }
    if (bytes < head_bytes || memcmp(text, head, head_bytes) != 0 || end[-1] != '\n') {
        return false;
    }
    for (const char *at = text + head_bytes; at < end;) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        add_line(lines, at, (uint32_t)(eol - at));
        at = eol + 1;
    }
    return true;
}

/* All visible files of a sink: F itself, or what lies in F/. */
static bool
read_sink(struct weir_sim *world, const char *path, const char *head, struct lines *lines)
{
    uint64_t bytes;
    size_t path_bytes = strlen(path);
    if (path[path_bytes - 1] != '/') {
        const char *text = weir_sim_get(world, path, &bytes);
        return text != NULL && read_table(text, bytes, head, lines);
    }
    for (uint32_t i = 0; i < weir_sim_path_end(world); i++) {
        const char *name = weir_sim_path_at(world, i);
        if (name == NULL || strncmp(name, path, path_bytes) != 0 || name[path_bytes] == '.' ||
            strchr(name + path_bytes, '/') != NULL) {
            continue;
        }
        const char *text = weir_sim_get(world, name, &bytes);
        if (text == NULL || !read_table(text, bytes, head, lines)) {
            return false;
        }
    }
    return true;
}

static void
sort(struct lines *lines)
{
    if (lines->cnt > 0) {
        qsort(lines->line, lines->cnt, sizeof *lines->line, order);
    }
}

/* ---- logs of changes ---- */

/* "+U,key,value,count,at,text" */
struct change {
    int64_t key;
    int64_t cnt;
    const struct line *line;
};

static int
by_key_and_count(const void *a, const void *b)
{
    const struct change *l = a;
    const struct change *r = b;
    if (l->key != r->key) {
        return l->key < r->key ? -1 : 1;
    }
    if (l->cnt != r->cnt) {
        return l->cnt < r->cnt ? -1 : 1;
    }
    return l->line->text[0] - r->line->text[0]; /* + and then - */
}

/* Whether a change may follow the one before it, of the same key; NULL: there is none. */
static bool
follows(const struct change *change, const struct change *before, bool is_upsert)
{
    const struct line *line = change->line;
    if (before == NULL) {
        return memcmp(line->text, "+I", 2) == 0;
    }
    if (line->text[0] == '-') {
        return !is_upsert && line->text[1] == 'U' && before->line->text[0] == '+' &&
               line->bytes == before->line->bytes &&
               memcmp(line->text + 2, before->line->text + 2, line->bytes - 2) == 0;
    }
    return line->text[1] == 'U' && change->cnt > before->cnt &&
           (is_upsert || before->line->text[0] == '-');
}

/* What a log leaves, in whatever order it lies there: the last row of each key, whose count only
 * rises. Each row before it is taken back right behind it, but in a log of upserts. Returns false
 * where the log is none. */
static bool
replay(const struct lines *log, bool is_upsert, struct lines *ret_lines)
{
    struct change *change = calloc(log->cnt + 1, sizeof *change);
    bool is_right = change != NULL;
    for (uint64_t i = 0; i < log->cnt && is_right; i++) {
        char *end;
        change[i].line = &log->line[i];
        change[i].key = strtoll(log->line[i].text + 3, &end, 10);
        (void)strtoll(end + 1, &end, 10);
        change[i].cnt = strtoll(end + 1, NULL, 10);
    }
    if (is_right) {
        qsort(change, log->cnt, sizeof *change, by_key_and_count);
    }
    for (uint64_t i = 0; i < log->cnt && is_right; i++) {
        bool is_first = i == 0 || change[i - 1].key != change[i].key;
        bool is_last = i + 1 == log->cnt || change[i + 1].key != change[i].key;
        const struct line *line = change[i].line;
        is_right = follows(&change[i], is_first ? NULL : &change[i - 1], is_upsert) &&
                   (!is_last || line->text[0] == '+');
        if (is_last) {
            add_line(ret_lines, line->text + 3, line->bytes - 3);
        }
    }
    free(change);
    return is_right;
}

/* The first row that is on one side only. */
static bool
differ(const struct lines *expected, const struct lines *found, const char *path,
    struct sim_answer *answer)
{
    uint64_t e = 0;
    uint64_t f = 0;
    while (e < expected->cnt && f < found->cnt && order(&expected->line[e], &found->line[f]) == 0) {
        e++;
        f++;
    }
    if (e == expected->cnt && f == found->cnt) {
        return false;
    }
    bool is_missing =
        f == found->cnt || (e < expected->cnt && order(&expected->line[e], &found->line[f]) < 0);
    const struct line *line = is_missing ? &expected->line[e] : &found->line[f];
    (void)snprintf(answer->text, sizeof answer->text,
        "wrong output: %s has %llu rows and should have %llu; %s: %.*s", path,
        (unsigned long long)found->cnt, (unsigned long long)expected->cnt,
        is_missing ? "this one is missing" : "this one is too many", (int)line->bytes, line->text);
    return true;
}

/* What a sink has committed, as the table that it stands for. False: it is none. */
static bool
read_node(
    const struct sim_node *node, struct weir_sim *world, const char *path, struct lines *ret_lines)
{
    struct lines log = {NULL, 0, 0};
    if (!node->is_log) {
        return read_sink(world, path, header, ret_lines);
    }
    bool is_right =
        read_sink(world, path, log_header, &log) && replay(&log, node->is_upsert, ret_lines);
    free(log.line);
    return is_right;
}

static bool
compare_sink(const struct sim_node *node, const struct sim_rows *rows, struct weir_sim *world,
    const char *path, struct sim_answer *answer)
{
    char *text;
    struct lines found = {NULL, 0, 0};
    struct lines expected = expected_lines(rows, &text);
    bool is_right = read_node(node, world, path, &found);
    if (!is_right) {
        (void)snprintf(answer->text, sizeof answer->text, "wrong output: %s is not there, or no %s",
            path, node->is_log ? "log" : "table");
    } else {
        sort(&expected);
        sort(&found);
        is_right = !differ(&expected, &found, path, answer);
    }
    for (uint64_t i = 0; i < found.cnt; i++) {
        answer->hash = answer->hash * 31 + found.line[i].hash;
    }
    free(text);
    free(found.line);
    free(expected.line);
    return is_right;
}

bool
sim_compare(const struct sim_draw *draw, struct weir_sim *world, struct sim_answer *ret_answer)
{
    struct sim_rows rows[SIM_STREAM_CNT_MAX];
    bool is_right = true;
    memset(ret_answer, 0, sizeof *ret_answer);
    sim_reference(draw, rows);
    for (uint32_t i = 0; i < draw->node_cnt && is_right; i++) {
        if (draw->node[i].op == SIM_SINK) {
            const struct sim_rows *in = &rows[draw->node[i].in[0]];
            struct sim_rows table = {NULL, 0, 0};
            char path[SIM_PATH_BYTES_MAX];
            sim_sink_path(draw, i, path);
            if (draw->node[i].is_log) {
                sim_reference_log(in, &table);
            }
            const struct sim_rows *expected = draw->node[i].is_log ? &table : in;
            ret_answer->cnt += expected->cnt;
            is_right = compare_sink(&draw->node[i], expected, world, path, ret_answer);
            sim_rows_free(&table);
        }
    }
    for (uint32_t i = 0; i < SIM_STREAM_CNT_MAX; i++) {
        sim_rows_free(&rows[i]);
    }
    return is_right;
}
