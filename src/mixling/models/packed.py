"""Encode texts without padding: all tokens of a call in one row, attention inside each text.

The row goes through the encoder by transformers' convention for unpadded input: input_ids `[1, T]`,
position_ids that restart with each text, and cu_seq_lens_q, int32 `[n_texts + 1]`. Only attention
depends on where a text ends. On a GPU it is torch's variable-length attention. On a CPU,
neighboring texts of nearly equal length share a batched matrix product, and the attention weights
are kept for the backward pass: in bf16 that takes half the time of the fused kernel, whose backward
pass is slow (docs/development/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from mixling.models.batched_attention import (
    attend,
    attend_backward,
    group_rows,
    length_groups,
    saved_states,
)

NAME = "mixling_packed"
# tokens: longer texts take the fused kernel, since their attention weights would not fit
MAX_BATCHED_LENGTH = 1024


class UnpackableError(Exception):
    """The encoder cannot take packed texts, so texts are padded."""


class _Attention(torch.autograd.Function):
    """softmax(scale q k^T) v inside each text, with q, k, v `[T, heads, d]`."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        lengths: tuple[int, ...],
        scale: float,
        dropout: float,
    ) -> Tensor:
        """Compute the attention and keep its weights."""
        with torch.autocast(q.device.type, enabled=False):
            out, states = attend(torch.stack((q, k, v), 1), lengths, scale, dropout)
        ctx.save_for_backward(*states.qkv, *states.weights, *states.dropped)
        ctx.lengths, ctx.scale = lengths, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of q, k and v, and None for the other arguments."""
        saved = saved_states(ctx.saved_tensors, ctx.lengths, gradient.shape[1])
        with torch.autocast(gradient.device.type, enabled=False):
            gradient = gradient.to(saved.qkv[0].dtype)
            parts = attend_backward(gradient, saved, ctx.lengths, ctx.scale)
        return *parts.unbind(1), None, None, None


def packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: tuple[int, ...],
    scale: float,
    dropout: float = 0.0,
) -> Tensor:
    """Compute attention inside each text on a CPU.

    Args:
        q: Queries of the texts one after the other, `[T, heads, d]`.
        k: Keys, `[T, heads, d]`.
        v: Values, `[T, heads, d]`.
        lengths: Tokens of each text.
        scale: Factor of the products of queries and keys.
        dropout: Share of attention weights that are dropped.

    Returns:
        softmax(scale q k^T) v of each text, `[T, heads, d]`.
    """
    # The first `n_fused` texts take the fused kernel: those before the first text that is not too
    # long, or all of them if a long text follows. fp32 without gradients is fastest fused.
    n_fused = next((i for i, n in enumerate(lengths) if n <= MAX_BATCHED_LENGTH), len(lengths))
    learning = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)
    has_later_long_text = max(lengths[n_fused:], default=0) > MAX_BATCHED_LENGTH
    if has_later_long_text or (q.dtype == torch.float32 and not learning):
        n_fused = len(lengths)
    outputs, n_rows = [], sum(lengths[:n_fused])
    for group in length_groups(lengths[:n_fused], q.shape[1]):
        qs, ks, vs = (group_rows(x, group).transpose(1, 2) for x in (q, k, v))
        y = scaled_dot_product_attention(qs, ks, vs, group.mask, dropout, scale=scale)
        y = y.transpose(1, 2).reshape(-1, *q.shape[1:])
        if group.real_positions is not None:
            y = y.index_select(0, group.real_positions)
        outputs.append(y)
    if n_fused < len(lengths):
        y = _Attention.apply(  # type: ignore[no-untyped-call]
            q[n_rows:], k[n_rows:], v[n_rows:], lengths[n_fused:], scale, dropout
        )
        outputs.append(y)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Compute attention by the signature that transformers calls.

    Without `cu_seq_lens_q` this is torch's fused attention, so that a model that can be packed
    still takes padded texts.

    Args:
        module: The attention layer.
        query: `[1, heads, T, d]`, or `[n, heads, tokens, d]` without `cu_seq_lens_q`.
        key: As `query`, perhaps with fewer heads.
        value: As `key`.
        attention_mask: The mask of padded texts.
        dropout: Share of attention weights that are dropped.
        scaling: Factor of the products of queries and keys. Default: 1 / sqrt(d).
        cu_seq_lens_q: First rows of packed texts and the number of rows, int32 `[n_texts + 1]`.
        **options: Other arguments of transformers, such as `max_length_q`.

    Returns:
        Float `[1, T, heads, d]`, and None in place of the attention weights.

    Raises:
        UnpackableError: The layer does not attend to all tokens of a text alone.
    """
    if cu_seq_lens_q is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    _check_full_attention(module, attention_mask, options)
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    scale = scaling if scaling is not None else q.shape[-1] ** -0.5
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    if _has_varlen_attention(q):
        from torch.nn.attention.varlen import varlen_attn

        if dropout:
            raise UnpackableError("torch's variable-length attention has no dropout")
        longest = options["max_length_q"]
        output: Any = varlen_attn(
            q, k, v, cu_seq_lens_q, cu_seq_lens_q, longest, longest, scale=scale
        )
        return output.unsqueeze(0), None
    lengths = tuple(cu_seq_lens_q.diff().tolist())
    return packed_attention(q, k, v, lengths, scale, dropout).unsqueeze(0), None


def _check_full_attention(
    module: torch.nn.Module, attention_mask: Tensor | None, options: dict[str, Any]
) -> None:
    """Refuse a layer that does not attend to all tokens of a text by their products alone."""
    # A decoder that is used as an encoder says so by `is_causal`, and its layers do not know.
    causal = options.get("is_causal")
    if causal is None:
        causal = getattr(module, "is_causal", False)
    reasons = {
        "its attention has a window": options.get("sliding_window"),
        "its attention has a bias": options.get("position_bias") is not None,
        "its attention is capped": options.get("softcap"),
        "a token attends only to those before it": causal,
        # Nothing is masked in a packed row, so a mask is the encoder's own. It may be a window that
        # is longer than the texts of the trial.
        "its attention has a mask": attention_mask is not None,
    }
    for reason, applies in reasons.items():
        if applies:
            raise UnpackableError(reason)


def _has_varlen_attention(q: Tensor) -> bool:
    """Return whether torch's variable-length attention takes a tensor: it needs CUDA."""
    return q.is_cuda


def packed_row(tokens: Sequence[Sequence[int]], first: int, device: torch.device) -> dict[str, Any]:
    """Return the input of a sentence-transformers chain for packed texts.

    Args:
        tokens: Token ids of each text.
        first: Position of a text's first token.
        device: The device of the encoder's weights.

    Returns:
        The arguments of the encoder by name.
    """
    lengths = torch.tensor([len(t) for t in tokens])
    ends = lengths.cumsum(0)
    total = int(ends[-1])
    ids = torch.tensor([i for t in tokens for i in t])
    starts = torch.repeat_interleave(ends - lengths, lengths)
    position = torch.arange(total) - starts + first
    # RoBERTa and its relatives, whose first position follows the padding token's, do not count
    # padding tokens, also where a text names one ("<pad>").
    counted = ids != first - 1
    if first and not counted.all():
        before = torch.cat([torch.zeros(1, dtype=torch.long), counted.cumsum(0)])
        position = torch.where(counted, before[:-1] - before[starts] + first, first - 1)
    edges = torch.cat([torch.zeros(1, dtype=torch.long), ends]).to(device, torch.int32)
    return {
        "input_ids": ids[None].to(device),
        "position_ids": position[None].to(device),
        "seq_idx": torch.repeat_interleave(torch.arange(len(tokens)), lengths)[None].to(device),
        "cu_seq_lens_q": edges,
        "cu_seq_lens_k": edges,
        "max_length_q": int(lengths.max()),
        "max_length_k": int(lengths.max()),
    }
