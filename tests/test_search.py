"""Documents to a store and queries to their passages: formats, orders, changes, and the command
line.
"""

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
from mixling.corpora.sentences import sentence_spans
from mixling.debiasing.debias import debias
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.models.retriever import Retriever
from mixling.searching import lance
from mixling.searching.documents import open_documents
from mixling.searching.fairness import ORDERS, order_passages, shrunk
from mixling.searching.hits import SearchHit
from mixling.searching.index import index
from mixling.searching.passages import split_passages
from mixling.searching.query import Searcher, search
from mixling.searching.ranking import PassageSearch, rank_by_vector
from mixling.searching.store import RESULT_COLUMNS
from mixling.searching.stores import open_or_create_store, open_store


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
    assert report.passages == rows.num_rows > report.documents
    assert report.documents == sample.read_sample("all").passages.num_rows
    assert set(report.languages) == set(sample.read_sample("all").languages())
    assert sum(report.languages.values()) == report.passages
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
    query = "How old is the bridge?"
    scores = vectors @ _unit(searcher, [query])[0]
    hits = searcher.search(query, 5, order="score")
    ids = rows["id"].to_pylist()
    assert [hit.id for hit in hits] == [ids[i] for i in np.argsort(-scores)[:5]]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores, reverse=True)[:5], abs=1e-5)
    for order in ORDERS:
        filtered = searcher.search(query, 8, languages=["sw", "de"], order=order)
        assert {hit.language for hit in filtered} <= {"sw", "de"} and len(filtered) == 8
    for hit in hits:
        begin, end = hit.sentence
        assert hit.text[begin:end].strip()
        assert (begin, end) in sentence_spans(hit.text, hit.language)


def test_a_hit_is_json_and_back(store):
    searcher = Searcher(store[0])
    for hit in searcher.search("bridge", 3, mode="both"):
        row = json.loads(json.dumps(hit.to_dict()))
        assert SearchHit.from_dict(row) == hit
        assert set(row) == {"rank", "score", "sentence", "language_offset", *RESULT_COLUMNS}
        assert set(hit.columns) == {"group", "metadata", "part", "begin", "end", "confidence"}
        assert f"language={hit.language!r}" in repr(hit) and len(repr(hit)) < 250
    (hit,) = searcher.search("bridge", 1, order="score", highlight=False)
    assert hit.sentence is None and hit.language_offset is None
    assert set(hit.to_dict()) == {"rank", "score", "standard_score", *RESULT_COLUMNS}


def test_modes_orders_and_quotas(store):
    searcher = Searcher(store[0])
    row = sample.read_sample("all").passages.to_pylist()[0]
    word = max(row["text"].split(), key=len).strip(".,")
    hits = searcher.search(word, 3, mode="text")
    assert any(word in hit.text for hit in hits) and hits[0].score >= hits[-1].score
    both = searcher.search(word, 3, mode="both")
    assert len(both) == 3 and any(word in hit.text for hit in both)
    hits = searcher.search(word, 10, order="centered", quotas={"en": 1, "de": 0})
    languages = [hit.language for hit in hits]
    assert languages.count("en") <= 1 and "de" not in languages
    in_turn = [hit.language for hit in searcher.search(word, 8, order="round-robin")]
    assert len(set(in_turn)) == 8
    # a query and its translation: the mean of both
    mean = _unit(searcher, ["a", "b"]).mean(0)
    for hit in search(store[0], ["a", "b"], 3, order="score"):
        v = searcher.retriever.encode([hit.text], "passage")[0]
        assert hit.score == pytest.approx(float(v @ mean / np.linalg.norm(v)), abs=1e-5)


@pytest.mark.parametrize("order", ["query-language-first", "centered"])
def test_one_list_of_all_languages_finds_what_a_list_each_does(store, order, monkeypatch):
    searcher = Searcher(store[0])
    rows = rows_of(store[0])
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    languages, ids = rows["language"].to_pylist(), rows["id"].to_pylist()
    repeated_searches = 0
    for row in sample.read_sample("all").queries.to_pylist()[::40]:
        query = _unit(searcher, [row["text"]])[0]
        # a bias towards one language makes lists of their own needed for the others
        for tilt in (np.zeros(32, np.float32), 2 * searcher.means["ar"]):
            v = query + tilt
            offsets = {x: float(v @ m) for x, m in searcher.means.items()}
            scores = vectors @ v
            best = np.argsort(-scores, kind="stable")
            best_languages = [languages[i] for i in best]
            places = order_passages(best_languages, scores[best], offsets, order, "sw")
            expected = best[places[:3]]
            calls = []
            monkeypatch.setattr(searcher.store, "nearest", _counted(searcher.store, calls))
            search = PassageSearch(
                searcher.store, searcher.means, list(searcher.means), 3, order, "sw", {}
            )
            rows = rank_by_vector(search, v)[:3]
            monkeypatch.undo()
            assert [row["id"] for row in rows] == [ids[i] for i in expected]
            repeated_searches += len(calls) > 1
    assert repeated_searches > 0


def _counted(store, calls):
    real = type(store).nearest

    def nearest(*args):
        calls.append(args)
        return real(store, *args)

    return nearest


def test_a_query_in_a_language_that_the_store_lacks(chain, tmp_path):
    (tmp_path / "d.jsonl").write_text(
        "".join(json.dumps({"_id": x, "text": "a b c", "language": x}) + "\n" for x in ("en", "tr"))
    )
    index(str(chain), tmp_path / "d.jsonl", str(tmp_path / "s"), precision="fp32")
    searcher = Searcher(str(tmp_path / "s"))
    assert searcher.query_language(["Ni timu gani ilishinda Super Bowl 50?"]) == "sw"
    assert searcher.query_language(["super bowl"]) == "en"
    assert searcher.query_language(["super bowl"], "de") == "de"


def _unit(searcher, queries):
    v = searcher.retriever.encode(queries, "query")
    return v / np.linalg.norm(v, axis=1, keepdims=True)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1, 1)), max_size=20),
    st.sampled_from(ORDERS),
)
def test_an_order_loses_and_doubles_nothing(rows, order):
    languages, scores = [x for x, _ in rows], np.array([s for _, s in rows])
    offsets = {"a": 0.2, "b": -0.1}
    places = order_passages(languages, scores, offsets, order, query_language="a")
    assert sorted(places.tolist()) == list(range(len(rows)))
    centered = scores - np.array([offsets.get(x, 0) for x in languages]) if rows else scores
    if order == "score" and rows:
        assert (np.diff(scores[places]) <= 0).all()
    if order == "centered" and rows:
        assert (np.diff(centered[places]) <= 1e-12).all()
    if order == "query-language-first" and rows:
        # a passage in another language stands before one in the query's only where it is better
        for i, x in enumerate(places):
            for y in places[i + 1 :]:
                assert not (
                    languages[x] != "a"
                    and languages[y] == "a"
                    and centered[x] < centered[y] - 1e-12
                )


def test_the_query_language_is_first_among_equally_good_passages():
    languages, scores = ["en", "en", "sw", "sw", "de"], np.array([0.9, 0.5, 0.89, 0.2, 0.88])
    places = order_passages(languages, scores, {}, "query-language-first", query_language="sw")
    assert [languages[i] for i in places] == ["sw", "en", "de", "en", "sw"]
    places = order_passages(languages, scores, {}, "score")
    assert [languages[i] for i in places] == ["en", "sw", "de", "en", "sw"]


def test_the_mean_of_a_small_language_is_shrunk_towards_all():
    means = {"en": [1.0, 0.0], "sw": [0.0, 1.0], "zxx": [-1.0, 0.0], "und": [0.0, -1.0]}
    counts = {"en": 980, "sw": 20, "zxx": 1, "und": 500}
    overall = sum(counts[x] * np.array(means[x]) for x in means) / sum(counts.values())
    result = shrunk(means, counts)
    assert np.allclose(result["sw"], 0.5 * np.array(means["sw"]) + 0.5 * overall, atol=1e-6)
    assert np.allclose(result["en"], 0.98 * np.array(means["en"]) + 0.02 * overall, atol=1e-6)
    assert np.allclose(result["zxx"], overall, atol=1e-6)
    assert np.allclose(result["und"], overall, atol=1e-6)
    # a store that does not keep the counts, and one of a single language
    assert np.array_equal(shrunk(means, {})["zxx"], [-1, 0]) and shrunk({}, {}) == {}
    assert np.allclose(shrunk({"en": [1, 2]}, {"en": 3})["en"], [1, 2])


def _clusters(sizes, seed=0, d=24):
    """Languages, unit vectors near their language's center, and means, of {language: passages}."""
    random = np.random.default_rng(seed)
    centers = {x: random.normal(size=d) for x in sizes}
    languages = [x for x, n in sizes.items() for _ in range(n)]
    v = np.array([1.5 * centers[x] + 2 * random.normal(size=d) for x in languages])
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    tags = np.array(languages)
    return languages, v, {x: v[tags == x].mean(0) for x in sizes}


def test_a_document_of_emoji_does_not_come_first_for_another_query():
    """Alone in its language, a passage scores exactly its language's offset for every query."""
    sizes = dict.fromkeys(["zxx", "en", "sw", "de"], 1)
    languages, v, means = _clusters(sizes)
    for i in (1, 2, 3):
        plain, shrunk_offsets = (
            {x: float(v[i] @ m) for x, m in vectors.items()}
            for vectors in (means, shrunk(means, sizes))
        )
        assert np.allclose(v @ v[i] - [plain[x] for x in languages], 0, atol=1e-6)
        for order in ("query-language-first", "centered"):
            for language in (languages[i], "fr"):
                places = order_passages(languages, v @ v[i], shrunk_offsets, order, language)
                assert places[0] == i
    # beside well-populated languages too, for a query that no passage answers
    sizes = {"en": 60, "sw": 60, "zxx": 1}
    languages, v, means = _clusters(sizes)
    for seed in range(20):
        q = v[:60].mean(0) + 0.2 * np.random.default_rng(seed).normal(size=v.shape[1])
        offsets = {x: float(q @ m) for x, m in shrunk(means, sizes).items()}
        places = order_passages(languages, v @ q, offsets, "query-language-first", "en")
        assert languages[places[0]] != "zxx"


def test_languages_of_nine_to_one_are_unharmed():
    sizes = {"en": 900, "sw": 100}
    languages, v, means = _clusters(sizes)
    overlaps, first_plain, first_shrunk = [], 0, 0
    for i in range(0, 1000, 25):
        q = v[i] + 0.05 * np.random.default_rng(i).normal(size=v.shape[1])
        plain, with_shrinkage = (
            order_passages(
                languages,
                v @ q,
                {x: float(q @ m) for x, m in vectors.items()},
                "query-language-first",
                languages[i],
            )[:10]
            for vectors in (means, shrunk(means, sizes))
        )
        overlaps.append(len(set(plain) & set(with_shrinkage)) / 10)
        first_plain += plain[0] == i
        first_shrunk += with_shrinkage[0] == i
    assert np.mean(overlaps) > 0.9 and first_plain >= 30 and abs(first_plain - first_shrunk) <= 1


def test_three_emoji_among_documents_in_a_store(chain, tmp_path):
    rows = [
        {"_id": r["id"], "text": r["text"], "language": r["language"]}
        for r in sample.read_sample("all").passages.to_pylist()[:60]
    ]
    rows.append({"_id": "emoji", "text": "😀 😀 😀"})
    source = tmp_path / "d.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    report = index(str(chain), source, str(tmp_path / "s"), size=60, precision="fp32")
    assert report.languages["zxx"] == 1
    searcher = Searcher(str(tmp_path / "s"))
    assert searcher.store.info["languages"] == report.languages
    weights = np.array(list(report.languages.values()), float)
    means = np.array([searcher.store.info["means"][x] for x in report.languages])
    assert np.allclose(searcher.means["zxx"], weights / weights.sum() @ means, atol=1e-6)


@given(st.text(alphabet="ab .。!?\nนก", max_size=200), st.integers(2, 12), st.integers(0, 5))
def test_passages_cover_every_word_within_their_size(text, size, overlap):
    def count(texts):
        return [len(t.split()) for t in texts]

    passages = split_passages(text, "en", count, size, min(overlap, size - 1))
    characters = {i for i, c in enumerate(text) if not c.isspace()}
    covered = set().union(*(range(a, b) for a, b in passages)) if passages else set()
    assert characters <= covered
    assert all(a < b for a, b in passages)
    assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(passages))


def test_a_long_document_that_becomes_short_leaves_nothing_behind(chain, tmp_path):
    source, where = tmp_path / "d.jsonl", str(tmp_path / "store")
    for text, minimum in (("One sentence here. " * 40, 3), ("One sentence.", 1)):
        source.write_text(json.dumps({"_id": "d", "text": text, "language": "en"}))
        report = index(str(chain), source, where, size=60, precision="fp32")
        assert report.passages >= minimum and (report.passages == 1) == (minimum == 1)


def test_folders_of_every_kind(chain, tmp_path):
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("Der Fluss ist breit. Die Brücke ist alt.")
    (root / "sub/b.md").write_text("# Mito\n\nMto ni mrefu. Daraja ni la zamani.")
    (root / "c.html").write_text(
        "<html><head><title>Birds</title><script>alert(1)</script></head><body><article><p>Birds "
        "fly south in autumn, "
        "when the days grow short and food is hard to find.</p><p>They come back in "
        "spring.</p></article></body></html>"
    )
    (root / "d.pdf").write_bytes(pdf("Hello river"))
    (root / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (root / "e.txt").write_bytes("Größe".encode("latin-1"))
    (root / "f.md").write_text("  \n")
    skipped = Skipped(True)
    total, documents = open_documents(root, skipped)
    by_id = {document.id: document for document in documents}
    assert total == 7 and set(by_id) == {"a.txt", "sub/b.md", "c.html", "d.pdf"}
    assert len(skipped.rows) == 3
    assert by_id["sub/b.md"].title == "Mito" and by_id["c.html"].title == "Birds"
    assert "alert" not in by_id["c.html"].text and "Hello river" in by_id["d.pdf"].text
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
    assert 0 < rows["a.txt"]["confidence"] <= 1 and len(report.skipped) == 3
    with pytest.raises(BadRowError, match=r"broken\.pdf"):
        index(str(chain), root, str(tmp_path / "strict"), size=60, skip_bad=False)


def test_every_file_of_a_folder_that_is_not_read_is_counted_and_named(tmp_path, chain, run):
    root = tmp_path / "folder"
    (root / ".git/objects").mkdir(parents=True)
    (root / "deep/.hidden").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/out.txt").write_text("Outside.")
    for name, text in {
        "A.TXT": "Swifts sleep on the wing.",
        "b.rst": "Pelicans fish.",
        "c.Md": "# Cranes\n\nThey dance.",
        "same.txt": "Twice.",
        "deep/same.txt": "Twice.",
        "report.docx": "x",
        "T.CSV": "a,b",
        "deep/t.csv": "a,b",
        "README": "x",
        ".DS_Store": "x",
        ".git/config.txt": "x",
        ".git/objects/o": "x",
        "deep/.hidden/n.md": "x",
        "old.txt.gz": "x",
        "rows.jsonl": "{}",
    }.items():
        (root / name).write_text(text)
    (root / "empty.txt").write_bytes(b"")
    (root / "utf16.txt").write_bytes("Wide letters.".encode("utf-16-le"))
    (root / "broken.txt").symlink_to(root / "nowhere.txt")
    (root / "circle.txt").symlink_to(root / "circle.txt")
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "linked.txt").symlink_to(tmp_path / "elsewhere/out.txt")
    os.mkfifo(root / "pipe.txt")
    readable = ["A.TXT", "b.rst", "c.Md", "deep/same.txt", "linked.txt", "same.txt"]
    left_out = {".csv": 2, ".docx": 1, ".gz": 1, ".jsonl": 1, "hidden": 4, "without suffix": 1}
    bad = ["broken.txt", "circle.txt", "empty.txt", "loop", "out", "pipe.txt", "utf16.txt"]
    skipped = Skipped(True)
    total, documents = open_documents(root, skipped)
    assert sorted(x.id for x in documents) == readable and skipped.left_out == left_out
    assert sorted(Path(x.file).name for x in skipped.rows) == bad
    assert total + sum(left_out.values()) == sum(len(files) for _, _, files in os.walk(root))
    status, out, _ = run(
        "index", chain, root, "--store", tmp_path / "s", "--size", "60", "--precision", "fp32"
    )
    assert status == 0 and "6 documents" in out and "7 skipped" in out and "10 left out" in out
    assert all(name in out for name in bad)
    assert all(f"{n} {name}" in out for name, n in left_out.items())
    # strict, a bad file is an error and a file with another suffix is not
    with pytest.raises(BadRowError, match=r"loop|out"):
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
from mixling.searching.documents import open_documents
skipped = Skipped(True)
found = [(d.id, len(d.text)) for d in open_documents(Path(sys.argv[1]), skipped)[1]]
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
            f'<!DOCTYPE html [<!ENTITY e0 "ha">{entities}]>'
            "<html><body><p>Some words. &e11;</p></body></html>"
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
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
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
    with pytest.raises(MixlingError, match="Search with that model"):
        Searcher(store[0], str(plain))
    debias(str(chain), "lsar", ["sample"], tmp_path / "fair")  # the same encoder, other vectors
    with pytest.raises(MixlingError, match="Search with that model"):
        Searcher(store[0], str(tmp_path / "fair"))
    with pytest.raises(MixlingError, match=r"another (encoder|prompts)"):
        index(Retriever(str(plain), pooling="mean"), beir, store[0], size=60, overlap=10)
    with pytest.raises(MixlingError, match="another size"):
        index(str(chain), beir, store[0], size=61, overlap=10)
    with pytest.raises(MixlingError, match="is not a store"):
        Searcher(str(tmp_path / "score"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(MixlingError, match="neither empty nor a store"):
        open_or_create_store(str(tmp_path / "other"), 32, {})


def test_numbers_below_their_least_are_refused(chain, store, tmp_path, beir):
    searcher = Searcher(store[0])
    for options, message in (
        ({"k": 0}, "k is 0"),
        ({"k": -1}, "k is -1"),
        ({"quotas": {"en": -1}}, "quota of 'en' is -1"),
        ({"weights": (float("nan"), 1.0), "mode": "both"}, r"weights\[0\] is nan"),
    ):
        with pytest.raises(MixlingError, match=message):
            searcher.search("bridge", **options)
    with pytest.raises(MixlingError, match="overlap is -2"):
        index(str(chain), beir, str(tmp_path / "s"), overlap=-2)


def test_many_passages_are_indexed_and_few_are_scanned(tmp_path, monkeypatch):
    """Recall against exact scores, without a filter and with one that few pass."""
    import pyarrow as pa

    monkeypatch.setattr(lance, "EXACT", 1000)
    random = np.random.default_rng(0)
    n, d = 6000, 16
    centers = random.normal(size=(60, d))
    v = (centers[random.integers(60, size=n)] + 0.3 * random.normal(size=(n, d))).astype(np.float32)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    language = np.where(np.arange(n) % 100 == 0, "sw", "en")
    store = open_or_create_store(str(tmp_path / "store"), d, {})
    form = store.table.schema
    columns = {
        "id": [f"d{i}#0" for i in range(n)],
        "document": [f"d{i}" for i in range(n)],
        "language": language.tolist(),
        "part": [0] * n,
        "text": ["text"] * n,
        "metadata": ["{}"] * n,
    }
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), d)
        if f.name == "vector"
        else pa.array(columns.get(f.name, [None] * n), f.type)
        for f in form
    ]
    store.replace(columns["document"], pa.table(arrays, schema=form))
    store.finish()
    assert "vector" in {c for i in store.table.list_indices() for c in i.columns}
    for languages, mask in ((None, np.ones(n, bool)), (["sw"], language == "sw")):
        recall = []
        for q in v[random.integers(n, size=20)]:
            scores = np.where(mask, v @ q, -9)
            best = {f"d{i}#0" for i in np.argsort(-scores)[:50]}
            nearest = set(store.nearest(q, 50, languages)["id"].to_pylist())
            recall.append(len(best & nearest) / 50)
        assert np.mean(recall) >= 0.99
    assert store.count() == 6000 and store.count(["sw"]) == 60


def test_the_command_line(chain, beir, tmp_path, run, monkeypatch):
    where = tmp_path / "store"
    status, out, error = run(
        "index", chain, beir, "--store", where, "--size", "60", "--precision", "fp32"
    )
    assert status == 0 and "passages in 8 languages" in out, error
    status, out, _ = run(
        "search", where, "How old is the bridge?", "-k", "3", "--json", "-l", "sw,de"
    )
    rows = [json.loads(x) for x in out.splitlines()]
    assert status == 0 and len(rows) == 3 and {r["language"] for r in rows} <= {"sw", "de"}
    status, out, note = run("search", where, "How old is the bridge?", "-k", "2")
    assert status == 0 and out.startswith(" 1. ") and " 2. " in out
    assert re.match(r" 1\. \w\w 0\.\d{3} [+-]0\.\d{3}\n", out) and "--order" in note
    for options in (("--order", "score"), ("--mode", "both")):
        status, out, note = run("search", where, "How old is the bridge?", *options)
        assert status == 0 and re.match(r" 1\. \w\w 0\.\d{3}\n", out) and "--order" not in note
    answers = iter(["What?", "", "x"])
    monkeypatch.setattr(
        "builtins.input", lambda _: next(answers, None) or (_ for _ in ()).throw(EOFError)
    )
    assert run("search", where)[0] == 0
    for options, message in (
        (("-l", "yo"), "no passages in yo"),
        (("--mode", "dens"), "Did you mean 'dense'"),
        (("--order", "centred"), "Did you mean 'centered'"),
        (("--quota", "en"), "--quota en: expected"),
    ):
        status, _, error = run("search", where, "q", *options)
        assert status == 2 and message in error


def test_missing_documents_are_reported_before_a_model_is_loaded(tmp_path, run, monkeypatch):
    def loaded(*_):
        raise AssertionError("the model was loaded before the documents were looked for")

    monkeypatch.setattr("mixling.searching.index.load_encoder", loaded)
    where = tmp_path / "store"
    status, _, error = run("index", "a-model", tmp_path / "nowhere", "--store", where)
    assert status == 2 and "nowhere: the file or folder does not exist" in error
    assert not where.exists()


def test_a_store_that_was_killed_while_created_is_created_again_silently(tmp_path, capfd):
    open_or_create_store(str(tmp_path / "store"), 8, {"dimensions": 8})
    (tmp_path / "store" / "mixling.json").unlink()
    assert (
        open_or_create_store(str(tmp_path / "store"), 8, {"dimensions": 8}).table.count_rows() == 0
    )
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
        assert index(str(chain), source, store, precision="fp32", keep_gone=True).passages == 3
