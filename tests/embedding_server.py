"""A server that behaves as OpenAI's `/v1/embeddings` does, also in what goes wrong.

Faults are given as a list; each request takes the next one: "busy" (429 with Retry-After), "fail"
(500), "hang", "short" (a vector is missing), "twice" (a place is given twice), "reorder", "nan",
"nonsense" (no JSON), None. Without faults every request is answered.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


def letters(texts, role=None):
    """Vectors that depend on the texts alone: counts of letters, and a constant."""
    out = np.ones((len(texts), 33), np.float32)
    for row, text in enumerate(texts):
        for letter in text.lower():
            out[row, hash_of(letter)] += 1
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def hash_of(letter):
    return ord(letter) * 2654435761 % 2**32 % 32


class EmbeddingServer:
    """The server, on a free loopback port.

    `texts` counts each text that was answered; `sent` each text that came; `hold` an event that
    keeps requests waiting from the `hold_after`-th on.
    """

    def __init__(self, encode=letters, faults=(), key=None, hold_after=None):
        self.encode, self.faults, self.key, self.hold_after = encode, list(faults), key, hold_after
        self.texts, self.sent, self.bodies, self.paths = Counter(), Counter(), [], []
        self.times, self.headers, self.waiting, self.most = [], [], 0, 0
        self.answered, self.release = 0, threading.Event()
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    server.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            self.bodies.append(body)
            self.paths.append(handler.path)
            self.headers.append(dict(handler.headers))
            self.times.append(time.monotonic())
            number = len(self.bodies)
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        try:
            self._answer(handler, body, fault, number)
        finally:
            with self.lock:
                self.waiting -= 1

    def _answer(self, handler, body, fault, number):
        if self.key and handler.headers.get("Authorization") != f"Bearer {self.key}":
            wrong = handler.headers.get("Authorization", "").removeprefix("Bearer ")
            self.error(handler, 401, f"Incorrect API key provided: {wrong}")
            return
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with self.lock:
            self.sent.update(texts)
        if fault == "busy":
            self.error(handler, 429, "Rate limit reached", {"Retry-After": "1"})
            return
        if fault == "quota":
            self.error(handler, 429, "insufficient_quota: check your plan")
            return
        if fault == "fail":
            self.error(handler, 500, "The server had an error")
            return
        if fault == "refuse":
            self.error(handler, 400, "maximum context length is 8192 tokens")
            return
        if fault == "hang":
            time.sleep(3)
            return
        if fault == "nonsense":
            self.write(handler, 200, b"<html>a gateway's page</html>")
            return
        if self.hold_after is not None and number > self.hold_after:
            self.release.wait(60)
            return
        vectors = np.asarray(self.encode(texts, body.get("input_type")), np.float32)
        if "dimensions" in body:
            vectors = vectors[:, : body["dimensions"]]
        if fault == "nan":
            vectors = vectors * np.nan
        items = []
        for place, vector in enumerate(vectors):
            value = vector.tolist()
            if body.get("encoding_format") == "base64":
                value = base64.b64encode(vector.astype("<f4").tobytes()).decode()
            items.append({"object": "embedding", "index": place, "embedding": value})
        if fault == "short":
            items = items[:-1]
        if fault == "twice":
            items[-1]["index"] = 0
        if fault == "reorder":
            items = items[::-1]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        answer = {"object": "list", "data": items, "model": body["model"], "usage": usage}
        if fault in (None, "reorder"):  # counted before it is sent: a test may wait for all of it
            with self.lock:
                self.answered += 1
                self.texts.update(texts)
        self.write(handler, 200, json.dumps(answer).encode())

    def error(self, handler, status, message, headers=None):
        content = {"error": {"message": message, "type": "error", "code": None}}
        self.write(handler, status, json.dumps(content).encode(), headers)

    def write(self, handler, status, content, headers=None):
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        handler.wfile.flush()
