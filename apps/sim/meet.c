/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/meet.h"

#include <string.h>

#include "apps/sim/bucket.h"
#include "apps/sim/schema.h"
#include "sched/weir.h"

/* Longer than a trial takes. */
#define TTL_MS INT64_C(86400000)
#define LOOKUP_BYTES (4 * WEIR_MIB)
/* Behind all rows, and before the end. */
#define END_MS (INT64_MAX / 4)

/* ---- pairs ---- */

WEIR_JOIN(pair, cell, cell, cell)
{
    row->key = left->key;
    row->value = (left->value * 31 + right->value) % 100003;
    row->tag = left->tag ^ right->tag;
    row->at = at->time;
    weir_join_text(out, &row->text, &left->text, at->left_heap);
    return (left->value + right->value) % 4 != 0;
}

WEIR_JOIN(alone, cell, cell, cell)
{
    row->key = left->key;
    row->value = left->value;
    row->tag = left->tag;
    row->at = at->time;
    weir_join_text(out, &row->text, &left->text, at->left_heap);
    return true;
}

WEIR_JOIN(outer, cell, cell, cell)
{
    if (left != NULL && right != NULL) {
        return pair_pair(left, right, at, row, out);
    }
    const struct cell *one = left != NULL ? left : right;
    row->key = one->key;
    row->value = one->value + (left == NULL);
    row->tag = one->tag;
    row->at = at->time;
    weir_join_text(out, &row->text, &one->text, left != NULL ? at->left_heap : at->right_heap);
    return true;
}

WEIR_JOIN(looked, cell, cell, cell)
{
    row->key = left->key;
    row->value = right == NULL ? left->value : (left->value * 31 + right->value) % 100003;
    row->tag = right == NULL ? left->tag : left->tag ^ right->tag;
    row->at = left->at;
    weir_join_text(out, &row->text, &left->text, at->left_heap);
    return true;
}

/* ---- all rows of a key and window ---- */

struct balance {
    int64_t sum;
    int64_t cnt;
    int64_t key;
};

WEIR_COGROUP(balanced, cell, cell, cell, struct balance)
{
    struct weir_cogroup_row row;
    if (!weir_out_room(out, 1, 0)) {
        return WEIR_AGAIN;
    }
    for (uint32_t side = 0; side < 2; side++) {
        for (; weir_cogroup_peek(group, side, &row); weir_cogroup_step(group, side)) {
            const struct cell *in = row.row;
            pos->sum += side == 0 ? in->value : -in->value;
            pos->cnt += side == 0 ? 1 : 4096;
            pos->key = in->key;
        }
    }
    struct cell *made = cell_emit(out);
    memset(made, 0, sizeof *made);
    made->key = pos->key;
    made->value = pos->sum;
    made->tag = pos->cnt;
    made->at = group->time;
    return WEIR_DONE;
}

/* ---- functions of two inputs ---- */

static const struct weir_kind connected_kinds[] = {
    WEIR_KIND_MAP("balances", sizeof(int64_t), sizeof(struct balance), WEIR_NO_TTL),
};

struct connected {
    int64_t rung;
};

/* Either side adds to the bucket of its time. */
static int
connected_add(struct weir_process *p, const struct cell *in, int64_t value, int64_t cnt)
{
    struct weir_keyed_state *balances = weir_process_state(p, 0);
    struct balance balance = {.key = in->key};
    int64_t end = sim_bucket_end(in->at);
    uint32_t bytes;
    int late = sim_check_on_time(p, in);
    if (late != 0) {
        return late;
    }
    const struct balance *old = weir_map_get(balances, WEIR_BYTES(&end), &bytes);
    balance = old != NULL ? *old : balance;
    balance.sum += value;
    balance.cnt += cnt;
    int err = weir_map_put(balances, WEIR_BYTES(&end), WEIR_BYTES(&balance));
    return err != 0 ? err : weir_process_timer_set(p, end, 0);
}

WEIR_PROCESS_TIMED_KINDS(connected, cell, struct connected, cell, connected_kinds)
{
    (void)state;
    return connected_add(p, in, in->value, 1);
}
WEIR_PROCESS_SECOND(connected, cell, struct connected)
{
    (void)state;
    return connected_add(p, in, -in->value, 4096);
}
WEIR_ON_TIMER(connected, struct connected)
{
    struct weir_keyed_state *balances = weir_process_state(p, 0);
    uint32_t bytes;
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    const struct balance *balance = weir_map_get(balances, WEIR_BYTES(&time), &bytes);
    if (balance == NULL) {
        return weir_err_push(WEIR_EBUG, "invariant T2: a timer without its state");
    }
    struct cell *row = cell_emit(p->out);
    memset(row, 0, sizeof *row);
    row->key = weir_process_key(p, 0);
    row->value = balance->sum;
    row->tag = balance->cnt;
    row->at = time;
    (void)weir_map_remove(balances, WEIR_BYTES(&time));
    return sim_check_timer(p, time, &state->rung);
}

struct judged {
    int64_t sum;
};

struct rule {
    int64_t tag;
    int64_t value;
};

WEIR_PROCESS_TIMED(judged, cell, struct judged, cell)
{
    state->sum += in->value;
    return weir_process_timer_set(p, END_MS, 0);
}
/* Rules come to each subtask in another order: the greatest one counts. */
WEIR_PROCESS_BROADCAST(judged, cell)
{
    int64_t number = (int64_t)((uint64_t)in->key % SIM_RULE_CNT);
    const struct rule rule = {in->tag, in->value};
    uint32_t bytes;
    const struct rule *now = weir_process_broadcast_find(p, &number, sizeof number, &bytes);
    bool is_less =
        now != NULL && (now->tag > rule.tag || (now->tag == rule.tag && now->value > rule.value));
    return is_less ? (int)WEIR_DONE
                   : weir_process_broadcast_put(p, &number, sizeof number, &rule, sizeof rule);
}
WEIR_ON_TIMER(judged, struct judged)
{
    int64_t number = (int64_t)((uint64_t)weir_process_key(p, 0) % SIM_RULE_CNT);
    uint32_t bytes;
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    const struct rule *rule = weir_process_broadcast_find(p, &number, sizeof number, &bytes);
    struct cell *row = cell_emit(p->out);
    memset(row, 0, sizeof *row);
    row->key = weir_process_key(p, 0);
    row->value = state->sum % 100003 * 31 + (rule != NULL ? rule->value : -1);
    row->tag = rule != NULL ? rule->tag : 0;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

/* ---- tables that change ---- */

struct weir_stream *
sim_tally(struct weir_stream *in, const char *name, const char *map_name)
{
    static const struct weir_group_conf conf = {
        .column = {{WEIR_GROUP_COUNT, "cnt", NULL, NULL, 0, 0},
            {WEIR_GROUP_SUM, "sum", "value", NULL, 0, 0}},
        .column_cnt = 2,
    };
    return weir_map(weir_group(in, name, &conf, tallied_schema()), map_name, &of_tallied_op);
}

/* The same by a function that tells kinds itself. */
struct tally {
    int64_t cnt;
    int64_t sum;
};

static void
tell_tally(struct weir_process *p, const struct tally *tally, enum weir_row_kind kind)
{
    weir_process_tell(p, kind);
    struct tallied *row = tallied_emit(p->out);
    row->key = weir_process_key(p, 0);
    row->cnt = tally->cnt;
    row->sum = tally->sum;
}

WEIR_PROCESS(tallying, cell, struct tally, tallied)
{
    if (!weir_out_room(p->out, 2, 0)) {
        return WEIR_AGAIN;
    }
    bool is_first = state->cnt == 0;
    if (!is_first) {
        tell_tally(p, state, WEIR_ROW_UPDATE_BEFORE);
    }
    state->cnt++;
    state->sum += in->value;
    tell_tally(p, state, is_first ? WEIR_ROW_INSERT : WEIR_ROW_UPDATE_AFTER);
    return WEIR_DONE;
}

WEIR_MAP(to_table, cell, cell)
{
    *out = *in;
    out->key = SIM_TABLE_KEY(in->key);
}

struct weir_stream *
sim_meet_tables(const struct sim_node *node, struct weir_stream *left, struct weir_stream *right,
    const struct sim_table_names *names)
{
    bool has_pairs = node->outer <= (SIM_OUTER_LEFT | SIM_OUTER_RIGHT);
    const struct weir_join_conf conf = {
        .join = has_pairs ? &outer_join : &alone_join,
        .outer = has_pairs ? (enum weir_join_outer)node->outer : WEIR_JOIN_INNER,
        .semi = node->outer == SIM_OUTER_SEMI,
        .anti = node->outer == SIM_OUTER_ANTI,
    };
    struct weir_stream *side[2] = {left, right};
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_stream *s = weir_key_by(side[i], WEIR_KEY(cell, key));
        if (i == 0 && node->outer % 2 == 1) {
            s = weir_process_changes(
                s, names->tally[i], &tallying_process, NULL, WEIR_CHANGES_MADE);
            s = weir_map(s, names->cell[i], &of_tallied_op);
        } else if (i == 0 || !node->is_mixed) {
            s = sim_tally(s, names->tally[i], names->cell[i]);
        }
        side[i] = weir_key_by(weir_map(s, names->few[i], &to_table_op), WEIR_KEY(cell, key));
    }
    const struct weir_join_conf ttl = {.join = &pair_join, .ttl_ms = TTL_MS};
    struct weir_stream *s;
    if (node->outer != WEIR_JOIN_INNER) {
        s = weir_table_join(side[0], side[1], names->join, &conf);
    } else {
        s = node->is_mixed ? weir_ttl_join(side[0], side[1], names->join, &ttl)
                           : weir_join(side[0], side[1], names->join, &pair_join);
    }
    return weir_fold(weir_key_by(s, WEIR_KEY(cell, key)), names->fold, WEIR_FOLD_ROWS);
}

/* ---- a table that does not change ---- */

struct table_at {
    int64_t key;
    int64_t copy;
};

static int
table_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct table_at *at = op->self;
    (void)now_ns;
    for (; at->key < SIM_LOOKUP_KEY_CNT; at->key++, at->copy = 0) {
        for (; at->copy < at->key % SIM_LOOKUP_COPY_CNT; at->copy++) {
            if (!weir_out_room(out, 1, 0)) {
                return WEIR_AGAIN;
            }
            struct cell *row = cell_emit(out);
            memset(row, 0, sizeof *row);
            row->key = at->key;
            row->value = at->key * 17 + at->copy;
            row->tag = at->copy;
        }
    }
    return WEIR_DONE;
}

static const struct weir_operator_type table_type = {.name = "sim_table",
    .self_bytes = sizeof(struct table_at),
    .output_cnt = 1,
    .poll = table_poll};

struct weir_stream *
sim_lookup(struct weir_stream *in, const char *name)
{
    const struct weir_lookup_conf conf = {.join = &looked_join,
        .left_key = WEIR_KEY(cell, key),
        .right_key = WEIR_KEY(cell, key),
        .outer = true,
        .source = &table_type,
        .table_bytes_max = LOOKUP_BYTES};
    return weir_lookup_join(in, name, &conf);
}

/* ---- nodes ---- */

struct weir_stream *
sim_meet(const struct sim_node *node, struct weir_stream *left, struct weir_stream *right,
    const char *name)
{
    const struct weir_join_conf conf = {
        .join = node->op == SIM_SEMI_JOIN    ? &alone_join
                : node->op == SIM_OUTER_JOIN ? &outer_join
                                             : &pair_join,
        .span = WEIR_SLIDE(node->size_ms, node->slide_ms),
        .semi = node->op == SIM_SEMI_JOIN,
        .outer = (node->outer & SIM_OUTER_LEFT ? WEIR_JOIN_OUTER_LEFT : 0) |
                 (node->outer & SIM_OUTER_RIGHT ? WEIR_JOIN_OUTER_RIGHT : 0),
        .lower_ms = -node->slide_ms,
        .upper_ms = node->size_ms,
        .ttl_ms = TTL_MS,
    };
    const struct weir_cogroup_conf group = {.function = &balanced_group, .span = conf.span};
    const struct weir_connect_conf connect = {
        .function = &connected_process, .second = &connected_second};
    const struct weir_connect_conf rules = {.function = &judged_process, .second = &judged_second};
    left = weir_key_by(left, WEIR_KEY(cell, key));
    right = node->op == SIM_RULES ? right : weir_key_by(right, WEIR_KEY(cell, key));
    switch (node->op) {
    case SIM_JOIN:
        return weir_join(left, right, name, &pair_join);
    case SIM_TTL_JOIN:
        return weir_ttl_join(left, right, name, &conf);
    case SIM_INTERVAL_JOIN:
        return weir_interval_join(left, right, name, &conf);
    case SIM_COGROUP:
        return weir_cogroup(left, right, name, &group);
    case SIM_CONNECT:
        return weir_connect(left, right, name, &connect);
    case SIM_RULES:
        return weir_connect(left, right, name, &rules);
    default:
        return weir_window_join(left, right, name, &conf);
    }
}
