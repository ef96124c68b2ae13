"""Rerankers, which read a query and a passage together and return one score.

| spelling | reranker |
|---|---|
| a folder, a hub name | a cross-encoder, as sentence-transformers loads it |
| `cohere:MODEL`, `jina:`, `voyage:`, `https://host/rerank` | a service (see `rerank_service`) |
| `python:package.module:name` | a function of a query and passages that returns their scores |

They rerank what a search finds, and serve as teachers of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mixling.errors import MixlingError
from mixling.models import stored, trust
from mixling.models.precision import Precision, choose_precision
from mixling.models.weights import locate_model


class RerankerError(MixlingError):
    """A reranker that was loaded fails, or its score is not a finite number."""


@runtime_checkable
class PairScorer(Protocol):
    """A reranker: a cross-encoder, a service or a function.

    Attributes:
        name: Its name in messages and results.
    """

    name: str

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Score pairs of a query and a passage.

        Args:
            pairs: `(query, passage)`, their texts.

        Returns:
            float32 `[n]`; the higher, the better the passage answers.
        """
        ...


class Reranker:
    """A sequence classifier with one output, as sentence-transformers' CrossEncoder loads it.

    Args:
        name: A model folder or hub name.
        device: Device of the model, for instance "cpu" or "cuda". Default: the fastest.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).
        precision: Number format of the products; "auto" takes bf16 where it is faster. The weights
            are fp32.

    Raises:
        MixlingError: The model cannot be loaded or has more than one output.

    Example:
        >>> reranker = Reranker("cross-encoder/mmarco-mMiniLMv2-L12-H384-v1")
        >>> reranker.scores([("Who built the bridge?", "The guild of masons built it.")])
        array([5.3], dtype=float32)
    """

    def __init__(
        self,
        name: str,
        device: str | None = None,
        trust_remote_code: bool = False,
        precision: Precision = "fp32",
    ):
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
            problem = "the model cannot be loaded as a cross-encoder"
            advice = "Give a folder or hub name of a cross-encoder"
            raise trust.load_error(
                error, folder, name, trust_remote_code, problem, advice
            ) from None
        if self.model.num_labels != 1:
            raise MixlingError(
                f"{name}: the model gives {self.model.num_labels} numbers for each pair of query "
                "and passage. Expected a reranker, which gives one."
            )
        self.precision = choose_precision(self.model.device, precision)

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Score pairs of a query and a passage.

        Args:
            pairs: `(query, passage)`, their texts.

        Returns:
            float32 `[n]`, the model's output before any activation.
        """
        if not pairs:
            return np.zeros(0, np.float32)
        import torch

        device, is_bf16 = self.model.device.type, self.precision == "bf16"
        with torch.autocast(device, torch.bfloat16, enabled=is_bf16):
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


class FunctionReranker:
    """A function as a reranker.

    Args:
        function: Takes a query and a list of passages, and returns a score for each.
        name: Its name in messages and results.
    """

    def __init__(self, function: Callable[[str, list[str]], Any], name: str):
        self.function, self.name = function, name

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Score pairs of a query and a passage: float32 `[n]`."""
        parts = [np.zeros(0, np.float32)]
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            passages = [passage for _, passage in group]
            try:
                scores = np.asarray(self.function(query, passages), np.float32)
            except (TypeError, ValueError) as error:
                raise MixlingError(
                    f"{self.name}: the function failed with {type(error).__name__}: {error}. "
                    "Expected a function (query, passages) that returns a number for each "
                    "passage."
                ) from error
            if scores.shape != (len(passages),):
                raise MixlingError(
                    f"{self.name}: the function returned scores of shape {list(scores.shape)} "
                    f"for {len(passages)} passages. Expected one number for each passage."
                )
            parts.append(scores)
        return np.concatenate(parts)


def load_reranker(
    reranker: Any, trust_remote_code: bool = False, *, keep_scores: bool = False
) -> PairScorer:
    """Load a reranker.

    Args:
        reranker: A spelling of the table above; a reranker, which is returned as it is; a
            CrossEncoder of sentence-transformers; or a function `(query, passages) -> scores`.
        trust_remote_code: Run Python code that a model's files bring.
        keep_scores: Keep the scores of a service on disk, so that none is paid for twice.

    Returns:
        The reranker.

    Raises:
        MixlingError: It cannot be loaded.

    Example:
        >>> shorter = load_reranker(lambda query, passages: [-len(x) for x in passages])
        >>> shorter.scores([("bridge", "a long text"), ("bridge", "short")])
        array([-11.,  -5.], dtype=float32)
    """
    if isinstance(reranker, str):
        from mixling.models.rerank_service import RerankService, is_rerank_service

        if is_rerank_service(reranker):
            return RerankService(reranker, keep_scores=keep_scores)
        if not reranker.startswith("python:"):
            return Reranker(reranker, trust_remote_code=trust_remote_code, precision="auto")
        from mixling.models.functions import import_object

        return load_reranker(import_object(reranker))
    if isinstance(reranker, PairScorer):
        return reranker
    name = getattr(reranker, "__name__", type(reranker).__name__)
    if hasattr(reranker, "predict"):
        return FunctionReranker(lambda query, texts: _predict(reranker, query, texts), name)
    if callable(reranker):
        return FunctionReranker(reranker, name)
    raise MixlingError(
        f"{name}: this is not a reranker. Expected the name of a reranker, a CrossEncoder, or a "
        "function (query, passages) that returns a number for each passage."
    )


def _predict(model: Any, query: str, texts: list[str]) -> np.ndarray:
    """Return the scores of a CrossEncoder before its activation."""
    import torch

    pairs = [(query, text) for text in texts]
    return np.asarray(
        model.predict(pairs, show_progress_bar=False, activation_fn=torch.nn.Identity())
    )


def pair_scores(reranker: PairScorer, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Score pairs, and refuse scores that cannot be ordered.

    Args:
        reranker: The reranker.
        pairs: `(query, passage)`, their texts.

    Returns:
        float32 `[n]`.

    Raises:
        RerankerError: The reranker fails, or a score is NaN or infinite.
    """
    try:
        scores = np.asarray(reranker.scores(pairs), np.float32)
    except MixlingError as error:
        raise RerankerError(str(error)) from None
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        query, passage = pairs[int(wrong[0])]
        raise RerankerError(
            f"{reranker.name}: the score of the query '{query[:60]}' and the passage "
            f"'{passage[:60]}' is {scores[wrong[0]]} ({len(wrong):,} of {len(scores):,} scores "
            "of this call are not finite). Use a reranker whose weights are all finite."
        )
    return scores


def reranker_input(title: str | None, text: str) -> str:
    """Return a passage as a reranker reads it: after its title, unless it begins with that."""
    return f"{title} {text}" if title and not text.startswith(title) else text
