"""Hard negatives across languages: passages that a retriever puts near a question and that do not answer it.

Never a passage of a group that answers the question, nor a translation of one. Never one that scores nearly as the
right answer does (it may be right, and nobody marked it): of the way from the question's mean score of a language to
its right answer, a negative has gone at most `keep`; NV-Retriever's rule (arXiv:2407.15831), made free of the scale by
the mean, since some encoders' cosines all lie in .7 to 1. Intruders come first: passages in the question's own language
that stand before its right answers in all other languages, for which the rule looks at the answer in the own language.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.batches.negatives import Negatives
from mixling.batches.translation_groups import translation_groups
from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import NEGATIVES, Corpus
from mixling.corpora.files import finished_report, open_run_dir, read_array, write_array
from mixling.corpora.windows import passage_windows
from mixling.disk import one_writer
from mixling.encoding.vectors import identity, model_fingerprint, similarity_vectors
from mixling.errors import check_finite_numbers
from mixling.evaluation.lexical import Bm25, tokenize_words
from mixling.evaluation.ranks import DotScorer, Scorer, best_first, by_ids
from mixling.models.precision import choose_precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress

SCORES = 1 << 26  # of a block of questions: 256 MB


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
    precision: str = "auto",
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Mine hard negatives of a source's questions and write it with them to `out`, a folder that training reads.

    model: a retriever, or "bm25". source: a name, a folder, or a Corpus; window: characters of a passage round its answer
    (None: all), as training takes it; negatives: at most so many a question; keep: see above; intruders: put them first.
    Work lies in OUT.part until the folder is whole; a killed call goes on there. Returns what was counted (also in
    OUT/mine.json). trust_remote_code: as of Retriever. Raises MixlingError.
    """
    check_finite_numbers(keep=max_relative_score)
    out = Path(out)
    corpus = (
        source
        if isinstance(source, Corpus)
        else load(source, split, path=path, languages=languages)
    )
    retriever = (
        None
        if model == "bm25"
        else model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    job = {
        "model": "bm25" if retriever is None else retriever.name,
        "encoder": None if retriever is None else model_fingerprint(retriever),
        "identity": None if retriever is None else identity(retriever),
        "precision": precision,
        "corpus": corpus.fingerprint(),
        "negatives": negatives,
        "keep": max_relative_score,
        "window": window,
        "intruders": intruders,
    }
    done = finished_report(out / "mine.json", job, "mined")
    if done is not None:
        return done
    part = out.with_name(out.name + ".part")
    with one_writer(part):
        open_run_dir(part, job)
        scorer = _scorer(corpus, retriever, window, precision, part)
        found, counted = _pick(corpus, scorer, negatives, max_relative_score, intruders, part)
        report = {**job, **counted}
        text = json.dumps(report, indent=1, ensure_ascii=False)
        folder.write_folder(
            replace(corpus, negatives=found), out, split or "train", extra_files={"mine.json": text}
        )
        shutil.rmtree(part)
        return report


def _scorer(
    corpus: Corpus, retriever: Retriever | None, window: int | None, precision: str, part: Path
) -> Scorer:
    """Scores of all questions against all passages."""
    texts = {
        "query": corpus.queries["text"].to_pylist(),
        "passage": passage_windows(corpus, window),
    }
    of = {
        "query": corpus.queries["language"].to_pylist(),
        "passage": corpus.passages["language"].to_pylist(),
    }
    if retriever is None:
        split = {
            r: [tokenize_words(t, x) for t, x in zip(texts[r], of[r], strict=True)] for r in texts
        }
        return Bm25(split["passage"], split["query"])
    asked, read = (
        similarity_vectors(
            retriever,
            texts[role],
            role,
            of[role],
            label=label,
            precision=choose_precision(retriever.device, precision),
            folder=part / "vectors",
        )[0]
        for role, label in (("query", "questions"), ("passage", "passages"))
    )
    return DotScorer(asked, read)


def _pick(
    corpus: Corpus, scorer: Scorer, negatives: int, keep: float, intruders: bool, part: Path
) -> tuple[pa.Table, dict[str, Any]]:
    """The negatives of each question, a block of questions at a time; a block's are kept in `part` as they come."""
    source = translation_groups(corpus)
    code = {x: i for i, x in enumerate(source.languages)}
    language = np.array([code[x] for x in corpus.passages["language"].to_pylist()])
    asked = np.array([code[x] for x in corpus.queries["language"].to_pylist()])
    index = {g: i for i, g in enumerate(source.groups)}
    group = np.array([index[g] for g in corpus.queries["group"].to_pylist()])
    block = Negatives(corpus, source).conflict_group
    # ids stand in one language each
    ids = [
        f"{x}:{y}"
        for x, y in zip(*(corpus.passages[c].to_pylist() for c in ("language", "id")), strict=True)
    ]
    place = by_ids(ids)[1]
    floor = 0.0 if isinstance(scorer, Bm25) else -np.inf  # BM25 has not found what scores 0
    n, size = len(asked), max(1, min(1024, SCORES // max(len(language), 1)))
    rows = []
    with Progress("mining") as bar:
        for begin in range(0, n, size):
            end = min(begin + size, n)
            kept = part / f"picked-{begin:09d}.npy"
            if not kept.exists():
                right = block[None, :] == source.conflict_group[group[begin:end], None]
                scores = scorer(begin, end)
                made = pick_negatives(
                    scores,
                    right,
                    asked[begin:end],
                    language,
                    negatives,
                    keep,
                    intruders,
                    place,
                    floor,
                )
                made[:, 0] += begin
                write_array(kept, made)
            rows.append(read_array(kept))
            bar(end, n)
    every = np.concatenate(rows)
    intruding, own = every[:, 2] == 1, language[every[:, 1]] == asked[every[:, 0]]
    table = pa.table([pa.array(every[:, 0]), pa.array(every[:, 1])], schema=NEGATIVES)
    return table, {
        "questions": n,
        "questions_with_negatives": len(np.unique(every[:, 0])),
        "questions_with_intruders": len(np.unique(every[intruding, 0])),
        "mined": len(every),
        "intruders_mined": int(intruding.sum()),
        "share_of_intruders": float(intruding.mean()) if len(every) else 0.0,
        "in_the_questions_language": float(own.mean()) if len(every) else 0.0,
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
    """Negatives of some questions: int64 [m, 3], rows of (question, passage, whether it is an intruder), best first.

    scores: [q, p]; right: bool [q, p], passages that must not be negatives; asked: [q], language: [p], codes. place: uint64 [p],
    of each passage's id, in whose falling order equal scores stand (None: their rows'); floor: what a negative must score over.
    """
    if tie_order is None:
        tie_order = np.arange(scores.shape[1], dtype=np.uint64)[::-1]
    n_languages = int(max(query_language.max(), passage_language.max())) + 1
    mean = np.zeros((len(scores), n_languages), np.float32)
    best = np.full_like(mean, -np.inf)
    answer = np.where(is_relevant, scores, -np.inf)
    for code in np.unique(passage_language):
        mine = passage_language == code
        mean[:, code] = scores[:, mine].mean(1)
        best[:, code] = answer[:, mine].max(1)
    any_best = best.max(1)
    # the right answer of a language, or else the best
    highest = np.where(np.isfinite(best), best, any_best[:, None])
    # questions without a right answer have no limit, and get no negatives
    with np.errstate(invalid="ignore"):
        limit = mean + max_relative_score * (highest - mean)
    foreign = best.copy()
    foreign[np.arange(len(query_language)), query_language] = -np.inf
    foreign_best = foreign.max(1)
    own = passage_language[None, :] == query_language[:, None]
    may = (
        ~is_relevant
        & (scores > floor)
        & (scores <= limit[:, passage_language])
        & np.isfinite(any_best)[:, None]
    )
    intruder = may & own & (scores > foreign_best[:, None]) & np.isfinite(foreign_best)[:, None]
    value = np.where(may, scores, -np.inf)
    if intruders:
        spread = scores.max() - scores.min() + 1
        value = np.where(intruder, value + spread, value)
    k = min(negatives, scores.shape[1])
    top = best_first(value, tie_order, k)
    there = np.isfinite(np.take_along_axis(value, top, 1))
    question = np.broadcast_to(np.arange(len(scores))[:, None], top.shape)
    found = np.stack([question, top, np.take_along_axis(intruder, top, 1)], 2)
    return found[there].astype(np.int64)
