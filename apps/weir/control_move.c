/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/control_move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/control_tap.h"
#include "base/err.h"

/* Between two looks at whether it is over. */
#define LOOK_NS WEIR_MS
#define WHY_BYTES 512

/* An integer of [0, UINT32_MAX]. */
static bool
take_number(const json_t *value, uint32_t *ret_number)
{
    json_int_t number = json_integer_value(value);
    *ret_number = (uint32_t)number;
    return json_is_integer(value) && number >= 0 && number <= UINT32_MAX;
}

json_t *
weir_moving_begin(struct weir_moving *moving, const json_t *request, uint64_t asker)
{
    const json_t *groups = json_object_get(request, "key_groups");
    struct weir_job_move move = {.ticket = moving->move.ticket + 1};
    json_t *refusal = weir_control_vertex(weir_launch_plan_of(moving->conf->launch),
        json_string_value(json_object_get(request, "vertex")), &move.vertex);
    if (refusal != NULL) {
        return refusal;
    }
    if (!take_number(json_object_get(request, "to"), &move.to) || json_array_size(groups) != 2 ||
        !take_number(json_array_get(groups, 0), &move.first) ||
        !take_number(json_array_get(groups, 1), &move.last)) {
        return weir_control_refuse(WEIR_EUSAGE,
            "key_groups are the first and the last one, to is the number of a subtask");
    }
    if (moving->is_on) {
        return weir_control_refuse(WEIR_EREFUSED, "key groups are moving already");
    }
    int err = weir_job_move_check(moving->conf->job, &move);
    if (err != 0) {
        char why[WHY_BYTES];
        weir_err_save(why, sizeof why);
        weir_err_clear();
        return weir_control_refuse(err, "%s", why);
    }
    moving->move = move;
    moving->asker = asker;
    moving->is_on = true;
    moving->is_put = weir_job_move(moving->conf->job, &moving->move);
    return NULL;
}

static json_t *
over(struct weir_moving *moving, const struct weir_job_move_view *view)
{
    const struct weir_job_move *move = &moving->move;
    moving->is_on = false;
    if (view == NULL || view->why != NULL) {
        return view == NULL
                   ? weir_control_refuse(WEIR_EREFUSED,
                         "the job has ended: it is not known whether key groups have moved")
                   : weir_control_refuse(
                         WEIR_EREFUSED, "not all key groups have moved: %s", view->why);
    }
    (void)fprintf(stderr, "weir: key groups %u-%u of %s went to subtask %u\n", move->first,
        move->last, weir_launch_plan_of(moving->conf->launch)->graph->operators[move->vertex].name,
        move->to);
    return json_pack("{s:b, s:s, s:i, s:s, s:[I,I], s:I, s:I, s:b}", "ok", 1, "job",
        weir_launch_name(moving->conf->launch), "pid", (int)getpid(), "vertex",
        weir_launch_plan_of(moving->conf->launch)->graph->operators[move->vertex].name,
        "key_groups", (json_int_t)move->first, (json_int_t)move->last, "to", (json_int_t)move->to,
        "checkpoint", (json_int_t)view->id, "is_stored", (int)view->is_stored);
}

json_t *
weir_moving_serve(struct weir_moving *moving)
{
    struct weir_job_checkpoint_view view;
    if (!moving->is_on) {
        return NULL;
    }
    if (!moving->is_put && !moving->gives_up) {
        moving->is_put = weir_job_move(moving->conf->job, &moving->move);
    }
    weir_job_checkpoints(moving->conf->job, &view);
    if (view.move.ticket == moving->move.ticket) {
        return over(moving, &view.move);
    }
    return moving->gives_up ? over(moving, NULL) : NULL;
}

void
weir_moving_give_up(struct weir_moving *moving)
{
    moving->gives_up = true;
}

int64_t
weir_moving_wait_ns(const struct weir_moving *moving)
{
    return moving->is_on ? LOOK_NS : -1;
}

json_t *
weir_moving_owners(const struct weir_job *job, uint32_t vertex)
{
    uint32_t cnt = weir_job_max_parallelism(job);
    uint16_t *owner = calloc(cnt, sizeof *owner);
    json_t *list = NULL;
    if (owner != NULL && weir_job_owners(job, vertex, owner)) {
        list = json_array();
        for (uint32_t g = 0, first = 0; g < cnt; g++) {
            if (g + 1 == cnt || owner[g + 1] != owner[g]) {
                (void)json_array_append_new(list,
                    json_pack("[I,I,I]", (json_int_t)first, (json_int_t)g, (json_int_t)owner[g]));
                first = g + 1;
            }
        }
    }
    free(owner);
    return list;
}
