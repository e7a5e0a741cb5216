/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t
weir_hash_long(const void *key, size_t bytes)
{
    return XXH3_64bits(key, bytes);
}
