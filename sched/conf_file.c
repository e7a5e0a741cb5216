/* SPDX-License-Identifier: Apache-2.0 */
/* conf_file.c: a YAML file as one layer of the configuration. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sched/conf_priv.h"

/* Maps within maps: no key is deeper; parameters are one level. */
#define DEPTH_MAX 8

/* A list as the text that a flag would have: its items with commas between. */
static int
list_text(
    const struct conf_place *place, const struct weir_yaml_node *list, char *buf, size_t bytes)
{
    size_t used = 0;
    buf[0] = '\0';
    for (const struct weir_yaml_node *item = list->child; item != NULL; item = item->next) {
        if (item->kind != WEIR_YAML_SCALAR || strchr(item->text, ',') != NULL) {
            struct conf_place at = *place;
            at.mark = item->mark;
            return weir_conf_fail(
                &at, false, "an item of a list must be one value without a comma");
        }
        int n = snprintf(buf + used, bytes - used, "%s%s", used > 0 ? "," : "", item->text);
        if (n < 0 || (size_t)n >= bytes - used) {
            return weir_conf_fail(place, true, "the list is too long");
        }
        used += (size_t)n;
    }
    return 0;
}

static int
put_node(struct weir_conf *conf, struct conf_place *place, const char *path,
    const struct weir_yaml_node *node)
{
    char text[WEIR_CONF_VALUE_BYTES_MAX];
    place->key_mark = node->key_mark;
    place->mark = node->mark;
    if (node->kind == WEIR_YAML_LIST) {
        int err = list_text(place, node, text, sizeof text);
        return err != 0 ? err : weir_conf_put(conf, place, path, text);
    }
    if (node->kind == WEIR_YAML_MAP) {
        /* A map where no section is: as an unknown key, so that the message names its like. */
        bool key = weir_conf_is_key(path);
        return key ? weir_conf_fail(place, true, "%s is one value, not a section", path)
                   : weir_conf_put(conf, place, path, "");
    }
    if (weir_conf_is_section(path) && !weir_conf_is_key(path)) {
        bool empty = node->text[0] == '\0' && !node->quoted;
        return empty ? 0 : weir_conf_fail(place, false, "%s is a section, not one value", path);
    }
    return weir_conf_put(conf, place, path, node->text);
}

struct level {
    const struct weir_yaml_node *next;
    size_t path_bytes; /* of the section's own path */
};

static int
walk(struct weir_conf *conf, struct conf_place *place, const struct weir_yaml_node *root)
{
    struct level stack[DEPTH_MAX];
    char path[CONF_PATH_BYTES_MAX] = "";
    int depth = 0;
    int err = 0;
    stack[0] = (struct level){root->child, 0};
    while (err == 0 && depth >= 0) {
        const struct weir_yaml_node *node = stack[depth].next;
        if (node == NULL) {
            depth--;
            continue;
        }
        stack[depth].next = node->next;
        size_t at = stack[depth].path_bytes;
        size_t room = sizeof path - at;
        int n = snprintf(path + at, room, "%s%s", at > 0 ? "." : "", node->key);
        place->key_mark = node->key_mark;
        if (n < 0 || (size_t)n >= room) {
            err = weir_conf_fail(place, true, "the key is too long");
        } else if (strcmp(path, "pipeline") == 0) {
            continue; /* sched/pipeline.c reads it */
        } else if (node->kind == WEIR_YAML_MAP && depth + 1 < DEPTH_MAX &&
                   !weir_conf_is_key(path) &&
                   (weir_conf_is_section(path) || weir_conf_is_vertex(path) ||
                       weir_conf_is_alias_section(path))) {
            stack[++depth] = (struct level){node->child, at + (size_t)n};
        } else {
            err = put_node(conf, place, path, node);
        }
    }
    return err;
}

int
weir_conf_load_file(struct weir_conf *conf, const char *path, enum weir_conf_layer layer)
{
    struct weir_yaml *yaml = NULL;
    int err = weir_yaml_open(path, &yaml);
    if (err != 0) {
        return err;
    }
    /* Kept whatever happens: messages and the pipeline borrow from it. */
    weir_conf_keep_file(conf, layer, yaml);
    struct conf_place place = {.layer = layer, .yaml = yaml, .mark = {1, 1}, .key_mark = {1, 1}};
    const struct weir_yaml_node *root = weir_yaml_root(yaml);
    if (root == NULL || root->kind != WEIR_YAML_MAP) {
        return weir_conf_fail(
            &place, true, "a configuration is a map that begins with `version: 1`");
    }
    if (weir_yaml_get(root, "version") == NULL) {
        place.key_mark = root->child != NULL ? root->child->key_mark : root->mark;
        return weir_conf_fail(&place, true, "`version: 1` is missing");
    }
    return walk(conf, &place, root);
}
