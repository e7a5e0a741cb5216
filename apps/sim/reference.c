/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/sim/reference_priv.h"

struct sim_row *
sim_rows_add(struct sim_rows *rows, const struct sim_row *row)
{
    if (rows->cnt == rows->cap) {
        rows->cap = rows->cap == 0 ? 1024 : rows->cap * 2;
        rows->row = realloc(rows->row, rows->cap * sizeof *rows->row);
        if (rows->row == NULL) {
            (void)fputs("sim: no memory for the reference\n", stderr);
            abort();
        }
    }
    rows->row[rows->cnt] = *row;
    rows->cnt++;
    return &rows->row[rows->cnt - 1];
}

void
sim_rows_free(struct sim_rows *rows)
{
    free(rows->row);
    *rows = (struct sim_rows){NULL, 0, 0};
}

/* ---- rows one by one ---- */

static uint64_t
mixed(const struct sim_row *row)
{
    uint64_t x = (uint64_t)(row->tag * 31 + row->value * 7 + row->key);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Key k is in the table k % 9 times; a row whose key is not there stays as it is. */
static void
look_up(const struct sim_row *row, struct sim_rows *out)
{
    int64_t cnt = row->key < SIM_LOOKUP_KEY_CNT ? row->key % SIM_LOOKUP_COPY_CNT : 0;
    if (cnt == 0) {
        (void)sim_rows_add(out, row);
    }
    for (int64_t i = 0; i < cnt; i++) {
        struct sim_row *met = sim_rows_add(out, row);
        met->value = (31 * row->value + 17 * row->key + i) % 100003;
        met->tag = row->tag ^ i;
    }
}

static void
go_round(struct sim_row *row)
{
    do {
        row->tag ^= row->value & 255;
        row->value /= SIM_LOOP_DIVISOR;
    } while (row->value > SIM_LOOP_DONE || row->value < -SIM_LOOP_DONE);
}

static void
one_by_one(const struct sim_node *node, const struct sim_rows *in, struct sim_rows *out)
{
    enum sim_op op = node->op;
    uint64_t divisor = 256;
    for (uint32_t i = 0; i < node->thin_level; i++) {
        divisor *= 8;
    }
    for (uint64_t i = 0; i < in->cnt; i++) {
        struct sim_row row = in->row[i];
        uint64_t copies = 1;
        if (node->loop != SIM_LOOP_NONE) {
            go_round(&row);
        }
        if (op == SIM_MAP) {
            row.value = (3 * row.value + 1) % 100003;
        } else if (op == SIM_REKEY) {
            row.key = (int64_t)((uint64_t)(31 * row.key + row.value) % 61);
        } else if (op == SIM_FILTER) {
            copies = mixed(&row) % 4 != 0;
        } else if (op == SIM_THIN) {
            copies = (mixed(&row) / divisor) % 8 == 0;
        } else if (op == SIM_LOOKUP) {
            look_up(&row, out);
            copies = 0;
        } else if (op == SIM_ASK || op == SIM_ASK_ANY) {
            copies = row.value % 7 == 0 ? 0 : row.value % 5 == 0 ? 2 : 1;
            row.value = (11 * row.value + 5) % 100003;
        } else {
            copies = (uint64_t)row.value % 3;
        }
        for (uint64_t c = 0; c < copies; c++) {
            struct sim_row *copy = sim_rows_add(out, &row);
            copy->value += (int64_t)c;
            copy->tag += (int64_t)c;
        }
    }
}

/* ---- windows: one entry per row and window, sorted ---- */

static int
by_window(const void *a, const void *b)
{
    const struct sim_entry *l = a;
    const struct sim_entry *r = b;
    if (l->start != r->start) {
        return l->start < r->start ? -1 : 1;
    }
    if (l->key != r->key) {
        return l->key < r->key ? -1 : 1;
    }
    return l->side != r->side ? (l->side < r->side ? -1 : 1) : 0;
}

void
sim_entries_put(
    struct sim_entries *entries, int64_t start, uint64_t side, const struct sim_row *row)
{
    if (entries->cnt == entries->cap) {
        entries->cap = entries->cap == 0 ? 4096 : entries->cap * 2;
        entries->entry = realloc(entries->entry, entries->cap * sizeof *entries->entry);
        if (entries->entry == NULL) {
            (void)fputs("sim: no memory for the reference\n", stderr);
            abort();
        }
    }
    entries->entry[entries->cnt] = (struct sim_entry){start, row->key, side, row};
    entries->cnt++;
}

/* Each row into the windows that hold its time. Times are not negative, starts may be. */
void
sim_entries_spread(struct sim_entries *entries, const struct sim_node *node, uint64_t side,
    const struct sim_rows *in, struct sim_rows *late)
{
    for (uint64_t i = 0; i < in->cnt; i++) {
        const struct sim_row *row = &in->row[i];
        if (row->is_late) {
            if (late != NULL) {
                (void)sim_rows_add(late, row);
            }
            continue;
        }
        int64_t last = row->at_ms - row->at_ms % node->slide_ms;
        for (int64_t start = last; start > row->at_ms - node->size_ms; start -= node->slide_ms) {
            sim_entries_put(entries, start, side, row);
        }
    }
}

void
sim_entries_sort(struct sim_entries *entries)
{
    if (entries->cnt > 0) {
        qsort(entries->entry, entries->cnt, sizeof *entries->entry, by_window);
    }
}

/* The end of the entries of one key and window that begin at `from`. */
uint64_t
sim_entries_end(const struct sim_entries *entries, uint64_t from)
{
    uint64_t to = from + 1;
    while (to < entries->cnt && entries->entry[to].start == entries->entry[from].start &&
           entries->entry[to].key == entries->entry[from].key) {
        to++;
    }
    return to;
}

/* Moves the rows of a window that count to its front. Returns how many. */
static uint64_t
evict(const struct sim_node *node, struct sim_entry *group, uint64_t cnt)
{
    int64_t latest = group[0].row->at_ms;
    uint64_t kept = 0;
    for (uint64_t i = 1; i < cnt; i++) {
        latest = group[i].row->at_ms > latest ? group[i].row->at_ms : latest;
    }
    for (uint64_t i = 0; i < cnt; i++) {
        if (node->evict_ms == 0 || group[i].row->at_ms > latest - node->evict_ms) {
            group[kept++] = group[i];
        }
    }
    return kept;
}

static void
fold(const struct sim_node *node, const struct sim_entry *group, uint64_t cnt,
    struct sim_row *ret_row)
{
    int64_t end = group[0].start + node->size_ms;
    struct sim_row row = {.key = group[0].key, .at_ms = end - 1, .tag = end};
    if (node->op == SIM_WINDOW_XOR) {
        row.tag = 0;
    } else if (node->op == SIM_WINDOW_MOST) {
        row.tag = group[0].row->tag;
        row.value = group[0].row->value;
    }
    for (uint64_t i = 0; i < cnt; i++) {
        const struct sim_row *one = group[i].row;
        if (node->op == SIM_WINDOW_SUM) {
            row.value += one->value;
        } else if (node->op == SIM_WINDOW_XOR) {
            row.value += one->value;
            row.tag ^= one->tag;
        } else if (node->op == SIM_WINDOW_MOST) {
            row.value = one->value > row.value ? one->value : row.value;
            row.tag = one->tag < row.tag ? one->tag : row.tag;
        } else {
            row.value++;
        }
    }
    *ret_row = row;
}

static int
highest_first(const void *a, const void *b)
{
    const struct sim_row *l = a;
    const struct sim_row *r = b;
    return l->value != r->value ? (l->value > r->value ? -1 : 1) : 0;
}

/* Of the rows of one window, the highest and all that equal the last of them. */
static void
keep_top(struct sim_rows *rows, uint64_t from, uint32_t top_cnt)
{
    uint64_t cnt = rows->cnt - from;
    if (cnt <= top_cnt) {
        return;
    }
    qsort(&rows->row[from], cnt, sizeof *rows->row, highest_first);
    uint64_t keep = top_cnt;
    while (keep < cnt && rows->row[from + keep].value == rows->row[from + top_cnt - 1].value) {
        keep++;
    }
    rows->cnt = from + keep;
}

static int
by_key_and_time(const void *a, const void *b)
{
    const struct sim_row *l = *(const struct sim_row *const *)a;
    const struct sim_row *r = *(const struct sim_row *const *)b;
    if (l->key != r->key) {
        return l->key < r->key ? -1 : 1;
    }
    return l->at_ms != r->at_ms ? (l->at_ms < r->at_ms ? -1 : 1) : 0;
}

/* Rows at even times, each key's while no two that follow are more than the gap apart. */
static void
sessions(const struct sim_node *node, const struct sim_rows *in, struct sim_rows *out)
{
    const struct sim_row **row = calloc(in->cnt + 1, sizeof(const struct sim_row *));
    uint64_t cnt = 0;
    if (row == NULL) {
        (void)fputs("sim: no memory for the reference\n", stderr);
        abort();
    }
    for (uint64_t i = 0; i < in->cnt; i++) {
        if (in->row[i].at_ms % 2 == 0) {
            row[cnt++] = &in->row[i];
        }
    }
    qsort(row, cnt, sizeof *row, by_key_and_time);
    for (uint64_t i = 0; i < cnt;) {
        struct sim_row all = {.key = row[i]->key};
        uint64_t first = i;
        do {
            all.at_ms = row[i]->at_ms + node->size_ms - 1;
            i++;
        } while (i < cnt && row[i]->key == row[first]->key && row[i]->at_ms <= all.at_ms + 1);
        for (uint64_t k = first; k < i; k++) {
            bool counts = node->evict_ms == 0 || row[k]->at_ms > row[i - 1]->at_ms - node->evict_ms;
            all.value += counts ? row[k]->value : 0;
            all.tag ^= counts ? row[k]->tag : 0;
        }
        (void)sim_rows_add(out, &all);
    }
    free(row);
}

static void
window(const struct sim_node *node, const struct sim_rows *in, struct sim_rows *out,
    struct sim_rows *late)
{
    if (node->is_session) {
        sessions(node, in, out);
        return;
    }
    struct sim_entries entries = {NULL, 0, 0};
    uint64_t first_of_window = out->cnt;
    sim_entries_spread(&entries, node, 0, in, late);
    sim_entries_sort(&entries);
    for (uint64_t i = 0; i < entries.cnt;) {
        struct sim_row row;
        uint64_t end = sim_entries_end(&entries, i);
        fold(node, &entries.entry[i], evict(node, &entries.entry[i], end - i), &row);
        (void)sim_rows_add(out, &row);
        if (node->op == SIM_TOP &&
            (end == entries.cnt || entries.entry[end].start != entries.entry[i].start)) {
            keep_top(out, first_of_window, node->top_cnt);
            first_of_window = out->cnt;
        }
        i = end;
    }
    free(entries.entry);
}

/* ---- by key ---- */

/* What is kept for each key; keys are small numbers. */
struct kept {
    int64_t cnt;
    int64_t sum;
};
#define KEY_CNT_MAX (SIM_SPLIT_CNT_MAX * 4096)

static void
in_order(enum sim_op op, const struct sim_rows *in, struct sim_rows *out, struct sim_rows *side)
{
    struct kept kept[KEY_CNT_MAX] = {{0, 0}};
    for (uint64_t i = 0; i < in->cnt; i++) {
        const struct sim_row *row = &in->row[i];
        struct kept *key = &kept[row->key];
        key->cnt++;
        if (op == SIM_REDUCE) {
            key->sum = (key->sum * 5 + row->value) % 1000003;
            struct sim_row *made = sim_rows_add(out, row);
            made->value = key->sum;
            made->text = 0;
            continue;
        }
        if (key->cnt % 3 == 0) {
            sim_rows_add(out, row)->value = key->cnt;
        }
        if (row->value % 5 == 0) {
            (void)sim_rows_add(side, row);
        }
    }
}

static void
timed(enum sim_op op, const struct sim_rows *in, struct sim_rows *out)
{
    struct sim_entries entries = {NULL, 0, 0};
    for (uint64_t i = 0; i < in->cnt; i++) {
        const struct sim_row *row = &in->row[i];
        sim_entries_put(&entries, row->at_ms / SIM_BUCKET_MS, 0, row);
    }
    sim_entries_sort(&entries);
    for (uint64_t i = 0; i < entries.cnt;) {
        uint64_t end = sim_entries_end(&entries, i);
        int64_t at_ms = (entries.entry[i].start + 1) * SIM_BUCKET_MS - 1;
        struct sim_row row = {.key = entries.entry[i].key, .at_ms = at_ms, .value = at_ms % 1000};
        if (op == SIM_BUCKET) {
            row.value = 0;
            for (uint64_t k = i; k < end; k++) {
                row.value += entries.entry[k].row->value;
            }
        }
        (void)sim_rows_add(out, &row);
        i = end;
    }
    free(entries.entry);
}

/* ---- tables at the end ---- */

static int
by_number(const void *a, const void *b)
{
    int64_t l = *(const int64_t *)a;
    int64_t r = *(const int64_t *)b;
    return l < r ? -1 : l > r;
}

/* How many different ones there are of so many numbers, which are in order then. */
static int64_t
different(int64_t *number, uint64_t cnt)
{
    int64_t found = 0;
    qsort(number, cnt, sizeof *number, by_number);
    for (uint64_t i = 0; i < cnt; i++) {
        found += i == 0 || number[i] != number[i - 1];
    }
    return found;
}

/* Rows of one key, as one. */
static void
group_key(const struct sim_entries *entries, uint64_t from, uint64_t end, struct sim_rows *out)
{
    struct sim_row row = {.key = entries->entry[from].key};
    int64_t *number = calloc(2 * (end - from), sizeof *number);
    int64_t *odd = number + (end - from);
    uint64_t odd_cnt = 0;
    if (number == NULL) {
        (void)fputs("sim: no memory for the reference\n", stderr);
        abort();
    }
    for (uint64_t i = from; i < end; i++) {
        const struct sim_row *in = entries->entry[i].row;
        row.value += in->value;
        row.at_ms = i == from || in->at_ms > row.at_ms ? in->at_ms : row.at_ms;
        number[i - from] = in->tag;
        if (in->value >= 0 && in->value < SIM_BEST_KEY_CNT) {
            odd[odd_cnt++] = in->value;
        }
    }
    row.value = row.value % 100003 * 31 + (int64_t)(end - from);
    row.tag = different(number, end - from) * 4096 + different(odd, odd_cnt);
    (void)sim_rows_add(out, &row);
    free(number);
}

/* How many rows of one key there are, and the sum of their values. */
static void
tally_key(const struct sim_entries *entries, uint64_t from, uint64_t end, struct sim_rows *out)
{
    struct sim_row row = {.key = entries->entry[from].key, .tag = (int64_t)(end - from)};
    for (uint64_t i = from; i < end; i++) {
        row.value += entries->entry[i].row->value;
    }
    (void)sim_rows_add(out, &row);
}

/* The greatest values of each key, put together by few keys. */
static void
best(const struct sim_node *node, const struct sim_entries *entries, struct sim_rows *out)
{
    struct {
        int64_t *value;
        uint64_t cnt;
    } few[SIM_BEST_KEY_CNT] = {{NULL, 0}};
    for (uint64_t i = 0; i < entries->cnt;) {
        uint64_t end = sim_entries_end(entries, i);
        uint64_t cnt = end - i;
        uint64_t to = (uint64_t)entries->entry[i].key % SIM_BEST_KEY_CNT;
        int64_t *all = calloc(cnt, sizeof *all);
        uint64_t taken = cnt < node->top_cnt ? cnt : node->top_cnt;
        int64_t *more = realloc(few[to].value, (few[to].cnt + taken) * sizeof *few[to].value);
        if (all == NULL || more == NULL) {
            (void)fputs("sim: no memory for the reference\n", stderr);
            abort();
        }
        for (uint64_t k = i; k < end; k++) {
            all[k - i] = entries->entry[k].row->value;
        }
        qsort(all, cnt, sizeof *all, by_number);
        memcpy(more + few[to].cnt, all + (cnt - taken), taken * sizeof *all);
        few[to].value = more;
        few[to].cnt += taken;
        free(all);
        i = end;
    }
    for (int64_t k = 0; k < SIM_BEST_KEY_CNT; k++) {
        struct sim_row row = {.key = k};
        for (uint64_t i = 0; i < few[k].cnt; i++) {
            row.value += few[k].value[i];
        }
        row.value = row.value % 100003 * 31 + (int64_t)few[k].cnt;
        if (few[k].cnt > 0) {
            int64_t kinds = different(few[k].value, few[k].cnt);
            row.tag = few[k].value[0] * 4096 + kinds;
            (void)sim_rows_add(out, &row);
        }
        free(few[k].value);
    }
}

static void
folded(const struct sim_node *node, const struct sim_rows *in, struct sim_rows *out)
{
    struct sim_entries entries = {NULL, 0, 0};
    for (uint64_t i = 0; i < in->cnt; i++) {
        sim_entries_put(&entries, 0, 0, &in->row[i]);
    }
    sim_entries_sort(&entries);
    if (node->op == SIM_BEST) {
        best(node, &entries, out);
    }
    for (uint64_t i = 0; i < entries.cnt && node->op != SIM_BEST;) {
        uint64_t end = sim_entries_end(&entries, i);
        if (node->op == SIM_GROUP) {
            group_key(&entries, i, end, out);
        } else {
            tally_key(&entries, i, end, out);
        }
        i = end;
    }
    free(entries.entry);
}

/* ---- all of it ---- */

static void
read_source(const struct sim_source *source, struct sim_rows *out)
{
    for (uint32_t split = 0; split < source->split_cnt; split++) {
        for (uint64_t i = 0; i < source->row_cnt; i++) {
            struct sim_row row;
            sim_row_at(source, split, i, &row);
            (void)sim_rows_add(out, &row);
        }
    }
}

static void
run_node(const struct sim_draw *draw, const struct sim_node *node, struct sim_rows *rows)
{
    const struct sim_rows *in = node->in[0] != SIM_NO_STREAM ? &rows[node->in[0]] : NULL;
    const struct sim_rows *right = node->in[1] != SIM_NO_STREAM ? &rows[node->in[1]] : NULL;
    struct sim_rows *out = node->out[0] != SIM_NO_STREAM ? &rows[node->out[0]] : NULL;
    struct sim_rows *side = node->out[1] != SIM_NO_STREAM ? &rows[node->out[1]] : NULL;
    if (node->op == SIM_SOURCE) {
        read_source(&draw->source[node->source], out);
    } else if (node->op <= SIM_FLATMAP) {
        one_by_one(node, in, out);
    } else if (node->op == SIM_UNION) {
        for (uint64_t i = 0; i < in->cnt + right->cnt; i++) {
            (void)sim_rows_add(out, i < in->cnt ? &in->row[i] : &right->row[i - in->cnt]);
        }
    } else if (node->op <= SIM_TOP) {
        window(node, in, out, side);
    } else if (node->op <= SIM_PROCESS) {
        in_order(node->op, in, out, side);
    } else if (node->op <= SIM_BUCKET) {
        timed(node->op, in, out);
    } else if (node->op <= SIM_BEST) {
        folded(node, in, out);
    } else if (node->op < SIM_SINK) {
        sim_reference_meet(node, in, right, out);
    }
}

void
sim_reference_log(const struct sim_rows *in, struct sim_rows *out)
{
    const struct sim_node tally = {.op = SIM_CLOCK};
    folded(&tally, in, out);
}

void
sim_reference(const struct sim_draw *draw, struct sim_rows *ret_rows)
{
    memset(ret_rows, 0, SIM_STREAM_CNT_MAX * sizeof *ret_rows);
    for (uint32_t i = 0; i < draw->node_cnt; i++) {
        run_node(draw, &draw->node[i], ret_rows);
    }
}
