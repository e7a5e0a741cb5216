/* SPDX-License-Identifier: Apache-2.0 */
/* seed.h: the seed of a run of random tests; printed, so that WEIR_SEED=n repeats a failed one. */
#ifndef WEIR_TESTS_UNIT_SEED_H
#define WEIR_TESTS_UNIT_SEED_H

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

#define SEED_OF_RUN_DEFAULT 20250101

static WEIR_UNUSED uint64_t
seed_of_run(void)
{
    const char *text = getenv("WEIR_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : SEED_OF_RUN_DEFAULT;
    printf("seed %llu (WEIR_SEED)\n", (unsigned long long)seed);
    return seed;
}

#endif
