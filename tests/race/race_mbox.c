/* SPDX-License-Identifier: Apache-2.0 */
/* Every interleaving of two senders with the taker of a small mailbox, open and being closed. */
#include "base/err.h"
#include "base/mbox.h"
#include "tests/race/race_test.h"

#define SENDER_CNT 2

static _Alignas(WEIR_LINE_PAIR_BYTES) uint8_t mem[1024];
static struct weir_mbox *mbox;
static uint32_t accepted_cnt[SENDER_CNT];
static uint32_t got_cnt[SENDER_CNT];
static uint32_t wanted_cnt;

static void
reset(void)
{
    mbox = (struct weir_mbox *)(void *)mem;
    if (weir_mbox_footprint(2) > sizeof mem || weir_mbox_init(mbox, 2) != 0) {
        abort();
    }
    memset(accepted_cnt, 0, sizeof accepted_cnt);
    memset(got_cnt, 0, sizeof got_cnt);
}

static void
reset_lap(void)
{
    wanted_cnt = 3;
    reset();
}

static void
reset_close(void)
{
    wanted_cnt = 0;
    reset();
}

/* Puts letters numbered from 0 until one is refused; a full mailbox leaves the run, as a try that
 * changes nothing is the same as one made later. */
static void
send(uint32_t from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        const struct weir_letter letter = {.kind = i, .from = from, .args = {i}};
        int did = weir_mbox_put(mbox, &letter);
        if (did == 0) {
            race_give_up();
        }
        if (did == WEIR_ECLOSED) {
            return;
        }
        accepted_cnt[from]++;
    }
}

static void
send_two(void)
{
    send(0, 2);
}

static void
send_one(void)
{
    send(1, 1);
}

static void
note(const struct weir_letter *letter)
{
    if (letter->kind != got_cnt[letter->from]) {
        race_fail("sender %u: letter %u in the place of %u", letter->from, letter->kind,
            got_cnt[letter->from]);
    }
    got_cnt[letter->from]++;
}

static void
wait_head(void)
{
    race_wait(&mbox->slots[mbox->head_seq & 1].seq, 8);
}

static void
take_all(void)
{
    for (uint32_t i = 0; i < wanted_cnt; i++) {
        struct weir_letter letter;
        while (weir_mbox_take(mbox, &letter) == 0) {
            wait_head();
        }
        note(&letter);
    }
}

/* Closes at any moment; everything accepted must come back. */
static void
close_and_give_back(void)
{
    struct weir_letter letter;
    weir_mbox_quiesce(mbox);
    if (weir_mbox_take(mbox, &letter) == 1) {
        note(&letter);
    }
    weir_mbox_close(mbox);
    while (weir_mbox_pending_cnt(mbox) > 0) {
        if (weir_mbox_give_back(mbox, &letter) == 1) {
            note(&letter);
        } else {
            wait_head();
        }
    }
}

static void
finish(void)
{
    for (uint32_t i = 0; i < SENDER_CNT; i++) {
        if (accepted_cnt[i] != got_cnt[i]) {
            race_fail(
                "sender %u: %u letters accepted, %u came out", i, accepted_cnt[i], got_cnt[i]);
        }
    }
}

static const struct race_case lap = {
    "mailbox over a lap", reset_lap, {send_two, send_one, take_all}, finish};
static const struct race_case closing = {
    "mailbox being closed", reset_close, {send_two, send_one, close_and_give_back}, finish};

static void
t_all_interleavings_keep_letters_and_order(void **state)
{
    (void)state;
    race_expect_clean(&lap);
    race_expect_clean(&closing);
}

static void
t_each_weaker_order_is_caught(void **state)
{
    (void)state;
    const struct race_weaken link = {"weir_mbox_put", RACE_STORE, RACE_RLX};
    const struct race_weaken lap_load = {"weir_mbox_put", RACE_LOAD, RACE_RLX};
    const struct race_weaken take_load = {"pop", RACE_LOAD, RACE_RLX};
    const struct race_weaken free_store = {"pop", RACE_STORE, RACE_RLX};
    race_expect_caught(&lap, &link);
    race_expect_caught(&lap, &lap_load);
    race_expect_caught(&lap, &take_load);
    race_expect_caught(&lap, &free_store);
    race_expect_caught(&closing, &link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_all_interleavings_keep_letters_and_order),
        cmocka_unit_test(t_each_weaker_order_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
