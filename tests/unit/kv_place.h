/* SPDX-License-Identifier: Apache-2.0 */
/* kv_place.h: a directory for stores of a test, and its end. */
#ifndef WEIR_TESTS_UNIT_KV_PLACE_H
#define WEIR_TESTS_UNIT_KV_PLACE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "io/kv.h"
#include "tests/unit/test.h"

#define KV_PATH_BYTES 256

static char kv_place[64];

static inline void
kv_place_make(void)
{
    snprintf(kv_place, sizeof kv_place, "%s/weir-kv-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(kv_place));
}

static inline const char *
kv_path(char path[KV_PATH_BYTES], const char *name, uint64_t number)
{
    snprintf(path, KV_PATH_BYTES, "%s/%s%llu", kv_place, name, (unsigned long long)number);
    return path;
}

static inline void
kv_place_remove(void)
{
    DIR *dir = opendir(kv_place);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[sizeof kv_place + sizeof entry->d_name + 2];
        snprintf(path, sizeof path, "%s/%s", kv_place, entry->d_name);
        if (entry->d_name[0] != '.') {
            assert_int_equal(weir_kv_remove(path), 0);
        }
    }
    closedir(dir);
    assert_int_equal(rmdir(kv_place), 0);
}

/* Until the exchange has ended: its error or 0. */
static inline int
kv_settle(struct weir_kv *kv)
{
    int rc;
    while ((rc = weir_kv_poll(kv)) == WEIR_KV_BUSY) {
    }
    return rc;
}

#endif
