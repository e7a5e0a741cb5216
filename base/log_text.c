/* SPDX-License-Identifier: Apache-2.0 */
/* log_text.c: how a line looks, in each of the three formats. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log_priv.h"

/* A buffer of LOG_WRITTEN_BYTES. */
struct out {
    char *buf;
    size_t bytes;
};

static void
put_bytes(struct out *out, const char *text, size_t bytes)
{
    WEIR_CHECK(bytes <= LOG_WRITTEN_BYTES - out->bytes, "a line of the log is too long");
    memcpy(out->buf + out->bytes, text, bytes);
    out->bytes += bytes;
}

static void
put(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

/* Bytes of the UTF-8 sequence at text, 0 where there is none: no surrogate, nothing overlong. */
static size_t
utf8_bytes(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t wanted = p[0] < 0x80                    ? 1
                    : p[0] >= 0xc2 && p[0] <= 0xdf ? 2
                    : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                    : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                   : 0;
    if (wanted == 0 || wanted > bytes) {
        return 0;
    }
    for (size_t i = 1; i < wanted; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool is_outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return is_overlong || is_outside ? 0 : wanted;
}

/* Text that stays on its line and between its quotes. is_quoted: also quotes and backslashes. */
static void
put_escaped(struct out *out, const char *text, size_t bytes, bool is_quoted)
{
    char escape[8];
    for (size_t i = 0; i < bytes;) {
        size_t seq = utf8_bytes(text + i, bytes - i);
        unsigned char c = (unsigned char)text[i];
        if (seq == 0) {
            put(out, "\xef\xbf\xbd");
        } else if (c == '\n') {
            put(out, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
            put(out, escape);
        } else {
            if (is_quoted && (c == '"' || c == '\\')) {
                put(out, "\\");
            }
            put_bytes(out, text + i, seq);
        }
        i += seq == 0 ? 1 : seq;
    }
}

/* A quoted field; in logfmt only where the value needs quotes. */
static void
put_field(struct out *out, enum weir_log_format format, const char *name, const char *value,
    size_t value_bytes)
{
    bool is_json = format == WEIR_LOG_JSON;
    bool is_plain = value_bytes > 0;
    for (size_t i = 0; i < value_bytes; i++) {
        unsigned char c = (unsigned char)value[i];
        is_plain = is_plain && c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
    }
    bool is_quoted = is_json || !is_plain || strcmp(name, "msg") == 0;
    put(out, is_json ? ",\"" : " ");
    put(out, name);
    put(out, is_json ? "\":" : "=");
    put(out, is_quoted ? "\"" : "");
    put_escaped(out, value, value_bytes, is_quoted);
    put(out, is_quoted ? "\"" : "");
}

static void
put_count(struct out *out, enum weir_log_format format, const char *name, uint32_t cnt)
{
    char text[64];
    if (cnt > 0) {
        (void)snprintf(
            text, sizeof text, format == WEIR_LOG_JSON ? ",\"%s\":%u" : " %s=%u", name, cnt);
        put(out, text);
    }
}

static void
put_human(struct out *out, const struct log_line *line, const char *from, const char *code)
{
    char text[80];
    put(out, " ");
    put(out, from);
    put(out, from[0] != '\0' ? ": " : "");
    put_escaped(out, line->text, line->text_bytes, false);
    if (line->code != 0) {
        put(out, " (");
        put(out, code);
        put(out, ")");
    }
    if (line->left_out_cnt > 0) {
        (void)snprintf(text, sizeof text, " [%u before it left out]", line->left_out_cnt);
        put(out, text);
    }
    if (line->lost_cnt > 0) {
        (void)snprintf(text, sizeof text, " [%u before it lost]", line->lost_cnt);
        put(out, text);
    }
}

size_t
weir_log_priv_write(const struct log_line *line, enum weir_log_format format, const char *from,
    const char *job, char *buf)
{
    static const char *const levels[WEIR_LOG_LEVEL_CNT] = {"error", "warning", "info", "debug"};
    struct out out = {buf, 0};
    char time[WEIR_CLOCK_TEXT_BYTES];
    char code[16];
    const char *level = line->level < WEIR_LOG_LEVEL_CNT ? levels[line->level] : "error";
    (void)snprintf(code, sizeof code, "WEIR-%04u", line->code);
    (void)weir_clock_utc_text(line->utc_ns, time);
    put(&out, format == WEIR_LOG_HUMAN ? "" : format == WEIR_LOG_JSON ? "{\"ts\":\"" : "ts=");
    put(&out, time);
    if (format == WEIR_LOG_HUMAN) {
        put(&out, " ");
        put(&out, level);
        put_human(&out, line, from, code);
        put(&out, "\n");
        return out.bytes;
    }
    put(&out, format == WEIR_LOG_JSON ? "\"" : "");
    put_field(&out, format, "level", level, strlen(level));
    if (from[0] != '\0') {
        put_field(&out, format, "from", from, strlen(from));
    }
    if (job[0] != '\0') {
        put_field(&out, format, "job", job, strlen(job));
    }
    if (line->code != 0) {
        put_field(&out, format, "code", code, strlen(code));
    }
    put_field(&out, format, "msg", line->text, line->text_bytes);
    put_count(&out, format, "left_out", line->left_out_cnt);
    put_count(&out, format, "lost", line->lost_cnt);
    put(&out, format == WEIR_LOG_JSON ? "}\n" : "\n");
    return out.bytes;
}
