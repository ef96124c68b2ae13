"""Vectors, runs and search systems in place of a model: the same figures, and one clear error."""

import dataclasses
import gzip
import json
import math
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from typer.testing import CliRunner

import mixling
from mixling.cli.main import app
from mixling.encoding.vectors import similarity_vectors
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.endpoint_forms import endpoint_form, fill_places, find_values
from mixling.evaluation.task_texts import task_texts
from mixling.evaluation.trec import trec_ids
from mixling.models.retriever import Retriever
from mixling.reports.evaluate import evaluate

TASK = "sample"
IGNORED = {
    "seconds_encoding", "seconds_ranking", "texts", "tokens_encoded", "titles", "coverage",
    "lists", "orders", "notes", "run", "vectors", "asked", "data", "skipped",
}  # fmt: skip


def entry(result):
    return result.summary["tasks"][TASK]


def assert_same(one, other, tolerance=0.0, path=""):
    """Compare two entries, number for number."""
    if isinstance(one, dict):
        assert set(one) - IGNORED == set(other) - IGNORED, path
        for key in set(one) - IGNORED:
            assert_same(one[key], other[key], tolerance, f"{path}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for first, second in zip(one, other, strict=True):
            assert_same(first, second, tolerance, path)
    elif isinstance(one, float) and tolerance:
        assert other == pytest.approx(one, abs=tolerance, nan_ok=True), path
    elif not (one != one and other != other):
        assert one == other, path


@pytest.fixture(scope="module")
def task():
    return load_task(TASK)


@pytest.fixture(scope="module")
def direct(chain, tmp_path_factory):
    """The tiny encoder measured directly, with a run that holds all passages."""
    out = tmp_path_factory.mktemp("direct")
    return evaluate(str(chain), [TASK], out, trec=True), out / "trec" / f"{TASK}.run"


@pytest.fixture(scope="module")
def vectors(chain, task):
    """Vectors of the tiny encoder: rows of id, role and vector."""
    retriever = Retriever(str(chain))
    rows = []
    for role, ids, texts, codes in (
        ("query", trec_ids(task)[0], task.queries, task.query_language),
        ("passage", trec_ids(task)[1], task.passages, task.passage_language),
    ):
        languages = [task.languages[c] for c in codes]
        found, _ = similarity_vectors(retriever, texts, role, languages, label="")
        rows += [(i, role, v) for i, v in zip(ids, found, strict=True)]
    return rows


# ---- texts


def test_texts_have_the_ids_that_runs_and_vectors_name(tmp_path, task):
    out = tmp_path / "texts.jsonl"
    done = CliRunner().invoke(app, ["texts", TASK, "--out", str(out)])
    assert done.exit_code == 0 and "192 queries, 96 passages" in done.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows == list(task_texts(task))
    assert set(rows[0]) == {"id", "role", "language", "title", "text"}
    by_role = {r: [x for x in rows if x["role"] == r] for r in ("query", "passage")}
    assert [x["text"] for x in by_role["query"]] == task.queries
    assert [x["text"] for x in by_role["passage"]] == task.passages
    for part in by_role.values():
        assert len({x["id"] for x in part}) == len(part)


def test_texts_to_fit_on_have_their_groups(tmp_path):
    out = tmp_path / "texts.jsonl"
    done = CliRunner().invoke(app, ["texts", f"{TASK}:train", "--fit", "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(x["group"] and x["language"] and x["role"] in ("query", "passage") for x in rows)
    assert max(Counter(x["group"] for x in rows if x["role"] == "query").values()) == 8


# ---- vectors


def write_parquet(rows, where):
    ids, roles, vectors = zip(*rows, strict=True)
    table = {"id": ids, "role": roles, "vector": [v.tolist() for v in vectors]}
    pq.write_table(pa.table(table), where / "all.parquet", row_group_size=50)


def write_role_parquet(rows, where):
    for role, name in (("query", "queries"), ("passage", "passages")):
        part = [r for r in rows if r[1] == role]
        matrix = np.stack([r[2] for r in part])
        column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
        (where / name).mkdir()
        pq.write_table(
            pa.table({"id": [r[0] for r in part], "embedding": column}),
            where / name / "part-0.parquet",
        )


def write_jsonl(rows, where):
    lines = [json.dumps({"id": i, "role": r, "vector": v.tolist()}) for i, r, v in rows]
    (where / "all.jsonl").write_text("\n".join(lines), encoding="utf-8")


def write_npy(rows, where):
    np.save(where / "texts.npy", np.stack([v for _, _, v in rows]))
    lines = [json.dumps({"id": i, "role": r, "text": "…"}) for i, r, _ in rows]
    (where / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")


def write_role_npy(rows, where):
    for role, name in (("query", "queries"), ("passage", "passages")):
        part = [r for r in rows if r[1] == role]
        np.save(where / f"{name}.npy", np.stack([v for _, _, v in part]).astype(np.float64))
        ids = [i for i, _, _ in part]
        if role == "query":
            (where / f"{name}.txt").write_text("\n".join(ids), encoding="utf-8")
        else:
            (where / f"{name}.json").write_text(json.dumps(ids), encoding="utf-8")


@pytest.mark.parametrize(
    "write", [write_parquet, write_role_parquet, write_jsonl, write_npy, write_role_npy]
)
def test_given_vectors_are_measured_as_their_encoder(write, vectors, direct, tmp_path):
    # the order of the rows is not that of the task
    write([vectors[i] for i in np.random.default_rng(0).permutation(len(vectors))], tmp_path)
    result = evaluate(vectors=tmp_path, tasks=[TASK])
    assert_same(entry(direct[0]), entry(result), 1e-6)
    assert result.summary["model"].startswith(f"vectors:{tmp_path.name} (")
    assert len(result.summary["origin"]["sha256"]) == 64


def test_the_similarity_of_vectors_is_an_option(vectors, tmp_path):
    longer = [(i, r, v * (1 + n % 7)) for n, (i, r, v) in enumerate(vectors)]
    write_parquet(longer, tmp_path)
    arguments = ["evaluate", "--vectors", str(tmp_path), "--task", TASK, "--out"]
    found = {}
    for similarity in ("cosine", "dot"):
        out = tmp_path / similarity
        done = CliRunner().invoke(app, [*arguments, str(out), "--similarity", similarity])
        assert done.exit_code == 0, done.output
        found[similarity] = mixling.EvaluationResult.load(out)
        for file in out.rglob("*.parquet"):
            file.unlink()
    assert found["cosine"].value(TASK, "multilingual") != found["dot"].value(TASK, "multilingual")
    assert found["dot"].summary["origin"]["similarity"] == "dot"


def change(rows, number, vector):
    return [*rows[:number], (*rows[number][:2], vector), *rows[number + 1 :]]


WRONG_VECTORS = {
    "missing": (lambda rows: rows[3:], ["3 of the 288 texts", "have no vector: query '"]),
    "doubled": (lambda rows: [*rows, rows[0]], ["1 texts have more than one vector", "query '"]),
    "another dimension": (
        lambda rows: change(rows, 5, rows[5][2][:-1]),
        ["has 31 numbers"],
    ),
    "NaN": (
        lambda rows: change(rows, 5, np.full(32, np.nan, np.float32)),
        ["holds NaN"],
    ),
    "infinity": (
        lambda rows: change(rows, 5, np.full(32, np.inf, np.float32)),
        ["infinity"],
    ),
    "no role": (lambda rows: [(i, "doc", v) for i, _, v in rows], ["role", "'doc'"]),
}


@pytest.mark.parametrize("write", [write_parquet, write_jsonl])
@pytest.mark.parametrize("case", WRONG_VECTORS)
def test_wrong_vectors_are_one_error(case, write, vectors, tmp_path):
    if case == "infinity" and write is write_jsonl:
        pytest.skip("JSON has no infinity of its own")
    change_rows, expected = WRONG_VECTORS[case]
    write(change_rows(vectors), tmp_path)
    with pytest.raises(MixlingError) as error:
        evaluate(vectors=tmp_path, tasks=[TASK])
    assert all(part in str(error.value) for part in [*expected, str(tmp_path)]), error.value


def test_wrong_folders_of_vectors_are_one_error(vectors, tmp_path):
    def message():
        with pytest.raises(MixlingError) as error:
            evaluate(vectors=tmp_path / "v", tasks=[TASK])
        return str(error.value)

    assert "does not exist" in message()
    (tmp_path / "v").mkdir()
    assert "holds no vectors" in message()
    np.save(tmp_path / "v" / "queries.npy", np.zeros((4, 8), np.float32))
    assert "no file of ids is beside it" in message()
    (tmp_path / "v" / "queries.txt").write_text("a\nb\nc\n")
    assert "4 vectors and 3 ids" in message()
    np.save(tmp_path / "v" / "queries.npy", np.zeros(3, np.float32))
    assert "[3]" in message()
    np.save(tmp_path / "v" / "queries.npy", np.array(["a", "b", "c"]))
    assert "Expected numbers" in message()
    (tmp_path / "v" / "queries.npy").rename(tmp_path / "v" / "some.npy")
    (tmp_path / "v" / "queries.txt").rename(tmp_path / "v" / "some.txt")
    assert "queries or of passages" in message()
    (tmp_path / "v" / "some.npy").unlink()
    pq.write_table(pa.table({"id": ["a"], "vector": ["1,2"]}), tmp_path / "v" / "queries.parquet")
    assert "Expected lists of numbers" in message()
    pq.write_table(pa.table({"id": ["a"], "v": [[1.0]]}), tmp_path / "v" / "queries.parquet")
    assert "no column 'vector'" in message()


def test_vectors_of_other_texts_are_counted(vectors, tmp_path):
    write_parquet([*vectors, ("another", "passage", vectors[0][2])], tmp_path)
    assert entry(evaluate(vectors=tmp_path, tasks=[TASK]))["vectors"]["of_other_texts"] == 1


# ---- runs


@pytest.mark.parametrize("model", ["chain", "bm25"])
def test_a_run_of_all_passages_gives_exactly_the_same_figures(model, chain, tmp_path):
    name = str(chain) if model == "chain" else model
    result = evaluate(name, [TASK], tmp_path, trec=True)
    path = tmp_path / "trec" / f"{TASK}.run"
    lines = path.read_text().splitlines()
    assert len(lines) == 192 * 96
    # another order of lines, and packed
    np.random.default_rng(0).shuffle(lines)
    packed = tmp_path / "mine.run.gz"
    packed.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = evaluate(run=packed, tasks=[TASK])
    assert_same(entry(result), entry(found))
    assert entry(found)["lists"]["left_out_measures"] == {}
    again = evaluate(run=tmp_path / "trec", tasks=[TASK])
    assert_same(entry(result), entry(again))
    assert result.scores.drop_columns("task").equals(found.scores.drop_columns("task"))


def cut_run(path, depth, where):
    lines = [x for x in path.read_text().splitlines() if int(x.split()[3]) <= depth]
    where.write_text("\n".join(lines) + "\n")
    return where


@pytest.mark.parametrize("depth", [5, 10, 50, 90])
def test_a_run_that_is_cut_has_the_figures_of_trec_eval_and_leaves_out_the_others(
    depth, direct, tmp_path, task
):
    run = cut_run(direct[1], depth, tmp_path / "cut.run")
    result = evaluate(run=run, tasks=[TASK], out=tmp_path / "out")
    cut, whole = entry(result), entry(direct[0])
    # per query as pytrec_eval has it
    qrels = {}
    for line in direct[1].with_suffix(".qrels").read_text().splitlines():
        query, _, passage, grade = line.split()
        qrels.setdefault(query, {})[passage] = int(grade)
    scores = {}
    for line in run.read_text().splitlines():
        query, _, passage, _, score, _ = line.split()
        scores.setdefault(query, {})[passage] = float(score)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recall.10", "ndcg_cut.10"}).evaluate(
        scores
    )
    table = result.scores.to_pandas()
    ours = table[table.scenario == "multilingual"].reset_index(drop=True)
    for row, name in enumerate(trec_ids(task)[0]):
        assert ours["mAP"][row] == pytest.approx(theirs[name]["map"], abs=1e-6)
        if depth >= 10:
            assert ours["R@10"][row] == pytest.approx(theirs[name]["recall_10"], abs=1e-6)
            assert ours["nDCG@10"][row] == pytest.approx(theirs[name]["ndcg_cut_10"], abs=1e-6)
    # what the lists tell is exactly what all ranks tell; the rest is not there
    for part in ("multilingual", "bias"):
        for name, value in cut[part].items():
            if isinstance(value, float) and name not in ("mAP", "LPR", "same_language_preference"):
                assert math.isnan(value) == (name in cut["lists"]["left_out_measures"]), name
                assert math.isnan(value) or value == whole[part][name], name
    left_out = set(cut["lists"]["left_out_measures"])
    assert {"rank_distance", "relative_rank_distance", "Max@R", "MRC@20"} <= left_out
    assert ("R@10" in left_out) == (depth < 10) and ("TLR@20" in left_out) == (depth < 20)
    assert cut["multilingual"]["mAP"] < whole["multilingual"]["mAP"]
    for scenario in ("monolingual", "cross-lingual"):
        assert (scenario in cut) != (scenario in cut["left_out"])
        if scenario in cut:
            assert cut[scenario]["R@10"] == whole[scenario]["R@10"]
            assert cut[scenario]["nDCG@10"] == whole[scenario]["nDCG@10"]
    missing = cut["lists"]["relevant_without_rank"]
    assert any(f"counts {missing:,} of 1,536 relevant" in note for note in cut["notes"])
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Left out: rank_distance" in report and "counts" in report
    for scenario in cut["left_out"]:
        assert f"No {scenario} scenario" in report
        assert scenario not in set(table.scenario)


def test_a_single_language_scenario_is_measured_where_the_lists_are_deep_enough(tmp_path, task):
    """Each query's own language first, and the relevant passage at its tenth place or missing."""
    lines = []
    queries, passages = trec_ids(task)
    for row, name in enumerate(queries):
        own = np.flatnonzero(task.passage_language == task.query_language[row])
        right = set(task.relevant[task.relevant[:, 0] == row, 1].tolist())
        wrong = [p for p in own if p not in right][:10]
        lines += [f"{name} Q0 {passages[p]} 0 {20 - i} x" for i, p in enumerate(wrong)]
    (tmp_path / "x.run").write_text("\n".join(lines))
    found = entry(evaluate(run=tmp_path / "x.run", tasks=[TASK]))
    assert found["monolingual"]["R@10"] == 0 and "cross-lingual" in found["left_out"]
    assert found["multilingual"]["mAP"] == 0 and math.isnan(found["bias"]["LPR"])
    assert found["bias"]["first_wrong_same_language"] == 1
    # one list that ends with a passage fewer: a query's answer may stand at rank ten
    (tmp_path / "x.run").write_text("\n".join(x for x in lines if x.split()[4] != "11"))
    assert "monolingual" in entry(evaluate(run=tmp_path / "x.run", tasks=[TASK]))["left_out"]


def test_lists_that_a_system_ended_by_itself_count_as_trec_eval_does(direct, tmp_path, task):
    """One query has three passages and one none, while others have all: these are not retrieved."""
    names = trec_ids(task)[0]
    lines = direct[1].read_text().splitlines()
    short = [
        x for x in lines
        if x.split()[0] != names[1] and (x.split()[0] != names[0] or int(x.split()[3]) <= 3)
    ]  # fmt: skip
    (tmp_path / "short.run").write_text("\n".join(short))
    result = evaluate(run=tmp_path / "short.run", tasks=[TASK], out=tmp_path / "out")
    found, whole = entry(result), entry(direct[0])
    assert found["lists"]["queries_without_passages"] == 1
    assert found["skipped"]["queries without a list in the run"] == 1
    assert any(note.startswith("1 of 192 queries have no passages") for note in found["notes"])
    assert "monolingual" in found and not found["left_out"]
    table = result.scores.to_pandas()
    table = table[table.scenario == "multilingual"].reset_index(drop=True)
    assert table["mAP"][1] == 0 and table["first"][1] == "" and table["R@100"][1] == 0
    assert math.isnan(table["exposure@10"][1]) and table["intrusion@10"][1] == 0
    before = direct[0].scores.to_pandas()
    before = before[before.scenario == "multilingual"].reset_index(drop=True)
    assert (table["nDCG@10"][2:] == before["nDCG@10"][2:]).all()
    assert (table["PEER@20"][2:] == before["PEER@20"][2:]).all()
    assert found["multilingual"]["mAP"] < whole["multilingual"]["mAP"]


def test_ids_that_the_task_does_not_have_are_counted(direct, tmp_path, task):
    names = trec_ids(task)[0]
    extra = [f"{names[0]} Q0 nobody 1 99 x", "no-query Q0 nobody 1 99 x"]
    (tmp_path / "x.run").write_text("\n".join([*extra, direct[1].read_text()]))
    found = entry(evaluate(run=tmp_path / "x.run", tasks=[TASK]))
    assert found["skipped"]["passages of the run that the task does not have"] == 1
    assert found["skipped"]["queries of the run that the task does not have"] == 1
    assert_same(entry(direct[0]), found)


WRONG_RUNS = {
    "columns": ("a Q0 b 1 2\n", ["x.run:1", "six columns"]),
    "score": ("a Q0 b 1 high x\n", ["'high'", "a finite number"]),
    "NaN": ("a Q0 b 1 nan x\n", ["'nan'", "a finite number"]),
    "empty": ("\n", ["none of the 192 queries", "the run is empty"]),
    "other queries": ("a Q0 b 1 2 x\n", ["none of the 192 queries", "'a'", "mixling texts"]),
    "other passages": ("{query} Q0 b 1 2 x\n", ["none of the 96 passages", "'b'"]),
    "doubled": (
        "{query} Q0 {passage} 1 2 x\n{query} Q0 {passage} 2 1 x\n",
        ["more than once", "1 passages"],
    ),
}


@pytest.mark.parametrize("case", WRONG_RUNS)
def test_wrong_runs_are_one_error(case, tmp_path, task):
    content, expected = WRONG_RUNS[case]
    queries, passages = trec_ids(task)
    path = tmp_path / "x.run"
    path.write_text(content.format(query=queries[0], passage=passages[0]))
    with pytest.raises(MixlingError) as error:
        evaluate(run=path, tasks=[TASK])
    assert all(part in str(error.value) for part in expected), error.value


def test_options_that_have_no_meaning_are_refused(direct, chain, tmp_path):
    path = str(direct[1])
    for arguments, expected in (
        ({"run": path, "model": str(chain)}, "the model"),
        ({"run": path, "noise": ["typos"]}, "noise"),
        ({"run": path, "trec": True, "out": tmp_path}, "TREC files"),
        ({"run": path, "model_options": {"pooling": "cls"}}, "options of a model"),
        ({"run": path, "vectors": tmp_path}, "both given"),
        ({"run": path, "endpoint_options": {"depth": 3}}, "depth"),
        ({"run": tmp_path / "none.run"}, "none.run: the file does not exist"),
        ({"run": tmp_path}, "has no sample.run"),
        ({}, "nothing to measure"),
    ):
        with pytest.raises(MixlingError, match=expected):
            evaluate(tasks=[TASK], **arguments)


# ---- search systems


@pytest.fixture(scope="module")
def answers(direct):
    """The direct ranking as answers of a system: `(text of a query, k)` to ids and scores."""
    task = load_task(TASK)
    text_of = dict(zip(trec_ids(task)[0], task.queries, strict=True))
    lists = {}
    for line in direct[1].read_text().splitlines():
        query, _, passage, _, score, _ = line.split()
        lists.setdefault(text_of[query], []).append((passage, float(score)))
    return lambda query, k: lists[query][:k]


class Server:
    """A small HTTP server whose answers a test makes."""

    def __init__(self, answer):
        self.requests, self.lock = [], threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                with outer.lock:
                    outer.requests.append(SimpleNamespace(
                        path=self.path, body=body, headers=dict(self.headers)))  # fmt: skip
                    number = len(outer.requests)
                status, content, headers = answer(outer.requests[-1], number)
                raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(raw))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def opensearch(answers):
    """Answer as OpenSearch's `_search` documents it."""

    def answer(request, _):
        hits = answers(request.body["query"]["match"]["text"], request.body["size"])
        rows = [{"_index": "docs", "_id": i, "_score": s} for i, s in hits]
        total = {"value": len(rows), "relation": "eq"}
        content = {
            "took": 1, "timed_out": False,
            "hits": {"total": total, "max_score": rows[0]["_score"], "hits": rows},
        }  # fmt: skip
        return 200, content, {"Content-Type": "application/json"}

    return answer


def test_opensearch_is_asked_as_it_documents(answers, direct, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENSEARCH_API_KEY", "os-key-4711\n")
    with Server(opensearch(answers)) as server:
        result = evaluate(
            tasks=[TASK],
            out=tmp_path,
            endpoint=f"{server.address}/docs",
            endpoint_options={"form": "opensearch", "depth": 96},
        )
    assert_same(entry(direct[0]), entry(result))
    request = server.requests[0]
    assert request.path == "/docs/_search" and request.body["size"] == 96
    assert request.headers["Authorization"] == "ApiKey os-key-4711"
    assert len(server.requests) == entry(result)["asked"] == 192
    # the answers are a run, and no file holds the key
    again = evaluate(run=tmp_path / "trec", tasks=[TASK])
    assert_same(entry(result), entry(again))
    assert not list((tmp_path / "answers").iterdir())
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"os-key-4711" not in file.read_bytes()


def test_opensearch_reads_ids_of_a_field_and_takes_another_query(answers, tmp_path):
    def answer(request, _):
        hits = answers(request.body["query"]["multi_match"]["query"], request.body["size"])
        rows = [{"_id": "7", "_score": None, "_source": {"doc": i}} for i, _ in hits]
        return 200, {"hits": {"hits": rows}}, {}

    body = {"query": {"multi_match": {"query": "{query}", "fields": ["title", "text"]}}}
    (tmp_path / "body.json").write_text(json.dumps(body))
    with Server(answer) as server:
        arguments = ["--endpoint-form", "opensearch", "--id-field", "doc", "--depth", "20"]
        done = CliRunner().invoke(
            app,
            ["evaluate", "--task", TASK, "--endpoint", f"{server.address}/docs/_search",
             "--endpoint-body", str(tmp_path / "body.json"), *arguments],
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert server.requests[0].body["_source"] == ["doc"]
    assert "endpoint:http://127.0.0.1" in done.output and "Left out: R@100" in done.output


def test_qdrant_is_asked_with_vectors_of_a_model(chain, vectors, direct, task, monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "qd-key-4711")
    ids = [i for i, role, _ in vectors if role == "passage"]
    matrix = np.stack([v for _, role, v in vectors if role == "passage"])

    def answer(request, _):
        scores = matrix @ np.array(request.body["query"], np.float32)
        best = np.argsort(-scores, kind="stable")[: request.body["limit"]]
        points = [
            {"id": int(i), "version": 0, "score": float(scores[i]), "payload": {"id": ids[i]}}
            for i in best
        ]
        return 200, {"result": {"points": points}, "status": "ok", "time": 0.001}, {}

    with Server(answer) as server:
        result = evaluate(
            str(chain), [TASK], endpoint=f"{server.address}/collections/docs",
            endpoint_options={"form": "qdrant", "depth": 96},
        )  # fmt: skip
        # two scores of random weights may differ in their last digit and change places
        for scenario in ("monolingual", "cross-lingual", "multilingual"):
            expected = direct[0].value(TASK, scenario)
            assert result.value(TASK, scenario) == pytest.approx(expected, abs=1e-4)
        rows = [v for _, role, v in vectors if role == "query"]
        asked = np.array([r.body["query"] for r in server.requests])
        assert np.abs(asked[:, None] - np.stack(rows)).max(2).min(0).max() < 1e-6
        assert server.requests[0].path == "/collections/docs/points/query"
        assert server.requests[0].headers["api-key"] == "qd-key-4711"
        assert server.requests[0].body["with_payload"] == ["id"]
        with pytest.raises(MixlingError, match="needs the vector of the query"):
            evaluate(tasks=[TASK], endpoint=server.address, endpoint_options={"form": "qdrant"})
        with pytest.raises(MixlingError, match="does not encode queries"):
            evaluate("bm25", [TASK], endpoint=server.address, endpoint_options={"form": "qdrant"})


def test_a_server_of_mixling_is_asked_and_equals_its_searcher(chain, tmp_path, task):
    """A real server on a free port; its search is exact on a store this small."""
    import socket

    import uvicorn

    from mixling.searching.index import index
    from mixling.searching.query import Searcher
    from mixling.serving.app import application

    few = task.with_query_languages(["en", "sw"], TASK)
    rows = [
        {"_id": row["id"], "text": row["text"], "language": row["language"]}
        for row in task_texts(task)
        if row["role"] == "passage"
    ]
    source = tmp_path / "documents.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    index(str(chain), source, str(tmp_path / "store"), precision="fp32")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    searcher = Searcher(str(tmp_path / "store"))
    server = uvicorn.Server(
        uvicorn.Config(application(searcher), port=port, log_level="error", lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        result = evaluate(
            tasks=[few],
            out=tmp_path / "out",
            endpoint=f"http://127.0.0.1:{port}",
            endpoint_options={
                "body": {"query": "{query}", "k": "{k}", "order": "score"}, "depth": 96,
            },
        )  # fmt: skip
        # the same passages by a function
        again = evaluate(
            tasks=[few],
            endpoint=lambda q, k: [
                (hit.document, hit.score) for hit in searcher.search(q, k, order="score")
            ],
            endpoint_options={"depth": 96},
        )
    finally:
        server.should_exit = True
        thread.join(10)
    # documents longer than the model reads are several passages of the store
    repeated = "returned passages that stood before in the same list"
    assert entry(result)["skipped"][repeated] == entry(again)["skipped"][repeated] > 0
    assert entry(result)["lists"]["relevant_without_rank"] > 0
    assert_same(entry(result), entry(again), 1e-6)


def test_a_toml_file_describes_any_system(answers, direct, tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCH_KEY", "toml-key-4711")
    by_text = {}

    def answer(request, _):
        from urllib.parse import parse_qs, urlsplit

        query = parse_qs(urlsplit(request.path).query)
        assert query["key"] == ["toml-key-4711"]
        by_text[query["q"][0]] = query["lang"][0]
        hits = answers(query["q"][0], int(query["n"][0]))
        return 200, {"data": [{"doc": {"key": i}, "value": s} for i, s in hits]}, {}

    form = tmp_path / "form.toml"
    with Server(answer) as server:
        form.write_text(
            f"""
            url = "{server.address}/find"
            method = "GET"
            ids = "$.data[*].doc.key"
            scores = "data[].value"
            [headers]
            X-Key = "${{SEARCH_KEY}}"
            [params]
            q = "{{query}}"
            n = "{{k}}"
            lang = "{{language}}"
            key = "${{SEARCH_KEY}}"
            """
        )
        result = evaluate(
            tasks=[TASK], out=tmp_path / "out",
            endpoint_options={"form": str(form), "depth": 96},
        )  # fmt: skip
    assert_same(entry(direct[0]), entry(result))
    assert server.requests[0].headers["X-Key"] == "toml-key-4711"
    task = load_task(TASK)
    assert by_text[task.queries[0]] == task.languages[task.query_language[0]]
    for file in (tmp_path / "out").rglob("*"):
        assert file.is_dir() or b"toml-key-4711" not in file.read_bytes()


def test_a_python_function_is_a_system(direct, tmp_path, monkeypatch):
    (tmp_path / "my_search.py").write_text(
        "from pathlib import Path\n"
        "from mixling.evaluation.benchmarks import load_task\n"
        "from mixling.evaluation.trec import trec_ids\n"
        "task = load_task('sample')\n"
        "texts = dict(zip(trec_ids(task)[0], task.queries))\n"
        "lists = {}\n"
        f"for line in Path({str(direct[1])!r}).read_text().splitlines():\n"
        "    q, _, p, _, score, _ = line.split()\n"
        "    lists.setdefault(texts[q], []).append((p, float(score)))\n"
        "def search(query, k):\n"
        "    return lists[query][:k]\n"
    )
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        app,
        ["evaluate", "--task", TASK, "--endpoint", "python:my_search:search", "--depth", "96",
         "--out", "out"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert_same(entry(direct[0]), entry(mixling.EvaluationResult.load("out")))


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (lambda q, k: 1 / 0, "ZeroDivisionError"),
        (lambda q, k: ["a", "b"], "pairs of id and score"),
        (lambda q, k: [("a", float("nan"))], "NaN"),
        (lambda q, k: [("a", 1.0)], "it returned for example 'a'"),
        (lambda q, k: [], "its lists are empty"),
    ],
)
def test_functions_that_fail_are_one_error(search, expected):
    with pytest.raises(MixlingError, match=expected):
        evaluate(tasks=[TASK], endpoint=search)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python:no_such_module:f", "no module 'no_such_module'"),
        ("python:json:nothing", "has no 'nothing'"),
        ("python:json:__name__", "this is a str. Expected a function"),
        ("python:json", "Expected python:package.module:name"),
        ("ftp://x", "Expected an address"),
        ("host:9200/index", "Expected an address"),
    ],
)
def test_endpoints_that_do_not_exist_are_one_error(name, expected):
    with pytest.raises(MixlingError, match=expected):
        evaluate(tasks=[TASK], endpoint=name)


@pytest.fixture
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr("mixling.evaluation.endpoints.time", SimpleNamespace(sleep=waits.append))
    return waits


def test_a_busy_server_is_asked_again_and_its_wait_is_honored(answers, no_waiting, direct):
    seen = Counter()
    inner = opensearch(answers)

    def answer(request, number):
        text = request.body["query"]["match"]["text"]
        seen[text] += 1
        if seen[text] == 1 and number % 3 == 0:
            return 429, {"error": "slow down"}, {"Retry-After": "7"}
        if seen[text] == 1 and number % 3 == 1:
            return 503, "no", {}
        return inner(request, number)

    with Server(answer) as server:
        result = evaluate(
            tasks=[TASK], endpoint=server.address,
            endpoint_options={"form": "opensearch", "depth": 96},
        )  # fmt: skip
    assert_same(entry(direct[0]), entry(result))
    assert 7 in no_waiting and 0.5 in no_waiting and max(seen.values()) == 2


@pytest.mark.parametrize(
    ("status", "content", "expected", "tries"),
    [
        (401, {"error": "bad key secret-4711"}, "status 401", 1),
        (500, "broken", "5 tries", 5),
        (200, "<html>", "not JSON", 1),
        (200, {"hits": {}}, "nothing at hits.hits", 1),
        (200, {"hits": {"hits": [{"_id": None, "_score": 1}]}}, "the id None", 1),
        (301, "", "status 301", 1),
    ],
)
def test_answers_that_cannot_be_used_are_one_error(
    status, content, expected, tries, no_waiting, monkeypatch, tmp_path
):
    monkeypatch.setenv("OPENSEARCH_API_KEY", "secret-4711")
    with Server(lambda *_: (status, content, {})) as server:
        with pytest.raises(MixlingError, match=expected) as error:
            evaluate(
                tasks=[TASK], out=tmp_path, endpoint=server.address,
                endpoint_options={"form": "opensearch", "concurrency": 1},
            )  # fmt: skip
        # further queries may have begun before the first one failed
        assert len(server.requests) % tries == 0
    assert "secret-4711" not in str(error.value) and "query '" in str(error.value)
    assert not (tmp_path / "summary.json").exists()


def test_no_server_is_one_error(no_waiting):
    with pytest.raises(MixlingError, match=r"does not answer .*5 tries") as error:
        evaluate(tasks=[TASK], endpoint="http://user:hidden-4711@127.0.0.1:9")
    assert "hidden-4711" not in str(error.value)


def test_a_call_that_was_stopped_asks_for_each_query_once(answers, no_waiting, tmp_path, direct):
    """The server fails three times for good; answers before are kept."""
    asked = Counter()
    inner = opensearch(answers)
    limits = iter([40, 90, 150, 10**6])
    state = {"limit": next(limits)}

    def answer(request, number):
        if sum(asked.values()) >= state["limit"]:
            return 403, "no more", {}
        asked[request.body["query"]["match"]["text"]] += 1
        return inner(request, number)

    options = {"form": "opensearch", "depth": 96, "concurrency": 4}
    with Server(answer) as server:
        for _ in range(3):
            with pytest.raises(MixlingError, match="Run the same command again"):
                evaluate(
                    tasks=[TASK], out=tmp_path, endpoint=server.address, endpoint_options=options
                )
            kept = (tmp_path / "answers" / f"{TASK}.jsonl").read_text()
            # as SIGKILL leaves it: half a line at the end
            (tmp_path / "answers" / f"{TASK}.jsonl").write_text(kept + '{"query": 1')
            state["limit"] = next(limits)
        result = evaluate(
            tasks=[TASK], out=tmp_path, endpoint=server.address, endpoint_options=options
        )
    assert_same(entry(direct[0]), entry(result))
    texts = Counter(load_task(TASK).queries)
    # answers on their way when a call stops are waited for and kept
    assert asked == texts
    assert entry(result)["asked"] < 192


def test_the_query_itself_is_left_out_of_its_list(tmp_path):
    """Sentences ask for their translations; a system returns the sentence itself first."""
    parallel = dataclasses.replace(load_task(TASK), name="parallel", excluded=None)
    excluded = np.full(len(parallel.queries), -1)
    first = {int(q): int(p) for q, p in parallel.relevant[::-1]}
    for query in range(len(parallel.queries)):
        relevant = set(parallel.relevant[parallel.relevant[:, 0] == query, 1].tolist())
        excluded[query] = next(p for p in range(len(parallel.passages)) if p not in relevant)
    parallel = dataclasses.replace(parallel, excluded=excluded)
    rows = {text: q for q, text in enumerate(parallel.queries)}
    ids = trec_ids(parallel)[1]

    def search(query, k):
        q = rows[query]
        order = [int(excluded[q]), first[q]]
        order += [p for p in range(len(ids)) if p not in order]
        return [(ids[p], float(-i)) for i, p in enumerate(order[:k])]

    result = evaluate(tasks=[parallel], endpoint=search, endpoint_options={"depth": 10})
    found = result.summary["tasks"]["parallel"]
    assert found["multilingual"]["MRR@10"] == 1 and found["lists"]["depth"] == 11
    assert "R@10" not in found["lists"]["left_out_measures"]


# ---- forms


def test_places_and_paths():
    values = {"query": 'a "{k}" b', "k": 5, "vector": [1.0], "language": "de"}
    body = {"q": "{query}", "n": ["{k}"], "text": "x {query} {k}", "other": 3}
    assert fill_places(body, values) == {
        "q": 'a "{k}" b', "n": [5], "text": 'x a "{k}" b 5', "other": 3,
    }  # fmt: skip
    content = {"a": [{"b": 1, "c": ["x", "y"]}, {"b": 2, "c": []}], "d": ["p"]}
    assert find_values(content, "a[].b") == [1, 2]
    assert find_values(content, "$.a[0].c") == find_values(content, "a[0].c[]") == ["x", "y"]
    assert find_values(content, "d") == ["p"]
    with pytest.raises(KeyError):
        find_values(content, "a[].z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ids = ", "not TOML"),
        ('url = "http://x"\n[body]\nq = "{query}"', "field 'ids' is missing"),
        ('url = "http://x"\nids = "a..b"\n[body]\nq = "{query}"', "not a path in an answer"),
        ('url = "http://x"\nids = "a"\n[body]\nq = "{k}"', "no place for the query"),
        ('url = "x"\nids = "a"\n[body]\nq = "{query}"', "Expected an address"),
        ('url = "http://x"\nids = "a"\nbodi = 1\n', "Did you mean 'body'"),
        ('url = "http://x"\nids = 3\n', "field 'ids' is 3"),
        (
            'url = "http://x"\nids = "a"\n[headers]\nA = "${NOT_SET_HERE}"\n[body]\nq = "{query}"',
            "variable NOT_SET_HERE is not set",
        ),
    ],
)
def test_wrong_forms_are_one_error(text, expected, tmp_path):
    (tmp_path / "form.toml").write_text(text)
    with pytest.raises(MixlingError, match=expected):
        endpoint_form("", str(tmp_path / "form.toml"))


def test_an_unknown_form_and_a_wrong_depth_are_one_error():
    with pytest.raises(MixlingError, match="Expected one of: mixling, opensearch, qdrant"):
        evaluate(tasks=[TASK], endpoint="http://x", endpoint_options={"form": "solr"})
    for name in ("depth", "concurrency"):
        with pytest.raises(MixlingError, match=f"{name} is 0. Expected 1"):
            evaluate(tasks=[TASK], endpoint="http://x", endpoint_options={name: 0})
