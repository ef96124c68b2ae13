"""A task: queries, candidates, and which candidate answers which query.

Candidates are sentences where the corpus knows its sentences and the answers' places, else whole passages.
Identical texts of one language are one candidate (else they would tie with themselves). A question's
translations share its answers.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixling.corpora.catalogue import load
from mixling.corpora.corpus import Corpus
from mixling.corpora.sentences import spans as sentences
from mixling.errors import MixlingError, choose

SETTINGS = ("monolingual", "cross-lingual", "pool")


@dataclass(frozen=True)
class Task:
    """One evaluation.

    queries, candidates: texts; *_language: index into `languages`, int64; group: translation group of each
    query; titles: of candidates ("" where none). relevant: int64 [n, 2], rows of (query, candidate), sorted.
    """

    name: str
    languages: tuple[str, ...]
    queries: list[str]
    query_ids: list[str]
    query_language: np.ndarray
    query_group: list[str]
    candidates: list[str]
    candidate_ids: list[str]
    candidate_language: np.ndarray
    titles: list[str]
    relevant: np.ndarray
    skipped: dict[str, int]

    def settings(self) -> list[str]:
        """Those of SETTINGS that the task's languages make possible."""
        same = self.query_language[self.relevant[:, 0]] == self.candidate_language[self.relevant[:, 1]]
        there = {
            "monolingual": bool(same.any()),
            "cross-lingual": bool((~same).any()),
            "pool": len(np.unique(self.candidate_language)) > 1,
        }
        return [s for s in SETTINGS if there[s]]

    def fingerprint(self) -> str:
        """SHA-256 of texts, languages and relevance."""
        digest = hashlib.sha256()
        for part in (
            self.queries,
            self.candidates,
            self.languages,
            self.query_language.tolist(),
            self.candidate_language.tolist(),
            self.relevant.tolist(),
        ):
            digest.update(repr(part).encode())
        return digest.hexdigest()


def from_corpus(
    corpus: Corpus, unit: str = "passage", context: bool = False, name: str | None = None
) -> Task:
    """The task that a corpus makes. unit: "passage" or "sentence"; context: the paragraph after its sentence."""
    languages = tuple(corpus.languages())
    code = {x: i for i, x in enumerate(languages)}
    seen: dict[tuple[str, str], int] = {}
    texts: list[str] = []
    titles: list[str] = []
    ids: list[str] = []
    of_language: list[int] = []
    skipped = {
        "identical candidates": 0,
        "questions without an answer": 0,
        "answers outside every sentence": 0,
    }
    passages = corpus.passages.to_pydict()
    rows: list[list[int]] = []
    edges: list[list[tuple[int, int]]] = []
    for text, language, title, spans in zip(
        passages["text"], passages["language"], passages["title"], passages["sentences"], strict=True
    ):
        whole = (
            [(0, len(text))]
            if unit == "passage"
            else (sentences(text) if spans is None else [(s["start"], s["end"]) for s in spans])
        )
        mine = []
        for start, end in whole:
            key = (language, text[start:end])
            if key in seen:
                skipped["identical candidates"] += 1
            else:
                seen[key] = len(texts)
                texts.append(
                    f"{text[start:end]}\n{text}" if context and unit == "sentence" else text[start:end]
                )
                of_language.append(code[language])
                titles.append(title or "")
                ids.append(f"{language}-{len(texts) - 1}")
            mine.append(seen[key])
        rows.append(mine)
        edges.append(whole)
    answers = _answers(corpus, unit, rows, edges, skipped)
    questions = corpus.questions.to_pydict()
    kept = [i for i, g in enumerate(questions["group"]) if g in answers]
    skipped["questions without an answer"] = len(questions["group"]) - len(kept)
    if not kept:
        raise MixlingError(
            f"{corpus.name}: no question has an answer among the candidates; nothing to measure"
        )
    relevant = [(n, c) for n, i in enumerate(kept) for c in sorted(answers[questions["group"][i]])]
    return Task(
        name or corpus.name,
        languages,
        [questions["text"][i] for i in kept],
        [f"{questions['language'][i]}:{questions['id'][i]}" for i in kept],
        np.array([code[questions["language"][i]] for i in kept]),
        [questions["group"][i] for i in kept],
        texts,
        ids,
        np.array(of_language),
        titles,
        np.array(relevant),
        {k: v for k, v in skipped.items() if v},
    )


def _answers(
    corpus: Corpus,
    unit: str,
    rows: list[list[int]],
    edges: list[list[tuple[int, int]]],
    skipped: dict[str, int],
) -> dict[str, set[int]]:
    """The candidates that answer each question group: the passage, or the sentence that holds the answer."""
    answers: dict[str, set[int]] = {}
    links = corpus.links.to_pydict()
    for group, passage, start in zip(links["group"], links["passage"], links["start"], strict=True):
        which = 0
        if unit == "sentence":
            which = -1 if start is None else bisect_right(edges[passage], (start, 1 << 40)) - 1
            if which < 0 or start >= edges[passage][which][1]:
                skipped["answers outside every sentence"] += 1
                continue
        answers.setdefault(group, set()).add(rows[passage][which])
    return answers


def _named(source: str, split: str, unit: str) -> Callable[[bool], Task]:
    def make(context: bool) -> Task:
        name = {"mlqa": "mlqa-held-out", "arcd": "arcd-sentences", "jaquad": "jaquad-sentences"}.get(
            source, source
        )
        return from_corpus(load(source, split), unit, context, name)

    return make


TASKS: dict[str, Callable[[bool], Task]] = {
    "sample": _named("sample", "test", "passage"),
    "xquad-r": _named("xquad-r", "test", "sentence"),
    "mlqa-r": _named("mlqa-r", "test", "sentence"),
    "mlqa-held-out": _named("mlqa", "held-out", "passage"),
    "arcd-sentences": _named("arcd", "train", "sentence"),
    "jaquad-sentences": _named("jaquad", "dev", "sentence"),
}
DEVELOPMENT = ("mlqa-held-out", "arcd-sentences", "jaquad-sentences")


def task(name: str | Task, context: bool = False) -> Task:
    """A task by name, or of a folder of one's own (`mixling data --help` has its form; split test)."""
    if isinstance(name, Task):
        return name
    if name in TASKS:
        return TASKS[name](context)
    if Path(name).is_dir():
        from mixling.corpora import folder

        splits = [p.name.split(".")[0] for p in (Path(name) / "qrels").glob("*.tsv*")]
        return from_corpus(
            folder.read(Path(name), split="test" if "test" in splits else None), name=Path(name).name
        )
    choose(name, TASKS, "task (and no such folder)")
    raise AssertionError
