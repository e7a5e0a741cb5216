/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: the rows of simulated jobs as the engine has them. */
#ifndef WEIR_APPS_SIM_SCHEMA_H
#define WEIR_APPS_SIM_SCHEMA_H

#include "dataplane/function.h"
#include "dataplane/schema.h"

#define SIM_CELL(F) F(i64, key) F(i64, value) F(i64, tag) F(time, at) F(str, text)
WEIR_SCHEMA(cell, SIM_CELL)

/* Of a key. */
#define SIM_TALLIED(F) F(i64, key) F(i64, cnt) F(i64, sum)
WEIR_SCHEMA(tallied, SIM_TALLIED)

WEIR_MAP(of_tallied, tallied, cell)
{
    memset(out, 0, sizeof *out);
    out->key = in->key;
    out->value = in->sum;
    out->tag = in->cnt;
}

#endif
