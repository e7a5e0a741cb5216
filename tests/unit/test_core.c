/* SPDX-License-Identifier: Apache-2.0 */
/* Cores, the seeded poller and the watch, with real jobs over real rings. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/cgroup.h"
#include "dataplane/operators/discard.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "sched/poller.h"
#include "sched/departure.h"
#include "tests/unit/test.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)

/* --- a source of the numbers below a limit; it may wait, fail, or never end
 * -------------------- */

struct count_conf {
    int64_t limit;
    int64_t wait_ns; /* of the run's clock between two batches */
    int64_t fail_at; /* 0: never */
};

struct count_self {
    int64_t next;
    int64_t due_ns;
};

static int
count_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct count_self *self = (struct count_self *)op->self;
    const struct count_conf *conf = (const struct count_conf *)op->conf;
    if (now_ns < self->due_ns) {
        return WEIR_WAIT;
    }
    if (conf->fail_at > 0 && self->next >= conf->fail_at) {
        return weir_err_push(WEIR_EDATA, "number %lld", (long long)self->next);
    }
    while (self->next < conf->limit && weir_out_room(out, 1, 0)) {
        number_emit(out)->n = self->next;
        self->next++;
    }
    self->due_ns = now_ns + conf->wait_ns;
    return self->next == conf->limit ? WEIR_DONE : WEIR_AGAIN;
}

static const struct weir_operator_type count_type = {
    .name = "count", .self_bytes = sizeof(struct count_self), .output_cnt = 1, .poll = count_poll};

/* --- a sink that takes nothing until it is let go
 * -------------------- */

struct held_conf {
    WEIR_ATOMIC(uint32_t) * is_free;
};

static int64_t
held_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    const struct held_conf *conf = (const struct held_conf *)op->conf;
    (void)input;
    (void)out;
    (void)now_ns;
    return weir_load_rlx(conf->is_free) != 0 ? in->cnt - cursor : 0;
}

static const struct weir_operator_type held_type = {
    .name = "held", .input_cnt = 1, .process = held_process};

/* --- a job of two vertices: count -> (by n) -> discard
 * ----------------------------------------- */

struct run {
    struct count_conf count;
    uint32_t parallelism; /* of the sink; the source has one subtask */
    enum weir_plan_cut cut;
    enum weir_plan_idle idle;
    bool threads;
    uint64_t seed;
    uint32_t ring_slot_cnt;
    uint32_t buffer_bytes;
    const struct held_conf *held; /* a held sink; NULL: discard */
    /* out */
    struct weir_discard_result results[4];
    uint64_t rows;
    uint64_t checksum;
    int err;
};

struct live {
    struct weir_env *env;
    struct weir_topo *topo;
    struct weir_plan *plan;
    struct weir_job *job;
};

static void
open_live(struct run *run, struct live *live)
{
    const struct weir_discard_conf discard = {.results = run->results};
    struct weir_cgroup cgroup;
    memset(live, 0, sizeof *live);
    assert_int_equal(weir_env_new("numbers", &live->env), 0);
    struct weir_stream *s = weir_source(
        live->env, "count", number_schema(), &count_type, &run->count, sizeof run->count);
    s = weir_key_by(weir_parallelism(s, 1), WEIR_KEY(number, n));
    s = run->held != NULL ? weir_sink(s, "out", &held_type, run->held, sizeof *run->held)
                          : weir_sink(s, "out", &weir_discard_type, &discard, sizeof discard);
    (void)weir_parallelism(s, run->parallelism);
    assert_int_equal(weir_env_check(live->env), 0);
    assert_int_equal(weir_topo_open_live(&live->topo), 0);
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    const struct weir_plan_host host = {
        .topo = live->topo, .effective = cgroup.cpus, .budget_bytes = 64 * WEIR_MIB};
    const struct weir_plan_options options = {.cut = run->cut,
        .idle = run->idle,
        .ring_slot_cnt = run->ring_slot_cnt,
        .buffer_bytes = run->buffer_bytes};
    assert_int_equal(
        weir_plan_make(weir_job_plan_graph(live->env), &host, &options, &live->plan), 0);
    const struct weir_job_options job_options = {
        .poller = run->threads ? WEIR_JOB_THREADS : WEIR_JOB_SEEDED,
        .seed = run->seed,
        .batch_rows = 256,
        .small_pages = true,
    };
    assert_int_equal(weir_job_new(live->env, live->plan, &job_options, &live->job), 0);
}

static void
close_live(struct live *live)
{
    weir_job_delete(live->job);
    weir_plan_close(live->plan);
    weir_topo_close(live->topo);
    weir_env_delete(live->env);
}

static void
run_job(struct run *run)
{
    struct live live;
    open_live(run, &live);
    run->err = weir_job_run(live.job);
    close_live(&live);
    run->rows = 0;
    run->checksum = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(run->results); i++) {
        run->rows += run->results[i].rows;
        run->checksum += run->results[i].checksum;
    }
}

static void
expect_same(const struct run *wanted, struct run *run)
{
    run_job(run);
    assert_int_equal(run->err, 0);
    assert_int_equal(run->rows, wanted->rows);
    assert_int_equal(run->checksum, wanted->checksum);
}

static void
t_threads_and_seeds_give_the_same_rows(void **state)
{
    (void)state;
    const struct count_conf count = {.limit = 100000};
    struct run one = {.count = count, .parallelism = 1, .seed = 1};
    run_job(&one);
    assert_int_equal(one.err, 0);
    assert_int_equal(one.rows, 100000);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct run seeded = {.count = count,
            .parallelism = 1 + (uint32_t)(seed % 3),
            .cut = WEIR_PLAN_CUT_ALL,
            .seed = seed,
            .ring_slot_cnt = seed % 2 == 0 ? 8 : 64};
        expect_same(&one, &seeded);
    }
    for (enum weir_plan_idle idle = WEIR_PLAN_IDLE_SLEEP; idle <= WEIR_PLAN_IDLE_SPIN; idle++) {
        for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
            struct run threads = {.count = count,
                .parallelism = parallelism,
                .cut = WEIR_PLAN_CUT_ALL,
                .idle = idle,
                .threads = true,
                .ring_slot_cnt = 8,
                .buffer_bytes = 4096};
            expect_same(&one, &threads);
        }
    }
}

static void
t_a_failing_task_ends_the_job_with_its_cause(void **state)
{
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        struct run run = {.count = {.limit = 100000, .fail_at = 5000},
            .parallelism = 2,
            .threads = threads == 1,
            .seed = 7};
        weir_err_clear();
        run_job(&run);
        assert_int_equal(run.err, WEIR_EDATA);
        char text[1024];
        weir_err_save(text, sizeof text);
        assert_non_null(strstr(text, "task count"));
        assert_non_null(strstr(text, "number "));
        weir_err_clear();
    }
}

/* --- from another thread --- */

static void *
cancel_when_running(void *arg)
{
    struct live *live = (struct live *)arg;
    for (uint32_t s = 0; s < weir_job_task_cnt(live->job); s++) {
        while (weir_task_state(weir_job_task(live->job, s)) < WEIR_TASK_RUNNING) {
            (void)sched_yield();
        }
    }
    weir_job_request(live->job, WEIR_TASK_REQUEST_CANCEL);
    return NULL;
}

/* The source waits for ever, the sinks sleep: only the request can end this. */
static void
t_a_request_wakes_cores_that_sleep(void **state)
{
    (void)state;
    for (enum weir_plan_idle idle = WEIR_PLAN_IDLE_SLEEP; idle <= WEIR_PLAN_IDLE_SPIN; idle++) {
        struct run run = {.count = {.limit = INT64_MAX, .wait_ns = 1000 * WEIR_SEC_NS},
            .parallelism = 2,
            .idle = idle,
            .threads = true};
        struct live live;
        pthread_t other;
        open_live(&run, &live);
        assert_int_equal(pthread_create(&other, NULL, cancel_when_running, &live), 0);
        assert_int_equal(weir_job_run(live.job), WEIR_ECANCELED);
        (void)pthread_join(other, NULL);
        close_live(&live);
        weir_err_clear();
    }
}

/* However late the last task is opened: what was read before counts in its time, too. */
static void
t_wall_time_holds_all_that_sources_did(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct run run = {
            .count = {.limit = 100}, .parallelism = 4, .cut = WEIR_PLAN_CUT_ALL, .seed = seed};
        struct live live;
        open_live(&run, &live);
        assert_int_equal(weir_job_run(live.job), 0);
        const struct weir_task *source = weir_job_task(live.job, 0);
        assert_non_null(strstr(weir_task_name(source), "count"));
        assert_true(
            weir_job_wall_ns(live.job) >= weir_task_end_ns(source) - weir_task_begin_ns(source));
        close_live(&live);
    }
}

static void
t_the_parts_of_a_cores_time_add_up(void **state)
{
    (void)state;
    struct run run = {.count = {.limit = 200000},
        .parallelism = 2,
        .threads = true,
        .ring_slot_cnt = 8,
        .buffer_bytes = 4096};
    struct live live;
    struct weir_clock clock;
    open_live(&run, &live);
    weir_clock_init_os(&clock);
    int64_t from_ns = weir_clock_ns(&clock);
    assert_int_equal(weir_job_run(live.job), 0);
    int64_t wall_ns = weir_clock_ns(&clock) - from_ns;
    struct weir_core_times times;
    assert_true(live.plan->core_cnt >= 1);
    for (uint32_t c = 0; c < live.plan->core_cnt; c++) {
        int64_t sum_ns = 0;
        assert_true(weir_job_core_times(live.job, c, &times));
        for (int p = 0; p < WEIR_CORE_PART_CNT; p++) {
            assert_true(times.ns[p] >= 0);
            sum_ns += times.ns[p];
        }
        assert_true(times.ns[WEIR_CORE_BUSY] > 0);
        /* All of a core's time, and no more than there was; two clocks differ by parts per
         * million. */
        assert_true(sum_ns <= wall_ns + wall_ns / 100);
    }
    assert_false(weir_job_core_times(live.job, live.plan->core_cnt, &times));
    close_live(&live);
}

static void
look(const struct live *live, uint32_t stage, struct weir_task_counters *ret_task,
    struct weir_core_task_counters *ret_times)
{
    const struct weir_counter_set counters = weir_task_set(weir_job_task(live->job, stage));
    struct weir_counter_set times;
    assert_true(weir_job_task_times(live->job, stage, &times));
    weir_counter_read(&counters, &ret_task->rows_in);
    weir_counter_read(&times, &ret_times->busy_ms);
}

static double
real(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct held_look {
    struct live *live;
    struct weir_task_counters task[2]; /* the source, the sink */
    struct weir_core_task_counters times[2];
    WEIR_ATOMIC(uint32_t) is_free;
    bool is_pressed;
};

/* Until the source waits for the sink and both have said so; the sink's core need not be stolen
 * from: nothing here is a time to be kept. */
static void *
look_until_pressed(void *arg)
{
    struct held_look *look_at = (struct held_look *)arg;
    const struct timespec pause = {.tv_nsec = WEIR_MS};
    for (uint32_t i = 0; i < 60000 && !look_at->is_pressed; i++) {
        for (uint32_t s = 0; s < 2; s++) {
            look(look_at->live, s, &look_at->task[s], &look_at->times[s]);
        }
        const struct weir_task_counters *source = &look_at->task[0];
        const struct weir_task_counters *sink = &look_at->task[1];
        /* The sink has seen one batch, and released none. */
        look_at->is_pressed = look_at->times[0].is_backpressured != 0 && sink->in_bytes > 0 &&
                              source->out_bytes == sink->in_bytes + sink->bytes_in &&
                              real(look_at->times[0].pressed_ms) > 0;
        (void)nanosleep(&pause, NULL);
    }
    weir_store_rlx(&look_at->is_free, 1); /* relaxed: it carries nothing */
    weir_job_request(look_at->live->job, WEIR_TASK_REQUEST_CANCEL);
    return NULL;
}

/* B-111, B-114: a source in front of a sink that takes nothing. */
static void
t_B114_bytes_that_wait_are_shown_at_both_ends(void **state)
{
    (void)state;
    struct live live;
    struct held_look seen = {.live = &live};
    const struct held_conf held = {&seen.is_free};
    struct run run = {.count = {.limit = INT64_MAX},
        .parallelism = 1,
        .cut = WEIR_PLAN_CUT_ALL,
        .threads = true,
        .ring_slot_cnt = 8,
        .buffer_bytes = 4096,
        .held = &held};
    pthread_t other;
    open_live(&run, &live);
    assert_int_equal(pthread_create(&other, NULL, look_until_pressed, &seen), 0);
    assert_int_equal(weir_job_run(live.job), WEIR_ECANCELED);
    (void)pthread_join(other, NULL);
    assert_true(seen.is_pressed);
    for (uint32_t s = 0; s < 2; s++) {
        assert_true(real(seen.task[s].init_ms) > 0);
        assert_true(real(seen.times[s].pressed_hard_ms) == 0);
    }
    assert_int_equal(seen.task[0].in_bytes, 0);
    assert_int_equal(seen.task[1].out_bytes, 0);
    uint64_t cnt;
    uint64_t free_cnt;
    weir_job_segments(live.job, &cnt, &free_cnt);
    assert_in_range(free_cnt, 0, cnt - 1); /* the channel's own */
    close_live(&live);
    weir_err_clear();
}

/* --- one core by itself
 * ------------------------------------------------------------------------ */

static struct weir_task *
new_task(const struct count_conf *count)
{
    struct weir_chain_node_conf node = {.name = "count", .type = &count_type, .conf = count};
    node.outputs[0].schema = number_schema();
    const struct weir_task_conf conf = {.name = "count (1/1)",
        .chain = {.nodes = &node, .node_cnt = 1, .batch_rows = 64, .buf_bytes = 4096}};
    struct weir_task *task = NULL;
    assert_int_equal(weir_task_new(&conf, &task), 0);
    return task;
}

struct alone {
    struct weir_clock clock;
    struct weir_task *task;
    struct weir_core *core;
    WEIR_ATOMIC(uint32_t) letter_cnt;
    uint64_t letter_sum;
};

static void
take_letter(void *arg, const struct weir_letter *letter)
{
    struct alone *alone = (struct alone *)arg;
    alone->letter_sum += letter->args[0];
    weir_store_rel(&alone->letter_cnt, weir_load_rlx(&alone->letter_cnt) + 1);
}

static void
open_alone(struct alone *alone, const struct count_conf *count, int cpu)
{
    memset(alone, 0, sizeof *alone);
    weir_clock_init_os(&alone->clock);
    alone->task = new_task(count);
    const struct weir_core_conf conf = {.core_cnt = 1,
        .cpu = cpu,
        .idle = WEIR_PLAN_IDLE_SLEEP,
        .clock = &alone->clock,
        .tasks = &alone->task,
        .task_cnt = 1,
        .letter_fn = take_letter,
        .arg = alone};
    assert_int_equal(weir_core_new(&conf, &alone->core), 0);
    weir_core_meet(alone->core, &alone->core);
}

static void
close_alone(struct alone *alone)
{
    weir_task_request(alone->task, WEIR_TASK_REQUEST_CANCEL);
    weir_core_wake(alone->core);
    weir_core_join(alone->core);
    weir_core_delete(alone->core);
    weir_task_delete(alone->task);
}

static const struct count_conf endless = {.limit = INT64_MAX, .wait_ns = 1000 * WEIR_SEC_NS};

static void
t_letters_reach_a_core_that_sleeps(void **state)
{
    (void)state;
    struct alone alone;
    open_alone(&alone, &endless, -1);
    assert_int_equal(weir_core_start(alone.core), 0);
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= 1000; i++) {
        const struct weir_letter letter = {.kind = 1, .args = {i}};
        while (weir_core_post(alone.core, &letter) == 0) {
            (void)sched_yield();
        }
        sum += i;
        if (i % 100 == 0) { /* let it fall asleep now and then */
            while (weir_load_acq(&alone.letter_cnt) < i) {
                (void)sched_yield();
            }
        }
    }
    assert_int_equal(alone.letter_sum, sum);
    close_alone(&alone);
}

/* A source whose poll takes a while, by a clock that it moves. */
struct slow_conf {
    struct weir_clock *clock;
    int64_t poll_ns;
    int64_t poll_cnt;
};

static int
slow_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct slow_conf *conf = (const struct slow_conf *)op->conf;
    (void)out;
    (void)now_ns;
    weir_clock_advance(conf->clock, conf->poll_ns);
    return ++*(int64_t *)op->self >= conf->poll_cnt ? WEIR_DONE : WEIR_WAIT;
}

static const struct weir_operator_type slow_type = {
    .name = "slow", .self_bytes = sizeof(int64_t), .output_cnt = 1, .poll = slow_poll};

/* A task is polled once a round: a letter to it waits for the polls of all. */
static void
t_B112_a_letter_waits_for_the_polls_of_others(void **state)
{
    (void)state;
    struct weir_clock clock;
    struct weir_core *core = NULL;
    struct weir_task *tasks[2];
    struct slow_conf conf[2] = {{&clock, 7 * WEIR_MS, 3}, {&clock, 0, 3}};
    weir_clock_init_sim(&clock, WEIR_SEC_NS, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_chain_node_conf node = {.name = "slow", .type = &slow_type, .conf = &conf[i]};
        node.outputs[0].schema = number_schema();
        const struct weir_task_conf task = {.name = "slow (1/1)",
            .chain = {.nodes = &node, .node_cnt = 1, .batch_rows = 64, .buf_bytes = 4096}};
        assert_int_equal(weir_task_new(&task, &tasks[i]), 0);
    }
    const struct weir_core_conf core_conf = {.core_cnt = 1,
        .cpu = -1,
        .idle = WEIR_PLAN_IDLE_SPIN,
        .clock = &clock,
        .tasks = tasks,
        .task_cnt = 2};
    assert_int_equal(weir_core_new(&core_conf, &core), 0);
    weir_core_meet(core, &core);
    assert_int_equal(weir_core_start(core), 0);
    weir_core_join(core);
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_core_task_counters got;
        const struct weir_counter_set set = weir_core_task_set(core, i);
        weir_counter_read(&set, &got.busy_ms);
        assert_true(real(got.mail_ms) == 7);
        assert_true(real(got.pressed_ms) == 0);
    }
    weir_core_delete(core);
    weir_task_delete(tasks[0]);
    weir_task_delete(tasks[1]);
}

static void
t_a_core_that_cannot_be_pinned_is_refused(void **state)
{
    (void)state;
    struct alone alone;
    open_alone(&alone, &endless, WEIR_CPUSET_CPU_CNT_MAX - 1);
    weir_err_clear();
    assert_int_equal(weir_core_start(alone.core), WEIR_EPLAN);
    char text[512];
    weir_err_save(text, sizeof text);
    assert_non_null(strstr(text, "pin a thread to CPU 1023"));
    weir_err_clear();
    close_alone(&alone);
}

static void
t_a_changed_affinity_is_a_departure_said_once(void **state)
{
    (void)state;
    static struct weir_departures departures;
    struct weir_cgroup cgroup;
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    struct alone alone;
    int cpu = (int)weir_cpuset_next(&cgroup.cpus, 0);
    open_alone(&alone, &endless, cpu);
    assert_int_equal(weir_core_start(alone.core), 0);
    weir_departure_core(&departures, alone.core);
    weir_departure_steal(&departures, &alone.core, 1);
    assert_int_equal(departures.cnt, 0);
    if (weir_cpuset_cnt(&cgroup.cpus) > 1) {
        cpu_set_t all;
        CPU_ZERO(&all);
        for (uint32_t i = 0; i < WEIR_CPUSET_CPU_CNT_MAX; i++) {
            if (weir_cpuset_has(&cgroup.cpus, i)) {
                CPU_SET(i, &all);
            }
        }
        assert_int_equal(sched_setaffinity(weir_core_tid(alone.core), sizeof all, &all), 0);
        weir_departure_core(&departures, alone.core);
        weir_departure_core(&departures, alone.core);
        assert_int_equal(departures.cnt, 1);
        assert_int_equal(departures.list[0].seen_cnt, 2);
        assert_non_null(strstr(departures.list[0].text, "somebody has changed its affinity"));
    }
    close_alone(&alone);
}

/* --- the seeded poller
 * ------------------------------------------------------------------------- */

static void
t_time_jumps_to_what_a_source_waits_for(void **state)
{
    (void)state;
    const struct count_conf count = {.limit = 64000, .wait_ns = 100 * WEIR_SEC_NS};
    struct weir_task *task = new_task(&count);
    const struct weir_poller_conf conf = {
        .seed = 3, .tasks = &task, .task_cnt = 1, .step_cnt_max = 4};
    assert_int_equal(weir_poller_run(&conf), 0);
    assert_int_equal(weir_task_state(task), WEIR_TASK_FINISHED);
    weir_task_delete(task);
}

/* A side that wants to be asked every millisecond, and has nothing to do. */
struct patient {
    int64_t now_ns;
};

static bool
patient_poll(void *arg, int64_t now_ns)
{
    ((struct patient *)arg)->now_ns = now_ns;
    return false;
}

static int64_t
patient_due(void *arg)
{
    return ((struct patient *)arg)->now_ns + WEIR_MS;
}

static bool
patient_is_over(void *arg)
{
    (void)arg;
    return true;
}

/* Who waits for a time of its own is not stuck, however often others are asked before. */
static void
t_a_side_that_waits_does_not_make_a_job_stuck(void **state)
{
    (void)state;
    const int64_t waits_ns[] = {WEIR_SEC_NS, INT64_MAX / 2};
    const int ends[] = {0, WEIR_EILLEGAL};
    const struct weir_poller_side side = {
        .poll_fn = patient_poll, .due_fn = patient_due, .is_over_fn = patient_is_over};
    for (uint32_t i = 0; i < 2; i++) {
        const struct count_conf count = {.limit = 64000, .wait_ns = waits_ns[i]};
        struct patient patient = {0};
        struct weir_task *task = new_task(&count);
        const struct weir_poller_conf conf = {.seed = 3,
            .tasks = &task,
            .task_cnt = 1,
            .step_cnt_max = 4,
            .arg = &patient,
            .side = &side};
        weir_err_clear();
        assert_int_equal(weir_poller_run(&conf), ends[i]);
        weir_err_clear();
        weir_task_delete(task);
    }
}

static void
t_a_job_that_cannot_go_on_is_told_from_one_that_waits(void **state)
{
    (void)state;
    const struct count_conf count = {.limit = 64000, .wait_ns = INT64_MAX / 2};
    struct weir_task *task = new_task(&count);
    const struct weir_poller_conf conf = {
        .seed = 3, .tasks = &task, .task_cnt = 1, .step_cnt_max = 4};
    weir_err_clear();
    assert_int_equal(weir_poller_run(&conf), WEIR_EILLEGAL);
    assert_string_equal(weir_err_at(0), "task count (1/1) waits, in state running");
    weir_err_clear();
    weir_task_delete(task);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_threads_and_seeds_give_the_same_rows),
        cmocka_unit_test(t_a_failing_task_ends_the_job_with_its_cause),
        cmocka_unit_test(t_a_request_wakes_cores_that_sleep),
        cmocka_unit_test(t_wall_time_holds_all_that_sources_did),
        cmocka_unit_test(t_the_parts_of_a_cores_time_add_up),
        cmocka_unit_test(t_B114_bytes_that_wait_are_shown_at_both_ends),
        cmocka_unit_test(t_B112_a_letter_waits_for_the_polls_of_others),
        cmocka_unit_test(t_letters_reach_a_core_that_sleeps),
        cmocka_unit_test(t_a_core_that_cannot_be_pinned_is_refused),
        cmocka_unit_test(t_a_changed_affinity_is_a_departure_said_once),
        cmocka_unit_test(t_time_jumps_to_what_a_source_waits_for),
        cmocka_unit_test(t_a_side_that_waits_does_not_make_a_job_stuck),
        cmocka_unit_test(t_a_job_that_cannot_go_on_is_told_from_one_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
