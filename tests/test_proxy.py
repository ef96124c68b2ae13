"""The proxy before an embedding API: what real clients get, and what a failing upstream makes."""

import asyncio
import base64
import gc
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from conftest import Server
from embedding_provider import DIMENSIONS, Provider, vector_of
from mixling.adapters.transformed import transform_lists
from mixling.debiasing.apply import apply_transform
from mixling.debiasing.files import debias_vectors, load_transform
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.serving.proxy import keep_from_collector, proxy
from mixling.serving.proxy_app import ProxyConfig, parse_upstream, proxy_application
from mixling.transforms.transforms import AffineTransform, LanguageTransform, normalize

PATH = "/v1/embeddings"
KEY = "sk-a-key-that-nobody-may-see"
TEXTS = ["The river runs through the city.", "Der Fluss fließt durch die Stadt.", "鶴"]
TOKENS = [[1820, 55193], [7]]


def random_affine(seed=0):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((DIMENSIONS, DIMENSIONS)).astype(np.float32)
    return AffineTransform(matrix, generator.standard_normal(DIMENSIONS).astype(np.float32))


def by_hand(transform, vectors):
    return normalize(np.asarray(vectors) @ transform.matrix.T + transform.bias)


AFFINE = random_affine()


def by_language(same_offsets=False):
    """Return a transform by language, whose queries and passages differ or not."""
    generator = np.random.default_rng(1)
    offset = generator.standard_normal((2, 2, DIMENSIONS)).astype(np.float32)
    if same_offsets:
        offset[1] = offset[0]
    basis = np.linalg.qr(generator.standard_normal((DIMENSIONS, 4)))[0].T.reshape(2, 2, DIMENSIONS)
    return LanguageTransform(("de", "en"), offset, basis.astype(np.float32))


@pytest.fixture(scope="module")
def server():
    provider = Provider()
    running = Server(provider.app)
    provider.address = running.address.rstrip("/")
    yield provider
    running.stop()


@pytest.fixture
def provider(server):
    server.requests.clear()
    server.answer, server.failures, server.seconds = None, [], 0.0
    return server


@pytest.fixture
def start(server):
    """Start a proxy before the provider, or before another upstream; return its address."""
    running = []

    def start(transform=AFFINE, upstream=None, **options):
        config = ProxyConfig(upstream or f"{server.address}/v1", **options)
        running.append(Server(proxy_application(transform, config)))
        return running[-1].address.rstrip("/")

    start.running = running
    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def address(server):
    """A proxy of an affine transform, for the tests that need no other."""
    running = Server(proxy_application(AFFINE, ProxyConfig(f"{server.address}/v1")))
    yield running.address.rstrip("/")
    running.stop()


def client_of(address, **options):
    return openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, **options)


def error_of(answer, status):
    """Return the error of an answer, which has the four fields of OpenAI's schema."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


@pytest.mark.parametrize("form", ["float", "base64", None])
@pytest.mark.parametrize(
    ("value", "single"),
    [(TEXTS[0], True), (TEXTS, False), (TOKENS[0], True), (TOKENS, False), (["x"] * 1500, False)],
)
def test_openais_client_gets_the_transformed_vectors(address, provider, value, single, form):
    options = {} if form is None else {"encoding_format": form}
    asked = {"model": "m", "input": value, "dimensions": DIMENSIONS, **options}
    answer = client_of(address).embeddings.create(**asked)
    inputs = [value] if single else value
    expected = by_hand(AFFINE, [vector_of(x) for x in inputs])
    embeddings = [item.embedding for item in answer.data]
    if form == "base64":
        embeddings = [np.frombuffer(base64.b64decode(x), "<f4") for x in embeddings]
    assert np.abs(np.array(embeddings) - expected).max() < 1e-6
    assert answer.model == "m" and answer.usage.total_tokens == 7
    assert answer.model_extra["provider"] == {"région": "é"}  # a field that OpenAI does not have
    (_, path, headers, body) = provider.requests[-1]
    assert path == PATH and dict(headers)["authorization"] == f"Bearer {KEY}"
    sent = json.loads(body)
    assert {k: sent[k] for k in asked} == asked


def test_the_body_goes_to_the_upstream_byte_by_byte(address, provider):
    content = b'{ "input" : ["\\u00e9"],\n"model": "m", "unknown": [1.50], "input_type": null}'
    answer = httpx.post(f"{address}{PATH}?api-version=1", content=content)
    assert answer.status_code == 200 and answer.headers["x-request-id"] == "r1"
    assert "content-encoding" not in answer.headers
    method, path, headers, body = provider.requests[-1]
    assert (method, path, body) == ("POST", f"{PATH}?api-version=1", content)
    assert "authorization" not in dict(headers)  # the proxy adds none


def one_byte_encoding(monkeypatch):
    """Let LangChain tokenize by bytes, since its tokenizer would be downloaded."""
    encoding = tiktoken.Encoding(
        "bytes",
        pat_str=r".",
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={},
    )
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda name: encoding)


@pytest.mark.parametrize("tokens", [True, False])
def test_langchains_client(address, provider, monkeypatch, tokens):
    from langchain_openai import OpenAIEmbeddings

    one_byte_encoding(monkeypatch)
    embeddings = OpenAIEmbeddings(
        base_url=f"{address}/v1",
        api_key=KEY,
        model="m",
        max_retries=0,
        check_embedding_ctx_length=tokens,
    )
    inputs = [list(text.encode()) if tokens else text for text in TEXTS]
    expected = by_hand(AFFINE, [vector_of(x) for x in inputs])
    assert np.abs(np.array(embeddings.embed_documents(TEXTS)) - expected).max() < 1e-6
    assert json.loads(provider.requests[-1][3])["input"] == inputs
    assert np.abs(np.array(embeddings.embed_query(TEXTS[0])) - expected[0]).max() < 1e-6


def test_llama_indexs_client(address, provider):
    from llama_index.embeddings.openai import OpenAIEmbedding

    embedding = OpenAIEmbedding(
        model_name="m", api_base=f"{address}/v1", api_key=KEY, max_retries=0
    )
    expected = by_hand(AFFINE, [vector_of(x) for x in TEXTS])
    assert np.abs(np.array(embedding.get_text_embedding_batch(TEXTS)) - expected).max() < 1e-6
    assert np.abs(np.array(embedding.get_query_embedding(TEXTS[0])) - expected[0]).max() < 1e-6


def test_before_a_server_of_mixlings(chain, start, tmp_path):
    from mixling.searching.index import index
    from mixling.searching.query import Searcher
    from mixling.serving.app import application

    rows = [{"_id": str(i), "text": text, "language": "en"} for i, text in enumerate(TEXTS)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    index(str(chain), tmp_path / "d.jsonl", str(tmp_path / "store"), precision="fp32")
    upstream = Server(application(Searcher(str(tmp_path / "store"))))
    client = client_of(start(upstream=upstream.address))  # an address without /v1
    answer = client.embeddings.create(model="m", input=TEXTS)
    expected = by_hand(AFFINE, Retriever(str(chain)).encode(TEXTS))
    assert np.abs(np.array([x.embedding for x in answer.data]) - expected).max() < 1e-6
    assert [model.id for model in client.models.list()] == ["model"]
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
        client.embeddings.create(model="m", input=TOKENS)
    upstream.stop()


def test_clients_at_the_same_time_get_their_own_vectors(address, provider):
    async def ask():
        async with openai.AsyncOpenAI(
            base_url=f"{address}/v1", api_key=KEY, max_retries=0
        ) as client:
            create = client.embeddings.create
            texts = [f"text {i}" for i in range(64)]
            answers = await asyncio.gather(*(create(model="m", input=x) for x in texts))
            return texts, [answer.data[0].embedding for answer in answers]

    texts, vectors = asyncio.run(ask())
    expected = by_hand(AFFINE, [vector_of(x) for x in texts])
    assert np.abs(np.array(vectors) - expected).max() < 1e-6


def test_vectors_that_are_not_normalized_keep_their_length(address, provider):
    def longer(content):
        for item in content["data"]:
            item["embedding"] = [5 * x for x in item["embedding"]]
        return content

    provider.answer = longer
    answer = client_of(address).embeddings.create(model="m", input=TEXTS, encoding_format="float")
    vectors = np.array([item.embedding for item in answer.data])
    expected = by_hand(AFFINE, [vector_of(x) for x in TEXTS])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 5, atol=1e-4)
    assert np.allclose(vectors / 5, expected, atol=1e-5)


def test_vectors_in_another_order_stay_with_their_texts(start, provider):
    transform = by_language()
    provider.answer = lambda content: {**content, "data": content["data"][::-1]}
    answer = httpx.post(f"{start(transform)}/query{PATH}", json={"model": "m", "input": TEXTS[:2]})
    by_index = {x["index"]: x["embedding"] for x in answer.json()["data"]}
    expected = transform.transform(
        np.stack([vector_of(x) for x in TEXTS[:2]]), ["en", "de"], "query"
    )
    assert np.allclose([by_index[0], by_index[1]], expected, atol=1e-6)
    assert [x["index"] for x in answer.json()["data"]] == [1, 0]


def test_the_role_comes_from_the_base_url_the_input_type_or_the_option(start, provider):
    transform, texts = by_language(), TEXTS[:2]
    vectors = np.stack([vector_of(x) for x in texts])
    expected = {
        role: transform.transform(vectors, ["en", "de"], role) for role in ("query", "passage")
    }
    plain, with_option = start(transform), start(transform, role="passage")

    def ask(address, **body):
        answer = httpx.post(address, json={"model": "m", "input": texts, **body})
        return answer, [x["embedding"] for x in answer.json().get("data", [])]

    for role in ("query", "passage"):
        _, found = ask(f"{plain}/{role}{PATH}", input_type="nonsense")
        assert np.allclose(found, expected[role], atol=1e-6)
        assert provider.requests[-1][1] == PATH
    for name, role in (("search_query", "query"), ("document", "passage")):
        _, found = ask(plain + PATH, input_type=name)
        assert np.allclose(found, expected[role], atol=1e-6)
    _, found = ask(with_option + PATH)
    assert np.allclose(found, expected["passage"], atol=1e-6)
    _, found = ask(f"{with_option}/query{PATH}", input_type="document")
    assert np.allclose(found, expected["query"], atol=1e-6)
    provider.requests.clear()
    answer, _ = ask(plain + PATH)
    assert "/query/v1" in error_of(answer, 400)["message"] and not provider.requests
    answer, found = ask(start(by_language(same_offsets=True)) + PATH)
    assert answer.status_code == 200  # the role makes no difference


def fitted_chain(out):
    """Fit centering and hub correction on documents and a log of queries, as a user does."""
    from mixling.auditing.fit_collection import debias_collection

    languages = ("de", "en")
    rows = [
        {"_id": str(i), "title": f"Title {i}", "text": f"Page {i} in {x}.", "language": x}
        for i in range(150)
        for x in languages
    ]
    queries = [{"text": f"Query {i} in {x}?", "language": x} for i in range(150) for x in languages]
    for name, content in (("pages", rows), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in content)
        (out.parent / f"{name}.jsonl").write_text(text)
    debias_collection(
        lambda texts, role: np.stack([vector_of(x) for x in texts]),
        out.parent / "pages.jsonl",
        "centering+hubs",
        out,
        queries=out.parent / "queries.jsonl",
    )
    return load_transform(str(out))


@pytest.mark.parametrize("form", ["float", "base64"])
def test_a_hub_correction_adds_two_numbers_and_needs_the_role(start, provider, tmp_path, form):
    transform, texts = fitted_chain(tmp_path / "fair"), TEXTS[:2]
    assert transform.output_dimensions == DIMENSIONS + 2
    address = start(transform)
    vectors = np.stack([vector_of(x) for x in texts])
    found = {}
    for role in ("query", "passage"):
        client = client_of(f"{address}/{role}")
        asked = {"model": "m", "input": texts, "encoding_format": form, "dimensions": DIMENSIONS}
        embeddings = [x.embedding for x in client.embeddings.create(**asked).data]
        if form == "base64":
            embeddings = [np.frombuffer(base64.b64decode(x), "<f4") for x in embeddings]
        found[role] = np.array(embeddings)
        assert found[role].shape == (2, DIMENSIONS + 2)
        expected = transform.transform(vectors, ["en", "de"], role)
        assert np.abs(found[role] - expected).max() < 1e-6
    assert np.allclose(found["query"][:, -2], 2**-0.5, atol=1e-6)
    assert np.all(found["passage"][:, -1] > 0) and not found["query"][:, -1].any()
    provider.requests.clear()
    answer = httpx.post(address + PATH, json={"model": "m", "input": texts})
    assert "/query/v1" in error_of(answer, 400)["message"]
    wrong = {"model": "m", "input": texts, "dimensions": DIMENSIONS + 2}
    answer = httpx.post(f"{address}/query{PATH}", json=wrong)
    assert "adds 2" in error_of(answer, 400)["message"] and not provider.requests


def test_a_transform_by_language_refuses_token_arrays(start, provider, monkeypatch):
    from langchain_openai import OpenAIEmbeddings

    address = f"{start(by_language(), role='query')}/v1"
    for value in (TOKENS, TOKENS[0], ["a", 7], None, {"text": "a"}):
        answer = httpx.post(f"{address}/embeddings", json={"model": "m", "input": value})
        error = error_of(answer, 400)
        assert error["code"] == "token_arrays_not_supported" and error["param"] == "input"
    assert not provider.requests
    one_byte_encoding(monkeypatch)
    options = {"base_url": address, "api_key": KEY, "model": "m", "max_retries": 0}
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        OpenAIEmbeddings(**options).embed_query("a")
    assert OpenAIEmbeddings(**options, check_embedding_ctx_length=False).embed_query("a")


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (
            {"dimensions": 16},
            "dimensions is 16, but this proxy's transform is for 32",
            "dimensions",
        ),
        ({"dimensions": "32"}, 'dimensions is "32"', "dimensions"),
        ({"encoding_format": "int8"}, "only float and base64", "encoding_format"),
        ({"model": "other"}, 'model is "other", but this proxy\'s transform is for m, n', "model"),
        ({"model": None}, "model is null", "model"),
    ],
)
def test_what_the_transform_does_not_fit_is_refused_before_it_costs(
    start, provider, body, message, param
):
    address = start(models=("m", "n"))
    answer = httpx.post(address + PATH, json={"model": "m", "input": "a", **body})
    error = error_of(answer, 400)
    assert message in error["message"] and error["param"] == param
    assert not provider.requests


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[1]", b"null"])
def test_a_body_that_is_no_request_is_refused(address, provider, content):
    error_of(httpx.post(address + PATH, content=content), 400)
    assert not provider.requests


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/embed", {}),
        ("/v2/embed", {}),
        ("/v1beta/models/m:batchEmbedContents", {}),
        ("/v1/batches", {"endpoint": "/v1/embeddings"}),
    ],
)
def test_vectors_that_would_come_untransformed_are_refused(address, provider, path, body):
    assert "transform" in error_of(httpx.post(address + path, json=body), 400)["message"]
    assert not provider.requests
    assert httpx.post(f"{address}/v1/batches", json={"endpoint": "/v1/chat"}).status_code == 207


def test_other_paths_to_embeddings_are_transformed_too(address, provider):
    """Paths that an upstream may take for the same one; ours takes the first alone."""
    expected = by_hand(AFFINE, [vector_of("a")])[0]
    for path in ("/v1/%65mbeddings", "/v1//embeddings", "/openai/deployments/m/Embeddings/"):
        answer = httpx.post(address + path, json={"model": "m", "input": "a"})
        if path == "/v1/%65mbeddings":
            assert np.abs(np.array(answer.json()["data"][0]["embedding"]) - expected).max() < 1e-6
        else:  # what our upstream answers there has no vectors
            assert "no vectors" in error_of(answer, 502)["message"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503, 529])
def test_errors_of_the_upstream_come_back_as_they_are(address, provider, status):
    content = b'{"error":  {"message": "no", "type": "t", "param": null, "code": "c"}}'
    provider.answer = Response(
        content, status, {"retry-after": "7", "x-ratelimit-remaining-tokens": "0"}, "x/y"
    )
    answer = httpx.post(address + PATH, json={"model": "m", "input": "a"})
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["retry-after"] == "7" and answer.headers["content-type"] == "x/y"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "0"


def test_openais_client_retries_a_rate_limit_through_the_proxy(address, provider):
    slow = JSONResponse({"error": {"message": "slow"}}, 429, {"retry-after": "1"})
    provider.failures = [slow]
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=2)
    begin = time.monotonic()
    assert len(client.embeddings.create(model="m", input="a").data[0].embedding) == DIMENSIONS
    assert time.monotonic() - begin >= 0.9 and len(provider.requests) == 2


def test_an_upstream_that_hangs_is_a_504(start, provider):
    address = start(timeout=0.5)
    provider.seconds = 6.0
    begin = time.monotonic()
    post = {"json": {"model": "m", "input": "a"}, "timeout": 60}
    error = error_of(httpx.post(address + PATH, **post), 504)
    assert time.monotonic() - begin < 6
    assert error["code"] == "upstream_timeout" and "0.5 seconds" in error["message"]
    with pytest.raises(openai.InternalServerError, match="did not answer"):
        client_of(address).embeddings.create(model="m", input="a")


def test_an_upstream_that_drips_is_a_504(start):
    """A byte now and then resets the clock of a connection, not that of the answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            connection, _ = listening.accept()
            connection.recv(65536)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.05)
            except OSError:
                pass
            connection.close()

        thread = threading.Thread(target=drip)
        thread.start()
        upstream = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        address = start(upstream=upstream, timeout=0.4)
        error_of(httpx.post(address + PATH, json={"model": "m", "input": "a"}), 504)
        thread.join()


@pytest.mark.parametrize(
    "content", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
def test_an_upstream_that_hangs_up_is_a_502(start, content):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up():
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.sendall(content)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        address = start(upstream=f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        error = error_of(httpx.post(address + PATH, json={"model": "m", "input": "a"}), 502)
        assert error["code"] == "upstream_failed"
        thread.join()


def test_an_idle_connection_that_the_upstream_closes_is_no_error(start):
    """The second request finds its connection closed as it is sent."""
    items = [{"index": 0, "embedding": vector_of("a").tolist()}]
    body = json.dumps({"data": items}).encode()
    answer = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_once_a_connection():
            for _ in range(2):
                connection, _ = listening.accept()
                connection.recv(65536)
                connection.sendall(answer)
                connection.recv(65536)  # the next request, or the end
                connection.close()

        thread = threading.Thread(target=answer_once_a_connection, daemon=True)
        thread.start()
        address = start(upstream=f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        for _ in range(2):
            result = httpx.post(address + PATH, json={"model": "m", "input": "a"})
            assert result.status_code == 200, result.text


def test_an_upstream_that_is_not_there_is_a_502(start):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = start(upstream=f"http://127.0.0.1:{port}/v1")
    for method, path in (("POST", PATH), ("GET", "/v1/models")):
        answer = httpx.request(method, address + path, json={"model": "m", "input": "a"})
        assert error_of(answer, 502)["code"] == "upstream_failed"
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}


def set_first(**fields):
    def change(content):
        content["data"][0] = {**content["data"][0], **fields}
        return content

    return change


NONSENSE = {
    "not JSON": (Response("<html>", 200), "not JSON"),
    "empty": (Response(b"", 200), "not JSON"),
    "not UTF-8": (Response(b"\xff\xff", 200), "not JSON"),
    "deep": (Response(b"[" * 100_000, 200), "not JSON"),
    "a list": (lambda _: [1], "no vectors"),
    "null": (lambda _: None, "no vectors"),
    "no data": (lambda x: {"model": x["model"]}, "no vectors"),
    "no items": (lambda x: {**x, "data": []}, "no vectors"),
    "items are numbers": (lambda x: {**x, "data": [1, 2]}, "no vectors"),
    "one is missing": (lambda x: {**x, "data": x["data"][:1]}, "1 vectors for 2 inputs"),
    "one is double": (lambda x: {**x, "data": x["data"] + x["data"][:1]}, "3 vectors for 2"),
    "an index twice": (set_first(index=1), "do not name each input once"),
    "an index is a text": (set_first(index="0"), "do not name each input once"),
    "no embedding": (set_first(embedding=None), "vector 0"),
    "embedding is no base64": (set_first(embedding="###"), "vector 0 is neither"),
    "base64 is cut": (set_first(embedding="AAA="), "vector 0 is neither"),
    "an object": (set_first(embedding={"float": [1.0]}), "vector 0"),
    "texts": (set_first(embedding=["1.0"] * DIMENSIONS), "vector 0"),
    "quantized": (set_first(embedding=[1] * DIMENSIONS), "vector 0"),
    "ragged": (set_first(embedding=[[1.0], [1.0, 2.0]]), "vector 0"),
    "matrix": (set_first(embedding=[[1.0] * DIMENSIONS]), "vector 0"),
    "NaN": (set_first(embedding=[float("nan")] * DIMENSIONS), "vector 0 holds NaN"),
    "infinite": (set_first(embedding=[float("inf")] * DIMENSIONS), "vector 0 holds NaN"),
    "beyond float32": (set_first(embedding=[1e300] * DIMENSIONS), "vector 0 holds NaN"),
    "NaN in base64": (
        set_first(
            embedding=base64.b64encode(np.full(DIMENSIONS, np.nan, "<f4").tobytes()).decode()
        ),
        "vector 0 holds NaN",
    ),
    "no numbers": (set_first(embedding=[]), "0, 32 numbers"),
    "another size": (set_first(embedding=[0.5] * 16), "16, 32 numbers"),
    "all of another size": (
        lambda x: {**x, "data": [{**y, "embedding": [0.5] * 64} for y in x["data"]]},
        "64 numbers and the transform is for 32",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_an_answer_that_is_none_is_a_502(address, provider, name):
    provider.answer, message = NONSENSE[name]
    answer = httpx.post(address + PATH, json={"model": "m", "input": ["a", "b"]})
    error = error_of(answer, 502)
    assert message in error["message"] and error["code"] == "upstream_answer_invalid"
    assert error["type"] == "server_error"


CLIENT = httpx.Client()
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(answer=JSONS, embedding=JSONS)
def test_any_json_of_the_upstream_is_a_502_or_whole_vectors(address, provider, answer, embedding):
    for change in (lambda _: answer, set_first(embedding=embedding)):
        provider.answer = change
        result = CLIENT.post(address + PATH, json={"model": "m", "input": ["a", "b"]})
        error_of(result, 502)


def test_other_routes_pass_through_unchanged(address, provider):
    headers = [("Authorization", f"Bearer {KEY}"), ("X-Two", "a"), ("X-Two", "b")]
    requests = [
        ("GET", "/v1/models", b""),
        ("GET", "/v1/models/a%2Fb?x=%20&y=1", b""),
        ("DELETE", "/v1/files/f", b""),
        ("PUT", "/v1/files/f", b"\x00\xff"),
        ("POST", "/v1/files", b"x" * 3_000_000),
        ("GET", "/v1/embeddings", b""),
        ("GET", "/api/tags", b""),
        ("GET", "//elsewhere.example/v1", b""),
        ("OPTIONS", "/v1/embeddings", b""),
    ]
    for method, path, body in requests:
        provider.requests.clear()
        answer = httpx.request(method, address + path, content=body, headers=headers)
        direct = httpx.request(method, provider.address + path, content=body, headers=headers)
        assert (answer.status_code, answer.content) == (direct.status_code, direct.content), path
        (passed, asked) = provider.requests
        assert passed[:2] == asked[:2] and passed[3] == asked[3]
        without_host = [x for x in sorted(passed[2]) if x[0] not in ("host", "connection")]
        assert without_host == [x for x in sorted(asked[2]) if x[0] not in ("host", "connection")]
        ours, theirs = (
            sorted(x for x in one.headers.multi_items() if x[0] not in ("date", "server"))
            for one in (answer, direct)
        )
        assert ours == theirs


def test_a_client_that_knows_no_gzip_gets_none_from_the_proxys_wish(address, provider):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass
    assert dict(provider.requests[-1][2])["accept-encoding"] == "identity"


def test_a_stream_passes_as_it_comes(address, provider):
    with httpx.stream("POST", f"{address}/v1/chat/completions", json={}) as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == b"data: one\n\n"  # before the upstream has the second
        httpx.get(f"{provider.address}/v1/release")
        assert b"".join(chunks) == b"data: two\n\n"
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_cookies_of_one_client_are_not_sent_for_another(address, provider):
    answer = httpx.get(f"{address}/v1/models")
    assert sorted(answer.cookies) == ["one", "two"]
    httpx.get(f"{address}/v1/models")
    httpx.post(address + PATH, json={"model": "m", "input": "a"})
    assert not any("cookie" in dict(headers) for _, _, headers, _ in provider.requests)


def test_keys_are_in_no_log(start, provider, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mixling.serving").propagate = True
    address = start(timeout=2.0)
    client = client_of(address)
    client.embeddings.create(model="m", input=TEXTS[0])
    httpx.get(f"{address}/v1/models?key={KEY}", headers={"Authorization": f"Bearer {KEY}"})
    httpx.post(
        f"{address}{PATH}?key={KEY}",
        headers={"api-key": KEY, "x-api-key": KEY},
        json={"model": "m", "input": "a"},
    )
    provider.answer = Response("no", 200)
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="m", input=TEXTS[0])
    provider.answer, provider.seconds = None, 4.0
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="m", input=TEXTS[0])

    # Its own thread's alone: a server of an earlier test may log after its answer was read.
    own = start.running[-1].thread.ident

    def logged():
        records = [r for r in caplog.records if r.name.startswith("mixling.serving")]
        return [json.loads(r.message)["status"] for r in records if r.thread == own]

    end = time.monotonic() + 30
    while len(logged()) < 5 and time.monotonic() < end:
        time.sleep(0.02)
    assert logged() == [200, 207, 200, 502, 504]
    # the clients of this test log what they send; what the proxy logs is all that remains
    of_proxy = [r for r in caplog.records if not r.name.startswith(("openai", "httpx2"))]
    text = "\n".join(f"{r.name} {r.getMessage()} {r.exc_text}" for r in of_proxy)
    assert KEY not in text and TEXTS[0] not in text


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_command(provider, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "mixling", "proxy", "--upstream", f"{provider.address}/v1"]
    folder = transform_folder(tmp_path)
    command += ["--transform", str(folder), "--port", str(port), "--model", "m"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": KEY},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                assert httpx.get(f"{address}/health").status_code == 200
                break
            except httpx.TransportError:
                assert running.poll() is None, running.stderr.read()
                time.sleep(0.1)
        answer = client_of(address).embeddings.create(model="m", input=TEXTS)
        httpx.get(f"{address}/v1/models?key={KEY}")
    finally:
        running.send_signal(signal.SIGTERM)
        out, log = running.communicate(timeout=60)
    expected = load_transform(str(folder)).transform(np.stack([vector_of(x) for x in TEXTS]))
    assert np.abs(np.array([x.embedding for x in answer.data]) - expected).max() < 1e-6
    assert KEY not in out + log and TEXTS[0] not in out + log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [(x["path"], x["status"]) for x in lines][-2:] == [(PATH, 200), ("other", 207)]
    assert not any(KEY in path.read_text(errors="replace") for path in tmp_path.glob("*.*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upstream": "api.example/v1"}, "Expected the base URL"),
        ({"upstream": "ftp://api.example/v1"}, "Expected the base URL"),
        ({"upstream": ""}, "Expected the base URL"),
        ({"upstream": "http://[/v1"}, "Expected the base URL"),
        ({"upstream": "http://api example/v1"}, "Expected the base URL"),
        ({"upstream": "http://api.example:99999/v1"}, "Expected the base URL"),
        ({"upstream": "http://api.example:port/v1"}, "Expected the base URL"),
        ({"upstream": f"https://user:{KEY}@api.example/v1"}, "without user, password"),
        ({"upstream": f"https://api.example/v1?key={KEY}"}, "without user, password"),
        ({"transform": "nowhere"}, "nowhere"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"role": "document"}, "unknown role 'document'"),
        ({"host": "192.0.2.1"}, "cannot listen"),
    ],
)
def test_a_proxy_that_cannot_be_is_one_error(options, message):
    with pytest.raises(MixlingError, match=message) as wrong:
        proxy(**{"upstream": "https://api.example/v1", "transform": "balanced", **options})
    assert KEY not in str(wrong.value)


def test_the_base_url_of_an_upstream():
    for address, expected in (
        ("https://api.example/v1/", "https://api.example/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("https://a.example/openai/deployments/m", "https://a.example/openai/deployments/m"),
    ):
        assert str(parse_upstream(address)) == expected


def transform_folder(root):
    """Fit a transform on vectors, as the documentation does, and return its folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(3)
    rows = []
    for group in range(60):
        for language, role in (("en", "query"), ("de", "query"), ("en", "passage")):
            vector = generator.standard_normal(DIMENSIONS) + (language == "de")
            vector = (vector / np.linalg.norm(vector)).astype(np.float32).tolist()
            rows.append({"vector": vector, "language": language, "group": str(group), "role": role})
    pq.write_table(pa.Table.from_pylist(rows), root / "vectors.parquet")
    debias_vectors(root / "vectors.parquet", "lsar", root / "fair")
    return root / "fair"


def snippet(language):
    page = (Path(__file__).parent.parent / "docs" / "guides" / "proxy.md").read_text()
    return re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1]


def test_the_numpy_snippet_of_the_page(tmp_path, monkeypatch):
    transform = load_transform(str(transform_folder(tmp_path)))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet("python"), names)
    vectors = np.stack([vector_of(x) for x in TEXTS])
    assert np.abs(names["transform"](vectors) - transform.transform(vectors)).max() < 1e-6


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_javascript_snippet_of_the_page(tmp_path):
    transform = load_transform(str(transform_folder(tmp_path)))
    vectors = np.stack([vector_of(x) for x in TEXTS])
    call = f"console.log(JSON.stringify({json.dumps(vectors.tolist())}.map(transform)));"
    (tmp_path / "apply.mjs").write_text(snippet("js") + call)
    done = subprocess.run(
        ["node", "apply.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert np.abs(np.array(json.loads(done.stdout)) - transform.transform(vectors)).max() < 1e-6


def test_langchains_wrapper(provider):
    from langchain_openai import OpenAIEmbeddings

    from mixling.adapters.langchain import TransformedEmbeddings

    inner = OpenAIEmbeddings(
        base_url=f"{provider.address}/v1",
        api_key=KEY,
        model="m",
        check_embedding_ctx_length=False,
    )
    transform, texts = by_language(), TEXTS[:2]
    vectors = np.stack([vector_of(x) for x in texts])
    queries, passages = (
        transform.transform(vectors, ["en", "de"], role) for role in ("query", "passage")
    )
    embeddings = TransformedEmbeddings(inner, transform)
    assert np.abs(np.array(embeddings.embed_documents(texts)) - passages).max() < 1e-6
    assert np.abs(np.array(embeddings.embed_query(texts[1])) - queries[1]).max() < 1e-6
    assert embeddings.embed_documents([]) == []

    async def both():
        return await embeddings.aembed_documents(texts), await embeddings.aembed_query(texts[0])

    found, query = asyncio.run(both())
    assert np.abs(np.array(found) - passages).max() < 1e-6
    assert np.abs(np.array(query) - queries[0]).max() < 1e-6
    found = TransformedEmbeddings(inner, AFFINE).embed_documents(texts)
    assert np.abs(np.array(found) - by_hand(AFFINE, vectors)).max() < 1e-6
    with pytest.raises(MixlingError, match="the transform is for 384"):
        TransformedEmbeddings(inner, "balanced").embed_query("a")


def test_llama_indexs_wrapper(provider):
    from llama_index.embeddings.openai import OpenAIEmbedding

    from mixling.adapters.llama_index import TransformedEmbedding

    inner = OpenAIEmbedding(model_name="m", api_base=f"{provider.address}/v1", api_key=KEY)
    transform, texts = by_language(), TEXTS[:2]
    vectors = np.stack([vector_of(x) for x in texts])
    queries, passages = (
        transform.transform(vectors, ["en", "de"], role) for role in ("query", "passage")
    )
    embedding = TransformedEmbedding(inner, transform)
    assert embedding.model_name == inner.model_name
    assert np.abs(np.array(embedding.get_text_embedding_batch(texts)) - passages).max() < 1e-6
    assert np.abs(np.array(embedding.get_text_embedding(texts[1])) - passages[1]).max() < 1e-6
    assert np.abs(np.array(embedding.get_query_embedding(texts[1])) - queries[1]).max() < 1e-6

    async def all_three():
        return (
            await embedding.aget_text_embedding_batch(texts),
            await embedding.aget_text_embedding(texts[0]),
            await embedding.aget_query_embedding(texts[0]),
        )

    found, passage, query = asyncio.run(all_three())
    assert np.abs(np.array(found) - passages).max() < 1e-6
    assert np.abs(np.array(passage) - passages[0]).max() < 1e-6
    assert np.abs(np.array(query) - queries[0]).max() < 1e-6


def test_vectors_that_do_not_fit_are_one_error():
    with pytest.raises(MixlingError, match="have 16 numbers, but the transform is for 32"):
        transform_lists(AFFINE, [[0.5] * 16], ["a"], "query")
    with pytest.raises(MixlingError, match="holds NaN"):
        apply_transform(AFFINE, np.full((1, DIMENSIONS), np.nan, np.float32))
    assert not apply_transform(AFFINE, np.zeros((1, DIMENSIONS), np.float32)).any()
    with pytest.raises(MixlingError, match="token ids were given"):
        apply_transform(by_language(), np.ones((1, DIMENSIONS), np.float32))


def test_garbage_collection_passes_over_what_is_loaded():
    before = gc.get_freeze_count()
    try:
        keep_from_collector()
        assert gc.get_freeze_count() > before + 10_000
    finally:
        gc.unfreeze()
