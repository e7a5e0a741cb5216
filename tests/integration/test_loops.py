#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_loops.py WEIR JOBS: rows that go round, beside a plain loop: stages fused and cut, one subtask and several, by
threads and by the seeded poller; killed and started again with other parallelisms; a queue that is full; a job that
is cancelled while it goes round, and one that is stopped with a savepoint and goes on from it."""
import json
import pathlib
import subprocess
import sys

import rig
import collatz_ref  # rig knows the way to it

JOB = pathlib.Path(sys.argv[2]).resolve() / "collatz.so"
SEED = 5
CUT = {"placement.cut": "all"}
CHECKPOINTS = {"checkpoints.interval": "10ms"}
# A body that is slower than that loses rows: far more than any stop of this host.
LONG_WAIT = "3s"


class Loops(rig.Rig):
    def lines(self, cnt):
        print(f"seed {SEED}")
        return collatz_ref.lines_of(cnt, SEED)

    def params(self, lines, **more):
        return {"output": "out.csv", "input": self.write("lines", "\n".join(lines) + "\n"), **more}

    def rows(self):
        output = self.folder / "out.csv"
        rows = output.read_text(encoding="utf-8").splitlines()
        output.unlink()
        return sorted(row.split(",", 4) for row in rows[1:])

    def assert_rows(self, want):
        """Without a word of each of very many rows."""
        found = self.rows()
        differing = [pair for pair in zip(want, found) if pair[0] != pair[1]][:2]
        self.assertTrue(found == want, f"{len(want)} rows due, {len(found)} found: {differing}")

    def test_T196_A126_every_row_goes_round_until_it_is_let_go(self):
        lines = self.lines(3000)
        want = collatz_ref.expected(lines)
        checkpoints = {"checkpoints.dir": self.folder / "checkpoints", **CHECKPOINTS}
        for sets in ({}, {"parallelism": 2}, {**CUT, "parallelism": 2}, {**CUT, **checkpoints},
                     {"poller": "seed:3"}, {**CUT, **checkpoints, "parallelism": 3, "poller": "seed:4"},
                     {**checkpoints, "checkpoints.unaligned": "true", "parallelism": 2, "poller": "seed:5"}):
            with self.subTest(**sets):
                result = self.run_job(JOB, self.params(lines), sets)
                self.assert_rows(want)
                self.assertIn(f"{len(lines)} records in, {len(lines)} out", result.text)

    def test_T196_A126_a_loop_that_waits_ends_when_nothing_comes_back(self):
        lines = self.lines(1000)
        want = collatz_ref.expected(lines)
        for sets in ({"parallelism": 2}, {**CUT, "parallelism": 2, "poller": "seed:6"}):
            with self.subTest(**sets):
                self.run_job(JOB, self.params(lines, wait=LONG_WAIT), sets)
                self.assert_rows(want)

    def test_A126_no_input_is_no_loop(self):
        self.run_job(JOB, self.params([]), {"parallelism": 2})
        self.assertEqual(self.rows(), [])

    def start_again(self, params, sets, parallelisms):
        """Killed and started again, each time with the next parallelism; the last one ends."""
        name = self.fresh_name()
        kill_cnt = 0
        for parallelism in parallelisms:
            line = self.command(JOB, params, {**sets, "parallelism": parallelism}, ["--restore=latest"])
            line[line.index("--name") + 1] = name
            if not self.kill_behind_checkpoints(line, name, 1):
                break
            kill_cnt += 1
        else:
            self.ends_restored(line)
        self.assertGreater(kill_cnt, 0, "it came to its end before it could be killed")

    def test_A126_a_killed_loop_loses_no_row_and_doubles_none(self):
        lines = self.lines(60000)
        want = collatz_ref.expected(lines)
        sets = {"checkpoints.dir": self.folder / "checkpoints", **CHECKPOINTS}
        for more in ({}, CUT, {"checkpoints.unaligned": "true"}):
            with self.subTest(**more):
                self.start_again(self.params(lines), {**sets, **more}, (1, 1, 2, 3, 1, 2))
                self.assert_rows(want)

    def test_A126_a_loop_with_too_many_rows_fails_and_does_not_stand_still(self):
        for sets in ({"parallelism": 2}, {**CUT, "poller": "seed:7"}):
            with self.subTest(**sets):
                params = self.params(self.lines(100), body="twice", budget="256KiB")
                result = self.run_job(JOB, params, sets, code=1)
                self.assertIn("WEIR-1204", result.text)
                self.assertIn("gives back more rows than it is given", result.text)

    def test_A126_a_plan_counts_what_the_queues_may_take(self):
        line = [str(self.weir_path), "plan", str(JOB), "-p", "budget=1MiB", "--set", "parallelism=2", "--json"]
        result = subprocess.run(line, cwd=self.folder, env=self.env, capture_output=True, text=True, check=True,
                                timeout=rig.TIMEOUT_S)
        nodes = json.loads(result.stdout)["memory"]["nodes"]
        self.assertEqual(sum(node["bytes"]["loops"] for node in nodes), 2 << 20)

    def test_A126_a_loop_without_end_is_cancelled(self):
        for sets in ({"parallelism": 2}, {**CUT, "parallelism": 2}):
            with self.subTest(**sets):
                process = self.start_job(JOB, self.params(self.lines(500), body="endless"), sets)
                self.status_when(process, lambda doc: doc["state"] == "running")
                subprocess.run([str(self.weir_path), "cancel", process.name], check=True, env=self.env,
                               capture_output=True, timeout=rig.TIMEOUT_S)
                self.assertNotEqual(process.wait(rig.TIMEOUT_S), 0)

    def test_A126_a_stop_does_not_end_a_loop_with_rows_in_it(self):
        process = self.start_job(JOB, self.params(self.lines(500), body="endless"), {"parallelism": 2})
        self.status_when(process, lambda doc: doc["records_in"] == 500)
        subprocess.run([str(self.weir_path), "stop", process.name], check=True, env=self.env, capture_output=True,
                       timeout=rig.TIMEOUT_S)
        seen = set()

        def goes_on(doc):
            seen.update(vertex["records_in"] for vertex in doc["vertices"] if vertex["name"] == "steps.tail")
            return len(seen) > 3

        self.status_when(process, goes_on)
        subprocess.run([str(self.weir_path), "cancel", process.name], check=True, env=self.env, capture_output=True,
                       timeout=rig.TIMEOUT_S)
        process.wait(rig.TIMEOUT_S)

    def test_A126_a_savepoint_holds_the_rows_that_go_round(self):
        """A loop without end is stopped with a savepoint; what starts from it lets every row go, once."""
        lines = self.lines(2000)
        sets = {"parallelism": 2, "checkpoints.dir": "ckpt"}
        params = self.params(lines, body="endless", input="-")
        process = self.start_job(JOB, params, sets, stdin=subprocess.PIPE)  # which does not end
        process.stdin.write("".join(line + "\n" for line in lines).encode())
        process.stdin.flush()
        self.addCleanup(process.stdin.close)
        self.status_when(process, lambda doc: doc["records_in"] == len(lines))
        done = subprocess.run([str(self.weir_path), "stop", process.name, "--savepoint", "saved"], cwd=self.folder,
                              env=self.env, capture_output=True, text=True, timeout=rig.TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(process.wait(rig.TIMEOUT_S), 0, process.stderr.read())
        self.run_job(JOB, {**params, "body": "collatz"}, {"parallelism": 3, "checkpoints.dir": "next"},
                     [f"--restore={self.folder / 'saved'}", "--name", process.name])
        rows = self.rows()
        self.assertEqual([row[0] for row in rows], sorted(line.split(",")[0] for line in lines))
        self.assertEqual([row for row in rows if row[1] != "1" or row[2] != row[3]], [])


if __name__ == "__main__":
    rig.main(2)
