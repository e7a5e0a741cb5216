/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: a function of one's own over the rows of a key, with state and timers, in event time
 * and in processing time.
 *
 *     struct visit { int64_t last; int64_t cnt; };           all bytes zero: a key not seen yet
 *
 *     WEIR_PROCESS_TIMED(session, click, struct visit, session_end)
 *     {
 *         if (state->cnt > 0) { weir_process_timer_delete(p, state->last + GAP, 0); }
 *         state->cnt++;
 *         state->last = in->at;
 *         return weir_process_timer_set(p, in->at + GAP, 0);
 *     }
 *     WEIR_ON_TIMER(session, struct visit)
 *     {
 *         if (!weir_out_room(p->out, 1, 0)) { return WEIR_AGAIN; }
 *         struct session_end *end = session_end_emit(p->out);
 *         end->user = weir_process_key(p, 0);
 *         end->clicks = state->cnt;
 *         weir_process_clear(p, state);
 *         return WEIR_DONE;
 *     }
 *
 * Both define session_process. WEIR_PROCESS is the same without timers. Further states of other
 * kinds (kind.h) are declared in an array, and used by weir_process_state(p, idx):
 *
 *     WEIR_PROCESS_KINDS(shop, click, struct visit, sale, shopper_kinds)
 *     WEIR_PROCESS_TIMED_KINDS(shop, click, struct visit, sale, shopper_kinds)
 *
 * A body sees p, state and, of a row, in and heap; of a timer, time and ns. It answers WEIR_DONE;
 * WEIR_AGAIN when the output has no room, before it has changed anything: the same row or timer
 * comes again; or an error.
 *
 * A timer fires when the watermark has reached its time, in order of time; one set for a time that
 * has passed fires with the next watermark. What a body emits has event time p->time: the row's, or
 * the timer's.
 *
 * Timers in processing time are set by weir_process_clock_set, for ms of UTC as
 * weir_process_now_ms counts them, and have a body of their own:
 *
 *     WEIR_PROCESS_CLOCKED(name, in, state, out) { ... }          and with event-time timers, too:
 *     WEIR_ON_CLOCK(name, state) { ... }                          WEIR_PROCESS_TIMED_CLOCKED
 *
 * One fires once its time has come on the host's clock, between two batches, whatever the watermark
 * is; p->time is WEIR_TIME_MIN then, for nobody has said what event time its rows have. They are in
 * checkpoints and savepoints as the others: one whose time passes meanwhile fires after a restore
 * at once. At the end of the input those that are left are dropped, as Flink drops them.
 *
 * Two inputs (weir_connect): the second one shares the state and the timers, or it is sent whole to
 * every subtask and changes what all of them know:
 *
 *     WEIR_PROCESS_SECOND(session, payment, struct visit)     defines session_second: rows of
 *     { ... }                                                 payment, keyed as clicks are
 *     WEIR_PROCESS_BROADCAST(session, rule)                   defines session_second: rows of rule
 *     {
 *         return weir_process_broadcast_put(p, &in->id, sizeof in->id, in, sizeof *in);
 *     }
 *
 * The body of a broadcast row has no key: no state, no timers. Its map from byte strings to byte
 * strings is read by all bodies with weir_process_broadcast_find and _at, and written by it alone.
 * Every subtask must come to the same map from the same rows, which come to each in another order
 * where several subtasks send them. Rows of the two inputs come in any order: who must know a rule
 * first keeps the row until it has come.
 *
 * Streams of changes: a function that knows kinds of rows is run by weir_process_changes, or by
 * weir_connect with `changes`; weir_process_kind and weir_process_tell are for its bodies.
 *
 *     enum weir_row_kind kind = weir_process_kind(p);
 *     state->cnt += weir_row_kind_retracts(kind) ? -1 : 1;
 *
 * Outputs: 0, and 1 aside (p->side), each of any schema.
 * State:   a table of the key's values, the timers (timer.h), and the map (broadcast.h).
 * Limits:  the state has at most WEIR_TABLE_VAL_BYTES_MAX bytes; what is longer goes into keys of
 *          its own. Source: Flink's KeyedProcessFunction, KeyedCoProcessFunction and
 *          KeyedBroadcastProcessFunction.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_PROCESS_H
#define WEIR_DATAPLANE_OPERATORS_PROCESS_H

#include "dataplane/key.h"
#include "dataplane/kind.h"
#include "dataplane/operator.h"

WEIR_C_BEGIN

/* As WEIR_TABLE_VAL_BYTES_MAX; asserted in process.c. */
#define WEIR_PROCESS_STATE_BYTES_MAX 256

/* What a body may use; one per operator. The fields are set before each call, others are
 * private. */
struct weir_process {
    struct weir_out *out;
    struct weir_out *side;
    int64_t time; /* event time of the row, WEIR_TIME_MIN where it has none; or the timer's */
    int64_t watermark; /* of the row's channel; or the one that fires the timer */
    int64_t timer_time; /* of the timer */
    uint64_t timer_ns;
    uint32_t row; /* the current row of the block, for the calls below */
    uint32_t view_off; /* of it in the selection of view, beyond row */
    const struct weir_view *view; /* NULL: a timer's body */
    const struct weir_process_function *function;
};

/* Rows [from, from + cnt) of the selection, with their states. Returns rows done, or an error. */
typedef int(weir_process_rows_fn)(struct weir_process *p, const struct weir_view *in, uint32_t from,
    uint32_t cnt, void *const *state);
/* Fires what is due, as weir_process_timer_next() gives it. */
typedef int(weir_process_timers_fn)(struct weir_process *p);

/* What the macros define. */
struct weir_process_function {
    const char *name;
    const struct weir_schema *(*in_schema)(void); /* NULL: whoever made the conf has looked */
    const struct weir_schema *(*out_schema)(void); /* NULL: likewise */
    /* 0: there is none; where the first declared one is a list without a time to live, its entries
     * are found with the block, and the pointers to states are not for the body. */
    uint32_t state_bytes;
    weir_process_rows_fn *rows;
    weir_process_timers_fn *timers; /* NULL: none */
    const struct weir_kind *kinds; /* [kind_cnt]: declared states */
    uint32_t kind_cnt;
    const struct weir_schema *(*state_schema)(void); /* NULL: savepoints hold the state's bytes */
    weir_process_timers_fn *clocks; /* in processing time; NULL: none */
};

/* What the macros of a second input define. */
struct weir_process_second {
    const struct weir_schema *(*in_schema)(void);
    weir_process_rows_fn *rows; /* broadcast: without states */
    bool is_broadcast;
};

struct weir_process_conf {
    struct weir_key key;
    const struct weir_process_function *function;
};

/* Of weir_connect_type. */
struct weir_connect_process_conf {
    struct weir_process_conf process;
    const struct weir_process_second *second;
    struct weir_key second_key; /* as many fields, of like types; none where it is broadcast */
};

/* weir_process_check, weir_connect_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int
weir_process_check(const struct weir_process_conf *conf, const struct weir_schema *in_schema);
WEIR_API WEIR_MUST_USE int weir_connect_check(const struct weir_connect_process_conf *conf,
    const struct weir_schema *in_schema, const struct weir_schema *second_schema);

extern WEIR_API const struct weir_operator_type weir_process_type;
/* The same with two inputs. */
extern WEIR_API const struct weir_operator_type weir_connect_type;

/* weir_process_type_as - the type of an operator that is such a function over rows of any schema,
 * under a name of its own (group.h, ranking.h ...). What it needs stands behind its function. */
static inline struct weir_operator_type
weir_process_type_as(const char *name, enum weir_changes changes)
{
    struct weir_operator_type type = weir_process_type;
    type.name = name;
    type.output_cnt = 1;
    type.changes = changes;
    return type;
}

/* weir_process_timer_set - a timer of the current key; ns tells several of one time apart. It
 * exists once. 0, or WEIR_EBUDGET. */
WEIR_API WEIR_MUST_USE int
weir_process_timer_set(struct weir_process *p, int64_t time, uint64_t ns);
/* weir_process_timer_delete - remove it; false when there is none. */
WEIR_API bool weir_process_timer_delete(struct weir_process *p, int64_t time, uint64_t ns);
/* weir_process_clock_set, weir_process_clock_delete - the same in processing time. */
WEIR_API WEIR_MUST_USE int
weir_process_clock_set(struct weir_process *p, int64_t time_ms, uint64_t ns);
WEIR_API bool weir_process_clock_delete(struct weir_process *p, int64_t time_ms, uint64_t ns);
/* weir_process_now_ms - processing time: ms of UTC, which never go back while the job runs. */
WEIR_API int64_t weir_process_now_ms(const struct weir_process *p);
/* weir_process_clear - forget the current key's state: it is all zero at once, and its entry
 * goes. */
WEIR_API void weir_process_clear(struct weir_process *p, void *state);
/* weir_process_state - declared state idx, at the current key; good until the body ends. */
WEIR_API struct weir_keyed_state *weir_process_state(struct weir_process *p, uint32_t idx);
/* weir_process_maps - declared state idx, maps of numbers (numbers.h), at cnt keys from the current
 * one on: struct weir_numbers[] each, touched, good until the call for rows ends.
 *
 * Returns: > 0 keys, cnt or fewer; or the error of the first.
 */
WEIR_API WEIR_MUST_USE int
weir_process_maps(struct weir_process *p, uint32_t idx, uint32_t cnt, void **ret_maps);
/* weir_process_numbers - what those maps have in common. */
struct weir_numbers_kind;
WEIR_API const struct weir_numbers_kind *
weir_process_numbers(const struct weir_process *p, uint32_t idx);
/* weir_process_list_ahead - for a function that works on blocks of rows: declared state idx, a list
 * without namespaces and a time to live, at the keys of cnt rows from the current one on, looked up
 * together. Returns rows that it is for, or an error. */
WEIR_API WEIR_MUST_USE int
weir_process_list_ahead(struct weir_process *p, uint32_t idx, uint32_t cnt);
/* weir_process_key - number part of the current key, for keys of one or two numbers. */
WEIR_API int64_t weir_process_key(const struct weir_process *p, uint32_t part);
/* weir_process_key_text - the current key, where it is one string; borrowed until the body ends. */
WEIR_API struct weir_slice weir_process_key_text(const struct weir_process *p);

/* weir_process_broadcast_find - what every subtask has under a key: 8-aligned, good until a row of
 * the broadcast input comes; NULL where there is nothing. */
WEIR_API const void *weir_process_broadcast_find(
    const struct weir_process *p, const void *key, uint32_t key_bytes, uint32_t *ret_bytes);
/* weir_process_broadcast_at - the entry at idx in the order of keys' bytes; false past the last. */
WEIR_API bool weir_process_broadcast_at(const struct weir_process *p, uint32_t idx,
    struct weir_slice *ret_key, struct weir_slice *ret_val);
/* weir_process_broadcast_put, weir_process_broadcast_delete - both are copied; *ret_found: it was
 * there. Errors: WEIR_EILLEGAL: not in the body of a broadcast row; WEIR_EBUDGET; WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_process_broadcast_put(struct weir_process *p, const void *key,
    uint32_t key_bytes, const void *val, uint32_t val_bytes);
WEIR_API WEIR_MUST_USE int weir_process_broadcast_delete(
    struct weir_process *p, const void *key, uint32_t key_bytes, bool *ret_found);

/* weir_process_kind - the kind of the row that a body has: an insert, but where the function takes
 * changes (weir_process_changes). A timer's body has none: an insert. */
static inline uint32_t
weir_process_kind(const struct weir_process *p)
{
    return p->view != NULL ? weir_view_kind(p->view, weir_view_row(p->view, p->view_off + p->row))
                           : (uint32_t)WEIR_ROW_INSERT;
}
/* weir_process_tell - rows that the body emits next into p->out are of this kind, inserts before:
 * of a function that makes changes. What it puts aside are inserts. */
static inline void
weir_process_tell(struct weir_process *p, enum weir_row_kind kind)
{
    p->out->row_kind = kind;
}

/* weir_process_room - what the operator's type has in self_bytes beyond those of the type that it
 * was made of: zeroed when the operator is opened, and no state. For operators that are such a
 * function. */
WEIR_API void *weir_process_room(struct weir_process *p);

/* For the loops that the macros make: the next due timer's state into *ret_state. 1; 0: none is
 * due; WEIR_AGAIN + 1 (2): a slice is over; or an error. */
WEIR_API int weir_process_timer_next(struct weir_process *p, void **ret_state);
WEIR_API void weir_process_timer_done(struct weir_process *p);

WEIR_C_END

#define WEIR_PROCESS_SLICE 2

#define WEIR_PROCESS_ROWS(name, in_type, state_type)                                            \
    WEIR_STATIC_ASSERT(                                                                         \
        sizeof(state_type) <= WEIR_PROCESS_STATE_BYTES_MAX, "the state is too large");          \
    static inline int name##_row(                                                               \
        struct weir_process *p, const struct in_type *in, const char *heap, state_type *state); \
    static int name##_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, \
        uint32_t cnt, void *const *state)                                                       \
    {                                                                                           \
        WEIR_PROCESS_LOOP(in_type, name##_row(p, in, view->heap, (state_type *)state[i]))       \
    }

/* Every row of a block goes through step_of, which sees p, in, view and i. */
#define WEIR_PROCESS_LOOP(in_type, step_of)                                                       \
    p->view = view;                                                                               \
    p->view_off = from - p->row;                                                                  \
    for (uint32_t i = 0; i < cnt; i++) {                                                          \
        struct in_type copy;                                                                      \
        const struct in_type *in = &copy;                                                         \
        uint32_t row = weir_view_row(view, from + i);                                             \
        if (view->stride != 0) {                                                                  \
            in = (const struct in_type *)(const void *)(view->rows + (size_t)view->stride * row); \
        } else {                                                                                  \
            in_type##_load(view->rows, view->cap, row, &copy);                                    \
        }                                                                                         \
        p->time = view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN;                 \
        p->out->row_time = p->time;                                                               \
        p->out->row_kind = WEIR_ROW_INSERT;                                                       \
        p->side->row_time = p->time;                                                              \
        int step = step_of;                                                                       \
        if (step != WEIR_DONE) {                                                                  \
            return step < 0 ? step : (int)i;                                                      \
        }                                                                                         \
        p->row++;                                                                                 \
    }                                                                                             \
    return (int)cnt;

/* WEIR_PROCESS_SECOND, WEIR_PROCESS_BROADCAST - see the top of this file. */
#define WEIR_PROCESS_SECOND(name, in_type, state_type)        \
    WEIR_PROCESS_ROWS(name##_second, in_type, state_type)     \
    static const struct weir_process_second name##_second = { \
        in_type##_schema, name##_second_rows, false};         \
    WEIR_PROCESS_ROW_HEAD(name##_second, in_type, state_type)
#define WEIR_PROCESS_BROADCAST(name, in_type)                                           \
    static inline int name##_second_row(                                                \
        struct weir_process *p, const struct in_type *in, const char *heap);            \
    static int name##_second_rows(struct weir_process *p, const struct weir_view *view, \
        uint32_t from, uint32_t cnt, void *const *state WEIR_UNUSED)                    \
    {                                                                                   \
        WEIR_PROCESS_LOOP(in_type, name##_second_row(p, in, view->heap))                \
    }                                                                                   \
    static const struct weir_process_second name##_second = {                           \
        in_type##_schema, name##_second_rows, true};                                    \
    static inline int name##_second_row(struct weir_process *p WEIR_UNUSED,             \
        const struct in_type *in WEIR_UNUSED, const char *heap WEIR_UNUSED)

#define WEIR_PROCESS_ROW_HEAD(name, in_type, state_type)             \
    static inline int name##_row(struct weir_process *p WEIR_UNUSED, \
        const struct in_type *in WEIR_UNUSED, const char *heap WEIR_UNUSED, state_type *state)

#define WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, ...)                              \
    static const struct weir_process_function name##_process = {                                   \
        #name, in_type##_schema, out_type##_schema, sizeof(state_type), name##_rows, __VA_ARGS__}; \
    WEIR_PROCESS_ROW_HEAD(name, in_type, state_type)

/* WEIR_PROCESS - see the top of this file. */
#define WEIR_PROCESS(name, in_type, state_type, out_type) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)          \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, NULL, NULL, 0, NULL, NULL)
/* WEIR_PROCESS_KINDS - the same with declared states, an array of struct weir_kind. */
#define WEIR_PROCESS_KINDS(name, in_type, state_type, out_type, kinds)    \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                          \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, NULL, kinds, \
        sizeof(kinds) / sizeof((kinds)[0]), NULL, NULL)

/* WEIR_PROCESS_TIMED - the same with timers; WEIR_ON_TIMER follows. */
#define WEIR_PROCESS_TIMED(name, in_type, state_type, out_type) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                \
    static int name##_timers(struct weir_process *p);           \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, name##_timers, NULL, 0, NULL, NULL)
#define WEIR_PROCESS_TIMED_KINDS(name, in_type, state_type, out_type, kinds)       \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                                   \
    static int name##_timers(struct weir_process *p);                              \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, name##_timers, kinds, \
        sizeof(kinds) / sizeof((kinds)[0]), NULL, NULL)

/* WEIR_PROCESS_NAMED, WEIR_PROCESS_NAMED_TIMED - the same of a state that WEIR_SCHEMA has declared,
 * whose name takes the place of its type: a savepoint knows its fields by their names, and the next
 * version of a job may have others. Strings of it lie inline: at most 12 bytes. */
#define WEIR_PROCESS_NAMED(name, in_type, state_name, out_type) \
    WEIR_PROCESS_ROWS(name, in_type, struct state_name)         \
    WEIR_PROCESS_DEFINE(                                        \
        name, in_type, struct state_name, out_type, NULL, NULL, 0, state_name##_schema, NULL)
#define WEIR_PROCESS_NAMED_TIMED(name, in_type, state_name, out_type)                       \
    WEIR_PROCESS_ROWS(name, in_type, struct state_name)                                     \
    static int name##_timers(struct weir_process *p);                                       \
    WEIR_PROCESS_DEFINE(name, in_type, struct state_name, out_type, name##_timers, NULL, 0, \
        state_name##_schema, NULL)

/* WEIR_PROCESS_CLOCKED - with timers in processing time; WEIR_ON_CLOCK follows, and where it is
 * TIMED, too, WEIR_ON_TIMER. The others as above: kinds may be declared, the state named. */
#define WEIR_PROCESS_CLOCKED(name, in_type, state_type, out_type) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                  \
    static int name##_clocks(struct weir_process *p);             \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, NULL, NULL, 0, NULL, name##_clocks)
#define WEIR_PROCESS_TIMED_CLOCKED(name, in_type, state_type, out_type) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                        \
    static int name##_timers(struct weir_process *p);                   \
    static int name##_clocks(struct weir_process *p);                   \
    WEIR_PROCESS_DEFINE(                                                \
        name, in_type, state_type, out_type, name##_timers, NULL, 0, NULL, name##_clocks)
#define WEIR_PROCESS_CLOCKED_KINDS(name, in_type, state_type, out_type, kinds) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                               \
    static int name##_clocks(struct weir_process *p);                          \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, NULL, kinds,      \
        sizeof(kinds) / sizeof((kinds)[0]), NULL, name##_clocks)
#define WEIR_PROCESS_TIMED_CLOCKED_KINDS(name, in_type, state_type, out_type, kinds) \
    WEIR_PROCESS_ROWS(name, in_type, state_type)                                     \
    static int name##_timers(struct weir_process *p);                                \
    static int name##_clocks(struct weir_process *p);                                \
    WEIR_PROCESS_DEFINE(name, in_type, state_type, out_type, name##_timers, kinds,   \
        sizeof(kinds) / sizeof((kinds)[0]), NULL, name##_clocks)
#define WEIR_PROCESS_NAMED_CLOCKED(name, in_type, state_name, out_type)            \
    WEIR_PROCESS_ROWS(name, in_type, struct state_name)                            \
    static int name##_clocks(struct weir_process *p);                              \
    WEIR_PROCESS_DEFINE(name, in_type, struct state_name, out_type, NULL, NULL, 0, \
        state_name##_schema, name##_clocks)
#define WEIR_PROCESS_NAMED_TIMED_CLOCKED(name, in_type, state_name, out_type)               \
    WEIR_PROCESS_ROWS(name, in_type, struct state_name)                                     \
    static int name##_timers(struct weir_process *p);                                       \
    static int name##_clocks(struct weir_process *p);                                       \
    WEIR_PROCESS_DEFINE(name, in_type, struct state_name, out_type, name##_timers, NULL, 0, \
        state_name##_schema, name##_clocks)

#define WEIR_ON_TIMER(name, state_type) WEIR_PROCESS_FIRES(name##_timer, name##_timers, state_type)
#define WEIR_ON_CLOCK(name, state_type) WEIR_PROCESS_FIRES(name##_clock, name##_clocks, state_type)

#define WEIR_PROCESS_FIRES(body, loop, state_type)                                                \
    static inline int body(struct weir_process *p, state_type *state, int64_t time, uint64_t ns); \
    static int loop(struct weir_process *p)                                                       \
    {                                                                                             \
        for (;;) {                                                                                \
            void *state;                                                                          \
            int got = weir_process_timer_next(p, &state);                                         \
            if (got != 1) {                                                                       \
                return got == WEIR_PROCESS_SLICE ? (int)WEIR_AGAIN : got;                         \
            }                                                                                     \
            int step = body(p, (state_type *)state, p->timer_time, p->timer_ns);                  \
            if (step != WEIR_DONE) {                                                              \
                return step;                                                                      \
            }                                                                                     \
            weir_process_timer_done(p);                                                           \
        }                                                                                         \
    }                                                                                             \
    static inline int body(struct weir_process *p WEIR_UNUSED, state_type *state,                 \
        int64_t time WEIR_UNUSED, uint64_t ns WEIR_UNUSED)

#endif
