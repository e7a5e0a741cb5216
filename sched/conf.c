/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c: the values of a run and the order of their layers. Files: conf_file.c. */
#include "sched/conf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "sched/conf_priv.h"

static const struct weir_conf_row conf_rows[] = {
#define CONF_ROW(sym, path, type, rule, syntax, unit, least, most, def, words, text) \
    {{path, WEIR_OPT_##type, WEIR_OPT_##rule, unit, least, most, def, words, text},  \
        WEIR_CONF_##syntax},
    WEIR_CONF_TABLE(CONF_ROW)
#undef CONF_ROW
};

static const char *const layer_names[] = {
    "built-in", "system file", "job file", "environment", "flag"};

struct weir_conf {
    struct weir_conf_value fixed[WEIR_CONF_CNT];
    struct weir_conf_value *extra; /* vertices' keys, then nothing else; parameters */
    size_t extra_cnt;
    char **note;
    size_t note_cnt;
    struct weir_yaml *file[WEIR_CONF_FLAG + 1];
};

const struct weir_conf_row *
weir_conf_row(size_t key)
{
    return key < WEIR_CONF_CNT ? &conf_rows[key] : NULL;
}

static void
value_free(struct weir_conf_value *value)
{
    free((void *)value->path);
    free((void *)value->vertex);
    free((void *)value->text);
    free((void *)value->origin);
}

static int
value_fill(struct weir_conf_value *value, const char *path, const char *text, const char *origin)
{
    char *new_path = strdup(path);
    char *new_text = strdup(text);
    char *new_origin = strdup(origin);
    if (new_path == NULL || new_text == NULL || new_origin == NULL) {
        free(new_path);
        free(new_text);
        free(new_origin);
        return weir_err_push(WEIR_ENOMEM, "the value of %s", path);
    }
    free((void *)value->path);
    free((void *)value->text);
    free((void *)value->origin);
    value->path = new_path;
    value->text = new_text;
    value->origin = new_origin;
    return 0;
}

int
weir_conf_new(struct weir_conf **ret_conf)
{
    struct weir_conf *conf = calloc(1, sizeof *conf);
    int err = conf != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "the configuration");
    for (size_t key = 0; err == 0 && key < WEIR_CONF_CNT; key++) {
        const struct weir_conf_row *row = &conf_rows[key];
        struct weir_conf_value *value = &conf->fixed[key];
        char why[WEIR_OPT_WHY_BYTES] = "";
        value->key = (enum weir_conf_key)key;
        err = value_fill(value, row->opt.name, row->opt.def, layer_names[WEIR_CONF_BUILT_IN]);
        if (err == 0 && row->opt.def[0] != '\0') {
            int wrong = weir_conf_parse(row, row->opt.def, &value->number, why);
            WEIR_CHECK(wrong == 0, "the built-in value of %s %s", row->opt.name, why);
        }
    }
    if (err != 0) {
        weir_conf_close(conf);
        return err;
    }
    *ret_conf = conf;
    return 0;
}

void
weir_conf_close(struct weir_conf *conf)
{
    if (conf == NULL) {
        return;
    }
    for (size_t key = 0; key < WEIR_CONF_CNT; key++) {
        value_free(&conf->fixed[key]);
    }
    for (size_t i = 0; i < conf->extra_cnt; i++) {
        value_free(&conf->extra[i]);
    }
    for (size_t i = 0; i < conf->note_cnt; i++) {
        free(conf->note[i]);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(conf->file); i++) {
        weir_yaml_close(conf->file[i]);
    }
    free(conf->extra);
    free(conf->note);
    free(conf);
}

/* The key of a path and, where the row has a '*', what stands in its place. */
static const struct weir_conf_row *
row_find(const char *path, enum weir_conf_key *ret_key, char *ret_vertex, size_t vertex_bytes)
{
    size_t path_bytes = strlen(path);
    for (size_t key = 0; key < WEIR_CONF_CNT; key++) {
        const char *pattern = conf_rows[key].opt.name;
        const char *star = strchr(pattern, '*');
        size_t head = star != NULL ? (size_t)(star - pattern) : strlen(pattern);
        size_t tail = star != NULL ? strlen(star + 1) : 0;
        bool same = path_bytes >= head && strncmp(path, pattern, head) == 0;
        if (star == NULL) {
            same = same && path_bytes == head;
        } else {
            same =
                same && path_bytes > head + tail && strcmp(path + path_bytes - tail, star + 1) == 0;
        }
        if (same) {
            *ret_key = (enum weir_conf_key)key;
            ret_vertex[0] = '\0';
            if (star != NULL) {
                (void)snprintf(
                    ret_vertex, vertex_bytes, "%.*s", (int)(path_bytes - head - tail), path + head);
            }
            return &conf_rows[key];
        }
    }
    return NULL;
}

bool
weir_conf_is_section(const char *path)
{
    size_t bytes = strlen(path);
    for (size_t key = 0; key < WEIR_CONF_CNT; key++) {
        const char *pattern = conf_rows[key].opt.name;
        if (strncmp(pattern, path, bytes) == 0 && pattern[bytes] == '.') {
            return true;
        }
    }
    return strcmp(path, "params") == 0;
}

bool
weir_conf_is_vertex(const char *path)
{
    static const char before[] = "placement.vertices.";
    return strncmp(path, before, sizeof before - 1) == 0;
}

bool
weir_conf_is_key(const char *path)
{
    enum weir_conf_key key;
    char vertex[CONF_PATH_BYTES_MAX];
    return row_find(path, &key, vertex, sizeof vertex) != NULL;
}

int
weir_conf_fail(const struct conf_place *place, bool at_key, const char *fmt, ...)
{
    char message[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (place->yaml != NULL) {
        return weir_yaml_fail(place->yaml, at_key ? place->key_mark : place->mark, "%s", message);
    }
    return weir_err_push(WEIR_ECONFIG, "%s: %s", place->name, message);
}

static int
refuse_path(const struct conf_place *place, const char *path)
{
    char near[CONF_PATH_BYTES_MAX];
    if (weir_conf_nearest_path(path, near, sizeof near)) {
        return weir_conf_fail(place, true, "unknown key '%s'; did you mean '%s'?", path, near);
    }
    return weir_conf_fail(place, true, "unknown key '%s'; `weir config defaults` lists all", path);
}

/* The value's slot: its own of the table, that of the vertex's key or parameter, or a new one. */
static struct weir_conf_value *
slot_of(struct weir_conf *conf, enum weir_conf_key key, const char *vertex, const char *path)
{
    if (key < WEIR_CONF_CNT && vertex[0] == '\0') {
        return &conf->fixed[key];
    }
    for (size_t i = 0; i < conf->extra_cnt; i++) {
        if (strcmp(conf->extra[i].path, path) == 0) {
            return &conf->extra[i];
        }
    }
    if (conf->extra_cnt == WEIR_CONF_ENTRY_CNT_MAX) {
        return NULL;
    }
    struct weir_conf_value *grown =
        realloc(conf->extra, (conf->extra_cnt + 1) * sizeof(*conf->extra));
    if (grown == NULL) {
        return NULL;
    }
    conf->extra = grown;
    struct weir_conf_value *slot = &grown[conf->extra_cnt];
    *slot = (struct weir_conf_value){.key = key};
    slot->path = strdup(path);
    slot->vertex = vertex[0] != '\0' ? strdup(vertex) : NULL;
    slot->text = strdup("");
    slot->origin = strdup("");
    conf->extra_cnt++;
    return slot->path != NULL && slot->text != NULL && slot->origin != NULL ? slot : NULL;
}

static int
note_add(struct weir_conf *conf, const struct conf_alias *alias)
{
    char text[512];
    if (alias->path != NULL) {
        (void)snprintf(
            text, sizeof text, "%s is Flink's name; here it is %s", alias->flink, alias->path);
    } else {
        (void)snprintf(text, sizeof text, "%s is Flink's; %s", alias->flink, alias->note);
    }
    for (size_t i = 0; i < conf->note_cnt; i++) {
        if (strcmp(conf->note[i], text) == 0) {
            return 0;
        }
    }
    char **grown = realloc(conf->note, (conf->note_cnt + 1) * sizeof(*conf->note));
    if (grown == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a note");
    }
    conf->note = grown;
    grown[conf->note_cnt] = strdup(text);
    conf->note_cnt += grown[conf->note_cnt] != NULL ? 1 : 0;
    return 0;
}

static void
origin_text(const struct conf_place *place, char *buf, size_t bytes)
{
    if (place->yaml != NULL) {
        (void)snprintf(buf, bytes, "%s:%u:%u", weir_yaml_name(place->yaml), place->mark.line,
            place->mark.column);
    } else {
        (void)snprintf(buf, bytes, "%s", place->name);
    }
}

static int
put_value(
    const struct conf_place *place, struct weir_conf_value *slot, const char *text, int64_t number)
{
    char origin[CONF_PATH_BYTES_MAX];
    origin_text(place, origin, sizeof origin);
    if (slot->layer > place->layer) {
        return 0;
    }
    if (place->yaml != NULL && slot->layer == place->layer && slot->origin[0] != '\0') {
        return weir_conf_fail(
            place, true, "%s is set twice, first at %s", slot->path, slot->origin);
    }
    int err = value_fill(slot, slot->path, text, origin);
    if (err == 0) {
        slot->number = number;
        slot->layer = place->layer;
    }
    return err;
}

int
weir_conf_put(
    struct weir_conf *conf, const struct conf_place *place, const char *path, const char *text)
{
    char ours[WEIR_CONF_VALUE_BYTES_MAX];
    const struct conf_alias *alias = weir_conf_alias_find(path);
    if (alias != NULL) {
        int err = note_add(conf, alias);
        if (err != 0 || alias->path == NULL) {
            return err;
        }
        weir_conf_alias_value(alias->form, text, ours, sizeof ours);
        path = alias->path;
        text = ours;
    }
    enum weir_conf_key key = WEIR_CONF_CNT;
    char vertex[CONF_PATH_BYTES_MAX] = "";
    int64_t number = 0;
    if (strlen(text) >= WEIR_CONF_VALUE_BYTES_MAX) {
        return weir_conf_fail(
            place, false, "%s is longer than %d bytes", path, WEIR_CONF_VALUE_BYTES_MAX);
    }
    if (strncmp(path, "params.", 7) != 0 || path[7] == '\0') {
        const struct weir_conf_row *row = row_find(path, &key, vertex, sizeof vertex);
        char why[WEIR_OPT_WHY_BYTES];
        if (row == NULL) {
            return refuse_path(place, path);
        }
        if (text[0] == '\0' && row->syntax != WEIR_CONF_NAMES) {
            return weir_conf_fail(place, true, "%s has no value", path);
        }
        if (weir_conf_parse(row, text, &number, why) != 0) {
            return weir_conf_fail(place, false, "%s %s", path, why);
        }
    }
    struct weir_conf_value *slot = slot_of(conf, key, vertex, path);
    if (slot == NULL) {
        return weir_conf_fail(place, true, "%s: no memory, or more than %d vertices and parameters",
            path, WEIR_CONF_ENTRY_CNT_MAX);
    }
    return put_value(place, slot, text, number);
}

void
weir_conf_keep_file(struct weir_conf *conf, enum weir_conf_layer layer, struct weir_yaml *yaml)
{
    weir_yaml_close(conf->file[layer]);
    conf->file[layer] = yaml;
}

int
weir_conf_set(struct weir_conf *conf, const char *flag, const char *path_value)
{
    char name[CONF_PATH_BYTES_MAX];
    char path[CONF_PATH_BYTES_MAX];
    const char *equals = strchr(path_value, '=');
    struct conf_place place = {.layer = WEIR_CONF_FLAG, .name = name};
    (void)snprintf(name, sizeof name, "%s", flag);
    if (equals == NULL || equals == path_value || (size_t)(equals - path_value) >= sizeof path) {
        const char *given = strcmp(flag, "-p") == 0 ? path_value + strlen("params.") : path_value;
        return weir_conf_fail(&place, true, "'%.100s' is not of the form key=value", given);
    }
    (void)snprintf(path, sizeof path, "%.*s", (int)(equals - path_value), path_value);
    return weir_conf_put(conf, &place, path, equals + 1);
}

/* WEIR_PLACEMENT__SMT -> placement.smt; false: not such a name, or too long. */
static bool
env_path(const char *variable, size_t chars, char *ret_path, size_t path_bytes)
{
    size_t used = 0;
    for (size_t i = 5; i < chars && used + 1 < path_bytes; i++) {
        if (variable[i] == '_' && i + 1 < chars && variable[i + 1] == '_') {
            ret_path[used++] = '.';
            i++;
        } else {
            ret_path[used++] = (char)tolower((unsigned char)variable[i]);
        }
    }
    ret_path[used] = '\0';
    return chars > 5 && strncmp(variable, "WEIR_", 5) == 0 && used + 1 < path_bytes;
}

int
weir_conf_load_env(struct weir_conf *conf, char *const *env)
{
    int err = 0;
    for (size_t i = 0; err == 0 && env[i] != NULL; i++) {
        char name[CONF_PATH_BYTES_MAX];
        char path[CONF_PATH_BYTES_MAX];
        char vertex[CONF_PATH_BYTES_MAX];
        char near[CONF_PATH_BYTES_MAX];
        enum weir_conf_key key;
        size_t chars = strcspn(env[i], "=");
        if (env[i][chars] == '\0' || !env_path(env[i], chars, path, sizeof path)) {
            continue;
        }
        bool ours =
            strchr(path, '.') != NULL || row_find(path, &key, vertex, sizeof vertex) != NULL ||
            (!weir_conf_is_section(path) && weir_conf_nearest_path(path, near, sizeof near) &&
                !weir_conf_is_section(near));
        (void)snprintf(name, sizeof name, "%.*s", (int)chars, env[i]);
        struct conf_place place = {.layer = WEIR_CONF_ENV, .name = name};
        if (ours) {
            err = weir_conf_put(conf, &place, path, env[i] + chars + 1);
        }
    }
    return err;
}

bool
weir_conf_is_default(const struct weir_conf_value *value)
{
    return value->key != WEIR_CONF_CNT && strcmp(value->text, conf_rows[value->key].opt.def) == 0;
}

int
weir_conf_check(const struct weir_conf *conf)
{
    int64_t most = weir_conf_i64(conf, WEIR_CONF_MAX_PARALLELISM);
    for (size_t i = 0; most != WEIR_CONF_WORD && weir_conf_at(conf, i) != NULL; i++) {
        const struct weir_conf_value *value = weir_conf_at(conf, i);
        bool width =
            value->key == WEIR_CONF_PARALLELISM || value->key == WEIR_CONF_VERTEX_PARALLELISM;
        if (width && value->text[0] != '\0' && value->number > most) {
            return weir_err_push(WEIR_ECONFIG,
                "%s is %s (%s), more than max_parallelism, which is %lld (%s)", value->path,
                value->text, value->origin, (long long)most,
                weir_conf_value(conf, WEIR_CONF_MAX_PARALLELISM)->origin);
        }
    }
    const struct weir_conf_value *dir = weir_conf_value(conf, WEIR_CONF_CHECKPOINTS_DIR);
    const struct weir_conf_value *storage = weir_conf_value(conf, WEIR_CONF_CHECKPOINTS_STORAGE);
    if (storage->number != 0 && dir->text[0] != '\0') {
        return weir_err_push(WEIR_ECONFIG, "%s is %s (%s), and %s is %s (%s): only one is wanted",
            storage->path, storage->text, storage->origin, dir->path, dir->text, dir->origin);
    }
    const struct weir_conf_value *interval = weir_conf_value(conf, WEIR_CONF_CHECKPOINTS_INTERVAL);
    if (interval->number != WEIR_CONF_WORD && !weir_conf_has_checkpoints(conf)) {
        return weir_err_push(WEIR_ECONFIG, "%s is %s (%s), and checkpoints.dir is not set",
            interval->path, interval->text, interval->origin);
    }
    const struct weir_conf_value *backend = weir_conf_value(conf, WEIR_CONF_STATE_BACKEND);
    if (backend->number != 0 && weir_conf_text(conf, WEIR_CONF_STATE_DIR)[0] == '\0' &&
        weir_conf_text(conf, WEIR_CONF_CHECKPOINTS_DIR)[0] == '\0') {
        return weir_err_push(WEIR_ECONFIG,
            "%s is %s (%s), and neither state.dir nor checkpoints.dir is set", backend->path,
            backend->text, backend->origin);
    }
    return 0;
}

bool
weir_conf_has_checkpoints(const struct weir_conf *conf)
{
    return weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_STORAGE) != 0 ||
           weir_conf_text(conf, WEIR_CONF_CHECKPOINTS_DIR)[0] != '\0';
}

const struct weir_conf_value *
weir_conf_value(const struct weir_conf *conf, enum weir_conf_key key)
{
    WEIR_CHECK(key < WEIR_CONF_CNT, "key %d", (int)key);
    return &conf->fixed[key];
}

int64_t
weir_conf_i64(const struct weir_conf *conf, enum weir_conf_key key)
{
    return weir_conf_value(conf, key)->number;
}

double
weir_conf_real(const struct weir_conf *conf, enum weir_conf_key key)
{
    const struct weir_opt *opt = &weir_conf_row(key)->opt;
    struct weir_opt_value value;
    char why[WEIR_OPT_WHY_BYTES];
    WEIR_CHECK(opt->type == WEIR_OPT_REAL, "%s is no real", opt->name);
    int err = weir_opt_parse(opt, weir_conf_text(conf, key), &value, why);
    WEIR_CHECK(err == 0, "%s %s", opt->name, why);
    return value.real;
}

const char *
weir_conf_text(const struct weir_conf *conf, enum weir_conf_key key)
{
    return weir_conf_value(conf, key)->text;
}

const struct weir_conf_value *
weir_conf_vertex(const struct weir_conf *conf, enum weir_conf_key key, const char *vertex)
{
    for (size_t i = 0; i < conf->extra_cnt; i++) {
        const struct weir_conf_value *value = &conf->extra[i];
        if (value->key == key && value->vertex != NULL && strcmp(value->vertex, vertex) == 0) {
            return value;
        }
    }
    return NULL;
}

const struct weir_conf_value *
weir_conf_param(const struct weir_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->extra_cnt; i++) {
        const struct weir_conf_value *value = &conf->extra[i];
        if (value->key == WEIR_CONF_CNT && strcmp(value->path + strlen("params."), name) == 0) {
            return value;
        }
    }
    return NULL;
}

const struct weir_conf_value *
weir_conf_at(const struct weir_conf *conf, size_t idx)
{
    for (size_t key = 0; key < WEIR_CONF_CNT; key++) {
        if (strchr(conf_rows[key].opt.name, '*') == NULL && idx-- == 0) {
            return &conf->fixed[key];
        }
    }
    return idx < conf->extra_cnt ? &conf->extra[idx] : NULL;
}

const char *
weir_conf_note(const struct weir_conf *conf, size_t idx)
{
    return idx < conf->note_cnt ? conf->note[idx] : NULL;
}

const struct weir_yaml_node *
weir_conf_pipeline(const struct weir_conf *conf, const struct weir_yaml **ret_file)
{
    for (size_t layer = WEIR_ARRAY_CNT(conf->file); layer-- > 0;) {
        const struct weir_yaml *file = conf->file[layer];
        const struct weir_yaml_node *node =
            file != NULL ? weir_yaml_get(weir_yaml_root(file), "pipeline") : NULL;
        if (node != NULL) {
            *ret_file = file;
            return node;
        }
    }
    return NULL;
}

int64_t
weir_conf_memory_budget(const struct weir_conf *conf, uint64_t available_bytes)
{
    int64_t budget = weir_conf_i64(conf, WEIR_CONF_MEMORY_BUDGET);
    return budget != WEIR_CONF_WORD ? budget : (int64_t)(available_bytes / 4 * 3);
}
