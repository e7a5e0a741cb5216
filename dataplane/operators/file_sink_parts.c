/* SPDX-License-Identifier: Apache-2.0 */
/* What is committed of F, and whether F.parts still has it: anybody may write there.
 *
 *     a part's name    its length and checksum
 *     a share          how many parts a subtask of a start has committed, and a sum over their
 *                      names
 *
 * Who knows what. Each checkpoint has the shares of all starts up to it, as of its barrier: what
 * they say is as durable as all else, and they are as many as starts and subtasks, not as parts. A
 * subtask that is done takes part in no later checkpoint; its share is in the name of its mark, in
 * the hidden directory of its start, durable before the subtask ends.
 *
 * At a restore: what the checkpoint lists is committed first, so that F.parts has all that its
 * shares count. What later checkpoints have committed there cannot be undone, and is refused
 * before (file_sink_restore.c); what they have not is hidden, listed by nobody, and removed. Then
 * the first subtask compares: numbers without a gap, names by the sum, lengths. A part that no
 * share counts was put there by somebody else.
 *
 * Before F appears: the subtask that has created `merging`, the only one then, compares once more,
 * with the marks of its own start, and reads every byte anyway. Nobody else may look there now: who
 * merges takes all away in the end. A start that was overtaken may find anything; whether its
 * hidden directory is still there tells.
 *
 * F is published, then nothing has to be in F.parts, and nothing may come:
 *
 *     rename whole to F; sync F's directory
 *     rename F.parts, with its hidden directories, to F.parts.old; sync that too
 *     remove F.parts.old
 *
 * Cut off before the second step all is there, whether F is or not: it is merged and published once
 * more, to the same. Behind it the hidden directory of the start that took the last checkpoint is
 * gone with all parts, in one step that no power cut takes back while parts are being removed. So a
 * restore takes F for published, where all subtasks of its checkpoint were at their end,
 *  - if the checkpoint says so, being taken by a start that knew;
 *  - if F stands there, no part does, and that hidden directory does not. One that is there though
 *    no part is: they were removed, and the F is an older one;
 *  - of version 1, which does not say who took it: if F stands there, no part does, and there were
 *    rows.
 * A start behind it publishes nothing, and its own checkpoints say that F is published: they may be
 * taken before its input has ended once more. Marks are not looked for, for they went as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mutant.h"
#include "dataplane/operators/file_sink_priv.h"

uint32_t
weir_file_sink_sum(uint32_t sum, const struct sink_part_name *name)
{
    const uint64_t words[] = {name->base, name->bytes, name->crc};
    return weir_crc32c(sum, words, sizeof words);
}

/* ---- shares ---- */

int
weir_file_sink_share_add(struct sink_txn *txn, const struct sink_share *share)
{
    if (txn->share_cnt == txn->share_cap) {
        uint32_t cap = txn->share_cap == 0 ? 16 : 2 * txn->share_cap;
        struct sink_share *grown = realloc(txn->shares, cap * sizeof *grown);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "shares of %u subtasks", cap);
        }
        txn->shares = grown;
        txn->share_cap = cap;
    }
    txn->shares[txn->share_cnt++] = *share;
    return 0;
}

static bool
has_share(const struct sink_txn *txn, uint64_t gen, uint32_t subtask)
{
    for (uint32_t i = 0; i < txn->share_cnt; i++) {
        if (txn->shares[i].gen == gen && txn->shares[i].subtask == subtask) {
            return true;
        }
    }
    return false;
}

static void
put_share(struct weir_parts_writer *parts, const struct sink_share *share)
{
    weir_parts_put_u64(parts, share->gen);
    weir_parts_put_u64(parts, (uint64_t)share->subtask << 32 | share->cnt);
    weir_parts_put_u64(parts, share->sum);
}

void
weir_file_sink_shares_put(const struct sink *sink, struct weir_parts_writer *parts)
{
    const struct sink_txn *txn = sink->txn;
    const struct sink_share own = {txn->gen, sink->env->subtask_idx, txn->seq, txn->sum};
    bool is_file = sink->target == SINK_FILE;
    uint64_t cnt = is_file ? UINT64_C(1) : 0;
    for (uint32_t i = 0; i < txn->older_cnt; i++) {
        cnt += txn->shares[i].cnt > 0;
    }
    weir_parts_put_u64(parts, txn->gen);
    weir_parts_put_u64(parts, weir_max_u64(sink->env->subtask_cnt, 1));
    weir_parts_put_u64(parts, txn->since);
    weir_parts_put_u64(parts, cnt);
    for (uint32_t i = 0; i < txn->older_cnt; i++) {
        if (txn->shares[i].cnt > 0) {
            put_share(parts, &txn->shares[i]);
        }
    }
    if (is_file) {
        put_share(parts, &own);
    }
}

static int
get_share(struct weir_part *from, struct sink_share *ret)
{
    uint64_t words[3] = {0};
    int rc = weir_part_get(from, words, sizeof words);
    *ret = (struct sink_share){
        words[0], (uint32_t)(words[1] >> 32), (uint32_t)words[1], (uint32_t)words[2]};
    return rc;
}

/* Behind the entries. Of starts before the one that took the checkpoint all its subtasks say the
 * same: once is enough. */
static int
get_shares(struct sink *sink, struct weir_part *from)
{
    struct sink_txn *txn = sink->txn;
    bool is_first = txn->older_gen == 0;
    bool is_wanted = sink->target == SINK_FILE && !sink->conf->checkpoints.is_new;
    uint64_t words[4] = {0};
    struct sink_share share;
    int rc = weir_part_get(from, words, sizeof words);
    for (uint64_t i = 0; i < words[3] && rc == 0; i++) {
        rc = get_share(from, &share);
        if (rc == 0 && is_wanted && (is_first || i + 1 == words[3])) {
            rc = weir_file_sink_share_add(txn, &share);
        }
    }
    if (rc == 0 && is_wanted) {
        txn->older_gen = words[0];
        txn->older_subtask_cnt = (uint32_t)words[1];
        txn->since = words[2];
    }
    return rc != 0 ? rc : weir_part_end(from);
}

int
weir_file_sink_shares_get(struct sink *sink, struct weir_part *from)
{
    struct sink_txn *txn = sink->txn;
    uint64_t head[SINK_PART_HEAD_CNT] = {0};
    uint64_t entry[SINK_PART_ENTRY_CNT];
    int rc = weir_part_get(from, head, sizeof head);
    if (rc != 0) {
        return rc;
    }
    txn->restored_end = weir_min_u64(txn->restored_end, head[1]);
    txn->rows += sink->conf->checkpoints.is_new ? 0 : head[2];
    if (from->version < 2) {
        txn->since = txn->gen;
        return 0;
    }
    for (uint64_t i = 0; i < head[SINK_PART_HEAD_CNT - 1] && rc == 0; i++) {
        rc = weir_part_get(from, entry, sizeof entry);
    }
    return rc != 0 ? rc : get_shares(sink, from);
}

static int
mark_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct sink_txn *txn = sink->txn;
    struct sink_share share = {.gen = txn->older_gen};
    uint64_t rows;
    (void)dir;
    (void)arg;
    bool is_new = weir_file_sink_parse_mark(name, &share, &rows) &&
                  share.subtask < txn->older_subtask_cnt &&
                  !has_share(txn, share.gen, share.subtask);
    return is_new ? weir_file_sink_share_add(txn, &share) : 0;
}

/* The first subtask of the start that took the checkpoint of which no share is known. */
static uint32_t
lacking(const struct sink_txn *txn)
{
    uint32_t s = 0;
    while (s < txn->older_subtask_cnt && has_share(txn, txn->older_gen, s)) {
        s++;
    }
    return s;
}

/* The shares of subtasks that had ended before the checkpoint. */
static int
add_ended(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (lacking(txn) == txn->older_subtask_cnt) {
        return 0;
    }
    weir_file_sink_txn_pending_dir(sink, txn->older_gen, sink->path);
    int rc = weir_file_sink_each_entry(sink, sink->path, 1, mark_entry, NULL);
    uint32_t s = lacking(txn);
    return rc != 0 || s == txn->older_subtask_cnt
               ? rc
               : weir_err_push(WEIR_EPARTS,
                     "output %s: %s/done-%u-*, which says what subtask %u has committed, is not "
                     "there",
                     sink->conf->path, sink->path, s, s);
}

/* ---- what is there ---- */

static int
list_committed(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct sink_txn *txn = sink->txn;
    struct sink_part_name part;
    (void)dir;
    (void)arg;
    if (!weir_file_sink_parse_part(sink, name, &part)) {
        return 0;
    }
    if (txn->merge_cnt == txn->merge_cap) {
        uint32_t cap = txn->merge_cap == 0 ? 256 : 2 * txn->merge_cap;
        struct sink_part_name *grown = realloc(txn->merge, cap * sizeof *grown);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "names of %u parts", cap);
        }
        txn->merge = grown;
        txn->merge_cap = cap;
    }
    txn->merge[txn->merge_cnt++] = part;
    return 0;
}

static int
compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* As they stand in F. */
static int
compare_names(const void *left, const void *right)
{
    const struct sink_part_name *a = left;
    const struct sink_part_name *b = right;
    int order = compare_u64(a->base, b->base);
    order = order != 0 ? order : compare_u64(a->subtask, b->subtask);
    order = order != 0 ? order : compare_u64(a->gen, b->gen);
    return order != 0 ? order : compare_u64(a->seq, b->seq);
}

/* By shares. */
static int
compare_numbers(const void *left, const void *right)
{
    const struct sink_part_name *a = left;
    const struct sink_part_name *b = right;
    int order = compare_u64(a->gen, b->gen);
    order = order != 0 ? order : compare_u64(a->subtask, b->subtask);
    return order != 0 ? order : compare_u64(a->seq, b->seq);
}

static int
compare_shares(const void *left, const void *right)
{
    const struct sink_share *a = left;
    const struct sink_share *b = right;
    int order = compare_u64(a->gen, b->gen);
    return order != 0 ? order : compare_u64(a->subtask, b->subtask);
}

static int
list_all(struct sink *sink)
{
    sink->txn->merge_cnt = 0;
    return weir_file_sink_each_entry(sink, sink->txn->out, 0, list_committed, NULL);
}

static void
sort(const struct sink_txn *txn, int (*order)(const void *left, const void *right))
{
    if (txn->merge_cnt > 0) {
        qsort(txn->merge, txn->merge_cnt, sizeof *txn->merge, order);
    }
}

/* ---- the two beside each other ---- */

static int
never_committed(struct sink *sink, const struct sink_part_name *part)
{
    weir_file_sink_txn_name(sink, part, true, sink->path);
    return weir_err_push(
        WEIR_EPARTS, "output %s: %s was never committed; remove it", sink->conf->path, sink->path);
}

static int
twice(struct sink *sink, const struct sink_part_name *part)
{
    weir_file_sink_txn_name(sink, part, true, sink->path);
    weir_file_sink_txn_name(sink, part + 1, true, sink->path2);
    return weir_err_push(WEIR_EPARTS,
        "output %s: %s and %s are there for one part; remove the one that was added",
        sink->conf->path, sink->path, sink->path2);
}

/* Its numbers say which it is; the rest of its name went with it. */
static int
missing(const struct sink *sink, const struct sink_part_name *part)
{
    const struct sink_txn *txn = sink->txn;
    return weir_err_push(WEIR_EPARTS,
        "output %s: %s/part-%s-*-%llu.%u-%u-%u-*, which was committed, is not there",
        sink->conf->path, txn->out, txn->job, weir_file_sink_epoch(part->gen),
        weir_file_sink_attempt(part->gen), part->subtask, part->seq);
}

static int
other_bytes(struct sink *sink, const struct sink_part_name *part, uint64_t bytes)
{
    weir_file_sink_txn_name(sink, part, true, sink->path);
    return weir_err_push(WEIR_EPARTS, "output %s: %s has %llu bytes, and %llu were committed",
        sink->conf->path, sink->path, (unsigned long long)bytes, (unsigned long long)part->bytes);
}

static int
check_length(struct sink *sink, const struct sink_part_name *part)
{
    struct weir_io_stat st;
    weir_file_sink_txn_name(sink, part, true, sink->path);
    weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->path, &st);
    if (weir_io_perform(sink->env->io, &sink->op) < 0) {
        return weir_err_push(
            weir_io_op_fail_output(&sink->op), "output %s: %s", sink->conf->path, sink->path);
    }
    return st.bytes == part->bytes ? 0 : other_bytes(sink, part, st.bytes);
}

/* at: the first part that no share before this one has. */
static int
check_share(struct sink *sink, const struct sink_share *share, uint32_t *at, bool looks)
{
    const struct sink_txn *txn = sink->txn;
    struct sink_part_name due = {.gen = share->gen, .subtask = share->subtask};
    uint32_t sum = 0;
    for (; due.seq < share->cnt; due.seq++, (*at)++) {
        const struct sink_part_name *part = &txn->merge[*at];
        int order = *at < txn->merge_cnt ? compare_numbers(part, &due) : 1;
        if (order != 0) {
            return order < 0 ? never_committed(sink, part) : missing(sink, &due);
        }
        bool is_twice = *at + 1 < txn->merge_cnt && compare_numbers(part + 1, &due) == 0;
        int rc = is_twice ? twice(sink, part) : looks ? check_length(sink, part) : 0;
        if (rc != 0) {
            return rc;
        }
        sum = weir_file_sink_sum(sum, part);
    }
    return sum == share->sum
               ? 0
               : weir_err_push(WEIR_EPARTS,
                     "output %s: one of %s/part-%s-*-%llu.%u-%u-* has not the name under which it "
                     "was committed",
                     sink->conf->path, txn->out, txn->job, weir_file_sink_epoch(share->gen),
                     weir_file_sink_attempt(share->gen), share->subtask);
}

/* looks: at the length of each, and parts of this start do not count, for they go on coming. */
static int
check_all(struct sink *sink, bool looks)
{
    struct sink_txn *txn = sink->txn;
    uint32_t at = 0;
    int rc = 0;
    if (WEIR_MUTANT(SINK_PARTS_UNCOMPARED)) {
        return 0;
    }
    sort(txn, compare_numbers);
    if (txn->share_cnt > 0) {
        qsort(txn->shares, txn->share_cnt, sizeof *txn->shares, compare_shares);
    }
    while (at < txn->merge_cnt && txn->merge[at].gen < txn->since) {
        at++;
    }
    for (uint32_t i = 0; i < txn->share_cnt && rc == 0; i++) {
        rc = check_share(sink, &txn->shares[i], &at, looks);
    }
    bool is_over = at == txn->merge_cnt || (looks && txn->merge[at].gen == txn->gen);
    return rc != 0 || is_over ? rc : never_committed(sink, &txn->merge[at]);
}

/* 1: F is published; 0: it is not. */
static int
judge_published(struct sink *sink)
{
    const struct sink_txn *txn = sink->txn;
    struct weir_io_stat st;
    if (txn->restored_end == SINK_END_PUBLISHED && !sink->conf->checkpoints.is_new) {
        return 1;
    }
    if (txn->restored_end == SINK_END_NONE || !txn->is_standing || sink->target == SINK_DIR) {
        return txn->restored_end != SINK_END_NONE && txn->is_standing;
    }
    if (txn->older_gen == 0) {
        return txn->rows > 0;
    }
    weir_file_sink_txn_pending_dir(sink, txn->older_gen, sink->path);
    weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->path, &st);
    if (weir_io_perform(sink->env->io, &sink->op) >= 0) {
        return 0;
    }
    return sink->op.errnum == ENOENT ? 1
                                     : weir_err_push(weir_io_op_fail_output(&sink->op),
                                           "output %s: %s", sink->conf->path, sink->path);
}

int
weir_file_sink_shares_end(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    int rc = judge_published(sink);
    txn->is_published = rc > 0;
    if (rc != 0 || txn->older_gen == 0) {
        return rc < 0 ? rc : 0; /* shares are of no use any more, or there are none */
    }
    rc = add_ended(sink);
    txn->older_cnt = txn->share_cnt;
    return rc;
}

int
weir_file_sink_check_restored(struct sink *sink)
{
    const struct sink_txn *txn = sink->txn;
    if (txn->older_gen == 0 || txn->is_published || sink->env->subtask_idx > 0) {
        return 0;
    }
    int rc = list_all(sink);
    return rc != 0 ? rc : check_all(sink, true);
}

int
weir_file_sink_txn_merge_list(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    int rc = list_all(sink);
    rc = rc != 0 ? rc : check_all(sink, false);
    sort(txn, compare_names);
    /* Of version 1 no more is known. */
    return rc != 0 || txn->merge_cnt > 0 || txn->done_rows == 0
               ? rc
               : weir_err_push(WEIR_EPARTS,
                     "output %s: none of the parts of its %llu rows is in %s", sink->conf->path,
                     (unsigned long long)txn->done_rows, txn->out);
}

int
weir_file_sink_merged(struct sink *sink)
{
    const struct sink_part_name *part = &sink->txn->merge[sink->merge_idx];
    if (!part->has_sum || WEIR_MUTANT(SINK_PARTS_UNREAD)) {
        return 0;
    }
    if (sink->part_off != part->bytes) {
        return other_bytes(sink, part, sink->part_off);
    }
    return sink->part_crc == part->crc
               ? 0
               : weir_err_push(WEIR_EPARTS,
                     "output %s: %s was changed: its CRC32C is %08x, and %08x was committed",
                     sink->conf->path, sink->path, sink->part_crc, part->crc);
}
