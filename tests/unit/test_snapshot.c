/* SPDX-License-Identifier: Apache-2.0 */
/* One task's file on io_uring, posix and the simulation: what is written is read, what is damaged
 * is found and named, what fails is declined and leaves nothing behind. */
#include <errno.h>
#include <inttypes.h>

#include "base/crc.h"
#include "dataplane/snapshot_priv.h"
#include "dataplane/task_file.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/store_rig.h"

#define CAPACITY (RIG_BLOCK_BYTES - WEIR_SNAPSHOT_HEAD_BYTES)

static const struct weir_snapshot_id id_one = {
    .job = 77, .checkpoint = 5, .epoch = 3, .attempt = 4, .task = 1, .subtask = 2};

struct files {
    struct rig rig;
    struct place *place;
    int32_t dir;
};

static void
open_files(struct files *files, struct place *place, const struct weir_snapshot_config *config)
{
    *files = (struct files){.place = place};
    struct weir_snapshot_config own = *config;
    own.io = place->io;
    own.depth = 3;
    own.block_bytes = RIG_BLOCK_BYTES;
    files->rig =
        (struct rig){.io = place->io, .world = place->world, .poll_cnt_max = RIG_POLL_CNT_MAX};
    files->rig.now_ns = weir_io_clock_ns(place->io);
    assert_int_equal(weir_snapshot_open(&own, &files->rig.writer), 0);
    assert_int_equal(weir_snapshot_reader_open(&own, &files->rig.reader), 0);
    files->dir = open_file(place, "", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
}

static void
close_files(struct files *files)
{
    files->place->now_ns = weir_max_i64(files->place->now_ns, files->rig.now_ns);
    close_file(files->place, files->dir);
    weir_snapshot_close(files->rig.writer);
    weir_snapshot_reader_close(files->rig.reader);
}

static int
write_one(struct files *files, uint64_t attempt, struct rig_source *source)
{
    struct weir_snapshot_id id = id_one;
    id.attempt = attempt;
    weir_snapshot_start(files->rig.writer, &id, files->dir, &source->source);
    int status = rig_write(&files->rig);
    if (status != 0) {
        print_message("%s\n", weir_snapshot_fault(files->rig.writer)->text);
    }
    return status;
}

static int
read_one(struct files *files, const struct weir_snapshot_ack *ack, struct rig_sink *sink)
{
    struct weir_snapshot_ask ask = {
        .dir = files->dir, .file = ack, .sync = true, .sink = rig_sink, .arg = sink};
    return rig_read(&files->rig, &ask);
}

/* A sink that ends after one block, of a file of seven: no more than that was asked for. */
static int
end_early(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    const struct files *files = arg;
    (void)payload;
    (void)bytes;
    assert_int_equal(off, 0);
    assert_int_equal(weir_io_flying_cnt(files->place->io), 0);
    return WEIR_ECANCELED;
}

static void
t_a_front_is_read_a_block_at_a_time(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.read_back = true};
    struct rig_source source;
    open_files(&files, place, &config);
    rig_source_init(&source, 5, 1, 7 * CAPACITY);
    assert_int_equal(write_one(&files, 1, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    struct weir_snapshot_ask ask = {
        .dir = files.dir, .file = &ack, .front_only = true, .sink = end_early, .arg = &files};
    assert_int_equal(rig_read(&files.rig, &ask), WEIR_ECANCELED);
    ask.sink = NULL; /* to its end, in the same way */
    assert_int_equal(rig_read(&files.rig, &ask), 0);
    close_files(&files);
}

/* What is there may be worked on at once; while nothing is, something is under way. */
static void
t_a_reader_says_what_is_ready(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.read_back = true};
    struct rig_source source;
    struct rig_sink sink = {.seed = 5001};
    int status;
    uint32_t ready_cnt = 0;
    open_files(&files, place, &config);
    rig_source_init(&source, 5, 1, 7 * CAPACITY);
    assert_int_equal(write_one(&files, 1, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    struct weir_snapshot_ask ask = {.dir = files.dir, .file = &ack, .sink = rig_sink, .arg = &sink};
    assert_false(weir_snapshot_read_is_ready(files.rig.reader));
    weir_snapshot_read(files.rig.reader, &ask);
    while ((status = weir_snapshot_read_poll(files.rig.reader)) == WEIR_RELAY_BUSY) {
        bool is_ready = weir_snapshot_read_is_ready(files.rig.reader);
        ready_cnt += is_ready;
        assert_true(is_ready || weir_io_flying_cnt(place->io) > 0);
        assert_true(rig_turn(&files.rig));
    }
    assert_int_equal(status, 0);
    assert_false(weir_snapshot_read_is_ready(files.rig.reader));
    assert_int_equal(sink.bytes, 7 * CAPACITY);
    assert_false(sink.differs);
    print_message("%u polls found a block ready\n", ready_cnt);
    close_files(&files);
}

/* Blocks come while another file is told, and are told when it is their turn. */
static void
t_a_held_file_is_read_ahead(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.read_back = true};
    struct rig_source source;
    struct rig_sink sink = {.seed = 5001};
    int status;
    open_files(&files, place, &config);
    rig_source_init(&source, 5, 1, 7 * CAPACITY);
    assert_int_equal(write_one(&files, 1, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    struct weir_snapshot_ask ask = {
        .dir = files.dir, .file = &ack, .is_held = true, .sink = rig_sink, .arg = &sink};
    weir_snapshot_read(files.rig.reader, &ask);
    for (;;) {
        assert_int_equal(weir_snapshot_read_poll(files.rig.reader), WEIR_RELAY_BUSY);
        assert_false(weir_snapshot_read_is_ready(files.rig.reader));
        if (weir_io_flying_cnt(place->io) == 0) {
            break; /* all that it asks for is there */
        }
        assert_true(rig_turn(&files.rig));
    }
    assert_int_equal(sink.bytes, 0);
    weir_snapshot_read_go(files.rig.reader);
    assert_true(weir_snapshot_read_is_ready(files.rig.reader)); /* no wait for the first */
    while ((status = weir_snapshot_read_poll(files.rig.reader)) == WEIR_RELAY_BUSY) {
        assert_true(rig_turn(&files.rig));
    }
    assert_int_equal(status, 0);
    assert_int_equal(sink.bytes, 7 * CAPACITY);
    assert_false(sink.differs);
    weir_snapshot_read(files.rig.reader, &ask); /* given up while it is held */
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weir_snapshot_read_poll(files.rig.reader), WEIR_RELAY_BUSY);
        assert_true(rig_turn(&files.rig));
    }
    close_files(&files);
}

static bool
is_there(struct place *place, const char *name)
{
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, at(place, name), &stat);
    return perform(place, &op) == 0;
}

static void
t_what_was_written_is_read(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.read_back = true};
    static const uint64_t sizes[] = {
        0, 1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 2 * CAPACITY, 7 * CAPACITY + 100};
    open_files(&files, place, &config);
    for (uint64_t i = 0; i < WEIR_ARRAY_CNT(sizes); i++) {
        struct rig_source source;
        rig_source_init(&source, 5, (uint32_t)i, sizes[i]);
        source.busy_cnt = (uint32_t)(i % 3);
        assert_int_equal(write_one(&files, i, &source), 0);
        struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
        assert_int_equal(ack.payload_bytes, sizes[i]);
        assert_int_equal(ack.file_bytes % WEIR_SNAPSHOT_ALIGN, 0);
        struct rig_sink sink = {.seed = 5000 + i};
        assert_int_equal(read_one(&files, &ack, &sink), 0);
        assert_false(sink.differs);
        assert_int_equal(sink.bytes, sizes[i]);
        const struct weir_snapshot_footer *footer = weir_snapshot_read_footer(files.rig.reader);
        assert_int_equal(footer->group_cnt, 2);
        assert_int_equal(footer->groups[1].key_group, 9);
        assert_int_equal(footer->counter_cnt, 3);
        assert_int_equal(footer->counters[0], sizes[i]);
    }
    close_files(&files);
}

/* Direct where the file system can: every write is aligned, the short ones too. */
static void
t_direct_io_is_the_same_file(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.direct = true, .read_back = true, .ahead = 3};
    struct weir_io_stat stat;
    struct weir_io_op op;
    put_file(place, "probe", "");
    weir_io_op_stat(&op, WEIR_IO_CWD, at(place, "probe"), &stat);
    assert_int_equal(perform(place, &op), 0);
    config.direct = stat.direct_align != 0;
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 20000);
    assert_int_equal(write_one(&files, 0, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    struct rig_sink sink = {.seed = 5000};
    assert_int_equal(read_one(&files, &ack, &sink), 0);
    assert_int_equal(sink.bytes, 20000);
    close_files(&files);
}

static void
t_a_name_is_never_used_again(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {0};
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 9000);
    assert_int_equal(write_one(&files, 0, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    rig_source_init(&source, 5, 1, 9000);
    assert_int_not_equal(write_one(&files, 0, &source), 0);
    assert_int_equal(weir_snapshot_fault(files.rig.writer)->errnum, EEXIST);
    /* The one that was there is untouched. */
    struct rig_sink sink = {.seed = 5000};
    assert_int_equal(read_one(&files, &ack, &sink), 0);
    assert_int_equal(sink.bytes, 9000);
    close_files(&files);
}

static int64_t
fill_fails(void *arg, void *buf, uint64_t bytes)
{
    struct rig_source *source = arg;
    return source->at > 10000 ? WEIR_ECANCELED : rig_fill(arg, buf, bytes);
}

static void
t_what_is_declined_leaves_nothing(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.ahead = 1};
    char name[WEIR_SNAPSHOT_NAME_BYTES];
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 60000);
    source.source.fill = fill_fails;
    assert_int_equal(write_one(&files, 4, &source), WEIR_ECANCELED);
    weir_snapshot_name(&id_one, name);
    assert_false(is_there(place, name));
    /* Aborted at any moment: nothing, or all of it. */
    for (int polls = 0; polls < 60; polls++) {
        rig_source_init(&source, 5, 0, 30000);
        weir_snapshot_start(files.rig.writer, &id_one, files.dir, &source.source);
        int status = WEIR_RELAY_BUSY;
        for (int i = 0; i < polls && status == WEIR_RELAY_BUSY; i++) {
            status = weir_snapshot_poll(files.rig.writer, weir_io_clock_ns(place->io));
            (void)rig_turn(&files.rig);
        }
        weir_snapshot_abort(files.rig.writer);
        status = rig_write(&files.rig);
        place->now_ns = weir_max_i64(place->now_ns, files.rig.now_ns);
        /* In a world a write may be short once too often. */
        assert_true(status == 0 || status == WEIR_ECANCELED ||
                    (status == WEIR_EIO && place->world != NULL));
        assert_int_equal(is_there(place, name), status == 0);
        if (status == 0) {
            struct weir_io_op op;
            weir_io_op_unlink(&op, files.dir, name, 0);
            assert_int_equal(perform(place, &op), 0);
        }
    }
    close_files(&files);
}

/* The limit counts what lies there: all blocks, and the footer. */
static void
t_more_than_the_limit_is_declined(void **state)
{
    struct place *place = *state;
    struct files files;
    struct rig_source source;
    struct weir_snapshot_config config = {.bytes_max = 3 * RIG_BLOCK_BYTES};
    open_files(&files, place, &config);
    rig_source_init(&source, 5, 1, 2 * CAPACITY);
    assert_int_equal(write_one(&files, 1, &source), 0);
    rig_source_init(&source, 5, 1, 2 * CAPACITY + 1);
    assert_int_equal(write_one(&files, 2, &source), WEIR_EBUDGET);
    const char *text = weir_snapshot_fault(files.rig.writer)->text;
    assert_non_null(strstr(text, "12288 bytes"));
    assert_non_null(strstr(text, "checkpoints.storage=fs"));
    assert_true(weir_snapshot_fault(files.rig.writer)->too_large);
    place->now_ns = weir_max_i64(place->now_ns, files.rig.now_ns);
    assert_true(is_there(place, "5-3-1-2-1.snap"));
    assert_false(is_there(place, "5-3-1-2-2.snap"));
    close_files(&files);
}

/* A file of a world, of which the tests break bits. */
struct broken {
    struct files files;
    char room[10 * RIG_BLOCK_BYTES];
    uint64_t bytes;
    const char *path;
    struct weir_snapshot_ack ack;
};

static void
make_broken(struct broken *broken, struct place *place, uint64_t bytes)
{
    struct weir_snapshot_config config = {0};
    struct rig_source source;
    open_files(&broken->files, place, &config);
    rig_source_init(&source, 5, 0, bytes);
    weir_snapshot_start(broken->files.rig.writer, &id_one, broken->files.dir, &source.source);
    assert_int_equal(rig_write(&broken->files.rig), 0);
    broken->ack = *weir_snapshot_ack(broken->files.rig.writer);
    broken->path = at(place, broken->ack.name);
    const void *file = weir_sim_get(place->world, broken->path, &broken->bytes);
    assert_true(broken->bytes <= sizeof broken->room);
    memcpy(broken->room, file, broken->bytes);
}

static int
read_broken(struct broken *broken)
{
    struct weir_snapshot_ask ask = {.dir = broken->files.dir, .file = &broken->ack};
    assert_int_equal(
        weir_sim_put(broken->files.rig.world, broken->path, broken->room, broken->bytes), 0);
    broken->files.rig.poll_cnt = 0;
    return rig_read(&broken->files.rig, &ask);
}

static void
t_every_bit_is_under_a_checksum(void **state)
{
    static struct broken broken;
    make_broken(&broken, *state, CAPACITY + 500);
    assert_int_equal(broken.bytes, 3 * RIG_BLOCK_BYTES);
    assert_int_equal(read_broken(&broken), 0);
    for (uint64_t bit = 0; bit < broken.bytes * 8; bit++) {
        broken.room[bit / 8] = (char)(broken.room[bit / 8] ^ (1 << (bit % 8)));
        assert_true(read_broken(&broken) < 0);
        const struct weir_snapshot_fault *fault = weir_snapshot_read_fault(broken.files.rig.reader);
        assert_int_equal(fault->off / RIG_BLOCK_BYTES, bit / 8 / RIG_BLOCK_BYTES);
        broken.room[bit / 8] = (char)(broken.room[bit / 8] ^ (1 << (bit % 8)));
    }
    close_files(&broken.files);
}

static void
t_a_block_of_elsewhere_is_found(void **state)
{
    static struct broken broken;
    static char spare[RIG_BLOCK_BYTES];
    make_broken(&broken, *state, 4 * CAPACITY);
    /* Two blocks change places. */
    memcpy(spare, broken.room, sizeof spare);
    memcpy(broken.room, broken.room + RIG_BLOCK_BYTES, sizeof spare);
    assert_int_equal(read_broken(&broken), WEIR_EDATA);
    assert_non_null(strstr(weir_snapshot_read_fault(broken.files.rig.reader)->text,
        "5-3-1-2-4.snap, block 0, byte 0: the block belongs to another place"));
    memcpy(broken.room, spare, sizeof spare);
    assert_int_equal(read_broken(&broken), 0);
    /* The same place of an older attempt. */
    struct weir_snapshot_id old = id_one;
    old.attempt = 3;
    struct weir_snapshot_place place = {
        &old, 0, 0, WEIR_SNAPSHOT_KIND_DATA, RIG_BLOCK_BYTES, RIG_BLOCK_BYTES};
    (void)weir_snapshot_block_seal(broken.room, &place, CAPACITY);
    assert_int_equal(read_broken(&broken), WEIR_EDATA);
    assert_non_null(
        strstr(weir_snapshot_read_fault(broken.files.rig.reader)->text, "another job, checkpoint"));
    memcpy(broken.room, spare, sizeof spare);
    /* A block of another write of the same attempt: right in itself, not the footer's. */
    broken.room[WEIR_SNAPSHOT_HEAD_BYTES] ^= 1;
    place.id = &id_one;
    (void)weir_snapshot_block_seal(broken.room, &place, CAPACITY);
    assert_int_equal(read_broken(&broken), WEIR_EDATA);
    assert_non_null(strstr(
        weir_snapshot_read_fault(broken.files.rig.reader)->text, "not those that the footer"));
    memcpy(broken.room, spare, sizeof spare);
    /* Another version is told apart from damage. */
    struct weir_snapshot_head *head = (void *)broken.room;
    head->version = 2;
    head->head_crc = weir_crc32c(0, head, WEIR_SNAPSHOT_HEAD_BYTES - 4);
    assert_int_equal(read_broken(&broken), WEIR_EFORMAT);
    close_files(&broken.files);
}

/* Pieces that are not to be split: each of 1000 bytes, all the same. */
static int64_t
fill_pieces(void *arg, void *buf, uint64_t bytes)
{
    struct rig_source *source = arg;
    if (source->at == source->bytes) {
        return 0;
    }
    if (bytes < 1000) {
        return WEIR_SNAPSHOT_FULL;
    }
    memset(buf, (int)(source->at % 251), 1000);
    source->at++;
    return 1000;
}

static int
sink_pieces(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    uint64_t *piece_cnt = arg;
    (void)off;
    assert_int_equal(bytes % 1000, 0);
    for (uint64_t i = 0; i < bytes; i += 1000) {
        assert_int_equal(((const uint8_t *)payload)[i], *piece_cnt % 251);
        assert_int_equal(((const uint8_t *)payload)[i + 999], *piece_cnt % 251);
        (*piece_cnt)++;
    }
    return 0;
}

static void
t_a_piece_is_not_split(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {0};
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 14);
    source.source.fill = fill_pieces;
    source.source.group_cnt = 0;
    assert_int_equal(write_one(&files, 0, &source), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(files.rig.writer);
    assert_int_equal(ack.payload_bytes, 14000);
    uint64_t piece_cnt = 0;
    struct weir_snapshot_ask ask = {
        .dir = files.dir, .file = &ack, .sink = sink_pieces, .arg = &piece_cnt};
    assert_int_equal(rig_read(&files.rig, &ask), 0);
    assert_int_equal(piece_cnt, 14);
    close_files(&files);
}

static void
t_a_rate_is_kept(void **state)
{
    struct place *place = *state;
    struct files files;
    /* 20 blocks at 10 blocks a second of the simulated clock. */
    struct weir_snapshot_config config = {
        .rate_bytes_max = 10 * RIG_BLOCK_BYTES, .poll_bytes_max = 1};
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 20 * CAPACITY);
    int64_t from_ns = files.rig.now_ns;
    struct weir_snapshot *writer = files.rig.writer;
    weir_snapshot_start(writer, &id_one, files.dir, &source.source);
    int status;
    uint64_t at = 0;
    while ((status = weir_snapshot_poll(writer, files.rig.now_ns)) == WEIR_RELAY_BUSY) {
        assert_true(source.at - at <= CAPACITY); /* one block a poll */
        at = source.at;
        assert_true(rig_turn(&files.rig));
        if (weir_io_flying_cnt(place->io) == 0 && weir_snapshot_due_ns(writer) < INT64_MAX) {
            files.rig.now_ns = weir_snapshot_due_ns(writer);
        }
    }
    assert_int_equal(status, 0);
    int64_t took_ns = files.rig.now_ns - from_ns;
    assert_in_range(took_ns, 19 * WEIR_SEC_NS / 10, 21 * WEIR_SEC_NS / 10);
    close_files(&files);
}

/* What the device could take goes to it block by block; once `depth` fly, `ahead` more are made. */
static void
t_blocks_are_made_while_others_fly(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {.ahead = 2};
    open_files(&files, place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 9 * CAPACITY);
    struct weir_snapshot *writer = files.rig.writer;
    weir_snapshot_start(writer, &id_one, files.dir, &source.source);
    while (source.at == 0) {
        assert_int_equal(weir_snapshot_poll(writer, files.rig.now_ns), WEIR_RELAY_BUSY);
        assert_true(source.at > 0 || rig_turn(&files.rig));
    }
    static const uint64_t made[] = {1, 2, 3, 5, 5};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(made); i++) { /* io is not asked: nothing lands */
        assert_int_equal(source.at, made[i] * CAPACITY);
        assert_int_equal(weir_io_flying_cnt(place->io), weir_min_u64(made[i], 3));
        assert_int_equal(weir_snapshot_poll(writer, files.rig.now_ns), WEIR_RELAY_BUSY);
    }
    while (weir_io_flying_cnt(place->io) == 3) {
        assert_true(rig_turn(&files.rig));
    }
    /* What has landed is replaced by what is ready, before anything is made. */
    uint32_t flying_cnt = weir_io_flying_cnt(place->io);
    assert_int_equal(weir_snapshot_poll(writer, files.rig.now_ns), WEIR_RELAY_BUSY);
    assert_int_equal(weir_io_flying_cnt(place->io), weir_min_u32(flying_cnt + 2, 3));
    assert_int_equal(source.at, 5 * CAPACITY);
    assert_int_equal(rig_write(&files.rig), 0);
    struct weir_snapshot_ack ack = *weir_snapshot_ack(writer);
    struct rig_sink sink = {.seed = 5000};
    assert_int_equal(read_one(&files, &ack, &sink), 0);
    assert_false(sink.differs);
    assert_int_equal(sink.bytes, 9 * CAPACITY);
    close_files(&files);
}

static void
fill_arena(struct weir_arena *arena, uint32_t page_cnt)
{
    for (uint32_t i = 0; i < page_cnt; i++) {
        uint32_t page;
        assert_int_equal(weir_arena_page_take(arena, &page), 0);
        ((struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS))->kind =
            WEIR_PAGE_BUCKET;
    }
}

/* The bytes of a file of so many pages, all in use. */
static uint64_t
task_file_bytes(struct files *files, struct weir_snapshot *writer, char *parts,
    uint64_t parts_bytes, uint32_t page_cnt)
{
    const struct weir_arena_spec spec = {"test", 128, {0, 128}, 16};
    uint64_t bytes = (page_cnt + 256) * UINT64_C(4096);
    struct weir_arena arena;
    struct weir_capture capture;
    struct weir_task_file file;
    void *mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    memset(mem, 0, bytes);
    assert_int_equal(weir_arena_init(&arena, &spec, mem, bytes), 0);
    fill_arena(&arena, page_cnt);
    void *beside = capture_mem(&arena, WEIR_UNDO_CNT_MIN);
    assert_int_equal(weir_capture_init(&capture, &arena, WEIR_UNDO_CNT_MIN, beside), 0);
    assert_int_equal(weir_arena_snapshot_begin(&arena), WEIR_DONE);
    assert_int_equal(weir_capture_begin(&capture, 5, true), WEIR_DONE);
    weir_task_file_init(&file, parts, parts_bytes);
    weir_task_file_pages(&file, &arena, &capture);
    const struct weir_snapshot_source source = {.fill = weir_task_file_fill, .arg = &file};
    struct weir_snapshot_id id = id_one;
    id.attempt = page_cnt;
    id.epoch = parts_bytes + 1;
    weir_snapshot_start(writer, &id, files->dir, &source);
    struct weir_snapshot *own = files->rig.writer;
    files->rig.writer = writer;
    assert_int_equal(rig_write(&files->rig), 0);
    files->rig.writer = own;
    free(beside);
    free(mem);
    return weir_snapshot_ack(writer)->file_bytes;
}

/* What the disk is asked for is neither short, nor to be cut. */
static void
t_the_length_of_a_file_is_known_before(void **state)
{
    struct place *place = *state;
    struct files files;
    struct weir_snapshot_config config = {
        .io = place->io, .block_bytes = 16384, .depth = 3, .ahead = 1};
    struct weir_snapshot *writer;
    static const uint64_t parts_bytes[] = {0, 1, 8000, 16184, 16192, 16193, 40000};
    static const uint32_t page_cnts[] = {1, 2, 3, 4, 5, 6, 7, 50};
    static _Alignas(8) char parts[40008];
    open_files(&files, place, &config);
    assert_int_equal(weir_snapshot_open(&config, &writer), 0);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(parts_bytes); i++) {
        for (uint32_t k = 0; k < WEIR_ARRAY_CNT(page_cnts); k++) {
            assert_int_equal(task_file_bytes(&files, writer, parts, parts_bytes[i], page_cnts[k]),
                weir_task_file_bytes_max(parts_bytes[i], page_cnts[k], 16384));
        }
    }
    assert_int_equal(weir_task_file_bytes_max(0, 1, WEIR_CAPTURE_RECORD_BYTES_MAX), 0);
    weir_snapshot_close(writer);
    close_files(&files);
}

static void
t_no_more_blocks_than_there_are_slots(void **state)
{
    struct place *place = *state;
    struct weir_snapshot *writer = NULL;
    struct weir_snapshot_config config = {.io = place->io,
        .depth = WEIR_SNAPSHOT_DEPTH_MAX - 1,
        .ahead = 2,
        .block_bytes = RIG_BLOCK_BYTES};
    assert_int_equal(weir_snapshot_open(&config, &writer), WEIR_EINVAL);
    config.ahead = 1;
    assert_int_equal(weir_snapshot_open(&config, &writer), 0);
    weir_snapshot_close(writer);
}

static void
t_a_full_disk_is_told_before_any_data(void **state)
{
    (void)state;
    struct place place = {.kind = WEIR_IO_SIM};
    struct weir_sim_config world = {.seed = seed(), .disk_bytes = 40000};
    assert_int_equal(weir_sim_open(&world, &place.world), 0);
    assert_int_equal(weir_sim_put(place.world, "/work/.keep", "", 0), 0);
    struct weir_io_config io_config = {.kind = WEIR_IO_SIM, .world = place.world};
    assert_int_equal(weir_io_open(&io_config, &place.io), 0);
    assert_int_equal(weir_io_start(place.io), 0);
    (void)snprintf(place.dir, sizeof place.dir, "/work");
    struct files files;
    struct weir_snapshot_config config = {0};
    open_files(&files, &place, &config);
    struct rig_source source;
    rig_source_init(&source, 5, 0, 50000);
    assert_int_not_equal(write_one(&files, 0, &source), 0);
    assert_int_equal(weir_snapshot_fault(files.rig.writer)->errnum, ENOSPC);
    assert_int_equal(source.at, 0);
    /* What fits, fits: the room came back. */
    rig_source_init(&source, 5, 0, 10000);
    assert_int_equal(write_one(&files, 1, &source), 0);
    close_files(&files);
    close_place(&place);
}

static void
t_names_are_parsed_back(void **state)
{
    (void)state;
    char name[WEIR_SNAPSHOT_NAME_BYTES];
    struct weir_snapshot_id id = {
        .checkpoint = UINT64_MAX, .epoch = 0, .attempt = 10, .task = UINT32_MAX, .subtask = 7};
    struct weir_snapshot_id back;
    weir_snapshot_name(&id, name);
    assert_true(weir_snapshot_name_parse(name, &back));
    assert_memory_equal(&id, &back, sizeof id);
    static const char *const wrong[] = {"", "1-2-3-4-5", "1-2-3-4-5.snap2", "1-2-3-4.snap",
        "01-2-3-4-5.snap", "1-2-4294967296-4-5.snap", "18446744073709551616-2-3-4-5.snap",
        "-1-2-3-4-5.snap", "1--2-3-4-5.snap", " 1-2-3-4-5.snap"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        assert_false(weir_snapshot_name_parse(wrong[i], &back));
    }
}

#define ON_EACH(test)                                                   \
    cmocka_unit_test_setup_teardown(test, set_up_uring, tear_down),     \
        cmocka_unit_test_setup_teardown(test, set_up_posix, tear_down), \
        cmocka_unit_test_setup_teardown(test, set_up_sim, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(t_what_was_written_is_read),
        ON_EACH(t_a_front_is_read_a_block_at_a_time),
        ON_EACH(t_a_reader_says_what_is_ready),
        ON_EACH(t_a_held_file_is_read_ahead),
        ON_EACH(t_direct_io_is_the_same_file),
        ON_EACH(t_a_name_is_never_used_again),
        ON_EACH(t_what_is_declined_leaves_nothing),
        ON_EACH(t_a_piece_is_not_split),
        cmocka_unit_test_setup_teardown(t_more_than_the_limit_is_declined, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(t_every_bit_is_under_a_checksum, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(t_a_block_of_elsewhere_is_found, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(t_a_rate_is_kept, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(t_blocks_are_made_while_others_fly, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(
            t_the_length_of_a_file_is_known_before, set_up_posix, tear_down),
        cmocka_unit_test_setup_teardown(
            t_no_more_blocks_than_there_are_slots, set_up_sim, tear_down),
        cmocka_unit_test(t_a_full_disk_is_told_before_any_data),
        cmocka_unit_test(t_names_are_parsed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
