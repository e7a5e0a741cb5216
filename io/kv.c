/* SPDX-License-Identifier: Apache-2.0 */
/* Wants, and their way to the helper thread and back: two pipes, whose reads and writes are all the
 * order between both that is needed. */
#include "io/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/rng.h"
#include "io/kv_priv.h"

/* Polls that an inline exchange is busy for, at most. */
#define INLINE_POLL_CNT_MAX 6
#define HEAP_BYTES_LEAST 4096
#define WANT_CNT_LEAST 256

struct weir_kv {
    struct weir_kv_conf conf;
    struct kv_store *store;
    struct kv_exchange exchange;
    int error; /* the first one; its text is in exchange.why */
    bool is_going;
    bool has_ended; /* the exchange's wants are the last one's: the next want begins anew */
    uint32_t left; /* polls of an inline one */
    struct weir_rng rng;
    pthread_t helper;
    int to_helper[2];
    int to_core[2];
};

bool
weir_kv_heap_put(struct kv_heap *heap, const void *data, size_t bytes, struct kv_place *ret_place)
{
    if (heap->cap - heap->bytes < bytes) {
        size_t cap = heap->cap * 2 + bytes + HEAP_BYTES_LEAST;
        char *mem = realloc(heap->mem, cap);
        if (mem == NULL) {
            return false;
        }
        heap->mem = mem;
        heap->cap = cap;
    }
    ret_place->off = heap->bytes;
    ret_place->bytes = bytes;
    if (data != NULL && bytes > 0) {
        memcpy(heap->mem + heap->bytes, data, bytes);
    }
    heap->bytes += bytes;
    return true;
}

/* ---- the helper ---- */

/* The first exchange opens the store. */
static void
run(struct weir_kv *kv)
{
    struct kv_exchange *x = &kv->exchange;
    for (uint32_t i = 0; i < x->drop_cnt; i++) {
        if (weir_kv_remove(kv_at(&x->heap, x->drop[i])) < 0) {
            weir_err_clear(); /* it costs room, and nothing else */
        }
    }
    x->checkpoint_rc = 0;
    x->rc = kv->store == NULL ? weir_kv_store_open(&kv->conf, &kv->store)
                              : weir_kv_store_run(kv->store, x);
    if (x->rc < 0 || x->checkpoint_rc < 0) {
        weir_err_save(x->why, sizeof x->why);
        weir_err_clear();
    }
}

static void *
helper_main(void *arg)
{
    struct weir_kv *kv = arg;
    for (;;) {
        char what;
        ssize_t got = read(kv->to_helper[0], &what, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        WEIR_CHECK(got == 1, "request pipe: %zd", got);
        if (what == 0) {
            return NULL;
        }
        run(kv);
        WEIR_CHECK(write(kv->to_core[1], &what, 1) == 1, "reply pipe");
        if (kv->conf.wake != NULL) {
            kv->conf.wake(kv->conf.wake_arg);
        }
    }
}

static int
start_helper(struct weir_kv *kv)
{
    sigset_t all;
    sigset_t before;
    if (pipe2(kv->to_helper, O_CLOEXEC) != 0 || pipe2(kv->to_core, O_CLOEXEC) != 0 ||
        fcntl(kv->to_core[0], F_SETFL, O_NONBLOCK) != 0) {
        return weir_err_errno(errno, "pipes of a state store");
    }
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail: both sets are ours */
    int rc = pthread_create(&kv->helper, NULL, helper_main, kv);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return weir_err_errno(rc, "start the thread of a state store");
    }
    (void)pthread_setname_np(kv->helper, "weir-kv"); /* for the reader of ps */
    return 0;
}

static void
close_pipes(struct weir_kv *kv)
{
    for (int i = 0; i < 2; i++) {
        if (kv->to_helper[i] >= 0) {
            (void)close(kv->to_helper[i]);
        }
        if (kv->to_core[i] >= 0) {
            (void)close(kv->to_core[i]);
        }
    }
}

static void
exchange_free(struct kv_exchange *x)
{
    free(x->heap.mem);
    free(x->results.mem);
    free(x->write);
    free(x->get);
    free(x->result);
    free(x->checkpoint);
    free(x->drop);
}

static void
conf_free(struct weir_kv_conf *conf)
{
    for (uint32_t i = 0; i < conf->from_cnt && conf->from != NULL; i++) {
        free((void *)(uintptr_t)conf->from[i]);
    }
    free((void *)(uintptr_t)conf->from);
    free((void *)(uintptr_t)conf->dir);
}

/* A copy of a conf, its texts too; false: no memory. */
static bool
conf_copy(struct weir_kv_conf *to, const struct weir_kv_conf *conf)
{
    *to = *conf;
    char **from = calloc(conf->from_cnt + 1, sizeof *from);
    to->from = (const char *const *)from;
    to->dir = strdup(conf->dir);
    bool ok = from != NULL && to->dir != NULL;
    for (uint32_t i = 0; i < conf->from_cnt && ok; i++) {
        from[i] = strdup(conf->from[i]);
        ok = from[i] != NULL;
    }
    return ok;
}

int
weir_kv_open(const struct weir_kv_conf *conf, struct weir_kv **ret_kv)
{
    struct weir_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a state store");
    }
    kv->to_helper[0] = kv->to_helper[1] = -1;
    kv->to_core[0] = kv->to_core[1] = -1;
    int err = conf_copy(&kv->conf, conf) ? 0 : weir_err_push(WEIR_ENOMEM, "a state store");
    weir_rng_init(&kv->rng, conf->seed);
    if (err == 0 && !conf->is_inline) {
        err = start_helper(kv);
    }
    if (err < 0) {
        close_pipes(kv);
        conf_free(&kv->conf);
        free(kv);
        return err;
    }
    weir_kv_go(kv);
    *ret_kv = kv;
    return 0;
}

void
weir_kv_close(struct weir_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    if (!kv->conf.is_inline) {
        char end = 0; /* behind what is under way */
        WEIR_CHECK(write(kv->to_helper[1], &end, 1) == 1, "request pipe");
        (void)pthread_join(kv->helper, NULL); /* joinable and joined once */
    }
    weir_kv_store_close(kv->store);
    if (weir_kv_remove(kv->conf.dir) < 0) {
        weir_err_clear(); /* scratch: the next run removes it */
    }
    close_pipes(kv);
    exchange_free(&kv->exchange);
    conf_free(&kv->conf);
    free(kv);
}

/* ---- wants ---- */

/* The last exchange's wants are forgotten by the first of the next. */
static struct kv_exchange *
wanting(struct weir_kv *kv)
{
    struct kv_exchange *x = &kv->exchange;
    WEIR_CHECK(!kv->is_going, "an exchange is under way");
    if (kv->has_ended) {
        kv->has_ended = false;
        x->heap.bytes = 0;
        x->results.bytes = 0;
        x->write_cnt = 0;
        x->get_cnt = 0;
        x->drop_cnt = 0;
        free(x->checkpoint);
        x->checkpoint = NULL;
    }
    return x;
}

static void
no_memory(struct weir_kv *kv)
{
    static const char why[] = "wants of a state store";
    if (kv->error == 0) {
        kv->error = WEIR_ENOMEM;
        memcpy(kv->exchange.why, why, sizeof why);
    }
}

/* Room for one more of an array of `item_bytes` each. */
static bool
grow(void **array, uint32_t cnt, uint32_t *cap, size_t item_bytes)
{
    if (cnt < *cap) {
        return true;
    }
    uint32_t more = *cap * 2 + WANT_CNT_LEAST;
    void *mem = realloc(*array, more * item_bytes);
    if (mem != NULL) {
        *array = mem;
        *cap = more;
    }
    return mem != NULL;
}

static void
want_write(struct weir_kv *kv, struct weir_kv_bytes key, const struct weir_kv_bytes *val)
{
    struct kv_exchange *x = wanting(kv);
    struct kv_write write = {.val = {0, SIZE_MAX}};
    void *array = x->write;
    bool ok = grow(&array, x->write_cnt, &x->write_cap, sizeof *x->write);
    x->write = array;
    ok = ok && weir_kv_heap_put(&x->heap, key.ptr, key.bytes, &write.key) &&
         (val == NULL || weir_kv_heap_put(&x->heap, val->ptr, val->bytes, &write.val));
    if (!ok) {
        no_memory(kv);
        return;
    }
    x->write[x->write_cnt++] = write;
}

void
weir_kv_put(struct weir_kv *kv, struct weir_kv_bytes key, struct weir_kv_bytes val)
{
    want_write(kv, key, &val);
}

void
weir_kv_delete(struct weir_kv *kv, struct weir_kv_bytes key)
{
    want_write(kv, key, NULL);
}

void
weir_kv_get(struct weir_kv *kv, struct weir_kv_bytes key)
{
    struct kv_exchange *x = wanting(kv);
    struct kv_place place;
    uint32_t cap = x->get_cap;
    void *array = x->get;
    bool ok = grow(&array, x->get_cnt, &cap, sizeof *x->get);
    x->get = array;
    array = x->result;
    cap = x->get_cap;
    ok = ok && grow(&array, x->get_cnt, &cap, sizeof *x->result);
    x->result = array;
    x->get_cap = ok ? cap : x->get_cap;
    if (!ok || !weir_kv_heap_put(&x->heap, key.ptr, key.bytes, &place)) {
        no_memory(kv);
        return;
    }
    x->get[x->get_cnt] = place;
    x->result[x->get_cnt++] = (struct kv_place){0, SIZE_MAX};
}

void
weir_kv_checkpoint(struct weir_kv *kv, const char *dir)
{
    struct kv_exchange *x = wanting(kv);
    WEIR_CHECK(x->checkpoint == NULL, "two checkpoints in one exchange");
    x->checkpoint = strdup(dir);
    if (x->checkpoint == NULL) {
        no_memory(kv);
    }
}

void
weir_kv_drop(struct weir_kv *kv, const char *dir)
{
    struct kv_exchange *x = wanting(kv);
    struct kv_place place;
    void *array = x->drop;
    bool ok = grow(&array, x->drop_cnt, &x->drop_cap, sizeof *x->drop);
    x->drop = array;
    if (!ok || !weir_kv_heap_put(&x->heap, dir, strlen(dir) + 1, &place)) {
        no_memory(kv);
        return;
    }
    x->drop[x->drop_cnt++] = place;
}

int
weir_kv_checkpoint_error(const struct weir_kv *kv)
{
    int err = kv->has_ended ? kv->exchange.checkpoint_rc : 0;
    return err < 0 ? weir_err_push(err, "%s", kv->exchange.why) : 0;
}

bool
weir_kv_wants(const struct weir_kv *kv)
{
    const struct kv_exchange *x = &kv->exchange;
    return !kv->has_ended &&
           (x->write_cnt > 0 || x->get_cnt > 0 || x->drop_cnt > 0 || x->checkpoint != NULL);
}

/* ---- exchanges ---- */

void
weir_kv_go(struct weir_kv *kv)
{
    WEIR_CHECK(!kv->is_going, "an exchange is under way");
    kv->is_going = true;
    if (kv->error != 0) {
        return;
    }
    if (kv->conf.is_inline) {
        run(kv);
        kv->left = (uint32_t)weir_rng_below(&kv->rng, INLINE_POLL_CNT_MAX + 1);
        return;
    }
    char go = 1;
    WEIR_CHECK(write(kv->to_helper[1], &go, 1) == 1, "request pipe");
}

/* The exchange has come back. */
static bool
has_come(struct weir_kv *kv)
{
    char what;
    if (kv->conf.is_inline) {
        return kv->left == 0 || kv->left-- == 0;
    }
    ssize_t got = read(kv->to_core[0], &what, 1);
    WEIR_CHECK(
        got == 1 || (got < 0 && (errno == EAGAIN || errno == EINTR)), "reply pipe: %zd", got);
    return got == 1;
}

int
weir_kv_poll(struct weir_kv *kv)
{
    if (kv->is_going && kv->error == 0) {
        if (!has_come(kv)) {
            return WEIR_KV_BUSY;
        }
        kv->error = kv->exchange.rc;
    }
    if (kv->is_going) {
        kv->is_going = false;
        kv->has_ended = true;
    }
    return kv->error == 0 ? 0 : weir_err_push(kv->error, "%s", kv->exchange.why);
}

uint32_t
weir_kv_get_cnt(const struct weir_kv *kv)
{
    return kv->has_ended ? kv->exchange.get_cnt : 0;
}

struct weir_kv_bytes
weir_kv_key(const struct weir_kv *kv, uint32_t idx)
{
    struct kv_place place = kv->exchange.get[idx];
    return (struct weir_kv_bytes){kv_at(&kv->exchange.heap, place), place.bytes};
}

struct weir_kv_bytes
weir_kv_result(const struct weir_kv *kv, uint32_t idx)
{
    struct kv_place place = kv->exchange.result[idx];
    if (place.bytes == SIZE_MAX) {
        return (struct weir_kv_bytes){NULL, 0};
    }
    return (struct weir_kv_bytes){kv_at(&kv->exchange.results, place), place.bytes};
}
