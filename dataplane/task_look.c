/* SPDX-License-Identifier: Apache-2.0 */
/* What a task shows of itself to other threads. */
#include "base/hist.h"
#include "dataplane/alignment.h"
#include "dataplane/partition.h"
#include "dataplane/task_priv.h"

static struct weir_counter_set
operator_set(const struct weir_task *task, uint32_t node)
{
    struct task_shown *shown = (struct task_shown *)(uintptr_t)&task->shown;
    return (struct weir_counter_set){.rows = weir_operator_counters_rows,
        .row_cnt = WEIR_OPERATOR_COUNTER_CNT,
        .own = &shown->op[node].rows_in,
        .shown = shown->op_shown[node]};
}

struct weir_counter_set
weir_task_operator_set(const struct weir_task *task, uint32_t node)
{
    return operator_set(task, node);
}

struct weir_counter_set
weir_task_set(const struct weir_task *task)
{
    struct task_shown *shown = (struct task_shown *)(uintptr_t)&task->shown;
    return (struct weir_counter_set){.rows = weir_task_counters_rows,
        .row_cnt = WEIR_TASK_COUNTER_CNT,
        .own = &shown->task.rows_in,
        .shown = shown->task_shown};
}

/* Bytes of the rows that a ring's slot names; 0: an event. */
static uint64_t
bytes_named(const struct weir_batch *slot, const struct weir_channel_format *format)
{
    bool is_selected = slot->sel_off != WEIR_OFF_NONE;
    uint64_t row_cnt = is_selected ? slot->sel_cnt : slot->row_cnt;
    return slot->kind == WEIR_SLOT_BATCH ? row_cnt * format->row_bytes : 0;
}

/* The channels that come in. */
static void
look_at_gates(const struct weir_task *task, struct weir_task_counters *to)
{
    int64_t watermark = WEIR_WATERMARK_MAX;
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        const struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            struct weir_channel_in *in = &gate->channels[c];
            uint32_t waiting_cnt = weir_ring_peek_all(&in->ring);
            to->rows_in += in->rows;
            to->bytes_in += in->rows * gate->format->row_bytes;
            to->buffers_in += in->bufs;
            to->in_queue += waiting_cnt;
            for (uint32_t i = 0; i < waiting_cnt; i++) {
                to->in_bytes +=
                    bytes_named(weir_ring_cons_slot(&in->ring, i, WEIR_LINE_BYTES), gate->format);
            }
            to->in_slots += in->ring.slot_cnt;
        }
        watermark = weir_min_i64(watermark, gate->valve.output);
    }
    double filled = to->in_slots > 0 ? (double)to->in_queue / (double)to->in_slots : 0;
    to->in_pool = weir_counter_real(filled);
    to->watermark_in = (uint64_t)(task->gate_cnt > 0 ? watermark : WEIR_TIME_MIN);
}

/* The channels that go out of one partition. */
static void
look_at_partition(const struct weir_partition_conf *conf, struct weir_task_counters *to)
{
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        const struct weir_channel_out *out = &conf->channels[c];
        to->rows_out += out->rows;
        to->bytes_out += out->rows * out->format->row_bytes;
        to->buffers_out += out->bufs;
        uint32_t filled_cnt = weir_ring_filled_cnt(&out->ring);
        to->out_queue += filled_cnt;
        for (uint64_t seq = out->ring.tail_seq - filled_cnt; seq < out->ring.tail_seq; seq++) {
            to->out_bytes +=
                bytes_named(weir_ring_prod_slot_at(&out->ring, seq, WEIR_LINE_BYTES), out->format);
        }
        to->out_slots += out->ring.slot_cnt;
        uint64_t whole = out->pool != NULL ? weir_buf_bytes(out->pool->arena) : 0;
        uint64_t used = out->limit != 0 ? out->limit : whole;
        to->buf_bytes = used > to->buf_bytes ? used : to->buf_bytes;
    }
}

/* Buffers of a partition's channels that are filled or on their way, of those that it may have. */
static double
pool_usage(const struct weir_partition_conf *conf)
{
    const struct weir_buf_pool *pool = conf->channel_cnt > 0 ? conf->channels[0].pool : NULL;
    /* relaxed: the size is a number on its own. */
    uint32_t size = pool != NULL ? weir_load_rlx(&pool->size) : 0;
    return size > 0 ? (double)(pool->held_cnt - pool->free_cnt) / (double)size : 0;
}

/* The latency markers that came by a node, from wherever. */
static void
look_at_markers(const struct weir_chain *chain, uint32_t node, struct weir_operator_counters *to)
{
    const struct weir_hist *hist;
    to->markers = 0;
    to->marker_ns = 0;
    for (uint32_t s = 0; (hist = weir_chain_marker_latency(chain, node, s)) != NULL; s++) {
        to->markers += hist->cnt;
        to->marker_ns += (uint64_t)hist->ns_sum;
        to->marker_ns_max = hist->ns_max > to->marker_ns_max ? hist->ns_max : to->marker_ns_max;
    }
}

static void
look_at_nodes(struct weir_task *task, struct weir_task_counters *to)
{
    int64_t watermark = WEIR_WATERMARK_MAX;
    double usage = 0;
    for (uint32_t i = 0; i < weir_chain_node_cnt(task->chain); i++) {
        const struct weir_operator *op = weir_chain_operator(task->chain, i);
        struct weir_operator_counters *own = &task->shown.op[i];
        own->rows_in = op->rows_in;
        own->rows_out = op->rows_out;
        own->rows_late = op->rows_late;
        own->rows_bad = op->rows_bad;
        own->timers_fired = op->timers_fired;
        look_at_markers(task->chain, i, own);
        if (op->env->alignment != NULL) {
            own->drift_ms =
                (uint64_t)weir_alignment_drift(op->env->alignment, op->env->alignment_member);
        }
        own->work_done = op->work_done;
        own->work_all = op->work_all;
        own->watermark = (uint64_t)op->watermark;
        own->watermark_out = (uint64_t)weir_chain_output_watermark(task->chain, i);
        to->rows_in += op->type->poll != NULL ? op->rows_in : 0;
        if (op->type == &weir_partition_type) {
            const struct weir_partition_conf *partition =
                (const struct weir_partition_conf *)op->conf;
            double used = pool_usage(partition);
            look_at_partition(partition, to);
            usage = used > usage ? used : usage;
        }
        watermark = op->type->output_cnt == 0 ? weir_min_i64(watermark, op->watermark) : watermark;
        const struct weir_counter_set set = operator_set(task, i);
        weir_counter_publish(&set);
    }
    to->watermark_out = (uint64_t)watermark;
    to->out_pool = weir_counter_real(usage);
}

/* Of the alignment that is under way, or else of the last one. */
static int64_t
align_ns(const struct weir_task *task)
{
    int64_t ns =
        task->cut.is_on ? weir_barrier_align_ns(task->cut.barrier, task->poll_ns) : INT64_C(-1);
    return ns >= 0 ? ns : task->cut.gauges.align_ns;
}

void
weir_task_publish(struct weir_task *task)
{
    if (task->chain == NULL) {
        return;
    }
    struct weir_task_counters now = {
        .init_ms = weir_counter_real((double)task->init_ns / (double)WEIR_MS),
        .align_ns = (uint64_t)align_ns(task),
        .start_delay_ns = (uint64_t)task->cut.gauges.start_delay_ns,
    };
    if (task->cut.is_on) {
        now.mails = task->cut.mbox->head_seq;
        now.mailbox = weir_mbox_pending_cnt(task->cut.mbox);
    }
    if (task->mailbox != NULL) {
        now.mails += weir_mailbox_taken_cnt(task->mailbox);
        now.mailbox += weir_mailbox_cnt(task->mailbox);
    }
    look_at_gates(task, &now);
    look_at_nodes(task, &now);
    task->shown.task = now;
    const struct weir_counter_set set = weir_task_set(task);
    weir_counter_publish(&set);
}

struct weir_task_counts
weir_task_counts(const struct weir_task *task, uint32_t node)
{
    const struct weir_counter_set set = operator_set(task, node);
    struct weir_operator_counters seen;
    weir_counter_read(&set, &seen.rows_in);
    return (struct weir_task_counts){.rows_in = seen.rows_in,
        .rows_out = seen.rows_out,
        .rows_late = seen.rows_late,
        .rows_bad = seen.rows_bad,
        .timers_fired = seen.timers_fired,
        .work_done = seen.work_done,
        .work_all = seen.work_all,
        .watermark = (int64_t)seen.watermark};
}

struct weir_tap *
weir_task_tap(struct weir_task *task, uint32_t node, bool is_on)
{
    return weir_chain_tap(task->chain, node, is_on);
}
