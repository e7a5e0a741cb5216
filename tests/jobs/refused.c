/* SPDX-License-Identifier: Apache-2.0 */
/* refused.c: files that must be refused before any of their code runs: the constructor would end
 * the test. ABI is the version that the mark claims; without it there is no mark. */
#include <stdint.h>
#include <unistd.h>

__attribute__((constructor)) static void
run_too_early(void)
{
    _exit(99);
}

#ifdef ABI
__attribute__((visibility("default"))) extern const uint32_t weir_job_abi;
const uint32_t weir_job_abi = ABI;
#endif

#ifdef ENTRY
__attribute__((visibility("default"))) int weir_job_main(void *env);
int
weir_job_main(void *env)
{
    (void)env;
    return 0;
}
#endif
