/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

/* Digits after the point: a nanosecond is nine below a second, and more cannot be exact. */
#define OPT_FRACTION_DIGIT_CNT_MAX 9
/* Words of one row that a suggestion looks at. */
#define OPT_WORD_CNT_MAX 32
#define OPT_WORD_BYTES_MAX 64

struct opt_unit {
    const char *name;
    int64_t factor;
};

static const struct opt_unit size_units[] = {
    {"B", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {NULL, 0},
};

static const struct opt_unit time_units[] = {
    {"ns", WEIR_NS},
    {"us", WEIR_US},
    {"ms", WEIR_MS},
    {"s", WEIR_SEC_NS},
    {"m", 60 * WEIR_SEC_NS},
    {"h", 3600 * WEIR_SEC_NS},
    {"d", 86400 * WEIR_SEC_NS},
    {NULL, 0},
};

static const struct opt_unit no_units[] = {{"", 1}, {NULL, 0}};

/* What the types differ in, for numbers and their messages. */
static const struct {
    const char *what; /* in "must be ..." */
    const char *form; /* in help */
    const char *sample_unit;
    const struct opt_unit *units;
} type_rows[WEIR_OPT_TYPE_CNT] = {
    [WEIR_OPT_BOOL] = {"true or false", "true|false", "", no_units},
    [WEIR_OPT_INT] = {"a whole number", "N", "", no_units},
    [WEIR_OPT_REAL] = {"a number", "X", "", no_units},
    [WEIR_OPT_SIZE] = {"a size like 64KiB or 1GiB", "SIZE", "KiB", size_units},
    [WEIR_OPT_DURATION] = {"a time like 250us or 10ms", "TIME", "ms", time_units},
    [WEIR_OPT_CHOICE] = {"", "", "", no_units},
    [WEIR_OPT_STRING] = {"a text", "TEXT", "", no_units},
};

/* ---- words ---- */

/* The idx-th of the words in "a b c", with its length; NULL past the end. */
static const char *
word_at(const char *words, uint32_t idx, size_t *ret_bytes)
{
    const char *at = words;
    for (uint32_t i = 0; *at != '\0'; i++) {
        size_t bytes = strcspn(at, " ");
        if (i == idx) {
            *ret_bytes = bytes;
            return at;
        }
        at += bytes + strspn(at + bytes, " ");
    }
    return NULL;
}

static int32_t
word_find(const char *words, const char *text)
{
    size_t bytes = 0;
    for (uint32_t i = 0;; i++) {
        const char *word = word_at(words, i, &bytes);
        if (word == NULL) {
            return -1;
        }
        if (strlen(text) == bytes && memcmp(word, text, bytes) == 0) {
            return (int32_t)i;
        }
    }
}

/* Writes " (did you mean X?)", or nothing. */
static void
suggest_word(const char *words, const char *text, char *buf, size_t buf_bytes)
{
    char copies[OPT_WORD_CNT_MAX][OPT_WORD_BYTES_MAX];
    const char *names[OPT_WORD_CNT_MAX];
    size_t cnt = 0;
    size_t bytes = 0;
    for (; cnt < OPT_WORD_CNT_MAX; cnt++) {
        const char *word = word_at(words, (uint32_t)cnt, &bytes);
        if (word == NULL) {
            break;
        }
        (void)snprintf(copies[cnt], sizeof copies[cnt], "%.*s", (int)bytes, word);
        names[cnt] = copies[cnt];
    }
    const char *near = weir_opt_nearest(text, names, cnt);
    (void)snprintf(buf, buf_bytes, "%s%s%s", near ? " (did you mean " : "", near ? near : "",
        near ? "?)" : "");
}

/* ---- nearest name ---- */

static uint32_t
min3(uint32_t a, uint32_t b, uint32_t c)
{
    return weir_min_u32(a, weir_min_u32(b, c));
}

/* Optimal string alignment in half edits: three rows of the table suffice for a swap. */
static uint32_t
half_edits(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    uint32_t rows[3][WEIR_OPT_NEAREST_BYTES_MAX + 1];
    for (uint32_t j = 0; j <= b_bytes; j++) {
        rows[0][j] = 2 * j;
    }
    for (uint32_t i = 1; i <= a_bytes; i++) {
        uint32_t *now = rows[i % 3];
        const uint32_t *last = rows[(i - 1) % 3];
        const uint32_t *before = rows[(i + 1) % 3];
        now[0] = 2 * i;
        for (uint32_t j = 1; j <= b_bytes; j++) {
            bool is_case = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            uint32_t change = a[i - 1] == b[j - 1] ? 0 : is_case ? 1 : 2;
            now[j] = min3(last[j] + 2, now[j - 1] + 2, last[j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = weir_min_u32(now[j], before[j - 2] + 2);
            }
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *
weir_opt_nearest(const char *word, const char *const *names, size_t name_cnt)
{
    size_t word_bytes = strlen(word);
    const char *best = NULL;
    /* A third of the letters, in half edits; one whole edit is always allowed from two letters
     * on. */
    uint32_t best_halves = (uint32_t)weir_max_u64(2 * word_bytes / 3, 2) + 1;
    if (word_bytes < 2 || word_bytes > WEIR_OPT_NEAREST_BYTES_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < name_cnt; i++) {
        size_t name_bytes = strlen(names[i]);
        if (name_bytes > WEIR_OPT_NEAREST_BYTES_MAX) {
            continue;
        }
        uint32_t halves = half_edits(word, word_bytes, names[i], name_bytes);
        if (word_bytes >= 3 && strncmp(word, names[i], word_bytes) == 0) {
            halves = weir_min_u32(halves, 2);
        }
        if (halves < best_halves) {
            best_halves = halves;
            best = names[i];
        }
    }
    return best;
}

/* ---- parsing ---- */

/* A number with an optional fraction: whole and fraction / scale. */
struct opt_digits {
    int64_t whole;
    int64_t fraction;
    int64_t scale;
    size_t used; /* bytes; 0: no number here */
    bool is_negative;
    bool is_over;
};

static void
read_digits(const char *text, struct opt_digits *ret)
{
    *ret = (struct opt_digits){.scale = 1};
    size_t at = text[0] == '-' ? 1 : 0;
    size_t first = at;
    ret->is_negative = at > 0;
    for (; isdigit((unsigned char)text[at]); at++) {
        ret->is_over |= __builtin_mul_overflow(ret->whole, 10, &ret->whole);
        ret->is_over |= __builtin_add_overflow(ret->whole, text[at] - '0', &ret->whole);
    }
    if (at == first) {
        return;
    }
    if (text[at] == '.' && isdigit((unsigned char)text[at + 1])) {
        at++;
        for (int i = 0; isdigit((unsigned char)text[at]) && i < OPT_FRACTION_DIGIT_CNT_MAX; i++) {
            ret->fraction = ret->fraction * 10 + (text[at++] - '0');
            ret->scale *= 10;
        }
    }
    ret->used = at;
}

static const char *
range_words(const struct weir_opt *opt, char *buf, size_t buf_bytes)
{
    char least[WEIR_OPT_TEXT_BYTES];
    char most[WEIR_OPT_TEXT_BYTES];
    (void)snprintf(buf, buf_bytes, "from %s to %s%s%s",
        weir_opt_number_text(opt, opt->least, least), weir_opt_number_text(opt, opt->most, most),
        opt->unit[0] != '\0' ? " " : "", opt->unit);
    return buf;
}

static int
in_range(const struct weir_opt *opt, const char *text, bool is_over, double value, char *why)
{
    char range[160];
    if (is_over || value < (double)opt->least || value > (double)opt->most) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES, "is %.64s, and must be %s", text,
            range_words(opt, range, sizeof range));
        return WEIR_ECONFIG;
    }
    return 0;
}

static int
obeys_rule(const struct weir_opt *opt, const char *text, int64_t number, char *why)
{
    static const char *const wanted[WEIR_OPT_RULE_CNT] = {
        [WEIR_OPT_POW2] = "a power of two", [WEIR_OPT_X64] = "a multiple of 64"};
    bool is_good = opt->rule == WEIR_OPT_POW2  ? weir_is_pow2((uint64_t)number)
                   : opt->rule == WEIR_OPT_X64 ? number % 64 == 0
                                               : true;
    if (!is_good) {
        (void)snprintf(
            why, WEIR_OPT_WHY_BYTES, "is %.64s, and must be %s", text, wanted[opt->rule]);
        return WEIR_ECONFIG;
    }
    return 0;
}

static int
not_a(const struct weir_opt *opt, const char *text, char *why)
{
    char near[96];
    suggest_word(opt->words, text, near, sizeof near);
    (void)snprintf(why, WEIR_OPT_WHY_BYTES, "is '%.64s', and must be %s%s%.128s%s", text,
        type_rows[opt->type].what,
        opt->words[0] == '\0'          ? ""
        : opt->type == WEIR_OPT_CHOICE ? "one of: "
                                       : ", or one of: ",
        opt->words, near);
    return WEIR_ECONFIG;
}

/* The unit that begins most like text, "KB" as KiB and "sec" as s; the shorter of two alike. */
static const char *
nearest_unit(const struct opt_unit *units, const char *text)
{
    const char *best = NULL;
    size_t best_like = 0;
    for (size_t i = 0; units[i].name != NULL; i++) {
        const char *name = units[i].name;
        size_t like = 0;
        while (name[like] != '\0' &&
               tolower((unsigned char)name[like]) == tolower((unsigned char)text[like])) {
            like++;
        }
        bool is_shorter = best != NULL && like == best_like && strlen(name) < strlen(best);
        if (like > best_like || (like > 0 && is_shorter)) {
            best_like = like;
            best = name;
        }
    }
    return best;
}

/* The unit at the end of a number; says what is wrong with a missing or unknown one. */
static int
read_unit(const struct weir_opt *opt, const char *text, size_t used, int64_t *ret_factor, char *why)
{
    const struct opt_unit *units = type_rows[opt->type].units;
    const char *unit_text = text + used;
    for (size_t i = 0; units[i].name != NULL; i++) {
        if (strcmp(units[i].name, unit_text) == 0) {
            *ret_factor = units[i].factor;
            return 0;
        }
    }
    if (units != no_units && *unit_text == '\0') {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES,
            "is %.64s, and a %s needs its unit: %.32s%s, for example", text,
            opt->type == WEIR_OPT_SIZE ? "size" : "time", text, type_rows[opt->type].sample_unit);
        return WEIR_ECONFIG;
    }
    const char *near = nearest_unit(units, unit_text + strspn(unit_text, " "));
    if (near != NULL) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES,
            "is '%.64s', whose unit is not known (did you mean %.*s%s?)", text,
            (int)weir_min_u64(used, 32), text, near);
        return WEIR_ECONFIG;
    }
    return not_a(opt, text, why);
}

static int
parse_number(const struct weir_opt *opt, const char *text, struct weir_opt_value *ret, char *why)
{
    struct opt_digits digits;
    int64_t factor = 1;
    int64_t number = 0;
    read_digits(text, &digits);
    if (digits.used == 0) {
        return not_a(opt, text, why);
    }
    int err = read_unit(opt, text, digits.used, &factor, why);
    if (err != 0) {
        return err;
    }
    /* fraction < 10^9 and factor < 2^47: their product may pass 2^63. */
    weir_u128 part = (weir_u128)digits.fraction * (uint64_t)factor;
    bool is_over = digits.is_over | __builtin_mul_overflow(digits.whole, factor, &number);
    if (!is_over && part % (uint64_t)digits.scale != 0) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES, "is %.64s, and must be a whole number of %s", text,
            opt->type == WEIR_OPT_SIZE       ? "bytes"
            : opt->type == WEIR_OPT_DURATION ? "nanoseconds"
            : opt->unit[0] != '\0'           ? opt->unit
                                             : "units");
        return WEIR_ECONFIG;
    }
    is_over |= __builtin_add_overflow(number, (int64_t)(part / (uint64_t)digits.scale), &number);
    number = digits.is_negative ? -number : number;
    is_over |= number < opt->least || number > opt->most;
    err = in_range(opt, text, is_over, (double)opt->least, why);
    if (err == 0) {
        err = obeys_rule(opt, text, number, why);
    }
    if (err == 0) {
        ret->number = number;
        ret->real = (double)number;
    }
    return err;
}

static int
parse_real(const struct weir_opt *opt, const char *text, struct weir_opt_value *ret, char *why)
{
    /* strtod also takes blanks, hexadecimal, inf and nan; we do not. */
    bool is_plain = text[0] != '\0' && text[strspn(text, "0123456789+-.eE")] == '\0';
    char *end = NULL;
    double real = is_plain ? strtod(text, &end) : 0.0;
    if (!is_plain || *end != '\0') {
        return not_a(opt, text, why);
    }
    int err = in_range(opt, text, !isfinite(real), real, why);
    if (err == 0) {
        ret->real = real;
        ret->number = (int64_t)weir_max_i64(opt->least, weir_min_i64(opt->most, (int64_t)real));
    }
    return err;
}

static int
parse_string(const struct weir_opt *opt, const char *text, char *why)
{
    size_t bytes = strlen(text);
    if ((int64_t)bytes < opt->least || (int64_t)bytes > opt->most) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES, "is '%.64s', and must have %lld to %lld bytes",
            text, (long long)opt->least, (long long)opt->most);
        return WEIR_ECONFIG;
    }
    return 0;
}

int
weir_opt_parse(const struct weir_opt *opt, const char *text, struct weir_opt_value *ret_value,
    char why[WEIR_OPT_WHY_BYTES])
{
    struct weir_opt_value value = {.word_idx = word_find(opt->words, text), .text = text};
    int err = 0;
    if (value.word_idx >= 0) {
        value.number = opt->type == WEIR_OPT_CHOICE ? value.word_idx : WEIR_OPT_WORD;
        *ret_value = value;
        return 0;
    }
    switch (opt->type) {
    case WEIR_OPT_BOOL:
        value.number = strcmp(text, "true") == 0;
        err = value.number == 1 || strcmp(text, "false") == 0 ? 0 : not_a(opt, text, why);
        break;
    case WEIR_OPT_INT:
    case WEIR_OPT_SIZE:
    case WEIR_OPT_DURATION:
        err = parse_number(opt, text, &value, why);
        break;
    case WEIR_OPT_REAL:
        err = parse_real(opt, text, &value, why);
        break;
    case WEIR_OPT_CHOICE:
        err = not_a(opt, text, why);
        break;
    case WEIR_OPT_STRING:
        err = parse_string(opt, text, why);
        break;
    case WEIR_OPT_TYPE_CNT:
    default:
        WEIR_CHECK(false, "option %s of type %d", opt->name, (int)opt->type);
    }
    if (err == 0) {
        *ret_value = value;
    }
    return err;
}

int
weir_opt_take(const struct weir_opt *opt, const char *text, struct weir_opt_value *ret_value)
{
    char why[WEIR_OPT_WHY_BYTES];
    int err = weir_opt_parse(opt, text, ret_value, why);
    return err == 0 ? 0 : weir_err_push(err, "%s %s", opt->name, why);
}

/* ---- printing ---- */

const char *
weir_opt_number_text(const struct weir_opt *opt, int64_t number, char buf[WEIR_OPT_TEXT_BYTES])
{
    const struct opt_unit *units = type_rows[opt->type].units;
    size_t best = 0;
    size_t word_bytes = 0;
    if (opt->type == WEIR_OPT_BOOL) {
        (void)snprintf(buf, WEIR_OPT_TEXT_BYTES, "%s", number != 0 ? "true" : "false");
        return buf;
    }
    if (opt->type == WEIR_OPT_CHOICE) {
        const char *word = word_at(opt->words, (uint32_t)number, &word_bytes);
        WEIR_CHECK(word != NULL, "option %s has no word %lld", opt->name, (long long)number);
        (void)snprintf(buf, WEIR_OPT_TEXT_BYTES, "%.*s", (int)word_bytes, word);
        return buf;
    }
    for (size_t i = 1; number != 0 && units[i - 1].name != NULL && units[i].name != NULL; i++) {
        best = number % units[i].factor == 0 ? i : best;
    }
    (void)snprintf(buf, WEIR_OPT_TEXT_BYTES, "%lld%s", (long long)(number / units[best].factor),
        units[best].name);
    return buf;
}

const struct weir_opt *
weir_opt_find(const struct weir_opt *opts, size_t opt_cnt, const char *name)
{
    for (size_t i = 0; i < opt_cnt; i++) {
        if (strcmp(opts[i].name, name) == 0) {
            return &opts[i];
        }
    }
    return NULL;
}

int
weir_opt_check(const struct weir_opt *opts, size_t opt_cnt)
{
    for (size_t i = 0; i < opt_cnt; i++) {
        const struct weir_opt *opt = &opts[i];
        struct weir_opt_value value;
        if (opt->name == NULL || opt->unit == NULL || opt->def == NULL || opt->words == NULL ||
            opt->text == NULL || opt->type >= WEIR_OPT_TYPE_CNT || opt->rule >= WEIR_OPT_RULE_CNT) {
            return weir_err_push(WEIR_ECONFIG, "option %zu of its table is not filled in", i);
        }
        if (opt->name[0] == '\0' || opt->text[0] == '\0' || opt->least > opt->most) {
            return weir_err_push(WEIR_ECONFIG,
                "option %zu '%.64s' lacks a name, a sentence or a range", i, opt->name);
        }
        if (weir_opt_find(opts, i, opt->name) != NULL) {
            return weir_err_push(WEIR_ECONFIG, "option %.64s is declared twice", opt->name);
        }
        if (opt->type == WEIR_OPT_CHOICE && opt->words[0] == '\0') {
            return weir_err_push(
                WEIR_ECONFIG, "option %.64s has nothing to choose from", opt->name);
        }
        if (opt->def[0] != '\0' && weir_opt_take(opt, opt->def, &value) != 0) {
            return weir_err_push(WEIR_ECONFIG, "the default of %.64s is refused", opt->name);
        }
    }
    return 0;
}

const char *
weir_opt_form(const struct weir_opt *opt, char *buf, size_t buf_bytes)
{
    const char *form = type_rows[opt->type].form;
    (void)snprintf(buf, buf_bytes, "%s%s%s", form, *form != '\0' && *opt->words != '\0' ? "|" : "",
        opt->words);
    for (char *at = buf; *at != '\0'; at++) {
        *at = *at == ' ' ? '|' : *at;
    }
    return buf;
}

const char *
weir_opt_range(const struct weir_opt *opt, char *buf, size_t buf_bytes)
{
    static const char *const rules[WEIR_OPT_RULE_CNT] = {
        "", ", a power of two", ", a multiple of 64"};
    char least[WEIR_OPT_TEXT_BYTES];
    char most[WEIR_OPT_TEXT_BYTES];
    bool has_range = opt->type == WEIR_OPT_INT || opt->type == WEIR_OPT_REAL ||
                     opt->type == WEIR_OPT_SIZE || opt->type == WEIR_OPT_DURATION;
    if (buf_bytes > 0) {
        buf[0] = '\0';
    }
    if (has_range) {
        (void)snprintf(buf, buf_bytes, "%s to %s%s%s%s",
            weir_opt_number_text(opt, opt->least, least),
            weir_opt_number_text(opt, opt->most, most), opt->unit[0] != '\0' ? " " : "", opt->unit,
            rules[opt->rule]);
    }
    return buf;
}

void
weir_opt_help(FILE *to, const struct weir_opt *opts, size_t opt_cnt)
{
    char form[160];
    char range[160];
    for (size_t i = 0; i < opt_cnt; i++) {
        const struct weir_opt *opt = &opts[i];
        (void)weir_opt_form(opt, form, sizeof form);
        (void)weir_opt_range(opt, range, sizeof range);
        (void)fprintf(to, "  %s=%s\n      %s\n", opt->name, form, opt->text);
        if (range[0] != '\0') {
            (void)fprintf(to, "      %s; ", range);
        } else {
            (void)fputs("      ", to);
        }
        (void)fprintf(
            to, "%s%s\n", opt->def[0] != '\0' ? "default " : "not set by default", opt->def);
    }
}
