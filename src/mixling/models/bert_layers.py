"""Compute the layers of BERT and its relatives for packed texts on a CPU.

Layers as BERT has them (arXiv:1810.04805: attention, layer norm, feed-forward, layer norm) make
most multilingual encoders: multilingual E5, BGE-M3, LaBSE, Arctic-embed L v2, Granite. transformers
computes such a layer in some forty operations, and autograd in twice as many back. Here a layer is
one function with its gradient: queries, keys and values are one product, states are converted to
bf16 once, and bf16 copies of the weights are kept until the weights change. Results are those of
transformers up to rounding (tests/test_bert_layers.py). Any other encoder, and dropout, go through
transformers' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import gelu, layer_norm, linear
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.weak import WeakIdKeyDictionary

from mixling.models.batched_attention import attend, attend_backward, saved_states
from mixling.models.bert_structure import Layer
from mixling.models.packed import MAX_BATCHED_LENGTH, packed_attention

MULTIPLE = 16  # rows and tokens to which bf16 products without gradients are padded


class Weights(NamedTuple):
    """The weights of a layer's products in the number format that they are computed in.

    Attributes:
        attention: Of queries, keys and values, `[3 * hidden, hidden]` and `[3 * hidden]`.
        attention_output: `[hidden, hidden]` and `[hidden]`.
        inner: `[inner, hidden]` and `[inner]`.
        output: `[hidden, inner]` and `[hidden]`.
    """

    attention: tuple[Tensor, Tensor]
    attention_output: tuple[Tensor, Tensor]
    inner: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]


def layer_states(layers: Sequence[Layer], x: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """Return the last hidden states of packed texts, with gradients where they are enabled.

    Under autocast the products are computed in bf16; the states between layers stay in fp32.

    Args:
        layers: The encoder's layers.
        x: The embeddings of the tokens, float `[T, hidden]`.
        lengths: Tokens of each text, at most `MAX_BATCHED_LENGTH` where gradients are enabled.

    Returns:
        `[T, hidden]`.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    n_rows = len(x)
    batched = max(lengths) <= MAX_BATCHED_LENGTH
    if batched and dtype == torch.bfloat16 and not torch.is_grad_enabled():
        x = torch.nn.functional.pad(x, (0, 0, 0, _rounded(n_rows) - n_rows))
    with torch.autocast("cpu", enabled=False):
        for layer in layers:
            parameters = [p for part in layer[:8] for p in part._parameters.values()]
            if torch.is_grad_enabled() and any(p.requires_grad for p in (x, *parameters)):  # type: ignore[union-attr]
                weights = _weights(layer, parameters, dtype)
                x = _Layer.apply(x, layer, weights, lengths, *parameters)  # type: ignore[no-untyped-call]
            else:
                weights = _weights(layer, parameters, dtype, reordered=dtype == torch.bfloat16)
                x = _without_gradients(layer, weights, x, lengths)
    return x[:n_rows]


def _rounded(rows: int) -> int:
    """Return a number of rows with which products share compiled kernels.

    oneDNN compiles a kernel for each number of rows in bf16, which takes as long as a short query.
    """
    step = MULTIPLE if rows <= 16 * MULTIPLE else 4 * MULTIPLE
    return -(-rows // step) * step


def takes(lengths: Sequence[int]) -> bool:
    """Return whether `layer_states` takes texts of some lengths, now."""
    return not torch.is_grad_enabled() or max(lengths) <= MAX_BATCHED_LENGTH


_copies = WeakIdKeyDictionary()
# A fused optimizer changes weights and leaves their versions as they were.
register_optimizer_step_post_hook(lambda *_: _copies.clear())


def _weights(
    layer: Layer, parameters: Sequence[Any], dtype: torch.dtype, reordered: bool = False
) -> Weights:
    """Return the weights of the products in a number format, as they are now.

    A copy is kept until a weight changes: by its version, by a backward pass, which comes before
    an update, and by any optimizer's step.

    Args:
        layer: The layer.
        parameters: Its weights and biases.
        dtype: The number format.
        reordered: In the order of oneDNN's bf16 products, for `_linear`.
    """
    now = (dtype, reordered, *((p._version, p.data_ptr()) for p in parameters))
    kept = _copies.get(layer.query.weight)  # type: ignore[no-untyped-call]
    if kept is not None and kept[0] == now:
        weights: Weights = kept[1]
        return weights
    with torch.inference_mode(False), torch.no_grad():
        attention = layer[:3]
        pairs = [
            (
                torch.cat([x.weight.detach() for x in attention]),
                torch.cat([x.bias.detach() for x in attention]),
            ),
            *(
                (x.weight.detach(), x.bias.detach())
                for x in (layer.attention_output, layer.inner, layer.output)
            ),
        ]
        pairs = [(weight.to(dtype), bias.to(dtype)) for weight, bias in pairs]
        if reordered and _ONEDNN:
            reorder = torch.ops.mkldnn._reorder_linear_weight
            pairs = [(reorder(weight.contiguous(), None), bias) for weight, bias in pairs]
        weights = Weights(*pairs)
    _copies[layer.query.weight] = (now, weights)
    return weights


# Products with weights in oneDNN's own order, as torch.compile makes them: without it each call
# reorders them, which takes as long as a short query.
_ONEDNN = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def _linear(x: Tensor, part: tuple[Tensor, Tensor], activation: str = "none") -> Tensor:
    """Return a linear layer of rows, followed by "gelu" or "none"."""
    if part[0].is_mkldnn:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, *part, activation, [], "none")
        return y
    y = linear(x, *part)
    return gelu(y) if activation == "gelu" else y


def _norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    return layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _without_gradients(
    layer: Layer, weights: Weights, x: Tensor, lengths: tuple[int, ...]
) -> Tensor:
    """Return the states after a layer."""
    dtype = weights.inner[1].dtype
    states = _linear(x.to(dtype), weights.attention).view(len(x), 3, layer.heads, -1)
    if dtype == torch.float32 or max(lengths) > MAX_BATCHED_LENGTH:
        q, k, v = states.unbind(1)
        y = packed_attention(q, k, v, lengths, layer.scale)
    else:
        multiple = 1 if torch.is_grad_enabled() else MULTIPLE
        y, _ = attend(states, lengths, layer.scale, multiple=multiple)
    y = _linear(y.flatten(1), weights.attention_output).to(x.dtype)
    x = _norm(x + y, layer.attention_norm)
    y = _linear(_linear(x.to(dtype), weights.inner, "gelu"), weights.output).to(x.dtype)
    return _norm(x + y, layer.output_norm)


class _Layer(torch.autograd.Function):
    """A layer: states `[T, hidden]` before it to states after it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        layer: Layer,
        weights: Weights,
        lengths: tuple[int, ...],
        *parameters: Tensor,
    ) -> Tensor:
        """Compute the layer and keep what its gradient needs."""
        dtype = weights.inner[0].dtype
        narrow = x.to(dtype)
        qkv = linear(narrow, *weights.attention).view(len(x), 3, layer.heads, -1)
        attended, states = attend(qkv, lengths, layer.scale)
        attended = attended.flatten(1)
        before_norm = x + linear(attended, *weights.attention_output).to(x.dtype)
        middle, *stats = _norm_with_stats(before_norm, layer.attention_norm)
        narrow_middle = middle.to(dtype)
        before_gelu = linear(narrow_middle, *weights.inner)
        after_gelu = gelu(before_gelu)
        before_last_norm = middle + linear(after_gelu, *weights.output).to(x.dtype)
        out, *last_stats = _norm_with_stats(before_last_norm, layer.output_norm)
        ctx.save_for_backward(
            narrow,
            attended,
            before_norm,
            *stats,
            narrow_middle,
            before_gelu,
            after_gelu,
            before_last_norm,
            *last_stats,
            *states.qkv,
            *states.weights,
        )
        ctx.layer, ctx.weights, ctx.lengths = layer, weights, lengths
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the states and of the weights."""
        layer, weights, needed = ctx.layer, ctx.weights, ctx.needs_input_grad[4:]
        _copies.pop(layer.query.weight, None)  # type: ignore[no-untyped-call]
        (
            narrow,
            attended,
            before_norm,
            mean,
            deviation,
            narrow_middle,
            before_gelu,
            after_gelu,
            before_last_norm,
            last_mean,
            last_deviation,
            *attention_states,
        ) = ctx.saved_tensors
        dtype = narrow.dtype
        with torch.autocast("cpu", enabled=False):
            d_last, *d_output_norm = _norm_backward(
                gradient, before_last_norm, last_mean, last_deviation, layer.output_norm
            )
            dy = d_last.to(dtype)
            d_output = _weight_gradients(dy, after_gelu, layer.output, needed[12:14])
            dy = torch.ops.aten.gelu_backward(dy @ weights.output[0], before_gelu)
            d_inner = _weight_gradients(dy, narrow_middle, layer.inner, needed[10:12])
            d_middle = d_last + (dy @ weights.inner[0]).to(d_last.dtype)
            dx, *d_attention_norm = _norm_backward(
                d_middle, before_norm, mean, deviation, layer.attention_norm
            )
            dy = dx.to(dtype)
            part = layer.attention_output
            d_attention_output = _weight_gradients(dy, attended, part, needed[6:8])
            dy = dy @ weights.attention_output[0]
            states = saved_states(attention_states, ctx.lengths, layer.heads)
            dy = dy.view(len(dy), layer.heads, -1)
            d_qkv = attend_backward(dy, states, ctx.lengths, layer.scale).flatten(1)
            d_attention = _attention_gradients(d_qkv, narrow, layer, needed[:6])
            if ctx.needs_input_grad[0]:
                dx += (d_qkv @ weights.attention[0]).to(dx.dtype)
        return (
            dx if ctx.needs_input_grad[0] else None,
            None,
            None,
            None,
            *d_attention,
            *d_attention_output,
            *d_attention_norm,
            *d_inner,
            *d_output,
            *d_output_norm,
        )


def _norm_with_stats(x: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor, Tensor]:
    """Return the layer norm of rows, and their means and inverse deviations."""
    return torch.native_layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _norm_backward(
    gradient: Tensor, x: Tensor, mean: Tensor, deviation: Tensor, norm: nn.LayerNorm
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of rows, weight and bias of a layer norm."""
    mask = [True, norm.weight.requires_grad, norm.bias.requires_grad]
    found: tuple[Tensor, Tensor | None, Tensor | None] = torch.ops.aten.native_layer_norm_backward(
        gradient.contiguous(),
        x,
        norm.normalized_shape,
        mean,
        deviation,
        norm.weight,
        norm.bias,
        mask,
    )
    return found


def _weight_gradients(
    dy: Tensor, x: Tensor, part: nn.Linear, needed: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of weight and bias of a linear layer from x to y."""
    weight = (dy.t() @ x).to(part.weight.dtype) if needed[0] else None
    bias = dy.sum(0).to(part.bias.dtype) if needed[1] else None
    return weight, bias


def _attention_gradients(
    d_qkv: Tensor, x: Tensor, layer: Layer, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of weights and biases of queries, keys and values."""
    if not any(needed):
        return [None] * 6
    weights = (d_qkv.t() @ x).to(layer.query.weight.dtype).chunk(3)
    biases = d_qkv.sum(0).to(layer.query.bias.dtype).chunk(3)
    both = [part for pair in zip(weights, biases, strict=True) for part in pair]
    return [part if want else None for part, want in zip(both, needed, strict=True)]
