"""A cross-encoder, which reads a query and a passage together and returns one score.

It serves as a teacher of training and never as a retriever.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixling.errors import MixlingError
from mixling.models import stored, trust
from mixling.models.weights import locate_model


class Reranker:
    """A sequence classifier with one output, as sentence-transformers' CrossEncoder loads it.

    Args:
        name: A model folder or hub name.
        device: Device of the model, for instance "cpu" or "cuda". Default: the fastest.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).

    Raises:
        MixlingError: The model cannot be loaded or has more than one output.

    Example:
        >>> reranker = Reranker("cross-encoder/mmarco-mMiniLMv2-L12-H384-v1")
        >>> reranker.scores([("Who built the bridge?", "The guild of masons built it.")])
        array([5.3], dtype=float32)
    """

    def __init__(self, name: str, device: str | None = None, trust_remote_code: bool = False):
        import torch
        from sentence_transformers import CrossEncoder

        folder, self.name = locate_model(name)
        report: list[tuple[str, str]] = []
        try:
            trust.check_model_files(folder, name, trust_remote_code)
            with stored.capture_load_report(report):
                # the activation is given, so that no function is called that the folder names
                self.model = CrossEncoder(
                    folder,
                    device=device,
                    trust_remote_code=trust_remote_code,
                    activation_fn=torch.nn.Identity(),
                    model_kwargs={"dtype": torch.float32},
                )
            stored.check_load_report(report, name, pooled=True)
            stored.check_tokenizer(self.model.tokenizer, self.model[0].auto_model, name)
        except MixlingError:
            raise
        except Exception as error:
            stored.check_load_report(report, name, pooled=True)
            problem = "not a cross-encoder that can be loaded"
            advice = "give a folder or hub name of one"
            raise trust.load_error(
                error, folder, name, trust_remote_code, problem, advice
            ) from None
        if self.model.num_labels != 1:
            raise MixlingError(
                f"{name}: gives {self.model.num_labels} numbers a pair; "
                "a teacher of scores gives one"
            )

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Score pairs of a query and a passage.

        Args:
            pairs: `(query, passage)`, their texts.

        Returns:
            float32 `[n]`, the model's output before any activation.
        """
        if not pairs:
            return np.zeros(0, np.float32)
        scores = self.model.predict(list(pairs), show_progress_bar=False)
        return np.asarray(scores, np.float32)


def is_reranker(name: str, trust_remote_code: bool = False) -> bool:
    """Return whether a model's configuration is that of a sequence classifier.

    Args:
        name: A model folder or hub name.
        trust_remote_code: Run Python code that the model's files bring.

    Returns:
        False also where the configuration cannot be read; loading the model reports that.
    """
    from transformers import AutoConfig

    folder, _ = locate_model(name)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        architectures = config.architectures or []
    except (OSError, ValueError, TypeError, AttributeError):
        return False
    return any(x.endswith("ForSequenceClassification") for x in architectures)
