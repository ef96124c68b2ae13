"""The server: what it answers, what it refuses, and that nothing a stranger sends breaks it."""

import asyncio
import json
import re
import shutil
import signal
import socket
import threading
import time

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.forking import COMMAND

from mixling.corpora import folder, sample
from mixling.errors import MixlingError, check_finite_vectors
from mixling.models.retriever import Retriever
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.serving.app import application
from mixling.serving.batching import Batcher, OverloadedError
from mixling.serving.config import ServerConfig
from mixling.serving.keys import RateLimiter, create_key, key_name, read_keys
from mixling.serving.serve import serve


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    folder.write_folder(sample.read_sample("all"), root / "sample")
    with (root / "sample" / "corpus.jsonl").open("a") as out:
        out.write(
            json.dumps(
                {"_id": "évil/../x y", "text": "<script>alert(1)</script> words", "language": "en"}
            )
            + "\n"
        )
    index(str(chain), root / "sample", str(root / "store"), size=60, precision="fp32")
    return str(root / "store")


@pytest.fixture
def client(store):
    with TestClient(application(Searcher(store))) as client:
        yield client


def test_a_search_answers_what_a_searcher_answers(client, store):
    body = {"query": "How old is the bridge?", "k": 4, "languages": ["sw", "de"], "highlight": True}
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200
    hits = Searcher(store).search(body["query"], 4, languages=["sw", "de"])
    for row, hit in zip(answer.json()["results"], hits, strict=True):
        expected = json.loads(json.dumps(hit.to_dict()))
        assert row.pop("score") == pytest.approx(expected.pop("score"), abs=1e-5)
        offset = expected.pop("language_offset")
        assert row.pop("language_offset") == pytest.approx(offset, abs=1e-5)
        assert row == expected
    for options in (
        {"mode": "both"},
        {"mode": "text"},
        {"order": "score"},
        {"quotas": {"en": 1}},
        {"query_language": "sw"},
    ):
        assert client.post("/v1/search", json={"query": "bridge", **options}).status_code == 200
    two = client.post("/v1/search", json={"query": ["bridge", "daraja"], "k": 1})
    assert len(two.json()["results"]) == 1
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


def test_documents_info_and_metrics(client):
    document = client.get("/v1/document?id=water.1-ar").json()
    assert document["passages"][0]["part"] == 0 and document["language"]
    odd = client.get("/v1/document?id=%C3%A9vil%2F..%2Fx%20y")
    assert odd.status_code == 200 and odd.headers["content-type"] == "application/json"
    assert odd.json()["passages"][0]["text"].startswith("<script>")
    assert client.get("/v1/document?id=nobody").status_code == 404
    assert client.get("/v1/document?id=..%2F..%2Fetc%2Fpasswd").status_code == 404
    info = client.get("/v1/info").json()
    assert info["passages"] > 352 and "encoder" not in info and "/" not in info["model"]
    assert (
        client.get("/health").json() == {"status": "ok"} and client.get("/ready").status_code == 200
    )
    text = client.get("/metrics").text
    assert (
        'mixling_requests_total{path="/v1/document",status="404"} 2.0' in text
        and "mixling_batches" in text
    )
    assert "/v1/search" in client.get("/openapi.json").json()["paths"]


def test_embeddings_are_the_models(client, chain):
    retriever = Retriever(str(chain))
    for options, role in (
        ({}, None),
        ({"input_type": "query"}, "query"),
        ({"input_type": "document"}, "passage"),
    ):
        answer = client.post(
            "/v1/embeddings", json={"input": ["a b", "c"], "model": "x", **options}
        ).json()
        vectors = np.array([item["embedding"] for item in answer["data"]])
        assert np.allclose(vectors, retriever.encode(["a b", "c"], role), atol=1e-6)
        assert answer["usage"]["total_tokens"] == sum(
            map(len, retriever.tokenize(["a b", "c"], role))
        )
    assert client.post("/v1/embeddings", json={"input": "a", "dimensions": 7}).status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "query"),
        ({"query": ""}, 422, "at least 1"),
        ({"query": "a", "k": 0}, 422, "k"),
        ({"query": "a", "k": 10**9}, 422, "k"),
        ({"query": "a" * 9000}, 422, "at most 8000"),
        ({"query": "a", "colour": "red"}, 422, "colour"),
        ({"query": "a", "languages": ["xx'; DROP"]}, 400, "is not a language"),
        ({"query": "a", "languages": ["yo"]}, 400, "no passages in yo"),
        ({"query": "a", "query_language": "nowhere at all"}, 400, "is not a language"),
        ({"query": ["a"] * 17}, 422, "at most 16"),
    ],
)
def test_a_wrong_query_is_told_what_is_wrong(client, body, status, message):
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_bodies_that_are_too_large_or_no_json(store):
    with TestClient(application(Searcher(store), ServerConfig(max_body_bytes=2000))) as client:
        assert client.post("/v1/search", content=b"{" * 3000).status_code == 413
        # without a length, as chunks
        assert client.post("/v1/search", content=iter([b"x" * 1500] * 4)).status_code == 413
        assert client.post("/v1/search", content=b"{").status_code == 422
        assert client.post("/v1/search", content=b"\xff\xfe").status_code in (400, 422)
        assert client.get("/nothing").json()["error"]["code"] == "not_found"
        assert client.put("/v1/search").status_code == 405


def test_keys_are_wanted_and_compared_as_hashes(store, tmp_path, monkeypatch):
    key, line = create_key("reader")
    (tmp_path / "keys").write_text(f"# ours\n{line}\n")
    other, line = create_key("other")
    monkeypatch.setenv("MIXLING_KEYS", line)
    keys = read_keys(tmp_path / "keys")
    assert (
        set(keys) == {"reader", "other"}
        and key_name(key, keys) == "reader"
        and key_name(key + "x", keys) is None
    )
    with TestClient(application(Searcher(store), ServerConfig(keys=keys))) as client:
        ask = {"query": "a", "k": 1}
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": key},
            {"Authorization": f"Basic {key}"},
        ):
            refused = client.post("/v1/search", json=ask, headers=headers)
            assert refused.status_code == 401 and key not in refused.text
        for good in (key, other):
            assert (
                client.post(
                    "/v1/search", json=ask, headers={"Authorization": f"Bearer {good}"}
                ).status_code
                == 200
            )
        assert (
            client.get("/health").status_code == 200 and client.get("/metrics").status_code == 401
        )
    (tmp_path / "keys").write_text("reader:plain\n")
    with pytest.raises(MixlingError, match="keys:1: field 'key'"):
        read_keys(tmp_path / "keys")
    with pytest.raises(MixlingError, match="cannot be the name of a key"):
        create_key("a b")


def test_rates(store):
    clock = [0.0]
    rate = RateLimiter(2, 3, lambda: clock[0])
    assert [rate.wait("a") == 0 for _ in range(4)] == [True, True, True, False] and rate.wait(
        "b"
    ) == 0
    clock[0] = 0.5
    assert rate.wait("a") == 0 and rate.wait("a") == pytest.approx(0.5)
    with TestClient(application(Searcher(store), ServerConfig(rate=0.01, burst=2))) as client:
        found = [client.post("/v1/search", json={"query": "a", "k": 1}) for _ in range(3)]
        assert [r.status_code for r in found] == [200, 200, 429] and int(
            found[2].headers["Retry-After"]
        ) > 1


def test_a_public_address_without_keys_is_refused(store):
    for host in ("0.0.0.0", "::", "example.org"):
        with pytest.raises(MixlingError, match="anybody could search"):
            serve(store, host=host)


def test_a_server_that_cannot_begin_says_why(store, monkeypatch):
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        with pytest.raises(MixlingError, match=f"--port {used.getsockname()[1]}: .* in use"):
            serve(store, port=used.getsockname()[1])
        port = used.getsockname()[1]
    monkeypatch.setattr("mixling.searching.store_model.remembered_model", lambda *_: None)
    encode = Retriever.encode
    monkeypatch.setattr(
        Retriever,
        "encode",
        lambda *a, **k: check_finite_vectors(encode(*a, **k) * np.float32("nan"), str, "model"),
    )
    with pytest.raises(MixlingError, match="NaN"):
        serve(store, port=port)


def test_queries_that_come_together_are_encoded_together(chain):
    retriever = Retriever(str(chain))
    expected = retriever.encode([f"query {i}" for i in range(20)], "query")

    async def go():
        batcher = Batcher(retriever, batch_size=64, max_waiting=30)
        batcher.start()
        made = await asyncio.gather(*(batcher([f"query {i}"], "query") for i in range(20)))
        with pytest.raises(OverloadedError):
            await batcher(["x"] * 31, "query")
        again = await batcher(["query 3"], "query")
        await batcher.stop()
        return np.concatenate(made), again, batcher.batches

    made, again, batches = asyncio.run(go())
    assert np.allclose(made, expected, atol=1e-5) and np.allclose(again, expected[3], atol=1e-5)
    assert batches <= 4


def test_overload_is_429_and_goes_over(store, monkeypatch):
    searcher = Searcher(store)
    encode, slow = searcher.retriever.encode, threading.Event()

    def waiting(*given, **more):
        if slow.is_set():
            time.sleep(0.3)
        return encode(*given, **more)

    monkeypatch.setattr(searcher.retriever, "encode", waiting)
    with TestClient(application(searcher, ServerConfig(max_waiting=3, batch_size=1))) as client:
        slow.set()
        codes: list[int] = []
        ask = {"query": "a", "k": 1}
        threads = [
            threading.Thread(
                target=lambda: codes.append(client.post("/v1/search", json=ask).status_code)
            )
            for _ in range(8)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert set(codes) == {200, 429} and codes.count(200) >= 3
        slow.clear()
        assert client.post("/v1/search", json=ask).status_code == 200


def test_a_fault_inside_is_an_error_and_not_the_end(store, monkeypatch):
    searcher = Searcher(store)
    with TestClient(application(searcher), raise_server_exceptions=False) as client:
        real = searcher.retriever.encode
        monkeypatch.setattr(searcher.retriever, "encode", lambda *a, **k: 1 / 0)
        assert client.post("/v1/search", json={"query": "a"}).status_code == 500
        monkeypatch.setattr(searcher.retriever, "encode", real)
        assert client.post("/v1/search", json={"query": "a"}).status_code == 200


def test_the_page_calls_no_other_server_and_has_nine_languages(client):
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    script, style = client.get("/page.js").text, client.get("/page.css").text
    for text in (page.text, script, style):
        assert not re.search(r"https?://|innerHTML|\bon\w+=|style=|eval\(", text)
    words = client.get("/words.json").json()
    used = set(re.findall(r'data-word="(\w+)"', page.text)) | set(
        re.findall(r'word\("(\w+)"\)', script)
    )
    assert len(words) >= 8
    assert all(used <= set(texts) and all(texts.values()) for texts in words.values())
    answer = client.post("/v1/search", json={"query": "bridge", "query_language": "de"}).json()
    assert answer["query_language"] == "de" and all(
        "language_offset" in r for r in answer["results"]
    )


@pytest.mark.slow
def test_no_request_that_the_description_allows_breaks_it(store):
    import schemathesis

    app = application(Searcher(store))
    described = schemathesis.openapi.from_dict(app.openapi())
    with TestClient(app, raise_server_exceptions=False) as client:
        for result in described.get_all_operations():
            _ask_all(result.ok().as_strategy(), client)


def _ask_all(strategy, client):
    from hypothesis import HealthCheck, given, settings

    @settings(
        max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=strategy)
    def one(case):
        given_ = case.as_transport_kwargs(base_url="http://testserver")
        answer = client.request(
            given_["method"],
            given_["url"],
            params=given_.get("params"),
            json=given_.get("json"),
            headers=given_.get("headers"),
        )
        assert answer.status_code < 500, (given_, answer.text)

    one()


@pytest.mark.slow
def test_a_real_server_speaks_to_the_openai_client_and_stops_gracefully(
    store, chain, tmp_path, forks
):
    from openai import AuthenticationError, OpenAI

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    key, line = create_key("openai")
    (tmp_path / "keys").write_text(line)
    command = ["serve", store, "--port", port, "--keys", tmp_path / "keys", "--precision", "fp32"]
    log = (tmp_path / "log").open("w+")
    running = forks.start(COMMAND, *command, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            try:
                if httpx.get(f"{base}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        client = OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
        made = client.embeddings.create(
            model="any", input=["a b"], extra_body={"input_type": "query"}
        )
        expected = Retriever(str(chain)).encode(["a b"], "query")[0]
        assert np.allclose(made.data[0].embedding, expected, atol=1e-5)
        with pytest.raises(AuthenticationError):
            OpenAI(base_url=f"{base}/v1", api_key="wrong", max_retries=0).embeddings.create(
                model="any", input="a"
            )
        secret = "a query that nobody should read"
        headers = {"Authorization": f"Bearer {key}"}
        assert (
            httpx.post(f"{base}/v1/search", json={"query": secret}, headers=headers).status_code
            == 200
        )
    finally:
        running.terminate()
        running.wait(60)
        log.seek(0)
        said = log.read()
    assert running.returncode in (0, -signal.SIGTERM), said
    assert secret not in said and key not in said
    lines = [json.loads(x) for x in said.splitlines() if x.startswith("{")]
    assert any(
        x["path"] == "/v1/search" and x["status"] == 200 and x["who"] == "openai" for x in lines
    )


def test_a_store_whose_model_has_moved_is_searched_and_served_where_it_lies_now(
    chain, tmp_path, run
):
    model, moved, store = tmp_path / "model", tmp_path / "moved", str(tmp_path / "store")
    shutil.copytree(chain, model)
    (tmp_path / "d.jsonl").write_text(
        '{"_id": "1", "text": "The crane sleeps.", "language": "en"}\n'
    )
    index(str(model), tmp_path / "d.jsonl", store, precision="fp32")
    model.rename(moved)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for command in (("search", store, "crane"), ("serve", store, "--port", port)):
        status, out, err = run(*command)
        message = " ".join(err.split())
        assert status == 2 and not out and "--model" in message and str(model) in message, command
    status, out, _ = run("search", store, "crane", "--model", moved, "--json")
    assert status == 0 and json.loads(out)["document"] == "1"
    assert Searcher(store, str(moved)).search("crane")[0].document == "1"
    for blank in (["", "crane"], [" \n"], []):
        with pytest.raises(MixlingError, match="empty"):
            Searcher(store, str(moved)).search(blank)
    assert run("search", store, "crane", "--model", tmp_path / "nowhere")[0] == 2


def test_the_command_line_makes_keys(run):
    status, said, _ = run("serve", "--new-key", "me")
    key = re.search(r"key \(shown only now\): (\S+)", said)[1]
    line = re.search(r"line for the file of keys: (\S+)", said)[1]
    assert status == 0 and key_name(key, {"me": bytes.fromhex(line.partition(":")[2])}) == "me"
    assert run("serve")[0] == 2 and run("serve", "nowhere")[0] == 2
