/* SPDX-License-Identifier: Apache-2.0 */
/* lines_priv.h: the bytes of one input after the other, in one stretch of memory.
 *
 *     buf  [ done | at ...unread... end | a read flies here | free ]  cap
 *
 * [format: State / Part inputs of the source of lines]
 *
 *     a list (state.h), an item for each input that is not done with:
 *         0 offset of the next line in what was unpacked u64    8 lines before it u64
 *        16 flags u32: 1 no line of it was cut, 2 within a line that was too long, 4 the offset is
 *           behind the unpacker
 *        20 bytes of the path u32   24 bytes that the decoder keeps u32   28 zero
 *        32 the path, then what the decoder keeps
 *
 * [end of format]
 *
 * The consumer moves `at` and looks no further than `end`. weir_lines_feed_step reads ahead behind
 * `end`, so that the next block comes in while the last one is worked on; what is unread moves to
 * the front only when the consumer says that nothing refers to it.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_LINES_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_LINES_PRIV_H

#include "dataplane/operators/lines.h"
#include "io/io.h"
#include "io/unpack.h"

#define LINES_BLOCK_BYTES (256 * WEIR_KIB)
/* The buffer is worked through in a window of so many blocks, to stay in the cache. */
#define LINES_WINDOW_BLOCK_CNT 4
/* Unread bytes, in blocks, up to which it reads on. */
#define LINES_AHEAD_BLOCK_CNT 2
#define LINES_FILE_CNT_MAX (UINT32_C(1) << 20)

enum lines_feed_step {
    LINES_FEED_OPEN, /* no input is open: open the next one */
    LINES_FEED_OPENING,
    LINES_FEED_LOOKING, /* what is it: a file or a stream */
    LINES_FEED_CONNECTING,
    LINES_FEED_PAUSING, /* before the next try to connect */
    LINES_FEED_READING,
    LINES_FEED_CLOSING,
    LINES_FEED_END, /* no input is left */
};

/* Where an input is gone on with. */
struct lines_resume {
    uint64_t off; /* of the next line, in what was unpacked */
    uint64_t line_number; /* lines before it */
    uint32_t flags; /* LINES_RESUME_ */
    uint32_t kept_bytes;
    char *kept; /* of the decoder's memory; NULL: none */
};
/* Part of the format. */
#define LINES_RESUME_NEW 1U /* no line of it was cut */
#define LINES_RESUME_DROPPING 2U /* in a line that was too long */
#define LINES_RESUME_PACKED 4U /* off is behind the unpacker */
#define LINES_RESUME_FLAGS 7U

struct lines_feed {
    const struct weir_lines_conf *conf;
    struct weir_io *io;
    struct weir_io_op op;
    enum lines_feed_step step;
    bool is_busy; /* op is due to be submitted */
    int32_t handle;
    struct weir_io_stat st;
    /* inputs of this subtask */
    char **paths;
    uint32_t path_cnt;
    uint32_t path_idx; /* the next to open */
    const char *path; /* the open one, for messages */
    bool is_socket;
    bool is_stream; /* read in turn, not by offset */
    uint32_t try_cnt; /* connections tried in a row without a byte */
    uint64_t read_off;
    uint64_t end_off; /* of buf + end, in the input as it is unpacked */
    struct lines_resume *resume; /* [path_cnt], or NULL; all zero: from the start */
    bool is_taken_up; /* the resume of this input */
    bool is_resumed; /* the consumer takes up the resume of the open input, and clears this */
    uint64_t skip; /* unpacked bytes to pass over */
    uint64_t done_bytes; /* of the inputs before this one */
    uint64_t all_bytes; /* of all inputs; 0: one of them is no file */
    bool is_first; /* what kind of input it is was not told by its first bytes yet: take none */
    bool is_read; /* its end was read */
    bool is_ended; /* all of it is in the buffer */
    bool is_starving; /* writer: the consumer; what is unread is no whole line */
    /* bytes */
    char *buf;
    size_t cap;
    size_t at;
    size_t end;
    size_t block_bytes;
    /* packed input */
    struct weir_unpack *unpack;
    char *packed;
    size_t packed_at;
    size_t packed_end;
    bool is_packed;
};

/* weir_lines_feed_open - find the inputs and allocate; blocks. weir_lines_feed_close - accepts half
 * of it. */
int weir_lines_feed_open(struct lines_feed *feed, const struct weir_operator *op);
void weir_lines_feed_close(struct lines_feed *feed);

/* weir_lines_feed_assign - read these inputs in the place of those that open found, from where they
 * were left. Before the first step; blocks. Owner: takes both arrays, and what they point to. */
void weir_lines_feed_assign(
    struct lines_feed *feed, char **paths, struct lines_resume *resume, uint32_t cnt);
/* weir_lines_feed_off - where a byte of the buffer lies in the open input. */
static inline uint64_t
weir_lines_feed_off(const struct lines_feed *feed, const char *at)
{
    return feed->end_off - (uint64_t)(feed->buf + feed->end - at);
}

/* weir_lines_feed_step - go on as far as is possible without waiting.
 *
 * may_move: nothing refers to bytes of the buffer. Returns: WEIR_AGAIN when there are new bytes, or
 * the input has ended (is_ended); WEIR_WAIT; WEIR_DONE when no input is left; or an error.
 */
int weir_lines_feed_step(struct lines_feed *feed, bool may_move, int64_t now_ns);
/* weir_lines_feed_next - the consumer is done with the ended input: go on to the next. */
void weir_lines_feed_next(struct lines_feed *feed);

#endif
