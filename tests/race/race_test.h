/* SPDX-License-Identifier: Apache-2.0 */
/* race_test.h: a case is explored whole and clean, and each weaker order is caught in it. */
#ifndef WEIR_TESTS_RACE_RACE_TEST_H
#define WEIR_TESTS_RACE_RACE_TEST_H

#include <stdlib.h>
#include <string.h>

#include "tests/race/explorer.h"
#include "tests/unit/test.h"

static inline void
race_expect_clean(const struct race_case *cs)
{
    struct race_result result;
    race_explore(cs, NULL, &result);
    print_message("%s: %llu runs, %llu left early\n", cs->name, (unsigned long long)result.run_cnt,
        (unsigned long long)result.cut_cnt);
    if (result.is_broken) {
        fail_msg("%s: %s", cs->name, result.text);
    }
    assert_false(result.is_incomplete);
    assert_true(result.run_cnt > 1);
}

static inline void
race_expect_caught(const struct race_case *cs, const struct race_weaken *weaken)
{
    struct race_result result;
    race_explore(cs, weaken, &result);
    if (!result.is_broken) {
        fail_msg("%s: the weaker order in %s survived", cs->name, weaken->func);
    }
    print_message("%s: weaker %s caught after %llu runs: %.*s\n", cs->name, weaken->func,
        (unsigned long long)result.run_cnt, (int)strcspn(result.text, "\n"), result.text);
    if (getenv("WEIR_RACE_STORY") != NULL) {
        print_message("%s\n", result.text);
    }
}

#endif
