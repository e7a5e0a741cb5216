/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: nanoseconds that only move forward, from the machine or from a simulation.
 *
 * One clock is made at boot and lent to everything that needs time; code that is handed `now` does
 * not read it again. There are three sources:
 *
 *     tsc   the CPU's invariant counter, calibrated once against the kernel; 10 ns a read
 *     os    clock_gettime(CLOCK_MONOTONIC), where the counter cannot be trusted; 23 ns
 *     sim   a number that the simulation sets and advances
 *
 * A real clock's zero is that of CLOCK_MONOTONIC at the time of calibration. It is not wall-clock
 * time, is not slewed afterwards (some parts per million from CLOCK_MONOTONIC over a long run), and
 * is compared only with readings of the same clock. Wall-clock time for logs and processing-time
 * windows is weir_clock_utc_ns().
 *
 * Costs are those of bench_base on a virtual machine of an AMD EPYC with AVX-512.
 *
 * Threads: a real clock is read-only after init and may be read by all. A simulated one belongs to
 * the one thread that polls.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include "base/base.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

WEIR_C_BEGIN

enum weir_clock_source {
    WEIR_CLOCK_TSC,
    WEIR_CLOCK_OS,
    WEIR_CLOCK_SIM,
    WEIR_CLOCK_SOURCE_CNT,
};

struct weir_clock {
    uint32_t source;
    uint32_t tsc_khz; /* calibrated frequency; 0 unless the source is tsc */
    uint64_t tsc_base; /* counter at base_ns */
    uint64_t ns_per_tsc_q32; /* ns per count, 32.32 fixed point */
    int64_t base_ns;
    int64_t sim_ns;
    int64_t sim_utc_off_ns; /* wall-clock time of a simulation's zero */
    const char *reason; /* why the counter is not used; NULL when it is */
};

/* weir_clock_init_real - the machine's clock: its counter where it can be trusted, else the
 * kernel's.
 *
 * Trusted means: x86-64, CPUID says invariant, and the kernel itself keeps time by it (the kernel
 * drops it when sockets disagree). Takes 20 ms for the calibration. clock->reason tells why not.
 */
WEIR_API void weir_clock_init_real(struct weir_clock *clock);
/* weir_clock_init_os - the kernel's clock, whatever the counter is worth. */
WEIR_API void weir_clock_init_os(struct weir_clock *clock);
/* weir_clock_init_sim - a clock that stands at start_ns until it is moved; utc_ns is its UTC
 * then. */
WEIR_API void weir_clock_init_sim(struct weir_clock *clock, int64_t start_ns, int64_t utc_ns);

/* weir_clock_set, weir_clock_advance - move a simulated clock; going back is a bug (WEIR_CHECK). */
WEIR_API void weir_clock_set(struct weir_clock *clock, int64_t ns);
WEIR_API void weir_clock_advance(struct weir_clock *clock, int64_t by_ns);

/* weir_clock_source_name - "tsc", "os" or "sim". */
WEIR_API const char *weir_clock_source_name(const struct weir_clock *clock);

/* weir_clock_utc_ns - UTC as nanoseconds since 1970. Cold: not monotonic, the host may step it. */
WEIR_API int64_t weir_clock_utc_ns(const struct weir_clock *clock);

/* The text of weir_clock_utc_text with its end: 2025-11-21T09:53:00.123456Z */
#define WEIR_CLOCK_TEXT_BYTES 32
/* weir_clock_utc_text - UTC nanoseconds as ISO 8601 with microseconds, rounded down.
 *
 * Shape:   any int64_t: 1677 to 2262. Returns: buf.
 */
WEIR_API const char *weir_clock_utc_text(int64_t utc_ns, char buf[WEIR_CLOCK_TEXT_BYTES]);

/* weir_clock_ns_cold - weir_clock_ns for the sources that are not the counter. */
WEIR_API int64_t weir_clock_ns_cold(const struct weir_clock *clock);

/* weir_clock_ns - nanoseconds now.
 *
 * Thread:  any for real clocks. Hot: no system call (os: through the vDSO); once per batch or poll,
 *          never per record.
 * Order:   rdtsc is not serialising: loads and stores around it may move across by some tens of ns.
 */
static inline int64_t
weir_clock_ns(const struct weir_clock *clock)
{
#if defined(__x86_64__)
    if (WEIR_LIKELY(clock->source == WEIR_CLOCK_TSC)) {
        /* The counters of two cores may differ by a few counts: time before the base is just
         * negative here, so the product is signed. */
        __extension__ typedef __int128 clock_i128;
        int64_t delta = (int64_t)(__rdtsc() - clock->tsc_base);
        return clock->base_ns +
               (int64_t)(((clock_i128)delta * (clock_i128)clock->ns_per_tsc_q32) >> 32);
    }
#endif
    return weir_clock_ns_cold(clock);
}

WEIR_C_END

#endif
