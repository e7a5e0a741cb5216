#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_allocations.py WEIR COUNTER.so: a whole job takes no memory for records once it is warm.

COUNTER.so (count_allocs.c) is preloaded and counts malloc, calloc, realloc, their kin and mmap of the whole program. The
same job over WARM records and over WARM + 1,000,000 of them must take memory equally often: what comes after the warm-up
takes none. (Wiring, opening and the report at the end are in both counts.) With pinned threads the host may add some, in
either run: the housekeeping thread says what it departs from, such as time stolen from a core. HOST_MAX bounds them; one
allocation per batch would be ten times as many.
"""
import itertools
import pathlib
import sys

import rig

COUNTER = pathlib.Path(sys.argv[2]).resolve()
WARM = 500_000
MORE = 1_000_000
HOST_MAX = 100
# Source -> map -> key by -> window -> sink; and the same records through operators without state.
JOBS = {
    "q5": ("nexmark", {"query": "q5"}, "gen:%d,seed=1,event_rate=20000"),
    "q7": ("nexmark", {"query": "q7"}, "gen:%d,seed=1,event_rate=20000"),
    "q1": ("nexmark", {"query": "q1"}, "gen:%d,seed=1"),
    "ysb": ("ysb", {}, "gen:%d,seed=1,record=78"),
}


class Allocations(rig.Rig):
    def taken(self, name, events, sets):
        job, params, spec = JOBS[name]
        path = self.folder / "allocs"
        self.env["WEIR_ALLOC_FILE"] = str(path)
        self.env["LD_PRELOAD"] = str(COUNTER)
        self.run_job(job, {**params, "events": spec % events, "output": "discard"},
                     {**sets, "log.progress": "none", "memory.huge_pages": "off"})
        allocs, maps = map(int, path.read_text().split())
        path.unlink()
        return allocs, maps

    def test_no_record_takes_memory_after_the_warm_up(self):
        for name, cut, poller in itertools.product(JOBS, ("none", "all"), ("threads", "seed:1")):
            sets = {"placement.cut": cut, "poller": poller}
            with self.subTest(job=name, **sets):
                warm, more = (self.taken(name, events, sets) for events in (WARM, WARM + MORE))
                self.assertGreater(warm[0], 100) # the counter counts
                self.assertGreater(warm[1], 0)
                if poller == "threads":
                    self.assertLess(abs(more[0] - warm[0]), HOST_MAX)
                    self.assertEqual(more[1], warm[1])
                else:
                    self.assertEqual(more, warm)


if __name__ == "__main__":
    rig.main(2)
