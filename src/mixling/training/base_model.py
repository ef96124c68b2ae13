"""The model that a run trains."""

from __future__ import annotations

import torch

from mixling.errors import MixlingError, first_line
from mixling.models.retriever import Retriever
from mixling.training.config import ModelConfig, TrainingConfig


def on_cpu(options: TrainingConfig) -> bool:
    """Return whether a run uses the processor: it is configured so, or there is no GPU.

    Raises:
        MixlingError: torch knows no such device.
    """
    try:
        torch.device(options.device or "cpu")
    except RuntimeError as error:
        raise MixlingError(
            f"training.device is '{options.device}', which torch refuses ({first_line(error)}). "
            "Write cpu or cuda, or leave it out."
        ) from None
    return options.device == "cpu" or not torch.cuda.is_available()


def load_base_model(config: ModelConfig, device: str | None = None) -> Retriever:
    """Load the model that is trained.

    Args:
        config: The configuration of the model.
        device: A torch device, None for the best one.

    Raises:
        MixlingError: The model cannot be found or read.
    """
    return Retriever(
        config.name,
        device=device,
        pooling=config.pooling,
        prompts=config.prompts,
        similarity=config.similarity,
        trust_remote_code=config.trust_remote_code,
    )
