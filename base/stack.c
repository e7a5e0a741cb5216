/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* The handler, and the kernel's frame that called it. */
#define OWN_FRAME_CNT 2

int
weir_stack_signal(void)
{
    return SIGRTMIN + 4; /* those before it are taken first by who takes any */
}

/* The question came by sigqueue() of this very process; anybody may send the number. backtrace() is
 * no promise of POSIX's, but takes no lock once it has been called before (weir_stack_open). */
static void
on_ask(int number, siginfo_t *info, void *ucontext)
{
    int errnum = errno;
    (void)number;
    (void)ucontext;
    if (info->si_code != SI_QUEUE || info->si_pid != getpid()) {
        return;
    }
    struct weir_stack *stack = info->si_value.sival_ptr;
    /* [A61] pairs with [R61] in weir_stack_ask: the last answer has been read. */
    (void)weir_load_acq(&stack->ask_cnt);
    void *frames[WEIR_STACK_FRAME_CNT_MAX + OWN_FRAME_CNT];
    int cnt = backtrace(frames, (int)WEIR_ARRAY_CNT(frames));
    stack->frame_cnt = cnt > OWN_FRAME_CNT ? (uint32_t)cnt - OWN_FRAME_CNT : 0;
    memcpy(stack->frames, frames + OWN_FRAME_CNT, stack->frame_cnt * sizeof frames[0]);
    /* [R50] pairs with [A50] in weir_stack_is_there. relaxed: this thread alone writes it. */
    weir_store_rel(&stack->answer_cnt, weir_load_rlx(&stack->answer_cnt) + 1);
    errno = errnum;
}

int
weir_stack_open(void)
{
    void *frames[1];
    struct sigaction action = {.sa_sigaction = on_ask, .sa_flags = SA_SIGINFO};
    (void)backtrace(frames, 1); /* loads what it needs */
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(weir_stack_signal(), &action, NULL) != 0) {
        return weir_err_errno(errno, "a handler for signal %d", weir_stack_signal());
    }
    return 0;
}

bool
weir_stack_ask(struct weir_stack *stack, pthread_t thread)
{
    const union sigval value = {.sival_ptr = stack};
    /* relaxed: the watcher alone writes it. */
    uint64_t asked = weir_load_rlx(&stack->ask_cnt);
    /* [R61] pairs with [A61] in on_ask. */
    weir_store_rel(&stack->ask_cnt, asked + 1);
    if (pthread_sigqueue(thread, weir_stack_signal(), value) != 0) {
        weir_store_rlx(&stack->ask_cnt, asked); /* relaxed: likewise */
        return false;
    }
    return true;
}

bool
weir_stack_is_there(const struct weir_stack *stack)
{
    uint64_t asked = weir_load_rlx(&stack->ask_cnt); /* relaxed: the watcher alone writes it */
    /* [A50] pairs with [R50] in on_ask. */
    return asked > 0 && weir_load_acq(&stack->answer_cnt) == asked;
}

void
weir_stack_name(const struct weir_stack *stack, uint32_t i, char *buf, size_t bytes)
{
    Dl_info info;
    char *at = stack->frames[i];
    if (dladdr(at, &info) == 0 || info.dli_fname == NULL) {
        (void)snprintf(buf, bytes, "%p", (void *)at);
    } else if (info.dli_sname != NULL) {
        (void)snprintf(buf, bytes, "%s+0x%tx in %s", info.dli_sname, at - (char *)info.dli_saddr,
            info.dli_fname);
    } else {
        (void)snprintf(buf, bytes, "%s+0x%tx", info.dli_fname, at - (char *)info.dli_fbase);
    }
}
