/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "sched/lease.h"
#include "tests/unit/test.h"

static char dir[64];
static struct weir_lease_held held[WEIR_LEASE_HELD_CNT_MAX];

static int
make_dir(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/weir-lease-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct weir_lease *
take(const char *job, const char *list)
{
    struct weir_lease *lease = NULL;
    struct weir_cpuset cpus;
    assert_int_equal(weir_cpuset_parse(list, &cpus), 0);
    assert_int_equal(weir_lease_open(dir, job, &lease), 0);
    assert_int_equal(weir_lease_take(lease, &cpus), 0);
    return lease;
}

static void
t_a_job_sees_the_cores_of_others_but_not_its_own(void **state)
{
    (void)state;
    struct weir_lease *a = take("clicks", "2-3,6");
    struct weir_lease *b = NULL;
    assert_int_equal(weir_lease_open(dir, "orders", &b), 0);
    assert_int_equal(weir_lease_held(b, held), 1);
    assert_string_equal(held[0].job, "clicks");
    assert_int_equal(held[0].pid, getpid());
    char text[64];
    assert_string_equal(weir_cpuset_print(&held[0].cpus, text, sizeof text), "2-3,6");
    assert_int_equal(weir_lease_take(b, &held[0].cpus), 0);
    weir_lease_close(a);
    assert_int_equal(weir_lease_held(b, held), 0);
    weir_lease_close(b);
    weir_lease_close(NULL);
}

static void
t_who_holds_no_lease_sees_all_jobs(void **state)
{
    (void)state;
    struct weir_lease *a = take("clicks", "2");
    struct weir_lease *b = take("orders", "3");
    assert_int_equal(weir_lease_list(dir, held), 2);
    assert_true(strcmp(held[0].job, "clicks") == 0 || strcmp(held[1].job, "clicks") == 0);
    weir_lease_close(b);
    assert_int_equal(weir_lease_list(dir, held), 1);
    assert_string_equal(held[0].job, "clicks");
    assert_int_equal(held[0].pid, getpid());
    assert_int_equal(weir_lease_list("/no/such", held), 0);
    assert_int_equal(weir_err_cnt(), 0);
    weir_lease_close(a);
}

static void
t_only_the_owner_can_hold_up_other_jobs(void **state)
{
    (void)state;
    char path[96];
    struct stat st;
    struct weir_lease *a = take("clicks", "1");
    (void)snprintf(path, sizeof path, "%s/.lock", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    weir_lease_close(a);
}

static void
t_a_second_job_of_the_same_name_is_refused(void **state)
{
    (void)state;
    struct weir_lease *a = take("clicks", "1");
    struct weir_lease *b = NULL;
    weir_err_clear();
    assert_int_equal(weir_lease_open(dir, "clicks", &b), WEIR_ERUNNING);
    assert_null(b);
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "job clicks runs already, as process %d", (int)getpid());
    assert_string_equal(weir_err_at(0), wanted);
    weir_err_clear();
    weir_lease_close(a);
    weir_lease_close(take("clicks", "1"));
}

/* A process that dies without closing leaves its file, but not the lock. */
static void
t_what_a_dead_job_left_counts_for_nothing(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct weir_lease *lease = NULL;
        struct weir_cpuset cpus = {{3}};
        bool ok = weir_lease_open(dir, "gone", &lease) == 0 && weir_lease_take(lease, &cpus) == 0;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/gone.cores", dir);
    assert_int_equal(access(path, F_OK), 0);
    struct weir_lease *lease = NULL;
    assert_int_equal(weir_lease_open(dir, "next", &lease), 0);
    assert_int_equal(weir_lease_held(lease, held), 0);
    weir_lease_close(lease);
    weir_lease_close(take("gone", "5"));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
t_wrong_names_and_places_are_refused(void **state)
{
    (void)state;
    struct weir_lease *lease = NULL;
    const char *const wrong[] = {"", "a/b", ".hidden", "a b", "../up"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        assert_int_equal(weir_lease_open(dir, wrong[i], &lease), WEIR_EINVAL);
    }
    assert_int_equal(weir_lease_open("/proc/version", "a", &lease), WEIR_ENOINPUT);
    assert_null(lease);
    weir_err_clear();
}

/* Files of other programs, and cut ones, are skipped. */
static void
t_garbage_in_the_directory_is_skipped(void **state)
{
    (void)state;
    char command[512];
    (void)snprintf(command, sizeof command,
        "cd %s && echo x >a.cores && : >b.cores && echo 'pid 1' >c.cores && mkdir d.cores && "
        "ln -s /etc/passwd e.cores && echo >f.sock",
        dir);
    assert_int_equal(system(command), 0);
    struct weir_lease *lease = NULL;
    assert_int_equal(weir_lease_open(dir, "next", &lease), 0);
    assert_int_equal(weir_lease_held(lease, held), 0);
    weir_lease_close(lease);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            t_a_job_sees_the_cores_of_others_but_not_its_own, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(t_who_holds_no_lease_sees_all_jobs, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(
            t_only_the_owner_can_hold_up_other_jobs, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(
            t_a_second_job_of_the_same_name_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(
            t_what_a_dead_job_left_counts_for_nothing, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(t_wrong_names_and_places_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(
            t_garbage_in_the_directory_is_skipped, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
