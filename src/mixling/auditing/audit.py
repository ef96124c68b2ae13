"""Runs the audit of a collection without judgments, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mixling.auditing import hubs, verdict
from mixling.auditing.candidates import Pool, Trials, mean_interval, try_candidates
from mixling.auditing.collection import (
    AuditedCollection,
    has_translation,
    load_encoder,
    read_collection,
    with_translations,
)
from mixling.auditing.known_items import (
    KnownItems,
    Ranks,
    known_pairs,
    make_items,
    rank,
    select_pairs,
)
from mixling.auditing.pool import UNKNOWN, PoolSampler, Rows
from mixling.auditing.queries import balanced_sample, read_queries
from mixling.auditing.result import AuditResult, Hub, KnownItemResult
from mixling.auditing.sources import Fields, open_source
from mixling.auditing.translated import Translator, ask_in_every_language, open_translator
from mixling.debiasing.collection import (
    CollectionVectors,
    fit_on_collection,
    needs_queries,
    steps_for,
)
from mixling.errors import MixlingError, Skipped
from mixling.models.precision import Precision

SAMPLE, POOL = 2000, 10_000


def audit(
    source: str | Path,
    model: Any = None,
    *,
    queries: str | Path | None = None,
    sample: int = SAMPLE,
    pool: int = POOL,
    language: str | None = None,
    languages: Sequence[str] | None = None,
    translate: str | None = None,
    fields: Fields | None = None,
    precision: Precision = "auto",
    skip_bad: bool = True,
    trust_remote_code: bool = False,
) -> AuditResult:
    """Audit a collection without judgments.

    Args:
        source: Documents, a store of Mixling, the address of a vector database, Parquet files with
            vectors, or a folder that `mixling encode` wrote.
        model: The encoder, or its name, as for `mixling.models.encoders.load_encoder`. A store
            names its own; vectors can be audited without one.
        queries: A file of real queries, a line each or as rows; they need no judgments.
        sample: Queries at most, spread evenly over the languages.
        pool: Passages at most that they search. Languages are counted in the whole collection.
        language: Language of passages that do not state theirs. Default: it is identified.
        languages: The languages among which it is identified.
        translate: A file of translations or a program that translates, as for
            `mixling.auditing.translated.open_translator`: titles or sentences are then asked in
            every language.
        fields: Names of the fields "title", "group", "text" and "language" in a database or in
            Parquet files.
        precision: "fp32", "bf16", or "auto".
        skip_bad: Skip what cannot be read and count it, instead of raising.
        trust_remote_code: Run code that comes with the model.

    Returns:
        The measures, the candidates that were tried, and the verdict.

    Raises:
        MixlingError: The source, the queries or the model cannot be read, or do not fit together.

    Example:
        ```python
        result = mixling.audit("documents.jsonl", "intfloat/multilingual-e5-small")
        print(result.verdict.decision, result.verdict.reason)
        ```
    """
    if sample < 2 or pool < 2:
        raise MixlingError(f"sample is {sample} and pool is {pool}. Both must be 2 or more.")
    if queries is not None and not Path(queries).is_file():
        raise MixlingError(
            f"{queries}: the file does not exist. --queries takes a file with one query per line."
        )
    skipped = Skipped(skip_bad)
    translator = None if translate is None else open_translator(translate, skipped)
    opened = open_source(str(source), skipped, language, languages, fields)
    encoder = load_encoder(opened, model, queries is not None, trust_remote_code)
    similarity = opened.metric if encoder is None else encoder.similarity
    sampler = PoolSampler(pool, similarity != "dot", opened.name)
    for batch in opened.rows:
        sampler.add(batch)
    collection = read_collection(opened, sampler, encoder, precision)
    if translator is not None and collection.made is None:
        raise MixlingError(
            f"{opened.name}: --translate needs texts and a model, because it translates queries "
            "that are made of texts. Name the model and, for a database, the field of the texts "
            "(--text-field)."
        )
    log = None if queries is None else Path(queries)
    result = _measure(collection, log, sample, skipped, translator)
    if skipped.rows:
        note = f"{len(skipped.rows):,} rows or files were skipped, the first: {skipped.rows[0]}"
        result = replace(result, notes=[*result.notes, note])
    return result


def _measure(
    collection: AuditedCollection,
    log: Path | None,
    sample: int,
    skipped: Skipped,
    translator: Translator | None,
) -> AuditResult:
    """Measure everything, with translations that are given or found."""
    pool, origin, found = with_translations(collection)
    collection = replace(collection, pool=pool)
    notes = collection.notes
    items = _known_items(collection, sample, translator)
    query_type, queries, languages, excluded = _queries(collection, items, log, sample, skipped)
    result = hubs.search(queries, pool.vectors, excluded)
    counted = hubs.count_hubs(result, pool.languages)
    scores = hubs.mean_scores(queries, languages, pool.means, collection.compared)
    shares = hubs.top_shares(result, languages, pool.languages)
    ranks = [rank(x, pool.vectors, pool.languages, pool.groups) for x in items]
    known = [s for x, r in zip(items, ranks, strict=True) for s in _summaries(x, r, pool)]
    n_groups = len(np.unique(items[0].groups)) if items else 0
    reason = verdict.too_few(len(collection.compared), n_groups, bool(items))
    trials: Trials | None = None
    if reason is not None:
        decision = verdict.cannot_tell(reason)
    else:
        real = len(queries) if query_type == "log" else 0
        names = transforms_to_try(collection.model, items[0], pool, real)
        trials = try_candidates(items[0], pool, names)
        decision = verdict.decide((known[0].loss, known[0].loss_low, known[0].loss_high), trials)
        if all(x.scope != "other language" for x in known):
            notes.append(
                "No translations are known, so every known item is in the language of its query. "
                "The verdict does not see what it costs to find an answer in another language."
            )
    transform = None
    if decision.decision == verdict.TRANSFORM and decision.candidate is not None:
        transform = fit_on_collection(
            decision.candidate,
            CollectionVectors(
                queries,
                languages,
                pool.vectors,
                pool.languages,
                pool.means,
                pool.counts,
                known_pairs(items[0], pool.groups),
            ),
            {"model": collection.model, "collection": Path(collection.source.name).name},
        )
    intrusion = ranks[0].intrusion[~np.isnan(ranks[0].intrusion)] if ranks else np.zeros(0)
    total = sum(collection.counts.values())
    same, excess = _same_language(shares, collection)
    advantage = hubs.same_language_advantage(scores) / max(result.deviation, 1e-9)
    measures: dict[str, float | None] = {
        "loss": known[0].loss if known else None,
        "mrr_alone": known[0].alone if known else None,
        "mrr_pool": known[0].pooled if known else None,
        "intrusion@10": float(intrusion.mean()) if len(intrusion) else None,
        "same_language_share@10": same,
        "same_language_excess@10": excess,
        "same_language_advantage": None if math.isnan(advantage) else advantage,
        "hub_skew": counted.skew,
        "unanswering_share": counted.unanswering,
        "unknown_share": collection.counts.get(UNKNOWN, 0) / total,
        "gain": decision.gain if reason is None else None,
    }
    return AuditResult(
        source=collection.source.name,
        source_type=collection.source.source_type,
        model=collection.model,
        passages=total,
        pool=len(collection.rows),
        queries=len(queries),
        query_type=query_type,
        languages=collection.counts,
        compared=collection.compared,
        measures=measures,
        mean_scores=scores,
        language_offsets=hubs.language_offsets(scores),
        top_shares=shares,
        unanswering=counted.unanswering_by_language,
        unanswering_at_random=counted.unanswering_at_random,
        hub_skew_at_random=counted.skew_at_random,
        hubs=[_hub(collection.rows, row, share) for row, share in counted.top],
        known_items=known,
        trials=trials.trials if trials else [],
        translations=origin,
        found_translations=found,
        verdict=decision,
        notes=notes,
        transform=transform,
    )


def _known_items(
    collection: AuditedCollection, sample: int, translator: Translator | None
) -> list[KnownItems]:
    """Make the known items: of titles or sentences where there is an encoder; of translations."""
    pool, made, items = collection.pool, collection.made, list[KnownItems]()
    if made is not None and len(made.rows):
        chosen = balanced_sample(pool.languages[made.rows], sample, collection.compared)
        rows = made.rows[chosen]
        if made.dropped:
            collection.notes.append(
                f"{made.dropped:,} passages of the sample were not used as known items, because "
                f"they share their {made.name} with another passage."
            )
        if collection.source.source_type != "documents":
            collection.notes.append(
                f"The stored vectors may contain the {made.name} that asks for them. Ranks within "
                "a language are then better than those of real queries."
            )
        if len(rows):
            texts, tags = [made.texts[i] for i in chosen], pool.languages[rows].tolist()
            name = made.name
            if translator is not None:
                found, codes, numbers = ask_in_every_language(
                    texts, tags, collection.compared, translator
                )
                if not found:
                    raise MixlingError(
                        f"--translate has no translation of any {made.name} of the sample into "
                        f"{', '.join(collection.compared)}. Give translations of these texts."
                    )
                texts, tags = [*texts, *found], [*tags, *codes]
                rows, name = np.concatenate([rows, rows[numbers]]), f"translated {made.name}"
            vectors = collection.encode(texts, tags)
            _check_size(collection, vectors)
            asked = make_items(name, vectors, rows, pool.languages, pool.groups, False)
            items.append(replace(asked, languages=np.array(tags)))
    languages = np.where(has_translation(pool), pool.languages, UNKNOWN)
    rows = balanced_sample(languages, sample, collection.compared)
    if len(rows):
        vectors = pool.vectors[rows]
        items.append(make_items("translation", vectors, rows, pool.languages, pool.groups, True))
    return items


def _queries(
    collection: AuditedCollection,
    items: list[KnownItems],
    log: Path | None,
    sample: int,
    skipped: Skipped,
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return the queries whose result lists are looked at.

    Returns:
        What they are, their vectors, their languages, and the row that each does not find.
    """
    if log is not None:
        vectors, languages = encode_log(collection, log, sample, skipped)
        return "log", vectors, languages, np.full(len(vectors), -1)
    if items and items[0].name != "translation":
        return (
            items[0].name.removeprefix("translated "),
            items[0].vectors,
            items[0].languages,
            items[0].excluded,
        )
    pool = collection.pool
    allowed = collection.compared or sorted(set(pool.languages.tolist()))
    rows = balanced_sample(pool.languages, sample, allowed)
    return "passage", pool.vectors[rows], pool.languages[rows], rows


def encode_log(
    collection: AuditedCollection, log: Path, sample: int, skipped: Skipped
) -> tuple[np.ndarray, np.ndarray]:
    """Read and encode a log of queries.

    Args:
        collection: The collection that is asked, with the encoder.
        log: A file of queries, a line each or as rows.
        sample: Queries at most, spread evenly over the languages.
        skipped: Collects the rows that cannot be read.

    Returns:
        The vectors, float32 `[q, dim]`, and their languages, str `[q]`.

    Raises:
        MixlingError: The log cannot be read, or the vectors have another size than the passages'.
    """
    texts, tags = read_queries(log, collection.compared, skipped)
    order = np.random.default_rng(0).permutation(len(texts))
    languages = np.array(tags)[order]
    chosen = balanced_sample(languages, sample, sorted(set(tags)))
    vectors = collection.encode([texts[order[i]] for i in chosen], languages[chosen].tolist())
    _check_size(collection, vectors)
    return vectors, languages[chosen]


def _check_size(collection: AuditedCollection, queries: np.ndarray) -> None:
    size = collection.pool.vectors.shape[1]
    if queries.shape[1] != size:
        raise MixlingError(
            f"{collection.source.name}: its vectors have {size} numbers, but {collection.model} "
            f"makes vectors of {queries.shape[1]}. Name the model that made the stored vectors."
        )


def transforms_to_try(model: str | None, items: KnownItems, pool: Pool, queries: int) -> list[str]:
    """Return the transforms that known items of a model's vectors are tried with.

    Args:
        model: Name of the encoder, if it is known.
        items: The known items; half of them are fitted on.
        pool: The pool.
        queries: Number of real queries, which some transforms need.
    """
    pairs = known_pairs(items, pool.groups)
    known = 0 if pairs is None else pairs.across_languages(pool.languages) // 2
    found = steps_for(model or "", min(queries, len(items.vectors) // 2), known)
    # passages that ask for their translations do not tell what the means of queries bring
    return [x for x in found if items.name != "translation" or not needs_queries(x)]


def _summaries(items: KnownItems, ranks: Ranks, pool: Pool) -> list[KnownItemResult]:
    """Summarize the ranks of all pairs, and of those in the same and in another language."""
    same = items.languages[items.query] == pool.languages[items.passage]
    scopes = {"all": np.ones(len(same), bool), "same language": same, "other language": ~same}
    results = []
    for scope, mask in scopes.items():
        if not mask.any() or (scope != "all" and mask.all() and items.name == "translation"):
            continue
        part, alone, pooled = select_pairs(items, mask), ranks.alone[mask], ranks.pooled[mask]
        results.append(
            KnownItemResult(
                items.name,
                scope,
                len(np.unique(part.query)),
                len(part.query),
                mean_interval(part, pool.languages, 1 / alone)[0],
                mean_interval(part, pool.languages, 1 / pooled)[0],
                *mean_interval(part, pool.languages, 1 / alone - 1 / pooled),
                float(np.median(alone)),
                float(np.median(pooled)),
            )
        )
    return results


def _same_language(
    shares: dict[str, dict[str, float]], collection: AuditedCollection
) -> tuple[float | None, float | None]:
    """Return the share of the query's language in the first ten, and its excess; means over both.

    The excess is over the language's share of the sample that is searched.
    """
    languages = collection.pool.languages
    codes = [x for x in shares if x in collection.compared]
    if not codes:
        return None, None
    share = np.array([shares[x].get(x, 0.0) for x in codes])
    fair = np.array([(languages == x).mean() for x in codes])
    return float(share.mean()), float((share - fair).mean())


def _hub(rows: Rows, row: int, share: float) -> Hub:
    title = rows.titles[row] or " ".join(rows.texts[row].split())
    return Hub(rows.ids[row], rows.languages[row], title[:100], share)
