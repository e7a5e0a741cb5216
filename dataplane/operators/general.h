/* SPDX-License-Identifier: Apache-2.0 */
/* general.h: windows of each key for themselves: sessions, triggers, late rows that fire again.
 *
 *     WEIR_SESSIONS(10 * WEIR_S)                 rows of a key at most 10 s apart; they merge
 *     WEIR_TUMBLES(size) WEIR_SLIDES(size, by)   as WEIR_TUMBLE and WEIR_SLIDE of window.h
 *     WEIR_CUMULATES(max, step)                  [0 1 step) [0 2 steps) ... [0 max)
 *     WEIR_GLOBAL                                one window for ever: wants a trigger
 *
 * by_clock: a row belongs to the time at which it is here (host time, UTC) in the place of its
 * event time; no row is late then. What is open when the input ends fires at its end.
 *
 * A window is the rows of one key in it. Its trigger says when it fires, which is one row out (or
 * what a function makes of it); a trigger that purges empties it then, else it goes on counting.
 * It is kept until the watermark passes its last millisecond and the allowed lateness: a row that
 * comes in between is added and makes it fire again at once. What comes later leaves by output 1.
 * A session is found by its rows: one that comes when its session is gone begins another, if that
 * is not over already.
 *
 * What is kept of the rows: an aggregate; the rows themselves only where an evictor or a function
 * wants them. Output rows are filled as window.h says, or by the function.
 *
 * Outputs: 0 fired rows, 1 late rows (the input's schema). Watermarks: passed on after the firing.
 * Limits:  an accumulator of WEIR_GENERAL_ACC_BYTES_MAX; a row is in WEIR_GENERAL_WINDOW_CNT_MAX
 *          windows at most; a kept row with its texts has WEIR_KIND_BYTES_MAX - 16 bytes at most.
 *          Aligned windows that fire once are many times cheaper in window.h.
 * Source:  Flink's WindowOperator and EvictingWindowOperator, and what belongs to them. There a
 *          session moves its timer with each row; here the timer that fires too early moves on.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_GENERAL_H
#define WEIR_DATAPLANE_OPERATORS_GENERAL_H

#include "dataplane/aggregate.h"
#include "dataplane/key.h"
#include "dataplane/kind.h"
#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_GENERAL_ACC_BYTES_MAX 192
#define WEIR_GENERAL_WINDOW_CNT_MAX 256

/* ---- which windows there are ---- */

enum weir_general_kind {
    WEIR_GENERAL_ALIGNED, /* tumbling, sliding */
    WEIR_GENERAL_CUMULATING,
    WEIR_GENERAL_SESSIONS,
    WEIR_GENERAL_GLOBAL,
    WEIR_GENERAL_KIND_CNT
};

struct weir_general_span {
    uint32_t kind; /* enum weir_general_kind */
    bool by_clock;
    int64_t size_ms; /* SESSIONS: the gap */
    int64_t slide_ms; /* CUMULATING: the step */
    int64_t offset_ms; /* ALIGNED, CUMULATING: windows begin at offset_ms + k * slide_ms */
};

static inline struct weir_general_span
weir_general_span_of(enum weir_general_kind kind, int64_t size_ms, int64_t slide_ms, bool by_clock)
{
    struct weir_general_span span;
    span.kind = (uint32_t)kind;
    span.by_clock = by_clock;
    span.size_ms = size_ms;
    span.slide_ms = slide_ms;
    span.offset_ms = 0;
    return span;
}
#define WEIR_TUMBLES(size_ms) weir_general_span_of(WEIR_GENERAL_ALIGNED, size_ms, size_ms, false)
#define WEIR_SLIDES(size_ms, slide_ms) \
    weir_general_span_of(WEIR_GENERAL_ALIGNED, size_ms, slide_ms, false)
#define WEIR_CUMULATES(max_ms, step_ms) \
    weir_general_span_of(WEIR_GENERAL_CUMULATING, max_ms, step_ms, false)
#define WEIR_SESSIONS(gap_ms) weir_general_span_of(WEIR_GENERAL_SESSIONS, gap_ms, gap_ms, false)
#define WEIR_GLOBAL weir_general_span_of(WEIR_GENERAL_GLOBAL, 0, 0, false)
#define WEIR_TUMBLES_BY_CLOCK(size_ms) \
    weir_general_span_of(WEIR_GENERAL_ALIGNED, size_ms, size_ms, true)
#define WEIR_SLIDES_BY_CLOCK(size_ms, slide_ms) \
    weir_general_span_of(WEIR_GENERAL_ALIGNED, size_ms, slide_ms, true)
#define WEIR_SESSIONS_BY_CLOCK(gap_ms) \
    weir_general_span_of(WEIR_GENERAL_SESSIONS, gap_ms, gap_ms, true)

/* ---- when they fire ---- */

enum weir_trigger_kind {
    WEIR_TRIGGER_AT_END, /* at the end of the window; of a global one, at the end of the input */
    WEIR_TRIGGER_NEVER,
    WEIR_TRIGGER_COUNT, /* every `every` rows */
    /* At multiples of `every` ms of event time from the first row on, and at the end. */
    WEIR_TRIGGER_CONTINUOUS,
    WEIR_TRIGGER_CONTINUOUS_BY_CLOCK, /* the same of host time, and not at the end */
    WEIR_TRIGGER_DELTA, /* when `field` is more than `every` away from what it was at the last */
    WEIR_TRIGGER_OWN,
    WEIR_TRIGGER_KIND_CNT
};

/* What a trigger's function may say: both together, or 0 to go on. Negative: an error. */
#define WEIR_TRIGGER_FIRE 1
#define WEIR_TRIGGER_PURGE 2

/* What a trigger of one's own sees, of one window of one key. */
struct weir_trigger_call {
    int64_t start;
    int64_t end; /* excluded */
    int64_t time; /* of the row, or of the timer */
    int64_t watermark;
    int64_t now_ms; /* host time, UTC */
    uint64_t row_cnt; /* in the window, the row included */
    const void *row; /* on_row: as the input's struct */
    const char *heap; /* of its strings */
    int64_t *word; /* two words of state, zero at first, kept and restored; merged: see on_merge */
};
/* Timers of the window: each exists once; they are deleted when the window goes. */
WEIR_API WEIR_MUST_USE int weir_trigger_timer_set(struct weir_trigger_call *call, int64_t time);
WEIR_API void weir_trigger_timer_delete(struct weir_trigger_call *call, int64_t time);
WEIR_API WEIR_MUST_USE int weir_trigger_clock_set(struct weir_trigger_call *call, int64_t time);
WEIR_API void weir_trigger_clock_delete(struct weir_trigger_call *call, int64_t time);

/* A trigger of one's own: called once a row, so it is slower than the others. */
struct weir_trigger_function {
    const char *name;
    int (*on_row)(struct weir_trigger_call *call);
    int (*on_time)(struct weir_trigger_call *call); /* of event time; NULL: go on */
    int (*on_clock)(struct weir_trigger_call *call); /* of host time; NULL: go on */
    /* Sessions: a window that merges into this one had these words; its timers are gone. Sets what
     * timers the merged one needs. NULL: sessions are refused. */
    int (*on_merge)(struct weir_trigger_call *call, const int64_t *word);
    /* The window goes: delete the timers that it may have. NULL: it has none. */
    void (*clear)(struct weir_trigger_call *call);
};

struct weir_trigger {
    uint32_t kind; /* enum weir_trigger_kind */
    bool purges; /* whatever fires is emptied */
    int64_t every;
    const char *field; /* DELTA: a whole number of the input */
    const struct weir_trigger_function *own;
};
#define WEIR_AT_END                                          \
    {                                                        \
        (uint32_t) WEIR_TRIGGER_AT_END, false, 0, NULL, NULL \
    }
#define WEIR_EVERY_ROWS(cnt)                                  \
    {                                                         \
        (uint32_t) WEIR_TRIGGER_COUNT, false, cnt, NULL, NULL \
    }

/* ---- what is left out of a firing ---- */

enum weir_evictor_kind {
    WEIR_EVICTOR_NONE,
    WEIR_EVICTOR_COUNT, /* all but the last `keep` rows */
    WEIR_EVICTOR_TIME, /* rows `keep` ms or more behind the latest row */
    WEIR_EVICTOR_DELTA, /* rows whose `field` is `keep` or more away from the last row's */
    WEIR_EVICTOR_KIND_CNT
};

/* What is evicted is gone for good. */
struct weir_evictor {
    uint32_t kind; /* enum weir_evictor_kind */
    bool after; /* behind the firing, not before it */
    int64_t keep;
    const char *field; /* DELTA: a whole number of the input */
};

/* ---- what comes of a firing ---- */

/* A window that fires, as a function sees it. The fields are set before each call. */
struct weir_window_call {
    struct weir_out *out;
    int64_t start;
    int64_t end; /* excluded */
    int64_t watermark;
    int64_t now_ms;
    uint64_t row_cnt;
    const void *acc; /* the aggregate's accumulator; NULL where there is no aggregate */
    uint64_t at; /* 0 at first; the function's own while it answers WEIR_AGAIN */
};

/* Answers WEIR_DONE; WEIR_AGAIN when the output has no room, and is then called again with `at` as
 * it left it; or an error. What it emits has the window's last millisecond for event time. */
typedef int(weir_window_call_fn)(struct weir_window_call *call);

struct weir_window_function {
    const char *name;
    const struct weir_schema *(*out_schema)(void);
    weir_window_call_fn *call;
    bool wants_rows; /* it walks over them */
    const struct weir_kind *kinds; /* [kind_cnt]: states of the key, for all of its windows */
    uint32_t kind_cnt;
};

/* weir_window_call_key - number part of the key, for keys of one or two numbers; _text where it is
 * one string, borrowed until the function ends. */
WEIR_API int64_t weir_window_call_key(const struct weir_window_call *call, uint32_t part);
WEIR_API struct weir_slice weir_window_call_key_text(const struct weir_window_call *call);
/* weir_window_call_state - declared state idx, at the key. */
WEIR_API struct weir_keyed_state *
weir_window_call_state(struct weir_window_call *call, uint32_t idx);
/* weir_window_call_rows, weir_window_call_row - a walk over the kept rows in order: the next one as
 * the input's struct, NULL at the end; borrowed until the next call of any of these. */
struct weir_window_walk {
    struct weir_kind_cursor cursor;
    int64_t time; /* of the row: its event time, or with by_clock that of its coming */
    const char *heap; /* of its strings */
};
WEIR_API void weir_window_call_rows(struct weir_window_call *call, struct weir_window_walk *walk);
WEIR_API const void *weir_window_call_row(struct weir_window_walk *walk);

/* ---- all of it ---- */

struct weir_general_conf {
    struct weir_key key;
    const char *key_as[WEIR_KEY_FIELD_CNT_MAX]; /* names in the output, NULL: as in the input */
    struct weir_general_span span;
    struct weir_trigger trigger;
    struct weir_evictor evictor;
    int64_t lateness_ms;
    struct weir_aggregate aggregate; /* name NULL: none, with a function that wants rows */
    const struct weir_window_function *function; /* NULL: a row of the result */
};

/* weir_general_check - what open would refuse, before the job runs. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_general_check(const struct weir_general_conf *conf,
    const struct weir_schema *in_schema, const struct weir_schema *out_schema);

extern WEIR_API const struct weir_operator_type weir_general_type;

WEIR_C_END

#endif
