"""A cross-encoder: reads a question and a passage together and gives one score. Here a teacher, never a retriever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.errors import MixlingError
from mixling.models.quiet import hush
from mixling.models.weights import locate


class Reranker:
    """A sequence classifier with one output, as sentence-transformers' CrossEncoder loads it.

    Raises MixlingError when it cannot be had or has more than one output.
    """

    def __init__(self, name: str, device: str | None = None):
        hush()
        from sentence_transformers import CrossEncoder

        folder, self.name = locate(name)
        try:
            self.model = CrossEncoder(folder, device=device)
        except Exception as error:
            raise MixlingError(
                f"{name}: not a cross-encoder that can be loaded ({type(error).__name__}: {str(error).splitlines()[0]})"
            ) from None
        if self.model.num_labels != 1:
            raise MixlingError(
                f"{name}: gives {self.model.num_labels} numbers a pair; a teacher of scores gives one"
            )

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Scores of (question, passage) pairs before any squashing: float32 [n]."""
        from torch import nn

        if not pairs:
            return np.zeros(0, np.float32)
        made = self.model.predict(list(pairs), activation_fn=nn.Identity(), show_progress_bar=False)
        return np.asarray(made, np.float32)


def is_reranker(name: str) -> bool:
    """Whether a model's configuration is that of a sequence classifier."""
    from transformers import AutoConfig

    folder, _ = locate(name)
    try:
        named = AutoConfig.from_pretrained(folder).architectures or []
    except (OSError, ValueError):
        return False
    return any(x.endswith("ForSequenceClassification") for x in named)
