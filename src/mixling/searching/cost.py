"""The cost of putting documents into a store, by an encoder that is paid by the token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from mixling.errors import MixlingError
from mixling.models.encoders import AnyEncoder
from mixling.searching.documents import Document
from mixling.searching.languages import LanguageIdentifier
from mixling.searching.store import Store
from mixling.searching.stores import is_store, open_store
from mixling.searching.writer import passage_spans

DOCUMENT_BATCH = 256  # documents that are looked up together


def check_index_cost(
    retriever: AnyEncoder,
    documents: Iterable[Document],
    address: str,
    languages: Sequence[str] | None,
    size: int,
    overlap: int,
) -> None:
    """Report and check the cost of all passages before the first is sent.

    Only passages of documents that are new or changed are counted. Encoders that cost nothing are
    not asked. Nothing is written.

    Args:
        retriever: The model.
        documents: The documents.
        address: The store, which need not exist.
        languages: The languages among which it is identified; None: all.
        size: Tokens of a passage.
        overlap: Tokens that a passage repeats of the one before it.

    Raises:
        DryRun: The encoder was made for a dry run.
        MixlingError: The cost is above the limit.
    """
    check = getattr(retriever, "check_cost", None)
    if check is not None:
        store = _store_if_any(address)
        check(_texts_by_batch(retriever, documents, store, languages, size, overlap))


def _store_if_any(address: str) -> Store | None:
    """Open a store if it exists; its errors are reported when it is written."""
    try:
        return open_store(address) if is_store(address) else None
    except MixlingError:
        return None


def _texts_by_batch(
    retriever: AnyEncoder,
    documents: Iterable[Document],
    store: Store | None,
    languages: Sequence[str] | None,
    size: int,
    overlap: int,
) -> Iterator[tuple[list[str], str, list[str | None]]]:
    """Yield the passages that would be encoded, their role, and their titles."""
    identifier = LanguageIdentifier(languages)
    for batch in _batches(documents):
        stored = {} if store is None else store.digests([x.id for x in batch])
        texts, titles = list[str](), list[str | None]()
        for document in batch:
            if stored.get(document.id) == document.digest():
                continue
            language = document.language or identifier(document.text)[0]
            spans = passage_spans(document, language, retriever, size, overlap)
            texts += [document.text[begin:end] for begin, end in spans]
            titles += [document.embedded_title] * len(spans)
        yield texts, "passage", titles


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield documents in batches."""
    iterator = iter(documents)
    while batch := list(islice(iterator, DOCUMENT_BATCH)):
        yield batch
