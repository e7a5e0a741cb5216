/* SPDX-License-Identifier: Apache-2.0 */
/* bench_rocks: a RocksDB checkpoint, as a peer of an increment: entries of 64 bytes (a key of 8),
 * random updates, then rocksdb_checkpoint_create(), which writes out what is in memory and links
 * the files that there are.
 *
 *     bench_rocks DIR ENTRIES UPDATES CHECKPOINTS
 *
 * No log is written ahead; batches of 256 updates; all else as RocksDB comes. A JSON line, times in
 * milliseconds.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rocksdb/c.h>

#include "base/base.h"
#include "base/rng.h"

#define KEY_BYTES 8
#define VALUE_BYTES 56
#define BATCH 256
#define CHECKPOINT_CNT_MAX 1000
#define PATH_BYTES 4096

struct rocks {
    rocksdb_t *db;
    rocksdb_writebatch_t *batch;
    rocksdb_writeoptions_t *how;
    uint64_t entry_cnt;
    struct weir_rng rng;
};

static double
now_ms(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static void
check(const char *err)
{
    if (err != NULL) {
        (void)fprintf(stderr, "bench_rocks: %s\n", err);
        exit(1);
    }
}

static void
put(struct rocks *rocks, uint64_t number, uint64_t word)
{
    uint64_t key = htobe64(number);
    char value[VALUE_BYTES];
    for (size_t at = 0; at < sizeof value; at += sizeof word) { /* nothing to be compressed */
        word = weir_rng_mix(word + at);
        memcpy(value + at, &word, sizeof word);
    }
    rocksdb_writebatch_put(rocks->batch, (const char *)&key, sizeof key, value, sizeof value);
}

static void
write_batch(struct rocks *rocks)
{
    char *err = NULL;
    rocksdb_write(rocks->db, rocks->how, rocks->batch, &err);
    check(err);
    rocksdb_writebatch_clear(rocks->batch);
}

static void
update(struct rocks *rocks, uint64_t cnt)
{
    for (uint64_t i = 0; i < cnt; i++) {
        put(rocks, weir_rng_below(&rocks->rng, rocks->entry_cnt), i);
        if ((i + 1) % BATCH == 0 || i + 1 == cnt) {
            write_batch(rocks);
        }
    }
}

static double
checkpoint(struct rocks *rocks, const char *dir, uint64_t number)
{
    char path[PATH_BYTES];
    char *err = NULL;
    (void)snprintf(path, sizeof path, "%s/checkpoint-%llu", dir, (unsigned long long)number);
    double begin_ms = now_ms();
    rocksdb_checkpoint_t *made = rocksdb_checkpoint_object_create(rocks->db, &err);
    check(err);
    rocksdb_checkpoint_create(made, path, 0, &err);
    check(err);
    double ms = now_ms() - begin_ms;
    rocksdb_checkpoint_object_destroy(made);
    return ms;
}

static void
open_db(struct rocks *rocks, const char *dir)
{
    char path[PATH_BYTES];
    char *err = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_error_if_exists(options, 1);
    (void)snprintf(path, sizeof path, "%s/db", dir);
    rocks->db = rocksdb_open(options, path, &err);
    check(err);
    rocksdb_options_destroy(options);
    rocks->batch = rocksdb_writebatch_create();
    rocks->how = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(rocks->how, 1);
    weir_rng_init(&rocks->rng, 1);
}

int
main(int argc, char **argv)
{
    static double ms[CHECKPOINT_CNT_MAX];
    struct rocks rocks = {0};
    if (argc != 5) {
        (void)fprintf(stderr, "usage: bench_rocks DIR ENTRIES UPDATES CHECKPOINTS\n");
        return 2;
    }
    uint64_t update_cnt = strtoull(argv[3], NULL, 10);
    uint64_t cnt = weir_min_u64(strtoull(argv[4], NULL, 10), CHECKPOINT_CNT_MAX);
    rocks.entry_cnt = strtoull(argv[2], NULL, 10);
    open_db(&rocks, argv[1]);
    double begin_ms = now_ms();
    for (uint64_t i = 0; i < rocks.entry_cnt; i++) {
        put(&rocks, i, i);
        if ((i + 1) % BATCH == 0 || i + 1 == rocks.entry_cnt) {
            write_batch(&rocks);
        }
    }
    double load_ms = now_ms() - begin_ms;
    (void)checkpoint(&rocks, argv[1], 0);
    for (uint64_t i = 0; i < cnt; i++) {
        update(&rocks, update_cnt);
        ms[i] = checkpoint(&rocks, argv[1], i + 1);
    }
    printf("{\"name\":\"rocksdb\",\"entries\":%llu,\"updates\":%llu,\"load_ms\":%.0f,\"ms\":[",
        (unsigned long long)rocks.entry_cnt, (unsigned long long)update_cnt, load_ms);
    for (uint64_t i = 0; i < cnt; i++) {
        printf("%s%.3f", i > 0 ? "," : "", ms[i]);
    }
    printf("]}\n");
    rocksdb_writebatch_destroy(rocks.batch);
    rocksdb_writeoptions_destroy(rocks.how);
    rocksdb_close(rocks.db);
    return 0;
}
