"""Translations among subsets that share ids, as far as texts and judgments bear the ids out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mixling.corpora.values import with_title
from mixling.evaluation.mteb_subset import Keys, Subset

MIN_SHARED = 0.5  # of the ids of the smaller of two languages
# Logarithms of the lengths of 40 queries of XQuAD-R, MLQA-R and TICO-19 and of their translations
# correlate by .63 or more in 99 of 100 draws, and by chance by .37 or less. They say nothing where
# all texts are of one length: the standard deviations there are .32 to .79.
MIN_CORRELATION, MIN_SPREAD, MIN_TEXTS, MAX_TEXTS = 0.4, 0.3, 40, 2000
MIN_COMMON_ANSWER = 0.9  # share of queries that have an answer in common with their translation

Texts = dict[str, dict[str, str]]  # language: id: text


def link_by_id(subsets: Sequence[Subset]) -> Keys:
    """Link translations by ids, where texts and judgments bear the ids out.

    A language is linked to the one with the most texts if half of its ids are there, the lengths of
    its texts correlate with theirs, and queries of one id have an answer of one id.

    Args:
        subsets: The subsets.

    Returns:
        The keys.
    """
    queries, query_labels = labeled([(s.query_language, s.queries) for s in subsets], subsets)
    passages, passage_labels = labeled(
        [
            (s.passage_language, {k: with_title(t, x) for k, (x, t) in s.passages.items()})
            for s in subsets
        ],
        subsets,
    )
    linked_queries, reference = agreeing(queries)
    linked_passages, _ = agreeing(passages)
    if len(linked_passages) > 1 or len(passages) == 1:
        answers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for s in subsets:
            for key, grades in s.relevant.items():
                answers[query_labels[s.name]][key] |= set(grades)
        astray = {x for x in linked_queries if not _same_answers(answers[reference], answers[x])}
        linked_queries, linked_passages = linked_queries - astray, linked_passages - astray
    keys = Keys()
    for s in subsets:
        for language, label, ids, linked, names, groups in (
            (
                s.query_language, query_labels[s.name], s.queries, linked_queries,
                keys.queries, keys.query_groups,
            ),
            (
                s.passage_language, passage_labels[s.name], s.passages, linked_passages,
                keys.passages, keys.passage_groups,
            ),
        ):  # fmt: skip
            if label in linked and label == language:
                names.update({(s.name, key): key for key in ids})
            else:
                names.update({(s.name, key): f"{label}:{key}" for key in ids})
                groups.update({f"{label}:{key}": key for key in ids if label in linked})
    keys.notes = _linked_note("queries", queries, linked_queries)
    # where passages have ids of their own, the queries' answers in each language are enough
    if len(linked_passages) > 1 or len(linked_queries) < 2:
        keys.notes += _linked_note("passages", passages, linked_passages)
    return keys


def _linked_note(what: str, texts: Texts, linked: set[str]) -> list[str]:
    """Say which languages are linked by id."""
    if len(texts) < 2:
        return []
    alone = sorted(set(texts) - linked)
    if len(linked) < 2:
        return [f"{what} have no ids that mean translations, and are not linked by id"]
    rest = f"; not {', '.join(alone)}, whose ids do not mean translations" if alone else ""
    return [f"{what} of {len(linked)} languages are linked by id{rest}"]


def labeled(
    sides: Sequence[tuple[str, dict[str, str]]], subsets: Sequence[Subset]
) -> tuple[Texts, dict[str, str]]:
    """Collect texts by language and id, and by subset where one id has two texts of a language.

    Args:
        sides: Language and texts of one side of each subset.
        subsets: The subsets.

    Returns:
        The texts by label, and the label of each subset: a language, or language and subset.
    """
    texts: Texts = defaultdict(dict)
    unclear = set()
    for language, found in sides:
        known = texts[language]
        if any(known.setdefault(key, text) != text for key, text in found.items()):
            unclear.add(language)
    labels = {
        s.name: f"{language} ({s.name})" if language in unclear else language
        for s, (language, _) in zip(subsets, sides, strict=True)
    }
    for s, (language, found) in zip(subsets, sides, strict=True):
        if language in unclear:
            texts.pop(language, None)
            texts[labels[s.name]] = found
    return texts, labels


def agreeing(texts: Texts) -> tuple[set[str], str]:
    """Return the languages whose ids mean the same as in the largest, and the largest."""
    largest = min(texts, key=lambda x: (-len(texts[x]), x != "en", x))
    others = set(texts) - {largest}
    return {largest} | {x for x in others if same_texts(texts[largest], texts[x])}, largest


def same_texts(first: dict[str, str], second: dict[str, str], unknown: bool = True) -> bool:
    """Return whether ids that two languages share can mean translations.

    Args:
        first: Texts of one language by id.
        second: Texts of another language by id.
        unknown: What to return if the lengths of the texts are too few or too equal to tell.

    Returns:
        Whether they can.
    """
    shared = sorted(first.keys() & second.keys())
    if len(shared) < max(1, MIN_SHARED * min(len(first), len(second))):
        return False
    lengths = np.log(
        [[max(1, len(texts[key])) for key in shared[:MAX_TEXTS]] for texts in (first, second)]
    )
    if len(shared) < MIN_TEXTS or lengths.std(axis=1).min() < MIN_SPREAD:
        return unknown
    return bool(np.corrcoef(lengths)[0, 1] >= MIN_CORRELATION)


def _same_answers(first: dict[str, set[str]], second: dict[str, set[str]]) -> bool:
    """Return whether queries of one id have an answer of one id in two languages."""
    shared = [key for key in first.keys() & second.keys() if first[key] and second[key]]
    common = sum(bool(first[key] & second[key]) for key in shared)
    return common >= MIN_COMMON_ANSWER * len(shared)
