/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/lease.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define SUFFIX ".cores"
#define LOCK_NAME ".lock"
#define PATH_BYTES 1024
#define TEXT_BYTES (WEIR_CPUSET_TEXT_BYTES + 64)

struct weir_lease {
    char dir[PATH_BYTES / 2];
    char path[PATH_BYTES];
    char job[WEIR_LEASE_JOB_BYTES];
    bool system_too;
    int dir_fd; /* the lock file of the directory; -1 while it is not locked */
    int fd;
};

const char *
weir_lease_dir(char *buf, size_t buf_bytes)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0) {
        (void)snprintf(buf, buf_bytes, "%s", WEIR_LEASE_SYSTEM_DIR);
    } else if (xdg != NULL && xdg[0] == '/') {
        (void)snprintf(buf, buf_bytes, "%s/weir", xdg);
    } else {
        (void)snprintf(buf, buf_bytes, "/tmp/weir-%u", (unsigned int)geteuid());
    }
    return buf;
}

/* A directory in /tmp that somebody else made first is a trap: their links would be our files. */
static int
make_dir(const char *dir)
{
    struct stat st;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        return weir_err_errno(errno, "make the run-time directory %s", dir);
    }
    if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return weir_err_errno(ENOTDIR, "use the run-time directory %s", dir);
    }
    if (st.st_uid != geteuid()) {
        return weir_err_push(WEIR_EPERM, "the run-time directory %s belongs to user %u", dir,
            (unsigned int)st.st_uid);
    }
    return 0;
}

/* Who may open the lock may keep it: other users' hands stay off. */
static int
lock_dir(struct weir_lease *lease)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", lease->dir, LOCK_NAME);
    lease->dir_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lease->dir_fd < 0) {
        return weir_err_errno(errno, "open %s", path);
    }
    while (flock(lease->dir_fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return weir_err_errno(errno, "lock %s", path);
        }
    }
    return 0;
}

static void
unlock_dir(struct weir_lease *lease)
{
    if (lease->dir_fd >= 0) {
        (void)close(lease->dir_fd);
        lease->dir_fd = -1;
    }
}

static bool
valid_name(const char *job)
{
    size_t len = strlen(job);
    for (size_t i = 0; i < len; i++) {
        if (isalnum((unsigned char)job[i]) == 0 && strchr("._-", job[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len + sizeof SUFFIX < WEIR_LEASE_JOB_BYTES && job[0] != '.';
}

/* What a lease file says; false for one that is empty or not ours. */
static bool
read_file(int fd, struct weir_lease_held *ret_held)
{
    char text[TEXT_BYTES];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    char *end = strchr(text, '\n');
    if (sscanf(text, "pid %d", &ret_held->pid) != 1 || end == NULL ||
        strncmp(end + 1, "cores ", 6) != 0) {
        return false;
    }
    if (weir_cpuset_parse(end + 7, &ret_held->cpus) != 0) {
        weir_err_clear();
        return false;
    }
    return true;
}

int
weir_lease_open(const char *dir, const char *job, struct weir_lease **ret_lease)
{
    if (!valid_name(job)) {
        return weir_err_push(
            WEIR_EINVAL, "\"%.100s\" is no name for a job: letters, digits, '.', '_' and '-'", job);
    }
    struct weir_lease *lease = (struct weir_lease *)calloc(1, sizeof *lease);
    if (lease == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the lease");
    }
    lease->fd = -1;
    lease->dir_fd = -1;
    (void)strcpy(lease->job, job);
    if (dir != NULL) {
        (void)snprintf(lease->dir, sizeof lease->dir, "%s", dir);
    } else {
        (void)weir_lease_dir(lease->dir, sizeof lease->dir);
        lease->system_too = strcmp(lease->dir, WEIR_LEASE_SYSTEM_DIR) != 0;
    }
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s%s", lease->dir, job, SUFFIX);
    int err = make_dir(lease->dir);
    if (err == 0) {
        err = lock_dir(lease);
    }
    if (err != 0) {
        goto out;
    }
    lease->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (lease->fd < 0) {
        err = weir_err_errno(errno, "open %s", path);
        goto out;
    }
    if (flock(lease->fd, LOCK_EX | LOCK_NB) != 0) {
        struct weir_lease_held holder = {.pid = 0};
        (void)read_file(lease->fd, &holder);
        err = weir_err_push(WEIR_ERUNNING, "job %s runs already, as process %d", job, holder.pid);
        goto out;
    }
    (void)strcpy(lease->path, path); /* from here on ours to remove */
    if (ftruncate(lease->fd, 0) != 0) {
        err = weir_err_errno(errno, "empty %s", path);
    }
out:
    if (err != 0) {
        weir_lease_close(lease);
        return err;
    }
    *ret_lease = lease;
    return 0;
}

static uint32_t
read_dir(
    const struct weir_lease *lease, const char *dir, struct weir_lease_held *held, uint32_t cnt)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        return cnt;
    }
    for (struct dirent *entry; (entry = readdir(d)) != NULL && cnt < WEIR_LEASE_HELD_CNT_MAX;) {
        size_t len = strlen(entry->d_name);
        size_t suffix = strlen(SUFFIX);
        char path[PATH_BYTES];
        if (len <= suffix || len - suffix >= WEIR_LEASE_JOB_BYTES ||
            strcmp(entry->d_name + len - suffix, SUFFIX) != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%.500s/%s", dir, entry->d_name);
        if (strcmp(path, lease->path) == 0) {
            continue;
        }
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) {
            continue;
        }
        bool stale = flock(fd, LOCK_SH | LOCK_NB) == 0;
        memset(&held[cnt], 0, sizeof held[cnt]);
        if (!stale && read_file(fd, &held[cnt])) {
            memcpy(held[cnt].job, entry->d_name, len - suffix);
            cnt++;
        }
        (void)close(fd);
    }
    (void)closedir(d);
    return cnt;
}

uint32_t
weir_lease_held(const struct weir_lease *lease, struct weir_lease_held *held)
{
    uint32_t cnt = read_dir(lease, lease->dir, held, 0);
    return lease->system_too ? read_dir(lease, WEIR_LEASE_SYSTEM_DIR, held, cnt) : cnt;
}

uint32_t
weir_lease_list(const char *dir, struct weir_lease_held *held)
{
    struct weir_lease lease = {.dir_fd = -1, .fd = -1};
    struct stat st;
    if (dir != NULL) {
        (void)snprintf(lease.dir, sizeof lease.dir, "%s", dir);
    } else {
        (void)weir_lease_dir(lease.dir, sizeof lease.dir);
        lease.system_too = strcmp(lease.dir, WEIR_LEASE_SYSTEM_DIR) != 0;
    }
    /* A look at a file takes its lock for a moment: a job that begins then must not see that. */
    if (stat(lease.dir, &st) == 0 && lock_dir(&lease) != 0) {
        weir_err_clear();
    }
    uint32_t cnt = weir_lease_held(&lease, held);
    unlock_dir(&lease);
    return cnt;
}

int
weir_lease_take(struct weir_lease *lease, const struct weir_cpuset *cpus)
{
    char list[WEIR_CPUSET_TEXT_BYTES];
    char text[TEXT_BYTES];
    int n = snprintf(text, sizeof text, "pid %d\ncores %s\n", (int)getpid(),
        weir_cpuset_print(cpus, list, sizeof list));
    if (ftruncate(lease->fd, 0) != 0 || pwrite(lease->fd, text, (size_t)n, 0) != n) {
        return weir_err_errno(errno, "write %s", lease->path);
    }
    unlock_dir(lease);
    return 0;
}

void
weir_lease_close(struct weir_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    /* Under the directory's lock, so that no one opens the file between the two. */
    if (lease->path[0] != '\0') {
        if (lease->dir_fd < 0 && lock_dir(lease) != 0) {
            weir_err_clear(); /* the flock goes with the process in any case */
        }
        (void)unlink(lease->path);
    }
    if (lease->fd >= 0) {
        (void)close(lease->fd);
    }
    unlock_dir(lease);
    free(lease);
}
