/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/mailbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mbox.h"

/* Letters that were accepted, but are not filled yet, are looked for so often at the end: their
 * sender was stopped between the two. */
#define GIVE_BACK_TRY_CNT 4096

struct weir_mailbox {
    struct weir_mbox *ring;
    void (*wake_fn)(void *arg);
    void *wake_arg;
    bool (*fail_fn)(void *arg, int error, const char *why);
    void *fail_arg;
    /* writer: the task's core. Taken out of the ring, in order: the batch first. */
    struct weir_mail *held;
    uint32_t held_cap;
    uint32_t held_cnt;
    uint32_t batch_cnt;
};

int
weir_mailbox_new(uint32_t letter_cnt, struct weir_mailbox **ret_mailbox)
{
    uint64_t slot_cnt = WEIR_MBOX_SLOT_CNT_MIN;
    while (slot_cnt < letter_cnt) {
        slot_cnt *= 2;
    }
    if (slot_cnt > WEIR_MBOX_SLOT_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "a mailbox of %u letters; the most are %d", letter_cnt,
            WEIR_MBOX_SLOT_CNT_MAX);
    }
    struct weir_mailbox *mailbox = calloc(1, sizeof *mailbox);
    void *ring = NULL;
    size_t bytes =
        weir_align_up(weir_mbox_footprint((uint32_t)slot_cnt), (size_t)WEIR_LINE_PAIR_BYTES);
    if (mailbox != NULL) {
        mailbox->held_cap = (uint32_t)slot_cnt;
        mailbox->held = calloc(slot_cnt, sizeof *mailbox->held);
    }
    if (mailbox == NULL || mailbox->held == NULL ||
        posix_memalign(&ring, WEIR_LINE_PAIR_BYTES, bytes) != 0) {
        weir_mailbox_delete(mailbox);
        return weir_err_push(WEIR_ENOMEM, "a mailbox of %u letters", letter_cnt);
    }
    mailbox->ring = ring;
    int rc = weir_mbox_init(mailbox->ring, (uint32_t)slot_cnt);
    WEIR_CHECK(rc == 0, "a mailbox of %llu slots", (unsigned long long)slot_cnt);
    *ret_mailbox = mailbox;
    return 0;
}

void
weir_mailbox_delete(struct weir_mailbox *mailbox)
{
    if (mailbox != NULL) {
        free(mailbox->ring);
        free(mailbox->held);
        free(mailbox);
    }
}

void
weir_mailbox_set_wake(struct weir_mailbox *mailbox, void (*wake_fn)(void *arg), void *arg)
{
    mailbox->wake_fn = wake_fn;
    mailbox->wake_arg = arg;
}

void
weir_mailbox_set_fail(
    struct weir_mailbox *mailbox, bool (*fail_fn)(void *arg, int error, const char *why), void *arg)
{
    mailbox->fail_fn = fail_fn;
    mailbox->fail_arg = arg;
}

/* ---- any thread ---- */

void
weir_mailbox_wake(const struct weir_mailbox *mailbox)
{
    if (mailbox->wake_fn != NULL) {
        mailbox->wake_fn(mailbox->wake_arg);
    }
}

int
weir_mailbox_put(struct weir_mailbox *mailbox, const struct weir_mail *mail)
{
    struct weir_letter letter = {.kind = mail->priority,
        .from = mail->is_deferrable,
        .args = {(uint64_t)(uintptr_t)mail->fn, (uint64_t)(uintptr_t)mail->arg, mail->words[0],
            mail->words[1], mail->words[2]}};
    int rc = weir_mbox_put(mailbox->ring, &letter);
    if (rc > 0) {
        weir_mailbox_wake(mailbox);
    }
    return rc;
}

void
weir_mailbox_fail(struct weir_mailbox *mailbox, int error, const char *why)
{
    if (mailbox->fail_fn(mailbox->fail_arg, error, why)) {
        weir_mailbox_wake(mailbox);
    }
}

/* ---- the task's core ---- */

static void
hold(struct weir_mailbox *mailbox, const struct weir_letter *letter)
{
    struct weir_mail *mail = &mailbox->held[mailbox->held_cnt++];
    mail->fn = (weir_mail_fn *)(uintptr_t)letter->args[0];
    mail->arg = (void *)(uintptr_t)letter->args[1];
    memcpy(mail->words, &letter->args[2], sizeof mail->words);
    mail->priority = letter->kind;
    mail->is_deferrable = letter->from != 0;
}

/* What there is no room for waits in the ring, and its senders are told that it is full. */
static void
fetch(struct weir_mailbox *mailbox)
{
    struct weir_letter letter;
    while (mailbox->held_cnt < mailbox->held_cap && weir_mbox_take(mailbox->ring, &letter) > 0) {
        hold(mailbox, &letter);
    }
}

static void
take_at(struct weir_mailbox *mailbox, uint32_t i, struct weir_mail *ret_mail)
{
    *ret_mail = mailbox->held[i];
    mailbox->held_cnt--;
    mailbox->batch_cnt -= i < mailbox->batch_cnt;
    memmove(&mailbox->held[i], &mailbox->held[i + 1],
        (mailbox->held_cnt - i) * sizeof mailbox->held[0]);
}

static int
take(struct weir_mailbox *mailbox, uint32_t priority, bool defers, struct weir_mail *ret_mail)
{
    fetch(mailbox);
    for (uint32_t i = 0; i < mailbox->held_cnt; i++) {
        const struct weir_mail *mail = &mailbox->held[i];
        if (mail->priority >= priority && !(defers && mail->is_deferrable)) {
            take_at(mailbox, i, ret_mail);
            return 1;
        }
    }
    return 0;
}

uint32_t
weir_mailbox_batch(struct weir_mailbox *mailbox)
{
    fetch(mailbox);
    mailbox->batch_cnt = mailbox->held_cnt;
    return mailbox->batch_cnt;
}

int
weir_mailbox_take_from_batch(struct weir_mailbox *mailbox, struct weir_mail *ret_mail)
{
    if (mailbox->batch_cnt == 0) {
        return 0;
    }
    take_at(mailbox, 0, ret_mail);
    return 1;
}

int
weir_mailbox_take(struct weir_mailbox *mailbox, uint32_t priority, struct weir_mail *ret_mail)
{
    return take(mailbox, priority, false, ret_mail);
}

static int
run(const struct weir_mail *mail, int64_t now_ns)
{
    int rc = mail->fn(mail->arg, mail->words, true, now_ns);
    return rc < 0 ? rc : 0;
}

int
weir_mailbox_run_batch(struct weir_mailbox *mailbox, int64_t now_ns)
{
    struct weir_mail mail;
    int ran_cnt = 0;
    int rc = 0;
    (void)weir_mailbox_batch(mailbox);
    while (rc == 0 && weir_mailbox_take_from_batch(mailbox, &mail) > 0) {
        rc = run(&mail, now_ns);
        ran_cnt++;
    }
    return rc != 0 ? rc : ran_cnt;
}

int
weir_mailbox_yield(struct weir_mailbox *mailbox, uint32_t priority, int64_t now_ns)
{
    struct weir_mail mail;
    if (take(mailbox, priority, true, &mail) == 0) {
        return 0;
    }
    int rc = run(&mail, now_ns);
    return rc < 0 ? rc : 1;
}

/* ---- the end ---- */

void
weir_mailbox_quiesce(struct weir_mailbox *mailbox)
{
    weir_mbox_quiesce(mailbox->ring);
}

int
weir_mailbox_drain(struct weir_mailbox *mailbox, int64_t now_ns)
{
    struct weir_mail mail;
    WEIR_DCHECK(!weir_mailbox_is_open(mailbox), "drained while it is open");
    while (weir_mailbox_take(mailbox, WEIR_MAIL_ANY, &mail) > 0) {
        int rc = run(&mail, now_ns);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

uint32_t
weir_mailbox_close(struct weir_mailbox *mailbox)
{
    struct weir_letter letter;
    uint32_t cnt = 0;
    weir_mbox_close(mailbox->ring);
    for (int i = 0; i < GIVE_BACK_TRY_CNT; i++) {
        while (mailbox->held_cnt > 0) {
            struct weir_mail mail;
            take_at(mailbox, 0, &mail);
            (void)mail.fn(mail.arg, mail.words, false, 0); /* nobody is left to be told */
            cnt++;
        }
        if (weir_mbox_pending_cnt(mailbox->ring) == 0) {
            break;
        }
        while (mailbox->held_cnt < mailbox->held_cap &&
               weir_mbox_give_back(mailbox->ring, &letter) > 0) {
            hold(mailbox, &letter);
        }
    }
    return cnt;
}

bool
weir_mailbox_is_open(const struct weir_mailbox *mailbox)
{
    return weir_mbox_state(mailbox->ring) == WEIR_MBOX_OPEN;
}

bool
weir_mailbox_is_empty(const struct weir_mailbox *mailbox)
{
    return weir_mailbox_cnt(mailbox) == 0;
}

uint64_t
weir_mailbox_cnt(const struct weir_mailbox *mailbox)
{
    return (uint64_t)mailbox->held_cnt + weir_mbox_pending_cnt(mailbox->ring);
}

uint64_t
weir_mailbox_taken_cnt(const struct weir_mailbox *mailbox)
{
    return mailbox->ring->head_seq - mailbox->held_cnt;
}
