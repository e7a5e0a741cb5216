/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"

static const char magic[8] = "WEIRMANI";

/* The part of fixed layout. */
struct head {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint64_t bytes;
    uint64_t job;
    uint64_t checkpoint;
    uint64_t epoch;
    uint64_t parent_checkpoint;
    uint64_t parent_epoch;
    uint64_t config_hash;
    int64_t started_ns;
    uint64_t duration_ns;
    uint64_t stall_ns;
    uint32_t file_cnt;
    uint32_t operator_cnt;
    uint32_t state_id_cnt;
    uint32_t source_cnt;
    uint32_t transaction_cnt;
    uint32_t counter_cnt;
    uint64_t zero;
};
WEIR_STATIC_ASSERT(sizeof(struct head) == WEIR_MANIFEST_HEAD_BYTES, "as pictured");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct head, file_cnt) == 96, "as pictured");

/* The fewest bytes that an entry has: what a count may claim is bounded by what is there. */
#define TEXT_BYTES_MIN 5
#define FILE_BYTES_MIN (TEXT_BYTES_MIN + 56)
#define OPERATOR_BYTES_MIN (2 * TEXT_BYTES_MIN + 16)
#define PART_BYTES_MIN (TEXT_BYTES_MIN + 8)
#define COUNTER_BYTES_MIN (TEXT_BYTES_MIN + 8)

/* Writing: past the end it counts only. */
struct put {
    char *buf;
    uint64_t room;
    uint64_t bytes;
    bool is_over; /* something is over its limit */
};

static void
put_raw(struct put *put, const void *from, uint64_t bytes)
{
    if (put->bytes + bytes <= put->room && bytes > 0) {
        memcpy(put->buf + put->bytes, from, bytes);
    }
    put->bytes += bytes;
}

static void
put_u32(struct put *put, uint32_t value)
{
    put_raw(put, &value, sizeof value);
}

static void
put_u64(struct put *put, uint64_t value)
{
    put_raw(put, &value, sizeof value);
}

static void
put_text(struct put *put, const char *text)
{
    size_t bytes = strlen(text);
    put->is_over = put->is_over || bytes > WEIR_MANIFEST_TEXT_BYTES_MAX;
    put_u32(put, (uint32_t)bytes);
    put_raw(put, text, bytes + 1);
}

static void
put_file(struct put *put, const struct weir_snapshot_ack *file)
{
    put_text(put, file->name);
    put_u64(put, file->file_bytes);
    put_u64(put, file->payload_bytes);
    put_u64(put, file->id.checkpoint);
    put_u64(put, file->id.epoch);
    put_u64(put, file->id.attempt);
    put_u32(put, file->id.task);
    put_u32(put, file->id.subtask);
    put_u32(put, file->footer_bytes);
    put_u32(put, file->footer_crc);
}

static void
put_parts(struct put *put, const struct weir_manifest_part *parts, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        put->is_over = put->is_over || parts[i].bytes > WEIR_MANIFEST_BLOB_BYTES_MAX;
        put_text(put, parts[i].uid);
        put_u32(put, parts[i].subtask);
        put_u32(put, parts[i].bytes);
        put_raw(put, parts[i].bytes_at, parts[i].bytes);
    }
}

static void
put_operators(struct put *put, const struct weir_manifest *manifest)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        const struct weir_manifest_operator *entry = &manifest->operators[i];
        put_text(put, entry->uid);
        put_text(put, entry->name);
        put_u32(put, entry->parallelism_max);
        put_u32(put, entry->parallelism);
        put_u32(put, entry->state_id_cnt);
        put_u32(put, first);
        first += entry->state_id_cnt;
    }
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        for (uint32_t s = 0; s < manifest->operators[i].state_id_cnt; s++) {
            put_u32(put, manifest->operators[i].state_ids[s]);
        }
    }
}

static void
put_head(struct put *put, const struct weir_manifest *manifest, uint64_t bytes)
{
    uint64_t state_id_cnt = 0;
    for (uint32_t i = 0; i < manifest->operator_cnt; i++) {
        state_id_cnt += manifest->operators[i].state_id_cnt;
    }
    put->is_over = put->is_over || state_id_cnt > UINT32_MAX;
    struct head head = {
        .version = WEIR_MANIFEST_VERSION,
        .kind = manifest->kind,
        .bytes = bytes,
        .job = manifest->job,
        .checkpoint = manifest->checkpoint,
        .epoch = manifest->epoch,
        .parent_checkpoint = manifest->parent_checkpoint,
        .parent_epoch = manifest->parent_epoch,
        .config_hash = manifest->config_hash,
        .started_ns = manifest->started_ns,
        .duration_ns = manifest->duration_ns,
        .stall_ns = manifest->stall_ns,
        .file_cnt = manifest->file_cnt,
        .operator_cnt = manifest->operator_cnt,
        .state_id_cnt = (uint32_t)state_id_cnt,
        .source_cnt = manifest->source_cnt,
        .transaction_cnt = manifest->transaction_cnt,
        .counter_cnt = manifest->counter_cnt,
    };
    memcpy(head.magic, magic, sizeof head.magic);
    put_raw(put, &head, sizeof head);
}

uint64_t
weir_manifest_encode(const struct weir_manifest *manifest, void *buf, uint64_t buf_bytes)
{
    struct put put = {.buf = buf, .room = buf_bytes};
    put_head(&put, manifest, 0);
    put_text(&put, manifest->job_name);
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        put_file(&put, &manifest->files[i]);
    }
    put_operators(&put, manifest);
    put_parts(&put, manifest->sources, manifest->source_cnt);
    put_parts(&put, manifest->transactions, manifest->transaction_cnt);
    for (uint32_t i = 0; i < manifest->counter_cnt; i++) {
        put_text(&put, manifest->counters[i].name);
        put_u64(&put, manifest->counters[i].value);
    }
    uint64_t bytes = put.bytes + sizeof(uint32_t);
    if (put.is_over || bytes > WEIR_MANIFEST_BYTES_MAX) {
        return 0;
    }
    if (bytes > buf_bytes) {
        return bytes;
    }
    /* The head again, now that the length is known. */
    struct put head = {.buf = buf, .room = buf_bytes};
    put_head(&head, manifest, bytes);
    put_u32(&put, weir_crc32c(0, buf, put.bytes));
    return bytes;
}

/* Reading: the first thing that is wrong ends it; all later reads give zeros. */
struct get {
    const char *buf;
    uint64_t bytes; /* without the checksum */
    uint64_t at;
    const char *wrong;
};

static const void *
get_raw(struct get *get, uint64_t bytes)
{
    if (get->wrong == NULL && bytes > get->bytes - get->at) {
        get->wrong = "the manifest ends within an entry";
    }
    if (get->wrong != NULL) {
        return NULL;
    }
    const void *from = get->buf + get->at;
    get->at += bytes;
    return from;
}

static uint32_t
get_u32(struct get *get)
{
    uint32_t value = 0;
    const void *from = get_raw(get, sizeof value);
    if (from != NULL) {
        memcpy(&value, from, sizeof value);
    }
    return value;
}

static uint64_t
get_u64(struct get *get)
{
    uint64_t value = 0;
    const void *from = get_raw(get, sizeof value);
    if (from != NULL) {
        memcpy(&value, from, sizeof value);
    }
    return value;
}

/* A text with no zero inside and one behind it, used where it lies. */
static const char *
get_text(struct get *get)
{
    uint64_t bytes = get_u32(get);
    if (get->wrong == NULL && bytes > WEIR_MANIFEST_TEXT_BYTES_MAX) {
        get->wrong = "a text is longer than any may be";
    }
    const char *text = get_raw(get, bytes + 1);
    if (text != NULL && (text[bytes] != '\0' || strlen(text) != bytes)) {
        get->wrong = "a text holds or lacks a zero byte";
    }
    return get->wrong == NULL ? text : "";
}

static void
get_file(struct get *get, const struct head *head, struct weir_snapshot_ack *ret)
{
    struct weir_snapshot_id named;
    const char *name = get_text(get);
    ret->file_bytes = get_u64(get);
    ret->payload_bytes = get_u64(get);
    ret->id.job = head->job;
    ret->id.checkpoint = get_u64(get);
    ret->id.epoch = get_u64(get);
    ret->id.attempt = get_u64(get);
    ret->id.task = get_u32(get);
    ret->id.subtask = get_u32(get);
    ret->footer_bytes = get_u32(get);
    ret->footer_crc = get_u32(get);
    if (get->wrong != NULL) {
        return;
    }
    if (strlen(name) >= WEIR_SNAPSHOT_NAME_BYTES || !weir_snapshot_name_parse(name, &named) ||
        named.checkpoint != ret->id.checkpoint || named.epoch != ret->id.epoch ||
        named.attempt != ret->id.attempt || named.task != ret->id.task ||
        named.subtask != ret->id.subtask) {
        get->wrong = "a file's name does not match whose it is";
        return;
    }
    memcpy(ret->name, name, strlen(name) + 1);
}

static void
get_operators(struct get *get, const struct head *head, struct weir_manifest_operator *operators,
    uint32_t *state_ids)
{
    for (uint32_t i = 0; i < head->operator_cnt && get->wrong == NULL; i++) {
        struct weir_manifest_operator *entry = &operators[i];
        entry->uid = get_text(get);
        entry->name = get_text(get);
        entry->parallelism_max = get_u32(get);
        entry->parallelism = get_u32(get);
        entry->state_id_cnt = get_u32(get);
        uint32_t first = get_u32(get);
        if (first > head->state_id_cnt || entry->state_id_cnt > head->state_id_cnt - first) {
            get->wrong = "an operator's states lie outside of the list";
            return;
        }
        entry->state_ids = state_ids + first;
    }
    for (uint32_t i = 0; i < head->state_id_cnt && get->wrong == NULL; i++) {
        state_ids[i] = get_u32(get);
    }
}

static void
get_parts(struct get *get, uint32_t cnt, struct weir_manifest_part *parts)
{
    for (uint32_t i = 0; i < cnt && get->wrong == NULL; i++) {
        parts[i].uid = get_text(get);
        parts[i].subtask = get_u32(get);
        parts[i].bytes = get_u32(get);
        if (parts[i].bytes > WEIR_MANIFEST_BLOB_BYTES_MAX) {
            get->wrong = "a position or transaction is larger than any may be";
            return;
        }
        parts[i].bytes_at = get_raw(get, parts[i].bytes);
    }
}

/* Magic, version, length, checksum, and counts that the bytes can hold. */
static int
check_head(const void *buf, uint64_t bytes, struct head *ret, const char **ret_wrong)
{
    uint32_t crc;
    *ret_wrong = "the manifest is shorter than its head";
    if (bytes < sizeof *ret + TEXT_BYTES_MIN + sizeof crc) {
        return WEIR_EDATA;
    }
    memcpy(ret, buf, sizeof *ret);
    memcpy(&crc, (const char *)buf + bytes - sizeof crc, sizeof crc);
    *ret_wrong = "no manifest begins here";
    if (memcmp(ret->magic, magic, sizeof ret->magic) != 0) {
        return WEIR_EDATA;
    }
    *ret_wrong = "the manifest has another length than it names";
    if (ret->bytes != bytes) {
        return WEIR_EDATA;
    }
    *ret_wrong = "the checksum of the manifest does not match";
    if (weir_crc32c(0, buf, bytes - sizeof crc) != crc) {
        return WEIR_EDATA;
    }
    *ret_wrong = "the manifest is of another version of the format";
    if (ret->version != WEIR_MANIFEST_VERSION || ret->kind < WEIR_MANIFEST_KIND_CHECKPOINT ||
        ret->kind > WEIR_MANIFEST_KIND_SAVEPOINT) {
        return WEIR_EFORMAT;
    }
    *ret_wrong = "the manifest counts more entries than it can hold";
    uint64_t least = (uint64_t)ret->file_cnt * FILE_BYTES_MIN +
                     (uint64_t)ret->operator_cnt * OPERATOR_BYTES_MIN +
                     (uint64_t)ret->state_id_cnt * sizeof(uint32_t) +
                     ((uint64_t)ret->source_cnt + ret->transaction_cnt) * PART_BYTES_MIN +
                     (uint64_t)ret->counter_cnt * COUNTER_BYTES_MIN;
    if (bytes > WEIR_MANIFEST_BYTES_MAX || least > bytes) {
        return WEIR_EDATA;
    }
    *ret_wrong = NULL;
    return 0;
}

/* The lists, in one allocation: those with pointers first, for their alignment. */
struct lists {
    struct weir_snapshot_ack *files;
    struct weir_manifest_operator *operators;
    struct weir_manifest_part *sources;
    struct weir_manifest_part *transactions;
    struct weir_manifest_counter *counters;
    uint32_t *state_ids;
};

static void *
alloc_lists(const struct head *head, struct lists *ret)
{
    uint64_t files = head->file_cnt * sizeof *ret->files;
    uint64_t operators = head->operator_cnt * sizeof *ret->operators;
    uint64_t sources = head->source_cnt * sizeof *ret->sources;
    uint64_t transactions = head->transaction_cnt * sizeof *ret->transactions;
    uint64_t counters = head->counter_cnt * sizeof *ret->counters;
    uint64_t state_ids = head->state_id_cnt * sizeof *ret->state_ids;
    char *memory = calloc(1, files + operators + sources + transactions + counters + state_ids + 1);
    if (memory != NULL) {
        ret->files = (void *)memory;
        ret->operators = (void *)(memory + files);
        ret->sources = (void *)(memory + files + operators);
        ret->transactions = (void *)(memory + files + operators + sources);
        ret->counters = (void *)(memory + files + operators + sources + transactions);
        ret->state_ids = (void *)(memory + files + operators + sources + transactions + counters);
    }
    return memory;
}

static void
fill(struct weir_manifest *ret, const struct head *head, const struct lists *lists)
{
    *ret = (struct weir_manifest){
        .kind = head->kind,
        .job = head->job,
        .checkpoint = head->checkpoint,
        .epoch = head->epoch,
        .parent_checkpoint = head->parent_checkpoint,
        .parent_epoch = head->parent_epoch,
        .config_hash = head->config_hash,
        .started_ns = head->started_ns,
        .duration_ns = head->duration_ns,
        .stall_ns = head->stall_ns,
        .files = lists->files,
        .operators = lists->operators,
        .sources = lists->sources,
        .transactions = lists->transactions,
        .counters = lists->counters,
        .file_cnt = head->file_cnt,
        .operator_cnt = head->operator_cnt,
        .source_cnt = head->source_cnt,
        .transaction_cnt = head->transaction_cnt,
        .counter_cnt = head->counter_cnt,
    };
}

int
weir_manifest_decode(const void *buf, uint64_t bytes, struct weir_manifest *ret,
    const char **ret_wrong, uint64_t *ret_off)
{
    struct head head;
    struct lists lists;
    *ret_off = 0;
    int err = check_head(buf, bytes, &head, ret_wrong);
    if (err != 0) {
        return err;
    }
    void *memory = alloc_lists(&head, &lists);
    if (memory == NULL) {
        *ret_wrong = "no memory for its lists";
        return WEIR_ENOMEM;
    }
    struct get get = {.buf = buf, .bytes = bytes - sizeof(uint32_t), .at = sizeof head};
    fill(ret, &head, &lists);
    ret->job_name = get_text(&get);
    for (uint32_t i = 0; i < head.file_cnt && get.wrong == NULL; i++) {
        get_file(&get, &head, &lists.files[i]);
    }
    get_operators(&get, &head, lists.operators, lists.state_ids);
    get_parts(&get, head.source_cnt, lists.sources);
    get_parts(&get, head.transaction_cnt, lists.transactions);
    for (uint32_t i = 0; i < head.counter_cnt && get.wrong == NULL; i++) {
        lists.counters[i].name = get_text(&get);
        lists.counters[i].value = get_u64(&get);
    }
    if (get.wrong == NULL && get.at != get.bytes) {
        get.wrong = "the manifest goes on behind its last entry";
    }
    if (get.wrong != NULL) {
        free(memory);
        *ret_wrong = get.wrong;
        *ret_off = get.at;
        return WEIR_EDATA;
    }
    ret->memory = memory;
    return 0;
}

void
weir_manifest_fini(struct weir_manifest *manifest)
{
    if (manifest != NULL) {
        free(manifest->memory);
        manifest->memory = NULL;
    }
}
