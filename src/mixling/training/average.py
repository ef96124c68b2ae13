"""Averaging a trained model with the one it came from (Wortsman et al. 2022, arXiv:2109.01903)."""

from __future__ import annotations

import torch

from mixling.models.retriever import Retriever


@torch.no_grad()
def average_with(retriever: Retriever, base: Retriever, share: float) -> None:
    """In place: weights = (1 - share) * retriever's + share * base's."""
    other = dict(base.model.named_parameters())
    for name, weight in retriever.model.named_parameters():
        if name in other:
            weight.lerp_(other[name].to(weight.device), share)
