#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_wordcount.py WEIR: word count against tests/reference/wordcount_ref.py: every input, every window, every output.

The text is random; the seed is printed, and WEIR_TEST_SEED sets it.
"""
import csv
import io
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading

import rig
import wordcount_ref

SEED = int(os.environ.get("WEIR_TEST_SEED", "4711"))
LINES = 4000
VARIANTS = tuple({"parallelism": p, "placement.cut": c, "poller": r}
                 for p, c, r in itertools.product((1, 2), ("none", "all"), ("threads", "seed:3")))
ODD_WORDS = ("a,b", '"quoted"', "twelve bytes", "exactly-13-by", "x" * 300, "\u00e9t\u00e9", "\u65e5\u672c\u8a9e", "don't")
LINE_BYTES_MAX = 16 << 20
BLANKS = (" ", "  ", "\t", "\v", "\f", " \t ")


def random_line(rng):
    words = [rng.choice(ODD_WORDS).replace(" ", "_") if rng.random() < 0.05 else f"w{int(rng.paretovariate(0.6)) % 3000}"
             for _ in range(rng.randint(0, 12))]
    return rng.choice(("", " ")) + "".join(w + rng.choice(BLANKS) for w in words)


class WordCount(rig.Rig):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)
        self.lines = [random_line(self.rng) for _ in range(LINES)]
        self.text = ("\n".join(self.lines) + "\nlast line without an end").encode()
        self.input = self.write("input.txt", self.text)

    def expect(self, header, rows):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([c.decode() if isinstance(c, bytes) else c for c in row])
        return self.write("expected.csv", text.getvalue())

    def expect_total(self, paths):
        return self.expect(("word", "count"), wordcount_ref.total(map(str, paths)))

    def check(self, expected, actual="out.csv"):
        self.assertEqual(self.rows_differ(expected, self.folder / actual), "")

    # --- inputs ---

    def test_file_in_every_form_of_plan(self):
        expected = self.expect_total([self.input])
        for sets in VARIANTS:
            with self.subTest(**sets):
                self.run_job("wordcount", {"input": self.input, "output": "out.csv"}, sets)
                self.check(expected)

    def test_directory_and_packed_files(self):
        parts = []
        for i in range(5):
            parts.append(self.write(f"dir/{'sub/' if i % 2 else ''}part-{i}", "\n".join(self.lines[i::5]) + "\n"))
        self.write("dir/.hidden", "unseen unseen\n")
        expected = self.expect_total(parts)
        for parallelism in (1, 2, 3):
            self.run_job("wordcount", {"input": "dir", "output": "out.csv"}, {"parallelism": parallelism})
            self.check(expected)

    def test_standard_input_and_output(self):
        expected = self.expect_total([self.input])
        result = self.run_job("wordcount", {"input": "-", "output": "-"}, input=self.text)
        self.write("out.csv", result.stdout)
        self.check(expected)
        # Through a pipe that brings it in pieces.
        with open(self.input, "rb") as file:
            result = self.run_job("wordcount", {"input": "-", "output": "-"}, stdin=file)
        self.write("out.csv", result.stdout)
        self.check(expected)

    def test_socket(self):
        expected = self.expect_total([self.input])
        for poller in ("threads", "seed:5"):
            server = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(server.close)

            def serve(listener=server):
                peer, _ = listener.accept()
                rng = random.Random(SEED)
                at = 0
                while at < len(self.text):
                    step = rng.choice((1, 7, 100, 5000))
                    peer.sendall(self.text[at:at + step])
                    at += step
                peer.close()
                listener.close() # nobody answers a second time

            thread = threading.Thread(target=serve)
            thread.start()
            self.run_job("wordcount", {"input": f"tcp://127.0.0.1:{server.getsockname()[1]}", "output": "out.csv"},
                         {"poller": poller})
            thread.join()
            self.check(expected)

    def test_empty_inputs_give_a_header(self):
        for text in ("", "\n\n \t \n"):
            self.write("empty", text)
            self.run_job("wordcount", {"input": "empty", "output": "out.csv"})
            self.assertEqual((self.folder / "out.csv").read_text(), "word,count\n")

    def total_lines(self, paths):
        return sorted(b"%s,%d" % row for row in wordcount_ref.total(map(str, paths)))

    def test_words_larger_than_any_buffer(self):
        # One after the other, and several that wait for each other on every edge.
        lines = [b"h" * 65537 + b" small", b"small " + b"i" * 100000, b"j" * (1 << 20) + b" " + b"k" * 100000,
                 b"h" * 65537 + b" small " + b"i" * 100000, b"l" * LINE_BYTES_MAX, b"small"]
        for _ in range(300):
            lines.append(b" ".join(bytes([self.rng.randint(97, 122)]) * self.rng.choice((1, 12, 13, 5000, 40000, 90000))
                                   for _ in range(self.rng.randint(0, 5))))
        huge = self.write("huge.txt", b"\n".join(lines) + b"\n")
        expected = self.total_lines([huge])
        for sets in (*VARIANTS, {"parallelism": 2, "placement.cut": "all", "buffers.size": "4KiB"}):
            with self.subTest(**sets):
                self.run_job("wordcount", {"input": huge, "output": "out.csv"}, sets)
                header, *rows = (self.folder / "out.csv").read_bytes().splitlines()
                self.assertEqual(header, b"word,count")
                self.assertTrue(sorted(rows) == expected, "not the words that are due") # too long to print

    def test_large_words_in_windows_that_overlap(self):
        words = ["a" * 100000, "b" * 70000, "c", "d" * (1 << 20)]
        path = self.write("huge.txt", "".join(" ".join(self.rng.sample(words, 2)) + "\n" for _ in range(60)))
        rows, _ = wordcount_ref.windowed([str(path)], 20, 5, "line", 0)
        expected = sorted(b"%d,%d,%s,%d" % row for row in rows)
        for sets in VARIANTS:
            with self.subTest(**sets):
                self.run_job("wordcount", {"input": path, "window": "20ms", "slide": "5ms", "output": "out.csv"}, sets)
                found = sorted((self.folder / "out.csv").read_bytes().splitlines()[1:])
                self.assertTrue(found == expected, "not the rows that are due")

    def test_word_over_the_limit_is_an_error(self):
        huge = self.write("huge.txt", b"small\n" + b"h" * (LINE_BYTES_MAX + 1) + b"\n")
        for sets in VARIANTS:
            with self.subTest(**sets):
                text = self.run_job("wordcount", {"input": huge, "output": "out.csv"}, sets, code=65).text
                self.assertIn("WEIR-1401", text)
                self.assertIn("huge.txt:2", text)
                self.assertFalse((self.folder / "out.csv").exists())

    # --- windows ---

    def windows(self, path, size, slide, time, lag, sets):
        rows, late = wordcount_ref.windowed([str(path)], size, slide or size, time, lag)
        expected = self.expect(("window_start", "window_end", "word", "count"), rows)
        params = {"input": path, "output": "out.csv", "window": f"{size}ms", "time": time, "lag": f"{lag}ms"}
        if slide:
            params["slide"] = f"{slide}ms"
        self.run_job("wordcount", params, sets, ["--report", "report.json"])
        self.check(expected)
        return late, json.loads((self.folder / "report.json").read_text())

    def test_time_is_the_line_number(self):
        for size, slide in ((1000, None), (1000, 250), (700, 300), (50, 50), (100, 400)):
            for sets in VARIANTS[::3]:
                with self.subTest(size=size, slide=slide, **sets):
                    late, _ = self.windows(self.input, size, slide, "line", 0, sets)
                    self.assertEqual(late, 0)

    def test_time_is_a_field_and_late_lines_are_dropped(self):
        start = 1700000000000
        lines = []
        for i, line in enumerate(self.lines):
            lines.append(f"{start + i * 10 + self.rng.randint(-400, 400)} {line}")
        path = self.write("timed.txt", "\n".join(lines) + "\n")
        some_late = 0
        for (size, slide), lag in itertools.product(((1000, None), (1000, 500), (200, 100)), (0, 300, 900)):
            for sets in VARIANTS[1::2]:
                with self.subTest(size=size, slide=slide, lag=lag, **sets):
                    late, report = self.windows(path, size, slide, "field", lag, sets)
                    some_late += late
                    self.assertEqual(report["records_late"] > 0, late > 0 and bool(report["records_late"]))
                    if lag == 900:
                        self.assertEqual(late, 0)
                        self.assertEqual(report["records_late"], 0)
        self.assertGreater(some_late, 0)

    def test_times_before_1970_and_far_ahead(self):
        path = self.write("far.txt", "".join(f"{t} word\n" for t in
                                             (-5001, -5000, -1, 0, 1, 999, 1000, 253402300799999)))
        self.windows(path, 1000, None, "field", 0, {})
        self.windows(path, 1000, 100, "field", 0, {})

    def test_line_without_a_time_fails_or_is_skipped(self):
        path = self.write("bad.txt", "1000 a b\n  no time here\n2000 c\n")
        text = self.run_job("wordcount", {"input": path, "window": "1s", "time": "field"}, code=65).text
        self.assertIn("bad.txt:2:1", text)
        self.run_job("wordcount", {"input": path, "window": "1s", "time": "field", "on_error": "skip",
                                   "output": "out.csv"})
        self.check(self.expect(("window_start", "window_end", "word", "count"),
                               [(1000, 2000, "a", 1), (1000, 2000, "b", 1), (2000, 3000, "c", 1)]))

    def test_far_times_belong_to_the_one_count_of_all(self):
        far = 2**61 - 2
        for times in ((-far, 0, far), (far, -far, 0)):  # none is late: the window is open to the end
            path = self.write("far.txt", "".join(f"{time} a\n" for time in times))
            self.run_job("wordcount", {"input": path, "time": "field", "output": "out.csv"})
            self.check(self.expect(("word", "count"), [("a", 3)]))
        for time in (far + 1, -far - 1):
            path = self.write("far.txt", f"1 a\n{time} a\n")
            self.assertIn("far.txt:2:1", self.run_job("wordcount", {"input": path, "time": "field"}, code=65).text)

    def test_slide_without_a_window_is_refused(self):
        self.run_job("wordcount", {"input": self.input, "slide": "1s"}, code=78)

    # --- a stop ---

    def stop_when_read(self, params):
        """The output of a job over a pipe that stays open, stopped once it has read most of what is in it."""
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        process = self.start_job("wordcount", {"input": pipe, "output": "out.csv", **params})
        with open(pipe, "wb") as feed:
            # More than a pipe holds: once it is written, the job has read all but the last of it.
            feed.write(b"".join(b"word-%d\n" % n for n in range(1, 100001)))
            feed.flush()
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=rig.TIMEOUT_S)[1]
        self.assertEqual(process.returncode, 0, errors)
        return (self.folder / "out.csv").read_text().splitlines()

    def test_stop_does_not_fire_the_count_of_the_whole(self):
        # The one window ends with the input. A stop is not its end: the count would be told twice after a restore.
        self.assertEqual(self.stop_when_read({}), ["word,count"])

    def test_stop_fires_no_window_early(self):
        header, *rows = self.stop_when_read({"window": "1s"})
        self.assertEqual(header, "window_start,window_end,word,count")
        ends = {}
        for row in rows:
            start, end, word, count = row.split(",")
            number = int(word.removeprefix("word-"))
            first = number // 1000 * 1000
            self.assertEqual((int(start), int(end), count), (first, first + 1000, "1"))
            ends[first] = ends.get(first, 0) + 1
        # Whole windows, from the first on, and none for the lines read behind the last whole one.
        self.assertEqual(ends, {start: 1000 if start else 999 for start in range(0, max(ends) + 1, 1000)})
        self.assertLess(max(ends), 100000)

    # --- outputs ---

    def test_directory_keeps_whole_parts(self):
        expected = self.expect_total([self.input])
        for sets in VARIANTS[::2]:
            with self.subTest(**sets):
                out = f"out-{VARIANTS.index(sets)}/"
                self.run_job("wordcount", {"input": self.input, "output": out}, sets)
                parts = sorted((self.folder / out).iterdir())
                self.assertTrue(all(p.name.startswith("part-") for p in parts), parts)
                rows = []
                for part in parts:
                    lines = part.read_text().splitlines()
                    self.assertEqual(lines[0], "word,count")
                    rows += lines[1:]
                self.write("out.csv", "word,count\n" + "\n".join(rows) + "\n")
                self.check(expected)

    def test_json_lines_say_the_same(self):
        self.run_job("wordcount", {"input": self.input, "output": "out.jsonl"})
        rows = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        due = {word.decode(): count for word, count in wordcount_ref.total([str(self.input)])}
        self.assertEqual({row["word"]: row["count"] for row in rows}, due)
        self.assertEqual(len(rows), len(due))

    def test_file_appears_whole_and_replaces_the_old_one(self):
        out = self.write("out.csv", "old\n")
        expected = self.expect_total([self.input])
        self.run_job("wordcount", {"input": self.input, "output": out})
        self.check(expected)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["expected.csv", "input.txt", "out.csv"])
        self.run_job("wordcount", {"input": self.folder / "none", "output": out}, code=66)
        self.check(expected)

    def test_discard_prints_no_table(self):
        result = self.run_job("wordcount", {"input": self.input, "output": "discard"})
        self.assertEqual(result.stdout, b"")


if __name__ == "__main__":
    print(f"WEIR_TEST_SEED={SEED}", file=sys.stderr)
    rig.main()
