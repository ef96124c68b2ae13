"""Measure methods that debias e5-small without training its encoder: `python studies/debias.py`.

Transforms are fitted on SIB-200 train (the trained transform on MLQA too), never on a test's text;
docs/development/decisions.md explains their options. The study has parts: methods side by side,
languages left out of the fit, fits from Parquet files, and the number of sentences. Rows are added
to debias.json as they are measured; vectors are cached in vectors/.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.files import write_text
from mixling.corpora.resources import resource_level
from mixling.debiasing.debias import fit_transform, read_source
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, embed_corpus
from mixling.debiasing.files import debias_vectors
from mixling.debiasing.method import DebiasingMethod
from mixling.debiasing.registry import create_method
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.transforms.transforms import AffineTransform

RESULT = Path(__file__).with_suffix(".json")
CACHE = Path("vectors")
ELEVEN = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
SEVEN = ["ar", "de", "en", "es", "hi", "vi", "zh"]
TESTS = ("xquad-r", "mlqa-r", "xquad-paragraphs", "xquad-paragraphs-en", "mlqa-held-out")

# corpora to fit on (None: no transform), method, its options, tasks
Fit = tuple[Callable[[], list[EmbeddedCorpus]] | None, str, dict[str, Any], tuple[str, ...]]


class VectorCache:
    """Vectors of fits and tests, each computed once."""

    def __init__(self) -> None:
        self.retriever = Retriever(DEFAULT)
        self.tests: dict = {}
        self.corpora: dict = {}

    def corpus(
        self, name: str, languages: list[str], texts: int | None = None, raw: bool = False
    ) -> EmbeddedCorpus:
        """Return the embedded corpus of a fit; `name` is as for `--fit`."""
        key = (name, tuple(languages), texts, raw)
        if key not in self.corpora:
            corpus, bitext = read_source(name, languages)

            def encode(batch: list[str], role: str, titles: list[str | None] | None) -> np.ndarray:
                return encode_cached(
                    self.retriever, batch, role, titles=titles, folder=CACHE, raw=raw
                )[0]

            self.corpora[key] = embed_corpus(
                corpus, encode, bitext, texts=texts if bitext else None
            )
        return self.corpora[key]

    def measure(self, transform: Any, name: str) -> dict:
        """Measure a task with a transform, or without one (None)."""
        raw = getattr(transform, "raw", False)
        if (name, raw) not in self.tests:
            task = load_task(name)
            if raw:
                sides = [
                    encode_cached(self.retriever, texts, role, folder=CACHE, raw=True)[0]
                    for texts, role in ((task.queries, "query"), (task.passages, "passage"))
                ]
            else:
                sides = list(task_vectors(self.retriever, task, vector_cache=CACHE)[:2])
            self.tests[name, raw] = (task, *sides)
        task, queries, passages = self.tests[name, raw]
        if transform is not None:
            query_languages, passage_languages = (
                [task.languages[i] for i in x] for x in (task.query_language, task.passage_language)
            )
            queries = transform.transform(queries, query_languages, "query")
            passages = transform.transform(passages, passage_languages, "passage")
        entry = score_task(task, rank_task(task, DotScorer(queries, passages), 100)).entry
        scenarios = ("monolingual", "cross-lingual", "multilingual")
        row = {scenario: entry[scenario]["mAP"] for scenario in scenarios if scenario in entry}
        row["nDCG@20"] = entry["multilingual"]["nDCG@20"]
        for measure in ("rank_distance", "TLR@20", "intrusion@10", "LPR"):
            row[measure] = entry["bias"][measure]
        row["intervals"] = {
            scenario: entry["intervals"][scenario]["mAP"]
            for scenario in scenarios
            if scenario in entry
        }
        row["multilingual by language"] = {
            k: v["mAP"] for k, v in entry["multilingual"]["by_language"].items()
        }
        return row


def fits(vectors: VectorCache) -> dict[tuple[str, str], Fit]:
    """Return the fit of each part and name."""

    def eleven(raw: bool = False, texts: int | None = None) -> list[EmbeddedCorpus]:
        return [vectors.corpus("sib-200", ELEVEN, texts, raw)]

    def mlqa(split: str = "mlqa:test") -> list[EmbeddedCorpus]:
        return [vectors.corpus(split, ["all"])]

    # encoding every language takes hours; a hundred sentences of each are enough (part "texts")
    languages = vectors.corpus("sib-200", ["all"], 100).languages()
    high = [x for x in languages if resource_level(x) == "high"]
    fits_by_name: dict[tuple[str, str], Fit] = {("methods", "none"): (None, "", {}, TESTS)}
    for alpha in (0.6, 1.0):
        fits_by_name["methods", f"SHIFT, alpha {alpha:g}"] = (
            lambda: eleven(raw=True),
            "shift",
            {"alpha": alpha},
            TESTS,
        )
    for name, method, options in (
        ("centering", "centering", {}),
        ("centering, mean put back", "centering", {"keep_mean": True}),
        ("LIR, rank 1", "lir", {}),
        ("LEACE", "leace", {}),
        ("LSAR, rank 10", "lsar", {}),
        ("LSAR, rank 10, sharpened", "lsar", {"sharpen": True}),
    ):
        fits_by_name["methods", name] = (eleven, method, options, TESTS)
    fits_by_name["methods", "trained transform"] = (
        lambda: eleven() + mlqa(),
        "trained",
        {},
        TESTS[:4],
    )
    # the development row has no text of its own in the fit
    fits_by_name["methods", "trained transform, train split"] = (
        lambda: eleven() + mlqa("mlqa:train"),
        "trained",
        {},
        TESTS[4:],
    )
    fits_by_name["languages", "LSAR, default (39 languages, rank 16)"] = (
        lambda: [vectors.corpus("sib-200", high, 100)],
        "lsar",
        {},
        TESTS,
    )
    fits_by_name["languages", "LSAR, default, sharpened"] = (
        lambda: [vectors.corpus("sib-200", high, 100)],
        "lsar",
        {"sharpen": True},
        TESTS,
    )
    fits_by_name["languages", "LSAR, 205 languages, rank 16"] = (
        lambda: [vectors.corpus("sib-200", ["all"], 100)],
        "lsar",
        {},
        TESTS,
    )
    fits_by_name["languages", "LSAR, seven languages"] = (
        lambda: [vectors.corpus("sib-200", SEVEN)],
        "lsar",
        {},
        TESTS,
    )
    fits_by_name["languages", "trained transform, default start"] = (
        lambda: [vectors.corpus("sib-200", high, 100), *mlqa()],
        "trained",
        {},
        TESTS[:4],
    )
    fits_by_name["languages", "trained transform, seven languages"] = (
        lambda: [vectors.corpus("sib-200", SEVEN), *mlqa()],
        "trained",
        {},
        TESTS[:4],
    )
    fits_by_name["vectors", "LSAR, from Parquet files alone"] = (eleven, "lsar", {}, TESTS[:1])
    fits_by_name["vectors", "trained transform, from Parquet files alone"] = (
        lambda: eleven() + mlqa(),
        "trained",
        {},
        TESTS[:1],
    )
    for n in (10, 25, 50, 100, 200, 701):
        fits_by_name["texts", f"LSAR, {n} sentences a language"] = (
            partial(eleven, False, n),
            "lsar",
            {},
            TESTS[:1],
        )
    return fits_by_name


def from_files(method: DebiasingMethod, corpora: list[EmbeddedCorpus]) -> AffineTransform:
    """Fit by `debias_vectors` on Parquet files alone, and read the written transform."""
    with TemporaryDirectory() as folder:
        for number, corpus in enumerate(corpora):
            group = corpus.corpus.links["group"]
            for role, vector, language, groups in (
                ("query", corpus.queries, corpus.query_language(), corpus.corpus.queries["group"]),
                ("passage", corpus.passages, corpus.passage_language(), group),
            ):
                table = {
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(vector.ravel()), vector.shape[1]
                    ),
                    "language": language.tolist(),
                    "group": [f"{number}:{g}" for g in groups.to_pylist()],
                    "role": [role] * len(vector),
                }
                pq.write_table(pa.table(table), Path(folder) / f"{number}-{role}.parquet")
        transform = debias_vectors(folder, method, Path(folder) / "out")
        matrix, bias = (np.load(Path(folder) / "out" / f"{n}.npy") for n in ("matrix", "bias"))
    return AffineTransform(matrix, bias, {**transform.metadata, "from": "Parquet files"})


def main() -> None:
    """Measure the fits that are missing."""
    vectors = VectorCache()
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    rows = {(r["part"], r["transform"]): r for r in content["rows"]}
    fits_by_name = fits(vectors)
    for (part, name), (corpora, method, options, tests) in fits_by_name.items():
        if (part, name) in rows:
            continue
        fit_corpora = [] if corpora is None else corpora()
        start_time = time.perf_counter()
        fit = from_files if part == "vectors" else fit_transform
        transform = None if corpora is None else fit(create_method(method, options), fit_corpora)
        seconds = time.perf_counter() - start_time
        row: dict[str, Any] = {
            "part": part,
            "transform": name,
            "metadata": getattr(transform, "metadata", {}),
            "seconds to fit": round(seconds, 1),
        }
        row["tasks"] = {t: vectors.measure(transform, t) for t in tests}
        rows[part, name] = row
        order = [rows[k] for k in fits_by_name if k in rows]
        content = {
            "model": DEFAULT,
            "rows": order,
            "versions": library_versions(),
            "machine": machine_info(),
        }
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        scores = {k: v for k, v in row["tasks"][tests[0]].items() if not isinstance(v, dict)}
        print(part, name, {k: round(v, 4) for k, v in scores.items()}, flush=True)


if __name__ == "__main__":
    main()
