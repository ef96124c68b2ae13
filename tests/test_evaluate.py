import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import pytrec_eval

from mixling.corpora import folder, sample
from mixling.corpora.catalog import find_source
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import task_from_corpus
from mixling.reports.evaluate import evaluate


@pytest.fixture(scope="module")
def result(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return evaluate(str(chain), ["sample"], out, trec=True), out


def test_every_text_is_encoded_once(chain, monkeypatch):
    from mixling.models import retriever

    seen = []
    real = retriever.forward_tokens
    monkeypatch.setattr(
        retriever,
        "forward_tokens",
        lambda model, tokens, *more: seen.extend(map(tuple, tokens)) or real(model, tokens, *more),
    )
    one = load_task("sample")
    entry = evaluate(str(chain), [one]).summary["tasks"]["sample"]
    assert len(seen) == len(one.queries) + len(one.passages) == entry["texts"]


def test_summary_has_settings_languages_and_what_made_it(result):
    summary = json.loads((result[1] / "summary.json").read_text())
    entry = summary["tasks"]["sample"]
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        for metric in ("mAP", "R@1", "R@10", "nDCG@10", "MRR@10"):
            assert 0 <= entry[setting][metric] <= 1
    assert (
        len(entry["cross-lingual"]["by_language"]) == 56
        and len(entry["monolingual"]["by_language"]) == 8
    )
    assert entry["multilingual"]["rank_distance"] > 0
    assert sum(entry["multilingual"]["top10_share"]["sw"].values()) == pytest.approx(1)
    assert entry["multilingual"]["fair_share"]["sw"]["zh"] == pytest.approx(1 / 8)
    assert summary["versions"]["torch"] and summary["machine"]["cores"] and len(entry["data"]) == 64


def test_means_are_means_of_the_scores_per_query(result):
    table = pq.read_table(result[1] / "scores.parquet").to_pandas()
    entry = result[0].summary["tasks"]["sample"]
    pool = (
        table[table.scenario == "multilingual"]
        .groupby("query_language", observed=True)["mAP"]
        .mean()
    )
    assert entry["multilingual"]["mAP"] == pytest.approx(pool.mean())
    cross = (
        table[table.scenario == "cross-lingual"]
        .groupby(["query_language", "passage_language"], observed=True)["mAP"]
        .mean()
    )
    assert entry["cross-lingual"]["mAP"] == pytest.approx(cross.mean())
    assert len(table) == 192 * 9


def test_trec_files_give_the_same_figures(result):
    run: dict = {}
    for line in (result[1] / "trec" / "sample.run").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    qrel: dict = {}
    for line in (result[1] / "trec" / "sample.qrels").read_text().splitlines():
        query, _, document, relevance = line.split()
        qrel.setdefault(query, {})[document] = int(relevance)
    theirs = pytrec_eval.RelevanceEvaluator(qrel, {"map"}).evaluate(run)
    assert np.mean([v["map"] for v in theirs.values()]) == pytest.approx(
        result[0].value("sample", "multilingual"), abs=1e-6
    )


def test_trec_files_keep_grades_and_give_the_same_ndcg(chain, tmp_path):
    from dataclasses import replace

    one = load_task("sample")
    ids = [f"in two {x}" for x in one.passage_ids]  # space in an id must not part columns
    graded = replace(
        one, name="of/graded", grades=np.arange(len(one.relevant)) % 3 + 1, passage_ids=ids
    )
    found = evaluate(str(chain), [graded], tmp_path, trec=True)
    qrel: dict = {}
    for line in (tmp_path / "trec" / "of-graded.qrels").read_text().splitlines():
        query, _, document, grade = line.split()
        qrel.setdefault(query, {})[document] = int(grade)
    run: dict = {}
    for line in (tmp_path / "trec" / "of-graded.run").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    theirs = pytrec_eval.RelevanceEvaluator(qrel, {"ndcg_cut.10"}).evaluate(run)
    mean = np.mean([v["ndcg_cut_10"] for v in theirs.values()])
    assert mean == pytest.approx(found.value("of/graded", "multilingual", "nDCG@10"), abs=1e-6)
    assert found.summary["tasks"]["of/graded"]["data"] != one.fingerprint()


def test_a_result_comes_back(result):
    again = EvaluationResult.load(result[1])
    assert again.summary == json.loads(json.dumps(result[0].summary))
    assert again.scores.num_rows == result[0].scores.num_rows


def test_a_folder_of_ones_own_is_a_task(chain, tmp_path):
    folder.write_folder(sample.read_sample("test"), tmp_path / "mine", split="test")
    a = evaluate(str(chain), [str(tmp_path / "mine")]).value("mine", "multilingual")
    assert a == pytest.approx(
        evaluate(str(chain), ["sample"]).value("sample", "multilingual"), abs=1e-6
    )


def test_settings_that_the_data_cannot_have_are_left_out(chain):
    only = task_from_corpus(sample.read_sample("test").select(languages=["sw"]), name="one")
    entry = evaluate(str(chain), [only]).summary["tasks"]["one"]
    assert "monolingual" in entry and "cross-lingual" not in entry and "multilingual" not in entry


def test_tasks_with_and_without_a_pool_are_measured_together(chain, tmp_path):
    only = task_from_corpus(sample.read_sample("test").select(languages=["sw"]), name="one")
    evaluate(str(chain), ["sample", only], tmp_path / "out")
    scores = pq.read_table(tmp_path / "out" / "scores.parquet").to_pandas()
    assert set(scores.task) == {"sample", "one"} and set(scores[scores.task == "one"].scenario) == {
        "monolingual"
    }


def test_questions_without_an_answer_in_a_language_are_counted(chain):
    corpus = sample.read_sample("test")
    some = corpus.passages["group"].unique().to_pylist()[:3]
    from dataclasses import replace

    keep = [
        not (g in some and x == "zh")
        for g, x in zip(
            corpus.passages["group"].to_pylist(),
            corpus.passages["language"].to_pylist(),
            strict=True,
        )
    ]
    rows = np.cumsum(keep) - 1
    links = corpus.links.filter([keep[p] for p in corpus.links["passage"].to_pylist()])
    links = links.set_column(1, "passage", [rows[links["passage"].to_numpy()]])
    entry = evaluate(
        str(chain),
        [task_from_corpus(replace(corpus, passages=corpus.passages.filter(keep), links=links))],
    ).summary["tasks"]["sample"]
    assert entry["skipped"]["pairs of query and passage language without an answer"] == 3 * 2 * 8


def test_context_puts_the_paragraph_after_its_sentence(tmp_path):
    from mixling.corpora import squad
    from test_corpora import qa, squad_file

    path = squad_file(
        tmp_path / "en.json.gz",
        [
            {
                "context": "One. Two.",
                "sentence_breaks": [[0, 4], [5, 9]],
                "qas": [qa("1", "which?", 5, "Two")],
            },
            {
                "context": "One. Three.",
                "sentence_breaks": [[0, 4], [5, 11]],
                "qas": [qa("2", "what?", 5, "Three")],
            },
        ],
    )
    corpus = squad.read_squad([(path, "en", "en")], "x")
    plain, context = (task_from_corpus(corpus, "sentence", c) for c in (False, True))
    assert plain.passages == ["One.", "Two.", "Three."] and plain.skipped == {
        "identical passages": 1
    }
    assert context.passages[1] == "Two.\nOne. Two."
    assert plain.relevant.tolist() == [[0, 1], [1, 2]]


@pytest.mark.skipif(find_source("xquad-r") is None, reason="XQuAD-R is not on this machine")
def test_xquad_r_has_the_published_candidates():
    one = load_task("xquad-r")
    count = dict(zip(one.languages, np.bincount(one.passage_language).tolist(), strict=True))
    assert count == {
        "ar": 1220,
        "de": 1276,
        "el": 1234,
        "en": 1180,
        "es": 1215,
        "hi": 1243,
        "ru": 1218,
        "th": 852,
        "tr": 1166,
        "vi": 1209,
        "zh": 1192,
    }
    assert len(one.queries) == 13090 and len(one.relevant) == 13090 * 11
