/* SPDX-License-Identifier: Apache-2.0 */
/* joined.c: a job of two inputs, the two sides of the lines of one file, joined in the way that
 * `kind` names: see docs/joins.md. */
#include "sched/weir.h"

#define ENTRY(F) F(i64, side) F(i64, key) F(i64, value) F(time, at)
WEIR_SCHEMA(entry, ENTRY)
#define MET(F) F(i64, key) F(i64, left) F(i64, right)
WEIR_SCHEMA(met, MET)
#define TOLD(F) F(i64, key) F(i64, sum) F(i64, cnt)
WEIR_SCHEMA(told, TOLD)

#define SLOT(F) F(i64, key) F(i64, slot) F(i64, value) F(time, at)
WEIR_SCHEMA(slot, SLOT)

#define NONE (-1000000)
#define SLOT_CNT 8
#define RULE_CNT 5
/* Behind all rows, and before the end. */
#define END_MS (INT64_MAX / 4)

WEIR_FILTER(is_left, entry)
{
    return in->side == 0;
}

WEIR_FILTER(is_right, entry)
{
    return in->side == 1;
}

WEIR_JOIN(meet, entry, entry, met)
{
    row->key = left != NULL ? left->key : right->key;
    row->left = left != NULL ? left->value : NONE;
    row->right = right != NULL ? right->value : NONE;
    return true;
}

/* Some keys are of one side only. */
WEIR_FILTER(is_left_some, entry)
{
    return in->key % 7 != 0;
}

WEIR_FILTER(is_right_some, entry)
{
    return in->key % 7 != 1;
}

/* Tables: the latest entry of each slot of a key. */
WEIR_MAP(to_slot, entry, slot)
{
    out->key = in->key;
    out->slot = (in->value % SLOT_CNT + SLOT_CNT) % SLOT_CNT;
    out->value = in->value;
    out->at = in->at;
}

WEIR_JOIN(match, slot, slot, met)
{
    row->key = left != NULL ? left->key : right->key;
    row->left = left != NULL ? left->value : NONE;
    row->right = right != NULL ? right->value : NONE;
    return true;
}

struct sums {
    int64_t left;
    int64_t right;
};

WEIR_COGROUP(sums, entry, entry, met, struct sums)
{
    struct weir_cogroup_row row;
    int64_t key = 0;
    for (; weir_cogroup_peek(group, 0, &row); weir_cogroup_step(group, 0)) {
        pos->left += ((const struct entry *)row.row)->value;
    }
    for (; weir_cogroup_peek(group, 1, &row); weir_cogroup_step(group, 1)) {
        pos->right += ((const struct entry *)row.row)->value;
    }
    weir_cogroup_rewind(group, 0);
    weir_cogroup_rewind(group, 1);
    if (weir_cogroup_peek(group, 0, &row) || weir_cogroup_peek(group, 1, &row)) {
        key = ((const struct entry *)row.row)->key;
    }
    if (!weir_out_room(out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct met *made = met_emit(out);
    made->key = key;
    made->left = pos->left;
    made->right = pos->right;
    return WEIR_DONE;
}

struct tally {
    int64_t sum;
    int64_t cnt;
};

static int
tell(struct weir_process *p, const struct tally *state, int64_t times)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct told *row = told_emit(p->out);
    row->key = weir_process_key(p, 0);
    row->sum = state->sum * times;
    row->cnt = state->cnt;
    return WEIR_DONE;
}

/* Left rows add, right ones take away; at the end that is told. */
WEIR_PROCESS_TIMED(balance, entry, struct tally, told)
{
    state->sum += in->value;
    state->cnt++;
    return weir_process_timer_set(p, END_MS, 0);
}

WEIR_PROCESS_SECOND(balance, entry, struct tally)
{
    state->sum -= in->value;
    state->cnt++;
    return weir_process_timer_set(p, END_MS, 0);
}

WEIR_ON_TIMER(balance, struct tally)
{
    (void)time;
    (void)ns;
    int step = tell(p, state, 1);
    if (step == WEIR_DONE) {
        weir_process_clear(p, state);
    }
    return step;
}

/* Left rows wait as a sum for the rule of their key that stands at the end. */
WEIR_PROCESS_TIMED(judge, entry, struct tally, told)
{
    state->sum += in->value;
    state->cnt++;
    return weir_process_timer_set(p, END_MS, 0);
}

/* Several subtasks send rules, so they come to each one in another order: the latest counts, by its
 * own time. */
struct rule {
    int64_t at;
    int64_t value;
};

WEIR_PROCESS_BROADCAST(judge, entry)
{
    int64_t number = in->key % RULE_CNT;
    uint32_t bytes;
    const struct rule *now = weir_process_broadcast_find(p, &number, sizeof number, &bytes);
    const struct rule rule = {in->at, in->value};
    bool is_older =
        now != NULL && (now->at > rule.at || (now->at == rule.at && now->value > rule.value));
    return is_older ? (int)WEIR_DONE
                    : weir_process_broadcast_put(p, &number, sizeof number, &rule, sizeof rule);
}

WEIR_ON_TIMER(judge, struct tally)
{
    int64_t number = weir_process_key(p, 0) % RULE_CNT;
    uint32_t bytes;
    const struct rule *rule = weir_process_broadcast_find(p, &number, sizeof number, &bytes);
    (void)time;
    (void)ns;
    int step = tell(p, state, rule != NULL ? rule->value : NONE);
    if (step == WEIR_DONE) {
        weir_process_clear(p, state);
    }
    return step;
}

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "lines \"side,key,value,ms\""},
    {"kind", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "interval",
        "interval ttl inner outer cogroup connect rules table left right full semi anti live",
        "of the join; tables come as logs of changes"},
    WEIR_OUTPUT_PARAM("-"),
    WEIR_RATE_PARAM,
    {.name = NULL},
};

/* Rows that change: each replaces the one of its slot, where it is not older. */
static struct weir_stream *
table_of(struct weir_stream *s, const char *name, const char *map_name)
{
    const struct weir_ranking_conf latest = {.by = {{"at", true}, {"value", true}}, .cnt = 1};
    s = weir_map(s, map_name, &to_slot_op);
    s = weir_key_by(s, weir_key_of(2, "key", "slot"));
    return weir_key_by(weir_rank(s, name, &latest, slot_schema()), WEIR_KEY(slot, key));
}

/* Two tables; or one, and the rows of the other side as they are. */
static struct weir_stream *
tables(struct weir_stream *l, struct weir_stream *r, const char *kind)
{
    struct weir_join_conf conf = {.join = &match_join,
        .semi = strcmp(kind, "semi") == 0,
        .anti = strcmp(kind, "anti") == 0,
        .ttl_ms = strcmp(kind, "live") == 0 ? WEIR_HOUR : 0};
    conf.outer = strcmp(kind, "left") == 0    ? WEIR_JOIN_OUTER_LEFT
                 : strcmp(kind, "right") == 0 ? WEIR_JOIN_OUTER_RIGHT
                 : strcmp(kind, "full") == 0  ? WEIR_JOIN_OUTER_FULL
                                              : WEIR_JOIN_INNER;
    l = table_of(weir_filter(l, "left some", &is_left_some_op), "left latest", "left slots");
    r = weir_filter(r, "right some", &is_right_some_op);
    r = strcmp(kind, "live") == 0
            ? weir_key_by(weir_map(r, "right slots", &to_slot_op), WEIR_KEY(slot, key))
            : table_of(r, "right latest", "right slots");
    struct weir_stream *s = strcmp(kind, "table") == 0 ? weir_join(l, r, "joined", &match_join)
                            : conf.ttl_ms > 0          ? weir_ttl_join(l, r, "joined", &conf)
                                                       : weir_table_join(l, r, "joined", &conf);
    return weir_changelog(s, "log", WEIR_CHANGELOG_ALL);
}

static struct weir_stream *
joined(struct weir_stream *l, struct weir_stream *r, const char *kind)
{
    const struct weir_join_conf conf = {.join = &meet_join,
        .span = WEIR_SLIDE(4 * WEIR_S, 2 * WEIR_S),
        .outer = strcmp(kind, "outer") == 0 ? WEIR_JOIN_OUTER_FULL : WEIR_JOIN_INNER,
        .lower_ms = -500,
        .upper_ms = 1000,
        .ttl_ms = WEIR_HOUR};
    const struct weir_cogroup_conf group = {
        .function = &sums_group, .span = WEIR_TUMBLE(3 * WEIR_S)};
    const struct weir_connect_conf balance = {
        .function = &balance_process, .second = &balance_second};
    const struct weir_connect_conf judge = {.function = &judge_process, .second = &judge_second};
    if (strcmp(kind, "interval") == 0) {
        return weir_interval_join(l, r, kind, &conf);
    }
    if (strcmp(kind, "ttl") == 0) {
        return weir_ttl_join(l, r, kind, &conf);
    }
    if (strcmp(kind, "cogroup") == 0) {
        return weir_cogroup(l, r, kind, &group);
    }
    if (strcmp(kind, "connect") == 0) {
        return weir_connect(l, r, kind, &balance);
    }
    return strcmp(kind, "rules") == 0 ? weir_connect(l, r, kind, &judge)
                                      : weir_window_join(l, r, kind, &conf);
}

int
weir_job_main(struct weir_env *env)
{
    const struct weir_lines_conf lines = {.path = weir_param(env, "input"),
        .decoder = &weir_decode_csv,
        .rate = (uint64_t)weir_param_number(env, "rate")};
    struct weir_stream *s = weir_source_lines(env, "lines", entry_schema(), &lines);
    s = weir_watermarks(s, "watermarks", WEIR_S);
    struct weir_stream *l = weir_filter(s, "left", &is_left_op);
    struct weir_stream *r = weir_filter(s, "right", &is_right_op);
    static const char *const of_tables[] = {
        "table", "left", "right", "full", "semi", "anti", "live"};
    const char *kind = weir_param(env, "kind");
    bool is_tables = false;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(of_tables); i++) {
        is_tables |= strcmp(kind, of_tables[i]) == 0;
    }
    s = is_tables ? tables(l, r, kind)
                  : joined(weir_key_by(l, WEIR_KEY(entry, key)),
                        weir_key_by(r, WEIR_KEY(entry, key)), kind);
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
