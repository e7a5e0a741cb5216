/* SPDX-License-Identifier: Apache-2.0 */
/* kv_priv.h: an exchange, and the store that it is done with. */
#ifndef WEIR_IO_KV_PRIV_H
#define WEIR_IO_KV_PRIV_H

#include "io/kv.h"

#define WEIR_KV_WHY_BYTES 512

/* Bytes put one behind the other; places are offsets, since it grows. */
struct kv_heap {
    char *mem;
    size_t bytes;
    size_t cap;
};

struct kv_place {
    size_t off;
    size_t bytes; /* SIZE_MAX: there is none */
};

struct kv_write {
    struct kv_place key;
    struct kv_place val; /* none: a delete */
};

struct kv_exchange {
    struct kv_heap heap;
    struct kv_heap results;
    struct kv_write *write;
    uint32_t write_cnt;
    uint32_t write_cap;
    struct kv_place *get;
    struct kv_place *result; /* [get_cnt] */
    uint32_t get_cnt;
    uint32_t get_cap;
    char *checkpoint; /* directory, NULL: none */
    int checkpoint_rc;
    struct kv_place *drop; /* paths, with their ends */
    uint32_t drop_cnt;
    uint32_t drop_cap;
    int rc; /* of all but the checkpoint; the text is of the first that failed */
    char why[WEIR_KV_WHY_BYTES];
};

static inline char *
kv_at(const struct kv_heap *heap, struct kv_place place)
{
    return heap->mem + place.off;
}
/* A copy in the heap; false: no memory. data NULL: room only. */
bool
weir_kv_heap_put(struct kv_heap *heap, const void *data, size_t bytes, struct kv_place *ret_place);

/* The store. All calls block; errors are pushed. */
struct kv_store;
WEIR_MUST_USE int weir_kv_store_open(const struct weir_kv_conf *conf, struct kv_store **ret_store);
void weir_kv_store_close(struct kv_store *store);
WEIR_MUST_USE int weir_kv_store_run(struct kv_store *store, struct kv_exchange *exchange);

/* Directories. Those above `dir` are made, durably; and dir's own name is made durable. */
WEIR_MUST_USE int weir_kv_dir_make_above(const char *dir);
WEIR_MUST_USE int weir_kv_dir_sync_above(const char *dir);
/* Make dir with what `from` holds: tables by hard links, the rest as copies. */
WEIR_MUST_USE int weir_kv_dir_link(const char *from, const char *dir);

/* The files of a checkpoint, by their names. Zeroed: none. */
#define WEIR_KV_LIST_NAME "weir-files"
#define WEIR_KV_NAME_BYTES 64
struct kv_file {
    char name[WEIR_KV_NAME_BYTES];
    uint64_t bytes;
    uint32_t crc;
};
struct kv_list {
    struct kv_file *file;
    uint32_t cnt;
    uint32_t cap;
};
void weir_kv_list_fini(struct kv_list *list);
/* Its text, to be freed; NULL: no memory. */
char *weir_kv_list_text(const struct kv_list *list, size_t *ret_bytes);
/* A text, which is changed, into an empty list; behind its bytes stands a zero. dir is for errors:
 * WEIR_ECHECKPOINT where it is not what weir_kv_list_text() makes, WEIR_ENOMEM; then the list is to
 * be finished all the same. */
WEIR_MUST_USE int
weir_kv_list_parse(const char *dir, char *text, size_t bytes, struct kv_list *list);
/* Read what a checkpoint says of itself. WEIR_ECHECKPOINT, WEIR_EIO, WEIR_ENOMEM; then it is
 * empty. */
WEIR_MUST_USE int weir_kv_list_read(const char *dir, struct kv_list *ret_list);
/* Whether all of them are there, with their lengths: WEIR_ECHECKPOINT where not, by name. */
WEIR_MUST_USE int weir_kv_list_check(const char *dir, const struct kv_list *list);
/* Make the list of a checkpoint that was just made, durably; `known` has tables whose checksums are
 * known, and is the new list afterwards. */
WEIR_MUST_USE int weir_kv_list_make(const char *dir, struct kv_list *known);

#endif
