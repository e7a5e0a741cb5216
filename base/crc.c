/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc.h"

#include <isa-l/crc.h>

/* The library takes an int for the length; a piece this long keeps it positive and aligned. */
#define CRC_PIECE_BYTES (1u << 30)

uint32_t
weir_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    /* The library reads only; its parameter merely lacks the const. */
    unsigned char *p = (unsigned char *)(uintptr_t)data;
    uint32_t raw = ~crc;
    while (bytes > 0) {
        int piece = (int)weir_min_u64(bytes, CRC_PIECE_BYTES);
        raw = crc32_iscsi(p, piece, raw);
        p += piece;
        bytes -= (size_t)piece;
    }
    return ~raw;
}
