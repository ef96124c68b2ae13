"""Claims: questions that come together are encoded together, for at least three times the
throughput of one at a time; overload is answered 429 and goes over; a long run fails nothing and
its memory stays.

    python -m benchmarks.serve STORE [--seconds 15] [--soak 600]

STORE: of `mixling index` (here XQuAD-R's paragraphs in eleven languages, e5-small). The server is a
process of its own on the loopback address, the clients are one more on the same machine, so they
share its cores: what is measured is the least that a server alone would do. Questions are
XQuAD-R's, all different. Each combination of endpoint, clients and largest batch runs for some
seconds after a second of warming up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
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

CLIENTS = (1, 8, 64)


def run_server(store: str, port: int, batch: int) -> None:
    """A server until it is killed."""
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
        """Resident, MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.join()


async def load_on(
    base: str, path: str, bodies: Any, clients: int, seconds: float, warm: float = 1.0
) -> dict[str, Any]:
    """Each client asks, waits for the answer, asks again: answers a second, latencies, statuses."""
    import httpx

    took: list[float] = []
    statuses: dict[str, int] = {}
    begun = time.perf_counter() + warm

    async def client(http: httpx.AsyncClient) -> None:
        while time.perf_counter() < begun + seconds:
            sent = time.perf_counter()
            try:
                status = str((await http.post(path, json=next(bodies))).status_code)
            except httpx.TransportError as error:
                status = type(error).__name__
            if sent >= begun:
                took.append(time.perf_counter() - sent)
                statuses[status] = statuses.get(status, 0) + 1

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    return {
        "clients": clients,
        "answers a second": round(len(took) / (time.perf_counter() - begun), 1),
        **{f"p{p} ms": round(float(np.percentile(took, p)) * 1000, 1) for p in (50, 99)},
        "statuses": statuses,
    }


def main() -> None:
    """Measure; rows are kept as they come."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--soak", type=float, default=0)
    given = parser.parse_args()
    texts = load("xquad-r").queries["text"].to_pylist()
    order = np.random.default_rng(0).permutation(len(texts))
    number = count()

    def bodies(kind: str) -> Any:
        for i in number:
            text = texts[order[i % len(texts)]]
            yield (
                {"input": text, "input_type": "query", "model": "m"}
                if kind == "embeddings"
                else {"query": text, **({"order": "score"} if kind == "search, none" else {})}
            )

    paths = {
        "embeddings": "/v1/embeddings",
        "search, none": "/v1/search",
        "search, query-language-first": "/v1/search",
    }
    result = result_path(__file__)
    whole: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}

    def keep(**more: Any) -> None:
        whole.update(more, machine=machine_info(), versions=library_versions())
        write_text(result, json.dumps(whole, indent=1) + "\n")
        print(json.dumps(more), flush=True)

    if not given.soak:
        rows = []
        for batch in (64, 1):
            server = Server(given.store, batch)
            for kind, path in paths.items():
                for clients in CLIENTS:
                    found = asyncio.run(
                        load_on(server.base, path, bodies(kind), clients, given.seconds)
                    )
                    rows.append({"asked": kind, "largest batch": batch, **found})
                    keep(rows=rows)
            if batch == 64:
                flood = asyncio.run(
                    load_on(server.base, paths["embeddings"], bodies("embeddings"), 600, 5)
                )
                after = asyncio.run(
                    load_on(server.base, paths["embeddings"], bodies("embeddings"), 8, 3)
                )
                keep(overload={"during": flood, "after": after})
            server.stop()
        return
    server = Server(given.store, 64)
    memory, answers, end = [round(server.memory())], 0, time.perf_counter() + given.soak
    statuses: dict[str, int] = {}
    while time.perf_counter() < end:
        found = asyncio.run(
            load_on(
                server.base,
                paths["search, query-language-first"],
                bodies("search"),
                8,
                min(30, end - time.perf_counter()),
                0,
            )
        )
        for status, n in found["statuses"].items():
            statuses[status] = statuses.get(status, 0) + n
            answers += n
        memory.append(round(server.memory()))
        keep(
            soak={
                "seconds": given.soak,
                "answers": answers,
                "statuses": statuses,
                "memory, MB": memory,
            }
        )
    server.stop()


if __name__ == "__main__":
    main()
