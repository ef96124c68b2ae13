"""Training in less memory or time: low-rank adapters, layers that stay as they are, layers whose states are computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.config import LoraConfig

if TYPE_CHECKING:
    from peft import PeftModel


def add_lora(retriever: Retriever, settings: LoraConfig) -> PeftModel:
    """Put low-rank adapters into the encoder; they alone are trained. `merge_and_unload` makes it ordinary again."""
    try:
        import peft
    except ImportError:
        raise MixlingError("model.lora needs peft: pip install 'mixling[lora]'") from None
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
    )
    try:
        return peft.get_peft_model(retriever.encoder, config)
    except ValueError as error:
        raise MixlingError(f"model.lora.targets: {error}") from None


def freeze_layers(retriever: Retriever, number: int) -> None:
    """Leave the lowest `number` layers as they are, and all that comes before them, which no gradient reaches then."""
    layers = _layers(retriever)
    if number >= len(layers):
        raise MixlingError(
            f"training.freeze_layers is {number}, and this encoder has {len(layers)} layers that can be told apart; "
            "write a smaller number"
        )
    highest = list(layers[number - 1].parameters())[-1]
    for weight in retriever.encoder.parameters():
        weight.requires_grad_(False)
        if weight is highest:
            return


def checkpoint_layers(retriever: Retriever) -> None:
    """Keep each layer's input alone for the backward pass. Dropout stays as it is: only the layers' own flag is set."""
    encoder, layers = retriever.encoder, _layers(retriever)
    if not layers or not encoder.supports_gradient_checkpointing:
        raise MixlingError(
            "training.gradient_checkpointing: this encoder has no layers that can do so; leave it out"
        )
    encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for layer in layers:
        layer.training = True


def _layers(retriever: Retriever) -> list[Any]:
    """The encoder's layers, lowest first."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [m for m in retriever.encoder.modules() if isinstance(m, GradientCheckpointingLayer)]
