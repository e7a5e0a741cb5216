/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_fake_check.h: the fake job of savepoint_fake.h written, loaded, and looked through. */
#ifndef WEIR_TESTS_UNIT_SAVEPOINT_FAKE_CHECK_H
#define WEIR_TESTS_UNIT_SAVEPOINT_FAKE_CHECK_H

#include "tests/unit/savepoint_fake.h"

/* Entries of a stage, all states and namespaces. */
static uint64_t
fake_entry_cnt(const struct fake_job *job)
{
    uint64_t cnt = 0;
    for (uint32_t s = 0; s < job->stage_cnt; s++) {
        for (uint32_t i = 0; i < job->stage[s].arena.table_fresh; i++) {
            const struct weir_table *table = weir_table_at(&job->stage[s].arena, i);
            cnt += table != NULL ? table->entry_cnt : 0;
        }
    }
    return cnt;
}

static void
fake_lists_check(const struct weir_operator *op, const struct fake_entry *entry,
    const struct weir_table *table, const struct fake_lists *lists)
{
    struct weir_state_room room = {NULL, 0};
    struct weir_state_walk walk = {.table = table, .val = lists, .room = &room};
    struct weir_state_row row;
    char heap[FAKE_LONG_BYTES];
    uint32_t i = 0;
    assert_int_equal(lists->cnt, (int32_t)entry->number);
    for (; fake_lists_next(op, &walk, &row) > 0; i++) {
        struct fake_row want;
        struct fake_row is;
        fake_row_make(entry, i, heap, &want);
        memcpy(&is, row.row, sizeof is);
        struct weir_slice want_text = weir_str_slice(&want.text, heap);
        struct weir_slice is_text = weir_str_slice(&is.text, row.heap);
        assert_int_equal(is.nulls, want.nulls);
        assert_int_equal(is.id, want.id);
        assert_int_equal(is.small, want.small);
        assert_int_equal(is_text.bytes, want_text.bytes);
        assert_memory_equal(is_text.ptr, want_text.ptr, want_text.bytes);
        assert_int_equal(row.word[0], (int64_t)i - 1);
        assert_int_equal(row.word[1], want.id);
    }
    assert_int_equal(i, fake_row_cnt(entry));
    free(room.mem);
}

/* What fake_fill() of the same seed has put there. */
static WEIR_UNUSED void
fake_check(struct fake_job *job, uint64_t seed, uint32_t cnt)
{
    struct weir_rng rng;
    uint64_t entry_cnt = 0;
    bool *seen = calloc((size_t)cnt * FAKE_STATE_CNT, sizeof *seen);
    assert_non_null(seen);
    weir_rng_init(&rng, seed);
    for (uint32_t i = 0; i < cnt; i++) {
        enum fake_state state = (enum fake_state)weir_rng_below(&rng, FAKE_STATE_CNT);
        struct fake_entry entry;
        struct fake_stage *stage;
        struct weir_table *table;
        char want[256];
        fake_entry_make(job, state, weir_rng_below(&rng, cnt), &entry);
        struct weir_operator *op = fake_owner(job, &entry, &stage);
        assert_int_equal(weir_state_find(op, entry.name, &entry.spec, entry.ns, &table), 0);
        assert_non_null(table);
        const void *val = weir_table_find(table, entry.hash, entry.key, entry.text);
        assert_non_null(val);
        entry_cnt += !seen[entry.number * FAKE_STATE_CNT + state];
        seen[entry.number * FAKE_STATE_CNT + state] = true;
        if (state == FAKE_LISTS) {
            fake_lists_check(op, &entry, table, val);
        } else if (state != FAKE_TIMERS) {
            fake_value_make(&entry, want, entry.spec.val_bytes);
            assert_memory_equal(val, want, entry.spec.val_bytes);
        }
    }
    /* Texts of several numbers may be one. */
    assert_true(fake_entry_cnt(job) <= entry_cnt);
    free(seen);
}

/* ---- savepoints ---- */

static WEIR_UNUSED struct weir_savepoint_spec
fake_spec(const struct fake_job *job)
{
    return (struct weir_savepoint_spec){
        .job = "fake", .tasks = job->task, .task_cnt = job->stage_cnt};
}

static WEIR_UNUSED int
fake_write(const struct fake_job *job, uint32_t writer_cnt, struct stream *stream)
{
    const struct weir_savepoint_spec spec = fake_spec(job);
    return stream_write(&spec, writer_cnt, writer_cnt, stream);
}

/* Into a job that is open and empty: 0, or the error. */
static WEIR_UNUSED int
fake_load(struct fake_job *job, const struct stream *stream, bool may_drop)
{
    int err = 0;
    const uint32_t max[2] = {job->group_cnt, job->group_cnt};
    struct weir_operator *all[2] = {&job->stage[0].op[0], &job->stage[job->is_cut].op[1]};
    for (uint32_t i = 0; i < job->stage_cnt && err == 0; i++) {
        struct fake_stage *stage = &job->stage[i];
        struct weir_savepoint_reader *reader = NULL;
        struct stream_load to = {.arena = &stage->arena,
            .ops = {stage->ops, max, stage->op_cnt, may_drop},
            .job = {all, max, 2, may_drop}};
        err = stream_load(stream, &to, i, &reader);
        weir_savepoint_reader_close(reader);
    }
    return err;
}

#endif
