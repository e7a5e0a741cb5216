/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: `weir metrics`: the metrics of a running job, as a scrape gets them. */
#include <stdio.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "sched/metric.h"

static void
print_metrics(const json_t *answer)
{
    (void)fputs(json_string_value(json_object_get(answer, "text")), stdout);
}

/* The table of docs/metrics.md. */
static void
print_markdown(void)
{
    static const char *const kinds[WEIR_COUNTER_KIND_CNT] = {"counter", "gauge", "gauge"};
    struct weir_metrics_table table;
    (void)printf("| metric | kind | unit | what it says |\n| --- | --- | --- | --- |\n");
    for (uint32_t i = 0; weir_metrics_table_at(i, &table); i++) {
        for (uint32_t row = 0; row < table.row_cnt; row++) {
            const struct weir_counter_row *desc = &table.rows[row];
            (void)printf("| `%s_%s%s` | %s | %s | %s |\n", table.prefix, desc->name,
                desc->kind == WEIR_COUNTER_COUNTER ? "_total" : "", kinds[desc->kind], desc->unit,
                desc->help);
        }
    }
}

static int
run_metrics(const struct weir_args *args)
{
    if (weir_cli_has(args, "markdown")) {
        print_markdown();
        return 0;
    }
    if (args->arg_cnt == 0) {
        return weir_cli_usage(args, "of which job?");
    }
    return weir_ask(args, json_pack("{s:s}", "verb", "metrics"), print_metrics);
}

static const struct weir_flag metrics_flags[] = {
    {"json", 0, NULL, "print JSON: the same text, as a string"},
    {"markdown", 0, NULL, "print the table of docs/metrics.md; of no job"},
};

const struct weir_verb weir_verb_metrics = {
    .name = "metrics",
    .args = "[JOB]",
    .text = "print the metrics of a running job as OpenMetrics (docs/metrics.md)",
    .examples = "weir metrics nexmark-q5\n"
                "weir metrics nexmark-q5 | grep backPressured\n",
    .notes = WEIR_ASK_NOTES,
    .flags = metrics_flags,
    .flag_cnt = WEIR_ARRAY_CNT(metrics_flags),
    .arg_cnt_min = 0,
    .arg_cnt_max = 1,
    .run = run_metrics,
};
