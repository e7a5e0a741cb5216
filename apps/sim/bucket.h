/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h: timers at the ends of buckets of event time, and what holds of them and of the rows
 * that set them. */
#ifndef WEIR_APPS_SIM_BUCKET_H
#define WEIR_APPS_SIM_BUCKET_H

#include "apps/sim/draw.h"
#include "apps/sim/schema.h"
#include "dataplane/operators/process.h"

static inline int64_t
sim_bucket_end(int64_t at)
{
    return at - at % SIM_BUCKET_MS + SIM_BUCKET_MS - 1;
}

/* A timer of a key comes once, in its order, and no sooner than its time. */
static inline int
sim_check_timer(const struct weir_process *p, int64_t time, int64_t *rung)
{
    if (time <= *rung || time > p->watermark) {
        return weir_err_push(WEIR_EBUG,
            "invariant T2: a timer of key %lld for %lld ms fires at %lld, behind that for %lld",
            (long long)weir_process_key(p, 0), (long long)time, (long long)p->watermark,
            (long long)*rung);
    }
    *rung = time;
    return 0;
}

/* No row that comes here is late on purpose. */
static inline int
sim_check_on_time(const struct weir_process *p, const struct cell *in)
{
    return in->at > p->watermark
               ? 0
               : weir_err_push(WEIR_EBUG,
                     "invariant T1: a row of key %lld at %lld ms, and the watermark of its channel "
                     "is %lld",
                     (long long)in->key, (long long)in->at, (long long)p->watermark);
}

#endif
