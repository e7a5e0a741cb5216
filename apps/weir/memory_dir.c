/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/memory_dir.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define MEMORY "/dev/shm"
#define PREFIX "weir-checkpoints-"
#define WALK_HANDLE_CNT 8

static void
path_of(pid_t owner, char ret_path[WEIR_MEMORY_DIR_BYTES])
{
    (void)snprintf(ret_path, WEIR_MEMORY_DIR_BYTES, MEMORY "/" PREFIX "%u-%d", (unsigned)geteuid(),
        (int)owner);
}

static int
remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void)stat;
    (void)kind;
    (void)at;
    (void)remove(path); /* what cannot go stays: it is a few bytes of memory */
    return 0;
}

void
weir_memory_dir_remove(pid_t owner)
{
    char path[WEIR_MEMORY_DIR_BYTES];
    path_of(owner, path);
    (void)nftw(path, remove_one, WALK_HANDLE_CNT, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Those of runs of this user that are dead. */
static void
remove_left_ones(void)
{
    DIR *dir = opendir(MEMORY);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        unsigned user;
        int owner;
        char rest;
        if (sscanf(entry->d_name, PREFIX "%u-%d%c", &user, &owner, &rest) == 2 &&
            user == (unsigned)geteuid() && owner > 0 && kill(owner, 0) != 0 && errno == ESRCH) {
            weir_memory_dir_remove(owner);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

int
weir_memory_dir_make(pid_t owner, char ret_path[WEIR_MEMORY_DIR_BYTES])
{
    struct stat stat;
    path_of(owner, ret_path);
    remove_left_ones();
    if (mkdir(ret_path, S_IRWXU) != 0 && errno != EEXIST) {
        return weir_err_errno(errno, "make %s, for checkpoints.storage=memory", ret_path);
    }
    /* Somebody else's is not written to. */
    if (lstat(ret_path, &stat) != 0 || !S_ISDIR(stat.st_mode) || stat.st_uid != geteuid()) {
        return weir_err_push(WEIR_EPERM, "%s is not a directory of this user", ret_path);
    }
    return 0;
}
