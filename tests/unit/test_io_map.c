/* SPDX-License-Identifier: Apache-2.0 */
/* Files in memory. */
#include "tests/unit/io_place.h"

static void
t_a_mapped_file_shows_its_bytes(void **state)
{
    struct place *place = *state;
    put_file(place, "f", "mapped");
    put_file(place, "empty", "");
    struct weir_io_map map;
    uint32_t flags = WEIR_IO_MAP_SEQUENTIAL | WEIR_IO_MAP_POPULATE | WEIR_IO_MAP_HUGE;
    assert_int_equal(weir_io_map(place->io, at(place, "f"), flags, &map), 0);
    assert_int_equal(map.bytes, 6);
    assert_memory_equal(map.base, "mapped", 6);
    weir_io_unmap(&map);
    weir_io_unmap(&map);
    assert_int_equal(weir_io_map(place->io, at(place, "none"), 0, &map), WEIR_ENOINPUT);
    assert_int_equal(weir_io_map(place->io, at(place, "empty"), 0, &map), WEIR_ENOINPUT);
    assert_int_equal(weir_io_map(place->io, place->dir, 0, &map), WEIR_ENOINPUT);
    weir_err_clear();
}

/* Also of a file that has been read through another path, and by more than two. */
static void
t_ios_of_one_list_share_what_they_map(void **state)
{
    struct place *place = *state;
    struct weir_io_maps *maps;
    struct weir_io_config config = {.kind = place->kind};
    struct weir_io *io[3];
    struct weir_io_map map[5];
    put_file(place, "f", "mapped");
    put_file(place, "g", "mapped");
    assert_int_equal(weir_io_maps_new(&maps), 0);
    for (int i = 0; i < 3; i++) {
        config.maps = i < 2 ? maps : NULL;
        assert_int_equal(weir_io_open(&config, &io[i]), 0);
        assert_int_equal(weir_io_map(io[i], at(place, "f"), WEIR_IO_MAP_POPULATE, &map[i]), 0);
    }
    assert_int_equal(weir_io_map(io[0], at(place, "./g"), 0, &map[3]), 0);
    assert_int_equal(weir_io_map(io[0], at(place, "./f"), 0, &map[4]), 0);
    assert_ptr_equal(map[1].base, map[0].base);
    assert_ptr_equal(map[4].base, map[0].base);
    assert_ptr_not_equal(map[2].base, map[0].base); /* an io of no list */
    assert_ptr_not_equal(map[3].base, map[0].base); /* another file */
    weir_io_unmap(&map[0]);
    weir_io_unmap(&map[4]);
    assert_memory_equal(map[1].base, "mapped", 6);
    /* What it has grown to is not in the old mapping. */
    put_file(place, "f", "mapped again");
    assert_int_equal(weir_io_map(io[0], at(place, "f"), 0, &map[0]), 0);
    assert_int_equal(map[0].bytes, 12);
    assert_memory_equal(map[0].base, "mapped again", 12);
    assert_int_equal(weir_io_map(io[0], at(place, "none"), 0, &map[4]), WEIR_ENOINPUT);
    weir_err_clear();
    for (int i = 0; i < 4; i++) {
        weir_io_unmap(&map[i]);
    }
    for (int i = 0; i < 3; i++) {
        weir_io_close(io[i]);
    }
    weir_io_maps_delete(maps);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(t_a_mapped_file_shows_its_bytes),
        ON_HOST(t_ios_of_one_list_share_what_they_map),
    };
    return cmocka_run_group_tests_name("io_map", tests, NULL, NULL);
}
