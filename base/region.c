/* SPDX-License-Identifier: Apache-2.0 */
#include "base/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/region_priv.h"

const char *
weir_region_backing_name(enum weir_region_backing backing)
{
    static const char *const names[WEIR_REGION_BACKING_CNT] = {
        "2 MiB hugetlb", "2 MiB hugetlb in a memfd", "transparent huge pages", "4 KiB pages"};
    return backing < WEIR_REGION_BACKING_CNT ? names[backing] : "?";
}

/* A step down is remembered by what was wanted, what came and who set the limit: the sizes in the
 * reason may differ from region to region, the message would not. */
static void
report_add(struct weir_region_report *report, const struct weir_region_fallback *found)
{
    if (report == NULL) {
        return;
    }
    for (uint32_t i = 0; i < report->fallback_cnt; i++) {
        struct weir_region_fallback *known = &report->fallback[i];
        if (strcmp(known->wanted, found->wanted) == 0 && strcmp(known->got, found->got) == 0 &&
            strcmp(known->limited_by, found->limited_by) == 0) {
            known->region_cnt++;
            known->bytes += found->bytes;
            return;
        }
    }
    if (report->fallback_cnt < WEIR_REGION_FALLBACK_CNT_MAX) {
        report->fallback[report->fallback_cnt] = *found;
        report->fallback_cnt++;
    }
}

static int
say_fallback(const struct weir_region *region, const struct weir_region_options *options,
    struct weir_region_fallback *found, struct weir_region_report *report)
{
    found->region_cnt = 1;
    found->bytes = region->bytes;
    report_add(report, found);
    if (!options->strict) {
        return 0;
    }
    return weir_err_push(WEIR_ESTRICT,
        "region %s, %llu bytes: wanted %s, got %s: %s; limited by %s", region->name,
        (unsigned long long)region->bytes, found->wanted, found->got, found->why,
        found->limited_by);
}

static int
check_node(struct weir_region *region, const struct weir_region_options *options,
    struct weir_region_report *report)
{
    if (region->bound) {
        return 0;
    }
    struct weir_region_fallback found = {.got = "memory on any node"};
    (void)snprintf(found.wanted, sizeof found.wanted, "memory on NUMA node %d", options->node);
    memcpy(found.why, region->bind_why.why, sizeof found.why);
    memcpy(found.limited_by, region->bind_why.limited_by, sizeof found.limited_by);
    return say_fallback(region, options, &found, report);
}

/* The first backing, at or after the wanted one, that the host gives. Reasons of the steps between
 * are joined: "no huge pages" alone would hide that transparent ones are switched off as well. */
static int
map_first(struct weir_region *region, const struct weir_region_options *options,
    enum weir_region_backing first, struct weir_region_report *report)
{
    struct weir_region_fallback found = {0};
    for (int step = (int)first; step < WEIR_REGION_BACKING_CNT; step++) {
        struct region_why why = {0};
        if (weir_region_priv_map(region, options, (enum weir_region_backing)step, &why) == 0) {
            if (step == (int)first) {
                return 0;
            }
            (void)snprintf(
                found.wanted, sizeof found.wanted, "%s", weir_region_backing_name(first));
            (void)snprintf(found.got, sizeof found.got, "%s",
                weir_region_backing_name((enum weir_region_backing)step));
            return say_fallback(region, options, &found, report);
        }
        if (strstr(found.why, why.why) == NULL || found.why[0] == '\0') {
            size_t used = strlen(found.why);
            (void)snprintf(
                found.why + used, sizeof found.why - used, "%s%s", used > 0 ? "; " : "", why.why);
        }
        if (strstr(found.limited_by, why.limited_by) == NULL || found.limited_by[0] == '\0') {
            size_t used = strlen(found.limited_by);
            (void)snprintf(found.limited_by + used, sizeof found.limited_by - used, "%s%s",
                used > 0 ? "; " : "", why.limited_by);
        }
    }
    return weir_err_push(WEIR_ENOMEM, "region %s: %llu bytes refused: %s; limited by %s",
        region->name, (unsigned long long)region->bytes, found.why, found.limited_by);
}

int
weir_region_open(const struct weir_region_options *options, struct weir_region_report *report,
    struct weir_region **ret_region)
{
    enum weir_region_backing first = options->first;
    if (options->bytes == 0 || options->bytes > (UINT64_C(1) << 46) ||
        first >= WEIR_REGION_BACKING_CNT) {
        return weir_err_push(WEIR_EINVAL, "region of %llu bytes, backing %d",
            (unsigned long long)options->bytes, (int)first);
    }
    if (options->shared && first == WEIR_REGION_HUGETLB) {
        first = WEIR_REGION_MEMFD_HUGETLB;
    }
    struct weir_region *region = (struct weir_region *)calloc(1, sizeof *region);
    if (region == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a region's own record");
    }
    region->fd = -1;
    region->node = options->node;
    (void)snprintf(
        region->name, sizeof region->name, "%s", options->name != NULL ? options->name : "region");
    region->bytes = weir_align_up(options->bytes,
        first == WEIR_REGION_SMALL ? (uint64_t)WEIR_PAGE_BYTES : WEIR_REGION_HUGE_BYTES);
    int err = map_first(region, options, first, report);
    if (err == 0) {
        err = check_node(region, options, report);
    }
    if (err != 0) {
        weir_region_close(region);
        return err;
    }
    *ret_region = region;
    return 0;
}

int
weir_region_join(int fd, struct weir_region **ret_region)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) != 0 || st.st_size <= 0) {
        return weir_err_push(WEIR_EFORMAT, "the shared region is not a memfd of fixed size");
    }
    struct weir_region *region = (struct weir_region *)calloc(1, sizeof *region);
    if (region == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a region's own record");
    }
    int err = 0;
    region->node = WEIR_REGION_NODE_ANY;
    region->bytes = (uint64_t)st.st_size;
    region->sealed = true;
    region->carved_bytes = region->bytes;
    region->backing = st.st_blksize >= (blksize_t)WEIR_REGION_HUGE_BYTES ? WEIR_REGION_MEMFD_HUGETLB
                                                                         : WEIR_REGION_SMALL;
    (void)snprintf(region->name, sizeof region->name, "joined");
    region->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (region->fd < 0) {
        err = weir_err_errno(errno, "duplicate the shared region's descriptor");
        goto out;
    }
    void *at = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
    if (at == MAP_FAILED) {
        err = weir_err_errno(
            errno, "map the shared region, %llu bytes", (unsigned long long)region->bytes);
        goto out;
    }
    region->base = (uint8_t *)at;
    region->map_base = at;
    region->map_bytes = region->bytes;
out:
    if (err != 0) {
        weir_region_close(region);
        return err;
    }
    *ret_region = region;
    return 0;
}

void
weir_region_close(struct weir_region *region)
{
    if (region == NULL) {
        return;
    }
    weir_region_priv_unmap(region);
    free(region->owned);
    free(region);
}

static struct weir_region_owned *
find_owned(struct weir_region *region, const struct weir_region_owner *owner)
{
    for (uint32_t i = 0; i < region->owned_cnt; i++) {
        struct weir_region_owned *owned = &region->owned[i];
        if (owned->owner.job == owner->job && owned->owner.task == owner->task &&
            strcmp(owned->owner.purpose, owner->purpose) == 0) {
            return owned;
        }
    }
    if (region->owned_cnt == region->owned_cap) {
        uint32_t cap = region->owned_cap == 0 ? 16 : region->owned_cap * 2;
        if (cap > WEIR_REGION_OWNER_CNT_MAX) {
            return NULL;
        }
        struct weir_region_owned *grown =
            (struct weir_region_owned *)realloc(region->owned, cap * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        region->owned = grown;
        region->owned_cap = cap;
    }
    struct weir_region_owned *owned = &region->owned[region->owned_cnt];
    owned->owner = *owner;
    owned->bytes = 0;
    region->owned_cnt++;
    return owned;
}

int
weir_region_carve(struct weir_region *region, uint64_t bytes, uint64_t align,
    struct weir_region_owner owner, void **ret_piece)
{
    if (bytes == 0 || !weir_is_pow2(align) || align > WEIR_REGION_HUGE_BYTES ||
        owner.purpose == NULL) {
        return weir_err_push(WEIR_EINVAL, "carve %llu bytes aligned to %llu from region %s",
            (unsigned long long)bytes, (unsigned long long)align, region->name);
    }
    if (region->sealed) {
        return weir_err_push(
            WEIR_EILLEGAL, "region %s is sealed: memory is carved at boot only", region->name);
    }
    uint64_t from = weir_align_up(region->carved_bytes, align);
    if (from > region->bytes || bytes > region->bytes - from) {
        return weir_err_push(WEIR_EBUDGET,
            "region %s: %llu bytes for %s of job %u task %u, %llu of %llu left", region->name,
            (unsigned long long)bytes, owner.purpose, owner.job, owner.task,
            (unsigned long long)(region->bytes - weir_min_u64(from, region->bytes)),
            (unsigned long long)region->bytes);
    }
    struct weir_region_owned *owned = find_owned(region, &owner);
    if (owned == NULL) {
        return weir_err_push(
            WEIR_EINVAL, "region %s has %u owners, the limit", region->name, region->owned_cnt);
    }
    owned->bytes += from + bytes - region->carved_bytes;
    region->carved_bytes = from + bytes;
    *ret_piece = region->base + from;
    return 0;
}

void
weir_region_seal(struct weir_region *region)
{
    region->sealed = true;
}

void *
weir_region_base(const struct weir_region *region)
{
    return region->base;
}

uint64_t
weir_region_bytes(const struct weir_region *region)
{
    return region->bytes;
}

uint64_t
weir_region_carved_bytes(const struct weir_region *region)
{
    return region->carved_bytes;
}

int
weir_region_node(const struct weir_region *region)
{
    return region->node;
}

int
weir_region_fd(const struct weir_region *region)
{
    return region->fd;
}

enum weir_region_backing
weir_region_backing(const struct weir_region *region)
{
    return region->backing;
}

const struct weir_region_owned *
weir_region_owned_at(const struct weir_region *region, size_t idx)
{
    return idx < region->owned_cnt ? &region->owned[idx] : NULL;
}
