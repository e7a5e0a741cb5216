/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the `weir` command. The verbs stand in verbs.c; the check of the CPU in cpu.c ran before.
 */
#include "apps/weir/cli.h"

int
main(int argc, char **argv)
{
    return weir_cli_main(argc, argv);
}
