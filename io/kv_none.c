/* SPDX-License-Identifier: Apache-2.0 */
/* The store where this program was built without RocksDB. */
#include "base/err.h"
#include "io/kv_priv.h"

int
weir_kv_store_open(const struct weir_kv_conf *conf, struct kv_store **ret_store)
{
    (void)ret_store;
    return weir_err_push(WEIR_EUNAVAILABLE,
        "state.backend is rocksdb (%s), and this program was built without it: install "
        "librocksdb-dev and build again",
        conf->dir);
}

void
weir_kv_store_close(struct kv_store *store)
{
    (void)store;
}

int
weir_kv_store_run(struct kv_store *store, struct kv_exchange *exchange)
{
    (void)store;
    (void)exchange;
    return weir_err_push(WEIR_EBUG, "there is no state store");
}
