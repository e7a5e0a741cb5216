/* SPDX-License-Identifier: Apache-2.0 */
/* How a region's memory is had from the kernel, one step of the order at a time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <numaif.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/region_priv.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define NODE_CNT_MAX 1024
#define NODE_WORD_BITS (8 * sizeof(unsigned long))
#define ASTRAY_SAMPLE_CNT 256

/* The first line of a small kernel file, without its newline; empty where it cannot be read. */
static void
read_line(const char *path, char *buf, size_t buf_bytes)
{
    buf[0] = '\0';
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        if (fgets(buf, (int)buf_bytes, f) != NULL) {
            buf[strcspn(buf, "\n")] = '\0';
        }
        (void)fclose(f);
    }
}

static void WEIR_PRINTF(3, 4) say(char *buf, size_t buf_bytes, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(buf, buf_bytes, fmt, args);
    va_end(args);
}

#define SAY_WHY(ret, ...) say((ret)->why, sizeof(ret)->why, __VA_ARGS__)
#define SAY_LIMIT(ret, ...) say((ret)->limited_by, sizeof(ret)->limited_by, __VA_ARGS__)

static void
say_hugetlb(struct region_why *ret_why, uint64_t bytes, int node, int errnum)
{
    char path[128];
    char free_cnt[32];
    const char *dir = "/sys/kernel/mm/hugepages";
    char node_dir[64];
    if (node >= 0) {
        say(node_dir, sizeof node_dir, "/sys/devices/system/node/node%d/hugepages", node);
        dir = node_dir;
    }
    say(path, sizeof path, "%s/hugepages-2048kB/free_hugepages", dir);
    read_line(path, free_cnt, sizeof free_cnt);
    SAY_WHY(ret_why, "%llu huge pages needed, %s free%s (%s)",
        (unsigned long long)(bytes / WEIR_REGION_HUGE_BYTES),
        free_cnt[0] != '\0' ? free_cnt : "none", node >= 0 ? " on the node" : "", strerror(errnum));
    SAY_LIMIT(ret_why, "the host's vm.nr_hugepages");
}

/* Fault in every page for writing. The advice, unlike a loop of stores, reports a page that cannot
 * be had as an error; for hugetlb a store would be a SIGBUS. Older kernels get the loop. */
static int
touch(uint8_t *base, uint64_t bytes)
{
    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0) {
        return 0;
    }
    if (errno != EINVAL) {
        return errno;
    }
    for (uint64_t at = 0; at < bytes; at += WEIR_PAGE_BYTES) {
        base[at] = 0;
        __asm__ __volatile__("" : : "r"(base + at) : "memory"); /* the store must not be dropped */
    }
    return 0;
}

static int
open_memfd(struct weir_region *region, unsigned int flags)
{
    region->fd = memfd_create(region->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (region->fd < 0) {
        return errno;
    }
    if (ftruncate(region->fd, (off_t)region->bytes) != 0) {
        return errno;
    }
    return fcntl(region->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0 ? 0 : errno;
}

/* A mapping that is the region, without anything around it. */
static int
map_whole(struct weir_region *region, int flags, int fd)
{
    void *at = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
        return errno;
    }
    region->base = (uint8_t *)at;
    region->map_base = at;
    region->map_bytes = region->bytes;
    return 0;
}

static int
map_fd(struct weir_region *region)
{
    return map_whole(region, MAP_SHARED, region->fd);
}

/* Anonymous memory at a multiple of 2 MiB with unreadable pages on both sides: an overrun stops at
 * once, and the mapping stays one of its own, so that /proc tells the truth about it. */
static int
map_anonymous(struct weir_region *region)
{
    uint64_t map_bytes = region->bytes + 2 * WEIR_REGION_HUGE_BYTES;
    void *at = mmap(NULL, map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return errno;
    }
    region->map_base = at;
    region->map_bytes = map_bytes;
    uintptr_t from = (uintptr_t)at + WEIR_PAGE_BYTES;
    region->base = (uint8_t *)weir_align_up(from, WEIR_REGION_HUGE_BYTES);
    return mprotect(region->base, region->bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : errno;
}

static int
map_hugetlb(struct weir_region *region)
{
    return map_whole(region, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1);
}

/* Whether the kernel may use transparent huge pages where it is advised to. */
static bool
thp_allowed(bool shared, struct region_why *ret_why)
{
    const char *path = shared ? "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
                              : "/sys/kernel/mm/transparent_hugepage/enabled";
    char line[128];
    read_line(path, line, sizeof line);
    if (line[0] == '\0' || strstr(line, "[never]") != NULL || strstr(line, "[deny]") != NULL) {
        SAY_WHY(ret_why, "transparent huge pages are off%s", shared ? " for shared memory" : "");
        SAY_LIMIT(ret_why, "the host's %s", path);
        return false;
    }
    return true;
}

/* After touching, the kernel may still have given small pages: memory is fragmented. */
static bool
thp_came(const struct weir_region *region, struct region_why *ret_why)
{
    uint64_t huge_bytes = 0;
    if (weir_region_huge_bytes(region, &huge_bytes) != 0) {
        weir_err_clear();
        return true;
    }
    if (huge_bytes >= region->bytes - region->bytes / 8) {
        return true;
    }
    SAY_WHY(ret_why, "%llu of %llu bytes came in huge pages", (unsigned long long)huge_bytes,
        (unsigned long long)region->bytes);
    SAY_LIMIT(ret_why, "the host's free memory, which is in pieces");
    return false;
}

static int
map_backing(struct weir_region *region, bool shared, enum weir_region_backing backing)
{
    if (backing == WEIR_REGION_HUGETLB) {
        return map_hugetlb(region);
    }
    if (backing == WEIR_REGION_MEMFD_HUGETLB || shared) {
        int errnum = open_memfd(region,
            backing == WEIR_REGION_MEMFD_HUGETLB ? MFD_HUGETLB | (unsigned int)MAP_HUGE_2MB : 0);
        return errnum != 0 ? errnum : map_fd(region);
    }
    return map_anonymous(region);
}

/* What the node could give without killing anybody: free pages and clean file pages. */
static uint64_t
node_free_bytes(int node)
{
    char path[64];
    say(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    uint64_t kib_sum = 0;
    char line[256];
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long long kib = 0;
        if (sscanf(line, "Node %*d MemFree: %llu", &kib) == 1 ||
            sscanf(line, "Node %*d Active(file): %llu", &kib) == 1 ||
            sscanf(line, "Node %*d Inactive(file): %llu", &kib) == 1) {
            kib_sum += kib;
        }
    }
    (void)fclose(f);
    return kib_sum * WEIR_KIB;
}

/* Strict binding of small or transparent pages to a node that has no room ends in the kernel's
 * out-of-memory killer, so such a node is preferred instead, and the caller is told. Hugetlb pages
 * come from a pool and fail cleanly. */
static bool
bind_node(const struct weir_region *region, struct region_why *ret_why)
{
    if (region->node < 0) {
        return true;
    }
    char nodes[128];
    char wanted[16];
    read_line("/sys/devices/system/node/has_memory", nodes, sizeof nodes);
    say(wanted, sizeof wanted, "%d", region->node);
    if (strcmp(nodes, wanted) == 0 || (nodes[0] == '\0' && region->node == 0)) {
        return true; /* the only node with memory: nothing to bind */
    }
    if (region->node >= NODE_CNT_MAX) {
        SAY_WHY(ret_why, "there is no such node");
        SAY_LIMIT(ret_why, "the host's nodes: %.64s", nodes);
        return false;
    }
    unsigned long mask[NODE_CNT_MAX / NODE_WORD_BITS] = {0};
    mask[(size_t)region->node / NODE_WORD_BITS] = 1UL << ((size_t)region->node % NODE_WORD_BITS);
    int mode = MPOL_BIND;
    uint64_t free_bytes = node_free_bytes(region->node);
    if (region->backing > WEIR_REGION_MEMFD_HUGETLB && free_bytes < region->bytes) {
        mode = MPOL_PREFERRED;
        SAY_WHY(ret_why, "the node has %llu bytes free of the %llu wanted",
            (unsigned long long)free_bytes, (unsigned long long)region->bytes);
        SAY_LIMIT(ret_why, "the memory of the node");
    }
    if (mbind(region->base, region->bytes, mode, mask, NODE_CNT_MAX, 0) != 0) {
        SAY_WHY(ret_why, "mbind: %s", strerror(errno));
        SAY_LIMIT(ret_why, "%s",
            errno == EINVAL ? "cpuset.mems, or the node is not there"
                            : "a seccomp filter or a capability");
        return false;
    }
    return mode == MPOL_BIND;
}

int
weir_region_priv_map(struct weir_region *region, const struct weir_region_options *options,
    enum weir_region_backing backing, struct region_why *ret_why)
{
    bool hugetlb = backing <= WEIR_REGION_MEMFD_HUGETLB;
    if (backing == WEIR_REGION_THP && !thp_allowed(options->shared, ret_why)) {
        return WEIR_ENOMEM;
    }
    region->backing = backing;
    int errnum = map_backing(region, options->shared, backing);
    if (errnum == 0 && !hugetlb) {
        int advice = backing == WEIR_REGION_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
        (void)madvise(region->base, region->bytes, advice); /* small pages may not know the word */
    }
    if (errnum == 0) {
        region->bound = bind_node(region, &region->bind_why); /* must precede touching */
        errnum = hugetlb || options->touch ? touch(region->base, region->bytes) : 0;
    }
    if (errnum != 0) {
        if (hugetlb) {
            say_hugetlb(ret_why, region->bytes, region->node, errnum);
        } else {
            SAY_WHY(ret_why, "%s", strerror(errnum));
            SAY_LIMIT(ret_why, "the host's or the cgroup's memory, or RLIMIT_AS");
        }
        weir_region_priv_unmap(region);
        return WEIR_ENOMEM;
    }
    if (backing == WEIR_REGION_THP && options->touch && !thp_came(region, ret_why)) {
        weir_region_priv_unmap(region);
        return WEIR_ENOMEM;
    }
    return 0;
}

void
weir_region_priv_unmap(struct weir_region *region)
{
    if (region->map_base != NULL) {
        (void)munmap(region->map_base, region->map_bytes);
    }
    if (region->fd >= 0) {
        (void)close(region->fd);
    }
    region->map_base = NULL;
    region->base = NULL;
    region->fd = -1;
}

int
weir_region_huge_bytes(const struct weir_region *region, uint64_t *ret_bytes)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    if (f == NULL) {
        return weir_err_push(WEIR_ESYS, "open /proc/self/smaps: %s", strerror(errno));
    }
    uint64_t sum = 0;
    bool inside = false;
    char line[512];
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;
        unsigned long long kib = 0;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = from < (uintptr_t)region->base + region->bytes && to > (uintptr_t)region->base;
        } else if (inside && (sscanf(line, "AnonHugePages: %llu", &kib) == 1 ||
                                 sscanf(line, "ShmemPmdMapped: %llu", &kib) == 1 ||
                                 sscanf(line, "Shared_Hugetlb: %llu", &kib) == 1 ||
                                 sscanf(line, "Private_Hugetlb: %llu", &kib) == 1)) {
            sum += kib * WEIR_KIB;
        }
    }
    (void)fclose(f);
    *ret_bytes = weir_min_u64(sum, region->bytes);
    return 0;
}

int
weir_region_astray(const struct weir_region *region, uint32_t *ret_sampled)
{
    void *page[ASTRAY_SAMPLE_CNT];
    int status[ASTRAY_SAMPLE_CNT];
    uint64_t page_cnt = region->bytes / WEIR_PAGE_BYTES;
    uint32_t cnt = (uint32_t)weir_min_u64(page_cnt, ASTRAY_SAMPLE_CNT);
    for (uint32_t i = 0; i < cnt; i++) {
        page[i] = region->base + page_cnt * i / cnt * WEIR_PAGE_BYTES;
        status[i] = -1;
    }
    if (region->node < 0) {
        *ret_sampled = 0;
        return 0;
    }
    if (move_pages(0, cnt, page, NULL, status, 0) != 0) {
        return weir_err_push(WEIR_ESYS, "move_pages: %s", strerror(errno));
    }
    int astray = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        astray += status[i] >= 0 && status[i] != region->node;
    }
    *ret_sampled = cnt;
    return astray;
}

void *
weir_lazy_map(uint64_t bytes)
{
    void *at = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void
weir_lazy_unmap(void *at, uint64_t bytes)
{
    if (at != NULL) {
        (void)munmap(at, bytes);
    }
}
