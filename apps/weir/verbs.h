/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h: one row per verb, each defined in the file of its name. */
#ifndef WEIR_APPS_WEIR_VERBS_H
#define WEIR_APPS_WEIR_VERBS_H

#include "apps/weir/cli.h"

extern const struct weir_verb weir_verb_cancel;
extern const struct weir_verb weir_verb_checkpoint_list;
extern const struct weir_verb weir_verb_checkpoint_show;
extern const struct weir_verb weir_verb_checkpoint_verify;
extern const struct weir_verb weir_verb_completion;
extern const struct weir_verb weir_verb_config_defaults;
extern const struct weir_verb weir_verb_config_show;
extern const struct weir_verb weir_verb_explain;
extern const struct weir_verb weir_verb_metrics;
extern const struct weir_verb weir_verb_plan;
extern const struct weir_verb weir_verb_run;
extern const struct weir_verb weir_verb_move;
extern const struct weir_verb weir_verb_savepoint;
extern const struct weir_verb weir_verb_savepoint_show;
extern const struct weir_verb weir_verb_sim;
extern const struct weir_verb weir_verb_status;
extern const struct weir_verb weir_verb_stop;
extern const struct weir_verb weir_verb_tap;
extern const struct weir_verb weir_verb_top;
extern const struct weir_verb weir_verb_topo;
extern const struct weir_verb weir_verb_validate;
extern const struct weir_verb weir_verb_version;

#endif
