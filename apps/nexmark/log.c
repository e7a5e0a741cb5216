/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/log.h"

#include "base/crc.h"
#include "base/err.h"

static uint32_t
header_crc(const struct nexmark_log_header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    size_t at = offsetof(struct nexmark_log_header, header_crc);
    uint32_t zero = 0;
    uint32_t crc = weir_crc32c(0, bytes, at);
    crc = weir_crc32c(crc, &zero, sizeof zero);
    return weir_crc32c(crc, bytes + at + sizeof zero, sizeof *header - at - sizeof zero);
}

bool
nexmark_log_is(const void *bytes, uint64_t byte_cnt)
{
    return byte_cnt >= 8 && memcmp(bytes, NEXMARK_LOG_MAGIC, 8) == 0;
}

/* The first field of a header that cannot be, or NULL. byte_cnt is the size of the file. */
static const char *
header_fault(const struct nexmark_log_header *header, uint64_t byte_cnt)
{
    uint64_t record_bytes;
    if (header->version != NEXMARK_LOG_VERSION) {
        return "version";
    }
    if (header->header_bytes != NEXMARK_LOG_HEADER_BYTES) {
        return "header_bytes";
    }
    if (header->header_crc != header_crc(header)) {
        return "header_crc";
    }
    if (header->record_bytes != NEXMARK_EVENT_BYTES) {
        return "record_bytes";
    }
    if (header->file_bytes > byte_cnt) {
        return "file_bytes (the file is cut)";
    }
    if (header->record_off != NEXMARK_LOG_HEADER_BYTES) {
        return "record_off";
    }
    if (__builtin_mul_overflow(header->record_cnt, NEXMARK_EVENT_BYTES, &record_bytes) ||
        record_bytes > header->record_room) {
        return "record_cnt";
    }
    if (header->payload_off > header->file_bytes || header->payload_off < header->record_off ||
        header->record_room > header->payload_off - header->record_off) {
        return "payload_off";
    }
    if (header->payload_bytes > header->file_bytes - header->payload_off) {
        return "payload_bytes";
    }
    return NULL;
}

int
nexmark_log_open(const void *bytes, uint64_t byte_cnt, struct nexmark_log *ret_log)
{
    const struct nexmark_log_header *header = (const struct nexmark_log_header *)bytes;
    if (byte_cnt < NEXMARK_LOG_HEADER_BYTES || !nexmark_log_is(bytes, byte_cnt)) {
        return weir_err_push(WEIR_EFORMAT, "no event log: it does not begin with its header");
    }
    const char *fault = header_fault(header, byte_cnt);
    if (fault != NULL) {
        return weir_err_push(WEIR_EFORMAT, "event log: %s does not fit", fault);
    }
    ret_log->records =
        (const struct nexmark_event *)(const void *)((const uint8_t *)bytes + header->record_off);
    ret_log->record_cnt = header->record_cnt;
    ret_log->payloads = (const uint8_t *)bytes + header->payload_off;
    ret_log->payload_bytes = header->payload_bytes;
    ret_log->time_min_ms = header->time_min_ms;
    ret_log->time_max_ms = header->time_max_ms;
    ret_log->record_crc = header->record_crc;
    ret_log->payload_crc = header->payload_crc;
    return 0;
}

int
nexmark_log_verify(const struct nexmark_log *log)
{
    if (weir_crc32c(0, log->records, log->record_cnt * NEXMARK_EVENT_BYTES) != log->record_crc) {
        return weir_err_push(WEIR_EFORMAT, "event log: the records' checksum differs");
    }
    if (weir_crc32c(0, log->payloads, log->payload_bytes) != log->payload_crc) {
        return weir_err_push(WEIR_EFORMAT, "event log: the payloads' checksum differs");
    }
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *event = &log->records[i];
        const uint8_t *payload = nexmark_log_payload(log, event);
        struct nexmark_text text;
        /* The last text fits only where all before it do. */
        bool fits = payload != NULL;
        if (fits && event->payload_bytes != 0) {
            uint32_t last = nexmark_text_cnt(event->kind) - 1;
            fits = nexmark_event_text(event, payload, last, &text) &&
                   memcmp(payload, &event->kind, sizeof event->kind) == 0;
        }
        if (!fits) {
            return weir_err_push(
                WEIR_EFORMAT, "event log: record %llu does not fit", (unsigned long long)i);
        }
    }
    return 0;
}

int
nexmark_log_writer_init(
    struct nexmark_log_writer *writer, const struct nexmark_log_writer_opts *opts)
{
    if (opts->write == NULL || opts->buffer == NULL ||
        opts->buffer_bytes < NEXMARK_LOG_BUFFER_BYTES_MIN ||
        opts->record_cnt_max > NEXMARK_LOG_RECORD_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL, "event log: buffer of %zu bytes, room for %llu records",
            opts->buffer_bytes, (unsigned long long)opts->record_cnt_max);
    }
    memset(writer, 0, sizeof *writer);
    writer->opts = *opts;
    writer->record_buf_bytes = (opts->buffer_bytes / 3) & ~(size_t)(WEIR_PAGE_BYTES - 1);
    writer->payload_buf_bytes =
        (opts->buffer_bytes - writer->record_buf_bytes) & ~(size_t)(WEIR_PAGE_BYTES - 1);
    struct nexmark_log_header *header = &writer->header;
    memcpy(header->magic, NEXMARK_LOG_MAGIC, sizeof header->magic);
    header->version = NEXMARK_LOG_VERSION;
    header->header_bytes = NEXMARK_LOG_HEADER_BYTES;
    header->record_bytes = NEXMARK_EVENT_BYTES;
    header->record_off = NEXMARK_LOG_HEADER_BYTES;
    header->record_room =
        weir_align_up(opts->record_cnt_max * NEXMARK_EVENT_BYTES, WEIR_PAGE_BYTES);
    header->payload_off = header->record_off + header->record_room;
    header->time_min_ms = INT64_MAX;
    header->time_max_ms = INT64_MIN;
    return 0;
}

static int
flush_records(struct nexmark_log_writer *writer)
{
    struct nexmark_log_header *header = &writer->header;
    if (writer->record_fill == 0) {
        return 0;
    }
    uint64_t end = header->record_off + header->record_cnt * NEXMARK_EVENT_BYTES;
    header->record_crc = weir_crc32c(header->record_crc, writer->opts.buffer, writer->record_fill);
    int err = writer->opts.write(
        writer->opts.to, end - writer->record_fill, writer->opts.buffer, writer->record_fill);
    writer->record_fill = 0;
    return err;
}

static int
flush_payloads(struct nexmark_log_writer *writer)
{
    struct nexmark_log_header *header = &writer->header;
    const uint8_t *bytes = writer->opts.buffer + writer->record_buf_bytes;
    if (writer->payload_fill == 0) {
        return 0;
    }
    header->payload_crc = weir_crc32c(header->payload_crc, bytes, writer->payload_fill);
    int err = writer->opts.write(writer->opts.to,
        header->payload_off + header->payload_bytes - writer->payload_fill, bytes,
        writer->payload_fill);
    writer->payload_fill = 0;
    return err;
}

/* Payloads are copied in pieces: a single one may be longer than the buffer. */
static int
add_payload(struct nexmark_log_writer *writer, const uint8_t *payload, size_t byte_cnt)
{
    while (byte_cnt > 0) {
        if (writer->payload_fill == writer->payload_buf_bytes) {
            int err = flush_payloads(writer);
            if (err != 0) {
                return err;
            }
        }
        size_t part =
            (size_t)weir_min_u64(byte_cnt, writer->payload_buf_bytes - writer->payload_fill);
        memcpy(
            writer->opts.buffer + writer->record_buf_bytes + writer->payload_fill, payload, part);
        writer->payload_fill += part;
        writer->header.payload_bytes += part;
        payload += part;
        byte_cnt -= part;
    }
    return 0;
}

int
nexmark_log_append(
    struct nexmark_log_writer *writer, const struct nexmark_event *event, const void *payload)
{
    struct nexmark_log_header *header = &writer->header;
    if (header->record_cnt == writer->opts.record_cnt_max || event->payload_bytes % 8 != 0) {
        return weir_err_push(WEIR_EINVAL, "event log: room for %llu records, payload of %u bytes",
            (unsigned long long)writer->opts.record_cnt_max, event->payload_bytes);
    }
    struct nexmark_event record = *event;
    record.payload_off = header->payload_bytes;
    if (payload == NULL) {
        record.payload_bytes = 0;
    }
    int err = add_payload(writer, (const uint8_t *)payload, record.payload_bytes);
    if (err == 0 && writer->record_fill == writer->record_buf_bytes) {
        err = flush_records(writer);
    }
    if (err != 0) {
        return err;
    }
    memcpy(writer->opts.buffer + writer->record_fill, &record, sizeof record);
    writer->record_fill += sizeof record;
    header->record_cnt++;
    header->time_min_ms = weir_min_i64(header->time_min_ms, record.time_ms);
    header->time_max_ms = weir_max_i64(header->time_max_ms, record.time_ms);
    return 0;
}

int
nexmark_log_finish(struct nexmark_log_writer *writer)
{
    struct nexmark_log_header *header = &writer->header;
    int err = flush_records(writer);
    if (err == 0) {
        err = flush_payloads(writer);
    }
    if (err != 0) {
        return err;
    }
    if (header->payload_bytes == 0) {
        /* Nothing was written behind the records, so the file ends there. */
        header->record_room = header->record_cnt * NEXMARK_EVENT_BYTES;
        header->payload_off = header->record_off + header->record_room;
    }
    header->file_bytes = header->payload_off + header->payload_bytes;
    header->header_crc = header_crc(header);
    return writer->opts.write(writer->opts.to, 0, header, sizeof *header);
}
