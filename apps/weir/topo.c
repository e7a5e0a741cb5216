/* SPDX-License-Identifier: Apache-2.0 */
/* topo.c: `weir topo`: the host as the planner sees it. */
#include "base/topo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apps/weir/verbs.h"
#include "base/err.h"

static const char *
cpus_text(const struct weir_cpuset *set, char buf[WEIR_CPUSET_TEXT_BYTES])
{
    return weir_cpuset_print(set, buf, WEIR_CPUSET_TEXT_BYTES);
}

static json_t *
topo_json(const struct weir_topo *topo)
{
    char text[WEIR_CPUSET_TEXT_BYTES];
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < topo->node_cnt; i++) {
        const struct weir_topo_node *node = &topo->node[i];
        json_array_append_new(
            nodes, json_pack("{s:i, s:I, s:s}", "node", (int)node->node, "bytes",
                       (json_int_t)node->bytes, "cpus", cpus_text(&node->cpus, text)));
    }
    json_t *nics = json_array();
    for (uint32_t i = 0; i < topo->nic_cnt; i++) {
        const struct weir_topo_nic *nic = &topo->nic[i];
        json_array_append_new(nics, json_pack("{s:s, s:s, s:s}", "name", nic->name, "bus", nic->bus,
                                        "near", cpus_text(&nic->near, text)));
    }
    json_t *cpus = json_array();
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        const struct weir_topo_cpu *cpu = &topo->cpu[i];
        json_array_append_new(
            cpus, json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "cpu", (int)cpu->cpu,
                      "core", (int)cpu->core, "smt", (int)cpu->smt, "l2", (int)cpu->l2, "l3",
                      (int)cpu->l3, "die", (int)cpu->die, "socket", (int)cpu->socket, "node",
                      (int)cpu->node, "isolated", (int)cpu->isolated));
    }
    return json_pack("{s:i, s:i, s:I, s:I, s:o, s:o, s:o}", "sockets", (int)topo->socket_cnt,
        "dies", (int)topo->die_cnt, "l2_bytes", (json_int_t)topo->l2_bytes, "l3_bytes",
        (json_int_t)topo->l3_bytes, "nodes", nodes, "nics", nics, "cpus", cpus);
}

/* The CPUs of one L3 of a node; false: none of it is there. */
static bool
cache_cpus(const struct weir_topo *topo, uint32_t l3, uint32_t node, struct weir_cpuset *ret_set)
{
    bool found = false;
    memset(ret_set, 0, sizeof *ret_set);
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        if (topo->cpu[i].l3 == l3 && topo->cpu[i].node == node) {
            weir_cpuset_add(ret_set, topo->cpu[i].cpu);
            found = true;
        }
    }
    return found;
}

static void
topo_print(const struct weir_topo *topo)
{
    char text[WEIR_CPUSET_TEXT_BYTES];
    struct weir_cpuset set;
    (void)printf("%" PRIu32 " CPUs on %" PRIu32 " cores, %" PRIu32 " dies, %" PRIu32
                 " sockets; L2 %" PRIu64 " KiB, L3 %" PRIu64 " KiB\n",
        topo->cpu_cnt, topo->core_cnt, topo->die_cnt, topo->socket_cnt, topo->l2_bytes / WEIR_KIB,
        topo->l3_bytes / WEIR_KIB);
    for (uint32_t i = 0; i < topo->node_cnt; i++) {
        const struct weir_topo_node *node = &topo->node[i];
        (void)printf("numa:%" PRIu16 "  %" PRIu64 " MiB, CPUs %s\n", node->node,
            node->bytes / WEIR_MIB, cpus_text(&node->cpus, text));
        for (uint32_t l3 = 0; l3 < topo->l3_cnt; l3++) {
            if (cache_cpus(topo, l3, node->node, &set)) {
                (void)printf("  l3:%" PRIu32 "  CPUs %s\n", l3, cpus_text(&set, text));
            }
        }
    }
    for (uint32_t i = 0; i < topo->nic_cnt; i++) {
        (void)printf("near:nic:%s  CPUs %s%s%s\n", topo->nic[i].name,
            cpus_text(&topo->nic[i].near, text), topo->nic[i].bus[0] != '\0' ? ", " : "",
            topo->nic[i].bus);
    }
    if (weir_cpuset_cnt(&topo->isolated) > 0) {
        (void)printf("isolated  CPUs %s\n", cpus_text(&topo->isolated, text));
    }
}

static int
topo_run(const struct weir_args *args)
{
    struct weir_topo *topo = NULL;
    const char *xml = weir_cli_value(args, "xml");
    const char *synthetic = weir_cli_value(args, "synthetic");
    if (xml != NULL && synthetic != NULL) {
        return weir_cli_usage(args, "--xml and --synthetic exclude each other");
    }
    int err = xml != NULL         ? weir_topo_open_xml(xml, &topo)
              : synthetic != NULL ? weir_topo_open_synthetic(synthetic, &topo)
                                  : weir_topo_open_live(&topo);
    if (err == WEIR_EINVAL) {
        weir_err_clear();
        return weir_cli_usage(args, "'%s' is no synthetic topology of hwloc", synthetic);
    }
    if (err != 0) {
        return err;
    }
    if (weir_cli_has(args, "json")) {
        weir_cli_print_json(topo_json(topo));
    } else {
        topo_print(topo);
    }
    weir_topo_close(topo);
    return WEIR_EXIT_OK;
}

static const struct weir_flag topo_flags[] = {
    {"xml", 0, "FILE", "read a host that hwloc recorded (lstopo FILE.xml)"},
    {"synthetic", 0, "TEXT", "imagine one, in hwloc's words: 'numa:2 l3:1 core:8 pu:2'"},
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_topo = {
    .name = "topo",
    .args = "",
    .text = "print the host as the planner sees it: NUMA nodes, caches, network cards, CPUs",
    .examples = "weir topo\n"
                "weir topo --synthetic 'numa:2 l3:2 core:4 pu:2'\n"
                "weir topo --json\n",
    .flags = topo_flags,
    .flag_cnt = WEIR_ARRAY_CNT(topo_flags),
    .run = topo_run,
};
