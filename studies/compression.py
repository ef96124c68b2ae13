"""Measure whether compressed vectors cost other languages more than the query's own.

    python -m studies.compression

Two encoders, each zero-shot and behind three transforms, on XQuAD-R and MLQA-R in the languages
that the encoder knows. Every compression of `studies.quantizers` is fitted on SIB-200's training
sentences, encoded as passages and transformed as the task's passages are; no text of a task is
among them. Each is compared with float32 vectors behind the same transform
(`studies.compression_measures`).

Mostly the transform comes first. The other order stands for an index that is compressed already:

- fewer dimensions: the transform is fitted and applied in the reduced space (not the trained one);
- int8 and PQ: the codes are decoded, and the transform is applied to what they hold;
- signs: candidates are drawn by signs of the vectors as they were, and ordered anew by transformed
  ones. A transform of signs alone makes no sense.

The queries of 400 translation groups are measured, drawn by chance, in the whole pool. MLQA-R is
the check on other texts, zero-shot alone.

Writes studies/compression.json after every row, and an interrupted run goes on. `--groups 60`
measures fewer queries, and writes into the folder of `--out`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from studies.compression_measures import Row, Scores, changes, correct, figures, kept
from studies.quantizers import (
    CODES,
    COMPRESSIONS,
    REDUCTIONS,
    Reduction,
    Vectors,
    scorers,
    stored_bytes,
)
from studies.second_encoder import CODES as USE_CODES

from mixling.corpora.files import write_text
from mixling.debiasing.centering import Centering
from mixling.debiasing.debias import fit_transform, read_source
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, embed_corpus
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import DebiasingMethod, Transform
from mixling.debiasing.trained import TrainedTransform
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import Scorer
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.encoders import load_encoder
from mixling.models.shipped import read_shipped
from mixling.models.universal import NAME as USE
from mixling.models.weights import DEFAULT
from mixling.transforms.transforms import AffineTransform, ScoreCalibration, normalize

RESULT = Path(__file__).with_suffix(".json")
FAMILY = ("encoder", "task", "transform")
NONE = "zero-shot"
GROUPS = 400  # translation groups whose queries are measured
CHECK = "mlqa-r"  # the task of the check on other texts
ORDERS = ("transform, compress", "compress, transform")
ELEVEN = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
DEPTH = 10  # of the lists of first passages, which no figure here reads
MANY = 100  # sentences of SIB-200 in 39 languages, as `mixling debias` takes them


@dataclass(frozen=True)
class Setup:
    """What is measured with an encoder.

    Args:
        encoder: The encoder's name.
        tasks: The tasks.
        languages: Languages of the calibration, and of the fits but the trained one's.
        methods: Transforms by name, with the options that development tasks chose.
        trained_on: Languages of the trained transform's fit; None for the default ones.
        shipped: Whether the trained transform is that of the package.
    """

    encoder: str
    tasks: tuple[str, ...]
    languages: tuple[str, ...]
    methods: dict[str, DebiasingMethod]
    trained_on: tuple[str, ...] | None = None
    shipped: bool = False


SETUPS = (
    Setup(
        DEFAULT,
        ("xquad-r", "mlqa-r"),
        ELEVEN,
        {"centering": Centering(), "LSAR": Lsar(), "trained": TrainedTransform()},
        shipped=True,
    ),
    Setup(
        USE,
        (f"xquad-r@{USE_CODES}", "mlqa-r@ar,de,en,es,zh"),
        tuple(USE_CODES.split(",")),
        # as studies.second_encoder chose them on development tasks
        {
            "centering": Centering(keep_mean=True),
            "LSAR": Lsar(rank=4),
            "trained": TrainedTransform(sharpen=False),
        },
        tuple(USE_CODES.split(",")),
    ),
)


@dataclass
class Fits:
    """Texts that transforms and compressions are fitted on, each encoded once.

    Args:
        setup: What is measured.
        cache: Folder of vectors.
    """

    setup: Setup
    cache: Path
    fitted: dict[tuple[str, str], Transform] = field(default_factory=dict)

    @cached_property
    def encoder(self) -> Any:
        """The encoder."""
        return load_encoder(self.setup.encoder)

    def corpus(self, source: str, languages: Sequence[str] | None, texts: int | None = None):
        """Return an embedded source."""
        corpus, bitext = read_source(source, languages)

        def encode(batch: list[str], role: str, titles: list[str | None] | None) -> np.ndarray:
            return encode_cached(self.encoder, batch, role, titles=titles, folder=self.cache)[0]

        return embed_corpus(corpus, encode, bitext, texts=texts if bitext else None)

    @cached_property
    def sentences(self) -> EmbeddedCorpus:
        """Sentences in the languages of the setup: the calibration is their vectors as passages."""
        return self.corpus("sib-200:train", self.setup.languages)

    @cached_property
    def pairs(self) -> list[EmbeddedCorpus]:
        """What the trained transform is fitted on."""
        languages = self.setup.trained_on
        sentences = (
            self.sentences if languages else self.corpus("sib-200:train", languages, texts=MANY)
        )
        return [sentences, self.corpus("mlqa:train", languages)]

    def transform(self, name: str, reduction: str = "") -> Transform | None:
        """Return a transform, fitted on vectors as they are or on reduced ones."""
        if name == NONE:
            return None
        if (name, reduction) not in self.fitted:
            self.fitted[name, reduction] = self._fit(name, reduction)
        return self.fitted[name, reduction]

    def _fit(self, name: str, reduction: str) -> Transform:
        if name == "trained" and self.setup.shipped and not reduction:
            return AffineTransform(*read_shipped())
        corpora = self.pairs if name == "trained" else [self.sentences]
        if reduction:
            reduce = self.reduction(reduction)
            corpora = [
                replace(x, queries=reduce(x.queries), passages=reduce(x.passages)) for x in corpora
            ]
        return fit_transform(self.setup.methods[name], corpora)

    def reduction(self, name: str) -> Reduction:
        """Return a reduction that is fitted on vectors as they are."""
        return REDUCTIONS[name](self.sentences.passages)


class Measured:
    """A task's vectors by one encoder, behind transforms and compressions.

    Args:
        task: The task.
        fits: The encoder, and what its transforms are fitted on.
        groups: Number of translation groups whose queries are measured.
    """

    def __init__(self, task: Task, fits: Fits, groups: int = GROUPS):
        names = np.random.default_rng(0).permutation(np.unique(task.query_group))[:groups]
        rows = np.flatnonzero(np.isin(task.query_group, names))
        task = task.with_queries(rows, task.name)
        self.task, self.fits = task, fits
        self.languages = [
            [task.languages[i] for i in codes]
            for codes in (task.query_language, task.passage_language)
        ] + [fits.sentences.passage_language().tolist()]
        queries, passages, _ = task_vectors(fits.encoder, task, vector_cache=fits.cache)
        self.vectors = Vectors(queries, passages, fits.sentences.passages)

    def behind(self, transform: Transform | None, vectors: Vectors | None = None) -> Vectors:
        """Return vectors behind a transform."""
        vectors = vectors or self.vectors
        assert not isinstance(transform, ScoreCalibration)
        if transform is None:
            return vectors
        roles = ("query", "passage", "passage")
        return Vectors(
            *(
                transform.transform(x, languages, role)
                for x, languages, role in zip(vectors, self.languages, roles, strict=True)
            )
        )

    def scorers(self, transform: str, order: str, compression: str) -> tuple[Scorer, Scorer]:
        """Return how the whole pool is scored, and how each language alone."""
        ids = self.task.passage_language, self.task.passage_ids
        fitted = self.fits.transform(transform)
        if order == ORDERS[0]:
            return scorers(compression, self.behind(fitted), *ids)
        if compression in REDUCTIONS:
            reduce = self.fits.reduction(compression)
            vectors = Vectors(*map(reduce, self.vectors))
            fitted = self.fits.transform(transform, compression)
            return scorers("float32", self.behind(fitted, vectors), *ids)
        if compression in CODES:
            codes = CODES[compression](self.vectors.calibration)
            decoded = normalize(codes.decode(codes.encode(self.vectors.passages)))
            vectors = self.vectors._replace(passages=decoded)
            return scorers("float32", self.behind(fitted, vectors), *ids)
        return scorers(compression, self.vectors, *ids, second=self.behind(fitted))

    def scores(self, transform: str, order: str, compression: str) -> Scores:
        """Rank the task's passages, and score them."""
        pool, alone = self.scorers(transform, order, compression)
        ranks = rank_task(self.task, pool, DEPTH)
        if alone is not pool:
            within = rank_task(self.task, alone, DEPTH).within_language
            ranks = replace(ranks, within_language=within)
        return Scores.from_table(score_task(self.task, ranks).table)


def combinations(transform: str) -> Iterator[tuple[str, str]]:
    """Yield each order and compression that is measured behind a transform."""
    yield from ((ORDERS[0], name) for name in COMPRESSIONS)
    if transform != NONE:
        # the trained transform would be trained anew in each of them
        reductions = [x for x in REDUCTIONS if "mean" not in x and transform != "trained"]
        candidates = [x for x in COMPRESSIONS if x.endswith("rescored by float32")]
        yield from ((ORDERS[1], name) for name in (*reductions, *CODES, *candidates))


def measure(measured: Measured, key: Row, done: set[tuple[str, ...]]) -> Iterator[Row]:
    """Yield the rows of a transform that are not there yet; the first is float32."""
    missing = [x for x in combinations(key["transform"]) if (*key.values(), *x) not in done]
    if not missing:
        return
    first, second = ORDERS
    dim = measured.vectors.passages.shape[1]
    before = measured.scores(key["transform"], first, "float32")
    compressed = {"float32": before}  # behind the transform
    for order, compression in missing:
        start = time.perf_counter()
        if order == second or compression not in compressed:
            after = measured.scores(key["transform"], order, compression)
        else:
            after = before
        row: Row = {**key, "order": order, "compression": compression}
        row |= {"bytes": stored_bytes(compression, dim), **figures(after)}
        if after is not before:
            row["change"] = changes(before, after)
            row["kept"], row["kept, less monolingual"] = kept(before, after)
        if order == first:
            compressed[compression] = after
        else:
            if compression not in compressed:  # an interrupted run measured it
                compressed[compression] = measured.scores(key["transform"], first, compression)
            row["change by order"] = changes(compressed[compression], after)
        row["seconds"] = round(time.perf_counter() - start, 1)
        yield row


def main() -> None:
    """Measure the rows that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/compression"), help="vectors")
    parser.add_argument("--groups", type=int, default=GROUPS, help="translation groups of queries")
    parser.add_argument("--task", action="append", help="tasks; default all")
    given = parser.parse_args()
    result = RESULT
    if given.groups != GROUPS:
        given.out.mkdir(parents=True, exist_ok=True)
        result = given.out / f"groups-{given.groups}.json"
    content: Row = json.loads(result.read_text()) if result.exists() else {"tasks": {}, "rows": []}
    rows = content["rows"]
    done = {(*(r[k] for k in FAMILY), r["order"], r["compression"]) for r in rows}
    for setup in SETUPS:
        fits = Fits(setup, given.out / "vectors")
        for name in setup.tasks:
            if given.task and name not in given.task:
                continue
            measured = Measured(load_task(name), fits, given.groups)
            task = measured.task
            content["tasks"][name] = {
                "groups": len(set(task.query_group)),
                "languages": list(task.languages),
                "queries": len(task.queries),
                "passages": len(task.passages),
                "data": task.fingerprint(),
            }
            for transform in (NONE,) if name.startswith(CHECK) else (NONE, *setup.methods):
                key = {"encoder": setup.encoder, "task": name, "transform": transform}
                for row in measure(measured, key, done):
                    rows.append(row)
                    correct(rows, FAMILY)
                    content |= {"versions": library_versions(), "machine": machine_info()}
                    write_text(result, json.dumps(content, indent=1) + "\n")
                    shown = ("transform", "order", "compression", "seconds", "kept")
                    print({k: row.get(k) for k in shown}, flush=True)
    if given.groups == GROUPS and not given.task:
        content["complete"] = True
        write_text(result, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
