/* SPDX-License-Identifier: Apache-2.0 */
/* bench_async: the async operator, beside a loop by hand that asks the same service.
 *
 *     bench_async [--rounds N] [--cores A,B]
 *
 *     FORM-ordered, FORM-unordered, and the same with "hand-" in front
 *       now     each question is answered in the call that asks: what the operator itself costs
 *       other   by a thread on the other core, at once
 *       later   by that thread 20 us later, one in 64 after 200 us: capacity over the mean delay is
 *               the most that there can be, and an ordered answer waits for those before it
 *
 * CAPACITY questions are on their way, as the operator has it unless told. The loop keeps them in a
 * ring of slots; ordered, it takes them from the head, unordered wherever one is answered.
 */
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/err.h"
#include "base/rng.h"
#include "bench/graph/answer.h"
#include "bench/graph/contest.h"
#include "bench/graph/items.h"
#include "dataplane/row_hash.h"
#include "sched/outside.h"

#define CAPACITY WEIR_ASYNC_CAPACITY
#define ITEM_CNT (UINT64_C(1) << 20)
#define LATER_CNT (UINT64_C(1) << 18)
#define LATER_NS 20000

#define TOLD(F) F(i64, at) F(i64, key) F(i64, answer)
WEIR_SCHEMA(told, TOLD)

enum form { NOW, OTHER, LATER, FORM_CNT };
static const char *const form_names[FORM_CNT] = {"now", "other", "later"};

struct kind {
    enum form form;
    bool is_unordered;
    bool by_hand;
};

static struct items items;
static struct contest_options options;
static struct answerer answerer;

static inline int64_t
answer_to(int64_t key)
{
    return (int64_t)weir_rng_mix((uint64_t)key);
}

/* ---- ours ---- */

static void
answer_call(void *question)
{
    struct weir_async *call = question;
    const struct item *in = weir_async_row(call);
    struct told *out = weir_async_emit(call);
    *out = (struct told){.at = in->at, .key = in->key, .answer = answer_to(in->key)};
    weir_async_done(call);
}

static int
service_open(const struct weir_operator *op, const void *conf, void **ret_client)
{
    (void)op;
    (void)conf;
    *ret_client = &answerer;
    answerer.answer = answer_call;
    return answer_start(&answerer);
}

static int
service_start(void *client, struct weir_async *call)
{
    answer_ask(client, call);
    return 0;
}

static void
service_close(void *client)
{
    answer_stop(client);
}

static int
now_start(void *client, struct weir_async *call)
{
    (void)client;
    answer_call(call);
    return 0;
}

static const struct weir_async_function functions[FORM_CNT] = {
    [NOW] = {.in_schema = item_schema, .out_schema = told_schema, .start = now_start},
    [OTHER] = {item_schema, told_schema, service_open, service_start, NULL, NULL, NULL,
        service_close, true},
    [LATER] = {item_schema, told_schema, service_open, service_start, NULL, NULL, NULL,
        service_close, true},
};

static int
run_ours(const struct contest_entry *entry, struct trial_result *ret_result)
{
    const struct kind *kind = entry->arg;
    const struct weir_async_conf conf = {.function = &functions[kind->form],
        .is_unordered = kind->is_unordered,
        .capacity = CAPACITY};
    struct weir_env *env = NULL;
    int err = weir_env_new(entry->name, &env);
    if (err != 0) {
        return err;
    }
    struct items some = {items.rows, entry->number};
    answerer.delay_ns = kind->form == LATER ? LATER_NS : 0;
    (void)weir_sink_table(weir_async(items_source(env, &some), "ask", &conf), "sum", "discard");
    err = weir_env_check(env);
    const struct trial_conf trial = {.cpus = options.last_core};
    err = err != 0 ? err : trial_run(env, &trial, NULL, ret_result);
    weir_env_delete(env);
    return err;
}

/* ---- by hand ---- */

struct slot {
    struct item in;
    struct told out;
    atomic_bool is_done; /* writer: the service, from the asking on */
    bool is_asked;
};

struct hand {
    struct slot slots[CAPACITY];
    uint64_t begun;
    uint64_t ended;
    uint64_t checksum;
};

static void
answer_slot(void *question)
{
    struct slot *slot = question;
    slot->out = (struct told){slot->in.at, slot->in.key, answer_to(slot->in.key)};
    /* pairs with the load in is_answered(): the answer is there. */
    weir_store_rel(&slot->is_done, true);
}

static inline bool
is_answered(struct slot *slot)
{
    return weir_load_acq(&slot->is_done); /* pairs with the store in answer_slot() */
}

static void
ask(struct slot *slot, const struct item *in, enum form form)
{
    slot->in = *in;
    slot->is_asked = true;
    weir_store_rlx(&slot->is_done, false); /* the service does not have it yet */
    if (form == NOW) {
        answer_slot(slot);
    } else {
        answer_ask(&answerer, slot);
    }
}

static void
take(struct hand *hand, struct slot *slot)
{
    uint64_t sum = weir_row_add(0, 0, (uint64_t)slot->out.at);
    sum = weir_row_add(sum, 1, (uint64_t)slot->out.key);
    hand->checksum += weir_row_finish(weir_row_add(sum, 2, (uint64_t)slot->out.answer));
    hand->ended++;
    slot->is_asked = false;
}

static void
loop_ordered(struct hand *hand, uint64_t cnt, enum form form)
{
    while (hand->ended < cnt) {
        if (hand->begun < cnt && hand->begun - hand->ended < CAPACITY) {
            ask(&hand->slots[hand->begun % CAPACITY], &items.rows[hand->begun], form);
            hand->begun++;
        }
        while (hand->ended < hand->begun && is_answered(&hand->slots[hand->ended % CAPACITY])) {
            take(hand, &hand->slots[hand->ended % CAPACITY]);
        }
    }
}

static void
loop_unordered(struct hand *hand, uint64_t cnt, enum form form)
{
    while (hand->ended < cnt) {
        for (uint32_t i = 0; i < CAPACITY; i++) {
            struct slot *slot = &hand->slots[i];
            if (slot->is_asked && is_answered(slot)) {
                take(hand, slot);
            }
            if (!slot->is_asked && hand->begun < cnt) {
                ask(slot, &items.rows[hand->begun++], form);
            }
        }
    }
}

static int
run_hand(const struct contest_entry *entry, struct trial_result *ret_result)
{
    static struct hand hand;
    const struct kind *kind = entry->arg;
    memset(&hand, 0, sizeof hand);
    answerer.answer = answer_slot;
    answerer.delay_ns = kind->form == LATER ? LATER_NS : 0;
    int err = kind->form != NOW ? answer_start(&answerer) : 0;
    if (err != 0) {
        return err;
    }
    int64_t begin = answer_now_ns();
    if (kind->is_unordered) {
        loop_unordered(&hand, entry->number, kind->form);
    } else {
        loop_ordered(&hand, entry->number, kind->form);
    }
    *ret_result = (struct trial_result){.wall_ns = answer_now_ns() - begin,
        .events = entry->number,
        .rows = hand.ended,
        .checksum = hand.checksum};
    if (kind->form != NOW) {
        answer_stop(&answerer);
    }
    return 0;
}

/* ---- both ---- */

static int
pin(const char *cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(strtoul(cpu, NULL, 10), &set);
    return sched_setaffinity(0, sizeof set, &set) == 0
               ? 0
               : weir_err_push(WEIR_EUSAGE, "no CPU %s for this process", cpu);
}

int
main(int argc, char **argv)
{
    static struct kind kinds[4 * FORM_CNT];
    static struct contest_entry entries[WEIR_ARRAY_CNT(kinds)];
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(kinds); i++) {
        struct kind *kind = &kinds[i];
        *kind = (struct kind){i / 4, (i & 1) != 0, (i & 2) != 0};
        entries[i].run = kind->by_hand ? run_hand : run_ours;
        entries[i].arg = kind;
        entries[i].number = kind->form == LATER ? LATER_CNT : ITEM_CNT;
        (void)snprintf(entries[i].name, sizeof entries[i].name, "%s%s-%s",
            kind->by_hand ? "hand-" : "", form_names[kind->form],
            kind->is_unordered ? "unordered" : "ordered");
    }
    int err = contest_args(argc, argv, &options);
    answerer.cpu = options.cores != NULL ? options.cores : "0"; /* the first of the list */
    err = err != 0 ? err : pin(options.last_core);
    err = err != 0 ? err : items_make(&items, ITEM_CNT, ITEM_CNT, 1000);
    err = err != 0 ? err : contest_run(entries, WEIR_ARRAY_CNT(entries), options.round_cnt);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
