/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/configure.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define JOB_FILE "weir.yaml"

static int
set_prefixed(struct weir_conf *conf, const char *flag, const char *prefix, const char *text)
{
    char line[WEIR_CONF_VALUE_BYTES_MAX];
    int n = snprintf(line, sizeof line, "%s%s", prefix, text);
    if (n < 0 || (size_t)n >= sizeof line) {
        return weir_err_push(WEIR_EUSAGE, "%s: the value is too long", flag);
    }
    return weir_conf_set(conf, flag, line);
}

static int
load_flags(const struct weir_args *args, struct weir_conf *conf)
{
    const char *text;
    int err = 0;
    for (size_t i = 0; err == 0 && (text = weir_cli_value_at(args, "set", i)) != NULL; i++) {
        err = weir_conf_set(conf, "--set", text);
    }
    for (size_t i = 0; err == 0 && (text = weir_cli_value_at(args, "param", i)) != NULL; i++) {
        err = set_prefixed(conf, "-p", "params.", text);
    }
    if (err == 0 && (text = weir_cli_value(args, "name")) != NULL) {
        err = set_prefixed(conf, "--name", "job.name=", text);
    }
    if (err == 0 && (text = weir_cli_value(args, "log-format")) != NULL) {
        err = set_prefixed(conf, "--log-format", "log.format=", text);
    }
    if (err == 0 && weir_cli_has(args, "strict")) {
        err = weir_conf_set(conf, "--strict", "strict=true");
    }
    return err;
}

int
weir_configure(const struct weir_args *args, const char *job_file, struct weir_conf **ret_conf)
{
    struct weir_conf *conf = NULL;
    const char *file = weir_cli_value(args, "file");
    if (file != NULL && job_file != NULL) {
        return weir_err_push(WEIR_EUSAGE,
            "%s is the configuration file of its job: -f cannot name another", job_file);
    }
    file = job_file != NULL ? job_file : file;
    int err = weir_conf_new(&conf);
    if (err == 0 && access(WEIR_CONF_SYSTEM_FILE, F_OK) == 0) {
        err = weir_conf_load_file(conf, WEIR_CONF_SYSTEM_FILE, WEIR_CONF_SYSTEM);
    }
    if (err == 0 && (file != NULL || access(JOB_FILE, F_OK) == 0)) {
        err = weir_conf_load_file(conf, file != NULL ? file : JOB_FILE, WEIR_CONF_JOB);
    }
    if (err == 0) {
        err = weir_conf_load_env(conf, environ);
    }
    if (err == 0) {
        err = load_flags(args, conf);
    }
    if (err == 0) {
        err = weir_conf_check(conf);
    }
    if (err != 0) {
        weir_conf_close(conf);
        return err;
    }
    const char *note;
    for (size_t i = 0; (note = weir_conf_note(conf, i)) != NULL; i++) {
        (void)fprintf(stderr, "weir: hint: %s\n", note);
    }
    *ret_conf = conf;
    return 0;
}
