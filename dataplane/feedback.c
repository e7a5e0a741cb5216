/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/feedback.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/region.h"

/* Instead of a section's first word: nothing more up to the end of the memory. */
#define SKIP UINT64_C(0)

static struct weir_feedback_slot *
slot_of(const struct weir_feedback *feedback, uint32_t idx)
{
    return &feedback->slots[idx];
}

static int
map(const struct weir_feedback *feedback, struct weir_feedback_slot *slot, uint64_t bytes)
{
    slot->bytes = weir_align_up(bytes, WEIR_PAGE_BYTES);
    slot->mem = (char *)weir_lazy_map(slot->bytes);
    return slot->mem != NULL
               ? 0
               : weir_err_push(WEIR_ENOMEM, "loop %s: %llu bytes for the rows that come back",
                     feedback->name, (unsigned long long)slot->bytes);
}

int
weir_feedback_join(const struct weir_feedback *feedback, uint32_t idx, enum weir_feedback_end end)
{
    struct weir_feedback_slot *slot = slot_of(feedback, idx);
    if (slot->joined == 0) {
        memset(slot, 0, offsetof(struct weir_feedback_slot, pad));
        weir_store_rlx(&slot->round, 0); /* relaxed, both: nothing is said with them yet */
        weir_store_rlx(&slot->busy_round, 0);
        int rc = map(feedback, slot, feedback->budget_bytes);
        if (rc != 0) {
            return rc;
        }
        weir_channel_format_init(&slot->format, feedback->schema, true, false);
        slot->place = (struct weir_flight_place){.uid = feedback->name, .subtask = idx};
    }
    slot->joined |= (uint32_t)end;
    return 0;
}

void
weir_feedback_leave(const struct weir_feedback *feedback, uint32_t idx, enum weir_feedback_end end)
{
    struct weir_feedback_slot *slot = slot_of(feedback, idx);
    slot->joined &= ~(uint32_t)end;
    if (slot->joined == 0) {
        weir_lazy_unmap(slot->mem, slot->bytes);
        slot->mem = NULL;
    }
}

int
weir_feedback_widen(const struct weir_feedback *feedback, uint32_t idx, uint64_t more_bytes)
{
    struct weir_feedback_slot *slot = slot_of(feedback, idx);
    WEIR_CHECK(slot->put_seq == 0, "loop %s: its queue has had rows", feedback->name);
    weir_lazy_unmap(slot->mem, slot->bytes);
    return map(feedback, slot, feedback->budget_bytes + more_bytes);
}

/* ---- the ring ---- */

/* The first byte that something may still be read from. */
static uint64_t
kept_seq(const struct weir_feedback_slot *slot)
{
    uint64_t seq = slot->held_seq;
    for (uint32_t i = 0; i < slot->cut_cnt; i++) {
        seq = weir_min_u64(seq, slot->cut[i].seq);
    }
    return seq;
}

/* Bytes from seq to the end of the memory. */
static uint64_t
to_end(const struct weir_feedback_slot *slot, uint64_t seq)
{
    return slot->bytes - seq % slot->bytes;
}

static char *
at(const struct weir_feedback_slot *slot, uint64_t seq)
{
    return slot->mem + seq % slot->bytes;
}

/* A section of the rows at put_seq + skipped, where `room` bytes are free. Its bytes; 0: it does
 * not fit. */
static uint64_t
write_section(struct weir_feedback_slot *slot, const struct weir_view *view, uint32_t from,
    uint64_t skipped, uint64_t room)
{
    struct weir_flight_writer writer;
    size_t bytes;
    if (room < WEIR_FLIGHT_HEAD_BYTES) {
        return 0;
    }
    weir_flight_begin(&writer, at(slot, slot->put_seq + skipped), room);
    const struct weir_flight_run run = {
        .format = &slot->format, .view = view, .from = from, .cnt = view->cnt - from};
    weir_flight_rows(&writer, &slot->place, &run);
    return writer.is_short || weir_flight_finish(&writer, &bytes) != 0 ? 0 : bytes;
}

/* False: there is no room. */
static bool
put(struct weir_feedback_slot *slot, const struct weir_view *view, uint32_t from)
{
    uint64_t free_bytes = slot->bytes - (slot->put_seq - kept_seq(slot));
    uint64_t end = to_end(slot, slot->put_seq);
    uint64_t skipped = 0;
    uint64_t bytes = write_section(slot, view, from, 0, weir_min_u64(end, free_bytes));
    if (bytes == 0 && free_bytes > end) {
        skipped = end;
        bytes = write_section(slot, view, from, skipped, free_bytes - end);
    }
    if (bytes == 0) {
        return false;
    }
    if (skipped > 0) {
        const uint64_t skip = SKIP;
        memcpy(at(slot, slot->put_seq), &skip, sizeof skip);
    }
    slot->put_seq += skipped + bytes;
    slot->row_cnt += view->cnt - from;
    return true;
}

int
weir_feedback_put(
    const struct weir_feedback *feedback, uint32_t idx, const struct weir_view *view, uint32_t from)
{
    struct weir_feedback_slot *slot = slot_of(feedback, idx);
    if (put(slot, view, from)) {
        return 0;
    }
    slot->cut_cnt = 0;
    if (put(slot, view, from)) {
        return 0;
    }
    return weir_err_push(WEIR_EBUDGET,
        "loop %s: %llu rows wait to go round again, and the %llu bytes for them (budget_bytes) "
        "have no room for %u more: its body gives back more rows than it is given",
        feedback->name, (unsigned long long)slot->row_cnt, (unsigned long long)slot->bytes,
        view->cnt - from);
}

const void *
weir_feedback_next(const struct weir_feedback_slot *slot, uint64_t *seq, uint64_t *ret_bytes)
{
    uint64_t first;
    if (*seq == slot->put_seq) {
        return NULL;
    }
    memcpy(&first, at(slot, *seq), sizeof first);
    if (first == SKIP) {
        *seq += to_end(slot, *seq);
    }
    const char *section = at(slot, *seq);
    memcpy(ret_bytes, section + WEIR_FLIGHT_BYTES_OFF, sizeof *ret_bytes);
    *seq += *ret_bytes;
    return section;
}

int
weir_feedback_take(const struct weir_feedback *feedback, uint32_t idx, struct weir_view *ret_view)
{
    struct weir_feedback_slot *slot = slot_of(feedback, idx);
    uint64_t bytes = 0;
    size_t offset = 0;
    slot->held_seq = slot->take_seq;
    const void *section = weir_feedback_next(slot, &slot->take_seq, &bytes);
    int rc =
        weir_flight_view(weir_flight_next(section, bytes, &offset), feedback->schema, ret_view);
    if (rc == 0) {
        slot->row_cnt -= ret_view->cnt;
    }
    return rc;
}

/* ---- checkpoints ---- */

void
weir_feedback_cut(struct weir_feedback_slot *slot, uint64_t id)
{
    if (slot->cut_cnt == WEIR_FEEDBACK_CUT_CNT_MAX) {
        weir_feedback_forget(slot, slot->cut[0].id);
    }
    slot->cut[slot->cut_cnt++] = (struct weir_feedback_cut){id, slot->take_seq};
}

const struct weir_feedback_cut *
weir_feedback_find(const struct weir_feedback_slot *slot, uint64_t id)
{
    for (uint32_t i = 0; i < slot->cut_cnt; i++) {
        if (slot->cut[i].id == id) {
            return &slot->cut[i];
        }
    }
    return NULL;
}

void
weir_feedback_forget(struct weir_feedback_slot *slot, uint64_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < slot->cut_cnt; i++) {
        if (slot->cut[i].id != id) {
            slot->cut[kept++] = slot->cut[i];
        }
    }
    slot->cut_cnt = kept;
}
