/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/jobfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/unit/test.h"

#define JOB(name) WEIR_TEST_JOBS "/" name ".so"

static void
refused(const char *path, int wanted, const char *part)
{
    char message[1024];
    struct weir_jobfile *file = NULL;
    weir_err_clear();
    assert_int_equal(weir_jobfile_open(path, &file), wanted);
    assert_null(file);
    weir_err_save(message, sizeof message);
    if (strstr(message, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, message);
    }
    weir_err_clear();
}

static void
t_job_is_loaded_with_its_parameters(void **state)
{
    (void)state;
    struct weir_jobfile *file = NULL;
    assert_int_equal(weir_jobfile_open(JOB("accepted"), &file), 0);
    assert_int_equal(weir_jobfile_main(file)(NULL), 42);
    assert_string_equal(weir_jobfile_params(file)[0].name, "rows");
    assert_null(weir_jobfile_params(file)[1].name);
    weir_jobfile_close(file);
}

static void
t_file_that_is_no_job_of_ours_is_refused_before_its_code_runs(void **state)
{
    (void)state;
    refused(JOB("other_abi"), WEIR_EJOB, "built for version 999999 of the job interface");
    refused(JOB("no_mark"), WEIR_EJOB, "does not say for which version");
    refused(JOB("no_entry"), WEIR_EJOB, "no weir_job_main()");
}

static void
t_missing_file_directory_and_text_are_refused(void **state)
{
    (void)state;
    refused("/no/such.so", WEIR_ENOINPUT, "/no/such.so");
    refused("/tmp", WEIR_ENOINPUT, "not a file");
    refused("/etc/passwd", WEIR_EJOB, "no shared object");
    refused("/dev/null", WEIR_ENOINPUT, "not a file");
}

/* Writes the first `bytes` of a job with byte `at` turned over; loading may fail, and must not
 * crash. */
static void
check_damaged(const char *image, size_t bytes, size_t at, const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, bytes, file), bytes);
    if (at < bytes) {
        assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
        assert_int_equal(fputc(~image[at] & 0xFF, file), ~image[at] & 0xFF);
    }
    assert_int_equal(fclose(file), 0);
    int err = weir_jobfile_check(path);
    assert_true(err == 0 || err == WEIR_EJOB);
    weir_err_clear();
}

static void
t_cut_or_damaged_file_is_read_within_its_bounds(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-job-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    FILE *file = fopen(JOB("accepted"), "re");
    assert_non_null(file);
    char *image = malloc(1 << 20);
    assert_non_null(image);
    size_t bytes = fread(image, 1, 1 << 20, file);
    assert_true(bytes > 1000 && bytes < 1 << 20);
    assert_int_equal(fclose(file), 0);
    for (size_t cut = 1; cut < bytes; cut += bytes / 97) {
        check_damaged(image, cut, SIZE_MAX, path);
    }
    for (size_t at = 0; at < 64; at++) {
        check_damaged(image, bytes, at, path);
    }
    for (size_t at = bytes - 2400; at < bytes; at += 3) {
        check_damaged(image, bytes, at, path);
    }
    free(image);
    assert_int_equal(unlink(path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_job_is_loaded_with_its_parameters),
        cmocka_unit_test(t_file_that_is_no_job_of_ours_is_refused_before_its_code_runs),
        cmocka_unit_test(t_missing_file_directory_and_text_are_refused),
        cmocka_unit_test(t_cut_or_damaged_file_is_read_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
