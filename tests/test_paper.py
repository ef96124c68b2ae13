"""The studies of papers, run end to end on fixtures of all their sets in the published formats."""

import json
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.test_sources import pairs, put

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


def parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture
def nine(tmp_path, monkeypatch):
    """All nine sets of arXiv:2408.10536, a dozen rows each, as their publishers write them."""
    root, n = tmp_path / "data", 12
    monkeypatch.setenv("MIXLING_DATA", str(root))
    parquet(
        root / "wikiqa/data/train-00000-of-00001.parquet",
        [
            {
                "question_id": f"Q{i}",
                "question": f"who built tower {i}?",
                "document_title": "Tower",
                "label": k,
                "answer": f"tower {i} was built by mason {i}."
                if k
                else f"tower {i} has {i} steps.",
            }
            for i in range(n)
            for k in (1, 0)
        ],
    )
    put(
        root / "mr-tydi/mrtydi-v1.1-english/train.jsonl.gz",
        [
            {
                "query_id": str(i),
                "query": f"how deep is lake {i}",
                "negative_passages": [],
                "positive_passages": [
                    {"docid": f"{i}#0", "title": "Lake", "text": f"lake {i} is {i} metres deep"}
                ],
            }
            for i in range(n)
        ],
    )
    parquet(
        root / "duorc/SelfRC/train-00000-of-00001.parquet",
        [
            {
                "plot_id": f"/m/{i}",
                "plot": f"A dog called Rex {i} finds a letter. He brings it home.",
                "title": f"Film {i}",
                "question_id": f"d{i}",
                "question": f"who finds the letter in film {i}?",
                "answers": [f"Rex {i}"] if i else [],
                "no_answer": i == 0,
            }
            for i in range(n)
        ],
    )
    put(
        root / "newsqa/train.jsonl.gz",
        [
            {
                "context": f"The mayor of city {i} opened a bridge on Monday.",
                "question": f"what was opened in city {i}?",
                "answers": ["a bridge"],
                "key": f"n{i}",
                "labels": [{"start": [26], "end": [34]}],
            }
            for i in range(n)
        ],
    )
    parquet(
        root / "natural-questions/pair/train-00000-of-00001.parquet",
        [
            {"query": f"when did ship {i} sail", "answer": f"ship {i} sailed in {1900 + i}"}
            for i in range(n)
        ],
    )
    parquet(
        root / "yahoo-answers/title-answer-pair/train-00000-of-00001.parquet",
        [
            {"title": f"how do i cook dish {i}?", "answer": f"boil dish {i} for an hour"}
            for i in range(n)
        ],
    )
    put(
        root / "entity-questions/dataset/train/P19.train.json",
        json.dumps(
            [
                {"question": f"Where was person {i} born?", "answers": [f"town {i}"]}
                for i in range(n)
            ]
        ),
    )
    put(
        root / "mfaq/data/en/train.jsonl",
        [
            {
                "id": i,
                "domain": "example.org",
                "qa_pairs": [
                    {
                        "question": f"what does plan {i} cost?",
                        "answer": f"plan {i} costs {i} a month",
                        "language": "en",
                    }
                ],
            }
            for i in range(n)
        ],
    )
    for language, code in CODES.items():
        put(
            root / f"mmarco/collections/{language}_collection.tsv",
            "".join(f"{i}\t{code} passage {i}\n" for i in range(2 * n)),
        )
        put(
            root / f"mmarco/queries/train/{language}_queries.train.tsv",
            "".join(f"{100 + i}\t{code} query {i}\n" for i in range(n)),
        )
    put(
        root / "mmarco/triples.train.ids.small.tsv",
        "".join(f"{100 + i}\t{i}\t{i + n}\n" for i in range(n)),
    )
    return root


def test_the_nine_sets_are_read(nine):
    counts = {name: load(name, "train") for name in NINE}
    assert {k: len(c.links) for k, c in counts.items()} == {
        **dict.fromkeys(NINE, 12),
        "duorc": 11,
        "mmarco": 12 * 7,
    }
    assert (
        len(counts["duorc"].skipped) == 1 and "plot does not answer" in counts["duorc"].skipped[0]
    )
    assert (
        counts["wikiqa"].negatives.num_rows == 12 and counts["mmarco"].negatives.num_rows == 12 * 7
    )
    link, passages = (
        counts["newsqa"].links.to_pylist()[0],
        counts["newsqa"].passages["text"].to_pylist(),
    )
    assert passages[link["passage"]][link["start"] : link["end"]] == "a bridge"
    assert ("Where was person 3 born?", "town 3", 1) in pairs(counts["entity-questions"])
    put(
        nine / "entity-questions/dataset/dev/P19.dev.json",
        json.dumps(
            [
                {
                    "question": "Where was Ada born?",
                    "answers": ["London"],
                    "hard_negative_ctxs": [{"title": "B", "text": "Bath."}],
                    "positive_ctxs": [{"title": "Ada", "text": "Ada was born in London."}],
                }
            ]
        ),
    )
    dev = load("entity-questions", "dev")
    assert (
        pairs(dev) == {("Where was Ada born?", "Ada was born in London.", 1)}
        and dev.negatives.num_rows == 1
    )


def test_a_folder_of_ours_may_stand_in_a_sets_place(nine):
    """As `mixling translate` writes it."""
    import shutil

    shutil.rmtree(nine / "duorc")
    folder.write_folder(sample.read_sample("all"), nine / "duorc")
    assert (
        load("duorc").languages() == sample.read_sample("all").languages()
        and load("duorc").name == "duorc"
    )


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


def test_the_papers_study_end_to_end(nine, chain, tmp_path):
    """studies/paper.toml.

    Six variants on nine sets, drawn by size, in the languages that each has.
    """
    results = study(shortened("paper", chain, tmp_path, ["sample"]), tmp_path / "runs")
    assert results.complete and [r["variant"] for r in results.runs][2] == "XLM-R hybrid"
    assert all(set(r["training_data"]) == set(NINE) for r in results.runs)
    hybrid = tmp_path / "runs" / "XLM-R-hybrid-0" / "run"
    run = json.loads((hybrid / "run.json").read_text())
    assert (
        run["config"]["objective"]["name"] == "eq1-all-positives"
        and run["config"]["batches"]["random_interleave"]
    )
    assert {x for d in run["data"].values() for x in d["languages"]} == set(CODES.values())
    log = [json.loads(x) for x in (hybrid / "log.jsonl").read_text().splitlines()]
    assert {x["kind"] for x in log} <= {"mono", "cross"} and len(log) == 6
    assert set(SOURCES) >= set(NINE)


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
