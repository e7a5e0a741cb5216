/* SPDX-License-Identifier: Apache-2.0 */
/* split.h: the words of stamped lines, where they lie.
 *
 *     (7, "to be  or")   ->   ("to", 7) ("be", 7) ("or", 7)
 *
 * Words are what stands between ASCII white space. They are not copied: short ones lie in the
 * string itself, long ones refer to the heap of the lines.
 */
#ifndef WEIR_APPS_WORDS_SPLIT_H
#define WEIR_APPS_WORDS_SPLIT_H

#include "dataplane/function.h"

#define STAMPED(F) F(time, at) F(str, text)
WEIR_SCHEMA(stamped, STAMPED)
#define WORD(F) F(str, word) F(time, at)
WEIR_SCHEMA(word, WORD)

/* Rows of stamped in, rows of word out; no configuration. */
extern const struct weir_operator_type words_split_type;

#endif
