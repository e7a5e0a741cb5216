# SPDX-License-Identifier: Apache-2.0
"""rig: the built `weir` under test, run in a folder of the test's own."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
sys.path.insert(0, str(ROOT / "tests/reference"))
import compare  # noqa: E402

NOBODY = 65534
TIMEOUT_S = 120
# Another test's job may hold the host's last core: then wait, and try again.
NO_CORE = "and free of other jobs"
ALL_HELD = "every core is held"  # as --strict says it
NO_CORE_TRIES = 120
CHECKPOINT_S = 60  # for the next one to come


class Rig(unittest.TestCase):
    weir_path = None  # set by main()
    counter = 0
    well = set()  # what was compared and found the same: lines_of()

    def setUp(self):
        owner = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(owner.cleanup)
        self.folder = pathlib.Path(owner.name)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}

    def fresh_name(self):
        """Names of jobs are held per host: every run has its own."""
        Rig.counter += 1
        return f"t{os.getpid()}-{Rig.counter}"

    def command(self, job, params=(), sets=(), flags=()):
        line = [str(self.weir_path), "run", str(job), "--name", self.fresh_name()]
        for name, value in dict(params).items():
            line += ["-p", f"{name}={value}"]
        for name, value in dict(sets).items():
            line += ["--set", f"{name}={value}"]
        return line + [str(f) for f in flags]

    def run_job(self, job, params=(), sets=(), flags=(), code=0, before=(), **kwargs):
        """Runs a job to its end. before: a command that runs it (taskset, setpriv ...)."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        if "input" in kwargs:
            del kwargs["stdin"]
        for _ in range(NO_CORE_TRIES):
            line = [*map(str, before), *self.command(job, params, sets, flags)]
            result = subprocess.run(line, cwd=self.folder, env=self.env, timeout=TIMEOUT_S,
                                    capture_output=True, check=False, **kwargs)
            result.text = result.stderr.decode(errors="replace")
            if not (result.returncode == 78 and NO_CORE in result.text
                    or result.returncode == 71 and ALL_HELD in result.text):
                break
            time.sleep(0.25)
        self.assertEqual(result.returncode, code, f"{' '.join(line)}\n{result.text}")
        return result

    def start_job(self, job, params=(), sets=(), flags=(), **kwargs):
        """A job that goes on; it is killed at the end of the test if it still runs."""
        line = self.command(job, params, sets, flags)
        process = subprocess.Popen(line, cwd=self.folder, env=self.env, stderr=subprocess.PIPE, **kwargs)
        process.name = line[line.index("--name") + 1]
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        return process

    def status_when(self, process, fits):
        """The first status that fits; a job that ends before fails the test."""
        deadline = time.monotonic() + TIMEOUT_S
        result = None
        while time.monotonic() < deadline and process.poll() is None:
            result = subprocess.run([str(self.weir_path), "status", process.name, "--json"], text=True,
                                    capture_output=True, timeout=TIMEOUT_S, env=self.env, check=False)
            if result.returncode == 0 and fits(json.loads(result.stdout)):
                return json.loads(result.stdout)
            self.assertIn(result.returncode, (0, 69), result.stderr)
        self.fail(f"{process.poll()}: {process.stderr.read().decode()} {result}")

    def manifests(self, name):
        """Numbers of the checkpoints that are in a job's store, oldest first."""
        found = (self.folder / "checkpoints" / name / "manifest").glob("M-*")
        return sorted(int(path.name.split("-")[1]) for path in found)

    def kill_behind_checkpoints(self, line, name, cnt):
        """Killed behind cnt checkpoints of this start, or later. False: it had come to its end before that."""
        newest = max(self.manifests(name), default=0)
        error = self.folder / "stderr"
        for _ in range(NO_CORE_TRIES):
            with error.open("wb") as file:
                process = subprocess.Popen(line, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stderr=file)
            until = time.monotonic() + CHECKPOINT_S
            while process.poll() is None and max(self.manifests(name), default=0) < newest + cnt \
                    and time.monotonic() < until:
                time.sleep(0.002)
            is_late = time.monotonic() >= until
            before = process.poll()
            process.kill()
            code = process.wait()
            text = error.read_text(errors="replace")
            if before == 78 and NO_CORE in text:
                time.sleep(0.25)
                continue
            self.assertIn(before, (None, 0), text)
            self.assertFalse(is_late, f"no checkpoint came\n{text}")
            return code == -signal.SIGKILL
        self.fail(text)

    def ends_restored(self, line):
        """Runs it to its end, from a checkpoint."""
        for _ in range(NO_CORE_TRIES):
            done = subprocess.run(line, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
            if done.returncode != 78 or NO_CORE not in done.stderr:
                break
            time.sleep(0.25)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("restored checkpoint", done.stderr)

    def rows_differ(self, expected, actual):
        """'' where both tables hold the same rows, else what differs first."""
        lines = lines_of(expected, actual)
        if lines in Rig.well:
            return ""
        args = types.SimpleNamespace(expected=str(expected), actual=str(actual), columns=None)
        names, left, right = compare.load(args)
        missing, extra = compare.differences(names, left, right)
        if not missing and not extra:
            Rig.well.add(lines)
            return ""
        return f"{len(left)} rows due, {len(right)} found; missing {missing[:3]}, not expected {extra[:3]}"

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        return path


def lines_of(expected, actual):
    """The same again for the same expected file and for the same lines, whatever their order: to sort them takes a
    tenth of what it takes to compare two tables."""
    header, *lines = pathlib.Path(actual).read_bytes().split(b"\n")
    if str(actual).endswith(".zst") or any(b'"' in line for line in lines):
        lines.append(os.urandom(16))  # a cell may have lines, too
    stat = os.stat(expected)
    table = hashlib.sha256(b"\n".join([header, *sorted(lines)])).digest()
    return str(expected), stat.st_mtime_ns, stat.st_size, table


def freeze(process):
    """Stops it. The signal alone does not: threads on other cores go on for a moment."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def unpack(path, to):
    with open(to, "wb") as file:
        subprocess.run(["zstd", "-dcq", str(path)], check=True, stdout=file)
    return to


def main(argument_cnt=1):
    """Runs the tests of the program: its first arguments are its own, WEIR first."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    Rig.weir_path = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=sys.argv[:1] + sys.argv[1 + argument_cnt :], verbosity=2)
