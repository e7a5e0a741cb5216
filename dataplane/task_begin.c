/* SPDX-License-Identifier: Apache-2.0 */
/* A source that begins checkpoints itself: the cut lies where it says, so nothing is read behind
 * that place until the coordinator has said which checkpoint it is, if any. */
#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/task_priv.h"

static const struct weir_operator *
source_of(const struct weir_task *task, uint32_t s)
{
    return weir_chain_operator(task->chain, task->sources[s]);
}

int
weir_task_begin_find(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    cut->begin_source = TASK_SOURCE_NONE;
    for (uint32_t s = 0; s < task->source_cnt; s++) {
        if (source_of(task, s)->type->begins == NULL) {
            continue;
        }
        if (cut->begin_source != TASK_SOURCE_NONE) {
            return weir_err_push(WEIR_EPLAN,
                "two sources of one task begin checkpoints: give them tasks of their own");
        }
        cut->begin_source = s;
    }
    return 0;
}

int
weir_task_begin_look(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    const struct weir_operator *op = source_of(task, cut->begin_source);
    uint64_t number = op->type->begins(op);
    if (number == 0) {
        return 0;
    }
    if (number <= cut->begin_number) {
        return weir_err_push(WEIR_EDATA,
            "source %s begins checkpoint %llu behind %llu: its numbers have to rise", op->uid,
            (unsigned long long)number, (unsigned long long)cut->begin_number);
    }
    cut->begin_number = number;
    cut->is_begun = !WEIR_MUTANT(BEGIN_GOES_ON);
    weir_task_cut_free_sources(task);
    const struct weir_task_report what = {.kind = WEIR_TASK_BEGINS, .mark.id = number};
    cut->conf.report_fn(cut->conf.arg, task, &what);
    return 1;
}

void
weir_task_begin_end(struct weir_task *task)
{
    const struct weir_task_report what = {.kind = WEIR_TASK_BEGINS};
    task->cut.conf.report_fn(task->cut.conf.arg, task, &what);
}
