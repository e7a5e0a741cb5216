/* SPDX-License-Identifier: Apache-2.0 */
/* Stages onto cores.
 *
 * A greedy walk: the stages that the user bound most tightly first, then the heavy ones, then
 * subtask by subtask, so that the stages of one pipeline follow each other. Each takes the CPU that
 * is least loaded; among those the one whose hardware thread suits the SMT policy, then the nearest
 * to the stages that it talks to, then the first in the order of the machine. With no neighbour
 * placed, the L3 that fits the stages to come most closely.
 */
#include <stdlib.h>
#include <string.h>

#include "sched/plan_priv.h"

#define CPU_TEXT 256
/* On a host this small, a core for housekeeping alone would cost more than it saves. */
#define HOUSEKEEPING_CORE_CNT_MIN 4

/* Where a stage may go, and who said so. */
struct pool {
    struct weir_cpuset cpus;
    struct weir_cpuset named;
    const char *said;
    uint32_t left_cnt; /* stages that choose from it and have no place yet */
    uint64_t left_weight;
};

struct place {
    struct plan_build *build;
    const struct weir_topo *topo;
    struct pool job;
    struct pool *entries; /* per vertex option; said is NULL where it leaves the cores open */
    uint64_t *load; /* per CPU index of the topology */
    uint32_t *cpu_of; /* per stage: CPU index, PLAN_NONE while it has none */
    uint32_t *entry_of; /* per stage: its vertex option, or PLAN_NONE */
    struct pool *groups; /* per slot-sharing group its share of job; NULL: they share all of it */
    uint32_t *group_of; /* per stage */
    uint32_t *ally; /* per stage: one that it shares its core with; itself at the end of the row */
    uint32_t *ally_cpu; /* per stage at the end of a row: as cpu_of, of all of the row */
    uint32_t *near; /* channels' other ends, per stage */
    uint32_t *near_from; /* per stage: where its part of near begins */
    uint32_t placed_cnt;
};

/* What makes one CPU better than another for a stage; lower is better, earlier members first. */
struct score {
    uint64_t load;
    uint32_t smt;
    uint32_t far;
    uint32_t fit;
    uint32_t idx;
};

static bool
better(const struct score *a, const struct score *b)
{
    if (a->load != b->load) {
        return a->load < b->load;
    }
    if (a->smt != b->smt) {
        return a->smt < b->smt;
    }
    if (a->far != b->far) {
        return a->far < b->far;
    }
    if (a->fit != b->fit) {
        return a->fit < b->fit;
    }
    return a->idx < b->idx;
}

static int
choose_housekeeping(struct place *place)
{
    struct plan_build *build = place->build;
    const struct weir_plan_host *host = build->host;
    const char *text = build->options->housekeeping;
    char list[CPU_TEXT];
    if (text != NULL && text[0] != '\0') {
        struct weir_cpuset named;
        if (weir_cpuset_parse(text, &named) != 0) {
            return WEIR_EPLAN;
        }
        build->housekeeping = named;
        weir_cpuset_and(&named, &host->effective);
        if (weir_cpuset_cnt(&named) == 0 || !weir_cpuset_equal(&named, &build->housekeeping)) {
            return weir_err_push(WEIR_EPLAN,
                "placement.housekeeping: %s is not within the effective cpuset %s", text,
                weir_cpuset_print(&host->effective, list, sizeof list));
        }
        weir_plan_priv_decide(build, "housekeeping on CPU %s: placement.housekeeping", text);
        return 0;
    }
    struct weir_cpuset free_cpus = host->effective;
    weir_cpuset_without(&free_cpus, &build->held);
    build->housekeeping = free_cpus;
    weir_cpuset_without(&build->housekeeping, &place->topo->isolated);
    if (weir_cpuset_cnt(&build->housekeeping) > 0 &&
        !weir_cpuset_equal(&build->housekeeping, &free_cpus)) {
        weir_plan_priv_decide(build, "housekeeping on CPU %s: those that are not isolated",
            weir_cpuset_print(&build->housekeeping, list, sizeof list));
        return 0;
    }
    build->housekeeping = weir_cpuset_cnt(&free_cpus) > 0 ? free_cpus : host->effective;
    uint32_t first = weir_cpuset_next(&build->housekeeping, 0);
    struct weir_cpuset core;
    weir_topo_siblings(place->topo, first, &core);
    weir_cpuset_and(&core, &build->housekeeping);
    if (weir_cpuset_cnt(&free_cpus) < HOUSEKEEPING_CORE_CNT_MIN * weir_cpuset_cnt(&core)) {
        weir_plan_priv_decide(build,
            "housekeeping on CPU %s, beside the stages: fewer than %d cores to choose from",
            weir_cpuset_print(&build->housekeeping, list, sizeof list), HOUSEKEEPING_CORE_CNT_MIN);
        return 0;
    }
    build->housekeeping = core;
    weir_plan_priv_decide(build, "housekeeping on CPU %s: the first core is kept free for it",
        weir_cpuset_print(&core, list, sizeof list));
    return 0;
}

/* A core with a hardware thread outside the pool that another job holds is shared silicon. */
static bool
sibling_held(const struct place *place, uint32_t cpu)
{
    struct weir_cpuset siblings;
    weir_topo_siblings(place->topo, cpu, &siblings);
    weir_cpuset_and(&siblings, &place->build->held);
    return weir_cpuset_cnt(&siblings) > 0;
}

/* smt: avoid leaves one thread of each core: the first that is in the pool. CPUs given by number
 * stay: the user has named both threads. */
static void
avoid_smt(const struct place *place, struct pool *pool)
{
    const struct weir_topo *topo = place->topo;
    uint32_t core = PLAN_NONE;
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        uint32_t cpu = topo->cpu[i].cpu;
        if (!weir_cpuset_has(&pool->cpus, cpu)) {
            continue;
        }
        if (topo->cpu[i].core == core && !weir_cpuset_has(&pool->named, cpu)) {
            weir_cpuset_drop(&pool->cpus, cpu);
        }
        core = topo->cpu[i].core;
    }
}

/* What is left of a pool without the CPUs of less, unless nothing is. */
static bool
narrow(struct pool *pool, const struct weir_cpuset *less)
{
    struct weir_cpuset left = pool->cpus;
    weir_cpuset_without(&left, less);
    weir_cpuset_or(&left, &pool->named);
    if (weir_cpuset_cnt(&left) == 0 || weir_cpuset_equal(&left, &pool->cpus)) {
        return false;
    }
    pool->cpus = left;
    return true;
}

static int
read_pool(struct place *place, const char *text, const char *said, struct pool *pool)
{
    struct plan_build *build = place->build;
    if (weir_plan_core_list(text, build->host, &pool->cpus, &pool->named) != 0) {
        return WEIR_EPLAN;
    }
    pool->said = said;
    (void)narrow(pool, &build->housekeeping);
    if (strcmp(text, "auto") == 0) {
        struct weir_cpuset shared = build->host->effective;
        weir_cpuset_without(&shared, &place->topo->isolated);
        if (weir_cpuset_cnt(&place->topo->isolated) > 0) {
            (void)narrow(pool, &shared);
        }
    }
    if (build->options->smt == WEIR_PLAN_SMT_AVOID) {
        struct weir_cpuset beside = {{0}};
        for (uint32_t cpu = weir_cpuset_next(&pool->cpus, 0); cpu != WEIR_CPUSET_NONE;
             cpu = weir_cpuset_next(&pool->cpus, cpu + 1)) {
            if (sibling_held(place, cpu)) {
                weir_cpuset_add(&beside, cpu);
            }
        }
        (void)narrow(pool, &beside);
        avoid_smt(place, pool);
    }
    return 0;
}

static int
read_pools(struct place *place)
{
    struct plan_build *build = place->build;
    const struct weir_plan_options *options = build->options;
    for (uint32_t i = 0; i < build->host->held_cnt; i++) {
        weir_cpuset_or(&build->held, &build->host->held[i].cpus);
    }
    int err = choose_housekeeping(place);
    if (err != 0) {
        return err;
    }
    bool open = options->cores == NULL || options->cores[0] == '\0';
    const char *text = open ? "auto" : options->cores;
    err = read_pool(place, text, "placement.cores", &place->job);
    for (uint32_t i = 0; err == 0 && i < options->vertex_cnt; i++) {
        const struct weir_plan_vertex_options *entry = &options->vertices[i];
        if (entry->cores != NULL && entry->cores[0] != '\0') {
            const char *said =
                weir_plan_priv_text(build->plan, "placement.vertices.%s.cores", entry->name);
            err = read_pool(place, entry->cores, said, &place->entries[i]);
        }
    }
    char list[CPU_TEXT];
    if (err == 0) {
        weir_plan_priv_decide(build, "cores %s: CPU %s can be used", text,
            weir_cpuset_print(&place->job.cpus, list, sizeof list));
    }
    if (err == 0 && weir_cpuset_cnt(&build->held) > 0) {
        weir_plan_priv_decide(build, "CPU %s is left to running jobs",
            weir_cpuset_print(&build->held, list, sizeof list));
    }
    return err;
}

/* The option entry of each stage: the one that names an operator of it; else the only one that
 * names its vertex at all. */
static int
find_entries(struct place *place)
{
    struct plan_build *build = place->build;
    const struct weir_plan_options *options = build->options;
    for (uint32_t s = 0; s < build->plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &build->stages[s];
        uint32_t own = PLAN_NONE;
        uint32_t of_vertex = PLAN_NONE;
        uint32_t of_vertex_cnt = 0;
        for (uint32_t i = 0; i < options->vertex_cnt; i++) {
            uint32_t idx = build->entry_op[i];
            if (build->vertex_of[idx] != stage->vertex) {
                continue;
            }
            of_vertex = i;
            of_vertex_cnt++;
            if (build->piece_of[idx] != stage->piece) {
                continue;
            }
            if (own != PLAN_NONE) {
                return weir_err_push(WEIR_EPLAN,
                    "placement.vertices: %s and %s are in one stage (%s); keep one of the two, or "
                    "cut "
                    "between them with cut_after",
                    options->vertices[own].name, options->vertices[i].name, stage->name);
            }
            own = i;
        }
        if (own == PLAN_NONE && of_vertex_cnt == 1) {
            own = of_vertex;
        }
        place->entry_of[s] = own;
    }
    return 0;
}

static struct pool *
pool_of(struct place *place, uint32_t stage)
{
    uint32_t entry = place->entry_of[stage];
    if (entry != PLAN_NONE && place->entries[entry].said != NULL) {
        return &place->entries[entry];
    }
    return place->groups != NULL ? &place->groups[place->group_of[stage]] : &place->job;
}

/* The groups of the stages that choose from the job's pool, in the order of the stages, with the
 * weight of each: how many there are. */
static uint32_t
list_groups(struct place *place, const char **ret_name, uint64_t *ret_weight)
{
    const struct plan_build *build = place->build;
    uint32_t cnt = 0;
    for (uint32_t s = 0; s < build->plan->stage_cnt; s++) {
        if (pool_of(place, s) != &place->job) {
            continue;
        }
        const char *name = weir_plan_priv_group(build, build->stages[s].operators[0]);
        uint32_t g = 0;
        while (g < cnt && strcmp(ret_name[g], name) != 0) {
            g++;
        }
        if (g == cnt) {
            ret_name[cnt++] = name;
        }
        ret_weight[g] += build->stages[s].weight;
        place->group_of[s] = g;
    }
    return cnt;
}

/* Give each group a run of neighbouring CPUs, by its weight and at least one. */
static void
deal_cpus(struct place *place, const char *const *name, const uint64_t *weight, uint32_t group_cnt)
{
    struct plan_build *build = place->build;
    const struct weir_topo *topo = place->topo;
    uint64_t left_weight = 0;
    uint32_t left_cpus = weir_cpuset_cnt(&place->job.cpus);
    uint32_t at = 0;
    for (uint32_t g = 0; g < group_cnt; g++) {
        left_weight += weight[g];
    }
    for (uint32_t g = 0; g < group_cnt; g++) {
        struct pool *pool = &place->groups[g];
        uint32_t others = group_cnt - g - 1;
        uint64_t share = (left_cpus * weight[g] + left_weight / 2) / left_weight;
        share = weir_min_u64(weir_max_u64(share, 1), left_cpus - others);
        pool->said = weir_plan_priv_text(build->plan, "slot-sharing group %s", name[g]);
        left_cpus -= (uint32_t)share;
        left_weight -= weight[g];
        for (; share > 0; at++) {
            if (weir_cpuset_has(&place->job.cpus, topo->cpu[at].cpu)) {
                weir_cpuset_add(&pool->cpus, topo->cpu[at].cpu);
                share--;
            }
        }
        char list[CPU_TEXT];
        weir_plan_priv_decide(build, "slot-sharing group %s: CPU %s", name[g],
            weir_cpuset_print(&pool->cpus, list, sizeof list));
    }
}

/* Groups that are to be kept apart get CPUs of their own, where there are enough. */
static int
split_groups(struct place *place)
{
    struct plan_build *build = place->build;
    uint32_t stage_cnt = build->plan->stage_cnt;
    const char **name = (const char **)weir_plan_priv_alloc(build->plan, stage_cnt, sizeof *name);
    uint64_t *weight = (uint64_t *)weir_plan_priv_alloc(build->plan, stage_cnt, sizeof *weight);
    if (name == NULL || weight == NULL) {
        return WEIR_ENOMEM;
    }
    uint32_t group_cnt = list_groups(place, name, weight);
    uint32_t cpu_cnt = weir_cpuset_cnt(&place->job.cpus);
    if (group_cnt < 2) {
        return 0;
    }
    if (group_cnt > cpu_cnt) {
        weir_plan_priv_decide(build,
            "%u slot-sharing groups share cores: there are %u to choose from", group_cnt, cpu_cnt);
        return 0;
    }
    struct pool *groups =
        (struct pool *)weir_plan_priv_alloc(build->plan, group_cnt, sizeof *groups);
    if (groups == NULL) {
        return WEIR_ENOMEM;
    }
    place->groups = groups;
    deal_cpus(place, name, weight, group_cnt);
    return 0;
}

static int
list_neighbours(struct place *place)
{
    const struct weir_plan *plan = place->build->plan;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        place->near_from[s + 1] =
            place->near_from[s] + plan->stages[s].channel_in_cnt + plan->stages[s].channel_out_cnt;
    }
    uint32_t *used = (uint32_t *)calloc(plan->stage_cnt, sizeof *used);
    if (used == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the plan's neighbours");
    }
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        uint32_t from = plan->channels[c].from_stage;
        uint32_t to = plan->channels[c].to_stage;
        place->near[place->near_from[from] + used[from]++] = to;
        place->near[place->near_from[to] + used[to]++] = from;
    }
    free(used);
    return 0;
}

/* How a hardware thread suits the policy, as the other threads of its core are loaded already. */
static uint32_t
smt_score(const struct place *place, uint32_t idx)
{
    const struct weir_topo *topo = place->topo;
    bool beside_load = false;
    for (uint32_t i = idx; i-- > 0 && topo->cpu[i].core == topo->cpu[idx].core;) {
        beside_load = beside_load || place->load[i] > 0;
    }
    for (uint32_t i = idx + 1; i < topo->cpu_cnt && topo->cpu[i].core == topo->cpu[idx].core; i++) {
        beside_load = beside_load || place->load[i] > 0;
    }
    return beside_load == (place->build->options->smt == WEIR_PLAN_SMT_ONLY) ? 0 : 1;
}

/* Free CPUs of the pool that share the L3 of idx, against the stages still to come: the smallest
 * group that takes them all is best, then the largest. */
static uint32_t
fit_score(const struct place *place, const struct pool *pool, uint32_t idx)
{
    const struct weir_topo *topo = place->topo;
    uint32_t wanted = place->build->plan->stage_cnt - place->placed_cnt;
    uint32_t free_cnt = 0;
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        free_cnt += topo->cpu[i].l3 == topo->cpu[idx].l3 && place->load[i] == 0 &&
                    weir_cpuset_has(&pool->cpus, topo->cpu[i].cpu);
    }
    return free_cnt >= wanted ? free_cnt - wanted : WEIR_PLAN_STAGE_CNT_MAX + wanted - free_cnt;
}

static uint32_t
far_score(const struct place *place, uint32_t stage, uint32_t idx, uint32_t *ret_placed)
{
    const struct weir_topo *topo = place->topo;
    uint32_t sum = 0;
    *ret_placed = 0;
    for (uint32_t i = place->near_from[stage]; i < place->near_from[stage + 1]; i++) {
        uint32_t other = place->cpu_of[place->near[i]];
        if (other != PLAN_NONE) {
            sum += weir_topo_distance(topo, topo->cpu[idx].cpu, topo->cpu[other].cpu);
            (*ret_placed)++;
        }
    }
    return sum;
}

/* The nearest neighbour that is placed already, for the reason. */
static const char *
place_reason(struct place *place, uint32_t stage, uint32_t idx)
{
    struct plan_build *build = place->build;
    const struct weir_topo *topo = place->topo;
    struct pool *pool = pool_of(place, stage);
    const char *said = pool != &place->job || weir_cpuset_cnt(&pool->named) > 0 ? pool->said : NULL;
    const char *lead = said != NULL ? weir_plan_priv_text(build->plan, "%s; ", said) : "";
    uint32_t best = PLAN_NONE;
    enum weir_topo_distance best_distance = WEIR_TOPO_DISTANCE_CNT;
    for (uint32_t i = place->near_from[stage]; i < place->near_from[stage + 1]; i++) {
        uint32_t other = place->near[i];
        if (place->cpu_of[other] == PLAN_NONE || other == stage) {
            continue;
        }
        enum weir_topo_distance distance =
            weir_topo_distance(topo, topo->cpu[idx].cpu, topo->cpu[place->cpu_of[other]].cpu);
        if (distance < best_distance) {
            best_distance = distance;
            best = other;
        }
    }
    if (place->load[idx] > 0) {
        return weir_plan_priv_text(build->plan, "%sshares the core: %u stages on %u CPUs", lead,
            build->plan->stage_cnt, weir_cpuset_cnt(&pool->cpus));
    }
    if (best == PLAN_NONE) {
        return weir_plan_priv_text(build->plan, "%sfirst free core of L3 %u, node %u", lead,
            topo->cpu[idx].l3, topo->cpu[idx].node);
    }
    return weir_plan_priv_text(build->plan, "%sfree core in the %s of %s", lead,
        weir_topo_distance_name(best_distance), build->stages[best].name);
}

/* The load up to which a CPU of the pool may be filled so that all the weight that is left finds
 * room; 0 while each stage can have a CPU of its own. */
static uint64_t
fill_level(const struct place *place, const struct pool *pool)
{
    const struct weir_topo *topo = place->topo;
    uint64_t low = 0;
    uint64_t high = pool->left_weight;
    uint32_t free_cnt = 0;
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        if (weir_cpuset_has(&pool->cpus, topo->cpu[i].cpu)) {
            free_cnt += place->load[i] == 0;
            high = weir_max_u64(high, place->load[i] + pool->left_weight);
        }
    }
    if (pool->left_cnt <= free_cnt) {
        return 0;
    }
    while (low < high) {
        uint64_t level = (low + high) / 2;
        uint64_t room = 0;
        for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
            if (weir_cpuset_has(&pool->cpus, topo->cpu[i].cpu) && place->load[i] < level) {
                room += level - place->load[i];
            }
        }
        if (room >= pool->left_weight) {
            high = level;
        } else {
            low = level + 1;
        }
    }
    return low;
}

/* The stage at the end of its row, which all that share a core with it have. */
static uint32_t
lead_of(const struct place *place, uint32_t stage)
{
    while (place->ally[stage] != stage) {
        stage = place->ally[stage];
    }
    return stage;
}

/* Operators that have to be beside another make their stages share cores. */
static void
find_allies(struct place *place)
{
    const struct plan_build *build = place->build;
    for (uint32_t s = 0; s < build->plan->stage_cnt; s++) {
        place->ally[s] = s;
        place->ally_cpu[s] = PLAN_NONE;
    }
    for (uint32_t i = 0; i < build->graph->operator_cnt; i++) {
        const struct weir_plan_operator *op = &build->graph->operators[i];
        for (uint32_t k = 0; k < op->parallelism && op->beside != 0; k++) {
            uint32_t own = lead_of(place, weir_plan_priv_stage(build, i, k));
            uint32_t other = lead_of(place, weir_plan_priv_stage(build, op->beside - 1, k));
            place->ally[own] = other;
        }
    }
}

static void
take_place(struct place *place, uint32_t stage, uint32_t idx)
{
    struct pool *pool = pool_of(place, stage);
    uint32_t weight = place->build->stages[stage].weight;
    place->cpu_of[stage] = idx;
    place->ally_cpu[lead_of(place, stage)] = idx;
    place->load[idx] += weight;
    place->placed_cnt++;
    pool->left_cnt--;
    pool->left_weight -= weight;
}

static int
place_beside(struct place *place, uint32_t stage, uint32_t idx)
{
    const struct pool *pool = pool_of(place, stage);
    struct weir_plan_stage *own = &place->build->stages[stage];
    uint32_t cpu = place->topo->cpu[idx].cpu;
    if (!weir_cpuset_has(&pool->cpus, cpu)) {
        return weir_err_push(WEIR_EPLAN,
            "%s: %s has to share its core with the other end of its loop, which is on CPU %u",
            pool->said, own->name, cpu);
    }
    own->reason = "shares the core with the other end of its loop";
    take_place(place, stage, idx);
    return 0;
}

static void
place_stage(struct place *place, uint32_t stage)
{
    const struct weir_topo *topo = place->topo;
    struct pool *pool = pool_of(place, stage);
    uint32_t weight = place->build->stages[stage].weight;
    uint64_t full = fill_level(place, pool);
    struct score best = {.load = UINT64_MAX};
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        if (!weir_cpuset_has(&pool->cpus, topo->cpu[i].cpu)) {
            continue;
        }
        struct score score = {.load = place->load[i], .idx = i};
        if (full > 0) {
            uint64_t after = place->load[i] + weight;
            score.load = after > full ? after - full : 0;
        }
        if (score.load > best.load) {
            continue;
        }
        uint32_t placed = 0;
        score.smt = smt_score(place, i);
        score.far = far_score(place, stage, i, &placed);
        score.fit = placed == 0 ? fit_score(place, pool, i) : 0;
        if (better(&score, &best)) {
            best = score;
        }
    }
    place->build->stages[stage].reason = place_reason(place, stage, best.idx);
    take_place(place, stage, best.idx);
}

/* qsort has no argument of its own for the comparison; the key stands in each element. */
struct turn {
    uint32_t choice_cnt; /* CPUs to choose from; the job's own list counts as most */
    uint32_t weight;
    uint32_t subtask;
    uint32_t stage;
};

static int
turn_order(const void *a, const void *b)
{
    const struct turn *x = (const struct turn *)a;
    const struct turn *y = (const struct turn *)b;
    if (x->choice_cnt != y->choice_cnt) {
        return x->choice_cnt < y->choice_cnt ? -1 : 1;
    }
    if (x->weight != y->weight) {
        return x->weight > y->weight ? -1 : 1;
    }
    if (x->subtask != y->subtask) {
        return x->subtask < y->subtask ? -1 : 1;
    }
    return x->stage < y->stage ? -1 : x->stage > y->stage;
}

static int
place_stages(struct place *place)
{
    struct plan_build *build = place->build;
    uint32_t cnt = build->plan->stage_cnt;
    struct turn *turns = (struct turn *)calloc(cnt, sizeof *turns);
    if (turns == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the plan's order of stages");
    }
    for (uint32_t s = 0; s < cnt; s++) {
        struct pool *pool = pool_of(place, s);
        pool->left_cnt++;
        pool->left_weight += build->stages[s].weight;
        turns[s].choice_cnt = pool == &place->job ? UINT32_MAX : weir_cpuset_cnt(&pool->cpus);
        turns[s].weight = build->stages[s].weight;
        turns[s].subtask = build->stages[s].subtask;
        turns[s].stage = s;
        place->cpu_of[s] = PLAN_NONE;
    }
    qsort(turns, cnt, sizeof *turns, turn_order);
    find_allies(place);
    int err = 0;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        uint32_t stage = turns[i].stage;
        uint32_t cpu = place->ally_cpu[lead_of(place, stage)];
        if (cpu != PLAN_NONE) {
            err = place_beside(place, stage, cpu);
        } else {
            place_stage(place, stage);
        }
    }
    free(turns);
    return err;
}

static enum weir_plan_idle
idle_of(const struct place *place, uint32_t stage, bool isolated)
{
    const struct weir_plan_options *options = place->build->options;
    uint32_t entry = place->entry_of[stage];
    enum weir_plan_idle idle = options->idle;
    if (entry != PLAN_NONE && options->vertices[entry].idle != WEIR_PLAN_IDLE_AUTO) {
        idle = options->vertices[entry].idle;
    }
    if (idle == WEIR_PLAN_IDLE_AUTO) {
        idle = isolated ? WEIR_PLAN_IDLE_SPIN : WEIR_PLAN_IDLE_ADAPTIVE;
    }
    return idle;
}

/* Cores with a stage, in the order of the machine. Where stages of one core ask for different idle
 * policies, the most wakeful wins: it serves the others as well. */
static int
fill_cores(struct place *place)
{
    struct plan_build *build = place->build;
    struct weir_plan *plan = build->plan;
    const struct weir_topo *topo = place->topo;
    build->cores =
        (struct weir_plan_core *)weir_plan_priv_alloc(plan, topo->cpu_cnt, sizeof *build->cores);
    uint32_t *lists = (uint32_t *)weir_plan_priv_alloc(plan, plan->stage_cnt, sizeof *lists);
    if (build->cores == NULL || lists == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        struct weir_plan_core *core = &build->cores[plan->core_cnt];
        core->cpu = topo->cpu[i].cpu;
        core->node = topo->cpu[i].node;
        core->isolated = topo->cpu[i].isolated;
        core->stages = lists;
        core->weight = place->load[i];
        core->inflight_bytes = (topo->l2_bytes != 0 ? topo->l2_bytes : WEIR_MIB) / 2;
        core->idle = WEIR_PLAN_IDLE_AUTO;
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            if (place->cpu_of[s] != i) {
                continue;
            }
            enum weir_plan_idle idle = idle_of(place, s, core->isolated);
            core->idle = idle > core->idle ? idle : core->idle;
            build->stages[s].core = plan->core_cnt;
            build->stages[s].node = core->node;
            lists[core->stage_cnt] = s;
            core->stage_cnt++;
        }
        lists += core->stage_cnt;
        core->reason = core->isolated ? "isolated"
                       : weir_cpuset_has(&build->housekeeping, core->cpu)
                           ? "shared with housekeeping"
                           : "shared with the system";
        plan->core_cnt += core->stage_cnt > 0;
    }
    plan->cores = build->cores;
    return 0;
}

/* numa: of a vertex moves the memory of its stages; the core stays where it is. */
static int
bind_memory(struct place *place)
{
    struct plan_build *build = place->build;
    for (uint32_t s = 0; s < build->plan->stage_cnt; s++) {
        uint32_t entry = place->entry_of[s];
        const char *numa = entry != PLAN_NONE ? build->options->vertices[entry].numa : NULL;
        if (numa == NULL || numa[0] == '\0' || strcmp(numa, "local") == 0) {
            continue;
        }
        char *end = NULL;
        unsigned long node = strtoul(numa, &end, 10);
        if (*end != '\0' || end == numa || node > UINT16_MAX ||
            weir_topo_node(place->topo, (uint32_t)node) == NULL) {
            return weir_err_push(WEIR_EPLAN,
                "placement.vertices.%s.numa: \"%s\" is neither local nor a node of this host (0 to "
                "%u)",
                build->options->vertices[entry].name, numa,
                place->topo->node[place->topo->node_cnt - 1].node);
        }
        build->stages[s].node = (uint16_t)node;
    }
    return 0;
}

int
weir_plan_priv_place(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    struct place place = {.build = build, .topo = build->host->topo};
    uint32_t cnt = plan->stage_cnt;
    place.entries = (struct pool *)weir_plan_priv_alloc(
        plan, build->options->vertex_cnt, sizeof *place.entries);
    place.load = (uint64_t *)weir_plan_priv_alloc(plan, place.topo->cpu_cnt, sizeof *place.load);
    place.cpu_of = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *place.cpu_of);
    place.entry_of = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *place.entry_of);
    place.group_of = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *place.group_of);
    place.ally = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *place.ally);
    place.ally_cpu = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *place.ally_cpu);
    place.near = (uint32_t *)weir_plan_priv_alloc(plan, 2 * plan->channel_cnt, sizeof *place.near);
    place.near_from = (uint32_t *)weir_plan_priv_alloc(plan, cnt + 1, sizeof *place.near_from);
    if (place.entries == NULL || place.load == NULL || place.cpu_of == NULL ||
        place.entry_of == NULL || place.group_of == NULL || place.ally == NULL ||
        place.ally_cpu == NULL || place.near == NULL || place.near_from == NULL) {
        return WEIR_ENOMEM;
    }
    int err = read_pools(&place);
    if (err == 0) {
        err = find_entries(&place);
    }
    if (err == 0) {
        err = split_groups(&place);
    }
    if (err == 0) {
        err = list_neighbours(&place);
    }
    if (err == 0) {
        err = place_stages(&place);
    }
    if (err == 0) {
        err = fill_cores(&place);
    }
    return err != 0 ? err : bind_memory(&place);
}
