/* SPDX-License-Identifier: Apache-2.0 */
/* fifo.c: a job whose source waits in read(2) for what another process writes into a FIFO: numbers,
 * one a line, which that process repeats from where a file says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/weir.h"

#define READING(F) F(i64, value)
WEIR_SCHEMA(reading, READING)

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "fifo", "", "the FIFO"},
    {"ask", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "ask", "",
        "the file that says from which number on"},
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "the table"},
    {"deaf", WEIR_OPT_INT, WEIR_OPT_ANY, "", 0, INT64_MAX, "0", "",
        "interruptions that it takes until it returns; 0: it hears when it is told to"},
    {.name = NULL},
};

struct conf {
    const char *fifo;
    const char *ask;
    int64_t deaf;
};

/* Say from where on, by a file that appears as a whole. */
static int
ask(const struct conf *conf, int64_t next)
{
    char path[4200];
    (void)snprintf(path, sizeof path, "%s.new", conf->ask);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return weir_err_push(WEIR_EIO, "%s: %s", path, strerror(errno));
    }
    (void)fprintf(file, "%lld\n", (long long)next);
    (void)fclose(file);
    return rename(path, conf->ask) != 0 ? weir_err_push(WEIR_EIO, "%s", conf->ask) : 0;
}

static bool
emit_line(struct weir_blocking *blocking, const char *line)
{
    int64_t value = strtoll(line, NULL, 10);
    int64_t next = value + 1;
    struct reading *row = weir_blocking_row(blocking);
    row->value = value;
    return weir_blocking_emit(blocking) &&
           (value % 10 != 9 || weir_blocking_position(blocking, &next, sizeof next));
}

/* A client library that knows of nothing but its socket. It has a name, so that a stack can tell
 * it. */
WEIR_API __attribute__((noinline)) ssize_t
fifo_waits_deaf(int64_t cnt, int fd, char *to, size_t bytes);

ssize_t
fifo_waits_deaf(int64_t cnt, int fd, char *to, size_t bytes)
{
    ssize_t got = read(fd, to, bytes);
    for (int64_t i = 0; i < cnt && got < 0 && errno == EINTR; i++) {
        (void)fprintf(stderr, "fifo: interrupted\n");
        got = i + 1 < cnt ? read(fd, to, bytes) : 0;
    }
    return got;
}

/* Bytes of the FIFO; 0: its end, or the job's. */
static ssize_t
wait_for_bytes(struct weir_blocking *blocking, int fd, char *to, size_t bytes)
{
    struct pollfd fds[2] = {
        {.fd = fd, .events = POLLIN}, {.fd = weir_blocking_fd(blocking), .events = POLLIN}};
    while (poll(fds, 2, -1) < 1) {
    }
    return fds[1].revents != 0 ? 0 : read(fd, to, bytes);
}

static int
run(struct weir_blocking *blocking, const void *arg)
{
    const struct conf *conf = arg;
    char bytes[4096];
    size_t cnt = 0;
    int64_t next = 0;
    (void)weir_blocking_start(blocking, &next, sizeof next);
    int fd = open(conf->fifo, O_RDWR | O_CLOEXEC); /* also to write: opening does not wait */
    int rc = fd < 0 ? weir_err_push(WEIR_ENOINPUT, "%s: %s", conf->fifo, strerror(errno))
                    : ask(conf, next);
    for (bool goes_on = rc == 0; goes_on;) {
        ssize_t got = conf->deaf > 0
                          ? fifo_waits_deaf(conf->deaf, fd, bytes + cnt, sizeof bytes - cnt)
                          : wait_for_bytes(blocking, fd, bytes + cnt, sizeof bytes - cnt);
        goes_on = got > 0;
        cnt += goes_on ? (size_t)got : 0;
        char *line = bytes;
        for (char *end; goes_on && (end = memchr(line, '\n', cnt)) != NULL; line = end + 1) {
            cnt -= (size_t)(end + 1 - line);
            *end = '\0';
            if (strcmp(line, "broken") == 0) {
                rc = weir_err_push(WEIR_EDATA, "the other side is broken");
            }
            goes_on = rc == 0 && strcmp(line, "end") != 0 && emit_line(blocking, line);
        }
        memmove(bytes, line, cnt);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static const struct weir_blocking_function function = {
    .out_schema = reading_schema, .run = run, .replays = true};

int
weir_job_main(struct weir_env *env)
{
    struct conf *conf = weir_env_alloc(env, sizeof *conf);
    conf->fifo = weir_param(env, "input");
    conf->ask = weir_param(env, "ask");
    conf->deaf = weir_param_number(env, "deaf");
    const struct weir_blocking_conf blocking = {.function = &function, .function_conf = conf};
    struct weir_stream *s = weir_source_blocking(env, "readings", &blocking);
    weir_sink_table(weir_parallelism(s, 1), "out", weir_param(env, "output"));
    return weir_env_check(env);
}
