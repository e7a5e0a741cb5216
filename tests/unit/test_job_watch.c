/* SPDX-License-Identifier: Apache-2.0 */
/* When the watch over code that does not return looks again. */
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "base/stack.h"
#include "sched/job_part.h"
#include "tests/unit/test.h"

/* How long a look waits at least for one that does not answer: see job_watch.c. */
#define LOOK_NS WEIR_SEC_NS

struct deaf {
    struct weir_thread_list *list;
    sem_t is_there;
    sem_t may_end;
};

/* A thread of an operator that takes no signals. */
static void *
deaf_main(void *arg)
{
    struct deaf *deaf = (struct deaf *)arg;
    struct weir_thread_entry entry = {.name = "deaf", .vertex = "v"};
    sigset_t set;
    weir_thread_list_join(deaf->list, &entry);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, weir_stack_signal());
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sem_post(&deaf->is_there);
    (void)sem_wait(&deaf->may_end);
    weir_thread_list_leave(deaf->list, &entry);
    return NULL;
}

/* A look that takes longer than the interval does not leave the next one due at once. */
static void
t_T163_the_next_look_is_an_interval_behind_the_end_of_this_one(void **state)
{
    (void)state;
    struct weir_clock clock;
    struct job_watch watch = {.core_cnt = 0};
    struct weir_job job = {.options = {.cancel_interval_ns = WEIR_MS}};
    struct deaf deaf = {.list = &job.threads};
    pthread_t thread;
    weir_clock_init_os(&clock);
    assert_int_equal(weir_stack_open(), 0);
    weir_thread_list_init(&job.threads);
    assert_int_equal(sem_init(&deaf.is_there, 0, 0) | sem_init(&deaf.may_end, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, deaf_main, &deaf), 0);
    (void)sem_wait(&deaf.is_there);
    assert_true(weir_job_watch(&job, &watch, &clock) == INT64_MAX);
    weir_store_rlx(&job.is_canceled, 1);
    int64_t next_ns = weir_job_watch(&job, &watch, &clock); /* it is seen, and not asked yet */
    while (weir_clock_ns(&clock) < next_ns) {
        const struct timespec pause = {.tv_nsec = WEIR_MS};
        (void)nanosleep(&pause, NULL);
    }
    int64_t before_ns = weir_clock_ns(&clock);
    next_ns = weir_job_watch(&job, &watch, &clock);
    assert_true(next_ns >= before_ns + LOOK_NS + job.options.cancel_interval_ns);
    (void)sem_post(&deaf.may_end);
    (void)pthread_join(thread, NULL);
    weir_thread_list_fini(&job.threads);
    (void)sem_destroy(&deaf.is_there);
    (void)sem_destroy(&deaf.may_end);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T163_the_next_look_is_an_interval_behind_the_end_of_this_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
