"""Each extra alone.

What it asks for is enough for what it is there for, and without it one line says what to install.
"""

import subprocess
from pathlib import Path

import pytest
from tests.forking import Forks

ROOT = Path(__file__).parent.parent
COMMAND = (
    "import sys; sys.argv = ['mixling', *{words!r}]; from mixling.cli.main import main; main()"
)
TRAIN = """
import mixling
mixling.train({{"data": {{"sources": ["sample"]}}, "model": {{"name": "{model}"{more}}},
               "batches": {{"size": 4}},
               "training": {{"steps": 1, "precision": "fp32"{how}}}}}, "run")
"""


@pytest.fixture(scope="module")
def alone():
    """Run code as if Mixling were installed with one extra: alone(extra, code, folder).

    Torch is imported before, which every installation has; the others look for optional packages
    when they are imported.
    """
    forks = Forks(["torch", "alone"])

    def run(extra: str, code: str, place: Path) -> subprocess.CompletedProcess:
        hidden = "import sys, alone; alone.hide_all_but(sys.argv.pop())\n"
        return forks.run(hidden + code, extra, cwd=place)

    yield run
    forks.close()


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
    "benchmarks": lambda m, p: command(
        "evaluate", "bm25", "-t", "sample", "--noise", "romanize", "-o", "result"
    ),
    "language": lambda m, p: (
        "from mixling.searching.languages import LanguageIdentifier; "
        "print(LanguageIdentifier(None)('Wo ist der Fluss?'))"
    ),
    "lora": lambda m, p: TRAIN.format(model=m, more=', "lora": {"rank": 2}', how=""),
    "trackers": lambda m, p: TRAIN.format(model=m, more="", how=', "trackers": ["tensorboard"]'),
    "search": lambda m, p: (
        command("index", m, documents(p), "--store", "store", "--size", "20")
        + "\n"
        + "from mixling.searching.query import Searcher; "
        "print(Searcher('store').search('Wo ist der Fluss?')[0].text)"
    ),
    "export": lambda m, p: command("export", m, "-o", "exported"),
    "openvino": lambda m, p: command("export", m, "-o", "exported", "--openvino"),
    "translate": lambda m, p: (
        "import sacremoses, sentencepiece\n"
        + command(
            "translate", "sample", "--to", "xh", "-o", "more", "--command", "cat", "--ratio", "50"
        )
    ),
    "docs": lambda m, p: (
        f"import os; os.chdir({str(ROOT)!r}); from mkdocs.__main__ import cli; "
        f"cli(['build', '--strict', '--site-dir', {str(p / 'site')!r}])"
    ),
    "scale": lambda m, p: "import ray; import mixling.encoding.cluster",
    "milvus": lambda m, p: "from mixling.searching.milvus import *; import pymilvus",
    "serve": lambda m, p: (
        "import uvicorn; import mixling.serving.app, mixling.serving.serve, "
        "mixling.serving.proxy_app"
    ),
    "api": lambda m, p: "import openai, tiktoken; import mixling.models.api",
    "chroma": lambda m, p: (
        # Chroma keeps one client of a folder in a process, with one set of settings
        "import chromadb\nsettings = chromadb.config.Settings(anonymized_telemetry=False)\n"
        f"c = chromadb.PersistentClient({str(p / 'chroma')!r}, settings)"
        ".get_or_create_collection('articles')\n"
        "c.add(ids=['1'], embeddings=[[1.0, 0.0]], documents=['words'])\n"
        "from mixling.connectors.registry import open_connector\n"
        f"assert open_connector({f'chroma:{p}/chroma#articles'!r}).describe().count == 1"
    ),
    "pgvector": lambda m, p: "import psycopg, pgvector; import mixling.connectors.pgvector",
    "qdrant": lambda m, p: (
        "from qdrant_client import QdrantClient, models\n"
        f"c = QdrantClient(path={str(p / 'qdrant')!r})\n"
        "c.create_collection('a', vectors_config=models.VectorParams(size=2, "
        "distance=models.Distance.COSINE))\n"
        "c.upsert('a', [models.PointStruct(id=1, vector=[1.0, 0.0], payload={})])\nc.close()\n"
        "from mixling.connectors.registry import open_connector\n"
        f"assert open_connector({f'qdrant:{p}/qdrant#a'!r}).describe().count == 1"
    ),
    "langchain": lambda m, p: "from mixling.adapters.langchain import *",
    "llama-index": lambda m, p: "from mixling.adapters.llama_index import *",
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", WORK)
def test_an_extra_alone_is_enough(extra, chain, tmp_path, alone):
    done = alone(extra, WORK[extra](chain, tmp_path), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_without_extras_it_measures_and_trains_and_says_what_a_call_needs(chain, tmp_path, alone):
    calls = {
        "benchmarks": "mixling.evaluate('bm25', ['sample'])",
        "lora": TRAIN.format(model=chain, more=', "lora": {"rank": 2}', how="")
        .strip()
        .replace('"run"', '"lora"'),
        "trackers": TRAIN.format(model=chain, more="", how=', "trackers": ["tensorboard"]')
        .strip()
        .replace('"run"', '"t"'),
        "search": f"mixling.index('{chain}', '{documents(tmp_path)}', 'store')",
        "export": f"from mixling.models.onnx import export_onnx; export_onnx('{chain}', "
        "'exported')",
        "translate": "mixling.translate('sample', 'more', ['xh'], command='cat')",
        "scale": f"from mixling.encoding.cluster import encode_on_ray; encode_on_ray('{chain}', "
        "'documents/a.txt', 'v', workers=1)",
        "milvus": f"mixling.index('{chain}', 'documents', 'milvus://127.0.0.1:1/x')",
        "serve": "mixling.serve('store')",
        "api": "mixling.evaluate('http://127.0.0.1:1/v1#m', ['sample'])",
        "chroma": "mixling.audit('chroma://127.0.0.1:1/articles')",
        "pgvector": "mixling.audit('postgresql://127.0.0.1:1/db?table=t&column=c')",
        "qdrant": "mixling.audit('qdrant://127.0.0.1:1/articles')",
    }
    code = f"""
import mixling
assert mixling.evaluate({str(chain)!r}, ["sample"]).value("sample", "multilingual") > 0
for extra, call in {calls!r}.items():
    try:
        exec(call)
    except mixling.MixlingError as error:
        assert f"pip install 'mixling[{{extra}}]'" in str(error), (extra, str(error))
    else:
        raise AssertionError(extra)
""" + TRAIN.format(model=chain, more="", how="")
    done = alone("", code, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
