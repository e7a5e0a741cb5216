/* SPDX-License-Identifier: Apache-2.0 */
/* An operator and its test: who has done nothing for ten seconds, and how often they were here. */
#include <stdio.h>
#include <stdlib.h>

#include <weir/sched/weir.h>
#include <weir/sched/weir_test.h>

#define CLICK(F) F(time, at) F(i64, user)
WEIR_SCHEMA(click, CLICK)
#define IDLE(F) F(i64, user) F(i64, clicks)
WEIR_SCHEMA(idle, IDLE)
#define SEEN(F) F(i64, clicks) F(i64, due)
WEIR_SCHEMA(seen, SEEN) /* what is kept of a user */

WEIR_PROCESS_NAMED_TIMED(idle_users, click, seen, idle)
{
    if (state->clicks > 0) {
        (void)weir_process_timer_delete(p, state->due, 0);
    }
    state->clicks++;
    state->due = in->at + 10 * WEIR_S;
    return weir_process_timer_set(p, state->due, 0);
}
WEIR_ON_TIMER(idle_users, struct seen)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct idle *out = idle_emit(p->out);
    out->user = weir_process_key(p, 0);
    out->clicks = state->clicks;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

static void
build(struct weir_test *test, void *arg)
{
    struct weir_stream *s = weir_test_input(test, click_schema(), 1);
    s = weir_process(weir_key_by(s, WEIR_KEY(click, user)), "idle", &idle_users_process, NULL);
    weir_test_output(test, s);
    (void)arg;
}

static void
must(int err)
{
    if (err != 0) {
        weir_err_print(stderr, err);
        exit(EXIT_FAILURE);
    }
}

static void
must_be(const char *is, const char *wanted)
{
    if (is == NULL || strcmp(is, wanted) != 0) {
        fprintf(stderr, "is\n%swanted\n%s", is != NULL ? is : "nothing\n", wanted);
        exit(EXIT_FAILURE);
    }
}

int
main(void)
{
    struct weir_test_conf conf = {.build = build};
    struct weir_test_snapshot *saved = NULL;
    struct weir_test *test = NULL;
    const struct click clicks[] = {{1000, 7}, {2000, 8}, {3000, 7}};

    must(weir_test_open(&conf, &test));
    must(weir_test_push(test, 0, clicks, 3));
    must(weir_test_watermark(test, 0, 12000)); /* 8 was here ten seconds ago */
    must_be(weir_test_text(test, 0), "8,1\nwatermark 12000\n");
    must(weir_test_save(test, &saved));
    must_be(weir_test_state(saved, "idle", "state"), "key=7 clicks=2 due=13000\n");
    must_be(weir_test_state(saved, "idle", "timers"), "key=7 namespace=0 time=13000\n");
    weir_test_close(test);

    conf.parallelism = 3; /* and on, with three subtasks */
    conf.from = saved;
    must(weir_test_open(&conf, &test));
    must(weir_test_watermark(test, 0, 13000));
    must_be(weir_test_rows(test, 0), "7,2\n");
    weir_test_close(test);
    weir_test_snapshot_free(saved);
    puts("ok");
    return EXIT_SUCCESS;
}
