/* SPDX-License-Identifier: Apache-2.0 */
/* A job begins in steps (sched/job.h). Each of them fails in turn, and of what the steps before it
 * have made nothing is left: descriptors, threads, mappings, memory, open operators, locks. */
#include <dirent.h>
#include <ftw.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "sched/keyed.h"
#include "tests/unit/test.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
#define TALLY(F) F(i64, n) F(i64, cnt)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)
WEIR_SCHEMA(tally, TALLY)

#define ROW_CNT 1000
#define STAGE_CNT_MAX 16
#define PATH_BYTES 64
#define WARM_CNT 3 /* runs after which libraries have what they keep for good */
#define THREAD_TRY_CNT 5000
#define OWN_TRY_CNT 20
#define TUNABLES "GLIBC_TUNABLES"
#define SAME_CNT 3 /* runs in which the same step fails */

/* ---- numbers, and an operator that passes them on; both count how often they are opened ---- */

struct life {
    WEIR_ATOMIC(uint32_t) opened_cnt;
    WEIR_ATOMIC(uint32_t) closed_cnt;
};

struct counted_conf {
    struct life *life;
};

static int
counted_open(struct weir_operator *op)
{
    const struct counted_conf *conf = op->conf;
    (void)weir_fetch_add_rlx(&conf->life->opened_cnt, 1); /* relaxed: read when all is over */
    return 0;
}

static int
counted_close(struct weir_operator *op, bool clean)
{
    const struct counted_conf *conf = op->conf;
    (void)clean;
    (void)weir_fetch_add_rlx(&conf->life->closed_cnt, 1); /* relaxed: as above */
    return 0;
}

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    uint64_t *next = op->self;
    (void)now_ns;
    while (*next < ROW_CNT && weir_out_room(out, 1, 0)) {
        number_emit(out)->n = (int64_t)(*next)++;
    }
    return *next == ROW_CNT ? WEIR_DONE : WEIR_AGAIN;
}

static int64_t
pass_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)now_ns;
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static const struct weir_operator_type numbers_type = {.name = "numbers",
    .self_bytes = sizeof(uint64_t),
    .output_cnt = 1,
    .open = counted_open,
    .poll = numbers_poll,
    .close = counted_close};
static const struct weir_operator_type pass_type = {.name = "pass",
    .input_cnt = 1,
    .output_cnt = 1,
    .open = counted_open,
    .process = pass_process,
    .close = counted_close};

/* ---- what there is of a process ---- */

struct footprint {
    uint32_t fd_cnt;
    uint32_t thread_cnt;
    uint64_t mapped_bytes;
    uint64_t allocated_bytes;
};

static uint32_t
entry_cnt(const char *path)
{
    DIR *dir = opendir(path);
    uint32_t cnt = 0;
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        cnt++;
    }
    (void)closedir(dir);
    return cnt;
}

/* A sanitizer's own memory comes and goes; it has a leak check of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_MEMORY false
#else
#define COUNTS_MEMORY true
#endif

/* But for the heap and the stack, which grow by pages as they like. */
static uint64_t
mapped_bytes(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];
    uint64_t bytes = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long from;
        unsigned long long to;
        assert_int_equal(sscanf(line, "%llx-%llx", &from, &to), 2);
        if (strstr(line, "[heap]") == NULL && strstr(line, "[stack]") == NULL) {
            bytes += to - from;
        }
    }
    (void)fclose(file);
    return bytes;
}

static uint32_t own_thread_cnt; /* before any job */

/* A thread that was joined is still listed until the kernel is done with it. */
static uint32_t
take_thread_cnt(void)
{
    const struct timespec pause = {.tv_nsec = WEIR_MS};
    uint32_t cnt = entry_cnt("/proc/self/task");
    for (uint32_t i = 0; i < THREAD_TRY_CNT && cnt > own_thread_cnt; i++) {
        (void)nanosleep(&pause, NULL);
        cnt = entry_cnt("/proc/self/task");
    }
    return cnt;
}

static struct footprint
take_footprint(void)
{
    struct footprint print = {
        .fd_cnt = entry_cnt("/proc/self/fd"), .thread_cnt = take_thread_cnt()};
    assert_int_equal(print.thread_cnt, own_thread_cnt);
    if (COUNTS_MEMORY) {
        print.allocated_bytes = mallinfo2().uordblks;
        print.mapped_bytes = mapped_bytes();
    }
    return print;
}

/* ---- a start of the job, in which one step fails ---- */

struct start {
    enum weir_job_poller poller;
    const char *dir;
    enum weir_job_step fails_at; /* WEIR_JOB_STEP_CNT: none */
    uint32_t fails_at_stage;
    WEIR_ATOMIC(uint32_t) done[WEIR_JOB_STEP_CNT]; /* stages of a step */
    bool is_new_failed; /* in weir_job_new; else in weir_job_run */
    int err;
    char text[512];
    struct life life;
    uint64_t rows;
    int64_t step_ns[WEIR_JOB_STEP_CNT];
};

static int
on_step(void *arg, enum weir_job_step step, uint32_t stage)
{
    struct start *start = arg;
    if (step == start->fails_at && stage == start->fails_at_stage) {
        return weir_err_push(WEIR_EUNAVAILABLE, "no %s", weir_job_step_name(step));
    }
    (void)weir_fetch_add_rlx(&start->done[step], 1); /* relaxed: read when all is over */
    return 0;
}

static struct weir_env *
build(struct start *start, struct weir_discard_result *results)
{
    const struct counted_conf counted = {.life = &start->life};
    const struct weir_discard_conf discard = {.results = results};
    const struct weir_reduce_conf reduce = {.aggregate = weir_aggregate_count()};
    const struct weir_operator_conf pass = {
        .name = "pass", .type = &pass_type, .conf = &counted, .conf_bytes = sizeof counted};
    struct weir_env *env;
    assert_int_equal(weir_env_new("starts", &env), 0);
    weir_env_set_parallelism(env, 2);
    struct weir_stream *s =
        weir_source(env, "numbers", number_schema(), &numbers_type, &counted, sizeof counted);
    s = weir_parallelism(s, 1);
    s = weir_operator(&s, 1, &pass);
    s = weir_reduce(weir_key_by(s, WEIR_KEY(number, n)), "tally", &reduce, tally_schema());
    (void)weir_sink(s, "out", &weir_discard_type, &discard, sizeof discard);
    assert_int_equal(weir_env_check(env), 0);
    return env;
}

/* Returns the number of stages. */
static uint32_t
run(struct start *start)
{
    struct weir_discard_result results[STAGE_CNT_MAX] = {{0}};
    struct weir_topo *topo;
    struct weir_cgroup cgroup;
    struct weir_plan *plan;
    struct weir_job *job = NULL;
    struct weir_env *env = build(start, results);
    assert_int_equal(weir_topo_open_live(&topo), 0);
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    const struct weir_plan_host host = {
        .topo = topo, .effective = cgroup.cpus, .budget_bytes = 128 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_ALL, .idle = WEIR_PLAN_IDLE_SLEEP};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &cut, &plan), 0);
    const struct weir_job_options options = {
        .checkpoints = {.dir = start->dir,
            .retained = 1,
            .throttle_max_ns = WEIR_SEC_NS,
            .coordinator = {.interval_ns = 0,
                .timeout_ns = 60 * WEIR_SEC_NS,
                .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
                .concurrent_max = 1,
                .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
                .is_after_finish = true}},
        .restore = {.from = WEIR_JOB_RESTORE_LATEST},
        .poller = start->poller,
        .batch_rows = 64,
        .state_bytes = 8 * WEIR_MIB,
        .small_pages = true,
        .step_fn = on_step,
        .step_arg = start};
    uint32_t stage_cnt = plan->stage_cnt;
    assert_true(stage_cnt <= STAGE_CNT_MAX);
    start->err = weir_job_new(env, plan, &options, &job);
    start->is_new_failed = start->err != 0;
    start->err = start->err != 0 ? start->err : weir_job_run(job);
    weir_err_save(start->text, sizeof start->text);
    weir_err_clear();
    for (int step = 0; step < WEIR_JOB_STEP_CNT && job != NULL; step++) {
        start->step_ns[step] = weir_job_step_ns(job, (enum weir_job_step)step);
    }
    weir_job_delete(job);
    weir_plan_close(plan);
    weir_topo_close(topo);
    weir_env_delete(env);
    for (uint32_t i = 0; i < STAGE_CNT_MAX; i++) {
        start->rows += results[i].rows;
    }
    return stage_cnt;
}

static bool
is_of_stages(enum weir_job_step step)
{
    return step >= WEIR_JOB_STEP_STATE && step <= WEIR_JOB_STEP_OPERATORS;
}

static bool
is_of_tasks(enum weir_job_step step)
{
    return step == WEIR_JOB_STEP_OPEN || step == WEIR_JOB_STEP_RUN;
}

/* Tasks are there, on the cores that have begun. */
static bool
is_beside_tasks(enum weir_job_step step)
{
    return is_of_tasks(step) || step == WEIR_JOB_STEP_THREADS;
}

/* The steps before the one that failed, and none behind it; of tasks, others may have come further:
 * they are on other cores. */
static void
check_order(const struct start *start, uint32_t stage_cnt)
{
    for (int s = 0; s < WEIR_JOB_STEP_CNT; s++) {
        enum weir_job_step step = (enum weir_job_step)s;
        uint32_t cnt = weir_load_rlx(&start->done[step]); /* relaxed: all is over */
        uint32_t all = is_of_stages(step) ? stage_cnt : 1;
        bool is_both = is_of_stages(step) && is_of_stages(start->fails_at);
        if (is_of_tasks(step)) {
            assert_true(is_beside_tasks(start->fails_at) || cnt == 0);
        } else if (step == start->fails_at || is_both) {
            assert_int_equal(cnt, start->fails_at_stage + (step < start->fails_at));
        } else if (step == WEIR_JOB_STEP_THREADS && step < start->fails_at) {
            assert_true(start->poller == WEIR_JOB_SEEDED || cnt >= 1); /* a core each */
        } else {
            assert_int_equal(cnt, step < start->fails_at ? all : 0);
        }
    }
}

static void
fail_step(struct start *start)
{
    char want[64];
    (void)snprintf(want, sizeof want, "no %s", weir_job_step_name(start->fails_at));
    uint32_t stage_cnt = run(start);
    if (start->err != WEIR_EUNAVAILABLE || strstr(start->text, want) == NULL) {
        fail_msg("%s of %u: %d, %s", weir_job_step_name(start->fails_at), start->fails_at_stage,
            start->err, start->text);
    }
    assert_int_equal(start->is_new_failed, start->fails_at <= WEIR_JOB_STEP_CORES);
    check_order(start, stage_cnt);
    assert_int_equal(start->life.opened_cnt, start->life.closed_cnt);
    assert_true(start->life.opened_cnt == 0 || is_beside_tasks(start->fails_at));
}

/* Lazily made things of the C library are there after the first ones. */
static void
expect_nothing_left(const struct start *how)
{
    struct footprint print[SAME_CNT];
    for (uint32_t i = 0; i < SAME_CNT; i++) {
        struct start start = *how;
        fail_step(&start);
        print[i] = take_footprint();
    }
    const struct footprint *last = &print[SAME_CNT - 1];
    const struct footprint *before = &print[SAME_CNT - 2];
    if (memcmp(last, before, sizeof *last) != 0) {
        fail_msg("%s of %u leaves %d descriptors, %d threads, %lld bytes, %lld mapped",
            weir_job_step_name(how->fails_at), how->fails_at_stage,
            (int)(last->fd_cnt - before->fd_cnt), (int)(last->thread_cnt - before->thread_cnt),
            (long long)(last->allocated_bytes - before->allocated_bytes),
            (long long)(last->mapped_bytes - before->mapped_bytes));
    }
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void
each_step_fails(enum weir_job_poller poller)
{
    char dir[PATH_BYTES] = "/dev/shm/weir-start-XXXXXX";
    assert_non_null(mkdtemp(dir));
    uint32_t stage_cnt = 0;
    for (uint32_t i = 0; i < WARM_CNT; i++) {
        struct start good = {.poller = poller, .dir = dir, .fails_at = WEIR_JOB_STEP_CNT};
        stage_cnt = run(&good);
        if (good.err != 0) {
            fail_msg("%s", good.text);
        }
    }
    for (int step = 0; step < WEIR_JOB_STEP_CNT; step++) {
        bool is_many =
            is_of_stages((enum weir_job_step)step) || is_of_tasks((enum weir_job_step)step);
        if (step == WEIR_JOB_STEP_THREADS && poller == WEIR_JOB_SEEDED) {
            continue; /* there are none */
        }
        /* The first, and the last: then those before it are made. */
        for (uint32_t stage = 0; stage < (is_many ? stage_cnt : 1); stage += stage_cnt - 1) {
            const struct start start = {.poller = poller,
                .dir = dir,
                .fails_at = (enum weir_job_step)step,
                .fails_at_stage = stage};
            expect_nothing_left(&start);
        }
    }
    struct start good = {.poller = poller, .dir = dir, .fails_at = WEIR_JOB_STEP_CNT};
    (void)run(&good); /* nobody has the directory locked */
    assert_int_equal(good.err, 0);
    assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void
t_T153_T154_T166_each_step_fails_and_leaves_nothing_under_threads(void **state)
{
    (void)state;
    each_step_fails(WEIR_JOB_THREADS);
}

static void
t_T153_T154_T166_each_step_fails_and_leaves_nothing_under_a_seed(void **state)
{
    (void)state;
    each_step_fails(WEIR_JOB_SEEDED);
}

/* In their order, each has its time. */
static void
t_A115_the_steps_of_a_start_are_told(void **state)
{
    (void)state;
    struct start start = {.poller = WEIR_JOB_THREADS, .fails_at = WEIR_JOB_STEP_CNT};
    (void)run(&start);
    assert_int_equal(start.err, 0);
    assert_int_equal(start.rows, ROW_CNT);
    for (int step = 0; step < WEIR_JOB_STEP_CNT; step++) {
        assert_true(start.step_ns[step] > 0);
        /* Stages of those four steps come one after the other. */
        if (step > 0 && !is_of_stages((enum weir_job_step)step)) {
            assert_true(start.step_ns[step] >= start.step_ns[step - 1] ||
                        is_of_tasks((enum weir_job_step)step));
        }
    }
    assert_string_equal(weir_job_step_name(WEIR_JOB_STEP_CNT), "unknown");
}

static void *
do_nothing(void *arg)
{
    return arg;
}

/* A sanitizer has one of its own from the first that is made on. */
static void
count_own_threads(void)
{
    const struct timespec pause = {.tv_nsec = WEIR_MS};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    own_thread_cnt = UINT32_MAX;
    for (uint32_t i = 0; i < OWN_TRY_CNT; i++) {
        own_thread_cnt = weir_min_u32(own_thread_cnt, entry_cnt("/proc/self/task"));
        (void)nanosleep(&pause, NULL);
    }
}

/* What a thread's cache of freed blocks holds would count as allocated: it is turned off, which can
 * be done before a program begins alone. */
static void
without_block_caches(char **args)
{
    if (getenv(TUNABLES) == NULL) {
        assert_int_equal(setenv(TUNABLES, "glibc.malloc.tcache_count=0", 1), 0);
        (void)execv("/proc/self/exe", args); /* refused: then it is the first run that counts */
    }
}

int
main(int arg_cnt, char **args)
{
    (void)arg_cnt;
    without_block_caches(args);
    count_own_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T153_T154_T166_each_step_fails_and_leaves_nothing_under_threads),
        cmocka_unit_test(t_T153_T154_T166_each_step_fails_and_leaves_nothing_under_a_seed),
        cmocka_unit_test(t_A115_the_steps_of_a_start_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
