"""Averaging a trained model with the one it came from (Wortsman et al. 2022, arXiv:2109.01903), and trained ones with each other
(Wortsman et al. 2022, arXiv:2203.05482)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever


@torch.no_grad()
def average_with(retriever: Retriever, base: Retriever, share: float) -> None:
    """In place: weights = (1 - share) * retriever's + share * base's. Raises MixlingError where they are not of one shape."""
    other = dict(base.model.named_parameters())
    mine = dict(retriever.model.named_parameters())
    odd = sorted(
        k
        for k in mine.keys() | other.keys()
        if k not in mine or k not in other or mine[k].shape != other[k].shape
    )
    if odd:
        raise MixlingError(
            f"{base.name}: cannot be averaged with {retriever.name}: they do not have the same weights ({', '.join(odd[:3])}); average "
            "models of one base"
        )
    for name, weight in mine.items():
        weight.lerp_(other[name].to(weight.device), share)


def average(retriever: Retriever, folders: Sequence[Path], trust_remote_code: bool = False) -> None:
    """In place: weights = the mean of those of the models in these folders, which are read one at a time."""
    for n, folder in enumerate(folders, 1):
        other = Retriever(str(folder), trust_remote_code=trust_remote_code)
        average_with(retriever, other, 1 / n)
