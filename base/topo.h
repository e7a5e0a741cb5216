/* SPDX-License-Identifier: Apache-2.0 */
/* topo.h: what the host is made of: CPUs, caches, dies, NUMA nodes, isolated CPUs, network cards.
 *
 * Read once, from the running host, from a recorded XML file of hwloc, or from hwloc's synthetic
 * text; read-only afterwards. CPUs stand in the order of the machine (neighbours in the array are
 * neighbours in silicon), and each knows the groups that it belongs to by dense index.
 *
 * A recorded file may carry, as an info attribute "WeirIsolated" of its first object, the list of
 * isolated CPUs, for which hwloc has no word of its own.
 */
#ifndef WEIR_BASE_TOPO_H
#define WEIR_BASE_TOPO_H

#include "base/cpuset.h"

#define WEIR_TOPO_NODE_CNT_MAX 64
#define WEIR_TOPO_NIC_CNT_MAX 64
#define WEIR_TOPO_NAME_BYTES 32

/* One hardware thread. core, l2, l3, die and socket count from 0 without gaps; node and cpu are the
 * kernel's numbers. A host without an L2, an L3 or dies has one group per core, node or socket. */
struct weir_topo_cpu {
    uint16_t cpu;
    uint16_t core;
    uint16_t smt; /* 0 for the first thread of its core */
    uint16_t l2;
    uint16_t l3;
    uint16_t die;
    uint16_t socket;
    uint16_t node;
    bool isolated;
};

struct weir_topo_node {
    uint16_t node;
    uint64_t bytes; /* of memory; 0 where nobody says */
    struct weir_cpuset cpus;
};

struct weir_topo_nic {
    char name[WEIR_TOPO_NAME_BYTES];
    char bus[WEIR_TOPO_NAME_BYTES]; /* PCI address, or empty */
    struct weir_cpuset near; /* CPUs next to it */
};

struct weir_topo {
    uint32_t cpu_cnt;
    uint32_t core_cnt;
    uint32_t l2_cnt;
    uint32_t l3_cnt;
    uint32_t die_cnt;
    uint32_t socket_cnt;
    uint32_t node_cnt;
    uint32_t nic_cnt;
    uint64_t l2_bytes; /* of one group; 0 where unknown */
    uint64_t l3_bytes;
    struct weir_cpuset cpus;
    struct weir_cpuset isolated;
    struct weir_topo_node node[WEIR_TOPO_NODE_CNT_MAX];
    struct weir_topo_nic nic[WEIR_TOPO_NIC_CNT_MAX];
    uint16_t at[WEIR_CPUSET_CPU_CNT_MAX]; /* kernel's CPU number -> index in cpu */
    struct weir_topo_cpu cpu[WEIR_CPUSET_CPU_CNT_MAX];
};

/* weir_topo_open_live, _xml, _synthetic - read the host, a recorded host, or an imagined one.
 *
 * Owner:   the caller closes what it gets.
 * Errors:  WEIR_ENOINPUT for a file that is missing or not hwloc's; WEIR_EINVAL for a synthetic
 *          text that hwloc refuses, or a host beyond the limits above; WEIR_ESYS; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_topo_open_live(struct weir_topo **ret_topo);
WEIR_API WEIR_MUST_USE int weir_topo_open_xml(const char *path, struct weir_topo **ret_topo);
WEIR_API WEIR_MUST_USE int weir_topo_open_synthetic(const char *text, struct weir_topo **ret_topo);
WEIR_API void weir_topo_close(struct weir_topo *topo);

/* weir_topo_cpu - the entry of a CPU by the kernel's number, NULL where the host has no such
 * CPU. */
WEIR_API const struct weir_topo_cpu *weir_topo_cpu(const struct weir_topo *topo, uint32_t cpu);
WEIR_API const struct weir_topo_node *weir_topo_node(const struct weir_topo *topo, uint32_t node);
WEIR_API const struct weir_topo_nic *weir_topo_nic(const struct weir_topo *topo, const char *name);

/* weir_topo_siblings - all hardware threads of the core that cpu belongs to, itself among them. */
WEIR_API void
weir_topo_siblings(const struct weir_topo *topo, uint32_t cpu, struct weir_cpuset *ret_set);

/* How far a cache line travels between two CPUs. */
enum weir_topo_distance {
    WEIR_TOPO_SAME_CPU,
    WEIR_TOPO_SAME_CORE,
    WEIR_TOPO_SAME_L2,
    WEIR_TOPO_SAME_L3,
    WEIR_TOPO_SAME_NODE,
    WEIR_TOPO_SAME_SOCKET,
    WEIR_TOPO_FAR,
    WEIR_TOPO_DISTANCE_CNT,
};

/* weir_topo_distance - between two CPUs that the host has. */
WEIR_API enum weir_topo_distance
weir_topo_distance(const struct weir_topo *topo, uint32_t cpu_a, uint32_t cpu_b);
/* weir_topo_distance_name - "L2", "L3", "node" ...: what the two have in common. */
WEIR_API const char *weir_topo_distance_name(enum weir_topo_distance distance);

#endif
