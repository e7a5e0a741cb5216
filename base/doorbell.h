/* SPDX-License-Identifier: Apache-2.0 */
/* doorbell.h: wakes a core that sleeps because its rings were empty, and never loses a wake-up.
 *
 * One doorbell per consumer core, with one ready word for each core that produces for it (and one
 * more, shared, for all threads that only put letters into its mailbox). A word counts the times
 * that its producer has published something:
 *
 *      producer core                        consumer core, when its polls find nothing
 *      publish to rings                     listen: remember the ready words
 *      ready word := ready word + 1         poll once more: nothing
 *      parked?  -> wake through eventfd     parked := 1
 *                                           ready words as remembered? -> sleep, else poll again
 *                                           parked := 0
 *
 * Each side stores its own and then loads the other's. With sequentially consistent accesses at
 * least one of the two sees the other; with anything weaker both may miss, and the consumer sleeps
 * on a full ring. These four are the only such accesses in the code.
 *
 * It is not a queue and carries nothing: a consumer that wakes polls all that it owns. A wake-up
 * may come without a reason.
 *
 * Limits: word_cnt in [1, 1024].
 */
#ifndef WEIR_BASE_DOORBELL_H
#define WEIR_BASE_DOORBELL_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/check.h"

/* More cores than any host we plan for. */
#define WEIR_DOORBELL_WORD_CNT_MAX 1024

/* writer: one producer core, or all writers of a shared word */
struct weir_doorbell_word {
    WEIR_ATOMIC(uint64_t) ready_seq;
    uint64_t pad[7];
};
WEIR_STATIC_ASSERT(sizeof(struct weir_doorbell_word) == WEIR_LINE_BYTES, "a line per word");

struct weir_doorbell {
    /* writer: none after open */
    uint32_t word_cnt;
    int fd;
    uint64_t *seen_seqs; /* writer: consumer core; one per word, behind the words */
    uint64_t pad_open[14];
    /* writer: consumer core sets it and clears it; a producer that wakes it clears it first */
    WEIR_ATOMIC(uint32_t) parked;
    uint32_t pad_parked[31];
    struct weir_doorbell_word words[];
};
WEIR_STATIC_ASSERT(
    offsetof(struct weir_doorbell, parked) == WEIR_LINE_PAIR_BYTES, "the flag's own lines");
WEIR_STATIC_ASSERT(
    offsetof(struct weir_doorbell, words) == 2 * WEIR_LINE_PAIR_BYTES, "words follow the flag");

/* weir_doorbell_footprint - bytes for word_cnt words, aligned to WEIR_LINE_PAIR_BYTES; 0: none. */
WEIR_API size_t weir_doorbell_footprint(uint32_t word_cnt);
/* weir_doorbell_open - make a doorbell in mem, with an eventfd of its own.
 *
 * Errors:  WEIR_EINVAL, or what eventfd(2) gave. Owner: keeps mem until weir_doorbell_close().
 */
WEIR_API WEIR_MUST_USE int weir_doorbell_open(struct weir_doorbell *db, uint32_t word_cnt);
/* weir_doorbell_close - give the eventfd back; producers have stopped. NULL is accepted. */
WEIR_API void weir_doorbell_close(struct weir_doorbell *db);

/* weir_doorbell_fd - the eventfd, for io_uring or poll(2): readable once the core was woken. */
static inline int
weir_doorbell_fd(const struct weir_doorbell *db)
{
    return db->fd;
}

/* weir_doorbell_wait - sleep until woken or until timeout_ns have passed; negative: no limit.
 *
 * Shape:   between a weir_doorbell_park_begin() that said true and weir_doorbell_park_end().
 * Returns: 1 woken, 0 timed out or interrupted, or an error of poll(2).
 */
WEIR_API WEIR_MUST_USE int weir_doorbell_wait(struct weir_doorbell *db, int64_t timeout_ns);
/* weir_doorbell_drain - make the eventfd unreadable again, after sleeping on it by other means. */
WEIR_API void weir_doorbell_drain(struct weir_doorbell *db);
/* weir_doorbell_signal - the system call of a wake-up; weir_doorbell_ring() decides when. */
WEIR_API void weir_doorbell_signal(struct weir_doorbell *db);

/* weir_doorbell_wake - [D2], the producer's second half, after its ready word. */
static inline void
weir_doorbell_wake(struct weir_doorbell *db)
{
    /* [D2] after [D1]; against [D3] and [D4]: sees the flag, or the consumer sees our word. */
    if (WEIR_UNLIKELY(weir_load_sc(&db->parked) != 0)) {
        /* [D5] the one that clears the flag makes the system call, the others need not. Clearing
         * cannot lose a word: whoever reads this 0 in [D2] stored its word before the consumer's
         * next [D3], hence before its next [D4]. */
        if (weir_exchange_acq_rel(&db->parked, 0) != 0) {
            weir_doorbell_signal(db);
        }
    }
}

/* weir_doorbell_ring - say that something was published; once per poll, after all publishing.
 *
 * Thread:  the producer core of word_idx. Hot: no system call unless the consumer sleeps.
 * Order:   [D1] [D2] sequentially consistent, against [D3] [D4] in weir_doorbell_park_begin.
 */
static inline void
weir_doorbell_ring(struct weir_doorbell *db, uint32_t word_idx)
{
    WEIR_DCHECK(word_idx < db->word_cnt, "word %u", word_idx);
    WEIR_ATOMIC(uint64_t) *ready_seq = &db->words[word_idx].ready_seq;
    /* relaxed: only this core writes its word. */
    uint64_t seq = weir_load_rlx(ready_seq);
    /* [D1] before [D2]; as a release it also shows what was published to the listener's [A1]. */
    weir_store_sc(ready_seq, seq + 1);
    weir_doorbell_wake(db);
}

/* weir_doorbell_ring_shared - the same for a word with many writers: [D1] is then an addition. */
static inline void
weir_doorbell_ring_shared(struct weir_doorbell *db, uint32_t word_idx)
{
    WEIR_DCHECK(word_idx < db->word_cnt, "word %u", word_idx);
    /* [D1] before [D2]. */
    (void)weir_fetch_add_sc(&db->words[word_idx].ready_seq, 1);
    weir_doorbell_wake(db);
}

/* weir_doorbell_listen - remember the ready words; then poll everything once more before parking.
 *
 * Thread:  consumer core.
 * Order:   [A1] acquire on each word, pairs with [D1]: what a word counts is visible to that poll.
 */
static inline void
weir_doorbell_listen(struct weir_doorbell *db)
{
    for (uint32_t i = 0; i < db->word_cnt; i++) {
        /* [A1] pairs with [D1]. */
        db->seen_seqs[i] = weir_load_acq(&db->words[i].ready_seq);
    }
}

/* weir_doorbell_park_end - awake again, after a sleep or instead of one. */
static inline void
weir_doorbell_park_end(struct weir_doorbell *db)
{
    /* relaxed: a producer that still sees the flag wakes us for nothing, which is allowed. */
    weir_store_rlx(&db->parked, 0);
}

/* weir_doorbell_park_begin - raise the flag and look at the words again.
 *
 * Shape:   after weir_doorbell_listen() and a poll that found nothing.
 * Thread:  consumer core.
 * Returns: true: nothing came, sleep, then call weir_doorbell_park_end(); false: poll again, the
 *          flag is down.
 */
static inline bool
weir_doorbell_park_begin(struct weir_doorbell *db)
{
    /* [D3] before [D4]; against [D1] and [D2]: sees the word, or its producer sees our flag. */
    weir_store_sc(&db->parked, 1);
    for (uint32_t i = 0; i < db->word_cnt; i++) {
        /* [D4] after [D3]. */
        if (weir_load_sc(&db->words[i].ready_seq) != db->seen_seqs[i]) {
            weir_doorbell_park_end(db);
            return false;
        }
    }
    return true;
}

#endif
