/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* What fits in one entry of the error context beside the message. */
#define LINE_BYTES_SHOWN 100
#define MESSAGE_BYTES 256

struct weir_yaml {
    char *name;
    char *text;
    size_t text_bytes;
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct fy_document *document; /* holds the scalars' text */
    size_t node_cnt;
    size_t node_cap;
    struct weir_yaml_node **block; /* nodes never move: they point at each other */
    size_t block_cnt;
    struct weir_yaml_node *root;
};

#define BLOCK_NODE_CNT 256

static struct weir_yaml_node *
node_new(struct weir_yaml *yaml)
{
    if (yaml->node_cnt == yaml->node_cap) {
        struct weir_yaml_node **grown =
            realloc(yaml->block, (yaml->block_cnt + 1) * sizeof(*yaml->block));
        if (grown == NULL) {
            return NULL;
        }
        yaml->block = grown;
        grown[yaml->block_cnt] = calloc(BLOCK_NODE_CNT, sizeof(**grown));
        if (grown[yaml->block_cnt] == NULL) {
            return NULL;
        }
        yaml->block_cnt++;
        yaml->node_cap += BLOCK_NODE_CNT;
    }
    size_t idx = yaml->node_cnt++;
    return &yaml->block[idx / BLOCK_NODE_CNT][idx % BLOCK_NODE_CNT];
}

/* The text of a line without its end, cut so that a message stays readable. */
static size_t
line_of(const struct weir_yaml *yaml, uint32_t line, const char **ret_text)
{
    const char *at = yaml->text;
    const char *end = yaml->text + yaml->text_bytes;
    for (uint32_t i = 1; i < line && at < end; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t bytes = (size_t)((newline != NULL ? newline : end) - at);
    *ret_text = at;
    return bytes;
}

int
weir_yaml_fail(const struct weir_yaml *yaml, struct weir_yaml_mark mark, const char *fmt, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    const char *line;
    size_t bytes = line_of(yaml, mark.line, &line);
    if (bytes == 0 || mark.column > LINE_BYTES_SHOWN) {
        return weir_err_push(
            WEIR_ECONFIG, "%s:%u:%u: %s", yaml->name, mark.line, mark.column, message);
    }
    /* The caret is led by the line's own tabs, so that it stands under its character. */
    char caret[LINE_BYTES_SHOWN + 1];
    uint32_t used = 0;
    for (size_t i = 0; i < bytes && used + 1 < mark.column; i++) {
        if (((unsigned char)line[i] & 0xC0) != 0x80) {
            caret[used++] = line[i] == '\t' ? '\t' : ' ';
        }
    }
    caret[used] = '\0';
    return weir_err_push(WEIR_ECONFIG, "%s:%u:%u: %s\n    %.*s\n    %s^", yaml->name, mark.line,
        mark.column, message, (int)weir_min_u64(bytes, LINE_BYTES_SHOWN), line, caret);
}

/* Where a node begins. A map or a list begins where its first scalar does, for libfyaml gives no
 * mark of its own; an empty one is at what it is a value of, or in. */
static struct weir_yaml_mark
node_mark(struct fy_node *fy_node, struct weir_yaml_mark around)
{
    for (int depth = 0; fy_node != NULL && depth < WEIR_YAML_DEPTH_MAX; depth++) {
        if (fy_node_is_scalar(fy_node)) {
            struct fy_token *token = fy_node_get_scalar_token(fy_node);
            const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
            if (mark == NULL) {
                return around;
            }
            return (struct weir_yaml_mark){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
        }
        void *at = NULL;
        if (fy_node_is_mapping(fy_node)) {
            fy_node = fy_node_pair_key(fy_node_mapping_iterate(fy_node, &at));
        } else {
            fy_node = fy_node_sequence_iterate(fy_node, &at);
        }
    }
    return around;
}

/* An open map or list on the way down. */
struct level {
    struct fy_node *fy_node;
    void *at;
    struct weir_yaml_node *node;
    struct weir_yaml_node *last_child;
};

static int
fill_node(struct weir_yaml *yaml, struct fy_node *from, struct weir_yaml_mark around,
    struct weir_yaml_node *node)
{
    if (fy_node_is_alias(from) || fy_node_get_anchor(from) != NULL) {
        return weir_yaml_fail(yaml, node_mark(from, around),
            "anchors and aliases are not taken: write the value out");
    }
    node->kind = fy_node_is_scalar(from)    ? WEIR_YAML_SCALAR
                 : fy_node_is_mapping(from) ? WEIR_YAML_MAP
                                            : WEIR_YAML_LIST;
    node->mark = node_mark(from, around);
    if (node->kind == WEIR_YAML_SCALAR) {
        enum fy_node_style style = fy_node_get_style(from);
        node->quoted = style != FYNS_PLAIN && style != FYNS_ANY;
        node->text = fy_node_get_scalar0(from);
        size_t bytes = 0;
        (void)fy_node_get_scalar(from, &bytes);
        if (node->text == NULL && bytes == 0) {
            node->text = "";
        }
        if (node->text == NULL || strlen(node->text) != bytes) {
            return weir_yaml_fail(yaml, node->mark, "a value may not hold a NUL");
        }
    }
    return 0;
}

/* Appends the next child of the level's map or list; *ret_node is NULL when there is none left. */
static int
next_child(struct weir_yaml *yaml, struct level *level, struct fy_node **ret_from,
    struct weir_yaml_node **ret_node)
{
    struct fy_node *key = NULL;
    struct fy_node *from;
    *ret_node = NULL;
    if (level->node->kind == WEIR_YAML_MAP) {
        struct fy_node_pair *pair = fy_node_mapping_iterate(level->fy_node, &level->at);
        if (pair == NULL) {
            return 0;
        }
        key = fy_node_pair_key(pair);
        from = fy_node_pair_value(pair);
    } else {
        from = fy_node_sequence_iterate(level->fy_node, &level->at);
        if (from == NULL) {
            return 0;
        }
    }
    struct weir_yaml_node *node = yaml->node_cnt < WEIR_YAML_NODE_CNT_MAX ? node_new(yaml) : NULL;
    if (node == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s: more than memory or %u nodes allow", yaml->name,
            WEIR_YAML_NODE_CNT_MAX);
    }
    int err = 0;
    if (key != NULL) {
        node->key_mark = node_mark(key, level->node->mark);
        node->key = fy_node_is_scalar(key) ? fy_node_get_scalar0(key) : NULL;
        if (node->key == NULL) {
            return weir_yaml_fail(yaml, node->key_mark, "a key must be a plain word");
        }
    }
    if (from != NULL) {
        err = fill_node(yaml, from, key != NULL ? node->key_mark : level->node->mark, node);
    } else {
        node->text = "";
        node->mark = node->key_mark;
    }
    if (level->last_child == NULL) {
        level->node->child = node;
    } else {
        level->last_child->next = node;
    }
    level->last_child = node;
    *ret_from = from;
    *ret_node = node;
    return err;
}

static int
copy_tree(struct weir_yaml *yaml, struct fy_node *top)
{
    struct level stack[WEIR_YAML_DEPTH_MAX];
    int depth = 0;
    yaml->root = node_new(yaml);
    if (yaml->root == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s", yaml->name);
    }
    int err = fill_node(yaml, top, (struct weir_yaml_mark){1, 1}, yaml->root);
    stack[0] = (struct level){.fy_node = top, .node = yaml->root};
    if (yaml->root->kind == WEIR_YAML_SCALAR) {
        depth = -1;
    }
    while (err == 0 && depth >= 0) {
        struct fy_node *from = NULL;
        struct weir_yaml_node *node;
        err = next_child(yaml, &stack[depth], &from, &node);
        if (err != 0 || node == NULL) {
            depth--;
        } else if (node->kind != WEIR_YAML_SCALAR) {
            if (depth + 1 == WEIR_YAML_DEPTH_MAX) {
                return weir_yaml_fail(
                    yaml, node->mark, "nested deeper than %d levels", WEIR_YAML_DEPTH_MAX);
            }
            stack[++depth] = (struct level){.fy_node = from, .node = node};
        }
    }
    return err;
}

static int
syntax_error(struct weir_yaml *yaml)
{
    void *at = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(yaml->diag, &at);
    if (first == NULL) {
        return weir_err_push(WEIR_ECONFIG, "%s: not valid YAML", yaml->name);
    }
    struct weir_yaml_mark mark = {
        (uint32_t)(first->line > 0 ? first->line : 1),
        (uint32_t)(first->column > 0 ? first->column : 1),
    };
    return weir_yaml_fail(yaml, mark, "not valid YAML: %s", first->msg);
}

static int
parse_text(struct weir_yaml *yaml)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    yaml->diag = fy_diag_create(&diag_cfg);
    if (yaml->diag == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s", yaml->name);
    }
    fy_diag_set_collect_errors(yaml->diag, true);
    struct fy_parse_cfg cfg = {
        .flags = FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2, .diag = yaml->diag};
    yaml->parser = fy_parser_create(&cfg);
    if (yaml->parser == NULL ||
        fy_parser_set_string(yaml->parser, yaml->text, yaml->text_bytes) != 0) {
        return weir_err_push(WEIR_ENOMEM, "%s", yaml->name);
    }
    int err = 0;
    yaml->document = fy_parse_load_document(yaml->parser);
    if (fy_parser_get_stream_error(yaml->parser)) {
        return syntax_error(yaml);
    }
    if (yaml->document != NULL && fy_document_root(yaml->document) != NULL) {
        err = copy_tree(yaml, fy_document_root(yaml->document));
    }
    struct fy_document *second = err == 0 ? fy_parse_load_document(yaml->parser) : NULL;
    if (err == 0 && fy_parser_get_stream_error(yaml->parser)) {
        err = syntax_error(yaml);
    } else if (second != NULL) {
        err = weir_err_push(WEIR_ECONFIG, "%s: more than one document", yaml->name);
    }
    fy_parse_document_destroy(yaml->parser, second);
    return err;
}

int
weir_yaml_parse(const char *name, const char *text, size_t bytes, struct weir_yaml **ret_yaml)
{
    struct weir_yaml *yaml = calloc(1, sizeof *yaml);
    if (yaml == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s", name);
    }
    yaml->name = strdup(name);
    yaml->text = malloc(bytes + 1);
    int err = 0;
    if (yaml->name == NULL || yaml->text == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "%s", name);
        goto out;
    }
    memcpy(yaml->text, text, bytes);
    yaml->text[bytes] = '\0';
    yaml->text_bytes = bytes;
    err = parse_text(yaml);
out:
    if (err != 0) {
        weir_yaml_close(yaml);
        return err;
    }
    *ret_yaml = yaml;
    return 0;
}

static int
read_all(int fd, const char *path, char **ret_text, size_t *ret_bytes)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return weir_err_errno(errno, "%s", path);
    }
    if (S_ISDIR(stat.st_mode)) {
        return weir_err_errno(EISDIR, "%s", path);
    }
    size_t cap = 64 * WEIR_KIB;
    size_t used = 0;
    char *text = malloc(cap);
    while (text != NULL) {
        ssize_t got = read(fd, text + used, cap - used);
        if (got == 0) {
            *ret_text = text;
            *ret_bytes = used;
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            int err = weir_err_errno(errno, "reading %s", path);
            free(text);
            return err;
        }
        used += got > 0 ? (size_t)got : 0;
        if (used == cap) {
            if (cap >= WEIR_YAML_BYTES_MAX) {
                free(text);
                return weir_err_push(WEIR_ECONFIG, "%s: larger than 16 MiB", path);
            }
            cap *= 2;
            char *grown = realloc(text, cap);
            if (grown == NULL) {
                free(text);
            }
            text = grown;
        }
    }
    return weir_err_push(WEIR_ENOMEM, "%s", path);
}

int
weir_yaml_open(const char *path, struct weir_yaml **ret_yaml)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return weir_err_errno(errno, "%s", path);
    }
    char *text = NULL;
    size_t bytes = 0;
    int err = read_all(fd, path, &text, &bytes);
    if (err == 0) {
        err = weir_yaml_parse(path, text, bytes, ret_yaml);
    }
    free(text);
    (void)close(fd);
    return err;
}

void
weir_yaml_close(struct weir_yaml *yaml)
{
    if (yaml == NULL) {
        return;
    }
    if (yaml->parser != NULL) {
        fy_parse_document_destroy(yaml->parser, yaml->document);
        fy_parser_destroy(yaml->parser);
    }
    fy_diag_destroy(yaml->diag);
    for (size_t i = 0; i < yaml->block_cnt; i++) {
        free(yaml->block[i]);
    }
    free(yaml->block);
    free(yaml->text);
    free(yaml->name);
    free(yaml);
}

const struct weir_yaml_node *
weir_yaml_root(const struct weir_yaml *yaml)
{
    return yaml->root;
}

const char *
weir_yaml_name(const struct weir_yaml *yaml)
{
    return yaml->name;
}

const struct weir_yaml_node *
weir_yaml_get(const struct weir_yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != WEIR_YAML_MAP) {
        return NULL;
    }
    for (const struct weir_yaml_node *child = map->child; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0) {
            return child;
        }
    }
    return NULL;
}
