#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_install.py BUILD-DIR SOURCE-DIR: what `meson install` lays down is enough to build and run a job.

Installs into a folder of its own, builds numbers.c out of the tree as C and as C++ with the flags of
weir.pc, and runs both, and a job by name, with the installed command.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
TIMEOUT_S = 120
# A row of a table names the members it sets; C++ would warn of the others.
FLAGS = ["-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror", "-O2", "-shared", "-fPIC"]


def call(*args, **kwargs):
    result = subprocess.run([str(a) for a in args], text=True, capture_output=True, timeout=TIMEOUT_S,
                            stdin=subprocess.DEVNULL, **kwargs)
    assert result.returncode == 0, f"{args}: {result.stdout}{result.stderr}"
    return result.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = tempfile.TemporaryDirectory(prefix="weir-install-")
        cls.addClassCleanup(cls.owner.cleanup)
        cls.top = pathlib.Path(cls.owner.name)
        call("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.top)
        cls.weir = next(cls.top.rglob("bin/weir"))
        cls.pc = next(cls.top.rglob("weir.pc"))
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        cls.env.update(PKG_CONFIG_PATH=str(cls.pc.parent), PKG_CONFIG_SYSROOT_DIR=str(cls.top))

    def pkg_config(self, *args):
        return call("pkg-config", *args, "weir", env=self.env).split()

    def build_and_run(self, compiler, language):
        job = self.top / f"numbers-{language}.so"
        call(compiler, "-x", language, *FLAGS, *self.pkg_config("--cflags"),
             SOURCE / "tests/integration/numbers.c", "-o", job, "-x", "none", *self.pkg_config("--libs"))
        report = self.top / "report.json"
        call(self.weir, "run", job, "-p", "rows=5000", "--name", f"install-{compiler}-{os.getpid()}".replace("+", "p"),
             "--report", report, env=self.env, cwd=self.top)
        found = json.loads(report.read_text())
        self.assertEqual((found["records_in"], found["records_out"]), (5000, 2500))

    def test_job_out_of_the_tree_runs_as_c(self):
        self.build_and_run("gcc", "c")

    def test_job_out_of_the_tree_runs_as_cpp(self):
        self.build_and_run("g++", "c++")

    def test_job_is_found_by_name(self):
        self.assertIn("query=", call(self.weir, "run", "nexmark", "-h", env=self.env, cwd=self.top))

    def test_flags_name_the_cpu_and_the_plug_in_directory(self):
        self.assertIn("-march=x86-64-v3", self.pkg_config("--cflags"))
        plugins = pathlib.Path(call("pkg-config", "--variable=plugindir", "weir",
                                    env=dict(self.env, PKG_CONFIG_SYSROOT_DIR="")).strip())
        self.assertTrue((self.top / plugins.relative_to("/") / "nexmark.so").exists())

    def test_library_is_versioned_and_shows_only_its_own_names(self):
        library = next(self.top.rglob("libweir.so.0"))
        names = [line.split()[-1] for line in call("nm", "-D", "--defined-only", library).splitlines()]
        foreign = [n for n in names if not n.startswith("weir_") and n != "WEIR_0"]
        self.assertEqual(foreign, [])
        self.assertTrue(all(n == "WEIR_0" or n.endswith("@@WEIR_0") for n in names))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
