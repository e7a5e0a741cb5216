/* SPDX-License-Identifier: Apache-2.0 */
/* YSB: views counted per campaign and window of 10 s, in each of the four record formats. */
#include <stdlib.h>

#include "apps/ysb/ysb.h"
#include "bench/nexmark/windows.h"

#define WINDOW_MS 10000

struct ysb {
    struct windows w;
    const struct kernel_input *input;
    struct kernel_result result;
    int64_t starts[WINDOWS_WHOLE_MAX];
    uint32_t *counts; /* WINDOWS_WHOLE_MAX times campaign_cnt */
};

/* Where a format keeps what the query reads; constants in each of the loops below. */
struct format {
    uint32_t bytes;
    uint32_t time_off;
    uint32_t ad_off;
    uint32_t ad_bytes;
    uint32_t type_off;
    uint64_t view; /* the first bytes of the type of a view, under the mask */
    uint64_t view_mask;
};

#define TEXT_VIEW UINT64_C(0x77656976) /* "view" and a zero byte */

static inline bool
is_view(const uint8_t *record, struct format f)
{
    uint64_t type;
    memcpy(&type, record + f.type_off, 8);
    return (type & f.view_mask) == f.view;
}

static inline uint64_t
campaign_of(const struct kernel_input *input, const uint8_t *record, struct format f)
{
    uint64_t lo;
    uint64_t hi = 0;
    memcpy(&lo, record + f.ad_off, 8);
    if (f.ad_bytes == 16) {
        memcpy(&hi, record + f.ad_off + 8, 8);
    }
    uint64_t mask = input->ad_slot_cnt - 1;
    uint64_t slot = kernel_ad_slot(lo, mask);
    while (input->ads[slot].campaign != KERNEL_NO_CAMPAIGN &&
           (input->ads[slot].lo != lo || input->ads[slot].hi != hi)) {
        slot = (slot + 1) & mask;
    }
    return input->ads[slot].campaign;
}

static uint32_t *
open_window(struct ysb *y, int64_t start)
{
    uint32_t slot = windows_slot(&y->w, start);
    uint32_t *counts = y->counts + slot * y->input->campaign_cnt;
    if (y->starts[slot] != start) {
        y->starts[slot] = start;
        memset(counts, 0, y->input->campaign_cnt * sizeof *counts);
    }
    return counts;
}

static void
fire(struct ysb *y, int64_t end)
{
    uint32_t slot = windows_slot(&y->w, end - WINDOW_MS);
    if (y->starts[slot] != end - WINDOW_MS) {
        return;
    }
    for (uint64_t c = 0; c < y->input->campaign_cnt; c++) {
        uint32_t count = y->counts[slot * y->input->campaign_cnt + c];
        if (count > 0) {
            uint64_t sum = weir_row_add(0, 0, (uint64_t)(end - WINDOW_MS));
            sum = weir_row_add(sum, 1, c);
            kernel_emit(&y->result, weir_row_add(sum, 2, count));
        }
    }
}

/* A record out of the fast range: the counts of its window, or NULL where it is late. */
static uint32_t *
slow(struct ysb *y, int64_t time_ms)
{
    int64_t from;
    int64_t to;
    windows_advance(&y->w, time_ms, &from, &to);
    for (int64_t end = from + WINDOW_MS; end <= to; end += WINDOW_MS) {
        fire(y, end);
    }
    windows_settle(&y->w);
    int64_t start = windows_floor(time_ms, WINDOW_MS);
    return start + WINDOW_MS <= from ? NULL : open_window(y, start);
}

static inline void
run(struct ysb *y, struct format f)
{
    const uint8_t *record = y->input->bytes;
    uint32_t *newest = NULL;
    for (uint64_t i = 0; i < y->result.events; i++, record += f.bytes) {
        int64_t time_ms;
        memcpy(&time_ms, record + f.time_off, 8);
        uint32_t *counts = newest;
        if (WEIR_UNLIKELY(time_ms < y->w.low || time_ms >= y->w.high)) {
            counts = slow(y, time_ms);
            newest = open_window(y, y->w.newest);
        }
        if (is_view(record, f) && counts != NULL) {
            uint64_t campaign = campaign_of(y->input, record, f);
            if (campaign != KERNEL_NO_CAMPAIGN) {
                counts[campaign]++;
            }
        }
    }
}

int
kernel_ysb(const struct kernel_input *input, struct kernel_result *ret_result)
{
    struct ysb y = {.input = input};
    windows_init(&y.w, WINDOW_MS, WINDOW_MS);
    y.result.events = input->byte_cnt / input->record_bytes;
    y.counts = calloc(WINDOWS_WHOLE_MAX * input->campaign_cnt, sizeof *y.counts);
    if (y.counts == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < WINDOWS_WHOLE_MAX; i++) {
        y.starts[i] = INT64_MIN;
    }
    if (input->record_bytes == 32) {
        run(&y, (struct format){32, 0, 8, 8, 24, YSB_VIEW, UINT32_MAX});
    } else if (input->record_bytes == 64) {
        /* The type is the record's last word; the one before it is read with it. */
        run(&y, (struct format){64, 0, 40, 16, 56, YSB_VIEW, (uint64_t)UINT32_MAX << 32});
    } else if (input->record_bytes == 78) {
        run(&y, (struct format){78, 66, 32, 16, 57, TEXT_VIEW, UINT64_C(0xffffffffff)});
    } else {
        run(&y, (struct format){128, 0, 40, 16, 64, YSB_VIEW, UINT64_MAX});
    }
    int64_t end = y.w.fired_end + WINDOW_MS;
    for (; y.w.is_begun && end <= y.w.newest + WINDOW_MS; end += WINDOW_MS) {
        fire(&y, end);
    }
    free(y.counts);
    *ret_result = y.result;
    return 0;
}
