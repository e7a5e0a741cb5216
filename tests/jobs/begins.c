/* SPDX-License-Identifier: Apache-2.0 */
/* begins.c: a job whose source begins the checkpoints: every so many of its numbers, wherever these
 * were read. A number goes through an exchange by key, to a table. */
#include <time.h>

#include "sched/weir.h"
#include "tests/jobs/numbers.h"

#define READING(F) F(i64, value)
WEIR_SCHEMA(reading, READING)

#define SLICE_CNT 64 /* rows of a poll, which takes so long */
#define SLICE_NS 1000000

const struct weir_opt weir_job_params[] = {
    {"rows", WEIR_OPT_INT, WEIR_OPT_ANY, "numbers", 1, INT64_MAX, "1000000", "", "of all subtasks"},
    {"every", WEIR_OPT_INT, WEIR_OPT_ANY, "numbers", 1, INT64_MAX, "10000", "",
        "of a subtask, between two checkpoints"},
    WEIR_OUTPUT_PARAM("-"),
    {.name = NULL},
};

struct conf {
    int64_t rows;
    int64_t every;
};

struct numbers {
    int64_t next; /* of this subtask's: it says every subtask_cnt-th number */
    uint64_t begins;
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct conf *conf = op->conf;
    struct numbers *self = op->self;
    static const struct timespec slice = {.tv_nsec = SLICE_NS};
    (void)now_ns;
    (void)nanosleep(&slice, NULL);
    self->begins = 0;
    for (uint32_t i = 0; i < SLICE_CNT && weir_out_room(out, 1, 0); i++) {
        int64_t value = numbers_at(op, self->next);
        if (value >= conf->rows) {
            return WEIR_DONE;
        }
        reading_emit(out)->value = value;
        if (++self->next % conf->every == 0) {
            self->begins = (uint64_t)(self->next / conf->every);
            return WEIR_AGAIN;
        }
    }
    return WEIR_AGAIN;
}

static uint64_t
numbers_begins(const struct weir_operator *op)
{
    return ((const struct numbers *)op->self)->begins;
}

static int
numbers_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    numbers_write(parts, ((const struct numbers *)op->self)->next);
    return 0;
}

/* Every subtask stood behind as many of its numbers. */
static int
numbers_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct numbers *self = op->self;
    int rc = numbers_read(op, parts, parts_cnt, &self->next);
    if (rc == 0 && self->next % ((const struct conf *)op->conf)->every != 0) {
        return weir_err_push(WEIR_EBUG, "a checkpoint that the source has not begun");
    }
    return rc;
}

static const struct weir_operator_type numbers_type = {.name = "numbers",
    .output_cnt = 1,
    .self_bytes = sizeof(struct numbers),
    .poll = numbers_poll,
    .snapshot = numbers_snapshot,
    .restore = numbers_restore,
    .replays = numbers_replay,
    .begins = numbers_begins};

WEIR_FILTER(good, reading)
{
    return in->value >= 0;
}

int
weir_job_main(struct weir_env *env)
{
    const struct conf conf = {
        .rows = weir_param_number(env, "rows"), .every = weir_param_number(env, "every")};
    struct weir_stream *s =
        weir_source(env, "numbers", reading_schema(), &numbers_type, &conf, sizeof conf);
    s = weir_filter(weir_key_by(s, WEIR_KEY(reading, value)), "good", &good_op);
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
