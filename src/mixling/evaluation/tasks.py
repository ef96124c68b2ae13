"""A task: queries, candidates, and which candidate answers which query.

Candidates are sentences where the corpus knows its sentences and the answers' places, else whole passages.
Identical texts of one language under one title are one candidate (else they would tie with themselves). A question's
translations share its answers. What a model reads of a candidate is its title, a space and its text; its text without a title.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixling.corpora.corpus import Corpus, unique_ids
from mixling.corpora.sentences import sentence_spans as sentences
from mixling.corpora.values import with_title
from mixling.errors import MixlingError

SCENARIOS = ("monolingual", "cross-lingual", "multilingual")


@dataclass(frozen=True)
class Task:
    """One evaluation.

    queries, candidates: texts; *_language: index into `languages`, int64; group: translation group of each
    query; titles: of candidates ("" where none). relevant: int64 [n, 2], rows of (query, candidate), sorted;
    grades: int64 [n], theirs (1 = relevant). excluded: int64 [queries], a candidate that is the query itself and
    is left out of its ranking, -1 for none. pivot: two-language settings only with this language on one side. bad_rows: what
    was left out of the data, as it is said.
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

    def titled_passages(self) -> list[str]:
        """What a model reads of each candidate: its title before it, where it has one (`mixling.corpora.values.titled`)."""
        return [with_title(t, x) for t, x in zip(self.titles, self.passages, strict=True)]

    def scenarios(self) -> list[str]:
        """Those of SETTINGS that the task's languages make possible."""
        same = (
            self.query_language[self.relevant[:, 0]] == self.passage_language[self.relevant[:, 1]]
        )
        there = {
            "monolingual": bool(same.any()),
            "cross-lingual": bool((~same).any()),
            "multilingual": len(np.unique(self.passage_language)) > 1,
        }
        return [s for s in SCENARIOS if there[s]]

    def left_out(self) -> dict[str, str]:
        """Settings that the data cannot have, each with its reason."""
        reasons = {
            "monolingual": "no question has an answer in its own language",
            "cross-lingual": "no question has an answer in another language",
            "multilingual": "the candidates are in one language",
        }
        return {s: reasons[s] for s in SCENARIOS if s not in self.scenarios()}

    def fingerprint(self) -> str:
        """SHA-256 of texts, titles, languages and relevance."""
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
        """The same candidates with the queries of some languages only."""
        codes = [self.languages.index(x) for x in languages]
        kept = np.flatnonzero(np.isin(self.query_language, codes))
        new = np.full(len(self.queries), -1)
        new[kept] = np.arange(len(kept))
        mine = new[self.relevant[:, 0]] >= 0
        return replace(
            self,
            name=name,
            queries=[self.queries[i] for i in kept],
            query_ids=[self.query_ids[i] for i in kept],
            query_language=self.query_language[kept],
            query_group=[self.query_group[i] for i in kept],
            relevant=np.stack([new[self.relevant[mine, 0]], self.relevant[mine, 1]], 1),
            grades=self.grades[mine],
            excluded=None if self.excluded is None else self.excluded[kept],
        )


def task_from_corpus(
    corpus: Corpus,
    unit: str = "passage",
    context: bool = False,
    name: str | None = None,
    parallel: bool = False,
    pivot: str | None = None,
) -> Task:
    """The task that a corpus makes.

    unit: "passage" or "sentence"; context: the paragraph after its sentence; parallel: questions are passages
    too and look for their translations; pivot: see `Task`. Raises MixlingError when nothing can be measured.
    """
    languages = tuple(corpus.languages())
    code = {x: i for i, x in enumerate(languages)}
    seen: dict[tuple[str, str, str], int] = {}
    texts: list[str] = []
    titles: list[str] = []
    ids: list[str] = []
    of_language: list[int] = []
    skipped = {
        "bad rows": len(corpus.skipped),
        "identical candidates": 0,
        "questions without an answer": 0,
        "answers outside every sentence": 0,
    }
    passages = corpus.passages.to_pydict()
    rows: list[list[int]] = []
    edges: list[list[tuple[int, int]]] = []
    known = (
        unique_ids(corpus.passages, "")
        if unit == "passage" and not parallel
        else [""] * len(passages["text"])
    )
    for own, key, text, language, title, spans in zip(
        known, *(passages[c] for c in ("id", "text", "language", "title", "sentences")), strict=True
    ):
        whole = (
            [(0, len(text))]
            if unit == "passage"
            else (sentences(text) if spans is None else [(s["start"], s["end"]) for s in spans])
        )
        mine = []
        for start, end in whole:
            place = (language, title or "", text[start:end])
            if place in seen:
                skipped["identical candidates"] += 1
                if own and key != text:  # the smallest of their ids, whichever comes first
                    ids[seen[place]] = min(ids[seen[place]], own)
            else:
                seen[place] = len(texts)
                texts.append(
                    f"{text[start:end]}\n{text}"
                    if context and unit == "sentence"
                    else text[start:end]
                )
                of_language.append(code[language])
                titles.append(title or "")
                ids.append(own if own and key != text else f"{language}-{len(texts) - 1}")
            mine.append(seen[place])
        rows.append(mine)
        edges.append(whole)
    answers = _answers(corpus, unit, rows, edges, skipped)
    questions = corpus.queries.to_pydict()
    kept = [i for i, g in enumerate(questions["group"]) if g in answers]
    skipped["questions without an answer"] = len(questions["group"]) - len(kept)
    if not kept:
        raise MixlingError(
            f"{corpus.name}: no question has an answer among the candidates; nothing to measure"
        )
    asked = np.array([code[questions["language"][i]] for i in kept])
    of = np.array(of_language)
    each = {g: np.array(sorted(a.items()), np.int64) for g, a in answers.items()}
    pairs = [each[questions["group"][i]] for i in kept]
    query = np.repeat(np.arange(len(kept)), [len(p) for p in pairs])
    candidate, grade = np.concatenate(pairs).T
    excluded = None
    if parallel:
        own = asked[query] == of[candidate]
        excluded = np.full(len(kept), -1)
        excluded[query[own]] = candidate[own]
        query, candidate, grade = query[~own], candidate[~own], grade[~own]
    return Task(
        name or corpus.name,
        languages,
        [questions["text"][i] for i in kept],
        [f"{questions['language'][i]}:{questions['id'][i]}" for i in kept],
        asked,
        [questions["group"][i] for i in kept],
        texts,
        ids,
        of,
        titles,
        np.stack([query, candidate], 1),
        {k: v for k, v in skipped.items() if v},
        grade,
        excluded,
        pivot,
        corpus.skipped,
    )


def _answers(
    corpus: Corpus,
    unit: str,
    rows: list[list[int]],
    edges: list[list[tuple[int, int]]],
    skipped: dict[str, int],
) -> dict[str, dict[int, int]]:
    """Candidate -> grade of each question group: the passage, or the sentence that holds the answer."""
    answers: dict[str, dict[int, int]] = {}
    links = corpus.links.to_pydict()
    for group, passage, start, grade in zip(
        links["group"], links["passage"], links["start"], links["grade"], strict=True
    ):
        which = 0
        if unit == "sentence":
            which = -1 if start is None else bisect_right(edges[passage], (start, 1 << 40)) - 1
            if which < 0 or start >= edges[passage][which][1]:
                skipped["answers outside every sentence"] += 1
                continue
        mine, row = answers.setdefault(group, {}), rows[passage][which]
        mine[row] = max(grade, mine.get(row, 0))
    return answers
