"""What a run begins with."""

from __future__ import annotations

import torch

from mixling.models.retriever import Retriever
from mixling.training.config import ModelConfig, TrainingConfig


def on_cpu(training: TrainingConfig) -> bool:
    """Whether a run is to be on the processor."""
    return training.device == "cpu" or not torch.cuda.is_available()


def load_base_model(model: ModelConfig, device: str | None = None) -> Retriever:
    """The model that is to be trained, as its settings name it. device: default, the best there is."""
    return Retriever(
        model.name,
        device=device,
        pooling=model.pooling,
        prompts=model.prompts,
        similarity=model.similarity,
        trust_remote_code=model.trust_remote_code,
    )
