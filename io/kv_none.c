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

int
weir_kv_view_open(const char *dir, struct weir_kv_view **ret_view)
{
    (void)ret_view;
    return weir_err_push(WEIR_EUNAVAILABLE,
        "%s was written with state.backend rocksdb, and this program was built without it: install "
        "librocksdb-dev and build again",
        dir);
}

void
weir_kv_view_close(struct weir_kv_view *view)
{
    (void)view;
}

int
weir_kv_view_seek(struct weir_kv_view *view, uint64_t first)
{
    (void)view;
    (void)first;
    return weir_err_push(WEIR_EBUG, "there is no view");
}

int
weir_kv_view_next(struct weir_kv_view *view)
{
    return weir_kv_view_seek(view, 0);
}

struct weir_kv_bytes
weir_kv_view_key(const struct weir_kv_view *view)
{
    (void)view;
    return (struct weir_kv_bytes){NULL, 0};
}

struct weir_kv_bytes
weir_kv_view_val(const struct weir_kv_view *view)
{
    return weir_kv_view_key(view);
}
