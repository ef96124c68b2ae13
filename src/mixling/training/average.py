"""Averages of weights: a trained model with its base, and trained models with each other.

Sources: Wortsman et al. 2022, arXiv:2109.01903 (with the base model) and arXiv:2203.05482 (model
soups).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mixling.errors import MixlingError
from mixling.models.adapter import unlike_weights
from mixling.models.retriever import Retriever


@torch.no_grad()
def average_with(retriever: Retriever, other: Retriever, weight: float) -> None:
    """Average a model's weights with another model's: (1 - weight) * retriever + weight * other.

    Args:
        retriever: The model that is changed.
        other: A model of the same architecture.
        weight: The other model's share, from 0 to 1.

    Raises:
        MixlingError: The models do not have the same weights.
    """
    theirs = dict(other.model.named_parameters())
    ours = dict(retriever.model.named_parameters())
    different = unlike_weights(ours, theirs)
    if different:
        raise MixlingError(
            f"{other.name}: its weights cannot be averaged with those of {retriever.name}, "
            f"because they differ in name or shape ({', '.join(different[:3])}). Average models "
            "of one base."
        )
    for name, parameter in ours.items():
        parameter.lerp_(theirs[name].to(parameter.device), weight)


def average(retriever: Retriever, folders: Sequence[Path], trust_remote_code: bool = False) -> None:
    """Replace a model's weights by the mean of the weights of several models.

    Args:
        retriever: The model that is changed.
        folders: The models' folders, which are read one at a time.
        trust_remote_code: Run Python code that the models bring.
    """
    for n, folder in enumerate(folders, 1):
        # the running mean of n models is (1 - 1/n) * mean of n - 1 + 1/n * model n
        average_with(retriever, Retriever(str(folder), trust_remote_code=trust_remote_code), 1 / n)
