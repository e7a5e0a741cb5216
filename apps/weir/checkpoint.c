/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c: `weir checkpoint list|show|verify`: what lies in a directory of checkpoints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/weir/verbs.h"
#include "base/err.h"
#include "sched/job.h"
#include "sched/store_look.h"

static uint64_t
file_bytes(const struct weir_manifest *manifest)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        bytes += manifest->files[i].file_bytes;
    }
    return bytes;
}

/* A counter of the manifest; 0 where it has none of this name. */
static uint64_t
counter_of(const struct weir_manifest *manifest, const char *name)
{
    for (uint32_t i = 0; i < manifest->counter_cnt; i++) {
        if (strcmp(manifest->counters[i].name, name) == 0) {
            return manifest->counters[i].value;
        }
    }
    return 0;
}

/* Bytes that were written for each one that had changed; "-" where that is not known. */
static const char *
per_dirty_text(const struct weir_manifest *manifest, char buf[32])
{
    uint64_t written = counter_of(manifest, WEIR_JOB_WRITTEN_COUNTER);
    uint64_t dirty = counter_of(manifest, WEIR_JOB_DIRTY_COUNTER);
    (void)snprintf(buf, 32, "-");
    if (dirty > 0) {
        (void)snprintf(buf, 32, "%.2f", (double)written / (double)dirty);
    }
    return buf;
}

static const char *
time_text(int64_t ns, char buf[32])
{
    time_t seconds = (time_t)(ns / WEIR_SEC_NS);
    struct tm tm;
    (void)snprintf(buf, 32, "-");
    if (ns != 0 && gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    return buf;
}

static const char *
kind_text(const struct weir_manifest *manifest)
{
    return manifest->kind == WEIR_MANIFEST_KIND_SAVEPOINT ? "savepoint" : "checkpoint";
}

/* The fields that list and show have in common. */
static json_t *
entry_json(const struct weir_look_checkpoint *entry)
{
    const struct weir_manifest *manifest = &entry->manifest;
    char taken[32];
    json_t *doc = json_pack("{s:s, s:I, s:I, s:b}", "job", entry->job, "checkpoint",
        (json_int_t)entry->checkpoint, "epoch", (json_int_t)entry->epoch, "current",
        (int)entry->is_current);
    if (entry->err != 0) {
        json_object_set_new(doc, "wrong", json_string(entry->wrong));
    }
    if (manifest->kind == 0) {
        return doc;
    }
    json_t *more = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "kind",
        kind_text(manifest), "taken", time_text(manifest->started_ns, taken), "duration_ns",
        (json_int_t)manifest->duration_ns, "stall_ns", (json_int_t)manifest->stall_ns, "files",
        (json_int_t)manifest->file_cnt, "bytes", (json_int_t)file_bytes(manifest), "manifest_bytes",
        (json_int_t)entry->manifest_bytes, "parent", (json_int_t)manifest->parent_checkpoint);
    json_object_update_missing(doc, more);
    static const char *const figures[] = {WEIR_JOB_WRITTEN_COUNTER, WEIR_JOB_DIRTY_COUNTER};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(figures); i++) {
        uint64_t value = counter_of(manifest, figures[i]);
        if (value > 0) {
            json_object_set_new(doc, figures[i], json_integer((json_int_t)value));
        }
    }
    json_decref(more);
    return doc;
}

/* What cannot be read for another reason may be whole. */
static const char *
wrong_text(int err)
{
    return err == WEIR_ECHECKPOINT ? "damaged" : "cannot be read";
}

/* Of two errors of checkpoints the one that the exit code tells: damage before all. */
static int
worse(int one, int other)
{
    return one == WEIR_ECHECKPOINT || other == 0 ? one : other;
}

/* The exit code of what is wrong with checkpoints, which was printed; other errors are the caller's
 * to print. */
static int
wrong_code(int err)
{
    return err != 0 ? weir_err_exit_code(err) : 0;
}

static void
entry_print(const struct weir_look_checkpoint *entry)
{
    const struct weir_manifest *manifest = &entry->manifest;
    char taken[32];
    char per_dirty[32];
    (void)printf("%-16s %8" PRIu64 " %6" PRIu64 " %-20s %9.1f %9.3f %6" PRIu32 " %12" PRIu64
                 " %9s  %s%s%s%s%s\n",
        entry->job, entry->checkpoint, entry->epoch, time_text(manifest->started_ns, taken),
        (double)manifest->duration_ns / (double)WEIR_MS,
        (double)manifest->stall_ns / (double)WEIR_MS, manifest->file_cnt, file_bytes(manifest),
        per_dirty_text(manifest, per_dirty), entry->is_current ? "current" : "",
        entry->err != 0 && entry->is_current ? ", " : "",
        entry->err != 0 ? wrong_text(entry->err) : "", entry->err != 0 ? ": " : "",
        entry->err != 0 ? entry->wrong : "");
}

static int
list_run(const struct weir_args *args)
{
    struct weir_look *look;
    int err = weir_look_open(NULL, args->arg[0], &look);
    if (err != 0) {
        return err;
    }
    json_t *list = json_array();
    bool as_json = weir_cli_has(args, "json");
    if (!as_json) {
        (void)printf("%-16s %8s %6s %-20s %9s %9s %6s %12s %9s\n", "job", "id", "epoch", "taken",
            "took ms", "stall ms", "files", "bytes", "per dirty");
    }
    for (uint32_t i = 0; i < weir_look_cnt(look); i++) {
        const struct weir_look_checkpoint *entry = weir_look_at(look, i);
        err = worse(err, entry->err);
        if (as_json) {
            json_array_append_new(list, entry_json(entry));
        } else {
            entry_print(entry);
        }
    }
    if (as_json) {
        weir_cli_print_json(json_pack("{s:O}", "checkpoints", list));
    }
    json_decref(list);
    weir_look_close(look);
    return wrong_code(err);
}

/* The checkpoint that the second argument names, or the current one: 0 and its place. */
static int
find(const struct weir_args *args, const struct weir_look *look, uint32_t *ret_idx)
{
    int err = weir_look_find(look, args->arg_cnt > 1 ? args->arg[1] : NULL, ret_idx);
    if (err != WEIR_ENOINPUT) {
        return err;
    }
    return args->arg_cnt > 1
               ? weir_err_push(err, "%s holds no checkpoint %s", args->arg[0], args->arg[1])
               : weir_err_push(err, "%s holds no current checkpoint", args->arg[0]);
}

static json_t *
parts_json(const struct weir_manifest_part *parts, uint32_t cnt)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I}", "uid", parts[i].uid, "subtask",
                      (json_int_t)parts[i].subtask, "bytes", (json_int_t)parts[i].bytes));
    }
    return list;
}

static json_t *
show_json(const struct weir_look_checkpoint *entry)
{
    const struct weir_manifest *manifest = &entry->manifest;
    json_t *doc = entry_json(entry);
    json_t *files = json_array();
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        const struct weir_snapshot_ack *file = &manifest->files[i];
        json_array_append_new(files,
            json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", file->name, "task",
                (json_int_t)file->id.task, "subtask", (json_int_t)file->id.subtask, "bytes",
                (json_int_t)file->file_bytes, "payload_bytes", (json_int_t)file->payload_bytes));
    }
    json_t *operators = json_array();
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        const struct weir_manifest_operator *op = &manifest->operators[i];
        json_array_append_new(operators,
            json_pack("{s:s, s:s, s:I, s:I, s:I}", "uid", op->uid, "name", op->name, "states",
                (json_int_t)op->state_id_cnt, "parallelism", (json_int_t)op->parallelism,
                "max_parallelism", (json_int_t)op->parallelism_max));
    }
    json_t *counters = json_object();
    for (uint32_t i = 0; i < manifest->counter_cnt; i++) {
        json_object_set_new(counters, manifest->counters[i].name,
            json_integer((json_int_t)manifest->counters[i].value));
    }
    json_object_set_new(doc, "file", files);
    json_object_set_new(doc, "operators", operators);
    json_object_set_new(doc, "sources", parts_json(manifest->sources, manifest->source_cnt));
    json_object_set_new(
        doc, "transactions", parts_json(manifest->transactions, manifest->transaction_cnt));
    json_object_set_new(doc, "counters", counters);
    return doc;
}

static void
show_print(const struct weir_look_checkpoint *entry)
{
    const struct weir_manifest *manifest = &entry->manifest;
    char taken[32];
    (void)printf("%s %" PRIu64 " of job %s, epoch %" PRIu64 "%s\n", kind_text(manifest),
        entry->checkpoint, entry->job, entry->epoch, entry->is_current ? ", current" : "");
    (void)printf("taken    %s, in %.1f ms, longest stall %.3f ms\n",
        time_text(manifest->started_ns, taken), (double)manifest->duration_ns / (double)WEIR_MS,
        (double)manifest->stall_ns / (double)WEIR_MS);
    (void)printf("parent   %" PRIu64 " of epoch %" PRIu64 "\n", manifest->parent_checkpoint,
        manifest->parent_epoch);
    (void)printf("bytes    %" PRIu64 " in %" PRIu32 " files, and %" PRIu64 " of manifest\n",
        file_bytes(manifest), manifest->file_cnt, entry->manifest_bytes);
    uint64_t dirty = counter_of(manifest, WEIR_JOB_DIRTY_COUNTER);
    if (dirty > 0) {
        char per_dirty[32];
        (void)printf("written  %" PRIu64 " bytes for %" PRIu64 " that had changed: %s for each\n",
            counter_of(manifest, WEIR_JOB_WRITTEN_COUNTER), dirty,
            per_dirty_text(manifest, per_dirty));
    }
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        const struct weir_snapshot_ack *file = &manifest->files[i];
        (void)printf("file     %s  task %" PRIu32 ".%" PRIu32 "  %" PRIu64 " bytes, %" PRIu64
                     " of state\n",
            file->name, file->id.task, file->id.subtask, file->file_bytes, file->payload_bytes);
    }
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        const struct weir_manifest_operator *op = &manifest->operators[i];
        (void)printf("operator %s (%s)  %" PRIu32 " states, parallelism %" PRIu32 " of %" PRIu32
                     "\n",
            op->uid, op->name, op->state_id_cnt, op->parallelism, op->parallelism_max);
    }
    for (uint32_t i = 0; i < manifest->source_cnt; i++) {
        (void)printf("source   %s.%" PRIu32 "  position of %" PRIu32 " bytes\n",
            manifest->sources[i].uid, manifest->sources[i].subtask, manifest->sources[i].bytes);
    }
    for (uint32_t i = 0; i < manifest->transaction_cnt; i++) {
        (void)printf("commit   %s.%" PRIu32 "  transaction of %" PRIu32 " bytes\n",
            manifest->transactions[i].uid, manifest->transactions[i].subtask,
            manifest->transactions[i].bytes);
    }
    for (uint32_t i = 0; i < manifest->counter_cnt; i++) {
        (void)printf(
            "counter  %s = %" PRIu64 "\n", manifest->counters[i].name, manifest->counters[i].value);
    }
}

static int
show_run(const struct weir_args *args)
{
    struct weir_look *look;
    uint32_t idx = 0;
    int err = weir_look_open(NULL, args->arg[0], &look);
    if (err != 0) {
        return err;
    }
    err = find(args, look, &idx);
    if (err == 0) {
        const struct weir_look_checkpoint *entry = weir_look_at(look, idx);
        if (entry->err != 0) {
            err = weir_err_push(entry->err, "%s/%s", entry->job, entry->wrong);
        } else if (weir_cli_has(args, "json")) {
            weir_cli_print_json(show_json(entry));
        } else {
            show_print(entry);
        }
    }
    weir_look_close(look);
    return err;
}

/* One checkpoint, read as a whole. Returns what is wrong with it; 0 also where a job has removed it
 * meanwhile. */
static int
verify_one(struct weir_look *look, uint32_t idx, json_t *list)
{
    int err = weir_look_verify(look, idx);
    const struct weir_look_checkpoint *entry = weir_look_at(look, idx);
    if (list != NULL) {
        json_t *doc = entry_json(entry);
        json_object_set_new(doc, "good", entry->is_gone ? json_null() : json_boolean(err == 0));
        json_array_append_new(list, doc);
    } else if (err == 0) {
        (void)printf("%s %" PRIu64 ", epoch %" PRIu64 ": good, %" PRIu32 " files, %" PRIu64
                     " bytes\n",
            entry->job, entry->checkpoint, entry->epoch, entry->manifest.file_cnt,
            file_bytes(&entry->manifest));
    } else {
        (void)printf("%s %" PRIu64 ", epoch %" PRIu64 ": %s: %s\n", entry->job, entry->checkpoint,
            entry->epoch, entry->is_gone ? "gone" : wrong_text(err), entry->wrong);
    }
    return entry->is_gone ? 0 : err;
}

static int
verify_run(const struct weir_args *args)
{
    struct weir_look *look;
    uint32_t idx = 0;
    int wrong = 0;
    int err = weir_look_open(NULL, args->arg[0], &look);
    if (err != 0) {
        return err;
    }
    json_t *list = weir_cli_has(args, "json") ? json_array() : NULL;
    if (args->arg_cnt > 1) {
        err = find(args, look, &idx);
        wrong = err == 0 ? verify_one(look, idx, list) : 0;
    }
    for (uint32_t i = 0; args->arg_cnt == 1 && i < weir_look_cnt(look); i++) {
        wrong = worse(wrong, verify_one(look, i, list));
    }
    if (list != NULL && err == 0) {
        weir_cli_print_json(json_pack("{s:O}", "checkpoints", list));
    }
    json_decref(list);
    weir_look_close(look);
    return err != 0 ? err : wrong_code(wrong);
}

static const struct weir_flag checkpoint_flags[] = {
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_checkpoint_list = {
    .name = "checkpoint list",
    .args = "DIR",
    .text = "list the checkpoints in a directory: id, epoch, time, duration, stall, size, bytes "
            "per dirty byte",
    .examples = "weir checkpoint list ckpt           # of all jobs in it\n"
                "weir checkpoint list ckpt/nexmark   # of one\n",
    .notes =
        "Exit code 65 where a manifest is damaged. Files are not read: see checkpoint verify.\n",
    .flags = checkpoint_flags,
    .flag_cnt = WEIR_ARRAY_CNT(checkpoint_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = list_run,
};

const struct weir_verb weir_verb_checkpoint_show = {
    .name = "checkpoint show",
    .args = "DIR [ID]",
    .text = "say what is in a checkpoint: files, operators, positions, transactions",
    .examples = "weir checkpoint show ckpt       # the one that a start would restore\n"
                "weir checkpoint show ckpt 2\n"
                "weir checkpoint show ckpt 2-2   # that of epoch 2\n",
    .flags = checkpoint_flags,
    .flag_cnt = WEIR_ARRAY_CNT(checkpoint_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 2,
    .run = show_run,
};

const struct weir_verb weir_verb_checkpoint_verify = {
    .name = "checkpoint verify",
    .args = "DIR [ID]",
    .text = "read every block of checkpoints, and name what is damaged",
    .examples = "weir checkpoint verify ckpt       # all of them\n"
                "weir checkpoint verify ckpt 2\n",
    .notes =
        "Exit code 65 where something is damaged: the file, the block and the byte are named.\n"
        "What a job that runs removes meanwhile is gone, which is no damage.\n",
    .flags = checkpoint_flags,
    .flag_cnt = WEIR_ARRAY_CNT(checkpoint_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 2,
    .run = verify_run,
};
