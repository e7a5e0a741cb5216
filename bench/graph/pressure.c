/* SPDX-License-Identifier: Apache-2.0 */
/* pressure: a job for bench/pressure.py: records of 1 KiB, dealt by key to a sink that sleeps for
 * each of them; the source ends after some seconds.
 *
 *     weir run pressure.so -p seconds=10 -p sleep=200us
 */
#include <time.h>

#include "dataplane/state.h"
#include "sched/weir.h"

#define TEXT_BYTES 1000

#define LETTER(F) F(i64, number) F(str, text)
WEIR_SCHEMA(letter, LETTER)

const struct weir_opt weir_job_params[] = {
    {"seconds", WEIR_OPT_INT, WEIR_OPT_ANY, "s", 1, 3600, "10", "", "that records come"},
    {"sleep", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, WEIR_SEC_NS, "0ns", "",
        "that the sink takes for a record"},
    {.name = NULL},
};

/* ---- the source ---- */

struct letters {
    int64_t number;
    int64_t end_ns;
};

static int
letters_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    static const char text[TEXT_BYTES];
    const int64_t *run_ns = op->conf;
    struct letters *self = op->self;
    self->end_ns = self->end_ns != 0 ? self->end_ns : now_ns + *run_ns;
    if (now_ns >= self->end_ns) {
        return WEIR_DONE;
    }
    while (weir_out_room(out, 1, sizeof text)) {
        struct letter *made = letter_emit(out);
        made->number = self->number++;
        weir_str_set_bytes(out, &made->text, text, sizeof text);
    }
    return WEIR_AGAIN;
}

static int
letters_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct letters *self = op->self;
    (void)id;
    weir_state_list_begin(parts, "number", 1, 1);
    weir_state_item(parts, sizeof(uint64_t));
    weir_parts_put_u64(parts, (uint64_t)self->number);
    weir_state_list_end(parts);
    return 0;
}

/* The bench starts with nothing each time. */
static int
letters_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    (void)op;
    (void)parts;
    return parts_cnt == 0 ? 0 : weir_err_push(WEIR_EUSAGE, "this job restores nothing");
}

static bool
letters_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_state_part letters_parts[] = {{"number", WEIR_STATE_PART_BAG, 0}};

static const struct weir_operator_type letters_type = {
    .name = "letters",
    .self_bytes = sizeof(struct letters),
    .output_cnt = 1,
    .poll = letters_poll,
    .snapshot = letters_snapshot,
    .restore = letters_restore,
    .parts = letters_parts,
    .part_cnt = WEIR_ARRAY_CNT(letters_parts),
    .replays = letters_replays,
};

/* ---- the sink ---- */

static int64_t
sleeper_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const int64_t *sleep_ns = op->conf;
    const struct timespec row = {*sleep_ns / WEIR_SEC_NS, *sleep_ns % WEIR_SEC_NS};
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = cursor; i<in->cnt && * sleep_ns> 0; i++) {
        (void)nanosleep(&row, NULL); /* the user's slow code */
    }
    return in->cnt - cursor;
}

static const struct weir_operator_type sleeper_type = {
    .name = "sleeper",
    .self_bytes = 0,
    .input_cnt = 1,
    .process = sleeper_process,
};

int
weir_job_main(struct weir_env *env)
{
    int64_t run_ns = weir_param_number(env, "seconds") * WEIR_SEC_NS;
    int64_t sleep_ns = weir_param_number(env, "sleep");
    struct weir_stream *s =
        weir_source(env, "letters", letter_schema(), &letters_type, &run_ns, sizeof run_ns);
    s = weir_key_by(weir_parallelism(s, 2), WEIR_KEY(letter, number));
    (void)weir_sink(s, "sleeper", &sleeper_type, &sleep_ns, sizeof sleep_ns);
    return weir_env_check(env);
}
