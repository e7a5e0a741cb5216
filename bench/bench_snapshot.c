/* SPDX-License-Identifier: Apache-2.0 */
/* bench_snapshot: what a snapshot costs the core that goes on writing.
 *
 *     bench_snapshot MODE [--mib N] [--rate UPDATES_PER_S] [--zipf] [--snapshots N] [--undo LINES]
 *                    [--increments] [--cores DATA,STORAGE]
 *
 *     none    no snapshot                               read   a storage core that only reads
 *     line    ours: lines saved before they are written page   pages saved before they are written
 *     fork    a child has the memory as it was (Redis)  stop   the data core copies all itself
 *
 * State is pages of an arena, 16-byte entries; a batch is 256 updates, drawn beforehand, lines
 * asked for ahead. One snapshot after another; time is that of a batch, with the barrier where
 * there is one, of the batches while a snapshot is live (of none: all). The storage core reads
 * every page, copies it and takes its checksum; nothing is written to a disk. A JSON line each.
 */
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/hist.h"
#include "base/rng.h"
#include "dataplane/capture.h"

#define BATCH 256
#define HUGE_BYTES (2 * WEIR_MIB)
#define STREAM_CNT (UINT64_C(1) << 22)
#define ENTRY_BYTES 16
#define PAGE_ENTRY_CNT (WEIR_ARENA_BODY_BYTES / ENTRY_BYTES)
#define ZIPF_THETA 0.99
#define ZIPF_EXACT_CNT 100000
#define BUF_BYTES (UINT64_C(1) << 20)
/* Pages that page copy-on-write may have saved and not handed over: as many bytes as the lines. */
#define LINES_A_PAGE 64
#define THROTTLE_NS_MAX 100000000
/* The mode without snapshots runs as long as so many batches take. */
#define BATCH_CNT_NONE 20000

enum mode { NONE, READ, LINE, PAGE, FORK, STOP, MODE_CNT };
static const char *const mode_names[MODE_CNT] = {"none", "read", "line", "page", "fork", "stop"};

struct bench {
    enum mode mode;
    uint64_t mib;
    uint64_t rate; /* 0: as fast as it goes */
    uint32_t snapshots;
    uint32_t undo_cnt;
    bool is_zipf;
    bool is_increment;
    int core[2];

    struct weir_arena arena;
    struct weir_capture capture;
    uint32_t page_end;
    uint32_t *stream; /* references of entries */
    char *copy; /* stop: all pages */
    char *buf;
    /* page copy-on-write */
    struct weir_ring_prod prod;
    struct weir_ring_cons cons;
    char *page_undo;
    uint32_t page_undo_cnt;
    uint32_t *copied; /* [page] the owner's */
    WEIR_ATOMIC(uint32_t) * taken; /* [page] the storage core's */

    WEIR_ATOMIC(uint32_t) begun;
    WEIR_ATOMIC(uint32_t) done;
    WEIR_ATOMIC(int) child;

    struct weir_clock clock;
    struct weir_hist hist;
    uint64_t max_ns;
    uint64_t barrier_ns_max;
    uint64_t throttle_ns;
    uint64_t update_cnt;
    uint64_t declined_cnt;
    uint32_t sum; /* keeps the readers honest */
};

static void *
must(void *ptr)
{
    if (ptr == NULL || ptr == MAP_FAILED) {
        perror("bench_snapshot");
        exit(1);
    }
    return ptr;
}

/* Small pages where a fork must copy them one by one: huge ones would cost it 2 MiB a fault. */
static void *
map(const struct bench *b, uint64_t bytes)
{
    bytes = weir_align_up(bytes, HUGE_BYTES);
    char *at = must(
        mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    at = (char *)weir_align_up((uintptr_t)at, HUGE_BYTES);
    (void)madvise(at, bytes, b->mode == FORK ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    memset(at, 0, bytes);
    return at;
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

/* ---- the updates ---- */

/* Ranks with probability 1 / (rank + 1)^0.99, as in bench_state; the tail of the sum as an
 * integral. */
static uint64_t
zipf(struct weir_rng *rng, double n, double zeta)
{
    double eta = (1 - pow(2 / n, 1 - ZIPF_THETA)) / (1 - (1 + pow(0.5, ZIPF_THETA)) / zeta);
    double u = weir_rng_unit(rng);
    if (u * zeta < 1) {
        return 0;
    }
    if (u * zeta < 1 + pow(0.5, ZIPF_THETA)) {
        return 1;
    }
    return (uint64_t)(n * pow(eta * u - eta + 1, 1 / (1 - ZIPF_THETA)));
}

static void
draw(struct bench *b)
{
    struct weir_rng rng;
    weir_rng_init(&rng, 1);
    uint64_t n = (uint64_t)(b->page_end - 1) * PAGE_ENTRY_CNT;
    double zeta = 0;
    for (uint64_t i = 1; i <= weir_min_u64(n, ZIPF_EXACT_CNT); i++) {
        zeta += pow((double)i, -ZIPF_THETA);
    }
    if (n > ZIPF_EXACT_CNT) {
        zeta += (pow((double)n, 1 - ZIPF_THETA) - pow(ZIPF_EXACT_CNT, 1 - ZIPF_THETA)) /
                (1 - ZIPF_THETA);
    }
    b->stream = must(malloc(STREAM_CNT * sizeof *b->stream));
    for (uint64_t i = 0; i < STREAM_CNT; i++) {
        uint64_t idx = weir_rng_below(&rng, n);
        if (b->is_zipf) { /* ranks lie anywhere */
            idx = weir_rng_mix(weir_min_u64(zipf(&rng, (double)n, zeta), n - 1)) % n;
        }
        uint64_t page = 1 + idx / PAGE_ENTRY_CNT;
        b->stream[i] = (uint32_t)(page * WEIR_ARENA_PAGE_REFS +
                                  WEIR_LINE_BYTES / WEIR_ARENA_REF_BYTES + idx % PAGE_ENTRY_CNT);
    }
}

/* Page copy-on-write: what weir_arena_save() is to lines. */
static void
page_save(struct bench *b, uint32_t page)
{
    /* relaxed: only this thread writes it. */
    uint32_t number = weir_load_rlx(&b->begun);
    b->copied[page] = number;
    /* Pairs with the storage thread's: it has read the page. */
    if (weir_load_acq(&b->taken[page]) == number || weir_load_acq(&b->done) == number) {
        return;
    }
    int64_t from = 0;
    while (weir_ring_room(&b->prod, 1) == 0) {
        from = from == 0 ? weir_clock_ns(&b->clock) : from;
        weir_spin_hint();
    }
    b->throttle_ns += from == 0 ? 0 : (uint64_t)(weir_clock_ns(&b->clock) - from);
    uint64_t seq = weir_ring_tail_seq(&b->prod);
    *(uint64_t *)weir_ring_prod_slot(&b->prod, 0, 8) = page;
    memcpy(b->page_undo + (seq & (b->page_undo_cnt - 1)) * WEIR_PAGE_BYTES,
        b->arena.base + (size_t)page * WEIR_PAGE_BYTES, WEIR_PAGE_BYTES);
    weir_ring_publish(&b->prod, 1);
    weir_fence_rel();
}

static inline __attribute__((always_inline)) void
update(struct bench *b, const uint32_t *ref, bool is_page)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        __builtin_prefetch(weir_arena_ptr(&b->arena, ref[i]), 1);
    }
    uint32_t number = is_page ? weir_load_rlx(&b->begun) : 0; /* relaxed: as above */
    for (uint32_t i = 0; i < BATCH; i++) {
        uint64_t *val = (uint64_t *)weir_arena_ptr(&b->arena, ref[i]);
        uint32_t page = ref[i] / WEIR_ARENA_PAGE_REFS;
        if (!is_page) {
            weir_arena_touch_line(&b->arena, val);
        } else if (WEIR_UNLIKELY(b->copied[page] != number)) {
            page_save(b, page);
        }
        ++*val;
    }
    b->update_cnt += BATCH;
}

/* ---- the storage core ---- */

static __attribute__((noinline)) void
read_page(struct bench *b, const char *page)
{
    memcpy(b->buf, page, WEIR_PAGE_BYTES);
    b->sum += weir_crc32c(0, b->buf, WEIR_PAGE_BYTES);
}

static void
page_drain(struct bench *b, uint32_t number)
{
    uint32_t cnt = weir_ring_peek(&b->cons);
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t seq = weir_ring_look_seq(&b->cons) + i;
        uint64_t page = *(uint64_t *)weir_ring_cons_slot(&b->cons, i, 8);
        read_page(b, b->page_undo + (seq & (b->page_undo_cnt - 1)) * WEIR_PAGE_BYTES);
        weir_store_rel(&b->taken[page], number); /* pairs with page_save() */
    }
    weir_ring_advance(&b->cons, cnt);
    if (cnt > 0) {
        weir_ring_release(&b->cons, cnt);
    }
}

static void
sweep(struct bench *b, const char *base, uint32_t number)
{
    for (uint32_t page = 1; page < b->page_end; page++) {
        if (b->mode == PAGE) {
            page_drain(b, number);
            if (weir_load_rlx(&b->taken[page]) == number) { /* relaxed: our own */
                continue;
            }
        }
        read_page(b, base + (size_t)page * WEIR_PAGE_BYTES);
        if (b->mode == PAGE) {
            weir_fence_acq();
            weir_store_rel(&b->taken[page], number); /* pairs with page_save() */
        }
    }
}

static void
capture(struct bench *b, uint32_t number)
{
    bool is_full = !b->is_increment || number == 1;
    int64_t got = weir_capture_begin(&b->capture, number, is_full);
    do {
        got = got < 0 ? got : weir_capture_fill(&b->capture, b->buf, BUF_BYTES);
    } while (got > 0);
    if (got == WEIR_DONE) {
        (void)weir_capture_commit(&b->capture, number);
        return;
    }
    b->declined_cnt++;
    while (weir_capture_tidy(&b->capture) == WEIR_AGAIN) {
    }
}

static void *
storage_main(void *arg)
{
    struct bench *b = (struct bench *)arg;
    pin(b->core[1]);
    for (uint32_t number = 1; number <= b->snapshots; number++) {
        while (weir_load_acq(&b->begun) != number) { /* pairs with barrier() */
            weir_spin_hint();
        }
        if (b->mode == LINE) {
            capture(b, number);
        } else if (b->mode == FORK) {
            int status;
            (void)waitpid(weir_load_acq(&b->child), &status, 0);
        } else {
            sweep(b, b->mode == STOP ? b->copy : b->arena.base, number);
            if (b->mode == PAGE) {
                page_drain(b, number);
            }
        }
        weir_store_rel(&b->done, number); /* pairs with run() */
    }
    return NULL;
}

/* ---- the data core ---- */

static void
barrier(struct bench *b, uint32_t number)
{
    int64_t from = weir_clock_ns(&b->clock);
    if (b->mode == LINE) {
        if (weir_arena_snapshot_begin(&b->arena) != WEIR_DONE) {
            abort();
        }
    } else if (b->mode == STOP) {
        memcpy(b->copy, b->arena.base, (size_t)b->page_end * WEIR_PAGE_BYTES);
    } else if (b->mode == FORK) {
        pid_t pid = fork();
        if (pid == 0) {
            pin(b->core[1]);
            sweep(b, b->arena.base, number);
            _exit(0);
        }
        weir_store_rel(&b->child, (int)pid);
    }
    weir_store_rel(&b->begun, number); /* pairs with storage_main() */
    uint64_t ns = (uint64_t)(weir_clock_ns(&b->clock) - from);
    b->barrier_ns_max = weir_max_u64(b->barrier_ns_max, ns);
}

/* As a task does: wait where the budget is nearly used up, and decline after a while. */
static void
throttle(struct bench *b)
{
    if (weir_arena_snapshot_poll(&b->arena) != WEIR_ARENA_SNAPSHOT_FULL) {
        return;
    }
    int64_t from = weir_clock_ns(&b->clock);
    int64_t now = from;
    while (weir_arena_snapshot_poll(&b->arena) == WEIR_ARENA_SNAPSHOT_FULL) {
        now = weir_clock_ns(&b->clock);
        if (now - from > THROTTLE_NS_MAX) {
            weir_arena_snapshot_decline(&b->arena);
        }
        weir_spin_hint();
    }
    b->throttle_ns += (uint64_t)(now - from);
}

static int64_t
run(struct bench *b)
{
    uint32_t number = 0;
    uint64_t at = 0;
    int64_t start = weir_clock_ns(&b->clock);
    int64_t next = start;
    for (uint64_t batch = 0;; batch++) {
        int64_t from = weir_clock_ns(&b->clock);
        while (from < next) {
            weir_spin_hint();
            from = weir_clock_ns(&b->clock);
        }
        next += b->rate == 0 ? 0 : (int64_t)(BATCH * UINT64_C(1000000000) / b->rate);
        bool is_live = weir_load_acq(&b->done) != number; /* pairs with storage_main() */
        if (!is_live && (number == b->snapshots || batch == BATCH_CNT_NONE) &&
            (b->mode != NONE || batch == BATCH_CNT_NONE)) {
            return from - start;
        }
        if (!is_live && b->mode != NONE) {
            barrier(b, ++number);
            is_live = true;
        }
        if (b->mode == LINE) {
            throttle(b);
        }
        if (b->mode == PAGE) {
            update(b, b->stream + at, true);
        } else {
            update(b, b->stream + at, false);
        }
        at = (at + BATCH) % STREAM_CNT;
        if (is_live || b->mode == NONE) {
            uint64_t ns = (uint64_t)(weir_clock_ns(&b->clock) - from);
            weir_hist_record(&b->hist, ns);
            b->max_ns = weir_max_u64(b->max_ns, ns);
        }
    }
}

/* ---- set-up ---- */

static void
check(int err)
{
    if (err < 0) {
        weir_err_print(stderr, err);
        exit(1);
    }
}

static void
build_page_mode(struct bench *b)
{
    b->page_undo_cnt = (uint32_t)weir_max_u64(b->undo_cnt / LINES_A_PAGE, 2);
    struct weir_ring_shape shape = {b->page_undo_cnt, 8};
    void *ring = map(b, weir_ring_footprint(&shape));
    check(weir_ring_new(ring, &shape));
    check(weir_ring_prod_join(&b->prod, ring, 8));
    check(weir_ring_cons_join(&b->cons, ring, 8));
    b->page_undo = map(b, (uint64_t)b->page_undo_cnt * WEIR_PAGE_BYTES);
    b->copied = map(b, b->page_end * sizeof *b->copied);
    b->taken = map(b, b->page_end * sizeof *b->taken);
}

static void
build(struct bench *b)
{
    weir_clock_init_real(&b->clock);
    weir_hist_init(&b->hist);
    uint64_t bytes = b->mib * WEIR_MIB + b->mib * WEIR_MIB / 16 + WEIR_MIB;
    struct weir_arena_spec spec = {"bench_snapshot", 128, {0, 128}, 16};
    check(weir_arena_init(&b->arena, &spec, map(b, bytes), bytes));
    uint32_t page_cnt = (uint32_t)(b->mib * WEIR_MIB / WEIR_PAGE_BYTES);
    for (uint32_t i = 0; i < page_cnt; i++) {
        uint32_t page;
        check(weir_arena_page_take(&b->arena, &page));
        ((struct weir_slab *)weir_arena_ptr(&b->arena, page * WEIR_ARENA_PAGE_REFS))->kind =
            WEIR_PAGE_BUCKET;
    }
    b->page_end = b->arena.page_fresh;
    b->buf = map(b, BUF_BYTES);
    if (b->mode == LINE) {
        void *mem = map(b, weir_capture_footprint(&b->arena, b->undo_cnt));
        check(weir_capture_init(&b->capture, &b->arena, b->undo_cnt, mem));
    } else if (b->mode == PAGE) {
        build_page_mode(b);
    } else if (b->mode == STOP) {
        b->copy = map(b, (uint64_t)b->page_end * WEIR_PAGE_BYTES);
    }
    draw(b);
}

static void
report(const struct bench *b, int64_t ns)
{
    const struct weir_capture *c = &b->capture;
    printf("{\"mode\":\"%s\",\"mib\":%llu,\"rate\":%llu,\"keys\":\"%s\",\"snapshots\":%u,"
           "\"declined\":%llu,\"p50_us\":%.2f,\"p9999_us\":%.2f,\"max_us\":%.1f,"
           "\"barrier_max_us\":%.1f,\"throttle_ms\":%.1f,\"updates_per_us\":%.2f,"
           "\"snapshot_ms\":%.2f,\"lines_saved\":%llu,\"pages_hot\":%llu}\n",
        mode_names[b->mode], (unsigned long long)b->mib, (unsigned long long)b->rate,
        b->is_zipf ? "zipf" : "uniform", b->snapshots, (unsigned long long)b->declined_cnt,
        (double)weir_hist_ns_at(&b->hist, 0.5) / 1e3,
        (double)weir_hist_ns_at(&b->hist, 0.9999) / 1e3, (double)b->max_ns / 1e3,
        (double)b->barrier_ns_max / 1e3, (double)b->throttle_ns / 1e6,
        (double)b->update_cnt * 1e3 / (double)ns,
        b->mode == NONE ? 0 : (double)ns / 1e6 / b->snapshots,
        (unsigned long long)(c->undo != NULL ? c->undo->saved_cnt : 0),
        (unsigned long long)c->hot_cnt);
}

static void
usage(void)
{
    (void)fprintf(stderr, "usage: bench_snapshot none|read|line|page|fork|stop [--mib N] "
                          "[--rate N] [--zipf] [--snapshots N] [--undo LINES] [--increments] "
                          "[--cores DATA,STORAGE]\n");
    exit(2);
}

static void
parse(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"mib", 1, NULL, 'm'}, {"rate", 1, NULL, 'r'},
        {"zipf", 0, NULL, 'z'}, {"snapshots", 1, NULL, 's'}, {"undo", 1, NULL, 'u'},
        {"increments", 0, NULL, 'i'}, {"cores", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (opt) {
        case 'm':
            b->mib = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            b->rate = strtoull(optarg, NULL, 10);
            break;
        case 's':
            b->snapshots = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'u':
            b->undo_cnt = (uint32_t)weir_pow2_up(strtoull(optarg, NULL, 10));
            break;
        case 'z':
            b->is_zipf = true;
            break;
        case 'i':
            b->is_increment = true;
            break;
        case 'c':
            if (sscanf(optarg, "%d,%d", &b->core[0], &b->core[1]) != 2) {
                usage();
            }
            break;
        default:
            usage();
        }
    }
    const char *mode = optind < argc ? argv[optind] : "";
    for (b->mode = NONE; b->mode < MODE_CNT && strcmp(mode, mode_names[b->mode]) != 0; b->mode++) {
    }
    if (b->mode == MODE_CNT || b->mib == 0 || b->snapshots == 0) {
        usage();
    }
}

int
main(int argc, char **argv)
{
    static struct bench bench = {
        .mib = 64, .rate = 1000000, .snapshots = 20, .undo_cnt = 1 << 20, .core = {0, 1}};
    parse(&bench, argc, argv);
    build(&bench);
    pin(bench.core[0]);
    pthread_t storage;
    if (bench.mode != NONE && pthread_create(&storage, NULL, storage_main, &bench) != 0) {
        perror("bench_snapshot");
        return 1;
    }
    int64_t ns = run(&bench);
    if (bench.mode != NONE) {
        (void)pthread_join(storage, NULL);
    }
    report(&bench, ns);
    return 0;
}
