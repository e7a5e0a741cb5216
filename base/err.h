/* SPDX-License-Identifier: Apache-2.0 */
/* err.h: one table of errors, and the context that a cold path leaves behind.
 *
 * A fallible call returns 0 or a negative `enum weir_err`; a counting call returns > 0 did, 0
 * nothing to do, < 0 error. A cold path adds what it knew with weir_err_push(); the program prints
 * the whole once, with weir_err_print(). Hot paths return the bare code. errno is translated where
 * the system call was made, with weir_err_errno().
 *
 * The context stack belongs to the calling thread. It is cleared by weir_err_clear() and by
 * weir_err_print(); the deepest entry is the first cause.
 */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include <stdio.h>

#include "base/base.h"

WEIR_C_BEGIN

/* Exit codes of the command, as sysexits(3) has them where it has them. */
enum weir_exit {
    WEIR_EXIT_OK = 0,
    WEIR_EXIT_FAILED = 1,
    WEIR_EXIT_USAGE = 2,
    WEIR_EXIT_DATA = 65,
    WEIR_EXIT_NOINPUT = 66,
    WEIR_EXIT_UNAVAILABLE = 69,
    WEIR_EXIT_SOFTWARE = 70,
    WEIR_EXIT_STRICT = 71,
    WEIR_EXIT_IO = 74,
    WEIR_EXIT_TEMPFAIL = 75,
    WEIR_EXIT_NOPERM = 77,
    WEIR_EXIT_CONFIG = 78,
    WEIR_EXIT_BENCH = 99,
    WEIR_EXIT_INTERRUPTED = 130,
};

/* X(symbol, number, exit code, sentence, usual cause, fix). Numbers are stable for ever. */
#define WEIR_ERR_TABLE(X)                                                                          \
    /* 10xx: the machine and the process */                                                        \
    X(EINVAL, 1001, SOFTWARE, "an argument is out of its range", "a caller passed a wrong value",  \
        "report it, with the command that shows it")                                               \
    X(ENOMEM, 1002, FAILED, "memory could not be had",                                             \
        "the host or the cgroup is short of memory",                                               \
        "give the cgroup more memory, or lower memory.budget")                                     \
    X(ESYS, 1003, IO, "a system call failed", "the kernel refused; the message names the call",    \
        "see the named error of the system call")                                                  \
    X(EPERM, 1004, NOPERM, "permission is missing", "the user may not do this",                    \
        "run as a user with the named permission, or change it")                                   \
    X(ESTRICT, 1005, STRICT, "a host resource is missing and --strict was asked",                  \
        "a fall-back would have been used", "provide the resource, or run without --strict")       \
    X(EBUG, 1006, SOFTWARE, "an internal rule was broken", "a defect of this program",             \
        "report it, with the command that shows it")                                               \
    /* 11xx: command line and configuration */                                                     \
    X(EUSAGE, 1101, USAGE, "the command line is not understood", "an unknown verb, flag or value", \
        "see weir -h")                                                                             \
    X(ECONFIG, 1102, CONFIG, "the configuration is not valid",                                     \
        "an unknown key, a value of a wrong type, or one out of range",                            \
        "correct the place that the message names")                                                \
    /* 12xx: graph and plan */                                                                     \
    X(EGRAPH, 1201, CONFIG, "the job's graph is not valid",                                        \
        "an unconnected operator, a cycle, or two ends whose schemas differ",                      \
        "correct the job at the operator that the message names")                                  \
    X(EPLAN, 1202, CONFIG, "the job does not fit on the cores or the memory it was given",         \
        "the cpuset is smaller than the plan, or a named core is not there",                       \
        "name other cores, lower the parallelism, or enlarge the cpuset")                          \
    X(EJOB, 1203, CONFIG, "the job file cannot be used",                                           \
        "no entry symbol, no pipeline: in a YAML file, or built for another job interface",        \
        "name a job, or build it again against this version's headers")                            \
    X(EBUDGET, 1204, FAILED, "the memory budget is used up",                                       \
        "state, buffers or windows outgrew it",                                                    \
        "raise memory.budget, or see the split that the message prints")                           \
    /* 13xx: bytes and devices */                                                                  \
    X(EIO, 1301, IO, "reading or writing failed",                                                  \
        "a full disk, a broken device, a closed pipe, or an output whose directory is not there",  \
        "free space, make the directory or mend the device, then run again")                       \
    X(ENOINPUT, 1302, NOINPUT, "the input is not there, or not what was expected",                 \
        "a wrong path, or a directory where a file is due", "correct the path")                    \
    X(EUNAVAILABLE, 1303, UNAVAILABLE, "a service that is needed cannot be reached",               \
        "nothing listens at that address", "start the service, or correct the address")            \
    X(ECLOSED, 1304, FAILED, "the object was closed", "it was used after its end",                 \
        "report it, with the command that shows it")                                               \
    X(ETIMEOUT, 1305, FAILED, "it took longer than allowed", "the other side is slow or gone",     \
        "raise the limit that the message names")                                                  \
    X(ECUT, 1306, IO, "memory behind a mapping is gone",                                           \
        "a mapped input file became shorter during the run, its device failed, or the host ran "   \
        "out of huge pages",                                                                       \
        "leave input files as they are while a job reads them; reserve the huge pages it needs")   \
    /* 14xx: formats and input data */                                                             \
    X(EDATA, 1401, DATA, "the input is malformed", "a line or a record that cannot be read",       \
        "correct the input, or set on_error to skip or side")                                      \
    X(EFORMAT, 1402, DATA, "the file's format is not known or its version is not supported",       \
        "written by another version, or not by weir", "write it again with this version")          \
    X(EPARTS, 1403, DATA, "a committed part of the output is not as it was",                       \
        "a file in F.parts, or a hidden one in F/, was removed, cut, changed or added",            \
        "put the file that the message names back as it was, or remove what was added; or start "  \
        "from nothing, with another output and checkpoints.dir")                                   \
    /* 15xx: state and timers */                                                                   \
    X(ESTATE, 1501, FAILED, "keyed state was used in a way it does not allow",                     \
        "no key is set, or another type than declared", "correct the operator")                    \
    X(ECHECKPOINT, 1502, DATA, "there is no checkpoint that may be used",                          \
        "the newest is damaged, and it may have been told to sinks already",                       \
        "see weir checkpoint verify; then restore an older one and accept duplicates, or start "   \
        "from nothing")                                                                            \
    /* 16xx: jobs and tasks */                                                                     \
    X(EFAILED, 1601, FAILED, "the job failed", "an operator returned an error",                    \
        "see the first cause in the message")                                                      \
    X(ECANCELED, 1602, FAILED, "the job was canceled", "cancel was asked for", "start it again")   \
    X(EILLEGAL, 1603, SOFTWARE, "a step is not legal in this state", "a defect of the caller",     \
        "report it, with the command that shows it")                                               \
    X(ERUNNING, 1604, CONFIG, "a job of this name is running already", "it was started twice",     \
        "give this one another name (--name), or stop the other")                                  \
    X(EFENCED, 1605, TEMPFAIL, "a newer run of this job has taken over its checkpoints",           \
        "it was started again while this one still ran, or was thought dead",                      \
        "let the newer one run; this one has told nobody of its last checkpoint")                  \
    X(EOUTCOME, 1606, IO, "it cannot be known whether the last checkpoint is durable",             \
        "the sync that makes its manifest durable failed",                                         \
        "mend the device and start again: what is on the disk decides")                            \
    /* 18xx: control of running jobs */                                                            \
    X(ENOJOB, 1801, UNAVAILABLE, "no job of this name is running",                                 \
        "it has ended, or runs under another name or as another user",                             \
        "use a name that the message lists, or start the job")                                     \
    X(ESILENT, 1802, UNAVAILABLE, "the running job does not answer",                               \
        "it begins or ends at this moment, or its process is stopped",                             \
        "try again; if it stays so, look at the process that the message names")                   \
    X(EREFUSED, 1803, FAILED, "the running job has refused what was asked",                        \
        "it is ending in another way already, or is of another version", "see the message")

enum weir_err {
#define WEIR_ERR_ENUM(sym, num, exit, text, cause, fix) WEIR_##sym = -(num),
    WEIR_ERR_TABLE(WEIR_ERR_ENUM)
#undef WEIR_ERR_ENUM
};

/* One row of the table; code is positive, as printed: WEIR-<code>. */
struct weir_err_row {
    int code;
    int exit_code;
    const char *name;
    const char *text;
    const char *cause;
    const char *fix;
};

/* weir_err_row - the row of an error, or NULL where code is none; takes -1102 and 1102 alike. */
WEIR_API const struct weir_err_row *weir_err_row(int code);
/* weir_err_row_at - row idx of the table in its order, NULL past the end (for listings). */
WEIR_API const struct weir_err_row *weir_err_row_at(size_t idx);

/* weir_err_push - add a line of context and return err, so that `return weir_err_push(...)` reads.
 * A line that is there already is not added again: what was tried twice failed once.
 *
 * Thread:  any; cold paths only (it formats). Owner: the text is copied, cut at 512 bytes.
 * Limits:  16 entries; the deepest (first) are kept, later ones beyond that are dropped.
 */
WEIR_API int weir_err_push(int err, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* weir_err_errno - translate errno at the edge and push "what: strerror".
 *
 * EACCES and EPERM become WEIR_EPERM, ENOENT, EISDIR and ENOTDIR WEIR_ENOINPUT, ENOMEM WEIR_ENOMEM,
 * ECONNREFUSED and unreachable addresses WEIR_EUNAVAILABLE, ENOSPC, EIO and the like WEIR_EIO, all
 * else WEIR_ESYS. errnum is a positive errno.
 */
WEIR_API int weir_err_errno(int errnum, const char *fmt, ...) WEIR_PRINTF(2, 3);
/* weir_err_of_errno - the same translation without a text: for completions on a core. */
WEIR_API int weir_err_of_errno(int errnum);

/* weir_err_cnt, weir_err_at - the context so far; entry 0 is the first cause. */
WEIR_API size_t weir_err_cnt(void);
WEIR_API const char *weir_err_at(size_t idx);
/* weir_err_save - write "entry; entry; ..." into buf, outermost first; for hand-over between
 * threads. */
WEIR_API void weir_err_save(char *buf, size_t buf_bytes);
WEIR_API void weir_err_clear(void);

/* weir_err_print - the one report of a failure, to a person: code, sentence, context, fix.
 * Clears. */
WEIR_API void weir_err_print(FILE *to, int err);
/* weir_err_exit_code - the exit code of an error; 0 for 0. */
WEIR_API int weir_err_exit_code(int err);

WEIR_C_END

#endif
