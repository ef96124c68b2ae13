"""An encoder without weights behind a transform of its vectors, as `mixling debias` writes it.

FOLDER/encoder.json               the encoder's spelling and options
FOLDER/transform.safetensors, transform.json      the transform (`mixling.transforms.files`)
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from mixling.corpora.json_files import parse_record
from mixling.disk import new_folder
from mixling.errors import MixlingError
from mixling.models import trust
from mixling.models.encoder import ExternalEncoder, Progress, is_external
from mixling.models.identify import identify_languages
from mixling.transforms.chain import ChainedTransform, Part, parts_of
from mixling.transforms.files import VectorTransform, read_transform, write_transform
from mixling.transforms.transforms import normalize

FILE = "encoder.json"

logger = logging.getLogger(__name__)


class TransformedEncoder(ExternalEncoder):
    """An encoder and a transform of its vectors.

    Args:
        folder: The folder.
        inner: The encoder that the folder names.

    Raises:
        MixlingError: The transform cannot be read.
    """

    def __init__(self, folder: Path, inner: ExternalEncoder):
        super().__init__(str(folder), inner.name, similarity="cosine")
        self.options = {}
        self.inner, self.max_length, self.stored = inner, inner.max_length, inner.stored
        self.prompts, self._titles, self.paid = inner.prompts, inner._titles, inner.paid
        try:
            trust.check_regular_files(folder, self.name)
            self.vector_transform = read_transform(folder)
        except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
            raise MixlingError(
                f"{folder}: its transform cannot be read ({type(error).__name__}: {error}). Make "
                "the folder again with `mixling debias`."
            ) from None
        self._size = self.vector_transform.dimensions
        self._dimensions = self.vector_transform.output_dimensions
        self.origin = {
            **inner.origin, "model": inner.name, "debiased": self.vector_transform.metadata,
        }  # fmt: skip
        self.parts = parts_of(self.vector_transform)
        self._hashes = [_hash_parts(self.parts[:n]) for n in range(1, len(self.parts) + 1)]

    def identity(self) -> dict[str, Any]:
        """Return the fingerprint of the encoder and the hash of the transform."""
        return self._identity(len(self.parts))

    def fingerprints(self) -> dict[int, str]:
        """Return the hash by the number of transforms: the encoder's, and of each first parts."""
        numbers = range(1, len(self.parts) + 1)
        return {0: self.inner.fingerprint(), **{n: self._hash(self._identity(n)) for n in numbers}}

    def remaining(self, number: int) -> list[Any]:
        """Return the transforms behind the first `number`."""
        return list(self.parts[number:])

    def _identity(self, number: int) -> dict[str, Any]:
        return {"encoder": self.inner.fingerprint(), "transform": self._hashes[number - 1]}

    def encode_tail(
        self,
        vectors: np.ndarray,
        texts: Sequence[str] | None = None,
        role: str | None = None,
        languages: Sequence[str] | None = None,
        modules: Sequence[Any] = (),
    ) -> np.ndarray:
        """Apply transforms that vectors of the encoder, or of first transforms, have to pass.

        Args:
            vectors: float32 `[n, dim]`.
            texts: Not used.
            role: "query", "passage" or None.
            languages: Languages of the texts.
            modules: The transforms (`remaining`).

        Returns:
            float32 `[n, dimensions]`.
        """
        for part in modules:
            vectors = part.transform(normalize(vectors), languages, role or "passage")
        return np.asarray(vectors, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens as the encoder does."""
        return self.inner.count_tokens(texts)

    def check_cost(self, parts: Any) -> None:
        """Check the cost as the encoder does (see `ApiEncoder.check_cost`)."""
        check = getattr(self.inner, "check_cost", None)
        if check is not None:
            check(parts)

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
        """Encode texts and transform their vectors, scaled to length one before and after.

        Args:
            texts: The texts.
            role: "query", "passage" or None.
            titles: Titles of the texts.
            languages: Languages of the texts, for a transform by language. Default: they are
                identified.
            precision: Not used.
            progress: Called as `progress(texts_done, texts_in_all)`.

        Returns:
            float32 `[n, dimensions]`.

        Raises:
            MixlingError: The encoder fails, or its vectors have another size than the transform.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        vectors = self.inner.encode(texts, role, titles=titles, progress=progress)
        return self.transform(vectors, texts, role, languages)

    def transform(
        self,
        vectors: np.ndarray,
        texts: Sequence[str],
        role: str | None,
        languages: Sequence[str] | None,
    ) -> np.ndarray:
        """Transform vectors of the encoder inside.

        Args:
            vectors: float32 `[n, dim]`.
            texts: Their texts.
            role: "query", "passage" or None.
            languages: Languages of the texts. Default: they are identified if they are needed.

        Returns:
            float32 `[n, dimensions]`, of length one.

        Raises:
            MixlingError: The vectors have another size than the transform.
        """
        if vectors.shape[1] != self._size:
            raise MixlingError(
                f"{self.name}: {self.inner.name} gives vectors of {vectors.shape[1]} numbers, "
                f"but the transform is for {self._size}, so it was fitted for another model. Fit "
                "it again with `mixling debias`."
            )
        among = self.vector_transform.languages
        if languages is None and among:
            languages = identify_languages(texts, among)
        found = self.vector_transform.transform(normalize(vectors), languages, role or "passage")
        return np.asarray(found, np.float32)


def _hash_parts(parts: tuple[Part, ...]) -> str:
    """Return a hash of the arrays of transforms."""
    tensors = (parts[0] if len(parts) == 1 else ChainedTransform(parts)).tensors()
    return hashlib.sha256(b"".join(tensors[k].tobytes() for k in sorted(tensors))).hexdigest()


def read_encoder_file(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the spelling and the options of the encoder of a folder.

    Raises:
        MixlingError: encoder.json is not what `mixling debias` writes.
    """
    path = folder / FILE
    record = parse_record(path.read_bytes(), path, {"encoder": str, "options": dict})
    return record["encoder"], record["options"]


def write_encoder_file(folder: Path, encoder: ExternalEncoder) -> None:
    """Write the spelling and the options of an encoder into a folder."""
    content = {"encoder": encoder.name, "options": encoder.options}
    (folder / FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False))


def write_transformed(
    encoder: ExternalEncoder, transform: VectorTransform, out: Path, origin: dict[str, Any]
) -> None:
    """Write a transform that was fitted on an encoder without weights, all or nothing.

    Args:
        encoder: The encoder.
        transform: The transform.
        out: The folder to write.
        origin: What it was fitted on, for transform.json.
    """
    if isinstance(encoder, TransformedEncoder):  # a second transform comes behind the first
        parts = (*encoder.parts, *parts_of(transform))
        transform, encoder = ChainedTransform(parts, transform.metadata), encoder.inner
    with new_folder(out) as folder:
        write_transform(transform, folder, origin)
        if is_external(encoder.name):
            write_encoder_file(folder, encoder)
        else:
            logger.warning(
                "%s: %s cannot be loaded by a name, so the folder is a transform and not a "
                "model. Name the function as python:package.module:function",
                out,
                encoder.name,
            )
