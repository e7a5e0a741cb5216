#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_savepoint.py WEIR JOBS-DIR: jobs saved as rows, killed or while they go on, and gone on with from there: other subtasks,
other cut."""
import fcntl
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
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


class Saving(rig.Rig):
    """Jobs over 20,000 events, and what saves them."""

    def setUp(self):
        super().setUp()
        self.name = self.fresh_name()
        self.saved = self.folder / "saved"

    def line(self, query, sets, flags=(), rate=0, output=None):
        params = {"query": query, "events": EVENTS, "rate": rate, "output": output or f"{query}.csv"}
        return [*self.command("nexmark", params, sets, flags), "--name", self.name]

    def command(self, job, params=(), sets=(), flags=()):
        line = super().command(job, params, sets, flags)
        at = line.index("--name")
        return line[:at] + line[at + 2:]

    def run_it(self, query, sets, *flags, code=0, output=None):
        for _ in range(rig.NO_CORE_TRIES):
            result = subprocess.run(self.line(query, sets, flags, output=output), cwd=self.folder, env=self.env,
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

    def launched(self, query, sets, flags=(), rate=20000, output=None):
        sets = {"checkpoints.dir": "ckpt"} | sets
        line = self.line(query, {k: v for k, v in sets.items() if v is not None}, flags, rate, output)
        process = subprocess.Popen(line, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def until(self, process, holds):
        until = time.monotonic() + WAIT_S
        while not holds():
            self.assertIsNone(process.poll(), "it ended before")
            self.assertLess(time.monotonic(), until, "it never came")
            time.sleep(0.002)

    def checkpoint(self):
        """The newest that is stored; 0: none."""
        manifests = self.folder / "ckpt" / self.name / "manifest"
        return max((int(p.name.split("-")[1]) for p in manifests.glob("M-*")), default=0)

    def started(self, query, sets, *flags, rate=20000):
        """A run that has stored two checkpoints."""
        process = self.launched(query, sets | {"checkpoints.interval": "20ms"}, flags, rate)
        self.until(process, lambda: self.checkpoint() >= 2)
        return process

    def killed(self, query, sets):
        process = self.started(query, sets)
        process.kill()
        process.wait()

    def ask(self, verb, *args, code=0):
        result = subprocess.run([str(self.weir_path), verb, self.name, *map(str, args)], cwd=self.folder, env=self.env,
                                capture_output=True, check=False, text=True, timeout=rig.TIMEOUT_S)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout if code == 0 else result.stderr

    def status(self):
        """Of the job; empty before it listens."""
        return json.loads(subprocess.run([str(self.weir_path), "status", self.name, "--json"], env=self.env,
                                         capture_output=True, check=False, text=True).stdout or "{}")

    def savepoint(self):
        doc = json.loads(self.ask("savepoint", "saved", "--json"))
        self.assertEqual(doc["savepoint"], str(self.saved))
        return doc

    def stop(self, *flags, code=0):
        return self.ask("stop", *flags, code=code)

    def assert_exact(self, query):
        self.assertEqual(self.rows_differ(NEXMARK / "expected" / f"{query}.csv", self.folder / f"{query}.csv"), "")

    def save(self, query, sets, code=0):
        return self.run_it(query, sets | {"checkpoints.dir": "ckpt"}, "--restore=latest", f"--savepoint={self.saved}",
                           code=code)


class Savepoint(Saving):
    def test_answers_are_those_of_an_undisturbed_run(self):
        for query, (before, after) in QUERIES.items():
            with self.subTest(query=query):
                self.name = self.fresh_name()
                self.killed(query, before)
                self.save(query, before)
                self.run_it(query, after | {"checkpoints.dir": f"next-{query}"}, f"--restore={self.saved / self.name}")
                self.assert_exact(query)

    def test_a_stop_saves_the_job_behind_its_end(self):
        process = self.started("q5", {"parallelism": 2})
        text = self.stop("--savepoint", "saved", "--wait")
        self.assertIn(f"it is saved to {self.folder / 'saved'} when it has ended", text)
        self.assertEqual(process.wait(), 0)
        self.assertRegex(process.stdout.read().decode(), r"savepoint \d+ in .*/saved: \d+ entries")
        self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}")
        self.assert_exact("q5")

    def test_a_stop_finds_its_savepoint_beside_whatever_is_there(self):
        """Such as a directory that a job's own would have."""
        (self.saved / "manifest").mkdir(parents=True)
        process = self.started("q5", {"parallelism": 2})
        self.stop("--savepoint", "saved", "--wait")
        self.assertEqual(process.wait(), 0)
        self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved / self.name}")
        self.assert_exact("q5")

    def test_a_stop_that_waits_for_a_savepoint_that_cannot_be_written_says_so(self):
        process = self.started("q5", {"parallelism": 2}, rate=5000)
        self.savepoint()  # an older one is not taken for it
        data = self.saved / self.name / "data"
        data.rename(self.folder / "elsewhere")
        data.write_text("a file where a directory is due")
        text = self.stop("--savepoint", "saved", "--wait", code=74)
        self.assertIn(f"job {self.name} has ended, and no savepoint of it has come below saved", text)
        self.assertNotEqual(process.wait(), 0)

    def test_a_stop_takes_no_checkpoint_for_its_savepoint(self):
        """Below the directory of checkpoints no savepoint is written; what the stop itself stores there is none."""
        process = self.started("q5", {"parallelism": 2})
        text = self.stop("--savepoint", "ckpt", "--wait", code=74)
        self.assertIn("no savepoint of it has come below ckpt", text)
        self.assertNotEqual(process.wait(), 0)

    def test_a_stop_saves_a_job_below_a_supervisor(self):
        process = self.started("q5", {"parallelism": 2}, "--supervise")
        self.stop("--savepoint", "saved", "--wait")
        self.assertEqual(process.wait(), 0)
        self.assertRegex(process.stdout.read().decode(), r"savepoint \d+ in .*/saved: \d+ entries")
        self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}")
        self.assert_exact("q5")

    def test_a_stop_saves_a_job_that_has_not_begun(self):
        self.killed("q5", {"parallelism": 1})
        with open(self.folder / "ckpt" / self.name / "manifest/LOCK", "r+b") as lock:
            refusal = None
            while refusal is None:  # it gives up a lock that it waits for too long
                fcntl.flock(lock, fcntl.LOCK_EX)
                process = self.launched("q5", {"parallelism": 1}, ("--restore=latest",))
                while not self.status() and process.poll() is None:
                    pass
                if process.poll() is None:
                    refusal = subprocess.run([str(self.weir_path), "stop", self.name, "--savepoint=saved"], env=self.env,
                                             cwd=self.folder, capture_output=True, check=False, text=True).stderr
                fcntl.flock(lock, fcntl.LOCK_UN)
                if process.wait() == 78:
                    refusal = None
        self.assertEqual((refusal, process.returncode), ("", 0))
        self.assertEqual(len(list(self.saved.rglob("M-*"))), 1)

    def test_where_to_is_taken_whole_or_refused(self):
        too_long = "x" * 2000
        for verb, *args in (("savepoint", too_long), ("stop", f"--savepoint=/{too_long}"), ("stop", "--savepoint=")):
            self.assertIn("the name of a directory has 1 to 1023 bytes", self.ask(verb, *args, code=2))
        result = subprocess.run([str(self.weir_path), b"stop", self.name, b"--savepoint=\xff\xfe"], env=self.env,
                                capture_output=True, check=False)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(b"its name is no UTF-8", result.stderr)

    def test_what_cannot_be_saved_stops_nothing(self):
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
        self.assertIn("takes no checkpoints", self.ask("savepoint", "saved", code=1))
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

    def test_T313_state_that_nobody_takes_up_is_named(self):
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        text = self.run_it("q8", {"checkpoints.dir": "next"}, f"--restore={self.saved}", code=78).text
        self.assertRegex(text, r"the savepoint has (state|parts) of operator \S+ \(\S+\), which the job does not take")
        self.assertIn("--allow-non-restored-state", text)
        self.run_it("q8", {"checkpoints.dir": "other", "checkpoints.interval": "10ms"}, f"--restore={self.saved}",
                    "--allow-non-restored-state")
        self.assertTrue((self.folder / "q8.csv").exists())

    def test_T294_who_starts_from_a_savepoint_leaves_it_as_it_is(self):
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        before = {path: path.read_bytes() for path in self.saved.rglob("*") if path.is_file()}
        self.run_it("q5", {"checkpoints.dir": "next", "checkpoints.interval": "10ms"}, f"--restore={self.saved}")
        self.assertGreater(len(list((self.folder / "next").rglob("M-*"))), 0)
        self.assertEqual({path: path.read_bytes() for path in self.saved.rglob("*") if path.is_file()}, before)
        # Nor does a start take something else for it where not all can be looked into.
        (self.folder / "next/loop").symlink_to("loop")
        text = self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}", code=78).text
        self.assertIn("give a directory without any", text)

    def test_what_cannot_be_saved_is_said(self):
        self.assertIn("takes no checkpoints", self.run_it("q5", {}, f"--savepoint={self.saved}", code=78).text)
        text = self.run_it("q5", {"checkpoints.dir": "ckpt"}, "--restore=latest", f"--savepoint={self.saved}", code=78)
        self.assertIn("would start from nothing", text.text)
        self.killed("q5", {"parallelism": 1})
        self.save("q5", {"parallelism": 1})
        for directory, restore, why in (("ckpt", "latest", "is where job .* keeps its checkpoints"),
                                        ("next", f"ckpt/{self.name}", "holds checkpoints of job")):
            text = self.run_it("q5", {"checkpoints.dir": directory}, f"--restore={restore}", "--savepoint=ckpt", code=78)
            self.assertRegex(text.text, rf"ckpt {why}(.|\n)*give a savepoint another directory")
        again = self.run_it("q5", {"checkpoints.dir": "next"}, f"--restore={self.saved}", "--savepoint=third", code=78)
        self.assertIn("copy its directory", again.text)

    def test_what_takes_long_says_how_far_it_is(self):
        self.killed("q5", {"parallelism": 2})
        sets = {"parallelism": 2, "log.progress": "1us"}  # all is long then
        text = self.save("q5", sets).text
        self.assertRegex(text, r'"restoring checkpoint \d+: \d+ % of [0-9.]+ MiB, [0-9.]+ MiB/s, left \d+ s"')
        self.assertRegex(text, r'"writing savepoint \d+: \d+ of 128 key groups, [0-9.]+ MiB, [0-9.]+ MiB/s"')
        again = {"checkpoints.dir": "next"}
        text = self.run_it("q5", sets | again, f"--restore={self.saved}").text
        self.assertRegex(text, r'"restoring checkpoint \d+: \d+ % of [0-9.]+ MiB')
        self.assertNotIn("restoring", self.run_it("q5", again | {"log.progress": "none"}, "--restore=latest").text)

    def test_a_named_checkpoint_is_read_where_it_lies(self):
        process = self.started("q5", {"parallelism": 2})
        manifests = self.folder / "ckpt" / self.name / "manifest"
        rig.freeze(process)  # it holds its name, its cores and the lock of the directory
        path = max(manifests.glob("M-*"), key=lambda p: int(p.name.split("-")[1]))
        self.run_it("q5", {"parallelism": 2, "checkpoints.dir": "ckpt"}, f"--restore={path}",
                    f"--savepoint={self.saved}")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 0)
        self.assert_exact("q5")
        self.assertIn(f"of job {self.name}", self.show(self.saved))


class Live(Saving):
    """`weir savepoint` of a job that goes on."""

    RATE = 1000  # far from its end while it is saved
    RUN_YAML = "version: 1\ncheckpoints:\n  retained: 1\n"

    def left(self):
        """What the job's directory holds beside its timeline."""
        return [p.name for p in (self.folder / "ckpt" / self.name / "manifest").glob("S-*")]

    def held(self, sets, *flags):
        """A run whose savepoint waits for its configuration: the run, who has asked, and what feeds it."""
        self.write("run.yaml", self.RUN_YAML)
        process = self.started("q5", {"parallelism": 2} | sets, "-f", "run.yaml", *flags, rate=self.RATE)
        (self.folder / "run.yaml").unlink()
        os.mkfifo(self.folder / "run.yaml")
        asker = subprocess.Popen([str(self.weir_path), "savepoint", self.name, "saved"], cwd=self.folder, env=self.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(asker.kill)
        # pylint: disable-next=consider-using-with
        feed = open(self.folder / "run.yaml", "w", encoding="utf-8")  # goes on when the savepoint's process reads
        self.addCleanup(feed.close)
        return process, asker, feed

    def go_on(self, asker, feed, code=0):
        feed.write(self.RUN_YAML)
        feed.close()
        return self.answer(asker, code)

    def answer(self, asker, code):
        out, err = asker.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(asker.returncode, code, err)
        return out if code == 0 else err

    def finish(self, process):
        """Ends the job, and goes on with it at full speed: the output is exact, and nothing is left."""
        if process.poll() is None:
            self.stop("--wait")
            self.assertEqual(process.wait(), 0)
        self.run_it("q5", {"checkpoints.dir": "ckpt", "parallelism": 1}, "--restore=latest")
        self.assert_exact("q5")
        self.assertEqual(self.left(), [])

    def assert_nothing_is_saved(self):
        self.assertEqual(list(self.saved.rglob("M-*")), [])

    def test_answers_from_there_are_those_of_an_undisturbed_run(self):
        for query in ("q3", "q5"):  # lists of rows, and sliding windows
            before, after = QUERIES[query]
            with self.subTest(query=query):
                self.name = self.fresh_name()
                process = self.launched(query, before, rate=2000)
                self.until(process, lambda: self.status().get("records_in", 0) >= 500)
                doc = self.savepoint()
                self.assertIsNone(process.poll(), "the job goes on")
                process.kill()
                process.wait()
                self.assertEqual(self.checkpoint(), 0)
                self.run_it(query, after | {"checkpoints.dir": f"next-{query}"}, f"--restore={doc['path']}")
                self.assert_exact(query)

    def test_savepoints_of_starts_that_count_anew_stand_side_by_side(self):
        """Both are of checkpoint 1, and lie below one directory: each is gone on from."""
        docs = []
        for start, reads in enumerate((500, 1500)):
            process = self.launched("q5", {"parallelism": 1, "checkpoints.dir": f"ckpt-{start}"}, rate=2000,
                                    output=f"{start}.csv")
            self.until(process, lambda least=reads: self.status().get("records_in", 0) >= least)
            docs.append(self.savepoint())
            process.kill()
            process.wait()
        self.assertEqual([doc["id"] for doc in docs], [1, 1])
        names = [pathlib.Path(doc["path"]).name.removeprefix("M-") for doc in docs]
        shown = [json.loads(self.show(self.saved / self.name, name, "--json")) for name in names]
        for start, doc in enumerate(docs):
            self.assertEqual([shown[start][k] for k in ("entries", "rows")], [doc[k] for k in ("entries", "rows")])
            self.run_it("q5", {"checkpoints.dir": f"next-{start}"}, f"--restore={doc['path']}", output=f"{start}.csv")
            self.assertEqual(self.rows_differ(NEXMARK / "expected" / "q5.csv", self.folder / f"{start}.csv"), "")
        self.assertNotEqual(shown[0]["entries"], shown[1]["entries"])
        self.assertEqual(json.loads(self.show(self.saved, 1, "--json")), shown[1])

    def test_the_job_goes_on_as_if_it_had_not_been(self):
        process = self.started("q5", {"parallelism": 2}, rate=self.RATE)
        first = self.savepoint()
        second = self.savepoint()
        self.assertGreater(second["id"], first["id"])
        self.until(process, lambda: self.checkpoint() > second["id"] + 1 and not self.left())
        process.kill()
        process.wait()
        self.finish(process)
        for doc in (first, second):
            shown = json.loads(self.show(self.saved / self.name, doc["id"], "--json"))
            self.assertEqual([shown[k] for k in ("entries", "rows")], [doc[k] for k in ("entries", "rows")])
            self.assertEqual(shown["of_checkpoint"], doc["id"])

    def test_another_output_gets_what_follows(self):
        """The saved job goes on to its end; the other has no more than the rows behind the savepoint."""
        process = self.launched("q5", {"parallelism": 2, "checkpoints.interval": "20ms"}, rate=5 * self.RATE,
                                output="all/")
        self.until(process, lambda: list((self.folder / "all").glob("part-*")))
        doc = self.savepoint()
        self.stop("--wait")
        self.run_it("q5", {"checkpoints.dir": "ckpt"}, "--restore=latest", output="all/")
        text = self.run_it("q5", {"checkpoints.dir": "next", "parallelism": 1}, f"--restore={doc['path']}",
                           output="other/").text
        self.assertIn(f"output other/ is new: it gets what follows savepoint {doc['id']}", text)
        self.assertEqual(self.parts("all"), self.expected("q5"))
        before = self.parts("all", lambda base: base < doc["id"])
        self.assertTrue(before)
        self.assertEqual(sorted(before + self.parts("other")), self.expected("q5"))
        # So does one that was killed before it had taken a checkpoint itself.
        for output, folder in (("late/", "late"), ("late.csv", "late.csv.parts")):
            sets = {"checkpoints.dir": f"of-{folder}", "checkpoints.interval": "1h"}
            process = self.launched("q5", sets, [f"--restore={doc['path']}"], rate=1000, output=output)
            self.until(process, lambda: list((self.folder / folder).glob(".pending-*")))
            process.kill()
            process.wait()
            text = self.run_it("q5", sets, f"--restore={doc['path']}", output=output).text
            self.assertIn(f"output {output} is new", text)
        self.assertEqual(self.parts("late"), self.parts("other"))
        late = (self.folder / "late.csv").read_text().splitlines()[1:]
        self.assertEqual(sorted(late), self.parts("other"))
        again = self.run_it("q5", {"checkpoints.dir": "third"}, f"--restore={doc['path']}", output="all/", code=78)
        self.assertIn(f"is of a checkpoint after {doc['id']}", again.text)

    def parts(self, folder, holds=lambda base: True):
        """Rows of the committed parts that began behind these checkpoints."""
        rows = []
        for path in (self.folder / folder).glob("part-*"):
            base = int(path.name.removeprefix(f"part-{self.name}-").split("-")[0])
            rows += path.read_text().splitlines()[1:] if holds(base) else []
        return sorted(rows)

    def expected(self, query):
        return sorted((NEXMARK / "expected" / f"{query}.csv").read_text().splitlines()[1:])

    def test_what_it_is_made_of_stays_until_it_is_done(self):
        process, asker, feed = self.held({})
        kept, = self.left()
        self.until(process, lambda: self.checkpoint() > int(kept.split("-")[1]) + 3)
        self.assertIn("is being taken", self.ask("savepoint", "other", code=1))
        text = self.go_on(asker, feed)
        self.assertIn(f"go on from it by --restore={self.saved}", text)
        self.until(process, lambda: not self.left())
        self.finish(process)

    def test_a_job_that_ends_waits_for_it(self):
        process, asker, feed = self.held({})
        self.stop()
        self.assertIn("is being ended", self.ask("savepoint", "other", code=1))
        self.go_on(asker, feed)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(self.left(), [])
        self.finish(process)

    def test_two_stops_do_not_save_to_two_places(self):
        process, asker, feed = self.held({})
        self.stop("--savepoint", "one")
        self.assertIn(f"the job will be saved to {self.folder / 'one'} already", self.stop("--savepoint", "two", code=1))
        self.stop("--savepoint", "one")
        self.go_on(asker, feed)
        with open(self.folder / "run.yaml", "w", encoding="utf-8") as again:  # its process begins anew
            again.write(self.RUN_YAML)
        self.assertEqual(process.wait(), 0)
        self.assertIn(f"of job {self.name}", self.show(self.folder / "one"))
        self.assertFalse((self.folder / "two").exists())

    def test_who_cancels_the_job_gives_it_up(self):
        process, asker, _ = self.held({})
        self.ask("cancel")
        self.assertIn("given up", self.answer(asker, 1))
        self.assertEqual(process.wait(), 1)
        self.assert_nothing_is_saved()

    def test_it_dies_with_its_job(self):
        process, asker, feed = self.held({})
        process.kill()
        process.wait()
        self.assertIn("has ended the talk", self.answer(asker, 69))
        gone = select.poll()
        gone.register(feed, 0)
        self.assertEqual(gone.poll(WAIT_S * 1000), [(feed.fileno(), select.POLLERR)], "somebody reads it still")
        self.assert_nothing_is_saved()
        (self.folder / "run.yaml").unlink()
        self.finish(process)

    def test_its_process_may_run_where_the_job_might(self):
        process, asker, feed = self.held({"placement.housekeeping": min(os.sched_getaffinity(0))})
        tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
        child = [int(word) for task in tasks for word in (task / "children").read_text().split()]
        self.assertEqual([os.sched_getaffinity(pid) for pid in child], [os.sched_getaffinity(0)])
        self.go_on(asker, feed)
        self.finish(process)

    def test_checkpoints_in_memory_are_saved_too(self):
        sets = {"parallelism": 2, "checkpoints.storage": "memory", "checkpoints.interval": "20ms"}
        for flags in ((), ("--supervise",)):
            with self.subTest(flags=flags):
                self.name = self.fresh_name()
                process = self.launched("q5", sets | {"checkpoints.dir": None}, flags, rate=self.RATE)
                self.until(process, lambda: (self.status().get("checkpoints") or {}).get("completed", 0) > 1)
                doc = self.savepoint()
                self.stop("--savepoint", f"stopped-{self.name}", "--wait")
                self.assertEqual(process.wait(), 0)
                self.run_it("q5", {"checkpoints.dir": f"next-{self.name}"}, f"--restore=stopped-{self.name}")
                self.assert_exact("q5")
                self.assertIn(f"savepoint {doc['id']} of job {self.name}", self.show(self.saved / self.name))
                self.assertFalse(pathlib.Path(f"/dev/shm/weir-checkpoints-{os.geteuid()}-{process.pid}").exists())

    def test_what_fails_leaves_the_job_alone(self):
        process = self.started("q5", {"parallelism": 2}, "--supervise", rate=self.RATE)
        self.write("file", "")
        self.assertRegex(self.ask("savepoint", "file", code=74), "WEIR-1301")
        self.assertIn("say where to", self.ask("savepoint", code=2))
        self.assertIn("keeps its checkpoints", self.ask("savepoint", "ckpt", code=78))
        self.savepoint()
        self.until(process, lambda: not self.left())
        self.finish(process)

    def test_the_configuration_may_say_where_to(self):
        process = self.started("q5", {"parallelism": 2, "checkpoints.savepoint_dir": "saved"}, rate=self.RATE)
        self.assertIn(f"in {self.saved}: ", self.ask("savepoint"))
        self.assertIsNone(process.poll())


class Evolving(Saving):
    """tests/jobs/evolving.c, whose input is a pipe that stays open."""

    def open_job(self, version, first=""):
        """The job, and the open end of its input."""
        pipe = self.folder / "pipe"
        if not pipe.exists():
            os.mkfifo(pipe)
        params = {"version": version, "input": pipe} | ({"first": first} if first else {})
        sets = {"checkpoints.dir": f"ckpt{version}", "placement.cut": "all" if first else "none"}
        flags = ["--restore=saved"] if version == 2 else []
        line = [*self.command(JOBS / "evolving.so", params, sets, flags), "--name", self.name]
        process = subprocess.Popen(line, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        feed = os.fdopen(os.open(pipe, os.O_RDWR), "w", encoding="utf-8")  # waits for no reader
        self.addCleanup(feed.close)
        return process, feed

    def table(self, name):
        return sorted((self.folder / f"{name}.csv").read_text().splitlines()[1:])

    def test_new_fields_of_accumulators_are_fresh(self):
        process, feed = self.open_job(1)
        feed.write("1000,a,5\n2000,b,7\n6000,a,1\n")
        feed.flush()
        self.until(process, lambda: self.status().get("watermark_ms") == 6000)
        self.savepoint()
        process.kill()
        process.communicate()
        feed.close()
        process, feed = self.open_job(2)
        feed.write("8000,a,2\n8500,b,1\n30000,c,1\n")
        feed.flush()
        self.until(process, lambda: self.status().get("records_in") == 3)  # what nobody reads a pipe forgets
        feed.close()
        _, text = process.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, text)
        self.assertEqual(self.table("roll"), ["a,5,0", "a,6,0", "a,8,100", "b,7,0", "b,8,100", "c,1,100"])
        self.assertEqual(self.table("tumbling"), ["0,a,8,100", "0,b,8,100", "30000,c,1,100"])
        sliding = ["-5000,a,5,0", "-5000,b,7,0", "0,a,8,100", "0,b,8,100", "25000,c,1,100", "30000,c,1,100",
                   "5000,a,3,100", "5000,b,1,100"]
        self.assertEqual(self.table("stacked"), sliding)
        self.assertEqual(self.table("running"), sliding)

    def test_a_source_that_has_ended_cannot_be_saved(self):
        self.write("first.csv", "1000,a,5\n")
        process, feed = self.open_job(1, "first.csv")
        feed.write("2000,b,7\n")
        feed.flush()
        self.until(process, lambda: any("first" in stage["operators"] and stage["state"] == "finished"
                                        for stage in self.status().get("stages", [])))
        self.assertRegex(self.ask("savepoint", "saved", code=78),
                         r"operator (first|early) of job \S+ had ended before checkpoint \d+: a savepoint cannot say so")
        self.assertEqual(list(self.saved.rglob("M-*")), [])
        self.assertIsNone(process.poll())


if __name__ == "__main__":
    rig.main(2)
