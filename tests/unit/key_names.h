/* SPDX-License-Identifier: Apache-2.0 */
/* key_names.h: keys that are texts, every third of them too long for its slot. */
#ifndef WEIR_TESTS_UNIT_KEY_NAMES_H
#define WEIR_TESTS_UNIT_KEY_NAMES_H

#include <stdio.h>

#include "dataplane/table.h"

/* A text, and a word behind it for keys that have one. */
struct name {
    struct weir_key_text key;
    uint64_t tail;
    uint64_t hash;
    char text[48];
};

static inline void
name_of(uint64_t id, struct name *name)
{
    int n = snprintf(name->text, sizeof name->text, "%llu%.*s", (unsigned long long)id,
        id % 3 == 0 ? 30 : 0, "-and-what-makes-it-a-long-text-");
    struct weir_slice text = {name->text, (uint32_t)n};
    name->hash = weir_hash_bytes(text.ptr, text.bytes);
    name->key = weir_key_text_of(name->text, text, name->hash);
    name->tail = id % 7;
}

#endif
