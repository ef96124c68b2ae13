"""Editors and type checkers know each public name, though it is loaded when it is first used."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mixling

ROOT = Path(__file__).parent.parent
SCRIPT = """
from pathlib import Path

import mixling
from mixling.training.config import DataConfig, SourceConfig

folder = mixling.train({"data": {"sources": ["sample"]}}, "run")
result = mixling.evaluate(folder.as_posix(), ["sample"], "result")
value: float = result.value("sample", "multilingual", "mAP")
vectors = mixling.Retriever("model").encode(["text"], role="query")
corpus = mixling.load("sample")
CALLS
reveal_type(folder)
reveal_type(result)
reveal_type(vectors)
reveal_type(corpus)
"""
# every public function, called as a user calls it, with what it returns
CALLS = """
adapted: str = mixling.adapt_language("model", ["sample"], ["sw"], "run", precision="fp32").model
located: int = mixling.locate_answers("model", "sample", "sentences").queries
mined: int = mixling.mine_negatives("model", "sample", "mined", max_relative_score=0.9).queries
translated = mixling.translate("sample", "out", ["sw"], model="model")
compared = mixling.compare(["result", "result-2"])
written: dict[str, int] = mixling.texts("sample", "texts.jsonl")
board = mixling.leaderboard("results", "board")
transform = mixling.debias("model", "lsar", ["sib-200"], precision="auto")
encoded: Path = mixling.encode("model", "texts.jsonl", "vectors", dtype="float16")
report: int = mixling.index("model", "documents", "store").passages
hits = mixling.search("store", "Pomboo hulalaje?", k=3, order="centered", mode="both")
best: float = hits[0].score
page: str = mixling.Searcher("store").search("Pomboo hulalaje?")[0].text
exported = mixling.export("model", "model.onnx")
studied = mixling.study("study.toml")
shown: Path = mixling.demo("demo", minutes=1.0)
health: list[str] = mixling.doctor()
pairs = mixling.training_pairs(corpus)
task: mixling.Task | None = None
config = mixling.Config(data=DataConfig(sources=[SourceConfig(name="sample")]))
schedule: mixling.Schedule | None = None
mixling.serve("store", port=8080)
mixling.proxy("http://localhost:9000/v1", "balanced")
audited: float | None = mixling.audit("documents.jsonl", "model").measures["loss"]
repaired: int = mixling.repair("qdrant:folder#articles", "balanced").rows
"""


def mypy(script, tmp_path):
    (tmp_path / "script.py").write_text(script)
    call = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        str(tmp_path / "script.py"),
    ]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT).stdout


def test_a_users_script_has_types(tmp_path):
    names = [n for n in mixling.__all__ if n != "__version__"]
    script = SCRIPT.replace("CALLS", CALLS) + "".join(f"reveal_type(mixling.{n})\n" for n in names)
    lines = [x for x in mypy(script, tmp_path).splitlines() if "script.py" in x]
    assert not [x for x in lines if ": error:" in x]
    called = set(re.findall(r"mixling\.([a-z_]+)\(", script))
    assert {n for n in names if inspect.isfunction(getattr(mixling, n))} <= called
    shown = [x.partition("Revealed type is ")[2].strip('"') for x in lines if "Revealed" in x]
    for part, name in zip(shown, ("Path", "Result", "ndarray", "Corpus"), strict=False):
        assert name in part, shown[:4]
    assert len(shown) == 4 + len(names) and "Any" not in shown[4:], json.dumps(
        dict(zip(names, shown[4:], strict=True)), indent=1
    )


def test_the_mark_of_a_typed_package_is_there():
    assert (Path(mixling.__file__).parent / "py.typed").exists()


def test_every_public_name_is_loaded_from_somewhere():
    assert set(mixling.__all__) == {*mixling._MODULES, "__version__"}


@pytest.mark.parametrize("name", [n for n in mixling.__all__ if n != "__version__"])
def test_a_public_name_documents_each_parameter_with_an_example(name):
    value = getattr(mixling, name)
    text = inspect.getdoc(value) or ""
    assert re.match(r"[A-Z][^\n]*\.\n?", text), f"{name}: no summary sentence"
    assert re.search(r"^Example:$", text, re.MULTILINE), f"{name}: no example"
    if value is mixling.MixlingError:
        return
    parameters = inspect.signature(value).parameters
    args = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    documented = re.findall(r"^    \*{0,2}(\w+)(?: \([^)]*\))?: ", args[1] if args else "", re.M)
    assert [p for p in parameters if p not in documented] == []
