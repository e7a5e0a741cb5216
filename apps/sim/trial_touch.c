/* SPDX-License-Identifier: Apache-2.0 */
/* trial_touch.c: between two starts somebody cuts or changes a part that a sink has committed, and
 * that its output is yet to be made of. The next start has to say so: at once where it was cut, and
 * before the output appears in any case. Behind that start the part is put right. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/sim/trial_priv.h"
#include "base/rng.h"
#include "io/sim.h"

/* One start of so many. */
#define TOUCH_ONE_IN 4

/* Of an output F that is not there yet. */
static bool
is_waiting(struct trial *trial, const char *path)
{
    static const char parts[] = ".parts/part-";
    char output[2 * SIM_PATH_BYTES_MAX];
    uint64_t bytes;
    const char *at = path != NULL ? strstr(path, parts) : NULL;
    if (at == NULL || (size_t)(at - path) >= sizeof output) {
        return false;
    }
    memcpy(output, path, (size_t)(at - path));
    output[at - path] = '\0';
    return weir_sim_get(trial->sim, output, &bytes) == NULL &&
           weir_sim_get(trial->sim, path, &bytes) != NULL && bytes > 0;
}

static const char *
choose(struct trial *trial, struct weir_rng *rng)
{
    const char *chosen = NULL;
    uint64_t cnt = 0;
    for (uint32_t i = 0; i < weir_sim_path_end(trial->sim); i++) {
        const char *path = weir_sim_path_at(trial->sim, i);
        if (is_waiting(trial, path) && weir_rng_below(rng, ++cnt) == 0) {
            chosen = path;
        }
    }
    return chosen;
}

static void
put(struct trial *trial, const char *bytes, uint64_t cnt)
{
    if (weir_sim_put(trial->sim, trial->touch.path, bytes, cnt) != 0) {
        weir_err_clear();
        trial_fail(trial, "%s cannot be touched", trial->touch.path);
    }
}

void
trial_touch(struct trial *trial)
{
    struct trial_touch *touch = &trial->touch;
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_mix(trial->draw.seed) + trial->result->start_cnt);
    const char *path = weir_rng_chance(&rng, 1, TOUCH_ONE_IN) ? choose(trial, &rng) : NULL;
    if (path == NULL) {
        return;
    }
    const char *bytes = weir_sim_get(trial->sim, path, &touch->cnt);
    char *other = malloc(touch->cnt);
    touch->good = malloc(touch->cnt);
    touch->path = strdup(path);
    if (other == NULL || touch->good == NULL || touch->path == NULL) {
        abort();
    }
    memcpy(touch->good, bytes, touch->cnt);
    memcpy(other, bytes, touch->cnt);
    touch->is_cut = weir_rng_chance(&rng, 1, 2);
    other[weir_rng_below(&rng, touch->cnt)] ^= 1;
    put(trial, other, touch->cnt - (touch->is_cut ? 1 : 0));
    free(other);
    trial_note(trial, "  %s is %s", path, touch->is_cut ? "cut" : "changed");
}

int
trial_untouch(struct trial *trial, int step)
{
    struct trial_touch *touch = &trial->touch;
    uint64_t cnt;
    if (touch->path == NULL) {
        return step;
    }
    /* Whoever takes a checkpoint has restored one; a stop with savepoint leaves the output open. */
    bool has_ended = step == 0 && !trial->saves.is_stopping;
    bool goes_on = has_ended || (step >= 0 && touch->is_cut && trial->completed_cnt > 0);
    if (goes_on) {
        trial_fail(trial, "invariant S3: %s was %s, and start %" PRIu32 " %s", touch->path,
            touch->is_cut ? "cut" : "changed", trial->result->start_cnt,
            has_ended ? "came to its end" : "went on");
    }
    if (weir_sim_get(trial->sim, touch->path, &cnt) != NULL) {
        put(trial, touch->good, touch->cnt);
    }
    free(touch->path);
    free(touch->good);
    memset(touch, 0, sizeof *touch);
    return goes_on ? -1 : step;
}
