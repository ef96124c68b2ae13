"""The tutorials run as they stand, on an API, PostgreSQL, Chroma and a server.

They print what they show.

`MIXLING_RENEW=1 python -m pytest tests/test_tutorials.py` writes what is printed now into
the pages. Look at the difference: the first line after each "…" is found by its words.
"""

import contextlib
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import tutorial_pages
from embedding_server import EmbeddingServer
from mixling.models.universal import UniversalSentenceEncoder

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KEY = "sk-a-key-that-nobody-may-see"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api():
    """An embedding API that asks for a key."""
    encoder = UniversalSentenceEncoder()
    with EmbeddingServer(lambda texts, role: encoder.encode(texts, role), key=KEY) as server:
        yield server


class Reader:
    """Somebody who follows a tutorial in a folder, with an API and a database of their own."""

    def __init__(self, run, instead):
        self.run, self.instead, self.names, self.running = run, instead, {}, []
        self.shown = {}  # what the page has in place of what is printed here
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = str(s.getsockname()[1])

    def follow(self, page):
        """Run each block; what a block prints must be what the page shows after it."""
        printed, content = "", (TUTORIALS / page).read_text()
        for skipped, kind, text in BLOCK.findall(content):
            text = text.replace("8081", self.port)
            if kind == "text":
                if os.environ.get("MIXLING_RENEW"):
                    content = content.replace(text, renewed(text, printed))
                    (TUTORIALS / page).write_text(content)
                    continue
                assert_shown(text, printed)
            elif kind == "python":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(text, page, "exec"), self.names)
                printed = out.getvalue()
            elif kind == "toml":
                name = text.partition("\n")[0].removeprefix("# ")
                assert name.endswith(".toml"), name
                Path(name).write_text(text)
            elif kind == "sh" and not skipped:
                printed = "".join(self.line(line) for line in text.splitlines())
            else:
                assert skipped or kind == "yaml", kind
            assert KEY not in printed
            for ours, shown in self.shown.items():
                printed = printed.replace(ours, shown)

    def line(self, line):
        """Run a line of a shell; return what it prints."""
        line, _, otherwise = os.path.expandvars(line).partition(" || ")
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            os.environ[name] = self.instead.get(name, value)
            if name == "API":
                self.shown[os.environ[name]] = value
            return ""
        assert words[0] == "mixling", line
        if words[-1] == "&":
            self.start(words[1:-1])
            return ""
        status, out, err = self.run(*words[1:])
        if otherwise:
            assert status and otherwise == 'echo "exit status $?"'
            return f"{out}{err}exit status {status}\n"
        assert status == 0, (line, err)
        return out

    def start(self, words):
        """Start a command that goes on, and wait until it answers."""
        code = "from mixling.cli.main import main; main()"
        self.running.append(subprocess.Popen([sys.executable, "-c", code, *words]))
        for _ in range(600):
            assert self.running[-1].poll() is None
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{self.port}/health").raise_for_status()
                return
            time.sleep(0.1)
        raise AssertionError("the command did not come up")

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(30)


def renewed(text, printed):
    """Return a page's lines as they are printed now, as many as before ahead of each "…"."""

    def without_figures(line):
        return re.sub(r"[+-]?\d[\d,.]*", "0", " ".join(line.split()))

    found, place, lines = [x.rstrip() for x in printed.splitlines()], 0, []
    parts = re.split(r"(?m)^…$\n?", text)
    for number, part in enumerate(parts):
        wanted = part.splitlines()
        if number:
            lines.append("…")
        if wanted:
            begin = without_figures(wanted[0])
            place = next(i for i in range(place, len(found)) if without_figures(found[i]) == begin)
            end = len(found) if number == len(parts) - 1 else place + len(wanted)
            lines, place = lines + found[place:end], end
    return "\n".join(lines) + "\n"


def assert_shown(text, printed):
    """Check that a page's lines are those printed, in order; "…" stands for any lines."""
    expected, found = text.splitlines(), printed.splitlines()
    place = 0
    for number, line in enumerate(expected):
        if line == "…":
            continue
        if number and expected[number - 1] == "…":
            place = next((i for i in range(place, len(found)) if is_same(line, found[i])), place)
        assert place < len(found) and is_same(line, found[place]), (line, printed)
        place += 1
    assert expected[-1] == "…" or place == len(found), printed


def is_same(shown, printed):
    """Return whether two lines are the same but for a transform's tag and the last digit.

    Both follow from sums of floating-point numbers, whose order processors choose differently.
    """
    decimal = re.compile(r"\d+\.(\d+)")
    lines = [re.sub(r"_before_[0-9a-f]{8}", "_before_TAG", x.rstrip()) for x in (shown, printed)]
    if len({decimal.sub("0", x) for x in lines}) > 1:
        return False
    pairs = zip(*(decimal.finditer(x) for x in lines), strict=True)
    return all(abs(float(a[0]) - float(b[0])) < 1.5 * 10 ** -len(a[1]) for a, b in pairs)


def test_a_page_that_shows_something_else_is_found():
    printed = "gain 0.128\nmore\nswitched to a_before_12345678\n"
    assert_shown("gain 0.129\n…\nswitched to a_before_abcdef01\n", printed)
    for wrong in ("gain 0.131\n…\n", "gain 0.128\nmore\n", "…\nless\n", "…\nmore\n"):
        with pytest.raises(AssertionError):
            assert_shown(wrong, printed)


@pytest.fixture
def reader(tmp_path, monkeypatch, run, api):
    """A reader in an empty folder that holds pages and queries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("OPENAI_API_KEY", "MIXLING_API_KEY", "API", "MODEL", "DATABASE", "INDEX"):
        monkeypatch.setenv(name, "")  # what the page exports is undone
    tutorial_pages.write(tmp_path)
    api.texts.clear()
    reader = Reader(run, {"OPENAI_API_KEY": KEY, "MIXLING_API_KEY": KEY, "API": api.address})
    yield reader
    reader.stop()


def assert_no_key(folder):
    for path in folder.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_audit_your_embedding_api(reader, api, tmp_path):
    reader.follow("audit-your-embedding-api.md")
    assert (tmp_path / "audit" / "audit.html").is_file()
    assert set(api.texts.values()) == {1}  # nothing is paid twice
    assert_no_key(tmp_path)


def test_repair_your_index(reader, postgres, tmp_path):
    import psycopg

    # exact search, since the levels of pgvector's index are drawn at random
    postgres += "&options=-c%20enable_indexscan%3Doff"
    address = f"{postgres}&table=pages&column=embedding"
    reader.instead.update(DATABASE=postgres, INDEX=address)
    try:
        reader.follow("repair-your-index.md")
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            if "database" in reader.names:
                reader.names["database"].close()
            connection.execute("DROP TABLE IF EXISTS pages")
    assert_no_key(tmp_path)


@pytest.fixture
def unpacked(reader, monkeypatch, tmp_path_factory):
    """A reader whose cache the tutorials on e5-small share: its weights are unpacked once."""
    cache = tmp_path_factory.getbasetemp() / "tutorials"
    monkeypatch.setenv("MIXLING_CACHE", str(cache))
    return reader


def test_train_with_your_data(unpacked, tmp_path):
    unpacked.follow("train-with-your-data.md")
    assert (tmp_path / "compared.html").is_file()


def test_build_a_multilingual_search(unpacked):
    unpacked.follow("build-a-multilingual-search.md")
    assert unpacked.running[0].poll() is None  # the server of the page
