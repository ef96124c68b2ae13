"""Every command and Python block of the pages runs, on a tiny model and the sample."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.corpora import folder, sample
from mixling.studies.plan import StudyConfig, variant_config
from mixling.training.load_config import load_config, validate_config

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?```(sh|python|toml)\n(.*?)```", re.DOTALL)
# what stands for what a newcomer has and a test has not: a set, a model, the time of so many steps
INSTEAD = {
    "xquad-r": "sample",
    "tydi": "sample",
    "sib-200": "sample",
    "sib-200:train": "sample",
    "mlqa": "sample",
    "mlqa-held-out": "sample",
    "DOCUMENTS": "documents",
    "300": "2",
}
# not run but read: they need machines
LAUNCHERS = ("torchrun", "RAY_ADDRESS=auto")
PAGES = (
    "guides/recipes.md",
    "guides/elsewhere.md",
    "guides/search.md",
    "guides/debiasing.md",
    "guides/evaluation.md",
    "guides/data.md",
    "guides/training.md",
    "guides/preparing.md",
    "guides/adapting.md",
    "guides/studies.md",
    "guides/scale.md",
    "guides/audit.md",
    "guides/collection.md",
    "guides/repair.md",
    "guides/proxy.md",
    "../README.md",
)


def blocks(page):
    """(language, text) of each block that is to run."""
    return [
        (kind, text)
        for skipped, kind, text in BLOCK.findall((ROOT / "docs" / page).read_text())
        if not skipped
    ]


def inline(value):
    """A value as TOML writes it in a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value, ensure_ascii=False)


def small(text, model):
    """A configuration or study of a page on the tiny model, two steps, sets that are here."""
    found = tomllib.loads(text)
    config = found["base"] if "study" in found else found
    config["model"] = {**config.get("model", {}), "name": str(model)}
    config["training"] = {**config.get("training", {}), "steps": 2}
    if "validation" in config["training"]:
        config["training"]["validation"]["task"] = "sample"
    return "".join(f"{key} = {inline(value)}\n" for key, value in found.items())


class Newcomer:
    """Runs a page's blocks in a directory."""

    def __init__(self, where, model, run):
        self.where, self.model, self.run, self.said = where, model, run, []
        self.balanced = (
            where / "tiny" / "balanced"
        )  # what stands for the model of that name, which is larger
        shutil.copytree(model, self.balanced)

    def page(self, name):
        names: dict = {}
        for kind, text in blocks(name):
            first = text.partition("\n")[0]
            if kind == "toml" and first.startswith("# ") and first.endswith(".toml"):
                (self.where / first[2:]).write_text(small(text, self.model))
        for kind, text in blocks(name):
            if kind == "python":
                exec(
                    compile(
                        text.replace("intfloat/multilingual-e5-small", str(self.model)),
                        name,
                        "exec",
                    ),
                    names,
                )
            if kind == "sh":
                for line in text.replace("\\\n", " ").splitlines():
                    self.line(line)

    def line(self, line):
        words = [INSTEAD.get(w, w) for w in shlex.split(line, comments=True)]
        words = [
            str(self.model) if w in ("intfloat/multilingual-e5-small", "MODEL") else w
            for w in words
        ]
        # a result's folder is named after its model
        words = [w.replace("multilingual-e5-small", self.model.name) for w in words]
        for before, n in [
            (w, i) for i, w in enumerate(words) if words[i + 1 : i + 2] == ["balanced"]
        ]:
            if before not in ("--recipe", "--transform"):
                words[n + 1] = str(self.balanced)
        if words[:1] == ["mixling"]:
            status, out, err = self.run(*words[1:])
            assert status == 0, (line, err)
            self.said.append((line, out))
        elif words and words[0] in LAUNCHERS:
            self.launched(words)
        elif words:
            assert words[0] in ("git", "make", "source", "curl", "pip"), line

    def launched(self, words):
        """A call on many machines: both the launcher and the verb understand what is asked."""
        from torch.distributed.run import parse_args
        from typer.main import get_command

        from mixling.cli.main import app

        if words[0] == "torchrun":
            mine = parse_args(words[1:]).training_script_args
        else:
            mine = words[2:]
        verb = get_command(app).commands[mine[0]]
        verb.make_context(mine[0], list(mine[1:]))


@pytest.fixture
def newcomer(tmp_path, chain, run, monkeypatch):
    """A directory that start.md has been followed in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "first.toml").write_text(
        small((ROOT / "studies" / "first.toml").read_text(), chain)
    )
    monkeypatch.setattr("mixling.serving.serve.serve", lambda *a, **k: None)
    return Newcomer(tmp_path, chain, run)


def test_start(newcomer):
    newcomer.page("start.md")
    said = dict(newcomer.said)
    assert any("search index" in line and out.strip() for line, out in said.items())
    assert (newcomer.where / "compared.html").exists() and (
        newcomer.where / "trained" / "model"
    ).exists()


@pytest.mark.parametrize("page", PAGES)
def test_pages(newcomer, page, monkeypatch):
    where, said = newcomer.where, newcomer.model
    shutil.copytree(said, where / "my-model")
    folder.write_folder(sample.read_sample("all"), where / "my-data")
    if page not in ("guides/recipes.md", "../README.md"):  # which do it themselves
        newcomer.line("mixling data convert sample documents")
    if page != "../README.md":
        newcomer.line(
            "mixling debias intfloat/multilingual-e5-small --method lsar --fit sib-200 --out fair"
        )
    if page == "guides/scale.md":
        shutil.copy(where / "documents" / "corpus.jsonl", where)
        shutil.copy(where / "studies" / "first.toml", where / "run.toml")
    if page == "guides/data.md":
        pair = {"ask": "Wer baut?", "answer": "Wir bauen.", "lang": "de"}
        (where / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    if page == "guides/elsewhere.md":
        newcomer.line("mixling index fair documents --store index")
    if page == "guides/search.md":
        key = newcomer.run("serve", "--new-key", "reader")[1]
        (where / "keys.txt").write_text(re.search(r"line for the file of keys: (\S+)", key)[1])
    rng = np.random.default_rng(0)
    v = rng.normal(size=(120, 384)).astype(np.float32)
    table = pa.table({
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 384), "language": ["en",
        "sw", "de"] * 40,
        "group": [str(i // 3) for i in range(120)], "role": ["query"] * 60 + ["passage"] * 60,
    })  # fmt: skip
    for name in ("stored", "vectors"):
        if page in ("guides/recipes.md", "guides/debiasing.md") and not (
            page == "guides/recipes.md" and name == "vectors"
        ):
            (where / name).mkdir()
            pq.write_table(table, where / name / "part.parquet")
    newcomer.page(page)


def test_every_block_is_run_or_says_why_not():
    others = [ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"]
    run = {ROOT / "docs" / page for page in (*PAGES, "start.md")}
    for page in [*(ROOT / "docs").rglob("*.md"), *others]:
        if page.parent.name == "tutorials":  # tests/test_tutorials.py runs these
            continue
        text = page.read_text()
        kinds = set(re.findall(r"^```(\w+)$", text, re.MULTILINE))
        assert kinds <= {"sh", "python", "toml", "js", "text"}, (page, kinds)
        if page not in run:
            assert not kinds & {"sh", "python"}, page


def test_every_configuration_of_the_pages_is_one():
    """Whole ones and parts of one; studies too."""
    seen = 0
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        for kind, text in blocks(page):
            if kind == "toml":
                found = tomllib.loads(text)
                if "study" in found:
                    plan = validate_config(StudyConfig, found, page.name)
                    configs = [variant_config(plan, v, 0, page) for v in plan.variants]
                    assert any(configs)
                else:
                    found.setdefault("data", {"sources": ["sample"]})
                    assert load_config(found).data.sources
                seen += 1
    assert seen >= 10


def test_the_reference_is_the_code():
    sys.path.insert(0, str(ROOT))
    from docs import reference

    for page, made in reference.PAGES.items():
        assert (ROOT / page).read_text() == made(), f"{page}: python -m docs.figures"


def test_no_measure_is_missing_from_the_reference():
    from mixling.auditing.result import MEASURES
    from mixling.evaluation.bias.gap import GAPS, gaps
    from mixling.evaluation.bias.table import ALL
    from mixling.evaluation.hubs.table import MEASURES as HUB_MEASURES
    from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS

    text = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    parts = {p.partition("\n")[0]: p for p in text.split("\n### ")[1:]}
    assert list(parts) == [*METRICS, *MULTILINGUAL_METRICS, *ALL, *HUB_MEASURES]
    for part in parts.values():
        assert "```text\n" in part and "When it misleads: " in part
        range_, better, source = part.split("|---|---|---|\n| ")[1].split("\n")[0].split(" | ")
        assert range_ and better and source.strip(" |")
    assert all(f"| `{name}` |" in text for name in (*MEASURES, *GAPS))
    scores = {"mAP": 0.5, "by_language": {"de": {"mAP": 0.4}, "sw": {"mAP": 0.6}}}
    assert set(
        gaps(dict.fromkeys(("monolingual", "cross-lingual", "multilingual"), scores))
    ) == set(GAPS)


def test_the_reference_says_what_help_says(run):
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for part in text.split("\n## mixling ")[1:]:
        verb = part.partition("\n")[0].split()
        shown = " ".join(run(*verb, "--help")[1].split())
        for option in re.findall(r"^\| `(--[a-z-]+)`", part, re.MULTILINE):
            assert option[:14] in shown  # a narrow terminal cuts the longest, (verb, option)


def test_the_pages_use_the_terms_of_the_field():
    """No page has a word that the field has another word for."""
    old = {
        r"own language|own passages|own-first": "monolingual, same-language, the query's language",
        r"pool alone": "multilingual",
        r"\b[Mm]aps?\b": "transform",
        r"as it comes|untrained": "zero-shot",
        r"\bbalanced order\b": "round-robin",
        r"language levels?\b": "language offset",
        r"\bown / across": "monolingual / cross-lingual",
        r"\b(?:a|the) verb\b|\bhouses?\b of the code": "command, module",
        r"centred|colour|behaviour|licence|neighbour|optimis": "American spelling",
    }
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text(), flags=re.M | re.DOTALL)
        for words, instead in old.items():
            found = re.search(words, text)
            assert not found, (page, found[0], instead)


def test_the_first_pages_are_easy_to_read():
    sys.path.insert(0, str(ROOT))
    from docs.readability import measure

    for page in (
        "README.md",
        "docs/start.md",
        "docs/explanation/language-bias.md",
    ):
        result = measure((ROOT / page).read_text())
        assert result.words <= 14, (page, str(result))
        assert result.long <= 0.05 and result.figures <= 0.25, (page, str(result), result.worst)
        assert result.passive <= 0.2 and result.verbless <= 0.1, (page, str(result))


def test_readability_sees_what_is_hard_to_read():
    sys.path.insert(0, str(ROOT))
    from docs.readability import measure

    text = "# Title\n\nA short sentence stands here. Not a verb in it.\n\n| a | 1.0 |\n|---|---|\n"
    result = measure(text + f"\nIt was found by us, {'word, ' * 30}.5 and .6.\n")
    assert result.sentences == 3 and result.long == result.verbless == result.passive == 1 / 3
    assert result.figures == 2 / 3 and result.worst[0].startswith("It was found")


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for page in ("reference/api", "reference/metrics", "start", "explanation/language-bias"):
        assert (tmp_path / "site" / page / "index.html").exists()
    assert "Retriever" in (tmp_path / "site" / "reference" / "api" / "index.html").read_text()
    outside = re.findall(
        r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"',
        (tmp_path / "site" / "index.html").read_text(),
    )
    assert not outside
    json.loads((tmp_path / "site" / "search" / "search_index.json").read_text())
