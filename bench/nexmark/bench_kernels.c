/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kernels: run a hand-written kernel over a mapped file; one JSON line on stdout.
 *
 *     bench_kernels q5 events.log
 *     bench_kernels ysb ads.bin gen:1000000,record=78     (the same specification that made the
 *                                                         file)
 *     bench_kernels words words.txt 10000                 (window in ms; 0 or none: the whole
 *                                                         input)
 *
 * What a kernel writes to is touched before the clock starts, in the same pages as the engine's
 * state: its static tables, and the heap that its growing ones will take.
 */
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apps/ysb/ysb.h"
#include "base/err.h"
#include "bench/nexmark/kernels.h"

#define HUGE_BYTES ((uintptr_t)2 << 20)
/* As much as the engine's state may take. */
#define HEAP_BYTES ((size_t)256 << 20)

/* The linker's marks around all static tables. */
extern char __bss_start, _end;

static int
map_file(const char *path, struct kernel_input *input)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return weir_err_push(WEIR_ENOINPUT, "%s cannot be opened", path);
    }
    /* Populated before the clock starts: both sides of a comparison read from memory. */
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) {
        return weir_err_push(WEIR_ESYS, "%s cannot be mapped", path);
    }
    input->bytes = map;
    input->byte_cnt = (uint64_t)st.st_size;
    return 0;
}

/* The table from ad to campaign, which a job would be given. */
static int
load_ads(const char *spec, struct kernel_input *input)
{
    struct ysb_gen gen;
    struct ysb_gen_opts opts;
    int err = ysb_gen_parse(spec, &opts);
    err = err == 0 ? ysb_gen_init(&gen, &opts) : err;
    if (err != 0) {
        return err;
    }
    uint64_t slot_cnt = weir_pow2_up(4 * opts.ad_cnt);
    struct kernel_ad *ads = malloc(slot_cnt * sizeof *ads);
    if (ads == NULL) {
        return weir_err_push(WEIR_ENOMEM, "table of ads");
    }
    for (uint64_t i = 0; i < slot_cnt; i++) {
        ads[i] = (struct kernel_ad){0, 0, KERNEL_NO_CAMPAIGN};
    }
    for (uint64_t i = 0; i < opts.ad_cnt; i++) {
        struct ysb_ad ad;
        ysb_gen_ad(&gen, i, &ad);
        uint64_t slot = kernel_ad_slot(ad.lo, slot_cnt - 1);
        while (ads[slot].campaign != KERNEL_NO_CAMPAIGN) {
            slot = (slot + 1) & (slot_cnt - 1);
        }
        ads[slot] = (struct kernel_ad){ad.lo, ad.hi, ad.campaign};
    }
    input->ads = ads;
    input->ad_slot_cnt = slot_cnt;
    input->campaign_cnt = opts.campaign_cnt;
    input->record_bytes = opts.record_bytes;
    return 0;
}

/* Write what is there, once a page; in huge pages where they fit. */
static void
touch(char *from, char *end)
{
    uintptr_t huge_from = ((uintptr_t)from + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    uintptr_t huge_end = (uintptr_t)end & ~(HUGE_BYTES - 1);
    if (huge_end > huge_from) {
        (void)madvise((void *)huge_from, huge_end - huge_from, MADV_HUGEPAGE);
    }
    for (char *p = from; p < end; p += WEIR_PAGE_BYTES) {
        char was = *p;
        __asm__ __volatile__("" : "+r"(was)); /* or the store of what is there would be dropped */
        *p = was;
    }
}

/* Memory that malloc will hand out again: no mappings of its own, nothing given back. */
static int
touch_heap(void)
{
    (void)mallopt(M_MMAP_MAX, 0);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    char *heap = malloc(HEAP_BYTES);
    if (heap == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the heap of a kernel");
    }
    touch(heap, heap + HEAP_BYTES);
    free(heap);
    return 0;
}

static double
seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int
run(const struct kernel *kernel, struct kernel_input *input, const char *last)
{
    struct kernel_result result;
    int err = 0;
    if (strcmp(kernel->input, "log") == 0) {
        err = nexmark_log_open(input->bytes, input->byte_cnt, &input->log);
    } else if (strcmp(kernel->input, "ysb") == 0) {
        err = load_ads(last == NULL ? "" : last, input);
    } else {
        input->window_ms = last == NULL ? 0 : strtoll(last, NULL, 10);
    }
    if (err != 0) {
        return err;
    }
    touch(&__bss_start, &_end);
    double start = seconds();
    if (kernel->run(input, &result) != 0) {
        return weir_err_push(
            WEIR_EBUDGET, "kernel %s: a table is too small, or the log lies", kernel->name);
    }
    double wall = seconds() - start;
    printf("{\"name\":\"kernel-%s\",\"ns_per_event\":%.4f,\"events\":%llu,\"rows\":%llu,"
           "\"checksum\":\"%016llx\"}\n",
        kernel->name, wall * 1e9 / (double)weir_max_u64(result.events, 1),
        (unsigned long long)result.events, (unsigned long long)result.rows,
        (unsigned long long)result.checksum);
    return 0;
}

int
main(int argc, char **argv)
{
    struct kernel_input input;
    const struct kernel *kernel = kernels;
    memset(&input, 0, sizeof input);
    while (argc >= 3 && kernel->name != NULL && strcmp(kernel->name, argv[1]) != 0) {
        kernel++;
    }
    if (argc < 3 || argc > 4 || kernel->name == NULL) {
        (void)fputs("usage: bench_kernels NAME FILE [SPEC|WINDOW_MS], NAME one of:", stderr);
        for (kernel = kernels; kernel->name != NULL; kernel++) {
            (void)fprintf(stderr, " %s", kernel->name);
        }
        (void)fputc('\n', stderr);
        return WEIR_EXIT_USAGE;
    }
    int err = touch_heap();
    err = err == 0 ? map_file(argv[2], &input) : err;
    err = err == 0 ? run(kernel, &input, argc > 3 ? argv[3] : NULL) : err;
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
