"""What clients of OpenAI's API send, what they get, and that a client who leaves keeps nobody
waiting.
"""

import asyncio
import base64
import json
import socket
import threading
import time

import httpx
import numpy as np
import openai
import pytest
import tiktoken
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Server
from mixling.errors import check_finite_vectors
from mixling.models.retriever import Retriever
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.serving.app import application
from mixling.serving.batching import BULK, Batcher, EncoderError
from mixling.serving.config import ServerConfig
from mixling.serving.embeddings import embeddings_json

PATH = "/v1/embeddings"
CRANES = [f"The crane number {i} sleeps by the lake." for i in range(12)]


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("openai")
    rows = [{"_id": str(i), "text": text, "language": "en"} for i, text in enumerate(CRANES)]
    (root / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    index(str(chain), root / "d.jsonl", str(root / "store"), precision="fp32")
    return str(root / "store")


@pytest.fixture(scope="module")
def searcher(store):
    return Searcher(store)


@pytest.fixture(scope="module")
def client(searcher):
    with TestClient(application(searcher), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def address(searcher):
    server = Server(application(searcher))
    yield server.address.rstrip("/")
    server.stop()


@pytest.fixture
def slow(searcher, monkeypatch):
    """Batches take .1 s each once `slow.set()` is called; `slow.batches` holds what was encoded."""
    encode, slow = searcher.retriever.encode, threading.Event()
    slow.batches = []

    def waiting(texts, *args, **options):
        if slow.is_set():
            slow.batches.append(list(texts))
            time.sleep(0.1)
        return encode(texts, *args, **options)

    monkeypatch.setattr(searcher.retriever, "encode", waiting)
    return slow


def in_their_schema(answer, status):
    """Return the error of an answer, which has the four fields of OpenAI's schema and no others."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert all(isinstance(error[k], str) and error[k] for k in ("message", "type"))
    assert all(error[k] is None or isinstance(error[k], str) for k in ("param", "code"))
    return error


def vectors_of(answer):
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [d["index"] for d in data] == list(range(len(data)))
    return np.array([d["embedding"] for d in data], np.float32)


@pytest.mark.parametrize(
    "body",
    [
        {"input": ["a crane", "a lake"], "model": "m"},  # Open WebUI
        {
            "input": ["a crane", "a lake"],
            "model": "m",
            "user": "abc",
            "encoding_format": "float",
        },  # Dify
        # LiteLLM writes null for what its caller leaves out
        {
            "input": ["a crane", "a lake"],
            "model": "m",
            "encoding_format": None,
            "dimensions": None,
            "user": None,
        },
        {"input": ["a crane", "a lake"], "model": None, "input_type": None, "dimensions": 32},
        {
            "input": ["a crane", "a lake"],
            "model": "m",
            "user": 5,
            "timeout": 3,
            "metadata": {"a": [1]},
            "truncate": True,
        },
        {"input": ["a crane", "a lake"]},
    ],
)
def test_every_form_of_request_gets_the_models_vectors(client, chain, body):
    answer = client.post(PATH, json=body)
    expected = Retriever(str(chain)).encode(["a crane", "a lake"])
    assert np.allclose(vectors_of(answer), expected, atol=1e-6)
    assert answer.json()["object"] == "list" and answer.json()["model"] == "model"
    assert answer.json()["usage"]["prompt_tokens"] == answer.json()["usage"]["total_tokens"] > 4
    packed = client.post(PATH, json={**body, "encoding_format": "base64"}).json()["data"]
    unpacked = [np.frombuffer(base64.b64decode(d["embedding"]), "<f4") for d in packed]
    assert np.allclose(unpacked, expected, atol=1e-6)


def test_texts_in_every_script_arrive_escaped_or_not(client, chain):
    texts = ["湖のそばの鶴", "الكركي", "đ", "a\u0000b", "🦩"]
    expected = Retriever(str(chain)).encode(texts)
    for escaped in (True, False):  # Dify's json.dumps escapes, httpx does not
        content = json.dumps({"input": texts, "model": "m"}, ensure_ascii=escaped).encode()
        headers = {"Content-Type": "application/json"}
        assert np.allclose(
            vectors_of(client.post(PATH, content=content, headers=headers)), expected, atol=1e-6
        )


@pytest.mark.parametrize(
    ("value", "message", "param"),
    [
        ([1820, 55193], "check_embedding_ctx_length=False", "input"),
        ([[1820, 55193], [7]], "check_embedding_ctx_length=False", "input"),
        ([[]], "not arrays of token ids", "input"),
        ([1.5], "not arrays of token ids", "input"),
        (["a", 7], "input[1]: found a number", "input"),
        (["a", ["b"]], "input[1]: found an array", "input"),
        (["a", None], "input[1]: found null", "input"),
        ([True], "input[0]: found a truth value", "input"),
        ([{"text": "a"}], "input[0]: found an object", "input"),
        ({"text": "a"}, "Send a text", "input"),
        (None, "Send a text", "input"),
        (7, "Send a text", "input"),
        ([], "Send a text", "input"),
        ("", "input: the text is empty", "input"),
        (["a", " \n\t"], "input[1]: the text is empty", "input"),
        (["a", "\ud800"], "input[1]: the text holds half a character", "input"),
        (
            ["a", "b" * 65_537],
            "input[1]: the text has 65,537 characters, but a text may have at most 65,536",
            "input",
        ),
        (["a"] * 2049, "2,049 texts, but a request may have at most 2,048", "input"),
    ],
)
def test_a_wrong_input_is_named(client, value, message, param):
    # json.dumps escapes, so that half characters can be sent
    content = json.dumps({"input": value, "model": "m"})
    answer = client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    error = in_their_schema(answer, 400)
    assert message in error["message"] and error["param"] == param
    assert "constrained" not in error["message"]


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"dimensions": 16}, "dimensions", "32"),
        ({"dimensions": "many"}, "dimensions", "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format", "base64"),
        ({"input_type": "search_query"}, "input_type", "query"),
        ({"model": ["m"]}, "model", "model"),
    ],
)
def test_a_wrong_field_is_named(client, options, param, message):
    error = in_their_schema(client.post(PATH, json={"input": "a", **options}), 400)
    assert error["param"] == param and message in error["message"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b"[1]", b"null", b'{"input": 1e999}', b"{}"]
)
def test_a_body_that_is_no_request_is_an_error_in_their_schema(client, content):
    answer = client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    in_their_schema(answer, 400)
    for path in ("/v1/search", "/v1/nothing"):
        answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
        in_their_schema(answer, answer.status_code)
        assert 400 <= answer.status_code < 500


def test_wrong_hosts_and_half_characters_are_no_fault_of_the_server(client):
    for path in (PATH, "/v1/search", "/v1/nothing"):
        answer = client.post(
            path, content=b"{", headers={"Host": "[", "Content-Type": "application/json"}
        )
        in_their_schema(answer, {PATH: 400, "/v1/search": 422}.get(path, 404))
    half = client.post(
        "/v1/search", content=b'{"query": "\\ud800"}', headers={"Content-Type": "application/json"}
    )
    in_their_schema(half, 422)


def test_a_body_without_its_type_is_told_so(client):
    answer = client.post(PATH, content=b'{"input": "a"}', headers={"Content-Type": "text/plain"})
    assert "Content-Type: application/json" in in_their_schema(answer, 400)["message"]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {"input": JSONS},
    optional=dict.fromkeys(
        ("model", "encoding_format", "dimensions", "user", "input_type", "extra"), JSONS
    ),
)


@settings(max_examples=150, deadline=None, database=None)
@given(body=FIELDS)
def test_any_json_is_answered_or_refused_in_their_schema(client, body):
    answer = client.post(
        PATH, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    if answer.status_code == 200:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        assert len(answer.json()["data"]) == len(texts) and all(x.strip() for x in texts)
    else:
        in_their_schema(answer, 400)


def test_2048_texts_are_encoded_in_batches(client, searcher, slow):
    texts = [f"crane {i}" for i in range(2048)]
    expected = searcher.retriever.encode(texts)
    assert np.allclose(vectors_of(client.post(PATH, json={"input": texts})), expected, atol=1e-5)


def test_texts_that_fill_the_model_are_named(client):
    answer = client.post(PATH, json={"input": ["short", "crane " * 500, "short"]})
    assert answer.json()["truncated"] == [1]
    assert "truncated" not in client.post(PATH, json={"input": ["short"]}).json()


def test_an_answer_never_holds_nan():
    with pytest.raises(ValueError):
        embeddings_json(np.full((1, 2), np.nan, np.float32), "float", "m", [1], 8)


def test_models_are_listed(client):
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    (only,) = listed["data"]
    assert (
        only["id"] == "model" == client.get("/v1/info").json()["model"]
        and only["object"] == "model"
    )
    assert isinstance(only["created"], int) and isinstance(only["owned_by"], str)
    assert client.get("/v1/models/model").json() == only
    for name in ("other", "intfloat/multilingual-e5-small", "a%2Fb"):
        assert in_their_schema(client.get(f"/v1/models/{name}"), 404)["code"] == "model_not_found"
    in_their_schema(client.get("/v1/nothing"), 404)
    in_their_schema(client.get(PATH), 405)


@pytest.mark.parametrize("query", ["", " ", "\n\t", ["crane", " "], []])
def test_a_blank_query_is_refused(client, query):
    in_their_schema(client.post("/v1/search", json={"query": query}), 422)


def test_a_wrong_query_is_told_without_the_other_branch(client):
    error = in_their_schema(client.post("/v1/search", json={"query": ["a", 7]}), 422)
    assert error["param"] == "query" and error["message"].startswith("query.1:")
    assert "[" not in error["message"]


def test_vectors_that_are_not_finite_are_the_servers_error_and_one_requests(searcher, monkeypatch):
    encode = searcher.retriever.encode

    def broken(texts, *args, **options):
        """Encode as a model does whose weights are broken."""
        vectors = encode(texts, *args, **options)
        vectors[[i for i, t in enumerate(texts) if "poison" in t], 3] = np.nan
        return check_finite_vectors(vectors, lambda i: repr(texts[i]), searcher.retriever.name)

    async def together(batcher):
        batcher.start()
        requests = [["fine"], ["fine", "poison"], ["fine too"]]
        answers = await asyncio.gather(
            *(batcher(texts, None) for texts in requests), return_exceptions=True
        )
        await batcher.stop()
        return answers, batcher.batches

    monkeypatch.setattr(searcher.retriever, "encode", broken)
    (first, second, third), _ = asyncio.run(together(Batcher(searcher.retriever)))
    assert np.isfinite(first).all() and np.isfinite(third).all()
    assert isinstance(second, EncoderError) and "'poison' holds NaN" in str(second)
    with TestClient(application(searcher)) as client:
        error = in_their_schema(client.post(PATH, json={"input": ["a", "poison"]}), 500)
        assert error["type"] == "server_error"
        assert error["message"].startswith("model: the vector of 'poison' holds NaN")
        in_their_schema(client.post("/v1/search", json={"query": "poison"}), 500)
        assert client.post("/v1/search", json={"query": "crane"}).status_code == 200


def test_a_failure_is_that_of_the_request_it_comes_from(searcher, monkeypatch):
    encode = searcher.retriever.encode

    def broken(texts, *args, **options):
        if "poison" in texts:
            raise RuntimeError("no")
        return encode(texts, *args, **options)

    async def together(batcher):
        batcher.start()
        answers = await asyncio.gather(
            *(batcher([x], None) for x in ("a", "poison", "b")), return_exceptions=True
        )
        await batcher.stop()
        return answers

    monkeypatch.setattr(searcher.retriever, "encode", broken)
    first, second, third = asyncio.run(together(Batcher(searcher.retriever)))
    assert first.shape == third.shape == (1, 32) and isinstance(second, RuntimeError)


class Gated:
    """Stands for a model: each batch waits until `release` allows it; `batches` holds all begun."""

    max_length, device = 128, "cpu"

    def __init__(self):
        self.batches, self.gate = [], threading.Semaphore(0)

    def encode(self, texts, role, **options):
        self.batches.append(list(texts))
        assert self.gate.acquire(timeout=30)
        return np.zeros((len(texts), 2), np.float32)

    async def release(self, n):
        """Let n batches through, and wait until another one has begun."""
        self.gate.release(n)
        expected = len(self.batches) + n
        while len(self.batches) < expected:
            await asyncio.sleep(0.005)


def test_a_search_waits_for_one_batch_and_requests_take_turns():
    model = Gated()

    async def go():
        batcher = Batcher(model, batch_size=4)
        batcher.start()
        names = {"a": 40, "b": 40}
        large = [
            asyncio.create_task(batcher([f"{x}{i}" for i in range(n)], None, BULK))
            for x, n in names.items()
        ]
        while not model.batches:
            await asyncio.sleep(0.005)
        search, small = (
            asyncio.create_task(batcher([x], None, lane)) for x, lane in (("q", 0), ("s", BULK))
        )
        await asyncio.sleep(0)
        await model.release(5)
        assert model.batches[0] == ["a0", "a1", "a2", "a3"] and model.batches[1] == ["q"]
        assert model.batches[2] == ["b0", "b1", "b2", "b3"]
        assert model.batches[3] == ["a4", "a5", "a6", "a7"]
        assert model.batches[4] == ["s", "b4", "b5", "b6"]
        assert len(await search) == len(await small) == 1
        # Both clients go while a batch of theirs is encoded: no other text of theirs is.
        for task in large:
            task.cancel()
        await asyncio.gather(*large, return_exceptions=True)
        assert batcher.pending == 0
        last = asyncio.create_task(batcher(["l"], None, BULK))
        await asyncio.sleep(0)
        n_batches = len(model.batches)
        model.gate.release(2)
        await last
        assert model.batches[n_batches:] == [["l"]]
        await batcher.stop()

    asyncio.run(go())


def test_a_batch_of_long_texts_holds_few():
    model = Gated()
    model.gate.release(100)

    async def go():
        batcher = Batcher(model)
        batcher.start()
        await batcher(["crane " * 1000] * 40 + ["鶴" * 60_000] * 9 + ["short"] * 100, None, BULK)
        await batcher.stop()

    asyncio.run(go())
    assert max(batch.count("crane " * 1000) for batch in model.batches) <= 2 * 1024 // 128
    # these cost more to tokenize than to encode
    assert max(batch.count("鶴" * 60_000) for batch in model.batches) <= 8
    assert max(map(len, model.batches)) == 64


@settings(max_examples=40, deadline=None, database=None)
@given(
    requests=st.lists(
        st.tuples(
            st.integers(1, 9),
            st.sampled_from(["query", "passage", None]),
            st.sampled_from([0, 1]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    batch_size=st.integers(1, 5),
)
def test_whatever_comes_and_goes_each_gets_its_vectors(requests, batch_size):
    def number_vectors(texts, role, **options):
        return np.array(
            [[int(t), {"query": 0, "passage": 1, None: 2}[role]] for t in texts], np.float32
        )

    class Numbering:
        max_length, device = 128, "cpu"
        encode = staticmethod(number_vectors)

    async def go():
        batcher = Batcher(Numbering(), batch_size)
        batcher.start()
        tasks, offset = [], 0
        for n, role, lane, leaves in requests:
            texts = [str(offset + i) for i in range(n)]
            tasks.append((asyncio.create_task(batcher(texts, role, lane)), texts, role, leaves))
            offset += n
        await asyncio.sleep(0)
        for task, _, _, leaves in tasks:
            if leaves:
                task.cancel()
        for task, texts, role, leaves in tasks:
            if not leaves:
                assert np.array_equal(await task, number_vectors(texts, role))
        await asyncio.gather(*(t for t, *_ in tasks), return_exceptions=True)
        assert batcher.pending == 0
        await asyncio.wait_for(batcher.stop(), 5)

    asyncio.run(go())


def post(address, path, body, seconds=20):
    return httpx.post(address + path, json=body, timeout=seconds)


def waiting(address):
    (line,) = [
        x
        for x in httpx.get(f"{address}/metrics").text.splitlines()
        if x.startswith("mixling_texts_waiting ")
    ]
    return float(line.split()[1])


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_client_that_hangs_up_gives_its_place_free(address, slow):
    slow.set()
    content = json.dumps({"input": ["crane " * 200] * 2000}).encode()
    host, _, port = address.removeprefix("http://").partition(":")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as s:
        s.sendall(head.encode() + content)
        until(lambda: waiting(address) == 2000)
        assert post(address, "/v1/search", {"query": "crane"}).status_code == 200
        assert waiting(address) == 2000  # it is still at work
    until(lambda: waiting(address) == 0)
    with socket.create_connection((host, int(port))) as s:  # hangs up in the middle of its body
        s.sendall(head.encode() + content[:1000])
    assert post(address, "/v1/search", {"query": "crane"}).status_code == 200
    text = httpx.get(f"{address}/metrics").text
    assert f'mixling_requests_total{{path="{PATH}",status="499"}}' in text


def test_a_highlighted_search_encodes_the_query_alone(address):
    answer = post(address, "/v1/search", {"query": "crane", "k": 12, "highlight": True})
    rows = answer.json()["results"]
    assert len(rows) == 12 and all(row["sentence"] == [0, len(row["text"])] for row in rows)


def test_eight_clients_at_once_of_whom_half_leave(address, searcher, slow):
    expected = searcher.retriever.encode([f"crane {i}" for i in range(200)])
    slow.set()
    texts = [f"crane {j}" for j in range(200)]
    answers: dict[int, object] = {}

    def request(i):
        try:
            answers[i] = vectors_of(post(address, PATH, {"input": texts}, 0.3 if i % 2 else 30))
        except httpx.TimeoutException:
            answers[i] = "left"

    threads = [threading.Thread(target=request, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    assert post(address, "/v1/search", {"query": "crane"}).status_code == 200
    slow.clear()
    for t in threads:
        t.join(30)
    assert [answers[i] for i in (1, 3, 5, 7)] == ["left"] * 4
    assert all(np.allclose(answers[i], expected, atol=1e-5) for i in (0, 2, 4, 6))
    assert waiting(address) == 0


def test_a_request_that_takes_too_long_is_dropped_and_reported(searcher, slow):
    app = application(searcher, ServerConfig(embeddings_timeout=0.3, timeout=5))
    with TestClient(app) as client:
        slow.set()
        answer = client.post(PATH, json={"input": ["crane " * 200] * 500})
        error = in_their_schema(answer, 503)
        assert "0.3 seconds" in error["message"] and answer.headers["x-should-retry"] == "false"
        assert "mixling_texts_waiting 0.0" in client.get("/metrics").text
        assert client.post("/v1/search", json={"query": "crane"}).status_code == 200


def test_a_full_queue_is_429_and_leaves_room_for_searches(searcher, slow):
    config = ServerConfig(embeddings_max_waiting=20, batch_size=2)
    with TestClient(application(searcher, config)) as client:
        in_their_schema(client.post(PATH, json={"input": ["a"] * 21}), 429)
        slow.set()
        first = threading.Thread(
            target=client.post, args=(PATH,), kwargs={"json": {"input": ["a"] * 20}}
        )
        first.start()
        until(lambda: slow.batches)
        answer = client.post(PATH, json={"input": ["b"]})
        assert in_their_schema(answer, 429)["code"] == "rate_limit_exceeded"
        assert answer.headers["Retry-After"]
        assert client.post("/v1/search", json={"query": "crane"}).status_code == 200
        first.join()


def test_a_server_that_stops_answers_what_is_nearly_done_and_refuses_the_rest(searcher, slow):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = uvicorn.Config(
        application(searcher),
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    until(lambda: server.started)
    slow.set()
    answers = {}

    def request(name, texts):
        answers[name] = post(f"http://127.0.0.1:{port}", PATH, {"input": texts}, 30)

    threads = []
    for name, texts in (("long", ["crane " * 200] * 2000), ("short", ["a short one"])):
        threads.append(threading.Thread(target=request, args=(name, texts)))
        threads[-1].start()
        until(lambda texts=texts: any(texts[0] in batch for batch in slow.batches))
    server.should_exit = True
    running.join(30)
    assert not running.is_alive()
    for t in threads:
        t.join(30)
    assert answers["short"].status_code == 200
    assert "stopping" in in_their_schema(answers["long"], 503)["message"]


def test_the_openai_client(address, chain):
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="x", max_retries=0)
    model = Retriever(str(chain))
    texts = [f"crane {i}" for i in range(300)]
    answer = client.embeddings.create(model="any", input=texts)  # base64
    vectors = [item.embedding for item in answer.data]
    assert np.allclose(vectors, model.encode(texts), atol=1e-5) and answer.model == "model"
    answer = client.embeddings.create(
        model="any", input="crane", encoding_format="float", dimensions=32, user="u"
    )
    assert np.allclose(answer.data[0].embedding, model.encode(["crane"])[0], atol=1e-5)
    assert answer.usage.total_tokens
    for role in ("query", "passage"):
        answer = client.embeddings.create(
            model="any", input=["crane"], extra_body={"input_type": role}
        )
        assert np.allclose(answer.data[0].embedding, model.encode(["crane"], role)[0], atol=1e-5)
    assert [m.id for m in client.models.list()] == ["model"]
    assert client.models.retrieve("model").id == "model"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("other")
    assert missing.value.code == "model_not_found" and missing.value.param == "model"
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length") as wrong:
        client.embeddings.create(model="any", input=[[1, 2]])
    assert wrong.value.param == "input" and wrong.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError, match="at most 4194304 bytes") as large:
        client.embeddings.create(model="any", input=["crane " * 1000] * 1000)
    assert large.value.status_code == 413


def test_the_openai_client_cancelled_in_the_middle(address, slow):
    async def go():
        async with openai.AsyncOpenAI(
            base_url=f"{address}/v1", api_key="x", max_retries=0
        ) as client:
            task = asyncio.create_task(
                client.embeddings.create(model="m", input=["crane " * 200] * 1000)
            )
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    slow.set()
    asyncio.run(go())
    until(lambda: waiting(address) == 0)


def test_langchains_embeddings(address, chain, monkeypatch):
    embeddings = pytest.importorskip("langchain_openai").OpenAIEmbeddings
    # Its default sends token ids of OpenAI's tokenizer, which it downloads: here one of 256 bytes.
    encoding = tiktoken.Encoding(
        "bytes",
        pat_str=r".",
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={},
    )
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda name: encoding)
    common = {"base_url": f"{address}/v1", "api_key": "x", "model": "m", "max_retries": 0}
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        embeddings(**common).embed_query("crane")
    passages = embeddings(**common, check_embedding_ctx_length=False)
    texts = [f"crane {i}" for i in range(1100)]  # more than its 1,000 a request
    model = Retriever(str(chain))
    assert np.allclose(passages.embed_documents(texts), model.encode(texts), atol=1e-5)
    queries = embeddings(
        **common,
        check_embedding_ctx_length=False,
        model_kwargs={"extra_body": {"input_type": "query"}},
    )
    assert np.allclose(queries.embed_query("crane"), model.encode(["crane"], "query")[0], atol=1e-5)


def test_llama_indexs_embedding(address, chain):
    embedding = pytest.importorskip("llama_index.embeddings.openai").OpenAIEmbedding
    client = embedding(model_name="m", api_base=f"{address}/v1", api_key="x", max_retries=0)
    model = Retriever(str(chain))
    assert np.allclose(
        client.get_text_embedding_batch(["a b", "c"]), model.encode(["a b", "c"]), atol=1e-5
    )
    assert np.allclose(client.get_query_embedding("a"), model.encode(["a"])[0], atol=1e-5)
