"""The long run has the recipe's batches, and predictions stand before their outcome."""

import json

import numpy as np
import pytest
from studies import long_run as study

import mixling
from mixling.models.retriever import Retriever
from mixling.training.load_config import load_config


def row(value, monolingual=0.9):
    """A row of the development tasks: mAP of all scenarios but the monolingual one."""
    both = {"monolingual": monolingual, "cross-lingual": value, "multilingual": value}
    tasks = {t: both | {"rank distance": 100.0} for t in study.TWO_SCENARIOS}
    return tasks | {"arcd-sentences": {"monolingual": 0.7}}


def test_the_long_run_has_the_recipes_data_batches_and_objective(tmp_path):
    recipe = load_config(None, "balanced")
    first, *others = (load_config(study.config_of(x, tmp_path)) for x in study.STEPS)
    strategy = {"strategy": recipe.soup[0]["batches"]["strategy"]}
    assert first.batches == recipe.batches.model_copy(update=strategy)
    assert first.objective == recipe.objective and first.model == recipe.model
    assert [s.name for s in first.data.sources] == ["mlqa", "mlqa-sentences"]
    free = {"steps", "schedule", "warmup", "decay", "average_with_base", "checkpoint_every"}
    free |= {"continues"}
    assert first.training.model_dump(exclude=free) == recipe.training.model_dump(exclude=free)
    # as many steps of warm-up as the recipe has
    assert first.training.warmup == recipe.training.warmup * recipe.training.steps
    for n, other in enumerate(others):
        assert other.training.continues == str(study.run_of(study.STEPS[n], tmp_path))


def test_each_doubling_is_predicted_to_bring_as_much_as_the_last():
    found = study.predict((800, row(0.5)), (1600, row(0.52)), 6400)
    assert found["score"] == pytest.approx(0.56)
    assert found["mlqa-held-out, monolingual"] == pytest.approx(0.9)


def test_a_prediction_stays_as_it_was_made():
    rows = {study.label_of(study.ALONE, x, 0.2): row(x / 10_000) for x in (800, 1600)}
    label = study.label_of(study.ALONE, 3200, 0.2)
    made = study.predictions(rows, {})
    assert list(made) == [label]
    rows |= {label: row(0.9)}
    later = study.predictions(rows | {study.label_of(study.ALONE, 800, 0.2): row(0.3)}, made)
    assert later[label] == made[label]
    assert study.label_of(study.ALONE, study.FURTHER, 0.2) in later


def test_more_training_must_bring_more_and_lose_nothing_within_a_language():
    rows = {
        study.ZERO_SHOT: row(0.4, 0.8),
        study.BALANCED: row(0.6),
        study.label_of(study.ALONE, 800, 0.2): row(0.601),
        study.label_of(study.ALONE, 3200, 0.2): row(0.7, 0.79),
    }
    assert study.chosen(rows) == study.BALANCED
    better = study.label_of(study.WITH_HYBRID, 800, 0.4)
    assert study.chosen(rows | {better: row(0.65, 0.8)}) == better
    assert study.falls(rows[study.label_of(study.ALONE, 3200, 0.2)], rows[study.ZERO_SHOT])


def test_the_losses_are_means_of_a_hundred_steps(tmp_path):
    rows = [{"step": n, "loss": n // 100} for n in range(250)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in rows))
    assert study.losses(tmp_path / "log.jsonl") == {"100": 0.0, "200": 1.0}


@pytest.mark.slow
def test_a_longer_run_goes_on_from_a_shorter_one(chain, tmp_path, monkeypatch):
    def config_of(steps, out):
        config = {
            "data": {"sources": ["sample"]},
            "model": {"name": str(chain)},
            "batches": {"strategy": "x-y", "size": 4},
            "training": {"steps": steps, "schedule": "wsd", "warmup": 2, "decay": 0.2},
        }
        if steps > 5:
            config["training"]["continues"] = str(study.run_of(5, out))
        return config

    monkeypatch.setattr(study, "STEPS", (5, 10))
    monkeypatch.setattr(study, "DEFAULT", str(chain))
    monkeypatch.setattr(study, "config_of", config_of)
    hybrid = mixling.train(config_of(5, tmp_path), tmp_path / "balanced" / "run-2")
    monkeypatch.setattr(
        study,
        "train",
        lambda config, out, recipe=None: (
            tmp_path / "balanced" / "model" if recipe else mixling.train(config, out)
        ),
    )
    model = study.load_model(study.WITH_HYBRID, 10, 0.2, tmp_path, tmp_path / "balanced")
    losses = [
        [json.loads(x)["loss"] for x in (study.run_of(n, tmp_path) / "log.jsonl").open()]
        for n in (5, 10)
    ]
    assert len(losses[1]) == 10 and losses[0][:4] == losses[1][:4]
    parts = [Retriever(str(x)) for x in (study.run_of(10, tmp_path) / "model", hybrid, chain)]
    weights = [dict(p.encoder.named_parameters()) for p in (model, *parts)]
    for name, value in weights[0].items():
        one, two, base = (w[name].detach().numpy() for w in weights[1:])
        expected = 0.4 * one + 0.4 * two + 0.2 * base
        np.testing.assert_allclose(value.detach().numpy(), expected, atol=1e-5)
