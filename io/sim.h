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
 * leaves the disk as a power cut may.
 *
 * Limits: 256 files of up to 1 GiB (reserved, not taken), 256 handles, 64 KiB in flight per socket.
 */
#ifndef WEIR_IO_SIM_H
#define WEIR_IO_SIM_H

#include "io/io.h"

WEIR_C_BEGIN

struct weir_sim_config {
    uint64_t seed;
    int64_t start_ns; /* the clock before the first poll */
    int64_t utc_ns; /* wall-clock time of simulated zero */
    int64_t latency_ns_max; /* operations take [1, latency_ns_max]; 0 means 100 us */
    uint64_t disk_bytes; /* room for all files; 0 means no limit but the files' own */
    uint32_t short_ppm; /* reads, writes, receives, sends cut short, per million */
    bool cuts_power; /* tell what is durable from what is not; directories are not renamed then */
};

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
