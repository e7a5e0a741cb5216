/* SPDX-License-Identifier: Apache-2.0 */
/* capture_mem.h: what stands beside an arena of which snapshots are taken. */
#ifndef WEIR_TESTS_UNIT_CAPTURE_MEM_H
#define WEIR_TESTS_UNIT_CAPTURE_MEM_H

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "dataplane/capture.h"

/* capture_mem - zeroed, for weir_capture_init; the caller frees it. */
static inline void *
capture_mem(const struct weir_arena *arena, uint32_t undo_cnt)
{
    uint64_t bytes =
        weir_align_up(weir_capture_footprint(arena, undo_cnt), (uint64_t)WEIR_LINE_PAIR_BYTES);
    void *mem = aligned_alloc(WEIR_LINE_PAIR_BYTES, bytes);
    WEIR_CHECK(mem != NULL, "%llu bytes beside an arena", (unsigned long long)bytes);
    memset(mem, 0, bytes);
    return mem;
}

#endif
