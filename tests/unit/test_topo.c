/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/err.h"
#include "base/topo.h"
#include "tests/unit/test.h"

static struct weir_topo *
open_recorded(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/topo/%s.xml", WEIR_TEST_DATA, name);
    struct weir_topo *topo = NULL;
    assert_int_equal(weir_topo_open_xml(path, &topo), 0);
    return topo;
}

static void
t_a_two_socket_server_is_read(void **state)
{
    (void)state;
    struct weir_topo *topo = open_recorded("server-2s-smt");
    assert_int_equal(topo->cpu_cnt, 64);
    assert_int_equal(topo->core_cnt, 32);
    assert_int_equal(topo->l2_cnt, 32);
    assert_int_equal(topo->l3_cnt, 2);
    assert_int_equal(topo->die_cnt, 2);
    assert_int_equal(topo->socket_cnt, 2);
    assert_int_equal(topo->node_cnt, 2);
    assert_int_equal(topo->l2_bytes, 1 * WEIR_MIB);
    assert_int_equal(topo->node[1].bytes, 128 * WEIR_GIB);
    char buf[WEIR_CPUSET_TEXT_BYTES];
    assert_string_equal(weir_cpuset_print(&topo->node[1].cpus, buf, sizeof buf), "16-31,48-63");
    struct weir_cpuset both;
    weir_topo_siblings(topo, 33, &both);
    assert_string_equal(weir_cpuset_print(&both, buf, sizeof buf), "1,33");
    assert_int_equal(weir_topo_cpu(topo, 33)->smt, 1);
    assert_int_equal(weir_topo_cpu(topo, 33)->core, weir_topo_cpu(topo, 1)->core);
    assert_null(weir_topo_cpu(topo, 64));
    assert_null(weir_topo_node(topo, 2));
    assert_int_equal(weir_topo_distance(topo, 1, 33), WEIR_TOPO_SAME_CORE);
    assert_int_equal(weir_topo_distance(topo, 1, 2), WEIR_TOPO_SAME_L3);
    assert_int_equal(weir_topo_distance(topo, 1, 16), WEIR_TOPO_FAR);
    assert_int_equal(weir_topo_distance(topo, 5, 5), WEIR_TOPO_SAME_CPU);
    weir_topo_close(topo);
}

static void
t_dies_with_several_l3_are_read(void **state)
{
    (void)state;
    struct weir_topo *topo = open_recorded("epyc-4die");
    assert_int_equal(topo->cpu_cnt, 64);
    assert_int_equal(topo->die_cnt, 4);
    assert_int_equal(topo->l3_cnt, 8);
    assert_int_equal(topo->node_cnt, 4);
    assert_int_equal(topo->socket_cnt, 1);
    assert_int_equal(weir_topo_distance(topo, 0, 3), WEIR_TOPO_SAME_L3);
    assert_int_equal(weir_topo_distance(topo, 0, 4), WEIR_TOPO_SAME_NODE);
    assert_int_equal(weir_topo_distance(topo, 0, 8), WEIR_TOPO_SAME_SOCKET);
    weir_topo_close(topo);
}

static void
t_isolated_cpus_and_cards_are_read(void **state)
{
    (void)state;
    struct weir_topo *topo = open_recorded("isolated-nic");
    char buf[WEIR_CPUSET_TEXT_BYTES];
    assert_string_equal(weir_cpuset_print(&topo->isolated, buf, sizeof buf), "2-7,10-15");
    assert_false(weir_topo_cpu(topo, 8)->isolated);
    assert_true(weir_topo_cpu(topo, 10)->isolated);
    assert_int_equal(topo->nic_cnt, 2);
    const struct weir_topo_nic *nic = weir_topo_nic(topo, "ens3f0");
    assert_non_null(nic);
    assert_string_equal(nic->bus, "0000:af:00.0");
    assert_string_equal(weir_cpuset_print(&nic->near, buf, sizeof buf), "8-15");
    assert_null(weir_topo_nic(topo, "eth9"));
    weir_topo_close(topo);
}

static void
t_a_small_guest_is_read(void **state)
{
    (void)state;
    struct weir_topo *topo = open_recorded("vm-2vcpu");
    assert_int_equal(topo->cpu_cnt, 2);
    assert_int_equal(topo->core_cnt, 2);
    assert_int_equal(weir_cpuset_cnt(&topo->isolated), 0);
    assert_int_equal(weir_topo_distance(topo, 0, 1), WEIR_TOPO_SAME_L3);
    weir_topo_close(topo);
}

static void
t_the_running_host_holds_every_cpu_we_may_use(void **state)
{
    (void)state;
    struct weir_topo *topo = NULL;
    struct weir_cgroup cgroup;
    assert_int_equal(weir_topo_open_live(&topo), 0);
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    assert_true(weir_cpuset_cnt(&cgroup.cpus) > 0);
    assert_true(cgroup.memory_bytes > 0);
    struct weir_cpuset outside = cgroup.cpus;
    weir_cpuset_without(&outside, &topo->cpus);
    assert_int_equal(weir_cpuset_cnt(&outside), 0);
    assert_true(topo->node[0].bytes > 0);
    weir_topo_close(topo);
}

static void
t_what_is_not_a_topology_is_refused(void **state)
{
    (void)state;
    struct weir_topo *topo = NULL;
    assert_int_equal(weir_topo_open_xml("/nowhere/at/all.xml", &topo), WEIR_ENOINPUT);
    assert_int_equal(weir_topo_open_xml(WEIR_TEST_DATA "/topo/make.py", &topo), WEIR_ENOINPUT);
    assert_int_equal(weir_topo_open_synthetic("Cabbage:4", &topo), WEIR_EINVAL);
    assert_null(topo);
    weir_err_clear();
}

static void
write_file(const char *dir, const char *path, const char *text)
{
    char full[1024];
    (void)snprintf(full, sizeof full, "%s%s", dir, path);
    for (char *slash = strchr(full + strlen(dir) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void
t_the_tightest_cgroup_limit_on_the_way_up_counts(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-cgroup-XXXXXX";
    assert_non_null(mkdtemp(dir));
    write_file(dir, "/proc/self/cgroup", "4:memory:/box\n0::/a.slice/b.service\n");
    write_file(dir, "/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    write_file(dir, "/sys/fs/cgroup/a.slice/b.service/cpu.max", "150000 100000\n");
    write_file(dir, "/sys/fs/cgroup/a.slice/memory.max", "1073741824\n");
    write_file(dir, "/sys/fs/cgroup/a.slice/cpuset.cpus.effective", "1000-1001\n");
    write_file(dir, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
    struct weir_cgroup cgroup;
    assert_int_equal(weir_cgroup_read(dir, &cgroup), 0);
    assert_int_equal(cgroup.memory_bytes, 1 * WEIR_GIB);
    assert_non_null(strstr(cgroup.memory_limit, "a.slice/memory.max"));
    assert_true(cgroup.cpu_quota > 1.49 && cgroup.cpu_quota < 1.51);
    /* No CPU of ours is in that cpuset: the affinity has been narrowed to nothing, and it says
     * so. */
    assert_int_equal(weir_cpuset_cnt(&cgroup.cpus), 0);
    assert_non_null(strstr(cgroup.cpus_limit, "cpuset.cpus.effective"));
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_two_socket_server_is_read),
        cmocka_unit_test(t_dies_with_several_l3_are_read),
        cmocka_unit_test(t_isolated_cpus_and_cards_are_read),
        cmocka_unit_test(t_a_small_guest_is_read),
        cmocka_unit_test(t_the_running_host_holds_every_cpu_we_may_use),
        cmocka_unit_test(t_what_is_not_a_topology_is_refused),
        cmocka_unit_test(t_the_tightest_cgroup_limit_on_the_way_up_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
