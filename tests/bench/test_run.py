#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bench runner: order of runs, intervals, refusals, histories, table and plots, over programs that pretend."""
import json
import os
import stat
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.dont_write_bytecode = True
import figures  # noqa: E402
import paired  # noqa: E402
import report  # noqa: E402
import svg  # noqa: E402

PRETEND = """#!/bin/sh
echo "$1" >>%(log)s
echo '{"name":"'$1'","ns_per_event":'$2',"events":5,"rows":'$4',"checksum":"'$3'"}'
"""


class Runner(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.folder.name, "log")
        self.program = os.path.join(self.folder.name, "pretend")
        with open(self.program, "w", encoding="ascii") as file:
            file.write(PRETEND % {"log": self.log})
        os.chmod(self.program, stat.S_IRWXU)

    def tearDown(self):
        self.folder.cleanup()

    def command(self, name, ns, checksum="aa", rows=1):
        return "%s %s %s %s %d" % (self.program, name, ns, checksum, rows)

    def test_runs_alternate_and_the_first_of_each_does_not_count(self):
        row = paired.measure(self.command("A", 2), self.command("B", 1), 4)
        with open(self.log, encoding="ascii") as file:
            self.assertEqual(file.read().split(), ["A", "B"] + ["A", "B", "B", "A"] * 2)
        self.assertEqual((row["ratio"], row["low"], row["high"], row["pairs"]), (0.5, 0.5, 0.5, 4))
        self.assertEqual((row["ours_ns"], row["peer_ns"]), (2, 1))

    def test_answers_that_differ_are_no_result(self):
        with self.assertRaisesRegex(paired.Refused, "answers differ"):
            paired.measure(self.command("A", 2), self.command("B", 1, "bb"), 2)
        with self.assertRaisesRegex(paired.Refused, "answers differ"):
            paired.measure(self.command("A", 2), self.command("B", 1, rows=8), 2, ("rows",))
        paired.measure(self.command("A", 2), self.command("B", 1, "bb"), 2, ("rows",))
        paired.measure(self.command("A", 2), self.command("B", 1, "bb", 8), 2, ())

    def test_commands_that_fail_or_say_nothing_are_no_result(self):
        for command in ("false", "true", "echo {}", "echo '{\"ns_per_event\": 0}'"):
            with self.assertRaises(paired.Refused):
                paired.run_command(command)

    @staticmethod
    def is_running(pid):
        state = paired.read_text("/proc/%d/stat" % pid, "gone) Z").rsplit(")", 1)[-1].split()
        return state[0] not in ("Z", "X")

    def test_a_suite_that_does_not_end_is_no_result_and_leaves_nothing_running(self):
        names = os.path.join(self.folder.name, "pids")
        command = "sh -c 'echo $$ >%s; tail -f /dev/null & echo $! >>%s; wait'" % (names, names)
        with self.assertRaisesRegex(paired.Refused, "not done after"):
            paired.run_suite(command, None, 3)
        with open(names, encoding="ascii") as file:
            started = [int(line) for line in file]
        self.assertEqual(len(started), 2)
        for pid in started:
            limit = time.monotonic() + 60  # killed, it may still have to be scheduled once more
            while self.is_running(pid) and time.monotonic() < limit:
                time.sleep(0.01)
            self.assertFalse(self.is_running(pid))
        self.assertEqual(paired.run_suite("echo {\"name\":\"a\"}".replace('"', '\\"'), None, 60)[0], [{"name": "a"}])

    def test_the_grid_has_all_sizes_rates_and_draws(self):
        names = {suite.name for suite in figures.SUITES if suite.is_grid}
        for mib in (1, 64, 1024, 4096):
            self.assertIn("snapshot-%d-0-uniform" % mib, names)
            for rate in ("1000000", "full"):
                self.assertLessEqual({"snapshot-%d-%s-%s" % (mib, rate, keys) for keys in ("uniform", "zipf")}, names)
        self.assertLessEqual({"peer-64-page", "peer-64-fork", "peer-1024-page", "peer-1024-fork", "other-redis",
                              "other-rocksdb", "checkpoints-1024-1000000-uniform-10000"}, names)

    def test_pairs_of_moved_cpus_are_left_out(self):
        near, far = self.command("P", 100), self.command("P", 500)
        self.assertEqual((paired.placement(near), paired.placement(far)), ("near", "far"))
        pair = [({"ns_per_event": 1.0, "events": 1}, {"ns_per_event": 1.0})] * 2
        odd = [({"ns_per_event": 1.0, "events": 1}, {"ns_per_event": 9.0})] * 2
        row = paired.summarise([("near", pair)] * 5 + [("mixed", odd), ("far", odd)], 10)
        self.assertEqual((row["placement"], row["pairs"], row["ratio"], row["high"]), ("near", 10, 1.0, 1.0))
        with self.assertRaisesRegex(paired.Refused, "moved"):
            paired.summarise([("mixed", pair)], 10)

    def test_interval_holds_the_median_and_narrows_with_pairs(self):
        few, many = [0.8, 0.9, 1.0, 1.1], [0.8, 0.9, 1.0, 1.1] * 20
        middle, low, high = paired.bootstrap(few)
        self.assertTrue(low <= middle <= high)
        _, low_many, high_many = paired.bootstrap(many)
        self.assertLess(high_many - low_many, high - low)
        self.assertEqual(paired.bootstrap(few), paired.bootstrap(few))

    def test_suites_are_compared_with_their_best_peer(self):
        lines = [
            {"test": "t", "bytes": 8, "ring": "weir_ring", "ns": 2.0, "ratios": [1.0]},
            {"test": "t", "bytes": 8, "ring": "slow", "ns": 9.0, "ratios": [0.2]},
            {"test": "t", "bytes": 8, "ring": "fast", "ns": 4.0, "ratios": [0.5, 0.5]},
            {"test": "t", "bytes": 64, "ring": "fast", "ns": 1.0, "ratios": [5.0]},
        ]
        row = paired.summarise_point(lines, {"test": "t", "bytes": 8})
        self.assertEqual((row["peer"], row["ratio"], row["ours_ns"]), ("fast", 2.0, 2.0))
        with self.assertRaises(paired.Refused):
            paired.summarise_point(lines, {"bytes": 64})

    def test_entries_of_a_contest_are_paired_in_the_order_of_the_rounds(self):
        lines = [
            {"name": "a", "ns": [1.0, 2.0, 3.0], "rows": 1, "checksum": "aa", "events": 9},
            {"name": "b", "ns": [2.0, 4.0, 6.0], "rows": 1, "checksum": "aa", "events": 9},
            {"name": "c", "ns": [2.0, 4.0, 6.0], "rows": 1, "checksum": "cc", "events": 9},
            {"name": "d", "ns": [2.0], "rows": 1, "checksum": "aa", "events": 9},
        ]
        row = paired.contest_ratio(lines, "a", "b")
        self.assertEqual((row["ratio"], row["low"], row["high"], row["pairs"]), (2.0, 2.0, 2.0, 3))
        row = paired.contest_steps(lines, "b", "a", 2)
        self.assertEqual((row["value"], row["values"], row["peer_value"]), (1.0, [0.5, 1.0, 1.5], 2.0))
        self.assertEqual(paired.contest_steps(lines, "c", "a", 2)["value"], 1.0)  # steps change the answer
        for ours, peer in (("a", "c"), ("a", "d"), ("a", "none")):
            with self.assertRaises(paired.Refused):
                paired.contest_ratio(lines, ours, peer)
        self.assertEqual(paired.contest_ratio(lines, "a", "c", alike=())["ratio"], 2.0)

    def test_latency_is_what_lies_above_the_floor(self):
        line = {"name": "latency", "rate": 10, "events": 5, "job_ns": {"p99": 9000}, "floor_ns": {"p99": 2500}}
        row = paired.latency_excess([line], "p99")
        self.assertEqual((row["value"], row["ours_value"], row["peer_value"]), (6.5, 9.0, 2.5))
        with self.assertRaises(paired.Refused):
            paired.latency_excess([], "p99")

    def test_windows_are_late_by_what_lies_above_the_floor_of_their_run(self):
        runs = [{"job_ns": {"p99": job}, "first_ns": {"p99": 1}, "floor_ns": {"p99": 1000}, "windows": 3, "checkpoints": 2}
                for job in (5000, 9000, 7000)]
        lines = [{"name": "none", "runs": runs}, {"name": "once", "runs": [
            dict(run, job_ns={"p99": run["job_ns"]["p99"] + 500}) for run in runs]}]
        row = paired.late_windows(lines, "none", "p99")
        self.assertEqual((row["value"], row["low"], row["high"], row["peer_value"]), (6.0, 4.0, 8.0, 1.0))
        self.assertEqual((row["windows"], row["checkpoints"]), (3, [2, 2, 2]))
        row = paired.late_by_checkpoints(lines, "p99")
        self.assertEqual((row["value"], row["ours_value"], row["peer_value"]), (0.5, 7.5, 7.0))

    def test_T195_rows_that_moves_hold_up_stand_beside_those_of_each_base(self):
        lines = [{"name": name, "runs": [{"job_ns": {"p999": ns}, "answer_ms": [5.0, 9.0, 40.0]} for ns in times]}
                 for name, times in (("none", [1e6, 2e6, 1e6]), ("base", [2e6, 4e6, 5e6]), ("moves", [8e6, 8e6, 10e6]))]
        row = paired.late_by_moves(lines, "base", "p999")
        self.assertEqual((row["value"], row["low"], row["high"], row["pairs"]), (2.0, 2.0, 4.0, 3))
        self.assertEqual((row["ours_text"], row["peer_text"]), ("8.00 ms", "4.00 ms"))
        self.assertEqual((row["moves"], row["move_ms"]), (9, {"median": 9.0, "least": 5.0, "greatest": 40.0}))
        self.assertEqual(paired.late_by_moves(lines, "none", "p999")["value"], 8.0)
        for run in lines[2]["runs"]:
            run["answer_ms"] = []
        with self.assertRaisesRegex(paired.Refused, "moved"):
            paired.late_by_moves(lines, "base", "p999")
        points = {figure.name: figure for figure, _ in next(s for s in figures.SUITES if s.name == "move").points}
        self.assertEqual(points["move-base-p999"].goal, 10.0)

    def test_checkpoints_of_one_kind_stand_beside_those_of_another(self):
        lines = [{"name": "unaligned-1", "ms": [3.0, 1.0, 2.0], "rows": [5, 7, 6]},
                 {"name": "aligned-1", "ms": [40.0, 20.0], "rows": [0, 0]}, {"name": "aligned-2", "ms": [], "rows": []}]
        row = paired.checkpoint_ms(lines, "unaligned-1", "aligned-1")
        self.assertEqual((row["value"], row["low"], row["high"], row["peer_value"]), (2.0, 1.0, 3.0, 30.0))
        self.assertEqual((row["checkpoints"], row["rows_in_flight"]), ([3, 2], 6))
        with self.assertRaisesRegex(paired.Refused, "complete"):
            paired.checkpoint_ms(lines, "unaligned-1", "aligned-2")

    def test_fingerprint_names_the_host(self):
        host = paired.fingerprint(ROOT)
        for key in ("cpu", "kernel", "thp", "huge_pages_2m", "clock_source", "commit"):
            self.assertIn(key, host)
        json.dumps(host)


class Report(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.figures = [
            figures.Figure("good", "good <one>", "a", "b", "kernel", 0.8, 0.6),
            figures.Figure("short", "short", "a", "b", "kernel", 0.8, 0.6),
            figures.Figure("bad", "bad", "a", "b", "kernel", 0.8, 0.6),
            figures.Figure("never", "never", "a", "b", "kernel", 0.8),
            figures.Figure("free", "free", "a", "b", "one core", None),
            figures.Figure("late-p99", "late, p99", "a", "a", "floor", 5.0, unit="us"),
            figures.Figure("use", "use", "a", "a", "spin", 2.0, 2.0, unit="% of a core"),
            figures.Figure("load", "load", "a", "a", "spin", None, unit="% of a core", full=True),
        ]
        host = dict(paired.fingerprint(ROOT), load=0.5)
        for name, ratio in (("good", 0.5), ("good", 0.9), ("short", 0.7), ("bad", 0.5), ("free", 0.3)):
            report.append_history(self.folder.name, {
                "name": name, "ratio": ratio, "low": ratio - 0.05, "high": ratio + 0.05, "ours_ns": 2.0, "peer": "kernel",
                "peer_ns": 1.5, "host": host})
        percentiles = {"p50": 80, "p90": 90, "p99": 9000, "p999": 9100, "p9999": 9200, "max": 20000000}
        for name, value, more in (("late-p99", 6.5, {"job_ns": percentiles, "floor_ns": percentiles}), ("use", 2.5, {}),
                                  ("load", 50.0, {})):
            report.append_history(self.folder.name, {
                "name": name, "value": value, "low": value, "high": value, "ours_value": 9.0, "peer": "floor",
                "peer_value": 2.5, "host": host, **more})

    def tearDown(self):
        self.folder.cleanup()

    def test_table_shows_the_latest_of_each_and_says_how_it_stands(self):
        table = report.table(self.folder.name, self.figures)
        self.assertIn("| good <one> | 2.00 ns (500 M/s) | kernel: 1.50 ns (667 M/s) | **0.90** (0.85 to 0.95)", table)
        self.assertRegex(table, r"\| short .*\| short \|")
        self.assertRegex(table, r"\| bad .*\| below the bar \|")
        self.assertNotIn("never", table)
        self.assertRegex(table, r"\| free .*\*\*0.30\*\* \(0.25 to 0.35\) \|  \|  \|  \|")
        self.assertIn("| late, p99 | 9.00 µs | floor: 2.50 µs | **6.50 µs** | ≤ 5.00 µs |  | short |", table)
        self.assertRegex(table, r"\| use .*\*\*2.50 %\*\* \| ≤ 2.00 % \| ≤ 2 \| above the bar \|")
        self.assertRegex(table, r"\| load .*\*\*50.0 %\*\* \|  \|  \|  \|")
        cells = [line.count("|") for line in table.splitlines() if line.startswith("|")]
        self.assertEqual(len(set(cells)), 1)

    def test_figures_of_a_busy_host_are_told_apart(self):
        figure = self.figures[0]
        row = {"ratio": 0.9, "low": 0.8, "host": {"load": 3.5, "cpus": 2}}
        self.assertEqual(report.verdict(figure, row), "reached, loaded host")
        row["host"]["load"] = 2.5
        self.assertEqual(report.verdict(figure, row), "reached")
        self.assertEqual(report.verdict(self.figures[4], dict(row, host={"load": 9, "cpus": 2})), "loaded host")

    def test_queries_stand_in_one_table_with_what_was_measured_of_them(self):
        for name, ours, peer in (("engine-fused-q2", 4.0, 2.0), ("two-cores-q2", 2.0, 4.0), ("two-cores-q10", 100.0, 200.0)):
            report.append_history(self.folder.name, {
                "name": name, "ratio": peer / ours, "ours_ns": ours, "peer_ns": peer, "events": 1000000,
                "host": {"load": 9.0 if name == "two-cores-q10" else 0.5, "cpus": 2}})
        table = report.query_table(self.folder.name)
        self.assertIn("| q2 | 1.0 M | 500 M/s | 250 M/s | 0.50 |  | 500 M/s | 2.00 |", table)
        self.assertIn("| q10 (loaded host) | 1.0 M |  | 5.00 M/s |  |  | 10.00 M/s | 2.00 |", table)
        self.assertNotIn("q3", table)

    def test_table_takes_its_place_and_nothing_else(self):
        text = "before\n%s\nold\n%s\nafter\n" % (report.BEGIN, report.END)
        once = report.put_between_marks(text, "new\n")
        self.assertTrue(once.startswith("before\n") and once.endswith("after\n") and "old" not in once)
        self.assertEqual(report.put_between_marks(once, "new\n"), once)
        with self.assertRaises(ValueError):
            report.put_between_marks("no marks", "new\n")

    def test_plots_are_well_formed(self):
        plots = os.path.join(self.folder.name, "plots")
        report.write_plots(self.folder.name, plots, self.figures)
        self.assertEqual(sorted(os.listdir(plots)), ["good.svg", "late.svg", "ratios.svg", "values.svg"])
        for name in os.listdir(plots):
            root = xml.etree.ElementTree.parse(os.path.join(plots, name)).getroot()
            self.assertTrue(root.tag.endswith("svg"))
        for high in (0.003, 1.0, 2.08, 7.0, 99.0, 12345.0):
            self.assertEqual(svg.ticks(high)[0], 0)
            self.assertTrue(4 <= len(svg.ticks(high)) <= 9, high)

    def test_rows_of_the_project_are_sound(self):
        of_suites = [figure for suite in figures.SUITES for figure, _ in suite.points]
        names = [figure.name for figure in figures.FIGURES + of_suites]
        self.assertEqual(len(names), len(set(names)))
        for figure in figures.FIGURES:
            self.assertTrue(figure.bar == 0 if figure.goal is None else figure.bar <= figure.goal)
            words = {name: "x" for name in figure.inputs()}
            figure.ours.format(build="b", core="1", disk="d", **words)
            figure.peer.format(build="b", core="1", disk="d", **words)
        for suite in figures.SUITES:
            suite.command.format(build="b", root="r", cores="0,1", core="1", other="0", hgrm="h", disk="d")
            self.assertTrue(all(figure.ours == suite.command for figure, _ in suite.points))

    def test_suites_of_the_project_find_their_points_in_what_the_programs_print(self):
        programs = {"chain": "bench_chain", "exchange": "bench_exchange", "window": "bench_window",
                    "timers": "bench_timers"}
        for suite in figures.SUITES:
            if suite.name in programs:
                source = os.path.join(ROOT, "bench", "graph", programs[suite.name] + ".c")
                with open(source, encoding="utf-8") as file:
                    text = file.read()
                asked = []
                for _, read in suite.points:
                    with self.assertRaises(paired.Refused) as refused:
                        read([])
                    asked.append(str(refused.exception).rsplit(" ", 1)[1])
                for name in asked:
                    form, number = name.rsplit("-", 1)
                    self.assertIn('"%s"' % form, text)
                    self.assertIn(number, text)


if __name__ == "__main__":
    unittest.main()
