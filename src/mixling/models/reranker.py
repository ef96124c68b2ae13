"""A cross-encoder: reads a question and a passage together and gives one score. Here a teacher, never a retriever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.errors import MixlingError
from mixling.models import stored, trust
from mixling.models.weights import locate_model


class Reranker:
    """A sequence classifier with one output, as sentence-transformers' CrossEncoder loads it.

    trust_remote_code: as of Retriever. Raises MixlingError when it cannot be had or has more than one output.
    """

    def __init__(self, name: str, device: str | None = None, trust_remote_code: bool = False):
        import torch
        from sentence_transformers import CrossEncoder

        folder, self.name = locate_model(name)
        report: list[tuple[str, str]] = []
        try:
            trust.check_model_files(folder, name, trust_remote_code)
            with stored.capture_load_report(report):
                # an activation of its own, so that none is called that the folder names
                self.model = CrossEncoder(
                    folder,
                    device=device,
                    trust_remote_code=trust_remote_code,
                    activation_fn=torch.nn.Identity(),
                    model_kwargs={"dtype": torch.float32},
                )
            stored.check_load_report(report, name, pooled=True)
        except MixlingError:
            raise
        except Exception as error:
            stored.check_load_report(report, name, pooled=True)
            what, mend = (
                "not a cross-encoder that can be loaded",
                "give a folder or hub name of one",
            )
            raise trust.load_error(error, folder, name, trust_remote_code, what, mend) from None
        if self.model.num_labels != 1:
            raise MixlingError(
                f"{name}: gives {self.model.num_labels} numbers a pair; a teacher of scores gives one"
            )

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Scores of (question, passage) pairs before any squashing: float32 [n]."""
        if not pairs:
            return np.zeros(0, np.float32)
        made = self.model.predict(list(pairs), show_progress_bar=False)
        return np.asarray(made, np.float32)


def is_reranker(name: str, trust_remote_code: bool = False) -> bool:
    """Whether a model's configuration is that of a sequence classifier."""
    from transformers import AutoConfig

    folder, _ = locate_model(name)
    try:
        named = (
            AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code).architectures
            or []
        )
    except (OSError, ValueError, TypeError, AttributeError):  # whoever loads it says what is wrong
        return False
    return any(x.endswith("ForSequenceClassification") for x in named)
