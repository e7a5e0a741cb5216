/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/row.h"

#include "base/rng.h"

#define VALUE_CNT 1000
#define TEXT_CNT 997
#define LATE_ONE_IN 64

static uint64_t
bits_at(const struct sim_source *source, uint32_t split, uint64_t i)
{
    return weir_rng_at(source->seed + split, i);
}

static bool
is_late(const struct sim_source *source, uint64_t bits, uint64_t i)
{
    return source->late_ms > 0 && (int64_t)i * source->step_ms > source->late_ms &&
           (bits >> 52) % LATE_ONE_IN == 0;
}

bool
sim_row_is_late(const struct sim_source *source, uint32_t split, uint64_t i)
{
    return source->late_ms > 0 && is_late(source, bits_at(source, split, i), i);
}

void
sim_row_at(const struct sim_source *source, uint32_t split, uint64_t i, struct sim_row *ret_row)
{
    uint64_t bits = bits_at(source, split, i);
    uint64_t more = weir_rng_mix(bits);
    bool is_hot = source->is_skewed && (more & 1) != 0;
    uint64_t key = is_hot ? 0 : weir_rng_scale(bits, source->key_cnt);
    int64_t early_ms = source->jitter_ms == 0 ? 0 : (int64_t)(more >> 24) % (source->jitter_ms + 1);
    ret_row->key = (int64_t)(split + key * source->split_cnt);
    ret_row->value = (int64_t)((bits >> 20 & 0xffffff) % VALUE_CNT);
    ret_row->tag = (int64_t)((uint64_t)(source->idx + 1) << 40 | (uint64_t)split << 32 | i);
    ret_row->at_ms = (int64_t)i * source->step_ms + source->jitter_ms - early_ms;
    ret_row->text = (uint32_t)(bits & 0xfffff) % TEXT_CNT;
    ret_row->is_late = is_late(source, bits, i);
    if (ret_row->is_late) {
        ret_row->at_ms = (int64_t)i * source->step_ms - source->late_ms;
    }
}

uint32_t
sim_text(uint32_t text, char ret_text[SIM_TEXT_BYTES_MAX])
{
    if (text == 0) {
        return 0;
    }
    uint32_t bytes = 1 + text * 7 % (SIM_TEXT_BYTES_MAX - 1);
    uint32_t at = text;
    for (uint32_t i = 0; i < bytes; i++) {
        at = at * 5 + 3;
        ret_text[i] = (char)('a' + (at >> 4) % 26);
    }
    return bytes;
}
