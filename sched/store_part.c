/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that the store's protocols share: a scan, a new file, a whole file, a removal. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "sched/store_priv.h"

static const char record_magic[8] = "WEIREPO1";

#define RECORD_CRC_OFF (sizeof(struct store_record) - sizeof(uint32_t))

int
weir_store_blame(struct weir_store *store, int err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(store->fault, sizeof store->fault, fmt, args);
    va_end(args);
    return err;
}

void
weir_store_end_fenced(struct weir_store *store)
{
    store->is_ended = true;
    weir_relay_end(&store->relay,
        weir_store_blame(store, WEIR_EFENCED, "%s/%s: another start took an epoch above %" PRIu64,
            store->root, store->job_name, store->epoch));
}

int
weir_store_blame_op(struct weir_store *store, const char *what, const char *name)
{
    const struct weir_io_op *op = &store->relay.op;
    char reason[64];
    store->errnum = op->errnum;
    return weir_store_blame(store, (int)op->result, "%s %s/%s/%s: %s", what, store->root,
        store->job_name, name, strerror_r(op->errnum, reason, sizeof reason));
}

bool
weir_store_grow(void **array, uint32_t cnt, uint32_t *room, size_t item_bytes)
{
    if (cnt < *room) {
        return true;
    }
    uint32_t more = *room == 0 ? 64 : *room * 2;
    void *moved = realloc(*array, more * item_bytes);
    if (moved == NULL) {
        return false;
    }
    *array = moved;
    *room = more;
    return true;
}

/* The end of a part: close what it has open, and go back with store->err. */
static void
part_is_closed(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->file = -1;
    weir_relay_jump(relay, store->back);
}

static void
end_part(struct weir_store *store, int err)
{
    store->err = err;
    if (store->file < 0) {
        weir_relay_jump(&store->relay, store->back);
        return;
    }
    weir_io_op_close(&store->relay.op, store->file);
    weir_relay_go(&store->relay, part_is_closed);
}

static void
part_is_listed(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    int64_t got = relay->op.result;
    if (got <= 0) {
        end_part(store, got < 0 ? weir_store_blame_op(store, "list", "") : store->err);
        return;
    }
    uint64_t pos = 0;
    enum weir_io_type type;
    const char *name;
    while ((name = weir_io_list_next(store->list_buf, (uint64_t)got, &pos, &type)) != NULL) {
        store->entry(store, name);
    }
    weir_io_op_list(&relay->op, store->file, store->list_buf, STORE_LIST_BYTES);
    weir_relay_go(relay, part_is_listed);
}

static void
scan_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        end_part(store, weir_store_blame_op(store, "list", ""));
        return;
    }
    store->file = (int32_t)relay->op.result;
    weir_io_op_list(&relay->op, store->file, store->list_buf, STORE_LIST_BYTES);
    weir_relay_go(relay, part_is_listed);
}

/* A listing goes on from where its handle stands: each scan has a new one. */
void
weir_store_scan(struct weir_store *store, int32_t dir, weir_relay_fn *back)
{
    store->back = back;
    store->err = 0;
    weir_io_op_open(
        &store->relay.op, dir, ".", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY | WEIR_IO_O_BENEATH);
    weir_relay_go(&store->relay, scan_is_open);
}

static void
name_is_gone(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    bool failed = relay->op.result < 0 && relay->op.errnum != ENOENT;
    end_part(store, failed ? weir_store_blame_op(store, "remove", store->name) : 0);
}

void
weir_store_unlink(struct weir_store *store, int32_t dir, weir_relay_fn *back)
{
    store->back = back;
    weir_io_op_unlink(&store->relay.op, dir, store->name, 0);
    weir_relay_go(&store->relay, name_is_gone);
}

static void
dir_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    end_part(store, relay->op.result < 0
                        ? weir_store_blame_op(store, "sync the directory of", store->name)
                        : 0);
}

void
weir_store_sync(struct weir_store *store, int32_t dir, weir_relay_fn *back)
{
    store->back = back;
    weir_io_op_sync(&store->relay.op, dir, 0);
    weir_relay_go(&store->relay, dir_is_synced);
}

/* A put that failed before anybody could take its file for something: remove that. The first cause
 * is kept. */
static void
put_is_removed(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    weir_relay_jump(relay, store->back);
}

static void
put_is_left(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->file = -1;
    weir_io_op_unlink(&relay->op, store->manifest_dir, store->name, 0);
    weir_relay_go(relay, put_is_removed);
}

static void
fail_put(struct weir_store *store, const char *what)
{
    struct weir_relay *relay = &store->relay;
    store->err = weir_store_blame_op(store, what, store->name);
    store->err = store->err == WEIR_ENOINPUT ? WEIR_EIO : store->err; /* it is no input */
    bool is_temporary = store->name_to[0] != '\0';
    if (store->put == PUT_OPEN || store->put == PUT_DIR_SYNC || !is_temporary) {
        end_part(store, store->err);
        return;
    }
    if (store->file < 0) {
        weir_relay_jump(relay, put_is_left);
        return;
    }
    weir_io_op_close(&relay->op, store->file);
    weir_relay_go(relay, put_is_left);
}

static void
put_is_durable(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_put(store, "sync the directory of");
        return;
    }
    WEIR_KILLPOINT_IF(store_puts(store) == 'E', R1_EPOCH_DURABLE);
    WEIR_KILLPOINT_IF(store_puts(store) == 'B', R3B_DURABLE);
    WEIR_KILLPOINT_IF(store_puts(store) == 'M', C5_DURABLE);
    store->put = PUT_DONE;
    end_part(store, 0);
}

static void
sync_put_dir(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->put = PUT_DIR_SYNC;
    if (!store->dir_sync) {
        store->put = PUT_DONE;
        end_part(store, 0);
        return;
    }
    weir_io_op_sync(&relay->op, store->manifest_dir, 0);
    weir_relay_go(relay, put_is_durable);
}

static void
put_is_renamed(struct weir_relay *relay)
{
    if (relay->op.result < 0 && !WEIR_MUTANT(MANIFEST_RENAME_UNHEEDED)) {
        fail_put(store_of(relay), "rename");
        return;
    }
    WEIR_KILLPOINT_IF(store_puts(store_of(relay)) == 'B', R3B_RENAMED);
    WEIR_KILLPOINT_IF(store_puts(store_of(relay)) == 'M', C4_RENAMED);
    sync_put_dir(relay);
}

static void
put_is_closed(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->file = -1; /* a failed close loses nothing: it is synced */
    if (store->name_to[0] == '\0') {
        sync_put_dir(relay);
        return;
    }
    store->put = PUT_RENAME;
    weir_io_op_rename(
        &relay->op, store->manifest_dir, store->name, store->name_to, WEIR_IO_NOREPLACE);
    weir_relay_go(relay, put_is_renamed);
}

static void
put_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    bool is_heeded = !WEIR_MUTANT(MANIFEST_SYNC_UNHEEDED) || store->name_to[0] != 'M';
    if (relay->op.result < 0 && is_heeded) {
        fail_put(store, "sync");
        return;
    }
    WEIR_KILLPOINT_IF(store_puts(store) == 'M', C3_SYNCED);
    weir_io_op_close(&relay->op, store->file);
    weir_relay_go(relay, put_is_closed);
}

static void
put_is_written(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if ((WEIR_MUTANT(MANIFEST_FULL_DISK) && relay->op.errnum == ENOSPC) ||
        (WEIR_MUTANT(MANIFEST_WRITE_UNHEEDED) && relay->op.errnum == EIO &&
            store->name_to[0] == 'M')) {
        relay->op.result = (int64_t)relay->op.bytes;
    }
    if (relay->op.result < 0) {
        fail_put(store, "write");
        return;
    }
    WEIR_CHECK((uint64_t)relay->op.result == relay->op.bytes, "WHOLE is all of it");
    WEIR_KILLPOINT_IF(store_puts(store) == 'M', C3_WRITTEN);
    store->put = PUT_SYNC;
    if (WEIR_MUTANT(MANIFEST_UNSYNCED) && store->name_to[0] == 'M') {
        weir_relay_jump(relay, put_is_synced);
        return;
    }
    weir_io_op_sync(&relay->op, store->file, 0);
    weir_relay_go(relay, put_is_synced);
}

static void
put_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_put(store, "create");
        return;
    }
    WEIR_KILLPOINT_IF(store_puts(store) == 'E', R1_EPOCH_MADE);
    WEIR_KILLPOINT_IF(store_puts(store) == 'M', C3_MADE);
    store->file = (int32_t)relay->op.result;
    store->put = PUT_WRITE;
    weir_io_op_write(&relay->op, store->file, store->buf, store->got_bytes, 0);
    relay->op.flags = WEIR_IO_WHOLE;
    weir_relay_go(relay, put_is_written);
}

void
weir_store_put(struct weir_store *store, uint64_t bytes, weir_relay_fn *back)
{
    store->back = back;
    store->put = PUT_OPEN;
    store->got_bytes = bytes;
    store->errnum = 0;
    weir_io_op_open(&store->relay.op, store->manifest_dir, store->name,
        WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL | WEIR_IO_O_NOFOLLOW |
            WEIR_IO_O_BENEATH | WEIR_IO_O_PRIVATE);
    weir_relay_go(&store->relay, put_is_open);
}

static void
got_bytes(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        end_part(store, weir_store_blame_op(store, "read", store->name));
        return;
    }
    store->got_bytes = (uint64_t)relay->op.result;
    end_part(store, 0);
}

static void
get_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        end_part(store, weir_store_blame_op(store, "sync", store->name));
        return;
    }
    weir_io_op_read(&relay->op, store->file, store->buf, store->buf_bytes, 0);
    relay->op.flags = WEIR_IO_WHOLE;
    weir_relay_go(relay, got_bytes);
}

static void
get_is_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        end_part(store, weir_store_blame_op(store, "look at", store->name));
        return;
    }
    if (store->stat.bytes > store->buf_bytes) {
        end_part(store,
            weir_store_blame(store, WEIR_EDATA,
                "%s/%s/%s has %" PRIu64 " bytes, more than any manifest may (%" PRIu64 ")",
                store->root, store->job_name, store->name, store->stat.bytes, store->buf_bytes));
        return;
    }
    weir_io_op_sync(&relay->op, store->file, 0);
    weir_relay_go(relay, get_is_synced);
}

static void
get_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        end_part(store, weir_store_blame_op(store, "open", store->name));
        return;
    }
    store->file = (int32_t)relay->op.result;
    weir_io_op_stat(&relay->op, store->file, NULL, &store->stat);
    weir_relay_go(relay, get_is_known);
}

void
weir_store_get(struct weir_store *store, int32_t dir, weir_relay_fn *back)
{
    store->back = back;
    store->got_bytes = 0;
    weir_io_op_open(&store->relay.op, dir, store->name,
        WEIR_IO_O_READ | WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH | WEIR_IO_O_REGULAR);
    weir_relay_go(&store->relay, get_is_open);
}

/* "<number>" at the start of text, as it is printed; NULL where there is none. */
static const char *
parse_number(const char *text, uint64_t *ret)
{
    char again[24];
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    (void)snprintf(again, sizeof again, "%" PRIu64, *ret);
    bool same = errno == 0 && strncmp(again, text, strlen(again)) == 0 &&
                strlen(again) == (size_t)(end - text);
    return same ? end : NULL;
}

bool
weir_store_name_parse(const char *text, struct store_name *ret)
{
    if (strlen(text) >= sizeof ret->text || text[0] == '\0' || text[1] != '-') {
        return false;
    }
    *ret = (struct store_name){.kind = text[0], .epoch = UINT64_MAX};
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
    const char *at = text + 2;
    switch (text[0]) {
    case 'E':
    case 'B':
        at = parse_number(at, &ret->epoch);
        return at != NULL && *at == '\0';
    case 'M':
    case 'S':
        at = parse_number(at, &ret->checkpoint);
        at = at != NULL && *at == '-' ? parse_number(at + 1, &ret->epoch) : NULL;
        return at != NULL && *at == '\0';
    case 'T':
        /* T-<epoch>-...: whose it is stands first. */
        at = parse_number(at, &ret->epoch);
        return at != NULL && *at == '-';
    default:
        return false;
    }
}

void
weir_store_note_name(struct weir_store *store, const char *name)
{
    struct store_name parsed;
    if (!weir_store_name_parse(name, &parsed) || store->err != 0) {
        return;
    }
    if (store->name_cnt == WEIR_STORE_NAME_CNT_MAX) {
        store->err = weir_store_blame(store, WEIR_EIO, "%s/%s/manifest holds more than %d names",
            store->root, store->job_name, WEIR_STORE_NAME_CNT_MAX);
        return;
    }
    void *names = store->names;
    if (!weir_store_grow(&names, store->name_cnt, &store->name_room, sizeof parsed)) {
        store->err = weir_store_blame(store, WEIR_ENOMEM, "names of the manifest directory");
        return;
    }
    store->names = names;
    store->names[store->name_cnt++] = parsed;
    if (parsed.kind == 'M' && parsed.checkpoint > store->checkpoint_max) {
        store->checkpoint_max = parsed.checkpoint;
    }
}

void
weir_store_rescan(struct weir_store *store, weir_relay_fn *back)
{
    store->name_cnt = 0;
    store->entry = weir_store_note_name;
    weir_store_scan(store, store->manifest_dir, back);
}

bool
weir_store_is_fenced(const struct weir_store *store)
{
    for (uint32_t i = 0; i < store->name_cnt; i++) {
        if (store->names[i].kind == 'E' && store->names[i].epoch > store->epoch) {
            return true;
        }
    }
    return false;
}

void
weir_store_record_seal(struct store_record *record)
{
    memcpy(record->magic, record_magic, sizeof record->magic);
    record->version = STORE_VERSION;
    record->zero = 0;
    record->crc = weir_crc32c(0, record, RECORD_CRC_OFF);
}

const char *
weir_store_record_check(
    const void *buf, uint64_t bytes, uint32_t kind, uint64_t job, uint64_t epoch)
{
    struct store_record record;
    if (bytes != sizeof record) {
        return "it has not the length of a record";
    }
    memcpy(&record, buf, sizeof record);
    if (memcmp(record.magic, record_magic, sizeof record.magic) != 0) {
        return "it does not begin as a record";
    }
    if (record.crc != weir_crc32c(0, buf, RECORD_CRC_OFF)) {
        return "its checksum does not match";
    }
    if (record.version != STORE_VERSION) {
        return "it is of another version of the format";
    }
    if (record.kind != kind || record.job != job || record.epoch != epoch) {
        return "it belongs to another job or epoch";
    }
    return NULL;
}
