/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.h: zstd frames to bytes, as a stream; several frames in a row are one stream. */
#ifndef WEIR_IO_UNPACK_H
#define WEIR_IO_UNPACK_H

#include "base/base.h"

/* What every zstd frame begins with. */
#define WEIR_UNPACK_MAGIC "\x28\xb5\x2f\xfd"
#define WEIR_UNPACK_MAGIC_BYTES 4

struct weir_unpack;

/* One step: input that is left, and room for output; both are moved on. */
struct weir_unpack_step {
    const char *in;
    size_t in_bytes;
    char *out;
    size_t out_bytes;
};

/* weir_unpack_open - allocates; a frame's window (128 MiB at most) is allocated at its
 * beginning. */
WEIR_API int weir_unpack_open(struct weir_unpack **ret_unpack) WEIR_MUST_USE;
WEIR_API void weir_unpack_close(struct weir_unpack *unpack);
/* weir_unpack_reset - forget what was begun: a new stream follows. */
WEIR_API void weir_unpack_reset(struct weir_unpack *unpack);
/* weir_unpack_run - until the input is used up or the output is full. WEIR_EDATA: it is damaged. */
WEIR_API int
weir_unpack_run(struct weir_unpack *unpack, struct weir_unpack_step *step) WEIR_MUST_USE;
/* weir_unpack_is_whole - the input so far ends where a frame ends. */
WEIR_API bool weir_unpack_is_whole(const struct weir_unpack *unpack);

#endif
