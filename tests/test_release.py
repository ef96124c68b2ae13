"""What is released.

A wheel that holds all it needs and runs elsewhere, and files that say the same version.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def built(source, out):
    """A wheel, built without a network."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_the_source_archive_holds_what_the_wheel_is_made_of_and_nothing_of_this_machine(
    wheel, tmp_path
):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    archive = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(archive) as packed:
        names = {n.partition("/")[2] for n in packed.getnames()}
    for needed in (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "Makefile",
        "constraints.txt",
        "tests/conftest.py",
        "docs/start.md",
    ):
        assert needed in names
    assert not [n for n in names if n.startswith((".venv", "runs", "demo/", "site/", "dist/"))]
    again = built(archive, tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_wheel_runs_where_there_is_no_repository(wheel, tmp_path):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "corpora/sample/en.tsv",
        "serving/page/page.js",
        "serving/page/words.json",
        "models/transforms/multilingual-e5-small.safetensors",
    ):
        assert f"mixling/{needed}" in names
    assert not [n for n in names if n.startswith(("tests", "docs", "studies", "benchmarks"))]
    place = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(place),
            str(wheel),
        ],
        check=True,
    )
    # -P and PYTHONPATH: this installation comes before the one of the tests
    run = lambda *words: subprocess.run(  # noqa: E731
        [sys.executable, "-P", "-m", "mixling", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(place), "COLUMNS": "200"},
    )
    assert run("--version").stdout.split()[-1] == _version()
    assert "44 passages" in run("data", "list").stdout
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import mixling; print(mixling.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(place)},
    ).stdout
    assert str(place) in where


def _version():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_file_says_one_version():
    import mixling

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == mixling.__version__ == _version()
    assert {"cff-version", "title", "authors", "message"} <= set(citation)
    assert f"## {_version()}" in (ROOT / "CHANGELOG.md").read_text()


def _imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def test_what_a_module_imports_is_in_some_extra():
    """Every third-party package that the code names is a dependency, or an extra's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [
        *project["dependencies"],
        *(x for some in project["optional-dependencies"].values() for x in some),
    ]
    known = {re.split(r"[<>=\[]", x)[0].lower().replace("-", "_") for x in listed}
    instead = {
        "bm25s": "bm25s",
        "icu": "icu4py",
        "llama_index": "llama_index_core",
        "yaml": "pyyaml",
        "ray": "ray",
    }
    comes_with = {
        "huggingface_hub",
        "pandas",
        "pyarrow",
        "starlette",
        "click",
        "pydantic_core",
    }  # of those that are listed
    missing = set()
    for file in (ROOT / "src").rglob("*.py"):
        for module in _imported_modules(ast.parse(file.read_text())):
            name = instead.get(module, module).lower()
            if name not in sys.stdlib_module_names and name not in known | comes_with | {"mixling"}:
                missing.add((file.name, name))
    assert not missing


def test_container_files_are_whole():
    """No container can be built here; a linter reads the Dockerfile where there is one."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(compose["services"]) == {"milvus", "mixling"}
    assert compose["services"]["mixling"]["depends_on"]["milvus"]["condition"] == "service_healthy"
    assert all(p.startswith("127.0.0.1:") for p in compose["services"]["mixling"]["ports"])
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [str(linter), "--format", "json", str(ROOT / "Dockerfile")], capture_output=True, text=True
    )
    assert json.loads(done.stdout or "[]") == []


def test_the_forges_jobs_try_every_extra_and_the_wheel():
    jobs = {
        path.stem: yaml.safe_load(path.read_text())["jobs"]
        for path in (ROOT / ".github/workflows").glob("*.yml")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tried = set(jobs["release"]["extras"]["strategy"]["matrix"]["extra"])
    assert tried == set(project["optional-dependencies"]) - {"dev"}
    said = [step.get("run", "") for job in jobs["release"].values() for step in job["steps"]]
    assert any("mixling demo" in line for line in said)
    assert any("make test" in step.get("run", "") for step in jobs["test"]["test"]["steps"])
