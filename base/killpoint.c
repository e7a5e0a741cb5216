/* SPDX-License-Identifier: Apache-2.0 */
/* For tests/torture only: no library that is installed has it. */
#include "base/killpoint.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/rng.h"

#define VARIABLE "KILLPOINT"
#define EXIT_USAGE 64

static const struct {
    const char *name;
    const char *text;
} points[] = {
#define X(id, name, text) {name, text},
    WEIR_KILLPOINT_TABLE(X)
#undef X
};

/* Set before main() and not changed. */
static struct {
    bool is_on;
    bool is_any;
    enum weir_killpoint point;
    uint64_t at; /* the passing at which to die; of any: one of so many */
    uint64_t seed;
} armed;
static WEIR_ATOMIC(uint64_t) pass_cnt;

static void
list(void)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(points); i++) {
        (void)printf("%s %s\n", points[i].name, points[i].text);
    }
    (void)fflush(stdout);
    _exit(0);
}

/* True: *ret is the number behind the sign, or 1 where nothing is. */
static bool
number_behind(const char *text, char sign, uint64_t *ret)
{
    char *end;
    *ret = 1;
    if (*text == '\0') {
        return true;
    }
    *ret = strtoull(text + 1, &end, 10);
    return *text == sign && end > text + 1 && *end == '\0' && *ret > 0;
}

static bool
arm(const char *text)
{
    if (strncmp(text, "any%", 4) == 0) {
        char *end;
        armed.is_any = true;
        armed.at = strtoull(text + 4, &end, 10);
        return armed.at > 0 && number_behind(end, ':', &armed.seed);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(points); i++) {
        size_t bytes = strlen(points[i].name);
        if (strncmp(text, points[i].name, bytes) == 0 &&
            (text[bytes] == '\0' || text[bytes] == ':')) {
            armed.point = (enum weir_killpoint)i;
            return number_behind(text + bytes, ':', &armed.at);
        }
    }
    return false;
}

static void look_at_environment(void) __attribute__((constructor));

static void
look_at_environment(void)
{
    const char *text = getenv(VARIABLE);
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "list") == 0) {
        list();
    }
    armed.is_on = arm(text);
    if (!armed.is_on) {
        (void)fprintf(stderr, "%s=%s: no kill point, or no number\n", VARIABLE, text);
        _exit(EXIT_USAGE);
    }
}

static void
die(enum weir_killpoint point)
{
    char text[64];
    int bytes = snprintf(text, sizeof text, "killed at %s\n", points[point].name);
    (void)!write(STDERR_FILENO, text, (size_t)bytes);
    (void)kill(getpid(), SIGKILL);
    for (;;) {
        (void)pause();
    }
}

void
weir_killpoint_pass(enum weir_killpoint point)
{
    if (!armed.is_on || (!armed.is_any && point != armed.point)) {
        return;
    }
    /* relaxed: it is a count. */
    uint64_t cnt = weir_fetch_add_rlx(&pass_cnt, 1) + 1;
    if (armed.is_any ? weir_rng_at(armed.seed, cnt) % armed.at == 0 : cnt == armed.at) {
        die(point);
    }
}
