/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/debloat.h"

#include <math.h>

#include "base/err.h"

#define PERCENT 100

int
weir_debloat_init(struct weir_debloat *debloat, const struct weir_debloat_conf *conf)
{
    if (conf->size_min == 0 || conf->size_min > conf->size_max || conf->sample_cnt == 0 ||
        conf->target_ns < 0) {
        return weir_err_push(WEIR_EINVAL, "buffers of %u to %u bytes, an average of %u samples",
            conf->size_min, conf->size_max, conf->sample_cnt);
    }
    *debloat =
        (struct weir_debloat){.conf = *conf, .average = conf->size_max, .size = conf->size_max};
    return 0;
}

static uint32_t
add_sample(struct weir_debloat *debloat, double bytes, uint32_t buf_cnt)
{
    const struct weir_debloat_conf *conf = &debloat->conf;
    double wanted = fmin(bytes / buf_cnt, 2 * debloat->average);
    double average =
        debloat->average + 2.0 / (conf->sample_cnt + 1.0) * (wanted - debloat->average);
    debloat->average = fmax(conf->size_min, fmin(average, conf->size_max));
    return (uint32_t)lround(debloat->average);
}

int
weir_debloat_average(
    struct weir_debloat *debloat, int64_t bytes, uint32_t buf_cnt, uint32_t *ret_size)
{
    if (bytes < 0 || buf_cnt == 0) {
        return weir_err_push(WEIR_EINVAL, "%lld bytes in %u buffers", (long long)bytes, buf_cnt);
    }
    *ret_size = add_sample(debloat, (double)bytes, buf_cnt);
    return 0;
}

/* Whether so small a change is worth telling. */
static bool
is_small(const struct weir_debloat *debloat, uint32_t size)
{
    const struct weir_debloat_conf *conf = &debloat->conf;
    uint64_t change = size > debloat->size ? size - debloat->size : debloat->size - size;
    bool is_bound = size == conf->size_min || size == conf->size_max;
    return change == 0 ||
           (!is_bound && change * PERCENT < (uint64_t)debloat->size * conf->threshold_percent);
}

int
weir_debloat_sample(
    struct weir_debloat *debloat, uint64_t bytes_per_s, uint32_t buf_cnt, uint32_t *ret_size)
{
    double bytes = (double)bytes_per_s * (double)debloat->conf.target_ns / (double)WEIR_SEC_NS;
    uint32_t size = add_sample(debloat, bytes, buf_cnt != 0 ? buf_cnt : 1);
    if (is_small(debloat, size)) {
        return 0;
    }
    debloat->size = size;
    *ret_size = size;
    return 1;
}
