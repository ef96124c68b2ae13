"""Names the sentence of a passage that is nearest to a query, without encoding anything.

`mixling index` stores the vectors of a passage's sentences beside the passage, in the column
`sentences` (`passage_schema`). They come from the pass that encodes the passage
(`mixling.models.span_vectors`). Each is stored as int8 with a scale of its own, since only the best
of a few sentences is asked for. A passage of one sentence stores nothing. Such vectors have read
the whole passage, so they resemble each other; the terms that a sentence shares with the query
decide beside them.

Where a passage has no such vectors (the store is older or on a server, the model gives none, or the
vectors were made by `mixling encode`), the terms decide alone. If no sentence shares one, which is
usual between languages, no sentence is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from mixling.corpora.sentences import sentence_spans
from mixling.encoding.vectors import normalize_for_similarity
from mixling.models.encoders import AnyEncoder
from mixling.models.precision import Precision
from mixling.models.span_vectors import encode_with_spans, has_span_vectors
from mixling.searching.folding import fold_text, query_terms
from mixling.searching.hits import SearchHit
from mixling.searching.store import SENTENCES, Store

Span = tuple[int, int]
_LEVELS = 127  # of int8
# What sharing all terms of the query counts beside the spread of the similarities of a passage's
# sentences; chosen on MLQA's development data (studies/highlight.py).
TERMS_WEIGHT = 2.0


def pack_sentences(spans: Sequence[Span], vectors: np.ndarray) -> bytes:
    """Pack the sentences of a passage for a store.

    Args:
        spans: The sentences as characters `[begin, end)` of the passage.
        vectors: Their vectors, float32 `[n, dim]`; zeros for a sentence that the model did not
            read.

    Returns:
        The number of sentences, their spans (uint32), scales (float32) and vectors (int8), all
        little-endian; nothing for fewer than two sentences.
    """
    if len(spans) < 2:
        return b""
    scales = np.abs(vectors).max(1) / _LEVELS
    codes = np.rint(vectors / np.maximum(scales, 1e-30)[:, None]).astype(np.int8)
    return b"".join(
        (
            np.array([len(spans)], "<u4").tobytes(),
            np.array(spans, "<u4").tobytes(),
            scales.astype("<f4").tobytes(),
            codes.tobytes(),
        )
    )


def unpack_sentences(packed: bytes) -> tuple[list[Span], np.ndarray]:
    """Return the sentences that `pack_sentences` packed: spans and vectors, float32 `[n, dim]`."""
    if not packed:
        return [], np.zeros((0, 0), np.float32)
    n = int(np.frombuffer(packed, "<u4", 1)[0])
    spans = np.frombuffer(packed, "<u4", 2 * n, 4).reshape(n, 2).tolist()
    scales = np.frombuffer(packed, "<f4", n, 4 + 8 * n)
    codes = np.frombuffer(packed, np.int8, offset=4 + 12 * n).reshape(n, -1)
    return [(begin, end) for begin, end in spans], codes * scales[:, None]


def transform_sentences(
    rows: pa.Table, transform: Callable[[np.ndarray, list[str]], np.ndarray]
) -> pa.Array:
    """Return the column `sentences` of passages with its vectors transformed.

    Args:
        rows: Passages with the columns `language` and `sentences`.
        transform: Transforms vectors, float32 `[n, dim]`, whose languages are given.
    """
    packed = rows[SENTENCES].to_pylist()
    unpacked = [unpack_sentences(x or b"") for x in packed]
    languages = [
        language
        for language, (spans, _) in zip(rows["language"].to_pylist(), unpacked, strict=True)
        for _ in spans
    ]
    if not languages:
        return pa.array(packed, pa.binary())
    vectors = np.concatenate([x for spans, x in unpacked if spans])
    read = np.abs(vectors).max(1) > 0
    tags = [tag for tag, was_read in zip(languages, read, strict=True) if was_read]
    transformed = transform(vectors[read], tags)
    moved = np.zeros((len(vectors), transformed.shape[1]), np.float32)
    moved[read] = transformed
    parts = np.split(moved, np.cumsum([len(spans) for spans, _ in unpacked])[:-1])
    return pa.array(
        [
            None if old is None else pack_sentences(spans, part)
            for old, (spans, _), part in zip(packed, unpacked, parts, strict=True)
        ],
        pa.binary(),
    )


def fit_sentences(rows: pa.Table, store: Store) -> pa.Table:
    """Return rows with the column `sentences` if the store keeps it, else without; null if unknown.

    Args:
        rows: Rows with the columns of `passage_schema`, perhaps with `sentences`.
        store: The store to write them into.
    """
    has_column = SENTENCES in rows.column_names
    if has_column and not store.keeps_sentences:
        return rows.drop_columns([SENTENCES])
    if store.keeps_sentences and not has_column:
        return rows.append_column(SENTENCES, pa.nulls(len(rows), pa.binary()))
    return rows


def encode_passages(
    encoder: AnyEncoder,
    texts: Sequence[str],
    titles: Sequence[str],
    languages: Sequence[str],
    precision: Precision,
    with_sentences: bool,
) -> tuple[np.ndarray, pa.Array | None]:
    """Encode passages and, where the model can, their sentences in the same pass.

    Args:
        encoder: The model.
        texts: The passages.
        titles: The titles that the model reads with them, "" for none.
        languages: Their languages.
        precision: Number format to compute in.
        with_sentences: Whether the vectors of sentences are wanted.

    Returns:
        The vectors, float32 `[n, dim]`, whose dot products are the model's scores; and the column
        `sentences`, None where it is not wanted or the model gives no such vectors.
    """
    if not with_sentences or not has_span_vectors(encoder):
        vectors = encoder.encode(
            texts, "passage", titles=titles, languages=languages, precision=precision
        )
        return normalize_for_similarity(encoder, vectors), None
    spans = [sentence_spans(*pair) for pair in zip(texts, languages, strict=True)]
    vectors, parts = encode_with_spans(
        cast(Any, encoder), texts, "passage", [x if len(x) > 1 else [] for x in spans],
        titles=titles, languages=languages, precision=precision,
    )  # fmt: skip
    packed = [
        pack_sentences(x, _scaled(encoder, part)) if len(x) > 1 else b""
        for x, part in zip(spans, parts, strict=True)
    ]
    return normalize_for_similarity(encoder, vectors), pa.array(packed, pa.binary())


def _scaled(encoder: AnyEncoder, vectors: np.ndarray) -> np.ndarray:
    """Scale vectors as the store's are scaled; those of sentences that were not read stay zero."""
    read = np.abs(vectors).max(1) > 0
    scaled = np.zeros_like(vectors)
    scaled[read] = normalize_for_similarity(encoder, vectors[read])
    return scaled


def stored_sentences(store: Any, hits: Sequence[SearchHit]) -> list[bytes | None]:
    """Return the column `sentences` of a LanceDB store for hits; see `Store.sentences`."""
    numbers = [hit.row for hit in hits if hit.row is not None]
    if not numbers or SENTENCES not in store.table.schema.names:
        return [None] * len(hits)
    rows = store.table.take_row_ids(numbers).select(["id", SENTENCES]).to_arrow()
    # A reader may have moved on to a newer version, which numbers its rows anew; hence the ids.
    packed = dict(zip(rows["id"].to_pylist(), rows[SENTENCES].to_pylist(), strict=True))
    return [packed.get(hit.id) for hit in hits]


def highlight(
    store: Store, hits: Sequence[SearchHit], vector: np.ndarray, queries: Sequence[str]
) -> list[SearchHit]:
    """Set the sentence of each hit to the one that is nearest to the query.

    Args:
        store: The store that the hits come from.
        hits: The hits.
        vector: The query's vector, `[dim]`.
        queries: The query, or the query and its translations.

    Returns:
        The hits with `sentence`; the whole text for a passage of one sentence; None where no
        sentence can be told from the others.
    """
    terms = [term.removeprefix("_") for term in query_terms(" ".join(queries))]
    highlighted = []
    for hit, packed in zip(hits, store.sentences(hits), strict=True):
        similarities = None
        if packed:
            spans, vectors = unpack_sentences(packed)
            similarities = np.where(np.abs(vectors).max(1) > 0, vectors @ vector, -np.inf)
        else:  # nothing is stored of a passage of one sentence
            spans = sentence_spans(hit.text, hit.language) if packed is None else []
        sentence: Span | None = (0, len(hit.text)) if not spans else spans[0]
        if len(spans) > 1:
            shared = shared_terms([hit.text[begin:end] for begin, end in spans], terms)
            best = nearest_sentence(shared, similarities)
            sentence = None if best is None else spans[best]
        highlighted.append(replace(hit, sentence=sentence))
    return highlighted


def shared_terms(sentences: Sequence[str], terms: Sequence[str]) -> np.ndarray:
    """Return the share of a query's terms that each sentence of a passage has.

    A term counts log(1 + n / m), where m of the n sentences have it.

    Args:
        sentences: The sentences.
        terms: The query's terms, folded (`mixling.searching.folding`).

    Returns:
        float64 `[n]`, from 0 to 1.
    """
    folded = [fold_text(x) for x in sentences]
    has = np.array([[term in x for term in terms] for x in folded], np.float64)
    if not has.size:
        return np.zeros(len(sentences))
    weights = np.log(1 + len(sentences) / np.maximum(has.sum(0), 1))
    shares: np.ndarray = has @ weights / weights.sum()
    return shares


def nearest_sentence(shared: np.ndarray, similarities: np.ndarray | None) -> int | None:
    """Return the sentence of a passage that is nearest to a query; None if none can be told.

    Args:
        shared: The share of the query's terms that each sentence has, `[n]`.
        similarities: The similarity of each sentence's vector to the query's, `[n]`; -inf where a
            sentence has none. None where no vectors are known: then shared terms alone decide.
    """
    if similarities is None or np.isneginf(similarities).all():
        return int(shared.argmax()) if shared.any() else None
    finite = similarities[~np.isneginf(similarities)]
    spread = max(float(np.ptp(finite)), 1e-9)
    return int((similarities / spread + TERMS_WEIGHT * shared).argmax())
