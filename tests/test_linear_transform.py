"""A run's transform before or after training, sentences of a source, and recipes."""

import json

import numpy as np
import pytest

from mixling.corpora import folder
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.load_config import load_config, recipes
from mixling.training.train import train
from mixling.training.training_data import load_training_data


def test_a_model_is_trained_with_its_transform(chain, tmp_path, monkeypatch):
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain), "transform": {"fit": ["sample"]}},
        "batches": {"size": 8},
        "training": {"steps": 2, "precision": "fp32", "average_with_base": 0.5},
    }
    trained = Retriever(str(train(config, tmp_path / "run")))
    transformed = Retriever(str(tmp_path / "run" / "transform"))
    assert [type(m).__name__ for m in trained.model] == [
        type(m).__name__ for m in transformed.model
    ]
    assert (
        "Dense" in [type(m).__name__ for m in trained.model]
        and trained.prompt("query") == "query: "
    )
    # config.json is the configuration as given, and the card names the base model
    written, record = (
        json.loads((tmp_path / "run" / name).read_text()) for name in ("config.json", "run.json")
    )
    assert record["config"] == written == load_config(config).model_dump(mode="json")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    origin = json.loads((tmp_path / "run" / "model" / "origin.json").read_text())
    assert card.partition("# ")[2].startswith(chain.name) and origin["base"] == str(chain)
    a, b = (m.encode(["a bridge", "daraja"], "query") for m in (trained, transformed))
    assert not np.allclose(a, b, atol=1e-6) and np.allclose(a, b, atol=0.2)
    (tmp_path / "run" / "run.json").unlink()  # as if it had been killed at its end
    monkeypatch.setattr(
        "mixling.training.linear_transform.debias", None
    )  # the transform exists and is not fitted again
    assert np.allclose(
        Retriever(str(train(config, tmp_path / "run"))).encode(["daraja"], "query"), a[1], atol=1e-6
    )


@pytest.mark.parametrize("method", ["trained", "lsar"])
def test_a_transform_is_fitted_on_the_trained_model(chain, tmp_path, method):
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain)},
        "batches": {"size": 8},
        "training": {"steps": 2, "precision": "fp32"},
    }
    plain = Retriever(str(train(config, tmp_path / "plain")))
    config["model"]["transform"] = {"when": "after", "fit": ["sample"], "method": method}
    transformed = Retriever(str(train(config, tmp_path / "transformed")))
    modules = [type(m).__name__ for m in transformed.model]
    assert modules == [*(type(m).__name__ for m in plain.model), "Dense", "Normalize"]
    dense = dict(transformed.model.named_parameters())
    matrix, bias = (
        next(v.detach().numpy() for k, v in dense.items() if k.endswith(f"linear.{part}"))
        for part in ("weight", "bias")
    )
    vectors = plain.encode(["a bridge", "daraja"], "query")
    moved = vectors @ matrix.T + bias
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    assert np.allclose(transformed.encode(["a bridge", "daraja"], "query"), moved, atol=1e-5)
    assert not np.allclose(vectors, moved, atol=1e-2)


def test_a_source_is_cut_into_sentences_before_training(chain, tmp_path):
    config = {
        "data": {"sources": ["sample", {"name": "sample", "sentences": True}]},
        "model": {"name": str(chain)},
        "batches": {"size": 8, "negatives": 1, "corpora": 0.0},
        "training": {"steps": 4, "precision": "fp32"},
    }
    train(config, tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert set(run["data"]) == {"sample", "sample-sentences"}
    located = folder.read_folder(tmp_path / "run" / "sample-sentences")
    assert run["data"]["sample-sentences"]["passages"] == located.passages.num_rows
    assert located.passages.num_rows > run["data"]["sample"]["passages"]
    rows = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    # every second batch is of sentences, with hard negatives: more texts
    assert len(rows) == 4
    with pytest.raises(MixlingError, match="mixling locate-answers"):
        load_training_data(load_config(config))


def test_recipes_lie_under_a_configuration(chain):
    assert recipes() == ["balanced", "low-resource"]
    alone = load_config(None, "balanced")
    assert alone.data.sources[1].sentences and alone.batches.negatives == 2
    user_config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain)},
        "training": {"steps": 3},
    }
    over = load_config(user_config, "balanced")
    assert [s.name for s in over.data.sources] == [
        "sample"
    ] and over.data.window == alone.data.window
    assert over.training.steps == 3 and over.training.lr == alone.training.lr
    assert over.model.name == str(chain) and over.objective == alone.objective
    assert over.batches == alone.batches and load_config(user_config).batches != alone.batches
    with pytest.raises(MixlingError, match="balanced"):
        load_config(user_config, "balancd")
    with pytest.raises(MixlingError, match=r"training\.step"):
        load_config({"training": {"step": 1}}, "balanced")
    with pytest.raises(MixlingError, match="data"):
        load_config({"data": 0}, "balanced")
