/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define ERR_ENTRY_CNT_MAX 16
#define ERR_ENTRY_BYTES 512

static const struct weir_err_row err_rows[] = {
#define ERR_ROW(sym, num, exit, text, cause, fix) \
    {num, WEIR_EXIT_##exit, "WEIR_" #sym, text, cause, fix},
    WEIR_ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

/* The context belongs to the thread that failed: no two threads ever write one stack. */
static _Thread_local struct {
    size_t cnt;
    char text[ERR_ENTRY_CNT_MAX][ERR_ENTRY_BYTES];
} err_stack;

const struct weir_err_row *
weir_err_row(int code)
{
    int wanted = code < 0 ? -code : code;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(err_rows); i++) {
        if (err_rows[i].code == wanted) {
            return &err_rows[i];
        }
    }
    return NULL;
}

const struct weir_err_row *
weir_err_row_at(size_t idx)
{
    return idx < WEIR_ARRAY_CNT(err_rows) ? &err_rows[idx] : NULL;
}

static void
push_text(const char *fmt, va_list args)
{
    if (err_stack.cnt == ERR_ENTRY_CNT_MAX) {
        return;
    }
    char *text = err_stack.text[err_stack.cnt];
    (void)vsnprintf(text, ERR_ENTRY_BYTES, fmt, args);
    for (size_t i = 0; i < err_stack.cnt; i++) {
        if (strcmp(err_stack.text[i], text) == 0) {
            return;
        }
    }
    err_stack.cnt++;
}

int
weir_err_push(int err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    push_text(fmt, args);
    va_end(args);
    return err;
}

int
weir_err_of_errno(int errnum)
{
    switch (errnum) {
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_EPERM;
    case ENOENT:
    case EISDIR:
    case ENOTDIR:
        return WEIR_ENOINPUT;
    case ENOMEM:
        return WEIR_ENOMEM;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case ECONNRESET:
    case ECONNABORTED:
        return WEIR_EUNAVAILABLE;
    case ETIMEDOUT:
        return WEIR_ETIMEOUT;
    case ECANCELED:
        return WEIR_ECANCELED;
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EFBIG:
    case EPIPE:
        return WEIR_EIO;
    default:
        return WEIR_ESYS;
    }
}

int
weir_err_errno(int errnum, const char *fmt, ...)
{
    char what[ERR_ENTRY_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return weir_err_push(weir_err_of_errno(errnum), "%.400s: %s", what, strerror(errnum));
}

size_t
weir_err_cnt(void)
{
    return err_stack.cnt;
}

const char *
weir_err_at(size_t idx)
{
    return idx < err_stack.cnt ? err_stack.text[idx] : NULL;
}

void
weir_err_save(char *buf, size_t buf_bytes)
{
    size_t used = 0;
    if (buf_bytes > 0) {
        buf[0] = '\0';
    }
    for (size_t i = err_stack.cnt; i-- > 0 && used < buf_bytes;) {
        int n =
            snprintf(buf + used, buf_bytes - used, "%s%s", used > 0 ? "; " : "", err_stack.text[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

void
weir_err_clear(void)
{
    err_stack.cnt = 0;
}

void
weir_err_print(FILE *to, int err)
{
    const struct weir_err_row *row = weir_err_row(err);
    if (row == NULL) {
        row = weir_err_row(WEIR_EBUG);
    }
    (void)fprintf(to, "error WEIR-%04d: %s\n", row->code, row->text);
    for (size_t i = err_stack.cnt; i-- > 0;) {
        (void)fprintf(to, "  %s\n", err_stack.text[i]);
    }
    (void)fprintf(to, "  fix: %s (weir explain WEIR-%04d)\n", row->fix, row->code);
    weir_err_clear();
}

int
weir_err_exit_code(int err)
{
    if (err == 0) {
        return WEIR_EXIT_OK;
    }
    const struct weir_err_row *row = weir_err_row(err);
    return row != NULL ? row->exit_code : WEIR_EXIT_SOFTWARE;
}
