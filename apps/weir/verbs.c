/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.c: the list of verbs. A new verb is a file with its row, and a line in each list here. */
#include "apps/weir/verbs.h"

#include "base/base.h"

const struct weir_verb *const weir_verbs[] = {
    &weir_verb_run,
    &weir_verb_plan,
    &weir_verb_validate,
    &weir_verb_status,
    &weir_verb_top,
    &weir_verb_tap,
    &weir_verb_metrics,
    &weir_verb_stop,
    &weir_verb_savepoint,
    &weir_verb_savepoint_show,
    &weir_verb_move,
    &weir_verb_cancel,
    &weir_verb_checkpoint_list,
    &weir_verb_checkpoint_show,
    &weir_verb_checkpoint_verify,
    &weir_verb_topo,
    &weir_verb_sim,
    &weir_verb_explain,
    &weir_verb_config_defaults,
    &weir_verb_config_show,
    &weir_verb_version,
    &weir_verb_completion,
};
const size_t weir_verbs_cnt = WEIR_ARRAY_CNT(weir_verbs);
