/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: a target is one function over any bytes; it must return, and read nothing beyond them.
 *
 * Each target is always built with replay.c, which feeds it its corpus and seeded mutations of it:
 * that is the `fuzz-replay` suite, also under the sanitizers. The same file links with libFuzzer:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_json.c ... -o fuzz_json
 */
#ifndef WEIR_TESTS_FUZZ_FUZZ_H
#define WEIR_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
