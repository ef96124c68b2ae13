"""Every low-resource trial trains two steps, on a tiny encoder and sources from the sample."""

import json

import numpy as np
import pytest
from studies import low_resource_data as data
from studies import low_resource_trials as trials

from mixling.corpora.overlap import index_texts
from mixling.corpora.sample import read_sample
from mixling.corpora.sources.bitext import parallel_corpus
from mixling.models.retriever import Retriever
from mixling.training.average import average

pytestmark = pytest.mark.slow


def parallel():
    """The sample's passages as sentences that look for their translations."""
    passages = read_sample("train").passages
    return parallel_corpus(
        "parallel", *(passages[c].to_pylist() for c in ("group", "language", "text"))
    )


@pytest.fixture(scope="module")
def out(chain, tmp_path_factory):
    """A folder in which all trials of this file lie, with their sources."""
    with pytest.MonkeyPatch.context() as patch:
        readers = {
            name: (lambda few: parallel())
            if name in ("sib-udhr", "tico", "quran")
            else (lambda few: read_sample("train"))
            for name in data.READERS
        }
        patch.setattr(data, "READERS", readers)
        patch.setattr(data, "test_texts", lambda few: index_texts({}))
        patch.setattr(data, "DEFAULT", str(chain))
        patch.setattr(trials, "CHECK_GROUPS", None)
        patch.setitem(trials.BASE, "model", {"name": str(chain)})
        # located answers leave few groups, and a batch has one pair of each
        patch.setitem(trials.BASE["batches"], "size", 8)
        for name, temperature in (("low-resource", 0.04), ("low-resource, sharper", 0.01)):
            trial = trials.TRIALS[f"all, temperature by language, {name}"]
            patch.setitem(trial, "objective.temperatures", {"sw": temperature})
        patch.setitem(
            trials.TRIALS["all, LSAR after"]["model.transform"], "languages", ["en", "sw", "zh"]
        )
        patch.setattr("mixling.debiasing.debias.load", lambda name, split=None, **_: parallel())
        yield tmp_path_factory.mktemp("trials")


@pytest.mark.parametrize("name", [*trials.TRIALS, *trials.AVERAGES])
def test_a_trial_trains(name, out):
    trials.check(name, out)
    for run in trials.AVERAGES.get(name, (name,)):
        folder = out / trials.folder_of(run)
        losses = [json.loads(x)["loss"] for x in (folder / "log.jsonl").read_text().splitlines()]
        assert len(losses) == 2 and all(x > 0 for x in losses)
        assert (folder / "model").is_dir() and not list(folder.rglob("step-*.pt"))
    models = [out / trials.folder_of(x) / "model" for x in trials.AVERAGES.get(name, (name,))]
    model = Retriever(str(models[0]))
    if len(models) > 1:
        average(model, models)
    assert np.isfinite(model.encode(["Korongo"], "query")).all()
