"""Claims: queries that arrive together are encoded together, and overload does no harm.

    python -m benchmarks.serve STORE [--seconds 15] [--soak 1800]

Throughput is at least three times that of one query at a time; overload is answered with 429 and
passes; in a long run no request fails and memory stays. STORE is of `mixling index` (here XQuAD-R's
paragraphs in eleven languages, e5-small). The server is a process on the loopback address, and the
clients are another on the same machine and share its cores, so a server alone would do more.
Queries are XQuAD-R's, all different. Each combination of endpoint, clients and largest batch runs
for some seconds after a second of warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import socket
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides import result_path
from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.models.kernel_caches import CAPACITY, VARIABLES

CLIENTS = (1, 8, 64)


def run_server(store: str, port: int, batch: int) -> None:
    """Run a server until it is killed."""
    import uvicorn

    from mixling.models.precision import choose_precision
    from mixling.searching.query import Searcher
    from mixling.serving.app import application
    from mixling.serving.config import ServerConfig

    searcher = Searcher(store)
    app = application(
        searcher,
        ServerConfig(batch_size=batch, precision=choose_precision(searcher.retriever.device)),
    )
    uvicorn.run(app, port=port, log_config=None, access_log=False, timeout_keep_alive=15)


class Server:
    """A running server."""

    def __init__(self, store: str, batch: int):
        import httpx

        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.process = multiprocessing.get_context("spawn").Process(
            target=run_server, args=(store, port, batch)
        )
        self.process.start()
        while True:
            try:
                if httpx.get(f"{self.base}/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.3)

    def memory(self) -> float:
        """Return resident memory, MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024

    def stop(self) -> None:
        """Stop the server."""
        self.process.terminate()
        self.process.join()


async def request(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, body: bytes
) -> str:
    """Send a request over an open connection and return the status of its answer."""
    reader, writer = connection
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
    if length is None:
        raise RuntimeError(f"an answer without a length: {answer!r}")
    await reader.readexactly(int(length[1]))
    return answer.split(b" ", 2)[1].decode()


async def load_on(
    base: str, path: str, bodies: Any, clients: int, seconds: float, warm: float = 1.0
) -> dict[str, Any]:
    """Let clients send requests and return answers a second, latencies and statuses.

    Each client waits for its answer before it sends the next request. They speak HTTP over plain
    sockets: a client of a library takes more of the two cores than the server does, and with 64
    connections it would be measured in the server's place.
    """
    host, port = base.removeprefix("http://").split(":")
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    start_time = time.perf_counter() + warm

    async def client() -> None:
        connection = None
        while time.perf_counter() < start_time + seconds:
            body = json.dumps(next(bodies)).encode()
            sent_time = time.perf_counter()
            try:
                connection = connection or await asyncio.open_connection(host, int(port))
                status = await request(connection, path, body)
            except (OSError, asyncio.IncompleteReadError) as error:
                status, connection = type(error).__name__, None
            if sent_time >= start_time:
                latencies.append(time.perf_counter() - sent_time)
                statuses[status] = statuses.get(status, 0) + 1
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return {
        "clients": clients,
        "answers a second": round(len(latencies) / (time.perf_counter() - start_time), 1),
        **{f"p{p} ms": round(float(np.percentile(latencies, p)) * 1000, 1) for p in (50, 99)},
        "statuses": statuses,
    }


def main() -> None:
    """Measure; rows are saved as they are measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--soak", type=float, default=0)
    arguments = parser.parse_args()
    texts = load("xquad-r").queries["text"].to_pylist()
    order = np.random.default_rng(0).permutation(len(texts))
    number = count()

    def bodies(endpoint: str) -> Any:
        for i in number:
            text = texts[order[i % len(texts)]]
            yield (
                {"input": text, "input_type": "query", "model": "m"}
                if endpoint == "embeddings"
                else {"query": text, **({"order": "score"} if endpoint == "search, none" else {})}
            )

    paths = {
        "embeddings": "/v1/embeddings",
        "search, none": "/v1/search",
        "search, query-language-first": "/v1/search",
    }
    result = result_path(__file__)
    content: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}

    def save(**parts: Any) -> None:
        content.update(parts, machine=machine_info(), versions=library_versions())
        write_text(result, json.dumps(content, indent=1) + "\n")
        print(json.dumps(parts), flush=True)

    if not arguments.soak:
        rows = []
        for batch in (64, 1):
            server = Server(arguments.store, batch)
            for endpoint, path in paths.items():
                for clients in CLIENTS:
                    measurement = asyncio.run(
                        load_on(server.base, path, bodies(endpoint), clients, arguments.seconds)
                    )
                    rows.append({"endpoint": endpoint, "largest batch": batch, **measurement})
                    save(rows=rows)
            if batch == 64:
                overload = asyncio.run(
                    load_on(server.base, paths["embeddings"], bodies("embeddings"), 600, 5)
                )
                recovery = asyncio.run(
                    load_on(server.base, paths["embeddings"], bodies("embeddings"), 8, 3)
                )
                save(overload={"during": overload, "after": recovery})
            server.stop()
        return
    server = Server(arguments.store, 64)
    memory, answers, end = [round(server.memory())], 0, time.perf_counter() + arguments.soak
    statuses: dict[str, int] = {}
    while time.perf_counter() < end:
        measurement = asyncio.run(
            load_on(
                server.base,
                paths["search, query-language-first"],
                bodies("search"),
                8,
                min(30, end - time.perf_counter()),
                0,
            )
        )
        for status, n in measurement["statuses"].items():
            statuses[status] = statuses.get(status, 0) + n
            answers += n
        memory.append(round(server.memory()))
        content["soak"] = {
            "seconds": arguments.soak,
            "answers": answers,
            "statuses": statuses,
            "memory, MB": memory,
            "kernels": {name: os.environ.get(name, CAPACITY) for name in VARIABLES},
            "machine": machine_info(),
            "versions": library_versions(),
        }
        write_text(result, json.dumps(content, indent=1) + "\n")
        print(json.dumps(content["soak"]), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
