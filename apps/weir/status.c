/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: `weir status`: what a running job does at this moment. */
#include <inttypes.h>
#include <stdio.h>

#include "apps/weir/answer.h"
#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/clock.h"
#include "sched/core.h"

#define NAME_COLUMN 24

static void
print_head(const json_t *answer)
{
    char watermark[WEIR_ANSWER_TEXT_BYTES];
    (void)printf("job %s, process %" PRId64 ": %s for %.1f s, since %s\n",
        weir_answer_text(answer, "job"), weir_answer_int(answer, "pid"),
        weir_answer_text(answer, "state"), json_real_value(json_object_get(answer, "uptime_s")),
        weir_answer_text(answer, "started"));
    if (!json_is_null(json_object_get(answer, "supervisor_pid"))) {
        (void)printf("  supervised by process %" PRId64 ", %" PRId64 " restarts so far\n",
            weir_answer_int(answer, "supervisor_pid"), weir_answer_int(answer, "restarts"));
    }
    (void)printf("  records: %" PRId64 " in, %" PRId64 " out, %" PRId64 " late, %" PRId64
                 " malformed; %.0f records/s\n",
        weir_answer_int(answer, "records_in"), weir_answer_int(answer, "records_out"),
        weir_answer_int(answer, "records_late"), weir_answer_int(answer, "records_bad"),
        json_real_value(json_object_get(answer, "rate_per_s")));
    (void)printf("  watermark: %s ms\n", weir_answer_watermark(answer, watermark));
    if (json_is_null(json_object_get(answer, "restored_checkpoint"))) {
        (void)printf("  restored from: nothing\n");
    } else {
        (void)printf("  restored from: checkpoint %" PRId64 "\n",
            weir_answer_int(answer, "restored_checkpoint"));
    }
}

static double
ms_of(const json_t *object, const char *key)
{
    return (double)weir_answer_int(object, key) / (double)WEIR_MS;
}

static void
print_checkpoints(const json_t *answer)
{
    const json_t *all = json_object_get(answer, "checkpoints");
    const json_t *last = json_object_get(all, "last");
    const json_t *failed = json_object_get(all, "last_failed");
    if (!json_is_object(all)) {
        return;
    }
    (void)printf("  checkpoints: %" PRId64 " complete, %" PRId64 " failed, epoch %" PRId64 "\n",
        weir_answer_int(all, "completed"), weir_answer_int(all, "failed"),
        weir_answer_int(all, "epoch"));
    if (json_is_object(last)) {
        (void)printf("    last: %" PRId64 " at %s, %" PRId64 " bytes of %" PRId64
                     " written in %.3f ms, stall %.3f ms, alignment %.3f ms\n",
            weir_answer_int(last, "id"), weir_answer_text(last, "triggered"),
            weir_answer_int(last, "written_bytes"), weir_answer_int(last, "bytes"),
            ms_of(last, "duration_ns"), ms_of(last, "stall_ns"), ms_of(last, "alignment_ns"));
    }
    if (json_is_object(failed)) {
        (void)printf("    last that failed: %" PRId64 ", %s\n", weir_answer_int(failed, "id"),
            weir_answer_text(failed, "why"));
    }
}

static void
print_vertices(const json_t *answer)
{
    size_t i;
    json_t *vertex;
    (void)printf("\n%-*s %14s %14s %10s %10s %16s\n", NAME_COLUMN, "operator", "in", "out", "late",
        "malformed", "watermark/ms");
    json_array_foreach(json_object_get(answer, "vertices"), i, vertex)
    {
        char watermark[WEIR_ANSWER_TEXT_BYTES];
        (void)printf("%-*s %14" PRId64 " %14" PRId64 " %10" PRId64 " %10" PRId64 " %16s\n",
            NAME_COLUMN, weir_answer_text(vertex, "name"), weir_answer_int(vertex, "records_in"),
            weir_answer_int(vertex, "records_out"), weir_answer_int(vertex, "records_late"),
            weir_answer_int(vertex, "records_bad"), weir_answer_watermark(vertex, watermark));
    }
}

/* Which subtask has which, where they can move. */
static void
print_key_groups(const json_t *answer)
{
    size_t i;
    size_t k;
    json_t *vertex;
    json_t *part;
    json_array_foreach(json_object_get(answer, "vertices"), i, vertex)
    {
        const json_t *parts = json_object_get(vertex, "key_groups");
        if (parts != NULL) {
            (void)printf("\nkey groups of %s:", weir_answer_text(vertex, "name"));
        }
        json_array_foreach(parts, k, part)
        {
            (void)printf("%s %lld-%lld on subtask %lld", k > 0 ? "," : "",
                (long long)json_integer_value(json_array_get(part, 0)),
                (long long)json_integer_value(json_array_get(part, 1)),
                (long long)json_integer_value(json_array_get(part, 2)));
        }
        (void)printf("%s", parts != NULL ? "\n" : "");
    }
}

static void
print_stages(const json_t *answer)
{
    size_t i;
    size_t k;
    json_t *stage;
    json_t *name;
    (void)printf("\n%-*s %4s  %-12s %s\n", NAME_COLUMN, "stage", "cpu", "state", "operators");
    json_array_foreach(json_object_get(answer, "stages"), i, stage)
    {
        (void)printf("%-*s %4" PRId64 "  %-12s", NAME_COLUMN, weir_answer_text(stage, "name"),
            weir_answer_int(stage, "cpu"), weir_answer_text(stage, "state"));
        json_array_foreach(json_object_get(stage, "operators"), k, name)
        {
            (void)printf("%s%s", k > 0 ? ", " : " ", json_string_value(name));
        }
        (void)printf("\n");
    }
}

static void
print_cores(const json_t *answer)
{
    size_t i;
    json_t *core;
    json_array_foreach(json_object_get(answer, "cores"), i, core)
    {
        (void)printf("%scpu %" PRId64 ":", i == 0 ? "\n" : "", weir_answer_int(core, "cpu"));
        for (uint32_t p = 0; p < WEIR_CORE_PART_CNT; p++) {
            const char *part = weir_core_part_name((enum weir_core_part)p);
            (void)printf(" %s %.0f %%", part, 100 * json_real_value(json_object_get(core, part)));
        }
        (void)printf("\n");
    }
}

static void
print_status(const json_t *answer)
{
    print_head(answer);
    print_checkpoints(answer);
    print_vertices(answer);
    print_key_groups(answer);
    print_stages(answer);
    print_cores(answer);
}

static int
run_status(const struct weir_args *args)
{
    return weir_ask(args, json_pack("{s:s}", "verb", "status"), print_status);
}

static const struct weir_flag status_flags[] = {
    {"json", 0, NULL, "print JSON (docs/control.md)"},
};

const struct weir_verb weir_verb_status = {
    .name = "status",
    .args = "JOB",
    .text = "say what a running job does: records, rate, watermarks, stages, cores' time",
    .examples = "weir status nexmark-q5\n"
                "weir status nexmark-q5 --json\n",
    .notes = WEIR_ASK_NOTES,
    .flags = status_flags,
    .flag_cnt = WEIR_ARRAY_CNT(status_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_status,
};
