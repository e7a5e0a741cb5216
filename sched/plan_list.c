/* SPDX-License-Identifier: Apache-2.0 */
/* Placement expressions into CPUs. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sched/plan_priv.h"

#define TERM_BYTES 128
#define LIST_TEXT 256

static void
add_siblings(const struct weir_topo *topo, struct weir_cpuset *cpus)
{
    struct weir_cpuset more = {{0}};
    for (uint32_t cpu = weir_cpuset_next(cpus, 0); cpu != WEIR_CPUSET_NONE;
         cpu = weir_cpuset_next(cpus, cpu + 1)) {
        struct weir_cpuset siblings;
        weir_topo_siblings(topo, cpu, &siblings);
        weir_cpuset_or(&more, &siblings);
    }
    weir_cpuset_or(cpus, &more);
}

/* The number behind "numa:" and the like; false where it is none. */
static bool
read_idx(const char *text, uint32_t *ret_idx)
{
    char *end = NULL;
    unsigned long idx = strtoul(text, &end, 10);
    *ret_idx = (uint32_t)idx;
    return isdigit((unsigned char)text[0]) != 0 && *end == '\0' && idx < UINT16_MAX;
}

/* Which group of a kind a CPU belongs to, for the kinds that count from 0. */
static uint32_t
group_of(const struct weir_topo_cpu *cpu, const char *kind)
{
    if (strcmp(kind, "l3") == 0) {
        return cpu->l3;
    }
    if (strcmp(kind, "die") == 0) {
        return cpu->die;
    }
    return strcmp(kind, "numa") == 0 ? cpu->node : cpu->socket;
}

static int
add_group(const char *term, const struct weir_topo *topo, struct weir_cpuset *cpus)
{
    const char *colon = strchr(term, ':');
    char kind[8] = "";
    uint32_t wanted = 0;
    memcpy(kind, term, weir_min_u64((uint64_t)(colon - term), sizeof kind - 1));
    uint32_t max = 0;
    bool found = false;
    bool valid = read_idx(colon + 1, &wanted);
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        uint32_t idx = group_of(&topo->cpu[i], kind);
        max = idx > max ? idx : max;
        if (valid && idx == wanted) {
            weir_cpuset_add(cpus, topo->cpu[i].cpu);
            found = true;
        }
    }
    if (!found) {
        return weir_err_push(
            WEIR_EPLAN, "there is no %s; the host has %s:0 to %s:%u", term, kind, kind, max);
    }
    return 0;
}

static int
add_near(const char *term, const struct weir_topo *topo, struct weir_cpuset *cpus)
{
    const char *name = term + strlen("near:nic:");
    const struct weir_topo_nic *nic = weir_topo_nic(topo, name);
    if (nic != NULL) {
        weir_cpuset_or(cpus, &nic->near);
        return 0;
    }
    char names[LIST_TEXT] = "none";
    size_t used = 0;
    for (uint32_t i = 0; i < topo->nic_cnt && used + 1 < sizeof names; i++) {
        int n = snprintf(
            names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", topo->nic[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return weir_err_push(WEIR_EPLAN, "there is no network card %s; the host has %s", name, names);
}

/* A CPU given by number must be there, be ours, and be free. */
static int
check_named(const char *term, const struct weir_plan_host *host, const struct weir_cpuset *cpus)
{
    char text[LIST_TEXT];
    struct weir_cpuset bad = *cpus;
    weir_cpuset_without(&bad, &host->topo->cpus);
    if (weir_cpuset_cnt(&bad) > 0) {
        return weir_err_push(WEIR_EPLAN, "cores %s: the host has no CPU %s", term,
            weir_cpuset_print(&bad, text, sizeof text));
    }
    bad = *cpus;
    weir_cpuset_without(&bad, &host->effective);
    if (weir_cpuset_cnt(&bad) > 0) {
        char ours[LIST_TEXT];
        return weir_err_push(WEIR_EPLAN,
            "cores %s: CPU %s is not in the effective cpuset %s; limited by %s", term,
            weir_cpuset_print(&bad, text, sizeof text),
            weir_cpuset_print(&host->effective, ours, sizeof ours),
            host->effective_limit != NULL ? host->effective_limit : "nobody named");
    }
    for (uint32_t i = 0; i < host->held_cnt; i++) {
        bad = *cpus;
        weir_cpuset_and(&bad, &host->held[i].cpus);
        if (weir_cpuset_cnt(&bad) > 0) {
            return weir_err_push(WEIR_EPLAN, "cores %s: CPU %s is held by the running job %s", term,
                weir_cpuset_print(&bad, text, sizeof text), host->held[i].job);
        }
    }
    return 0;
}

/* One term. Sets named by what they are (numa:1, auto) are narrowed to what is ours and free; those
 * given by number are not: the user is sure of them. */
static int
add_term(char *term, const struct weir_plan_host *host, struct weir_cpuset *ret_cpus,
    struct weir_cpuset *ret_named)
{
    const struct weir_topo *topo = host->topo;
    struct weir_cpuset cpus = {{0}};
    char shown[TERM_BYTES];
    (void)strcpy(shown, term);
    size_t len = strlen(term);
    bool near = strncmp(term, "near:nic:", 9) == 0;
    bool siblings = len > 1 && term[len - 1] == 'h' && isdigit((unsigned char)term[len - 2]) != 0 &&
                    (!near || weir_topo_nic(topo, term + 9) == NULL);
    if (siblings) {
        term[len - 1] = '\0';
    }
    int err = 0;
    bool number = isdigit((unsigned char)term[0]) != 0;
    if (number) {
        err = weir_cpuset_parse(term, &cpus) != 0 ? WEIR_EPLAN : 0;
    } else if (strcmp(term, "auto") == 0) {
        cpus = host->effective;
    } else if (near) {
        err = add_near(term, topo, &cpus);
    } else if (strncmp(term, "numa:", 5) == 0 || strncmp(term, "l3:", 3) == 0 ||
               strncmp(term, "die:", 4) == 0 || strncmp(term, "socket:", 7) == 0) {
        err = add_group(term, topo, &cpus);
    } else {
        err = weir_err_push(WEIR_EPLAN,
            "\"%s\" names no cores: auto, 2-9, numa:N, l3:N, die:N, socket:N or near:nic:NAME",
            shown);
    }
    if (err == 0 && siblings) {
        add_siblings(topo, &cpus);
    }
    if (err == 0 && number) {
        err = check_named(shown, host, &cpus);
        weir_cpuset_or(ret_named, &cpus);
    }
    if (err != 0) {
        return err;
    }
    if (!number) {
        weir_cpuset_and(&cpus, &host->effective);
        for (uint32_t i = 0; i < host->held_cnt; i++) {
            weir_cpuset_without(&cpus, &host->held[i].cpus);
        }
        if (weir_cpuset_cnt(&cpus) == 0) {
            char ours[LIST_TEXT];
            return weir_err_push(WEIR_EPLAN,
                "cores %s: none is in the effective cpuset %s and free of other jobs", shown,
                weir_cpuset_print(&host->effective, ours, sizeof ours));
        }
    }
    weir_cpuset_or(ret_cpus, &cpus);
    return 0;
}

int
weir_plan_core_list(const char *text, const struct weir_plan_host *host,
    struct weir_cpuset *ret_cpus, struct weir_cpuset *ret_named)
{
    struct weir_cpuset cpus = {{0}};
    struct weir_cpuset named = {{0}};
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, ",");
        size_t from = strspn(at, " ");
        char term[TERM_BYTES];
        if (len >= sizeof term || from >= len) {
            return weir_err_push(WEIR_EPLAN, "cores \"%.200s\": an empty or overlong term", text);
        }
        memcpy(term, at + from, len - from);
        size_t end = len - from;
        while (term[end - 1] == ' ') {
            end--;
        }
        term[end] = '\0';
        int err = add_term(term, host, &cpus, &named);
        if (err != 0) {
            return err;
        }
        at += len + (at[len] == ',');
    }
    if (weir_cpuset_cnt(&cpus) == 0) {
        return weir_err_push(WEIR_EPLAN, "cores \"%.200s\" names none", text);
    }
    *ret_cpus = cpus;
    *ret_named = named;
    return 0;
}
