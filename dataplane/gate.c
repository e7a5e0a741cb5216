/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/gate.h"

#include "base/check.h"

void
weir_gate_init(
    struct weir_gate *gate, struct weir_channel_in *channels, uint32_t channel_cnt, void *valve_mem)
{
    gate->channels = channels;
    gate->channel_cnt = channel_cnt;
    gate->next = 0;
    gate->held = UINT32_MAX;
    gate->open_cnt = channel_cnt;
    gate->looks = false;
    gate->first = 0;
    weir_valve_init(&gate->valve, valve_mem, channel_cnt);
    for (uint32_t c = 0; c < channel_cnt; c++) {
        channels[c].watermark = WEIR_TIME_MIN;
    }
}

void
weir_gate_release(struct weir_gate *gate)
{
    if (gate->held != UINT32_MAX) {
        weir_ring_release(&gate->channels[gate->held].ring, 1);
        gate->held = UINT32_MAX;
    }
}

static void
say_barrier(struct weir_gate_item *item, uint32_t c, const struct weir_mark *mark, bool is_ahead)
{
    item->kind = WEIR_SLOT_BARRIER;
    item->channel = c;
    item->is_ahead = is_ahead;
    item->mark = *mark;
}

static struct weir_mark
mark_of(const struct weir_batch *slot)
{
    const struct weir_mark mark = {
        .id = (uint64_t)slot->watermark, .trigger_ns = slot->intended_ns, .kind = slot->flags};
    return mark;
}

/* Those in slots first: finding one may show more slots, and what is said beside the slots has to
 * be looked for behind that. */
bool
weir_gate_ahead(struct weir_gate *gate, uint32_t c, struct weir_gate_item *ret_item)
{
    struct weir_channel_in *channel = &gate->channels[c];
    uint64_t seq = weir_ring_urgent_seq(&channel->ring);
    if (seq != WEIR_RING_SEQ_NONE && seq >= channel->said_seq) {
        const struct weir_mark mark =
            mark_of(weir_ring_slot_at(&channel->ring, seq, sizeof(struct weir_batch)));
        channel->said_seq = seq + 1;
        say_barrier(ret_item, c, &mark, true);
        return true;
    }
    struct weir_ring_urgent urgent;
    if (weir_ring_urged(&channel->ring, &urgent) == 0) {
        return false;
    }
    channel->has_urgent = true;
    channel->urgent_seq = urgent.seq;
    channel->urgent = (struct weir_mark){.id = urgent.words[0],
        .trigger_ns = (int64_t)urgent.words[1],
        .kind = (uint32_t)urgent.words[2],
        .is_urgent = true};
    say_barrier(ret_item, c, &channel->urgent, true);
    return true;
}

static void
take(struct weir_gate *gate, uint32_t c, struct weir_gate_item *item)
{
    struct weir_channel_in *channel = &gate->channels[c];
    const struct weir_batch *slot = weir_ring_cons_slot(&channel->ring, 0, sizeof *slot);
    item->kind = slot->kind;
    item->channel = c;
    item->is_ahead = false;
    item->result.watermark_set = false;
    item->result.status = WEIR_VALVE_SAME;
    switch (slot->kind) {
    case WEIR_SLOT_BATCH:
        weir_channel_view(slot, gate->format, gate->regions, &item->view);
        item->view.watermark = channel->watermark;
        channel->rows += item->view.cnt;
        channel->bufs++;
        break;
    case WEIR_SLOT_WATERMARK:
        channel->watermark = slot->watermark;
        item->result = weir_valve_watermark(&gate->valve, c, slot->watermark);
        break;
    case WEIR_SLOT_IDLE:
    case WEIR_SLOT_ACTIVE:
        item->result = weir_valve_status(&gate->valve, c, slot->kind == WEIR_SLOT_IDLE);
        break;
    case WEIR_SLOT_BARRIER:
    case WEIR_SLOT_CANCEL:
    case WEIR_SLOT_LATENCY:
        item->mark = mark_of(slot);
        break;
    case WEIR_SLOT_END:
        WEIR_CHECK(!channel->ended, "a channel ended twice");
        channel->ended = true;
        gate->open_cnt--;
        break;
    default:
        break;
    }
    weir_ring_advance(&channel->ring, 1);
    if (item->kind == WEIR_SLOT_BATCH) {
        gate->held = c;
    } else {
        weir_ring_release(&channel->ring, 1);
    }
}

/* Word of a barrier, or one that stands before the next slot and has none itself. */
static bool
take_urgent(struct weir_gate *gate, uint32_t c, struct weir_gate_item *item)
{
    struct weir_channel_in *channel = &gate->channels[c];
    if (weir_gate_ahead(gate, c, item)) {
        return true;
    }
    if (!channel->has_urgent || channel->urgent_seq != weir_ring_look_seq(&channel->ring)) {
        return false;
    }
    channel->has_urgent = false;
    say_barrier(item, c, &channel->urgent, false);
    return true;
}

void
weir_gate_next(struct weir_gate *gate, struct weir_gate_item *ret_item)
{
    WEIR_DCHECK(gate->held == UINT32_MAX, "the batch before is still held");
    ret_item->kind = 0;
    for (uint32_t i = 0; i < gate->channel_cnt; i++) {
        uint32_t c = gate->next;
        gate->next = c + 1 == gate->channel_cnt ? 0 : c + 1;
        struct weir_channel_in *channel = &gate->channels[c];
        if (channel->ended || channel->blocked) {
            continue;
        }
        bool is_there = weir_ring_peek(&channel->ring) > 0;
        if (gate->looks && take_urgent(gate, c, ret_item)) {
            return;
        }
        if (is_there) {
            take(gate, c, ret_item);
            return;
        }
    }
}

/* The channel that has one, or channel_cnt. */
static uint32_t
channel_with_mark(struct weir_gate *gate)
{
    for (uint32_t c = 0; c < gate->channel_cnt; c++) {
        struct weir_channel_in *channel = &gate->channels[c];
        if (channel->ended || channel->blocked || weir_ring_peek(&channel->ring) == 0) {
            continue;
        }
        const struct weir_batch *slot = weir_ring_cons_slot(&channel->ring, 0, sizeof *slot);
        if (slot->kind == WEIR_SLOT_BARRIER || slot->kind == WEIR_SLOT_CANCEL) {
            return c;
        }
    }
    return gate->channel_cnt;
}

bool
weir_gate_has_mark(struct weir_gate *gate)
{
    return channel_with_mark(gate) < gate->channel_cnt;
}

void
weir_gate_next_mark(struct weir_gate *gate, struct weir_gate_item *ret_item)
{
    uint32_t c = channel_with_mark(gate);
    ret_item->kind = 0;
    if (c < gate->channel_cnt) {
        take(gate, c, ret_item);
    }
}

struct weir_valve_result
weir_gate_regain(struct weir_gate *gate, uint32_t channel, uint32_t slot_kind, int64_t value)
{
    if (slot_kind == WEIR_SLOT_WATERMARK) {
        gate->channels[channel].watermark = value;
        return weir_valve_watermark(&gate->valve, channel, value);
    }
    return weir_valve_status(&gate->valve, channel, slot_kind == WEIR_SLOT_IDLE);
}

void
weir_gate_snapshot(const struct weir_gate *gate, struct weir_parts_writer *parts)
{
    weir_valve_snapshot(&gate->valve, parts);
    for (uint32_t c = 0; c < gate->channel_cnt; c++) {
        weir_parts_put_u64(parts, (uint64_t)gate->channels[c].watermark);
    }
}

int
weir_gate_restore(struct weir_gate *gate, struct weir_part *part)
{
    uint32_t channel_cnt;
    int rc = weir_valve_restore(&gate->valve, part, &channel_cnt);
    for (uint32_t c = 0; c < channel_cnt && rc == 0; c++) {
        uint64_t watermark;
        rc = weir_part_get_u64(part, &watermark);
        if (rc == 0 && channel_cnt == gate->channel_cnt) {
            gate->channels[c].watermark = (int64_t)watermark;
        }
    }
    return rc != 0 ? rc : weir_part_end(part);
}

/* Without a watermark of its own a channel makes rows late by what the gate had put out: whose rows
 * they were cannot be told. */
void
weir_gate_restore_fused(struct weir_gate *gate, int64_t watermark)
{
    weir_valve_level(&gate->valve, watermark);
    for (uint32_t c = 0; c < gate->channel_cnt; c++) {
        gate->channels[c].watermark = watermark;
    }
}

/* As many channels as before are not the same ones: another subtask may send now what came by one
 * that was further, and keep back what is held for it. */
int
weir_gate_restore_least(struct weir_gate *gate, struct weir_part *part, bool is_first)
{
    uint32_t channel_cnt;
    int64_t least = gate->valve.output;
    int rc = weir_valve_restore(&gate->valve, part, &channel_cnt);
    for (uint32_t c = 0; c < channel_cnt && rc == 0; c++) {
        uint64_t passed_over;
        rc = weir_part_get_u64(part, &passed_over);
    }
    if (rc == 0) {
        least = is_first ? gate->valve.output : weir_min_i64(least, gate->valve.output);
        weir_gate_restore_fused(gate, least);
    }
    return rc != 0 ? rc : weir_part_end(part);
}
