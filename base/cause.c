/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cause.h"

void
weir_cause_take(struct weir_cause *cause, int error)
{
    if (cause->error == 0) {
        cause->error = error;
        weir_err_save(cause->text, sizeof cause->text);
    } else {
        if (cause->suppressed_cnt < WEIR_CAUSE_SUPPRESSED_CNT_MAX) {
            weir_err_save(cause->suppressed[cause->suppressed_cnt], WEIR_CAUSE_SUPPRESSED_BYTES);
        }
        cause->suppressed_cnt++;
    }
    weir_err_clear();
}

int
weir_cause_push(const struct weir_cause *cause, const char *who)
{
    uint32_t kept_cnt = weir_min_u32(cause->suppressed_cnt, WEIR_CAUSE_SUPPRESSED_CNT_MAX);
    if (cause->suppressed_cnt > kept_cnt) {
        (void)weir_err_push(cause->error, "suppressed: %u more", cause->suppressed_cnt - kept_cnt);
    }
    for (uint32_t i = kept_cnt; i-- > 0;) {
        (void)weir_err_push(cause->error, "suppressed: %s", cause->suppressed[i]);
    }
    return weir_err_push(cause->error, "%s: %s", who, cause->text);
}
