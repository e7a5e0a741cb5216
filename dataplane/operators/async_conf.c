/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "dataplane/operators/async_priv.h"

struct weir_async_conf
weir_async_defaults(const struct weir_async_conf *given)
{
    struct weir_async_conf conf = *given;
    conf.capacity = conf.capacity != 0 ? conf.capacity : WEIR_ASYNC_CAPACITY;
    conf.attempt_cnt = conf.attempt_cnt != 0 ? conf.attempt_cnt : 1;
    conf.backoff_factor = conf.backoff_factor != 0 ? conf.backoff_factor : 1;
    conf.backoff_ns_max = conf.backoff_ns_max != 0 ? conf.backoff_ns_max : INT64_MAX;
    conf.text_bytes = conf.text_bytes != 0 ? conf.text_bytes : WEIR_ASYNC_TEXT_BYTES;
    conf.result_bytes = conf.result_bytes != 0 ? conf.result_bytes : WEIR_ASYNC_RESULT_BYTES;
    return conf;
}

uint32_t
weir_async_row_cap(const struct weir_async_conf *conf, const struct weir_schema *schema)
{
    bool has_text = weir_schema_has_str(schema);
    return (uint32_t)weir_align_up(
        schema->row_bytes + (has_text ? conf->text_bytes : 0), sizeof(uint64_t));
}

int
weir_async_check(const struct weir_async_conf *given, const struct weir_schema *in_schema)
{
    const struct weir_async_conf conf = weir_async_defaults(given);
    uint32_t out_bytes = conf.function->out_schema()->row_bytes;
    if (weir_schema_fingerprint(conf.function->in_schema()) != weir_schema_fingerprint(in_schema)) {
        return weir_err_push(WEIR_EGRAPH, "the function takes rows of schema %s, the stream has %s",
            conf.function->in_schema()->name, in_schema->name);
    }
    if (conf.capacity > WEIR_ASYNC_CAPACITY_MAX) {
        return weir_err_push(
            WEIR_EGRAPH, "capacity %u; the most is %d", conf.capacity, WEIR_ASYNC_CAPACITY_MAX);
    }
    uint64_t bytes = (uint64_t)conf.capacity *
                     (weir_async_row_cap(&conf, in_schema) + sizeof(struct async_saved));
    if (bytes > WEIR_ASYNC_STATE_BYTES_MAX) {
        return weir_err_push(WEIR_EGRAPH,
            "capacity %u with text_bytes %u: %llu bytes of rows on their way; the most are %llu",
            conf.capacity, conf.text_bytes, (unsigned long long)bytes,
            (unsigned long long)WEIR_ASYNC_STATE_BYTES_MAX);
    }
    if (conf.result_bytes < out_bytes) {
        return weir_err_push(WEIR_EGRAPH, "result_bytes %u; a row of the answer has %u",
            conf.result_bytes, out_bytes);
    }
    if (conf.timeout_ns < 0 || conf.backoff_ns < 0 || conf.backoff_ns_max < 0) {
        return weir_err_push(WEIR_EGRAPH, "a time is negative");
    }
    return 0;
}

uint32_t
weir_async_letters(const void *conf)
{
    return 2 * weir_async_defaults(conf).capacity;
}

bool
weir_async_has_threads(const void *conf)
{
    const struct weir_async_conf *given = conf;
    return given->function->has_threads;
}
