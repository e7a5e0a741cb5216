/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mutant.h"

#if defined(WEIR_WITH_MUTANTS)

#include <string.h>

uint32_t weir_mutant_on;

bool
weir_mutant_choose(const char *name)
{
    static const char *const names[] = {
#define X(name, by, text) #name,
        WEIR_MUTANT_TABLE(X)
#undef X
    };
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            weir_mutant_on = i + 1;
            return true;
        }
    }
    return false;
}

#endif
