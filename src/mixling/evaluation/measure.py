"""Measure a retriever: each text encoded once, every setting from one pass over the exact ranks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.errors import MixlingError
from mixling.evaluation.metrics import METRICS, rank_distance
from mixling.evaluation.ranks import Ranks, ranks
from mixling.evaluation.result import Result
from mixling.evaluation.tasks import Task, task
from mixling.evaluation.trec import write
from mixling.machine import machine, versions
from mixling.models.retriever import Retriever
from mixling.progress import Progress


def measure(
    model: str | Retriever,
    tasks: Sequence[str | Task],
    *,
    context: bool = False,
    precision: str = "fp32",
    trec: Path | None = None,
) -> Result:
    """Measure a model on tasks: monolingual, cross-lingual and pool, with language bias.

    model: a name or a Retriever; tasks: names, folders or Tasks. context: candidates are sentences with their
    paragraph; precision: "fp32" or "bf16"; trec: a folder for run and qrels files. Macro means: monolingual over
    languages, cross-lingual over ordered pairs, pool over question languages. Raises MixlingError.
    """
    if not tasks:
        raise MixlingError("nothing to measure: name a task, for instance --task sample")
    loaded = [task(t, context) for t in tasks]
    retriever = model if isinstance(model, Retriever) else Retriever(model)
    summary: dict[str, Any] = {
        "model": retriever.name,
        "origin": retriever.origin,
        "precision": precision,
        "context": context,
        "tasks": {},
    }
    tables, examples = [], {}
    for one in loaded:
        begun = time.perf_counter()
        queries, candidates, counted = _vectors(retriever, one, precision)
        encoded = time.perf_counter()
        with Progress(f"{one.name}: ranks") as bar:
            found = ranks(
                queries,
                candidates,
                one.candidate_language,
                one.relevant,
                one.candidate_ids,
                depth=1000 if trec is not None else 10,
                progress=bar,
            )
        entry, table, wrong = score(one, found)
        entry.update(
            counted,
            data=one.fingerprint(),
            seconds_encoding=round(encoded - begun, 2),
            seconds_ranking=round(time.perf_counter() - encoded, 2),
        )
        summary["tasks"][one.name] = entry
        tables.append(table)
        examples[one.name] = wrong
        if trec is not None:
            write(one, found, trec)
    summary.update(versions=versions(), machine=machine())
    return Result(summary, pa.concat_tables(tables, promote_options="default"), examples)


def _vectors(
    retriever: Retriever, one: Task, precision: str
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Unit or raw vectors (by the model's similarity) of queries and candidates, and what was encoded."""
    texts = one.candidates
    if retriever.title_first:
        texts = [f"{t} {x}" if t else x for t, x in zip(one.titles, texts, strict=True)]
    vectors, counted = [], 0
    for role, batch in (("query", one.queries), ("passage", texts)):
        with Progress(f"{one.name}: {'questions' if role == 'query' else 'candidates'}") as bar:
            tokens = retriever.tokenize(batch, role)
            counted += sum(map(len, tokens))
            v = retriever.encode_tokens(tokens, precision=precision, progress=bar)
        if retriever.similarity == "cosine":
            v = v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)
        vectors.append(v)
    return vectors[0], vectors[1], {"texts_encoded": len(one.queries) + len(texts), "tokens": counted}


def score(one: Task, found: Ranks) -> tuple[dict[str, Any], pa.Table, list[dict]]:
    """Summary entry, scores per query, and wrong first answers of a task."""
    query, candidate = one.relevant.T
    language = one.candidate_language[candidate]
    n, n_languages = len(one.queries), len(one.languages)
    entry: dict[str, Any] = {
        "languages": list(one.languages),
        "queries": n,
        "candidates": len(one.candidates),
        "skipped": dict(one.skipped),
    }
    asked = np.unique(one.query_language)
    answered = np.unique(one.candidate_language)
    tables: list[pa.Table] = []
    means: dict[tuple[int, int], dict[str, float]] = {}
    missing = 0
    for passage_language in answered:
        mine = language == passage_language
        has = np.unique(query[mine])
        values = _measure(found.within[mine], np.searchsorted(has, query[mine]), len(has))
        missing += n - len(has)
        for question_language in asked:
            some = one.query_language[has] == question_language
            if some.any():
                means[int(question_language), int(passage_language)] = {
                    k: float(v[some].mean()) for k, v in values.items()
                }
        tables.append(_table(one, has, passage_language, values))
    settings = one.settings()
    for setting, same in (("monolingual", True), ("cross-lingual", False)):
        if setting in settings:
            cells = {k: v for k, v in means.items() if (k[0] == k[1]) == same}
            entry[setting] = {m: float(np.mean([v[m] for v in cells.values()])) for m in METRICS}
            entry[setting]["by_language"] = {
                "-".join(dict.fromkeys((one.languages[a], one.languages[b])))
                if same
                else f"{one.languages[a]}-{one.languages[b]}": v
                for (a, b), v in cells.items()
            }
    if missing:
        entry["skipped"]["questions without an answer in a corpus language"] = missing
    wrong: list[dict] = []
    if "pool" in settings:
        values = _measure(found.pool, query, n)
        values["rank_distance"] = rank_distance(found.pool, query, n)
        per = {int(a): {k: _nanmean(v[one.query_language == a]) for k, v in values.items()} for a in asked}
        pool: dict[str, Any] = {k: _nanmean(np.array([p[k] for p in per.values()])) for k in values}
        pool["by_language"] = {one.languages[a]: v for a, v in per.items()}
        top = one.candidate_language[found.top[:, :10]]
        pool["top10_share"] = {
            one.languages[a]: _share(top[one.query_language == a], n_languages, one.languages) for a in asked
        }
        pool["fair_share"] = {
            one.languages[a]: _share(language[one.query_language[query] == a], n_languages, one.languages)
            for a in asked
        }
        entry["pool"] = pool
        first = found.top[:, 0]
        right = np.isin(np.arange(n) * len(one.candidates) + first, query * len(one.candidates) + candidate)
        tables.append(_table(one, np.arange(n), None, values, first, right))
        wrong = _wrong(one, found, right)
    return entry, pa.concat_tables(tables, promote_options="default"), wrong


def _measure(rank: np.ndarray, query: np.ndarray, n: int) -> dict[str, np.ndarray]:
    return {name: metric(rank, query, n) for name, metric in METRICS.items()}


def _nanmean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _share(codes: np.ndarray, n: int, names: Sequence[str]) -> dict[str, float]:
    count = np.bincount(codes.ravel(), minlength=n)
    return {names[int(i)]: float(count[i] / max(count.sum(), 1)) for i in np.flatnonzero(count)}


def _table(
    one: Task,
    rows: np.ndarray,
    passage_language: int | None,
    values: dict[str, np.ndarray],
    first: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> pa.Table:
    names = np.array(one.languages)
    asked = names[one.query_language[rows]]
    answer = np.full(len(rows), "" if passage_language is None else names[passage_language])
    setting = np.where(answer == "", "pool", np.where(answer == asked, "monolingual", "cross-lingual"))
    columns: dict[str, Any] = {
        "task": pa.array([one.name] * len(rows)).dictionary_encode(),
        "setting": pa.array(setting).dictionary_encode(),
        "query": pa.array([one.query_ids[i] for i in rows]),
        "group": pa.array([one.query_group[i] for i in rows]),
        "question_language": pa.array(asked).dictionary_encode(),
        "passage_language": pa.array(answer).dictionary_encode(),
    }
    columns.update({k: pa.array(v, from_pandas=True) for k, v in values.items()})
    if first is not None and right is not None:
        columns["first"] = pa.array([one.candidate_ids[i] for i in first])
        columns["first_language"] = pa.array(names[one.candidate_language[first]])
        columns["first_is_relevant"] = pa.array(right)
    return pa.table(columns)


def _wrong(one: Task, found: Ranks, right: np.ndarray, most: int = 24) -> list[dict]:
    """Wrong first answers, spread over question languages, with the best right one and its rank."""
    first = np.searchsorted(one.relevant[:, 0], np.arange(len(one.queries) + 1))
    bad = np.flatnonzero(~right)
    asked = np.unique(one.query_language[bad])
    each = -(-most // max(len(asked), 1))
    chosen = []
    for turn in range(each):
        for number, code in enumerate(asked):
            mine = bad[one.query_language[bad] == code]
            chosen.append(
                mine[((turn * len(asked) + number) * len(mine) // (each * len(asked)) + number) % len(mine)]
            )
    chosen = list(dict.fromkeys(chosen))[:most]
    rows = []
    for q in chosen:
        pairs = slice(first[q], first[q + 1])
        best = int(np.argmin(found.pool[pairs]))
        answer, wrong = int(one.relevant[pairs][best, 1]), int(found.top[q, 0])
        rows.append(
            {
                "question": one.queries[q],
                "question_language": one.languages[one.query_language[q]],
                "answered": one.candidates[wrong][:300],
                "answered_language": one.languages[one.candidate_language[wrong]],
                "right": one.candidates[answer][:300],
                "right_language": one.languages[one.candidate_language[answer]],
                "right_rank": int(found.pool[pairs][best]),
            }
        )
    return rows
