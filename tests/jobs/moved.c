/* SPDX-License-Identifier: Apache-2.0 */
/* moved.c: a count per key, told after each row, of numbers that are dealt out by key: which of a
 * key's rows it was is seen in the output. For key groups that move meanwhile.
 *
 * Numbers come on a fixed schedule, also where the job is late. Their latency counts from there,
 * but for those of the first `warm` seconds (bench/move.py). */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sched/weir.h"
#include "tests/jobs/numbers.h"

#define READING(F) F(i64, key)
WEIR_SCHEMA(reading, READING)
#define NAMED(F) F(str, key)
WEIR_SCHEMA(named, NAMED)
#define COUNTED(F) F(str, key) F(i64, cnt)
WEIR_SCHEMA(counted, COUNTED)

/* Every third key is too long to lie within a row of the state. */
#define LONG_KEY_DIV 3
#define LONG_TAIL "-which-is-too-long-to-lie-inline"
#define KEY_BYTES 64

const struct weir_opt weir_job_params[] = {
    {"rows", WEIR_OPT_INT, WEIR_OPT_ANY, "rows", 1, INT64_MAX, "1000000", "", "of all subtasks"},
    {"keys", WEIR_OPT_INT, WEIR_OPT_ANY, "keys", 1, INT64_MAX, "100000", "", "of these rows"},
    {"rate", WEIR_OPT_INT, WEIR_OPT_ANY, "rows/s", 1, INT64_MAX, "200000", "", "of all subtasks"},
    {"warm", WEIR_OPT_INT, WEIR_OPT_ANY, "s", 0, 3600, "0", "", "of which no latency counts"},
    {"gate", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "/nowhere", "",
        "while this file is there, the tasks of numbers do not begin"},
    WEIR_OUTPUT_PARAM("-"),
    {.name = NULL},
};

struct conf {
    int64_t rows;
    int64_t keys;
    int64_t rate;
    int64_t warm_ns;
    const char *gate;
};

struct numbers {
    int64_t next; /* of this subtask's: it says every subtask_cnt-th number */
    int64_t from; /* where it began, and when */
    int64_t begin_ns;
};

static int
numbers_open(struct weir_operator *op)
{
    const struct conf *conf = op->conf;
    const struct timespec wait = {.tv_nsec = WEIR_MS};
    while (access(conf->gate, F_OK) == 0) {
        (void)nanosleep(&wait, NULL); /* for another process */
    }
    ((struct numbers *)op->self)->begin_ns = INT64_MIN;
    return 0;
}

/* When the next number is due, by the schedule of all subtasks; 0: it does not count. */
static int64_t
next_due_ns(const struct weir_operator *op)
{
    const struct conf *conf = op->conf;
    const struct numbers *self = op->self;
    double number = (double)((self->next + 1 - self->from) * op->env->subtask_cnt);
    int64_t since_ns = (int64_t)(number / (double)conf->rate * (double)WEIR_SEC_NS);
    return since_ns < conf->warm_ns ? 0 : self->begin_ns + since_ns;
}

/* As many as are due by now. */
static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct conf *conf = op->conf;
    struct numbers *self = op->self;
    if (self->begin_ns == INT64_MIN) {
        self->begin_ns = now_ns;
        self->from = self->next;
    }
    double due = (double)(now_ns - self->begin_ns) / (double)WEIR_SEC_NS * (double)conf->rate;
    int64_t end = self->from + (int64_t)due / op->env->subtask_cnt;
    out->view.intended_ns = next_due_ns(op);
    for (; self->next < end && weir_out_room(out, 1, 0); self->next++) {
        int64_t number = numbers_at(op, self->next);
        if (number >= conf->rows) {
            return WEIR_DONE;
        }
        uint64_t mixed = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);
        reading_emit(out)->key = (int64_t)((mixed >> 32) % (uint64_t)conf->keys);
    }
    return self->next < end ? WEIR_AGAIN : WEIR_WAIT;
}

static int
numbers_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    numbers_write(parts, ((const struct numbers *)op->self)->next);
    return 0;
}

static int
numbers_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    return numbers_read(op, parts, parts_cnt, &((struct numbers *)op->self)->next);
}

static const struct weir_operator_type numbers_type = {.name = "numbers",
    .output_cnt = 1,
    .self_bytes = sizeof(struct numbers),
    .open = numbers_open,
    .poll = numbers_poll,
    .snapshot = numbers_snapshot,
    .restore = numbers_restore,
    .replays = numbers_replay};

struct nothing {
    char none;
};
WEIR_FLATMAP(name, reading, named, struct nothing)
{
    char text[KEY_BYTES];
    (void)heap;
    (void)pos;
    int bytes = snprintf(text, sizeof text, "%lld%s", (long long)in->key,
        in->key % LONG_KEY_DIV == 0 ? LONG_TAIL : "");
    if (!weir_out_room(out, 1, (uint32_t)bytes)) {
        return WEIR_AGAIN;
    }
    weir_str_set_bytes(out, &named_emit(out)->key, text, (uint32_t)bytes);
    return WEIR_DONE;
}

int
weir_job_main(struct weir_env *env)
{
    const struct conf conf = {.rows = weir_param_number(env, "rows"),
        .keys = weir_param_number(env, "keys"),
        .rate = weir_param_number(env, "rate"),
        .warm_ns = weir_param_number(env, "warm") * WEIR_SEC_NS,
        .gate = weir_param(env, "gate")};
    const struct weir_reduce_conf count = {.aggregate = weir_aggregate_count()};
    struct weir_stream *s =
        weir_source(env, "numbers", reading_schema(), &numbers_type, &conf, sizeof conf);
    s = weir_key_by(weir_flatmap(s, "name", &name_op), WEIR_KEY(named, key));
    s = weir_reduce(s, "count", &count, counted_schema());
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
