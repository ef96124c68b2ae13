"""Evaluation tasks: queries, passages, and the passages that answer each query.

Passages are sentences where the corpus knows its sentences and the places of the answers, otherwise
whole passages. Identical texts of one language with the same title are one passage, because they
would tie with themselves. Translations of a query share its answers. BM25 reads a passage as its
title, a space and its text; an encoder reads its title as it was trained with it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from mixling.corpora.corpus import Corpus, unique_ids
from mixling.corpora.sentences import sentence_spans
from mixling.corpora.values import with_titles
from mixling.errors import MixlingError

Scenario = Literal["monolingual", "cross-lingual", "multilingual"]
Unit = Literal["passage", "sentence"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)


@dataclass(frozen=True)
class Task:
    """One evaluation task.

    Args:
        name: Name in results.
        languages: Language tags; the language codes below are indices into them.
        queries: Texts of the queries.
        query_ids: Id of each query.
        query_language: int64 `[n_queries]`, language code of each query.
        query_group: Translation group of each query.
        passages: Texts of the passages.
        passage_ids: Id of each passage.
        passage_language: int64 `[n_passages]`, language code of each passage.
        titles: Title of each passage, "" where it has none.
        relevant: int64 `[n, 2]`, sorted rows of (query, passage).
        skipped: Number of things left out, by what they are.
        grades: int64 `[n]`, grade of each row of `relevant`; 1 is relevant.
        excluded: int64 `[n_queries]`, the passage that is the query itself and is left out of its
            ranking, -1 for none.
        pivot: Language that must stand on one side of each cross-lingual pair, if there is one.
        bad_rows: Messages about the rows of the data that could not be used.
        origin: What the data was read from, as `Corpus.origin`.
        notes: What a reader of the figures must know of the data.

    Example:
        >>> from mixling.evaluation.benchmarks import load_task
        >>> task = load_task("sample")
        >>> task.scenarios()
        ['monolingual', 'cross-lingual', 'multilingual']
    """

    name: str
    languages: tuple[str, ...]
    queries: list[str]
    query_ids: list[str]
    query_language: np.ndarray
    query_group: list[str]
    passages: list[str]
    passage_ids: list[str]
    passage_language: np.ndarray
    titles: list[str]
    relevant: np.ndarray
    skipped: dict[str, int]
    grades: np.ndarray
    excluded: np.ndarray | None = None
    pivot: str | None = None
    bad_rows: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Task(name={self.name!r}, languages={len(self.languages)}, "
            f"queries={len(self.queries)}, passages={len(self.passages)}, "
            f"scenarios={self.scenarios()})"
        )

    def titled_passages(self) -> list[str]:
        """Return the passages as BM25 reads them, each with its title before it."""
        return with_titles(self.titles, self.passages)

    def scenarios(self) -> list[Scenario]:
        """List the scenarios that the task's languages make possible."""
        same_language = (
            self.query_language[self.relevant[:, 0]] == self.passage_language[self.relevant[:, 1]]
        )
        possible = {
            "monolingual": bool(same_language.any()),
            "cross-lingual": bool((~same_language).any()),
            "multilingual": len(np.unique(self.passage_language)) > 1,
        }
        return [s for s in SCENARIOS if possible[s]]

    def left_out(self) -> dict[Scenario, str]:
        """Return the scenarios that the data cannot have, each with its reason."""
        reasons: dict[Scenario, str] = {
            "monolingual": "no query has an answer in its own language",
            "cross-lingual": "no query has an answer in another language",
            "multilingual": "the passages are in one language",
        }
        possible = self.scenarios()
        return {s: reasons[s] for s in SCENARIOS if s not in possible}

    def fingerprint(self) -> str:
        """Return the SHA-256 of texts, titles, languages and relevance."""
        digest = hashlib.sha256()
        for part in (
            self.queries,
            self.passages,
            self.languages,
            self.query_language.tolist(),
            self.passage_language.tolist(),
            # written out, millions of pairs would take gigabytes
            self.relevant.tolist()
            if len(self.relevant) < 10**6
            else self.relevant.astype("<i8").tobytes(),
        ):
            digest.update(repr(part).encode())
        if (self.grades != 1).any():
            digest.update(repr(self.grades.tolist()).encode())
        if any(self.titles):
            digest.update(repr(self.titles).encode())
        return digest.hexdigest()

    def with_query_languages(self, languages: Sequence[str], name: str) -> Task:
        """Return a task with the same passages and the queries of some languages only.

        Args:
            languages: Tags of the query languages.
            name: Name of the new task.

        Returns:
            The new task.
        """
        codes = [self.languages.index(x) for x in languages]
        return self.with_queries(np.flatnonzero(np.isin(self.query_language, codes)), name)

    def with_queries(self, rows: np.ndarray, name: str) -> Task:
        """Return a task with the same passages and some of the queries.

        Args:
            rows: int64 `[n]`, the queries, ascending.
            name: Name of the new task.

        Returns:
            The new task.
        """
        new_row = np.full(len(self.queries), -1)
        new_row[rows] = np.arange(len(rows))
        mask = new_row[self.relevant[:, 0]] >= 0
        return replace(
            self,
            name=name,
            queries=[self.queries[i] for i in rows],
            query_ids=[self.query_ids[i] for i in rows],
            query_language=self.query_language[rows],
            query_group=[self.query_group[i] for i in rows],
            relevant=np.stack([new_row[self.relevant[mask, 0]], self.relevant[mask, 1]], 1),
            grades=self.grades[mask],
            excluded=None if self.excluded is None else self.excluded[rows],
        )


def task_from_corpus(
    corpus: Corpus,
    unit: Unit = "passage",
    context: bool = False,
    name: str | None = None,
    parallel: bool = False,
    pivot: str | None = None,
) -> Task:
    """Make a task of a corpus.

    Args:
        corpus: The corpus.
        unit: Whether whole passages or their sentences are retrieved.
        context: Append its paragraph to each sentence.
        name: Name of the task, by default the corpus's.
        parallel: Queries are passages too and look for their translations.
        pivot: Language that must stand on one side of each cross-lingual pair.

    Returns:
        The task.

    Raises:
        MixlingError: No query has an answer among the passages.

    Example:
        >>> import mixling
        >>> from mixling.evaluation.tasks import task_from_corpus
        >>> task = task_from_corpus(mixling.load("sample", "test"))
    """
    code = {x: i for i, x in enumerate(corpus.languages())}
    collection = _collect_passages(
        corpus, code, unit, context, keep_ids=unit == "passage" and not parallel
    )
    answers, outside = _answers(corpus, unit, collection)
    queries = corpus.queries.to_pydict()
    rows = [i for i, group in enumerate(queries["group"]) if group in answers]
    if not rows:
        raise MixlingError(
            f"{corpus.name}: no query has a relevant passage, so there is nothing to measure. "
            "Check the ids of the judgments."
        )
    groups = [queries["group"][i] for i in rows]
    query_language = np.array([code[queries["language"][i]] for i in rows])
    passage_language = np.array(collection.languages)
    relevant, grades = _relevant_pairs(groups, answers)
    excluded = None
    if parallel:
        # the answer in the query's language is the query's own text
        itself = query_language[relevant[:, 0]] == passage_language[relevant[:, 1]]
        excluded = np.full(len(rows), -1)
        excluded[relevant[itself, 0]] = relevant[itself, 1]
        relevant, grades = relevant[~itself], grades[~itself]
    skipped = {
        "bad rows": len(corpus.skipped),
        "identical passages": collection.identical,
        "queries without an answer": len(queries["group"]) - len(rows),
        "answers outside every sentence": outside,
        **corpus.left_out,
    }
    return Task(
        name=name or corpus.name,
        languages=tuple(code),
        queries=[queries["text"][i] for i in rows],
        query_ids=[f"{queries['language'][i]}:{queries['id'][i]}" for i in rows],
        query_language=query_language,
        query_group=groups,
        passages=collection.texts,
        passage_ids=collection.ids,
        passage_language=passage_language,
        titles=collection.titles,
        relevant=relevant,
        skipped={what: count for what, count in skipped.items() if count},
        grades=grades,
        excluded=excluded,
        pivot=pivot,
        bad_rows=corpus.skipped,
        origin=corpus.origin,
    )


@dataclass
class _Collection:
    """A task's passages while they are collected from a corpus.

    `rows` and `spans` have one list for each passage of the corpus: the task's passages that it
    became and their places in its text.
    """

    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    languages: list[int] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    spans: list[list[tuple[int, int]]] = field(default_factory=list)
    identical: int = 0


def _collect_passages(
    corpus: Corpus, code: dict[str, int], unit: Unit, context: bool, keep_ids: bool
) -> _Collection:
    """Collect the passages of a task and count identical ones once.

    With `keep_ids` a passage has its id in the corpus, unless that is only its text again.
    """
    collection = _Collection()
    seen: dict[tuple[str, str, str], int] = {}
    table = corpus.passages.to_pydict()
    source_ids = unique_ids(corpus.passages, "") if keep_ids else [""] * len(table["text"])
    for source_id, key, text, language, title, sentences in zip(
        source_ids,
        *(table[c] for c in ("id", "text", "language", "title", "sentences")),
        strict=True,
    ):
        has_id = bool(source_id) and key != text
        spans = _spans(text, unit, sentences)
        rows = []
        for start, end in spans:
            identity = (language, title or "", text[start:end])
            if identity in seen:
                collection.identical += 1
                if has_id:  # the smallest of their ids, whichever comes first
                    row = seen[identity]
                    collection.ids[row] = min(collection.ids[row], source_id)
            else:
                row = seen[identity] = len(collection.texts)
                span = text[start:end]
                with_context = context and unit == "sentence"
                collection.texts.append(f"{span}\n{text}" if with_context else span)
                collection.titles.append(title or "")
                collection.ids.append(source_id if has_id else f"{language}-{row}")
                collection.languages.append(code[language])
            rows.append(seen[identity])
        collection.rows.append(rows)
        collection.spans.append(spans)
    return collection


def _spans(text: str, unit: Unit, sentences: list[dict[str, int]] | None) -> list[tuple[int, int]]:
    """Return the places of a passage's parts: its sentences, or the whole text."""
    if unit == "passage":
        return [(0, len(text))]
    if sentences is None:
        return sentence_spans(text)
    return [(s["start"], s["end"]) for s in sentences]


def _answers(
    corpus: Corpus, unit: Unit, collection: _Collection
) -> tuple[dict[str, dict[int, int]], int]:
    """Find the answers of each group of queries and their grades.

    An answer is the linked passage, or the sentence of it in which the answer begins. Also returns
    the number of links whose answer lies outside every sentence.
    """
    answers: dict[str, dict[int, int]] = {}
    outside = 0
    links = corpus.links.to_pydict()
    for group, passage, start, grade in zip(
        links["group"], links["passage"], links["start"], links["grade"], strict=True
    ):
        part = 0
        if unit == "sentence":
            spans = collection.spans[passage]
            # the last sentence that begins at or before the answer
            part = -1 if start is None else bisect_right(spans, (start, 1 << 40)) - 1
            if part < 0 or start >= spans[part][1]:
                outside += 1
                continue
        grades, row = answers.setdefault(group, {}), collection.rows[passage][part]
        grades[row] = max(grade, grades.get(row, 0))
    return answers, outside


def _relevant_pairs(
    groups: list[str], answers: dict[str, dict[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Give each query its group's answers: rows of (query, passage), and their grades."""
    sorted_answers = {g: np.array(sorted(a.items()), np.int64) for g, a in answers.items()}
    pairs = [sorted_answers[group] for group in groups]
    query = np.repeat(np.arange(len(groups)), [len(p) for p in pairs])
    passage, grade = np.concatenate(pairs).T
    return np.stack([query, passage], 1), grade
