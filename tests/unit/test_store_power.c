/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts by model: a job's checkpoints on a disk that loses, keeps or tears all that is not
 * synced. Each world lives many lives; each life is cut at a random poll, at any step of start,
 * snapshot, commit or tidy. What a start then finds is never older than what was notified, and its
 * bytes are right.
 */
#include <inttypes.h>

#include "tests/unit/store_rig.h"

#define LIFE_CNT 20
/* With a sanitizer, which is slow, fewer: they look for other things. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STATE_CNT 2000
#else
#define STATE_CNT 20000
#endif
#define LIFE_POLL_CNT_MAX 500

struct tally {
    uint64_t states;
    uint64_t starts;
    uint64_t restores;
    uint64_t commits;
    uint64_t unnotified; /* found newer than what was notified */
};

struct world {
    struct weir_sim *sim;
    struct weir_rng rng;
    uint64_t notified;
    uint64_t tried; /* the highest id a commit was begun for */
};

/* A life up to its cut; false where something is wrong. */
static bool
live(struct rig *rig, struct world *world, struct tally *tally)
{
    int status = rig_start(rig);
    if (status != 0) {
        if (status != RIG_CUT) {
            print_message("start: %d %s\n", status, weir_store_fault(rig->store));
        }
        return status == RIG_CUT;
    }
    tally->starts++;
    const struct weir_manifest *manifest = weir_store_restored(rig->store);
    uint64_t found = manifest != NULL ? manifest->checkpoint : 0;
    if (found < world->notified || found > world->tried) {
        print_message("found %" PRIu64 ", notified %" PRIu64 ", tried %" PRIu64 "\n", found,
            world->notified, world->tried);
        return false;
    }
    tally->unnotified += found > world->notified ? 1 : 0;
    world->notified = found; /* to start from it is to commit its transactions */
    status = rig_restore(rig);
    if (status != 0) {
        if (status != RIG_CUT) {
            print_message("restore: %d %s\n", status, weir_snapshot_read_fault(rig->reader)->text);
        }
        return status == RIG_CUT;
    }
    tally->restores++;
    for (;;) {
        uint64_t id = weir_store_checkpoint_next(rig->store);
        if (id <= world->notified) {
            print_message("id %" PRIu64 " again\n", id);
            return false;
        }
        world->tried = weir_max_u64(world->tried, id);
        status = rig_checkpoint(rig, id);
        if (status != 0) {
            return status == RIG_CUT;
        }
        world->notified = id;
        tally->commits++;
        status = rig_tidy(rig);
        if (status != 0) {
            return status == RIG_CUT;
        }
    }
}

/* No manifest names a file that is not there, whatever was being removed. */
static bool
names_only_what_is_there(struct world *world, uint64_t id, uint64_t epoch)
{
    char path[160];
    uint64_t bytes;
    (void)snprintf(path, sizeof path, "/work/ckpt/job/manifest/M-%" PRIu64 "-%" PRIu64, id, epoch);
    const void *buf = weir_sim_get(world->sim, path, &bytes);
    struct weir_manifest manifest;
    const char *wrong;
    uint64_t off;
    if (buf == NULL) {
        return true;
    }
    if (weir_manifest_decode(buf, bytes, &manifest, &wrong, &off) != 0) {
        print_message("%s: %s\n", path, wrong);
        return false;
    }
    bool is_right = true;
    for (uint32_t i = 0; i < manifest.file_cnt && is_right; i++) {
        (void)snprintf(path, sizeof path, "/work/ckpt/job/data/%s", manifest.files[i].name);
        is_right =
            weir_sim_get(world->sim, path, &bytes) != NULL && bytes == manifest.files[i].file_bytes;
        if (!is_right) {
            print_message("M-%" PRIu64 "-%" PRIu64 " names %s\n", id, epoch, path);
        }
    }
    weir_manifest_fini(&manifest);
    return is_right;
}

static bool
live_and_die(struct world *world, struct tally *tally)
{
    struct weir_io *io;
    struct rig rig;
    struct weir_io_config io_config = {.kind = WEIR_IO_SIM, .depth = 32, .world = world->sim};
    struct weir_store_config config = {.root = "/work/ckpt",
        .job = "job",
        .retained_cnt = 1 + (uint32_t)weir_rng_below(&world->rng, 2),
        .manifest_bytes_max = 64 * WEIR_KIB,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
    assert_int_equal(weir_io_open(&io_config, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    rig_open(&rig, io, world->sim, &config);
    /* Often short, so that a start is cut again and again. */
    rig.poll_cnt_max =
        1 + weir_rng_below(&world->rng, 1 + weir_rng_below(&world->rng, LIFE_POLL_CNT_MAX));
    bool is_right = live(&rig, world, tally);
    weir_sim_cut_power(world->sim, weir_rng_u64(&world->rng));
    rig_close(&rig);
    weir_io_close(io);
    tally->states++;
    for (uint64_t id = world->notified > 3 ? world->notified - 3 : 1; id <= world->tried; id++) {
        for (uint64_t epoch = 1; epoch <= LIFE_CNT; epoch++) {
            is_right = is_right && names_only_what_is_there(world, id, epoch);
        }
    }
    return is_right;
}

static void
run_world(uint64_t seed, struct tally *tally)
{
    struct world world = {0};
    struct weir_sim_config config = {
        .seed = seed, .latency_ns_max = 1000, .short_ppm = 20000, .cuts_power = true};
    weir_rng_init(&world.rng, seed);
    assert_int_equal(weir_sim_open(&config, &world.sim), 0);
    assert_int_equal(weir_sim_put(world.sim, "/work/.keep", "", 0), 0);
    for (int i = 0; i < LIFE_CNT; i++) {
        if (!live_and_die(&world, tally)) {
            fail_msg("seed %" PRIu64 ", life %d", seed, i);
        }
    }
    weir_sim_close(world.sim);
}

static void
t_no_power_cut_loses_a_notified_checkpoint(void **state)
{
    (void)state;
    struct tally tally = {0};
    uint64_t first = seed() * 1000000;
    print_message("worlds from seed %" PRIu64 "\n", first);
    for (uint64_t i = 0; tally.states < STATE_CNT; i++) {
        run_world(first + i, &tally);
    }
    print_message("%" PRIu64 " states, %" PRIu64 " starts, %" PRIu64 " restores, %" PRIu64
                  " commits, %" PRIu64 " found newer than notified\n",
        tally.states, tally.starts, tally.restores, tally.commits, tally.unnotified);
    /* It was hard enough: all that is to be seen was seen often. */
    assert_true(tally.starts > STATE_CNT / 3);
    assert_true(tally.commits > STATE_CNT / 10);
    assert_true(tally.unnotified > STATE_CNT / 500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_no_power_cut_loses_a_notified_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
