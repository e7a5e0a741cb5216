/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what the file sink has on disk while checkpoints are on: made, and read again. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "dataplane/operators/file_sink_priv.h"

/* With its checksum, so that a part's whole path has its room behind the output's. */
#define JOB_TEXT_BYTES 32

void
weir_file_sink_job_text(const char *job, char *to)
{
    size_t bytes = strlen(job);
    bool is_same = bytes <= JOB_TEXT_BYTES;
    size_t used = weir_min_u64(bytes, JOB_TEXT_BYTES);
    for (size_t i = 0; i < used; i++) {
        char c = job[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        to[i] = is_plain ? c : '_';
        is_same &= is_plain;
    }
    to[used] = '\0';
    if (!is_same) {
        (void)sprintf(to + used, "~%08x", weir_crc32c(0, job, bytes));
    }
}

void
weir_file_sink_dir_name(const struct sink *sink, uint64_t gen, uint64_t by, char *to)
{
    int bytes = snprintf(to, SINK_PATH_BYTES, "%s/.pending-%s-%llu.%u-by-%llu.%u", sink->txn->out,
        sink->txn->job, weir_file_sink_epoch(gen), weir_file_sink_attempt(gen),
        weir_file_sink_epoch(by), weir_file_sink_attempt(by));
    WEIR_CHECK(bytes < SINK_PATH_BYTES, "the path was checked at open");
}

void
weir_file_sink_txn_pending_dir(const struct sink *sink, uint64_t gen, char *to)
{
    weir_file_sink_dir_name(sink, gen, sink->txn->gen, to);
}

void
weir_file_sink_txn_name(
    const struct sink *sink, const struct sink_part_name *name, bool is_committed, char *to)
{
    if (is_committed) {
        memcpy(to, sink->txn->out, strlen(sink->txn->out) + 1);
    } else {
        weir_file_sink_txn_pending_dir(sink, name->gen, to);
    }
    size_t used = strlen(to);
    int bytes = snprintf(to + used, SINK_PATH_BYTES - used, "/part-%s-%llu-%llu.%u-%u-%u",
        sink->txn->job, (unsigned long long)name->base, weir_file_sink_epoch(name->gen),
        weir_file_sink_attempt(name->gen), name->subtask, name->seq);
    if (is_committed && name->has_sum) {
        bytes += snprintf(to + used + bytes, SINK_PATH_BYTES - used - (size_t)bytes, "-%llu-%08x",
            (unsigned long long)name->bytes, name->crc);
    }
    WEIR_CHECK((size_t)bytes < SINK_PATH_BYTES - used, "the path was checked at open");
}

static bool
eat_text(const char **at, const char *text)
{
    size_t bytes = strlen(text);
    bool is_there = strncmp(*at, text, bytes) == 0;
    *at += is_there ? bytes : 0;
    return is_there;
}

static bool
eat_number(const char **at, uint64_t max, uint64_t *ret)
{
    const char *start = *at;
    uint64_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return *at > start && (*start != '0' || *at == start + 1);
}

static bool
eat_gen(const char **at, uint64_t *ret)
{
    uint64_t epoch;
    uint64_t attempt;
    bool is_there = eat_number(at, UINT64_MAX >> SINK_ATTEMPT_BITS, &epoch) && eat_text(at, ".") &&
                    eat_number(at, (1U << SINK_ATTEMPT_BITS) - 1, &attempt);
    *ret = is_there ? epoch << SINK_ATTEMPT_BITS | attempt : 0;
    return is_there;
}

/* Eight digits, as %08x writes them. */
static bool
eat_hex(const char **at, uint32_t *ret)
{
    uint32_t value = 0;
    for (int i = 0; i < 8; i++, (*at)++) {
        char c = **at;
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) {
            return false;
        }
        value = value << 4 | (uint32_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

/* Where the parts have sums, behind their numbers. */
static bool
eat_sum(const struct sink *sink, const char **at, struct sink_part_name *ret)
{
    ret->has_sum = sink->target == SINK_FILE && **at == '-';
    ret->bytes = 0;
    ret->crc = 0;
    return !ret->has_sum || (eat_text(at, "-") && eat_number(at, UINT64_MAX, &ret->bytes) &&
                                eat_text(at, "-") && eat_hex(at, &ret->crc));
}

bool
weir_file_sink_parse_part(const struct sink *sink, const char *name, struct sink_part_name *ret)
{
    uint64_t subtask = 0;
    uint64_t seq = 0;
    bool is_part = eat_text(&name, "part-") && eat_text(&name, sink->txn->job) &&
                   eat_text(&name, "-") && eat_number(&name, UINT64_MAX, &ret->base) &&
                   eat_text(&name, "-") && eat_gen(&name, &ret->gen) && eat_text(&name, "-") &&
                   eat_number(&name, UINT32_MAX, &subtask) && eat_text(&name, "-") &&
                   eat_number(&name, UINT32_MAX, &seq) && eat_sum(sink, &name, ret) &&
                   *name == '\0';
    ret->subtask = (uint32_t)subtask;
    ret->seq = (uint32_t)seq;
    return is_part;
}

bool
weir_file_sink_parse_mark(const char *name, struct sink_share *ret, uint64_t *ret_rows)
{
    uint64_t subtask = 0;
    uint64_t cnt = 0;
    bool is_mark = eat_text(&name, "done-") && eat_number(&name, UINT32_MAX, &subtask) &&
                   eat_text(&name, "-") && eat_number(&name, UINT64_MAX, ret_rows) &&
                   eat_text(&name, "-") && eat_number(&name, UINT32_MAX, &cnt) &&
                   eat_text(&name, "-") && eat_hex(&name, &ret->sum) && *name == '\0';
    ret->subtask = (uint32_t)subtask;
    ret->cnt = (uint32_t)cnt;
    return is_mark;
}

bool
weir_file_sink_parse_dir(
    const struct sink *sink, const char *name, uint64_t *ret_gen, uint64_t *ret_by)
{
    return eat_text(&name, ".pending-") && eat_text(&name, sink->txn->job) &&
           eat_text(&name, "-") && eat_gen(&name, ret_gen) && eat_text(&name, "-by-") &&
           eat_gen(&name, ret_by) && *name == '\0';
}

bool
weir_file_sink_is_of_job(const struct sink *sink, const char *name)
{
    return eat_text(&name, "part-") && eat_text(&name, sink->txn->job) && eat_text(&name, "-");
}

bool
weir_file_sink_is_part(const char *name)
{
    return strncmp(name, "part-", 5) == 0 || strcmp(name, "whole") == 0 ||
           strcmp(name, "merging") == 0;
}
