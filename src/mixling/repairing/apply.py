"""Applies a transform to stored vectors, by their language, and checks them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixling.connectors.connector import Batch, Description
from mixling.corpora.languages import language_field
from mixling.debiasing.files import VectorTransform
from mixling.errors import MixlingError

Identify = Callable[[str], str]
_METRICS = (None, "cosine", "dot", "l2")


@dataclass(frozen=True)
class Application:
    """A transform with the way it is applied.

    Args:
        transform: The transform.
        normalize: Scale vectors to length one; by default each keeps the length that it has.
        identify: Returns the language of a text; used where rows have no field for it.
    """

    transform: VectorTransform
    normalize: bool = False
    identify: Identify | None = None

    @property
    def by_language(self) -> bool:
        """Whether it needs the language of each row."""
        return bool(self.transform.languages)

    @property
    def tag(self) -> str:
        """A short name of the transform, by its numbers."""
        digest = hashlib.sha256()
        for _, array in sorted(self.transform.tensors().items()):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        digest.update(" ".join(self.transform.languages).encode())
        return digest.hexdigest()[:8]

    def check(self, description: Description, source: str) -> None:
        """Check that vectors of a collection can be transformed.

        Raises:
            MixlingError: They have another size, a metric that the transform is not made for, or
                no language where the transform needs it.
        """
        if description.dimensions != self.transform.dimensions:
            raise MixlingError(
                f"{source}: its vectors have {description.dimensions} numbers, but the transform "
                f"is for {self.transform.dimensions}, so it was made for another model. Give a "
                "transform that was fitted for this model."
            )
        if description.metric not in _METRICS:
            raise MixlingError(
                f"{source}: its metric is {description.metric}. A transform works with cosine, "
                "dot product or Euclidean distance only."
            )
        if (
            self.by_language
            and description.language_field is None
            and (self.identify is None or description.text_field is None)
        ):
            raise MixlingError(
                f"{source}: the transform needs the language of each row, but no field for it is "
                "known. Name the field with --language-field, or add --identify if the rows "
                "have a text."
            )

    def languages(self, batch: Batch, source: str) -> list[str] | None:
        """Return the languages of rows where the transform needs them.

        Raises:
            MixlingError: A row has no language, or something else in its field.
        """
        return row_languages(batch, source, self.identify) if self.by_language else None

    def apply(self, batch: Batch, languages: Sequence[str] | None) -> Batch:
        """Return the rows with their vectors transformed."""
        lengths = np.linalg.norm(batch.vectors, axis=1, keepdims=True)
        directions = batch.vectors / np.maximum(lengths, 1e-12)
        result = self.transform.transform(directions, languages, "passage")
        scale = np.where(lengths > 0, 1.0, 0.0) if self.normalize else lengths
        return replace(batch, vectors=(result * scale).astype(np.float32))


def row_languages(batch: Batch, source: str, identify: Identify | None) -> list[str]:
    """Return the language of each row: its field's, or else the text's.

    Raises:
        MixlingError: A row has no language, or something else in its field.
    """
    languages = []
    for i, key in enumerate(batch.ids):
        value = batch.languages[i] if batch.languages is not None else None
        text = batch.texts[i] if batch.texts is not None else None
        if value is None and identify is not None and text:
            languages.append(identify(text))
        else:
            languages.append(language_field(value, "language", source, f"row {key!r}"))
    return languages
