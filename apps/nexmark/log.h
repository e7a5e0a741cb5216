/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: the mapped event log: Nexmark events in a file that is read in place.
 *
 * [format: Input / Nexmark log (NEXMARK_LOG_VERSION)]
 *
 *     0        header page, 4096 bytes
 *     4096     records: record_cnt x 64 bytes, one array (event.h); then room up to payload_off
 *     ...      payloads, back to back, each padded to 8 bytes; a record says where its own lies
 *
 * Header, little-endian; what is not named is zero:
 *
 *   offset  0 u8[8] "WEIRNXL\n"       32 u64 record_cnt          72 u32 record_crc
 *           8 u32 version = 1         40 u64 record_off = 4096   76 u32 payload_crc
 *          12 u32 header_bytes = 4096 48 u64 record_room         80 i64 time_min_ms
 *          16 u32 header_crc          56 u64 payload_off         88 i64 time_max_ms
 *          20 u32 record_bytes = 64   64 u64 payload_bytes
 *          24 u64 file_bytes
 *
 * Checksums are CRC32C: header_crc of the header page with this field zero, the others of the two
 * sections. The header is written last: a file whose writer died is refused. Both sections start on
 * a page. The records stand apart from the payloads because most queries read records alone.
 *
 * [end of format]
 *
 * A reader trusts nothing: nexmark_log_open() checks the header, the accessors check each record.
 */
#ifndef WEIR_APPS_NEXMARK_LOG_H
#define WEIR_APPS_NEXMARK_LOG_H

#include "apps/nexmark/event.h"

#define NEXMARK_LOG_MAGIC "WEIRNXL\n"
#define NEXMARK_LOG_VERSION 1u
#define NEXMARK_LOG_HEADER_BYTES 4096u
/* One writer's records: 2^40 of them are 64 TiB. */
#define NEXMARK_LOG_RECORD_CNT_MAX (UINT64_C(1) << 40)

struct nexmark_log_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint32_t header_crc;
    uint32_t record_bytes;
    uint64_t file_bytes;
    uint64_t record_cnt;
    uint64_t record_off;
    uint64_t record_room;
    uint64_t payload_off;
    uint64_t payload_bytes;
    uint32_t record_crc;
    uint32_t payload_crc;
    int64_t time_min_ms; /* INT64_MAX where there are no records */
    int64_t time_max_ms; /* INT64_MIN then */
    uint8_t zero[NEXMARK_LOG_HEADER_BYTES - 96];
};
WEIR_STATIC_ASSERT(sizeof(struct nexmark_log_header) == NEXMARK_LOG_HEADER_BYTES, "one page");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_log_header, file_bytes) == 24, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_log_header, payload_off) == 56, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_log_header, record_crc) == 72, "format");
WEIR_STATIC_ASSERT(offsetof(struct nexmark_log_header, time_max_ms) == 88, "format");

/* --- reading --- */

/* An opened log; it borrows the mapping. */
struct nexmark_log {
    const struct nexmark_event *records;
    uint64_t record_cnt;
    const uint8_t *payloads;
    uint64_t payload_bytes;
    int64_t time_min_ms;
    int64_t time_max_ms;
    uint32_t record_crc;
    uint32_t payload_crc;
};

/* nexmark_log_is - whether these first bytes of a file are those of a log, of any version. */
bool nexmark_log_is(const void *bytes, uint64_t byte_cnt);

/* nexmark_log_open - read the header of a mapped file.
 *
 * Shape:   bytes is aligned to 64 (a mapping is). Owner: keeps bytes until the log is forgotten.
 * Returns: 0, or WEIR_EFORMAT with the field that is wrong; payloads are not looked at.
 */
WEIR_MUST_USE int
nexmark_log_open(const void *bytes, uint64_t byte_cnt, struct nexmark_log *ret_log);

/* nexmark_log_verify - read everything once: both checksums and every record; WEIR_EFORMAT or 0. */
WEIR_MUST_USE int nexmark_log_verify(const struct nexmark_log *log);

/* nexmark_log_payload - the payload of a record of this log, or NULL where it lies about it. */
static inline const uint8_t *
nexmark_log_payload(const struct nexmark_log *log, const struct nexmark_event *event)
{
    if (event->kind >= NEXMARK_KIND_CNT || event->payload_off > log->payload_bytes ||
        event->payload_bytes > log->payload_bytes - event->payload_off) {
        return NULL;
    }
    return log->payloads + event->payload_off;
}

/* --- writing --- */

/* Write bytes at an offset of the file: 0, or an error, which ends the writer. Borrows bytes. */
typedef int(nexmark_log_write_fn)(void *to, uint64_t off, const void *bytes, size_t byte_cnt);

#define NEXMARK_LOG_BUFFER_BYTES_MIN 65536u

struct nexmark_log_writer_opts {
    nexmark_log_write_fn *write;
    void *to;
    uint64_t record_cnt_max; /* room for records; what is left of it stays a hole in the file */
    uint8_t *buffer; /* kept until the end; at least NEXMARK_LOG_BUFFER_BYTES_MIN */
    size_t buffer_bytes;
};

struct nexmark_log_writer {
    struct nexmark_log_writer_opts opts;
    struct nexmark_log_header header;
    size_t record_buf_bytes; /* the first part of the buffer holds records, the rest payloads */
    size_t payload_buf_bytes;
    size_t record_fill;
    size_t payload_fill;
};

/* nexmark_log_writer_init - begin a log; WEIR_EINVAL for options out of range. */
WEIR_MUST_USE int nexmark_log_writer_init(
    struct nexmark_log_writer *writer, const struct nexmark_log_writer_opts *opts);

/* nexmark_log_append - add an event; its payload_off is set to where the payload comes to lie.
 *
 * Shape:   payload holds event->payload_bytes bytes, a multiple of 8; NULL for none.
 * Returns: 0; WEIR_EINVAL when the room for records is used up; or what the write returned.
 */
WEIR_MUST_USE int nexmark_log_append(
    struct nexmark_log_writer *writer, const struct nexmark_event *event, const void *payload);

/* nexmark_log_finish - write what is left, and the header last. */
WEIR_MUST_USE int nexmark_log_finish(struct nexmark_log_writer *writer);

#endif
