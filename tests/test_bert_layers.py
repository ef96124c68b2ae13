"""Layers computed here equal transformers' own: states, gradients, and whatever changes them."""

import copy

import pytest
import torch

from mixling.models import forward
from mixling.models.bert_layers import _copies
from mixling.models.bert_structure import bert_layers
from mixling.models.retriever import Retriever
from test_packed import ARCHITECTURES, encoder

TOKENS = [[5, 6, 7], [8], list(range(9, 49)), list(range(9, 50)), list(range(9, 100))]
OURS = ("bert", "roberta", "xlm-roberta")


@pytest.fixture(params=OURS)
def retriever(request, tmp_path):
    """A random encoder whose layers are computed here."""
    made = Retriever(str(encoder(tmp_path / "m", ARCHITECTURES[request.param])))
    assert made.first_position is not None
    return made


def computed(retriever, tokens=TOKENS, dtype=None, backward=True):
    """Vectors and gradients of texts; autocast where a number format is given."""
    retriever.model.zero_grad()
    enabled = dtype is not None
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=enabled):
        vectors = retriever.embed(tokens)
    gradients = {}
    if backward:
        directions = torch.linspace(-1, 1, vectors.numel()).view_as(vectors)
        (vectors * directions.to(vectors.dtype)).sum().backward()
        named = retriever.model.named_parameters()
        gradients = {n: p.grad.clone() for n, p in named if p.grad is not None}
    return vectors.detach(), gradients


def by_transformers(monkeypatch, retriever, **options):
    """The same through transformers' own code."""
    with monkeypatch.context() as patch:
        patch.setattr(forward, "bert_layers", lambda encoder: None)
        return computed(retriever, **options)


def assert_equal(found, expected, tolerance):
    """Compare vectors, and every gradient by its norm."""
    assert (found[0] - expected[0]).abs().max() <= tolerance * expected[0].abs().max()
    assert set(found[1]) == set(expected[1])
    # a gradient may be 0 but for rounding (the bias of keys), so the largest is the measure
    size = max((float(g.norm()) for g in expected[1].values()), default=1.0)
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= tolerance * size, name


def test_equal_to_transformers_in_double_precision(retriever, monkeypatch):
    retriever.model.double()
    assert bert_layers(retriever.encoder) is not None
    assert_equal(computed(retriever), by_transformers(monkeypatch, retriever), 1e-12)


def test_equal_to_transformers_in_fp32(retriever, monkeypatch):
    assert_equal(computed(retriever), by_transformers(monkeypatch, retriever), 4e-6)


def test_bf16_is_no_further_from_exact_than_transformers(retriever, monkeypatch):
    exact = by_transformers(monkeypatch, retriever)
    theirs = by_transformers(monkeypatch, retriever, dtype=torch.bfloat16)
    ours = computed(retriever, dtype=torch.bfloat16)

    def distance(found):
        gradients = sum(float((found[1][n] - g).norm() ** 2) for n, g in exact[1].items()) ** 0.5
        return float((found[0] - exact[0]).norm()), gradients

    for own, other in zip(distance(ours), distance(theirs), strict=True):
        assert 0 < own < 1.5 * other
    with torch.inference_mode():  # weights in another order, GELU fused
        vectors, _ = computed(retriever, dtype=torch.bfloat16, backward=False)
    assert float((vectors - exact[0]).norm()) < 1.5 * distance(theirs)[0]


def test_long_texts_go_through_too(tmp_path, monkeypatch):
    sizes = {**ARCHITECTURES["bert"], "max_position_embeddings": 1300}
    made = Retriever(str(encoder(tmp_path / "m", sizes)))
    tokens = [[5 + i % 90 for i in range(1100)], [7] * 40]
    for dtype, tolerance in ((None, 4e-6), (torch.bfloat16, 0.05)):
        expected = by_transformers(monkeypatch, made, tokens=tokens, dtype=dtype)
        assert_equal(computed(made, tokens, dtype), expected, tolerance)
        with torch.inference_mode():
            vectors, _ = computed(made, tokens, dtype, backward=False)
        assert (vectors - expected[0]).norm() < tolerance * expected[0].norm()


def test_a_text_has_the_same_vector_alone_and_among_others(retriever):
    with torch.inference_mode():
        together, _ = computed(retriever, dtype=torch.bfloat16, backward=False)
        alone = [computed(retriever, [t], torch.bfloat16, backward=False)[0] for t in TOKENS]
    assert (together - torch.cat(alone)).norm() < 0.01 * together.norm()


def test_inference_equals_training(retriever):
    with torch.inference_mode():
        vectors, _ = computed(retriever, backward=False)
    assert (vectors - computed(retriever)[0]).abs().max() < 4e-6
    # what inference has kept can be trained
    computed(retriever, dtype=torch.bfloat16)


@pytest.mark.parametrize("how", ["in place", "data", "new parameter", "optimizer", "loaded"])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_weights_that_change_are_seen(retriever, how, dtype, monkeypatch):
    computed(retriever, dtype=dtype)
    with torch.inference_mode():
        before, _ = computed(retriever, dtype=dtype, backward=False)
    layer = retriever.encoder.encoder.layer[0]
    part = layer.attention.self.value
    torch.manual_seed(1)
    new = part.weight.detach() + torch.randn_like(part.weight)
    if how == "in place":
        with torch.no_grad():
            part.weight.copy_(new)
    elif how == "data":
        part.weight.data = new
    elif how == "new parameter":
        part.weight = torch.nn.Parameter(new)
    elif how == "loaded":
        retriever.encoder.load_state_dict(
            {**retriever.encoder.state_dict(), "encoder.layer.0.attention.self.value.weight": new}
        )
    else:
        computed(retriever, dtype=dtype)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=dtype is not None)
        with torch.inference_mode(), autocast:  # a copy is made between gradient and update
            retriever.embed(TOKENS)
        torch.optim.AdamW(retriever.model.parameters(), lr=0.1, fused=True).step()
    tolerance = 4e-6 if dtype is None else 0.03
    with torch.inference_mode():
        after, _ = computed(retriever, dtype=dtype, backward=False)
    expected, _ = by_transformers(monkeypatch, retriever, dtype=dtype)
    assert (after - before).norm() > 0.1 * before.norm()
    assert (after - expected).norm() <= tolerance * expected.norm()
    trained, _ = computed(retriever, dtype=dtype)
    assert (trained - expected).norm() <= tolerance * expected.norm()


def test_a_copy_of_a_model_has_its_own_weights(retriever):
    before, _ = computed(retriever)
    other = copy.deepcopy(retriever)
    with torch.no_grad():
        for p in other.model.parameters():
            p += 0.1 * torch.sign(p)
    assert (computed(other)[0] - before).abs().max() > 1e-3
    assert torch.equal(computed(retriever)[0], before)


def test_frozen_weights_get_no_gradient(retriever, monkeypatch):
    layers = retriever.encoder.encoder.layer
    retriever.encoder.embeddings.requires_grad_(False)
    layers[0].requires_grad_(False)
    layers[1].attention.self.query.requires_grad_(False)
    layers[1].output.LayerNorm.requires_grad_(False)
    layers[1].intermediate.dense.bias.requires_grad_(False)
    ours, theirs = computed(retriever), by_transformers(monkeypatch, retriever)
    assert_equal(ours, theirs, 4e-6)
    assert len(ours[1]) == len(list(layers[1].parameters())) - 5


def test_what_was_added_to_a_layer_runs(retriever):
    encoder_model, called = retriever.encoder, []
    assert bert_layers(encoder_model) is not None
    dense = encoder_model.encoder.layer[1].output.dense
    hook = dense.register_forward_hook(lambda *_: called.append(1))
    assert bert_layers(encoder_model) is None
    computed(retriever)
    assert called
    hook.remove()
    assert bert_layers(encoder_model) is not None
    dense.forward = lambda x: 0 * torch.nn.functional.linear(x, dense.weight, dense.bias)
    assert bert_layers(encoder_model) is None
    del dense.forward
    encoder_model.encoder.layer[0].intermediate.dense = torch.nn.Sequential(
        encoder_model.encoder.layer[0].intermediate.dense
    )
    assert bert_layers(encoder_model) is None


def test_adapters_and_recomputing_go_through_transformers(retriever):
    from peft import LoraConfig, inject_adapter_in_model

    retriever.encoder.gradient_checkpointing_enable()
    assert bert_layers(retriever.encoder) is None
    retriever.encoder.gradient_checkpointing_disable()
    assert bert_layers(retriever.encoder) is not None
    inject_adapter_in_model(LoraConfig(target_modules=["query"]), retriever.encoder)
    assert bert_layers(retriever.encoder) is None


def test_dropout_goes_through_transformers(retriever):
    retriever.model.train()
    assert bert_layers(retriever.encoder) is None
    for module in retriever.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert bert_layers(retriever.encoder) is not None
    assert_equal(computed(retriever), computed(retriever), 0.0)


def test_other_activations_and_layers_go_through_transformers(tmp_path):
    for name, options in {
        "relu": {**ARCHITECTURES["bert"], "hidden_act": "relu"},
        "decoder": {**ARCHITECTURES["bert"], "is_decoder": True},
    }.items():
        made = Retriever(str(encoder(tmp_path / name, options)), pooling="lasttoken")
        assert bert_layers(made.encoder) is None


def test_copies_go_with_their_model(tmp_path):
    made = Retriever(str(encoder(tmp_path / "m", ARCHITECTURES["bert"])))
    before = len(_copies)
    with torch.inference_mode():
        computed(made, dtype=torch.bfloat16, backward=False)
    assert len(_copies) == before + 2
    del made
    import gc

    gc.collect()
    assert len(_copies) <= before
