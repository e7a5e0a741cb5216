/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/core.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/doorbell.h"
#include "base/rng.h"
#include "base/stack.h"
#include "io/io.h"

/* Letters of one round: more wait for the next, after the tasks. */
#define LETTER_CNT_MAX 32
#define LETTER_SLOT_CNT 256
#define STEP_CNT_START 16
/* How long an adaptive core looks before it sleeps: a wake-up costs some 5 to 50 us, so a gap that
 * is shorter is better spun through; pausing leaves the sibling thread its share, yielding the
 * CPU. */
#define SPIN_NS (10 * WEIR_US)
#define PAUSE_NS (40 * WEIR_US)
#define YIELD_NS (100 * WEIR_US)
/* Nothing should need these; they bound what a source that waits for the clock alone, or an output
 * freed without a sign, would cost. */
#define SLEEP_NS_SOURCE (10 * WEIR_MS)
#define SLEEP_NS_BACKPRESSURED (1 * WEIR_MS)
#define SLEEP_NS_MAX (500 * WEIR_MS)
/* Housekeeping comes at a random time in [KEEP_NS, 2 * KEEP_NS), so that cores do not do it
 * together. */
#define KEEP_NS (50 * WEIR_MS)
/* Of the longest of what is seen in it. */
#define PERIOD_NS WEIR_SEC_NS
#define PAUSE_CNT 16
#define CORE_TASK_COUNTER_CNT (sizeof(struct weir_core_task_counters) / sizeof(uint64_t))

/* The longest of some times, in this period and in the one before. */
struct longest {
    int64_t now_ns;
    int64_t before_ns;
};

struct core_task {
    struct weir_task *task;
    uint32_t step_cnt;
    enum weir_task_poll last;
    int64_t left_ns; /* when its last poll ended */
    int64_t spent_ns[WEIR_CORE_PART_CNT]; /* up to then */
    int64_t pressed_ns; /* since when its polls end back-pressured, where the last one has */
    int64_t looked_ns; /* when it looked for letters last, or could have been woken by one */
    struct longest pressed;
    struct longest mail;
    struct weir_core_task_counters own;
    WEIR_ATOMIC(uint64_t) shown[CORE_TASK_COUNTER_CNT];
};

struct weir_core {
    struct weir_core_conf conf;
    struct weir_core *const *peers;
    struct weir_doorbell *doorbell;
    struct weir_mbox *mbox;
    struct core_task *tasks;
    uint32_t open_cnt;
    bool *dirty; /* by peer: published for, or made room for */
    bool any_dirty;
    pthread_t thread;
    bool started;
    sem_t ready;
    int start_err;
    char start_text[256];
    int schedstat_fd;
    /* writer: the core */
    struct weir_rng rng;
    int64_t now_ns;
    int64_t keep_ns;
    int64_t period_ns; /* when the next one begins */
    int64_t idle_since_ns;
    int64_t gap_ns;
    int64_t part_ns[WEIR_CORE_PART_CNT]; /* since the last publishing */
    int64_t delay_ns; /* as last read from the kernel */
    int64_t steal_ns; /* as last read from steal */
    WEIR_ATOMIC(int32_t) tid;
    WEIR_ATOMIC(uint32_t) at; /* 1 + the task that is being polled; 0: none is */
    WEIR_ATOMIC(uint64_t) poll_cnt;
    WEIR_ATOMIC(int64_t) shown_ns[WEIR_CORE_PART_CNT];
    WEIR_ATOMIC(int64_t) shown_gap_ns;
    WEIR_ATOMIC(int64_t) shown_at_ns;
    WEIR_ATOMIC(uint32_t) polled; /* the task in whose poll it is, or UINT32_MAX */
    /* writer: the thread that watches the host */
    WEIR_ATOMIC(int64_t) steal;
    struct weir_stack stack;
};

/* What one round over everything found. */
struct round {
    bool worked;
    bool backpressured;
    bool held; /* for the sake of a snapshot */
};

const char *
weir_core_part_name(enum weir_core_part part)
{
    static const char *const names[WEIR_CORE_PART_CNT] = {
        "busy", "backpressured", "idle", "snapshot", "stolen"};
    return part < WEIR_CORE_PART_CNT ? names[part] : "?";
}

static void *
new_lines(size_t bytes)
{
    void *mem = NULL;
    if (bytes == 0 || posix_memalign(&mem, WEIR_LINE_PAIR_BYTES, bytes) != 0) {
        return NULL;
    }
    return memset(mem, 0, bytes);
}

int
weir_core_new(const struct weir_core_conf *conf, struct weir_core **ret_core)
{
    struct weir_core *core = (struct weir_core *)new_lines(sizeof *core);
    if (core == NULL) {
        return weir_err_push(WEIR_ENOMEM, "core %u", conf->idx);
    }
    core->conf = *conf;
    core->schedstat_fd = -1;
    core->open_cnt = conf->task_cnt;
    core->tasks = (struct core_task *)calloc(conf->task_cnt + 1, sizeof *core->tasks);
    core->dirty = (bool *)calloc(conf->core_cnt, sizeof *core->dirty);
    core->mbox = (struct weir_mbox *)new_lines(weir_mbox_footprint(LETTER_SLOT_CNT));
    /* A word per peer, and the shared one behind them. */
    struct weir_doorbell *doorbell =
        (struct weir_doorbell *)new_lines(weir_doorbell_footprint(conf->core_cnt + 1));
    int err = 0;
    if (core->tasks == NULL || core->dirty == NULL || core->mbox == NULL || doorbell == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "core %u", conf->idx);
    }
    if (err == 0) {
        err = weir_mbox_init(core->mbox, LETTER_SLOT_CNT);
    }
    if (err == 0) {
        err = weir_doorbell_open(doorbell, conf->core_cnt + 1);
    }
    if (err != 0) {
        free(doorbell);
        weir_core_delete(core);
        return err;
    }
    core->doorbell = doorbell;
    for (uint32_t i = 0; i < conf->task_cnt; i++) {
        core->tasks[i].task = conf->tasks[i];
        core->tasks[i].step_cnt = STEP_CNT_START;
        core->tasks[i].last = WEIR_POLL_BUSY;
    }
    weir_rng_init(&core->rng, conf->idx);
    weir_store_rlx(&core->polled, UINT32_MAX); /* relaxed: not shared yet */
    *ret_core = core;
    return 0;
}

void
weir_core_meet(struct weir_core *core, struct weir_core *const *peers)
{
    core->peers = peers;
}

void
weir_core_delete(struct weir_core *core)
{
    if (core == NULL) {
        return;
    }
    if (core->doorbell != NULL) {
        weir_doorbell_close(core->doorbell);
    }
    free(core->doorbell);
    free(core->mbox);
    free(core->dirty);
    free(core->tasks);
    free(core);
}

/* --- waking others --- */

void
weir_core_mark(struct weir_core *core, uint32_t to)
{
    core->dirty[to] = true;
    core->any_dirty = true;
}

void
weir_core_wake(struct weir_core *core)
{
    weir_doorbell_ring_shared(core->doorbell, core->conf.core_cnt);
}

int
weir_core_post(struct weir_core *core, const struct weir_letter *letter)
{
    int rc = core->conf.letter_fn == NULL ? WEIR_ECLOSED : weir_mbox_put(core->mbox, letter);
    if (rc > 0) {
        weir_core_wake(core);
    }
    return rc;
}

void
weir_core_steal(struct weir_core *core, int64_t ns)
{
    /* relaxed, both: one writer; the figure stands for itself. */
    weir_store_rlx(&core->steal, weir_load_rlx(&core->steal) + ns);
}

static void
ring_dirty(struct weir_core *core)
{
    if (!core->any_dirty) {
        return;
    }
    core->any_dirty = false;
    for (uint32_t i = 0; i < core->conf.core_cnt; i++) {
        if (core->dirty[i]) {
            core->dirty[i] = false;
            if (i != core->conf.idx) {
                weir_doorbell_ring(core->peers[i]->doorbell, core->conf.idx);
            }
        }
    }
}

/* --- time --- */

static void
account(struct weir_core *core, enum weir_core_part part)
{
    int64_t now_ns = weir_clock_ns(core->conf.clock);
    core->part_ns[part] += now_ns - core->now_ns;
    core->now_ns = now_ns;
}

/* Time that this thread was ready to run and did not: the kernel's own account, in ns. */
static int64_t
read_delay(const struct weir_core *core)
{
    char text[96];
    long long ran = 0;
    long long waited = 0;
    ssize_t n = core->schedstat_fd >= 0 ? pread(core->schedstat_fd, text, sizeof text - 1, 0) : -1;
    if (n <= 0) {
        return core->delay_ns;
    }
    text[n] = '\0';
    return sscanf(text, "%lld %lld", &ran, &waited) == 2 ? waited : core->delay_ns;
}

/* Show the parts since the last time, less what was stolen, taken off each in proportion: nobody
 * knows in which of them the thread was when it lost the CPU. */
static void
publish_times(struct weir_core *core)
{
    int64_t delay_ns = read_delay(core);
    /* relaxed: see weir_core_steal. */
    int64_t steal_ns = weir_load_rlx(&core->steal);
    int64_t stolen_ns = delay_ns - core->delay_ns + steal_ns - core->steal_ns;
    core->delay_ns = delay_ns;
    core->steal_ns = steal_ns;
    int64_t sum_ns = 0;
    for (int p = 0; p < WEIR_CORE_PART_CNT; p++) {
        sum_ns += core->part_ns[p];
    }
    stolen_ns = weir_min_i64(weir_max_i64(stolen_ns, 0), sum_ns);
    double stolen_part = sum_ns > 0 ? (double)stolen_ns / (double)sum_ns : 0;
    int64_t taken_ns = 0;
    for (int p = 0; p < WEIR_CORE_STOLEN; p++) {
        int64_t off_ns = (int64_t)((double)core->part_ns[p] * stolen_part);
        taken_ns += off_ns;
        /* relaxed, here and below: figures for people, one writer. */
        weir_store_rlx(
            &core->shown_ns[p], weir_load_rlx(&core->shown_ns[p]) + core->part_ns[p] - off_ns);
        core->part_ns[p] = 0;
    }
    weir_store_rlx(&core->shown_ns[WEIR_CORE_STOLEN],
        weir_load_rlx(&core->shown_ns[WEIR_CORE_STOLEN]) + taken_ns);
    weir_store_rlx(&core->shown_gap_ns, core->gap_ns);
}

static const enum weir_core_part parts[] = {[WEIR_POLL_BUSY] = WEIR_CORE_BUSY,
    [WEIR_POLL_IDLE] = WEIR_CORE_IDLE,
    [WEIR_POLL_BACKPRESSURED] = WEIR_CORE_BACKPRESSURED,
    [WEIR_POLL_HELD] = WEIR_CORE_SNAPSHOT,
    [WEIR_POLL_DONE] = WEIR_CORE_BUSY};

struct weir_counter_set
weir_core_task_set(const struct weir_core *core, uint32_t idx)
{
    struct core_task *task = &core->tasks[idx];
    return (struct weir_counter_set){.rows = weir_core_task_counters_rows,
        .row_cnt = CORE_TASK_COUNTER_CNT,
        .own = &task->own.busy_ms,
        .shown = task->shown};
}

static void
note_longest(struct longest *longest, int64_t ns)
{
    longest->now_ns = weir_max_i64(longest->now_ns, ns);
}

static uint64_t
longest_ms(const struct longest *longest)
{
    int64_t ns = weir_max_i64(longest->now_ns, longest->before_ns);
    return weir_counter_real((double)ns / (double)WEIR_MS);
}

static void
end_period(struct weir_core *core)
{
    core->period_ns = core->now_ns + PERIOD_NS;
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        struct core_task *task = &core->tasks[i];
        task->pressed = (struct longest){.before_ns = task->pressed.now_ns};
        task->mail = (struct longest){.before_ns = task->mail.now_ns};
    }
}

/* The time since its last poll goes on as that ended. */
static void
publish_task(struct weir_core *core, uint32_t idx)
{
    struct core_task *task = &core->tasks[idx];
    int64_t ns[WEIR_CORE_PART_CNT];
    memcpy(ns, task->spent_ns, sizeof ns);
    ns[parts[task->last]] += task->last != WEIR_POLL_DONE ? core->now_ns - task->left_ns : 0;
    task->own.busy_ms = (uint64_t)(ns[WEIR_CORE_BUSY] / WEIR_MS);
    task->own.backpressured_ms = (uint64_t)(ns[WEIR_CORE_BACKPRESSURED] / WEIR_MS);
    task->own.idle_ms = (uint64_t)(ns[WEIR_CORE_IDLE] / WEIR_MS);
    task->own.snapshot_ms = (uint64_t)(ns[WEIR_CORE_SNAPSHOT] / WEIR_MS);
    task->own.is_backpressured = task->last == WEIR_POLL_BACKPRESSURED;
    if (task->last == WEIR_POLL_BACKPRESSURED) {
        note_longest(&task->pressed, core->now_ns - task->pressed_ns);
    }
    task->own.pressed_ms = longest_ms(&task->pressed);
    task->own.mail_ms = longest_ms(&task->mail);
    const struct weir_counter_set set = weir_core_task_set(core, idx);
    weir_counter_publish(&set);
}

static void
keep_house(struct weir_core *core)
{
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        if (core->tasks[i].last != WEIR_POLL_DONE) {
            weir_task_publish(core->tasks[i].task);
        }
        publish_task(core, i);
    }
    if (core->now_ns >= core->period_ns) {
        end_period(core);
    }
    publish_times(core);
    weir_store_rlx(&core->shown_at_ns, core->now_ns); /* relaxed: a figure for people */
    core->keep_ns = core->now_ns + KEEP_NS + (int64_t)weir_rng_below(&core->rng, (uint64_t)KEEP_NS);
}

/* --- one round --- */

static bool
take_letters(struct weir_core *core)
{
    struct weir_letter letter;
    uint32_t cnt = 0;
    while (cnt < LETTER_CNT_MAX && weir_mbox_take(core->mbox, &letter) > 0) {
        core->conf.letter_fn(core->conf.arg, &letter);
        cnt++;
    }
    return cnt > 0;
}

/* The slice that keeps a poll under WEIR_CORE_SLICE_NS, from what this one took. */
static void
size_slice(struct core_task *task, int64_t took_ns)
{
    if (took_ns > WEIR_CORE_SLICE_NS && task->step_cnt > WEIR_CORE_STEP_CNT_MIN) {
        task->step_cnt /= 2;
    } else if (took_ns < WEIR_CORE_SLICE_NS / 4 && task->step_cnt < WEIR_CORE_STEP_CNT_MAX) {
        task->step_cnt *= 2;
    }
}

/* Its polls end in another way now than before. */
static void
note_turn(struct core_task *task, enum weir_task_poll did, int64_t now_ns)
{
    if (task->last == WEIR_POLL_BACKPRESSURED) {
        note_longest(&task->pressed, now_ns - task->pressed_ns);
    } else if (did == WEIR_POLL_BACKPRESSURED) {
        task->pressed_ns = now_ns;
    }
}

static void
poll_task(struct weir_core *core, struct core_task *task, struct round *round)
{
    int64_t from_ns = core->now_ns;
    /* relaxed, both: for whoever wants to name a task that does not come back. */
    weir_store_rlx(&core->polled, (uint32_t)(task - core->tasks));
    task->spent_ns[parts[task->last]] += from_ns - task->left_ns;
    note_longest(&task->mail, from_ns - task->looked_ns);
    task->looked_ns = from_ns;
    /* relaxed, all three: a hint for who looks whether this core moves. */
    weir_store_rlx(&core->at, (uint32_t)(task - core->tasks) + 1);
    enum weir_task_poll did = weir_task_poll(task->task, task->step_cnt, from_ns);
    weir_store_rlx(&core->poll_cnt, weir_load_rlx(&core->poll_cnt) + 1);
    weir_store_rlx(&core->at, 0);
    account(core, parts[did]);
    weir_store_rlx(&core->polled, UINT32_MAX);
    task->spent_ns[parts[did]] += core->now_ns - from_ns;
    task->left_ns = core->now_ns;
    weir_task_settle(task->task, core->now_ns);
    core->gap_ns = weir_max_i64(core->gap_ns, core->now_ns - from_ns);
    /* Input may have been released in a poll that ends idle or back-pressured, too; then the answer
     * differs from the last one. */
    if (did != task->last) {
        note_turn(task, did, core->now_ns);
    }
    if (did == WEIR_POLL_BUSY || did != task->last) {
        for (uint32_t i = 0; i < core->conf.upstream_cnt; i++) {
            weir_core_mark(core, core->conf.upstream[i]);
        }
    }
    ring_dirty(core);
    if (did == WEIR_POLL_BUSY) {
        size_slice(task, core->now_ns - from_ns);
    }
    task->last = did;
    round->worked = round->worked || did == WEIR_POLL_BUSY || did == WEIR_POLL_DONE;
    round->backpressured = round->backpressured || did == WEIR_POLL_BACKPRESSURED;
    round->held = round->held || did == WEIR_POLL_HELD;
    if (did == WEIR_POLL_DONE) {
        core->open_cnt--;
    }
}

/* What a round without work was spent on. */
static enum weir_core_part
part_of(const struct round *round)
{
    return round->worked          ? WEIR_CORE_BUSY
           : round->held          ? WEIR_CORE_SNAPSHOT
           : round->backpressured ? WEIR_CORE_BACKPRESSURED
                                  : WEIR_CORE_IDLE;
}

static struct round
poll_all(struct weir_core *core)
{
    struct round round = {.worked = take_letters(core)};
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        if (core->tasks[i].last != WEIR_POLL_DONE) {
            poll_task(core, &core->tasks[i], &round);
        }
    }
    if (core->conf.io != NULL && weir_io_poll(core->conf.io, core->now_ns) > 0) {
        round.worked = true;
    }
    account(core, part_of(&round));
    if (core->now_ns >= core->keep_ns) {
        keep_house(core);
    }
    return round;
}

/* --- having nothing to do --- */

/* How long nothing is due. What is due already, and was not done in the last round, waits for
 * something else. */
static int64_t
until_due_ns(const struct weir_core *core)
{
    int64_t due_ns = INT64_MAX;
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        if (core->tasks[i].last != WEIR_POLL_DONE) {
            due_ns = weir_min_i64(due_ns, weir_task_due_ns(core->tasks[i].task));
        }
    }
    return due_ns > core->now_ns ? weir_sub_sat(due_ns, core->now_ns) : SLEEP_NS_BACKPRESSURED;
}

static void
sleep_once(struct weir_core *core, const struct round *round)
{
    weir_doorbell_listen(core->doorbell);
    struct round again = poll_all(core);
    if (again.worked || core->open_cnt == 0 || !weir_doorbell_park_begin(core->doorbell)) {
        return;
    }
    bool is_short = round->backpressured || again.backpressured || again.held;
    int64_t timeout_ns = is_short                ? SLEEP_NS_BACKPRESSURED
                         : core->conf.has_source ? SLEEP_NS_SOURCE
                                                 : SLEEP_NS_MAX;
    timeout_ns = weir_min_i64(timeout_ns, until_due_ns(core));
    if (core->conf.io != NULL) {
        weir_io_wait(core->conf.io, timeout_ns, weir_doorbell_fd(core->doorbell));
    } else {
        (void)!weir_doorbell_wait(core->doorbell, timeout_ns); /* an error wakes: it polls again */
    }
    weir_doorbell_park_end(core->doorbell);
    account(core, part_of(&again));
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        core->tasks[i].looked_ns = core->now_ns; /* a letter would have ended the sleep */
    }
}

static void
rest(struct weir_core *core, const struct round *round)
{
    if (core->idle_since_ns == 0) {
        core->idle_since_ns = core->now_ns;
    }
    int64_t idle_ns = core->now_ns - core->idle_since_ns;
    if (core->conf.idle == WEIR_PLAN_IDLE_SPIN) {
        weir_spin_hint();
        return;
    }
    if (core->conf.idle == WEIR_PLAN_IDLE_SLEEP || idle_ns >= YIELD_NS) {
        sleep_once(core, round);
        return;
    }
    if (idle_ns < SPIN_NS) {
        return;
    }
    for (int i = 0; i < PAUSE_CNT && idle_ns < PAUSE_NS; i++) {
        weir_spin_hint();
    }
    if (idle_ns >= PAUSE_NS) {
        (void)sched_yield();
    }
    account(core, part_of(round));
}

/* --- the thread --- */

static int
pin(const struct weir_core *core)
{
    if (core->conf.cpu < 0) {
        return 0;
    }
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)core->conf.cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
        return weir_err_push(WEIR_EPLAN, "pin a thread to CPU %d: %s; limited by the cpuset",
            core->conf.cpu, strerror(errno));
    }
    return 0;
}

static int
begin(struct weir_core *core)
{
    char name[WEIR_CORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "weir-core-%u", core->conf.idx);
    (void)pthread_setname_np(pthread_self(), name);
    int err = pin(core);
    if (err == 0 && core->conf.io != NULL) {
        err = weir_io_start(core->conf.io);
    }
    core->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    core->delay_ns = read_delay(core);
    core->now_ns = weir_clock_ns(core->conf.clock);
    core->keep_ns = core->now_ns + KEEP_NS;
    core->period_ns = core->now_ns + PERIOD_NS;
    weir_store_rlx(&core->shown_at_ns, core->now_ns); /* relaxed: a figure for people */
    for (uint32_t i = 0; i < core->conf.task_cnt; i++) {
        core->tasks[i].left_ns = core->now_ns;
        core->tasks[i].looked_ns = core->now_ns;
    }
    return err;
}

static void
run(struct weir_core *core)
{
    /* The first poll opens a task: those at the tail first, so that none emits into the
     * unopened. */
    struct round first = {0};
    for (uint32_t i = core->conf.task_cnt; i-- > 0;) {
        poll_task(core, &core->tasks[i], &first);
    }
    while (core->open_cnt > 0) {
        struct round round = poll_all(core);
        if (round.worked) {
            core->idle_since_ns = 0;
        } else if (core->open_cnt > 0) {
            rest(core, &round);
        }
    }
    keep_house(core);
}

static void *
thread_main(void *arg)
{
    struct weir_core *core = (struct weir_core *)arg;
    core->start_err = begin(core);
    if (core->start_err != 0) {
        weir_err_save(core->start_text, sizeof core->start_text);
        weir_err_clear();
    }
    weir_store_rlx(&core->tid, (int32_t)gettid()); /* relaxed: the semaphore orders it */
    (void)sem_post(&core->ready);
    if (core->start_err == 0) {
        run(core);
        weir_store_rlx(&core->tid, 0); /* relaxed: a hint that the number is stale */
        if (core->conf.left_fn != NULL) {
            core->conf.left_fn(core->conf.arg);
        }
    }
    if (core->schedstat_fd >= 0) {
        (void)close(core->schedstat_fd);
    }
    return NULL;
}

int
weir_core_start(struct weir_core *core)
{
    WEIR_CHECK(core->peers != NULL, "core %u has not met its peers", core->conf.idx);
    pthread_attr_t attr;
    sigset_t all;
    (void)sigfillset(&all);
    /* Blocked, that of a mapped page which is gone would end the process without a word. */
    (void)sigdelset(&all, SIGBUS);
    (void)sigdelset(&all, weir_stack_signal());
    if (pthread_attr_init(&attr) != 0 || sem_init(&core->ready, 0, 0) != 0) {
        return weir_err_push(WEIR_ENOMEM, "the thread of core %u", core->conf.idx);
    }
    (void)pthread_attr_setsigmask_np(&attr, &all);
    int errnum = pthread_create(&core->thread, &attr, thread_main, core);
    (void)pthread_attr_destroy(&attr);
    if (errnum != 0) {
        (void)sem_destroy(&core->ready);
        return weir_err_errno(errnum, "start the thread of core %u", core->conf.idx);
    }
    while (sem_wait(&core->ready) != 0) {
    }
    core->started = true;
    if (core->start_err != 0) {
        weir_core_join(core);
        return weir_err_push(core->start_err, "core %u: %s", core->conf.idx, core->start_text);
    }
    return 0;
}

void
weir_core_join(struct weir_core *core)
{
    if (core != NULL && core->started) {
        (void)pthread_join(core->thread, NULL);
        (void)sem_destroy(&core->ready);
        core->started = false;
    }
}

/* --- looking --- */

void
weir_core_times(const struct weir_core *core, struct weir_core_times *ret_times)
{
    for (int p = 0; p < WEIR_CORE_PART_CNT; p++) {
        ret_times->ns[p] = weir_load_rlx(&core->shown_ns[p]); /* relaxed: figures for people */
    }
}

int64_t
weir_core_poll_gap_ns(const struct weir_core *core)
{
    return weir_load_rlx(&core->shown_gap_ns); /* relaxed: a figure for people */
}

int64_t
weir_core_shown_ns(const struct weir_core *core)
{
    return weir_load_rlx(&core->shown_at_ns); /* relaxed: a figure for people */
}

uint32_t
weir_core_polled(const struct weir_core *core)
{
    return weir_load_rlx(&core->polled); /* relaxed: likewise */
}

struct weir_task *
weir_core_at(const struct weir_core *core, uint64_t *ret_poll_cnt)
{
    /* relaxed, both: see poll_task. */
    uint32_t at = weir_load_rlx(&core->at);
    *ret_poll_cnt = weir_load_rlx(&core->poll_cnt);
    return at != 0 ? core->tasks[at - 1].task : NULL;
}

const struct weir_stack *
weir_core_ask(struct weir_core *core)
{
    (void)!weir_stack_ask(&core->stack, core->thread); /* refused: it is not there */
    return &core->stack;
}

pid_t
weir_core_tid(const struct weir_core *core)
{
    return (pid_t)weir_load_rlx(&core->tid); /* relaxed: set before start returns */
}

int
weir_core_cpu(const struct weir_core *core)
{
    return core->conf.cpu;
}
