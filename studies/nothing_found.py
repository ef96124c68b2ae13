"""Measure how well a search says that nothing answers: `python -m studies.nothing_found CACHE`.

The passages of half of the passage groups are taken out, in all languages, so that half of the
questions have no answer. A question is searched among the passages of its language (monolingual) or
among all (multilingual). Nothing answers, says the search, if the best standard score is below a
threshold. The draw is repeated with five seeds. MLQA's held-out part is the development data, on
which `MIN_STANDARD_SCORE` was chosen; XQuAD-R's paragraphs are the test. CACHE is a folder for the
vectors, as for `studies.highlight`. nothing_found.json holds a row for each set, model and setting.
"""

from __future__ import annotations

import argparse
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.disk import new_file
from mixling.encoding.vectors import normalize_for_similarity
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.searching.answerable import (
    MIN_STANDARD_SCORE,
    SAMPLE,
    center,
    language_centers,
    score_spread,
)

RESULT = Path(__file__).with_suffix(".json")
SETS = {"MLQA held-out": ("mlqa", "held-out"), "XQuAD-R paragraphs": ("xquad-r", "test")}
FILES = {"MLQA held-out": "MLQA-held-out.pkl", "XQuAD-R paragraphs": "XQuAD-R.pkl"}
THRESHOLDS = {"MLQA held-out": (2.5, 3.0, 3.5), "XQuAD-R paragraphs": (MIN_STANDARD_SCORE,)}
MODELS = (DEFAULT, "balanced")
SEEDS = range(5)


def vectors_of(name: str, cache: Path) -> dict[str, Any]:
    """Return the corpus of a set, and the encoder's vectors of its passages and questions."""
    corpus = load(*SETS[name])
    path = cache / FILES[name]
    if path.exists():
        with path.open("rb") as stream:
            vectors = pickle.load(stream)
    else:
        encode = partial(Retriever(DEFAULT).encode, precision="bf16")
        table = corpus.passages
        vectors = {
            "v": encode(table["text"].to_pylist(), "passage"),
            "q": encode(corpus.queries["text"].to_pylist(), "query"),
        }
        with new_file(path) as temporary, temporary.open("wb") as stream:
            pickle.dump(vectors, stream)
    return {"corpus": corpus, "v": vectors["v"], "q": vectors["q"]}


def model_vectors(content: dict[str, Any], model: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of passages and questions by a model with the same encoder inside."""
    corpus, retriever = content["corpus"], Retriever(model)
    vectors, questions = content["v"], content["q"]
    if model != DEFAULT:  # the encoder is followed by a transform
        sides = ((vectors, corpus.passages, "passage"), (questions, corpus.queries, "query"))
        vectors, questions = (
            retriever.encode_tail(x, y["text"].to_pylist(), role, y["language"].to_pylist())
            for x, y, role in sides
        )
    return (
        normalize_for_similarity(retriever, vectors),
        normalize_for_similarity(retriever, questions),
    )


def best_scores(
    corpus: Any, vectors: np.ndarray, questions: np.ndarray, setting: str, seed: int
) -> Any:
    """Return the best standard score of each question, and whether its answer was taken out."""
    passages, queries = corpus.passages.to_pydict(), corpus.queries.to_pydict()
    language, group = np.array(passages["language"]), np.array(passages["group"])
    groups = np.unique(group)
    rng = np.random.default_rng(seed)
    removed = set(groups[rng.permutation(len(groups))[: len(groups) // 2]].tolist())
    kept = np.array([x not in removed for x in group])
    vectors_kept, language_kept = vectors[kept], language[kept]
    counts = {x: int((language_kept == x).sum()) for x in np.unique(language_kept)}
    means = {x: vectors_kept[language_kept == x].mean(0) for x in counts}
    centered = center(language_kept.tolist(), vectors_kept, language_centers(means, counts))
    sample = centered[np.linspace(0, len(centered) - 1, min(SAMPLE, len(centered))).astype(int)]
    answers: dict[str, list[int]] = {}
    links = corpus.links
    for name, passage in zip(links["group"].to_pylist(), links["passage"].to_pylist(), strict=True):
        answers.setdefault(name, []).append(passage)
    best, gone = [], []
    for i, (name, tag) in enumerate(zip(queries["group"], queries["language"], strict=True)):
        places = answers.get(name, [])
        allowed = np.ones(len(centered), bool)
        if setting == "monolingual":
            places = [p for p in places if language[p] == tag]
            allowed = language_kept == tag
        if not places or not allowed.any():
            continue
        scores = centered[allowed] @ questions[i]
        best.append(float(scores.max()) / score_spread(sample, questions[i]))
        gone.append(not kept[places].any())
    return np.array(best), np.array(gone)


def rows_of(name: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each model, setting and threshold: means over the seeds."""
    rows = []
    for model in MODELS:
        vectors, questions = model_vectors(content, model)
        for setting in ("monolingual", "multilingual"):
            draws = [
                best_scores(content["corpus"], vectors, questions, setting, seed) for seed in SEEDS
            ]
            for threshold in THRESHOLDS[name]:
                said = [best < threshold for best, _ in draws]
                gone = [x for _, x in draws]
                pairs = list(zip(said, gone, strict=True))
                rows.append(
                    {
                        "set": name,
                        "model": model,
                        "setting": setting,
                        "questions": float(np.mean([len(x) for x in gone])),
                        "taken out": float(np.mean([x.mean() for x in gone])),
                        "threshold": threshold,
                        "precision": float(np.mean([g[s].mean() for s, g in pairs])),
                        "recall": float(np.mean([s[g].mean() for s, g in pairs])),
                        "false alarms": float(np.mean([s[~g].mean() for s, g in pairs])),
                        "AUC": float(np.mean([roc_auc_score(g, -b) for b, g in draws])),
                    }
                )
    return rows


def main() -> None:
    """Measure both sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path, help="folder of vectors")
    cache = parser.parse_args().cache
    rows = [row for name in SETS for row in rows_of(name, vectors_of(name, cache))]
    result = {
        "rows": rows,
        "seeds": len(SEEDS),
        "machine": machine_info(),
        "versions": library_versions(),
    }
    write_text(RESULT, json.dumps(result, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
