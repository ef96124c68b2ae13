"""A server with the published forms of `/rerank`: Cohere's, Jina's, Voyage's and TEI's.

Faults are given as a list; each request takes the next one: "busy" (429 with Retry-After), "fail"
(500), "refuse" (400), "short" (a passage has no score), "twice" (an index comes twice), "nan",
"nonsense" (no JSON), None. Without faults every request is answered.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RerankServer:
    """The server, on a free loopback port.

    `bodies`, `paths` and `headers` are those of the requests; `score` takes a query and a passage.
    """

    def __init__(self, score, form="cohere", faults=(), key=None):
        self.score, self.form, self.faults, self.key = score, form, list(faults), key
        self.bodies, self.paths, self.headers = [], [], []
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    fault = server.faults.pop(0) if server.faults else None
                    server.bodies.append(body)
                    server.paths.append(self.path)
                    server.headers.append({k.lower(): v for k, v in self.headers.items()})
                status, content, headers = server.answer(body, fault, self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, body, fault, headers):
        if self.key and headers.get("Authorization") != f"Bearer {self.key}":
            return self.error(401, "invalid api token")
        if fault == "busy":
            return self.error(429, "too many requests", {"Retry-After": "2"})
        if fault == "fail":
            return self.error(500, "inference failed")
        if fault == "refuse":
            return self.error(400, "model not found")
        if fault == "nonsense":
            return 200, b"<html>a gateway's page</html>", {}
        texts = body.get("texts") if self.form == "tei" else body.get("documents")
        if texts is None:
            return self.error(422, "missing field `texts`")
        if self.form == "tei" and len(texts) > 32:
            return self.error(413, f"batch size {len(texts)} > maximum allowed batch size 32")
        scores = [self.score(body["query"], text) for text in texts]
        if fault == "nan":
            scores[0] = float("nan")
        name = "score" if self.form == "tei" else "relevance_score"
        items = [{"index": i, name: s} for i, s in enumerate(scores)]
        items.sort(key=lambda item: -item[name])  # best first, as they all answer
        if fault == "short":
            items = items[:-1]
        if fault == "twice":
            items[-1]["index"] = items[0]["index"]
        content = {
            "tei": items,
            "cohere": {
                "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
                "results": items,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
            },
            "jina": {
                "model": body.get("model"),
                "object": "list",
                "usage": {"total_tokens": 815},
                "results": items,
            },
            "voyage": {
                "object": "list",
                "data": items,
                "model": body.get("model"),
                "usage": {"total_tokens": 26},
            },
        }[self.form]
        return 200, json.dumps(content).encode(), {"Content-Type": "application/json"}

    def error(self, status, message, headers=None):
        content = (
            {"error": message, "error_type": "x"} if self.form == "tei" else {"message": message}
        )
        return status, json.dumps(content).encode(), headers or {}
