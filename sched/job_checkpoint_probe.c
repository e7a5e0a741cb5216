/* SPDX-License-Identifier: Apache-2.0 */
/* What happens between checkpoints that fail one after another.
 *
 * Each one that begins seals a part in every sink, and these are bounded: a storage that is full
 * for long would fail the job. So after some failures no checkpoint begins, and the storage core
 * tries by itself, once an interval, whether as much as the last one wrote can be written. Where
 * that works and the next checkpoint fails all the same, it waits longer, never above WAIT_NS_MAX:
 * the end of a job waits for its last checkpoint, however seldom the others are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/io.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

/* Failures in a row that are borne before; a limit of the user's below that is never reached
 * then. */
#define FAIL_CNT 4
#define TOLERABLE_MIN 64
_Static_assert(FAIL_CNT < WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX, "storage is tried before");
#define WAIT_NS_MIN (20 * WEIR_MS)
#define WAIT_NS_MAX (10 * WEIR_SEC_NS)
#define WAIT_LG2_MAX 16
#define PROBE_NAME "probe"
#define PROBE_BYTES_MORE (64 * WEIR_KIB)

static struct cp_probe *
probe_of(struct weir_relay *relay)
{
    return (struct cp_probe *)relay;
}

static void
unlinked(struct weir_relay *relay)
{
    weir_relay_end(relay, probe_of(relay)->err);
}

static void
closed(struct weir_relay *relay)
{
    struct cp_probe *probe = probe_of(relay);
    probe->file = -1;
    weir_io_op_unlink(&relay->op, probe->dir, PROBE_NAME, 0);
    weir_relay_go(relay, unlinked);
}

/* The first error counts. */
static bool
has_failed(struct weir_relay *relay)
{
    struct cp_probe *probe = probe_of(relay);
    if (relay->op.result < 0 && probe->err == 0) {
        probe->err = WEIR_EIO;
    }
    return probe->err != 0;
}

static void
synced(struct weir_relay *relay)
{
    (void)has_failed(relay);
    weir_io_op_close(&relay->op, probe_of(relay)->file);
    weir_relay_go(relay, closed);
}

static void
written(struct weir_relay *relay)
{
    struct cp_probe *probe = probe_of(relay);
    if (has_failed(relay)) {
        weir_io_op_close(&relay->op, probe->file);
        weir_relay_go(relay, closed);
        return;
    }
    weir_io_op_sync(&relay->op, probe->file, 0);
    weir_relay_go(relay, synced);
}

static void
allocated(struct weir_relay *relay)
{
    struct cp_probe *probe = probe_of(relay);
    bool is_unknown = relay->op.result < 0 && relay->op.errnum == EOPNOTSUPP;
    if (!is_unknown && has_failed(relay)) {
        weir_io_op_close(&relay->op, probe->file);
        weir_relay_go(relay, closed);
        return;
    }
    weir_io_op_write(&relay->op, probe->file, probe->page, sizeof probe->page, 0);
    relay->op.flags = WEIR_IO_WHOLE;
    weir_relay_go(relay, written);
}

static void
opened(struct weir_relay *relay)
{
    struct cp_probe *probe = probe_of(relay);
    if (has_failed(relay)) {
        probe->is_gone = relay->op.errnum == ENOENT; /* to make it there would have helped else */
        weir_relay_end(relay, probe->err);
        return;
    }
    probe->file = (int32_t)relay->op.result;
    weir_io_op_allocate(&relay->op, probe->file, 0, probe->bytes);
    weir_relay_go(relay, allocated);
}

static void
open_file(struct weir_relay *relay)
{
    weir_io_op_open(&relay->op, probe_of(relay)->dir, PROBE_NAME,
        WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH |
            WEIR_IO_O_PRIVATE);
    weir_relay_go(relay, opened);
}

/* ---- when ---- */

static int64_t
wait_ns(const struct weir_job_checkpoint *cp, uint32_t lg2)
{
    int64_t ns = weir_max_i64(cp->options.coordinator.interval_ns, WAIT_NS_MIN);
    ns = weir_min_i64(ns, WAIT_NS_MAX);
    return weir_min_i64(ns << weir_min_u32(lg2, WAIT_LG2_MAX), WAIT_NS_MAX);
}

/* The directory was removed while the job ran. That goes on as without checkpoints; its end, which
 * waits for the last one, would wait for ever. */
static void
end_without(struct weir_job_checkpoint *cp)
{
    char text[sizeof cp->error_text];
    (void)snprintf(text, sizeof text,
        "the directory of checkpoints, %.400s/%.100s, was removed while the job ran: its last "
        "checkpoint cannot be taken",
        cp->options.dir, cp->job->env->job_name);
    weir_job_checkpoint_fail(cp, WEIR_EIO, text);
}

static void
hold(struct weir_job_checkpoint *cp, bool is_held)
{
    cp->probe.is_held = is_held;
    weir_job_checkpoint_hold(cp);
}

void
weir_job_checkpoint_probe_failed(struct weir_job_checkpoint *cp)
{
    struct cp_probe *probe = &cp->probe;
    probe->fail_cnt++;
    if (probe->fail_cnt >= FAIL_CNT && cp->options.coordinator.tolerable >= TOLERABLE_MIN) {
        probe->wants_hold = true;
        probe->at_ns = cp->now_ns + wait_ns(cp, probe->fail_cnt - FAIL_CNT);
    }
}

void
weir_job_checkpoint_probe_passed(struct weir_job_checkpoint *cp)
{
    cp->probe.fail_cnt = 0;
}

void
weir_job_checkpoint_probe_poll(struct weir_job_checkpoint *cp)
{
    struct cp_probe *probe = &cp->probe;
    if (probe->wants_hold) {
        probe->wants_hold = false;
        weir_log(WEIR_LOG_WARNING, 0,
            "%u checkpoints in a row have failed: none begins until storage is seen to take one",
            probe->fail_cnt);
        hold(cp, true);
    }
    bool is_due = probe->is_held && !cp->is_suspended && cp->now_ns >= probe->at_ns;
    if (!probe->is_running && !is_due) {
        return;
    }
    if (!probe->is_running) {
        cp->worked = true;
        probe->is_running = true;
        probe->err = 0;
        probe->file = -1;
        probe->dir = weir_store_data_dir(cp->store);
        probe->bytes = 2 * cp->view.last.bytes + PROBE_BYTES_MORE; /* a new one beside the last */
        weir_relay_start(&probe->relay, cp->io, open_file);
    }
    int rc = weir_relay_poll(&probe->relay);
    if (rc == WEIR_RELAY_BUSY) {
        return;
    }
    cp->worked = true;
    probe->is_running = false;
    probe->at_ns = cp->now_ns + wait_ns(cp, 0);
    if (rc == 0) {
        hold(cp, false);
    } else if (probe->is_gone && weir_job_checkpoint_is_awaited(cp)) {
        end_without(cp);
    }
}

int64_t
weir_job_checkpoint_probe_due_ns(const struct weir_job_checkpoint *cp)
{
    const struct cp_probe *probe = &cp->probe;
    return probe->is_held && !probe->is_running && !cp->is_suspended ? probe->at_ns
                                                                     : WEIR_COORDINATOR_NEVER;
}

void
weir_job_checkpoint_probe_end(struct weir_job_checkpoint *cp)
{
    struct cp_probe *probe = &cp->probe;
    struct weir_io_op op;
    int32_t made = weir_relay_drop(&probe->relay);
    int32_t file = made >= 0 ? made : probe->is_running ? probe->file : -1;
    probe->is_running = false;
    if (file >= 0) {
        weir_io_op_close(&op, file);
        (void)weir_io_perform(cp->io, &op); /* nothing of it is wanted */
    }
}
