/* SPDX-License-Identifier: Apache-2.0 */
/* jobfile.h: a job as a shared object: looked at first, loaded afterwards.
 *
 * A job exports weir_job_main(), the mark of sched/abi.h, and, where it takes parameters, their
 * table weir_job_params. Both are looked for in the file's own symbol table, so that a file of
 * another version, or no job at all, is refused before any of its code (constructors too) runs.
 *
 * Thread: any, cold. Owner: a loaded job stays loaded until it is closed; nothing of it may be used
 *         afterwards.
 */
#ifndef WEIR_SCHED_JOBFILE_H
#define WEIR_SCHED_JOBFILE_H

#include "base/opt.h"

struct weir_env;
struct weir_jobfile;

typedef int(weir_job_main_fn)(struct weir_env *env);

/* weir_jobfile_check - is the file a job of this version.
 *
 * Errors: WEIR_ENOINPUT, WEIR_EPERM, WEIR_EIO from reading; WEIR_EJOB, with what is wrong.
 */
WEIR_API WEIR_MUST_USE int weir_jobfile_check(const char *path);
/* weir_jobfile_open - check it and load it. Errors: as above. */
WEIR_API WEIR_MUST_USE int weir_jobfile_open(const char *path, struct weir_jobfile **ret_file);
WEIR_API void weir_jobfile_close(struct weir_jobfile *file);

WEIR_API weir_job_main_fn *weir_jobfile_main(const struct weir_jobfile *file);
/* weir_jobfile_params - the table of parameters, ended by a row without a name; NULL: it takes
 * none. */
WEIR_API const struct weir_opt *weir_jobfile_params(const struct weir_jobfile *file);
/* weir_jobfile_examples - lines of examples, or NULL. */
WEIR_API const char *weir_jobfile_examples(const struct weir_jobfile *file);

#endif
