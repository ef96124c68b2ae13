import ast
import re
import subprocess
import sys
from importlib import metadata

from mixling.cli.main import app
from mixling.health import PURPOSE


def test_help_imports_no_dependency_but_those_that_draw_it():
    """A fast start is a matter of what is imported; the seconds it takes are the machine's."""
    code = (
        "import sys; sys.argv = ['mixling', '--help']\nfrom mixling.cli.main import main\ntry: "
        "main()\nexcept SystemExit: pass\nprint(sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    imported = set(ast.literal_eval(out.strip().splitlines()[-1]))
    declared = {re.split(r"[ \[<>=;!~]", r)[0] for r in metadata.requires("mixling")} - {
        "typer",
        "rich",
    }
    modules = {
        m
        for m, dists in metadata.packages_distributions().items()
        if {d.lower() for d in dists} & declared
    }
    assert {"torch", "numpy", "pyarrow", "sentence_transformers", "lancedb"} <= modules
    assert not imported & modules


def test_every_command_has_help(run):
    for command in app.registered_commands:
        status, out, _ = run(command.name, "--help")
        assert status == 0 and "Usage" in out


def test_version(run):
    status, out, _ = run("--version")
    assert status == 0 and out.startswith("mixling 0.")


def test_explain_lists_every_setting(run):
    from mixling.training.config import TrainingConfig

    _, out, _ = run("train", "--explain")
    assert all(f"{name} = " in out for name in TrainingConfig.model_fields)


def test_doctor_says_what_the_machine_has(run):
    status, out, _ = run("doctor")
    assert status == 0 and "GFLOP/s" in out and "bf16" in out and "data" in out


def test_doctor_names_what_is_missing_and_the_extra_that_brings_it(run, monkeypatch):
    monkeypatch.setattr("mixling.health._installed", lambda name: name != "bm25s")
    lines = [x for x in run("doctor")[1].splitlines() if x.startswith("missing")]
    assert lines == [
        "missing        bm25s, for BM25, noise, mteb, ir_datasets: pip install "
        "'mixling[benchmarks]'"
    ]
    assert set(PURPOSE) == set(metadata.metadata("mixling").get_all("Provides-Extra")) - {"dev"}


def test_data_commands(run, tmp_path):
    status, out, _ = run("data", "list")
    assert status == 0 and "sample" in out
    status, out, _ = run("data", "convert", "sample", tmp_path / "own", "--parquet")
    assert status == 0 and "512 queries, 256 passages" in out
    status, out, _ = run("data", "show", tmp_path / "own")
    assert status == 0 and "32 groups" in out
