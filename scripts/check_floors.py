#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_floors [ROOT]: fail on an #include that goes up.

Reads the `<floor>_units = [...]` list of each floor's meson.build and every #include of the floors.
A file may include doors of lower floors, and units that stand above its own in its floor's list.
A door in `<floor>_installed = [...]` includes only doors that are installed too. A unit's files are
x.h, x.c, x_*.c, x_priv.h, and everything in a folder named x; the longest unit name that fits wins.
x_priv.h is for x's own files and its tests. Headers from outside are for the files named below.
"""
import fnmatch
import pathlib
import re
import sys

FLOORS = ["base", "io", "dataplane", "sched", "apps"]

# Doors of io that dataplane may see; sched sees all.
DATAPLANE_IO = {"io/io.h", "io/buf.h", "io/frame.h", "io/relay.h", "io/unpack.h", "io/kv.h"}

# Dataplane has no threads, no system calls, no clock and no configuration.
DATAPLANE_NEVER = {
    "base/clock.h": "time comes in as `now`",
    "base/opt.h": "configuration is parsed above",
    "base/log.h": "libraries return errors, the program reports them",
}
DATAPLANE_SYSTEM = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdarg.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "immintrin.h",
    "x86intrin.h",
}

# The C library and the kernel's own headers: free for all but dataplane.
SYSTEM = re.compile(
    r"(aio|alloca|arpa/.*|assert|cpuid|ctype|dirent|dlfcn|elf|endian|errno|execinfo|fcntl|float|"
    r"fnmatch|ftw|getopt|glob|grp|ifaddrs|immintrin|inttypes|libgen|limits|link|linux/.*|locale|malloc|"
    r"math|net/.*|netdb|netinet/.*|paths|poll|pthread|pwd|sched|semaphore|setjmp|signal|spawn|"
    r"stdalign|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|sys/.*|syslog|termios|time|"
    r"ucontext|unistd|x86intrin)\.h"
)

# Libraries: header pattern -> the files that may include it. A new library is one line here.
LIBRARIES = [
    ("weir/*", ["apps/examples/*"]),  # a stranger's view: what is installed
    ("stdatomic.h", ["base/atomic.h"]),
    ("xxhash.h", ["base/hash.c"]),
    ("isa-l/*.h", ["base/crc.c"]),
    ("isa-l.h", ["base/crc.c"]),
    ("hwloc*", ["base/topo.c"]),
    ("numa.h", ["base/region*.c"]),
    ("numaif.h", ["base/region*.c"]),
    ("liburing*", ["io/*uring*"]),
    ("rte_*.h", ["io/*dpdk*", "io/dpdk/*"]),
    ("libfyaml.h", ["sched/yaml.c"]),
    ("simdjson.h", ["apps/*/json_simd.cc", "dataplane/operators/json_simd.cc"]),
    ("zstd.h", ["io/unpack.c"]),
    ("rocksdb/c.h", ["io/kv_rocksdb.c"]),
    ("microhttpd.h", ["apps/weir/scrape.c"]),
    ("jansson.h", ["apps/weir/*", "sched/*_json.c", "sched/report.c"]),
    ("sanitizer/*.h", ["base/region*", "io/buf*"]),
]

# Edges that break a rule on purpose: (file, header) -> why.
EXCEPTIONS = {
    ("io/io.c", "io/back.h"): "the door's calls go to the table in back.h, which needs the door's types",
    ("sched/job.c", "sched/graph_priv.h"): "a job is made from the graph's nodes; nobody else sees them",
    ("sched/run.c", "sched/job_priv.h"): "the job's other half: job.c makes it, run.c runs it",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def listed(text, name):
    """The strings of `name = [...]` in a meson.build."""
    found = re.search(rf"^{name}\s*=\s*\[(.*?)\]", text, re.S | re.M)
    return re.findall(r"'([^']+)'", re.sub(r"#.*", "", found.group(1))) if found else []


class Floor:
    """One floor: its units in include order, and those of its doors that are installed."""

    def __init__(self, root, name, problems):
        self.name = name
        build = root / name / "meson.build"
        text = build.read_text() if build.exists() else ""
        # A private header may be listed for the reader; it belongs to its unit.
        self.units = [u for u in listed(text, f"{name}_units") if not u.endswith("_priv")]
        self.installed = {f"{name}/{u}.h" for u in listed(text, f"{name}_installed")}
        # Operators' doors are installed all of them: sched/installed/meson.build.
        doors = [f for f in root.glob(f"{name}/operators/*.h") if not f.stem.endswith("_priv")]
        self.installed |= {f.relative_to(root).as_posix() for f in doors}
        for unit in self.units:
            if self.units.count(unit) > 1:
                problems.add(f"{name}/meson.build: unit '{unit}' is listed twice")

    def unit_of(self, path):
        """The unit of a file below this floor's folder, None where it has none."""
        parts = pathlib.PurePosixPath(path).parts[1:]
        stem = pathlib.PurePosixPath(parts[0]).stem if len(parts) == 1 else parts[0]
        stem = stem.removesuffix("_priv")
        fits = [u for u in self.units if stem == u or stem.startswith(u + "_")]
        return max(fits, key=len, default=None)


def owner_of_priv(path):
    return pathlib.PurePosixPath(path).stem.removesuffix("_priv")


def check_priv(path, wanted, problems):
    if (path, wanted) in EXCEPTIONS:
        return
    stem = re.sub("^(test|fuzz)_", "", pathlib.PurePosixPath(path).stem).removesuffix("_priv")
    owner = owner_of_priv(wanted)
    if stem != owner and not stem.startswith(owner + "_"):
        problems.add(f"{path}: includes {wanted}, which is private to {owner}")


def check_ours(path, wanted, floors, problems):
    floor = floors[path.split("/")[0]]
    to = wanted.split("/")[0]
    if path in floor.installed and to in floors and wanted not in floors[to].installed:
        problems.add(f"{path}: is installed and includes {wanted}, which is not")
    if to in ("tests", "bench"):
        problems.add(f"{path}: includes {wanted}; nothing includes tests or bench")
        return
    if to not in floors:
        problems.add(f"{path}: includes \"{wanted}\"; paths start at the root, with a floor")
        return
    up = FLOORS.index(to) - FLOORS.index(floor.name)
    if up > 0:
        problems.add(f"{path}: includes {wanted}, an upward edge from {floor.name} to {to}")
        return
    if floor.name == "dataplane" and to == "io" and wanted not in DATAPLANE_IO:
        problems.add(f"{path}: includes {wanted}; of io, dataplane sees {sorted(DATAPLANE_IO)}")
    if floor.name == "dataplane" and wanted in DATAPLANE_NEVER:
        problems.add(f"{path}: includes {wanted}; {DATAPLANE_NEVER[wanted]}")
    if up < 0 or floor.name == "apps":
        return
    mine = floor.unit_of(path)
    theirs = floor.unit_of(wanted)
    if mine is None or theirs is None:
        return  # said once, for the file itself
    is_below = floor.units.index(theirs) > floor.units.index(mine)
    if is_below and (path, wanted) not in EXCEPTIONS:
        problems.add(
            f"{path}: unit {mine} includes {wanted}, whose unit {theirs} stands below it in "
            f"{floor.name}/meson.build"
        )
    inside = f"{floor.name}/operators/"
    own = pathlib.PurePosixPath(wanted).stem.removesuffix("_priv")
    if path.startswith(inside) and wanted.startswith(inside):
        if not pathlib.PurePosixPath(path).stem.startswith(own):
            problems.add(f"{path}: includes {wanted}; an operator knows no other operator")


def check_outside(path, wanted, problems):
    if path.startswith("dataplane/") and wanted not in DATAPLANE_SYSTEM:
        if SYSTEM.fullmatch(wanted):
            problems.add(f"{path}: includes <{wanted}>; dataplane makes no system calls")
            return
    for pattern, files in LIBRARIES:
        if fnmatch.fnmatch(wanted, pattern):
            if not any(fnmatch.fnmatch(path, f) for f in files):
                problems.add(f"{path}: includes <{wanted}>, which only {', '.join(files)} may")
            return
    if not SYSTEM.fullmatch(wanted) and path.endswith((".c", ".h")):
        problems.add(f"{path}: includes <{wanted}>; add a new library to LIBRARIES in {__file__}")


def check(root):
    problems = set()
    floors = {name: Floor(root, name, problems) for name in FLOORS}
    for name in FLOORS + ["tests", "bench"]:
        seen = set()
        for file in sorted((root / name).rglob("*")):
            if file.suffix not in (".c", ".h", ".cc", ".hh") or not file.is_file():
                continue
            path = file.relative_to(root).as_posix()
            text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
            if name in FLOORS[:4]:
                unit = floors[name].unit_of(path)
                seen.add(unit)
                if unit is None:
                    problems.add(f"{path}: belongs to no unit of {name}/meson.build")
            for mark, wanted in INCLUDE.findall(text):
                if mark == '"' and wanted.endswith("_priv.h"):
                    check_priv(path, wanted, problems)
                if name in ("tests", "bench"):
                    continue
                if mark == '"':
                    check_ours(path, wanted, floors, problems)
                else:
                    check_outside(path, wanted, problems)
            if name == "dataplane" and (hit := re.search(r"\b(io_uring|uring|dpdk|rte_\w+)\b", text)):
                problems.add(f"{path}: names the back end '{hit.group(1)}'")
        if name in FLOORS[:4]:
            for unit in floors[name].units:
                if unit not in seen:
                    problems.add(f"{name}/meson.build: unit '{unit}' has no file")
    return sorted(problems)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    problems = check(root.resolve())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
