/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/sched/weir.h>

#define PAUSE_MS (30 * WEIR_S)

#define CLICK(F) F(time, at) F(i64, user) F(str, page)
WEIR_SCHEMA(click, CLICK) /* struct click, click_schema(), click_emit() ... */
#define VISIT(F) F(i64, user) F(ts, first) F(ts, last) F(i64, clicks)
WEIR_SCHEMA(visit, VISIT)
#define SEEN(F) F(i64, first) F(i64, last) F(i64, clicks)
WEIR_SCHEMA(seen, SEEN) /* what is kept of a user; all zero: nothing yet */
#define MINUTE(F) F(ts, window_start) F(ts, window_end) F(str, page) F(i64, clicks)
WEIR_SCHEMA(minute, MINUTE)
#define SO_FAR(F) F(str, page) F(i64, clicks)
WEIR_SCHEMA(so_far, SO_FAR)

#define TABLE_PARAM(name, text)                                                                 \
    {                                                                                           \
        name, WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "discard", "", "where it goes: " text \
    }
const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "-", "", "clicks as CSV: at,user,page"},
    TABLE_PARAM("visits", "clicks of a user with no pause of more than half a minute"),
    TABLE_PARAM("minutes", "clicks of each page in each minute"),
    TABLE_PARAM("totals", "clicks of a page so far, after each of them"),
    WEIR_RATE_PARAM,
    {.name = NULL},
};
const char weir_job_examples[] = "weir run ./clicks.so -p input=clicks.csv -p visits=visits.csv\n";

/* Each click puts off the end of its user's visit. */
WEIR_PROCESS_NAMED_TIMED(visits, click, seen, visit)
{
    bool is_new = state->clicks == 0;
    if (!is_new) {
        (void)weir_process_timer_delete(p, state->last + PAUSE_MS, 0);
    }
    state->first = is_new ? in->at : weir_min_i64(state->first, in->at);
    state->last = is_new ? in->at : weir_max_i64(state->last, in->at);
    state->clicks++;
    return weir_process_timer_set(p, state->last + PAUSE_MS, 0);
}
WEIR_ON_TIMER(visits, struct seen)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN; /* nothing was changed: the same timer comes again */
    }
    struct visit *out = visit_emit(p->out);
    out->user = weir_process_key(p, 0);
    out->first = state->first;
    out->last = state->last;
    out->clicks = state->clicks;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

int
weir_job_main(struct weir_env *env)
{
    const struct weir_lines_conf lines = {.path = weir_param(env, "input"),
        .decoder = &weir_decode_csv,
        .rate = (uint64_t)weir_param_number(env, "rate")};
    const struct weir_window_conf minute = {
        .span = WEIR_TUMBLE(60 * WEIR_S), .aggregate = weir_aggregate_count()};
    const struct weir_reduce_conf so_far = {.aggregate = weir_aggregate_count()};

    struct weir_stream *clicks = weir_source_lines(env, "clicks", click_schema(), &lines);
    clicks = weir_watermarks(clicks, "time", 5 * WEIR_S); /* a click may be 5 s late */

    struct weir_stream *by_user = weir_key_by(clicks, WEIR_KEY(click, user));
    weir_sink_table(weir_process(by_user, "visits", &visits_process, NULL), "visits_out",
        weir_param(env, "visits"));

    struct weir_stream *by_page = weir_key_by(clicks, WEIR_KEY(click, page));
    weir_sink_table(weir_window(by_page, "minutes", &minute, minute_schema()), "minutes_out",
        weir_param(env, "minutes"));
    weir_sink_table(weir_reduce(by_page, "totals", &so_far, so_far_schema()), "totals_out",
        weir_param(env, "totals"));
    return weir_env_check(env); /* the first error, with its operator */
}
