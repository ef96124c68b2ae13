"""Fit a transform on a collection itself: `mixling debias MODEL --collection SOURCE`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mixling.auditing.audit import encode_log, transforms_to_try
from mixling.auditing.candidates import ORDER, Trials, try_candidates
from mixling.auditing.collection import (
    AuditedCollection,
    load_encoder,
    read_collection,
    with_translations,
)
from mixling.auditing.known_items import KnownItems, known_pairs, make_items
from mixling.auditing.pool import PoolSampler
from mixling.auditing.queries import balanced_sample
from mixling.auditing.sources import open_source
from mixling.auditing.verdict import MIN_GROUPS, MIN_PASSAGES, best_transform
from mixling.corpora.files import write_text
from mixling.debiasing.collection import (
    CollectionVectors,
    fit_on_collection,
    needs_known,
    needs_queries,
    parse_steps,
)
from mixling.debiasing.write_model import write_debiased
from mixling.disk import LOCKS, check_new_folder, one_writer
from mixling.errors import MixlingError, Skipped
from mixling.evaluation.bias.severity import MIN_GAIN
from mixling.machine import cache_folder
from mixling.models.precision import Precision
from mixling.models.transforms_behind import is_hub_corrected
from mixling.transforms.files import VectorTransform

AUTO = "auto"
SAMPLE, POOL = 4000, 10_000


@dataclass(frozen=True)
class CollectionFit:
    """A transform that was fitted on a collection.

    Args:
        transform: The transform; None where nothing should be done.
        steps: Its steps; None where nothing should be done.
        n_queries: Real queries that it was fitted on.
        n_passages: Passages of the sample.
        trials: The transforms that were tried; None if the steps were given.
        reason: Why it was chosen; "" if the steps were given.
        notes: What a user must know.
    """

    transform: VectorTransform | None
    steps: str | None
    n_queries: int
    n_passages: int
    trials: Trials | None
    reason: str
    notes: list[str]


def debias_collection(
    model: Any,
    collection: str | Path,
    steps: str = AUTO,
    out: str | Path | None = None,
    *,
    queries: str | Path | None = None,
    sample: int = SAMPLE,
    pool: int = POOL,
    language: str | None = None,
    languages: Sequence[str] | None = None,
    precision: Precision = "auto",
    skip_bad: bool = True,
    trust_remote_code: bool = False,
) -> CollectionFit:
    """Fit a transform on a collection's own passages and queries, without judgments.

    Args:
        model: The encoder that made the vectors or shall make them; None for the one that a store
            names.
        collection: Documents, a store of Mixling, the address of a vector database, Parquet files
            with vectors, or a folder that `mixling encode` wrote.
        steps: Steps joined by "+" (`mixling.debiasing.collection`), such as "centering+hubs", or
            "auto" to choose by trial (`mixling.auditing.candidates`).
        out: The folder to write, a model with the transform. Default: nothing is written.
        queries: A file of real queries, a line each or as rows. Without it a transform is fitted
            that needs none.
        sample: Queries at most, spread evenly over the languages.
        pool: Passages at most.
        language: Language of passages that do not state theirs. Default: it is identified.
        languages: The languages among which it is identified.
        precision: "fp32", "bf16", or "auto".
        skip_bad: Skip what cannot be read and count it, instead of raising.
        trust_remote_code: Run code that comes with the model.

    Returns:
        The transform, and how it was chosen.

    Raises:
        MixlingError: The collection, the queries or the model cannot be read, do not fit together,
            or do not suffice.

    Example:
        ```python
        fit = debias_collection("intfloat/multilingual-e5-small", "documents.jsonl", out="fair")
        print(fit.steps, fit.reason)
        ```
    """
    if steps != AUTO:
        parse_steps(steps)
    if out is not None:
        check_new_folder(out)
    if queries is not None and not Path(queries).is_file():
        raise MixlingError(
            f"{queries}: the file does not exist. --queries takes a file with one query per line."
        )
    skipped = Skipped(skip_bad)
    source = open_source(str(collection), skipped, language, languages)
    encoder = load_encoder(source, model, queries is not None, trust_remote_code)
    if encoder is None:
        raise MixlingError(
            f"{source.name}: no encoder is known, and a transform is fitted on encoded queries "
            "too. Name the model that made the vectors."
        )
    if encoder.similarity == "dot":
        raise MixlingError(
            f"{encoder.name} compares vectors by dot product, so the length of a vector counts. "
            "A transform scales vectors to length one and would change the scores. Use a model "
            "that compares by cosine."
        )
    if is_hub_corrected(encoder):
        raise MixlingError(
            f"{encoder.name}: its vectors have a hub correction, and no transform can follow "
            "one. Undo the repair (mixling repair STORE --undo) and fit the transform on the "
            "store as it was."
        )
    sampler = PoolSampler(pool, True, source.name)
    for batch in source.rows:
        sampler.add(batch)
    read = read_collection(source, sampler, encoder, precision)
    read = replace(read, pool=with_translations(read)[0])
    log = None if queries is None else encode_log(read, Path(queries), sample, skipped)
    trials, reason, chosen = None, "", steps if steps != AUTO else None
    items = _known_items(read, sample) if steps == AUTO or needs_known(steps) else None
    if steps == AUTO:
        trials = _try(read, items, 0 if log is None else len(log[0]))
        chosen, reason = choose_steps(trials)
    if chosen is not None and log is None and needs_queries(chosen):
        raise MixlingError(
            f"the transform {chosen} is fitted on queries, and there are none. Give real queries "
            "with --queries FILE; titles and sentences of the collection cannot replace them."
        )
    asked, tags = log or (read.pool.vectors[:0], read.pool.languages[:0])
    vectors = CollectionVectors(
        asked,
        tags,
        read.pool.vectors,
        read.pool.languages,
        read.pool.means,
        read.pool.counts,
        None if items is None else known_pairs(items, read.pool.groups),
    )
    notes = list(read.notes)
    if skipped.rows:
        notes.append(f"{len(skipped.rows):,} rows were skipped, the first: {skipped.rows[0]}")
    origin = {"model": encoder.name, "collection": Path(source.name).name}
    transform = None if chosen is None else fit_on_collection(chosen, vectors, origin)
    if transform is not None and out is not None:
        more = {**origin, "languages": sorted(set(vectors.passage_languages.tolist()))}
        write_debiased(encoder, transform, str(chosen), Path(out), more)  # type: ignore[arg-type]
        if trials is not None:
            content = {"reason": reason, "trials": [vars(t) for t in trials.trials]}
            write_text(Path(out) / "choice.json", json.dumps(content, indent=1))
    return CollectionFit(
        transform,
        chosen,
        len(vectors.queries),
        len(vectors.passages),
        trials,
        reason,
        notes,
    )


def fit_once(
    address: str,
    model: str | None,
    queries: Path | None = None,
    state: str | Path | None = None,
    out: Path | None = None,
) -> tuple[Path | None, str]:
    """Fit a transform on a database once, and find it again in later calls.

    A repair that is run again must apply the same transform, also where rows have come meanwhile.
    A call that comes while another one fits the transform waits, and takes that one.

    Args:
        address: Address of the database.
        model: The model that made its vectors. A store of Mixling names its own.
        queries: A file of real queries.
        state: The folder that keeps the transform. Default: Mixling's cache folder.
        out: The folder of the transform itself, for a store that names it as its model.

    Returns:
        Folder of the transform, None where nothing should be done; what to tell the user.

    Raises:
        MixlingError: No model is named, or the transform cannot be fitted.
    """
    if model is None and out is None:
        raise MixlingError(
            "--transform auto needs the model that made the vectors. Name it with --model."
        )
    parent = Path(state) if state is not None else cache_folder() / "repairs"
    name = hashlib.sha256(f"{address}\t{model}".encode()).hexdigest()[:16]
    folder = out or parent / f"transform-{name}"
    lock = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    with one_writer(cache_folder() / LOCKS / lock, wait=True, name=str(folder)):
        if folder.exists():
            return folder, (
                f"{folder}: using the transform that an earlier call fitted. To fit it again, "
                "remove the folder."
            )
        fit = debias_collection(model, address, AUTO, folder, queries=queries)
    if fit.transform is None:
        return None, f"{fit.reason}\nNothing was written, because no transform is needed."
    return folder, f"{fit.reason}\n{folder}: {fit.steps}"


def _known_items(collection: AuditedCollection, sample: int) -> KnownItems | None:
    """Return titles or first sentences with the passages that they ask for."""
    pool, made = collection.pool, collection.made
    if made is None or not len(made.rows):
        return None
    chosen = balanced_sample(pool.languages[made.rows], sample, collection.compared)
    rows = made.rows[chosen]
    if not len(rows):
        return None
    vectors = collection.encode([made.texts[i] for i in chosen], pool.languages[rows].tolist())
    return make_items(made.name, vectors, rows, pool.languages, pool.groups, False)


def _try(collection: AuditedCollection, items: KnownItems | None, queries: int) -> Trials:
    """Try the transforms on known items."""
    n_groups = 0 if items is None else len(np.unique(items.groups))
    if items is None or n_groups < MIN_GROUPS or len(collection.compared) < 2:
        raise MixlingError(
            f"{collection.source.name}: the collection is too small to choose a transform. It "
            f"has {n_groups:,} known items and {len(collection.compared)} languages with "
            f"{MIN_PASSAGES} passages; {MIN_GROUPS} known items and two languages are needed. "
            "Name the steps yourself, for instance --method language."
        )
    return try_candidates(
        items,
        collection.pool,
        transforms_to_try(collection.model, items, collection.pool, queries),
    )


def choose_steps(trials: Trials) -> tuple[str | None, str]:
    """Choose a transform by its trial.

    Args:
        trials: The trials.

    Returns:
        The steps, None where nothing should be done; the reason.
    """
    chosen = best_transform(trials)
    if chosen is not None:
        return chosen.candidate, (
            f"{chosen.candidate} raises the mean reciprocal rank of known items in the pool from "
            f"{trials.pooled:.3f} by {chosen.gain:.3f} ({chosen.gain_low:.3f} to "
            f"{chosen.gain_high:.3f}), and changes it within a language by "
            f"{chosen.change_alone:+.3f}."
        )
    best = next(t for t in trials.trials if t.candidate != ORDER)
    return None, (
        f"No transform helps for certain. The best one, {best.candidate}, changes the mean "
        f"reciprocal rank of known items in the pool from {trials.pooled:.3f} by "
        f"{best.gain:+.3f} ({best.gain_low:+.3f} to {best.gain_high:+.3f}), and within a "
        f"language by {best.change_alone:+.3f} (at least {best.change_alone_low:+.3f}). Only a "
        f"gain of {MIN_GAIN} without harm within a language would be worth it."
    )
