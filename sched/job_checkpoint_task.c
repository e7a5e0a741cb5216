/* SPDX-License-Identifier: Apache-2.0 */
/* One task's part of a checkpoint: what its core does, and what the storage core makes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/killpoint.h"
#include "base/log.h"
#include "io/io.h"
#include "sched/job_checkpoint_priv.h"

/* Beside an arena of so many bytes, what its captures need: 16 bytes a page, rounded up, and the
 * undo lines; one page for each part's alignment. */
#define PAGE_COST 17
#define UNDO_COST 80
#define LAYOUT_BYTES (8 * WEIR_PAGE_BYTES)
/* Blocks of a file, and how many are under way: by how much there may be to write. */
#define LARGE_BYTES (64 * WEIR_MIB)
/* Filled by one poll, so that letters are not kept waiting. */
#define POLL_BYTES (4 * WEIR_MIB)
/* Ranges of memory that an io registers; see weir_io_register. */
#define REGISTERED_STAGE_CNT_MAX 6
/* Parts that are touched before rows flow. */
#define TOUCH_BYTES (64 * WEIR_KIB)

static uint64_t
arena_bytes(const struct cp_stage *stage)
{
    return stage->arena != NULL ? (uint64_t)stage->arena->page_cnt * WEIR_PAGE_BYTES : 0;
}

static uint32_t
block_bytes(const struct cp_stage *stage)
{
    uint64_t bytes = arena_bytes(stage);
    return stage->checkpoint->options.block_bytes != 0 ? stage->checkpoint->options.block_bytes
           : bytes >= LARGE_BYTES                      ? WEIR_MIB
           : bytes > 0                                 ? 256 * WEIR_KIB
                                                       : 64 * WEIR_KIB;
}

/* ---- the core's side ---- */

static int64_t
core_now_ns(const struct weir_job_checkpoint *cp)
{
    const struct weir_clock *clock = weir_job_clock(cp->job);
    return clock != NULL ? weir_clock_ns(clock) : 0;
}

static void
say(struct cp_stage *stage, const struct weir_letter *letter)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    int rc = weir_mbox_put(cp->mbox, letter);
    WEIR_CHECK(rc == 1, "the mailbox of checkpoints is full");
    weir_doorbell_ring_shared(cp->doorbell, 0);
}

/* The context of an error, for the storage core to log. */
static void
keep_why(struct cp_stage *stage)
{
    /* [A40] pairs with [R40] in take_why: it has been read. */
    if (weir_load_acq(&stage->has_why) == 0) {
        weir_err_save(stage->why, sizeof stage->why);
        weir_store_rlx(&stage->has_why, 1); /* relaxed: the letter carries it */
    }
}

static uint32_t
free_slot(const struct cp_stage *stage)
{
    for (uint32_t i = 0; i < stage->checkpoint->slot_cnt; i++) {
        /* [A41] pairs with [R41] in weir_job_checkpoint_slot_free: its parts are read. */
        if (weir_load_acq(&stage->slot[i].is_lent) == 0) {
            return i;
        }
    }
    return CP_NONE;
}

/* What is left of snapshots that were given up is in the way of this one. The next periodic one may
 * have better luck; a stop has no next one: it gives up what is under way itself, and comes before
 * the storage core is done with that. No row follows it, so nobody is kept waiting. */
static int
in_the_way(struct weir_task *task, const struct weir_mark *mark, const char *what)
{
    if (mark->kind == WEIR_MARK_STOP) {
        return WEIR_WAIT;
    }
    return weir_err_push(WEIR_ETIMEOUT, "task %s: %s before this one are still being written",
        weir_task_name(task), what);
}

static int
begin_fn(void *arg, struct weir_task *task, const struct weir_mark *mark, void **ret_buf,
    size_t *ret_bytes)
{
    struct cp_stage *stage = arg;
    uint32_t idx = free_slot(stage);
    if (stage->begin_id != mark->id) {
        stage->begin_id = mark->id;
        stage->begin_ns = core_now_ns(stage->checkpoint);
    }
    if (idx == CP_NONE) {
        return in_the_way(task, mark, "the snapshots");
    }
    struct cp_slot *slot = &stage->slot[idx];
    if (stage->arena != NULL) {
        slot->page_bytes = weir_arena_used_bytes(stage->arena);
        if (weir_arena_snapshot_begin(stage->arena) != WEIR_DONE) {
            return in_the_way(task, mark, "the pages of the snapshot");
        }
    }
    slot->id = mark->id;
    slot->has_epoch = stage->arena != NULL;
    weir_store_rlx(&slot->is_lent, 1); /* relaxed: only this core looks for 0 */
    weir_store_rlx(&stage->held_ns, 0); /* relaxed: a figure */
    stage->held_at_ns = 0;
    stage->open_slot = idx;
    *ret_buf = slot->parts;
    *ret_bytes = CP_PARTS_BYTES - sizeof(uint64_t);
    return 0;
}

static int
flight_fn(void *arg, struct weir_task *task, void **ret_buf, size_t *ret_bytes)
{
    const struct cp_stage *stage = arg;
    (void)task;
    *ret_buf = stage->slot[stage->open_slot].flight;
    *ret_bytes = stage->checkpoint->options.flight_bytes_max;
    return 0;
}

static enum weir_task_hold
hold_fn(void *arg, struct weir_task *task, int64_t now_ns)
{
    struct cp_stage *stage = arg;
    (void)task;
    enum weir_arena_snapshot live = weir_arena_snapshot_poll(stage->arena);
    if (live == WEIR_ARENA_SNAPSHOT_NONE) {
        return WEIR_TASK_HOLD_NEVER;
    }
    if (live == WEIR_ARENA_SNAPSHOT_LIVE) {
        stage->held_at_ns = 0;
        return WEIR_TASK_HOLD_NOT;
    }
    /* relaxed, both: one writer, and a figure for the others. */
    int64_t held_ns = weir_load_rlx(&stage->held_ns);
    held_ns += stage->held_at_ns != 0 ? now_ns - stage->held_at_ns : 0;
    weir_store_rlx(&stage->held_ns, held_ns);
    stage->held_at_ns = now_ns;
    if (held_ns < stage->checkpoint->options.throttle_max_ns) {
        return WEIR_TASK_HOLD_WAIT;
    }
    weir_arena_snapshot_decline(stage->arena);
    return WEIR_TASK_HOLD_NEVER;
}

/* The last counts of a task that has come to its end: its channels change no more. */
static void
keep_last(struct cp_stage *stage)
{
    struct weir_job *job = stage->checkpoint->job;
    const struct job_stage *of = &job->stage[stage->idx];
    stage->last_cnt = 0;
    for (uint32_t g = 0; g < of->gate_cnt && stage->channel_cnt > 0; g++) {
        const struct weir_gate *gate = &of->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            const struct weir_channel_in *in = &gate->channels[c];
            stage->last[stage->last_cnt++] = (struct weir_ledger_entry){
                .channel = in->id, .side = WEIR_LEDGER_IN, .total = {in->rows, in->sum}};
        }
    }
    for (uint32_t p = 0; p < job->partition_cnt && stage->channel_cnt > 0; p++) {
        const struct job_partition *partition = job->partition[p];
        for (uint32_t c = 0; partition->stage == stage->idx && c < partition->conf.channel_cnt;
             c++) {
            const struct weir_channel_out *out = &partition->conf.channels[c];
            stage->last[stage->last_cnt++] = (struct weir_ledger_entry){
                .channel = out->id, .side = WEIR_LEDGER_OUT, .total = {out->rows, out->sum}};
        }
    }
}

void
weir_job_checkpoint_ended(struct weir_job_checkpoint *cp, uint32_t idx, enum weir_task_state state)
{
    struct cp_stage *stage = &cp->stage[idx];
    const struct weir_letter letter = {.kind = CP_LETTER_ENDED, .from = idx, .args = {state}};
    keep_last(stage);
    weir_job_checkpoint_move_left(stage);
    say(stage, &letter);
}

static void
report_fn(void *arg, struct weir_task *task, const struct weir_task_report *report)
{
    struct cp_stage *stage = arg;
    struct weir_letter letter = {
        .kind = report->kind, .from = stage->idx, .args = {report->mark.id, CP_NONE}};
    (void)task;
    uint32_t open = stage->open_slot;
    bool is_open = open != CP_NONE && stage->slot[open].id == report->mark.id;
    switch (report->kind) {
    case WEIR_TASK_SNAPSHOT:
        stage->slot[open].stall_ns = core_now_ns(stage->checkpoint) - stage->begin_ns;
        letter.args[1] = open;
        letter.args[2] = report->parts_bytes | (uint64_t)report->is_final << 63 |
                         (uint64_t)report->has_flight << 62;
        letter.args[3] = (uint64_t)report->gauges.align_ns;
        letter.args[4] = (uint64_t)report->gauges.start_delay_ns;
        letter.args[5] = report->gauges.align_bytes;
        stage->open_slot = CP_NONE;
        break;
    case WEIR_TASK_CAPTURED:
        letter.args[1] = report->flight_rows;
        letter.args[2] = report->flight_bytes;
        letter.args[3] = (uint64_t)report->gauges.align_ns;
        letter.args[4] = (uint64_t)report->gauges.start_delay_ns;
        letter.args[5] = report->gauges.align_bytes;
        break;
    case WEIR_TASK_DECLINED:
        if (is_open) {
            letter.args[1] = open;
            stage->open_slot = CP_NONE;
        }
        letter.args[2] = report->decline;
        letter.args[3] = (uint64_t)(uint32_t)-report->error;
        if (report->error != 0) {
            keep_why(stage);
        }
        break;
    default:
        break;
    }
    say(stage, &letter);
}

/* ---- slots ---- */

int
weir_job_checkpoint_slots_new(struct cp_stage *stage)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    struct weir_env *env = cp->job->env;
    stage->conf = (struct weir_task_checkpoints){.arg = stage,
        .mode = cp->options.is_tracked     ? WEIR_BARRIER_TRACKED
                : cp->options.is_unaligned ? WEIR_BARRIER_UNALIGNED
                                           : WEIR_BARRIER_ALIGNED,
        .timeout_ns = cp->options.align_timeout_ns,
        .piece_rows_max = cp->options.piece_rows_max,
        .flight_slice_bytes = cp->options.flight_slice_bytes,
        .flight_fn = flight_fn,
        .after_end = cp->options.coordinator.is_after_finish,
        .waits_final = true,
        .begin_fn = begin_fn,
        .move_fn = weir_job_checkpoint_move_fn,
        .report_fn = report_fn,
        .restore = &cp->job->restore};
    stage->slot = weir_env_alloc(env, cp->slot_cnt * sizeof *stage->slot);
    stage->last = weir_env_alloc(env, (stage->channel_cnt + 1) * sizeof *stage->last);
    stage->chain = weir_env_alloc(env, (WEIR_JOB_RESTORE_CHAIN_CNT_MAX + 1) * sizeof *stage->chain);
    for (uint32_t i = 0; i < cp->slot_cnt; i++) {
        struct cp_slot *slot = &stage->slot[i];
        slot->entry = weir_env_alloc(env, (stage->channel_cnt + 1) * sizeof *slot->entry);
        slot->parts = weir_lazy_map(CP_PARTS_BYTES);
        if (slot->parts == NULL) {
            return weir_err_push(WEIR_ENOMEM, "%llu bytes for the parts of a snapshot",
                (unsigned long long)CP_PARTS_BYTES);
        }
        uint64_t flight_bytes = cp->options.flight_bytes_max;
        slot->flight = cp->options.is_unaligned ? weir_lazy_map(flight_bytes) : NULL;
        if (cp->options.is_unaligned && slot->flight == NULL) {
            return weir_err_push(
                WEIR_ENOMEM, "%llu bytes for rows under way", (unsigned long long)flight_bytes);
        }
        if (cp->job->options.world == NULL) { /* where time is drawn, no fault is late */
            memset(slot->parts, 0, TOUCH_BYTES);
        }
    }
    return 0;
}

uint64_t
weir_job_checkpoint_arena_bytes(uint64_t bytes)
{
    uint64_t beside = bytes / WEIR_PAGE_BYTES * PAGE_COST +
                      (uint64_t)weir_capture_undo_cnt(bytes) * UNDO_COST + LAYOUT_BYTES;
    return bytes > beside ? (bytes - beside) / WEIR_PAGE_BYTES * WEIR_PAGE_BYTES : 0;
}

int
weir_job_checkpoint_arena(struct weir_job_checkpoint *cp, uint32_t idx, void *mem, uint64_t bytes)
{
    struct cp_stage *stage = &cp->stage[idx];
    struct weir_arena *arena = &cp->job->stage[idx].arena;
    uint32_t cnt = cp->options.undo_cnt != 0
                       ? cp->options.undo_cnt
                       : weir_capture_undo_cnt((uint64_t)arena->page_cnt * WEIR_PAGE_BYTES);
    uint64_t wanted = weir_capture_footprint(arena, cnt);
    if (wanted == 0 || wanted > bytes) {
        return weir_err_push(WEIR_EBUDGET,
            "state memory '%s': its snapshots need %llu bytes beside it, of %llu", arena->spec.name,
            (unsigned long long)wanted, (unsigned long long)bytes);
    }
    stage->arena = arena;
    stage->conf.hold_fn = hold_fn;
    return weir_capture_init(&stage->capture, arena, cnt, mem);
}

int
weir_job_checkpoint_slots_open(struct cp_stage *stage)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    bool is_large = arena_bytes(stage) >= LARGE_BYTES;
    const struct weir_snapshot_config config = {.io = cp->io,
        .depth = is_large ? 8 : 4,
        .ahead = is_large ? 4 : 0,
        .block_bytes = block_bytes(stage),
        .poll_bytes_max = POLL_BYTES,
        .bytes_max = cp->options.task_bytes_max,
        .direct = weir_store_is_direct(cp->store),
        .unregistered = stage->arena == NULL || stage->idx >= REGISTERED_STAGE_CNT_MAX};
    int rc = 0;
    for (uint32_t i = 0; i < cp->slot_cnt && rc == 0; i++) {
        rc = weir_snapshot_open(&config, &stage->slot[i].writer);
    }
    return rc;
}

void
weir_job_checkpoint_slots_close(struct cp_stage *stage)
{
    for (uint32_t i = 0; i < stage->checkpoint->slot_cnt; i++) {
        weir_snapshot_close(stage->slot[i].writer);
        stage->slot[i].writer = NULL;
        (void)weir_relay_drop(&stage->slot[i].relay);
    }
}

void
weir_job_checkpoint_slots_delete(struct cp_stage *stage)
{
    for (uint32_t i = 0; stage->slot != NULL && i < stage->checkpoint->slot_cnt; i++) {
        weir_lazy_unmap(stage->slot[i].parts, CP_PARTS_BYTES);
        weir_lazy_unmap(stage->slot[i].flight, stage->checkpoint->options.flight_bytes_max);
    }
}

void
weir_job_checkpoint_slots_rest(struct cp_stage *stage)
{
    const struct weir_snapshot_ack *const *files;
    uint32_t cnt = weir_job_restore_chain(stage->checkpoint->restore, stage->idx, &files);
    for (uint32_t i = 0; i < cnt; i++) {
        stage->chain[i] = *files[i];
    }
    stage->chain_cnt = cnt;
    if (cnt > 0) {
        weir_capture_rest(&stage->capture, files[cnt - 1]->id.checkpoint);
    }
}

struct cp_slot *
weir_job_checkpoint_slot_of(const struct cp_stage *stage, uint64_t id)
{
    for (uint32_t i = 0; i < stage->checkpoint->slot_cnt; i++) {
        struct cp_slot *slot = &stage->slot[i];
        if (slot->state != SLOT_FREE && slot->id == id) {
            return slot;
        }
    }
    return NULL;
}

void
weir_job_checkpoint_slot_free(struct cp_slot *slot)
{
    slot->state = SLOT_FREE;
    slot->is_acked = false;
    slot->is_precommitted = false;
    slot->entry_cnt = 0;
    /* [R41] pairs with [A41] in free_slot: the storage core is done with its parts. */
    weir_store_rel(&slot->is_lent, 0);
}

/* ---- declines ---- */

static void
decline(struct cp_stage *stage, uint64_t id, enum weir_checkpoint_reason reason)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    const struct weir_coordinator_decline what = {.job = weir_store_job(cp->store),
        .epoch = weir_store_epoch(cp->store),
        .id = id,
        .attempt = 1,
        .task = stage->idx,
        .reason = reason};
    (void)weir_coordinator_decline(cp->coordinator, &what, cp->now_ns);
    weir_job_checkpoint_drain(cp);
}

static const char *
take_why(struct cp_stage *stage, char *buf, size_t bytes)
{
    (void)snprintf(buf, bytes, "%s", weir_load_rlx(&stage->has_why) != 0 ? stage->why : "");
    /* [R40] pairs with [A40] in keep_why: it was read. relaxed above: the letter carried it. */
    weir_store_rel(&stage->has_why, 0);
    return buf;
}

static void
declined(struct cp_stage *stage, const struct weir_letter *letter)
{
    static const enum weir_checkpoint_reason reasons[WEIR_DECLINE_CNT] = {
        [WEIR_DECLINE_CANCELED] = WEIR_CHECKPOINT_TASK_CANCEL_MARK,
        [WEIR_DECLINE_SUBSUMED] = WEIR_CHECKPOINT_TASK_SUBSUMED,
        [WEIR_DECLINE_END_OF_INPUT] = WEIR_CHECKPOINT_TASK_INPUT_END,
        [WEIR_DECLINE_NOT_READY] = WEIR_CHECKPOINT_TASK_NOT_READY,
        [WEIR_DECLINE_CLOSING] = WEIR_CHECKPOINT_TASK_CLOSING,
        [WEIR_DECLINE_BUSY] = WEIR_CHECKPOINT_DECLINED,
        [WEIR_DECLINE_STORAGE] = WEIR_CHECKPOINT_DECLINED,
        [WEIR_DECLINE_SNAPSHOT] = WEIR_CHECKPOINT_DECLINED,
        [WEIR_DECLINE_PRECOMMIT] = WEIR_CHECKPOINT_DECLINED,
        [WEIR_DECLINE_FLIGHT] = WEIR_CHECKPOINT_DECLINED};
    enum weir_decline why = (enum weir_decline)letter->args[2];
    if (letter->args[3] != 0) {
        char text[CP_WHY_BYTES];
        weir_log(WEIR_LOG_WARNING, (int)letter->args[3],
            "checkpoint %" PRIu64 ": declined (%s): %s", letter->args[0], weir_decline_name(why),
            take_why(stage, text, sizeof text));
    }
    decline(stage, letter->args[0], reasons[why]);
    if (letter->args[1] != CP_NONE) {
        struct cp_slot *slot = &stage->slot[letter->args[1]];
        slot->state = SLOT_SAID;
        weir_job_checkpoint_slot_drop(stage, slot);
    }
}

/* ---- what a task has said ---- */

static bool
is_ledger(const struct weir_part *part, const char *name)
{
    return part->name_bytes == strlen(name) && memcmp(part->name, name, part->name_bytes) == 0;
}

/* The counts of both sides of channels that the parts hold. */
static void
read_ledger(const struct cp_stage *stage, struct cp_slot *slot)
{
    struct weir_part part;
    struct weir_ledger_count count;
    size_t at = 0;
    slot->entry_cnt = 0;
    while (weir_parts_next(&slot->reader, &at, &part) == 1) {
        bool is_out = is_ledger(&part, WEIR_LEDGER_PART_OUT);
        if (!is_out && !is_ledger(&part, WEIR_LEDGER_PART_IN)) {
            continue;
        }
        while (slot->entry_cnt < stage->channel_cnt && part.at < part.bytes &&
               weir_part_get(&part, &count, sizeof count) == 0) {
            slot->entry[slot->entry_cnt++] =
                (struct weir_ledger_entry){.channel = (uint32_t)count.channel,
                    .side = is_out ? WEIR_LEDGER_OUT : WEIR_LEDGER_IN,
                    .total = {count.rows, count.sum}};
        }
    }
}

static void
note_gauges(
    struct weir_job_checkpoint *cp, const struct cp_slot *slot, const struct weir_letter *letter)
{
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, slot->id);
    if (flight != NULL) {
        struct weir_job_checkpoint_record *record = &flight->record;
        record->align_ns = weir_max_i64(record->align_ns, (int64_t)letter->args[3]);
        record->start_delay_ns = weir_max_i64(record->start_delay_ns, (int64_t)letter->args[4]);
        record->align_bytes += letter->args[5];
    }
}

/* Whether the pages are to be written in full. */
static bool
is_full(const struct cp_stage *stage)
{
    const struct weir_snapshot_ack *chain = stage->chain;
    uint32_t cnt = stage->chain_cnt;
    bool is_restored =
        cnt > 0 && chain[cnt - 1].id.epoch != weir_store_epoch(stage->checkpoint->store);
    uint32_t most =
        is_restored ? WEIR_JOB_RESTORE_CHAIN_CNT_MAX : WEIR_JOB_CHECKPOINT_CHAIN_CNT_MAX;
    if (cnt == 0 || cnt >= most || chain[cnt - 1].id.checkpoint != stage->capture.committed_id) {
        return true;
    }
    uint64_t more = 0;
    for (uint32_t i = 1; i < cnt; i++) {
        more += chain[i].payload_bytes;
    }
    return more > chain[0].payload_bytes;
}

/* flags: enum as in the file's head. */
static void
start_file(struct cp_stage *stage, struct cp_slot *slot, uint64_t parts_bytes, uint32_t flags)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    const struct weir_snapshot_id id = {.job = weir_store_job(cp->store),
        .checkpoint = slot->id,
        .epoch = weir_store_epoch(cp->store),
        .attempt = 1,
        .task = stage->idx,
        .subtask = cp->job->plan->stages[stage->idx].subtask};
    weir_task_file_init(&slot->file, slot->parts, parts_bytes);
    slot->file.head.flags = flags & WEIR_TASK_FILE_ENDED;
    if ((flags & WEIR_TASK_FILE_FLIGHT) != 0) {
        weir_task_file_awaits_flight(&slot->file);
    }
    slot->source = (struct weir_snapshot_source){.fill = weir_task_file_fill, .arg = &slot->file};
    if (slot->has_epoch) {
        bool full = is_full(stage);
        int rc = weir_capture_begin(&stage->capture, slot->id, full);
        WEIR_CHECK(rc == WEIR_DONE, "a snapshot of pages begins: %d", rc);
        weir_task_file_pages(&slot->file, stage->arena, &stage->capture);
        /* As near as can be: what is too much has to be cut, and the disk told. */
        slot->source.bytes_expected =
            full ? weir_task_file_bytes_max(
                       parts_bytes, slot->page_bytes / WEIR_PAGE_BYTES, block_bytes(stage))
                 : 0;
    }
    slot->state = SLOT_WRITING;
    weir_snapshot_start(slot->writer, &id, weir_store_data_dir(cp->store), &slot->source);
}

static void
said(struct cp_stage *stage, const struct weir_letter *letter)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    struct cp_slot *slot = &stage->slot[letter->args[1]];
    uint64_t parts_bytes = letter->args[2] & ~(UINT64_C(3) << 62);
    uint32_t flags = (letter->args[2] >> 63 != 0 ? WEIR_TASK_FILE_ENDED : 0u) |
                     ((letter->args[2] >> 62 & 1) != 0 ? WEIR_TASK_FILE_FLIGHT : 0u);
    slot->state = SLOT_SAID;
    note_gauges(cp, slot, letter);
    if (weir_coordinator_state(cp->coordinator, slot->id) != WEIR_COORDINATOR_COLLECTING) {
        weir_job_checkpoint_slot_drop(stage, slot);
        return;
    }
    int rc = weir_parts_reader_init(&slot->reader, slot->parts, parts_bytes);
    WEIR_CHECK(rc == 0, "the parts of task %u are damaged", stage->idx);
    read_ledger(stage, slot);
    start_file(stage, slot, parts_bytes, flags);
}

/* What its barrier has overtaken is there; whoever gave the checkpoint up has told it elsewhere. */
static void
captured(struct cp_stage *stage, const struct weir_letter *letter)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    struct cp_slot *slot = weir_job_checkpoint_slot_of(stage, letter->args[0]);
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, letter->args[0]);
    const struct weir_flight_entry *entry;
    size_t offset = 0;
    if (slot == NULL) {
        return;
    }
    note_gauges(cp, slot, letter);
    if (flight != NULL) {
        flight->record.flight_rows += letter->args[1];
        flight->record.flight_bytes += letter->args[2];
    }
    while ((entry = weir_flight_next(slot->flight, letter->args[2], &offset)) != NULL) {
        for (uint32_t i = 0; i < slot->entry_cnt && entry->side == WEIR_FLIGHT_TAKEN; i++) {
            struct weir_ledger_entry *of = &slot->entry[i];
            if (of->side == WEIR_LEDGER_IN && of->channel == entry->channel_id) {
                of->flight.row_cnt += entry->row_cnt;
            }
        }
    }
    weir_task_file_flight(&slot->file, slot->flight, letter->args[2]);
}

void
weir_job_checkpoint_letter(struct weir_job_checkpoint *cp, const struct weir_letter *letter)
{
    struct cp_stage *stage = &cp->stage[letter->from];
    struct cp_slot *slot;
    switch (letter->kind) {
    case WEIR_TASK_SNAPSHOT:
        said(stage, letter);
        break;
    case WEIR_TASK_CAPTURED:
        captured(stage, letter);
        break;
    case WEIR_TASK_PRECOMMITTED:
        slot = weir_job_checkpoint_slot_of(stage, letter->args[0]);
        if (slot != NULL) {
            slot->is_precommitted = true;
        }
        break;
    default:
        declined(stage, letter);
        break;
    }
}

/* ---- the file ---- */

static void
unlinked(struct weir_relay *relay)
{
    weir_relay_end(relay, 0); /* or left over: recovery finds that nobody needs it */
}

static void
unlink_file(struct weir_relay *relay)
{
    struct cp_slot *slot = (struct cp_slot *)relay;
    const struct weir_snapshot_ack *ack = weir_snapshot_ack(slot->writer);
    weir_io_op_unlink(&relay->op, slot->dir, ack->name, 0);
    weir_relay_go(relay, unlinked);
}

static void
start_unlink(struct cp_stage *stage, struct cp_slot *slot)
{
    slot->state = SLOT_UNLINKING;
    slot->dir = weir_store_data_dir(stage->checkpoint->store);
    weir_relay_start(&slot->relay, stage->checkpoint->io, unlink_file);
}

void
weir_job_checkpoint_slot_drop(struct cp_stage *stage, struct cp_slot *slot)
{
    switch (slot->state) {
    case SLOT_SAID:
        if (slot->has_epoch) {
            int rc = weir_capture_begin(&stage->capture, slot->id, true);
            WEIR_CHECK(rc == WEIR_DONE, "a snapshot of pages begins: %d", rc);
            weir_capture_cancel(&stage->capture);
        }
        slot->state = SLOT_TIDYING;
        break;
    case SLOT_WRITING:
        weir_snapshot_abort(slot->writer);
        if (slot->has_epoch) {
            weir_capture_cancel(&stage->capture);
        }
        slot->state = SLOT_ABORTING;
        break;
    case SLOT_DURABLE:
        start_unlink(stage, slot);
        break;
    default:
        break;
    }
}

/* The file is there, and its task has pre-committed. */
static void
acknowledge(struct cp_stage *stage, struct cp_slot *slot)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    const struct weir_coordinator_ack ack = {.job = weir_store_job(cp->store),
        .epoch = weir_store_epoch(cp->store),
        .id = slot->id,
        .attempt = 1,
        .task = stage->idx,
        .entry_cnt = slot->entry_cnt,
        .entry = slot->entry};
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, slot->id);
    if (flight != NULL) {
        /* relaxed: a figure. */
        int64_t stall_ns = slot->stall_ns + weir_load_rlx(&stage->held_ns);
        flight->record.stall_ns = weir_max_i64(flight->record.stall_ns, stall_ns);
        flight->record.bytes += weir_snapshot_ack(slot->writer)->file_bytes;
        flight->record.dirty_bytes += slot->file.dirty_bytes;
    }
    slot->is_acked = true;
    WEIR_KILLPOINT(W9_ACK);
    enum weir_coordinator_verdict verdict = weir_coordinator_ack(cp->coordinator, &ack, cp->now_ns);
    if (verdict == WEIR_COORDINATOR_DISCARD) {
        weir_job_checkpoint_slot_drop(stage, slot);
    } else if (verdict == WEIR_COORDINATOR_LEAVE) {
        weir_job_checkpoint_slot_free(slot); /* recovery decides */
    }
    weir_job_checkpoint_drain(cp);
}

static void
written(struct cp_stage *stage, struct cp_slot *slot, int rc)
{
    if (rc == 0) {
        slot->state = SLOT_DURABLE;
        return;
    }
    const struct weir_snapshot_fault *fault = weir_snapshot_fault(slot->writer);
    weir_log(WEIR_LOG_WARNING, -rc, "checkpoint %" PRIu64 ": %s", slot->id, fault->text);
    if (slot->has_epoch) {
        weir_capture_cancel(&stage->capture);
    }
    slot->state = SLOT_TIDYING;
    if (fault->too_large) { /* state seldom shrinks: no checkpoint would ever be complete again */
        weir_job_checkpoint_fail(stage->checkpoint, WEIR_ECONFIG, fault->text);
    }
    decline(stage, slot->id,
        rc == WEIR_EBUDGET || rc == WEIR_ECANCELED ? WEIR_CHECKPOINT_ASYNC : WEIR_CHECKPOINT_IO);
}

/* What was captured so far: a writer whose blocks all fly makes none. */
static uint64_t
progress(const struct cp_stage *stage, const struct cp_slot *slot)
{
    const struct weir_capture *capture = &stage->capture;
    return slot->file.at + slot->file.flight_at +
           (slot->has_epoch ? capture->byte_cnt + capture->sweep + capture->page_cnt : 0);
}

/* Pages that nobody will write: false while there is more to do. */
static bool
is_tidy(struct cp_stage *stage, struct cp_slot *slot)
{
    if (!slot->has_epoch || weir_capture_tidy(&stage->capture) == WEIR_DONE) {
        slot->has_epoch = false; /* the next snapshot may begin while this one's file goes */
        return true;
    }
    stage->checkpoint->worked = true;
    return false;
}

void
weir_job_checkpoint_slot_poll(struct cp_stage *stage, struct cp_slot *slot)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    uint64_t before = progress(stage, slot);
    int rc;
    switch (slot->state) {
    case SLOT_WRITING:
        rc = weir_snapshot_poll(slot->writer, cp->now_ns);
        cp->worked |= rc != WEIR_RELAY_BUSY || progress(stage, slot) != before;
        if (rc != WEIR_RELAY_BUSY) {
            written(stage, slot, rc);
        }
        break;
    case SLOT_DURABLE:
        if (slot->is_precommitted && !slot->is_acked) {
            cp->worked = true;
            acknowledge(stage, slot);
        }
        break;
    case SLOT_ABORTING:
        rc = weir_snapshot_poll(slot->writer, cp->now_ns);
        if (is_tidy(stage, slot) && rc != WEIR_RELAY_BUSY) {
            cp->worked = true;
            if (rc == 0) {
                start_unlink(stage, slot);
            } else {
                weir_job_checkpoint_slot_free(slot);
            }
        }
        break;
    case SLOT_UNLINKING:
        if (weir_relay_poll(&slot->relay) != WEIR_RELAY_BUSY) {
            cp->worked = true;
            weir_job_checkpoint_slot_free(slot);
        }
        break;
    default: /* SAID is never polled; TIDYING */
        if (is_tidy(stage, slot)) {
            cp->worked = true;
            weir_job_checkpoint_slot_free(slot);
        }
        break;
    }
}
