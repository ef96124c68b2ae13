"""Turns queries on passages into queries on sentences; a model chooses the answer sentences.

A retriever works best within a language. It finds the answer sentence in a passage with the query
in the passage's own language, and that sentence answers the query in every language. So a parallel
corpus that does not know where its answers stand becomes one of queries and sentences across
languages, labeled by the retriever. The other sentences of the passage are hard negatives: they
share its subject and its names, and do not answer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import finished_report
from mixling.errors import MixlingError, check_at_least, check_finite_numbers
from mixling.models.fingerprints import full_fingerprint, model_fingerprint
from mixling.models.precision import Precision
from mixling.models.retriever import Retriever
from mixling.preparation.answer_sentences import (
    Answer,
    SentenceScores,
    encode_sentences,
    passage_sentences,
    sentence_at,
)
from mixling.preparation.job import JobReport, unfinished_folder

MAX_RELATIVE_SCORE, MARGIN = 0.7, 0.15


@dataclass(frozen=True)
class AnswerSentencesReport(JobReport):
    """The counts of `locate_answers`.

    Args:
        job: The options, and hashes of the model and the corpus.
        queries: Queries.
        links: Links from a query group to a sentence.
        known_answers: Links whose sentence the corpus knows.
        located_answers: Links whose sentence the model chose.
        unsure_answers: Links that were left out because two sentences scored alike.
        agreement: Share of the known answers that the model finds; None if none are known.
        sentences: Sentences.
        negatives_mined: Hard negatives.
        queries_with_negatives: Queries that have a hard negative.
    """

    queries: int
    links: int
    known_answers: int
    located_answers: int
    unsure_answers: int
    agreement: float | None
    sentences: int
    negatives_mined: int
    queries_with_negatives: int


def locate_answers(
    model: str | Retriever,
    source: str | Corpus,
    out: str | Path,
    *,
    split: str | None = None,
    path: str | Path | None = None,
    languages: list[str] | None = None,
    negatives: int = 4,
    max_relative_score: float = MAX_RELATIVE_SCORE,
    margin: float = MARGIN,
    precision: Precision = "auto",
    trust_remote_code: bool = False,
) -> AnswerSentencesReport:
    """Write a source's queries with sentences for passages as a folder for training and evaluation.

    A link leads to the sentence that holds the answer, where its place is known, else to the
    sentence that the model scores highest. Relative scores run from the mean score of a language's
    sentences (0) to the answer's score (1).

    Unfinished work lies in OUT.part; a call that was killed goes on there.

    Args:
        model: A retriever, or its folder or name on the hub.
        source: A named source, a folder, or a corpus.
        out: The folder to write; the report is its `locate.json`.
        split: The split of the source; default: train, else its first.
        path: The folder of a named source.
        languages: Only these languages.
        negatives: Greatest number of hard negatives a query: other sentences of its passages, the
            hardest first, those in its own language before others.
        max_relative_score: Greatest relative score of a hard negative; a higher one may answer too.
        margin: Least distance, in relative score, of the best sentence from the second. A link with
            a smaller one is left out.
        precision: Number format of the encoder.
        trust_remote_code: Run code that the model's folder brings.

    Returns:
        The counts.

    Raises:
        MixlingError: The model or source cannot be loaded, `out` holds something else, or no query
            has a passage with a sentence.

    Example:
        >>> mixling.locate_answers("intfloat/multilingual-e5-small", "mlqa", "mlqa-sentences")
    """
    check_finite_numbers(max_relative_score=max_relative_score, margin=margin)
    check_at_least(0, negatives=negatives)
    out = Path(out)
    corpus = (
        source
        if isinstance(source, Corpus)
        else load(source, split, path=path, languages=languages, for_training=True)
    )
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    job = {
        "model": retriever.name,
        "encoder": model_fingerprint(retriever),
        "identity": full_fingerprint(retriever),
        "precision": precision,
        "corpus": corpus.fingerprint(),
        "negatives": negatives,
        "max_relative_score": max_relative_score,
        "margin": margin,
    }
    finished = finished_report(out / "locate.json", job, "located")
    if finished is not None:
        return AnswerSentencesReport.from_dict(finished)
    with unfinished_folder(out, job) as part:
        sentences = passage_sentences(corpus)
        query_vectors, sentence_vectors = encode_sentences(
            retriever, corpus, sentences, precision, part / "vectors"
        )
        scores = SentenceScores(corpus, sentences, query_vectors, sentence_vectors)
        located, counts = _sentence_corpus(corpus, scores, negatives, max_relative_score, margin)
        report = AnswerSentencesReport(job=job, **counts)
        folder.write_folder(
            located, out, split or "train", extra_files={"locate.json": report.to_json()}
        )
    return report


def _sentence_corpus(
    corpus: Corpus,
    scores: SentenceScores,
    negatives: int,
    max_relative_score: float,
    margin: float,
) -> tuple[Corpus, dict[str, Any]]:
    """Return the corpus of sentences, and the counts of `AnswerSentencesReport`."""
    answers, counts = _choose_answers(corpus, scores, margin)
    builder = CorpusBuilder(corpus.name)
    ids, texts, languages, groups = (
        corpus.queries[c].to_pylist() for c in ("id", "text", "language", "group")
    )
    for key, text, language, group in zip(ids, texts, languages, groups, strict=True):
        builder.add_query(key, text, language, group)
    # equal sentences of one language become one passage
    titles, sentences = corpus.passages["title"].to_pylist(), scores.sentences
    passage_of = np.repeat(np.arange(len(titles)), np.diff(sentences.edges)).tolist()
    row_of = [
        builder.add_passage(text, text, str(scores.passage_language[p]), None, titles[p])
        for text, p in zip(sentences.texts, passage_of, strict=True)
    ]
    relevant: dict[str, set[int]] = {}
    for answer in answers:
        builder.add_link(answer.group, row_of[answer.sentence])
        relevant.setdefault(answer.group, set()).add(row_of[answer.sentence])
    wrong: dict[int, list[tuple[bool, float, int]]] = {}
    for answer in answers:
        for query in scores.members[answer.group]:
            for other_language, score, sentence in scores.wrong_sentences(
                answer, query, max_relative_score
            ):
                row = row_of[sentence]
                if row not in relevant[answer.group]:
                    wrong.setdefault(query, []).append((other_language, score, row))
    mined = 0
    for query, ranked in sorted(wrong.items()):
        for _, _, row in sorted(ranked)[:negatives]:
            builder.add_negative(ids[query], languages[query], row)
            mined += 1
    return builder.build(), {
        **counts,
        "queries": corpus.queries.num_rows,
        "sentences": len(sentences.texts),
        "negatives_mined": mined,
        "queries_with_negatives": len(wrong),
    }


def _choose_answers(
    corpus: Corpus, scores: SentenceScores, margin: float
) -> tuple[list[Answer], dict[str, Any]]:
    """Return the answer sentence of each link, and the counts; see `locate_answers`."""
    answers, counts = list[Answer](), Counter[str]()
    edges, links = scores.sentences.edges, corpus.links.to_pydict()
    for group, passage, start in zip(links["group"], links["passage"], links["start"], strict=True):
        if group not in scores.members or edges[passage] == edges[passage + 1]:
            continue
        sentence, confidence = scores.best(group, passage)
        if start is not None:
            known = sentence_at(scores.sentences, passage, start)
            counts["known"] += 1
            counts["found"] += known == sentence
            sentence = known
        elif confidence < margin:
            counts["unsure"] += 1
            continue
        else:
            counts["located"] += 1
        answers.append(Answer(group, passage, sentence))
    if not answers:
        raise MixlingError(
            f"{corpus.name}: no query has a passage with a sentence, so there is nothing to "
            "locate. Give a source with queries and passages."
        )
    return answers, {
        "links": len(answers),
        "known_answers": counts["known"],
        "located_answers": counts["located"],
        "unsure_answers": counts["unsure"],
        "agreement": counts["found"] / counts["known"] if counts["known"] else None,
    }
