/* SPDX-License-Identifier: Apache-2.0 */
/* power_page.h: what the recorder and the job above it share, mapped from a file. */
#ifndef WEIR_TESTS_POWER_POWER_PAGE_H
#define WEIR_TESTS_POWER_POWER_PAGE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/base.h"

struct power_page {
    /* Events recorded; raised before the one that asked gets its answer. */
    WEIR_ATOMIC(uint64_t) position;
    /* Set to n by the job: the n-th write from now of a file of ours fails. 0: none. */
    WEIR_ATOMIC(uint64_t) fail_in;
    WEIR_ATOMIC(uint64_t) failed_cnt;
};

/* NULL where it cannot be. The mapping stays until the process ends. */
static WEIR_UNUSED struct power_page *
power_page_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct power_page)) != 0) {
        return NULL;
    }
    void *page = mmap(NULL, sizeof(struct power_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return page != MAP_FAILED ? page : NULL;
}

#endif
