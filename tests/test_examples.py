"""The examples run as they stand, on a tiny model."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.slow


def run(name, *arguments, where):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=where,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_hybrid_batches_in_a_sentence_transformers_script(chain, tmp_path):
    assert "out/model" in run("hybrid_in_sentence_transformers.py", chain, 2, where=tmp_path)
    assert (tmp_path / "out" / "model" / "modules.json").exists()


def test_vectors_are_mended(tmp_path):
    rng = np.random.default_rng(0)
    said, tongue = rng.normal(size=(60, 96)), rng.normal(size=(3, 96)) * 2
    languages = np.arange(180) % 3
    v = said[np.arange(180) // 3] + tongue[languages]
    v = (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    (tmp_path / "in").mkdir()
    pq.write_table(
        pa.table({
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 96), "language": np.array(["en", "sw", "th"])[languages],
            "group": [str(i // 3) for i in range(180)], "role": ["query"] * 90 + ["passage"] * 90,
        }),
        tmp_path / "in" / "a.parquet",
    )  # fmt: skip
    lines = run("mend_vectors.py", "in", "out", where=tmp_path).splitlines()[:3]
    for line in lines:
        before, after = (float(x) for x in line.partition(": ")[2].split(" -> "))
        assert after > 0.9 and after > before, line


def test_the_notebook_runs(chain, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(EXAMPLES / "first_look.ipynb", as_version=4)
    assert all(not c.get("outputs") for c in book.cells)  # committed without outputs
    environment = {"MIXLING_MODEL": str(chain), "MIXLING_FIT": "sample"}
    before = {k: os.environ.get(k) for k in environment}
    os.environ.update(environment)
    try:
        NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        for k, old in before.items():
            os.environ.pop(k) if old is None else os.environ.update({k: old})
    last = book.cells[-1]["outputs"][0]["text"]
    assert len(last.strip().splitlines()) == 5
