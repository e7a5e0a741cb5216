/* SPDX-License-Identifier: Apache-2.0 */
/* test.h: cmocka with the headers that it wants before it. */
#ifndef WEIR_TESTS_UNIT_TEST_H
#define WEIR_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
