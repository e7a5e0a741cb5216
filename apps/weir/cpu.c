/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c: refuse to start on a CPU that lacks an instruction set this build uses.
 *
 * This unit alone is compiled for the oldest x86-64. It runs from .preinit_array, before the
 * constructors of any shared object: those may already hold instructions that an old CPU has not.
 * WEIR_CPU_NEEDS comes from the build: one CPU_NEED(name) per instruction set that -march turned
 * on.
 */
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#if defined(__x86_64__) && defined(WEIR_CPU_NEEDS)

static void
say(const char *text)
{
    /* The program is about to end for a named reason: a lost message changes nothing. */
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(WEIR_EXIT_STRICT);
    }
}

static void
cpu_check(void)
{
    const char *lacks = NULL;
    __builtin_cpu_init();
#define CPU_NEED(name)                    \
    if (!__builtin_cpu_supports(#name)) { \
        lacks = #name;                    \
    }
    WEIR_CPU_NEEDS
#undef CPU_NEED
    if (lacks != NULL) {
        say("weir: this build is for " WEIR_CPU_MARCH ", and this CPU lacks ");
        say(lacks);
        say("\n  fix: run it on a newer CPU, or build it with -Dcpu=x86-64-v2 or -Dcpu=native\n");
        _exit(WEIR_EXIT_STRICT);
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const cpu_preinit)(void) = cpu_check;

#endif
