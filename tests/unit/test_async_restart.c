/* SPDX-License-Identifier: Apache-2.0 */
/* The async operator: restarts, random answers beside a model, and answers of other threads. */
#include <pthread.h>

#include "base/rng.h"
#include "dataplane/parts.h"
#include "tests/unit/async_rig.h"
#include "tests/unit/seed.h"

/* ---- checkpoints ---- */

static void
save(struct rig *rig)
{
    struct weir_operator *op = harness_operator(rig->h);
    struct weir_parts_writer writer;
    for (int rc = WEIR_AGAIN; rc != WEIR_DONE;) {
        rc = weir_chain_barrier(rig->h->chain, 1, rig->h->now_ns);
        assert_true(rc >= 0);
        run(rig);
    }
    weir_parts_writer_init(&writer, rig->parts, sizeof rig->parts);
    weir_parts_writer_of(&writer, op->uid);
    assert_int_equal(op->type->snapshot(op, 1, &writer), 0);
    assert_int_equal(weir_parts_finish(&writer, &rig->parts_bytes), 0);
}

/* Subtask idx of cnt, from what others have left. */
static int
come(struct rig *rig, const struct weir_async_conf *conf, struct rig *const *from,
    uint32_t from_cnt, const uint32_t *place)
{
    struct weir_parts_reader readers[8];
    rig_open(rig, conf);
    struct weir_operator *op = harness_operator(rig->h);
    for (uint32_t i = 0; i < from_cnt; i++) {
        assert_int_equal(
            weir_parts_reader_init(&readers[i], from[i]->parts, from[i]->parts_bytes), 0);
        weir_parts_reader_of(&readers[i], op->uid);
    }
    struct weir_operator_env *env = (struct weir_operator_env *)(uintptr_t)op->env;
    env->subtask_idx = place[0];
    env->subtask_cnt = place[1];
    op->watermark = harness_operator(from[0]->h)->watermark;
    int rc = op->type->restore(op, readers, from_cnt);
    if (rc == 0) {
        assert_int_equal(rig->world->asked_cnt, 0); /* not before the task runs */
        run(rig);
    }
    return rc;
}

static const uint32_t alone[2] = {0, 1};

static void
t_T318_rows_on_their_way_are_asked_again_in_order_after_a_restart(void **state)
{
    struct rig *before = malloc(sizeof *before);
    struct rig *after = malloc(sizeof *after);
    const struct weir_async_conf conf = {.function = &plain, .capacity = 6};
    (void)state;
    rig_open(before, &conf);
    push(before, 1, 3);
    mark(before, 30);
    push(before, 4, 2);
    answer(before, 0, 1);
    answer(before, 3, 1); /* it is not out: asked again */
    assert_string_equal(seen(before), "1");
    save(before);
    assert_int_equal(come(after, &conf, &before, 1, alone), 0);
    assert_int_equal(after->world->asked_cnt, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(after->world->id[i], 2 + i);
        assert_int_equal(after->world->attempt[i], 0);
    }
    push(after, 6, 3);
    assert_int_equal(after->world->asked_cnt, 6); /* capacity holds over both */
    for (uint32_t i = 6; i-- > 0;) {
        answer(after, i, 1);
    }
    answer(after, 6, 1);
    assert_string_equal(seen(after), "2 3 4 5 |30 6 7 8");
    assert_int_equal(after->h->out[0].event[0].time, 20);
    const struct answer *row = harness_row(after->h, 0, 0);
    struct weir_slice text = harness_text(after->h, 0, &row->text);
    assert_memory_equal(text.ptr, LONG_TEXT, text.bytes);
    rig_close(before);
    rig_close(after);
    free(before);
    free(after);
}

/* More rows than one operator has on its way: they are asked for as others are answered. */
static void
t_T318_a_full_queue_is_restored_by_one_subtask_or_by_more(void **state)
{
    struct rig *from[3];
    struct rig *to[2];
    const struct weir_async_conf conf = {.function = &plain, .capacity = 4};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        from[i] = malloc(sizeof *from[i]);
        rig_open(from[i], &conf);
        push(from[i], 10 * i, 4);
        mark(from[i], 77);
        save(from[i]);
    }
    to[0] = malloc(sizeof *to[0]);
    assert_int_equal(come(to[0], &conf, from, 3, alone), 0);
    assert_int_equal(to[0]->world->asked_cnt, 4);
    push(to[0], 30, 2);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(to[0]->world->asked_cnt, weir_min_u32(i + 4, 14));
        answer(to[0], i, 1); /* new rows wait until fewer than `capacity` are before them */
    }
    assert_string_equal(seen(to[0]), "0 1 2 3 10 11 12 13 20 21 22 23 |77");
    rig_close(to[0]);
    to[1] = malloc(sizeof *to[1]);
    for (uint32_t s = 0; s < 2; s++) {
        const uint32_t place[2] = {s, 2};
        assert_int_equal(come(to[s], &conf, from, 3, place), 0);
        for (uint32_t i = 0; i < 6; i++) {
            answer(to[s], i, 1);
        }
    }
    assert_string_equal(seen(to[0]), "0 2 10 12 20 22 |77");
    assert_string_equal(seen(to[1]), "1 3 11 13 21 23 |77");
    for (uint32_t i = 0; i < 3; i++) {
        rig_close(from[i]);
        free(from[i]);
    }
    for (uint32_t s = 0; s < 2; s++) {
        rig_close(to[s]);
        free(to[s]);
    }
}

/* An answer of many rows that is half out when a barrier comes is out as a whole before it. */
static void
t_an_answer_is_not_cut_by_a_barrier(void **state)
{
    struct rig *rig = malloc(sizeof *rig);
    (void)state;
    rig_open(rig, &(struct weir_async_conf){.function = &plain});
    rig->h->conf.is_slow = true;
    push(rig, 1, 2);
    struct weir_async *call = rig->world->asked[0];
    rig->world->asked[0] = NULL;
    answer_rows(call, 40); /* more than an output batch holds */
    weir_async_done(call);
    assert_int_equal(weir_mailbox_run_batch(rig->mailbox, 0), 1);
    assert_int_equal(weir_chain_fire(rig->h->chain, 0), WEIR_AGAIN);
    while (weir_chain_run(rig->h->chain, 100, 0) != WEIR_DONE) {
    }
    uint32_t first_cnt = rig->h->out[0].row_cnt;
    assert_true(first_cnt > 0 && first_cnt < 40);
    for (int rc = WEIR_AGAIN; rc != WEIR_DONE;) {
        rc = weir_chain_barrier(rig->h->chain, 1, 0);
        assert_true(rc >= 0);
        while (weir_chain_run(rig->h->chain, 100, 0) != WEIR_DONE) {
        }
    }
    assert_int_equal(rig->h->out[0].row_cnt, 40);
    save(rig);
    struct rig *after = malloc(sizeof *after);
    const struct weir_async_conf conf = {.function = &plain};
    assert_int_equal(come(after, &conf, &rig, 1, alone), 0);
    assert_int_equal(after->world->asked_cnt, 1);
    assert_int_equal(after->world->id[0], 2);
    rig_close(rig);
    rig_close(after);
    free(rig);
    free(after);
}

static void
spoil(struct rig *rig, size_t from_end, char by)
{
    rig->parts[rig->parts_bytes - from_end] ^= by;
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
    struct weir_part part;
    static char copy[PARTS_BYTES];
    size_t at = 0;
    memcpy(copy, rig->parts, rig->parts_bytes);
    /* Written anew, so that the checksum is right. */
    memset(&reader, 0, sizeof reader);
    reader.buf = copy;
    reader.bytes = rig->parts_bytes;
    memcpy(&reader.part_cnt, copy + 12, sizeof reader.part_cnt);
    assert_int_equal(weir_parts_next(&reader, &at, &part), 1);
    weir_parts_writer_init(&writer, rig->parts, sizeof rig->parts);
    weir_parts_writer_of(&writer, harness_operator(rig->h)->uid);
    weir_parts_begin(&writer, "requests", part.version);
    weir_parts_put(&writer, part.data, part.bytes);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &rig->parts_bytes), 0);
}

static void
t_a_damaged_row_or_one_of_other_fields_is_refused(void **state)
{
    struct rig *before = malloc(sizeof *before);
    struct rig *after = malloc(sizeof *after);
    const struct weir_async_conf conf = {.function = &plain, .capacity = 4};
    const struct weir_async_conf tight = {.function = &plain, .capacity = 4, .text_bytes = 32};
    size_t row_bytes = sizeof(struct asked) + sizeof LONG_TEXT - 1;
    size_t pad = (8 - row_bytes % 8) % 8;
    (void)state;
    rig_open(before, &conf);
    push(before, 1, 1);
    save(before);
    assert_int_equal(come(after, &tight, &before, 1, alone), WEIR_ESTATE);
    weir_err_clear();
    rig_close(after);
    spoil(before, pad + row_bytes - offsetof(struct asked, text), 1); /* the text's length */
    assert_int_equal(come(after, &conf, &before, 1, alone), WEIR_EDATA);
    weir_err_clear();
    rig_close(after);
    save(before);
    spoil(before, pad + row_bytes + 32, 1); /* the fingerprint */
    assert_int_equal(come(after, &conf, &before, 1, alone), WEIR_ESTATE);
    weir_err_clear();
    rig_close(after);
    rig_close(before);
    free(before);
    free(after);
}

/* ---- random, beside a model ---- */

/* What is on its way, in order: rows and watermarks. */
struct item {
    bool is_watermark;
    bool is_ready;
    int64_t id; /* or the watermark */
    uint32_t answer_cnt;
    uint32_t ready_nth; /* the how manieth answer it was */
};

struct model {
    struct item item[CALL_CNT_MAX];
    uint32_t cnt;
    uint32_t ready_cnt;
    char seen[1 << 16];
    size_t bytes;
};

static void
model_say(struct model *m, const struct item *item)
{
    size_t room = sizeof m->seen - m->bytes;
    assert_true(room > 4096);
    if (item->is_watermark) {
        m->bytes += (size_t)snprintf(m->seen + m->bytes, room, " |%lld", (long long)item->id);
    }
    for (uint32_t i = 0; i < item->answer_cnt; i++) {
        m->bytes +=
            (size_t)(i == 0 ? snprintf(m->seen + m->bytes, room, " %lld", (long long)item->id)
                            : snprintf(m->seen + m->bytes, room - 32, " %lld.%u",
                                  (long long)item->id, i));
    }
}

static void
model_drop(struct model *m, uint32_t i)
{
    m->cnt--;
    memmove(&m->item[i], &m->item[i + 1], (m->cnt - i) * sizeof m->item[0]);
}

/* Put out what may go on. */
static void
model_run(struct model *m, bool is_unordered)
{
    for (;;) {
        uint32_t best = UINT32_MAX;
        if (m->cnt > 0 && m->item[0].is_watermark) {
            best = 0;
        }
        for (uint32_t i = 0; best == UINT32_MAX && i < m->cnt && !m->item[i].is_watermark; i++) {
            if (!is_unordered && i > 0) {
                break;
            }
            if (m->item[i].is_ready) {
                best = i;
                for (uint32_t k = i + 1; k < m->cnt && !m->item[k].is_watermark && is_unordered;
                     k++) {
                    if (m->item[k].is_ready && m->item[k].ready_nth < m->item[best].ready_nth) {
                        best = k;
                    }
                }
            }
        }
        if (best == UINT32_MAX) {
            return;
        }
        model_say(m, &m->item[best]);
        model_drop(m, best);
    }
}

static uint32_t
model_find(const struct model *m, int64_t id)
{
    for (uint32_t i = 0; i < m->cnt; i++) {
        if (!m->item[i].is_watermark && m->item[i].id == id) {
            return i;
        }
    }
    fail_msg("row %lld is not on its way", (long long)id);
    return 0;
}

static void
model_mark(struct model *m, int64_t watermark)
{
    if (m->cnt > 0 && m->item[m->cnt - 1].is_watermark) {
        m->item[m->cnt - 1].id = watermark;
    } else {
        m->item[m->cnt++] = (struct item){.is_watermark = true, .id = watermark};
    }
}

/* The rows of a segment whose answers came before it was the first go on in the order of the rows:
 * they are taken for answered at that time, in that order. */
static void
model_settle(struct model *m)
{
    uint32_t first = 0;
    while (first < m->cnt && !m->item[first].is_watermark) {
        first++;
    }
    for (uint32_t i = first, nth = 0; i < m->cnt; i++) {
        nth = m->item[i].is_watermark ? 0 : nth + 1;
        m->item[i].ready_nth = m->item[i].is_ready ? nth : m->item[i].ready_nth;
    }
}

static void
answer_one(struct rig *rig, struct model *m, struct weir_rng *rng)
{
    uint32_t open[CALL_CNT_MAX];
    uint32_t open_cnt = 0;
    for (uint32_t i = 0; i < rig->world->asked_cnt; i++) {
        if (rig->world->asked[i] != NULL) {
            open[open_cnt++] = i;
        }
    }
    if (open_cnt == 0) {
        return;
    }
    uint32_t i = open[weir_rng_below(rng, open_cnt)];
    uint32_t cnt = (uint32_t)weir_rng_below(rng, 4);
    if (weir_rng_below(rng, 5) == 0 && rig->world->attempt[i] == 0) {
        refuse(rig, i);
        wait_until(rig, rig->h->now_ns + 10);
        return;
    }
    struct item *item = &m->item[model_find(m, rig->world->id[i])];
    item->is_ready = true;
    item->answer_cnt = cnt;
    item->ready_nth = 1000 + m->ready_cnt++;
    model_settle(m);
    answer(rig, i, cnt);
}

static void
play(uint64_t seed, bool is_unordered)
{
    struct rig *rig = malloc(sizeof *rig);
    struct model *m = calloc(1, sizeof *m);
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    const struct weir_async_conf conf = {.function = &plain,
        .is_unordered = is_unordered,
        .capacity = 1 + (uint32_t)weir_rng_below(&rng, 12),
        .attempt_cnt = 2,
        .backoff_ns = 10};
    int64_t next = 1;
    int64_t marked = 0;
    rig_open(rig, &conf);
    for (uint32_t step = 0; step < 200; step++) {
        bool is_free = weir_chain_run(rig->h->chain, 1, 0) == WEIR_DONE;
        uint64_t what = weir_rng_below(&rng, 8);
        if (what < 2 && is_free) {
            uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, 5);
            for (uint32_t i = 0; i < cnt; i++) {
                m->item[m->cnt++] = (struct item){.id = next + i};
            }
            push(rig, next, cnt);
            next += cnt;
        } else if (what == 2 && is_free) {
            marked += 1 + (int64_t)weir_rng_below(&rng, 30);
            model_mark(m, marked);
            mark(rig, marked);
        } else {
            answer_one(rig, m, &rng);
        }
        model_run(m, is_unordered);
        if (strcmp(seen(rig), m->bytes > 0 ? m->seen + 1 : "") != 0) {
            fail_msg("seed %llu step %u:\nhave %s\nwant %s", (unsigned long long)seed, step,
                rig->seen, m->seen);
        }
        if (strlen(rig->seen) > sizeof rig->seen / 2) {
            harness_clear(rig->h);
            m->bytes = 0;
            m->seen[0] = 0;
        }
    }
    rig_close(rig);
    free(rig);
    free(m);
}

static void
t_T318_random_answers_agree_with_a_model(void **state)
{
    uint64_t seed = seed_of_run();
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        play(seed + i, i % 2 != 0);
    }
}

/* ---- other threads ---- */

struct pool {
    pthread_t thread[3];
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct weir_async *queue[64];
    uint32_t cnt;
    bool is_over;
};

static void *
answer_all(void *arg)
{
    struct pool *pool = arg;
    for (;;) {
        (void)pthread_mutex_lock(&pool->lock);
        while (pool->cnt == 0 && !pool->is_over) {
            (void)pthread_cond_wait(&pool->ready, &pool->lock);
        }
        if (pool->cnt == 0) {
            (void)pthread_mutex_unlock(&pool->lock);
            return NULL;
        }
        struct weir_async *call = pool->queue[--pool->cnt];
        (void)pthread_mutex_unlock(&pool->lock);
        answer_rows(call, 1);
        weir_async_done(call);
    }
}

static int
pool_open(const struct weir_operator *op, const void *conf, void **ret_client)
{
    struct pool *pool = calloc(1, sizeof *pool);
    (void)op;
    (void)conf;
    assert_non_null(pool);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->ready, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&pool->thread[i], NULL, answer_all, pool), 0);
    }
    *ret_client = pool;
    return 0;
}

static int
pool_start(void *client, struct weir_async *call)
{
    struct pool *pool = client;
    (void)pthread_mutex_lock(&pool->lock);
    assert_true(pool->cnt < 64);
    pool->queue[pool->cnt++] = call;
    (void)pthread_cond_signal(&pool->ready);
    (void)pthread_mutex_unlock(&pool->lock);
    return 0;
}

static void
pool_close(void *client)
{
    struct pool *pool = client;
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_over = true;
    (void)pthread_cond_broadcast(&pool->ready);
    (void)pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < 3; i++) {
        (void)pthread_join(pool->thread[i], NULL);
    }
    free(pool);
}

static const struct weir_async_function threaded = {.in_schema = asked_schema,
    .out_schema = answer_schema,
    .open = pool_open,
    .start = pool_start,
    .close = pool_close,
    .has_threads = true};

static void
t_T318_answers_of_many_threads_lose_nothing(void **state)
{
    struct rig *rig = malloc(sizeof *rig);
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) {
        rig_open(rig, &(struct weir_async_conf){
                          .function = &threaded, .capacity = 16, .is_unordered = turn != 0});
        int64_t sum = 0;
        for (int64_t first = 0; first < 6400; first += 64) {
            push(rig, first, 64);
            while (weir_chain_run(rig->h->chain, 100, 0) != WEIR_DONE) {
                run(rig);
            }
        }
        while (rig->h->out[0].row_cnt < 6400) {
            run(rig);
            assert_int_equal(rig->error, 0);
        }
        for (uint32_t i = 0; i < 6400; i++) {
            const struct answer *row = harness_row(rig->h, 0, i);
            assert_true(turn != 0 || row->id == i);
            sum += row->id;
        }
        assert_int_equal(sum, 6400LL * 6399 / 2);
        rig_close(rig);
    }
    free(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T318_rows_on_their_way_are_asked_again_in_order_after_a_restart),
        cmocka_unit_test(t_T318_a_full_queue_is_restored_by_one_subtask_or_by_more),
        cmocka_unit_test(t_an_answer_is_not_cut_by_a_barrier),
        cmocka_unit_test(t_a_damaged_row_or_one_of_other_fields_is_refused),
        cmocka_unit_test(t_T318_random_answers_agree_with_a_model),
        cmocka_unit_test(t_T318_answers_of_many_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
