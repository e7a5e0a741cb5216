/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpuset.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

#define PART_BYTES 24

static bool
read_number(const char **at, uint32_t *ret_value)
{
    const char *from = *at;
    uint32_t value = 0;
    while (isdigit((unsigned char)**at) != 0 && *at - from < 5) {
        value = value * 10 + (uint32_t)(**at - '0');
        (*at)++;
    }
    *ret_value = value;
    return *at > from;
}

/* One range: "3", "3-7", "0-31:2/8" (the first 2 of every 8). */
static bool
read_range(const char **at, struct weir_cpuset *set)
{
    uint32_t from = 0;
    if (!read_number(at, &from)) {
        return false;
    }
    uint32_t to = from;
    uint32_t used = 1;
    uint32_t group = 1;
    if (**at == '-') {
        (*at)++;
        if (!read_number(at, &to)) {
            return false;
        }
        if (**at == ':') {
            (*at)++;
            if (!read_number(at, &used) || **at != '/') {
                return false;
            }
            (*at)++;
            if (!read_number(at, &group)) {
                return false;
            }
        }
    }
    if (from > to || to >= WEIR_CPUSET_CPU_CNT_MAX || group == 0 || used > group) {
        return false;
    }
    for (uint32_t cpu = from; cpu <= to; cpu++) {
        if ((cpu - from) % group < used) {
            weir_cpuset_add(set, cpu);
        }
    }
    return true;
}

int
weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set)
{
    struct weir_cpuset set = {{0}};
    const char *at = text;
    while (isspace((unsigned char)*at) != 0) {
        at++;
    }
    while (*at != '\0' && isspace((unsigned char)*at) == 0) {
        if (!read_range(&at, &set) || (*at == ',' && at[1] == '\0')) {
            return weir_err_push(WEIR_EINVAL,
                "\"%.80s\" is not a list of CPUs at character %d (as in 0-3,8)", text,
                (int)(at - text) + 1);
        }
        if (*at == ',') {
            at++;
        } else if (*at != '\0' && isspace((unsigned char)*at) == 0) {
            return weir_err_push(WEIR_EINVAL,
                "\"%.80s\" is not a list of CPUs at character %d (as in 0-3,8)", text,
                (int)(at - text) + 1);
        }
    }
    if (at[strspn(at, " \t\n")] != '\0') {
        return weir_err_push(WEIR_EINVAL, "\"%.80s\" has words behind its list of CPUs", text);
    }
    *ret_set = set;
    return 0;
}

const char *
weir_cpuset_print(const struct weir_cpuset *set, char *buf, size_t buf_bytes)
{
    size_t used = 0;
    if (buf_bytes < 4) {
        return "";
    }
    (void)snprintf(buf, buf_bytes, "-");
    for (uint32_t from = weir_cpuset_next(set, 0); from != WEIR_CPUSET_NONE;) {
        uint32_t to = from;
        while (weir_cpuset_has(set, to + 1)) {
            to++;
        }
        char part[PART_BYTES];
        const char *comma = used > 0 ? "," : "";
        int n = from == to ? snprintf(part, sizeof part, "%s%u", comma, from)
                           : snprintf(part, sizeof part, "%s%u-%u", comma, from, to);
        if (used + (size_t)n + 4 > buf_bytes) {
            (void)snprintf(buf + used, buf_bytes - used, "...");
            return buf;
        }
        memcpy(buf + used, part, (size_t)n + 1);
        used += (size_t)n;
        from = weir_cpuset_next(set, to + 1);
    }
    return buf;
}
