/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/poller.h"

#include <stdlib.h>

#include "base/rng.h"
#include "io/io.h"

/* How far time goes on from one poll to the next. */
#define POLL_NS_MAX WEIR_US
/* So many polls between two times that other threads are shown the counts; and before each wait. */
#define PUBLISH_POLL_CNT 4096
/* How long to wait for a real file or socket before asking the tasks again. */
#define WAIT_NS WEIR_MS
/* The longest jump is some twelve days. */
#define JUMP_LG2_MAX 30

struct poller {
    const struct weir_poller_conf *conf;
    struct weir_rng rng;
    struct weir_task **open; /* the first open_cnt have not ended */
    uint32_t open_cnt;
    uint32_t idle_cnt; /* polls since something was done */
    uint32_t sweep_at; /* where the round begins that asks all in turn */
    uint32_t stuck_cnt;
    uint32_t wait_cnt; /* rounds since then in which only the side had a time */
    int64_t now_ns;
};

static int
say_stuck(const struct poller *poller)
{
    for (uint32_t i = poller->open_cnt; i-- > 0;) {
        (void)weir_err_push(WEIR_EILLEGAL, "task %s waits, in state %s",
            weir_task_name(poller->open[i]),
            weir_task_state_name(weir_task_state(poller->open[i])));
    }
    return weir_err_push(WEIR_EILLEGAL, "no task can go on, and nothing will happen by itself");
}

/* The counts are for people who look: neither the order nor the time knows of them. */
static void
publish(struct poller *poller)
{
    for (uint32_t i = 0; i < poller->open_cnt; i++) {
        weir_task_publish(poller->open[i]);
    }
}

static bool
flies(const struct weir_io *io)
{
    return io != NULL && weir_io_flying_cnt(io) > 0;
}

/* When the first operation that flies is done; INT64_MAX: none does, or it is real. */
static int64_t
flight_due_ns(const struct weir_io *io)
{
    return flies(io) ? weir_io_due_ns(io) : INT64_MAX;
}

/* What flies is real: wait for it. False: nothing does. */
static bool
wait_for(struct weir_io *io)
{
    if (!flies(io)) {
        return false;
    }
    weir_io_wait(io, WAIT_NS, -1);
    return true;
}

/* When a task wants to be polled next, behind now: what is due already waits for something else. */
static int64_t
tasks_due_ns(const struct poller *poller)
{
    int64_t first_ns = INT64_MAX;
    for (uint32_t i = 0; i < poller->open_cnt; i++) {
        int64_t due_ns = weir_task_due_ns(poller->open[i]);
        first_ns = due_ns > poller->now_ns ? weir_min_i64(first_ns, due_ns) : first_ns;
    }
    return first_ns;
}

/* Nobody had anything to do: wait for what is real, then let time jump. */
static int
pass_time(struct poller *poller)
{
    const struct weir_poller_side *side = poller->conf->side;
    struct weir_io *side_io = side != NULL ? side->io : NULL;
    publish(poller);
    poller->idle_cnt = 0;
    int64_t due_ns = weir_min_i64(flight_due_ns(poller->conf->io), flight_due_ns(side_io));
    int64_t side_ns = side != NULL ? side->due_fn(poller->conf->arg) : INT64_MAX;
    int64_t task_ns = tasks_due_ns(poller);
    if (due_ns != INT64_MAX) {
        due_ns = side_ns > poller->now_ns ? weir_min_i64(due_ns, side_ns) : due_ns;
        due_ns = weir_min_i64(due_ns, task_ns);
        poller->now_ns = weir_max_i64(poller->now_ns, due_ns);
    } else if (!wait_for(side_io) && !wait_for(poller->conf->io)) {
        /* A source may wait for a time that it alone knows: jump, further every time. */
        int64_t to_ns =
            poller->now_ns + (WAIT_NS << weir_min_u32(poller->stuck_cnt + 1, JUMP_LG2_MAX));
        to_ns = weir_min_i64(to_ns, task_ns);
        bool is_side = side_ns > poller->now_ns && side_ns < to_ns;
        poller->now_ns =
            is_side ? side_ns : weir_max_i64(poller->now_ns, weir_min_i64(to_ns, side_ns));
        poller->wait_cnt += is_side;
        poller->stuck_cnt += !is_side;
        return poller->stuck_cnt > WEIR_POLLER_STUCK_ROUND_CNT ||
                       poller->wait_cnt > WEIR_POLLER_WAIT_ROUND_CNT
                   ? say_stuck(poller)
                   : 0;
    }
    poller->stuck_cnt = 0;
    poller->wait_cnt = 0;
    return 0;
}

static void
note(struct poller *poller, bool worked)
{
    poller->idle_cnt = worked ? 0 : poller->idle_cnt + 1;
    poller->stuck_cnt = worked ? 0 : poller->stuck_cnt;
    poller->wait_cnt = worked ? 0 : poller->wait_cnt;
}

/* Returns whether the world goes on. */
static bool
show(const struct poller *poller, uint32_t at, int did)
{
    const struct weir_poller_conf *conf = poller->conf;
    const struct weir_poller_seen seen = {.now_ns = poller->now_ns, .at = at, .did = did};
    return conf->seen_fn == NULL || conf->seen_fn(conf->seen_arg, &seen);
}

static bool
poll_side(struct poller *poller)
{
    poller->now_ns += (int64_t)weir_rng_below(&poller->rng, (uint64_t)POLL_NS_MAX);
    bool worked = poller->conf->side->poll_fn(poller->conf->arg, poller->now_ns);
    note(poller, worked);
    return show(poller, poller->open_cnt, worked);
}

/* Who may be asked: the open tasks, and behind them the side. */
static uint32_t
asked_cnt(const struct poller *poller)
{
    return poller->open_cnt + (poller->conf->side != NULL ? 1 : 0);
}

/* At random; once as many in turn had nothing to do as there are, each of them once more. */
static uint32_t
choose(struct poller *poller)
{
    uint32_t cnt = asked_cnt(poller);
    if (poller->idle_cnt < cnt) {
        return (uint32_t)weir_rng_below(&poller->rng, cnt);
    }
    if (poller->idle_cnt == cnt) {
        poller->sweep_at = (uint32_t)weir_rng_below(&poller->rng, cnt);
    }
    return (poller->sweep_at + poller->idle_cnt) % cnt;
}

static bool
poll_one(struct poller *poller)
{
    const struct weir_poller_conf *conf = poller->conf;
    uint32_t at = choose(poller);
    if (at == poller->open_cnt) {
        return poll_side(poller);
    }
    uint32_t step_cnt = 1 + (uint32_t)weir_rng_below(&poller->rng, conf->step_cnt_max);
    struct weir_task *task = poller->open[at];
    poller->now_ns += (int64_t)weir_rng_below(&poller->rng, (uint64_t)POLL_NS_MAX);
    uint32_t io_cnt = conf->io != NULL ? weir_io_poll(conf->io, poller->now_ns) : 0;
    enum weir_task_poll did = weir_task_poll(task, step_cnt, poller->now_ns);
    weir_task_settle(task, poller->now_ns); /* simulated work takes no time */
    note(poller, did == WEIR_POLL_BUSY || did == WEIR_POLL_DONE || io_cnt > 0);
    if (did == WEIR_POLL_DONE) {
        poller->open_cnt--;
        poller->open[at] = poller->open[poller->open_cnt];
    }
    return show(poller, at, (int)did);
}

static bool
is_open(const struct poller *poller)
{
    const struct weir_poller_side *side = poller->conf->side;
    return poller->open_cnt > 0 || (side != NULL && !side->is_over_fn(poller->conf->arg));
}

int
weir_poller_run(const struct weir_poller_conf *conf)
{
    struct poller poller = {.conf = conf, .open_cnt = conf->task_cnt, .now_ns = conf->start_ns};
    poller.open = (struct weir_task **)calloc(conf->task_cnt + 1, sizeof *poller.open);
    if (poller.open == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the poller's list of tasks");
    }
    for (uint32_t i = 0; i < conf->task_cnt; i++) {
        poller.open[i] = conf->tasks[i];
    }
    weir_rng_init(&poller.rng, conf->seed);
    int err = 0;
    for (uint64_t poll = 1; err == 0 && is_open(&poller); poll++) {
        if (!poll_one(&poller)) {
            err = weir_err_push(WEIR_ECANCELED, "the world has ended");
        }
        if (poll % PUBLISH_POLL_CNT == 0) {
            publish(&poller);
        }
        if (err == 0 && poller.idle_cnt >= 2 * asked_cnt(&poller)) {
            err = pass_time(&poller);
        }
    }
    free(poller.open);
    return err;
}
