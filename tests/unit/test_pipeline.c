/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/test.h"

#define SOURCE                                                                            \
    "  source:\n    path: in.csv\n    time: at\n    lag: 4s\n    schema:\n"               \
    "      auction: i64\n      ok: bool?\n      price: decimal(3)\n      at: timestamp\n" \
    "      note: string?\n      part: i32\n      rate: f64\n"
#define SINK "  sink: {path: out.csv}\n"

static struct weir_yaml *yaml;

static int
open_text(const char *text, struct weir_pipeline **ret_pipeline)
{
    assert_int_equal(weir_yaml_parse("p.yaml", text, strlen(text), &yaml), 0);
    const struct weir_yaml_node *section = weir_yaml_get(weir_yaml_root(yaml), "pipeline");
    assert_non_null(section);
    return weir_pipeline_open(yaml, section, ret_pipeline);
}

static struct weir_pipeline *
accepted(const char *text)
{
    struct weir_pipeline *pipeline = NULL;
    if (open_text(text, &pipeline) != 0) {
        char message[1024];
        weir_err_save(message, sizeof message);
        fail_msg("refused: %s", message);
    }
    return pipeline;
}

static void
done(struct weir_pipeline *pipeline)
{
    weir_pipeline_close(pipeline);
    weir_yaml_close(yaml);
    weir_err_clear();
}

static void
refused(const char *text, const char *part)
{
    struct weir_pipeline *pipeline = NULL;
    char message[1024];
    weir_err_clear();
    assert_int_equal(open_text(text, &pipeline), WEIR_ECONFIG);
    weir_err_save(message, sizeof message);
    if (strstr(message, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, message);
    }
    done(NULL);
}

static void
t_declared_schema_is_laid_out_as_in_c(void **state)
{
    (void)state;
    struct row {
        uint64_t nulls;
        int64_t auction;
        uint8_t ok;
        int64_t price;
        int64_t at;
        struct weir_str note;
        int32_t part;
        double rate;
    };
    struct weir_pipeline *p = accepted("pipeline:\n" SOURCE SINK);
    assert_int_equal(weir_schema_check(p->schema), 0);
    assert_int_equal(p->schema->row_bytes, sizeof(struct row));
    assert_int_equal(p->schema->fields[1].off, offsetof(struct row, ok));
    assert_int_equal(p->schema->fields[4].off, offsetof(struct row, note));
    assert_int_equal(p->schema->fields[6].off, offsetof(struct row, rate));
    assert_int_equal(p->schema->fields[2].type, WEIR_TYPE_DEC);
    assert_int_equal(p->schema->fields[2].scale, 3);
    assert_true(p->schema->has_nulls && p->schema->fields[1].nullable);
    assert_int_equal(p->schema->time_idx, 3);
    assert_int_equal(p->lag_ms, 4000);
    assert_true(p->csv.has_header && p->csv.separator == ',' && !p->json);
    assert_string_equal(p->params[0].def, "in.csv");
    assert_string_equal(p->params[1].name, "output");
    assert_string_equal(p->params[2].name, "on_error");
    assert_null(p->params[WEIR_PIPELINE_PARAM_CNT - 1].name);
    done(p);
}

static void
t_condition_becomes_terms_of_the_fields_types(void **state)
{
    (void)state;
    struct weir_pipeline *p = accepted(
        "pipeline:\n" SOURCE SINK "  ops:\n    - where: price >= 100.5 and note = \"a b\" and ok "
        "is not null and rate<1e3 and "
        "at > '2024-01-01 00:00:00'\n    - where: ok == true and part != -7 and note is null\n");
    const struct weir_where_conf *w = &p->op[0].conf.where;
    assert_int_equal(p->op_cnt, 2);
    assert_int_equal(w->term_cnt, 5);
    assert_int_equal(w->term[0].field_idx, 2);
    assert_int_equal(w->term[0].test, WEIR_WHERE_GE);
    assert_int_equal(w->term[0].number, 100500);
    assert_int_equal(w->term[1].text_bytes, 3);
    assert_memory_equal(w->term[1].text, "a b", 3);
    assert_int_equal(w->term[2].test, WEIR_WHERE_NOT_NULL);
    assert_true(w->term[3].real == 1000.0);
    assert_int_equal(w->term[4].number, INT64_C(1704067200000));
    w = &p->op[1].conf.where;
    assert_int_equal(w->term[0].number, 1);
    assert_int_equal(w->term[1].number, -7);
    assert_int_equal(w->term[1].test, WEIR_WHERE_NE);
    assert_int_equal(w->term[2].test, WEIR_WHERE_NULL);
    done(p);
}

static void
t_steps_see_the_schema_that_the_one_before_left(void **state)
{
    (void)state;
    struct weir_pipeline *p =
        accepted("pipeline:\n" SOURCE SINK
                 "  ops:\n    - select: {id: auction, cents: price}\n    - where: cents > 1\n"
                 "    - window: {key: [id], size: 10s, slide: 2s, sum: {total: cents}}\n"
                 "    - select: [window_end, total]\n");
    assert_int_equal(p->op[0].out_schema->field_cnt, 2);
    assert_string_equal(p->op[0].out_schema->fields[1].name, "cents");
    assert_int_equal(p->op[0].conf.select.from[1], 2);
    assert_int_equal(p->op[2].conf.window.span.size_ms, 10000);
    assert_int_equal(p->op[2].conf.window.span.slide_ms, 2000);
    const struct weir_schema *window = p->op[2].out_schema;
    assert_int_equal(window->field_cnt, 4);
    assert_string_equal(window->fields[2].name, "id");
    assert_string_equal(window->fields[3].name, "total");
    assert_int_equal(window->fields[3].scale, 3);
    assert_int_equal(p->op[3].conf.select.from[0], 1);
    done(p);
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - select: [auction]\n    - where: price > 1\n",
        ":17:14: there is no field 'price' here");
}

static void
t_windows_of_each_key_are_sessions_grow_or_take_late_rows(void **state)
{
    (void)state;
    struct weir_pipeline *p =
        accepted("pipeline:\n" SOURCE SINK
                 "  ops:\n    - window: {key: [auction], session: 10s, lateness: 3s, count: n}\n");
    const struct weir_general_conf *conf = &p->op[0].conf.general;
    assert_int_equal(p->op[0].kind, WEIR_PIPELINE_GENERAL);
    assert_int_equal(conf->span.kind, WEIR_GENERAL_SESSIONS);
    assert_int_equal(conf->span.size_ms, 10000);
    assert_int_equal(conf->lateness_ms, 3000);
    assert_string_equal(p->op[0].out_schema->fields[2].name, "auction");
    done(p);
    p = accepted("pipeline:\n" SOURCE SINK
                 "  ops:\n    - window: {key: [auction], size: 1m, step: 20s, max: {m: price}}\n");
    conf = &p->op[0].conf.general;
    assert_int_equal(conf->span.kind, WEIR_GENERAL_CUMULATING);
    assert_int_equal(conf->span.size_ms, 60000);
    assert_int_equal(conf->span.slide_ms, 20000);
    done(p);
    p = accepted("pipeline:\n" SOURCE SINK
                 "  ops:\n    - window: {key: [auction], size: 4s, slide: 2s, lateness: 1s, "
                 "count: n}\n");
    conf = &p->op[0].conf.general;
    assert_int_equal(conf->span.kind, WEIR_GENERAL_ALIGNED);
    assert_int_equal(conf->span.slide_ms, 2000);
    done(p);
#define WINDOW(text) "pipeline:\n" SOURCE SINK "  ops:\n    - window: {" text ", count: n}\n"
    refused(WINDOW("key: [auction], session: 1s, size: 1s"), "a window has session:, or size:");
    refused(WINDOW("key: [auction], session: 1s, step: 1s"), "a window has session:, or size:");
    refused(WINDOW("key: [auction], size: 4s, slide: 2s, step: 1s"), "a window has session:");
    refused(WINDOW("session: 1s"), "name it as key:");
    refused(WINDOW("key: [auction], step: 1s"), "size is missing here");
    refused(WINDOW("key: [auction], size: 5s, step: 2s"), "this window cannot be");
    refused(WINDOW("key: [auction], session: 1500us"), "whole milliseconds");
    refused(WINDOW("key: [auction], session: 0s"), "session");
}

static void
t_mistakes_are_shown_with_their_place(void **state)
{
    (void)state;
    refused("pipeline:\n" SOURCE, "a pipeline is a map with source: and sink:");
    refused("pipeline:\n" SOURCE "  snik: {path: a}\n", "did you mean 'sink'?");
    refused("pipeline:\n  source: {path: a, schema: {x: i46}}\n" SINK, "did you mean i64?");
    refused("pipeline:\n" SOURCE SINK "  opps: []\n", "unknown key 'opps'; did you mean 'ops'?");
    refused("pipeline:\n" SOURCE "    formt: csv\n" SINK,
        "unknown key 'formt'; did you mean 'format'?");
    refused("pipeline:\n" SOURCE "    format: xml\n" SINK, "format is 'xml'");
    refused("pipeline:\n" SOURCE "    separator: ab\n" SINK, "must be one character");
    refused("pipeline:\n  source: {path: a}\n" SINK, "schema is missing");
    refused("pipeline:\n  source: {path: a, schema: {x: int}}\n" SINK, "the type of x must be");
    refused("pipeline:\n  source: {path: a, schema: {x: decimal}}\n" SINK, "the type of x must be");
    refused(
        "pipeline:\n  source: {path: a, schema: {x: decimal(19)}}\n" SINK, "the type of x must be");
    refused("pipeline:\n  source: {path: a, schema: {x: i64??}}\n" SINK, "the type of x must be");
    refused("pipeline:\n  source: {path: a, schema: {9x: i64}}\n" SINK, "begins with no digit");
    refused("pipeline:\n  source: {path: a, time: t, schema: {x: i64}}\n" SINK,
        "no field t to be the time");
    refused(
        "pipeline:\n  source: {path: a, time: x, schema: {x: i64}}\n" SINK, "must be a timestamp");
    refused("pipeline:\n  source: {path: a, lag: 4s, schema: {x: i64}}\n" SINK,
        "name its field as time");
    refused("pipeline:\n" SOURCE "  sink: {}\n", "path is missing here");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - wher: a\n", "did you mean 'where'?");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: prise > 1\n",
        ":16:14: there is no field 'prise' here; did you mean 'price'?");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: price > abc\n", ":16:22: ");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: price >\n", "a value to compare with");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: price ~ 1\n", "no meaning here");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: price > 1 or part = 2\n",
        "`and`, or the end");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - where: note > 'a'\n", "= and != only");
    refused(
        "pipeline:\n" SOURCE SINK "  ops:\n    - where: note = 'a\n", "the quote is not closed");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - select: [part, part]\n", "is there twice");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - select: []\n", ":16:7: select takes a list");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - {}\n", ":15:3: a step is one of");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - window: {size: 10s}\n", "one of count, sum");
    refused(
        "pipeline:\n" SOURCE SINK "  ops:\n    - window: {size: 10, count: n}\n", "needs its unit");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - window: {count: n}\n", "size is missing here");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - window: {size: 10s, sum: {n: note}}\n",
        "this window cannot be");
    refused("pipeline:\n  source: {path: a, schema: {x: i64}}\n" SINK
            "  ops:\n    - window: {size: 10s, count: n}\n",
        "windows need event time");
}

#define GROUP(text) "pipeline:\n" SOURCE SINK "  ops:\n    - group: {" text "}\n"
#define RANK(text) "pipeline:\n" SOURCE SINK "  ops:\n    - rank: {" text "}\n"

static void
t_groups_and_ranks_have_fields_as_written(void **state)
{
    (void)state;
    struct weir_pipeline *p = accepted(
        GROUP("key: [note, at], max: {last: at, most: part}, count: n, avg: {mean: price}"));
    const struct weir_schema *schema = p->op[0].out_schema;
    const char *const names[] = {"note", "at", "last", "most", "n", "mean"};
    const enum weir_type types[] = {
        WEIR_TYPE_STR, WEIR_TYPE_TS, WEIR_TYPE_TS, WEIR_TYPE_I64, WEIR_TYPE_I64, WEIR_TYPE_DEC};
    assert_int_equal(schema->field_cnt, WEIR_ARRAY_CNT(names));
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        assert_string_equal(schema->fields[i].name, names[i]);
        assert_int_equal(schema->fields[i].type, types[i]);
    }
    assert_int_equal(schema->fields[5].scale, 3);
    done(p);
    p = accepted(RANK("key: [auction], by: {price: desc}, as: place"));
    assert_int_equal(p->op[0].out_schema->field_cnt, 8);
    assert_string_equal(p->op[0].out_schema->fields[7].name, "place");
    assert_int_equal(p->op[0].conf.rank.conf.cnt, 1);
    assert_true(p->has_changes);
    done(p);
}

static void
t_mistakes_in_groups_and_ranks_are_refused(void **state)
{
    (void)state;
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - group: x\n", "group takes a map");
    refused(GROUP("count: n"), "group is of each key: name it as key:");
    refused(
        GROUP("key: [auction], count: n, cuont: m"), "unknown key 'cuont'; did you mean 'count'?");
    refused(GROUP("key: [auction], count: {}"), "count takes a name");
    refused(GROUP("key: [auction], sum: price"), "sum takes {NAME: FIELD}");
    refused(GROUP("key: [auction], sum: {a: prize}"), "did you mean 'price'?");
    refused(GROUP("key: [auction], sum: {a: price, a2: part}, count: a2"), "a2 is there twice");
    refused(GROUP("key: [auction], sum: {a: rate}"), "this group cannot be");
    char many[1024] = "key: [auction], sum: {";
    for (uint32_t i = 0; i <= WEIR_GROUP_COLUMN_CNT_MAX; i++) {
        size_t used = strlen(many);
        (void)snprintf(many + used, sizeof many - used, "a%u: price, ", i);
    }
    char text[2048];
    (void)snprintf(
        text, sizeof text, "pipeline:\n%s%s  ops:\n    - group: {%s}}\n", SOURCE, SINK, many);
    refused(text, "more than 30 columns");
    refused(GROUP("key: [auction], distinct: {a: ok}"), "this group cannot be");
    refused(GROUP("key: [rate], count: n"), "this group cannot be");
    refused("pipeline:\n" SOURCE SINK "  ops:\n    - rank: x\n", "rank takes a map");
    refused(RANK("by: {price: desc}"), "rank is of each key: name it as key:");
    refused(RANK("key: [auction]"), "a rank has an order");
    refused(RANK("key: [auction], by: price"), "a rank has an order");
    refused(RANK("key: [auction], by: {prize: desc}"), "did you mean 'price'?");
    refused(RANK("key: [auction], by: {price: down}"), "by takes asc or desc");
    refused(RANK("key: [auction], by: {price: asc, at: asc, part: asc, rate: asc, auction: asc}"),
        "at most 4 fields");
    refused(RANK("key: [auction], by: {note: asc}"), "this rank cannot be");
    refused(RANK("key: [auction], by: {price: asc}, first: 0"), "first");
    refused(RANK("key: [auction], by: {price: asc}, as: part"), "no place for a field part");
}

static void
t_a_table_that_changes_is_for_sinks_that_know_it(void **state)
{
    (void)state;
    static const char rank[] = "    - rank: {key: [auction], by: {price: desc}}\n";
    char text[2048];
    (void)snprintf(
        text, sizeof text, "pipeline:\n%s  ops:\n%s    - select: [price]\n%s", SOURCE, rank, SINK);
    refused(text, "a select has left out auction");
    (void)snprintf(text, sizeof text,
        "pipeline:\n%s  ops:\n%s    - select: [price]\n  sink: {path: o, changes: log}\n", SOURCE,
        rank);
    struct weir_pipeline *p = accepted(text);
    assert_int_equal(p->changes, WEIR_PIPELINE_LOG);
    done(p);
    (void)snprintf(text, sizeof text,
        "pipeline:\n%s  ops:\n%s    - window: {size: 1s, count: n}\n%s", SOURCE, rank, SINK);
    refused(text, "windows take no table that changes");
    refused("pipeline:\n" SOURCE "  sink: {path: o, changes: fold}\n",
        "changes is there for what group: and rank: make");
    refused("pipeline:\n" SOURCE "  sink: {path: o, changes: foo}\n", "changes is 'foo'");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_declared_schema_is_laid_out_as_in_c),
        cmocka_unit_test(t_condition_becomes_terms_of_the_fields_types),
        cmocka_unit_test(t_steps_see_the_schema_that_the_one_before_left),
        cmocka_unit_test(t_windows_of_each_key_are_sessions_grow_or_take_late_rows),
        cmocka_unit_test(t_mistakes_are_shown_with_their_place),
        cmocka_unit_test(t_groups_and_ranks_have_fields_as_written),
        cmocka_unit_test(t_mistakes_in_groups_and_ranks_are_refused),
        cmocka_unit_test(t_a_table_that_changes_is_for_sinks_that_know_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
