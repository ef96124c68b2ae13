"""Debiasing e5-small without training its encoder: `python studies/debias.py`.

Maps are fitted on SIB-200 train (and MLQA for the trained map), never on a test's text; their
settings come from docs/decisions.md. Rows are kept in debias.json as they come; vectors in
vectors/. Three parts: methods side by side, languages left out of the fit, how few sentences
suffice.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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
from mixling.debiasing.transforms import AffineTransform
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT

RESULT = Path(__file__).with_suffix(".json")
KEEP = Path("vectors")
ELEVEN = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
SEVEN = ["ar", "de", "en", "es", "hi", "vi", "zh"]
TESTS = ("xquad-r", "mlqa-r", "xquad-paragraphs", "xquad-paragraphs-en", "mlqa-held-out")


class Bench:
    """Vectors of fits and tests, each read once."""

    def __init__(self) -> None:
        self.retriever = Retriever(DEFAULT)
        self.tests: dict = {}
        self.stocks: dict = {}

    def stock(
        self, name: str, languages: list[str], texts: int | None = None, raw: bool = False
    ) -> EmbeddedCorpus:
        """A fit's vectors; `name` as for --fit."""
        key = (name, tuple(languages), texts, raw)
        if key not in self.stocks:
            corpus, bitext = read_source(name, languages)

            def encode(batch: list[str], role: str) -> np.ndarray:
                return encode_cached(self.retriever, batch, role, folder=KEEP, raw=raw)[0]

            self.stocks[key] = embed_corpus(corpus, encode, bitext, texts=texts if bitext else None)
        return self.stocks[key]

    def measured(self, found, name: str) -> dict:
        """Figures of a map on a task; found: a map, or None for none."""
        raw = getattr(found, "raw", False)
        if (name, raw) not in self.tests:
            one = load_task(name)
            if raw:
                sides = [
                    encode_cached(self.retriever, texts, role, folder=KEEP, raw=True)[0]
                    for texts, role in ((one.queries, "query"), (one.passages, "passage"))
                ]
            else:
                sides = list(task_vectors(self.retriever, one, vector_cache=KEEP)[:2])
            self.tests[name, raw] = (one, *sides)
        one, queries, candidates = self.tests[name, raw]
        if found is not None:
            asked, answered = (
                [one.languages[i] for i in x] for x in (one.query_language, one.passage_language)
            )
            queries = found.apply(queries, asked, "query")
            candidates = found.apply(candidates, answered, "passage")
        entry = score_task(one, rank_task(one, DotScorer(queries, candidates), 100)).entry
        settings = ("monolingual", "cross-lingual", "multilingual")
        row = {s: entry[s]["mAP"] for s in settings if s in entry}
        row["nDCG@20"] = entry["multilingual"]["nDCG@20"]
        for measure in ("rank_distance", "TLR@20", "intrusion@10", "LPR"):
            row[measure] = entry["bias"][measure]
        row["intervals"] = {s: entry["intervals"][s]["mAP"] for s in settings if s in entry}
        row["pool by language"] = {
            k: v["mAP"] for k, v in entry["multilingual"]["by_language"].items()
        }
        return row


def maps(bench: Bench) -> dict:
    """Part and name -> (stocks, method, settings, tests)."""
    eleven = lambda raw=False, texts=None: [bench.stock("sib-200", ELEVEN, texts, raw)]  # noqa: E731
    # encoding every language takes hours; a hundred sentences of each are enough (part "texts")
    many = bench.stock("sib-200", ["all"], 100).languages()
    high = [x for x in many if resource_level(x) == "high"]
    mlqa = lambda split="mlqa:test": [bench.stock(split, ["all"])]  # noqa: E731
    found = {("methods", "none"): (None, "", {}, TESTS)}
    for alpha in (0.6, 1.0):
        found["methods", f"SHIFT, alpha {alpha:g}"] = (
            lambda: eleven(raw=True),
            "shift",
            {"alpha": alpha},
            TESTS,
        )
    for name, method, settings in (
        ("centering", "centering", {}),
        ("centering, mean put back", "centering", {"keep_mean": True}),
        ("LIR, rank 1", "lir", {}),
        ("LEACE", "leace", {}),
        ("LSAR, rank 10", "lsar", {}),
        ("LSAR, rank 10, sharpened", "lsar", {"sharpen": True}),
    ):
        found["methods", name] = (eleven, method, settings, TESTS)
    found["methods", "trained map"] = (lambda: eleven() + mlqa(), "trained", {}, TESTS[:4])
    # the development row has no text of its own in the fit
    found["methods", "trained map, train split"] = (
        lambda: eleven() + mlqa("mlqa:train"),
        "trained",
        {},
        TESTS[4:],
    )
    found["languages", "LSAR, default (39 languages, rank 16)"] = (
        lambda: [bench.stock("sib-200", high, 100)],
        "lsar",
        {},
        TESTS,
    )
    found["languages", "LSAR, default, sharpened"] = (
        lambda: [bench.stock("sib-200", high, 100)],
        "lsar",
        {"sharpen": True},
        TESTS,
    )
    found["languages", "LSAR, 205 languages, rank 16"] = (
        lambda: [bench.stock("sib-200", ["all"], 100)],
        "lsar",
        {},
        TESTS,
    )
    found["languages", "LSAR, seven languages"] = (
        lambda: [bench.stock("sib-200", SEVEN)],
        "lsar",
        {},
        TESTS,
    )
    found["languages", "trained map, default start"] = (
        lambda: [bench.stock("sib-200", high, 100), *mlqa()],
        "map",
        {},
        TESTS[:4],
    )
    found["languages", "trained map, seven languages"] = (
        lambda: [bench.stock("sib-200", SEVEN), *mlqa()],
        "map",
        {},
        TESTS[:4],
    )
    found["vectors", "LSAR, from Parquet files alone"] = (eleven, "lsar", {}, TESTS[:1])
    found["vectors", "trained map, from Parquet files alone"] = (
        lambda: eleven() + mlqa(),
        "map",
        {},
        TESTS[:1],
    )
    for n in (10, 25, 50, 100, 200, 701):
        found["texts", f"LSAR, {n} sentences a language"] = (
            lambda n=n: eleven(False, n),
            "lsar",
            {},
            TESTS[:1],
        )
    return found


def from_files(method: DebiasingMethod, stocks: list[EmbeddedCorpus]) -> AffineTransform:
    """The same fit by `debias_vectors` on Parquet files alone, read back from what it wrote."""
    with TemporaryDirectory() as folder:
        for number, s in enumerate(stocks):
            group = s.corpus.links["group"]
            for role, vector, language, groups in (
                ("query", s.queries, s.query_language(), s.corpus.queries["group"]),
                ("passage", s.passages, s.passage_language(), group),
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
        found = debias_vectors(folder, method, Path(folder) / "out")
        written = [np.load(Path(folder) / "out" / f"{n}.npy") for n in ("matrix", "bias")]
    return AffineTransform(*written, {**found.metadata, "from": "Parquet files"})


def main() -> None:
    """Measure what is missing."""
    bench = Bench()
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    rows = {(r["part"], r["map"]): r for r in content["rows"]}
    every = maps(bench)
    for (part, name), (stocks, method, settings, tests) in every.items():
        if (part, name) in rows:
            continue
        there = [] if stocks is None else stocks()
        begun = time.perf_counter()
        fit = from_files if part == "vectors" else fit_transform
        found = None if stocks is None else fit(create_method(method, settings), there)
        spent = time.perf_counter() - begun
        row = {
            "part": part,
            "map": name,
            "made": getattr(found, "made", {}),
            "seconds to fit": round(spent, 1),
        }
        row["tasks"] = {t: bench.measured(found, t) for t in tests}
        rows[part, name] = row
        order = [rows[k] for k in every if k in rows]
        content = {
            "model": DEFAULT,
            "rows": order,
            "versions": library_versions(),
            "machine": machine_info(),
        }
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        shown = {k: v for k, v in row["tasks"][tests[0]].items() if not isinstance(v, dict)}
        print(part, name, {k: round(v, 4) for k, v in shown.items()}, flush=True)


if __name__ == "__main__":
    main()
