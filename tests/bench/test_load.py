"""Checks the load generator against a small server of its own: python3 test_load.py BENCH_LOAD."""

import json
import socket
import subprocess
import sys
import threading
import time
import unittest

BENCH_LOAD = sys.argv.pop(1)


class SmallServer:
    """Answers each request with what `answer(number, head, body)` returns; sequential a connection."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/v1/events" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        data = b""
        with peer:
            while True:
                while b"\r\n\r\n" not in data:
                    more = peer.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                              if line.lower().startswith(b"content-length:"))
                while len(data) < length:
                    data += peer.recv(65536)
                body, data = data[:length], data[length:]
                with self.lock:
                    number = len(self.requests)
                    self.requests.append((head, body))
                out = self.answer(number, head, body)
                if out is None:
                    return
                peer.sendall(out)
                if b"Connection: close" in out:
                    return

    def close(self):
        # Only then is the descriptor given back: the next server's listener gets its number, and a
        # thread that is about to accept would take connections from it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{"id":"1"}'


class LoadTest(unittest.TestCase):
    def run_load(self, answer, *arguments):
        server = SmallServer(answer)
        self.addCleanup(server.close)
        done = subprocess.run([BENCH_LOAD, "--url", server.url, *arguments], check=True,
                              capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout), server.requests

    def test_sends_the_number_asked_for(self):
        result, requests = self.run_load(lambda *_: ACCEPTED, "--requests", "101",
                                         "--connections", "3", "--threads", "2")
        self.assertEqual(result["requests"], 101)
        self.assertEqual(result["status"], {"202": 101})
        self.assertEqual(result["errors"], {})
        self.assertEqual(len(requests), 101)
        for _, body in requests:
            self.assertEqual(len(body), 300)
            json.loads(body)

    def test_a_stall_counts_for_all_that_were_due(self):
        """One connection, 200 requests/s, one stall of 0.5 s: about 100 requests were due meanwhile
        and must show it, which a closed loop would count as one slow request."""
        def answer(number, *_):
            time.sleep(0.5 if number == 20 else 0)
            return ACCEPTED
        result, _ = self.run_load(answer, "--connections", "1", "--rate", "200", "--duration-s", "2")
        self.assertEqual(result["requests"], 400)
        self.assertGreater(result["latency_us"]["p90"], 200_000)
        self.assertLess(result["latency_us"]["p50"], 100_000)
        closed, _ = self.run_load(answer, "--connections", "1", "--duration-s", "2")
        self.assertLess(closed["latency_us"]["p99"], 200_000)

    def test_counts_statuses_and_reconnects(self):
        def answer(number, *_):
            if number % 2:
                return (b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"
                        b"Content-Length: 0\r\n\r\n")
            return ACCEPTED
        result, _ = self.run_load(answer, "--requests", "50", "--connections", "2")
        self.assertEqual(result["requests"], 50)
        self.assertEqual(result["status"], {"202": 25, "429": 25})
        self.assertEqual(result["events"], 25)
        self.assertEqual(result["errors"], {})

    def test_a_lost_answer_is_an_error(self):
        result, _ = self.run_load(lambda number, *_: None if number == 3 else ACCEPTED,
                                  "--requests", "10", "--connections", "1")
        self.assertEqual(result["errors"], {"closed": 1})
        self.assertEqual(result["status"], {"202": 9})

    def test_answers_in_pieces(self):
        """Split by the kernel or not, a 300 kB answer after 100 Continue is one answer."""
        large = (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 300000\r\n"
                 b"\r\n" + b"x" * 300000)
        result, _ = self.run_load(lambda *_: large, "--requests", "5", "--connections", "1")
        self.assertEqual(result["status"], {"202": 5})

    def test_batches_and_clients(self):
        result, requests = self.run_load(
            lambda *_: ACCEPTED, "--requests", "6", "--connections", "1", "--ndjson", "7",
            "--client-header", "X-Client", "--clients", "3", "--header", "X-More: yes")
        self.assertEqual(result["events"], 42)
        clients = set()
        for head, body in requests:
            self.assertEqual(len([json.loads(line) for line in body.split(b"\n")]), 7)
            lines = head.split(b"\r\n")
            self.assertIn(b"X-More: yes", lines)
            self.assertIn(b"Content-Type: application/x-ndjson", lines)
            clients.update(line for line in lines if line.startswith(b"X-Client: "))
        self.assertEqual(len(clients), 3)

    def test_no_server(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        done = subprocess.run([BENCH_LOAD, "--url", f"http://127.0.0.1:{port}/"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 69)
        self.assertIn("cannot connect", done.stderr)


if __name__ == "__main__":
    unittest.main()
