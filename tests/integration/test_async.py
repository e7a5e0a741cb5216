#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_async.py WEIR JOBS-DIR: the async operator against a slow HTTP server, whose answers come in another order
than they were asked for, late, refused, or never."""
import csv
import http.server
import io
import pathlib
import signal
import sys
import threading
import time

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
LINES = [f"word-{i}-{'x' * (i % 30)}" for i in range(200)]
DELAYS_S = (0.001, 0.002, 0.02, 0.005, 0.04)


def turned(line):
    return line[::-1]


class Server(http.server.ThreadingHTTPServer):
    """Answers GET /LINE with the line turned round. Says how many it had on its hands at once."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked = []
        self.now = 0
        self.most = 0
        self.refuses = set()  # lines that are refused the first time
        self.hangs = set()
        self.released = threading.Event()

    def handle_error(self, *_):
        pass  # a job ended or died: its connections with it


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, line = self.server, self.path[1:]
        with server.lock:
            nth = server.asked.count(line)
            server.asked.append(line)
            server.now += 1
            server.most = max(server.most, server.now)
        time.sleep(DELAYS_S[len(line) % len(DELAYS_S)])  # it is slow: what is tested waits for it
        if line in server.hangs:
            server.released.wait(60)
        with server.lock:
            server.now -= 1
        body = turned(line).encode()
        self.send_response(503 if line in server.refuses and nth == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # nobody waits for it any more

    def log_message(self, *_):
        pass


class Async(rig.Rig):
    def setUp(self):
        super().setUp()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # jobs end while the server still answers
        self.server = Server()
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.released.set)
        (self.folder / "lines.txt").write_text("".join(f"{line}\n" for line in LINES))
        self.params = {"input": "lines.txt", "output": "-", "url": f"http://127.0.0.1:{self.server.server_address[1]}"}

    def ask(self, params=(), code=0, **kwargs):
        return self.run_job(JOBS / "lookup.so", {**self.params, **dict(params)}, code=code, **kwargs)

    @staticmethod
    def rows(text):
        return [(row["line"], row["answer"]) for row in csv.DictReader(io.StringIO(text))]

    def wanted(self, lines=LINES):
        return [(line, turned(line)) for line in lines]

    def test_T318_ordered_answers_come_as_the_lines(self):
        result = self.ask()
        self.assertEqual(self.rows(result.stdout.decode()), self.wanted())
        self.assertEqual(sorted(self.server.asked), sorted(LINES))
        self.assertGreater(self.server.most, 1)
        self.assertLessEqual(self.server.most, 20)

    def test_T318_unordered_answers_are_all_there(self):
        result = self.ask({"unordered": "true", "capacity": 50})
        self.assertEqual(sorted(self.rows(result.stdout.decode())), sorted(self.wanted()))

    def test_T318_a_refusal_fails_the_job_or_is_tried_again(self):
        self.server.refuses = set(LINES[50:150:7])
        text = self.ask(code=69).text
        self.assertEqual(text.count("error WEIR-1303"), 1, text)
        self.assertIn("HTTP status 503", text)
        self.server.asked = []
        result = self.ask({"attempts": 2})
        self.assertEqual(self.rows(result.stdout.decode()), self.wanted())
        self.assertEqual(len(self.server.asked), len(LINES) + len(self.server.refuses))

    def test_T318_a_server_that_hangs_fails_the_job_or_is_answered_for(self):
        self.server.hangs = {LINES[7], LINES[150]}
        text = self.ask({"timeout": "500ms"}, code=1).text
        self.assertEqual(text.count("error WEIR-1305"), 1, text)
        self.assertIn("within 500 ms", text)
        result = self.ask({"timeout": "500ms", "fallback": "true"})
        want = [(line, "(no answer)" if line in self.server.hangs else turned(line)) for line in LINES]
        self.assertEqual(self.rows(result.stdout.decode()), want)

    def test_a_seed_cannot_order_threads(self):
        text = self.ask(sets={"poller": "seed:1"}, code=78).text
        self.assertIn("operator look up waits for threads of its own", text)

    def test_T318_killed_with_rows_on_their_way_it_asks_again(self):
        self.server.hangs = {LINES[20]}
        self.params |= {"output": "out.csv", "capacity": 300}
        sets = {"checkpoints.dir": "cp", "checkpoints.interval": "10ms"}
        # So slow that the source has lines left when checkpoints are seen: behind its end, a task waits for answers alone.
        process = self.start_job(JOBS / "lookup.so", self.params | {"rate": 10}, sets)
        name = process.name
        status = self.status_when(process, lambda _: LINES[20] in self.server.asked)
        done = status["checkpoints"]["completed"]
        self.status_when(process, lambda status: status["checkpoints"]["completed"] > done + 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = len(self.server.asked)
        self.assertLess(before, len(LINES))
        self.server.hangs = set()
        self.server.released.set()
        self.run_job(JOBS / "lookup.so", self.params, sets, flags=["--name", name, "--restore=latest"])
        self.assertEqual(self.rows((self.folder / "out.csv").read_text()), self.wanted())
        again = self.server.asked[before:]
        self.assertIn(LINES[20], again)
        self.assertNotIn(LINES[0], again)


if __name__ == "__main__":
    rig.main(2)
