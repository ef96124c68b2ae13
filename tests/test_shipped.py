"""The transform that comes with the package, after an encoder of the right size."""

import numpy as np
import pytest

from mixling.models import shipped
from mixling.models.retriever import Retriever


@pytest.fixture
def wide(tmp_path):
    """A tiny encoder with as many dimensions as the default one, as a chain with prompts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    from conftest import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=384,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=140,
            pad_token_id=1,
        )
    ).save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    model = SentenceTransformer(
        modules=[Transformer(str(tmp_path / "plain")), Pooling(384, "mean"), Normalize()],
        device="cpu",
        prompts={"query": "query: ", "passage": "passage: "},
    )
    model.save(str(tmp_path / "chain"), create_model_card=False)
    return str(tmp_path / "chain")


def test_balanced_is_the_default_encoder_with_the_transform(wide, tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    monkeypatch.setattr("mixling.models.load_model.DEFAULT", wide)
    balanced = Retriever("balanced")
    assert balanced.name == "balanced" and balanced.prompt("query") == "query: "
    texts = ["a bridge", "daraja", "мост"]
    matrix, bias, _ = shipped.read_shipped()
    expected = Retriever(wide).encode(texts, "query") @ matrix.T + bias
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(balanced.encode(texts, "query"), expected, atol=1e-5)
    balanced.save(tmp_path / "saved")
    plain = SentenceTransformer(str(tmp_path / "saved"), device="cpu").encode(
        texts, prompt_name="query"
    )
    assert np.allclose(plain, expected, atol=1e-5)


def test_the_transform_is_small_and_names_its_data():
    matrix, bias, metadata = shipped.read_shipped()
    assert (
        matrix.shape == (384, 384)
        and bias.shape == (384,)
        and shipped.shipped_path().stat().st_size < 1 << 20
    )
    assert (
        metadata["fit"] == ["sib-200", "mlqa:train"]
        and metadata["method"] == "trained"
        and metadata["model"] == shipped.DEFAULT
    )
    # it removes directions: about as many singular values vanish as LSAR took out
    values = np.linalg.svd(matrix, compute_uv=False)
    assert 5 <= (values < 0.1 * values[0]).sum() <= 40


def test_a_model_without_a_folder_has_no_record_of_its_queries(wide, monkeypatch, tmp_path):
    from mixling.models.query_encoder import remember_model

    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mixling.models.load_model.DEFAULT", wide)
    assert not remember_model(Retriever("balanced"), "weights", "settings")
