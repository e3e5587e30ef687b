"""An HTTP server that takes CloudEvents batches as a sink of kind http sends them, and answers as a
Penstock does: some events may be refused while the others are taken."""

import base64
import http.server
import json
import threading


def body_of_event(event):
    """The body of a structured CloudEvent as the bytes that a client sent, or as parsed JSON."""
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"])
    data = event.get("data")
    return data.encode() if isinstance(data, str) else data


class EventServer:
    """`refuse(event)` gives why an event is not taken, or None. `taken` are the events in the order
    in which they came. While `down` is set every request is a 503."""

    def __init__(self, refuse=lambda event: None):
        self.refuse = refuse
        self.taken = []
        self.requests = 0
        self.down = False
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = outer.take(batch)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):  # a client that was killed
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/events"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, batch):
        with self.lock:
            self.requests += 1
            if self.down:
                return 503, {"title": "down"}
            errors = []
            for index, event in enumerate(batch):
                why = self.refuse(event)
                if why:
                    errors.append({"index": index, "status": 400, "title": "no", "detail": why})
                else:
                    self.taken.append(event)
            return 202, {"accepted": len(batch) - len(errors), "rejected": len(errors),
                         "first_id": None, "last_id": None, "errors": errors}

    def ids(self):
        with self.lock:
            return [event["id"] for event in self.taken]

    def sink(self, name, **more):
        """Options of a node that make it a sink."""
        options = {"kind": "http", "url": self.url, "format": "cloudevents-batch", "max_tries": 2,
                   "retry_min": "10ms", "retry_max": "100ms", **more}
        return {f"sinks.{name}.{key}": value for key, value in options.items()}
