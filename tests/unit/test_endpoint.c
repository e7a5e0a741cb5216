/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint in a directory of the test's own, polled by hand with times that the test makes up;
 * askers are raw sockets, or weir_endpoint_ask() in a thread. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rng.h"
#include "sched/endpoint.h"
#include "sched/lease.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define SILENT_CNT 100
#define SERVE_CNT_MAX 10000

static char dir[200];
static struct weir_endpoint *endpoint;
static uint32_t served_cnt;
static size_t answer_bytes; /* 0: the answer is an echo */
static char last[WEIR_ENDPOINT_REQUEST_BYTES_MAX + 64];

static bool is_later; /* answers come by weir_endpoint_answer() */
static uint64_t ticket; /* of the last request */

static char *
echo(void *arg, const struct weir_endpoint_request *request, bool *ret_later)
{
    (void)arg;
    *ret_later = is_later;
    ticket = request->ticket;
    if (is_later) {
        return NULL;
    }
    served_cnt++;
    if (answer_bytes > 0) {
        char *big = malloc(answer_bytes + 1);
        memset(big, 'x', answer_bytes);
        big[answer_bytes] = '\0';
        return big;
    }
    if (request->err != 0) {
        (void)snprintf(last, sizeof last, "refused %d: %s", request->err, request->why);
    } else {
        (void)snprintf(last, sizeof last, "said %.*s", (int)request->bytes, request->text);
    }
    return strdup(last);
}

static int
open_in(const char *path)
{
    const struct weir_endpoint_conf conf = {.dir = path, .job = "clicks", .answer_fn = echo};
    return weir_endpoint_open(&conf, &endpoint);
}

static int
set_up(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/weir-endpoint-XXXXXX");
    served_cnt = 0;
    answer_bytes = 0;
    is_later = false;
    return mkdtemp(dir) == NULL || open_in(dir) != 0;
}

static int
tear_down(void **state)
{
    (void)state;
    char command[256];
    weir_endpoint_close(endpoint);
    endpoint = NULL;
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static int
connected(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.80s/clicks.sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
say(int fd, const char *text, size_t bytes)
{
    assert_int_equal(send(fd, text, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

/* Serves until there is nothing more to do at this time. */
static void
serve(int64_t now_ns)
{
    struct pollfd readable = {.fd = weir_endpoint_fd(endpoint), .events = POLLIN};
    uint32_t round_cnt = 0;
    do {
        assert_true(round_cnt < SERVE_CNT_MAX); /* or it never rests */
        weir_endpoint_serve(endpoint, now_ns);
        round_cnt++;
    } while (poll(&readable, 1, 0) == 1);
}

/* What the endpoint has answered so far; NULL where the stream is still open with nothing in it. */
static const char *
heard(int fd)
{
    static char text[8192];
    size_t used = 0;
    for (;;) {
        ssize_t n = recv(fd, text + used, sizeof text - 1 - used, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN && used == 0) {
            return NULL;
        }
        if (n <= 0) {
            text[used] = '\0';
            (void)close(fd);
            return text;
        }
        used += (size_t)n;
    }
}

static void
t_a_line_gets_its_answer_in_whatever_pieces_it_comes(void **state)
{
    (void)state;
    int fd = connected();
    for (const char *at = "status"; *at != '\0'; at++) {
        say(fd, at, 1);
        serve(0);
        assert_int_equal(served_cnt, 0);
    }
    say(fd, "\n", 1);
    serve(0);
    assert_string_equal(heard(fd), "said status");
    fd = connected();
    say(fd, "no line feed", 12);
    (void)shutdown(fd, SHUT_WR);
    serve(0);
    assert_string_equal(heard(fd), "said no line feed");
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), 0);
}

static void
t_what_is_no_single_line_is_refused_with_an_answer(void **state)
{
    (void)state;
    char big[WEIR_ENDPOINT_REQUEST_BYTES_MAX + 1];
    memset(big, 'a', sizeof big);
    int fd = connected();
    say(fd, big, WEIR_ENDPOINT_REQUEST_BYTES_MAX - 1);
    serve(0);
    assert_null(heard(fd));
    say(fd, "\n", 1);
    serve(0);
    const char *text = heard(fd);
    assert_int_equal(strlen(text), strlen("said ") + WEIR_ENDPOINT_REQUEST_BYTES_MAX - 1);
    fd = connected();
    say(fd, big, sizeof big);
    serve(0);
    char wanted[80];
    (void)snprintf(
        wanted, sizeof wanted, "refused %d: the request is longer than 4096 bytes", WEIR_EUSAGE);
    assert_string_equal(heard(fd), wanted);
    fd = connected();
    say(fd, "stop\nstop\n", 10);
    serve(0);
    (void)snprintf(wanted, sizeof wanted,
        "refused %d: one connection takes one request, of one line", WEIR_EUSAGE);
    assert_string_equal(heard(fd), wanted);
    fd = connected();
    (void)close(fd); /* says nothing at all */
    serve(0);
    assert_int_equal(served_cnt, 3);
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), 0);
}

static void
t_the_oldest_of_many_silent_askers_makes_room(void **state)
{
    (void)state;
    int fds[SILENT_CNT];
    for (int i = 0; i < SILENT_CNT; i++) {
        fds[i] = connected();
        serve(i);
    }
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), WEIR_ENDPOINT_ASKER_CNT_MAX);
    int fd = connected();
    say(fd, "hello\n", 6);
    serve(SILENT_CNT);
    assert_string_equal(heard(fd), "said hello");
    for (int i = 0; i < SILENT_CNT; i++) {
        const char *text = heard(fds[i]);
        if (i <= SILENT_CNT - WEIR_ENDPOINT_ASKER_CNT_MAX) {
            assert_string_equal(text, ""); /* the end of the stream */
        } else {
            assert_null(text);
            (void)close(fds[i]);
        }
    }
}

static void
t_an_asker_that_does_not_come_to_the_point_is_let_go(void **state)
{
    (void)state;
    assert_int_equal(weir_endpoint_wait_ns(endpoint, 5), -1);
    int fd = connected();
    say(fd, "st", 2);
    serve(1000);
    assert_int_equal(weir_endpoint_wait_ns(endpoint, 1001), WEIR_ENDPOINT_PATIENCE_NS - 1);
    serve(1000 + WEIR_ENDPOINT_PATIENCE_NS - 1);
    assert_null(heard(fd));
    say(fd, "a", 1); /* does not win it more time */
    serve(1000 + WEIR_ENDPOINT_PATIENCE_NS);
    assert_string_equal(heard(fd), "");
    assert_int_equal(weir_endpoint_wait_ns(endpoint, 1), -1);
}

static void
t_an_asker_that_does_not_read_holds_up_nobody(void **state)
{
    (void)state;
    answer_bytes = WEIR_ENDPOINT_ANSWER_BYTES_MAX;
    int slow = connected();
    say(slow, "a\n", 2);
    serve(0);
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), 1); /* more than a socket takes at once */
    answer_bytes = 0;
    int fd = connected();
    say(fd, "b\n", 2);
    serve(1);
    assert_string_equal(heard(fd), "said b");
    size_t bytes = 0;
    char buf[65536];
    for (ssize_t n; (n = recv(slow, buf, sizeof buf, MSG_DONTWAIT)) != 0;) {
        bytes += n > 0 ? (size_t)n : 0;
        serve(2);
    }
    assert_int_equal(bytes, WEIR_ENDPOINT_ANSWER_BYTES_MAX);
    (void)close(slow);
    answer_bytes = WEIR_ENDPOINT_ANSWER_BYTES_MAX + 1;
    fd = connected();
    say(fd, "c\n", 2);
    serve(3);
    assert_string_equal(heard(fd), ""); /* none, rather than half of one */
}

static void
t_the_socket_is_its_users_alone_and_goes_with_it(void **state)
{
    (void)state;
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/clicks.sock", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    weir_endpoint_close(endpoint);
    endpoint = NULL;
    assert_int_not_equal(access(path, F_OK), 0);
    weir_endpoint_close(NULL);
}

static void
t_what_a_dead_job_left_is_replaced(void **state)
{
    (void)state;
    weir_endpoint_close(endpoint);
    pid_t child = fork();
    if (child == 0) {
        _exit(open_in(dir) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/clicks.sock", dir);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(open_in(dir), 0);
    int fd = connected();
    say(fd, "hello\n", 6);
    serve(0);
    assert_string_equal(heard(fd), "said hello");
}

/* As a listener that stays readable while the process has no descriptor to spare: it must rest. */
static void
t_no_descriptor_left_is_no_busy_loop(void **state)
{
    (void)state;
    struct rlimit limit;
    int fd = connected();
    say(fd, "hello\n", 6);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    serve(1000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int64_t wait_ns = weir_endpoint_wait_ns(endpoint, 1000);
    assert_true(wait_ns > 0);
    assert_null(heard(fd));
    serve(1000 + wait_ns);
    assert_string_equal(heard(fd), "said hello");
}

static void
t_noise_is_answered_or_dropped(void **state)
{
    (void)state;
    struct weir_rng rng;
    uint64_t seed = seed_of_run();
    weir_rng_init(&rng, seed);
    for (int i = 0; i < 2000; i++) {
        char noise[300];
        size_t bytes = weir_rng_below(&rng, sizeof noise);
        for (size_t b = 0; b < bytes; b++) {
            noise[b] = (char)weir_rng_below(&rng, 256);
        }
        int fd = connected();
        if (bytes > 0) {
            say(fd, noise, bytes);
        }
        serve(i);
        if (weir_rng_below(&rng, 2) == 0) {
            (void)shutdown(fd, SHUT_WR);
            serve(i);
            assert_non_null(heard(fd));
        } else {
            (void)close(fd);
        }
        serve(i);
        assert_int_equal(weir_endpoint_asker_cnt(endpoint), 0);
    }
}

/* ---- asking ---- */

struct asking {
    const char *job;
    int64_t patience_ns;
    int err;
    struct weir_endpoint_answer answer;
    char why[512];
};

static void *
ask(void *arg)
{
    struct asking *asking = arg;
    asking->err =
        weir_endpoint_ask(dir, asking->job, "status", asking->patience_ns, &asking->answer);
    weir_err_save(asking->why, sizeof asking->why);
    weir_err_clear();
    return NULL;
}

static void
ask_served(struct asking *asking)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, asking), 0);
    struct pollfd readable = {.fd = weir_endpoint_fd(endpoint), .events = POLLIN};
    uint32_t before = served_cnt;
    while (served_cnt == before || weir_endpoint_asker_cnt(endpoint) > 0) {
        (void)poll(&readable, 1, -1);
        weir_endpoint_serve(endpoint, 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
t_who_asks_gets_the_whole_answer_and_who_gave_it(void **state)
{
    (void)state;
    struct asking asking = {.job = "clicks", .patience_ns = WEIR_ENDPOINT_PATIENCE_NS};
    ask_served(&asking);
    assert_int_equal(asking.err, 0);
    assert_string_equal(asking.answer.text, "said status");
    assert_int_equal(asking.answer.pid, getpid());
    assert_true(asking.answer.pid_fd >= 0);
    weir_endpoint_answer_fini(&asking.answer);
    answer_bytes = WEIR_ENDPOINT_ANSWER_BYTES_MAX;
    ask_served(&asking);
    assert_int_equal(asking.err, 0);
    assert_int_equal(asking.answer.bytes, answer_bytes);
    weir_endpoint_answer_fini(&asking.answer);
}

static void
t_a_path_longer_than_an_address_is_no_hindrance(void **state)
{
    (void)state;
    weir_endpoint_close(endpoint);
    endpoint = NULL;
    size_t used = strlen(dir);
    (void)snprintf(dir + used, sizeof dir - used, "/%0100d", 7);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(open_in(dir), 0);
    struct asking asking = {.job = "clicks", .patience_ns = WEIR_ENDPOINT_PATIENCE_NS};
    ask_served(&asking);
    assert_int_equal(asking.err, 0);
    weir_endpoint_answer_fini(&asking.answer);
    weir_endpoint_close(endpoint);
    endpoint = NULL;
    assert_int_equal(rmdir(dir), 0);
    dir[used] = '\0';
}

static void
t_a_job_that_is_not_there_is_told_from_one_that_is_silent(void **state)
{
    (void)state;
    struct weir_lease *lease = NULL;
    struct weir_cpuset cpus = {{1}};
    struct asking asking = {.job = "orders", .patience_ns = WEIR_ENDPOINT_PATIENCE_NS};
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ENOJOB);
    assert_string_equal(asking.why, "no job called orders is running; none is");
    assert_int_equal(weir_lease_open(dir, "order", &lease), 0);
    assert_int_equal(weir_lease_take(lease, &cpus), 0);
    asking.job = "payments";
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ENOJOB);
    assert_string_equal(asking.why, "no job called payments is running; these are: order");
    asking.job = "orders";
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ENOJOB);
    assert_string_equal(asking.why, "no job called orders is running; did you mean order?");
    asking.job = "order"; /* has its lease, and does not listen yet */
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ESILENT);
    weir_lease_close(lease);
    asking.job = "clicks"; /* listens, and nobody serves it */
    asking.patience_ns = 20 * WEIR_MS;
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ESILENT);
    assert_non_null(strstr(asking.why, "has not answered within 20 ms"));
    asking.job = "/no/such.sock";
    (void)ask(&asking);
    assert_int_equal(asking.err, WEIR_ENOJOB);
}

static void
t_places_that_cannot_be_listened_at_are_errors(void **state)
{
    (void)state;
    char long_name[200];
    struct weir_endpoint *none = NULL;
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct weir_endpoint_conf conf = {.dir = "/no/such", .job = "a", .answer_fn = echo};
    assert_int_equal(weir_endpoint_open(&conf, &none), WEIR_ENOINPUT);
    conf.dir = dir;
    conf.job = long_name;
    assert_int_equal(weir_endpoint_open(&conf, &none), WEIR_EINVAL);
    assert_null(none);
    weir_err_clear();
}

/* Nobody's patience ends, and others come and go meanwhile. */
static void
t_an_answer_may_come_later(void **state)
{
    (void)state;
    is_later = true;
    int fd = connected();
    say(fd, "long\n", 5);
    serve(0);
    uint64_t long_ticket = ticket;
    int half = connected();
    say(half, "half", 4);
    (void)shutdown(half, SHUT_WR);
    serve(0);
    uint64_t half_ticket = ticket;
    int gone = connected();
    say(gone, "gone\n", 5);
    serve(0);
    uint64_t gone_ticket = ticket;
    (void)close(gone);
    serve(0);
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), 2);
    weir_endpoint_answer(endpoint, gone_ticket, strdup("nobody hears it"));
    is_later = false;
    int others[WEIR_ENDPOINT_ASKER_CNT_MAX];
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        others[i] = connected();
        serve(1);
    }
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), WEIR_ENDPOINT_ASKER_CNT_MAX);
    serve(100 * WEIR_ENDPOINT_PATIENCE_NS);
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        assert_string_equal(heard(others[i]), "");
    }
    assert_int_equal(weir_endpoint_wait_ns(endpoint, 0), -1);
    assert_null(heard(fd));
    weir_endpoint_answer(endpoint, long_ticket, strdup("at last"));
    assert_string_equal(heard(fd), "at last");
    weir_endpoint_answer(endpoint, half_ticket, strdup("too"));
    assert_string_equal(heard(half), "too");
    assert_int_equal(weir_endpoint_asker_cnt(endpoint), 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(t_a_line_gets_its_answer_in_whatever_pieces_it_comes),
        CASE(t_what_is_no_single_line_is_refused_with_an_answer),
        CASE(t_the_oldest_of_many_silent_askers_makes_room),
        CASE(t_an_asker_that_does_not_come_to_the_point_is_let_go),
        CASE(t_an_asker_that_does_not_read_holds_up_nobody),
        CASE(t_the_socket_is_its_users_alone_and_goes_with_it),
        CASE(t_what_a_dead_job_left_is_replaced),
        CASE(t_no_descriptor_left_is_no_busy_loop),
        CASE(t_noise_is_answered_or_dropped),
        CASE(t_who_asks_gets_the_whole_answer_and_who_gave_it),
        CASE(t_a_path_longer_than_an_address_is_no_hindrance),
        CASE(t_a_job_that_is_not_there_is_told_from_one_that_is_silent),
        CASE(t_an_answer_may_come_later),
        CASE(t_places_that_cannot_be_listened_at_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
