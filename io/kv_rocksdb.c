/* SPDX-License-Identifier: Apache-2.0 */
/* The store, on RocksDB. Its library is loaded when the first store is opened: jobs without one do
 * not pay for it, and it may be missing. No write-ahead log: what a checkpoint does not have is
 * made again from one. */
#include <dlfcn.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "io/kv_priv.h"

#define LIBRARY "librocksdb.so.7.8" /* what Debian 12 has; the header is of the same package */
#define CACHE_BYTES_DEFAULT (8 * WEIR_MIB)
#define WRITE_BYTES_DEFAULT (16 * WEIR_MIB)
#define BLOOM_BITS_PER_KEY 10
#define JOB_CNT 2 /* flushes and compactions beside each other, per store */
/* Keys that are copied by one write when a store begins with parts of others. */
#define COPY_CNT 1024

/* It finds no end of laying out such a list. */
/* clang-format off */
#define CALLS(X) \
    X(batched_multi_get_cf) X(block_based_options_create) \
    X(block_based_options_destroy) X(block_based_options_set_block_cache) \
    X(block_based_options_set_filter_policy) X(cache_create_lru) \
    X(cache_destroy) X(checkpoint_create) \
    X(checkpoint_object_create) X(checkpoint_object_destroy) \
    X(close) X(column_family_handle_destroy) \
    X(create_iterator) X(delete_range_cf) \
    X(filterpolicy_create_bloom_full) X(free) \
    X(iter_destroy) X(iter_get_error) \
    X(iter_key) X(iter_next) \
    X(iter_seek) X(iter_valid) \
    X(iter_value) X(open_column_families) \
    X(open_for_read_only) X(options_create) \
    X(options_destroy) X(options_set_block_based_table_factory) \
    X(options_set_create_if_missing) X(options_set_info_log_level) \
    X(options_set_max_background_jobs) X(options_set_stats_dump_period_sec) \
    X(options_set_write_buffer_size) X(pinnableslice_destroy) \
    X(pinnableslice_value) X(readoptions_create) \
    X(readoptions_destroy) X(write) \
    X(writebatch_clear) X(writebatch_create) \
    X(writebatch_delete) X(writebatch_destroy) \
    X(writebatch_put) X(writeoptions_create) \
    X(writeoptions_destroy) X(writeoptions_disable_WAL)
/* clang-format on */

struct calls {
#define CALL_FIELD(name) __typeof__(rocksdb_##name) *name;
    CALLS(CALL_FIELD)
#undef CALL_FIELD
};

struct kv_store {
    struct calls rocks;
    void *library;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_writebatch_t *batch;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family;
    struct kv_list known; /* tables of the last checkpoint */
    /* of one exchange */
    const char **key;
    size_t *key_bytes;
    rocksdb_pinnableslice_t **slice;
    char **error;
    uint32_t cap;
};

/* Whether what the library says is of a file that is damaged or not there. */
static bool
is_damage(const char *text)
{
    return strncmp(text, "Corruption", 10) == 0 || strstr(text, "No such file") != NULL;
}

/* What the library says, as an error; takes the text. */
static int
failed(const struct kv_store *s, char *text, const char *what)
{
    if (text == NULL) {
        return 0;
    }
    int err = weir_err_push(WEIR_EIO, "state store: %s: %s", what, text);
    s->rocks.free(text);
    return err;
}

static int
load(struct kv_store *s)
{
    s->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (s->library == NULL) {
        return weir_err_push(WEIR_EUNAVAILABLE,
            "state.backend is rocksdb, and its library cannot be loaded: %s", dlerror());
    }
#define CALL_LOAD(call)                                                                     \
    *(void **)(void *)&s->rocks.call = dlsym(s->library, "rocksdb_" #call);                 \
    if (s->rocks.call == NULL) {                                                            \
        return weir_err_push(                                                               \
            WEIR_EUNAVAILABLE, LIBRARY " has no rocksdb_" #call ": it is another version"); \
    }
    CALLS(CALL_LOAD)
#undef CALL_LOAD
    return 0;
}

static void
set_options(struct kv_store *s, const struct weir_kv_conf *conf)
{
    const struct calls *rocks = &s->rocks;
    s->options = rocks->options_create();
    s->table = rocks->block_based_options_create();
    s->cache =
        rocks->cache_create_lru(conf->cache_bytes != 0 ? conf->cache_bytes : CACHE_BYTES_DEFAULT);
    rocks->block_based_options_set_block_cache(s->table, s->cache);
    rocks->block_based_options_set_filter_policy(
        s->table, rocks->filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocks->options_set_block_based_table_factory(s->options, s->table);
    rocks->options_set_create_if_missing(s->options, 1);
    rocks->options_set_write_buffer_size(
        s->options, conf->write_bytes != 0 ? conf->write_bytes : WRITE_BYTES_DEFAULT);
    rocks->options_set_max_background_jobs(s->options, JOB_CNT);
    rocks->options_set_info_log_level(s->options, 3); /* errors */
    rocks->options_set_stats_dump_period_sec(s->options, 0);
    s->read = rocks->readoptions_create();
    s->write = rocks->writeoptions_create();
    rocks->writeoptions_disable_WAL(s->write, 1);
    s->batch = rocks->writebatch_create();
}

/* ---- beginning with others' ---- */

static void
prefix_of(uint64_t first, char ret_key[WEIR_KV_PREFIX_BYTES])
{
    uint64_t big = __builtin_bswap64(first);
    memcpy(ret_key, &big, sizeof big);
}

static int
write_batch(struct kv_store *s)
{
    char *text = NULL;
    s->rocks.write(s->db, s->write, s->batch, &text);
    s->rocks.writebatch_clear(s->batch);
    return failed(s, text, "write");
}

static bool
is_in_range(const struct weir_kv_conf *conf, const char *key, size_t bytes)
{
    uint64_t big = 0;
    memcpy(&big, key, bytes < sizeof big ? bytes : sizeof big);
    return __builtin_bswap64(big) <= conf->last;
}

/* The keys of another's checkpoint that are ours. */
static int
copy_range(struct kv_store *s, const struct weir_kv_conf *conf, const char *from)
{
    const struct calls *rocks = &s->rocks;
    char *text = NULL;
    char first[WEIR_KV_PREFIX_BYTES];
    rocksdb_t *db = rocks->open_for_read_only(s->options, from, 0, &text);
    if (db == NULL) {
        return failed(s, text, from);
    }
    rocksdb_iterator_t *at = rocks->create_iterator(db, s->read);
    int err = 0;
    uint32_t cnt = 0;
    prefix_of(conf->first, first);
    for (rocks->iter_seek(at, first, sizeof first); rocks->iter_valid(at) && err == 0;
         rocks->iter_next(at)) {
        size_t key_bytes;
        size_t val_bytes;
        const char *key = rocks->iter_key(at, &key_bytes);
        const char *val = rocks->iter_value(at, &val_bytes);
        if (!is_in_range(conf, key, key_bytes)) {
            break;
        }
        rocks->writebatch_put(s->batch, key, key_bytes, val, val_bytes);
        if (++cnt % COPY_CNT == 0) {
            err = write_batch(s);
        }
    }
    if (err == 0) {
        err = write_batch(s);
    }
    rocks->iter_get_error(at, &text);
    err = err < 0 ? err : failed(s, text, from);
    rocks->iter_destroy(at);
    rocks->close(db);
    return err;
}

/* Of a single checkpoint all was taken, by links: what is not ours goes. */
static int
cut_range(struct kv_store *s, const struct weir_kv_conf *conf)
{
    char from[WEIR_KV_PREFIX_BYTES];
    char to[WEIR_KV_PREFIX_BYTES];
    char *text = NULL;
    if (conf->first > 0) {
        prefix_of(0, from);
        prefix_of(conf->first, to);
        s->rocks.delete_range_cf(
            s->db, s->write, s->family, from, sizeof from, to, sizeof to, &text);
    }
    if (text == NULL && conf->last < UINT64_MAX) {
        char end[WEIR_KV_PREFIX_BYTES + 1];
        prefix_of(conf->last + 1, from);
        memset(end, 0xff, sizeof end);
        s->rocks.delete_range_cf(
            s->db, s->write, s->family, from, sizeof from, end, sizeof end, &text);
    }
    return failed(s, text, "delete what others own");
}

/* ---- open and close ---- */

/* What a checkpoint says that it has, by the names that it has here; one without a list is as it
 * is. */
static int
check_from(struct kv_store *s, const char *dir)
{
    weir_kv_list_fini(&s->known);
    if (weir_kv_list_read(dir, &s->known) < 0) {
        weir_err_clear();
        return 0;
    }
    return weir_kv_list_check(dir, &s->known);
}

static int
open_db(struct kv_store *s, const struct weir_kv_conf *conf)
{
    static const char *const names[] = {"default"};
    const rocksdb_options_t *const options[] = {s->options};
    char *text = NULL;
    int err = weir_kv_remove(conf->dir);
    err = err < 0 ? err : weir_kv_dir_make_above(conf->dir);
    for (uint32_t i = 0; i < conf->from_cnt && err == 0; i++) {
        err = check_from(s, conf->from[i]);
    }
    if (err == 0 && conf->from_cnt == 1) {
        err = weir_kv_dir_link(conf->from[0], conf->dir);
    }
    if (err < 0) {
        return err;
    }
    s->db =
        s->rocks.open_column_families(s->options, conf->dir, 1, names, options, &s->family, &text);
    if (s->db == NULL && conf->from_cnt == 1 && is_damage(text)) {
        err = weir_err_push(WEIR_ECHECKPOINT, "state on disk, %s: %s", conf->from[0], text);
        s->rocks.free(text);
        return err;
    }
    if (s->db == NULL) {
        return failed(s, text, conf->dir);
    }
    if (conf->from_cnt == 1) {
        return cut_range(s, conf);
    }
    weir_kv_list_fini(&s->known); /* tables of several stores are written anew */
    for (uint32_t i = 0; i < conf->from_cnt && err == 0; i++) {
        err = copy_range(s, conf, conf->from[i]);
    }
    return err;
}

int
weir_kv_store_open(const struct weir_kv_conf *conf, struct kv_store **ret_store)
{
    struct kv_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a state store");
    }
    int err = load(s);
    if (err == 0) {
        set_options(s, conf);
        err = open_db(s, conf);
    }
    if (err < 0) {
        weir_kv_store_close(s);
        return err;
    }
    *ret_store = s;
    return 0;
}

/* What a store has taken. */
static void
store_fini(struct kv_store *s)
{
    if (s->family != NULL) {
        s->rocks.column_family_handle_destroy(s->family);
    }
    if (s->db != NULL) {
        s->rocks.close(s->db);
    }
    if (s->options != NULL) {
        s->rocks.writebatch_destroy(s->batch);
        s->rocks.writeoptions_destroy(s->write);
        s->rocks.readoptions_destroy(s->read);
        s->rocks.options_destroy(s->options);
        s->rocks.block_based_options_destroy(s->table);
        s->rocks.cache_destroy(s->cache);
    }
    /* The library stays loaded: its threads are the process's. */
    weir_kv_list_fini(&s->known);
    free(s->key);
    free(s->key_bytes);
    free(s->slice);
    free(s->error);
}

void
weir_kv_store_close(struct kv_store *s)
{
    if (s != NULL) {
        store_fini(s);
        free(s);
    }
}

/* ---- exchanges ---- */

static bool
make_room(struct kv_store *s, uint32_t cnt)
{
    if (cnt <= s->cap) {
        return true;
    }
    free(s->key);
    free(s->key_bytes);
    free(s->slice);
    free(s->error);
    s->key = calloc(cnt, sizeof *s->key);
    s->key_bytes = calloc(cnt, sizeof *s->key_bytes);
    s->slice = calloc(cnt, sizeof(void *));
    s->error = calloc(cnt, sizeof *s->error);
    bool ok = s->key != NULL && s->key_bytes != NULL && s->slice != NULL && s->error != NULL;
    s->cap = ok ? cnt : 0;
    return ok;
}

/* What one key gave, into the results; frees it. */
static int
take_result(struct kv_store *s, struct kv_exchange *x, uint32_t i)
{
    int err = failed(s, s->error[i], "read");
    if (s->slice[i] == NULL) {
        return err;
    }
    size_t bytes;
    const char *val = s->rocks.pinnableslice_value(s->slice[i], &bytes);
    if (err == 0 && !weir_kv_heap_put(&x->results, val, bytes, &x->result[i])) {
        err = weir_err_push(WEIR_ENOMEM, "a state of %zu bytes", bytes);
    }
    s->rocks.pinnableslice_destroy(s->slice[i]);
    return err;
}

static int
run_gets(struct kv_store *s, struct kv_exchange *x)
{
    if (!make_room(s, x->get_cnt)) {
        return weir_err_push(WEIR_ENOMEM, "%u reads of a state store", x->get_cnt);
    }
    for (uint32_t i = 0; i < x->get_cnt; i++) {
        s->key[i] = kv_at(&x->heap, x->get[i]);
        s->key_bytes[i] = x->get[i].bytes;
        s->slice[i] = NULL;
        s->error[i] = NULL;
    }
    s->rocks.batched_multi_get_cf(
        s->db, s->read, s->family, x->get_cnt, s->key, s->key_bytes, s->slice, s->error, false);
    int err = 0;
    for (uint32_t i = 0; i < x->get_cnt; i++) {
        int took = take_result(s, x, i);
        err = err < 0 ? err : took;
    }
    return err;
}

static int
run_writes(struct kv_store *s, const struct kv_exchange *x)
{
    for (uint32_t i = 0; i < x->write_cnt; i++) {
        const struct kv_write *w = &x->write[i];
        const char *key = kv_at(&x->heap, w->key);
        if (w->val.bytes == SIZE_MAX) {
            s->rocks.writebatch_delete(s->batch, key, w->key.bytes);
        } else {
            s->rocks.writebatch_put(
                s->batch, key, w->key.bytes, kv_at(&x->heap, w->val), w->val.bytes);
        }
    }
    return write_batch(s);
}

/* The memory table is written out first; its files and all others are linked. */
static int
run_checkpoint(struct kv_store *s, const char *dir)
{
    char *text = NULL;
    int err = weir_kv_dir_make_above(dir);
    if (err < 0) {
        return err;
    }
    rocksdb_checkpoint_t *checkpoint = s->rocks.checkpoint_object_create(s->db, &text);
    if (checkpoint == NULL) {
        return failed(s, text, dir);
    }
    s->rocks.checkpoint_create(checkpoint, dir, 0, &text);
    s->rocks.checkpoint_object_destroy(checkpoint);
    err = failed(s, text, dir);
    err = err < 0 ? err : weir_kv_list_make(dir, &s->known);
    return err < 0 ? err : weir_kv_dir_sync_above(dir);
}

int
weir_kv_store_run(struct kv_store *s, struct kv_exchange *x)
{
    int err = x->write_cnt > 0 ? run_writes(s, x) : 0;
    if (err == 0 && x->get_cnt > 0) {
        err = run_gets(s, x);
    }
    if (err == 0 && x->checkpoint != NULL) {
        x->checkpoint_rc = run_checkpoint(s, x->checkpoint);
    }
    return err;
}

/* ---- looking at a checkpoint ---- */

struct weir_kv_view {
    struct kv_store store; /* of which nothing is written */
    rocksdb_iterator_t *at;
    char *dir;
};

/* Damage, and files that are not there, are one thing; a device that fails is another. */
static int
view_failed(const struct weir_kv_view *view, char *text)
{
    if (text == NULL) {
        return 0;
    }
    int err = weir_err_push(
        is_damage(text) ? WEIR_ECHECKPOINT : WEIR_EIO, "state on disk, %s: %s", view->dir, text);
    view->store.rocks.free(text);
    return err;
}

int
weir_kv_view_open(const char *dir, struct weir_kv_view **ret_view)
{
    const struct weir_kv_conf conf = {.dir = dir};
    struct weir_kv_view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a look at state on disk");
    }
    struct kv_store *s = &view->store;
    view->dir = strdup(dir);
    int err = view->dir != NULL ? load(s) : weir_err_push(WEIR_ENOMEM, "a look at state on disk");
    if (err == 0) {
        set_options(s, &conf);
        s->rocks.options_set_create_if_missing(s->options, 0);
        err = check_from(s, dir);
    }
    if (err == 0) {
        char *text = NULL;
        s->db = s->rocks.open_for_read_only(s->options, dir, 0, &text);
        err = view_failed(view, text);
    }
    if (err < 0) {
        weir_kv_view_close(view);
        return err;
    }
    view->at = s->rocks.create_iterator(s->db, s->read);
    *ret_view = view;
    return 0;
}

void
weir_kv_view_close(struct weir_kv_view *view)
{
    if (view == NULL) {
        return;
    }
    if (view->at != NULL) {
        view->store.rocks.iter_destroy(view->at);
    }
    store_fini(&view->store);
    free(view->dir);
    free(view);
}

static int
view_stands(struct weir_kv_view *view)
{
    char *text = NULL;
    if (view->store.rocks.iter_valid(view->at)) {
        return 1;
    }
    view->store.rocks.iter_get_error(view->at, &text);
    return view_failed(view, text);
}

int
weir_kv_view_seek(struct weir_kv_view *view, uint64_t first)
{
    char prefix[WEIR_KV_PREFIX_BYTES];
    prefix_of(first, prefix);
    view->store.rocks.iter_seek(view->at, prefix, sizeof prefix);
    return view_stands(view);
}

int
weir_kv_view_next(struct weir_kv_view *view)
{
    view->store.rocks.iter_next(view->at);
    return view_stands(view);
}

struct weir_kv_bytes
weir_kv_view_key(const struct weir_kv_view *view)
{
    struct weir_kv_bytes key;
    key.ptr = view->store.rocks.iter_key(view->at, &key.bytes);
    return key;
}

struct weir_kv_bytes
weir_kv_view_val(const struct weir_kv_view *view)
{
    struct weir_kv_bytes val;
    val.ptr = view->store.rocks.iter_value(view->at, &val.bytes);
    return val;
}
