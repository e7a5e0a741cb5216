/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/power/power_store.h"

#include "tests/unit/store_rig.h"

#define TASK_CNT_MAX 4

/* What a file holds: the bytes of the payload, the payload, a filler that follows from its id. */
struct content {
    struct rig_source rig;
    const struct power_payload *payload;
};

struct power_store {
    struct rig rig;
    uint64_t seed;
    uint64_t payload_bytes_max;
};

static char
content_byte(const struct power_payload *payload, uint64_t seed, uint64_t at)
{
    uint64_t head = sizeof payload->bytes;
    if (at < head) {
        return ((const char *)&payload->bytes)[at];
    }
    if (at < head + payload->bytes) {
        return ((const char *)payload->data)[at - head];
    }
    return rig_byte(seed, at);
}

static int64_t
content_fill(void *arg, void *buf, uint64_t bytes)
{
    struct content *content = arg;
    uint64_t give = weir_min_u64(bytes, content->rig.bytes - content->rig.at);
    for (uint64_t i = 0; i < give; i++) {
        ((char *)buf)[i] = content_byte(content->payload, content->rig.seed, content->rig.at + i);
    }
    content->rig.at += give;
    return (int64_t)give;
}

struct power_store *
power_store_open(struct weir_io *io, const char *root, const char *job, uint64_t seed)
{
    struct power_store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    struct weir_store_config config = {.root = root,
        .job = job,
        .retained_cnt = 1 + (uint32_t)(seed % 2),
        .manifest_bytes_max = 64 * WEIR_KIB,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
    store->seed = seed;
    rig_open(&store->rig, io, NULL, &config);
    store->rig.poll_cnt_max = UINT64_MAX;
    return store;
}

void
power_store_close(struct power_store *store)
{
    rig_close(&store->rig);
    free(store);
}

void
power_store_grant(struct power_store *store, uint64_t poll_cnt)
{
    store->rig.poll_cnt_max = store->rig.poll_cnt + poll_cnt;
}

/* Past the page cache or not: where the directory can, by the seed. Another failing fsync is
 * missed by one than by the other. */
static void
choose_writer(struct power_store *store)
{
    struct weir_snapshot_config blocks = {.io = store->rig.io,
        .depth = 3,
        .block_bytes = RIG_BLOCK_BYTES,
        .direct = weir_store_is_direct(store->rig.store) && store->seed / 2 % 2 == 0,
        .read_back = store->seed / 4 % 2 == 0};
    weir_snapshot_close(store->rig.writer);
    assert_int_equal(weir_snapshot_open(&blocks, &store->rig.writer), 0);
}

int
power_store_start(struct power_store *store, uint64_t *ret_checkpoint)
{
    int err = rig_start(&store->rig);
    const struct weir_manifest *manifest = err == 0 ? weir_store_restored(store->rig.store) : NULL;
    if (err == 0) {
        choose_writer(store);
    }
    *ret_checkpoint = manifest != NULL ? manifest->checkpoint : 0;
    return err;
}

uint64_t
power_store_epoch(const struct power_store *store)
{
    return weir_store_epoch(store->rig.store);
}

uint64_t
power_store_next(const struct power_store *store)
{
    return weir_store_checkpoint_next(store->rig.store);
}

uint32_t
power_store_payload_cnt(const struct power_store *store)
{
    const struct weir_manifest *manifest = weir_store_restored(store->rig.store);
    return manifest != NULL ? manifest->file_cnt : 0;
}

/* What is read, as it comes; the filler can be compared only with what the payload is known of. */
struct taken {
    char *buf;
    uint64_t bytes;
    uint64_t bytes_max;
};

static int
take(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct taken *taken = arg;
    assert_int_equal(off, taken->bytes);
    assert_true(bytes <= taken->bytes_max - taken->bytes);
    memcpy(taken->buf + taken->bytes, payload, bytes);
    taken->bytes += bytes;
    return 0;
}

int
power_store_load(struct power_store *store, uint32_t idx, void *buf, uint64_t *bytes)
{
    const struct weir_manifest *manifest = weir_store_restored(store->rig.store);
    uint64_t room = *bytes + sizeof *bytes + RIG_TASK_CNT * 5 * RIG_BLOCK_BYTES;
    struct taken taken = {.buf = malloc(room), .bytes_max = room};
    struct weir_snapshot_ask ask = {.dir = weir_store_data_dir(store->rig.store),
        .file = &manifest->files[idx],
        .sink = take,
        .arg = &taken};
    assert_non_null(taken.buf);
    int err = rig_read(&store->rig, &ask);
    if (err == 0) {
        struct power_payload payload = {.data = taken.buf + sizeof payload.bytes};
        memcpy(&payload.bytes, taken.buf, sizeof payload.bytes);
        assert_true(payload.bytes <= *bytes);
        uint64_t filler = rig_bytes(manifest->checkpoint, idx);
        assert_int_equal(taken.bytes, sizeof payload.bytes + payload.bytes + filler);
        for (uint64_t i = 0; i < taken.bytes; i++) {
            assert_int_equal(
                taken.buf[i], content_byte(&payload, manifest->checkpoint * 1000 + idx, i));
        }
        memcpy(buf, payload.data, payload.bytes);
        *bytes = payload.bytes;
    }
    free(taken.buf);
    return err;
}

static int
write_file(struct power_store *store, struct weir_snapshot_id *id,
    const struct power_payload *payload, struct weir_snapshot_ack *ret_file)
{
    struct content content = {.payload = payload};
    uint64_t bytes = sizeof payload->bytes + payload->bytes + rig_bytes(id->checkpoint, id->task);
    rig_source_init(&content.rig, id->checkpoint, id->task, bytes);
    content.rig.source.fill = content_fill;
    content.rig.source.arg = &content;
    weir_snapshot_start(
        store->rig.writer, id, weir_store_data_dir(store->rig.store), &content.rig.source);
    int err = rig_write(&store->rig);
    if (err == 0) {
        *ret_file = *weir_snapshot_ack(store->rig.writer);
    }
    return err;
}

int
power_store_commit(struct power_store *store, uint64_t checkpoint,
    const struct power_payload *payloads, uint32_t cnt)
{
    struct weir_snapshot_ack files[TASK_CNT_MAX];
    uint64_t epoch = power_store_epoch(store);
    assert_true(cnt <= TASK_CNT_MAX);
    for (uint32_t task = 0; task < cnt; task++) {
        struct weir_snapshot_id id = {.job = weir_store_job(store->rig.store),
            .checkpoint = checkpoint,
            .epoch = epoch,
            .attempt = epoch,
            .task = task};
        int err = write_file(store, &id, &payloads[task], &files[task]);
        if (err != 0) {
            return err;
        }
    }
    const struct weir_manifest_operator operators[] = {{"sink", "file", NULL, 0, 128, cnt}};
    const struct weir_manifest *restored = weir_store_restored(store->rig.store);
    struct weir_manifest manifest = {.kind = WEIR_MANIFEST_KIND_CHECKPOINT,
        .checkpoint = checkpoint,
        .parent_checkpoint = restored != NULL ? restored->checkpoint : 0,
        .parent_epoch = restored != NULL ? restored->epoch : 0,
        .files = files,
        .operators = operators,
        .file_cnt = cnt,
        .operator_cnt = 1};
    weir_store_commit(store->rig.store, &manifest);
    return rig_store(&store->rig);
}

int
power_store_tidy(struct power_store *store)
{
    return rig_tidy(&store->rig);
}

bool
power_store_is_ended(const struct power_store *store)
{
    return weir_store_is_ended(store->rig.store);
}

const char *
power_store_fault(const struct power_store *store)
{
    return weir_store_fault(store->rig.store);
}
