"""Documents to a store, a question to its answers: in every form, as often as they change, killed and gone on with."""

import gzip
import json
import os
import re
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixling.corpora import folder, sample
from mixling.debiasing.debias import debias
from mixling.errors import BadRow, MixlingError, Skipped
from mixling.models.retriever import Retriever
from mixling.searching import lance
from mixling.searching.documents import open_documents
from mixling.searching.fairness import ORDERS, order_passages, shrunk
from mixling.searching.index import index
from mixling.searching.passages import split_passages, split_sentences
from mixling.searching.query import Searcher, search
from mixling.searching.stores import make_store, open_store


@pytest.fixture(scope="module")
def beir(tmp_path_factory):
    where = tmp_path_factory.mktemp("documents") / "sample"
    folder.write_folder(sample.read_sample("all"), where)
    return where


@pytest.fixture(scope="module")
def store(chain, beir, tmp_path_factory):
    where = tmp_path_factory.mktemp("stores") / "store"
    return str(where), index(str(chain), beir, str(where), size=60, overlap=10, precision="fp32")


def rows_of(where):
    return open_store(str(where)).table.to_arrow().sort_by("id")


def test_passages_hold_the_whole_text_and_find_it_again(chain, store):
    where, report = store
    rows = rows_of(where)
    assert (
        report["passages"]
        == rows.num_rows
        > report["documents"]
        == sample.read_sample("all").passages.num_rows
    )
    assert report["languages"] == {
        x: report["languages"][x] for x in sample.read_sample("all").languages()
    }
    searcher, corpus = Searcher(where), sample.read_sample("all").passages.to_pylist()
    assert np.allclose(
        np.linalg.norm(
            rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1), axis=1
        ),
        1,
        atol=1e-5,
    )
    retriever = Retriever(str(chain))
    for row in rows.slice(0, 5).to_pylist():
        expected = retriever.encode([row["text"]], "passage")[0]
        assert np.allclose(expected / np.linalg.norm(expected), row["vector"], atol=1e-5)
    for row in corpus[:6]:
        whole = searcher.store.document(row["id"]).to_pylist()
        assert [r["part"] for r in whole] == list(range(len(whole)))
        assert all(row["text"][r["begin"] : r["end"]] == r["text"] for r in whole)
        covered = set().union(*(range(r["begin"], r["end"]) for r in whole))
        assert all(row["text"][i].isspace() for i in set(range(len(row["text"]))) - covered)


def test_a_search_is_exact_and_filters(store):
    where, _ = store
    searcher = Searcher(where)
    rows = rows_of(where)
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    question = "How old is the bridge?"
    scores = vectors @ _unit(searcher, [question])[0]
    found = searcher.search(question, 5, order="score")
    ids = rows["id"].to_pylist()
    assert [r["id"] for r in found] == [ids[i] for i in np.argsort(-scores)[:5]]
    assert [r["score"] for r in found] == pytest.approx(sorted(scores, reverse=True)[:5], abs=1e-5)
    for mode in ORDERS:
        some = searcher.search(question, 8, languages=["sw", "de"], order=mode)
        assert {r["language"] for r in some} <= {"sw", "de"} and len(some) == 8
    for row in found:
        begin, end = row["sentence"]
        assert row["text"][begin:end].strip() and (begin, end) in split_sentences(
            row["text"], row["language"]
        )


def test_ways_fairness_and_quotas(store):
    searcher = Searcher(store[0])
    row = sample.read_sample("all").passages.to_pylist()[0]
    word = max(row["text"].split(), key=len).strip(".,")
    found = searcher.search(word, 3, order="text")
    assert any(word in r["text"] for r in found) and found[0]["score"] >= found[-1]["score"]
    both = searcher.search(word, 3, order="both")
    assert len(both) == 3 and both[0]["score"] <= 2 / 61 + 1e-9
    few = searcher.search(word, 10, order="centered", quotas={"en": 1, "de": 0})
    languages = [r["language"] for r in few]
    assert languages.count("en") <= 1 and "de" not in languages
    turn = [r["language"] for r in searcher.search(word, 8, order="round-robin")]
    assert len(set(turn)) == 8
    # a question and its translation: the mean of both
    mean = _unit(searcher, ["a", "b"]).mean(0)
    for row in search(store[0], ["a", "b"], 3, order="score"):
        v = searcher.retriever.encode([row["text"]], "passage")[0]
        assert row["score"] == pytest.approx(float(v @ mean / np.linalg.norm(v)), abs=1e-5)


@pytest.mark.parametrize("mode", ["query-language-first", "centered"])
def test_one_list_for_all_languages_finds_what_a_list_each_does(store, mode, monkeypatch):
    searcher = Searcher(store[0])
    rows = rows_of(store[0])
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    languages, ids = rows["language"].to_pylist(), rows["id"].to_pylist()
    more = 0
    for row in sample.read_sample("all").queries.to_pylist()[::40]:
        asked = _unit(searcher, [row["text"]])
        # a bias towards one language makes lists of their own needed for the others
        for tilt in (np.zeros(32, np.float32), 2 * searcher.means["ar"]):
            v = asked[0] + tilt
            levels = {x: float(v @ m) for x, m in searcher.means.items()}
            scores = vectors @ v
            best = np.argsort(-scores, kind="stable")
            expected = best[
                order_passages([languages[i] for i in best], scores[best], levels, mode, "sw")[:3]
            ]
            calls = []
            monkeypatch.setattr(searcher.store, "nearest", _counted(searcher.store, calls))
            found = searcher._dense(v, list(searcher.means), 3, mode, "sw", None)[:3]
            monkeypatch.undo()
            assert [r["id"] for r in found] == [ids[i] for i in expected]
            more += len(calls) > 1
    assert more > 0


def _counted(store, calls):
    real = type(store).nearest

    def nearest(*args):
        calls.append(args)
        return real(store, *args)

    return nearest


def test_a_question_in_a_language_that_the_store_lacks(chain, tmp_path):
    (tmp_path / "d.jsonl").write_text(
        "".join(json.dumps({"_id": x, "text": "a b c", "language": x}) + "\n" for x in ("en", "tr"))
    )
    index(str(chain), tmp_path / "d.jsonl", str(tmp_path / "s"), precision="fp32")
    searcher = Searcher(str(tmp_path / "s"))
    assert searcher.language(["Ni timu gani ilishinda Super Bowl 50?"]) == "sw"
    assert searcher.language(["super bowl"]) == "en"
    assert searcher.language(["super bowl"], "de") == "de"


def _unit(searcher, questions):
    v = searcher.retriever.encode(questions, "query")
    return v / np.linalg.norm(v, axis=1, keepdims=True)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1, 1)), max_size=20),
    st.sampled_from(ORDERS),
)
def test_an_order_loses_and_doubles_nothing(rows, mode):
    languages, scores = [x for x, _ in rows], np.array([s for _, s in rows])
    levels = {"a": 0.2, "b": -0.1}
    found = order_passages(languages, scores, levels, mode, own="a")
    assert sorted(found.tolist()) == list(range(len(rows)))
    centered = scores - np.array([levels.get(x, 0) for x in languages]) if rows else scores
    if mode == "score" and rows:
        assert (np.diff(scores[found]) <= 0).all()
    if mode == "centered" and rows:
        assert (np.diff(centered[found]) <= 1e-12).all()
    if mode == "query-language-first" and rows:
        # a foreign answer stands before one in the own language only where it is better
        for i, x in enumerate(found):
            for y in found[i + 1 :]:
                assert not (
                    languages[x] != "a"
                    and languages[y] == "a"
                    and centered[x] < centered[y] - 1e-12
                )


def test_own_language_first_among_equally_good_answers():
    languages, scores = ["en", "en", "sw", "sw", "de"], np.array([0.9, 0.5, 0.89, 0.2, 0.88])
    found = order_passages(languages, scores, {}, "query-language-first", own="sw")
    assert [languages[i] for i in found] == ["sw", "en", "de", "en", "sw"]
    assert [languages[i] for i in order_passages(languages, scores, {}, "score")] == [
        "en",
        "sw",
        "de",
        "en",
        "sw",
    ]


def test_the_mean_of_a_small_language_is_shrunk_towards_all():
    means = {"en": [1.0, 0.0], "sw": [0.0, 1.0], "zxx": [-1.0, 0.0], "und": [0.0, -1.0]}
    counts = {"en": 980, "sw": 20, "zxx": 1, "und": 500}
    every = sum(counts[x] * np.array(means[x]) for x in means) / sum(counts.values())
    found = shrunk(means, counts)
    assert np.allclose(found["sw"], 0.5 * np.array(means["sw"]) + 0.5 * every, atol=1e-6)
    assert np.allclose(found["en"], 0.98 * np.array(means["en"]) + 0.02 * every, atol=1e-6)
    assert np.allclose(found["zxx"], every, atol=1e-6) and np.allclose(
        found["und"], every, atol=1e-6
    )
    # a store that does not say how many, and one of a single language
    assert np.array_equal(shrunk(means, {})["zxx"], [-1, 0]) and shrunk({}, {}) == {}
    assert np.allclose(shrunk({"en": [1, 2]}, {"en": 3})["en"], [1, 2])


def _pool(sizes, seed=0, d=24):
    """Passages near their language's centre, of `sizes` {language: how many}, with float32 unit vectors and levels of both kinds."""
    random = np.random.default_rng(seed)
    centres = {x: random.normal(size=d) for x in sizes}
    languages = [x for x, n in sizes.items() for _ in range(n)]
    v = np.array([1.5 * centres[x] + 2 * random.normal(size=d) for x in languages])
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    named = np.array(languages)
    return languages, v, {x: v[named == x].mean(0) for x in sizes}


def test_a_document_of_emoji_does_not_come_first_for_another_question():
    """Alone in its language, each passage scores exactly its own level, and nothing is left to tell them apart by."""
    sizes = dict.fromkeys(["zxx", "en", "sw", "de"], 1)
    languages, v, means = _pool(sizes)
    for i in (1, 2, 3):
        for mode in ("query-language-first", "centered"):
            own, better = (
                {x: float(v[i] @ m) for x, m in kind.items()}
                for kind in (means, shrunk(means, sizes))
            )
            assert np.allclose(v @ v[i] - [own[x] for x in languages], 0, atol=1e-6)
            assert order_passages(languages, v @ v[i], better, mode, languages[i])[0] == i
            assert order_passages(languages, v @ v[i], better, mode, "fr")[0] == i
    # beside well-populated languages too, for a question that no passage answers
    sizes = {"en": 60, "sw": 60, "zxx": 1}
    languages, v, means = _pool(sizes)
    for seed in range(20):
        q = v[:60].mean(0) + 0.2 * np.random.default_rng(seed).normal(size=v.shape[1])
        levels = {x: float(q @ m) for x, m in shrunk(means, sizes).items()}
        assert (
            languages[order_passages(languages, v @ q, levels, "query-language-first", "en")[0]]
            != "zxx"
        )


def test_pools_of_nine_to_one_are_unharmed():
    sizes = {"en": 900, "sw": 100}
    languages, v, means = _pool(sizes)
    some, same, first = shrunk(means, sizes), [], [0, 0]
    for i in range(0, 1000, 25):
        q = v[i] + 0.05 * np.random.default_rng(i).normal(size=v.shape[1])
        a, b = (
            order_passages(
                languages,
                v @ q,
                {x: float(q @ m) for x, m in kind.items()},
                "query-language-first",
                languages[i],
            )[:10]
            for kind in (means, some)
        )
        same.append(len(set(a) & set(b)) / 10)
        first[0] += a[0] == i
        first[1] += b[0] == i
    assert np.mean(same) > 0.9 and first[0] >= 30 and abs(first[0] - first[1]) <= 1


def test_three_emoji_among_documents_in_a_store(chain, tmp_path):
    rows = [
        {"_id": r["id"], "text": r["text"], "language": r["language"]}
        for r in sample.read_sample("all").passages.to_pylist()[:60]
    ]
    rows.append({"_id": "emoji", "text": "😀 😀 😀"})
    source = tmp_path / "d.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    report = index(str(chain), source, str(tmp_path / "s"), size=60, precision="fp32")
    assert report["languages"]["zxx"] == 1
    searcher = Searcher(str(tmp_path / "s"))
    assert searcher.store.info["languages"] == report["languages"]
    n = np.array(list(report["languages"].values()), float)
    every = (
        np.array([searcher.store.info["means"][x] for x in report["languages"]])
        * (n / n.sum())[:, None]
    )
    assert np.allclose(searcher.means["zxx"], every.sum(0), atol=1e-6)


@given(st.text(alphabet="ab .。!?\nนก", max_size=200), st.integers(2, 12), st.integers(0, 5))
def test_passages_cover_every_word_within_their_size(text, size, overlap):
    def count(texts):
        return [len(t.split()) for t in texts]

    found = split_passages(text, "en", count, size, min(overlap, size - 1))
    words = {i for i, c in enumerate(text) if not c.isspace()}
    covered = set().union(*(range(a, b) for a, b in found)) if found else set()
    assert words <= covered
    assert all(a < b for a, b in found) and all(
        x[0] < y[0] and x[1] < y[1] for x, y in pairwise(found)
    )


def test_a_long_document_that_becomes_short_leaves_nothing_behind(chain, tmp_path):
    source, where = tmp_path / "d.jsonl", str(tmp_path / "store")
    for text, least in (("One sentence here. " * 40, 3), ("One sentence.", 1)):
        source.write_text(json.dumps({"_id": "d", "text": text, "language": "en"}))
        report = index(str(chain), source, where, size=60, precision="fp32")
        assert (report["passages"] >= least) and (report["passages"] == 1) == (least == 1)


def test_folders_of_every_kind(chain, tmp_path):
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("Der Fluss ist breit. Die Brücke ist alt.")
    (root / "sub/b.md").write_text("# Mito\n\nMto ni mrefu. Daraja ni la zamani.")
    (root / "c.html").write_text(
        "<html><head><title>Birds</title><script>alert(1)</script></head><body><article><p>Birds fly south in autumn, "
        "when the days grow short and food is hard to find.</p><p>They come back in spring.</p></article></body></html>"
    )
    (root / "d.pdf").write_bytes(pdf("Hello river"))
    (root / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (root / "e.txt").write_bytes("Größe".encode("latin-1"))
    (root / "f.md").write_text("  \n")
    skipped = Skipped(True)
    total, found = open_documents(root, skipped)
    made = {d.id: d for d in found}
    assert (
        total == 7
        and set(made) == {"a.txt", "sub/b.md", "c.html", "d.pdf"}
        and len(skipped.rows) == 3
    )
    assert made["sub/b.md"].title == "Mito" and made["c.html"].title == "Birds"
    assert "alert" not in made["c.html"].text and "Hello river" in made["d.pdf"].text
    report = index(
        str(chain),
        root,
        str(tmp_path / "store"),
        languages=["de", "sw", "en"],
        size=60,
        precision="fp32",
    )
    rows = {r["document"]: r for r in rows_of(tmp_path / "store").to_pylist()}
    assert rows["a.txt"]["language"] == "de" and rows["sub/b.md"]["language"] == "sw"
    assert 0 < rows["a.txt"]["confidence"] <= 1 and len(report["skipped"]) == 3
    with pytest.raises(BadRow, match=r"broken\.pdf"):
        index(str(chain), root, str(tmp_path / "strict"), size=60, skip_bad=False)


def test_every_file_of_a_folder_that_is_not_read_is_counted_and_named(tmp_path, chain, run):
    root = tmp_path / "folder"
    (root / ".git/objects").mkdir(parents=True)
    (root / "deep/.hidden").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/out.txt").write_text("Outside.")
    for name, text in {
        "A.TXT": "Swifts sleep on the wing.", "b.rst": "Pelicans fish.", "c.Md": "# Cranes\n\nThey dance.", "same.txt": "Twice.",
        "deep/same.txt": "Twice.", "report.docx": "x", "T.CSV": "a,b", "deep/t.csv": "a,b", "README": "x", ".DS_Store": "x",
        ".git/config.txt": "x", ".git/objects/o": "x", "deep/.hidden/n.md": "x", "old.txt.gz": "x", "rows.jsonl": "{}",
    }.items():  # fmt: skip
        (root / name).write_text(text)
    (root / "empty.txt").write_bytes(b"")
    (root / "utf16.txt").write_bytes("Wide letters.".encode("utf-16-le"))
    (root / "broken.txt").symlink_to(root / "nowhere.txt")
    (root / "circle.txt").symlink_to(root / "circle.txt")
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "linked.txt").symlink_to(tmp_path / "elsewhere/out.txt")
    os.mkfifo(root / "pipe.txt")
    read = ["A.TXT", "b.rst", "c.Md", "deep/same.txt", "linked.txt", "same.txt"]
    left = {".csv": 2, ".docx": 1, ".gz": 1, ".jsonl": 1, "hidden": 4, "without suffix": 1}
    bad = ["broken.txt", "circle.txt", "empty.txt", "loop", "out", "pipe.txt", "utf16.txt"]
    skipped = Skipped(True)
    total, found = open_documents(root, skipped)
    assert sorted(d.id for d in found) == read and skipped.left_out == left
    assert sorted(Path(x.file).name for x in skipped.rows) == bad
    assert total + sum(left.values()) == sum(len(files) for _, _, files in os.walk(root))
    status, said, _ = run(
        "index", chain, root, "--store", tmp_path / "s", "--size", "60", "--precision", "fp32"
    )
    assert status == 0 and "6 documents" in said and "7 skipped" in said and "10 left out" in said
    assert all(name in said for name in bad) and all(
        f"{n} {what}" in said for what, n in left.items()
    )
    # strict, a bad file is an error and another kind is not
    with pytest.raises(BadRow, match=r"loop|out"):
        open_documents(root, Skipped(False))


def test_a_folder_without_documents_says_what_it_has(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(MixlingError, match=r"1 \.docx"):
        open_documents(tmp_path, Skipped(True))


def test_files_beside_a_collection_are_counted(tmp_path):
    (tmp_path / "qrels").mkdir()
    for name in ("queries.jsonl", "qrels/test.tsv", "notes.txt", "old.jsonl"):
        (tmp_path / name).write_text("x")
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "One."}\n')
    skipped = Skipped(True)
    assert [d.id for d in open_documents(tmp_path, skipped)[1]] == ["a"]
    assert skipped.left_out == {".txt": 1, ".jsonl": 1} and not skipped.rows


READ = """
import json, sys
from pathlib import Path
from mixling.errors import Skipped
from mixling.searching.documents import documents
skipped = Skipped(True)
found = [(d.id, len(d.text)) for d in documents(Path(sys.argv[1]), skipped)[1]]
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
print(json.dumps([found, [str(x)[-200:] for x in skipped.rows], int(peak.split()[1]) // 1024]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "lines"])
def test_what_unpacks_to_gigabytes_is_left_out(kind, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "good.txt").write_text("A good text.")
    if kind == "lines":
        given = tmp_path / "d" / "lines.jsonl.gz"
        with gzip.open(given, "wb", 1) as out:
            out.write(b'{"text": "' + b"a" * (80 << 20))
            for _ in range(10):
                out.write(b"a" * (80 << 20))
            out.write(b'"}\n')
    else:
        given = tmp_path / "d"
        zeros = zlib.compressobj(9)
        bomb = b"".join(zeros.compress(b" " * (64 << 20)) for _ in range(16)) + zeros.flush()
        (given / "bomb.pdf").write_bytes(pdf("", bomb, b"/Filter/FlateDecode"))
        (given / "deep.html").write_text(
            "<html><body><p>Words.</p>" + "<div>" * 300_000 + "Deep." + "</body></html>"
        )
        entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
        (given / "entities.html").write_text(
            f'<!DOCTYPE html [<!ENTITY e0 "ha">{entities}]><html><body><p>Some words. &e11;</p></body></html>'
        )
        (given / "large.txt").write_bytes(b"a" * (65 << 20))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(given)], capture_output=True, text=True, timeout=120
    )
    if kind == "lines":
        assert "64" in done.stderr and "bytes at most" in done.stderr and len(done.stderr) < 10_000
        return
    found, skipped, megabytes = json.loads(done.stdout)
    assert megabytes < 1500
    names = dict(found)
    assert names["good.txt"] == 12 and all(size < 1 << 20 for size in names.values())
    assert any("bomb.pdf" in x for x in skipped) and any("large.txt" in x for x in skipped)


def pdf(words, content=None, more=b""):
    """A PDF of one page that says these words, or has this content."""
    content = content or f"BT /F1 12 Tf 10 100 Td ({words}) Tj ET".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), more, content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def test_another_model_is_refused(chain, plain, store, tmp_path, beir):
    with pytest.raises(MixlingError, match="search with that model"):
        Searcher(store[0], str(plain))
    debias(str(chain), "lsar", ["sample"], tmp_path / "fair")  # the same encoder, other vectors
    with pytest.raises(MixlingError, match="search with that model"):
        Searcher(store[0], str(tmp_path / "fair"))
    with pytest.raises(MixlingError, match=r"another (encoder|prompts)"):
        index(Retriever(str(plain), pooling="mean"), beir, store[0], size=60, overlap=10)
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), beir, store[0], size=61, overlap=10)
    with pytest.raises(MixlingError, match="is no store"):
        Searcher(str(tmp_path / "score"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(MixlingError, match="is not empty"):
        make_store(str(tmp_path / "other"), 32, {})


def test_many_passages_are_indexed_and_few_are_scanned(tmp_path, monkeypatch):
    """Recall against exact scores, without a filter and with one that few pass."""
    import pyarrow as pa

    monkeypatch.setattr(lance, "EXACT", 1000)
    random = np.random.default_rng(0)
    n, d = 6000, 16
    centres = random.normal(size=(60, d))
    v = (centres[random.integers(60, size=n)] + 0.3 * random.normal(size=(n, d))).astype(np.float32)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    language = np.where(np.arange(n) % 100 == 0, "sw", "en")
    store = make_store(str(tmp_path / "store"), d, {})
    form = store.table.schema
    columns = {
        "id": [f"d{i}#0" for i in range(n)], "document": [f"d{i}" for i in range(n)], "language": language.tolist(),
        "part": [0] * n, "text": ["text"] * n, "metadata": ["{}"] * n,
    }  # fmt: skip
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), d)
        if f.name == "vector"
        else pa.array(columns.get(f.name, [None] * n), f.type)
        for f in form
    ]
    store.replace(columns["document"], pa.table(arrays, schema=form))
    store.finish()
    assert "vector" in {c for i in store.table.list_indices() for c in i.columns}
    for some, keep in ((None, np.ones(n, bool)), (["sw"], language == "sw")):
        recall = []
        for q in v[random.integers(n, size=20)]:
            scores = np.where(keep, v @ q, -9)
            best = {f"d{i}#0" for i in np.argsort(-scores)[:50]}
            recall.append(len(best & set(store.nearest(q, 50, some)["id"].to_pylist())) / 50)
        assert np.mean(recall) >= 0.99
    assert store.count() == 6000 and store.count(["sw"]) == 60


def test_the_command_line(chain, beir, tmp_path, run, monkeypatch):
    where = tmp_path / "store"
    status, said, error = run(
        "index", chain, beir, "--store", where, "--size", "60", "--precision", "fp32"
    )
    assert status == 0 and "passages in 8 languages" in said, error
    status, said, _ = run(
        "search", where, "How old is the bridge?", "-k", "3", "--json", "-l", "sw,de"
    )
    rows = [json.loads(x) for x in said.splitlines()]
    assert status == 0 and len(rows) == 3 and {r["language"] for r in rows} <= {"sw", "de"}
    status, said, note = run("search", where, "How old is the bridge?", "-k", "2")
    assert status == 0 and said.startswith(" 1. ") and " 2. " in said
    assert re.match(r" 1\. \w\w 0\.\d{3} [+-]0\.\d{3}\n", said) and "--order" in note
    for more in (("--order", "score"), ("--mode", "both")):
        status, said, note = run("search", where, "How old is the bridge?", *more)
        assert status == 0 and re.match(r" 1\. \w\w 0\.\d{3}\n", said) and "--order" not in note
    answers = iter(["What?", "", "x"])
    monkeypatch.setattr(
        "builtins.input", lambda _: next(answers, None) or (_ for _ in ()).throw(EOFError)
    )
    assert run("search", where)[0] == 0
    for more, says in (
        (("-l", "yo"), "no passages in yo"),
        (("--mode", "dens"), "Did you mean 'dense'"),
        (("--order", "centered"), "Did you mean 'centered'"),
        (("--quota", "en"), "--quota en: write"),
    ):
        status, _, error = run("search", where, "q", *more)
        assert status == 2 and says in error


def test_documents_that_are_not_there_are_said_first(tmp_path, run, monkeypatch):
    def loaded(*_):
        raise AssertionError("the model was loaded before the documents were looked for")

    monkeypatch.setattr("mixling.searching.index.Retriever", loaded)
    where = tmp_path / "store"
    status, _, error = run("index", "a-model", tmp_path / "nowhere", "--store", where)
    assert status == 2 and "nowhere: no such file or folder" in error
    assert not where.exists()


def test_a_store_that_was_killed_in_the_making_is_made_again_without_a_word(tmp_path, capfd):
    make_store(str(tmp_path / "store"), 8, {"dimensions": 8})
    (tmp_path / "store" / "mixling.json").unlink()
    assert make_store(str(tmp_path / "store"), 8, {"dimensions": 8}).table.count_rows() == 0
    assert capfd.readouterr() == ("", "")


def test_a_source_of_which_nothing_can_be_read_does_not_empty_the_store(chain, tmp_path):
    """A column that was renamed, or a file that was cut off, removed every document."""
    source, store = tmp_path / "d.jsonl", str(tmp_path / "store")
    rows = [{"_id": f"d{i}", "text": f"Text {i}.", "language": "en"} for i in range(3)]
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    index(str(chain), source, store, precision="fp32")
    for content in ("", "".join(json.dumps({**r, "text": None}) + "\n" for r in rows)):
        source.write_text(content)
        with pytest.raises(MixlingError, match=r"d\.jsonl: no document could be read"):
            index(str(chain), source, store, precision="fp32")
        assert len(Searcher(store).search("Text 1.", 3)) == 3
        assert index(str(chain), source, store, precision="fp32", keep_gone=True)["passages"] == 3
