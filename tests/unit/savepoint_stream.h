/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_stream.h: the stream of a savepoint in memory: written and read in pieces of any size.
 */
#ifndef WEIR_TESTS_UNIT_SAVEPOINT_STREAM_H
#define WEIR_TESTS_UNIT_SAVEPOINT_STREAM_H

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "dataplane/savepoint.h"
#include "tests/unit/test.h"

/* The call answers code, and `part` is in what it pushed. */
static WEIR_UNUSED void
assert_error(int is, int code, const char *part)
{
    char text[1024] = "";
    weir_err_save(text, sizeof text);
    weir_err_clear();
    if (is != code || strstr(text, part) == NULL) {
        fail_msg("%d, wanted %d; '%s' is not in '%s'", is, code, part, text);
    }
}

struct stream {
    char *data;
    size_t bytes;
    size_t cap;
    struct weir_savepoint_totals totals;
};

static WEIR_UNUSED void
stream_free(struct stream *stream)
{
    free(stream->data);
    memset(stream, 0, sizeof *stream);
}

static WEIR_UNUSED void
stream_add(struct stream *stream, const void *data, size_t bytes)
{
    if (stream->bytes + bytes > stream->cap) {
        stream->cap = stream->cap * 2 + bytes;
        stream->data = realloc(stream->data, stream->cap);
        assert_non_null(stream->data);
    }
    if (bytes > 0) {
        memcpy(stream->data + stream->bytes, data, bytes);
    }
    stream->bytes += bytes;
}

/* All of one writer behind what is there: 0, or its error. piece_max: bytes of a fill. */
static WEIR_UNUSED int
stream_write_one(const struct weir_savepoint_spec *spec, uint64_t seed, uint32_t piece_max,
    struct stream *stream)
{
    struct weir_savepoint_source *source;
    struct weir_rng rng;
    char *piece = malloc(piece_max);
    assert_non_null(piece);
    weir_rng_init(&rng, seed);
    int err = weir_savepoint_source_open(spec, &source);
    if (err < 0) {
        free(piece);
        return err;
    }
    size_t before = stream->bytes;
    for (;;) {
        uint64_t bytes = 1 + weir_rng_below(&rng, piece_max);
        int64_t got = weir_savepoint_fill(source, piece, bytes);
        if (got == WEIR_SNAPSHOT_BUSY) {
            continue;
        }
        if (got <= 0) {
            err = (int)got;
            break;
        }
        assert_true((uint64_t)got <= bytes);
        stream_add(stream, piece, (size_t)got);
    }
    stream->totals = *weir_savepoint_source_totals(source);
    if (err == 0) { /* the index of key groups is right */
        uint32_t cnt;
        const struct weir_snapshot_group *group = weir_savepoint_source_groups(source, &cnt);
        assert_int_equal(stream->totals.bytes, stream->bytes - before);
        assert_int_equal(stream->totals.key_groups, cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            uint32_t is;
            const char *at = stream->data + before + group[i].off;
            assert_true(group[i].off + group[i].bytes <= stream->totals.bytes);
            assert_int_equal(at[4], WEIR_SAVEPOINT_GROUP);
            memcpy(&is, at + WEIR_SAVEPOINT_HEAD_BYTES, sizeof is);
            assert_int_equal(is, group[i].key_group);
        }
    }
    weir_savepoint_source_close(source);
    free(piece);
    return err;
}

/* All of writer_cnt writers, one behind the other. */
static WEIR_UNUSED int
stream_write(const struct weir_savepoint_spec *spec, uint64_t seed, uint32_t writer_cnt,
    struct stream *stream)
{
    struct weir_savepoint_spec each = *spec;
    int err = 0;
    memset(stream, 0, sizeof *stream);
    for (uint32_t i = 0; i < writer_cnt && err == 0; i++) {
        each.writer_idx = i;
        each.writer_cnt = writer_cnt;
        err = stream_write_one(&each, seed + i, 5000, stream);
    }
    return err;
}

/* Read it in pieces: 0, or the error. The reader is the caller's to close. */
static WEIR_UNUSED int
stream_read(const struct stream *stream, const struct weir_savepoint_events *events, uint64_t seed,
    struct weir_savepoint_reader **ret_reader)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    assert_int_equal(weir_savepoint_reader_open(events, ret_reader), 0);
    int err = 0;
    for (size_t at = 0; at < stream->bytes && err == 0;) {
        size_t bytes = 1 + (size_t)weir_rng_below(&rng, 9000);
        bytes = bytes < stream->bytes - at ? bytes : stream->bytes - at;
        err = weir_savepoint_take(*ret_reader, stream->data + at, bytes, at);
        at += bytes;
    }
    return err < 0 ? err : weir_savepoint_reader_end(*ret_reader);
}

/* Loads operators of one stage into its arena. */
struct stream_load {
    struct weir_arena *arena;
    struct weir_savepoint_ops ops; /* of the stage */
    struct weir_savepoint_ops job; /* of the whole job, where it has more */
    struct weir_savepoint_load *load;
    uint32_t dropped;
};

static WEIR_UNUSED int
stream_load_begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct stream_load *to = arg;
    int err =
        weir_savepoint_check(savepoint, to->job.op_cnt > 0 ? &to->job : &to->ops, &to->dropped);
    return err < 0 ? err : weir_savepoint_load_open(savepoint, to->arena, &to->ops, &to->load);
}

static WEIR_UNUSED int
stream_load_row(void *arg, const struct weir_savepoint_row *row)
{
    struct stream_load *to = arg;
    return weir_savepoint_load_row(to->load, row);
}

/* 0, or the error; the reader, which has the catalogue for parts, is the caller's to close. */
static WEIR_UNUSED int
stream_load(const struct stream *stream, struct stream_load *to, uint64_t seed,
    struct weir_savepoint_reader **ret_reader)
{
    const struct weir_savepoint_events events = {stream_load_begin, stream_load_row, to};
    int err = stream_read(stream, &events, seed, ret_reader);
    err = err < 0 ? err : weir_savepoint_load_end(to->load);
    weir_savepoint_load_close(to->load);
    to->load = NULL;
    return err;
}

#endif
