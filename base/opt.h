/* SPDX-License-Identifier: Apache-2.0 */
/* opt.h: options described by one row each: a value's parser, printer, range, help and docs.
 *
 * A row says what a value may be; where values come from (flags, files, a job's parameters) is its
 * user's business. Text is taken strictly: a size or a time without its unit, a value out of range
 * or not a whole multiple are refused with a sentence that says what is wanted; nothing is clamped.
 *
 *     static const struct weir_opt opts[] = {
 *         {"window", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 3600 * WEIR_SEC_NS, "10s", "",
 *             "length of a window"},
 *         {"rate", WEIR_OPT_INT, WEIR_OPT_ANY, "events/s", 0, 1000000000, "0", "",
 *             "events a second, 0 for as fast as it goes"},
 *     };
 *
 * Forms: bool true, false · int -12 · real 0.25, 1e6 · size 4KiB, 1.5GiB (B KiB MiB GiB TiB)
 *        duration 250us, 1.5s (ns us ms s m h d) · choice one of its words · string anything.
 */
#ifndef WEIR_BASE_OPT_H
#define WEIR_BASE_OPT_H

#include <stdio.h>

#include "base/base.h"

WEIR_C_BEGIN

enum weir_opt_type {
    WEIR_OPT_BOOL,
    WEIR_OPT_INT,
    WEIR_OPT_REAL,
    WEIR_OPT_SIZE, /* number is bytes */
    WEIR_OPT_DURATION, /* number is nanoseconds */
    WEIR_OPT_CHOICE, /* number is the word's index */
    WEIR_OPT_STRING, /* least and most are its bytes */
    WEIR_OPT_TYPE_CNT,
};

enum weir_opt_rule {
    WEIR_OPT_ANY,
    WEIR_OPT_POW2, /* a power of two */
    WEIR_OPT_X64, /* a multiple of 64 */
    WEIR_OPT_RULE_CNT,
};

struct weir_opt {
    const char *name;
    enum weir_opt_type type;
    enum weir_opt_rule rule;
    const char *unit; /* of int and real, for people: "subtasks"; else "" */
    int64_t least; /* both included; in bytes and nanoseconds for size and duration */
    int64_t most;
    const char *def; /* as a user would write it; "" means not set */
    const char
        *words; /* a choice's values; for the others words taken in place of a value; "a b c" */
    const char *text; /* one sentence, with no full stop */
};

/* A parsed value. The text is borrowed from the caller of the parser. */
struct weir_opt_value {
    int64_t number; /* of bool, int, size, duration, choice; WEIR_OPT_WORD for a word */
    double real; /* of real, and of int for those who compute with it */
    int32_t word_idx; /* the word that was given, -1 for a value */
    const char *text;
};

/* The number of a word that stands in place of a value: auto, none. */
#define WEIR_OPT_WORD INT64_MIN
/* Longest reason that a parser gives: it quotes at most 64 bytes of what it was given. */
#define WEIR_OPT_WHY_BYTES 352
/* Longest text of a number: 20 digits, a fraction and a unit. */
#define WEIR_OPT_TEXT_BYTES 48

/* weir_opt_parse - take one value by its row.
 *
 * Shape:   text not NULL; ret_value is written only on success.
 * Returns: 0, or WEIR_ECONFIG with why saying what is wrong, to follow the option's name: "is 5,
 *          and a size needs its unit: 5KiB, for example". Pushes no context: the caller knows the
 *          place.
 */
WEIR_API WEIR_MUST_USE int weir_opt_parse(const struct weir_opt *opt, const char *text,
    struct weir_opt_value *ret_value, char why[WEIR_OPT_WHY_BYTES]);

/* weir_opt_take - weir_opt_parse for callers without a place: pushes "<name> <why>". */
WEIR_API WEIR_MUST_USE int
weir_opt_take(const struct weir_opt *opt, const char *text, struct weir_opt_value *ret_value);

/* weir_opt_number_text - a number as the parser would take it, in the largest unit that keeps it
 * whole.
 *
 * Shape:   bool, int, size, duration and choice. Returns: buf.
 */
WEIR_API const char *
weir_opt_number_text(const struct weir_opt *opt, int64_t number, char buf[WEIR_OPT_TEXT_BYTES]);

/* weir_opt_find - the row of a name, NULL where there is none. */
WEIR_API const struct weir_opt *
weir_opt_find(const struct weir_opt *opts, size_t opt_cnt, const char *name);

/* weir_opt_check - is a table sound: names given once, each default taken by its own row, a
 * sentence.
 *
 * Errors:  WEIR_ECONFIG, naming the row. For tables from outside: a job's parameters.
 */
WEIR_API WEIR_MUST_USE int weir_opt_check(const struct weir_opt *opts, size_t opt_cnt);

/* weir_opt_help - one entry a row: name, form, sentence, range, default. */
WEIR_API void weir_opt_help(FILE *to, const struct weir_opt *opts, size_t opt_cnt);

/* weir_opt_form - what a value looks like in help: "SIZE", "true|false", "spin|adaptive|sleep".
 *
 * Returns: buf, cut at its end.
 */
WEIR_API const char *weir_opt_form(const struct weir_opt *opt, char *buf, size_t buf_bytes);

/* weir_opt_range - the range as a person reads it: "1ms to 1d", "4KiB to 16MiB, a power of two".
 *
 * Returns: buf; empty where the row names no range.
 */
WEIR_API const char *weir_opt_range(const struct weir_opt *opt, char *buf, size_t buf_bytes);

/* Names longer than this are not compared: nobody mistypes them by one letter. */
#define WEIR_OPT_NEAREST_BYTES_MAX 64

/* weir_opt_nearest - the name that a mistyped word was perhaps meant to be.
 *
 * Returns: the first of the names with the fewest edits (a letter added, lost, changed, or two
 *          swapped; case counts half a letter), where these are at most a third of the word; a name
 *          that the word begins, of 3 letters or more, counts as one edit; NULL where none is near.
 */
WEIR_API const char *weir_opt_nearest(const char *word, const char *const *names, size_t name_cnt);

WEIR_C_END

#endif
