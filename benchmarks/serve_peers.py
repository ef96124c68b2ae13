"""Claim: an embedding server of Mixling's is ahead of infinity-emb and of a plain FastAPI server.

    python -m benchmarks.serve_peers STORE [--infinity COMMAND] [--seconds 10]

Each server loads e5-small from the same folder and answers `POST /v1/embeddings` (infinity:
`/embeddings`) with one XQuAD-R query a request, at 1, 8 and 64 clients; all queries differ. Mixling
and the plain server (sentence-transformers' `encode` behind FastAPI, a call for each request in a
pool of threads) run in this environment; infinity-emb needs other versions of libraries and runs in
an environment of its own, where COMMAND is its `infinity_emb`. The servers run one after another,
and the whole round is repeated; figures are medians over rounds. The clients share the machine's
cores with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serve import CLIENTS, load_on
from benchmarks.sides import result_path
from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.machine import library_versions, machine_info
from mixling.models.weights import DEFAULT, locate_model

ROUNDS = 3
PLAIN = """
import sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(sys.argv[1], device="cpu", model_kwargs={"dtype": sys.argv[3]})
app = FastAPI()

class Request(BaseModel):
    input: str

@app.get("/ready")
def ready():
    return {}

@app.post("/v1/embeddings")
def embeddings(request: Request):
    vector = model.encode([request.input], prompt_name="query", show_progress_bar=False)[0]
    return {"data": [{"index": 0, "embedding": vector.tolist()}]}

uvicorn.run(app, port=int(sys.argv[2]), log_config=None, access_log=False)
"""


def write_older_form(out: Path) -> None:
    """Write the model as sentence-transformers before version 6 reads it, for infinity-emb."""
    shutil.copytree(locate_model(DEFAULT)[0], out)

    def change(name: str, **values: Any) -> None:
        (out / name).write_text(json.dumps(values))

    modules = json.loads((out / "modules.json").read_text())
    for module in modules:
        module["type"] = "sentence_transformers.models." + module["type"].rsplit(".", 1)[1]
    (out / "modules.json").write_text(json.dumps(modules))
    tokenizer = json.loads((out / "tokenizer_config.json").read_text())
    change("tokenizer_config.json", **{**tokenizer, "tokenizer_class": "PreTrainedTokenizerFast"})
    dimensions = json.loads((out / "config.json").read_text())["hidden_size"]
    pooling = {"word_embedding_dimension": dimensions, "pooling_mode_mean_tokens": True}
    change("1_Pooling/config.json", **pooling)
    change("sentence_bert_config.json", max_seq_length=512, do_lower_case=False)


def commands(
    store: str, infinity: str | None, older: Path, port: int
) -> dict[str, tuple[list[str], str, str]]:
    """Return command, path that says that it is ready, and path of the embeddings, by server."""
    folder = locate_model(DEFAULT)[0]
    mixling = [sys.executable, "-m", "mixling", "serve", store, "--port", str(port)]
    ready, path = "/ready", "/v1/embeddings"
    found = {"Mixling": (mixling, ready, path)}
    for dtype in ("float32", "bfloat16"):
        plain = [sys.executable, "-c", PLAIN, folder, str(port), dtype]
        found[f"sentence-transformers behind FastAPI, {dtype}"] = (plain, ready, path)
    if infinity:
        for dtype, layers in (
            ("float32", "bettertransformer"),
            ("bfloat16", "no-bettertransformer"),
        ):
            options = ["--engine", "torch", "--device", "cpu", "--dtype", dtype, f"--{layers}"]
            options += ["--port", str(port), "--log-level", "error"]
            command = [infinity, "v2", "--model-id", str(older), *options]
            found[f"infinity-emb, {dtype}"] = (command, "/health", "/embeddings")
    return found


@contextlib.contextmanager
def running(command: list[str], base: str, ready: str) -> Iterator[None]:
    """Run a server until the block ends."""
    import httpx

    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, "INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1"},
        )
        try:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(base + ready, timeout=60).status_code == 200:
                        break
                if server.poll() is not None:
                    output.seek(0)
                    raise SystemExit(output.read().decode()[-2000:])
                time.sleep(0.3)
            yield
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    """Measure; the table is saved after each round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--infinity", help="the command infinity_emb")
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    texts = load("xquad-r").queries["text"].to_pylist()
    order, number = np.random.default_rng(0).permutation(len(texts)), count()

    def bodies(name: str) -> Iterator[dict[str, Any]]:
        for i in number:
            text = texts[order[i % len(texts)]]
            if name == "Mixling":
                yield {"input": text, "input_type": "query", "model": "m"}
            elif name.startswith("infinity"):
                yield {"input": f"query: {text}", "model": "any"}
            else:
                yield {"input": text}

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    base, measured = f"http://127.0.0.1:{port}", []
    temporary = tempfile.TemporaryDirectory()  # removed at the end
    older = Path(temporary.name) / "model"
    write_older_form(older)
    servers = commands(arguments.store, arguments.infinity, older, port)
    for _ in range(ROUNDS):
        for name, (command, ready, path) in servers.items():
            with running(command, base, ready):
                for clients in CLIENTS:
                    run = load_on(base, path, bodies(name), clients, arguments.seconds, 2.0)
                    measured.append({"server": name, **asyncio.run(run)})
                    print(json.dumps(measured[-1]), flush=True)
        rows = []
        for name in dict.fromkeys(row["server"] for row in measured):
            for clients in CLIENTS:
                own = [x for x in measured if (x["server"], x["clients"]) == (name, clients)]
                columns = [x for x in own[0] if x not in ("server", "clients", "statuses")]
                medians = {x: round(float(np.median([r[x] for r in own])), 1) for x in columns}
                refused = sum(n for r in own for s, n in r["statuses"].items() if s != "200")
                rows.append({"server": name, "clients": clients, **medians, "refused": refused})
        content = {"rows": rows, "rounds": len(own)}
        content |= {"machine": machine_info(), "versions": library_versions()}
        result = Path(result_path(__file__))
        write_text(result, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
