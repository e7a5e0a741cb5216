/* SPDX-License-Identifier: Apache-2.0 */
/* replay: run a fuzz target over the files of a folder and over seeded mutations of each.
 *
 *     fuzz_NAME CORPUS_FOLDER [MUTATIONS] [SEED]
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX 65536

/* The input lies at the end of an allocation of its size: a sanitizer sees the first byte too
 * far. */
static void
feed(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes + 64);
    if (copy == NULL) {
        abort();
    }
    /* 64 for targets that want alignment; they skip to it themselves. */
    memcpy(copy + 64, data, bytes);
    (void)LLVMFuzzerTestOneInput(copy + 64, bytes);
    free(copy);
}

static size_t
mutate(struct weir_rng *rng, uint8_t *data, size_t bytes)
{
    for (uint64_t i = weir_rng_below(rng, 6) + 1; i > 0 && bytes > 0; i--) {
        size_t at = weir_rng_below(rng, bytes);
        switch (weir_rng_below(rng, 5)) {
        case 0:
            data[at] = (uint8_t)weir_rng_u64(rng);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << weir_rng_below(rng, 8));
            break;
        case 2:
            bytes = at; /* cut */
            break;
        case 3: {
            /* Numbers at the edges, over the place of a small field. */
            static const uint64_t edges[] = {
                0, 1, UINT32_MAX, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63};
            uint64_t edge = edges[weir_rng_below(rng, sizeof edges / sizeof edges[0])];
            memcpy(data + at, &edge, bytes - at < 8 ? bytes - at : 8);
            break;
        }
        default: {
            size_t from = weir_rng_below(rng, bytes);
            size_t run = weir_rng_below(rng, 32);
            size_t room = bytes - (at > from ? at : from);
            memmove(data + at, data + from, run < room ? run : room);
        }
        }
    }
    return bytes;
}

static int
replay(const char *path, uint64_t mutations, struct weir_rng *rng)
{
    static uint8_t data[BYTES_MAX];
    static uint8_t changed[BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    size_t bytes = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    feed(data, bytes);
    for (uint64_t i = 0; i < mutations; i++) {
        memcpy(changed, data, bytes);
        feed(changed, mutate(rng, changed, bytes));
    }
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t mutations = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    struct weir_rng rng;
    struct dirent *entry;
    int files = 0;
    DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
    if (folder == NULL) {
        (void)fputs("usage: fuzz_NAME CORPUS_FOLDER [MUTATIONS] [SEED]\n", stderr);
        return 2;
    }
    weir_rng_init(&rng, seed);
    while ((entry = readdir(folder)) != NULL) {
        char path[4096];
        int wrote = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (entry->d_name[0] != '.' && wrote > 0 && (size_t)wrote < sizeof path) {
            files += replay(path, mutations, &rng) == 0;
        }
    }
    (void)closedir(folder);
    (void)printf("seed %llu: %d files, %llu mutations of each\n", (unsigned long long)seed, files,
        (unsigned long long)mutations);
    return files > 0 ? 0 : 1;
}
