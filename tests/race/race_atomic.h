/* SPDX-License-Identifier: Apache-2.0 */
/* race_atomic.h: the accesses of base/atomic.h, run by the explorer instead of by the machine. */
#ifndef WEIR_TESTS_RACE_RACE_ATOMIC_H
#define WEIR_TESTS_RACE_RACE_ATOMIC_H

#include "tests/race/explorer.h"

/* The explorer knows a shared field by its address, so the layout is that of the real thing. */
#define WEIR_ATOMIC(type) type
#define WEIR_DATA_READ(p) race_data_read(p)
#define WEIR_DATA_WRITE(p) race_data_write(p)

/* Faults that a unit under test lets be planted in it (dataplane/undo.h). */
enum race_mutant {
    RACE_MUTANT_NONE,
    RACE_MUTANT_PUBLISH_LATE,
    RACE_MUTANT_MARK_EARLY,
    RACE_MUTANT_NO_OVERLAY,
    RACE_MUTANT_OLD_MASK,
    RACE_MUTANT_CNT
};
extern enum race_mutant race_mutant;
#define WEIR_UNDO_MUTANT(name) (race_mutant == RACE_MUTANT_##name)

#define RACE_ACCESS(op_, order_, p_, arg_, expected_) \
    race_access(&(struct race_access){.op = (op_),    \
        .order = (order_),                            \
        .func = __func__,                             \
        .p = (void *)(uintptr_t)(p_),                 \
        .bytes = sizeof(*(p_)),                       \
        .arg = (uint64_t)(arg_),                      \
        .expected = (expected_)})
#define RACE_LOAD_AS(p, order) ((__typeof__(*(p)))RACE_ACCESS(RACE_LOAD, order, p, 0, NULL))
#define RACE_STORE_AS(p, v, order) ((void)RACE_ACCESS(RACE_STORE, order, p, v, NULL))

#define weir_load_rlx(p) RACE_LOAD_AS(p, RACE_RLX)
#define weir_load_acq(p) RACE_LOAD_AS(p, RACE_ACQ)
#define weir_load_sc(p) RACE_LOAD_AS(p, RACE_SC)
#define weir_store_rlx(p, v) RACE_STORE_AS(p, v, RACE_RLX)
#define weir_store_rel(p, v) RACE_STORE_AS(p, v, RACE_REL)
#define weir_store_sc(p, v) RACE_STORE_AS(p, v, RACE_SC)
#define weir_exchange_acq_rel(p, v) \
    ((__typeof__(*(p)))RACE_ACCESS(RACE_EXCHANGE, RACE_ACQ_REL, p, v, NULL))
#define weir_fetch_add_rlx(p, v) ((__typeof__(*(p)))RACE_ACCESS(RACE_ADD, RACE_RLX, p, v, NULL))
#define weir_fetch_add_sc(p, v) ((__typeof__(*(p)))RACE_ACCESS(RACE_ADD, RACE_SC, p, v, NULL))
#define weir_fence_acq() race_fence(RACE_ACQ, __func__)
#define weir_fence_rel() race_fence(RACE_REL, __func__)
/* The expected value is a uint64_t wherever a unit under test swaps. */
#define weir_cas_acq_rel(p, expected, v) (RACE_ACCESS(RACE_CAS, RACE_ACQ_REL, p, v, expected) != 0)
#define weir_cas_rlx(p, expected, v) (RACE_ACCESS(RACE_CAS, RACE_RLX, p, v, expected) != 0)

#endif
