/* SPDX-License-Identifier: Apache-2.0 */
/* gated.c: user code that does not come back while a file is there: what nobody should write, and
 * somebody will. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sched/weir.h"

#define NUMBER(F) F(i64, value)
WEIR_SCHEMA(number, NUMBER)

#define BAD_ROW 5

const struct weir_opt weir_job_params[] = {
    {"gate", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "gate", "", "the file"},
    {.name = NULL},
};

struct gate {
    char path[4096];
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    int64_t *at = op->self;
    (void)now_ns;
    if (*at == 2 * BAD_ROW) {
        return WEIR_DONE;
    }
    number_emit(out)->value = (*at)++;
    return WEIR_AGAIN;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers", .self_bytes = sizeof(int64_t), .output_cnt = 1, .poll = numbers_poll};

static int64_t
gate_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    const struct gate *gate = op->conf;
    const struct timespec wait = {0, 1000000};
    (void)input;
    (void)now_ns;
    while (op->rows_in > BAD_ROW && access(gate->path, F_OK) == 0) {
        (void)nanosleep(&wait, NULL);
    }
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static const struct weir_operator_type gate_type = {
    .name = "gate", .input_cnt = 1, .output_cnt = 1, .process = gate_process};

int
weir_job_main(struct weir_env *env)
{
    struct gate gate;
    (void)snprintf(gate.path, sizeof gate.path, "%s", weir_param(env, "gate"));
    struct weir_stream *s = weir_source(env, "numbers", number_schema(), &numbers_type, NULL, 0);
    const struct weir_operator_conf conf = {
        .name = "gate", .type = &gate_type, .conf = &gate, .conf_bytes = sizeof gate};
    s = weir_operator(&s, 1, &conf);
    weir_sink_table(s, "out", "discard");
    return weir_env_check(env);
}
