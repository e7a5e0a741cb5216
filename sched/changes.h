/* SPDX-License-Identifier: Apache-2.0 */
/* changes.h: graph calls for streams of changes: aggregates and first rows as tables that change,
 * and what ends in a table again.
 *
 *     s = weir_key_by(bids, WEIR_KEY(bid, auction));
 *     s = weir_rank(s, "best", &(struct weir_ranking_conf){.by = {{"price", true}, {"at", false}},
 *         .cnt = 1}, bid_schema());
 *     s = weir_fold(weir_key_by(s, WEIR_KEY(bid, auction)), "table", WEIR_FOLD_UPSERT);
 *     weir_sink_table(s, "out", "best.csv");
 *
 * As in graph.h: streams come back, the first error stays in the environment, confs are copied.
 */
#ifndef WEIR_SCHED_CHANGES_H
#define WEIR_SCHED_CHANGES_H

#include "dataplane/group.h"
#include "dataplane/operators/join.h"
#include "dataplane/ranking.h"
#include "dataplane/rolling.h"
#include "sched/graph.h"

WEIR_C_BEGIN

/* weir_group - aggregates of a keyed stream, as a table that changes (dataplane/group.h). */
WEIR_API struct weir_stream *weir_group(struct weir_stream *in, const char *name,
    const struct weir_group_conf *conf, const struct weir_schema *out_schema);

/* weir_rank - the first rows of each key in an order (dataplane/ranking.h). */
WEIR_API struct weir_stream *weir_rank(struct weir_stream *in, const char *name,
    const struct weir_ranking_conf *conf, const struct weir_schema *out_schema);

/* weir_rolling - each row with an aggregate of it and of rows before it (dataplane/rolling.h). */
WEIR_API struct weir_stream *weir_rolling(struct weir_stream *in, const char *name,
    const struct weir_rolling_conf *conf, const struct weir_schema *out_schema);

/* weir_table_join - two keyed streams, of inserts or of changes, joined as tables that change:
 * inner, outer, semi or anti, by conf->outer, semi and anti (dataplane/joining.h). With ttl_ms rows
 * are forgotten so long after they came. */
WEIR_API struct weir_stream *weir_table_join(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_join_conf *conf);

enum weir_fold_mode {
    WEIR_FOLD_ROWS, /* rows are taken back as a whole; the key only says where they are kept */
    WEIR_FOLD_UPSERT, /* the stream's key is the table's */
};
/* weir_fold - the table that a keyed stream of changes leaves at its end (dataplane/fold.h). */
WEIR_API struct weir_stream *
weir_fold(struct weir_stream *in, const char *name, enum weir_fold_mode mode);

enum weir_changelog_mode {
    WEIR_CHANGELOG_ALL,
    WEIR_CHANGELOG_UPSERT, /* without updates-before: who reads it knows the key */
};
/* weir_changelog - the changes themselves as inserted rows, each behind a field `op` that says its
 * kind: +I, -U, +U or -D (operators/changelog.h). */
WEIR_API struct weir_stream *
weir_changelog(struct weir_stream *in, const char *name, enum weir_changelog_mode mode);

/* weir_stream_changes - whether rows of the stream may be other than inserts. */
WEIR_API bool weir_stream_changes(const struct weir_stream *stream);

WEIR_C_END

#endif
