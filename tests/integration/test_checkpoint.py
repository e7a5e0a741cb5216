#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_checkpoint WEIR DATA: `weir checkpoint list|show|verify` on the golden files, whole and damaged."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

WEIR = sys.argv[1]
DATA = pathlib.Path(sys.argv[2]) / "store"


def weir(*args):
    done = subprocess.run([WEIR, "checkpoint", *map(str, args)], check=False, capture_output=True,
                          text=True)
    return done.returncode, done.stdout, done.stderr


class Checkpoint(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name) / "ckpt"
        shutil.copytree(DATA, self.dir)

    def tearDown(self):
        self.folder.cleanup()

    def damage(self, name, off):
        path = self.dir / "job" / name
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[off] ^= 8
        path.write_bytes(content)

    def test_list_says_what_is_there(self):
        code, out, _ = weir("list", self.dir)
        lines = out.splitlines()
        self.assertEqual(code, 0)
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], "took ms .* per dirty$")
        self.assertIn("2023-11-14T22:13:22Z", lines[2])
        self.assertTrue(lines[2].endswith("current"))
        code, out, _ = weir("list", self.dir / "job", "--json")
        rows = json.loads(out)["checkpoints"]
        self.assertEqual([row["checkpoint"] for row in rows], [1, 2])
        self.assertEqual([row["current"] for row in rows], [False, True])
        self.assertEqual(rows[1]["duration_ns"], 12345678)
        self.assertEqual(rows[1]["bytes"],
                         sum(path.stat().st_size for path in self.dir.glob("job/data/2-*")))

    def test_show_says_what_is_in_one(self):
        code, out, _ = weir("show", self.dir)
        self.assertEqual(code, 0)
        self.assertIn("checkpoint 2 of job job, epoch 2, current", out)
        self.assertIn("operator count (count by word)  2 states, parallelism 2 of 128", out)
        self.assertIn("commit   sink.1  transaction of 6 bytes", out)
        code, out, _ = weir("show", self.dir, 1, "--json")
        doc = json.loads(out)
        self.assertEqual((code, doc["checkpoint"], doc["current"]), (0, 1, False))
        self.assertEqual(doc["counters"], {"records": 10})
        self.assertEqual(doc["file"][0]["name"], "1-1-0-0-1.snap")

    def test_verify_reads_all_and_names_what_is_damaged(self):
        code, out, _ = weir("verify", self.dir)
        self.assertEqual((code, out.count("good")), (0, 2))
        self.damage("data/2-2-1-0-2.snap", 200)
        code, out, _ = weir("verify", self.dir)
        self.assertEqual(code, 65)
        self.assertIn("job 1, epoch 1: good", out)
        self.assertIn("job 2, epoch 2: damaged: data/2-2-1-0-2.snap, block 0, byte 0: the checksum",
                      out)
        code, out, _ = weir("verify", self.dir, 2, "--json")
        row, = json.loads(out)["checkpoints"]
        self.assertEqual((code, row["good"]), (65, False))
        self.assertIn("block 0, byte 0", row["wrong"])
        code, _, _ = weir("verify", self.dir, 1)
        self.assertEqual(code, 0)
        (self.dir / "job/data/1-1-0-0-1.snap").unlink()
        code, out, _ = weir("verify", self.dir, 1)
        self.assertEqual(code, 65)
        self.assertIn("1-1-0-0-1.snap, block 0, byte 0: No such file", out)

    def test_a_damaged_manifest_is_named(self):
        self.damage("manifest/M-2-2", 130)
        code, out, _ = weir("list", self.dir)
        self.assertEqual(code, 65)
        self.assertIn("current, damaged: manifest/M-2-2, byte 0: the checksum", out)
        code, _, err = weir("show", self.dir)
        self.assertEqual(code, 65)
        self.assertIn("manifest/M-2-2", err)

    def test_what_is_not_there(self):
        empty = pathlib.Path(self.folder.name) / "empty"
        empty.mkdir()
        for args in (("list", empty), ("list", "/nonexistent"), ("show", self.dir, 99), ("verify", self.dir, 99),
                     ("list", DATA / "job/manifest/B-1"), ("verify", empty, "--json")):
            code, out, err = weir(*args)
            self.assertEqual((code, out), (66, ""), err)
        self.assertIn("no JOB/manifest in it", weir("list", empty)[2])

    def test_what_is_no_jobs_is_passed_over(self):
        for name in ("lost+found", "a file", ".hidden"):
            shutil.copytree(self.dir / "job", self.dir / name)
        (self.dir / "text").write_text("of somebody else")
        for name in ("M-1", "M-x-1", "M-01-1", "M-1-1.bak", "T-9-M-9-1", "S-3-3", "notes"):
            (self.dir / "job/manifest" / name).write_bytes(b"half")
        code, out, err = weir("verify", self.dir, "--json")
        self.assertEqual(code, 0, err)
        self.assertEqual([(row["job"], row["checkpoint"]) for row in json.loads(out)["checkpoints"]],
                         [("job", 1), ("job", 2)])

    def test_what_is_no_file_is_no_manifest(self):
        (self.dir / "job/manifest/M-7-2").mkdir()
        code, out, _ = weir("list", self.dir)
        self.assertEqual(code, 65)
        self.assertRegex(out.splitlines()[-1], "7 +2 .* current, damaged: ")
        # What stands there and is no file for another reason may be whole where it was.
        (self.dir / "job/manifest/M-7-2").rmdir()
        (self.dir / "job/manifest/M-7-2").symlink_to("M-2-2")
        code, out, _ = weir("list", self.dir)
        self.assertEqual(code, 74, out)
        self.assertRegex(out.splitlines()[-1], "7 +2 .* current, cannot be read: ")
        self.damage("manifest/M-1-1", 130)
        self.assertEqual(weir("verify", self.dir)[0], 65)

    def test_one_of_several_jobs_has_to_be_named(self):
        shutil.copytree(self.dir / "job", self.dir / "other")
        for args in (("show", self.dir), ("show", self.dir, 2), ("verify", self.dir, 2)):
            code, out, err = weir(*args)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("name the directory of one", err)
        self.assertEqual(weir("show", self.dir / "other", 2)[0], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
