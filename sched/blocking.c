/* SPDX-License-Identifier: Apache-2.0 */
/* A source with a thread of its own, and the ring between the two.
 *
 *     run() --rows, watermarks, positions, the end--> ring of 64-byte slots --> poll()
 *           <--room: a doorbell on which run() waits-------------------------
 *
 * A record is a head and its bytes, in as many slots as it takes, published at once.
 *
 * State: the last position that came through the ring, and how many rows came behind it (part
 * "position"). Watermarks are run()'s; MAX comes from the chain, at a natural end.
 */
#include "sched/blocking.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/doorbell.h"
#include "base/ring.h"
#include "dataplane/mailbox.h"
#include "dataplane/parts.h"
#include "dataplane/row_out.h"
#include "sched/thread.h"

#define PART "position"
#define PART_VERSION 1
#define SLOT_BYTES WEIR_LINE_BYTES
/* Some of the longest rows at a time, and thousands of short ones. */
#define SLOT_CNT 4096
#define WHY_BYTES 512
/* Of one poll: not all of them become rows. */
#define RECORD_CNT_MAX 4096

enum record_kind { RECORD_ROW, RECORD_WATERMARK, RECORD_STATUS, RECORD_POSITION, RECORD_END };

struct head {
    uint32_t kind;
    uint32_t bytes; /* behind it */
    int64_t word; /* a row's time, a watermark, whether it is idle */
};

/* A record that is being put together, or taken in. */
struct record {
    struct head head;
    char body[WEIR_BLOCKING_ROW_BYTES_MAX];
};

struct position {
    uint32_t bytes;
    char at[WEIR_BLOCKING_POSITION_BYTES_MAX];
};

struct weir_blocking {
    /* writer: the task's core, before the thread starts */
    const struct weir_operator *op;
    const struct weir_blocking_conf *conf;
    void *ring_mem;
    struct weir_doorbell *room; /* its word: the core's */
    int fd;
    struct position start;
    /* writer: the task's core */
    WEIR_ATOMIC(uint32_t) is_canceled;
    pthread_t thread;
    bool is_started;
    bool saw_end; /* run() has returned by itself */
    struct weir_ring_cons in;
    struct record taken;
    bool has_taken;
    struct position last;
    uint64_t row_cnt; /* behind it */
    uint64_t skip_cnt; /* rows that were out before a restart */
    /* writer: the thread */
    struct weir_ring_prod out;
    struct record made;
    int64_t time;
    WEIR_ATOMIC(uintptr_t) own;
    WEIR_ATOMIC(uint32_t) has_ended;
};

/* ---- run()'s side ---- */

const struct weir_operator *
weir_blocking_op(const struct weir_blocking *blocking)
{
    return blocking->op;
}

uint32_t
weir_blocking_start(const struct weir_blocking *blocking, void *ret_position, uint32_t cap)
{
    memcpy(ret_position, blocking->start.at, weir_min_u32(blocking->start.bytes, cap));
    return blocking->start.bytes;
}

bool
weir_blocking_is_canceled(const struct weir_blocking *blocking)
{
    /* relaxed: it carries nothing with it. */
    return weir_load_rlx(&((struct weir_blocking *)(uintptr_t)blocking)->is_canceled) != 0;
}

int
weir_blocking_fd(const struct weir_blocking *blocking)
{
    return blocking->fd;
}

void *
weir_blocking_own(const struct weir_blocking *blocking)
{
    /* [A1] pairs with [R1] in weir_blocking_set_own: what it points to was written before. */
    return (void *)weir_load_acq(&((struct weir_blocking *)(uintptr_t)blocking)->own);
}

void
weir_blocking_set_own(struct weir_blocking *blocking, void *own)
{
    /* [R1] pairs with [A1] in weir_blocking_own. */
    weir_store_rel(&blocking->own, (uintptr_t)own);
}

/* Until so many slots are free. False: canceled. */
static bool
wait_for_room(struct weir_blocking *blocking, uint32_t slot_cnt)
{
    struct weir_doorbell *room = blocking->room;
    while (!weir_blocking_is_canceled(blocking)) {
        if (weir_ring_room(&blocking->out, slot_cnt) >= slot_cnt) {
            return true;
        }
        weir_doorbell_listen(room);
        if (weir_ring_room(&blocking->out, slot_cnt) < slot_cnt &&
            !weir_blocking_is_canceled(blocking) && weir_doorbell_park_begin(room)) {
            (void)!weir_doorbell_wait(room, -1); /* an error wakes: it looks again */
            weir_doorbell_park_end(room);
        }
    }
    return false;
}

static bool
send(struct weir_blocking *blocking, uint32_t kind, int64_t word, uint32_t bytes)
{
    struct record *record = &blocking->made;
    record->head = (struct head){.kind = kind, .bytes = bytes, .word = word};
    uint32_t left = (uint32_t)sizeof record->head + bytes;
    uint32_t slot_cnt = (left + SLOT_BYTES - 1) / SLOT_BYTES;
    if (!wait_for_room(blocking, slot_cnt)) {
        return false;
    }
    const char *from = (const char *)record;
    for (uint32_t i = 0; i < slot_cnt; i++, from += SLOT_BYTES, left -= SLOT_BYTES) {
        memcpy(weir_ring_prod_slot(&blocking->out, i, SLOT_BYTES), from,
            weir_min_u32(left, SLOT_BYTES));
        if (left < SLOT_BYTES) {
            break;
        }
    }
    weir_ring_publish(&blocking->out, slot_cnt);
    weir_mailbox_wake(blocking->op->env->mailbox);
    return true;
}

void *
weir_blocking_row(struct weir_blocking *blocking)
{
    uint32_t row_bytes = blocking->op->out_schema[0]->row_bytes;
    blocking->made.head.bytes = row_bytes;
    return memset(blocking->made.body, 0, row_bytes);
}

int
weir_blocking_text(
    struct weir_blocking *blocking, struct weir_str *dst, const char *text, size_t bytes)
{
    struct record *record = &blocking->made;
    if (bytes <= WEIR_STR_INLINE_BYTES) {
        *dst = weir_str_inline(text, (uint32_t)bytes);
        return 0;
    }
    if (bytes > sizeof record->body - record->head.bytes) {
        return WEIR_EBUDGET;
    }
    char *to = record->body + record->head.bytes;
    memcpy(to, text, bytes);
    record->head.bytes += (uint32_t)bytes;
    *dst = weir_str_ref(record->body, to, (uint32_t)bytes);
    return 0;
}

void
weir_blocking_time(struct weir_blocking *blocking, int64_t time)
{
    blocking->time = time;
}

bool
weir_blocking_emit(struct weir_blocking *blocking)
{
    return send(blocking, RECORD_ROW, blocking->time, blocking->made.head.bytes);
}

bool
weir_blocking_watermark(struct weir_blocking *blocking, int64_t watermark)
{
    /* MAX says that nothing follows: that is the chain's to say, at the end. */
    return send(blocking, RECORD_WATERMARK, weir_min_i64(watermark, WEIR_WATERMARK_MAX - 1), 0);
}

bool
weir_blocking_idle(struct weir_blocking *blocking, bool is_idle)
{
    return send(blocking, RECORD_STATUS, is_idle, 0);
}

bool
weir_blocking_position(struct weir_blocking *blocking, const void *position, uint32_t bytes)
{
    WEIR_CHECK(bytes <= WEIR_BLOCKING_POSITION_BYTES_MAX, "a position of %u bytes", bytes);
    memcpy(blocking->made.body, position, bytes);
    return send(blocking, RECORD_POSITION, 0, bytes);
}

static void *
thread_main(void *arg)
{
    struct weir_blocking *blocking = arg;
    struct weir_mailbox *mailbox = blocking->op->env->mailbox;
    int rc = blocking->conf->function->run(blocking, blocking->conf->function_conf);
    if (rc >= 0) {
        (void)send(blocking, RECORD_END, 0, 0); /* canceled: nobody reads it */
    } else if (!weir_blocking_is_canceled(blocking)) {
        char why[WHY_BYTES];
        weir_err_save(why, sizeof why);
        weir_mailbox_fail(mailbox, rc, why);
    }
    weir_err_clear();
    /* [R2] pairs with [A2] in has_ended: nothing of the source is touched any more. */
    weir_store_rel(&blocking->has_ended, 1);
    weir_mailbox_wake(mailbox);
    return NULL;
}

/* ---- the task's side ---- */

struct source {
    struct weir_blocking *blocking;
};

static struct weir_blocking *
blocking_of(const struct weir_operator *op)
{
    return ((const struct source *)op->self)->blocking;
}

static bool
has_ended(struct weir_blocking *blocking)
{
    /* [A2] pairs with [R2] in thread_main. */
    return !blocking->is_started || weir_load_acq(&blocking->has_ended) != 0;
}

static int
open_ring(struct weir_blocking *blocking)
{
    const struct weir_ring_shape shape = {SLOT_CNT, SLOT_BYTES};
    size_t room_bytes = weir_doorbell_footprint(1);
    void *room = NULL;
    if (posix_memalign(&blocking->ring_mem, weir_ring_align(), weir_ring_footprint(&shape)) != 0 ||
        posix_memalign(&room, WEIR_LINE_PAIR_BYTES,
            weir_align_up(room_bytes, (size_t)WEIR_LINE_PAIR_BYTES)) != 0) {
        return weir_err_push(WEIR_ENOMEM, "a ring of %d slots", SLOT_CNT);
    }
    int rc = weir_doorbell_open(room, 1);
    if (rc != 0) {
        free(room);
        return rc;
    }
    blocking->room = room;
    rc = weir_ring_new(blocking->ring_mem, &shape);
    rc = rc != 0 ? rc : weir_ring_prod_join(&blocking->out, blocking->ring_mem, SLOT_BYTES);
    return rc != 0 ? rc : weir_ring_cons_join(&blocking->in, blocking->ring_mem, SLOT_BYTES);
}

static int
blocking_open(struct weir_operator *op)
{
    struct weir_blocking *blocking = calloc(1, sizeof *blocking);
    if (blocking == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a blocking source");
    }
    ((struct source *)op->self)->blocking = blocking;
    blocking->op = op;
    blocking->conf = op->conf;
    blocking->time = WEIR_TIME_MIN;
    blocking->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return blocking->fd < 0 ? weir_err_errno(errno, "an eventfd") : open_ring(blocking);
}

/* Once: what waits for room wakes, what polls the fd, and what cancel() knows of. */
static void
tell_to_end(struct weir_blocking *blocking)
{
    const struct weir_blocking_function *function = blocking->conf->function;
    if (weir_blocking_is_canceled(blocking)) {
        return;
    }
    const uint64_t one = 1;
    bool is_running = !has_ended(blocking);
    weir_store_rlx(&blocking->is_canceled, 1); /* relaxed: it carries nothing with it */
    (void)!write(blocking->fd, &one, sizeof one); /* of an eventfd at 0: it cannot fail */
    weir_doorbell_ring(blocking->room, 0);
    if (function->cancel != NULL && is_running) {
        function->cancel(blocking, blocking->conf->function_conf);
    }
}

static int
blocking_close(struct weir_operator *op, bool clean)
{
    struct weir_blocking *blocking = blocking_of(op);
    (void)clean;
    if (blocking == NULL) {
        return 0;
    }
    if (blocking->is_started) {
        tell_to_end(blocking);
        (void)pthread_join(blocking->thread, NULL);
    }
    if (blocking->room != NULL) {
        weir_doorbell_close(blocking->room);
    }
    if (blocking->fd >= 0) {
        (void)close(blocking->fd);
    }
    free(blocking->room);
    free(blocking->ring_mem);
    free(blocking);
    ((struct source *)op->self)->blocking = NULL;
    return 0;
}

/* The next record out of the ring, if there is none in hand. */
static bool
take(struct weir_blocking *blocking)
{
    if (blocking->has_taken) {
        return true;
    }
    if (weir_ring_peek(&blocking->in) == 0) {
        return false;
    }
    char *to = (char *)&blocking->taken;
    memcpy(to, weir_ring_cons_slot(&blocking->in, 0, SLOT_BYTES), SLOT_BYTES);
    uint32_t left = (uint32_t)sizeof(struct head) + blocking->taken.head.bytes;
    uint32_t slot_cnt = (left + SLOT_BYTES - 1) / SLOT_BYTES;
    for (uint32_t i = 1; i < slot_cnt; i++) {
        to += SLOT_BYTES;
        left -= SLOT_BYTES;
        memcpy(
            to, weir_ring_cons_slot(&blocking->in, i, SLOT_BYTES), weir_min_u32(left, SLOT_BYTES));
    }
    weir_ring_advance(&blocking->in, slot_cnt);
    weir_ring_release(&blocking->in, slot_cnt);
    blocking->has_taken = true;
    return true;
}

/* All rows that were out before a restart must have come again. */
static int
check_skipped(const struct weir_blocking *blocking)
{
    return blocking->skip_cnt == 0
               ? 0
               : weir_err_push(WEIR_ESTATE,
                     "behind the position that it went on from came %llu rows fewer than before "
                     "the restart: its run() does not emit the same rows again",
                     (unsigned long long)blocking->skip_cnt);
}

static int
take_position(struct weir_blocking *blocking)
{
    int rc = check_skipped(blocking);
    if (rc != 0) {
        return rc;
    }
    blocking->last.bytes = blocking->taken.head.bytes;
    memcpy(blocking->last.at, blocking->taken.body, blocking->last.bytes);
    blocking->row_cnt = 0;
    return WEIR_DONE;
}

/* The record in hand. WEIR_DONE: it is dealt with; WEIR_AGAIN: so it is, and this call ends;
 * WEIR_WAIT: there is no room for it. */
static int
put(struct weir_blocking *blocking, struct weir_out *out)
{
    const struct record *record = &blocking->taken;
    int rc = WEIR_DONE;
    switch (record->head.kind) {
    case RECORD_ROW:
        out->row_time = record->head.word;
        if (blocking->skip_cnt > 0) {
            blocking->skip_cnt--;
        } else if (!weir_row_out(record->body, record->body, out)) {
            return WEIR_WAIT;
        }
        blocking->row_cnt++;
        break;
    case RECORD_WATERMARK:
        weir_out_watermark(out, record->head.word);
        rc = WEIR_AGAIN;
        break;
    case RECORD_STATUS:
        out->status = record->head.word != 0 ? WEIR_SLOT_IDLE : WEIR_SLOT_ACTIVE;
        rc = WEIR_AGAIN;
        break;
    default:
        rc = take_position(blocking);
        break;
    }
    blocking->has_taken = false;
    return rc;
}

static int
blocking_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct weir_blocking *blocking = blocking_of(op);
    int rc = WEIR_DONE;
    (void)now_ns;
    if (!blocking->is_started) {
        rc = weir_thread_start(
            op->env, op->env->vertex_name, thread_main, blocking, &blocking->thread);
        blocking->is_started = rc == 0;
    }
    bool has_room = false; /* that was not there before */
    for (uint32_t i = 0; rc == WEIR_DONE; i++) {
        bool had_taken = blocking->has_taken;
        if (!take(blocking)) {
            rc = WEIR_WAIT;
            break;
        }
        has_room |= !had_taken;
        if (blocking->taken.head.kind == RECORD_END) {
            blocking->saw_end = true;
            return check_skipped(blocking);
        }
        rc = put(blocking, out);
        rc = rc == WEIR_DONE && i == RECORD_CNT_MAX ? (int)WEIR_AGAIN : rc;
    }
    if (has_room) {
        weir_doorbell_ring(blocking->room, 0);
    }
    return rc == WEIR_WAIT && blocking->has_taken ? (int)WEIR_AGAIN : rc;
}

/* Ended from outside: told, and asked again until it has. */
static int
blocking_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct weir_blocking *blocking = blocking_of(op);
    (void)out;
    (void)now_ns;
    if (!blocking->saw_end) {
        tell_to_end(blocking);
    }
    return has_ended(blocking) ? (int)WEIR_DONE : (int)WEIR_WAIT;
}

static int
blocking_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct weir_blocking *blocking = blocking_of(op);
    (void)id;
    weir_parts_begin(parts, PART, PART_VERSION);
    weir_parts_put_u64(parts, blocking->row_cnt + blocking->skip_cnt);
    weir_parts_put_u64(parts, blocking->last.bytes);
    weir_parts_put(parts, blocking->last.at, blocking->last.bytes);
    weir_parts_end(parts);
    return 0;
}

static int
blocking_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct weir_blocking *blocking = blocking_of(op);
    struct weir_part part;
    uint64_t words[2] = {0}; /* rows, bytes */
    uint32_t cnt = op->env->subtask_cnt != 0 ? op->env->subtask_cnt : 1;
    if (parts_cnt != cnt) {
        return weir_err_push(WEIR_ESTATE,
            "a blocking source had %u subtasks, and is restored with %u: a position is one "
            "subtask's; set its parallelism to %u",
            parts_cnt, cnt, parts_cnt);
    }
    int rc = weir_parts_find(&parts[op->env->subtask_idx], PART, PART_VERSION, &part);
    rc = rc != 0 ? rc : weir_part_get(&part, words, sizeof words);
    if (rc == 0 && words[1] > WEIR_BLOCKING_POSITION_BYTES_MAX) {
        rc = weir_err_push(WEIR_EDATA, "a position of %llu bytes", (unsigned long long)words[1]);
    }
    rc = rc != 0 ? rc : weir_part_get(&part, blocking->last.at, words[1]);
    rc = rc != 0 ? rc : weir_part_end(&part);
    if (rc == 0) {
        blocking->last.bytes = (uint32_t)words[1];
        blocking->start = blocking->last;
        blocking->skip_cnt = words[0];
    }
    return rc;
}

static uint32_t
one_letter(const void *conf)
{
    (void)conf;
    return 1; /* what wakes the core, and what fails the task */
}

static bool
always(const void *conf)
{
    (void)conf;
    return true;
}

static bool
replays(const void *conf)
{
    const struct weir_blocking_conf *blocking = conf;
    return blocking->function->replays;
}

const struct weir_operator_type weir_blocking_type = {
    .name = "blocking",
    .self_bytes = sizeof(struct source),
    .output_cnt = 1,
    .open = blocking_open,
    .poll = blocking_poll,
    .finish = blocking_finish,
    .close = blocking_close,
    .snapshot = blocking_snapshot,
    .restore = blocking_restore,
    .replays = replays,
    .letters = one_letter,
    .has_threads = always,
};
