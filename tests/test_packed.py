"""Packed = padded: vectors, gradients, attention, in several architectures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from mixling.models import packed
from mixling.models.forward import batches_by_tokens
from mixling.models.retriever import Retriever

ARCHITECTURES = {
    "bert": {"model_type": "bert"},
    "xlm-roberta": {"model_type": "xlm-roberta"},
    "roberta": {"model_type": "roberta"},
    "electra": {"model_type": "electra", "embedding_size": 16},
    "distilbert": {"model_type": "distilbert"},
    # a decoder that is used as an encoder, with fewer heads of keys than of queries
    "llama": {"model_type": "llama", "num_key_value_heads": 2, "is_causal": False},
}
UNPACKABLE = {
    "mpnet": {"model_type": "mpnet"},  # relative positions
    "modernbert": {"model_type": "modernbert", "local_attention": 16},  # windows
    "llama": {"model_type": "llama"},  # causal
}


def encoder(folder, architecture, **options):
    """A random encoder of an architecture, with the tests' tokenizer."""
    from tests.conftest import tiny_tokenizer
    from transformers import AutoConfig, AutoModel

    tokenizer = tiny_tokenizer()
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 140,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    if architecture["model_type"] == "distilbert":
        sizes.update(dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    torch.manual_seed(0)
    config = AutoConfig.for_model(**{**sizes, **architecture, **options})
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def padded_and_packed(retriever, tokens, **autocast):
    """Vectors and gradients, padded and packed."""
    results = []
    for packed_texts in (False, True):
        retriever.packed = packed_texts
        retriever.model.zero_grad()
        vectors = retriever.embed(tokens, 200)
        weights = torch.randn(
            len(tokens), vectors.shape[1], generator=torch.Generator().manual_seed(1)
        )
        (vectors * weights).sum().backward()
        gradients = {
            n: p.grad.clone() for n, p in retriever.model.named_parameters() if p.grad is not None
        }
        results.append((vectors.detach(), gradients))
    return results


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packed_equals_padded(architecture, pooling, tmp_path):
    retriever = Retriever(
        str(encoder(tmp_path / "m", ARCHITECTURES[architecture])), pooling=pooling
    )
    assert retriever.first_position is not None
    random = torch.Generator().manual_seed(3)
    lengths = [1, 1, 2, 3, 5, 8, 9, 30, 31, 33, 100, 127]
    tokens = [torch.randint(3, 900, (n,), generator=random).tolist() for n in lengths]
    (a, ga), (b, gb) = padded_and_packed(retriever, tokens)
    assert (a - b).abs().max() < 1e-5
    assert ga.keys() == gb.keys()
    scale = max(g.abs().max() for g in ga.values())
    assert all((ga[k] - gb[k]).abs().max() < 1e-5 * max(scale, 1) for k in ga)


@pytest.mark.parametrize("architecture", UNPACKABLE)
def test_an_unpackable_encoder_is_padded_and_logged_once(architecture, tmp_path, caplog):
    caplog.set_level("INFO", "mixling")
    retriever = Retriever(str(encoder(tmp_path / "m", UNPACKABLE[architecture])), pooling="mean")
    first = retriever.encode(["Habari ya asubuhi", "a"])
    second = retriever.encode(["Habari ya asubuhi"])
    assert abs(first[0] - second[0]).max() < 1e-5
    assert caplog.text.count("cannot take them packed") == 1 and retriever.first_position is None


def test_a_packed_model_is_saved_and_used_by_sentence_transformers(chain, tmp_path):
    from sentence_transformers import SentenceTransformer

    retriever = Retriever(str(chain))
    ours = retriever.encode(["mbili", "tatu nne tano"], "query")
    plain = retriever.model.encode_query(["mbili", "tatu nne tano"])
    retriever.save(tmp_path / "m")
    assert packed.NAME not in (tmp_path / "m" / "config.json").read_text()
    theirs = SentenceTransformer(str(tmp_path / "m"), device="cpu").encode_query(
        ["mbili", "tatu nne tano"]
    )
    assert abs(ours - plain).max() < 1e-5 and abs(ours - theirs).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_attention_is_that_of_each_text_alone(lengths, sort, dtype):
    lengths = tuple(sorted(lengths, reverse=True) if sort else lengths)
    random = torch.Generator().manual_seed(sum(lengths))
    q, k, v = (
        torch.randn(sum(lengths), 3, 8, generator=random, dtype=dtype).requires_grad_()
        for _ in range(3)
    )
    gradient = torch.randn(sum(lengths), 3, 8, generator=random, dtype=dtype)
    ours = packed.packed_attention(q, k, v, lengths, 0.3)
    gradients = torch.autograd.grad(ours, (q, k, v), gradient)
    alone = torch.cat(
        [
            scaled_dot_product_attention(*(x.transpose(0, 1) for x in part), scale=0.3).transpose(
                0, 1
            )
            for part in zip(*(x.split(lengths) for x in (q, k, v)), strict=True)
        ]
    )
    expected = torch.autograd.grad(alone, (q, k, v), gradient)
    assert (ours - alone).abs().max() < 1e-5
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(gradients, expected, strict=True))
    with torch.no_grad():
        assert (packed.packed_attention(q, k, v, lengths, 0.3) - alone).abs().max() < 1e-5


def test_texts_beyond_the_limit_take_the_fused_kernel_and_agree(monkeypatch):
    monkeypatch.setattr(packed, "MAX_BATCHED_LENGTH", 20)
    for lengths in ((50, 30, 12, 3), (3, 50, 12)):
        q, k, v = (
            torch.randn(sum(lengths), 2, 8, dtype=torch.float64).requires_grad_() for _ in range(3)
        )
        gradients = torch.autograd.grad(
            packed.packed_attention(q, k, v, lengths, 0.3).pow(2).sum(), (q, k, v)
        )
        monkeypatch.setattr(packed, "MAX_BATCHED_LENGTH", 1000)
        expected = torch.autograd.grad(
            packed.packed_attention(q, k, v, lengths, 0.3).pow(2).sum(), (q, k, v)
        )
        monkeypatch.setattr(packed, "MAX_BATCHED_LENGTH", 20)
        assert all((a - b).abs().max() < 1e-10 for a, b in zip(gradients, expected, strict=True))


def test_dropout_drops_its_share_and_its_gradient_is_exact():
    q, k, v = (torch.randn(12, 2, 4, dtype=torch.float64).requires_grad_() for _ in range(3))

    def attend(*x):
        torch.manual_seed(5)
        return packed.packed_attention(*x, (5, 4, 3), 0.5, 0.25)

    assert torch.autograd.gradcheck(attend, (q, k, v))
    ones = torch.ones(4000, 1, 2)
    with torch.enable_grad():
        out = packed.packed_attention(ones.requires_grad_(), ones, ones, (20,) * 200, 1.0, 0.25)
    assert abs(float(out.detach().mean()) - 1) < 0.02 and float(out.detach().std()) > 0.05


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30),
    st.integers(1, 120),
    st.booleans(),
)
def test_calls_hold_every_text_once_within_the_budget(lengths, budget, pack):
    calls = list(batches_by_tokens(lengths, budget, pack))
    assert sorted(i for part in calls for i in part) == list(range(len(lengths)))
    for part in calls:
        size = sum(lengths[i] for i in part) if pack else len(part) * max(lengths[i] for i in part)
        assert size <= budget or len(part) == 1


def test_the_gpus_attention_is_called_as_its_signature_says(chain, monkeypatch):
    """No GPU here.

    Torch's kernel is replaced by its definition, bound to the real one's signature.
    """
    import inspect

    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="torch has it from 2.10 on")
    signature, called = inspect.signature(varlen.varlen_attn), []

    def definition(*args, **kwargs):
        a = signature.bind(*args, **kwargs).arguments
        assert a["query"].ndim == 3 and a["cu_seq_q"].dtype == torch.int32
        lengths = a["cu_seq_q"].diff().tolist()
        assert max(lengths) == a["max_q"] == a["max_k"] and torch.equal(
            a["cu_seq_q"], a["cu_seq_k"]
        )
        called.append(len(lengths))
        parts = zip(*(a[k].split(lengths) for k in ("query", "key", "value")), strict=True)
        return torch.cat(
            [
                scaled_dot_product_attention(
                    *(x.transpose(0, 1) for x in p), scale=a["scale"]
                ).transpose(0, 1)
                for p in parts
            ]
        )

    retriever = Retriever(str(chain))
    tokens = [[5, 6, 7], [8], [9, 10, 11, 12]]
    expected = retriever.embed(tokens)
    monkeypatch.setattr(varlen, "varlen_attn", definition)
    monkeypatch.setattr(packed, "_has_varlen_attention", lambda q: True)
    monkeypatch.setattr("mixling.models.forward.bert_layers", lambda encoder: None)
    assert (retriever.embed(tokens) - expected).abs().max() < 1e-6 and called == [3, 3]
