/* SPDX-License-Identifier: Apache-2.0 */
/* The Nexmark queries as one job: `weir run nexmark -p query=q5 -p events=FILE -p output=FILE`. */
#include <stdio.h>

#include "apps/nexmark/query.h"
#include "sched/weir.h"

const struct weir_opt weir_job_params[] = {
    {"query", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "q0", NEXMARK_QUERY_NAMES,
        "the query to answer"},
    NEXMARK_EVENTS_PARAM,
    {"side", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "gen:10000", "",
        "q13: a CSV file of key,value without a header, or gen:N: keys 0 to N-1, each its own "
        "value"},
    {"side_input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, "", "", "the older name of side"},
    WEIR_OUTPUT_PARAM("discard"),
    {"changes", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "fold", "fold log upsert",
        "of an answer that is updated: the table that is left at the end, or each change as a row "
        "whose field op is +I, -U, +U or -D, or of a key's changes the new row only"},
    WEIR_RATE_PARAM,
    WEIR_LINES_PARAMS,
    {.name = NULL},
};

const char weir_job_examples[] =
    "weir run nexmark -p query=q5 -p events=gen:1000000,seed=1 -p output=q5.csv\n"
    "weir run nexmark -p query=q1 -p events=gen:100000,seed=1 -p rate=200000 --report -\n"
    "weir run nexmark -p query=q3 -p events=events.jsonl.zst -p output=-\n";

int
weir_job_main(struct weir_env *env)
{
    char name[32];
    const struct nexmark_query *query = nexmark_query_find(weir_param(env, "query"));
    if (query == NULL) {
        weir_env_fail(env, WEIR_ECONFIG, "there is no query %s", weir_param(env, "query"));
        return weir_env_check(env);
    }
    (void)snprintf(name, sizeof name, "nexmark-%s", query->name);
    weir_env_rename(env, name);
    struct weir_stream *s = nexmark_source(env, &query->want);
    s = query->build(s);
    if (strcmp(query->name, "q10") == 0) {
        static const char *const fields[] = {"dt", "hm"};
        weir_sink_dealt(s, "out", weir_param(env, "output"), fields, WEIR_ARRAY_CNT(fields));
    } else {
        weir_sink_table(s, "out", weir_param(env, "output"));
    }
    return weir_env_check(env);
}
