/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/err.h"
#include "base/region.h"

struct weir_region_ids {
    WEIR_ATOMIC(uint8_t) taken[WEIR_REGION_ID_CNT_MAX];
};

int
weir_region_table_init(struct weir_region_table *table)
{
    memset(table, 0, sizeof *table);
    table->ids = (struct weir_region_ids *)calloc(1, sizeof *table->ids);
    if (table->ids == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the region table's ids");
    }
    /* relaxed: nobody else knows the table yet. */
    weir_store_rlx(&table->ids->taken[WEIR_REGION_ID_NONE], 1);
    return 0;
}

void
weir_region_table_fini(struct weir_region_table *table)
{
    if (table != NULL) {
        free(table->ids);
        memset(table, 0, sizeof *table);
    }
}

static uint32_t
window_cnt(uint64_t bytes)
{
    return (uint32_t)((bytes + WEIR_REGION_STRIDE_BYTES - 1) / WEIR_REGION_STRIDE_BYTES);
}

/* All of [from, from + cnt), or none. */
static bool
claim(struct weir_region_ids *ids, uint32_t from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        uint8_t expected = 0;
        /* [A1] pairs with [R1]: the entry's former owner has cleared it before we write it. */
        if (!weir_cas_acq_rel(&ids->taken[from + i], &expected, 1)) {
            for (uint32_t j = 0; j < i; j++) {
                /* [R1] pairs with [A1] in claim. */
                weir_store_rel(&ids->taken[from + j], 0);
            }
            return false;
        }
    }
    return true;
}

int
weir_region_table_add(struct weir_region_table *table, void *base, uint64_t bytes, uint16_t *ret_id)
{
    if (base == NULL || bytes == 0) {
        return weir_err_push(WEIR_EINVAL, "no memory to give an id to");
    }
    uint32_t cnt = window_cnt(bytes);
    for (uint32_t from = 1; cnt < WEIR_REGION_ID_CNT_MAX && from + cnt <= WEIR_REGION_ID_CNT_MAX;
         from++) {
        if (!claim(table->ids, from, cnt)) {
            continue;
        }
        for (uint32_t i = 0; i < cnt; i++) {
            uint64_t at = i * WEIR_REGION_STRIDE_BYTES;
            table->entry[from + i].base = (uint8_t *)base + at;
            table->entry[from + i].bytes = weir_min_u64(bytes - at, 4 * WEIR_GIB);
        }
        *ret_id = (uint16_t)from;
        return 0;
    }
    return weir_err_push(WEIR_EBUDGET,
        "%u region ids for %llu bytes: not that many of %u are free next to each other", cnt,
        (unsigned long long)bytes, WEIR_REGION_ID_CNT_MAX);
}

void
weir_region_table_remove(struct weir_region_table *table, uint16_t id, uint64_t bytes)
{
    uint32_t cnt = window_cnt(bytes);
    WEIR_CHECK(id != WEIR_REGION_ID_NONE && id + cnt <= WEIR_REGION_ID_CNT_MAX,
        "remove of region ids %u, %u of them", id, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        table->entry[id + i].base = NULL;
        table->entry[id + i].bytes = 0;
        /* [R1] pairs with [A1] in claim: whoever takes the id next sees it cleared. */
        weir_store_rel(&table->ids->taken[id + i], 0);
    }
}
