/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoint a job starts from. */
#include "sched/job_restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sched/job_restore_priv.h"

/* How long a wait for io is without anything to tell. */
#define WAIT_NS (100 * WEIR_MS)
#define PATH_BYTES 4096

/* ---- a path ---- */

/* What the user named: a job's directory below which a manifest is. */
struct named {
    char dir[PATH_BYTES]; /* the job's */
    const struct weir_look_checkpoint *entry;
};

/* dir/manifest/M-<checkpoint>-<epoch>, or S-: true with the two numbers and dir. */
static bool
is_manifest_path(const char *path, char dir[PATH_BYTES], uint64_t *ret_id, uint64_t *ret_epoch)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char kind = '\0';
    int end = 0;
    if (sscanf(name, "%c-%" SCNu64 "-%" SCNu64 "%n", &kind, ret_id, ret_epoch, &end) != 3 ||
        (kind != 'M' && kind != 'S') || name[end] != '\0') {
        return false;
    }
    size_t bytes = (size_t)(name - path);
    (void)snprintf(dir, PATH_BYTES, "%.*s..", (int)weir_min_u64(bytes, PATH_BYTES - 4), path);
    return true;
}

static int
look_at_path(struct weir_job_restore *restore, struct named *ret)
{
    const char *path = restore->conf->how.path;
    uint64_t id = 0;
    uint64_t epoch = 0;
    char dir[PATH_BYTES];
    bool is_one = is_manifest_path(path, dir, &id, &epoch);
    const char *slash = strrchr(path, '/');
    bool is_kept =
        is_one && restore->conf->how.only_reads && (slash != NULL ? slash[1] : path[0]) == 'S';
    int err = is_kept ? weir_look_open_kept(restore->io, dir, id, epoch, &restore->look)
                      : weir_look_open(restore->io, is_one ? dir : path, &restore->look);
    if (err != 0) {
        return weir_err_push(err, "--restore=%s", path);
    }
    for (uint32_t i = 0; i < weir_look_cnt(restore->look); i++) {
        const struct weir_look_checkpoint *entry = weir_look_at(restore->look, i);
        bool is_it = is_one ? entry->checkpoint == id && entry->epoch == epoch : entry->is_current;
        if (is_it && ret->entry != NULL) {
            return weir_err_push(WEIR_ECONFIG,
                "--restore=%s: there are checkpoints of several jobs, %s and %s; name the "
                "directory of one",
                path, ret->entry->job, entry->job);
        }
        ret->entry = is_it ? entry : ret->entry;
    }
    if (ret->entry == NULL) {
        return weir_err_push(WEIR_ENOINPUT, "--restore=%s: there is no checkpoint", path);
    }
    if (ret->entry->err != 0) {
        return weir_err_push(ret->entry->err, "--restore=%s: %s", path, ret->entry->wrong);
    }
    (void)snprintf(ret->dir, sizeof ret->dir, "%s", is_one ? dir : path);
    if (!is_one && !weir_look_is_job(restore->look)) {
        size_t used = strlen(ret->dir);
        (void)snprintf(ret->dir + used, sizeof ret->dir - used, "/%s", ret->entry->job);
    }
    return 0;
}

/* Whether a path is the job's own directory in the store, by whatever way it leads there. */
static int
look_whether_own(struct weir_job_restore *restore, const char *dir, bool *ret_is_own)
{
    char own[PATH_BYTES];
    struct weir_io_stat mine;
    struct weir_io_stat its;
    struct weir_io_op op;
    (void)snprintf(own, sizeof own, "%s/%s", restore->conf->dir, restore->conf->job);
    weir_io_op_stat(&op, WEIR_IO_CWD, own, &mine);
    *ret_is_own = false;
    if (weir_io_perform(restore->io, &op) < 0) {
        bool is_none = op.errnum == ENOENT || op.errnum == ENOTDIR;
        return is_none ? 0 : weir_err_push(weir_io_op_fail(&op), "%s", own);
    }
    weir_io_op_stat(&op, WEIR_IO_CWD, dir, &its);
    if (weir_io_perform(restore->io, &op) < 0) {
        return weir_err_push(
            weir_io_op_fail(&op), "--restore=%s: %s", restore->conf->how.path, dir);
    }
    *ret_is_own = mine.device == its.device && mine.serial == its.serial;
    return 0;
}

static int
open_data_dir(struct weir_job_restore *restore, const char *dir)
{
    char path[PATH_BYTES + 8];
    struct weir_io_op op;
    (void)snprintf(path, sizeof path, "%s/data", dir);
    weir_io_op_open(&op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(restore->io, &op) < 0) {
        return weir_err_push(
            weir_io_op_fail(&op), "--restore=%s: %s", restore->conf->how.path, path);
    }
    restore->data_dir = (int32_t)op.result;
    restore->owns_data_dir = true;
    return 0;
}

/* ---- the store ---- */

static int
look_for_checkpoints(struct weir_job_restore *restore, bool *ret_holds)
{
    const struct weir_job_restore_conf *conf = restore->conf;
    struct weir_look *look = NULL;
    *ret_holds = false;
    int err = weir_look_open(restore->io, conf->dir, &look);
    if (err == WEIR_EIO || err == WEIR_ECANCELED) {
        return weir_err_push(err, "checkpoints.dir %s", conf->dir); /* there may be some */
    }
    if (err != 0) {
        weir_err_clear(); /* there are none, or the store will say what is wrong */
        return 0;
    }
    for (uint32_t i = 0; i < weir_look_cnt(look); i++) {
        bool is_its = strcmp(weir_look_at(look, i)->job, conf->job) == 0;
        *ret_holds = *ret_holds || weir_look_is_job(look) || is_its;
    }
    weir_look_close(look);
    return 0;
}

static int
refuse_none(const struct weir_job_restore_conf *conf)
{
    return weir_err_push(WEIR_ECONFIG,
        "checkpoints.dir %s holds checkpoints of job %s: go on from them with --restore=latest, "
        "name one of them, or give another directory",
        conf->dir, conf->job);
}

static int
refuse_foreign(const struct weir_job_restore_conf *conf)
{
    return weir_err_push(WEIR_ECONFIG,
        "--restore=%s is not of checkpoints.dir %s, which holds checkpoints of job %s: give a "
        "directory without any",
        conf->how.path, conf->dir, conf->job);
}

static int
run_store(struct weir_job_restore *restore)
{
    int err;
    weir_store_start(restore->store);
    while ((err = weir_store_poll(restore->store)) == WEIR_RELAY_BUSY) {
        if (weir_io_poll(restore->io, weir_io_clock_ns(restore->io)) == 0) {
            weir_io_wait(restore->io, WAIT_NS, -1);
        }
    }
    return err == 0 ? 0 : weir_err_push(err, "%s", weir_store_fault(restore->store));
}

static int
start_store(struct weir_job_restore *restore, const struct named *named, bool is_foreign)
{
    const struct weir_job_restore_conf *conf = restore->conf;
    const struct weir_look_checkpoint *entry = named->entry;
    struct weir_store_config config = {.io = restore->io,
        .root = conf->dir,
        .job = conf->job,
        .retained_cnt = conf->retained_cnt,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN,
        .in_memory = conf->in_memory,
        .strict = conf->strict};
    if (entry != NULL && is_foreign) {
        config.checkpoint_floor = entry->checkpoint;
        config.epoch_floor = entry->epoch;
    } else if (entry != NULL) {
        config.wanted_checkpoint = entry->checkpoint;
        config.wanted_epoch = entry->epoch;
    }
    int err = weir_store_open(&config, &restore->store);
    err = err != 0 ? err : run_store(restore);
    if (err != 0) {
        return err;
    }
    restore->manifest = weir_store_restored(restore->store);
    restore->data_dir = weir_store_data_dir(restore->store);
    if (restore->manifest != NULL && conf->how.from == WEIR_JOB_RESTORE_NONE) {
        return refuse_none(conf);
    }
    if (entry != NULL && is_foreign && restore->manifest != NULL) {
        return refuse_foreign(conf); /* who looked before could not see it */
    }
    if (entry != NULL && is_foreign) {
        restore->manifest = &entry->manifest;
        return open_data_dir(restore, named->dir);
    }
    return 0;
}

/* A checkpoint where it lies. */
static int
start_reading(struct weir_job_restore *restore, struct named *named)
{
    int err = look_at_path(restore, named);
    if (err == 0) {
        restore->manifest = &named->entry->manifest;
        err = open_data_dir(restore, named->dir);
    }
    return err;
}

/* The current checkpoint of the job itself, below the directory of checkpoints. */
static const struct weir_look_checkpoint *
own_entry(struct weir_job_restore *restore)
{
    const struct weir_job_restore_conf *conf = restore->conf;
    if (weir_look_open(restore->io, conf->dir, &restore->look) != 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < weir_look_cnt(restore->look); i++) {
        const struct weir_look_checkpoint *entry = weir_look_at(restore->look, i);
        if (entry->is_current && entry->err == 0 && strcmp(entry->job, conf->job) == 0) {
            return entry;
        }
    }
    return NULL;
}

uint32_t
weir_job_restore_max_parallelism(struct weir_io *io, const struct weir_job_restore_conf *conf)
{
    struct weir_job_restore restore = {.io = io, .conf = conf};
    struct named named = {.entry = NULL};
    bool is_path = conf->how.from == WEIR_JOB_RESTORE_PATH;
    uint32_t found = 0;
    if (conf->how.from == WEIR_JOB_RESTORE_LATEST || conf->how.prefers_latest) {
        named.entry = own_entry(&restore);
    }
    if (named.entry == NULL && is_path) {
        weir_look_close(restore.look);
        restore.look = NULL;
        named.entry = look_at_path(&restore, &named) == 0 ? named.entry : NULL;
    }
    const struct weir_manifest *manifest = named.entry != NULL ? &named.entry->manifest : NULL;
    for (uint32_t i = 0; manifest != NULL && i < manifest->operator_cnt; i++) {
        const struct weir_manifest_operator *op = &manifest->operators[i];
        found = op->state_id_cnt > 0 ? op->parallelism_max : found;
    }
    weir_look_close(restore.look);
    weir_err_clear(); /* the start will say what is wrong */
    return found;
}

/* What the user names, and whether it is of another directory; of the latest the store will say
 * what there is. */
static int
choose(struct weir_job_restore *restore, struct named *named, bool *ret_is_foreign)
{
    const struct weir_job_restore_options *how = &restore->conf->how;
    bool is_own = false;
    bool holds = false;
    int err = how->from != WEIR_JOB_RESTORE_LATEST ? look_for_checkpoints(restore, &holds) : 0;
    if (err != 0 || how->from == WEIR_JOB_RESTORE_LATEST || (how->prefers_latest && holds)) {
        return err;
    }
    if (how->from == WEIR_JOB_RESTORE_NONE) {
        return holds ? refuse_none(restore->conf) : 0;
    }
    err = look_at_path(restore, named);
    err = err != 0 ? err : look_whether_own(restore, named->dir, &is_own);
    if (err == 0 && !is_own && holds) {
        return refuse_foreign(restore->conf);
    }
    *ret_is_foreign = err == 0 && !is_own;
    return err;
}

int
weir_job_restore_start(struct weir_io *io, const struct weir_job_restore_conf *conf,
    struct weir_job_restore **ret_restore)
{
    struct weir_job_restore *restore = calloc(1, sizeof *restore);
    struct named *named = calloc(1, sizeof *named);
    bool is_foreign = false;
    int err = 0;
    if (restore == NULL || named == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "a restore");
        goto out;
    }
    restore->io = io;
    restore->conf = conf;
    if (conf->how.only_reads) {
        err = start_reading(restore, named);
        goto out;
    }
    err = choose(restore, named, &is_foreign);
    err = err != 0 ? err : start_store(restore, named, is_foreign);
out:
    free(named);
    if (err != 0) {
        weir_job_restore_close(restore);
        return err;
    }
    *ret_restore = restore;
    return 0;
}

void
weir_job_restore_close(struct weir_job_restore *restore)
{
    if (restore == NULL) {
        return;
    }
    weir_job_restore_free(restore);
    if (restore->owns_data_dir) {
        struct weir_io_op op;
        weir_io_op_close(&op, restore->data_dir);
        (void)weir_io_perform(restore->io, &op); /* it was only read */
    }
    weir_store_close(restore->store);
    weir_look_close(restore->look);
    free(restore);
}

struct weir_store *
weir_job_restore_store(struct weir_job_restore *restore)
{
    return restore->store;
}

const struct weir_manifest *
weir_job_restore_manifest(const struct weir_job_restore *restore)
{
    return restore->manifest;
}
