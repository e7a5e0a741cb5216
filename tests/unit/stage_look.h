/* SPDX-License-Identifier: Apache-2.0 */
/* stage_look.h: what has come of a stage (stage.h, which includes it): outputs, log, counts. */
#ifndef WEIR_TESTS_UNIT_STAGE_LOOK_H
#define WEIR_TESTS_UNIT_STAGE_LOOK_H

/* What has come out on output o since the last look: rows, B1 a barrier, C1 a marker, W7, E. */
static inline const char *
out(struct stage *s, uint32_t o)
{
    struct weir_gate_item item;
    char *at = s->got;
    *at = 0;
    for (;;) {
        weir_gate_release(&s->out_gate[o]);
        weir_gate_next(&s->out_gate[o], &item);
        assert_true(at < s->got + sizeof s->got - 32);
        switch (item.kind) {
        case 0:
            if (at > s->got) {
                at[-1] = 0;
            }
            return s->got;
        case WEIR_SLOT_BATCH:
            for (uint32_t i = 0; i < item.view.cnt; i++) {
                at += sprintf(at, "%lld ", (long long)wire_number(&item.view, i));
            }
            break;
        case WEIR_SLOT_BARRIER:
        case WEIR_SLOT_CANCEL:
            at += sprintf(at, "%s%llu ",
                item.kind == WEIR_SLOT_CANCEL ? "C"
                : !item.is_ahead              ? "B"
                : item.mark.is_urgent         ? "U"
                                              : "A",
                (unsigned long long)item.mark.id);
            break;
        case WEIR_SLOT_WATERMARK:
            at += sprintf(at, "W%lld ", (long long)item.result.watermark);
            break;
        default:
            at += sprintf(at, "%s ", item.kind == WEIR_SLOT_END ? "E" : "?");
            break;
        }
    }
}

/* Both outputs say the same. */
static inline void
assert_out(struct stage *s, const char *want)
{
    for (uint32_t o = 0; o < OUT_CNT; o++) {
        const char *got = out(s, o);
        if (strcmp(got, want) != 0) {
            fail_msg("output %u: \"%s\", not \"%s\"\n%s", o, got, want, s->log);
        }
    }
}

/* The whole log since the last look. */
static inline void
assert_log(struct stage *s, const char *want)
{
    if (strcmp(s->log, want) != 0) {
        fail_msg("log:\n%s\nnot:\n%s", s->log, want);
    }
    s->log_bytes = 0;
    s->log[0] = 0;
}

static inline void
assert_counts(struct stage *s, const char *uid, uint64_t row_cnt, uint64_t sum)
{
    uint64_t two[2];
    wire_part(s->parts, s->parts_bytes, uid, two);
    assert_int_equal(two[0], row_cnt);
    assert_int_equal(two[1], sum);
}

/* The gauge of the alignment, as shown to other threads. */
static inline void
assert_align(struct stage *s, int64_t ns)
{
    struct weir_task_counters got;
    const struct weir_counter_set set = weir_task_set(s->task);
    weir_task_publish(s->task);
    weir_counter_read(&set, &got.rows_in);
    assert_int_equal((int64_t)got.align_ns, ns);
}

#define WHOLE(id)                                                                                  \
    "barrier a " id "\nbarrier b " id "\nsent barrier 0 " id "\nsent barrier 1 " id "\nbegin " id  \
    "\nsnapshot b " id "\nsnapshot a " id "\nSNAPSHOT " id "\nprecommit a " id "\nprecommit b " id \
    "\nPRECOMMITTED " id "\n"

#endif
