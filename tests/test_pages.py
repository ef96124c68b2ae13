"""Every command and Python block of the pages runs, in a directory like a newcomer's, on a tiny model and the sample."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixling.corpora import folder, sample

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?```(sh|python|toml)\n(.*?)```", re.DOTALL)
# what stands for what a newcomer has and a test has not
INSTEAD = {
    "xquad-r": "sample",
    "tydi": "sample",
    "sib-200": "sample",
    "mlqa": "sample",
    "DOCUMENTS": "documents",
}
PAGES = (
    "recipes.md",
    "elsewhere.md",
    "search.md",
    "debiasing.md",
    "evaluation.md",
    "methods.md",
    "../README.md",
)


def blocks(page):
    """(language, text) of each block that is to run."""
    return [
        (kind, text)
        for skipped, kind, text in BLOCK.findall((ROOT / "docs" / page).read_text())
        if not skipped
    ]


class Newcomer:
    """Runs a page's blocks in a directory."""

    def __init__(self, where, model, run):
        self.where, self.model, self.run, self.said = where, model, run, []

    def page(self, name):
        names: dict = {}
        for kind, text in blocks(name):
            if kind == "toml":
                first = text.partition("\n")[0]
                if first.startswith("# ") and first.endswith(".toml"):
                    (self.where / first[2:]).write_text(
                        f'model = {{ name = "{self.model}" }}\ntraining = {{ steps = 2 }}\n' + text
                    )
        for kind, text in blocks(name):
            if kind == "python":
                exec(
                    compile(text.replace("intfloat/multilingual-e5-small", str(self.model)), name, "exec"),
                    names,
                )
            if kind == "sh":
                for line in text.replace("\\\n", " ").splitlines():
                    self.line(line)

    def line(self, line):
        words = [INSTEAD.get(w, w) for w in shlex.split(line, comments=True)]
        words = [str(self.model) if w == "intfloat/multilingual-e5-small" else w for w in words]
        # a result's folder is named after its model
        words = [w.replace("multilingual-e5-small", self.model.name) for w in words]
        if words[:1] == ["mixling"]:
            status, out, err = self.run(*words[1:])
            assert status == 0, (line, err)
            self.said.append((line, out))
        elif words:
            assert words[0] in ("git", "make", "source", "curl", "pip"), line


@pytest.fixture
def newcomer(tmp_path, chain, run, monkeypatch):
    """A directory that start.md has been followed in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    first = (ROOT / "studies" / "first.toml").read_text().replace("steps = 20", "steps = 2")
    (tmp_path / "studies" / "first.toml").write_text(f'model = {{ name = "{chain}" }}\n' + first)
    monkeypatch.setattr("mixling.serving.serve.serve", lambda *a, **k: None)
    return Newcomer(tmp_path, chain, run)


def test_start(newcomer):
    newcomer.page("start.md")
    said = dict(newcomer.said)
    assert any("search index" in line and out.strip() for line, out in said.items())
    assert (newcomer.where / "compared.html").exists() and (newcomer.where / "trained" / "model").exists()


@pytest.mark.parametrize("page", PAGES)
def test_pages(newcomer, page, monkeypatch):
    where, said = newcomer.where, newcomer.model
    shutil.copytree(said, where / "my-model")
    folder.write(sample.read("all"), where / "my-data")
    newcomer.line("mixling data convert sample documents")
    newcomer.line("mixling debias intfloat/multilingual-e5-small --method lsar --fit sib-200 --out fair")
    if page in ("elsewhere.md",):
        newcomer.line("mixling index fair documents --store index")
    if page == "search.md":
        key = newcomer.run("serve", "--new-key", "reader")[1]
        (where / "keys.txt").write_text(re.search(r"line for the file of keys: (\S+)", key)[1])
    rng = np.random.default_rng(0)
    v = rng.normal(size=(120, 16)).astype(np.float32)
    table = pa.table({
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 16), "language": ["en", "sw", "de"] * 40,
        "group": [str(i // 3) for i in range(120)], "role": ["query"] * 60 + ["passage"] * 60,
    })  # fmt: skip
    for name in ("stored", "vectors"):
        if page in ("recipes.md", "debiasing.md") and not (page == "recipes.md" and name == "vectors"):
            (where / name).mkdir()
            pq.write_table(table, where / name / "part.parquet")
    newcomer.page(page)


def test_every_block_is_run_or_says_why_not():
    for page in (ROOT / "docs").glob("*.md"):
        if page.name not in (*PAGES, "start.md"):
            assert not [t for k, t in blocks(page.name) if k in ("sh", "python")], page.name


def test_the_reference_is_the_code():
    sys.path.insert(0, str(ROOT))
    from docs import pictures, reference

    for page, made in reference.PAGES.items():
        assert (ROOT / page).read_text() == made(), f"{page}: python -m docs.figures"
    for name, svg in pictures.pictures().items():
        assert (ROOT / "docs" / name).read_text() == svg, name


def test_the_reference_says_what_help_says(run):
    text = (ROOT / "docs" / "cli.md").read_text()
    for part in text.split("\n## mixling ")[1:]:
        verb = part.partition("\n")[0].split()
        shown = " ".join(run(*verb, "--help")[1].split())
        for option in re.findall(r"^\| `(--[a-z-]+)`", part, re.MULTILINE):
            assert option[:20] in shown, (verb, option)


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for page in ("api", "cli", "start", "concepts"):
        assert (tmp_path / "site" / page / "index.html").exists()
    assert "Retriever" in (tmp_path / "site" / "api" / "index.html").read_text()
    outside = re.findall(
        r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', (tmp_path / "site" / "index.html").read_text()
    )
    assert not outside
    json.loads((tmp_path / "site" / "search" / "search_index.json").read_text())
