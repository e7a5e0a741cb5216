/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h: JSON lines of the Nexmark suite as rows, for the engine's source of lines. */
#ifndef WEIR_APPS_NEXMARK_DECODE_H
#define WEIR_APPS_NEXMARK_DECODE_H

#include "dataplane/decode.h"

/* Rows are nexmark_row (source.h); conf is NULL. A payload takes the place of its line. */
extern const struct weir_decoder_type nexmark_decoder_type;

#endif
