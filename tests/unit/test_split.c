/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "apps/words/split.h"
#include "base/rng.h"
#include "dataplane/out.h"
#include "tests/unit/test.h"

#define TEXT_BYTES WEIR_PAGE_BYTES
#define LINE_CNT_MAX 64

/* Lines that end where a page does, with no page behind it: who reads too far falls. */
struct rig {
    char *pages;
    char *text; /* the last TEXT_BYTES */
    uint32_t line_cnt;
    struct stamped line[LINE_CNT_MAX];
    struct weir_operator op;
    struct weir_out out;
    uint32_t batch_rows;
};

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->pages =
        mmap(NULL, 3 * WEIR_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(rig->pages != MAP_FAILED);
    assert_int_equal(mprotect(rig->pages + 2 * WEIR_PAGE_BYTES, WEIR_PAGE_BYTES, PROT_NONE), 0);
    rig->text = rig->pages + 2 * WEIR_PAGE_BYTES - TEXT_BYTES;
    rig->op.self = calloc(1, words_split_type.self_bytes);
    rig->out.buf_bytes = 64 * WEIR_KIB;
    rig->out.base = aligned_alloc(WEIR_LINE_BYTES, rig->out.buf_bytes);
    assert_true(rig->op.self != NULL && rig->out.base != NULL);
}

static void
rig_close(struct rig *rig)
{
    free(rig->out.base);
    free(rig->op.self);
    assert_int_equal(munmap(rig->pages, 3 * WEIR_PAGE_BYTES), 0);
}

static void
rig_fill(struct rig *rig, struct weir_rng *rng)
{
    static const char blank[] = " \t\n\v\f\r";
    uint32_t word_max = 1 + (uint32_t)weir_rng_below(rng, 90);
    uint32_t blank_max = 1 + (uint32_t)weir_rng_below(rng, 5);
    for (uint32_t at = 0; at < TEXT_BYTES;) {
        uint64_t bytes = 1 + weir_rng_below(rng, word_max);
        for (; bytes > 0 && at < TEXT_BYTES; bytes--) {
            uint8_t c = (uint8_t)weir_rng_below(rng, 256);
            rig->text[at++] = (char)(c == ' ' || (c >= '\t' && c <= '\r') ? 'x' : c);
        }
        bytes = 1 + weir_rng_below(rng, blank_max);
        for (; bytes > 0 && at < TEXT_BYTES; bytes--) {
            rig->text[at++] = blank[weir_rng_below(rng, sizeof blank - 1)];
        }
    }
    uint32_t from = 0;
    rig->line_cnt = 0;
    while (from < TEXT_BYTES && rig->line_cnt < LINE_CNT_MAX) {
        uint32_t bytes = (uint32_t)weir_rng_below(rng, rig->line_cnt % 2 == 0 ? 300 : 66);
        if (rig->line_cnt == LINE_CNT_MAX - 1 || from + bytes > TEXT_BYTES) {
            bytes = TEXT_BYTES - from;
        }
        struct stamped *line = &rig->line[rig->line_cnt++];
        line->at = (int64_t)weir_rng_below(rng, 1000);
        line->text = weir_str_ref(rig->pages, rig->text + from, bytes);
        from += bytes;
    }
}

/* The next word of the lines, byte by byte; false at their end. */
struct model {
    uint32_t line;
    uint32_t at;
};

static bool
model_next(const struct rig *rig, struct model *model, struct weir_slice *ret_word)
{
    for (; model->line < rig->line_cnt; model->line++, model->at = 0) {
        struct weir_slice text = weir_str_slice(&rig->line[model->line].text, rig->pages);
        uint32_t at = model->at;
        while (
            at < text.bytes && strchr(" \t\n\v\f\r", text.ptr[at]) != NULL && text.ptr[at] != 0) {
            at++;
        }
        ret_word->ptr = text.ptr + at;
        while (
            at < text.bytes && (strchr(" \t\n\v\f\r", text.ptr[at]) == NULL || text.ptr[at] == 0)) {
            at++;
        }
        ret_word->bytes = (uint32_t)(text.ptr + at - ret_word->ptr);
        model->at = at;
        if (ret_word->bytes > 0) {
            return true;
        }
    }
    return false;
}

/* What one call made, against the model. */
static void
check_out(const struct rig *rig, struct model *model)
{
    const struct weir_view *view = &rig->out.view;
    const struct weir_str *words = WEIR_COLUMN(view, struct word, word);
    const int64_t *times = WEIR_COLUMN(view, struct word, at);
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (uint32_t i = 0; i < view->cnt; i++) {
        struct weir_slice want;
        assert_true(model_next(rig, model, &want));
        /* All bytes of a string are told by its text: zeros behind a short one. */
        struct weir_str str = weir_str_ref(view->heap, want.ptr, want.bytes);
        assert_memory_equal(&words[i], &str, sizeof str);
        assert_int_equal(times[i], rig->line[model->line].at);
        min = weir_min_i64(min, times[i]);
        max = weir_max_i64(max, times[i]);
    }
    if (view->cnt > 0) {
        assert_true(view->time_min == min && view->time_max == max);
    }
}

static void
t_words_are_those_of_a_byte_by_byte_loop(void **state)
{
    (void)state;
    static struct rig rig;
    struct weir_rng rng;
    rig_open(&rig);
    for (uint64_t seed = 1; seed <= 400; seed++) {
        weir_rng_init(&rng, seed);
        rig_fill(&rig, &rng);
        const struct weir_out_shape shape = {.schema = word_schema(),
            .columns = true,
            .buf_bytes = rig.out.buf_bytes,
            .batch_rows = seed % 3 == 0 ? 64 : 1024};
        struct weir_view in = {.schema = stamped_schema(),
            .rows = (char *)rig.line,
            .stride = sizeof rig.line[0],
            .cnt = rig.line_cnt,
            .row_cnt = rig.line_cnt,
            .heap = rig.pages};
        struct model model = {0, 0};
        for (uint32_t cursor = 0; cursor < rig.line_cnt;) {
            weir_out_init(&rig.out, &shape);
            int64_t got = words_split_type.process(&rig.op, 0, &in, cursor, &rig.out, 0);
            assert_true(got >= 0 && (got > 0 || rig.out.view.cnt > 0));
            check_out(&rig, &model);
            cursor += (uint32_t)got;
        }
        struct weir_slice none;
        assert_false(model_next(&rig, &model, &none));
    }
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_words_are_those_of_a_byte_by_byte_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
