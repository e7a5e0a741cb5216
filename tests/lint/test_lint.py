#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each check of scripts/ fails on what it is for: one planted violation a case, in a tree of its own."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def c(text):
    return SPDX + text


def h(path, text=""):
    guard = "WEIR_" + path.replace("/", "_").replace(".", "_").upper()
    return f"{SPDX}#ifndef {guard}\n#define {guard}\n{text}\n#endif\n"


class Tree(unittest.TestCase):
    """A small tree that is right, and what the checks say about it once it is not."""

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="weir-lint-")
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name)
        for floor, units in {
            "base": "'err', 'ring', 'topo'",
            "io": "'io', 'uring'",
            "dataplane": "'batch', 'operator', 'operators', 'task'",
            "sched": "'plan'",
        }.items():
            self.put(f"{floor}/meson.build", f"# SPDX-License-Identifier: Apache-2.0\n"
                     f"{floor}_units = [\n  {units},\n]\n")
        for unit in ("base/err", "base/ring", "base/topo", "io/io", "io/uring", "dataplane/batch",
                     "dataplane/operator", "dataplane/task", "sched/plan"):
            self.put(unit + ".h", h(unit + ".h"))
            self.put(unit + ".c", c(f'#include "{unit}.h"\n'))
        self.put("dataplane/operators/map.c", c('#include "dataplane/operator.h"\n'))
        self.put("apps/weir/main.c", c('#include "sched/plan.h"\n'))
        self.put("tests/unit/test_ring.c", c('#include "base/ring_priv.h"\n#include "io/uring.h"\n'))
        self.put("base/ring_priv.h", h("base/ring_priv.h", '#include "base/ring.h"'))

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run_check(self, script, *args):
        ran = subprocess.run([sys.executable, ROOT / "scripts" / script, self.root, *args],
                             capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def floors_say(self, text):
        code, said = self.run_check("check_floors.py")
        self.assertEqual(code, 1, said)
        self.assertIn(text, said)
        self.assertEqual(len(said.splitlines()), 1, said)

    def style_says(self, path, rule):
        code, said = self.run_check("check_style.py", path)
        self.assertEqual(code, 1, said)
        self.assertIn(f"[{rule}]", said)
        self.assertEqual(len(said.splitlines()), 1, said)


class Floors(Tree):
    """check_floors.py"""

    def test_a_right_tree_is_quiet(self):
        self.assertEqual(self.run_check("check_floors.py"), (0, ""))

    def test_an_upward_edge(self):
        self.put("base/ring.c", c('#include "io/io.h"\n'))
        self.floors_say("an upward edge from base to io")

    def test_an_upward_edge_by_a_header(self):
        self.put("io/io.h", h("io/io.h", '#  include "sched/plan.h"'))
        self.floors_say("an upward edge from io to sched")

    def test_a_unit_below_in_its_own_list(self):
        self.put("base/err.c", c('#include "base/ring.h"\n'))
        self.floors_say("whose unit ring stands below it")

    def test_an_include_in_a_comment_is_none(self):
        self.put("base/err.c", c('/*\n#include "base/ring.h"\n*/\n'))
        self.assertEqual(self.run_check("check_floors.py"), (0, ""))

    def test_dataplane_sees_only_some_doors_of_io(self):
        self.put("dataplane/task.c", c('#include "io/io.h"\n#include "io/uring.h"\n'))
        code, said = self.run_check("check_floors.py")
        self.assertEqual(code, 1)
        self.assertIn("of io, dataplane sees", said)

    def test_dataplane_makes_no_system_calls(self):
        self.put("dataplane/task.c", c("#include <pthread.h>\n"))
        self.floors_say("dataplane makes no system calls")

    def test_dataplane_reads_no_clock(self):
        self.put("base/meson.build", "base_units = ['err', 'ring', 'topo', 'clock']\n")
        self.put("base/clock.h", h("base/clock.h"))
        self.put("dataplane/task.c", c('#include "base/clock.h"\n'))
        self.floors_say("time comes in as `now`")

    def test_dataplane_names_no_back_end(self):
        self.put("dataplane/task.c", c("int dpdk;\n"))
        self.floors_say("names the back end 'dpdk'")

    def test_an_operator_knows_no_other(self):
        self.put("dataplane/operators/filter.h", h("dataplane/operators/filter.h"))
        self.put("dataplane/operators/map.c", c('#include "dataplane/operators/filter.h"\n'))
        self.floors_say("an operator knows no other operator")

    def test_an_operator_does_not_include_the_task(self):
        self.put("dataplane/operators/map.c", c('#include "dataplane/task.h"\n'))
        self.floors_say("whose unit task stands below it")

    def test_device_headers_are_quarantined(self):
        self.put("io/uring.c", c("#include <liburing.h>\n"))
        self.assertEqual(self.run_check("check_floors.py"), (0, ""))
        self.put("io/io.c", c("#include <liburing.h>\n"))
        self.floors_say("includes <liburing.h>, which only io/*uring* may")

    def test_dpdk_headers_are_quarantined(self):
        self.put("sched/plan.c", c("#include <rte_mbuf.h>\n"))
        self.floors_say("includes <rte_mbuf.h>, which only")

    def test_an_unknown_library_is_named(self):
        self.put("base/err.c", c("#include <glib.h>\n"))
        self.floors_say("add a new library to LIBRARIES")

    def test_nothing_includes_tests(self):
        self.put("sched/plan.c", c('#include "tests/unit/test.h"\n'))
        self.floors_say("nothing includes tests or bench")

    def test_a_relative_path(self):
        self.put("base/ring.c", c('#include "ring.h"\n'))
        self.floors_say("paths start at the root")

    def test_a_private_header_is_its_units(self):
        self.put("base/topo.c", c('#include "base/ring_priv.h"\n'))
        self.floors_say("which is private to ring")

    def test_an_installed_door_needs_its_doors_installed(self):
        build = "base_units = ['err', 'ring', 'topo']\nbase_installed = ['ring']\n"
        self.put("base/meson.build", build)
        self.put("base/ring.h", h("base/ring.h", '#include "base/err.h"'))
        self.floors_say("base/ring.h: is installed and includes base/err.h, which is not")
        self.put("base/meson.build", build.replace("['ring']", "['err', 'ring']"))
        self.assertEqual(self.run_check("check_floors.py"), (0, ""))

    def test_a_file_without_a_unit(self):
        self.put("base/extra.c", c(""))
        self.floors_say("base/extra.c: belongs to no unit")

    def test_a_unit_without_a_file(self):
        self.put("sched/meson.build", "sched_units = ['plan', 'core']\n")
        self.floors_say("unit 'core' has no file")

    def test_a_unit_listed_twice(self):
        self.put("sched/meson.build", "sched_units = ['plan', 'plan']\n")
        self.floors_say("unit 'plan' is listed twice")


class Style(Tree):
    """check_style.py"""

    def say(self, text, rule, path="base/ring.c", head='#include "base/ring.h"\n\n'):
        self.put(path, c(head + text))
        self.style_says(path, rule)

    def quiet(self, text, path="base/ring.c"):
        self.put(path, c('#include "base/ring.h"\n\n' + text))
        self.assertEqual(self.run_check("check_style.py", path), (0, ""))

    def test_a_right_file_is_quiet(self):
        self.quiet("/* volatile, TO DO and // are words here. */\n"
                   "int\nweir_ring_cnt(const char *url)\n{\n    return url == \"// volatile\";\n}\n")

    def test_no_licence(self):
        self.put("base/ring.h", h("base/ring.h").removeprefix(SPDX))
        self.style_says("base/ring.h", "spdx")

    def test_columns(self):
        self.say("int a" + "a" * 100 + ";\n", "columns")

    def test_blanks_and_tabs_and_the_end(self):
        self.say("int a; \n", "blank")
        self.say("int\ta;\n", "tab")
        self.say("int a;", "end")
        self.say("int a;\n\n", "end")

    def test_volatile(self):
        self.say("volatile int a;\n", "volatile")

    def test_atomics_by_hand(self):
        self.say("int a = atomic_load_explicit(p, b);\n", "atomic")
        self.say("int a = memory_order_relaxed;\n", "atomic")
        self.say("int a = __atomic_load_n(p, 0);\n", "atomic")
        self.say("int a = __sync_add_and_fetch(p, 1);\n", "atomic")
        self.say("_Atomic int a;\n", "atomic")

    def test_marks_of_unfinished_work(self):
        self.say("/* TO" "DO: later */\n", "todo")
        self.quiet("/* TO" "DO(#12): later */\n")

    def test_slashes_pragma_typedef_goto(self):
        self.say("int a; // note\n", "slashes")
        self.say("#pragma once\n", "pragma")
        self.say("typedef struct {\n    int a;\n} weir_a;\n", "typedef")
        self.say("typedef struct weir_a weir_a;\n", "typedef")
        self.say("int\nweir_a(void)\n{\n    goto again;\n}\n", "goto")
        self.quiet("int\nweir_a(void)\n{\n    goto out;\n}\n")

    def test_sizes(self):
        self.say("int\nweir_a(void)\n{\n" + "    a();\n" * 71 + "}\n", "function-size")
        self.quiet("int\nweir_a(void)\n{\n" + "    a();\n" * 69 + "}\n")
        self.say("int a;\n" * 801, "file-size")
        self.put("base/ring.h", h("base/ring.h", "int a;\n" * 500))
        self.style_says("base/ring.h", "file-size")

    def test_parameters(self):
        self.say("int\nweir_a(int a, int b, int c, int d, int e, int f)\n{\n}\n", "parameters")
        self.say("static int\na(" + "int a, " * 7 + "int h)\n{\n}\n", "parameters")
        self.quiet("static int\na(" + "int a, " * 6 + "int g)\n{\n}\n")
        self.quiet("int\nweir_a(int a, int (*b)(int, int, int), int c, int d, int e)\n{\n}\n")

    def test_prefixes(self):
        self.say("static int\nweir_a(void)\n{\n}\n", "prefix")
        self.say("int\nring_a(void)\n{\n}\n", "prefix")
        self.quiet("#define INLINE static inline\nINLINE int\nring_a(void)\n{\n}\n")
        self.quiet("static int\nring_a(void)\n{\n}\n\nint\nweir_a(void)\n{\n}\n")

    def test_names(self):
        self.say("int a;\n", "name", path="base/ring_util.c", head="")
        self.put("base/topo.h", SPDX + "#ifndef TOPO_H\n#define TOPO_H\n#endif\n")
        self.style_says("base/topo.h", "guard")

    def test_own_door_first(self):
        self.say("int a;\n", "door", head='#include <stdio.h>\n\n#include "base/ring.h"\n')

    def test_an_excuse_needs_the_rule_and_a_reason(self):
        self.quiet("/* lint: allow volatile: a register of the device */\nvolatile int a;\n")
        self.say("/* lint: allow volatile: */\nvolatile int a;\n", "volatile")
        self.say("/* lint: allow columns: a reason */\nvolatile int a;\n", "volatile")


class Wrap(Tree):
    """wrap_comments.py"""

    def wrap(self, text):
        self.put("a.c", text)
        subprocess.run([sys.executable, ROOT / "scripts/wrap_comments.py", self.root / "a.c"],
                       check=True)
        return (self.root / "a.c").read_text()

    def test_words_go_to_the_next_line_of_the_paragraph(self):
        long = "word " * 18
        self.assertEqual(self.wrap(f"/* {long}the last\n * of them. */\n"),
                         f"/* {long}the\n * last of them. */\n")

    def test_a_label_hangs(self):
        long = "word " * 17
        self.assertEqual(self.wrap(f"/*\n * Returns: {long}the last\n * Errors:  none.\n */\n"),
                         f"/*\n * Returns: {long}the\n *          last\n * Errors:  none.\n */\n")

    def test_a_label_whose_text_does_not_hang(self):
        long = "word " * 17
        self.assertEqual(self.wrap(f"/*\n * Returns: {long}the last\n * of all.\n */\n"),
                         f"/*\n * Returns: {long}the\n * last of all.\n */\n")

    def test_a_comment_behind_code_goes_above(self):
        code = "    int a" + "a" * 60 + ";"
        note = "/* " + "word " * 8 + "*/"
        self.assertEqual(self.wrap(f"{code} {note}\n"), f"    {note}\n{code}\n")

    def test_what_fits_is_left_alone(self):
        text = "/* a table   of   words */\nint a; /* b */\n" + "x" * 120 + "\n"
        self.assertEqual(self.wrap(text), text)


if __name__ == "__main__":
    unittest.main()
