/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/barrier.h"

#include <string.h>

#include "base/check.h"
#include "base/mutant.h"

/* A checkpoint that not all open channels have delivered yet. */
struct pending {
    struct weir_mark mark;
    int64_t start_ns;
    uint64_t start_bytes;
    uint32_t missing_cnt; /* open channels that have not delivered it */
    bool is_urgent; /* a barrier of it does not wait */
    bool has_begun; /* triggered unaligned */
    uint64_t *got; /* channels that have delivered it, as bits */
};

struct weir_barrier {
    struct weir_barrier_conf conf;
    uint64_t id_min; /* of a checkpoint that may still begin */
    uint32_t open_cnt;
    uint32_t pending_cnt; /* tracked: more than 1, perhaps */
    struct pending pending[WEIR_BARRIER_PENDING_CNT_MAX]; /* by id */
    struct weir_barrier_result result;
    uint64_t *ended; /* channels, as bits */
    uint64_t *forced;
};

static size_t
words(const struct weir_barrier_conf *conf)
{
    return (conf->channel_cnt + 63) / 64;
}

size_t
weir_barrier_footprint(const struct weir_barrier_conf *conf)
{
    return sizeof(struct weir_barrier) +
           (2 + WEIR_BARRIER_PENDING_CNT_MAX) * words(conf) * sizeof(uint64_t);
}

struct weir_barrier *
weir_barrier_init(const struct weir_barrier_conf *conf, void *mem)
{
    struct weir_barrier *barrier = mem;
    memset(mem, 0, weir_barrier_footprint(conf));
    barrier->conf = *conf;
    barrier->open_cnt = conf->channel_cnt;
    barrier->ended = (uint64_t *)(barrier + 1);
    barrier->forced = barrier->ended + words(conf);
    for (uint32_t i = 0; i < WEIR_BARRIER_PENDING_CNT_MAX; i++) {
        barrier->pending[i].got = barrier->ended + (2 + i) * words(conf);
    }
    return barrier;
}

static bool
bit_is_set(const uint64_t *bits, uint32_t i)
{
    return (bits[i / 64] >> i % 64 & 1) != 0;
}

static void
bit_set(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

void
weir_barrier_force(struct weir_barrier *barrier, uint32_t channel)
{
    WEIR_CHECK(channel < barrier->conf.channel_cnt, "channel %u is not there", channel);
    bit_set(barrier->forced, channel);
}

/* ---- what is due ---- */

static struct weir_barrier_result *
clear_result(struct weir_barrier *barrier)
{
    struct weir_barrier_result *result = &barrier->result;
    result->unblock = false;
    result->block = WEIR_BARRIER_CHANNEL_NONE;
    result->abort_cnt = 0;
    result->triggered = false;
    result->is_unaligned = false;
    result->is_whole = false;
    return result;
}

static void
say_aborted(struct weir_barrier *barrier, uint64_t id, enum weir_barrier_reason reason)
{
    struct weir_barrier_result *result = &barrier->result;
    WEIR_DCHECK(result->abort_cnt <= WEIR_BARRIER_PENDING_CNT_MAX, "more aborts than checkpoints");
    result->aborts[result->abort_cnt].id = id;
    result->aborts[result->abort_cnt].reason = reason;
    result->abort_cnt++;
}

/* Forget checkpoint `idx`; its memory for bits goes to the end. */
static void
drop(struct weir_barrier *barrier, uint32_t idx)
{
    struct pending dropped = barrier->pending[idx];
    for (uint32_t i = idx; i + 1 < WEIR_BARRIER_PENDING_CNT_MAX; i++) {
        barrier->pending[i] = barrier->pending[i + 1];
    }
    barrier->pending[WEIR_BARRIER_PENDING_CNT_MAX - 1] = dropped;
    barrier->pending_cnt--;
    barrier->result.unblock = barrier->conf.mode != WEIR_BARRIER_TRACKED;
}

/* Give up all that is pending and older than `id`. */
static void
abort_before(struct weir_barrier *barrier, uint64_t id, enum weir_barrier_reason reason)
{
    while (barrier->pending_cnt > 0 && barrier->pending[0].mark.id < id) {
        say_aborted(barrier, barrier->pending[0].mark.id, reason);
        drop(barrier, 0);
    }
}

static struct pending *
begin(struct weir_barrier *barrier, const struct weir_mark *mark,
    const struct weir_barrier_when *when)
{
    if (barrier->pending_cnt == WEIR_BARRIER_PENDING_CNT_MAX) {
        drop(barrier, 0);
    }
    struct pending *pending = &barrier->pending[barrier->pending_cnt++];
    memset(pending->got, 0, words(&barrier->conf) * sizeof(uint64_t));
    pending->mark = *mark;
    pending->start_ns = when->now_ns;
    pending->start_bytes = when->bytes;
    pending->missing_cnt = barrier->open_cnt;
    pending->is_urgent = false;
    pending->has_begun = false;
    barrier->id_min = mark->id + 1;
    return pending;
}

static struct pending *
find(struct weir_barrier *barrier, uint64_t id)
{
    for (uint32_t i = 0; i < barrier->pending_cnt; i++) {
        if (barrier->pending[i].mark.id == id) {
            return &barrier->pending[i];
        }
    }
    return NULL;
}

/* The channel has delivered it. */
static void
note(struct pending *pending, uint32_t channel)
{
    if (!bit_is_set(pending->got, channel)) {
        bit_set(pending->got, channel);
        pending->missing_cnt--;
    }
}

/* When it is to begin without its missing barriers, whatever is forced. */
static int64_t
due_ns(const struct weir_barrier *barrier, const struct pending *pending)
{
    bool may = weir_mark_may_overtake(&pending->mark) || WEIR_MUTANT(SAVEPOINT_OVERTAKES);
    if (barrier->conf.mode != WEIR_BARRIER_UNALIGNED || !may) {
        return WEIR_BARRIER_NEVER_NS;
    }
    /* Without time to align the clock of who triggered it does not count: it may be ahead. */
    if (pending->is_urgent || barrier->conf.timeout_ns == 0) {
        return INT64_MIN;
    }
    bool is_never =
        barrier->conf.timeout_ns > INT64_MAX - weir_max_i64(pending->mark.trigger_ns, 0);
    return is_never ? WEIR_BARRIER_NEVER_NS : pending->mark.trigger_ns + barrier->conf.timeout_ns;
}

static void
say_how(struct weir_barrier *barrier, const struct pending *pending,
    const struct weir_barrier_when *when)
{
    struct weir_barrier_result *result = &barrier->result;
    result->mark = pending->mark;
    result->mark.is_urgent = due_ns(barrier, pending) <= when->now_ns;
    result->gauges.align_ns = when->now_ns - pending->start_ns;
    result->gauges.start_delay_ns = weir_max_i64(0, pending->start_ns - pending->mark.trigger_ns);
    result->gauges.align_bytes = when->bytes - pending->start_bytes;
}

/* The newest checkpoint that all open channels have delivered is triggered, or whole; those before
 * it are subsumed, which the coordinator sees by itself. */
static void
complete(struct weir_barrier *barrier, const struct weir_barrier_when *when)
{
    uint32_t cnt = barrier->pending_cnt;
    while (cnt > 0 && barrier->pending[cnt - 1].missing_cnt != 0) {
        cnt--;
    }
    if (cnt == 0) {
        return;
    }
    const struct pending *whole = &barrier->pending[cnt - 1];
    struct weir_barrier_result *result = &barrier->result;
    result->triggered = !whole->has_begun;
    result->is_whole = whole->has_begun;
    say_how(barrier, whole, when);
    for (uint32_t i = 0; i < cnt; i++) {
        drop(barrier, 0);
    }
}

/* Whether a forced channel has not delivered it yet. */
static bool
lacks_forced(const struct weir_barrier *barrier, const struct pending *pending)
{
    for (size_t i = 0; i < words(&barrier->conf); i++) {
        if ((barrier->forced[i] & ~barrier->ended[i] & ~pending->got[i]) != 0) {
            return true;
        }
    }
    return false;
}

/* What all channels have delivered is triggered; what cannot wait for that is, too. */
static void
go_on(struct weir_barrier *barrier, struct pending *pending, const struct weir_barrier_when *when)
{
    struct weir_barrier_result *result = &barrier->result;
    if (pending->missing_cnt == 0) {
        complete(barrier, when);
        return;
    }
    int64_t at_ns = due_ns(barrier, pending);
    if (pending->has_begun || at_ns == WEIR_BARRIER_NEVER_NS || when->now_ns < at_ns ||
        lacks_forced(barrier, pending)) {
        return;
    }
    pending->has_begun = true;
    result->unblock = true;
    result->triggered = true;
    result->is_unaligned = true;
    say_how(barrier, pending, when);
}

/* ---- inputs ---- */

/* The checkpoint of the mark, begun if it is new; NULL: it is late. */
static struct pending *
find_or_begin(struct weir_barrier *barrier, const struct weir_mark *mark,
    const struct weir_barrier_when *when)
{
    struct pending *pending = find(barrier, mark->id);
    if (pending != NULL || mark->id < barrier->id_min) {
        return pending;
    }
    if (barrier->conf.mode != WEIR_BARRIER_TRACKED) {
        abort_before(barrier, mark->id, WEIR_BARRIER_SUBSUMED);
    }
    return begin(barrier, mark, when);
}

const struct weir_barrier_result *
weir_barrier_come(struct weir_barrier *barrier, uint32_t channel, const struct weir_mark *mark,
    const struct weir_barrier_when *when)
{
    WEIR_CHECK(channel < barrier->conf.channel_cnt && !bit_is_set(barrier->ended, channel),
        "a barrier behind the end of channel %u", channel);
    struct weir_barrier_result *result = clear_result(barrier);
    struct pending *pending = find_or_begin(barrier, mark, when);
    if (pending == NULL) {
        return result;
    }
    note(pending, channel);
    pending->is_urgent |= mark->is_urgent;
    go_on(barrier, pending, when);
    if (!result->triggered && !result->is_whole && !pending->has_begun &&
        barrier->conf.mode != WEIR_BARRIER_TRACKED && !WEIR_MUTANT(BARRIER_OVERTAKES)) {
        result->block = channel;
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_announce(struct weir_barrier *barrier, uint32_t channel, const struct weir_mark *mark,
    const struct weir_barrier_when *when)
{
    WEIR_CHECK(channel < barrier->conf.channel_cnt && !bit_is_set(barrier->ended, channel),
        "a barrier behind the end of channel %u", channel);
    struct weir_barrier_result *result = clear_result(barrier);
    struct pending *pending = find_or_begin(barrier, mark, when);
    if (pending != NULL) {
        pending->is_urgent |= mark->is_urgent;
        go_on(barrier, pending, when);
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_pass(struct weir_barrier *barrier, uint32_t channel, uint64_t id,
    const struct weir_barrier_when *when)
{
    struct weir_barrier_result *result = clear_result(barrier);
    struct pending *pending = find(barrier, id);
    if (pending != NULL && pending->has_begun) {
        note(pending, channel);
        go_on(barrier, pending, when);
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_time(struct weir_barrier *barrier, const struct weir_barrier_when *when)
{
    struct weir_barrier_result *result = clear_result(barrier);
    if (barrier->pending_cnt > 0) {
        go_on(barrier, &barrier->pending[0], when);
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_start(struct weir_barrier *barrier, const struct weir_mark *mark,
    const struct weir_barrier_when *when)
{
    struct weir_barrier_result *result = clear_result(barrier);
    struct pending *pending = find_or_begin(barrier, mark, when);
    if (pending != NULL) {
        go_on(barrier, pending, when);
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_cancel(struct weir_barrier *barrier, uint32_t channel, uint64_t id)
{
    WEIR_CHECK(channel < barrier->conf.channel_cnt && !bit_is_set(barrier->ended, channel),
        "a cancel marker behind the end of channel %u", channel);
    struct weir_barrier_result *result = clear_result(barrier);
    bool is_tracked = barrier->conf.mode == WEIR_BARRIER_TRACKED;
    bool is_pending = find(barrier, id) != NULL;
    if (!is_pending && id < barrier->id_min) {
        return result;
    }
    abort_before(barrier, id, is_tracked ? WEIR_BARRIER_CANCELED : WEIR_BARRIER_SUBSUMED);
    say_aborted(barrier, id, WEIR_BARRIER_CANCELED);
    if (is_pending) {
        drop(barrier, 0);
    }
    barrier->id_min = weir_max_u64(barrier->id_min, id + 1);
    return result;
}

const struct weir_barrier_result *
weir_barrier_abort(struct weir_barrier *barrier, uint64_t id)
{
    struct weir_barrier_result *result = clear_result(barrier);
    const struct pending *pending = find(barrier, id);
    if (pending != NULL) {
        say_aborted(barrier, id, WEIR_BARRIER_ABORTED);
        drop(barrier, (uint32_t)(pending - barrier->pending));
    }
    return result;
}

const struct weir_barrier_result *
weir_barrier_end(
    struct weir_barrier *barrier, uint32_t channel, const struct weir_barrier_when *when)
{
    WEIR_CHECK(channel < barrier->conf.channel_cnt && !bit_is_set(barrier->ended, channel),
        "channel %u ended twice", channel);
    struct weir_barrier_result *result = clear_result(barrier);
    bit_set(barrier->ended, channel);
    barrier->open_cnt--;
    if (!barrier->conf.after_end) {
        abort_before(barrier, UINT64_MAX, WEIR_BARRIER_END_OF_INPUT);
        return result;
    }
    for (uint32_t i = 0; i < barrier->pending_cnt; i++) {
        note(&barrier->pending[i], channel);
    }
    if (barrier->pending_cnt > 0) {
        complete(barrier, when);
    }
    if (barrier->pending_cnt > 0) { /* the end of a forced channel may be what was waited for */
        go_on(barrier, &barrier->pending[0], when);
    }
    return result;
}

/* ---- looking ---- */

uint64_t
weir_barrier_moving_id(const struct weir_barrier *barrier)
{
    bool is_moving = barrier->pending_cnt > 0 && barrier->pending[0].mark.kind == WEIR_MARK_MOVE;
    return is_moving ? barrier->pending[0].mark.id : 0;
}

int64_t
weir_barrier_align_ns(const struct weir_barrier *barrier, int64_t now_ns)
{
    return barrier->pending_cnt > 0 ? weir_max_i64(0, now_ns - barrier->pending[0].start_ns) : -1;
}

uint32_t
weir_barrier_pending_cnt(const struct weir_barrier *barrier)
{
    return barrier->pending_cnt;
}

bool
weir_barrier_is_blocked(const struct weir_barrier *barrier, uint32_t channel)
{
    return barrier->conf.mode != WEIR_BARRIER_TRACKED && barrier->pending_cnt > 0 &&
           !barrier->pending[0].has_begun && bit_is_set(barrier->pending[0].got, channel) &&
           !bit_is_set(barrier->ended, channel);
}

int64_t
weir_barrier_due_ns(const struct weir_barrier *barrier)
{
    const struct pending *pending = &barrier->pending[0];
    if (barrier->pending_cnt == 0 || pending->has_begun || lacks_forced(barrier, pending)) {
        return WEIR_BARRIER_NEVER_NS;
    }
    return due_ns(barrier, pending);
}

uint64_t
weir_barrier_begun_id(const struct weir_barrier *barrier)
{
    return barrier->pending_cnt > 0 && barrier->pending[0].has_begun ? barrier->pending[0].mark.id
                                                                     : 0;
}

bool
weir_barrier_is_missing(const struct weir_barrier *barrier, uint32_t channel)
{
    const struct pending *pending = &barrier->pending[0];
    return barrier->pending_cnt > 0 && pending->has_begun && !bit_is_set(pending->got, channel) &&
           !bit_is_set(barrier->ended, channel);
}

uint32_t
weir_barrier_open_cnt(const struct weir_barrier *barrier)
{
    return barrier->open_cnt;
}
