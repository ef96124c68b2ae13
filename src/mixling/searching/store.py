"""Declares the interface of a store of passages.

A new kind of store is a subclass of `Store` in a file of its own and one line in
`mixling.searching.stores.STORES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from mixling.corpora.json_files import parse_record
from mixling.errors import MixlingError

# The columns that a search returns, beside `score`.
RESULT_COLUMNS = (
    "id",
    "document",
    "title",
    "address",
    "language",
    "group",
    "text",
    "metadata",
    "part",
    "begin",
    "end",
    "confidence",
)
# The column of a passage's sentences, which a store may lack (`mixling.searching.sentences`).
SENTENCES = "sentences"
# The keys of a store's info without which it cannot be searched, with their types.
REQUIRED_INFO = {"model": str, "encoder": str, "prompts": dict, "dimensions": int}


def passage_schema(dimensions: int, sentences: bool = False) -> pa.Schema:
    """Return the columns of a stored passage.

    `digest` is the hash of the passage's document. `begin` and `end` are character positions in the
    document's text. `confidence` is the probability of an identified language; it is null where the
    document states its language.

    Args:
        dimensions: Size of the vectors.
        sentences: Whether there is a column of the passage's sentences; it is null where their
            vectors are not known.
    """
    text = ("id", "document", "digest", "title", "address", "language", "group", "text", "metadata")
    return pa.schema(
        [
            *[(name, pa.string()) for name in text],
            ("part", pa.int32()),
            ("begin", pa.int32()),
            ("end", pa.int32()),
            ("confidence", pa.float32()),
            ("vector", pa.list_(pa.float32(), dimensions)),
            *([(SENTENCES, pa.binary())] if sentences else []),
        ]
    )


def result_schema() -> pa.Schema:
    """Return the columns that a search returns, without `score`."""
    schema = passage_schema(1)
    return pa.schema([schema.field(name) for name in RESULT_COLUMNS])


def search_ef(k: int) -> int:
    """Return how many candidates an HNSW graph keeps while it looks for k neighbors (its `ef`).

    benchmarks/search.py chose the numbers by recall.
    """
    return max(12 * k, 800)


def parse_store_info(raw: bytes, source: Path | str) -> dict[str, Any]:
    """Parse the info of a store and check its types.

    Args:
        raw: The info as JSON.
        source: Where it comes from, for error messages.

    Raises:
        MixlingError: It is not JSON, or a value has another type than Mixling writes.
    """
    info = parse_record(raw, source, {})
    types: dict[str, Any] = {
        **REQUIRED_INFO,
        "passages": int,
        "languages": (dict, list),
        "means": dict,
    }
    parse_record(raw, source, {key: expected for key, expected in types.items() if key in info})
    dimensions = info.get("dimensions")
    valid = all(
        isinstance(mean, list)
        and dimensions in (None, len(mean))
        and all(type(x) in (int, float) for x in mean)
        for mean in info.get("means", {}).values()
    )
    if "means" in info and set(info["means"]) != set(info.get("languages", ())):
        valid = False
    if not valid or not all(isinstance(x, str) for x in info.get("prompts", {}).values()):
        raise MixlingError(
            f"{source}: 'means', 'languages' or 'prompts' are not as Mixling writes them. Index "
            "the documents again."
        )
    return info


class Store(ABC):
    """A store of passages, which belong to documents.

    Rows have the columns of `passage_schema`. A reader sees whole commits only, also while a writer
    writes.

    Attributes:
        info: JSON values that belong to the store: the model that made the vectors, its fingerprint
            and prompts, and after indexing the passages and the mean vector of each language. A
            reader that moves on to a newer version of the store binds a new dictionary; `Searcher`
            notices by that.
        keeps_sentences: Whether its rows have the column `sentences`.
    """

    info: dict[str, Any]
    keeps_sentences: bool = False

    @classmethod
    @abstractmethod
    def open(cls, address: str) -> Self:
        """Open a store that exists.

        Raises:
            MixlingError: There is no store at the address, or it cannot be reached.
        """

    @classmethod
    @abstractmethod
    def open_or_create(cls, address: str, dimensions: int, info: dict[str, Any]) -> Self:
        """Open a store that exists, with the info that it has, or create one.

        Args:
            address: Where the store is.
            dimensions: Size of the vectors of a new store.
            info: The info of a new store.

        Raises:
            MixlingError: The store cannot be reached, or something else is at the address.
        """

    @classmethod
    def exists(cls, address: str) -> bool:
        """Return whether there is a store at an address."""
        raise _not_moved(address)

    @classmethod
    def rename(cls, old: str, new: str) -> None:
        """Give a store another address, where there is one at the old and none at the new."""
        raise _not_moved(old)

    @classmethod
    def remove(cls, address: str) -> None:
        """Remove a store."""
        raise _not_moved(address)

    @classmethod
    def beside(cls, address: str) -> list[str]:
        """Return the addresses of stores whose names begin with that of a store, sorted."""
        raise _not_moved(address)

    @abstractmethod
    def write_info(self, info: dict[str, Any]) -> None:
        """Replace the info of the store."""

    @abstractmethod
    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the digest of each of these documents that the store holds.

        Args:
            documents: Ids of documents.
        """

    @abstractmethod
    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        """Replace all passages of these documents, in one commit.

        Args:
            documents: Ids of the documents, new ones included.
            rows: All their passages, with the columns of `passage_schema`.
        """

    @abstractmethod
    def delete(self, documents: Sequence[str]) -> None:
        """Delete documents; ids that the store does not hold are ignored."""

    @abstractmethod
    def document_ids(self) -> Iterator[list[str]]:
        """Yield the ids of all documents, in batches."""

    @abstractmethod
    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield the languages `[n]` and the vectors `[n, dim]` of all passages, in batches."""

    def sample(self, n: int) -> tuple[list[str], np.ndarray]:
        """Return the languages and the vectors, `[m, dim]`, of about n passages, m <= n.

        They stand for all passages as far as that costs little. By default they are the first.
        """
        languages, vectors = next(self.vectors())
        return languages[:n], vectors[:n]

    @abstractmethod
    def count(self, languages: Sequence[str] | None = None) -> int:
        """Count the passages, of these languages only if given."""

    @abstractmethod
    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        """Find the k passages with the highest dot product.

        Args:
            vector: float32 `[dim]`.
            k: How many passages.
            languages: Search passages in these languages only.

        Returns:
            `RESULT_COLUMNS` and `score` (float32), best first.
        """

    @abstractmethod
    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        """Find the k best passages by full text, without passages that share no term with it.

        Args:
            text: The query.
            k: How many passages.
            languages: Search passages in these languages only.

        Returns:
            `RESULT_COLUMNS` and `score` (float32), best first, equal scores by id.

        Raises:
            MixlingError: This kind of store has no full text.
        """

    def sentences(self, hits: Sequence[Any]) -> list[bytes | None]:
        """Return the column `sentences` of passages that a search found; None where it is unknown.

        Args:
            hits: The passages, `SearchHit`.
        """
        return [None] * len(hits)

    @abstractmethod
    def document(self, document: str) -> pa.Table:
        """Return the passages of a document in their order: `RESULT_COLUMNS`."""

    @abstractmethod
    def passages(self, documents: Sequence[str]) -> pa.Table:
        """Return all passages of documents with the columns of `passage_schema`.

        The passages of a document stand together, in their order.
        """

    @abstractmethod
    def finish(self) -> None:
        """Build the search indexes; called when writing ends."""


def _not_moved(address: str) -> MixlingError:
    return MixlingError(
        f"{address}: Mixling cannot rename or remove a store of this kind. Use the tools of its "
        "server."
    )
