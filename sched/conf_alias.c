/* SPDX-License-Identifier: Apache-2.0 */
/* conf_alias.c: Flink's names of keys, and what a mistyped key was meant to be. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sched/conf_priv.h"

static const struct conf_alias aliases[] = {
    {"parallelism.default", "parallelism", CONF_ALIAS_TEXT, NULL},
    {"pipeline.max-parallelism", "max_parallelism", CONF_ALIAS_TEXT, NULL},
    {"pipeline.name", "job.name", CONF_ALIAS_TEXT, NULL},
    {"pipeline.auto-watermark-interval", "watermark.interval", CONF_ALIAS_TIME, NULL},
    {"metrics.latency.interval", "metrics.latency_interval", CONF_ALIAS_TIME, NULL},
    {"execution.buffer-timeout.interval", "flush_after", CONF_ALIAS_TIME, NULL},
    {"execution.buffer-timeout", "flush_after", CONF_ALIAS_TIME, NULL},
    {"taskmanager.memory.process.size", "memory.budget", CONF_ALIAS_MEMORY, NULL},
    {"taskmanager.memory.flink.size", "memory.budget", CONF_ALIAS_MEMORY, NULL},
    {"taskmanager.memory.segment-size", "buffers.size", CONF_ALIAS_MEMORY, NULL},
    {"taskmanager.memory.network.max", "buffers.memory", CONF_ALIAS_MEMORY, NULL},
    {"taskmanager.network.memory.buffers-per-channel", "buffers.per_channel", CONF_ALIAS_TEXT,
        NULL},
    {"taskmanager.network.memory.floating-buffers-per-gate", "buffers.floating", CONF_ALIAS_TEXT,
        NULL},
    {"execution.checkpointing.interval", "checkpoints.interval", CONF_ALIAS_TIME, NULL},
    {"execution.checkpointing.dir", "checkpoints.dir", CONF_ALIAS_TEXT, NULL},
    {"state.checkpoints.dir", "checkpoints.dir", CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.min-pause", "checkpoints.min_pause", CONF_ALIAS_TIME, NULL},
    {"execution.checkpointing.timeout", "checkpoints.timeout", CONF_ALIAS_TIME, NULL},
    {"execution.checkpointing.max-concurrent-checkpoints", "checkpoints.max_concurrent",
        CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.tolerable-failed-checkpoints", "checkpoints.tolerable_failures",
        CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.num-retained", "checkpoints.retained", CONF_ALIAS_TEXT, NULL},
    {"state.checkpoints.num-retained", "checkpoints.retained", CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.checkpoints-after-tasks-finish", "checkpoints.after_finish",
        CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.unaligned.enabled", "checkpoints.unaligned", CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.unaligned", "checkpoints.unaligned", CONF_ALIAS_TEXT, NULL},
    {"execution.checkpointing.aligned-checkpoint-timeout", "checkpoints.alignment_timeout",
        CONF_ALIAS_TIME, NULL},
    {"task.cancellation.interval", "task.cancel_interval", CONF_ALIAS_TIME, NULL},
    {"task.cancellation.timeout", "task.cancel_timeout", CONF_ALIAS_TIME, NULL},
    {"restart-strategy.type", "restart.strategy", CONF_ALIAS_TEXT, NULL},
    {"restart-strategy.fixed-delay.attempts", "restart.fixed_delay.attempts", CONF_ALIAS_TEXT,
        NULL},
    {"restart-strategy.fixed-delay.delay", "restart.fixed_delay.delay", CONF_ALIAS_TIME, NULL},
    {"restart-strategy.failure-rate.max-failures-per-interval", "restart.failure_rate.failures",
        CONF_ALIAS_TEXT, NULL},
    {"restart-strategy.failure-rate.failure-rate-interval", "restart.failure_rate.interval",
        CONF_ALIAS_TIME, NULL},
    {"restart-strategy.failure-rate.delay", "restart.failure_rate.delay", CONF_ALIAS_TIME, NULL},
    {"restart-strategy.exponential-delay.initial-backoff", "restart.exponential_delay.initial",
        CONF_ALIAS_TIME, NULL},
    {"restart-strategy.exponential-delay.max-backoff", "restart.exponential_delay.max",
        CONF_ALIAS_TIME, NULL},
    {"restart-strategy.exponential-delay.backoff-multiplier",
        "restart.exponential_delay.multiplier", CONF_ALIAS_TEXT, NULL},
    {"restart-strategy.exponential-delay.jitter-factor", "restart.exponential_delay.jitter",
        CONF_ALIAS_TEXT, NULL},
    {"restart-strategy.exponential-delay.reset-backoff-threshold",
        "restart.exponential_delay.reset_after", CONF_ALIAS_TIME, NULL},
    {"restart-strategy.exponential-delay.attempts-before-reset-backoff",
        "restart.exponential_delay.attempts", CONF_ALIAS_TEXT, NULL},
    {"taskmanager.numberOfTaskSlots", NULL, CONF_ALIAS_IGNORE,
        "it has no effect: one process runs the whole job, and `parallelism` and `placement.cores` "
        "say how wide"},
};

const struct conf_alias *
weir_conf_alias_find(const char *path)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(aliases); i++) {
        if (strcmp(aliases[i].flink, path) == 0) {
            return &aliases[i];
        }
    }
    return NULL;
}

bool
weir_conf_is_alias_section(const char *path)
{
    size_t bytes = strlen(path);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(aliases); i++) {
        if (strncmp(aliases[i].flink, path, bytes) == 0 && aliases[i].flink[bytes] == '.') {
            return true;
        }
    }
    return false;
}

void
weir_conf_alias_value(
    enum conf_alias_form form, const char *text, char *ret_text, size_t text_bytes)
{
    /* Flink's unit in lower case, and ours; the bare number first. */
    static const char *const memory[][2] = {{"", "B"}, {"b", "B"}, {"bytes", "B"}, {"k", "KiB"},
        {"kb", "KiB"}, {"m", "MiB"}, {"mb", "MiB"}, {"g", "GiB"}, {"gb", "GiB"}, {"t", "TiB"},
        {"tb", "TiB"}};
    static const char *const time[][2] = {{"", "ms"}, {"ms", "ms"}, {"milli", "ms"}, {"s", "s"},
        {"sec", "s"}, {"min", "m"}, {"m", "m"}, {"h", "h"}, {"hour", "h"}, {"d", "d"}, {"day", "d"},
        {"us", "us"}, {"micro", "us"}, {"ns", "ns"}, {"nano", "ns"}};
    const char *const(*units)[2] = form == CONF_ALIAS_MEMORY ? memory : time;
    size_t unit_cnt = form == CONF_ALIAS_MEMORY ? WEIR_ARRAY_CNT(memory) : WEIR_ARRAY_CNT(time);
    size_t digit_cnt = strspn(text, "0123456789");
    const char *unit = text + digit_cnt + strspn(text + digit_cnt, " ");
    (void)snprintf(ret_text, text_bytes, "%s", text);
    if (form != CONF_ALIAS_MEMORY && form != CONF_ALIAS_TIME) {
        return;
    }
    for (size_t i = 0; digit_cnt > 0 && i < unit_cnt; i++) {
        if (strcasecmp(units[i][0], unit) == 0) {
            (void)snprintf(ret_text, text_bytes, "%.*s%s", (int)digit_cnt, text, units[i][1]);
        }
    }
}

/* The first `part_cnt` parts of a path, as bytes; 0: it has fewer. */
static size_t
parts_bytes(const char *path, size_t part_cnt)
{
    size_t at = 0;
    for (size_t part = 0; part < part_cnt; part++) {
        at += part > 0 ? 1 : 0;
        at += strcspn(path + at, ".");
        if (part + 1 < part_cnt && path[at] == '\0') {
            return 0;
        }
    }
    return at;
}

static size_t
part_cnt_of(const char *path)
{
    size_t cnt = 1;
    for (const char *at = path; *at != '\0'; at++) {
        cnt += *at == '.' ? 1 : 0;
    }
    return cnt;
}

bool
weir_conf_nearest_path(const char *path, char *ret_near, size_t near_bytes)
{
    /* The rows' paths cut to as many parts as the unknown one has: sections count as keys. */
    static const char *const free_sections[] = {"params", "pipeline"};
    char cut[WEIR_CONF_CNT + 2][CONF_PATH_BYTES_MAX];
    const char *names[WEIR_CONF_CNT + 2];
    size_t cnt = 0;
    size_t part_cnt = part_cnt_of(path);
    const char *last = strrchr(path, '.');
    last = last != NULL ? last + 1 : path;
    for (size_t key = 0; key < WEIR_CONF_CNT; key++) {
        const char *row_path = weir_conf_row(key)->opt.name;
        const char *row_last = strrchr(row_path, '.');
        size_t bytes = parts_bytes(row_path, part_cnt);
        if (bytes > 0 && bytes < CONF_PATH_BYTES_MAX) {
            const char *star = memchr(row_path, '*', bytes);
            size_t head = star != NULL ? (size_t)(star - row_path) : bytes;
            bool same = star != NULL && strncmp(path, row_path, head) == 0;
            /* The vertex is what stands in the star's place in the unknown path. */
            (void)snprintf(cut[cnt], CONF_PATH_BYTES_MAX, "%.*s%.*s%.*s", (int)head, row_path,
                same ? (int)strcspn(path + head, ".") : 0, same ? path + head : "",
                star != NULL ? (int)(bytes - head - 1) : 0, star != NULL ? star + 1 : "");
            names[cnt] = cut[cnt];
            cnt++;
        }
        /* `budget` at the top was meant to be memory.budget. */
        if (row_last != NULL && strcmp(row_last + 1, last) == 0 && strchr(row_path, '*') == NULL) {
            (void)snprintf(ret_near, near_bytes, "%s", row_path);
            return true;
        }
    }
    for (size_t i = 0; part_cnt == 1 && i < WEIR_ARRAY_CNT(free_sections); i++) {
        names[cnt++] = free_sections[i];
    }
    const char *near = weir_opt_nearest(path, names, cnt);
    if (near != NULL) {
        (void)snprintf(ret_near, near_bytes, "%s", near);
    }
    return near != NULL;
}
