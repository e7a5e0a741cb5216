/* SPDX-License-Identifier: Apache-2.0 */
/* atomic.h: the only place that names memory orders, and the hint for a short spin.
 *
 * A shared field is declared WEIR_ATOMIC(type) and touched only through the names below. Every use
 * carries a label in a comment and names its partner; a relaxed one says why that is enough.
 * Sequentially consistent accesses exist for the doorbell alone (base/doorbell.h), fences for the
 * copy of a page that is being written (dataplane/undo.h).
 *
 * A program that defines WEIR_ATOMIC_MODEL as a header gets that header's accesses under the same
 * names: so the interleaving explorer of tests/race runs the very code that ships.
 */
#ifndef WEIR_BASE_ATOMIC_H
#define WEIR_BASE_ATOMIC_H

#ifdef WEIR_ATOMIC_MODEL
#include WEIR_ATOMIC_MODEL
#else

#include <stdatomic.h>

#define WEIR_ATOMIC(type) _Atomic(type)
/* Where a unit itself touches plain data that it hands over; tells the explorer, else nothing. */
#define WEIR_DATA_READ(p) ((void)(p))
#define WEIR_DATA_WRITE(p) ((void)(p))

#define weir_load_rlx(p) atomic_load_explicit(p, memory_order_relaxed)
#define weir_load_acq(p) atomic_load_explicit(p, memory_order_acquire)
#define weir_load_sc(p) atomic_load_explicit(p, memory_order_seq_cst)
#define weir_store_rlx(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define weir_store_rel(p, v) atomic_store_explicit(p, v, memory_order_release)
#define weir_store_sc(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define weir_exchange_acq_rel(p, v) atomic_exchange_explicit(p, v, memory_order_acq_rel)
#define weir_fetch_add_rlx(p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define weir_fetch_add_acq_rel(p, v) atomic_fetch_add_explicit(p, v, memory_order_acq_rel)
#define weir_fetch_add_sc(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define weir_cas_rlx(p, expected, v)         \
    atomic_compare_exchange_strong_explicit( \
        p, expected, v, memory_order_relaxed, memory_order_relaxed)
#define weir_cas_acq_rel(p, expected, v)     \
    atomic_compare_exchange_strong_explicit( \
        p, expected, v, memory_order_acq_rel, memory_order_acquire)
#define weir_cas_weak_rel(p, expected, v)  \
    atomic_compare_exchange_weak_explicit( \
        p, expected, v, memory_order_release, memory_order_relaxed)

/* ThreadSanitizer knows no fences (and gcc refuses them there); on x86 the order of the machine is
 * enough, so that only the compiler must be held. */
#if defined(__SANITIZE_THREAD__)
#define weir_fence_acq() __asm__ __volatile__("" ::: "memory")
#define weir_fence_rel() __asm__ __volatile__("" ::: "memory")
#else
#define weir_fence_acq() atomic_thread_fence(memory_order_acquire)
#define weir_fence_rel() atomic_thread_fence(memory_order_release)
#endif

#endif

/* weir_spin_hint - tell the core that this is a spin; costs some tens of cycles. */
static inline void
weir_spin_hint(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

#endif
