/* SPDX-License-Identifier: Apache-2.0 */
/* top.c: `weir top`: cores and tasks of a running job, again and again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/weir/answer.h"
#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/clock.h"
#include "base/err.h"
#include "sched/core.h"

#define NAME_COLUMN 28
#define CELL_BYTES 32
#define CLEAR "\033[H\033[2J"

static const struct weir_opt every_opt = {"every", WEIR_OPT_DURATION, WEIR_OPT_ANY, "",
    100 * WEIR_MS, INT64_C(3600) * WEIR_SEC_NS, "1s", "", "time between two looks"};
static const struct weir_opt count_opt = {"count", WEIR_OPT_INT, WEIR_OPT_ANY, "looks", 1,
    INT64_C(1) << 31, "unlimited", "unlimited", "looks, then it ends"};

static double
real_of(const json_t *object, const char *key)
{
    return json_real_value(json_object_get(object, key));
}

/* A count in at most seven columns. */
static const char *
short_of(double value, char cell[CELL_BYTES])
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    while (value >= 100000 && unit + 2 < sizeof units) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(cell, CELL_BYTES, unit == 0 ? "%.0f" : "%.0f %c", value, units[unit]);
    return cell;
}

static void
print_head(const json_t *doc)
{
    char rate[CELL_BYTES];
    const json_t *lag = json_object_get(doc, "lag_ms");
    const json_t *all = json_object_get(doc, "checkpoints");
    const json_t *last = json_object_get(all, "last");
    (void)printf("job %s, process %" PRId64 ": %s for %.1f s, %" PRId64 " restarts\n",
        weir_answer_text(doc, "job"), weir_answer_int(doc, "pid"), weir_answer_text(doc, "state"),
        real_of(doc, "uptime_s"), weir_answer_int(doc, "restarts"));
    (void)printf("records: %" PRId64 " in, %" PRId64 " out, %s/s",
        weir_answer_int(doc, "records_in"), weir_answer_int(doc, "records_out"),
        short_of(real_of(doc, "rate_per_s"), rate));
    if (json_is_integer(lag)) {
        (void)printf(", event time lies %.1f s back", (double)json_integer_value(lag) / 1e3);
    }
    (void)printf("\n");
    if (json_is_object(all)) {
        (void)printf("checkpoints: %" PRId64 " under way, %" PRId64 " complete, %" PRId64 " failed",
            weir_answer_int(all, "in_progress"), weir_answer_int(all, "completed"),
            weir_answer_int(all, "failed"));
        if (json_is_object(last)) {
            (void)printf("; last: %" PRId64 " in %.1f ms, stall %.3f ms, %s bytes",
                weir_answer_int(last, "id"), (double)weir_answer_int(last, "duration_ns") / 1e6,
                (double)weir_answer_int(last, "stall_ns") / 1e6,
                short_of((double)weir_answer_int(last, "written_bytes"), rate));
        }
        (void)printf("\n");
    }
}

static void
print_parts(const json_t *object, uint32_t part_cnt)
{
    for (uint32_t p = 0; p < part_cnt; p++) {
        const char *part = weir_core_part_name((enum weir_core_part)p);
        (void)printf(" %7.1f %%", 100 * real_of(object, part));
    }
}

static void
print_cores(const json_t *doc)
{
    size_t i;
    json_t *core;
    json_array_foreach(json_object_get(doc, "cores"), i, core)
    {
        char name[NAME_COLUMN];
        if (i == 0) {
            (void)printf("\n%-*s %4s %-9s %9s %9s %9s %9s %9s\n", NAME_COLUMN, "core", "", "",
                "busy", "backpr.", "idle", "snapshot", "stolen");
        }
        (void)snprintf(name, sizeof name, "cpu %" PRId64, weir_answer_int(core, "cpu"));
        (void)printf("%-*s %4s %-9s", NAME_COLUMN, name, "", "");
        print_parts(json_object_get(core, "now"), WEIR_CORE_PART_CNT);
        (void)printf("\n");
    }
}

static void
print_tasks(const json_t *doc)
{
    size_t i;
    json_t *task;
    (void)printf("\n%-*s %4s %-9s %9s %9s %9s %9s %9s %9s %9s %9s %15s\n", NAME_COLUMN, "task",
        "cpu", "state", "busy", "backpr.", "idle", "snapshot", "in/s", "out/s", "rings in", "out",
        "watermark/ms");
    json_array_foreach(json_object_get(doc, "stages"), i, task)
    {
        char in[CELL_BYTES];
        char out[CELL_BYTES];
        char watermark[WEIR_ANSWER_TEXT_BYTES];
        (void)printf("%-*.*s %4" PRId64 " %-9s", NAME_COLUMN, NAME_COLUMN,
            weir_answer_text(task, "name"), weir_answer_int(task, "cpu"),
            weir_answer_text(task, "state"));
        print_parts(task, WEIR_CORE_STOLEN);
        (void)printf(" %9s %9s", short_of(real_of(task, "records_in_per_s"), in),
            short_of(real_of(task, "records_out_per_s"), out));
        (void)snprintf(in, sizeof in, "%" PRId64 "/%" PRId64, weir_answer_int(task, "input_queue"),
            weir_answer_int(task, "input_slots"));
        (void)snprintf(out, sizeof out, "%" PRId64 "/%" PRId64,
            weir_answer_int(task, "output_queue"), weir_answer_int(task, "output_slots"));
        (void)printf(" %9s %9s %15s\n", in, out, weir_answer_watermark(task, watermark));
    }
}

static void
print_top(const json_t *doc)
{
    print_head(doc);
    print_cores(doc);
    print_tasks(doc);
}

/* Looks in a row without an answer of a job that has answered before. */
#define SILENT_CNT_MAX 20

static int
run_top(const struct weir_args *args)
{
    bool is_once = weir_cli_has(args, "once");
    bool is_terminal = isatty(STDOUT_FILENO) == 1 && !is_once;
    int64_t every_ns = 0;
    int64_t cnt = 0;
    uint32_t silent_cnt = 0;
    int err = weir_ask_number(args, &every_opt, &every_ns);
    err = err != 0 ? err : weir_ask_number(args, &count_opt, &cnt);
    cnt = is_once ? 1 : cnt == WEIR_OPT_WORD ? INT64_MAX : cnt;
    for (int64_t i = 0; i < cnt && err == 0; i++) {
        json_t *doc = NULL;
        if (i > 0) {
            const struct timespec wait = {every_ns / WEIR_SEC_NS, every_ns % WEIR_SEC_NS};
            (void)nanosleep(&wait, NULL);
        }
        err = weir_ask_document(args, json_pack("{s:s}", "verb", "status"), &doc);
        if (err == WEIR_ESILENT && i > 0 && ++silent_cnt <= SILENT_CNT_MAX) {
            weir_err_clear(); /* it is about to end: the next look says so */
            err = 0;
            continue;
        }
        if (err == WEIR_ENOJOB && i > 0) {
            weir_err_clear(); /* it has ended meanwhile */
            (void)fprintf(stderr, "weir: job %s has ended\n", args->arg[0]);
            return 0;
        }
        if (err != 0) {
            return err;
        }
        if (weir_cli_has(args, "json")) {
            weir_cli_print_json(json_incref(doc));
        } else {
            (void)printf("%s", is_terminal ? CLEAR : i > 0 ? "\n" : "");
            print_top(doc);
        }
        (void)fflush(stdout);
        silent_cnt = 0;
        json_decref(doc);
    }
    return err;
}

static const struct weir_flag top_flags[] = {
    {"every", 0, "TIME", "time between two looks, 1s where it is not given"},
    {"count", 0, "N", "end after so many looks"},
    {"once", 0, NULL, "look once, and do not clear the terminal"},
    {"json", 0, NULL, "print JSON: the status of each look (docs/control.md)"},
};

const struct weir_verb weir_verb_top = {
    .name = "top",
    .args = "JOB",
    .text = "watch cores and tasks of a running job: busy, back-pressured, idle, rates, rings",
    .examples =
        "weir top nexmark-q5 --once             # as it is now; without it, until the job ends\n"
        "weir top nexmark-q5 --every 200ms --count 3\n"
        "weir top nexmark-q5 --count 1 --json >>top.json\n",
    .notes =
        WEIR_ASK_NOTES "Parts of the time and rates are of the last second or two. A task that "
                       "has work and waits for its\n"
                       "core counts as busy.\n",
    .flags = top_flags,
    .flag_cnt = WEIR_ARRAY_CNT(top_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_top,
};
