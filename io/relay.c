/* SPDX-License-Identifier: Apache-2.0 */
#include "io/relay.h"

#include "base/check.h"
#include "base/err.h"

void
weir_relay_start(struct weir_relay *relay, struct weir_io *io, weir_relay_fn *first)
{
    WEIR_CHECK(relay->then == NULL, "started while it runs");
    relay->io = io;
    relay->op.state = WEIR_IO_IDLE;
    relay->then = first;
    relay->status = WEIR_RELAY_BUSY;
    relay->waits = false;
}

int
weir_relay_poll(struct weir_relay *relay)
{
    for (int i = 0; i < WEIR_RELAY_STEP_CNT_MAX && relay->then != NULL; i++) {
        if (relay->op.state == WEIR_IO_FLYING) {
            return WEIR_RELAY_BUSY;
        }
        if (relay->waits) {
            relay->waits = !weir_io_submit(relay->io, &relay->op);
            return WEIR_RELAY_BUSY;
        }
        weir_relay_fn *step = relay->then;
        relay->then = NULL;
        step(relay);
        WEIR_CHECK(relay->then != NULL || relay->status != WEIR_RELAY_BUSY, "a step led nowhere");
    }
    return relay->then != NULL ? WEIR_RELAY_BUSY : relay->status;
}

void
weir_relay_cancel(struct weir_relay *relay)
{
    if (relay->then != NULL && relay->op.state == WEIR_IO_FLYING) {
        weir_io_cancel(relay->io, &relay->op);
    }
}

int32_t
weir_relay_drop(struct weir_relay *relay)
{
    if (relay->then == NULL) {
        return -1;
    }
    relay->then = NULL;
    relay->status = WEIR_ECANCELED;
    weir_io_settle(relay->io, &relay->op);
    bool opened = !relay->waits && relay->op.verb == WEIR_IO_OPEN &&
                  relay->op.state == WEIR_IO_DONE && relay->op.result >= 0;
    return opened ? (int32_t)relay->op.result : -1;
}

void
weir_relay_go(struct weir_relay *relay, weir_relay_fn *then)
{
    WEIR_DCHECK(relay->then == NULL, "two next steps");
    relay->then = then;
    relay->waits = !weir_io_submit(relay->io, &relay->op);
}

void
weir_relay_jump(struct weir_relay *relay, weir_relay_fn *then)
{
    WEIR_DCHECK(relay->then == NULL, "two next steps");
    relay->op.state = WEIR_IO_IDLE;
    relay->then = then;
}

void
weir_relay_end(struct weir_relay *relay, int status)
{
    WEIR_CHECK(status != WEIR_RELAY_BUSY, "ended while busy");
    relay->status = status;
}
