/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/checkpoint_failure.h"

#include "base/check.h"

void
weir_checkpoint_failures_init(struct weir_checkpoint_failures *failures, uint64_t tolerable)
{
    *failures = (struct weir_checkpoint_failures){.tolerable = tolerable};
}

bool
weir_checkpoint_reason_counts(enum weir_checkpoint_reason reason)
{
    static const bool counts[] = {
#define REASON_COUNTS(sym, counts, text) counts,
        WEIR_CHECKPOINT_REASON_TABLE(REASON_COUNTS)
#undef REASON_COUNTS
    };
    WEIR_CHECK(reason < WEIR_CHECKPOINT_REASON_CNT, "reason %d", (int)reason);
    return counts[reason];
}

static void
count_clear(struct weir_checkpoint_failures *failures)
{
    failures->cnt = 0;
    failures->counted_seq = 0;
}

static bool
is_counted(const struct weir_checkpoint_failures *failures, uint64_t id)
{
    for (uint64_t i = 0; i < WEIR_CHECKPOINT_COUNTED_CNT && i < failures->counted_seq; i++) {
        if (failures->counted[i] == id) {
            return true;
        }
    }
    return false;
}

bool
weir_checkpoint_failures_add(
    struct weir_checkpoint_failures *failures, uint64_t id, enum weir_checkpoint_reason reason)
{
    if (!weir_checkpoint_reason_counts(reason)) {
        return false;
    }
    if (id != 0) {
        if (id <= failures->succeeded_id || is_counted(failures, id)) {
            return false;
        }
        failures->counted[failures->counted_seq++ % WEIR_CHECKPOINT_COUNTED_CNT] = id;
    }
    failures->cnt++;
    if (failures->tolerable == WEIR_CHECKPOINT_TOLERABLE_UNLIMITED ||
        failures->cnt <= failures->tolerable) {
        return false;
    }
    count_clear(failures);
    return true;
}

void
weir_checkpoint_failures_success(struct weir_checkpoint_failures *failures, uint64_t id)
{
    count_clear(failures);
    failures->succeeded_id = id > failures->succeeded_id ? id : failures->succeeded_id;
}
