/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Two bracketed readings this far apart: an error of 50 ns in each is 5 parts per million. */
#define CLOCK_CALIBRATE_NS (20 * WEIR_MS)
/* Readings tried at each end; the one with the narrowest bracket counts, the others were cut short
 * by an interrupt or by the host. */
#define CLOCK_BRACKET_CNT 64

static int64_t
os_ns(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    WEIR_CHECK(rc == 0, "clock_gettime(%d)", (int)id);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

#if defined(__x86_64__)

/* One reading of both clocks: the kernel's time and the counter in the middle of its bracket. */
struct clock_pair {
    int64_t ns;
    uint64_t tsc;
};

static struct clock_pair
read_pair(void)
{
    struct clock_pair best = {0, 0};
    uint64_t width_best = UINT64_MAX;
    for (int i = 0; i < CLOCK_BRACKET_CNT; i++) {
        unsigned aux;
        uint64_t before = __rdtscp(&aux);
        int64_t ns = os_ns(CLOCK_MONOTONIC);
        uint64_t after = __rdtscp(&aux);
        if (after - before < width_best) {
            width_best = after - before;
            best = (struct clock_pair){ns, before + (after - before) / 2};
        }
    }
    return best;
}

static const char *
counter_refused(void)
{
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
    if (__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) == 0 || (edx & (1u << 8)) == 0) {
        return "the CPU's counter is not invariant";
    }
    char name[32] = "";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (f == NULL) {
        return "the kernel does not say by which clock it keeps time";
    }
    size_t n = fread(name, 1, sizeof name - 1, f);
    (void)fclose(f); /* read only: nothing is lost */
    name[n] = '\0';
    return strcmp(name, "tsc\n") == 0 ? NULL : "the kernel does not keep time by the CPU's counter";
}

static void
calibrate(struct weir_clock *clock)
{
    struct clock_pair first = read_pair();
    while (os_ns(CLOCK_MONOTONIC) - first.ns < CLOCK_CALIBRATE_NS) {
        __builtin_ia32_pause();
    }
    struct clock_pair last = read_pair();
    uint64_t ns = (uint64_t)(last.ns - first.ns);
    uint64_t tsc = last.tsc - first.tsc;
    WEIR_CHECK(tsc > 0 && ns < UINT64_C(1) << 32, "counter moved by %llu in %llu ns",
        (unsigned long long)tsc, (unsigned long long)ns);
    clock->source = WEIR_CLOCK_TSC;
    clock->tsc_khz = (uint32_t)(tsc * 1000000 / ns);
    clock->tsc_base = last.tsc;
    clock->base_ns = last.ns;
    clock->ns_per_tsc_q32 = (uint64_t)(((weir_u128)ns << 32) / tsc);
}

#else

static const char *
counter_refused(void)
{
    return "this CPU's counter is not known to us";
}

static void
calibrate(struct weir_clock *clock)
{
    (void)clock;
}

#endif

void
weir_clock_init_os(struct weir_clock *clock)
{
    *clock = (struct weir_clock){.source = WEIR_CLOCK_OS, .reason = "asked for"};
}

void
weir_clock_init_real(struct weir_clock *clock)
{
    weir_clock_init_os(clock);
    clock->reason = counter_refused();
    if (clock->reason == NULL) {
        calibrate(clock);
    }
}

void
weir_clock_init_sim(struct weir_clock *clock, int64_t start_ns, int64_t utc_ns)
{
    *clock = (struct weir_clock){
        .source = WEIR_CLOCK_SIM,
        .sim_ns = start_ns,
        .sim_utc_off_ns = weir_sub_sat(utc_ns, start_ns),
        .reason = "simulated",
    };
}

void
weir_clock_set(struct weir_clock *clock, int64_t ns)
{
    WEIR_CHECK(clock->source == WEIR_CLOCK_SIM, "a real clock cannot be set");
    WEIR_CHECK(ns >= clock->sim_ns, "time went back from %lld to %lld", (long long)clock->sim_ns,
        (long long)ns);
    clock->sim_ns = ns;
}

void
weir_clock_advance(struct weir_clock *clock, int64_t by_ns)
{
    weir_clock_set(clock, weir_add_sat(clock->sim_ns, by_ns));
}

const char *
weir_clock_source_name(const struct weir_clock *clock)
{
    static const char *const names[WEIR_CLOCK_SOURCE_CNT] = {"tsc", "os", "sim"};
    WEIR_CHECK(clock->source < WEIR_CLOCK_SOURCE_CNT, "clock source %u", clock->source);
    return names[clock->source];
}

int64_t
weir_clock_utc_ns(const struct weir_clock *clock)
{
    if (clock->source == WEIR_CLOCK_SIM) {
        return weir_add_sat(clock->sim_ns, clock->sim_utc_off_ns);
    }
    return os_ns(CLOCK_REALTIME);
}

const char *
weir_clock_utc_text(int64_t utc_ns, char buf[WEIR_CLOCK_TEXT_BYTES])
{
    int64_t sec = utc_ns / WEIR_SEC_NS;
    int64_t ns = utc_ns % WEIR_SEC_NS;
    if (ns < 0) {
        ns += WEIR_SEC_NS;
        sec--;
    }
    time_t t = (time_t)sec;
    struct tm tm;
    WEIR_CHECK(gmtime_r(&t, &tm) != NULL, "year of %lld s", (long long)sec);
    size_t n = strftime(buf, WEIR_CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(buf + n, WEIR_CLOCK_TEXT_BYTES - n, ".%06uZ", (unsigned)(ns / WEIR_US));
    return buf;
}

int64_t
weir_clock_ns_cold(const struct weir_clock *clock)
{
    return clock->source == WEIR_CLOCK_SIM ? clock->sim_ns : os_ns(CLOCK_MONOTONIC);
}
