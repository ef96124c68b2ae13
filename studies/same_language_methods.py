"""The methods of `studies.same_language`: forms of SHIFT, other transforms, search orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from studies.language_pools import ENGLISH, counts_of
from studies.second_encoder import fit as fit_as_second_encoder
from studies.second_encoder import transformed

from mixling.debiasing.debias import debias, read_source
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, embed_corpus
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import Transform
from mixling.debiasing.shift import Shift
from mixling.debiasing.trained import TrainedTransform
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.ranks import DotScorer, Scorer, ScoreRows
from mixling.evaluation.tasks import Task
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.shipped import read_shipped
from mixling.models.universal import NAME
from mixling.models.weights import DEFAULT
from mixling.searching.fairness import Order, order_passages, shrunk
from mixling.transforms.transforms import AffineTransform, LanguageTransform

SENTENCES = "sib-200:train"
PRECISION = "bf16"  # of e5-small; the second encoder computes in its own way
PUBLISHED = 0.6  # alpha of SHIFT
ZERO_SHOT, VENDOR = "zero-shot", "SHIFT, alpha 1, queries too"
ORDERS: tuple[Order, ...] = ("centered", "round-robin", "query-language-first")


class OrderScorer(ScoreRows):
    """Scores that stand for the places of passages in an order of a search.

    Args:
        task: The task.
        dots: The scores of its vectors.
        order: The order.
    """

    def __init__(self, task: Task, dots: DotScorer, order: Order):
        self.task, self.dots, self.order = task, dots, order
        self.languages = [task.languages[i] for i in task.passage_language]
        vectors = dots.passages.numpy()
        counts = counts_of(task)
        rows = {x: task.passage_language == task.languages.index(x) for x in counts}
        self.means = shrunk({x: vectors[rows[x]].mean(0) for x in counts}, counts)

    def __call__(self, begin: int, end: int) -> np.ndarray:
        """Score consecutive queries against all passages: float32 `[end - begin, n_passages]`."""
        dots = self.dots(begin, end)
        queries = self.dots.queries[begin:end].numpy()
        offsets = {x: queries @ mean for x, mean in self.means.items()}
        scores = np.empty_like(dots)
        for row, code in enumerate(self.task.query_language[begin:end]):
            language_offsets = {x: float(values[row]) for x, values in offsets.items()}
            query_language = self.task.languages[code]
            places = order_passages(
                self.languages, dots[row], language_offsets, self.order, query_language
            )
            scores[row, places] = -np.arange(len(places), dtype=np.float32)
        return scores


@dataclass(frozen=True)
class Setup:
    """An encoder, and where its vectors stay; `groups` cuts everything short for a trial."""

    encoder: AnyEncoder
    vectors: Path
    groups: int | None = None

    @property
    def has_raw(self) -> bool:
        """Whether it gives vectors before normalization, which SHIFT is published for."""
        return self.encoder.name != NAME

    def encode(
        self, texts: list[str], role: str, titles: list[str | None] | None = None
    ) -> np.ndarray:
        """Encode texts as SHIFT takes them, float32 `[n, dim]`."""
        return encode_cached(
            self.encoder, texts, role, titles=titles, precision=PRECISION, folder=self.vectors,
            raw=self.has_raw,
        )[0]  # fmt: skip

    def raw_vectors(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """Encode a task's queries and passages as SHIFT takes them."""
        return (
            self.encode(task.queries, "query"),
            self.encode(task.passages, "passage", list(task.titles)),
        )

    def vectors_of(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """Encode a task's queries and passages."""
        return task_vectors(self.encoder, task, PRECISION, self.vectors)[:2]


def fit_languages(task: Task) -> list[str]:
    """Return the languages to fit on: those of a task, and English, which SHIFT moves to."""
    return sorted({*task.languages, ENGLISH})


def sentences(setup: Setup, languages: list[str]) -> EmbeddedCorpus:
    """Embed the sentences that SHIFT is fitted on."""
    corpus, is_bitext = read_source(SENTENCES, languages)
    return embed_corpus(corpus, setup.encode, is_bitext, texts=setup.groups)


def as_queries(corpus: EmbeddedCorpus) -> EmbeddedCorpus:
    """Return bitext with each sentence's vector as a query in the place of that as a passage."""
    group, language = (corpus.corpus.queries[x].to_pylist() for x in ("group", "language"))
    row = {key: i for i, key in enumerate(zip(group, language, strict=True))}
    links = zip(
        corpus.corpus.links["group"].to_pylist(), corpus.passage_language().tolist(), strict=True
    )
    return replace(corpus, passages=corpus.queries[[row[key] for key in links]])


def fit_shift(corpus: EmbeddedCorpus, alpha: float, queries: bool) -> LanguageTransform:
    """Fit SHIFT, which moves passages, or queries too by offsets of their own role."""
    shift = Shift(alpha)
    fitted = shift.fit([corpus])
    if not queries:
        return fitted
    of_queries = shift.fit([as_queries(corpus)]).offset[1]
    return replace(fitted, offset=np.stack([of_queries, fitted.offset[1]]))


def dot_scorer(
    task: Task, sides: tuple[np.ndarray, np.ndarray], transform: Transform | None
) -> DotScorer:
    """Return the scores of a task's vectors behind a transform."""
    return DotScorer(
        *(
            transformed(transform, vectors, [task.languages[i] for i in codes], role)
            for vectors, codes, role in (
                (sides[0], task.query_language, "query"),
                (sides[1], task.passage_language, "passage"),
            )
        )
    )


@cache
def trained_for_second_encoder(encoder: AnyEncoder, vectors: Path) -> Transform:
    """Fit the trained transform of the second encoder, with its chosen options."""
    return fit_as_second_encoder(encoder, TrainedTransform(sharpen=False), None, vectors)


def methods(
    setup: Setup, task: Task, alphas: dict[bool, float], model: str | None
) -> Iterator[tuple[str, Callable[[], Scorer]]]:
    """Yield the name of each method and what makes its scorer."""
    shifts = {f"SHIFT, alpha {x:g}": (x, False) for x in (PUBLISHED, 1.0)} | {VENDOR: (1.0, True)}
    for queries, name in ((False, "SHIFT"), (True, "SHIFT, queries too")):
        chosen = (alphas[queries], queries)
        if chosen not in shifts.values():  # else its row stands there already
            shifts[f"{name}, alpha by development data"] = chosen
    plain = cache(lambda: setup.vectors_of(task))
    raw = cache(lambda: setup.raw_vectors(task))
    corpus = cache(lambda: sentences(setup, fit_languages(task)))

    yield ZERO_SHOT, lambda: dot_scorer(task, plain(), None)
    for name, (alpha, queries) in shifts.items():
        yield (
            name,
            partial(
                lambda alpha, queries: dot_scorer(task, raw(), fit_shift(corpus(), alpha, queries)),
                alpha,
                queries,
            ),
        )
    yield "LSAR", lambda: dot_scorer(task, plain(), fit_lsar(setup, task))
    if setup.has_raw:
        yield (
            "trained transform",
            lambda: dot_scorer(task, plain(), AffineTransform(*read_shipped())),
        )
    elif setup.groups is None:  # a trial has no time for it
        yield (
            "trained transform",
            lambda: dot_scorer(
                task, plain(), trained_for_second_encoder(setup.encoder, setup.vectors)
            ),
        )
    for order in ORDERS:
        yield (
            f"order {order}",
            partial(lambda order: OrderScorer(task, dot_scorer(task, plain(), None), order), order),
        )
    if model is not None and setup.encoder.name == DEFAULT:
        trained = replace(setup, encoder=load_encoder(model))
        yield (
            f"trained model {Path(model).name}",
            lambda: dot_scorer(task, trained.vectors_of(task), None),
        )


def fit_lsar(setup: Setup, task: Task) -> Transform:
    """Fit LSAR with its default rank."""
    return debias(
        setup.encoder, Lsar(), [SENTENCES], languages=fit_languages(task), texts=setup.groups,
        vector_cache=setup.vectors, precision=PRECISION,
    )  # fmt: skip
