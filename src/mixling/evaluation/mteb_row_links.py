"""Translations among subsets whose ids count the rows of their files, as those of Belebele.

Such ids mean the same in two languages if their files have one order and no text comes twice. mteb
counts equal questions once, so that all later ids of a language are shifted (Moroccan Arabic,
Jingpho, Shona and six more). What a question answers is therefore known by passage, and the
questions of one passage by their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mixling.corpora.values import with_title
from mixling.evaluation.mteb_id_links import (
    MIN_COMMON_ANSWER,
    agreeing,
    labeled,
    same_texts,
)
from mixling.evaluation.mteb_subset import Keys, Subset
from mixling.evaluation.mteb_text_links import group_by_common_queries, link_by_text

Places = dict[str, dict[str, list[str]]]  # language: passage group: its queries in order


def link_by_row(subsets: Sequence[Subset]) -> Keys:
    """Link translations by rows where files have one order, and by common queries everywhere.

    Args:
        subsets: The subsets.

    Returns:
        The keys.
    """
    keys = link_by_text(subsets)
    in_order = _languages_in_order(subsets, keys)
    rows = {
        keys.passage(s.name, key): key
        for s in subsets
        if s.passage_language in in_order
        for key in s.passages
    }
    keys.passage_groups = group_by_common_queries(subsets, keys, rows if len(in_order) > 1 else {})
    places, texts = _places(subsets, keys)
    keys.query_groups = _groups_by_place(places, texts, in_order)
    queries, passages = set(keys.queries.values()), set(keys.passages.values())
    keys.notes = [
        f"{len(keys.passage_groups):,} of {len(passages):,} passages and "
        f"{len(keys.query_groups):,} of {len(queries):,} queries are linked to their translations"
    ]
    if not keys.passage_groups and len({s.passage_language for s in subsets}) > 1:
        keys.notes.append(
            "in the multilingual pool a right answer in another language counts as wrong"
        )
    return keys


def _languages_in_order(subsets: Sequence[Subset], keys: Keys) -> set[str]:
    """Return the languages whose passages have the ids of the largest language, and that one.

    Queries with answers in both languages decide. Without them, the lengths of the passages must
    correlate: nobody promises that files have one order.
    """
    passages, _ = labeled(
        [
            (s.passage_language, {k: with_title(t, x) for k, (x, t) in s.passages.items()})
            for s in subsets
        ],
        subsets,
    )
    _, reference = agreeing(passages)
    answers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for s in subsets:
        for key, grades in s.relevant.items():
            answers[keys.query(s.name, key)][s.passage_language] |= set(grades)
    in_order = {reference}
    for language in passages.keys() - {reference}:
        both = [
            (found[reference], found[language])
            for found in answers.values()
            if found.get(reference) and found.get(language)
        ]
        if both:
            common = sum(bool(first & second) for first, second in both)
            same = common >= MIN_COMMON_ANSWER * len(both)
        else:
            same = same_texts(passages[reference], passages[language], unknown=False)
        in_order |= {language} if same else set()
    return in_order


def _places(subsets: Sequence[Subset], keys: Keys) -> tuple[Places, dict[str, str]]:
    """Return the queries of each passage group in the order of their rows, and their texts.

    A query that answers two groups has the row of the first alone, and no place.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    order: dict[str, tuple[str, int]] = {}
    texts = dict[str, str]()
    for s in subsets:
        for row, (key, text) in enumerate(s.queries.items()):
            query = keys.query(s.name, key)
            texts[query] = text
            order.setdefault(query, (s.query_language, row))
            for document in s.relevant.get(key, {}):
                passage = keys.passage(s.name, document)
                groups[query].add(keys.passage_groups.get(passage, passage))
    places: Places = defaultdict(lambda: defaultdict(list))
    for query in sorted(order, key=order.__getitem__):
        if len(groups[query]) == 1:
            places[order[query][0]][min(groups[query])].append(query)
    return places, texts


def _groups_by_place(places: Places, texts: dict[str, str], in_order: set[str]) -> dict[str, str]:
    """Link the queries that stand at one place in languages with equally many queries there.

    Without a common order only a passage's single query is known.
    """
    most: dict[str, int] = defaultdict(int)
    for by_passage in places.values():
        for group, queries in by_passage.items():
            most[group] = max(most[group], len(queries))
    complete = {
        language: {
            f"{group} {place}": query
            for group, queries in by_passage.items()
            if len(queries) == most[group]
            for place, query in enumerate(queries)
        }
        for language, by_passage in places.items()
    }
    by_place = {
        language: {place: texts[query] for place, query in queries.items()}
        for language, queries in complete.items()
        if language in in_order
    }
    ordered = agreeing(by_place)[0] if by_place else set()
    linked: dict[str, str] = {}
    members: dict[str, list[str]] = defaultdict(list)
    for language, by_key in complete.items():
        for place, query in by_key.items():
            if language in ordered or most[place.rpartition(" ")[0]] == 1:
                members[place].append(query)
    for same in members.values():
        if len(same) > 1:
            linked.update(dict.fromkeys(same, same[0]))
    return linked
