/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap.h"

#include "base/rng.h"
#include "dataplane/format.h"

void
weir_tap_take(struct weir_tap *tap, const struct weir_view *view, uint32_t from, uint32_t cnt)
{
    /* relaxed: only this core writes it. */
    uint64_t taken = weir_load_rlx(&tap->taken);
    /* [A50] pairs with [R50] in weir_tap_grant: who looks is done with the slots that it grants. */
    if (taken == weir_load_acq(&tap->granted)) {
        return;
    }
    struct weir_tap_slot *slot = &tap->slots[taken % WEIR_TAP_SLOT_CNT];
    /* Any row of the batch, and not always the first one. */
    uint32_t pick = from + (uint32_t)(weir_rng_mix(taken) % cnt);
    uint16_t row = (uint16_t)weir_view_row(view, pick);
    struct weir_view one = *view;
    one.sel = &row;
    one.cnt = 1;
    struct weir_formatted made =
        weir_format_rows(WEIR_FORMAT_JSON, &one, 0, slot->text, sizeof slot->text);
    slot->bytes = made.row_cnt == 1 ? (uint32_t)made.bytes - 1 : 0;
    slot->kind = weir_view_kind(view, row);
    slot->time = view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN;
    /* [R51] pairs with [A51] in weir_tap_read: the slot is filled. */
    weir_store_rel(&tap->taken, taken + 1);
}

void
weir_tap_grant(struct weir_tap *tap, uint64_t cnt)
{
    /* relaxed: only this thread writes it. */
    uint64_t granted = weir_load_rlx(&tap->granted);
    uint64_t most = tap->read + WEIR_TAP_SLOT_CNT;
    /* [R50] pairs with [A50] in weir_tap_take. */
    weir_store_rel(&tap->granted, weir_min_u64(granted + cnt, most));
}

const struct weir_tap_slot *
weir_tap_read(struct weir_tap *tap)
{
    /* [A51] pairs with [R51] in weir_tap_take. The slot is granted anew in a later call only. */
    if (tap->read == weir_load_acq(&tap->taken)) {
        return NULL;
    }
    return &tap->slots[tap->read++ % WEIR_TAP_SLOT_CNT];
}
