/* SPDX-License-Identifier: Apache-2.0 */
/* io.h: the one way to files, sockets and timers: operations that are submitted and complete later.
 *
 *   caller                         weir_io (one per core)
 *   weir_io_op_read(&op, ...)
 *   weir_io_submit(io, &op)  --->  flying: op and all it points at belong to io
 *   ...other tasks run...
 *   weir_io_poll(io, now)    <---  op.state = WEIR_IO_DONE, op.result, then op.done_fn(io, op)
 *
 * The operation is a struct inside the caller's own state: nothing is allocated and nothing is
 * looked up. A polled task looks at op.state; a state machine sets op.done_fn and submits its next
 * step there.
 *
 * Who owns what: from submit until the state is WEIR_IO_DONE the op, its buffer and its path belong
 * to io, also after weir_io_cancel and after a deadline of the caller's own; then all are the
 * caller's. Handles belong to the caller, who closes each one; they mean something to one kind of
 * io only.
 *
 * Completions are not ordered: a sync covers only writes whose completion was seen before the sync
 * was submitted. A failed sync poisons the file: a second one may succeed although data is lost.
 * There is no linking of operations, on purpose (a short write would break or pass the chain).
 *
 * Three implementations keep this contract and pass one test program: io_uring, posix (poll and one
 * helper thread, for hosts that forbid io_uring), and sim (seeded, in memory, with faults;
 * io/sim.h).
 *
 * A write to a closed pipe is the error EPIPE; the program ignores SIGPIPE, as the weir command
 * does.
 *
 * Threads: open by any thread at boot, then start and all else by the one core that owns it.
 * It is not: a log, a resolver cache, TLS, or a place for records.
 */
#ifndef WEIR_IO_IO_H
#define WEIR_IO_IO_H

#include "base/base.h"

WEIR_C_BEGIN

struct weir_io;
struct weir_io_op;
struct weir_sim;

/* Operations in flight on one io: sizes the rings and the posix twin's pipes (8 bytes of 64 KiB
 * each). */
#define WEIR_IO_DEPTH_MAX 4096
#define WEIR_IO_DEPTH_DEFAULT 256
/* Offset that means "where the stream stands": pipes, terminals, sockets, and files read in
 * turn. */
#define WEIR_IO_STREAM UINT64_MAX
/* Base of relative paths: the working directory. */
#define WEIR_IO_CWD (-100)
#define WEIR_IO_STDIN 0
#define WEIR_IO_STDOUT 1
#define WEIR_IO_STDERR 2
/* Transient failures (EINTR, EAGAIN) are tried again so often before they are reported; those of a
 * sync are not. */
#define WEIR_IO_RETRY_MAX 8

enum weir_io_kind { WEIR_IO_AUTO, WEIR_IO_URING, WEIR_IO_POSIX, WEIR_IO_SIM, WEIR_IO_KIND_CNT };

enum weir_io_state { WEIR_IO_IDLE, WEIR_IO_FLYING, WEIR_IO_DONE };

/* X(verb, word for messages). The result of each stands at the weir_io_op_<verb> call below. */
/* clang-format off: version 14 never comes to rest here */
#define WEIR_IO_VERBS(X)       \
    X(OPEN, "open")            \
    X(CLOSE, "close")          \
    X(READ, "read")            \
    X(WRITE, "write")          \
    X(SYNC, "sync")            \
    X(ALLOCATE, "allocate")    \
    X(TRUNCATE, "cut")         \
    X(STAT, "look at")         \
    X(LIST, "list")            \
    X(RENAME, "rename")        \
    X(UNLINK, "remove")        \
    X(MKDIR, "make directory") \
    X(LISTEN, "listen on")     \
    X(CONNECT, "connect to")   \
    X(ACCEPT, "accept on")     \
    X(RECV, "receive from")    \
    X(SEND, "send to")         \
    X(TIMER, "wait")
/* clang-format on */

enum weir_io_verb {
#define WEIR_IO_VERB_ENUM(verb, word) WEIR_IO_##verb,
    WEIR_IO_VERBS(WEIR_IO_VERB_ENUM)
#undef WEIR_IO_VERB_ENUM
        WEIR_IO_VERB_CNT
};

/* Flags of open. */
#define WEIR_IO_O_READ (UINT32_C(1) << 0)
#define WEIR_IO_O_WRITE (UINT32_C(1) << 1)
#define WEIR_IO_O_CREATE (UINT32_C(1) << 2) /* mode 0666 less the umask */
#define WEIR_IO_O_EXCL (UINT32_C(1) << 3) /* with CREATE: EEXIST where it is there already */
#define WEIR_IO_O_TRUNC (UINT32_C(1) << 4)
#define WEIR_IO_O_APPEND (UINT32_C(1) << 5) /* every write goes to the end, whatever its offset */
#define WEIR_IO_O_DIRECT (UINT32_C(1) << 6) /* past the page cache; see weir_io_stat.direct_align */
#define WEIR_IO_O_DIRECTORY (UINT32_C(1) << 7) /* ENOTDIR where it is none */
#define WEIR_IO_O_NOFOLLOW (UINT32_C(1) << 8) /* ELOOP where the last name is a symbolic link */
#define WEIR_IO_O_BENEATH (UINT32_C(1) << 9) /* EXDEV where the path leaves its base directory */
#define WEIR_IO_O_PRIVATE (UINT32_C(1) << 10) /* with CREATE: mode 0600 */
#define WEIR_IO_O_REGULAR (UINT32_C(1) << 11) /* EISDIR for a directory opened to read */
#define WEIR_IO_O_LOCK (UINT32_C(1) << 12) /* EWOULDBLOCK where another open file holds the lock */
/* Flags of read, write, send: go on until all bytes are moved, end of input, or an error. */
#define WEIR_IO_WHOLE (UINT32_C(1) << 16)
/* Flag of sync: contents and length only, not times. */
#define WEIR_IO_DATA_ONLY (UINT32_C(1) << 17)
/* Flag of rename: EEXIST where the new name is there already. */
#define WEIR_IO_NOREPLACE (UINT32_C(1) << 18)
/* Flag of unlink: remove an empty directory. */
#define WEIR_IO_RMDIR (UINT32_C(1) << 19)

enum weir_io_type { WEIR_IO_FILE, WEIR_IO_DIR, WEIR_IO_PIPE, WEIR_IO_SOCKET, WEIR_IO_OTHER };

/* What stat tells. */
struct weir_io_stat {
    uint64_t bytes;
    int64_t mtime_ns;
    uint64_t free_bytes; /* of its file system, to this user */
    uint32_t type; /* enum weir_io_type */
    uint32_t direct_align; /* of buffers, offsets and lengths under DIRECT; 0 where it cannot */
    uint64_t device; /* with `serial`: which file it is, whatever path has led there */
    uint64_t serial;
    bool is_volatile; /* tmpfs or the like: gone with the host's power */
};

/* weir_io_done_fn - told once per operation, from within weir_io_poll on the owner's core.
 *
 * The op is the caller's again: it may be submitted again, or freed, from here.
 */
typedef void(weir_io_done_fn)(struct weir_io *io, struct weir_io_op *op);

/* One operation. Fill it with a weir_io_op_* call, then set done_fn and owner if wanted. */
struct weir_io_op {
    /* in */
    uint8_t verb;
    uint8_t state; /* enum weir_io_state; writer: io */
    uint8_t retry_cnt; /* writer: io */
    bool canceling; /* writer: io */
    uint32_t flags; /* WEIR_IO_* flags of the verb */
    int32_t file; /* the handle it acts on */
    int32_t dir; /* the handle that a relative path starts at */
    const char *path; /* path or address, borrowed until done */
    const char *path2; /* the new name of rename */
    void *buf; /* borrowed until done */
    uint64_t bytes;
    uint64_t off; /* file offset, or the timer's time */
    weir_io_done_fn *done_fn;
    void *owner; /* for the caller alone */
    /* out */
    int64_t result; /* what the verb says, or a negative enum weir_err */
    int32_t errnum; /* the system's positive errno behind a failure, else 0 */
    uint32_t port; /* listen: the port that was bound */
    uint64_t moved; /* bytes moved so far under WHOLE, also when it then fails */
    /* writer: io */
    struct weir_io_op *next;
    struct weir_io_op *prev;
    uint64_t priv[5];
};

struct weir_io_config {
    enum weir_io_kind kind;
    uint32_t depth; /* operations in flight, [1, WEIR_IO_DEPTH_MAX]; 0 means the default */
    struct weir_sim *world; /* kind sim: the world it lives in (io/sim.h) */
    struct weir_io_maps *maps; /* kept until all who map have unmapped; NULL: it shares none */
    /* CPUs of the kernel's workers, which make the calls that block (fsync), kept until the start;
     * NULL: those of the owner. */
    const struct weir_cpuset *worker_cpus;
};

/* weir_io_maps_new - files in memory, of which several ios have one mapping each.
 * weir_io_maps_delete takes NULL; nothing of it may be mapped any more. Thread: any, both at boot
 * and at the end. */
WEIR_API int weir_io_maps_new(struct weir_io_maps **ret_maps) WEIR_MUST_USE;
WEIR_API void weir_io_maps_delete(struct weir_io_maps *maps);

/* weir_io_open - make an io of the asked kind; AUTO probes io_uring and falls back to posix.
 *
 * Thread:  any, at boot; allocates and may start the helper thread (all signals blocked in it).
 * Errors:  WEIR_EUNAVAILABLE where kind is URING and the host forbids it; WEIR_ENOMEM, WEIR_ESYS.
 */
WEIR_API int
weir_io_open(const struct weir_io_config *config, struct weir_io **ret_io) WEIR_MUST_USE;
/* weir_io_start - called once by the thread that will own it, before the first submit. */
WEIR_API int weir_io_start(struct weir_io *io) WEIR_MUST_USE;
/* weir_io_close - cancel what is flying, wait until all of it is done (done_fn is called), free.
 *
 * Handles that are still open stay open. Takes NULL. Thread: the owner, or any if never started.
 */
WEIR_API void weir_io_close(struct weir_io *io);

/* weir_io_name - "io_uring", "posix" or "sim". */
WEIR_API const char *weir_io_name(const struct weir_io *io);
/* weir_io_degraded - what AUTO or the probe had to do without, as one sentence; NULL for nothing.
 *
 * The caller says it once, keeps it as a metric, and fails under --strict.
 */
WEIR_API const char *weir_io_degraded(const struct weir_io *io);

/* weir_io_register - tell io of memory that buffers will lie in, so that it need not map it each
 * time. What begins and ends at multiples of 2 MiB is asked for in huge pages.
 *
 * Thread:  owner, after start. Limits: 16 ranges of up to 1 GiB at a time.
 * Owner:   borrowed until weir_io_unregister or close: memory that is freed before would be written
 *          from where it was.
 * Returns: 0, also where the implementation has no use for it.
 */
WEIR_API int weir_io_register(struct weir_io *io, void *base, uint64_t bytes) WEIR_MUST_USE;
/* weir_io_unregister - the range that begins at base is no longer one; nothing of it may fly. What
 * was never registered is passed over. */
WEIR_API void weir_io_unregister(struct weir_io *io, const void *base);

/* weir_io_submit - hand op over; it completes in a later weir_io_poll, never within this call.
 *
 * Thread:  owner. Hot: no system call with io_uring (the next poll enters once for all).
 * Returns: true, or false when `depth` operations are flying: busy, try again later.
 */
WEIR_API bool weir_io_submit(struct weir_io *io, struct weir_io_op *op) WEIR_MUST_USE;

/* weir_io_poll - complete what is ready and fire timers up to now_ns.
 *
 * Thread:  owner. Hot: does not block; without anything ready it makes no system call, save that
 *          the posix twin asks poll(2) while sockets or its helper are awaited.
 * Returns: how many operations completed.
 */
WEIR_API uint32_t weir_io_poll(struct weir_io *io, int64_t now_ns);

/* weir_io_wait - park the core until something completes, a timer is due, or the doorbell rings.
 *
 * Shape:   event_fd is an eventfd that others write, or -1; the same one in every call. It is
 *          drained.
 * Units:   timeout_ns at most; < 0 for no limit. Nothing completes in here: call weir_io_poll next.
 *          The sim twin returns at once: its poller moves the clock to weir_io_due_ns.
 */
WEIR_API void weir_io_wait(struct weir_io *io, int64_t timeout_ns, int event_fd);

/* weir_io_cancel - ask that op end early; it still completes, with WEIR_ECANCELED or its own
 * result. */
WEIR_API void weir_io_cancel(struct weir_io *io, struct weir_io_op *op);

/* weir_io_perform - submit op and poll until it is done. Blocks the core: for open and close only.
 *
 * Other operations may complete meanwhile. Returns: op->result.
 */
WEIR_API int64_t weir_io_perform(struct weir_io *io, struct weir_io_op *op);
/* weir_io_settle - end op early if it flies, and poll until it is done. Blocks like perform. */
WEIR_API void weir_io_settle(struct weir_io *io, struct weir_io_op *op);

/* weir_io_flying_cnt - operations submitted and not done. */
WEIR_API uint32_t weir_io_flying_cnt(const struct weir_io *io);
/* weir_io_due_ns - when the next thing will happen by itself; INT64_MAX if only from outside. */
WEIR_API int64_t weir_io_due_ns(const struct weir_io *io);
/* weir_io_clock_ns - the time that timers mean: CLOCK_MONOTONIC, or the simulated one. */
WEIR_API int64_t weir_io_clock_ns(const struct weir_io *io);
/* weir_io_wall_ns - nanoseconds since 1970, or the simulated ones: for file names and reports. */
WEIR_API int64_t weir_io_wall_ns(const struct weir_io *io);

/* weir_io_op_fail - push "verb path: reason" for a failed op and return its code. Cold. */
WEIR_API int weir_io_op_fail(const struct weir_io_op *op);
/* weir_io_op_fail_output - the same for what is written: what is not there is WEIR_EIO, for it is
 * no missing input. */
WEIR_API int weir_io_op_fail_output(const struct weir_io_op *op);

/* A file in memory, read only. */
struct weir_io_map {
    const void *base;
    uint64_t bytes;
    struct weir_io_mapping *mapping; /* NULL: memory of the sim's world, nothing to unmap */
};

/* Flags of map: expected use, and whether to fault all of it in before returning. */
#define WEIR_IO_MAP_SEQUENTIAL (UINT32_C(1) << 0)
#define WEIR_IO_MAP_POPULATE (UINT32_C(1) << 1)
#define WEIR_IO_MAP_HUGE (UINT32_C(1) << 2)

/* weir_io_map - map a regular file for reading; blocks, so before the job runs.
 *
 * Who maps a file that another io of the same weir_io_maps has mapped waits until that is done, and
 * shares it, with the flags of who came first: subtasks that read parts of one file fault it in
 * once.
 * Owner:   the caller, until weir_io_unmap. The file must not be cut meanwhile (SIGBUS).
 * Errors:  WEIR_ENOINPUT (missing, a directory, empty), WEIR_EPERM; the context names the path.
 */
WEIR_API int weir_io_map(struct weir_io *io, const char *path, uint32_t flags,
    struct weir_io_map *ret_map) WEIR_MUST_USE;
WEIR_API void weir_io_unmap(struct weir_io_map *map);

/* Filling an operation. Each leaves state IDLE; op may hold anything before. */

static inline void
weir_io_op_init(struct weir_io_op *op, enum weir_io_verb verb, int32_t file, uint32_t flags)
{
    __builtin_memset(op, 0, sizeof *op);
    op->verb = (uint8_t)verb;
    op->file = file;
    op->dir = WEIR_IO_CWD;
    op->flags = flags;
}

static inline void
weir_io_op_at(struct weir_io_op *op, enum weir_io_verb verb, int32_t dir, const char *path)
{
    weir_io_op_init(op, verb, -1, 0);
    op->dir = dir;
    op->path = path;
}

static inline void
weir_io_op_move(
    struct weir_io_op *op, enum weir_io_verb verb, int32_t file, void *buf, uint64_t bytes)
{
    weir_io_op_init(op, verb, file, 0);
    op->buf = buf;
    op->bytes = bytes;
}

/* open: the handle. */
static inline void
weir_io_op_open(struct weir_io_op *op, int32_t dir, const char *path, uint32_t flags)
{
    weir_io_op_at(op, WEIR_IO_OPEN, dir, path);
    op->flags = flags;
}

/* close: 0. The handle is gone also when it fails. */
static inline void
weir_io_op_close(struct weir_io_op *op, int32_t file)
{
    weir_io_op_init(op, WEIR_IO_CLOSE, file, 0);
}

/* read: bytes, fewer than asked at any time unless WHOLE; 0 at the end. off may be
 *       WEIR_IO_STREAM. */
static inline void
weir_io_op_read(struct weir_io_op *op, int32_t file, void *buf, uint64_t bytes, uint64_t off)
{
    weir_io_op_move(op, WEIR_IO_READ, file, buf, bytes);
    op->off = off;
}

/* write: bytes, fewer than asked at any time unless WHOLE. The buffer is not written to. */
static inline void
weir_io_op_write(struct weir_io_op *op, int32_t file, const void *buf, uint64_t bytes, uint64_t off)
{
    weir_io_op_move(op, WEIR_IO_WRITE, file, (void *)(uintptr_t)buf, bytes);
    op->off = off;
}

/* sync: 0 when contents, length and (without DATA_ONLY) times are durable; also of a directory's
 *       handle. */
static inline void
weir_io_op_sync(struct weir_io_op *op, int32_t file, uint32_t flags)
{
    weir_io_op_init(op, WEIR_IO_SYNC, file, flags);
}

/* allocate: 0 when [off, off + bytes) has its space; the file grows to hold it. */
static inline void
weir_io_op_allocate(struct weir_io_op *op, int32_t file, uint64_t off, uint64_t bytes)
{
    weir_io_op_init(op, WEIR_IO_ALLOCATE, file, 0);
    op->off = off;
    op->bytes = bytes;
}

/* truncate: 0 when the file is `bytes` long. */
static inline void
weir_io_op_truncate(struct weir_io_op *op, int32_t file, uint64_t bytes)
{
    weir_io_op_init(op, WEIR_IO_TRUNCATE, file, 0);
    op->bytes = bytes;
}

/* stat: 0 with *ret filled; a NULL path means the handle `dir` itself. */
static inline void
weir_io_op_stat(struct weir_io_op *op, int32_t dir, const char *path, struct weir_io_stat *ret)
{
    weir_io_op_at(op, WEIR_IO_STAT, dir, path);
    op->buf = ret;
    op->bytes = sizeof *ret;
}

/* list: bytes of entries put in buf (see weir_io_list_next), 0 at the end; submit it again for
 *       more.
 * No order, "." and ".." left out; buf of at least 1 KiB. The handle was opened with DIRECTORY. */
static inline void
weir_io_op_list(struct weir_io_op *op, int32_t file, void *buf, uint64_t bytes)
{
    weir_io_op_move(op, WEIR_IO_LIST, file, buf, bytes);
}

/* rename: 0; atomic within a file system. Durable after a sync of the directory. */
static inline void
weir_io_op_rename(
    struct weir_io_op *op, int32_t dir, const char *from, const char *to, uint32_t flags)
{
    weir_io_op_at(op, WEIR_IO_RENAME, dir, from);
    op->path2 = to;
    op->flags = flags;
}

/* unlink: 0. */
static inline void
weir_io_op_unlink(struct weir_io_op *op, int32_t dir, const char *path, uint32_t flags)
{
    weir_io_op_at(op, WEIR_IO_UNLINK, dir, path);
    op->flags = flags;
}

/* mkdir: 0; mode 0777 less the umask. */
static inline void
weir_io_op_mkdir(struct weir_io_op *op, int32_t dir, const char *path)
{
    weir_io_op_at(op, WEIR_IO_MKDIR, dir, path);
}

/* listen: a handle that accepts; address "host:port", "[v6]:port", port 0 for any (see op.port). */
static inline void
weir_io_op_listen(struct weir_io_op *op, const char *address)
{
    weir_io_op_at(op, WEIR_IO_LISTEN, WEIR_IO_CWD, address);
}

/* connect: a connected handle. A refused port is WEIR_EUNAVAILABLE with errnum ECONNREFUSED. */
static inline void
weir_io_op_connect(struct weir_io_op *op, const char *address)
{
    weir_io_op_at(op, WEIR_IO_CONNECT, WEIR_IO_CWD, address);
}

/* accept: a connected handle. */
static inline void
weir_io_op_accept(struct weir_io_op *op, int32_t listener)
{
    weir_io_op_init(op, WEIR_IO_ACCEPT, listener, 0);
}

/* recv: bytes, 0 when the peer has closed. */
static inline void
weir_io_op_recv(struct weir_io_op *op, int32_t socket, void *buf, uint64_t bytes)
{
    weir_io_op_move(op, WEIR_IO_RECV, socket, buf, bytes);
}

/* send: bytes, fewer than asked at any time unless WHOLE. A closed peer is an error, not a
 *       signal. */
static inline void
weir_io_op_send(struct weir_io_op *op, int32_t socket, const void *buf, uint64_t bytes)
{
    weir_io_op_move(op, WEIR_IO_SEND, socket, (void *)(uintptr_t)buf, bytes);
}

/* timer: 0 at the first poll whose now_ns is at least at_ns. */
static inline void
weir_io_op_timer(struct weir_io_op *op, int64_t at_ns)
{
    weir_io_op_init(op, WEIR_IO_TIMER, -1, 0);
    op->off = (uint64_t)at_ns;
}

/* weir_io_list_next - the next entry of what list filled, or NULL at its end.
 *
 * Shape:   bytes is list's result; *pos starts at 0 and moves on. The name lies in buf.
 */
static inline const char *
weir_io_list_next(const void *buf, uint64_t bytes, uint64_t *pos, enum weir_io_type *ret_type)
{
    if (*pos >= bytes) {
        return NULL;
    }
    const char *entry = (const char *)buf + *pos;
    *ret_type = (enum weir_io_type)entry[0];
    *pos += 2 + __builtin_strlen(entry + 1);
    return entry + 1;
}

WEIR_C_END

#endif
