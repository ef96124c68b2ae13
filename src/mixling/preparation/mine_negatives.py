"""Mines hard negatives across languages: passages near a query that do not answer it.

A passage of a group that answers the query, or a translation of one, is never a negative. Neither
is a passage that scores nearly as high as the answer: it may answer too, without a label. For each
language, relative scores run from the query's mean score for its passages (0) to its answer's score
(1), and a negative's relative score has a limit. This is the rule of NV-Retriever
(arXiv:2407.15831), made independent of the scale by the mean, because the cosines of some encoders
all lie in 0.7 to 1.

Intruders come first: passages in the query's language that rank before its answers in all other
languages. For them the limit follows the answer in the query's language.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.batches.negatives import Negatives
from mixling.batches.translation_groups import translation_groups
from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import NEGATIVES, Corpus
from mixling.corpora.files import finished_report, read_array, write_array
from mixling.corpora.values import with_titles
from mixling.corpora.windows import passage_windows
from mixling.encoding.vectors import similarity_vectors
from mixling.errors import check_at_least, check_finite_numbers
from mixling.evaluation.lexical import Bm25Scorer, tokenize_words
from mixling.evaluation.ranks import DotScorer, Scorer, best_first, by_ids
from mixling.models.fingerprints import full_fingerprint, model_fingerprint
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.preparation.job import JobReport, unfinished_folder
from mixling.progress import Progress

SCORES = 1 << 26  # scores in memory at a time, float32: 256 MB


@dataclass(frozen=True)
class MiningReport(JobReport):
    """The counts of `mine_negatives`.

    Args:
        job: The options, and hashes of the model and the corpus.
        queries: Queries.
        queries_with_negatives: Queries that have a hard negative.
        queries_with_intruders: Queries that have an intruder among them.
        negatives_mined: Hard negatives.
        intruders_mined: Intruders among them.
        intruder_share: Share of intruders among the hard negatives, 0 to 1.
        same_language_share: Share of the hard negatives that are in their query's language, 0 to 1.
    """

    queries: int
    queries_with_negatives: int
    queries_with_intruders: int
    negatives_mined: int
    intruders_mined: int
    intruder_share: float
    same_language_share: float


def mine_negatives(
    model: str | Retriever,
    source: str | Corpus,
    out: str | Path,
    *,
    split: str | None = None,
    path: str | Path | None = None,
    languages: list[str] | None = None,
    negatives: int = 8,
    max_relative_score: float = 0.95,
    window: int | None = 600,
    intruders: bool = True,
    precision: Precision = "auto",
    trust_remote_code: bool = False,
) -> MiningReport:
    """Write a source with hard negatives of its queries as a folder for training.

    Unfinished work lies in OUT.part; a call that was killed goes on there.

    Args:
        model: A retriever, its folder or name on the hub, or "bm25".
        source: A named source, a folder, or a corpus.
        out: The folder to write; the report is its `mine.json`.
        split: The split of the source; default: train, else its first.
        path: The folder of a named source.
        languages: Only these languages.
        negatives: Greatest number of hard negatives a query.
        max_relative_score: Greatest relative score of a hard negative; 0 is the query's mean score
            for the language, 1 is its answer's.
        window: Characters of a passage around its answer that the model reads, as in training;
            None: the whole passage.
        intruders: Put intruders first: passages in the query's language that rank before its
            answers in all other languages.
        precision: Number format of the encoder.
        trust_remote_code: Run code that the model's folder brings.

    Returns:
        The counts.

    Raises:
        MixlingError: The model or source cannot be loaded, or `out` holds something else.

    Example:
        >>> report = mixling.mine_negatives("bm25", "sample", "sample-mined", negatives=4)
        >>> report.queries_with_negatives <= report.queries
        True
    """
    check_finite_numbers(max_relative_score=max_relative_score)
    check_at_least(1, negatives=negatives, window=window)
    out = Path(out)
    corpus = (
        source
        if isinstance(source, Corpus)
        else load(source, split, path=path, languages=languages, for_training=True)
    )
    if isinstance(model, Retriever):
        retriever: Retriever | None = model
    elif model == "bm25":
        retriever = None
    else:
        retriever = Retriever(model, trust_remote_code=trust_remote_code)
    job = {
        "model": "bm25" if retriever is None else retriever.name,
        "encoder": None if retriever is None else model_fingerprint(retriever),
        "identity": None if retriever is None else full_fingerprint(retriever),
        "precision": precision,
        "corpus": corpus.fingerprint(),
        "negatives": negatives,
        "max_relative_score": max_relative_score,
        "window": window,
        "intruders": intruders,
    }
    finished = finished_report(out / "mine.json", job, "mined")
    if finished is not None:
        return MiningReport.from_dict(finished)
    with unfinished_folder(out, job) as part:
        scorer = _scorer(corpus, retriever, window, precision, part / "vectors")
        mined = _mine(corpus, scorer, negatives, max_relative_score, intruders, part)
        report = MiningReport(job=job, **_counts(corpus, mined))
        table = pa.table([pa.array(mined[:, 0]), pa.array(mined[:, 1])], schema=NEGATIVES)
        folder.write_folder(
            replace(corpus, negatives=table),
            out,
            split or "train",
            extra_files={"mine.json": report.to_json()},
        )
    return report


def _scorer(
    corpus: Corpus,
    retriever: Retriever | None,
    window: int | None,
    precision: Precision,
    cache: Path,
) -> Scorer:
    """Return the scores of all queries for all passages; without a retriever those of BM25."""
    texts = {
        "query": corpus.queries["text"].to_pylist(),
        "passage": passage_windows(corpus, window),
    }
    languages = {
        "query": corpus.queries["language"].to_pylist(),
        "passage": corpus.passages["language"].to_pylist(),
    }
    titles = {"query": None, "passage": corpus.passages["title"].to_pylist()}
    if retriever is None:
        words = {
            role: [
                tokenize_words(text, language)
                for text, language in zip(
                    with_titles(titles[role], texts[role]), languages[role], strict=True
                )
            ]
            for role in texts
        }
        return Bm25Scorer(words["passage"], words["query"])
    query_vectors, passage_vectors = (
        similarity_vectors(
            retriever,
            texts[role],
            role,
            languages[role],
            label=label,
            titles=titles[role],
            precision=choose_precision(retriever.device, precision),
            folder=cache,
        )[0]
        for role, label in (("query", "queries"), ("passage", "passages"))
    )
    return DotScorer(query_vectors, passage_vectors)


def _mine(
    corpus: Corpus,
    scorer: Scorer,
    negatives: int,
    max_relative_score: float,
    intruders: bool,
    part: Path,
) -> np.ndarray:
    """Return the hard negatives of all queries, in the form of `pick_negatives`.

    Some queries are scored at a time; their negatives are kept in `part` as they come.
    """
    groups = translation_groups(corpus)
    index = {group: i for i, group in enumerate(groups.groups)}
    query_conflict_group = groups.conflict_group[
        np.array([index[group] for group in corpus.queries["group"].to_pylist()])
    ]
    passage_conflict_group = Negatives(corpus, groups).conflict_group
    query_language, passage_language = _language_codes(corpus)
    tie_order = by_ids(_language_ids(corpus))[1]
    # BM25 gives 0 to what it does not find
    floor = 0.0 if isinstance(scorer, Bm25Scorer) else -np.inf
    n_queries, n_passages = len(query_language), len(passage_language)
    size = max(1, min(1024, SCORES // max(n_passages, 1)))
    picked = []
    with Progress("mining") as progress:
        for begin in range(0, n_queries, size):
            end = min(begin + size, n_queries)
            file = part / f"picked-{begin:09d}.npy"
            if not file.exists():
                rows = pick_negatives(
                    scorer(begin, end),
                    passage_conflict_group[None, :] == query_conflict_group[begin:end, None],
                    query_language[begin:end],
                    passage_language,
                    negatives,
                    max_relative_score,
                    intruders,
                    tie_order,
                    floor,
                )
                rows[:, 0] += begin
                write_array(file, rows)
            picked.append(read_array(file))
            progress(end, n_queries)
    return np.concatenate(picked)


def _language_codes(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Return the language of each query and passage: its place in `corpus.languages()`."""
    code = {language: i for i, language in enumerate(corpus.languages())}
    queries, passages = (
        np.array([code[language] for language in table["language"].to_pylist()])
        for table in (corpus.queries, corpus.passages)
    )
    return queries, passages


def _language_ids(corpus: Corpus) -> list[str]:
    """Return the ids of passages with their languages: an id may stand in several."""
    languages, ids = (corpus.passages[c].to_pylist() for c in ("language", "id"))
    return [f"{language}:{key}" for language, key in zip(languages, ids, strict=True)]


def _counts(corpus: Corpus, mined: np.ndarray) -> dict[str, Any]:
    """Return the counts of `MiningReport`."""
    query_language, passage_language = _language_codes(corpus)
    is_intruder = mined[:, 2] == 1
    same_language = passage_language[mined[:, 1]] == query_language[mined[:, 0]]
    return {
        "queries": len(query_language),
        "queries_with_negatives": len(np.unique(mined[:, 0])),
        "queries_with_intruders": len(np.unique(mined[is_intruder, 0])),
        "negatives_mined": len(mined),
        "intruders_mined": int(is_intruder.sum()),
        "intruder_share": float(is_intruder.mean()) if len(mined) else 0.0,
        "same_language_share": float(same_language.mean()) if len(mined) else 0.0,
    }


def pick_negatives(
    scores: np.ndarray,
    is_relevant: np.ndarray,
    query_language: np.ndarray,
    passage_language: np.ndarray,
    negatives: int,
    max_relative_score: float,
    intruders: bool,
    tie_order: np.ndarray | None = None,
    floor: float = -np.inf,
) -> np.ndarray:
    """Pick the hard negatives of some queries from their scores.

    A query without an answer gets no negatives, because its scores have no limit.

    Args:
        scores: Scores of the queries for all passages, float32 `[queries, passages]`.
        is_relevant: Passages that must not be negatives, bool `[queries, passages]`.
        query_language: The language of each query as a number, int64 `[queries]`.
        passage_language: The language of each passage, int64 `[passages]`.
        negatives: Greatest number of negatives a query.
        max_relative_score: Greatest relative score of a negative; see the module.
        intruders: Whether intruders come first.
        tie_order: Of passages with equal scores, those with the higher value come first, uint64
            `[passages]`; None: earlier rows first.
        floor: A negative's score is above this.

    Returns:
        Rows of query, passage and whether it is an intruder (0 or 1), query by query and the best
        first: int64 `[n, 3]`.
    """
    if tie_order is None:
        tie_order = np.arange(scores.shape[1], dtype=np.uint64)[::-1]
    n_languages = int(max(query_language.max(), passage_language.max())) + 1
    mean = np.zeros((len(scores), n_languages), np.float32)
    answer_score = np.full_like(mean, -np.inf)
    relevant_scores = np.where(is_relevant, scores, -np.inf)
    for language in np.unique(passage_language):
        in_language = passage_language == language
        mean[:, language] = scores[:, in_language].mean(1)
        answer_score[:, language] = relevant_scores[:, in_language].max(1)
    best_answer = answer_score.max(1)
    has_answer = np.isfinite(best_answer)[:, None]
    # where a language has no answer, the best answer of another language stands for it
    reference = np.where(np.isfinite(answer_score), answer_score, best_answer[:, None])
    with np.errstate(invalid="ignore"):  # without any answer the reference is -inf
        limit = mean + max_relative_score * (reference - mean)
    other_languages = answer_score.copy()
    other_languages[np.arange(len(query_language)), query_language] = -np.inf
    other_answer = other_languages.max(1)[:, None]
    same_language = passage_language[None, :] == query_language[:, None]
    may_be_negative = (
        ~is_relevant & (scores > floor) & (scores <= limit[:, passage_language]) & has_answer
    )
    is_intruder = (
        may_be_negative & same_language & (scores > other_answer) & np.isfinite(other_answer)
    )
    value = np.where(may_be_negative, scores, -np.inf)
    if intruders:
        # one spread of all scores lifts every intruder above every other passage
        spread = scores.max() - scores.min() + 1
        value = np.where(is_intruder, value + spread, value)
    top = best_first(value, tie_order, min(negatives, scores.shape[1]))
    is_picked = np.isfinite(np.take_along_axis(value, top, 1))
    query = np.broadcast_to(np.arange(len(scores))[:, None], top.shape)
    picked = np.stack([query, top, np.take_along_axis(is_intruder, top, 1)], 2)
    rows: np.ndarray = picked[is_picked].astype(np.int64)
    return rows
