"""Each extra alone: what it asks for is enough for what it is there for, and without it one line says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = "import sys; sys.argv = ['mixling', *{words!r}]; from mixling.cli.main import main; main()"
TRAIN = """
import mixling
mixling.train({{"data": {{"sources": ["sample"]}}, "model": {{"name": "{model}"{more}}}, "batches": {{"size": 4}},
               "training": {{"steps": 1, "precision": "fp32"{how}}}}}, "run")
"""


def alone(extra: str, code: str, place: Path) -> subprocess.CompletedProcess:
    script = Path(__file__).with_name("alone.py")
    return subprocess.run(
        [sys.executable, str(script), extra, code], cwd=place, capture_output=True, text=True, timeout=300
    )


def command(*words: object) -> str:
    return COMMAND.format(words=[str(w) for w in words])


def documents(place: Path) -> Path:
    folder = place / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("Der Fluss fließt durch die Stadt.")
    (folder / "b.html").write_text(
        "<html><body><article><p>The river runs through the city.</p></article></body></html>"
    )
    return folder


WORK = {
    "": lambda m, p: command("evaluate", m, "-t", "sample", "-o", "result"),
    "benchmarks": lambda m, p: command("evaluate", "bm25", "-t", "sample", "--noise", "romanise", "-o", "result"),
    "language": lambda m, p: "from mixling.searching.languages import Identifier; print(Identifier(None)('Wo ist der Fluss?'))",
    "lora": lambda m, p: TRAIN.format(model=m, more=', "lora": {"rank": 2}', how=""),
    "trackers": lambda m, p: TRAIN.format(model=m, more="", how=', "trackers": ["tensorboard"]'),
    "search": lambda m, p: command("index", m, documents(p), "--store", "store", "--size", "20")
    + "\n" + "from mixling.searching.query import Searcher; print(Searcher('store').search('Wo ist der Fluss?')[0]['text'])",
    "export": lambda m, p: command("export", m, "-o", "exported"),
    "scale": lambda m, p: "import ray; import mixling.encoding.cluster",
    "milvus": lambda m, p: "from mixling.searching.milvus import *; import pymilvus",
    "serve": lambda m, p: "import uvicorn; import mixling.serving.app, mixling.serving.serve",
    "langchain": lambda m, p: "from mixling.adapters.langchain import *",
    "llama-index": lambda m, p: "from mixling.adapters.llama_index import *",
}  # fmt: skip
SAYS = {  # without any extra: the command, and the extra that its error names
    "benchmarks": lambda m, p: command("evaluate", "bm25", "-t", "sample"),
    "lora": lambda m, p: TRAIN.format(model=m, more=', "lora": {"rank": 2}', how=""),
    "trackers": lambda m, p: TRAIN.format(model=m, more="", how=', "trackers": ["tensorboard"]'),
    "search": lambda m, p: command("index", m, documents(p), "--store", "store"),
    "export": lambda m, p: command("export", m, "-o", "exported"),
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", WORK)
def test_an_extra_alone_is_enough(extra, chain, tmp_path):
    done = alone(extra, WORK[extra](chain, tmp_path), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("extra", SAYS)
def test_without_an_extra_its_name_is_said(extra, chain, tmp_path):
    done = alone("", SAYS[extra](chain, tmp_path), tmp_path)
    assert done.returncode != 0 and f"pip install 'mixling[{extra}]'" in done.stderr
