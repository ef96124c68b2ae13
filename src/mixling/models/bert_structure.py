"""Find the layers of BERT and its relatives in a model of transformers, for `bert_layers`."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from torch import nn

# Classes of transformers whose layers are those of this module.
ENCODERS = ("BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel")


class Layer(NamedTuple):
    """The parts of a layer.

    Attributes:
        query: Linear layer `[hidden, hidden]`.
        key: Linear layer `[hidden, hidden]`.
        value: Linear layer `[hidden, hidden]`.
        attention_output: Linear layer `[hidden, hidden]`.
        attention_norm: Layer norm after attention.
        inner: Linear layer `[inner, hidden]`, whose output goes through GELU.
        output: Linear layer `[hidden, inner]`.
        output_norm: Layer norm after the feed-forward part.
        heads: Attention heads.
        scale: Factor of the products of queries and keys.
    """

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    inner: nn.Linear
    output: nn.Linear
    output_norm: nn.LayerNorm
    heads: int
    scale: float


class _Encoder(NamedTuple):
    """An encoder whose layers are BERT's, with what tells whether somebody changed it since.

    Attributes:
        layers: Its layers.
        children: Every module in it as its parent's dictionary, its name there, and itself.
        hooks: The dictionaries of all hooks.
        attributes: The attributes of all modules, among which a `forward` would be a new one.
        dropouts: What drops states in training.
    """

    layers: list[Layer]
    children: list[tuple[dict[str, Any], str, nn.Module]]
    hooks: list[dict[Any, Any]]
    attributes: list[dict[str, Any]]
    dropouts: list[Any]


_encoders: WeakKeyDictionary[nn.Module, _Encoder | None] = WeakKeyDictionary()


def bert_layers(encoder: Any) -> list[Layer] | None:
    """Return the layers of an encoder.

    Args:
        encoder: A model of transformers.

    Returns:
        None if they are not BERT's, if something was added to them (hooks, adapters), or if they
        have to drop states or to be recomputed.
    """
    if type(encoder).__name__ not in ENCODERS or encoder.gradient_checkpointing:
        return None
    known = _encoders.get(encoder)
    if known is None or not all(parent.get(n) is m for parent, n, m in known.children):
        known = _encoders[encoder] = _read_encoder(encoder)
    if (
        known is None
        or any(known.hooks)
        or any("forward" in x for x in known.attributes)
        or any(x.training and x.p for x in known.dropouts)
    ):
        return None
    return known.layers


def _read_encoder(encoder: Any) -> _Encoder | None:
    """Return an encoder's layers, or None if they are not BERT's."""
    if encoder.config.is_decoder or encoder.config.add_cross_attention:
        return None
    layers, dropouts = [], []
    for layer in encoder.encoder.layer:
        attention, own = layer.attention, layer.attention.self
        parts = Layer(
            own.query,
            own.key,
            own.value,
            attention.output.dense,
            attention.output.LayerNorm,
            layer.intermediate.dense,
            layer.output.dense,
            layer.output.LayerNorm,
            own.num_attention_heads,
            own.scaling,
        )
        if (
            type(layer.intermediate.intermediate_act_fn).__name__ != "GELUActivation"
            or any(type(x) is not nn.Linear or x.bias is None for x in (*parts[:4], *parts[5:7]))
            or any(type(x) is not nn.LayerNorm for x in (parts.attention_norm, parts.output_norm))
        ):
            return None
        layers.append(parts)
        dropouts += [own.dropout, attention.output.dropout, layer.output.dropout]
    modules = list(encoder.encoder.modules())
    return _Encoder(
        layers,
        [(parent._modules, n, m) for parent in modules for n, m in parent._modules.items() if m],
        [
            hooks
            for m in modules
            for hooks in (
                m._forward_hooks,
                m._forward_pre_hooks,
                m._backward_hooks,
                m._backward_pre_hooks,
            )
        ],
        [m.__dict__ for m in modules],
        dropouts,
    )
