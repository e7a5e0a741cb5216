/* SPDX-License-Identifier: Apache-2.0 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "io/back.h"

#define HUGE_BYTES (2 * WEIR_MIB)

static const char *const verb_words[] = {
#define VERB_WORD(verb, word) word,
    WEIR_IO_VERBS(VERB_WORD)
#undef VERB_WORD
};

static void
list_put(struct weir_io_list *list, struct weir_io_op *op, struct weir_io_op *after)
{
    op->prev = after;
    op->next = after != NULL ? after->next : list->head;
    *(op->next != NULL ? &op->next->prev : &list->tail) = op;
    *(after != NULL ? &after->next : &list->head) = op;
}

static void
list_remove(struct weir_io_list *list, struct weir_io_op *op)
{
    *(op->prev != NULL ? &op->prev->next : &list->head) = op->next;
    *(op->next != NULL ? &op->next->prev : &list->tail) = op->prev;
    op->prev = NULL;
    op->next = NULL;
}

void
weir_io_init(struct weir_io *io, const struct weir_io_back *back, uint32_t depth)
{
    memset(io, 0, sizeof *io);
    io->back = back;
    io->depth = depth;
}

void
weir_io_degrade(struct weir_io *io, const char *fmt, ...)
{
    size_t used = strlen(io->degraded);
    if (used > 0 && used + 2 < sizeof io->degraded) {
        memcpy(io->degraded + used, "; ", 3);
        used += 2;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(io->degraded + used, sizeof io->degraded - used, fmt, args);
    va_end(args);
}

/* The op leaves the list that it is in and is the caller's again. */
static void
complete(struct weir_io *io, struct weir_io_list *list, struct weir_io_op *op, int64_t res)
{
    list_remove(list, op);
    if (res < 0) {
        op->errnum = (int32_t)-res;
        op->result = weir_err_of_errno((int)-res);
    } else {
        op->result = res;
    }
    WEIR_CHECK(io->flying_cnt > 0, "more completions than operations");
    io->flying_cnt--;
    io->done_cnt++;
    op->state = WEIR_IO_DONE;
    if (op->done_fn != NULL) {
        op->done_fn(io, op);
    }
}

/* Reports whether WHOLE wants another round; else *res is what the caller is told. */
static bool
wants_more(struct weir_io_op *op, int64_t *res)
{
    if ((op->flags & WEIR_IO_WHOLE) == 0 || *res < 0) {
        return false;
    }
    op->moved += (uint64_t)*res;
    if (*res == 0 && op->moved < op->bytes && op->verb != WEIR_IO_READ &&
        op->verb != WEIR_IO_RECV) {
        *res = -EIO; /* a device that takes nothing and names no reason */
        return false;
    }
    if (*res == 0 || op->moved == op->bytes) {
        *res = (int64_t)op->moved;
        return false;
    }
    if (op->canceling) {
        *res = -ECANCELED;
        return false;
    }
    return true;
}

void
weir_io_finish(struct weir_io *io, struct weir_io_op *op, int64_t res)
{
    WEIR_DCHECK(op->state == WEIR_IO_FLYING, "state %d", op->state);
    bool transient = res == -EINTR || (res == -EAGAIN && op->verb != WEIR_IO_OPEN);
    transient = transient && op->verb != WEIR_IO_SYNC; /* the second may succeed for nothing */
    if (transient && !op->canceling && op->retry_cnt < WEIR_IO_RETRY_MAX) {
        op->retry_cnt++;
        io->back->submit(io, op);
        return;
    }
    if (wants_more(op, &res)) {
        op->retry_cnt = 0;
        io->back->submit(io, op);
        return;
    }
    complete(io, &io->flying, op, res);
}

void
weir_io_finish_later(struct weir_io *io, struct weir_io_op *op, int64_t res)
{
    list_remove(&io->flying, op);
    op->result = res;
    list_put(&io->ready, op, io->ready.tail);
}

/* Timers are few (a reconnect, a roll): a sorted list, looked through from its end. */
static void
timer_add(struct weir_io *io, struct weir_io_op *op)
{
    struct weir_io_op *after = io->timers.tail;
    while (after != NULL && (int64_t)after->off > (int64_t)op->off) {
        after = after->prev;
    }
    list_put(&io->timers, op, after);
}

bool
weir_io_submit(struct weir_io *io, struct weir_io_op *op)
{
    WEIR_DCHECK(io->started, "submit before start");
    WEIR_CHECK(op->state != WEIR_IO_FLYING, "submitted twice");
    WEIR_CHECK(op->verb < WEIR_IO_VERB_CNT, "verb %d", op->verb);
    if (io->flying_cnt == io->depth) {
        return false;
    }
    io->flying_cnt++;
    op->state = WEIR_IO_FLYING;
    op->retry_cnt = 0;
    op->canceling = false;
    op->errnum = 0;
    op->result = 0;
    op->moved = 0;
    memset(op->priv, 0, sizeof op->priv);
    if (op->verb == WEIR_IO_TIMER) {
        timer_add(io, op);
        return true;
    }
    list_put(&io->flying, op, io->flying.tail);
    io->back->submit(io, op);
    return true;
}

/* What is ready now is told now; what its done_fn submits waits for the next poll, so this ends. */
static void
tell_ready(struct weir_io *io)
{
    struct weir_io_op *last = io->ready.tail;
    struct weir_io_op *op = io->ready.head;
    while (op != NULL) {
        struct weir_io_op *next = op == last ? NULL : op->next;
        list_remove(&io->ready, op);
        list_put(&io->flying, op, io->flying.tail);
        weir_io_finish(io, op, op->result);
        op = next;
    }
}

static void
tell_timers(struct weir_io *io)
{
    for (uint32_t i = 0; i < io->depth; i++) {
        struct weir_io_op *op = io->timers.head;
        if (op == NULL || (int64_t)op->off > io->now_ns) {
            return;
        }
        complete(io, &io->timers, op, 0);
    }
}

uint32_t
weir_io_poll(struct weir_io *io, int64_t now_ns)
{
    io->done_cnt = 0;
    io->now_ns = now_ns;
    if (io->timers.head != NULL) {
        tell_timers(io);
    }
    if (io->ready.head != NULL) {
        tell_ready(io);
    }
    io->back->poll(io);
    return io->done_cnt;
}

void
weir_io_wait(struct weir_io *io, int64_t timeout_ns, int event_fd)
{
    if (io->ready.head != NULL) {
        return;
    }
    if (io->timers.head != NULL) {
        int64_t left = weir_sub_sat((int64_t)io->timers.head->off, weir_io_clock_ns(io));
        left = weir_max_i64(left, 0);
        timeout_ns = timeout_ns < 0 ? left : weir_min_i64(left, timeout_ns);
    }
    io->back->wait(io, timeout_ns, event_fd);
}

void
weir_io_cancel(struct weir_io *io, struct weir_io_op *op)
{
    if (op->state != WEIR_IO_FLYING || op->canceling) {
        return;
    }
    op->canceling = true;
    if (op->verb == WEIR_IO_TIMER) {
        list_remove(&io->timers, op);
        op->result = -ECANCELED;
        list_put(&io->ready, op, io->ready.tail);
        return;
    }
    io->back->cancel(io, op);
}

/* Time stands still for timers of others, but a simulated world moves to what it has due next. */
static void
drive(struct weir_io *io, const struct weir_io_op *op)
{
    while (op->state == WEIR_IO_FLYING) {
        int64_t due_ns = io->back->due_ns != NULL ? weir_io_due_ns(io) : io->now_ns;
        due_ns = due_ns < INT64_MAX ? weir_max_i64(due_ns, io->now_ns) : io->now_ns;
        (void)weir_io_poll(io, due_ns);
        if (op->state == WEIR_IO_FLYING && io->ready.head == NULL) {
            io->back->wait(io, 10 * WEIR_MS, -1);
        }
    }
}

int64_t
weir_io_perform(struct weir_io *io, struct weir_io_op *op)
{
    while (!weir_io_submit(io, op)) {
        (void)weir_io_poll(io, io->now_ns);
        io->back->wait(io, WEIR_MS, -1);
    }
    drive(io, op);
    return op->result;
}

void
weir_io_settle(struct weir_io *io, struct weir_io_op *op)
{
    weir_io_cancel(io, op);
    drive(io, op);
}

void
weir_io_close(struct weir_io *io)
{
    if (io == NULL) {
        return;
    }
    while (io->flying_cnt > 0) {
        /* Each round: a done_fn may have submitted more. Cancel twice is harmless. */
        while (io->timers.head != NULL) {
            weir_io_cancel(io, io->timers.head);
        }
        for (struct weir_io_op *op = io->flying.head; op != NULL;) {
            struct weir_io_op *next = op->next;
            weir_io_cancel(io, op);
            op = next;
        }
        (void)weir_io_poll(io, weir_max_i64(weir_io_clock_ns(io), io->now_ns));
        if (io->flying_cnt > 0) {
            weir_io_wait(io, 10 * WEIR_MS, -1);
        }
    }
    io->back->close(io);
}

int
weir_io_start(struct weir_io *io)
{
    WEIR_CHECK(!io->started, "started twice");
    int err = io->back->start != NULL ? io->back->start(io) : 0;
    io->started = err == 0;
    return err;
}

const char *
weir_io_name(const struct weir_io *io)
{
    return io->back->name;
}

const char *
weir_io_degraded(const struct weir_io *io)
{
    return io->degraded[0] != '\0' ? io->degraded : NULL;
}

int
weir_io_register(struct weir_io *io, void *base, uint64_t bytes)
{
    if (((uintptr_t)base | bytes) % HUGE_BYTES == 0) {
        (void)madvise(base, bytes, MADV_HUGEPAGE); /* advice only */
    }
    return io->back->add_range != NULL ? io->back->add_range(io, base, bytes) : 0;
}

void
weir_io_unregister(struct weir_io *io, const void *base)
{
    if (io->back->drop_range != NULL) {
        io->back->drop_range(io, base);
    }
}

uint32_t
weir_io_flying_cnt(const struct weir_io *io)
{
    return io->flying_cnt;
}

int64_t
weir_io_due_ns(const struct weir_io *io)
{
    if (io->ready.head != NULL) {
        return io->now_ns;
    }
    int64_t due = io->timers.head != NULL ? (int64_t)io->timers.head->off : INT64_MAX;
    return io->back->due_ns != NULL ? weir_min_i64(due, io->back->due_ns(io)) : due;
}

static int64_t
host_clock_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts); /* these two clocks always exist */
    return ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

int64_t
weir_io_clock_ns(const struct weir_io *io)
{
    return io->back->clock_ns != NULL ? io->back->clock_ns(io, false)
                                      : host_clock_ns(CLOCK_MONOTONIC);
}

int64_t
weir_io_wall_ns(const struct weir_io *io)
{
    return io->back->clock_ns != NULL ? io->back->clock_ns(io, true)
                                      : host_clock_ns(CLOCK_REALTIME);
}

int
weir_io_op_fail(const struct weir_io_op *op)
{
    if (op->path != NULL) {
        (void)weir_err_errno(op->errnum, "%s %s", verb_words[op->verb], op->path);
    } else {
        (void)weir_err_errno(op->errnum, "%s handle %d", verb_words[op->verb], op->file);
    }
    return (int)op->result;
}

int
weir_io_op_fail_output(const struct weir_io_op *op)
{
    int err = weir_io_op_fail(op);
    return err == WEIR_ENOINPUT ? WEIR_EIO : err;
}

int
weir_io_open_flags(uint32_t flags)
{
    int out = O_CLOEXEC | O_NOCTTY;
    if ((flags & WEIR_IO_O_WRITE) != 0) {
        out |= (flags & WEIR_IO_O_READ) != 0 ? O_RDWR : O_WRONLY;
    }
    static const struct {
        uint32_t ours;
        int host;
    } pairs[] = {
        {WEIR_IO_O_CREATE, O_CREAT},
        {WEIR_IO_O_EXCL, O_EXCL},
        {WEIR_IO_O_TRUNC, O_TRUNC},
        {WEIR_IO_O_APPEND, O_APPEND},
        {WEIR_IO_O_DIRECT, O_DIRECT},
        {WEIR_IO_O_DIRECTORY, O_DIRECTORY},
        {WEIR_IO_O_NOFOLLOW, O_NOFOLLOW},
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(pairs); i++) {
        out |= (flags & pairs[i].ours) != 0 ? pairs[i].host : 0;
    }
    return out;
}

int64_t
weir_io_opened(const struct weir_io_op *op, int fd)
{
    int errnum = 0;
    if ((op->flags & WEIR_IO_O_REGULAR) != 0) {
        struct stat st;
        if (fstat(fd, &st) != 0) {
            errnum = errno;
        } else if (S_ISDIR(st.st_mode)) {
            errnum = EISDIR;
        }
    }
    if (errnum == 0 && (op->flags & WEIR_IO_O_LOCK) != 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        (void)close(fd); /* nothing was written to it */
        return -errnum;
    }
    return fd;
}
