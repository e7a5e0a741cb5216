#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_inside.py WEIR JOBS-DIR: looking into a running job: its metrics, top, tap, and the page that USR1 prints."""
import json
import os
import pathlib
import re
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
ENDLESS = {"query": "q5", "events": "gen:100000000000,seed=1", "output": "discard"}
# SEMANTICS B-110 to B-116: what there is of them, named again from there.
NAMES = """
task numRecordsIn_total numRecordsOut_total numRecordsInPerSecond numRecordsOutPerSecond numBytesInLocal_total
    numBytesOut_total numBuffersOut_total numBuffersInLocal_total busyTimeMsPerSecond idleTimeMsPerSecond
    backPressuredTimeMsPerSecond softBackPressuredTimeMsPerSecond hardBackPressuredTimeMsPerSecond isBackPressured
    maxSoftBackPressuredTimeMs maxHardBackPressuredTimeMs initializationTime mailboxLatencyMs
    mailboxMailsPerSecond mailboxQueueSize currentInputWatermark currentOutputWatermark inputQueueLength
    outputQueueLength inputQueueSize outputQueueSize inPoolUsage outPoolUsage debloatedBufferSize estimatedTimeToConsumeBuffersMs
    checkpointAlignmentTime checkpointStartDelayNanos
operator numRecordsIn_total numRecordsOut_total numLateRecordsDropped_total numFiredTimers_total
    watermarkAlignmentDrift currentInputWatermark currentOutputWatermark
job lastCheckpointDuration lastCheckpointSize lastCheckpointFullSize lastCheckpointCompletedTimestamp
    lastCheckpointRestoreTimestamp lastCompletedCheckpointId numberOfInProgressCheckpoints
    numberOfCompletedCheckpoints_total numberOfFailedCheckpoints_total totalNumberOfCheckpoints_total runningState
    initializingState numRestarts_total uptime deployingTimeTotal initializingTimeTotal
    TotalMemorySegments AvailableMemorySegments UsedMemorySegments
core busyTimeMsPerSecond stolenTimeMsPerSecond
"""
SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.e+-]+)$')
TOP_HEAD = (r"^job {name}, process \d+: running for [\d.]+ s, 0 restarts\n"
            r"records: \d+ in, \d+ out, .*/s, event time lies [\d.]+ s back\n"
            r"checkpoints: \d under way, \d+ complete, 0 failed; last: \d+ in [\d.]+ ms, ")
PAGE_CNT = 4  # of which one is not written while a task publishes
PARTS = ("busy", "backPressured", "idle", "snapshot")


def tasks_of(samples):
    """Task -> metric -> value."""
    tasks = {}
    for (name, labels), v in samples.items():
        if name.startswith("weir_task_"):
            tasks.setdefault(dict(labels)["task_name"], {})[name[len("weir_task_"):]] = v
    return tasks


def agrees(task):
    """Whether gauges of a task that tell of the same moment do; a task may publish while a page is written."""
    return (task["inputQueueLength"] <= task["inputQueueCapacity"]
            and abs(task["inPoolUsage"] * task["inputQueueCapacity"] - task["inputQueueLength"]) < 0.001
            and all(task[f"{end}QueueLength"] > 0 or task[f"{end}QueueSize"] == 0 for end in ("input", "output"))
            and (task["isBackPressured"] == 0 or task["maxSoftBackPressuredTimeMs"] > 0))


def expected_names():
    prefix = None
    for word in NAMES.split():
        if word in ("task", "operator", "job", "core"):
            prefix = word
        else:
            yield f"weir_{prefix}_{word}"


def read_page(text):
    """The samples of an OpenMetrics page: (name, labels) -> value. Strict in what it takes."""
    assert text.endswith("# EOF\n"), text[-100:]
    samples = {}
    seen = set()
    family = kind = None
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in seen and kind in ("counter", "gauge"), line
            seen.add(family)
        elif line.startswith("# HELP "):
            assert line.split(" ")[2] == family, line
        else:
            match = SAMPLE.match(line)
            assert match, line
            assert match[1] == family + ("_total" if kind == "counter" else ""), line
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            key = (match[1], tuple(sorted(labels.items())))
            assert key not in samples, line
            samples[key] = float(match[3])
    return samples


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def http(address, request, timeout=rig.TIMEOUT_S):
    """Head and body of the answer to these bytes."""
    kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(kind) as asker:
        asker.settimeout(timeout)
        asker.connect(address)
        asker.sendall(request)
        answer = b""
        while part := asker.recv(65536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


def get(path="/metrics", accept="", method="GET"):
    more = f"Accept: {accept}\r\n" if accept else ""
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\n{more}Connection: close\r\n\r\n".encode()


def run_dir():
    if os.geteuid() == 0:
        return pathlib.Path("/run/weir")
    xdg = os.environ.get("XDG_RUNTIME_DIR", "")
    return pathlib.Path(xdg) / "weir" if xdg.startswith("/") else pathlib.Path(f"/tmp/weir-{os.geteuid()}")


class Inside(rig.Rig):
    def weir(self, *args, code=0):
        result = subprocess.run([str(self.weir_path), *map(str, args)], cwd=self.folder, text=True, env=self.env,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=rig.TIMEOUT_S, check=False)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        return result

    def start(self, params=(), **sets):
        return self.start_job("nexmark", dict(ENDLESS, **dict(params)), sets)

    def sampled(self, process):
        """A status behind the first sample of rates, of each core, and the first checkpoint where there are any. A core
        that gets no time on a loaded host, or opens tasks for long, has nothing to show while others have."""
        return self.status_when(process, lambda s: s["rate_per_s"] > 0
                                and all(sum(core["now"].values()) > 0 for core in s["cores"])
                                and (s["checkpoints"] is None or s["checkpoints"]["last"]))

    def end(self, process):
        self.weir("cancel", process.name, "--wait")
        process.wait(timeout=rig.TIMEOUT_S)

    # --- metrics ---

    def test_B110_B116_pages(self):
        port = free_port()
        process = self.start(**{"checkpoints.dir": self.folder / "c", "checkpoints.interval": "300ms",
                                "parallelism": 2, "metrics.port": port, "metrics.latency_interval": "5ms"})
        status = self.sampled(process)
        self.has_every_name_and_adds_up(process, status)
        self.markers_come_to_the_sink(process)
        self.promtool_finds_nothing_but_flinks_case(port)
        self.every_metric_of_the_dashboard_is_there(process)
        path = run_dir() / f"{process.name}.metrics"
        self.the_socket_is_the_users(process, path)
        self.end(process)
        self.assertFalse(path.exists())

    def page_behind_a_checkpoint(self, process):
        """The status knows it at once, a page from its next sample on."""
        deadline = time.monotonic() + rig.TIMEOUT_S
        completed = 0
        while completed == 0 and time.monotonic() < deadline:
            samples = read_page(self.weir("metrics", process.name).stdout)
            completed = sum(v for (name, _), v in samples.items() if name == "weir_job_numberOfCompletedCheckpoints_total")
        return samples

    def has_every_name_and_adds_up(self, process, status):
        samples = self.page_behind_a_checkpoint(process)
        names = {name for name, _ in samples}
        self.assertEqual(set(expected_names()) - names, set())
        self.assertTrue(all(dict(labels)["job_name"] == process.name for _, labels in samples))
        tasks = {dict(labels)["task_name"] for name, labels in samples if name == "weir_task_isBackPressured"}
        self.assertEqual(tasks, {stage["name"] for stage in status["stages"]})
        value = {name: v for (name, labels), v in samples.items() if len(labels) == 1}
        self.assertGreater(value["weir_job_numberOfCompletedCheckpoints_total"], 0)
        self.assertEqual(value["weir_job_totalNumberOfCheckpoints_total"],
                         value["weir_job_numberOfCompletedCheckpoints_total"]
                         + value["weir_job_numberOfFailedCheckpoints_total"]
                         + value["weir_job_numberOfInProgressCheckpoints"])
        self.assertEqual([value[f"weir_job_{s}State"] for s in ("initializing", "running", "ending")], [0, 1, 0])
        self.assertGreater(value["weir_job_deployingTimeTotal"], 0)
        self.assertGreater(value["weir_job_initializingTimeTotal"], 0)
        self.assertGreater(value["weir_job_UsedMemorySegments"], 0)
        self.assertEqual(value["weir_job_TotalMemorySegments"],
                         value["weir_job_UsedMemorySegments"] + value["weir_job_AvailableMemorySegments"])
        for _ in range(PAGE_CNT):
            of_task = tasks_of(samples)
            if all(map(agrees, of_task.values())):
                break
            samples = read_page(self.weir("metrics", process.name).stdout)
        for task, v in of_task.items():
            self.assertTrue(agrees(v), (task, v))
            # 0: others had its core in all of that time.
            self.assertIn(round(sum(v[f"{p}TimeMsPerSecond"] for p in PARTS), 6), (0, 1000), task)
            self.assertEqual(v["debloatedBufferSize"] > 0, v["outputQueueCapacity"] > 0, task)
            self.assertEqual(v["softBackPressuredTimeMsPerSecond"], v["backPressuredTimeMsPerSecond"])
            self.assertEqual(v["maxHardBackPressuredTimeMs"], 0)
            self.assertGreater(v["initializationTime"], 0, task)
            self.assertGreater(v["mailboxLatencyMs"], 0, task)
        # What a task takes in by its gate is what others have sent, or is on its way.
        sent = sum(v["numRecordsOut_total"] for v in of_task.values())
        taken = sum(v["numRecordsIn_total"] for v in of_task.values() if v["inputQueueCapacity"] > 0)
        self.assertGreater(taken, 0)
        self.assertLess(abs(sent - taken) / max(sent, taken), 0.5)
        again = read_page(self.weir("metrics", process.name).stdout)
        for key, v in samples.items():
            if key[0].endswith("_total"):
                self.assertGreaterEqual(again[key], v, key)

    def markers_come_to_the_sink(self, process):
        """Some time; and their longest time is not above the sum of all."""
        deadline = time.monotonic() + rig.TIMEOUT_S
        markers = []
        while sum(markers) == 0 and time.monotonic() < deadline:
            samples = read_page(self.weir("metrics", process.name).stdout)
            sinks = [labels for name, labels in samples
                     if name == "weir_operator_latencyMarkers_total" and dict(labels)["operator_name"] == "out"]
            markers, sums, longest = ([samples[f"weir_operator_{name}", labels] for labels in sinks] for name in
                                      ("latencyMarkers_total", "latencyNanosSum_total", "latencyNanosMax"))
        self.assertGreater(sum(markers), 0)
        for count, total, most in zip(markers, sums, longest):
            self.assertLessEqual(total, count * most)
            self.assertLessEqual(most, total)

    def promtool_finds_nothing_but_flinks_case(self, port):
        head, page = http(("127.0.0.1", port), get())
        self.assertIn("Content-Type: text/plain; version=0.0.4", head)
        found = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True,
                               timeout=rig.TIMEOUT_S, check=False)
        complaints = [line for line in (found.stdout + found.stderr).splitlines()
                      if not line.endswith("should be written in 'snake_case' not 'camelCase'")]
        self.assertEqual(complaints, [])
        self.assertIn(found.returncode, (0, 3), found.stderr)  # 3: it has said something
        broken = subprocess.run(["promtool", "check", "metrics"], input=page + "x{\n", text=True,
                                capture_output=True, timeout=rig.TIMEOUT_S, check=False)
        self.assertEqual(broken.returncode, 1)

    def every_metric_of_the_dashboard_is_there(self, process):
        dashboard = json.loads((rig.ROOT / "apps/weir/grafana.json").read_text())
        exprs = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
        exprs += [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
        wanted = {name for expr in exprs for name in re.findall(r"weir_\w+", expr)}
        self.assertGreater(len(wanted), 20)
        samples = read_page(self.weir("metrics", process.name).stdout)
        self.assertEqual(wanted - {name for name, _ in samples}, set())
        known = {label for _, labels in samples for label, _ in labels}
        used = {label for expr in exprs for label in re.findall(r"(\w+)=~", expr)}
        used |= {l for p in dashboard["panels"] for t in p["targets"]
                 for l in re.findall(r"\{\{(\w+)\}\}", t["legendFormat"])}
        self.assertEqual(used - known, set())

    def the_socket_is_the_users(self, process, path):
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        head, page = http(str(path), get(accept="application/openmetrics-text; version=1.0.0"))
        self.assertIn("Content-Type: application/openmetrics-text; version=1.0.0", head)
        self.assertEqual({name for name, _ in read_page(page)},
                         {name for name, _ in read_page(self.weir("metrics", process.name).stdout)})
        self.assertIn("404", http(str(path), get("/"))[0].splitlines()[0])
        self.assertIn("405", http(str(path), get(method="DELETE"))[0].splitlines()[0])
        head, body = http(str(path), get(method="HEAD"))
        self.assertIn("200", head.splitlines()[0])
        self.assertEqual(body, "")
        try:
            self.assertRegex(http(str(path), b"x" * 40000 + b"\r\n\r\n")[0], r"\A(HTTP/1\.1 4(?s:.*))?\Z")
        except ConnectionError:
            pass
        self.assertIn("200", http(str(path), get())[0].splitlines()[0])

    def test_idle_connections_keep_nobody_out_for_long(self):
        process = self.start()
        self.sampled(process)
        path = str(run_dir() / f"{process.name}.metrics")
        idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for one in idle:
            self.addCleanup(one.close)
            one.connect(path)
        deadline = time.monotonic() + rig.TIMEOUT_S
        page = ""
        while "weir_job_uptime" not in page and time.monotonic() < deadline:
            try:
                page = http(path, get())[1]
            except ConnectionError:
                pass  # full: tried again until one of them has timed out
        self.assertIn("weir_job_uptime", page)
        self.status_when(process, lambda s: s["state"] == "running")
        self.end(process)

    def test_a_port_that_is_taken_or_none_is_refused(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = self.run_job("nexmark", ENDLESS, {"metrics.port": port}, code=74)
            self.assertIn(f"127.0.0.1:{port}", result.text)
            self.assertIn("metrics.port", result.text)
        for bad in (0, 65536, "all"):
            self.assertIn("metrics.port", self.run_job("nexmark", ENDLESS, {"metrics.port": bad}, code=78).text)

    # --- top ---

    def test_top_shows_cores_and_tasks(self):
        process = self.start(**{"checkpoints.dir": self.folder / "c", "checkpoints.interval": "300ms",
                                "parallelism": 2})
        status = self.sampled(process)
        text = self.weir("top", process.name, "--once").stdout
        self.assertRegex(text, TOP_HEAD.format(name=process.name))
        for core in status["cores"]:
            self.assertRegex(text, rf"(?m)^cpu {core['cpu']} +([\d.]+ % *){{5}}$")
        for stage in status["stages"]:
            self.assertRegex(text, rf"(?m)^{re.escape(stage['name'][:28])} +\d+ running +([\d.]+ % +){{4}}\S.* \d+/\d+ +"
                                   r"\d+/\d+ +(\d+|-)$")
        self.assertNotIn("\033", text)
        doc = json.loads(self.weir("top", process.name, "--once", "--json").stdout)
        for stage in doc["stages"]:
            parts = sum(stage[p] for p in ("busy", "backpressured", "idle", "snapshot"))
            self.assertIn(round(parts, 2), (0, 1))  # 0: others had its core in all of that time
            self.assertLessEqual(stage["input_queue"], stage["input_slots"])
        for core in doc["cores"]:
            self.assertAlmostEqual(sum(core["now"].values()), 1, places=2)
        twice = self.weir("top", process.name, "--count", "2", "--every", "100ms").stdout
        self.assertEqual(len(re.findall(r"(?m)^job ", twice)), 2)
        self.assertIn("a time needs its unit", self.weir("top", process.name, "--every", "1", code=2).stderr)
        watcher = subprocess.Popen([str(self.weir_path), "top", process.name, "--every", "100ms"], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(watcher.kill)
        self.assertIn(process.name, watcher.stdout.readline())
        self.end(process)
        _, said = watcher.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(watcher.returncode, 0, said)
        self.assertIn("has ended", said)
        self.weir("top", process.name, "--once", code=69)

    # --- tap ---

    def test_tap_shows_records_at_its_rate_and_changes_nothing(self):
        process = self.start(parallelism=2)
        self.sampled(process)
        for vertex, keys in (("count", {"auction", "num", "window_time", "window_end"}), ("out", {"auction", "num"}),
                             ("events", {"payload", "at", "id", "other", "price", "expires", "category"})):
            lines = self.weir("tap", process.name, vertex, "--count", "4", "--rate", "100").stdout.splitlines()
            self.assertEqual(len(lines), 4)
            for line in map(json.loads, lines):
                self.assertEqual(set(line), {"subtask", "kind", "time", "record"})
                self.assertEqual((line["kind"], set(line["record"])), ("+I", keys))
        # Of millions a second no more than the rate, and what is left over from before.
        lines = self.weir("tap", process.name, "to_brief", "--rate", "50", "--for", "1s").stdout.splitlines()
        self.assertGreater(len(lines), 1)
        self.assertLess(len(lines), 200)
        refused = self.weir("tap", process.name, "nobody", code=2)
        self.assertIn("there is no vertex nobody; there are events, to_brief, count", refused.stderr)
        refused = self.weir("tap", process.name, "cuont", code=2)
        self.assertIn("there is no vertex cuont; did you mean count?", refused.stderr)
        self.assertIn("--rate", self.weir("tap", process.name, "out", "--rate", "1001", code=2).stderr)
        path = str(run_dir() / f"{process.name}.sock")
        for rate in ("0", "1001", '"1"', "1.5"):
            _, answer = "", http(path, f'{{"version":1,"verb":"tap","vertex":"out","rate":{rate}}}\n'.encode())[0]
            self.assertIn("rate is 1 to 1000", answer)
        self.end(process)

    def test_tap_of_records_that_are_not_text_is_json(self):
        process = self.start({"query": "q20"})
        self.status_when(process, lambda s: s["records_in"] > 0)
        lines = self.weir("tap", process.name, "events", "--count", "500", "--rate", "1000").stdout.splitlines()
        payloads = [json.loads(line)["record"]["payload"] for line in lines]
        self.assertEqual({payload[:4] for payload in payloads}, {"\1\0\0\0", "\2\0\0\0"})
        self.assertIn("\ufffd", "".join(payloads))  # of lengths and prices
        self.end(process)

    def test_a_source_that_counts_for_its_window_is_seen_too(self):
        params = {"query": "q5", "events": "gen:400000,seed=1,event_rate=2000", "rate": "400000"}
        plain = self.run_job("nexmark", dict(params, output="plain.csv"))
        self.assertEqual(plain.returncode, 0)
        process = self.start_job("nexmark", dict(params, output="seen.csv"))
        self.status_when(process, lambda s: s["records_in"] > 0)
        lines = self.weir("tap", process.name, "events", "--count", "3", "--rate", "1000").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(process.wait(timeout=rig.TIMEOUT_S), 0)
        self.assertEqual(self.rows_differ(self.folder / "plain.csv", self.folder / "seen.csv"), "")

    # --- the page of USR1 ---

    def test_usr1_names_the_task_that_does_not_come_back(self):
        gate = self.write("gate", "")
        process = self.start_job(JOBS / "gated.so", {"gate": gate}, {"placement.cut": "all"})
        self.status_when(process, lambda s: s["records_in"] > 0)
        lines = []
        deadline = time.monotonic() + rig.TIMEOUT_S
        while not any("STUCK" in line for line in lines) and time.monotonic() < deadline:
            process.send_signal(signal.SIGUSR1)
            lines = [process.stderr.readline().decode()]
            while not lines[-1].startswith("out "):  # the last operator ends the page
                lines.append(process.stderr.readline().decode())
            time.sleep(0.1)
        page = "".join(lines)
        self.assertRegex(page, r"(?m)^cpu \d+ +busy .*, longest poll [\d.]+ ms\n"
                               r"  STUCK: silent for [\d.]+ s, thread \d+, in the task gate$")
        self.assertRegex(page, r"(?m)^gate +running .*\n  STUCK: it has not come back from a poll for [\d.]+ s$")
        self.assertRegex(page, r"(?m)^-- job, up [\d.]+ s, records in \d+ out \d+, checkpoints 0 complete ")
        gate.unlink()
        self.assertEqual(process.wait(timeout=rig.TIMEOUT_S), 0)

    # --- the capture in the docs ---

    def test_the_capture_has_the_shape_of_what_is_printed(self):
        text = (rig.ROOT / "docs/inside.md").read_text()
        blocks = dict(re.findall(r"```sh by-hand\n([^`]+?)\n```\n\n```text\n(.*?)```", text, re.S))
        top, tap, page = (blocks[f"weir {verb} bids {rest}".strip()] for verb, rest in
                          (("top", "--once"), ("tap", "count --count 5"),
                           ("metrics", r"| grep 'weir_task_.*to_brief\[0\]'")))
        self.assertRegex(top, TOP_HEAD.format(name="bids"))
        self.assertEqual(len(re.findall(r"(?m)^\S+ +\d+ running +([\d.]+ % +){4}\S.* \d+/\d+ +\d+/\d+ +(\d+|-)$", top)),
                         len(re.findall(r"(?m)^\S+ +\d+ running ", top)))
        self.assertEqual([set(json.loads(line)) for line in tap.splitlines()],
                         [{"subtask", "kind", "time", "record"}] * 5)
        for line in page.splitlines():
            self.assertRegex(line, SAMPLE)
        self.assertIn("weir_task_busyTimeMsPerSecond", page)


if __name__ == "__main__":
    assert shutil.which("promtool"), "promtool is of the Debian package prometheus"
    rig.main(2)
