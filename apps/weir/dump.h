/* SPDX-License-Identifier: Apache-2.0 */
/* dump.h: the page that USR1 prints: cores, tasks and operators of a running job, and which of them
 * do not go on.
 */
#ifndef WEIR_APPS_WEIR_DUMP_H
#define WEIR_APPS_WEIR_DUMP_H

#include <stdio.h>

#include "sched/metric.h"

/* weir_dump_print - the state of now, as far as it is published, and of cores that are silent what
 * they are at. Thread: the watch's. */
void weir_dump_print(FILE *to, struct weir_job *job, const struct weir_plan *plan,
    const struct weir_metrics *metrics);

#endif
