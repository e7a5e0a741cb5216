/* SPDX-License-Identifier: Apache-2.0 */
/* count_allocs.c: preloaded into a program, counts its calls that take memory and writes them into
 * the file named by WEIR_ALLOC_FILE when the program ends.
 *
 * The program's own objects and those of the libraries it links reach these names; what libc does
 * within itself (stdio's buffers) does not. */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t cnt, size_t bytes);
extern void *__libc_realloc(void *mem, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

/* relaxed everywhere: counts on their own, read when all threads are gone. */
static WEIR_ATOMIC(uint64_t) alloc_cnt;
static WEIR_ATOMIC(uint64_t) map_cnt;

EXPORT void *
malloc(size_t bytes)
{
    (void)weir_fetch_add_rlx(&alloc_cnt, 1);
    return __libc_malloc(bytes);
}

EXPORT void *
calloc(size_t cnt, size_t bytes)
{
    (void)weir_fetch_add_rlx(&alloc_cnt, 1);
    return __libc_calloc(cnt, bytes);
}

EXPORT void *
realloc(void *mem, size_t bytes)
{
    (void)weir_fetch_add_rlx(&alloc_cnt, 1);
    return __libc_realloc(mem, bytes);
}

EXPORT void *
aligned_alloc(size_t align, size_t bytes)
{
    (void)weir_fetch_add_rlx(&alloc_cnt, 1);
    return __libc_memalign(align, bytes);
}

EXPORT int
posix_memalign(void **mem, size_t align, size_t bytes)
{
    (void)weir_fetch_add_rlx(&alloc_cnt, 1);
    *mem = __libc_memalign(align, bytes);
    return *mem == NULL ? ENOMEM : 0;
}

/* lint: allow parameters: the signature is libc's */
EXPORT void *
mmap(void *at, size_t bytes, int prot, int flags, int file, off_t off)
{
    static void *(*next)(void *, size_t, int, int, int, off_t);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "mmap");
    }
    (void)weir_fetch_add_rlx(&map_cnt, 1);
    return next(at, bytes, prot, flags, file, off);
}

__attribute__((destructor)) static void
report(void)
{
    const char *path = getenv("WEIR_ALLOC_FILE");
    uint64_t allocs = weir_load_rlx(&alloc_cnt);
    uint64_t maps = weir_load_rlx(&map_cnt);
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (file != NULL) {
        (void)fprintf(file, "%" PRIu64 " %" PRIu64 "\n", allocs, maps);
        (void)fclose(file);
    }
}
