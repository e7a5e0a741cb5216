/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h: `gen:N,name=value,...`, the text by which a user names a generated input. */
#ifndef WEIR_APPS_GEN_SPEC_H
#define WEIR_APPS_GEN_SPEC_H

#include "base/base.h"

/* One name of a specification. */
struct gen_spec_row {
    const char *name;
    int64_t min;
    int64_t max;
    int64_t *value; /* written when the name is given, kept otherwise */
};

/* gen_spec_parse - read a specification against its table.
 *
 * Shape:   row 0 is N, the number of events, which comes first and without a name.
 * Returns: 0, or WEIR_ECONFIG with what was found and what is allowed; then some values may be
 *          written.
 */
WEIR_MUST_USE int gen_spec_parse(const char *text, const struct gen_spec_row *rows, size_t row_cnt);

#endif
