"""The studies of papers, run end to end on fixtures of all their sets in the published formats."""

import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.publications import collections, pairs

from mixling.corpora import folder, sample
from mixling.corpora.catalog import SOURCES, load
from mixling.studies.study import study

STUDIES = Path(__file__).parent.parent / "studies"
NINE = (
    "wikiqa",
    "mr-tydi",
    "duorc",
    "newsqa",
    "natural-questions",
    "yahoo-answers",
    "entity-questions",
    "mfaq",
    "mmarco",
)
CODES = {
    "english": "en",
    "arabic": "ar",
    "chinese": "zh",
    "german": "de",
    "spanish": "es",
    "russian": "ru",
    "hindi": "hi",
}


N = 240  # rows of each set: batches of 100, as in the file, hold no two queries of one passage


def mr_tydi(n):
    """The two data sets of Mr. TyDi in English, with `n` queries in train."""
    name = "mrtydi-v1.1-english"
    passages = [
        {"docid": f"{i}#0", "title": "Lake", "text": f"lake {i} is {i} metres deep"}
        for i in range(n)
    ]
    train = [
        {
            "query_id": str(i),
            "query": f"how deep is lake {i}",
            "positive_passages": [passage],
            "negative_passages": [],
        }
        for i, passage in enumerate(passages)
    ]
    judged, corpus = collections.mr_tydi(["english"]).values()
    return [
        judged | {f"{name}/train.jsonl.gz": collections.packed(train)},
        corpus | {f"{name}/corpus.jsonl.gz": collections.packed(passages)},
    ]


def mmarco(n):
    """unicamp-dl/mmarco in all its languages, with `n` queries in the train part of seven."""
    (files,) = collections.mmarco().values()
    files["data/triples.train.ids.small.tsv"] = table((i, i, i + n) for i in range(n))
    for language, code in CODES.items():
        files[f"data/google/collections/{language}_collection.tsv"] = table(
            (i, f"{code} passage {i}") for i in range(2 * n)
        )
        files[f"data/google/queries/train/{language}_queries.train.tsv"] = table(
            (i, f"{code} query {i}") for i in range(n)
        )
    return [files]


def table(rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


@pytest.fixture
def nine(hub, monkeypatch):
    """All nine sets of arXiv:2408.10536 as published, on a server in the hub's place."""
    publications = {
        "wikiqa": [pairs.wikiqa(N)],
        "mr-tydi": mr_tydi(N),
        "duorc": [pairs.duorc(N)],
        "newsqa": [pairs.newsqa(N)],
        "natural-questions": [pairs.natural_questions(N)],
        "yahoo-answers": [pairs.yahoo_answers(N)],
        "mfaq": [pairs.mfaq(N, ("de", "en"))],
        "mmarco": mmarco(N),
    }
    for name, contents in publications.items():
        for repository, files in zip(SOURCES[name].repositories, contents, strict=True):
            options = {"commit": repository.revision} if repository.revision else {}
            hub.put(repository.name, files, **options)
    hub.plain["/dataset.zip"] = pairs.entity_questions(N)
    source = SOURCES["entity-questions"]
    download = replace(source.downloads[0], address=f"{hub.address}/dataset.zip")
    monkeypatch.setitem(SOURCES, "entity-questions", replace(source, downloads=(download,)))
    return hub


LINKS = {
    **dict.fromkeys(NINE, N),
    "wikiqa": N - 1,  # one query has no right sentence
    "duorc": N - 1,  # the plot does not answer one query
    "mmarco": N * len(CODES),
}


def test_the_nine_sets_are_fetched_and_read(nine):
    base = tomllib.loads((STUDIES / "paper.toml").read_text())["base"]
    corpora = {
        s["name"]: load(s["name"], s.get("split"), languages=s.get("languages"))
        for s in base["data"]["sources"]
    }
    assert tuple(corpora) == NINE
    assert {name: len(c.links) for name, c in corpora.items()} == LINKS
    assert {name: len(c.skipped) for name, c in corpora.items() if c.skipped} == {
        "wikiqa": 1,
        "duorc": 1,
        "mfaq": 1,
    }
    assert corpora["wikiqa"].negatives.num_rows == N - 1
    assert corpora["mmarco"].negatives.num_rows == N * len(CODES)
    assert all(c.origin for c in corpora.values())
    fetched = nine.fetched()
    assert len(fetched) == len(set(fetched)), "each file once"
    assert sum(not path.startswith("mrtydi") for path in fetched) == 23, fetched
    assert not any("helsinki" in path or "title-question" in path for path in fetched)


def test_a_folder_of_ours_may_stand_in_a_sets_place(nine, tmp_path):
    """As `mixling translate` writes it."""
    folder.write_folder(sample.read_sample("all"), tmp_path / "data/duorc")
    assert load("duorc").languages() == sample.read_sample("all").languages()
    assert load("duorc").name == "duorc" and not nine.requests


def toml(content):
    """A dictionary as TOML: a line for each of its keys."""

    def inline(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return json.dumps(value)

    return "".join(f"{key} = {inline(value)}\n" for key, value in content.items())


def shortened(name, chain, tmp_path, tasks, **base):
    """A study of ours with the encoder, the sizes and the tasks of a test, and all else as it
    stands.
    """
    plan = tomllib.loads((STUDIES / f"{name}.toml").read_text())
    plan["study"].update(tasks=tasks, seeds=[0], precision="fp32")
    plan["base"].setdefault("model", {})["name"] = str(chain)
    plan["base"]["batches"]["size"] = 4
    plan["base"]["training"].update(steps=6, checkpoint_every=3, precision="fp32")
    plan["base"]["training"].pop("validation", None)
    for variant in plan["variants"]:
        variant.get("set", {}).pop("model.name", None)
    plan["base"].update(base)
    path = tmp_path / f"{name}.toml"
    path.write_text(toml(plan))
    return path


def test_the_papers_schedule(nine, run):
    """`mixling schedule` on the very file: batches of 100 from nine sets."""
    status, out, err = run(
        "schedule", STUDIES / "paper.toml", "--variant", "XLM-R hybrid", "-n", 200, "--json"
    )
    assert status == 0, err
    steps = [json.loads(line) for line in out.splitlines()]
    assert len(steps) == 200 and all(len(step["pairs"]) == 100 for step in steps)
    status, out, _ = run("schedule", STUDIES / "paper.toml", "--variant", "XLM-R hybrid", "-n", 200)
    assert status == 0 and "cross" in out and "mono" in out and "SHA-256" in out
    assert {code for code in CODES.values() if f"query {code}," in out} == set(CODES.values())
    status, _, err = run("schedule", STUDIES / "paper.toml", "--seed", 1)
    assert status == 2 and "--variant NAME" in err


def test_ten_steps_of_the_papers_study(nine, plain, tmp_path, run):
    """The file's own batches, objective and optimizer; a tiny encoder in the place of XLM-R."""
    plan = tomllib.loads((STUDIES / "paper.toml").read_text())
    plan["base"]["model"]["name"] = str(plain)
    plan["base"]["training"] |= {"steps": 10, "checkpoint_every": 5, "precision": "fp32"}
    del plan["base"]["training"]["validation"]  # mlqa-held-out is not at hand
    file = tmp_path / "paper.toml"
    file.write_text(toml(plan))
    out = tmp_path / "run"
    status, _, err = run("train", file, "--variant", "XLM-R hybrid", "--out", out)
    assert status == 0, err
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [x["step"] for x in log] == list(range(10))
    assert {x["kind"] for x in log} == {"mono", "cross"}
    assert all(math.isfinite(x["loss"]) for x in log)
    record = json.loads((out / "run.json").read_text())
    assert set(record["data"]) == set(NINE)
    assert {x for d in record["data"].values() for x in d["languages"]} == set(CODES.values())
    assert record["config"]["objective"]["name"] == "eq1-all-positives"
    assert record["config"]["batches"]["size"] == 100
    (split,) = (
        s["split"] for s in record["config"]["data"]["sources"] if s["name"] == "entity-questions"
    )
    assert split == "train-answers", "the result says what stood for the passages"


def test_the_papers_study_end_to_end(nine, chain, tmp_path):
    """Six variants on nine sets, in small batches, measured on the sample."""
    results = study(shortened("paper", chain, tmp_path, ["sample"]), tmp_path / "runs")
    assert results.complete and [r["variant"] for r in results.runs][2] == "XLM-R hybrid"
    assert all(set(r["training_data"]) == set(NINE) for r in results.runs)
    hybrid = tmp_path / "runs" / "XLM-R-hybrid-0" / "run"
    log = [json.loads(x) for x in (hybrid / "log.jsonl").read_text().splitlines()]
    assert {x["kind"] for x in log} <= {"mono", "cross"} and len(log) == 6


def test_mdprs_study_end_to_end(chain, tmp_path, run):
    mined = tmp_path / "mined"
    assert (
        run(
            "mine-negatives",
            "bm25",
            "sample",
            "--language",
            "en",
            "--out",
            mined,
            "--max-relative-score",
            "1",
        )[0]
        == 0
    )
    data = {"titles": True, "sources": [{"name": "mined", "path": str(mined)}]}
    path = shortened("mdpr", chain, tmp_path, ["sample"], data=data)
    plan = tomllib.loads(path.read_text())
    plan["variants"] = plan["variants"][:2]
    path.write_text(toml(plan))
    results = study(path, tmp_path / "runs", keep_models=True)
    assert [x["variant"] for x in results.table] == [v["name"] for v in plan["variants"]]
    from mixling.models.retriever import Retriever

    made = next((tmp_path / "runs").glob("mDPR*/run/model"))
    retriever = Retriever(str(made))
    assert retriever.similarity == "dot" and retriever.prompt("query") == ""
    assert json.loads((made / "1_Pooling" / "config.json").read_text())["pooling_mode"] == "cls"
