/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h: io.h in memory: files, sockets and time of a simulated world, drawn from a seed.
 *
 * One world is shared by the ios of all simulated cores, which one thread polls. An operation takes
 * effect when it completes, at a time drawn per operation; so completions overtake each other as on
 * a real host, and the same seed with the same calls gives the same order. Time is what
 * weir_io_poll is given; weir_io_due_ns says where to move it when nothing else can go on.
 *
 * Paths are absolute or relative to "/"; handles 0 to 2 are the files /dev/stdin, /dev/stdout and
 * /dev/stderr. It has no symbolic links and no permissions but weir_sim_deny. What was written
 * counts as durable, unless config.cuts_power keeps apart what was synced: then weir_sim_cut_power
 * leaves the disk as a power cut may. What else goes wrong is asked for, one by one:
 * weir_sim_trouble.
 *
 * Limits: 2048 files of up to 1 GiB (reserved, not taken), 1024 handles, 64 KiB in flight per
 *         socket.
 */
#ifndef WEIR_IO_SIM_H
#define WEIR_IO_SIM_H

#include "io/io.h"

WEIR_C_BEGIN

struct weir_sim_pool;

struct weir_sim_config {
    uint64_t seed;
    struct weir_sim_pool *pool; /* borrowed until the world is closed; NULL: none */
    int64_t start_ns; /* the clock before the first poll */
    int64_t utc_ns; /* wall-clock time of simulated zero */
    int64_t latency_ns_max; /* operations take [1, latency_ns_max]; 0 means 100 us */
    uint64_t disk_bytes; /* room for all files; 0 means no limit but the files' own */
    uint32_t short_ppm; /* reads, writes, receives, sends cut short, per million */
    /* Tell what is durable from what is not. Renaming a directory is durable at once then, as far
     * as the directory was. */
    bool cuts_power;
    /* A file that was moved to another directory is there for sure once that one is synced. Or
     * else also once the one it came from is, as where a journal has both. */
    bool moves_alone;
};

/* weir_sim_pool_open - memory that worlds, one at a time, leave to the next: to have pages anew
 * takes longer than to clear them. */
WEIR_API int weir_sim_pool_open(struct weir_sim_pool **ret_pool) WEIR_MUST_USE;
WEIR_API void weir_sim_pool_close(struct weir_sim_pool *pool);

/* weir_sim_open - an empty world; allocates. weir_sim_close - after the last io on it was
 * closed. */
WEIR_API int
weir_sim_open(const struct weir_sim_config *config, struct weir_sim **ret_world) WEIR_MUST_USE;
WEIR_API void weir_sim_close(struct weir_sim *world);

/* weir_sim_put - a file with these bytes (copied), and the directories above it. */
WEIR_API int weir_sim_put(
    struct weir_sim *world, const char *path, const void *data, uint64_t bytes) WEIR_MUST_USE;
/* weir_sim_get - the contents of a file, NULL where there is none; good until it is next
 * written. */
WEIR_API const void *weir_sim_get(struct weir_sim *world, const char *path, uint64_t *ret_bytes);
/* weir_sim_deny - opening this path is EACCES from now on. */
WEIR_API void weir_sim_deny(struct weir_sim *world, const char *path);
/* weir_sim_fault - after skip_cnt more operations of this verb, the next one fails with errnum.
 *
 * Limits: 16 faults wait at a time.
 */
WEIR_API void
weir_sim_fault(struct weir_sim *world, enum weir_io_verb verb, uint32_t skip_cnt, int errnum);

enum weir_sim_trouble_kind {
    WEIR_SIM_ERROR, /* the operation fails with errnum and has no effect */
    WEIR_SIM_LATE, /* it takes late_ns longer */
    WEIR_SIM_SYNC_LOST, /* a sync fails, what was pending is lost, and later syncs succeed */
    WEIR_SIM_LOST, /* a write says that it is done, and is not */
    WEIR_SIM_ASTRAY, /* a write says that it is done, and has hit another place of the file */
    WEIR_SIM_FLIP, /* a read returns a bit that is not there, of a byte that is not zero */
    WEIR_SIM_KILL, /* the process dies with the operation, which may have taken effect */
    WEIR_SIM_POWER, /* the power fails with the operation: weir_sim_cut_power */
    WEIR_SIM_TROUBLE_KIND_CNT
};

struct weir_sim_trouble {
    enum weir_sim_trouble_kind kind;
    uint32_t verb; /* enum weir_io_verb; for what has one of its own: it stands in the kind */
    uint32_t skip_cnt; /* operations like it that go well first */
    int errnum;
    int64_t late_ns;
    const char *under; /* only files with this prefix; NULL: any. Copied */
    bool only_dirs; /* of what is open: only directories */
    bool is_behind; /* KILL, POWER: the operation has taken effect; or else it is drawn whether */
    const struct weir_sim_trouble *then; /* asked for when this happens; or NULL. Borrowed */
};

/* weir_sim_trouble - it happens once, at the operation that it fits.
 *
 * Limits: 16 wait at a time, weir_sim_fault's among them; false: there is no room.
 */
WEIR_API bool weir_sim_trouble(struct weir_sim *world, const struct weir_sim_trouble *trouble);
/* weir_sim_trouble_cnt - how many have happened. weir_sim_trouble_clear - none waits. */
WEIR_API uint64_t weir_sim_trouble_cnt(const struct weir_sim *world);
WEIR_API void weir_sim_trouble_clear(struct weir_sim *world);
/* weir_sim_mend - put back what writes that were lost or went astray should have left, as from a
 * mirror; returns how many. */
WEIR_API uint32_t weir_sim_mend(struct weir_sim *world);
/* weir_sim_life - how often all have died: an io is dead when it is of an earlier life. */
WEIR_API uint32_t weir_sim_life(const struct weir_sim *world);
/* weir_sim_now_ns - how far its clock is. */
WEIR_API int64_t weir_sim_now_ns(const struct weir_sim *world);
/* weir_sim_path_at - the name of file idx, NULL where there is none; idx below
 * weir_sim_path_end. */
WEIR_API const char *weir_sim_path_at(const struct weir_sim *world, uint32_t idx);
WEIR_API uint32_t weir_sim_path_end(const struct weir_sim *world);

/* weir_sim_cut_power - the host dies and starts again: under config.cuts_power the disk is left in
 * a state, drawn from seed, that a file system may leave.
 *
 * Each sector of 512 bytes that was written since its file was synced is old or new, also in a file
 * that was never synced (zeros before); its length is the old one, the new one, or between. A name
 * that was made, changed or removed since its directory was synced is as before or as after, each
 * on its own. Handles and locks are gone. Every io on the world is dead: what flies in it ends
 * without effect, by weir_io_close.
 * weir_sim_kill - the same of the process alone: what was written stays.
 */
WEIR_API void weir_sim_cut_power(struct weir_sim *world, uint64_t seed);
WEIR_API void weir_sim_kill(struct weir_sim *world);

/* weir_sim_attach - an io on this world (weir_io_open with kind SIM). */
int weir_sim_attach(struct weir_sim *world, uint32_t depth, struct weir_io **ret_io);

WEIR_C_END

#endif
