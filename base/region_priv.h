/* SPDX-License-Identifier: Apache-2.0 */
/* region_priv.h: the region's own fields, for region.c, region_map.c and their test. */
#ifndef WEIR_BASE_REGION_PRIV_H
#define WEIR_BASE_REGION_PRIV_H

#include "base/region.h"

#define REGION_NAME_BYTES 64
#define REGION_WHY_BYTES 128

/* Why a step of the order was not taken, in words for the report. */
struct region_why {
    char why[REGION_WHY_BYTES];
    char limited_by[REGION_WHY_BYTES];
};

struct weir_region {
    uint8_t *base;
    uint64_t bytes;
    void *map_base; /* what is unmapped at close: the region and its guard pages */
    uint64_t map_bytes;
    uint64_t carved_bytes;
    int node;
    int fd;
    enum weir_region_backing backing;
    bool sealed;
    bool bound; /* to its node; else bind_why says why not */
    struct region_why bind_why;
    char name[REGION_NAME_BYTES];
    struct weir_region_owned *owned;
    uint32_t owned_cnt;
    uint32_t owned_cap;
};

/* weir_region_priv_map - try one step of the order: map, bind, touch. 0, or WEIR_ENOMEM with why
 * filled. */
int weir_region_priv_map(struct weir_region *region, const struct weir_region_options *options,
    enum weir_region_backing backing, struct region_why *ret_why);
/* weir_region_priv_unmap - undo map; the region may be half built. */
void weir_region_priv_unmap(struct weir_region *region);

#endif
