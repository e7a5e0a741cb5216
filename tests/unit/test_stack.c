/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that is asked where it is: it says so, its calls that wait end, and late or foreign
 * signals do no harm. */
#include "base/stack.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define TRY_CNT 10000
#define FUNCTION_BYTES 4096 /* more than the function below has */

struct waiter {
    pthread_t thread;
    sem_t begun;
    sem_t ended;
    sem_t released;
    uint32_t interrupted_cnt;
    uint32_t end_at; /* interruptions */
};

/* Waits for what never comes, but for interruptions. */
__attribute__((noinline)) static void *
wait_for_ever(void *arg)
{
    struct waiter *waiter = arg;
    (void)sem_post(&waiter->begun);
    while (waiter->interrupted_cnt < waiter->end_at) {
        assert_int_equal(pause(), -1);
        assert_int_equal(errno, EINTR);
        waiter->interrupted_cnt++;
    }
    (void)sem_post(&waiter->ended);
    while (sem_wait(&waiter->released) != 0) { /* one who is asked has to be there */
    }
    return NULL;
}

static void
waiter_start(struct waiter *waiter, uint32_t end_at)
{
    memset(waiter, 0, sizeof *waiter);
    waiter->end_at = end_at;
    assert_int_equal(sem_init(&waiter->begun, 0, 0), 0);
    assert_int_equal(sem_init(&waiter->ended, 0, 0), 0);
    assert_int_equal(sem_init(&waiter->released, 0, 0), 0);
    assert_int_equal(weir_stack_open(), 0);
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_ever, waiter), 0);
    assert_int_equal(sem_wait(&waiter->begun), 0);
}

static void
waiter_end(struct waiter *waiter)
{
    (void)sem_post(&waiter->released);
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
    (void)sem_destroy(&waiter->released);
    (void)sem_destroy(&waiter->begun);
    (void)sem_destroy(&waiter->ended);
}

static void
ask(struct weir_stack *stack, const struct waiter *waiter)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    assert_true(weir_stack_ask(stack, waiter->thread));
    for (uint32_t i = 0; !weir_stack_is_there(stack); i++) {
        assert_true(i < TRY_CNT);
        (void)nanosleep(&pause, NULL);
    }
}

static void
t_T163_a_thread_says_where_it_is_and_wakes_up(void **state)
{
    (void)state;
    struct waiter waiter;
    struct weir_stack stack = {0};
    char name[WEIR_STACK_NAME_BYTES];
    bool is_named = false;
    bool is_there = false;
    assert_false(weir_stack_is_there(&stack));
    waiter_start(&waiter, 1);
    /* It may be asked before it waits: the interruption is of no use then, its answer is. */
    while (sem_trywait(&waiter.ended) != 0) {
        ask(&stack, &waiter);
        assert_in_range(stack.frame_cnt, 1, WEIR_STACK_FRAME_CNT_MAX);
        for (uint32_t i = 0; i < stack.frame_cnt; i++) {
            uintptr_t off = (uintptr_t)stack.frames[i] - (uintptr_t)wait_for_ever;
            is_there |= off < FUNCTION_BYTES;
            weir_stack_name(&stack, i, name, sizeof name);
            is_named |= strstr(name, "test_stack+0x") != NULL;
        }
    }
    waiter_end(&waiter);
    assert_true(is_there && is_named);
    assert_int_equal(waiter.interrupted_cnt, 1);
}

/* Frames are those of the last question, however many there were. */
static void
t_asked_many_times_it_answers_all(void **state)
{
    (void)state;
    struct waiter waiter;
    struct weir_stack stack = {0};
    waiter_start(&waiter, 100);
    while (sem_trywait(&waiter.ended) != 0) {
        ask(&stack, &waiter);
        assert_int_equal(stack.answer_cnt, stack.ask_cnt);
    }
    waiter_end(&waiter);
    assert_in_range(stack.ask_cnt, 100, UINT64_MAX);
}

/* The number alone is no question. */
static void
t_a_foreign_signal_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(weir_stack_open(), 0);
    assert_int_equal(pthread_kill(pthread_self(), weir_stack_signal()), 0);
    assert_int_equal(kill(getpid(), weir_stack_signal()), 0);
}

static void
t_what_lies_in_no_object_has_its_address(void **state)
{
    (void)state;
    struct weir_stack stack = {.frame_cnt = 1, .frames = {(void *)0x10}};
    char name[WEIR_STACK_NAME_BYTES];
    weir_stack_name(&stack, 0, name, sizeof name);
    assert_string_equal(name, "0x10");
    stack.frames[0] = (char *)(uintptr_t)gnu_get_libc_version + 1;
    weir_stack_name(&stack, 0, name, sizeof name);
    assert_non_null(strstr(name, "gnu_get_libc_version+0x1 in "));
    assert_non_null(strstr(name, "libc"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T163_a_thread_says_where_it_is_and_wakes_up),
        cmocka_unit_test(t_asked_many_times_it_answers_all),
        cmocka_unit_test(t_a_foreign_signal_is_passed_over),
        cmocka_unit_test(t_what_lies_in_no_object_has_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
