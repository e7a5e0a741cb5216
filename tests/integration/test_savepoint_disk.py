#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_savepoint_disk.py WEIR JOBS-DIR: savepoints of jobs whose state lies on disk: taken while they go on or behind their
end, gone on with by either backend; what is damaged, full or killed meanwhile."""
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import rig
import declared_ref  # rig knows the way to it
import test_checkpoint_run
import test_savepoint
import test_state

JOB = pathlib.Path(sys.argv[2]).resolve() / "declared.so"
LINES = test_state.text_of(20000, 8000)
FIRST = 7000  # lines before the savepoint
REST = declared_ref.expected(LINES)[5 * FIRST:]
PARALLELISM = "placement.vertices.declared.parallelism"  # of the function alone: lines keep their order
TWO = {PARALLELISM: 2}
MORE = {"memory.budget": "48MiB"}  # with a second function
SMALL = {"memory.budget": "24MiB", "buffers.size": "4KiB"}  # most keys are on disk
# The small disk of a run, and how many files are left on it.
SMALL_DISK = test_checkpoint_run.OWN_MOUNTS + ["sh", "-c", """mount -t tmpfs -o size=1m none "$0"; "$@"; code=$?
echo "left: $(find "$0" -type f | wc -l)" >&2; exit $code"""]


class OnDisk(test_savepoint.Saving):
    def setUp(self):
        super().setUp()
        self.pipe = self.folder / "pipe"
        os.mkfifo(self.pipe)
        self.disk = {"state.backend": "rocksdb", "state.dir": "state", "checkpoints.interval": "20ms", **SMALL}

    def words(self, sets, *flags, output="o.csv", **params):
        params |= {"input": self.pipe, "output": output}
        line = self.command(JOB, params, {"checkpoints.dir": "ckpt"} | sets, flags)
        return [*line, "--name", self.name]

    def launched_words(self, sets, *flags, lines, **kwargs):
        """A job that has read these lines, and its input, which stays open."""
        process = subprocess.Popen(self.words(sets, *flags, **kwargs), cwd=self.folder, env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        feed = os.fdopen(os.open(self.pipe, os.O_RDWR), "w", encoding="utf-8")  # waits for no reader
        self.addCleanup(feed.close)
        self.until(process, lambda: self.status().get("stages"))
        feed.write("\n".join(lines) + "\n")
        feed.flush()
        self.until(process, lambda: self.status().get("records_in") == len(lines))
        return process, feed

    def run_words(self, sets, *flags, code=0, before=(), **kwargs):
        for _ in range(rig.NO_CORE_TRIES):
            result = subprocess.run([*map(str, before), *self.words(sets, *flags, **kwargs)], cwd=self.folder,
                                    env=self.env, timeout=rig.TIMEOUT_S, capture_output=True, check=False, text=True,
                                    stdin=subprocess.DEVNULL)
            if result.returncode != 78 or rig.NO_CORE not in result.stderr:
                break
            time.sleep(0.25)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def saved_words(self, sets):
        """A job in the middle of its text is saved, and killed: where it is saved."""
        process, feed = self.launched_words(sets, lines=LINES[:FIRST])
        doc = self.savepoint()
        self.assertIsNone(process.poll(), "it goes on")
        self.end(process, feed)
        return doc["path"]

    def end(self, process, feed):
        process.kill()
        process.wait()
        feed.close()

    def killed_words(self):
        process, feed = self.launched_words(self.disk, lines=LINES[:FIRST])
        last = self.checkpoint()
        self.until(process, lambda: self.checkpoint() > last + 1)
        self.end(process, feed)

    def assert_rest(self, sets, path, number, *flags, output=None, want=None, **params):
        """The job that goes on from there tells of the rest of the text what an undisturbed one does."""
        output = output or f"{number}.csv"
        process, feed = self.launched_words(sets | {"checkpoints.dir": f"next{number}"}, f"--restore={path}", *flags,
                                            lines=LINES[FIRST:], output=output, **params)
        feed.close()
        _, text = process.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, text)
        rows = (self.folder / output).read_text().splitlines()[1:]
        self.assertEqual(collections.Counter(rows), collections.Counter(want or REST))

    def stores(self, part):
        return [p.name for p in (self.folder / "state" / f"{self.name}.state").glob("*") if part in p.name]

    def test_either_backend_goes_on(self):
        path = self.saved_words(self.disk | TWO)
        self.assertGreater(sum(p.stat().st_size for p in (self.folder / "state").rglob("*.sst")), 1 << 20)
        for number, sets in enumerate(({PARALLELISM: 3}, self.disk | {PARALLELISM: 1})):
            with self.subTest(**sets):
                self.assert_rest(sets, path, number)
        shown = self.show(self.saved)
        for state in ("state", "cnt", "lines", "last"):
            self.assertIn(f"  state {state}  key string", shown)
        self.assertEqual(self.stores(".run"), [])

    def test_state_in_memory_goes_on_on_disk(self):
        path = self.saved_words(TWO)
        self.assert_rest(self.disk | TWO, path, 0)
        self.assertEqual(self.stores(".run"), [])

    def test_a_stop_saves_it_too(self):
        process, feed = self.launched_words(self.disk, lines=LINES[:FIRST])
        self.stop("--savepoint", "saved", "--wait")
        self.assertEqual(process.wait(rig.TIMEOUT_S), 0)
        feed.close()
        self.assertRegex(process.stdout.read(), r"savepoint \d+ in .*/saved: \d+ entries")
        self.assert_rest({PARALLELISM: 1}, self.saved, 0)

    def assert_left(self, what, path, number, **kwargs):
        """It is refused, and named, unless it may be left behind: then all else is as it was."""
        sets = self.disk | TWO | MORE
        refusal = self.run_words(sets | {"checkpoints.dir": f"refused{number}"}, f"--restore={path}", code=78,
                                 **{name: kwargs[name] for name in kwargs.keys() - {"want"}})
        self.assertRegex(re.sub(r"\s+", " ", refusal), what)
        self.assertIn("--allow-non-restored-state", refusal)
        self.assert_rest(sets, path, number, "--allow-non-restored-state", **kwargs)

    def test_T313_state_that_nobody_takes_up_is_left_behind_only_when_asked(self):
        process, feed = self.launched_words(self.disk | TWO | MORE, lines=LINES[:FIRST], more="more.csv")
        saved = self.savepoint()["path"]
        last = self.checkpoint()
        self.until(process, lambda: self.checkpoint() > last + 1)
        self.end(process, feed)
        self.assertEqual(len({name.split(".")[0] for name in self.stores(".")}), 2)  # one of each function
        last = self.checkpoint()
        stored, = (self.folder / f"ckpt/{self.name}/manifest").glob(f"M-{last}-*")
        self.assert_left("savepoint has state of operator more ", saved, 0)
        self.assert_left("savepoint has state last of operator declared ", saved, 1, states="fewer", more="again.csv",
                         want=[row.rsplit(",", 1)[0] + "," for row in REST])
        self.assert_left(rf"checkpoint {last} holds state of operator more,", stored, 2, output="o.csv",
                         want=declared_ref.expected(LINES))

    def held(self, sets):
        """A job of which a savepoint waits for its configuration."""
        self.write("run.yaml", "version: 1\n")
        process, _ = self.launched_words(self.disk | sets, "-f", "run.yaml", lines=LINES[:3000])
        (self.folder / "run.yaml").unlink()
        os.mkfifo(self.folder / "run.yaml")
        return process

    def asked(self):
        asker = subprocess.Popen([str(self.weir_path), "savepoint", self.name, "saved"], cwd=self.folder, env=self.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(asker.communicate)
        self.addCleanup(asker.kill)
        return asker

    def test_what_it_is_made_of_stays_until_it_is_done(self):
        process = self.held({"checkpoints.retained": 1})
        asker = self.asked()
        with open(self.folder / "run.yaml", "w", encoding="utf-8") as feed:
            kept, = (p.name.split("-")[1] for p in (self.folder / f"ckpt/{self.name}/manifest").glob("S-*"))
            self.until(process, lambda: self.checkpoint() > int(kept) + 8)
            self.assertEqual(len(self.stores(f".{kept}-")), 1)
            feed.write("version: 1\n")
        out, err = asker.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(asker.returncode, 0, err)
        self.assertIn("go on from it by", out)
        self.until(process, lambda: not self.stores(f".{kept}-"))
        self.assertRegex(self.show(self.saved), "state cnt  key string; 1 namespaces, [1-9]")

    def test_a_job_that_ends_waits_for_it(self):
        process = self.held({})
        asker = self.asked()
        with open(self.folder / "run.yaml", "w", encoding="utf-8") as feed:
            self.stop()
            feed.write("version: 1\n")
        _, err = asker.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(asker.returncode, 0, err)
        self.assertEqual(process.wait(rig.TIMEOUT_S), 0)
        self.assertEqual(self.stores(".run"), [])
        self.assertRegex(self.show(self.saved), "state cnt  key string; 1 namespaces, [1-9]")

    def test_a_killed_saver_leaves_nothing(self):
        process = self.held({})
        asker = self.asked()
        pid = 0
        while pid == 0:
            found = re.search(r"is written below .* by process (\d+)", process.stderr.readline())
            pid = int(found.group(1)) if found else 0
        os.kill(pid, signal.SIGKILL)
        _, err = asker.communicate(timeout=rig.TIMEOUT_S)
        self.assertNotEqual(asker.returncode, 0)
        self.assertIn("signal 9", err)
        last = self.checkpoint()
        self.until(process, lambda: self.checkpoint() > last + 2 and
                   not any(name.count("-") and name.endswith(".run") for name in self.stores(".run")))
        self.assertEqual(list(self.saved.rglob("M-*")), [])
        self.assertEqual(list((self.folder / f"ckpt/{self.name}/manifest").glob("S-*")), [])

    def verify(self, code):
        result = subprocess.run([str(self.weir_path), "checkpoint", "verify", "ckpt"], cwd=self.folder, env=self.env,
                                capture_output=True, check=False, text=True)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_damage_is_named(self):
        self.killed_words()
        self.verify(0)
        last = self.checkpoint()
        tables = [p for p in (self.folder / "state").glob(f"*/*.{last}-*/*.sst")]
        table = max(tables, key=lambda p: p.stat().st_size)
        content = bytearray(table.read_bytes())
        whole = bytes(content)
        content[len(content) // 3] ^= 8
        sets = self.disk
        restore = ("--restore=latest", f"--savepoint={self.saved}")
        table.chmod(0o600)
        for how in ("flipped", "missing"):
            with self.subTest(how=how):
                table.write_bytes(content if how == "flipped" else whole)  # one file with other checkpoints
                if how == "missing":
                    table.rename(self.folder / "aside")
                self.assertIn(table.name, self.verify(65))
                text = self.run_words(sets, *restore, code=65)
                self.assertRegex(text, rf"WEIR-1502(.|\n)*{table.name}")
                self.assertEqual(list(self.saved.rglob("M-*")), [])
        (self.folder / "aside").rename(table)
        self.verify(0)
        self.run_words(sets, *restore)
        self.assertIn("state cnt  key string", self.show(self.saved))

    def test_a_full_disk_leaves_nothing(self):
        path = self.saved_words(self.disk)
        small = self.folder / "small"
        small.mkdir()
        sets = self.disk | {"checkpoints.dir": "next", "state.dir": small}
        text = self.run_words(sets, f"--restore={path}", before=(*SMALL_DISK, small), code=74,
                              output="other.csv")
        self.assertRegex(text, r"WEIR-1301(.|\n)*No space left")
        self.assertIn("left: 0", text)


if __name__ == "__main__":
    rig.main(2)
