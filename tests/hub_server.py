"""A server that answers as the Hugging Face hub does, for tests of what is fetched from it.

It knows the calls of `HfApi.dataset_info`, `HfApi.list_repo_tree`, `HfApi.model_info`,
`hf_hub_download`, `snapshot_download` and `HfFileSystem`: information on a repository, its tree,
and files with ranges. A repository may be gated, and a file may be cut off or refused for a while.
Files at other addresses (`HubServer.plain`) stand for a publisher's own server.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_a_token_with_access"


@dataclass
class Repository:
    """A repository: its files, the commit that `main` is, and whether it is gated."""

    files: dict[str, bytes]
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    gated: bool = False


@dataclass
class HubServer:
    """What the server holds, and what it was asked for."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)  # "datasets/owner/name"
    plain: dict[str, bytes] = field(default_factory=dict)  # path of an address: content
    cut: dict[str, int] = field(default_factory=dict)  # file: bytes after which it breaks off, once
    busy: dict[str, int] = field(default_factory=dict)  # file: how often it is refused with 429
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range

    def put(self, name: str, files: dict[str, bytes], **options) -> Repository:
        """Add a data set of the hub."""
        repository = self.repositories[f"datasets/{name}"] = Repository(files, **options)
        return repository

    def fetched(self) -> list[str]:
        """Return the files whose contents were asked for, in order."""
        return [
            path.partition("/resolve/")[2].partition("/")[2] or path
            for method, path, _ in self.requests
            if method == "GET" and not path.startswith("/api/")
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def do_GET(self):
        self._answer()

    def do_HEAD(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def log_message(self, *_):
        pass

    def _answer(self):
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.requests.append((self.command, path, self.headers.get("Range") or ""))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path.startswith("/api/"):
            self._api(path.removeprefix("/api/"), parse_qs(url.query), body)
        elif "/resolve/" in path:
            name, _, rest = path.strip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            repository = self._repository(name, revision)
            if repository is not None:
                self._file(repository, name, file)
        elif path in self.hub.plain:
            self._content(path, self.hub.plain[path], {})
        else:
            self._refuse(404, "", "not here")

    def _repository(self, name, revision):
        repository = self.hub.repositories.get(name)
        if repository is None:  # the hub hides whether a private repository exists
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif revision not in ("main", repository.commit):
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
        else:
            return repository
        return None

    def _api(self, path, query, body):
        kind, owner, name, *rest = path.split("/")
        full = f"{owner}/{name}" if kind == "models" else f"{kind}/{owner}/{name}"
        call, revision = [*rest, "", ""][:2] if rest else ("revision", "main")
        repository = self._repository(full, revision or "main")
        if repository is None:
            return
        listed = [self._entry(p, c) for p, c in sorted(repository.files.items())]
        if call == "revision":
            siblings = [{"rfilename": e["path"], "size": e["size"]} for e in listed]
            self._json(
                {
                    "id": f"{owner}/{name}",
                    "sha": repository.commit,
                    "private": False,
                    "gated": "auto" if repository.gated else False,
                    "siblings": siblings,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                }
            )
        elif call == "tree":
            folder = "/".join(rest[2:])
            below = [e for e in listed if not folder or e["path"].startswith(f"{folder}/")]
            if query.get("recursive", ["false"])[0].lower() != "true":
                depth = folder.count("/") + 1 if folder else 0
                folders = {"/".join(e["path"].split("/")[: depth + 1]) for e in below}
                below = [
                    next(
                        (e for e in below if e["path"] == f),
                        {"type": "directory", "path": f, "oid": "0"},
                    )
                    for f in sorted(folders)
                ]
            self._json(below)
        elif call == "paths-info":
            paths = (
                json.loads(body)["paths"]
                if body.startswith(b"{")
                else parse_qs(body.decode())["paths"]
            )
            self._json([e for e in listed if e["path"] in paths])
        else:
            self._refuse(404, "", f"no call {call}")

    @staticmethod
    def _entry(path, content):
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": oid}

    def _file(self, repository, name, file):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if repository.gated and token != TOKEN:
            self._refuse(
                403 if token else 401, "GatedRepo", "Access to this data set is restricted"
            )
        elif file not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            self._content(file, repository.files[file], {"X-Repo-Commit": repository.commit})

    def _content(self, key, content, headers):
        if self.command == "GET" and self.hub.busy.get(key):
            self.hub.busy[key] -= 1
            self._refuse(429, "", "Too many requests")
            return
        start = 0
        range_header = self.headers.get("Range")
        end = len(content)
        if range_header:
            first, _, last = range_header.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, end) if last else end
        if range_header and start >= len(content):
            self._refuse(416, "", "nothing there")
            return
        self.send_response(206 if range_header else 200)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if range_header:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        after = self.hub.cut.pop(key, None)
        if after is None:
            self.wfile.write(content[start:end])
        else:
            self.wfile.write(content[start : min(after, end)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    def _json(self, content):
        raw = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _refuse(self, status, code, message):
        raw = json.dumps({"error": message}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


@contextmanager
def serve():
    """Run a server and yield its `HubServer`."""
    hub = HubServer()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # clients and tests close connections on purpose
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
