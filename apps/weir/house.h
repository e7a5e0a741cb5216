/* SPDX-License-Identifier: Apache-2.0 */
/* house.h: everything of this process that is no task keeps to the plan's housekeeping CPUs: the
 * main thread, the watch, the log, the helpers of io. On the CPU of a spinning core each of them
 * would take a slice of the scheduler's, some ms, from the rows. */
#ifndef WEIR_APPS_WEIR_HOUSE_H
#define WEIR_APPS_WEIR_HOUSE_H

#include "base/cpuset.h"

/* weir_house_keep - move the threads that there are; those that they start inherit it, and the
 * thread of a core goes to its own CPU when it begins. Refused by the host: they stay. */
void weir_house_keep(const struct weir_cpuset *cpus);
/* weir_house_leave - the calling thread may run where it might before, as another program that it
 * becomes is to see. A call of the system alone: for a child, too. */
void weir_house_leave(void);

#endif
