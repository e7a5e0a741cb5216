/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/control_tap.h"

#include <stdio.h>
#include <string.h>

#include "apps/weir/control.h"
#include "base/err.h"
#include "base/opt.h"
#include "dataplane/tap.h"

/* Askers come some times a second; one that does not for so long is gone. */
#define SILENT_NS (3 * WEIR_SEC_NS)
/* Of an answer: a few hundred kB at most. */
#define RECORD_CNT_MAX 256
#define NAMES_BYTES 200

/* The subtasks of an operator: calls fn with stage and node of each. */
typedef void(each_fn)(void *arg, struct weir_task *task, uint32_t node, uint32_t subtask);

static uint32_t
each(const struct weir_control_taps *taps, uint32_t vertex, each_fn *fn, void *arg)
{
    uint32_t cnt = 0;
    for (uint32_t s = 0; s < taps->plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &taps->plan->stages[s];
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            if (stage->operators[i] == vertex) {
                if (fn != NULL) {
                    fn(arg, weir_job_task(taps->job, s), i, stage->subtask);
                }
                cnt++;
            }
        }
    }
    return cnt;
}

static void
take_off(void *arg, struct weir_task *task, uint32_t node, uint32_t subtask)
{
    (void)arg;
    (void)subtask;
    (void)weir_task_tap(task, node, false);
}

void
weir_control_taps_tidy(struct weir_control_taps *taps, int64_t now_ns)
{
    for (uint32_t i = 0; i < WEIR_CONTROL_TAP_CNT_MAX; i++) {
        struct weir_control_tap *tap = &taps->tap[i];
        if (tap->is_on && now_ns - tap->asked_ns >= SILENT_NS) {
            (void)each(taps, tap->vertex, take_off, NULL);
            tap->is_on = false;
        }
    }
}

/* ---- taking ---- */

struct turn {
    uint32_t idx; /* of the subtask at hand */
    uint32_t cnt; /* of them all */
    uint32_t next;
    uint64_t grant; /* records in all */
    json_t *records;
    uint64_t long_cnt;
    bool has_memory;
};

static json_t *
record_json(const struct weir_tap_slot *slot, uint32_t subtask)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    /* What is no UTF-8 cannot be shown as JSON. */
    json_t *record = json_loadb(slot->text, slot->bytes, JSON_ALLOW_NUL, NULL);
    return json_pack("{s:i, s:s, s:o, s:o}", "subtask", (int)subtask, "kind", kinds[slot->kind & 3],
        "time", slot->time != WEIR_TIME_MIN ? json_integer((json_int_t)slot->time) : json_null(),
        "record", record != NULL ? record : json_null());
}

/* Take what one subtask has, and grant it its part of what is to come. */
static void
take(void *arg, struct weir_task *task, uint32_t node, uint32_t subtask)
{
    struct turn *turn = arg;
    struct weir_tap *tap = weir_task_tap(task, node, true);
    const struct weir_tap_slot *slot;
    turn->has_memory = turn->has_memory && tap != NULL;
    if (tap == NULL) {
        return;
    }
    while (json_array_size(turn->records) < RECORD_CNT_MAX && (slot = weir_tap_read(tap)) != NULL) {
        if (slot->bytes == 0) {
            turn->long_cnt++;
        } else {
            (void)json_array_append_new(turn->records, record_json(slot, subtask));
        }
    }
    /* Each has as many as the others, and those whose turn it is one of the rest. */
    uint32_t place = (turn->idx + turn->cnt - turn->next) % turn->cnt;
    weir_tap_grant(tap, turn->grant / turn->cnt + (place < turn->grant % turn->cnt));
    turn->idx++;
}

static json_t *
sample(
    const struct weir_control_taps *taps, struct weir_control_tap *tap, double rate, int64_t now_ns)
{
    int64_t since_ns = weir_min_i64(now_ns - tap->asked_ns, WEIR_SEC_NS);
    tap->granted += rate * (double)since_ns / (double)WEIR_SEC_NS;
    struct turn turn = {.cnt = each(taps, tap->vertex, NULL, NULL),
        .next = tap->next,
        .grant = (uint64_t)tap->granted,
        .records = json_array(),
        .has_memory = true};
    tap->granted -= (double)turn.grant;
    tap->asked_ns = now_ns;
    (void)each(taps, tap->vertex, take, &turn);
    tap->next = (uint32_t)((tap->next + turn.grant) % turn.cnt);
    if (!turn.has_memory) {
        json_decref(turn.records);
        return weir_control_refuse(WEIR_ENOMEM, "no memory to look at records");
    }
    return json_pack("{s:b, s:s, s:o, s:I}", "ok", 1, "vertex",
        taps->plan->graph->operators[tap->vertex].name, "records", turn.records, "long",
        (json_int_t)turn.long_cnt);
}

/* ---- requests ---- */

static struct weir_control_tap *
tap_of(struct weir_control_taps *taps, uint32_t vertex, int64_t now_ns)
{
    struct weir_control_tap *free_one = NULL;
    for (uint32_t i = 0; i < WEIR_CONTROL_TAP_CNT_MAX; i++) {
        struct weir_control_tap *tap = &taps->tap[i];
        if (tap->is_on && tap->vertex == vertex) {
            return tap;
        }
        free_one = free_one == NULL && !tap->is_on ? tap : free_one;
    }
    if (free_one != NULL) {
        /* One record is there for the next look, however low the rate. */
        *free_one = (struct weir_control_tap){
            .is_on = true, .vertex = vertex, .asked_ns = now_ns, .granted = 1};
    }
    return free_one;
}

static json_t *
refuse_vertex(const struct weir_plan *plan, const char *name)
{
    char listed[NAMES_BYTES] = "";
    const char *names[WEIR_PLAN_OPERATOR_CNT_MAX];
    size_t used = 0;
    for (uint32_t i = 0; i < plan->graph->operator_cnt; i++) {
        names[i] = plan->graph->operators[i].name;
        int n = used < sizeof listed ? snprintf(listed + used, sizeof listed - used, "%s%s",
                                           i > 0 ? ", " : "", names[i])
                                     : 0;
        used += n > 0 ? (size_t)n : 0;
    }
    const char *near =
        name != NULL ? weir_opt_nearest(name, names, plan->graph->operator_cnt) : NULL;
    return weir_control_refuse(WEIR_EUSAGE, "there is no vertex %.40s; %s%s%s",
        name != NULL ? name : "given", near != NULL ? "did you mean " : "there are ",
        near != NULL ? near : listed, near != NULL ? "?" : "");
}

json_t *
weir_control_vertex(const struct weir_plan *plan, const char *name, uint32_t *ret_vertex)
{
    uint32_t vertex = 0;
    while (vertex < plan->graph->operator_cnt && name != NULL &&
           strcmp(plan->graph->operators[vertex].name, name) != 0) {
        vertex++;
    }
    *ret_vertex = vertex;
    return name == NULL || vertex == plan->graph->operator_cnt ? refuse_vertex(plan, name) : NULL;
}

json_t *
weir_control_taps_answer(struct weir_control_taps *taps, const json_t *request, int64_t now_ns)
{
    const char *name = json_string_value(json_object_get(request, "vertex"));
    const json_t *rate = json_object_get(request, "rate");
    uint32_t vertex = 0;
    json_t *refusal = weir_control_vertex(taps->plan, name, &vertex);
    if (refusal != NULL) {
        return refusal;
    }
    if (!json_is_integer(rate) || json_integer_value(rate) < 1 ||
        json_integer_value(rate) > WEIR_CONTROL_TAP_RATE_MAX) {
        return weir_control_refuse(
            WEIR_EUSAGE, "rate is 1 to %d records a second", WEIR_CONTROL_TAP_RATE_MAX);
    }
    struct weir_control_tap *tap = tap_of(taps, vertex, now_ns);
    return tap != NULL ? sample(taps, tap, (double)json_integer_value(rate), now_ns)
                       : weir_control_refuse(WEIR_EREFUSED, "%d vertices are looked at already",
                             WEIR_CONTROL_TAP_CNT_MAX);
}
