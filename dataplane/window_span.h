/* SPDX-License-Identifier: Apache-2.0 */
/* window_span.h: how windows of event time lie, for aggregates and joins alike. */
#ifndef WEIR_DATAPLANE_WINDOW_SPAN_H
#define WEIR_DATAPLANE_WINDOW_SPAN_H

#include "dataplane/types.h"

/* Windows begin at offset_ms + k * slide_ms for every integer k. */
struct weir_window_span {
    int64_t size_ms;
    int64_t slide_ms; /* size_ms: tumbling; larger: rows between two windows are in none */
    int64_t offset_ms;
};

static inline struct weir_window_span
weir_window_span_of(int64_t size_ms, int64_t slide_ms)
{
    struct weir_window_span span;
    span.size_ms = size_ms;
    span.slide_ms = slide_ms;
    span.offset_ms = 0;
    return span;
}
#define WEIR_TUMBLE(size_ms) weir_window_span_of(size_ms, size_ms)
#define WEIR_SLIDE(size_ms, slide_ms) weir_window_span_of(size_ms, slide_ms)

#endif
