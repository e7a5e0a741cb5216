/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/unit/test.h"

struct file {
    char path[64];
};

static struct file
file_with(const char *text)
{
    struct file file = {"/tmp/weir-conf-XXXXXX"};
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    return file;
}

static int
load(struct weir_conf *conf, enum weir_conf_layer layer, const char *text)
{
    struct file file = file_with(text);
    int err = weir_conf_load_file(conf, file.path, layer);
    assert_int_equal(unlink(file.path), 0);
    return err;
}

static struct weir_conf *
conf_new(void)
{
    struct weir_conf *conf = NULL;
    assert_int_equal(weir_conf_new(&conf), 0);
    return conf;
}

/* The file is refused, and the message holds `part`. */
static void
refused(const char *text, const char *part)
{
    struct weir_conf *conf = conf_new();
    char message[1024];
    weir_err_clear();
    assert_int_equal(load(conf, WEIR_CONF_JOB, text), WEIR_ECONFIG);
    weir_err_save(message, sizeof message);
    if (strstr(message, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, message);
    }
    weir_conf_close(conf);
    weir_err_clear();
}

static void
t_defaults_are_those_of_the_table(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_PARALLELISM), 1);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_BUFFERS_SIZE), 32768);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_FLUSH_AFTER), WEIR_CONF_WORD);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_STRICT), 0);
    assert_string_equal(weir_conf_text(conf, WEIR_CONF_JOB_NAME), "");
    assert_string_equal(weir_conf_value(conf, WEIR_CONF_POLLER)->origin, "built-in");
    assert_int_equal(weir_conf_memory_budget(conf, 4 * WEIR_GIB), (int64_t)(3 * WEIR_GIB));
    assert_int_equal(weir_conf_check(conf), 0);
    weir_conf_close(conf);
}

static void
t_layers_win_in_their_order_whenever_loaded(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    char *env[] = {"WEIR_PARALLELISM=4", "WEIR_IO__ENGINE=posix", "HOME=/root", NULL};
    assert_int_equal(weir_conf_set(conf, "--set", "parallelism=5"), 0);
    assert_int_equal(weir_conf_load_env(conf, env), 0);
    assert_int_equal(load(conf, WEIR_CONF_JOB,
                         "version: 1\nparallelism: 3\nio: {engine: uring}\nring.slots: 128\n"),
        0);
    assert_int_equal(load(conf, WEIR_CONF_SYSTEM,
                         "version: 1\nparallelism: 2\nring: {slots: 32}\nstrict: true\n"),
        0);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_PARALLELISM), 5);
    assert_string_equal(weir_conf_text(conf, WEIR_CONF_IO_ENGINE), "posix");
    assert_string_equal(weir_conf_value(conf, WEIR_CONF_IO_ENGINE)->origin, "WEIR_IO__ENGINE");
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_RING_SLOTS), 128);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_STRICT), 1);
    assert_non_null(strstr(weir_conf_value(conf, WEIR_CONF_RING_SLOTS)->origin, ":4:13"));
    weir_conf_close(conf);
}

static void
t_units_become_bytes_and_nanoseconds(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(
        load(conf, WEIR_CONF_JOB,
            "version: 1\nmemory: {budget: 2GiB}\nflush_after: 250us\nwatermark: {interval: 1h}\n"
            "poller: seed:77\nplacement: {cut: all}\n"),
        0);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_MEMORY_BUDGET), INT64_C(2) << 30);
    assert_int_equal(weir_conf_memory_budget(conf, WEIR_GIB), INT64_C(2) << 30);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_FLUSH_AFTER), 250000);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_WATERMARK_INTERVAL), INT64_C(3600000000000));
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_POLLER), 77);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_PLACEMENT_CUT), 2);
    weir_conf_close(conf);
}

static void
t_vertices_and_parameters_are_kept_by_name(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(
        load(conf, WEIR_CONF_JOB,
            "version: 1\nplacement:\n  vertices:\n    win.dow:\n      cores: numa:1,4-7h\n"
            "      cut_after: [parse, split]\nparams: {query: q5, events: 'a, b'}\n"),
        0);
    const struct weir_conf_value *value =
        weir_conf_vertex(conf, WEIR_CONF_VERTEX_CUT_AFTER, "win.dow");
    assert_non_null(value);
    assert_string_equal(value->text, "parse,split");
    assert_string_equal(
        weir_conf_vertex(conf, WEIR_CONF_VERTEX_CORES, "win.dow")->text, "numa:1,4-7h");
    assert_null(weir_conf_vertex(conf, WEIR_CONF_VERTEX_CORES, "other"));
    assert_string_equal(weir_conf_param(conf, "query")->text, "q5");
    assert_string_equal(weir_conf_param(conf, "events")->text, "a, b");
    assert_null(weir_conf_param(conf, "rate"));
    assert_int_equal(
        weir_conf_set(conf, "--set", "placement.cores=0-9:2/4,12h,numa:0-1,die:2,near:nic:ens3f0"),
        0);
    assert_int_equal(weir_conf_set(conf, "-p", "params.query=q7"), 0);
    assert_string_equal(weir_conf_param(conf, "query")->text, "q7");
    weir_conf_close(conf);
}

static void
t_unknown_key_is_refused_with_place_caret_and_suggestion(void **state)
{
    (void)state;
    refused("version: 1\nparalellism: 2\n",
        ":2:1: unknown key 'paralellism'; did you mean 'parallelism'?");
    refused("version: 1\nparalellism: 2\n", "    paralellism: 2\n    ^");
    refused("version: 1\nmemory:\n  bugdet: 1GiB\n",
        ":3:3: unknown key 'memory.bugdet'; did you mean "
        "'memory.budget'?");
    refused("version: 1\nbudget: 1GiB\n", "did you mean 'memory.budget'?");
    refused("version: 1\nplacment: {cores: auto}\n", ":2:1: unknown key 'placment'; did you mean "
                                                     "'placement'?");
    refused("version: 1\nplacement: {vertices: {win: {idel: spin}}}\n",
        "did you mean 'placement.vertices.win.idle'?");
    refused("version: 1\nzzz: 1\n", "`weir config defaults` lists all");
}

static void
t_bare_number_for_size_or_time_is_refused(void **state)
{
    (void)state;
    refused("version: 1\nbuffers: {size: 65536}\n",
        ":2:17: buffers.size is 65536, and a size needs its unit");
    refused("version: 1\nflush_after: 100\n", "a time needs its unit: 100ms, for example");
    refused("version: 1\nwatermark.interval: 0\n", "needs its unit");
}

static void
t_value_out_of_range_or_of_another_type_is_refused(void **state)
{
    (void)state;
    refused("version: 1\nparallelism: 0\n", "is 0, and must be from 1 to 32768");
    refused("version: 1\nparallelism: 99999999999999999999\n", "must be from 1 to 32768");
    refused("version: 1\nparallelism: -1\n", "must be from 1 to 32768");
    refused("version: 1\nparallelism: two\n", "must be a whole number");
    refused("version: 1\nbuffers.size: 2KiB\n", "must be from 4KiB to 16MiB");
    refused("version: 1\nbuffers.size: 5KiB\n", "must be a power of two");
    refused("version: 1\nbatch.rows: 100\n", "must be a multiple of 64");
    refused("version: 1\nflush_after: 2h\n", "must be from 1us to 1h");
    refused("version: 1\nstrict: yes\n", "must be true or false");
    refused("version: 1\nio.engine: epoll\n", "must be one of: auto uring posix");
    refused("version: 1\npoller: seed:x\n", "must be threads or seed:N");
    refused("version: 1\npoller: 'seed:'\n", "must be threads or seed:N");
    refused("version: 1\nplacement.cores: '2-'\n", "must be auto, or parts like 2-9");
    refused("version: 1\nplacement.cores: 1,,2\n", "must be auto, or parts like 2-9");
    refused("version: 1\nplacement.cores: numa:x\n", "must be auto, or parts like 2-9");
    refused("version: 1\njob.name: a/b\n", "must be a name");
    refused("version: 2\n", "version is 2, and must be from 1 to 1");
}

static void
t_shape_of_the_file_is_checked(void **state)
{
    (void)state;
    refused("parallelism: 1\n", "`version: 1` is missing");
    refused("- 1\n", "is a map");
    refused("", "is a map");
    refused("version: 1\nparallelism:\n", "parallelism has no value");
    refused("version: 1\nparallelism: [1]\nparallelism: 2\n", "duplicate key");
    refused("version: 1\nmemory: {budget: 1GiB}\nmemory.budget: 2GiB\n", "set twice, first at ");
    refused("version: 1\nmemory: 4GiB\n", "memory is a section, not one value");
    refused("version: 1\nparams: {a: [x, [y]]}\n", "an item of a list must be one value");
    refused("version: 1\ncheckpoints: {intervall: 10s}\n", "did you mean 'checkpoints.interval'?");
    refused("version: 1\ncheckpoints: {interval: 10}\n", "needs its unit");
    refused("version: 1\nrestart.exponential_delay.jitter: 1.5\n", "must be from 0 to 1");
    refused("version: 1\nparallelism: {\n", "not valid YAML");
    refused("version: 1\na: &x 1\nb: *x\n", "anchors and aliases are not taken");
}

/* A time between checkpoints that have no place would be passed over in silence. */
static void
t_an_interval_of_checkpoints_needs_their_directory(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {{"version: 1\ncheckpoints: {interval: 10s}\n", false},
        {"version: 1\nexecution.checkpointing.interval: 10 s\n", false},
        {"version: 1\ncheckpoints: {interval: 10s, dir: /d}\n", true},
        {"version: 1\ncheckpoints: {interval: none, timeout: 1m}\n", true},
        {"version: 1\ncheckpoints.dir: /d\n", true}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        struct weir_conf *conf = conf_new();
        assert_int_equal(load(conf, WEIR_CONF_JOB, rows[i].text), 0);
        weir_err_clear();
        assert_int_equal(weir_conf_check(conf), rows[i].is_good ? 0 : WEIR_ECONFIG);
        if (!rows[i].is_good) {
            assert_non_null(strstr(weir_err_at(0), "checkpoints.dir is not set"));
        }
        weir_conf_close(conf);
        weir_err_clear();
    }
}

static void
t_flinks_names_are_taken_with_a_note(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(load(conf, WEIR_CONF_JOB,
                         "version: 1\nparallelism.default: 4\npipeline.max-parallelism: 256\n"
                         "execution: {buffer-timeout.interval: 100 ms}\n"
                         "taskmanager: {memory: {segment-size: 64kb}, numberOfTaskSlots: 4}\n"
                         "pipeline.auto-watermark-interval: 200\n"),
        0);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_PARALLELISM), 4);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_MAX_PARALLELISM), 256);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_FLUSH_AFTER), 100000000);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_BUFFERS_SIZE), 65536);
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_WATERMARK_INTERVAL), 200000000);
    assert_string_equal(
        weir_conf_note(conf, 0), "parallelism.default is Flink's name; here it is parallelism");
    assert_non_null(weir_conf_note(conf, 5));
    assert_null(weir_conf_note(conf, 6));
    weir_conf_close(conf);
}

static void
t_environment_refuses_what_is_nearly_a_key(void **state)
{
    (void)state;
    char *foreign[] = {
        "WEIR_HOME=/opt", "WEIR_SEED_CNT=200", "WEIR_JOBS=2", "WEIRD=1", "WEIR_", NULL};
    char *near[] = {"WEIR_PARALELLISM=2", NULL};
    char *unknown[] = {"WEIR_NO__SUCH=2", NULL};
    struct weir_conf *conf = conf_new();
    assert_int_equal(weir_conf_load_env(conf, foreign), 0);
    assert_int_equal(weir_conf_load_env(conf, near), WEIR_ECONFIG);
    assert_int_equal(weir_conf_load_env(conf, unknown), WEIR_ECONFIG);
    weir_conf_close(conf);
    weir_err_clear();
}

static void
t_flags_of_a_wrong_form_are_refused(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(weir_conf_set(conf, "--set", "parallelism"), WEIR_ECONFIG);
    assert_int_equal(weir_conf_set(conf, "--set", "=3"), WEIR_ECONFIG);
    assert_int_equal(weir_conf_set(conf, "-p", "params.=3"), WEIR_ECONFIG);
    assert_int_equal(weir_conf_set(conf, "--set", "parallelism="), WEIR_ECONFIG);
    char message[1024];
    weir_err_clear();
    assert_int_equal(weir_conf_set(conf, "-p", "params.query"), WEIR_ECONFIG);
    weir_err_save(message, sizeof message);
    assert_non_null(strstr(message, "'query' is not of the form")); /* as the user wrote it */
    assert_int_equal(weir_conf_i64(conf, WEIR_CONF_PARALLELISM), 1);
    weir_conf_close(conf);
    weir_err_clear();
}

static void
t_wider_than_max_parallelism_is_refused(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(weir_conf_set(conf, "--set", "max_parallelism=4"), 0);
    assert_int_equal(weir_conf_set(conf, "--set", "placement.vertices.win.parallelism=5"), 0);
    assert_int_equal(weir_conf_check(conf), WEIR_ECONFIG);
    assert_int_equal(weir_conf_set(conf, "--set", "placement.vertices.win.parallelism=4"), 0);
    assert_int_equal(weir_conf_check(conf), 0);
    weir_conf_close(conf);
    weir_err_clear();
}

static void
t_missing_file_and_directory_are_input_errors(void **state)
{
    (void)state;
    struct weir_conf *conf = conf_new();
    assert_int_equal(weir_conf_load_file(conf, "/no/such.yaml", WEIR_CONF_JOB), WEIR_ENOINPUT);
    assert_int_equal(weir_conf_load_file(conf, "/tmp", WEIR_CONF_JOB), WEIR_ENOINPUT);
    weir_conf_close(conf);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_defaults_are_those_of_the_table),
        cmocka_unit_test(t_layers_win_in_their_order_whenever_loaded),
        cmocka_unit_test(t_units_become_bytes_and_nanoseconds),
        cmocka_unit_test(t_vertices_and_parameters_are_kept_by_name),
        cmocka_unit_test(t_unknown_key_is_refused_with_place_caret_and_suggestion),
        cmocka_unit_test(t_bare_number_for_size_or_time_is_refused),
        cmocka_unit_test(t_value_out_of_range_or_of_another_type_is_refused),
        cmocka_unit_test(t_shape_of_the_file_is_checked),
        cmocka_unit_test(t_an_interval_of_checkpoints_needs_their_directory),
        cmocka_unit_test(t_flinks_names_are_taken_with_a_note),
        cmocka_unit_test(t_environment_refuses_what_is_nearly_a_key),
        cmocka_unit_test(t_flags_of_a_wrong_form_are_refused),
        cmocka_unit_test(t_wider_than_max_parallelism_is_refused),
        cmocka_unit_test(t_missing_file_and_directory_are_input_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
