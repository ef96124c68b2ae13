"""A store's queries are encoded soon after a start as the whole model encodes them."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from mixling.errors import MixlingError
from mixling.models import query_encoder
from mixling.models.affine import affine_modules
from mixling.models.fingerprints import config_fingerprint, model_fingerprint
from mixling.models.query_encoder import remember_model, remembered_model
from mixling.models.retriever import Retriever
from mixling.searching.index import index
from mixling.searching.query import Searcher
from test_packed import ARCHITECTURES, encoder

QUERIES = ["Who built the bridge?", "Wer baute die Brücke?", "橋 <pad> x", "bridge " * 400]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def model_folder(
    folder, architecture, pooling="mean", normalized=True, dtype=None, transform=False
):
    """A random model in sentence-transformers' form, perhaps behind a transform."""
    plain = encoder(folder.parent / f"{folder.name}-plain", ARCHITECTURES[architecture])
    transformer = Transformer(str(plain))
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), pooling)]
    if transform:
        rng, size = np.random.default_rng(0), transformer.get_embedding_dimension()
        matrix, bias = rng.normal(size=(size, size)), rng.normal(size=size)
        modules += [Normalize(), *affine_modules(np.float32(matrix), np.float32(bias))[:1]]
    modules += [Normalize()] if normalized else []
    prompts = {"query": "query: ", "passage": "passage: "}
    made = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    if dtype is not None:
        made.to(dtype)
    made.save(str(folder), create_model_card=False)
    return folder


def remember(folder, **options):
    whole = Retriever(str(folder), **options)
    done = remember_model(whole, model_fingerprint(whole), config_fingerprint(whole))
    return whole, done


def test_a_transform_behind_the_model_is_remembered(tmp_path):
    """`balanced`, and what `mixling debias` writes, are searched with as soon as other models."""
    folder = model_folder(tmp_path / "m", "bert", transform=True)
    whole, done = remember(folder)
    quick = remembered_model(str(folder), {})
    assert done and quick is not None
    for role in ("query", None):
        expected = whole.encode(QUERIES, role, precision="fp32")
        found = quick.encode(QUERIES, role, precision="fp32")
        assert np.abs(found - expected).max() < 2e-6
    plain = Retriever(str(model_folder(tmp_path / "p", "bert"))).encode(QUERIES, "query")
    assert np.abs(plain - whole.encode(QUERIES, "query")).max() > 0.1


@pytest.mark.parametrize("architecture", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize(
    ("pooling", "normalized", "dtype"),
    [("mean", True, None), ("cls", False, None), ("mean", True, torch.float16)],
)
def test_equal_to_the_whole_model(tmp_path, architecture, pooling, normalized, dtype):
    folder = model_folder(tmp_path / "m", architecture, pooling, normalized, dtype)
    whole, done = remember(folder)
    assert done
    quick = remembered_model(str(folder), {})
    for role in ("query", "passage", None):
        expected = whole.encode(QUERIES, role, precision="fp32")
        found = quick.encode(QUERIES, role, precision="fp32")
        assert np.abs(found - expected).max() < 4e-6 * max(1, np.abs(expected).max())
        for query, vector in zip(QUERIES, found, strict=True):  # alone as with others
            alone = quick.encode([query], role, precision="fp32")[0]
            assert np.abs(alone - vector).max() < 4e-6
    assert (quick.name, quick.similarity, quick.max_length, quick.dimensions) == (
        whole.name, whole.similarity, whole.max_length, whole.dimensions,
    )  # fmt: skip
    assert quick.fingerprint() == model_fingerprint(whole) and not quick.paid


def test_options_have_records_of_their_own(tmp_path):
    folder = model_folder(tmp_path / "m", "bert")
    whole, _ = remember(folder, prompts={"query": "ask "}, max_length=9)
    assert remembered_model(str(folder), {}) is None
    quick = remembered_model(str(folder), whole.options)
    expected = whole.encode(QUERIES, "query", precision="fp32")
    assert np.abs(quick.encode(QUERIES, "query", precision="fp32") - expected).max() < 4e-6


@pytest.mark.parametrize("change", ["weights", "file", "library", "record", "tokenizer"])
def test_a_change_ends_a_record(tmp_path, cache, change, monkeypatch):
    folder = model_folder(tmp_path / "m", "bert")
    _, done = remember(folder)
    assert done and remembered_model(str(folder), {}) is not None
    (record,) = cache.rglob("record.json")
    if change == "weights":
        raw = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(raw)  # the same, at another time
    elif change == "file":
        (folder / "scores.json").write_text("{}")
    elif change == "library":
        monkeypatch.setattr(query_encoder, "library_versions", lambda: {"torch": "9"})
    elif change == "record":
        record.write_text(record.read_text()[:50])
    else:
        (record.parent / "tokenizer.json").write_text("{}")
    assert remembered_model(str(folder), {}) is None


def test_what_it_cannot_do_is_not_remembered(tmp_path, monkeypatch):
    assert not remember(model_folder(tmp_path / "max", "bert", pooling="max"))[1]
    assert not remember(model_folder(tmp_path / "electra", "electra"))[1]
    folder = model_folder(tmp_path / "m", "bert")
    assert not remember(folder, truncate_dim=8)[1]
    # whatever makes another vector is found by the trial
    monkeypatch.setattr(query_encoder.QueryEncoder, "_embed", lambda self, ids: torch.ones(1, 32))
    assert not remember(folder)[1] and remembered_model(str(folder), {}) is None


def test_a_long_text_that_is_cut_otherwise_is_found(tmp_path):
    folder = model_folder(tmp_path / "m", "bert")
    whole = Retriever(str(folder))
    whole.tokenizer.truncation_side = "left"
    assert not remember_model(whole, model_fingerprint(whole), config_fingerprint(whole))
    assert remembered_model(str(folder), {}) is None


def store_of(tmp_path, folder):
    lines = [json.dumps({"text": f"The bridge {i} is old.", "language": "en"}) for i in range(5)]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    index(str(folder), str(tmp_path / "d.jsonl"), str(tmp_path / "store"))
    return str(tmp_path / "store")


def test_a_search_uses_it_and_answers_the_same(tmp_path):
    folder = model_folder(tmp_path / "m", "xlm-roberta")
    store = store_of(tmp_path, folder)
    first = Searcher(store, str(folder))
    again = Searcher(store)
    assert type(again.retriever).__name__ == "QueryEncoder"
    whole = Searcher(store, Retriever(str(folder)))
    assert type(whole.retriever).__name__ == "Retriever"
    answers = [
        [(h.id, round(h.score, 5)) for h in s.search("old bridge 3", query_language="en")]
        for s in (first, again, whole)
    ]
    assert answers[0] == answers[1] == answers[2] and len(answers[0]) == 5


def test_another_models_store_is_refused(tmp_path):
    one, other = (model_folder(tmp_path / x, "bert") for x in ("one", "other"))
    loaded = SentenceTransformer(str(other), device="cpu")
    with torch.no_grad():
        loaded[0].auto_model.embeddings.word_embeddings.weight *= 2
    loaded.save(str(other), create_model_card=False)
    store = store_of(tmp_path, one)
    remember(other)
    with pytest.raises(MixlingError, match="other weights or prompts"):
        Searcher(store, str(other))


def test_a_search_imports_no_sentence_transformers(tmp_path):
    folder = model_folder(tmp_path / "m", "bert")
    store = store_of(tmp_path, folder)
    Searcher(store)
    code = (
        "import sys, mixling; mixling.search(sys.argv[1], 'old bridge', query_language='en'); "
        "print([m for m in ('sentence_transformers', 'transformers', 'sklearn') "
        "if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, store]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cache_that_cannot_be_written_costs_no_search(tmp_path, monkeypatch):
    folder = model_folder(tmp_path / "m", "bert")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "file"))
    assert not remember(folder)[1]
    store = store_of(tmp_path, folder)
    assert len(Searcher(store).search("old bridge", query_language="en")) == 5


def _remember_and_stop(folder):
    def here(*_):
        print("here", flush=True)
        time.sleep(60)

    query_encoder._difference = here
    remember(folder)


def test_a_record_that_was_not_tried_is_never_there(tmp_path, cache, forks):
    """A process that was killed in the trial left a record that others trusted."""
    folder = model_folder(tmp_path / "m", "bert")
    with forks.call(_remember_and_stop, folder, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "here\n"
        assert remembered_model(str(folder), {}) is None
        process.kill()
    assert remembered_model(str(folder), {}) is None
    assert remember(folder)[1] and remembered_model(str(folder), {}) is not None


def test_a_record_that_is_replaced_while_it_is_read_is_not_used(tmp_path, cache, monkeypatch):
    folder = model_folder(tmp_path / "m", "bert")
    remember(folder)
    (record,) = cache.rglob("record.json")

    class Slow(query_encoder.QueryEncoder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            other = json.loads(record.read_text()) | {"reading": "another"}
            record.write_text(json.dumps(other))

    monkeypatch.setattr(query_encoder, "QueryEncoder", Slow)
    assert remembered_model(str(folder), {}) is None
