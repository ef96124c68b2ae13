"""Moves the passages of a store into another; nothing is encoded again."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.encoding.read_vectors import table_matrix
from mixling.errors import MixlingError
from mixling.progress import Progress
from mixling.searching.reports import IndexReport
from mixling.searching.sentences import fit_sentences, transform_sentences
from mixling.searching.store import SENTENCES, Store
from mixling.searching.writer import document_key

GROUP_DOCUMENTS = 500  # documents that are moved together

# Transforms the vectors of passages, float32 `[n, dim]`, whose languages are given.
VectorTransform = Callable[[np.ndarray, list[str]], np.ndarray]


def stored_rows(store: Store, address: str) -> Iterator[pa.Table]:
    """Yield the passages of a store, whole documents together.

    Args:
        store: The store.
        address: Its address, for messages.

    Raises:
        MixlingError: Its indexing did not finish, or it was written meanwhile.
    """
    info = store.info
    if "means" not in info:
        raise MixlingError(
            f"{address}: indexing was not finished. Run the same `mixling index` again first."
        )
    for ids in store.document_ids():
        for begin in range(0, len(ids), GROUP_DOCUMENTS):
            yield store.passages(ids[begin : begin + GROUP_DOCUMENTS])
    if store.info is not info:  # it moved on to a newer version
        raise MixlingError(
            f"{address}: the store was written while it was read. Run the same command again."
        )


def import_rows(
    tables: Iterable[pa.Table], passages: int, store: Store, transform: VectorTransform | None
) -> tuple[IndexReport, np.ndarray]:
    """Put passages into a store, without the documents that it holds unchanged.

    Args:
        tables: Rows with the columns of `passage_schema`, whole documents together.
        passages: How many passages there are, about.
        store: The store.
        transform: Transforms the vectors on the way; None: they stay as they are.

    Returns:
        The counts of documents; the caller adds those of the store. The sorted keys of the
        documents, uint64 `[n]`.
    """
    keys = array("Q")
    documents = unchanged = done = 0
    with Progress("importing") as bar:
        for rows in tables:
            digests = dict(
                zip(rows["document"].to_pylist(), rows["digest"].to_pylist(), strict=True)
            )
            keys.extend(document_key(x) for x in digests)
            stored_digests = store.digests(list(digests))
            changed = [x for x, digest in digests.items() if stored_digests.get(x) != digest]
            documents += len(digests)
            unchanged += len(digests) - len(changed)
            if changed:
                selected = rows.filter(pc.is_in(rows["document"], value_set=pa.array(changed)))
                if transform is not None:
                    selected = _transform_vectors(selected, transform)
                store.replace(changed, fit_sentences(selected, store))
            done += len(rows)
            bar(done, max(passages, done))
    report = IndexReport(documents=documents, unchanged=unchanged, written=documents - unchanged)
    return report, np.unique(np.frombuffer(keys, np.uint64))


def _transform_vectors(rows: pa.Table, transform: VectorTransform) -> pa.Table:
    vectors = transform(np.concatenate(table_matrix(rows)), rows["language"].to_pylist())
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]
    )
    moved = rows.set_column(
        rows.column_names.index("vector"), pa.field("vector", column.type), column
    )
    if SENTENCES not in rows.column_names:
        return moved
    sentences = transform_sentences(rows, transform)
    return moved.set_column(rows.column_names.index(SENTENCES), SENTENCES, sentences)
