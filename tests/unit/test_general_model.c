/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of each key for themselves against a model that keeps every row of every window in a
 * list, takes rows one by one, and has a list of timers a window, as Flink's WindowOperator says;
 * in batches of any size, in front of sinks that are full, and across restarts. */
#include "base/rng.h"
#include "tests/unit/general_rows.h"
#include "tests/unit/seed.h"

#define TRIAL_CNT 160
#define STEP_CNT 60
#define KEY_CNT 5
#define NONE INT64_MIN
#define TIMER_CNT_MAX 256

/* ---- the model ---- */

struct model_window {
    int64_t key;
    int64_t start;
    int64_t end;
    struct event *row;
    uint32_t row_cnt;
    int64_t word; /* of the trigger: a count, the next time, the last value */
    bool has_word;
    int64_t timer[TIMER_CNT_MAX];
    uint32_t timer_cnt;
};

struct model {
    const struct weir_general_conf *conf;
    struct model_window *window;
    uint32_t window_cnt;
    int64_t watermark;
    struct seen_row *out;
    uint32_t out_cnt;
    uint64_t late_cnt;
    int64_t late_sum;
};

static int64_t
last_of(const struct model *m, const struct model_window *w)
{
    return m->conf->span.kind == WEIR_GENERAL_GLOBAL ? INT64_MAX : w->end - 1;
}

static int64_t
cleanup_of(const struct model *m, const struct model_window *w)
{
    return weir_add_sat(last_of(m, w), m->conf->lateness_ms);
}

static bool
is_late(const struct model *m, const struct model_window *w)
{
    return m->conf->span.kind != WEIR_GENERAL_GLOBAL && cleanup_of(m, w) <= m->watermark;
}

static void
timer_set(struct model_window *w, int64_t time)
{
    for (uint32_t i = 0; i < w->timer_cnt; i++) {
        if (w->timer[i] == time) {
            return;
        }
    }
    assert_true(w->timer_cnt < TIMER_CNT_MAX);
    w->timer[w->timer_cnt++] = time;
}

static void
evict(const struct model *m, struct model_window *w)
{
    const struct weir_evictor *e = &m->conf->evictor;
    uint32_t kept = 0;
    uint32_t cnt = w->row_cnt;
    int64_t latest = INT64_MIN;
    for (uint32_t i = 0; i < cnt; i++) {
        latest = weir_max_i64(latest, w->row[i].at);
    }
    int64_t last = cnt > 0 ? w->row[cnt - 1].value : 0;
    for (uint32_t i = 0; i < cnt; i++) {
        const struct event *row = &w->row[i];
        bool goes = e->kind == WEIR_EVICTOR_COUNT  ? (int64_t)(cnt - i) > e->keep
                    : e->kind == WEIR_EVICTOR_TIME ? row->at <= latest - e->keep
                                                   : llabs(row->value - last) >= e->keep;
        if (!goes) {
            w->row[kept++] = *row;
        }
    }
    w->row_cnt = kept;
}

static void
fire(struct model *m, struct model_window *w)
{
    bool evicts = m->conf->evictor.kind != WEIR_EVICTOR_NONE;
    if (evicts && !m->conf->evictor.after) {
        evict(m, w);
    }
    if (w->row_cnt > 0) {
        struct seen_row *out;
        m->out = realloc(m->out, (m->out_cnt + 1) * sizeof *m->out);
        assert_non_null(m->out);
        out = &m->out[m->out_cnt++];
        memset(out, 0, sizeof *out);
        out->row.window_start = w->start;
        out->row.window_end = w->end;
        out->row.key = w->key;
        for (uint32_t i = 0; i < w->row_cnt; i++) {
            out->row.result += w->row[i].value;
        }
        out->time = last_of(m, w);
    }
    if (evicts && m->conf->evictor.after) {
        evict(m, w);
    }
    if (m->conf->trigger.purges) {
        w->row_cnt = 0;
    }
}

static void
window_drop(struct model *m, uint32_t i)
{
    free(m->window[i].row);
    m->window[i] = m->window[--m->window_cnt];
}

static struct model_window *
window_of(struct model *m, int64_t key, int64_t start, int64_t end)
{
    for (uint32_t i = 0; i < m->window_cnt; i++) {
        struct model_window *w = &m->window[i];
        if (w->key == key && w->start == start && w->end == end) {
            return w;
        }
    }
    m->window = realloc(m->window, (m->window_cnt + 1) * sizeof *m->window);
    assert_non_null(m->window);
    struct model_window *w = &m->window[m->window_cnt++];
    memset(w, 0, sizeof *w);
    w->key = key;
    w->start = start;
    w->end = end;
    return w;
}

static void
window_add(struct model_window *w, const struct event *row)
{
    w->row = realloc(w->row, (w->row_cnt + 1) * sizeof *w->row);
    assert_non_null(w->row);
    w->row[w->row_cnt++] = *row;
}

static void
on_row(struct model *m, struct model_window *w, const struct event *row)
{
    const struct weir_trigger *t = &m->conf->trigger;
    int64_t last = last_of(m, w);
    bool ends = t->kind == WEIR_TRIGGER_AT_END || t->kind == WEIR_TRIGGER_CONTINUOUS;
    window_add(w, row);
    if (ends && last <= m->watermark) {
        fire(m, w);
    } else if (ends) {
        timer_set(w, last);
        if (t->kind == WEIR_TRIGGER_CONTINUOUS && !w->has_word) {
            int64_t over = (row->at % t->every + t->every) % t->every;
            w->has_word = true;
            w->word = weir_min_i64(row->at - over + t->every, last);
            timer_set(w, w->word);
        }
    } else if (t->kind == WEIR_TRIGGER_COUNT && ++w->word >= t->every) {
        w->word = 0;
        fire(m, w);
    } else if (t->kind == WEIR_TRIGGER_DELTA) {
        bool is_first = !w->has_word;
        if (is_first || llabs(row->value - w->word) > t->every) {
            w->has_word = true;
            w->word = row->value;
            if (!is_first) {
                fire(m, w);
            }
        }
    }
    if (m->conf->span.kind != WEIR_GENERAL_GLOBAL) {
        timer_set(w, cleanup_of(m, w));
    }
}

static void
row_late(struct model *m, const struct event *row)
{
    if (m->conf->span.kind != WEIR_GENERAL_GLOBAL &&
        row->at + m->conf->lateness_ms <= m->watermark) {
        m->late_cnt++;
        m->late_sum += row->value;
    }
}

static void
session_row(struct model *m, const struct event *row)
{
    struct model_window made = {
        .key = row->key, .start = row->at, .end = row->at + m->conf->span.size_ms};
    bool merges = false;
    struct model_window near = made;
    for (uint32_t i = 0; i < m->window_cnt; i++) {
        const struct model_window *w = &m->window[i];
        if (w->key == row->key && w->start <= near.end && w->end >= near.start) {
            made.start = weir_min_i64(made.start, w->start);
            made.end = weir_max_i64(made.end, w->end);
        }
    }
    if (is_late(m, &made)) {
        row_late(m, row);
        return;
    }
    for (uint32_t i = 0; i < m->window_cnt;) {
        struct model_window *w = &m->window[i];
        if (w->key != row->key || w->start > near.end || w->end < near.start) {
            i++;
            continue;
        }
        for (uint32_t r = 0; r < w->row_cnt; r++) {
            window_add(&made, &w->row[r]);
        }
        if (m->conf->trigger.kind == WEIR_TRIGGER_COUNT) {
            made.word += w->word;
        } else if (w->has_word) {
            made.word = made.has_word ? weir_min_i64(made.word, w->word) : w->word;
            made.has_word = true;
        }
        merges = true;
        window_drop(m, i);
    }
    struct model_window *w = window_of(m, made.key, made.start, made.end);
    *w = made;
    if (merges && w->has_word) {
        timer_set(w, w->word);
    }
    on_row(m, w, row);
}

static int64_t
floor_to(int64_t a, int64_t b)
{
    return a - (a % b + b) % b;
}

static void
model_row(struct model *m, const struct event *row)
{
    const struct weir_general_span *span = &m->conf->span;
    bool is_in = false;
    if (span->kind == WEIR_GENERAL_SESSIONS) {
        session_row(m, row);
        return;
    }
    int64_t first = floor_to(row->at, span->slide_ms != 0 ? span->slide_ms : 1);
    for (int64_t n = 0; n < 64; n++) {
        struct model_window at = {.key = row->key};
        if (span->kind == WEIR_GENERAL_GLOBAL) {
            at.start = INT64_MIN;
            at.end = INT64_MAX;
        } else if (span->kind == WEIR_GENERAL_ALIGNED) {
            at.start = first - n * span->slide_ms;
            at.end = at.start + span->size_ms;
        } else {
            at.start = floor_to(row->at, span->size_ms);
            at.end = first + (n + 1) * span->slide_ms;
        }
        bool is_one = span->kind == WEIR_GENERAL_ALIGNED      ? at.end > row->at
                      : span->kind == WEIR_GENERAL_CUMULATING ? at.end - at.start <= span->size_ms
                                                              : n == 0;
        if (!is_one) {
            break;
        }
        if (!is_late(m, &at)) {
            is_in = true;
            on_row(m, window_of(m, at.key, at.start, at.end), row);
        }
    }
    if (!is_in) {
        row_late(m, row);
    }
}

/* One timer of a window; true: the window is gone. */
static bool
model_timer(struct model *m, uint32_t i, int64_t time)
{
    struct model_window *w = &m->window[i];
    const struct weir_trigger *t = &m->conf->trigger;
    int64_t last = last_of(m, w);
    bool ends = t->kind == WEIR_TRIGGER_AT_END || t->kind == WEIR_TRIGGER_CONTINUOUS;
    bool is_next = t->kind == WEIR_TRIGGER_CONTINUOUS && w->has_word && w->word == time;
    if ((ends && time == last) || is_next) {
        fire(m, w);
    }
    if (is_next) {
        int64_t next = weir_min_i64(time + t->every, last);
        next = last == INT64_MAX && m->watermark == WEIR_WATERMARK_MAX ? last : next;
        w->has_word = next > time;
        w->word = next;
        if (w->has_word) {
            timer_set(w, next);
        }
    }
    if (m->conf->span.kind != WEIR_GENERAL_GLOBAL && time == cleanup_of(m, w)) {
        window_drop(m, i);
        return true;
    }
    return false;
}

static void
model_watermark(struct model *m, int64_t watermark)
{
    if (watermark == m->watermark) {
        return; /* only one that has risen fires anything */
    }
    m->watermark = watermark;
    for (uint32_t i = 0; i < m->window_cnt;) {
        struct model_window *w = &m->window[i];
        uint32_t least = 0;
        for (uint32_t t = 1; t < w->timer_cnt; t++) {
            least = w->timer[t] < w->timer[least] ? t : least;
        }
        if (w->timer_cnt == 0 || w->timer[least] > watermark) {
            i++;
            continue;
        }
        int64_t time = w->timer[least];
        w->timer[least] = w->timer[--w->timer_cnt];
        (void)model_timer(m, i, time);
    }
}

static void
model_free(struct model *m)
{
    while (m->window_cnt > 0) {
        window_drop(m, m->window_cnt - 1);
    }
    free(m->window);
    free(m->out);
}

/* ---- trials ---- */

static void
draw_conf(struct weir_rng *rng, struct weir_general_conf *conf)
{
    static const struct weir_general_span spans[] = {
        {WEIR_GENERAL_ALIGNED, false, 50, 50, 0},
        {WEIR_GENERAL_ALIGNED, false, 60, 20, 0},
        {WEIR_GENERAL_ALIGNED, false, 50, 30, 0},
        {WEIR_GENERAL_ALIGNED, false, 20, 35, 0},
        {WEIR_GENERAL_CUMULATING, false, 60, 15, 0},
        {WEIR_GENERAL_SESSIONS, false, 12, 12, 0},
        {WEIR_GENERAL_SESSIONS, false, 30, 30, 0},
        {WEIR_GENERAL_SESSIONS, false, 5, 5, 0},
        {WEIR_GENERAL_GLOBAL, false, 0, 0, 0},
    };
    *conf = general_conf(
        spans[weir_rng_below(rng, WEIR_ARRAY_CNT(spans))], weir_aggregate_sum("value"));
    bool is_session = conf->span.kind == WEIR_GENERAL_SESSIONS;
    static const uint32_t triggers[] = {WEIR_TRIGGER_AT_END, WEIR_TRIGGER_AT_END,
        WEIR_TRIGGER_COUNT, WEIR_TRIGGER_CONTINUOUS, WEIR_TRIGGER_DELTA, WEIR_TRIGGER_NEVER};
    conf->trigger.kind = triggers[weir_rng_below(rng, is_session ? 4 : 6)];
    conf->trigger.purges = weir_rng_chance(rng, 1, 3);
    conf->trigger.every = weir_rng_between(rng, 2, 9);
    conf->trigger.field = "value";
    if (conf->span.kind != WEIR_GENERAL_GLOBAL && weir_rng_chance(rng, 1, 2)) {
        conf->lateness_ms = weir_rng_between(rng, 1, 40);
    }
    if (weir_rng_chance(rng, 1, 3)) {
        /* Which session's rows come first when two merge is not promised. */
        conf->evictor.kind = is_session ? WEIR_EVICTOR_TIME : (uint32_t)weir_rng_between(rng, 1, 3);
        conf->evictor.after = weir_rng_chance(rng, 1, 2);
        conf->evictor.keep = weir_rng_between(rng, 1, 12);
        conf->evictor.field = "value";
    }
}

static char *
text_of(struct seen_row *rows, uint32_t cnt)
{
    size_t room = (size_t)cnt * 128 + 1;
    char *text = malloc(room);
    size_t used = 0;
    assert_non_null(text);
    text[0] = '\0';
    if (cnt > 0) {
        qsort(rows, cnt, sizeof *rows, seen_order);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        const struct fired *row = &rows[i].row;
        used += (size_t)snprintf(text + used, room - used, "k%lld-%lld %lld-%lld@%lld\n",
            (long long)row->key, (long long)row->result, (long long)row->window_start,
            (long long)row->window_end, (long long)rows[i].time);
    }
    return text;
}

static void
compare(struct harness *h, struct model *m, uint64_t seed, uint32_t step)
{
    struct harness_out *out = &h->out[0];
    struct seen_row *rows = calloc(out->row_cnt + 1, sizeof *rows);
    uint32_t cnt = 0;
    assert_non_null(rows);
    for (uint32_t i = 0; i < out->event_cnt; i++) {
        if (out->event[i].kind == HARNESS_ROW) {
            rows[cnt].row = *(const struct fired *)harness_row(h, 0, out->event[i].row);
            rows[cnt++].time = out->event[i].time;
        }
    }
    char *is = text_of(rows, cnt);
    char *want = text_of(m->out, m->out_cnt);
    int64_t late_sum = 0;
    for (uint32_t i = 0; i < h->out[1].row_cnt; i++) {
        late_sum += ((const struct event *)harness_row(h, 1, i))->value;
    }
    if (strcmp(is, want) != 0 || h->out[1].row_cnt != m->late_cnt || late_sum != m->late_sum) {
        const struct weir_general_conf *c = m->conf;
        print_message("seed %llu step %u: windows %u %lld/%lld trigger %u every %lld purges %d "
                      "lateness %lld evictor %u keep %lld after %d; late %u of %llu\n",
            (unsigned long long)seed, step, c->span.kind, (long long)c->span.size_ms,
            (long long)c->span.slide_ms, c->trigger.kind, (long long)c->trigger.every,
            c->trigger.purges, (long long)c->lateness_ms, c->evictor.kind,
            (long long)c->evictor.keep, c->evictor.after, h->out[1].row_cnt,
            (unsigned long long)m->late_cnt);
        size_t at = 0;
        size_t line = 0;
        for (; is[at] == want[at] && is[at] != '\0'; at++) {
            line = is[at] == '\n' ? at + 1 : line;
        }
        print_message("is %.160s\nwanted %.160s\n", is + line, want + line);
    }
    assert_true(strcmp(is, want) == 0);
    assert_int_equal(h->out[1].row_cnt, m->late_cnt);
    assert_int_equal(late_sum, m->late_sum);
    free(is);
    free(want);
    free(rows);
    harness_clear(h);
    m->out_cnt = 0;
    m->late_cnt = 0;
    m->late_sum = 0;
}

static void
run_trial(uint64_t seed)
{
    struct weir_rng rng;
    struct weir_general_conf conf;
    struct event rows[300];
    weir_rng_init(&rng, seed);
    draw_conf(&rng, &conf);
    struct harness_conf hc = general_harness(&conf);
    hc.is_slow = weir_rng_chance(&rng, 1, 2);
    hc.seed = seed;
    hc.columns = weir_rng_chance(&rng, 1, 2);
    hc.batch_rows = (uint32_t)weir_rng_between(&rng, 1, 40);
    hc.buf_bytes = 4096;
    struct harness *h = harness_new(&hc);
    struct model m = {.conf = &conf, .watermark = WEIR_TIME_MIN};
    int64_t now = 0;
    for (uint32_t step = 0; step < STEP_CNT; step++) {
        if (weir_rng_chance(&rng, 1, 8)) {
            go_on(&h, &hc, weir_rng_chance(&rng, 1, 2));
        }
        if (weir_rng_chance(&rng, 1, 3)) {
            int64_t to = now - weir_rng_between(&rng, 0, 40);
            to = step == STEP_CNT - 1 ? WEIR_WATERMARK_MAX : weir_max_i64(to, m.watermark);
            harness_watermark(h, 0, to);
            model_watermark(&m, to);
            compare(h, &m, seed, step);
            continue;
        }
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 1, weir_rng_chance(&rng, 1, 9) ? 300 : 12);
        for (uint32_t i = 0; i < cnt; i++) {
            now += weir_rng_chance(&rng, 1, 20) ? weir_rng_between(&rng, 0, 60)
                                                : weir_rng_between(&rng, 0, 2);
            rows[i] = row_of(now - weir_rng_between(&rng, 0, weir_rng_chance(&rng, 1, 4) ? 60 : 6),
                weir_rng_between(&rng, 1, KEY_CNT), weir_rng_between(&rng, -20, 20));
            model_row(&m, &rows[i]);
        }
        harness_push(h, 0, rows, cnt);
        compare(h, &m, seed, step);
    }
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    model_watermark(&m, WEIR_WATERMARK_MAX);
    compare(h, &m, seed, STEP_CNT);
    const struct general_self *self = harness_operator(h)->self;
    if (conf.span.kind != WEIR_GENERAL_GLOBAL) {
        assert_int_equal(self->table->entry_cnt, 0);
        assert_int_equal(self->more != NULL ? self->more->entry_cnt : 0, 0);
        assert_int_equal(weir_timers_cnt(&self->timers), 0);
    }
    harness_free(h);
    model_free(&m);
}

static void
t_windows_of_any_kind_are_as_the_model_says(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint64_t i = 0; i < TRIAL_CNT; i++) {
        run_trial(seed + i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_windows_of_any_kind_are_as_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
