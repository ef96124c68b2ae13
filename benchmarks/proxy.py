"""What `mixling proxy` adds to the latency of an embedding API, by the number of clients.

    python -m benchmarks.proxy [--seconds 1.5] [--rounds 3]

An upstream, a proxy before it and the clients are three processes on one machine, so they share its
cores. The upstream answers each request for one text with the same vector of 1,536 numbers, at once
or after 50 ms. Each client waits for its answer before it sends the next request. Clients ask the
upstream directly and through the proxy in turns; figures are medians of the rounds. All of it takes
less than two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import re
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.sides import write

DIMENSIONS = 1536
CLIENTS = (1, 8, 64)
CASES = (("base64", 0.0), ("base64", 0.05), ("float", 0.05))  # form, seconds of the upstream
PATH = "/v1/embeddings"
WARM_UP = 0.25  # seconds


def run_upstream(port: int) -> None:
    """Run an API until it is killed; the field `user` of a request holds its seconds."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    vector = np.random.default_rng(0).standard_normal(DIMENSIONS)
    vector = (vector / np.linalg.norm(vector)).astype("<f4")
    forms = {"base64": base64.b64encode(vector.tobytes()).decode(), "float": vector.tolist()}
    contents = {
        name: json.dumps(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": form}],
                "model": "m",
                "usage": {"prompt_tokens": 9, "total_tokens": 9},
            }
        ).encode()
        for name, form in forms.items()
    }

    async def embeddings(request: Request) -> Response:
        body = json.loads(await request.body())
        await asyncio.sleep(float(body["user"]))
        return Response(contents[body["encoding_format"]], media_type="application/json")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [Route(PATH, embeddings, methods=["POST"]), Route("/health", health)]
    uvicorn.run(Starlette(routes=routes), port=port, log_config=None, access_log=False)


def run_proxy(port: int, upstream: str) -> None:
    """Run the proxy of an affine transform until it is killed."""
    import uvicorn

    from mixling.serving.proxy import keep_from_collector
    from mixling.serving.proxy_app import ProxyConfig, proxy_application
    from mixling.transforms.transforms import AffineTransform

    matrix = np.eye(DIMENSIONS, dtype=np.float32) + np.float32(0.01)
    transform = AffineTransform(matrix, np.full(DIMENSIONS, 0.01, np.float32))
    app = proxy_application(transform, ProxyConfig(f"{upstream}/v1"))
    keep_from_collector()
    uvicorn.run(app, port=port, log_config=None, access_log=False)


def start(run: Callable[..., None], *arguments: Any) -> tuple[multiprocessing.Process, str]:
    """Start a server in a process of its own, and wait until it answers."""
    import httpx

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=run, args=(port, *arguments))
    process.start()
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{address}/health").raise_for_status()
            return process, address
        except httpx.TransportError:
            time.sleep(0.2)


async def load_on(address: str, body: bytes, clients: int, seconds: float) -> dict[str, float]:
    """Let clients send requests, each on a connection of its own, and return their latencies.

    Clients are sockets, since a client library would take more time than the proxy.
    """
    host, port = address.removeprefix("http://").split(":")
    head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    latencies: list[float] = []
    begin = time.perf_counter() + WARM_UP

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        while (sent := time.perf_counter()) < begin + seconds:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{address}: {answer.decode()}")
            length = re.search(rb"(?i)content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
            if sent >= begin:
                latencies.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return {
        "answers a second": len(latencies) / seconds,
        **{f"p{p} ms": 1000 * float(np.percentile(latencies, p)) for p in (50, 99)},
    }


def main() -> None:
    """Measure both sides of each case in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    upstream, direct = start(run_upstream)
    proxy, proxied = start(run_proxy, direct)
    load_before = os.getloadavg()[0]
    rows = []
    for form, seconds in CASES:
        body = {"input": "text", "model": "m", "encoding_format": form, "user": str(seconds)}
        content = json.dumps(body).encode()
        for clients in CLIENTS:
            sides: dict[str, list[dict[str, float]]] = {"direct": [], "proxy": []}
            for _ in range(arguments.rounds):
                for name, address in (("direct", direct), ("proxy", proxied)):
                    sides[name].append(
                        asyncio.run(load_on(address, content, clients, arguments.seconds))
                    )
            row: dict[str, Any] = {
                "form": form,
                "upstream ms": round(1000 * seconds),
                "clients": clients,
            }
            for key in ("p50 ms", "p99 ms", "answers a second"):
                values = {
                    name: statistics.median(x[key] for x in found) for name, found in sides.items()
                }
                row.update({f"{key}, {name}": round(value, 1) for name, value in values.items()})
                if key != "answers a second":
                    row[f"{key}, added"] = round(values["proxy"] - values["direct"], 1)
            rows.append(row)
            print(json.dumps(row), flush=True)
    for process in (proxy, upstream):
        process.terminate()
        process.join()
    write(
        __file__,
        {
            "dimensions": DIMENSIONS,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "load before": round(load_before, 2),
            "load after": round(os.getloadavg()[0], 2),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
