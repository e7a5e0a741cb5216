/* SPDX-License-Identifier: Apache-2.0 */
/* sim_priv.h: the simulated world, and its disk and network as calls that never wait. */
#ifndef WEIR_IO_SIM_PRIV_H
#define WEIR_IO_SIM_PRIV_H

#include "base/rng.h"
#include "io/back.h"
#include "io/sim.h"

#define SIM_FILE_CNT_MAX 8192
#define SIM_FILE_BYTES_MAX WEIR_GIB
#define SIM_SPARE_CNT_MAX 1024
#define SIM_HANDLE_CNT_MAX 1024
#define SIM_PATH_BYTES 256
#define SIM_FAULT_CNT_MAX 16
#define SIM_MEND_CNT_MAX 32
#define SIM_BACKLOG_CNT_MAX 16
#define SIM_INBOX_BYTES (64 * WEIR_KIB)

struct sim_file {
    char path[SIM_PATH_BYTES]; /* absolute, without a trailing slash; "" is the root */
    bool is_used;
    uint32_t name_hash; /* of path, so that few are compared */
    uint64_t serial; /* no other file of the world ever had it */
    bool is_unsyncable; /* a sync failed: what was pending is lost, though later ones succeed */
    bool is_linked; /* has its name: false once removed while open */
    bool is_dir;
    bool is_denied;
    uint32_t handle_cnt;
    uint32_t lock_handle; /* 0: not locked (handle 0 never locks) */
    char *base;
    uint64_t bytes;
    int64_t mtime_ns;
    /* Under config.cuts_power: what the disk holds whatever comes; see sim_power.c. */
    char *durable;
    uint64_t durable_bytes;
    bool is_durable; /* its name is */
    char durable_path[SIM_PATH_BYTES];
    char middle_path[SIM_PATH_BYTES]; /* "": a name it had between that and now */
};

enum sim_handle_kind { SIM_FREE, SIM_FILE, SIM_LISTENER, SIM_SOCKET };

struct sim_handle {
    uint32_t kind;
    uint32_t flags;
    struct sim_file *file;
    uint64_t pos; /* of the stream; of a directory: the next entry */
    uint32_t port;
    int32_t peer; /* -1: it has closed */
    uint32_t backlog_cnt;
    int32_t backlog[SIM_BACKLOG_CNT_MAX];
    char *inbox;
    uint64_t inbox_put; /* free-running */
    uint64_t inbox_got;
};

struct sim_fault {
    bool is_used;
    struct weir_sim_trouble trouble;
    char under[SIM_PATH_BYTES];
};

/* What stands where a write went astray or was lost, and what should. */
struct sim_mend {
    struct sim_file *file; /* NULL: the place is free */
    uint64_t serial; /* of the file, whose place may be another's by now */
    uint64_t off;
    uint64_t bytes;
    char *good;
};

struct weir_sim {
    struct weir_sim_config config;
    struct weir_rng rng;
    int64_t now_ns;
    uint32_t port_next;
    uint32_t life; /* an io of an earlier life is dead */
    uint64_t used_bytes;
    uint32_t file_end; /* files from here on were never used */
    uint64_t serial_next;
    uint64_t trouble_cnt; /* that happened */
    struct sim_mend mends[SIM_MEND_CNT_MAX];
    struct sim_file files[SIM_FILE_CNT_MAX];
    struct sim_handle handles[SIM_HANDLE_CNT_MAX];
    struct sim_fault faults[SIM_FAULT_CNT_MAX];
    struct weir_sim_pool *pool; /* the config's, or own */
    struct weir_sim_pool *own;
};

/* Memory of files that are gone, all zero. */
struct weir_sim_pool {
    char *spare[SIM_SPARE_CNT_MAX];
    uint32_t cnt;
};

/* weir_sim_handle_of - the open handle, or NULL; weir_sim_handle_new - a free one (>= 0) or
 * -EMFILE. */
struct sim_handle *weir_sim_handle_of(struct weir_sim *world, int32_t handle);
int32_t weir_sim_handle_new(struct weir_sim *world, uint32_t kind);

/* weir_sim_disk, weir_sim_net - do op now: its result or -errno. Net verbs: -EAGAIN where it would
 * wait. */
int64_t weir_sim_disk(struct weir_sim *world, struct weir_io_op *op);
int64_t weir_sim_net(struct weir_sim *world, struct weir_io_op *op);
/* weir_sim_net_would_wait - whether weir_sim_net would answer -EAGAIN. */
bool weir_sim_net_would_wait(struct weir_sim *world, const struct weir_io_op *op);
/* weir_sim_net_close - the socket or listener goes; the peer reads what is left, then the end. */
void weir_sim_net_close(struct weir_sim *world, int32_t handle);

/* The durable half. sync: of a file its contents, of a directory the names in it. harden: all that
 * a file is now is durable. moved: it is about to get another name. */
void weir_sim_power_sync(struct weir_sim *world, struct sim_file *file);
void weir_sim_power_harden(struct weir_sim *world, struct sim_file *file);
void weir_sim_power_moved(struct sim_file *file);
/* A directory above it, or it itself, has another name, durably as far as it was durable. */
void weir_sim_power_moved_dir(struct sim_file *file, const char *from, const char *to);

/* weir_sim_do - do op, with what is in store for it. weir_sim_late_ns - how much longer it
 * takes. */
int64_t weir_sim_do(struct weir_sim *world, struct weir_io_op *op);
int64_t weir_sim_late_ns(struct weir_sim *world, const struct weir_io_op *op);
/* weir_sim_set_path - the file has this name now. */
void weir_sim_set_path(struct sim_file *file, const char *path);

/* weir_sim_cut - how much of bytes moves this time: all, or fewer by the world's draw. */
uint64_t weir_sim_cut(struct weir_sim *world, uint64_t bytes);
struct sim_file *weir_sim_file_find(struct weir_sim *world, const char *path);
/* weir_sim_file_make - a new file or directory; its parent must be there: -errno. */
int weir_sim_file_make(
    struct weir_sim *world, const char *path, bool is_dir, struct sim_file **ret_file);
/* weir_sim_file_unmap - the memory of a file that is no more. */
void weir_sim_file_unmap(struct weir_sim *world, char *mem, uint64_t used_bytes);
/* weir_sim_file_drop - free what is neither named nor open. */
void weir_sim_file_drop(struct weir_sim *world, struct sim_file *file);
/* weir_sim_path - dir's path and path joined and made absolute: 0 or -errno. */
int weir_sim_path(struct weir_sim *world, int32_t dir, const char *path, char *ret_path);

#endif
