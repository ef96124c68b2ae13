"""`data.exclude` keeps the texts of tasks out of training, and the run's record counts them."""

import json

import pytest

from mixling.corpora.folder import write_folder
from mixling.corpora.sample import read_sample
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import is_test_set
from mixling.training.load_config import load_config
from mixling.training.train import train
from mixling.training.training_data import load_training_data


@pytest.fixture
def task(tmp_path):
    """A task of some passage groups of the training data, in two of its languages."""
    corpus = read_sample("train")
    groups = sorted(set(corpus.passages["group"].to_pylist()))[:5]
    write_folder(
        corpus.select(languages=["en", "sw"], passage_groups=groups), tmp_path / "task", "test"
    )
    return tmp_path / "task", groups


def config(chain, task, **source):
    return {
        "data": {"sources": [{"name": "sample", **source}], "exclude": [str(task)]},
        "model": {"name": str(chain)},
        "batches": {"size": 8},
        "training": {"steps": 2, "precision": "fp32"},
    }


def test_groups_of_a_task_are_in_no_batch_in_any_language(chain, task, tmp_path):
    folder, groups = task
    whole = read_sample("train")
    met = whole.select(passage_groups=groups)
    data = load_training_data(load_config(config(chain, folder)))
    (corpus,), (source,) = data.corpora, data.schedule.sources
    assert not set(corpus.passages["group"].to_pylist()) & set(groups)
    assert set(source.groups) == set(whole.queries["group"].to_pylist()) - set(
        met.queries["group"].to_pylist()
    )
    train(config(chain, folder), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())["data"]["sample"]
    assert record["left_out"] == {
        f"queries that meet {folder}": met.queries.num_rows,
        f"passages that meet {folder}": met.passages.num_rows,
    }
    assert record["queries"] == whole.queries.num_rows - met.queries.num_rows


def test_what_is_cut_into_sentences_is_compared_before(chain, task, tmp_path):
    folder, groups = task
    met = read_sample("train").select(passage_groups=groups)
    train(config(chain, folder, sentences=True), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())["data"]["sample-sentences"]
    assert record["left_out"] == {
        f"queries that meet {folder}": met.queries.num_rows,
        f"passages that meet {folder}": met.passages.num_rows,
    }


def test_a_run_does_not_go_on_when_an_excluded_task_has_changed(chain, task, tmp_path):
    folder, _ = task
    train(config(chain, folder), tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    file = folder / "corpus.jsonl"
    file.write_text(file.read_text().replace("the", "The"))
    with pytest.raises(MixlingError, match="excluded task"):
        train(config(chain, folder), tmp_path / "run")


def test_a_source_of_which_nothing_is_left_is_refused(chain):
    wrong = config(chain, "sample:train")
    with pytest.raises(MixlingError, match=r"sample.*nothing left.*sample:train"):
        load_training_data(load_config(wrong))


def test_a_task_that_does_not_exist_is_refused(chain):
    with pytest.raises(MixlingError, match="no-such-task"):
        load_training_data(load_config(config(chain, "no-such-task")))


def test_texts_that_are_trained_on_and_choose_the_best_step_are_said(chain, task, tmp_path, caplog):
    folder, groups = task
    tables = config(chain, folder)
    tables["data"]["exclude"] = []
    tables["training"]["validation"] = {"task": str(folder), "every": 2}
    train(tables, tmp_path / "run")
    met = read_sample("train").select(passage_groups=groups)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    counts = dict.fromkeys(["queries that meet task", "passages that meet task"])
    counts["queries that meet task"] = met.queries.num_rows
    counts["passages that meet task"] = met.passages.num_rows
    assert record["shared with validation"] == {"sample": counts}
    assert f"{met.queries.num_rows} queries" in caplog.text
    caplog.clear()
    tables["data"]["exclude"] = [str(folder)]
    train(tables, tmp_path / "clean")
    record = json.loads((tmp_path / "clean" / "run.json").read_text())
    assert "shared with validation" not in record and "share texts" not in caplog.text


@pytest.mark.parametrize(
    ("name", "is_test"),
    [
        ("xquad-r", True),
        ("mlqa-r@de,es", True),
        ("sib-200", True),
        ("sib-200:test@en", True),
        ("sib-200:dev@en,sw", False),
        ("mlqa-held-out", False),
        ("mlqa-held-out@de", False),
        ("sample:test", False),
        ("data/mine", False),
    ],
)
def test_a_test_set_is_known(name, is_test):
    assert is_test_set(name) == is_test
