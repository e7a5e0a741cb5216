/* SPDX-License-Identifier: Apache-2.0 */
/* metric.h: all that a running job tells in figures: what its tasks, operators and cores publish,
 * rates of it, and how the job and its checkpoints go; as a page for a scrape.
 *
 *     cores --publish (task_counters.h, core.h)--> shown values --+
 *                                                                 +--> weir_metrics_print()
 *     weir_metrics_sample(), once a second --> rates -------------+
 *
 * It reads only what is published: no core notices a sample or a page, however often they are
 * taken. Names are Flink's where Flink has one, behind weir_job_, weir_task_, weir_operator_ and
 * weir_core_; so are the labels job_name, task_name, subtask_index and operator_name.
 *
 * Thread: one, beside the job's cores.
 */
#ifndef WEIR_SCHED_METRIC_H
#define WEIR_SCHED_METRIC_H

#include "base/counter.h"
#include "sched/job.h"

/* Rates of a task, over the last sample or two. Parts of its time add up to 1000. */
#define WEIR_TASK_RATES(X)                                                                      \
    X(records_in, "numRecordsInPerSecond", REAL, "records/s", "Records that came in")           \
    X(records_out, "numRecordsOutPerSecond", REAL, "records/s", "Records that were sent")       \
    X(bytes_in, "numBytesInLocalPerSecond", REAL, "bytes/s", "As numBytesInLocal")              \
    X(bytes_out, "numBytesOutPerSecond", REAL, "bytes/s", "As numBytesOut")                     \
    X(buffers_out, "numBuffersOutPerSecond", REAL, "buffers/s", "As numBuffersOut")             \
    X(consume_ms, "estimatedTimeToConsumeBuffersMs", REAL, "ms",                                \
        "That it takes for what waits in its rings, at the rate of the last sample or two")     \
    X(mails, "mailboxMailsPerSecond", REAL, "letters/s", "As mailboxMails")                     \
    X(busy, "busyTimeMsPerSecond", REAL, "ms/s", "Part of the time in which it had work")       \
    X(backpressured, "backPressuredTimeMsPerSecond", REAL, "ms/s",                              \
        "Part of the time in which an output was full")                                         \
    X(soft, "softBackPressuredTimeMsPerSecond", REAL, "ms/s",                                   \
        "All of that: a task never blocks in the midst of a record")                            \
    X(hard, "hardBackPressuredTimeMsPerSecond", REAL, "ms/s", "None of that")                   \
    X(idle, "idleTimeMsPerSecond", REAL, "ms/s", "Part of the time in which nothing was to do") \
    X(snapshot, "snapshotTimeMsPerSecond", REAL, "ms/s",                                        \
        "Part of the time in which the writing of a snapshot held it up")
WEIR_COUNTER_TABLE(weir_task_rates, WEIR_TASK_RATES)

#define WEIR_OPERATOR_RATES(X)                                                        \
    X(records_in, "numRecordsInPerSecond", REAL, "records/s", "Records that came in") \
    X(records_out, "numRecordsOutPerSecond", REAL, "records/s", "Records that went out")
WEIR_COUNTER_TABLE(weir_operator_rates, WEIR_OPERATOR_RATES)

#define WEIR_CORE_METRICS(X)                                                              \
    X(busy_ms, "accumulateBusyTimeMs", COUNTER, "ms", "Time in which tasks worked")       \
    X(backpressured_ms, "accumulateBackPressuredTimeMs", COUNTER, "ms",                   \
        "Time in which all tasks with work had full outputs")                             \
    X(idle_ms, "accumulateIdleTimeMs", COUNTER, "ms", "Time in which nothing was to do")  \
    X(snapshot_ms, "accumulateSnapshotTimeMs", COUNTER, "ms",                             \
        "Time in which the writing of a snapshot held tasks up")                          \
    X(stolen_ms, "accumulateStolenTimeMs", COUNTER, "ms",                                 \
        "Time that the kernel's scheduler or the hypervisor gave to others")              \
    X(busy, "busyTimeMsPerSecond", REAL, "ms/s", "As above, over the last sample or two") \
    X(backpressured, "backPressuredTimeMsPerSecond", REAL, "ms/s", "Likewise")            \
    X(idle, "idleTimeMsPerSecond", REAL, "ms/s", "Likewise")                              \
    X(snapshot, "snapshotTimeMsPerSecond", REAL, "ms/s", "Likewise")                      \
    X(stolen, "stolenTimeMsPerSecond", REAL, "ms/s", "Likewise")                          \
    X(gap_ns, "longestPollNanos", GAUGE, "ns", "Longest time between two polls so far")
WEIR_COUNTER_TABLE(weir_core_metrics, WEIR_CORE_METRICS)

#define WEIR_JOB_METRICS(X)                                                                      \
    X(is_starting, "initializingState", GAUGE, "0 or 1", "Whether a task is not running yet")    \
    X(is_running, "runningState", GAUGE, "0 or 1", "Whether it runs, and was not asked to end")  \
    X(is_ending, "endingState", GAUGE, "0 or 1", "Whether it ends, as asked or by itself")       \
    X(deploying_ms, "deployingTimeTotal", REAL, "ms",                                            \
        "From the begin of this start until it was wired, with all of its memory")               \
    X(starting_ms, "initializingTimeTotal", REAL, "ms",                                          \
        "From there until all operators were restored and open; 0: they are not yet")            \
    X(uptime_ms, "uptime", GAUGE, "ms", "Time since this start of it")                           \
    X(restarts, "numRestarts", COUNTER, "restarts", "By its supervisor, before this start")      \
    X(records_in, "numRecordsIn", COUNTER, "records", "Records of all sources")                  \
    X(records_out, "numRecordsOut", COUNTER, "records", "Records that sinks have taken")         \
    X(records_late, "numLateRecordsDropped", COUNTER, "records", "Records behind the watermark") \
    X(records_bad, "numMalformedRecords", COUNTER, "records", "Records that could not be read")  \
    X(rate_in, "numRecordsInPerSecond", REAL, "records/s", "Records of all sources")             \
    X(rate_out, "numRecordsOutPerSecond", REAL, "records/s", "Records that sinks have taken")    \
    X(watermark, "currentOutputWatermark", GAUGE, "ms of event time", "The least at the sinks")  \
    X(segments, "TotalMemorySegments", GAUGE, "buffers", "Buffers for rows between tasks")       \
    X(segments_free, "AvailableMemorySegments", GAUGE, "buffers", "Of these, what no task has")  \
    X(segments_used, "UsedMemorySegments", GAUGE, "buffers",                                     \
        "Of these, what tasks have, be they filled or not")                                      \
    X(in_progress, "numberOfInProgressCheckpoints", GAUGE, "checkpoints", "Under way")           \
    X(completed, "numberOfCompletedCheckpoints", COUNTER, "checkpoints", "Complete")             \
    X(failed, "numberOfFailedCheckpoints", COUNTER, "checkpoints",                               \
        "Declined, overdue, or not to be stored")                                                \
    X(total, "totalNumberOfCheckpoints", COUNTER, "checkpoints", "All of these")                 \
    X(last_id, "lastCompletedCheckpointId", GAUGE, "id", "0: none yet")                          \
    X(last_ms, "lastCheckpointDuration", GAUGE, "ms", "From its trigger until it was stored")    \
    X(last_bytes, "lastCheckpointSize", GAUGE, "bytes", "Written for it")                        \
    X(last_full_bytes, "lastCheckpointFullSize", GAUGE, "bytes", "Of all files that it needs")   \
    X(last_utc_ms, "lastCheckpointCompletedTimestamp", GAUGE, "ms of UTC", "When it was stored") \
    X(last_stall_ns, "lastCheckpointStallNanos", GAUGE, "ns",                                    \
        "The longest time that a task did nothing else for it")                                  \
    X(restored_utc_ms, "lastCheckpointRestoreTimestamp", GAUGE, "ms of UTC",                     \
        "When this start began, if it went on from a checkpoint; else 0")
WEIR_COUNTER_TABLE(weir_job_metrics, WEIR_JOB_METRICS)

struct weir_metrics_conf {
    struct weir_job *job;
    const struct weir_plan *plan; /* of the job */
    const char *job_name;
    uint32_t restart_cnt;
};

struct weir_metrics;

/* weir_metrics_open - conf's parts outlive it; at now_ns, and UTC, the job begins. WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_metrics_open(const struct weir_metrics_conf *conf, int64_t now_ns,
    int64_t utc_ns, struct weir_metrics **ret_metrics);
/* weir_metrics_close - takes NULL. */
WEIR_API void weir_metrics_close(struct weir_metrics *metrics);

/* weir_metrics_sample - what changes with time is of now; rates are over the time since the one
 * before. is_ending: the job was asked to end. */
#define WEIR_METRICS_SAMPLE_NS WEIR_SEC_NS
WEIR_API void weir_metrics_sample(struct weir_metrics *metrics, int64_t now_ns, bool is_ending);
/* weir_metrics_due_ns - when the next sample is. */
WEIR_API int64_t weir_metrics_due_ns(const struct weir_metrics *metrics);

/* weir_metrics_print - the whole page, with its end. WEIR_EIO. */
WEIR_API WEIR_MUST_USE int
weir_metrics_print(const struct weir_metrics *metrics, const struct weir_counter_page *page);

/* One table of the page: what stands before its names, and its rows. */
struct weir_metrics_table {
    const char *prefix;
    const struct weir_counter_row *rows;
    uint32_t row_cnt;
};
/* weir_metrics_table_at - table idx of a page, in its order; false past the end. */
WEIR_API bool weir_metrics_table_at(uint32_t idx, struct weir_metrics_table *ret_table);

/* The last sample of each; of a core NULL under the seeded poller. */
WEIR_API const struct weir_job_metrics *weir_metrics_job(const struct weir_metrics *metrics);
WEIR_API const struct weir_core_metrics *
weir_metrics_core(const struct weir_metrics *metrics, uint32_t core);
WEIR_API const struct weir_task_rates *
weir_metrics_task_rates(const struct weir_metrics *metrics, uint32_t stage);
/* weir_metrics_task - what a task has published last. */
WEIR_API void weir_metrics_task(
    const struct weir_metrics *metrics, uint32_t stage, struct weir_task_counters *ret_counters);
/* weir_metrics_real - a field of a table that is a REAL. */
static inline double
weir_metrics_real(uint64_t field)
{
    double real;
    memcpy(&real, &field, sizeof real);
    return real;
}

#endif
