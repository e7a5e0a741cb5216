/* SPDX-License-Identifier: Apache-2.0 */
/* q3: people of OR, ID and CA joined with auctions of category 10, whichever came first; both sides
 *     grow. */
#include <stdlib.h>

#include "bench/nexmark/kernels.h"

#define SLOTS_MIN 1024

/* Records of one side, chained by key. Slots are doubled as they fill. */
struct side {
    uint32_t *slots; /* 1 + index of the newest entry of a chain; 0 is free */
    uint32_t slot_mask;
    uint32_t entry_cnt;
    uint32_t entry_max;
    struct entry {
        const struct nexmark_event *event;
        int64_t key;
        uint32_t next; /* as in slots */
    } * entries;
};

static inline uint32_t
slot_of(const struct side *side, int64_t key)
{
    return (uint32_t)(((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & side->slot_mask;
}

static int
grow(struct side *side)
{
    uint32_t entry_max = side->entry_max == 0 ? SLOTS_MIN : 2 * side->entry_max;
    struct entry *entries = realloc(side->entries, entry_max * sizeof *entries);
    if (entries == NULL) {
        return -1;
    }
    side->entries = entries;
    uint32_t *slots = calloc(entry_max, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    free(side->slots);
    side->slots = slots;
    side->slot_mask = entry_max - 1;
    side->entry_max = entry_max;
    for (uint32_t i = 0; i < side->entry_cnt; i++) {
        uint32_t slot = slot_of(side, entries[i].key);
        entries[i].next = slots[slot];
        slots[slot] = i + 1;
    }
    return 0;
}

static int
add(struct side *side, int64_t key, const struct nexmark_event *event)
{
    if (side->entry_cnt == side->entry_max && grow(side) != 0) {
        return -1;
    }
    uint32_t slot = slot_of(side, key);
    side->entries[side->entry_cnt] = (struct entry){event, key, side->slots[slot]};
    side->slots[slot] = ++side->entry_cnt;
    return 0;
}

static int
emit(const struct nexmark_log *log, const struct nexmark_event *person,
    const struct nexmark_event *auction, struct kernel_result *result)
{
    static const uint32_t texts[3] = {
        NEXMARK_PERSON_NAME, NEXMARK_PERSON_CITY, NEXMARK_PERSON_STATE};
    const uint8_t *payload = nexmark_log_payload(log, person);
    uint64_t sum = weir_row_add(0, 3, (uint64_t)auction->id_or_auction);
    for (uint32_t i = 0; i < 3; i++) {
        struct nexmark_text text;
        if (payload == NULL || !nexmark_event_text(person, payload, texts[i], &text)) {
            return -1;
        }
        sum = weir_row_add(sum, i, weir_row_text(text.ptr, text.bytes));
    }
    kernel_emit(result, sum);
    return 0;
}

/* Whether the person lives in OR, ID or CA; < 0 where the payload lies. */
static int
lives_there(const struct nexmark_log *log, const struct nexmark_event *e)
{
    const uint8_t *payload = nexmark_log_payload(log, e);
    struct nexmark_text state;
    if (payload == NULL || !nexmark_event_text(e, payload, NEXMARK_PERSON_STATE, &state)) {
        return -1;
    }
    return state.bytes == 2 &&
           (memcmp(state.ptr, "OR", 2) == 0 || memcmp(state.ptr, "ID", 2) == 0 ||
               memcmp(state.ptr, "CA", 2) == 0);
}

struct q3 {
    const struct nexmark_log *log;
    struct side people;
    struct side auctions;
    struct kernel_result result;
};

static int
see_person(struct q3 *q, const struct nexmark_event *e)
{
    int there = lives_there(q->log, e);
    int err = there > 0 ? add(&q->people, e->id_or_auction, e) : there;
    if (there <= 0 || q->auctions.entry_cnt == 0) {
        return err;
    }
    uint32_t next = q->auctions.slots[slot_of(&q->auctions, e->id_or_auction)];
    while (next != 0 && err == 0) {
        const struct entry *entry = &q->auctions.entries[next - 1];
        if (entry->key == e->id_or_auction) {
            err = emit(q->log, e, entry->event, &q->result);
        }
        next = entry->next;
    }
    return err;
}

static int
see_auction(struct q3 *q, const struct nexmark_event *e)
{
    int err = add(&q->auctions, e->seller_or_bidder, e);
    if (q->people.entry_cnt == 0) {
        return err;
    }
    uint32_t next = q->people.slots[slot_of(&q->people, e->seller_or_bidder)];
    while (next != 0 && err == 0) {
        const struct entry *entry = &q->people.entries[next - 1];
        if (entry->key == e->seller_or_bidder) {
            err = emit(q->log, entry->event, e, &q->result);
        }
        next = entry->next;
    }
    return err;
}

int
kernel_q3(const struct kernel_input *input, struct kernel_result *ret_result)
{
    struct q3 q = {.log = &input->log};
    int err = 0;
    for (uint64_t i = 0; i < q.log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &q.log->records[i];
        /* One in fifty is a person, whose state lies at the end of a payload: fetched ahead. */
        if (i + KERNEL_AHEAD < q.log->record_cnt && e[KERNEL_AHEAD].kind == NEXMARK_PERSON) {
            kernel_fetch(q.log, i + KERNEL_AHEAD, 192);
        }
        if (WEIR_LIKELY(e->kind == NEXMARK_BID)) {
            continue;
        }
        if (e->kind == NEXMARK_PERSON) {
            err = see_person(&q, e);
        } else if (e->category == 10) {
            err = see_auction(&q, e);
        }
    }
    free(q.people.slots);
    free(q.people.entries);
    free(q.auctions.slots);
    free(q.auctions.entries);
    q.result.events = q.log->record_cnt;
    *ret_result = q.result;
    return err;
}
