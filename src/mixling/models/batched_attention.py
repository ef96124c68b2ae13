"""Attention inside each text of a packed row, as batched products on a CPU.

Neighboring texts of nearly equal length share a product, and the attention weights are kept for the
backward pass: in bf16 that takes half the time of torch's fused kernel, whose backward pass is slow
(docs/development/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

# attention weights of a group at most: more no longer fit the caches
MAX_GROUP_WEIGHTS = 500_000


class LengthGroup(NamedTuple):
    """Neighboring texts whose attention is one batched product.

    Texts of different lengths are padded to the longest of the group: a position past the end of
    a text repeats its last row.

    Args:
        start: First row of the group.
        rows: Number of rows.
        shape: Number of texts, and tokens of the longest.
        padded_rows: int64 `[texts * tokens]`, the row of the group at each position, or None if
            all texts have the same length.
        mask: bool `[texts, 1, 1, tokens]`, True inside a text, or None.
        real_positions: int64, the positions in `padded_rows` that are inside a text, or None.
    """

    start: int
    rows: int
    shape: tuple[int, int]
    padded_rows: Tensor | None
    mask: Tensor | None
    real_positions: Tensor | None


@lru_cache(maxsize=256)
def length_groups(
    lengths: tuple[int, ...], heads: int, multiple: int = 1
) -> tuple[LengthGroup, ...]:
    """Group neighboring texts while their lengths differ by at most 15 % or 4 tokens.

    Args:
        lengths: Tokens of each text.
        heads: Attention heads.
        multiple: Groups are padded to a multiple of so many tokens.

    Returns:
        Groups of at most `MAX_GROUP_WEIGHTS` attention weights, in the order of the texts. A text
        with more weights is a group of its own.
    """
    groups, i, start = [], 0, 0
    while i < len(lengths):
        shortest = longest = lengths[i]
        j = i + 1
        while j < len(lengths):
            low, high = min(shortest, lengths[j]), max(longest, lengths[j])
            n_weights = (j + 1 - i) * high * high * heads
            if (high > 1.15 * low and high - low > 4) or n_weights > MAX_GROUP_WEIGHTS:
                break
            shortest, longest, j = low, high, j + 1
        groups.append(_length_group(start, torch.tensor(lengths[i:j]), multiple))
        i, start = j, start + groups[-1].rows
    return tuple(groups)


def _length_group(start: int, lengths: Tensor, multiple: int) -> LengthGroup:
    """Return the group of texts of some lengths, int64 `[n]`, that begins at row `start`."""
    rows, longest = int(lengths.sum()), -(-int(lengths.max()) // multiple) * multiple
    shape = (len(lengths), longest)
    if int(lengths.min()) == longest:
        return LengthGroup(start, rows, shape, None, None, None)
    position = torch.arange(longest)
    first_rows = (lengths.cumsum(0) - lengths)[:, None]
    padded_rows = first_rows + torch.minimum(position, lengths[:, None] - 1)
    mask = position < lengths[:, None]
    real_positions = mask.reshape(-1).nonzero()[:, 0]
    return LengthGroup(
        start, rows, shape, padded_rows.reshape(-1), mask[:, None, None], real_positions
    )


def group_rows(x: Tensor, group: LengthGroup) -> Tensor:
    """Return the rows of a group: `[T, ..., d]` -> `[texts, tokens, ..., d]`."""
    rows = x[group.start : group.start + group.rows]
    if group.padded_rows is not None:
        rows = rows.index_select(0, group.padded_rows)
    return rows.view(*group.shape, *x.shape[1:])


def _put_group_rows(y: Tensor, group: LengthGroup, out: Tensor) -> None:
    """Write `[texts, tokens, ..., d]` to the rows of a group in `out`, without its padding."""
    rows = out[group.start : group.start + group.rows]
    if group.real_positions is None:
        rows.view(*group.shape, *out.shape[1:]).copy_(y)
    else:
        torch.index_select(y.flatten(0, 1), 0, group.real_positions, out=rows)


def _softmax(p: Tensor) -> None:
    """Replace rows by their softmax, in place.

    Half precision goes through fp32: torch's softmax of bf16 takes two to three times as long.
    """
    if p.dtype.itemsize < 4:
        p.copy_(torch.softmax(p, -1, dtype=torch.float32))
    else:
        torch.softmax(p, -1, out=p)


def _softmax_backward(dp: Tensor, p: Tensor) -> Tensor:
    """Return the gradient of the input of a softmax, from its output p and the gradient of p.

    Torch's function is slow in bf16 on rows of fewer than 32 numbers, and not in fp32.
    """
    if p.dtype.itemsize < 4 and p.shape[-1] < 32:
        return torch._softmax_backward_data(dp.float(), p.float(), -1, torch.float32).to(p.dtype)
    return torch._softmax_backward_data(dp, p, -1, p.dtype)


class AttentionStates(NamedTuple):
    """The states that the backward pass of `attend` needs, by group.

    Attributes:
        qkv: Queries, keys and values, `[3, texts * heads, tokens, d]`.
        weights: softmax(scale q k^T), `[texts * heads, tokens, tokens]`.
        dropped: Factors of the weights, which dropout drew; empty without dropout.
    """

    qkv: list[Tensor]
    weights: list[Tensor]
    dropped: list[Tensor]


def attend(
    qkv: Tensor,
    lengths: tuple[int, ...],
    scale: float,
    dropout: float = 0.0,
    multiple: int = 1,
) -> tuple[Tensor, AttentionStates]:
    """Compute attention by batched products of neighboring texts, outside autocast.

    Args:
        qkv: Queries, keys and values, `[T, 3, heads, d]`.
        lengths: Tokens of each text.
        scale: Factor of the products of queries and keys.
        dropout: Share of attention weights that are dropped.
        multiple: Groups are padded to a multiple of so many tokens; 1 where there is a backward
            pass.

    Returns:
        softmax(scale q k^T) v of each text, `[T, heads, d]`, and what `attend_backward` needs. Rows
        behind those of the texts are zero.
    """
    _, _, heads, d = qkv.shape
    out = torch.empty(qkv.shape[0], heads, d, dtype=qkv.dtype, device=qkv.device)
    out[sum(lengths) :] = 0
    states = AttentionStates([], [], [])
    for group in length_groups(lengths, heads, multiple):
        texts, n = group.shape
        rows = group_rows(qkv, group).permute(2, 0, 3, 1, 4).contiguous()
        q, k, v = parts = rows.view(3, texts * heads, n, d)
        p = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=scale)
        if group.mask is not None:
            p.view(texts, heads, n, n).masked_fill_(~group.mask, -torch.inf)
        _softmax(p)
        states.qkv.append(parts)
        states.weights.append(p)
        if dropout:
            states.dropped.append(torch.nn.functional.dropout(torch.ones_like(p), dropout))
            p = p * states.dropped[-1]
        y = torch.bmm(p, v).view(texts, heads, n, d)
        _put_group_rows(y.transpose(1, 2), group, out)
    return out, states


def attend_backward(
    gradient: Tensor, states: AttentionStates, lengths: tuple[int, ...], scale: float
) -> Tensor:
    """Return the gradient of queries, keys and values, outside autocast.

    Args:
        gradient: The gradient of what `attend` returned, `[T, heads, d]`.
        states: What `attend` returned.
        lengths: Tokens of each text.
        scale: Factor of the products of queries and keys.

    Returns:
        `[T, 3, heads, d]`.
    """
    rows, heads, d = gradient.shape
    out = torch.empty(rows, 3, heads, d, dtype=gradient.dtype, device=gradient.device)
    for i, group in enumerate(length_groups(lengths, heads)):
        texts, n = group.shape
        p, dropped = states.weights[i], states.dropped[i] if states.dropped else None
        q, k, v = states.qkv[i]
        dy = group_rows(gradient, group).transpose(1, 2)
        if group.mask is not None:
            # No gradient of a padding position may reach keys and values.
            dy = dy * group.mask.transpose(2, 3)
        dy = dy.reshape(texts * heads, n, d)
        parts = torch.empty_like(states.qkv[i])
        torch.bmm((p if dropped is None else p * dropped).transpose(1, 2), dy, out=parts[2])
        dp = torch.bmm(dy, v.transpose(1, 2))
        if dropped is not None:
            dp *= dropped
        ds = _softmax_backward(dp, p).mul_(scale)
        torch.bmm(ds, k, out=parts[0])
        torch.bmm(ds.transpose(1, 2), q, out=parts[1])
        _put_group_rows(parts.view(3, texts, heads, n, d).permute(1, 3, 0, 2, 4), group, out)
    return out


def saved_states(
    tensors: Sequence[Tensor], lengths: tuple[int, ...], heads: int
) -> AttentionStates:
    """Return the states whose tensors stand one after another."""
    n = len(length_groups(lengths, heads))
    return AttentionStates(list(tensors[:n]), list(tensors[n : 2 * n]), list(tensors[2 * n :]))
