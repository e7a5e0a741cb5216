/* SPDX-License-Identifier: Apache-2.0 */
/* configure.h: the flags of every verb that needs a configuration, and the configuration from them.
 */
#ifndef WEIR_APPS_WEIR_CONFIGURE_H
#define WEIR_APPS_WEIR_CONFIGURE_H

#include "apps/weir/cli.h"
#include "sched/conf.h"

#define WEIR_CONFIGURE_FLAGS                                                       \
    {"file", 'f', "FILE",                                                          \
        "read this configuration file (default: ./weir.yaml where there is one)"}, \
        {"param", 'p', "NAME=VALUE", "set a parameter of the job"},                \
        {"set", 's', "KEY=VALUE", "set a configuration key: --set parallelism=2"}, \
        {"name", 'n', "NAME", "name of the run (job.name)"},                       \
        {"strict", 0, NULL, "end instead of going on with less (strict: true)"},   \
    {                                                                              \
        "log-format", 0, "FORMAT", "human, logfmt or json (log.format)"            \
    }

#define WEIR_CONFIGURE_NOTES                                                                       \
    "A value is taken from the first that has it: flags and --set, WEIR_A__B in the environment, " \
    "the\n"                                                                                        \
    "file of -f or ./weir.yaml, " WEIR_CONF_SYSTEM_FILE                                            \
    ", built-in. `weir config defaults` lists the keys.\n"

/* weir_configure - all layers in order, checked; hints go to stderr. The caller closes it.
 *
 * Shape: job_file is the file of the job layer where the command line names it otherwise than by
 *        -f, or NULL; both at once are refused.
 */
WEIR_MUST_USE int
weir_configure(const struct weir_args *args, const char *job_file, struct weir_conf **ret_conf);

#endif
