/* SPDX-License-Identifier: Apache-2.0 */
/* Three senders and a taker that closes in the middle: what was accepted comes out, in order. */
#include "base/err.h"
#include "base/mbox.h"
#include "tests/stress/stress.h"

#define SENDER_CNT 3
#define LETTER_CNT STRESS_CNT(UINT32_C(160000))

struct sender {
    uint32_t idx;
    uint32_t accepted_cnt;
};

static struct weir_mbox *mbox;

static void *
send(void *arg)
{
    struct sender *sender = arg;
    uint32_t idle_cnt = 0;
    for (uint32_t i = 0; i < LETTER_CNT;) {
        const struct weir_letter letter = {
            .kind = i, .from = sender->idx, .args = {i, i, i, i, i, ~(uint64_t)i}};
        int did = weir_mbox_put(mbox, &letter);
        if (did < 0) {
            break;
        }
        if (did == 0) {
            stress_pause(&idle_cnt);
        }
        i += (uint32_t)did;
        sender->accepted_cnt = i;
    }
    return NULL;
}

static void
check_letter(const struct weir_letter *letter, uint32_t got_cnts[])
{
    assert_true(letter->from < SENDER_CNT);
    assert_int_equal(letter->kind, got_cnts[letter->from]);
    assert_true(letter->args[0] == letter->kind && letter->args[5] == ~letter->args[4]);
    got_cnts[letter->from]++;
}

/* stop_cnt: close once that many have been taken. */
static void
run_until(uint32_t stop_cnt)
{
    mbox = stress_alloc(weir_mbox_footprint(16));
    assert_int_equal(weir_mbox_init(mbox, 16), 0);
    struct sender senders[SENDER_CNT] = {{0, 0}, {1, 0}, {2, 0}};
    uint32_t got_cnts[SENDER_CNT] = {0};
    pthread_t threads[SENDER_CNT];
    for (uint32_t i = 0; i < SENDER_CNT; i++) {
        threads[i] = stress_start(send, &senders[i]);
    }
    uint32_t idle_cnt = 0;
    struct weir_letter letter;
    for (uint32_t taken_cnt = 0; taken_cnt < stop_cnt;) {
        if (weir_mbox_take(mbox, &letter) == 1) {
            check_letter(&letter, got_cnts);
            taken_cnt++;
        } else {
            stress_pause(&idle_cnt);
        }
    }
    weir_mbox_close(mbox);
    while (weir_mbox_pending_cnt(mbox) > 0) {
        if (weir_mbox_give_back(mbox, &letter) == 1) {
            check_letter(&letter, got_cnts);
        } else {
            stress_pause(&idle_cnt);
        }
    }
    for (uint32_t i = 0; i < SENDER_CNT; i++) {
        stress_join(threads[i]);
        assert_int_equal(senders[i].accepted_cnt, got_cnts[i]);
    }
    free(mbox);
}

static void
t_all_letters_arrive_in_their_senders_order(void **state)
{
    (void)state;
    run_until(SENDER_CNT * LETTER_CNT);
}

static void
t_closing_in_the_middle_loses_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        run_until(i * 7);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_all_letters_arrive_in_their_senders_order),
        cmocka_unit_test(t_closing_in_the_middle_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
