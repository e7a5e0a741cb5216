/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: what stands in the objects of a job's answer, for those who print it. */
#ifndef WEIR_APPS_WEIR_ANSWER_H
#define WEIR_APPS_WEIR_ANSWER_H

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "dataplane/types.h"

#define WEIR_ANSWER_TEXT_BYTES 32

static inline const char *
weir_answer_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static inline int64_t
weir_answer_int(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

/* The object's watermark_ms: "-" where there is none yet, "end" behind all times. */
static inline const char *
weir_answer_watermark(const json_t *object, char buf[WEIR_ANSWER_TEXT_BYTES])
{
    int64_t ms = weir_answer_int(object, "watermark_ms");
    if (json_is_null(json_object_get(object, "watermark_ms"))) {
        return "-";
    }
    if (ms == WEIR_WATERMARK_MAX) {
        return "end";
    }
    (void)snprintf(buf, WEIR_ANSWER_TEXT_BYTES, "%" PRId64, ms);
    return buf;
}

#endif
