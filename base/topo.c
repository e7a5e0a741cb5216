/* SPDX-License-Identifier: Apache-2.0 */
/* The only unit that sees hwloc. */
#include "base/topo.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define ISOLATED_INFO "WeirIsolated"
#define NOWHERE UINT16_MAX

/* The dense index of the ancestor of a kind, counted as PUs come by in the order of the machine:
 * hwloc's logical indices have gaps where an object has no PU. */
struct group {
    hwloc_obj_t last;
    uint32_t cnt;
};

static uint16_t
group_idx(struct group *group, hwloc_obj_t obj)
{
    if (obj != group->last) {
        group->last = obj;
        group->cnt++;
    }
    return (uint16_t)(group->cnt - 1);
}

static hwloc_obj_t
ancestor(hwloc_topology_t hw, hwloc_obj_t pu, hwloc_obj_type_t type, hwloc_obj_t otherwise)
{
    hwloc_obj_t obj = hwloc_get_ancestor_obj_by_type(hw, type, pu);
    return obj != NULL ? obj : otherwise;
}

static bool
copy_set(hwloc_const_bitmap_t from, struct weir_cpuset *ret_set)
{
    memset(ret_set, 0, sizeof *ret_set);
    for (int cpu = hwloc_bitmap_first(from); cpu >= 0; cpu = hwloc_bitmap_next(from, cpu)) {
        if (cpu >= WEIR_CPUSET_CPU_CNT_MAX) {
            return false;
        }
        weir_cpuset_add(ret_set, (uint32_t)cpu);
    }
    return true;
}

static int
read_nodes(hwloc_topology_t hw, struct weir_topo *topo)
{
    int cnt = hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_NUMANODE);
    if (cnt > WEIR_TOPO_NODE_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL, "the host has %d NUMA nodes, the limit is %d", cnt,
            WEIR_TOPO_NODE_CNT_MAX);
    }
    for (int i = 0; i < cnt; i++) {
        hwloc_obj_t obj = hwloc_get_obj_by_type(hw, HWLOC_OBJ_NUMANODE, (unsigned int)i);
        struct weir_topo_node *node = &topo->node[i];
        node->node = (uint16_t)obj->os_index;
        node->bytes = obj->attr->numanode.local_memory;
        if (!copy_set(obj->cpuset, &node->cpus)) {
            return weir_err_push(
                WEIR_EINVAL, "a CPU number beyond %d", WEIR_CPUSET_CPU_CNT_MAX - 1);
        }
    }
    topo->node_cnt = (uint32_t)cnt;
    return 0;
}

/* The node of a PU: the first DRAM node with it; memory-only tiers (CXL) come later in the set. */
static uint16_t
node_of(const struct weir_topo *topo, uint32_t cpu)
{
    for (uint32_t i = 0; i < topo->node_cnt; i++) {
        if (weir_cpuset_has(&topo->node[i].cpus, cpu)) {
            return topo->node[i].node;
        }
    }
    return topo->node_cnt > 0 ? topo->node[0].node : 0;
}

static int
read_cpus(hwloc_topology_t hw, struct weir_topo *topo)
{
    struct group core = {0};
    struct group l2 = {0};
    struct group l3 = {0};
    struct group die = {0};
    struct group socket = {0};
    hwloc_obj_t root = hwloc_get_root_obj(hw);
    memset(topo->at, 0xff, sizeof topo->at);
    for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_PU, pu)) != NULL;) {
        if (pu->os_index >= WEIR_CPUSET_CPU_CNT_MAX) {
            return weir_err_push(WEIR_EINVAL, "CPU %u: numbers end at %d", pu->os_index,
                WEIR_CPUSET_CPU_CNT_MAX - 1);
        }
        struct weir_topo_cpu *cpu = &topo->cpu[topo->cpu_cnt];
        hwloc_obj_t core_obj = ancestor(hw, pu, HWLOC_OBJ_CORE, pu);
        hwloc_obj_t socket_obj = ancestor(hw, pu, HWLOC_OBJ_PACKAGE, root);
        hwloc_obj_t die_obj = ancestor(hw, pu, HWLOC_OBJ_DIE, socket_obj);
        hwloc_obj_t l2_obj = ancestor(hw, pu, HWLOC_OBJ_L2CACHE, core_obj);
        hwloc_obj_t l3_obj = ancestor(hw, pu, HWLOC_OBJ_L3CACHE, die_obj);
        bool first = core.last != core_obj;
        cpu->cpu = (uint16_t)pu->os_index;
        cpu->smt = first ? 0 : (uint16_t)(topo->cpu[topo->cpu_cnt - 1].smt + 1);
        cpu->core = group_idx(&core, core_obj);
        cpu->l2 = group_idx(&l2, l2_obj);
        cpu->l3 = group_idx(&l3, l3_obj);
        cpu->die = group_idx(&die, die_obj);
        cpu->socket = group_idx(&socket, socket_obj);
        cpu->node = node_of(topo, pu->os_index);
        if (l2_obj->type == HWLOC_OBJ_L2CACHE) {
            topo->l2_bytes = l2_obj->attr->cache.size;
        }
        if (l3_obj->type == HWLOC_OBJ_L3CACHE) {
            topo->l3_bytes = l3_obj->attr->cache.size;
        }
        weir_cpuset_add(&topo->cpus, cpu->cpu);
        topo->at[cpu->cpu] = (uint16_t)topo->cpu_cnt;
        topo->cpu_cnt++;
    }
    topo->core_cnt = core.cnt;
    topo->l2_cnt = l2.cnt;
    topo->l3_cnt = l3.cnt;
    topo->die_cnt = die.cnt;
    topo->socket_cnt = socket.cnt;
    return topo->cpu_cnt > 0 ? 0 : weir_err_push(WEIR_EINVAL, "the topology has no CPU");
}

static int
read_nics(hwloc_topology_t hw, struct weir_topo *topo)
{
    for (hwloc_obj_t dev = NULL; (dev = hwloc_get_next_osdev(hw, dev)) != NULL;) {
        if (dev->attr->osdev.type != HWLOC_OBJ_OSDEV_NETWORK || dev->name == NULL) {
            continue;
        }
        if (topo->nic_cnt == WEIR_TOPO_NIC_CNT_MAX) {
            return weir_err_push(WEIR_EINVAL, "more than %d network cards", WEIR_TOPO_NIC_CNT_MAX);
        }
        struct weir_topo_nic *nic = &topo->nic[topo->nic_cnt];
        (void)snprintf(nic->name, sizeof nic->name, "%s", dev->name);
        if (dev->parent != NULL && dev->parent->type == HWLOC_OBJ_PCI_DEVICE) {
            const struct hwloc_pcidev_attr_s *pci = &dev->parent->attr->pcidev;
            (void)snprintf(nic->bus, sizeof nic->bus, "%04x:%02x:%02x.%x", pci->domain, pci->bus,
                pci->dev, pci->func);
        }
        hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(hw, dev);
        if (place != NULL && place->cpuset != NULL && !copy_set(place->cpuset, &nic->near)) {
            return weir_err_push(
                WEIR_EINVAL, "a CPU number beyond %d", WEIR_CPUSET_CPU_CNT_MAX - 1);
        }
        topo->nic_cnt++;
    }
    return 0;
}

static void
mark_isolated(struct weir_topo *topo, const char *list)
{
    struct weir_cpuset set;
    if (weir_cpuset_parse(list, &set) != 0) {
        weir_err_clear(); /* "(null)" of kernels without isolation */
        return;
    }
    weir_cpuset_and(&set, &topo->cpus);
    topo->isolated = set;
    for (uint32_t i = 0; i < topo->cpu_cnt; i++) {
        topo->cpu[i].isolated = weir_cpuset_has(&set, topo->cpu[i].cpu);
    }
}

static int
read_all(hwloc_topology_t hw, bool live, struct weir_topo **ret_topo)
{
    struct weir_topo *topo = (struct weir_topo *)calloc(1, sizeof *topo);
    if (topo == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the topology");
    }
    int err = read_nodes(hw, topo);
    if (err == 0) {
        err = read_cpus(hw, topo);
    }
    if (err == 0) {
        err = read_nics(hw, topo);
    }
    if (err != 0) {
        free(topo);
        return err;
    }
    if (live) {
        char list[WEIR_CPUSET_TEXT_BYTES] = "";
        FILE *f = fopen("/sys/devices/system/cpu/isolated", "re");
        if (f != NULL) {
            (void)!fgets(list, sizeof list, f);
            (void)fclose(f);
        }
        mark_isolated(topo, list);
        /* A guest whose memory was plugged in later has it all on its one node, whatever the node
         * itself told at boot. */
        uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * WEIR_PAGE_BYTES;
        if (topo->node_cnt == 1 && topo->node[0].bytes < bytes) {
            topo->node[0].bytes = bytes;
        }
    } else {
        const char *list = hwloc_obj_get_info_by_name(hwloc_get_root_obj(hw), ISOLATED_INFO);
        mark_isolated(topo, list != NULL ? list : "");
    }
    *ret_topo = topo;
    return 0;
}

static int
open_hwloc(const char *xml, const char *synthetic, struct weir_topo **ret_topo)
{
    hwloc_topology_t hw;
    if (hwloc_topology_init(&hw) != 0) {
        return weir_err_push(WEIR_ENOMEM, "hwloc");
    }
    int err = 0;
    if (xml != NULL && (access(xml, R_OK) != 0 || hwloc_topology_set_xml(hw, xml) != 0)) {
        err = weir_err_errno(errno == EINVAL ? ENOENT : errno, "read the topology %s", xml);
        goto out;
    }
    if (synthetic != NULL && hwloc_topology_set_synthetic(hw, synthetic) != 0) {
        err = weir_err_push(WEIR_EINVAL, "\"%.200s\" is not a synthetic topology", synthetic);
        goto out;
    }
    /* What this process may not use belongs into the picture too; the plan knows the difference. */
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
    if (hwloc_topology_set_flags(hw, flags) != 0 ||
        hwloc_topology_set_io_types_filter(hw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) != 0 ||
        hwloc_topology_load(hw) != 0) {
        err = xml != NULL ? weir_err_push(WEIR_ENOINPUT, "%s is not a topology of hwloc", xml)
                          : weir_err_push(WEIR_ESYS, "hwloc cannot read the topology");
        goto out;
    }
    err = read_all(hw, xml == NULL && synthetic == NULL, ret_topo);
out:
    hwloc_topology_destroy(hw);
    return err;
}

int
weir_topo_open_live(struct weir_topo **ret_topo)
{
    return open_hwloc(NULL, NULL, ret_topo);
}

int
weir_topo_open_xml(const char *path, struct weir_topo **ret_topo)
{
    return open_hwloc(path, NULL, ret_topo);
}

int
weir_topo_open_synthetic(const char *text, struct weir_topo **ret_topo)
{
    return open_hwloc(NULL, text, ret_topo);
}

void
weir_topo_close(struct weir_topo *topo)
{
    free(topo);
}

const struct weir_topo_cpu *
weir_topo_cpu(const struct weir_topo *topo, uint32_t cpu)
{
    if (cpu >= WEIR_CPUSET_CPU_CNT_MAX || topo->at[cpu] == NOWHERE) {
        return NULL;
    }
    return &topo->cpu[topo->at[cpu]];
}

const struct weir_topo_node *
weir_topo_node(const struct weir_topo *topo, uint32_t node)
{
    for (uint32_t i = 0; i < topo->node_cnt; i++) {
        if (topo->node[i].node == node) {
            return &topo->node[i];
        }
    }
    return NULL;
}

const struct weir_topo_nic *
weir_topo_nic(const struct weir_topo *topo, const char *name)
{
    for (uint32_t i = 0; i < topo->nic_cnt; i++) {
        if (strcmp(topo->nic[i].name, name) == 0) {
            return &topo->nic[i];
        }
    }
    return NULL;
}

void
weir_topo_siblings(const struct weir_topo *topo, uint32_t cpu, struct weir_cpuset *ret_set)
{
    memset(ret_set, 0, sizeof *ret_set);
    const struct weir_topo_cpu *self = weir_topo_cpu(topo, cpu);
    for (uint32_t i = 0; self != NULL && i < topo->cpu_cnt; i++) {
        if (topo->cpu[i].core == self->core) {
            weir_cpuset_add(ret_set, topo->cpu[i].cpu);
        }
    }
}

enum weir_topo_distance
weir_topo_distance(const struct weir_topo *topo, uint32_t cpu_a, uint32_t cpu_b)
{
    const struct weir_topo_cpu *a = weir_topo_cpu(topo, cpu_a);
    const struct weir_topo_cpu *b = weir_topo_cpu(topo, cpu_b);
    if (a == NULL || b == NULL) {
        return WEIR_TOPO_FAR;
    }
    if (a == b) {
        return WEIR_TOPO_SAME_CPU;
    }
    if (a->core == b->core) {
        return WEIR_TOPO_SAME_CORE;
    }
    if (a->l2 == b->l2) {
        return WEIR_TOPO_SAME_L2;
    }
    if (a->l3 == b->l3) {
        return WEIR_TOPO_SAME_L3;
    }
    if (a->node == b->node) {
        return WEIR_TOPO_SAME_NODE;
    }
    return a->socket == b->socket ? WEIR_TOPO_SAME_SOCKET : WEIR_TOPO_FAR;
}

const char *
weir_topo_distance_name(enum weir_topo_distance distance)
{
    static const char *const names[WEIR_TOPO_DISTANCE_CNT] = {
        "core", "core (SMT)", "L2", "L3", "node", "socket", "host"};
    return distance < WEIR_TOPO_DISTANCE_CNT ? names[distance] : "?";
}
