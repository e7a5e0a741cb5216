/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/job.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/configure.h"
#include "base/base.h"
#include "base/err.h"
#include "base/opt.h"

#define PATH_BYTES 4096
#define JOB_CNT_MAX 256

/* The directory of this program, without a slash at its end. */
static bool
program_dir(char buf[PATH_BYTES])
{
    ssize_t bytes = readlink("/proc/self/exe", buf, PATH_BYTES - 1);
    if (bytes <= 0) {
        return false;
    }
    buf[bytes] = '\0';
    char *slash = strrchr(buf, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return slash != NULL;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return text_bytes > end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* Writes dir + below + "/name.so"; 1, or 0 where that is too long to be a path. */
static size_t
pattern(char buf[PATH_BYTES], const char *dir, const char *below, const char *name)
{
    int n = snprintf(buf, PATH_BYTES, "%s%s/%s.so", dir, below, name);
    return n > 0 && n < PATH_BYTES ? 1 : 0;
}

/* Patterns of files that may be called by name: the directory of the configuration, or else that of
 * the installation and, for a program run from its build folder, those of its neighbours. */
static size_t
job_patterns(const struct weir_conf *conf, const char *name, char patterns[2][PATH_BYTES])
{
    char program[PATH_BYTES];
    const char *set = weir_conf_text(conf, WEIR_CONF_PLUGINS_DIR);
    if (set[0] != '\0') {
        return pattern(patterns[0], set, "", name);
    }
    if (!program_dir(program)) {
        return 0;
    }
    size_t cnt = pattern(patterns[0], program, "/" WEIR_PLUGIN_DIR, name);
    return cnt + (ends_with(program, "/weir") ? pattern(patterns[cnt], program, "/../*", name) : 0);
}

/* All files of the patterns; the caller frees them with globfree(). */
static size_t
job_files(const struct weir_conf *conf, const char *name, glob_t *ret_files)
{
    char patterns[2][PATH_BYTES];
    size_t cnt = job_patterns(conf, name, patterns);
    memset(ret_files, 0, sizeof *ret_files);
    for (size_t i = 0; i < cnt; i++) {
        (void)glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, ret_files);
    }
    return ret_files->gl_pathc;
}

static int
refuse_name(const struct weir_conf *conf, const char *name)
{
    char texts[JOB_CNT_MAX][WEIR_JOB_NAME_BYTES];
    const char *names[JOB_CNT_MAX];
    char listed[256] = "";
    glob_t files;
    size_t cnt = weir_min_u64(job_files(conf, "*", &files), JOB_CNT_MAX);
    size_t used = 0;
    for (size_t i = 0; i < cnt; i++) {
        const char *base = strrchr(files.gl_pathv[i], '/') + 1;
        (void)snprintf(texts[i], sizeof texts[i], "%.*s", (int)strcspn(base, "."), base);
        names[i] = texts[i];
        int n =
            snprintf(listed + used, sizeof listed - used, "%s%s", used > 0 ? ", " : "", texts[i]);
        used = weir_min_u64(used + (n > 0 ? (size_t)n : 0), sizeof listed - 1);
    }
    globfree(&files);
    const char *near = weir_opt_nearest(name, names, cnt);
    if (near != NULL) {
        return weir_err_push(
            WEIR_ENOINPUT, "there is no job called %s; did you mean %s?", name, near);
    }
    return weir_err_push(WEIR_ENOINPUT, "there is no job called %s; %s%s", name,
        cnt > 0 ? "there are: " : "a file is named by its path, ./job.so", listed);
}

static bool
is_yaml(const char *job)
{
    return ends_with(job, ".yaml") || ends_with(job, ".yml");
}

/* job.so, ./job.so -> job; what a name may not hold becomes '-'. */
static void
name_of(const char *job, char name[WEIR_JOB_NAME_BYTES])
{
    const char *slash = strrchr(job, '/');
    const char *base = slash != NULL ? slash + 1 : job;
    (void)snprintf(name, WEIR_JOB_NAME_BYTES, "%.*s", (int)strcspn(base, "."), base);
    for (char *at = name; *at != '\0'; at++) {
        bool good = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || *at == '_' || *at == '-';
        *at = good ? *at : '-';
    }
    if (name[0] == '\0') {
        (void)snprintf(name, WEIR_JOB_NAME_BYTES, "job");
    }
}

static int
open_file(const struct weir_conf *conf, const char *job, struct weir_jobfile **ret_file)
{
    if (strchr(job, '/') != NULL || ends_with(job, ".so")) {
        return weir_jobfile_open(job, ret_file);
    }
    if (strpbrk(job, "*?[\\") != NULL) {
        return weir_err_push(WEIR_ENOINPUT, "there is no job called %s", job);
    }
    glob_t files;
    int err = job_files(conf, job, &files) > 0 ? weir_jobfile_open(files.gl_pathv[0], ret_file)
                                               : refuse_name(conf, job);
    globfree(&files);
    return err;
}

static int
open_pipeline(const struct weir_conf *conf, const char *job, struct weir_pipeline **ret_pipeline)
{
    const struct weir_yaml *file = NULL;
    const struct weir_yaml_node *section = weir_conf_pipeline(conf, &file);
    if (section == NULL) {
        return weir_err_push(WEIR_EJOB, "%s has no `pipeline:` in it", job);
    }
    return weir_pipeline_open(file, section, ret_pipeline);
}

int
weir_job_arg_configure(const struct weir_args *args, struct weir_job_arg *job)
{
    const char *name = args->arg[0];
    name_of(name, job->name);
    return weir_configure(args, is_yaml(name) ? name : NULL, &job->conf);
}

/* Configuration and code of args->arg[0]; what was opened is in *job also after an error. */
static int
open_job(const struct weir_args *args, struct weir_job_arg *job)
{
    const char *name = args->arg[0];
    int err = job->conf == NULL ? weir_job_arg_configure(args, job) : 0;
    if (err != 0) {
        return err;
    }
    return is_yaml(name) ? open_pipeline(job->conf, name, &job->pipeline)
                         : open_file(job->conf, name, &job->file);
}

int
weir_job_arg_open(const struct weir_args *args, const char *topology_xml, struct weir_job_arg *job)
{
    int err = open_job(args, job);
    if (err == 0) {
        const struct weir_launch_options options = {
            .conf = job->conf,
            .file = job->file,
            .pipeline = job->pipeline,
            .name = job->name,
            .topology_xml = topology_xml,
        };
        err = weir_launch_open(&options, &job->launch);
    }
    return err;
}

void
weir_job_arg_close(struct weir_job_arg *job)
{
    weir_launch_close(job->launch);
    weir_pipeline_close(job->pipeline);
    weir_jobfile_close(job->file);
    weir_conf_close(job->conf);
}

int
weir_job_arg_help(const struct weir_args *args)
{
    struct weir_job_arg job = {.conf = NULL};
    int err = open_job(args, &job);
    if (err == 0) {
        const struct weir_opt *params =
            job.pipeline != NULL ? job.pipeline->params : weir_jobfile_params(job.file);
        size_t cnt = 0;
        while (params != NULL && params[cnt].name != NULL) {
            cnt++;
        }
        char examples[2 * PATH_BYTES];
        (void)snprintf(examples, sizeof examples,
            "weir run %s\nweir plan %s   # what runs where, and why\n", args->arg[0], args->arg[0]);
        const char *own = job.file != NULL ? weir_jobfile_examples(job.file) : NULL;
        weir_cli_examples(own != NULL ? own : examples);
        (void)printf("%s takes %s parameters, each as -p NAME=VALUE%s\n", args->arg[0],
            cnt > 0 ? "these" : "no", cnt > 0 ? ":\n" : ".");
        weir_opt_help(stdout, params, cnt);
    }
    weir_job_arg_close(&job);
    return err;
}
