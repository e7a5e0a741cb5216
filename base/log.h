/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: lines for people and their tools, from any thread, written by one.
 *
 *     core 0:  weir_log() -> lane --.
 *     core 1:  weir_log() -> lane ---+--> writer thread: formats, writes to one descriptor
 *     others:  weir_log() -----------'    (a thread without a lane writes itself, under a lock)
 *
 * A core joins with a lane: then a line is formatted into the lane's ring, with no allocation, no
 * lock and no system call, and the writer finds it within 100 ms. Lines are for what happens
 * seldom: no line per record, batch or poll. A full lane drops the line and counts it; the next
 * line that goes through says how many are lost.
 *
 * One place (one format text) may say WEIR_LOG_BURST lines a second; what is over is counted, and
 * the number said by the first line after. Levels above the one that is set cost a load and a
 * branch.
 *
 * A line in the three forms:
 *
 *     2025-11-21T09:53:00.123456Z warning core 3: no huge pages (WEIR-1005)
 *     ts=2025-11-21T09:53:00.123456Z level=warning from="core 3" job=q5 code=WEIR-1005 msg="no huge
 *     pages" {"ts":"2025-...","level":"warning","from":"core
 *     3","job":"q5","code":"WEIR-1005","msg":"..."}
 *
 * This is the one global object of the project: errors in odd corners must find it.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include "base/base.h"
#include "base/clock.h"

/* Lines a second of one place, per lane: all that a host may lack at the start of a run, one by one
 * (sched/job.h), and too few to fill a disk. */
#define WEIR_LOG_BURST 32
/* Bytes of one line's text; the rest is cut. One slot of a lane is 512 bytes. */
#define WEIR_LOG_TEXT_BYTES 464
/* Cores, the housekeeping threads and the helpers of one process. */
#define WEIR_LOG_LANE_CNT_MAX 1024

enum weir_log_level {
    WEIR_LOG_ERROR,
    WEIR_LOG_WARNING,
    WEIR_LOG_INFO,
    WEIR_LOG_DEBUG,
    WEIR_LOG_LEVEL_CNT,
};

enum weir_log_format {
    WEIR_LOG_AUTO, /* human on a terminal, logfmt otherwise */
    WEIR_LOG_HUMAN,
    WEIR_LOG_LOGFMT,
    WEIR_LOG_JSON,
    WEIR_LOG_FORMAT_CNT,
};

struct weir_log_options {
    int fd; /* borrowed; open until weir_log_stop */
    enum weir_log_format format;
    enum weir_log_level level;
    const struct weir_clock *clock; /* kept until stop and the last leave; NULL: the system's */
    const char *job; /* copied; NULL or "": lines do not name a job */
};

/* weir_log_start - from now on lines go to options->fd, and lanes are emptied by a thread.
 *
 * Before it, lines go straight to standard error, from level info.
 * Errors:  WEIR_ESYS: no thread could be had. WEIR_EILLEGAL: it has been started.
 */
WEIR_API WEIR_MUST_USE int weir_log_start(const struct weir_log_options *options);
/* weir_log_stop - write what is in the lanes, end the thread; later lines go to standard error.
 *
 * Thread:  the one that started it. A lane that is still joined keeps its next lines for the next
 *          start, or for its leave. Does nothing when not started.
 */
WEIR_API void weir_log_stop(void);
/* weir_log_level_set - change the level at run time. Thread: any. */
WEIR_API void weir_log_level_set(enum weir_log_level level);

/* weir_log_lane_footprint - bytes of a lane, aligned to WEIR_LINE_PAIR_BYTES. */
WEIR_API size_t weir_log_lane_footprint(void);
/* weir_log_lane_join - the calling thread's lines go by a lane in mem from now on, signed `from`.
 *
 * Owner:   keeps mem until weir_log_lane_leave(); copies from, cut at 31 bytes.
 * Errors:  WEIR_EILLEGAL where the thread has a lane, or WEIR_LOG_LANE_CNT_MAX are joined;
 *          WEIR_EINVAL where mem is not aligned.
 */
WEIR_API WEIR_MUST_USE int weir_log_lane_join(void *mem, const char *from);
/* weir_log_lane_leave - write what is in the calling thread's lane and give it up; NULL-safe. */
WEIR_API void weir_log_lane_leave(void);

/* weir_log_flush - write what is in the lanes now. Thread: any but a core; takes the writer's
 * lock. */
WEIR_API void weir_log_flush(void);

/* weir_log - say a line.
 *
 * Shape:   code is an enum weir_err of either sign, or 0 for none; fmt is a literal: its address is
 *          what the rate limit knows the place by. A line feed in the text is written as \n.
 * Thread:  any. With a lane: bounded, no system call, no allocation, no lock; not for hot paths.
 */
WEIR_API void weir_log(enum weir_log_level level, int code, const char *fmt, ...) WEIR_PRINTF(3, 4);

#endif
