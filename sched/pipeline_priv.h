/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_priv.h: what the files of the pipeline share. */
#ifndef WEIR_SCHED_PIPELINE_PRIV_H
#define WEIR_SCHED_PIPELINE_PRIV_H

#include "base/err.h"
#include "sched/pipeline.h"

/* What parsing needs everywhere. */
struct pipeline_parse {
    const struct weir_yaml *file;
    struct weir_pipeline *pipeline;
};

static inline int
pipeline_no_memory(const struct pipeline_parse *parse)
{
    return weir_err_push(WEIR_ENOMEM, "%s", weir_yaml_name(parse->file));
}

/* weir_pipeline_alloc - zeroed memory that lives as long as the pipeline; NULL: none left. */
void *weir_pipeline_alloc(struct weir_pipeline *pipeline, size_t bytes);

/* weir_pipeline_keys - every key of the map is among names. */
WEIR_MUST_USE int weir_pipeline_keys(const struct pipeline_parse *parse,
    const struct weir_yaml_node *map, const char *const *names, size_t name_cnt);
/* weir_pipeline_text - the scalar under key; *ret_text stays where it is absent and not
 * required. */
WEIR_MUST_USE int weir_pipeline_text(const struct pipeline_parse *parse,
    const struct weir_yaml_node *map, const char *key, bool required, const char **ret_text);
/* weir_pipeline_value - the value under opt->name, by its row; its default where absent. */
WEIR_MUST_USE int weir_pipeline_value(const struct pipeline_parse *parse,
    const struct weir_yaml_node *map, const struct weir_opt *opt, int64_t *ret_number);
/* weir_pipeline_field - the index of a field that a node names, or an error with the nearest. */
WEIR_MUST_USE int weir_pipeline_field(const struct pipeline_parse *parse,
    const struct weir_schema *schema, const struct weir_yaml_node *node, uint32_t *ret_idx);

/* weir_pipeline_schema_of - lay out fields (name, type, scale, nullable are set): offsets and
 * sizes, as weir_schema has them. The fields are copied; NULL: no memory. */
const struct weir_schema *weir_pipeline_schema_of(struct weir_pipeline *pipeline, const char *name,
    const struct weir_field *fields, uint32_t field_cnt);

/* weir_pipeline_schema - the `schema:` map. */
WEIR_MUST_USE int weir_pipeline_schema(const struct pipeline_parse *parse,
    const struct weir_yaml_node *map, const char *time, const struct weir_schema **ret_schema);
/* weir_pipeline_ops - the `ops:` list. */
WEIR_MUST_USE int
weir_pipeline_ops(const struct pipeline_parse *parse, const struct weir_yaml_node *list);
/* weir_pipeline_key - the `key:` list of a step, and its fields as rows behind the step have them.
 * No list: a key of no field. */
WEIR_MUST_USE int
weir_pipeline_key(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_key *ret_key, struct weir_field *ret_fields);
/* weir_pipeline_group, weir_pipeline_rank - such a step. */
WEIR_MUST_USE int weir_pipeline_group(const struct pipeline_parse *parse,
    const struct weir_schema *in, const struct weir_yaml_node *node, struct weir_pipeline_op *op);
WEIR_MUST_USE int weir_pipeline_rank(const struct pipeline_parse *parse,
    const struct weir_schema *in, const struct weir_yaml_node *node, struct weir_pipeline_op *op);
/* weir_pipeline_table - what the sink does with a table that changes; behind all steps. */
WEIR_MUST_USE int
weir_pipeline_table(const struct pipeline_parse *parse, const struct weir_yaml_node *sink);
/* weir_pipeline_where - "price >= 100 and ..." */
WEIR_MUST_USE int
weir_pipeline_where(const struct pipeline_parse *parse, const struct weir_schema *schema,
    const struct weir_yaml_node *node, struct weir_where_conf *ret_where);

#endif
