/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of checkpoints is looked at while a job writes there: what goes meanwhile is gone,
 * and not damaged. On copies of the golden files, with the host's io. */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/err.h"
#include "io/sim.h"
#include "sched/store_look.h"
#include "tests/unit/test.h"

#define GOLDEN WEIR_TEST_DATA "/store/job"
#define LOOK_CNT 300
#define PATH_BYTES 512

struct place {
    char root[32];
    char path[PATH_BYTES];
};

static const char *
at(struct place *place, const char *name)
{
    (void)snprintf(place->path, sizeof place->path, "%s/%s", place->root, name);
    return place->path;
}

static void
copy(const char *from, const char *to)
{
    char buf[65536];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t bytes;
    while ((bytes = fread(buf, 1, sizeof buf, in)) > 0) {
        assert_int_equal(fwrite(buf, 1, bytes, out), bytes);
    }
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Two checkpoints of a job, of which the second is the current one. */
static void
add_job(struct place *place, const char *job)
{
    static const char *const names[] = {"data/1-1-0-0-1.snap", "data/1-1-1-0-1.snap",
        "data/2-2-0-0-2.snap", "data/2-2-1-0-2.snap", "manifest/B-1", "manifest/B-2",
        "manifest/M-1-1", "manifest/M-2-2"};
    static const char *const dirs[] = {"", "/data", "/manifest"};
    char to[PATH_BYTES / 2];
    for (size_t i = 0; i < WEIR_ARRAY_CNT(dirs); i++) {
        (void)snprintf(to, sizeof to, "%s%s", job, dirs[i]);
        assert_int_equal(mkdir(at(place, to), 0755), 0);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        char from[PATH_BYTES];
        (void)snprintf(from, sizeof from, GOLDEN "/%s", names[i]);
        (void)snprintf(to, sizeof to, "%s/%s", job, names[i]);
        copy(from, at(place, to));
    }
}

static int
remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int
open_place(void **state)
{
    static struct place place;
    (void)snprintf(place.root, sizeof place.root, "/tmp/weir-look-XXXXXX");
    assert_non_null(mkdtemp(place.root));
    *state = &place;
    return 0;
}

static int
close_place(void **state)
{
    struct place *place = *state;
    return nftw(place->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
t_what_a_job_removes_while_it_is_read_is_gone(void **state)
{
    struct place *place = *state;
    struct weir_look *look;
    add_job(place, "job");
    assert_int_equal(weir_look_open(NULL, place->root, &look), 0);
    assert_int_equal(weir_look_cnt(look), 2);
    assert_int_equal(unlink(at(place, "job/data/1-1-0-0-1.snap")), 0);
    assert_int_equal(unlink(at(place, "job/data/2-2-0-0-2.snap")), 0);
    assert_int_equal(unlink(at(place, "job/manifest/M-1-1")), 0);
    assert_int_equal(weir_look_verify(look, 0), WEIR_ENOINPUT);
    assert_true(weir_look_at(look, 0)->is_gone);
    /* Its manifest is there still, so its file has to be. */
    assert_int_equal(weir_look_verify(look, 1), WEIR_ECHECKPOINT);
    assert_false(weir_look_at(look, 1)->is_gone);
    assert_non_null(strstr(weir_look_at(look, 1)->wrong, "data/2-2-0-0-2.snap"));
    weir_look_close(look);
}

/* A job that goes on: its only manifest comes and goes. */
struct mover {
    struct place place;
    WEIR_ATOMIC(uint32_t) is_over;
};

static void *
move(void *arg)
{
    struct mover *mover = arg;
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    (void)snprintf(from, sizeof from, "%s/job/manifest/M-2-2", mover->place.root);
    (void)snprintf(to, sizeof to, "%s/job/manifest/T-2-M", mover->place.root);
    while (weir_load_rlx(&mover->is_over) == 0) { /* relaxed: it carries nothing */
        (void)rename(from, to);
        (void)rename(to, from);
    }
    return NULL;
}

static void
t_manifests_that_come_and_go_are_not_damaged(void **state)
{
    struct mover mover = {.place = *(struct place *)*state};
    pthread_t thread;
    uint32_t seen_cnt = 0;
    add_job(&mover.place, "job");
    assert_int_equal(pthread_create(&thread, NULL, move, &mover), 0);
    for (uint32_t i = 0; i < LOOK_CNT; i++) {
        struct weir_look *look;
        assert_int_equal(weir_look_open(NULL, mover.place.root, &look), 0);
        for (uint32_t e = 0; e < weir_look_cnt(look); e++) {
            const struct weir_look_checkpoint *entry = weir_look_at(look, e);
            if (entry->err != 0) {
                fail_msg("%s", entry->wrong);
            }
            seen_cnt += entry->checkpoint == 2;
        }
        weir_look_close(look);
    }
    weir_store_rlx(&mover.is_over, 1); /* relaxed: it carries nothing */
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("seen %u times of %u\n", seen_cnt, LOOK_CNT);
}

static void
t_jobs_are_told_apart_by_name(void **state)
{
    struct place *place = *state;
    struct weir_look *look;
    uint32_t idx = 9;
    char name[WEIR_LOOK_JOB_BYTES];
    memset(name, 'j', sizeof name - 1); /* the longest there may be */
    name[sizeof name - 1] = '\0';
    add_job(place, name);
    add_job(place, "lost+found"); /* no name of a job */
    assert_int_equal(weir_look_open(NULL, place->root, &look), 0);
    assert_int_equal(weir_look_cnt(look), 2);
    assert_string_equal(weir_look_at(look, 0)->job, name);
    assert_int_equal(weir_look_find(look, NULL, &idx), 0);
    assert_int_equal(idx, 1);
    assert_int_equal(weir_look_find(look, "1", &idx), 0);
    assert_int_equal(idx, 0);
    assert_int_equal(weir_look_find(look, "01", &idx), WEIR_ENOINPUT);
    weir_look_close(look);
    add_job(place, "other");
    assert_int_equal(weir_look_open(NULL, place->root, &look), 0);
    assert_int_equal(weir_look_find(look, NULL, &idx), WEIR_EUSAGE);
    assert_int_equal(weir_look_find(look, "2", &idx), WEIR_EUSAGE);
    assert_non_null(strstr(weir_err_at(0), "name the directory of one"));
    weir_err_clear();
    weir_look_close(look);
    assert_int_equal(weir_look_open(NULL, at(place, "other"), &look), 0);
    assert_int_equal(weir_look_find(look, "2", &idx), 0);
    weir_look_close(look);
    /* A job's directory may have been moved to any name. */
    char from[PATH_BYTES];
    (void)snprintf(from, sizeof from, "%s", at(place, "other"));
    assert_int_equal(rename(from, at(place, "\xff\n")), 0);
    assert_int_equal(weir_look_open(NULL, place->path, &look), 0);
    assert_string_equal(weir_look_at(look, 0)->job, "??");
    weir_look_close(look);
}

/* The same golden files in a world, where nothing of the host's disk is. */
static void
put_golden(struct weir_sim *world, const char *name)
{
    char buf[65536];
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, GOLDEN "/%s", name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t bytes = fread(buf, 1, sizeof buf, in);
    assert_true(bytes > 0 && bytes < sizeof buf);
    (void)fclose(in);
    (void)snprintf(path, sizeof path, "/checkpoints/job/%s", name);
    assert_int_equal(weir_sim_put(world, path, buf, bytes), 0);
}

static void
t_a_world_is_looked_at_by_its_own_io(void **state)
{
    static const char *const names[] = {
        "data/2-2-0-0-2.snap", "data/2-2-1-0-2.snap", "manifest/B-2", "manifest/M-2-2"};
    const struct weir_sim_config config = {.seed = 1};
    struct weir_sim *world;
    struct weir_io *io;
    struct weir_look *look;
    (void)state;
    assert_int_equal(weir_sim_open(&config, &world), 0);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        put_golden(world, names[i]);
    }
    const struct weir_io_config of_world = {.kind = WEIR_IO_SIM, .world = world};
    assert_int_equal(weir_io_open(&of_world, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    assert_int_equal(weir_look_open(io, "/checkpoints", &look), 0);
    assert_int_equal(weir_look_cnt(look), 1);
    assert_string_equal(weir_look_at(look, 0)->job, "job");
    assert_true(weir_look_at(look, 0)->is_current);
    assert_int_equal(weir_look_verify(look, 0), 0);
    weir_look_close(look);
    /* It was the look's to open, and is not its to close. */
    assert_int_equal(weir_look_open(io, "/nowhere", &look), WEIR_ENOINPUT);
    weir_err_clear();
    assert_int_equal(weir_look_open(io, "/checkpoints/job", &look), 0);
    assert_true(weir_look_is_job(look));
    weir_look_close(look);
    weir_io_close(io);
    weir_sim_close(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            t_what_a_job_removes_while_it_is_read_is_gone, open_place, close_place),
        cmocka_unit_test_setup_teardown(
            t_manifests_that_come_and_go_are_not_damaged, open_place, close_place),
        cmocka_unit_test_setup_teardown(t_jobs_are_told_apart_by_name, open_place, close_place),
        cmocka_unit_test(t_a_world_is_looked_at_by_its_own_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
