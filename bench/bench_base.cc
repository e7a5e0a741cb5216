/* SPDX-License-Identifier: Apache-2.0 */
/* bench_base.cc: what one call of base's hot units costs, each beside its peer where it has one.
 *
 *     ninja -C build/release bench/bench_base && build/release/bench/bench_base
 */
#include <benchmark/benchmark.h>

#include <time.h>

#include <random>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/hash.h"
#include "base/hist.h"
#include "base/rng.h"

namespace {

constexpr size_t KEY_CNT = 4096;

std::vector<uint64_t>
keys()
{
    std::vector<uint64_t> made(KEY_CNT);
    for (size_t i = 0; i < KEY_CNT; i++) {
        made[i] = weir_rng_at(1, i);
    }
    return made;
}

/* A batch of keys a turn, as an exchange hashes them: what counts is throughput, not latency. */
template <typename Hash>
void
hash_batch(benchmark::State &state, Hash hash)
{
    std::vector<uint64_t> in = keys();
    std::vector<uint64_t> out(KEY_CNT);
    for (auto _ : state) {
        for (size_t i = 0; i < KEY_CNT; i++) {
            out[i] = hash(in[i]);
        }
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * (int64_t)KEY_CNT);
}

void
hash_u64(benchmark::State &state)
{
    hash_batch(state, [](uint64_t key) { return weir_hash_u64(key); });
}

void
hash_u64_xxhash(benchmark::State &state)
{
    hash_batch(state, [](uint64_t key) { return (uint64_t)XXH3_64bits(&key, sizeof key); });
}

void
hash_bytes(benchmark::State &state)
{
    std::vector<uint64_t> in = keys();
    size_t bytes = (size_t)state.range(0);
    const char *text = (const char *)in.data();
    size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(weir_hash_bytes(text + at, bytes));
        at = (at + 13) & (KEY_CNT - 1);
    }
}

void
clock_ns(benchmark::State &state)
{
    struct weir_clock clock;
    weir_clock_init_real(&clock);
    state.SetLabel(weir_clock_source_name(&clock));
    for (auto _ : state) {
        benchmark::DoNotOptimize(weir_clock_ns(&clock));
    }
}

void
clock_gettime_ns(benchmark::State &state)
{
    struct timespec ts;
    for (auto _ : state) {
        benchmark::DoNotOptimize(clock_gettime(CLOCK_MONOTONIC, &ts));
    }
}

void
rng_u64(benchmark::State &state)
{
    struct weir_rng rng;
    weir_rng_init(&rng, 1);
    for (auto _ : state) {
        benchmark::DoNotOptimize(weir_rng_u64(&rng));
    }
}

void
rng_mt19937_64(benchmark::State &state)
{
    std::mt19937_64 rng(1);
    for (auto _ : state) {
        benchmark::DoNotOptimize(rng());
    }
}

void
hist_record(benchmark::State &state)
{
    static struct weir_hist hist;
    weir_hist_init(&hist);
    uint64_t ns = 1;
    for (auto _ : state) {
        weir_hist_record(&hist, ns);
        ns = (ns * 5 + 1) & 0xfffff;
        benchmark::ClobberMemory();
    }
}

void
crc32c(benchmark::State &state)
{
    std::vector<char> data((size_t)state.range(0), 'w');
    uint32_t crc = 0;
    for (auto _ : state) {
        crc = weir_crc32c(crc, data.data(), data.size());
    }
    benchmark::DoNotOptimize(crc);
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(hash_u64);
BENCHMARK(hash_u64_xxhash);
BENCHMARK(hash_bytes)->Arg(3)->Arg(8)->Arg(16)->Arg(17)->Arg(64);
BENCHMARK(clock_ns);
BENCHMARK(clock_gettime_ns);
BENCHMARK(rng_u64);
BENCHMARK(rng_mt19937_64);
BENCHMARK(hist_record);
BENCHMARK(crc32c)->Arg(64)->Arg(4096)->Arg(65536);

} // namespace

BENCHMARK_MAIN();
