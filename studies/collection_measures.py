"""Average precision of queries by language, and what is a log and what is measured."""

from __future__ import annotations

import numpy as np

from mixling.transforms.transforms import normalize

MAX_QUERIES = 1500  # measured
MAX_LOG = 4000


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Average precision of one query; a tie counts against it."""
    ranks = np.sort((scores[None, :] >= scores[relevant][:, None]).sum(1))
    ranks = np.maximum(ranks, np.arange(1, len(ranks) + 1))
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def measure_one(queries, passages, offsets, data) -> dict[str, list[float]]:
    """Monolingual, cross-lingual and multilingual average precision, each with query's language."""
    columns = {x: np.flatnonzero(data["pl"] == x) for x in np.unique(data["pl"])}
    language = np.unique(data["pl"], return_inverse=True)[1]
    values = {"monolingual": [], "cross-lingual": [], "multilingual": []}
    top = []
    for begin in range(0, len(queries), 128):
        scores = queries[begin : begin + 128] @ passages.T
        if offsets is not None:
            scores -= (queries[begin : begin + 128] @ offsets.T)[:, language]
        for row, line in enumerate(scores):
            i = begin + row
            if data["ex"][i] >= 0:
                line[data["ex"][i]] = -9
            relevant = data["rel"][i]
            values["multilingual"].append(average_precision(line, relevant))
            across = []
            own = np.nan
            for code, places in columns.items():
                inside = np.flatnonzero(np.isin(places, relevant))
                if len(inside):
                    found = average_precision(line[places], inside)
                    if code == data["ql"][i]:
                        own = found
                    else:
                        across.append(found)
            values["monolingual"].append(own)
            values["cross-lingual"].append(np.mean(across) if across else np.nan)
            best = np.argpartition(-line, 10)[:10]
            top.append((data["pl"][best] == data["ql"][i]).mean())
    values["same language in the first ten"] = top
    return values


def macro(values: list[float], languages: np.ndarray) -> float | None:
    """Mean over query languages of the mean over queries."""
    array = np.array(values)
    means = [
        array[(languages == x) & ~np.isnan(array)].mean()
        for x in np.unique(languages)
        if ((languages == x) & ~np.isnan(array)).any()
    ]
    return float(np.mean(means)) if means else None


def split(z: dict[str, np.ndarray], seed: int = 0) -> tuple[dict, np.ndarray, np.ndarray]:
    """Return what is measured, and the log's queries with their languages."""
    rng = np.random.default_rng(seed)
    groups = np.unique(z["query_groups"], return_inverse=True)[1]
    in_log = (rng.permutation(groups.max() + 1) % 2)[groups] == 0
    answers_log = np.zeros(len(z["passages"]), bool)
    answers_log[z["relevant"][in_log[z["relevant"][:, 0]], 1]] = True
    kept = np.flatnonzero(~answers_log)
    place = np.cumsum(~answers_log) - 1
    lists: list[list[int]] = [[] for _ in groups]
    complete = np.ones(len(groups), bool)
    for query, passage in z["relevant"]:
        complete[query] &= not answers_log[passage]
        lists[query].append(int(place[passage]))
    test = np.flatnonzero(~in_log & complete & np.array([len(x) > 0 for x in lists]))
    if len(test) > MAX_QUERIES:
        test = np.sort(rng.choice(test, MAX_QUERIES, replace=False))
    excluded = np.where(
        (z["excluded"] >= 0) & ~answers_log[z["excluded"]], place[z["excluded"]], -1
    )
    log = np.flatnonzero(in_log)
    if len(log) > MAX_LOG:
        log = np.sort(rng.choice(log, MAX_LOG, replace=False))
    data = {
        "q": normalize(z["queries"][test]), "ql": z["query_languages"][test],
        "p": normalize(z["passages"][kept]), "pl": z["passage_languages"][kept],
        "rel": [np.array(lists[i]) for i in test], "ex": excluded[test], "kept": kept, "rows": test,
    }  # fmt: skip
    return data, normalize(z["queries"][log]), z["query_languages"][log]


def summary(found: dict[str, dict], data: dict) -> dict:
    """Means of what was measured, and 95 % intervals of the change from zero-shot."""
    zero, rng = found["zero-shot"], np.random.default_rng(0)
    draws = [rng.integers(0, len(data["ql"]), len(data["ql"])) for _ in range(200)]
    intervals: dict[str, dict] = {}
    for scenario in ("multilingual", "monolingual"):
        intervals[scenario] = {}
        for key, values in found.items():
            change = np.array(values[scenario]) - np.array(zero[scenario])
            means = [macro(change[rows].tolist(), data["ql"][rows]) for rows in draws]
            ends = np.quantile([x for x in means if x is not None] or [0], [0.025, 0.975])
            intervals[scenario][key] = ends.round(5).tolist()
    return {
        "measured": {k: {m: macro(v, data["ql"]) for m, v in x.items()} for k, x in found.items()},
        "interval": intervals,
    }
