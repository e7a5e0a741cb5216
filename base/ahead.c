/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ahead.h"

__thread struct weir_ahead weir_ahead_own;
