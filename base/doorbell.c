/* SPDX-License-Identifier: Apache-2.0 */
#include "base/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"

size_t
weir_doorbell_footprint(uint32_t word_cnt)
{
    if (word_cnt == 0 || word_cnt > WEIR_DOORBELL_WORD_CNT_MAX) {
        return 0;
    }
    size_t bytes = sizeof(struct weir_doorbell) + word_cnt * sizeof(struct weir_doorbell_word) +
                   word_cnt * sizeof(uint64_t);
    return weir_align_up(bytes, WEIR_LINE_PAIR_BYTES);
}

int
weir_doorbell_open(struct weir_doorbell *db, uint32_t word_cnt)
{
    size_t bytes = weir_doorbell_footprint(word_cnt);
    if (bytes == 0 || (uintptr_t)db % WEIR_LINE_PAIR_BYTES != 0) {
        return weir_err_push(WEIR_EINVAL, "doorbell of %u words at %p", word_cnt, (void *)db);
    }
    memset(db, 0, bytes);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return weir_err_errno(errno, "eventfd");
    }
    db->word_cnt = word_cnt;
    db->fd = fd;
    db->seen_seqs = (uint64_t *)(void *)&db->words[word_cnt];
    return 0;
}

void
weir_doorbell_close(struct weir_doorbell *db)
{
    if (db == NULL || db->word_cnt == 0) {
        return;
    }
    (void)close(db->fd);
    db->word_cnt = 0;
}

void
weir_doorbell_signal(struct weir_doorbell *db)
{
    uint64_t one = 1;
    ssize_t n = write(db->fd, &one, sizeof one);
    /* EAGAIN: 2^64 - 2 wake-ups that nobody drained; it is readable, which is all we want. */
    WEIR_CHECK(n == (ssize_t)sizeof one || errno == EAGAIN, "doorbell: write: %s", strerror(errno));
}

void
weir_doorbell_drain(struct weir_doorbell *db)
{
    uint64_t cnt;
    /* Nothing to read is no error here: the sleep may have ended for another reason. */
    ssize_t n = read(db->fd, &cnt, sizeof cnt);
    (void)n;
}

int
weir_doorbell_wait(struct weir_doorbell *db, int64_t timeout_ns)
{
    struct pollfd pfd = {.fd = db->fd, .events = POLLIN};
    struct timespec limit = {
        .tv_sec = (time_t)(timeout_ns / WEIR_SEC_NS),
        .tv_nsec = timeout_ns % WEIR_SEC_NS,
    };
    int n = ppoll(&pfd, 1, timeout_ns < 0 ? NULL : &limit, NULL);
    if (n < 0) {
        return errno == EINTR ? 0 : weir_err_errno(errno, "doorbell: ppoll");
    }
    if (n > 0) {
        weir_doorbell_drain(db);
    }
    return n;
}
