"""A map fitted before training: once, kept with the run, and trained behind."""

import numpy as np

from mixling.models.retriever import Retriever
from mixling.training.train import train


def test_a_model_is_trained_behind_its_map(chain, tmp_path, monkeypatch):
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain), "map": {"fit": ["sample"]}},
        "batches": {"size": 8},
        "training": {"steps": 2, "precision": "fp32", "average_with_base": 0.5},
    }
    trained = Retriever(str(train(config, tmp_path / "run")))
    mapped = Retriever(str(tmp_path / "run" / "map"))
    assert [type(m).__name__ for m in trained.model] == [type(m).__name__ for m in mapped.model]
    assert "Dense" in [type(m).__name__ for m in trained.model] and trained.prompt("query") == "query: "
    a, b = (m.encode(["a bridge", "daraja"], "query") for m in (trained, mapped))
    assert not np.allclose(a, b, atol=1e-6) and np.allclose(a, b, atol=0.2)
    (tmp_path / "run" / "run.json").unlink()  # as if it had been killed at its end
    monkeypatch.setattr("mixling.training.mapped.debias", None)  # the map is there and is not fitted again
    assert np.allclose(
        Retriever(str(train(config, tmp_path / "run"))).encode(["daraja"], "query"), a[1], atol=1e-6
    )
