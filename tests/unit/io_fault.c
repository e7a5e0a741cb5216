/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/io_fault.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "io/back.h"

#define DEPTH 64
#define LATE_POLL_CNT 4

struct slot {
    struct weir_io_op op; /* on the inner io; its owner is the outer op */
    bool is_used;
    bool is_held; /* it has ended, and is not told yet */
    uint32_t held_cnt;
    enum io_fault_kind kind;
};

struct outer {
    struct weir_io io;
    struct weir_io *inner;
    struct io_fault *fault;
    struct slot slots[DEPTH];
};

static bool
is_about(enum io_fault_kind kind, const struct weir_io_op *op)
{
    bool moves = op->verb == WEIR_IO_READ || op->verb == WEIR_IO_WRITE;
    switch (kind) {
    case IO_FAULT_SHORT_ONE:
    case IO_FAULT_SHORT_HALF:
        return moves && weir_io_rest_bytes(op) > 1;
    case IO_FAULT_SHORT_512:
        return moves && weir_io_rest_bytes(op) > 512;
    case IO_FAULT_TORN:
        return op->verb == WEIR_IO_WRITE && weir_io_rest_bytes(op) > 1;
    case IO_FAULT_FLIP:
        return op->verb == WEIR_IO_READ;
    case IO_FAULT_ANSWER:
        return op->verb != WEIR_IO_OPEN && op->verb != WEIR_IO_CLOSE;
    default:
        return op->verb != WEIR_IO_CLOSE; /* a handle that stays open is no leak of ours */
    }
}

static bool
writes(const struct weir_io_op *op)
{
    return op->verb == WEIR_IO_WRITE || op->verb == WEIR_IO_SYNC || op->verb == WEIR_IO_ALLOCATE ||
           op->verb == WEIR_IO_RENAME || op->verb == WEIR_IO_MKDIR ||
           (op->verb == WEIR_IO_OPEN && (op->flags & WEIR_IO_O_CREATE) != 0);
}

static enum io_fault_kind
draw(struct io_fault *fault, const struct weir_io_op *op)
{
    if (fault->sticks && fault->hit_cnt > 0 && writes(op)) {
        fault->hit_cnt++;
        return fault->kind;
    }
    if (fault->kind == IO_FAULT_NONE || !is_about(fault->kind, op) || fault->seen++ != fault->at) {
        return IO_FAULT_NONE;
    }
    fault->hit_cnt++;
    fault->verb = (enum weir_io_verb)op->verb;
    return fault->kind;
}

static void
tell(struct outer *outer, struct slot *slot)
{
    struct weir_io_op *op = slot->op.owner;
    int64_t res = slot->op.result >= 0 ? slot->op.result : -slot->op.errnum;
    switch (slot->kind) {
    case IO_FAULT_ANSWER:
        res = -outer->fault->errnum;
        break;
    case IO_FAULT_TORN:
        res = (int64_t)weir_io_rest_bytes(op);
        break;
    case IO_FAULT_FLIP:
        if (res > 0) {
            ((char *)weir_io_rest_buf(op))[res / 3] ^= 0x10;
        }
        break;
    default:
        break;
    }
    op->port = slot->op.port;
    slot->is_used = false;
    slot->is_held = false;
    weir_io_finish(&outer->io, op, res);
}

static void
inner_done(struct weir_io *io, struct weir_io_op *op)
{
    (void)io;
    struct slot *slot = (struct slot *)op;
    slot->is_held = true; /* told by the outer poll, which looks at all of them */
}

static uint64_t
cut(enum io_fault_kind kind, uint64_t bytes)
{
    switch (kind) {
    case IO_FAULT_SHORT_ONE:
        return 1;
    case IO_FAULT_SHORT_HALF:
    case IO_FAULT_TORN:
        return bytes / 2;
    case IO_FAULT_SHORT_512:
        return bytes - 512;
    default:
        return bytes;
    }
}

static void
outer_submit(struct weir_io *io, struct weir_io_op *op)
{
    struct outer *outer = (struct outer *)io;
    enum io_fault_kind kind = draw(outer->fault, op);
    if (kind == IO_FAULT_ERRNO) {
        weir_io_finish_later(io, op, -outer->fault->errnum);
        return;
    }
    struct slot *slot = outer->slots;
    while (slot->is_used) {
        slot++;
        WEIR_CHECK(slot < outer->slots + DEPTH, "more flies than the outer io has");
    }
    slot->is_used = true;
    slot->is_held = false;
    slot->kind = kind;
    slot->held_cnt = kind == IO_FAULT_LATE ? LATE_POLL_CNT : 0;
    slot->op = *op;
    slot->op.state = WEIR_IO_IDLE;
    slot->op.flags &= ~WEIR_IO_WHOLE;
    bool moves = op->verb == WEIR_IO_READ || op->verb == WEIR_IO_WRITE;
    if (moves) {
        slot->op.buf = weir_io_rest_buf(op);
        slot->op.bytes = cut(kind, weir_io_rest_bytes(op));
        slot->op.off = weir_io_rest_off(op);
    }
    slot->op.done_fn = inner_done;
    slot->op.owner = op;
    WEIR_CHECK(weir_io_submit(outer->inner, &slot->op), "the inner io is deeper");
}

static void
outer_poll(struct weir_io *io)
{
    struct outer *outer = (struct outer *)io;
    (void)weir_io_poll(outer->inner, io->now_ns);
    for (int i = 0; i < DEPTH; i++) {
        struct slot *slot = &outer->slots[i];
        if (slot->is_used && slot->is_held && slot->held_cnt-- == 0) {
            tell(outer, slot);
        }
    }
}

static void
outer_wait(struct weir_io *io, int64_t timeout_ns, int event_fd)
{
    struct outer *outer = (struct outer *)io;
    for (int i = 0; i < DEPTH; i++) {
        if (outer->slots[i].is_used && outer->slots[i].is_held) {
            return;
        }
    }
    weir_io_wait(outer->inner, timeout_ns, event_fd);
}

static void
outer_cancel(struct weir_io *io, struct weir_io_op *op)
{
    struct outer *outer = (struct outer *)io;
    for (int i = 0; i < DEPTH; i++) {
        if (outer->slots[i].is_used && outer->slots[i].op.owner == op) {
            weir_io_cancel(outer->inner, &outer->slots[i].op);
        }
    }
}

static void
outer_close(struct weir_io *io)
{
    free(io);
}

static const struct weir_io_back outer_back = {
    .name = "fault",
    .close = outer_close,
    .submit = outer_submit,
    .poll = outer_poll,
    .wait = outer_wait,
    .cancel = outer_cancel,
};

int
io_fault_open(struct weir_io *inner, struct io_fault *fault, struct weir_io **ret_io)
{
    struct outer *outer = calloc(1, sizeof *outer);
    if (outer == NULL) {
        return WEIR_ENOMEM;
    }
    weir_io_init(&outer->io, &outer_back, DEPTH);
    outer->inner = inner;
    outer->fault = fault;
    *ret_io = &outer->io;
    return weir_io_start(*ret_io);
}
