/* SPDX-License-Identifier: Apache-2.0 */
/* power_store.h: a job's checkpoints, each of some payloads and a filler, kept by the real store.
 *
 * Blocks: each call polls io until it is over. Errors are those of the store; POWER_CUT: the polls
 * that were granted are used up, and what was begun is left as it is.
 */
#ifndef WEIR_TESTS_POWER_POWER_STORE_H
#define WEIR_TESTS_POWER_POWER_STORE_H

#include "io/io.h"

#define POWER_CUT 77

struct power_store;

struct power_payload {
    const void *data;
    uint64_t bytes;
};

struct power_store *
power_store_open(struct weir_io *io, const char *root, const char *job, uint64_t seed);
void power_store_close(struct power_store *store);
/* From now on at most so many polls. */
void power_store_grant(struct power_store *store, uint64_t poll_cnt);
/* Become the next epoch; 0 with the id of what is to be restored, 0 for nothing. */
int power_store_start(struct power_store *store, uint64_t *ret_checkpoint);
uint64_t power_store_epoch(const struct power_store *store);
uint64_t power_store_next(const struct power_store *store);
/* How many payloads what start chose has, and one of them; its filler is compared on the way. */
uint32_t power_store_payload_cnt(const struct power_store *store);
int power_store_load(struct power_store *store, uint32_t idx, void *buf, uint64_t *bytes);
/* All payloads, then the manifest. 0 is the commit point. */
int power_store_commit(struct power_store *store, uint64_t checkpoint,
    const struct power_payload *payloads, uint32_t cnt);
int power_store_tidy(struct power_store *store);
/* It refuses all further work. */
bool power_store_is_ended(const struct power_store *store);
/* Of the last error. */
const char *power_store_fault(const struct power_store *store);

#endif
