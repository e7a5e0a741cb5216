/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint into the tasks that there are now. Parts first, since they say which
 * operators a file is of; then the files with pages, each read once and laid into every arena that
 * wants some of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "dataplane/restore.h"
#include "dataplane/state.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"
#include "sched/job_restore_priv.h"

/* Parts are small: more is damage that no checksum has caught. */
#define PARTS_BYTES_MAX WEIR_GIB
/* What a task writes for every operator, whether it keeps anything or not. */
#define NODE_PART "chain"
#define GATE_PART "gate."

/* An arena that is filled. */
struct target {
    struct job_stage *stage;
    struct weir_restore restore;
    struct weir_state_owner owners[WEIR_CHAIN_NODE_CNT_MAX];
    void *mem;
    bool *wants; /* [old task] */
    uint32_t source_cnt;
    bool is_on; /* of the file that is read: it wants this one */
};

struct load {
    struct weir_job_restore *restore;
    struct target *targets;
    uint32_t target_cnt;
    uint64_t skip_bytes; /* of the file that is read: its head and parts */
    struct job_old_task *old; /* whose file it is */
};

/* ---- reading ---- */

/* Damage is no malformed input of the job's. */
int
weir_job_restore_blame_file(const struct weir_job_restore *restore, int err, const char *what)
{
    bool is_damage = err == WEIR_EDATA || err == WEIR_EFORMAT || err == WEIR_ENOINPUT;
    return weir_err_push(is_damage ? WEIR_ECHECKPOINT : err, "checkpoint %" PRIu64 ": %s",
        restore->manifest->checkpoint, what);
}

int
weir_job_restore_blame(const struct weir_job_restore *restore, int err)
{
    char what[WEIR_SNAPSHOT_FAULT_BYTES + 8];
    (void)snprintf(what, sizeof what, "data/%s", weir_snapshot_read_fault(restore->reader)->text);
    return weir_job_restore_blame_file(restore, err, what);
}

/* ---- parts ---- */

static uint64_t
front_bytes(const struct weir_task_file_head *head)
{
    return sizeof *head + weir_align_up(head->parts_bytes, sizeof(uint64_t));
}

/* The first payload of a file begins with its head. */
static int
take_head(struct job_old_task *old, const void *payload, uint64_t bytes)
{
    const char *wrong = weir_task_file_check(payload, bytes);
    if (wrong != NULL) {
        return weir_err_push(WEIR_EFORMAT, "%s: %s", old->files[old->file_cnt - 1]->name, wrong);
    }
    memcpy(&old->head, payload, sizeof old->head);
    if (old->head.parts_bytes > PARTS_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "%s: parts of %" PRIu64 " bytes",
            old->files[old->file_cnt - 1]->name, old->head.parts_bytes);
    }
    old->parts = malloc(weir_align_up(old->head.parts_bytes, sizeof(uint64_t)) + 1);
    return old->parts == NULL ? weir_err_push(WEIR_ENOMEM, "parts of a checkpoint") : 0;
}

/* The head and the parts; a file with pages is read again for those, and given up here. */
static int
parts_sink(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct job_old_task *old = arg;
    int err = off == 0 ? take_head(old, payload, bytes) : 0;
    if (err != 0) {
        return err;
    }
    uint64_t from = weir_max_u64(off, sizeof old->head);
    uint64_t to = weir_min_u64(off + bytes, sizeof old->head + old->head.parts_bytes);
    if (from < to) {
        memcpy(old->parts + (from - sizeof old->head), (const char *)payload + (from - off),
            to - from);
        old->parts_got += to - from;
    }
    uint64_t front = front_bytes(&old->head);
    if (old->head.capture_version == 0 && weir_job_flight_follows(old) && off + bytes > front) {
        uint64_t skip = front > off ? front - off : 0;
        if (old->flight == NULL &&
            !weir_job_flight_begins((const char *)payload + skip, bytes - skip)) {
            return weir_err_push(WEIR_EDATA, "no rows under way");
        }
        err = weir_job_flight_take(old, (const char *)payload + skip, bytes - skip);
    }
    old->is_whole = old->parts_got == old->head.parts_bytes;
    if (err != 0) {
        return err;
    }
    return old->is_whole && old->head.capture_version != 0 ? WEIR_ECANCELED : 0;
}

static int
read_parts(struct weir_job_restore *restore, uint32_t idx)
{
    struct job_old_task *old = &restore->old[idx];
    const struct weir_snapshot_ask ask = {.dir = restore->data_dir,
        .file = old->files[old->file_cnt - 1],
        .front_only = true,
        .sink = parts_sink,
        .arg = old};
    int err = weir_job_restore_read(restore, &ask);
    if (err != 0 && !(err == WEIR_ECANCELED && old->is_whole)) {
        return weir_job_restore_blame(restore, err);
    }
    if (old->head.capture_version == 0) {
        restore->progress.bytes_done += ask.file->file_bytes;
    }
    err = weir_parts_reader_init(&restore->parts[idx], old->parts, old->parts_got);
    return err != 0 ? weir_job_restore_blame_file(restore, err, ask.file->name) : 0;
}

/* ---- files ---- */

static int
compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int
compare_files(const void *left, const void *right)
{
    const struct weir_snapshot_id *a = &(*(const struct weir_snapshot_ack *const *)left)->id;
    const struct weir_snapshot_id *b = &(*(const struct weir_snapshot_ack *const *)right)->id;
    int order = compare_u64(a->subtask, b->subtask);
    order = order != 0 ? order : compare_u64(a->task, b->task);
    order = order != 0 ? order : compare_u64(a->checkpoint, b->checkpoint);
    return order != 0 ? order : compare_u64(a->epoch, b->epoch);
}

/* Which files are whose. */
static int
list_files(struct weir_job_restore *restore)
{
    const struct weir_manifest *manifest = restore->manifest;
    uint32_t cnt = manifest->file_cnt;
    restore->files = calloc(cnt + UINT64_C(1), sizeof *restore->files);
    restore->old = calloc(cnt + UINT64_C(1), sizeof *restore->old);
    restore->parts = calloc(cnt + UINT64_C(1), sizeof *restore->parts);
    restore->flights = calloc(cnt + UINT64_C(1), sizeof *restore->flights);
    restore->ended = calloc(manifest->operator_cnt + UINT64_C(1), sizeof *restore->ended);
    restore->continued =
        calloc(restore->job->plan->stage_cnt + UINT64_C(1), sizeof *restore->continued);
    if (restore->files == NULL || restore->old == NULL || restore->parts == NULL ||
        restore->flights == NULL || restore->ended == NULL || restore->continued == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%u files of a checkpoint", cnt);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        restore->files[i] = &manifest->files[i];
        restore->progress.bytes_all += manifest->files[i].file_bytes;
    }
    qsort(restore->files, cnt, sizeof *restore->files, compare_files);
    for (uint32_t i = 0; i < cnt; i++) {
        const struct weir_snapshot_id *id = &restore->files[i]->id;
        struct job_old_task *last =
            restore->old_cnt > 0 ? restore->old + restore->old_cnt - 1 : NULL;
        if (last == NULL || last->files[0]->id.task != id->task ||
            last->files[0]->id.subtask != id->subtask) {
            last = &restore->old[restore->old_cnt++];
            last->files = &restore->files[i];
        }
        last->file_cnt++;
    }
    return 0;
}

/* ---- whether the job is the one that there was ---- */

static bool
is_text(const char *text, uint32_t bytes, const char *want)
{
    return bytes == strlen(want) && memcmp(text, want, bytes) == 0;
}

/* Subtasks of the operator whose parts are there; *ret_keeps: it has left more than every operator
 * does. */
static uint32_t
count_parts(const struct weir_job_restore *restore, const char *uid, bool *ret_keeps)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        struct weir_part part;
        size_t offset = 0;
        bool has = false;
        while (weir_parts_next(&restore->parts[i], &offset, &part) == 1) {
            if (is_text(part.uid, part.uid_bytes, uid)) {
                bool is_common = is_text(part.name, part.name_bytes, NODE_PART) ||
                                 (part.name_bytes > strlen(GATE_PART) &&
                                     memcmp(part.name, GATE_PART, strlen(GATE_PART)) == 0);
                has = true;
                *ret_keeps = *ret_keeps || !is_common;
            }
        }
        cnt += has;
    }
    return cnt;
}

static const struct weir_graph_node *
find_node(const struct weir_env *env, const char *uid)
{
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        if (strcmp(env->node[i].name, uid) == 0) {
            return &env->node[i];
        }
    }
    return NULL;
}

/* An operator of the checkpoint, beside the job's. */
static int
check_operator(struct weir_job_restore *restore, const struct weir_manifest_operator *was)
{
    const struct weir_job *job = restore->job;
    const struct weir_graph_node *node = find_node(job->env, was->uid);
    bool keeps = was->state_id_cnt > 0;
    uint32_t cnt = count_parts(restore, was->uid, &keeps);
    if (node == NULL) {
        return !keeps || restore->conf->how.drops_unknown
                   ? 0
                   : weir_err_push(WEIR_ECONFIG,
                         "checkpoint %" PRIu64 " holds state of operator %s, which job %s does not "
                         "have: give the operator its name again, or leave its state behind with "
                         "--allow-non-restored-state",
                         restore->manifest->checkpoint, was->uid, job->env->job_name);
    }
    if (cnt == 0) {
        restore->ended[restore->ended_cnt++] = was->uid;
        return 0;
    }
    if (was->state_id_cnt > 0 && was->parallelism_max != job->max_parallelism) {
        return weir_err_push(WEIR_ECONFIG,
            "state of operator %s was saved with max_parallelism %u, and now it is %u: set "
            "max_parallelism=%u",
            was->uid, was->parallelism_max, job->max_parallelism, was->parallelism_max);
    }
    restore->lacks_subtasks = restore->lacks_subtasks || cnt < was->parallelism;
    /* As many parts as subtasks are taken for theirs one by one, and keyed state would be
     * another's; one subtask gets all there is in any case. */
    if (was->state_id_cnt > 0 && cnt < was->parallelism && cnt == node->parallelism && cnt > 1) {
        return weir_err_push(WEIR_ECONFIG,
            "%u of the %u subtasks of operator %s had ended: its state can be restored with "
            "another parallelism than %u",
            was->parallelism - cnt, was->parallelism, was->uid, cnt);
    }
    return 0;
}

static uint32_t
parallelism_of(const struct weir_manifest *manifest, const char *uid)
{
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        if (strcmp(manifest->operators[i].uid, uid) == 0) {
            return manifest->operators[i].parallelism;
        }
    }
    return 0;
}

static bool
stage_has(const struct weir_job *job, const struct job_stage *stage, const struct weir_part *part)
{
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        if (is_text(part->uid, part->uid_bytes, job->env->node[stage->operators[i]].name)) {
            return true;
        }
    }
    return false;
}

/* Whether an old task has the operators of a stage, and no others. */
static bool
is_same_task(const struct weir_job_restore *restore, const struct job_stage *stage, uint32_t idx)
{
    const struct weir_job *job = restore->job;
    struct weir_part part;
    size_t offset = 0;
    uint32_t cnt = 0;
    while (weir_parts_next(&restore->parts[idx], &offset, &part) == 1) {
        bool has = part.uid_bytes == 0 || stage_has(job, stage, &part);
        if (!has) {
            return false;
        }
        cnt += part.uid_bytes > 0 && is_text(part.name, part.name_bytes, NODE_PART);
    }
    return cnt == stage->operator_cnt;
}

/* Whether the tasks are those that there were. */
static bool
is_same_job(const struct weir_job_restore *restore)
{
    const struct weir_job *job = restore->job;
    if (WEIR_MUTANT(RESCALED_AS_SAME)) {
        return true;
    }
    if (restore->old_cnt != job->plan->stage_cnt) {
        return false;
    }
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[i];
        if (parallelism_of(restore->manifest, node->name) != node->parallelism) {
            return false;
        }
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        bool has = false;
        for (uint32_t i = 0; i < restore->old_cnt && !has; i++) {
            has = restore->old[i].files[0]->id.subtask == job->plan->stages[s].subtask &&
                  is_same_task(restore, &job->stage[s], i) &&
                  (!job->stage[s].has_arena ||
                      weir_job_groups_are(&restore->old[i], &job->stage[s].arena));
        }
        if (!has) {
            return false;
        }
    }
    return true;
}

/* ---- arenas ---- */

static struct weir_state_owner
owner_of(const struct job_stage *stage, uint32_t node)
{
    const struct weir_operator *op = weir_task_operator(stage->task, node);
    const struct weir_state_owner owner = {op->uid, op->type, op->conf};
    return owner;
}

/* Which operator of the stage a state is of, or UINT32_MAX. */
static uint32_t
find_state(const struct target *target, uint32_t state_id, const struct weir_state_desc **ret_desc)
{
    for (uint32_t i = 0; i < target->stage->operator_cnt; i++) {
        *ret_desc = weir_state_desc_of(&target->owners[i], state_id);
        if (*ret_desc != NULL) {
            return i;
        }
    }
    return UINT32_MAX;
}

static bool
is_known(void *arg, uint32_t state_id)
{
    const struct weir_state_desc *desc;
    return find_state(arg, state_id, &desc) != UINT32_MAX;
}

static uint32_t
move_ref(void *arg, uint32_t ref)
{
    return weir_restore_ref(arg, ref);
}

static uint32_t
move_blob(void *arg, uint32_t ref)
{
    return weir_restore_blob(arg, ref);
}

static int
move_value(void *arg, struct weir_restore *restore, const struct weir_table *table, void *val)
{
    const struct target *target = arg;
    const struct weir_state_desc *desc;
    uint32_t node = find_state(target, table->spec.state_id, &desc);
    const struct weir_state_mover mover = {move_ref, move_blob, restore};
    return node == UINT32_MAX || desc->move == NULL
               ? 0
               : desc->move(weir_task_operator(target->stage->task, node), table, &mover, val);
}

/* Whether the stage has an operator with keyed state of which the old task has left some. */
static bool
shares_state(const struct target *target, const struct weir_parts_reader *parts)
{
    for (uint32_t n = 0; n < target->stage->operator_cnt; n++) {
        struct weir_part part;
        size_t offset = 0;
        while (weir_state_desc_at(&target->owners[n], 0) != NULL &&
               weir_parts_next(parts, &offset, &part) == 1) {
            if (is_text(part.uid, part.uid_bytes, target->owners[n].uid)) {
                return true;
            }
        }
    }
    return false;
}

static bool
wants(const struct target *target, const struct job_old_task *old,
    const struct weir_parts_reader *parts)
{
    return weir_job_groups_meet(old, &target->stage->arena) && shares_state(target, parts);
}

/* One old arena of the same key groups, all of whose operators are here: pages keep their
 * places. */
static bool
is_in_place(const struct weir_job_restore *restore, const struct target *target)
{
    const struct weir_keygroup_range *own = &target->stage->arena.spec.groups;
    for (uint32_t i = 0; i < restore->old_cnt && target->source_cnt == 1; i++) {
        const struct weir_task_file_head *head = &restore->old[i].head;
        struct weir_part part;
        size_t offset = 0;
        if (!target->wants[i]) {
            continue;
        }
        while (weir_parts_next(&restore->parts[i], &offset, &part) == 1) {
            if (part.uid_bytes > 0 && !stage_has(restore->job, target->stage, &part)) {
                return false;
            }
        }
        return head->group_first == own->first && head->group_cnt == own->cnt &&
               weir_job_groups_are(&restore->old[i], &target->stage->arena) &&
               head->page_cnt <= target->stage->arena.page_cnt;
    }
    return false;
}

/* The old task that a snapshot of the stage could rest on, plus 1; 0: none. Its files lie where
 * those of this run will, under the name of the same task. */
static uint32_t
find_continued(const struct weir_job_restore *restore, const struct target *target)
{
    uint32_t stage = (uint32_t)(target->stage - restore->job->stage);
    for (uint32_t i = 0; i < restore->old_cnt && restore->store != NULL; i++) {
        const struct job_old_task *old = &restore->old[i];
        const struct weir_snapshot_ack *last = old->files[old->file_cnt - 1];
        if (target->wants[i]) {
            bool is_own = !restore->owns_data_dir && last->id.job == weir_store_job(restore->store);
            bool is_same = last->id.task == stage &&
                           last->id.subtask == restore->job->plan->stages[stage].subtask;
            bool has_room = old->file_cnt <= WEIR_JOB_RESTORE_CHAIN_CNT_MAX;
            return is_own && is_same && has_room ? i + 1 : 0;
        }
    }
    return 0;
}

static int
open_target(struct weir_job_restore *restore, struct target *target)
{
    struct weir_restore_spec spec = {
        .value_fn = move_value, .is_known_fn = is_known, .arg = target};
    target->wants = calloc(restore->old_cnt + UINT64_C(1), sizeof *target->wants);
    if (target->wants == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a restore");
    }
    for (uint32_t n = 0; n < target->stage->operator_cnt; n++) {
        target->owners[n] = owner_of(target->stage, n);
    }
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        const struct weir_task_file_head *head = &restore->old[i].head;
        target->wants[i] = wants(target, &restore->old[i], &restore->parts[i]);
        if (target->wants[i]) {
            target->source_cnt++;
            spec.page_cnt_max = (uint32_t)weir_max_u64(spec.page_cnt_max, head->page_cnt);
            spec.table_cnt_max = (uint32_t)weir_max_u64(spec.table_cnt_max, head->table_cnt);
        }
    }
    if (target->source_cnt == 0) {
        return 0;
    }
    spec.table_cnt_max =
        spec.table_cnt_max != 0 ? spec.table_cnt_max : WEIR_ARENA_TABLE_CNT_DEFAULT;
    spec.is_in_place = is_in_place(restore, target);
    uint32_t continued = spec.is_in_place ? find_continued(restore, target) : 0;
    spec.is_continued = continued != 0;
    restore->continued[target->stage - restore->job->stage] = continued;
    target->mem = calloc(1, weir_restore_footprint(&spec));
    return target->mem == NULL
               ? weir_err_push(WEIR_ENOMEM, "a restore of %u pages", spec.page_cnt_max)
               : weir_restore_init(&target->restore, &target->stage->arena, &spec, target->mem);
}

/* Every key group of a stage's keyed operators comes from somewhere, unless there was none. */
static int
check_groups(const struct weir_job_restore *restore, const struct target *target)
{
    const struct weir_arena *arena = &target->stage->arena;
    bool is_due = target->source_cnt > 0 && !restore->lacks_subtasks;
    for (uint32_t g = 0; g < arena->spec.max_parallelism && is_due; g++) {
        bool has = !weir_arena_owns(arena, g);
        for (uint32_t i = 0; i < restore->old_cnt && !has; i++) {
            has = target->wants[i] && weir_job_groups_has(&restore->old[i], g);
        }
        if (!has) {
            return weir_err_push(WEIR_ECHECKPOINT,
                "checkpoint %" PRIu64 " has no file with key group %u of task %s",
                restore->manifest->checkpoint, g, weir_task_name(target->stage->task));
        }
    }
    return 0;
}

static int
apply(struct target *target, const char *at, uint64_t left, uint64_t *ret_bytes)
{
    int64_t got = weir_restore_apply(&target->restore, at, left);
    if (got < 0) {
        return (int)got;
    }
    *ret_bytes = (uint64_t)got;
    return 0;
}

/* A record of pages into every arena that wants the file. */
static int
apply_record(struct load *load, const char *at, uint64_t left, uint64_t *ret_used)
{
    struct weir_capture_record record;
    bool is_wanted = false;
    for (uint32_t t = 0; t < load->target_cnt; t++) {
        struct target *target = &load->targets[t];
        int err = target->is_on ? apply(target, at, left, ret_used) : 0;
        if (err != 0) {
            return err;
        }
        is_wanted |= target->is_on;
    }
    if (is_wanted) {
        return 0;
    }
    if (left < sizeof record) { /* the file is read for its rows under way alone */
        return weir_err_push(WEIR_EDATA, "half a record");
    }
    memcpy(&record, at, sizeof record);
    if (record.bytes < sizeof record || record.bytes > left) {
        return weir_err_push(WEIR_EDATA, "a record of %u bytes", record.bytes);
    }
    *ret_used = record.bytes;
    return 0;
}

/* Records, then the rows under way of the newest file. */
static int
pages_sink(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct load *load = arg;
    struct weir_job_restore *restore = load->restore;
    if (off == 0) {
        struct weir_task_file_head head;
        if (weir_task_file_check(payload, bytes) != NULL) {
            return weir_err_push(WEIR_EFORMAT, "it is not the file of a task");
        }
        memcpy(&head, payload, sizeof head);
        load->skip_bytes = front_bytes(&head);
        weir_job_flight_drop(load->old);
    }
    restore->progress.bytes_done += bytes;
    uint64_t at = load->skip_bytes > off ? weir_min_u64(load->skip_bytes - off, bytes) : 0;
    while (at < bytes) {
        const char *from = (const char *)payload + at;
        uint64_t used = 0;
        if (load->old->flight != NULL || weir_job_flight_begins(from, bytes - at)) {
            return weir_job_flight_take(load->old, from, bytes - at);
        }
        int err = apply_record(load, from, bytes - at, &used);
        if (err != 0) {
            return err;
        }
        at += used;
    }
    return 0;
}

/* The files of one old task, which some arena wants. */
static int
load_task(struct load *load, uint32_t idx)
{
    struct weir_job_restore *restore = load->restore;
    struct job_old_task *old = &restore->old[idx];
    bool is_wanted = false;
    int err = 0;
    load->old = old;
    for (uint32_t t = 0; t < load->target_cnt && err == 0; t++) {
        struct target *target = &load->targets[t];
        target->is_on = target->wants[idx];
        is_wanted = is_wanted || target->is_on;
        err = target->is_on ? weir_restore_source(&target->restore) : 0;
    }
    if (is_wanted && err == 0) {
        err = weir_job_restore_open(restore, old->file_cnt > 1);
    }
    if (is_wanted && err == 0) {
        const struct weir_snapshot_ask ask = {
            .dir = restore->data_dir, .sink = pages_sink, .arg = load};
        err = weir_job_restore_read_chain(restore, &ask, old->files, old->file_cnt);
        err = err != 0 ? weir_job_restore_blame(restore, err) : 0;
    } else if (err == 0 && weir_job_flight_follows(old) && old->head.capture_version != 0) {
        const struct weir_snapshot_ask ask = {.dir = restore->data_dir,
            .file = old->files[old->file_cnt - 1],
            .sink = pages_sink,
            .arg = load};
        err = weir_job_restore_open(restore, false);
        err = err != 0 ? err : weir_job_restore_read(restore, &ask);
        err = err != 0 ? weir_job_restore_blame(restore, err) : 0;
    }
    for (uint32_t t = 0; t < load->target_cnt && err == 0; t++) {
        struct target *target = &load->targets[t];
        err = target->is_on ? weir_restore_source_end(&target->restore) : 0;
        if (err != 0) {
            err = weir_job_restore_blame_file(restore, err, weir_task_name(target->stage->task));
        }
    }
    return err;
}

static int
load_arenas(struct weir_job_restore *restore)
{
    struct weir_job *job = restore->job;
    struct load load = {.restore = restore};
    int err = 0;
    load.targets = calloc(job->plan->stage_cnt + UINT64_C(1), sizeof *load.targets);
    if (load.targets == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a restore");
    }
    err = weir_job_groups_read(restore);
    if (err == 0) {
        weir_job_groups_deal(restore);
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt && err == 0; s++) {
        if (job->stage[s].has_arena) {
            struct target *target = &load.targets[load.target_cnt++];
            target->stage = &job->stage[s];
            err = open_target(restore, target);
            err = err != 0 ? err : check_groups(restore, target);
        }
    }
    for (uint32_t i = 0; i < restore->old_cnt && err == 0; i++) {
        err = load_task(&load, i);
    }
    for (uint32_t t = 0; t < load.target_cnt && err == 0; t++) {
        struct target *target = &load.targets[t];
        err = target->source_cnt > 0 ? weir_restore_finish(&target->restore) : 0;
    }
    for (uint32_t t = 0; t < load.target_cnt; t++) {
        free(load.targets[t].wants);
        free(load.targets[t].mem);
    }
    free(load.targets);
    return err;
}

/* ---- the whole ---- */

static int
load_manifest(struct weir_job_restore *restore)
{
    const struct weir_manifest *manifest = restore->manifest;
    int err = weir_job_restore_open(restore, false);
    restore->begin_ns = weir_io_clock_ns(restore->io);
    restore->progress.checkpoint = manifest->checkpoint;
    restore->told_ns = restore->begin_ns;
    err = err != 0 ? err : list_files(restore);
    for (uint32_t i = 0; i < restore->old_cnt && err == 0; i++) {
        err = read_parts(restore, i);
    }
    WEIR_KILLPOINT(R5_READ);
    for (uint32_t i = 0; i < manifest->operator_cnt && err == 0; i++) {
        err = check_operator(restore, &manifest->operators[i]);
    }
    err = err != 0 ? err : load_arenas(restore);
    err = err != 0 ? err : weir_job_flight_check(restore);
    weir_job_restore_shut(restore);
    if (err == 0) {
        weir_job_restore_tell(restore, true);
        restore->job->restored = (struct weir_job_restored){.checkpoint = manifest->checkpoint,
            .epoch = manifest->epoch,
            .file_cnt = manifest->file_cnt,
            .bytes = restore->progress.bytes_all,
            .flight_rows = restore->flight_rows,
            .elapsed_ns = weir_io_clock_ns(restore->io) - restore->begin_ns};
    }
    return err;
}

int
weir_job_restore_load(struct weir_job_restore *restore, struct weir_job *job)
{
    restore->job = job;
    if (restore->manifest != NULL) {
        bool is_savepoint = restore->manifest->kind == WEIR_MANIFEST_KIND_SAVEPOINT;
        int err = is_savepoint ? weir_job_restore_savepoint(restore) : load_manifest(restore);
        if (err != 0) {
            return err;
        }
        WEIR_KILLPOINT(R5_LOADED);
        job->restore.is_on = true;
        job->restore.is_same = !is_savepoint && is_same_job(restore);
        job->restore.parts = restore->parts;
        job->restore.parts_cnt = is_savepoint ? restore->parts_cnt : restore->old_cnt;
        job->restore.ended = restore->ended;
        job->restore.ended_cnt = restore->ended_cnt;
        job->restore.flights = restore->flights;
        job->restore.flight_cnt = restore->flights != NULL ? restore->old_cnt : 0;
    }
    return 0;
}

uint32_t
weir_job_restore_chain(const struct weir_job_restore *restore, uint32_t stage,
    const struct weir_snapshot_ack *const **ret_files)
{
    uint32_t idx = restore->continued != NULL ? restore->continued[stage] : 0;
    const struct job_old_task *old = idx != 0 ? &restore->old[idx - 1] : NULL;
    *ret_files = old != NULL ? old->files : NULL;
    return old != NULL ? old->file_cnt : 0;
}

void
weir_job_restore_free(struct weir_job_restore *restore)
{
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        free(restore->old[i].parts);
        free(restore->old[i].flight);
        free(restore->old[i].owned);
    }
    weir_job_restore_shut(restore);
    free(restore->files);
    free(restore->old);
    free(restore->parts);
    free(restore->flights);
    free(restore->ended);
    free(restore->continued);
}
