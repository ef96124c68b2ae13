"""The sentence that a search names: from vectors that indexing stored, else by shared terms."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixling
from mixling.models.functions import FunctionEncoder
from mixling.models.retriever import Retriever
from mixling.models.span_vectors import encode_with_spans, has_span_vectors
from mixling.searching.hits import SearchHit
from mixling.searching.sentences import (
    highlight,
    nearest_sentence,
    pack_sentences,
    shared_terms,
    transform_sentences,
    unpack_sentences,
)

SENTENCES = ("The crane flies south.", "Its bridge is old and grey.", "Nobody knows number {}.")
SPANS = [(0, 3), (4, 9), (10, 12)]


@pytest.fixture(scope="module")
def retriever(chain):
    return Retriever(str(chain))


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("highlight")
    rows = [
        {"_id": str(i), "text": " ".join(SENTENCES).format(i), "language": "en", "title": "Cranes"}
        for i in range(12)
    ]
    rows.append({"_id": "one", "text": "A crane alone.", "language": "en"})
    (root / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    mixling.index(str(chain), root / "d.jsonl", str(root / "store"))
    return root / "store"


def named(hit):
    return hit.text[slice(*hit.sentence)]


def test_a_part_is_the_mean_of_its_tokens_and_the_text_keeps_its_vector(retriever):
    text, title = "The crane flies. It is grey.", "Birds"
    spans = [(0, 16), (17, 28)]
    vectors, (parts,) = encode_with_spans(retriever, [text], "passage", [spans], titles=[title])
    expected = retriever.encode([text], "passage", titles=[title])
    assert np.abs(vectors - expected).max() < 1e-6
    (tokens,) = retriever.tokenize([text], "passage", titles=[title])
    states = []
    retriever.embed([tokens], None, states)
    read = f"passage: {title} {text}"
    start = len(read) - len(text)
    encoding = retriever.tokenizer(read, return_offsets_mapping=True)
    assert encoding["input_ids"] == tokens
    for (begin, end), part in zip(spans, parts, strict=True):
        inside = [
            i
            for i, (a, b) in enumerate(encoding["offset_mapping"])
            if b > a and begin <= b - 1 - start < end
        ]
        assert len(inside) >= 3
        mean = states[0][inside].mean(0).detach().numpy()
        assert np.abs(part - mean / np.linalg.norm(mean)).max() < 1e-5


def test_a_part_that_the_model_does_not_read_has_no_vector(retriever):
    text = "crane " * 200 + ". The end."
    _, (parts,) = encode_with_spans(retriever, [text], "passage", [[(0, 30), (1200, 1210)]])
    assert np.abs(parts[0]).max() > 0 and not parts[1].any()
    packed = pack_sentences([(0, 30), (1200, 1210)], parts)
    assert not unpack_sentences(packed)[1][1].any()


def test_packing_keeps_places_and_eight_bits_of_each_number():
    vectors = np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32)
    spans, unpacked = unpack_sentences(pack_sentences(SPANS, vectors))
    assert spans == SPANS
    step = np.abs(vectors).max(1, keepdims=True) / 127
    assert (np.abs(unpacked - vectors) <= 0.51 * step).all()
    assert pack_sentences(SPANS[:1], vectors[:1]) == b"" and unpack_sentences(b"")[0] == []


@pytest.mark.parametrize("mode", ["dense", "text", "both"])
def test_a_search_names_a_sentence_and_encodes_none(store, retriever, mode, monkeypatch):
    searcher = mixling.Searcher(str(store), retriever)
    encode = Retriever.encode
    roles = []

    def watched(self, texts, role=None, **options):
        roles.append(role)
        return encode(self, texts, role, **options)

    monkeypatch.setattr(Retriever, "encode", watched)
    found = searcher.search("Is the bridge old and grey?", 12, mode=mode)
    hits = [hit for hit in found if hit.document != "one"]
    assert roles == ["query"] and len(hits) >= 11
    assert {named(hit) for hit in hits} == {SENTENCES[1]}
    assert "sentence" in hits[0].to_dict() and "_rowid" not in json.dumps(hits[0].to_dict())


def test_the_choice_is_that_of_the_stored_vectors_and_shared_terms(store, chain):
    searcher = mixling.Searcher(str(store), str(chain))
    query = "kaskazini"  # shares no term with any sentence, so the vectors decide
    (vector,) = searcher.retriever.encode([query], "query")
    hits = searcher.search(query, 13, highlight=False)
    for hit, packed, shown in zip(
        hits, searcher.store.sentences(hits), searcher.search(query, 13), strict=True
    ):
        if hit.document == "one":
            assert packed == b"" and named(shown) == hit.text
            continue
        spans, vectors = unpack_sentences(packed)
        assert [hit.text[b:e] for b, e in spans][:2] == list(SENTENCES[:2])
        assert shown.sentence == spans[int((vectors @ vector).argmax())]


def test_terms_count_beside_similarities_and_alone_where_there_are_none():
    shared = shared_terms(["the crane", "a bridge", "the ridge"], ["bridge", "the"])
    assert shared.argmax() == 1 and 0 < shared[0] == shared[2] < shared[1] < 1
    close = np.array([0.81, 0.80, 0.70])
    assert nearest_sentence(np.zeros(3), close) == 0
    assert nearest_sentence(shared, close) == 1
    assert nearest_sentence(shared, None) == 1
    assert nearest_sentence(np.zeros(3), None) is None
    assert nearest_sentence(np.zeros(3), np.array([-np.inf, 0.1, 0.2])) == 2


def test_a_store_of_an_earlier_version_still_names_what_shares_terms(store, chain, tmp_path):
    import shutil

    shutil.copytree(store, tmp_path / "old")
    searcher = mixling.Searcher(str(tmp_path / "old"), str(chain))
    searcher.store.table.drop_columns(["sentences"])
    searcher = mixling.Searcher(str(tmp_path / "old"), str(chain))
    assert not searcher.store.keeps_sentences
    known = [hit for hit in searcher.search("an old bridge", 13) if hit.document != "one"]
    assert {named(hit) for hit in known} == {SENTENCES[1]}
    unknown = [hit for hit in searcher.search("kaskazini", 13) if hit.document != "one"]
    assert len(unknown) == 12 and all(hit.sentence is None for hit in unknown)
    report = mixling.index(str(chain), str(store), str(tmp_path / "old"))  # drops the column
    assert report.unchanged == 13
    (tmp_path / "d.jsonl").write_text(json.dumps({"_id": "new", "text": " ".join(SENTENCES)}))
    mixling.index(str(chain), tmp_path / "d.jsonl", str(tmp_path / "old"), keep_gone=True)
    assert mixling.Searcher(str(tmp_path / "old"), str(chain)).store.count() == 14


def test_export_and_copy_keep_the_sentences(store, chain, tmp_path):
    mixling.export(str(store), tmp_path / "x.parquet")
    assert pq.read_schema(tmp_path / "x.parquet").field("sentences").type == pa.binary()
    mixling.index(str(chain), tmp_path / "x.parquet", str(tmp_path / "again"))
    mixling.index(str(chain), str(store), str(tmp_path / "copy"))
    searchers = [
        mixling.Searcher(str(x), str(chain)) for x in (store, tmp_path / "again", tmp_path / "copy")
    ]
    expected, *others = (
        {x.document: y for x, y in zip(hits, s.store.sentences(hits), strict=True)}
        for s in searchers
        for hits in [s.search("kaskazini", 13, order="score")]
    )
    assert len(expected) == 13 and all(x == expected for x in others)


def test_a_transform_moves_sentences_with_the_language_of_their_passage():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((3, 8)).astype(np.float32)
    vectors[2] = 0  # not read
    rows = pa.table(
        {
            "language": ["en", "sw", "de", "hi"],
            "sentences": pa.array(
                [pack_sentences(SPANS, vectors), b"", None, pack_sentences(SPANS[:2], vectors[:2])],
                pa.binary(),
            ),
        }
    )
    moves = {"en": 1.0, "hi": -2.0}
    seen = []

    def transform(x, languages):
        seen.extend(languages)
        return x + np.array([moves[tag] for tag in languages], np.float32)[:, None]

    moved = transform_sentences(rows, transform).to_pylist()
    assert seen == ["en", "en", "hi", "hi"] and moved[1:3] == [b"", None]
    for place, by, n in ((0, 1.0, 3), (3, -2.0, 2)):
        spans, found = unpack_sentences(moved[place])
        assert spans == SPANS[:n] and np.abs(found[:2] - vectors[:2] - by).max() < 0.05
    assert not unpack_sentences(moved[0])[1][2].any()


def test_an_encoder_that_gives_vectors_alone_leaves_the_terms_to_choose(tmp_path, retriever):
    def vectors(texts, role):
        return np.array([[len(x), x.count("e") + 1.0] for x in texts])

    encoder = FunctionEncoder(vectors)
    assert has_span_vectors(retriever) and not has_span_vectors(encoder)
    (tmp_path / "d.jsonl").write_text(json.dumps({"_id": "a", "text": " ".join(SENTENCES)}))
    mixling.index(encoder, tmp_path / "d.jsonl", str(tmp_path / "store"))
    searcher = mixling.Searcher(str(tmp_path / "store"), encoder)
    (hit,) = searcher.search("Which bridge?", 1)
    assert searcher.store.sentences([hit]) == [None] and named(hit) == SENTENCES[1]


def test_a_hit_whose_row_another_version_numbers_anew_has_no_stored_sentences(store, chain):
    searcher = mixling.Searcher(str(store), str(chain))
    hits = searcher.search("crane", 13, highlight=False)
    first, second = [hit for hit in hits if hit.document != "one"][:2]
    swapped = SearchHit.from_dict({**first.to_dict(), "_rowid": second.row})
    assert searcher.store.sentences([swapped]) == [None]
    (shown,) = highlight(searcher.store, [swapped], np.zeros(32, np.float32), ["old bridge"])
    assert named(shown) == SENTENCES[1]
