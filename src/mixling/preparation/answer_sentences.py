"""Searches the sentences of a passage for the one that answers a query."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixling.corpora.corpus import Corpus
from mixling.corpora.sentences import sentence_spans
from mixling.encoding.vectors import similarity_vectors
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever


@dataclass(frozen=True)
class PassageSentences:
    """The sentences of a corpus' passages, passage by passage.

    Args:
        texts: The sentences.
        start: The first character of each sentence in its passage, int64 `[sentences]`.
        edges: The first sentence of each passage, and the number of sentences, int64 `[passages +
            1]`.
    """

    texts: list[str]
    start: np.ndarray
    edges: np.ndarray


class Answer(NamedTuple):
    """A query group, the row of a passage, and the row of the sentence that answers."""

    group: str
    passage: int
    sentence: int


def passage_sentences(corpus: Corpus) -> PassageSentences:
    """Return the sentences of all passages, as the corpus has them or as they are found.

    Args:
        corpus: The corpus.
    """
    texts, start, edges = [], [], [0]
    for text, spans in zip(
        corpus.passages["text"].to_pylist(), corpus.passages["sentences"].to_pylist(), strict=True
    ):
        places = sentence_spans(text) if spans is None else [(s["start"], s["end"]) for s in spans]
        texts += [text[a:b] for a, b in places]
        start += [a for a, _ in places]
        edges.append(len(texts))
    return PassageSentences(texts, np.array(start, np.int64), np.array(edges, np.int64))


def sentence_at(sentences: PassageSentences, passage: int, start: int) -> int:
    """Return the sentence that holds a character of a passage.

    Args:
        sentences: The sentences.
        passage: The passage's row.
        start: The character.

    Returns:
        A row of `sentences`.
    """
    first, end = sentences.edges[passage : passage + 2]
    return int(first) + max(bisect_right(sentences.start[first:end], start) - 1, 0)


def best_sentence(
    scores: np.ndarray, same_language: np.ndarray, mean: np.ndarray
) -> tuple[int, float]:
    """Choose the sentence of a passage that answers the queries of one group.

    The queries in the passage's language decide; only if there are none do the others.

    Args:
        scores: Scores of the queries for the sentences, `[queries, sentences]`.
        same_language: Whether each query is in the passage's language, bool `[queries]`.
        mean: Mean score of each query over all sentences of the passage's language, `[queries]`.

    Returns:
        The sentence, and the confidence: the distance from the second best to the best, as a share
        of the distance from the mean to the best, 0 to 1. A passage's only sentence has confidence
        1.
    """
    voters = same_language if same_language.any() else np.ones(len(same_language), bool)
    score = scores[voters].mean(0)
    best = int(score.argmax())
    if len(score) == 1:
        return best, 1.0
    second, low = np.delete(score, best).max(), float(mean[voters].mean())
    return best, float(np.clip((score[best] - second) / max(score[best] - low, 1e-9), 0, 1))


class SentenceScores:
    """Scores of a corpus' queries for the sentences of its passages.

    Args:
        corpus: The corpus.
        sentences: The sentences of its passages.
        query_vectors: float32 `[queries, dim]`.
        sentence_vectors: float32 `[sentences, dim]`; dot products are scores.

    Attributes:
        members: The rows of the queries of each group.
        mean: The mean of the sentence vectors of each language, `[dim]`.
    """

    def __init__(
        self,
        corpus: Corpus,
        sentences: PassageSentences,
        query_vectors: np.ndarray,
        sentence_vectors: np.ndarray,
    ):
        self.sentences = sentences
        self.query_vectors, self.sentence_vectors = query_vectors, sentence_vectors
        self.query_language = np.array(corpus.queries["language"].to_pylist())
        self.passage_language = np.array(corpus.passages["language"].to_pylist())
        self.members: dict[str, list[int]] = {}
        for row, group in enumerate(corpus.queries["group"].to_pylist()):
            self.members.setdefault(group, []).append(row)
        sentence_language = np.repeat(self.passage_language, np.diff(sentences.edges))
        self.mean = {
            language: sentence_vectors[sentence_language == language].mean(0)
            for language in set(self.passage_language.tolist())
        }

    def best(self, group: str, passage: int) -> tuple[int, float]:
        """Return the sentence of a passage that answers a query group, and the confidence.

        Args:
            group: The query group.
            passage: The passage's row.

        Returns:
            A row of the sentences, and the confidence of `best_sentence`.
        """
        first, end = self.sentences.edges[passage : passage + 2]
        language = self.passage_language[passage]
        rows = self.members[group]
        sentence, confidence = best_sentence(
            self.query_vectors[rows] @ self.sentence_vectors[first:end].T,
            self.query_language[rows] == language,
            self.query_vectors[rows] @ self.mean[language],
        )
        return int(first) + sentence, confidence

    def wrong_sentences(
        self, answer: Answer, query: int, max_relative_score: float
    ) -> list[tuple[bool, float, int]]:
        """Return the sentences of an answer's passage that are far enough below the answer.

        Args:
            answer: The answer.
            query: The row of a query of its group.
            max_relative_score: Greatest relative score of a sentence.

        Returns:
            Whether the passage is in another language than the query, the negative score, and the
            sentence. Sorted, they come hardest first, the query's own language before others.
        """
        first, end = self.sentences.edges[answer.passage : answer.passage + 2]
        language = self.passage_language[answer.passage]
        scores = self.sentence_vectors[first:end] @ self.query_vectors[query]
        low = float(self.mean[language] @ self.query_vectors[query])
        limit = low + max_relative_score * (scores[answer.sentence - first] - low)
        other_language = bool(self.query_language[query] != language)
        return [
            (other_language, -float(scores[sentence]), int(first + sentence))
            for sentence in np.flatnonzero(scores <= limit)
        ]


def encode_sentences(
    retriever: Retriever,
    corpus: Corpus,
    sentences: PassageSentences,
    precision: Precision,
    cache: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Encode queries and sentences; the dot products of the vectors are the model's scores.

    Args:
        retriever: The encoder.
        corpus: The corpus of the queries.
        sentences: The sentences of its passages.
        precision: Number format of the encoder.
        cache: The folder that keeps finished vectors.

    Returns:
        The vectors of the queries, float32 `[queries, dim]`, and of the sentences, float32
        `[sentences, dim]`.
    """
    number_format = choose_precision(retriever.device, precision)
    query_languages = corpus.queries["language"].to_pylist()
    sentence_languages = np.repeat(
        corpus.passages["language"].to_pylist(), np.diff(sentences.edges)
    ).tolist()
    query_vectors, sentence_vectors = (
        similarity_vectors(
            retriever,
            texts,
            role,
            languages,
            label=label,
            precision=number_format,
            folder=cache,
        )[0]
        for texts, role, languages, label in (
            (corpus.queries["text"].to_pylist(), "query", query_languages, "queries"),
            (sentences.texts, "passage", sentence_languages, "sentences"),
        )
    )
    return query_vectors, sentence_vectors
