/* SPDX-License-Identifier: Apache-2.0 */
/* Rows under way from any bytes, and with a length that fits: whatever is accepted can be read to
 * its end, its texts too. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dataplane/flight.h"
#include "tests/fuzz/fuzz.h"

#define WAYFARER(F) F(i64, n) F(str, text)
WEIR_SCHEMA(wayfarer, WAYFARER)

static uint64_t
read_view(const struct weir_view *view)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < view->cnt; i++) {
        const struct wayfarer *row =
            (const struct wayfarer *)(const void *)(view->rows + (size_t)view->stride * i);
        const struct weir_slice text = weir_str_slice(&row->text, view->heap);
        for (uint32_t b = 0; b < text.bytes; b++) {
            sum += (uint8_t)text.ptr[b];
        }
        sum += view->time != NULL ? (uint64_t)weir_view_time(view, i) : 0;
        sum += weir_view_kind(view, i);
    }
    return sum;
}

static void
read_all(const char *buf, size_t bytes)
{
    const struct weir_flight_entry *entry;
    size_t offset = 0;
    if (weir_flight_check(buf, bytes) != 0) {
        weir_err_clear();
        return;
    }
    while ((entry = weir_flight_next(buf, bytes, &offset)) != NULL) {
        struct weir_view view;
        (void)weir_flight_is_of(entry, "window");
        if (entry->kind != WEIR_SLOT_BATCH) {
            continue;
        }
        if (weir_flight_view(entry, wayfarer_schema(), &view) == 0) {
            __asm__("" : : "r"(read_view(&view)) : "memory"); /* so that the reads are done */
        } else {
            weir_err_clear();
        }
    }
    if (offset != 0 && offset != bytes) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *copy = aligned_alloc(8, weir_align_up(bytes + 1, 8));
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, bytes);
    read_all(copy, bytes);
    if (bytes >= WEIR_FLIGHT_HEAD_BYTES) {
        uint64_t whole = bytes;
        memcpy(copy + 16, &whole, sizeof whole);
        read_all(copy, bytes);
    }
    free(copy);
    return 0;
}
