/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/weir/house.h"
#include "base/err.h"

/* Of a command line that is used again. */
#define COMMAND_BYTES (1 << 17)
#define COMMAND_WORD_CNT 1024
#define EXTRA_CNT 3
/* What the child may say in one line. */
#define LINE_BYTES 8192
/* Nine tenths less than others get where they want the same CPU: enough to come to an end beside
 * cores that spin. */
#define NICE 10
#define EXIT_NO_EXEC 127

struct command {
    char line[COMMAND_BYTES];
    char *words[COMMAND_WORD_CNT + EXTRA_CNT + 1];
    char restore[WEIR_SAVER_PATH_BYTES + 16];
    char savepoint[WEIR_SAVER_PATH_BYTES + 16];
};

struct weir_saver {
    pid_t pid; /* 0: it was waited for */
    int fd;
    bool is_killed;
    size_t used;
    char line[LINE_BYTES];
    bool in_error; /* the lines of an error are read */
    struct weir_saver_end end;
};

/* ---- the command line ---- */

/* The words of this process, with two more flags; a later one of a name counts. Where "--" ends the
 * flags they come before it. */
static int
make_command(const char *restore, const char *savepoint, struct command *command)
{
    size_t word_cnt = 0;
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t bytes = file != NULL ? fread(command->line, 1, sizeof command->line - 1, file) : 0;
    bool is_whole = file != NULL && feof(file) != 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    command->line[bytes] = '\0';
    for (size_t at = 0; at < bytes && word_cnt < COMMAND_WORD_CNT;
         at += strlen(command->line + at) + 1) {
        command->words[word_cnt++] = command->line + at;
    }
    if (!is_whole || word_cnt == 0 || word_cnt == COMMAND_WORD_CNT) {
        return weir_err_push(WEIR_ESYS, "the command line of this process is too long to be used "
                                        "again: save the job by --restore=latest --savepoint=DIR");
    }
    size_t at = 0;
    while (at < word_cnt && strcmp(command->words[at], "--") != 0) {
        at++;
    }
    memmove(
        &command->words[at + 2], &command->words[at], (word_cnt - at) * sizeof command->words[0]);
    (void)snprintf(command->restore, sizeof command->restore, "--restore=%s", restore);
    (void)snprintf(command->savepoint, sizeof command->savepoint, "--savepoint=%s", savepoint);
    command->words[at] = command->restore;
    command->words[at + 1] = command->savepoint;
    command->words[word_cnt + 2] = NULL;
    return 0;
}

static int
new_command(const char *restore, const char *savepoint, struct command **ret_command)
{
    struct command *command = malloc(sizeof *command);
    int err = command != NULL ? make_command(restore, savepoint, command)
                              : weir_err_push(WEIR_ENOMEM, "a command line");
    if (err != 0) {
        free(command);
        return err;
    }
    *ret_command = command;
    return 0;
}

int
weir_saver_become(const char *dir)
{
    struct command *command = NULL;
    sigset_t none;
    int err = new_command("latest", dir, &command);
    if (err != 0) {
        return err;
    }
    (void)fflush(NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    weir_house_leave(); /* or the plan would find fewer CPUs */
    (void)execv("/proc/self/exe", command->words);
    err = weir_err_errno(errno, "begin anew to save the job");
    free(command);
    return err;
}

/* ---- the child ---- */

/* In the child, which has the parent's memory until it is another program: calls of the system
 * alone, and no return. */
static void
become_child(const struct command *command, int out, int null, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)setpgid(0, 0); /* what a terminal sends to the job's group is not for it */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (getppid() == parent && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(out, STDERR_FILENO) >= 0) {
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        weir_house_leave();
        (void)execv("/proc/self/exe", command->words);
    }
    _exit(EXIT_NO_EXEC);
}

/* No fork(): it would mark all memory of the job as to be copied, and every first write to a page
 * would fault. */
static int
start(struct weir_saver *saver, const struct command *command)
{
    int pipe_fd[2];
    pid_t parent = getpid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || pipe2(pipe_fd, O_CLOEXEC) != 0) {
        int err = weir_err_errno(errno, "a pipe to a process that saves");
        if (null >= 0) {
            (void)close(null);
        }
        return err;
    }
    pid_t pid = vfork();
    if (pid == 0) {
        become_child(command, pipe_fd[1], null, parent);
    }
    int errnum = errno;
    (void)close(null);
    (void)close(pipe_fd[1]);
    if (pid < 0) {
        (void)close(pipe_fd[0]);
        return weir_err_errno(errnum, "a process that saves the job");
    }
    (void)fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
    saver->pid = pid;
    saver->fd = pipe_fd[0];
    return 0;
}

int
weir_saver_start(const char *manifest, const char *dir, struct weir_saver **ret_saver)
{
    struct command *command = NULL;
    int err = new_command(manifest, dir, &command);
    if (err != 0) {
        return err;
    }
    struct weir_saver *saver = calloc(1, sizeof *saver);
    err = saver != NULL ? start(saver, command) : weir_err_push(WEIR_ENOMEM, "a savepoint");
    free(command);
    if (err != 0) {
        free(saver);
        return err;
    }
    *ret_saver = saver;
    return 0;
}

int
weir_saver_fd(const struct weir_saver *saver)
{
    return saver->fd;
}

int
weir_saver_pid(const struct weir_saver *saver)
{
    return saver->pid;
}

void
weir_saver_kill(struct weir_saver *saver)
{
    if (saver->pid > 0) {
        saver->is_killed = true;
        (void)kill(saver->pid, SIGKILL);
    }
}

/* ---- what it says ---- */

static bool
begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static void
take_result(struct weir_saver_end *end, const char *line)
{
    if (begins_with(line, WEIR_SAVER_LINE_PATH)) {
        (void)snprintf(end->path, sizeof end->path, "%.4095s", line + strlen(WEIR_SAVER_LINE_PATH));
        return;
    }
    const char *counts = strrchr(line, ':'); /* the directory may have some, too */
    if (counts != NULL) {
        (void)sscanf(counts,
            ": %" SCNu64 " entries and %" SCNu64 " rows in %" SCNu64 " key groups, %" SCNu64,
            &end->entries, &end->rows, &end->key_groups, &end->bytes);
    }
}

/* An error is its row of the table, what it is about, and what helps. */
static void
take_error(struct weir_saver *saver, const char *line)
{
    struct weir_saver_end *end = &saver->end;
    int code = 0;
    if (sscanf(line, "error WEIR-%d:", &code) == 1) {
        saver->in_error = true;
        end->err = -code;
    } else if (saver->in_error && begins_with(line, "  ") && !begins_with(line, "  fix:")) {
        size_t used = strlen(end->why);
        (void)snprintf(
            end->why + used, sizeof end->why - used, "%s%s", used > 0 ? "; " : "", line + 2);
    }
}

static void
take_line(struct weir_saver *saver, const char *line)
{
    if (begins_with(line, WEIR_SAVER_LINE_BEGIN) || begins_with(line, WEIR_SAVER_LINE_PATH)) {
        take_result(&saver->end, line);
    } else {
        take_error(saver, line);
        (void)fprintf(stderr, "%s\n", line);
    }
}

/* Whole lines; one that is longer than there is room for comes in pieces. */
static void
take_lines(struct weir_saver *saver)
{
    size_t at = 0;
    char *end;
    while ((end = memchr(saver->line + at, '\n', saver->used - at)) != NULL) {
        *end = '\0';
        take_line(saver, saver->line + at);
        at = (size_t)(end - saver->line) + 1;
    }
    if (at == 0 && saver->used == sizeof saver->line - 1) {
        saver->line[saver->used] = '\0';
        take_line(saver, saver->line);
        at = saver->used;
    }
    memmove(saver->line, saver->line + at, saver->used - at);
    saver->used -= at;
}

/* All is said: the pipe has no other end. */
static void
reap(struct weir_saver *saver)
{
    struct weir_saver_end *end = &saver->end;
    int status = 0;
    while (waitpid(saver->pid, &status, 0) < 0 && errno == EINTR) {
    }
    saver->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && end->path[0] != '\0') {
        end->err = 0;
        return;
    }
    if (saver->is_killed) {
        end->err = WEIR_ECANCELED;
        (void)snprintf(end->why, sizeof end->why, "the savepoint was given up");
    } else if (end->err == 0 || weir_err_row(end->err) == NULL || WIFSIGNALED(status)) {
        end->err = WEIR_EFAILED;
        (void)snprintf(end->why, sizeof end->why, "the process that saves ended with %s %d",
            WIFSIGNALED(status) ? "signal" : "exit code",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

bool
weir_saver_serve(struct weir_saver *saver, struct weir_saver_end *ret_end)
{
    for (;;) {
        ssize_t n =
            read(saver->fd, saver->line + saver->used, sizeof saver->line - 1 - saver->used);
        if (n > 0) {
            saver->used += (size_t)n;
            take_lines(saver);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            return false;
        } else {
            reap(saver);
            *ret_end = saver->end;
            return true;
        }
    }
}

void
weir_saver_close(struct weir_saver *saver)
{
    if (saver == NULL) {
        return;
    }
    if (saver->pid > 0) {
        weir_saver_kill(saver);
        reap(saver);
    }
    (void)close(saver->fd);
    free(saver);
}
