"""Packed texts: all tokens of a call in one row without padding, attention inside each text.

The row goes through the encoder as transformers' own convention for unpadded input has it: input_ids [1, T],
position_ids that start anew with each text, cu_seq_lens_q int32 [texts + 1]. Only attention sees where a text
ends. On a GPU it is torch's variable-length attention. On a CPU, texts of near equal length that stand side by
side share a batched matrix product, and the weights of attention are kept for the backward pass: in bf16 that
takes half of what the fused kernel takes, which is slow backward (docs/performance.md).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from mixling.models.stored import learned_positions

logger = logging.getLogger(__name__)

NAME = "mixling_packed"
# texts longer than this take the fused kernel: their attention weights would not fit
LONGEST = 1024
# by which packed and padded vectors may differ, by what is computed in
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 4e-3, torch.float32: 1e-4, torch.float64: 1e-4}
# attention weights of a group, elements: more no longer fit the caches
ROOM = 500_000


class Unpackable(Exception):
    """The encoder's attention looks at more than what stands in the text: it must be padded."""


class LengthGroup(NamedTuple):
    """Neighbouring texts whose attention is one batched product.

    start: first row; shape: texts, tokens of the longest. Where lengths differ also take: int64 [texts * tokens],
    rows of the group with stand-ins past each end; mask: bool [texts, 1, 1, tokens], True inside; keep: int64, which of
    `take` are real.
    """

    start: int
    rows: int
    shape: tuple[int, int]
    take: Tensor | None
    mask: Tensor | None
    keep: Tensor | None


@lru_cache(maxsize=256)
def length_groups(lengths: tuple[int, ...], heads: int) -> tuple[LengthGroup, ...]:
    """Texts in their order, put together while lengths differ by at most 15 % (or 4 tokens)."""
    found, i, start = [], 0, 0
    while i < len(lengths):
        least = most = lengths[i]
        j = i + 1
        while j < len(lengths):
            low, high = min(least, lengths[j]), max(most, lengths[j])
            if (high > 1.15 * low and high - low > 4) or (j + 1 - i) * high * high * heads > ROOM:
                break
            least, most, j = low, high, j + 1
        some = torch.tensor(lengths[i:j])
        rows = int(some.sum())
        if least == most:
            found.append(LengthGroup(start, rows, (j - i, most), None, None, None))
        else:
            place = torch.arange(most)
            take = (some.cumsum(0) - some)[:, None] + torch.minimum(place, some[:, None] - 1)
            mask = place < some[:, None]
            found.append(
                LengthGroup(start, rows, (j - i, most), take.reshape(-1), mask[:, None, None],
                      mask.reshape(-1).nonzero()[:, 0])
            )  # fmt: skip
        i, start = j, start + rows
    return tuple(found)


def _in(x: Tensor, g: LengthGroup) -> Tensor:
    """Rows of a group: [T, heads, d] -> [texts, heads, tokens, d]."""
    part = x[g.start : g.start + g.rows]
    if g.take is not None:
        part = part.index_select(0, g.take)
    return part.view(*g.shape, *x.shape[1:]).transpose(1, 2)


def _out(y: Tensor, g: LengthGroup, into: Tensor) -> None:
    """The reverse, without the stand-ins."""
    y = y.transpose(1, 2).reshape(-1, *into.shape[1:])
    into[g.start : g.start + g.rows] = y if g.keep is None else y.index_select(0, g.keep)


def _softmax(p: Tensor) -> None:
    """Softmax of the rows, in place. By way of fp32: torch's own for bf16 takes two to three times as long."""
    if p.dtype.itemsize < 4:
        p.copy_(torch.softmax(p, -1, dtype=torch.float32))
    else:
        torch.softmax(p, -1, out=p)


def _softmax_backward(above: Tensor, p: Tensor) -> Tensor:
    """Gradient of the rows before their softmax p. Torch's for bf16 is slow on rows of fewer than 32, fp32's is not."""
    if p.dtype.itemsize < 4 and p.shape[-1] < 32:
        return torch._softmax_backward_data(above.float(), p.float(), -1, torch.float32).to(p.dtype)
    return torch._softmax_backward_data(above, p, -1, p.dtype)


class _Attention(torch.autograd.Function):
    """softmax(scale q k^T) v inside each text. q, k, v: [T, heads, d]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, ...], scale: float, dropout: float):  # fmt: skip
        out = q.new_empty(q.shape)
        weights, dropped = [], []
        with torch.autocast(q.device.type, enabled=False):
            for g in length_groups(lengths, q.shape[1]):
                qs, ks, vs = (_in(x, g) for x in (q, k, v))
                texts, heads, n, d = qs.shape
                flat = (
                    qs.reshape(texts * heads, n, d),
                    ks.reshape(texts * heads, n, d).transpose(1, 2),
                )
                p = torch.baddbmm(q.new_empty(()), *flat, beta=0, alpha=scale).view(
                    texts, heads, n, n
                )
                if g.mask is not None:
                    p.masked_fill_(~g.mask, -torch.inf)
                _softmax(p)
                weights.append(p)
                if dropout:
                    dropped.append(torch.nn.functional.dropout(torch.ones_like(p), dropout))
                    p = p * dropped[-1]
                _out(p @ vs, g, out)
        ctx.save_for_backward(q, k, v, *weights, *dropped)
        ctx.lengths, ctx.scale = lengths, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *rest = ctx.saved_tensors
        dq, dk, dv = q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)
        parts = length_groups(ctx.lengths, q.shape[1])
        with torch.autocast(q.device.type, enabled=False):
            for i, g in enumerate(parts):
                p, drop = rest[i], rest[len(parts) + i] if len(rest) > len(parts) else None
                qs, ks, vs, above = (_in(x, g) for x in (q, k, v, gradient.to(q.dtype)))
                if g.mask is not None:
                    above = above * g.mask.transpose(2, 3)
                _out((p if drop is None else p * drop).transpose(2, 3) @ above, g, dv)
                dp = above @ vs.transpose(2, 3)
                if drop is not None:
                    dp *= drop
                ds = _softmax_backward(dp, p).mul_(ctx.scale)
                _out(ds @ ks, g, dq)
                _out(ds.transpose(2, 3) @ qs, g, dk)
        return dq, dk, dv, None, None, None


def packed_attention(q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, ...], scale: float, dropout: float = 0.0) -> Tensor:  # fmt: skip
    """Attention inside each text on a CPU. q, k, v: [T, heads, d], texts one after the other; [T, heads, d]."""
    long = next((i for i, n in enumerate(lengths) if n <= LONGEST), len(lengths))
    learning = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)
    if max(lengths[long:], default=0) > LONGEST or (q.dtype == torch.float32 and not learning):
        long = len(lengths)
    made, at = [], sum(lengths[:long])
    for g in length_groups(lengths[:long], q.shape[1]):
        qs, ks, vs = (_in(x, g) for x in (q, k, v))
        y = scaled_dot_product_attention(qs, ks, vs, g.mask, dropout, scale=scale).transpose(1, 2)
        y = y.reshape(-1, *q.shape[1:])
        made.append(y if g.keep is None else y.index_select(0, g.keep))
    if long < len(lengths):
        rest = (x[at:] for x in (q, k, v))
        made.append(_Attention.apply(*rest, lengths[long:], scale, dropout))
    return made[0] if len(made) == 1 else torch.cat(made)


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it: query, key, value [1, heads, T, d] -> [1, T, heads, d].

    Without `cu_seq_lens_q` it is the fused one of torch, so that a model that can be packed can also be used as ever.
    """
    if cu_seq_lens_q is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    if (
        others.get("sliding_window")
        or others.get("position_bias") is not None
        or others.get("softcap")
    ):
        raise Unpackable("it attends to a window or with a bias")
    if getattr(module, "is_causal", False):
        raise Unpackable("it attends to what stands before alone")
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    scale = scaling if scaling is not None else q.shape[-1] ** -0.5
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    if _varlen(q):
        from torch.nn.attention.varlen import varlen_attn

        if dropout:
            raise Unpackable("torch's variable-length attention has no dropout")
        longest = others["max_length_q"]
        made: Any = varlen_attn(
            q, k, v, cu_seq_lens_q, cu_seq_lens_q, longest, longest, scale=scale
        )
        return made.unsqueeze(0), None
    lengths = tuple(cu_seq_lens_q.diff().tolist())
    return packed_attention(q, k, v, lengths, scale, dropout).unsqueeze(0), None


def _varlen(q: Tensor) -> bool:
    """Whether torch's variable-length attention takes it: it is for CUDA."""
    return q.is_cuda


def packed_row(tokens: Sequence[Sequence[int]], first: int, device: torch.device) -> dict[str, Any]:
    """What a sentence-transformers chain takes for packed texts. first: position of a text's first token."""
    lengths = torch.tensor([len(t) for t in tokens])
    ends = lengths.cumsum(0)
    total = int(ends[-1])
    ids = torch.tensor([i for t in tokens for i in t])
    position = torch.arange(total) - torch.repeat_interleave(ends - lengths, lengths) + first
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


def first_position(model: Any, pad: int, head: Sequence[torch.nn.Module]) -> int | None:
    """Position of a text's first token if the chain can be packed, else None (said once, with the reason).

    head: the part of the chain that reads tokens; what follows sees vectors alone and may want to know more of a text.
    A trial decides: texts of 1 to 300 random tokens, packed and padded, must give the same vectors. RoBERTa's
    relatives number tokens from pad + 1, others from 0: both are tried.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    encoder = getattr(model[0], "model", None)
    was = getattr(getattr(encoder, "config", None), "_attn_implementation", None)
    try:
        if encoder is None or was is None:
            raise Unpackable("it is no transformers model")
        AttentionInterface.register(NAME, attention)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
        encoder.set_attn_implementation(NAME)
        allowed = model[0].model_forward_params
        if allowed is not None:
            allowed |= {
                "position_ids",
                "cu_seq_lens_q",
                "cu_seq_lens_k",
                "max_length_q",
                "max_length_k",
            }
        return _agreeing(model, pad, torch.nn.Sequential(*head))
    except (
        Exception
    ) as error:  # whatever a foreign encoder does with such input: padding is always right
        with contextlib.suppress(Exception):
            if was not in (None, NAME):
                encoder.set_attn_implementation(was)  # type: ignore[union-attr]
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        logger.info("texts go padded, this encoder cannot take them packed: %s", reason)
        return None


def _agreeing(model: Any, pad: int, head: torch.nn.Module) -> int:
    device = next(model.parameters()).device
    random = torch.Generator().manual_seed(0)
    most = model[0].model.get_input_embeddings().num_embeddings
    places = learned_positions(
        model[0].model
    )  # of which the later of the two beginnings takes the last
    limit = min(
        model.max_seq_length or 300, 300, 300 if places is None else max(places - pad - 1, 1)
    )
    texts = [
        [t if t != pad else t + 1 for t in torch.randint(most - 1, (n,), generator=random).tolist()]
        for n in (1, min(2, limit), min(9, limit), min(40, limit), limit)
    ]
    longest = max(map(len, texts))
    ids = torch.tensor([t + [pad] * (longest - len(t)) for t in texts], device=device)
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts], device=device)
    stored = next(model.parameters()).dtype
    kind = torch.bfloat16 if device.type == "cuda" and stored == torch.float32 else stored
    training = [(m, m.training) for m in model.modules()]
    model.eval()

    def vectors(features: dict[str, Any], half: bool) -> Tensor:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            return head(features)["sentence_embedding"].float()

    try:
        half, tolerance = kind != stored, TOLERANCE[kind]
        padded = vectors({"input_ids": ids, "attention_mask": mask}, half)
        if half:  # by as much as bf16 alone moves these vectors
            exact = vectors({"input_ids": ids, "attention_mask": mask}, False)
            tolerance = max(TOLERANCE[stored], 4 * _off(padded, exact))
        off = {
            first: _off(vectors(packed_row(texts, first, device), half), padded)
            for first in (0, pad + 1)
        }
    finally:
        for module, flag in training:
            module.training = flag
    first = min(off, key=lambda x: off[x])
    if off[first] < tolerance:
        return first
    raise Unpackable(f"packed vectors differ from padded ones by {off[first]:.0e}")


def _off(some: Tensor, others: Tensor) -> float:
    return float((some - others).abs().max() / others.abs().max())
