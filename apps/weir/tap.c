/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c: `weir tap`: a sample of the records of a running job, a line of JSON each. */
#include <stdio.h>
#include <time.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/clock.h"
#include "base/err.h"

/* Between two looks: what the rate grants meanwhile fits into the slots of one subtask. */
#define LOOK_NS (100 * WEIR_MS)

static const struct weir_opt rate_opt = {
    "rate", WEIR_OPT_INT, WEIR_OPT_ANY, "records", 1, 1000, "10", "", "records a second"};
static const struct weir_opt count_opt = {"count", WEIR_OPT_INT, WEIR_OPT_ANY, "records", 1,
    INT64_C(1) << 40, "unlimited", "unlimited", "records, then it ends"};
static const struct weir_opt for_opt = {"for", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS,
    INT64_C(30) * 86400 * WEIR_SEC_NS, "unlimited", "unlimited", "time, then it ends"};

/* Prints the records of an answer, at most `most`. Returns how many. */
static int64_t
print_records(const json_t *doc, int64_t most)
{
    size_t i;
    json_t *record;
    int64_t cnt = 0;
    json_array_foreach(json_object_get(doc, "records"), i, record)
    {
        if (cnt == most) {
            break;
        }
        (void)json_dumpf(record, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        (void)fputc('\n', stdout);
        cnt++;
    }
    (void)fflush(stdout);
    return cnt;
}

static int
run_tap(const struct weir_args *args)
{
    struct weir_clock clock;
    int64_t rate = 0;
    int64_t left = 0;
    int64_t for_ns = 0;
    int64_t long_cnt = 0;
    int err = weir_ask_number(args, &rate_opt, &rate);
    err = err != 0 ? err : weir_ask_number(args, &count_opt, &left);
    err = err != 0 ? err : weir_ask_number(args, &for_opt, &for_ns);
    left = left == WEIR_OPT_WORD ? INT64_MAX : left;
    weir_clock_init_os(&clock);
    int64_t end_ns = for_ns == WEIR_OPT_WORD ? INT64_MAX : weir_clock_ns_cold(&clock) + for_ns;
    for (bool is_first = true; err == 0 && left > 0 && weir_clock_ns_cold(&clock) < end_ns;
         is_first = false) {
        const struct timespec wait = {0, LOOK_NS};
        json_t *doc = NULL;
        err = weir_ask_document(args,
            json_pack(
                "{s:s, s:s, s:I}", "verb", "tap", "vertex", args->arg[1], "rate", (json_int_t)rate),
            &doc);
        if (err == WEIR_ENOJOB && !is_first) {
            weir_err_clear(); /* it has ended meanwhile */
            (void)fprintf(stderr, "weir: job %s has ended\n", args->arg[0]);
            return 0;
        }
        if (err == 0) {
            left -= print_records(doc, left);
            long_cnt += (int64_t)json_integer_value(json_object_get(doc, "long"));
            json_decref(doc);
            (void)nanosleep(&wait, NULL);
        }
    }
    if (long_cnt > 0) {
        (void)fprintf(
            stderr, "weir: %lld records were too long to be shown\n", (long long)long_cnt);
    }
    return err;
}

static const struct weir_flag tap_flags[] = {
    {"rate", 0, "N", "records a second at most, over all subtasks; 10 where it is not given"},
    {"count", 0, "N", "end after so many records"},
    {"for", 0, "TIME", "end after this time"},
};

const struct weir_verb weir_verb_tap = {
    .name = "tap",
    .args = "JOB VERTEX",
    .text = "print a sample of the records that a vertex of a running job emits, as JSON lines",
    .examples = "weir tap nexmark-q5 events --count 5 --for 2s\n"
                "weir tap nexmark-q5 out --rate 100 --for 500ms >sample.jsonl\n",
    .notes = WEIR_ASK_NOTES
    "VERTEX is the name of an operator; of one without an output what it takes in is shown. The\n"
    "task is not slowed: it writes a row of a batch down where one was asked for. A line has the\n"
    "subtask, the kind (+I -U +U -D), the event time in ms or null, and the record.\n",
    .flags = tap_flags,
    .flag_cnt = WEIR_ARRAY_CNT(tap_flags),
    .arg_cnt_min = 2,
    .arg_cnt_max = 2,
    .run = run_tap,
};
