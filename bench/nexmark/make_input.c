/* SPDX-License-Identifier: Apache-2.0 */
/* make_input: write the inputs of benchmarks and tests, and turn one form into another.
 *
 *     make_input log gen:N,...|FILE.jsonl OUT      a mapped log
 *     make_input jsonl LOG OUT                     the log as JSON lines
 *     make_input ysb gen:N,... OUT [ADS.csv]       ad events, and the table ad,campaign
 *     make_input words gen:N,... OUT               lines of words
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/nexmark/gen.h"
#include "apps/nexmark/json.h"
#include "apps/nexmark/log.h"
#include "apps/words/words.h"
#include "apps/ysb/ysb.h"
#include "base/err.h"

#define BUFFER_BYTES (UINT32_C(6) << 20)
#define BATCH 1024

/* Bytes of a whole file in memory. */
struct file {
    const char *bytes;
    size_t byte_cnt;
};

static uint8_t buffer[BUFFER_BYTES];

static int
write_at(void *to, uint64_t off, const void *bytes, size_t byte_cnt)
{
    int fd = *(int *)to;
    const char *p = (const char *)bytes;
    while (byte_cnt > 0) {
        ssize_t wrote = pwrite(fd, p, byte_cnt, (off_t)off);
        if (wrote < 0 && errno != EINTR) {
            return weir_err_errno(errno, "writing");
        }
        wrote = wrote < 0 ? 0 : wrote;
        p += wrote;
        off += (uint64_t)wrote;
        byte_cnt -= (size_t)wrote;
    }
    return 0;
}

static int
map_file(const char *path, struct file *ret_file)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return weir_err_errno(errno, "%s", path);
    }
    /* One byte more, which is never read: an empty file can be mapped too. */
    void *map = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) {
        return weir_err_errno(errno, "%s", path);
    }
    ret_file->bytes = map;
    ret_file->byte_cnt = (size_t)st.st_size;
    return 0;
}

static int
generate_log(const char *spec, struct nexmark_log_writer_opts *opts)
{
    static struct nexmark_gen gen;
    static struct nexmark_log_writer writer;
    static struct nexmark_event events[BATCH];
    struct nexmark_gen_opts gen_opts;
    uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    int err = nexmark_gen_parse(spec, &gen_opts);
    err = err == 0 ? nexmark_gen_init(&gen, &gen_opts) : err;
    opts->record_cnt_max = gen_opts.event_cnt;
    err = err == 0 ? nexmark_log_writer_init(&writer, opts) : err;
    for (uint64_t at = 0; err == 0 && at < gen_opts.event_cnt; at += BATCH) {
        size_t cnt = (size_t)weir_min_u64(BATCH, gen_opts.event_cnt - at);
        nexmark_gen_fill(&gen, at, cnt, events);
        for (size_t i = 0; i < cnt && err == 0; i++) {
            uint64_t number = nexmark_gen_number(&gen, at + i);
            events[i].payload_bytes = nexmark_gen_payload(&gen, number, &events[i], payload);
            err = nexmark_log_append(&writer, &events[i], payload);
        }
    }
    return err == 0 ? nexmark_log_finish(&writer) : err;
}

static uint64_t
count_lines(const struct file *file)
{
    uint64_t cnt = 0;
    const char *end = file->bytes + file->byte_cnt;
    for (const char *p = file->bytes; p < end; cnt++) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        p = feed == NULL ? end : feed + 1;
    }
    return cnt;
}

static int
import_log(const char *path, struct nexmark_log_writer_opts *opts)
{
    static struct nexmark_log_writer writer;
    static uint8_t payload[1 << 20];
    struct file file = {NULL, 0};
    int err = map_file(path, &file);
    if (err != 0) {
        return err;
    }
    opts->record_cnt_max = count_lines(&file);
    err = nexmark_log_writer_init(&writer, opts);
    const char *end = file.bytes + file.byte_cnt;
    uint64_t line_cnt = 0;
    for (const char *p = file.bytes; err == 0 && p < end;) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        const char *stop = feed == NULL ? end : feed;
        struct nexmark_line line = {p, (size_t)(stop - p), 0};
        struct nexmark_json_fault fault;
        struct nexmark_event event;
        line_cnt++;
        if (line.bytes + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES > sizeof payload) {
            return weir_err_push(
                WEIR_EDATA, "%s:%llu: too long", path, (unsigned long long)line_cnt);
        }
        err = nexmark_json_read(&line, &event, payload, &fault);
        if (err != 0) {
            return weir_err_push(err, "%s:%llu:%u: %s%s%s", path, (unsigned long long)line_cnt,
                fault.column, fault.field == NULL ? "" : fault.field,
                fault.field == NULL ? "" : ": ", fault.what);
        }
        err = nexmark_log_append(&writer, &event, payload);
        p = stop + 1;
    }
    return err == 0 ? nexmark_log_finish(&writer) : err;
}

static int
make_log(const char *from, int fd)
{
    struct nexmark_log_writer_opts opts = {write_at, &fd, 0, buffer, sizeof buffer};
    return strncmp(from, "gen:", 4) == 0 ? generate_log(from, &opts) : import_log(from, &opts);
}

static int
make_jsonl(const char *from, int fd)
{
    struct file file = {NULL, 0};
    struct nexmark_log log;
    uint64_t off = 0;
    int err = map_file(from, &file);
    err = err == 0 ? nexmark_log_open(file.bytes, file.byte_cnt, &log) : err;
    err = err == 0 ? nexmark_log_verify(&log) : err;
    size_t used = 0;
    for (uint64_t i = 0; err == 0 && i < log.record_cnt; i++) {
        const struct nexmark_event *e = &log.records[i];
        if (used + 512 + 6 * (size_t)e->payload_bytes > sizeof buffer) {
            err = write_at(&fd, off, buffer, used);
            off += used;
            used = 0;
        }
        const uint8_t *payload = nexmark_log_payload(&log, e);
        size_t bytes = 512 + 6 * (size_t)e->payload_bytes > sizeof buffer
                           ? 0
                           : nexmark_json_write(e, payload, (char *)buffer + used);
        if (bytes == 0) {
            return weir_err_push(
                WEIR_EDATA, "%s: record %llu has no JSON form", from, (unsigned long long)i);
        }
        used += bytes;
    }
    return err == 0 ? write_at(&fd, off, buffer, used) : err;
}

static int
write_ads(const struct ysb_gen *gen, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return weir_err_errno(errno, "%s", path);
    }
    for (uint64_t i = 0; i < gen->opts.ad_cnt; i++) {
        struct ysb_ad ad;
        char digits[40];
        size_t at = sizeof digits;
        ysb_gen_ad(gen, i, &ad);
        weir_u128 id = (weir_u128)ad.hi << 64 | ad.lo;
        digits[--at] = '\0';
        do {
            digits[--at] = (char)('0' + (int)(id % 10));
            id /= 10;
        } while (id != 0);
        (void)fprintf(file, "%s,%llu\n", digits + at, (unsigned long long)ad.campaign);
    }
    return fclose(file) == 0 ? 0 : weir_err_errno(errno, "%s", path);
}

static int
make_ysb(const char *spec, int fd, const char *ads_path)
{
    struct ysb_gen gen;
    struct ysb_gen_opts opts;
    int err = ysb_gen_parse(spec, &opts);
    err = err == 0 ? ysb_gen_init(&gen, &opts) : err;
    for (uint64_t at = 0; err == 0 && at < opts.event_cnt; at += BATCH) {
        size_t cnt = (size_t)weir_min_u64(BATCH, opts.event_cnt - at);
        ysb_gen_fill(&gen, at, cnt, buffer);
        err = write_at(&fd, at * opts.record_bytes, buffer, cnt * opts.record_bytes);
    }
    return err == 0 && ads_path != NULL ? write_ads(&gen, ads_path) : err;
}

static int
make_words(const char *spec, int fd)
{
    struct words_gen gen;
    struct words_gen_opts opts;
    uint64_t off = 0;
    size_t used = 0;
    int err = words_gen_parse(spec, &opts);
    if (err != 0) {
        return err;
    }
    void *memory = malloc(words_gen_footprint(&opts));
    err = memory == NULL ? WEIR_ENOMEM : words_gen_init(&gen, &opts, memory);
    for (uint64_t n = 0; err == 0 && n < opts.line_cnt; n++) {
        used += words_gen_line(&gen, n, (char *)buffer + used);
        if (used + WORDS_LINE_BYTES_MAX > sizeof buffer) {
            err = write_at(&fd, off, buffer, used);
            off += used;
            used = 0;
        }
    }
    free(memory);
    return err == 0 ? write_at(&fd, off, buffer, used) : err;
}

static int
make(int argc, char **argv)
{
    int fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int err = 0;
    if (fd < 0) {
        return weir_err_errno(errno, "%s", argv[3]);
    }
    if (strcmp(argv[1], "log") == 0) {
        err = make_log(argv[2], fd);
    } else if (strcmp(argv[1], "jsonl") == 0) {
        err = make_jsonl(argv[2], fd);
    } else if (strcmp(argv[1], "ysb") == 0) {
        err = make_ysb(argv[2], fd, argc > 4 ? argv[4] : NULL);
    } else if (strcmp(argv[1], "words") == 0) {
        err = make_words(argv[2], fd);
    } else {
        err = weir_err_push(WEIR_EUSAGE, "%s is not log, jsonl, ysb or words", argv[1]);
    }
    return close(fd) != 0 && err == 0 ? weir_err_errno(errno, "%s", argv[3]) : err;
}

int
main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        (void)fputs("usage: make_input log|jsonl|ysb|words FROM OUT [ADS.csv]\n", stderr);
        return WEIR_EXIT_USAGE;
    }
    int err = make(argc, argv);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
