"""Several runs averaged.

What it is, what it may hold, how it goes on, what stands over a recipe's.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.test_step import launch
from tests.test_training import config, weights

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.average import average_with
from mixling.training.load_config import load_config, soup_runs
from mixling.training.train import train

RUNS = [
    {"batches": {"strategy": "x-y"}},
    {"batches": {"strategy": "hybrid"}, "model": {"lora": {"rank": 2}}, "training": {"steps": 3}},
]


def souped(chain, runs=RUNS, **training):
    return {**config(chain, **{"steps": 4, "checkpoint_every": 1, **training}), "soup": runs}


def near(a, b, most=1e-6):
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in a) <= most


def test_a_soup_is_the_mean_of_its_runs_and_the_bases_share(chain, tmp_path):
    settings = souped(chain, average_with_base=0.2)
    found = weights(train(settings, tmp_path / "soup"))
    alone = []
    for n, one in enumerate(soup_runs(load_config(settings)), 1):
        alone.append(weights(train(one, tmp_path / f"alone-{n}")))
        near(
            alone[-1], weights(tmp_path / "soup" / f"run-{n}" / "model"), 0
        )  # a run of a soup is an ordinary run
    base = weights(chain)
    assert max(float((alone[0][k] - alone[1][k]).abs().max()) for k in base) > 1e-4
    near(found, {k: 0.8 * (alone[0][k] + alone[1][k]) / 2 + 0.2 * base[k] for k in base})
    run = json.loads((tmp_path / "soup" / "run.json").read_text())
    assert run["steps"] == 7 and [r["steps"] for r in run["runs"]] == [4, 3]
    assert run["data"]["sample"]["queries"] and run["runs"][0]["plan"] in run["plan"]
    card = (tmp_path / "soup" / "model" / "README.md").read_text()
    assert (
        "trained with x-y and hybrid(0.5) batches" in card
        and "averaged with the base | 0.2" in card
    )
    assert "| strategy, run 1 of 2, averaged | x-y, 8 pairs a batch, 4 steps |" in card
    origin = json.loads((tmp_path / "soup" / "model" / "origin.json").read_text())
    assert origin["base"] == str(chain)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=5))
def test_averaged_one_by_one_each_has_the_same_share(values):
    class Holder:
        def __init__(self, value):
            self.model = torch.nn.Linear(1, 1, bias=False)
            self.model.weight.data.fill_(value)

    mean = Holder(100.0)
    for n, value in enumerate(values, 1):
        average_with(mean, Holder(value), 1 / n)
    assert mean.model.weight.item() == pytest.approx(np.mean(values), abs=1e-5)


def test_what_is_shared_is_made_once_and_a_map_comes_after(chain, tmp_path):
    settings = souped(chain, steps=2)
    settings["data"]["sources"] = ["sample", {"name": "sample", "sentences": True}]
    settings["model"]["transform"] = {"when": "after", "fit": ["sample"], "method": "lsar"}
    model = train(settings, tmp_path / "soup")
    assert sorted(p.name for p in (tmp_path / "soup").rglob("*sample-sentences") if p.is_dir()) == [
        "sample-sentences"
    ]
    kinds = [
        [type(m).__name__ for m in Retriever(str(p)).model]
        for p in (tmp_path / "soup" / "run-1" / "model", model)
    ]
    assert "Dense" not in kinds[0] and kinds[1] == [*kinds[0], "Dense", "Normalize"]


def test_a_soup_is_trained_behind_one_map(chain, tmp_path):
    settings = souped(chain, steps=1)
    settings["model"]["transform"] = {"fit": ["sample"], "method": "lsar"}
    model = train(settings, tmp_path / "soup")
    assert [p.parent.name for p in (tmp_path / "soup").rglob("transform") if p.is_dir()] == ["soup"]
    assert "Dense" in [type(m).__name__ for m in Retriever(str(model)).model]


def test_cut_off_in_its_second_run_it_ends_in_the_same_bits(chain, tmp_path):
    settings = souped(chain, average_with_base=0.2)
    whole, steps = train(settings, tmp_path / "whole"), []

    def stop(row):
        steps.append(row["step"])
        if len(steps) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", on_step=stop)
    assert steps == [0, 1, 2, 3, 0, 1] and not (tmp_path / "cut" / "model").exists()
    again = train(settings, tmp_path / "cut", on_step=lambda row: steps.append(row["step"]))
    assert steps[6:] == [1, 2]  # the step that was cut off has no checkpoint
    near(weights(whole), weights(again), 0)
    for n in (1, 2):  # seconds are of all steps, those before the cut too
        run = tmp_path / "cut" / f"run-{n}"
        spent = [json.loads(x)["seconds"] for x in (run / "log.jsonl").read_text().splitlines()]
        assert len(spent) == 5 - n and json.loads((run / "run.json").read_text())[
            "seconds"
        ] == pytest.approx(sum(spent), abs=0.06)
    train(settings, tmp_path / "cut", on_step=lambda row: steps.append(row["step"]))
    assert len(steps) == 8
    with pytest.raises(MixlingError, match="another configuration, which differs in soup"):
        train(souped(chain, RUNS[::-1], average_with_base=0.2), tmp_path / "cut")


@pytest.mark.slow
def test_killed_on_two_processes_it_goes_on_on_one(chain, tmp_path, forks):
    settings = souped(
        chain, [{"batches": {"strategy": "x-y"}}, {"training": {"steps": 8}}], lr=1e-5
    )
    whole = train(settings, tmp_path / "whole")
    launch(forks, tmp_path, settings, tmp_path / "cut", 2, STOP="6")
    assert (tmp_path / "cut" / "run-1" / "run.json").exists()
    assert not (tmp_path / "cut" / "run-2" / "run.json").exists()
    near(weights(whole), weights(train(settings, tmp_path / "cut")), 1e-5)
    two = launch(forks, tmp_path, settings, tmp_path / "two", 2)
    near(weights(whole), weights(two / "model"), 1e-5)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"data": {"window": 300}}, r"soup, run 2: data must be the same in all runs"),
        ({"model": {"max_query_length": 9}}, r"soup, run 2: model must be"),
        (
            {"training": {"average_with_base": 0.1}},
            r"soup, run 2: training\.average_with_base must be",
        ),
        ({"soup": []}, r"soup, run 2: soup must be"),
        ({"batches": {"strategi": "x-y"}}, r"soup, run 2: batches\.strategi is not an option"),
        ({"steps": 3}, r"soup, run 2: steps is not an option"),
        (3, r"soup\.1 is 3\. .*dictionary"),
    ],
)
def test_what_cannot_be_averaged_is_named(chain, tmp_path, run, said):
    with pytest.raises(MixlingError, match=said):
        train(souped(chain, [{}, run]), tmp_path / "soup")
    assert not (tmp_path / "soup").exists()


def test_a_recipes_soup_gives_way_to_what_a_configuration_settles(chain):
    mine = {"data": {"sources": ["sample"]}, "training": {"steps": 3}}
    runs = soup_runs(load_config(mine, "balanced"))
    assert [r.batches.strategy for r in runs] == ["x-y", "hybrid"] and {
        r.training.steps for r in runs
    } == {3}
    assert all(not r.soup and r.training.average_with_base == 0 for r in runs)
    one = load_config({**mine, "batches": {"strategy": "x-x"}}, "balanced")
    assert not one.soup and one.batches.strategy == "x-x" and one.batches.negatives == 2
    assert len(load_config({**mine, "batches": {"size": 8}}, "balanced").soup) == 2
    assert not load_config({**mine, "soup": []}, "balanced").soup


def test_the_balanced_recipe_is_what_the_search_chose():
    from studies.located import CHOSEN, SOUPS, TRIALS, trial_config

    trial, share = CHOSEN["balanced"]
    recipe = load_config(None, "balanced")
    assert recipe.training.average_with_base == share
    for run, name in zip(soup_runs(recipe), SOUPS[trial][0], strict=True):
        tried = load_config(trial_config(TRIALS[name][0], Path("mlqa")))
        assert [s.name for s in tried.data.sources] == ["mlqa", "mlqa-sentences"]
        mine, theirs = (x.model_dump(exclude={"data": {"sources"}}) for x in (run, tried))
        assert mine == theirs
