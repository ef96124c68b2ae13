"""Who keeps the query's language? Recall of answers in the query's language and in others.

    python -m studies.same_language --vectors FOLDER [--encoder NAME] [--task TASK]
        [--model FOLDER] [--groups N] [--out FILE]

A vendor of vector databases sells SHIFT (arXiv:2606.18801) for multilingual-e5-small, and publishes
recall@10 of all answers, of those in the query's language and of those in other languages. This
study measures the same three figures for SHIFT and for what Mixling has. With R(q) the relevant
passages of a query q in the pool, and R_same(q) and R_other(q) those in its language and in others:

    recall        |{p in R(q): rank(p) <= 10}| / |R(q)|
    same          |{p in R_same(q): rank(p) <= 10}| / |R_same(q)|
    other         |{p in R_other(q): rank(p) <= 10}| / |R_other(q)|    TLR@10 of SHIFT

All ranks are those in the pool of all languages. A query without such passages is left out of that
mean; the result counts these queries. Figures are means of the query languages' means, as the
vendor averages them. mAP within the query's language and in the pool stand beside.

Intervals are bootstraps over translation groups. Each method is tested against the zero-shot
encoder and against SHIFT as the vendor sells it, by permutations over translation groups, with
Holm's correction over the methods and figures of an encoder and a collection.

SHIFT is fitted on SIB-200's training sentences in the languages of the collection and English, and
so is LSAR, with its default rank. `SHIFT` moves passages as published, `SHIFT, queries too` also
queries, by offsets of their own role: so the vendor has it. Development tasks choose alpha from the
paper's grid for each of both. The trained transform is the shipped one of multilingual-e5-small,
and that of `studies.second_encoder` for the second encoder. Orders are those of a search, by the
scores of the zero-shot encoder, over the whole pool.

Collections are pools of XQuAD-R's paragraphs (`studies.language_pools`), in the vendor's three
languages and in all, and a help desk: LibreOffice's help, its titles as queries.

`--task` measures any other task as it is, `--model` adds a trained model's folder to the methods,
and `--groups N` draws N groups of each collection, for a trial. FOLDER keeps the vectors, outside
of the project. same-language.json is written as it goes, and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from studies import language_pools as pools
from studies.hubs import draw_groups
from studies.same_language_measures import (
    COMPARISONS,
    DEPTH,
    Row,
    compare,
    correct,
    describe,
    figures_of,
    mean_of,
    scores_of,
)
from studies.same_language_methods import (
    VENDOR,
    ZERO_SHOT,
    Setup,
    dot_scorer,
    fit_shift,
    methods,
    sentences,
)
from studies.second_encoder import DEVELOPMENT, SHARED

from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task
from mixling.evaluation.tasks import Task, task_from_corpus
from mixling.machine import library_versions, machine_info
from mixling.models.encoders import load_encoder
from mixling.models.universal import LANGUAGES, NAME
from mixling.models.weights import DEFAULT

RESULT = Path(__file__).with_name("same-language.json")
ALPHAS = tuple(round(0.1 * n, 1) for n in range(1, 11))  # the paper's grid
TRIO, MISSING = ["de", "en", "es"], "de"
HELP_LANGUAGES = ["en", *pools.HELP_DESK]
HELP_PAGES, HELP_CHARACTERS = 250, 1500


def xquad(languages: list[str]) -> Task:
    """Load XQuAD-R's paragraphs in some languages, with the queries in them."""
    corpus = load("xquad-r", languages=languages or None)
    return task_from_corpus(corpus, "passage", name="xquad-paragraphs")


def help_pages() -> Task:
    """Load some pages of LibreOffice's help, test part; their titles are the queries."""
    corpus = load("libreoffice-help", "test", languages=HELP_LANGUAGES)
    paths = sorted(set(corpus.passages["group"].to_pylist()))
    chosen = np.random.default_rng(0).permutation(paths)[:HELP_PAGES].tolist()
    task = task_from_corpus(corpus.select(passage_groups=chosen), "passage", name="help")
    return replace(task, passages=[x[:HELP_CHARACTERS] for x in task.passages])


def everything(task: Task) -> np.ndarray:
    """Return the rows of all passages."""
    return np.arange(len(task.passages))


def mostly_english(task: Task) -> np.ndarray:
    """Draw a pool that is mostly English."""
    return pools.draw(task, pools.mostly_english(pools.counts_of(task)))


def help_desk(task: Task) -> np.ndarray:
    """Draw the pool of a help desk."""
    return pools.draw(task, pools.help_desk(pools.counts_of(task)))


# name -> the task, and the rows of its passages that are in the pool
COLLECTIONS: dict[str, tuple[Callable[[], Task], Callable[[Task], np.ndarray]]] = {
    "XQuAD de en es, balanced": (partial(xquad, TRIO), everything),
    "XQuAD de en es, 90 % English": (partial(xquad, TRIO), mostly_english),
    "XQuAD de en es, no German": (partial(xquad, TRIO), partial(pools.without, language=MISSING)),
    "LibreOffice's help, half English": (help_pages, help_desk),
    "XQuAD all languages, balanced": (partial(xquad, []), everything),
    "XQuAD all languages, 90 % English": (partial(xquad, []), mostly_english),
    "XQuAD all languages, no German": (
        partial(xquad, []),
        partial(pools.without, language=MISSING),
    ),
}


def choose_alphas(setup: Setup, content: Row, save: Callable[[], None]) -> dict[bool, float]:
    """Choose alpha of SHIFT, without and with queries, by the development tasks.

    The best has the highest mean of multilingual mAP, as for the options of
    `studies.second_encoder`.
    """
    found = content["development"].setdefault(setup.encoder.name, {})
    tasks = [load_task(name) for name in DEVELOPMENT]
    if setup.groups is not None:
        tasks = [draw_groups(task, setup.groups) for task in tasks]
    corpus = sides = None
    for side, queries in (("passages", False), ("queries too", True)):
        for alpha in ALPHAS:
            rows = found.setdefault(side, {})
            if f"{alpha}" in rows:
                continue
            if corpus is None:
                corpus = sentences(setup, SHARED)
                sides = [setup.raw_vectors(task) for task in tasks]
            row = {}
            for task, vectors in zip(tasks, sides, strict=True):
                scorer = dot_scorer(task, vectors, fit_shift(corpus, alpha, queries))
                values = scores_of(task, rank_task(task, scorer, DEPTH))
                row[task.name] = mean_of(task, values["multilingual mAP"])
            rows[f"{alpha}"] = {**row, "mean": float(np.mean(list(row.values())))}
        save()
    chosen = {
        queries: max(ALPHAS, key=lambda alpha: found[side][f"{alpha}"]["mean"])
        for side, queries in (("passages", False), ("queries too", True))
    }
    found["chosen"] = {"passages": chosen[False], "queries too": chosen[True]}
    return chosen


def study(setup: Setup, name: str, task: Task, content: Row, model: str | None, save: Any) -> None:
    """Measure the methods of a collection that are not measured yet."""
    rows, key = content["rows"], {"encoder": setup.encoder.name, "collection": name}
    done = {r["method"] for r in rows if all(r[k] == v for k, v in key.items())}
    alphas = choose_alphas(setup, content, save)
    listed = dict(methods(setup, task, alphas, model))
    if not set(listed) - done:
        return
    content["collections"][f"{key['encoder']}, {name}"] = describe(task)

    def measure(method: str) -> dict[str, np.ndarray]:
        return scores_of(task, rank_task(task, listed[method](), DEPTH))

    names = zip(COMPARISONS, (ZERO_SHOT, VENDOR), strict=True)
    references = {part: (other, measure(other)) for part, other in names}
    for method in listed:
        if method in done:
            continue
        start = time.perf_counter()
        known = [values for other, values in references.values() if other == method]
        values = known[0] if known else measure(method)
        row = {**key, "method": method, **figures_of(task, values)}
        for part, (other, first) in references.items():
            if method not in (other, ZERO_SHOT):
                row[part] = compare(task, first, values)
        row["seconds"] = round(time.perf_counter() - start, 1)
        rows.append(row)
        save()
        shown = {k: round(v[0], 4) for k, v in row["figures"].items()}
        print(key["encoder"], "|", name, "|", method, shown, flush=True)


def read_collections(names: list[str] | None) -> Iterator[tuple[str, Task, Callable]]:
    """Yield the name, the task and the pool of each collection, or of some tasks as they are."""
    if names:
        yield from ((name, load_task(name), everything) for name in names)
        return
    for name, (read, rule) in COLLECTIONS.items():
        yield name, read(), rule


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--encoder", action="append")
    parser.add_argument("--task", action="append")
    parser.add_argument("--model")
    parser.add_argument("--groups", type=int)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    content: Row = {"development": {}, "collections": {}, "rows": []}
    if given.out.exists():
        content |= json.loads(given.out.read_text(encoding="utf-8"))

    def save() -> None:
        """Write the result file."""
        correct(content["rows"])
        versions = {"versions": library_versions(), "machine": machine_info()}
        text = json.dumps({**content, **versions}, indent=1, ensure_ascii=False)
        write_text(given.out, text + "\n")

    for encoder in given.encoder or (DEFAULT, NAME):
        setup = Setup(load_encoder(encoder), given.vectors, given.groups)
        for name, whole, rule in read_collections(given.task):
            known = pools.in_languages(whole, LANGUAGES) if encoder == NAME else whole
            part = known if given.groups is None else draw_groups(known, given.groups)
            task = pools.restrict(part, rule(part), name)
            study(setup, name, task, content, given.model, save)


if __name__ == "__main__":
    main()
