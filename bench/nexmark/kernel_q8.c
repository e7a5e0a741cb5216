/* SPDX-License-Identifier: Apache-2.0 */
/* q8: people who came in a window of 10 s and opened an auction in it; one row a person, name and
 *     window. */
#include "bench/nexmark/keyset.h"
#include "bench/nexmark/windows.h"

#define WINDOW_MS 10000
#define NAMESAKES_MAX 4096 /* people of one window whose id came before with another name */

struct window {
    int64_t start;
    uint32_t namesake_cnt;
    const struct nexmark_event *namesakes[NAMESAKES_MAX];
    const struct nexmark_event
        *first[KEYSET_KEYS_MAX]; /* who came first under an id, by its number */
    struct keyset people;
    struct keyset sellers;
};

struct q8 {
    struct windows w;
    const struct nexmark_log *log;
    struct kernel_result result;
    struct window windows[WINDOWS_WHOLE_MAX];
};

static struct window *
open_window(struct q8 *q, int64_t start)
{
    struct window *window = &q->windows[windows_slot(&q->w, start)];
    if (window->start != start) {
        window->start = start;
        window->namesake_cnt = 0;
        keyset_clear(&window->people);
        keyset_clear(&window->sellers);
    }
    return window;
}

static bool
name_of(const struct q8 *q, const struct nexmark_event *e, struct nexmark_text *ret_name)
{
    const uint8_t *payload = nexmark_log_payload(q->log, e);
    return payload != NULL && nexmark_event_text(e, payload, NEXMARK_PERSON_NAME, ret_name);
}

/* Whether two records of one id are of one name; < 0 where a payload lies. */
static int
is_same_name(const struct q8 *q, const struct nexmark_event *one, const struct nexmark_event *other)
{
    struct nexmark_text a;
    struct nexmark_text b;
    if (!name_of(q, one, &a) || !name_of(q, other, &b)) {
        return -1;
    }
    return a.bytes == b.bytes && memcmp(a.ptr, b.ptr, a.bytes) == 0;
}

/* An id that came before: names are read only then. */
static int
add_namesake(struct q8 *q, struct window *window, uint32_t number, const struct nexmark_event *e)
{
    int same = is_same_name(q, window->first[number], e);
    for (uint32_t i = 0; i < window->namesake_cnt && same == 0; i++) {
        if (window->namesakes[i]->id_or_auction == e->id_or_auction) {
            same = is_same_name(q, window->namesakes[i], e);
        }
    }
    if (same != 0) {
        return same > 0 ? 0 : same;
    }
    if (window->namesake_cnt == NAMESAKES_MAX) {
        return -1;
    }
    window->namesakes[window->namesake_cnt++] = e;
    return 0;
}

static int
add_person(struct q8 *q, struct window *window, const struct nexmark_event *e)
{
    uint32_t key_cnt = window->people.key_cnt;
    uint32_t number = keyset_add(&window->people, e->id_or_auction);
    if (WEIR_UNLIKELY(number < key_cnt)) {
        return add_namesake(q, window, number, e);
    }
    if (number == KEYSET_NONE) {
        return -1;
    }
    window->first[number] = e;
    return 0;
}

static int
emit(struct q8 *q, const struct window *window, const struct nexmark_event *e)
{
    struct nexmark_text name;
    if (!name_of(q, e, &name)) {
        return -1;
    }
    uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
    sum = weir_row_add(sum, 1, weir_row_text(name.ptr, name.bytes));
    kernel_emit(&q->result, weir_row_add(sum, 2, (uint64_t)window->start));
    return 0;
}

/* The rows of one window. Names lie in payloads that nobody has touched yet: matches are collected
 * first, so that their lines can be fetched ahead. */
static int
fire(struct q8 *q, int64_t end)
{
    static const struct nexmark_event *matches[KEYSET_KEYS_MAX + NAMESAKES_MAX];
    struct window *window = &q->windows[windows_slot(&q->w, end - WINDOW_MS)];
    uint32_t match_cnt = 0;
    int err = 0;
    if (window->start != end - WINDOW_MS) {
        return 0;
    }
    for (uint32_t i = 0; i < window->people.key_cnt; i++) {
        bool has = keyset_find(&window->sellers, window->people.keys[i]) != KEYSET_NONE;
        matches[match_cnt] = window->first[i];
        match_cnt += has;
    }
    for (uint32_t i = 0; i < window->namesake_cnt; i++) {
        const struct nexmark_event *e = window->namesakes[i];
        bool has = keyset_find(&window->sellers, e->id_or_auction) != KEYSET_NONE;
        matches[match_cnt] = e;
        match_cnt += has;
    }
    for (uint32_t i = 0; i < match_cnt && err == 0; i++) {
        if (i + KERNEL_AHEAD < match_cnt) {
            kernel_fetch(q->log, (uint64_t)(matches[i + KERNEL_AHEAD] - q->log->records), 128);
        }
        err = emit(q, window, matches[i]);
    }
    return err;
}

static inline int
add(struct q8 *q, struct window *window, const struct nexmark_event *e)
{
    if (e->kind == NEXMARK_PERSON) {
        return add_person(q, window, e);
    }
    return keyset_add(&window->sellers, e->seller_or_bidder) == KEYSET_NONE ? -1 : 0;
}

static int
slow(struct q8 *q, const struct nexmark_event *e)
{
    int64_t from;
    int64_t to;
    int err = 0;
    windows_advance(&q->w, e->time_ms, &from, &to);
    for (int64_t end = from + WINDOW_MS; end <= to && err == 0; end += WINDOW_MS) {
        err = fire(q, end);
    }
    windows_settle(&q->w);
    int64_t start = windows_floor(e->time_ms, WINDOW_MS);
    if (err != 0 || e->kind == NEXMARK_BID || start + WINDOW_MS <= from) {
        return err;
    }
    return add(q, open_window(q, start), e);
}

static int
run(struct q8 *q)
{
    struct window *window = &q->windows[0];
    int err = 0;
    for (uint64_t i = 0; i < q->log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &q->log->records[i];
        if (WEIR_LIKELY(e->time_ms >= q->w.low && e->time_ms < q->w.high)) {
            if (e->kind != NEXMARK_BID) {
                err = add(q, window, e);
            }
        } else {
            err = slow(q, e);
            window = open_window(q, q->w.newest);
        }
    }
    int64_t end = q->w.fired_end + WINDOW_MS;
    for (; end <= q->w.newest + WINDOW_MS && err == 0; end += WINDOW_MS) {
        err = fire(q, end);
    }
    return err;
}

/* As that of q7 to the letter: a kernel is one program for one query, whose types are its own, and
 * nothing but windows.h is shared that would keep a compiler from seeing all of it. */
int
kernel_q8(const struct kernel_input *input, struct kernel_result *ret_result)
{
    static struct q8 q;
    memset(&q.result, 0, sizeof q.result);
    windows_init(&q.w, WINDOW_MS, WINDOW_MS);
    q.log = &input->log;
    for (uint32_t i = 0; i < WINDOWS_WHOLE_MAX; i++) {
        q.windows[i].start = INT64_MIN;
    }
    int err = run(&q);
    q.result.events = input->log.record_cnt;
    *ret_result = q.result;
    return err;
}
