"""Translations among subsets that have texts in common: queries of one text, or with one answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from mixling.corpora.components import connected_components
from mixling.corpora.values import with_title
from mixling.evaluation.mteb_subset import Keys, Subset


def link_by_text(subsets: Sequence[Subset]) -> Keys:
    """Link the queries and passages that stand in several subsets with one text.

    Queries of two languages are translations where they have the same answers in one language, and
    no other query of theirs has these answers.

    Args:
        subsets: The subsets.

    Returns:
        The keys.
    """
    keys = Keys()
    seen_queries, seen_passages = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
    for s in subsets:
        for key, text in s.queries.items():
            name = seen_queries.setdefault((s.query_language, text), f"{s.name}:{key}")
            keys.queries[s.name, key] = name
        for key, (text, title) in s.passages.items():
            place = (s.passage_language, with_title(title, text))
            keys.passages[s.name, key] = seen_passages.setdefault(place, f"{s.name}:{key}")
    keys.query_groups = _translation_groups(subsets, keys)
    keys.notes = [
        f"subsets are linked by equal texts, and {len(keys.query_groups):,} of "
        f"{len(seen_queries):,} queries to their translations by equal answers"
    ]
    return keys


def group_by_common_queries(
    subsets: Sequence[Subset], keys: Keys, hubs: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Group the passages that answer one query, or translations of it, in several languages.

    A query with two answers in one language says of neither which translation it has, so it joins
    nothing. A group with two passages of one language would not be one of translations, and is
    none.

    Args:
        subsets: The subsets.
        keys: The keys of their queries and passages; each passage's key has one language.
        hubs: What else joins passages: those with one value are translations, by their keys.

    Returns:
        The group of each passage that is joined to others.
    """
    answers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    languages = dict[str, str]()
    for s in subsets:
        for key, grades in s.relevant.items():
            query = keys.query(s.name, key)
            found = {keys.passage(s.name, document) for document in grades}
            answers[keys.query_groups.get(query, query)][s.passage_language] |= found
        languages.update({keys.passage(s.name, key): s.passage_language for key in s.passages})
    edges = [
        (passage, f"query {query}")
        for query, by_language in answers.items()
        if all(len(found) == 1 for found in by_language.values())
        for found in by_language.values()
        for passage in found
    ]
    edges += [(passage, f"hub {hub}") for passage, hub in (hubs or {}).items()]
    return {
        passage: same[0]
        for same in _components(edges)
        if len({languages[x] for x in same}) == len(same) > 1
        for passage in same
    }


def group_equal_passages(subsets: Sequence[Subset], keys: Keys) -> dict[str, str]:
    """Join the groups of passages that have one text in one language.

    A translation of one is a translation of the other, even if it was translated twice.

    Args:
        subsets: The subsets.
        keys: The keys of their passages.

    Returns:
        The group of each passage.
    """
    edges = []
    for s in subsets:
        for key, (text, title) in s.passages.items():
            name = keys.passage(s.name, key)
            group = keys.passage_groups.get(name, name)
            edges.append((group, f"{s.passage_language} {with_title(title, text)}"))
    first = {group: same[0] for same in _components(edges) for group in same}
    names = {name: keys.passage_groups.get(name, name) for name in keys.passages.values()}
    return {name: first[group] for name, group in names.items()}


def _components(edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return the left nodes of each connected component of a bipartite graph, in their order."""
    left, right = dict[str, int](), dict[str, int]()
    rows = [(left.setdefault(a, len(left)), right.setdefault(b, len(right))) for a, b in edges]
    pairs = np.array(rows, np.int64).reshape(-1, 2)
    labels = connected_components(pairs[:, 0], pairs[:, 1], len(left), len(right))
    members: dict[int, list[str]] = defaultdict(list)
    for node, row in left.items():
        members[int(labels[row])].append(node)
    return list(members.values())


def _translation_groups(subsets: Sequence[Subset], keys: Keys) -> dict[str, str]:
    """Group queries of different languages by their answers."""
    # for each language of passages and each set of answers: the queries of each language
    asked: dict[tuple[str, frozenset[str]], dict[str, set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for s in subsets:
        for key, grades in s.relevant.items():
            if grades:
                answers = frozenset(keys.passage(s.name, d) for d in grades)
                asked[s.passage_language, answers][s.query_language].add(keys.query(s.name, key))
    translations = [
        [name for names in by_language.values() for name in names]
        for by_language in asked.values()
        if len(by_language) > 1 and all(len(names) == 1 for names in by_language.values())
    ]
    edges = [(name, f"{i}") for i, group in enumerate(translations) for name in group]
    return {name: same[0] for same in _components(sorted(edges)) for name in same}
