/* SPDX-License-Identifier: Apache-2.0 */
/* reference_meet.c: what nodes have to answer in which two streams meet. */
#include <stdlib.h>

#include "apps/sim/reference_priv.h"

static void
pair(const struct sim_row *left, const struct sim_row *right, int64_t at_ms, struct sim_rows *out)
{
    if ((left->value + right->value) % 4 == 0) {
        return;
    }
    struct sim_row *row = sim_rows_add(out, left);
    row->value = (left->value * 31 + right->value) % 100003;
    row->tag = left->tag ^ right->tag;
    row->at_ms = at_ms;
}

/* All entries of one key and window: the left ones come first. */
struct group {
    const struct sim_entry *left;
    uint64_t left_cnt;
    const struct sim_entry *right;
    uint64_t right_cnt;
};

static void
window_join(
    const struct sim_node *node, const struct group *group, int64_t at_ms, struct sim_rows *out)
{
    for (uint64_t l = 0; l < group->left_cnt; l++) {
        bool is_alone = group->right_cnt == 0;
        if (is_alone ? (node->outer & SIM_OUTER_LEFT) != 0 : node->op == SIM_SEMI_JOIN) {
            sim_rows_add(out, group->left[l].row)->at_ms = at_ms;
        }
        for (uint64_t r = 0; r < group->right_cnt && node->op != SIM_SEMI_JOIN; r++) {
            pair(group->left[l].row, group->right[r].row, at_ms, out);
        }
    }
    for (uint64_t r = 0; r < group->right_cnt; r++) {
        if (group->left_cnt == 0 && (node->outer & SIM_OUTER_RIGHT) != 0) {
            struct sim_row *row = sim_rows_add(out, group->right[r].row);
            row->value++;
            row->at_ms = at_ms;
        }
    }
}

/* Left rows add, right ones take away. */
static void
balance(const struct group *group, int64_t at_ms, struct sim_rows *out)
{
    const struct sim_entry *any = group->left_cnt > 0 ? group->left : group->right;
    struct sim_row row = {.key = any->key, .at_ms = at_ms};
    for (uint64_t l = 0; l < group->left_cnt; l++) {
        row.value += group->left[l].row->value;
    }
    for (uint64_t r = 0; r < group->right_cnt; r++) {
        row.value -= group->right[r].row->value;
    }
    row.tag = (int64_t)(group->left_cnt + 4096 * group->right_cnt);
    (void)sim_rows_add(out, &row);
}

/* Whether a pair is one that the node makes, whose keys are equal. */
static bool
is_near(const struct sim_node *node, const struct sim_row *left, const struct sim_row *right)
{
    int64_t apart = right->at_ms - left->at_ms;
    return node->op != SIM_INTERVAL_JOIN || (apart >= -node->slide_ms && apart <= node->size_ms);
}

static void
join(const struct sim_node *node, const struct group *group, struct sim_rows *out)
{
    for (uint64_t l = 0; l < group->left_cnt; l++) {
        for (uint64_t r = 0; r < group->right_cnt; r++) {
            const struct sim_row *a = group->left[l].row;
            const struct sim_row *b = group->right[r].row;
            if (is_near(node, a, b)) {
                pair(a, b, a->at_ms > b->at_ms ? a->at_ms : b->at_ms, out);
            }
        }
    }
}

/* The sum of each left key, and the greatest right row of all whose keys are like it. */
static void
judge(const struct group *group, const struct sim_rows *rules, struct sim_rows *out)
{
    if (group->left_cnt == 0) {
        return;
    }
    struct sim_row row = {.key = group->left[0].key};
    const struct sim_row *rule = NULL;
    for (uint64_t l = 0; l < group->left_cnt; l++) {
        row.value += group->left[l].row->value;
    }
    for (uint64_t r = 0; r < rules->cnt; r++) {
        const struct sim_row *one = &rules->row[r];
        bool is_greater = rule == NULL || one->tag > rule->tag ||
                          (one->tag == rule->tag && one->value > rule->value);
        if (one->key % SIM_RULE_CNT == row.key % SIM_RULE_CNT && is_greater) {
            rule = one;
        }
    }
    row.value = row.value % 100003 * 31 + (rule != NULL ? rule->value : -1);
    row.tag = rule != NULL ? rule->tag : 0;
    (void)sim_rows_add(out, &row);
}

/* Rows of one key, and of one window or bucket where the node has such. */
static void
put_side(const struct sim_node *node, uint64_t side, const struct sim_rows *in,
    struct sim_entries *entries)
{
    if (node->op >= SIM_WINDOW_JOIN && node->op <= SIM_COGROUP) {
        sim_entries_spread(entries, node, side, in, NULL);
        return;
    }
    for (uint64_t i = 0; i < in->cnt; i++) {
        int64_t bucket = node->op == SIM_CONNECT ? in->row[i].at_ms / SIM_BUCKET_MS : 0;
        sim_entries_put(entries, bucket, side, &in->row[i]);
    }
}

/* All pairs of two tables, or their left rows, and rows that have no partner. */
static void
join_tables(const struct sim_node *node, const struct group *group, struct sim_rows *out)
{
    bool semi = node->outer == SIM_OUTER_SEMI;
    bool anti = node->outer == SIM_OUTER_ANTI;
    bool left_outer = !semi && !anti && (node->outer & SIM_OUTER_LEFT) != 0;
    bool right_outer = !semi && !anti && (node->outer & SIM_OUTER_RIGHT) != 0;
    for (uint64_t l = 0; l < group->left_cnt; l++) {
        if (group->right_cnt > 0 ? semi : anti || left_outer) {
            (void)sim_rows_add(out, group->left[l].row);
        }
    }
    for (uint64_t r = 0; r < group->right_cnt && group->left_cnt == 0 && right_outer; r++) {
        sim_rows_add(out, group->right[r].row)->value++;
    }
    if (!semi && !anti) {
        join(node, group, out);
    }
}

/* Rows of a table: counts and sums, or the rows as they are, by keys that are alike. */
static void
make_table(const struct sim_rows *in, bool is_tally, struct sim_rows *out)
{
    for (uint64_t i = 0; i < in->cnt && !is_tally; i++) {
        (void)sim_rows_add(out, &in->row[i]);
    }
    if (is_tally) {
        sim_reference_log(in, out);
    }
    for (uint64_t i = 0; i < out->cnt; i++) {
        out->row[i].key = SIM_TABLE_KEY(out->row[i].key);
    }
}

static void meet(const struct sim_node *node, const struct sim_rows *left,
    const struct sim_rows *right, struct sim_rows *out);

void
sim_reference_meet(const struct sim_node *node, const struct sim_rows *left,
    const struct sim_rows *right, struct sim_rows *out)
{
    struct sim_rows tables[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    if (!node->is_table) {
        meet(node, left, right, out);
        return;
    }
    make_table(left, true, &tables[0]);
    make_table(right, !node->is_mixed, &tables[1]);
    meet(node, &tables[0], &tables[1], out);
    sim_rows_free(&tables[0]);
    sim_rows_free(&tables[1]);
}

static void
meet(const struct sim_node *node, const struct sim_rows *left, const struct sim_rows *right,
    struct sim_rows *out)
{
    struct sim_entries entries = {NULL, 0, 0};
    put_side(node, 0, left, &entries);
    put_side(node, 1, right, &entries);
    sim_entries_sort(&entries);
    for (uint64_t i = 0; i < entries.cnt;) {
        uint64_t end = sim_entries_end(&entries, i);
        uint64_t middle = i;
        while (middle < end && entries.entry[middle].side == 0) {
            middle++;
        }
        const struct group group = {
            &entries.entry[i], middle - i, &entries.entry[middle], end - middle};
        int64_t start = entries.entry[i].start;
        if (node->op == SIM_CONNECT) {
            balance(&group, (start + 1) * SIM_BUCKET_MS - 1, out);
        } else if (node->op == SIM_COGROUP) {
            balance(&group, start + node->size_ms - 1, out);
        } else if (node->op == SIM_RULES) {
            judge(&group, right, out);
        } else if (node->is_table) {
            join_tables(node, &group, out);
        } else if (node->op >= SIM_WINDOW_JOIN) {
            window_join(node, &group, start + node->size_ms - 1, out);
        } else {
            join(node, &group, out);
        }
        i = end;
    }
    free(entries.entry);
}
