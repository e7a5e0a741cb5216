/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in the simulated world because it was asked for; and which file a path has led
 * to, on all ios. */
#include <errno.h>
#include <unistd.h>

#include "tests/unit/io_place.h"

#define ROUND_CNT 200

/* ---- flipped bits ---- */

static uint64_t
read_all(struct place *place, const char *name, char *buf, uint64_t bytes)
{
    struct weir_io_op op;
    int32_t file = open_file(place, name, WEIR_IO_O_READ);
    weir_io_op_read(&op, file, buf, bytes, 0);
    op.flags = WEIR_IO_WHOLE;
    int64_t got = perform(place, &op);
    close_file(place, file);
    assert_true(got >= 0);
    return (uint64_t)got;
}

/* The byte that differs, which is the only one, and in one bit. */
static uint64_t
changed(const char *is, const char *was, uint64_t bytes)
{
    uint64_t found = bytes;
    for (uint64_t i = 0; i < bytes; i++) {
        if (is[i] != was[i]) {
            assert_int_equal(found, bytes);
            assert_int_equal(__builtin_popcount((uint8_t)(is[i] ^ was[i])), 1);
            found = i;
        }
    }
    assert_true(found < bytes);
    return found;
}

static void
t_a_bit_is_flipped_where_something_stands(void **state)
{
    struct place *place = *state;
    const struct weir_sim_trouble flip = {.kind = WEIR_SIM_FLIP, .under = "/work/f"};
    char was[4096] = {[700] = 1, [2000] = 'x', [4095] = -1};
    char is[sizeof was];
    uint32_t cnt[sizeof was] = {0};
    assert_int_equal(weir_sim_put(place->world, "/work/f", was, sizeof was), 0);
    for (int i = 0; i < ROUND_CNT; i++) {
        assert_true(weir_sim_trouble(place->world, &flip));
        assert_int_equal(read_all(place, "f", is, sizeof is), sizeof is);
        cnt[changed(is, was, sizeof was)]++;
    }
    /* A read may be cut short before any of them, and finds zeros only. */
    assert_true(cnt[700] > 0 && cnt[2000] > 0 && cnt[4095] > 0);
    assert_true(cnt[700] + cnt[2000] + cnt[4095] > ROUND_CNT * 3 / 4);
    /* Of zeros any. */
    memset(was, 0, sizeof was);
    assert_int_equal(weir_sim_put(place->world, "/work/f", was, sizeof was), 0);
    assert_true(weir_sim_trouble(place->world, &flip));
    assert_int_equal(read_all(place, "f", is, sizeof is), sizeof is);
    (void)changed(is, was, sizeof was);
}

/* ---- one after another ---- */

static void
move(struct place *place, const char *from, const char *to, int errnum)
{
    struct weir_io_op op;
    weir_io_op_rename(&op, WEIR_IO_CWD, at(place, from), at(place, to), 0);
    assert_int_equal(perform(place, &op) < 0 ? op.errnum : 0, errnum);
}

static void
t_one_trouble_waits_for_another(void **state)
{
    struct place *place = *state;
    const struct weir_sim_trouble second = {
        .kind = WEIR_SIM_ERROR, .verb = WEIR_IO_RENAME, .skip_cnt = 1, .errnum = ENOSPC};
    const struct weir_sim_trouble first = {.kind = WEIR_SIM_SYNC_LOST, .then = &second};
    struct weir_io_op op;
    put_file(place, "f", "text");
    int32_t file = open_file(place, "f", WEIR_IO_O_WRITE);
    assert_true(weir_sim_trouble(place->world, &first));
    move(place, "f", "g", 0);
    move(place, "g", "h", 0);
    weir_io_op_sync(&op, file, 0);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, EIO);
    move(place, "h", "f", 0);
    move(place, "f", "g", ENOSPC);
    move(place, "f", "g", 0);
    assert_int_equal(weir_sim_trouble_cnt(place->world), 2);
    close_file(place, file);
}

static int
sync_of(struct place *place, const char *name, uint32_t flags)
{
    struct weir_io_op op;
    int32_t file = open_file(place, name, flags);
    weir_io_op_sync(&op, file, 0);
    int errnum = perform(place, &op) < 0 ? op.errnum : 0;
    if (errnum != ECANCELED) { /* or else its handles are gone */
        close_file(place, file);
    }
    return errnum;
}

static void
t_a_trouble_is_of_directories_alone(void **state)
{
    struct place *place = *state;
    const struct weir_sim_trouble lost = {
        .kind = WEIR_SIM_SYNC_LOST, .under = "/work", .only_dirs = true};
    put_file(place, "f", "text");
    assert_true(weir_sim_trouble(place->world, &lost));
    assert_int_equal(sync_of(place, "f", WEIR_IO_O_WRITE), 0);
    assert_int_equal(sync_of(place, ".", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY), EIO);
    assert_int_equal(sync_of(place, ".", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY), 0);
}

/* ---- the power ---- */

/* The power fails with a write: that may have taken effect, and what was not synced may be gone. */
static void
t_the_power_fails_with_an_operation(void **state)
{
    const struct weir_sim_trouble power = {
        .kind = WEIR_SIM_POWER, .verb = WEIR_IO_WRITE, .under = "/work/g"};
    uint32_t lost_cnt = 0;
    uint32_t kept_cnt = 0;
    (void)state;
    for (uint64_t world_seed = 1; world_seed <= ROUND_CNT; world_seed++) {
        const struct weir_sim_config config = {.seed = world_seed, .cuts_power = true};
        struct place place = {.kind = WEIR_IO_SIM, .dir = "/work"};
        struct weir_io_op op;
        uint64_t bytes;
        assert_int_equal(weir_sim_open(&config, &place.world), 0);
        assert_int_equal(weir_sim_put(place.world, "/work/sure", "sure", 4), 0);
        open_io(&place);
        put_file(&place, "f", "text");
        int32_t file = open_file(&place, "g", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
        assert_true(weir_sim_trouble(place.world, &power));
        weir_io_op_write(&op, file, "more", 4, 0);
        assert_true(perform(&place, &op) < 0);
        assert_int_equal(op.errnum, ECANCELED);
        assert_int_equal(weir_sim_life(place.world), 1);
        weir_io_close(place.io);
        assert_memory_equal(weir_sim_get(place.world, "/work/sure", &bytes), "sure", 4);
        const char *text = weir_sim_get(place.world, "/work/f", &bytes);
        bool is_kept = text != NULL && bytes == 4 && memcmp(text, "text", 4) == 0;
        lost_cnt += !is_kept;
        kept_cnt += is_kept;
        weir_sim_close(place.world);
    }
    assert_true(lost_cnt > 0 && kept_cnt > 0);
}

static void
make_dir(struct place *place, const char *name)
{
    struct weir_io_op op;
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, name));
    assert_int_equal(perform(place, &op), 0);
}

static void
sync_dir(struct place *place, const char *name)
{
    assert_int_equal(sync_of(place, name, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY), 0);
}

/* In how many of ROUND_CNT worlds /work/to/f is there behind a power cut: it was moved there, then
 * a directory was synced, and with is_behind the power fails with this very sync. */
static uint32_t
moved_cnt(bool moves_alone, const char *synced, bool is_behind)
{
    const struct weir_sim_trouble power = {
        .kind = WEIR_SIM_POWER, .verb = WEIR_IO_SYNC, .under = "/work/to", .is_behind = true};
    uint32_t cnt = 0;
    for (uint64_t seed = 1; seed <= ROUND_CNT; seed++) {
        const struct weir_sim_config config = {
            .seed = seed, .cuts_power = true, .moves_alone = moves_alone};
        struct place place = {.kind = WEIR_IO_SIM, .dir = "/work"};
        uint64_t bytes;
        assert_int_equal(weir_sim_open(&config, &place.world), 0);
        assert_int_equal(weir_sim_put(place.world, "/work/from/f", "text", 4), 0);
        open_io(&place);
        make_dir(&place, "to");
        sync_dir(&place, ".");
        move(&place, "from/f", "to/f", 0);
        if (is_behind) {
            assert_true(weir_sim_trouble(place.world, &power));
            assert_int_equal(
                sync_of(&place, synced, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY), ECANCELED);
        } else {
            sync_dir(&place, synced);
            weir_sim_cut_power(place.world, seed);
        }
        weir_io_close(place.io);
        bool is_moved = weir_sim_get(place.world, "/work/to/f", &bytes) != NULL;
        assert_true(is_moved != (weir_sim_get(place.world, "/work/from/f", &bytes) != NULL));
        cnt += is_moved;
        weir_sim_close(place.world);
    }
    return cnt;
}

static void
t_what_was_moved_is_sure_where_its_directory_is_synced(void **state)
{
    (void)state;
    assert_int_equal(moved_cnt(false, "to", false), ROUND_CNT);
    assert_int_equal(moved_cnt(false, "from", false), ROUND_CNT);
    assert_int_equal(moved_cnt(true, "to", false), ROUND_CNT);
    uint32_t cnt = moved_cnt(true, "from", false);
    assert_true(cnt > 0 && cnt < ROUND_CNT);
}

static void
t_the_power_fails_right_behind_an_operation(void **state)
{
    (void)state;
    assert_int_equal(moved_cnt(true, "to", true), ROUND_CNT);
}

/* ---- which file ---- */

static struct weir_io_stat
stat_of(struct place *place, const char *name)
{
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, at(place, name), &stat);
    assert_int_equal(perform(place, &op), 0);
    return stat;
}

static bool
is_same(struct place *place, const char *a, const char *b)
{
    struct weir_io_stat one = stat_of(place, a);
    struct weir_io_stat other = stat_of(place, b);
    return one.device == other.device && one.serial == other.serial;
}

static void
t_a_file_is_the_same_by_any_path(void **state)
{
    struct place *place = *state;
    struct weir_io_op op;
    put_file(place, "f", "text");
    put_file(place, "g", "text");
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "d"));
    assert_int_equal(perform(place, &op), 0);
    assert_true(is_same(place, "f", "d/../f"));
    assert_true(is_same(place, "d", "d/../d/."));
    assert_false(is_same(place, "f", "g"));
    assert_false(is_same(place, "d", "."));
    if (place->kind != WEIR_IO_SIM) { /* which has none */
        assert_int_equal(symlink("d", at(place, "to-d")), 0);
        assert_true(is_same(place, "d", "to-d"));
    }
    move(place, "f", "h", 0);
    put_file(place, "f", "text");
    assert_false(is_same(place, "f", "h"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SIM(t_a_bit_is_flipped_where_something_stands),
        ON_SIM(t_one_trouble_waits_for_another),
        ON_SIM(t_a_trouble_is_of_directories_alone),
        cmocka_unit_test(t_the_power_fails_with_an_operation),
        cmocka_unit_test(t_what_was_moved_is_sure_where_its_directory_is_synced),
        cmocka_unit_test(t_the_power_fails_right_behind_an_operation),
        ON_ALL(t_a_file_is_the_same_by_any_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
