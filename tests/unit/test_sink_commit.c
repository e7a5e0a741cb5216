/* SPDX-License-Identifier: Apache-2.0 */
/* Lives of the file sink that are cut off at every step: what is then to be seen. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sink_seen.h"

/* ---- lives that are cut off ---- */

/* The first life is killed at kill_step, the second somewhere, the third not: its answer is
 * whole. */
static bool
kill_at(const char *path, uint64_t kill_step, const uint32_t *cnts)
{
    struct place place;
    struct store store;
    struct weir_rng rng;
    memset(&store, 0, sizeof store);
    open_world(&place, seed() * 1000 + kill_step);
    weir_rng_init(&rng, seed() * 1000 + kill_step);
    bool was_killed = false;
    for (int life = 0; life < 3; life++) {
        struct script script = {.path = path,
            .cnt = cnts[life],
            .seed = seed() * 3 + kill_step * 5 + (uint64_t)life,
            .roll_bytes = 40};
        script.kill_step = life == 0   ? kill_step
                           : life == 1 ? 1 + weir_rng_below(&rng, 500)
                                       : KILL_NEVER;
        int rc = live(&place, &store, &script, NULL);
        if (rc < 0) {
            print_message(
                "kill at %llu, life %d: %s\n", (unsigned long long)kill_step, life, weir_err_at(0));
        }
        assert_true(rc >= 0);
        was_killed |= life == 0 && rc == 1;
        check_output(&place, &store, path);
    }
    assert_true(store.has_ended);
    weir_io_close(place.io);
    weir_sim_close(place.world);
    return was_killed;
}

static void
t_a_kill_at_every_step_loses_and_doubles_nothing(void **state)
{
    static const uint32_t cnts[4][3] = {{1, 1, 1}, {2, 2, 2}, {1, 2, 1}, {2, 1, 3}};
    (void)state;
    for (uint32_t c = 0; c < WEIR_ARRAY_CNT(cnts); c++) {
        for (int is_dir = 0; is_dir < 2; is_dir++) {
            uint64_t step = 1;
            while (kill_at(is_dir ? "out/" : "out.csv", step, cnts[c])) {
                step++;
            }
            print_message("%u,%u,%u %s: %llu steps\n", cnts[c][0], cnts[c][1], cnts[c][2],
                is_dir ? "F/" : "F", (unsigned long long)step);
            assert_true(step > 100);
        }
    }
}

/* ---- real files, real ends ---- */

static void
open_host_io(struct place *place)
{
    struct weir_io_config config = {.kind = place->kind};
    assert_int_equal(weir_io_open(&config, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
    place->now_ns = weir_io_clock_ns(place->io);
}

static void
live_in_child(const struct place *parent, struct store *store, const struct script *script)
{
    struct place place = *parent;
    open_host_io(&place);
    int rc = live(&place, store, script, NULL);
    if (rc != 0) {
        (void)fprintf(stderr, "life: %s\n", weir_err_at(0));
    }
    _exit(rc == 0 ? 0 : 9);
}

static void
t_processes_killed_on_real_files(void **state)
{
    struct place *place = *state;
    struct store *store =
        mmap(NULL, sizeof *store, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(store != MAP_FAILED);
    uint32_t killed_cnt = 0;
    for (uint32_t round = 0; round < 8; round++) {
        char path[32];
        struct weir_rng rng;
        weir_rng_init(&rng, seed() + round);
        (void)snprintf(path, sizeof path, "out%u%s", round, round % 2 == 0 ? "/" : "");
        memset(store, 0, sizeof *store);
        for (int life = 0; !store->has_ended; life++) {
            struct script script = {.path = path,
                .cnt = 1 + (uint32_t)weir_rng_below(&rng, SUBTASK_CNT_MAX),
                .seed = seed() * 11 + round * 100 + (uint64_t)life,
                .kill_step = life < 8 ? 1 + weir_rng_below(&rng, 300) : KILL_NEVER,
                .kills_process = true,
                .roll_bytes = 40};
            /* No thread of this io may be about when the process divides. */
            weir_io_close(place->io);
            pid_t pid = fork();
            if (pid == 0) {
                live_in_child(place, store, &script);
            }
            int status;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            open_host_io(place);
            bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            assert_true(was_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
            killed_cnt += was_killed;
            check_output(place, store, path);
        }
    }
    print_message("%u killed\n", killed_cnt);
    assert_true(killed_cnt > 10);
    (void)munmap(store, sizeof *store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_kill_at_every_step_loses_and_doubles_nothing),
        ON_HOST(t_processes_killed_on_real_files),
    };
    return cmocka_run_group_tests_name("sink_commit", tests, NULL, NULL);
}
