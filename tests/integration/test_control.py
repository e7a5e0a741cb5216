#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_control.py WEIR JOBS-DIR: a running job on its socket: status, stop, cancel; and run --supervise.

Noise is random; the seed is printed, and WEIR_TEST_SEED sets it.
"""
import csv
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
SEED = int(os.environ.get("WEIR_TEST_SEED", "4711"))
SLOW_CNT = 100
NOISE_CNT = 300
KILL_CNT = 3
STATUS = b'{"version":1,"verb":"status"}\n'
ENDLESS = {"events": "gen:100000000000,seed=1", "output": "discard"}
# Three lines, two windows of 10 s: the first ends with the third line, the second with the input.
LINES = "1000 a b\n2500 b c\n12000 d\n"
FIRST = [("0", "10000", "a", "1"), ("0", "10000", "b", "2"), ("0", "10000", "c", "1")]
LAST = [("10000", "20000", "d", "1")]
NEEDS_ROOT = "a process of another user can only be made by root"


def run_dir():
    """Where weir keeps the sockets of this user's jobs."""
    if os.geteuid() == 0:
        return pathlib.Path("/run/weir")
    xdg = os.environ.get("XDG_RUNTIME_DIR", "")
    return pathlib.Path(xdg) / "weir" if xdg.startswith("/") else pathlib.Path(f"/tmp/weir-{os.geteuid()}")


def ask(path, data, end=False):
    """What the endpoint answers to these bytes."""
    with socket.socket(socket.AF_UNIX) as asker:
        asker.settimeout(rig.TIMEOUT_S)
        asker.connect(str(path))
        try:
            asker.sendall(data)
            if end:
                asker.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it had all: the answer is there
        answer = b""
        try:
            while part := asker.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


class Running(rig.Rig):
    """Jobs that go on, and verbs that ask them."""

    def start(self, job, params=(), sets=(), flags=(), **kwargs):
        process = self.start_job(job, params, sets, flags, **kwargs)
        process.socket = run_dir() / f"{process.name}.sock"
        return process

    def weir(self, *args, code=0, **kwargs):
        kwargs.setdefault("env", self.env)
        result = subprocess.run([str(self.weir_path), *map(str, args)], cwd=self.folder, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=rig.TIMEOUT_S,
                                check=False, **kwargs)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        return result

    def running(self, process):
        return self.status_when(process, lambda s: s["state"] == "running")

    def end(self, process, code=0):
        """Waits for the end; what was written to stderr."""
        text = process.communicate(timeout=rig.TIMEOUT_S)[1].decode()
        self.assertEqual(process.returncode, code, text)
        return text

    def read_until(self, process, pattern):
        """The line of stderr that fits."""
        for line in process.stderr:
            if re.search(pattern, line.decode()):
                return line.decode()
        return self.fail(f"it ended without a line like {pattern}")

    def start_windows(self, *flags, **sets):
        """A word count over a pipe that stays open, its three lines read: the job and the open pipe."""
        pipe = self.folder / "pipe"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        process = self.start("wordcount", {"input": pipe, "output": "out.csv", "time": "field", "window": "10s"},
                             sets, ("--report", "r.json", *flags))
        feed = open(pipe, "w", encoding="utf-8")
        self.addCleanup(feed.close)
        feed.write(LINES)
        feed.flush()
        self.status_when(process, lambda s: s["records_in"] == 3 and s["watermark_ms"] == 12000)
        return process, feed

    def table(self):
        with open(self.folder / "out.csv", newline="", encoding="utf-8") as file:
            return sorted(tuple(row) for row in list(csv.reader(file))[1:])

    def report(self, name="r.json"):
        return json.loads((self.folder / name).read_text())


class Control(Running):
    # --- status ---

    def test_status_says_what_the_job_does(self):
        process, _ = self.start_windows()
        status = json.loads(self.weir("status", process.name, "--json").stdout)
        self.assertEqual((status["version"], status["job"], status["pid"]), (1, process.name, process.pid))
        self.assertEqual((status["state"], status["supervisor_pid"], status["restarts"]), ("running", None, 0))
        self.assertEqual((status["records_in"], status["records_out"]), (3, 3))
        self.assertEqual(status["watermark_ms"], 12000)
        self.assertIsNone(status["restored_checkpoint"])
        self.assertIsNone(status["checkpoints"])
        self.assertGreater(status["uptime_s"], 0)
        self.assertNotIn("ok", status)
        vertices = {v["name"]: v for v in status["vertices"]}
        self.assertIsNone(status["vertices"][0]["watermark_ms"])
        self.assertEqual(sorted(n for s in status["stages"] for n in s["operators"]), sorted(vertices))
        self.assertEqual({s["state"] for s in status["stages"]}, {"running"})
        self.assertEqual({s["cpu"] for s in status["stages"]}, {c["cpu"] for c in status["cores"]})
        text = self.weir("status", process.name).stdout
        self.assertIn(f"job {process.name}, process {process.pid}: running for ", text)
        self.assertIn("records: 3 in, 3 out, 0 late, 0 malformed", text)
        for name in vertices:
            self.assertRegex(text, rf"(?m)^{re.escape(name)} +\d+")
        self.assertNotIn("supervised", text)
        self.weir("cancel", process.name)
        self.end(process, 1)

    def test_keys_of_a_status_are_documented(self):
        process, _ = self.start_windows()

        def leaves(value, path=""):
            if isinstance(value, dict):
                return {k for n, v in value.items() for k in leaves(v, f"{path}.{n}" if path else n)}
            if isinstance(value, list) and any(isinstance(v, dict) for v in value):
                return {k for v in value for k in leaves(v, path + "[]")}
            return {path}

        found = leaves(json.loads(self.weir("status", process.name, "--json").stdout))
        text = (rig.ROOT / "docs/control.md").read_text()
        documented = set(re.findall(r"^\| `([^`]+)` \|", text, re.M))
        of_checkpoints = {k for k in documented if k.startswith("checkpoints.")}  # test_checkpoint_run.py
        of_moves = {"vertices[].key_groups"}  # test_move.py
        self.assertEqual(found, documented - of_checkpoints - of_moves)
        self.weir("cancel", process.name)
        self.end(process, 1)

    def test_status_under_the_seeded_poller(self):
        process = self.start("nexmark", ENDLESS, {"poller": "seed:3"})
        status = self.status_when(process, lambda s: s["records_in"] > 0)  # it never waits for anything
        self.assertEqual((status["state"], status["cores"]), ("running", []))
        self.weir("stop", process.name)
        self.end(process)

    # --- stop, drain, cancel ---

    def test_stop_fires_no_window_early_and_drain_fires_all(self):
        for poller in ("threads", "seed:5"):
            for flags, state, rows in (((), "stopped", FIRST), (("--drain",), "drained", FIRST + LAST)):
                with self.subTest(poller=poller, flags=flags):
                    process, _ = self.start_windows(poller=poller)
                    text = self.weir("stop", process.name, "--wait", *flags).stdout
                    self.assertIn("no savepoint is taken", text)
                    self.assertEqual("--restore=latest" in text, not flags)
                    self.assertIn(f"`weir stop{' --drain' if flags else ''}` of process", self.end(process))
                    self.assertEqual(self.table(), rows)
                    self.assertEqual(self.report()["state"], state)

    def test_wait_returns_when_the_name_is_free(self):
        process, _ = self.start_windows()
        self.weir("stop", process.name, "--wait")
        self.assertFalse(process.socket.exists())
        self.weir("status", process.name, code=69)
        self.assertEqual(process.wait(rig.TIMEOUT_S), 0)

    def test_cancel_publishes_nothing_and_ends_in_1(self):
        process, _ = self.start_windows()
        answer = json.loads(self.weir("cancel", process.name, "--json", "--wait").stdout)
        self.assertEqual(answer, {"version": 1, "job": process.name, "pid": process.pid, "state": "canceling"})
        self.assertIn("WEIR-1602", self.end(process, 1))
        self.assertFalse((self.folder / "out.csv").exists())
        self.assertEqual(self.report()["state"], "canceled")

    def start_stuck(self, *flags):
        """A job whose table goes into a pipe that nobody reads: it is asked to stop and cannot end."""
        process = self.start("nexmark", {"query": "q0", "events": "gen:1000000,seed=1", "output": "-"}, (),
                             ("--report", "r.json", *flags), stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        seen = []

        def stands(status):
            seen.append((status["records_in"], status["records_out"]))
            return status["records_in"] > 0 and len(seen) > 20 and len(set(seen[-20:])) == 1

        self.status_when(process, stands)
        return process

    def test_a_job_ends_in_one_way(self):
        process = self.start_stuck()
        self.weir("stop", process.name)
        self.assertEqual(self.status_when(process, lambda s: True)["state"], "stopping")
        self.weir("stop", process.name)  # is no second one
        refusal = self.weir("stop", process.name, "--drain", code=1).stderr
        self.assertIn("WEIR-1803", refusal)
        self.assertIn("its sources have ended", refusal)
        process.send_signal(signal.SIGTERM)  # the first signal asks what was asked already
        self.assertEqual(self.status_when(process, lambda s: True)["state"], "stopping")
        self.end(process)
        self.assertEqual(self.report()["state"], "stopped")

    def test_stop_does_not_follow_drain_and_nothing_follows_cancel(self):
        process = self.start_stuck()
        answer = json.loads(self.weir("stop", process.name, "--drain", "--json").stdout)
        self.assertEqual((answer["state"], answer["savepoint"]), ("draining", None))
        self.assertIn("drains already", self.weir("stop", process.name, code=1).stderr)
        self.assertEqual(json.loads(self.weir("cancel", process.name, "--json").stdout)["state"], "canceling")
        for _ in range(2):  # it may have ended by now
            result = subprocess.run([str(self.weir_path), "stop", process.name], env=self.env, text=True,
                                    capture_output=True, timeout=rig.TIMEOUT_S, check=False)
            self.assertIn(result.returncode, (1, 69), result.stderr)
        self.end(process, 1)

    # --- which job ---

    def test_unknown_job_is_refused_with_those_there_are(self):
        process = self.start("nexmark", ENDLESS)
        self.running(process)
        for verb in ("status", "stop", "cancel"):
            text = self.weir(verb, f"{process.name}x", code=69).stderr
            self.assertIn("WEIR-1801", text)
            self.assertIn(f"did you mean {process.name}?", text)
        self.assertIn("nobody listens at", self.weir("status", "/no/such.sock", code=69).stderr)
        self.assertIn(process.name, self.weir("status", "zzzzzzzzzzzzzzzzzzzzzzz", code=69).stderr)
        self.weir("status", code=2)
        self.weir("stop", process.name, "--drian", code=2)
        self.weir("stop", process.name)
        self.end(process)

    def test_each_of_two_jobs_answers_for_itself(self):
        one = self.start("nexmark", ENDLESS, {"poller": "seed:1"})
        two = self.start("nexmark", ENDLESS, {"poller": "seed:2"})
        self.assertEqual([self.running(p)["pid"] for p in (one, two)], [one.pid, two.pid])
        self.weir("stop", one.name, "--wait")
        self.end(one)
        self.assertEqual(self.running(two)["pid"], two.pid)
        self.weir("stop", two.name)
        self.end(two)

    def test_socket_of_a_killed_job_is_replaced_and_that_of_a_running_one_is_not(self):
        process = self.start("nexmark", ENDLESS)
        self.running(process)
        process.kill()
        process.wait()
        self.assertTrue(process.socket.exists())
        self.assertIn("WEIR-1801", self.weir("status", process.name, code=69).stderr)
        again = subprocess.Popen(process.args, cwd=self.folder, env=self.env, stderr=subprocess.PIPE)
        self.addCleanup(again.stderr.close)
        self.addCleanup(again.kill)
        again.name = process.name
        self.assertEqual(self.running(again)["pid"], again.pid)
        self.assertIn(f"as process {again.pid}", self.weir("run", "nexmark", "--name", again.name, code=78).stderr)
        self.assertEqual(self.running(again)["pid"], again.pid)
        self.weir("stop", again.name)
        self.end(again)

    def test_job_that_is_stopped_by_a_signal_is_silent(self):
        process = self.start("nexmark", ENDLESS)
        self.running(process)
        rig.freeze(process)
        text = self.weir("status", process.name, code=69).stderr
        self.assertIn("WEIR-1802", text)
        self.assertIn(f"process {process.pid}, has not answered", text)
        process.send_signal(signal.SIGCONT)
        self.weir("stop", process.name)
        self.end(process)

    # --- who may ask ---

    def test_socket_is_for_its_user_alone(self):
        process = self.start("nexmark", ENDLESS)
        self.running(process)
        self.assertEqual(stat.S_IMODE(process.socket.stat().st_mode), 0o600)
        self.weir("stop", process.name)
        self.end(process)

    def portable_weir(self):
        """The program where every user may run it."""
        self.folder.chmod(0o755)
        libs = subprocess.run(["ldd", self.weir_path], check=True, capture_output=True, text=True).stdout
        for path in (self.weir_path, re.search(r"=> (\S+/libweir\.so\.\d+)", libs).group(1)):
            shutil.copy(path, self.folder)
        return self.folder / "weir", dict(self.env, LD_LIBRARY_PATH=str(self.folder))

    @unittest.skipIf(os.geteuid() != 0, NEEDS_ROOT)
    def test_another_user_is_refused_by_the_mode_and_by_the_job(self):
        weir, env = self.portable_weir()
        process = self.start("nexmark", ENDLESS)
        self.running(process)

        def ask_as_nobody(verb):
            return subprocess.run([weir, verb, process.socket], env=env, text=True, capture_output=True,
                                  user=rig.NOBODY, group=rig.NOBODY, extra_groups=[], check=False,
                                  timeout=rig.TIMEOUT_S)

        for mode, words in ((0o600, "Permission denied"), (0o666, "the job belongs to another user")):
            process.socket.chmod(mode)
            for verb in ("status", "stop", "cancel"):
                result = ask_as_nobody(verb)
                self.assertEqual(result.returncode, 77, result.stderr)
                self.assertIn(words, result.stderr)
        self.running(process)
        self.weir("stop", process.name)
        self.end(process)

    @unittest.skipIf(os.geteuid() != 0, NEEDS_ROOT)
    def test_a_plain_users_job_answers_that_user_and_root(self):
        weir, env = self.portable_weir()
        own = self.folder / "own"
        own.mkdir(0o700)
        os.chown(own, rig.NOBODY, rig.NOBODY)
        os.chown(self.folder, rig.NOBODY, rig.NOBODY)
        env["XDG_RUNTIME_DIR"] = str(own)
        plain = {"user": rig.NOBODY, "group": rig.NOBODY, "extra_groups": [], "env": env, "cwd": self.folder}
        shutil.copy(JOBS.parents[1] / "apps/nexmark/nexmark.so", self.folder)
        params = [p for n, v in ENDLESS.items() for p in ("-p", f"{n}={v}")]
        process = subprocess.Popen([weir, "run", "./nexmark.so", "--name", "mine", "--set", "poller=seed:1", *params],
                                   stderr=subprocess.PIPE, **plain)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        process.name = str(own / "weir/mine.sock")  # root's way to it
        self.assertEqual(self.running(process)["job"], "mine")
        line = [weir, "stop", "mine", "--wait"]
        result = subprocess.run(line, text=True, capture_output=True, timeout=rig.TIMEOUT_S, check=False, **plain)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.end(process)

    @unittest.skipIf(os.geteuid() != 0, NEEDS_ROOT)
    def test_a_socket_that_somebody_else_has_put_there_is_not_believed(self):
        weir, env = self.portable_weir()
        trap = self.folder / "trap.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(trap))
            os.chmod(trap, 0o666)
            os.setegid(rig.NOBODY - 1)
            os.seteuid(rig.NOBODY - 1)  # who listens is who called listen()
            listener.listen()
            os.seteuid(0)
            os.setegid(0)
            result = subprocess.run([weir, "stop", trap], env=env, text=True, capture_output=True, user=rig.NOBODY,
                                    group=rig.NOBODY, extra_groups=[], check=False, timeout=rig.TIMEOUT_S)
        self.assertEqual(result.returncode, 77, result.stderr)
        self.assertIn(f"belongs to user {rig.NOBODY - 1}", result.stderr)

    # --- what is no good request ---

    def test_bad_requests_are_refused_and_change_nothing(self):
        process, _ = self.start_windows()
        for request, code, words in (
                (b"status\n", 1101, "not JSON"),
                (b"[]\n", 1101, "a version and a verb"),
                (b'{"verb":"stop"}\n', 1101, "a version and a verb"),
                (b'{"version":"1","verb":"stop"}\n', 1101, "a version and a verb"),
                (b'{"version":2,"verb":"stop"}\n', 1803, "version 2 was asked, the job speaks version 1"),
                (b'{"version":1}\n', 1101, "there is no verb"),
                (b'{"version":1,"verb":"halt"}\n', 1101, "there is no verb halt"),
                (b'{"version":1,"verb":7}\n', 1101, "there is no verb"),
                (b'{"version":1,"verb":"cancel","drain":true}\n', 1101, "takes no option drain"),
                (b'{"version":1,"verb":"stop","savepoint":"here"}\n', 1101, "savepoint is an absolute path"),
                (b'{"version":1,"verb":"stop","savepoint":"/tmp"}\n', 1803, "takes no checkpoints"),
                (b'{"version":1,"verb":"stop","drain":1}\n', 1101, "drain is true or false"),
                (b'{"version":1,"verb":"stop","verb":"cancel"}\n', 1101, "not JSON"),
                (b'{"version":1,"verb":"stop"}{}\n', 1101, "not JSON"),
                (STATUS + STATUS, 1101, "one request"),
                (b" " * 5000 + STATUS, 1101, "longer than 4096 bytes"),
                (b"[" * 4000 + b"\n", 1101, "not JSON"),
                (b"\xff\xfe\x00\n", 1101, "not JSON"),
                (b"\n", 1101, "not JSON")):
            with self.subTest(request=request[:40]):
                answer = json.loads(ask(process.socket, request))
                self.assertEqual((answer["version"], answer["ok"], answer["code"]), (1, False, code))
                self.assertIn(words, answer["error"])
        self.assertEqual(self.running(process)["records_in"], 3)
        self.weir("stop", process.name, "--drain")
        self.end(process)
        self.assertEqual(self.table(), FIRST + LAST)

    def test_noise_on_the_socket_hurts_nobody(self):
        print(f"seed {SEED} (WEIR_TEST_SEED)")
        rng = random.Random(SEED)
        process, feed = self.start_windows()
        for _ in range(NOISE_CNT):
            noise = bytearray(rng.randbytes(rng.randint(0, 9000)) if rng.random() < 0.5 else STATUS)
            for _ in range(rng.randint(1, 3) if noise else 0):
                noise[rng.randrange(len(noise))] = rng.randrange(256)
            answer = ask(process.socket, noise, end=True)
            if answer:
                self.assertIn(json.loads(answer)["ok"], (False, True))
        feed.write("13000 e\n")
        feed.flush()
        self.status_when(process, lambda s: s["records_in"] == 4)
        self.weir("stop", process.name, "--drain")
        self.end(process)
        self.assertEqual(self.table(), FIRST + LAST + [("10000", "20000", "e", "1")])

    def test_slow_clients_hold_up_neither_the_job_nor_others(self):
        process, feed = self.start_windows()
        slow = []
        for i in range(SLOW_CNT):
            slow.append(socket.socket(socket.AF_UNIX))
            self.addCleanup(slow[-1].close)
            slow[-1].connect(str(process.socket))
            slow[-1].send(STATUS[:i % len(STATUS)])
        feed.write("13000 e\n")
        feed.flush()
        self.status_when(process, lambda s: s["records_in"] == 4)
        # Those that were not sent away by later ones are let go when the job's patience is over.
        for asker in slow:
            asker.settimeout(rig.TIMEOUT_S)
            try:
                self.assertEqual(asker.recv(1), b"")
            except ConnectionResetError:
                pass  # it had said something that nobody has read
        self.weir("stop", process.name, "--drain", "--wait")
        self.end(process)
        self.assertEqual(self.table(), FIRST + LAST + [("10000", "20000", "e", "1")])


class Supervise(Running):
    def start_supervised(self, job="nexmark", params=None, flags=(), strategy=None, **sets):
        """sets: keys of the strategy, without one of exponential-delay."""
        section = (strategy or "exponential-delay").replace("-", "_")
        sets = {f"restart.{section}.{name}": value for name, value in sets.items()}
        if strategy:
            sets["restart.strategy"] = strategy
        params = ENDLESS if params is None else params
        return self.start(job, params, {"poller": "seed:1", **sets}, ("--supervise", *flags))

    def engine(self, process, restart_cnt=0):
        """The process number of the engine after so many restarts."""
        status = self.status_when(process, lambda s: s["restarts"] == restart_cnt and s["state"] == "running")
        self.assertEqual(status["supervisor_pid"], process.pid)
        self.assertNotEqual(status["pid"], process.pid)
        return status["pid"]

    def test_killed_engine_comes_again_as_often_as_the_strategy_allows(self):
        process = self.start_supervised(strategy="fixed-delay", attempts=KILL_CNT, delay="0ms")
        for i in range(KILL_CNT + 1):
            pid = self.engine(process, i)
            if i == 1:
                self.assertIn(f"supervised by process {process.pid}, 1 restarts so far",
                              self.weir("status", process.name).stdout)
            os.kill(pid, signal.SIGKILL)
        text = self.end(process, 128 + signal.SIGKILL)
        for i in range(KILL_CNT):
            line = rf"process \d+, was killed by signal 9 \(Killed\); restarting in 0\.000 s \(restart {i + 1}\)"
            self.assertEqual(len(re.findall(line, text)), 1, text)
        self.assertEqual(len(re.findall(rf"not restarted: it was started again {KILL_CNT} times", text)), 1, text)

    def test_strategy_none_and_no_end(self):
        process = self.start_supervised(strategy="none")
        os.kill(self.engine(process), signal.SIGALRM)  # none that a sanitizer takes for itself
        self.assertIn("not restarted: restart.strategy is none", self.end(process, 128 + signal.SIGALRM))
        process = self.start_supervised(strategy="fixed-delay", attempts="unlimited", delay="0ms")
        os.kill(self.engine(process), signal.SIGKILL)
        os.kill(self.engine(process, 1), signal.SIGKILL)
        self.engine(process, 2)
        process.terminate()
        self.assertIn("(restart 2)", self.end(process))

    def start_faulty(self, **sets):
        return self.start_supervised(JOBS / "faulty.so", {"fault": "process"}, **sets)

    def test_failed_job_comes_again_and_the_last_exit_code_stays(self):
        text = self.end(self.start_faulty(strategy="fixed-delay", attempts=2, delay="1ms"), 1)
        self.assertEqual(text.count("told to fail in process"), 3, text)
        self.assertEqual(text.count("ended with exit code 1; restarting in 0.001 s"), 2, text)
        self.assertEqual(text.count("ended with exit code 1; not restarted"), 1, text)

    def test_failure_rate_gives_up_over_its_rate(self):
        text = self.end(self.start_faulty(strategy="failure-rate", failures=2, interval="1h", delay="2ms"), 1)
        self.assertEqual(re.findall(r"restarting in (\S+) s \((restart \d+)\)", text),
                         [("0.002", "restart 1"), ("0.002", "restart 2")], text)
        self.assertRegex(text, r"not restarted: 3 failures in \d+ ms, and restart\.failure_rate\.failures is 2\n")

    def test_exponential_delay_restarts_after_longer_and_longer(self):
        text = self.end(self.start_faulty(strategy="exponential-delay", initial="2ms", max="5ms", multiplier=2,
                                          jitter=0, attempts=4), 1)
        self.assertEqual(re.findall(r"restarting in (\S+) s", text), ["0.002", "0.004", "0.005", "0.005"], text)
        self.assertIn("not restarted: it was started again 4 times, as often as restart.exponential_delay.attempts",
                      text)

    def test_auto_is_exponential_delay(self):
        process = self.start_supervised(initial="3ms", jitter=0)
        os.kill(self.engine(process), signal.SIGKILL)
        self.assertIn("restarting in 0.003 s (restart 1)", self.read_until(process, "supervise:"))
        self.engine(process, 1)
        process.terminate()
        self.end(process)

    def test_first_delay_beyond_the_longest_is_refused(self):
        text = self.end(self.start_supervised(initial="2m"), 78)
        self.assertIn("restart.exponential_delay.initial is 2m (--set), more than", text)
        self.assertNotIn("supervise:", text)

    def test_error_that_would_come_again_is_the_end(self):
        text = self.end(self.start_supervised(params={"query": "no"}), 78)
        self.assertIn("ended with exit code 78; not restarted: a restart cannot mend it", text)
        text = self.end(self.start_supervised(params={**ENDLESS, "events": "no.jsonl"}), 66)
        self.assertNotIn("restarting", text)
        text = self.end(self.start_supervised(attempts="-1"), 78)  # the supervisor's own
        self.assertNotIn("the engine of", text)

    def test_finished_stopped_and_canceled_jobs_do_not_come_again(self):
        text = self.end(self.start_supervised(params={"events": "gen:1000,seed=1"}))
        self.assertIn("finished", text)
        self.assertNotIn("supervise:", text)
        for verb, code in (("stop", 0), ("cancel", 1)):
            process = self.start_supervised()
            self.engine(process)
            self.weir(verb, process.name, "--wait")
            self.assertNotIn("supervise:", self.end(process, code))

    def test_standard_input_and_output_are_the_supervisors(self):
        line = self.command("wordcount", {"input": "-", "output": "-"}, {"poller": "seed:1"}, ("--supervise",))
        result = subprocess.run(line, cwd=self.folder, env=self.env, input=b"a b a\n", capture_output=True,
                                timeout=rig.TIMEOUT_S, check=True)
        self.assertEqual(sorted(result.stdout.split()), [b"a,2", b"b,1", b"word,count"])

    def test_signals_go_on_to_the_engine(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start_supervised(flags=("--report", "r.json"))
            self.engine(process)
            process.send_signal(signal.SIGUSR1)
            self.read_until(process, r"^events\S* +running +busy ")
            process.send_signal(number)
            self.end(process)
            self.assertEqual(self.report()["state"], "stopped")

    def test_signal_to_the_whole_group_is_one_signal(self):
        # Its table goes into a pipe that nobody reads: it stops, but cannot end until somebody does.
        process = self.start("nexmark", {"query": "q0", "events": "gen:1000000,seed=1", "output": "-"},
                             {"poller": "threads"}, ("--supervise", "--report", "r.json"), stdout=subprocess.PIPE,
                             start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.engine(process)
        os.killpg(process.pid, signal.SIGTERM)
        self.read_until(process, "weir: stopping")
        self.signals_taken(process.pid)
        process.send_signal(signal.SIGUSR1)  # goes on behind the other
        self.read_until(process, r"^events")
        self.assertEqual(self.status_when(process, lambda s: True)["state"], "stopping")
        self.end(process)
        self.assertEqual(self.report()["state"], "stopped")

    def test_second_signal_to_the_supervisor_cancels(self):
        process = self.start("nexmark", {"query": "q0", "events": "gen:1000000,seed=1", "output": "-"}, (),
                             ("--supervise",), stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.engine(process)
        process.send_signal(signal.SIGTERM)
        self.read_until(process, "weir: stopping")
        process.send_signal(signal.SIGTERM)
        self.read_until(process, "weir: canceling")
        text = process.communicate(timeout=rig.TIMEOUT_S)[1].decode()
        self.assertIn(process.returncode, (0, 130), text)  # it may have ended before it saw it

    def signals_taken(self, pid):
        """Waits until no signal is pending there."""
        deadline = time.monotonic() + rig.TIMEOUT_S
        while time.monotonic() < deadline:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            if not any(int(bits, 16) for bits in re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", text, re.M)):
                return
        self.fail("the signal stays pending")

    def test_signal_between_two_engines_ends_the_supervisor(self):
        process = self.start_supervised(strategy="fixed-delay", delay="1h")
        os.kill(self.engine(process), signal.SIGKILL)
        self.read_until(process, r"restarting in 3600\.000 s")
        process.terminate()
        self.end(process, 128 + signal.SIGKILL)

    def test_killed_supervisor_leaves_no_orphan(self):
        process = self.start_supervised()
        engine = os.pidfd_open(self.engine(process))
        self.addCleanup(os.close, engine)
        process.kill()
        ready = select.poll()
        ready.register(engine, select.POLLIN)
        self.assertTrue(ready.poll(rig.TIMEOUT_S * 1000), "the engine goes on")


if __name__ == "__main__":
    rig.main(2)
