"""The languages and the hub correction of the transforms behind an encoder."""

from __future__ import annotations

from typing import Any

from mixling.models.hub_correction import HubCorrectionModule
from mixling.models.retriever import Retriever
from mixling.models.transformed import TransformedEncoder
from mixling.transforms.hub_correction import HubCorrection


def transform_languages(encoder: Any) -> list[str]:
    """Return the languages that transforms behind an encoder tell apart.

    Args:
        encoder: Any encoder.
    """
    if isinstance(encoder, TransformedEncoder):
        return list(encoder.vector_transform.languages)
    if not isinstance(encoder, Retriever):
        return []
    return list(dict.fromkeys(x for m in encoder.language_transforms() for x in m.languages))


def is_hub_corrected(encoder: Any) -> bool:
    """Return whether the vectors of an encoder end in the two numbers of a hub correction.

    Args:
        encoder: Any encoder.
    """
    if isinstance(encoder, TransformedEncoder):
        return any(isinstance(part, HubCorrection) for part in encoder.parts)
    return isinstance(encoder, Retriever) and any(
        isinstance(module, HubCorrectionModule) for module in encoder.model
    )
