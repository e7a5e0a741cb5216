/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/parts.h"

#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/mutant.h"

static const char magic[8] = {'W', 'E', 'I', 'R', 'P', 'A', 'R', 'T'};

struct head {
    char magic[8];
    uint32_t version;
    uint32_t part_cnt;
    uint64_t bytes;
    uint32_t crc;
    uint32_t zero;
};
WEIR_STATIC_ASSERT(sizeof(struct head) == WEIR_PARTS_HEAD_BYTES, "the head of the format");
WEIR_STATIC_ASSERT(offsetof(struct head, crc) == 24, "the place of the checksum");

struct part_head {
    uint32_t bytes;
    uint32_t version;
    uint16_t uid_bytes;
    uint16_t name_bytes;
    uint32_t zero;
};
WEIR_STATIC_ASSERT(sizeof(struct part_head) == 16, "the head of a part");

static size_t
aligned(size_t bytes)
{
    return weir_align_up(bytes, 8);
}

/* ---- writing ---- */

void
weir_parts_writer_init(struct weir_parts_writer *writer, void *buf, size_t cap)
{
    memset(writer, 0, sizeof *writer);
    writer->buf = buf;
    writer->cap = cap;
    writer->bytes = WEIR_PARTS_HEAD_BYTES;
    writer->uid = "";
    writer->uid_off = writer->bytes;
    if (cap < WEIR_PARTS_HEAD_BYTES) {
        writer->error = weir_err_push(
            WEIR_EBUDGET, "%zu bytes for the parts of a snapshot hold none of them", cap);
    }
}

void
weir_parts_writer_of(struct weir_parts_writer *writer, const char *uid)
{
    writer->uid = uid;
    writer->uid_off = writer->bytes;
}

/* Append bytes, or zeros; false: there is no room. */
static bool
append(struct weir_parts_writer *writer, const void *data, size_t bytes)
{
    if (writer->error != 0) {
        return false;
    }
    if (bytes > writer->cap - writer->bytes) {
        writer->error = weir_err_push(WEIR_EBUDGET,
            "part %s of operator %s does not fit: the parts of this task's snapshot have %zu bytes",
            writer->name, writer->uid, writer->cap);
        return false;
    }
    if (data != NULL) {
        memcpy(writer->buf + writer->bytes, data, bytes);
    } else {
        memset(writer->buf + writer->bytes, 0, bytes);
    }
    writer->bytes += bytes;
    return true;
}

/* The part at *offset of a buffer that is known to be whole. */
static void
part_at(const char *buf, size_t *offset, struct weir_part *part)
{
    struct part_head head;
    memcpy(&head, buf + *offset, sizeof head);
    memset(part, 0, sizeof *part);
    part->uid = buf + *offset + sizeof head;
    part->uid_bytes = head.uid_bytes;
    part->name = part->uid + head.uid_bytes;
    part->name_bytes = head.name_bytes;
    part->version = head.version;
    part->bytes = head.bytes;
    size_t texts = aligned((size_t)head.uid_bytes + head.name_bytes);
    part->data = part->uid + texts;
    *offset += sizeof head + texts + aligned(head.bytes);
}

static bool
is_text(const char *text, uint32_t bytes, const char *want, size_t want_bytes)
{
    return bytes == want_bytes && memcmp(text, want, want_bytes) == 0;
}

/* Among the parts of the operator at hand: this is in the stall of a checkpoint. */
static bool
is_taken(const struct weir_parts_writer *writer, const char *name)
{
    size_t offset = writer->uid_off;
    while (offset < writer->bytes) {
        struct weir_part part;
        part_at(writer->buf, &offset, &part);
        if (is_text(part.name, part.name_bytes, name, strlen(name))) {
            return true;
        }
    }
    return false;
}

void
weir_parts_begin(struct weir_parts_writer *writer, const char *name, uint32_t version)
{
    WEIR_DCHECK(writer->part_off == 0, "part %s is still open", writer->name);
    writer->name = name;
    if (writer->error != 0) {
        return;
    }
    size_t uid_bytes = strlen(writer->uid);
    size_t name_bytes = strlen(name);
    if (name_bytes == 0 || name_bytes > WEIR_PARTS_TEXT_BYTES_MAX ||
        uid_bytes > WEIR_PARTS_TEXT_BYTES_MAX || writer->part_cnt == WEIR_PARTS_CNT_MAX ||
        is_taken(writer, name)) {
        writer->error = weir_err_push(WEIR_EINVAL,
            "part \"%s\" of operator \"%s\", after %u parts: its name is taken, empty or too long",
            name, writer->uid, writer->part_cnt);
        return;
    }
    const struct part_head head = {
        .version = version, .uid_bytes = (uint16_t)uid_bytes, .name_bytes = (uint16_t)name_bytes};
    size_t off = writer->bytes;
    if (append(writer, &head, sizeof head) && append(writer, writer->uid, uid_bytes) &&
        append(writer, name, name_bytes) &&
        append(writer, NULL, aligned(uid_bytes + name_bytes) - uid_bytes - name_bytes)) {
        writer->part_off = off;
    }
}

void
weir_parts_put(struct weir_parts_writer *writer, const void *data, size_t bytes)
{
    WEIR_DCHECK(writer->part_off != 0 || writer->error != 0, "no part is open");
    (void)append(writer, data, bytes); /* the error stays with the writer */
}

void
weir_parts_put_u64(struct weir_parts_writer *writer, uint64_t value)
{
    weir_parts_put(writer, &value, sizeof value);
}

void
weir_parts_end(struct weir_parts_writer *writer)
{
    if (writer->error != 0) {
        writer->part_off = 0;
        return;
    }
    struct part_head head;
    memcpy(&head, writer->buf + writer->part_off, sizeof head);
    size_t data =
        writer->part_off + sizeof head + aligned((size_t)head.uid_bytes + head.name_bytes);
    size_t bytes = writer->bytes - data;
    if (bytes > UINT32_MAX) {
        writer->error = weir_err_push(WEIR_EBUDGET, "part %s has %zu bytes", writer->name, bytes);
        writer->part_off = 0;
        return;
    }
    head.bytes = (uint32_t)bytes;
    memcpy(writer->buf + writer->part_off, &head, sizeof head);
    writer->part_off = 0;
    if (append(writer, NULL, aligned(bytes) - bytes)) {
        writer->part_cnt++;
    }
}

static uint32_t
checksum(const char *buf, size_t bytes)
{
    static const char no_crc[sizeof(uint32_t)] = {0};
    size_t off = offsetof(struct head, crc);
    uint32_t crc = weir_crc32c(0, buf, off);
    crc = weir_crc32c(crc, no_crc, sizeof no_crc);
    return weir_crc32c(crc, buf + off + sizeof no_crc, bytes - off - sizeof no_crc);
}

int
weir_parts_finish(struct weir_parts_writer *writer, size_t *ret_bytes)
{
    if (writer->error != 0) {
        return writer->error;
    }
    WEIR_DCHECK(writer->part_off == 0, "part %s is still open", writer->name);
    struct head head = {
        .version = WEIR_PARTS_VERSION, .part_cnt = writer->part_cnt, .bytes = writer->bytes};
    memcpy(head.magic, magic, sizeof magic);
    memcpy(writer->buf, &head, sizeof head);
    head.crc = checksum(writer->buf, writer->bytes);
    memcpy(writer->buf, &head, sizeof head);
    *ret_bytes = writer->bytes;
    return 0;
}

/* ---- reading ---- */

static bool
are_zeros(const char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Whether the part at *offset lies in the buffer and is well-formed; *offset is then behind it. */
static bool
is_whole(const struct weir_parts_reader *reader, size_t *offset)
{
    struct part_head head;
    size_t left = reader->bytes - *offset;
    if (left < sizeof head) {
        return false;
    }
    memcpy(&head, reader->buf + *offset, sizeof head);
    size_t texts = (size_t)head.uid_bytes + head.name_bytes;
    if (head.zero != 0 || head.name_bytes == 0 || head.name_bytes > WEIR_PARTS_TEXT_BYTES_MAX ||
        head.uid_bytes > WEIR_PARTS_TEXT_BYTES_MAX || aligned(texts) > left - sizeof head ||
        aligned(head.bytes) > left - sizeof head - aligned(texts)) {
        return false;
    }
    const char *at = reader->buf + *offset + sizeof head;
    const char *data = at + aligned(texts);
    *offset += sizeof head + aligned(texts) + aligned(head.bytes);
    return are_zeros(at + texts, aligned(texts) - texts) &&
           are_zeros(data + head.bytes, aligned(head.bytes) - head.bytes);
}

/* Whether a part before this one has its uid and name: one of the two would never be read. */
static bool
is_second(const struct weir_parts_reader *reader, uint32_t idx, const struct weir_part *part)
{
    size_t offset = WEIR_PARTS_HEAD_BYTES;
    for (uint32_t i = 0; i < idx; i++) {
        struct weir_part before;
        part_at(reader->buf, &offset, &before);
        if (is_text(before.uid, before.uid_bytes, part->uid, part->uid_bytes) &&
            is_text(before.name, before.name_bytes, part->name, part->name_bytes)) {
            return true;
        }
    }
    return false;
}

int
weir_parts_reader_init(struct weir_parts_reader *reader, const void *buf, size_t bytes)
{
    struct head head;
    memset(reader, 0, sizeof *reader);
    if (bytes < sizeof head) {
        return weir_err_push(WEIR_EDATA, "the parts of a snapshot have %zu bytes", bytes);
    }
    memcpy(&head, buf, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0) {
        return weir_err_push(WEIR_EFORMAT, "these are no parts of a snapshot");
    }
    if (head.version != WEIR_PARTS_VERSION) {
        return weir_err_push(WEIR_EFORMAT, "parts of version %u, this program knows %d",
            head.version, WEIR_PARTS_VERSION);
    }
    if (head.bytes != bytes || head.zero != 0 || head.part_cnt > WEIR_PARTS_CNT_MAX) {
        return weir_err_push(WEIR_EDATA, "parts of %zu bytes say that they have %llu", bytes,
            (unsigned long long)head.bytes);
    }
    if (checksum(buf, bytes) != head.crc && !WEIR_MUTANT(READ_UNCHECKED)) {
        return weir_err_push(WEIR_EDATA, "the checksum of a snapshot's parts is wrong");
    }
    reader->buf = buf;
    reader->bytes = bytes;
    reader->uid = "";
    size_t offset = sizeof head;
    for (uint32_t i = 0; i < head.part_cnt; i++) {
        size_t at = offset;
        struct weir_part part;
        if (!is_whole(reader, &offset)) {
            return weir_err_push(WEIR_EDATA, "part %u, at byte %zu, is malformed", i, at);
        }
        part_at(reader->buf, &at, &part);
        if (is_second(reader, i, &part)) {
            return weir_err_push(WEIR_EDATA, "part %.*s of operator %.*s is there twice",
                (int)part.name_bytes, part.name, (int)part.uid_bytes, part.uid);
        }
    }
    if (offset != bytes) {
        return weir_err_push(
            WEIR_EDATA, "%zu bytes follow the last part of a snapshot", bytes - offset);
    }
    reader->part_cnt = head.part_cnt;
    return 0;
}

void
weir_parts_reader_of(struct weir_parts_reader *reader, const char *uid)
{
    reader->uid = uid;
}

int
weir_parts_next(const struct weir_parts_reader *reader, size_t *offset, struct weir_part *ret_part)
{
    *offset = *offset != 0 ? *offset : WEIR_PARTS_HEAD_BYTES;
    if (reader->part_cnt == 0 || *offset == reader->bytes) {
        return 0;
    }
    part_at(reader->buf, offset, ret_part);
    return 1;
}

static bool
find(const struct weir_parts_reader *reader, const char *name, struct weir_part *ret_part)
{
    size_t offset = 0;
    struct weir_part part;
    while (weir_parts_next(reader, &offset, &part) == 1) {
        if (is_text(part.uid, part.uid_bytes, reader->uid, strlen(reader->uid)) &&
            is_text(part.name, part.name_bytes, name, strlen(name))) {
            *ret_part = part;
            return true;
        }
    }
    return false;
}

bool
weir_parts_has(const struct weir_parts_reader *reader, const char *name)
{
    struct weir_part part;
    return find(reader, name, &part);
}

int
weir_parts_find(const struct weir_parts_reader *reader, const char *name, uint32_t version_max,
    struct weir_part *ret_part)
{
    struct weir_part part;
    if (!find(reader, name, &part)) {
        return weir_err_push(
            WEIR_EDATA, "the snapshot has no part %s of operator %s", name, reader->uid);
    }
    if (part.version > version_max) {
        return weir_err_push(WEIR_EFORMAT,
            "part %s of operator %s has version %u, this program knows %u", name, reader->uid,
            part.version, version_max);
    }
    *ret_part = part;
    return 0;
}

int
weir_part_get(struct weir_part *part, void *ret_data, size_t bytes)
{
    if (bytes > part->bytes - part->at) {
        return weir_err_push(WEIR_EDATA, "part %.*s of operator %.*s ends after %u bytes",
            (int)part->name_bytes, part->name, (int)part->uid_bytes, part->uid, part->bytes);
    }
    memcpy(ret_data, part->data + part->at, bytes);
    part->at += (uint32_t)bytes;
    return 0;
}

int
weir_part_get_u64(struct weir_part *part, uint64_t *ret_value)
{
    return weir_part_get(part, ret_value, sizeof *ret_value);
}

int
weir_part_end(const struct weir_part *part)
{
    if (part->at != part->bytes) {
        return weir_err_push(WEIR_EDATA,
            "part %.*s of operator %.*s has %u bytes, %u were expected", (int)part->name_bytes,
            part->name, (int)part->uid_bytes, part->uid, part->bytes, part->at);
    }
    return 0;
}
