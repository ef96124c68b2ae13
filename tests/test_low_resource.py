"""The rule of docs/development/decisions.md, 45, on planted results."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from studies import low_resource_data as data
from studies import low_resource_dev as study
from studies import low_resource_trials as trials

from mixling.corpora.catalog import load
from mixling.corpora.overlap import index_texts
from mixling.corpora.sample import read_sample
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import DEVELOPMENT
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import task_from_corpus
from mixling.training.load_config import load_config


def planted(task, noise):
    """Results of vectors that are the query's group, with noise by language of the query."""
    rng = np.random.default_rng(0)
    groups = {g: rng.normal(size=24) for g in sorted(set(task.query_group))}
    answers = {}
    for query, passage in task.relevant:
        answers.setdefault(int(passage), []).append(task.query_group[query])
    passages = np.stack(
        [
            sum(groups[g] for g in answers.get(i, sorted(groups)[:1]))
            for i in range(len(task.passages))
        ]
    )
    queries = np.stack(
        [
            groups[g] + noise.get(task.languages[c], 0.3) * rng.normal(size=24)
            for g, c in zip(task.query_group, task.query_language, strict=True)
        ]
    )
    scores = score_task(
        task, rank_task(task, DotScorer(queries.astype("f4"), passages.astype("f4")), 20)
    )
    return EvaluationResult({"tasks": {task.name: scores.entry}}, scores.table)


@pytest.fixture(scope="module")
def task():
    return task_from_corpus(read_sample("all"), name="sample")


def test_the_score_is_the_mean_relative_change_of_tasks(task):
    before, after = planted(task, {}), planted(task, dict.fromkeys(task.languages, 0.1))
    found = study.judge({"a": after, "b": before}, {"a": before, "b": before})
    means = [
        np.mean([r.value("sample", s) for s in ("monolingual", "cross-lingual", "multilingual")])
        for r in (before, after)
    ]
    assert found["changes"] == {"a": pytest.approx(means[1] / means[0] - 1), "b": 0}
    assert found["score"] == pytest.approx((means[1] / means[0] - 1) / 2) and found["score"] > 0
    assert found["vetoes"] == []


def test_one_language_that_pays_is_a_veto_even_where_the_mean_rises(task):
    before = planted(task, dict.fromkeys(task.languages, 1.0))
    after = planted(task, {**dict.fromkeys(task.languages, 0.1), "sw": 4.0})
    found = study.judge({"a": after}, {"a": before})
    assert found["score"] > 0
    assert found["vetoes"] and all(" sw falls" in x for x in found["vetoes"])


def test_a_task_whose_monolingual_search_falls_is_a_veto(task):
    before, after = planted(task, {}), planted(task, dict.fromkeys(task.languages, 1.5))
    found = study.judge({"a": after}, {"a": before})
    assert found["vetoes"][0].startswith("a: monolingual mAP falls by 0.")


def test_a_query_language_has_the_mean_of_its_pairs():
    entry = {
        "languages": ["en", "sr", "sr-Latn"],
        "cross-lingual": {
            "mAP": 0.4,
            "by_language": {
                "en-sr": {"mAP": 0.2},
                "en-sr-Latn": {"mAP": 0.4},
                "sr-en": {"mAP": 0.8},
                "sr-Latn-en": {"mAP": 0.1},
            },
        },
    }
    found = study.figures(entry)["cross-lingual"]
    assert found["by_language"] == pytest.approx({"en": 0.3, "sr": 0.8, "sr-Latn": 0.1})
    assert found["worst"] == "sr-Latn"


def test_a_study_measures_once_and_refuses_another_model_or_other_data(
    chain, tmp_path, monkeypatch
):
    monkeypatch.setattr(study, "TASKS", {"a": "sample:test", "b": "sample:train@en,sw"})
    monkeypatch.setattr(study, "PRECISION", "fp32")
    monkeypatch.setattr(study, "RESULT", tmp_path / "rows.json")
    out = tmp_path / "out"
    with pytest.raises(MixlingError, match="a, b not measured yet"):
        study.main([f"mine={chain}", "--out", str(out)])
    study.main([f"zero-shot={chain}", "--out", str(out)])
    times = {p: p.stat().st_mtime_ns for p in out.rglob("summary.json")}
    study.main([f"mine={chain}", "--out", str(out)])
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert set(rows) == {"zero-shot", "mine"} and rows["mine"]["score"] == 0
    monkeypatch.setattr(study, "TASKS", {"a": "sample:train"})
    with pytest.raises(MixlingError, match="was other data"):
        study.main([f"mine={chain}", "--out", str(out)])
    with pytest.raises(MixlingError, match="other inputs"):
        study.main(["mine=bm25", "--out", str(out)])


@pytest.mark.parametrize("name", study.TASKS)
def test_no_development_task_is_a_test(name):
    assert study.TASKS[name].partition("@")[0] in DEVELOPMENT


@pytest.mark.parametrize("name", trials.TRIALS)
def test_every_trial_is_a_configuration(name, monkeypatch):
    monkeypatch.setattr(data, "prepare", lambda source, out, groups: out / source)
    config = load_config(trials.trial_config(name, Path("data"), None, 100))
    assert config.training.steps == 100 and config.batches.size == data.SIZE
    sources = {s.name for s in config.data.sources}
    bases = {re.sub("-(sentences|mined|noisy)$", "", x) for x in sources}
    assert bases <= set(data.READERS) and "arcd" not in bases
    assert ("afriqa" in sources) == ("few-shot" in name)


def test_averages_are_of_trials_whose_weights_have_one_form():
    for names in trials.AVERAGES.values():
        assert set(names) <= set(trials.TRIALS)
        assert not any("model.transform" in trials.TRIALS[x] for x in names)


def test_a_source_is_prepared_once_without_what_a_test_has(tmp_path, monkeypatch):
    corpus = read_sample("train")
    groups = sorted(set(corpus.passages["group"].to_pylist()))
    met = corpus.select(passage_groups=groups[:4], languages=["sw"])
    others = index_texts({"test": ([], met.passages["text"].to_pylist())})
    calls = []
    monkeypatch.setattr(data, "READERS", {"mine": lambda few: calls.append(few) or corpus})
    monkeypatch.setattr(data, "test_texts", lambda few: others)
    monkeypatch.setattr(data, "SIZE", 8)
    folder = data.prepare("mine", tmp_path)
    noisy = load("mine", path=data.prepare("mine-noisy", tmp_path))
    assert data.prepare("mine", tmp_path) == folder and calls == [False]
    left = load("mine", path=folder)
    assert not set(left.passages["group"].to_pylist()) & set(groups[:4])
    counts = json.loads((tmp_path / "counts.json").read_text())["mine"]
    assert counts["passages left"] == left.passages.num_rows < counts["passages"]
    assert sum(counts["left out"].values()) == sum(
        counts[x] - counts[f"{x} left"] for x in ("queries", "passages")
    )
    pairs = zip(left.queries["text"].to_pylist(), noisy.queries["text"].to_pylist(), strict=True)
    changed = np.mean([a != b for a, b in pairs])
    assert 0.2 < changed < 0.45
    assert noisy.passages.equals(left.passages) and noisy.links.equals(left.links)
    assert data.add_noise(left).queries.equals(data.add_noise(left).queries)


def test_a_language_that_cannot_fill_a_batch_is_left_out_and_named(tmp_path, monkeypatch):
    corpus = read_sample("train")
    few = set(sorted(set(corpus.passages["group"].to_pylist()))[:3])
    keep = np.array(
        [
            language != "sw" or group in few
            for language, group in zip(
                *(corpus.passages[c].to_pylist() for c in ("language", "group")), strict=True
            )
        ]
    )
    links = corpus.links.filter(keep[corpus.links["passage"].to_numpy()])
    assert data.small_languages(corpus) == []
    assert data.small_languages(replace(corpus, links=links)) == ["sw"]


def test_two_processes_never_measure_in_one_folder(tmp_path, monkeypatch):
    """A model was once measured with the weights of another trial, which ran beside it."""

    class Model:
        origin = ()

        def save(self, folder, **_):
            folder.mkdir(parents=True)

    places = []

    def measure_tasks(model, label, out):
        places.append(model)
        return {}

    monkeypatch.setattr(trials, "Retriever", lambda name: Model())
    monkeypatch.setattr(trials, "load_trial", lambda name, out: (Model(), 1.0))
    monkeypatch.setattr(trials, "average_with", lambda *_: None)
    monkeypatch.setattr(trials, "measure_tasks", measure_tasks)
    monkeypatch.setattr(trials, "judge", lambda *_: {})
    monkeypatch.setattr(trials, "read_baseline", lambda dev: {})
    monkeypatch.setattr(trials, "read_rows", dict)
    monkeypatch.setattr(trials, "add_row", lambda *_: None)
    for name in ("all", "all, x-y"):
        trials.run_trial(name, tmp_path, tmp_path)
    assert len(set(places)) == len(places) == 2 * len(trials.SHARES)
