#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cli.py WEIR JOBS-DIR: the command as a user meets it: exit codes, messages, signals."""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

WEIR = pathlib.Path(sys.argv[1]).resolve()
JOBS = pathlib.Path(sys.argv[2]).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_S = 60
COLUMNS = 200


def obey_file_modes():
    """Take from root, for the program to be started, what lets it read files of any mode."""
    pr_capbset_drop = 24
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if ctypes.CDLL(None, use_errno=True).prctl(pr_capbset_drop, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder_owner = tempfile.TemporaryDirectory(prefix="weir-cli-")
        self.addCleanup(self.folder_owner.cleanup)
        self.folder = pathlib.Path(self.folder_owner.name)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        # Names of jobs are held per host: each test has its own.
        self.name = f"t{os.getpid()}-{self.id().rsplit('.', 1)[1]}"[:60]

    def weir(self, *args, code=0, **kwargs):
        kwargs.setdefault("env", self.env)
        result = subprocess.run([WEIR, *map(str, args)], cwd=self.folder, text=True, timeout=TIMEOUT_S,
                                stdin=subprocess.DEVNULL, capture_output="stdout" not in kwargs,
                                **kwargs)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        return result

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    # --- the command line ---

    def test_unknown_verb_is_refused_with_a_suggestion(self):
        self.assertIn("did you mean 'explain'?", self.weir("explian", code=2).stderr)
        self.assertIn("did you mean 'config show'?", self.weir("config", "shwo", code=2).stderr)
        self.assertIn("a verb is missing", self.weir(code=2).stderr)
        self.assertRegex(self.weir("explian", code=2).stderr,
                         r"^error WEIR-1101: .*\n  weir: unknown verb .*\n  fix: see weir -h \(weir explain WEIR-1101\)\n$")

    def test_unknown_flag_is_refused_with_a_suggestion(self):
        self.assertIn("did you mean --report?", self.weir("run", "x", "--reprot", code=2).stderr)
        self.assertIn("did you mean --set parallelism=...?", self.weir("run", "x", "--paralelism=2", code=2).stderr)
        self.assertNotIn("did you mean", self.weir("top", "x", "--parallelism=2", code=2).stderr)
        self.assertIn("unknown flag -z", self.weir("run", "-z", code=2).stderr)
        self.assertIn("wants a value", self.weir("run", "x", "--report", code=2).stderr)
        self.assertIn("one argument too many", self.weir("plan", "a", "b", code=2).stderr)
        self.assertIn("it wants JOB", self.weir("run", code=2).stderr)
        self.assertRegex(self.weir("savepoint", "show", code=2).stderr,
                         r"^error WEIR-1101: .*\n  weir savepoint show: it wants DIR \[ID\]\n  fix: see weir savepoint show -h ")
        self.assertIn("no synthetic topology", self.weir("topo", "--synthetic", "cabbage", code=2).stderr)

    def completed(self, *words):
        """What the shell offers for the last of the words."""
        script = ('source <("$WEIR" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(["bash", "-c", script, "bash", "weir", *words], env=dict(self.env, WEIR=str(WEIR)),
                                text=True, capture_output=True, check=True, timeout=TIMEOUT_S)
        return result.stdout.split()

    def test_completion_offers_verbs_and_the_flags_of_each(self):
        self.assertEqual(self.completed("sav"), ["savepoint"])
        self.assertEqual(self.completed("savepoint", ""), ["show"])
        self.assertEqual(self.completed("config", "de"), ["defaults"])
        self.assertEqual(self.completed("top", "--o"), ["--once"])
        self.assertEqual(self.completed("topo", "--s"), ["--synthetic"])
        self.assertEqual(self.completed("stop", "nexmark", "--sa"), ["--savepoint"])
        self.assertEqual(self.completed("tap", "nexmark", "out", "--"), ["--rate", "--count", "--for", "--help"])

    def test_help_of_every_verb_begins_with_examples(self):
        listing = self.weir("-h").stdout.split("Verbs:\n")[1].split("\n\n")[0]
        verbs = [re.split(r"\s{2,}", line.strip())[0] for line in listing.splitlines()]
        self.assertGreaterEqual(len(verbs), 9)
        for verb in verbs:
            text = self.weir(*verb.split(), "-h").stdout
            self.assertTrue(text.startswith("Examples:\n  "), verb)
            self.assertIn("Usage:", text)

    def test_json_is_json_and_data_goes_to_stdout(self):
        for args in (["version"], ["topo"], ["explain"], ["config", "defaults"], ["config", "show"],
                     ["validate"], ["plan", "nexmark"], ["validate", "nexmark"]):
            result = self.weir(*args, "--json")
            json.loads(result.stdout)
            self.assertEqual(result.stderr, "")

    def test_full_disk_behind_stdout_ends_in_74(self):
        with open("/dev/full", "w") as full:
            self.weir("config", "defaults", code=74, stdout=full, stderr=subprocess.DEVNULL)

    # --- the configuration ---

    def test_configuration_errors_show_place_caret_and_suggestion(self):
        path = self.write("weir.yaml", "version: 1\nmemory:\n  bugdet: 1GiB\n")
        text = self.weir("config", "show", code=78).stderr
        self.assertIn("weir.yaml:3:3: unknown key 'memory.bugdet'; did you mean 'memory.budget'?", text)
        self.assertIn("      bugdet: 1GiB\n      ^\n", text)
        path.write_text("version: 1\nbuffers: {size: 65536}\n")
        self.assertIn("weir.yaml:2:17: buffers.size is 65536", self.weir("validate", code=78).stderr)
        path.write_text("version: 1\nparallelism: 100000\n")
        self.assertIn("weir.yaml:2:14: parallelism is 100000", self.weir("plan", "nexmark", code=78).stderr)

    def test_precedence_is_flag_environment_file_default(self):
        self.write("weir.yaml", "version: 1\nring.slots: 16\nbatch.rows: 128\nbuffers.floating: 3\n")
        env = dict(self.env, WEIR_RING__SLOTS="32", WEIR_BATCH__ROWS="256")
        shown = json.loads(self.weir("config", "show", "--json", "--set", "ring.slots=8", env=env).stdout)
        values = {row["key"]: (row["value"], row["origin"]) for row in shown}
        self.assertEqual(values["ring.slots"], ("8", "--set"))
        self.assertEqual(values["batch.rows"], ("256", "WEIR_BATCH__ROWS"))
        self.assertEqual(values["buffers.floating"], ("3", "weir.yaml:4:19"))
        self.assertEqual(values["parallelism"], ("1", "built-in"))

    def test_defaults_are_a_configuration_that_changes_nothing(self):
        self.write("weir.yaml", self.weir("config", "defaults").stdout)
        written = json.loads(self.weir("config", "show", "--json").stdout)
        (self.folder / "weir.yaml").unlink()
        built_in = json.loads(self.weir("config", "show", "--json").stdout)
        self.assertEqual([(r["key"], r["value"]) for r in written],
                         [(r["key"], r["value"]) for r in built_in])

    def test_missing_file_directory_and_permission_have_their_codes(self):
        self.weir("config", "show", "-f", "no.yaml", code=66)
        self.weir("config", "show", "-f", "/tmp", code=66)
        path = self.write("secret.yaml", "version: 1\n")
        path.chmod(0)
        drop = obey_file_modes if os.geteuid() == 0 else None
        text = self.weir("config", "show", "-f", "secret.yaml", code=77, preexec_fn=drop).stderr
        self.assertIn("secret.yaml: Permission denied", text)

    # --- jobs ---

    def test_unknown_job_and_parameter_are_refused_with_a_suggestion(self):
        self.assertIn("did you mean nexmark?", self.weir("run", "nexmrak", code=66).stderr)
        self.assertIn("did you mean query?", self.weir("run", "nexmark", "-p", "qeury=q1", code=78).stderr)
        self.assertIn("q21 q22 (did you mean q9?)", self.weir("run", "nexmark", "-p", "query=q99", code=78).stderr)
        self.weir("run", "./no.so", code=66)

    def test_help_of_a_job_begins_with_examples_and_lists_its_parameters(self):
        for job, parameter in (("nexmark", "query=q0|"), ("wordcount", "input=TEXT"), ("ysb", "events=TEXT"),
                               ("nexmark-log", "output=TEXT"), (JOBS / "faulty.so", "fault=none|"),
                               (ROOT / "apps/examples/dear_bids.yaml", "on_error=fail|skip|side")):
            with self.subTest(job=job):
                text = self.weir("run", job, "-h").stdout
                self.assertTrue(text.startswith("Examples:\n  "), text)
                self.assertIn(parameter, text)

    def test_examples_of_every_help_run(self):
        for name, source in (("job.so", JOBS / "faulty.so"), ("README.md", ROOT / "README.md"),
                             ("pipeline.yaml", ROOT / "apps/examples/dear_bids.yaml"),
                             ("apps/examples/bids.csv", ROOT / "apps/examples/bids.csv"),
                             ("events.jsonl.zst", ROOT / "tests/data/nexmark/events.jsonl.zst")):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, self.folder / name)
        shutil.copytree(ROOT / "tests/data/store/job", self.folder / "ckpt/nexmark")
        shutil.copytree(ROOT / "tests/data/savepoint/store", self.folder / "saved")
        self.write("weir.yaml", "version: 1\n")
        env = dict(self.env, PATH=f"{WEIR.parent}:{self.env['PATH']}", WEIR_JOB__NAME=self.name)
        listing = self.weir("-h").stdout.split("Verbs:\n")[1].split("\n\n")[0]
        helps = [[]] + [re.split(r"\s{2,}", line.strip())[0].split() for line in listing.splitlines()]
        helps += [["run", job] for job in ("nexmark-log", "nexmark", "wordcount", "ysb", "./job.so", "pipeline.yaml")]
        ran = 0
        asked = None  # the job that the examples of status, top, stop, savepoint and cancel name
        for words in helps:
            text = self.weir(*words, "-h").stdout.removeprefix("Examples:\n").split("\n\n")[0]
            for line in text.splitlines():
                if "tcp://" in line or words == ["move"]:  # wants somebody who talks; test_move.py runs them
                    continue
                asks = words in (["status"], ["top"], ["metrics"], ["tap"], ["stop"], ["savepoint"], ["cancel"])
                if asks and (not asked or asked.poll() is not None):
                    saves = ["--set", f"checkpoints.dir={words[0]}"] if "savepoint" in line else []
                    asked = self.start_endless(*saves, name="nexmark-q5")
                with self.subTest(line=line):
                    result = subprocess.run(["bash", "-c", line], cwd=self.folder, env=env, text=True,
                                            capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    ran += 1
                    if words[:1] in (["stop"], ["cancel"]):
                        asked.communicate(timeout=TIMEOUT_S)
        self.assertGreaterEqual(ran, 30)

    def test_log_of_json_lines_gives_the_same_answer(self):
        packed = ROOT / "tests/data/nexmark/events.jsonl.zst"
        self.weir("run", "nexmark-log", "-p", f"events={packed}", "-p", "output=e.log", "--name", self.name)
        for events, rate, output in ((packed, 0, "a.csv"), ("e.log", 0, "b.csv"), (packed, 200000, "c.csv")):
            self.weir("run", "nexmark", "-p", f"events={events}", "-p", f"output={output}", "-p", "query=q1",
                      "-p", f"rate={rate}", "--name", self.name, "--report", "r.json")
            self.assertEqual((self.folder / "a.csv").read_text(), (self.folder / output).read_text())
            # Only what is paced has an intended time to count from.
            latency = json.loads((self.folder / "r.json").read_text())["latency_ns"]
            self.assertEqual(latency is not None, rate > 0)

    def test_file_that_is_no_job_is_refused_before_its_code_runs(self):
        # Their constructors end the process with 99.
        self.assertIn("version 999999", self.weir("run", JOBS / "other_abi.so", code=78).stderr)
        self.assertIn("weir_job_main", self.weir("validate", JOBS / "no_entry.so", code=78).stderr)
        self.assertIn("which version", self.weir("plan", JOBS / "no_mark.so", code=78).stderr)
        self.assertIn("no shared object", self.weir("run", self.write("a.so", "x" * 99), code=78).stderr)

    def test_cores_that_are_not_there_are_refused(self):
        self.weir("plan", "nexmark", "--set", "placement.cores=1000", code=78)
        self.weir("plan", "nexmark", "--set", "memory.budget=16MiB", "--set", "parallelism=64",
                  "--set", "placement.cut=all", code=1)

    def test_T202_T203_buffers_that_are_too_few_are_told(self):
        """For what channels need: refused, with the number. For all that they may ask for: said, and the rows are right."""
        query = ("nexmark", "-p", "query=q3", "-p", "events=gen:20000,seed=1", "--set", "parallelism=2",
                 "--set", "placement.cut=all", "--set", "buffers.size=4KiB", "--name", self.name)
        text = self.weir("run", *query, "--set", "buffers.memory=64KiB", code=1).stderr
        self.assertIn("WEIR-1204", text)
        need = re.search(r"insufficient number of buffers: \d+ channels need (\d+) at least \(2 each, "
                         r"buffers\.per_channel\), buffers\.memory holds 16 of 4 KiB: raise it", text)
        self.assertIsNotNone(need, text)
        few = f"buffers.memory={4 * int(need[1])}KiB"
        text = self.weir("run", *query, "-p", "output=few.csv", "--set", few).stderr
        self.assertEqual(text.count("they will wait for each other at full load; raise buffers.memory"), 1, text)
        self.assertRegex(self.weir("plan", *query[:-2], "--set", few).stdout,
                         rf"- buffers: {need[1]} of the \d+ that all channels may ask for")
        text = self.weir("run", *query, "-p", "output=all.csv").stderr
        self.assertNotIn("raise buffers.memory", text)
        few, every = (sorted((self.folder / name).read_text().splitlines()) for name in ("few.csv", "all.csv"))
        self.assertEqual(few, every)

    def test_no_buffers_to_share_are_none(self):
        plan = self.weir("plan", "nexmark", "-p", "query=q0", "--set", "buffers.floating=0").stdout
        self.assertIn("a partition: 0 more to share", plan)

    def test_run_counts_records_and_reports(self):
        self.weir("run", "nexmark", "-p", "query=q0", "-p", "events=gen:50000,seed=7", "--name", self.name,
                  "--report", "r.json")
        report = json.loads((self.folder / "r.json").read_text())
        self.assertEqual(report["job"], self.name)
        self.assertEqual(report["state"], "finished")
        self.assertEqual(report["records_in"], 50000)
        self.assertEqual(report["records_out"], 46000)
        self.assertEqual(report["records_late"], 0)

    def peak_bytes(self, *sets):
        """The most memory that a run of a job with state had: of pages that are counted as its own, which those of a
        pool of huge pages are not, where the host has such."""
        command = [WEIR, "run", "nexmark", "-p", "query=q5", "-p", "events=gen:1000", "-p", "output=discard",
                   "--name", self.name, "--set", "memory.budget=256MiB", "--set", "memory.huge_pages=off"]
        for text in sets:
            command += ["--set", text]
        process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_memory_is_touched_before_the_run_where_asked(self):
        self.assertLess(self.peak_bytes(), 128 << 20)
        self.assertGreater(self.peak_bytes("memory.touch=true"), 128 << 20)

    def test_report_that_cannot_be_written_is_an_error(self):
        self.weir("run", "nexmark", "-p", "events=gen:100,seed=1", "--name", self.name, "--report",
                  "/no/such/r.json", code=74)

    def test_report_that_could_not_be_written_is_said_before_the_job_runs(self):
        (self.folder / "dir").mkdir()
        (self.folder / "r.json").write_text("{}")
        missing, not_dir, is_dir = "no/r.json", "r.json/r.json", "dir"
        for path, why in ((missing, "No such file or directory"), (not_dir, "Not a directory"), (is_dir, "Is a directory")):
            for flags in ([], ["--supervise", "--set", f"checkpoints.dir={self.folder / 'c'}"]):
                with self.subTest(path=path, flags=flags):
                    # It would run for ever.
                    said = self.weir("run", "nexmark", "-p", "query=q0", "-p", "events=gen:100000000000", "-p",
                                     "output=discard", "--name", self.name, "--report", self.folder / path, *flags, code=74)
                    self.assertEqual(said.stderr.count("error WEIR-1301: "), 1, said.stderr)
                    self.assertIn(f"the report {self.folder / path}: {why}", said.stderr)
                    self.assertIn("\n  fix: ", said.stderr)
        self.assertEqual((self.folder / "r.json").read_text(), "{}")

    # --- signals ---

    def start_endless(self, *flags, name=None):
        process = subprocess.Popen([WEIR, "run", "nexmark", "-p", "events=gen:100000000000,seed=1",
                                    "--name", name or self.name, "--report", "r.json", *flags], cwd=self.folder,
                                   env=self.env, text=True, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        self.waits_for_signals(process)
        while True:
            # USR1 makes it print a page, with the states of its tasks: until they run, ask again.
            process.send_signal(signal.SIGUSR1)
            for line in process.stderr:
                state = re.match(r"events\S* +([a-z]+) +busy ", line)
                if state:
                    break
            else:
                self.fail("it ended before it ran")
            if state[1] == "running":
                return process

    def on_terminal(self, *args):
        """A run with a terminal of its own for its messages: the process, and where to read them."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        process = subprocess.Popen([WEIR, "run", *args, "--name", self.name], cwd=self.folder, env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower)
        self.addCleanup(process.kill)
        self.addCleanup(os.close, leader)
        os.close(follower)
        return process, leader

    def lines_until(self, leader, pattern):
        """What comes on the terminal until a line fits the pattern, or to the end; the lines."""
        text = b""
        while not any(pattern.fullmatch(line) for line in text.decode().split("\r")):
            try:
                text += os.read(leader, 65536)
            except OSError:  # EIO: the other end is closed
                break
        return text.decode().split("\r")

    def test_progress_line_on_a_terminal_says_all_there_is_to_know(self):
        number = r"[\d.]+"
        unit = "(d|h|min|s|ms)"
        whole = re.compile(rf" *{number} s  in \d+  out \d+  {number} M/s  left {number} {unit}  lag -?{number} {unit}"
                           r"(  cpu \d+( (busy|backpressured|idle|snapshot|stolen) \d+ %)+)+\x1b\[K")
        paced = ["nexmark", "-p", "query=q5", "-p", "events=gen:100000000,seed=1", "-p", "rate=5000"]
        process, leader = self.on_terminal(*paced, "--set", "log.progress=20ms")
        lines = self.lines_until(leader, whole)
        process.send_signal(signal.SIGTERM)
        self.assertTrue(any(whole.fullmatch(line) for line in lines), lines)
        shown = [line.removesuffix("\x1b[K") for line in lines if line.endswith("\x1b[K")]
        self.assertTrue(all(len(line) < COLUMNS for line in shown), shown)
        end = "".join(self.lines_until(leader, re.compile("no such line")))
        self.assertIn(f"{self.name} stopped", end)
        self.assertEqual(process.wait(TIMEOUT_S), 0)

    def test_progress_line_is_on_a_terminal_only_and_only_where_wanted(self):
        short = ["nexmark", "-p", "events=gen:2000,seed=1", "-p", "rate=10000", "--set"]
        process, leader = self.on_terminal(*short, "log.progress=none")
        text = "".join(self.lines_until(leader, re.compile("no such line")))
        self.assertEqual(process.wait(TIMEOUT_S), 0)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\r", self.weir("run", *short, "log.progress=1ms", "--name", self.name).stderr)

    def test_progress_of_an_input_without_an_end_has_no_time_left(self):
        path = self.folder / "pipe"
        os.mkfifo(path)
        process, leader = self.on_terminal("wordcount", "-p", f"input={path}", "--set", "log.progress=10ms")
        with open(path, "w", encoding="utf-8") as pipe:
            pipe.write("a b\n")
            pipe.flush()
            lines = self.lines_until(leader, re.compile(r" *[\d.]+ s  in 1  .*"))
        self.assertFalse(any(" left " in line for line in lines), lines)
        self.assertTrue(any("  in 1  " in line for line in lines), lines)
        self.lines_until(leader, re.compile("no such line"))
        self.assertEqual(process.wait(TIMEOUT_S), 0)

    def waits_for_signals(self, process):
        deadline = time.monotonic() + TIMEOUT_S
        usr1 = 1 << (signal.SIGUSR1 - 1)
        while time.monotonic() < deadline:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            blocked = re.search(r"^SigBlk:\s*([0-9a-f]+)", status, re.M)
            if int(blocked.group(1), 16) & usr1:
                return
            time.sleep(0.01)
        self.fail("it never blocked its signals")

    def test_term_stops_cleanly_with_0(self):
        process = self.start_endless()
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=TIMEOUT_S)[1]
        self.assertEqual(process.returncode, 0, text)
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["state"], "stopped")

    def start_reading(self):
        """A run that reads its configuration from a pipe: the process, and the pipe's open end."""
        os.mkfifo(self.folder / "w.yaml")
        process = subprocess.Popen([WEIR, "run", "nexmark", "-p", "events=gen:100000000000,seed=1", "-f", "w.yaml",
                                    "--name", self.name, "--report", "r.json"], cwd=self.folder, env=self.env,
                                   text=True, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process, open(self.folder / "w.yaml", "w", encoding="utf-8")  # waits for its reader

    def test_second_interrupt_ends_what_has_not_begun(self):
        process, pipe = self.start_reading()
        with pipe:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 130)

    def test_interrupt_before_the_job_stops_it_as_it_begins(self):
        process, pipe = self.start_reading()
        with pipe:
            process.send_signal(signal.SIGTERM)
            self.assertIn("not there yet", process.stderr.readline())
            pipe.write("version: 1\n")
        text = process.communicate(timeout=TIMEOUT_S)[1]
        self.assertEqual(process.returncode, 0, text)
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["state"], "stopped")

    def test_signal_of_the_watch_from_outside_does_not_end_the_watch(self):
        process = self.start_endless()
        process.send_signal(signal.SIGUSR2)
        process.send_signal(signal.SIGTERM)  # delivered behind it, also when both wait
        text = process.communicate(timeout=TIMEOUT_S)[1]
        self.assertEqual(process.returncode, 0, text)
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["state"], "stopped")

    def test_second_interrupt_cancels_with_0_or_130(self):
        process = self.start_endless()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
        # The drain may have been over before the second one came.
        self.assertIn(process.returncode, (0, 130))

    def test_threads_that_are_no_task_keep_to_the_housekeeping_cpus(self):
        cpu = str(min(os.sched_getaffinity(0)))
        process = self.start_endless("-p", "query=q5", "-p", "output=rows/", "--set", f"placement.housekeeping={cpu}",
                                     "--set", "checkpoints.dir=checkpoints", "--set", "checkpoints.interval=20ms")
        expected = {"weir", "weir-aside", "weir-log", "weir-storage"}
        kept, workers = {}, set()
        # A sink syncs its file by a worker of the kernel, which has the number of the core's thread in its name.
        while not (expected <= set(kept) and workers & set(kept)):
            self.assertIsNone(process.poll())
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    name = (task / "comm").read_text().strip()
                    status = (task / "status").read_text()
                    if name.startswith("weir-core"):
                        workers.add(f"iou-wrk-{task.name}")
                    else:
                        kept.setdefault(name, set()).add(re.search(r"Cpus_allowed_list:\s*(\S+)", status)[1])
        self.assertEqual(set().union(*kept.values()), {cpu}, kept)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)

    def test_job_for_which_no_core_is_left_shares_one_unless_strict(self):
        process = self.start_endless("--set", f"parallelism={len(os.sched_getaffinity(0))}")
        other = f"{self.name}-b"
        self.weir("run", "nexmark", "-p", "events=gen:1000,seed=1", "--name", other, "--report", "b.json")
        departures = json.loads((self.folder / "b.json").read_text())["departures"]
        self.assertTrue(any("every core is held" in d for d in departures), departures)
        text = self.weir("run", "nexmark", "--name", other, "--strict", code=71).stderr
        self.assertIn("every core is held by a running job", text)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)

    def test_second_job_of_a_name_is_refused(self):
        process = self.start_endless()
        text = self.weir("run", "nexmark", "--name", self.name, code=78).stderr
        self.assertIn(f"as process {process.pid}", text)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
