/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h: a YAML 1.2 file as a tree in which every node knows its place, for messages that show it.
 *
 * One document a file; keys are scalars and occur once; anchors and aliases are refused (a file of
 * a few lines could stand for gigabytes). The tree is read-only and lives as long as its weir_yaml.
 *
 * Limits: 16 MiB, 64 levels, 2^20 nodes.
 */
#ifndef WEIR_SCHED_YAML_H
#define WEIR_SCHED_YAML_H

#include "base/base.h"

#define WEIR_YAML_BYTES_MAX (16 * WEIR_MIB)
#define WEIR_YAML_DEPTH_MAX 64
#define WEIR_YAML_NODE_CNT_MAX (1u << 20)

enum weir_yaml_kind {
    WEIR_YAML_SCALAR,
    WEIR_YAML_MAP,
    WEIR_YAML_LIST,
};

/* A place in a file: line and column count from 1; the column counts characters. */
struct weir_yaml_mark {
    uint32_t line;
    uint32_t column;
};

struct weir_yaml_node {
    enum weir_yaml_kind kind;
    bool quoted; /* scalar in quotes or as a block: text, whatever it looks like */
    struct weir_yaml_mark mark;
    struct weir_yaml_mark key_mark;
    const char *key; /* in a map; else NULL */
    const char *text; /* scalar */
    const struct weir_yaml_node *child; /* first of a map or a list */
    const struct weir_yaml_node *next; /* sibling */
};

struct weir_yaml;

/* weir_yaml_open - read and parse a file.
 *
 * Errors: WEIR_ENOINPUT, WEIR_EPERM, WEIR_EIO; WEIR_ECONFIG where it is not such YAML, with the
 * place.
 */
WEIR_API WEIR_MUST_USE int weir_yaml_open(const char *path, struct weir_yaml **ret_yaml);
/* weir_yaml_parse - the same from memory; name stands in the messages. The text is copied. */
WEIR_API WEIR_MUST_USE int
weir_yaml_parse(const char *name, const char *text, size_t bytes, struct weir_yaml **ret_yaml);
WEIR_API void weir_yaml_close(struct weir_yaml *yaml);

/* weir_yaml_root - the top node, NULL of an empty document. */
WEIR_API const struct weir_yaml_node *weir_yaml_root(const struct weir_yaml *yaml);
WEIR_API const char *weir_yaml_name(const struct weir_yaml *yaml);
/* weir_yaml_get - the child of a map with that key, NULL where absent or no map. */
WEIR_API const struct weir_yaml_node *
weir_yaml_get(const struct weir_yaml_node *map, const char *key);

/* weir_yaml_fail - push "name:line:column: <message>", the line and a caret; returns WEIR_ECONFIG.
 */
WEIR_API int weir_yaml_fail(const struct weir_yaml *yaml, struct weir_yaml_mark mark,
    const char *fmt, ...) WEIR_PRINTF(3, 4);

#endif
