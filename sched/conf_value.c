/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.c: what the text of a value may look like beyond what base/opt.h knows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sched/conf.h"

static bool
name_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

static bool
parse_names(const char *text, bool list, char why[WEIR_OPT_WHY_BYTES])
{
    bool good = true;
    bool name_open = false;
    for (const char *at = text; *at != '\0'; at++) {
        bool comma = list && *at == ',';
        good = good && (comma ? name_open : name_char(*at));
        name_open = !comma;
    }
    if (!good || (!name_open && text[0] != '\0')) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES,
            "is '%.64s', and must be %s of letters, digits, . _ -%s", text,
            list ? "names" : "a name", list ? ", with commas between" : "");
        return false;
    }
    return true;
}

/* The bytes of N, N-M or N-M:USED/STRIDE at the front of text, as Linux writes CPU lists; 0: none.
 */
static size_t
range_bytes(const char *text)
{
    static const char before[] = "-:/"; /* what leads the second, third and fourth number */
    size_t used = strspn(text, "0123456789");
    size_t part = 0;
    while (used > 0 && part < 3 && text[used] == before[part]) {
        size_t digit_cnt = strspn(text + used + 1, "0123456789");
        used = digit_cnt > 0 ? used + 1 + digit_cnt : 0;
        part++;
    }
    return part == 2 ? 0 : used;
}

static size_t
device_bytes(const char *text)
{
    size_t used = 0;
    while (name_char(text[used])) {
        used++;
    }
    return used;
}

/* The bytes of a prefix that names a group of CPUs, 0: none. */
static size_t
group_bytes(const char *text)
{
    static const char *const groups[] = {"numa:", "l3:", "die:", "socket:"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(groups); i++) {
        if (strncmp(text, groups[i], strlen(groups[i])) == 0) {
            return strlen(groups[i]);
        }
    }
    return 0;
}

/* The form of each part; whether such a core exists is for the planner to say. */
static bool
parse_cores(const char *text, char why[WEIR_OPT_WHY_BYTES])
{
    static const char nic[] = "near:nic:";
    bool good = text[0] != '\0';
    for (const char *at = text; good && *at != '\0';) {
        size_t part;
        size_t group = group_bytes(at);
        if (strncmp(at, nic, sizeof nic - 1) == 0) {
            at += sizeof nic - 1;
            part = device_bytes(at);
        } else if (strncmp(at, "auto", 4) == 0) {
            part = 4;
        } else {
            at += group;
            part = range_bytes(at);
            part += part > 0 && at[part] == 'h' ? 1 : 0;
        }
        at += part;
        good = part > 0 && (*at == '\0' || (*at == ',' && at[1] != '\0'));
        at += *at == ',' ? 1 : 0;
    }
    if (!good) {
        (void)snprintf(why, WEIR_OPT_WHY_BYTES,
            "is '%.64s', and must be auto, or parts like 2-9, 2-9h, numa:1, l3:0, near:nic:eth0 "
            "with "
            "commas between",
            text);
    }
    return good;
}

static bool
parse_seed(const char *text, int64_t *ret_seed, char why[WEIR_OPT_WHY_BYTES])
{
    static const struct weir_opt seed = {.name = "seed",
        .type = WEIR_OPT_INT,
        .unit = "",
        .least = 0,
        .most = INT64_MAX,
        .def = "",
        .words = "",
        .text = "seed"};
    struct weir_opt_value value;
    if (strncmp(text, "seed:", 5) == 0 && weir_opt_parse(&seed, text + 5, &value, why) == 0) {
        *ret_seed = value.number;
        return true;
    }
    (void)snprintf(why, WEIR_OPT_WHY_BYTES, "is '%.64s', and must be threads or seed:N", text);
    return false;
}

int
weir_conf_parse(const struct weir_conf_row *row, const char *text, int64_t *ret_number,
    char why[WEIR_OPT_WHY_BYTES])
{
    struct weir_opt_value value;
    bool good = true;
    int err = weir_opt_parse(&row->opt, text, &value, why);
    if (err != 0) {
        return err;
    }
    if (row->syntax != WEIR_CONF_PLAIN && value.word_idx < 0) {
        good = row->syntax == WEIR_CONF_SEED ? parse_seed(text, &value.number, why)
               : row->syntax == WEIR_CONF_CORE_LIST
                   ? parse_cores(text, why)
                   : parse_names(text, row->syntax == WEIR_CONF_NAMES, why);
    }
    if (!good) {
        return WEIR_ECONFIG;
    }
    *ret_number = value.number;
    return 0;
}
