"""Splits documents into passages, encodes them and writes them into a store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.encoding.vectors import normalize_for_similarity
from mixling.errors import MixlingError
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder
from mixling.models.precision import Precision
from mixling.searching.documents import Document
from mixling.searching.encoded import EncodedDocuments
from mixling.searching.languages import LanguageIdentifier
from mixling.searching.passages import split_passages
from mixling.searching.sentences import encode_passages, fit_sentences
from mixling.searching.store import SENTENCES, Store, passage_schema

PASSAGE_BATCH = 512  # passages that are encoded and written together
ENCODED_BATCH = 16384  # passages that are written together where their vectors are known
RESERVED_TOKENS = 8  # of the model's length, for the prompt and the special tokens
MIN_SIZE = 8  # tokens of a passage beside a very long title


def document_key(document: str) -> int:
    """Return 64 bits of the hash of a document's id, so that a pass remembers 8 bytes for it."""
    return int.from_bytes(hashlib.blake2b(document.encode(), digest_size=8).digest(), "little")


class PassageWriter:
    """Gathers the passages of new and changed documents and writes them, whole documents together.

    Args:
        store: The store.
        retriever: The model.
        precision: "fp32" or "bf16".
        identifier: Identifies the language of documents that do not state theirs.
        size: Tokens of a passage.
        overlap: Tokens that a passage repeats of the one before it.
        encoded: The vectors of the documents; None: passages are encoded.
        on_write: Called after each commit with the number of commits.

    Attributes:
        unchanged: Documents that the store held with the same content.
        encoded: Passages that were written.
        titled: Of these, passages that the model read with their titles.
    """

    def __init__(
        self,
        store: Store,
        retriever: AnyEncoder,
        precision: Precision,
        identifier: LanguageIdentifier,
        size: int,
        overlap: int,
        encoded: EncodedDocuments | None,
        on_write: Callable[[int], None] | None,
    ):
        self.store = store
        self.unchanged = self.encoded = self.titled = 0
        self._retriever, self._precision = retriever, precision
        self._identifier = identifier
        self._size, self._overlap = size, overlap
        self._known_vectors = encoded
        self._on_write = on_write
        self._writes = 0
        self._rows: list[dict[str, Any]] = []  # passages that wait
        self._documents: list[str] = []  # their documents

    def add(self, documents: Sequence[Document]) -> None:
        """Split the new and changed documents into passages, and write when a batch is full."""
        if not documents:
            return
        ids = [document.id for document in documents]
        if len(set(ids)) < len(ids):
            repeated = min(x for x in ids if ids.count(x) > 1)
            raise MixlingError(f"two documents have the id '{repeated}'. Give each its own id.")
        stored_digests = self.store.digests(ids)
        batch_size = PASSAGE_BATCH if self._known_vectors is None else ENCODED_BATCH
        for document in documents:
            digest = document.digest()
            if stored_digests.get(document.id) == digest:
                self.unchanged += 1
                continue
            self._rows += self._split(document, digest)
            self._documents.append(document.id)
            if len(self._rows) >= batch_size:
                self.write()

    def write(self) -> None:
        """Encode the passages that wait and put them into the store, in one commit."""
        if not self._documents:
            return
        vectors, sentences = self._vectors()
        dimensions = vectors.shape[1]
        known: dict[str, pa.Array] = {
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel(), pa.float32()), dimensions
            ),
            SENTENCES: sentences,
        }
        schema = passage_schema(dimensions, sentences is not None)
        columns = [
            known[field.name]
            if field.name in known
            else pa.array([row[field.name] for row in self._rows], field.type)
            for field in schema
        ]
        rows = fit_sentences(pa.table(columns, schema=schema), self.store)
        self.store.replace(self._documents, rows)
        self.encoded += len(self._rows)
        self.titled += sum(bool(row["embedded_title"]) for row in self._rows)
        self._writes += 1
        self._rows, self._documents = [], []
        if self._on_write is not None:
            self._on_write(self._writes)

    def _split(self, document: Document, digest: str) -> list[dict[str, Any]]:
        """Return the passages of a document as rows; one passage where its vector is known."""
        if document.language:
            language, confidence = document.language, None
        else:
            language, confidence = self._identifier(document.text)
        spans = [(0, len(document.text))]
        if self._known_vectors is None:
            spans = passage_spans(document, language, self._retriever, self._size, self._overlap)
        metadata = json.dumps(document.metadata, ensure_ascii=False, default=str)
        return [
            {
                "id": f"{document.id}#{part}", "document": document.id, "digest": digest,
                "title": document.title, "address": document.address, "language": language,
                "group": document.group, "text": document.text[begin:end],
                "metadata": metadata, "part": part, "begin": begin, "end": end,
                "confidence": confidence, "embedded_title": document.embedded_title,
            }
            for part, (begin, end) in enumerate(spans)
        ]  # fmt: skip

    def _vectors(self) -> tuple[np.ndarray, pa.Array | None]:
        """Return the vectors of the waiting passages, as a store keeps them.

        Returns:
            Their vectors, encoded or known, float32 `[n, dim]`; and their column `sentences`, None
            where the vectors of sentences are not known.
        """
        languages = [row["language"] for row in self._rows]
        if self._known_vectors is not None:
            vectors = self._known_vectors.find(self._documents)
            modules = self._known_vectors.remaining
            vectors = self._retriever.encode_tail(vectors, None, "passage", languages, modules)
            return normalize_for_similarity(self._retriever, vectors), None
        return encode_passages(
            self._retriever,
            [row["text"] for row in self._rows],
            [row["embedded_title"] for row in self._rows],
            languages,
            self._precision,
            self.store.keeps_sentences,
        )


def passage_spans(
    document: Document, language: str, retriever: AnyEncoder, size: int, overlap: int
) -> list[tuple[int, int]]:
    """Return where the passages of a document begin and end, at least one.

    Args:
        document: The document.
        language: Its language.
        retriever: The model that reads the passages.
        size: Tokens of a passage at most.
        overlap: Tokens that a passage repeats of the one before it.
    """
    count_tokens = partial(_count_tokens, retriever)
    title = [document.embedded_title] if document.embedded_title else []
    # The model reads a passage and its title together.
    room = retriever.max_length - RESERVED_TOKENS - sum(count_tokens(title))
    size = min(size, max(room, MIN_SIZE))
    overlap = min(overlap, size - 1)
    spans = split_passages(document.text, language, count_tokens, size, overlap)
    return spans or [(0, len(document.text))]


def _count_tokens(retriever: AnyEncoder, texts: Sequence[str]) -> list[int]:
    """Return the tokens of each text, without special tokens."""
    if not texts:
        return []
    if isinstance(retriever, ExternalEncoder):
        return retriever.count_tokens(texts)
    encoding = retriever.tokenizer(
        list(texts),
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,  # texts longer than the model are split afterwards
    )
    return [len(tokens) for tokens in encoding["input_ids"]]
