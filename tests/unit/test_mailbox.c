/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mbox.h"
#include "tests/unit/test.h"

/* What letters have done: their names in order, those given back in small letters. */
struct seen {
    char text[64];
    size_t bytes;
    struct weir_mailbox *mailbox;
};

static int
note(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    struct seen *seen = arg;
    (void)now_ns;
    assert_true(seen->bytes + 1 < sizeof seen->text);
    seen->text[seen->bytes++] = (char)(words[0] + (is_run ? 0 : 'a' - 'A'));
    return 0;
}

static struct weir_mail
mail_of(struct seen *seen, char name, uint32_t priority)
{
    return (struct weir_mail){
        .fn = note, .arg = seen, .words = {(uint64_t)name, 7, 8}, .priority = priority};
}

static struct weir_mailbox *
mailbox_new(uint32_t letter_cnt)
{
    struct weir_mailbox *mailbox = NULL;
    assert_int_equal(weir_mailbox_new(letter_cnt, &mailbox), 0);
    return mailbox;
}

static void
put(struct weir_mailbox *mailbox, char name, uint32_t priority)
{
    const struct weir_mail mail = mail_of(NULL, name, priority);
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
}

/* The name of the letter that was taken, '-' for none. */
static char
taken(int rc, const struct weir_mail *mail)
{
    assert_true(rc == 0 || (mail->words[1] == 7 && mail->words[2] == 8));
    return rc == 0 ? '-' : (char)mail->words[0];
}

static char
take(struct weir_mailbox *mailbox, uint32_t priority)
{
    struct weir_mail mail;
    int rc = weir_mailbox_take(mailbox, priority, &mail);
    return taken(rc, &mail);
}

static char
take_from_batch(struct weir_mailbox *mailbox)
{
    struct weir_mail mail;
    int rc = weir_mailbox_take_from_batch(mailbox, &mail);
    return taken(rc, &mail);
}

/* There is no letter that goes before all others (a failure is no letter): two of the higher
 * priority stand for it. */
static void
t_T111_letters_of_a_priority_are_taken_past_lesser_ones(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    put(mailbox, 'C', 1);
    put(mailbox, 'A', 2);
    put(mailbox, 'B', 2);
    put(mailbox, 'D', 1);
    assert_int_equal(take(mailbox, 2), 'A');
    assert_int_equal(take(mailbox, 2), 'B');
    assert_int_equal(take(mailbox, 2), '-');
    assert_int_equal(take(mailbox, 1), 'C');
    assert_int_equal(take(mailbox, 1), 'D');
    weir_mailbox_delete(mailbox);
}

static void
t_T112_without_a_priority_they_come_in_order(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    put(mailbox, 'C', 1);
    put(mailbox, 'B', 2);
    put(mailbox, 'D', 1);
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'C');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'B');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'D');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), '-');
    weir_mailbox_delete(mailbox);
}

static void
t_T113_a_batch_is_what_was_there_when_it_was_made(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.bytes = 0};
    for (char name = 'A'; name <= 'C'; name++) {
        put(mailbox, name, 1);
    }
    assert_int_equal(weir_mailbox_batch(mailbox), 3);
    put(mailbox, 'D', 1);
    put(mailbox, 'E', 1);
    const struct weir_mail last = mail_of(&seen, 'F', 1);
    assert_int_equal(weir_mailbox_put(mailbox, &last), 1);
    assert_int_equal(take_from_batch(mailbox), 'A');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'B');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'C');
    assert_int_equal(take_from_batch(mailbox), '-');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'D');
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'E');
    assert_int_equal(weir_mailbox_close(mailbox), 1);
    assert_string_equal(seen.text, "f");
    weir_mailbox_delete(mailbox);
}

static void
t_T114_drain_takes_batch_and_rest_and_a_priority_looks_behind_the_batch(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.bytes = 0};
    const struct weir_mail a = mail_of(&seen, 'A', 1);
    const struct weir_mail b = mail_of(&seen, 'B', 2);
    assert_int_equal(weir_mailbox_put(mailbox, &a), 1);
    assert_int_equal(weir_mailbox_batch(mailbox), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &b), 1);
    assert_int_equal(take(mailbox, 2), 'B');
    assert_int_equal(take_from_batch(mailbox), 'A');
    assert_int_equal(weir_mailbox_put(mailbox, &a), 1);
    assert_int_equal(weir_mailbox_batch(mailbox), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &b), 1);
    weir_mailbox_quiesce(mailbox);
    assert_int_equal(weir_mailbox_drain(mailbox, 0), 0);
    assert_string_equal(seen.text, "AB");
    weir_mailbox_delete(mailbox);
}

static void
t_T115_quiesced_takes_and_refuses_puts(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.bytes = 0};
    for (char name = 'A'; name <= 'C'; name++) {
        const struct weir_mail mail = mail_of(&seen, name, 1);
        assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    }
    weir_mailbox_quiesce(mailbox);
    const struct weir_mail late = mail_of(&seen, 'D', 1);
    assert_int_equal(weir_mailbox_put(mailbox, &late), WEIR_ECLOSED);
    assert_false(weir_mailbox_is_open(mailbox));
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), 'A');
    assert_int_equal(weir_mailbox_close(mailbox), 2);
    assert_string_equal(seen.text, "bc");
    assert_int_equal(weir_mailbox_put(mailbox, &late), WEIR_ECLOSED);
    assert_int_equal(take(mailbox, WEIR_MAIL_ANY), '-');
    weir_mailbox_delete(mailbox);
}

static void
t_T119_what_was_put_and_never_run_is_given_back_once(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(2);
    struct seen seen = {.bytes = 0};
    const struct weir_mail a = mail_of(&seen, 'A', 1);
    assert_int_equal(weir_mailbox_put(mailbox, &a), 1);
    assert_int_equal(weir_mailbox_batch(mailbox), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &a), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &a), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &a), 0); /* full: busy, and no failure */
    assert_int_equal(weir_mailbox_close(mailbox), 3);
    assert_int_equal(weir_mailbox_close(mailbox), 0);
    assert_string_equal(seen.text, "aaa");
    assert_int_equal(weir_mailbox_put(mailbox, &a), WEIR_ECLOSED);
    weir_mailbox_delete(mailbox);
}

/* ---- many senders ---- */

#define SENDER_CNT 10
#define LETTER_CNT 1000

struct sender {
    pthread_t thread;
    struct weir_mailbox *mailbox;
    uint64_t *got; /* next number of each sender */
    uint64_t idx;
};

static int
count(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    uint64_t *got = arg;
    (void)now_ns;
    assert_true(is_run);
    assert_int_equal(words[1], got[words[0]]);
    got[words[0]]++;
    return 0;
}

static void *
send_all(void *arg)
{
    struct sender *sender = arg;
    struct weir_mail mail = {.fn = count, .arg = sender->got, .words = {sender->idx}};
    for (uint64_t i = 0; i < LETTER_CNT; i++) {
        mail.words[1] = i;
        while (weir_mailbox_put(sender->mailbox, &mail) == 0) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void
t_T117_ten_senders_lose_nothing_and_keep_their_order(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(64);
    struct sender senders[SENDER_CNT];
    uint64_t got[SENDER_CNT] = {0};
    for (uint32_t i = 0; i < SENDER_CNT; i++) {
        senders[i] = (struct sender){.mailbox = mailbox, .got = got, .idx = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    int ran_cnt = 0;
    while (ran_cnt < SENDER_CNT * LETTER_CNT) {
        int rc = weir_mailbox_run_batch(mailbox, 0);
        assert_true(rc >= 0 && rc <= 64);
        ran_cnt += rc;
    }
    for (uint32_t i = 0; i < SENDER_CNT; i++) {
        (void)pthread_join(senders[i].thread, NULL);
        assert_int_equal(got[i], LETTER_CNT);
    }
    assert_true(weir_mailbox_is_empty(mailbox));
    weir_mailbox_delete(mailbox);
}

/* ---- running ---- */

static int
fail_here(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    (void)arg;
    (void)words;
    (void)now_ns;
    return is_run ? weir_err_push(WEIR_EDATA, "the letter failed") : 0;
}

static void
t_T120_a_failing_letter_ends_the_batch_with_its_error(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.bytes = 0};
    struct weir_mail mail = mail_of(&seen, 'A', 0);
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    mail.fn = fail_here;
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    mail.fn = note;
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    assert_int_equal(weir_mailbox_run_batch(mailbox, 0), WEIR_EDATA);
    weir_err_clear();
    assert_string_equal(seen.text, "A");
    assert_int_equal(weir_mailbox_close(mailbox), 1);
    assert_string_equal(seen.text, "Aa");
    weir_mailbox_delete(mailbox);
}

static int
post_again(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    struct seen *seen = arg;
    (void)note(arg, words, is_run, now_ns);
    const struct weir_mail again = {.fn = post_again, .arg = seen, .words = {words[0]}};
    return is_run ? weir_mailbox_put(seen->mailbox, &again) - 1 : 0;
}

static void
t_T121_a_letter_that_posts_itself_again_runs_once_a_batch(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.mailbox = mailbox};
    const struct weir_mail mail = {.fn = post_again, .arg = &seen, .words = {'A'}};
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(weir_mailbox_run_batch(mailbox, 0), 1);
    }
    assert_string_equal(seen.text, "AAA");
    assert_int_equal(weir_mailbox_close(mailbox), 1);
    weir_mailbox_delete(mailbox);
}

static void
t_T125_deferrable_letters_run_in_no_yield(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = mailbox_new(8);
    struct seen seen = {.bytes = 0};
    struct weir_mail mail = mail_of(&seen, 'A', 42);
    mail.is_deferrable = true;
    assert_int_equal(weir_mailbox_put(mailbox, &mail), 1);
    assert_int_equal(weir_mailbox_yield(mailbox, 42, 0), 0);
    assert_int_equal(weir_mailbox_yield(mailbox, WEIR_MAIL_ANY, 0), 0);
    const struct weir_mail other = mail_of(&seen, 'B', 42);
    const struct weir_mail less = mail_of(&seen, 'C', 41);
    assert_int_equal(weir_mailbox_put(mailbox, &less), 1);
    assert_int_equal(weir_mailbox_put(mailbox, &other), 1);
    assert_int_equal(weir_mailbox_yield(mailbox, 42, 0), 1);
    assert_int_equal(weir_mailbox_yield(mailbox, 42, 0), 0);
    assert_int_equal(weir_mailbox_run_batch(mailbox, 0), 2);
    assert_string_equal(seen.text, "BAC");
    weir_mailbox_delete(mailbox);
}

static void
t_a_mailbox_has_a_most_of_letters(void **state)
{
    (void)state;
    struct weir_mailbox *mailbox = NULL;
    assert_int_equal(weir_mailbox_new(WEIR_MBOX_SLOT_CNT_MAX + 1, &mailbox), WEIR_EPLAN);
    weir_err_clear();
    assert_null(mailbox);
    weir_mailbox_delete(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T111_letters_of_a_priority_are_taken_past_lesser_ones),
        cmocka_unit_test(t_T112_without_a_priority_they_come_in_order),
        cmocka_unit_test(t_T113_a_batch_is_what_was_there_when_it_was_made),
        cmocka_unit_test(t_T114_drain_takes_batch_and_rest_and_a_priority_looks_behind_the_batch),
        cmocka_unit_test(t_T115_quiesced_takes_and_refuses_puts),
        cmocka_unit_test(t_T117_ten_senders_lose_nothing_and_keep_their_order),
        cmocka_unit_test(t_T119_what_was_put_and_never_run_is_given_back_once),
        cmocka_unit_test(t_T120_a_failing_letter_ends_the_batch_with_its_error),
        cmocka_unit_test(t_T121_a_letter_that_posts_itself_again_runs_once_a_batch),
        cmocka_unit_test(t_T125_deferrable_letters_run_in_no_yield),
        cmocka_unit_test(t_a_mailbox_has_a_most_of_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
