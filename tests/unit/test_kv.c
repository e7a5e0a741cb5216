/* SPDX-License-Identifier: Apache-2.0 */
/* The store of keys and values, by its helper thread and inline: what is written is read, a
 * checkpoint is what the store was, and stores begin with the keys that are theirs. */
#include "base/crc.h"
#include "base/rng.h"
#include "io/kv_priv.h"
#include "tests/unit/kv_place.h"
#include "tests/unit/seed.h"

#define KEY_CNT 500
#define VAL_BYTES_MAX 2000

struct key {
    uint64_t prefix; /* as big-endian: orders as its number does */
    uint64_t number;
};

static struct key
key_of(uint64_t number)
{
    struct key key = {__builtin_bswap64(number * (UINT64_MAX / KEY_CNT)), number};
    return key;
}

static struct weir_kv *
open_store(const char *name, bool is_inline, const char *const *from, uint32_t from_cnt)
{
    char path[KV_PATH_BYTES];
    const struct weir_kv_conf conf = {.dir = kv_path(path, name, 0),
        .from = from,
        .from_cnt = from_cnt,
        .last = UINT64_MAX,
        .write_bytes = 65536,
        .is_inline = is_inline,
        .seed = 1};
    struct weir_kv *kv;
    assert_int_equal(weir_kv_open(&conf, &kv), 0);
    assert_int_equal(kv_settle(kv), 0);
    return kv;
}

/* Each key's value, by length and first byte; length 0: absent. */
struct model {
    uint32_t bytes[KEY_CNT];
    char first[KEY_CNT];
};

static void
random_exchange(struct weir_kv *kv, struct model *m, struct weir_rng *rng)
{
    static char val[VAL_BYTES_MAX];
    uint64_t got[40];
    uint32_t got_cnt = (uint32_t)weir_rng_below(rng, WEIR_ARRAY_CNT(got));
    for (uint64_t i = weir_rng_below(rng, 40); i > 0; i--) {
        uint64_t number = weir_rng_below(rng, KEY_CNT);
        struct key key = key_of(number);
        m->bytes[number] =
            weir_rng_chance(rng, 1, 4) ? 0 : 1 + (uint32_t)weir_rng_below(rng, VAL_BYTES_MAX - 1);
        m->first[number] = (char)weir_rng_u64(rng);
        val[0] = m->first[number];
        if (m->bytes[number] == 0) {
            weir_kv_delete(kv, (struct weir_kv_bytes){&key, sizeof key});
        } else {
            weir_kv_put(kv, (struct weir_kv_bytes){&key, sizeof key},
                (struct weir_kv_bytes){val, m->bytes[number]});
        }
    }
    for (uint32_t i = 0; i < got_cnt; i++) {
        got[i] = weir_rng_below(rng, KEY_CNT);
        struct key key = key_of(got[i]);
        weir_kv_get(kv, (struct weir_kv_bytes){&key, sizeof key});
    }
    weir_kv_go(kv);
    assert_int_equal(kv_settle(kv), 0);
    assert_int_equal(weir_kv_get_cnt(kv), got_cnt);
    for (uint32_t i = 0; i < got_cnt; i++) {
        struct weir_kv_bytes is = weir_kv_result(kv, i);
        struct weir_kv_bytes key = weir_kv_key(kv, i);
        /* the store's bytes lie anywhere: no struct key there */
        assert_memory_equal(
            (const char *)key.ptr + offsetof(struct key, number), &got[i], sizeof got[i]);
        assert_int_equal(is.bytes, m->bytes[got[i]]);
        assert_true((is.ptr == NULL) == (m->bytes[got[i]] == 0));
        assert_true(is.ptr == NULL || *(const char *)is.ptr == m->first[got[i]]);
    }
}

/* All keys that the store has are these, of [first, last]. */
static void
check_all(struct weir_kv *kv, const struct model *m, uint64_t first, uint64_t last)
{
    for (uint64_t i = 0; i < KEY_CNT; i++) {
        struct key key = key_of(i);
        weir_kv_get(kv, (struct weir_kv_bytes){&key, sizeof key});
    }
    weir_kv_go(kv);
    assert_int_equal(kv_settle(kv), 0);
    for (uint32_t i = 0; i < KEY_CNT; i++) {
        uint64_t prefix = __builtin_bswap64(key_of(i).prefix);
        bool ours = prefix >= first && prefix <= last;
        struct weir_kv_bytes is = weir_kv_result(kv, i);
        assert_int_equal(is.bytes, ours ? m->bytes[i] : 0);
        assert_true(is.bytes == 0 || *(const char *)is.ptr == m->first[i]);
    }
}

static void
take_checkpoint(struct weir_kv *kv, const char *dir)
{
    weir_kv_checkpoint(kv, dir);
    assert_true(weir_kv_wants(kv));
    weir_kv_go(kv);
    assert_int_equal(kv_settle(kv), 0);
    assert_false(weir_kv_wants(kv));
}

/* Random exchanges; checkpoints stay what they were, and a store begins with any of them. */
static void
t_what_is_written_is_read(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t is_inline = 0; is_inline < 2; is_inline++) {
        struct model m = {{0}, {0}};
        struct model then[3];
        struct weir_rng rng;
        char path[3][KV_PATH_BYTES];
        weir_rng_init(&rng, seed);
        struct weir_kv *kv = open_store("store", is_inline, NULL, 0);
        for (uint32_t c = 0; c < 3; c++) {
            for (uint32_t i = 0; i < 60; i++) {
                random_exchange(kv, &m, &rng);
            }
            take_checkpoint(kv, kv_path(path[c], is_inline ? "inline" : "chk", c));
            then[c] = m;
        }
        random_exchange(kv, &m, &rng);
        check_all(kv, &m, 0, UINT64_MAX);
        assert_int_equal(weir_kv_remove(path[1]), 0); /* the others have their files still */
        weir_kv_close(kv);
        for (uint32_t c = 0; c < 3; c += 2) {
            const char *const from[] = {path[c]};
            kv = open_store("again", is_inline, from, 1);
            check_all(kv, &then[c], 0, UINT64_MAX);
            random_exchange(kv, &then[c], &rng);
            weir_kv_close(kv);
        }
    }
}

/* A checkpoint costs the files that are new: the others are those of the one before. One file is
 * written for each, too few to be put together in between. */
static void
t_checkpoints_share_files(void **unused)
{
    (void)unused;
    struct model m = {{0}, {0}};
    struct weir_rng rng;
    char path[2][KV_PATH_BYTES];
    uint32_t shared_cnt = 0;
    struct weir_kv *kv;
    const struct weir_kv_conf conf = {.dir = kv_path(path[0], "store", 0), .last = UINT64_MAX};
    weir_rng_init(&rng, 3);
    assert_int_equal(weir_kv_open(&conf, &kv), 0);
    assert_int_equal(kv_settle(kv), 0);
    for (uint32_t i = 0; i < 20; i++) {
        random_exchange(kv, &m, &rng);
    }
    take_checkpoint(kv, kv_path(path[0], "share", 0));
    random_exchange(kv, &m, &rng);
    take_checkpoint(kv, kv_path(path[1], "share", 1));
    DIR *dir = opendir(path[0]);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char other[KV_PATH_BYTES + 256];
        struct stat st;
        struct stat st2;
        size_t bytes = strlen(entry->d_name);
        if (bytes > 4 && strcmp(entry->d_name + bytes - 4, ".sst") == 0) {
            assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
            snprintf(other, sizeof other, "%s/%s", path[1], entry->d_name);
            shared_cnt += stat(other, &st2) == 0 && st2.st_ino == st.st_ino;
        }
    }
    closedir(dir);
    assert_true(shared_cnt > 0);
    weir_kv_close(kv);
}

/* From one into two, and from two into one: each has its own keys, and those only. */
static void
t_a_store_begins_with_its_own_keys(void **unused)
{
    (void)unused;
    struct model m = {{0}, {0}};
    struct weir_rng rng;
    char path[3][KV_PATH_BYTES];
    char dir[KV_PATH_BYTES];
    struct weir_kv *kv = open_store("store", false, NULL, 0);
    weir_rng_init(&rng, 4);
    for (uint32_t i = 0; i < 60; i++) {
        random_exchange(kv, &m, &rng);
    }
    take_checkpoint(kv, kv_path(path[0], "from", 0));
    weir_kv_close(kv);
    uint64_t cut = UINT64_MAX / 3;
    const char *from[2] = {path[0], NULL};
    for (uint32_t half = 0; half < 2; half++) {
        struct weir_kv_conf conf = {.dir = kv_path(dir, "half", 0), .from = from, .from_cnt = 1};
        conf.first = half == 0 ? 0 : cut + 1;
        conf.last = half == 0 ? cut : UINT64_MAX;
        assert_int_equal(weir_kv_open(&conf, &kv), 0);
        assert_int_equal(kv_settle(kv), 0);
        check_all(kv, &m, conf.first, conf.last);
        take_checkpoint(kv, kv_path(path[1 + half], "of-half", half));
        weir_kv_close(kv);
    }
    from[0] = path[1];
    from[1] = path[2];
    kv = open_store("whole", true, from, 2);
    check_all(kv, &m, 0, UINT64_MAX);
    weir_kv_close(kv);
    struct weir_kv_conf middle = {.dir = kv_path(dir, "middle", 0),
        .from = from,
        .from_cnt = 2,
        .first = cut / 2,
        .last = 2 * cut};
    assert_int_equal(weir_kv_open(&middle, &kv), 0);
    assert_int_equal(kv_settle(kv), 0);
    check_all(kv, &m, cut / 2, 2 * cut);
    weir_kv_close(kv);
}

/* The first error stays, with its text; and closing is all that is left. */
static void
t_an_error_stays(void **unused)
{
    (void)unused;
    char path[KV_PATH_BYTES];
    const char *const from[] = {"/dev/null/none"};
    const struct weir_kv_conf conf = {
        .dir = kv_path(path, "bad", 0), .from = from, .from_cnt = 1, .last = UINT64_MAX};
    struct weir_kv *kv;
    assert_int_equal(weir_kv_open(&conf, &kv), 0);
    assert_true(kv_settle(kv) < 0);
    weir_kv_get(kv, (struct weir_kv_bytes){"x", 1});
    weir_kv_go(kv);
    assert_true(weir_kv_poll(kv) < 0);
    assert_non_null(strstr(weir_err_at(0), "/dev/null/none"));
    weir_err_clear();
    weir_kv_close(kv);

    kv = open_store("store", false, NULL, 0);
    take_checkpoint(kv, kv_path(path, "twice", 0));
    weir_kv_checkpoint(kv, path);
    weir_kv_go(kv);
    assert_int_equal(kv_settle(kv), 0);
    assert_int_equal(weir_kv_checkpoint_error(kv), WEIR_EIO); /* it is there already */
    weir_err_clear();
    weir_kv_drop(kv, path);
    assert_true(weir_kv_wants(kv));
    weir_kv_go(kv);
    assert_int_equal(kv_settle(kv), 0);
    take_checkpoint(kv, path);
    assert_int_equal(weir_kv_checkpoint_error(kv), 0);
    weir_kv_close(kv);
    assert_int_equal(weir_kv_remove("/dev/null/none") < 0, true);
    weir_err_clear();
}

/* A checkpoint as who does not own it sees it: all of its keys, in order, from any of them on. */
static void
t_a_view_has_all_keys_in_order(void **unused)
{
    (void)unused;
    char path[KV_PATH_BYTES];
    struct model m;
    struct weir_rng rng;
    struct weir_kv_view *view;
    memset(&m, 0, sizeof m);
    struct weir_kv *kv = open_store("store", true, NULL, 0);
    weir_rng_init(&rng, 6);
    for (uint32_t i = 0; i < 60; i++) {
        random_exchange(kv, &m, &rng);
    }
    take_checkpoint(kv, kv_path(path, "viewed", 0));
    weir_kv_close(kv);
    char list[2 * KV_PATH_BYTES];
    snprintf(list, sizeof list, "%s/weir-files", path);
    assert_int_equal(unlink(list), 0); /* who only reads has no need of it */
    assert_int_equal(weir_kv_view_open(path, &view), 0);
    for (uint64_t from = 0; from <= KEY_CNT; from += KEY_CNT / 5) {
        int got = weir_kv_view_seek(view, from * (UINT64_MAX / KEY_CNT));
        for (uint64_t i = from; i < KEY_CNT; i++) {
            struct key key = key_of(i);
            if (m.bytes[i] == 0) {
                continue;
            }
            assert_int_equal(got, 1);
            assert_int_equal(weir_kv_view_key(view).bytes, sizeof key);
            assert_memory_equal(weir_kv_view_key(view).ptr, &key, sizeof key);
            assert_int_equal(weir_kv_view_val(view).bytes, m.bytes[i]);
            assert_int_equal(*(const char *)weir_kv_view_val(view).ptr, m.first[i]);
            got = weir_kv_view_next(view);
        }
        assert_int_equal(got, 0);
    }
    weir_kv_view_close(view);
    weir_kv_view_close(NULL);
    assert_int_equal(weir_kv_view_open("/dev/null/none", &view) < 0, true);
    weir_err_clear();
}

/* The first file of a checkpoint whose name ends so. */
static void
file_of(const char *dir, const char *end, char path[KV_PATH_BYTES])
{
    DIR *open_dir = opendir(dir);
    const struct dirent *entry;
    assert_non_null(open_dir);
    path[0] = '\0';
    while ((entry = readdir(open_dir)) != NULL) {
        size_t bytes = strlen(entry->d_name);
        if (bytes >= strlen(end) && strcmp(entry->d_name + bytes - strlen(end), end) == 0) {
            snprintf(path, KV_PATH_BYTES, "%.150s/%.90s", dir, entry->d_name);
        }
    }
    closedir(open_dir);
    assert_true(path[0] != '\0');
}

static void
flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void
assert_damaged(const char *dir, const char *path)
{
    struct weir_kv_files files;
    char text[1024] = "";
    assert_int_equal(weir_kv_verify(dir, &files), WEIR_ECHECKPOINT);
    weir_err_save(text, sizeof text);
    weir_err_clear();
    assert_non_null(strstr(text, strrchr(path, '/') + 1));
}

/* Wherever a file of a checkpoint is changed, or one is missing, that file is named; a checkpoint
 * of a store that began with another one knows its tables from there. */
static void
t_damage_is_found(void **unused)
{
    (void)unused;
    static const char *const ends[] = {".sst", "CURRENT", "weir-files"};
    char dir[2][KV_PATH_BYTES];
    char path[KV_PATH_BYTES];
    struct model m;
    struct weir_rng rng;
    struct weir_kv_files files;
    memset(&m, 0, sizeof m);
    struct weir_kv *kv = open_store("store", true, NULL, 0);
    weir_rng_init(&rng, 7);
    for (uint32_t i = 0; i < 30; i++) {
        random_exchange(kv, &m, &rng);
    }
    take_checkpoint(kv, kv_path(dir[0], "damaged", 0));
    weir_kv_close(kv);
    const char *const from[] = {dir[0]};
    kv = open_store("store", true, from, 1);
    take_checkpoint(kv, kv_path(dir[1], "damaged", 1));
    weir_kv_close(kv);
    for (uint32_t d = 0; d < 2; d++) {
        assert_int_equal(weir_kv_verify(dir[d], &files), 0);
        assert_true(files.cnt >= 4 && files.bytes > 0);
    }
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(ends); i++) {
        file_of(dir[1], ends[i], path);
        for (long at = -1; at <= 5; at += 2) {
            flip(path, at);
            assert_damaged(dir[1], path);
            flip(path, at);
        }
        assert_int_equal(weir_kv_verify(dir[1], &files), 0);
    }
    file_of(dir[1], ".sst", path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0); /* of both: a table is one file */
    assert_damaged(dir[1], path);
    assert_int_equal(unlink(path), 0);
    assert_damaged(dir[1], path);
    file_of(dir[1], "weir-files", path);
    assert_int_equal(unlink(path), 0);
    assert_damaged(dir[1], path);
}

/* With the right checksum: somebody has written it, but not a checkpoint. */
static void
t_a_list_that_no_checkpoint_wrote_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *lines;
        const char *says; /* NULL: it is good */
    } lists[] = {
        {"", NULL},
        {"0000000a 7 000012.sst\n8d1f3e02 18446744073709551615 CURRENT\n", NULL},
        {"0000000a 7 000012.sst\n8d1f3e02 1\n", "a line of it is malformed"},
        {"0000000A 7 000012.sst\n", "a line of it is malformed"},
        {"0000000a  7 000012.sst\n", "a line of it is malformed"},
        {"0000000a 07 000012.sst\n", "a line of it is malformed"},
        {"0000000a 99999999999999999999 000012.sst\n", "a line of it is malformed"},
        {"0000000a 7 ../000012.sst\n", "a line of it is malformed"},
        {"0000000a 7 000012.sst more\n", "a line of it is malformed"},
        {"\n", "a line of it is malformed"},
    };
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(lists); i++) {
        struct kv_list list = {NULL, 0, 0};
        char text[256];
        char why[256];
        size_t bytes = (size_t)snprintf(text, sizeof text, "weir-files 1\n%s", lists[i].lines);
        bytes += (size_t)snprintf(
            text + bytes, sizeof text - bytes, "end %08x\n", weir_crc32c(0, text, bytes));
        int err = weir_kv_list_parse("dir", text, bytes, &list);
        weir_err_save(why, sizeof why);
        weir_err_clear();
        assert_int_equal(err, lists[i].says != NULL ? WEIR_ECHECKPOINT : 0);
        assert_true(lists[i].says == NULL || strstr(why, lists[i].says) != NULL);
        weir_kv_list_fini(&list);
    }
    struct kv_list list = {NULL, 0, 0};
    char cut[] = "weir-files 1\nend 75ec5d27\n\0behind it";
    assert_int_equal(weir_kv_list_parse("dir", cut, sizeof cut - 1, &list), WEIR_ECHECKPOINT);
    weir_err_clear();
    assert_int_equal(weir_kv_list_parse("dir", cut, strlen(cut), &list), 0);
    weir_kv_list_fini(&list);
}

static void
t_stores_are_removed_by_their_names(void **unused)
{
    (void)unused;
    char path[KV_PATH_BYTES];
    char dir[KV_PATH_BYTES];
    struct stat st;
    kv_path(dir, "several", 0);
    assert_int_equal(weir_kv_remove_all(dir, ".run"), 0); /* there is none */
    assert_int_equal(mkdir(dir, 0777), 0);
    snprintf(path, sizeof path, "%.100s/a.run", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%.100s/a.5-0", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(weir_kv_remove_all(dir, ".run"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* Closed with an exchange under way: it ends first. */
static void
t_closing_waits(void **unused)
{
    (void)unused;
    struct weir_kv *kv = open_store("store", false, NULL, 0);
    weir_kv_put(kv, (struct weir_kv_bytes){"somewhere", 9}, (struct weir_kv_bytes){"v", 1});
    weir_kv_go(kv);
    weir_kv_close(kv);
    weir_kv_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_is_written_is_read),
        cmocka_unit_test(t_checkpoints_share_files),
        cmocka_unit_test(t_a_store_begins_with_its_own_keys),
        cmocka_unit_test(t_an_error_stays),
        cmocka_unit_test(t_a_view_has_all_keys_in_order),
        cmocka_unit_test(t_damage_is_found),
        cmocka_unit_test(t_a_list_that_no_checkpoint_wrote_is_refused),
        cmocka_unit_test(t_stores_are_removed_by_their_names),
        cmocka_unit_test(t_closing_waits),
    };
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
