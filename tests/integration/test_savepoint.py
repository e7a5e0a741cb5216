#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_savepoint.py WEIR: a job killed with -9, saved as rows, and gone on with from there: other subtasks, other cut."""
import json
import subprocess
import time

import rig

NEXMARK = rig.DATA / "nexmark"
EVENTS = NEXMARK / "events.jsonl.zst"
WAIT_S = 60
# Killed as left, gone on with as right. Between them: two numbers as keys, texts, lists of rows, tops.
QUERIES = {
    "q3": ({"parallelism": 1}, {"parallelism": 2}),
    "q5": ({"parallelism": 2}, {"parallelism": 1, "placement.cut": "all"}),
    "q7": ({"parallelism": 1}, {"parallelism": 2}),
    "q8": ({"parallelism": 2, "placement.cut": "all"}, {"parallelism": 2}),
}


class Savepoint(rig.Rig):
    def setUp(self):
        super().setUp()
        self.name = self.fresh_name()
        self.saved = self.folder / "saved"

    def line(self, query, sets, flags=(), rate=0):
        params = {"query": query, "events": EVENTS, "rate": rate, "output": f"{query}.csv"}
        return [*self.command("nexmark", params, sets, flags), "--name", self.name]

    def command(self, job, params=(), sets=(), flags=()):
        line = super().command(job, params, sets, flags)
        at = line.index("--name")
        return line[:at] + line[at + 2:]

    def run_it(self, query, sets, *flags, code=0):
        for _ in range(rig.NO_CORE_TRIES):
            result = subprocess.run(self.line(query, sets, flags), cwd=self.folder, env=self.env,
                                    timeout=rig.TIMEOUT_S, capture_output=True, check=False, stdin=subprocess.DEVNULL)
            result.text = result.stderr.decode(errors="replace")
            if result.returncode not in (71, 78) or not (rig.NO_CORE in result.text or rig.ALL_HELD in result.text):
                break
            time.sleep(0.25)
        self.assertEqual(result.returncode, code, result.text)
        return result

    def show(self, *args, code=0):
        result = subprocess.run([str(self.weir_path), "savepoint", "show", *map(str, args)], cwd=self.folder,
                                env=self.env, capture_output=True, check=False, text=True)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout if code == 0 else result.stderr

    def started(self, query, sets, *flags):
        """A run that has stored two checkpoints."""
        sets = sets | {"checkpoints.dir": "ckpt", "checkpoints.interval": "20ms"}
        process = subprocess.Popen(self.line(query, sets, flags, rate=20000), cwd=self.folder, env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until = time.monotonic() + WAIT_S
        manifests = self.folder / "ckpt" / self.name / "manifest"
        while not any(int(p.name.split("-")[1]) >= 2 for p in manifests.glob("M-*")):
            self.assertIsNone(process.poll(), "it ended before")
            self.assertLess(time.monotonic(), until, "it never came")
            time.sleep(0.002)
        return process

    def killed(self, query, sets):
        process = self.started(query, sets)
        process.kill()
        process.wait()

    def stop(self, *flags, code=0):
        result = subprocess.run([str(self.weir_path), "stop", self.name, *flags], cwd=self.folder, env=self.env,
                                capture_output=True, check=False, text=True, timeout=rig.TIMEOUT_S)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout if code == 0 else result.stderr

    def save(self, query, sets, code=0):
        return self.run_it(query, sets | {"checkpoints.dir": "ckpt"}, "--restore=latest", f"--savepoint={self.saved}",
                           code=code)

    def test_answers_are_those_of_an_undisturbed_run(self):
        for query, (before, after) in QUERIES.items():
            with self.subTest(query=query):
                self.name = self.fresh_name()
                self.killed(query, before)
                self.save(query, before)
                self.run_it(query, after | {"checkpoints.dir": f"next-{query}"}, f"--restore={self.saved / self.name}")
                self.assertEqual(
                    self.rows_differ(NEXMARK / "expected" / f"{query}.csv", self.folder / f"{query}.csv"), "")

    def test_a_stop_saves_the_job_behind_its_end(self):
        process = self.started("q5", {"parallelism": 2})
        text = self.stop("--savepoint", "saved", "--wait")
        self.assertIn(f"it is saved to {self.folder / 'saved'} when it has ended", text)
        self.assertEqual(process.wait(), 0)
        self.assertRegex(process.stdout.read().decode(), r"savepoint \d+ in .*/saved: \d+ entries")
        self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}")
        self.assertEqual(self.rows_differ(NEXMARK / "expected" / "q5.csv", self.folder / "q5.csv"), "")

    def test_what_cannot_be_saved_stops_nothing(self):
        process = self.started("q5", {"parallelism": 1}, "--supervise")
        self.assertIn("below a supervisor", self.stop("--savepoint=saved", code=1))
        self.stop("--wait")
        self.assertEqual(process.wait(), 0)
        params = {"query": "q5", "events": EVENTS, "rate": 1000, "output": "o.csv"}
        line = [*self.command("nexmark", params, {"parallelism": 1}), "--name", self.name]
        process = subprocess.Popen(line, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        refusal = ""
        until = time.monotonic() + WAIT_S
        while "takes no checkpoints" not in refusal:  # it begins to listen at some time
            self.assertLess(time.monotonic(), until, refusal)
            refusal = subprocess.run([str(self.weir_path), "stop", self.name, "--savepoint=saved"], env=self.env,
                                     cwd=self.folder, capture_output=True, check=False, text=True).stderr
        self.assertIsNone(process.poll())

    def test_show_says_what_is_in_it(self):
        self.killed("q3", {"parallelism": 2})
        self.save("q3", {"parallelism": 1})
        text = self.show(self.saved)
        self.assertRegex(text, rf"savepoint \d+ of job {self.name}: \d+ entries and \d+ rows in \d+ key groups")
        self.assertIn("state rows  key i64; 1 namespaces", text)
        doc = json.loads(self.show(self.saved, "--json"))
        states = [s for op in doc["operators"] for s in op["states"]]
        self.assertEqual([s["name"] for s in states], ["rows"])
        self.assertEqual(states[0]["entries"], doc["entries"])
        self.assertGreater(states[0]["rows"], 0)
        self.assertEqual([f["name"] for f in states[0]["fields"]], ["left", "right"])
        self.assertIn({"name": "@time", "type": "i64"}, states[0]["fields"][0]["fields"])
        self.assertEqual(doc["savepoint"], doc["of_checkpoint"])
        self.assertEqual(json.loads(self.show(self.saved / self.name, doc["savepoint"], "--json")), doc)
        self.assertIn("holds no savepoint 99", self.show(self.saved, 99, code=66))
        checkpoints = self.show(self.folder / "ckpt", code=66)
        self.assertIn("is a checkpoint, no savepoint", checkpoints)

    def test_damage_is_named_with_file_block_and_byte(self):
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        data, = (self.saved / self.name / "data").glob("*.snap")
        content = bytearray(data.read_bytes())
        content[500] ^= 1
        data.chmod(0o600)
        data.write_bytes(content)
        self.assertIn(f"data/{data.name}, block 0, byte 0", self.show(self.saved, code=65))
        text = self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}", code=65).text
        self.assertIn(f"data/{data.name}, block 0, byte 0", text)

    def test_state_that_nobody_takes_up_is_named(self):
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        text = self.run_it("q8", {"checkpoints.dir": "next"}, f"--restore={self.saved}", code=78).text
        self.assertRegex(text, r"the savepoint has (state|parts) of operator \S+ \(\S+\), which the job does not take")
        self.assertIn("--allow-non-restored-state", text)

    def test_what_cannot_be_saved_is_said(self):
        self.assertIn("takes no checkpoints", self.run_it("q5", {}, f"--savepoint={self.saved}", code=78).text)
        text = self.run_it("q5", {"checkpoints.dir": "ckpt"}, "--restore=latest", f"--savepoint={self.saved}", code=78)
        self.assertIn("would start from nothing", text.text)
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        self.assertIn("give another directory", self.save("q5", {"parallelism": 1}, code=78).text)
        again = self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}", "--savepoint=third", code=78)
        self.assertIn("copy its directory", again.text)


if __name__ == "__main__":
    rig.main()
