"""The sample of a collection with its vectors, and with translations that are given or found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from mixling.auditing.candidates import Pool
from mixling.auditing.pool import UNKNOWN, PoolSampler, Rows, group_numbers
from mixling.auditing.queries import BEGINNING, MAX_CHARACTERS, MadeQueries, make_queries
from mixling.auditing.sources import Source
from mixling.auditing.translations import find_translations
from mixling.auditing.verdict import MIN_PASSAGES
from mixling.errors import MixlingError
from mixling.models.precision import Precision
from mixling.models.weights import DEFAULT
from mixling.progress import Progress
from mixling.transforms.transforms import normalize

MIN_LINKS = 100  # found translations, for them to be used
MIN_PRECISION = 0.9  # estimated for them


class Encoder(Protocol):
    """The interface of an encoder that an audit uses."""

    name: str
    similarity: Literal["cosine", "dot"]

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        languages: Sequence[str] | None = None,
        precision: Precision = "auto",
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Return the vectors of texts, float32 `[n, dim]`."""


def load_encoder(
    source: Source, model: Any, has_log: bool, trust_remote_code: bool
) -> Encoder | None:
    """Return the encoder that is given, or that the store names; None for vectors alone.

    Args:
        source: The collection.
        model: The encoder or its name; None if none is given.
        has_log: Whether there are texts to encode that are not in the source.
        trust_remote_code: Run code that comes with the model.

    Raises:
        MixlingError: The encoder is needed and missing, or is not the one that made the store.
    """
    from mixling.models import encoders
    from mixling.models.retriever import Retriever
    from mixling.searching.stores import made_by

    chosen: Any = source.model if model is None else model
    if chosen is None:
        if source.source_type == "documents":
            raise MixlingError(
                f"{source.name}: the source holds documents, so the audit needs the encoder that "
                f"searches them. Name it, for example: mixling audit {source.name} {DEFAULT}"
            )
        if has_log:
            raise MixlingError(
                "--queries gives texts, but no encoder is known that could encode them. Name "
                f"the model that made the vectors: mixling audit {source.name} MODEL --queries "
                "FILE"
            )
        return None
    encoder: Encoder = (
        chosen
        if all(hasattr(chosen, x) for x in ("name", "similarity", "encode"))
        else encoders.load_encoder(chosen, trust_remote_code=trust_remote_code)
    )
    if source.store is not None and isinstance(encoder, Retriever):
        info = source.store.info
        if not made_by(encoder, info):
            raise MixlingError(
                f"{source.name}: the index was made with {info['model']}. {encoder.name} has "
                "other weights or prompts. Leave MODEL out, or give the model that made the "
                "index."
            )
    return encoder


@dataclass(frozen=True)
class AuditedCollection:
    """The data that the steps of an audit share.

    Args:
        source: The collection.
        rows: The passages of the sample.
        pool: Their vectors, languages and groups.
        made: Queries that were made of titles or sentences, if there are texts and an encoder.
        encode: Encodes queries: texts and languages.
        model: Name of the encoder.
        counts: Passages of each language in the whole collection.
        compared: The languages that have enough passages in the sample.
        notes: What the report must say.
        whole: Vectors of the whole texts, float32 `[n, dim]`, where the pool holds second halves of
            sentences: these are too short for translations to be found by.
    """

    source: Source
    rows: Rows
    pool: Pool
    made: MadeQueries | None
    encode: Callable[[list[str], list[str]], np.ndarray]
    model: str | None
    counts: dict[str, int]
    compared: list[str]
    notes: list[str]
    whole: np.ndarray | None = None


def read_collection(
    source: Source, sampler: PoolSampler, encoder: Encoder | None, precision: Precision
) -> AuditedCollection:
    """Encode the sample where the source holds no vectors."""

    def encode(texts: list[str], role: str, languages: list[str]) -> np.ndarray:
        assert encoder is not None
        with Progress(f"encoding {'queries' if role == 'query' else 'passages'}") as bar:
            vectors = encoder.encode(
                texts, role, languages=languages, precision=precision, progress=bar
            )
        return normalize(vectors).astype(np.float32) if sampler.normalized else vectors

    rows = sampler.sample()
    groups, languages = group_numbers(rows), np.array(rows.languages)
    made = None if encoder is None else make_queries(rows)
    vectors, means, counts = rows.vectors, sampler.means(), sampler.counts
    whole = None
    if vectors is None:
        assert made is not None  # documents have texts
        vectors = encode(made.bodies, "passage", rows.languages)
        translated = has_translation(Pool(vectors, languages, groups, {}, {})).any()
        if made.name == BEGINNING and not translated:
            whole = encode([x[:MAX_CHARACTERS] for x in rows.texts], "passage", rows.languages)
        counts = {x: int((languages == x).sum()) for x in np.unique(languages).tolist()}
        means = {x: vectors[languages == x].mean(0, dtype=np.float64) for x in counts}
    notes = []
    if sampler.zero:
        notes.append(f"{sampler.zero:,} vectors are zero and have no direction.")
    frequent = {x: int((languages == x).sum()) for x in np.unique(languages).tolist()}
    return AuditedCollection(
        source,
        rows,
        Pool(vectors, languages, groups, means, counts, sampler.normalized),
        made,
        lambda texts, tags: encode(texts, "query", tags),
        None if encoder is None else encoder.name,
        dict(sorted(sampler.counts.items(), key=lambda x: (-x[1], x[0]))),
        [x for x, n in frequent.items() if n >= MIN_PASSAGES and x != UNKNOWN],
        notes,
        whole,
    )


def with_translations(
    collection: AuditedCollection,
) -> tuple[Pool, str, dict[str, float | None] | None]:
    """Return the pool with translations, where they come from, and what is known of those found."""
    pool, notes = collection.pool, collection.notes
    if has_translation(pool).any():
        return pool, "given", None
    if len(collection.compared) < 2:
        return pool, "none", None
    directions = pool.vectors if collection.whole is None else collection.whole
    directions = normalize(directions).astype(np.float32)
    found = find_translations(directions, pool.languages, collection.compared)
    is_known, links = not math.isnan(found.precision), len(found.pairs)
    summary: dict[str, float | None] = {
        "links": links,
        "cycles": found.cycles,
        "precision": found.precision if is_known else None,
    }
    if links < MIN_LINKS or not is_known or found.precision < MIN_PRECISION:
        estimate = (
            f"with an estimated precision of {found.precision:.2f}"
            if is_known
            else "with too few cycles over three languages to estimate their precision"
        )
        notes.append(
            f"The source names no translations. {links:,} pairs of passages look like "
            f"translations, {estimate}. They are not used, because the audit needs {MIN_LINKS} "
            f"pairs with a precision of {MIN_PRECISION}."
        )
        return pool, "none", summary
    notes.append(
        f"The source names no translations. {links:,} pairs were found by the vectors, with "
        f"an estimated precision of {found.precision:.2f} (cycle consistency). They are those that "
        "the encoder aligns best, so the loss is understated."
    )
    return replace(pool, groups=found.groups), "found", summary


def has_translation(pool: Pool) -> np.ndarray:
    """Return whether each passage has one in another language in the pool, bool `[n]`."""
    codes, language = np.unique(pool.languages, return_inverse=True)
    pairs = np.unique(pool.groups * len(codes) + language)
    names, count = np.unique(pairs // len(codes), return_counts=True)
    return np.isin(pool.groups, names[count > 1])
