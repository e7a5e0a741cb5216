/* SPDX-License-Identifier: Apache-2.0 */
/* collatz.c: a loop. Each line "id,value,text" goes round until its value is 1: halved where it is
 * even, else three times as much and one more. Each step is counted in the row, and once more in
 * state, by id: of rows that are lost or doubled the two differ. */
#include "sched/weir.h"

#define START(F) F(i64, id) F(i64, value) F(str, text)
WEIR_SCHEMA(start, START)
#define STEP(F) F(i64, id) F(i64, value) F(i64, steps) F(i64, visits) F(str, text)
WEIR_SCHEMA(step, STEP)

WEIR_MAP(begin, start, step)
{
    out->id = in->id;
    out->value = in->value;
    out->steps = 0;
    out->visits = 0;
    out->text = in->text;
}

WEIR_MAP(advance, step, step)
{
    *out = *in;
    out->value = in->value % 2 == 0 ? in->value / 2 : 3 * in->value + 1;
    out->steps++;
}

struct visits {
    int64_t cnt;
};
WEIR_PROCESS(visit, step, struct visits, step)
{
    struct weir_slice text = weir_str_slice(&in->text, heap);
    if (!weir_out_room(p->out, 1, text.bytes)) {
        return WEIR_AGAIN;
    }
    struct step *out = step_emit(p->out);
    struct weir_str to;
    weir_str_set_bytes(p->out, &to, text.ptr, text.bytes);
    state->cnt++;
    *out = *in;
    out->visits = state->cnt;
    out->text = to;
    return WEIR_DONE;
}

/* A row becomes two, for ever. */
struct copies {
    uint32_t cnt;
};
WEIR_FLATMAP(twice, step, step, struct copies)
{
    struct weir_slice text = weir_str_slice(&in->text, heap);
    for (; pos->cnt < 2; pos->cnt++) {
        if (!weir_out_room(out, 1, text.bytes)) {
            return WEIR_AGAIN;
        }
        struct step *made = step_emit(out);
        struct weir_str to;
        weir_str_set_bytes(out, &to, text.ptr, text.bytes);
        *made = *in;
        made->text = to;
    }
    return WEIR_DONE;
}

WEIR_FILTER(is_done, step)
{
    return in->value == 1;
}

WEIR_FILTER(is_not_done, step)
{
    return in->value != 1;
}

WEIR_FILTER(is_any, step)
{
    return in->id >= 0;
}

WEIR_FILTER(is_none, step)
{
    return in->id < 0;
}

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "lines \"id,value,text\""},
    WEIR_OUTPUT_PARAM("-"),
    {"wait", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 3600 * WEIR_SEC_NS, "none", "none",
        "how long the loop waits for rows that come back; none: it ends with the last row"},
    {"budget", WEIR_OPT_SIZE, WEIR_OPT_ANY, "", 0, WEIR_GIB, "0B", "", "for rows that wait"},
    {"body", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "collatz", "collatz endless twice",
        "what becomes of a row: it is let go some day, never, or is two"},
    {.name = NULL},
};

int
weir_job_main(struct weir_env *env)
{
    struct weir_lines_conf lines = {.path = weir_param(env, "input"), .decoder = &weir_decode_csv};
    int64_t wait_ns = weir_param_number(env, "wait");
    int64_t body = weir_param_number(env, "body");
    const struct weir_iterate_conf conf = {.wait_ns = wait_ns == WEIR_OPT_WORD ? 0 : wait_ns,
        .budget_bytes = (uint64_t)weir_param_number(env, "budget")};
    struct weir_stream *s = weir_source_lines(env, "lines", start_schema(), &lines);
    struct weir_stream *loop = weir_iterate(weir_map(s, "begin", &begin_op), "steps", &conf);
    s = weir_key_by(weir_map(loop, "advance", &advance_op), WEIR_KEY(step, id));
    s = weir_process(s, "visit", &visit_process, NULL);
    struct weir_stream *back =
        body == 2 ? weir_flatmap(s, "twice", &twice_op)
                  : weir_filter(s, "not_yet", body == 1 ? &is_any_op : &is_not_done_op);
    weir_iterate_close(loop, back);
    s = weir_filter(s, "done", body == 0 ? &is_done_op : &is_none_op);
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
