/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox of a task (mailbox.h): made where an operator takes letters, and emptied at the end.
 * A batch of them runs in each poll (task.c). */
#include "base/err.h"
#include "dataplane/task_priv.h"

static bool
fail(void *arg, int error, const char *why)
{
    return weir_task_fail((struct weir_task *)arg, error, why);
}

int
weir_task_mail_new(struct weir_task *task, const struct weir_chain_conf *conf)
{
    uint64_t letter_cnt = 0;
    for (uint32_t i = 0; i < conf->node_cnt; i++) {
        const struct weir_chain_node_conf *node = &conf->nodes[i];
        letter_cnt += node->type->letters != NULL ? node->type->letters(node->conf) : 0;
    }
    if (letter_cnt == 0) {
        return 0;
    }
    int rc = weir_mailbox_new(
        (uint32_t)weir_min_u64(letter_cnt, WEIR_MBOX_SLOT_CNT_MAX + 1), &task->mailbox);
    if (rc != 0) {
        return rc;
    }
    weir_mailbox_set_fail(task->mailbox, fail, task);
    for (uint32_t i = 0; i < conf->node_cnt; i++) {
        if (conf->nodes[i].type->letters != NULL) {
            weir_chain_set_mailbox(task->chain, i, task->mailbox);
        }
    }
    return 0;
}

int
weir_task_mail_drain(struct weir_task *task, int64_t now_ns)
{
    weir_mailbox_quiesce(task->mailbox);
    return weir_mailbox_drain(task->mailbox, now_ns);
}

void
weir_task_set_wake(struct weir_task *task, void (*wake_fn)(void *arg), void *arg)
{
    if (task->mailbox != NULL) {
        weir_mailbox_set_wake(task->mailbox, wake_fn, arg);
    }
}
