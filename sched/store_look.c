/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/store_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/parts.h"
#include "dataplane/task_file.h"
#include "sched/store_priv.h"

#define DIR_FLAGS (WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY)
/* Parts are small: more is damage that no checksum has caught. */
#define PARTS_BYTES_MAX WEIR_GIB
/* A job that runs removes a manifest between the list of names and its reading: then the list is
 * read again, so often. */
#define AGAIN_CNT 8

/* Names of one directory, one after the other; what is longer is none of ours. */
struct names {
    char (*name)[WEIR_LOOK_JOB_BYTES];
    uint32_t cnt;
    uint32_t room;
};

struct weir_look {
    struct weir_io *io;
    bool owns_io;
    struct weir_snapshot_reader *reader; /* NULL until a file is read: its blocks are large */
    struct weir_look_checkpoint *entries;
    uint32_t cnt;
    uint32_t room;
    int32_t top; /* handle of the directory given */
    bool is_job; /* it is a job's own */
    char kind; /* of its manifests: 'M', or 'S' for one that lies aside */
    int errnum; /* of the last open_at */
};

static int
open_at(struct weir_look *look, int32_t dir, const char *path, uint32_t flags, int32_t *ret)
{
    struct weir_io_op op;
    weir_io_op_open(&op, dir, path, flags);
    int64_t res = weir_io_perform(look->io, &op);
    look->errnum = res < 0 ? op.errnum : 0;
    if (res < 0) {
        return weir_io_op_fail(&op);
    }
    *ret = (int32_t)res;
    return 0;
}

static void
close_at(struct weir_look *look, int32_t handle)
{
    struct weir_io_op op;
    if (handle >= 0) {
        weir_io_op_close(&op, handle);
        (void)weir_io_perform(look->io, &op); /* it was only read */
    }
}

static int
list_dir(struct weir_look *look, int32_t dir, struct names *ret)
{
    static const char text[] = "list a directory of checkpoints";
    char *buf = malloc(STORE_LIST_BYTES);
    int err = buf == NULL ? weir_err_push(WEIR_ENOMEM, text) : 0;
    while (err == 0) {
        struct weir_io_op op;
        weir_io_op_list(&op, dir, buf, STORE_LIST_BYTES);
        int64_t got = weir_io_perform(look->io, &op);
        if (got <= 0) {
            err = got < 0 ? weir_io_op_fail(&op) : 0;
            break;
        }
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        while (err == 0 && (name = weir_io_list_next(buf, (uint64_t)got, &pos, &type)) != NULL) {
            void *names = ret->name;
            if (ret->cnt == WEIR_LOOK_CHECKPOINT_CNT_MAX ||
                !weir_store_grow(&names, ret->cnt, &ret->room, sizeof *ret->name)) {
                err = weir_err_push(WEIR_ENOMEM, text);
                break;
            }
            ret->name = names;
            (void)snprintf(ret->name[ret->cnt++], sizeof *ret->name, "%s", name);
        }
    }
    free(buf);
    return err;
}

/* A whole file of at most a manifest's size; *ret_buf is the caller's. */
static int
read_file(
    struct weir_look *look, int32_t dir, const char *name, void **ret_buf, uint64_t *ret_bytes)
{
    int32_t file = -1;
    struct weir_io_stat stat;
    struct weir_io_op op;
    uint32_t flags = WEIR_IO_O_READ | WEIR_IO_O_NOFOLLOW | WEIR_IO_O_REGULAR;
    int err = open_at(look, dir, name, flags, &file);
    if (err != 0) {
        return err;
    }
    void *buf = NULL;
    weir_io_op_stat(&op, file, NULL, &stat);
    if (weir_io_perform(look->io, &op) < 0) {
        err = weir_io_op_fail(&op);
        goto out;
    }
    if (stat.bytes > WEIR_MANIFEST_BYTES_MAX) {
        err = weir_err_push(
            WEIR_EDATA, "%s has %" PRIu64 " bytes, more than any manifest may", name, stat.bytes);
        goto out;
    }
    buf = malloc(stat.bytes + 1);
    if (buf == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "%s", name);
        goto out;
    }
    weir_io_op_read(&op, file, buf, stat.bytes, 0);
    op.flags = WEIR_IO_WHOLE;
    int64_t got = stat.bytes > 0 ? weir_io_perform(look->io, &op) : 0;
    if (got < 0) {
        err = weir_io_op_fail(&op);
        goto out;
    }
    *ret_buf = buf;
    *ret_bytes = (uint64_t)got;
    buf = NULL;
out:
    free(buf);
    close_at(look, file);
    return err;
}

/* Its error becomes what is wrong with the entry; the context is taken off the stack. */
static void
keep_error(struct weir_look_checkpoint *entry, int err)
{
    entry->err =
        err == WEIR_EDATA || err == WEIR_EFORMAT || err == WEIR_ENOINPUT ? WEIR_ECHECKPOINT : err;
    if (entry->wrong[0] == '\0') {
        weir_err_save(entry->wrong, sizeof entry->wrong);
    }
    weir_err_clear();
}

/* kind: 'M' or 'S'. Returns false for one that is not there any more. */
static bool
read_manifest(struct weir_look *look, int32_t dir, char kind, struct weir_look_checkpoint *entry)
{
    char name[STORE_NAME_BYTES];
    const char *wrong = NULL;
    uint64_t off = 0;
    (void)snprintf(
        name, sizeof name, "%c-%" PRIu64 "-%" PRIu64, kind, entry->checkpoint, entry->epoch);
    int err = read_file(look, dir, name, &entry->buf, &entry->manifest_bytes);
    if (err != 0) {
        keep_error(entry, err);
        return look->errnum != ENOENT;
    }
    err = weir_manifest_decode(entry->buf, entry->manifest_bytes, &entry->manifest, &wrong, &off);
    if (err == 0 && (entry->manifest.checkpoint != entry->checkpoint ||
                        entry->manifest.epoch != entry->epoch)) {
        weir_manifest_fini(&entry->manifest);
        entry->manifest = (struct weir_manifest){0};
        err = WEIR_EDATA;
        wrong = "it belongs to another checkpoint or epoch";
    }
    if (err != 0) {
        (void)snprintf(entry->wrong, sizeof entry->wrong, "manifest/%s, byte %" PRIu64 ": %s", name,
            off, wrong);
        keep_error(entry, err);
    }
    return true;
}

static int
compare(const void *a, const void *b)
{
    const struct weir_look_checkpoint *left = a;
    const struct weir_look_checkpoint *right = b;
    if (left->checkpoint != right->checkpoint) {
        return left->checkpoint < right->checkpoint ? -1 : 1;
    }
    return left->epoch == right->epoch ? 0 : left->epoch < right->epoch ? -1 : 1;
}

/* The timeline rule of store.h over entries [first, cnt): which one is the truth. */
static void
mark_current(struct weir_look *look, int32_t dir, const struct names *names, uint32_t first)
{
    uint64_t top = 0;
    struct weir_look_checkpoint *current = NULL;
    for (uint32_t i = 0; i < names->cnt; i++) {
        struct store_name parsed;
        if (weir_store_name_parse(names->name[i], &parsed) && parsed.kind == 'B') {
            top = weir_max_u64(top, parsed.epoch);
        }
    }
    for (uint32_t i = first; i < look->cnt; i++) {
        current = look->entries[i].epoch == top ? &look->entries[i] : current;
    }
    if (current != NULL || top == 0) {
        top = 0;
    } else {
        char name[STORE_NAME_BYTES];
        void *buf = NULL;
        uint64_t bytes = 0;
        struct store_record record = {0};
        (void)snprintf(name, sizeof name, "B-%" PRIu64, top);
        if (read_file(look, dir, name, &buf, &bytes) == 0 && bytes == sizeof record) {
            memcpy(&record, buf, sizeof record);
        }
        weir_err_clear(); /* then none is marked */
        free(buf);
        for (uint32_t i = first; i < look->cnt; i++) {
            struct weir_look_checkpoint *entry = &look->entries[i];
            bool is_base =
                entry->checkpoint == record.base_checkpoint && entry->epoch == record.base_epoch;
            current = is_base ? entry : current;
        }
    }
    if (current != NULL) {
        current->is_current = true;
    }
}

static int
add_entry(struct weir_look *look, const char *job, const struct store_name *name)
{
    void *entries = look->entries;
    if (look->cnt == WEIR_LOOK_CHECKPOINT_CNT_MAX ||
        !weir_store_grow(&entries, look->cnt, &look->room, sizeof *look->entries)) {
        return weir_err_push(WEIR_ENOMEM, "the list of checkpoints");
    }
    look->entries = entries;
    struct weir_look_checkpoint *entry = &look->entries[look->cnt++];
    *entry = (struct weir_look_checkpoint){.checkpoint = name->checkpoint, .epoch = name->epoch};
    (void)snprintf(entry->job, sizeof entry->job, "%.127s", job);
    return 0;
}

/* Forgets the entries from `first` on. */
static void
drop_entries(struct weir_look *look, uint32_t first)
{
    while (look->cnt > first) {
        struct weir_look_checkpoint *entry = &look->entries[--look->cnt];
        weir_manifest_fini(&entry->manifest);
        free(entry->buf);
    }
}

/* The manifests of one list of names. Returns how many of them have gone, or an error. */
static int
read_names(struct weir_look *look, int32_t dir, const struct names *names, const char *job)
{
    uint32_t first = look->cnt;
    uint32_t kept = first;
    for (uint32_t i = 0; i < names->cnt; i++) {
        struct store_name parsed;
        if (weir_store_name_parse(names->name[i], &parsed) && parsed.kind == 'M') {
            int err = add_entry(look, job, &parsed);
            if (err != 0) {
                return err;
            }
        }
    }
    uint32_t found = look->cnt;
    for (uint32_t i = first; i < found; i++) {
        struct weir_look_checkpoint entry = look->entries[i];
        if (read_manifest(look, dir, 'M', &entry)) {
            look->entries[kept++] = entry;
        }
    }
    look->cnt = kept;
    return (int)(found - kept);
}

/* All manifests of one job, whose directory is `at` below dir. */
static int
read_job(struct weir_look *look, int32_t dir, const char *at, const char *job)
{
    char path[WEIR_LOOK_JOB_BYTES + 16];
    int32_t manifests = -1;
    struct names names = {0};
    uint32_t first = look->cnt;
    int gone = 1;
    (void)snprintf(path, sizeof path, "%s/manifest", at);
    int err = 0;
    for (uint32_t i = 0; i < AGAIN_CNT && gone > 0 && err == 0; i++) {
        drop_entries(look, first);
        names.cnt = 0;
        close_at(look, manifests); /* a list goes on from where its handle stands */
        manifests = -1;
        err = open_at(look, dir, path, DIR_FLAGS, &manifests);
        err = err == 0 ? list_dir(look, manifests, &names) : err;
        gone = err == 0 ? read_names(look, manifests, &names, job) : 0;
        err = gone < 0 ? gone : err;
    }
    if (err == 0 && look->cnt > first) {
        qsort(&look->entries[first], look->cnt - first, sizeof *look->entries, compare);
        mark_current(look, manifests, &names, first);
    }
    free(names.name);
    close_at(look, manifests);
    return err;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The last part of a path, for the name of a job whose own directory was given; it may have been
 * moved to one of any name. */
static void
last_part(const char *path, char ret[WEIR_LOOK_JOB_BYTES])
{
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/') {
        bytes--;
    }
    size_t from = bytes;
    while (from > 0 && path[from - 1] != '/') {
        from--;
    }
    (void)snprintf(
        ret, WEIR_LOOK_JOB_BYTES, "%.*s", (int)weir_min_u64(bytes - from, 100), path + from);
    for (char *at = ret; *at != '\0'; at++) {
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    }
}

static int
read_all(struct weir_look *look, const char *dir)
{
    char own[WEIR_LOOK_JOB_BYTES];
    struct names names = {0};
    uint32_t job_cnt = 0;
    last_part(dir, own);
    int err = read_job(look, look->top, ".", own);
    look->is_job = err == 0;
    if (err != WEIR_ENOINPUT) {
        return err;
    }
    weir_err_clear();
    err = list_dir(look, look->top, &names);
    if (names.cnt > 0) {
        qsort(names.name, names.cnt, sizeof *names.name, compare_names);
    }
    for (uint32_t i = 0; i < names.cnt && err == 0; i++) {
        if (!weir_store_is_job_name(names.name[i])) {
            continue; /* lost+found, say, into which not everybody may look */
        }
        err = read_job(look, look->top, names.name[i], names.name[i]);
        job_cnt += err == 0 ? 1 : 0;
        if (err == WEIR_ENOINPUT) { /* no job's directory */
            weir_err_clear();
            err = 0;
        }
    }
    free(names.name);
    if (err == 0 && job_cnt == 0) {
        return weir_err_push(WEIR_ENOINPUT, "%s holds no checkpoints: no JOB/manifest in it", dir);
    }
    return err;
}

static int
read_kept(struct weir_look *look, const char *dir, const struct store_name *kept)
{
    char own[WEIR_LOOK_JOB_BYTES];
    int32_t manifests = -1;
    last_part(dir, own);
    look->is_job = true;
    int err = open_at(look, look->top, "manifest", DIR_FLAGS, &manifests);
    err = err == 0 ? add_entry(look, own, kept) : err;
    if (err == 0) {
        (void)read_manifest(look, manifests, 'S', &look->entries[0]);
    }
    close_at(look, manifests);
    return err;
}

/* Whose disk: the caller's, or the host's. */
static int
take_io(struct weir_look *look, struct weir_io *io)
{
    const struct weir_io_config config = {.kind = WEIR_IO_AUTO};
    look->io = io;
    look->owns_io = io == NULL;
    int err = look->owns_io ? weir_io_open(&config, &look->io) : 0;
    return err == 0 && look->owns_io ? weir_io_start(look->io) : err;
}

/* kept: one that lies aside; NULL: all others. */
static int
open_look(
    struct weir_io *io, const char *dir, const struct store_name *kept, struct weir_look **ret_look)
{
    struct weir_look *look = calloc(1, sizeof *look);
    if (look == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a look at checkpoints");
    }
    look->top = -1;
    look->kind = kept != NULL ? 'S' : 'M';
    int err = take_io(look, io);
    err = err == 0 ? open_at(look, WEIR_IO_CWD, dir, DIR_FLAGS, &look->top) : err;
    if (err == 0) {
        err = kept != NULL ? read_kept(look, dir, kept) : read_all(look, dir);
    }
    if (err != 0) {
        weir_look_close(look);
        return err;
    }
    *ret_look = look;
    return 0;
}

int
weir_look_open(struct weir_io *io, const char *dir, struct weir_look **ret_look)
{
    return open_look(io, dir, NULL, ret_look);
}

int
weir_look_open_kept(struct weir_io *io, const char *dir, uint64_t checkpoint, uint64_t epoch,
    struct weir_look **ret_look)
{
    const struct store_name kept = {.kind = 'S', .checkpoint = checkpoint, .epoch = epoch};
    return open_look(io, dir, &kept, ret_look);
}

void
weir_look_close(struct weir_look *look)
{
    if (look == NULL) {
        return;
    }
    drop_entries(look, 0);
    weir_snapshot_reader_close(look->reader);
    close_at(look, look->top);
    if (look->owns_io) {
        weir_io_close(look->io);
    }
    free(look->entries);
    free(look);
}

bool
weir_look_is_job(const struct weir_look *look)
{
    return look->is_job;
}

uint32_t
weir_look_cnt(const struct weir_look *look)
{
    return look->cnt;
}

const struct weir_look_checkpoint *
weir_look_at(const struct weir_look *look, uint32_t idx)
{
    return &look->entries[idx];
}

static bool
has_id(const struct weir_look_checkpoint *entry, const char *id)
{
    char text[48];
    (void)snprintf(text, sizeof text, "%" PRIu64, entry->checkpoint);
    bool is_it = strcmp(text, id) == 0;
    (void)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, entry->checkpoint, entry->epoch);
    return is_it || strcmp(text, id) == 0;
}

int
weir_look_find(const struct weir_look *look, const char *id, uint32_t *ret_idx)
{
    const struct weir_look_checkpoint *found = NULL;
    for (uint32_t i = 0; i < look->cnt; i++) {
        const struct weir_look_checkpoint *entry = &look->entries[i];
        if (id != NULL ? !has_id(entry, id) : !entry->is_current) {
            continue;
        }
        if (found != NULL && strcmp(found->job, entry->job) != 0) {
            return weir_err_push(WEIR_EUSAGE, "jobs %s and %s have %s%s: name the directory of one",
                found->job, entry->job, id != NULL ? "a checkpoint " : "checkpoints",
                id != NULL ? id : "");
        }
        if (found == NULL || entry->is_current || !found->is_current) {
            found = entry; /* of several epochs the last; the current one before all */
            *ret_idx = i;
        }
    }
    return found != NULL ? 0 : WEIR_ENOINPUT;
}

/* Whether its manifest was removed: then its files may be, too, and nothing is damaged. */
static bool
has_gone(struct weir_look *look, const struct weir_look_checkpoint *entry)
{
    char path[WEIR_LOOK_JOB_BYTES + STORE_NAME_BYTES];
    struct weir_io_stat stat;
    struct weir_io_op op;
    (void)snprintf(path, sizeof path, "%s/manifest/%c-%" PRIu64 "-%" PRIu64,
        look->is_job ? "." : entry->job, look->kind, entry->checkpoint, entry->epoch);
    weir_io_op_stat(&op, look->top, path, &stat);
    return weir_io_perform(look->io, &op) < 0 && op.errnum == ENOENT;
}

/* A read of its files has ended with err. */
static int
end_read(struct weir_look *look, struct weir_look_checkpoint *entry, int32_t data, int err)
{
    close_at(look, data);
    if (err == WEIR_ECHECKPOINT && has_gone(look, entry)) {
        entry->is_gone = true;
        entry->err = err = WEIR_ENOINPUT;
        (void)snprintf(entry->wrong, sizeof entry->wrong, "it was removed while it was read");
    }
    return err;
}

static int
open_reader(struct weir_look *look)
{
    const struct weir_snapshot_config config = {.io = look->io,
        .depth = 2,
        .block_bytes = WEIR_SNAPSHOT_BLOCK_BYTES_MAX,
        .unregistered = true};
    return look->reader != NULL ? 0 : weir_snapshot_reader_open(&config, &look->reader);
}

/* The directory of its files; 0, or what is wrong with the checkpoint. */
static int
open_data(struct weir_look *look, struct weir_look_checkpoint *entry, int32_t *ret_dir)
{
    char path[WEIR_LOOK_JOB_BYTES + 8];
    if (entry->err != 0) {
        return entry->err;
    }
    (void)snprintf(path, sizeof path, "%s/data", look->is_job ? "." : entry->job);
    int err = open_reader(look);
    err = err == 0 ? open_at(look, look->top, path, DIR_FLAGS, ret_dir) : err;
    if (err != 0) {
        keep_error(entry, err);
    }
    return entry->err;
}

static int
verify_file(
    struct weir_look *look, struct weir_look_checkpoint *entry, struct weir_snapshot_ask *ask)
{
    weir_snapshot_read(look->reader, ask);
    int err;
    while ((err = weir_snapshot_read_poll(look->reader)) == WEIR_RELAY_BUSY) {
        if (weir_io_poll(look->io, weir_io_clock_ns(look->io)) == 0 &&
            !weir_snapshot_read_is_ready(look->reader)) {
            weir_io_wait(look->io, WEIR_SEC_NS, -1);
        }
    }
    if (err != 0) {
        (void)snprintf(entry->wrong, sizeof entry->wrong, "data/%s",
            weir_snapshot_read_fault(look->reader)->text);
        keep_error(entry, err);
    }
    return entry->err;
}

/* ---- what state on disk has of a checkpoint ---- */

/* Head and parts of one file, as its payloads come. */
struct front {
    char *mem;
    uint64_t bytes;
    uint64_t wanted;
};

static int
front_take(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct front *front = arg;
    struct weir_task_file_head head;
    if (off == 0) {
        memset(front, 0, sizeof *front);
        if (weir_task_file_check(payload, bytes) != NULL) {
            return 0; /* a start will say what is wrong */
        }
        memcpy(&head, payload, sizeof head);
        front->wanted = head.parts_bytes <= PARTS_BYTES_MAX ? sizeof head + head.parts_bytes : 0;
        front->mem = malloc(weir_align_up(front->wanted, sizeof(uint64_t)) + 1);
        if (front->mem == NULL) {
            return weir_err_push(WEIR_ENOMEM, "parts of a checkpoint");
        }
    }
    if (off < front->wanted) {
        uint64_t cnt = weir_min_u64(bytes, front->wanted - off);
        memcpy(front->mem + off, payload, cnt);
        front->bytes = off + cnt;
    }
    return 0;
}

/* Parts count that are of the newest file of their task. */
static bool
is_newest(const struct weir_manifest *manifest, uint32_t idx)
{
    const struct weir_snapshot_id *id = &manifest->files[idx].id;
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        const struct weir_snapshot_id *other = &manifest->files[i].id;
        if (other->task == id->task && other->subtask == id->subtask &&
            (other->checkpoint > id->checkpoint ||
                (other->checkpoint == id->checkpoint && other->epoch > id->epoch))) {
            return false;
        }
    }
    return true;
}

/* The checkpoints of stores that the parts name. */
static int
verify_stores(struct weir_look_checkpoint *entry, const struct front *front)
{
    struct weir_parts_reader reader;
    struct weir_part part;
    size_t offset = 0;
    if (front->wanted == 0 || front->bytes != front->wanted) {
        return 0;
    }
    const uint64_t head_bytes = sizeof(struct weir_task_file_head);
    int err = weir_parts_reader_init(&reader, front->mem + head_bytes, front->bytes - head_bytes);
    while (err == 0 && weir_parts_next(&reader, &offset, &part) > 0) {
        char path[WEIR_SPILL_PATH_BYTES];
        bool is_one = false;
        err = weir_spill_checkpoint(&part, path, &is_one);
        struct weir_kv_files files;
        err = err == 0 && is_one ? weir_kv_verify(path, &files) : err;
    }
    if (err != 0) {
        keep_error(entry, err);
    }
    return entry->err;
}

int
weir_look_verify(struct weir_look *look, uint32_t idx)
{
    struct weir_look_checkpoint *entry = &look->entries[idx];
    const struct weir_manifest *manifest = &entry->manifest;
    bool is_savepoint = manifest->kind == WEIR_MANIFEST_KIND_SAVEPOINT;
    struct front front = {NULL, 0, 0};
    int32_t data = -1;
    int err = is_savepoint ? weir_look_read(look, idx, NULL, NULL) : open_data(look, entry, &data);
    for (uint32_t i = 0; i < manifest->file_cnt && err == 0 && !is_savepoint; i++) {
        struct weir_snapshot_ask ask = {
            .dir = data, .file = &manifest->files[i], .sink = front_take, .arg = &front};
        err = verify_file(look, entry, &ask);
        err = err == 0 && is_newest(manifest, i) ? verify_stores(entry, &front) : err;
        free(front.mem);
        memset(&front, 0, sizeof front);
    }
    return end_read(look, entry, data, err);
}

int
weir_look_read(struct weir_look *look, uint32_t idx,
    int (*sink)(void *arg, const void *payload, uint64_t bytes, uint64_t off), void *arg)
{
    struct weir_look_checkpoint *entry = &look->entries[idx];
    int32_t data = -1;
    int err = open_data(look, entry, &data);
    for (uint32_t i = 0; i < entry->manifest.file_cnt && err == 0; i++) {
        struct weir_snapshot_ask ask = {
            .dir = data, .file = &entry->manifest.files[i], .sink = sink, .arg = arg};
        err = verify_file(look, entry, &ask);
    }
    return end_read(look, entry, data, err);
}
