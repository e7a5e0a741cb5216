/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h: one operation of io.h after another, for a protocol that is polled and never blocks.
 *
 *   weir_io_op_open(&relay->op, ...);  weir_relay_go(relay, on_open);       submitted
 *   ...weir_relay_poll() == WEIR_RELAY_BUSY, polls go by...
 *   on_open(relay): relay->op.result is there; fill relay->op again and go on, or end
 *
 * A protocol's own struct begins with a relay; each of its steps is a function that looks at the
 * result of the operation before it and submits the next one. There is no table of steps and no
 * state number: what comes next is `then`.
 *
 * Thread:  the io's owner. Owner: while it runs the relay belongs to io, as its op does; to give it
 *          up early, weir_relay_cancel and poll until it has ended.
 */
#ifndef WEIR_IO_RELAY_H
#define WEIR_IO_RELAY_H

#include "io/io.h"

WEIR_C_BEGIN

/* What poll says of everything that is polled: not yet. No error code has this value. */
#define WEIR_RELAY_BUSY 1
/* Steps that one poll makes at most, when each could go on at once. */
#define WEIR_RELAY_STEP_CNT_MAX 64

struct weir_relay;
/* A step: relay->op is done (or was never submitted); it calls go, jump or end, exactly one. */
typedef void(weir_relay_fn)(struct weir_relay *relay);

struct weir_relay {
    struct weir_io *io;
    struct weir_io_op op;
    weir_relay_fn *then; /* NULL: nothing runs */
    int status; /* WEIR_RELAY_BUSY, or how it ended */
    bool waits; /* op is filled; io had no room for it yet */
};

/* weir_relay_start - begin with this step at the next poll. The relay must not be running. */
void weir_relay_start(struct weir_relay *relay, struct weir_io *io, weir_relay_fn *first);
/* weir_relay_poll - run the steps whose operation is done.
 *
 * Returns: WEIR_RELAY_BUSY, or what weir_relay_end was given (again and again until started anew).
 */
int weir_relay_poll(struct weir_relay *relay);
/* weir_relay_cancel - ask that the operation that flies end early; its step sees the result. */
void weir_relay_cancel(struct weir_relay *relay);

/* weir_relay_drop - end what flies, and the relay with it: no step runs any more. Blocks.
 *
 * Returns: a handle that its operation opened and nobody has, else -1.
 */
int32_t weir_relay_drop(struct weir_relay *relay);

/* For steps. go: submit relay->op, then comes `then`. jump: `then` without an operation. end: it is
 * over. */
void weir_relay_go(struct weir_relay *relay, weir_relay_fn *then);
void weir_relay_jump(struct weir_relay *relay, weir_relay_fn *then);
void weir_relay_end(struct weir_relay *relay, int status);

static inline bool
weir_relay_runs(const struct weir_relay *relay)
{
    return relay->then != NULL;
}

WEIR_C_END

#endif
