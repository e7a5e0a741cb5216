/* SPDX-License-Identifier: Apache-2.0 */
/* job_watch.c: user code that does not return when its job is canceled: interrupted and named, and
 * in the end not waited for any more.
 *
 * Every interval: a signal, which ends a call that waits in the kernel, and a line with the stack.
 * Behind the time-out the process ends: memory that this code may still write to cannot be given
 * back. Source: Flink's TaskInterrupter and TaskCancelerWatchDog. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stack.h"
#include "sched/job_part.h"

/* Lines of a stack; the log takes WEIR_LOG_BURST of one place in a second. */
#define LINE_CNT_MAX 24
/* How long all that are asked are given to answer: a host may not let a thread run for some tenths
 * of a second. One that the kernel holds will not. */
#define ANSWER_TRY_CNT 1000
#define ANSWER_NS WEIR_MS

static void
say_stack(const struct weir_stack *stack, enum weir_log_level level)
{
    if (!weir_stack_is_there(stack)) {
        weir_log(
            level, 0, "  its thread does not answer: the kernel holds it, or it blocks signals");
        return;
    }
    for (uint32_t i = 0; i < stack->frame_cnt && i < LINE_CNT_MAX; i++) {
        char name[WEIR_STACK_NAME_BYTES];
        weir_stack_name(stack, i, name, sizeof name);
        weir_log(level, 0, "  #%u %s", i, name);
    }
}

/* Interrupt the cores that have been at a task since the last look. */
static void
ask_stuck(struct job_watch *watch)
{
    for (uint32_t c = 0; c < watch->core_cnt; c++) {
        struct job_watched *core = &watch->watched[c];
        uint64_t poll_cnt;
        struct weir_task *task = weir_core_at(watch->cores[c], &poll_cnt);
        bool is_same = task != NULL && core->seen == poll_cnt + 1;
        core->seen = poll_cnt + 1;
        core->stuck_at = is_same ? task : NULL;
        core->stack = is_same ? weir_core_ask(watch->cores[c]) : NULL;
    }
}

static bool
all_answered(const struct weir_job *job, const struct job_watch *watch)
{
    for (uint32_t c = 0; c < watch->core_cnt; c++) {
        const struct job_watched *core = &watch->watched[c];
        if (core->stuck_at != NULL && !weir_stack_is_there(core->stack)) {
            return false;
        }
    }
    return weir_thread_list_answered(&job->threads);
}

static void
wait_for_answers(const struct weir_job *job, const struct job_watch *watch)
{
    const struct timespec pause = {.tv_nsec = ANSWER_NS};
    for (uint32_t i = 0; i < ANSWER_TRY_CNT && !all_answered(job, watch); i++) {
        (void)nanosleep(&pause, NULL);
    }
}

/* How long it has been waited for, and what comes of it. */
struct verdict {
    double waited_s;
    enum weir_log_level level;
    const char *what;
};

static bool
name_cores(const struct job_watch *watch, const struct verdict *verdict)
{
    bool any = false;
    for (uint32_t c = 0; c < watch->core_cnt; c++) {
        const struct weir_task *task = watch->watched[c].stuck_at;
        if (task == NULL) {
            continue;
        }
        weir_log(verdict->level, WEIR_ETIMEOUT,
            "task %s: operator %s has not returned for %.1f s since it was canceled%s",
            weir_task_name(task), weir_task_at(task), verdict->waited_s, verdict->what);
        say_stack(watch->watched[c].stack, verdict->level);
        any = true;
    }
    return any;
}

static bool
name_threads(const struct weir_thread_list *list, const struct verdict *verdict)
{
    bool any = false;
    for (const struct weir_thread_entry *entry = list->first; entry != NULL; entry = entry->next) {
        if (!entry->is_stuck) {
            continue;
        }
        weir_log(verdict->level, WEIR_ETIMEOUT,
            "operator %s[%u]: its thread %s has not ended for %.1f s since it was canceled%s",
            entry->vertex, entry->subtask_idx, entry->name, verdict->waited_s, verdict->what);
        say_stack(&entry->stack, verdict->level);
        any = true;
    }
    return any;
}

/* Name those that are stuck; the job is over where it has waited enough. */
static void
look(struct weir_job *job, struct job_watch *watch, int64_t now_ns)
{
    int64_t limit_ns = job->options.cancel_timeout_ns;
    int64_t waited_ns = now_ns - watch->since_ns;
    bool is_over = limit_ns != 0 && waited_ns >= limit_ns;
    const struct verdict verdict = {.waited_s = (double)waited_ns / (double)WEIR_SEC_NS,
        .level = is_over ? WEIR_LOG_ERROR : WEIR_LOG_WARNING,
        .what = is_over ? "; the process ends (task.cancel_timeout)" : ""};
    ask_stuck(watch);
    weir_thread_list_ask(&job->threads);
    wait_for_answers(job, watch);
    bool any = name_threads(&job->threads, &verdict); /* what cores wait for */
    any |= name_cores(watch, &verdict);
    if (any && is_over) {
        weir_log_flush();
        _exit(weir_err_exit_code(WEIR_ETIMEOUT));
    }
    weir_thread_list_unlock(&job->threads);
}

int64_t
weir_job_watch(struct weir_job *job, struct job_watch *watch, const struct weir_clock *clock)
{
    int64_t now_ns = weir_clock_ns(clock);
    int64_t interval_ns = job->options.cancel_interval_ns;
    /* relaxed: it carries nothing. */
    if (weir_load_rlx(&job->is_canceled) == 0 || interval_ns == 0) {
        return INT64_MAX;
    }
    if (watch->since_ns == 0) {
        watch->since_ns = now_ns;
        watch->next_ns = now_ns;
    }
    if (now_ns >= watch->next_ns) {
        look(job, watch, now_ns);
        int64_t over_ns = watch->since_ns + job->options.cancel_timeout_ns;
        /* From the end of this look: it may have waited for answers, longer than the interval. */
        watch->next_ns = weir_clock_ns(clock) + interval_ns;
        watch->next_ns = over_ns > now_ns ? weir_min_i64(watch->next_ns, over_ns) : watch->next_ns;
    }
    return watch->next_ns;
}
