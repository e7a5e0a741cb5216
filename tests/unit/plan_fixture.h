/* SPDX-License-Identifier: Apache-2.0 */
/* plan_fixture.h: graphs and hosts for the planner's tests, short to write. */
#ifndef WEIR_TESTS_UNIT_PLAN_FIXTURE_H
#define WEIR_TESTS_UNIT_PLAN_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sched/plan.h"
#include "tests/unit/test.h"

#define FIXTURE_OPERATOR_CNT_MAX 32
#define FIXTURE_LINK_CNT_MAX 96

struct fixture {
    struct weir_plan_operator operators[FIXTURE_OPERATOR_CNT_MAX];
    struct weir_plan_link links[FIXTURE_LINK_CNT_MAX];
    struct weir_plan_graph graph;
};

static inline void
fixture_init(struct fixture *fixture, const char *name)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->graph.name = name;
    fixture->graph.operators = fixture->operators;
    fixture->graph.links = fixture->links;
}

static inline struct weir_plan_operator *
fixture_operator(
    struct fixture *fixture, const char *name, enum weir_plan_kind kind, uint32_t parallelism)
{
    struct weir_plan_operator *op = &fixture->operators[fixture->graph.operator_cnt];
    fixture->graph.operator_cnt++;
    op->name = name;
    op->kind = kind;
    op->parallelism = parallelism;
    op->chain_input = kind != WEIR_PLAN_SOURCE;
    op->chain_output = kind != WEIR_PLAN_SINK;
    op->can_split = true;
    return op;
}

static inline void
fixture_link(
    struct fixture *fixture, uint32_t from, uint32_t to, enum weir_plan_partitioner partitioner)
{
    struct weir_plan_link *link = &fixture->links[fixture->graph.link_cnt];
    fixture->graph.link_cnt++;
    link->from = from;
    link->to = to;
    link->partitioner = partitioner;
}

/* read -> parse -> (by key) window -> write: the shape of word count and of q5. */
static inline void
fixture_window_job(struct fixture *fixture, uint32_t parallelism)
{
    fixture_init(fixture, "wordcount");
    (void)fixture_operator(fixture, "read", WEIR_PLAN_SOURCE, parallelism);
    (void)fixture_operator(fixture, "parse", WEIR_PLAN_OPERATOR, parallelism);
    struct weir_plan_operator *window =
        fixture_operator(fixture, "window", WEIR_PLAN_OPERATOR, parallelism);
    window->stateful = true;
    window->max_parallelism = 128;
    (void)fixture_operator(fixture, "write", WEIR_PLAN_SINK, parallelism);
    fixture_link(fixture, 0, 1, WEIR_PLAN_FORWARD);
    fixture_link(fixture, 1, 2, WEIR_PLAN_KEYED);
    fixture_link(fixture, 2, 3, WEIR_PLAN_FORWARD);
}

/* A host of tests/data/topo, all CPUs ours, 1 GiB. */
static inline void
fixture_host(struct weir_plan_host *host, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/topo/%s.xml", WEIR_TEST_DATA, name);
    struct weir_topo *topo = NULL;
    assert_int_equal(weir_topo_open_xml(path, &topo), 0);
    memset(host, 0, sizeof *host);
    host->topo = topo;
    host->effective = topo->cpus;
    host->budget_bytes = WEIR_GIB;
}

static inline void
fixture_host_close(struct weir_plan_host *host)
{
    weir_topo_close((struct weir_topo *)host->topo);
}

static inline struct weir_plan *
fixture_plan(const struct fixture *fixture, const struct weir_plan_host *host,
    const struct weir_plan_options *options)
{
    struct weir_plan *plan = NULL;
    int err = weir_plan_make(&fixture->graph, host, options, &plan);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    assert_int_equal(err, 0);
    return plan;
}

#endif
