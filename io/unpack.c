/* SPDX-License-Identifier: Apache-2.0 */
#include "io/unpack.h"

#include <stdlib.h>

#include <zstd.h>

#include "base/err.h"

struct weir_unpack {
    ZSTD_DCtx *context;
    bool is_inside; /* of a frame */
};

int
weir_unpack_open(struct weir_unpack **ret_unpack)
{
    struct weir_unpack *unpack = calloc(1, sizeof *unpack);
    if (unpack == NULL || (unpack->context = ZSTD_createDCtx()) == NULL) {
        free(unpack);
        return weir_err_push(WEIR_ENOMEM, "zstd");
    }
    *ret_unpack = unpack;
    return 0;
}

void
weir_unpack_close(struct weir_unpack *unpack)
{
    if (unpack != NULL) {
        (void)ZSTD_freeDCtx(unpack->context); /* always 0 */
        free(unpack);
    }
}

void
weir_unpack_reset(struct weir_unpack *unpack)
{
    (void)ZSTD_DCtx_reset(unpack->context, ZSTD_reset_session_only); /* cannot fail for a session */
    unpack->is_inside = false;
}

int
weir_unpack_run(struct weir_unpack *unpack, struct weir_unpack_step *step)
{
    ZSTD_inBuffer in = {step->in, step->in_bytes, 0};
    ZSTD_outBuffer out = {step->out, step->out_bytes, 0};
    int err = 0;
    while (out.pos < out.size) {
        size_t in_before = in.pos;
        size_t out_before = out.pos;
        size_t rc = ZSTD_decompressStream(unpack->context, &out, &in);
        if (ZSTD_isError(rc)) {
            err = weir_err_push(WEIR_EDATA, "zstd: %s", ZSTD_getErrorName(rc));
            break;
        }
        /* 0 is the end of a frame; without any progress a call tells of the next one's header. */
        if (in.pos != in_before || out.pos != out_before) {
            unpack->is_inside = rc != 0;
        } else {
            break;
        }
    }
    step->in += in.pos;
    step->in_bytes -= in.pos;
    step->out += out.pos;
    step->out_bytes -= out.pos;
    return err;
}

bool
weir_unpack_is_whole(const struct weir_unpack *unpack)
{
    return !unpack->is_inside;
}
