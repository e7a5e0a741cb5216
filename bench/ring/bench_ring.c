/* SPDX-License-Identifier: Apache-2.0 */
/* bench_ring: our ring and its peers in one run, one JSON line per (size, batch, ring).
 *
 *     bench_ring [--rounds N] [--ms N] [--cores A,B] [--size N] [--batch N] [--slots N] [--only
 *     NAME]
 *
 * A round measures every ring forward and then backward (A B C C B A), so that drift of the host
 * hits all alike; a ring's figure of the round is the mean of its two, and its ratio is ours over
 * it. Printed are the medians over the rounds, and every round's ratio for a later interval.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/ring/peer.h"

#define ROUND_CNT_MAX 100

static const struct ring_peer *const peers[] = {
    &ring_peer_weir, &ring_peer_rte, &ring_peer_rte_zc, &ring_peer_ck, &ring_peer_boost};
#define PEER_CNT (sizeof peers / sizeof peers[0])

struct options {
    uint32_t round_cnt;
    uint32_t ms;
    uint32_t cores[2];
    uint32_t size;
    uint32_t batch;
    uint32_t slot_cnt;
    const char *only;
};

struct trial {
    const struct ring_peer *peer;
    void *qs[2];
    uint32_t bytes;
    uint32_t batch;
    uint64_t cnt;
    bool is_ping;
    uint32_t core;
    pthread_barrier_t start;
};

static double
now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
pin(uint32_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        (void)fprintf(stderr, "bench_ring: cannot pin to core %u\n", core);
        exit(1);
    }
}

static void *
other_side(void *arg)
{
    struct trial *trial = arg;
    pin(trial->core);
    (void)pthread_barrier_wait(&trial->start);
    if (!trial->is_ping) {
        trial->peer->produce(trial->qs[0], trial->bytes, trial->cnt, trial->batch);
        return NULL;
    }
    for (uint64_t i = 0; i < trial->cnt; i++) {
        (void)trial->peer->consume(trial->qs[0], trial->bytes, 1, 1);
        trial->peer->produce(trial->qs[1], trial->bytes, 1, 1);
    }
    return NULL;
}

/* The sum of all words of messages 0 to cnt - 1, as ring_fill writes them. */
static uint64_t
expected_sum(uint64_t cnt, uint64_t word_cnt)
{
    uint64_t seqs = cnt % 2 == 0 ? cnt / 2 * (cnt - 1) : (cnt - 1) / 2 * cnt;
    return seqs * word_cnt + cnt * (word_cnt * (word_cnt - 1) / 2);
}

/* Returns ns per message, or per round trip. */
static double
run_trial(const struct options *opt, struct trial *trial)
{
    trial->qs[0] = trial->peer->open(opt->slot_cnt, trial->bytes);
    trial->qs[1] = trial->peer->open(opt->slot_cnt, trial->bytes);
    trial->core = opt->cores[1];
    pthread_t thread;
    if (pthread_barrier_init(&trial->start, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, other_side, trial) != 0) {
        abort();
    }
    (void)pthread_barrier_wait(&trial->start);
    double from_ns = now_ns();
    uint64_t sum = 0;
    uint64_t wanted = 0;
    if (!trial->is_ping) {
        sum = trial->peer->consume(trial->qs[0], trial->bytes, trial->cnt, trial->batch);
        wanted = expected_sum(trial->cnt, trial->bytes / 8);
    } else {
        for (uint64_t i = 0; i < trial->cnt; i++) {
            trial->peer->produce(trial->qs[0], trial->bytes, 1, 1);
            sum += trial->peer->consume(trial->qs[1], trial->bytes, 1, 1);
        }
        wanted = trial->cnt * expected_sum(1, trial->bytes / 8);
    }
    double took_ns = now_ns() - from_ns;
    (void)pthread_join(thread, NULL);
    (void)pthread_barrier_destroy(&trial->start);
    trial->peer->close(trial->qs[0]);
    trial->peer->close(trial->qs[1]);
    if (sum != wanted) {
        (void)fprintf(stderr, "bench_ring: %s lost or changed messages\n", trial->peer->name);
        exit(1);
    }
    return took_ns / (double)trial->cnt;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double
median(const double *values, uint32_t cnt)
{
    double sorted[ROUND_CNT_MAX];
    memcpy(sorted, values, cnt * sizeof sorted[0]);
    qsort(sorted, cnt, sizeof sorted[0], compare_doubles);
    return cnt % 2 == 1 ? sorted[cnt / 2] : (sorted[cnt / 2 - 1] + sorted[cnt / 2]) / 2;
}

static void
print_line(const struct options *opt, const struct trial *trial, const double *figures,
    const double *ratios)
{
    uint32_t n = opt->round_cnt;
    (void)printf("{\"bench\": \"ring\", \"test\": \"%s\", \"ring\": \"%s\", \"bytes\": %u, "
                 "\"batch\": %u, \"slots\": %u, \"rounds\": %u, \"ns\": %.3f, "
                 "\"weir_over_it\": %.3f, \"ratios\": [",
        trial->is_ping ? "ping-pong" : "stream", trial->peer->name, trial->bytes, trial->batch,
        opt->slot_cnt, n, median(figures, n), median(ratios, n));
    for (uint32_t i = 0; i < n; i++) {
        (void)printf("%s%.3f", i > 0 ? ", " : "", ratios[i]);
    }
    (void)printf("]}\n");
    (void)fflush(stdout);
}

static void
run_point(const struct options *opt, struct trial *trial)
{
    static double figures[PEER_CNT][ROUND_CNT_MAX];
    static double ratios[PEER_CNT][ROUND_CNT_MAX];
    /* About opt->ms for each trial at 3 ns a message, 100 ns a round trip. */
    trial->cnt = (uint64_t)opt->ms * (trial->is_ping ? 10000 : 333333);
    for (uint32_t r = 0; r < opt->round_cnt; r++) {
        for (uint32_t k = 0; k < 2 * PEER_CNT; k++) {
            uint32_t p = k < PEER_CNT ? k : (uint32_t)(2 * PEER_CNT - 1 - k);
            if (opt->only != NULL && strcmp(opt->only, peers[p]->name) != 0) {
                continue;
            }
            trial->peer = peers[p];
            double ns = run_trial(opt, trial);
            figures[p][r] = k < PEER_CNT ? ns : (figures[p][r] + ns) / 2;
        }
    }
    for (uint32_t p = 0; p < PEER_CNT; p++) {
        for (uint32_t r = 0; r < opt->round_cnt; r++) {
            ratios[p][r] = opt->only == NULL ? figures[0][r] / figures[p][r] : 1;
        }
        trial->peer = peers[p];
        if (opt->only == NULL || strcmp(opt->only, peers[p]->name) == 0) {
            print_line(opt, trial, figures[p], ratios[p]);
        }
    }
}

static int
read_options(int argc, char **argv, struct options *ret_opt)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint32_t value = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--rounds") == 0) {
            ret_opt->round_cnt = value;
        } else if (strcmp(argv[i], "--ms") == 0) {
            ret_opt->ms = value;
        } else if (strcmp(argv[i], "--size") == 0) {
            ret_opt->size = value;
        } else if (strcmp(argv[i], "--batch") == 0) {
            ret_opt->batch = value;
        } else if (strcmp(argv[i], "--slots") == 0) {
            ret_opt->slot_cnt = value;
        } else if (strcmp(argv[i], "--only") == 0) {
            ret_opt->only = argv[i + 1];
        } else if (strcmp(argv[i], "--cores") != 0 ||
                   sscanf(argv[i + 1], "%u,%u", &ret_opt->cores[0], &ret_opt->cores[1]) != 2) {
            return -1;
        }
    }
    bool is_good = argc % 2 == 1 && ret_opt->round_cnt > 0 && ret_opt->round_cnt <= ROUND_CNT_MAX;
    return is_good && ret_opt->ms > 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
    struct options opt = {.round_cnt = 10, .ms = 5, .cores = {0, 1}, .slot_cnt = 1024};
    if (read_options(argc, argv, &opt) != 0) {
        (void)fprintf(stderr, "usage: bench_ring [--rounds N] [--ms N] [--cores A,B] [--size N] "
                              "[--batch N] [--slots N] [--only NAME]\n");
        return 2;
    }
    pin(opt.cores[0]);
    static const uint32_t sizes[] = {8, 16, 64, 192};
    static const uint32_t batches[] = {1, 8, 32, 128};
    for (size_t s = 0; s < 4; s++) {
        for (size_t b = 0; b < 4; b++) {
            struct trial trial = {.bytes = sizes[s], .batch = batches[b]};
            bool is_asked = (opt.size == 0 ? sizes[s] <= 64 : opt.size == sizes[s]) &&
                            (opt.batch == 0 || opt.batch == batches[b]);
            if (is_asked) {
                run_point(&opt, &trial);
            }
        }
        if ((opt.size == 0 && sizes[s] <= 64) || opt.size == sizes[s]) {
            struct trial trial = {.bytes = sizes[s], .batch = 1, .is_ping = true};
            run_point(&opt, &trial);
        }
    }
    return 0;
}
