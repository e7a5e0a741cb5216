/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h: the configuration of a run: one table of keys, and values that know where they come from.
 *
 * A value stands in one of five layers; the highest that names it wins:
 *
 *     flag        --set a.b=c, and the flags that stand for a key
 *     environment WEIR_A__B=c
 *     job file    weir.yaml, or the file after -f
 *     system file /etc/weir/weir.yaml
 *     built-in    the table below
 *
 * Layers may be loaded in any order. Keys are paths: `memory: {budget: 1GiB}` and `memory.budget:
 * 1GiB` are the same. What is unknown, has no unit or is out of range is an error that shows the
 * place, with the nearest key; nothing is clamped. Flink's names of common keys are taken, with a
 * note that says ours. Two parts of a file are free: `params:` (the job's own parameters) and
 * `pipeline:` (a job in YAML alone; sched/pipeline.h).
 *
 * The row of a key is its only description: parser, weir config, docs/configuration.md come from
 * it.
 */
#ifndef WEIR_SCHED_CONF_H
#define WEIR_SCHED_CONF_H

#include "base/opt.h"
#include "sched/yaml.h"

#define WEIR_CONF_SYSTEM_FILE "/etc/weir/weir.yaml"
#define WEIR_CONF_VALUE_BYTES_MAX 4096
/* Vertices, parameters and notes of one configuration: more than a person writes. */
#define WEIR_CONF_ENTRY_CNT_MAX 4096

/* What weir_opt does not know of a text: its form is checked here, its meaning by those who use it.
 */
enum weir_conf_syntax {
    WEIR_CONF_PLAIN, /* the row says all */
    WEIR_CONF_NAME, /* letters, digits, . _ - */
    WEIR_CONF_NAMES, /* such names, joined by commas; may be empty */
    WEIR_CONF_CORE_LIST, /* auto, Linux list syntax, numa:N, near:nic:NAME ..., joined by commas */
    WEIR_CONF_SEED, /* seed:N; the number is the seed */
};

#define WEIR_CONF_DAY_NS INT64_C(86400000000000)

/* X(symbol, path, type, rule, syntax, unit, least, most, default, words, sentence), as struct
 * weir_opt
 *
 * '*' in a path stands for a vertex. The empty default means: not set. Keys of one section stand
 * together. */
#define WEIR_CONF_TABLE(X)                                                                         \
    X(VERSION, "version", INT, ANY, PLAIN, "", 1, 1, "1", "",                                      \
        "version of this file's format; every file has it")                                        \
    X(JOB_NAME, "job.name", STRING, ANY, NAME, "", 1, 64, "", "",                                  \
        "name of the run, for its socket and its reports; by default the job's own")               \
    X(PARALLELISM, "parallelism", INT, ANY, PLAIN, "subtasks", 1, 32768, "1", "",                  \
        "subtasks of each vertex that sets no other number")                                       \
    X(MAX_PARALLELISM, "max_parallelism", INT, ANY, PLAIN, "key groups", 1, 32768, "auto", "auto", \
        "key groups, the most subtasks a keyed vertex can ever have; auto: 1.5 times "             \
        "parallelism as a power of two, at least 128")                                             \
    X(POLLER, "poller", STRING, ANY, SEED, "", 1, 4095, "threads", "threads",                      \
        "who polls the tasks: threads on pinned cores, or seed:N for one thread in an "            \
        "order drawn from N under a simulated clock")                                              \
    X(STRICT, "strict", BOOL, ANY, PLAIN, "", 0, 1, "false", "",                                   \
        "end instead of going on with less (no huge pages, no pinning, no io_uring)")              \
    X(BATCH_ROWS, "batch.rows", INT, X64, PLAIN, "rows", 64, 4096, "1024", "",                     \
        "most rows of one batch")                                                                  \
    X(BUFFERS_SIZE, "buffers.size", SIZE, POW2, PLAIN, "", 4096, 16777216, "32KiB", "",            \
        "size of a buffer of the channels")                                                        \
    X(BUFFERS_PER_CHANNEL, "buffers.per_channel", INT, ANY, PLAIN, "buffers", 1, 64, "2", "",      \
        "buffers that a channel has for itself")                                                   \
    X(BUFFERS_FLOATING, "buffers.floating", INT, ANY, PLAIN, "buffers", 0, 4096, "8", "",          \
        "buffers that the channels of one output share beside these")                              \
    X(BUFFERS_MEMORY, "buffers.memory", SIZE, ANY, PLAIN, "", 65536, INT64_C(1) << 40, "none",     \
        "none",                                                                                    \
        "memory of all buffers of the run, which outputs share by what they may ask for; those "   \
        "of a task that has ended go to the others; none: as much as all may ask for")             \
    X(BUFFERS_DEBLOAT, "buffers.debloat", DURATION, ANY, PLAIN, "", WEIR_MS,                       \
        INT64_C(3600000000000), "none", "none",                                                    \
        "time that consuming what lies in buffers is to take: those of a slow consumer are "       \
        "filled less; none: buffers are filled")                                                   \
    X(RING_SLOTS, "ring.slots", INT, POW2, PLAIN, "slots", 8, 32768, "64", "",                     \
        "descriptors that a ring between two cores holds")                                         \
    X(FLUSH_AFTER, "flush_after", DURATION, ANY, PLAIN, "", 1000, INT64_C(3600000000000), "none",  \
        "none",                                                                                    \
        "longest time that a row waits in a batch that is not full; none: until the "              \
        "task has run out of input")                                                               \
    X(MEMORY_BUDGET, "memory.budget", SIZE, ANY, PLAIN, "", 16777216, INT64_C(1) << 50, "auto",    \
        "auto",                                                                                    \
        "all memory of the run; auto: three quarters of what the cgroup or the host "              \
        "has")                                                                                     \
    X(MEMORY_HUGE_PAGES, "memory.huge_pages", CHOICE, ANY, PLAIN, "", 0, 0, "auto",                \
        "auto thp off",                                                                            \
        "pages to ask for: the largest that the host gives, transparent ones, or 4 "               \
        "KiB")                                                                                     \
    X(MEMORY_TOUCH, "memory.touch", BOOL, ANY, PLAIN, "", 0, 1, "false", "",                       \
        "have the host back all memory of the run before it starts, so that no page is "           \
        "faulted in while rows flow; takes memory.budget at once")                                 \
    X(STATE_BACKEND, "state.backend", CHOICE, ANY, PLAIN, "", 0, 0, "mem", "mem rocksdb",          \
        "where process functions keep their state: in memory, or on disk with what is wanted of "  \
        "late in memory")                                                                          \
    X(STATE_DIR, "state.dir", STRING, ANY, PLAIN, "", 1, 4095, "", "",                             \
        "directory of state on disk and of its share of checkpoints; by default checkpoints.dir")  \
    X(STATE_MOVES, "state.moves", BOOL, ANY, PLAIN, "", 0, 1, "false", "",                         \
        "lay state out so that `weir move` can move key groups between subtasks while the job "    \
        "runs")                                                                                    \
    X(WATERMARK_INTERVAL, "watermark.interval", DURATION, ANY, PLAIN, "", 0,                       \
        INT64_C(3600000000000), "0ms", "",                                                         \
        "least processing time between two watermarks of a source, but for one that may make the " \
        "next row late; 0ms: one after every batch")                                               \
    X(CHECKPOINTS_DIR, "checkpoints.dir", STRING, ANY, PLAIN, "", 1, 4095, "", "",                 \
        "directory under which checkpoints of the job are kept; not set: there are none")          \
    X(CHECKPOINTS_SAVEPOINT_DIR, "checkpoints.savepoint_dir", STRING, ANY, PLAIN, "", 1, 4095, "", \
        "", "where `weir savepoint JOB` puts its savepoints when it is given no directory")        \
    X(CHECKPOINTS_STORAGE, "checkpoints.storage", CHOICE, ANY, PLAIN, "", 0, 0, "fs", "fs memory", \
        "fs: checkpoints.dir; memory: of this host, 5 MiB of a task, until the run ends")          \
    X(CHECKPOINTS_INTERVAL, "checkpoints.interval", DURATION, ANY, PLAIN, "", WEIR_MS,             \
        WEIR_CONF_DAY_NS, "none", "none",                                                          \
        "time from the start of one checkpoint to that of the next; none: only when asked for")    \
    X(CHECKPOINTS_MIN_PAUSE, "checkpoints.min_pause", DURATION, ANY, PLAIN, "", 0,                 \
        WEIR_CONF_DAY_NS, "0ms", "",                                                               \
        "least time between the end of one checkpoint and the next of the interval")               \
    X(CHECKPOINTS_TIMEOUT, "checkpoints.timeout", DURATION, ANY, PLAIN, "", WEIR_MS,               \
        WEIR_CONF_DAY_NS, "10m", "", "a checkpoint that takes longer is aborted")                  \
    X(CHECKPOINTS_MAX_CONCURRENT, "checkpoints.max_concurrent", INT, ANY, PLAIN, "checkpoints", 1, \
        32, "1", "", "checkpoints that may be under way at once")                                  \
    X(CHECKPOINTS_TOLERABLE_FAILURES, "checkpoints.tolerable_failures", INT, ANY, PLAIN,           \
        "checkpoints", 0, 1000000, "unlimited", "unlimited",                                       \
        "failures in a row that are borne before the job fails")                                   \
    X(CHECKPOINTS_RETAINED, "checkpoints.retained", INT, ANY, PLAIN, "checkpoints", 1, 1000, "1",  \
        "", "complete checkpoints that are kept")                                                  \
    X(CHECKPOINTS_AFTER_FINISH, "checkpoints.after_finish", BOOL, ANY, PLAIN, "", 0, 1, "true",    \
        "", "take checkpoints also when some tasks have finished")                                 \
    X(CHECKPOINTS_MODE, "checkpoints.mode", CHOICE, ANY, PLAIN, "", 0, 0, "exactly-once",          \
        "exactly-once at-least-once",                                                              \
        "exactly-once: barriers hold back what is behind them; at-least-once: they hold nothing "  \
        "back, and after a restart some records count twice")                                      \
    X(CHECKPOINTS_UNALIGNED, "checkpoints.unaligned", BOOL, ANY, PLAIN, "", 0, 1, "false", "",     \
        "barriers overtake rows, which are stored with the checkpoint: it does not wait for slow " \
        "operators; exactly-once, and with checkpoints.max_concurrent 1")                          \
    X(CHECKPOINTS_ALIGNMENT_TIMEOUT, "checkpoints.alignment_timeout", DURATION, ANY, PLAIN, "", 0, \
        WEIR_CONF_DAY_NS, "0ms", "",                                                               \
        "with checkpoints.unaligned: barriers overtake rows only when a checkpoint has been "      \
        "under "                                                                                   \
        "way for so long")                                                                         \
    X(CHECKPOINTS_IN_FLIGHT_MAX, "checkpoints.in_flight_max", SIZE, ANY, PLAIN, "", 4096,          \
        INT64_C(1) << 30, "256MiB", "",                                                            \
        "with checkpoints.unaligned: more rows under way to a task decline the checkpoint")        \
    X(CHECKPOINTS_SINK, "checkpoints.sink", CHOICE, ANY, PLAIN, "", 0, 0, "exactly-once",          \
        "exactly-once at-least-once",                                                              \
        "exactly-once: sinks show rows once their checkpoint is complete; at-least-once: at "      \
        "once, and again after a restart")                                                         \
    X(CHECKPOINTS_THROTTLE_MAX, "checkpoints.throttle_max", DURATION, ANY, PLAIN, "", 0,           \
        WEIR_CONF_DAY_NS, "100ms", "",                                                             \
        "time that a checkpoint may hold its tasks up, all in all, before it is declined")         \
    X(TASK_CANCEL_INTERVAL, "task.cancel_interval", DURATION, ANY, PLAIN, "", WEIR_MS,             \
        WEIR_CONF_DAY_NS, "30s", "",                                                               \
        "code of a canceled job that does not return is interrupted so often, and named")          \
    X(TASK_CANCEL_TIMEOUT, "task.cancel_timeout", DURATION, ANY, PLAIN, "", 0, WEIR_CONF_DAY_NS,   \
        "3m", "none",                                                                              \
        "a process whose canceled job has not ended by then ends itself; 0 or none: never")        \
    X(RESTART_STRATEGY, "restart.strategy", CHOICE, ANY, PLAIN, "", 0, 0, "auto",                  \
        "auto none fixed-delay failure-rate exponential-delay",                                    \
        "whether a job that failed is started again; auto: exponential-delay with checkpoints "    \
        "and under run --supervise, else none")                                                    \
    X(RESTART_FIXED_ATTEMPTS, "restart.fixed_delay.attempts", INT, ANY, PLAIN, "restarts", 0,      \
        1000000, "1", "unlimited", "fixed-delay: restarts of one run")                             \
    X(RESTART_FIXED_DELAY, "restart.fixed_delay.delay", DURATION, ANY, PLAIN, "", 0,               \
        WEIR_CONF_DAY_NS, "1s", "", "fixed-delay: time from a failure to the restart")             \
    X(RESTART_RATE_FAILURES, "restart.failure_rate.failures", INT, ANY, PLAIN, "failures", 1, 100, \
        "1", "", "failure-rate: failures that one interval may hold; one more ends the job")       \
    X(RESTART_RATE_INTERVAL, "restart.failure_rate.interval", DURATION, ANY, PLAIN, "", WEIR_MS,   \
        WEIR_CONF_DAY_NS, "1m", "", "failure-rate: the interval")                                  \
    X(RESTART_RATE_DELAY, "restart.failure_rate.delay", DURATION, ANY, PLAIN, "", 0,               \
        WEIR_CONF_DAY_NS, "1s", "", "failure-rate: time from a failure to the restart")            \
    X(RESTART_EXPONENTIAL_INITIAL, "restart.exponential_delay.initial", DURATION, ANY, PLAIN, "",  \
        WEIR_MS, WEIR_CONF_DAY_NS, "1s", "",                                                       \
        "exponential-delay: time from the first failure to the restart")                           \
    X(RESTART_EXPONENTIAL_MAX, "restart.exponential_delay.max", DURATION, ANY, PLAIN, "", WEIR_MS, \
        WEIR_CONF_DAY_NS, "1m", "",                                                                \
        "exponential-delay: longest time from a failure to the restart")                           \
    X(RESTART_EXPONENTIAL_MULTIPLIER, "restart.exponential_delay.multiplier", REAL, ANY, PLAIN,    \
        "", 1, 100, "1.5", "",                                                                     \
        "exponential-delay: what the time is multiplied by after each failure")                    \
    X(RESTART_EXPONENTIAL_JITTER, "restart.exponential_delay.jitter", REAL, ANY, PLAIN, "", 0, 1,  \
        "0.1", "",                                                                                 \
        "exponential-delay: part of the time by which it is made longer or shorter at random")     \
    X(RESTART_EXPONENTIAL_RESET_AFTER, "restart.exponential_delay.reset_after", DURATION, ANY,     \
        PLAIN, "", WEIR_MS, 30 * WEIR_CONF_DAY_NS, "1h", "",                                       \
        "exponential-delay: a job that ran so long starts with the first time again")              \
    X(RESTART_EXPONENTIAL_ATTEMPTS, "restart.exponential_delay.attempts", INT, ANY, PLAIN,         \
        "restarts", 0, 1000000, "unlimited", "unlimited",                                          \
        "exponential-delay: restarts before the job has run for reset_after")                      \
    X(PLACEMENT_CORES, "placement.cores", STRING, ANY, CORE_LIST, "", 1, 4095, "auto", "auto",     \
        "cores to run on: auto, or a list like 2-9, numa:1, l3:0, near:nic:eth0; an h behind "     \
        "adds the SMT siblings")                                                                   \
    X(PLACEMENT_SMT, "placement.smt", CHOICE, ANY, PLAIN, "", 0, 0, "avoid", "avoid use only",     \
        "whether tasks may share a physical core; only: they do before another core is taken")     \
    X(PLACEMENT_IDLE, "placement.idle", CHOICE, ANY, PLAIN, "", 0, 0, "auto",                      \
        "auto spin adaptive sleep",                                                                \
        "what a core does without work; auto: spin on isolated cores, else adaptive")              \
    X(PLACEMENT_HOUSEKEEPING, "placement.housekeeping", STRING, ANY, CORE_LIST, "", 1, 4095,       \
        "auto", "auto", "cores of everything that is not a task")                                  \
    X(PLACEMENT_CUT, "placement.cut", CHOICE, ANY, PLAIN, "", 0, 0, "auto", "auto none all",       \
        "where chains are cut across cores: where cut_after says, nowhere, or after "              \
        "every operator")                                                                          \
    X(VERTEX_PARALLELISM, "placement.vertices.*.parallelism", INT, ANY, PLAIN, "subtasks", 1,      \
        32768, "", "", "subtasks of this vertex")                                                  \
    X(VERTEX_CORES, "placement.vertices.*.cores", STRING, ANY, CORE_LIST, "", 1, 4095, "", "auto", \
        "cores of this vertex, as placement.cores")                                                \
    X(VERTEX_NUMA, "placement.vertices.*.numa", INT, ANY, PLAIN, "", 0, 1023, "", "local",         \
        "NUMA node of this vertex and its memory; local: that of its input")                       \
    X(VERTEX_CUT_AFTER, "placement.vertices.*.cut_after", STRING, ANY, NAMES, "", 0, 4095, "", "", \
        "operators after which this vertex's chain goes on on another core")                       \
    X(VERTEX_IDLE, "placement.vertices.*.idle", CHOICE, ANY, PLAIN, "", 0, 0, "",                  \
        "auto spin adaptive sleep", "as placement.idle, for the cores of this vertex")             \
    X(IO_ENGINE, "io.engine", CHOICE, ANY, PLAIN, "", 0, 0, "auto", "auto uring posix",            \
        "how files and sockets are read and written; auto: io_uring where the host "               \
        "allows it")                                                                               \
    X(PLUGINS_DIR, "plugins.dir", STRING, ANY, PLAIN, "", 1, 4095, "", "",                         \
        "directory of the jobs that are called by name; by default the installation's")            \
    X(METRICS_PORT, "metrics.port", INT, ANY, PLAIN, "", 1, 65535, "none", "none",                 \
        "port of 127.0.0.1 on which the metrics of the run can be scraped, beside its own socket") \
    X(METRICS_LATENCY_INTERVAL, "metrics.latency_interval", DURATION, ANY, PLAIN, "", 0,           \
        INT64_C(3600000000000), "0ms", "",                                                         \
        "time between two latency markers of each source; they pass through the job behind rows, " \
        "and operators count how old they are; 0ms: none")                                         \
    X(LOG_FORMAT, "log.format", CHOICE, ANY, PLAIN, "", 0, 0, "auto", "auto human logfmt json",    \
        "form of the log on stderr; auto: human on a terminal, else logfmt")                       \
    X(LOG_PROGRESS, "log.progress", DURATION, ANY, PLAIN, "", WEIR_US, INT64_C(3600000000000),     \
        "500ms", "none",                                                                           \
        "time between two progress lines on a terminal; of long restores and savepoints a log "    \
        "gets every twentieth")                                                                    \
    X(LOG_LEVEL, "log.level", CHOICE, ANY, PLAIN, "", 0, 0, "info", "error warning info debug",    \
        "least important lines that are written")

enum weir_conf_key {
#define WEIR_CONF_ENUM(sym, ...) WEIR_CONF_##sym,
    WEIR_CONF_TABLE(WEIR_CONF_ENUM)
#undef WEIR_CONF_ENUM
        WEIR_CONF_CNT
};

struct weir_conf_row {
    struct weir_opt opt; /* its name is the key's path */
    enum weir_conf_syntax syntax;
};

enum weir_conf_layer {
    WEIR_CONF_BUILT_IN,
    WEIR_CONF_SYSTEM,
    WEIR_CONF_JOB,
    WEIR_CONF_ENV,
    WEIR_CONF_FLAG,
};

/* What weir_conf_i64 gives for a word in place of a value: auto, none, local, threads. */
#define WEIR_CONF_WORD WEIR_OPT_WORD

/* One value: a key that is set, or a parameter. Borrowed until the configuration is closed. */
struct weir_conf_value {
    const char *path; /* with the vertex's name in it; "params.NAME" */
    enum weir_conf_key key; /* WEIR_CONF_CNT: a parameter */
    const char *vertex; /* of the key's '*', else NULL */
    const char *text; /* as given; lists joined by commas; "" where not set */
    int64_t number; /* weir_conf_i64 */
    enum weir_conf_layer layer;
    const char *origin; /* "weir.yaml:3:5", "WEIR_PARALLELISM", "--set", "built-in" */
};

struct weir_conf;

/* weir_conf_new - the built-in values. */
WEIR_API WEIR_MUST_USE int weir_conf_new(struct weir_conf **ret_conf);
WEIR_API void weir_conf_close(struct weir_conf *conf);

/* weir_conf_load_file - lay a file over; its version: 1 is required.
 *
 * Errors: those of weir_yaml_open; WEIR_ECONFIG with the place. The configuration is then of no
 * use.
 */
WEIR_API WEIR_MUST_USE int
weir_conf_load_file(struct weir_conf *conf, const char *path, enum weir_conf_layer layer);
/* weir_conf_load_env - take every WEIR_A__B of env ("NAME=value" strings, NULL at the end).
 *
 * A name without "__" that is no key is not ours (WEIR_HOME), unless it is nearly one.
 */
WEIR_API WEIR_MUST_USE int weir_conf_load_env(struct weir_conf *conf, char *const *env);
/* weir_conf_set - take "path=value" of a flag; flag is its name in messages ("--set"). */
WEIR_API WEIR_MUST_USE int
weir_conf_set(struct weir_conf *conf, const char *flag, const char *path_value);

/* weir_conf_check - rules between keys, once all layers are loaded. */
WEIR_API WEIR_MUST_USE int weir_conf_check(const struct weir_conf *conf);

/* weir_conf_i64 - a key's value as a number, in the row's unit; a choice's index; WEIR_CONF_WORD.
 */
WEIR_API int64_t weir_conf_i64(const struct weir_conf *conf, enum weir_conf_key key);
/* weir_conf_real - the same of a row of type REAL. */
WEIR_API double weir_conf_real(const struct weir_conf *conf, enum weir_conf_key key);
WEIR_API const char *weir_conf_text(const struct weir_conf *conf, enum weir_conf_key key);
/* weir_conf_has_checkpoints - whether there is a place for them. */
WEIR_API bool weir_conf_has_checkpoints(const struct weir_conf *conf);
WEIR_API const struct weir_conf_value *
weir_conf_value(const struct weir_conf *conf, enum weir_conf_key key);
/* weir_conf_vertex - a '*' key for one vertex, NULL where not set. */
WEIR_API const struct weir_conf_value *
weir_conf_vertex(const struct weir_conf *conf, enum weir_conf_key key, const char *vertex);
/* weir_conf_param - a parameter of the job, NULL where not set. */
WEIR_API const struct weir_conf_value *
weir_conf_param(const struct weir_conf *conf, const char *name);
/* weir_conf_at - every value: the keys in the order of the table, then vertices, then parameters;
 * NULL past the end. */
WEIR_API const struct weir_conf_value *weir_conf_at(const struct weir_conf *conf, size_t idx);
/* weir_conf_is_default - a key's value that is, in words, the one it has when nobody sets it. */
WEIR_API bool weir_conf_is_default(const struct weir_conf_value *value);
/* weir_conf_pipeline - the `pipeline:` of the highest file that has one, and that file; else NULL.
 */
WEIR_API const struct weir_yaml_node *
weir_conf_pipeline(const struct weir_conf *conf, const struct weir_yaml **ret_file);
/* weir_conf_note - hint idx for the user ("parallelism.default is ..."), NULL past the end. */
WEIR_API const char *weir_conf_note(const struct weir_conf *conf, size_t idx);

/* weir_conf_memory_budget - memory.budget in bytes; auto is worked out from what the process may
 * use (base/cgroup.h). */
WEIR_API int64_t weir_conf_memory_budget(const struct weir_conf *conf, uint64_t available_bytes);

/* weir_conf_row - the description of a key; NULL past the end. */
WEIR_API const struct weir_conf_row *weir_conf_row(size_t key);
/* weir_conf_parse - one value by its row; as weir_opt_parse, and the row's syntax. */
WEIR_API WEIR_MUST_USE int weir_conf_parse(const struct weir_conf_row *row, const char *text,
    int64_t *ret_number, char why[WEIR_OPT_WHY_BYTES]);

#endif
