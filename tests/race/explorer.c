/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/race/explorer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES (64 * 1024)
#define LOC_CNT_MAX 16
#define STORE_CNT_MAX 24
#define DATA_CNT_MAX 16
#define STEP_CNT_MAX 256
#define RUN_CNT_MAX UINT64_C(20000000)

struct view {
    uint8_t oldest[LOC_CNT_MAX];
    uint8_t clock[RACE_THREAD_CNT_MAX];
};

struct store {
    uint64_t value;
    struct view view;
};

struct loc {
    const void *p;
    uint8_t store_cnt;
    uint8_t sc_idx;
    struct store stores[STORE_CNT_MAX];
};

struct datum {
    const void *p;
    uint8_t written[RACE_THREAD_CNT_MAX];
    uint8_t read[RACE_THREAD_CNT_MAX];
};

struct fiber {
    jmp_buf at;
    ucontext_t start;
    bool is_started;
    bool is_over;
    struct race_access pending;
    uint8_t loc_idx; /* of the pending access */
    uint64_t result;
    struct view view;
    struct view fence_view; /* at the last release fence */
    struct view seen_view; /* of the stores read, whatever the order */
};

/* A point where a run could have gone on in another way. */
struct choice {
    bool is_read;
    uint8_t cur;
    uint8_t option_cnt; /* of a read */
    uint8_t enabled_mask; /* of a schedule */
    uint8_t sleep_mask;
    uint8_t done_mask;
};

struct step {
    uint8_t thread_idx;
    enum race_op op;
    const char *func;
    uint8_t loc_idx;
    uint8_t store_idx;
    uint64_t value;
};

enum run_end { RUN_RUNNING, RUN_DONE, RUN_CUT, RUN_BROKEN };

/* One exploration at a time per process: the fibers need a place that they all reach. */
static struct {
    const struct race_case *cs;
    const struct race_weaken *weaken;
    struct race_result *result;
    struct fiber fibers[RACE_THREAD_CNT_MAX];
    uint8_t fiber_cnt;
    uint8_t running_idx;
    bool is_running;
    enum run_end end;
    jmp_buf scheduler;
    ucontext_t scheduler_start;
    struct loc locs[LOC_CNT_MAX];
    uint8_t loc_cnt;
    struct datum data[DATA_CNT_MAX];
    uint8_t datum_cnt;
    struct choice choices[STEP_CNT_MAX];
    uint32_t choice_cnt;
    uint32_t choice_idx;
    struct step steps[STEP_CNT_MAX];
    uint32_t step_cnt;
} ex;

static _Alignas(16) uint8_t stacks[RACE_THREAD_CNT_MAX][STACK_BYTES];

static const char *const op_names[] = {"load", "store", "add", "exchange", "swap", "wait", "fence"};

static bool
is_writing(enum race_op op)
{
    return op != RACE_LOAD && op != RACE_WAIT;
}

static bool
is_acquire(enum race_order order)
{
    return order == RACE_ACQ || order == RACE_ACQ_REL || order == RACE_SC;
}

static bool
is_release(enum race_order order)
{
    return order == RACE_REL || order == RACE_ACQ_REL || order == RACE_SC;
}

static uint64_t
peek_memory(const struct race_access *access)
{
    uint64_t value = 0;
    memcpy(&value, access->p, access->bytes);
    return value;
}

static void
poke_memory(const struct race_access *access, uint64_t value)
{
    memcpy(access->p, &value, access->bytes);
}

static void
view_join(struct view *into, const struct view *from)
{
    for (int i = 0; i < LOC_CNT_MAX; i++) {
        into->oldest[i] = into->oldest[i] > from->oldest[i] ? into->oldest[i] : from->oldest[i];
    }
    for (int i = 0; i < RACE_THREAD_CNT_MAX; i++) {
        into->clock[i] = into->clock[i] > from->clock[i] ? into->clock[i] : from->clock[i];
    }
}

static void
die(const char *text)
{
    (void)fprintf(stderr, "explorer: %s\n", text);
    abort();
}

/* ---- leaving a run ---- */

static void
write_story(const char *what)
{
    char *text = ex.result->text;
    size_t used = (size_t)snprintf(text, RACE_TEXT_BYTES, "%s", what);
    for (uint32_t i = 0; i < ex.step_cnt && used < RACE_TEXT_BYTES; i++) {
        const struct step *step = &ex.steps[i];
        int n = snprintf(text + used, RACE_TEXT_BYTES - used,
            "\n  thread %u  %-8s place %u  store %u  value %llu  %s", step->thread_idx,
            op_names[step->op], step->loc_idx, step->store_idx, (unsigned long long)step->value,
            step->func);
        used += n > 0 ? (size_t)n : 0;
    }
}

static void
leave(enum run_end end)
{
    ex.end = end;
    _longjmp(ex.scheduler, 1);
}

void
race_give_up(void)
{
    leave(RUN_CUT);
    abort();
}

void
race_fail(const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (ex.result == NULL) {
        die(what);
    }
    write_story(what);
    ex.result->is_broken = true;
    leave(RUN_BROKEN);
    abort();
}

/* ---- the fibers' side ---- */

static uint8_t
loc_of(const struct race_access *access)
{
    for (uint8_t i = 0; i < ex.loc_cnt; i++) {
        if (ex.locs[i].p == access->p) {
            return i;
        }
    }
    if (ex.loc_cnt == LOC_CNT_MAX) {
        die("too many shared places");
    }
    struct loc *loc = &ex.locs[ex.loc_cnt];
    memset(loc, 0, sizeof *loc);
    loc->p = access->p;
    loc->store_cnt = 1;
    loc->stores[0].value = peek_memory(access);
    return ex.loc_cnt++;
}

static uint64_t
access_plainly(const struct race_access *access)
{
    uint64_t old = peek_memory(access);
    uint64_t wanted = access->op == RACE_ADD ? old + access->arg : access->arg;
    if (access->op == RACE_CAS) {
        bool is_equal = old == *access->expected;
        *access->expected = old;
        if (is_equal) {
            poke_memory(access, wanted);
        }
        return is_equal;
    }
    if (is_writing(access->op)) {
        poke_memory(access, wanted);
    }
    return old;
}

uint64_t
race_access(const struct race_access *access)
{
    if (!ex.is_running) {
        return access_plainly(access);
    }
    struct fiber *fiber = &ex.fibers[ex.running_idx];
    fiber->pending = *access;
    fiber->loc_idx = loc_of(access);
    const struct race_weaken *weaken = ex.weaken;
    if (weaken != NULL && access->op == weaken->op && access->order != RACE_RLX &&
        strcmp(access->func, weaken->func) == 0) {
        fiber->pending.order = weaken->order;
    }
    if (_setjmp(fiber->at) == 0) {
        _longjmp(ex.scheduler, 1);
    }
    return ex.fibers[ex.running_idx].result;
}

void
race_fence(enum race_order order, const char *func)
{
    const struct race_weaken *weaken = ex.weaken;
    bool is_gone = weaken != NULL && weaken->op == RACE_FENCE && strcmp(weaken->func, func) == 0;
    if (!ex.is_running || is_gone) {
        return;
    }
    struct fiber *fiber = &ex.fibers[ex.running_idx];
    if (is_acquire(order)) {
        view_join(&fiber->view, &fiber->seen_view);
    }
    if (is_release(order)) {
        fiber->fence_view = fiber->view;
    }
}

void
race_wait(void *p, size_t bytes)
{
    (void)race_access(
        &(struct race_access){.op = RACE_WAIT, .func = "race_wait", .p = p, .bytes = bytes});
}

static struct datum *
datum_of(const void *p)
{
    for (uint8_t i = 0; i < ex.datum_cnt; i++) {
        if (ex.data[i].p == p) {
            return &ex.data[i];
        }
    }
    if (ex.datum_cnt == DATA_CNT_MAX) {
        die("too many plain places");
    }
    struct datum *datum = &ex.data[ex.datum_cnt++];
    memset(datum, 0, sizeof *datum);
    datum->p = p;
    return datum;
}

static void
data_access(const void *p, bool is_write)
{
    if (!ex.is_running) {
        return;
    }
    struct datum *datum = datum_of(p);
    const struct fiber *fiber = &ex.fibers[ex.running_idx];
    for (uint8_t i = 0; i < ex.fiber_cnt; i++) {
        if (i == ex.running_idx) {
            continue;
        }
        if (datum->written[i] > fiber->view.clock[i] ||
            (is_write && datum->read[i] > fiber->view.clock[i])) {
            race_fail("data race: thread %u %s plain place %u, not ordered after thread %u",
                ex.running_idx, is_write ? "writes" : "reads", (unsigned)(datum - ex.data), i);
        }
    }
    uint8_t *mark = is_write ? datum->written : datum->read;
    mark[ex.running_idx] = fiber->view.clock[ex.running_idx];
}

void
race_data_read(const void *p)
{
    data_access(p, false);
}

void
race_data_write(const void *p)
{
    data_access(p, true);
}

/* ---- the scheduler's side ---- */

static void
fiber_main(void)
{
    uint8_t idx = ex.running_idx;
    ex.cs->threads[idx]();
    ex.fibers[idx].is_over = true;
    _longjmp(ex.scheduler, 1);
}

/* Let a fiber go to just before its next access, or to its end, or out of the run. */
static void
resume(uint8_t idx)
{
    struct fiber *fiber = &ex.fibers[idx];
    ex.running_idx = idx;
    if (_setjmp(ex.scheduler) != 0) {
        return;
    }
    if (fiber->is_started) {
        _longjmp(fiber->at, 1);
    }
    fiber->is_started = true;
    (void)getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = stacks[idx];
    fiber->start.uc_stack.ss_size = STACK_BYTES;
    fiber->start.uc_link = NULL;
    makecontext(&fiber->start, fiber_main, 0);
    (void)setcontext(&fiber->start);
}

static bool
is_enabled(const struct fiber *fiber)
{
    if (fiber->is_over) {
        return false;
    }
    const struct loc *loc = &ex.locs[fiber->loc_idx];
    return fiber->pending.op != RACE_WAIT ||
           loc->store_cnt - 1 > fiber->view.oldest[fiber->loc_idx];
}

/* Two accesses that lead to the same state in either order. */
static bool
is_independent(const struct fiber *a, const struct fiber *b)
{
    if (a->loc_idx != b->loc_idx) {
        return true;
    }
    bool is_sc = a->pending.order == RACE_SC && b->pending.order == RACE_SC;
    return !is_sc && !is_writing(a->pending.op) && !is_writing(b->pending.op);
}

static struct choice *
next_choice(bool *ret_is_new)
{
    if (ex.choice_idx == STEP_CNT_MAX) {
        die("a run has too many choices");
    }
    *ret_is_new = ex.choice_idx == ex.choice_cnt;
    if (*ret_is_new) {
        ex.choice_cnt++;
    }
    return &ex.choices[ex.choice_idx++];
}

static uint8_t
choose_read(uint8_t option_cnt)
{
    if (option_cnt == 1) {
        return 0;
    }
    bool is_new;
    struct choice *choice = next_choice(&is_new);
    if (is_new) {
        *choice = (struct choice){.is_read = true, .option_cnt = option_cnt};
    }
    return choice->cur;
}

/* The stores that this load, or this swap, may read: newest first, so that choice 0 is the plain
 * machine. A swap that reads an older store fails; so that store must hold something else. */
static uint8_t
pick_store(const struct fiber *fiber)
{
    const struct loc *loc = &ex.locs[fiber->loc_idx];
    uint8_t newest = (uint8_t)(loc->store_cnt - 1);
    if (fiber->pending.op != RACE_LOAD && fiber->pending.op != RACE_CAS) {
        return newest;
    }
    uint8_t oldest = fiber->view.oldest[fiber->loc_idx];
    if (fiber->pending.order == RACE_SC && loc->sc_idx > oldest) {
        oldest = loc->sc_idx;
    }
    uint8_t options[STORE_CNT_MAX];
    uint8_t option_cnt = 0;
    for (uint8_t i = (uint8_t)(newest + 1); i-- > oldest;) {
        bool is_possible = fiber->pending.op == RACE_LOAD || i == newest ||
                           loc->stores[i].value != *fiber->pending.expected;
        if (is_possible) {
            options[option_cnt++] = i;
        }
    }
    return options[choose_read(option_cnt)];
}

static void
append_store(uint8_t idx, uint64_t value, const struct store *before)
{
    struct fiber *fiber = &ex.fibers[idx];
    struct loc *loc = &ex.locs[fiber->loc_idx];
    if (loc->store_cnt == STORE_CNT_MAX) {
        die("too many stores to one place");
    }
    uint8_t at = loc->store_cnt++;
    fiber->view.oldest[fiber->loc_idx] = at;
    struct store *store = &loc->stores[at];
    *store = (struct store){.value = value, .view = fiber->fence_view};
    store->view.oldest[fiber->loc_idx] = at;
    if (is_release(fiber->pending.order)) {
        store->view = fiber->view;
    }
    if (before != NULL) {
        /* A read-modify-write goes on with the release sequence that it read. */
        view_join(&store->view, &before->view);
    }
    fiber->view.clock[idx]++;
    poke_memory(&fiber->pending, value);
}

static void
note_step(uint8_t idx, uint8_t store_idx, uint64_t value)
{
    const struct fiber *fiber = &ex.fibers[idx];
    if (ex.step_cnt == STEP_CNT_MAX) {
        die("a run has too many steps");
    }
    ex.steps[ex.step_cnt++] = (struct step){
        idx, fiber->pending.op, fiber->pending.func, fiber->loc_idx, store_idx, value};
}

static void
execute(uint8_t idx)
{
    struct fiber *fiber = &ex.fibers[idx];
    struct loc *loc = &ex.locs[fiber->loc_idx];
    const struct race_access *access = &fiber->pending;
    if (access->op == RACE_WAIT) {
        fiber->view.oldest[fiber->loc_idx]++;
        note_step(idx, fiber->view.oldest[fiber->loc_idx], 0);
        return;
    }
    if (access->op == RACE_STORE) {
        append_store(idx, access->arg, NULL);
    } else {
        uint8_t read_idx = pick_store(fiber);
        const struct store *read = &loc->stores[read_idx];
        fiber->result = read->value;
        fiber->view.oldest[fiber->loc_idx] = read_idx;
        view_join(&fiber->seen_view, &read->view);
        if (is_acquire(access->order)) {
            view_join(&fiber->view, &read->view);
        }
        if (access->op == RACE_CAS) {
            bool is_equal = read->value == *access->expected;
            *access->expected = read->value;
            fiber->result = is_equal;
            if (is_equal) {
                append_store(idx, access->arg, read);
            }
        } else if (access->op != RACE_LOAD) {
            uint64_t sum = read->value + access->arg;
            append_store(idx, access->op == RACE_ADD ? sum : access->arg, read);
        }
    }
    uint8_t touched_idx = fiber->view.oldest[fiber->loc_idx];
    if (access->order == RACE_SC) {
        loc->sc_idx = touched_idx;
    }
    note_step(idx, touched_idx, loc->stores[touched_idx].value);
}

static uint8_t
lowest_bit(uint8_t mask)
{
    return (uint8_t)__builtin_ctz(mask);
}

/* One step of the run: pick a thread, do its access, let it go on. Returns the next sleep set. */
static uint8_t
step_once(uint8_t sleep_mask)
{
    uint8_t alive_mask = 0;
    uint8_t enabled_mask = 0;
    for (uint8_t i = 0; i < ex.fiber_cnt; i++) {
        alive_mask |= (uint8_t)(!ex.fibers[i].is_over << i);
        enabled_mask |= (uint8_t)(is_enabled(&ex.fibers[i]) << i);
    }
    if (enabled_mask == 0 || (enabled_mask & ~sleep_mask) == 0) {
        ex.end = alive_mask == 0 ? RUN_DONE : RUN_CUT;
        if (alive_mask != 0 && enabled_mask == 0) {
            write_story("nobody can go on: a wake-up or a store was lost");
            ex.result->is_broken = true;
            ex.end = RUN_BROKEN;
        }
        return 0;
    }
    bool is_new;
    struct choice *choice = next_choice(&is_new);
    if (is_new) {
        *choice = (struct choice){.enabled_mask = enabled_mask, .sleep_mask = sleep_mask};
        choice->cur = lowest_bit((uint8_t)(enabled_mask & ~sleep_mask));
    }
    uint8_t cur = choice->cur;
    uint8_t next_sleep_mask = 0;
    for (uint8_t i = 0; i < ex.fiber_cnt; i++) {
        bool was_tried = ((sleep_mask | choice->done_mask) >> i & 1) != 0;
        if (i != cur && was_tried && is_independent(&ex.fibers[i], &ex.fibers[cur])) {
            next_sleep_mask |= (uint8_t)(1 << i);
        }
    }
    execute(cur);
    resume(cur);
    return next_sleep_mask;
}

static void
run_once(void)
{
    ex.loc_cnt = 0;
    ex.datum_cnt = 0;
    ex.choice_idx = 0;
    ex.step_cnt = 0;
    ex.end = RUN_RUNNING;
    ex.is_running = false;
    ex.cs->reset();
    ex.is_running = true;
    for (uint8_t i = 0; i < ex.fiber_cnt && ex.end == RUN_RUNNING; i++) {
        struct fiber *fiber = &ex.fibers[i];
        fiber->is_started = false;
        fiber->is_over = false;
        memset(&fiber->view, 0, sizeof fiber->view);
        memset(&fiber->fence_view, 0, sizeof fiber->fence_view);
        memset(&fiber->seen_view, 0, sizeof fiber->seen_view);
        fiber->view.clock[i] = 1;
        resume(i);
    }
    for (uint8_t sleep_mask = 0; ex.end == RUN_RUNNING;) {
        sleep_mask = step_once(sleep_mask);
    }
    ex.is_running = false;
    if (ex.end == RUN_DONE && ex.cs->finish != NULL && _setjmp(ex.scheduler) == 0) {
        ex.cs->finish();
    }
}

/* Move the last choice that has another way to it; false when all ways were taken. */
static bool
backtrack(void)
{
    ex.choice_cnt = ex.choice_idx;
    while (ex.choice_cnt > 0) {
        struct choice *choice = &ex.choices[ex.choice_cnt - 1];
        if (choice->is_read) {
            if (++choice->cur < choice->option_cnt) {
                return true;
            }
        } else {
            choice->done_mask |= (uint8_t)(1 << choice->cur);
            uint8_t left_mask =
                (uint8_t)(choice->enabled_mask & ~choice->sleep_mask & ~choice->done_mask);
            if (left_mask != 0) {
                choice->cur = lowest_bit(left_mask);
                return true;
            }
        }
        ex.choice_cnt--;
    }
    return false;
}

void
race_explore(
    const struct race_case *cs, const struct race_weaken *weaken, struct race_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    ex.cs = cs;
    ex.weaken = weaken;
    ex.result = ret_result;
    ex.choice_cnt = 0;
    for (ex.fiber_cnt = 0; ex.fiber_cnt < RACE_THREAD_CNT_MAX; ex.fiber_cnt++) {
        if (cs->threads[ex.fiber_cnt] == NULL) {
            break;
        }
    }
    do {
        run_once();
        ret_result->run_cnt += ex.end == RUN_DONE;
        ret_result->cut_cnt += ex.end == RUN_CUT;
        ret_result->is_incomplete = ret_result->run_cnt + ret_result->cut_cnt >= RUN_CNT_MAX;
    } while (!ret_result->is_broken && !ret_result->is_incomplete && backtrack());
    ex.result = NULL;
}
