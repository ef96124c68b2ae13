"""Measure whether what was chosen for e5-small holds for a second encoder, on every task.

`use-multilingual-v3` is measured zero-shot and behind each transform, on every task whose languages
it knows. Each transform has two sets of options: those that development data chose for e5-small
(the defaults), and those that the same kind of data chose for the second encoder.

Transforms are fitted on SIB-200 train, in eight languages for the tasks that have no others, else
in all languages that the encoder knows; `trained` also on MLQA train. SHIFT reads the encoder's
unit vectors, because it gives no others.

Figures have 95 % intervals over translation groups. Each transform is tested against the same
encoder zero-shot; Holm's correction runs over all transforms and measures of a task and encoder.

e5-small is measured on the same tasks in the same languages, with its options, and the encoders are
tested against each other: both zero-shot, and both behind their trained transform, each with the
options of its development data. Holm's correction runs over all of these tests.

Run `python -m studies.second_encoder` before, then `python -m studies.second_encoder_tasks`. It
writes studies/second-encoder-tasks.json as it goes, and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from studies import second_encoder
from studies.second_encoder import DEVELOPMENT, SCENARIOS, SHARED, options_of

from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.debiasing.debias import fit_transform, read_source
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, embed_corpus
from mixling.debiasing.leace import Leace
from mixling.debiasing.lir import Lir
from mixling.debiasing.method import DebiasingMethod, Transform
from mixling.debiasing.shift import Shift
from mixling.debiasing.trained import TrainedTransform
from mixling.encoding.vectors import encode_cached, normalize_for_similarity
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.rows import row_labels, score_column
from mixling.evaluation.significance import compare_scores, holm
from mixling.evaluation.tasks import Task, task_from_corpus
from mixling.machine import library_versions, machine_info
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.universal import LANGUAGES, NAME
from mixling.models.weights import DEFAULT

RESULT = Path(__file__).with_name("second-encoder-tasks.json")
EIGHT = ("xquad-r", "xquad-paragraphs", "mlqa-r")  # tasks in none but the eight languages
OTHERS = ("tydi", "sib-200:test", "tico-19")
# Options that development data choose from; the first of each are those of e5-small, the defaults.
OPTIONS: dict[str, list[DebiasingMethod]] = {
    **second_encoder.OPTIONS,
    "lir": [Lir(), Lir(rank=2), Lir(rank=4)],
    "leace": [Leace()],
    "shift": [Shift(), *(Shift(alpha=a) for a in (0.2, 0.4, 0.8, 1.0))],
}
TESTED = (*((s, "mAP") for s in SCENARIOS), ("multilingual", "rank_distance"))
BIAS = ("rank_distance", "intrusion@10", "LPR")


def known_task(name: str) -> Task:
    """Load a task in the languages that the second encoder knows."""
    if name == "xquad-paragraphs":
        languages = [x for x in load_task(name).languages if x in LANGUAGES]
        return task_from_corpus(load("xquad-r", languages=languages), "passage", name=name)
    source, _, split = name.partition(":")
    corpus = load(source, split or ("dev" if source == "tydi" else "test"))
    languages = [x for x in corpus.languages() if x in LANGUAGES]
    if name in EIGHT:
        languages = [x for x in languages if x in SHARED]
    return load_task(f"{name}@{','.join(languages)}")


class Encoded:
    """An encoder with the vectors of its fits and tasks.

    Args:
        name: The encoder.
        vectors: Folder that keeps vectors for the next run.
    """

    def __init__(self, name: str, vectors: Path):
        self.encoder: AnyEncoder = load_encoder(name)
        self.name, self.folder = name, vectors
        self.corpus = cache(self._corpus)

    def encode(self, texts: list[str], role: str, titles: Any = None) -> np.ndarray:
        """Return vectors of length one."""
        vectors = encode_cached(self.encoder, texts, role, titles=titles, folder=self.folder)[0]
        return normalize_for_similarity(self.encoder, vectors)

    def _corpus(self, source: str, languages: tuple[str, ...]) -> EmbeddedCorpus:
        corpus, bitext = read_source(source, languages)
        return embed_corpus(corpus, self.encode, bitext)

    def fit(self, method: DebiasingMethod, languages: tuple[str, ...]) -> Transform:
        """Fit a method in these languages."""
        sources = ["sib-200:train", *(["mlqa:train"] if method.name == "trained" else [])]
        return fit_transform(method, [self.corpus(s, languages) for s in sources])

    def score(self, task: Task, transform: Transform | None) -> tuple[dict[str, Any], pa.Table]:
        """Return a task's entry and its scores a query, behind a transform or zero-shot."""
        sides = []
        for texts, titles, codes, role in (
            (task.queries, None, task.query_language, "query"),
            (task.passages, task.titles, task.passage_language, "passage"),
        ):
            vectors = self.encode(list(texts), role, titles)
            languages = [task.languages[i] for i in codes]
            sides.append(second_encoder.transformed(transform, vectors, languages, role))
        scores = score_task(task, rank_task(task, DotScorer(*sides)))
        return scores.entry, scores.table


def row_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an entry that are kept, with their intervals."""
    row: dict[str, Any] = {s: entry[s]["mAP"] for s in SCENARIOS if s in entry}
    # a task without translated answers has no rank distance
    row |= {name: entry["bias"][name] for name in BIAS if not np.isnan(entry["bias"][name])}
    intervals = {s: entry["intervals"][s]["mAP"] for s in SCENARIOS if s in entry["intervals"]}
    bias = {k: v for k, v in entry["intervals"].get("bias", {}).items() if k in row}
    return {**row, "intervals": {**intervals, **bias}}


def changes(before: pa.Table, after: pa.Table) -> dict[str, Any]:
    """Test a transform against zero-shot, on the same queries."""
    scenario, group, cell = row_labels(before)
    found = {}
    for name, measure in TESTED:
        rows = scenario == name
        one, two = (score_column(table, measure)[rows] for table in (before, after))
        if not rows.any() or np.isnan(one).all():
            continue
        c = compare_scores(one, two, group[rows], cell[rows])
        label = name if measure == "mAP" else measure
        found[label] = {"difference": c.difference, "low": c.low, "high": c.high, "p": c.p}
    return found


def chosen_for(encoded: Encoded, content: dict[str, Any]) -> Iterator[tuple[DebiasingMethod, str]]:
    """Yield each method with the options of e5-small, and with the encoder's own if they differ.

    Best is the highest mean of multilingual mean average precision over the development tasks, as
    in `studies.second_encoder`, which has measured three of the methods there.
    """
    rows = content.setdefault("development", {})
    rows |= json.loads(second_encoder.RESULT.read_text())["development"]
    tasks = [load_task(name) for name in DEVELOPMENT]
    for methods in OPTIONS.values():
        for method in methods:
            if len(methods) > 1 and options_of(method) not in rows:
                transform = encoded.fit(method, tuple(SHARED))
                entries = [row_of(encoded.score(t, transform)[0]) for t in tasks]
                rows[options_of(method)] = dict(zip(DEVELOPMENT, entries, strict=True))
                save(content)
        best = methods[0]
        if len(methods) > 1:
            best = max(methods, key=lambda m: second_encoder.multilingual(rows[options_of(m)]))
        yield methods[0], "e5-small" if best != methods[0] else "both"
        if best != methods[0]:
            yield best, NAME


def correct(rows: list[dict[str, Any]]) -> None:
    """Set `p_holm` of every test, adjusted over all tests of its task and encoder."""
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        family = families.setdefault((row["encoder"], row["task"]), [])
        family += row.get("changes", {}).values()
    for tests in families.values():
        set_corrected(tests)


def set_corrected(tests: list[dict[str, Any]]) -> None:
    """Set `p_holm` of the tests of a family."""
    for test, p in zip(tests, holm([t["p"] for t in tests]), strict=True):
        test["p_holm"] = p


def save(content: dict[str, Any]) -> None:
    """Write the result file."""
    correct(content["rows"])
    pairs = content.get("pairs", {}).values()
    set_corrected([test for pair in pairs for tests in pair.values() for test in tests.values()])
    stamp = {"versions": library_versions(), "machine": machine_info()}
    write_text(RESULT, json.dumps({**content, **stamp}, indent=1, ensure_ascii=False) + "\n")


def measure(
    encoded: Encoded,
    name: str,
    methods: list[tuple[DebiasingMethod, str]],
    content: dict[str, Any],
) -> None:
    """Measure the rows of a task that are missing, zero-shot first."""
    rows = content["rows"]
    done = {(r["encoder"], r["task"], r["transform"]) for r in rows}
    labels = ["zero-shot", *(options_of(m) for m, _ in methods)]
    if all((encoded.name, name, label) in done for label in labels):
        return
    task = known_task(name)
    content["tasks"][name] = {
        "queries": len(task.queries),
        "passages": len(task.passages),
        "languages": list(task.languages),
        "data": task.fingerprint(),
    }
    languages = tuple(SHARED if name in EIGHT else LANGUAGES)
    entry, before = encoded.score(task, None)
    row = {"encoder": encoded.name, "task": name}
    if (encoded.name, name, "zero-shot") not in done:
        rows.append({**row, "transform": "zero-shot", "options": "", **row_of(entry)})
    for method, options in methods:
        label = options_of(method)
        if (encoded.name, name, label) in done:
            continue
        entry, after = encoded.score(task, encoded.fit(method, languages))
        made = {**row_of(entry), "changes": changes(before, after)}
        rows.append({**row, "transform": label, "options": options, **made})
        save(content)
        print(encoded.name, name, label, {s: round(made.get(s, 0), 4) for s in SCENARIOS})


def compare_encoders(
    first: Encoded, second: Encoded, name: str, options: TrainedTransform, content: dict[str, Any]
) -> None:
    """Test the second encoder against the first on a task, unless it is tested.

    Args:
        first: e5-small.
        second: The second encoder.
        name: The task.
        options: The trained transform of the second encoder; the first has the defaults.
        content: The content of the result file, whose `pairs` are set.
    """
    pairs = content.setdefault("pairs", {})
    if name in pairs:
        return
    task, languages = known_task(name), tuple(SHARED if name in EIGHT else LANGUAGES)
    tables = {
        "zero-shot": [encoded.score(task, None)[1] for encoded in (first, second)],
        "trained": [
            encoded.score(task, encoded.fit(method, languages))[1]
            for encoded, method in ((first, TrainedTransform()), (second, options))
        ],
    }
    pairs[name] = {kind: changes(*both) for kind, both in tables.items()}
    save(content)


def main() -> None:
    """Measure the tasks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/second-encoder"))
    parser.add_argument("--tasks", nargs="*", default=[*EIGHT, *OTHERS], help="default: all")
    given = parser.parse_args()
    vectors = given.out / "vectors-cache"
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    content = {"rows": [], "tasks": {}, **content}
    second = Encoded(NAME, vectors)
    methods = list(chosen_for(second, content))
    for name in given.tasks:
        measure(second, name, methods, content)
    first = Encoded(DEFAULT, vectors)
    defaults = [(method, "e5-small") for method, options in methods if options != NAME]
    trained = [method for method, _ in methods if isinstance(method, TrainedTransform)][-1]
    for name in given.tasks:
        measure(first, name, defaults, content)
        compare_encoders(first, second, name, trained, content)


if __name__ == "__main__":
    main()
