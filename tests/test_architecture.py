"""The rooms of docs/development/architecture.md: imports go down the table, never up."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent / "src" / "mixling"
BASE = {"disk", "errors", "machine", "progress", "threads"}
MAY = {
    "corpora": set(),
    "batches": {"corpora"},
    "models": {"transforms", "corpora"},
    "losses": set(),
    "transforms": {"corpora"},
    "encoding": {"models", "corpora"},
    "training": {
        "transforms",
        "batches",
        "losses",
        "models",
        "corpora",
        "debiasing",
        "encoding",
        "evaluation",
        "preparation",
    },
    "preparation": {"batches", "corpora", "models", "encoding", "evaluation"},
    "debiasing": {"transforms", "batches", "losses", "corpora", "models", "encoding"},
    "evaluation": {"transforms", "corpora", "models", "encoding"},
    "searching": {"corpora", "models", "encoding"},
    "auditing": {
        "transforms",
        "corpora",
        "models",
        "encoding",
        "evaluation",
        "debiasing",
        "searching",
        "connectors",
        "preparation",
        "reports",
    },
    "connectors": {"corpora"},
    "repairing": {"transforms", "connectors", "corpora", "debiasing", "searching"},
    "adapters": {"transforms", "debiasing", "searching"},
    "serving": {"transforms", "corpora", "models", "encoding", "searching", "debiasing"},
    "reports": {"evaluation", "corpora", "models"},
    "studies": {
        "transforms",
        "corpora",
        "batches",
        "models",
        "training",
        "debiasing",
        "evaluation",
        "reports",
    },
}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mixling."):
            yield node.module.split(".")[1]


def test_rooms_import_only_what_they_may():
    for room, allowed in MAY.items():
        for file in (ROOT / room).rglob("*.py"):
            assert set(imported(file)) <= allowed | BASE | {room}, file


def test_batches_need_no_torch():
    import subprocess
    import sys

    modules = "mixling.batches.schedule, mixling.batches.translation_groups, mixling"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "False"
    )


def test_files_have_one_subject():
    for file in ROOT.rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 400, file


def test_every_public_name_can_be_had_and_is_documented():
    import mixling

    for name in mixling.__all__:
        if name != "__version__":
            assert getattr(mixling, name).__doc__, name
