/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h: what the verbs about a running job have in common: JOB, one request, one answer. */
#ifndef WEIR_APPS_WEIR_ASK_H
#define WEIR_APPS_WEIR_ASK_H

#include <jansson.h>

#include "apps/weir/cli.h"
#include "base/base.h"
#include "base/opt.h"

#define WEIR_ASK_NOTES                                                                             \
    "JOB is the name of the run (run --name), or the path of its socket. The job must be one of\n" \
    "the same user; root may ask every job.\n"

#define WEIR_ASK_WAIT_FLAG                                         \
    {                                                              \
        "wait", 0, NULL, "return when the job's process has ended" \
    }

/* weir_ask - send a request (without its version) to the job args->arg[0]; print the answer.
 *
 * Shape:   request is taken, NULL says that memory could not be had. print makes text of an answer
 *          for a person; with --json the document itself is printed, without `ok`.
 * Errors:  those of weir_endpoint_ask; what the job has refused; WEIR_EFORMAT for an answer that is
 *          none.
 */
int weir_ask(const struct weir_args *args, json_t *request, void (*print)(const json_t *answer));

/* weir_ask_long - the same, where the answer may take as long as it likes once it is known that the
 * job listens. */
int
weir_ask_long(const struct weir_args *args, json_t *request, void (*print)(const json_t *answer));

/* weir_ask_document - one answer, for who asks again and again. Request and errors as above; the
 * document is the caller's. */
WEIR_MUST_USE int
weir_ask_document(const struct weir_args *args, json_t *request, json_t **ret_doc);
/* weir_ask_number - the value of flag opt->name, by its row. 0, or WEIR_EXIT_USAGE: it is told. */
WEIR_MUST_USE int
weir_ask_number(const struct weir_args *args, const struct weir_opt *opt, int64_t *ret_number);

/* weir_ask_set_path - request[key] is path, made absolute: the job need not run where it is asked.
 * Takes NULL. Errors: WEIR_EUSAGE: the name of the directory here is too long. */
WEIR_MUST_USE int weir_ask_set_path(json_t *request, const char *key, const char *path);

#endif
