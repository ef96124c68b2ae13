"""What README says is what the committed results say."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_drawn_from_the_committed_results(figures):
    for name, content in figures.drawings().items():
        assert (ROOT / "docs" / name).read_text() == content, f"{name}: python -m docs.figures"


def test_readme_is_short_and_shows_the_ways_in():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 120
    assert "`make demo`" in text and "`make test`" in text


def test_a_cited_figure_says_that_it_is_cited(figures):
    rows = [r for r in figures.summaries.headline() if "arXiv:" in r["model"]]
    assert len(rows) == 1 and rows[0]["model"].startswith("*cited*")


def test_every_page_has_the_tables_of_the_committed_results(figures):
    for page, tables in figures.tables().items():
        text = (ROOT / page).read_text()
        assert figures.renewed(page, text) == text
        assert all(table in text for table in tables.values()), page


def test_the_studys_table_is_its_json(figures):
    from mixling.studies.table import markdown

    text = (ROOT / "studies" / "xquad-strategies.md").read_text()
    assert text.strip() == markdown(figures.results())


def test_readmes_configuration_is_one(tmp_path):
    from mixling.training.load_config import load_config

    block = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert load_config(tomllib.loads(block)).batches.strategy == "hybrid"


def test_readmes_commands_exist(run):
    text = (ROOT / "README.md").read_text()
    for command in set(re.findall(r"`mixling ([a-z-]+)", text)):
        assert run(command, "--help")[0] == 0, command


def test_every_command_is_a_function_or_the_reference_says_what_to_use_instead():
    import mixling
    from mixling.cli.main import PANELS

    commands = {c.__name__.rpartition(".")[2] for group in PANELS.values() for c in group}
    assert commands - {"schedule"} <= set(mixling.__all__)
    assert all(callable(getattr(mixling, name)) for name in commands - {"schedule"})
    text = " ".join((ROOT / "docs" / "reference" / "api.md").read_text().split())
    assert "Instead of `data` and `schedule` use `mixling.load` and `mixling.Schedule`" in text


def test_local_links_lead_somewhere():
    for page in [
        *ROOT.glob("*.md"),
        ROOT / "examples" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)


def test_benchmark_results_were_written_by_their_scripts():
    for script in (ROOT / "benchmarks").glob("*.py"):
        if script.name in ("__init__.py", "sides.py", "biased.py"):  # what the others share
            continue
        assert json.loads(script.with_suffix(".json").read_text())["machine"]["cores"], script.name


def test_a_benchmark_of_ones_own_leaves_the_committed_result(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.sides import result_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXLING_RESULTS", raising=False)
    assert result_path("benchmarks/training.py") == Path("runs/benchmarks/training.json")
    monkeypatch.setenv("MIXLING_RESULTS", str(ROOT / "benchmarks"))
    assert result_path("benchmarks/training.py") == ROOT / "benchmarks" / "training.json"
    for script in (ROOT / "benchmarks").glob("*.py"):
        assert "with_suffix(" not in script.read_text() or script.name == "sides.py", script
