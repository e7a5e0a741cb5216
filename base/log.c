/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/err.h"
#include "base/layout.h"
#include "base/ring.h"

/* Lines that a core may say between two looks of the writer. */
#define LOG_SLOT_CNT 64
/* Places that one lane tells apart; more share, and are then limited together. */
#define LOG_SITE_CNT 32
#define LOG_WINDOW_NS WEIR_SEC_NS
/* The writer looks after this long; twice as long each time that there was nothing. */
#define LOG_LOOK_NS_MIN (5 * WEIR_MS)
#define LOG_LOOK_NS_MAX (100 * WEIR_MS)
/* Gathered for one system call. */
#define LOG_GATHER_BYTES 65536
/* Attempts at a write that is interrupted or goes on in pieces. */
#define LOG_WRITE_CNT_MAX 1000

/* How often one place spoke in the present second. */
struct log_site {
    const char *fmt;
    int64_t window_end_ns;
    uint32_t said_cnt;
    uint32_t left_out_cnt;
};

struct log_lane {
    /* writer: the thread that joined */
    struct weir_ring_prod prod;
    const struct weir_clock *clock;
    uint32_t lost_cnt;
    struct log_site sites[LOG_SITE_CNT];
    /* writer: who holds log_state.lock */
    WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES) struct weir_ring_cons cons;
    uint32_t idx;
    char from[LOG_FROM_BYTES];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool is_started;
    bool is_stopping;
    int fd;
    enum weir_log_format format;
    const struct weir_clock *clock;
    char job[LOG_JOB_BYTES];
    struct log_lane *lanes[WEIR_LOG_LANE_CNT_MAX];
    uint32_t lane_end; /* lanes at this index and above have never been joined */
    struct log_site sites[LOG_SITE_CNT]; /* of threads without a lane */
    size_t gathered_bytes;
    char gathered[LOG_GATHER_BYTES];
    /* writer: anybody, seldom */
    WEIR_ATOMIC(uint32_t) level;
} log_state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .fd = STDERR_FILENO,
    .format = WEIR_LOG_AUTO,
    .level = WEIR_LOG_INFO,
};

static _Thread_local struct log_lane *log_lane_own;

/* ---- writing: all under the lock ---- */

/* What cannot be written is dropped: there is nobody left to tell. */
static void
write_out(void)
{
    size_t done = 0;
    for (int i = 0; done < log_state.gathered_bytes && i < LOG_WRITE_CNT_MAX; i++) {
        ssize_t n = write(log_state.fd, log_state.gathered + done, log_state.gathered_bytes - done);
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    log_state.gathered_bytes = 0;
}

static enum weir_log_format
format_for(int fd, enum weir_log_format format)
{
    if (format != WEIR_LOG_AUTO) {
        return format;
    }
    return isatty(fd) ? WEIR_LOG_HUMAN : WEIR_LOG_LOGFMT;
}

static void
gather(const struct log_line *line, const char *from)
{
    if (sizeof log_state.gathered - log_state.gathered_bytes < LOG_WRITTEN_BYTES) {
        write_out();
    }
    enum weir_log_format format = format_for(log_state.fd, log_state.format);
    log_state.gathered_bytes += weir_log_priv_write(
        line, format, from, log_state.job, log_state.gathered + log_state.gathered_bytes);
}

/* At most one lap of the ring: a core that never stops talking must not keep the others waiting. */
static uint32_t
drain_lane(struct log_lane *lane)
{
    uint32_t cnt = weir_ring_peek(&lane->cons);
    for (uint32_t i = 0; i < cnt; i++) {
        gather(weir_ring_cons_slot(&lane->cons, i, sizeof(struct log_line)), lane->from);
    }
    weir_ring_advance(&lane->cons, cnt);
    weir_ring_release(&lane->cons, cnt);
    return cnt;
}

static uint32_t
drain_all(void)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < log_state.lane_end; i++) {
        cnt += log_state.lanes[i] != NULL ? drain_lane(log_state.lanes[i]) : 0;
    }
    write_out();
    return cnt;
}

static void *
writer_main(void *arg)
{
    int64_t wait_ns = LOG_LOOK_NS_MIN;
    (void)arg;
    (void)pthread_mutex_lock(&log_state.lock);
    while (!log_state.is_stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t nsec = until.tv_nsec + wait_ns;
        until.tv_sec += nsec / WEIR_SEC_NS;
        until.tv_nsec = nsec % WEIR_SEC_NS;
        /* Times out as a rule; a wake-up comes only to stop. Either way it looks. */
        (void)pthread_cond_timedwait(&log_state.wake, &log_state.lock, &until);
        wait_ns = drain_all() > 0 ? LOG_LOOK_NS_MIN : weir_min_i64(2 * wait_ns, LOG_LOOK_NS_MAX);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
    return NULL;
}

/* ---- start and stop ---- */

static int
start_thread(void)
{
    sigset_t all;
    sigset_t before;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&log_state.wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    /* Signals are for the main thread; a closed pipe shows as an error here. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&log_state.thread, NULL, writer_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)pthread_cond_destroy(&log_state.wake);
        return weir_err_errno(rc, "starting the thread of the log");
    }
    (void)pthread_setname_np(log_state.thread, "weir-log");
    return 0;
}

int
weir_log_start(const struct weir_log_options *options)
{
    WEIR_CHECK(options->format < WEIR_LOG_FORMAT_CNT && options->level < WEIR_LOG_LEVEL_CNT,
        "log of format %d, level %d", (int)options->format, (int)options->level);
    (void)pthread_mutex_lock(&log_state.lock);
    int err = 0;
    if (log_state.is_started) {
        err = weir_err_push(WEIR_EILLEGAL, "the log has been started");
        goto out;
    }
    err = start_thread();
    if (err != 0) {
        goto out;
    }
    log_state.is_started = true;
    log_state.is_stopping = false;
    log_state.fd = options->fd;
    log_state.format = format_for(options->fd, options->format);
    log_state.clock = options->clock;
    (void)snprintf(
        log_state.job, sizeof log_state.job, "%s", options->job != NULL ? options->job : "");
    weir_log_level_set(options->level);
out:
    (void)pthread_mutex_unlock(&log_state.lock);
    return err;
}

void
weir_log_stop(void)
{
    (void)pthread_mutex_lock(&log_state.lock);
    bool was_started = log_state.is_started;
    log_state.is_stopping = true;
    if (was_started) {
        (void)pthread_cond_signal(&log_state.wake);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
    if (!was_started) {
        return;
    }
    (void)pthread_join(log_state.thread, NULL);
    (void)pthread_mutex_lock(&log_state.lock);
    (void)drain_all();
    (void)pthread_cond_destroy(&log_state.wake);
    log_state.is_started = false;
    log_state.fd = STDERR_FILENO;
    log_state.format = WEIR_LOG_AUTO;
    log_state.clock = NULL;
    log_state.job[0] = '\0';
    memset(log_state.sites, 0, sizeof log_state.sites);
    weir_log_level_set(WEIR_LOG_INFO);
    (void)pthread_mutex_unlock(&log_state.lock);
}

void
weir_log_level_set(enum weir_log_level level)
{
    /* relaxed: a line said at this moment may be judged by either level. */
    weir_store_rlx(&log_state.level, (uint32_t)level);
}

void
weir_log_flush(void)
{
    (void)pthread_mutex_lock(&log_state.lock);
    (void)drain_all();
    (void)pthread_mutex_unlock(&log_state.lock);
}

/* ---- lanes ---- */

static const struct weir_ring_shape lane_shape = {LOG_SLOT_CNT, sizeof(struct log_line)};

size_t
weir_log_lane_footprint(void)
{
    struct weir_layout lay;
    weir_layout_init(&lay);
    (void)weir_layout_add(&lay, sizeof(struct log_lane), WEIR_LINE_PAIR_BYTES);
    (void)weir_layout_add(&lay, weir_ring_footprint(&lane_shape), weir_ring_align());
    return weir_layout_footprint(&lay);
}

static int
lane_enter(struct log_lane *lane)
{
    for (uint32_t i = 0; i < WEIR_LOG_LANE_CNT_MAX; i++) {
        if (log_state.lanes[i] == NULL) {
            lane->idx = i;
            lane->clock = log_state.clock;
            log_state.lanes[i] = lane;
            log_state.lane_end = weir_min_u32(
                WEIR_LOG_LANE_CNT_MAX, i + 1 > log_state.lane_end ? i + 1 : log_state.lane_end);
            return 0;
        }
    }
    return weir_err_push(WEIR_EILLEGAL, "the log has %u lanes, no more", WEIR_LOG_LANE_CNT_MAX);
}

int
weir_log_lane_join(void *mem, const char *from)
{
    if (log_lane_own != NULL) {
        return weir_err_push(WEIR_EILLEGAL, "this thread has a lane of the log");
    }
    if ((uintptr_t)mem % WEIR_LINE_PAIR_BYTES != 0) {
        return weir_err_push(WEIR_EINVAL, "lane of the log: memory at %p is not aligned", mem);
    }
    struct log_lane *lane = mem;
    void *ring = (char *)mem + weir_align_up(sizeof *lane, weir_ring_align());
    memset(lane, 0, sizeof *lane);
    (void)snprintf(lane->from, sizeof lane->from, "%s", from);
    int err = weir_ring_new(ring, &lane_shape);
    if (err == 0) {
        err = weir_ring_prod_join(&lane->prod, ring, sizeof(struct log_line));
    }
    if (err == 0) {
        err = weir_ring_cons_join(&lane->cons, ring, sizeof(struct log_line));
    }
    if (err == 0) {
        (void)pthread_mutex_lock(&log_state.lock);
        err = lane_enter(lane);
        (void)pthread_mutex_unlock(&log_state.lock);
    }
    if (err == 0) {
        log_lane_own = lane;
    }
    return err;
}

/* ---- saying ---- */

static int64_t
clock_ns(const struct weir_clock *clock)
{
    struct timespec ts;
    if (clock != NULL) {
        return weir_clock_ns(clock);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

static int64_t
clock_utc_ns(const struct weir_clock *clock)
{
    struct timespec ts;
    if (clock != NULL) {
        return weir_clock_utc_ns(clock);
    }
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

/* Whether the place may speak; takes what it kept back so far into ret_left_out. */
static bool
may_speak(struct log_site *sites, const char *fmt, int64_t now_ns, uint32_t *ret_left_out)
{
    uint64_t spread = (uint64_t)(uintptr_t)fmt * UINT64_C(0x9e3779b97f4a7c15);
    struct log_site *site = &sites[spread >> 59];
    _Static_assert(LOG_SITE_CNT == 1 << 5, "the top five bits");
    if (site->fmt == NULL || now_ns >= site->window_end_ns) {
        *ret_left_out = site->left_out_cnt;
        *site = (struct log_site){fmt, weir_add_sat(now_ns, LOG_WINDOW_NS), 1, 0};
        return true;
    }
    *ret_left_out = 0;
    if (site->said_cnt < WEIR_LOG_BURST) {
        site->said_cnt++;
        return true;
    }
    site->left_out_cnt++;
    return false;
}

static void
fill(struct log_line *line, enum weir_log_level level, int code, const char *fmt, va_list args)
{
    int n = vsnprintf(line->text, sizeof line->text, fmt, args);
    line->text_bytes = (uint16_t)weir_min_u64(n < 0 ? 0 : (uint64_t)n, sizeof line->text - 1);
    line->level = (uint16_t)level;
    line->code = (uint16_t)(code < 0 ? -code : code);
    line->pad = 0;
}

static void
say_by_lane(
    struct log_lane *lane, enum weir_log_level level, int code, const char *fmt, va_list args)
{
    uint32_t left_out_cnt = 0;
    if (!may_speak(lane->sites, fmt, clock_ns(lane->clock), &left_out_cnt)) {
        return;
    }
    if (weir_ring_room(&lane->prod, 1) == 0) {
        lane->lost_cnt++;
        return;
    }
    struct log_line *line = weir_ring_prod_slot(&lane->prod, 0, sizeof *line);
    fill(line, level, code, fmt, args);
    line->utc_ns = clock_utc_ns(lane->clock);
    line->left_out_cnt = left_out_cnt;
    line->lost_cnt = lane->lost_cnt;
    lane->lost_cnt = 0;
    weir_ring_publish(&lane->prod, 1);
}

static void
say_directly(enum weir_log_level level, int code, const char *fmt, va_list args)
{
    struct log_line line;
    uint32_t left_out_cnt = 0;
    (void)pthread_mutex_lock(&log_state.lock);
    if (may_speak(log_state.sites, fmt, clock_ns(log_state.clock), &left_out_cnt)) {
        fill(&line, level, code, fmt, args);
        line.utc_ns = clock_utc_ns(log_state.clock);
        line.left_out_cnt = left_out_cnt;
        line.lost_cnt = 0;
        gather(&line, "");
        write_out();
    }
    (void)pthread_mutex_unlock(&log_state.lock);
}

void
weir_log(enum weir_log_level level, int code, const char *fmt, ...)
{
    /* relaxed: see weir_log_level_set. */
    if ((uint32_t)level > weir_load_rlx(&log_state.level)) {
        return;
    }
    int errno_before = errno;
    va_list args;
    va_start(args, fmt);
    if (log_lane_own != NULL) {
        say_by_lane(log_lane_own, level, code, fmt, args);
    } else {
        say_directly(level, code, fmt, args);
    }
    va_end(args);
    errno = errno_before;
}

void
weir_log_lane_leave(void)
{
    struct log_lane *lane = log_lane_own;
    if (lane == NULL) {
        return;
    }
    log_lane_own = NULL;
    (void)pthread_mutex_lock(&log_state.lock);
    log_state.lanes[lane->idx] = NULL;
    (void)drain_lane(lane);
    write_out();
    (void)pthread_mutex_unlock(&log_state.lock);
    uint32_t silent_cnt = lane->lost_cnt;
    for (uint32_t i = 0; i < LOG_SITE_CNT; i++) {
        silent_cnt += lane->sites[i].left_out_cnt;
    }
    if (silent_cnt > 0) {
        weir_log(
            WEIR_LOG_WARNING, 0, "%s: %u more lines were left out or lost", lane->from, silent_cnt);
    }
}
