/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c: a job as a stranger writes it, built out of the tree against what is installed, as C
 * and as C++: a source of 1..rows, a map, a filter, a sink. */
#include <weir/dataplane/operators/discard.h>
#include <weir/sched/weir.h>

#define NUMBER(F) F(i64, value)
WEIR_SCHEMA(number, NUMBER)

struct numbers_conf {
    int64_t rows;
};

struct numbers {
    int64_t at;
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct numbers_conf *conf = (const struct numbers_conf *)op->conf;
    struct numbers *self = (struct numbers *)op->self;
    (void)now_ns;
    while (self->at < conf->rows) {
        if (!weir_out_room(out, 1, 0)) {
            return WEIR_AGAIN;
        }
        number_emit(out)->value = ++self->at;
    }
    return WEIR_DONE;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers",
    .self_bytes = sizeof(struct numbers),
    .output_cnt = 1,
    .poll = numbers_poll,
};

WEIR_MAP(squared, number, number)
{
    out->value = in->value * in->value;
}

WEIR_FILTER(even, number)
{
    return in->value % 2 == 0;
}

const struct weir_opt weir_job_params[] = {
    {"rows", WEIR_OPT_INT, WEIR_OPT_ANY, "rows", 1, 1000000, "1000", "", "how many numbers"},
    {NULL, WEIR_OPT_BOOL, WEIR_OPT_ANY, "", 0, 0, "", "", ""},
};

int
weir_job_main(struct weir_env *env)
{
    struct numbers_conf conf = {weir_param_number(env, "rows")};
    struct weir_stream *s =
        weir_source(env, "numbers", number_schema(), &numbers_type, &conf, sizeof conf);
    s = weir_filter(weir_map(s, "squared", &squared_op), "even", &even_op);
    weir_sink(s, "out", &weir_discard_type, NULL, 0);
    return weir_env_check(env);
}
