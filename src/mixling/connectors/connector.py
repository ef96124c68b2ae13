"""Declares what a connector does: it reads vectors in batches and keeps a repaired copy of them.

The copy is called the *shadow*. A connector writes it under a name of its own, and `switch` puts it
in the place of the original, which is kept. A new kind of database is a subclass of `Connector` in
a file of its own and one line in `mixling.connectors.registry.CONNECTORS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mixling.connectors.address import Address
from mixling.errors import BadVectorError, MixlingError, check_finite_vectors, not_installed

TEXT_FIELDS = ("text", "content", "page_content", "document", "passage", "body", "chunk")
LANGUAGE_FIELDS = ("language", "lang")


@dataclass(frozen=True)
class Description:
    """The description of a collection of vectors.

    Args:
        kind: "qdrant", "postgresql", "chroma", "milvus", "lancedb", "store" or "parquet".
        count: Number of rows that have a vector.
        dimensions: Size of the vectors.
        metric: "cosine", "dot" or "l2"; None where the database names none.
        vector_field: Name of the vector's field; "" where there is one without a name.
        text_field: Name of the text's field; None where there is none.
        language_field: Name of the language's field; None where there is none.
        number_format: "float32" or "float16", as the database keeps numbers.
    """

    kind: str
    count: int
    dimensions: int
    metric: str | None
    vector_field: str
    text_field: str | None
    language_field: str | None
    number_format: str = "float32"


@dataclass(frozen=True)
class Batch:
    """Some rows.

    Args:
        ids: Their ids, as the database types them.
        vectors: float32 `[n, dim]`.
        texts: Their texts; None where there is no text field or it was not asked for.
        languages: Their languages as stored; None where there is no language field.
        rows: Everything else that a copy of each row needs, as the connector has it.
    """

    ids: list[Any]
    vectors: np.ndarray
    texts: list[str | None] | None
    languages: list[str | None] | None
    rows: list[Any]

    def __len__(self) -> int:
        return len(self.ids)


class Connector(ABC):
    """Vectors of one collection, table, store or set of files.

    Attributes:
        address: The address that was opened.
    """

    address: Address
    batch_size = 1000

    @classmethod
    @abstractmethod
    def open(cls, address: Address) -> Self:
        """Connect.

        Raises:
            MixlingError: The database cannot be reached, or its client is not installed.
        """

    @abstractmethod
    def describe(self) -> Description:
        """Describe the collection.

        Raises:
            MixlingError: There is no such collection, table, column or field, or it holds no
                vectors that can be read.
        """

    @abstractmethod
    def keys(self) -> Sequence[Any]:
        """Return the keys by which `fetch` finds rows: all ids, or all positions."""

    @abstractmethod
    def fetch(self, keys: Sequence[Any], with_texts: bool = False) -> Batch:
        """Read rows. Rows that are gone meanwhile are left out.

        Args:
            keys: Some of `keys`.
            with_texts: Whether texts are wanted.
        """

    def iter_batches(self, size: int | None = None, with_texts: bool = False) -> Iterator[Batch]:
        """Yield all rows that have a vector.

        Args:
            size: Rows in a batch; default: what suits the database.
            with_texts: Whether texts are wanted.

        Raises:
            NotFiniteError: A vector holds NaN or infinity; the message names its row.
        """
        size = size or self.batch_size
        keys = self.keys()
        for start in range(0, len(keys), size):
            batch = self.fetch(keys[start : start + size], with_texts)
            if len(batch):
                yield check_batch(batch, self.address.text)

    def sample(self, n: int, seed: int = 0, with_texts: bool = True) -> Batch:
        """Read some rows, drawn at random.

        Args:
            n: How many; all rows where there are fewer.
            seed: The same seed draws the same rows of the same collection.
            with_texts: Whether texts are wanted.
        """
        keys = self.keys()
        chosen = np.random.default_rng(seed).permutation(len(keys))[:n]
        picked = [keys[int(i)] for i in np.sort(chosen)]
        size = self.batch_size
        parts = [self.fetch(picked[i : i + size], with_texts) for i in range(0, len(picked), size)]
        return check_batch(join_batches(parts, self.describe().dimensions), self.address.text)

    def close(self) -> None:
        """Close the connection."""
        return


def check_batch(batch: Batch, source: str) -> Batch:
    """Return a batch whose vectors are finite; NaN and infinity are refused by name."""
    check_finite_vectors(batch.vectors, lambda i: f"row {batch.ids[i]!r}", source)
    return batch


def join_batches(batches: Sequence[Batch], dimensions: int) -> Batch:
    """Join batches of one collection."""

    def column(name: str) -> Any:
        parts = [getattr(b, name) for b in batches]
        return None if not parts or parts[0] is None else [x for part in parts for x in part]

    vectors = [b.vectors for b in batches] or [np.empty((0, dimensions), np.float32)]
    return Batch(
        column("ids") or [],
        np.concatenate(vectors),
        column("texts"),
        column("languages"),
        column("rows") or [],
    )


def stack_vectors(
    vectors: Sequence[Any], dimensions: int, ids: Sequence[Any], source: str
) -> np.ndarray:
    """Stack the vectors of some rows.

    Args:
        vectors: A sequence of numbers for each row.
        dimensions: Their size.
        ids: The rows' ids, for the message.
        source: The address, for the message.

    Returns:
        float32 `[n, dim]`.

    Raises:
        BadVectorError: A vector has another size.
    """
    for row, vector in zip(ids, vectors, strict=True):
        if len(vector) != dimensions:
            raise BadVectorError(
                f"{source}: the vector of row {row!r} has {len(vector)} numbers, but the other "
                f"vectors have {dimensions}. All vectors must come from one model: make them "
                "again."
            )
    if not len(vectors):
        return np.empty((0, dimensions), np.float32)
    with np.errstate(over="ignore"):
        return np.asarray(vectors).astype(np.float32)


def choose_field(
    address: Address, option: str, names: Sequence[str], usual: Sequence[str]
) -> str | None:
    """Return the field that an address names, else the first usual one that there is.

    Args:
        address: The address; `options[option]` names the field.
        option: "text" or "language".
        names: The fields that there are; empty where that is not known.
        usual: Usual names.

    Raises:
        MixlingError: The address names a field that does not exist.
    """
    given = address.options.get(option)
    if given is None:
        return next((x for x in usual if x in names), None)
    if names and given not in names:
        raise MixlingError(
            f"{address.text}: the rows have no field '{given}' for {option}. Their fields are: "
            f"{', '.join(names)}"
        )
    return given


@contextmanager
def explain_errors(source: str, action: str, *errors: type[BaseException]) -> Iterator[None]:
    """Turn the errors of a database's client into one message.

    Args:
        source: The address.
        action: What failed: "the table cannot be read".
        errors: The client's types of error.

    Raises:
        MixlingError: The block raised one of `errors`.
    """
    try:
        yield
    except MixlingError:
        raise
    except errors as error:
        lines = [x.strip() for x in str(error).splitlines() if x.strip()]
        reason = (lines[0] if lines else type(error).__name__)[:300]
        raise MixlingError(
            f"{source}: {action} ({reason}). Check the address, and whether the database runs and "
            "permits this."
        ) from None


def import_client(load: Callable[[], Any], package: str, extra: str) -> Any:
    """Import a database's client.

    Raises:
        MixlingError: It is not installed; the message names the extra.
    """
    try:
        return load()
    except ImportError:
        raise not_installed(package, extra) from None
