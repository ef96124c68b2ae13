"""The examples run as they stand, on a tiny model."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.models import shipped
from mixling.transforms.transforms import normalize

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.slow


@pytest.fixture
def run(forks, tmp_path):
    """Run an example in the test's folder: run(name, *arguments) -> what it prints."""

    def call(name, *arguments):
        done = forks.run(EXAMPLES / name, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return call


def test_hybrid_batches_in_a_sentence_transformers_script(chain, tmp_path, run):
    assert "out/model" in run("hybrid_in_sentence_transformers.py", chain, 2)
    assert (tmp_path / "out" / "model" / "modules.json").exists()


def test_stored_vectors_are_debiased(tmp_path, run):
    rng = np.random.default_rng(0)
    meaning, direction = rng.normal(size=(60, 96)), rng.normal(size=(3, 96)) * 2
    languages = np.arange(180) % 3
    v = meaning[np.arange(180) // 3] + direction[languages]
    v = (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    (tmp_path / "in").mkdir()
    pq.write_table(
        pa.table(
            {
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 96),
                "language": np.array(["en", "sw", "th"])[languages],
                "group": [str(i // 3) for i in range(180)],
                "role": ["query"] * 90 + ["passage"] * 90,
            }
        ),
        tmp_path / "in" / "a.parquet",
    )
    lines = run("mend_vectors.py", "in", "out").splitlines()[:3]
    for line in lines:
        old, new = (float(x) for x in line.partition(": ")[2].split(" -> "))
        assert new > 0.9 and new > old, line


def test_stored_vectors_are_transformed_by_a_shipped_transform(tmp_path, run):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(20, 384)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 384)
    (tmp_path / "in").mkdir()
    pq.write_table(
        pa.table({"vector": column, "language": ["en", "sw"] * 10}), tmp_path / "in" / "a.parquet"
    )
    assert "en: " in run("mend_vectors.py", "in", "out", "balanced")
    transformed = np.stack(
        pq.read_table(tmp_path / "out" / "vectors" / "a.parquet")["vector"].to_pylist()
    )
    matrix, bias, _ = shipped.read_shipped()
    assert transformed == pytest.approx(normalize(v @ matrix.T + bias), abs=1e-5)


def test_an_audit_beside_baselines(chain, tmp_path, run):
    lines = run("audit.py", chain, "sample", "bm25").splitlines()
    assert lines[0].startswith("bm25: monolingual") and f"{chain}: monolingual" in lines[1]
    assert (tmp_path / lines[-1]).exists() and (
        tmp_path / "audit" / "bm25" / "report.html"
    ).exists()


@pytest.mark.parametrize("translated", [False, True])
def test_training_with_queries_from_a_table(chain, tmp_path, translated, run):
    rows = [
        {
            "question": f"Who built bridge {i} ({x})?",
            "answer": f"Bridge {i} was built by mason {i} ({x}).",
            "language": x,
            "group": str(i),
        }
        for i in range(20)
        for x in ("en", "de")[: 2 if translated else 1]
    ]
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines = run("train_with_your_questions.py", "pairs.csv", "out", chain, 2).splitlines()
    assert ("hybrid batches" if translated else "x-x-mono batches") in lines[0]
    assert (tmp_path / lines[-1] / "model.safetensors").exists()


def test_a_study_on_a_cluster(chain, tmp_path, forks):
    """Slurm's commands are stood in for: one node, two processes."""
    for name, text in (("srun", 'exec "$@"'), ("scontrol", "echo 127.0.0.1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "grid.toml").write_text(
        '[study]\ntasks = ["sample"]\ndevelopment = "mlqa-held-out"\n'
        '[base]\ndata = { sources = ["sample"] }\n'
        f'model = {{ name = "{chain}" }}\ntraining = {{ steps = 2 }}\nbatches = {{ size = 8 }}\n'
        '[[variants]]\nname = "none"\ntrain = false\n[[variants]]\nname = "hybrid"\n'
    )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "a",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_JOB_ID": "7",
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    script = ["bash", str(EXAMPLES / "paper_on_a_cluster.sh"), "grid.toml", "hybrid", "0"]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads((tmp_path / "runs/grid/hybrid-0/run/run.json").read_text())
    assert facts["processes"] == 2 and facts["steps"] == 2
    before = (tmp_path / "runs/grid/hybrid-0/run/log.jsonl").read_bytes()
    done = forks.mixling("study", "grid.toml", cwd=tmp_path, env=environment)
    assert done.returncode == 0 and "| sample | hybrid | 1 |" in done.stdout, done.stderr[-2000:]
    assert (
        tmp_path / "runs/grid/hybrid-0/run/log.jsonl"
    ).read_bytes() == before  # not trained again


def test_the_notebook_runs(chain, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(EXAMPLES / "first_look.ipynb", as_version=4)
    assert all(not c.get("outputs") for c in book.cells)  # committed without outputs
    environment = {"MIXLING_MODEL": str(chain)}
    before = {k: os.environ.get(k) for k in environment}
    os.environ.update(environment)
    try:
        NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        for k, old in before.items():
            os.environ.pop(k) if old is None else os.environ.update({k: old})
    outputs = book.cells[-1]["outputs"]
    printed = "".join(x["text"] for x in outputs if x.get("name") == "stdout")
    assert len(printed.strip().splitlines()) == 5
