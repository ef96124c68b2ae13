"""Which sentence answers: passages cut into sentences, and the answer's place where a set does not tell it.

A retriever is best within a language: it finds the sentence in a passage with the question as it is asked in the passage's own
language, and what it found there is the right answer in every language. So a set of parallel questions whose answers have no
place becomes one of questions and sentences across languages, taught by the retriever's own strength. The other sentences
of the passage are hard negatives: same subject, same names, wrong answer.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import finished_report, open_run_dir
from mixling.corpora.sentences import sentence_spans
from mixling.disk import one_writer
from mixling.encoding.vectors import identity, model_fingerprint, similarity_vectors
from mixling.errors import MixlingError, check_finite_numbers
from mixling.models.precision import choose_precision
from mixling.models.retriever import Retriever

KEEP, MARGIN = 0.7, 0.15


@dataclass(frozen=True)
class PassageSentences:
    """The sentences of a corpus' passages in their order. edges: int64 [passages + 1], where each passage's begin;
    start: int64 [sentences], their first characters in it."""

    texts: list[str]
    start: np.ndarray
    edges: np.ndarray


def locate_answers(
    model: str | Retriever,
    source: str | Corpus,
    out: str | Path,
    *,
    split: str | None = None,
    path: str | Path | None = None,
    languages: list[str] | None = None,
    negatives: int = 4,
    max_relative_score: float = KEEP,
    margin: float = MARGIN,
    precision: str = "auto",
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Write a source's questions with sentences for passages to `out`, a folder that training and evaluation read.

    A link goes to the sentence that holds the answer where its place is known, else to the one that the model scores
    highest; if the second comes nearer than `margin` of the way from the best to the mean score of the language, to none (such
    links are counted as unsure). negatives: so many other sentences of its passages a question, the hardest first, those in its own language
    before others; none that has come more than `keep` of the way from the question's mean score of the language to its
    answer (it may be right too). Work lies in OUT.part until the folder is whole; a killed call goes on there. Returns what
    was counted (also in OUT/locate.json); "agreement" is the share of known places that the model finds. trust_remote_code: as of Retriever. Raises MixlingError.
    """
    check_finite_numbers(keep=max_relative_score, margin=margin)
    out = Path(out)
    corpus = (
        source
        if isinstance(source, Corpus)
        else load(source, split, path=path, languages=languages)
    )
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    job = {
        "model": retriever.name,
        "encoder": model_fingerprint(retriever),
        "identity": identity(retriever),
        "precision": precision,
        "corpus": corpus.fingerprint(),
        "negatives": negatives,
        "keep": max_relative_score,
        "margin": margin,
    }
    done = finished_report(out / "locate.json", job, "located")
    if done is not None:
        return done
    part = out.with_name(out.name + ".part")
    with one_writer(part):
        open_run_dir(part, job)
        sentences = passage_sentences(corpus)
        spoken = corpus.queries["language"].to_pylist()
        written = np.repeat(
            corpus.passages["language"].to_pylist(), np.diff(sentences.edges)
        ).tolist()
        asked, read = (
            similarity_vectors(
                retriever,
                texts,
                role,
                of,
                label=label,
                precision=choose_precision(retriever.device, precision),
                folder=part / "vectors",
            )[0]
            for texts, role, of, label in (
                (corpus.queries["text"].to_pylist(), "query", spoken, "questions"),
                (sentences.texts, "passage", written, "sentences"),
            )
        )
        made, counted = _rebuilt(
            corpus, sentences, asked, read, negatives, max_relative_score, margin
        )
        report = {**job, **counted}
        text = json.dumps(report, indent=1, ensure_ascii=False)
        folder.write_folder(made, out, split or "train", extra_files={"locate.json": text})
        shutil.rmtree(part)
        return report


def passage_sentences(corpus: Corpus) -> PassageSentences:
    """The sentences of all passages: the corpus' own, or cut after full stops and their kin."""
    texts, start, edges = [], [], [0]
    for text, own in zip(
        corpus.passages["text"].to_pylist(), corpus.passages["sentences"].to_pylist(), strict=True
    ):
        places = sentence_spans(text) if own is None else [(s["start"], s["end"]) for s in own]
        texts += [text[a:b] for a, b in places]
        start += [a for a, _ in places]
        edges.append(len(texts))
    return PassageSentences(texts, np.array(start, np.int64), np.array(edges, np.int64))


def sentence_at(sentences: PassageSentences, passage: int, start: int) -> int:
    """The sentence of a passage that holds a character of it: a row of `sentences`."""
    first, last = sentences.edges[passage : passage + 2]
    return int(first) + max(bisect_right(sentences.start[first:last], start) - 1, 0)


def best_sentence(scores: np.ndarray, own: np.ndarray, mean: np.ndarray) -> tuple[int, float]:
    """Which sentence answers, and how surely: the way from the second best to it, as a share of that from the mean (0 to 1;
    1 for an only sentence).

    scores: [questions, sentences] of one group and passage; own: bool [questions], asked in the passage's language; only if
    none is do the others speak; mean: [questions], mean scores over all sentences of the language.
    """
    speak = own if own.any() else np.ones(len(own), bool)
    of = scores[speak].mean(0)
    best = int(of.argmax())
    if len(of) == 1:
        return best, 1.0
    second, low = np.delete(of, best).max(), float(mean[speak].mean())
    return best, float(np.clip((of[best] - second) / max(of[best] - low, 1e-9), 0, 1))


def _rebuilt(
    corpus: Corpus,
    sentences: PassageSentences,
    asked: np.ndarray,
    read: np.ndarray,
    negatives: int,
    keep: float,
    margin: float,
) -> tuple[Corpus, dict[str, Any]]:
    """The corpus of sentences, and what was counted. asked: [questions, d], read: [sentences, d]."""
    builder = CorpusBuilder(corpus.name)
    questions = corpus.queries.to_pydict()
    members: dict[str, list[int]] = {}
    for i, (key, text, language, group) in enumerate(
        zip(*(questions[c] for c in ("id", "text", "language", "group")), strict=True)
    ):
        builder.add_query(key, text, language, group)
        members.setdefault(group, []).append(i)
    language = corpus.passages["language"].to_pylist()
    titles = corpus.passages["title"].to_pylist()
    row_of = np.zeros(len(sentences.texts), np.int64)
    of_passage = np.repeat(np.arange(len(language)), np.diff(sentences.edges))
    for s, (text, p) in enumerate(zip(sentences.texts, of_passage, strict=True)):
        row_of[s] = builder.add_passage(text, text, language[p], None, titles[p])
    mean = {
        c: read[np.array([language[p] == c for p in of_passage])].mean(0) for c in set(language)
    }
    spoken = np.array(questions["language"])
    known = agreeing = located = unsure = 0
    answers: dict[str, set[int]] = {}
    places: list[tuple[str, int, int]] = []
    links = corpus.links.to_pydict()
    for group, passage, start in zip(links["group"], links["passage"], links["start"], strict=True):
        first, last = sentences.edges[passage], sentences.edges[passage + 1]
        mine = members.get(group)
        if mine is None or first == last:
            continue
        scores = asked[mine] @ read[first:last].T
        best, sure = best_sentence(
            scores, spoken[mine] == language[passage], asked[mine] @ mean[language[passage]]
        )
        found = first + best
        if start is not None:
            right = sentence_at(sentences, passage, start)
            known += 1
            agreeing += int(right == found)
            found = right
        elif sure < margin:
            unsure += 1
            continue
        else:
            located += 1
        builder.add_link(group, int(row_of[found]))
        answers.setdefault(group, set()).add(int(row_of[found]))
        places.append((group, passage, int(found)))
    if not places:
        raise MixlingError(
            f"{corpus.name}: no question has a passage with a sentence; nothing to locate"
        )
    wrong: dict[int, list[tuple[bool, float, int]]] = {}
    for group, passage, found in places:
        first, last = sentences.edges[passage], sentences.edges[passage + 1]
        for q in members[group]:
            scores = read[first:last] @ asked[q]
            low = float(mean[language[passage]] @ asked[q])
            limit = low + keep * (scores[found - first] - low)
            foreign = bool(spoken[q] != language[passage])
            for s in np.flatnonzero(scores <= limit) + first:
                if int(row_of[s]) not in answers[group]:
                    wrong.setdefault(q, []).append(
                        (foreign, -float(scores[s - first]), int(row_of[s]))
                    )
    mined = 0
    for q, rows in sorted(wrong.items()):
        for _, _, row in sorted(rows)[:negatives]:
            builder.add_negative(questions["id"][q], questions["language"][q], row)
            mined += 1
    return builder.build(), {
        "questions": len(spoken),
        "links": len(places),
        "located": located,
        "unsure": unsure,
        "known": known,
        "agreement": agreeing / known if known else None,
        "sentences": len(sentences.texts),
        "negatives_found": mined,
        "questions_with_negatives": len(wrong),
    }
