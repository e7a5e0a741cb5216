/* SPDX-License-Identifier: Apache-2.0 */
/* Random messages to a coordinator, and a ledger of what it says: ids grow, no more are pending
 * than allowed, each ends once, what is stored consists of the frozen tasks and attempts, nobody is
 * told before it is stored, every request is answered once, and after a halt there is silence. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "sched/checkpoint_request.h"
#include "sched/coordinator.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

enum {
    TASK_MAX = 6,
    CHANNEL_MAX = TASK_MAX * TASK_MAX,
    STEP_CNT = 600,
    ID_MAX = STEP_CNT * 4, /* a step starts a few at most */
    SEED_CNT = 1500,
};

enum fate { FATE_NONE, FATE_PENDING, FATE_STORING, FATE_ABORTED, FATE_STORED, FATE_COMMITTED };

struct record {
    enum fate fate;
    struct weir_checkpoint_request request;
    struct weir_coordinator_member member[TASK_MAX];
    bool is_acked[TASK_MAX];
    bool is_bad; /* an ack with a wrong count was taken */
    bool is_dropped;
    bool is_notified;
};

static struct {
    struct weir_rng rng;
    struct weir_coordinator *coordinator;
    struct weir_coordinator_conf conf;
    struct weir_ledger_channel channel[CHANNEL_MAX];
    bool commits[TASK_MAX];
    uint64_t attempt[TASK_MAX];
    enum weir_coordinator_task_state task[TASK_MAX];
    uint64_t committed[TASK_MAX];
    struct record record[ID_MAX];
    uint64_t id_last;
    uint64_t notified_id;
    uint64_t said_committed_id;
    uint64_t storing_id; /* 0: none */
    uint32_t answered[STEP_CNT + 1]; /* of each ticket */
    uint64_t ticket_last;
    uint64_t failed_cnt;
    bool is_on;
    bool is_halted;
    int64_t now_ns;
} world;

/* How often things happened, over all seeds: a test that never gets there proves nothing. */
static struct {
    uint64_t stored;
    uint64_t aborted;
    uint64_t failed;
    uint64_t halted;
    uint64_t committed;
    uint64_t stopped;
    uint64_t after_finish;
    uint64_t ledger;
} seen;

static uint64_t seed_now;

/* Also after a failure: WEIR_SEED=n begins with that one. */
static int
print_seed(void **state)
{
    (void)state;
    printf("last seed %llu\n", (unsigned long long)seed_now);
    return 0;
}

static struct record *
record_of(uint64_t id)
{
    assert_true(id > world.conf.id_last && id - world.conf.id_last < ID_MAX);
    return &world.record[id - world.conf.id_last];
}

static uint32_t
pending_cnt(bool with_savepoints)
{
    uint32_t cnt = 0;
    for (uint64_t id = world.conf.id_last + 1; id <= world.id_last; id++) {
        const struct record *record = record_of(id);
        bool is_pending = record->fate == FATE_PENDING || record->fate == FATE_STORING;
        bool is_savepoint = record->request.kind == WEIR_CHECKPOINT_KIND_SAVEPOINT;
        cnt += is_pending && (with_savepoints || !is_savepoint) ? 1 : 0;
    }
    return cnt;
}

static void
on_trigger(const struct weir_coordinator_out *out)
{
    assert_true(out->id > world.id_last);
    assert_true(world.is_on);
    world.id_last = out->id;
    struct record *record = record_of(out->id);
    assert_int_equal(record->fate, FATE_NONE);
    record->fate = FATE_PENDING;
    record->request = out->request;
    assert_int_equal(out->triggered_ns, world.now_ns);
    for (uint32_t i = 0; i < world.conf.task_cnt; i++) {
        record->member[i] = out->member[i];
        assert_int_equal(out->member[i].attempt, world.attempt[i]);
        bool is_finished = world.task[i] == WEIR_COORDINATOR_TASK_FINISHED;
        assert_true(is_finished || world.task[i] == WEIR_COORDINATOR_TASK_RUNNING);
        assert_int_equal((out->member[i].part & WEIR_MEMBER_FINISHED) != 0, is_finished);
        assert_int_equal((out->member[i].part & WEIR_MEMBER_ACK) != 0, !is_finished);
        bool is_first = !is_finished;
        for (uint32_t c = 0; c < world.conf.channel_cnt; c++) {
            uint32_t from = world.channel[c].from_task;
            is_first = is_first && (world.channel[c].to_task != i ||
                                       world.task[from] == WEIR_COORDINATOR_TASK_FINISHED);
        }
        assert_int_equal((out->member[i].part & WEIR_MEMBER_TRIGGER) != 0, is_first);
        seen.after_finish += is_finished ? 1 : 0;
    }
    uint32_t more = world.conf.is_savepoint_queued ? 0 : WEIR_COORDINATOR_SAVEPOINT_CNT_MAX;
    assert_true(pending_cnt(true) <= world.conf.concurrent_max + more);
    assert_true(pending_cnt(false) <= world.conf.concurrent_max);
}

static void
on_store(const struct weir_coordinator_out *out)
{
    struct record *record = record_of(out->id);
    assert_int_equal(record->fate, FATE_PENDING);
    assert_int_equal(world.storing_id, 0);
    assert_false(record->is_bad);
    for (uint32_t i = 0; i < world.conf.task_cnt; i++) {
        bool is_needed = (record->member[i].part & WEIR_MEMBER_ACK) != 0;
        assert_int_equal(record->is_acked[i], is_needed);
        assert_int_equal((out->member[i].part & WEIR_MEMBER_ACKED) != 0, is_needed);
        assert_int_equal(out->member[i].attempt, record->member[i].attempt);
    }
    record->fate = FATE_STORING;
    world.storing_id = out->id;
}

static void
on_committed(uint64_t id)
{
    struct record *record = record_of(id);
    assert_true(record->fate == FATE_STORED && record->is_notified);
    assert_true(id > world.said_committed_id);
    for (uint32_t i = 0; i < world.conf.task_cnt; i++) {
        bool is_needed = world.commits[i] && (record->member[i].part & WEIR_MEMBER_ACK) != 0;
        assert_true(!is_needed || world.committed[i] >= id);
    }
    record->fate = FATE_COMMITTED;
    world.said_committed_id = id;
    seen.committed++;
}

static void
on_out(const struct weir_coordinator_out *out)
{
    assert_false(world.is_halted);
    switch (out->kind) {
    case WEIR_COORDINATOR_TRIGGER:
        on_trigger(out);
        break;
    case WEIR_COORDINATOR_ABORT:
        assert_int_equal(record_of(out->id)->fate, FATE_PENDING);
        record_of(out->id)->fate = FATE_ABORTED;
        seen.aborted++;
        break;
    case WEIR_COORDINATOR_STORE:
        on_store(out);
        break;
    case WEIR_COORDINATOR_NOTIFY:
        assert_int_equal(record_of(out->id)->fate, FATE_STORED);
        assert_false(record_of(out->id)->is_notified);
        assert_true(weir_checkpoint_on_timeline(&record_of(out->id)->request));
        assert_true(out->id > world.notified_id);
        world.notified_id = out->id;
        record_of(out->id)->is_notified = true;
        break;
    case WEIR_COORDINATOR_DROP:
        assert_int_equal(record_of(out->id)->fate, FATE_ABORTED);
        assert_false(record_of(out->id)->is_dropped);
        record_of(out->id)->is_dropped = true;
        break;
    case WEIR_COORDINATOR_COMPLETED:
        assert_true(record_of(out->id)->is_notified);
        break;
    case WEIR_COORDINATOR_COMMITTED:
        on_committed(out->id);
        break;
    case WEIR_COORDINATOR_ANSWER:
        if (!out->request.is_periodic) {
            assert_int_equal(world.answered[out->request.ticket]++, 0);
        }
        seen.stopped += out->request.stop != WEIR_CHECKPOINT_GO_ON && out->id != 0 &&
                                out->reason == WEIR_CHECKPOINT_NONE
                            ? 1
                            : 0;
        break;
    case WEIR_COORDINATOR_FAIL:
        assert_non_null(out->text);
        world.failed_cnt++;
        world.is_on = false;
        seen.failed++;
        seen.ledger += out->reason == WEIR_CHECKPOINT_LEDGER ? 1 : 0;
        break;
    case WEIR_COORDINATOR_HALT:
        world.is_halted = true;
        seen.halted++;
        break;
    }
}

static void
take(void)
{
    struct weir_coordinator_out out;
    while (weir_coordinator_poll(world.coordinator, &out)) {
        on_out(&out);
    }
    assert_true(weir_coordinator_queue_cnt(world.coordinator) <= world.conf.queue_max);
    if (!world.is_halted) {
        assert_int_equal(weir_coordinator_pending_cnt(world.coordinator), pending_cnt(true));
        assert_int_equal(weir_coordinator_is_settled(world.coordinator), world.storing_id == 0);
    }
}

/* The sides of a task: a channel always has the same count, so any cut adds up. */
static uint32_t
entries_of(uint32_t task, struct weir_ledger_entry *entry)
{
    uint32_t cnt = 0;
    for (uint32_t c = 0; c < world.conf.channel_cnt; c++) {
        struct weir_ledger_sum total = {100 + c, 7 * c};
        if (world.channel[c].from_task == task) {
            entry[cnt++] = (struct weir_ledger_entry){c, WEIR_LEDGER_OUT, total, {0, 0}};
        }
        if (world.channel[c].to_task == task) {
            entry[cnt++] = (struct weir_ledger_entry){c, WEIR_LEDGER_IN, total, {0, 0}};
        }
    }
    return cnt;
}

static void
tell_task(uint32_t task, enum weir_coordinator_task_state state)
{
    struct weir_ledger_entry entry[2 * CHANNEL_MAX];
    struct weir_coordinator_task message = {
        .task = task, .attempt = world.attempt[task], .state = state, .entry = entry};
    message.entry_cnt = entries_of(task, entry);
    world.task[task] = state;
    bool is_taken = weir_coordinator_task(world.coordinator, &message, world.now_ns);
    assert_int_equal(is_taken, !world.is_halted);
    take();
}

static void
start_all(void)
{
    for (uint32_t i = 0; i < world.conf.task_cnt; i++) {
        world.attempt[i]++;
        tell_task(i, WEIR_COORDINATOR_TASK_STARTING);
    }
    for (uint32_t i = 0; i < world.conf.task_cnt; i++) {
        tell_task(i, WEIR_COORDINATOR_TASK_RUNNING);
    }
    weir_coordinator_start(world.coordinator, world.now_ns);
    world.is_on = true;
    take();
}

/* An id that may still be of interest. */
static uint64_t
draw_id(void)
{
    uint64_t given_cnt = world.id_last - world.conf.id_last;
    uint64_t back = weir_rng_below(&world.rng, given_cnt < 6 ? given_cnt + 1 : 6);
    return world.id_last - back;
}

static void
send_ack(uint64_t id, uint32_t task)
{
    struct weir_ledger_entry entry[2 * CHANNEL_MAX];
    struct weir_coordinator_ack ack = {.id = id, .task = task, .entry = entry};
    struct record *record = id > world.conf.id_last ? record_of(id) : NULL;
    bool is_foreign = weir_rng_chance(&world.rng, 1, 40);
    ack.job = world.conf.job + (is_foreign ? 1 : 0);
    ack.epoch = world.conf.epoch;
    ack.attempt = world.attempt[task] - (weir_rng_chance(&world.rng, 1, 40) ? 1 : 0);
    ack.entry_cnt = entries_of(task, entry);
    bool is_bad = ack.entry_cnt > 0 && weir_rng_chance(&world.rng, 1, 150);
    /* Two tasks that are wrong by as much would agree. */
    entry[0].total.row_cnt -= is_bad ? 1 + task : 0;
    bool is_wanted = !world.is_halted && !is_foreign && record != NULL &&
                     record->fate == FATE_PENDING && !record->is_acked[task] &&
                     (record->member[task].part & WEIR_MEMBER_ACK) != 0 &&
                     record->member[task].attempt == ack.attempt;
    if (is_wanted) {
        record->is_acked[task] = true;
        record->is_bad = record->is_bad || is_bad;
    }
    bool is_stored = record != NULL && record->fate >= FATE_STORED;
    enum weir_coordinator_verdict verdict =
        weir_coordinator_ack(world.coordinator, &ack, world.now_ns);
    assert_int_equal(verdict == WEIR_COORDINATOR_TAKEN, is_wanted);
    if (world.is_halted || is_foreign) {
        assert_int_equal(verdict, WEIR_COORDINATOR_LEAVE);
    }
    if (is_stored && ack.attempt == record->member[task].attempt &&
        (record->member[task].part & WEIR_MEMBER_ACK) != 0) {
        assert_int_not_equal(verdict, WEIR_COORDINATOR_DISCARD);
    }
    take();
}

static void
answer_store(uint64_t id)
{
    bool is_due = id == world.storing_id && id != 0 && !world.is_halted;
    uint64_t drawn = weir_rng_below(&world.rng, 100);
    bool is_taken;
    if (is_due) {
        record_of(id)->fate = drawn < 85 ? FATE_STORED : FATE_PENDING;
        world.storing_id = 0;
    }
    if (drawn < 85) {
        seen.stored += is_due ? 1 : 0;
        is_taken = weir_coordinator_stored(world.coordinator, id, world.now_ns);
    } else {
        enum weir_coordinator_store_outcome outcome = drawn < 98   ? WEIR_COORDINATOR_STORE_FAILED
                                                      : drawn < 99 ? WEIR_COORDINATOR_STORE_UNKNOWN
                                                                   : WEIR_COORDINATOR_STORE_FENCED;
        is_taken = weir_coordinator_store_failed(world.coordinator, id, outcome, world.now_ns);
    }
    assert_int_equal(is_taken, is_due);
    take();
}

static void
send_request(void)
{
    struct weir_checkpoint_request request = {.ticket = ++world.ticket_last};
    request.kind = weir_rng_chance(&world.rng, 1, 3) ? WEIR_CHECKPOINT_KIND_SAVEPOINT
                                                     : WEIR_CHECKPOINT_KIND_CHECKPOINT;
    if (weir_rng_chance(&world.rng, 1, 25)) {
        request.stop =
            weir_rng_chance(&world.rng, 1, 2) ? WEIR_CHECKPOINT_SUSPEND : WEIR_CHECKPOINT_DRAIN;
    }
    weir_coordinator_request(world.coordinator, &request, world.now_ns);
    take();
}

static void
send_decline(uint64_t id, uint32_t task)
{
    static const enum weir_checkpoint_reason reasons[] = {WEIR_CHECKPOINT_DECLINED,
        WEIR_CHECKPOINT_ASYNC, WEIR_CHECKPOINT_IO, WEIR_CHECKPOINT_TASK_NOT_READY};
    struct weir_coordinator_decline decline = {.job = world.conf.job,
        .epoch = world.conf.epoch,
        .id = id,
        .attempt = world.attempt[task],
        .task = task,
        .reason = reasons[weir_rng_below(&world.rng, WEIR_ARRAY_CNT(reasons))]};
    (void)weir_coordinator_decline(world.coordinator, &decline, world.now_ns);
    take();
}

static void
commit_some(uint32_t task)
{
    if (world.commits[task] && world.notified_id > world.committed[task]) {
        uint64_t gap = world.notified_id - world.committed[task];
        world.committed[task] += 1 + weir_rng_below(&world.rng, gap);
        weir_coordinator_committed(world.coordinator, task, world.committed[task], world.now_ns);
        take();
    }
}

/* It finishes once its producers have, as tasks do. */
static void
finish(uint32_t task)
{
    bool may = world.task[task] == WEIR_COORDINATOR_TASK_RUNNING && !world.is_halted;
    for (uint32_t c = 0; c < world.conf.channel_cnt; c++) {
        may = may && (world.channel[c].to_task != task ||
                         world.task[world.channel[c].from_task] == WEIR_COORDINATOR_TASK_FINISHED);
    }
    if (may) {
        tell_task(task, WEIR_COORDINATOR_TASK_FINISHED);
    }
}

static void
step(void)
{
    uint32_t task = (uint32_t)weir_rng_below(&world.rng, world.conf.task_cnt);
    uint64_t drawn = weir_rng_below(&world.rng, 1000);
    world.now_ns += (int64_t)weir_rng_below(&world.rng, 20);
    if (drawn < 520) {
        send_ack(draw_id(), task);
    } else if (drawn < 680) {
        answer_store(weir_rng_chance(&world.rng, 9, 10) ? world.storing_id : draw_id());
    } else if (drawn < 800) {
        weir_coordinator_tick(world.coordinator, world.now_ns);
        take();
    } else if (drawn < 880) {
        send_request();
    } else if (drawn < 960) {
        commit_some(task);
    } else if (drawn < 975) {
        send_decline(draw_id(), task);
    } else if (drawn < 980) {
        finish(task);
    } else if (drawn < 984 && !world.is_halted) {
        world.attempt[task]++;
        tell_task(task, WEIR_COORDINATOR_TASK_RUNNING);
    } else if (drawn < 988) {
        weir_coordinator_suspend(world.coordinator, world.now_ns);
        world.is_on = false;
        take();
    } else if (drawn < 991) {
        weir_coordinator_await_last(world.coordinator, weir_rng_chance(&world.rng, 2, 3));
        take();
    }
    if (!world.is_on && !world.is_halted && world.storing_id == 0 &&
        weir_rng_chance(&world.rng, 1, 5)) {
        start_all();
    }
}

static void
build(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    weir_rng_init(&world.rng, seed);
    uint32_t task_cnt = 1 + (uint32_t)weir_rng_below(&world.rng, TASK_MAX);
    uint32_t channel_cnt = 0;
    for (uint32_t to = 1; to < task_cnt; to++) {
        for (uint32_t from = 0; from < to; from++) {
            if (weir_rng_chance(&world.rng, 1, 2)) {
                world.channel[channel_cnt++] = (struct weir_ledger_channel){from, to, "a channel"};
            }
        }
        world.commits[to] = weir_rng_chance(&world.rng, 1, 3);
    }
    world.conf = (struct weir_coordinator_conf){
        .job = seed,
        .epoch = 1 + weir_rng_below(&world.rng, 5),
        .id_last = weir_rng_below(&world.rng, 100),
        .interval_ns = (int64_t)weir_rng_below(&world.rng, 3) * 50,
        .pause_ns = (int64_t)weir_rng_below(&world.rng, 3) * 40,
        .timeout_ns = 100 + (int64_t)weir_rng_below(&world.rng, 1000),
        .tolerable = weir_rng_chance(&world.rng, 1, 2) ? UINT64_MAX : weir_rng_below(&world.rng, 4),
        .concurrent_max = 1 + (uint32_t)weir_rng_below(&world.rng, 5),
        .queue_max = 1 + (uint32_t)weir_rng_below(&world.rng, 6),
        .is_after_finish = weir_rng_chance(&world.rng, 3, 4),
        .is_savepoint_queued = weir_rng_chance(&world.rng, 1, 2),
        .task_cnt = task_cnt,
        .task_commits = world.commits,
        .channel_cnt = channel_cnt,
        .channel = world.channel,
    };
    world.id_last = world.conf.id_last;
    world.notified_id = world.conf.id_last;
    world.said_committed_id = world.conf.id_last;
    assert_int_equal(weir_coordinator_new(&world.conf, &world.coordinator), 0);
    start_all();
}

/* Everything comes to its end, once. */
static void
settle(void)
{
    while (world.storing_id != 0 && !world.is_halted) {
        answer_store(world.storing_id);
    }
    weir_coordinator_suspend(world.coordinator, world.now_ns);
    world.is_on = false;
    take();
    for (uint32_t i = 0; i < world.conf.task_cnt && !world.is_halted; i++) {
        world.committed[i] = world.notified_id;
        weir_coordinator_committed(world.coordinator, i, world.notified_id, world.now_ns);
        take();
    }
    assert_int_equal(weir_coordinator_due_ns(world.coordinator), WEIR_COORDINATOR_NEVER);
    for (uint64_t id = world.conf.id_last + 1; !world.is_halted && id <= world.id_last; id++) {
        const struct record *record = record_of(id);
        bool is_timeline = weir_checkpoint_on_timeline(&record->request);
        assert_true(record->fate == FATE_ABORTED ||
                    record->fate == (is_timeline ? FATE_COMMITTED : FATE_STORED));
        assert_int_equal(record->is_dropped, record->fate == FATE_ABORTED);
        assert_int_equal(record->is_notified, record->fate == FATE_COMMITTED);
    }
    for (uint64_t ticket = 1; !world.is_halted && ticket <= world.ticket_last; ticket++) {
        assert_int_equal(world.answered[ticket], 1);
    }
    assert_int_equal(weir_coordinator_id_last(world.coordinator), world.id_last);
    weir_coordinator_close(world.coordinator);
}

static void
t_C1_C2_random_messages_keep_the_order(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint64_t i = 0; i < SEED_CNT; i++) {
        seed_now = seed + i;
        build(seed + i);
        for (uint32_t n = 0; n < STEP_CNT; n++) {
            step();
        }
        settle();
    }
    printf("stored %llu aborted %llu committed %llu failed %llu (ledger %llu) stopped %llu halted "
           "%llu finished members %llu\n",
        (unsigned long long)seen.stored, (unsigned long long)seen.aborted,
        (unsigned long long)seen.committed, (unsigned long long)seen.failed,
        (unsigned long long)seen.ledger, (unsigned long long)seen.stopped,
        (unsigned long long)seen.halted, (unsigned long long)seen.after_finish);
    assert_true(seen.stored > 1000 && seen.aborted > 1000 && seen.committed > 1000);
    assert_true(seen.failed > 100 && seen.ledger > 20 && seen.stopped > 20);
    assert_true(seen.halted > 20 && seen.after_finish > 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(t_C1_C2_random_messages_keep_the_order, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
