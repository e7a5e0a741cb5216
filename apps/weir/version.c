/* SPDX-License-Identifier: Apache-2.0 */
/* version.c: `weir version`: which program this is, and what it was built with. */
#include <stdio.h>

#include "apps/weir/verbs.h"
#include "apps/weir/vcs.h"
#include "base/base.h"
#include "base/err.h"

static int
version_run(const struct weir_args *args)
{
    if (!weir_cli_has(args, "json")) {
        (void)printf("weir %s (%s), built for %s by gcc %s\n", WEIR_VERSION, WEIR_COMMIT,
            WEIR_CPU_MARCH, __VERSION__);
        return WEIR_EXIT_OK;
    }
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "version", WEIR_VERSION, "commit", WEIR_COMMIT,
        "cpu", WEIR_CPU_MARCH, "compiler", __VERSION__);
    weir_cli_print_json(doc);
    return WEIR_EXIT_OK;
}

static const struct weir_flag version_flags[] = {
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_version = {
    .name = "version",
    .args = "",
    .text = "print the version, the commit and the CPU it was built for",
    .examples = "weir version\nweir version --json\n",
    .flags = version_flags,
    .flag_cnt = WEIR_ARRAY_CNT(version_flags),
    .run = version_run,
};
