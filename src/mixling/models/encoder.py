"""The interface of every encoder, and the base of encoders without weights here.

A `Retriever` has weights and a tokenizer here. An `ExternalEncoder` has neither: a service behind
an address, a function in Python, or another library's network. Both turn texts into vectors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch

from mixling.errors import MixlingError, check_at_least, check_finite_vectors, choose
from mixling.models.prompts import ROLES, TitleOption, model_inputs, unknown_names
from mixling.models.settings import DEFAULT_SOURCE, OPTION, ModelSettings, Setting, resolve_titles

Similarity = Literal["cosine", "dot"]
Progress = Callable[[int, int], None]
# options of an encoder without weights; the other options of `Retriever` need them
EXTERNAL_OPTIONS = ("prompts", "similarity", "titles", "truncate_dim")
# options of services that are paid by the token
SERVICE_OPTIONS = (
    "query_options", "passage_options", "concurrency", "price", "max_cost", "dry_run", "attempts",
    "timeout",
)  # fmt: skip
PYTHON = "python:"
SERVICES = ("openai", "voyage", "jina", "mistral", "cohere", "gemini")
UNIVERSAL = "use-multilingual-v3"
MAX_LENGTH = 8192  # tokens that are assumed to be read where an encoder does not say
CHARACTERS_PER_TOKEN = 3  # rather fewer than the mean, so that estimates are rather too high


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The name in messages and results."""
        ...

    @property
    def similarity(self) -> Similarity:
        """How vectors are compared, "cosine" or "dot"."""
        ...

    @property
    def settings(self) -> ModelSettings:
        """How the encoder is used, and where each setting comes from."""
        ...

    @property
    def origin(self) -> dict[str, Any]:
        """How the model was made, as far as it says."""
        ...

    @property
    def calibration(self) -> dict[str, Any]:
        """Calibration of scores by language, empty if there is none."""
        ...

    @property
    def dimensions(self) -> int:
        """Size of a vector."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        languages: Sequence[str] | None = None,
        precision: Any = "auto",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Encode texts: float32 `[n, dimensions]`."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of all that the vectors depend on, which caches and stores are keyed by."""
        ...


class ExternalEncoder:
    """An encoder whose weights and tokenizer are not here; subclasses define `embed_inputs`.

    Args:
        name: The name in messages and results.
        source: Where the settings come from that no option gives, for instance "the service".
        prompts: Text before each query and passage, such as `{"query": "query: "}`.
        similarity: "cosine" or "dot".
        titles: "model" or "joined" for "title text", "none" for the text alone.
        truncate_dim: Cut vectors to their first numbers.
        default_similarity: The similarity where no option gives one.

    Raises:
        MixlingError: An option is not one of its values.
    """

    max_length = MAX_LENGTH
    stored = ""
    paid = False  # whether each text costs money

    def __init__(
        self,
        name: str,
        source: str,
        *,
        prompts: dict[str, str] | None = None,
        similarity: str | None = None,
        titles: TitleOption = "model",
        truncate_dim: int | None = None,
        default_similarity: Similarity = "cosine",
    ):
        if unknown := unknown_names({k: v or k for k, v in (prompts or {}).items()}):
            raise MixlingError(f"prompts has the name '{unknown[0]}'. Expected query and passage.")
        check_at_least(1, truncate_dim=truncate_dim)
        given = {
            "prompts": prompts, "similarity": similarity,
            "titles": None if titles == "model" else titles, "truncate_dim": truncate_dim,
        }  # fmt: skip
        self.options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        self.name, self.prompts, self.truncate_dim = name, dict(prompts or {}), truncate_dim
        self.similarity: Similarity = cast(
            Similarity, choose(similarity or default_similarity, ("cosine", "dot"), "similarity")
        )
        self.origin: dict[str, Any] = {}
        self.calibration: dict[str, Any] = {}
        self.device = torch.device("cpu")
        self._dimensions = 0
        self._source = source
        self._titles = resolve_titles(titles, self.prompt("passage"), {})

    @property
    def settings(self) -> ModelSettings:
        """How the encoder is used. The size of vectors is 0 until the first text is encoded."""
        source = self._source
        given = OPTION if "prompts" in self.options else source
        prompt_source = {r: given if r in self.prompts else "none" for r in ROLES}
        return ModelSettings(
            pooling=Setting("unknown", source),
            query_prompt=Setting(self.prompt("query"), prompt_source["query"]),
            passage_prompt=Setting(self.prompt("passage"), prompt_source["passage"]),
            titles=self._titles,
            max_length=Setting(self.max_length, DEFAULT_SOURCE),
            similarity=Setting(
                self.similarity, OPTION if "similarity" in self.options else DEFAULT_SOURCE
            ),
            dimensions=Setting(self._dimensions, OPTION if self.truncate_dim else source),
            stored=Setting(self.stored, source),
        )

    @property
    def dimensions(self) -> int:
        """Size of a vector; a short text is encoded once where it is not known yet."""
        if not self._dimensions:
            self.encode(["Hello."], "passage")
        return self._dimensions

    def prompt(self, role: str | None) -> str:
        """Return the text before each text of a role, which may be empty."""
        if role is None:
            return ""
        return self.prompts.get(choose(role, ROLES, "role"), "")

    def read_titles(self, option: TitleOption) -> None:
        """Change how titles are read from now on: "model", "joined" or "none"."""
        self._titles = resolve_titles(option, self.prompt("passage"), {})

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Estimate the tokens of each text from its length in UTF-8 and in characters."""
        return [estimate_tokens(text) for text in texts]

    def embed_inputs(
        self, inputs: list[str], role: str | None, progress: Progress | None
    ) -> np.ndarray:
        """Return the vectors of texts that are complete with prompt and title.

        Args:
            inputs: The texts, at least one.
            role: "query", "passage" or None.
            progress: Called as `progress(texts_done, texts_in_all)`.

        Returns:
            float `[n, dim]`.
        """
        raise NotImplementedError

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        languages: Sequence[str] | None = None,
        precision: Any = "auto",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Encode texts.

        Args:
            texts: The texts.
            role: "query" or "passage"; None where a text is neither.
            titles: Titles of the texts.
            languages: Not used: no such encoder takes languages.
            precision: Not used: the encoder computes as it does.
            progress: Called as `progress(texts_done, texts_in_all)`.

        Returns:
            float32 `[n, dimensions]`.

        Raises:
            MixlingError: The encoder fails, or returns something else than a vector a text.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self._dimensions), np.float32)
        inputs = model_inputs(self.prompt(role), self._titles.value, texts, titles)
        vectors = as_vectors(self.embed_inputs(inputs, role, progress), len(texts), self.name)
        if self.truncate_dim is not None:
            if vectors.shape[1] < self.truncate_dim:
                raise MixlingError(
                    f"{self.name}: truncate_dim is {self.truncate_dim}. Expected a number from 1 "
                    f"to {vectors.shape[1]}, the size of its vectors."
                )
            vectors = np.ascontiguousarray(vectors[:, : self.truncate_dim])
        if self._dimensions not in (0, vectors.shape[1]):
            raise MixlingError(
                f"{self.name}: the encoder returned vectors of {vectors.shape[1]} numbers, and "
                f"of {self._dimensions} before. All vectors of an encoder must have one size."
            )
        self._dimensions = vectors.shape[1]
        return check_finite_vectors(vectors, lambda i: repr(texts[i][:60]), self.name)

    def encode_tail(self, vectors: np.ndarray, *_: Any) -> np.ndarray:
        """Return the vectors: there are no modules behind those that a cache or store holds."""
        return vectors

    def identity(self) -> dict[str, Any]:
        """Return the values that identify the encoder, for the fingerprint, as JSON values."""
        return {"name": self.name}

    def fingerprint(self) -> str:
        """Return a hash of `identity` and of the options that change vectors."""
        return self._hash(self.identity())

    def fingerprints(self) -> dict[int, str]:
        """Return the hash by the number of transforms behind the encoder that are applied."""
        return {0: self.fingerprint()}

    def remaining(self, number: int) -> list[Any]:
        """Return the transforms behind the first `number`."""
        return []

    def _hash(self, identity: dict[str, Any]) -> str:
        options = dataclasses.asdict(self._titles)["value"], self.prompts, self.truncate_dim
        return hashlib.sha256(
            json.dumps([type(self).__name__, identity, options], sort_keys=True).encode()
        ).hexdigest()


def is_external(spelling: str) -> bool:
    """Return whether a spelling names an encoder that is no model folder and no hub name."""
    return spelling == UNIVERSAL or spelling.startswith(PYTHON) or is_service(spelling)


def is_service(spelling: str) -> bool:
    """Return whether a spelling names a service: `NAME:MODEL`, or an address with `#MODEL`."""
    name, colon, _ = spelling.partition(":")
    return spelling.startswith(("http://", "https://")) or (bool(colon) and name in SERVICES)


def no_weights(name: str, purpose: str) -> MixlingError:
    """Return the error for an encoder without weights, where `purpose` needs them."""
    return MixlingError(
        f"{name}: {purpose} needs a model whose weights are on this machine, but this encoder "
        "only returns vectors. Take a model folder or a hub name, or fit a transform of its "
        "vectors with `mixling debias`."
    )


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text without a tokenizer: rather too many than too few.

    Bytes of UTF-8 divided by 3, and at least one. A letter of the Latin alphabet is one byte and
    about a quarter of a token; a Chinese or Thai character is three bytes and about one token.
    """
    return max(1, -(-len(text.encode("utf-8", "replace")) // CHARACTERS_PER_TOKEN))


def as_vectors(value: Any, n: int, name: str) -> np.ndarray:
    """Convert the output of an encoder to float32 `[n, dim]`.

    Args:
        value: An array, a tensor, or lists of numbers.
        n: Number of texts.
        name: The encoder's name in messages.

    Raises:
        MixlingError: It is not one vector of numbers for each text.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().float().cpu().numpy()
    try:
        vectors = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise MixlingError(
            f"{name}: the encoder returned no array of numbers (vectors of different lengths, or "
            f"{type(value).__name__}). Expected float [{n}, dimensions]."
        ) from None
    if vectors.ndim != 2 or len(vectors) != n or not vectors.shape[1]:
        raise MixlingError(
            f"{name}: the encoder returned an array of shape {list(vectors.shape)} for {n} "
            f"texts. Expected [{n}, dimensions], one vector for each text."
        )
    return vectors
