/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/query_change.h"

struct weir_stream *
nexmark_answer(struct weir_stream *changes, enum weir_fold_mode mode)
{
    struct weir_env *env = weir_stream_env(changes);
    if (strcmp(weir_param(env, "output"), "discard") == 0) {
        return changes;
    }
    const char *wanted = weir_param(env, "changes");
    if (strcmp(wanted, "fold") == 0) {
        return weir_fold(changes, "table", mode);
    }
    return weir_changelog(
        changes, "log", strcmp(wanted, "upsert") == 0 ? WEIR_CHANGELOG_UPSERT : WEIR_CHANGELOG_ALL);
}
