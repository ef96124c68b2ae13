"""Models stored in half precision, or as an adapter, are what they are in fp32.

Encoded, trained, debiased, averaged, exported.
"""

import json

import numpy as np
import pytest
import torch

import mixling
from mixling.debiasing.debias import debias
from mixling.debiasing.files import load_transform
from mixling.errors import MixlingError
from mixling.models import stored
from mixling.models.reranker import Reranker
from mixling.models.retriever import Retriever
from mixling.training.average import average_with

TEXTS = ["a", "the crane flies over the lake", "Pomboo hulala kwa nusu moja"]
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.fixture(scope="module")
def forms(plain, tmp_path_factory):
    """One model with a linear layer, stored in fp32 and in half precision."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Transformer,
    )

    folder = tmp_path_factory.mktemp("forms")
    torch.manual_seed(0)
    dense = Dense(32, 16)
    for name, dtype in {"fp32": torch.float32, **HALVES}.items():
        modules = [Transformer(str(plain)), Pooling(32), dense, Normalize()]
        model = SentenceTransformer(modules=modules, device="cpu").to(dtype)
        model.save(str(folder / name), create_model_card=False)
        dense.float()
    mixed = SentenceTransformer(str(folder / "fp32"), device="cpu")
    mixed[2].to(torch.bfloat16)
    mixed.save(str(folder / "mixed"), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def adapter(plain, tmp_path_factory):
    """An adapter with weights, beside its base's folder."""
    import peft
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("adapter") / "a"
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["query", "value"], modules_to_save=["LayerNorm"])
    model = peft.get_peft_model(AutoModel.from_pretrained(str(plain)), config)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn_like(weight)
    model.save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(plain)).save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "stated"), [("bf16", "bf16"), ("fp16", "fp16"), ("mixed", "bf16+fp32")]
)
def test_half_precision_is_loaded_as_fp32_and_said(forms, caplog, name, stated):
    caplog.set_level("INFO", "mixling")
    whole, half = (Retriever(str(forms / x), device="cpu") for x in ("fp32", name))
    assert (whole.stored, half.stored) == ("fp32", stated)
    assert f"stored in {stated}" in caplog.text
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}
    vectors = half.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - whole.encode(TEXTS)).max() < 2e-2
    assert half.first_position == whole.first_position == 0  # packed on a CPU too


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_half_precision_is_trained_as_fp32_is(forms, tmp_path, name):
    losses = {}
    for which in ("fp32", name):
        config = {
            "data": {"sources": ["sample"]},
            "model": {"name": str(forms / which)},
            "batches": {"size": 4},
            "training": {
                "steps": 4,
                "lr": 1e-5,
                "device": "cpu",
                "precision": "fp32",
                "average_with_base": 0.25,
            },
        }
        mixling.train(config, tmp_path / which)
        lines = (tmp_path / which / "log.jsonl").read_text().splitlines()
        losses[which] = [json.loads(x)["loss"] for x in lines]
    assert np.allclose(losses[name], losses["fp32"], rtol=1e-2)
    before, after = (
        Retriever(str(x), device="cpu") for x in (forms / name, tmp_path / name / "model")
    )
    a, b = (dict(x.model.named_parameters()) for x in (before, after))
    still = sum(int((a[k] == b[k]).sum()) for k in a) / sum(w.numel() for w in a.values())
    assert still < 0.6  # rows of words that no text has; bf16 rounds steps of 1e-5 away
    assert after.stored == "fp32"


def test_a_half_precision_model_is_debiased_and_its_map_is_read_again(forms, tmp_path):
    from sentence_transformers import SentenceTransformer

    debias(str(forms / "bf16"), "lsar", ["sample"], tmp_path / "fair")
    fair = Retriever(str(tmp_path / "fair"), device="cpu")
    theirs = SentenceTransformer(str(tmp_path / "fair"), device="cpu")
    assert np.abs(fair.encode(TEXTS) - theirs.encode(TEXTS)).max() < 1e-5
    theirs.to(torch.bfloat16).save(str(tmp_path / "half"), create_model_card=False)
    (tmp_path / "half" / "origin.json").write_text((tmp_path / "fair" / "origin.json").read_text())
    one, other = load_transform(str(tmp_path / "fair")), load_transform(str(tmp_path / "half"))
    assert other.matrix.dtype == np.float32
    assert np.abs(one.matrix - other.matrix).max() < 1e-2


def test_vectors_of_any_number_format_go_through_the_rest_of_a_chain(forms):
    retriever = Retriever(str(forms / "fp32"), device="cpu")
    pooled = retriever.encode_head(retriever.tokenize(TEXTS))
    expected = retriever.encode_tail(pooled)
    for kind, tolerance in ((np.float64, 0), (np.float16, 1e-2)):
        made = retriever.encode_tail(pooled.astype(kind))
        assert made.dtype == np.float32
        assert np.abs(made - expected).max() <= tolerance


def test_models_of_different_shapes_are_not_averaged(forms, chain):
    one, other = Retriever(str(forms / "fp32"), device="cpu"), Retriever(str(chain), device="cpu")
    with pytest.raises(MixlingError, match=r"linear\.weight"):
        average_with(one, other, 0.5)


def test_numbers_beyond_float16_are_refused(plain, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    large = Dense(32, 32, bias=False, activation_function=None, init_weight=1e6 * torch.eye(32))
    model = SentenceTransformer(modules=[Transformer(str(plain)), Pooling(32), large], device="cpu")
    model.save(str(tmp_path / "m"), create_model_card=False)
    (tmp_path / "d.jsonl").write_text('{"_id": "x7", "text": "the crane flies"}\n')
    with pytest.raises(MixlingError, match="x7"):
        mixling.encode(
            str(tmp_path / "m"),
            tmp_path / "d.jsonl",
            tmp_path / "v",
            dtype="float16",
            precision="fp32",
        )


def test_an_adapter_is_merged_and_what_is_trained_of_it_is_written(adapter, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    theirs = SentenceTransformer(
        modules=[Transformer(str(adapter)), Pooling(32)], device="cpu"
    ).encode(TEXTS)
    mine = Retriever(str(adapter), device="cpu")
    assert np.abs(mine.encode(TEXTS) - theirs).max() < 1e-5
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(adapter)},
        "batches": {"size": 4},
        "training": {
            "steps": 2,
            "lr": 1e-3,
            "device": "cpu",
            "precision": "fp32",
            "average_with_base": 0.5,
        },
    }
    mixling.train(config, tmp_path / "run")
    debias(str(adapter), "lsar", ["sample"], tmp_path / "fair")
    for folder in (tmp_path / "run" / "model", tmp_path / "fair"):
        assert not (folder / "adapter_config.json").exists()
        vectors = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
        assert np.abs(Retriever(str(folder), device="cpu").encode(TEXTS) - vectors).max() < 1e-5
        assert np.abs(vectors - theirs).max() > 1e-2


def test_an_adapter_that_cannot_be_merged_is_refused(plain, tmp_path):
    import peft
    from transformers import AutoModel, AutoTokenizer

    config = peft.LoraConfig(r=2, target_modules=["query"], trainable_token_indices=[5])
    peft.get_peft_model(AutoModel.from_pretrained(str(plain)), config).save_pretrained(
        str(tmp_path / "a")
    )
    AutoTokenizer.from_pretrained(str(plain)).save_pretrained(str(tmp_path / "a"))
    with pytest.raises(MixlingError, match="word_embeddings"):
        Retriever(str(tmp_path / "a"), device="cpu")


def test_a_cross_encoder_is_computed_in_fp32_and_one_without_its_head_is_refused(plain, tmp_path):
    from sentence_transformers import CrossEncoder

    CrossEncoder(
        str(plain), num_labels=1, device="cpu", model_kwargs={"dtype": torch.bfloat16}
    ).save(str(tmp_path / "cross"))
    assert stored.number_format(tmp_path / "cross") == "bf16"
    reranker = Reranker(str(tmp_path / "cross"), device="cpu")
    assert {p.dtype for p in reranker.model.parameters()} == {torch.float32}
    assert reranker.scores([("a", "b")]).dtype == np.float32
    with pytest.raises(MixlingError, match=r"classifier\.weight"):
        Reranker(str(plain), device="cpu")
