"""Options that save memory or time: frozen layers, adapters, recomputed layers, no dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.config import Config, LoraConfig, TrainingConfig

if TYPE_CHECKING:
    from peft import PeftModel


def make_trainable(retriever: Retriever, config: Config) -> PeftModel | None:
    """Prepare a model for training as configured.

    Args:
        retriever: The model, changed in place.
        config: The run's configuration.

    Returns:
        The model with adapters, which must be merged at the end, or None without adapters.

    Raises:
        MixlingError: The encoder has not enough layers, or none that can be recomputed.
    """
    options = config.training
    retriever.model.requires_grad_(True)
    if options.freeze_embeddings:
        retriever.encoder.get_input_embeddings().requires_grad_(False)
    torch.manual_seed(options.seed)  # adapters and projections of terms start at random
    adapters = add_lora(retriever, config.model.lora) if config.model.lora else None
    if options.freeze_layers:
        freeze_layers(retriever, options.freeze_layers)
    set_training_mode(retriever, options)
    return adapters


def set_training_mode(retriever: Retriever, options: TrainingConfig) -> None:
    """Switch dropout and the recomputing of layers on as configured.

    It is called again after each validation, which switches both off. The dropout of adapters is
    always on: who sets it wants it.
    """
    retriever.model.train(options.dropout)
    for name, module in retriever.model.named_modules():
        if "lora_dropout" in name:
            module.train()
    if options.gradient_checkpointing:
        checkpoint_layers(retriever)


def add_lora(retriever: Retriever, options: LoraConfig) -> PeftModel:
    """Add low-rank adapters to the encoder. Only they are trained.

    Args:
        retriever: The model, changed in place.
        options: Rank, scale, dropout and target modules of the adapters.

    Returns:
        The encoder with adapters. Its `merge_and_unload` makes it an ordinary encoder again.

    Raises:
        MixlingError: peft is not installed, or a target module does not exist.
    """
    try:
        import peft
    except ImportError:
        raise MixlingError(
            "model.lora needs peft, which is not installed. Install it with: pip install "
            "'mixling[lora]'"
        ) from None
    config = peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules=options.targets,
    )
    try:
        return peft.get_peft_model(retriever.encoder, config)
    except ValueError as error:
        raise MixlingError(
            f"model.lora.targets cannot be used ({error}). Name modules of the encoder, for "
            "instance query and value."
        ) from None


def freeze_layers(retriever: Retriever, n: int) -> None:
    """Freeze the embeddings and the first `n` layers.

    Raises:
        MixlingError: The encoder has `n` layers or fewer.
    """
    layers = _layers(retriever)
    if n >= len(layers):
        raise MixlingError(
            f"training.freeze_layers is {n}, but this encoder has {len(layers)} layers that can "
            "be frozen. Write a smaller number."
        )
    last_frozen = list(layers[n - 1].parameters())[-1]
    for weight in retriever.encoder.parameters():
        weight.requires_grad_(False)
        if weight is last_frozen:
            return


def checkpoint_layers(retriever: Retriever) -> None:
    """Keep only the input of each layer, and compute the rest again in the backward pass.

    Dropout is not switched on: only the layers' own training flag is set.

    Raises:
        MixlingError: The encoder does not support this.
    """
    encoder, layers = retriever.encoder, _layers(retriever)
    if not layers or not encoder.supports_gradient_checkpointing:
        raise MixlingError(
            "training.gradient_checkpointing is true, but the layers of this encoder do not "
            "support it. Leave it out."
        )
    encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for layer in layers:
        layer.training = True


def _layers(retriever: Retriever) -> list[Any]:
    """Return the encoder's layers, lowest first."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [m for m in retriever.encoder.modules() if isinstance(m, GradientCheckpointingLayer)]
