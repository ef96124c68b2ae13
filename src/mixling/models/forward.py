"""Token lists to vectors, with gradients: the one place where texts meet the encoder.

Texts are sorted by length and go through in calls of at most `budget` padded tokens, so little is padded
whatever lengths come together. A packed forward without any padding can take this function's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def calls(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Groups of indices, by falling length, whose padded size stays within the budget (one text at least)."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    start = 0
    while start < len(order):
        n = max(1, budget // max(lengths[order[start]], 1))
        yield order[start : start + n]
        start += n


def forward(model: torch.nn.Module, tokens: Sequence[Sequence[int]], pad: int, budget: int) -> Tensor:
    """Vectors of texts given as token ids, in their order: float [n, dimensions].

    model: a sentence-transformers chain; pad: the padding token's id; budget: padded tokens a call.
    """
    device = next(model.parameters()).device
    outputs, order = [], []
    for indices in calls([len(t) for t in tokens], budget):
        longest = max(len(tokens[i]) for i in indices)
        ids = torch.full((len(indices), longest), pad, dtype=torch.long)
        mask = torch.zeros((len(indices), longest), dtype=torch.long)
        for row, i in enumerate(indices):
            n = len(tokens[i])
            ids[row, :n] = torch.as_tensor(tokens[i], dtype=torch.long)
            mask[row, :n] = 1
        features = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        outputs.append(model(features)["sentence_embedding"].float())
        order.extend(indices)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(outputs)[back.to(device)]
