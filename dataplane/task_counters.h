/* SPDX-License-Identifier: Apache-2.0 */
/* task_counters.h: what tasks and their operators count, in tables of base/counter.h.
 *
 * The fields are filled when the polling core publishes (weir_task_publish), from what gates,
 * partitions and operators count anyway: a record pays nothing for them. Names are Flink's where
 * Flink has one; docs/metrics.md says what is meant.
 */
#ifndef WEIR_DATAPLANE_TASK_COUNTERS_H
#define WEIR_DATAPLANE_TASK_COUNTERS_H

#include "base/counter.h"

#define WEIR_OPERATOR_COUNTERS(X)                                                                  \
    X(rows_in, "numRecordsIn", COUNTER, "records",                                                 \
        "Records that came in; of a source, that it "                                              \
        "has read")                                                                                \
    X(rows_out, "numRecordsOut", COUNTER, "records", "Records that went out, over all outputs")    \
    X(rows_late, "numLateRecordsDropped", COUNTER, "records", "Records behind the watermark")      \
    X(rows_bad, "numMalformedRecords", COUNTER, "records", "Records that could not be read")       \
    X(timers_fired, "numFiredTimers", COUNTER, "timers",                                           \
        "Timers of process functions and of windows of each key's own that have fired")            \
    X(markers, "latencyMarkers", COUNTER, "markers",                                               \
        "Latency markers that came by, of all sources")                                            \
    X(marker_ns, "latencyNanosSum", COUNTER, "ns", "Time that they took to come here, summed up")  \
    X(marker_ns_max, "latencyNanosMax", GAUGE, "ns", "The longest of these times")                 \
    X(drift_ms, "watermarkAlignmentDrift", GAUGE, "ms of event time",                              \
        "How far it is ahead of the last of the sources that wait for each other")                 \
    X(work_done, "workDone", GAUGE, "units of the source", "How far a source with a known end is") \
    X(work_all, "workAll", GAUGE, "units of the source", "Of how much; 0 where no end is known")   \
    X(watermark, "currentInputWatermark", GAUGE, "ms of event time", "Watermark of its inputs")    \
    X(watermark_out, "currentOutputWatermark", GAUGE, "ms of event time",                          \
        "Watermark that it has sent last")
WEIR_COUNTER_TABLE(weir_operator_counters, WEIR_OPERATOR_COUNTERS)

#define WEIR_TASK_COUNTERS(X)                                                                   \
    X(rows_in, "numRecordsIn", COUNTER, "records", "Records that came in by gates and sources") \
    X(rows_out, "numRecordsOut", COUNTER, "records", "Records that were sent to other tasks")   \
    X(bytes_in, "numBytesInLocal", COUNTER, "bytes",                                            \
        "Bytes of rows that came in by gates, without texts that lie outside of the rows")      \
    X(bytes_out, "numBytesOut", COUNTER, "bytes", "Bytes of rows sent, likewise")               \
    X(buffers_in, "numBuffersInLocal", COUNTER, "batches", "Batches that came in by gates")     \
    X(buffers_out, "numBuffersOut", COUNTER, "buffers", "Buffers that were filled for others")  \
    X(watermark_in, "currentInputWatermark", GAUGE, "ms of event time",                         \
        "Least watermark of its gates")                                                         \
    X(watermark_out, "currentOutputWatermark", GAUGE, "ms of event time",                       \
        "Least watermark that its last operators have come to")                                 \
    X(in_queue, "inputQueueLength", GAUGE, "slots", "Slots of rings that wait to be taken")     \
    X(in_slots, "inputQueueCapacity", GAUGE, "slots", "Slots that the rings of its gates have") \
    X(in_bytes, "inputQueueSize", GAUGE, "bytes",                                               \
        "Bytes of rows that wait to be taken, as numBytesInLocal")                              \
    X(in_pool, "inPoolUsage", REAL, "part of 1", "Of these slots, those that wait to be taken") \
    X(out_queue, "outputQueueLength", GAUGE, "slots", "Slots of rings that wait for consumers") \
    X(out_slots, "outputQueueCapacity", GAUGE, "slots", "Slots that the rings it fills have")   \
    X(out_bytes, "outputQueueSize", GAUGE, "bytes",                                             \
        "Bytes of rows that wait for consumers, as numBytesOut")                                \
    X(out_pool, "outPoolUsage", REAL, "part of 1",                                              \
        "Buffers in use, of those that the fullest of its pools may hold; above 1: overdraft")  \
    X(buf_bytes, "debloatedBufferSize", GAUGE, "bytes",                                         \
        "Of a buffer that it fills, as much as is used; the largest of its channels")           \
    X(mails, "mailboxMails", COUNTER, "letters", "Letters taken from the task's mailboxes")     \
    X(mailbox, "mailboxQueueSize", GAUGE, "letters", "Letters that wait in them")               \
    X(init_ms, "initializationTime", REAL, "ms",                                                \
        "That it took to open its operators; 0: they are not open yet")                         \
    X(align_ns, "checkpointAlignmentTime", GAUGE, "ns",                                         \
        "From the first barrier to the last of the newest checkpoint, or to now")               \
    X(start_delay_ns, "checkpointStartDelayNanos", GAUGE, "ns",                                 \
        "From the trigger of the newest checkpoint to its first barrier here")
WEIR_COUNTER_TABLE(weir_task_counters, WEIR_TASK_COUNTERS)

#define WEIR_OPERATOR_COUNTER_CNT (sizeof(struct weir_operator_counters) / sizeof(uint64_t))
#define WEIR_TASK_COUNTER_CNT (sizeof(struct weir_task_counters) / sizeof(uint64_t))

#endif
