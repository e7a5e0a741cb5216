/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log_priv.h"
#include "tests/unit/test.h"

#define UTC_NS INT64_C(1763718780123456789)

/* A log into memory, under a clock that the test moves. */
struct world {
    struct weir_clock clock;
    int fd;
    void *lane;
    char text[1 << 18];
};

static struct world world;

static void
world_open(bool is_started, enum weir_log_format format)
{
    weir_clock_init_sim(&world.clock, 0, UTC_NS);
    world.fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(world.fd >= 0);
    world.lane = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_log_lane_footprint());
    assert_non_null(world.lane);
    if (is_started) {
        struct weir_log_options options = {.fd = world.fd,
            .format = format,
            .level = WEIR_LOG_INFO,
            .clock = &world.clock,
            .job = "q5"};
        assert_int_equal(weir_log_start(&options), 0);
    }
}

static const char *
world_text(void)
{
    weir_log_flush();
    ssize_t n = pread(world.fd, world.text, sizeof world.text - 1, 0);
    assert_true(n >= 0);
    world.text[n] = '\0';
    return world.text;
}

static void
world_close(void)
{
    weir_log_lane_leave();
    weir_log_stop();
    assert_int_equal(close(world.fd), 0);
    free(world.lane);
}

static size_t
line_cnt(const char *text)
{
    size_t cnt = 0;
    for (; *text != '\0'; text++) {
        cnt += *text == '\n';
    }
    return cnt;
}

static void
check_written(const char *text, enum weir_log_format format, const char *wanted)
{
    static char buf[LOG_WRITTEN_BYTES + 1];
    struct log_line line = {.utc_ns = UTC_NS, .code = 1302, .level = WEIR_LOG_WARNING};
    line.text_bytes = (uint16_t)strlen(text);
    memcpy(line.text, text, line.text_bytes);
    buf[weir_log_priv_write(&line, format, "core 3", "q5", buf)] = '\0';
    assert_string_equal(buf, wanted);
}

static void
t_a_line_in_three_formats(void **state)
{
    (void)state;
    check_written("no such \"file\"", WEIR_LOG_HUMAN,
        "2025-11-21T09:53:00.123456Z warning core 3: no such \"file\" (WEIR-1302)\n");
    check_written("no such \"file\"", WEIR_LOG_LOGFMT,
        "ts=2025-11-21T09:53:00.123456Z level=warning from=\"core 3\" job=q5 code=WEIR-1302 "
        "msg=\"no such \\\"file\\\"\"\n");
    check_written("no such \"file\"", WEIR_LOG_JSON,
        "{\"ts\":\"2025-11-21T09:53:00.123456Z\",\"level\":\"warning\",\"from\":\"core 3\","
        "\"job\":\"q5\",\"code\":\"WEIR-1302\",\"msg\":\"no such \\\"file\\\"\"}\n");
}

static void
t_text_cannot_forge_a_line_or_break_the_encoding(void **state)
{
    (void)state;
    check_written("a\nb\tc\\d\x1b[31m", WEIR_LOG_HUMAN,
        "2025-11-21T09:53:00.123456Z warning core 3: a\\nb\\u0009c\\d\\u001b[31m (WEIR-1302)\n");
    check_written("a\n\xc3\xa9\xff\xc3|\xed\xa0\x80|\xc0\xaf|\xf0\x9f\x98\x80", WEIR_LOG_JSON,
        "{\"ts\":\"2025-11-21T09:53:00.123456Z\",\"level\":\"warning\",\"from\":\"core 3\","
        "\"job\":\"q5\",\"code\":\"WEIR-1302\",\"msg\":\"a\\n\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd|"
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xf0\x9f\x98\x80\"}\n");
    check_written("\xe0\x80\x80|\xf0\x80\x80\x80|\xe2\x82", WEIR_LOG_LOGFMT,
        "ts=2025-11-21T09:53:00.123456Z level=warning from=\"core 3\" job=q5 code=WEIR-1302 "
        "msg=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\"\n");
}

static void
t_the_longest_line_fits_its_buffer(void **state)
{
    (void)state;
    static char buf[LOG_WRITTEN_BYTES];
    char from[LOG_FROM_BYTES] = "";
    char job[LOG_JOB_BYTES] = "";
    struct log_line line = {.utc_ns = INT64_MIN,
        .left_out_cnt = UINT32_MAX,
        .lost_cnt = UINT32_MAX,
        .code = UINT16_MAX,
        .level = WEIR_LOG_WARNING,
        .text_bytes = sizeof line.text};
    memset(line.text, 1, sizeof line.text);
    memset(from, 1, sizeof from - 1);
    memset(job, 1, sizeof job - 1);
    for (int format = WEIR_LOG_HUMAN; format < WEIR_LOG_FORMAT_CNT; format++) {
        size_t bytes = weir_log_priv_write(&line, (enum weir_log_format)format, from, job, buf);
        assert_true(bytes > 6 * sizeof line.text && buf[bytes - 1] == '\n');
    }
}

static void
t_a_thread_without_a_lane_writes_at_once(void **state)
{
    (void)state;
    world_open(true, WEIR_LOG_AUTO);
    weir_log(WEIR_LOG_INFO, 0, "began with %d", 1);
    weir_log(WEIR_LOG_DEBUG, 0, "not at this level");
    weir_log_level_set(WEIR_LOG_DEBUG);
    weir_log(WEIR_LOG_DEBUG, WEIR_EIO, "at this one");
    assert_string_equal(world_text(),
        "ts=2025-11-21T09:53:00.123456Z level=info job=q5 msg=\"began with 1\"\n"
        "ts=2025-11-21T09:53:00.123456Z level=debug job=q5 code=WEIR-1301 msg=\"at this one\"\n");
    world_close();
}

static void
t_lines_of_a_lane_come_out_in_order_and_signed(void **state)
{
    (void)state;
    world_open(true, WEIR_LOG_HUMAN);
    assert_int_equal(weir_log_lane_join(world.lane, "core 7"), 0);
    for (int i = 0; i < 3; i++) {
        weir_clock_advance(&world.clock, WEIR_SEC_NS);
        weir_log(WEIR_LOG_ERROR, 0, "line %d", i);
    }
    assert_string_equal(world_text(), "2025-11-21T09:53:01.123456Z error core 7: line 0\n"
                                      "2025-11-21T09:53:02.123456Z error core 7: line 1\n"
                                      "2025-11-21T09:53:03.123456Z error core 7: line 2\n");
    world_close();
}

static void
t_one_place_may_say_so_much_and_the_rest_is_counted(void **state)
{
    (void)state;
    world_open(true, WEIR_LOG_HUMAN);
    assert_int_equal(weir_log_lane_join(world.lane, "c"), 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < WEIR_LOG_BURST + 5; i++) {
            weir_log(WEIR_LOG_ERROR, 0, "again");
        }
        assert_int_equal(line_cnt(world_text()), (size_t)(round + 1) * WEIR_LOG_BURST);
        weir_clock_advance(&world.clock, WEIR_SEC_NS);
    }
    assert_non_null(strstr(world.text, "01.123456Z error c: again [5 before it left out]\n"));
    weir_log_lane_leave();
    assert_non_null(strstr(world_text(), "c: 5 more lines were left out or lost"));
    world_close();
}

/* Without a writer nobody empties the lane: what finds it full is lost, counted, and never
 * waits. */
static void
t_a_full_lane_loses_lines_and_says_how_many(void **state)
{
    (void)state;
    world_open(true, WEIR_LOG_HUMAN);
    assert_int_equal(weir_log_lane_join(world.lane, "c"), 0);
    weir_log_stop();
    for (int i = 0; i < 64 + 6; i++) {
        weir_clock_advance(&world.clock, WEIR_SEC_NS);
        weir_log(WEIR_LOG_ERROR, 0, "line %d", i);
    }
    struct weir_log_options options = {
        .fd = world.fd, .format = WEIR_LOG_HUMAN, .level = WEIR_LOG_INFO};
    assert_int_equal(weir_log_start(&options), 0);
    assert_int_equal(line_cnt(world_text()), 64);
    assert_non_null(strstr(world.text, "error c: line 63\n"));
    weir_log(WEIR_LOG_ERROR, 0, "there is room again");
    assert_non_null(strstr(world_text(), "there is room again [6 before it lost]\n"));
    weir_log(WEIR_LOG_ERROR, 0, "and said only once");
    assert_non_null(strstr(world_text(), "and said only once\n"));
    world_close();
}

/* Strict seccomp kills at any system call but read, write and exit: no clock, no lock, no
 * memory. */
static void
t_a_lane_makes_no_system_call(void **state)
{
    (void)state;
    world_open(true, WEIR_LOG_HUMAN);
    assert_int_equal(weir_log_lane_join(world.lane, "c"), 0);
    weir_log(WEIR_LOG_ERROR, 0, "warm %s %d %f", "up", 1, 1.5);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0) {
            for (int i = 0; i < 200; i++) {
                weir_clock_advance(&world.clock, WEIR_SEC_NS);
                weir_log(WEIR_LOG_ERROR, WEIR_EIO, "quiet %s %d %f", "text", i, i / 3.0);
            }
        }
        (void)syscall(SYS_exit, 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_close();
}

#define SPEAKER_CNT 4
#define SPEAKER_LINE_CNT 9

static void *
speak(void *arg)
{
    void *lane = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_log_lane_footprint());
    char from[16];
    (void)snprintf(from, sizeof from, "t%d", *(int *)arg);
    if (lane == NULL || weir_log_lane_join(lane, from) != 0) {
        return NULL;
    }
    for (int i = 0; i < SPEAKER_LINE_CNT; i++) {
        weir_log(WEIR_LOG_INFO, 0, "line %d", i);
    }
    weir_log_lane_leave();
    free(lane);
    return arg;
}

static void
t_many_threads_lose_and_mix_up_nothing(void **state)
{
    (void)state;
    pthread_t threads[SPEAKER_CNT];
    int ids[SPEAKER_CNT];
    world_open(true, WEIR_LOG_HUMAN);
    for (int i = 0; i < SPEAKER_CNT; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, speak, &ids[i]), 0);
    }
    for (int i = 0; i < SPEAKER_CNT; i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
    }
    const char *text = world_text();
    assert_int_equal(line_cnt(text), SPEAKER_CNT * SPEAKER_LINE_CNT);
    for (int i = 0; i < SPEAKER_CNT; i++) {
        const char *at = text;
        for (int j = 0; j < SPEAKER_LINE_CNT; j++) {
            char wanted[32];
            (void)snprintf(wanted, sizeof wanted, " t%d: line %d\n", i, j);
            at = strstr(at, wanted);
            assert_non_null(at);
        }
    }
    world_close();
}

static void
t_a_closed_pipe_ends_nothing(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(close(fds[0]), 0);
    struct weir_log_options options = {.fd = fds[1], .level = WEIR_LOG_INFO};
    void *lane = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_log_lane_footprint());
    assert_non_null(lane);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(weir_log_start(&options), 0);
    assert_int_equal(weir_log_lane_join(lane, "c"), 0);
    weir_log(WEIR_LOG_ERROR, 0, "to nobody");
    weir_log_lane_leave();
    weir_log_stop();
    (void)signal(SIGPIPE, SIG_DFL);
    assert_int_equal(close(fds[1]), 0);
    free(lane);
}

static void
t_misuse_is_refused(void **state)
{
    (void)state;
    weir_log_lane_leave();
    weir_log_stop();
    world_open(true, WEIR_LOG_HUMAN);
    struct weir_log_options options = {.fd = world.fd};
    assert_int_equal(weir_log_start(&options), WEIR_EILLEGAL);
    assert_int_equal(weir_log_lane_join((char *)world.lane + 8, "c"), WEIR_EINVAL);
    assert_int_equal(weir_log_lane_join(world.lane, "a name of more than thirty-two bytes"), 0);
    assert_int_equal(weir_log_lane_join(world.lane, "c"), WEIR_EILLEGAL);
    world_close();
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_line_in_three_formats),
        cmocka_unit_test(t_text_cannot_forge_a_line_or_break_the_encoding),
        cmocka_unit_test(t_the_longest_line_fits_its_buffer),
        cmocka_unit_test(t_a_thread_without_a_lane_writes_at_once),
        cmocka_unit_test(t_lines_of_a_lane_come_out_in_order_and_signed),
        cmocka_unit_test(t_one_place_may_say_so_much_and_the_rest_is_counted),
        cmocka_unit_test(t_a_full_lane_loses_lines_and_says_how_many),
        cmocka_unit_test(t_a_lane_makes_no_system_call),
        cmocka_unit_test(t_many_threads_lose_and_mix_up_nothing),
        cmocka_unit_test(t_a_closed_pipe_ends_nothing),
        cmocka_unit_test(t_misuse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
