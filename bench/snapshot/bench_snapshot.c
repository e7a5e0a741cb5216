/* SPDX-License-Identifier: Apache-2.0 */
/* bench_snapshot: what snapshots cost the core that goes on writing, and how soon they are durable.
 *
 *     bench_snapshot PHASE[,PHASE]... --dir DIR [--mib N] [--rate UPDATES_PER_S|full] [--zipf]
 *                    [--snapshots N] [--ms N] [--rounds N] [--small-pages] [--cores DATA,STORAGE]
 *
 *     idle      polls alone                            none    updates, no snapshot
 *     control   the storage core copies and writes all pages, and nothing is saved for it
 *     line      ours, in full: lines saved before they are written
 *     more      ours as a job takes them: increments on one in full
 *     page      pages saved before they are written    stop    the data core copies all first
 *     fork      a child has the memory as it was, and writes it (Redis; wants --small-pages)
 *     write, read   fio instead, of as many bytes, blocks, depth and flags
 *
 * A phase takes N snapshots, one after another; PHASE@MS instead takes one every MS, for --ms; idle
 * and none last --ms. A round is all phases forward, then backward (A B B A); before the first one
 * all that take snapshots are run once, with a single snapshot each, which does not count.
 *
 * The data core polls without rest; each poll looks at the clock, and does a batch of updates where
 * one is due. Its gaps are the times between polls while a snapshot is live (idle, none, write,
 * read: always); `work` are those with a batch or a barrier in them. A line of JSON for each
 * different phase, lists in the order of their rounds.
 */
#include <ftw.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hist.h"
#include "bench/snapshot/files.h"

#define PHASE_CNT_MAX 12
#define ROUND_CNT_MAX 64
#define TAKEN_CNT_MAX 8192
#define FORK_JOB "fork"
#define PATH_BYTES 4096
#define LIST_CNT_MAX 256 /* times that are told one by one */
/* Pages that page copy-on-write may have saved: as many bytes as the lines. */
#define LINES_A_PAGE 64
#define THROTTLE_NS_MAX (100 * WEIR_MS)

enum mode { IDLE, NONE, CONTROL, LINE, MORE, PAGE, FORK, STOP, WRITE, READ, MODE_CNT };
static const char *const mode_names[MODE_CNT] = {
    "idle", "none", "control", "line", "more", "page", "fork", "stop", "write", "read"};

/* What is known of one phase, over all rounds. */
struct entry {
    enum mode mode;
    uint64_t every_ms; /* 0: one after another */
    struct weir_hist gap;
    struct weir_hist work;
    struct weir_hist write;
    struct weir_hist durable;
    struct weir_hist barrier;
    uint32_t run_cnt;
    double gap_p9999_us[2 * ROUND_CNT_MAX];
    double work_p9999_us[2 * ROUND_CNT_MAX];
    double work_p50_us[2 * ROUND_CNT_MAX];
    double update_ns[2 * ROUND_CNT_MAX]; /* of the core's time, each */
    double updates_per_us[2 * ROUND_CNT_MAX];
    double bytes_per_us[2 * ROUND_CNT_MAX]; /* until files are durable; of fio: its word */
    double durable_ms[LIST_CNT_MAX];
    double increment_ms[LIST_CNT_MAX]; /* of increments, the same */
    uint64_t snapshot_cnt;
    uint64_t declined_cnt;
    uint64_t increment_cnt;
    uint64_t update_cnt;
    uint64_t file_bytes;
    uint64_t increment_bytes;
    uint64_t dirty_bytes; /* of increments */
    uint64_t saved_cnt;
    uint32_t undo_max;
    int64_t write_ns;
    int64_t storage_cpu_ns;
    int64_t wall_ns;
    int64_t held_ns;
    int64_t tidy_ns;
    int64_t late_ns_max;
};

struct bench {
    struct state_conf state_conf;
    uint64_t rate; /* 0: none, UINT64_MAX: as fast as it goes */
    uint32_t snapshot_cnt;
    uint32_t round_cnt;
    uint64_t ms;
    const char *dir;
    int core[2];
    struct entry *entries[PHASE_CNT_MAX];
    uint32_t entry_cnt;
    uint32_t phases[PHASE_CNT_MAX];
    uint32_t phase_cnt;

    struct weir_clock clock;
    struct state state;
    struct weir_capture capture;
    struct cow cow;
    struct files files;
    char *copy; /* stop: all pages */

    /* To the storage core: what has begun. It sleeps until then, as the engine's. */
    sem_t begun;
    enum mode mode; /* MODE_CNT: end */
    pid_t child;
    bool is_scheduled; /* what is old goes while the next snapshot is written, as in a job */
    WEIR_ATOMIC(uint32_t) done;
    WEIR_ATOMIC(uint32_t) tidied; /* and what is old is gone */
    int64_t tidy_ns; /* of the phase, by the storage core */
    struct files_result taken[TAKEN_CNT_MAX]; /* of the phase, by the storage core */
    uint32_t taken_cnt;
    uint64_t fio_bytes_per_s;
    bool fio_is_huge; /* its buffers */

    uint32_t number;
    int64_t held_at_ns; /* of the live snapshot */
    int64_t held_ns;
};

static bool
takes_snapshots(enum mode mode)
{
    return mode >= CONTROL && mode <= STOP;
}

static bool
is_fio(enum mode mode)
{
    return mode == WRITE || mode == READ;
}

static void
pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("bench_snapshot: core");
    }
}

static int64_t
cpu_ns(clockid_t clock)
{
    struct timespec at;
    (void)clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * WEIR_SEC_NS + at.tv_nsec;
}

/* Of all but the data core's thread, which asks: also of the kernel's threads for our io, and of
 * children. */
static int64_t
storage_cpu_ns(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    int64_t children_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
                          usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns(CLOCK_THREAD_CPUTIME_ID) + children_us * 1000;
}

/* ---- the storage core ---- */

static void
take(struct bench *b, enum mode mode, uint32_t number, struct files_result *result)
{
    struct page_source source = {.base = b->state.arena.base,
        .page_end = b->state.page_end,
        .number = number,
        .cow = mode == PAGE ? &b->cow : NULL};
    source.base = mode == STOP ? b->copy : source.base;
    switch (mode) {
    case LINE:
    case MORE:
        files_capture(&b->files, &b->capture, number, mode == MORE, result);
        break;
    case FORK: {
        int status = 0;
        int64_t begin_ns = weir_clock_ns(&b->clock);
        (void)waitpid(b->child, &status, 0);
        memset(result, 0, sizeof *result);
        result->is_declined = status != 0;
        result->write_ns = weir_clock_ns(&b->clock) - begin_ns;
        result->durable_ns = result->write_ns;
        result->file_bytes = b->files.page_bytes;
        result->is_full = true;
        break;
    }
    case WRITE:
    case READ:
        b->fio_bytes_per_s = files_fio(
            &(const struct files_fio){b->dir, mode_names[mode], b->state_conf.mib, b->core[1]},
            &b->fio_is_huge);
        break;
    default:
        files_pages(&b->files, &source, number, result);
        break;
    }
}

static int
remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void)stat;
    (void)kind;
    (void)at;
    return remove(path);
}

/* The file before is removed, which may take its time: where the file system tells the disk that
 * blocks are free, the disk does nothing else meanwhile. So the next one waits for it. */
static void
tidy(struct bench *b, enum mode mode)
{
    char path[PATH_BYTES];
    int64_t begin_ns = weir_clock_ns(&b->clock);
    files_settle(&b->files);
    if (mode == FORK) {
        (void)snprintf(path, sizeof path, "%s/" FORK_JOB, b->dir);
        (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    } else if (mode == WRITE) {
        files_fio_tidy(b->dir);
    }
    b->tidy_ns += weir_clock_ns(&b->clock) - begin_ns;
}

static void *
storage_main(void *arg)
{
    struct bench *b = (struct bench *)arg;
    pin(b->core[1]);
    files_open(&b->files, b->dir, &b->state.arena, "bench_snapshot");
    weir_store_rel(&b->done, 1);
    weir_store_rel(&b->tidied, 1); /* pairs with main() */
    for (uint32_t number = 2;; number++) {
        while (sem_wait(&b->begun) != 0) {
        }
        enum mode mode = b->mode;
        if (mode == MODE_CNT) {
            break;
        }
        struct files_result result = {0};
        take(b, mode, number, &result);
        if (takes_snapshots(mode) && b->taken_cnt < TAKEN_CNT_MAX) {
            b->taken[b->taken_cnt++] = result;
        }
        weir_store_rel(&b->done, number); /* pairs with run_phase() */
        if (!b->is_scheduled) {
            tidy(b, mode);
        }
        weir_store_rel(&b->tidied, number); /* pairs with run_phase() */
    }
    files_close(&b->files);
    return NULL;
}

/* ---- the data core ---- */

static void
child_main(struct bench *b)
{
    struct page_source source = {.base = b->state.arena.base, .page_end = b->state.page_end};
    struct files *files = malloc(sizeof *files);
    struct files_result result;
    pin(b->core[1]);
    files_open(files, b->dir, &b->state.arena, FORK_JOB);
    files_pages(files, &source, 1, &result);
    _exit(result.is_declined ? 1 : 0);
}

static void
barrier(struct bench *b, struct entry *e)
{
    uint32_t number = ++b->number;
    int64_t from = weir_clock_ns(&b->clock);
    b->held_at_ns = 0;
    b->held_ns = 0;
    if (e->mode == LINE || e->mode == MORE) {
        if (weir_arena_snapshot_begin(&b->state.arena) != WEIR_DONE) {
            abort();
        }
    } else if (e->mode == STOP) {
        memcpy(b->copy, b->state.arena.base, (size_t)b->state.page_end * WEIR_PAGE_BYTES);
    } else if (e->mode == PAGE) {
        cow_begin(&b->cow, number);
    } else if (e->mode == FORK) {
        pid_t pid = fork();
        if (pid == 0) {
            child_main(b);
        }
        b->child = pid;
    }
    b->mode = e->mode;
    b->is_scheduled = e->every_ms != 0;
    (void)sem_post(&b->begun);
    if (takes_snapshots(e->mode)) {
        weir_hist_record(&e->barrier, (uint64_t)(weir_clock_ns(&b->clock) - from));
        e->snapshot_cnt++;
    }
}

/* As a task: leave the state alone while the budget is nearly used up, and give up after a while.
 */
static bool
is_held(struct bench *b, struct entry *e, int64_t now)
{
    bool is_line = e->mode == LINE || e->mode == MORE;
    if (!is_line || weir_arena_snapshot_poll(&b->state.arena) != WEIR_ARENA_SNAPSHOT_FULL) {
        b->held_at_ns = 0;
        return false;
    }
    int64_t ns = b->held_at_ns != 0 ? now - b->held_at_ns : 0;
    b->held_ns += ns;
    e->held_ns += ns;
    b->held_at_ns = now;
    if (b->held_ns < THROTTLE_NS_MAX) {
        return true;
    }
    weir_arena_snapshot_decline(&b->state.arena);
    return false;
}

/* One run of a phase, as it goes. */
struct run {
    struct weir_hist gap;
    struct weir_hist work;
    int64_t work_ns;
    int64_t due_ns; /* the next batch */
    int64_t trigger_ns; /* the next snapshot */
    uint64_t left; /* snapshots */
    bool worked; /* since the last poll */
    bool is_counted; /* the gap from the last poll on */
};

static void
batch(struct bench *b, struct entry *e, struct run *run, int64_t now)
{
    bool is_full = b->rate == UINT64_MAX;
    if (b->rate == 0 || e->mode == IDLE || (!is_full && now < run->due_ns) || is_held(b, e, now)) {
        return;
    }
    if (!is_full) {
        e->late_ns_max = weir_max_i64(e->late_ns_max, now - run->due_ns);
        run->due_ns += (int64_t)(STATE_BATCH * UINT64_C(1000000000) / b->rate);
    }
    run->worked = true;
    if (e->mode == PAGE) {
        cow_update(&b->cow);
    } else {
        state_update(&b->state);
    }
}

static void
note(struct run *run, int64_t ns)
{
    if (run->is_counted) {
        weir_hist_record(&run->gap, (uint64_t)ns);
        if (run->worked) {
            weir_hist_record(&run->work, (uint64_t)ns);
        }
    }
    run->work_ns += run->worked ? ns : 0;
    run->worked = false;
}

static void
poll_until_end(struct bench *b, struct entry *e, struct run *run, int64_t end_ns)
{
    bool is_snapshot = takes_snapshots(e->mode) || is_fio(e->mode);
    for (int64_t last = run->due_ns;;) {
        int64_t now = weir_clock_ns(&b->clock);
        note(run, now - last);
        last = now;
        bool is_live = weir_load_acq(&b->done) != b->number; /* pairs with storage_main() */
        run->is_counted = is_live || !takes_snapshots(e->mode);
        if (!is_live && (now >= end_ns || run->left == 0)) {
            return;
        }
        bool is_ready = !is_live && weir_load_acq(&b->tidied) == b->number; /* as above */
        if (is_ready && is_snapshot && now >= run->trigger_ns) {
            run->left--;
            run->trigger_ns += (int64_t)e->every_ms * WEIR_MS;
            run->worked = true;
            run->is_counted = true;
            barrier(b, e);
        }
        batch(b, e, run, now);
    }
}

static double
us_at(const struct weir_hist *hist, double share)
{
    return (double)weir_hist_ns_at(hist, share) / 1e3;
}

/* What the storage core has said of the phase's snapshots. */
static void
keep_taken(struct bench *b, struct entry *e, double *ret_bytes_per_us)
{
    uint64_t bytes = 0;
    int64_t ns = 0;
    for (uint32_t i = 0; i < b->taken_cnt; i++) {
        const struct files_result *result = &b->taken[i];
        if (result->is_declined) {
            e->declined_cnt++;
            continue;
        }
        bytes += result->file_bytes;
        ns += result->write_ns;
        weir_hist_record(&e->write, (uint64_t)result->write_ns);
        weir_hist_record(&e->durable, (uint64_t)result->durable_ns);
        if (e->durable.cnt <= LIST_CNT_MAX) {
            e->durable_ms[e->durable.cnt - 1] = (double)result->durable_ns / 1e6;
        }
        if (!result->is_full) {
            if (e->increment_cnt < LIST_CNT_MAX) {
                e->increment_ms[e->increment_cnt] = (double)result->durable_ns / 1e6;
            }
            e->increment_cnt++;
            e->increment_bytes += result->file_bytes;
            e->dirty_bytes += result->dirty_bytes;
        }
    }
    e->file_bytes += bytes;
    e->write_ns += ns;
    *ret_bytes_per_us = is_fio(e->mode) ? (double)b->fio_bytes_per_s / 1e6
                        : ns > 0        ? (double)bytes * 1e3 / (double)ns
                                        : 0;
    e->tidy_ns += b->tidy_ns;
    b->tidy_ns = 0;
    b->taken_cnt = 0;
    b->fio_bytes_per_s = 0;
}

static void
run_phase(struct bench *b, struct entry *e, uint64_t snapshot_cnt, bool is_kept)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    weir_hist_init(&run.gap);
    weir_hist_init(&run.work);
    bool is_timed = e->every_ms != 0 || !(takes_snapshots(e->mode) || is_fio(e->mode));
    int64_t begin_ns = weir_clock_ns(&b->clock);
    int64_t cpu = storage_cpu_ns();
    uint64_t updates = b->state.update_cnt;
    uint64_t saved = b->capture.undo != NULL ? b->capture.undo->saved_cnt : 0;
    run.left = is_timed ? UINT64_MAX : is_fio(e->mode) ? 1 : snapshot_cnt;
    run.due_ns = begin_ns;
    run.trigger_ns = begin_ns;
    poll_until_end(b, e, &run, is_timed ? begin_ns + (int64_t)b->ms * WEIR_MS : INT64_MAX);
    while (b->capture.undo != NULL &&
           weir_arena_snapshot_poll(&b->state.arena) != WEIR_ARENA_SNAPSHOT_NONE) {
        weir_spin_hint();
    }
    while (weir_load_acq(&b->tidied) != b->number) { /* pairs with storage_main() */
        weir_spin_hint();
    }
    int64_t ns = weir_clock_ns(&b->clock) - begin_ns;
    updates = b->state.update_cnt - updates;
    double bytes_per_us;
    keep_taken(b, e, &bytes_per_us);
    uint32_t undo_max = b->files.undo_max;
    b->files.undo_max = 0;
    if (!is_kept || e->run_cnt == 2 * ROUND_CNT_MAX) {
        return;
    }
    uint32_t at = e->run_cnt++;
    e->gap_p9999_us[at] = us_at(&run.gap, 0.9999);
    e->work_p9999_us[at] = us_at(&run.work, 0.9999);
    e->work_p50_us[at] = us_at(&run.work, 0.5);
    e->update_ns[at] = updates > 0 ? (double)run.work_ns / (double)updates : 0;
    e->updates_per_us[at] = (double)updates * 1e3 / (double)ns;
    e->bytes_per_us[at] = bytes_per_us;
    e->update_cnt += updates;
    e->wall_ns += ns;
    e->storage_cpu_ns += storage_cpu_ns() - cpu;
    e->saved_cnt += (b->capture.undo != NULL ? b->capture.undo->saved_cnt : 0) - saved;
    e->undo_max = undo_max > e->undo_max ? undo_max : e->undo_max;
    weir_hist_merge(&e->gap, &run.gap);
    weir_hist_merge(&e->work, &run.work);
}

static void
entry_clear(struct entry *e)
{
    struct entry kept = {.mode = e->mode, .every_ms = e->every_ms};
    *e = kept;
    weir_hist_init(&e->gap);
    weir_hist_init(&e->work);
    weir_hist_init(&e->write);
    weir_hist_init(&e->durable);
    weir_hist_init(&e->barrier);
}

static void
run_all(struct bench *b)
{
    for (uint32_t i = 0; i < b->entry_cnt; i++) {
        entry_clear(b->entries[i]);
        if (takes_snapshots(b->entries[i]->mode) && b->entries[i]->every_ms == 0) {
            run_phase(b, b->entries[i], 1, false);
            entry_clear(b->entries[i]);
        }
    }
    for (uint32_t r = 0; r < b->round_cnt; r++) {
        for (uint32_t i = 0; i < b->phase_cnt; i++) {
            run_phase(b, b->entries[b->phases[i]], b->snapshot_cnt, true);
        }
        for (uint32_t i = b->phase_cnt; i-- > 0;) {
            run_phase(b, b->entries[b->phases[i]], b->snapshot_cnt, true);
        }
        (void)fprintf(stderr, "\rround %u of %u ", r + 1, b->round_cnt);
    }
}

/* ---- the report ---- */

static void
print_hist(const char *name, const struct weir_hist *hist)
{
    printf(",\"%s_us\":{\"count\":%llu,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"p9999\":%.3f,"
           "\"max\":%.1f}",
        name, (unsigned long long)hist->cnt, us_at(hist, 0.5), us_at(hist, 0.99),
        us_at(hist, 0.999), us_at(hist, 0.9999), (double)hist->ns_max / 1e3);
}

static void
print_list(const char *name, const double *list, uint32_t cnt)
{
    printf(",\"%s\":[", name);
    for (uint32_t i = 0; i < cnt; i++) {
        printf("%s%.4f", i > 0 ? "," : "", list[i]);
    }
    printf("]");
}

static void
report(const struct bench *b, const struct entry *e)
{
    printf("{\"name\":\"%s", mode_names[e->mode]);
    if (e->every_ms > 0) {
        printf("@%llu", (unsigned long long)e->every_ms);
    }
    printf("\",\"mib\":%llu,\"keys\":\"%s\",\"snapshots\":%llu,\"declined\":%llu",
        (unsigned long long)b->state_conf.mib, b->state_conf.is_zipf ? "zipf" : "uniform",
        (unsigned long long)e->snapshot_cnt, (unsigned long long)e->declined_cnt);
    if (b->rate == UINT64_MAX) {
        printf(",\"rate\":\"full\"");
    } else {
        printf(",\"rate\":%llu", (unsigned long long)b->rate);
    }
    if (is_fio(e->mode)) {
        printf(",\"buffers\":\"%s\"", b->fio_is_huge ? "huge pages" : "small pages");
    }
    print_hist("gap", &e->gap);
    print_hist("work", &e->work);
    if (e->snapshot_cnt > 0) {
        print_hist("write", &e->write);
        print_hist("durable", &e->durable);
        print_hist("barrier", &e->barrier);
    }
    print_list("gap_p9999_us", e->gap_p9999_us, e->run_cnt);
    print_list("work_p9999_us", e->work_p9999_us, e->run_cnt);
    print_list("work_p50_us", e->work_p50_us, e->run_cnt);
    print_list("update_ns", e->update_ns, e->run_cnt);
    print_list("updates_per_us", e->updates_per_us, e->run_cnt);
    print_list("bytes_per_us", e->bytes_per_us, e->run_cnt);
    print_list("durable_ms", e->durable_ms, (uint32_t)weir_min_u64(e->durable.cnt, LIST_CNT_MAX));
    print_list(
        "increment_ms", e->increment_ms, (uint32_t)weir_min_u64(e->increment_cnt, LIST_CNT_MAX));
    printf(",\"file_bytes\":%llu,\"increments\":%llu,\"increment_bytes\":%llu,"
           "\"dirty_bytes\":%llu,\"saved\":%llu,\"undo_max\":%u,\"undo_budget\":%u,"
           "\"storage_cpu_s\":%.4f,\"wall_s\":%.3f,\"held_ms\":%.2f,\"late_ms_max\":%.3f,"
           "\"tidy_ms\":%.2f}\n",
        (unsigned long long)e->file_bytes, (unsigned long long)e->increment_cnt,
        (unsigned long long)e->increment_bytes, (unsigned long long)e->dirty_bytes,
        (unsigned long long)e->saved_cnt, e->undo_max,
        b->capture.undo != NULL ? b->capture.undo->slot_cnt : 0, (double)e->storage_cpu_ns / 1e9,
        (double)e->wall_ns / 1e9, (double)e->held_ns / 1e6, (double)e->late_ns_max / 1e6,
        (double)e->tidy_ns / 1e6);
}

/* ---- set-up ---- */

static bool
has_mode(const struct bench *b, enum mode mode)
{
    for (uint32_t i = 0; i < b->entry_cnt; i++) {
        if (b->entries[i]->mode == mode) {
            return true;
        }
    }
    return false;
}

static void
build(struct bench *b)
{
    weir_clock_init_real(&b->clock);
    state_open(&b->state, &b->state_conf);
    uint32_t undo_cnt = weir_capture_undo_cnt(b->state_conf.mib * WEIR_MIB);
    if (has_mode(b, LINE) || has_mode(b, MORE)) {
        uint64_t bytes = weir_capture_footprint(&b->state.arena, undo_cnt);
        int err = weir_capture_init(
            &b->capture, &b->state.arena, undo_cnt, state_map(bytes, b->state_conf.small_pages));
        if (err < 0) {
            weir_err_print(stderr, err);
            exit(1);
        }
    }
    if (has_mode(b, PAGE)) {
        cow_open(&b->cow, &b->state, &b->clock, (uint32_t)weir_max_u64(undo_cnt / LINES_A_PAGE, 2));
    }
    if (has_mode(b, STOP)) {
        b->copy = state_map((uint64_t)b->state.page_end * WEIR_PAGE_BYTES, false);
    }
}

static void
usage(void)
{
    (void)fprintf(stderr,
        "usage: bench_snapshot PHASE[@MS],... --dir DIR [--mib N] [--rate N|full] [--zipf]\n"
        "       [--snapshots N] [--ms N] [--rounds N] [--small-pages] [--cores DATA,STORAGE]\n"
        "phases: idle none control line more page fork stop write read\n");
    exit(2);
}

static void
add_phase(struct bench *b, const char *word)
{
    enum mode mode = 0;
    const char *at = strchr(word, '@');
    size_t bytes = at != NULL ? (size_t)(at - word) : strlen(word);
    uint64_t every_ms = at != NULL ? strtoull(at + 1, NULL, 10) : 0;
    while (mode < MODE_CNT &&
           (strlen(mode_names[mode]) != bytes || memcmp(mode_names[mode], word, bytes) != 0)) {
        mode++;
    }
    if (mode == MODE_CNT || b->phase_cnt == PHASE_CNT_MAX) {
        usage();
    }
    uint32_t idx = 0;
    while (idx < b->entry_cnt &&
           (b->entries[idx]->mode != mode || b->entries[idx]->every_ms != every_ms)) {
        idx++;
    }
    if (idx == b->entry_cnt) {
        struct entry *e = calloc(1, sizeof *e);
        if (e == NULL) {
            usage();
        }
        e->mode = mode;
        e->every_ms = every_ms;
        b->entries[b->entry_cnt++] = e;
    }
    b->phases[b->phase_cnt++] = idx;
}

static bool
parse_option(struct bench *b, int opt)
{
    switch (opt) {
    case 'd':
        b->dir = optarg;
        return true;
    case 'm':
        b->state_conf.mib = strtoull(optarg, NULL, 10);
        return true;
    case 'r':
        b->rate = strcmp(optarg, "full") == 0 ? UINT64_MAX : strtoull(optarg, NULL, 10);
        return true;
    case 's':
        b->snapshot_cnt = (uint32_t)strtoul(optarg, NULL, 10);
        return true;
    case 't':
        b->ms = strtoull(optarg, NULL, 10);
        return true;
    case 'n':
        b->round_cnt = (uint32_t)strtoul(optarg, NULL, 10);
        return true;
    case 'z':
        b->state_conf.is_zipf = true;
        return true;
    case 'p':
        b->state_conf.small_pages = true;
        return true;
    default:
        return opt == 'c' && sscanf(optarg, "%d,%d", &b->core[0], &b->core[1]) == 2;
    }
}

static void
parse(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"dir", 1, NULL, 'd'}, {"mib", 1, NULL, 'm'},
        {"rate", 1, NULL, 'r'}, {"snapshots", 1, NULL, 's'}, {"ms", 1, NULL, 't'},
        {"rounds", 1, NULL, 'n'}, {"zipf", 0, NULL, 'z'}, {"small-pages", 0, NULL, 'p'},
        {"cores", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (!parse_option(b, opt)) {
            usage();
        }
    }
    char *rest = optind < argc ? argv[optind] : NULL;
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        add_phase(b, word);
    }
    if (b->dir == NULL || b->phase_cnt == 0 || b->state_conf.mib == 0 || b->snapshot_cnt == 0 ||
        b->round_cnt > ROUND_CNT_MAX || b->snapshot_cnt > TAKEN_CNT_MAX) {
        usage();
    }
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.state_conf = {.mib = 64},
        .rate = 1000000,
        .snapshot_cnt = 10,
        .round_cnt = 1,
        .ms = 1000,
        .number = 1,
        .core = {1, 0}};
    struct entry end = {.mode = MODE_CNT};
    parse(&bench, argc, argv);
    (void)sem_init(&bench.begun, 0, 0);
    build(&bench);
    pin(bench.core[0]);
    pthread_t storage;
    if (pthread_create(&storage, NULL, storage_main, &bench) != 0) {
        perror("bench_snapshot");
        return 1;
    }
    while (weir_load_acq(&bench.tidied) != 1) { /* pairs with storage_main() */
        weir_spin_hint();
    }
    run_all(&bench);
    barrier(&bench, &end);
    (void)pthread_join(storage, NULL);
    for (uint32_t i = 0; i < bench.entry_cnt; i++) {
        report(&bench, bench.entries[i]);
    }
    return 0;
}
