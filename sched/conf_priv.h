/* SPDX-License-Identifier: Apache-2.0 */
/* conf_priv.h: what the files of the configuration share. */
#ifndef WEIR_SCHED_CONF_PRIV_H
#define WEIR_SCHED_CONF_PRIV_H

#include "sched/conf.h"

#define CONF_PATH_BYTES_MAX 256

/* Where a value stands: in a file (yaml and marks), or in `name`, a flag or a variable. */
struct conf_place {
    enum weir_conf_layer layer;
    const struct weir_yaml *yaml;
    struct weir_yaml_mark key_mark;
    struct weir_yaml_mark mark;
    const char *name;
};

/* A key of Flink that we take: where it goes, and how its value is written there. */
enum conf_alias_form {
    CONF_ALIAS_TEXT,
    CONF_ALIAS_MEMORY, /* "64 mb", where a bare number is bytes */
    CONF_ALIAS_TIME, /* "1 min", where a bare number is milliseconds */
    CONF_ALIAS_IGNORE, /* has no effect here; the note says why */
};

struct conf_alias {
    const char *flink;
    const char *path;
    enum conf_alias_form form;
    const char *note;
};

/* weir_conf_alias_find - the row of Flink's key, NULL: no such. */
const struct conf_alias *weir_conf_alias_find(const char *path);
/* weir_conf_alias_value - Flink's value as we write it. */
void weir_conf_alias_value(
    enum conf_alias_form form, const char *text, char *ret_text, size_t text_bytes);

/* weir_conf_fail - push the message with the key's or the value's place; returns WEIR_ECONFIG. */
int
weir_conf_fail(const struct conf_place *place, bool at_key, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* weir_conf_put - take one value of a layer: aliases, keys, parameters; refuse all else. */
int weir_conf_put(
    struct weir_conf *conf, const struct conf_place *place, const char *path, const char *text);
/* weir_conf_keep_file - takes the file of a layer. */
void
weir_conf_keep_file(struct weir_conf *conf, enum weir_conf_layer layer, struct weir_yaml *yaml);
/* weir_conf_is_section - keys begin with this path and a dot; is_vertex - it names a vertex (whose
 * name may hold dots) or more; is_key - it is a key itself; is_alias_section - keys of Flink's
 * begin so. */
bool weir_conf_is_section(const char *path);
bool weir_conf_is_vertex(const char *path);
bool weir_conf_is_key(const char *path);
bool weir_conf_is_alias_section(const char *path);

/* weir_conf_nearest_path - what an unknown key was perhaps meant to be; false: nothing is near. */
bool weir_conf_nearest_path(const char *path, char *ret_near, size_t near_bytes);

#endif
