/* SPDX-License-Identifier: Apache-2.0 */
/* faulty.c: a plug-in that fails where it is told to, and says so once, or does not come back;
 * graphs that are wrong. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/weir.h"

#define NUMBER(F) F(i64, value)
WEIR_SCHEMA(number, NUMBER)
#define NAME(F) F(str, name)
WEIR_SCHEMA(named, NAME)

#define ROW_CNT 10000
#define BAD_ROW 5000
#define NAP_CNT 3 /* interruptions that end a nap */
#define LATE_US 100000 /* of the second that there is */

const struct weir_opt weir_job_params[] = {
    {"fault", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "none",
        "none open process watermark finish close poll unconnected mismatch cancel spin nap deaf "
        "late",
        "what goes wrong"},
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "discard", "", "the table"},
    {.name = NULL},
};

struct faulty_conf {
    char fault[16];
};

struct faulty {
    void *mem; /* what a leak check looks for */
    int64_t at;
};

static int
act(const struct weir_operator *op, const char *step)
{
    const struct faulty_conf *conf = op->conf;
    return strcmp(conf->fault, step) == 0 ? weir_err_push(WEIR_EFAILED, "told to fail in %s", step)
                                          : 0;
}

static int
faulty_open(struct weir_operator *op)
{
    struct faulty *self = op->self;
    self->mem = malloc(1000);
    return self->mem == NULL ? weir_err_push(WEIR_ENOMEM, "1000 bytes") : act(op, "open");
}

static int
faulty_close(struct weir_operator *op, bool clean)
{
    struct faulty *self = op->self;
    (void)clean;
    free(self->mem);
    return act(op, "close");
}

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct faulty *self = op->self;
    (void)now_ns;
    while (self->at < ROW_CNT) {
        int err = self->at == BAD_ROW ? act(op, "poll") : 0;
        if (err != 0) {
            return err;
        }
        if (!weir_out_room(out, 1, 0)) {
            return WEIR_AGAIN;
        }
        number_emit(out)->value = ++self->at;
    }
    return WEIR_DONE;
}

/* It has a name, so that a stack can tell it. */
WEIR_API __attribute__((noinline, noreturn)) void faulty_spins(void);

void
faulty_spins(void)
{
    for (;;) {
        __asm__("" ::: "memory"); /* an empty loop may be left out */
#ifdef __SANITIZE_THREAD__
        /* ThreadSanitizer hands signals over in calls that it knows, and nowhere else */
        (void)usleep(1);
#endif
    }
}

/* A client library that waits, and does so again when it is interrupted, but not for ever. */
WEIR_API __attribute__((noinline)) int faulty_naps(void);

int
faulty_naps(void)
{
    for (int i = 0; i < NAP_CNT; i++) {
        (void)pause();
        (void)fprintf(stderr, "faulty: interrupted\n");
    }
    return WEIR_ECANCELED;
}

/* Its host does not let it run for a while when it is asked: then it answers, and never returns. */
WEIR_API __attribute__((noinline, noreturn)) void faulty_is_late(void);

void
faulty_is_late(void)
{
    sigset_t all;
    sigset_t before;
    siginfo_t asked;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = sigwaitinfo(&all, &asked);
    (void)usleep(LATE_US);
    (void)pthread_sigqueue(pthread_self(), number, asked.si_value);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    faulty_spins();
}

/* Something that is no error: WEIR_ECANCELED where it is one, else 0. */
static int
stay_away(const struct faulty_conf *conf)
{
    if (strcmp(conf->fault, "cancel") == 0) {
        return WEIR_ECANCELED;
    }
    bool is_deaf = strcmp(conf->fault, "deaf") == 0;
    bool is_late = strcmp(conf->fault, "late") == 0;
    if (!is_deaf && !is_late && strcmp(conf->fault, "spin") != 0 &&
        strcmp(conf->fault, "nap") != 0) {
        return 0;
    }
    if (is_deaf) { /* as a thread that the kernel does not let go */
        sigset_t all;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    }
    (void)fprintf(stderr, "faulty: gone\n");
    if (conf->fault[0] == 'n') {
        return faulty_naps();
    }
    if (is_late) {
        faulty_is_late();
    }
    faulty_spins();
}

static int64_t
faulty_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct faulty *self = op->self;
    (void)input;
    (void)now_ns;
    self->at += in->cnt - cursor;
    int err = self->at >= BAD_ROW ? act(op, "process") : 0;
    err = err == 0 && self->at >= BAD_ROW ? stay_away(op->conf) : err;
    if (err != 0) {
        return err;
    }
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static int
faulty_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)watermark;
    (void)out;
    (void)now_ns;
    int err = act(op, "watermark");
    return err != 0 ? err : WEIR_DONE;
}

static int
faulty_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    int err = act(op, "finish");
    return err != 0 ? err : WEIR_DONE;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers",
    .self_bytes = sizeof(struct faulty),
    .output_cnt = 1,
    .open = faulty_open,
    .poll = numbers_poll,
    .close = faulty_close,
};

static const struct weir_operator_type faulty_type = {
    .name = "faulty",
    .self_bytes = sizeof(struct faulty),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = faulty_open,
    .process = faulty_process,
    .watermark = faulty_watermark,
    .finish = faulty_finish,
    .close = faulty_close,
};

WEIR_FILTER(has_name, named)
{
    return in->name.bytes > 0;
}

WEIR_FILTER(is_even, number)
{
    return in->value % 2 == 0;
}

int
weir_job_main(struct weir_env *env)
{
    struct faulty_conf conf = {0};
    const char *fault = weir_param(env, "fault");
    memcpy(conf.fault, fault, weir_min_u64(strlen(fault), sizeof conf.fault - 1));
    struct weir_stream *s =
        weir_source(env, "numbers", number_schema(), &numbers_type, &conf, sizeof conf);
    const struct weir_operator_conf middle = {
        .name = "middle", .type = &faulty_type, .conf = &conf, .conf_bytes = sizeof conf};
    s = weir_operator(&s, 1, &middle);
    if (strcmp(fault, "unconnected") == 0) {
        weir_filter(s, "lonely", &is_even_op);
    }
    if (strcmp(fault, "mismatch") == 0) {
        s = weir_filter(s, "has_name", &has_name_op);
    }
    weir_sink_table(s, "out", weir_param(env, "output"));
    return weir_env_check(env);
}
