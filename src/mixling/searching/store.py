"""What a store of passages holds and must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from mixling.corpora.json_files import parse_record
from mixling.errors import MixlingError


def passage_schema(dimensions: int) -> pa.Schema:
    """Columns of a passage. digest: of its document; begin, end: its characters in the document's text; confidence: of the
    language where it was identified, null where it was given."""
    text = ("id", "document", "digest", "title", "address", "language", "group", "text", "metadata")
    return pa.schema(
        [
            *[(name, pa.string()) for name in text],
            ("part", pa.int32()),
            ("begin", pa.int32()),
            ("end", pa.int32()),
            ("confidence", pa.float32()),
            ("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def search_ef(k: int) -> int:
    """How many candidates a graph (HNSW) keeps on the way to k neighbours, its `ef` (set by recall: benchmarks/search.py)."""
    return max(12 * k, 800)


FACTS = {"model": str, "encoder": str, "prompts": dict, "dimensions": int}


def about(raw: bytes, where: Path | str) -> dict[str, Any]:
    """The facts of a store, read. Raises MixlingError where they are not what Mixling writes."""
    info = parse_record(raw, where, {})
    needed: dict[str, Any] = {**FACTS, "passages": int, "languages": (dict, list), "means": dict}
    parse_record(raw, where, {k: kind for k, kind in needed.items() if k in info})
    size = info.get("dimensions")
    right = all(
        isinstance(m, list) and size in (None, len(m)) and all(type(x) in (int, float) for x in m)
        for m in info.get("means", {}).values()
    )
    if "means" in info and set(info["means"]) != set(info.get("languages", ())):
        right = False
    if not right or not all(isinstance(x, str) for x in info.get("prompts", {}).values()):
        raise MixlingError(
            f"{where}: 'means', 'languages' or 'prompts' are not what Mixling writes; index the documents again"
        )
    return info


# what a search gives, beside `score`
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


def shown() -> pa.Schema:
    """The columns that a search gives, beside `score`."""
    whole = passage_schema(1)
    return pa.schema([whole.field(name) for name in RESULT_COLUMNS])


class Store(Protocol):
    """Passages of documents. Readers see whole commits only, also while a writer works."""

    info: dict[str, Any]

    def write_info(self, info: dict[str, Any]) -> None:
        """Keep facts about the store with it."""

    def digests(self, documents: Sequence[str]) -> dict[str, str]:
        """The digest of those documents that are there."""

    def replace(self, documents: Sequence[str], rows: pa.Table) -> None:
        """Put these passages in the place of all that the documents have: one commit."""

    def delete(self, documents: Sequence[str]) -> None:
        """Remove documents."""

    def documents(self) -> Iterator[list[str]]:
        """Ids of all documents, in parts."""

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Languages and vectors of all passages, in parts."""

    def count(self, languages: Sequence[str] | None = None) -> int:
        """How many passages there are, of some languages."""

    def nearest(
        self, vector: np.ndarray, k: int, languages: Sequence[str] | None = None
    ) -> pa.Table:
        """The k best passages by dot product: SHOWN and score, best first."""

    def lexical(self, text: str, k: int, languages: Sequence[str] | None = None) -> pa.Table:
        """The k best passages by full text: SHOWN and score, best first, equal ones by id; none that shares no term."""

    def document(self, name: str) -> pa.Table:
        """The passages of a document in their order: SHOWN."""

    def whole(self, documents: Sequence[str]) -> pa.Table:
        """All passages of documents, all columns of `schema`, a document's passages together."""

    def finish(self) -> None:
        """Make indexes fit for searching; called when writing ends."""
