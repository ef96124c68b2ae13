"""Measure hubs, and CSLS against them: what does arXiv:2605.26575 predict for retrieval?

    python -m studies.hubs --vectors FOLDER

XQuAD-R, MLQA-R and the TyDi pool, with e5-small and `use-multilingual-v3` in the languages that it
knows. Groups that share a passage are one unit, and the units are halved by chance. The queries of
one half are measured. Those of the other half are the reference queries of CSLS, and the passages
that answer them are not in the pool: CSLS would take them down as if it knew that they are wrong.

Transforms: none (zero-shot), LSAR fitted on SIB-200's training sentences, the one that ships with
Mixling (e5-small alone), and centering by language and role, fitted on the pool and the reference
queries. Each is measured by cosine and by CSLS. An interval of mAP is a bootstrap over translation
groups. One of a measure of hubs is a jackknife over twenty parts of the groups, since a bootstrap
draws queries twice and so makes hubs.

`studies.hub_pairs` has what is computed for each pair of languages. The paper claims, of
translations of idioms, that hubs explain a deficit of reciprocity where anisotropy does not, that
CSLS closes 63.5 % of the gap between the worst and the best pair of languages, that taking out the
hubs themselves hardly helps, and that CSLS should replace the cosine.

The study writes hubs.json as it goes, and an interrupted run goes on. FOLDER keeps the vectors,
outside of the project. `--groups N` draws N groups of each task, for a trial.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from studies.hub_pairs import gap_closed, measure_pairs, regressions
from studies.second_encoder import transformed

from mixling.corpora.files import write_text
from mixling.debiasing.collection import CollectionVectors, fit_on_collection
from mixling.debiasing.debias import debias
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import Transform
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.csls import NEIGHBORS, CslsScorer
from mixling.evaluation.hubs.neighbors import Neighbors
from mixling.evaluation.hubs.reciprocity import reciprocity_ceiling
from mixling.evaluation.hubs.table import MEASURES, find_neighbors
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.rows import row_labels, score_column
from mixling.evaluation.significance import group_sums, interval
from mixling.evaluation.tasks import SCENARIOS, Task
from mixling.machine import library_versions, machine_info
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.shipped import read_shipped
from mixling.models.universal import LANGUAGES, NAME
from mixling.models.weights import DEFAULT
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import AffineTransform

RESULT = Path(__file__).with_suffix(".json")
TASKS = ("xquad-r", "mlqa-r", "tydi")
TRANSFORMS = ("zero-shot", "LSAR", "shipped", "centering")
PRECISION = "bf16"  # of e5-small; the second encoder computes in its own way
PARTS = 20  # of the jackknife
DISTRACTORS = 5  # passages that answer nobody, for each group of a trial


@dataclass(frozen=True)
class Halves:
    """A task of one half of the queries, and the reference queries of the other half.

    `queries` and `references` are rows of the whole task, and `passages` those of the pool.
    """

    task: Task
    queries: np.ndarray
    references: np.ndarray
    passages: np.ndarray


@dataclass(frozen=True)
class Vectors:
    """Vectors of the measured queries, the pool and the reference queries behind a transform."""

    queries: np.ndarray
    passages: np.ndarray
    references: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A row of the result, and what its intervals and differences are made of."""

    row: dict[str, Any]
    table: pa.Table
    without: np.ndarray  # measures of hubs without each part of the groups, [parts, measures]
    entry: dict[str, Any]


def units_of(task: Task) -> np.ndarray:
    """Number the units of each query: groups that share a passage are one unit."""
    group = np.unique(np.array(task.query_group), return_inverse=True)[1]
    n, shape = group.max() + 1, group.max() + 1 + len(task.passages)
    links = coo_matrix(
        (np.ones(len(task.relevant)), (group[task.relevant[:, 0]], n + task.relevant[:, 1])),
        shape=(shape, shape),
    )
    return connected_components(links, directed=False)[1][group]


def pool_of(task: Task, queries: np.ndarray, passages: np.ndarray, name: str) -> Task:
    """Return a task with some of the queries and some of the passages, their answers among them."""
    part, place = task.with_queries(queries, name), np.full(len(task.passages), -1)
    place[passages] = np.arange(len(passages))
    excluded = None if part.excluded is None else part.excluded
    return replace(
        part,
        passages=[task.passages[i] for i in passages],
        passage_ids=[task.passage_ids[i] for i in passages],
        passage_language=task.passage_language[passages],
        titles=[task.titles[i] for i in passages],
        relevant=np.stack([part.relevant[:, 0], place[part.relevant[:, 1]]], 1),
        excluded=None if excluded is None else np.where(excluded >= 0, place[excluded], -1),
    )


def draw_groups(task: Task, groups: int, seed: int = 0) -> Task:
    """Draw so many groups, with all that they share passages with, and some other passages."""
    rng, unit = np.random.default_rng(seed), units_of(task)
    chosen = rng.permutation(np.unique(unit))[:groups]
    queries = np.flatnonzero(np.isin(unit, chosen))
    answers = np.unique(task.relevant[np.isin(task.relevant[:, 0], queries), 1])
    others = np.setdiff1d(np.arange(len(task.passages)), task.relevant[:, 1])
    drawn = rng.permutation(others)[: DISTRACTORS * groups]
    return pool_of(task, queries, np.union1d(answers, drawn), task.name)


def halve(task: Task, seed: int = 0) -> Halves:
    """Halve a task by units, and leave out of the pool what answers the reference queries."""
    unit = units_of(task)
    names = np.unique(unit)
    side = np.random.default_rng(seed).permutation(len(names)) % 2
    measured = side[np.searchsorted(names, unit)] == 1
    queries, references = np.flatnonzero(measured), np.flatnonzero(~measured)
    answers = task.relevant[~measured[task.relevant[:, 0]], 1]
    passages = np.setdiff1d(np.arange(len(task.passages)), answers)
    return Halves(pool_of(task, queries, passages, task.name), queries, references, passages)


def languages_of(task: Task, rows: np.ndarray, role: str) -> list[str]:
    """Return the language of each query or passage."""
    codes = task.query_language if role == "query" else task.passage_language
    return [task.languages[i] for i in codes[rows]]


def fit(
    name: str, encoder: AnyEncoder, task: Task, halves: Halves, plain: Vectors, given: Any
) -> Transform | None:
    """Fit a transform."""
    if name == "LSAR":
        return debias(
            encoder,
            Lsar(),
            ["sib-200:train"],
            languages=list(task.languages),
            texts=given.groups,
            vector_cache=given.vectors,
            precision=PRECISION,
        )
    if name == "shipped":
        return AffineTransform(*read_shipped())
    if name == "centering":
        of_queries = np.array(languages_of(task, halves.references, "query"))
        of_passages = np.array(languages_of(task, halves.passages, "passage"))
        found = CollectionVectors(plain.references, of_queries, plain.passages, of_passages)
        return fit_on_collection("centering", found)
    return None


def behind(transform: Transform | None, task: Task, halves: Halves, plain: Vectors) -> Vectors:
    """Return the vectors behind a transform."""
    return Vectors(
        *(
            transformed(transform, vectors, languages_of(task, rows, role), role)
            for vectors, rows, role in (
                (plain.queries, halves.queries, "query"),
                (plain.passages, halves.passages, "passage"),
                (plain.references, halves.references, "query"),
            )
        )
    )


def scorer_of(vectors: Vectors, is_csls: bool) -> DotScorer | CslsScorer:
    """Return cosines, or CSLS by the reference queries."""
    dots = DotScorer(vectors.queries, vectors.passages)
    if not is_csls:
        return dots
    return CslsScorer(
        dots, HubCorrection(vectors.references, NEIGHBORS, 0).hub_scores(dots.passages.numpy())
    )


def measure_row(task: Task, scorer: DotScorer | CslsScorer) -> Measured:
    """Measure mAP of each scenario and the measures of hubs."""
    ranks = rank_task(task, scorer)
    scores = score_task(task, ranks)
    entry = scores.entry
    neighbors = find_neighbors(ranks, len(task.passages))
    without = jackknife(neighbors, np.array(task.query_group))
    hubs = {name: around(entry["hubs"][name], without[:, i]) for i, name in enumerate(MEASURES)}
    row = {
        "queries": len(task.queries),
        "passages": len(task.passages),
        "mAP": {
            s: [entry[s]["mAP"], *entry["intervals"][s]["mAP"]] for s in SCENARIOS if s in entry
        },
        "hubs": {**hubs, "at_random": entry["hubs"]["at_random"]},
        "reciprocity ceiling": reciprocity_ceiling(neighbors),
        "reciprocity_by_pair": entry["hubs"]["reciprocity_by_pair"],
    }
    return Measured(row, scores.table, without, entry)


def jackknife(neighbors: Neighbors, groups: np.ndarray) -> np.ndarray:
    """Compute the measures of hubs without each part of the groups: `[parts, measures]`."""
    names, number = np.unique(groups, return_inverse=True)
    part = (np.random.default_rng(0).permutation(len(names)) % PARTS)[number]
    return np.array(
        [[m.compute(neighbors.rows(part != i)) for m in MEASURES.values()] for i in np.unique(part)]
    )


def around(value: float, without: np.ndarray) -> list[float]:
    """Return a figure with its 95 % interval by the jackknife."""
    n = len(without)
    deviation = float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))
    return [value, value - 1.96 * deviation, value + 1.96 * deviation]


def difference(first: Measured, second: Measured) -> dict[str, Any]:
    """Return what changes from one row to another, each with its 95 % interval."""
    scenario, group, cell = row_labels(first.table)
    change = score_column(second.table, "mAP") - score_column(first.table, "mAP")
    found: dict[str, Any] = {}
    for name in dict.fromkeys(scenario.tolist()):
        rows = scenario == name
        sums = group_sums(change[rows], group[rows], cell[rows])
        found[name] = [sums.mean(), *interval(sums)]
    for i, name in enumerate(MEASURES):
        value = second.row["hubs"][name][0] - first.row["hubs"][name][0]
        found[name] = around(value, second.without[:, i] - first.without[:, i])
    return found


def measure_traps(task: Task, halves: Halves, whole: tuple[np.ndarray, np.ndarray]) -> dict:
    """Measure CSLS with references that give answers away: the queries themselves, known answers.

    The first has the measured queries as references. The second keeps what answers the reference
    queries in the pool.
    """
    queries, passages = whole
    plain = Vectors(queries[halves.queries], passages[halves.passages], queries[halves.queries])
    kept = task.with_queries(halves.queries, task.name)
    full = Vectors(queries[halves.queries], passages, queries[halves.references])
    rows = {
        "references are the measured queries": (halves.task, scorer_of(plain, True)),
        "answers of the references in the pool": (kept, scorer_of(full, True)),
        "answers of the references in the pool, cosine": (kept, scorer_of(full, False)),
    }
    found = {}
    for name, (measured, scorer) in rows.items():
        entry = score_task(measured, rank_task(measured, scorer, NEIGHBORS)).entry
        found[name] = {s: entry[s]["mAP"] for s in SCENARIOS if s in entry}
    return found


def study_task(
    encoder: AnyEncoder, name: str, content: dict[str, Any], given: Any, result: Path
) -> None:
    """Measure all rows of a task with an encoder that are not measured yet."""
    whole = load_task(name)
    if encoder.name == NAME:
        whole = load_task(f"{name}@{','.join(x for x in whole.languages if x in LANGUAGES)}")
    whole = whole if given.groups is None else draw_groups(whole, given.groups)
    halves, done = halve(whole), content["rows"]
    names = [x for x in TRANSFORMS if x != "shipped" or encoder.name != NAME]
    key = f"{encoder.name}, {whole.name}"
    missing = [x for x in names if f"{key}, {x}" not in done]
    if not missing and key in content["traps"]:
        return
    queries, passages, _ = task_vectors(encoder, whole, PRECISION, given.vectors)
    rows = (halves.queries, halves.references)
    plain = Vectors(queries[rows[0]], passages[halves.passages], queries[rows[1]])
    zero = measure_row(halves.task, scorer_of(plain, False))
    for transform in missing:
        start = time.perf_counter()
        fitted = fit(transform, encoder, whole, halves, plain, given)
        vectors = behind(fitted, whole, halves, plain)
        cosine = zero
        if transform != "zero-shot":
            cosine = measure_row(halves.task, scorer_of(vectors, False))
        csls = measure_row(halves.task, scorer_of(vectors, True))
        pairs = measure_pairs(whole, halves, vectors, cosine.entry)
        done[f"{key}, {transform}"] = {
            "encoder": encoder.name,
            "task": whole.name,
            "transform": transform,
            "references": len(halves.references),
            "cosine": cosine.row,
            "CSLS": csls.row,
            "change by CSLS": difference(cosine, csls),
            "change from zero-shot": difference(zero, cosine),
            "change from zero-shot by both": difference(zero, csls),
            "pairs": pairs,
            "gap": gap_closed(pairs),
            "seconds": round(time.perf_counter() - start, 1),
        }
        save(content, result)
        print(key, transform, cosine.row["mAP"], done[f"{key}, {transform}"]["change by CSLS"])
    if key not in content["traps"]:
        content["traps"][key] = measure_traps(whole, halves, (queries, passages))
        save(content, result)


def save(content: dict[str, Any], result: Path) -> None:
    """Write the result file."""
    content["regressions"] = regressions(list(content["rows"].values()))
    versions = {"versions": library_versions(), "machine": machine_info()}
    write_text(result, json.dumps({**content, **versions}, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Run the parts that are not measured yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--groups", type=int)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--task", action="append")
    parser.add_argument("--encoder", action="append")
    given = parser.parse_args()
    content: dict[str, Any] = {"rows": {}, "traps": {}}
    if given.out.exists():
        content |= json.loads(given.out.read_text(encoding="utf-8"))
    for name in given.encoder or (DEFAULT, NAME):
        encoder = load_encoder(name)
        for task in given.task or TASKS:
            study_task(encoder, task, content, given, given.out)


if __name__ == "__main__":
    main()
