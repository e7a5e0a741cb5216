/* SPDX-License-Identifier: Apache-2.0 */
/* changelog.h: the kinds of rows as text in a field of theirs.
 *
 *     before (a 1)   after (a 2)   ->   (-U a 1)   (+U a 2)
 *
 * +I a row was inserted, -U a row is about to be updated, +U to this one, -D a row was deleted.
 *
 * In front of a sink of tables it makes an upsert sink (with is_upsert: -U is left out), or one
 * that writes the whole log. State: none. Strings are not copied: the output shares the input's
 * heap.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_CHANGELOG_H
#define WEIR_DATAPLANE_OPERATORS_CHANGELOG_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_CHANGELOG_FIELD "op"

struct weir_changelog_conf {
    bool is_upsert;
};

/* weir_changelog_field - field idx of the output, of rows of `in`: idx is below in->field_cnt + 1.
 * Owner: names are borrowed. */
WEIR_API struct weir_field weir_changelog_field(const struct weir_schema *in, uint32_t idx);

extern WEIR_API const struct weir_operator_type weir_changelog_type;

WEIR_C_END

#endif
