/* SPDX-License-Identifier: Apache-2.0 */
/* kinds_maps.h: maps of numbers of a task of kinds_rig.h. */
#ifndef WEIR_TESTS_UNIT_KINDS_MAPS_H
#define WEIR_TESTS_UNIT_KINDS_MAPS_H

#include "tests/unit/kinds_rig.h"

/* The maps of numbers of the current key. */
static inline struct weir_numbers *
rig_maps(struct rig_task *task, uint32_t state)
{
    const struct weir_table_rows row = {.hash = &task->set->hash,
        .key = (const char *)task->set->key,
        .heap = task->set->heap,
        .key_stride = task->keyed.stride,
        .cnt = 1};
    void *maps = NULL;
    assert_int_equal(weir_kindset_maps(task->set, state, row, &maps), 1);
    return maps;
}

#endif
