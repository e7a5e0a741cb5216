#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_docs.py [--write] WEIR-BINARY: the documents say what the program does.

Four checks over README.md, CHANGELOG.md and docs/*.md, each a TAP case:
- what stands between `<!-- output of: COMMAND -->` and `<!-- end -->` is what COMMAND prints
  (--write puts it there; a COMMAND with --markdown as it is, any other as a text block);
- every command block (```sh) runs and exits 0, or as its info string says: ```sh exits=78. Blocks
  marked ```sh by-hand (long, or for another machine) are only looked at. A block runs in a folder
  of its own that shows the repository's files, with weir in the PATH;
- the keys of docs/report.md are those of the report of a real run;
- every verb of `weir -h` has its help in docs/cli.md, and every link to a file of ours is good.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = re.compile(r"(<!-- output of: (.+?) -->\n)(.*?)(<!-- end -->)", re.S)
BLOCK = re.compile(r"^```sh([^\n]*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
TIMEOUT_S = 120


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, error=""):
        self.count += 1
        self.failed += bool(error)
        print(f"{'not ok' if error else 'ok'} {self.count} - {name}")
        for line in error.splitlines():
            print(f"# {line}")


def environment(weir, home):
    """weir in the PATH, and an installed tree for pkg-config to find."""
    top = pathlib.Path(home) / "installed"
    subprocess.run(["meson", "install", "-C", weir.parents[2], "--no-rebuild", "--destdir", top],
                   check=True, capture_output=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
    libraries = next(top.rglob("weir.pc")).parents[1]
    env.update(PKG_CONFIG_PATH=str(libraries / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(top),
               LD_LIBRARY_PATH=str(libraries))
    env.update(PATH=f"{weir.parent}:{env['PATH']}", HOME=str(home), XDG_RUNTIME_DIR=str(home),
               COLUMNS="100", LC_ALL="C.UTF-8", NO_COLOR="1")
    return env


def shell(command, folder, env):
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)


def view_of_repository(folder):
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "build"):
            (folder / entry.name).symlink_to(entry)


def printed(command, env):
    result = shell(command, ROOT, env)
    if result.returncode != 0:
        raise RuntimeError(f"{command} exits {result.returncode}: {result.stderr}")
    language = "c" if command.endswith(".c") else "text"
    return result.stdout if "--markdown" in command else f"```{language}\n{result.stdout}```\n"


def check_outputs(path, text, env, tap, write):
    def place(match):
        head, command, found, end = match.groups()
        try:
            wanted = printed(command, env)
        except RuntimeError as error:
            tap.case(f"{path.name}: output of {command}", str(error))
            return match.group(0)
        same = found == wanted
        tap.case(f"{path.name}: output of {command}",
                 "" if same or write else f"differs: run tests/docs/check_docs.py --write WEIR")
        return head + wanted + end
    new = OUTPUT.sub(place, text)
    if write and new != text:
        path.write_text(new)
    return new


def check_blocks(path, text, env, tap):
    for number, (info, command) in enumerate(BLOCK.findall(text), 1):
        words = info.split()
        if "by-hand" in words:
            continue
        wanted = next((int(w[6:]) for w in words if w.startswith("exits=")), 0)
        with tempfile.TemporaryDirectory(prefix="weir-docs-") as name:
            folder = pathlib.Path(name)
            view_of_repository(folder)
            try:
                result = shell(command, folder, env)
                good = result.returncode == wanted
                error = "" if good else (f"exits {result.returncode}, not {wanted}:\n{command}"
                                         f"{result.stdout[-2000:]}{result.stderr[-2000:]}")
            except subprocess.TimeoutExpired:
                error = f"takes over {TIMEOUT_S} s:\n{command}"
        tap.case(f"{path.name}: command block {number} runs", error)


def check_links(path, text, tap):
    bad = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    tap.case(f"{path.name}: links", "\n".join(f"{link} is not there" for link in bad))


def check_verbs(weir, env, tap):
    listing = shell(f"{weir} -h", "/tmp", env).stdout
    section = listing.split("Verbs:\n")[1].split("\n\n")[0]
    cli = (ROOT / "docs/cli.md").read_text()
    for line in section.splitlines():
        verb = re.split(r"\s{2,}", line.strip())[0]
        error = "" if f"<!-- output of: weir {verb} -h -->" in cli else "not in docs/cli.md"
        tap.case(f"cli.md: has weir {verb} -h", error)


def keys_of(value, path=""):
    """Paths of all leaves; the plan is one leaf, it has a document of its own, and so are quantiles."""
    if isinstance(value, dict) and path.split(".")[-1] not in ("plan", "latency_ns"):
        return {k for name, v in value.items() for k in keys_of(v, f"{path}.{name}" if path else name)}
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return {k for v in value for k in keys_of(v, path + "[]")}
    return {path}


def check_report(weir, env, tap):
    with tempfile.TemporaryDirectory(prefix="weir-docs-") as name:
        report = pathlib.Path(name) / "report.json"
        result = shell(f"{weir} run nexmark -p events=gen:1000,seed=1 -p output=o.csv --name docs "
                       f"--set checkpoints.dir=checkpoints --set metrics.latency_interval=1ms --report {report}",
                       name, env)
        found = keys_of(json.loads(report.read_text())) if result.returncode == 0 else set()
    text = (ROOT / "docs/report.md").read_text()
    documented = set(re.findall(r"^\| `([^`]+)` \|", text, re.M))
    error = "\n".join([result.stderr] if not found else
                      [f"{k} is not documented" for k in sorted(found - documented)] +
                      [f"{k} is documented only" for k in sorted(documented - found)])
    tap.case("report.md: keys of a report", error)


def main(args):
    write = "--write" in args
    weir = pathlib.Path(args[-1]).resolve()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="weir-docs-home-") as home:
        env = environment(weir, home)
        for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
            text = check_outputs(path, path.read_text(), env, tap, write)
            check_links(path, text, tap)
            if not write:
                check_blocks(path, text, env, tap)
        check_verbs(weir, env, tap)
        check_report(weir, env, tap)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


sys.exit(main(sys.argv[1:]))
