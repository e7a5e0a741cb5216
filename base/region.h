/* SPDX-License-Identifier: Apache-2.0 */
/* region.h: NUMA-bound memory in huge pages, carved at boot, and the table that resolves offsets.
 *
 * A region is one mapping. It is opened with the largest pages that the host gives, in this order:
 *
 *     2 MiB hugetlb  ->  memfd in hugetlb  ->  transparent huge pages  ->  4 KiB pages
 *
 * (a shared region starts at the memfd). Every step down, and memory that could not be bound to its
 * node, is written into the caller's report, once however often it happens, and is an error where
 * the caller is strict. Pieces are carved from the front and never given back one by one; each has
 * an owner tag, and bytes are counted per owner. seal ends carving.
 *
 * It is not an allocator, and it reserves no huge pages on the host: that is the host's business.
 *
 * Limits:  a pointer never travels; (region id, 32-bit byte offset) does, through the table below.
 * Thread:  open, carve, seal, close: one thread at a time. Reading the memory: as its owner says.
 */
#ifndef WEIR_BASE_REGION_H
#define WEIR_BASE_REGION_H

#include "base/base.h"

#define WEIR_REGION_HUGE_BYTES (2 * WEIR_MIB)
#define WEIR_REGION_NODE_ANY (-1)
/* Distinct owners of one region: tasks of a host times purposes; a typing error would pass it. */
#define WEIR_REGION_OWNER_CNT_MAX 65536
#define WEIR_REGION_FALLBACK_CNT_MAX 16

/* What lies under a region, best first. */
enum weir_region_backing {
    WEIR_REGION_HUGETLB,
    WEIR_REGION_MEMFD_HUGETLB,
    WEIR_REGION_THP,
    WEIR_REGION_SMALL,
    WEIR_REGION_BACKING_CNT,
};

/* weir_region_backing_name - as printed: "2 MiB hugetlb", "transparent huge pages" ... */
WEIR_API const char *weir_region_backing_name(enum weir_region_backing backing);

/* One way in which the memory is worse than what was asked for. */
struct weir_region_fallback {
    char wanted[48];
    char got[48];
    char why[128];
    char limited_by[128]; /* the setting or the party that sets the limit */
    uint32_t region_cnt; /* regions that met it */
    uint64_t bytes; /* their bytes together */
};

/* All fall-backs of one start; zeroed by the caller, filled by many opens, each kind kept once. */
struct weir_region_report {
    uint32_t fallback_cnt;
    struct weir_region_fallback fallback[WEIR_REGION_FALLBACK_CNT_MAX];
};

struct weir_region_options {
    const char *name; /* for messages and the memfd; borrowed */
    uint64_t bytes; /* rounded up to 2 MiB, or to 4 KiB for small pages */
    int node; /* NUMA node, or WEIR_REGION_NODE_ANY */
    enum weir_region_backing first; /* where the order starts; 0 is the best */
    bool shared; /* in a memfd that other processes can join */
    bool strict; /* a fall-back is WEIR_ESTRICT */
    bool touch; /* fault every page in now; hugetlb always is */
};

/* Who owns a piece. purpose is a literal ("ring", "state" ...) that outlives the region. */
struct weir_region_owner {
    uint32_t job;
    uint32_t task;
    const char *purpose;
};

struct weir_region_owned {
    struct weir_region_owner owner;
    uint64_t bytes; /* with the padding that its alignment took */
};

struct weir_region;

/* weir_region_open - map a region by the order above and bind it to its node.
 *
 * Shape:   options->bytes > 0. report may be NULL where the caller is strict.
 * Errors:  WEIR_EINVAL; WEIR_ESTRICT (the fall-back is in the report and in the context);
 *          WEIR_ENOMEM when even 4 KiB pages are refused.
 */
WEIR_API WEIR_MUST_USE int weir_region_open(const struct weir_region_options *options,
    struct weir_region_report *report, struct weir_region **ret_region);

/* weir_region_join - map another process's shared region by its memfd.
 *
 * Owner:   keeps a duplicate of fd until close. The joined region is sealed: its creator carves.
 * Errors:  WEIR_EFORMAT when fd is not a memfd that is sealed against shrinking (a peer that
 *          could shrink it could kill us), WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_region_join(int fd, struct weir_region **ret_region);

/* weir_region_close - unmap; takes NULL. Nothing carved from it may be used afterwards. */
WEIR_API void weir_region_close(struct weir_region *region);

/* weir_region_carve - the next piece, zeroed, at a multiple of align (a power of two).
 *
 * Errors:  WEIR_EBUDGET when the region is used up, with what is left; WEIR_EILLEGAL after seal;
 *          WEIR_EINVAL for no bytes, an odd align, or too many owners.
 */
WEIR_API WEIR_MUST_USE int weir_region_carve(struct weir_region *region, uint64_t bytes,
    uint64_t align, struct weir_region_owner owner, void **ret_piece);
WEIR_API void weir_region_seal(struct weir_region *region);

WEIR_API void *weir_region_base(const struct weir_region *region);
WEIR_API uint64_t weir_region_bytes(const struct weir_region *region);
WEIR_API uint64_t weir_region_carved_bytes(const struct weir_region *region);
WEIR_API int weir_region_node(const struct weir_region *region);
/* weir_region_fd - the memfd of a shared region, -1 of others; borrowed. */
WEIR_API int weir_region_fd(const struct weir_region *region);
WEIR_API enum weir_region_backing weir_region_backing(const struct weir_region *region);

/* weir_region_owned_at - bytes per owner in order of first carving; NULL past the end. */
WEIR_API const struct weir_region_owned *
weir_region_owned_at(const struct weir_region *region, size_t idx);

/* weir_region_huge_bytes - how much of it lies in huge pages now, read from /proc; cold.
 *
 * Errors:  WEIR_ESYS when /proc cannot be read.
 */
WEIR_API WEIR_MUST_USE int
weir_region_huge_bytes(const struct weir_region *region, uint64_t *ret_bytes);

/* weir_region_astray - pages of a sample (at most 256, spread evenly) that lie on another node than
 * the region's; pages not yet touched count as right. *ret_sampled tells how many were looked at.
 * Errors:  WEIR_ESYS when the kernel does not tell.
 */
WEIR_API int weir_region_astray(const struct weir_region *region, uint32_t *ret_sampled);

/* --- the table --------------------------------------------------------------------------- */

#define WEIR_REGION_ID_CNT_MAX 1024
#define WEIR_REGION_ID_NONE 0
/* Memory larger than 4 GiB takes several ids, whose windows overlap by this much: any batch up to
 * this size lies whole in the window in which it starts. */
#define WEIR_REGION_OVERLAP_BYTES (64 * WEIR_MIB)
#define WEIR_REGION_STRIDE_BYTES (4 * WEIR_GIB - WEIR_REGION_OVERLAP_BYTES)

struct weir_region_entry {
    uint8_t *base;
    uint64_t bytes;
};

struct weir_region_ids;

/* What an id means in this process. Read by every core; id 0 is none, with a NULL base.
 * An entry is written before the first descriptor that names it is published, and its id is given
 * again only after remove, so the ring that carries the descriptor orders the two. */
struct weir_region_table {
    struct weir_region_entry entry[WEIR_REGION_ID_CNT_MAX];
    struct weir_region_ids *ids; /* which are taken */
};

WEIR_API WEIR_MUST_USE int weir_region_table_init(struct weir_region_table *table);
WEIR_API void weir_region_table_fini(struct weir_region_table *table);

/* weir_region_table_add - give memory an id: a region's, a mapped file's, any foreign memory.
 *
 * Shape:   memory of more than WEIR_REGION_STRIDE_BYTES takes consecutive ids, see
 *          weir_region_table_locate. *ret_id is the first.
 * Thread:  any, several at once: ids are claimed by compare-and-swap.
 * Owner:   keeps the memory until remove.
 * Errors:  WEIR_EINVAL; WEIR_EBUDGET when the ids are used up.
 */
WEIR_API WEIR_MUST_USE int weir_region_table_add(
    struct weir_region_table *table, void *base, uint64_t bytes, uint16_t *ret_id);

/* weir_region_table_remove - forget memory added with this id and size.
 *
 * Thread:  any, once no descriptor in flight names the ids.
 */
WEIR_API void
weir_region_table_remove(struct weir_region_table *table, uint16_t id, uint64_t bytes);

/* weir_region_table_locate - split a byte position of memory added under id into (id, offset) such
 * that WEIR_REGION_OVERLAP_BYTES behind it, or all that is left, lie in the same window. */
static inline void
weir_region_table_locate(uint16_t id, uint64_t pos, uint16_t *ret_id, uint32_t *ret_off)
{
    *ret_id = (uint16_t)(id + pos / WEIR_REGION_STRIDE_BYTES);
    *ret_off = (uint32_t)(pos % WEIR_REGION_STRIDE_BYTES);
}

/* weir_region_table_ptr - what a descriptor's (id, offset) means here. Hot; unchecked. */
static inline void *
weir_region_table_ptr(const struct weir_region_table *table, uint16_t id, uint32_t off)
{
    return table->entry[id].base + off;
}

/* weir_region_table_holds - that [off, off + bytes) lies within id: for lines from outside. */
static inline bool
weir_region_table_holds(
    const struct weir_region_table *table, uint16_t id, uint32_t off, uint64_t bytes)
{
    return id < WEIR_REGION_ID_CNT_MAX && off <= table->entry[id].bytes &&
           bytes <= table->entry[id].bytes - off;
}

/* weir_lazy_map - zeroed memory of this process that the host backs as far as it is touched: for
 * buffers as long as the longest thing that may come. NULL: none; ended by weir_lazy_unmap. Any
 * thread. */
WEIR_API void *weir_lazy_map(uint64_t bytes);

/* weir_lazy_unmap - gives back what weir_lazy_map(bytes) gave; NULL is nothing. */
WEIR_API void weir_lazy_unmap(void *at, uint64_t bytes);

#endif
