// SPDX-License-Identifier: Apache-2.0
// bench_state: one update (find the key or make it, add 1) of keyed state, beside a flat table,
// std::unordered_map and a packaged fast map, all with the same hash in the same run.
//
//     bench_state [Google Benchmark's flags]          all maps, 10^2 to 10^7 keys, uniform and Zipf
//     bench_state --contest KEYS uniform|zipf ROUNDS  all maps in turn, a JSON line each
//
// Keys are drawn beforehand; 8-byte keys, 8-byte values, batches of 256 where the map has batches.
#include <benchmark/benchmark.h>
#include <tsl/robin_map.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include "base/region.h"
}
#include "base/rng.h"
#include "dataplane/table.h"

namespace {

constexpr size_t STREAM_CNT = size_t{1} << 22;
constexpr uint32_t BATCH = 256;
constexpr uint32_t GROUPS = 128;

[[noreturn]] void
fail(int err)
{
    weir_err_print(stderr, err);
    std::exit(weir_err_exit_code(err));
}

// Memory in the largest pages that the host gives, for our table and the flat one alike.
class Memory {
  public:
    explicit Memory(uint64_t bytes)
    {
        weir_region_options options = {};
        options.name = "bench_state";
        options.bytes = bytes + WEIR_MIB;
        options.node = WEIR_REGION_NODE_ANY;
        weir_region_report report = {};
        int err = weir_region_open(&options, &report, &region_);
        weir_region_owner owner = {0, 0, "bench"};
        if (err == 0) {
            err = weir_region_carve(region_, bytes, WEIR_PAGE_BYTES, owner, &ptr_);
        }
        if (err < 0) {
            fail(err);
        }
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    ~Memory()
    {
        weir_region_close(region_);
    }
    void *ptr() const
    {
        return ptr_;
    }

  private:
    weir_region *region_ = nullptr;
    void *ptr_ = nullptr;
};

uint64_t
key_of(uint64_t idx)
{
    return weir_rng_mix(idx + 1);
}

// Ranks 0.. with probability 1 / (rank + 1)^0.99. Source: Gray et al., "Quickly generating
// billion-record synthetic databases", SIGMOD 1994.
class Zipf {
  public:
    explicit Zipf(uint64_t n) : n_(static_cast<double>(n))
    {
        for (uint64_t i = 1; i <= n; i++) {
            zeta_ += std::pow(static_cast<double>(i), -THETA);
        }
        eta_ = (1 - std::pow(2 / n_, 1 - THETA)) / (1 - (1 + std::pow(0.5, THETA)) / zeta_);
    }
    uint64_t draw(weir_rng *rng) const
    {
        double u = weir_rng_unit(rng);
        double uz = u * zeta_;
        if (uz < 1) {
            return 0;
        }
        if (uz < 1 + std::pow(0.5, THETA)) {
            return 1;
        }
        auto rank = static_cast<uint64_t>(n_ * std::pow(eta_ * u - eta_ + 1, 1 / (1 - THETA)));
        return rank < static_cast<uint64_t>(n_) ? rank : static_cast<uint64_t>(n_) - 1;
    }

  private:
    static constexpr double THETA = 0.99;
    double n_;
    double zeta_ = 0;
    double eta_;
};

std::vector<uint64_t>
stream_of(uint64_t keys, bool zipf)
{
    std::vector<uint64_t> stream(STREAM_CNT);
    weir_rng rng;
    weir_rng_init(&rng, 1);
    std::unique_ptr<Zipf> z = zipf ? std::make_unique<Zipf>(keys) : nullptr;
    for (uint64_t &key : stream) {
        key = key_of(zipf ? z->draw(&rng) : weir_rng_below(&rng, keys));
    }
    return stream;
}

// Ours.
class Weir {
  public:
    explicit Weir(uint64_t keys)
        : bytes_(weir_align_up(keys * 64 + 32 * WEIR_MIB, WEIR_PAGE_BYTES)), memory_(bytes_)
    {
        weir_arena_spec spec = {"bench_state", GROUPS, {0, GROUPS}, 16};
        int err = weir_arena_init(&arena_, &spec, memory_.ptr(), bytes_);
        weir_table_spec table = {1, WEIR_KEY_8, 8, 0};
        if (err == 0) {
            err = weir_table_take(&arena_, &table, 0, &table_);
        }
        if (err < 0) {
            fail(err);
        }
    }
    void update(const uint64_t *keys)
    {
        for (uint32_t i = 0; i < BATCH; i++) {
            hash_[i] = weir_hash_u64(keys[i]);
        }
        weir_table_rows rows = {hash_, reinterpret_cast<const char *>(keys), nullptr, 8, BATCH,
            val_, nullptr, 0, false};
        for (uint32_t at = 0; at < BATCH;) {
            int done = weir_table_resolve(table_, &rows, at);
            if (done <= 0) {
                fail(done);
            }
            for (uint32_t end = at + static_cast<uint32_t>(done); at < end; at++) {
                ++*static_cast<uint64_t *>(val_[at]);
            }
        }
    }
    uint64_t sum()
    {
        uint64_t sum = 0;
        weir_table_cursor cursor = {};
        while (uint32_t n = weir_table_scan(table_, &cursor, BATCH, nullptr, val_)) {
            for (uint32_t i = 0; i < n; i++) {
                sum += *static_cast<uint64_t *>(val_[i]);
            }
        }
        return sum;
    }

  private:
    uint64_t bytes_;
    Memory memory_;
    weir_arena arena_;
    weir_table *table_ = nullptr;
    uint64_t hash_[BATCH];
    void *val_[BATCH];
};

// What a hand-written kernel would do: a power of two of slots, at most half full, linear probing,
// lines asked for a batch ahead where the table is larger than a second-level cache. It never
// grows.
class Flat {
  public:
    explicit Flat(uint64_t keys)
        : mask_(weir_pow2_up(keys * 2) - 1),
          memory_(weir_align_up((mask_ + 1) * 16, WEIR_PAGE_BYTES)),
          slot_(static_cast<Slot *>(memory_.ptr())), ahead_((mask_ + 1) * 16 > 768 * WEIR_KIB)
    {
    }
    void update(const uint64_t *keys)
    {
        for (uint32_t i = 0; i < BATCH; i++) {
            at_[i] = weir_hash_u64(keys[i]) & mask_;
        }
        if (ahead_) {
            for (uint64_t at : at_) {
                __builtin_prefetch(&slot_[at], 1);
            }
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            uint64_t at = at_[i];
            while (slot_[at].key != keys[i]) {
                if (slot_[at].key == 0) { // no key of ours is 0
                    slot_[at].key = keys[i];
                    break;
                }
                at = (at + 1) & mask_;
            }
            slot_[at].n++;
        }
    }
    uint64_t sum()
    {
        uint64_t sum = 0;
        for (uint64_t i = 0; i <= mask_; i++) {
            sum += slot_[i].n;
        }
        return sum;
    }

  private:
    struct Slot {
        uint64_t key;
        uint64_t n;
    };
    uint64_t mask_;
    Memory memory_;
    Slot *slot_;
    bool ahead_;
    uint64_t at_[BATCH];
};

struct Hash {
    size_t operator()(uint64_t key) const
    {
        return weir_hash_u64(key);
    }
};

template <typename Map> class Packaged {
  public:
    explicit Packaged(uint64_t keys)
    {
        map_.reserve(keys);
    }
    void update(const uint64_t *keys)
    {
        for (uint32_t i = 0; i < BATCH; i++) {
            ++map_[keys[i]];
        }
    }
    uint64_t sum()
    {
        uint64_t sum = 0;
        for (const auto &entry : map_) {
            sum += entry.second;
        }
        return sum;
    }

  private:
    Map map_;
};
using Std = Packaged<std::unordered_map<uint64_t, uint64_t, Hash>>;
using Robin = Packaged<tsl::robin_map<uint64_t, uint64_t, Hash>>;

template <typename Map>
void
fill(Map *map, uint64_t keys)
{
    uint64_t batch[BATCH];
    for (uint64_t i = 0; i < keys; i += BATCH) {
        for (uint64_t k = 0; k < BATCH; k++) {
            batch[k] = key_of((i + k) % keys);
        }
        map->update(batch);
    }
}

template <typename Map>
void
update(benchmark::State &state)
{
    auto keys = static_cast<uint64_t>(state.range(0));
    std::vector<uint64_t> stream = stream_of(keys, state.range(1) != 0);
    Map map(keys);
    fill(&map, keys);
    size_t at = 0;
    for (auto _ : state) {
        map.update(stream.data() + at);
        at = (at + BATCH) % STREAM_CNT;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * BATCH);
    state.counters["ns"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * BATCH * 1e-9,
            benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void
points(benchmark::internal::Benchmark *bench)
{
    bench->ArgNames({"keys", "zipf"});
    for (int64_t zipf = 0; zipf < 2; zipf++) {
        for (int64_t keys = 100; keys <= 10000000; keys *= 10) {
            bench->Args({keys, zipf});
        }
    }
}
BENCHMARK(update<Weir>)->Apply(points);
BENCHMARK(update<Flat>)->Apply(points);
BENCHMARK(update<Robin>)->Apply(points);
BENCHMARK(update<Std>)->Apply(points);

// One of the maps that a contest runs in turn.
class Entry {
  public:
    explicit Entry(const char *name) : name_(name)
    {
    }
    Entry(const Entry &) = delete;
    Entry &operator=(const Entry &) = delete;
    virtual ~Entry() = default;
    void pass(const std::vector<uint64_t> &stream, bool keep)
    {
        auto start = std::chrono::steady_clock::now();
        update(stream);
        std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        if (keep) {
            ns_.push_back(took.count() / static_cast<double>(STREAM_CNT));
        }
    }
    // As bench/graph/contest.h has it; the answer is the sum of all counts.
    void print(uint64_t keys, const char *draw)
    {
        std::printf("{\"name\":\"%s-%llu-%s\",\"ns\":[", name_,
            static_cast<unsigned long long>(keys), draw);
        for (size_t i = 0; i < ns_.size(); i++) {
            std::printf("%s%.4f", i > 0 ? "," : "", ns_[i]);
        }
        std::printf("],\"events\":%llu,\"rows\":%llu,\"checksum\":\"%016llx\"}\n",
            static_cast<unsigned long long>(STREAM_CNT), static_cast<unsigned long long>(keys),
            static_cast<unsigned long long>(sum()));
    }

  protected:
    virtual void update(const std::vector<uint64_t> &stream) = 0;
    virtual uint64_t sum() = 0;

  private:
    const char *name_;
    std::vector<double> ns_;
};

template <typename Map> class EntryOf : public Entry {
  public:
    EntryOf(const char *name, uint64_t keys) : Entry(name), map_(keys)
    {
        fill(&map_, keys);
    }

  protected:
    void update(const std::vector<uint64_t> &stream) override
    {
        for (size_t at = 0; at < STREAM_CNT; at += BATCH) {
            map_.update(stream.data() + at);
        }
    }
    uint64_t sum() override
    {
        return map_.sum();
    }

  private:
    Map map_;
};

// All maps hold the same keys, filled before the clock; a round passes the stream through each of
// them forward and then backward (A B C C B A), the first pass being a warm-up.
void
contest(uint64_t keys, bool zipf, int rounds)
{
    std::vector<uint64_t> stream = stream_of(keys, zipf);
    std::vector<std::unique_ptr<Entry>> entries;
    entries.push_back(std::make_unique<EntryOf<Weir>>("weir", keys));
    entries.push_back(std::make_unique<EntryOf<Flat>>("flat", keys));
    entries.push_back(std::make_unique<EntryOf<Robin>>("robin", keys));
    entries.push_back(std::make_unique<EntryOf<Std>>("std", keys));
    for (auto &entry : entries) {
        entry->pass(stream, false);
    }
    for (int round = 0; round < rounds; round++) {
        for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
            (*entry)->pass(stream, true);
        }
        for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
            (*entry)->pass(stream, true);
        }
    }
    for (auto &entry : entries) {
        entry->print(keys, zipf ? "zipf" : "uniform");
    }
}

int
contest_main(int argc, char **argv)
{
    uint64_t keys = argc == 5 ? std::strtoull(argv[2], nullptr, 10) : 0;
    int rounds = argc == 5 ? std::atoi(argv[4]) : 0;
    if (keys == 0 || rounds <= 0) {
        std::fprintf(stderr, "usage: bench_state --contest KEYS uniform|zipf ROUNDS\n");
        return WEIR_EXIT_USAGE;
    }
    contest(keys, std::strcmp(argv[3], "zipf") == 0, rounds);
    return 0;
}

} // namespace

int
main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "--contest") == 0) {
        return contest_main(argc, argv);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return WEIR_EXIT_USAGE;
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
